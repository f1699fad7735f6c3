/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include "facade.h"
#include "kilowg_steps.h"

int kwgi_host_options_take(struct kwg_host_options *out, const struct kwg_host_options *given,
			   struct kwg_error *err)
{
	static const struct kwg_host_options defaults = KWG_HOST_OPTIONS_INIT;

	*out = defaults;
	return given ? kwgi_take(out, sizeof(*out), given, "kwg_host_options", err) : 0;
}

void kwgi_steps_progress(const struct kwg_steps *s, const char *what)
{
	if (s->opt.progress)
		s->opt.progress(s->opt.log_arg, what, 0, 0);
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
