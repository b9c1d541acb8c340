#include "snapshot/fields.h"

#define NAMES(id, text, n, call) \
	static const char *id##_of(int v) { return call; } \
	static const struct field_names id = { text, n, id##_of }

static const char *const owner_names[CODE_OWNERS] = { "unknown", "asyncio", "stdlib", "library", "user" };
static const char *const frame_kind_names[] = { "python", "native" };

NAMES(sources, "source", SNAPSHOT_SOURCES, snapshot_source_name((enum snapshot_source)v));
NAMES(states, "state", TASK_STATES, task_state_name((enum task_state)v));
NAMES(owners, "owner", CODE_OWNERS, owner_names[v]);
NAMES(frame_kinds, "frame", 2, frame_kind_names[v]);
NAMES(waits, "wait", WAIT_KINDS, wait_kind_name((enum wait_kind)v));
NAMES(origins, "origin", CANCEL_ORIGINS, cancel_origin_name((enum cancel_origin)v));
NAMES(thread_waits, "thread-wait", THREAD_WAIT_KINDS, thread_wait_kind_name((enum thread_wait_kind)v));

const struct field_names *const field_enums[FIELD_ENUMS] = {
	&sources, &states, &owners, &frame_kinds, &waits, &origins, &thread_waits,
};

/* In the tables T is the type that they are of. */
#define AT(m) .name = #m, .offset = offsetof(T, m), .size = sizeof ((T *)0)->m
#define BOOL(m) { AT(m), .kind = FIELD_BOOL }
#define INT_(m, value) { AT(m), .kind = FIELD_INT, .absent = value }
#define INT(m) INT_(m, 0)
#define COUNT(m) INT_(m, -1)         /* -1: not known */
#define UINT(m) { AT(m), .kind = FIELD_UINT }
#define DOUBLE(m) { AT(m), .kind = FIELD_DOUBLE }
#define ENUM(m, of, value) { AT(m), .kind = FIELD_ENUM, .names = &of, .absent = value }
#define TEXT(m) { AT(m), .kind = FIELD_TEXT }
#define TEXT_NEEDED(m) { AT(m), .kind = FIELD_TEXT, .needed = true }
#define CHARS(m) { AT(m), .kind = FIELD_CHARS }
#define INSIDE(m, type) { AT(m), .kind = FIELD_INSIDE, .of = &type }
#define ONE(m, type) { AT(m), .kind = FIELD_ONE, .of = &type }
#define ONE_NEEDED(m, type) { AT(m), .kind = FIELD_ONE, .of = &type, .needed = true }
#define MANY(m, n, type) { AT(m), .kind = FIELD_MANY, .of = &type, .count = offsetof(T, n) }
#define TYPE(id, text) \
	static const struct field_type id = { text, sizeof (T), id##_fields, sizeof id##_fields / sizeof *id##_fields }

/* What arrays of plain things are of. */
struct number { uint64_t value; };
struct tid { pid_t value; };
struct text { const char *value; };
struct frame_at { const struct frame *value; };
struct exception_at { const struct exception *value; };

#define T struct number
static const struct field number_fields[] = { UINT(value) };
TYPE(number, "number");
#undef T

#define T struct tid
static const struct field tid_fields[] = { INT(value) };
TYPE(tid, "tid");
#undef T

#define T struct text
static const struct field text_fields[] = { TEXT_NEEDED(value) };
TYPE(text, "text");
#undef T

#define T struct local
static const struct field local_fields[] = { TEXT_NEEDED(name), TEXT(type), TEXT(value) };
TYPE(local, "local");
#undef T

#define T struct frame
static const struct field frame_fields[] = {
	TEXT(function), TEXT(file), INT(line), ENUM(owner, owners, CODE_UNKNOWN), INT(first), MANY(locals, nlocals, local),
};
TYPE(frame, "frame");
#undef T

#define T struct frame_at
static const struct field frame_at_fields[] = { ONE_NEEDED(value, frame) };
TYPE(frame_at, "frame-at");
#undef T

#define T struct context
static const struct field context_fields[] = {
	{ AT(frame), .kind = FIELD_UINT }, UINT(id), TEXT(type), BOOL(entering), BOOL(sync), INT(line),
};
TYPE(context, "context");
#undef T

#define T struct stack
static const struct field stack_fields[] = {
	MANY(frames, n, frame_at), MANY(contexts, ncontexts, context), TEXT(broken), TEXT(beyond),
};
TYPE(stack, "stack");
#undef T

#define T struct thread_frame
static const struct field thread_frame_fields[] = {
	ENUM(kind, frame_kinds, FRAME_PYTHON), TEXT(function), TEXT(file), TEXT(module), INT(line), INT(first),
	BOOL(signal), UINT(address), UINT(offset),
};
TYPE(thread_frame, "thread-frame");
#undef T

#define T struct task_ref
static const struct field task_ref_fields[] = { UINT(id), COUNT(serial), TEXT(name), BOOL(forgotten) };
TYPE(task_ref, "task-ref");
#undef T

#define T struct holder
static const struct field holder_fields[] = {
	UINT(task), INT(thread), UINT(generator), UINT(object), TEXT(object_type), ONE(place, frame), INT(since),
};
TYPE(holder, "holder");
#undef T

#define T struct wait
static const struct field wait_fields[] = {
	ENUM(kind, waits, WAIT_UNKNOWN), UINT(id), TEXT(detail), MANY(tasks, ntasks, number), COUNT(total), COUNT(left),
	DOUBLE(deadline_in), COUNT(fd), TEXT(peer), BOOL(listening), BOOL(available), MANY(threads, nthreads, tid),
	MANY(holders, nholders, holder), BOOL(inferred), MANY(wakers, nwakers, holder), UINT(holder), TEXT(holder_name), BOOL(holder_ended),
};
TYPE(wait, "wait");
#undef T

/* An exception is made of others. */
static const struct field_type exception, exception_at;

#define T struct exception
static const struct field exception_fields[] = {
	TEXT(type), TEXT(message), TEXT(repr), MANY(notes, nnotes, text), ONE(cause, exception), ONE(context, exception),
	BOOL(suppressed), MANY(exceptions, nexceptions, exception_at), INSIDE(stack, stack), BOOL(more),
};
TYPE(exception, "exception");
#undef T

#define T struct exception_at
static const struct field exception_at_fields[] = { ONE_NEEDED(value, exception) };
TYPE(exception_at, "exception-at");
#undef T

#define T struct cancel
static const struct field cancel_fields[] = {
	DOUBLE(at), BOOL(has_by), INSIDE(by, task_ref), ENUM(origin, origins, CANCEL_UNKNOWN), INT(signal),
	BOOL(because_ended), INSIDE(because, task_ref), ONE(because_failed, exception), BOOL(scope), TEXT(message),
	INSIDE(stack, stack),
};
TYPE(cancel, "cancel");
#undef T

#define T struct created
static const struct field created_fields[] = {
	DOUBLE(at), DOUBLE(age), BOOL(has_by), INSIDE(by, task_ref), INSIDE(stack, stack),
};
TYPE(created, "created");
#undef T

#define T struct chain_link
static const struct field chain_link_fields[] = { INSIDE(task, task_ref), INSIDE(stack, stack) };
TYPE(chain_link, "chain-link");
#undef T

#define T struct task_stats
static const struct field stats_fields[] = { UINT(polls), DOUBLE(busy), DOUBLE(longest_poll), BOOL(partial) };
TYPE(stats, "stats");
#undef T

#define T struct histogram
static const struct field histogram_fields[] = { UINT(count), DOUBLE(sum), MANY(buckets, nbuckets, number) };
TYPE(histogram, "histogram");
#undef T

#define T struct task
static const struct field task_fields[] = {
	UINT(id), COUNT(serial), TEXT(name), TEXT(coro), TEXT(type), TEXT(body), ENUM(state, states, TASK_WAITING),
	UINT(loop), INT(thread), INT(cancelling), BOOL(must_cancel), ONE(cleaning, frame), BOOL(scoped),
	MANY(awaited_by, nawaited_by, number), UINT(fut_waiter), UINT(coro_id), ONE(wait, wait), UINT(group),
	INSIDE(stack, stack), MANY(native, nnative, thread_frame), ONE(created, created), MANY(cancels, ncancels, cancel),
	UINT(cancels_asked), MANY(chain, nchain, chain_link), ONE(stats, stats), ONE(steps, histogram),
	ONE(exception, exception), BOOL(persistent), BOOL(before_agent), BOOL(copied), BOOL(unretrieved), BOOL(unreferenced),
};
TYPE(task, "task");
#undef T

#define T struct watched_fd
static const struct field watched_fields[] = {
	INT_(fd, -1), UINT(handle), BOOL(writes), TEXT(callback), COUNT(unread), BOOL(ended),
};
TYPE(watched, "watched");
#undef T

#define T struct loop
static const struct field loop_fields[] = {
	UINT(id), TEXT(type), INT(thread), BOOL(running), BOOL(inner), BOOL(copied), COUNT(ready), COUNT(timers),
	BOOL(asleep), INT(interpreter), DOUBLE(turn), BOOL(turns), INT(turn_step), DOUBLE(overdue),
	{ AT(noverdue), .kind = FIELD_UINT }, TEXT(callback), MANY(watched, nwatched, watched), DOUBLE(wanted),
	DOUBLE(wanted_at),
};
TYPE(loop, "loop");
#undef T

#define T struct executor
static const struct field executor_fields[] = {
	UINT(id), TEXT(kind), TEXT(name), COUNT(max_workers), COUNT(workers), COUNT(busy), COUNT(queued),
	MANY(threads, nthreads, tid),
};
TYPE(executor, "executor");
#undef T

#define T struct group
static const struct field group_fields[] = {
	UINT(id), TEXT(kind), TEXT(name), UINT(owner), MANY(tasks, ntasks, number), BOOL(aborting), ONE(error, exception),
};
TYPE(group, "group");
#undef T

#define T struct thread_wait
static const struct field thread_wait_fields[] = {
	ENUM(kind, thread_waits, THREAD_WAIT_FUTURE), UINT(id), TEXT(what), UINT(task), UINT(loop), UINT(executor),
	INT(thread), BOOL(timed), MANY(holders, nholders, holder),
};
TYPE(thread_wait, "thread-wait");
#undef T

#define T struct thread_stack
static const struct field thread_fields[] = {
	INT(tid), TEXT(name), TEXT(title), COUNT(daemon), COUNT(gil), UINT(loop), UINT(task), BOOL(python),
	MANY(frames, nframes, thread_frame), TEXT(broken), ONE(wait, thread_wait),
};
TYPE(thread, "thread");
#undef T

#define T struct ended
static const struct field ended_fields[] = {
	COUNT(serial), UINT(id), TEXT(name), TEXT(coro), ENUM(outcome, states, TASK_FINISHED), DOUBLE(started_at),
	DOUBLE(seen_at), DOUBLE(ended_at), ONE(exception, exception), BOOL(persistent), INSIDE(stack, stack),
	ONE(created, created), MANY(cancels, ncancels, cancel), UINT(cancels_asked), MANY(chain, nchain, chain_link),
};
TYPE(ended, "ended");
#undef T

#define T struct source_row
static const struct field source_row_fields[] = { INT(line), TEXT_NEEDED(text) };
TYPE(source_row, "source-row");
#undef T

#define T struct source_text
static const struct field source_text_fields[] = { TEXT_NEEDED(file), TEXT(said), MANY(rows, nrows, source_row) };
TYPE(source_text, "source-text");
#undef T

/* Not findings, which are made of a look, nor where the agent's events went on, nor what it cost. */
#define T struct snapshot
static const struct field snapshot_fields[] = {
	ENUM(source, sources, SNAPSHOT_OF_PROCESS), INT(pid), TEXT(exe), CHARS(python), BOOL(free_threaded),
	TEXT(folders.asyncio), TEXT(folders.stdlib), TEXT(layout), BOOL(agent), TEXT(agent_unread), BOOL(cancels_counted),
	DOUBLE(agent_since), ONE(steps, histogram), COUNT(paused_us), DOUBLE(taken_at), BOOL(complete), TEXT(scopes), BOOL(stopped),
	BOOL(done_unseen), BOOL(no_asyncio), BOOL(no_locals), MANY(notes, nnotes, text), MANY(loops, nloops, loop),
	MANY(tasks, ntasks, task), MANY(groups, ngroups, group), MANY(executors, nexecutors, executor),
	MANY(threads, nthreads, thread), MANY(ended, nended, ended), MANY(sources, nsources, source_text),
};
TYPE(snapshot, "snapshot");
#undef T

const struct field_type *const field_types[FIELD_TYPES] = {
	&snapshot, &number, &tid, &text, &local, &frame, &frame_at, &context, &stack, &thread_frame, &task_ref, &holder,
	&wait, &exception, &exception_at, &cancel, &created, &chain_link, &stats, &histogram, &task, &watched, &loop, &executor, &group,
	&thread_wait, &thread, &ended, &source_row, &source_text,
};

size_t field_type_index(const struct field_type *t)
{
	size_t i = 0;
	while (i < FIELD_TYPES && field_types[i] != t)
		i++;
	return i;
}
