/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int kwgi_fail(struct kwg_error *err, enum kwg_result status, int sys_errno, const char *fmt, ...)
{
	va_list ap;

	if (err) {
		err->status = status;
		err->sys_errno = sys_errno;
		err->step = 0;
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return status;
}

int kwgi_nomem(struct kwg_error *err)
{
	return kwgi_fail(err, KWG_ERR_NOMEM, ENOMEM, "out of memory");
}
