#include "cmd/source.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (8u << 20)
#define LINE_MAX_SHOWN 400
#define FILES_MAX 512

/* Two clock ticks of the kernel: starts of processes and times of files are cut to them. */
#define GRAIN_NS 20000000

enum source_state {
	SOURCE_NONE,         /* there is no such file, or none that the target could read */
	SOURCE_READ,
	SOURCE_DOUBTFUL,     /* it may be another text than what ran */
	SOURCE_CHANGED,      /* it may be, and its lines are not shown */
	SOURCE_ANOTHER,      /* it is */
	SOURCE_SILENT,       /* its file system does not answer */
};

struct source_file {
	char *path;
	const struct source_text *kept; /* of a saved look, or NULL */
	enum source_state state;
	char *text;          /* NULL: cannot be read */
	size_t size;
	uint32_t *lines;     /* where each starts */
	size_t nlines;
};

static char *read_all(int fd, uint64_t size)
{
	char *text = malloc(size ? size : 1);
	for (size_t n = 0; text && n < size;) {
		ssize_t got = pread(fd, text + n, size - n, (off_t)n);
		if (got <= 0) {
			free(text);
			return NULL;
		}
		n += (size_t)got;
	}
	return text;
}

static void index_lines(struct source_file *f)
{
	size_t n = 1;
	for (size_t i = 0; i < f->size; i++)
		n += f->text[i] == '\n';
	f->lines = calloc(n, sizeof *f->lines);
	if (!f->lines)
		return;
	f->nlines = 1;
	for (size_t i = 0; i < f->size; i++)
		if (f->text[i] == '\n')
			f->lines[f->nlines++] = (uint32_t)i + 1;
}

/* A copy of the file as it was in one moment, more or less: *st is from before it. */
static err_t read_file(const struct target *t, const char *path, uint64_t most, char **text, size_t *size,
		       struct stat *st)
{
	int fd;
	struct stat copy;
	*text = NULL;
	if (!t->ops->open_path)
		return ERR_NOTFOUND;
	TRY(t->ops->open_path((struct target *)(uintptr_t)t, path, most, &fd, st));
	if (fstat(fd, &copy) == 0 && (uint64_t)copy.st_size <= most) {
		*size = (size_t)copy.st_size;
		*text = read_all(fd, *size);
	}
	close(fd);
	return *text ? NULL : ERR_NOMEM;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	int64_t by = (a->tv_sec - b->tv_sec) * 1000000000ll + a->tv_nsec - b->tv_nsec;
	return by > GRAIN_NS;
}

/* "/srv/app.py" is compiled into "/srv/__pycache__/app.cpython-311.pyc"; that says of which
 * text (PEP 552): a magic number, flags, and without flags the time and size of it. Where
 * it was there when the target began and is of the text of today, that text is the one. */
static bool compiled_before(const struct source *s, const char *path, const struct stat *now)
{
	const struct target *t = s->target;
	char there[4096];
	const char *slash = strrchr(path, '/');
	struct stat st;
	size_t size;
	char *pyc;
	uint32_t head[4];
	unsigned minor;
	if (!s->python || sscanf(s->python, "3.%u", &minor) != 1 || strlen(slash) < 5 || strcmp(path + strlen(path) - 3, ".py") != 0 ||
	    snprintf(there, sizeof there, "%.*s__pycache__/%.*s.cpython-3%u.pyc", (int)(slash + 1 - path), path,
		     (int)strlen(slash) - 4, slash + 1, minor) >= (int)sizeof there)
		return false;
	err_t e = read_file(t, there, FILE_MAX, &pyc, &size, &st);
	err_free(e);
	if (e)
		return false;
	bool same = size > sizeof head && !is_later(&st.st_ctim, &t->since);
	if (same) {
		memcpy(head, pyc, sizeof head);
		same = head[1] == 0 && head[2] == (uint32_t)now->st_mtim.tv_sec && head[3] == (uint32_t)now->st_size;
	}
	free(pyc);
	return same;
}
/* Was the file changed after the target may have read it? The time of its text can be set
 * to any (rsync and tar do), that of its inode cannot, but says as much of a chmod.
 *
 * Of a core only the end is known, and the sources beside it may have been unpacked or
 * checked out for it later: newer ones are in doubt, no more. */
static enum source_state judge(const struct source *s, const char *path, const struct stat *st)
{
	const struct timespec *since = &s->target->since;
	if (!since->tv_sec)
		return SOURCE_READ;
	if (s->target->kind == TARGET_CORE)
		return is_later(&st->st_mtim, since) ? SOURCE_DOUBTFUL : SOURCE_READ;
	if (is_later(&st->st_mtim, since) || (is_later(&st->st_ctim, since) && !compiled_before(s, path, st)))
		return SOURCE_CHANGED;
	return SOURCE_READ;
}

