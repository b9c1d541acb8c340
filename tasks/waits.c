/* What a waiting task waits for. The innermost frame of its await stack says it where
 * that is asyncio's own (a table by file and function, over the object in its local
 * `self` or the like); else the awaited future does, by its class and by whom its
 * callbacks report to. What fits nothing is a `future`: wrong is worse than unknown. */
#include "objects/locals.h"
#include "tasks/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX (1 << 20)

struct waiting {
	struct walk *w;
	struct task *t;
	struct wait *wait;
	const struct pyframe *frame; /* innermost */
	uint64_t thing;              /* the value of the rule's local, 0 none */
};

static int64_t items_in(struct reader *r, uint64_t obj)
{
	if (object_kind(r, obj) == KIND_DEQUE)
		return (int64_t)field_at(r, obj, r->l->var_size);
	if (object_kind(r, obj) == KIND_SET)
		return (int64_t)field_at(r, obj, r->l->set_used);
	int64_t n = seq_len(r, obj);
	return n >= 0 ? n : dict_len(r, obj);
}

static const char *class_of(struct waiting *x, uint64_t obj)
{
	const struct type_info *t = object_type(&x->w->r, obj);
	return t ? type_short_name(&x->w->r, t) : "object";
}

/* ", 3 others wait too" */
static const char *others(struct waiting *x, int64_t all)
{
	if (all <= 1)
		return "";
	return arena_fmt(x->w->arena, ", %lld other%s too", (long long)(all - 1), all == 2 ? " waits" : "s wait");
}

static void add_tasks(struct waiting *x, struct addrs *a)
{
	x->wait->tasks = arena_dup(x->w->arena, a->v, a->n * sizeof *a->v);
	x->wait->ntasks = x->wait->tasks ? a->n : 0;
}

/* The tasks among a set's, list's or tuple's members; pending ones only. */
static void tasks_among(struct waiting *x, uint64_t container)
{
	struct walk *w = x->w;
	struct addrs a = { 0 };
	struct set_iter it;
	uint64_t key;
	int64_t n = seq_len(&w->r, container);
	for (int64_t i = 0; i < n && i < TASKS_MAX; i++) {
		key = seq_item(&w->r, container, i);
		if (is_task(object_kind(&w->r, key)) && future_state(w, key) == FUTURE_PENDING)
			addrs_add(&a, key);
	}
	if (n < 0 && set_begin(&w->r, container, &it))
		while (a.n < TASKS_MAX && set_next(&w->r, &it, &key))
			if (is_task(object_kind(&w->r, key)) && future_state(w, key) == FUTURE_PENDING)
				addrs_add(&a, key);
	add_tasks(x, &a);
	free(a.v);
}

static void one_task(struct waiting *x, uint64_t task)
{
	if (!is_task(object_kind(&x->w->r, task)))
		return;
	struct addrs a = { &task, 1, 1 };
	add_tasks(x, &a);
}

static void describe_lock(struct waiting *x)
{
	struct reader *r = &x->w->r;
	const char *class = class_of(x, x->thing);
	bool semaphore = attr_get(r, x->thing, "_value") != 0;
	if (semaphore)
		x->wait->kind = WAIT_SEMAPHORE;
	x->wait->detail = arena_fmt(x->w->arena, "%s%s", class,
				    others(x, items_in(r, attr_get(r, x->thing, "_waiters"))));
}

static void describe_locks_wait(struct waiting *x)
{
	struct reader *r = &x->w->r;
	x->wait->kind = attr_get(r, x->thing, "_lock") ? WAIT_CONDITION
		      : attr_get(r, x->thing, "_parties") ? WAIT_BARRIER : WAIT_EVENT;
	describe_lock(x);
	if (x->wait->kind == WAIT_SEMAPHORE) /* an Event has a _value too */
		x->wait->kind = WAIT_EVENT;
	/* A barrier waits on a condition of its own, one frame further in. */
	const struct pyframe *f = x->frame;
	for (size_t i = 0; x->wait->kind == WAIT_CONDITION && i < 3 && f > x->w->chain; i++) {
		f--;
		uint64_t self = local_get(r, f, "self");
		if (self && attr_get(r, self, "_parties")) {
			x->wait->kind = WAIT_BARRIER;
			x->wait->id = x->thing = self;
			int64_t parties = 0, count = 0;
			int_at(r, attr_get(r, self, "_parties"), &parties);
			int_at(r, attr_get(r, self, "_count"), &count);
			x->wait->detail = arena_fmt(x->w->arena, "%s (%lld of %lld there)", class_of(x, self),
						    (long long)count, (long long)parties);
		}
	}
}

