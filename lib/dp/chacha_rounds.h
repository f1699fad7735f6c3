/* SPDX-License-Identifier: ISC */
/*
 * The rounds of ChaCha20 (RFC 8439 section 2.3) on vectors: word i of the state of one block per
 * lane in x[i]. Meanwhile Poly1305 of two packets, in ordinary registers (dp/poly.h).
 *
 * For the files with vector code, which define vec, INLINE, ADD32, XOR32 and ROTATE32, and STRIDE:
 * so many blocks of each packet are worked on in a double round.
 */
#include "dp/poly.h"

INLINE void quarter(vec *a, vec *b, vec *c, vec *d)
{
	*a = ADD32(*a, *b);
	*d = ROTATE32(XOR32(*d, *a), 16);
	*c = ADD32(*c, *d);
	*b = ROTATE32(XOR32(*b, *c), 12);
	*a = ADD32(*a, *b);
	*d = ROTATE32(XOR32(*d, *a), 8);
	*c = ADD32(*c, *d);
	*b = ROTATE32(XOR32(*b, *c), 7);
}

/*
 * What comes behind quarter round k of eight, of the blocks at p[.].data + at: those of a double
 * round are spread evenly.
 */
INLINE void meanwhile(struct kwgi_poly_sum h[2], const struct kwgi_poly *p, size_t at, unsigned k)
{
	const unsigned i = (k * 2 * STRIDE + 7) / 8, side = i % 2;

	if (p && i * 8 / (2 * STRIDE) == k)
		kwgi_poly_block(&h[side], &p[side].r, p[side].data + at + 16 * (i / 2));
}

/* p: NULL where nothing is done meanwhile. */
INLINE void double_round(vec x[16], struct kwgi_poly_sum h[2], const struct kwgi_poly *p, size_t at)
{
	quarter(&x[0], &x[4], &x[8], &x[12]);
	meanwhile(h, p, at, 0);
	quarter(&x[1], &x[5], &x[9], &x[13]);
	meanwhile(h, p, at, 1);
	quarter(&x[2], &x[6], &x[10], &x[14]);
	meanwhile(h, p, at, 2);
	quarter(&x[3], &x[7], &x[11], &x[15]);
	meanwhile(h, p, at, 3);
	quarter(&x[0], &x[5], &x[10], &x[15]);
	meanwhile(h, p, at, 4);
	quarter(&x[1], &x[6], &x[11], &x[12]);
	meanwhile(h, p, at, 5);
	quarter(&x[2], &x[7], &x[8], &x[13]);
	meanwhile(h, p, at, 6);
	quarter(&x[3], &x[4], &x[9], &x[14]);
	meanwhile(h, p, at, 7);
}

/* The twenty rounds. */
INLINE void rounds(vec x[16], struct kwgi_poly_pair *pair)
{
	const struct kwgi_poly_pair own = *pair;	/* on the stack: no register for its address */
	struct kwgi_poly_sum h[2] = { own.p[0].h, own.p[1].h };
	uint32_t n = kwgi_poly_pair_blocks(&own) / STRIDE, i;

	if (n > 10)
		n = 10;
	for (i = 0; i < n; i++)
		double_round(x, h, own.p, 16 * STRIDE * (size_t)i);
	for (; i < 10; i++)
		double_round(x, NULL, NULL, 0);
	kwgi_poly_pair_advance(pair, h, STRIDE * n);
}
