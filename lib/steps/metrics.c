/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * prometheus.io/docs/instrumenting/exposition_formats, and the OpenMetrics specification. They
 * differ in the name that TYPE and HELP give a counter or an info, in UNIT and in the end.
 *
 * Every sample has the label mesh: a host may have several, whose files one collector reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "steps/metrics.h"
#include "steps/status.h"

enum type { GAUGE, COUNTER, INFO };

static const struct {
	const char *suffix, *prometheus, *openmetrics;
} types[] = {
	[GAUGE] = { "", "gauge", "gauge" },
	[COUNTER] = { "_total", "counter", "counter" },
	[INFO] = { "_info", "gauge", "info" },
};

struct out;

struct family {
	const char *name;	/* without the suffix of its type */
	enum type type;
	const char *unit;	/* with which the name ends, or NULL */
	const char *help;
	void (*put)(struct out *o);
};

struct out {
	const struct kwgi_metrics *m;
	const struct family *family;
	struct kwgi_buf *b;
	const struct kwgi_wg_peer **planned;	/* for each of wanted->peers; NULL: it is not in the plan */
};

/* ---- one sample ------------------------------------------------------ */

static void put_escaped(struct kwgi_buf *b, const char *s)
{
	size_t len;

	for (; *s; s += len) {
		len = kwgi_utf8_len(s);
		if (!len) {
			/* No UTF-8: the replacement character keeps the output valid. */
			kwgi_buf_puts(b, "\xef\xbf\xbd");
			len = 1;
		} else if (*s == '\n') {
			kwgi_buf_puts(b, "\\n");
		} else {
			if (*s == '"' || *s == '\\')
				kwgi_buf_putc(b, '\\');
			kwgi_buf_add(b, s, len);
		}
	}
}

static void label(struct out *o, const char *name, const char *value)
{
	kwgi_buf_printf(o->b, ",%s=\"", name);
	put_escaped(o->b, value);
	kwgi_buf_putc(o->b, '"');
}

/* Then label() any number of times, and one of end_...(). */
static void begin(struct out *o)
{
	kwgi_buf_printf(o->b, "%s%s{mesh=\"", o->family->name, types[o->family->type].suffix);
	put_escaped(o->b, o->m->status->plan->cfg->mesh.name);
	kwgi_buf_putc(o->b, '"');
}

static void end_unsigned(struct out *o, uint64_t value)
{
	kwgi_buf_puts(o->b, "} ");
	kwgi_buf_putu(o->b, value);
	kwgi_buf_putc(o->b, '\n');
}

static void end_signed(struct out *o, int64_t value)
{
	kwgi_buf_printf(o->b, "} %lld\n", (long long)value);
}

static void put_unsigned(struct out *o, uint64_t value)
{
	begin(o);
	end_unsigned(o, value);
}

static void put_signed(struct out *o, int64_t value)
{
	begin(o);
	end_signed(o, value);
}

/* ---- of the mesh ----------------------------------------------------- */

static const struct kwgi_link *our_link(const struct out *o)
{
	return kwgi_host_link(o->m->status->host, o->m->status->wanted->ifname);
}

static void put_build(struct out *o)
{
	begin(o);
	label(o, "version", o->m->version);
	end_unsigned(o, 1);
}

static void put_collected(struct out *o)
{
	put_signed(o, o->m->status->now);
}

static void put_held(struct out *o)
{
	if (o->m->confirmation_known)
		put_unsigned(o, o->m->held);
}

static void put_deadline(struct out *o)
{
	if (o->m->confirmation_known && o->m->waits)
		put_signed(o, o->m->until);
}

static void put_waiting(struct out *o)
{
	if (o->m->confirmation_known)
		put_unsigned(o, o->m->waits);
}

enum drift {
	DRIFT_ADDRESS, DRIFT_CNI, DRIFT_FIREWALL, DRIFT_LINK, DRIFT_NEIGHBOUR, DRIFT_PEER,
	DRIFT_ROUTE, DRIFT_RULE, DRIFT_SYSCTL, DRIFT_WIREGUARD, N_DRIFTS,
};

