/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Files, folders, locks, randomness and the clock. */
#ifndef KWGI_FILES_H
#define KWGI_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/key.h"
#include "config/config.h"
#include "config/ini.h"
#include "host/stop.h"
#include "kilowg.h"

enum { KWGI_FILE_MAX_CONFIG = KWGI_INI_MAX_TEXT };

/*
 * Reads a whole file of at most max bytes (also a pipe; "-" is stdin). *out is malloc()ed,
 * not terminated, and may hold secrets. KWG_ERR_IO, KWG_ERR_NOMEM.
 */
int kwgi_file_read(const char *path, size_t max, char **out, size_t *len, struct kwg_error *err);
bool kwgi_file_exists(const char *path);
/* It is not there; false also if this user cannot know. */
bool kwgi_file_is_missing(const char *path);
bool kwgi_file_is_dir(const char *path);
/*
 * Numbers that stand for where a file is, 16 hex digits each: that to which all links lead, wherever
 * it is called from, and the absolute path itself, whose links may lead elsewhere later. "" if there
 * is none, as for stdin. Two files may share one only by chance.
 */
void kwgi_file_origins(const char *path, char out[KWGI_ORIGINS][KWGI_ORIGIN_TEXT]);

/* Makes every missing folder above path, with this mode whatever the umask is. KWG_ERR_IO. */
int kwgi_file_make_parents(const char *path, mode_t mode, struct kwg_error *err);

/*
 * Writes text and a newline to a new file of mode 0600, all or nothing: a
 * crash leaves either no file or the whole one. Makes the folder (0700) if it
 * is missing. KWG_ERR_IO, also if the file exists.
 */
int kwgi_file_write_new_secret(const char *path, const char *text, struct kwg_error *err);

/*
 * Writes a file of state anew: whoever reads meanwhile sees the old one or the new one. In a folder
 * that root alone can write to. 0 or -1.
 */
int kwgi_file_replace(const char *path, const char *text, size_t len);

/*
 * The same for what nobody else may read, mode 0600 whatever the umask; on disk when it returns.
 * Makes the folder (0700) if it is missing. KWG_ERR_IO.
 */
int kwgi_file_replace_secret(const char *path, const char *text, size_t len, struct kwg_error *err);
struct kwgi_file_text {
	const char *p;
	size_t len;
};

/*
 * The same for a file that is there, whoever reads it: the new one has its mode and its owner, and where
 * the path is a link stands where that leads. KWG_ERR_IO, also if it does not say what is in before. Of
 * several that call this at a time, one does it, and the others find it changed.
 */
int kwgi_file_replace_same(const char *path, struct kwgi_file_text before, struct kwgi_file_text after,
			   struct kwg_error *err);
/* Is it a regular file that nobody but root, or who runs this program, can write to? */
bool kwgi_file_is_trusted(int fd);
/* Reads such a file: KWG_ERR_IO for others, with sys_errno ENOENT if it is missing. As kwgi_file_read(). */
int kwgi_file_read_trusted(const char *path, size_t max, char **out, size_t *len,
			   struct kwg_error *err);

/* A key in base64. *too_open: others than the owner can read it. KWG_ERR_IO; never names the content. */
int kwgi_file_read_key(const char *path, struct kwgi_key *key, bool *too_open,
		       struct kwg_error *err);

/* Names of the *.ini files of a folder, sorted by bytes; free with kwgi_dir_list_free(). */
int kwgi_dir_list_ini(const char *path, char ***names, size_t *n, struct kwg_error *err);
void kwgi_dir_list_free(char **names, size_t n);

enum { KWGI_LOCK_FOREVER = -1 };

/*
 * Takes the lock DIR/NAME.lock, held until *fd is closed, and notes in it who has
 * it. Makes the folder if it is missing. Waits for so many seconds if somebody else
 * has it, then KWG_ERR_LOCKED with who that is; stop (NULL: nobody) may end that. KWG_ERR_IO.
 */
int kwgi_lock_take(const char *dir, const char *name, const char *mesh, int seconds,
		   const struct kwgi_stop *stop, int *fd, struct kwg_error *err);
/* Has anybody the lock DIR/NAME.lock? */
bool kwgi_lock_is_taken(const char *dir, const char *name);

/* Random bytes from the kernel. 0 or -1. */
int kwgi_file_random(void *p, size_t len);

/* Seconds since 1970. */
int64_t kwgi_wall_seconds(void);
/* Seconds since the start of the host, with those that it slept; 0: not known. */
int64_t kwgi_boot_seconds(void);
/* The same in milliseconds. */
int64_t kwgi_boot_ms(void);
enum { KWGI_BOOT_ID_MAX = 64 };
/* Which start of the host this is; "-" where the kernel does not say. 0 or errno. */
int kwgi_boot_id(char boot[KWGI_BOOT_ID_MAX]);
/* Milliseconds of the monotonic clock. */
int64_t kwgi_monotonic_ms(void);

#endif
