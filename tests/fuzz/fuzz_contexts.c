/* The context managers of a frame: an exception table (or, up to 3.10, a stack of blocks),
 * instructions and a value stack, of any content. */
#include "tests/unit/fakeproc.h"

#include "objects/contexts.h"
#include "tests/fuzz/fuzz.h"

enum { VERSIONS = 8, TABLE = 512, CODE = 256, SLOTS = 32, THINGS = 16 };

static struct world {
	struct fake f;
	uint64_t table, code, bytes, frame;
	uint64_t things[THINGS]; /* what a slot of the value stack may hold */
	size_t nthings;
} worlds[VERSIONS];

static void thing(struct world *x, uint64_t v)
{
	if (x->nthings == THINGS)
		abort();
	x->things[x->nthings++] = v;
}

/* A function or a descriptor of that name, and a method bound to something. */
static void exits(struct world *x, const char *name, uint64_t self)
{
	struct fake *f = &x->f;
	const struct py_layout *l = &f->py.layout;
	uint64_t function = fake_object(f, fake_type(f, "function", 0, 0), 256);
	uint64_t method = fake_object(f, fake_type(f, "method", 0, 0), 256);
	uint64_t descriptor = fake_object(f, fake_type(f, "method_descriptor", 0, 0), 256);
	uint64_t c = fake_object(f, fake_type(f, "builtin_function_or_method", 0, 0), 256);
	uint64_t def = fake_alloc(f, 64), text = fake_alloc(f, 16);
	put(f, function + (uint64_t)l->function_name, fake_str(f, name), 8);
	put(f, descriptor + (uint64_t)l->object_size + 8, fake_str(f, name), 8);
	put(f, method + (uint64_t)l->method_function, function, 8);
	put(f, method + (uint64_t)l->method_self, self, 8);
	if (!image_put(&f->img, text, name, strlen(name)))
		abort();
	put(f, def, text, 8);
	put(f, c + (uint64_t)l->cfunction_def, def, 8);
	put(f, c + (uint64_t)l->cfunction_self, self, 8);
	thing(x, function);
	thing(x, method);
	thing(x, descriptor);
	thing(x, c);
}

static void make(struct world *x, uint8_t minor)
{
	struct fake *f = &x->f;
	const struct py_layout *l = &f->py.layout;
	fake_init(f, minor);
	uint64_t self = fake_object(f, fake_type(f, "Lock", 0, 0), 64);
	thing(x, 0);
	thing(x, self);
	exits(x, "__aexit__", self);
	exits(x, "__exit__", self);
	thing(x, fake_int(f, 1));
	thing(x, FAKE_BASE + FAKE_SIZE);
	static const uint8_t none[TABLE];
	x->code = fake_code(f, "work", "/srv/app.py", 42);
	x->table = fake_bytes(f, none, sizeof none);
	x->bytes = fake_bytes(f, none, CODE);
	if (l->code_exceptiontable >= 0)
		put(f, x->code + (uint64_t)l->code_exceptiontable, x->table, 8);
	if (l->code_code >= 0)
		put(f, x->code + (uint64_t)l->code_code, x->bytes, 8);
	x->frame = fake_object(f, f->py.type_type, 2048);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (uint8_t i = 0; i < VERSIONS; i++)
		make(&worlds[i], 8 + i);
	return 0;
}

/* Depths grow towards the inside, and a handler lies before 2^33, as units of two bytes do. */
static void check_table(const uint8_t *table, size_t n, int64_t lasti)
{
	struct with_block b[FRAME_CONTEXTS_MAX];
	uint8_t *own = malloc(n ? n : 1); /* so that a byte too many is seen */
	memcpy(own, table, n);
	for (size_t max = 0; max <= FRAME_CONTEXTS_MAX; max += 7) {
		size_t found = with_blocks(own, n, lasti, b, max);
		if (found > max)
			abort();
		for (size_t i = 0; i < found; i++)
			if (!b[i].depth || (i && b[i].depth <= b[i - 1].depth))
				abort();
	}
	free(own);
}

