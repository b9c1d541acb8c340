/* The region: reserved once, committed piece by piece, never grown, emptied by fork. */
#include "agent/agent.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define PAGE 4096u
#define CHUNK (256u << 10)
#define MEMORY_DEFAULT (64ull << 20)
#define MEMORY_MIN (1ull << 20)
#define MEMORY_MAX (16ull << 30)
#define ENDED_DEFAULT 1000u

struct agent_header *asyncmon_agent_header __attribute__((visibility("default")));
struct agent_private *agent_private;
unsigned memory_epoch;

/* Serials go on after a fork: a number never means two tasks of one family. */
static uint64_t serials_given = 1;
static struct agent_limits limits_given;
static uint64_t region_bytes;
static char *tables_at;          /* hash tables, up to the first pool */
static uint32_t python_version;

/* A holder never waits for anything, so the wait is for a thread that runs or was
 * preempted. */
void agent_lock(void)
{
	for (unsigned n = 0; __atomic_exchange_n(&agent->lock, 1, __ATOMIC_ACQUIRE); n++) {
		if (n < 64)
			__builtin_ia32_pause();
		else
			sched_yield();
	}
}

void agent_unlock(void)
{
	__atomic_store_n(&agent->lock, 0, __ATOMIC_RELEASE);
}

static uint64_t page_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static uint32_t pow2_at_most(uint64_t n)
{
	uint32_t p = 16;
	while (2ull * p <= n)
		p *= 2;
	return p;
}

static const uint32_t item_size[AGENT_POOLS] = {
	sizeof(struct agent_task), sizeof(struct agent_cancel), sizeof(struct agent_node),
	sizeof(struct agent_cell), sizeof(struct agent_exception),
};
/* The ring of events is not part of the memory that a history was allowed: it takes so much
 * more, once somebody has read along. */
#define EVENTS_MAX (8u << 20)
#define EVENTS_PART 8
#define PROFILES_BYTES (AGENT_PROFILES * sizeof(struct agent_profile))
/* Shares of the memory, in percent; the rest is for hash tables and the header. */
static const unsigned share[AGENT_POOLS] = { 55, 8, 12, 19, 2 };

/* What a history begins with; all else of it is zero. */
static void begin_history(struct agent_header *h, struct agent_private *p, const struct agent_limits *limits)
{
	uint32_t items = h->pools[POOL_TASKS].capacity, room = items / 64;
	p->sweep = 1;
	h->ended_max = limits->ended ? limits->ended : room > ENDED_DEFAULT ? room : ENDED_DEFAULT;
	h->preserved_max = limits->preserved ? limits->preserved : ENDED_DEFAULT;
	if (h->ended_max > items / 2)
		h->ended_max = items / 2;
	if (h->preserved_max > items / 8)
		h->preserved_max = items / 8;
	h->ancestors_max = items / 8;
	h->profiles.used = 1;
	h->started_mono = clock_ns(CLOCK_MONOTONIC);
	h->started_wall = clock_ns(CLOCK_REALTIME);
	h->on = 1;
}

static uint64_t events_bytes(uint64_t memory)
{
	uint64_t most = memory / EVENTS_PART;
	return pow2_at_most(most < EVENTS_MAX ? most : EVENTS_MAX);
}

/* Header, private part and hash tables are writable at once; each pool's first chunk
 * when its first item is taken. */
