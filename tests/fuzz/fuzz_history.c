/* The agent's memory, of any bytes: a small CPython made in memory has an agent whose
 * header and pools are the input, laid over records that make sense. A zero of the input
 * keeps what is there, so the empty input is a whole history. */
#include "tests/unit/fakeproc.h"

#include "agent/wire.h"
#include "symbols/modules.h"
#include "tests/fuzz/fuzz.h"

#define AGENT_AT (FAKE_BASE + FAKE_SIZE - (1u << 20)) /* above all that fake_alloc() gives */
#define WHAT (FUZZ_ALL & ~(unsigned)SNAPSHOT_NATIVE)
#define MINORS (sizeof minors / sizeof *minors)

enum { ITEMS = 16 };
/* One version with tables of tasks and frame objects, one with neither. */
static const uint8_t minors[] = { 10, 14 };

struct memory {
	struct agent_header h;
	struct agent_task tasks[ITEMS];
	struct agent_cancel cancels[ITEMS];
	struct agent_node nodes[ITEMS];
	struct agent_cell cells[ITEMS];
	struct agent_exception exceptions[ITEMS];
};

static struct proc made[MINORS];
static struct memory whole[MINORS];
static struct mapping mapping = {
	.start = AGENT_AT, .end = AGENT_AT + (1u << 16), .read = true, .write = true, .path = "",
};

static struct agent_pool pool(size_t offset, uint32_t size)
{
	return (struct agent_pool){ .addr = AGENT_AT + offset, .item_size = size, .capacity = ITEMS, .used = ITEMS };
}

static struct agent_header header(void)
{
	return (struct agent_header){
		.magic = AGENT_MAGIC, .version = AGENT_VERSION, .size = sizeof(struct agent_header), .self = AGENT_AT,
		.total = sizeof(struct memory), .on = 1, .started_mono = 1000, .started_wall = 1700000000000000000ull,
		.cancels_max = AGENT_CANCELS_OF_A_TASK,
		.pools = {
			pool(offsetof(struct memory, tasks), sizeof(struct agent_task)),
			pool(offsetof(struct memory, cancels), sizeof(struct agent_cancel)),
			pool(offsetof(struct memory, nodes), sizeof(struct agent_node)),
			pool(offsetof(struct memory, cells), sizeof(struct agent_cell)),
			pool(offsetof(struct memory, exceptions), sizeof(struct agent_exception)),
		},
	};
}

/* Tasks that live, that ended, and an ancestor; each made, cancelled and named by items of
 * its own number. */
static void fill(struct memory *m, const struct proc *p)
{
	m->h = header();
	for (uint32_t i = 1; i < ITEMS / 2; i++) {
		bool lives = i <= p->ntasks;
		m->tasks[i] = (struct agent_task){
			.state = lives ? AGENT_ALIVE : i == ITEMS / 2 - 1 ? AGENT_ANCESTOR : AGENT_DONE,
			.outcome = (uint8_t)(i % 4), .serial = i, .task = lives ? p->tasks[i - 1] : 0x5000 + 16 * i,
			.created_at = 1000 * i, .parent_serial = i - 1, .parent = i - 1, .created_stack = i, .cancels = i,
			.ncancels = 2, .polls = i, .end_stack = lives ? 0 : i, .name = i, .coro = i,
			.exception = lives ? 0 : i,
		};
		m->cancels[i] = (struct agent_cancel){ .owner = i, .at = 2000 * i, .by_serial = i + 1, .stack = i,
						       .next = i + ITEMS / 2, .message = i };
		m->cancels[i + ITEMS / 2] = (struct agent_cancel){ .owner = i, .at = 1500 * i,
								   .by = i % 2 ? AGENT_BY_END : AGENT_BY_SIGNAL };
		m->exceptions[i] = (struct agent_exception){ .owner = i, .type = i, .message = i, .stack = i,
							     .next = i + ITEMS / 2 };
		m->exceptions[i + ITEMS / 2] = (struct agent_exception){
			.owner = i, .type = i, .repr = i, .role = (uint8_t)(AGENT_CAUSE + i % 4),
		};
		m->nodes[i] = (struct agent_node){ .code = p->waiter_code, .parent = i - 1 };
		m->cells[i] = (struct agent_cell){ .len = 20, .next = i + ITEMS / 2, .text = "a name" };
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (size_t i = 0; i < MINORS; i++) {
		struct proc *p = &made[i];
		struct fake *f = &p->f;
		begin(p, minors[i]);
		for (int n = 0; n < 3; n++) {
			uint64_t fut = new_future(p, p->future_type, 0);
			new_task(p, "t", fake_coro(f, p->waiter_code, "work", fut), fut);
		}
		list_tasks(p);
		f->target.mappings = &mapping;
		f->target.nmappings = 1;
		if (modules_find(&f->target, &f->py.modules))
			abort();
		f->py.target = &f->target;
		fill(&whole[i], p);
	}
	return 0;
}

static void check(const struct snapshot *s, const struct agent_header *h)
{
	if (s->nended > h->pools[POOL_TASKS].used)
		abort();
	for (size_t i = 0; i < s->nended; i++)
		if (s->ended[i].ncancels > AGENT_CANCELS_OF_A_TASK + 1)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *s = NULL;
	if (!size)
		return 0;
	size_t i = data[0] % MINORS;
	bool marked = data[0] & 0x40, placed = data[0] & 0x80;
	struct memory m = whole[i];
	struct agent_header right = m.h;
	uint8_t *bytes = (uint8_t *)&m;
	for (size_t k = 1; k < size && k <= sizeof m; k++)
		bytes[k - 1] ^= data[k];
	/* Most inputs would end at the marks of the header, or at the places of the pools. */
	if (!marked)
		memcpy(&m.h, &right, offsetof(struct agent_header, lock));
	if (!placed)
		memcpy(m.h.pools, right.pools, sizeof m.h.pools);
	struct python *py = &made[i].f.py;
	if (!image_put(py->target->image, AGENT_AT, &m, sizeof m))
		abort();
	err_t e = snapshot_take(py, WHAT, &s);
	if (!e && s->agent)
		check(s, &m.h);
	if (!marked && !placed && size == 1 && (e || !s->agent || !s->nended))
		abort();
	snapshot_free(s);
	err_free(e);
	return 0;
}
