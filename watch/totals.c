#include "watch/totals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000            /* coroutines that have a row of their own */

/* The row that an event counts in; found ones move to the front, where the next is. */
static struct totals_row *row_of(struct totals *t, const char *coro)
{
	size_t i = 0;
	while (i < t->n && !(t->v[i].coro && strcmp(t->v[i].coro, coro) == 0))
		i++;
	if (i < t->n) {
		if (i > 0) {
			struct totals_row moved = t->v[i];
			t->v[i] = t->v[i - 1];
			t->v[--i] = moved;
		}
		return &t->v[i];
	}
	bool others = t->n >= ROWS_MAX;
	for (i = 0; others && i < t->n; i++)
		if (!t->v[i].coro)
			return &t->v[i];
	char *own = others ? NULL : strdup(coro);
	if ((!others && !own) || !vec_push(t, (struct totals_row){ .coro = own })) {
		free(own);
		return NULL;
	}
	return &t->v[t->n - 1];
}

static void took(struct totals_times *times, double s)
{
	if (isnan(s))
		return;
	int bucket = 0;
	while (bucket < TOTALS_BUCKETS - 1 && s >= ldexp(1.024e-6, bucket))
		bucket++;
	times->count++;
	times->sum += s;
	times->longest = s > times->longest ? s : times->longest;
	times->buckets[bucket]++;
}

void totals_event(void *ctx, const struct trace_event *e)
{
	struct totals_row *r = e->task ? row_of(ctx, e->task->coro ? e->task->coro : "?") : NULL;
	if (!r)
		return;
	switch (e->kind) {
	case TRACE_CREATED:
		r->made++;
		break;
	case TRACE_BEGUN:
		took(&r->delays, e->took);
		break;
	case TRACE_SUSPENDED:
		took(&r->steps, e->took);
		break;
	case TRACE_CANCEL:
		r->cancels++;
		break;
	case TRACE_ENDED:
		took(&r->steps, e->took);
		r->finished += e->outcome == TASK_FINISHED;
		r->failed += e->outcome == TASK_FAILED;
		r->cancelled += e->outcome == TASK_CANCELLED;
		break;
	default:
		break;
	}
}

static int busiest_first(const void *a, const void *b)
{
	const struct totals_row *x = a, *y = b;
	return x->steps.sum < y->steps.sum ? 1 : x->steps.sum > y->steps.sum ? -1 : 0;
}

void totals_sort(struct totals *t)
{
	if (t->n)
		qsort(t->v, t->n, sizeof *t->v, busiest_first);
}

void totals_free(struct totals *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].coro);
	vec_free(t);
}

struct histogram totals_histogram(const struct totals_times *times)
{
	return (struct histogram){ .count = times->count, .sum = times->sum, .buckets = times->buckets,
				   .nbuckets = TOTALS_BUCKETS };
}
