/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Back to how a host was before steps on it failed and were undone. */
#ifndef KWGI_RESTORE_H
#define KWGI_RESTORE_H

#include "steps/step.h"

/*
 * What undoing does not bring back since the kernel had taken it along by itself: when an address
 * or the MTU goes back, say. Steps from the one snapshot of a host to the one before; both have to
 * live as long as s. Links that there are in both only, with addresses, neighbours, rules and
 * routes; WireGuard's own settings and the firewall do not go by themselves. 0 or -1.
 */
int kwgi_steps_restore(struct kwgi_steps *s, const struct kwgi_host *now,
		       const struct kwgi_host *before);

#endif
