/* What the commands print of snapshots made by hand: hostile names, nothing at all, a
 * hundred thousand tasks. */
#include "snap.h"

#define HOSTILE "a b\\c\x1b[31m\n\xc2\x9b\xe2\x80\xae\xff\xc0\x80\xed\xb2\x80"

static struct snapshot *empty(void) { return snap_new(0); }

static struct snapshot *hostile(void)
{
	struct snapshot *s = snap_new(3);
	struct wait *w = snap_wait(s, WAIT_QUEUE_GET);
	struct frame *f = arena_alloc(s->arena, sizeof *f);
	const struct frame **v = arena_array(s->arena, 1, sizeof *v);
	*f = (struct frame){ .function = HOSTILE, .file = "/tmp/" HOSTILE, .line = 3 };
	v[0] = f;
	w->detail = HOSTILE;
	s->tasks[0].name = s->tasks[0].coro = s->tasks[0].type = HOSTILE;
	s->tasks[0].wait = w;
	s->tasks[0].stack = (struct stack){ .frames = v, .n = 1, .broken = HOSTILE };
	s->tasks[1].name = s->tasks[1].coro = s->tasks[1].type = NULL;
	s->tasks[2].name = "";
	s->exe = HOSTILE;
	s->notes = arena_array(s->arena, 1, sizeof *s->notes);
	s->notes[s->nnotes++] = HOSTILE;
	return s;
}

/* No byte that a terminal could act on. */
static void harmless(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		assert_true(*p == '\n' || (*p >= 0x20 && *p != 0x7f));
		assert_false(p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
	}
	has_not(text, "\xe2\x80\xae");
	has_not(text, "\xff");
	has_not(text, "\xed\xb2\x80");
}

static void hostile_text(void **state)
{
	static const char *const lines[] = {
		"ps", "ps --raw", "ps --json", "tree", "tree --json", "where --state waiting",
		"where --state waiting --json", "ps --group-by coro", "ps --group-by coro --raw",
		"where nosuch", "stacktrace", "tree --groups", "ps -o type,last,file,created,exception", "ps -v",
	};
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct ran r = run_line(hostile, lines[i]);
		assert_true(r.status <= 1);
		harmless(r.out);
		harmless(r.err);
		ran_free(&r);
	}
}

static void raw_fields(void **state)
{
	struct ran r = run_line(hostile, "ps --raw -o name,coro,waiting");
	(void)state;
	assert_string_equal(r.out, "NAME CORO WAITING\n"
		"a\\x20b\\x5cc\\x1b[31m\\x0a\\x9b\\u{202e}\\xff\\x00\\xed\\xb2\\x80 "
		"a\\x20b\\x5cc\\x1b[31m\\x0a\\x9b\\u{202e}\\xff\\x00\\xed\\xb2\\x80 "
		"queue-get:\\x20a\\x20b\\x5cc\\x1b[31m\\x0a\\x9b\\u{202e}\\xff\\x00\\xed\\xb2\\x80\n"
		"- - -\n- work -\n");
	ran_free(&r);
}

static void nothing(void **state)
{
	struct ran r = run_line(empty, "ps");
	(void)state;
	assert_string_equal(r.out, "ID STATE NAME CORO WHERE WAITING\n");
	assert_string_equal(r.err, "asyncmon: No event loop was found: this process has imported asyncio, but runs "
			    "none.\n");
	ran_free(&r);
	r = run_line(empty, "ps --raw --noheadings");
	assert_string_equal(r.out, "");
	ran_free(&r);
	r = run_line(empty, "tree");
	assert_string_equal(r.out, "");
	ran_free(&r);
	r = run_line(empty, "ps --json");
	assert_string_equal(r.out, "{\"format\":1,\"target\":{\"kind\":\"process\",\"pid\":4711,"
		"\"exe\":\"/usr/bin/python3\",\"python\":\"3.14.2\",\"free_threaded\":false,"
		"\"layout\":\"table\",\"agent\":false,\"paused_us\":412,\"taken_at\":\"1970-01-01T00:00:00.000000Z\"},\"complete\":true,\"notes\":[\"No event loop "
		"was found: this process has imported asyncio, but runs none.\"],"
		"\"loops\":[],\"shown\":0,\"total\":0,\"tasks\":[]}\n");
	ran_free(&r);
	r = run_line(empty, "where x");
	assert_int_equal(r.status, 1);
	ran_free(&r);
}

