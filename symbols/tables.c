#include "symbols/tables.h"

const struct layout_table *const layout_tables[] = {
	&table_3_8, &table_3_9, &table_3_10, &table_3_11, &table_3_12,
	&table_3_13, &table_3_13_5, &table_3_13_12, &table_3_13_15, &table_3_13_5_debug,
	&table_3_13_12_debug, &table_3_13_15_debug, &table_3_13_11t, &table_3_13_12t, &table_3_13t,
	&table_3_14_2, &table_3_14_3, &table_3_14_4, &table_3_14,
	&table_3_14_2_debug, &table_3_14_3_debug, &table_3_14_4_debug, &table_3_14_debug,
	&table_3_14_2t, &table_3_14_3t, &table_3_14_8t, &table_3_14t, &table_3_15,
	&table_3_15_debug, &table_3_15_0t, &table_3_15t,
	NULL,
};

/* How far a table is from a build; 0 fits exactly. Free-threading changes every
 * object's header, so that never stretches. */
static unsigned distance(const struct layout_table *t, struct py_version v, bool debug_build)
{
	unsigned d = t->debug_build != debug_build ? 256 : 0;
	if (v.micro < t->micro_min)
		d += t->micro_min - v.micro;
	if (v.micro > t->micro_max)
		d += v.micro - t->micro_max;
	return d;
}

const struct layout_table *layout_table_for(struct py_version v, bool free_threaded,
					    bool debug_build, bool *exact)
{
	const struct layout_table *best = NULL;
	unsigned best_d = 0;
	for (const struct layout_table *const *p = layout_tables; *p; p++) {
		if ((*p)->minor != v.minor || (*p)->free_threaded != free_threaded || v.major != 3)
			continue;
		unsigned d = distance(*p, v, debug_build);
		if (!best || d < best_d) {
			best = *p;
			best_d = d;
		}
	}
	*exact = best && best_d == 0;
	return best;
}

static void apply(struct py_layout *l, const struct layout_table *t)
{
	if (t->base) {
		apply(l, t->base);
	} else {
		for (size_t i = 0; i < LAYOUT_NFIELDS; i++)
			l->fields[i] = -1;
	}
	for (size_t i = 0; i < t->nitems; i++)
		l->fields[t->items[i].field] = t->items[i].value;
}

void layout_from_table(struct py_layout *l, const struct layout_table *t)
{
	l->version = (struct py_version){ .major = 3, .minor = t->minor };
	l->free_threaded = t->free_threaded;
	l->debug_build = t->debug_build;
	l->source = LAYOUT_TABLE;
	apply(l, t);
}
