/* asyncmon.1 documents exactly the commands, options and columns that there are. */
#include "snap.h"

#include <ctype.h>

#include "query/list.h"

struct page { char **lines; size_t n; };

static struct page page_read(void)
{
	struct page p = { 0 };
	char line[512];
	FILE *f = fopen("man/asyncmon.1", "r");
	if (!f)
		fail_msg("man/asyncmon.1 is not here: run this where the Makefile is");
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		p.lines = realloc(p.lines, (p.n + 1) * sizeof *p.lines);
		p.lines[p.n++] = strdup(line);
	}
	fclose(f);
	return p;
}

static void page_end(struct page *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->lines[i]);
	free(p->lines);
}

/* The lines between a heading and the next; fails where there is none. */
static struct page part(const struct page *p, const char *heading)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->lines[i], heading))
			continue;
		size_t end = i + 1;
		bool sub = !strncmp(heading, ".Ss", 3);
		while (end < p->n && strncmp(p->lines[end], ".Sh", 3) &&
		       !(sub && !strncmp(p->lines[end], ".Ss", 3)))
			end++;
		return (struct page){ p->lines + i + 1, end - i - 1 };
	}
	fail_msg("no %s in man/asyncmon.1", heading);
	return (struct page){ 0 };
}

static bool in(const struct page *p, const char *line)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->lines[i], line))
			return true;
	return false;
}

static size_t count_starting(const struct page *p, const char *start)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		n += !strncmp(p->lines[i], start, strlen(start));
	return n;
}

static void options_are(const struct page *page, const char *heading, const struct option *o)
{
	struct page p = part(page, heading);
	size_t n = 0;
	for (; o && o->name; o++, n++) {
		struct strbuf b = { 0 };
		strbuf_str(&b, ".It Fl ");
		if (o->letter)
			strbuf_fmt(&b, "%c , ", o->letter);
		strbuf_fmt(&b, "-%s", o->name);
		if (o->value)
			strbuf_fmt(&b, " Ns = Ns Ar %s", o->value);
		if (!in(&p, b.s))
			fail_msg("no «%s» under %s", b.s, heading);
		strbuf_free(&b);
	}
	if (count_starting(&p, ".It Fl") != n)
		fail_msg("%s has options that there are not", heading);
}

static void command_headings(void **state)
{
	struct page page = page_read(), p = part(&page, ".Sh COMMANDS");
	size_t n = 0;
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		const struct command *c = commands[i];
		if (c->flags & CMD_HIDDEN)
			continue;
		n++;
		struct strbuf b = { 0 };
		strbuf_fmt(&b, ".Ss %s", c->name);
		/* "?" alone would be punctuation to mdoc. */
		for (size_t k = 0; c->aliases[k]; k++)
			strbuf_fmt(&b, " , %s%s", ispunct((unsigned char)*c->aliases[k]) ? "\\&" : "", c->aliases[k]);
		if (!in(&p, b.s))
			fail_msg("no «%s» in man/asyncmon.1", b.s);
		options_are(&page, b.s, c->options);
		strbuf_free(&b);
	}
	assert_int_equal(count_starting(&p, ".Ss"), n);
	page_end(&page);
}

static void shared_options(void **state)
{
	struct page page = page_read();
	(void)state;
	options_are(&page, ".Ss Options of all commands", options_common);
	options_are(&page, ".Ss Options that select tasks", options_select);
	options_are(&page, ".Ss Options of lists", options_list);
	options_are(&page, ".Ss Options of several targets", options_many);
	page_end(&page);
}

static void columns(void **state)
{
	struct page page = page_read();
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		char line[64];
		size_t n = 0;
		if (!commands[i]->list)
			continue;
		snprintf(line, sizeof line, ".Ss Columns of %s", commands[i]->name);
		struct page p = part(&page, line);
		for (const struct column *c = commands[i]->list->columns; c->name; c++, n++) {
			snprintf(line, sizeof line, ".It Cm %s", c->name);
			if (!in(&p, line))
				fail_msg("no column %s of %s in man/asyncmon.1", c->name, commands[i]->name);
		}
		assert_int_equal(count_starting(&p, ".It Cm"), n);
	}
	page_end(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_headings), cmocka_unit_test(shared_options), cmocka_unit_test(columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