static const char *const drift_names[N_DRIFTS] = {
	"address", "cni", "firewall", "link", "neighbour", "peer", "route", "rule", "sysctl",
	"wireguard",
};

static enum drift drift_of(enum kwgi_step_kind kind)
{
	switch (kind) {
	case KWGI_STEP_LINK_WAIT:
	case KWGI_STEP_LINK_ADD:
	case KWGI_STEP_LINK_DAEMON:
	case KWGI_STEP_LINK_DEL:
	case KWGI_STEP_LINK_NAME:
	case KWGI_STEP_LINK_ALIAS:
	case KWGI_STEP_LINK_MTU:
	case KWGI_STEP_LINK_UP:
	case KWGI_STEP_LINK_DOWN:
		return DRIFT_LINK;
	case KWGI_STEP_WG_DEVICE:
		return DRIFT_WIREGUARD;
	case KWGI_STEP_PEER_SET:
	case KWGI_STEP_PEER_DEL:
		return DRIFT_PEER;
	case KWGI_STEP_ADDR_ADD:
	case KWGI_STEP_ADDR_DEL:
		return DRIFT_ADDRESS;
	case KWGI_STEP_NEIGH_SET:
	case KWGI_STEP_NEIGH_DEL:
		return DRIFT_NEIGHBOUR;
	case KWGI_STEP_RULE_ADD:
	case KWGI_STEP_RULE_DEL:
		return DRIFT_RULE;
	case KWGI_STEP_ROUTE_ADD:
	case KWGI_STEP_ROUTE_CHANGE:
	case KWGI_STEP_ROUTE_DEL:
	case KWGI_STEP_ROUTE_AGAIN:
		return DRIFT_ROUTE;
	case KWGI_STEP_FIREWALL:
	case KWGI_STEP_IPTABLES:
		return DRIFT_FIREWALL;
	case KWGI_STEP_CNI:
		return DRIFT_CNI;
	case KWGI_STEP_VALID_MARK:
		return DRIFT_SYSCTL;
	}
	return DRIFT_LINK;
}

static void put_drift(struct out *o)
{
	uint32_t n[N_DRIFTS] = { [DRIFT_CNI] = o->m->refused }, i;

	for (i = 0; i < o->m->steps->n; i++)
		n[drift_of(o->m->steps->v[i].kind)]++;
	for (i = 0; i < N_DRIFTS; i++) {
		begin(o);
		label(o, "kind", drift_names[i]);
		end_unsigned(o, n[i]);
	}
}

static bool same_finding(const struct kwgi_finding *a, const struct kwgi_finding *b)
{
	return a->error == b->error && !strcmp(a->code, b->code);
}

/* One sample for those of a code and severity, where the first of them stands. */
static void put_findings(struct out *o)
{
	const struct kwgi_findings *f = &o->m->status->findings;
	uint32_t i, k, before, n;

	for (i = 0; i < f->n; i++) {
		for (k = before = n = 0; k < f->n; k++) {
			before += k < i && same_finding(&f->v[k], &f->v[i]);
			n += same_finding(&f->v[k], &f->v[i]);
		}
		if (before)
			continue;
		begin(o);
		label(o, "code", f->v[i].code);
		label(o, "severity", f->v[i].error ? "error" : "warning");
		end_unsigned(o, n);
	}
}

static void put_healthy(struct out *o)
{
	put_unsigned(o, kwgi_status_is_healthy(o->m->status));
}

static void put_interface(struct out *o)
{
	const struct kwgi_status *s = o->m->status;

	begin(o);
	label(o, "interface", s->wanted->ifname);
	label(o, "backend", s->backend ? kwgi_status_backend(s) : "");
	label(o, "implementation", s->host->wg.present ? s->host->wg.implementation : "");
	end_unsigned(o, 1);
}

static void put_mtu(struct out *o)
{
	if (our_link(o))
		put_unsigned(o, our_link(o)->mtu);
}

/* The first word of each result in the history, and what it is called here. */
static const struct {
	const char *result, *name;
	bool good;
} results[] = {
	{ KWGI_RESULT_APPLIED, "applied", true },
	{ KWGI_RESULT_WAITS, "waiting", true },
	{ KWGI_RESULT_CONFIRMED, "confirmed", true },
	{ KWGI_RESULT_UNDONE, "undone", false },
	{ KWGI_RESULT_FAILED, "failed", false },
};

