/* Python frames by the call of the evaluation loop that runs them, and the merge: the
 * right stack, or both. */
#include "tests/unit/fake.h"

#include "unwind/merge.h"

/* --- entries --- */

static uint64_t frame_new(struct fake *f, uint64_t previous, int owner)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t code = fake_object(f, f->py.code_type, 512), at = fake_alloc(f, 512);
	(void)code;
	if (l->version.minor <= 10) {
		put(f, at + (uint64_t)l->frame_back, previous, 8);
		put(f, at + (uint64_t)l->frame_code, code, 8);
		put(f, at + (uint64_t)l->frame_lasti, 0, 4);
		return at;
	}
	put(f, at + (uint64_t)l->iframe_previous, previous, 8);
	put(f, at + (uint64_t)l->iframe_executable, code, 8);
	put(f, at + (uint64_t)l->iframe_instr, code + (uint64_t)l->code_adaptive, 8);
	put(f, at + (uint64_t)l->iframe_owner, (uint64_t)owner, 1);
	return at;
}

static uint64_t tstate_new(struct fake *f, uint64_t top, uint64_t cframe)
{
	const struct py_layout *l = &f->py.layout;
	uint64_t t = fake_alloc(f, 4096);
	if (l->tstate_current_frame >= 0)
		put(f, t + (uint64_t)l->tstate_current_frame, top, 8);
	if (l->tstate_frame >= 0)
		put(f, t + (uint64_t)l->tstate_frame, top, 8);
	if (l->tstate_cframe >= 0)
		put(f, t + (uint64_t)l->tstate_cframe, cframe ? cframe : t + 1024, 8);
	return t;
}

static void read_entries(struct fake *f, uint64_t tstate, struct pystack *ps, struct pyentries *es)
{
	assert_true(pystack_read(&f->r, tstate, ps));
	assert_true(pyentries_read(&f->r, tstate, ps, es));
}

/* 3.12 on: two frames on one call, one on another, and (3.15) a first one of no call. */
static void entries_by_shims(void **state)
{
	(void)state;
	for (uint8_t minor = 12; minor <= 15; minor++) {
		struct fake f;
		struct pystack ps;
		struct pyentries es;
		fake_init(&f, minor);
		const struct py_layout *l = &f.py.layout;
		int shim = l->owner_interpreter >= 0 ? l->owner_interpreter : l->owner_cstack;
		uint64_t base = frame_new(&f, 0, shim);
		uint64_t outer_shim = frame_new(&f, base, shim);
		uint64_t outer = frame_new(&f, outer_shim, 0);
		uint64_t inner_shim = frame_new(&f, outer, shim);
		uint64_t middle = frame_new(&f, inner_shim, 0), inner = frame_new(&f, middle, 1);
		uint64_t t = tstate_new(&f, inner, 0);
		if (l->tstate_cframe >= 0) {
			uint64_t cframe = fake_alloc(&f, 64);
			put(&f, cframe + (uint64_t)l->cframe_current_frame, inner, 8);
			put(&f, t + (uint64_t)l->tstate_cframe, cframe, 8);
		}
		read_entries(&f, t, &ps, &es);
		assert_true(es.anchored);
		assert_int_equal(es.n, 3);
		assert_true(es.v[0].anchor == inner_shim && es.v[0].n == 2 && es.v[0].first == 0);
		assert_true(es.v[1].anchor == outer_shim && es.v[1].n == 1);
		assert_true(es.v[2].anchor == base && es.v[2].n == 0);
		fake_free(&f);
	}
}

/* 3.10, 3.11: by CFrames, of which the thread state's own ends the chain whatever it
 * says. There may be one more inside (a call that is about to begin) or outside (a
 * greenlet's own): 3.11 says which frame each is of, 3.10 does not. */
static void entries_by_cframes(void **state)
{
	(void)state;
	for (uint8_t minor = 10; minor <= 11; minor++) {
		for (int extra = -1; extra <= 1; extra++) {
			struct fake f;
			struct pystack ps;
			struct pyentries es;
			if (minor == 11 && extra < 0) /* there the top frame is not known either */
				continue;
			fake_init(&f, minor);
			const struct py_layout *l = &f.py.layout;
			uint64_t previous = minor == 10 ? 8 : (uint64_t)l->cframe_current_frame + 8;
			uint64_t outer = frame_new(&f, 0, 0), inner = frame_new(&f, outer, 0);
			uint64_t c[4], of[4] = { 0, inner, outer, 0x4242 };
			for (int i = 0; i < 4; i++)
				c[i] = fake_alloc(&f, 64);
			uint64_t t = tstate_new(&f, inner, c[extra < 0 ? 0 : 1]);
			put(&f, t + 1024 + previous, 0x4141414141414141, 8);
			for (int i = 0; i < 4; i++) {
				put(&f, c[i] + previous, i < (extra > 0 ? 3 : 2) ? c[i + 1] : t + 1024, 8);
				if (minor == 11)
					put(&f, c[i] + (uint64_t)l->cframe_current_frame, of[i], 8);
			}
			for (int i = 0; minor == 11 && i < 2; i++)
				put(&f, (i ? outer : inner) + (uint64_t)l->iframe_is_entry, 1, 1);
			read_entries(&f, t, &ps, &es);
			assert_int_equal(es.n, 2);
			assert_true(es.anchored == (minor == 11 || !extra));
			if (es.anchored)
				assert_true(es.v[0].anchor == c[1] && es.v[1].anchor == c[2]);
			fake_free(&f);
		}
	}
}

