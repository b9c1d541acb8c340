/* asyncmon COMMAND [OPTIONS] TARGET [ARGUMENTS] */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/signals.h"
#include "base/utf8.h"
#include "cmd/command.h"

static const struct option before_command[] = {
	{ "version", 'V', NULL, "say which version this is" },
	{ NULL, 0, NULL, NULL }
};

static int print(void (*write_text)(struct strbuf *), int fd, int status)
{
	struct out out = { .fd = fd };
	write_text(&out.b);
	out_flush(&out);
	out_free(&out);
	return out.errnum && !status ? STATUS_ATTACH : status;
}

static void usage_short(struct strbuf *b)
{
	strbuf_str(b, "usage: asyncmon COMMAND [OPTIONS] TARGET [ARGUMENTS]\n"
		      "asyncmon --help lists the commands.\n");
}

static void usage(struct strbuf *b)
{
	usage_all(b, false);
}

static void version(struct strbuf *b)
{
	strbuf_str(b, "asyncmon " ASYNCMON_VERSION "\n");
}

static bool is_pid(const char *word)
{
	return *word && !word[strspn(word, "0123456789")];
}

/* The words are the tail of argv, for parsing ends at the first. A PID where a command
 * would stand is attached to. */
static int run_words(const struct args *before, int argc, char **argv)
{
	static char attach[] = "attach";
	int n = (int)before->nwords;
	char **words = argv + argc - n;
	if (!is_pid(words[0]))
		return command_run(before, NULL, n, words);
	if (n > 1 && command_find(words[1]))
		return command_fail(err_new(E_USAGE, "the command comes first: asyncmon %s %s", words[1], words[0]),
				    argc, argv);
	/* There is room before them: the program's name, at least. */
	words[-1] = attach;
	return command_run(before, NULL, n + 1, words - 1);
}

/* A file that is opened while 0, 1 or 2 is closed would take its number, and be read and
 * written as ours: a target's memory, say. Standard output is opened for reading only, so
 * that an answer which goes nowhere is an error. */
static void fill_standard(void)
{
	for (int fd = 0; fd <= STDERR_FILENO;) {
		if (fcntl(fd, F_GETFD) >= 0) {
			fd++;
			continue;
		}
		int got = open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
		if (got < 0)
			got = open("/", O_RDONLY | O_DIRECTORY);
		if (got < 0)
			break;
	}
}

int main(int argc, char **argv)
{
	struct args before = { .sets = { before_command, options_common } };
	int status;
	fill_standard();
	utf8_start();
	signals_ignore_pipe();
	err_t e = args_parse(&before, argc - 1, argv + 1, UNTIL_WORD);
	if (e)
		status = command_fail(e, argc, argv);
	else if (opt_given(&before, "version"))
		status = print(version, STDOUT_FILENO, STATUS_FINE);
	else if (before.nwords)
		status = run_words(&before, argc, argv);
	else if (opt_given(&before, "help"))
		status = print(usage, STDOUT_FILENO, STATUS_FINE);
	else
		status = print(usage_short, STDERR_FILENO, STATUS_USAGE);
	args_free(&before);
	return status;
}