enum { N_RESULTS = sizeof(results) / sizeof(*results) };

/* N_RESULTS: none of them. */
static size_t last_result(const struct out *o)
{
	size_t i = 0;

	while (i < N_RESULTS && strncmp(o->m->last->result, results[i].result, strlen(results[i].result)))
		i++;
	return i;
}

static void put_last(struct out *o)
{
	size_t i;

	if (!o->m->last)
		return;
	i = last_result(o);
	begin(o);
	label(o, "result", i < N_RESULTS ? results[i].name : "");
	label(o, "digest", o->m->last->plan);
	label(o, "from", o->m->last->from);
	end_unsigned(o, 1);
}

static void put_last_success(struct out *o)
{
	if (o->m->last)
		put_unsigned(o, last_result(o) < N_RESULTS && results[last_result(o)].good);
}

static void put_last_time(struct out *o)
{
	if (o->m->last)
		put_signed(o, o->m->last->time);
}

static void put_leader(struct out *o)
{
	put_unsigned(o, o->m->status->plan->leader);
}

static void put_left_out(struct out *o)
{
	put_unsigned(o, o->m->left_out);
}

static void put_port(struct out *o)
{
	if (o->m->status->host->wg.present)
		put_unsigned(o, o->m->status->host->wg.port);
}

static void put_nodes(struct out *o)
{
	put_unsigned(o, o->m->status->wanted->n_nodes);
}

static void put_plan(struct out *o)
{
	const struct kwgi_node *node = o->m->status->plan->node;

	begin(o);
	label(o, "node", node->name);
	label(o, "location", node->location ? node->location : "");
	label(o, "digest", o->m->digest);
	end_unsigned(o, 1);
}

static void put_up(struct out *o)
{
	const struct kwgi_link *l = our_link(o);

	put_unsigned(o, l && (l->up || !o->m->status->wanted->up));
}

/* ---- of peers -------------------------------------------------------- */

static int compare(const void *key, const void *peer)
{
	return kwgi_key_cmp(key, &((const struct kwgi_desired_peer *)peer)->peer.key);
}

static int find_planned(struct out *o, struct kwgi_arena *a)
{
	const struct kwgi_desired *w = o->m->status->wanted;
	const struct kwg_plan *plan = o->m->status->plan;
	uint32_t i;

	o->planned = kwgi_arena_alloc(a, w->n_peers + 1u, sizeof(*o->planned));
	for (i = 0; o->planned && i < plan->n_peers; i++) {
		const struct kwgi_desired_peer *p = !w->n_peers ? NULL :
			bsearch(&plan->peers[i].key, w->peers, w->n_peers, sizeof(*p), compare);

		if (p)
			o->planned[p - w->peers] = &plan->peers[i];
	}
	return o->planned ? 0 : -1;
}

/* The node that leads there; NULL: an outside peer. */
static const struct kwgi_node *node_of(const struct out *o, uint32_t i)
{
	return o->planned[i] ? o->planned[i]->node : NULL;
}

static void begin_peer(struct out *o, uint32_t i)
{
	const struct kwgi_node *node = node_of(o, i);

	begin(o);
	label(o, "peer", o->m->status->wanted->peers[i].name);
	label(o, "location", node && node->location ? node->location : "");
}

/* What WireGuard says of it; NULL: nothing. */
static const struct kwgi_host_peer *seen(const struct out *o, uint32_t i)
{
	return kwgi_host_peer(&o->m->status->host->wg, &o->m->status->wanted->peers[i].peer.key);
}

static void each_peer(struct out *o, void (*put)(struct out *o, uint32_t i))
{
	uint32_t i;

	for (i = 0; i < o->m->status->wanted->n_peers; i++)
		put(o, i);
}

static void put_endpoint_of(struct out *o, uint32_t i)
{
	begin_peer(o, i);
	end_unsigned(o, seen(o, i) && seen(o, i)->endpoint.port);
}

