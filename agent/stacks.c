/* Stacks as a tree: a node is a frame under its caller's, so stacks share what they have
 * in common, and a stack is the number of one node. Nodes nobody refers to stay for the
 * next stack that needs them, until room is needed. Each node keeps its code object
 * alive, so that its address means the same code for as long as it is named. */
#include "agent/agent.h"

#include <string.h>

/* The stack kept last, outermost first: the next one mostly differs in its last frames. */
static struct {
	unsigned n;
	struct raw_frame frames[STACK_DEPTH + 1];
	uint32_t nodes[STACK_DEPTH + 1];
} last;

#define RELEASE_MAX 256
static uint64_t to_release[RELEASE_MAX];
static unsigned n_to_release;

void stacks_reset(void)
{
	last.n = 0;
	n_to_release = 0;
}

static PyThreadState *this_thread(void)
{
	return PyThreadState_GetUnchecked   ? PyThreadState_GetUnchecked()
	       : _PyThreadState_UncheckedGet ? _PyThreadState_UncheckedGet()
					     : PyThreadState_Get();
}

int64_t interpreter_id(void)
{
	return PyInterpreterState_GetID(PyInterpreterState_Get ? PyInterpreterState_Get()
								: _PyInterpreterState_Get());
}

static uint64_t interpreter_tag(void)
{
	return (uint64_t)(interpreter_id() & 0xffff) << 48;
}

static bool push(struct raw_stack *s, uint64_t code, int64_t lasti)
{
	if (s->n == STACK_DEPTH) {
		s->cut = true;
		return false;
	}
	s->frames[s->n++] = (struct raw_frame){ code, lasti };
	return true;
}

/* f_lasti counts instructions from 3.10 on, bytes before. */
static bool push_frame_object(struct raw_stack *s, PyObject *frame)
{
	const struct py_layout *l = &agent_layout;
	int32_t lasti;
	memcpy(&lasti, (const char *)frame + l->frame_lasti, sizeof lasti);
	if (lasti > 0 && l->version.minor >= 10)
		lasti *= 2;
	return push(s, (uint64_t)(uintptr_t)field(frame, l->frame_code), lasti);
}

/* Free-threaded builds may run a copy of the code that is this thread's own. */
static const char *instructions(const void *iframe, const char *code)
{
	const struct py_layout *l = &agent_layout;
	int32_t index;
	if (l->code_tlbc >= 0 && l->iframe_tlbc_index >= 0) {
		memcpy(&index, (const char *)iframe + l->iframe_tlbc_index, sizeof index);
		const char *tlbc = field(code, l->code_tlbc);
		int64_t size = tlbc ? *(const int64_t *)tlbc : 0;
		if (index > 0 && index < size) {
			const char *copy = field(tlbc, 8 + 8 * index);
			if (copy)
				return copy;
		}
	}
	return code + l->code_adaptive;
}

bool stack_push_iframe(struct raw_stack *s, const void *f)
{
	const struct py_layout *l = &agent_layout;
	int owner = l->iframe_owner >= 0 ? *((const int8_t *)f + l->iframe_owner) : -1;
	if (owner >= 0 && (owner == l->owner_cstack || owner == l->owner_interpreter))
		return true;
	uintptr_t code = (uintptr_t)field(f, l->iframe_executable);
	if (l->stackref_mask > 0)
		code &= ~(uintptr_t)l->stackref_mask;
	if (!code || type_of((const void *)code) != (PyObject *)&PyCode_Type)
		return true;
	const char *at = field(f, l->iframe_instr);
	int64_t lasti = at - instructions(f, (const char *)code);
	return push(s, code, lasti >= 0 && lasti < 1 << 30 ? lasti : -1);
}

static const void *innermost_frame(void)
{
	const struct py_layout *l = &agent_layout;
	const void *t = this_thread();
	if (!t)
		return NULL;
	if (l->version.minor <= 10)
		return field(t, l->tstate_frame);
	return l->tstate_current_frame >= 0 ? field(t, l->tstate_current_frame)
					    : field(field(t, l->tstate_cframe), l->cframe_current_frame);
}

void stack_of_thread(struct raw_stack *s)
{
	const struct py_layout *l = &agent_layout;
	const void *f = innermost_frame();
	s->n = 0;
	s->cut = false;
	if (l->version.minor <= 10) {
		for (; f; f = field(f, l->frame_back))
			if (!push_frame_object(s, (PyObject *)f))
				return;
		return;
	}
	for (; f; f = field(f, l->iframe_previous))
		if (!stack_push_iframe(s, f))
			return;
}

