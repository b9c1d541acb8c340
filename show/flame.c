#include "show/flame.h"

#include <string.h>

#include "query/shape.h"

/* The frames from the root down to a node; grows as a VEC. */
struct path VEC(uint32_t);

static bool path_to(const struct flame *f, uint32_t node, struct path *p)
{
	uint32_t depth = f->nodes.v[node].depth;
	p->n = 0;
	for (uint32_t i = 0; i < depth; i++)
		if (!vec_push(p, 0))
			return false;
	for (; node; node = f->nodes.v[node].parent)
		p->v[--depth] = f->nodes.v[node].frame;
	return true;
}

/* Calls fn with each stack that something ends in. */
static err_t each_stack(const struct flame *f, void (*fn)(void *ctx, const struct path *p, uint64_t weight), void *ctx)
{
	struct path p = { 0 };
	bool fine = true;
	for (size_t i = 1; i < f->nodes.n && fine; i++) {
		if (!f->nodes.v[i].self)
			continue;
		fine = path_to(f, (uint32_t)i, &p);
		if (fine)
			fn(ctx, &p, f->nodes.v[i].self);
	}
	vec_free(&p);
	return fine ? NULL : ERR_NOMEM;
}

void flame_label(struct strbuf *b, const struct flame_frame *f)
{
	if (f->file)
		shape_place(b, f->name ? f->name : "?", f->file, f->line);
	else
		strbuf_str(b, f->name ? f->name : "?");
}

/* ---- collapsed: "main app.py:3;work app.py:9;sleep 412" ---- */

struct collapsed { const struct flame *f; struct out *o; struct strbuf text, escaped; };

static void collapsed_stack(void *ctx, const struct path *p, uint64_t weight)
{
	struct collapsed *c = ctx;
	for (size_t i = 0; i < p->n; i++) {
		strbuf_clear(&c->text);
		strbuf_clear(&c->escaped);
		flame_label(&c->text, &c->f->frames.v[p->v[i]]);
		strbuf_escaped(&c->escaped, c->text.s ? c->text.s : "");
		/* What parts frames has no escape in this format. */
		for (char *at = c->escaped.s; at && (at = strchr(at, ';')); )
			*at = ':';
		strbuf_fmt(&c->o->b, "%s%s", i ? ";" : "", c->escaped.s ? c->escaped.s : "");
	}
	strbuf_fmt(&c->o->b, " %llu\n", (unsigned long long)weight);
	out_tick(c->o);
}

static err_t write_collapsed(struct out *o, const struct flame *f)
{
	struct collapsed c = { .f = f, .o = o };
	err_t e = each_stack(f, collapsed_stack, &c);
	if (!e && (c.text.failed || c.escaped.failed))
		e = ERR_NOMEM;
	strbuf_free(&c.text);
	strbuf_free(&c.escaped);
	return e;
}

/* ---- speedscope: https://www.speedscope.app/file-format-schema.json ---- */

static void sample(void *ctx, const struct path *p, uint64_t weight)
{
	struct json *j = ctx;
	json_array(j);
	for (size_t i = 0; i < p->n; i++)
		json_int(j, p->v[i]);
	json_array_end(j);
	(void)weight;
}

static void weight_of(void *ctx, const struct path *p, uint64_t weight)
{
	json_int(ctx, (int64_t)weight);
	(void)p;
}

static void frame_json(struct json *j, const struct flame_frame *f)
{
	json_object(j);
	json_key(j, "name");
	json_str(j, f->name ? f->name : "?");
	if (f->file) {
		json_key(j, "file");
		json_str(j, f->file);
	}
	if (f->line > 0) {
		json_key(j, "line");
		json_int(j, f->line);
	}
	json_object_end(j);
}

static err_t profile(struct json *j, const struct flame *f)
{
	json_object(j);
	json_key(j, "type");
	json_str(j, "sampled");
	json_key(j, "name");
	json_str(j, f->title);
	json_key(j, "unit");
	/* The schema knows units of time and of memory, else this. */
	json_str(j, strcmp(f->unit, "microseconds") == 0 ? f->unit : "none");
	json_key(j, "startValue");
	json_int(j, 0);
	json_key(j, "endValue");
	json_int(j, (int64_t)f->nodes.v[0].total);
	json_key(j, "samples");
	json_array(j);
	TRY(each_stack(f, sample, j));
	json_array_end(j);
	json_key(j, "weights");
	json_array(j);
	TRY(each_stack(f, weight_of, j));
	json_array_end(j);
	json_object_end(j);
	return NULL;
}

static err_t write_speedscope(struct out *o, const struct flame *f)
{
	struct json j = { .out = o };
	json_object(&j);
	json_key(&j, "$schema");
	json_str(&j, "https://www.speedscope.app/file-format-schema.json");
	json_key(&j, "exporter");
	json_str(&j, "asyncmon");
	json_key(&j, "name");
	json_str(&j, f->title);
	json_key(&j, "shared");
	json_object(&j);
	json_key(&j, "frames");
	json_array(&j);
	for (size_t i = 0; i < f->frames.n; i++)
		frame_json(&j, &f->frames.v[i]);
	json_array_end(&j);
	json_object_end(&j);
	json_key(&j, "profiles");
	json_array(&j);
	TRY(profile(&j, f));
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
	return NULL;
}

/* ---- our own JSON ---- */

struct stacks_json { struct json *j; const struct flame *f; };

static void stack_json(void *ctx, const struct path *p, uint64_t weight)
{
	const struct stacks_json *x = ctx;
	struct json *j = x->j;
	json_object(j);
	json_key(j, "weight");
	json_int(j, (int64_t)weight);
	json_key(j, "stack");
	json_array(j);
	for (size_t i = 0; i < p->n; i++) {
		const struct flame_frame *f = &x->f->frames.v[p->v[i]];
		json_object(j);
		json_key(j, "function");
		json_str(j, f->name);
		json_key(j, "file");
		json_str(j, f->file);
		json_key(j, "line");
		json_positive(j, f->line);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

err_t json_flame(struct json *j, const struct flame *f)
{
	struct stacks_json x = { j, f };
	json_key(j, "flame");
	json_object(j);
	json_key(j, "unit");
	json_str(j, f->unit);
	json_key(j, "total");
	json_int(j, (int64_t)f->nodes.v[0].total);
	json_key(j, "stacks");
	json_array(j);
	TRY(each_stack(f, stack_json, &x));
	json_array_end(j);
	json_object_end(j);
	return NULL;
}

const struct flame_format flame_formats[] = {
	{ "collapsed", write_collapsed },
	{ "speedscope", write_speedscope },
	{ "html", flame_page },
	{ NULL, NULL }
};

const struct flame_format *flame_format_find(const char *name)
{
	for (const struct flame_format *x = flame_formats; x->name; x++)
		if (strcmp(x->name, name) == 0)
			return x;
	return NULL;
}
