#include "cmd/page.h"

#include "show/fold.h"
#include "query/shape.h"
#include "show/wrap.h"

#include <stdlib.h>
#include <string.h>

struct page page_of(struct call *c, const struct snapshot *s)
{
	return (struct page){ .c = c, .source = {
		.target = call_target(c), .python = s->python, .kept = s->sources, .nkept = s->nsources } };
}

void page_free(struct page *p)
{
	for (size_t i = 0; i < p->source.nfiles; i++) {
		strbuf_clear(&p->text);
		if (source_said(&p->source, i, &p->text))
			call_note(p->c, "%s", p->text.s ? p->text.s : "");
	}
	source_free(&p->source);
	strbuf_free(&p->text);
	strbuf_free(&p->line);
}

void page_put(struct page *p, const char *sgr)
{
	strbuf_clear(&p->line);
	strbuf_escaped(&p->line, p->text.s ? p->text.s : "");
	term_sgr(&p->c->term, &p->c->out->b, sgr, p->line.s ? p->line.s : "");
	strbuf_clear(&p->text);
}

void page_end_line(struct page *p, size_t from, unsigned indent)
{
	wrap_indented(&p->c->out->b, from, p->c->term.width, indent);
	strbuf_char(&p->c->out->b, '\n');
	out_tick(p->c->out);
}

void page_field(struct page *p, const char *label)
{
	size_t from = p->c->out->b.len;
	strbuf_fmt(&p->c->out->b, "  %-12s ", label);
	page_put(p, NULL);
	page_end_line(p, from, 15);
}

/* Where a line starts, after that many blanks. */
static size_t start_line(struct page *p, unsigned n)
{
	size_t from = p->c->out->b.len;
	while (n--)
		strbuf_char(&p->c->out->b, ' ');
	return from;
}

void page_line(struct page *p, unsigned indent, const char *sgr)
{
	size_t from = start_line(p, indent);
	page_put(p, sgr);
	page_end_line(p, from, indent + 4);
}

void page_frame(struct page *p, const struct source_place *at, unsigned indent)
{
	size_t from = start_line(p, indent);
	strbuf_str(&p->text, "File \"");
	strbuf_str(&p->text, at->file ? at->file : "?");
	strbuf_char(&p->text, '"');
	if (at->line > 0) {
		strbuf_str(&p->text, ", line ");
		strbuf_int(&p->text, at->line);
	}
	strbuf_str(&p->text, ", in ");
	page_put(p, NULL);
	strbuf_str(&p->text, at->function ? at->function : "?");
	page_put(p, "1");
	page_end_line(p, from, indent + 4);
	if (source_line(&p->source, at, &p->text))
		page_line(p, indent + 2, NULL);
}

/* Where it has no name, its place in the module's file, as disassemblers count, or else
 * its address. */
static void native_frame(struct page *p, const struct thread_frame *f, unsigned indent)
{
	bool all = opt_given(&p->c->args, "verbose");
	const char *slash = f->module ? strrchr(f->module, '/') : NULL;
	size_t from = start_line(p, indent);
	strbuf_str(&p->text, f->signal ? "<signal handler called>" : f->function ? f->function : "?");
	page_put(p, "2");
	if (all || !f->module)
		strbuf_fmt(&p->text, " at 0x%llx", (unsigned long long)f->address);
	if (f->module)
		strbuf_fmt(&p->text, " in %s", slash && !all ? slash + 1 : f->module);
	if (f->module && !f->function)
		strbuf_fmt(&p->text, "+0x%llx", (unsigned long long)f->offset);
	if (f->file)
		strbuf_fmt(&p->text, " at %s:%d", f->file, f->line);
	page_put(p, NULL);
	page_end_line(p, from, indent + 4);
}

void page_thread_frames(struct page *p, const struct thread_frame *frames, size_t n, unsigned indent)
{
	for (size_t i = 0; i < n; i++)
		if (frames[i].kind == FRAME_NATIVE)
			native_frame(p, &frames[i], indent);
		else
			page_frame(p, &(struct source_place){ frames[i].function, frames[i].file, frames[i].line,
							      frames[i].first }, indent);
}

static void locals_of(struct page *p, const struct frame *f, unsigned indent)
{
	for (size_t i = 0; i < f->nlocals; i++) {
		const struct local *l = &f->locals[i];
		size_t from = start_line(p, indent + 4);
		strbuf_str(&p->text, l->name ? l->name : "?");
		page_put(p, "36");
		strbuf_str(&p->text, " = ");
		if (l->value)
			strbuf_str(&p->text, l->value);
		else
			strbuf_fmt(&p->text, "<%s>", l->type ? l->type : "?");
		page_put(p, NULL);
		page_end_line(p, from, indent + 8);
	}
}

/* "inside Lock 0x7f… (line 41)" for each of a frame's; *next is the first that may be one. */
static void contexts_of(struct page *p, const struct stack *st, size_t frame, size_t *next, unsigned indent)
{
	for (; *next < st->ncontexts && st->contexts[*next].frame == frame; ++*next) {
		const struct context *c = &st->contexts[*next];
		const char *dot = c->type ? strrchr(c->type, '.') : NULL;
		size_t from = start_line(p, indent + 4);
		strbuf_str(&p->text, c->entering ? "entering " : "inside ");
		strbuf_str(&p->text, dot ? dot + 1 : c->type ? c->type : "an object");
		page_put(p, "36");
		strbuf_char(&p->text, ' ');
		strbuf_hex(&p->text, c->id);
		if (c->line > 0)
			strbuf_fmt(&p->text, " (line %d)", c->line);
		page_put(p, NULL);
		page_end_line(p, from, indent + 8);
	}
}

