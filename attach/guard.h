/* What befalls asyncmon while it holds a target stopped must not befall the target.
 *
 * A signal that ends us frees the target by itself, but only once our memory is gone, and
 * after a core dump was written if there is one: so none is written, and the tracer thread
 * is made to end first. SIGSTOP cannot be caught: a small process of our own, in a session
 * of its own, sees that we stand still and continues us; we stop once the target runs.
 *
 * One target is held at a time. */
#ifndef ASYNCMON_ATTACH_GUARD_H
#define ASYNCMON_ATTACH_GUARD_H

/* Starts that process, once for each process of ours; best before much memory is in use.
 * Where it cannot be had we do without. */
void guard_start(void);
/* Around the time in which threads may be held. Both on the same thread. */
void guard_hold(void);
void guard_release(void);
/* The calling thread is the tracer; as long as it holds something. */
void guard_tracer_begin(void);
void guard_tracer_end(void);

#endif
