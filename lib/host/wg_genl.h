/* SPDX-License-Identifier: ISC */
#ifndef KWGI_WG_GENL_H
#define KWGI_WG_GENL_H

#include "host/wg.h"

/* Finds the generic netlink family. KWG_ERR_KERNEL if the kernel has no WireGuard. */
int kwgi_wg_genl_open(struct kwgi_wg *w, struct kwg_error *err);

/*
 * Does the kernel know WireGuard? Only a question, but for it the kernel loads
 * the module if there is one. KWG_ERR_KERNEL if it cannot be asked.
 */
int kwgi_wg_genl_has(bool *has, struct kwg_error *err);

#endif