void page_stack(struct page *p, const struct stack *st, unsigned indent, bool locals)
{
	size_t context = 0;
	for (size_t i = 0; i < st->n; i++) {
		const struct frame *f = st->frames[i];
		page_frame(p, &(struct source_place){ f->function, f->file, f->line, f->first }, indent);
		contexts_of(p, st, i, &context, indent);
		if (locals)
			locals_of(p, f, indent);
	}
	if (st->broken) {
		strbuf_fmt(&p->text, "(the stack ends early: %s)", st->broken);
		page_line(p, indent, "33");
	}
	if (st->beyond) {
		strbuf_fmt(&p->text, "(it goes on in a %s, which shows no frames)", st->beyond);
		page_line(p, indent, "33");
	}
}

static void related(struct page *p, const char *how, const struct exception *e, unsigned indent)
{
	if (!e)
		return;
	strbuf_fmt(&p->text, "%s ", how);
	shape_exception(&p->text, e);
	page_line(p, indent, NULL);
	page_exception(p, e, indent + 2);
}

/* Bounded by how many exceptions the snapshot takes of one tree. */
void page_exception(struct page *p, const struct exception *e, unsigned indent)
{
	if (e->stack.n || e->stack.broken) {
		strbuf_str(&p->text, "raised (most recent call last):");
		page_line(p, indent, NULL);
		page_stack(p, &e->stack, indent + 2, false);
	}
	for (size_t i = 0; i < e->nnotes; i++) {
		strbuf_fmt(&p->text, "note: %s", e->notes[i]);
		page_line(p, indent, NULL);
	}
	for (size_t i = 0; i < e->nexceptions; i++)
		related(p, "with", e->exceptions[i], indent);
	related(p, "caused by", e->cause, indent);
	if (!e->suppressed)
		related(p, "while handling", e->context, indent);
	if (e->more) {
		strbuf_str(&p->text, "(and more, which are not shown)");
		page_line(p, indent, "33");
	}
}

static void folded_frames(struct page *p, size_t n, const char *what, unsigned indent)
{
	if (!n)
		return;
	strbuf_fmt(&p->text, "(%zu frame%s %s: -v shows %s)", n, n == 1 ? "" : "s", what, n == 1 ? "it" : "them");
	page_line(p, indent, "2");
}

void page_past_stack(struct page *p, const struct stack *st, unsigned indent)
{
	bool all = opt_given(&p->c->args, "verbose");
	size_t before = all ? 0 : fold_loop_frames(st);
	struct stack rest = *st;
	rest.frames += before;
	rest.n -= before;
	size_t behind = all ? 0 : fold_asyncio_frames(&rest);
	rest.n -= behind;
	folded_frames(p, before, "that ran the loop", indent);
	page_stack(p, &rest, indent, false);
	folded_frames(p, behind, "of asyncio itself", indent);
}

void page_cancels(struct page *p, const struct cancel *v, size_t n, void (*one)(struct page *, void *ctx, size_t i),
		  void (*when)(struct strbuf *, void *ctx, double at), void *ctx)
{
	bool *shown = opt_given(&p->c->args, "verbose") ? NULL : calloc(n + 1, sizeof *shown);
	for (size_t i = 0; i < n; i++) {
		size_t last = i, alike;
		if (shown && shown[i])
			continue;
		one(p, ctx, i);
		alike = shown ? fold_cancels(v, n, i, shown, &last) : 0;
		if (!alike)
			continue;
		strbuf_fmt(&p->text, "(%zu more alike, ", alike);
		strbuf_str(&p->text, alike > 1 ? "the last " : "");
		when(&p->text, ctx, v[last].at);
		strbuf_str(&p->text, "; -v shows each)");
		page_line(p, 6, "2");
	}
	free(shown);
}

void page_ref(struct page *p, const struct task_ref *r)
{
	if (r->name || r->id)
		shape_name(&p->text, r->name, r->id);
	else
		strbuf_str(&p->text, "a task");
	if (r->serial < 0)
		return;
	strbuf_fmt(&p->text, " (#%lld%s)", (long long)r->serial, r->forgotten ? ", no longer remembered" : "");
}

void page_chain(struct page *p, const struct chain_link *links, size_t n, const char *did)
{
	struct strbuf *b = &p->c->out->b;
	for (size_t i = 0; i < n; i++) {
		size_t from = start_line(p, 2);
		page_ref(p, &links[i].task);
		page_put(p, "1");
		strbuf_fmt(b, " %s ", did);
		if (i + 1 < n) {
			page_ref(p, &links[i + 1].task);
			page_put(p, "1");
		} else {
			strbuf_str(b, "it");
		}
		strbuf_str(b, " here:");
		page_end_line(p, from, 4);
		page_past_stack(p, &links[i].stack, 4);
	}
}
