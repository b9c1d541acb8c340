/* .debug_aranges says which unit holds an address, and the unit where its line number
 * program is. Compilers may leave it out (clang does): then programs are run, one
 * after the other, and say themselves what they speak of.
 *
 * Where .debug_info is compressed it is left alone: it is the largest section, and would
 * be decompressed for one number of each unit. The place of a unit among all of them
 * tells the program's. */
#include "symbols/lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/oom.h"
#include "base/strbuf.h"
#include "symbols/debugdata.h"
#include "symbols/lineprog.h"
#include "symbols/units.h"

/* All that is read for one file, in bytes of programs and tables, 1 to 3 ns each. */
#define SPENT_MAX (256u << 20)
#define PROGRAMS_MAX 32768u
#define NO_MORE UINT64_MAX     /* in place of a program's offset */

struct program {
	struct lineprog lp;
	const char *dir;         /* of the unit, NULL: unknown */
	bool good;
};

struct lines {
	struct debugdata d;
	struct unit_ranges units;     /* by .debug_aranges */
	struct unit_ranges sequences; /* by all programs: their offsets */
	uint64_t gather_at;      /* the next program to be run for that */
	bool units_read, refused;
	uint64_t *filled;        /* offsets of programs that are not empty, in order */
	size_t nfilled;
	uint64_t filled_next;    /* the next one to be looked at for that */
	struct map by_unit;      /* unit's offset → struct program *, 0: none */
	struct map programs;     /* offset → struct program * */
	size_t nprograms;
	uint64_t spent;
	struct line_steps steps;
	struct strbuf path;
};

bool lines_own(struct elf *e)
{
	Elf64_Shdr s;
	return elf_fd(e) >= 0 && elf_section(e, ".debug_line", &s) && s.sh_type != SHT_NOBITS && s.sh_size;
}

struct lines *lines_read(struct elf *e)
{
	struct lines *ls = lines_own(e) ? oom_check(calloc(1, sizeof *ls)) : NULL;
	if (ls && !debugdata_open(&ls->d, e)) {
		free(ls);
		return NULL;
	}
	return ls;
}

void lines_free(struct lines *ls)
{
	if (!ls)
		return;
	for (size_t i = 0; ls->programs.slots && i <= ls->programs.mask; i++) {
		struct program *p = (struct program *)(uintptr_t)ls->programs.slots[2 * i + 1];
		if (ls->programs.slots[2 * i] && p) {
			lineprog_close(&p->lp);
			free(p);
		}
	}
	map_free(&ls->programs);
	map_free(&ls->by_unit);
	free(ls->filled);
	unit_ranges_free(&ls->units);
	unit_ranges_free(&ls->sequences);
	debugdata_close(&ls->d);
	strbuf_free(&ls->path);
	free(ls);
}

bool lines_refused(const struct lines *ls)
{
	return ls->refused || ls->d.refused;
}

static bool spend(struct lines *ls, uint64_t bytes)
{
	ls->spent += bytes;
	if (ls->spent > SPENT_MAX)
		ls->refused = true;
	return !ls->refused;
}

/* The program at that offset, its header read. NULL: memory is out, or too many. Keys
 * of maps are not 0, offsets may be. */
static struct program *program_at(struct lines *ls, uint64_t offset)
{
	uint64_t known;
	if (map_get(&ls->programs, offset + 1, &known))
		return (struct program *)(uintptr_t)known;
	struct program *p = ls->nprograms < PROGRAMS_MAX ? oom_check(calloc(1, sizeof *p)) : NULL;
	if (!p || !map_set(&ls->programs, offset + 1, (uint64_t)(uintptr_t)p)) {
		ls->refused = true;
		free(p);
		return NULL;
	}
	ls->nprograms++;
	p->good = lineprog_open(&p->lp, &ls->d, offset);
	return p;
}

static struct program *program_of(struct lines *ls, uint64_t unit)
{
	uint64_t known;
	struct unit u;
	if (map_get(&ls->by_unit, unit + 1, &known))
		return (struct program *)(uintptr_t)known;
	struct program *p = unit_read(&ls->d, unit, &u) ? program_at(ls, u.program) : NULL;
	if (p && !p->dir)
		p->dir = u.dir;
	map_set(&ls->by_unit, unit + 1, (uint64_t)(uintptr_t)p);
	return p;
}

/* Runs it until it has spoken of vaddr. */
static bool run_to(struct lines *ls, struct lineprog *lp, uint64_t vaddr, struct line_row *row)
{
	if (!spend(ls, 2048 + (lp->ended ? 0 : 16 * lp->pieces.n)))
		return false;
	if (lineprog_find(lp, &ls->d, &ls->steps, vaddr, row))
		return true;
	for (uint64_t at = lp->at; lineprog_run(lp, &ls->d, &ls->steps) && spend(ls, lp->at - at); at = lp->at) {
		const struct line_piece *last = lp->pieces.n ? &lp->pieces.v[lp->pieces.n - 1] : NULL;
		if (lp->ended || (last && vaddr >= last->row.addr && vaddr < last->end))
			return lineprog_find(lp, &ls->d, &ls->steps, vaddr, row);
	}
	return false;
}