static void describe_queue(struct waiting *x)
{
	struct reader *r = &x->w->r;
	int64_t max = 0, size = items_in(r, attr_get(r, x->thing, "_queue")), unfinished = 0;
	const char *class = class_of(x, x->thing);
	int_at(r, attr_get(r, x->thing, "_maxsize"), &max);
	if (x->wait->kind == WAIT_QUEUE_JOIN) {
		int_at(r, attr_get(r, x->thing, "_unfinished_tasks"), &unfinished);
		x->wait->detail = arena_fmt(x->w->arena, "%s (%lld unfinished)", class, (long long)unfinished);
		return;
	}
	bool get = x->wait->kind == WAIT_QUEUE_GET;
	const char *more = others(x, items_in(r, attr_get(r, x->thing, get ? "_getters" : "_putters")));
	if (max > 0)
		x->wait->detail = arena_fmt(x->w->arena, "%s (%lld/%lld)%s", class, (long long)size,
					    (long long)max, more);
	else
		x->wait->detail = arena_fmt(x->w->arena, "%s (%lld)%s", class, (long long)size, more);
}

static void describe_group(struct waiting *x)
{
	uint64_t tasks = attr_get(&x->w->r, x->thing, "_tasks");
	int64_t left = items_in(&x->w->r, tasks);
	tasks_among(x, tasks);
	x->wait->detail = arena_fmt(x->w->arena, "%s, %lld left", class_of(x, x->thing), (long long)left);
}

static void describe_wait(struct waiting *x)
{
	int64_t n = items_in(&x->w->r, x->thing), left = 0;
	tasks_among(x, x->thing);
	int_at(&x->w->r, local_get(&x->w->r, x->frame, "counter"), &left);
	x->wait->id = x->t->fut_waiter;
	if (n > 0)
		x->wait->detail = arena_fmt(x->w->arena, "%lld of %lld left", (long long)left, (long long)n);
}

static void describe_inner(struct waiting *x)
{
	one_task(x, x->thing);
	if (!x->wait->ntasks)
		x->wait->kind = WAIT_FUTURE;
}

/* asyncio's own transports know their descriptor and peer. */
static void describe_transport(struct waiting *x, uint64_t transport)
{
	struct reader *r = &x->w->r;
	int64_t fd, port;
	if (int_at(r, attr_get(r, transport, "_sock_fd"), &fd) && fd >= 0 && fd < 1 << 30)
		x->wait->fd = (int)fd;
	uint64_t peer = dict_get(r, attr_get(r, transport, "_extra"), "peername");
	const char *path = str_at(r, peer); /* a Unix socket's; empty where it has none */
	if (path) {
		x->wait->peer = *path ? path : NULL;
	} else {
		const char *host = str_at(r, seq_item(r, peer, 0));
		if (host && int_at(r, seq_item(r, peer, 1), &port))
			x->wait->peer = arena_fmt(x->w->arena, strchr(host, ':') ? "[%s]:%lld" : "%s:%lld",
						  host, (long long)port);
	}
	if (x->wait->fd >= 0)
		x->wait->detail = x->wait->peer
			? arena_fmt(x->w->arena, "%s on fd %d", x->wait->peer, x->wait->fd)
			: arena_fmt(x->w->arena, "fd %d", x->wait->fd);
}

static void describe_stream(struct waiting *x)
{
	static const char *const through[] = { "_transport", "transport" };
	struct reader *r = &x->w->r;
	uint64_t at = x->thing;
	for (size_t i = 0; i < 2; i++) {
		uint64_t t = attr_get(r, at, through[i]);
		if (!is_none(r, t)) {
			describe_transport(x, t);
			return;
		}
	}
	uint64_t protocol = attr_get(r, at, "_protocol");
	for (size_t i = 0; i < 2 && !is_none(r, protocol); i++) {
		uint64_t t = attr_get(r, protocol, through[i]);
		if (!is_none(r, t)) {
			describe_transport(x, t);
			return;
		}
	}
}

/* Drain waits in the protocol; one frame out is the StreamWriter. */
static void describe_drain(struct waiting *x)
{
	describe_stream(x);
	if (x->wait->fd < 0 && x->frame > x->w->chain) {
		uint64_t writer = local_get(&x->w->r, x->frame - 1, "self");
		x->thing = writer ? writer : x->thing;
		x->wait->id = x->thing;
		describe_stream(x);
	}
}

