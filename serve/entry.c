#include "serve/entry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

static err_t secret_make(char *out)
{
	unsigned char bytes[SECRET_LEN / 2];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return err_errno(E_IO, errno, "getrandom");
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return NULL;
}

static bool fit_for_url(const char *s)
{
	return s[strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")] == '\0';
}

err_t entry_make(struct entry *e, const char *token, unsigned port)
{
	TRY(secret_make(e->token));
	TRY(secret_make(e->cookie));
	TRY(secret_make(e->form));
	snprintf(e->cookie_name, sizeof e->cookie_name, "asyncmon-%u", port);
	if (!token)
		return NULL;
	if (strlen(token) < 16 || strlen(token) >= sizeof e->token || !fit_for_url(token))
		return err_new(E_USAGE, "a token has 16 to 128 letters, digits, - and _");
	snprintf(e->token, sizeof e->token, "%s", token);
	return NULL;
}

bool secret_equal(const char *secret, const char *given)
{
	size_t n = strlen(secret), m = given ? strlen(given) : 0;
	unsigned char differ = n != m;
	for (size_t i = 0; i < n; i++)
		differ |= (unsigned char)(secret[i] ^ (m ? given[i % m] : 0));
	return n && !differ;
}

/* The host of "HOST", "HOST:PORT" and "[ADDRESS]:PORT", without the brackets. */
static bool host_of(const char *text, char *out, size_t size)
{
	const char *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
	const char *start = text + (*text == '[');
	size_t n = end ? (size_t)(end - start) : strlen(start);
	if (*text == '[' && !end)
		return false;
	const char *port = end ? end + (*end == ']') : text + strlen(text);
	if (*port == ':')
		port += 1 + strspn(port + 1, "0123456789");
	if (*port || n == 0 || n >= size)
		return false;
	memcpy(out, start, n);
	out[n] = '\0';
	return true;
}

bool entry_host(const struct entry *e, const char *host)
{
	char name[256];
	unsigned char address[sizeof(struct in6_addr)];
	if (!host || !host_of(host, name, sizeof name))
		return false;
	if (*host == '[')
		return inet_pton(AF_INET6, name, address) == 1;
	if (inet_pton(AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0)
		return true;
	for (size_t i = 0; i < e->nhosts; i++)
		if (strcasecmp(name, e->hosts[i]) == 0)
			return true;
	return false;
}

bool entry_origin(const char *origin, const char *host)
{
	static const char *const schemes[] = { "http://", "https://" };
	for (size_t i = 0; origin && host && i < sizeof schemes / sizeof *schemes; i++) {
		size_t n = strlen(schemes[i]);
		if (strncmp(origin, schemes[i], n) == 0 && strcasecmp(origin + n, host) == 0)
			return true;
	}
	return !origin;
}

bool entry_cookie(const struct entry *e, const char *header)
{
	size_t n = strlen(e->cookie_name);
	for (const char *p = header; p && *p;) {
		char value[SECRET_LEN + 1];
		size_t len;
		p += strspn(p, " ;");
		len = strcspn(p, ";");
		if (len == n + 1 + SECRET_LEN && strncmp(p, e->cookie_name, n) == 0 && p[n] == '=') {
			memcpy(value, p + n + 1, SECRET_LEN);
			value[SECRET_LEN] = '\0';
			if (secret_equal(e->cookie, value))
				return true;
		}
		p += len;
	}
	return false;
}

bool entry_bearer(const struct entry *e, const char *header)
{
	static const char bearer[] = "Bearer ";
	return header && strncasecmp(header, bearer, sizeof bearer - 1) == 0 &&
	       secret_equal(e->token, header + sizeof bearer - 1);
}
