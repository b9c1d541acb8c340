/* What libunwind is given to read says the same as libdw does of the file, at any address. */
#include "tests/unit/child.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>

#include "symbols/elf.h"
#include "unwind/ehframe.h"

#define ADDRESSES 20000
#define REGISTERS 17

/* A place of a value: at CFA + n, that itself, in a register, by an expression. */
enum how { UNSAID, UNDEFINED, SAME, AT, IS, REGISTER, EXPRESSION };
struct rule { enum how how; int64_t n; };
struct row { bool by_expression; uint64_t reg; int64_t offset; struct rule rules[REGISTERS]; };

static uint64_t uleb(const uint8_t **p)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		v |= (uint64_t)(**p & 0x7f) << shift;
		if (!(*(*p)++ & 0x80))
			return v;
	}
}

static int64_t sleb(const uint8_t **p)
{
	const uint8_t *from = *p;
	uint64_t v = uleb(p);
	unsigned bits = 7 * (unsigned)(*p - from);
	return bits < 64 && (*p)[-1] & 0x40 ? (int64_t)(v | UINT64_MAX << bits) : (int64_t)v;
}

static void skip_block(const uint8_t **p)
{
	uint64_t n = uleb(p);
	*p += n;
}

static void set(struct row *row, uint64_t reg, enum how how, int64_t n)
{
	assert_true(reg < REGISTERS);
	row->rules[reg] = (struct rule){ how, n };
}

/* As DWARF 5, 6.4.2 has it; what would be needless there is not known here. */
static void run(struct row *row, const struct row *initial, const uint8_t *p, size_t n, int64_t align)
{
	uint64_t reg;
	for (const uint8_t *end = p + n; p < end;) {
		uint8_t op = *p++;
		switch (op & 0xc0 ? op & 0xc0 : op) {
		case DW_CFA_offset: set(row, op & 0x3f, AT, (int64_t)uleb(&p) * align); break;
		case DW_CFA_restore: row->rules[op & 0x3f] = initial->rules[op & 0x3f]; break;
		case DW_CFA_restore_extended: reg = uleb(&p); row->rules[reg] = initial->rules[reg]; break;
		case DW_CFA_undefined: set(row, uleb(&p), UNDEFINED, 0); break;
		case DW_CFA_same_value: set(row, uleb(&p), SAME, 0); break;
		case DW_CFA_offset_extended: reg = uleb(&p); set(row, reg, AT, (int64_t)uleb(&p) * align); break;
		case DW_CFA_offset_extended_sf: reg = uleb(&p); set(row, reg, AT, sleb(&p) * align); break;
		case DW_CFA_val_offset: reg = uleb(&p); set(row, reg, IS, (int64_t)uleb(&p) * align); break;
		case DW_CFA_register: reg = uleb(&p); set(row, reg, REGISTER, (int64_t)uleb(&p)); break;
		case DW_CFA_expression: case DW_CFA_val_expression:
			set(row, uleb(&p), EXPRESSION, 0);
			skip_block(&p);
			break;
		case DW_CFA_def_cfa_expression:
			row->by_expression = true;
			skip_block(&p);
			break;
		case DW_CFA_def_cfa: row->by_expression = false; row->reg = uleb(&p); row->offset = (int64_t)uleb(&p); break;
		case DW_CFA_def_cfa_register: row->reg = uleb(&p); break;
		case DW_CFA_def_cfa_offset: row->offset = (int64_t)uleb(&p); break;
		default: fail_msg("instruction 0x%x", op);
		}
		assert_true(p <= end);
	}
}

