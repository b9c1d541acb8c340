#include "symbols/debugdata.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>
#ifdef WITH_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "base/oom.h"
#include "base/pages.h"

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2 /* elf.h, glibc 2.36 */
#endif

#define SECTION_MAX (1ull << 30)
/* All that is decompressed of one file, 3 to 8 ms a megabyte. Debian's libc has 9 MB in
 * all, its python3 about 40. */
#define UNPACKED_MAX (64ull << 20)
#define STEP (16u << 10)
/* Who wants more of a section has all of it decompressed. */
#define PREFIX_MAX (32u << 10)
#define POPULATE_MAX (1u << 20) /* what is larger comes in huge pages, or not at all */
#define STRING_FIRST 200u
#define STRING_MAX 4096u

struct unpacking {
	uint32_t type;
	uint64_t start, in, in_end; /* offsets in the file; in: what is not yet consumed */
	uint8_t *bytes;          /* reserved for all of it */
	uint64_t done;
	bool not_whole;          /* it was tried */
	bool ended;              /* or broken: there is no more */
	z_stream z;
	ZSTD_DStream *zstd;
};

static const char *const names[DEBUG_SECTIONS] = {
	[DEBUG_ABBREV] = ".debug_abbrev",
	[DEBUG_ARANGES] = ".debug_aranges",
	[DEBUG_INFO] = ".debug_info",
	[DEBUG_LINE] = ".debug_line",
	[DEBUG_LINE_STR] = ".debug_line_str",
	[DEBUG_STR] = ".debug_str",
};

static void unpacking_free(struct unpacking *u, uint64_t full)
{
	if (!u)
		return;
	if (u->type == ELFCOMPRESS_ZLIB)
		inflateEnd(&u->z);
	ZSTD_freeDStream(u->zstd);
	pages_free(u->bytes, full);
	free(u);
}

static bool start(struct debugdata *d, enum debug_section s)
{
	Elf64_Chdr c;
	const void *p = d->sections[s].size >= sizeof c ? elf_bytes(d->elf, d->sections[s].offset, sizeof c) : NULL;
	if (!p)
		return true;
	memcpy(&c, p, sizeof c);
	if (!c.ch_size || c.ch_size > SECTION_MAX) {
		d->refused = c.ch_size;
		return true;
	}
	struct unpacking *u = oom_check(calloc(1, sizeof *u));
	void *bytes = u ? pages_alloc(c.ch_size) : NULL;
	if (!bytes) {
		free(u);
		return false;
	}
	u->bytes = bytes;
	u->start = u->in = d->sections[s].offset + sizeof c;
	u->in_end = d->sections[s].offset + d->sections[s].size;
	bool ready = false;
	if (c.ch_type == ELFCOMPRESS_ZLIB)
		/* The checksum costs an eighth, and says nothing before the section's end. */
		ready = inflateInit(&u->z) == Z_OK && inflateValidate(&u->z, 0) == Z_OK;
	else if (c.ch_type == ELFCOMPRESS_ZSTD)
		ready = (u->zstd = ZSTD_createDStream()) && !ZSTD_isError(ZSTD_initDStream(u->zstd));
	if (ready)
		u->type = c.ch_type;
	else
		u->ended = true;
	d->sections[s].full = c.ch_size;
	d->sections[s].unpacking = u;
	return true;
}

bool debugdata_open(struct debugdata *d, struct elf *e)
{
	*d = (struct debugdata){ .elf = e };
	for (int s = 0; s < DEBUG_SECTIONS; s++) {
		Elf64_Shdr h;
		if (!elf_section(e, names[s], &h) || h.sh_type == SHT_NOBITS || !h.sh_size)
			continue;
		d->sections[s].offset = h.sh_offset;
		d->sections[s].size = h.sh_size;
		if (!(h.sh_flags & SHF_COMPRESSED)) {
			d->refused = d->refused || h.sh_size > SECTION_MAX;
			d->sections[s].full = h.sh_size <= SECTION_MAX ? h.sh_size : 0;
		} else if (!start(d, (enum debug_section)s)) {
			debugdata_close(d);
			return false;
		}
	}
	return true;
}

void debugdata_close(struct debugdata *d)
{
	for (int s = 0; s < DEBUG_SECTIONS; s++)
		unpacking_free(d->sections[s].unpacking, d->sections[s].full);
	*d = (struct debugdata){ 0 };
}

uint64_t debugdata_size(const struct debugdata *d, enum debug_section s)
{
	return d->sections[s].full;
}

bool debugdata_compressed(const struct debugdata *d, enum debug_section s)
{
	return d->sections[s].unpacking;
}

