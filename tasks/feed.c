/* Following the ring: the lease, copies of slots, what was lost. */
#include "tasks/feed_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach/act.h"
#include "base/clock.h"

#define SLOT sizeof(struct agent_event)
/* Slots that are copied at once. */
#define COPY 4096u
/* Of one call, so that its caller comes to other things. */
#define CALL 65536u
#define CAPACITY_MAX (1u << 24)
/* What no agent writes between two reads. */
#define HEAD_AHEAD (1ull << 40)

static bool sane(const struct agent_header *h)
{
	const struct agent_events *r = &h->events;
	uint64_t bytes = (uint64_t)r->capacity * SLOT;
	return r->slot_size == SLOT && r->capacity >= 2 * AGENT_EVENT_SLOTS && r->capacity <= CAPACITY_MAX &&
	       !(r->capacity & (r->capacity - 1)) && r->addr >= h->self && r->addr - h->self <= h->total &&
	       bytes <= h->total - (r->addr - h->self);
}

static err_t gone(const struct feed *f)
{
	return err_new(E_GONE, "process %d has ended", (int)f->target->pid);
}

static err_t damaged(const struct feed *f)
{
	return err_new(E_BADDATA, "the ring of events in process %d is damaged", (int)f->target->pid);
}

static err_t peek(struct feed *f, uint64_t addr, void *buf, size_t len)
{
	if (target_peek(f->target, addr, buf, len))
		return NULL;
	if (target_ended(f->target))
		return gone(f);
	return err_at(E_GONE, addr, "the agent's memory in process %d is gone: it runs another program, or cannot be read",
		      (int)f->target->pid);
}

/* What its monotonic clock is ahead of ours, in nanoseconds: not 0 in a time namespace. */
static int64_t clock_offset(pid_t pid)
{
	const char *const self = "/proc/self/timens_offsets";
	char other[64], line[128];
	int64_t at[2] = { 0, 0 };
	snprintf(other, sizeof other, "/proc/%d/timens_offsets", (int)pid);
	for (int i = 0; i < 2; i++) {
		long long s, ns;
		FILE *file = fopen(i ? other : self, "re");
		while (file && fgets(line, sizeof line, file))
			if (sscanf(line, "monotonic %lld %lld", &s, &ns) == 2)
				at[i] = s * 1000000000ll + ns;
		if (file)
			fclose(file);
	}
	return at[1] - at[0];
}

static uint64_t now_there(const struct feed *f)
{
	return (uint64_t)(now_ns() + f->ahead);
}

err_t feed_renew(struct feed *f)
{
	uint64_t now = now_there(f), until = now + (uint64_t)(FEED_LEASE_S * 1e9);
	if (f->until && f->until < now)
		f->stats.gaps++;
	TRY(target_put_word(f->target, f->header.self + offsetof(struct agent_header, events.until), until));
	f->until = until;
	return NULL;
}

static err_t no_agent(const struct feed *f, const char *why)
{
	int pid = (int)f->target->pid;
	if (why)
		return err_new(E_UNSUPPORTED, "%s", why);
	return err_new(E_UNSUPPORTED, "there is no agent in process %d, which would tell of events: `asyncmon inject %d` "
		       "puts it there", pid, pid);
}

static err_t find(struct feed *f)
{
	struct agent_header *h = &f->header;
	const char *why = NULL;
	TRY(feed_scratch_begin(f));
	feed_scratch_folders(f);
	bool found = history_find(&f->scratch, h, &why);
	err_t e = found ? NULL : no_agent(f, why);
	feed_scratch_end(f);
	TRY(e);
	if (h->version != AGENT_VERSION)
		return err_new(E_UNSUPPORTED, "the agent in process %d writes format %u, which has no events; a process that is "
			       "started anew, and injected into by this program, has an agent that tells of them",
			       (int)f->target->pid, h->version);
	if (!sane(h))
		return err_new(E_BADDATA, "the agent's memory in process %d is not as its header says", (int)f->target->pid);
	f->next = h->events.head;
	return NULL;
}

