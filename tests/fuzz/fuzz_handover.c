/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The bytes of a device that a successor takes over: whatever they are, it either refuses them or
 * has a device that works, and that saves the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "dp/handover.h"
#include "fuzz.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void not_random(void *arg, void *out, size_t len)
{
	static uint32_t n;
	uint8_t *p = out;

	(void)arg;
	while (len--)
		*p++ = (uint8_t)((n = n * 1103515245 + 12345) >> 16);
}

static void send_nowhere(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	(void)arg;
	(void)to;
	(void)msg;
	(void)len;
	(void)tos;
}

static struct kwgi_device *device(void)
{
	const struct kwgi_device_io io = { .random = not_random, .send = send_nowhere };
	struct kwgi_device *d = kwgi_device_new(&io, kwgi_aead_best());

	must(d);
	return d;
}

static void use(struct kwgi_device *d)
{
	const struct kwgi_time t = { .now = 1000 * KWGI_SECOND, .wall = 1700000000 * KWGI_SECOND };
	struct kwgi_dp_peer *p;
	unsigned i;
	uint8_t room[16 + 64 + 32] = { [16] = 0x45, [16 + 3] = 40, [16 + 16] = 10 };

	kwgi_device_send(d, room + 16, 40, &t);
	kwgi_work_handshakes(d, 4, &t);
	kwgi_timers_work(d, 100, &t);
	for (p = d->first; p; p = p->next_peer)
		if (p->next_pair && kwgi_peer_is_unconfirmed(p, p->next_pair))
			kwgi_peer_confirm_next(d, p);
	for (i = 0; i < 3; i++) {
		struct kwgi_time later = { .now = t.now + (UINT64_C(100) << 3 * i) * KWGI_SECOND, .wall = t.wall };

		kwgi_timers_work(d, 100, &later);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kwgi_device *d = device();
	uint8_t *again;
	size_t n;

	if (!kwgi_handover_load(d, data, len)) {
		n = kwgi_handover_size(d);
		again = malloc(n);
		must(again && n <= len + 64);
		kwgi_handover_save(d, again, n);
		free(again);
		use(d);
	}
	kwgi_device_free(d);
	return 0;
}
