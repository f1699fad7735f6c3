/* SPDX-License-Identifier: ISC */
#include "kilowg_steps.h"

void kwgi_steps_progress(const struct kwg_steps *s, const char *what)
{
	if (s->opt.progress)
		s->opt.progress(s->opt.log_arg, what);
}

void kwgi_steps_say(const struct kwg_steps *s, enum kwg_severity severity, const char *fmt, ...)
{
	struct kwgi_buf b = { 0 };
	va_list ap;

	if (!s->opt.log)
		return;
	va_start(ap, fmt);
	kwgi_buf_vprintf(&b, fmt, ap);
	va_end(ap);
	if (!b.failed)
		s->opt.log(s->opt.log_arg, severity, b.p);
	kwgi_buf_free(&b);
}
