/* What a session says of its targets: what they are called, what they are, that they
 * ended. */
#include "cmd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach/act.h"

/* The script that a Python was called with, or the module; NULL: neither. */
static const char *script(const char *args, size_t n)
{
	const char *end = args + n;
	for (const char *p = args + strlen(args) + 1; p < end; p += strlen(p) + 1) {
		if (strcmp(p, "-m") == 0)
			return p + 3 < end ? p + 3 : NULL;
		if (strcmp(p, "-c") == 0)
			return NULL;
		if ((p[0] == '-' && (p[1] == 'X' || p[1] == 'W') && !p[2]))
			p += 3;
		else if (p[0] != '-')
			return p;
		if (p >= end)
			break;
	}
	return NULL;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

char *session_target_name(const struct capture *cap, const char *word)
{
	const struct target *t = cap->target;
	char path[40], args[4096];
	const char *name = NULL;
	struct strbuf b = { 0 };
	if (capture_is_process(cap)) {
		snprintf(path, sizeof path, "/proc/%d/cmdline", (int)t->pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? read(fd, args, sizeof args - 2) : -1;
		if (fd >= 0)
			close(fd);
		args[n > 0 ? n : 0] = args[n > 0 ? n + 1 : 1] = '\0';
		name = n > 0 ? script(args, (size_t)n) : NULL;
		if (!name)
			name = t->exe;
	} else {
		name = word;
	}
	strbuf_escaped(&b, base(name ? name : "?"));
	return b.s;
}

static bool has_ended(const struct capture *cap)
{
	const struct target *t = cap->target;
	if (!capture_is_process(cap))
		return false;
	struct pollfd p = { .fd = target_pidfd(t), .events = POLLIN };
	if (p.fd >= 0)
		return poll(&p, 1, 0) > 0;
	return kill(t->pid, 0) != 0 && errno == ESRCH;
}

bool session_notice_ends(struct session *s)
{
	bool any = false;
	for (size_t i = 0; i < s->n; i++) {
		if (s->ended[i] || !has_ended(s->caps[i]))
			continue;
		s->ended[i] = any = true;
		fprintf(stderr, "asyncmon: process %d (%s) has ended\n", (int)capture_pid(s->caps[i]), s->names[i]);
	}
	return any;
}

static void counted(struct strbuf *b, size_t n, const char *what)
{
	strbuf_fmt(b, ", %zu %s%s", n, what, n == 1 ? "" : "s");
}

void session_banner(struct session *s)
{
	struct strbuf b = { 0 };
	for (size_t i = 0; i < s->n; i++) {
		struct snapshot *snap = NULL;
		const struct capture *cap = s->caps[i];
		err_t e = capture_take(s->caps[i], 0, &snap);
		if (capture_is_process(cap))
			strbuf_fmt(&b, "Process %d, %s", (int)capture_pid(cap), s->names[i]);
		else
			strbuf_fmt(&b, "%s %s, of process %d", cap->saved ? "Saved look" : "Core", s->names[i],
				   (int)capture_pid(cap));
		if (e) {
			strbuf_str(&b, ": ");
			strbuf_escaped(&b, e->msg);
			err_free(e);
		} else {
			strbuf_fmt(&b, ": Python %s%s", snap->python, snap->free_threaded ? " (free-threaded)" : "");
			counted(&b, snap->nloops, "loop");
			counted(&b, snap->ntasks, "task");
			strbuf_str(&b, snap->agent ? ", with the agent" : ", no agent");
		}
		strbuf_char(&b, '\n');
		snapshot_free(snap);
	}
	strbuf_str(&b, capture_is_process(s->caps[0])
		   ? "It runs on between commands. help: what there is; exit or Ctrl-D: leave.\n"
		   : "help: what there is; exit or Ctrl-D: leave.\n");
	if (!b.failed)
		fputs(b.s, stdout);
	strbuf_free(&b);
}
