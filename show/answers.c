#include "show/answers.h"

#include "query/findings.h"
#include "show/json_types.h"

static void counts_json(struct json *j, const struct tallies *t, const char *by)
{
	json_key(j, "group_by");
	json_str(j, by);
	json_key(j, "counts");
	json_array(j);
	for (size_t i = 0; i < t->n; i++) {
		json_object(j);
		json_key(j, "key");
		json_str(j, t->v[i].key);
		json_key(j, "count");
		json_int(j, (int64_t)t->v[i].count);
		json_object_end(j);
	}
	json_array_end(j);
}

void json_rows(struct json *j, const struct list *l, const struct tallies *t, const char *by)
{
	json_key(j, "shown");
	json_int(j, (int64_t)l->n);
	json_key(j, "total");
	json_int(j, (int64_t)l->total);
	if (t)
		counts_json(j, t, by);
	json_key(j, l->kind->noun_json);
	json_array(j);
	for (size_t i = 0; i < l->n; i++)
		l->kind->json(j, l->rows[i]);
	json_array_end(j);
}

static void ids_json(struct json *j, const struct list *l, const struct coalesced *same, size_t i)
{
	json_key(j, "count");
	json_int(j, same->count[i]);
	json_key(j, "ids");
	json_array(j);
	for (size_t k = i, left = same->count[i]; left; k++)
		if (same->first[k] == i) {
			json_id(j, ((const struct task *)l->rows[k])->id);
			left--;
		}
	json_array_end(j);
}

void json_where(struct json *j, const struct list *l, const struct coalesced *same)
{
	json_key(j, "tasks");
	json_array(j);
	for (size_t i = 0; i < l->n; i++) {
		const struct task *t = l->rows[i];
		if (same->n && !same->count[i])
			continue;
		json_task(j, t, true);
		if (same->n)
			ids_json(j, l, same, i);
		json_key(j, "chain");
		json_chain(j, t->chain, t->nchain);
		json_key(j, "native");
		if (t->nnative)
			json_thread_frames(j, t->native, t->nnative);
		else
			json_null(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void count_json(struct json *j, const struct snapshot *s, const struct coalesced *same, size_t i)
{
	json_key(j, "count");
	json_int(j, same->count[i]);
	json_key(j, "tids");
	json_array(j);
	for (size_t k = i, left = same->count[i]; left; k++)
		if (same->first[k] == i) {
			json_int(j, s->threads[k].tid);
			left--;
		}
	json_array_end(j);
}

static void thread_json(struct json *j, const struct snapshot *s, const struct coalesced *same, size_t i)
{
	const struct thread_stack *t = &s->threads[i];
	json_object(j);
	json_key(j, "tid");
	json_int(j, t->tid);
	json_key(j, "name");
	json_str(j, t->name);
	json_key(j, "title");
	json_str(j, t->title);
	json_key(j, "gil");
	if (t->gil < 0)
		json_null(j);
	else
		json_bool(j, t->gil);
	json_key(j, "loop");
	json_id(j, t->loop);
	json_key(j, "task");
	json_id(j, t->task);
	json_key(j, "frames");
	json_thread_frames(j, t->frames, t->nframes);
	json_key(j, "broken");
	json_str(j, t->broken);
	json_thread_wait(j, "wait", t->wait);
	if (same)
		count_json(j, s, same, i);
	json_object_end(j);
}

void json_threads(struct json *j, const struct snapshot *s, const struct coalesced *same)
{
	json_key(j, "threads");
	json_array(j);
	for (size_t i = 0; i < s->nthreads; i++)
		if (!same || same->count[i])
			thread_json(j, s, same, i);
	json_array_end(j);
}

static void finding_json(struct json *j, const struct finding *f)
{
	json_object(j);
	json_key(j, "rule");
	json_str(j, f->rule);
	json_key(j, "severity");
	json_str(j, severity_name((int)f->severity));
	json_key(j, "tasks");
	json_ids(j, f->tasks, f->ntasks);
	json_key(j, "message");
	json_str(j, f->message);
	json_object_end(j);
}

void json_findings(struct json *j, const struct snapshot *s)
{
	json_key(j, "findings");
	json_array(j);
	for (size_t i = 0; i < s->nfindings; i++)
		finding_json(j, &s->findings[i]);
	json_array_end(j);
}
