#include "cmd/mcp_tools.h"

#include "base/vec.h"
#include "cmd/command.h"

#include <stdlib.h>

/* Which commands, and what the words after their target are called; NULL: there are none.
 * Of those that this program has. */
static const struct tool { const char *command, *words, *about; } tools[] = {
	{ "ps", NULL, NULL },
	{ "tree", NULL, NULL },
	{ "where", "tasks", "the tasks: each an id, an agent's serial as \"#17\", or an exact name" },
	{ "why", "tasks", "only these tasks; without it, what all waiting tasks wait for in the end" },
	{ "check", NULL, NULL },
	{ "stacktrace", NULL, NULL },
	{ "ps-terminated", NULL, NULL },
	{ "where-terminated", "ids", "which: each a serial as \"#17\", or an exact name" },
	{ "flame", NULL, NULL },
	{ "refs", "objects", "the objects, each by its address" },
};

/* Options that are about a terminal, write a file, or cost more than a look. */
static const char *const left_out[] = {
	"json", "color", "help", "stats", "verbose", "output", "noheadings", "raw", "all-rows", "out", "force",
	"format", "for", "running", "wait", "list-rules",
};

static bool is_left_out(const struct option *o)
{
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
		if (strcmp(o->name, left_out[i]) == 0)
			return true;
	return false;
}

static const struct command *command_of(const struct tool *t)
{
	const struct command *c = command_find(t->command);
	return c && !(c->flags & (CMD_WRITES | CMD_SESSION)) ? c : NULL;
}

/* Calls each() for every option that a tool takes, until it gives true. */
static const struct option *option_of(const struct command *c, const char *name, void (*each)(struct json *, const struct option *),
				      struct json *j)
{
	struct args a = { 0 };
	command_sets(c, &a);
	for (size_t i = 0; i < OPTION_SETS && a.sets[i]; i++)
		for (const struct option *o = a.sets[i]; o->name; o++) {
			if (is_left_out(o) || (a.sets[i] == options_common && !command_takes(c, o)))
				continue;
			if (each)
				each(j, o);
			else if (strcmp(o->name, name) == 0)
				return o;
		}
	return NULL;
}

static void pair(struct json *j, const char *key, const char *value)
{
	json_key(j, key);
	json_str(j, value);
}

static void property(struct json *j, const struct option *o)
{
	json_key(j, o->name);
	json_object(j);
	if (o->value) {
		json_key(j, "type");
		json_array(j);
		json_str(j, "string");
		json_str(j, "number");
		json_array_end(j);
	} else {
		pair(j, "type", "boolean");
	}
	struct strbuf b = { 0 };
	strbuf_fmt(&b, o->value ? "%s: %s" : "%.0s%s", o->value ? o->value : "", o->help);
	pair(j, "description", b.s ? b.s : o->help);
	strbuf_free(&b);
	json_object_end(j);
}

static void schema(struct json *j, const struct tool *t, const struct command *c)
{
	json_object(j);
	pair(j, "type", "object");
	json_key(j, "properties");
	json_object(j);
	json_key(j, "target");
	json_object(j);
	json_key(j, "type");
	json_array(j);
	json_str(j, "string");
	json_str(j, "integer");
	json_array_end(j);
	pair(j, "description", "the process id, or the path of a core dump");
	json_object_end(j);
	if (t->words) {
		json_key(j, t->words);
		json_object(j);
		pair(j, "type", "array");
		json_key(j, "items");
		json_object(j);
		pair(j, "type", "string");
		json_object_end(j);
		pair(j, "description", t->about);
		json_object_end(j);
	}
	option_of(c, NULL, property, j);
	json_key(j, "offset");
	json_object(j);
	pair(j, "type", "integer");
	json_key(j, "minimum");
	json_int(j, 0);
	pair(j, "description", "of an answer that was cut, go on from here: \"next\" of its \"page\". The other arguments "
			       "stay the same, and so does the look that is gone on with");
	json_object_end(j);
	json_object_end(j);
	json_key(j, "required");
	json_array(j);
	if (!(c->flags & CMD_MANY))
		json_str(j, "target");
	json_array_end(j);
	json_key(j, "additionalProperties");
	json_bool(j, false);
	json_object_end(j);
}

