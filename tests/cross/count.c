/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * count NAME ROUNDS LEN: seals 32 packets of LEN bytes so often with this implementation of the AEAD.
 * tests/cross/aead.sh counts instructions: the difference of two runs has nothing of their beginnings.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "dp/aead.h"

enum { PACKETS = 32, ROOM = 2048 };

int main(int argc, char **argv)
{
	static uint8_t data[PACKETS][ROOM];
	static const uint8_t key[32] = { 1 };
	struct kwgi_aead_packet v[PACKETS];
	const struct kwgi_aead *a = argc == 4 ? kwgi_aead_by_name(argv[1]) : NULL;
	unsigned rounds, len, i;

	if (!a || sodium_init() < 0)
		return 2;
	rounds = (unsigned)atoi(argv[2]);
	len = (unsigned)atoi(argv[3]);
	if (len > ROOM - KWGI_AEAD_TAG)
		return 2;
	for (i = 0; i < PACKETS; i++)
		v[i] = (struct kwgi_aead_packet){ .data = data[i], .len = len, .counter = i };
	while (rounds--)
		a->seal(key, v, PACKETS);
	return 0;
}
