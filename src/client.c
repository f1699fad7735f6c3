/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

enum { PARENTS_MAX = 32 };

/* "CLIENT-ADDRESS PORT SERVER-ADDRESS PORT" (ssh(1)); of a link-local one the link counts, not the mesh. */
static bool take(char out[CLIENT_TEXT], const char *connection)
{
	size_t len = connection ? strcspn(connection, " ") : 0;

	if (!len || len >= CLIENT_TEXT || memchr(connection, '%', len))
		return false;
	memcpy(out, connection, len);
	out[len] = '\0';
	return true;
}

/* A process's parent, 0 if there is none. */
static long parent_of(long pid)
{
	char path[64], line[512];
	const char *rest;
	long parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	/* The name stands in parentheses, and may hold more of them. */
	if (f && fgets(line, sizeof(line), f) && (rest = strrchr(line, ')')) &&
	    sscanf(rest, ") %*c %ld", &parent) != 1)
		parent = 0;
	if (f)
		fclose(f);
	return parent;
}

static bool look_into(char out[CLIENT_TEXT], long pid)
{
	static const char name[] = "SSH_CONNECTION=";
	char path[64], *entry = NULL;
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/environ", pid);
	f = fopen(path, "re");
	while (f && !found && getdelim(&entry, &size, '\0', f) > 0)
		found = !strncmp(entry, name, sizeof(name) - 1) && take(out, entry + sizeof(name) - 1);
	free(entry);
	if (f)
		fclose(f);
	return found;
}

const char *find_client(char out[CLIENT_TEXT])
{
	long pid = getppid();
	int i;

	if (take(out, getenv("SSH_CONNECTION")))
		return out;
	for (i = 0; i < PARENTS_MAX && pid > 1; i++, pid = parent_of(pid))
		if (look_into(out, pid))
			return out;
	return NULL;
}
