#include "inject/site.h"

#include <elf.h>
#include <string.h>

#include "objects/reader.h"
#include "symbols/modules.h"
#include "tasks/take.h"

#define PAGE 4096ull
#define LOOP_BYTES 4096   /* of a loop object that are looked at (uvloop's has 250,000) */
#define ROOM_MIN 600u     /* the longest of the short texts, with some to spare */

static uint64_t main_interpreter(struct python *py)
{
	const struct py_layout *l = &py->layout;
	struct image *img = py->target->image;
	uint64_t in, next;
	if (!image_u64(img, py->runtime + (uint64_t)l->runtime_interpreters_head, &in))
		return 0;
	for (int n = 0; in && n < 4096; n++, in = next) /* the main one is the last */
		if (!image_u64(img, in + (uint64_t)l->interp_next, &next) || !next)
			return in;
	return 0;
}

static uint64_t load(struct python *py, uint64_t addr)
{
	uint64_t v;
	return image_u64(py->target->image, addr, &v) ? v : 0;
}

/* From 3.12 on the interpreter has a queue that any of its threads serves; before, only
 * the main thread does. */
static void find_queue(struct python *py, uint64_t interp, struct inject_site *s)
{
	const struct py_layout *l = &py->layout;
	unsigned minor = l->version.minor;
	bool own = minor >= 9 && l->interp_pending >= 0;
	s->queue.mutex = minor >= 13;
	s->queue.addr = own ? interp + (uint64_t)l->interp_pending
			: l->runtime_pending >= 0 && (minor == 8 || minor >= 12)
				? py->runtime + (uint64_t)l->runtime_pending : 0;
	s->queue.lock = s->queue.mutex && l->pending_lock < 0 ? 8 : l->pending_lock;
	s->queue.count = l->pending_count;
	s->queue.calls = l->pending_calls;
	s->queue.first = l->pending_first;
	s->queue.last = l->pending_last;
	s->queue.call_size = l->pending_call_size;
	s->queue.ncalls = l->pending_ncalls;
	s->queue.max = own ? l->pending_ncalls : 32;
	s->breaker = minor == 8 ? py->runtime + (uint64_t)l->runtime_eval_breaker
				: interp + (uint64_t)l->interp_eval_breaker;
	if (s->queue.lock < 0 || s->queue.count < 0 || s->queue.calls < 0 || s->queue.first < 0 ||
	    s->queue.last < 0 || (s->queue.call_size != 16 && s->queue.call_size != 24) || s->queue.ncalls < 2 ||
	    (minor == 8 && l->runtime_eval_breaker < 0) ||
	    (minor > 8 && minor < 13 && l->interp_eval_breaker < 0))
		s->queue.addr = 0;
	for (size_t i = 0; i < modules_count(py->modules) && !s->queue.function; i++) {
		struct module *m = modules_at(py->modules, i);
		if (strcmp(module_path(m), py->module) == 0)
			module_symbol(m, "PyRun_SimpleString", &s->queue.function, NULL);
	}
}

/* The end of a module's writable segment: behind it, up to the end of the page, lie bytes
 * that no one has a name for. */
