/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The running userspace WireGuard: opens all that it needs, starts the workers, is the first of them. */
#ifndef KWGI_DATAPLANE_H
#define KWGI_DATAPLANE_H

#include "kilowg.h"

/* kwg_userspace_run() without its check of arguments. */
int kwgi_dataplane_run(const struct kwg_userspace_options *o, struct kwg_error *err);

#endif
