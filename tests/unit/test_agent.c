/* The agent's records, strings and stacks without a Python: what is kept, what makes
 * room, and that everything comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

/* The agent is one program with these, linked as it is in the shared object. */
#include "agent/events.c"
#include "agent/memory.c"
#include "agent/profiles.c"
#include "agent/strings.c"
#include "agent/tasks.c"

struct py_layout agent_layout;
static unsigned stacks_held;

void clock_begin(void) {}
uint64_t clock_ns(int clock) { (void)clock; return 1; }

/* Stacks have a test of their own with a Python: here a number stands for one. */
void stacks_reset(void) { stacks_held = 0; }
void stack_drop(uint32_t node) { stacks_held -= node != 0; }
static uint32_t stack(void) { stacks_held++; return 7; }

bool text_of_str(PyObject *obj, struct text *t)
{
	t->len = strlen((const char *)obj);
	memcpy(t->s, obj, t->len);
	return true;
}

void text_clear(struct text *t) { t->len = 0; }
void text_put(struct text *t, const char *s, size_t n) { memcpy(t->s + t->len, s, n); t->len += n; }
void text_put_str(struct text *t, const char *s) { text_put(t, s, strlen(s)); }
void text_put_int(struct text *t, int64_t n) { t->len += (size_t)sprintf(t->s + t->len, "%lld", (long long)n); }

bool int_value(PyObject *obj, int64_t *v) { (void)obj, (void)v; return false; }

static uint32_t keep(const char *s)
{
	struct text t = { .len = strlen(s) };
	memcpy(t.s, s, t.len);
	return string_keep(&t);
}

static int fresh(void **state)
{
	(void)state;
	const struct agent_limits l = { .memory = 1 << 20, .ended = 100, .preserved = 10 };
	if (memory_begin(&l))
		return -1;
	agent_lock();
	return 0;
}

static int over(void **state)
{
	(void)state;
	agent_unlock();
	return 0;
}

static struct agent_task *birth(uintptr_t id, const struct agent_task *parent, unsigned flags)
{
	uint32_t i;
	struct task_birth b = { .task = (void *)(id << 8), .at = id, .flags = flags, .stack = stack() };
	if (parent) {
		b.parent = index_of(parent);
		b.parent_serial = parent->serial;
	}
	return task_new(&b, &i);
}

/* With a cause. */
static uint32_t failure(void)
{
	uint32_t e = exception_take(), cause = exception_take();
	*exception_at(cause) = (struct agent_exception){ .type = keep("C"), .stack = stack(), .role = AGENT_CAUSE };
	*exception_at(e) = (struct agent_exception){ .type = keep("E"), .message = keep(""), .next = cause };
	return e;
}

static void done(struct agent_task *t)
{
	task_finish(t, &(struct task_end){ .outcome = AGENT_FAILED, .at = 5, .name = keep("a name that takes more than one cell"),
					   .coro = keep("f"), .exception = failure(), .stack = stack() });
}

static uint64_t counter(enum agent_counter c) { return agent->counters[c]; }

static void test_ring(void **state)
{
	(void)state;
	uint32_t i;
	for (uintptr_t n = 1; n <= 1000; n++) {
		struct agent_task *t = birth(n, NULL, 0);
		assert_non_null(t);
		assert_int_equal(t->serial, agent->next_serial - 1);
		assert_ptr_equal(task_find((void *)(n << 8), &i), t);
		done(t);
		assert_null(task_find((void *)(n << 8), &i));
	}
	assert_int_equal(counter(AGENT_ENDED), 100);
	assert_int_equal(counter(AGENT_DROPPED_ENDED), 900);
	assert_int_equal(agent->pools[POOL_TASKS].busy, 100);
	assert_int_equal(stacks_held, 300);
	assert_int_equal(agent->pools[POOL_EXCEPTIONS].busy, 200);
	assert_int_equal(agent->pools[POOL_CELLS].busy, 2 + 1 + 1 + 1);
}

