/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Numbers and durations from text, independent of any locale. */
#ifndef KWGI_NUM_H
#define KWGI_NUM_H

#include <stdint.h>

/* Decimal digits only, no sign, no leading zero but "0", at most max. 0 or -1. */
int kwgi_num_parse(uint64_t *out, const char *s, uint64_t max);

/*
 * Seconds: plain ("30") or as Go's time.ParseDuration writes them ("1m30s",
 * "1.5h"; units h, m, s, ms), rounded down. 0 or -1.
 */
int kwgi_duration_parse(uint64_t *seconds, const char *s, uint64_t max);

#endif