/* The next program's offset, 0: there is none. */
static uint64_t next_program(struct lines *ls, const struct lineprog *lp)
{
	return lp->end > lp->offset && lp->end < debugdata_size(&ls->d, DEBUG_LINE) ? lp->end : 0;
}

/* Runs a program whole, and adds what it speaks of: pieces that follow on each other
 * as one. *found: vaddr is of it. */
static bool gather_one(struct lines *ls, struct lineprog *lp, uint64_t vaddr, bool *found)
{
	for (uint64_t at = lp->at; lineprog_run(lp, &ls->d, &ls->steps); at = lp->at)
		if (!spend(ls, 16 + lp->at - at))
			return false;
	for (size_t i = 0; i < lp->pieces.n;) {
		uint64_t start = lp->pieces.v[i].row.addr, end = lp->pieces.v[i].end;
		for (i++; i < lp->pieces.n && lp->pieces.v[i].row.addr == end; i++)
			end = lp->pieces.v[i].end;
		*found = *found || (vaddr >= start && vaddr < end);
		if (!unit_ranges_add(&ls->sequences, start, end, lp->offset))
			return false;
	}
	return true;
}

/* Runs all programs, until one speaks of vaddr. */
static struct program *gather(struct lines *ls, uint64_t vaddr)
{
	const struct unit_range *r = unit_ranges_find(&ls->sequences, vaddr);
	bool found = false;
	if (r)
		return program_at(ls, r->unit);
	while (ls->gather_at != NO_MORE) {
		struct program *p = program_at(ls, ls->gather_at);
		uint64_t next = p ? next_program(ls, &p->lp) : 0;
		if (!p || (p->good && !gather_one(ls, &p->lp, vaddr, &found)))
			ls->refused = true;
		ls->gather_at = next && !ls->refused ? next : NO_MORE;
		if (found)
			return p;
	}
	return NULL;
}

/* Where the nth program that is not empty begins. False: there are not so many. */
static bool filled_at(struct lines *ls, size_t n, uint64_t *offset)
{
	while (n >= ls->nfilled && ls->filled_next != NO_MORE) {
		uint64_t at = ls->filled_next, next;
		bool empty, there = spend(ls, 16) && lineprog_skip(&ls->d, at, &next, &empty);
		ls->filled_next = there && next < debugdata_size(&ls->d, DEBUG_LINE) ? next : NO_MORE;
		if (!there || empty)
			continue;
		uint64_t *v = ls->nfilled < PROGRAMS_MAX ? oom_check(reallocarray(ls->filled, ls->nfilled + 1, sizeof *v)) : NULL;
		if (!v) {
			ls->refused = true;
			ls->filled_next = NO_MORE;
			break;
		}
		ls->filled = v;
		v[ls->nfilled++] = at;
	}
	if (n < ls->nfilled)
		*offset = ls->filled[n];
	return n < ls->nfilled;
}

/* Has every program that is not empty a unit that says its addresses? Then what they
 * do not speak of, no program does. */
static bool all_have_units(struct lines *ls)
{
	uint64_t at;
	return ls->units.units && !filled_at(ls, ls->units.units, &at) && !ls->refused;
}

/* The program of the unit whose range it is. Where .debug_info is compressed, a guess:
 * linkers lay units and programs down in the same order. */
static struct program *program_for(struct lines *ls, const struct unit_range *r)
{
	uint64_t at;
	if (!debugdata_compressed(&ls->d, DEBUG_INFO))
		return program_of(ls, r->unit);
	return filled_at(ls, r->nth, &at) ? program_at(ls, at) : NULL;
}

static struct program *find(struct lines *ls, uint64_t vaddr, struct line_row *row)
{
	if (!ls->units_read)
		unit_ranges_read(&ls->units, &ls->d);
	ls->units_read = true;
	const struct unit_range *r = unit_ranges_find(&ls->units, vaddr);
	struct program *p = r ? program_for(ls, r) : NULL;
	if (p && p->good && run_to(ls, &p->lp, vaddr, row))
		return p;
	/* A guess may have been wrong. */
	if (all_have_units(ls) && (!r || !debugdata_compressed(&ls->d, DEBUG_INFO)))
		return NULL;
	p = gather(ls, vaddr);
	return p && p->good && run_to(ls, &p->lp, vaddr, row) ? p : NULL;
}

bool lines_find(struct lines *ls, uint64_t vaddr, const char **file, int *line)
{
	struct line_row row;
	const char *dir = NULL, *name;
	struct program *p = find(ls, vaddr, &row);
	if (!p || row.line <= 0 || !spend(ls, p->lp.code - p->lp.tables) ||
	    !lineprog_file(&p->lp, &ls->d, row.file, &dir, &name))
		return false;
	if (!dir && p->lp.version < 5)
		dir = p->dir;
	strbuf_clear(&ls->path);
	if (dir && name[0] != '/') {
		strbuf_str(&ls->path, dir);
		strbuf_char(&ls->path, '/');
	}
	strbuf_str(&ls->path, name);
	*file = ls->path.s;
	*line = row.line;
	return !ls->path.failed;
}
