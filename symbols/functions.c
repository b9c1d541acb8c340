/* A stack asks for a handful of names of a module, a busy process for hundreds: the
 * first questions, each for all names of a stack, scan the symbol table through a window,
 * for a page that is touched first costs more than all the symbols in it; for later ones
 * it is cut into buckets by address, each put in order when first looked into: sorting
 * all of libpython's costs more than a stack may take. */
#include "symbols/functions.h"

#include <stdlib.h>
#include <string.h>

#include "base/oom.h"

#define TABLES_MAX 4
#define SCANS 8            /* from there on buckets are cheaper */
#define ASKED_MAX (1u << 20) /* addresses of one scan */
#define WINDOW 340u        /* symbols read at once: two pages */
#define PER_BUCKET 8
#define NO_SIZE_MAX 65536u /* how far a function that says no size is believed to reach */

struct table {
	struct elf *elf;
	uint64_t offset;     /* of the symbols, in the file */
	const uint8_t *syms; /* them in elf, not aligned; NULL until there are buckets */
	uint32_t n;
	uint64_t names, names_end; /* offsets in the file */
};

struct function {
	uint64_t start, size;
	uint32_t table, index, rank;
	uint32_t name;       /* offset among the table's names */
};

struct place { uint32_t table, index; };

/* What a scan found for one address. */
struct answer {
	uint64_t vaddr;
	struct function f;
	bool found;
};

struct functions {
	struct table tables[TABLES_MAX];
	uint32_t ntables;
	unsigned scans;
	struct answer *answers;  /* by address */
	size_t nanswers;
	struct place *places;    /* by bucket; NULL: not yet, or memory was out */
	uint32_t *buckets;       /* bucket b: places [buckets[b], buckets[b + 1]) */
	bool *sorted;            /* by bucket */
	size_t nbuckets;
	uint64_t low;            /* bucket b: addresses from low + (b << shift) on */
	unsigned shift;
};

static bool read_tables(struct functions *fs, struct elf *e, uint32_t type)
{
	size_t n;
	uint32_t before = fs->ntables;
	const Elf64_Shdr *sh = elf_sections(e, &n);
	for (size_t i = 0; i < n && fs->ntables < TABLES_MAX; i++) {
		if (sh[i].sh_type != type || sh[i].sh_link >= n)
			continue;
		const Elf64_Shdr *str = &sh[sh[i].sh_link];
		uint64_t count = sh[i].sh_size / sizeof(Elf64_Sym), at = sh[i].sh_offset;
		if (!count || count > UINT32_MAX || at > elf_size(e) || sh[i].sh_size > elf_size(e) - at ||
		    str->sh_size > UINT64_MAX - str->sh_offset)
			continue;
		fs->tables[fs->ntables++] = (struct table){
			.elf = e, .offset = at, .n = (uint32_t)count,
			.names = str->sh_offset, .names_end = str->sh_offset + str->sh_size,
		};
	}
	return fs->ntables > before;
}

bool functions_own(struct elf *e)
{
	size_t n;
	const Elf64_Shdr *sh = elf_sections(e, &n);
	for (size_t i = 0; i < n; i++)
		if (sh[i].sh_type == SHT_SYMTAB)
			return true;
	return false;
}

struct functions *functions_read(struct elf *e, struct elf *debug)
{
	struct functions *fs = oom_check(calloc(1, sizeof *fs));
	if (fs && !read_tables(fs, e, SHT_SYMTAB) && (!debug || !read_tables(fs, debug, SHT_SYMTAB)))
		read_tables(fs, e, SHT_DYNSYM);
	return fs;
}

void functions_free(struct functions *fs)
{
	if (!fs)
		return;
	free(fs->answers);
	free(fs->places);
	free(fs->buckets);
	free(fs->sorted);
	free(fs);
}

/* Of names for one address: those meant for others come first. libc's public names are
 * weak (recv), for a program's own may replace them; what they stand for is not (__recv). */
static uint32_t rank_of(const Elf64_Sym *s)
{
	switch (ELF64_ST_BIND(s->st_info)) {
	case STB_WEAK: return 2;
	case STB_GLOBAL: return 1;
	default: return 0;
	}
}

/* Symbol i of table k, if it is a function's. */
static bool function_of(const Elf64_Sym *s, uint32_t k, uint32_t i, struct function *f)
{
	int type = ELF64_ST_TYPE(s->st_info);
	if (s->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC) || !s->st_name)
		return false;
	*f = (struct function){ s->st_value, s->st_size, k, i, rank_of(s), s->st_name };
	return true;
}

