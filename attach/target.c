#include "attach/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 100

err_t target_open(const char *what, const struct target_opts *o, struct target **out)
{
	size_t digits = strspn(what, "0123456789");
	if (digits && !what[digits]) {
		errno = 0;
		long pid = strtol(what, NULL, 10);
		if (errno || pid <= 0 || pid > INT32_MAX)
			return err_new(E_NOPROC, "no process has the id %s", what);
		return target_open_process((pid_t)pid, o, out);
	}
	return target_open_core(what, o, out);
}

const struct mapping *target_mapping(const struct target *t, uint64_t addr)
{
	size_t lo = 0, hi = t->nmappings;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct mapping *m = &t->mappings[mid];
		if (addr < m->start)
			hi = mid;
		else if (addr >= m->end)
			lo = mid + 1;
		else
			return m;
	}
	return NULL;
}

void target_close(struct target *t)
{
	if (t)
		t->ops->close(t);
}

void target_note(struct target *t, struct arena *a, const char *fmt, va_list ap)
{
	char text[1024];
	vsnprintf(text, sizeof text, fmt, ap);
	for (size_t i = 0; i < t->nnotes; i++)
		if (strcmp(t->notes[i], text) == 0)
			return;
	if (!t->notes)
		t->notes = arena_array(a, NOTES_MAX, sizeof *t->notes);
	char *kept = arena_str(a, text);
	if (t->notes && kept && t->nnotes < NOTES_MAX)
		t->notes[t->nnotes++] = kept;
}
