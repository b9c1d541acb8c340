/* A trace written down: as lines, as ndjson, as a file for Perfetto. A way of writing is a
 * table entry, which gets what was met at the start, each event, and what there is to say in
 * the end. */
#ifndef ASYNCMON_SHOW_TRACE_WRITER_H
#define ASYNCMON_SHOW_TRACE_WRITER_H

#include "base/json.h"
#include "base/map.h"
#include "base/term.h"
#include "watch/totals.h"

/* How a trace went, for its end. */
struct trace_sum {
	uint64_t events, lost;   /* written; lost: about how many */
	const struct totals *totals; /* with --summary; else NULL */
	const char *ended;       /* why it ended: "time", "interrupted", "size", "gone", "off", "output" */
};

struct trace_writer {
	struct out *out;
	struct term term;
	const struct snapshot *s;    /* the look that it began with */
	const struct trace *trace;
	struct strbuf line;          /* scratch */
	/* Perfetto's */
	struct strbuf inner, event;
	struct map tracks;           /* serials that have one */
	struct map arrows;           /* serial → flow that its next step ends */
	uint64_t flows;
	struct trace_counts counts;  /* as they were written last */
	bool begun;
};

struct trace_format {
	const char *name;
	bool binary;
	void (*begin)(struct trace_writer *w);
	void (*event)(struct trace_writer *w, const struct trace_event *e);
	void (*end)(struct trace_writer *w, const struct trace_sum *sum);
};
extern const struct trace_format trace_text, trace_json, trace_perfetto;

void trace_writer_free(struct trace_writer *w);

#endif
