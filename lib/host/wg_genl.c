/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* WireGuard of the kernel over generic netlink (linux/wireguard.h). */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <sodium.h>

#include "base/error.h"
#include "host/wg_genl.h"

enum {
	/*
	 * What one nested allowed IP takes at most: five attribute headers,
	 * family, address and length, each aligned to 4.
	 */
	ALLOWED_IP_SIZE = 4 * 4 + 4 + 16 + 4,
	/* A peer's attributes without allowed IPs, rounded up. */
	ROOM_FOR_PEER = 512,
	TRIES = 20,
};

static struct nlmsghdr *begin(struct kwgi_wg *w, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&w->nl, w->genl_family, flags);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));

	g->cmd = cmd;
	g->version = WG_GENL_VERSION;
	mnl_attr_put_strz(nlh, WGDEVICE_A_IFNAME, w->ifname);
	return nlh;
}

static int request(struct kwgi_wg *w, struct nlmsghdr *nlh, const char *verb,
		   struct kwg_error *err)
{
	char what[64];

	w->mutations++;
	snprintf(what, sizeof(what), "%s: %s", w->ifname, verb);
	return kwgi_nl_request(&w->nl, nlh, what, err);
}

/* ---- opening --------------------------------------------------------- */

static int on_family(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	uint16_t *family = arg;

	kwgi_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
		    mnl_attr_get_payload_len(attr) >= 2)
			*family = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int find_family(struct kwgi_wg *w, struct kwg_error *err)
{
	struct nlmsghdr *nlh = kwgi_nl_begin(&w->nl, GENL_ID_CTRL, 0);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));

	g->cmd = CTRL_CMD_GETFAMILY;
	g->version = 1;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	return kwgi_nl_ask(&w->nl, nlh, on_family, &w->genl_family, "finding WireGuard in the kernel",
			   err);
}

int kwgi_wg_genl_has(bool *has, struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	struct kwgi_wg w = { 0 };
	int ret = kwgi_nl_open(&w.nl, NETLINK_GENERIC, err);

	if (ret)
		return ret;
	ret = find_family(&w, &own);
	*has = !ret && w.genl_family;
	kwgi_nl_close(&w.nl);
	if (!ret || own.sys_errno == ENOENT)
		return 0;
	if (err)
		*err = own;
	return ret;
}

static void genl_close(struct kwgi_wg *w)
{
	kwgi_nl_close(&w->nl);
}

/* ---- reading --------------------------------------------------------- */

struct reading {
	struct kwgi_arena *arena;
	struct kwgi_host_wg *wg;
	bool nomem;
};

static void read_key(struct kwgi_key *k, const struct nlattr *attr)
{
	if (mnl_attr_get_payload_len(attr) == sizeof(k->b))
		memcpy(k->b, mnl_attr_get_payload(attr), sizeof(k->b));
}

static void read_endpoint(struct kwgi_endpoint *e, const struct nlattr *attr)
{
	const void *p = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	*e = (struct kwgi_endpoint){ 0 };
	if (len == sizeof(v4)) {
		memcpy(&v4, p, sizeof(v4));
		e->addr.family = KWGI_AF_V4;
		memcpy(e->addr.b, &v4.sin_addr, 4);
		e->port = ntohs(v4.sin_port);
	} else if (len == sizeof(v6)) {
		memcpy(&v6, p, sizeof(v6));
		e->addr.family = KWGI_AF_V6;
		memcpy(e->addr.b, &v6.sin6_addr, 16);
		e->port = ntohs(v6.sin6_port);
	}
}

