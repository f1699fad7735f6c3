/* SPDX-License-Identifier: ISC */
/* The facade over lib/dp: a device whose sockets and interface are the caller's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"
#include "facade_dp.h"
#include "kilowg.h"

enum { DATAGRAM_MAX = 65536 };

struct kwg_device {
	struct kwgi_device *d;
	struct kwg_device_callbacks cb;
	uint8_t room[KWG_HEADROOM + DATAGRAM_MAX + KWG_TAILROOM];	/* for copies */
};

_Static_assert((int)KWG_HEADROOM == (int)sizeof(struct kwgi_transport), "headroom");
_Static_assert((int)KWG_TAILROOM == KWGI_PADDING - 1 + KWGI_TAG_LEN, "tailroom");
_Static_assert((int)KWG_PACKET_MAX == (int)KWGI_INNER_MAX, "longest packet");
_Static_assert((int)KWG_DATAGRAM_MIN == (int)KWGI_HANDSHAKE_MAX, "longest handshake message");
_Static_assert((int)KWG_EVENT_PEER_REMOVED == (int)KWGI_EVENT_PEER_REMOVED, "events");

/* ---- callbacks ------------------------------------------------------------------- */

void kwgi_system_random(void *arg, void *out, size_t len)
{
	(void)arg;
	randombytes_buf(out, len);
}

static void ask_random(void *arg, void *out, size_t len)
{
	struct kwg_device *dev = arg;

	dev->cb.random(dev->cb.arg, out, len);
}

static void ask_send(void *arg, struct kwgi_path *to, const uint8_t *msg, size_t len, uint8_t tos)
{
	struct kwg_endpoint e = { .family = to->family, .port = to->port, .scope = to->scope };
	struct kwg_device *dev = arg;

	memcpy(e.addr, to->addr, sizeof(e.addr));
	dev->cb.send(dev->cb.arg, &e, msg, len, tos);
}

static void ask_event(void *arg, const struct kwgi_dp_peer *p, enum kwgi_event event)
{
	struct kwg_device *dev = arg;

	dev->cb.event(dev->cb.arg, p ? p->remote.static_public.b : NULL, (enum kwg_event)event);
}

static int ask_listen(void *arg, uint16_t port)
{
	struct kwg_device *dev = arg;

	if (dev->cb.listen)
		return dev->cb.listen(dev->cb.arg, port);
	dev->d->listen_port = port;
	return 0;
}

/* ---- the device --------------------------------------------------------------------- */

int kwg_device_new(struct kwg_device **out, const struct kwg_device_callbacks *callbacks,
		   struct kwg_error *err)
{
	const struct kwgi_time never = { 0 };
	struct kwgi_device_io io = {
		.random = callbacks->random ? ask_random : kwgi_system_random,
		.send = ask_send, .event = callbacks->event ? ask_event : NULL,
		.listen = ask_listen,
	};
	struct kwg_device *dev;

	if (sodium_init() < 0)
		return kwgi_fail(err, KWG_ERR_IO, 0, "there is no source of random numbers");
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return kwgi_nomem(err);
	dev->cb = *callbacks;
	io.arg = dev;
	dev->d = kwgi_device_new(&io, kwgi_aead_best());
	if (!dev->d) {
		free(dev);
		return kwgi_nomem(err);
	}
	kwgi_device_set_up(dev->d, true, &never);
	*out = dev;
	return 0;
}

void kwg_device_free(struct kwg_device *dev)
{
	if (!dev)
		return;
	kwgi_device_free(dev->d);
	sodium_memzero(dev, sizeof(*dev));
	free(dev);
}

int kwg_device_set(struct kwg_device *dev, const char *request, size_t len, uint64_t now,
		   uint64_t wall, struct kwg_error *err)
{
	struct kwgi_time t = { now, wall };
	struct kwgi_uapi_request r;
	struct kwgi_arena a = { 0 };
	int e = kwgi_uapi_parse(&r, &a, request, len), ret = 0;

	if (e == ENOMEM)
		ret = kwgi_nomem(err);
	else if (e || r.op != KWGI_UAPI_SET)
		ret = kwgi_fail(err, KWG_ERR_CONFIG, e ? e : EINVAL, "not a valid set request");
	else if ((e = kwgi_device_configure(dev->d, &r.set, &t)))
		ret = kwgi_fail(err, KWG_ERR_KERNEL, e, "the request cannot be carried out: %s",
				strerror(e));
	/* The keepalives that were turned on. */
	kwgi_timers_run(dev->d, &t);
	sodium_memzero(&r, sizeof(r));
	kwgi_arena_free(&a);
	return ret;
}

