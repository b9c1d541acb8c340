/* Who may come in: the token, the cookie it is exchanged for, the Host and Origin that a
 * browser names. Pure; knows of no HTTP library. */
#ifndef ASYNCMON_SERVE_ENTRY_H
#define ASYNCMON_SERVE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Secrets in hexadecimal digits: 128 bits. */
#define SECRET_LEN 32

struct entry {
	char token[129];         /* in the URL, the first time */
	char cookie[SECRET_LEN + 1]; /* what it is exchanged for */
	char form[SECRET_LEN + 1];   /* stands in each form of a page */
	char cookie_name[32];
	const char *const *hosts; /* names that Host may say beside addresses and localhost */
	size_t nhosts;
};

/* New secrets. token: NULL, or one to take. E_USAGE, E_IO. */
err_t entry_make(struct entry *e, const char *token, unsigned port);
/* In a time that does not depend on where they differ. given may be NULL. */
bool secret_equal(const char *secret, const char *given);
/* Is that `Host` one that we are called by? An address or localhost, with any port, for a
 * page that is reached through a tunnel; names only where they were allowed: another name
 * that leads here is how a page of somebody else's would get in (DNS rebinding). */
bool entry_host(const struct entry *e, const char *host);
/* Is the request one of our own pages'? origin: NULL where the header is missing. */
bool entry_origin(const char *origin, const char *host);
/* Does the header `Cookie` have ours? */
bool entry_cookie(const struct entry *e, const char *header);
/* Does `Authorization` have the token? */
bool entry_bearer(const struct entry *e, const char *header);

#endif
