/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "qr.h"

#ifdef KWG_WITH_QRENCODE
#include <qrencode.h>
#ifdef KWG_WITH_PNG
#include <png.h>
#endif

enum {
	MARGIN = 4,		/* light modules around it (ISO/IEC 18004, 9.1) */
	PIXELS = 8,		/* of a module, each way */
	LONGEST = 2953,		/* bytes that the largest one holds, with the least correction */
};

/* Y and X count from the margin's corner. */
static bool is_dark(const QRcode *qr, int y, int x)
{
	y -= MARGIN;
	x -= MARGIN;
	return y >= 0 && x >= 0 && y < qr->width && x < qr->width && (qr->data[y * qr->width + x] & 1);
}

static int size_of(const QRcode *qr)
{
	return qr->width + 2 * MARGIN;
}

/* ---- terminal -------------------------------------------------------- */

/*
 * Two rows make a line. With colours it is black on white whatever the terminal's are; without, what is
 * light is drawn, as most terminals are dark.
 */
static int print_blocks(const QRcode *qr)
{
	static const char *const blocks[] = { " ", "\xe2\x96\x84", "\xe2\x96\x80", "\xe2\x96\x88" };
	const char *no_color = getenv("NO_COLOR");
	bool colour = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	int x, y, top, bottom;

	for (y = 0; y < size_of(qr); y += 2) {
		fputs(colour ? "\033[30;107m" : "", stdout);
		for (x = 0; x < size_of(qr); x++) {
			top = is_dark(qr, y, x) == colour;
			bottom = (y + 1 < size_of(qr) && is_dark(qr, y + 1, x)) == colour;
			fputs(blocks[top * 2 + bottom], stdout);
		}
		puts(colour ? "\033[0m" : "");
	}
	return EXIT_DONE;
}

/* ---- SVG ------------------------------------------------------------- */

static int print_svg(const QRcode *qr)
{
	int n = size_of(qr), x, y, end;

	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" shape-rendering=\"crispEdges\">\n"
	       "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<path d=\"", n, n, n * PIXELS, n * PIXELS, n, n);
	for (y = 0; y < n; y++)
		for (x = 0; x < n; x = end) {
			for (end = x + 1; end < n && is_dark(qr, y, end) == is_dark(qr, y, x); end++)
				;
			if (is_dark(qr, y, x))
				printf("M%d %dh%dv1h-%dz", x, y, end - x, end - x);
		}
	puts("\"/>\n</svg>");
	return EXIT_DONE;
}

/* ---- PNG ------------------------------------------------------------- */

#ifdef KWG_WITH_PNG
static void fill_row(const QRcode *qr, int y, png_byte *row)
{
	int x, bytes = size_of(qr) * PIXELS / 8;

	/* A module is a byte of eight pixels. */
	for (x = 0; x < bytes; x++)
		row[x] = is_dark(qr, y, x) ? 0x00 : 0xff;
}

static int write_png(const QRcode *qr, png_structp png, png_infop info, png_byte *row)
{
	int pixels = size_of(qr) * PIXELS, y;

	if (setjmp(png_jmpbuf(png)))
		return EXIT_OTHER;
	png_init_io(png, stdout);
	png_set_IHDR(png, info, (png_uint_32)pixels, (png_uint_32)pixels, 1, PNG_COLOR_TYPE_GRAY,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (y = 0; y < pixels; y++) {
		fill_row(qr, y / PIXELS, row);
		png_write_row(png, row);
	}
	png_write_end(png, NULL);
	return EXIT_DONE;
}

static int print_png(const QRcode *qr)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	png_byte *row = calloc((size_t)size_of(qr), PIXELS / 8);
	int status = info && row ? write_png(qr, png, info, row) : EXIT_OTHER;

	png_destroy_write_struct(&png, &info);
	free(row);
	if (status)
		fputs("kilowg: the PNG image cannot be made\n", stderr);
	return status;
}
#endif

/* ---- any ------------------------------------------------------------- */

static int print_as(const QRcode *qr, enum qr_form form)
{
	switch (form) {
	case QR_TEXT:
		return print_blocks(qr);
	case QR_SVG:
		return print_svg(qr);
	case QR_PNG:
#ifdef KWG_WITH_PNG
		if (isatty(STDOUT_FILENO))
			return usage_error("a PNG image is for a file, not for a terminal: add \">FILE\"");
		return print_png(qr);
#else
		return usage_error("this kilowg was built without libpng; --qr-svg is there");
#endif
	}
	return EXIT_OTHER;
}

int qr_print(const char *text, enum qr_form form)
{
	QRcode *qr;
	int status;

	if (strlen(text) > LONGEST)
		return usage_error("this configuration has %zu bytes, and a QR code holds %d: print it as text, or write a smaller one for this peer",
				   strlen(text), LONGEST);
	qr = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	if (!qr) {
		perror("kilowg: the QR code cannot be made");
		return EXIT_OTHER;
	}
	status = print_as(qr, form);
	/* It is the text. */
	explicit_bzero(qr->data, (size_t)qr->width * (size_t)qr->width);
	QRcode_free(qr);
	if (!status && (fflush(stdout) || ferror(stdout))) {
		perror("kilowg: writing to stdout");
		status = EXIT_OTHER;
	}
	return status;
}
#else
int qr_print(const char *text, enum qr_form form)
{
	(void)text;
	(void)form;
	return usage_error("this kilowg was built without libqrencode, so it makes no QR codes");
}
#endif
