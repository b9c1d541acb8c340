#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct err err_nomem_ = { E_NOMEM, 0, "out of memory" };
const struct err err_notfound_ = { E_NOTFOUND, 0, "not found" };

static err_t err_make(enum err_code code, uint64_t addr, const char *fmt, va_list ap)
{
	char *msg = NULL;
	if (vasprintf(&msg, fmt, ap) < 0)
		return ERR_NOMEM;
	struct err *e = malloc(sizeof *e);
	if (!e) {
		free(msg);
		return ERR_NOMEM;
	}
	*e = (struct err){ code, addr, msg };
	return e;
}

err_t (err_new)(enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_t e = err_make(code, 0, fmt, ap);
	va_end(ap);
	return e;
}

err_t (err_at)(enum err_code code, uint64_t addr, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_t e = err_make(code, addr, fmt, ap);
	va_end(ap);
	return e;
}

err_t (err_errno)(enum err_code code, int errnum, const char *path)
{
	return path ? err_new(code, "%s: %s", path, strerror(errnum))
		    : err_new(code, "%s", strerror(errnum));
}

err_t err_wrap(err_t e, const char *fmt, ...)
{
	if (!e || e == ERR_NOMEM)
		return e;
	char *prefix = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&prefix, fmt, ap);
	va_end(ap);
	if (n < 0)
		return e;
	err_t out = err_at(e->code, e->addr, "%s: %s", prefix, e->msg);
	free(prefix);
	err_free(e);
	return out;
}

void err_free(err_t e)
{
	if (!e || e == ERR_NOMEM || e == ERR_NOTFOUND)
		return;
	free((void *)(uintptr_t)e->msg);
	free((void *)(uintptr_t)e);
}

const char *err_code_name(enum err_code code)
{
	static const char *const names[] = {
		[E_OK] = "ok", [E_NOMEM] = "out-of-memory", [E_NOTFOUND] = "not-found",
		[E_USAGE] = "usage", [E_IO] = "io", [E_NOPROC] = "no-process",
		[E_PERM] = "permission", [E_TRACED] = "traced", [E_GONE] = "gone",
		[E_BUSY] = "busy", [E_NOTPYTHON] = "not-python", [E_VERSION] = "version",
		[E_NOASYNCIO] = "no-asyncio", [E_TORN] = "torn", [E_BADDATA] = "bad-data",
		[E_UNKNOWN] = "unknown-memory", [E_UNSUPPORTED] = "unsupported",
	};
	return (unsigned)code < sizeof names / sizeof *names ? names[code] : "error";
}
