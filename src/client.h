/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

enum { CLIENT_TEXT = 64 };

/*
 * The address that this session of ssh comes from, as SSH_CONNECTION says: that of this process or,
 * since sudo takes it away, of one that it comes from. NULL: there is none.
 */
const char *find_client(char out[CLIENT_TEXT]);

#endif
