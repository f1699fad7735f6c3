/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Return path checks of IPv4, in /proc/sys (linux/Documentation/networking/ip-sysctl.rst). */
#ifndef KWGI_CHECKS_H
#define KWGI_CHECKS_H

#include "steps/step.h"

/* What cannot be read counts as no check. The device of WireGuard may have one, too: it does no harm. */
void kwgi_checks_observe(struct kwgi_checks *c);
/* Carries out or undoes a step KWGI_STEP_VALID_MARK. KWG_ERR_KERNEL. */
int kwgi_checks_step(const struct kwgi_step *s, bool undo, struct kwg_error *err);

#endif
