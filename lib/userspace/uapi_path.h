/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The name of the server's socket in the file system: made, watched, removed. */
#ifndef KWGI_UAPI_PATH_H
#define KWGI_UAPI_PATH_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kilowg.h"

/* Where all userspace WireGuards have their sockets. */
#define KWGI_UAPI_PATH_DIR "/var/run/wireguard"

struct kwgi_uapi_path {
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int dir;		/* its folder; -1: closed */
	dev_t dev;		/* the inode that is ours; ino 0: none is */
	ino_t ino;
};

/* dir NULL: /var/run/wireguard; makes it. KWG_ERR_USAGE (too long), KWG_ERR_KERNEL. */
int kwgi_uapi_path_init(struct kwgi_uapi_path *p, const char *dir, const char *ifname,
			struct kwg_error *err);

/*
 * A listening socket (non-blocking) at that name, mode 0600. A socket there
 * that refuses connections gives way; anything else is EADDRINUSE.
 */
int kwgi_uapi_path_listen(struct kwgi_uapi_path *p, int *fd, struct kwg_error *err);

/*
 * Takes fd, a listening socket, as that of the name, if it is bound to it. KWG_ERR_USAGE if it
 * does not listen.
 */
int kwgi_uapi_path_adopt(struct kwgi_uapi_path *p, int fd, struct kwg_error *err);

/* The socket is that of a predecessor, who made it with kwgi_uapi_path_listen(): this was its inode. */
void kwgi_uapi_path_inherit(struct kwgi_uapi_path *p, dev_t dev, ino_t ino);
/* SO_PEERCRED tells of us from now on. */
void kwgi_uapi_path_listen_again(int fd);

/* Is our socket still there? True also if none was ever. */
bool kwgi_uapi_path_is_there(const struct kwgi_uapi_path *p);

/* Removes our socket and nobody else's: by the folder's descriptor, which a sandbox allows. */
void kwgi_uapi_path_remove(struct kwgi_uapi_path *p);
void kwgi_uapi_path_close(struct kwgi_uapi_path *p);

#endif