static bool begin(char *base, const struct agent_limits *limits)
{
	uint64_t at = page_up(sizeof(struct agent_header) + sizeof(struct agent_private));
	uint32_t items[AGENT_POOLS], buckets[3];
	for (int i = 0; i < AGENT_POOLS; i++)
		items[i] = (uint32_t)(limits->memory / 100 * share[i] / item_size[i]);
	const enum agent_pool_name hashed[3] = { POOL_TASKS, POOL_NODES, POOL_CELLS };
	uint64_t bucket_at[3];
	for (int i = 0; i < 3; i++) {
		buckets[i] = pow2_at_most(items[hashed[i]] / (i == 0 ? 1 : 4));
		bucket_at[i] = at;
		at += 4ull * buckets[i];
	}
	uint64_t profiles = at;
	at = page_up(at + PROFILES_BYTES);
	if (mprotect(base, at, PROT_READ | PROT_WRITE) != 0)
		return false;
	struct agent_header *h = (struct agent_header *)base;
	struct agent_private *p = (struct agent_private *)(h + 1);
	tables_at = base + bucket_at[0];
	for (int i = 0; i < AGENT_POOLS; i++) {
		h->pools[i] = (struct agent_pool){
			.addr = (uint64_t)(uintptr_t)base + at,
			.item_size = item_size[i],
			.capacity = items[i],
			.used = 1,
		};
		/* A page nobody may touch keeps pools apart in the map. */
		at += page_up((uint64_t)items[i] * item_size[i]) + PAGE;
		p->free[i] = p->committed[i] = 0;
	}
	h->events.addr = (uint64_t)(uintptr_t)base + at;
	h->profiles.addr = (uint64_t)(uintptr_t)base + profiles;
	h->profiles.item_size = sizeof(struct agent_profile);
	h->events.slot_size = sizeof(struct agent_event);
	h->events.capacity = (uint32_t)(events_bytes(limits->memory) / sizeof(struct agent_event));
	p->events_committed = 0;
	p->task_buckets = (uint32_t *)(base + bucket_at[0]);
	p->node_buckets = (uint32_t *)(base + bucket_at[1]);
	p->cell_buckets = (uint32_t *)(base + bucket_at[2]);
	p->task_mask = buckets[0] - 1;
	p->node_mask = buckets[1] - 1;
	p->cell_mask = buckets[2] - 1;
	h->cancels_max = AGENT_CANCELS_OF_A_TASK;
	h->total = region_bytes;
	h->version = AGENT_VERSION;
	h->size = sizeof *h;
	h->self = (uint64_t)(uintptr_t)h;
	h->pid = getpid();
	h->python = python_version;
	h->next_serial = serials_given;
	begin_history(h, p, limits);
	agent_private = p;
	__atomic_store_n(&h->magic, AGENT_MAGIC, __ATOMIC_RELEASE);
	return true;
}

/* Zeroes [from, to) of what is writable. Locked memory (mlockall) cannot be given back. */
static void zero(char *from, char *to)
{
	if (madvise(from, (size_t)(to - from), MADV_DONTNEED) != 0)
		memset(from, 0, (size_t)(to - from));
}

/* Without a GIL other threads are in hooks, and wait for the lock: that, and where things
 * are, stays as it is. */
static void memory_restart(void)
{
	struct agent_private *p = agent_private;
	agent_lock();
	stacks_reset();
	memory_epoch++;
	zero(tables_at, (char *)(uintptr_t)agent->pools[0].addr);
	for (int i = 0; i < AGENT_POOLS; i++) {
		struct agent_pool *pool = &agent->pools[i];
		char *at = (char *)(uintptr_t)pool->addr;
		zero(at, at + page_up((uint64_t)p->committed[i] * pool->item_size));
		pool->used = 1;
		pool->busy = 0;
		p->free[i] = 0;
	}
	memset(agent->counters, 0, sizeof agent->counters);
	profiles_reset();
	p->ended = p->preserved = p->ancestors = (struct list){ 0 };
	begin_history(agent, p, &limits_given);
	agent_unlock();
}

void memory_reset(void)
{
	char *base = (char *)agent;
	if (agent->next_serial > serials_given)
		serials_given = agent->next_serial;
	stacks_reset();
	events_reset();
	memory_epoch++;
	madvise(base, region_bytes, MADV_DONTNEED);
	begin(base, &limits_given);
}

/* A child of fork() begins with nothing. Where the kernel wiped the region already
 * (or a bare clone() passed these by) the header is zero, which hooks take for off. */
static bool on_at_fork;

static void before_fork(void)
{
	serials_given = agent->next_serial;
	on_at_fork = agent->on;
}

static void in_child(void)
{
	memory_reset();
	agent->on = on_at_fork;
}

/* The agent links with no libc, so that one file serves every libc: this is what
 * pthread_atfork() is behind glibc's static part. */
extern __attribute__((weak)) int __register_atfork(void (*)(void), void (*)(void), void (*)(void),
						   void *);
extern __attribute__((weak)) int pthread_atfork(void (*)(void), void (*)(void), void (*)(void));

