/* Puts the hooks in and takes them out: function pointers in types, in the method tables
 * of _asyncio and of coroutines, nothing else. All is looked at before anything is
 * changed, so that a Python the agent does not understand is left as it was. */
#include "agent/hooks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATCHES_MAX 1024
/* Types are the interpreter's that it was put in, method tables everybody's (-1). */
static struct patch { void **at; void *old, *now; int64_t interpreter; } patches[PATCHES_MAX];
static unsigned n_patches;

static char reason[160];

static const char *why(const char *what, const char *name)
{
	snprintf(reason, sizeof reason, "%s: %s", name, what);
	return reason;
}

/* Whether 8 bytes can be stored at p: a method table in read-only data would be the end
 * of the process. Without /proc it is believed to be where CPython has it, in .data. */
static bool writable(const void *p)
{
	char buf[8192];
	size_t have = 0;
	bool found = false, can = false;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	while (!found) {
		ssize_t n = read(fd, buf + have, sizeof buf - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		buf[have] = '\0';
		char *line = buf, *end;
		for (; !found && (end = memchr(line, '\n', have - (size_t)(line - buf))); line = end + 1) {
			uintptr_t from = 0, to = 0;
			char *c = line;
			for (; *c && *c != '-'; c++)
				from = from << 4 | (uintptr_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
			for (c++; *c && *c != ' '; c++)
				to = to << 4 | (uintptr_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
			found = (uintptr_t)p >= from && (uintptr_t)p < to;
			can = found && c[1] && c[2] == 'w';
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	close(fd);
	return can;
}

/* Hooks one pointer; what it was becomes the original, which must be the same wherever
 * the hook is put. */
static const char *add(struct patch *todo, unsigned *n, enum hook h, void **at, int flags,
		       const char *name)
{
	void *now = hook_function(h, flags);
	if (!now)
		return why("a kind of function the agent does not know", name);
	if (*at == now)
		return NULL;
	if (hook_original[h] && *at != hook_original[h])
		return why("not the function it was elsewhere", name);
	if (*n == PATCHES_MAX - n_patches)
		return why("too many places", name);
	if (!writable(at))
		return why("in memory that is read-only", name);
	hook_original[h] = *at;
	todo[(*n)++] = (struct patch){ at, *at, now, flags ? -1 : interpreter_id() };
	return NULL;
}

static const char *add_def(struct patch *todo, unsigned *n, enum hook h, struct PyMethodDef *def,
			   const char *name)
{
	if (!def || !def->name || strcmp(def->name, name) != 0)
		return why("not the method it should be", name);
	return add(todo, n, h, &def->meth, def->flags, name);
}

/* PyTypeObject, by the distance of slots from tp_name; the layout knows some of them. */
#define SLOT_INIT (agent_layout.type_name + 272)
/* PyDescrObject: type, name, qualified name; then the method, or wrapper base and function. */
#define DESCR_METHOD (agent_layout.object_size + 24)
#define DESCR_WRAPPED (agent_layout.object_size + 32)

static bool types_are_known(void)
{
	const struct py_layout *l = &agent_layout;
	return l->type_flags == l->type_name + 144 && l->type_base == l->type_name + 232 &&
	       l->type_dict == l->type_name + 240;
}

static void **slot(PyObject *obj, int32_t offset)
{
	return (void **)((char *)obj + offset);
}

static const char *collect_task(const struct patch_targets *p, struct patch *todo, unsigned *n)
{
	const char *e;
	void *init = *slot(p->task_type, SLOT_INIT);
	if (*slot(p->init, DESCR_WRAPPED) != init)
		return why("its slot and its descriptor differ", "Task.__init__");
	if ((e = add(todo, n, HOOK_INIT, slot(p->task_type, SLOT_INIT), 0, "Task.__init__")) ||
	    (e = add(todo, n, HOOK_INIT, slot(p->init, DESCR_WRAPPED), 0, "Task.__init__")) ||
	    (e = add(todo, n, HOOK_DEALLOC, slot(p->task_type, slot_dealloc()), 0, "Task's dealloc")) ||
	    (e = add_def(todo, n, HOOK_CANCEL, field(p->cancel, DESCR_METHOD), "cancel")) ||
	    (e = add_def(todo, n, HOOK_SET_NAME, field(p->set_name, DESCR_METHOD), "set_name")))
		return e;
	/* Subclasses that exist have copies of the slot, unless they define __init__. */
	for (Py_ssize_t i = 0; i < PyList_Size(p->subclasses); i++) {
		PyObject *type = PyList_GetItem(p->subclasses, i);
		if (*slot(type, SLOT_INIT) != init)
			continue;
		if ((e = add(todo, n, HOOK_INIT, slot(type, SLOT_INIT), 0, "a subclass of Task")))
			return e;
		Py_IncRef(type);
	}
	return NULL;
}

static const char *collect_steps(const struct patch_targets *p, struct patch *todo, unsigned *n)
{
	const struct py_layout *l = &agent_layout;
	const char *e = add(todo, n, HOOK_STEP, slot(type_of(p->step), slot_call()), 0, "TaskStepMethWrapper");
	if (e)
		return e;
	if (l->version.minor <= 9)
		return add(todo, n, HOOK_WAKEUP_TYPE, slot(type_of(p->wakeup), slot_call()), 0,
			   "TaskWakeupMethWrapper");
	struct PyMethodDef *def = field(p->wakeup, l->cfunction_def);
	return add(todo, n, HOOK_WAKEUP, &def->meth, def->flags & ~METH_METHOD, "task_wakeup");
}

static const char *collect_functions(const struct patch_targets *p, struct patch *todo, unsigned *n)
{
	const struct { PyObject *f; enum hook h; const char *name; } fs[] = {
		{ p->register_, HOOK_REGISTER, "_register_task" },
		{ p->enter, HOOK_ENTER, "_enter_task" },
		{ p->leave, HOOK_LEAVE, "_leave_task" },
		{ p->swap, HOOK_SWAP, "_swap_current_task" },
		{ p->signal, HOOK_SIGNAL, "signal" },
	};
	for (size_t i = 0; i < sizeof fs / sizeof *fs; i++) {
		const char *e = fs[i].f == Py_None ? NULL
			: add_def(todo, n, fs[i].h, field(fs[i].f, agent_layout.cfunction_def), fs[i].name);
		if (e)
			return e;
	}
	return NULL;
}

/* Without them events lack who made a task ready; all else is as it is. */
static void collect_futures(const struct patch_targets *p, struct patch *todo, unsigned *n)
{
	const struct { PyObject *f; enum hook h; const char *name; } fs[] = {
		{ p->result, HOOK_RESULT, "set_result" },
		{ p->exception, HOOK_EXCEPTION, "set_exception" },
		{ p->future_cancel, HOOK_FUTURE_CANCEL, "cancel" },
	};
	for (size_t i = 0; i < sizeof fs / sizeof *fs; i++)
		add_def(todo, n, fs[i].h, field(fs[i].f, DESCR_METHOD), fs[i].name);
	/* A descriptor begins with the type that it is of. */
	future_dealloc = field(field(p->result, agent_layout.object_size), slot_dealloc());
}

const char *patch_on(const struct patch_targets *p)
{
	static struct patch todo[PATCHES_MAX];
	unsigned n = 0;
	const char *e;
	if (!types_are_known())
		return why("types are laid out otherwise", "PyTypeObject");
	if ((e = collect_task(p, todo, &n)) || (e = collect_steps(p, todo, &n)) ||
	    (e = add_def(todo, &n, HOOK_SEND, field(p->send, DESCR_METHOD), "send")) ||
	    (e = add_def(todo, &n, HOOK_THROW, field(p->throw_, DESCR_METHOD), "throw")) ||
	    (e = collect_functions(p, todo, &n)))
		return e;
	collect_futures(p, todo, &n);
	future_dict = (int32_t)(intptr_t)*slot(p->task_type, agent_layout.type_dictoffset);
	bool values = (uintptr_t)*slot(p->task_type, agent_layout.type_flags) & INLINE_VALUES;
	future_values = values ? (int32_t)(intptr_t)*slot(p->task_type, agent_layout.type_basicsize) : 0;
	future_type = p->task_type;
	/* A type that a patch lies in must outlive it. */
	Py_IncRef(p->task_type);
	Py_IncRef(type_of(p->step));
	for (unsigned i = 0; i < n; i++) {
		patches[n_patches++] = todo[i];
		__atomic_store_n(todo[i].at, todo[i].now, __ATOMIC_RELEASE);
	}
	return NULL;
}

void patch_forget(int64_t interpreter)
{
	unsigned n = 0;
	for (unsigned i = 0; i < n_patches; i++)
		if (patches[i].interpreter != interpreter)
			patches[n++] = patches[i];
	n_patches = n;
}

void patch_off(void)
{
	for (unsigned i = 0; i < n_patches; i++) {
		void *now = patches[i].now;
		__atomic_compare_exchange_n(patches[i].at, &now, patches[i].old, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	n_patches = 0;
}
