/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/around.h"

/* ---- forwarding ------------------------------------------------------ */

/* -1: there is no such one, as where there is no IPv6. */
static int read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	int n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static int conf(const char *family, const char *link, const char *key)
{
	char path[256];

	/* A dot is a name's own, a slash cannot be in it. */
	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, link, key);
	return read_number(path);
}

static bool has_ra(const struct kwgi_ways *ways, const struct kwgi_host *h, const char *name)
{
	const struct kwgi_link *l = kwgi_host_link(h, name);

	return l && ways->ra_link == l->index;
}

static void look_at_forwarding(struct kwgi_around *a, const struct kwgi_host *h,
			       const struct kwgi_ways *ways)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < a->n_links; i++) {
		struct kwgi_around_link *l = &a->links[i];

		l->off = !conf("ipv4", l->name, "forwarding");
		l->accept_ra = conf("ipv6", l->name, "accept_ra");
		l->ra = has_ra(ways, h, l->name);
		any |= !l->off;
	}
	/* The sum of all is the last that was set for all; what counts is each. */
	a->off4 = !any && a->n_links && !conf("ipv4", "all", "forwarding");
	a->off6 = !conf("ipv6", "all", "forwarding");
}

/* ---- port ------------------------------------------------------------ */

/* Of a socket in /proc/net/udp: its inode, 0 for one of the kernel; -1: there is none. */
static long find_socket(const char *path, unsigned port)
{
	char line[512];
	FILE *f = fopen(path, "re");
	unsigned local;
	long inode, found = -1;

	while (f && found < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %ld", &local,
			   &inode) == 2 && local == port)
			found = inode;
	if (f)
		fclose(f);
	return found;
}

static bool has_socket(const char *pid, const char *socket)
{
	char folder[300], path[600], target[64];
	const struct dirent *e;
	bool found = false;
	ssize_t n;
	DIR *d;

	snprintf(folder, sizeof(folder), "/proc/%.200s/fd", pid);
	d = opendir(folder);
	while (d && !found && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found = !strcmp(target, socket);
	}
	if (d)
		closedir(d);
	return found;
}

static void read_comm(struct kwgi_around *a, const char *pid)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.200s/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(a->holder_name, sizeof(a->holder_name), f))
		strcpy(a->holder_name, "a process");
	a->holder_name[strcspn(a->holder_name, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void find_process(struct kwgi_around *a, long inode)
{
	const struct dirent *e;
	char socket[64];
	DIR *d = opendir("/proc");

	snprintf(socket, sizeof(socket), "socket:[%ld]", inode);
	a->holder = -1;
	while (d && a->holder < 0 && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_socket(e->d_name, socket))
			continue;
		a->holder = atol(e->d_name);
		read_comm(a, e->d_name);
	}
	if (d)
		closedir(d);
}

void kwgi_around_port(struct kwgi_around *a, uint16_t port)
{
	long inode = find_socket("/proc/self/net/udp", port);

	if (inode < 0)
		inode = find_socket("/proc/self/net/udp6", port);
	a->port_held = inode >= 0;
	if (inode > 0)
		find_process(a, inode);
}

/* ---- pods ------------------------------------------------------------ */

/* As container runtimes do it: the first by name of these (containernetworking/cni, libcni, ConfFiles). */
static bool is_cni(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".conf") || !strcmp(dot, ".conflist") || !strcmp(dot, ".json"));
}

static void look_at_cni(struct kwgi_around *a, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *first = name;
	char folder[4096], best[256];
	const struct dirent *e;
	DIR *d;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	d = opendir(folder);
	while (d && (e = readdir(d))) {
		if (!is_cni(e->d_name) || strcmp(e->d_name, first) >= 0)
			continue;
		snprintf(best, sizeof(best), "%s", e->d_name);
		first = best;
	}
	if (d)
		closedir(d);
	if (first != name)
		snprintf(a->cni_first, sizeof(a->cni_first), "%s", first);
}

void kwgi_around_observe(struct kwgi_around *a, const struct kwg_plan *plan,
			 const struct kwgi_desired *w, const struct kwgi_host *h,
			 const struct kwgi_ways *ways, long daemon)
{
	const struct kwgi_link *l = kwgi_host_link(h, w->ifname);
	bool listens = l && l->up && h->wg.present && h->wg.port == plan->port;

	kwgi_around_list(a, plan, w, h);
	look_at_forwarding(a, h, ways);
	/* The kernel has the port that it says; a daemon may have failed to get it. */
	if (plan->leader && (!listens || daemon))
		kwgi_around_port(a, (uint16_t)plan->port);
	if (listens && a->holder <= 0)
		a->port_held = false;
	if (daemon && a->holder == daemon)
		a->port_held = false;
	if (plan->cfg->local.cni && plan->node->pod_cidrs.n)
		look_at_cni(a, plan->cfg->local.cni_path);
}
