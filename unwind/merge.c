#include "unwind/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/oom.h"

#define NONE SIZE_MAX

/* GCC and Clang: NAME.cold, NAME.part.0, NAME.constprop.0, NAME.llvm.123, ... */
static bool is_named(const char *function, const char *name)
{
	size_t n = strlen(name);
	return strncmp(function, name, n) == 0 && (function[n] == '\0' || function[n] == '.');
}

enum native_role native_role(const char *function, const char *module)
{
	const char *slash = module ? strrchr(module, '/') : NULL;
	if (slash && strncmp(slash, "/_greenlet.", 11) == 0)
		return ROLE_SWITCH;
	if (!function)
		return ROLE_OTHER;
	if (is_named(function, "_PyEval_EvalFrameDefault"))
		return ROLE_EVAL;
	if (strncmp(function, "_TAIL_CALL_", 11) == 0)
		return ROLE_EVAL_INNER;
	if (is_named(function, "_PyEval_Vector") || is_named(function, "_PyEval_EvalFrame"))
		return ROLE_EVAL_OUTER;
	return ROLE_OTHER;
}

struct merge {
	const struct native_stack *ns;
	size_t n;                    /* C frames of it that count */
	const enum native_role *roles;
	const struct merge_chain *chains;
	size_t nchains;
	size_t *chain_of, *entry_of; /* by C frame; NONE: no call of the loop */
	size_t *next;                /* by chain: its innermost entry not yet placed */
};

static const struct pyentries *entries_of(const struct merge *m, size_t chain)
{
	return m->chains[chain].entries;
}

/* 3.10 on: the C frame on which an entry's anchor lies. False: no certain answer. */
static bool place_by_anchor(struct merge *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct native_frame *f = &m->ns->frames[i];
		for (size_t c = 0; c < m->nchains; c++) {
			const struct pyentries *es = entries_of(m, c);
			while (m->next[c] < es->n) {
				uint64_t at = es->v[m->next[c]].anchor;
				if (at < f->sp || at >= f->end)
					break;
				if (m->chain_of[i] != NONE) /* two calls of the loop in one frame */
					return false;
				m->chain_of[i] = c;
				m->entry_of[i] = m->next[c]++;
			}
		}
	}
	return true;
}

/* Python frames that have no C call: only outside of where the C stack was lost. An
 * entry without frames (3.15: every thread state's first) need not be anywhere. */
static bool leftovers_outside(const struct merge *m)
{
	uint64_t top = m->n ? m->ns->frames[m->n - 1].sp : 0;
	for (size_t c = 0; c < m->nchains; c++) {
		const struct pyentries *es = entries_of(m, c);
		for (size_t i = m->next[c]; i < es->n; i++)
			if (es->v[i].n && (!m->ns->broken || es->v[i].anchor < top))
				return false;
	}
	return true;
}

/* C calls of the loop that have no Python frames: only one, within all that have: it
 * is about to begin, or just ended. */
static bool empty_call_innermost(const struct merge *m)
{
	bool placed = false, empty = false;
	for (size_t i = 0; i < m->n; i++) {
		if (m->chain_of[i] != NONE) {
			placed = true;
		} else if (m->roles[i] == ROLE_EVAL) {
			if (placed || empty)
				return false;
			empty = true;
		}
	}
	return true;
}

/* 3.8, 3.9: calls of the loop, by name, and Python frames in their order. */
static bool place_by_count(struct merge *m)
{
	size_t evals = 0, skip = 0;
	if (m->nchains > 1)
		return false;
	const struct pyentries *es = entries_of(m, 0);
	for (size_t i = 0; i < m->n; i++)
		evals += m->roles[i] == ROLE_EVAL;
	bool at_edge = m->n && m->roles[0] == ROLE_EVAL;
	if (evals == es->n + 1 && at_edge && !m->ns->broken)
		skip = 1; /* it is about to begin, or just ended */
	else if (evals != es->n && !(evals < es->n && m->ns->broken && !at_edge))
		return false;
	for (size_t i = 0; i < m->n; i++) {
		if (m->roles[i] != ROLE_EVAL)
			continue;
		if (skip) {
			skip--;
			continue;
		}
		m->chain_of[i] = 0;
		m->entry_of[i] = m->next[0]++;
	}
	return true;
}

static void add_entry(const struct merge *m, struct merged *out, size_t chain, size_t entry)
{
	const struct pyentry *e = &entries_of(m, chain)->v[entry];
	for (size_t k = e->first; k < e->first + e->n; k++)
		out->items[out->n++] = (struct merge_item){ true, chain, k };
}

