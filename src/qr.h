/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* A text as a QR code on standard output. */
#ifndef KILOWG_QR_H
#define KILOWG_QR_H

enum qr_form {
	QR_TEXT,	/* for a terminal: half blocks of Unicode */
	QR_SVG,
	QR_PNG,
};

/* Returns an exit status, after a message if it is not EXIT_DONE. The text may be a secret. */
int qr_print(const char *text, enum qr_form form);

#endif
