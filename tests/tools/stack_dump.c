/* Prints every thread's merged stack, and what taking it cost: stack-dump PID [-n TIMES].
 * Lines: "thread TID NAME", then outermost first "p FUNCTION FILE:LINE" and
 * "n ADDRESS FUNCTION MODULE+OFFSET", then "broken WHY". Costs go to stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "symbols/python.h"
#include "tasks/take.h"

static void fail(err_t e)
{
	fprintf(stderr, "stack-dump: %s\n", e->msg);
	exit(1);
}

static void print(const struct snapshot *s)
{
	for (size_t i = 0; i < s->nthreads; i++) {
		const struct thread_stack *t = &s->threads[i];
		printf("thread %d %s\n", (int)t->tid, t->name);
		for (size_t k = 0; k < t->nframes; k++) {
			const struct thread_frame *f = &t->frames[k];
			if (f->kind == FRAME_PYTHON)
				printf("p %s %s:%d\n", f->function, f->file, f->line);
			else
				printf("n %#llx %s %s+%#llx %s:%d\n", (unsigned long long)f->address,
				       f->function ? f->function : "??", f->module ? f->module : "??",
				       (unsigned long long)f->offset, f->file ? f->file : "??", f->line);
		}
		if (t->broken)
			printf("broken %s\n", t->broken);
	}
	for (size_t i = 0; i < s->ntasks; i++) {
		if (!s->tasks[i].nnative)
			continue;
		printf("task %s\n", s->tasks[i].name);
		for (size_t k = 0; k < s->tasks[i].nnative; k++)
			printf("%c %s\n", s->tasks[i].native[k].kind == FRAME_PYTHON ? 'p' : 'n',
			       s->tasks[i].native[k].function);
	}
	for (size_t i = 0; i < s->nnotes; i++)
		printf("note %s\n", s->notes[i]);
}

static double cpu(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	struct target *t;
	struct python *py;
	int times = argc > 3 && strcmp(argv[2], "-n") == 0 ? atoi(argv[3]) : 1;
	if (argc < 2) {
		fprintf(stderr, "usage: stack-dump PID [-n TIMES]\n");
		return 2;
	}
	err_t e = target_open_process((pid_t)atoi(argv[1]), NULL, &t);
	if (!e)
		e = python_find(t, &py);
	if (e)
		fail(e);
	for (int i = 0; i < times; i++) {
		for (int native = 0; native < 2; native++) {
			struct snapshot *s;
			unsigned what = SNAPSHOT_THREADS | (native ? SNAPSHOT_NATIVE : 0);
			double start = cpu();
			e = snapshot_take(py, what, &s);
			if (e)
				fail(e);
			fprintf(stderr, "%s: paused %lld us, freeze %.3f ms, walk %.3f ms, lines %.3f ms, cpu %.3f ms, "
				"%u attempts, %llu bytes\n", native ? "native" : "python", (long long)s->paused_us,
				s->stats.freeze * 1e3, s->stats.walk * 1e3,
				s->stats.lines * 1e3, cpu() - start, s->stats.attempts,
				(unsigned long long)s->stats.copied);
			if (native && i == times - 1)
				print(s);
			snapshot_free(s);
		}
	}
	python_free(py);
	target_close(t);
	return 0;
}
