/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Of the facade over this host: from plan and snapshot to all that is wanted here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "host/endpoints.h"
#include "host/files.h"
#include "host/pathmemo.h"
#include "host/pathmtu.h"
#include "host/rtnl_ways.h"
#include "host/turns.h"
#include "host/vitals.h"
#include "kilowg_steps.h"
#include "steps/beside.h"
#include "steps/forward.h"
#include "steps/mark.h"
#include "steps/mtu.h"

/* ---- facts ----------------------------------------------------------- */

static int find_endpoints(struct kwg_steps *s, struct kwgi_endpoint *out, struct kwg_error *err)
{
	struct kwgi_endpoints_ask ask = {
		.plan = s->plan, .host = &s->host,
		.now = kwgi_wall_seconds(), .up = kwgi_boot_seconds(), .dont_ask = s->opt.no_lookup,
		.stop = &s->live.launch.stop,
		.log = s->opt.log, .log_arg = s->opt.log_arg,
	};

	ask.turns = s->turns = calloc(s->plan->n_peers + 1u, sizeof(*s->turns));
	if (!s->turns)
		return kwgi_nomem(err);
	kwgi_turns_recall(KWG_RUNDIR, s->cfg->mesh.name, s->plan, s->turns);
	kwgi_steps_progress(s, "looking names up");
	return kwgi_endpoints_find(out, &ask, err);
}

/*
 * A node whose endpoint is a name may be where its private address is. Then there must be no route
 * to that through the tunnel, and what the plan says is known only now.
 */
static int settle_plan(struct kwg_steps *s, const struct kwgi_endpoint *found,
		       struct kwg_error *err)
{
	if (!kwgi_plan_is_changed_by(s->plan, found))
		return 0;
	s->found_plan = calloc(1, sizeof(*s->found_plan));
	if (!s->found_plan)
		return kwgi_nomem(err);
	s->plan = s->found_plan;
	return kwgi_plan_build_found(s->found_plan, s->cfg, s->given->node->name, found, err);
}

/* ---- the private network --------------------------------------------- */

/* Whose address stands on the loopback interface has the tunnel elsewhere, too. */
static int set_tunnel_mtu(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_addr *own = &s->wanted.tunnel.conf.local;
	const struct kwgi_segment *seg = s->plan->segment;
	const struct kwgi_link *l = kwgi_host_link_with_addr(&s->host, own);
	uint32_t i, protocol = kwgi_plan_has_vxlan(s->plan) ? KWGI_ENCAP_VXLAN : KWGI_ENCAP_IPIP;
	struct kwgi_way way;
	int ret = 0;

	if (!own->family || !l || strcmp(l->name, "lo"))
		return 0;
	for (i = 0; i < seg->n && !ret; i++) {
		way = (struct kwgi_way){ .to = seg->members[i]->internal_ip.addr };
		if (seg->members[i] == s->plan->node)
			continue;
		ret = kwgi_way_ask(&s->live.nl, &way, false, err);
		l = ret || way.error || way.local ? NULL : kwgi_host_link_by_index(&s->host, way.route.oif);
		if (l && kwgi_encap_mtu(protocol, own->family, l->mtu) < s->wanted.tunnel.mtu)
			s->wanted.tunnel.mtu = kwgi_encap_mtu(protocol, own->family, l->mtu);
	}
	return ret;
}

/* The kernel knows the way to nodes that are not in a network of the interface itself. */
static int find_neighbours(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_addr *to;
	uint32_t i = 0;
	int ret = set_tunnel_mtu(s, err);

	while (!ret && (to = kwgi_desired_next_neighbour(&s->wanted, &s->host, &i))) {
		struct kwgi_way way = { .to = *to };

		ret = kwgi_way_ask(&s->live.nl, &way, false, err);
		if (!ret && !way.error && !way.local)
			kwgi_desired_set_way(&s->wanted, &s->host, &way.to, &way.route);
	}
	return ret;
}

/*
 * Preshared keys, in the order of the peers of the plan. Who only looks at the host does without those
 * that cannot be read, and takes them for those that WireGuard has.
 */
