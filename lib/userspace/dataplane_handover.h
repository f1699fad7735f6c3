/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The data plane's two sides of userspace/takeover.h: giving all away, and beginning with what is given. */
#ifndef KWGI_DATAPLANE_HANDOVER_H
#define KWGI_DATAPLANE_HANDOVER_H

#include "userspace/takeover.h"
#include "userspace/worker.h"

/* What a predecessor has left, as far as it is not part of the data plane yet. */
struct kwgi_inheritance {
	bool any, kept;			/* kept: by the service manager */
	struct kwgi_handover_fds fds, all;	/* all: under which names there were some */
	struct kwgi_handover_state state;
	struct kwgi_handover_plane plane;
	int conn;			/* to the predecessor; -1: none */
};

/*
 * Looks for it: o->kept_fds, or, with o->replace, the running one; in->any says whether there is
 * some. KWG_ERR_KERNEL: there is somebody who does not hand over.
 */
int kwgi_inheritance_find(struct kwgi_inheritance *in, const struct kwg_userspace_options *o,
			  struct kwg_error *err);
/* Gives back what was not taken; the predecessor goes on, if it was not claimed. */
void kwgi_inheritance_end(struct kwgi_inheritance *in);
/* It is of no use: the service manager keeps it no more. Before a sandbox. */
void kwgi_inheritance_refuse(struct kwgi_inheritance *in, const struct kwgi_notifier *n);

/* In this order, while a data plane is opened; each may fail, and changes nothing for the predecessor. */
int kwgi_inheritance_load(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			  struct kwg_error *err);
int kwgi_inheritance_tun(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			 const struct kwgi_tun_options *t, struct kwg_error *err);
/* Is it of the network namespace of this process? */
int kwgi_inheritance_check_home(const struct kwgi_inheritance *in, const struct kwgi_dataplane *p,
				struct kwg_error *err);
int kwgi_inheritance_sockets(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			     struct kwg_error *err);
/* All is ours from now on, and the predecessor ends; or it goes on, and we have to end. */
int kwgi_inheritance_claim(struct kwgi_inheritance *in, struct kwgi_dataplane *p,
			   struct kwg_error *err);

/*
 * Gives all to who has asked on this connection, which is closed. The other workers have ended.
 * True: it is taken, and this process must send nothing any more. False: it goes on.
 */
bool kwgi_dataplane_give(struct kwgi_dataplane *p, int conn);
/* Gives all to the service manager, likewise. */
bool kwgi_dataplane_keep(struct kwgi_dataplane *p);

#endif
