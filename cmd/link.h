/* A conversation with code of ours in the target's loop: messages over a socket whose
 * other end that code serves (target_link.py). Nothing of it is in any file system, so
 * that namespaces do not matter, and our end closing, for whatever reason, ends it. */
#ifndef ASYNCMON_CMD_LINK_H
#define ASYNCMON_CMD_LINK_H

#include "cmd/command.h"

struct link {
	int fd;
	struct strbuf in;        /* bytes that came */
	char kind;               /* of the message taken last */
	struct strbuf body;
};

enum link_got { LINK_MESSAGE, LINK_TIMEOUT, LINK_INTERRUPTED, LINK_CLOSED };

/* Runs text_link, `text` and `last`, a Python line that leaves the descriptor in `reply`;
 * takes the descriptor and greets. After call_snapshot(). E_BUSY: the target did not look
 * within deadline_ms (0: 10 s), and will not run it later. */
err_t link_open(struct call *c, const char *text, const char *last, unsigned deadline_ms, struct link *out);
/* Runs text_link, `text` and `last`, and gives the reply. */
err_t link_run(struct call *c, const char *text, const char *last, unsigned deadline_ms, char **reply);
void link_close(struct link *l);
/* False with errno: ETIMEDOUT, EINTR (a signal came while it waited), or the link is closed. */
bool link_send(struct link *l, char kind, const char *text, int timeout_ms);
/* The next message; interrupted as poll() is. timeout_ms < 0: for ever. */
enum link_got link_next(struct link *l, int timeout_ms);

/* "f file.py:12": where a thread is in Python code, or NULL; freed by the caller. As struct
 * inject_text asks for it: `call` is a struct call. */
char *link_thread_at(void *call, pid_t tid);
/* The same of a loop's thread: why the loop does not answer. */
char *link_busy_with(struct call *c, uint64_t loop);

#endif
