/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef KWGI_ERRTEXT_H
#define KWGI_ERRTEXT_H

#include <errno.h>
#include <string.h>

#include "base/num.h"

enum { KWGI_ERRNO_MAX = 4095 };	/* of the kernel, include/linux/err.h */

/* The English text of an errno, whatever the locale; valid for ever. */
static inline const char *kwgi_errtext(int e)
{
#ifdef HAVE_STRERRORDESC_NP
	const char *text = strerrordesc_np(e);

	return text ? text : "unknown error";
#else
	/* musl translates nothing unless asked; glibc before 2.32 may be told to by the program. */
	return strerror(e);
#endif
}

/* An errno as the kernel says it, below zero; EBADMSG for what can be none, such as INT_MIN. */
static inline int kwgi_errno_said(int e)
{
	return e < 0 && e >= -KWGI_ERRNO_MAX ? -e : EBADMSG;
}

/* What follows "errno=" of a UAPI socket: of either sign; EPROTO for what can be none. */
static inline int kwgi_errno_parse(const char *s)
{
	uint64_t n;

	return kwgi_num_parse(&n, s + (*s == '-'), KWGI_ERRNO_MAX) ? EPROTO : (int)n;
}

#endif