static const struct source_text *kept(const struct source *s, const char *path)
{
	for (size_t i = 0; i < s->nkept; i++)
		if (strcmp(s->kept[i].file, path) == 0)
			return &s->kept[i];
	return NULL;
}

static void load(struct source *s, struct source_file *f)
{
	struct stat st;
	f->kept = kept(s, f->path);
	if (!s->target)
		return;
	err_t e = read_file(s->target, f->path, FILE_MAX, &f->text, &f->size, &st);
	f->state = !e ? judge(s, f->path, &st) : err_code(e) == E_BUSY ? SOURCE_SILENT : SOURCE_NONE;
	err_free(e);
	if (f->text)
		index_lines(f);
}

static struct source_file *file_of(struct source *s, const char *path)
{
	for (size_t i = 0; i < s->nfiles; i++)
		if (!strcmp(s->files[i].path, path))
			return &s->files[i];
	if (s->nfiles == FILES_MAX)
		return NULL;
	struct source_file *v = realloc(s->files, (s->nfiles + 1) * sizeof *v);
	if (!v)
		return NULL;
	s->files = v;
	/* Its own: the snapshot may go before the source does. */
	v[s->nfiles] = (struct source_file){ .path = strdup(path) };
	if (!v[s->nfiles].path)
		return NULL;
	load(s, &v[s->nfiles]);
	return &v[s->nfiles++];
}

/* The n-th line without its indentation. */
static const char *text_of(const struct source_file *f, int n, size_t *len)
{
	const char *p = f->text + f->lines[n - 1], *end = f->text + f->size;
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\f'))
		p++;
	const char *from = p;
	while (p < end && *p != '\n' && *p && p - from < LINE_MAX_SHOWN)
		p++;
	while (p > from && (p[-1] == '\r' || p[-1] == ' '))
		p--;
	*len = (size_t)(p - from);
	return from;
}

/* Does the function begin in the line where its code says? With a decorator, or its name
 * behind def or class. Others are not asked: "<lambda>", and names that Python may have
 * normalised or made up. */
static bool begins_there(const struct source_file *f, const struct source_place *at)
{
	const char *name = at->function ? strrchr(at->function, '.') : NULL;
	size_t len, n;
	name = name ? name + 1 : at->function;
	if (!name || at->first < 1 || !(n = strlen(name)) || strcmp(name, "__annotate__") == 0 ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != n)
		return true;
	if ((size_t)at->first > f->nlines)
		return false;
	const char *text = text_of(f, at->first, &len);
	return (len && *text == '@') || len == LINE_MAX_SHOWN || memmem(text, len, name, n);
}

static bool kept_line(const struct source_text *t, int line, struct strbuf *b)
{
	for (size_t from = 0, to = t->nrows; from < to;) {
		size_t i = from + (to - from) / 2;
		if (t->rows[i].line == line) {
			strbuf_str(b, t->rows[i].text);
			return true;
		}
		if (t->rows[i].line < line)
			from = i + 1;
		else
			to = i;
	}
	return false;
}

bool source_line(struct source *s, const struct source_place *at, struct strbuf *b)
{
	/* "<string>", "<frozen …>": no file has that name. */
	if ((!s->target && !s->kept) || !at->file || *at->file != '/' || at->line < 1)
		return false;
	struct source_file *f = file_of(s, at->file);
	if (f && f->kept)
		return kept_line(f->kept, at->line, b);
	if (!f || (f->state != SOURCE_READ && f->state != SOURCE_DOUBTFUL))
		return false;
	if ((size_t)at->line > f->nlines || !begins_there(f, at)) {
		f->state = SOURCE_ANOTHER;
		return false;
	}
	size_t len;
	const char *text = text_of(f, at->line, &len);
	if (!len)
		return false;
	strbuf_add(b, text, len);
	return true;
}

bool source_said(const struct source *s, size_t i, struct strbuf *b)
{
	static const char *const said[] = {
		[SOURCE_SILENT] = "%s is on a file system that does not answer; its lines are left out.",
		[SOURCE_CHANGED] = "%s was changed after the process started; its lines are left out.",
		[SOURCE_ANOTHER] = "%s is not the text that ran: functions do not begin where they should; its lines are left out.",
		[SOURCE_DOUBTFUL] = "%s is newer than the core file: its lines may not be those that ran.",
	};
	const struct source_file *f = &s->files[i];
	if (f->kept && f->kept->said)
		strbuf_str(b, f->kept->said);
	if (f->kept)
		return f->kept->said;
	if (f->state == SOURCE_NONE || f->state == SOURCE_READ)
		return false;
	strbuf_fmt(b, said[f->state], f->path);
	return true;
}

const char *source_path(const struct source *s, size_t i)
{
	return i < s->nfiles ? s->files[i].path : NULL;
}

void source_free(struct source *s)
{
	for (size_t i = 0; i < s->nfiles; i++) {
		free(s->files[i].path);
		free(s->files[i].text);
		free(s->files[i].lines);
	}
	free(s->files);
	*s = (struct source){ 0 };
}