#define NEAR 5                   /* frames that are looked at for a caller */

static bool is_named(PyObject *code, const char *function)
{
	struct text name;
	return text_of_str(field(code, agent_layout.code_name), &name) && name.len == strlen(function) &&
	       memcmp(name.s, function, name.len) == 0;
}

/* The first slots of a frame are its function's arguments. */
static PyObject *slot_of(const void *f, unsigned i)
{
	const struct py_layout *l = &agent_layout;
	uintptr_t v = (uintptr_t)field(f, (l->version.minor <= 10 ? l->frame_localsplus : l->iframe_localsplus) +
					       8 * (int32_t)i);
	return (PyObject *)(l->stackref_mask > 0 ? v & ~(uintptr_t)l->stackref_mask : v);
}

PyObject *argument_of_caller(const char *function, unsigned i)
{
	const struct py_layout *l = &agent_layout;
	bool objects = l->version.minor <= 10;
	const void *f = innermost_frame();
	for (unsigned n = 0; f && n < NEAR; f = field(f, objects ? l->frame_back : l->iframe_previous)) {
		struct raw_stack s;
		s.n = 0;
		if (objects)
			push_frame_object(&s, (PyObject *)f);
		else
			stack_push_iframe(&s, f);
		if (!s.n)
			continue; /* no Python function's */
		n++;
		if (is_named((PyObject *)(uintptr_t)s.frames[0].code, function))
			return slot_of(f, i);
	}
	return NULL;
}

/* PyTracebackObject: tb_next, tb_frame, int tb_lasti (Include/cpython/traceback.h). */
static PyObject *traceback_next(PyObject *tb)
{
	PyObject *next = field(tb, agent_layout.object_size);
	return next == Py_None ? NULL : next;
}

static struct raw_frame traceback_frame(PyObject *tb)
{
	const struct py_layout *l = &agent_layout;
	PyObject *frame = field(tb, l->object_size + 8);
	int32_t lasti;
	memcpy(&lasti, (const char *)tb + l->object_size + 16, sizeof lasti);
	uintptr_t code;
	if (l->version.minor <= 10)
		code = (uintptr_t)field(frame, l->frame_code);
	else
		code = (uintptr_t)field(field(frame, l->frame_iframe), l->iframe_executable);
	if (l->stackref_mask > 0)
		code &= ~(uintptr_t)l->stackref_mask;
	return (struct raw_frame){ code, lasti };
}

/* Entries that the garbage collector was at have no frame any more. */
static unsigned traceback_depth(PyObject *tb)
{
	unsigned depth = 0;
	for (; tb && tb != Py_None && field(tb, agent_layout.object_size + 8); tb = traceback_next(tb))
		depth++;
	return depth;
}

static uint32_t mark_of(PyObject *tb, unsigned depth)
{
	struct raw_frame f = traceback_frame(tb);
	uint64_t h = ((uint64_t)(uintptr_t)tb >> 4) * 0x9e3779b97f4a7c15ull;
	h = (h ^ f.code >> 4 ^ (uint64_t)f.lasti << 40) * 0x9e3779b97f4a7c15ull;
	h = (h ^ depth) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32) | 1;
}

uint32_t traceback_mark(PyObject *tb)
{
	unsigned depth = traceback_depth(tb);
	return depth ? mark_of(tb, depth) : 0;
}

static unsigned depth_up_to(PyObject *tb, uint32_t end)
{
	unsigned all = traceback_depth(tb), depth = 0;
	if (!end)
		return all;
	for (; depth < all && mark_of(tb, all - depth) != end; depth++)
		tb = traceback_next(tb);
	return depth;
}

void stack_of_traceback(PyObject *tb, uint32_t end, struct raw_stack *s)
{
	unsigned depth = depth_up_to(tb, end);
	s->n = 0;
	s->cut = false;
	/* Outermost first here; the innermost STACK_DEPTH frames count. */
	for (; depth > STACK_DEPTH; depth--, s->cut = true)
		tb = traceback_next(tb);
	for (s->n = depth; depth-- > 0; tb = traceback_next(tb))
		s->frames[depth] = traceback_frame(tb);
}

