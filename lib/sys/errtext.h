/* SPDX-License-Identifier: ISC */
#ifndef KWGI_ERRTEXT_H
#define KWGI_ERRTEXT_H

#include <string.h>

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

#endif
