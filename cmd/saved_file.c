#include "cmd/saved_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/room.h"
#include "snapshot/saved.h"
#include "tasks/narrow.h"

/* Of the memory there is, what the look may take. */
static uint64_t room(void)
{
	return memory_room("") / 2;
}

static err_t read_all(int fd, const char *path, struct strbuf *file)
{
	struct stat st;
	char head[SAVED_MAGIC_SIZE];
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || pread(fd, head, sizeof head, 0) != sizeof head ||
	    !saved_is(head, sizeof head))
		return ERR_NOTFOUND;
	if ((uint64_t)st.st_size > room() || !strbuf_room(file, (size_t)st.st_size))
		return err_new(E_NOMEM, "%s is larger than what there is memory for", path);
	while (file->len < (size_t)st.st_size) {
		ssize_t n = pread(fd, file->s + file->len, (size_t)st.st_size - file->len, (off_t)file->len);
		if (n <= 0)
			return err_new(E_IO, "%s could not be read to its end", path);
		file->len += (size_t)n;
	}
	return NULL;
}

static err_t load(const char *path, const struct strbuf *file, struct saved_file **out)
{
	struct saved_file *f = calloc(1, sizeof *f);
	if (!f)
		return ERR_NOMEM;
	err_t e = saved_unpack(file->s, file->len, room(), &f->body);
	if (!e)
		e = saved_read(f->body.s, f->body.len, room(), &f->first);
	if (e) {
		saved_file_close(f);
		return err_wrap(e, "%s", path);
	}
	f->pid = f->first->pid;
	*out = f;
	return NULL;
}

err_t saved_file_open(const char *path, struct saved_file **out)
{
	struct strbuf file = { 0 };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	*out = NULL;
	if (fd < 0)
		return NULL;
	err_t e = read_all(fd, path, &file);
	close(fd);
	if (!e)
		e = load(path, &file, out);
	strbuf_free(&file);
	return err_code(e) == E_NOTFOUND ? NULL : e;
}

err_t saved_file_look(struct saved_file *f, unsigned what, struct snapshot **out)
{
	struct snapshot *s = f->first;
	f->first = NULL;
	if (!s)
		TRY(saved_read(f->body.s, f->body.len, room(), &s));
	if (s->no_asyncio && !(what & SNAPSHOT_NO_TASKS)) {
		f->first = s;
		return err_new(E_NOASYNCIO, "process %d ran Python %s, which had not imported asyncio", (int)s->pid, s->python);
	}
	snapshot_narrow(s, what);
	*out = s;
	return NULL;
}

void saved_file_close(struct saved_file *f)
{
	if (!f)
		return;
	strbuf_free(&f->body);
	snapshot_free(f->first);
	free(f);
}
