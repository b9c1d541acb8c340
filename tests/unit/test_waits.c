/* Waits over objects made in memory, for every version: rules by file and function,
 * what describers read, what they do with what is not there. */
#include "tests/unit/fake.h"

#include <math.h>

#include "tasks/waits.h"

static const uint8_t minors[] = { 8, 9, 10, 11, 12, 13, 14, 15 };

struct world {
	struct fake f;
	struct snapshot snap;
	struct walk w;
	struct pyframe chain[8];
	size_t nchain;
	uint64_t future_type, deque_type, method_type, future;
	struct task task;
};

static void begin(struct world *x, uint8_t minor)
{
	*x = (struct world){ 0 };
	fake_init(&x->f, minor);
	x->snap.arena = x->f.arena;
	x->future_type = fake_type(&x->f, "_asyncio.Future", 0, 1 << 9);
	x->deque_type = fake_type(&x->f, "collections.deque", 0, 0);
	x->future = fake_object(&x->f, x->future_type, 512);
	x->w = (struct walk){ .r = x->f.r, .s = &x->snap, .arena = x->f.arena, .chain = { .v = x->chain } };
	x->task = (struct task){ .id = 0x1000, .fut_waiter = x->future, .state = TASK_WAITING };
}

static void end(struct world *x)
{
	map_free(&x->w.rules);
	map_free(&x->w.job_index);
	map_free(&x->w.deadlines);
	x->f.r = x->w.r;
	fake_free(&x->f);
}

#define FOR_EACH_VERSION(x) \
	for (size_t v_ = 0; v_ < sizeof minors && (begin(&x, minors[v_]), 1); v_++, end(&x))

/* An instance whose attributes are in a dict behind its header. */
static uint64_t instance(struct world *x, const char *class, size_t n, const char *const *names,
			 const uint64_t *values)
{
	struct fake *f = &x->f;
	uint64_t keys[8], type = fake_type(f, class, 0, 0);
	assert_true(n <= 8);
	put(f, type + (uint64_t)f->py.layout.type_dictoffset, (uint64_t)f->py.layout.object_size, 8);
	for (size_t i = 0; i < n; i++)
		keys[i] = fake_str(f, names[i]);
	uint64_t o = fake_object(f, type, 128);
	put(f, o + (uint64_t)f->py.layout.object_size, fake_dict(f, keys, values, n, false), 8);
	return o;
}
#define NAMES(...) (const char *const[]){ __VA_ARGS__ }
#define VALUES(...) (const uint64_t[]){ __VA_ARGS__ }

static uint64_t deque(struct world *x, size_t n, int64_t first)
{
	struct fake *f = &x->f;
	const struct py_layout *l = &f->py.layout;
	uint64_t o = fake_object(f, x->deque_type, 256), block = fake_alloc(f, 66 * 8), head = block;
	for (size_t i = 0; i < n; i++) {
		size_t at = ((size_t)first + i) % 64;
		if (i && at == 0) {
			uint64_t next = fake_alloc(f, 66 * 8);
			put(f, block + 8 * 65, next, 8);
			block = next;
		}
		put(f, block + 8 * (at + 1), fake_int(f, (int64_t)i), 8);
	}
	put(f, o + (uint64_t)l->var_size, n, 8);
	put(f, o + (uint64_t)l->deque_leftblock, head, 8);
	put(f, o + (uint64_t)l->deque_leftindex, (uint64_t)first, 8);
	return o;
}

/* A frame of that function with one local, further in than those before. */
static void frame(struct world *x, const char *function, const char *file, const char *local, uint64_t value)
{
	struct fake *f = &x->f;
	const struct py_layout *l = &f->py.layout;
	uint64_t code = fake_code(f, function, file, 1), at = fake_alloc(f, 1024), none = fake_tuple(f, NULL, 0);
	uint64_t name = local ? fake_str(f, local) : 0, names = fake_tuple(f, &name, local ? 1 : 0);
	if (l->code_localsplusnames >= 0) {
		put(f, code + (uint64_t)l->code_localsplusnames, names, 8);
		put(f, at + (uint64_t)l->iframe_localsplus, value, 8);
	} else {
		put(f, code + (uint64_t)l->code_varnames, names, 8);
		put(f, code + (uint64_t)l->code_cellvars, none, 8);
		put(f, code + (uint64_t)l->code_freevars, none, 8);
		put(f, at + (uint64_t)l->frame_localsplus, value, 8);
	}
	x->chain[x->w.chain.n++] = (struct pyframe){ .addr = at, .code_addr = code, .code = code_at(&x->w.r, code) };
}

static const struct wait *wait_of(struct world *x)
{
	walk_wait(&x->w, &x->task);
	assert_non_null(x->task.wait);
	x->w.chain.n = 0;
	return x->task.wait;
}