static void assert_rule(struct rule mine, Dwarf_Frame *frame, int reg, uint64_t addr)
{
	Dwarf_Op mem[3], *ops;
	size_t n;
	assert_int_equal(dwarf_frame_register(frame, reg, mem, &ops, &n), 0);
	struct rule theirs = { EXPRESSION, 0 };
	if (!n)
		theirs.how = ops ? UNDEFINED : SAME;
	else if (n <= 2 && ops[0].atom == DW_OP_call_frame_cfa && (n == 1 || ops[1].atom == DW_OP_plus_uconst))
		theirs = (struct rule){ AT, n == 2 ? (int64_t)ops[1].number : 0 };
	else if (n == 3 && ops[0].atom == DW_OP_call_frame_cfa && ops[2].atom == DW_OP_stack_value)
		theirs = (struct rule){ IS, (int64_t)ops[1].number };
	else if (n == 1 && ops[0].atom == DW_OP_regx)
		theirs = (struct rule){ REGISTER, (int64_t)ops[0].number };
	/* What is not said is up to the ABI, which libdw fills in. */
	if (mine.how == UNSAID)
		assert_true(theirs.how == SAME || theirs.how == UNDEFINED || reg == 7);
	else if (mine.how != theirs.how || mine.n != theirs.n)
		fail_msg("register %d at 0x%llx: %d %lld, and by libdw %d %lld", reg, (unsigned long long)addr,
			 mine.how, (long long)mine.n, theirs.how, (long long)theirs.n);
}

static void assert_row(const struct cfi_row *written, Dwarf_Frame *frame, uint64_t addr)
{
	struct row initial = { 0 }, row;
	Dwarf_Op *ops;
	size_t n;
	run(&initial, &initial, written->initial, written->ninitial, written->data_align);
	row = initial;
	run(&row, &initial, written->instructions, written->n, written->data_align);
	bool signal;
	Dwarf_Addr start, end;
	dwarf_frame_info(frame, &start, &end, &signal);
	assert_int_equal(signal, written->signal);
	assert_int_equal(dwarf_frame_cfa(frame, &ops, &n), 0);
	bool simple = n == 1 && ops[0].atom == DW_OP_bregx;
	assert_int_equal(row.by_expression, !simple);
	if (simple && (row.reg != ops[0].number || row.offset != (int64_t)ops[0].number2))
		fail_msg("CFA at 0x%llx: register %d + %lld, and by libdw %d + %lld", (unsigned long long)addr,
			 (int)row.reg, (long long)row.offset, (int)ops[0].number, (long long)ops[0].number2);
	for (int reg = 0; reg < REGISTERS; reg++)
		assert_rule(row.rules[reg], frame, reg, addr);
}

