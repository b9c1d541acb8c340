/* The agent's files beside this program: the shared object, its module, the folder that
 * `run` puts into PYTHONPATH. */
#ifndef ASYNCMON_INJECT_AGENT_FILES_H
#define ASYNCMON_INJECT_AGENT_FILES_H

#include <stddef.h>

#include "base/err.h"

/* The folder they lie in: where asyncmon lies (as built), or ../lib/asyncmon from there
 * (as installed). The caller frees *dir. E_NOTFOUND says where it looked. */
err_t agent_files_dir(char **dir);
/* A whole file; the caller frees *bytes. */
err_t agent_file_read(const char *dir, const char *name, char **bytes, size_t *len);

#endif
