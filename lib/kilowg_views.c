/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over what others are shown of a mesh: a graph, and configurations for WireGuard. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "host/files.h"
#include "kilowg.h"
#include "plan/client.h"
#include "plan/explain.h"
#include "plan/graph.h"
#include "plan/pairs.h"
#include "plan/plan.h"
#include "plan/showconf.h"

/* The topology of a configuration without errors, and a node in it. */
static int find_node(const struct kwg_config *cfg, const char *name, const struct kwgi_node **node,
		     struct kwg_error *err)
{
	uint32_t i;

	if (!cfg->topology || cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	i = kwgi_topology_find(cfg->topology, name);
	if (i == UINT32_MAX)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "there is no node \"%.253s\" that takes part",
				 name);
	*node = cfg->topology->nodes[i];
	return 0;
}

static int find_peer(const struct kwg_config *cfg, const char *name,
		     const struct kwgi_mesh_peer **peer, struct kwg_error *err)
{
	const struct kwgi_topology *t = cfg->topology;
	uint32_t i;

	for (i = 0; i < t->n_peers; i++) {
		if (!strcmp(t->peers[i].peer->name, name)) {
			*peer = &t->peers[i];
			return 0;
		}
	}
	return kwgi_fail(err, KWG_ERR_USAGE, 0, "there is no peer \"%.253s\" that takes part", name);
}

int kwg_graph(const struct kwg_config *cfg, enum kwg_graph_format format, char **out, size_t *len,
	      struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	int ret = 0;

	if (!cfg->topology || cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	switch (format) {
	case KWG_GRAPH_DOT:
		kwgi_graph_dot(cfg, &b);
		break;
	case KWG_GRAPH_MERMAID:
		kwgi_graph_mermaid(cfg, &b);
		break;
	case KWG_GRAPH_SVG:
		if (kwgi_graph_svg(cfg, &b))
			ret = kwgi_nomem(err);
		break;
	default:
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "%d is no format of a graph", (int)format);
	}
	if (!ret)
		return kwgi_give(&b, out, len, err);
	kwgi_buf_free(&b);
	return ret;
}

int kwg_graph_dot(const struct kwg_config *cfg, char **out, size_t *len, struct kwg_error *err)
{
	return kwg_graph(cfg, KWG_GRAPH_DOT, out, len, err);
}

/* ---- ways ------------------------------------------------------------ */

static int begin_trace(struct kwgi_tracer *t, const struct kwg_config *cfg, struct kwg_error *err)
{
	*t = (struct kwgi_tracer){ .topo = cfg->topology };
	if (!cfg->topology || cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	if (!cfg->topology->n_nodes)
		return kwgi_fail(err, KWG_ERR_USAGE, 0, "no node takes part");
	return kwgi_tracer_init(t, cfg) ? kwgi_nomem(err) : 0;
}

int kwg_explain(const struct kwg_config *cfg, const char *from, const char *to, bool json, bool *reached,
		char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_end ends[2] = { 0 };
	struct kwgi_explained *e = calloc(1, sizeof(*e));
	struct kwgi_buf b = { 0 };
	struct kwgi_tracer t;
	int ret = begin_trace(&t, cfg, err);

	if (!ret && !e)
		ret = kwgi_nomem(err);
	if (!ret)
		ret = kwgi_explain_parse(&t, from, &ends[0], err);
	if (!ret)
		ret = kwgi_explain_parse(&t, to, &ends[1], err);
	if (!ret)
		ret = kwgi_explain(&t, &ends[0], &ends[1], e, err);
	if (!ret) {
		*reached = e->reached;
		(json ? kwgi_explain_json : kwgi_explain_text)(&t, e, &b);
		ret = kwgi_give(&b, out, len, err);
	}
	free(e);
	kwgi_tracer_free(&t);
	return ret;
}

int kwg_check_reach(const struct kwg_config *cfg, bool json, bool *all, char **out, size_t *len,
		    struct kwg_error *err)
{
	struct kwgi_pairs *pairs = calloc(1, sizeof(*pairs));
	struct kwgi_buf b = { 0 };
	struct kwgi_tracer t;
	int ret = begin_trace(&t, cfg, err);

	if (!ret && !pairs)
		ret = kwgi_nomem(err);
	if (!ret)
		ret = kwgi_pairs_check(&t, pairs, err);
	if (!ret) {
		*all = !pairs->failed;
		(json ? kwgi_pairs_json : kwgi_pairs_text)(pairs, &b);
		ret = kwgi_give(&b, out, len, err);
	}
	free(pairs);
	kwgi_tracer_free(&t);
	return ret;
}

int kwgi_peer_psk(const struct kwgi_peer *p, struct kwgi_key *psk, struct kwg_error *err)
{
	bool too_open;

	if (p && p->psk_file)
		return kwgi_file_read_key(p->psk_file, psk, &too_open, err);
	if (p)
		*psk = p->psk;
	else
		sodium_memzero(psk, sizeof(*psk));
	return 0;
}

static int showconf_leader(const struct kwg_plan *plan, struct kwgi_buf *b, struct kwg_error *err)
{
	struct kwgi_key *psks = calloc(plan->n_peers + 1u, sizeof(*psks));
	uint32_t i;
	int ret = 0;

	if (!psks)
		return kwgi_nomem(err);
	for (i = 0; i < plan->n_peers && !ret; i++)
		ret = kwgi_peer_psk(plan->peers[i].peer, &psks[i], err);
	if (!ret)
		kwgi_showconf_leader(plan, psks, b);
	sodium_memzero(psks, plan->n_peers * sizeof(*psks));
	free(psks);
	return ret;
}

int kwg_showconf_node(const struct kwg_config *cfg, const char *node, bool as_peer,
		      char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	struct kwg_plan *plan;
	int ret = kwg_plan_new(&plan, cfg, node, err);

	if (ret)
		return ret;
	if (!plan->leader)
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0,
				"node \"%.100s\" has no WireGuard configuration: \"%.100s\" leads its segment",
				node, plan->segment->leader->name);
	else if (as_peer)
		ret = kwgi_showconf_segment(plan, &b) ? kwgi_nomem(err) : 0;
	else
		ret = showconf_leader(plan, &b, err);
	kwg_plan_free(plan);
	if (ret) {
		kwgi_buf_free(&b);
		return ret;
	}
	return kwgi_give(&b, out, len, err);
}

