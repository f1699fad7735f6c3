/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * The files that a configuration is read from, and the folder of sockets of
 * userspace WireGuards: told by inotify(7) when something happens there.
 */
#ifndef KWGI_INPUTS_H
#define KWGI_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct kwgi_inputs {
	int fd;				/* readable when something has happened */
	const char *const *paths;	/* files, and folders of *.ini; lives as long */
	size_t n;
	uint64_t sum;			/* over names, places and times of all files */
	int socket_folder;		/* its watch; -1: there is none */
	char socket[KWGI_IFNAME_MAX + sizeof(".sock")];	/* the one that matters; "": none does */
};

/* KWG_ERR_KERNEL. On errors *in is safe for kwgi_inputs_close(). */
int kwgi_inputs_open(struct kwgi_inputs *in, const char *const *paths, size_t n,
		     struct kwg_error *err);
void kwgi_inputs_close(struct kwgi_inputs *in);

/* From now on the socket of this interface matters. */
void kwgi_inputs_follow(struct kwgi_inputs *in, const char *ifname);

enum {
	KWGI_INPUTS_FILES = 1 << 0,	/* files may have changed: see kwgi_inputs_changed() */
	KWGI_INPUTS_SOCKET = 1 << 1,	/* the socket came or went */
};

/* Reads all that is there. Returns KWGI_INPUTS_*. */
unsigned kwgi_inputs_read(struct kwgi_inputs *in);

/*
 * Is any file another one than at the last call? Also watches folders that have
 * come since. Cheap: some system calls for each file.
 */
bool kwgi_inputs_changed(struct kwgi_inputs *in);

#endif
