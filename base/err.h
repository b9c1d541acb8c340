/* Errors as values. A function that can fail returns err_t: NULL is success.
 *
 * Ownership: the caller owns what it is given and frees it with err_free(),
 * returns it further up, or says it. ERR_NOMEM and ERR_NOTFOUND are constants;
 * freeing them does nothing. Callers decide on err_code(), never on the text. */
#ifndef ASYNCMON_BASE_ERR_H
#define ASYNCMON_BASE_ERR_H

#include <stdint.h>

enum err_code {
	E_OK = 0,
	E_NOMEM,      /* out of memory */
	E_NOTFOUND,   /* what was looked for is not there */
	E_USAGE,      /* the user's words are off */
	E_IO,         /* a file could not be read or written */
	E_NOPROC,     /* no such process */
	E_PERM,       /* not allowed to attach */
	E_TRACED,     /* another tracer holds the target */
	E_GONE,       /* the target went away */
	E_BUSY,       /* the target could not be stopped or acted on in time */
	E_NOTPYTHON,  /* no CPython in the target */
	E_VERSION,    /* a CPython this program has no layout for */
	E_NOASYNCIO,  /* a CPython that never imported asyncio */
	E_TORN,       /* read in the middle of a change */
	E_BADDATA,    /* bytes that cannot be what they should be */
	E_UNKNOWN,    /* bytes that are not there (not captured, not dumped) */
	E_UNSUPPORTED /* not possible here, for a reason the message gives */
};

struct err {
	enum err_code code;
	uint64_t addr;      /* the address in the target, 0 where there is none */
	const char *msg;    /* one sentence, no newline */
};
typedef const struct err *err_t;

extern const struct err err_nomem_, err_notfound_;
#define ERR_NOMEM (&err_nomem_)
#define ERR_NOTFOUND (&err_notfound_)

/* Out of memory they return ERR_NOMEM, never NULL. */
err_t err_new(enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));
/* The same, at an address of the target. */
err_t err_at(enum err_code code, uint64_t addr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), returns_nonnull));
/* "PATH: strerror(errnum)"; path may be NULL. */
err_t err_errno(enum err_code code, int errnum, const char *path) __attribute__((returns_nonnull));
/* A new error with `prefix: ` before the message of e, which it frees. */
err_t err_wrap(err_t e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_free(err_t e);

#ifdef __clang_analyzer__
/* clang-tidy 14 takes no notice of returns_nonnull. */
#define err_new(...) (err_new(__VA_ARGS__) ?: ERR_NOMEM)
#define err_at(...) (err_at(__VA_ARGS__) ?: ERR_NOMEM)
#define err_errno(...) (err_errno(__VA_ARGS__) ?: ERR_NOMEM)
#endif

static inline enum err_code err_code(err_t e) { return e ? e->code : E_OK; }
/* The name of a code as JSON has it: "no-process", "permission", … */
const char *err_code_name(enum err_code code);

#define TRY(expr) do { err_t try_e_ = (expr); if (try_e_) return try_e_; } while (0)
#define cleanup_(f) __attribute__((cleanup(f)))

#endif
