/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <string.h>

#include "base/num.h"

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
		uint64_t digit = (uint64_t)(*s - '0');

		if (digit > max || n > (max - digit) / 10)
			return -1;
		n = n * 10 + digit;
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

/* Digits at *s, which moves on, as long as *n stays below limit; *count is their number. */
static bool take_digits(const char **s, uint64_t limit, uint64_t *n, unsigned *count)
{
	for (*n = 0, *count = 0; is_digit(**s); (*s)++, (*count)++) {
		*n = *n * 10 + (uint64_t)(**s - '0');
		if (*n >= limit)
			return false;
	}
	return true;
}

/* Digits of a fraction at *s as parts of a thousand million; more of them do not count. */
static uint64_t take_fraction(const char **s, unsigned *count)
{
	uint64_t n = 0, place = 100000000;

	for (*count = 0; is_digit(**s); (*s)++, (*count)++, place /= 10)
		n += (uint64_t)(**s - '0') * place;
	return n;
}

/* One "12.5h" at *s, which moves on; false if there is none or it is too large. */
static bool add_term(const char **s, uint64_t *ms)
{
	uint64_t whole, fraction = 0, unit;
	unsigned digits, fraction_digits = 0;
	size_t len;

	if (!take_digits(s, 1000000000000, &whole, &digits))
		return false;
	if (**s == '.') {
		(*s)++;
		fraction = take_fraction(s, &fraction_digits);
	}
	unit = unit_ms(*s, &len);
	if (!(digits || fraction_digits) || !unit)
		return false;
	*s += len;
	*ms += whole * unit + fraction * unit / 1000000000;
	return *ms <= UINT64_MAX / 4;
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
