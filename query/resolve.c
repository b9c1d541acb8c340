#include "query/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/options.h"

#define LISTED 8

/* A cut id needs so many digits where no mark says that it is one. */
#define TAIL_LEAST 4

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
	strbuf_fmt(b, " (%s, %s)", t->name ? t->name : "name unknown", task_body(t) ? task_body(t) : "coroutine unknown");
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

/* The names that begin with the word and a blank, in quotes: the shell took them apart. */
static size_t begun(const struct snapshot *s, const char *word, struct strbuf *b)
{
	size_t len = strlen(word), n = 0;
	for (size_t i = 0; len && i < s->ntasks && n <= LISTED; i++) {
		const char *name = s->tasks[i].name;
		if (!name || strncmp(name, word, len) != 0 || name[len] != ' ')
			continue;
		if (n < LISTED)
			strbuf_fmt(b, "%s\"%s\"", n ? " or " : "", name);
		else
			strbuf_str(b, " or another");
		n++;
	}
	return n;
}

/* Names that contain the word, or that it may be a slip for. */
static err_t none(const struct snapshot *s, const char *word)
{
	struct strbuf b = { 0 };
	struct nearest near = { .word = word };
	const struct task *best = NULL;
	const char *live = s->done_unseen ? "live " : "";
	size_t n = 0;
	if (begun(s, word, &b)) {
		err_t e = err_new(E_NOTFOUND, "there is no %stask %s; did you mean %s?", live, word, b.s ? b.s : "");
		strbuf_free(&b);
		return e;
	}
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
	err_t e = n ? err_new(E_NOTFOUND, "there is no %stask %s; like it are %s", live, word, b.s)
		    : err_new(E_NOTFOUND, "there is no %stask %s among %zu", live, word, s->ntasks);
	strbuf_free(&b);
	return e;
}

/* The digits of an id that was cut to its end, as a narrow table shows it: "…1e980". NULL:
 * the word is none. Without the mark it has to be more than a decimal number, which a name
 * may well be. */
static const char *tail_of(const char *word)
{
	static const char *const marks[] = { "…", "..." };
	const char *digits = word;
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (!strncmp(word, marks[i], strlen(marks[i])))
			digits = word + strlen(marks[i]);
	size_t n = strspn(digits, "0123456789abcdef");
	if (!n || digits[n])
		return NULL;
	bool plain = digits == word;
	return plain && (n < TAIL_LEAST || strspn(word, "0123456789") == n) ? NULL : digits;
}

/* The only task whose id ends so, or NULL. */
static const struct task *by_tail(const struct snapshot *s, const char *word)
{
	const char *tail = tail_of(word);
	const struct task *found = NULL;
	struct strbuf id = { 0 };
	size_t n = tail ? strlen(tail) : 0, count = 0;
	for (size_t i = 0; tail && i < s->ntasks; i++) {
		strbuf_clear(&id);
		strbuf_hex(&id, s->tasks[i].id);
		if (id.len < n + 2 || strcmp(id.s + id.len - n, tail) != 0)
			continue;
		found = &s->tasks[i];
		count++;
	}
	strbuf_free(&id);
	return count == 1 ? found : NULL;
}

static size_t by_name(const struct snapshot *s, const char *name, const struct task **out)
{
	size_t count = 0;
	for (size_t i = 0; i < s->ntasks; i++)
		if (s->tasks[i].name && !strcmp(s->tasks[i].name, name)) {
			*out = &s->tasks[i];
			count++;
		}
	return count;
}

err_t resolve_task(const struct snapshot *s, const char *word, const struct task **out)
{
	*out = by_number(s, word);
	if (*out)
		return NULL;
	size_t count = by_name(s, word, out);
	if (count > 1)
		return several(s, word, count);
	if (!count)
		*out = by_tail(s, word);
	return *out ? NULL : none(s, word);
}

/* What the words are with a blank between two of them, as one name. *count: of how many tasks. */
static err_t by_words(const struct snapshot *s, const char *const *words, size_t n, const struct task **out,
		      size_t *count)
{
	struct strbuf name = { 0 };
	for (size_t i = 0; i < n; i++)
		strbuf_fmt(&name, "%s%s", i ? " " : "", words[i]);
	*count = n > 1 && !name.failed ? by_name(s, name.s, out) : 0;
	err_t e = *count > 1 ? several(s, name.s, *count) : NULL;
	strbuf_free(&name);
	return e;
}

err_t resolve_tasks(const struct snapshot *s, const char *const *words, size_t *n, const struct task **out)
{
	err_t e = NULL;
	for (size_t i = 0; i < *n && !e; i++)
		e = resolve_task(s, words[i], &out[i]);
	size_t count = 0;
	err_t whole = e ? by_words(s, words, *n, out, &count) : NULL;
	if (!count)
		return e;
	err_free(e);
	*n = 1;
	return whole;
}

err_t resolve_ended(const struct snapshot *s, const char *word, const struct ended **out)
{
	uint64_t n;
	bool number = resolve_number(*word == '#' ? word + 1 : word, &n);
	for (size_t i = 0; i < s->nended && number; i++) {
		const struct ended *t = &s->ended[i];
		if ((uint64_t)t->serial == n || (*word != '#' && t->id == n)) {
			*out = t;
			return NULL;
		}
	}
	for (size_t i = 0; i < s->nended; i++) {
		if (s->ended[i].name && strcmp(s->ended[i].name, word) == 0) {
			*out = &s->ended[i];
			return NULL;
		}
	}
	return err_new(E_NOTFOUND, "no task that ended is remembered as %s (ps-terminated lists those that are)", word);
}
