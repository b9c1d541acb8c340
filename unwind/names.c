#include "unwind/names.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/oom.h"
#include "base/strbuf.h"

/* Real ones of templates reach some thousands. */
#define SYMBOL_MAX 4096
#define NAME_MAX_LEN 65536

/* A short symbol can stand for a name of any length (each part may repeat all before
 * it), and the demangler gives no other way to stop it. It holds no memory but its
 * stack while it calls back. */
struct demangling {
	struct strbuf text;
	jmp_buf stop;
};

static void piece(const char *s, size_t n, void *arg)
{
	struct demangling *d = arg;
	if (d->text.len + n > NAME_MAX_LEN || d->text.failed)
		longjmp(d->stop, 1);
	strbuf_add(&d->text, s, n);
}

static bool demangle(const char *symbol, struct demangling *d)
{
	if (setjmp(d->stop))
		return false;
	/* Rust before C++: its older names are valid in C++, with a hash at the end. */
	return rust_demangle_callback(symbol, DMGL_NO_OPTS, piece, d) ||
	       cplus_demangle_v3_callback(symbol, DMGL_NO_OPTS, piece, d);
}

const char *demangled(struct arena *a, const char *symbol)
{
	if (symbol[0] != '_' || (symbol[1] != 'Z' && symbol[1] != 'R') ||
	    strnlen(symbol, SYMBOL_MAX) == SYMBOL_MAX)
		return NULL;
	struct demangling d = { 0 };
	const char *s = NULL;
	if (demangle(symbol, &d) && d.text.len && !d.text.failed)
		s = arena_strn(a, d.text.s, d.text.len);
	strbuf_free(&d.text);
	return s;
}

const char *without_lto(struct arena *a, const char *symbol)
{
	static const char mark[] = ".lto_priv.";
	const char *at = strstr(symbol, mark);
	if (!at || at == symbol)
		return NULL;
	const char *rest = at + sizeof mark - 1;
	return arena_fmt(a, "%.*s%s", (int)(at - symbol), symbol, rest + strspn(rest, "0123456789"));
}

void names_free(struct names *ns)
{
	vec_free(&ns->wanted);
	map_free(&ns->asked);
	map_free(&ns->known);
	map_free(&ns->paths);
}

static const char *path_of(struct names *ns, const struct module *m)
{
	uint64_t known;
	if (map_get(&ns->paths, module_start(m), &known))
		return (const char *)(uintptr_t)known;
	const char *s = arena_str(ns->arena, module_path(m));
	map_set(&ns->paths, module_start(m), (uint64_t)(uintptr_t)s);
	return s;
}

/* The code that is asked about, and under which key its name is kept. */
static uint64_t code_at(uint64_t ip, bool exact, uint64_t *key)
{
	*key = 2 * ip + exact;
	return exact ? ip : ip - 1;
}

void name_want(struct names *ns, uint64_t ip, bool exact)
{
	uint64_t key, addr = code_at(ip, exact, &key);
	struct module *m = map_get(&ns->known, key, NULL) ? NULL : modules_by_addr(ns->modules, addr);
	if (!m || !map_add(&ns->asked, key, 1))
		return;
	/* Without memory its name is looked up alone, when it is asked for. */
	(void)vec_push(&ns->wanted, (struct name_wanted){ m, addr });
}

static int by_module(const void *a, const void *b)
{
	const struct name_wanted *x = a, *y = b;
	uint64_t m = module_start(x->module), n = module_start(y->module);
	return m != n ? (m > n) - (m < n) : (x->addr > y->addr) - (x->addr < y->addr);
}

/* Those of one module together. */
static void look_for_wanted(struct names *ns)
{
	uint64_t *addrs = oom_check(reallocarray(NULL, ns->wanted.n, sizeof *addrs));
	qsort(ns->wanted.v, ns->wanted.n, sizeof *ns->wanted.v, by_module);
	for (size_t i = 0; addrs && i < ns->wanted.n;) {
		struct module *m = ns->wanted.v[i].module;
		size_t n = 0;
		for (; i < ns->wanted.n && ns->wanted.v[i].module == m; i++)
			addrs[n++] = ns->wanted.v[i].addr;
		module_functions_prepare(m, addrs, n);
	}
	free(addrs);
	ns->wanted.n = 0;
	map_free(&ns->asked);
}

struct native_name *name_of(struct names *ns, uint64_t ip, bool exact)
{
	uint64_t known, key, addr = code_at(ip, exact, &key);
	if (map_get(&ns->known, key, &known))
		return (struct native_name *)(uintptr_t)known;
	if (ns->wanted.n)
		look_for_wanted(ns);
	struct native_name *n = arena_alloc(ns->arena, sizeof *n);
	if (!n)
		return NULL;
	struct module *m = modules_by_addr(ns->modules, addr);
	const char *symbol;
	if (m) {
		n->module = path_of(ns, m);
		n->offset = ip - module_bias(m);
		if (module_function(m, addr, &symbol, NULL)) {
			/* "select@@GLIBC_2.2.5" in .symtab: the version is not of the name. */
			n->symbol = arena_strn(ns->arena, symbol, strcspn(symbol, "@"));
			const char *pretty = n->symbol ? demangled(ns->arena, n->symbol) : NULL;
			if (n->symbol && !pretty)
				pretty = without_lto(ns->arena, n->symbol);
			n->function = pretty ? pretty : n->symbol;
		}
	}
	if (key)
		map_set(&ns->known, key, (uint64_t)(uintptr_t)n);
	return n;
}

void name_line(struct names *ns, struct native_name *n, uint64_t ip, bool exact)
{
	const char *file;
	int line;
	uint64_t addr = exact ? ip : ip - 1;
	if (n->line_tried)
		return;
	n->line_tried = true;
	double start = now_seconds();
	struct module *m = modules_by_addr(ns->modules, addr);
	if (m && module_line(m, addr, &file, &line)) {
		n->file = arena_str(ns->arena, file);
		n->line = n->file ? line : 0;
	}
	ns->line_seconds += now_seconds() - start;
}
