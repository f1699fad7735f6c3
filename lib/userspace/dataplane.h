/* SPDX-License-Identifier: ISC */
#ifndef KWGI_USERSPACE_H
#define KWGI_USERSPACE_H

#include "kilowg.h"

/* kwg_userspace_run() without its check of arguments. */
int kwgi_userspace_run(const struct kwg_userspace_options *o, struct kwg_error *err);

#endif
