/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* kilowg-userspace: WireGuard as a process, a drop-in for wireguard-go and boringtun-cli. */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemonise.h"
#include "kilowg.h"

enum { WATCHDOG = 30 };	/* s without an answer, by default */

static void help(FILE *f)
{
	fputs("usage: kilowg-userspace [-fr] INTERFACE\n"
	      "\n"
	      "Makes the interface and runs WireGuard on it. Goes to the background once its\n"
	      "socket /var/run/wireguard/INTERFACE.sock answers; wg(8) and kilowg(8) configure it.\n"
	      "\n"
	      "  -f, --foreground  stay in the foreground\n"
	      "  -r, --replace     take over from the one that runs, with all its sessions: for an\n"
	      "                    upgrade; it goes on if this fails\n"
	      "  -h, --help        print this and exit\n"
	      "  -V, --version     print the version and exit\n"
	      "\n"
	      "Environment: LOG_LEVEL, WG_TUN_FD, WG_UAPI_FD, WG_PROCESS_FOREGROUND,\n"
	      "NOTIFY_SOCKET, FDSTORE, LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID, KILOWG_AEAD,\n"
	      "KILOWG_OFFLOAD, KILOWG_WATCHDOG, KILOWG_WORKERS, explained in kilowg-userspace(8).\n", f);
}

static int usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "kilowg-userspace: %s%s; see kilowg-userspace --help\n", what, arg);
	return 1;
}

/* getopt(3) tells a letter, but of a long option only how far it got. */
static int option_error(const char *last)
{
	const char letter[] = { '-', (char)optopt, '\0' };

	return usage_error("there is no option ", !strncmp(last, "--", 2) ? last : letter);
}

/* ---- the environment ------------------------------------------------------------- */

