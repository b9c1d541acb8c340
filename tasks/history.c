/* Finding and reading the agent's memory. */
#include "tasks/history.h"

#include <stddef.h>
#include <string.h>

#include "symbols/modules.h"

#define TASKS_MAX (1u << 28)
#define DEPTH_MAX 1024
#define SERIALS_MAX (1ull << 48)   /* more were never given: the record is damaged */
#define DEPTH_FREE 16            /* frames that every stack may have */
#define STRING_MAX 4096

static bool known_format(const struct agent_header *h)
{
	return (h->version == AGENT_VERSION && h->size == sizeof *h) ||
	       (h->version == AGENT_VERSION_QUIET && h->size == offsetof(struct agent_header, events)) ||
	       (h->version == AGENT_VERSION_TEXTS && h->size == offsetof(struct agent_header, pools[POOL_EXCEPTIONS]));
}

/* *damaged: it is the agent's by most of its marks, but not by all. */
static bool header_at(struct walk *w, uint64_t addr, struct agent_header *h, bool *damaged)
{
	uint64_t magic;
	if (!addr || !image_u64(w->r.img, addr, &magic) || !image_read(w->r.img, addr, h, sizeof *h))
		return false;
	if (h->version == AGENT_VERSION_TEXTS)
		h->pools[POOL_EXCEPTIONS] = (struct agent_pool){ .item_size = sizeof(struct agent_exception), .addr = addr };
	bool named = magic == AGENT_MAGIC, placed = h->self == addr;
	bool sized = known_format(h);
	*damaged |= named + placed + sized == 2 && !(named && placed);
	return named && placed;
}

/* The agent's module exports where its header is. */
static bool by_symbol(struct walk *w, struct agent_header *h, bool *damaged)
{
	struct modules *ms = w->r.py->modules;
	for (size_t i = 0; i < modules_count(ms); i++) {
		struct module *m = modules_at(ms, i);
		uint64_t symbol, addr;
		if (strstr(module_path(m), "asyncmon-agent") && module_symbol(m, AGENT_SYMBOL, &symbol, NULL) &&
		    image_u64(w->r.img, symbol, &addr) && header_at(w, addr, h, damaged))
			return true;
	}
	return false;
}

/* A core holds no file of an agent that was injected, so no symbols: but the header
 * begins a mapping of its own. */
static bool by_mapping(struct walk *w, struct agent_header *h, bool *damaged)
{
	const struct target *t = w->r.py->target;
	for (size_t i = 0; i < t->nmappings; i++) {
		const struct mapping *m = &t->mappings[i];
		if (m->read && m->write && !m->shared && m->inode == 0 && header_at(w, m->start, h, damaged))
			return true;
	}
	return false;
}

static bool is_sane(const struct agent_header *h)
{
	static const uint32_t sizes[AGENT_POOLS] = {
		sizeof(struct agent_task), sizeof(struct agent_cancel), sizeof(struct agent_node),
		sizeof(struct agent_cell), sizeof(struct agent_exception),
	};
	if (h->cancels_max > AGENT_CANCELS_OF_A_TASK)
		return false;
	for (int i = 0; i < AGENT_POOLS; i++) {
		const struct agent_pool *p = &h->pools[i];
		if (p->item_size != sizes[i] || p->used > p->capacity || p->capacity > TASKS_MAX ||
		    p->addr < h->self || p->addr - h->self > h->total ||
		    (uint64_t)p->capacity * p->item_size > h->total - (p->addr - h->self))
			return false;
	}
	return true;
}

bool history_find(struct walk *w, struct agent_header *h, const char **why)
{
	*why = NULL;
	uint64_t misses = w->r.img->misses;
	bool damaged = false, found = by_symbol(w, h, &damaged) || by_mapping(w, h, &damaged);
	/* Looking into memory that is not there is no loss of what was looked for. */
	w->r.img->misses = misses;
	if (!found && damaged)
		*why = "The header of the agent's memory is damaged: its records are not shown.";
	if (!found || !h->on)
		return false;
	if (!known_format(h)) {
		*why = arena_fmt(w->arena, "The agent in the target writes format %u; this program reads %u: "
				 "remove it and inject this one's.", h->version, AGENT_VERSION);
		return false;
	}
	if (!is_sane(h)) {
		*why = "The agent's memory is not as its header says: its records are not shown.";
		return false;
	}
	return true;
}

static bool item(struct history *hi, enum agent_pool_name pool, uint32_t i, void *out)
{
	const struct agent_pool *p = &hi->h.pools[pool];
	if (i == 0 || i >= p->used)
		return false;
	uint64_t at = (uint64_t)i * p->item_size;
	if (hi->pools[pool]) {
		memcpy(out, hi->pools[pool] + at, p->item_size);
		return true;
	}
	if (image_read(hi->w->r.img, p->addr + at, out, p->item_size))
		return true;
	hi->w->lost_records++;
	return false;
}

bool history_task(struct history *hi, uint32_t i, struct agent_task *t)
{
	return item(hi, POOL_TASKS, i, t) && t->state != AGENT_FREE && t->state <= AGENT_ANCESTOR &&
	       t->serial < SERIALS_MAX;
}

bool history_cancel(struct history *hi, uint32_t i, struct agent_cancel *c)
{
	return item(hi, POOL_CANCELS, i, c);
}

bool history_exception(struct history *hi, uint32_t i, struct agent_exception *e)
{
	return item(hi, POOL_EXCEPTIONS, i, e);
}

bool history_node(struct history *hi, uint32_t i, struct agent_node *n)
{
	return item(hi, POOL_NODES, i, n);
}

