/* Where asyncio and the standard library lie in the target. Many libraries have a folder
 * called asyncio (redis, websockets, hypercorn, sqlalchemy), so names do not tell. */
#include "tasks/walk.h"

#include <string.h>

/* The folder of a file's name; NULL where it has none. */
static const char *folder_of(struct walk *w, const char *file)
{
	const char *slash = file ? strrchr(file, '/') : NULL;
	return slash && slash > file ? arena_strn(w->arena, file, (size_t)(slash - file)) : NULL;
}

/* As the code of asyncio.sleep() names its file: so do frames, also where the module comes
 * from an archive or is built in. Where another function stands in for that, by the module. */
static const char *asyncio_folder(struct walk *w, size_t interp)
{
	struct reader *r = &w->r;
	uint64_t dict = walk_module_dict(w, interp, "asyncio.tasks");
	uint64_t function = dict ? dict_get(r, dict, "sleep") : 0;
	const struct code *c = NULL;
	if (object_kind(r, function) == KIND_FUNCTION &&
	    str_is(r, field_at(r, function, r->l->function_module), "asyncio.tasks"))
		c = code_at(r, field_at(r, function, r->l->function_code));
	const char *folder = c ? folder_of(w, c->file) : NULL;
	return folder || !dict ? folder : folder_of(w, str_at(r, dict_get(r, dict, "__file__")));
}

void walk_folders(struct walk *w)
{
	struct code_folders *f = &w->s->folders;
	for (size_t i = 0; i < w->interps.n && !f->asyncio; i++)
		f->asyncio = asyncio_folder(w, i);
	f->stdlib = folder_of(w, f->asyncio);
}