static int read_psks(const struct kwg_steps *s, struct kwgi_key *psks, struct kwg_error *err)
{
	const struct kwg_plan *plan = s->given;
	const struct kwgi_host_peer *have;
	struct kwg_error why = { 0 };
	uint32_t i;
	int ret = 0;

	for (i = 0; i < plan->n_peers && !ret; i++) {
		ret = kwgi_peer_psk(plan->peers[i].peer, &psks[i], &why);
		if (!ret || !s->for_status)
			continue;
		have = kwgi_host_peer(&s->host.wg, &plan->peers[i].key);
		psks[i] = have ? have->psk : (struct kwgi_key){ 0 };
		ret = 0;
	}
	if (ret && err)
		*err = why;
	return ret;
}

/* ---- all of it ------------------------------------------------------- */

/* The program itself: the last word. Status may have none. */
static const char *program_of(const char *const *command)
{
	while (command && command[0] && command[1])
		command++;
	return command ? *command : "a userspace WireGuard";
}

static int build_wanted(struct kwg_steps *s, const struct kwgi_key *private_key,
			struct kwg_error *err)
{
	const struct kwg_plan *plan = s->given;
	struct kwgi_key *psks = calloc(plan->n_peers + 1u, sizeof(*psks));
	struct kwgi_endpoint *endpoints = calloc(plan->n_peers + 1u, sizeof(*endpoints));
	struct kwgi_resolved resolved = { *private_key, psks, endpoints };
	int ret = psks && endpoints ? read_psks(s, psks, err) : kwgi_nomem(err);

	if (!ret)
		ret = find_endpoints(s, endpoints, err);
	if (!ret)
		ret = settle_plan(s, endpoints, err);
	if (!ret)
		ret = kwgi_desired_build(&s->wanted, s->plan, &s->host, &resolved, err);
	if (!ret)
		ret = find_neighbours(s, err);
	s->wanted.now = kwgi_wall_seconds();
	s->wanted.userspace = s->backend.userspace;
	s->wanted.program = program_of(s->opt.userspace_command);
	sodium_memzero(&resolved, sizeof(resolved));
	if (psks)
		sodium_memzero(psks, plan->n_peers * sizeof(*psks));
	free(psks);
	free(endpoints);
	return ret;
}

/*
 * Adopted, or not to be cleaned up. One with a daemon that makes room for the
 * wanted one goes last, and its port is needed before.
 */
static bool stays_for_now(const struct kwgi_link *l, const struct kwg_config *cfg,
			  const char *wanted)
{
	if (kwgi_mark_is_adopted(l->alias))
		return true;
	if (l->replaced)
		return false;
	return wanted ? !strcmp(l->kind, "tun") : !cfg->local.clean_up_interface;
}

/*
 * What we set on an interface with our mark that stays, but is not the wanted
 * one, has to go; after a crash it may be on several. A device that does not
 * answer, such as one whose daemon died, keeps nobody from dealing with the rest.
 */
void kwgi_steps_observe_old(struct kwg_steps *s, const struct kwg_config *cfg, const char *wanted)
{
	struct kwg_error err = { 0 };
	uint32_t i;

	for (i = 0; i < s->host.n_links; i++) {
		const struct kwgi_link *l = &s->host.links[i];

		if (!kwgi_mark_is_ours(l->alias, &s->host.owner) || kwgi_mark_is_tunnel(l->alias) ||
		    (wanted && !strcmp(l->name, wanted)))
			continue;
		if (!stays_for_now(l, cfg, wanted))
			continue;
		if (kwgi_live_observe_old(&s->live, l->name, &s->host, &err))
			kwgi_steps_say(s, KWG_WARNING, "%s", err.text);
	}
}

/* ---- MTU ------------------------------------------------------------- */

