#include "base/utf8.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

void utf8_start(void)
{
	static const char *const others[] = { "C.UTF-8", "C.utf8", "en_US.UTF-8" };
	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	for (size_t i = 0; strcmp(nl_langinfo(CODESET), "UTF-8") != 0 && i < sizeof others / sizeof *others; i++)
		setlocale(LC_CTYPE, others[i]);
}

unsigned utf8_decode(const char *text, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	unsigned n = s[0] < 0x80 ? 1 : (s[0] >> 5) == 6 ? 2 : (s[0] >> 4) == 14 ? 3
		   : (s[0] >> 3) == 30 ? 4 : 0;
	if (n == 0)
		return 0;
	*cp = n == 1 ? s[0] : s[0] & (0x7Fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3F);
	}
	if (n == 2 && *cp == 0)
		return n;
	if (*cp < least[n] || *cp > 0x10FFFF || (*cp >= 0xD800 && *cp <= 0xDFFF))
		return 0;
	return n;
}

size_t utf8_step(const char **s)
{
	uint32_t cp = 0;
	unsigned n = (unsigned char)**s < 0x80 ? 0 : utf8_decode(*s, &cp);
	*s += n ? n : 1;
	if (!n)
		return 1;
	/* Where no UTF-8 locale could be had, -1: most characters take one column. */
	int w = wcwidth((wchar_t)cp);
	return w < 0 ? 1 : (size_t)w;
}

size_t utf8_width(const char *text)
{
	size_t w = 0;
	while (*text)
		w += utf8_step(&text);
	return w;
}