static void test_ancestors_stay_while_descendants_do(void **state)
{
	(void)state;
	struct agent_task *a = birth(1, NULL, 0), *b = birth(2, a, 0), *c = birth(3, b, 0);
	uint64_t sa = a->serial, sb = b->serial;
	done(a);
	done(b);
	for (uintptr_t n = 10; n < 400; n++)
		done(birth(n, NULL, 0));
	assert_int_equal(counter(AGENT_ANCESTORS), 2);
	assert_int_equal(a->state, AGENT_ANCESTOR);
	assert_true(a->serial == sa && b->serial == sb && c->parent_serial == sb);
	assert_ptr_equal(task_at(c->parent), b);
	assert_ptr_equal(task_at(b->parent), a);
	done(c);
	for (uintptr_t n = 10; n < 400; n++)
		done(birth(n, NULL, 0));
	assert_int_equal(counter(AGENT_ANCESTORS), 0);
	assert_int_equal(agent->pools[POOL_TASKS].busy, 100);
}

static void test_endless_line_of_descendants_is_bounded(void **state)
{
	(void)state;
	struct agent_task *t = birth(1, NULL, 0);
	for (uintptr_t n = 2; n < 20000; n++) {
		struct agent_task *next = birth(n, t, 0);
		assert_non_null(next);
		done(t);
		t = next;
	}
	assert_true(counter(AGENT_ANCESTORS) <= agent->ancestors_max);
	assert_true(counter(AGENT_DROPPED_ANCESTORS) > 0);
	assert_int_equal(counter(AGENT_DROPPED_TASKS), 0);
}

static void test_the_living_are_never_pushed_out(void **state)
{
	(void)state;
	uint32_t i;
	uintptr_t n = 1;
	while (birth(n, NULL, 0))
		n++;
	assert_int_equal(counter(AGENT_DROPPED_TASKS), 1);
	assert_int_equal(counter(AGENT_LIVE), n - 1);
	for (uintptr_t k = 1; k < n; k++)
		assert_non_null(task_find((void *)(k << 8), &i));
	for (uintptr_t k = 1; k < n; k++)
		done(task_find((void *)(k << 8), &i));
	assert_int_equal(counter(AGENT_LIVE), 0);
	assert_non_null(birth(1, NULL, 0));
}

static void test_preserved(void **state)
{
	(void)state;
	for (uintptr_t n = 1; n < 30; n++)
		done(birth(n, NULL, AGENT_PERSISTENT));
	for (uintptr_t n = 30; n < 1000; n++)
		done(birth(n, NULL, 0));
	assert_int_equal(counter(AGENT_PRESERVED), 10);
	assert_int_equal(counter(AGENT_ENDED), 100);
	assert_int_equal(counter(AGENT_DROPPED_PRESERVED), 19);
}

static void test_cancels(void **state)
{
	(void)state;
	struct agent_task *t = birth(1, NULL, 0);
	for (uint64_t n = 1; n <= 200; n++)
		task_cancel_asked(t, &(struct cancel_request){ .at = n, .by_name = keep("by"),
							       .message = keep("why"), .stack = stack() });
	unsigned many = 0;
	uint64_t before = UINT64_MAX;
	for (uint32_t i = t->cancels; i; i = cancel_at(i)->next, many++) {
		assert_int_equal(cancel_at(i)->owner, t->serial);
		assert_true(cancel_at(i)->at < before);
		before = cancel_at(i)->at;
	}
	assert_int_equal(many, agent->cancels_max);
	assert_int_equal(before, 1);
	assert_true(t->flags & AGENT_CANCELS_CUT);
	assert_int_equal(cancel_at(t->cancels)->at, 200);
	done(t);
	for (uintptr_t n = 2; n < 200; n++)
		done(birth(n, NULL, 0));
	assert_int_equal(agent->pools[POOL_CANCELS].busy, 0);
	assert_int_equal(stacks_held, 300);
}

