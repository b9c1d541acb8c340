/* Each thread's stack with its C frames: unwound, named, merged with the frames of
 * all thread states that run on it. */
#include "tasks/walk.h"

#include <stdlib.h>

#include "unwind/entries.h"
#include "unwind/merge.h"
#include "unwind/names.h"
#include "unwind/native.h"

/* Interpreters that one thread is inside of. */
#define CHAINS_MAX 16

struct unwound {
	const struct thread *thread;
	struct thread_stack *out;
	struct native_stack stack;
};

struct native_look {
	struct unwinder *unwinder;
	struct names names;
	struct unwound *threads; /* in the arena */
	size_t n;
};

struct native_look *native_begin(struct walk *w)
{
	struct modules *ms = w->r.py->modules;
	struct native_look *n = calloc(1, sizeof *n);
	if (!n)
		return NULL;
	n->names = (struct names){ .modules = ms, .arena = w->arena };
	n->threads = arena_array(w->arena, w->r.py->target->nthreads + 1, sizeof *n->threads);
	err_t e = n->threads ? modules_refresh(ms) : ERR_NOMEM;
	if (!e)
		e = unwinder_new(w->r.py->target, ms, &n->unwinder);
	if (e) {
		err_free(e);
		free(n);
		return NULL;
	}
	return n;
}

/* Lines that could be had and are not there. */
static void say_refused(struct walk *w)
{
	struct modules *ms = w->r.py->modules;
	for (size_t i = 0; i < modules_count(ms); i++)
		if (module_lines_refused(modules_at(ms, i)))
			snapshot_note(w->s, "Some source lines are not shown: the debug information of %s is too large to be read.",
				      module_path(modules_at(ms, i)));
}

void native_end(struct walk *w, struct native_look *n)
{
	if (!n)
		return;
	say_refused(w);
	w->s->stats.lines = n->names.line_seconds;
	unwinder_free(n->unwinder);
	names_free(&n->names);
	free(n);
}

struct chains {
	struct pystack stacks[CHAINS_MAX];
	struct pyentries entries[CHAINS_MAX];
	struct merge_chain v[CHAINS_MAX];
	size_t n;
};

static bool read_chains(struct walk *w, const struct thread *thread, struct chains *cs)
{
	for (size_t i = 0; i < w->threads.n && cs->n < CHAINS_MAX; i++) {
		if (w->threads.v[i].thread != thread)
			continue;
		struct pystack *ps = &cs->stacks[cs->n];
		struct pyentries *es = &cs->entries[cs->n];
		if (!walk_thread_frames(w, &w->threads.v[i], ps) ||
		    !pyentries_read(&w->r, w->threads.v[i].tstate, ps, es))
			return false;
		if (ps->n || ps->broken)
			cs->v[cs->n++] = (struct merge_chain){ ps, es };
	}
	return true;
}

/* The name of each C frame; NULL when memory is out. */
static struct native_name **name_all(struct native_look *n, const struct native_stack *ns,
					   struct arena *a)
{
	struct native_name **names = arena_array(a, ns->n + 1, sizeof *names);
	for (size_t i = 0; names && i < ns->n; i++) {
		names[i] = name_of(&n->names, ns->frames[i].ip, ns->frames[i].exact);
		if (!names[i])
			return NULL;
	}
	return names;
}

/* The evaluation loop of a thread's interpreter, to know it without a name; 0: the frames
 * say where it is by themselves (3.10 on). */
static uint64_t loop_of(struct walk *w, const struct thread *thread)
{
	for (size_t i = 0; i < w->threads.n; i++)
		if (w->threads.v[i].thread == thread)
			return w->threads.v[i].eval_frame;
	return 0;
}

/* With tail calls (3.14+) the loop is only what calls the first handler: less than any that
 * has the handlers inside. */
#define LOOP_LEAST 8192

static enum native_role role_of(struct native_look *n, const struct native_stack *ns, size_t i,
				const struct native_name *name, uint64_t loop, bool handlers)
{
	const struct native_frame *f = &ns->frames[i];
	uint64_t size;
	if (name->symbol)
		return native_role(name->symbol, name->module);
	if (loop && native_function(n->unwinder, f->exact ? f->ip : f->ip - 1, &size) == loop)
		return ROLE_EVAL;
	if (handlers && i + 1 < ns->n && native_function(n->unwinder, f[1].ip - 1, &size) && size && size < LOOP_LEAST)
		return ROLE_EVAL_CALLEE;
	return native_role(NULL, name->module);
}