static int parse_extra(const char *const *extra, size_t n, struct kwgi_prefix **out,
		       struct kwg_error *err)
{
	struct kwgi_prefix *v = calloc(n + 1, sizeof(*v));
	size_t i;

	if (!v)
		return kwgi_nomem(err);
	for (i = 0; i < n; i++) {
		if (kwgi_prefix_parse(&v[i], extra[i]) || kwgi_prefix_has_host_bits(&v[i])) {
			free(v);
			return kwgi_fail(err, KWG_ERR_USAGE, 0,
					 "\"%.60s\" is not a network without host bits, such as 10.2.1.0/24",
					 extra[i]);
		}
	}
	*out = v;
	return 0;
}

static int show_view(const struct kwg_config *cfg, const struct kwgi_node *viewpoint,
		     const struct kwgi_mesh_peer *p, const struct kwgi_prefix *extra, size_t n,
		     bool json, struct kwgi_buf *b, struct kwg_error *err)
{
	struct kwgi_peer_view view = { 0 };
	struct kwgi_buf conf = { 0 };
	struct kwgi_key psk;
	int ret = kwgi_peer_psk(p->peer, &psk, err);

	if (ret)
		return ret;
	if (kwgi_peer_view_build(&view, cfg->topology, viewpoint, p, extra, n)) {
		ret = kwgi_nomem(err);
	} else if (json) {
		kwgi_peer_view_conf(&view, &psk, &conf);
		b->failed |= conf.failed;
		kwgi_peer_view_json(&view, conf.p ? conf.p : "", b);
	} else {
		kwgi_peer_view_conf(&view, &psk, b);
	}
	kwgi_buf_free(&conf);
	kwgi_arena_free(&view.arena);
	sodium_memzero(&psk, sizeof(psk));
	return ret;
}

static int show_as_peer(const struct kwg_config *cfg, const struct kwgi_node *viewpoint,
			const struct kwgi_mesh_peer *p, struct kwgi_buf *b, struct kwg_error *err)
{
	struct kwgi_wg_peer wg;
	struct kwgi_key psk;
	int ret = kwgi_peer_psk(p->peer, &psk, err);

	if (ret)
		return ret;
	kwgi_wg_peer(&wg, cfg->topology, viewpoint, p);
	/* Nodes have one of their own for all peers; as kgctl has it, this is what the peer wants. */
	wg.keepalive = p->peer->keepalive;
	kwgi_wg_format_peer(b, &wg, &psk);
	sodium_memzero(&psk, sizeof(psk));
	return 0;
}