static void put_info_of(struct out *o, uint32_t i)
{
	const struct kwgi_node *node = node_of(o, i);
	char key[KWG_KEY_TEXT];

	begin_peer(o, i);
	label(o, "leader", node ? node->name : "");
	label(o, "public_key", kwgi_key_format(key, &o->m->status->wanted->peers[i].peer.key));
	end_unsigned(o, 1);
}

static void put_handshake_of(struct out *o, uint32_t i)
{
	if (!seen(o, i) || !seen(o, i)->last_handshake)
		return;
	begin_peer(o, i);
	end_signed(o, seen(o, i)->last_handshake);
}

static void put_received_of(struct out *o, uint32_t i)
{
	if (!seen(o, i))
		return;
	begin_peer(o, i);
	end_unsigned(o, seen(o, i)->rx_bytes);
}

static void put_sent_of(struct out *o, uint32_t i)
{
	if (!seen(o, i))
		return;
	begin_peer(o, i);
	end_unsigned(o, seen(o, i)->tx_bytes);
}

static void put_state_of(struct out *o, uint32_t i)
{
	static const enum kwgi_answer_state all[] = {
		KWGI_ANSWER_IDLE, KWGI_ANSWER_MISSING, KWGI_ANSWER_OK, KWGI_ANSWER_NONE,
	};
	enum kwgi_answer_state state;
	bool sure;
	size_t k;

	state = kwgi_health_answer(o->m->status, i, &sure);
	for (k = 0; k < sizeof(all) / sizeof(*all); k++) {
		begin_peer(o, i);
		label(o, "state", kwgi_answer_names[all[k]]);
		end_unsigned(o, state == all[k]);
	}
}

static void put_endpoints(struct out *o) { each_peer(o, put_endpoint_of); }
static void put_infos(struct out *o) { each_peer(o, put_info_of); }
static void put_handshakes(struct out *o) { each_peer(o, put_handshake_of); }
static void put_received(struct out *o) { each_peer(o, put_received_of); }
static void put_sent(struct out *o) { each_peer(o, put_sent_of); }
static void put_states(struct out *o) { each_peer(o, put_state_of); }

/* ---- of workers of kilowg-userspace ---------------------------------- */

static void begin_worker(struct out *o, uint32_t i)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", i);
	begin(o);
	label(o, "worker", number);
}

#define PUT_WORKERS(name, member) \
	static void name(struct out *o) \
	{ \
		const struct kwgi_host_wg *wg = &o->m->status->host->wg; \
		uint32_t i; \
\
		for (i = 0; i < wg->n_workers; i++) { \
			begin_worker(o, i); \
			end_unsigned(o, wg->workers[i].member); \
		} \
	}
PUT_WORKERS(put_worker_received_bytes, received.bytes)
PUT_WORKERS(put_worker_received_drops, received.dropped)
PUT_WORKERS(put_worker_received_packets, received.packets)
PUT_WORKERS(put_worker_sent_bytes, sent.bytes)
PUT_WORKERS(put_worker_sent_drops, sent.dropped)
PUT_WORKERS(put_worker_sent_packets, sent.packets)
#undef PUT_WORKERS

/* ---- all of them ----------------------------------------------------- */