static bool read_allowed_ip(struct kwgi_prefix *out, const struct nlattr *nest)
{
	struct kwgi_prefix p = { 0 };
	const struct nlattr *attr;
	size_t len;

	kwgi_attr_for_each_nested(attr, nest) {
		len = mnl_attr_get_payload_len(attr);
		if (mnl_attr_get_type(attr) == WGALLOWEDIP_A_IPADDR && (len == 4 || len == 16)) {
			p.addr.family = len == 4 ? KWGI_AF_V4 : KWGI_AF_V6;
			memcpy(p.addr.b, mnl_attr_get_payload(attr), len);
		} else if (mnl_attr_get_type(attr) == WGALLOWEDIP_A_CIDR_MASK && len == 1) {
			p.len = mnl_attr_get_u8(attr);
		}
	}
	*out = p;
	return p.addr.family != KWGI_AF_NONE;
}

static int read_allowed_ips(struct reading *r, struct kwgi_host_peer *p, const struct nlattr *nest)
{
	const struct nlattr *attr;
	struct kwgi_prefix prefix;

	kwgi_attr_for_each_nested(attr, nest) {
		if (!read_allowed_ip(&prefix, attr))
			continue;
		if (kwgi_arena_grow(r->arena, &p->allowed_ips, p->n_allowed_ips,
				    &p->allowed_cap, sizeof(prefix)))
			return -1;
		p->allowed_ips[p->n_allowed_ips++] = prefix;
	}
	return 0;
}

static void read_peer_attr(struct kwgi_host_peer *p, const struct nlattr *attr)
{
	switch (mnl_attr_get_type(attr)) {
	case WGPEER_A_PRESHARED_KEY:
		read_key(&p->psk, attr);
		break;
	case WGPEER_A_ENDPOINT:
		read_endpoint(&p->endpoint, attr);
		break;
	case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
		p->keepalive = mnl_attr_get_u16(attr);
		break;
	case WGPEER_A_LAST_HANDSHAKE_TIME:
		/* struct __kernel_timespec: 64-bit seconds first */
		if (mnl_attr_get_payload_len(attr) >= sizeof(p->last_handshake))
			memcpy(&p->last_handshake, mnl_attr_get_payload(attr),
			       sizeof(p->last_handshake));
		break;
	case WGPEER_A_RX_BYTES:
		p->rx_bytes = mnl_attr_get_u64(attr);
		break;
	case WGPEER_A_TX_BYTES:
		p->tx_bytes = mnl_attr_get_u64(attr);
		break;
	}
}

/*
 * The kernel splits a peer with many allowed IPs over several messages: the
 * later ones begin with the same peer again, with its key and more of them.
 */
static struct kwgi_host_peer *this_peer(struct reading *r, const struct kwgi_key *key)
{
	struct kwgi_host_wg *wg = r->wg;
	struct kwgi_host_peer *p;

	if (wg->n_peers && kwgi_key_equal(&wg->peers[wg->n_peers - 1].key, key))
		return &wg->peers[wg->n_peers - 1];
	if (kwgi_arena_grow(r->arena, &wg->peers, wg->n_peers, &wg->peers_cap, sizeof(*p)))
		return NULL;
	p = &wg->peers[wg->n_peers++];
	*p = (struct kwgi_host_peer){ .key = *key };
	return p;
}

static int read_peer(struct reading *r, const struct nlattr *nest)
{
	struct kwgi_key key = { { 0 } };
	struct kwgi_host_peer *p;
	const struct nlattr *attr;

	kwgi_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == WGPEER_A_PUBLIC_KEY)
			read_key(&key, attr);
	p = this_peer(r, &key);
	if (!p)
		return -1;
	kwgi_attr_for_each_nested(attr, nest) {
		read_peer_attr(p, attr);
		if (mnl_attr_get_type(attr) == WGPEER_A_ALLOWEDIPS && read_allowed_ips(r, p, attr))
			return -1;
	}
	return 0;
}

