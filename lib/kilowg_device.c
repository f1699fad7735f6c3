/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over lib/dp: a device whose sockets and interface are the caller's. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "dp/ippacket.h"
#include "dp/protocol.h"
#include "facade.h"
#include "facade_dp.h"
#include "kilowg.h"

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

static uint32_t ask_scope(void *arg, const char *name)
{
	struct kwg_device *dev = arg;

	return dev->cb.scope ? dev->cb.scope(dev->cb.arg, name) : if_nametoindex(name);
}

static void *ask_alloc(void *arg, size_t size)
{
	struct kwg_device *dev = arg;

	return dev->cb.alloc(dev->cb.arg, size);
}

static void ask_release(void *arg, void *p, size_t size)
{
	struct kwg_device *dev = arg;

	dev->cb.release(dev->cb.arg, p, size);
}

/* ---- the device --------------------------------------------------------------------- */

static int take_callbacks(struct kwg_device_callbacks *out, const struct kwg_device_callbacks *given,
			  struct kwg_error *err)
{
	int ret = kwgi_take(out, sizeof(*out), given, "kwg_device_callbacks", err);

	if (!ret && (!out->send || !out->deliver))
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "a device wants the callbacks send and deliver");
	if (!ret && !out->alloc != !out->release)
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "the callbacks alloc and release go together");
	return ret;
}

int kwg_device_new(struct kwg_device **out, const struct kwg_device_callbacks *callbacks,
		   struct kwg_error *err)
{
	const struct kwgi_time never = { 0 };
	struct kwg_device_callbacks cb = KWG_DEVICE_CALLBACKS_INIT;
	struct kwgi_device_io io;
	struct kwg_device *dev;
	int ret = take_callbacks(&cb, callbacks, err);

	if (ret)
		return ret;
	io = (struct kwgi_device_io){
		.random = cb.random ? ask_random : kwgi_system_random,
		.send = ask_send, .event = cb.event ? ask_event : NULL,
		.listen = ask_listen, .scope = ask_scope,
		.alloc = cb.alloc ? ask_alloc : NULL, .release = cb.alloc ? ask_release : NULL,
	};
	if (sodium_init() < 0)
		return kwgi_fail(err, KWG_ERR_IO, 0, "there is no source of random numbers");
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return kwgi_nomem(err);
	dev->cb = cb;
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

/* e: as of the parser, or 0 for a request of another kind. */
static int not_valid(int e, const struct kwgi_uapi_fault *at, struct kwg_error *err)
{
	const char *what = !e ? "set=1 is wanted" :
			   e == EPROTO ? "there it breaks off, without an empty line" :
			   *at->key ? "this value is not valid" :
			   "this key is unknown, or not allowed here";

	return kwgi_fail(err, KWG_ERR_CONFIG, e ? e : EINVAL, "the request, line %u%s%s: %s",
			 e ? at->line : 1, *at->key ? ", " : "", at->key, what);
}

int kwg_device_set(struct kwg_device *dev, const char *request, size_t len, uint64_t now,
		   uint64_t wall, struct kwg_error *err)
{
	struct kwgi_time t = { now, wall };
	struct kwgi_uapi_request r;
	struct kwgi_uapi_fault at;
	struct kwgi_arena a = { 0 };
	int e = kwgi_uapi_parse_at(&r, &a, request, len, &at), ret;

	if (e == ENOMEM)
		ret = kwgi_nomem(err);
	else if (e || r.op != KWGI_UAPI_SET)
		ret = not_valid(e, &at, err);
	else
		ret = kwgi_device_change(dev, &r.set, &t, err);
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
	struct kwgi_ip ip;

	if (!dev->d->up)
		return KWG_DROPPED_DOWN;
	if (len > KWG_PACKET_MAX)
		return KWG_DROPPED_LENGTH;
	if (kwgi_ip_parse(&ip, packet, len))
		return KWG_DROPPED_NO_PACKET;
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
	if (len > KWGI_DATAGRAM_MAX)
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
	if (len > KWGI_DATAGRAM_MAX)
		return KWG_DROPPED_INVALID;
	memcpy(dev->room, datagram, len);
	return kwg_device_read_in_place(dev, from, dev->room, len, tos, now, wall);
}