static void test_undone_and_replaced(void **state)
{
	(void)state;
	uint32_t i;
	struct agent_task *p = birth(1, NULL, 0), *t = birth(2, p, 0);
	task_undo(t);
	assert_null(task_find((void *)(2u << 8), &i));
	assert_int_equal(p->children, 0);
	/* A task at the address of one that went unseen. */
	birth(1, NULL, 0);
	assert_int_equal(p->state, AGENT_DONE);
	assert_int_equal(p->outcome, AGENT_DESTROYED);
	assert_int_equal(counter(AGENT_LIVE), 1);
}

static void test_strings(void **state)
{
	(void)state;
	char s[TEXT_BYTES + 1];
	for (size_t n = 1; n <= TEXT_BYTES; n++) {
		for (size_t i = 0; i < n; i++)
			s[i] = (char)('a' + (i * 7 + n) % 26);
		s[n] = '\0';
		uint32_t a = keep(s), b = keep(s);
		assert_true(a && a == b);
		string_drop(a);
		assert_int_equal(keep(s), a);
		string_drop(a);
		string_drop(b);
	}
	assert_int_equal(agent->pools[POOL_CELLS].busy, 0);
	assert_int_equal(keep(""), AGENT_EMPTY);
	assert_int_equal(string_keep_name((PyObject *)"Task-17"), AGENT_TASK_N | 17);
	assert_int_equal(agent->pools[POOL_CELLS].busy, 0);
	assert_true(string_keep_name((PyObject *)"Task-017") < AGENT_EMPTY);
	assert_true(string_keep_name((PyObject *)"Task-99999999999") < AGENT_EMPTY);
	while (counter(AGENT_DROPPED_STRINGS) == 0) {
		snprintf(s, sizeof s, "%d a text of its own that fills more than a cell", rand());
		keep(s);
	}
	assert_int_equal(keep("still fine, though there is no room for a text as long as this"), 0);
}

static void test_reset(void **state)
{
	(void)state;
	uint64_t serial = birth(1, NULL, 0)->serial;
	memory_reset();
	assert_int_equal(agent->pools[POOL_TASKS].used, 1);
	assert_int_equal(counter(AGENT_LIVE), 0);
	assert_true(birth(1, NULL, 0)->serial > serial);
}

static unsigned references;
void Py_IncRef(PyObject *o) { references += o != NULL; }

static void test_profiles(void **state)
{
	(void)state;
	uint64_t sum = 0;
	references = 0;
	assert_int_equal(profile_of(0), 0);
	for (uint64_t code = 1; code <= 2 * AGENT_PROFILES; code++) {
		uint8_t i = profile_of(code << 4);
		assert_int_equal(i, code < AGENT_PROFILES ? code : 0);
		assert_int_equal(profile_of(code << 4), i);
		profile_stepped(i, code);
	}
	assert_int_equal(references, AGENT_PROFILES - 1);
	for (unsigned i = 0; i < AGENT_PROFILES; i++)
		sum += profile_at((uint8_t)i)->buckets[0];
	assert_int_equal(sum, 2 * AGENT_PROFILES);
	/* Every time falls below the bound of its bucket, and not below that of the one before. */
	struct agent_profile *p = profile_at(7);
	for (unsigned bit = 0; bit < 64; bit++) {
		memset(p->buckets, 0, sizeof p->buckets);
		profile_stepped(7, 1ull << bit);
		unsigned b = 0;
		while (!p->buckets[b])
			b++;
		uint64_t bound = (uint64_t)AGENT_BUCKET_FIRST << b;
		assert_true(b == AGENT_BUCKETS - 1 || 1ull << bit < bound);
		assert_true(b == 0 || 1ull << bit >= bound / 2);
	}
	memory_reset();
	assert_int_equal(agent->profiles.used, 1);
	assert_int_equal(profile_of(16), 1);
	assert_int_equal(profile_at(1)->steps, 0);
}

