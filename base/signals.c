#include "base/signals.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *signal_name(int number)
{
	static char names[NSIG][12];
	const char *abbreviation = number > 0 && number < NSIG ? sigabbrev_np(number) : NULL;
	if (!abbreviation)
		return NULL;
	snprintf(names[number], sizeof names[number], "SIG%s", abbreviation);
	return names[number];
}

int signal_number(const char *word)
{
	char *end;
	long n = strtol(word, &end, 10);
	if (*word && !*end)
		return n > 0 && n < NSIG ? (int)n : 0;
	if (strncasecmp(word, "SIG", 3) == 0)
		word += 3;
	if (strncasecmp(word, "RTMIN", 5) == 0) {
		n = word[5] == '+' ? strtol(word + 6, &end, 10) : (end = (char *)(uintptr_t)(word + 5), 0);
		return !*end && n >= 0 && SIGRTMIN + n <= SIGRTMAX ? SIGRTMIN + (int)n : 0;
	}
	for (int i = 1; i < NSIG; i++)
		if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), word) == 0)
			return i;
	return 0;
}

static struct sigaction pipe_before;

void signals_ignore_pipe(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(SIGPIPE, &ignore, &pipe_before);
}

void signals_restore_pipe(void)
{
	sigaction(SIGPIPE, &pipe_before, NULL);
}