/* KILOWG_OFFLOAD: what may be used, of tso,uso,gso,gro,aio; "none"; unset is all. */
static int offloads(const char *s, unsigned *without)
{
	static const struct {
		const char *name;
		unsigned without;
	} known[] = {
		{ "tso", KWG_WITHOUT_TSO }, { "uso", KWG_WITHOUT_USO },
		{ "gso", KWG_WITHOUT_GSO }, { "gro", KWG_WITHOUT_GRO },
		{ "aio", KWG_WITHOUT_AIO },
	};
	size_t i, len;

	*without = 0;
	if (!s || !*s || !strcmp(s, "all"))
		return 0;
	*without = KWG_WITHOUT_TSO | KWG_WITHOUT_USO | KWG_WITHOUT_GSO | KWG_WITHOUT_GRO | KWG_WITHOUT_AIO;
	if (!strcmp(s, "none"))
		return 0;
	for (; *s; s += len + (s[len] == ',')) {
		len = strcspn(s, ",");
		for (i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (len == 3 && !strncmp(s, known[i].name, 3))
				break;
		if (i == sizeof(known) / sizeof(*known))
			return -1;
		*without &= ~known[i].without;
	}
	return 0;
}

/* KILOWG_WORKERS: 1 to 64. */
static int worker_count(unsigned *n)
{
	int k = environment_number("KILOWG_WORKERS", 64);

	if (k == -2 || k == 0)
		return -1;
	if (k > 0)
		*n = (unsigned)k;
	return 0;
}

/* KILOWG_WATCHDOG: seconds; 0: none. */
static int watchdog(unsigned *seconds)
{
	int k = environment_number("KILOWG_WATCHDOG", 86400);

	*seconds = k < 0 ? WATCHDOG : (unsigned)k;
	return k < -1 ? -1 : 0;
}

/* sd_listen_fds(3): what the service manager has kept is meant for the process that it has started. */
static void kept_descriptors(struct kwg_userspace_options *o)
{
	int pid = environment_number("LISTEN_PID", INT_MAX);
	int n = environment_number("LISTEN_FDS", 1024);

	if (n > 0 && pid == (int)getpid()) {
		o->kept_fds = (unsigned)n;
		o->kept_names = getenv("LISTEN_FDNAMES");
	}
	o->keeps = environment_number("FDSTORE", INT_MAX) > 0;
	o->hands_over = true;
}

static const char *nonempty(const char *s)
{
	return s && *s ? s : NULL;
}

/* ---- running -------------------------------------------------------------------- */

struct program {
	struct daemonise daemon;
	enum log_level level;
	const char *ifname;
};

static void log_line(void *arg, bool error, const char *line)
{
	struct program *p = arg;
	char text[320];

	snprintf(text, sizeof(text), "%s: (%s) %s", error ? "ERROR" : "DEBUG", p->ifname, line);
	daemonise_say(&p->daemon, text);
}

static void ready(void *arg)
{
	struct program *p = arg;

	/* Who has started us has given us up, and ended the process that waited. */
	if (!daemonise_ready(&p->daemon))
		raise(SIGTERM);
}

/* Its locks are held, maybe for ever: no function of the C library that wants one. */
static void hung(void *arg)
{
	struct program *p = arg;
	char line[128];
	int n = snprintf(line, sizeof(line), "ERROR: (%.15s) the data plane does not answer: ending, to be started again\n", p->ifname);

	if (p->level != LEVEL_SILENT)
		(void)!write(STDERR_FILENO, line, (size_t)n);
	_exit(1);
}

/* A terminal that goes away ends us cleanly, too, unless nohup(1) has a word in it. */
static int stop_signals(void)
{
	struct sigaction hup;
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run(struct program *p, struct kwg_userspace_options *o)
{
	struct kwg_error err = { 0 };

	o->ifname = p->ifname;
	o->stop_fd = stop_signals();
	o->sandbox = true;
	o->verbose = p->level == LEVEL_DEBUG;
	o->log = p->level == LEVEL_SILENT ? NULL : log_line;
	o->ready = ready;
	o->hung = hung;
	o->arg = p;
	if (!kwg_userspace_run(o, &err))
		return 0;
	daemonise_failed(&p->daemon, err.text);
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "replace", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	struct kwg_userspace_options o = KWG_USERSPACE_OPTIONS_INIT;
	struct program p = { .level = environment_log_level() };
	bool foreground = environment_foreground();
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "frhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'f': foreground = true; break;
		case 'r': o.replace = true; break;
		case 'h': help(stdout); return 0;
		case 'V': printf("kilowg-userspace %s\n", kwg_version()); return 0;
		default: return option_error(argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return usage_error("one interface name is wanted", "");
	p.ifname = argv[optind];
	o.notify_socket = getenv("NOTIFY_SOCKET");
	o.aead = nonempty(getenv("KILOWG_AEAD"));
	if (offloads(getenv("KILOWG_OFFLOAD"), &o.without))
		return usage_error("KILOWG_OFFLOAD wants none, all or a list of tso,uso,gso,gro,aio, not ",
				   getenv("KILOWG_OFFLOAD"));
	if (worker_count(&o.workers))
		return usage_error("KILOWG_WORKERS wants a number from 1 to 64, not ",
				   getenv("KILOWG_WORKERS"));
	if (watchdog(&o.watchdog))
		return usage_error("KILOWG_WATCHDOG wants seconds, from 0 to 86400, not ",
				   getenv("KILOWG_WATCHDOG"));
	o.tun_fd = environment_fd("WG_TUN_FD");
	o.uapi_fd = environment_fd("WG_UAPI_FD");
	if (o.tun_fd < -1 || o.uapi_fd < -1)
		return usage_error("WG_TUN_FD and WG_UAPI_FD want the number of a descriptor", "");
	kept_descriptors(&o);
	umask(077);
	/* A successor that a service manager has had started logs where its predecessor did. */
	if (daemonise_begin(&p.daemon, foreground,
			    p.level == LEVEL_DEBUG || (o.replace && getenv("JOURNAL_STREAM")))) {
		perror("kilowg-userspace: fork");
		return 1;
	}
	return run(&p, &o);
}
