/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Files that a part seems to be missing of: they are not applied unless somebody says so. */
#ifndef KWGI_GUARD_H
#define KWGI_GUARD_H

#include "config/config.h"

/*
 * applied: how many nodes take part in what is applied; 0: nobody knows. Of a configuration that is
 * finished and has no errors. KWG_ERR_CONFIG with the reason, and what helps.
 */
int kwgi_guard_judge(const struct kwg_config *cfg, uint32_t applied, struct kwg_error *err);

#endif
