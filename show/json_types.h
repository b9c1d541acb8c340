/* The snapshot's types as JSON, as the interface spells them. */
#ifndef ASYNCMON_SHOW_JSON_TYPES_H
#define ASYNCMON_SHOW_JSON_TYPES_H

#include "base/json.h"
#include "snapshot/snapshot.h"

/* Opens the object of an answer with its "format", which
 * share/asyncmon/asyncmon-1.schema.json describes. */
void json_answer(struct json *j);
/* "error" into the open object of an answer. */
void json_error(struct json *j, err_t e);
/* "target", "complete", "notes" into the open object. */
void json_head(struct json *j, const struct snapshot *s);
void json_loops(struct json *j, const struct snapshot *s);
/* The keys of a task; the object stays open for more where `open`. */
void json_task(struct json *j, const struct task *t, bool open);
void json_stack(struct json *j, const struct stack *st);
void json_thread_frames(struct json *j, const struct thread_frame *frames, size_t n);
void json_ref(struct json *j, const struct task_ref *r); /* NULL: null */
void json_chain(struct json *j, const struct chain_link *chain, size_t n);
void json_created(struct json *j, const struct created *c); /* NULL: null */
void json_cancels(struct json *j, const struct cancel *c, size_t n);
void json_exception(struct json *j, const struct exception *e); /* NULL: null */
void json_ids(struct json *j, const uint64_t *ids, size_t n);
/* Under that key; NULL: null, both. */
void json_wait(struct json *j, const char *key, const struct wait *w);
void json_thread_wait(struct json *j, const char *key, const struct thread_wait *w);
void json_holder(struct json *j, const struct holder *h);
void json_histogram(struct json *j, const char *key, const struct histogram *h);
void json_group(struct json *j, const struct group *g);

#endif
