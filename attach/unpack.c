#include "attach/unpack.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#include "attach/core.h"

#define PIECE (1u << 20)
#define BLOCK 4096u
#define UNKNOWN (UINT64_MAX >> 1)

/* Program headers lie at the beginning of every core that is known to be written. */
#define HEADERS_MAX (64u << 20)
/* How much is written before free space is looked at again. */
#define SPACE_STEP (8u << 20)

struct out {
	int fd;
	const char *dir;
	uint64_t at;
	uint64_t most;           /* where what the core's headers speak of ends, once they are known */
	uint64_t written, looked; /* not counting holes; how much of it when space was looked at */
};

static bool zeros(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* A small file can unpack into more than a disk holds; a tenth of it stays free. */
static err_t keep_space(struct out *o, size_t more)
{
	struct statvfs st;
	o->written += more;
	if (o->looked && o->written - o->looked < SPACE_STEP)
		return NULL;
	o->looked = o->written;
	if (fstatvfs(o->fd, &st) < 0 || st.f_bavail >= st.f_blocks / 10)
		return NULL;
	return err_new(E_IO, "less than a tenth of %s would stay free; set TMPDIR to a folder with more space", o->dir);
}

static err_t put_at(struct out *o, const char *p, size_t n, uint64_t at)
{
	TRY(keep_space(o, n));
	while (n) {
		ssize_t put = pwrite(o->fd, p, n, (off_t)at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_errno(E_IO, put ? errno : ENOSPC, o->dir);
		p += put;
		n -= (size_t)put;
		at += (size_t)put;
	}
	return NULL;
}

/* Writes, but leaves blocks of zeros out. */
static err_t out_write(struct out *o, const char *p, size_t n)
{
	n = n < o->most - o->at ? n : o->most - o->at;
	while (n) {
		size_t len = n < BLOCK ? n : BLOCK;
		if (!zeros(p, len)) {
			while (len < n && !zeros(p + len, n - len < BLOCK ? n - len : BLOCK))
				len += n - len < BLOCK ? n - len : BLOCK;
			TRY(put_at(o, p, len, o->at));
		}
		p += len;
		n -= len;
		o->at += len;
	}
	return NULL;
}

/* Where the last byte lies that a program header speaks of. */
static err_t headers_end(const struct out *o, uint64_t offset, size_t n, uint64_t *end)
{
	Elf64_Phdr *ph = calloc(n + 1, sizeof *ph);
	if (!ph)
		return ERR_NOMEM;
	if (read_at(o->fd, offset, ph, n * sizeof *ph))
		for (size_t i = 0; i < n; i++) {
			uint64_t last;
			if (!__builtin_add_overflow(ph[i].p_offset, ph[i].p_filesz, &last) && last > *end)
				*end = last;
		}
	free(ph);
	return NULL;
}

/* Once enough was unpacked to know it: how much of the file its own headers speak of. Of
 * what is no core no more than this is unpacked: whoever opens it says what it is. */
static err_t out_bound(struct out *o)
{
	Elf64_Ehdr eh;
	Elf64_Phdr first;
	if (o->most != UNKNOWN || o->at < sizeof eh + sizeof first)
		return NULL;
	if (!read_at(o->fd, 0, &eh, sizeof eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_type != ET_CORE || eh.e_phoff > HEADERS_MAX) {
		o->most = o->at;
		return NULL;
	}
	uint64_t end = eh.e_phoff + sizeof first, n = eh.e_phnum;
	if (o->at < end)
		return NULL;
	/* The number of more than 65,534 stands at the end of the file; but what the first of
	 * them speaks of follows on the last. */
	if (n == PN_XNUM && read_at(o->fd, eh.e_phoff, &first, sizeof first) && first.p_offset > eh.e_phoff)
		n = (first.p_offset - eh.e_phoff) / sizeof first;
	n = n < HEADERS_MAX / sizeof first ? n : HEADERS_MAX / sizeof first;
	end = eh.e_phoff + n * sizeof first;
	if (o->at < end)
		return NULL;
	if (ftruncate(o->fd, (off_t)o->at) < 0) /* they may end in a hole */
		return err_errno(E_IO, errno, o->dir);
	if (eh.e_phnum == PN_XNUM && eh.e_shoff < INT64_MAX && eh.e_shoff + sizeof(Elf64_Shdr) > end)
		end = eh.e_shoff + sizeof(Elf64_Shdr);
	TRY(headers_end(o, eh.e_phoff, n, &end));
	o->most = end < o->at ? o->at : end;
	return NULL;
}

struct codec {
	void *state;
	/* Unpacks some of in[*at, n) into out; *outlen: how much. Returns what is
	 * wrong, or NULL; *end at the end of a frame. */
	const char *(*step)(void *state, const char *in, size_t n, size_t *at,
			    char *out, size_t *outlen, bool *end);
};

static const char *step_zstd(void *state, const char *in, size_t n, size_t *at,
			     char *out, size_t *outlen, bool *end)
{
	ZSTD_inBuffer i = { in, n, *at };
	ZSTD_outBuffer o = { out, *outlen, 0 };
	size_t got = ZSTD_decompressStream(state, &o, &i);
	*at = i.pos;
	*outlen = o.pos;
	*end = got == 0;
	return ZSTD_isError(got) ? ZSTD_getErrorName(got) : NULL;
}

static const char *step_lz4(void *state, const char *in, size_t n, size_t *at,
			    char *out, size_t *outlen, bool *end)
{
	size_t used = n - *at;
	size_t got = LZ4F_decompress(state, out, outlen, in + *at, &used, NULL);
	*at += used;
	*end = got == 0;
	return LZ4F_isError(got) ? LZ4F_getErrorName(got) : NULL;
}

/* Until the input is used up and nothing more comes of it. */
static err_t unpack_piece(const struct codec *c, const char *path, const char *in, size_t n, char *out,
			  struct out *o)
{
	size_t at = 0, got = PIECE;
	bool end = false;
	while (o->at < o->most && (at < n || (got == PIECE && !end))) {
		got = PIECE;
		const char *wrong = c->step(c->state, in, n, &at, out, &got, &end);
		if (wrong)
			return err_new(E_BADDATA, "%s: damaged: %s", path, wrong);
		err_t e = out_write(o, out, got);
		if (!e)
			e = out_bound(o);
		if (e)
			return err_wrap(e, "unpacking %s", path);
	}
	return NULL;
}

/* All that the core's headers speak of. One that ends early gives what it has: the rest
 * of the core is unknown then, as in any truncated core. */
static err_t unpack_all(int fd, const struct codec *c, const char *path, struct out *o)
{
	char *in = malloc(PIECE), *out = malloc(PIECE);
	err_t e = in && out ? NULL : ERR_NOMEM;
	while (!e && o->at < o->most) {
		ssize_t n = read(fd, in, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			e = err_errno(E_IO, errno, path);
		if (n <= 0)
			break;
		e = unpack_piece(c, path, in, (size_t)n, out, o);
	}
	if (!e && ftruncate(o->fd, (off_t)o->at) < 0)
		e = err_errno(E_IO, errno, o->dir);
	free(in);
	free(out);
	return e;
}

static err_t unpack_with(int fd, const char *path, bool lz4, struct out *to)
{
	struct codec c = { NULL, lz4 ? step_lz4 : step_zstd };
	if (lz4) {
		LZ4F_dctx *ctx = NULL;
		if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)))
			return ERR_NOMEM;
		c.state = ctx;
		err_t e = unpack_all(fd, &c, path, to);
		LZ4F_freeDecompressionContext(ctx);
		return e;
	}
	c.state = ZSTD_createDStream();
	if (!c.state)
		return ERR_NOMEM;
	err_t e = unpack_all(fd, &c, path, to);
	ZSTD_freeDStream(c.state);
	return e;
}

static int unnamed_file(const char **dir)
{
	const char *tmp = secure_getenv("TMPDIR");
	*dir = tmp && *tmp ? tmp : "/var/tmp";
	int fd = open(*dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	char name[4096];
	if (snprintf(name, sizeof name, "%s/asyncmon-XXXXXX", *dir) >= (int)sizeof name)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

err_t unpack(int *fd, const char *path)
{
	static const struct { const char *magic; size_t n; const char *tool; } known[] = {
		{ "\x28\xb5\x2f\xfd", 4, NULL },
		{ "\x04\x22\x4d\x18", 4, NULL },
		{ "\xfd" "7zXZ", 5, "xz" },
		{ "\x1f\x8b", 2, "gzip" },
		{ "BZh", 3, "bzip2" },
	};
	char magic[8] = { 0 };
	if (pread(*fd, magic, sizeof magic, 0) < 4)
		return NULL;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (memcmp(magic, known[i].magic, known[i].n) != 0)
			continue;
		if (known[i].tool)
			return err_new(E_UNSUPPORTED, "%s is compressed; unpack it first: %s -dc '%s' > core",
				       path, known[i].tool, path);
		const char *dir;
		int to = unnamed_file(&dir);
		if (to < 0)
			return err_wrap(err_errno(E_IO, errno, dir), "unpacking %s", path);
		struct out o = { .fd = to, .dir = dir, .most = UNKNOWN };
		err_t e = unpack_with(*fd, path, i == 1, &o);
		if (e) {
			close(to);
			return e;
		}
		close(*fd);
		*fd = to;
		return NULL;
	}
	return NULL;
}
