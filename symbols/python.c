/* Where the runtime is, which version it is, which layout fits. */
#include "symbols/python.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/oom.h"
#include "symbols/check.h"
#include "symbols/debug_offsets.h"
#include "symbols/dwarf.h"
#include "symbols/elf.h"
#include "symbols/globals.h"
#include "symbols/modules.h"
#include "symbols/pending.h"
#include "symbols/tables.h"

#define FIRST_MINOR 8
#define LAST_MINOR 15
/* From 3.13 on the debug offsets say the version; 3.11 and 3.12 have Py_Version, if
 * symbols are to be had. */
#define LAST_SILENT_MINOR 12
/* A running target changes while it is looked at: how often to look, and the pause
 * between, before a layout is said not to fit. */
#define LOOKS 40
#define LOOK_PAUSE_US 500

struct finder {
	struct python *py;
	struct module *runtime_module;
	struct py_version version; /* minor 0: unknown */
	bool free_threaded, debug_build;
	bool hidden;               /* the runtime's symbols are in .symtab alone */
	int hint;                  /* minor that names of files speak of, 0: none */
	char why[256];             /* what did not fit, of the last layout tried */
	bool not_ready;            /* it was that Python is starting or ending */
};

static const char *base_name(const char *path)
{
	const char *s = strrchr(path, '/');
	return s ? s + 1 : path;
}

static bool symbol(const struct finder *f, struct module *m, const char *name, uint64_t *addr)
{
	return f->hidden ? module_static_symbol(m, name, addr, NULL) : module_symbol(m, name, addr, NULL);
}

static bool find_runtime_in(struct finder *f, struct module *m)
{
	if (!symbol(f, m, "_PyRuntime", &f->py->runtime)) {
		if (!module_section(m, ".PyRuntime", &f->py->runtime, NULL)) /* 3.10+ */
			return false;
		f->hidden = true;
	}
	f->runtime_module = m;
	f->py->module = module_path(m);
	return true;
}

static struct module *module_of_exe(const struct finder *f)
{
	const char *exe = f->py->target->exe;
	for (size_t i = 0; exe && i < modules_count(f->py->modules); i++) {
		struct module *m = modules_at(f->py->modules, i);
		if (strcmp(module_path(m), exe) == 0)
			return m;
	}
	return modules_at(f->py->modules, 0);
}

/* The executable, then what is called libpython, then every module; then the
 * executable once more, which may keep all of Python to itself. */
static bool find_runtime(struct finder *f)
{
	struct module *exe = module_of_exe(f);
	if (!exe)
		return false;
	if (find_runtime_in(f, exe))
		return true;
	for (int any = 0; any < 2; any++)
		for (size_t i = 0; i < modules_count(f->py->modules); i++) {
			struct module *m = modules_at(f->py->modules, i);
			bool lib = strncmp(base_name(module_path(m)), "libpython", 9) == 0;
			if (m != exe && lib == !any && find_runtime_in(f, m))
				return true;
		}
	f->hidden = true;
	return find_runtime_in(f, exe);
}

/* Symbols as the dynamic linker binds them: an executable's copy comes first. */
static uint64_t global(const struct finder *f, struct module *exe, const char *name)
{
	uint64_t addr = 0;
	if (exe != f->runtime_module && module_symbol(exe, name, &addr, NULL))
		return addr;
	symbol(f, f->runtime_module, name, &addr);
	return addr;
}

/* "libpython3.10.so.1.0", "python3.10", "python3.10d": 10. */
static int minor_in_name(const char *name)
{
	const char *p = strstr(name, "python3.");
	return p ? atoi(p + 8) : 0;
}

static bool note_needed(void *ctx, const char *name)
{
	struct finder *f = ctx;
	f->hint = minor_in_name(name);
	return f->hint != 0;
}

static void find_version(struct finder *f, struct module *exe)
{
	struct image *img = f->py->target->image;
	uint64_t addr;
	uint32_t hex;
	f->debug_build = symbol(f, f->runtime_module, "_Py_NegativeRefcount", &addr);
	if (debug_offsets_version(img, f->py->runtime, &f->version, &f->free_threaded)) {
		f->py->debug_offsets = f->py->runtime;
		return;
	}
	addr = global(f, exe, "Py_Version"); /* since 3.11 */
	if (addr && image_u32(img, addr, &hex)) {
		f->version = py_version_of_hex(hex);
		return;
	}
	elf_each_needed(module_elf(f->runtime_module), note_needed, f);
	if (!f->hint)
		f->hint = minor_in_name(base_name(f->py->module));
	for (size_t i = 0; i < modules_count(f->py->modules) && !f->hint; i++)
		f->hint = minor_in_name(base_name(module_path(modules_at(f->py->modules, i))));
}

