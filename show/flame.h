/* A flame graph as a file: for flamegraph.pl and its like, for speedscope, or a page of its
 * own. All take one that flame_finish() has gone over. */
#ifndef ASYNCMON_SHOW_FLAME_H
#define ASYNCMON_SHOW_FLAME_H

#include "base/json.h"
#include "query/flame.h"

struct flame_format {
	const char *name;        /* NULL ends the table */
	err_t (*write)(struct out *o, const struct flame *f);
};
extern const struct flame_format flame_formats[];
const struct flame_format *flame_format_find(const char *name);

/* "flame" into the open object of an answer. */
err_t json_flame(struct json *j, const struct flame *f);

/* flame_page.c: one HTML file that needs nothing else. */
err_t flame_page(struct out *o, const struct flame *f);
/* "Service.produce app/service.py:35" */
void flame_label(struct strbuf *b, const struct flame_frame *f);

#endif