static int build_mtu(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwg_config *cfg = s->plan->cfg;
	struct kwgi_addr *to = NULL;
	uint32_t n = 0;
	int ret = 0;

	if (cfg->local.mtu == KWGI_MTU_AUTO) {
		if (kwgi_mtu_questions(&s->wanted.arena, &s->wanted, &s->host, &to, &n))
			return kwgi_nomem(err);
		ret = kwgi_pathmtu_observe(&s->live.nl, to, n, s->wanted.wg.port, s->wanted.wg.fwmark,
					   &s->host, err);
	}
	if (ret)
		return ret;
	kwgi_pathmemo_recall(KWG_RUNDIR, cfg->mesh.name, &s->host);
	if (kwgi_mtu_decide(&s->wanted, cfg, s->plan, &s->host))
		return kwgi_nomem(err);
	if (s->wanted.mtu_note)
		kwgi_steps_say(s, KWG_NOTE, "%s: %s", cfg->local.interface, s->wanted.mtu_note);
	if (s->wanted.mtu_warning)
		kwgi_steps_say(s, KWG_WARNING, "%s", s->wanted.mtu_warning);
	return 0;
}

/* ---- what has to be left out ----------------------------------------- */

static int find_vitals(struct kwg_steps *s, struct kwgi_vitals *vitals, struct kwg_error *err)
{
	const struct kwgi_reachable kept = { s->opt.keep_reachable, s->opt.client };

	return kwgi_vitals_observe(vitals, &s->live.nl, &s->wanted, &s->host, &kept, err);
}

static int leave_out(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwgi_vitals vitals = { 0 };
	int ret = find_vitals(s, &vitals, err);

	if (!ret && kwgi_leave_out(&s->wanted, s->plan, &s->host, &vitals, s->live.refusals,
				   &s->left_out))
		ret = kwgi_nomem(err);
	if (!ret && kwgi_keep_beside(&s->wanted, s->plan, &vitals))
		ret = kwgi_nomem(err);
	kwgi_vitals_free(&vitals);
	return ret;
}

int kwgi_steps_build_closed(struct kwg_steps *s, struct kwg_error *err)
{
	struct kwgi_vitals vitals = { 0 };
	int ret = kwgi_desired_closed(&s->wanted, s->plan, err);

	if (!ret)
		ret = find_vitals(s, &vitals, err);
	if (!ret && kwgi_leave_out_closed(&s->wanted, s->plan, &vitals))
		ret = kwgi_nomem(err);
	kwgi_vitals_free(&vitals);
	return ret;
}

/* ---- firewall -------------------------------------------------------- */

static void tell_of_drops(const struct kwg_steps *s)
{
	struct kwgi_buf line = { 0 };
	uint32_t i;

	for (i = 0; i < s->host.n_drops; i++) {
		if (!kwgi_drop_matters(&s->host.drops[i], &s->wanted, &s->host))
			continue;
		kwgi_drop_describe(&line, &s->host.drops[i]);
		kwgi_buf_puts(&line, "; ");
		kwgi_drop_remedy(&line, &s->host.drops[i], &s->plan->cfg->local);
		if (!line.failed)
			kwgi_steps_say(s, KWG_NOTE, "%s", line.p);
		kwgi_buf_free(&line);
	}
}

/* Does the mesh work without its firewall? The rest of it only helps. */
static bool needs_firewall(const struct kwg_plan *plan, uint32_t mark)
{
	uint32_t i;

	for (i = 0; i < plan->nat.prepend.n; i++)
		if (plan->nat.prepend.v[i].kind == KWGI_FW_NAT_JUMP_POD ||
		    plan->nat.prepend.v[i].kind == KWGI_FW_NAT_JUMP_SRC ||
		    plan->nat.prepend.v[i].kind == KWGI_FW_NAT_JUMP_DST)
			return true;
	return plan->tunl_fw.append.n > 0 || mark;
}

