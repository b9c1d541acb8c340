/* A flame graph as a page: the text around it is a file of its own, the data goes into a
 * script element that no browser runs, where nothing of the target's can end it. */
#include "show/flame.h"

#include <string.h>

/* The page, with a line "@DATA@" where the data belongs. The path is from where make runs. */
__asm__(".section .rodata\n"
	".global flame_page_text\n"
	"flame_page_text:\n"
	".incbin \"show/flame_page.html\"\n"
	".byte 0\n"
	".previous\n");
extern const char flame_page_text[];

/* JSON as it may stand in a script element: "<" begins nothing there. */
static void put_safe(struct out *o, const struct strbuf *b)
{
	for (size_t i = 0; i < b->len; i++) {
		if (b->s[i] == '<' || b->s[i] == '>' || b->s[i] == '&')
			strbuf_fmt(&o->b, "\\u%04x", (unsigned)b->s[i]);
		else
			strbuf_char(&o->b, b->s[i]);
		out_tick(o);
	}
}

/* "[parent, frame, self]" of each node, siblings in their order: parents stand before. */
static err_t nodes(struct json *j, const struct flame *f)
{
	struct VEC(uint32_t) stack = { 0 };
	struct VEC(uint32_t) place = { 0 }; /* of each node, in the order of output */
	uint32_t n = 0;
	bool fine = true;
	for (size_t i = 0; i < f->nodes.n && fine; i++)
		fine = vec_push(&place, 0);
	fine = fine && vec_push(&stack, 0);
	json_key(j, "nodes");
	json_array(j);
	while (fine && stack.n) {
		uint32_t at = stack.v[--stack.n];
		const struct flame_node *x = &f->nodes.v[at];
		place.v[at] = n++;
		json_array(j);
		json_int(j, place.v[x->parent]);
		json_int(j, x->frame);
		json_int(j, (int64_t)x->self);
		json_array_end(j);
		for (uint32_t c = x->first; c && fine; c = f->nodes.v[c].next)
			fine = vec_push(&stack, c);
	}
	json_array_end(j);
	vec_free(&stack);
	vec_free(&place);
	return fine ? NULL : ERR_NOMEM;
}

static err_t data(struct json *j, const struct flame *f)
{
	struct strbuf label = { 0 };
	json_object(j);
	json_key(j, "title");
	json_str(j, f->title);
	json_key(j, "unit");
	json_str(j, f->unit);
	json_key(j, "frames");
	json_array(j);
	for (size_t i = 0; i < f->frames.n; i++) {
		strbuf_clear(&label);
		flame_label(&label, &f->frames.v[i]);
		json_array(j);
		json_str(j, label.s ? label.s : "");
		json_str(j, f->frames.v[i].file);
		json_int(j, f->frames.v[i].line);
		json_array_end(j);
	}
	json_array_end(j);
	bool failed = label.failed;
	strbuf_free(&label);
	TRY(nodes(j, f));
	json_object_end(j);
	return failed ? ERR_NOMEM : NULL;
}

err_t flame_page(struct out *o, const struct flame *f)
{
	static const char mark[] = "@DATA@";
	struct out text = { .fd = -1 };
	struct json j = { .out = &text };
	const char *at = strstr(flame_page_text, mark);
	err_t e = data(&j, f);
	if (!e && text.b.failed)
		e = ERR_NOMEM;
	if (!e) {
		strbuf_add(&o->b, flame_page_text, (size_t)(at - flame_page_text));
		put_safe(o, &text.b);
		strbuf_str(&o->b, at + strlen(mark));
	}
	out_free(&text);
	return e;
}
