/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "clientconf.h"
#include "qr.h"

static const char *const formats[] = {
	[KWG_CLIENT_WG_QUICK] = "wg-quick", [KWG_CLIENT_WG] = "wg", [KWG_CLIENT_NETWORKD] = "networkd",
	[KWG_CLIENT_NM] = "nm", [KWG_CLIENT_YAML] = "yaml", [KWG_CLIENT_JSON] = "json",
};

bool client_form_is_qr(const struct client_form *f)
{
	return f->qr->n || f->svg->n || f->png->n;
}

bool client_form_find(const struct client_form *f, enum kwg_client_format *format)
{
	const char *name = f->format->n ? f->format->v[f->format->n - 1] : formats[KWG_CLIENT_WG_QUICK];
	size_t i;

	if (f->qr->n + f->svg->n + f->png->n > 1) {
		usage_error("--qr, --qr-svg and --qr-png: give one of them");
		return false;
	}
	if (client_form_is_qr(f) && f->format->n) {
		usage_error("a QR code has the format wg-quick, which phones read; leave --format out");
		return false;
	}
	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (!strcmp(name, formats[i])) {
			*format = (enum kwg_client_format)i;
			return true;
		}
	}
	usage_error("--format \"%s\" is not accepted; accepted: wg-quick, wg, networkd, nm, yaml or json", name);
	return false;
}

int client_form_print(const struct client_form *f, char *text)
{
	int status;

	if (!client_form_is_qr(f))
		return print_text(text);
	status = qr_print(text, f->svg->n ? QR_SVG : f->png->n ? QR_PNG : QR_TEXT);
	kwg_text_free(text);
	return status;
}