static void waits_for(struct world *x, enum wait_kind kind, const char *detail)
{
	const struct wait *w = wait_of(x);
	assert_string_equal(wait_kind_name(w->kind), wait_kind_name(kind));
	if (detail)
		assert_string_equal(w->detail ? w->detail : "(none)", detail);
	else
		assert_null(w->detail);
}

static void rows(void **state)
{
	(void)state;
	static const struct { const char *function, *file; bool found; enum wait_kind kind; } cases[] = {
		{ "sleep", "/usr/lib/python3.11/asyncio/tasks.py", true, WAIT_SLEEP },
		{ "sleep", "asyncio/tasks.py", true, WAIT_SLEEP },
		{ "sleep", "/srv/myasyncio/tasks.py", false, 0 },
		{ "sleep", "/srv/tasks.py", false, 0 },
		{ "sleepy", "/usr/lib/python3.11/asyncio/tasks.py", false, 0 },
		{ "get", "/usr/lib/python3.11/asyncio/queues.py", true, WAIT_QUEUE_GET },
		{ "get", "/srv/app.py", false, 0 },
		{ "_wait", "/usr/lib/python3.11/asyncio/tasks.py", true, WAIT_WAIT },
		{ "_wait", "/usr/lib/python3.11/asyncio/locks.py", true, WAIT_BARRIER },
		{ "_wait", "/x/aiohttp/streams.py", true, WAIT_STREAM_READ },
		{ "__aexit__", "/srv/anything.py", true, WAIT_TASKGROUP },
		{ "read", "/usr/lib/python3.11/asyncio/streams.py", false, 0 },
	};
	struct world x;
	FOR_EACH_VERSION(x)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
			for (int again = 0; again < 2; again++) {
				uint64_t code = fake_code(&x.f, cases[i].function, cases[i].file, 1);
				const struct wait_rule *r = wait_rule_of(&x.w, code_at(&x.w.r, code));
				assert_int_equal(r != NULL, cases[i].found);
				if (r)
					assert_int_equal(r->kind, cases[i].kind);
			}
}

static void deques(void **state)
{
	(void)state;
	struct world x;
	FOR_EACH_VERSION(x)
		for (size_t n = 0; n < 200; n += 67)
			for (int64_t first = 0; first < 64; first += 21) {
				struct deque_iter it;
				uint64_t item;
				int64_t i = 0, v;
				assert_true(deque_begin(&x.w.r, deque(&x, n, first), &it));
				for (; deque_next(&x.w.r, &it, &item); i++) {
					assert_true(int_at(&x.w.r, item, &v));
					assert_int_equal(v, i);
				}
				assert_int_equal(i, n);
			}
}

static void queues(void **state)
{
	(void)state;
	static const char *const file = "/usr/lib/python3/asyncio/queues.py";
	struct world x;
	FOR_EACH_VERSION(x) {
		uint64_t q = instance(&x, "Queue", 5, NAMES("_queue", "_maxsize", "_getters", "_putters", "_unfinished_tasks"),
				      VALUES(deque(&x, 3, 0), fake_int(&x.f, 100), deque(&x, 4, 0), deque(&x, 0, 0),
					     fake_int(&x.f, 7)));
		frame(&x, "get", file, "self", q);
		waits_for(&x, WAIT_QUEUE_GET, "Queue (3/100), 3 others wait too");
		frame(&x, "put", file, "self", q);
		waits_for(&x, WAIT_QUEUE_PUT, "Queue (3/100)");
		/* join() is one frame out of its event. */
		uint64_t event = instance(&x, "Event", 1, NAMES("_waiters"), VALUES(deque(&x, 2, 0)));
		frame(&x, "join", file, "self", q);
		frame(&x, "wait", "/usr/lib/python3/asyncio/locks.py", "self", event);
		waits_for(&x, WAIT_QUEUE_JOIN, "Queue (7 unfinished)");
		/* Nothing that a queue has: not a queue. */
		frame(&x, "get", file, "self", event);
		waits_for(&x, WAIT_FUTURE, NULL);
		frame(&x, "get", file, NULL, 0);
		waits_for(&x, WAIT_FUTURE, NULL);
		frame(&x, "get", file, "self", 0xDEAD0000);
		waits_for(&x, WAIT_FUTURE, NULL);
	}
}

static void locks(void **state)
{
	(void)state;
	static const char *const file = "/usr/lib/python3/asyncio/locks.py";
	struct world x;
	FOR_EACH_VERSION(x) {
		uint64_t two = deque(&x, 2, 0), one = fake_int(&x.f, 1);
		uint64_t lock = instance(&x, "Lock", 1, NAMES("_waiters"), VALUES(two));
		frame(&x, "acquire", file, "self", lock);
		waits_for(&x, WAIT_LOCK, "Lock, 1 other waits too");
		frame(&x, "acquire", file, "self",
		      instance(&x, "Semaphore", 2, NAMES("_waiters", "_value"), VALUES(two, one)));
		waits_for(&x, WAIT_SEMAPHORE, "Semaphore, 1 other waits too");
		uint64_t cond = instance(&x, "Condition", 2, NAMES("_waiters", "_lock"), VALUES(two, lock));
		frame(&x, "wait", file, "self", cond);
		waits_for(&x, WAIT_CONDITION, "Condition, 1 other waits too");
		frame(&x, "_wait", file, "self",
		      instance(&x, "Barrier", 2, NAMES("_parties", "_count"), VALUES(fake_int(&x.f, 3), one)));
		frame(&x, "wait_for", file, "self", cond);
		frame(&x, "wait", file, "self", cond);
		waits_for(&x, WAIT_BARRIER, "Barrier (1 of 3 there)");
	}
}