int kwg_device_get(const struct kwg_device *dev, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	char *text;

	kwgi_device_print(dev->d, &b);
	kwgi_uapi_print_errno(&b, 0);
	text = kwgi_buf_take(&b, len);
	if (!text)
		return kwgi_nomem(err);
	*out = text;
	return 0;
}

void kwg_device_suspend(struct kwg_device *dev)
{
	const struct kwgi_time never = { 0 };

	kwgi_device_suspend(dev->d, &never);
}

uint64_t kwg_device_resume(struct kwg_device *dev, uint64_t now, uint64_t wall)
{
	struct kwgi_time t = { now, wall };

	kwgi_device_resume(dev->d, &t);
	return kwg_device_tick(dev, now, wall);
}

void kwg_device_set_up(struct kwg_device *dev, bool up, uint64_t now, uint64_t wall)
{
	struct kwgi_time t = { now, wall };

	kwgi_device_set_up(dev->d, up, &t);
	kwgi_timers_run(dev->d, &t);
}

void kwg_device_set_mtu(struct kwg_device *dev, uint32_t mtu)
{
	dev->d->mtu = mtu;
}

uint64_t kwg_device_tick(struct kwg_device *dev, uint64_t now, uint64_t wall)
{
	struct kwgi_time t = { now, wall };

	return kwgi_timers_run(dev->d, &t);
}

/* ---- packets --------------------------------------------------------------------------- */

enum kwg_verdict kwg_device_write_in_place(struct kwg_device *dev, void *packet, size_t len,
					   uint64_t now, uint64_t wall)
{
	struct kwgi_time t = { now, wall };

	if (!dev->d->up)
		return KWG_DROPPED_DOWN;
	if (len > KWG_PACKET_MAX)
		return KWG_DROPPED_LENGTH;
	switch (kwgi_device_send(dev->d, packet, (uint32_t)len, &t)) {
	case KWGI_SEND_NOW: return KWG_SENT;
	case KWGI_SEND_SLOW: return KWG_WAITS;
	case KWGI_SEND_NO_PATH: return KWG_DROPPED_NO_ENDPOINT;
	case KWGI_SEND_NO_PEER: break;
	}
	return KWG_DROPPED_NO_PEER;
}

enum kwg_verdict kwg_device_write(struct kwg_device *dev, const void *packet, size_t len,
				  uint64_t now, uint64_t wall)
{
	if (len > KWG_PACKET_MAX)
		return KWG_DROPPED_LENGTH;
	memcpy(dev->room + KWG_HEADROOM, packet, len);
	return kwg_device_write_in_place(dev, dev->room + KWG_HEADROOM, len, now, wall);
}

/* Whose session it came with: that has not ended by being used. */
static const uint8_t *sender(const struct kwg_device *dev, const struct kwgi_incoming *in)
{
	const struct kwgi_transport *header = (const void *)in->message;
	const struct kwgi_keypair *kp = kwgi_session(dev->d, kwgi_get32(header->receiver));

	return kp ? kp->peer->remote.static_public.b : NULL;
}

enum kwg_verdict kwg_device_read_in_place(struct kwg_device *dev, const struct kwg_endpoint *from,
					  void *datagram, size_t len, uint8_t tos, uint64_t now,
					  uint64_t wall)
{
	struct kwgi_path path = { .family = from->family, .port = from->port, .scope = from->scope };
	struct kwgi_incoming in = { .message = datagram, .from = &path, .tos = tos };
	struct kwgi_time t = { now, wall };

	if (!dev->d->up)
		return KWG_DROPPED_DOWN;
	if (len > DATAGRAM_MAX)
		return KWG_DROPPED_INVALID;
	memcpy(path.addr, from->addr, from->family == 4 ? 4 : sizeof(path.addr));
	in.message_len = (uint32_t)len;
	switch (kwgi_device_receive(dev->d, &in, &t)) {
	case KWGI_RECEIVED_PACKET:
		dev->cb.deliver(dev->cb.arg, sender(dev, &in), in.packet, in.packet_len);
		return KWG_DELIVERED;
	case KWGI_RECEIVED_KEEPALIVE:
	case KWGI_RECEIVED_HANDSHAKE:
		return KWG_CONSUMED;
	case KWGI_DROPPED_CONTENT:
	case KWGI_DROPPED_SOURCE:
		return KWG_DROPPED_CONTENT;
	default:
		return KWG_DROPPED_INVALID;
	}
}

enum kwg_verdict kwg_device_read(struct kwg_device *dev, const struct kwg_endpoint *from,
				 const void *datagram, size_t len, uint8_t tos, uint64_t now,
				 uint64_t wall)
{
	if (len > DATAGRAM_MAX)
		return KWG_DROPPED_INVALID;
	memcpy(dev->room, datagram, len);
	return kwg_device_read_in_place(dev, from, dev->room, len, tos, now, wall);
}