/* Maps its segments as a loader does. */
static void load(const char *path)
{
	struct elf *e;
	size_t n;
	uint64_t size = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	assert_null(elf_open_file(dup(fd), &e));
	const Elf64_Phdr *ph = elf_phdrs(e, &n);
	for (size_t i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_vaddr + ph[i].p_memsz > size)
			size = ph[i].p_vaddr + ph[i].p_memsz;
	char *at = mmap(NULL, size + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(at != MAP_FAILED);
	for (size_t i = 0; i < n; i++) {
		uint64_t skip = ph[i].p_vaddr & 4095;
		if (ph[i].p_type == PT_LOAD && ph[i].p_filesz)
			assert_true(mmap(at + ph[i].p_vaddr - skip, ph[i].p_filesz + skip,
					 PROT_READ | (ph[i].p_flags & PF_X ? PROT_EXEC : 0) | (ph[i].p_flags & PF_W ? PROT_WRITE : 0),
					 MAP_PRIVATE | MAP_FIXED, fd, (off_t)(ph[i].p_offset - skip)) != MAP_FAILED);
	}
	elf_close(e);
	close(fd);
}

/* How many addresses were compared. */
static size_t compare(struct ehframes *es, struct module *m)
{
	size_t n, seen = 0;
	Elf *elf = module_elf(m) && elf_fd(module_elf(m)) >= 0 ? elf_begin(elf_fd(module_elf(m)), ELF_C_READ, NULL) : NULL;
	Dwarf_CFI *cfi = elf ? dwarf_getcfi_elf(elf) : NULL;
	const Elf64_Phdr *ph = elf_phdrs(module_elf(m), &n), *code = ph;
	while (code < ph + n && !(code->p_type == PT_LOAD && code->p_flags & PF_X))
		code++;
	uint64_t seed = 1;
	for (int i = 0; cfi && code < ph + n && i < ADDRESSES; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t addr = code->p_vaddr + (seed >> 20) % code->p_filesz, start, end;
		Dwarf_Frame *frame = NULL;
		bool theirs = dwarf_cfi_addrframe(cfi, addr, &frame) == 0;
		bool mine = ehframe_write(es, addr + module_bias(m), &start, &end);
		assert_int_equal(mine, theirs);
		if (mine)
			assert_row(&es->row, frame, addr);
		seen += mine;
		free(frame);
	}
	if (cfi)
		dwarf_cfi_end(cfi);
	elf_end(elf);
	return seen;
}

static void says_what_libdw_says(void **state)
{
	(void)state;
	size_t seen = 0;
	struct modules *ms;
	struct ehframes es;
	elf_version(EV_CURRENT);
	/* Of several linkers and compilers, one with its loop split and optimised at link time. */
	load("/usr/bin/python3");
	load("/usr/bin/gdb");
	struct child child = child_start(child_idle);
	struct target *t = target_of(&child);
	freeze(t, (struct freeze_opts){ .stack_bytes = 4096 });
	ok(modules_find(t, &ms));
	assert_true(ehframes_init(&es, t, ms));
	for (size_t i = 0; i < modules_count(ms); i++)
		if (module_elf(modules_at(ms, i)))
			seen += compare(&es, modules_at(ms, i));
	assert_true(seen > 3 * ADDRESSES / 2);
	ehframes_free(&es);
	modules_free(ms);
	target_close(t);
	child_kill(&child);
}

#define RECORDS 8000

/* An ELF file without a table of unwind data, in which each FDE names a CIE of its own, each
 * of which is 2,000 bytes long and lies across the next ones. */
static void make_hostile(char *path)
{
	static struct {
		Elf64_Ehdr eh;
		Elf64_Phdr ph;
		Elf64_Shdr sh[3];
		char names[32];
		struct { uint32_t len, back; uint8_t rest[8]; } cies[RECORDS];
		uint8_t room[2000];
		struct { uint32_t len, back; uint8_t rest[8]; } fdes[RECORDS];
	} f = {
		.eh = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_DYN,
			.e_machine = EM_X86_64, .e_phoff = offsetof(__typeof__(f), ph), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
			.e_shoff = offsetof(__typeof__(f), sh), .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3, .e_shstrndx = 2,
		},
		.ph = { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = sizeof f, .p_memsz = sizeof f },
		.sh = {
			[1] = { .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addr = offsetof(__typeof__(f), fdes),
				.sh_offset = offsetof(__typeof__(f), fdes), .sh_size = sizeof f.fdes },
			[2] = { .sh_name = 11, .sh_type = SHT_STRTAB, .sh_offset = offsetof(__typeof__(f), names), .sh_size = 32 },
		},
		.names = "\0.eh_frame\0.shstrtab",
	};
	for (uint32_t i = 0; i < RECORDS; i++) {
		f.fdes[i].len = 12;
		f.fdes[i].back = (uint32_t)(offsetof(__typeof__(f), fdes[i].back) - offsetof(__typeof__(f), cies[i]));
		f.cies[i].len = 2000;
		memcpy(f.cies[i].rest, (uint8_t[8]){ 1, 0, 1, 0x78, 16 }, 8);
	}
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, &f, sizeof f) == sizeof f);
	close(fd);
}

/* It ends soon, with nothing. */
static void hostile_records(void **state)
{
	(void)state;
	char path[] = "/tmp/asyncmon-test-XXXXXX";
	struct modules *ms;
	struct ehframes es;
	uint64_t start, end;
	make_hostile(path);
	load(path);
	struct child child = child_start(child_idle);
	struct target *t = target_of(&child);
	freeze(t, (struct freeze_opts){ .stack_bytes = 4096 });
	ok(modules_find(t, &ms));
	assert_true(ehframes_init(&es, t, ms));
	struct module *m = NULL;
	for (size_t i = 0; i < modules_count(ms) && !m; i++)
		if (strcmp(module_path(modules_at(ms, i)), path) == 0)
			m = modules_at(ms, i);
	assert_non_null(m);
	assert_false(ehframe_write(&es, module_start(m) + 64, &start, &end));
	assert_true(es.cfi.walked > 100000 && es.cfi.walked < 4u << 20);
	ehframes_free(&es);
	modules_free(ms);
	target_close(t);
	child_kill(&child);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(says_what_libdw_says, children_end),
		cmocka_unit_test_teardown(hostile_records, children_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
