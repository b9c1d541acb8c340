/* UTF-8, and the columns that it takes on a terminal. What is printed is UTF-8 whatever
 * the locale: containers, cron and `docker exec` set none, and names are not ASCII. */
#ifndef ASYNCMON_BASE_UTF8_H
#define ASYNCMON_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Has the C library classify characters as Unicode: keeps the user's locale where it is
 * UTF-8, else takes one that is. Called once, at the start. */
void utf8_start(void);

/* The code point at s and its length in bytes; length 0 for invalid UTF-8. C0 80 is how
 * a NUL within text comes. */
unsigned utf8_decode(const char *s, uint32_t *cp);

/* The columns of the character at *s, which is moved behind it. A byte that is no
 * UTF-8 counts one. *s must not be at the end. */
size_t utf8_step(const char **s);
size_t utf8_width(const char *text);

#endif
