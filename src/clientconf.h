/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* In which form the whole configuration of an outside peer is printed. */
#ifndef KILOWG_CLIENTCONF_H
#define KILOWG_CLIENTCONF_H

#include "cli.h"

/* What was given for --format, --qr, --qr-svg and --qr-png. */
struct client_form {
	const struct option_values *format, *qr, *svg, *png;
};

bool client_form_is_qr(const struct client_form *f);
/* False after a message, if they do not go together or there is no such format. */
bool client_form_find(const struct client_form *f, enum kwg_client_format *format);
/* Wipes and frees the text. An exit status. */
int client_form_print(const struct client_form *f, char *text);

#endif
