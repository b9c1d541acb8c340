#include "base/options.h"

#include <stdlib.h>
#include <string.h>

static const struct option *find_long(const struct args *a, const char *name, size_t n)
{
	for (size_t i = 0; a->sets[i]; i++)
		for (const struct option *o = a->sets[i]; o->name; o++)
			if (strlen(o->name) == n && !memcmp(o->name, name, n))
				return o;
	return NULL;
}

static const struct option *find_short(const struct args *a, char letter)
{
	for (size_t i = 0; a->sets[i]; i++)
		for (const struct option *o = a->sets[i]; o->name; o++)
			if (o->letter && o->letter == letter)
				return o;
	return NULL;
}

static err_t unknown_long(const struct args *a, const char *name, size_t n)
{
	char word[64];
	struct nearest near = { .word = word };
	if (n >= sizeof word)
		return err_new(E_USAGE, "there is no option --%.*s", (int)(n < 200 ? n : 200), name);
	memcpy(word, name, n);
	word[n] = '\0';
	for (size_t i = 0; a->sets[i]; i++)
		for (const struct option *o = a->sets[i]; o->name; o++)
			nearest_try(&near, o->name);
	if (near.best)
		return err_new(E_USAGE, "there is no option --%s; did you mean --%s?", word, near.best);
	return err_new(E_USAGE, "there is no option --%s", word);
}

err_t args_give(struct args *a, const struct option *o, const char *value)
{
	struct given *g = realloc(a->given, (a->ngiven + 1) * sizeof *g);
	if (!g)
		return ERR_NOMEM;
	a->given = g;
	g[a->ngiven++] = (struct given){ o, value };
	return NULL;
}

static err_t add_word(struct args *a, const char *word)
{
	const char **w = realloc(a->words, (a->nwords + 1) * sizeof *w);
	if (!w)
		return ERR_NOMEM;
	a->words = w;
	w[a->nwords++] = word;
	return NULL;
}

/* The argument at argv[*i], which starts with "--"; takes the next one as its value
 * where it needs one. */
static err_t parse_long(struct args *a, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	const struct option *o = find_long(a, name, n);
	if (!o)
		return unknown_long(a, name, n);
	if (!o->value)
		return eq ? err_new(E_USAGE, "--%s takes no value", o->name) : args_give(a, o, NULL);
	if (eq)
		return args_give(a, o, eq + 1);
	if (*i + 1 >= argc)
		return err_new(E_USAGE, "--%s needs a value: %s", o->name, o->value);
	return args_give(a, o, argv[++*i]);
}

static err_t parse_cluster(struct args *a, int argc, char **argv, int *i)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct option *o = find_short(a, *p);
		if (!o)
			return err_new(E_USAGE, "there is no option -%c", *p);
		if (!o->value) {
			TRY(args_give(a, o, NULL));
			continue;
		}
		if (p[1])
			return args_give(a, o, p + 1);
		if (*i + 1 >= argc)
			return err_new(E_USAGE, "-%c needs a value: %s", *p, o->value);
		return args_give(a, o, argv[++*i]);
	}
	return NULL;
}

err_t args_parse(struct args *a, int argc, char **argv, enum parse_until until)
{
	bool words_only = false;
	for (int i = 0; i < argc; i++) {
		const char *s = argv[i];
		if (words_only || s[0] != '-' || !s[1]) {
			TRY(add_word(a, s));
			words_only |= until == UNTIL_WORD;
		} else if (!strcmp(s, "--")) {
			words_only = true;
		} else if (s[1] == '-') {
			TRY(parse_long(a, argc, argv, &i));
		} else {
			TRY(parse_cluster(a, argc, argv, &i));
		}
	}
	return NULL;
}

void args_free(struct args *a)
{
	free(a->given);
	free(a->words);
	*a = (struct args){ 0 };
}

bool opt_given(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->ngiven; i++)
		if (!strcmp(a->given[i].opt->name, name))
			return true;
	return false;
}

const char *opt_value(const struct args *a, const char *name)
{
	for (size_t i = a->ngiven; i-- > 0;)
		if (!strcmp(a->given[i].opt->name, name))
			return a->given[i].value;
	return NULL;
}
