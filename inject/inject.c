#include "inject/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach/act.h"
#include "attach/proc.h"
#include "attach/process.h"
#include "inject/limits.h"
#include "inject/seccomp.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "base/syscalls.h"

#define DEADLINE_MS 10000
#define POLL_NS 500000
#define BLOCKED_MS 1500
#define NAP_MAX_NS 50000000
#define SETTLE_NAPS 2000
#define OLD_MAX 256
#define SCRIPT_MAX 16384 /* the wrapper, and 40 bytes for each old channel */
#define YOUNG_NAP_NS 20000000
#define YOUNG_MS (1000 * (CHANNEL_ABANDONED_S + 1)) /* st_mtime is compared in whole seconds */

/* Runs the text in a namespace of its own; page 0 of the channel carries how it went.
 * A Ctrl-C that arrives meanwhile is given back to the program it was meant for. */
static const char wrapper_head[] =
	"def run(fd, text, start, size, old):\n"
	"    import os\n"
	"    def say(status, reply=''):\n"
	"        try:\n"
	"            data = reply.encode('utf-8', 'replace')[:3900]\n"
	"            os.pwrite(fd, data + b'\\0', 128)\n"
	"            os.pwrite(fd, status, 64)\n"
	"        except OSError:\n"
	"            pass\n"
	"    def blob():\n"
	"        parts, at = [], start\n"
	"        while at < start + size:\n"
	"            part = os.pread(fd, start + size - at, at)\n"
	"            if not part:\n"
	"                raise EOFError('the channel is too short')\n"
	"            parts.append(part)\n"
	"            at += len(part)\n"
	"        return b''.join(parts)\n"
	"    try:\n"
	"        if os.pread(fd, 1, 64) != b'q':\n"
	"            return\n"
	"        say(b'r')\n"
	"        names = {'__name__': 'asyncmon', 'fd': fd, 'blob': blob}\n"
	"        exec(compile(text, '<asyncmon>', 'exec'), names)\n"
	"        say(b'o', str(names.get('reply', '')))\n"
	"    except KeyboardInterrupt:\n"
	"        say(b'e', 'interrupted')\n"
	"        import _thread\n"
	"        _thread.interrupt_main()\n"
	"    except BaseException as e:\n"
	"        say(b'e', type(e).__name__ + ': ' + str(e))\n"
	"    finally:\n"
	"        os.close(fd)\n"
	"        for n, inode in old:\n"
	"            try:\n"
	"                if os.fstat(n).st_ino == inode:\n"
	"                    os.close(n)\n"
	"            except OSError:\n"
	"                pass\n";

static void nap(void)
{
	nanosleep(&(struct timespec){ 0, POLL_NS }, NULL);
}

/* Each try stops the target: they become rarer. */
static void nap_longer(int64_t *ns)
{
	nanosleep(&(struct timespec){ 0, *ns }, NULL);
	*ns = *ns * 2 < NAP_MAX_NS ? *ns * 2 : NAP_MAX_NS;
}

struct injection {
	struct target *t;
	const struct inject_site *site;
	const struct inject_text *text;
	int64_t deadline;
	struct { long call; int64_t since; } blocked; /* the main thread's system call, -1: none */
	struct channel channel;
	struct channel old[OLD_MAX]; /* left behind by others; closed by the text */
	size_t nold;
};

static err_t gone(const struct injection *i)
{
	return err_new(E_GONE, "process %d has ended", (int)i->t->pid);
}

/* The main thread's, as /proc has it; 0: there is none. */
static char state_of(const struct injection *i)
{
	char path[48], line[512], state = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)i->t->pid);
	FILE *f = fopen(path, "re");
	if (f && fgets(line, sizeof line, f)) {
		const char *p = strrchr(line, ')');
		if (p && p[1])
			state = p[2];
	}
	if (f)
		fclose(f);
	return state;
}

/* The same once it is certain. A stopped thread runs for a moment after we have let go of
 * it, until it stops again; where processors are short, that takes its time. */
static char settled_state(const struct injection *i)
{
	char state = state_of(i);
	for (int n = 0; n < SETTLE_NAPS && state == 'R' && target_was_stopped(i->t); n++) {
		nap();
		state = state_of(i);
	}
	return state;
}

static bool is_stopped(char state)
{
	return state == 'T' || state == 't';
}

/* NULL, or why nothing can run any more. */
static err_t lost(const struct injection *i)
{
	if (target_ended(i->t))
		return gone(i);
	if (!process_same_space(process_of(i->t)))
		return err_new(E_GONE, "process %d became another program (exec) meanwhile", (int)i->t->pid);
	return NULL;
}

