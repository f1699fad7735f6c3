/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The rounds of ChaCha20 (RFC 8439 section 2.3) for 16 blocks, one per lane, and meanwhile Poly1305
 * (RFC 8439 section 2.5, as in dp/poly.h) of two packets in ordinary registers. For aead_avx512.c.
 *
 * In assembler for the order of the instructions. Four quarter rounds run side by side, as each
 * waits for itself; after each 16 of these instructions a block of Poly1305 is done, whose 27
 * stand evenly between them. So neither delays the other (Zen 4: 165 ns for 16 blocks of
 * ChaCha20, with 60 of Poly1305 or without. In the order of a compiler it was 205 ns, with each
 * block of Poly1305 behind its 16 instructions 178 ns).
 */
#ifndef KWGI_CHACHA_AVX512_H
#define KWGI_CHACHA_AVX512_H

#include <stddef.h>

#include "dp/aead_batch.h"
#include "dp/poly.h"

#if defined(__x86_64__)

/* ---- ChaCha20: word i of the states is operand xi ---- */

#define ADD(a, b)	"vpaddd	%[x" #b "], %[x" #a "], %[x" #a "]\n\t"
#define XOR(a, b)	"vpxord	%[x" #b "], %[x" #a "], %[x" #a "]\n\t"
#define ROTATE(a, n)	"vprold	$" #n ", %[x" #a "], %[x" #a "]\n\t"

/* The operations of four quarter rounds, on columns (s = 0) or diagonals. */
#define ADD_AB_0	ADD(0, 4), ADD(1, 5), ADD(2, 6), ADD(3, 7)
#define XOR_DA_0	XOR(12, 0), XOR(13, 1), XOR(14, 2), XOR(15, 3)
#define ROT_D_0(n)	ROTATE(12, n), ROTATE(13, n), ROTATE(14, n), ROTATE(15, n)
#define ADD_CD_0	ADD(8, 12), ADD(9, 13), ADD(10, 14), ADD(11, 15)
#define XOR_BC_0	XOR(4, 8), XOR(5, 9), XOR(6, 10), XOR(7, 11)
#define ROT_B_0(n)	ROTATE(4, n), ROTATE(5, n), ROTATE(6, n), ROTATE(7, n)

#define ADD_AB_1	ADD(0, 5), ADD(1, 6), ADD(2, 7), ADD(3, 4)
#define XOR_DA_1	XOR(15, 0), XOR(12, 1), XOR(13, 2), XOR(14, 3)
#define ROT_D_1(n)	ROTATE(15, n), ROTATE(12, n), ROTATE(13, n), ROTATE(14, n)
#define ADD_CD_1	ADD(10, 15), ADD(11, 12), ADD(8, 13), ADD(9, 14)
#define XOR_BC_1	XOR(5, 10), XOR(6, 11), XOR(7, 8), XOR(4, 9)
#define ROT_B_1(n)	ROTATE(5, n), ROTATE(6, n), ROTATE(7, n), ROTATE(4, n)