/* ---- events ---- */

#define NOW 1000000000ull

static void lease(uint64_t until) { agent->events.until = until; }

static const struct agent_event *event_at(uint64_t number) { return slot_of(number); }

static void test_events_only_while_a_lease_runs(void **state)
{
	(void)state;
	uint64_t head = agent->events.head;
	lease(0);
	assert_false(events_on(NOW));
	done(birth(1, NULL, 0));
	assert_int_equal(agent->events.head, head);

	lease(NOW + 1);
	assert_true(events_on(NOW));
	/* Over: nobody has to look at the clock any more. */
	assert_false(events_on(NOW + 1));
	assert_int_equal(agent->events.until, 0);
	/* No reader means that. */
	lease(UINT64_MAX);
	assert_false(events_on(NOW));
	assert_int_equal(agent->events.until, 0);
	lease(NOW + AGENT_LEASE_MAX + 1);
	assert_false(events_on(NOW));
	assert_int_equal(agent->events.head, head);
}

static void test_events_of_a_record(void **state)
{
	(void)state;
	struct agent_task *t = birth(1, NULL, 0);
	uint64_t head = agent->events.head, serial = t->serial;
	lease(NOW);
	task_cancel_asked(t, &(struct cancel_request){ .at = 3, .by = 0x100, .by_serial = 77, .stack = stack(),
						       .message = keep("too slow for a single cell of text") });
	done(t);
	lease(0);
	const struct agent_event *e = event_at(head);
	const struct agent_event_more *m = slot_of(head + 1);
	assert_true(e->number == head && e->kind == AGENT_EVENT_CANCEL && e->serial == serial);
	assert_true(e->at == 3 && e->by == 77 && e->object == 0x100 && e->stack == 7 && e->more == 1);
	assert_int_equal(m->number, head + 1);
	assert_string_equal(m->text, "too slow for a single cell of text");
	e = event_at(head + 2);
	m = slot_of(head + 3);
	assert_true(e->number == head + 2 && e->kind == AGENT_EVENT_ENDED && e->how == AGENT_FAILED && e->at == 5);
	assert_int_equal(e->length, 3);
	assert_memory_equal(m->text, "E\0", 3);
	assert_int_equal(agent->events.head, head + 4);
}

static void test_events_ring(void **state)
{
	(void)state;
	struct text name = { .len = 500 };
	memset(name.s, 'n', name.len);
	uint64_t from = agent->events.head;
	uint32_t capacity = agent->events.capacity;
	for (uint32_t i = 0; i < capacity; i++) {
		struct event_more m = { .length = 0 };
		event_add_text(&m, &name);
		event_add_text(&m, &name);
		event_put(&(struct agent_event){ .kind = AGENT_EVENT_CREATED, .serial = i }, &m);
	}
	assert_int_equal(agent->events.unwritten, 0);
	assert_int_equal(agent->events.head, from + AGENT_EVENT_SLOTS * (uint64_t)capacity);
	for (uint64_t n = agent->events.head - capacity; n < agent->events.head; n++)
		assert_int_equal(event_at(n)->number, n);
	/* Texts that are too long end with a mark, and stay characters. */
	struct event_more m = { .length = 0 };
	event_add_text(&m, &name);
	assert_int_equal(strlen(m.bytes) + 1, m.length);
	assert_string_equal(m.bytes + m.length - 4, "\xe2\x80\xa6");
	assert_true(m.length <= sizeof m.bytes / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, over)
		T(test_ring), T(test_ancestors_stay_while_descendants_do),
		T(test_endless_line_of_descendants_is_bounded), T(test_the_living_are_never_pushed_out),
		T(test_preserved), T(test_cancels), T(test_undone_and_replaced), T(test_strings),
		T(test_events_only_while_a_lease_runs), T(test_events_of_a_record), T(test_events_ring),
		T(test_reset), T(test_profiles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
