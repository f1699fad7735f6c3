/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What a fuzz target is, and what it needs. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The target: returns 0, and aborts if something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Bytes that a target takes from the front of its input; zeros when there are no more. */
struct fuzz_input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint64_t fuzz_uint(struct fuzz_input *in, unsigned bytes)
{
	uint64_t x = 0;

	while (bytes--)
		x = x << 8 | fuzz_u8(in);
	return x;
}

static inline void fuzz_bytes(struct fuzz_input *in, uint8_t *out, size_t len)
{
	while (len--)
		*out++ = fuzz_u8(in);
}

#endif
