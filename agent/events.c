/* The ring of events (wire.h), and those events that a record alone tells all about. Slots
 * become writable the first time that the ring gets to them, so that a process that nobody
 * reads along with has none of it in memory. */
#include "agent/agent.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOT sizeof(struct agent_event)
/* Each of two texts has half of the room. */
#define TEXT_MAX (EVENT_MORE / 2)

static __thread int32_t this_tid;

void events_reset(void)
{
	this_tid = 0;
}

bool events_wanted(uint64_t now)
{
	uint64_t until = __atomic_load_n(&agent->events.until, __ATOMIC_RELAXED);
	if (until > now && until - now <= AGENT_LEASE_MAX)
		return true;
	/* The reader is gone: from now on events cost no more than one look at a zero. If it
	 * renews its lease at this very instant, that one stays. */
	__atomic_compare_exchange_n(&agent->events.until, &until, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return false;
}

static void *slot_of(uint64_t number)
{
	const struct agent_events *r = &agent->events;
	return (void *)(uintptr_t)(r->addr + (number & (r->capacity - 1)) * SLOT);
}

/* Whether slots up to that number can be written. */
static bool has_room(uint64_t end)
{
	const struct agent_events *r = &agent->events;
	uint32_t *committed = &agent_private->events_committed;
	while (unlikely(*committed < r->capacity && *committed < end))
		if (!memory_commit_events(committed))
			return false;
	return true;
}

void event_add_text(struct event_more *m, const struct text *t)
{
	static const char mark[] = "\xe2\x80\xa6"; /* an ellipsis */
	size_t n = t->len, most = TEXT_MAX - 1;
	bool cut = n > most;
	if (cut) {
		n = most - (sizeof mark - 1);
		while (n && ((unsigned char)t->s[n] & 0xC0) == 0x80)
			n--;
	}
	char *to = m->bytes + m->length;
	for (size_t i = 0; i < n; i++)
		to[i] = t->s[i] ? t->s[i] : ' ';
	if (cut) {
		memcpy(to + n, mark, sizeof mark - 1);
		n += sizeof mark - 1;
	}
	to[n] = '\0';
	m->length += (uint32_t)n + 1;
}

void event_put(struct agent_event *e, const struct event_more *m)
{
	const size_t part = sizeof(((struct agent_event_more *)NULL)->text);
	struct agent_events *r = &agent->events;
	uint32_t length = m ? m->length : 0;
	uint8_t more = (uint8_t)((length + part - 1) / part);
	uint64_t head = r->head;
	if (unlikely(!has_room(head + 1 + more))) {
		r->unwritten += 1u + more;
		return;
	}
	if (unlikely(!this_tid))
		this_tid = (int32_t)syscall(SYS_gettid);
	e->number = head;
	e->tid = this_tid;
	e->more = more;
	e->length = length;
	memcpy(slot_of(head), e, sizeof *e);
	for (uint8_t i = 0; i < more; i++) {
		struct agent_event_more *at = slot_of(head + 1 + i);
		size_t left = length - i * part;
		at->number = head + 1 + i;
		memcpy(at->text, m->bytes + i * part, left < part ? left : part);
	}
	__atomic_store_n(&r->head, head + 1 + more, __ATOMIC_RELEASE);
}

static void add_kept(struct event_more *m, uint32_t string)
{
	struct text t;
	string_get(string, &t);
	event_add_text(m, &t);
}

void event_cancel(const struct agent_task *t, const struct cancel_request *c)
{
	struct event_more m;
	m.length = 0;
	if (c->message)
		add_kept(&m, c->message);
	event_put(&(struct agent_event){
		.kind = AGENT_EVENT_CANCEL,
		.at = c->at, .serial = t->serial, .by = c->by_serial, .object = c->by, .stack = c->stack,
	}, &m);
}

void event_ended(const struct agent_task *t)
{
	struct event_more m;
	m.length = 0;
	if (t->exception) {
		const struct agent_exception *e = exception_at(t->exception);
		add_kept(&m, e->type);
		if (e->message)
			add_kept(&m, e->message);
	}
	event_put(&(struct agent_event){
		.kind = AGENT_EVENT_ENDED,
		.at = t->ended_at, .serial = t->serial, .how = t->outcome,
	}, &m);
}
