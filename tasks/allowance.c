/* How much a snapshot may take: what a target says of itself can be forged, or shared by all
 * of its tasks, so that an answer would be many times the memory that it was read from. */
#include "tasks/walk.h"

#include <string.h>

/* Members of one list, frames of one stack, bytes of one name: so many are always taken, so
 * that who uses up the allowance does not take the answer from the others. */
#define FREE_MEMBERS 16
#define FREE_TEXT 256
#define CUT_TEXT 64
/* Until it is printed, a text stands in the table's cell, on its line and in what goes out. */
#define TEXT_COPIES 4
/* A coroutine with its frame is larger than that in every version, so that only frames that
 * are shared can use the allowance up. */
#define FRAME_COST 256

void *walk_keep(struct walk *w, const void *v, size_t *n, size_t size)
{
	if (*n > FREE_MEMBERS && !reader_spend(&w->r, *n * size))
		*n = FREE_MEMBERS;
	void *kept = arena_dup(w->arena, v, *n * size);
	if (!kept)
		*n = 0;
	return kept;
}

const char *walk_text(struct walk *w, const char *s)
{
	size_t n = s ? strlen(s) : 0, cut = CUT_TEXT;
	if (n <= FREE_TEXT || reader_spend(&w->r, TEXT_COPIES * n))
		return s;
	while (cut && ((unsigned char)s[cut] & 0xC0) == 0x80)
		cut--;
	return arena_fmt(w->arena, "%.*s\xE2\x80\xA6", (int)cut, s);
}

bool walk_frame_room(struct walk *w, const struct frame *f, size_t depth)
{
	size_t text = (f->function ? strlen(f->function) : 0) + (f->file ? strlen(f->file) : 0);
	return (depth < FREE_MEMBERS && text <= 2 * FREE_TEXT) || reader_spend(&w->r, text + FRAME_COST);
}
