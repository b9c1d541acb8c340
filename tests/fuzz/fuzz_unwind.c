/* A C stack by unwind data that is the input: .eh_frame of a module in memory, whose
 * functions a thread stands in, one after the other. */
#include "tests/fuzz/fuzz.h"

#include <elf.h>

#include "unwind/ehframe.h"
#include "unwind/native.h"

#define MODULE 0x10000u
#define HDR 0x200u             /* .eh_frame_hdr; all offsets into the module */
#define FRAMES 0x1000u
#define FRAMES_MAX 0x6000u
#define CODE 0x8000u
#define SIZE 0x10000u
#define STACK 0x70000u
#define ENTRIES 8

static struct mapping mappings[] = {
	{ .start = MODULE, .end = MODULE + SIZE, .read = true, .exec = true, .path = "[vdso]" },
	{ .start = STACK, .end = STACK + SIZE, .read = true, .write = true, .path = "" },
};
static struct image img;
static struct thread thread = { .tid = 1, .have_regs = true };
static struct target target = { .pid = 1, .mappings = mappings, .nmappings = 2, .threads = &thread, .nthreads = 1, .image = &img };

static void must(bool good)
{
	if (!good)
		abort();
}

static void put_elf(void)
{
	struct { Elf64_Ehdr eh; Elf64_Phdr ph[2]; } e = {
		.eh = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN,
			.e_machine = EM_X86_64, .e_phoff = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
		},
		.ph = {
			{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = SIZE, .p_memsz = SIZE },
			{ .p_type = PT_GNU_EH_FRAME, .p_vaddr = HDR, .p_offset = HDR, .p_memsz = 0x800, .p_filesz = 0x800 },
		},
	};
	must(image_put(&img, MODULE, &e, sizeof e));
}

/* Return addresses into the code, on a stack that ends. */
static void put_stack(void)
{
	for (uint64_t at = STACK; at < STACK + SIZE; at += 8) {
		uint64_t v = at % 32 ? at + 64 : MODULE + CODE + at % 0x400;
		must(image_put(&img, at, &v, sizeof v));
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	struct image_span spans[] = { { MODULE, MODULE + SIZE }, { STACK, STACK + SIZE } };
	must(!image_init(&img, spans, 2));
	put_elf();
	put_stack();
	return 0;
}

/* The functions that the input has, in the order of a table. */
static size_t put_table(struct modules *ms, size_t size)
{
	struct unwind_bytes b = { .target = &target, .modules = ms };
	struct { uint8_t encodings[4]; int32_t frames; uint32_t n; int32_t entries[ENTRIES][2]; } h = {
		.encodings = { 1, 0x1b, 0x03, 0x3b },
	};
	struct cfi cfi;
	struct cfi_function f;
	must(cfi_init(&cfi, &b));
	uint64_t record;
	for (uint64_t at = 0; at < size && h.n < ENTRIES; at += record) {
		if (cfi_function(&cfi, MODULE + FRAMES + at, &f, &record) && f.start - MODULE < SIZE &&
		    (!h.n || (int32_t)(f.start - MODULE - HDR) > h.entries[h.n - 1][0])) {
			h.entries[h.n][0] = (int32_t)(f.start - MODULE - HDR);
			h.entries[h.n++][1] = (int32_t)(FRAMES + at - HDR);
		}
		if (!record)
			break;
	}
	cfi_free(&cfi);
	must(image_put(&img, MODULE + HDR, &h, sizeof h));
	return h.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct modules *ms;
	struct unwinder *u;
	struct native_stack ns;
	if (size < 8 || size > FRAMES_MAX)
		return 0;
	static const uint8_t end[16];
	must(image_put(&img, MODULE + FRAMES, data, size) && image_put(&img, MODULE + FRAMES + size, end, sizeof end));
	must(!modules_find(&target, &ms));
	size_t n = put_table(ms, size);
	must(!unwinder_new(&target, ms, &u));
	struct arena *a = arena_new();
	for (size_t i = 0; i < n; i++) {
		int32_t start;
		must(image_read(&img, MODULE + HDR + 12 + 8 * i, &start, sizeof start));
		for (unsigned into = 0; into < 64; into += 9) {
			thread.regs = (struct user_regs_struct){
				.rip = MODULE + HDR + (uint64_t)start + into, .rsp = STACK + 256, .rbp = STACK + 512, .rbx = STACK,
			};
			must(native_unwind(u, &thread, a, &ns) && ns.n);
		}
	}
	arena_free(a);
	unwinder_free(u);
	modules_free(ms);
	return 0;
}
