/* The Python texts that commands run in a target: inject/target_*.py, built in. */
#ifndef ASYNCMON_INJECT_TEXTS_H
#define ASYNCMON_INJECT_TEXTS_H

extern const char text_link[], text_cancel[], text_console[];

#endif
