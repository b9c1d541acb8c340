/* Tells AddressSanitizer which parts of our own memory nobody may touch: the gaps between
 * what an arena handed out, the unused end of a growing array. Nothing in other builds. */
#ifndef ASYNCMON_BASE_POISON_H
#define ASYNCMON_BASE_POISON_H

#include <stddef.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ && !defined ASAN
#define ASAN 1
#endif

#ifdef ASAN
/* As sanitizer/asan_interface.h and lsan_interface.h have them, which not every compiler
 * that can sanitize comes with. */
void __asan_poison_memory_region(void const volatile *p, size_t n);
void __asan_unpoison_memory_region(void const volatile *p, size_t n);
void __lsan_register_root_region(const void *p, size_t n);
void __lsan_unregister_root_region(const void *p, size_t n);

static inline void poison(const void *p, size_t n) { __asan_poison_memory_region(p, n); }
static inline void unpoison(const void *p, size_t n) { __asan_unpoison_memory_region(p, n); }
/* Mapped memory in which the leak check looks for pointers, as it does in the heap. */
static inline void leak_root(const void *p, size_t n) { __lsan_register_root_region(p, n); }
static inline void leak_root_end(const void *p, size_t n) { __lsan_unregister_root_region(p, n); }
#else
static inline void poison(const void *p, size_t n) { (void)p, (void)n; }
static inline void unpoison(const void *p, size_t n) { (void)p, (void)n; }
static inline void leak_root(const void *p, size_t n) { (void)p, (void)n; }
static inline void leak_root_end(const void *p, size_t n) { (void)p, (void)n; }
#endif

#endif