/* Decompresses from a piece of the file; *used of it. False: it is over. */
static bool more(struct unpacking *u, const uint8_t *piece, size_t len, uint64_t room, size_t *used)
{
	if (u->type == ELFCOMPRESS_ZSTD) {
		ZSTD_inBuffer in = { piece, len, 0 };
		ZSTD_outBuffer out = { u->bytes + u->done, room, 0 };
		size_t left = ZSTD_decompressStream(u->zstd, &out, &in);
		*used = in.pos;
		u->done += out.pos;
		return !ZSTD_isError(left) && left;
	}
	u->z.next_in = (uint8_t *)(uintptr_t)piece;
	u->z.avail_in = (unsigned)len;
	u->z.next_out = u->bytes + u->done;
	u->z.avail_out = (unsigned)room;
	int ret = inflate(&u->z, Z_NO_FLUSH);
	*used = len - u->z.avail_in;
	u->done += room - u->z.avail_out;
	return ret == Z_OK || (ret == Z_BUF_ERROR && *used);
}

#ifdef WITH_LIBDEFLATE
/* libdeflate does it three times as fast, but knows no piece of a stream. False: the
 * data is damaged, and what is good of it comes by pieces. */
static bool unpack_whole(struct debugdata *d, struct unpacking *u, uint64_t full)
{
	uint64_t len = u->in_end - u->start;
	if (u->type != ELFCOMPRESS_ZLIB || u->not_whole || full - u->done > UNPACKED_MAX - d->unpacked)
		return false;
	u->not_whole = true;
	struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
	uint8_t *in = z ? pages_alloc(len) : NULL;
	if (in && len <= POPULATE_MAX)
		pages_populate(in, len);
	if (in && full <= POPULATE_MAX)
		pages_populate(u->bytes, full);
	bool good = in && elf_copy(d->elf, u->start, len, in) &&
		    libdeflate_zlib_decompress(z, in, len, u->bytes, full, NULL) == LIBDEFLATE_SUCCESS;
	pages_free(in, len);
	libdeflate_free_decompressor(z);
	if (good) {
		d->unpacked += full - u->done;
		u->done = full;
	}
	return good;
}
#else
static bool unpack_whole(struct debugdata *d, struct unpacking *u, uint64_t full)
{
	(void)d, (void)u, (void)full;
	return false;
}
#endif

/* Until there are `want` bytes of it, or no more. */
static void unpack(struct debugdata *d, struct unpacking *u, uint64_t full, uint64_t want)
{
	if (!u->ended && want > PREFIX_MAX && unpack_whole(d, u, full))
		return;
	want = full - want > STEP ? want + STEP : full;
	while (u->done < want && !u->ended) {
		uint64_t before = u->done, len = u->in_end - u->in < STEP ? u->in_end - u->in : STEP;
		uint64_t room = want - u->done < STEP ? want - u->done : STEP;
		size_t used = 0;
		if (d->unpacked + room > UNPACKED_MAX) {
			d->refused = u->ended = true;
			return;
		}
		const uint8_t *piece = elf_bytes(d->elf, u->in, len);
		if (!piece || !more(u, piece, len, room, &used) || (!used && u->done == before))
			u->ended = true;
		u->in += used;
		d->unpacked += u->done - before;
	}
}

const uint8_t *debugdata_at(struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t len)
{
	uint64_t full = d->sections[s].full;
	struct unpacking *u = d->sections[s].unpacking;
	if (offset > full || len > full - offset)
		return NULL;
	if (!u)
		return elf_bytes(d->elf, d->sections[s].offset + offset, len);
	if (u->done < offset + len)
		unpack(d, u, full, offset + len);
	return u->done >= offset + len ? u->bytes + offset : NULL;
}

static struct cursor over(const uint8_t *p, uint64_t len)
{
	static const uint8_t none[1];
	return p ? (struct cursor){ p, p + len, false } : (struct cursor){ none, none, true };
}

static uint64_t as_many(const struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t most)
{
	uint64_t full = d->sections[s].full, left = offset < full ? full - offset : 0;
	return left < most ? left : most;
}

struct cursor debugdata_cursor(struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t most)
{
	uint64_t len = as_many(d, s, offset, most);
	return over(len ? debugdata_at(d, s, offset, len) : NULL, len);
}

struct cursor debugdata_pass(struct debugdata *d, enum debug_section s, uint64_t offset, uint64_t most, void *buf)
{
	uint64_t len = as_many(d, s, offset, most);
	if (d->sections[s].unpacking || !len)
		return debugdata_cursor(d, s, offset, most);
	return over(elf_copy(d->elf, d->sections[s].offset + offset, len, buf) ? buf : NULL, len);
}

const char *debugdata_string(struct debugdata *d, enum debug_section s, uint64_t offset)
{
	struct cursor c = debugdata_cursor(d, s, offset, STRING_FIRST);
	const char *text = cursor_string(&c);
	if (text)
		return text;
	c = debugdata_cursor(d, s, offset, STRING_MAX);
	return cursor_string(&c);
}
