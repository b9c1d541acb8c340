/* The Python texts that commands run in a target: cmd/target_*.py, built in. */
#ifndef ASYNCMON_CMD_TEXTS_H
#define ASYNCMON_CMD_TEXTS_H

extern const char text_link[], text_cancel[], text_console[];

#endif