static uint32_t *bucket_of(uint64_t code, int32_t lasti, uint32_t parent)
{
	uint64_t h = (AGENT_CODE(code) ^ (uint64_t)parent << 40 ^ (uint64_t)(uint32_t)lasti << 20) *
		     0x9e3779b97f4a7c15ull;
	return &agent_private->node_buckets[h >> 40 & agent_private->node_mask];
}

static void free_node(uint32_t i)
{
	struct agent_node *n = node_at(i);
	uint32_t *link = bucket_of(n->code, n->lasti, n->parent);
	while (*link && *link != i)
		link = &node_at(*link)->next;
	if (*link)
		*link = n->next;
	if (n->parent)
		node_at(n->parent)->refs--;
	if (n->code)
		to_release[n_to_release++] = n->code;
	n->code = 0;
	n->lasti = AGENT_LASTI_CUT - 1;
	n->parent = 0;
	pool_give(POOL_NODES, i);
}

/* Looks for nodes without references where it left off, and frees some. */
static void sweep(void)
{
	uint32_t used = agent->pools[POOL_NODES].used, at = agent_private->sweep;
	last.n = 0;
	for (uint32_t seen = 0; seen < used && n_to_release < RELEASE_MAX; seen++, at++) {
		if (at >= used)
			at = 1;
		struct agent_node *n = node_at(at);
		if (n->refs == 0 && n->lasti >= AGENT_LASTI_CUT)
			free_node(at);
	}
	agent_private->sweep = at >= used ? 1 : at;
}

/* The child of parent for a frame, with a reference of its own. */
static uint32_t node_keep(uint64_t code, int32_t lasti, uint32_t parent)
{
	uint32_t *bucket = bucket_of(code, lasti, parent);
	for (uint32_t i = *bucket; i; i = node_at(i)->next) {
		struct agent_node *n = node_at(i);
		if (AGENT_CODE(n->code) == code && n->lasti == lasti && n->parent == parent) {
			n->refs++;
			return i;
		}
	}
	uint32_t i = pool_take(POOL_NODES);
	if (!i) {
		sweep();
		i = pool_take(POOL_NODES);
		if (!i)
			return 0;
	}
	if (code)
		Py_IncRef((PyObject *)(uintptr_t)code);
	*node_at(i) = (struct agent_node){
		.code = code ? code | interpreter_tag() : 0,
		.lasti = lasti,
		.parent = parent,
		.refs = 1,
		.next = *bucket,
	};
	if (parent)
		node_at(parent)->refs++;
	*bucket = i;
	return i;
}

static bool known(unsigned depth, const struct raw_frame *f)
{
	return depth < last.n && last.frames[depth].code == f->code &&
	       last.frames[depth].lasti == f->lasti;
}

uint32_t stack_keep(const struct raw_stack *s)
{
	static const struct raw_frame cut = { 0, AGENT_LASTI_CUT };
	unsigned total = s->n + s->cut, depth = 0;
	uint32_t node = 0;
	bool same = true;
	for (; depth < total; depth++) {
		const struct raw_frame *f = depth < s->cut ? &cut : &s->frames[total - 1 - depth];
		if (same && known(depth, f))
			continue;
		if (same && depth) {
			node = last.nodes[depth - 1];
			node_at(node)->refs++;
		}
		same = false;
		uint32_t child = node_keep(f->code, f->lasti, node);
		if (node)
			node_at(node)->refs--;
		if (!child) {
			last.n = 0;
			count(AGENT_DROPPED_STACKS);
			return 0;
		}
		node = child;
		last.frames[depth] = *f;
		last.nodes[depth] = node;
		last.n = depth + 1;
	}
	if (same && total) {
		node = last.nodes[total - 1];
		node_at(node)->refs++;
	}
	return node;
}

void stack_drop(uint32_t node)
{
	if (node)
		node_at(node)->refs--;
}

void stack_release_codes(void)
{
	uint64_t codes[RELEASE_MAX];
	agent_lock();
	unsigned n = n_to_release;
	memcpy(codes, to_release, n * sizeof *codes);
	n_to_release = 0;
	agent_unlock();
	/* Those of another interpreter stay: it may be gone, and its memory with it. */
	uint64_t tag = n ? interpreter_tag() : 0;
	for (unsigned i = 0; i < n; i++)
		if ((codes[i] & ~0xffffffffffffull) == tag)
			Py_DecRef((PyObject *)(uintptr_t)AGENT_CODE(codes[i]));
}