/* Any class that awaits what it keeps as _on_completed_fut; another future is not it. */
static void groups(void **state)
{
	(void)state;
	struct world x;
	FOR_EACH_VERSION(x) {
		uint64_t tasks = fake_set(&x.f, NULL, 0), other = fake_object(&x.f, x.future_type, 512);
		static const char *const names[] = { "_tasks", "_on_completed_fut", "_name" };
		frame(&x, "_wait_completion", "/srv/scope.py", "self",
		      instance(&x, "Scope", 3, names, VALUES(tasks, x.future, fake_str(&x.f, "mail"))));
		waits_for(&x, WAIT_TASKGROUP, "Scope mail, 0 left");
		frame(&x, "_wait_completion", "/srv/scope.py", "self",
		      instance(&x, "Scope", 2, names, VALUES(tasks, other)));
		waits_for(&x, WAIT_FUTURE, NULL);
		frame(&x, "__aexit__", "/srv/db.py", "self", 0);
		waits_for(&x, WAIT_FUTURE, NULL);
	}
}

static void streams(void **state)
{
	(void)state;
	static const char *const file = "/usr/lib/python3/asyncio/streams.py";
	struct world x;
	FOR_EACH_VERSION(x) {
		uint64_t parts[] = { fake_str(&x.f, "10.0.0.7"), fake_int(&x.f, 5432) }, peer = fake_str(&x.f, "peername");
		uint64_t address = fake_tuple(&x.f, parts, 2), extra = fake_dict(&x.f, &peer, &address, 1, false);
		uint64_t transport = instance(&x, "_SelectorSocketTransport", 2, NAMES("_sock_fd", "_extra"),
					      VALUES(fake_int(&x.f, 14), extra));
		uint64_t reader = instance(&x, "StreamReader", 1, NAMES("_transport"), VALUES(transport));
		frame(&x, "_wait_for_data", file, "self", reader);
		const struct wait *w = wait_of(&x);
		assert_int_equal(w->kind, WAIT_STREAM_READ);
		assert_int_equal(w->fd, 14);
		assert_string_equal(w->peer, "10.0.0.7:5432");
		assert_string_equal(w->detail, "10.0.0.7:5432 on fd 14");
		/* Below TLS. */
		uint64_t ssl = instance(&x, "SSLProtocol", 1, NAMES("_transport"), VALUES(transport));
		uint64_t tls = instance(&x, "_SSLProtocolTransport", 1, NAMES("_ssl_protocol"), VALUES(ssl));
		frame(&x, "drain", file, "self", instance(&x, "StreamWriter", 1, NAMES("_transport"), VALUES(tls)));
		frame(&x, "_drain_helper", file, "self", 0);
		w = wait_of(&x);
		assert_int_equal(w->kind, WAIT_STREAM_WRITE);
		assert_int_equal(w->fd, 14);
		uint64_t none = instance(&x, "StreamReader", 0, NULL, NULL);
		frame(&x, "_wait_for_data", file, "self", none);
		w = wait_of(&x);
		assert_int_equal(w->kind, WAIT_STREAM_READ);
		assert_int_equal(w->fd, -1);
		assert_null(w->detail);
	}
}

/* No frame of a library: the future alone, and timers by it. */
static void futures(void **state)
{
	(void)state;
	struct world x;
	FOR_EACH_VERSION(x) {
		frame(&x, "work", "/srv/app.py", NULL, 0);
		waits_for(&x, WAIT_FUTURE, NULL);
		assert_true(isnan(x.task.wait->deadline_in));
		double at = 107.5;
		uint64_t bits;
		memcpy(&bits, &at, sizeof bits);
		x.w.clock_now = 100;
		assert_true(map_set(&x.w.deadlines, x.future, bits));
		waits_for(&x, WAIT_FUTURE, NULL);
		assert_true(fabs(x.task.wait->deadline_in - 7.5) < 1e-9);
		x.task.fut_waiter = 0xDEAD0000;
		waits_for(&x, WAIT_UNKNOWN, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows), cmocka_unit_test(deques), cmocka_unit_test(queues),
		cmocka_unit_test(locks), cmocka_unit_test(groups), cmocka_unit_test(streams),
		cmocka_unit_test(futures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