const char *memory_begin(const struct agent_limits *limits)
{
	if (agent) {
		limits_given.ended = limits->ended;
		limits_given.preserved = limits->preserved;
		memory_restart();
		return NULL;
	}
	uint32_t v = (uint32_t)agent_layout.version.major << 24 |
		     (uint32_t)agent_layout.version.minor << 16 |
		     (uint32_t)agent_layout.version.micro << 8;
	python_version = v;
	clock_begin();
	limits_given = *limits;
	uint64_t want = limits->memory ? limits->memory : MEMORY_DEFAULT;
	limits_given.memory = want < MEMORY_MIN ? MEMORY_MIN : want > MEMORY_MAX ? MEMORY_MAX : want;
	region_bytes = page_up(limits_given.memory) + events_bytes(limits_given.memory) +
		       page_up(PROFILES_BYTES) + 16 * PAGE;
	char *p = mmap(NULL, region_bytes + 2 * PAGE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return "no memory could be reserved";
	p += PAGE;
	/* Each is a kindness the kernel may not know: reading works without. */
	madvise(p, region_bytes, MADV_DODUMP);
	madvise(p, region_bytes, MADV_NOHUGEPAGE);
	madvise(p, region_bytes, MADV_WIPEONFORK);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, region_bytes, "asyncmon-agent");
	if (!begin(p, &limits_given)) {
		munmap(p - PAGE, region_bytes + 2 * PAGE);
		return "the reserved memory could not be made writable";
	}
	agent = (struct agent_header *)p;
	if (__register_atfork)
		__register_atfork(before_fork, NULL, in_child, NULL);
	else if (pthread_atfork)
		pthread_atfork(before_fork, NULL, in_child);
	return NULL;
}

static bool commit(struct agent_pool *p, uint32_t *committed)
{
	uint64_t from = page_up((uint64_t)*committed * p->item_size);
	uint64_t all = page_up((uint64_t)p->capacity * p->item_size);
	uint64_t to = from + CHUNK < all ? from + CHUNK : all;
	char *at = (char *)(uintptr_t)p->addr + from;
	if (from >= to || mprotect(at, to - from, PROT_READ | PROT_WRITE) != 0)
		return false;
	/* All pages at once cost a third of a fault each; before 5.14 they are faulted in. */
	madvise(at, to - from, MADV_POPULATE_WRITE);
	*committed = to == all ? p->capacity : (uint32_t)(to / p->item_size);
	return true;
}

bool memory_commit_events(uint32_t *committed)
{
	const struct agent_events *e = &agent->events;
	uint64_t from = (uint64_t)*committed * e->slot_size, all = (uint64_t)e->capacity * e->slot_size;
	uint64_t to = from + CHUNK < all ? from + CHUNK : all;
	char *at = (char *)(uintptr_t)e->addr + from;
	if (mprotect(at, to - from, PROT_READ | PROT_WRITE) != 0)
		return false;
	madvise(at, to - from, MADV_POPULATE_WRITE);
	*committed = (uint32_t)(to / e->slot_size);
	return true;
}

/* Free items are linked through a field that the reader does not need in them. */
static uint32_t *link_of(enum agent_pool_name name, uint32_t i)
{
	switch (name) {
	case POOL_TASKS: return &task_at(i)->next;
	case POOL_CANCELS: return &cancel_at(i)->next;
	case POOL_NODES: return &node_at(i)->next;
	case POOL_EXCEPTIONS: return &exception_at(i)->next;
	default: return &cell_at(i)->next;
	}
}

uint32_t pool_take(enum agent_pool_name name)
{
	struct agent_pool *p = &agent->pools[name];
	uint32_t i = agent_private->free[name];
	if (i) {
		agent_private->free[name] = *link_of(name, i);
	} else {
		if (p->used >= p->capacity)
			return 0;
		if (p->used >= agent_private->committed[name] &&
		    !commit(p, &agent_private->committed[name]))
			return 0;
		i = p->used;
		__atomic_store_n(&p->used, i + 1, __ATOMIC_RELEASE);
	}
	p->busy++;
	return i;
}

void pool_give(enum agent_pool_name name, uint32_t i)
{
	*link_of(name, i) = agent_private->free[name];
	agent_private->free[name] = i;
	agent->pools[name].busy--;
}
