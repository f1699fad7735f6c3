/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Internet checksums (RFC 1071). Sums are taken over 16-bit words as they lie
 * in memory, so that a folded sum is stored with memcpy() on any byte order
 * (RFC 1071 section 2 B). A sum is kept in 64 bits with end-around carry: it
 * is 0 only if every byte was 0.
 */
#ifndef KWGI_CHECKSUM_H
#define KWGI_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t kwgi_csum_add(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* Takes b out of the sum a that contains it. */
static inline uint64_t kwgi_csum_sub(uint64_t a, uint64_t b)
{
	return kwgi_csum_add(a, ~b);
}

/* The 16-bit sum in memory order, not inverted. */
static inline uint16_t kwgi_csum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/*
 * sum plus that of len bytes at p, any alignment and length. The block begins
 * at an even offset of what is summed; an odd last byte is padded with zero.
 */
uint64_t kwgi_csum_partial(const void *p, size_t len, uint64_t sum);

/* The same without vector instructions; for tests and benchmarks. */
uint64_t kwgi_csum_partial_portable(const void *p, size_t len, uint64_t sum);

/* The same, and copies the bytes to another place, which does not overlap. */
uint64_t kwgi_csum_copy(void *to, const void *from, size_t len, uint64_t sum);

/*
 * Sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1):
 * addresses are source and destination as they follow each other in the IP
 * header, len is that of transport header and payload.
 */
uint64_t kwgi_csum_pseudo4(const uint8_t addresses[8], uint8_t protocol, uint32_t len);
uint64_t kwgi_csum_pseudo6(const uint8_t addresses[32], uint8_t protocol, uint32_t len);

/*
 * RFC 1624 equation 3: the checksum field after one 16-bit word it covers has
 * changed from old to new. All in memory order.
 */
uint16_t kwgi_csum_update(uint16_t check, uint16_t old, uint16_t new);

/* The checksum of an IPv4 header of len bytes. Its field counts as it stands: set it to 0 first. */
uint16_t kwgi_csum_ipv4(const void *header, size_t len);

#endif
