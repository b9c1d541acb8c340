/* Signals by name and number. */
#ifndef ASYNCMON_BASE_SIGNALS_H
#define ASYNCMON_BASE_SIGNALS_H

/* "SIGTERM"; NULL: no signal of that number. */
const char *signal_name(int number);
/* "TERM", "SIGTERM", "sigterm", "15"; 0: none. */
int signal_number(const char *word);

#endif
