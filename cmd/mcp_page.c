#include "cmd/mcp_page.h"

#include <stdlib.h>

/* Items are not cut, but one may be larger than a page. */
#define ITEM_BYTES ((size_t)256 << 10)

struct part {                /* a member of the answer */
	const struct json_member *m;
	struct strbuf text;      /* whole, or the items of the page */
	bool paged;
	size_t count, total;     /* of items: on this page, and at all */
};

static void free_parts(struct part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_free(&parts[i].text);
	free(parts);
}

/* The items from offset on that fit `room`, at least one. */
static err_t cut(struct part *p, size_t offset, size_t room)
{
	const struct json_value *v = p->m->value;
	struct strbuf item = { 0 };
	strbuf_clear(&p->text);
	strbuf_char(&p->text, '[');
	for (size_t i = offset; i < p->total; i++) {
		strbuf_clear(&item);
		json_write(&item, json_item(v, i));
		if (item.len > ITEM_BYTES) {
			size_t kb = item.len >> 10;
			strbuf_free(&item);
			return err_new(E_USAGE, "item %zu of \"%s\" alone has %zu kB: filter what is asked for, or ask \"where\" "
				       "about single tasks", i, p->m->key, kb);
		}
		if (p->count && p->text.len + item.len > room)
			break;
		if (p->count++)
			strbuf_char(&p->text, ',');
		strbuf_add(&p->text, item.s, item.len);
	}
	strbuf_char(&p->text, ']');
	p->text.failed |= item.failed;
	strbuf_free(&item);
	return NULL;
}

/* Which arrays make the answer too long for one page: of those that are cut none is small. */
static size_t choose(struct part *parts, size_t n)
{
	size_t all = 0, chosen = 0;
	for (size_t i = 0; i < n; i++)
		all += parts[i].text.len;
	for (size_t i = 0; i < n && all > MCP_PAGE_BYTES; i++) {
		parts[i].paged = parts[i].total && parts[i].text.len > MCP_PAGE_BYTES / 8;
		chosen += parts[i].paged;
	}
	return chosen;
}

/* "page":{"tasks":{"offset":0,"count":20,"total":6000},"next":20} */
static void say_page(struct strbuf *b, const struct part *parts, size_t n, size_t offset)
{
	size_t next = 0;
	strbuf_str(b, ",\"page\":{");
	for (size_t i = 0; i < n; i++) {
		const struct part *p = &parts[i];
		if (!p->paged)
			continue;
		strbuf_fmt(b, "\"%s\":{\"offset\":%zu,\"count\":%zu,\"total\":%zu},", p->m->key, offset, p->count, p->total);
		size_t end = offset + p->count;
		if (end < p->total && (!next || end < next))
			next = end;
	}
	if (next)
		strbuf_fmt(b, "\"next\":%zu}", next);
	else
		strbuf_str(b, "\"next\":null}");
}

static err_t write_parts(struct strbuf *b, struct part *parts, size_t n, size_t offset)
{
	for (size_t i = 0; i < n; i++)
		json_write(&parts[i].text, parts[i].m->value);
	size_t chosen = choose(parts, n);
	strbuf_char(b, '{');
	for (size_t i = 0; i < n; i++) {
		if (parts[i].paged)
			TRY(cut(&parts[i], offset, MCP_PAGE_BYTES / chosen));
		strbuf_fmt(b, "%s\"%s\":", i ? "," : "", parts[i].m->key);
		if (parts[i].text.failed)
			return ERR_NOMEM;
		strbuf_add(b, parts[i].text.s, parts[i].text.len);
	}
	if (chosen)
		say_page(b, parts, n, offset);
	strbuf_char(b, '}');
	return b->failed ? ERR_NOMEM : NULL;
}

err_t mcp_page(struct strbuf *b, const struct json_value *answer, size_t offset)
{
	struct json_member *m;
	size_t n;
	TRY(json_members(answer, &m, &n));
	struct part *parts = calloc(n + 1, sizeof *parts);
	for (size_t i = 0; parts && i < n; i++)
		parts[i] = (struct part){ .m = &m[i], .total = json_count(m[i].value) };
	err_t e = parts ? write_parts(b, parts, n, offset) : ERR_NOMEM;
	if (parts)
		free_parts(parts, n);
	free(m);
	return e;
}