/* .AsyncioDebug is in the program itself, or in _asyncio's own file once loaded. */
static bool find_asyncio_debug(struct finder *f, uint64_t *addr, uint64_t *size)
{
	if (module_section(f->runtime_module, ".AsyncioDebug", addr, size))
		return true;
	for (size_t i = 0; i < modules_count(f->py->modules); i++) {
		struct module *m = modules_at(f->py->modules, i);
		if (strncmp(base_name(module_path(m)), "_asyncio", 8) == 0 &&
		    module_section(m, ".AsyncioDebug", addr, size))
			return true;
	}
	return false;
}

/* What the target says itself goes over the table; false when it contradicts it. */
static bool overlay(struct finder *f, struct py_layout *l)
{
	struct image *img = f->py->target->image;
	uint64_t addr, size;
	int32_t task_size = l->task_size;
	if (!f->py->debug_offsets || !debug_offsets_apply(img, f->py->debug_offsets, l) ||
	    l->version.minor < 14 || !find_asyncio_debug(f, &addr, &size) ||
	    !asyncio_debug_apply(img, addr, size, l) || l->task_size == task_size)
		return true;
	snprintf(f->why, sizeof f->why, "a task has %d bytes, not %d", l->task_size, task_size);
	return false;
}

/* Checks l and takes it when it fits; before 3.13 the patch level is sys's to say. */
static bool take(struct finder *f, struct py_layout *l)
{
	struct check_facts facts = { 0 };
	bool ask = !f->py->debug_offsets;
	struct python before = *f->py; /* types found through a wrong layout are wrong */
	if (!f->py->dict_type || !f->py->coro_type)
		globals_from_modules(f->py, l);
	err_t e = layout_check(f->py, l, ask ? &facts : NULL);
	if (e) {
		snprintf(f->why, sizeof f->why, "%s", e->msg);
		f->not_ready = err_code(e) == E_TORN;
		err_free(e);
		*f->py = before;
		return false;
	}
	if (f->version.major)
		l->version = f->version;
	l->debug_build = f->debug_build;
	if (facts.have_hexversion) {
		struct py_version v = py_version_of_hex(facts.hexversion);
		if (v.major != 3 || v.minor != l->version.minor) {
			snprintf(f->why, sizeof f->why, "sys.hexversion is of 3.%d", v.minor);
			*f->py = before;
			return false;
		}
		l->version = v;
		l->debug_build |= facts.debug_build;
	}
	f->py->layout = *l;
	return true;
}

static bool try_table(struct finder *f, const struct layout_table *t)
{
	struct py_layout l;
	layout_from_table(&l, t);
	return overlay(f, &l) && take(f, &l);
}

/* All tables of a minor, the nearest first. */
static bool try_tables(struct finder *f, struct py_version v)
{
	bool exact;
	const struct layout_table *best = layout_table_for(v, f->free_threaded, f->debug_build, &exact);
	if (best && try_table(f, best))
		return true;
	for (const struct layout_table *const *p = layout_tables; best && *p; p++)
		if (*p != best && (*p)->minor == v.minor && (*p)->free_threaded == f->free_threaded &&
		    try_table(f, *p))
			return true;
	return false;
}

static bool dwarf_of(struct module *m, struct py_layout *l, bool *known)
{
	struct elf *e = m ? module_elf(m) : NULL;
	if (!e)
		return false;
	err_t err = elf_fd(e) >= 0 ? dwarf_layout(elf_fd(e), l, known) : ERR_NOTFOUND;
	if (!err)
		return true;
	err_free(err);
	struct elf *d = module_debug(m);
	err = d ? dwarf_layout(elf_fd(d), l, known) : ERR_NOTFOUND;
	bool ok = !err;
	err_free(err);
	return ok;
}

static bool try_dwarf(struct finder *f, struct py_version v)
{
	struct py_layout l;
	bool exact, known[LAYOUT_NFIELDS] = { false };
	const struct layout_table *t = layout_table_for(v, f->free_threaded, f->debug_build, &exact);
	if (!t)
		return false;
	layout_from_table(&l, t); /* what DWARF does not tell */
	if (!dwarf_of(f->runtime_module, &l, known))
		return false;
	for (size_t i = 0; i < modules_count(f->py->modules); i++) {
		struct module *m = modules_at(f->py->modules, i);
		if (strncmp(base_name(module_path(m)), "_asyncio", 8) == 0)
			dwarf_of(m, &l, known);
	}
	l.source = LAYOUT_DWARF;
	return take(f, &l);
}

static bool readable(struct py_version v)
{
	return v.major == 3 && v.minor >= FIRST_MINOR && v.minor <= LAST_MINOR;
}

/* What is not there yet in a process was not dumped in a core. */
static err_t not_ready(const struct finder *f, const char *name)
{
	if (f->py->target->kind == TARGET_CORE)
		return err_new(E_VERSION, "this is a core of %s, but the memory that it keeps its state in is not all "
			       "there: the core was cut off, or its dump left parts out", name);
	return err_new(E_BUSY, "%s is just starting or ending here, and cannot be read in that moment", name);
}

