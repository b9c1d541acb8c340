/* Text about one thing: labelled lines and stacks with their source. */
#ifndef ASYNCMON_CMD_PAGE_H
#define ASYNCMON_CMD_PAGE_H

#include "cmd/command.h"
#include "cmd/source.h"

struct page {
	struct call *c;
	struct source source;
	struct strbuf text;    /* what is being put together, not escaped */
	struct strbuf line;
};

/* For text about s, with the lines of its target's source files. */
struct page page_of(struct call *c, const struct snapshot *s);
/* Says which files' lines were left out and why, and frees. */
void page_free(struct page *p);
/* Puts p->text, escaped, in that colour (NULL: none), and clears it. */
void page_put(struct page *p, const char *sgr);
/* Ends the line that starts at p->c->out->b.s[from]: broken where it is too long for the
 * terminal, all but its first part indented by that many blanks. */
void page_end_line(struct page *p, size_t from, unsigned indent);
/* Puts p->text as a line, in that colour, after that many blanks. */
void page_line(struct page *p, unsigned indent, const char *sgr);
/* Puts "  label      " and p->text as a line. */
void page_field(struct page *p, const char *label);
/* "  File "…", line N, in f" and the source line under it, most recent call last;
 * indented by that many blanks. */
void page_stack(struct page *p, const struct stack *st, unsigned indent, bool locals);
/* The same of a moment that is past: without the frames that ran the loop, which are all
 * alike; how many they were is said (with --verbose: all). */
void page_past_stack(struct page *p, const struct stack *st, unsigned indent);
/* Cancel requests, each by one(); of those that are alike the first, and how many more
 * there were: when() says of an instant how far it is. With --verbose: all. */
void page_cancels(struct page *p, const struct cancel *v, size_t n, void (*one)(struct page *, void *ctx, size_t i),
		  void (*when)(struct strbuf *, void *ctx, double at), void *ctx);
/* p->text += "NAME (#serial)", or what is left of it. */
void page_ref(struct page *p, const struct task_ref *r);
/* A chain of who did that ("made") to whom, its first link first: "A made B at:", its
 * stack, and so on; what the last one did it to is "it". */
void page_chain(struct page *p, const struct chain_link *links, size_t n, const char *did);
/* Where an exception was raised, its notes, and the exceptions it came from or holds. */
void page_exception(struct page *p, const struct exception *e, unsigned indent);
void page_frame(struct page *p, const struct source_place *at, unsigned indent);
/* The same for frames of a thread: C ones as "NAME at 0x… in MODULE". */
void page_thread_frames(struct page *p, const struct thread_frame *frames, size_t n, unsigned indent);

#endif
