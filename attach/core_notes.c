/* What a core says of the process: threads, signal, mapped files. */
#include "attach/core.h"

#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

/* More than the kernel writes for 60,000 threads; what is beyond is not read. */
#define NOTES_MAX (512u << 20)

static void add_thread(struct core *c, const struct note *n, size_t *cap)
{
	struct elf_prstatus st;
	if (n->desc_len < sizeof st)
		return;
	memcpy(&st, n->desc, sizeof st);
	if (c->t.nthreads == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		struct thread *more = arena_array(c->arena, *cap, sizeof *more);
		if (!more) {
			*cap = c->t.nthreads;
			return;
		}
		if (c->t.nthreads)
			memcpy(more, c->t.threads, c->t.nthreads * sizeof *more);
		c->t.threads = more;
	}
	struct thread *th = &c->t.threads[c->t.nthreads++];
	th->tid = th->ns_tid = st.pr_pid;
	th->have_regs = true;
	memcpy(&th->regs, &st.pr_reg, sizeof th->regs);
	th->fs_base = th->regs.fs_base;
	if (c->t.nthreads == 1) {
		c->t.current = st.pr_pid;
		c->t.signal = st.pr_cursig;
	}
}

static void take_psinfo(struct core *c, const struct note *n, char comm[16])
{
	struct elf_prpsinfo ps;
	if (n->desc_len < sizeof ps)
		return;
	memcpy(&ps, n->desc, sizeof ps);
	c->t.pid = c->t.ns_pid = ps.pr_pid;
	memcpy(comm, ps.pr_fname, 15);
	comm[15] = '\0';
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
static err_t take_files(struct core *c, const struct note *n, struct core_range **out, size_t *nout)
{
	uint64_t head[2];
	if (n->desc_len < sizeof head || *out)
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
	*out = r;
	*nout = k;
	return NULL;
}

static err_t take_note(struct core *c, const struct note *n, char comm[16], size_t *cap,
		       struct core_range **ranges, size_t *nranges)
{
	if (note_is(n, "CORE", NT_PRSTATUS))
		add_thread(c, n, cap);
	else if (note_is(n, "CORE", NT_PRPSINFO))
		take_psinfo(c, n, comm);
	else if (note_is(n, "CORE", NT_AUXV))
		take_auxv(c, n);
	else if (note_is(n, "CORE", NT_SIGINFO) && n->desc_len >= 4)
		memcpy(&c->t.signal, n->desc, 4);
	else if (note_is(n, "CORE", NT_FILE))
		return take_files(c, n, ranges, nranges);
	return NULL;
}

static void main_thread_first(struct core *c, const char comm[16])
{
	struct thread *ts = c->t.threads;
	for (size_t i = 0; i < c->t.nthreads; i++) {
		if (ts[i].tid != c->t.pid)
			continue;
		struct thread main = ts[i];
		memmove(ts + 1, ts, i * sizeof *ts);
		ts[0] = main;
		memcpy(ts[0].comm, comm, 16);
		return;
	}
}

err_t core_read_notes(struct core *c, uint64_t offset, uint64_t len,
		      struct core_range **ranges, size_t *nranges)
{
	if (offset >= c->size)
		return NULL;
	len = len > c->size - offset ? c->size - offset : len;
	len = len > NOTES_MAX ? NOTES_MAX : len;
	uint8_t *bytes = malloc(len + 1);
	if (!bytes)
		return ERR_NOMEM;
	err_t e = NULL;
	char comm[16] = "";
	size_t cap = 0;
	struct note n;
	if (read_at(c->fd, offset, bytes, len))
		for (size_t at = 0; !e && note_next(bytes, len, &at, &n);)
			e = take_note(c, &n, comm, &cap, ranges, nranges);
	free(bytes);
	main_thread_first(c, comm);
	return e;
}
