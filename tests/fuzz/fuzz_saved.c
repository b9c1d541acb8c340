/* Reading a saved look, and all that is printed of one: the input is what the file holds
 * uncompressed. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include "cmd/capture.h"
#include "cmd/command.h"
#include "cmd/saved_file.h"
#include "snapshot/saved.h"
#include "tasks/narrow.h"

#define MOST (256u << 20)

static const char *const lines[][4] = {
	{ "ps", "--all" }, { "ps", "--all", "--json" }, { "tree" }, { "tree", "--groups", "--coalesce" },
	{ "where", "-f", "", "--locals" }, { "where", "-f", "", "--json" }, { "ps-terminated" },
	{ "stacktrace", "--native" }, { "why" }, { "why", "--exit" }, { "check" }, { "flame", "--format", "html" },
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	int null = open("/dev/null", O_WRONLY);
	/* What commands print goes nowhere; the fuzzer has its own descriptor. */
	dup2(null, STDOUT_FILENO);
	return 0;
}

static err_t take(struct capture *cap, unsigned what, struct snapshot **out)
{
	return saved_file_look(cap->saved, what, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *s = NULL;
	struct saved_file f = { 0 };
	err_t e = saved_read((const char *)data, size, MOST, &s);
	err_free(e);
	if (e)
		return 0;
	snapshot_free(s);
	strbuf_add(&f.body, (const char *)data, size);
	struct capture cap = { .saved = &f, .take = take };
	int err = dup(STDERR_FILENO);
	dup2(STDOUT_FILENO, STDERR_FILENO);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char words[4][16], *argv[5] = { NULL };
		int n = 0;
		for (; n < 4 && lines[i][n]; n++) {
			snprintf(words[n], sizeof words[n], "%s", lines[i][n]);
			argv[n] = words[n];
		}
		command_run(NULL, &cap, n, argv);
	}
	dup2(err, STDERR_FILENO);
	close(err);
	strbuf_free(&f.body);
	return 0;
}
