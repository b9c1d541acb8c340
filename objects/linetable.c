/* From an instruction to its line. Sources: Objects/lnotab_notes.txt of 3.8 to 3.10,
 * Objects/locations.md (InternalDocs/code_objects.md) of 3.11 and later. */
#include "objects/code.h"

int lnotab_line(const uint8_t *t, size_t n, int first, int64_t lasti)
{
	int64_t addr = 0, line = first;
	for (size_t i = 0; i + 1 < n; i += 2) {
		addr += t[i];
		if (addr > lasti)
			break;
		line += (int8_t)t[i + 1];
	}
	return line > 0 && line <= INT32_MAX ? (int)line : 0;
}

int linetable_line(const uint8_t *t, size_t n, int first, int64_t lasti)
{
	int64_t end = 0, line = first;
	for (size_t i = 0; i + 1 < n; i += 2) {
		int8_t delta = (int8_t)t[i + 1];
		bool none = delta == -128;
		end += t[i];
		line += none ? 0 : delta;
		if (end > lasti)
			return none || line <= 0 || line > INT32_MAX ? 0 : (int)line;
	}
	return 0;
}

static bool varint(const uint8_t *t, size_t n, size_t *i, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; *i < n && shift < 36; shift += 6) {
		uint8_t b = t[(*i)++];
		*v |= (uint64_t)(b & 63) << shift;
		if (!(b & 64))
			return true;
	}
	return false;
}

int locations_line(const uint8_t *t, size_t n, int first, int64_t lasti)
{
	enum { SHORT_LAST = 9, ONE_LINE_FIRST = 10, ONE_LINE_LAST = 12, NO_COLUMNS = 13, LONG = 14, NONE = 15 };
	int64_t end = 0, line = first;
	for (size_t i = 0; i < n;) {
		uint8_t head = t[i++];
		if (!(head & 128))
			return 0;
		int code = head >> 3 & 15;
		end += 2 * ((head & 7) + 1);
		if (code >= ONE_LINE_FIRST && code <= ONE_LINE_LAST) {
			line += code - ONE_LINE_FIRST;
		} else if (code == NO_COLUMNS || code == LONG) {
			uint64_t v;
			if (!varint(t, n, &i, &v))
				return 0;
			line += v & 1 ? -(int64_t)(v >> 1) : (int64_t)(v >> 1);
		}
		if (end > lasti)
			return code == NONE || line <= 0 || line > INT32_MAX ? 0 : (int)line;
		/* The rest of the entry is columns; heads alone have the top bit. */
		while (i < n && !(t[i] & 128))
			i++;
	}
	return 0;
}

int code_line(const struct code *c, const struct py_layout *l, int64_t lasti)
{
	if (lasti < 0)
		return c->firstlineno;
	if (!c->table)
		return 0;
	if (l->line_table == LINE_TABLE_LNOTAB)
		return lnotab_line(c->table, c->table_len, c->firstlineno, lasti);
	if (l->line_table == LINE_TABLE_RANGES)
		return linetable_line(c->table, c->table_len, c->firstlineno, lasti);
	return locations_line(c->table, c->table_len, c->firstlineno, lasti);
}