static bool function_at(const struct functions *fs, uint32_t k, uint32_t i, struct function *f)
{
	Elf64_Sym s;
	memcpy(&s, fs->tables[k].syms + i * sizeof s, sizeof s);
	return function_of(&s, k, i, f);
}

/* Orders by start, then by how well each would do as the name of what begins there. */
static int order(const void *a, const void *b)
{
	const struct function *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (!x->size != !y->size)
		return x->size ? 1 : -1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->index > y->index ? -1 : x->index < y->index;
}

static int order_answers(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;
	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* Which of the answers, by address, is the first at or above an address: found by the part
 * of their range that it lies in. */
#define PARTS 256u
struct index {
	uint64_t low, high;      /* the lowest and the highest answer's address */
	unsigned shift;
	uint32_t first[PARTS + 1]; /* of the answers at or above where each part begins */
};

static void make_index(struct index *x, const struct answer *v, size_t n)
{
	size_t i = 0;
	*x = (struct index){ .low = v[0].vaddr, .high = v[n - 1].vaddr };
	while ((x->high - x->low) >> x->shift >= PARTS)
		x->shift++;
	for (uint64_t p = 0; p < PARTS; p++) {
		while (i + 1 < n && v[i].vaddr < x->low + (p << x->shift))
			i++;
		x->first[p] = (uint32_t)i;
	}
	x->first[PARTS] = (uint32_t)n - 1;
}

/* addr is not above the highest. */
static inline struct answer *first_from(const struct index *x, struct answer *v, uint64_t addr)
{
	const uint32_t *part = &x->first[addr <= x->low ? 0 : (addr - x->low) >> x->shift];
	uint32_t lo = part[0], hi = part[1];
	while (hi - lo > 4) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (v[mid].vaddr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (v[lo].vaddr < addr)
		lo++;
	return &v[lo];
}

/* A function is kept where the next address asked for lies that it may hold. */
static void scan_table(struct functions *fs, uint32_t k, const struct index *x)
{
	const struct table *t = &fs->tables[k];
	Elf64_Sym window[WINDOW];
	struct function f;
	for (uint32_t i = 0; i < t->n; i += WINDOW) {
		uint32_t n = t->n - i < WINDOW ? t->n - i : WINDOW;
		if (!elf_copy(t->elf, t->offset + (uint64_t)i * sizeof *window, n * sizeof *window, window))
			return;
		for (const Elf64_Sym *s = window; s < window + n; s++) {
			if (s->st_value > x->high)
				continue;
			struct answer *a = first_from(x, fs->answers, s->st_value);
			if (a->found && s->st_value < a->f.start)
				continue;
			if (!function_of(s, k, i + (uint32_t)(s - window), &f) || (a->found && order(&f, &a->f) <= 0))
				continue;
			a->f = f;
			a->found = true;
		}
	}
}

/* Answers for all the addresses, by one look at the symbols. */
static void scan(struct functions *fs, const uint64_t *vaddrs, size_t n)
{
	struct index index;
	free(fs->answers);
	fs->answers = oom_check(calloc(n, sizeof *fs->answers));
	fs->nanswers = 0;
	if (fs->answers) {
		for (size_t i = 0; i < n; i++)
			fs->answers[fs->nanswers++].vaddr = vaddrs[i];
		qsort(fs->answers, n, sizeof *fs->answers, order_answers);
		make_index(&index, fs->answers, n);
		for (uint32_t k = 0; k < fs->ntables; k++)
			scan_table(fs, k, &index);
		/* The last that starts below an address may be an earlier one's. */
		for (size_t i = 1; i < n; i++)
			if (!fs->answers[i].found) {
				uint64_t vaddr = fs->answers[i].vaddr;
				fs->answers[i] = fs->answers[i - 1];
				fs->answers[i].vaddr = vaddr;
			}
	}
}

static size_t bucket_of(const struct functions *fs, uint64_t vaddr)
{
	uint64_t b = (vaddr - fs->low) >> fs->shift;
	return b < fs->nbuckets ? b : fs->nbuckets - 1;
}

struct found { uint64_t start; struct place at; };

/* Every function of every table; NULL when there is none or memory is out. */
static struct found *find_all(const struct functions *fs, size_t *n, uint64_t *low, uint64_t *high)
{
	size_t all = 0;
	for (uint32_t k = 0; k < fs->ntables; k++)
		all += fs->tables[k].n;
	struct found *v = all < UINT32_MAX ? oom_check(reallocarray(NULL, all + 1, sizeof *v)) : NULL;
	*n = 0;
	*low = UINT64_MAX;
	*high = 0;
	for (uint32_t k = 0; v && k < fs->ntables; k++) {
		struct function f;
		for (uint32_t i = 0; i < fs->tables[k].n; i++) {
			if (!function_at(fs, k, i, &f))
				continue;
			v[(*n)++] = (struct found){ f.start, { k, i } };
			*low = f.start < *low ? f.start : *low;
			*high = f.start > *high ? f.start : *high;
		}
	}
	return v;
}

static bool cut(struct functions *fs)
{
	uint64_t high;
	size_t n;
	for (uint32_t k = 0; k < fs->ntables; k++) {
		struct table *t = &fs->tables[k];
		t->syms = elf_bytes(t->elf, t->offset, t->n * sizeof(Elf64_Sym));
		if (!t->syms)
			return false;
	}
	struct found *all = find_all(fs, &n, &fs->low, &high);
	if (!all || !n) {
		free(all);
		return false;
	}
	while (fs->shift < 63 && (high - fs->low) >> fs->shift > n / PER_BUCKET)
		fs->shift++;
	fs->nbuckets = (size_t)((high - fs->low) >> fs->shift) + 1;
	fs->buckets = oom_check(calloc(fs->nbuckets + 2, sizeof *fs->buckets));
	fs->sorted = oom_check(calloc(fs->nbuckets, sizeof *fs->sorted));
	fs->places = oom_check(reallocarray(NULL, n, sizeof *fs->places));
	bool ok = fs->buckets && fs->sorted && fs->places;
	/* While they are filled, a bucket's number is one higher. */
	for (size_t i = 0; ok && i < n; i++)
		fs->buckets[bucket_of(fs, all[i].start) + 2]++;
	for (size_t b = 2; ok && b < fs->nbuckets + 2; b++)
		fs->buckets[b] += fs->buckets[b - 1];
	for (size_t i = 0; ok && i < n; i++)
		fs->places[fs->buckets[bucket_of(fs, all[i].start) + 1]++] = all[i].at;
	free(all);
	return ok;
}

static bool make_buckets(struct functions *fs)
{
	if (cut(fs))
		return true;
	free(fs->places);
	fs->places = NULL;
	return false;
}

static int order_places(const void *a, const void *b, void *arg)
{
	const struct place *x = a, *y = b;
	struct function f = { 0 }, g = { 0 };
	function_at(arg, x->table, x->index, &f);
	function_at(arg, y->table, y->index, &g);
	return order(&f, &g);
}

/* The last that starts at or below vaddr: in its bucket, or else the last one before. */
static bool search(struct functions *fs, uint64_t vaddr, struct function *best)
{
	if (vaddr < fs->low)
		return false;
	for (size_t b = bucket_of(fs, vaddr) + 1; b-- > 0;) {
		uint32_t first = fs->buckets[b], n = fs->buckets[b + 1] - first;
		struct place *v = fs->places + first;
		size_t lo = 0, hi = n;
		if (n && !fs->sorted[b])
			qsort_r(v, n, sizeof *v, order_places, fs);
		fs->sorted[b] = true;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (!function_at(fs, v[mid].table, v[mid].index, best))
				return false;
			if (best->start <= vaddr)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo)
			return function_at(fs, v[lo - 1].table, v[lo - 1].index, best);
	}
	return false;
}

static const struct answer *answer_for(const struct functions *fs, uint64_t vaddr)
{
	const struct answer key = { .vaddr = vaddr };
	return fs->nanswers ? bsearch(&key, fs->answers, fs->nanswers, sizeof key, order_answers) : NULL;
}

void functions_prepare(struct functions *fs, const uint64_t *vaddrs, size_t n)
{
	bool known = true;
	for (size_t i = 0; i < n && known && !fs->places; i++)
		known = answer_for(fs, vaddrs[i]);
	if (known || (fs->scans++ == SCANS && make_buckets(fs)))
		return;
	scan(fs, vaddrs, n < ASKED_MAX ? n : ASKED_MAX);
}

/* The last function that starts at or below vaddr. */
static bool last_below(struct functions *fs, uint64_t vaddr, struct function *f)
{
	if (!fs->places && !answer_for(fs, vaddr))
		functions_prepare(fs, &vaddr, 1);
	if (fs->places)
		return search(fs, vaddr, f);
	const struct answer *a = answer_for(fs, vaddr);
	if (a)
		*f = a->f;
	return a && a->found;
}

bool functions_find(struct functions *fs, uint64_t vaddr, const char **name, uint64_t *start)
{
	struct function f;
	if (!last_below(fs, vaddr, &f) || vaddr - f.start >= (f.size ? f.size : NO_SIZE_MAX))
		return false;
	const struct table *t = &fs->tables[f.table];
	*name = elf_string(t->elf, t->names + f.name, t->names_end);
	*start = f.start;
	return *name && **name;
}
