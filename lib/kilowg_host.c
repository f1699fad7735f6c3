/* SPDX-License-Identifier: ISC */
/* The facade over this host: plan and snapshot to steps, steps to the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/error.h"
#include "core/backend.h"
#include "core/forward.h"
#include "core/json.h"
#include "core/mtu.h"
#include "core/status.h"
#include "core/wanted.h"
#include "facade.h"
#include "kilowg.h"
#include "sys/apply.h"
#include "sys/cni.h"
#include "sys/endpoints.h"
#include "sys/files.h"
#include "sys/ipt.h"
#include "sys/nft.h"
#include "sys/pathmemo.h"
#include "sys/pathmtu.h"
#include "sys/rtnl.h"
#include "sys/uapi.h"
#include "sys/wg_genl.h"

#ifndef KWG_RUNDIR
#define KWG_RUNDIR "/run/kilowg"
#endif

struct kwg_steps {
	struct kwg_host_options opt;
	const struct kwg_plan *plan;
	int lock;			/* file descriptor, -1: none */
	struct kwgi_live live;
	struct kwgi_host host;
	struct kwgi_backend_choice backend;
	struct kwgi_cni_file cni;
	bool cni_refused;		/* a step is due there that cannot be taken */
	bool for_status;
	struct kwgi_nft_table table;	/* the firewall that is wanted ... */
	struct kwgi_ipt_rules iptables[2];	/* ... in one of two forms */
	struct kwgi_wanted wanted;
	struct kwgi_steps steps;
	char **texts, **undo_texts;	/* of each step */
};

__attribute__((format(printf, 3, 4)))
static void say(const struct kwg_steps *s, enum kwg_severity severity, const char *fmt, ...);

static void say(const struct kwg_steps *s, enum kwg_severity severity, const char *fmt, ...)
{
	struct kwgi_buf b = { 0 };
	va_list ap;

	if (!s->opt.log)
		return;
	va_start(ap, fmt);
	kwgi_buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (!b.failed)
		s->opt.log(s->opt.log_arg, severity, b.p);
	kwgi_buf_free(&b);
}

/* ---- before observing ------------------------------------------------ */

static bool is_external(const struct kwgi_local *local)
{
	return !local->create_interface || local->backend == KWGI_BACKEND_EXTERNAL;
}

/*
 * Somebody else makes the interface: nobody says who starts first, so wait
 * for the link, and for the socket of a daemon behind it.
 */
static int wait_for_interface(const struct kwgi_local *local, struct kwg_error *err)
{
	int64_t deadline = kwgi_monotonic_ms() + (int64_t)local->interface_timeout * 1000;
	bool is_tun;
	int ret = kwgi_rtnl_wait_link(local->interface, false, deadline,
				      "create-interface = no or backend = external says that somebody else makes it",
				      err);

	if (!ret)
		ret = kwgi_rtnl_is_tun(local->interface, &is_tun, err);
	if (ret || !is_tun)
		return ret;
	return kwgi_uapi_wait(local->interface, deadline, err);
}

/* The tunnel of another CNI, which may start later than this. */
static int wait_for_tunnel(const struct kwg_plan *plan, struct kwg_error *err)
{
	const char *name = kwgi_wanted_foreign_tunnel(plan, NULL);
	int64_t deadline = kwgi_monotonic_ms() +
			   (int64_t)plan->cfg->local.interface_timeout * 1000;

	if (!name)
		return 0;
	return kwgi_rtnl_wait_link(name, true, deadline,
				   "compatibility = flannel says that flannel makes it, and tunnel-interface under which name",
				   err);
}

/* ---- the backend ----------------------------------------------------- */

static void set_launch(struct kwg_steps *s, const struct kwg_config *cfg)
{
	s->live.launch = (struct kwgi_launch){
		.command = s->opt.userspace_command, .launcher = s->opt.userspace_launcher,
		.log = s->opt.log, .log_arg = s->opt.log_arg, .timeout = cfg->local.interface_timeout,
		.dir = KWG_RUNDIR, .mesh = cfg->mesh.name,
	};
}

/* The program itself: the last word. */
static const char *program_of(const char *const *command)
{
	while (command && command[0] && command[1])
		command++;
	return command ? *command : NULL;
}

/*
 * Does the kernel have WireGuard? A question without effect comes first. The
 * answer that counts is the one to a request for a link, and that is made where
 * one is to be made anyway; so a second apply changes nothing, and diff never.
 */
