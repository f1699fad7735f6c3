/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Which implementation of the cipher a data plane uses. */
#ifndef KWGI_CIPHER_H
#define KWGI_CIPHER_H

#include "dp/aead.h"

/*
 * That of a name (see kwgi_aead_by_name()); NULL: the one that is usually the fastest here; "auto": the
 * fastest in a trial of some milliseconds, in which each seals packets of the usual size. NULL: there is
 * no such implementation on this processor.
 */
const struct kwgi_aead *kwgi_cipher_choose(const char *name);

#endif
