/* A core dump behind struct target: what the files of this folder share.
 *
 * Three sources of bytes, in this order: what was dumped; for what was not, the file
 * that was mapped there, if it is the same build and that part of it is never
 * written to; else the bytes are unknown. A dumped hole is a page of zeros, a page
 * that was not dumped never is. */
#ifndef ASYNCMON_ATTACH_CORE_H
#define ASYNCMON_ATTACH_CORE_H

#include "attach/elfnote.h"
#include "attach/target.h"
#include "base/arena.h"
#include "base/vec.h"

enum file_state { FILE_UNTRIED, FILE_FOUND, FILE_MISSING };

/* A file that was mapped. */
struct core_file {
	const char *path;         /* as the target saw it */
	bool deleted;
	uint64_t base;            /* where its offset 0 is mapped, 0 when it is not */
	enum file_state state;
	bool lacked;              /* bytes of it were wanted and not to be had */
	bool differs;             /* what was found is another build; said */
	int fd;
	Elf64_Phdr *ph;           /* of the file found */
	size_t nph;
};

/* A mapping, and where its bytes are in the core. In step with t.mappings. */
struct core_segment {
	uint64_t start, end;
	uint64_t offset;          /* in the core */
	uint64_t dumped;          /* bytes from start on that the core has */
	uint32_t file;            /* index + 1, 0: none */
	bool listed;              /* known from NT_FILE alone: its access is worked out */
	uint64_t file_offset;
};

struct core {
	struct target t;          /* first: a struct target * is a struct core * */
	struct image img;
	struct arena *arena;
	int fd;
	uint64_t size;
	struct VEC(struct thread) threads; /* behind t.threads */
	struct core_segment *segments;
	size_t nsegments;
	struct core_file *files;
	size_t nfiles;
	uint64_t vdso, entry, execfn; /* AT_SYSINFO_EHDR, AT_ENTRY, AT_EXECFN; 0: not known */
	const char *opt_exe, *opt_debug_dir;
	int root_fd;              /* --sysroot, else "/" */
	bool sysroot;
	uid_t owner;              /* of the core file, or of the process where that is noted */
	gid_t group;
	struct opener *opener;    /* of files that the core names; NULL before the first */
};

static inline struct core *core_of(struct target *t) { return (struct core *)t; }

/* One file of NT_FILE. */
struct core_range {
	uint64_t start, end, offset;
	const char *path;
};

/* What the notes of all segments say: threads, signal, ids into c->t; files as ranges
 * into the arena. */
err_t core_read_notes(struct core *c, const Elf64_Phdr *ph, size_t n,
		      struct core_range **ranges, size_t *nranges);
/* Mappings, segments and files out of program headers and NT_FILE. */
err_t core_build_mappings(struct core *c, const Elf64_Phdr *ph, size_t n,
			  struct core_range *ranges, size_t nranges);

struct core_segment *core_segment_at(struct core *c, uint64_t addr);
/* Bytes that were dumped; false unless all of them were. */
bool core_read_dumped(struct core *c, uint64_t addr, void *buf, size_t len);
/* The descriptor of the file, opened and compared the first time; -1 when it is not
 * to be had. The core's own. */
int core_file_fd(struct core *c, struct core_file *f);
/* Access of the part of the file at offset (PF_R, PF_X), out of its program headers,
 * as dumped or in the file. */
uint32_t core_file_access(struct core *c, struct core_file *f, uint64_t offset);
/* May the file's page at offset stand for what was in memory at addr? Not where it
 * is mapped to be written or relocated. */
bool core_file_constant(const struct core_file *f, uint64_t addr, uint64_t offset);

err_t core_open_file(struct target *t, const struct mapping *m, int *fd);
err_t core_open_path(struct target *t, const char *path, uint64_t copy_up_to, int *fd, struct stat *st);
/* A sentence for the user, once. */
void core_note(struct core *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool read_at(int fd, uint64_t offset, void *buf, size_t len);

#endif
