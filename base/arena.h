/* Memory that is freed all at once. What an arena gives is zeroed, aligned to
 * 16 bytes, and lives until arena_free(). NULL is returned when memory is out. */
#ifndef ASYNCMON_BASE_ARENA_H
#define ASYNCMON_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t n, size_t size); /* NULL on overflow too */
void *arena_dup(struct arena *a, const void *bytes, size_t size);
char *arena_str(struct arena *a, const char *s);
char *arena_strn(struct arena *a, const char *s, size_t n);
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vfmt(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Whether memory was out at any time: those who fill an arena may take NULL for what is
 * not known, and whoever hands the whole on asks here. */
bool arena_failed(const struct arena *a);
/* Bytes handed out so far. */
size_t arena_used(const struct arena *a);

#endif
