/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the files of the facade share. */
#ifndef KWGI_FACADE_H
#define KWGI_FACADE_H

#include "base/buf.h"
#include "config/config.h"

/* Folders of configurations: the build chooses them. */
#ifndef KWG_SYSCONFDIR
#define KWG_SYSCONFDIR "/etc/kilowg"
#endif
#ifndef KWG_RUNDIR
#define KWG_RUNDIR "/run/kilowg"
#endif
#ifndef KWG_VENDORDIR
#define KWG_VENDORDIR "/usr/lib/kilowg"
#endif

#ifndef KWG_STATEDIR
#define KWG_STATEDIR "/var/lib/kilowg"
#endif

/* Hands a finished buffer out as the text of a public function. */
int kwgi_give(struct kwgi_buf *b, char **out, size_t *len, struct kwg_error *err);

/*
 * Copies a struct of the caller, which begins with its size, over one of ours that has the defaults.
 * Of a newer header it may be larger; what the library does not know has to be zero then.
 * KWG_ERR_USAGE, also if it is NULL; name is for the error.
 */
int kwgi_take(void *out, size_t size, const void *given, const char *name, struct kwg_error *err);

/*
 * The preshared key of a peer, from the configuration or from its file; all
 * zero if it has none or p is NULL. The caller wipes it. KWG_ERR_IO.
 */
int kwgi_peer_psk(const struct kwgi_peer *p, struct kwgi_key *psk, struct kwg_error *err);

#endif
