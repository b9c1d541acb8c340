#include "cmd/capture.h"

#include <stdlib.h>
#include <time.h>

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static err_t open_parts(struct capture *c, const char *word, const struct target_opts *o)
{
	double start = now();
	TRY(target_open(word, o, &c->target));
	double opened = now();
	c->open_s = opened - start;
	TRY(python_find(c->target, &c->python));
	c->find_s = now() - opened;
	return NULL;
}

err_t capture_open(const char *word, const struct target_opts *o, struct capture **out)
{
	struct capture *c = calloc(1, sizeof *c);
	if (!c)
		return ERR_NOMEM;
	err_t e = open_parts(c, word, o);
	if (e) {
		capture_close(c);
		return e;
	}
	*out = c;
	return NULL;
}

err_t capture_take(struct capture *cap, unsigned what, struct snapshot **out)
{
	if (cap->take)
		return cap->take(cap, what, out);
	TRY(snapshot_take(cap->python, what, out));
	(*out)->stats.open = cap->open_s;
	(*out)->stats.find = cap->find_s;
	return NULL;
}

void capture_close(struct capture *cap)
{
	if (!cap)
		return;
	if (cap->python)
		python_free(cap->python);
	if (cap->target)
		target_close(cap->target);
	free(cap);
}
