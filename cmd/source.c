#include "cmd/source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (8u << 20)
#define LINE_MAX_SHOWN 400
#define FILES_MAX 512

struct source_file {
	const char *path;    /* the snapshot's */
	char *text;          /* NULL: cannot be read */
	size_t size;
	uint32_t *lines;     /* where each starts */
	size_t nlines;
};

static char *read_all(int fd, size_t *size)
{
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > FILE_MAX)
		return NULL;
	char *text = malloc((size_t)st.st_size);
	size_t n = 0;
	while (text && n < (size_t)st.st_size) {
		ssize_t got = read(fd, text + n, (size_t)st.st_size - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	*size = n;
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

static void load(struct source *s, struct source_file *f)
{
	int fd = -1;
	err_t e = s->target->ops->open_path ? s->target->ops->open_path(s->target, f->path, &fd) : ERR_NOTFOUND;
	err_free(e);
	if (e)
		return;
	f->text = read_all(fd, &f->size);
	close(fd);
	if (f->text)
		index_lines(f);
}

static struct source_file *file_of(struct source *s, const char *path)
{
	for (size_t i = 0; i < s->nfiles; i++)
		if (s->files[i].path == path || !strcmp(s->files[i].path, path))
			return &s->files[i];
	if (s->nfiles == FILES_MAX)
		return NULL;
	struct source_file *v = realloc(s->files, (s->nfiles + 1) * sizeof *v);
	if (!v)
		return NULL;
	s->files = v;
	v[s->nfiles] = (struct source_file){ .path = path };
	load(s, &v[s->nfiles]);
	return &v[s->nfiles++];
}

bool source_line(struct source *s, const char *path, int line, struct strbuf *b)
{
	/* "<string>", "<frozen …>": no file has that name. */
	if (!s->target || !path || *path != '/' || line < 1)
		return false;
	const struct source_file *f = file_of(s, path);
	if (!f || !f->text || (size_t)line > f->nlines)
		return false;
	const char *p = f->text + f->lines[line - 1], *end = f->text + f->size;
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\f'))
		p++;
	const char *from = p;
	while (p < end && *p != '\n' && *p && p - from < LINE_MAX_SHOWN)
		p++;
	while (p > from && (p[-1] == '\r' || p[-1] == ' '))
		p--;
	if (p == from)
		return false;
	strbuf_add(b, from, (size_t)(p - from));
	return true;
}

void source_free(struct source *s)
{
	for (size_t i = 0; i < s->nfiles; i++) {
		free(s->files[i].text);
		free(s->files[i].lines);
	}
	free(s->files);
	*s = (struct source){ 0 };
}
