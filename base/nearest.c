/* Which known word a mistyped one was meant to be: the least edit distance, with a
 * swap of neighbours counted as one edit. */
#include "base/options.h"

#include <string.h>

#define LONGEST 48

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST + 1], na = strlen(a), nb = strlen(b);
	if (na > LONGEST || nb > LONGEST)
		return (size_t)-1;
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    up2[j - 2] + 1 < row[j])
				row[j] = up2[j - 2] + 1;
		}
	}
	return rows[na % 3][nb];
}

void nearest_try(struct nearest *n, const char *candidate)
{
	size_t len = strlen(n->word);
	size_t d = len >= 2 && !strncmp(candidate, n->word, len) ? 1 : distance(n->word, candidate);
	if (d > len / 3 + 1 || (n->best && d >= n->distance))
		return;
	n->best = candidate;
	n->distance = d;
}