/* Why nothing ran: what the main thread is at. */
static err_t not_run(const struct injection *i)
{
	char path[48], text[64] = "", state = settled_state(i);
	TRY(lost(i));
	snprintf(path, sizeof path, "/proc/%d/syscall", (int)i->t->pid);
	FILE *f = fopen(path, "re");
	int number = -1;
	if (f && fgets(text, sizeof text, f))
		number = strncmp(text, "running", 7) == 0 ? -1 : atoi(text);
	if (f)
		fclose(f);
	if (is_stopped(state))
		return err_new(E_BUSY, "process %d is stopped (SIGSTOP or a debugger): nothing runs in it", (int)i->t->pid);
	if (state == 'R')
		return err_new(E_BUSY, "process %d did not look within the deadline: its main thread is busy "
			       "outside of Python code (in C); nothing was changed", (int)i->t->pid);
	char *at = !i->site->care.any_thread && i->text->thread_at ? i->text->thread_at(i->text->arg, i->t->pid) : NULL;
	err_t e = at ? err_new(E_BUSY, "process %d did not look: its main thread is blocked in %s, and Python before 3.12 runs "
			       "what is put into it only there; nothing was changed", (int)i->t->pid, at) : NULL;
	free(at);
	if (e)
		return e;
	return err_new(E_BUSY, "process %d did not look within the deadline: its main thread is blocked in C "
		       "(%s), in no event loop that could be woken; nothing was changed",
		       (int)i->t->pid, syscall_name(number) ? syscall_name(number) : "a system call without a name");
}

/* Whether it is of no use to wait on: the one thread that could run it has been in the same
 * system call for a while, which no wake-up has ended. */
static bool stays_blocked(struct injection *i)
{
	pid_t pid = i->t->pid;
	long call = proc_state(pid, pid) == 'S' ? proc_syscall(pid) : -1;
	if (call < 0 || call != i->blocked.call)
		i->blocked.since = now_ms();
	i->blocked.call = call;
	return !i->site->care.any_thread && now_ms() - i->blocked.since >= BLOCKED_MS;
}

/* Puts a short text in place, again while the place is taken. */
static err_t put(struct injection *i, const char *text, struct inject_carrier **c)
{
	int64_t ns = POLL_NS;
	for (;;) {
		err_t e = carrier_put(i->t, i->site, text, c);
		bool late = now_ms() >= i->deadline;
		if (err_code(e) != E_BUSY || (late && !is_stopped(settled_state(i))))
			return e;
		err_free(e);
		if (late)
			return not_run(i);
		nap_longer(&ns);
	}
}

static err_t open_channel(struct injection *i)
{
	char text[512], nonce[24];
	uint64_t random;
	struct inject_carrier *c;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return err_errno(E_IO, errno, "getrandom");
	snprintf(nonce, sizeof nonce, "%016llx", (unsigned long long)random);
	channel_making(text, sizeof text, nonce);
	TRY(put(i, text, &c));
	bool found;
	err_t why = NULL;
	while (!(found = channel_find(i->t, nonce, &i->channel)) && now_ms() < i->deadline && !stays_blocked(i) &&
	       !(why = lost(i)))
		nap();
	/* Asked before the target is stopped once more. */
	bool taken = found || carrier_taken(i->t, c);
	if (!found && !why)
		why = not_run(i);
	if (!found && taken && err_code(why) == E_BUSY) {
		err_free(why);
		why = err_new(E_IO, "process %d ran the code, but could make no file for its answer: is there a descriptor "
			      "left (ulimit -n), and does no hook forbid it?", (int)i->t->pid);
	}
	carrier_end(i->t, c, taken);
	return why;
}

/* What others left behind, also the channels of texts that waited before ours and have run
 * with it: whose maker is alive takes it at once. Waits until those that are there now are
 * old, but for no more than half of the time left. */
static void find_old(struct injection *i)
{
	int64_t now = now_ms(), half = (i->deadline - now) / 2, until = now + (half < YOUNG_MS ? half : YOUNG_MS);
	bool young;
	for (;;) {
		i->nold = channel_abandoned(i->t, i->old, OLD_MAX, &young);
		if (!young || now_ms() >= until)
			return;
		for (size_t k = 0; k < i->nold; k++)
			close(i->old[k].ours);
		nanosleep(&(struct timespec){ 0, YOUNG_NAP_NS }, NULL);
	}
}

static bool write_at(int fd, const void *p, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t k = pwrite(fd, p, n, at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p = (const char *)p + k;
		n -= (size_t)k;
		at += k;
	}
	return true;
}

