/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * What libsodium's plain C leaves below us on the stack: on processors with few registers (32-bit
 * ARM, i386) its functions keep parts of keys in variables that they do not wipe. It has
 * sodium_stackzero() for that, since 1.0.16; Debian 11 and 12 have 1.0.18.
 *
 * To be called by the function that has called libsodium, so that the same part of the stack is
 * overwritten.
 */
#ifndef KWGI_STACK_H
#define KWGI_STACK_H

#include <sodium.h>

enum {
	KWGI_STACK_AEAD = 2048,		/* bytes; chacha20 and poly1305 need some hundreds */
	KWGI_STACK_CURVE = 8192,	/* curve25519, and the base point's multiples */
};

#define kwgi_stack_wipe(bytes) sodium_stackzero(bytes)

#endif
