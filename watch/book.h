/* The tasks that a trace knows, by serial: those that live. Inside this folder only. */
#ifndef ASYNCMON_WATCH_BOOK_H
#define ASYNCMON_WATCH_BOOK_H

#include "watch/trace.h"

struct book { struct traced **buckets; size_t n, mask; };

struct traced *book_find(const struct book *b, uint64_t serial);
/* A new one with nothing but its serial; NULL when memory is out. */
struct traced *book_add(struct book *b, uint64_t serial);
/* Takes it out and frees it. Nobody may wait for it any more. */
void book_drop(struct book *b, struct traced *t);
void book_free(struct book *b);
/* t waits for the end of `other`, or (NULL) for no task's. */
void book_waits(struct book *b, struct traced *t, struct traced *other);

#endif