static struct snapshot *whole_task(void)
{
	struct snapshot *s = snap_new(2);
	struct task *t = &s->tasks[0];
	struct wait *w = snap_wait(s, WAIT_SLEEP);
	struct cancel *c = arena_alloc(s->arena, sizeof *c);
	struct chain_link *l = arena_alloc(s->arena, sizeof *l);
	struct task_stats *st = arena_alloc(s->arena, sizeof *st);
	w->deadline_in = 1.5;
	*c = (struct cancel){ .at = 1700000001, .has_by = true, .by = { ID(1), 2, "boss" },
			      .origin = CANCEL_TASK, .message = "enough" };
	*l = (struct chain_link){ .task = { ID(1), 2, "boss" }, .stack = snap_stack(s, 1) };
	*st = (struct task_stats){ 7, 0.5, 0.25, false };
	t->name = "worker";
	t->serial = 1;
	t->loop = 0x10;
	t->thread = 4712;
	t->wait = w;
	t->stack = snap_stack(s, 2);
	t->cancels = c;
	t->ncancels = t->cancels_asked = 1;
	t->chain = l;
	t->nchain = 1;
	t->stats = st;
	t->cancelling = 1;
	t->group = 0x20;
	snap_created(s, 0, 61, "/srv/app/main.py", 5);
	((struct created *)(uintptr_t)t->created)->has_by = true;
	((struct created *)(uintptr_t)t->created)->by = l->task;
	snap_awaited_by(s, 0, 1);
	s->agent = true;
	return s;
}

static void task_json(void **state)
{
	struct ran r = run_line(whole_task, "where worker --json");
	(void)state;
	has(r.out, "\"tasks\":[{\"id\":\"0x7f0000001000\",\"serial\":1,\"name\":\"worker\",\"state\":\"waiting\","
		"\"coro\":\"work\",\"body\":\"work\",\"type\":\"_asyncio.Task\",\"loop\":\"0x10\",\"thread\":4712,\"cancelling\":1,"
		"\"awaited_by\":[\"0x7f0000001100\"],\"waiting_on\":{\"kind\":\"sleep\",\"id\":null,\"detail\":null,"
		"\"tasks\":[],\"holders\":null,\"wakers\":null,\"total\":null,\"left\":null,"
		"\"deadline_in\":1.5,\"fd\":null,\"peer\":null,\"threads\":[]},\"group\":\"0x20\",\"stack\":["
		"{\"function\":\"level_0\",\"file\":\"/srv/app/handlers.py\",\"line\":10,\"contexts\":null},"
		"{\"function\":\"level_1\",\"file\":\"/srv/app/handlers.py\",\"line\":11,\"contexts\":null}],"
		"\"stack_beyond\":null,\"created\":{\"at\":\"2023-11-14T22:13:20.250000Z\",\"age\":61,"
		"\"by\":{\"id\":\"0x7f0000001100\",\"serial\":2,\"name\":\"boss\","
		"\"remembered\":true},\"stack\":["
		"{\"function\":\"maker\",\"file\":\"/srv/app/main.py\",\"line\":5,\"contexts\":null}]},"
		"\"cancels\":[{\"at\":\"2023-11-14T22:13:21.000000Z\",\"by\":{\"id\":\"0x7f0000001100\",\"serial\":2,"
		"\"name\":\"boss\",\"remembered\":true},\"origin\":\"task\",\"signal\":null,\"because\":null,"
		"\"message\":\"enough\",\"stack\":[]}],"
		"\"stats\":{\"polls\":7,\"busy\":0.5,\"longest_poll\":0.25,"
		"\"at_least\":{\"polls\":7,\"busy\":0.5,\"longest_poll\":0.25},\"coroutine_steps\":null},\"exception\":null,\"persistent\":false,"
		"\"chain\":[{\"task\":{\"id\":\"0x7f0000001100\",\"serial\":2,\"name\":\"boss\","
		"\"remembered\":true},\"stack\":["
		"{\"function\":\"level_0\",\"file\":\"/srv/app/handlers.py\",\"line\":10,\"contexts\":null}]}]");
	ran_free(&r);
	r = run_line(whole_task, "where Task-2 --json");
	has(r.out, "\"loop\":null,\"thread\":null,\"cancelling\":0,\"awaited_by\":[],\"waiting_on\":null,"
		"\"group\":null,\"stack\":[],\"stack_beyond\":null,\"created\":null,\"cancels\":[],\"stats\":null,\"exception\":null,"
		"\"persistent\":false,\"chain\":[]");
	ran_free(&r);
}

/* Made by a task of a running loop, by a callback, and before there was a loop. */
static struct snapshot *past_stacks(void)
{
	static const struct frame frames[] = {
		{ .function = "<module>", .file = "/srv/main.py", .line = 1 },
		{ .function = "Runner.run", .file = "/usr/lib/python3.14/asyncio/runners.py", .line = 2 },
		{ .function = "BaseEventLoop._run_once", .file = "/usr/lib/python3.14/asyncio/base_events.py", .line = 3 },
		{ .function = "Handle._run", .file = "/usr/lib/python3.14/asyncio/events.py", .line = 4 },
		{ .function = "serve", .file = "/srv/main.py", .line = 5 },
		{ .function = "_run", .file = "/srv/events.py", .line = 6 },
	};
	static const struct frame *const v[] = { &frames[0], &frames[1], &frames[2], &frames[3], &frames[4], &frames[5] };
	struct snapshot *s = whole_task();
	struct created *c = (struct created *)(uintptr_t)s->tasks[0].created;
	s->tasks[0].nchain = 0;
	s->tasks[0].stack.n = 0;
	c->has_by = false;
	c->stack = (struct stack){ .frames = v, .n = 6 };
	snap_created(s, 1, 1, "/srv/main.py", 9);
	return s;
}

