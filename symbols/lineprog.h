/* One line number program of .debug_line (DWARF 2 to 5): which file and line the code
 * at an address was compiled from.
 *
 * It is a program: what it says of an address is known only by running it up to there.
 * It is run once and no further than was asked for; pieces of some thousand bytes are
 * kept as where they begin, in what state, and which addresses they speak of.
 *
 * libdw has this too, and keeps each row of a unit, sorted: for CPython's units ten
 * times what a whole stack may take. */
#ifndef ASYNCMON_SYMBOLS_LINEPROG_H
#define ASYNCMON_SYMBOLS_LINEPROG_H

#include "base/vec.h"
#include "symbols/debugdata.h"

/* The state machine's registers, those that matter here (DWARF 5, 6.2.2). */
struct line_row {
	uint64_t addr;
	uint32_t file;
	int32_t line;
};

/* A part of a sequence: [row.addr, end), that begins right after row was written. */
struct line_piece {
	struct line_row row;
	uint64_t end;
	uint32_t at;             /* into the program */
};

/* What special opcodes add: the same for most programs of a file. Belongs to whoever
 * runs them; all 0 at first. */
struct line_steps {
	uint8_t min_length, line_range, opcode_base;
	int8_t line_base;
	uint16_t addr[256];
	int16_t line[256];
};

struct lineprog {
	uint64_t offset, end;    /* of the unit in .debug_line, header included */
	uint64_t tables;         /* directory and file tables */
	uint64_t code;           /* the program itself */
	uint16_t version;
	uint8_t offset_size, address_size;
	uint8_t min_length, line_range, opcode_base, lengths[256];
	int8_t line_base;
	struct VEC(struct line_piece) pieces;
	/* Where the run stands: after the row of the next piece, or (not inside) before one. */
	uint64_t at;
	struct line_row row;
	bool inside, dropped, ended;
};

/* The length of the unit alone: where the next one begins, and whether there is a program in
 * this one (units without code have tables only). False: there is no unit. */
bool lineprog_skip(struct debugdata *d, uint64_t offset, uint64_t *next, bool *empty);
/* Reads the header. False: there is none, or not one that is understood. */
bool lineprog_open(struct lineprog *lp, struct debugdata *d, uint64_t offset);
void lineprog_close(struct lineprog *lp);
/* Runs it a piece further. False: it was at its end. */
bool lineprog_run(struct lineprog *lp, struct debugdata *d, struct line_steps *st);
/* The row that speaks of addr, of what was run so far. */
bool lineprog_find(const struct lineprog *lp, struct debugdata *d, struct line_steps *st, uint64_t addr,
		   struct line_row *row);
/* Its file's name and directory (NULL: none, or the unit's own before version 5). */
bool lineprog_file(const struct lineprog *lp, struct debugdata *d, uint32_t index, const char **dir,
		   const char **name);

#endif
