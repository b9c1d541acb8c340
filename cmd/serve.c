/* serve: the page, JSON and metrics over HTTP. */
#include "cmd/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/command.h"
#include "query/list.h"
#include "serve/http.h"
#include "show/json_types.h"

#define ADDRESS "127.0.0.1"
#define PORT 7317
#define INTERVAL_S 1.0
#define BACKLOG 64
#define HOSTS_MAX 16
/* Between two beginnings of the process that looks. */
#define AGAIN_S 1.0
/* How long it may take to end. */
#define END_S 3.0

struct serve {
	struct serve_opts o;
	struct sockaddr_storage at;
	socklen_t at_len;
	const char *hosts[HOSTS_MAX];
	char *token;             /* of --token-file */
	int listener;
	int front_end, back_end; /* of the channel */
	pid_t front, back;
	double back_began;
	bool again;              /* the process that looks was begun before */
};

/* ---- options ---- */

static err_t port_parse(const char *text, unsigned *port)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || v > 65535)
		return err_new(E_USAGE, "--listen takes ADDRESS:PORT, not a port %s", text);
	*port = (unsigned)v;
	return NULL;
}

/* "ADDRESS:PORT", "[ADDRESS]:PORT", ":PORT", "PORT". */
static err_t listen_parse(struct serve *s, const char *text)
{
	char host[64] = ADDRESS;
	unsigned port = PORT;
	const char *colon = text ? strrchr(text, ':') : NULL;
	const char *start = text && *text == '[' ? text + 1 : text;
	const char *end = text && *text == '[' ? strchr(text, ']') : colon;
	if (text)
		TRY(port_parse(colon ? colon + 1 : text, &port));
	if (end && end != start) {
		if (end > colon || (size_t)(end - start) >= sizeof host || (*text == '[' && end + 1 != colon))
			return err_new(E_USAGE, "--listen takes ADDRESS:PORT, not %s", text);
		snprintf(host, sizeof host, "%.*s", (int)(end - start), start);
	}
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s->at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s->at;
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : ADDRESS, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		s->at_len = sizeof *v4;
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		s->at_len = sizeof *v6;
	} else {
		return err_new(E_USAGE, "--listen takes an address, not %s", host);
	}
	return NULL;
}

/* The first line of the file. */
static err_t token_read(const char *path, char **out)
{
	char text[256];
	FILE *f = fopen(path, "re");
	if (!f)
		return err_errno(E_IO, errno, path);
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	*out = strdup(text);
	return *out ? NULL : ERR_NOMEM;
}

static err_t hosts_parse(struct serve *s, const struct args *a)
{
	for (size_t i = 0; i < a->ngiven; i++) {
		if (strcmp(a->given[i].opt->name, "host") != 0)
			continue;
		if (s->o.entry.nhosts == HOSTS_MAX)
			return err_new(E_USAGE, "--host may be given %d times", HOSTS_MAX);
		s->hosts[s->o.entry.nhosts++] = a->given[i].value;
	}
	s->o.entry.hosts = s->hosts;
	return NULL;
}

static err_t interval_parse(struct serve *s, const struct args *a)
{
	const char *interval = opt_value(a, "interval"), *pause = opt_value(a, "max-pause");
	double seconds = 1;
	s->o.interval = INTERVAL_S;
	if (interval)
		TRY(duration_parse(interval, &s->o.interval));
	if (!(s->o.interval >= 0.1 && s->o.interval <= 86400))
		return err_new(E_USAGE, "--interval takes a duration from 100ms to a day, not %s", interval);
	if (pause)
		TRY(duration_parse(pause, &seconds));
	if (!(seconds >= 0.001 && seconds <= 3600))
		return err_new(E_USAGE, "--max-pause takes a duration from 1ms to an hour, not %s", pause);
	s->o.pause_ns = (int64_t)(seconds * 1e9);
	return NULL;
}