err_t feed_open(struct python *py, struct feed **out)
{
	struct feed *f = calloc(1, sizeof *f);
	if (!f)
		return ERR_NOMEM;
	f->py = py;
	f->target = py->target;
	f->arena = arena_new();
	f->copy = calloc(COPY, SLOT);
	err_t e = !f->arena || !f->copy ? ERR_NOMEM
		  : f->target->kind != TARGET_PROCESS ? err_new(E_UNSUPPORTED, "a core dump has no events: nothing happens in it")
		  : target_thaw(f->target);
	if (!e)
		e = find(f);
	if (!e) {
		f->ahead = clock_offset(f->target->pid);
		e = feed_renew(f);
	}
	if (e) {
		feed_close(f);
		return e;
	}
	*out = f;
	return NULL;
}

void feed_close(struct feed *f)
{
	if (!f)
		return;
	feed_scratch_end(f);
	map_free(&f->frames);
	map_free(&f->stacks);
	if (f->arena)
		arena_free(f->arena);
	free(f->copy);
	free(f);
}

void feed_start(struct feed *f, uint64_t number)
{
	if (number && number <= f->next + f->header.events.capacity)
		f->next = number;
}

const struct feed_stats *feed_stats(const struct feed *f)
{
	return &f->stats;
}

double feed_time(const struct feed *f, uint64_t at)
{
	return (double)(int64_t)(at - f->header.started_mono) / 1e9 + (double)f->header.started_wall / 1e9;
}

uint64_t feed_ns(const struct feed *f, double at)
{
	double since = at - (double)f->header.started_wall / 1e9;
	return since > -1e9 && since < 1e9 ? f->header.started_mono + (uint64_t)(int64_t)(since * 1e9) : 0;
}

pid_t feed_thread(const struct feed *f, int32_t tid)
{
	for (size_t i = 0; i < f->target->nthreads; i++)
		if (f->target->threads[i].ns_tid == tid)
			return f->target->threads[i].tid;
	return f->target->ns_pid == f->target->pid && tid > 0 ? tid : 0;
}

/* ---- reading ---- */

static const char *text_of(const char **at, const char *end)
{
	const char *s = *at, *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;
	if (!nul)
		return "";
	*at = nul + 1;
	return s;
}

/* What belongs to an event, out of the slots behind it, which hold a number each. */
static void take_more(struct feed_event *out, const struct agent_event *e, char *bytes)
{
	const size_t part = sizeof(((struct agent_event_more *)NULL)->text);
	const struct agent_event_more *m = (const void *)(e + 1);
	size_t room = e->more * part, n = e->length < room ? e->length : room;
	for (uint8_t i = 0; i < e->more; i++)
		memcpy(bytes + i * part, m[i].text, part);
	const char *at = bytes, *end = bytes + n;
	out->text[0] = out->text[1] = "";
	out->nframes = 0;
	if (e->kind != AGENT_EVENT_SUSPENDED) {
		out->text[0] = text_of(&at, end);
		out->text[1] = text_of(&at, end);
		return;
	}
	if (e->frame)
		out->frames[out->nframes++] = e->frame;
	for (size_t i = 0; e->frame && i + 8 <= n && out->nframes < FEED_FRAMES; i += 8)
		memcpy(&out->frames[out->nframes++], bytes + i, 8);
}

/* One event at the start of n slots; gives how many it takes, 0: it is not whole. */
static size_t take_one(const struct agent_event *e, size_t n, uint64_t number, struct feed_event *out, char *bytes)
{
	if (e->number != number || e->more >= AGENT_EVENT_SLOTS || e->more >= n)
		return 0;
	const struct agent_event_more *m = (const void *)(e + 1);
	for (uint8_t i = 0; i < e->more; i++)
		if (m[i].number != number + 1 + i)
			return 0;
	out->e = *e;
	take_more(out, e, bytes);
	return 1u + e->more;
}

