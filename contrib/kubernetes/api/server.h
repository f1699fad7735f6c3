/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Where the API server is, and how to log in there: as kubectl's configuration says, or as a pod
 * is told. Where that asks for more than is known here, such as a program that fetches tokens,
 * there is "kubectl proxy", which knows all of it and costs more.
 */
#ifndef KILOWG_API_SERVER_H
#define KILOWG_API_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct server {
	char *url;		/* without a slash at its end */
	char *socket;		/* of "kubectl proxy"; NULL: there is none */
	char *ca_file, *cert_file, *key_file, *token_file;	/* NULL: none */
	bool insecure;		/* the server's certificate is not looked at */
};

/* By kubectl's proxy at that socket. False without memory. */
bool server_by_proxy(struct server *s, const char *socket);

/*
 * From what "kubectl config view --raw --minify --flatten -o json" has printed. Certificates, keys
 * and tokens become files of the current folder, for the owner alone. False if it is for kubectl only.
 */
bool server_from_config(struct server *s, const char *text, size_t len);

/* From environment and files of a pod. False outside of one. */
bool server_in_cluster(struct server *s);

/* Into a file for the owner alone; from there, or, if it is a socket, from the name. */
bool server_save(const struct server *s, const char *name);
bool server_load(struct server *s, const char *name);

void server_free(struct server *s);

/* Removes the files of server_from_config(). */
void server_remove_files(void);

/* A whole file of at most MAX bytes, with a NUL behind it; to be wiped and freed. NULL with errno. */
char *read_file(const char *name, size_t max, size_t *len);

#endif