/* Parts of a call of the loop that are C frames of their own: say nothing that its
 * Python frames do not. */
static bool hidden(const struct merge *m, size_t i)
{
	enum native_role role = m->roles[i];
	size_t at = i;
	if (role == ROLE_EVAL_CALLEE)
		at++;
	else if (role == ROLE_EVAL_INNER)
		while (at < m->n && m->roles[at] == role)
			at++;
	else if (role == ROLE_EVAL_OUTER)
		while (at > 0 && m->roles[at] == role)
			at--;
	return at != i && at < m->n && m->chain_of[at] != NONE;
}

static void emit(const struct merge *m, struct merged *out)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->chain_of[i] != NONE)
			add_entry(m, out, m->chain_of[i], m->entry_of[i]);
		else if (!hidden(m, i))
			out->items[out->n++] = (struct merge_item){ false, 0, i };
	}
	for (size_t c = 0; c < m->nchains; c++)
		for (size_t e = m->next[c]; e < entries_of(m, c)->n; e++)
			add_entry(m, out, c, e);
}

static void emit_both(const struct merge *m, struct merged *out)
{
	for (size_t i = 0; i < m->ns->n; i++)
		out->items[out->n++] = (struct merge_item){ false, 0, i };
	for (size_t c = 0; c < m->nchains; c++)
		for (size_t k = 0; k < m->chains[c].stack->n; k++)
			out->items[out->n++] = (struct merge_item){ true, c, k };
}

static bool place(struct merge *m)
{
	bool anchored = true;
	for (size_t c = 0; c < m->nchains; c++)
		anchored = anchored && (entries_of(m, c)->anchored || m->chains[c].stack->broken);
	if (anchored)
		return place_by_anchor(m) && leftovers_outside(m) && empty_call_innermost(m);
	return place_by_count(m);
}

/* Where the stack of the greenlet that runs ends, if it is one; else 0. */
static size_t greenlet_end(const struct merge *m)
{
	size_t i = 0;
	while (i < m->ns->n && m->roles[i] != ROLE_SWITCH)
		i++;
	while (i < m->ns->n && m->roles[i] == ROLE_SWITCH)
		i++;
	return i < m->ns->n ? i : 0;
}

static bool all_placed(const struct merge *m)
{
	for (size_t c = 0; c < m->nchains; c++)
		for (size_t i = m->next[c]; i < entries_of(m, c)->n; i++)
			if (entries_of(m, c)->v[i].n)
				return false;
	return true;
}

static bool place_in(struct merge *m, size_t n)
{
	m->n = n;
	for (size_t i = 0; i < m->ns->n; i++)
		m->chain_of[i] = NONE;
	for (size_t c = 0; c < m->nchains; c++)
		m->next[c] = 0;
	return place(m);
}

bool merge_stacks(const struct native_stack *ns, const enum native_role *roles,
		  const struct merge_chain *chains, size_t nchains, struct arena *a,
		  struct merged *out)
{
	size_t frames = ns->n;
	for (size_t c = 0; c < nchains; c++)
		frames += chains[c].stack->n;
	*out = (struct merged){ .matched = true, .broken = ns->broken };
	out->items = arena_array(a, frames + 1, sizeof *out->items);
	size_t *work = oom_check(calloc(2 * ns->n + nchains + 1, sizeof *work));
	if (!out->items || !work) {
		free(work);
		return false;
	}
	struct merge m = { ns, ns->n, roles, chains, nchains, work, work + ns->n, work + 2 * ns->n };
	for (size_t c = 0; c < nchains; c++)
		if (chains[c].stack->broken)
			out->broken = arena_fmt(a, "the Python stack ends early: %s%s%s", chains[c].stack->broken,
						ns->broken ? "; " : "", ns->broken ? ns->broken : "");
	size_t end = nchains ? greenlet_end(&m) : 0;
	if (end && out->broken == ns->broken && place_in(&m, end) && all_placed(&m))
		out->broken = "this is the stack of the greenlet that runs: those of others are not shown";
	else
		out->matched = place_in(&m, ns->n) || !nchains;
	if (out->matched)
		emit(&m, out);
	else
		emit_both(&m, out);
	if (!out->matched && !out->broken)
		out->broken = "it is not certain which C frames run which Python frames: Python's are shown first, then C's";
	free(work);
	return true;
}