/* Slots [from, from + n) into f->copy. */
static err_t copy_slots(struct feed *f, uint64_t from, size_t n)
{
	const struct agent_events *r = &f->header.events;
	size_t at = (size_t)(from & (r->capacity - 1)), first = r->capacity - at < n ? r->capacity - at : n;
	TRY(peek(f, r->addr + at * SLOT, f->copy, first * SLOT));
	return first < n ? peek(f, r->addr, f->copy + first, (n - first) * SLOT) : NULL;
}

/* Numbers below this may have been written over when head was read. */
static uint64_t oldest(const struct feed *f, uint64_t head)
{
	uint64_t safe = f->header.events.capacity - AGENT_EVENT_SLOTS;
	return head > safe ? head - safe : 0;
}

static void skip_to(struct feed *f, uint64_t number)
{
	if (number > f->next) {
		f->stats.lost += number - f->next;
		f->next = number;
		f->broken = true;
	}
}

static void give(struct feed *f, size_t n, void (*event)(void *ctx, const struct feed_event *e), void *ctx)
{
	char bytes[(AGENT_EVENT_SLOTS - 1) * sizeof(((struct agent_event_more *)NULL)->text)];
	uint64_t from = f->next;
	for (size_t i = 0; i < n; ) {
		struct feed_event e;
		size_t taken = take_one(&f->copy[i], n - i, from + i, &e, bytes);
		/* The end of an event whose beginning is lost, or one that goes on behind the copy. */
		if (!taken && !f->broken && n - i < AGENT_EVENT_SLOTS)
			return;
		if (!taken || e.e.kind == 0 || e.e.kind >= AGENT_EVENT_KINDS) {
			f->stats.lost += !f->broken;
			f->next = from + ++i;
			continue;
		}
		f->broken = false;
		f->next = from + (i += taken);
		event(ctx, &e);
	}
}

static err_t look_at_header(struct feed *f, uint64_t *head)
{
	struct agent_header h;
	TRY(peek(f, f->header.self, &h, sizeof h));
	if (h.magic != AGENT_MAGIC || !h.on || h.self != f->header.self)
		return err_new(E_UNSUPPORTED, "the agent in process %d was switched off", (int)f->target->pid);
	/* Whoever starts it anew begins with another history. */
	feed_nodes_seen(f, h.pools[POOL_NODES].used, h.started_mono);
	f->stats.unwritten = h.events.unwritten;
	*head = h.events.head;
	if (*head < f->next || *head - f->next > HEAD_AHEAD)
		return damaged(f);
	/* It was ended by another reader, or found to be over. */
	uint64_t now = now_there(f);
	bool ended = f->until > now && h.events.until < now;
	f->stats.gaps += ended;
	bool due = now + (uint64_t)((FEED_LEASE_S - FEED_RENEW_S) * 1e9) > f->until;
	return ended || due ? feed_renew(f) : NULL;
}

err_t feed_read(struct feed *f, void (*event)(void *ctx, const struct feed_event *e), void *ctx, bool *behind)
{
	uint64_t head, after;
	size_t done = 0;
	f->refreshed = false;
	TRY(look_at_header(f, &head));
	for (uint64_t from = f->next; f->next < head && done < CALL; from = f->next) {
		skip_to(f, oldest(f, head));
		size_t n = head - f->next < COPY ? (size_t)(head - f->next) : COPY;
		uint64_t copied = f->next;
		TRY(copy_slots(f, f->next, n));
		TRY(peek(f, f->header.self + offsetof(struct agent_header, events.head), &after, sizeof after));
		if (after < head || after - head > HEAD_AHEAD)
			return damaged(f);
		skip_to(f, oldest(f, after));
		done += n;
		if (f->next >= copied + n) {
			head = after;
			continue;
		}
		memmove(f->copy, f->copy + (f->next - copied), (n - (f->next - copied)) * SLOT);
		give(f, n - (size_t)(f->next - copied), event, ctx);
		if (f->next == from)
			break;
	}
	*behind = done >= CALL || head - f->next > f->header.events.capacity / 4;
	return NULL;
}
