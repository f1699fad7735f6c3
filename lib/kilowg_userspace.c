/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The facade's part for kilowg-userspace. */
#include <sodium.h>

#include "base/error.h"
#include "facade.h"
#include "kilowg.h"
#include "sys/errtext.h"
#include "userspace/dataplane.h"
#include "userspace/notify.h"
#include "userspace/sandbox.h"
#include "userspace/tun.h"

int kwg_userspace_run(const struct kwg_userspace_options *given, struct kwg_error *err)
{
	struct kwg_userspace_options options = KWG_USERSPACE_OPTIONS_INIT, *o = &options;
	int ret = kwgi_take(o, sizeof(*o), given, "kwg_userspace_options", err);

	if (!ret && !o->ifname)
		ret = kwgi_fail(err, KWG_ERR_USAGE, 0, "the interface has no name");
	if (!ret)
		ret = kwgi_tun_check_name(o->ifname, err);
	if (ret)
		return ret;
	if (sodium_init() < 0)
		return kwgi_fail(err, KWG_ERR_IO, 0, "libsodium finds no source of randomness");
	if (o->sandbox) {
		kwgi_sandbox_no_dumps();
		kwgi_sandbox_allow_locking();
	}
	return kwgi_dataplane_run(o, err);
}

int kwg_notify(const char *socket_name, const char *state, struct kwg_error *err)
{
	int e = kwgi_notify(socket_name, state);

	if (!e)
		return 0;
	return kwgi_fail(err, KWG_ERR_IO, e, "telling the service manager: %s", kwgi_errtext(e));
}
