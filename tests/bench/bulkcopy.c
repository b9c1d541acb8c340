/* bulkcopy PID [ROUNDS]: how long it takes to copy all private anonymous
 * writable memory that PID has in core, by process_vm_readv into a buffer
 * faulted in before; nothing else. The yardstick of asyncmon's pause.
 * Prints: bytes, and the microseconds of the median round. */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

enum { MAX_RANGES = 65536, MAX_IOV = 1024, MAX_ROUNDS = 101 };

static struct iovec ranges[MAX_RANGES];
static size_t n_ranges;
static size_t total;

static void add(uint64_t start, uint64_t end)
{
	if (n_ranges < MAX_RANGES) {
		ranges[n_ranges].iov_base = (void *)(uintptr_t)start;
		ranges[n_ranges++].iov_len = end - start;
		total += end - start;
	}
}

/* The pages of a mapping that are in core or swapped, as few ranges. */
static void add_present(int pagemap, uint64_t start, uint64_t end)
{
	uint64_t entry[512], page = 4096, from = 0;

	for (uint64_t a = start; a < end;) {
		size_t n = (end - a) / page;
		if (n > 512)
			n = 512;
		if (pread(pagemap, entry, n * 8, (off_t)(a / page * 8)) !=
		    (ssize_t)(n * 8)) {
			if (from)
				add(from, a);
			return;
		}
		for (size_t i = 0; i < n; i++, a += page) {
			int present = (entry[i] >> 62) != 0;
			if (present && !from)
				from = a;
			if (!present && from) {
				add(from, a);
				from = 0;
			}
		}
	}
	if (from)
		add(from, end);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	pid_t pid = (pid_t)atoi(argv[1]);
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	char path[64], line[4352], perms[5];

	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps || pagemap < 0) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof line, maps)) {
		uint64_t start, end, inode = 1;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %" SCNu64,
			   &start, &end, perms, &inode) == 4 &&
		    inode == 0 && perms[0] == 'r' && perms[1] == 'w' &&
		    perms[3] == 'p')
			add_present(pagemap, start, end);
	}
	fclose(maps);

	char *buf = mmap(NULL, total ? total : 1, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buf == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	double us[MAX_ROUNDS];
	for (int r = 0; r < rounds; r++) {
		struct timespec a, b;
		clock_gettime(CLOCK_MONOTONIC, &a);
		size_t at = 0;
		for (size_t i = 0; i < n_ranges; i += MAX_IOV) {
			size_t n = n_ranges - i < MAX_IOV ? n_ranges - i
							  : MAX_IOV;
			struct iovec local = { buf + at, total - at };
			ssize_t got = process_vm_readv(pid, &local, 1,
						       ranges + i, n, 0);
			if (got < 0) {
				perror("process_vm_readv");
				return 1;
			}
			at += (size_t)got;
		}
		clock_gettime(CLOCK_MONOTONIC, &b);
		us[r] = (b.tv_sec - a.tv_sec) * 1e6 +
			(b.tv_nsec - a.tv_nsec) / 1e3;
	}
	qsort(us, (size_t)rounds, sizeof *us, compare);
	printf("%zu %.0f\n", total, us[rounds / 2]);
	return 0;
}