static err_t version_error(const struct finder *f, struct py_version v)
{
	char name[32];
	if (f->version.major)
		snprintf(name, sizeof name, "%d.%d.%d%s", v.major, v.minor, v.micro,
			 f->free_threaded ? "t" : "");
	else
		snprintf(name, sizeof name, "%d.%d", v.major, v.minor);
	if (!readable(v))
		return err_new(E_VERSION, "this is CPython %s, and asyncmon reads 3.%d to 3.%d", name,
			       FIRST_MINOR, LAST_MINOR);
	if (f->not_ready) {
		char full[48];
		snprintf(full, sizeof full, "CPython %s", name);
		return not_ready(f, full);
	}
	return err_new(E_VERSION, "this is CPython %s, and no layout that asyncmon has fits it: %s",
		       name, f->why[0] ? f->why : "there is no table of it");
}

/* One look at the target with each table that can be meant. */
static bool look(struct finder *f)
{
	struct py_version v = f->version;
	if (v.major)
		return try_tables(f, v);
	/* One that does not say. What the names of files say comes first. */
	v.major = 3;
	for (int pass = 0; pass < 2; pass++)
		for (int minor = LAST_SILENT_MINOR; minor >= FIRST_MINOR; minor--)
			if ((minor == f->hint) == !pass) {
				v.minor = (uint8_t)minor;
				if (try_tables(f, v))
					return true;
			}
	return false;
}

static err_t find_layout(struct finder *f)
{
	struct target *t = f->py->target;
	struct py_version v = f->version;
	if (!v.major && f->hint)
		v = (struct py_version){ .major = 3, .minor = (uint8_t)f->hint };
	if (v.major && !readable(v))
		return version_error(f, v);
	for (int i = 0; i < LOOKS; i++) {
		if (look(f))
			return NULL;
		if (t->kind != TARGET_PROCESS)
			break;
		usleep(LOOK_PAUSE_US);
		image_forget(t->image, 0, UINT64_MAX);
	}
	if (v.major && try_dwarf(f, v))
		return NULL;
	if (v.major)
		return version_error(f, v);
	if (f->not_ready)
		return not_ready(f, "CPython");
	return err_new(E_VERSION, "this is a CPython older than 3.%d that is none of 3.%d to 3.%d: %s",
		       LAST_SILENT_MINOR + 1, FIRST_MINOR, LAST_SILENT_MINOR, f->why);
}

/* CPython before 3.7 has no _PyRuntime, but its symbols. */
static err_t not_python(const struct finder *f)
{
	for (size_t i = 0; i < modules_count(f->py->modules); i++) {
		struct module *m = modules_at(f->py->modules, i);
		const char *name = strstr(base_name(module_path(m)), "python");
		unsigned major, minor;
		if (name && sscanf(name, "python%u.%u", &major, &minor) == 2 &&
		    module_symbol(m, "Py_GetVersion", NULL, NULL))
			return err_new(E_VERSION, "this is CPython %u.%u, and asyncmon reads 3.%d to 3.%d",
				       major, minor, FIRST_MINOR, LAST_MINOR);
	}
	const struct target *t = f->py->target;
	const char *exe = t->exe && *t->exe ? t->exe : NULL;
	bool core = t->kind == TARGET_CORE;
	if (exe && strstr(base_name(exe), "python"))
		return err_new(E_NOTPYTHON, core
			       ? "this is a core of %s, but that file was not found, or is of another build: "
				 "--exe FILE or --sysroot DIR says where it is"
			       : "this process runs %s, but no CPython could be read in it: the file may have been "
				 "removed or replaced since", exe);
	return err_new(E_NOTPYTHON, "there is no CPython in this %s: it runs %s", core ? "core" : "process",
		       exe ? exe : "a program that is not known");
}

err_t python_find(struct target *t, struct python **out)
{
	struct finder f = { .py = oom_check(calloc(1, sizeof *f.py)) };
	if (!f.py)
		return ERR_NOMEM;
	f.py->target = t;
	err_t e = modules_find(t, &f.py->modules);
	if (!e && !find_runtime(&f))
		e = not_python(&f);
	if (!e) {
		struct module *exe = module_of_exe(&f);
#define X(field, symbol) f.py->field = global(&f, exe, symbol);
		PYTHON_GLOBALS(X)
#undef X
		find_version(&f, exe);
		e = find_layout(&f);
	}
	if (!e)
		pending_settle(f.py);
	if (e) {
		python_free(f.py);
		return e;
	}
	*out = f.py;
	return NULL;
}

void python_free(struct python *py)
{
	if (!py)
		return;
	modules_free(py->modules);
	free(py);
}