/* Tables and frames of 3.8 to 3.10 hold their blocks in the frame itself. */
static void put_frame(struct world *x, const uint8_t *data, size_t size)
{
	struct fake *f = &x->f;
	const struct py_layout *l = &f->py.layout;
	uint64_t stack = x->frame + 1024, depth = size % (SLOTS + 1);
	if (l->frame_blockstack >= 0) {
		put(f, x->frame + (uint64_t)l->frame_code, x->code, 8);
		put(f, x->frame + (uint64_t)l->frame_lasti, size ? data[0] & ~1u : 0, 4);
		put(f, x->frame + (uint64_t)l->frame_valuestack, stack, 8);
		put(f, x->frame + (uint64_t)l->frame_iblock, size > 1 ? data[1] : 0, 4);
		if (l->frame_stacktop >= 0)
			put(f, x->frame + (uint64_t)l->frame_stacktop, stack + 8 * depth, 8);
		if (l->frame_stackdepth >= 0)
			put(f, x->frame + (uint64_t)l->frame_stackdepth, depth, 4);
		for (size_t i = 0; i < 20 && 3 * i + 4 < size; i++) {
			uint32_t b[3] = { data[3 * i + 2] % 4 ? 122 : data[3 * i + 2], data[3 * i + 3], data[3 * i + 4] };
			if (!image_put(&f->img, x->frame + (uint64_t)l->frame_blockstack + sizeof b * i, b, sizeof b))
				abort();
		}
	} else {
		stack = x->frame + (uint64_t)l->iframe_localsplus;
		put(f, x->frame + (uint64_t)l->iframe_executable, x->code, 8);
		put(f, x->frame + (uint64_t)l->iframe_instr,
		    x->code + (uint64_t)l->code_adaptive + (size ? data[0] & ~1u : 0), 8);
		if (l->iframe_stackpointer >= 0)
			put(f, x->frame + (uint64_t)l->iframe_stackpointer, stack + 8 * depth, 8);
		else
			put(f, x->frame + (uint64_t)l->iframe_stacktop, depth, 4);
	}
	for (size_t i = 0; i < SLOTS; i++) {
		uint8_t which = i + 64 < size ? data[i + 64] : (uint8_t)i;
		put(f, stack + 8 * i, x->things[which % x->nthings] | (which & 0x80 ? 1 : 0), 8);
	}
}

static void put_code(struct world *x, const uint8_t *data, size_t size)
{
	struct fake *f = &x->f;
	const struct py_layout *l = &f->py.layout;
	uint64_t at = l->code_code >= 0 ? x->bytes + (uint64_t)l->bytes_data : x->code + (uint64_t)l->code_adaptive;
	size_t code = size < CODE ? size : CODE, table = size - code < TABLE ? size - code : TABLE;
	if ((code && !image_put(&f->img, at, data, code)) ||
	    (table && !image_put(&f->img, x->table + (uint64_t)l->bytes_data, data + code, table)))
		abort();
	put(f, x->table + (uint64_t)l->var_size, table, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_context found[FRAME_CONTEXTS_MAX];
	struct pyframe frame;
	if (size < 4)
		return 0;
	struct world *x = &worlds[data[0] % VERSIONS];
	size_t part = size - 1 < 96 ? size - 1 : 96;
	check_table(data + 1, size - 1, 2 * (int64_t)data[0]);
	put_frame(x, data + 1, part);
	put_code(x, data + 1 + part, size - 1 - part);
	struct arena *a = arena_new();
	struct reader r;
	if (reader_init(&r, &x->f.py, a))
		abort();
	if (frame_read(&r, x->frame, &frame))
		for (int suspended = 0; suspended < 2; suspended++) {
			size_t n = frame_contexts(&r, &frame, suspended, found);
			if (n > FRAME_CONTEXTS_MAX)
				abort();
			for (size_t i = 0; i < n; i++)
				if (!found[i].manager)
					abort();
		}
	reader_free(&r);
	arena_free(a);
	return 0;
}
