/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* One run of steps on this host, as apply, down and rollback have it. */
#ifndef JOB_H
#define JOB_H

#include "cli.h"
#include "keeper.h"

struct job {
	struct cli *cli;
	struct kwg_config *cfg;
	struct kwg_plan *plan;		/* NULL: everything goes */
	struct kwg_steps *steps;
	struct kwg_host_options opt;
	struct keeper keeper;
	struct kwg_pending pending;	/* what is gone back from */
	const struct option_values *probes;	/* who has to answer; NULL: nobody */
	char addresses[MAX_VALUES][KWG_ADDRESS_TEXT];
	char host[256];			/* its name, if that is what the node is called */
	bool dry_run;
	bool held;			/* the files are not what is applied */
	bool partial;			/* something was left out */
};

/* With the options for this host; keep: of --keep, or NULL, lives as long. Frees nothing. */
void job_begin(struct job *job, struct cli *cli, const struct option_values *keep);
void job_free(struct job *job);

/* --lock-timeout, --confirm with --probe. These return an exit status, as all that follow. */
int job_lock_timeout(struct job *job, const struct option_values *given);
int job_confirm(struct job *job, const struct option_values *confirm,
		const struct option_values *probes);

/*
 * The steps of job->plan; or of what was before it, if the files are held. job_free() is due in
 * any case.
 */
int job_prepare(struct job *job);
int job_print_steps(const struct job *job);
/*
 * Shows the steps if asked to, and carries them out unless this is a dry run; then sees to the
 * confirmation. status: of what has prepared the job, which is freed.
 */
int job_carry_out(struct job *job, int status);

/* Goes back from what waits for a confirmation; due: only if the time is over. */
int job_go_back(struct cli *cli, const struct kwg_pending *p, const char *reason, bool due);

/* A number from 1 to max; false, with a message, if it is none. */
bool read_number(unsigned *out, const char *option, const char *text, unsigned max);

#endif