/* kilowg-status(8), METRICS, has this table, too. Sorted by the name with its suffix. */
static const struct family families[] = {
	{ "kilowg_build", INFO, NULL, "Version of the program that collected this.", put_build },
	{ "kilowg_collected_timestamp_seconds", GAUGE, "seconds", "When this was collected.", put_collected },
	{ "kilowg_configuration_held", GAUGE, NULL, "1 if the previous configuration is in force, not the files.", put_held },
	{ "kilowg_confirmation_deadline_timestamp_seconds", GAUGE, "seconds", "When an unconfirmed configuration is rolled back.", put_deadline },
	{ "kilowg_confirmation_waiting", GAUGE, NULL, "1 if the configuration waits for a confirmation.", put_waiting },
	{ "kilowg_drift", GAUGE, NULL, "Steps that apply would take, by kind.", put_drift },
	{ "kilowg_findings", GAUGE, NULL, "Errors and warnings of status, by code.", put_findings },
	{ "kilowg_healthy", GAUGE, NULL, "1 if status is healthy.", put_healthy },
	{ "kilowg_interface", INFO, NULL, "The WireGuard interface and what is behind it.", put_interface },
	{ "kilowg_interface_mtu_bytes", GAUGE, "bytes", "MTU of the interface.", put_mtu },
	{ "kilowg_last_apply", INFO, NULL, "The newest entry in the history.", put_last },
	{ "kilowg_last_apply_success", GAUGE, NULL, "1 if the last apply neither failed nor was undone.", put_last_success },
	{ "kilowg_last_apply_timestamp_seconds", GAUGE, "seconds", "When the last apply ended that changed the configuration or failed.", put_last_time },
	{ "kilowg_leader", GAUGE, NULL, "1 if this node leads its segment, 0 if it follows.", put_leader },
	{ "kilowg_left_out", GAUGE, NULL, "Parts of the plan that are left out on this host, or have no effect.", put_left_out },
	{ "kilowg_listen_port", GAUGE, NULL, "UDP port of WireGuard.", put_port },
	{ "kilowg_nodes", GAUGE, NULL, "Nodes that take part in the mesh.", put_nodes },
	{ "kilowg_peer_endpoint_known", GAUGE, NULL, "1 if WireGuard has an endpoint for the peer.", put_endpoints },
	{ "kilowg_peer", INFO, NULL, "A WireGuard peer that is wanted.", put_infos },
	{ "kilowg_peer_last_handshake_timestamp_seconds", GAUGE, "seconds", "When the last handshake with the peer was.", put_handshakes },
	{ "kilowg_peer_receive_bytes", COUNTER, "bytes", "Bytes received from the peer.", put_received },
	{ "kilowg_peer_state", GAUGE, NULL, "1 for the state that the peer is in.", put_states },
	{ "kilowg_peer_transmit_bytes", COUNTER, "bytes", "Bytes sent to the peer.", put_sent },
	{ "kilowg_plan", INFO, NULL, "The plan of this node.", put_plan },
	{ "kilowg_up", GAUGE, NULL, "1 if the interface is there, and is up where it has to be.", put_up },
	{ "kilowg_worker_receive_bytes", COUNTER, "bytes", "Bytes in packets from peers, by thread of kilowg-userspace.", put_worker_received_bytes },
	{ "kilowg_worker_receive_drops", COUNTER, NULL, "Datagrams received and dropped, by thread.", put_worker_received_drops },
	{ "kilowg_worker_receive_packets", COUNTER, NULL, "Packets from peers, by thread.", put_worker_received_packets },
	{ "kilowg_worker_transmit_bytes", COUNTER, "bytes", "Bytes in packets to peers, by thread.", put_worker_sent_bytes },
	{ "kilowg_worker_transmit_drops", COUNTER, NULL, "Packets to peers that were dropped, by thread.", put_worker_sent_drops },
	{ "kilowg_worker_transmit_packets", COUNTER, NULL, "Packets to peers, by thread.", put_worker_sent_packets },
};

static void put_head(struct out *o)
{
	const struct family *f = o->family;
	const char *suffix = o->m->openmetrics ? "" : types[f->type].suffix;

	kwgi_buf_printf(o->b, "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, suffix, f->help, f->name,
			suffix, o->m->openmetrics ? types[f->type].openmetrics
						  : types[f->type].prometheus);
	if (o->m->openmetrics && f->unit)
		kwgi_buf_printf(o->b, "# UNIT %s %s\n", f->name, f->unit);
}

void kwgi_metrics_text(const struct kwgi_metrics *m, struct kwgi_buf *b)
{
	struct out o = { .m = m, .b = b };
	struct kwgi_arena arena = { 0 };
	size_t i;

	b->failed |= find_planned(&o, &arena) != 0;
	for (i = 0; !b->failed && i < sizeof(families) / sizeof(*families); i++) {
		o.family = &families[i];
		put_head(&o);
		o.family->put(&o);
	}
	if (m->openmetrics)
		kwgi_buf_puts(b, "# EOF\n");
	kwgi_arena_free(&arena);
}
