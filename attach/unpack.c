#include "attach/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define PIECE (1u << 20)
#define BLOCK 4096u

struct out {
	int fd;
	off_t at;
};

static bool zeros(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Writes, but leaves blocks of zeros out. */
static err_t out_write(struct out *o, const char *p, size_t n)
{
	while (n) {
		size_t len = n < BLOCK ? n : BLOCK;
		if (!zeros(p, len)) {
			while (len < n && !zeros(p + len, n - len < BLOCK ? n - len : BLOCK))
				len += n - len < BLOCK ? n - len : BLOCK;
			for (size_t done = 0; done < len;) {
				ssize_t put = pwrite(o->fd, p + done, len - done, o->at + (off_t)done);
				if (put <= 0)
					return err_errno(E_IO, errno, "unpacking");
				done += (size_t)put;
			}
		}
		p += len;
		n -= len;
		o->at += (off_t)len;
	}
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

/* All of the file. One that ends early gives what it has: the rest of the core is
 * unknown then, as in any truncated core. */
static err_t unpack_all(int fd, const struct codec *c, const char *path, int to)
{
	char *in = malloc(PIECE), *out = malloc(PIECE);
	struct out o = { to, 0 };
	bool end = false;
	err_t e = in && out ? NULL : ERR_NOMEM;
	while (!e) {
		ssize_t n = read(fd, in, PIECE);
		if (n < 0)
			e = err_errno(E_IO, errno, path);
		if (n <= 0)
			break;
		size_t at = 0, got = PIECE;
		/* Until the input is used up and nothing more comes of it. */
		while (!e && (at < (size_t)n || (got == PIECE && !end))) {
			got = PIECE;
			const char *wrong = c->step(c->state, in, (size_t)n, &at, out, &got, &end);
			e = wrong ? err_new(E_BADDATA, "%s: damaged: %s", path, wrong)
				  : out_write(&o, out, got);
		}
	}
	if (!e && ftruncate(to, o.at) < 0)
		e = err_errno(E_IO, errno, "unpacking");
	free(in);
	free(out);
	return e;
}

static err_t unpack_with(int fd, const char *path, bool lz4, int to)
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
		err_t e = unpack_with(*fd, path, i == 1, to);
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
