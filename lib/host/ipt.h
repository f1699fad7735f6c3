/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The firewall by iptables-save and iptables-restore. Others' chains are never touched. */
#ifndef KWGI_IPT_H
#define KWGI_IPT_H

#include "steps/step.h"

/*
 * Fills h->iptables, and adds to h->drops, after kwgi_nft_observe(). Runs
 * nothing where nothing can be: if no firewall of iptables is wanted, only
 * what the kernel says is in use is looked at, and what cannot be is passed over
 * (h->iptables_unseen). wanted: there has to be an iptables-save, KWG_ERR_CONFIG
 * if not, and it has to work: KWG_ERR_KERNEL, KWG_ERR_TIMEOUT. KWG_ERR_NOMEM.
 */
int kwgi_ipt_observe(struct kwgi_host *h, bool wanted, struct kwg_error *err);

/* Has iptables-legacy tables in use here, in this network namespace? */
bool kwgi_ipt_has_legacy(bool v6);

/* Carries out or undoes a step KWGI_STEP_IPTABLES: one run of iptables-restore. */
int kwgi_ipt_step(const struct kwgi_step *s, bool undo, struct kwg_error *err);

/*
 * Of the built-in chains of nf_tables in bases (IPv4, IPv6), deletes those that are empty. What
 * could not be done stays in bases.
 */
void kwgi_ipt_tidy(uint16_t bases[2]);

#endif
