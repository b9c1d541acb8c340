/* What a core says of the process: threads, signal, mapped files. */
#include "attach/core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

/* Of all segments together: more than the kernel writes for 60,000 threads. */
#define NOTES_MAX (512u << 20)

/* What is being gathered from all notes. */
struct gathered {
	char comm[16];
	struct core_range *ranges;
	size_t nranges;
};

static err_t add_thread(struct core *c, const struct note *n)
{
	struct elf_prstatus st;
	if (n->desc_len < sizeof st)
		return NULL;
	memcpy(&st, n->desc, sizeof st);
	struct thread th = { .tid = st.pr_pid, .ns_tid = st.pr_pid, .have_regs = true };
	_Static_assert(sizeof th.regs == sizeof st.pr_reg, "registers as the kernel writes them");
	memcpy(&th.regs, &st.pr_reg, sizeof th.regs);
	th.fs_base = th.regs.fs_base;
	if (!vec_push(&c->threads, th))
		return ERR_NOMEM;
	if (c->threads.n == 1) {
		c->t.current = st.pr_pid;
		c->t.signal = st.pr_cursig;
	}
	return NULL;
}

static void take_psinfo(struct core *c, const struct note *n, struct gathered *g)
{
	struct elf_prpsinfo ps;
	if (n->desc_len < sizeof ps)
		return;
	memcpy(&ps, n->desc, sizeof ps);
	c->t.pid = c->t.ns_pid = ps.pr_pid;
	memcpy(g->comm, ps.pr_fname, sizeof g->comm - 1);
}

static void take_auxv(struct core *c, const struct note *n)
{
	for (size_t at = 0; n->desc_len - at >= 16; at += 16) {
		uint64_t v[2];
		memcpy(v, n->desc + at, sizeof v);
		if (v[0] == AT_SYSINFO_EHDR)
			c->vdso = v[1];
		else if (v[0] == AT_ENTRY)
			c->entry = v[1];
		else if (v[0] == AT_EXECFN)
			c->execfn = v[1];
		else if (v[0] == AT_NULL)
			break;
	}
}

/* NT_FILE: count, page size, then start, end, offset in pages each; then the paths. */
static err_t take_files(struct core *c, const struct note *n, struct gathered *g)
{
	uint64_t head[2];
	if (n->desc_len < sizeof head || g->ranges)
		return NULL;
	memcpy(head, n->desc, sizeof head);
	size_t room = n->desc_len - sizeof head;
	if (head[0] > room / 24)
		return NULL;
	size_t count = head[0];
	const uint8_t *entry = n->desc + sizeof head;
	const char *path = (const char *)entry + count * 24, *end = (const char *)n->desc + n->desc_len;
	struct core_range *r = arena_array(c->arena, count + 1, sizeof *r);
	if (!r)
		return ERR_NOMEM;
	size_t k = 0;
	for (; k < count && path < end; k++, entry += 24) {
		uint64_t v[3];
		size_t len = strnlen(path, (size_t)(end - path));
		memcpy(v, entry, sizeof v);
		/* Neighbours share their path. */
		bool same = k && strlen(r[k - 1].path) == len && memcmp(r[k - 1].path, path, len) == 0;
		const char *name = same ? r[k - 1].path : arena_strn(c->arena, path, len);
		if (!name)
			return ERR_NOMEM;
		r[k] = (struct core_range){ v[0], v[1], v[2] * head[1], name };
		path += len + 1;
	}
	g->ranges = r;
	g->nranges = k;
	return NULL;
}

static err_t take_note(struct core *c, const struct note *n, struct gathered *g)
{
	if (note_is(n, "CORE", NT_PRSTATUS))
		return add_thread(c, n);
	if (note_is(n, "CORE", NT_PRPSINFO))
		take_psinfo(c, n, g);
	else if (note_is(n, "CORE", NT_AUXV))
		take_auxv(c, n);
	else if (note_is(n, "CORE", NT_SIGINFO) && n->desc_len >= 4)
		memcpy(&c->t.signal, n->desc, 4);
	else if (note_is(n, "CORE", NT_FILE))
		return take_files(c, n, g);
	return NULL;
}

static void main_thread_first(struct core *c, const char comm[16])
{
	struct thread *ts = c->threads.v;
	for (size_t i = 0; i < c->threads.n; i++) {
		if (ts[i].tid != c->t.pid)
			continue;
		struct thread main = ts[i];
		memmove(ts + 1, ts, i * sizeof *ts);
		ts[0] = main;
		memcpy(ts[0].comm, comm, 16);
		return;
	}
}

static err_t read_segment(struct core *c, uint64_t offset, size_t len, struct gathered *g)
{
	uint8_t *bytes = malloc(len + 1);
	if (!bytes)
		return ERR_NOMEM;
	err_t e = NULL;
	struct note n;
	if (read_at(c->fd, offset, bytes, len))
		for (size_t at = 0; !e && note_next(bytes, len, &at, &n);)
			e = take_note(c, &n, g);
	free(bytes);
	return e;
}

err_t core_read_notes(struct core *c, const Elf64_Phdr *ph, size_t n,
		      struct core_range **ranges, size_t *nranges)
{
	struct gathered g = { .nranges = 0 };
	uint64_t left = NOTES_MAX;
	err_t e = NULL;
	for (size_t i = 0; i < n && !e; i++) {
		if (ph[i].p_type != PT_NOTE || ph[i].p_offset >= c->size)
			continue;
		uint64_t len = c->size - ph[i].p_offset;
		len = ph[i].p_filesz < len ? ph[i].p_filesz : len;
		if (len > left) {
			core_note(c, "The core has more notes than are read; threads may be missing.");
			len = left;
		}
		left -= len;
		e = read_segment(c, ph[i].p_offset, len, &g);
	}
	main_thread_first(c, g.comm);
	c->t.threads = c->threads.v;
	c->t.nthreads = c->threads.n;
	*ranges = g.ranges;
	*nranges = g.nranges;
	return e;
}
