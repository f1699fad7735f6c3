/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef KWGI_WG_GENL_H
#define KWGI_WG_GENL_H

#include "host/wg.h"

/*
 * Connects to the kernel's device called ifname, by generic netlink. On errors *w is all zero.
 * KWG_ERR_KERNEL if the kernel has no WireGuard, KWG_ERR_USAGE if the name is too long.
 */
int kwgi_wg_genl_open(struct kwgi_wg *w, const char *ifname, struct kwg_error *err);

/*
 * Does the kernel know WireGuard? Only a question, but for it the kernel loads
 * the module if there is one. KWG_ERR_KERNEL if it cannot be asked.
 */
int kwgi_wg_genl_has(bool *has, struct kwg_error *err);

#endif
