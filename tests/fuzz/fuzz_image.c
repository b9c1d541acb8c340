/* The walk over a real process: a core (FUZZ_CORE) is opened and walked once; the input
 * changes words of the memory that was read then. C stacks are looked at for some inputs
 * only, and Python is searched for anew: they take long. */
#include "tests/fuzz/fuzz.h"

static struct target *target;
static struct python *python;
static struct fuzz_words words;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	struct target_opts o = { .sysroot = getenv("FUZZ_SYSROOT") };
	err_t e = target_open_core(getenv("FUZZ_CORE"), &o, &target);
	if (!e)
		e = python_find(target, &python);
	if (e) {
		fprintf(stderr, "FUZZ_CORE: %s\n", e->msg);
		exit(1);
	}
	fuzz_record(python, FUZZ_ALL, &words);
	fprintf(stderr, "%zu words to change\n", words.n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_undo undo[FUZZ_CHANGES];
	size_t n = fuzz_change(target->image, &words, data, size, undo);
	if (size % 64 == 1)
		fuzz_python(target);
	else
		fuzz_snapshot(python, size % 8 == 1 ? FUZZ_ALL : FUZZ_ALL & ~(unsigned)SNAPSHOT_NATIVE);
	fuzz_restore(target->image, undo, n);
	return 0;
}