static int on_device(const struct nlmsghdr *nlh, void *arg)
{
	struct reading *r = arg;
	struct kwgi_host_wg *wg = r->wg;
	const struct nlattr *attr, *peer;

	kwgi_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(attr)) {
		case WGDEVICE_A_PRIVATE_KEY:
			read_key(&wg->private_key, attr);
			break;
		case WGDEVICE_A_PUBLIC_KEY:
			read_key(&wg->public_key, attr);
			break;
		case WGDEVICE_A_LISTEN_PORT:
			wg->port = mnl_attr_get_u16(attr);
			break;
		case WGDEVICE_A_FWMARK:
			wg->fwmark = mnl_attr_get_u32(attr);
			break;
		case WGDEVICE_A_PEERS:
			kwgi_attr_for_each_nested(peer, attr) {
				if (read_peer(r, peer)) {
					r->nomem = true;
					return MNL_CB_ERROR;
				}
			}
			break;
		}
	}
	return MNL_CB_OK;
}

static int genl_get(struct kwgi_wg *w, struct kwgi_arena *a, struct kwgi_host_wg *wg,
		    struct kwg_error *err)
{
	struct reading r = { .arena = a, .wg = wg };
	int i, ret = KWGI_NL_AGAIN;
	char what[64];

	snprintf(what, sizeof(what), "%s: reading the device", w->ifname);
	for (i = 0; i < TRIES && ret == KWGI_NL_AGAIN; i++) {
		*wg = (struct kwgi_host_wg){ .present = true, .implementation = "kernel" };
		ret = kwgi_nl_dump(&w->nl, begin(w, WG_CMD_GET_DEVICE, 0), on_device, &r, what,
				   err);
	}
	if (r.nomem)
		return kwgi_nomem(err);
	if (ret == KWGI_NL_AGAIN)
		return kwgi_fail(err, KWG_ERR_KERNEL, EAGAIN,
				 "%s: the peers changed under way %d times in a row", w->ifname, TRIES);
	kwgi_wg_sort(wg);
	return ret;
}

/* ---- writing --------------------------------------------------------- */

static int genl_set_device(struct kwgi_wg *w, uint32_t parts,
			   const struct kwgi_wg_device_conf *conf, struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin(w, WG_CMD_SET_DEVICE, 0);

	if (parts & KWGI_WG_PRIVATE_KEY)
		mnl_attr_put(nlh, WGDEVICE_A_PRIVATE_KEY, sizeof(conf->private_key.b),
			     conf->private_key.b);
	if (parts & KWGI_WG_PORT)
		mnl_attr_put_u16(nlh, WGDEVICE_A_LISTEN_PORT, conf->port);
	if (parts & KWGI_WG_FWMARK)
		mnl_attr_put_u32(nlh, WGDEVICE_A_FWMARK, conf->fwmark);
	return request(w, nlh, "setting key, port and fwmark", err);
}

static void put_endpoint(struct nlmsghdr *nlh, const struct kwgi_endpoint *e)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(e->port) };

	if (e->addr.family == KWGI_AF_V4) {
		memcpy(&v4.sin_addr, e->addr.b, 4);
		mnl_attr_put(nlh, WGPEER_A_ENDPOINT, sizeof(v4), &v4);
	} else if (e->addr.family == KWGI_AF_V6) {
		memcpy(&v6.sin6_addr, e->addr.b, 16);
		mnl_attr_put(nlh, WGPEER_A_ENDPOINT, sizeof(v6), &v6);
	}
}

static void put_allowed_ip(struct nlmsghdr *nlh, const struct kwgi_prefix *p)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, 0);

	mnl_attr_put_u16(nlh, WGALLOWEDIP_A_FAMILY,
			 p->addr.family == KWGI_AF_V4 ? AF_INET : AF_INET6);
	mnl_attr_put(nlh, WGALLOWEDIP_A_IPADDR, kwgi_addr_bits(&p->addr) / 8, p->addr.b);
	mnl_attr_put_u8(nlh, WGALLOWEDIP_A_CIDR_MASK, p->len);
	mnl_attr_nest_end(nlh, nest);
}