static err_t parse(struct serve *s, const struct call *c)
{
	const struct args *a = &c->args;
	s->o.words = c->words;
	s->o.nwords = c->nwords;
	s->o.tree = opt_value(a, "tree");
	s->o.match = opt_value(a, "match");
	s->o.all = opt_given(a, "all");
	s->o.allow_actions = opt_given(a, "allow-actions");
	s->o.no_pause = opt_given(a, "no-pause") ? SNAPSHOT_NO_PAUSE : 0;
	s->o.target = (struct target_opts){ opt_value(a, "exe"), opt_value(a, "sysroot"), opt_value(a, "debug-dir") };
	if (!c->nwords && !s->o.tree && !s->o.match && !s->o.all)
		return err_new(E_USAGE, "serve needs targets: PIDs or files (cores, saved looks), --tree PID, --match GLOB or --all");
	TRY(listen_parse(s, opt_value(a, "listen")));
	TRY(interval_parse(s, a));
	TRY(hosts_parse(s, a));
	if (opt_value(a, "token-file"))
		TRY(token_read(opt_value(a, "token-file"), &s->token));
	return NULL;
}

/* What was named must be there, so that a slip is said at once. */
static err_t check_targets(const struct serve *s)
{
	for (size_t i = 0; i < s->o.nwords; i++) {
		struct capture *cap = NULL;
		TRY(capture_open(s->o.words[i], &s->o.target, &cap));
		capture_close(cap);
	}
	if (s->o.tree) {
		struct pids tree = { 0 };
		TRY(pids_tree(s->o.tree, &tree));
		vec_free(&tree);
	}
	return NULL;
}

/* ---- processes ---- */

static unsigned port_of(const struct serve *s)
{
	return ntohs(s->at.ss_family == AF_INET ? ((const struct sockaddr_in *)&s->at)->sin_port
						: ((const struct sockaddr_in6 *)&s->at)->sin6_port);
}

static err_t open_sockets(struct serve *s)
{
	int on = 1, pair[2];
	s->listener = socket(s->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0)
		return err_errno(E_IO, errno, "socket");
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s->listener, (struct sockaddr *)&s->at, s->at_len) != 0 || listen(s->listener, BACKLOG) != 0 ||
	    getsockname(s->listener, (struct sockaddr *)&s->at, &s->at_len) != 0)
		return err_errno(E_IO, errno, "listening (--listen ADDRESS:PORT chooses another address)");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return err_errno(E_IO, errno, "socketpair");
	s->front_end = pair[0];
	s->back_end = pair[1];
	return NULL;
}

/* In a child, which does not outlive us. */
static void be_child(pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

static err_t start_front(struct serve *s)
{
	pid_t us = getpid();
	s->front = fork();
	if (s->front < 0)
		return err_errno(E_IO, errno, "fork");
	if (s->front)
		return NULL;
	be_child(us);
	prctl(PR_SET_NAME, "asyncmon-http");
	close(s->back_end);
	err_t e = http_run(&(struct http_opts){ s->listener, s->front_end, &s->o.entry });
	if (e)
		fprintf(stderr, "asyncmon: %s\n", e->msg);
	_exit(e ? STATUS_ATTACH : STATUS_FINE);
}

static err_t start_back(struct serve *s)
{
	pid_t us = getpid();
	s->back_began = now_seconds();
	s->back = fork();
	if (s->back < 0)
		return err_errno(E_IO, errno, "fork");
	if (s->back)
		return NULL;
	be_child(us);
	prctl(PR_SET_NAME, "asyncmon-look");
	close(s->listener);
	serve_back(&s->o, s->back_end, s->again);
	_exit(STATUS_FINE);
}

static void nap(double seconds)
{
	const struct timespec ts = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
	nanosleep(&ts, NULL);
}

/* A child ended: the one that looks is begun anew. False: the other one did. */
static bool mend(struct serve *s)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == s->front) {
			s->front = 0;
			return false;
		}
		if (pid != s->back)
			continue;
		fprintf(stderr, "asyncmon: the process that looks ended (%s %d); another takes its place\n",
			WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		if (now_seconds() - s->back_began < AGAIN_S)
			nap(AGAIN_S);
		s->again = true;
		err_t e = start_back(s);
		err_free(e);
		if (e)
			return false;
	}
	return true;
}