static struct thread_frame native_frame(const struct native_frame *f, const struct native_name *name)
{
	return (struct thread_frame){
		.kind = FRAME_NATIVE, .function = name->function, .module = name->module,
		.file = name->file, .line = name->line,
		.address = f->ip, .offset = name->offset, .signal = f->signal,
	};
}

/* False: nothing to show (a shim, code that could not be read). */
static bool python_frame(struct walk *w, const struct pyframe *pf, struct thread_frame *out)
{
	const struct frame *f = pf->code ? walk_frame(w, pf->code, pf->lasti) : NULL;
	if (!f || !f->function)
		return false;
	*out = (struct thread_frame){
		.kind = FRAME_PYTHON, .function = f->function, .file = f->file, .line = f->line,
		.first = f->first,
	};
	return true;
}

static void show(struct walk *w, const struct merged *m, const struct native_stack *ns,
		 struct native_look *look, struct native_name **names, const struct chains *cs,
		 struct thread_stack *out)
{
	struct task *task = NULL;
	uint64_t known, root = 0;
	if (out->task && map_get(&w->task_index, out->task, &known)) {
		task = &w->s->tasks[known - 1];
		root = walk_root_frame(w, task->coro_id);
	}
	struct thread_frame *frames = arena_array(w->arena, m->n + 1, sizeof *frames);
	if (!frames) {
		w->nomem = true;
		return;
	}
	size_t n = 0, from = SIZE_MAX;
	for (size_t i = m->n; i-- > 0;) {
		const struct merge_item *it = &m->items[i];
		if (!it->python) {
			const struct native_frame *f = &ns->frames[it->index];
			name_line(&look->names, names[it->index], f->ip, f->exact);
			frames[n++] = native_frame(f, names[it->index]);
			continue;
		}
		const struct pystack *ps = &cs->stacks[it->chain];
		const struct pyframe *pf = it->index < ps->n ? &ps->frames[it->index] : NULL;
		if (pf && python_frame(w, pf, &frames[n])) {
			if (root && pf->addr == root)
				from = n;
			n++;
		}
	}
	out->frames = frames;
	out->nframes = n;
	out->broken = m->broken;
	if (task && m->matched && from < n) {
		task->native = frames + from;
		task->nnative = n - from;
	}
}

void native_unwind_thread(struct walk *w, struct native_look *n, const struct thread *thread,
			  struct thread_stack *out)
{
	struct unwound *u = &n->threads[n->n];
	u->thread = thread;
	u->out = out;
	if (!native_unwind(n->unwinder, thread, w->arena, &u->stack)) {
		w->nomem = true;
		return;
	}
	n->n++;
	for (size_t i = 0; i < u->stack.n; i++)
		name_want(&n->names, u->stack.frames[i].ip, u->stack.frames[i].exact);
	w->cut_stacks += u->stack.cut;
	w->stale_stacks += u->stack.stale;
}

static bool name_thread(struct walk *w, struct native_look *n, const struct unwound *u)
{
	const struct native_stack *ns = &u->stack;
	struct chains cs = { .n = 0 };
	struct merged m;
	enum native_role *roles = arena_array(w->arena, ns->n + 1, sizeof *roles);
	struct native_name **names = roles && read_chains(w, u->thread, &cs) ? name_all(n, ns, w->arena) : NULL;
	uint64_t loop = loop_of(w, u->thread);
	for (size_t i = 0; names && i < ns->n; i++)
		roles[i] = role_of(n, ns, i, names[i], loop, w->r.l->tail_calls);
	if (!names || !merge_stacks(ns, roles, cs.v, cs.n, w->arena, &m))
		return false;
	show(w, &m, ns, n, names, &cs, u->out);
	return true;
}

void native_name_threads(struct walk *w, struct native_look *n)
{
	for (size_t i = 0; i < n->n && !w->nomem; i++)
		if (!name_thread(w, n, &n->threads[i]))
			w->nomem = true;
}