static int build_nftables(struct kwg_steps *s, struct kwg_error *err)
{
	if (s->host.nft_denied)
		return kwgi_fail(err, KWG_ERR_KERNEL, EPERM,
				 "this user may not see nftables: CAP_NET_ADMIN is missing; run kilowg as root");
	if (s->host.no_nftables && needs_firewall(s->plan, s->wanted.default_way.mark))
		return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP,
				 "this kernel has no nftables, which the plan needs; set firewall = iptables if the kernel has that, or none");
	if (s->host.no_nftables) {
		kwgi_steps_say(s, KWG_WARNING,
		    "this kernel has no nftables; packets may be too large for the path (firewall = none hides this warning)");
		return 0;
	}
	if (kwgi_nft_encode(&s->table, &s->wanted.arena, s->plan, s->wanted.default_way.mark,
			    s->wanted.tunnel.name))
		return kwgi_nomem(err);
	s->wanted.table = &s->table;
	return 0;
}

/* For the families that there are on this host. */
static int build_iptables(struct kwg_steps *s, struct kwg_error *err)
{
	uint32_t i, n = 0;

	for (i = 0; i < s->host.n_iptables && n < 2; i++)
		if (s->host.iptables[i].variant == KWGI_IPT_DEFAULT &&
		    kwgi_ipt_build(&s->iptables[n++], &s->wanted.arena, s->plan,
				   &s->host.iptables[i], s->wanted.default_way.mark,
				   s->wanted.tunnel.name))
			return kwgi_nomem(err);
	s->wanted.iptables = s->iptables;
	s->wanted.n_iptables = n;
	return 0;
}

void kwgi_steps_tell_of_unseen(const struct kwg_steps *s)
{
	if (s->host.nft_iptables && s->host.iptables_unseen)
		kwgi_steps_say(s, KWG_WARNING,
		    "chains called kilowg-... are left in iptables, and no iptables-save and iptables-restore work to remove them; install the package iptables");
}

static int check_interface_name(const struct kwgi_local *local, struct kwg_error *err)
{
	if (kwgi_ipt_takes(local->interface))
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "firewall = iptables: the names of its chains hold that of the interface, \"%s\", which may so have only letters, digits, \"-\", \"_\" and \".\"",
			 local->interface);
}

static int build_firewall(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_local *local = &s->plan->cfg->local;
	bool iptables = local->firewall == KWGI_FIREWALL_IPTABLES;
	int ret = iptables ? check_interface_name(local, err) : 0;

	if (!ret)
		ret = kwgi_ipt_observe(&s->host, iptables, err);
	if (ret)
		return ret;
	kwgi_steps_tell_of_unseen(s);
	if (iptables)
		ret = build_iptables(s, err);
	else if (local->firewall == KWGI_FIREWALL_NFTABLES)
		ret = build_nftables(s, err);
	if (!ret)
		tell_of_drops(s);
	return ret;
}

/* ---- pods ------------------------------------------------------------ */

/* What fits through the mesh, whichever way: pods have one MTU for all that they talk to. */
static uint32_t pod_mtu(const struct kwg_steps *s)
{
	const struct kwgi_desired *w = &s->wanted;
	uint32_t mtu = w->path_mtu ? w->path_mtu : w->mtu ? w->mtu : KWGI_MTU_DEFAULT;

	return *w->tunnel.name && w->tunnel.mtu && w->tunnel.mtu < mtu ? w->tunnel.mtu : mtu;
}

static int build_cni(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_local *local = &s->plan->cfg->local;
	int ret;

	if (!local->cni || !s->plan->node->pod_cidrs.n)
		return 0;
	ret = kwgi_cni_prepare(&s->cni, local->cni_path, &s->plan->node->pod_cidrs, pod_mtu(s),
			       !s->opt.read_only, err);
	s->wanted.cni = &s->cni;
	/* Who asks for the state of the mesh gets it. */
	s->cni_refused = ret && ret != KWG_ERR_NOMEM && s->for_status;
	return s->cni_refused ? 0 : ret;
}

int kwgi_steps_build(struct kwg_steps *s, const struct kwgi_key *private_key,
		     struct kwg_error *err)
{
	int ret = build_wanted(s, private_key, err);

	if (!ret)
		ret = build_mtu(s, err);
	if (!ret)
		ret = leave_out(s, err);
	if (!ret)
		ret = build_firewall(s, err);
	return ret ? ret : build_cni(s, err);
}