/* It ends by itself once nobody can ask any more, unless it is amid a look that takes long. */
static void end_back(const struct serve *s)
{
	double until = now_seconds() + END_S;
	pid_t ended = 0;
	/* fork() may have failed: kill(-1) would be everybody. */
	if (s->back <= 0)
		return;
	while ((ended = waitpid(s->back, NULL, WNOHANG)) == 0 && now_seconds() < until)
		nap(0.01);
	if (ended == 0)
		kill(s->back, SIGKILL);
}

static void watch(struct serve *s, const sigset_t *signals)
{
	int got;
	do
		got = sigwaitinfo(signals, NULL);
	while ((got == SIGCHLD && mend(s)) || (got < 0 && errno == EINTR));
	if (s->front > 0)
		kill(s->front, SIGTERM);
	end_back(s);
	if (s->front > 0)
		waitpid(s->front, NULL, 0);
	if (s->back > 0)
		waitpid(s->back, NULL, 0);
}

/* ---- the command ---- */

static void say_where(struct call *c, const struct serve *s)
{
	char host[INET6_ADDRSTRLEN] = "", url[256];
	bool v4 = s->at.ss_family == AF_INET;
	inet_ntop(s->at.ss_family, v4 ? (const void *)&((const struct sockaddr_in *)&s->at)->sin_addr
				      : (const void *)&((const struct sockaddr_in6 *)&s->at)->sin6_addr, host, sizeof host);
	snprintf(url, sizeof url, v4 ? "http://%s:%u/?token=%s" : "http://[%s]:%u/?token=%s", host, port_of(s), s->o.entry.token);
	if (c->as_json) {
		json_answer(&c->json);
		json_key(&c->json, "url");
		json_str(&c->json, url);
		json_object_end(&c->json);
		json_end(&c->json);
	} else {
		strbuf_fmt(&c->out->b, "%s\n", url);
	}
	out_flush(c->out);
	if (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0)
		fprintf(stderr, "asyncmon: the page can be reached from other machines, and is not encrypted\n");
}

static err_t run(struct call *c, struct serve *s)
{
	sigset_t signals;
	TRY(parse(s, c));
	TRY(check_targets(s));
	TRY(open_sockets(s));
	TRY(entry_make(&s->o.entry, s->token, port_of(s)));
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	TRY(start_front(s));
	/* So that the front's end closes with the front. */
	close(s->front_end);
	s->front_end = -1;
	TRY(start_back(s));
	say_where(c, s);
	watch(s, &signals);
	return NULL;
}

static int serve_run(struct call *c)
{
	struct serve s = { .listener = -1, .front_end = -1, .back_end = -1 };
	err_t e = run(c, &s);
	const int fds[] = { s.listener, s.front_end, s.back_end };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(s.token);
	return e ? call_fail(c, e) : STATUS_FINE;
}

static const struct option serve_options[] = {
	{ "listen", 0, "ADDRESS:PORT", "where to listen (127.0.0.1:7317); port 0: any that is free" },
	{ "all", 'a', NULL, "every process here that runs asyncio and may be looked at, as they come and go" },
	{ "match", 0, "GLOB", "those whose command line matches, as they come and go" },
	{ "tree", 0, "PID", "that process and its descendants, as they come and go" },
	{ "interval", 0, "DURATION", "the least time between two looks at a target (1s)" },
	{ "allow-actions", 0, NULL, "let the page cancel tasks and send signals" },
	{ "host", 0, "NAME", "a name that the server may be called by, beside its addresses; may be given again" },
	{ "token-file", 0, "FILE", "take the token from the first line of FILE, for what asks again and again" },
	{ NULL, 0, NULL, NULL }
};

const struct command cmd_serve = {
	.name = "serve",
	.arguments = "[TARGET...]",
	.summary = "a web page, JSON and metrics over HTTP",
	.description = "Serves pages about the targets, the same JSON as --json below /api/1/, and metrics for "
		       "Prometheus at /metrics. Prints the URL to open, which has a token in it. A target is "
		       "looked at when somebody asks, at most once an interval, and all who ask share the look. "
		       "Nothing is changed in a target unless --allow-actions is given. Ends with Ctrl-C.",
	.options = serve_options,
	.flags = CMD_CORE | CMD_NO_SESSION,
	.run = serve_run,
};
