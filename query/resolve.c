#include "query/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/options.h"

#define LISTED 8

bool resolve_number(const char *text, uint64_t *v)
{
	char *end;
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*v = strtoull(text, &end, hex ? 16 : 10);
	return !*end && !errno && *v;
}

static const struct task *by_number(const struct snapshot *s, const char *word)
{
	uint64_t v;
	if (word[0] != '#')
		return resolve_number(word, &v) ? snapshot_task(s, v) : NULL;
	if (!resolve_number(word + 1, &v))
		return NULL;
	for (size_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].serial >= 0 && (uint64_t)s->tasks[i].serial == v)
			return &s->tasks[i];
	return NULL;
}

static void candidate(struct strbuf *b, const struct task *t, size_t nth)
{
	if (nth > LISTED)
		return;
	if (nth == LISTED) {
		strbuf_str(b, ", ...");
		return;
	}
	strbuf_str(b, nth ? ", " : "");
	strbuf_hex(b, t->id);
	strbuf_fmt(b, " (%s, %s)", t->name ? t->name : "?", task_body(t) ? task_body(t) : "?");
}

static err_t several(const struct snapshot *s, const char *word, size_t count)
{
	struct strbuf b = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < s->ntasks && n <= LISTED; i++)
		if (s->tasks[i].name && !strcmp(s->tasks[i].name, word))
			candidate(&b, &s->tasks[i], n++);
	err_t e = b.failed ? ERR_NOMEM : err_new(E_NOTFOUND, "%zu tasks are called %s: %s", count, word, b.s);
	strbuf_free(&b);
	return e;
}

/* Names that contain the word, or that it may be a slip for. */
static err_t none(const struct snapshot *s, const char *word)
{
	struct strbuf b = { 0 };
	struct nearest near = { .word = word };
	const struct task *best = NULL;
	size_t n = 0;
	for (size_t i = 0; i < s->ntasks && n <= LISTED; i++) {
		const struct task *t = &s->tasks[i];
		if ((t->name && strstr(t->name, word)) || (t->coro && strstr(t->coro, word)))
			candidate(&b, t, n++);
	}
	for (size_t i = 0; i < s->ntasks && !n; i++) {
		const char *before = near.best;
		if (s->tasks[i].name)
			nearest_try(&near, s->tasks[i].name);
		if (near.best != before)
			best = &s->tasks[i];
	}
	if (best)
		candidate(&b, best, n++);
	if (!n && *word == '#' && !s->agent)
		return err_new(E_NOTFOUND, "there is no task %s: serials are the agent's, which is not there", word);
	const char *live = s->done_unseen ? "live " : "";
	err_t e = n ? err_new(E_NOTFOUND, "there is no %stask %s; like it are %s", live, word, b.s)
		    : err_new(E_NOTFOUND, "there is no %stask %s among %zu", live, word, s->ntasks);
	strbuf_free(&b);
	return e;
}

err_t resolve_task(const struct snapshot *s, const char *word, const struct task **out)
{
	size_t count = 0;
	*out = by_number(s, word);
	if (*out)
		return NULL;
	for (size_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].name && !strcmp(s->tasks[i].name, word)) {
			*out = &s->tasks[i];
			count++;
		}
	return count == 1 ? NULL : count ? several(s, word, count) : none(s, word);
}
