/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * How the steps of a plan for this host come about: lib/kilowg_host.c asks for
 * what lib/kilowg_observe.c, kilowg_backend.c and kilowg_build.c find out.
 */
#ifndef KWGI_KILOWG_STEPS_H
#define KWGI_KILOWG_STEPS_H

#include "host/apply.h"
#include "host/cni.h"
#include "host/history.h"
#include "host/ipt.h"
#include "host/nft.h"
#include "kilowg.h"
#include "steps/backend.h"
#include "steps/desired.h"
#include "steps/finding.h"
#include "steps/leftout.h"
#include "steps/names.h"
#include "steps/ways.h"

#ifndef KWG_RUNDIR
#define KWG_RUNDIR "/run/kilowg"
#endif

struct kwg_steps {
	struct kwg_host_options opt;
	const struct kwg_plan *given;	/* NULL: nothing of the mesh is wanted */
	const struct kwg_plan *plan;	/* given, or found_plan */
	struct kwgi_turn *turns;	/* of each peer of given */
	struct kwg_plan *found_plan;	/* what it is with the addresses of names; or NULL */
	const struct kwg_config *cfg;
	struct kwg_config *own_cfg;	/* cfg, if it goes with this; or NULL */
	int locks[1 + KWGI_ORIGINS];	/* file descriptors, -1: none */
	struct kwgi_live live;
	struct kwgi_host host;
	struct kwgi_backend_choice backend;
	struct kwgi_cni_file cni;
	bool cni_refused;		/* a step is due there that cannot be taken */
	bool for_status;
	struct kwgi_nft_table table;	/* the firewall that is wanted ... */
	struct kwgi_ipt_rules iptables[2];	/* ... in one of two forms */
	struct kwgi_desired wanted;
	struct kwgi_findings left_out;	/* what was wanted, but is in no step or of no effect */
	struct kwgi_ways ways;		/* that packets take now */
	struct kwgi_findings way_notes;	/* of them what may be meant so */
	struct kwgi_refusals own_refusals;
	char **left_out_texts;		/* of each finding */
	struct kwgi_steps steps;
	char **texts, **undo_texts;	/* of each step */
	struct kwgi_kept record;	/* of a confirmation that is missing, as it was found */
	struct kwgi_record *wait;	/* that is asked for with these steps, or NULL */
	bool ran;			/* kwg_steps_run() was called */
	bool done;			/* all of them are carried out */
	struct kwg_steps *again;	/* what was left to do then, or NULL */
};

/*
 * What the caller has given, as far as he knows these options; NULL: the defaults. KWG_ERR_USAGE if its
 * size cannot be.
 */
int kwgi_host_options_take(struct kwg_host_options *out, const struct kwg_host_options *given,
			   struct kwg_error *err);

/* One line to the log of the caller of the library, if he has one. */
__attribute__((format(printf, 3, 4)))
void kwgi_steps_say(const struct kwg_steps *s, enum kwg_severity severity, const char *fmt, ...);

/* What takes its time now, for people who wait; NULL: it is over. */
void kwgi_steps_progress(const struct kwg_steps *s, const char *what);

/* kilowg_host.c: kwg_steps_new(), or what a status is made from. */
int kwgi_steps_new(struct kwg_steps **out, const struct kwg_plan *plan,
		   const struct kwg_host_options *opt, bool for_status, struct kwg_error *err);

/*
 * kilowg_find.c: asks the kernel where packets for wanted networks go. What takes another way although
 * its route is there is added to what is left out. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
int kwgi_steps_look_at_ways(struct kwg_steps *s, struct kwg_error *err);
/*
 * kilowg_find.c: what on this host stands in the way of the mesh, beside the steps; for status,
 * check --live, diff and apply. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
int kwgi_steps_find(struct kwg_steps *s, struct kwgi_findings *f, struct kwg_error *err);
/* The same, to the log: errors as warnings, the rest as notes. left_out: with what is left out. */
void kwgi_steps_tell(struct kwg_steps *s, bool left_out);

/* ---- kilowg_confirm.c ------------------------------------------------- */

/*
 * With the locks taken: may these steps be, or is a confirmation missing? KWG_ERR_LOCKED,
 * KWG_ERR_HELD, KWG_ERR_STOPPED (what was to be taken back has been confirmed), KWG_ERR_IO.
 */
int kwgi_confirm_enter(struct kwg_steps *s, struct kwg_error *err);
/* Before the first step: notes what to go back to, and lets the caller see to it. */
int kwgi_confirm_begin(struct kwg_steps *s, struct kwg_error *err);
/* They are undone: all is as before. */
void kwgi_confirm_failed(struct kwg_steps *s, const struct kwg_error *why);
/* They are carried out: what is in force is noted. Failures are warnings. */
void kwgi_confirm_done(struct kwg_steps *s);
/* For kwg_steps_free(). */
void kwgi_confirm_free(struct kwg_steps *s);

/* For status: what there is to be told. */
void kwgi_confirm_find(const struct kwg_config *cfg, struct kwgi_findings *f);
/* Is what was before in force, whatever these files say? */
bool kwgi_confirm_holds(const struct kwg_config *cfg);

/* kilowg_guard.c: KWG_ERR_DOWN if the mesh is to stay down. */
int kwgi_steps_check_down(const struct kwg_steps *s, struct kwg_error *err);

/* ---- kilowg_backend.c ------------------------------------------------- */

/* How a userspace WireGuard is started, if it has to be. */
void kwgi_steps_set_launch(struct kwg_steps *s, const struct kwg_config *cfg);

/*
 * Waits, up to interface-timeout, for an interface that somebody else makes
 * and for the tunnel of another CNI; not if nothing is to be changed.
 */
int kwgi_steps_wait(const struct kwg_steps *s, struct kwg_error *err);

/* Kernel or userspace, and which links make room for it; with links observed. */
int kwgi_steps_choose_backend(struct kwg_steps *s, struct kwg_error *err);
/* Is there a program, if one is to be started? KWG_ERR_CONFIG. */
int kwgi_steps_check_program(const struct kwg_steps *s, struct kwg_error *err);
void kwgi_steps_tell_backend(const struct kwg_steps *s);

/*
 * The private key, made on first use unless nothing is to be changed. Refuses
 * one that does not go with the node's public key. The caller wipes it.
 */
int kwgi_steps_read_key(const struct kwg_steps *s, struct kwgi_key *key, struct kwg_error *err);

/* ---- kilowg_observe.c ------------------------------------------------- */

/*
 * The host as it is, with the backend chosen. Of a daemon that is about to die
 * it is waited for the end; one of ours that hangs is to be replaced, unless
 * this is for a status.
 */
int kwgi_steps_observe(struct kwg_steps *s, struct kwg_error *err);

/* ---- kilowg_build.c --------------------------------------------------- */

/*
 * Our settings on an interface with our mark that stays, but is not the wanted
 * one (NULL: none is), are observed to be taken off.
 */
void kwgi_steps_observe_old(struct kwg_steps *s, const struct kwg_config *cfg, const char *wanted);

/* All that is wanted on this host: WireGuard, MTU, firewall, CNI. */
int kwgi_steps_build(struct kwg_steps *s, const struct kwgi_key *private_key,
		     struct kwg_error *err);

/* Only what is closed, for the boot. */
int kwgi_steps_build_closed(struct kwg_steps *s, struct kwg_error *err);

/* Warns if there may be rules of ours in iptables that cannot be seen. */
void kwgi_steps_tell_of_unseen(const struct kwg_steps *s);

#endif
