/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef KWGI_ERROR_H
#define KWGI_ERROR_H

#include "kilowg.h"

/* Fills *err (may be NULL) and returns status, so that "return kwgi_fail(...)" reads well. */
__attribute__((format(printf, 4, 5)))
int kwgi_fail(struct kwg_error *err, enum kwg_result status, int sys_errno, const char *fmt, ...);

int kwgi_nomem(struct kwg_error *err);

#endif
