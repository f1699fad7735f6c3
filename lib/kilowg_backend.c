/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Of the facade over this host: who makes the interface, with which WireGuard and which key. */
#include <string.h>

#include <sodium.h>

#include "base/error.h"
#include "host/files.h"
#include "host/rtnl.h"
#include "host/uapi.h"
#include "host/wg_genl.h"
#include "kilowg_steps.h"
#include "steps/mark.h"

/* ---- before observing ------------------------------------------------ */

static bool is_external(const struct kwgi_local *local)
{
	return !local->create_interface || local->backend == KWGI_BACKEND_EXTERNAL;
}

/*
 * Somebody else makes the interface: nobody says who starts first, so wait
 * for the link, and for the socket of a daemon behind it.
 */
static int wait_for_interface(const struct kwgi_local *local, const struct kwgi_stop *stop,
			      struct kwg_error *err)
{
	int64_t deadline = kwgi_monotonic_ms() + (int64_t)local->interface_timeout * 1000;
	bool is_tun;
	int ret = kwgi_rtnl_wait_link(local->interface, false, deadline, stop,
				      "create-interface = no or backend = external says that somebody else makes it",
				      err);

	if (!ret)
		ret = kwgi_rtnl_is_tun(local->interface, &is_tun, err);
	if (ret || !is_tun)
		return ret;
	return kwgi_uapi_wait(local->interface, deadline, stop, err);
}

/* The tunnel of another CNI, which may start later than this. */
static int wait_for_tunnel(const struct kwg_plan *plan, const struct kwgi_stop *stop,
			   struct kwg_error *err)
{
	const char *name = kwgi_desired_foreign_tunnel(plan, NULL);
	int64_t deadline = kwgi_monotonic_ms() +
			   (int64_t)plan->cfg->local.interface_timeout * 1000;

	if (!name)
		return 0;
	return kwgi_rtnl_wait_link(name, true, deadline, stop,
				   "compatibility = flannel says that flannel makes it, and tunnel-interface under which name",
				   err);
}

int kwgi_steps_wait(const struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_local *local = &s->plan->cfg->local;
	int ret = 0;

	if (s->opt.read_only)
		return 0;
	if (is_external(local))
		ret = wait_for_interface(local, &s->live.launch.stop, err);
	return ret ? ret : wait_for_tunnel(s->plan, &s->live.launch.stop, err);
}

/* ---- the backend ----------------------------------------------------- */

void kwgi_steps_set_launch(struct kwg_steps *s, const struct kwg_config *cfg)
{
	s->live.launch = (struct kwgi_launch){
		.command = s->opt.userspace_command, .launcher = s->opt.userspace_launcher,
		.log = s->opt.log, .log_arg = s->opt.log_arg, .timeout = cfg->local.interface_timeout,
		.stop = { s->opt.stop, s->opt.stop_arg, s->opt.cancel_fd >= 0, s->opt.cancel_fd },
	};
	s->live.dir = KWG_RUNDIR;
	s->live.mesh = &cfg->mesh;
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

int kwgi_steps_check_program(const struct kwg_steps *s, struct kwg_error *err)
{
	const struct kwgi_local *local = &s->plan->cfg->local;

	if (!s->backend.userspace || s->backend.external || s->opt.userspace_command ||
	    kwgi_host_link(&s->host, local->interface))
		return 0;
	return kwgi_fail(err, KWG_ERR_CONFIG, 0,
			 "%s: %s, and no userspace WireGuard to start is known; run one (such as wireguard-go %s) and set backend = external",
			 local->interface, s->backend.reason, local->interface);
}

void kwgi_steps_tell_backend(const struct kwg_steps *s)
{
	kwgi_steps_say(s, s->backend.could_switch ? KWG_WARNING : KWG_NOTE, "%s: %s WireGuard (%s)",
	    s->plan->cfg->local.interface, s->backend.userspace ? "userspace" : "kernel",
	    s->backend.reason);
}

/*
 * A link of ours under another name whose daemon does not answer under that: it
 * has been renamed, and its daemon may hold the socket and the port of the wanted one.
 */
static bool is_deaf(const struct kwgi_host *h, const struct kwgi_link *l)
{
	return !strcmp(l->kind, "tun") && kwgi_mark_is_ours(l->alias, &h->owner) &&
	       !kwgi_mark_is_adopted(l->alias) && !kwgi_uapi_answers(l->name);
}

int kwgi_steps_choose_backend(struct kwg_steps *s, struct kwg_error *err)
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
		l->replaced = strcmp(l->name, ifname) ? is_deaf(&s->host, l) : s->backend.replace;
	}
	return 0;
}

/* ---- the key --------------------------------------------------------- */

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

static int load_key(const struct kwg_steps *s, struct kwgi_key *key, struct kwg_error *err)
{
	const char *path = s->plan->cfg->local.private_key_file;
	bool too_open = false;
	int ret;

	if (!kwgi_key_is_zero(&s->plan->cfg->local.private_key)) {
		*key = s->plan->cfg->local.private_key;
		return 0;
	}
	if (kwgi_file_is_missing(path)) {
		if (s->opt.read_only)
			return kwgi_fail(err, KWG_ERR_CONFIG, 0,
					 "%.300s: there is no private key yet; make one with \"kilowg genkey\" or let apply make it, and put its public key into the file",
					 path);
		ret = make_key(path, err);
		if (ret)
			return ret;
		kwgi_steps_say(s, KWG_WARNING, "%s: made a new private key", path);
	}
	ret = kwgi_file_read_key(path, key, &too_open, err);
	if (!ret && too_open)
		kwgi_steps_say(s, KWG_WARNING, "%s: others can read the private key; make it mode 0600", path);
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

int kwgi_steps_read_key(const struct kwg_steps *s, struct kwgi_key *key, struct kwg_error *err)
{
	struct kwg_error why = { 0 };
	int ret = load_key(s, key, &why);

	/* WireGuard says which public key it has, and that one is compared. */
	if (ret && s->for_status) {
		*key = (struct kwgi_key){ 0 };
		return 0;
	}
	if (ret && err)
		*err = why;
	return ret ? ret : check_key(s, key, err);
}