static int ask_kernel(struct kwg_steps *s, const struct kwgi_local *local, bool *has,
		      struct kwg_error *err)
{
	int ret;

	if (local->backend != KWGI_BACKEND_AUTO || is_external(local))
		return 0;
	ret = kwgi_wg_genl_has(has, err);
	if (ret || *has || s->opt.read_only || kwgi_host_link(&s->host, local->interface))
		return ret;
	return kwgi_rtnl_probe_wireguard(&s->live.nl, local->interface, has, err);
}

static int check_program(const struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_local *local = &s->plan->cfg->local;

	if (!s->backend.userspace || s->backend.external || s->opt.userspace_command ||
	    kwgi_host_link(&s->host, local->interface))
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "%s: %s, and no userspace WireGuard to start is known; run one (such as wireguard-go %s) and set backend = external",
			 local->interface, s->backend.reason, local->interface);
}

static void tell_backend(const struct kwg_steps *s)
{
	say(s, s->backend.could_switch ? KWG_WARNING : KWG_NOTE, "%s: %s WireGuard (%s)",
	    s->plan->cfg->local.interface, s->backend.userspace ? "userspace" : "kernel",
	    s->backend.reason);
}

/*
 * A link of ours under another name whose daemon does not answer under that: it
 * has been renamed, and its daemon may hold the socket and the port of the wanted one.
 */
static bool is_deaf(const struct kwgi_link *l, const struct kwg_config *cfg)
{
	return !strcmp(l->kind, "tun") && kwgi_mark_is_ours(l->alias, cfg->mesh.name) &&
	       !kwgi_mark_is_adopted(l->alias) && !kwgi_uapi_answers(l->name);
}

static int choose_backend(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwg_config *cfg = s->plan->cfg;
	const char *ifname = cfg->local.interface;
	bool kernel_has = false;
	uint32_t i;
	int ret;

	ret = ask_kernel(s, &cfg->local, &kernel_has, err);
	if (ret)
		return ret;
	kwgi_backend_choose(&s->backend, cfg, &s->host, kernel_has, kwgi_uapi_answers(ifname),
			    s->opt.switch_backend);
	for (i = 0; i < s->host.n_links; i++) {
		struct kwgi_link *l = &s->host.links[i];

		l->aside = s->backend.aside && !strcmp(l->name, ifname);
		l->replaced = strcmp(l->name, ifname) ? is_deaf(l, cfg) : s->backend.replace;
	}
	tell_backend(s);
	return check_program(s, err);
}

/* Makes the key on first use. */
static int make_key(const char *path, struct kwg_error *err)
{
	char text[KWG_KEY_TEXT];
	int ret = kwg_genkey(text, err);

	if (!ret)
		ret = kwgi_file_write_new_secret(path, text, err);
	sodium_memzero(text, sizeof(text));
	return ret;
}

static int load_key(struct kwg_steps *s, struct kwgi_key *key, struct kwg_error *err)
{
	const char *path = s->plan->cfg->local.private_key_file;
	bool too_open = false;
	int ret;

	if (!kwgi_file_exists(path)) {
		if (s->opt.read_only)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "%.300s: there is no private key yet; make one with \"kilowg genkey\" or let apply make it, and put its public key into the file",
					 path);
		ret = make_key(path, err);
		if (ret)
			return ret;
		say(s, KWG_WARNING, "%s: made a new private key", path);
	}
	ret = kwgi_file_read_key(path, key, &too_open, err);
	if (!ret && too_open)
		say(s, KWG_WARNING, "%s: others can read the private key; make it mode 0600", path);
	return ret;
}

/* With another key than the one in the file nobody could connect: better refuse. */
static int check_key(const struct kwg_steps *s, const struct kwgi_key *key, struct kwg_error *err)
{
	const struct kwgi_node *n = s->plan->node;
	char text[KWG_KEY_TEXT];
	struct kwgi_key pub;

	if (kwgi_key_public(&pub, key))
		return kwgi_fail(err, KWG_ERR_IO, 0, "%.300s: the private key has no public key",
				 s->plan->cfg->local.private_key_file);
	if (!kwgi_key_cmp(&pub, &n->key))
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "node \"%.100s\" has another public-key than this host; its private key in %.150s goes with public-key = %s",
			 n->name, s->plan->cfg->local.private_key_file,
			 kwgi_key_format(text, &pub));
}

/* ---- facts ----------------------------------------------------------- */