static uint64_t end_of_data(struct python *py, struct module *m)
{
	struct image *img = py->target->image;
	Elf64_Ehdr eh;
	uint64_t end = 0;
	if (!image_read(img, module_start(m), &eh, sizeof eh) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	for (unsigned i = 0; i < eh.e_phnum && i < 64; i++) {
		Elf64_Phdr ph;
		if (!image_read(img, module_start(m) + eh.e_phoff + i * sizeof ph, &ph, sizeof ph))
			return 0;
		uint64_t e = module_bias(m) + ph.p_vaddr + ph.p_memsz;
		if (ph.p_type == PT_LOAD && ph.p_flags & PF_W && e > end)
			end = e;
	}
	return end;
}

/* Not the dynamic linker, which makes use of such bytes, and not the executable, where the
 * heap may begin. */
static bool may_have_room(struct python *py, const struct module *m)
{
	const char *path = module_path(m), *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	return strncmp(base, "ld-", 3) != 0 && strncmp(base, "ld.", 3) != 0 && !strstr(base, "musl") &&
	       strcmp(path, py->target->exe ? py->target->exe : "") != 0;
}

static void find_rooms(struct python *py, struct inject_site *s)
{
	for (size_t i = 0; i < modules_count(py->modules) && s->nrooms < INJECT_ROOMS; i++) {
		struct module *m = modules_at(py->modules, i);
		if (!may_have_room(py, m))
			continue;
		uint64_t end = end_of_data(py, m), from = (end + 15) & ~15ull;
		uint64_t to = (end + PAGE - 1) & ~(PAGE - 1);
		const struct mapping *mp = end ? target_mapping(py->target, from) : NULL;
		if (to < from + ROOM_MIN || !mp || !mp->write || mp->shared || mp->end < to)
			continue;
		s->rooms[s->nrooms].addr = from;
		s->rooms[s->nrooms++].len = (uint32_t)(to - from);
	}
}

/* Socket objects begin with their descriptor (PySocketSockObject, Modules/socketmodule.h). */
static int descriptor(struct reader *r, uint64_t sock)
{
	int32_t fd;
	return sock && image_i32(r->img, sock + (uint64_t)r->l->object_size, &fd) && fd >= 0 ? fd : -1;
}

static bool is_socket(struct reader *r, uint64_t obj)
{
	const struct type_info *t = obj && obj % 8 == 0 ? object_type(r, obj) : NULL;
	return t && t->name && strcmp(t->name, "socket") == 0 && t->base;
}

/* The descriptor that a byte goes into to turn a loop: asyncio's have it as an attribute;
 * uvloop's, which are Cython's, hold the two ends side by side, the reading one first. */
static int wake_of(struct reader *r, uint64_t loop)
{
	int fd = descriptor(r, attr_get(r, loop, "_csock"));
	const struct type_info *t = fd < 0 ? object_type(r, loop) : NULL;
	if (!t || t->basicsize < 32 || t->basicsize > INT32_MAX)
		return fd;
	for (int64_t at = r->l->object_size; at + 16 <= t->basicsize && at < LOOP_BYTES; at += 8)
		if (is_socket(r, field_at(r, loop, (int32_t)at)) &&
		    is_socket(r, field_at(r, loop, (int32_t)at + 8)))
			return descriptor(r, field_at(r, loop, (int32_t)at + 8));
	return -1;
}

static void find_wakes(struct python *py, struct inject_site *s)
{
	struct snapshot *snap;
	struct reader r;
	struct arena *a = arena_new();
	err_t e = a ? snapshot_take(py, SNAPSHOT_NO_PAUSE, &snap) : ERR_NOMEM;
	if (e) {
		err_free(e);
		arena_free(a);
		return;
	}
	e = reader_init(&r, py, a);
	for (size_t i = 0; !e && i < snap->nloops && s->nwakes < INJECT_WAKES; i++) {
		int fd = wake_of(&r, snap->loops[i].id);
		if (fd >= 0)
			s->wakes[s->nwakes++] = fd;
	}
	err_free(e);
	reader_free(&r);
	arena_free(a);
	snapshot_free(snap);
}

/* A list that nothing else has in that place: else the place is not known. */
static bool has_hooks(struct python *py, uint64_t interp)
{
	const struct py_layout *l = &py->layout;
	struct image *img = py->target->image;
	uint64_t list = l->interp_audit_hooks < 0 ? 0 : load(py, interp + (uint64_t)l->interp_audit_hooks);
	uint64_t entry = l->runtime_audit_hooks < 0 ? 0 : load(py, py->runtime + (uint64_t)l->runtime_audit_hooks);
	uint64_t type, name, function;
	char text[5];
	if (list && list % 8 == 0 && image_u64(img, list + (uint64_t)l->object_type, &type) &&
	    image_u64(img, type + (uint64_t)l->type_name, &name) && image_read(img, name, text, sizeof text) &&
	    memcmp(text, "list", sizeof text) == 0)
		return true;
	/* struct _Py_AuditHookEntry: next, hookCFunction, userData */
	if (!entry || entry % 8 || !image_u64(img, entry + 8, &function))
		return false;
	const struct mapping *m = target_mapping(py->target, function);
	return m && m->exec;
}

static void find_care(struct python *py, uint64_t interp, struct inject_site *s)
{
	const struct py_layout *l = &py->layout;
	s->care.remaining = l->tstate_recursion_remaining;
	s->care.c_remaining = l->tstate_c_recursion_remaining;
	s->care.depth = l->tstate_recursion_depth;
	s->care.limit = l->runtime_recursion_limit >= 0 ? py->runtime + (uint64_t)l->runtime_recursion_limit
			: l->interp_recursion_limit >= 0 ? interp + (uint64_t)l->interp_recursion_limit : 0;
	s->care.native_id = l->tstate_native_thread_id;
	s->care.any_thread = l->pending_any_thread && l->interp_pending >= 0;
	s->care.debug_build = l->debug_build;
	s->care.audited = has_hooks(py, interp);
}

err_t inject_site_find(struct python *py, struct inject_site *s)
{
	const struct py_layout *l = &py->layout;
	*s = (struct inject_site){ 0 };
	if (py->target->kind != TARGET_PROCESS)
		return err_new(E_UNSUPPORTED, "a core dump cannot be acted on");
	find_wakes(py, s);
	uint64_t interp = main_interpreter(py);
	if (!interp)
		return err_new(E_GONE, "the main interpreter of process %d was not found", (int)py->target->pid);
	s->threads.head = interp + (uint64_t)l->interp_threads_head;
	s->threads.next = l->tstate_next;
	s->threads.breaker = l->tstate_eval_breaker;
	find_queue(py, interp, s);
	find_rooms(py, s);
	find_care(py, interp, s);
	if (!s->queue.addr || !s->queue.function || !s->nrooms)
		return err_new(E_UNSUPPORTED, "no way to run code in process %d (Python %u.%u.%u) is known: %s",
			       (int)py->target->pid, l->version.major, l->version.minor, l->version.micro,
			       !s->queue.addr ? "its queue of pending calls was not recognised"
			       : !s->nrooms ? "no unused bytes were found" : "it does not export PyRun_SimpleString");
	return NULL;
}
