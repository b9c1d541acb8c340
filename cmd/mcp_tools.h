/* The tools that an MCP client is offered: the commands that change nothing, with their
 * options as properties, out of the command table. */
#ifndef ASYNCMON_CMD_MCP_TOOLS_H
#define ASYNCMON_CMD_MCP_TOOLS_H

#include "base/json.h"
#include "base/json_read.h"

/* The list of tools, as the value of "tools". */
void mcp_tools_list(struct json *j);

/* The words of a command line; the last is NULL, which n counts. */
struct mcp_words { char **v; size_t n, cap; };
void mcp_words_free(struct mcp_words *w);

/* The command line for a call of that tool, argv[0] being the program's name. E_NOTFOUND: no
 * such tool; E_USAGE: an argument that it does not take, or of another type. Values cannot
 * become options: each stands behind "--name=", or behind "--". */
err_t mcp_tools_words(const char *tool, const struct json_value *arguments, struct mcp_words *out);

#endif