static int find_endpoints(const struct kwg_steps *s, struct kwgi_endpoint *out,
			  struct kwg_error *err)
{
	const struct kwgi_endpoints_ask ask = {
		.plan = s->plan, .host = &s->host,
		.now = kwgi_wall_seconds(), .dont_ask = s->opt.no_lookup,
		.log = s->opt.log, .log_arg = s->opt.log_arg,
	};

	return kwgi_endpoints_find(out, &ask, err);
}

static int build_wanted(struct kwg_steps *s, const struct kwgi_key *private_key,
			struct kwg_error *err)
{
	const struct kwg_plan *plan = s->plan;
	struct kwgi_key *psks = calloc(plan->n_peers + 1u, sizeof(*psks));
	struct kwgi_endpoint *endpoints = calloc(plan->n_peers + 1u, sizeof(*endpoints));
	struct kwgi_facts facts = { *private_key, psks, endpoints };
	uint32_t i;
	int ret = 0;

	if (!psks || !endpoints)
		ret = kwgi_nomem(err);
	for (i = 0; i < plan->n_peers && !ret; i++)
		ret = kwgi_peer_psk(plan->peers[i].peer, &psks[i], err);
	if (!ret)
		ret = find_endpoints(s, endpoints, err);
	if (!ret)
		ret = kwgi_wanted_build(&s->wanted, plan, &s->host, &facts, err);
	s->wanted.userspace = s->backend.userspace;
	s->wanted.program = program_of(s->opt.userspace_command);
	sodium_memzero(&facts, sizeof(facts));
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
 * one, has to go. A device that does not answer, such as one whose daemon
 * died, keeps nobody from dealing with the rest.
 */
static void observe_old(struct kwg_steps *s, const struct kwg_config *cfg, const char *wanted)
{
	struct kwg_error err = { 0 };
	uint32_t i;

	for (i = 0; i < s->host.n_links; i++) {
		const struct kwgi_link *l = &s->host.links[i];

		if (!kwgi_mark_is_ours(l->alias, cfg->mesh.name) || kwgi_mark_is_tunnel(l->alias) ||
		    (wanted && !strcmp(l->name, wanted)))
			continue;
		if (!stays_for_now(l, cfg, wanted))
			continue;
		if (kwgi_live_observe_old(&s->live, l->name, &s->host, &err))
			say(s, KWG_WARNING, "%s", err.text);
		return;
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
		ret = kwgi_pathmtu_observe(&s->live.nl, to, n, s->wanted.wg.port, cfg->local.fwmark,
					   &s->host, err);
	}
	if (ret)
		return ret;
	kwgi_pathmemo_recall(KWG_RUNDIR, cfg->mesh.name, &s->host);
	if (kwgi_mtu_decide(&s->wanted, cfg, s->plan, &s->host))
		return kwgi_nomem(err);
	if (s->wanted.mtu_note)
		say(s, KWG_NOTE, "%s: %s", cfg->local.interface, s->wanted.mtu_note);
	if (s->wanted.mtu_warning)
		say(s, KWG_WARNING, "%s", s->wanted.mtu_warning);
	return 0;
}

/* ---- steps ----------------------------------------------------------- */

static char *step_text(const struct kwg_steps *s, uint32_t i, bool undo)
{
	struct kwgi_buf b = { 0 };

	kwgi_step_format(&b, &s->steps.v[i], &s->host, undo);
	return kwgi_buf_take(&b, NULL);
}

static int format_steps(struct kwg_steps *s, struct kwg_error *err)
{
	uint32_t i;

	s->texts = calloc(s->steps.n + 1u, sizeof(*s->texts));
	s->undo_texts = calloc(s->steps.n + 1u, sizeof(*s->undo_texts));
	if (!s->texts || !s->undo_texts)
		return kwgi_nomem(err);
	for (i = 0; i < s->steps.n; i++) {
		s->texts[i] = step_text(s, i, false);
		s->undo_texts[i] = step_text(s, i, true);
		if (!s->texts[i] || !s->undo_texts[i])
			return kwgi_nomem(err);
	}
	return 0;
}

static struct kwg_steps *steps_alloc(const struct kwg_host_options *opt)
{
	struct kwg_steps *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->lock = -1;
	if (opt)
		s->opt = *opt;
	return s;
}

static int take_lock(struct kwg_steps *s, const struct kwg_config *cfg, struct kwg_error *err)
{
	if (s->opt.read_only)
		return 0;
	return kwgi_lock_take(KWG_RUNDIR, cfg->mesh.name, s->opt.wait_lock, &s->lock, err);
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
			say(s, KWG_NOTE, "%s", line.p);
		kwgi_buf_free(&line);
	}
}

