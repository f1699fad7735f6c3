/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade over what this host can say of itself, without changing anything. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "host/apply.h"
#include "host/detect.h"
#include "host/files.h"
#include "host/pathmtu.h"
#include "host/uapi.h"
#include "host/wg_genl.h"
#include "kilowg.h"
#include "steps/facts.h"
#include "steps/mtu.h"

int kwg_detect(bool json, bool *has, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_detection d;
	struct kwgi_buf b = { 0 };
	int ret = kwgi_detect(&d, err);

	if (ret)
		return ret;
	if (json)
		kwgi_detection_json(&d, &b);
	else
		kwgi_detection_text(&d, &b);
	ret = kwgi_give(&b, out, len, err);
	if (!ret)
		*has = kwgi_detection_has(&d);
	return ret;
}

/* ---- facts ----------------------------------------------------------- */

static const struct kwgi_node *find_node(const struct kwg_config *cfg, const char *name)
{
	uint32_t i;

	for (i = 0; i < cfg->n_nodes; i++)
		if (cfg->nodes[i].name && !strcmp(cfg->nodes[i].name, name))
			return &cfg->nodes[i];
	return NULL;
}

/* From the file, since that is what apply uses; it may be newer than the topology. */
static int read_public_key(const char *path, struct kwgi_key *pub, struct kwg_error *err)
{
	struct kwgi_key key;
	bool too_open;
	int ret;

	if (kwgi_file_is_missing(path))
		return 0;
	ret = kwgi_file_read_key(path, &key, &too_open, err);
	if (!ret && kwgi_key_public(pub, &key))
		ret = kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: the private key has no public key", path);
	sodium_memzero(&key, sizeof(key));
	return ret;
}

static int observe(const struct kwg_config *cfg, struct kwgi_live *live, struct kwgi_host *h,
		   struct kwgi_backend_choice *backend, struct kwg_error *err)
{
	const struct kwgi_local *local = &cfg->local;
	bool kernel_has = false;
	int ret = kwgi_live_open(live, err);

	live->mesh = &cfg->mesh;
	if (!ret)
		ret = kwgi_live_observe(live, 0, h, err);
	if (!ret)
		ret = kwgi_wg_genl_has(&kernel_has, err);
	if (ret)
		return ret;
	kwgi_backend_choose(backend, cfg, h, kernel_has, kwgi_uapi_answers(local->interface),
			    false);
	return kwgi_live_observe_wg(live, local->interface, h, err);
}

/* Enough of what is wanted for the MTU; endpoints that are names count as unknown. */
static int find_mtu(struct kwgi_facts *a, struct kwgi_live *live, struct kwgi_host *h,
		    struct kwg_error *err)
{
	const struct kwgi_local *local = &a->cfg->local;
	uint32_t n_peers = a->plan ? a->plan->n_peers : 0, n = 0;
	struct kwgi_key *psks = calloc(n_peers + 1u, sizeof(*psks));
	struct kwgi_endpoint *endpoints = calloc(n_peers + 1u, sizeof(*endpoints));
	struct kwgi_resolved nothing = { .psks = psks, .endpoints = endpoints };
	struct kwgi_addr *to = NULL;
	struct kwgi_desired w = {
		.mesh = a->cfg->mesh.name, .protocol = (uint8_t)local->route_protocol,
		.public_key = a->key, .userspace = a->backend->userspace,
	};
	uint16_t port = a->plan ? (uint16_t)a->plan->port : 0;
	int ret;

	if (!psks || !endpoints || (a->plan && kwgi_desired_peers(&w, a->plan, &nothing)) ||
	    kwgi_mtu_questions(&w.arena, &w, h, &to, &n))
		ret = kwgi_nomem(err);
	else
		ret = kwgi_pathmtu_observe(&live->nl, to, n, port, local->fwmark, h, err);
	/* If there is none yet, nothing is known of it. */
	if (!ret && a->plan)
		(void)kwgi_desired_tunnel(&w.tunnel, &w.arena, a->plan, h, NULL);
	if (!ret && kwgi_mtu_decide(&w, a->cfg, a->plan, h))
		ret = kwgi_nomem(err);
	a->mtu = w.mtu;
	kwgi_desired_free(&w);
	free(psks);
	free(endpoints);
	return ret;
}

typedef void (*form_fn)(const struct kwgi_facts *a, struct kwgi_buf *b);

static int say_facts(struct kwgi_facts *a, form_fn form, char **out, size_t *len,
		     struct kwg_error *err)
{
	struct kwgi_backend_choice backend;
	struct kwgi_live live = { 0 };
	struct kwgi_host host = { 0 };
	struct kwgi_buf b = { 0 };
	int ret = observe(a->cfg, &live, &host, &backend, err);

	a->host = &host;
	a->backend = &backend;
	if (!ret)
		ret = find_mtu(a, &live, &host, err);
	if (!ret) {
		form(a, &b);
		ret = kwgi_give(&b, out, len, err);
	}
	kwgi_host_free(&host);
	kwgi_live_close(&live);
	return ret;
}

static int give_facts(const struct kwg_config *cfg, const char *node, form_fn form, char **out,
		      size_t *len, struct kwg_error *err)
{
	struct kwgi_facts a = { .cfg = cfg, .name = node };
	struct kwg_plan *plan = NULL;
	int ret = 0;

	if (!cfg->topology || cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	a.node = find_node(cfg, node);
	/* A node that is new has to say its key before it can take part. */
	if (kwgi_topology_find(cfg->topology, node) != UINT32_MAX)
		ret = kwg_plan_new(&plan, cfg, node, err);
	a.plan = plan;
	if (!ret)
		ret = read_public_key(cfg->local.private_key_file, &a.key, err);
	if (!ret)
		ret = say_facts(&a, form, out, len, err);
	kwg_plan_free(plan);
	return ret;
}

int kwg_facts(const struct kwg_config *cfg, const char *node, bool json, char **out, size_t *len,
	      struct kwg_error *err)
{
	return give_facts(cfg, node, json ? kwgi_facts_json : kwgi_facts_text, out, len, err);
}

int kwg_facts_ini(const struct kwg_config *cfg, const char *node, char **out, size_t *len,
		  struct kwg_error *err)
{
	return give_facts(cfg, node, kwgi_facts_ini, out, len, err);
}
