/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <stdint.h>

#include "base/utf8.h"

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

size_t kwgi_utf8_len(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t c;

	if (!u[0])
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xc2 && u[0] < 0xe0)
		return is_tail(u[1]) ? 2 : 0;
	if (u[0] >= 0xe0 && u[0] < 0xf0) {
		if (!is_tail(u[1]) || !is_tail(u[2]))
			return 0;
		c = (u[0] & 15u) << 12 | (u[1] & 63u) << 6 | (u[2] & 63u);
		return c >= 0x800 && (c < 0xd800 || c > 0xdfff) ? 3 : 0;
	}
	if (u[0] >= 0xf0 && u[0] < 0xf5) {
		if (!is_tail(u[1]) || !is_tail(u[2]) || !is_tail(u[3]))
			return 0;
		c = (u[0] & 7u) << 18 | (u[1] & 63u) << 12 | (u[2] & 63u) << 6 | (u[3] & 63u);
		return c >= 0x10000 && c <= 0x10ffff ? 4 : 0;
	}
	return 0;
}

static bool is_obeyed(const unsigned char *u)
{
	if (u[0] < 32 || u[0] == 127)
		return true;
	if (u[0] == 0xc2)		/* U+0080 to U+009F */
		return u[1] < 0xa0;
	if (u[0] == 0xd8)		/* U+061C */
		return u[1] == 0x9c;
	if (u[0] != 0xe2)
		return false;
	if (u[1] == 0x80)		/* U+200E, U+200F, U+2028 to U+202E */
		return u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae);
	return u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9;	/* U+2066 to U+2069 */
}

size_t kwgi_utf8_printable(const char *s)
{
	size_t len = kwgi_utf8_len(s);

	return len && !is_obeyed((const unsigned char *)s) ? len : 0;
}