/* Allowed IPs from *next on, as many as fit. */
static void put_allowed_ips(struct nlmsghdr *nlh, const struct kwgi_host_peer *p, uint32_t *next)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, WGPEER_A_ALLOWEDIPS);

	while (*next < p->n_allowed_ips &&
	       nlh->nlmsg_len + ALLOWED_IP_SIZE + ROOM_FOR_PEER < KWGI_NL_MESSAGE)
		put_allowed_ip(nlh, &p->allowed_ips[(*next)++]);
	mnl_attr_nest_end(nlh, nest);
}

/* What is said of a peer once, in the first of its messages. */
static void put_peer_parts(struct nlmsghdr *nlh, uint32_t parts, const struct kwgi_host_peer *p)
{
	if (parts & KWGI_WG_ALLOWED_REPLACE)
		mnl_attr_put_u32(nlh, WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
	if (parts & KWGI_WG_PSK)
		mnl_attr_put(nlh, WGPEER_A_PRESHARED_KEY, sizeof(p->psk.b), p->psk.b);
	if (parts & KWGI_WG_ENDPOINT && p->endpoint.port)
		put_endpoint(nlh, &p->endpoint);
	if (parts & KWGI_WG_KEEPALIVE)
		mnl_attr_put_u16(nlh, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
				 (uint16_t)p->keepalive);
}

static int genl_set_peer(struct kwgi_wg *w, uint32_t parts, const struct kwgi_host_peer *p,
			 bool exists, struct kwg_error *err)
{
	bool ips = parts & (KWGI_WG_ALLOWED_ADD | KWGI_WG_ALLOWED_REPLACE);
	struct nlattr *peers, *peer;
	struct nlmsghdr *nlh;
	uint32_t next = 0;
	int ret;

	(void)exists;
	do {
		bool first = !next;

		nlh = begin(w, WG_CMD_SET_DEVICE, 0);
		peers = mnl_attr_nest_start(nlh, WGDEVICE_A_PEERS);
		peer = mnl_attr_nest_start(nlh, 0);
		mnl_attr_put(nlh, WGPEER_A_PUBLIC_KEY, sizeof(p->key.b), p->key.b);
		if (first)
			put_peer_parts(nlh, parts, p);
		if (ips)
			put_allowed_ips(nlh, p, &next);
		mnl_attr_nest_end(nlh, peer);
		mnl_attr_nest_end(nlh, peers);
		ret = request(w, nlh, "setting a peer", err);
	} while (!ret && ips && next < p->n_allowed_ips);
	return ret;
}

static int genl_del_peer(struct kwgi_wg *w, const struct kwgi_key *key, struct kwg_error *err)
{
	struct nlmsghdr *nlh = begin(w, WG_CMD_SET_DEVICE, 0);
	struct nlattr *peers = mnl_attr_nest_start(nlh, WGDEVICE_A_PEERS);
	struct nlattr *peer = mnl_attr_nest_start(nlh, 0);

	mnl_attr_put(nlh, WGPEER_A_PUBLIC_KEY, sizeof(key->b), key->b);
	mnl_attr_put_u32(nlh, WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, peers);
	return request(w, nlh, "removing a peer", err);
}

static const struct kwgi_wg_ops genl_ops = {
	.name = "kernel", .get = genl_get, .set_device = genl_set_device,
	.set_peer = genl_set_peer, .del_peer = genl_del_peer, .close = genl_close,
};

int kwgi_wg_genl_open(struct kwgi_wg *w, const char *ifname, struct kwg_error *err)
{
	struct kwg_error own = { 0 };
	int ret = kwgi_wg_init(w, &genl_ops, ifname, err);

	if (!ret)
		ret = kwgi_nl_open(&w->nl, NETLINK_GENERIC, err);
	if (ret) {
		*w = (struct kwgi_wg){ 0 };
		return ret;
	}
	if (!find_family(w, &own) && w->genl_family)
		return 0;
	kwgi_wg_close(w);
	return kwgi_fail(err, KWG_ERR_KERNEL, own.sys_errno, "%.15s: this kernel has no WireGuard",
			 ifname);
}