/* The 48 instructions in three parts. */
#define HALF(s, part1, part2, part3) \
	part1(ADD_AB_##s, XOR_DA_##s, ROT_D_##s(16), ADD_CD_##s) \
	part2(XOR_BC_##s, ROT_B_##s(12), ADD_AB_##s, XOR_DA_##s) \
	part3(ROT_D_##s(8), ADD_CD_##s, XOR_BC_##s, ROT_B_##s(7))

/* ---- Poly1305: sums in r8 to r10 and r11 to r13, the pair at rcx ---- */

#define BLOCK_A(m0, m1, v0, ...) \
	KWGI_POLY_BLOCK("%%r8", "%%r9", "%%r10", "%%r10d", m0 "(%%r14)", m1 "(%%r14)", \
			"24(%%rcx)", "32(%%rcx)", "40(%%rcx)", "%%rax", "%%rbx", "%%r14", "%%r15", \
			v0 "movq	48(%%rcx), %%r14\n\t", __VA_ARGS__)
#define BLOCK_B(m0, m1, v0, ...) \
	KWGI_POLY_BLOCK("%%r11", "%%r12", "%%r13", "%%r13d", m0 "(%%r14)", m1 "(%%r14)", \
			"88(%%rcx)", "96(%%rcx)", "104(%%rcx)", "%%rax", "%%rbx", "%%r14", "%%r15", \
			v0 "movq	112(%%rcx), %%r14\n\t", __VA_ARGS__)
#define BLOCK_A0(...)	BLOCK_A("0", "8", __VA_ARGS__)
#define BLOCK_A1(...)	BLOCK_A("16", "24", __VA_ARGS__)
#define BLOCK_A2(...)	BLOCK_A("32", "40", __VA_ARGS__)
#define BLOCK_B0(...)	BLOCK_B("0", "8", __VA_ARGS__)
#define BLOCK_B1(...)	BLOCK_B("16", "24", __VA_ARGS__)
#define BLOCK_B2(...)	BLOCK_B("32", "40", __VA_ARGS__)
#define NO_BLOCK(...)	ALONE(__VA_ARGS__)
#define ALONE(v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15) \
	v0 v1 v2 v3 v4 v5 v6 v7 v8 v9 v10 v11 v12 v13 v14 v15

/* ---- */

/* In a double round, of each packet. */
enum { KWGI_CHACHA_AVX512_STRIDE = 3 };

_Static_assert(offsetof(struct kwgi_poly, r.r0) == 24 && offsetof(struct kwgi_poly, r.r1) == 32 &&
	       offsetof(struct kwgi_poly, r.s1) == 40 && offsetof(struct kwgi_poly, data) == 48 &&
	       sizeof(struct kwgi_poly) == 64, "the assembler code knows it");
_Static_assert(offsetof(struct kwgi_aead_lanes, words) == 0 &&
	       offsetof(struct kwgi_aead_lanes, block) == 64 &&
	       offsetof(struct kwgi_aead_lanes, lo) == 192 &&
	       offsetof(struct kwgi_aead_lanes, hi) == 320, "the assembler code knows it");

/* x: the states of the blocks of l after the rounds. The pair advances by a multiple of the stride. */
__attribute__((target("avx512f"), always_inline)) static inline void
kwgi_chacha_avx512_rounds(__m512i x[16], const struct kwgi_aead_lanes *l, struct kwgi_poly_pair *pair)
{
	const uint32_t blocks = kwgi_poly_pair_blocks(pair) / KWGI_CHACHA_AVX512_STRIDE;
	const uint32_t both = blocks < 10 ? blocks : 10, alone = 10 - both;
	uint32_t n = both;

	__asm__ volatile(
		"vpbroadcastd	(%[l]), %[x0]\n\t"
		"vpbroadcastd	4(%[l]), %[x1]\n\t"
		"vpbroadcastd	8(%[l]), %[x2]\n\t"
		"vpbroadcastd	12(%[l]), %[x3]\n\t"
		"vpbroadcastd	16(%[l]), %[x4]\n\t"
		"vpbroadcastd	20(%[l]), %[x5]\n\t"
		"vpbroadcastd	24(%[l]), %[x6]\n\t"
		"vpbroadcastd	28(%[l]), %[x7]\n\t"
		"vpbroadcastd	32(%[l]), %[x8]\n\t"
		"vpbroadcastd	36(%[l]), %[x9]\n\t"
		"vpbroadcastd	40(%[l]), %[x10]\n\t"
		"vpbroadcastd	44(%[l]), %[x11]\n\t"
		"vmovdqa64	64(%[l]), %[x12]\n\t"
		"vpxord	%[x13], %[x13], %[x13]\n\t"
		"vmovdqa64	192(%[l]), %[x14]\n\t"
		"vmovdqa64	320(%[l]), %[x15]\n\t"
		"cmpl	$0, %[n]\n\t"
		"je	2f\n\t"
		"movq	(%%rcx), %%r8\n\t"
		"movq	8(%%rcx), %%r9\n\t"
		"movq	16(%%rcx), %%r10\n\t"
		"movq	64(%%rcx), %%r11\n\t"
		"movq	72(%%rcx), %%r12\n\t"
		"movq	80(%%rcx), %%r13\n\t"
		".p2align 5\n"
		"1:\n\t"
		HALF(0, BLOCK_A0, BLOCK_B0, BLOCK_A1)
		HALF(1, BLOCK_B1, BLOCK_A2, BLOCK_B2)
		"addq	$48, 48(%%rcx)\n\t"
		"addq	$48, 112(%%rcx)\n\t"
		"decl	%[n]\n\t"
		"jnz	1b\n\t"
		"movq	%%r8, (%%rcx)\n\t"
		"movq	%%r9, 8(%%rcx)\n\t"
		"movq	%%r10, 16(%%rcx)\n\t"
		"movq	%%r11, 64(%%rcx)\n\t"
		"movq	%%r12, 72(%%rcx)\n\t"
		"movq	%%r13, 80(%%rcx)\n"
		"2:\n\t"
		"movl	%[alone], %%eax\n\t"
		"testl	%%eax, %%eax\n\t"
		"jz	4f\n"
		"3:\n\t"
		HALF(0, NO_BLOCK, NO_BLOCK, NO_BLOCK)
		HALF(1, NO_BLOCK, NO_BLOCK, NO_BLOCK)
		"decl	%%eax\n\t"
		"jnz	3b\n"
		"4:"
		: [x0] "=&v" (x[0]), [x1] "=&v" (x[1]), [x2] "=&v" (x[2]), [x3] "=&v" (x[3]),
		  [x4] "=&v" (x[4]), [x5] "=&v" (x[5]), [x6] "=&v" (x[6]), [x7] "=&v" (x[7]),
		  [x8] "=&v" (x[8]), [x9] "=&v" (x[9]), [x10] "=&v" (x[10]), [x11] "=&v" (x[11]),
		  [x12] "=&v" (x[12]), [x13] "=&v" (x[13]), [x14] "=&v" (x[14]), [x15] "=&v" (x[15]),
		  [n] "+m" (n)
		: [l] "r" (l), "c" (pair), [alone] "m" (alone)
		: "rax", "rbx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
	pair->p[0].blocks -= both * KWGI_CHACHA_AVX512_STRIDE;
	pair->p[1].blocks -= both * KWGI_CHACHA_AVX512_STRIDE;
}

#undef ADD
#undef XOR
#undef ROTATE
#undef HALF
#endif
#endif