void mcp_tools_list(struct json *j)
{
	json_array(j);
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		const struct command *c = command_of(&tools[i]);
		if (!c)
			continue;
		json_object(j);
		pair(j, "name", c->name);
		struct strbuf b = { 0 };
		strbuf_fmt(&b, "%s. %s", c->summary, c->description);
		pair(j, "description", b.s ? b.s : c->summary);
		strbuf_free(&b);
		json_key(j, "inputSchema");
		schema(j, &tools[i], c);
		json_key(j, "annotations");
		json_object(j);
		json_key(j, "readOnlyHint");
		json_bool(j, true);
		json_key(j, "openWorldHint");
		json_bool(j, false);
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

void mcp_words_free(struct mcp_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct mcp_words){ 0 };
}

/* The strings of b, which it takes. */
static err_t word(struct mcp_words *w, struct strbuf *b)
{
	if (b->failed || !b->s || !vec_push(w, b->s)) {
		strbuf_free(b);
		return ERR_NOMEM;
	}
	*b = (struct strbuf){ 0 };
	return NULL;
}

static err_t word_of(struct mcp_words *w, const char *s)
{
	struct strbuf b = { 0 };
	strbuf_str(&b, s);
	return word(w, &b);
}

/* A string, or a number as it was written. */
static bool scalar(struct strbuf *b, const struct json_value *v)
{
	const char *s = json_get_str(v);
	bool ignored;
	if (s)
		strbuf_str(b, s);
	else if (!v || json_is_array(v) || json_is_object(v) || json_get_bool(v, &ignored))
		return false;
	else
		json_write(b, v);
	return s || (b->len && b->s[0] != '"');
}

static err_t option_word(struct mcp_words *w, const struct command *c, const struct json_member *m)
{
	const struct option *o = option_of(c, m->key, NULL, NULL);
	struct strbuf b = { 0 };
	bool on;
	if (!o)
		return err_new(E_USAGE, "%s takes no argument \"%s\"", c->name, m->key);
	strbuf_fmt(&b, "--%s", o->name);
	if (!o->value) {
		if (!json_get_bool(m->value, &on)) {
			strbuf_free(&b);
			return err_new(E_USAGE, "\"%s\" is true or false", o->name);
		}
		if (on)
			return word(w, &b);
		strbuf_free(&b);
		return NULL;
	}
	strbuf_char(&b, '=');
	if (!scalar(&b, m->value)) {
		strbuf_free(&b);
		return err_new(E_USAGE, "\"%s\" is a string or a number", o->name);
	}
	return word(w, &b);
}

/* "--", the target, and the words after it. */
static err_t other_words(struct mcp_words *w, const struct tool *t, const struct json_value *arguments)
{
	const struct json_value *target = json_get(arguments, "target");
	const struct json_value *words = t->words ? json_get(arguments, t->words) : NULL;
	TRY(word_of(w, "--"));
	if (target) {
		struct strbuf b = { 0 };
		if (!scalar(&b, target)) {
			strbuf_free(&b);
			return err_new(E_USAGE, "\"target\" is a process id or a path");
		}
		TRY(word(w, &b));
	}
	if (words && !json_is_array(words))
		return err_new(E_USAGE, "\"%s\" is a list of strings", t->words);
	for (size_t i = 0; i < json_count(words); i++) {
		const char *s = json_get_str(json_item(words, i));
		if (!s)
			return err_new(E_USAGE, "\"%s\" is a list of strings", t->words);
		TRY(word_of(w, s));
	}
	return NULL;
}

static err_t all_words(struct mcp_words *w, const struct tool *t, const struct command *c,
		       const struct json_value *arguments)
{
	struct json_member *m;
	size_t n;
	TRY(word_of(w, "asyncmon"));
	TRY(word_of(w, c->name));
	TRY(word_of(w, "--json"));
	err_t e = NULL;
	TRY(json_members(arguments, &m, &n));
	for (size_t i = 0; i < n && !e; i++) {
		const char *key = m[i].key;
		if (strcmp(key, "target") != 0 && strcmp(key, "offset") != 0 && (!t->words || strcmp(key, t->words) != 0))
			e = option_word(w, c, &m[i]);
	}
	free(m);
	return e ? e : other_words(w, t, arguments);
}

err_t mcp_tools_words(const char *tool, const struct json_value *arguments, struct mcp_words *out)
{
	*out = (struct mcp_words){ 0 };
	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		const struct command *c = command_of(&tools[i]);
		if (!c || strcmp(c->name, tool) != 0)
			continue;
		err_t e = all_words(out, &tools[i], c, arguments);
		if (!e && !vec_push(out, NULL))
			e = ERR_NOMEM;
		if (e)
			mcp_words_free(out);
		return e;
	}
	return err_new(E_NOTFOUND, "there is no tool \"%s\"", tool);
}
