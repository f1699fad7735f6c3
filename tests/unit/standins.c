/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Stands in for libsodium, inih and libb2 where there is a 32-bit compiler but
 * no 32-bit copy of them: just enough for plan_driver.c, to see that kilowg's
 * own code does not depend on the size of a word. The digest is left out.
 */
#include <blake2.h>
#include <ini.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void sodium_memzero(void *const p, const size_t len)
{
	memset(p, 0, len);
}

int sodium_memcmp(const void *const a, const void *const b, size_t len)
{
	return memcmp(a, b, len) ? -1 : 0;
}

int sodium_is_zero(const unsigned char *n, const size_t len)
{
	size_t i;

	for (i = 0; i < len && !n[i]; i++)
		;
	return i == len;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Both for multiples of three bytes and two more, as in a key. */
char *sodium_bin2base64(char *const out, const size_t size, const unsigned char *const bin,
			const size_t len, const int variant)
{
	unsigned long group;
	size_t i, o = 0;

	(void)size, (void)variant;
	for (i = 0; i < len; i += 3) {
		group = (unsigned long)bin[i] << 16 | (unsigned long)bin[i + 1] << 8 |
			(i + 2 < len ? bin[i + 2] : 0);
		out[o++] = base64[group >> 18];
		out[o++] = base64[group >> 12 & 63];
		out[o++] = base64[group >> 6 & 63];
		out[o++] = i + 2 < len ? base64[group & 63] : '=';
	}
	out[o] = '\0';
	return out;
}

int sodium_base642bin(unsigned char *const bin, const size_t max, const char *const text,
		      const size_t len, const char *const ignore, size_t *const bin_len,
		      const char **const end, const int variant)
{
	unsigned long group = 0;
	size_t i, n = 0, bits = 0;

	(void)ignore, (void)end, (void)variant;
	for (i = 0; i < len && text[i] != '='; i++) {
		const char *c = strchr(base64, text[i]);

		if (!c || !*c)
			return -1;
		group = group << 6 | (unsigned long)(c - base64);
		for (bits += 6; bits >= 8 && n < max; n++)
			bin[n] = (unsigned char)(group >> (bits -= 8));
	}
	*bin_len = n;
	return 0;
}

size_t sodium_base64_encoded_len(const size_t len, const int variant)
{
	(void)variant;
	return (len + 2) / 3 * 4 + 1;
}

char *sodium_bin2hex(char *const out, const size_t size, const unsigned char *const bin, const size_t len)
{
	(void)size, (void)bin, (void)len;
	out[0] = '\0';	/* there is no digest to write */
	return out;
}

int sodium_hex2bin(unsigned char *const bin, const size_t max, const char *const hex, const size_t len,
		   const char *const ignore, size_t *const bin_len, const char **const end)
{
	(void)bin, (void)max, (void)hex, (void)len, (void)ignore, (void)bin_len, (void)end;
	abort();
}

int crypto_scalarmult_base(unsigned char *q, const unsigned char *n)
{
	(void)q, (void)n;
	abort();
}

int blake2b(uint8_t *out, const void *in, const void *k, size_t out_len, size_t in_len, size_t k_len)
{
	(void)in, (void)k, (void)in_len, (void)k_len;
	memset(out, 0, out_len);
	return 0;
}

int blake2b_init(blake2b_state *s, size_t out_len)
{
	(void)s, (void)out_len;
	return 0;
}

int blake2b_update(blake2b_state *s, const uint8_t *in, size_t len)
{
	(void)s, (void)in, (void)len;
	return 0;
}

int blake2b_final(blake2b_state *s, uint8_t *out, size_t out_len)
{
	(void)s;
	memset(out, 0, out_len);
	return 0;
}

/* lib/config/ini.c hands out "[N]", "key=N" and empty lines. */
int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
	char line[200], *eq;

	while (reader(line, sizeof(line), stream)) {
		eq = strchr(line, '=');
		if (!eq)
			continue;
		*eq = '\0';
#if INI_HANDLER_LINENO
		handler(user, "", line, eq + 1, 0);
#else
		handler(user, "", line, eq + 1);
#endif
	}
	return 0;
}