static void frames_of_the_loop(void **state)
{
	struct ran r = run_line(past_stacks, "where worker");
	(void)state;
	has(r.out, "  made here:\n    (4 frames that ran the loop: -v shows them)\n"
		"    File \"/srv/main.py\", line 5, in serve\n    File \"/srv/events.py\", line 6, in _run\n");
	ran_free(&r);
	r = run_line(past_stacks, "where worker -v");
	has(r.out, "  made here:\n    File \"/srv/main.py\", line 1, in <module>\n");
	has_not(r.out, "that ran the loop");
	ran_free(&r);
	r = run_line(past_stacks, "where Task-2");
	has(r.out, "  made here:\n    File \"/srv/main.py\", line 9, in maker\n");
	ran_free(&r);
	r = run_line(past_stacks, "where worker --json");
	has(r.out, "Handle._run");
	ran_free(&r);
}

static void task_text(void **state)
{
	struct ran r = run_line(whole_task, "where worker");
	(void)state;
	has(r.out, "Task worker  waiting\n");
	has(r.out, "waiting on   sleep, 1.5 s left\n");
	has(r.out, "awaited by   Task-2 0x7f0000001100\n");
	has(r.out, "1 m 1 s ago, by boss (#2)\n");
	has(r.out, "by task boss (#2): enough\n");
	has(r.out, "  boss (#2) made it here:\n    File \"/srv/app/handlers.py\", line 10, in level_0\n");
	has(r.out, "  File \"/srv/app/handlers.py\", line 11, in level_1\n");
	ran_free(&r);
	r = run_line(whole_task, "ps");
	has(r.out, "AGE BY");
	has(r.out, "CANCELS POLLS");
	has(r.out, "1 m 1 s boss");
	has(r.out, "level_1 app/handlers.py:11");
	ran_free(&r);
	r = run_line(whole_task, "ps --color=always");
	has_not(r.out, "\033[");
	ran_free(&r);
	r = run_line(whole_task, "where worker --color=always");
	has(r.out, "\033[1mTask worker\033[m");
	ran_free(&r);
}

static struct snapshot *torn(void)
{
	struct snapshot *s = snap_new(1);
	s->complete = false;
	s->notes = arena_array(s->arena, 1, sizeof *s->notes);
	s->notes[s->nnotes++] = "2 listed tasks could not be read.";
	return s;
}

static void incomplete(void **state)
{
	static const char *const lines[] = { "ps", "tree", "where Task-1", "stacktrace" };
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char json[64];
		struct ran r = run_line(torn, lines[i]);
		assert_int_equal(r.status, 5);
		assert_string_equal(r.err, "asyncmon: 2 listed tasks could not be read.\n");
		assert_true(i == 3 || strstr(r.out, "Task-1"));
		ran_free(&r);
		snprintf(json, sizeof json, "%s --json", lines[i]);
		r = run_line(torn, json);
		assert_int_equal(r.status, 5);
		has(r.out, "\"complete\":false,\"notes\":[\"2 listed tasks could not be read.\"]");
		ran_free(&r);
	}
}

static struct snapshot *many(size_t n)
{
	struct snapshot *s = snap_new(n);
	struct stack st = snap_stack(s, 3);
	for (size_t i = 0; i < n; i++) {
		s->tasks[i].stack = st;
		s->tasks[i].wait = snap_wait(s, WAIT_FUTURE);
		s->tasks[i].loop = 0x7f0000000800;
		s->tasks[i].thread = 4711;
	}
	return s;
}
static struct snapshot *ten_thousand(void) { return many(10000); }
static struct snapshot *hundred_thousand(void) { return many(100000); }

static void nop(const char *line, struct snapshot *(*make)(void), size_t lines)
{
	/* Making the snapshot is in the time of both. */
	struct ran none = run_line(make, "ps --raw --head 0"), r = run_line(make, line);
	assert_int_equal(r.status, 0);
	if (lines)
		assert_int_equal(count_of(r.out, "\n"), lines);
	print_message("%s: %.1f ms, %zu bytes\n", line, (r.seconds - none.seconds) * 1e3, strlen(r.out));
	ran_free(&r);
	ran_free(&none);
}

static void large(void **state)
{
	(void)state;
	nop("ps --raw", ten_thousand, 10001);
	nop("ps --json", ten_thousand, 1);
	nop("ps", ten_thousand, 10001);
	nop("tree", ten_thousand, 10000);
	nop("ps --raw --sort name:desc", ten_thousand, 10001);
	nop("ps --group-by coro", ten_thousand, 2);
	nop("ps --raw", hundred_thousand, 100001);
	nop("ps --json", hundred_thousand, 1);
	nop("ps", hundred_thousand, 100001);
	nop("tree --json", hundred_thousand, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text), cmocka_unit_test(raw_fields), cmocka_unit_test(nothing),
		cmocka_unit_test(task_json), cmocka_unit_test(task_text), cmocka_unit_test(frames_of_the_loop),
		cmocka_unit_test(incomplete),
		cmocka_unit_test(large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