/* Does the mesh work without its firewall? The rest of it only helps. */
static bool needs_firewall(const struct kwg_plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->nat.prepend.n; i++)
		if (plan->nat.prepend.v[i].kind == KWGI_FW_NAT_JUMP_POD ||
		    plan->nat.prepend.v[i].kind == KWGI_FW_NAT_JUMP_SRC ||
		    plan->nat.prepend.v[i].kind == KWGI_FW_NAT_JUMP_DST)
			return true;
	return plan->tunl_fw.append.n > 0;
}

static int build_nftables(struct kwg_steps *s, struct kwg_error *err)
{
	if (s->host.no_nftables && needs_firewall(s->plan))
		return kwgi_fail(err, KWG_ERR_KERNEL, EOPNOTSUPP,
				 "this kernel has no nftables, which masquerading needs here; set firewall = iptables if it has that, or none to do without");
	if (s->host.no_nftables) {
		say(s, KWG_WARNING,
		    "this kernel has no nftables; packets may be too large for the path (firewall = none says that you know)");
		return 0;
	}
	if (kwgi_nft_encode(&s->table, &s->wanted.arena, s->plan))
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
				   &s->host.iptables[i]))
			return kwgi_nomem(err);
	s->wanted.iptables = s->iptables;
	s->wanted.n_iptables = n;
	return 0;
}