int kwg_showconf_peer(const struct kwg_config *cfg, const char *viewpoint, const char *peer,
		      const char *const *extra, size_t n, bool as_peer, bool json,
		      char **out, size_t *len, struct kwg_error *err)
{
	const struct kwgi_mesh_peer *p = NULL;
	const struct kwgi_node *node = NULL;
	struct kwgi_prefix *nets = NULL;
	struct kwgi_buf b = { 0 };
	int ret;

	ret = find_node(cfg, viewpoint, &node, err);
	if (!ret)
		ret = find_peer(cfg, peer, &p, err);
	if (!ret)
		ret = parse_extra(extra, n, &nets, err);
	if (ret)
		return ret;
	if (as_peer)
		ret = show_as_peer(cfg, node, p, &b, err);
	else
		ret = show_view(cfg, node, p, nets, n, json, &b, err);
	free(nets);
	if (ret) {
		kwgi_buf_free(&b);
		return ret;
	}
	return kwgi_give(&b, out, len, err);
}

/* ---- of a machine outside --------------------------------------------- */

static int check_client(const struct kwgi_peer *p, const struct kwgi_key *key, struct kwg_error *err)
{
	struct kwgi_key public;

	if (!kwgi_client_has_address(p))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "peer \"%.253s\" has no address: no allowed-ip is that of one host; give address in its section",
				 p->name);
	if (key && (kwgi_key_public(&public, key) || !kwgi_key_equal(&public, &p->key)))
		return kwgi_fail(err, KWG_ERR_USAGE, 0,
				 "the private key is not that of peer \"%.253s\": public-key in its section is another",
				 p->name);
	return 0;
}

static int format_client(const struct kwgi_client *c, enum kwg_client_format format, struct kwgi_buf *b,
			 struct kwg_error *err)
{
	switch (format) {
	case KWG_CLIENT_WG_QUICK:
		kwgi_client_wg_quick(c, b);
		return 0;
	case KWG_CLIENT_WG:
		kwgi_client_wg(c, b);
		return 0;
	case KWG_CLIENT_NETWORKD:
		kwgi_client_networkd(c, b);
		return 0;
	case KWG_CLIENT_NM:
		kwgi_client_nm(c, b);
		return 0;
	case KWG_CLIENT_YAML:
		kwgi_client_yaml(c, b);
		return 0;
	case KWG_CLIENT_JSON:
		kwgi_client_json(c, b);
		return 0;
	}
	return kwgi_fail(err, KWG_ERR_USAGE, 0, "%d is no format of a client's configuration", (int)format);
}

static int show_client(const struct kwg_config *cfg, const struct kwgi_node *viewpoint,
		       const struct kwgi_mesh_peer *p, const struct kwgi_key *key,
		       enum kwg_client_format format, struct kwgi_buf *b, struct kwg_error *err)
{
	struct kwgi_peer_view view = { 0 };
	struct kwgi_key psk;
	struct kwgi_client client = { .view = &view, .mesh = cfg->mesh.name, .key = key, .psk = &psk };
	int ret = kwgi_peer_psk(p->peer, &psk, err);

	if (ret)
		return ret;
	if (kwgi_peer_view_build(&view, cfg->topology, viewpoint, p, NULL, 0))
		ret = kwgi_nomem(err);
	else
		ret = format_client(&client, format, b, err);
	kwgi_arena_free(&view.arena);
	sodium_memzero(&psk, sizeof(psk));
	return ret;
}

int kwg_client_config(const struct kwg_config *cfg, const char *viewpoint, const char *peer,
		      const char *private_key, enum kwg_client_format format, char **out, size_t *len,
		      struct kwg_error *err)
{
	const struct kwgi_mesh_peer *p = NULL;
	const struct kwgi_node *node = NULL;
	struct kwgi_key key = { 0 };
	struct kwgi_buf b = { 0 };
	int ret = find_node(cfg, viewpoint, &node, err);

	if (!ret)
		ret = find_peer(cfg, peer, &p, err);
	if (!ret && private_key && kwgi_key_parse(&key, private_key))
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0,
				"the private key is no key of 32 bytes in base64 (44 characters)");
	if (!ret)
		ret = check_client(p->peer, private_key ? &key : NULL, err);
	if (!ret)
		ret = show_client(cfg, node, p, private_key ? &key : NULL, format, &b, err);
	sodium_memzero(&key, sizeof(key));
	if (ret) {
		kwgi_buf_free(&b);
		return ret;
	}
	return kwgi_give(&b, out, len, err);
}
