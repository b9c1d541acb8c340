/* An answer cut into pages that fit what reads it. */
#ifndef ASYNCMON_CMD_MCP_PAGE_H
#define ASYNCMON_CMD_MCP_PAGE_H

#include "base/json_read.h"

/* The answer from item `offset` of its long arrays on, as JSON of about MCP_PAGE_BYTES. Where
 * something is left out, "page" says of which arrays, and "next" where to go on. E_USAGE: a
 * single item is too large. */
#define MCP_PAGE_BYTES ((size_t)32 << 10)
err_t mcp_page(struct strbuf *b, const struct json_value *answer, size_t offset);

#endif