static void describe_socket(struct waiting *x)
{
	/* PySocketSockObject (Modules/socketmodule.h): the descriptor follows the header. */
	int32_t fd;
	if (x->thing && image_i32(x->w->r.img, x->thing + (uint64_t)x->w->r.l->object_size, &fd) && fd >= 0) {
		x->wait->fd = fd;
		x->wait->detail = arena_fmt(x->w->arena, "fd %d", fd);
	}
}

static void describe_process(struct waiting *x)
{
	int64_t pid;
	if (int_at(&x->w->r, attr_get(&x->w->r, x->thing, "_pid"), &pid))
		x->wait->detail = arena_fmt(x->w->arena, "pid %lld", (long long)pid);
}

static void describe_call(struct waiting *x)
{
	struct reader *r = &x->w->r;
	uint64_t fn = x->thing;
	/* to_thread() wraps the function in a partial of Context.run. */
	uint64_t wrapped = local_get(r, x->frame, "func");
	fn = wrapped ? wrapped : fn;
	const char *name = object_kind(r, fn) == KIND_FUNCTION
		? str_at(r, field_at(r, fn, r->l->function_qualname)) : NULL;
	if (name)
		x->wait->detail = arena_fmt(x->w->arena, "%s() in a thread", name);
}

/* By the innermost frame: the end of its file's path, its function. */
static const struct rule {
	const char *file, *function;
	enum wait_kind kind;
	const char *local;           /* the thing waited for */
	void (*describe)(struct waiting *);
} rules[] = {
	{ "asyncio/tasks.py", "sleep", WAIT_SLEEP, NULL, NULL },
	{ "asyncio/tasks.py", "_wait", WAIT_WAIT, "fs", describe_wait },
	{ "asyncio/tasks.py", "wait_for", WAIT_TASK, "fut", describe_inner },
	{ "asyncio/locks.py", "acquire", WAIT_LOCK, "self", describe_lock },
	{ "asyncio/locks.py", "wait", WAIT_EVENT, "self", describe_locks_wait },
	{ "asyncio/queues.py", "get", WAIT_QUEUE_GET, "self", describe_queue },
	{ "asyncio/queues.py", "put", WAIT_QUEUE_PUT, "self", describe_queue },
	{ "asyncio/taskgroups.py", "__aexit__", WAIT_TASKGROUP, "self", describe_group },
	{ "asyncio/taskgroups.py", "_aexit", WAIT_TASKGROUP, "self", describe_group },
	{ "asyncio/streams.py", "_wait_for_data", WAIT_STREAM_READ, "self", describe_stream },
	{ "asyncio/streams.py", "_drain_helper", WAIT_STREAM_WRITE, "self", describe_drain },
	{ "asyncio/threads.py", "to_thread", WAIT_EXECUTOR, NULL, describe_call },
	{ "asyncio/base_subprocess.py", "_wait", WAIT_SUBPROCESS, "self", describe_process },
	{ "asyncio/selector_events.py", "sock_recv", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_recv_into", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_recvfrom", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_recvfrom_into", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_sendall", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_sendto", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_connect", WAIT_SOCKET, "sock", describe_socket },
	{ "asyncio/selector_events.py", "sock_accept", WAIT_SOCKET, "sock", describe_socket },
	{ "aiohttp/streams.py", "_wait", WAIT_STREAM_READ, "self", describe_stream },
	{ "aiohttp/base_protocol.py", "_drain_helper", WAIT_STREAM_WRITE, "self", describe_stream },
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = s ? strlen(s) : 0, m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0 && (n == m || s[n - m - 1] == '/');
}

static bool by_frame(struct waiting *x)
{
	const struct code *c = x->frame->code;
	for (size_t i = 0; c->name && i < sizeof rules / sizeof *rules; i++) {
		const struct rule *rule = &rules[i];
		if (strcmp(c->name, rule->function) != 0 || !ends_with(c->file, rule->file))
			continue;
		x->wait->kind = rule->kind;
		x->thing = rule->local ? local_get(&x->w->r, x->frame, rule->local) : 0;
		x->wait->id = x->thing ? x->thing : x->t->fut_waiter;
		if (rule->describe)
			rule->describe(x);
		return true;
	}
	return false;
}