/* --- the merge: C frames 0, 1, 2, ... from inside, each 0x100 of stack --- */

#define MAX 8
struct scene {
	struct native_frame native[MAX];
	enum native_role roles[MAX];
	struct native_stack ns;
	struct pystack ps;
	struct pyentry v[MAX];
	struct pyentries es;
	struct arena *a;
	struct merged m;
};

/* roles: 'e' a call of the loop, 'v' what calls it, 't' an instruction's handler, 'c'
 * one if what it was called by is such a call, 's' what changes stacks. */
static void scene(struct scene *s, const char *roles, bool anchored)
{
	*s = (struct scene){ .a = arena_new() };
	s->ns = (struct native_stack){ .frames = s->native };
	for (; *roles; roles++) {
		uint64_t sp = 0x1000 + 0x100 * s->ns.n;
		s->native[s->ns.n] = (struct native_frame){ .ip = 1, .sp = sp, .end = sp + 0x100 };
		s->roles[s->ns.n++] = *roles == 'e' ? ROLE_EVAL : *roles == 'v' ? ROLE_EVAL_OUTER :
				      *roles == 't' ? ROLE_EVAL_INNER :
				      *roles == 'c' ? ROLE_EVAL_CALLEE :
				      *roles == 's' ? ROLE_SWITCH : ROLE_OTHER;
	}
	s->native[s->ns.n - 1].end = 0;
	s->es = (struct pyentries){ .v = s->v, .anchored = anchored };
}

/* An entry of n frames, anchored on the C frame `on` (-1: elsewhere). */
static void entry(struct scene *s, size_t n, int on)
{
	uint64_t anchor = on < 0 ? 0x900000 : 0x1000 + 0x100 * (uint64_t)on + 0x40;
	s->v[s->es.n++] = (struct pyentry){ s->es.anchored ? anchor : 0, s->ps.n, n };
	s->ps.n += n;
}

/* The result as text, from inside: a digit for a C frame, a letter for Python's. */
static void expect(struct scene *s, const char *want, bool matched)
{
	char got[64];
	struct merge_chain c = { &s->ps, &s->es };
	assert_true(merge_stacks(&s->ns, s->roles, &c, 1, s->a, &s->m));
	size_t n = 0;
	for (; n < s->m.n; n++)
		got[n] = (char)((s->m.items[n].python ? 'a' : '0') + (int)s->m.items[n].index);
	got[n] = '\0';
	assert_string_equal(got, want);
	assert_true(s->m.matched == matched);
	assert_true(s->m.matched || s->m.broken);
	arena_free(s->a);
}

static void merge_anchored(void **state)
{
	(void)state;
	struct scene s;
	scene(&s, "..ev.e.", true); /* as it should be */
	entry(&s, 2, 2);
	entry(&s, 1, 5);
	expect(&s, "01ab4c6", true);
	scene(&s, "........", true); /* no name at all: the anchor says it */
	entry(&s, 2, 2);
	entry(&s, 1, 5);
	expect(&s, "01ab34c67", true);
	scene(&s, ".te.", true);
	entry(&s, 1, 2);
	expect(&s, "0a3", true);
	scene(&s, ".cc.c..", true); /* no name at all, but two functions that call little */
	entry(&s, 1, 3);
	expect(&s, "01a456", true);
	scene(&s, "e.ev.", true); /* a call that has not begun */
	entry(&s, 1, 2);
	expect(&s, "01a4", true);
	scene(&s, ".e.", true); /* a first entry that is of no call */
	entry(&s, 1, 1);
	entry(&s, 0, -1);
	expect(&s, "0a2", true);
}

static void merge_anchored_not(void **state)
{
	(void)state;
	struct scene s;
	scene(&s, ".e.e.", true); /* a call in the middle without frames */
	entry(&s, 1, 1);
	expect(&s, "01234a", false);
	scene(&s, "e.e.e.", true); /* two calls that have not begun */
	entry(&s, 1, 4);
	expect(&s, "012345a", false);
	scene(&s, ".e.", true); /* frames of no call, and the C stack is whole */
	entry(&s, 1, 1);
	entry(&s, 1, -1);
	expect(&s, "012ab", false);
	scene(&s, ".e.", true); /* two entries on one C frame */
	entry(&s, 1, 1);
	entry(&s, 1, 1);
	expect(&s, "012ab", false);
}

