/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Health of the mesh on a host, for people and for programs. */
#ifndef KWGI_STATUS_H
#define KWGI_STATUS_H

#include "steps/health.h"

/* "kernel" or "userspace"; s->backend is known. */
const char *kwgi_status_backend(const struct kwgi_status *s);
bool kwgi_status_is_healthy(const struct kwgi_status *s);
void kwgi_status_text(const struct kwgi_status *s, bool colour, struct kwgi_buf *b);
void kwgi_status_json(const struct kwgi_status *s, struct kwgi_buf *b);

#endif