/* The value of a closure's variable: the names of free variables are the code's. */
static uint64_t closure_get(struct walk *w, uint64_t function, const char *name)
{
	const struct py_layout *l = w->r.l;
	uint64_t code = field_at(&w->r, function, l->function_code);
	uint64_t closure = field_at(&w->r, function, l->function_closure);
	bool plus = l->code_localsplusnames >= 0;
	uint64_t names = field_at(&w->r, code, plus ? l->code_localsplusnames : l->code_freevars);
	int64_t n = seq_len(&w->r, names), free_n = seq_len(&w->r, closure);
	/* Free variables come last among the names of all slots. */
	for (int64_t i = 0; i < free_n && i < n; i++)
		if (str_is(&w->r, seq_item(&w->r, names, n - free_n + i), name))
			return field_at(&w->r, seq_item(&w->r, closure, i), l->cell_ref);
	return 0;
}

static bool by_callbacks(struct waiting *x, uint64_t f)
{
	struct walk *w = x->w;
	struct callback_iter it;
	uint64_t cb;
	callbacks_begin(w, f, &it);
	for (int n = 0; n < 16 && callbacks_next(w, &it, &cb); n++) {
		if (object_kind(&w->r, cb) != KIND_FUNCTION)
			continue;
		uint64_t name = field_at(&w->r, cb, w->r.l->function_name);
		uint64_t module = field_at(&w->r, cb, w->r.l->function_module);
		if (str_is(&w->r, name, "_call_check_cancel") && str_is(&w->r, module, "asyncio.futures")) {
			x->wait->kind = WAIT_EXECUTOR;
			return true;
		}
		if (str_is(&w->r, name, "_outer_done_callback") && str_is(&w->r, module, "asyncio.tasks")) {
			x->wait->kind = WAIT_SHIELD;
			one_task(x, closure_get(w, cb, "inner"));
			return true;
		}
	}
	return false;
}

static void by_future(struct waiting *x)
{
	uint64_t f = x->t->fut_waiter;
	enum type_kind kind = object_kind(&x->w->r, f);
	const struct type_info *t = object_type(&x->w->r, f);
	if (is_task(kind)) {
		x->wait->kind = WAIT_TASK;
		one_task(x, f);
		return;
	}
	if (t && strcmp(type_short_name(&x->w->r, t), "_GatheringFuture") == 0) {
		uint64_t children = attr_get(&x->w->r, f, "_children");
		x->wait->kind = WAIT_GATHER;
		tasks_among(x, children);
		x->wait->detail = arena_fmt(x->w->arena, "%zu of %lld left", x->wait->ntasks,
					    (long long)items_in(&x->w->r, children));
		return;
	}
	/* A queue's join() ends in an event of the queue's own. */
	if (!by_callbacks(x, f))
		x->wait->kind = is_future(kind) ? WAIT_FUTURE : WAIT_UNKNOWN;
}

/* Queue.join() awaits an Event that belongs to the queue. */
static void queue_join(struct waiting *x)
{
	if (x->wait->kind != WAIT_EVENT || x->frame == x->w->chain)
		return;
	const struct pyframe *f = x->frame - 1;
	if (!f->code->name || strcmp(f->code->name, "join") != 0 || !ends_with(f->code->file, "asyncio/queues.py"))
		return;
	x->wait->kind = WAIT_QUEUE_JOIN;
	x->wait->id = x->thing = local_get(&x->w->r, f, "self");
	describe_queue(x);
}

void walk_wait(struct walk *w, struct task *t)
{
	struct wait *wait = arena_alloc(w->arena, sizeof *wait);
	if (!wait) {
		w->nomem = true;
		return;
	}
	*wait = (struct wait){ .kind = WAIT_FUTURE, .id = t->fut_waiter, .fd = -1 };
	struct waiting x = { .w = w, .t = t, .wait = wait };
	/* Future.__await__ of the pure-Python class is a frame of its own. */
	size_t n = w->nchain;
	while (n && (!w->chain[n - 1].code || ends_with(w->chain[n - 1].code->file, "asyncio/futures.py")))
		n--;
	x.frame = n ? &w->chain[n - 1] : NULL;
	/* A task awaited directly is that, whatever the frame; wait_for() up to 3.11 awaits
	 * a future of its own. */
	bool direct = is_task(object_kind(&w->r, t->fut_waiter));
	if (direct || !x.frame || !by_frame(&x))
		by_future(&x);
	else
		queue_join(&x);
	double mine = walk_deadline(w, t->fut_waiter), around = walk_deadline(w, t->id);
	wait->deadline_in = isnan(mine) || around < mine ? around : mine;
	t->wait = wait;
}