static void merge_of_a_cut_stack(void **state)
{
	(void)state;
	struct scene s;
	scene(&s, ".e..", true); /* the rest of Python's frames is outside */
	s.ns.broken = "cut";
	entry(&s, 1, 1);
	entry(&s, 2, -1);
	expect(&s, "0a23bc", true);
	scene(&s, ".e..", true); /* but not what should have been met */
	s.ns.broken = "cut";
	entry(&s, 1, 1);
	entry(&s, 2, 0);
	expect(&s, "0123abc", false);
	scene(&s, ".", true); /* no C stack at all */
	s.ns.n = 0;
	s.ns.broken = "no registers";
	entry(&s, 2, -1);
	expect(&s, "ab", true);
}

static void merge_of_two_broken_stacks(void **state)
{
	(void)state;
	struct scene s;
	scene(&s, "..", true);
	s.ns.broken = "no C";
	s.ps.broken = "no Python";
	entry(&s, 2, -1);
	struct merge_chain c = { &s.ps, &s.es };
	assert_true(merge_stacks(&s.ns, s.roles, &c, 1, s.a, &s.m));
	assert_string_equal(s.m.broken, "the Python stack ends early: no Python; no C");
	arena_free(s.a);
}

static void merge_by_count(void **state)
{
	(void)state;
	struct scene s;
	scene(&s, ".e.e.", false);
	entry(&s, 1, 0);
	entry(&s, 1, 0);
	expect(&s, "0a2b4", true);
	scene(&s, "e.e.", false); /* about to begin */
	entry(&s, 1, 0);
	expect(&s, "01a3", true);
	scene(&s, ".e.e.", false); /* one too many, and not the innermost */
	entry(&s, 1, 0);
	expect(&s, "01234a", false);
	scene(&s, ".e.", false); /* a part without a name hides one */
	entry(&s, 1, 0);
	entry(&s, 1, 0);
	expect(&s, "012ab", false);
	scene(&s, ".e.", false);
	s.ns.broken = "cut";
	entry(&s, 1, 0);
	entry(&s, 1, 0);
	expect(&s, "0a2b", true);
	scene(&s, "e..", false); /* cut, and not certain whether it has begun */
	s.ns.broken = "cut";
	entry(&s, 1, 0);
	entry(&s, 1, 0);
	expect(&s, "012ab", false);
}

/* A greenlet's stack ends where greenlet's own frames do, unless what is further out is
 * of the same chain. */
static void merge_of_a_greenlet(void **state)
{
	(void)state;
	struct scene s;
	for (int anchored = 0; anchored < 2; anchored++) {
		scene(&s, ".e.ss.e.", anchored);
		entry(&s, 2, 1);
		expect(&s, "0ab234", true);
		scene(&s, ".es.e.", anchored);
		entry(&s, 1, 1);
		entry(&s, 1, 4);
		expect(&s, "0a23b5", true);
	}
	scene(&s, ".e.ss.e.", true); /* not all there */
	entry(&s, 1, 1);
	entry(&s, 1, -1);
	expect(&s, "01234567ab", false);
}

/* Interpreters within each other on one thread. */
static void merge_of_two_chains(void **state)
{
	(void)state;
	struct scene s;
	struct pyentry inner = { 0x1000 + 0x40, 0, 1 };
	struct pystack ps = { .n = 1 };
	struct pyentries es = { &inner, 1, true };
	scene(&s, "e.e.", true);
	entry(&s, 1, 2);
	struct merge_chain c[2] = { { &s.ps, &s.es }, { &ps, &es } };
	assert_true(merge_stacks(&s.ns, s.roles, c, 2, s.a, &s.m));
	assert_true(s.m.matched && s.m.n == 4);
	assert_true(s.m.items[0].python && s.m.items[0].chain == 1);
	assert_true(s.m.items[2].python && s.m.items[2].chain == 0);
	arena_free(s.a);
}

static void roles(void **state)
{
	(void)state;
	assert_int_equal(native_role("_PyEval_EvalFrameDefault", NULL), ROLE_EVAL);
	assert_int_equal(native_role("_PyEval_EvalFrameDefault.cold", NULL), ROLE_EVAL);
	assert_int_equal(native_role("_PyEval_EvalFrameDefault.constprop.0", NULL), ROLE_EVAL);
	assert_int_equal(native_role("_PyEval_EvalFrameDefaults", NULL), ROLE_OTHER);
	assert_int_equal(native_role("_PyEval_EvalFrame", NULL), ROLE_EVAL_OUTER);
	assert_int_equal(native_role("_PyEval_Vector", NULL), ROLE_EVAL_OUTER);
	assert_int_equal(native_role("_TAIL_CALL_BINARY_OP", NULL), ROLE_EVAL_INNER);
	assert_int_equal(native_role("main", NULL), ROLE_OTHER);
	assert_int_equal(native_role(NULL, NULL), ROLE_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_by_shims),    cmocka_unit_test(entries_by_cframes),
		cmocka_unit_test(merge_anchored),      cmocka_unit_test(merge_anchored_not),
		cmocka_unit_test(merge_of_a_cut_stack), cmocka_unit_test(merge_by_count),
		cmocka_unit_test(merge_of_a_greenlet),
		cmocka_unit_test(merge_of_two_chains),
		cmocka_unit_test(merge_of_two_broken_stacks), cmocka_unit_test(roles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
