/* SPDX-License-Identifier: ISC */
#ifndef KWGI_ERRTEXT_H
#define KWGI_ERRTEXT_H

#include <string.h>

/* The English text of an errno, whatever the locale; valid for ever. */
static inline const char *kwgi_errtext(int e)
{
#ifdef __GLIBC__
	const char *text = strerrordesc_np(e);

	return text ? text : "unknown error";
#else
	return strerror(e);
#endif
}

#endif