static void tell_of_unseen(const struct kwg_steps *s)
{
	if (s->host.nft_iptables && s->host.iptables_unseen)
		say(s, KWG_WARNING,
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
	tell_of_unseen(s);
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
	const struct kwgi_wanted *w = &s->wanted;
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

static int prepare(struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwg_config *cfg = s->plan->cfg;
	const struct kwgi_local *local = &cfg->local;
	struct kwgi_key key = { 0 };
	int ret;

	set_launch(s, cfg);
	ret = take_lock(s, cfg, err);
	if (!ret)
		ret = load_key(s, &key, err);
	if (!ret)
		ret = check_key(s, &key, err);
	if (!ret && is_external(local) && !s->opt.read_only)
		ret = wait_for_interface(local, err);
	if (!ret && !s->opt.read_only)
		ret = wait_for_tunnel(s->plan, err);
	if (!ret)
		ret = kwgi_live_open(&s->live, err);
	if (!ret)
		ret = kwgi_live_observe(&s->live, (uint8_t)local->route_protocol, &s->host, err);
	if (!ret)
		ret = choose_backend(s, err);
	if (!ret)
		ret = kwgi_live_observe_wg(&s->live, local->interface, &s->host, err);
	if (!ret && s->backend.aside)
		ret = kwgi_live_observe_aside(&s->live, local->interface, &s->host, err);
	if (!ret) {
		observe_old(s, cfg, local->interface);
		ret = build_wanted(s, &key, err);
	}
	if (!ret)
		ret = build_mtu(s, err);
	if (!ret)
		ret = build_firewall(s, err);
	if (!ret)
		ret = build_cni(s, err);
	if (!ret)
		ret = kwgi_steps_diff(&s->steps, &s->wanted, &s->host, err);
	if (!ret)
		ret = format_steps(s, err);
	sodium_memzero(&key, sizeof(key));
	return ret;
}

static int steps_new(struct kwg_steps **out, const struct kwg_plan *plan,
		     const struct kwg_host_options *opt, bool for_status, struct kwg_error *err)
{
	struct kwg_steps *s = steps_alloc(opt);
	int ret;

	if (!s)
		return kwgi_nomem(err);
	s->plan = plan;
	s->for_status = for_status;
	ret = prepare(s, err);
	if (ret) {
		kwg_steps_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

int kwg_steps_new(struct kwg_steps **out, const struct kwg_plan *plan,
		  const struct kwg_host_options *opt, struct kwg_error *err)
{
	return steps_new(out, plan, opt, false, err);
}

static int prepare_down(struct kwg_steps *s, const struct kwg_config *cfg, struct kwg_error *err)
{
	int ret;

	if (cfg->diags.errors)
		return kwgi_fail(err, KWG_ERR_CONFIG, 0, "the configuration has errors");
	set_launch(s, cfg);
	ret = take_lock(s, cfg, err);
	if (!ret)
		ret = kwgi_live_open(&s->live, err);
	if (!ret)
		ret = kwgi_live_observe(&s->live, (uint8_t)cfg->local.route_protocol, &s->host, err);
	if (ret)
		return ret;
	ret = kwgi_ipt_observe(&s->host, false, err);
	if (ret)
		return ret;
	tell_of_unseen(s);
	observe_old(s, cfg, NULL);
	kwgi_wanted_nothing(&s->wanted, cfg);
	ret = kwgi_steps_diff(&s->steps, &s->wanted, &s->host, err);
	return ret ? ret : format_steps(s, err);
}

int kwg_steps_new_down(struct kwg_steps **out, const struct kwg_config *cfg,
		       const struct kwg_host_options *opt, struct kwg_error *err)
{
	struct kwg_steps *s = steps_alloc(opt);
	int ret;

	if (!s)
		return kwgi_nomem(err);
	ret = prepare_down(s, cfg, err);
	if (ret) {
		kwg_steps_free(s);
		return ret;
	}
	*out = s;
	return 0;
}

static void free_texts(char **texts, uint32_t n)
{
	uint32_t i;

	for (i = 0; texts && i < n; i++)
		free(texts[i]);
	free(texts);
}

void kwg_steps_free(struct kwg_steps *s)
{
	if (!s)
		return;
	free_texts(s->texts, s->steps.n);
	free_texts(s->undo_texts, s->steps.n);
	kwgi_steps_clear(&s->steps);
	kwgi_wanted_free(&s->wanted);
	kwgi_cni_free(&s->cni);
	kwgi_host_free(&s->host);
	kwgi_live_close(&s->live);
	if (s->lock >= 0)
		close(s->lock);
	free(s);
}

size_t kwg_steps_count(const struct kwg_steps *s)
{
	return s->steps.n;
}

const char *kwg_steps_text(const struct kwg_steps *s, size_t i)
{
	return i < s->steps.n ? s->texts[i] : NULL;
}

const char *kwg_steps_undo_text(const struct kwg_steps *s, size_t i)
{
	return i < s->steps.n ? s->undo_texts[i] : NULL;
}

int kwg_steps_json(const struct kwg_steps *s, char **out, size_t *len, struct kwg_error *err)
{
	struct kwgi_buf b = { 0 };
	struct kwgi_json j = { .b = &b };
	uint32_t i;

	kwgi_json_object(&j, NULL);
	kwgi_json_uint(&j, "schema", 1);
	kwgi_json_array(&j, "steps");
	for (i = 0; i < s->steps.n; i++) {
		kwgi_json_object(&j, NULL);
		kwgi_json_string(&j, "step", s->texts[i]);
		kwgi_json_string(&j, "undo", s->undo_texts[i]);
		kwgi_json_end_object(&j);
	}
	kwgi_json_end_array(&j);
	kwgi_json_end_object(&j);
	return kwgi_give(&b, out, len, err);
}

int kwg_steps_run(struct kwg_steps *s, struct kwg_error *err)
{
	int ret = kwgi_live_run(&s->live, &s->steps, s->opt.log, s->opt.log_arg, err);

	if (!ret && s->plan)
		kwgi_pathmemo_save(s->live.launch.dir, s->live.launch.mesh, &s->host);
	else if (!ret)
		kwgi_pathmemo_forget(s->live.launch.dir, s->live.launch.mesh);
	/* The interface of an interrupted start has its mark now, or is gone. */
	if (!ret && *s->host.starting)
		kwgi_daemon_forget(&s->live.launch);
	return ret;
}

/* ---- status ---------------------------------------------------------- */

int kwg_status(const struct kwg_plan *plan, const struct kwg_host_options *opt, int64_t now,
	       bool json, bool colour, bool *healthy, char **out, size_t *len,
	       struct kwg_error *err)
{
	struct kwg_host_options read_only = opt ? *opt : (struct kwg_host_options){ 0 };
	struct kwgi_status status = { .plan = plan, .now = now };
	struct kwgi_buf b = { 0 };
	struct kwg_steps *s = NULL;
	int ret;

	read_only.read_only = true;
	read_only.no_lookup = true;
	ret = steps_new(&s, plan, &read_only, true, err);
	if (!s)
		return ret;
	status.wanted = &s->wanted;
	status.host = &s->host;
	status.backend = &s->backend;
	status.drift = s->steps.n + s->cni_refused;
	if (json)
		kwgi_status_json(&status, &b);
	else
		kwgi_status_text(&status, colour, &b);
	ret = kwgi_give(&b, out, len, err);
	if (!ret)
		*healthy = kwgi_status_is_healthy(&status);
	kwg_steps_free(s);
	return ret;
}
