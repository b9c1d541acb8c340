/* Signals by name and number, and what we do about them. */
#ifndef ASYNCMON_BASE_SIGNALS_H
#define ASYNCMON_BASE_SIGNALS_H

/* "SIGTERM"; NULL: no signal of that number. */
const char *signal_name(int number);
/* "TERM", "SIGTERM", "sigterm", "15"; 0: none. */
int signal_number(const char *word);

/* SIGPIPE is ignored from here on: a reader that has gone shows as a failed write. */
void signals_ignore_pipe(void);
/* It is as it was: for a program that is started in our place. */
void signals_restore_pipe(void);

#endif