/* Wrapper, text as a bytes literal of its own file, then the bytes. */
static err_t fill_channel(struct injection *i, const struct inject_text *x, size_t *script_len)
{
	struct strbuf b = { 0 };
	size_t text_len = strlen(x->text);
	off_t text_at = CHANNEL_TEXT + SCRIPT_MAX, blob_at = text_at + (off_t)text_len;
	strbuf_str(&b, wrapper_head);
	strbuf_fmt(&b, "run(fd, __import__('os').pread(fd, %zu, %lld), %lld, %zu, [", text_len,
		   (long long)text_at, (long long)blob_at, x->blob_len);
	for (size_t k = 0; k < i->nold; k++) {
		struct stat st;
		if (fstat(i->old[k].ours, &st) == 0)
			strbuf_fmt(&b, "(%d, %llu),", i->old[k].theirs, (unsigned long long)st.st_ino);
	}
	strbuf_str(&b, "])\n");
	bool good = !b.failed && b.len < SCRIPT_MAX && ftruncate(i->channel.ours, CHANNEL_TEXT) == 0 &&
		    write_at(i->channel.ours, b.s, b.len, CHANNEL_TEXT) &&
		    write_at(i->channel.ours, x->text, text_len, text_at) &&
		    write_at(i->channel.ours, x->blob, x->blob_len, blob_at) &&
		    write_at(i->channel.ours, "q", 1, CHANNEL_STATUS);
	*script_len = b.len;
	strbuf_free(&b);
	return good ? NULL : err_errno(E_IO, errno, "the channel in the target");
}

static char status(const struct injection *i)
{
	char s = 0;
	return pread(i->channel.ours, &s, 1, CHANNEL_STATUS) == 1 ? s : 0;
}

static char *take_reply(const struct injection *i)
{
	char *s = calloc(1, CHANNEL_REPLY_MAX + 1);
	ssize_t n = s ? pread(i->channel.ours, s, CHANNEL_REPLY_MAX, CHANNEL_REPLY) : 0;
	if (s)
		s[n > 0 ? n : 0] = '\0';
	return s;
}

static bool alive(const struct injection *i)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)i->t->pid, i->channel.theirs);
	return access(path, F_OK) == 0 || errno == EACCES;
}

static err_t run_channel(struct injection *i, const struct inject_text *x, char **reply)
{
	char text[256];
	size_t len;
	struct inject_carrier *c;
	TRY(fill_channel(i, x, &len));
	snprintf(text, sizeof text,
		 INJECT_TEXT_HEAD
		 "try:\n"
		 " import os\n"
		 " exec(os.pread(%d,%zu,%d),{'fd':%d})\n"
		 "except BaseException:pass\n"
		 INJECT_TEXT_TAIL, i->channel.theirs, len, CHANNEL_TEXT, i->channel.theirs);
	TRY(put(i, text, &c));
	char s = 'q';
	/* The reply is there before the descriptor is closed. */
	while (now_ms() < i->deadline && (s == 'q' || s == 'r') && alive(i)) {
		nap();
		s = status(i);
	}
	s = status(i);
	err_t why = s != 'q' ? NULL : alive(i) ? not_run(i) : gone(i);
	if (s == 'q')
		write_at(i->channel.ours, "x", 1, CHANNEL_STATUS);
	carrier_end(i->t, c, s != 'q');
	if (why)
		return why;
	if (s == 'r')
		return now_ms() < i->deadline ? gone(i)
			: err_new(E_BUSY, "the code began to run in process %d, but did not end within the deadline",
				  (int)i->t->pid);
	char *said = take_reply(i);
	if (s == 'e') {
		err_t e = err_new(E_IO, "in process %d: %s", (int)i->t->pid, said ? said : "it raised");
		free(said);
		return e;
	}
	if (reply)
		*reply = said;
	else
		free(said);
	return NULL;
}

err_t inject_run(struct target *t, const struct inject_site *site, const struct inject_text *x,
		 char **reply)
{
	struct injection i = {
		.t = t,
		.site = site,
		.text = x,
		.blocked = { .call = -1 },
		.deadline = now_ms() + (x->deadline_ms ? x->deadline_ms : DEADLINE_MS),
		.channel.ours = -1,
	};
	if (t->kind != TARGET_PROCESS)
		return err_new(E_UNSUPPORTED, "a core dump cannot be acted on");
	err_t e = limits_check(t, CHANNEL_TEXT + x->file_bytes);
	if (!e && !x->force)
		e = seccomp_check(t, USE_TEXT | x->uses);
	if (!e)
		e = open_channel(&i);
	if (!e)
		find_old(&i);
	if (!e)
		e = run_channel(&i, x, reply);
	if (i.channel.ours >= 0)
		close(i.channel.ours);
	for (size_t k = 0; k < i.nold; k++)
		close(i.old[k].ours);
	return e;
}