bool history_serial(struct history *hi, uint64_t serial, struct agent_task *t)
{
	uint64_t i;
	return serial && map_get(&hi->by_serial, serial, &i) && history_task(hi, (uint32_t)i, t);
}

double history_time(const struct history *hi, uint64_t ns)
{
	return (double)(int64_t)(ns - hi->h.started_mono) / 1e9 + (double)hi->h.started_wall / 1e9;
}

static void keep(struct history *hi, struct map *m, uint64_t key, uint64_t value)
{
	if (key && !map_set(m, key, value))
		hi->w->nomem = true;
}

static void index_records(struct history *hi)
{
	for (uint32_t i = 1; i < hi->h.pools[POOL_TASKS].used && !walk_stop(hi->w); i++) {
		struct agent_task t, other;
		uint64_t at;
		if (!history_task(hi, i, &t))
			continue;
		keep(hi, &hi->by_serial, t.serial, i);
		if (t.state == AGENT_ALIVE || t.state == AGENT_ENDING)
			keep(hi, &hi->alive, t.task, i);
		else if (!map_get(&hi->done, t.task, &at) || !history_task(hi, (uint32_t)at, &other) ||
			 other.serial < t.serial)
			keep(hi, &hi->done, t.task, i);
	}
}

void history_begin(struct history *hi, struct walk *w, const struct agent_header *h)
{
	*hi = (struct history){ .w = w, .h = *h };
	uint64_t misses = w->r.img->misses;
	for (int i = 0; i < AGENT_POOLS; i++)
		hi->pools[i] = image_at(w->r.img, h->pools[i].addr,
					(size_t)h->pools[i].used * h->pools[i].item_size);
	w->r.img->misses = misses;
	index_records(hi);
}

void history_free(struct history *hi)
{
	map_free(&hi->by_serial);
	map_free(&hi->alive);
	map_free(&hi->done);
	map_free(&hi->stacks);
	map_free(&hi->strings);
	map_free(&hi->signal_codes);
	map_free(&hi->signal_tasks);
}

static char *string_read(struct history *hi, uint32_t s)
{
	struct agent_cell c;
	if (!item(hi, POOL_CELLS, s, &c) || c.len > STRING_MAX || !reader_spend(&hi->w->r, c.len))
		return NULL;
	char *text = arena_alloc(hi->w->arena, c.len + 1);
	if (!text)
		return NULL;
	size_t at = c.len < sizeof c.text ? c.len : sizeof c.text;
	memcpy(text, c.text, at);
	for (uint32_t next = c.next; at < c.len; ) {
		struct agent_cell_more m;
		if (!item(hi, POOL_CELLS, next, &m))
			return NULL;
		size_t n = c.len - at < sizeof m.text ? c.len - at : sizeof m.text;
		memcpy(text + at, m.text, n);
		at += n;
		next = m.next;
	}
	/* Names may hold NUL; C strings do not (objects/text.c does the same). */
	for (size_t i = 0; i < c.len; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}

const char *history_string(struct history *hi, uint32_t s)
{
	uint64_t known;
	if (s == 0)
		return NULL;
	if (s == AGENT_EMPTY)
		return "";
	if (s & AGENT_TASK_N)
		return arena_fmt(hi->w->arena, "Task-%u", s & ~AGENT_TASK_N);
	if (map_get(&hi->strings, s, &known))
		return (const char *)(uintptr_t)known;
	char *text = string_read(hi, s);
	keep(hi, &hi->strings, s, (uint64_t)(uintptr_t)text);
	return text;
}

static const struct frame *unknown_frame(struct history *hi)
{
	struct frame *f = arena_alloc(hi->w->arena, sizeof *f);
	if (f)
		f->function = "?";
	return f;
}

static struct stack *stack_read(struct history *hi, uint32_t node)
{
	struct agent_node n;
	struct stack *s = arena_alloc(hi->w->arena, sizeof *s);
	const struct frame *frames[DEPTH_MAX];
	size_t depth = 0;
	if (!s)
		return NULL;
	for (uint32_t i = node; i; i = n.parent) {
		if (depth == DEPTH_MAX || !history_node(hi, i, &n)) {
			s->broken = "the agent's record of the stack cannot be read further";
			break;
		}
		if (n.lasti == AGENT_LASTI_CUT) {
			s->broken = "the agent keeps the innermost frames only";
			break;
		}
		if (depth >= DEPTH_FREE && !reader_spend(&hi->w->r, sizeof *frames)) {
			s->broken = "it is longer than the memory for stacks allows";
			break;
		}
		const struct code *c = code_at(&hi->w->r, AGENT_CODE(n.code));
		frames[depth++] = c ? walk_frame(hi->w, c, n.lasti) : unknown_frame(hi);
	}
	const struct frame **v = arena_array(hi->w->arena, depth, sizeof *v);
	if (depth && !v)
		return NULL;
	for (size_t i = 0; i < depth; i++)
		v[i] = frames[depth - 1 - i];
	s->frames = v;
	s->n = depth;
	return s;
}

struct stack history_stack(struct history *hi, uint32_t node)
{
	uint64_t known;
	if (!node)
		return (struct stack){ 0 };
	if (!map_get(&hi->stacks, node, &known)) {
		known = (uint64_t)(uintptr_t)stack_read(hi, node);
		keep(hi, &hi->stacks, node, known);
	}
	const struct stack *s = (const struct stack *)(uintptr_t)known;
	return s ? *s : (struct stack){ 0 };
}
