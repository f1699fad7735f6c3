/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <string.h>

#include "core/num.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int kwgi_num_parse(uint64_t *out, const char *s, uint64_t max)
{
	uint64_t n = 0;

	if (!is_digit(*s) || (s[0] == '0' && s[1]))
		return -1;
	for (; is_digit(*s); s++) {
		if (n > max / 10)
			return -1;
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max)
			return -1;
	}
	if (*s)
		return -1;
	*out = n;
	return 0;
}

/* Milliseconds of one unit at s, 0 if there is none; *len is its length. */
static uint64_t unit_ms(const char *s, size_t *len)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } };
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		*len = strlen(units[i].name);
		if (!strncmp(s, units[i].name, *len))
			return units[i].ms;
	}
	return 0;
}

/* One "12.5h" at *s, which moves on; false if there is none or it is too large. */
static bool add_term(const char **s, uint64_t *ms)
{
	const uint64_t limit = UINT64_MAX / 3600000 / 20000;
	uint64_t n = 0, scale = 1, unit;
	bool any = false, fraction = false;
	size_t len;

	for (; is_digit(**s) || (**s == '.' && !fraction); (*s)++) {
		if (**s == '.') {
			fraction = true;
			continue;
		}
		any = true;
		if (fraction && scale == 1000)
			continue;
		n = n * 10 + (uint64_t)(**s - '0');
		if (fraction)
			scale *= 10;
		if (n > limit)
			return false;
	}
	unit = unit_ms(*s, &len);
	if (!any || !unit)
		return false;
	*s += len;
	*ms += n * unit / scale;
	return *ms <= UINT64_MAX / 2;
}

int kwgi_duration_parse(uint64_t *seconds, const char *s, uint64_t max)
{
	uint64_t ms = 0;

	if (!kwgi_num_parse(seconds, s, max))
		return 0;
	do {
		if (!add_term(&s, &ms))
			return -1;
	} while (*s);
	if (ms / 1000 > max)
		return -1;
	*seconds = ms / 1000;
	return 0;
}
