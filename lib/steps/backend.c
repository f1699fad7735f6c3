/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "steps/backend.h"
#include "steps/desired.h"
#include "steps/mark.h"

__attribute__((format(printf, 2, 3)))
static void say(struct kwgi_backend_choice *c, const char *fmt, ...);

static void say(struct kwgi_backend_choice *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->reason, sizeof(c->reason), fmt, ap);
	va_end(ap);
}

static void choose_new(struct kwgi_backend_choice *c, uint32_t backend, bool kernel_has)
{
	c->userspace = backend == KWGI_BACKEND_USERSPACE ||
		       (backend == KWGI_BACKEND_AUTO && !kernel_has);
	if (backend == KWGI_BACKEND_AUTO)
		say(c, "auto: the kernel has %sWireGuard", kernel_has ? "" : "no ");
	else
		say(c, "backend = %s", kwgi_backend_name(backend));
}

static void choose_external(struct kwgi_backend_choice *c, const struct kwgi_link *l)
{
	c->external = true;
	c->userspace = l && strcmp(l->kind, "wireguard");
	say(c, "somebody else makes the interface");
}

/* An interface that works stays: moving over ends all sessions, so somebody has to say it. */
static void keep_or_switch(struct kwgi_backend_choice *c, bool have_userspace, uint32_t backend,
			   bool switch_backend)
{
	if (have_userspace == c->userspace)
		return;
	if (switch_backend) {
		c->replace = c->aside = true;
		return;
	}
	c->could_switch = true;
	c->userspace = have_userspace;
	if (backend == KWGI_BACKEND_AUTO)
		say(c, "auto: made when the kernel had no WireGuard; it has now, and apply --switch-backend moves over");
	else
		say(c, "made before backend = %s was set; apply --switch-backend moves over",
		    kwgi_backend_name(backend));
}

void kwgi_backend_choose(struct kwgi_backend_choice *c, const struct kwg_config *cfg,
			 const struct kwgi_host *h, bool kernel_has, bool answers,
			 bool switch_backend)
{
	const struct kwgi_local *local = &cfg->local;
	const struct kwgi_link *l = kwgi_host_link(h, local->interface);
	bool ours = l && (kwgi_mark_is_ours(l->alias, &h->owner) || kwgi_host_is_unfinished(h, l));
	bool is_tun = l && strcmp(l->kind, "wireguard");

	*c = (struct kwgi_backend_choice){ 0 };
	if (!local->create_interface || local->backend == KWGI_BACKEND_EXTERNAL ||
	    (ours && kwgi_mark_is_adopted(l->alias))) {
		choose_external(c, l);
		return;
	}
	choose_new(c, local->backend, kernel_has);
	if (!ours)
		return;
	/* A daemon takes its interface along, unless somebody made that one persistent. */
	if (is_tun && !answers)
		c->replace = true;
	else
		keep_or_switch(c, is_tun, local->backend, switch_backend);
}
