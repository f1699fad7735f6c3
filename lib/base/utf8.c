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
