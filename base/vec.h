/* Arrays that grow. Pointer, count and capacity stand in one struct, so that none of
 * them can be reset without the others:
 *
 *	struct pids VEC(pid_t);
 *	struct pids p = { 0 };
 *	if (!vec_push(&p, pid))
 *		return ERR_NOMEM;
 *	vec_free(&p);
 *
 * The macros take a pointer to any struct that has the members `v`, `n` and `cap`.
 * Elements move when the array grows. `n` may be made smaller to drop elements from the
 * end; only what is below here makes it larger. */
#ifndef ASYNCMON_BASE_VEC_H
#define ASYNCMON_BASE_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/poison.h"

#define VEC(type) { type *v; size_t n, cap; }

/* Moves an array of n elements to where there is room for `more` others, and sets *cap.
 * NULL when memory is out or the size overflows: the array is as it was. */
void *vec_grown(void *v, size_t n, size_t more, size_t *cap, size_t size);

/* Makes room for `more` elements beyond those there are; false when memory is out. */
#define vec_reserve(a, more) ({ \
	__auto_type vec_r_ = (a); \
	size_t vec_more_ = (more); \
	bool vec_ok_ = vec_r_->cap - vec_r_->n >= vec_more_; \
	if (!vec_ok_) { \
		void *vec_p_ = vec_grown(vec_r_->v, vec_r_->n, vec_more_, &vec_r_->cap, sizeof *vec_r_->v); \
		vec_ok_ = vec_p_ != NULL; \
		if (vec_ok_) \
			vec_r_->v = vec_p_; \
	} \
	vec_ok_; \
})

/* A new last element, whose bytes are not set; NULL when memory is out. */
#define vec_add(a) ({ \
	__auto_type vec_a_ = (a); \
	bool vec_fits_ = vec_reserve(vec_a_, 1); \
	if (vec_fits_) \
		unpoison(&vec_a_->v[vec_a_->n], sizeof *vec_a_->v); \
	vec_fits_ ? &vec_a_->v[vec_a_->n++] : NULL; \
})

/* Appends a value; false when memory is out. */
#define vec_push(a, ...) ({ \
	__auto_type vec_e_ = vec_add(a); \
	if (vec_e_) \
		*vec_e_ = (__VA_ARGS__); \
	vec_e_ != NULL; \
})

#define vec_free(a) do { \
	__auto_type vec_f_ = (a); \
	free(vec_f_->v); \
	vec_f_->v = NULL; \
	vec_f_->n = vec_f_->cap = 0; \
} while (0)

#endif
