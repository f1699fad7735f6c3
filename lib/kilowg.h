/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * libkilowg: from topology files to a working WireGuard mesh.
 *
 *     configuration  --kwg_config_*-->  what the files say, checked
 *     configuration  --kwg_plan_*--->   the wanted network state of one node
 *     plan           --kwg_steps_*-->   what has to change on this host; carry it out
 *
 * The first two are pure: no system call besides reading the files that are
 * named. Only kwg_steps_*, kwg_status, kwg_check_live, kwg_facts, kwg_detect,
 * kwg_meshes, kwg_watch_* and kwg_userspace_run touch the network.
 *
 * And WireGuard itself, without a network: kwg_device_* for a device with many
 * peers, kwg_tunnel_* for a tunnel to one. Packets, datagrams and time come in
 * and go out as arguments; sockets and interfaces are the caller's.
 *
 * The library never prints, exits, changes signal handlers, umask or working
 * directory, and keeps no global state: objects of different threads are
 * independent, one object is for one thread at a time. It starts threads for names
 * to look up, and kwg_userspace_run() as many as it is told. It starts other
 * programs (posix_spawn, no shell) in two cases only: kwg_steps_run() the one
 * that kwg_host_options.userspace_command names, if a step says so; and all that
 * look at this host or change it iptables-save and iptables-restore, if the
 * firewall is one of iptables or the kernel says that iptables is in use.
 *
 * Conventions. Functions return 0 or a negative enum kwg_result and then fill
 * *err (which may be NULL). On failure out parameters are untouched. Every
 * kwg_*_free() takes NULL. Text comes back as a malloc()ed, NUL-terminated
 * string in *out that the caller free()s; *len (may be NULL) is its length.
 * Text that may hold a secret should be wiped by kwg_text_free().
 */
#ifndef KILOWG_H
#define KILOWG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The public functions are visible in a shared object that this archive is linked into; all else of
 * the library is hidden.
 */
#if defined(__GNUC__)
#define KWG_API __attribute__((visibility("default")))
#else
#define KWG_API
#endif

#define KWG_VERSION "0.1.0"
#define KWG_VERSION_NUMBER 0x000100	/* one byte each: major, minor, patch */

/* The format of files, "format" of [mesh], that this version reads; there is no other. */
#define KWG_FILE_FORMAT 1

/* Version of the library that was linked, as KWG_VERSION of its header. */
KWG_API const char *kwg_version(void);

/* What the library was built with; bits of kwg_features(). */
enum {
	KWG_FEATURE_SECCOMP = 1 << 0,	/* the data plane can give up system calls (libseccomp) */
	KWG_FEATURE_LIBCRYPTO = 1 << 1,	/* the cipher "openssl" is there */
	KWG_FEATURE_CNI = 1 << 2,	/* cni = yes works (jansson) */
};
KWG_API unsigned kwg_features(void);

/* ---- errors ---------------------------------------------------------- */

enum kwg_result {
	KWG_OK = 0,
	KWG_ERR_NOMEM = -1,	/* out of memory */
	KWG_ERR_USAGE = -2,	/* wrong argument, e.g. a node that does not exist */
	KWG_ERR_CONFIG = -3,	/* the configuration has errors */
	KWG_ERR_IO = -4,	/* a file could not be read or written */
	KWG_ERR_KERNEL = -5,	/* kernel, WireGuard or network refused */
	KWG_ERR_TIMEOUT = -6,	/* something waited for did not come */
	KWG_ERR_LOCKED = -7,	/* another process holds the lock of this mesh */
	KWG_ERR_STOPPED = -8,	/* the caller wanted to wait no longer */
	KWG_ERR_HELD = -9,	/* these files were not confirmed, or rolled back: see kwg_pending_get() */
	KWG_ERR_DOWN = -10,	/* the mesh was taken down, and is to stay so */
	KWG_ERR_CANCELLED = -11,	/* cancel_fd became readable */
};

/* Caller-owned, no allocation inside; valid after any failure. */
struct kwg_error {
	int status;		/* enum kwg_result */
	int sys_errno;		/* 0 if no system call was involved */
	char text[512];		/* one line, no newline, never a secret */
	unsigned step;		/* the one that failed in kwg_steps_run(), from 1 on; 0: none */
};

enum kwg_severity {
	KWG_ERROR,
	KWG_WARNING,
	KWG_NOTE,		/* of logs only: worth knowing, nothing is wrong */
};

/* One remark on the configuration. Strings live as long as the configuration. */
struct kwg_diag {
	enum kwg_severity severity;
	const char *file;	/* as given to kwg_config_add_*; "" if none */
	unsigned line;		/* 1-based; 0: not tied to a line */
	const char *key;	/* "" if not tied to a key */
	const char *text;	/* what is wrong; what is accepted */
};

/* Wipes and frees a text that a function of this library returned. */
KWG_API void kwg_text_free(char *text);

/* ---- configuration --------------------------------------------------- */

struct kwg_config;

/* An empty configuration, or NULL if there is no memory. */
KWG_API struct kwg_config *kwg_config_new(void);
KWG_API void kwg_config_free(struct kwg_config *cfg);

/*
 * Adds len bytes of INI text; name stands for it in messages. Errors in the
 * text are collected (see kwg_config_finish), not returned. KWG_ERR_NOMEM. As all that add or set:
 * KWG_ERR_USAGE after kwg_config_finish().
 */
KWG_API int kwg_config_add_text(struct kwg_config *cfg, const char *name, const char *text, size_t len,
			struct kwg_error *err);

/*
 * Adds a file, or every *.ini file of a folder in the order of their names;
 * "-" is standard input, which is called so in messages, too.
 * KWG_ERR_IO if it cannot be read or is larger than 64 MiB, KWG_ERR_NOMEM.
 */
KWG_API int kwg_config_add_path(struct kwg_config *cfg, const char *path, struct kwg_error *err);

/*
 * Adds every *.ini of /etc/kilowg, /run/kilowg and /usr/lib/kilowg in the
 * order of their names; a file in an earlier folder hides those of the same
 * name in later ones. KWG_ERR_IO (also if there is none at all), KWG_ERR_NOMEM.
 */
KWG_API int kwg_config_add_default(struct kwg_config *cfg, struct kwg_error *err);

/*
 * Sets a key of [local], overriding what was added before: for options of a
 * program, after the files. KWG_ERR_USAGE if the key does not exist or the value
 * is not accepted, KWG_ERR_NOMEM.
 */
KWG_API int kwg_config_set_local(struct kwg_config *cfg, const char *key, const char *value,
			 struct kwg_error *err);

/*
 * Ends reading: fills in defaults, runs all checks over everything and
 * computes the topology. KWG_ERR_CONFIG if there are errors; all remarks can
 * be read in either case. To be called once, before any function below.
 */
KWG_API int kwg_config_finish(struct kwg_config *cfg, struct kwg_error *err);

/* Remarks, sorted by file and line. NULL if i is not below the count. */
KWG_API size_t kwg_config_diag_count(const struct kwg_config *cfg);
KWG_API const struct kwg_diag *kwg_config_diag(const struct kwg_config *cfg, size_t i);

/* What was understood, as JSON with sorted keys; secrets only by their presence. */
KWG_API int kwg_config_json(const struct kwg_config *cfg, char **out, size_t *len, struct kwg_error *err);
/* Names of all nodes, or of all outside peers, one a line, in the order of the files; also of those with errors. */
KWG_API int kwg_config_names(const struct kwg_config *cfg, bool peers, char **out, size_t *len,
		     struct kwg_error *err);

/*
 * The node that [local] names, NULL if it names none. The string lives as
 * long as the configuration.
 */
KWG_API const char *kwg_config_local_node(const struct kwg_config *cfg);

/* Do the files have a node of this name, whether it takes part or not? */
KWG_API bool kwg_config_has_node(const struct kwg_config *cfg, const char *name);

/*
 * Files that a part seems to be missing of, compared with what this host has: one that is empty or
 * ends within a line, or far fewer nodes than what is applied. KWG_ERR_CONFIG with the reason and
 * what helps; kwg_steps_new() asks it, too. KWG_ERR_IO, KWG_ERR_NOMEM.
 */
KWG_API int kwg_config_guard(const struct kwg_config *cfg, struct kwg_error *err);

/* One line "section key repeatable type default" per key of the file format. */
KWG_API int kwg_config_keys(char **out, size_t *len, struct kwg_error *err);

/* ---- plan ------------------------------------------------------------ */

struct kwg_plan;

enum { KWG_DIGEST_TEXT = 65 };	/* BLAKE2b-256 in hex, with NUL */

/*
 * The complete wanted network state of a node. Depends on nothing but cfg and
 * node, so it is the same everywhere. The plan refers to cfg, which has to
 * live longer. KWG_ERR_USAGE if there is no such node or it does not take
 * part, KWG_ERR_CONFIG if cfg has errors, KWG_ERR_NOMEM.
 */
KWG_API int kwg_plan_new(struct kwg_plan **out, const struct kwg_config *cfg, const char *node,
		 struct kwg_error *err);
KWG_API void kwg_plan_free(struct kwg_plan *plan);

/*
 * What had to be left out or decided in this plan, all of it warnings; NULL if
 * i is not below the count. Strings live as long as the plan.
 */
KWG_API size_t kwg_plan_diag_count(const struct kwg_plan *plan);
KWG_API const struct kwg_diag *kwg_plan_diag(const struct kwg_plan *plan, size_t i);

/* Canonical text, the bytes that the digest is over, and then the digest line. */
KWG_API int kwg_plan_text(const struct kwg_plan *plan, char **out, size_t *len, struct kwg_error *err);
KWG_API int kwg_plan_json(const struct kwg_plan *plan, char **out, size_t *len, struct kwg_error *err);
/* BLAKE2b-256 of the canonical text, in hex. KWG_ERR_NOMEM. */
KWG_API int kwg_plan_digest(const struct kwg_plan *plan, char out[KWG_DIGEST_TEXT], struct kwg_error *err);

/* ---- views ----------------------------------------------------------- */

enum kwg_graph_format {
	KWG_GRAPH_DOT,		/* Graphviz, with what kgctl graph has in it */
	KWG_GRAPH_MERMAID,	/* a flowchart for mermaid.js.org */
	KWG_GRAPH_SVG,		/* a picture, laid out */
};
/* The mesh as a graph. KWG_ERR_CONFIG if cfg has errors, KWG_ERR_USAGE, KWG_ERR_NOMEM. */
KWG_API int kwg_graph(const struct kwg_config *cfg, enum kwg_graph_format format, char **out, size_t *len,
		      struct kwg_error *err);
/* The same in Graphviz DOT. */
KWG_API int kwg_graph_dot(const struct kwg_config *cfg, char **out, size_t *len, struct kwg_error *err);

/*
 * How a packet gets from one place to another and its answer back, hop by hop, by the plans of all
 * nodes, of which none is asked. from, to: the name of a node or peer, "pod:NODE", or an address; from
 * is one of the mesh. *reached: both arrive. KWG_ERR_CONFIG, KWG_ERR_USAGE, KWG_ERR_NOMEM.
 */
KWG_API int kwg_explain(const struct kwg_config *cfg, const char *from, const char *to, bool json, bool *reached,
			char **out, size_t *len, struct kwg_error *err);
/*
 * The same for all pairs of nodes, pods, outside peers and hosts behind nodes, other than two peers.
 * The text has the first hundred pairs that do not reach each other, with the reason. *all: there are
 * none. KWG_ERR_CONFIG, KWG_ERR_NOMEM.
 */
KWG_API int kwg_check_reach(const struct kwg_config *cfg, bool json, bool *all, char **out, size_t *len,
			    struct kwg_error *err);

/*
 * WireGuard configuration of a node that leads its segment, without its
 * private key. With as_peer: how another WireGuard machine configures the
 * node's segment as its peer. Preshared keys are in the text. KWG_ERR_USAGE
 * also for a node that does not lead, as of kgctl.
 */
KWG_API int kwg_showconf_node(const struct kwg_config *cfg, const char *node, bool as_peer,
		      char **out, size_t *len, struct kwg_error *err);

/*
 * WireGuard configuration of an outside peer. Endpoints are those that
 * viewpoint (a node) has seen. extra: n further networks (CIDR) that the peer
 * wants to reach; they go into the routes. json: an object with "conf" and
 * "routes" instead of the bare text. KWG_ERR_USAGE, KWG_ERR_NOMEM.
 */
KWG_API int kwg_showconf_peer(const struct kwg_config *cfg, const char *viewpoint, const char *peer,
		      const char *const *extra, size_t n, bool as_peer, bool json,
		      char **out, size_t *len, struct kwg_error *err);

enum kwg_client_format {
	KWG_CLIENT_WG_QUICK,	/* of wg-quick(8), and of the programs for phones */
	KWG_CLIENT_WG,		/* of wg(8) setconf */
	KWG_CLIENT_NETWORKD,	/* systemd.netdev(5), then systemd.network(5) */
	KWG_CLIENT_NM,		/* a keyfile of NetworkManager */
	KWG_CLIENT_YAML,
	KWG_CLIENT_JSON,
};

/*
 * The whole configuration of an outside peer: its addresses, name servers, MTU and all WireGuard peers, with
 * preshared keys. Endpoints are those that viewpoint (a node) has seen. private_key (base64) goes into the
 * text; without one (NULL) a comment is where it belongs, or null. KWG_ERR_USAGE if the peer has no
 * address or the key is of another; KWG_ERR_CONFIG, KWG_ERR_IO, KWG_ERR_NOMEM.
 */
KWG_API int kwg_client_config(const struct kwg_config *cfg, const char *viewpoint, const char *peer,
		      const char *private_key, enum kwg_client_format format, char **out, size_t *len,
		      struct kwg_error *err);

/* ---- changing files -------------------------------------------------- */

/*
 * A change in one file of a configuration, which has to live longer. It may have errors. Until
 * kwg_edit_save() nothing is written. Comments, order, blank lines and ends of lines stay as they are.
 */
struct kwg_edit;

/*
 * Adds a [node], or a [peer], to the file of this name; NULL: to the one that is about the mesh, which
 * has to be the only one. text (NULL: none) is one such section, of len bytes. name (NULL: that of the text)
 * becomes its name, and each of n settings, "key=value", stands in for what the text says of its key. Those
 * of one key become a list, and an empty value takes the key out. No setting may be a secret. KWG_ERR_USAGE,
 * KWG_ERR_CONFIG for errors in the text, KWG_ERR_NOMEM.
 */
KWG_API int kwg_edit_add(struct kwg_edit **out, const struct kwg_config *cfg, const char *file, bool peer,
			 const char *name, const char *text, size_t len, const char *const *settings, size_t n,
			 struct kwg_error *err);
/* Changes settings of a node or peer, wherever it stands. KWG_ERR_USAGE, KWG_ERR_NOMEM. */
KWG_API int kwg_edit_set(struct kwg_edit **out, const struct kwg_config *cfg, bool peer, const char *name,
			 const char *const *settings, size_t n, struct kwg_error *err);
/* Takes a node or peer out. KWG_ERR_USAGE, KWG_ERR_NOMEM. */
KWG_API int kwg_edit_remove(struct kwg_edit **out, const struct kwg_config *cfg, bool peer, const char *name,
			    struct kwg_error *err);
KWG_API void kwg_edit_free(struct kwg_edit *e);
/* The file that is changed; lives as long as the configuration. */
KWG_API const char *kwg_edit_file(const struct kwg_edit *e);
/* The finished configuration as it would be; its remarks say whether it has errors. KWG_ERR_NOMEM. */
KWG_API int kwg_edit_config(const struct kwg_edit *e, struct kwg_config **out, struct kwg_error *err);
/* What it changes, as diff -u shows it, for people: secrets are not in it. KWG_ERR_NOMEM. */
KWG_API int kwg_edit_diff(const struct kwg_edit *e, char **out, size_t *len, struct kwg_error *err);
/*
 * Writes the file: whoever reads it meanwhile sees the old one or the new one, and it keeps its owner and
 * mode. Whether it is valid is for the caller to ask before. KWG_ERR_IO, also if it is no longer as it was read.
 */
KWG_API int kwg_edit_save(const struct kwg_edit *e, struct kwg_error *err);

/*
 * What could be allowed-ip of a new peer, "10.5.0.2/32" or one of each family with a comma between them: behind
 * those of the last peer that has such, or else behind the subnet of the mesh, and in no network that the
 * configuration names. KWG_ERR_USAGE if there is none, KWG_ERR_NOMEM.
 */
KWG_API int kwg_config_free_addresses(const struct kwg_config *cfg, char **out, size_t *len, struct kwg_error *err);

/*
 * The first files of a host. Strings of NULL, "" and "-" count as not given; name is needed. Without endpoint the
 * node gets persistent-keepalive, since it has to call the others.
 */
struct kwg_init_options {
	size_t size;
	const char *folder;		/* of the files; NULL: /etc/kilowg */
	const char *private_key_file;	/* NULL: /var/lib/kilowg/key */
	const char *name, *location, *endpoint, *internal_ip;
};
#define KWG_INIT_OPTIONS_INIT { .size = sizeof(struct kwg_init_options) }

/*
 * Makes the private key, local.ini with what is this host's own, and mesh.ini with a mesh of this node, all with
 * mode 0600. Gives the [node] section for the files of others. Makes all of them or none, and overwrites none:
 * a key that is there is taken, and a file that is there has to be the same. KWG_ERR_USAGE if it is another, or for
 * what cannot be a value, KWG_ERR_CONFIG for values that are not accepted, KWG_ERR_IO, KWG_ERR_NOMEM.
 */
KWG_API int kwg_init(const struct kwg_init_options *options, char **out, size_t *len, struct kwg_error *err);

/* ---- keys ------------------------------------------------------------ */

enum {
	KWG_KEY_LEN = 32,	/* bytes */
	KWG_KEY_TEXT = 45,	/* base64 of them, with NUL */
	KWG_KEY_HEX = 65,	/* the same in hex, as the userspace API has it */
};

/* A key from base64 or hex. KWG_ERR_USAGE if it is neither. */
KWG_API int kwg_key_parse(uint8_t out[KWG_KEY_LEN], const char *text, struct kwg_error *err);
/* The other way; both return out. Whoever prints a secret key wipes out. */
KWG_API char *kwg_key_text(char out[KWG_KEY_TEXT], const uint8_t key[KWG_KEY_LEN]);
KWG_API char *kwg_key_hex(char out[KWG_KEY_HEX], const uint8_t key[KWG_KEY_LEN]);

/* A new private key, clamped. KWG_ERR_IO if there is no randomness. */
KWG_API int kwg_genkey(char out[KWG_KEY_TEXT], struct kwg_error *err);
/* A new preshared key. KWG_ERR_IO if there is no randomness. */
KWG_API int kwg_genpsk(char out[KWG_KEY_TEXT], struct kwg_error *err);
/* The public key of a private key in base64. KWG_ERR_USAGE if that is none, or all zero. */
KWG_API int kwg_pubkey(char out[KWG_KEY_TEXT], const char *private_key, struct kwg_error *err);

/* ---- this host ------------------------------------------------------- */

/*
 * What has to change on this host, in order. Made by comparing a plan (or
 * nothing at all, for taking down) with the kernel and WireGuard.
 */
struct kwg_steps;

/* Called with one line per notable event; arg as given. */
typedef void kwg_log_fn(void *arg, enum kwg_severity severity, const char *line);

/*
 * A struct that the caller fills begins with its size, so that it can grow: initialise it with the
 * macro of its name, then set what is wanted. A size that cannot be is KWG_ERR_USAGE.
 */
struct kwg_host_options {
	size_t size;
	kwg_log_fn *log;	/* NULL: silent */
	void *log_arg;
	bool wait_lock;		/* wait for the lock of the mesh instead of KWG_ERR_LOCKED */
	bool read_only;		/* change nothing: no lock, no key file, no waiting */
	bool probe;		/* kwg_status(): send to each peer, and wait for what comes back */
	bool no_lookup;		/* of endpoint names; peers keep what WireGuard has, no thread is started */
	/*
	 * Program of a userspace WireGuard for hosts whose kernel has none, by
	 * its absolute path, with leading arguments; NULL-terminated. The name
	 * of the interface is appended. It makes that interface, answers on
	 * /var/run/wireguard/NAME.sock, returns with its daemon in the
	 * background, and the daemon ends when the interface is deleted:
	 * kilowg-userspace, wireguard-go. It gets the caller's environment, but
	 * no open files, and has a session of its own.
	 * Lives as long as the steps. NULL: none is started.
	 */
	const char *const *userspace_command;
	/*
	 * Words before the command that make its daemon outlive the caller where
	 * a service manager ends all processes of a unit together: an absolute
	 * path and arguments, NULL-terminated, such as systemd-run --scope. If
	 * that ends with a failure, the command is started without, with a
	 * warning. Lives as long as the steps. NULL: none.
	 */
	const char *const *userspace_launcher;
	/*
	 * An interface that works but is not of the backend that is wanted, for
	 * example since the kernel has got WireGuard, is replaced. All its
	 * sessions end.
	 */
	bool switch_backend;
	/*
	 * Addresses that must stay reachable the way that they are: no route of the mesh may take
	 * packets for them away, if the mesh does not lead there already. Text, NULL-terminated;
	 * NULL: none. What the host needs anyway (gateways, its networks and neighbours, name
	 * servers, endpoints of peers) is kept without being named. client: the same for where the
	 * caller is logged in from. Both live as long as the steps.
	 */
	const char *const *keep_reachable;
	const char *client;
	/*
	 * kwg_steps_new(): close the networks of the mesh, with fail-closed in [local], and leave all
	 * else as it is; kwg_steps_new_down(): leave them closed.
	 */
	bool closed_only;
	bool keep_closed;
	/*
	 * kwg_steps_new_down(): because this node has gone from the files. KWG_ERR_CONFIG if this
	 * host is another node: its name may be a mistake. NULL: whichever it is.
	 */
	const char *leaving;
	/* Apply what kwg_config_guard() refuses. */
	bool allow_shrink;
	/*
	 * Nobody asks for the mesh just now: it is not brought back after it was taken down, which is
	 * KWG_ERR_DOWN. Without it, that is over.
	 */
	bool unless_down;
	/*
	 * Asked now and then while a step waits for userspace_command: true, to
	 * wait no longer; the steps are undone then. Other steps are short, so
	 * they are not interrupted. NULL: wait.
	 */
	bool (*stop)(void *arg);
	void *stop_arg;
	/*
	 * -1, or a descriptor: when it is readable, kwg_steps_new() and kwg_steps_run() end as soon as
	 * they can, wherever they wait and between two steps, with KWG_ERR_CANCELLED. What was done is
	 * undone. It stays open, and nothing is read from it.
	 */
	int cancel_fd;
	unsigned lock_timeout;	/* seconds to wait for the lock; 0: as wait_lock says */
	/*
	 * Called with what begins and may take a second or more; NULL: it is over. With log_arg.
	 * step: the number of a step in kwg_steps_run(), from 1 on, of so many; else both are 0.
	 */
	void (*progress)(void *arg, const char *what, unsigned step, unsigned of);

	/*
	 * For the history: which program applies, such as "command line", and who called it.
	 * from = NULL: nothing is kept, and neither confirm nor instead_of works.
	 */
	const char *from, *user;
	/*
	 * Not 0: within so many seconds after the last step kwg_confirm() has to be called; else
	 * what was in force before is to be brought back, which is the business of keep. It is
	 * called before the first step, and starts something that outlives the caller:
	 * it waits until kwg_pending_get() says that the time is over, and then runs steps with
	 * restore. keeper: text that says what it is, see kwg_pending.
	 */
	unsigned confirm;
	int (*keep)(void *arg, const char *mesh, const char *id, char *keeper, size_t size,
		    struct kwg_error *err);
	void *keep_arg;
	bool supersede;		/* also while another confirmation is missing, or of held files */
	/*
	 * These steps go back, by the plan of kwg_restore_config(): the id of what is taken
	 * back, see kwg_pending. KWG_ERR_STOPPED if that was confirmed meanwhile.
	 */
	const char *restore;
	bool restore_due;	/* only if the time is over */
	const char *reason;	/* why, for people; NULL: there was no confirmation in time */
	/*
	 * What the files say now, when an older configuration is applied instead: they are held,
	 * so that the next run of somebody else does not apply them again.
	 */
	const struct kwg_config *instead_of;
};

#define KWG_HOST_OPTIONS_INIT { .size = sizeof(struct kwg_host_options), .cancel_fd = -1 }

/*
 * Observes the host and compares. Takes the lock of the mesh, held until
 * kwg_steps_free(). plan lives longer than the steps. Endpoint names of peers
 * without a working session are looked up, for resolve-timeout at most, each in
 * a thread; one whose server does not answer ends some seconds later by itself.
 * KWG_ERR_LOCKED, KWG_ERR_KERNEL, KWG_ERR_IO, KWG_ERR_TIMEOUT, KWG_ERR_NOMEM, KWG_ERR_CANCELLED,
 * KWG_ERR_USAGE (opt has no size).
 */
KWG_API int kwg_steps_new(struct kwg_steps **out, const struct kwg_plan *plan,
		  const struct kwg_host_options *opt, struct kwg_error *err);

/*
 * The steps that remove all that kilowg made for this mesh, and nothing else. What that is, marks and
 * the journal say: cfg may have errors, and the mesh have had another name, as long as the file is
 * the same. cfg lives longer than the steps.
 */
KWG_API int kwg_steps_new_down(struct kwg_steps **out, const struct kwg_config *cfg,
		       const struct kwg_host_options *opt, struct kwg_error *err);
/* The same for a mesh of this name, without a configuration. KWG_ERR_USAGE: it is no such name. */
KWG_API int kwg_steps_new_down_mesh(struct kwg_steps **out, const char *mesh,
			    const struct kwg_host_options *opt, struct kwg_error *err);
/*
 * The names of all meshes that something is left of on this host, sorted, each with a newline.
 * *out is freed with kwg_text_free(). KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
KWG_API int kwg_meshes(char **out, size_t *len, struct kwg_error *err);
KWG_API void kwg_steps_free(struct kwg_steps *steps);

KWG_API size_t kwg_steps_count(const struct kwg_steps *steps);
/* One line for people; lives as long as the steps. NULL if i is not below the count. */
KWG_API const char *kwg_steps_text(const struct kwg_steps *steps, size_t i);
/* The line of the step that undoes it. */
KWG_API const char *kwg_steps_undo_text(const struct kwg_steps *steps, size_t i);
/*
 * What of the plan cannot be carried out on this host, or would cut it off, and so is in no step; and
 * what is there but of no effect, as a route or rule of somebody else comes before it: one line each, with
 * the reason and what helps. After kwg_steps_run() also what the kernel
 * refused. Lives as long as the steps. NULL if i is not below the count.
 */
KWG_API size_t kwg_steps_left_out_count(const struct kwg_steps *steps);
KWG_API const char *kwg_steps_left_out(const struct kwg_steps *steps, size_t i);
KWG_API int kwg_steps_json(const struct kwg_steps *steps, char **out, size_t *len, struct kwg_error *err);

/*
 * Carries the steps out. A single route that the kernel does not take is left out. If
 * another step fails, those before it are undone in reverse order and err says
 * which step failed, on which object, and the kernel's words. Installs no signal handlers: block
 * those that would end the program, or it may end halfway. Once only, and not with read_only:
 * KWG_ERR_USAGE. KWG_ERR_KERNEL, KWG_ERR_IO, KWG_ERR_TIMEOUT, KWG_ERR_STOPPED, KWG_ERR_CANCELLED.
 */
KWG_API int kwg_steps_run(struct kwg_steps *steps, struct kwg_error *err);

/* ---- confirmations and history ------------------------------------------ */

/* What waits for a confirmation, or was not confirmed and is held back. */
struct kwg_pending {
	char mesh[64], id[17];
	bool waits;		/* else it is held: what was before is in force, whatever the files say */
	bool due;		/* the time is over, but nobody has gone back yet */
	bool running;		/* its steps are not all done */
	int64_t left;		/* ms */
	int64_t since, until;	/* seconds since 1970 */
	unsigned seconds;	/* that were given */
	char keeper[128];	/* what goes back: "timer UNIT", "process PID"; or it is gone */
	bool keeper_lives;
	char reason[256];	/* of held */
};

/*
 * Of this mesh; NULL: of the only one. Takes no lock. KWG_ERR_USAGE if there is nothing, or if
 * there are several meshes and none is named, KWG_ERR_IO, KWG_ERR_NOMEM.
 */
KWG_API int kwg_pending_get(struct kwg_pending *out, const char *mesh, struct kwg_error *err);
/* The same of the mesh of cfg, whatever name it had. */
KWG_API int kwg_pending_of(struct kwg_pending *out, const struct kwg_config *cfg, struct kwg_error *err);

/*
 * Confirms what waits for it: it stays. id: of kwg_pending_get(), or NULL for any. Errors as
 * that, KWG_ERR_STOPPED if the time is over, KWG_ERR_LOCKED.
 */
KWG_API int kwg_confirm(const char *mesh, const char *id, const struct kwg_host_options *opt,
		struct kwg_error *err);

/*
 * What was in force before, with its node as that of [local]; *out is NULL if there was no mesh.
 * Secrets are those of then. Errors as kwg_pending_get(), KWG_ERR_CONFIG.
 */
KWG_API int kwg_restore_config(struct kwg_config **out, const char *mesh, struct kwg_error *err);

/* For who takes the place of a keeper: held until the process ends. KWG_ERR_LOCKED. */
KWG_API int kwg_keeper_begin(const char *id, struct kwg_error *err);
/* Right before that end: leaves nothing behind. */
KWG_API void kwg_keeper_end(const char *id);

/*
 * The configurations that were applied, the last one first, as lines or JSON. mesh: NULL: of
 * the only one. KWG_ERR_USAGE, KWG_ERR_IO, KWG_ERR_NOMEM.
 */
KWG_API int kwg_history(const char *mesh, bool json, char **out, size_t *len, struct kwg_error *err);
/* The difference of the plans of two of them, by their number in the list. */
KWG_API int kwg_history_diff(const char *mesh, unsigned a, unsigned b, char **out, size_t *len,
		     struct kwg_error *err);
/*
 * One of them, as kwg_restore_config(); n = 0: the last one before what is in force. Secrets that
 * stand in files are as they are there now. KWG_ERR_USAGE: there is none.
 */
KWG_API int kwg_history_config(struct kwg_config **out, const char *mesh, unsigned n,
		       const struct kwg_host_options *opt, struct kwg_error *err);

/*
 * Is target, an address or the name of a node or peer, reached through the mesh of this plan?
 * Finds out its address for kwg_probe(). KWG_ERR_USAGE.
 */
enum { KWG_ADDRESS_TEXT = 46 };
KWG_API int kwg_probe_address(const struct kwg_plan *plan, const char *target,
		      char out[KWG_ADDRESS_TEXT], struct kwg_error *err);
/*
 * Sends an echo request to each of n addresses through the mesh, and waits up to so many ms for
 * answers; answered[i] becomes true, and those that are already are not asked.
 * Returns how many are left, or an error.
 */
KWG_API int kwg_probe(const char *const *addresses, size_t n, bool *answered, unsigned ms,
	      struct kwg_error *err);

/* ---- looking at this host ------------------------------------------------ */

/*
 * Health of the mesh on this host, as text or JSON. *healthy becomes false if
 * packets do not get through, the interface is missing, or the host differs from
 * the plan; the text says why, and what helps. colour: ANSI sequences. now:
 * seconds since 1970. Takes up to 13 seconds if one look at WireGuard does not
 * tell; keeps what it saw in the folder of locks. Errors as kwg_steps_new().
 */
KWG_API int kwg_status(const struct kwg_plan *plan, const struct kwg_host_options *opt, int64_t now,
	       bool json, bool colour, bool *healthy, char **out, size_t *len,
	       struct kwg_error *err);

/*
 * The same as metrics: text for Prometheus, or that of OpenMetrics. What was kept of the last apply is
 * in there as far as the caller may read it. Neither this nor kwg_status() needs the private key.
 */
KWG_API int kwg_metrics(const struct kwg_plan *plan, const struct kwg_host_options *opt, int64_t now,
		bool openmetrics, char **out, size_t *len, struct kwg_error *err);

/*
 * Looks at this host for what stands in the way of a plan, and tells it in
 * lines, or as JSON: chains of others that drop what is forwarded, and whether
 * the firewall can be made that [local] firewall names. *fine becomes false if
 * there is anything. Changes nothing, and needs no interface and no key.
 * Of opt (may be NULL) only keep_reachable and client count. KWG_ERR_USAGE, KWG_ERR_KERNEL,
 * KWG_ERR_NOMEM.
 */
KWG_API int kwg_check_live(const struct kwg_plan *plan, const struct kwg_host_options *opt, bool json,
		   bool *fine, char **out, size_t *len, struct kwg_error *err);

/*
 * Does the kernel have WireGuard? Asks it, which makes no interface, but loads
 * the module if there is one. The answer goes to *has; the text, or JSON, says
 * who said what and what files suggest. KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
KWG_API int kwg_detect(bool json, bool *has, char **out, size_t *len, struct kwg_error *err);

/*
 * What a node should tell the others about itself, as text or JSON: from cfg,
 * the private key's file and the live interface. Changes nothing. node need not
 * be in cfg yet. KWG_ERR_CONFIG if cfg has errors, KWG_ERR_KERNEL, KWG_ERR_IO,
 * KWG_ERR_NOMEM.
 */
KWG_API int kwg_facts(const struct kwg_config *cfg, const char *node, bool json, char **out, size_t *len,
	      struct kwg_error *err);
/*
 * The [node] section of this node for the others' files. For a node that the files do not have, its addresses
 * are proposed, and what only people can decide is a comment. As kwg_facts() otherwise.
 */
KWG_API int kwg_facts_ini(const struct kwg_config *cfg, const char *node, char **out, size_t *len,
			  struct kwg_error *err);

/* ---- watching this host ------------------------------------------------ */

/*
 * Waits for changes of this host and of the files of a configuration, so that
 * somebody resident can repair what others take away. It only tells: looking
 * and repairing is the caller's, by kwg_steps_*, as in this round:
 *
 *     poll kwg_watch_fd(), then todo = kwg_watch_process()
 *     KWG_WATCH_READ: read the files again, kwg_watch_follow()
 *     kwg_steps_new() with read_only and no_lookup, kwg_watch_judge()
 *     KWG_WATCH_RUN, or KWG_WATCH_LOOK_UP: kwg_steps_new(), kwg_watch_judge(),
 *     kwg_steps_run(), kwg_watch_ran()
 *     whatever fails: kwg_watch_failed()
 *
 * What is undone again and again is let through less and less often, and while
 * nothing happens nothing wakes the caller.
 */
struct kwg_watch;

enum kwg_watch_todo {
	KWG_WATCH_NOTHING,
	KWG_WATCH_LOOK,		/* compare, without looking names up */
	KWG_WATCH_LOOK_UP,	/* the same with names, which may have other addresses by now */
	KWG_WATCH_READ,		/* the files have changed; and all of that */
};

enum kwg_watch_verdict {
	KWG_WATCH_FINE,		/* no steps: nothing differs */
	KWG_WATCH_RUN,		/* run them */
	KWG_WATCH_HELD,		/* not now: they did not last, or wait for somebody else */
};

/*
 * paths: n files and folders as for kwg_config_add_path(), which live as long;
 * none: those of kwg_config_add_default(). KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
KWG_API int kwg_watch_new(struct kwg_watch **out, const char *const *paths, size_t n,
		  struct kwg_error *err);
KWG_API void kwg_watch_free(struct kwg_watch *w);

/* Becomes readable when kwg_watch_process() is to be called. It stays the same. */
KWG_API int kwg_watch_fd(const struct kwg_watch *w);

/* From now on what this plan makes matters. plan need not live on. */
KWG_API void kwg_watch_follow(struct kwg_watch *w, const struct kwg_plan *plan);

/* What is to be done now. */
KWG_API enum kwg_watch_todo kwg_watch_process(struct kwg_watch *w);

/*
 * What has happened, and who did it as far as the kernel tells: one line, or "".
 * Until kwg_watch_ran(), or until a look finds nothing; lives until the next call.
 */
KWG_API const char *kwg_watch_reason(struct kwg_watch *w);

/* What to do with the steps of a look. */
KWG_API enum kwg_watch_verdict kwg_watch_judge(struct kwg_watch *w, const struct kwg_steps *steps);

/*
 * They were run, with this result. Returns for how many seconds the same ones
 * will be held back if they are due again.
 */
KWG_API unsigned kwg_watch_ran(struct kwg_watch *w, const struct kwg_steps *steps, int result);

/* kwg_steps_new() has failed with this error: it is to be tried again later. */
KWG_API void kwg_watch_failed(struct kwg_watch *w, int error);

/*
 * sd_notify(3): tells a service manager how it goes. socket_name: the value of
 * NOTIFY_SOCKET; NULL or "": nobody wants to know. state: "READY=1" and the like,
 * separated by newlines. KWG_ERR_IO.
 */
KWG_API int kwg_notify(const char *socket_name, const char *state, struct kwg_error *err);

/* ---- a WireGuard device without sockets -------------------------------- */

/*
 * Both kinds of objects below speak the WireGuard protocol and do nothing else:
 * no system call but for random numbers, no thread, no allocation for a packet
 * while there is a session.
 *
 * Time. now is in nanoseconds, of a clock that never goes back and goes on
 * while the host sleeps (CLOCK_BOOTTIME); wall in nanoseconds since 1970
 * (CLOCK_REALTIME).
 *
 * A packet is an IPv4 or IPv6 packet, from and for the inside of the tunnel; a
 * datagram is the payload of a UDP datagram outside.
 */

enum {
	KWG_HEADROOM = 16,	/* bytes that a datagram has before its packet */
	KWG_TAILROOM = 31,	/* and behind it, at most: padding and tag */
	KWG_OVERHEAD = KWG_HEADROOM + KWG_TAILROOM,
	KWG_PACKET_MAX = 65475,	/* what fits into a datagram over IPv4 */
	KWG_DATAGRAM_MIN = 148,	/* room for the longest message that holds no packet */
};

/* Where a datagram goes to or came from. */
struct kwg_endpoint {
	uint8_t family;		/* 4 or 6 */
	uint8_t addr[16];	/* network order; IPv4 in the first four bytes, the rest zero */
	uint16_t port;		/* host order */
	uint32_t scope;		/* interface index of a link-local IPv6 address, or 0 */
};

enum kwg_event {
	KWG_EVENT_INITIATION_SENT,
	KWG_EVENT_INITIATION_RECEIVED,
	KWG_EVENT_RESPONSE_SENT,
	KWG_EVENT_RESPONSE_RECEIVED,	/* a session has begun */
	KWG_EVENT_COOKIE_REPLY_SENT,	/* under load; public_key is NULL */
	KWG_EVENT_COOKIE_RECEIVED,
	KWG_EVENT_KEEPALIVE_SENT,
	KWG_EVENT_GAVE_UP,		/* 20 initiations without an answer */
	KWG_EVENT_KEYS_ERASED,		/* 9 minutes after the last session began */
	KWG_EVENT_PEER_ADDED,
	KWG_EVENT_PEER_REMOVED,
};

/*
 * Initialised with KWG_DEVICE_CALLBACKS_INIT. What a device calls, from inside the functions below and
 * in no other thread. These may not call functions of the same device. public_key: 32 bytes.
 */
struct kwg_device_callbacks {
	size_t size;
	void *arg;
	/* Send a datagram with this TOS or traffic class. */
	void (*send)(void *arg, const struct kwg_endpoint *to, const uint8_t *datagram, size_t len,
		     uint8_t tos);
	/* A packet of a peer for the host; it may be changed, and is gone afterwards. */
	void (*deliver)(void *arg, const uint8_t *public_key, uint8_t *packet, size_t len);
	/* len random bytes. NULL: the system's. */
	void (*random)(void *arg, void *out, size_t len);
	/* Tells what has happened with a peer. NULL: nobody listens. */
	void (*event)(void *arg, const uint8_t *public_key, enum kwg_event event);
	/*
	 * Bring the socket to this port, 0: any one. Returns 0 or an errno. NULL: a
	 * configured port is only remembered.
	 */
	int (*listen)(void *arg, uint16_t port);
	/* The index of an interface, for a link-local endpoint; 0: there is none. NULL: if_nametoindex(3). */
	uint32_t (*scope)(void *arg, const char *name);
	/*
	 * Zeroed memory for what holds keys, such as locked pages, and its way back; it is wiped by
	 * then. Both NULL: of the heap.
	 */
	void *(*alloc)(void *arg, size_t size);
	void (*release)(void *arg, void *p, size_t size);
};

#define KWG_DEVICE_CALLBACKS_INIT { .size = sizeof(struct kwg_device_callbacks) }

/* What became of a packet or datagram. */
enum kwg_verdict {
	KWG_SENT,		/* a packet: went out */
	KWG_WAITS,		/* a packet: kept until there is a session; a handshake is under way */
	KWG_DELIVERED,		/* a datagram: its packet was delivered */
	KWG_CONSUMED,		/* a datagram: a handshake message or keepalive */
	KWG_DROPPED_NO_PEER,	/* a packet: its destination is no peer's allowed IP */
	KWG_DROPPED_NO_ENDPOINT,	/* a packet: the peer has no endpoint */
	KWG_DROPPED_LENGTH,	/* a packet: longer than KWG_PACKET_MAX */
	KWG_DROPPED_NO_PACKET,	/* a packet: it is none, neither IPv4 nor IPv6, or cut short */
	KWG_DROPPED_INVALID,	/* a datagram: not for us, not authentic, seen before */
	KWG_DROPPED_CONTENT,	/* a datagram: its packet is none, or has a source not allowed */
	KWG_DROPPED_DOWN,	/* the device is down */
};

struct kwg_device;

/*
 * A device without key and peers; it is up. KWG_ERR_USAGE (callbacks have no size, or send or deliver
 * is missing), KWG_ERR_NOMEM, KWG_ERR_IO (no randomness).
 */
KWG_API int kwg_device_new(struct kwg_device **out, const struct kwg_device_callbacks *callbacks,
		   struct kwg_error *err);
/* Wipes all keys. */
KWG_API void kwg_device_free(struct kwg_device *dev);

/*
 * Configures: request is text of the WireGuard userspace API, from "set=1" to
 * the empty line. KWG_ERR_CONFIG if it is not valid (nothing is changed; err names line and key) and
 * KWG_ERR_KERNEL if it cannot be carried out to the end; sys_errno is the errno
 * that a client of the API is told. Sends what the change makes due.
 */
KWG_API int kwg_device_set(struct kwg_device *dev, const char *request, size_t len, uint64_t now,
		   uint64_t wall, struct kwg_error *err);
/* The answer to "get=1", "errno=0" and empty line included. It holds keys. KWG_ERR_NOMEM. */
KWG_API int kwg_device_get(const struct kwg_device *dev, char **out, size_t *len, struct kwg_error *err);

/* The private key; all zero: none, and nothing is sent or taken. KWG_ERR_NOMEM. */
KWG_API int kwg_device_set_private_key(struct kwg_device *dev, const uint8_t key[KWG_KEY_LEN],
				       uint64_t now, uint64_t wall, struct kwg_error *err);

/* A network; host bits do not count. */
struct kwg_network {
	uint8_t family;		/* 4 or 6 */
	uint8_t addr[16];	/* network order; IPv4 in the first four bytes */
	uint8_t bits;		/* length of its prefix: up to 32, or 128 */
};

/* What is to change of a peer; initialised with KWG_PEER_INIT, which changes nothing. */
struct kwg_peer {
	size_t size;
	uint8_t public_key[KWG_KEY_LEN];
	const uint8_t *psk;	/* NULL: as it is; KWG_KEY_LEN bytes, all zero: none */
	const struct kwg_endpoint *endpoint;	/* NULL: as it is */
	int keepalive;		/* seconds between persistent keepalives, up to 65535; 0: none; -1: as it is */
	bool replace_allowed_ips;	/* those that it has go first */
	bool update_only;	/* a peer that is not there is not added */
	const struct kwg_network *allowed_ips;	/* n_allowed_ips that it gets, whoever had them */
	size_t n_allowed_ips;
};

#define KWG_PEER_INIT { .size = sizeof(struct kwg_peer), .keepalive = -1 }

/*
 * Adds a peer, or changes it. One with the device's own key is not added. KWG_ERR_USAGE for a value that
 * cannot be (nothing is changed then), KWG_ERR_NOMEM, KWG_ERR_KERNEL as kwg_device_set().
 */
KWG_API int kwg_device_set_peer(struct kwg_device *dev, const struct kwg_peer *peer, uint64_t now,
				uint64_t wall, struct kwg_error *err);
/* False: there was none. */
KWG_API bool kwg_device_remove_peer(struct kwg_device *dev, const uint8_t public_key[KWG_KEY_LEN],
				    uint64_t now, uint64_t wall);

/* A peer as it is. No secret is in it. */
struct kwg_peer_state {
	uint8_t public_key[KWG_KEY_LEN];
	bool has_psk, has_session;
	struct kwg_endpoint endpoint;	/* family 0: unknown */
	uint64_t last_handshake;	/* ns since 1970; 0: never */
	uint64_t tx_bytes, rx_bytes;	/* of datagrams */
	uint16_t keepalive;		/* seconds, 0: none */
	uint32_t n_allowed_ips;
	uint32_t n_waiting;		/* packets that wait for a session */
};

/* False: there is no such peer. */
KWG_API bool kwg_device_peer(const struct kwg_device *dev, const uint8_t public_key[KWG_KEY_LEN],
			     uint64_t now, struct kwg_peer_state *out);
/*
 * The next one, in the order in which they were added; after: a public key, or NULL for the first.
 * False: it was the last, or is gone. Takes the same time however many there are.
 */
KWG_API bool kwg_device_next_peer(const struct kwg_device *dev, const uint8_t *after, uint64_t now,
				  struct kwg_peer_state *out);
/* Writes up to max of its allowed IPs and returns how many there are. */
KWG_API size_t kwg_device_allowed_ips(const struct kwg_device *dev,
				      const uint8_t public_key[KWG_KEY_LEN],
				      struct kwg_network *out, size_t max);

/* Down: sessions end, nothing is sent or taken. Up: all begins anew. */
KWG_API void kwg_device_set_up(struct kwg_device *dev, bool up, uint64_t now, uint64_t wall);
/*
 * For a host that sleeps, or an app in the background. Suspended, a device has neither sessions nor
 * anything due, and sends and takes nothing; peers, their keys and endpoints stay. Resumed, it sends an
 * initiation at once to each peer that had a session. now has to count the time in between; wall
 * may be anything. The second is kwg_device_tick() as well, and returns what that does.
 */
KWG_API void kwg_device_suspend(struct kwg_device *dev);
KWG_API uint64_t kwg_device_resume(struct kwg_device *dev, uint64_t now, uint64_t wall);
/* Padding makes no packet longer than this; 1420 at first. */
KWG_API void kwg_device_set_mtu(struct kwg_device *dev, uint32_t mtu);

/* A packet of the host. */
KWG_API enum kwg_verdict kwg_device_write(struct kwg_device *dev, const void *packet, size_t len,
				  uint64_t now, uint64_t wall);
/*
 * The same without a copy: there are KWG_HEADROOM bytes before packet and
 * KWG_TAILROOM behind it, and all of it is overwritten.
 */
KWG_API enum kwg_verdict kwg_device_write_in_place(struct kwg_device *dev, void *packet, size_t len,
					   uint64_t now, uint64_t wall);
/* A datagram of the network; tos: of its IP header, for ECN, or 0. */
KWG_API enum kwg_verdict kwg_device_read(struct kwg_device *dev, const struct kwg_endpoint *from,
				 const void *datagram, size_t len, uint8_t tos, uint64_t now,
				 uint64_t wall);
/* The same without a copy: the datagram is overwritten. */
KWG_API enum kwg_verdict kwg_device_read_in_place(struct kwg_device *dev, const struct kwg_endpoint *from,
					  void *datagram, size_t len, uint8_t tos, uint64_t now,
					  uint64_t wall);
/*
 * Does what is due. Returns the time at which to call it again, UINT64_MAX for
 * never; any other function may bring that forward, so ask again after it.
 */
KWG_API uint64_t kwg_device_tick(struct kwg_device *dev, uint64_t now, uint64_t wall);

/* ---- a tunnel to one peer ------------------------------------------------ */

struct kwg_tunnel;

/* What to do with *out. */
enum kwg_tunnel_op {
	KWG_TUNNEL_DONE,	/* nothing; if *out_len is not 0, so much room is needed for what waits */
	KWG_TUNNEL_SEND,	/* it is a datagram: send it to the peer */
	KWG_TUNNEL_DELIVER,	/* it is a packet: hand it to the host */
	KWG_TUNNEL_DROPPED,	/* nothing: the input was not valid, or out too small */
	KWG_TUNNEL_KEPT,	/* nothing: the packet waits for a session */
};

struct kwg_tunnel_stats {
	uint64_t last_handshake;	/* ns since 1970; 0: never */
	uint64_t tx_bytes, rx_bytes;	/* of datagrams */
	bool has_session;		/* packets go out at once */
	uint32_t n_waiting;		/* packets that wait for a session */
};

/*
 * A tunnel, of a few KB. Keys are base64 or hex; psk may be NULL. keepalive: seconds between
 * persistent keepalives, at most 65535, 0: none. Every source and destination
 * is the peer's; where its datagrams come from is the caller's to check and to
 * follow. KWG_ERR_USAGE for a key that is none, KWG_ERR_NOMEM, KWG_ERR_IO.
 */
KWG_API int kwg_tunnel_new(struct kwg_tunnel **out, const char *private_key, const char *peer_public_key,
		   const char *psk, unsigned keepalive, uint64_t now, uint64_t wall,
		   struct kwg_error *err);
/* Wipes all keys. */
KWG_API void kwg_tunnel_free(struct kwg_tunnel *t);

/*
 * Called with what happens from now on, from inside of the functions below; it may not call those of the
 * same tunnel. NULL: nobody listens.
 */
KWG_API void kwg_tunnel_on_event(struct kwg_tunnel *t, void (*event)(void *arg, enum kwg_event event),
				 void *arg);
/*
 * Many tunnels behind one socket: the first `bits` bits (1 to 24) of the index that a datagram from the
 * peer begins with are those of `prefix` from now on: (kwg_datagram_index(d, len) >> (32 - bits)) finds
 * the tunnel of a datagram. To be called before the first handshake: KWG_ERR_USAGE.
 */
KWG_API int kwg_tunnel_set_index_prefix(struct kwg_tunnel *t, uint32_t prefix, unsigned bits,
					struct kwg_error *err);
/*
 * The index of the receiver of a datagram; 0 for an initiation, which has none, and for what is no
 * datagram of WireGuard. No tunnel with a prefix has the index 0.
 */
KWG_API uint32_t kwg_datagram_index(const void *datagram, size_t len);
/*
 * Whose initiation this is, by any tunnel with the private key that it is for. False if it is none, or
 * for another key. It costs a Diffie-Hellman, changes nothing, and proves nothing: an old one may have
 * been sent again, which the tunnel of that peer finds out in kwg_tunnel_read().
 */
KWG_API bool kwg_tunnel_sender(const struct kwg_tunnel *t, const void *datagram, size_t len,
			       uint8_t public_key[KWG_KEY_LEN]);
/* Another preshared key, from the next handshake on; NULL: none. KWG_ERR_USAGE. */
KWG_API int kwg_tunnel_set_psk(struct kwg_tunnel *t, const char *psk, struct kwg_error *err);
/* Another interval of persistent keepalives. What is due is sent by kwg_tunnel_tick(). KWG_ERR_USAGE. */
KWG_API int kwg_tunnel_set_keepalive(struct kwg_tunnel *t, unsigned keepalive, uint64_t now,
				     uint64_t wall, struct kwg_error *err);
/* The TOS or traffic class that the datagram of the last KWG_TUNNEL_SEND should have (ECN, AF41). */
KWG_API uint8_t kwg_tunnel_tos(const struct kwg_tunnel *t);
/* That of the datagram that the next kwg_tunnel_read() gets; 0 if never called. */
KWG_API void kwg_tunnel_set_read_tos(struct kwg_tunnel *t, uint8_t tos);

/*
 * These write to out, of *out_len bytes, and set *out_len. out has room for
 * len + KWG_OVERHEAD bytes (a packet), len (a datagram), and never less than
 * KWG_DATAGRAM_MIN. One call may leave more to be sent behind: call
 * kwg_tunnel_read() with len 0 until it returns KWG_TUNNEL_DONE. A datagram for which out is too
 * small is not lost: KWG_TUNNEL_DONE comes with the *out_len that it needs, at most
 * KWG_PACKET_MAX + KWG_OVERHEAD, and a later call with so much room has it. Packets that waited for
 * a session are such datagrams, whatever call it is that the session comes with.
 */

/* A packet of the host: seals it, or keeps it (KWG_TUNNEL_KEPT) and begins a handshake. */
KWG_API enum kwg_tunnel_op kwg_tunnel_write(struct kwg_tunnel *t, const void *packet, size_t len,
				    void *out, size_t *out_len, uint64_t now, uint64_t wall);
/* A datagram of the peer; len 0: only asks for what is left to be sent. */
KWG_API enum kwg_tunnel_op kwg_tunnel_read(struct kwg_tunnel *t, const void *datagram, size_t len,
				   void *out, size_t *out_len, uint64_t now, uint64_t wall);
/* To be called at the time that kwg_tunnel_deadline() tells; again until it is done. */
KWG_API enum kwg_tunnel_op kwg_tunnel_tick(struct kwg_tunnel *t, void *out, size_t *out_len, uint64_t now,
				   uint64_t wall);
/* Begins a handshake now, however short ago the last one was. */
KWG_API enum kwg_tunnel_op kwg_tunnel_handshake(struct kwg_tunnel *t, void *out, size_t *out_len,
					uint64_t now, uint64_t wall);

/*
 * As kwg_device_suspend() and kwg_device_resume(). What was left to be sent is forgotten. Suspended,
 * kwg_tunnel_write() drops packets. The second writes an initiation to out if there was a session.
 */
KWG_API void kwg_tunnel_suspend(struct kwg_tunnel *t);
KWG_API enum kwg_tunnel_op kwg_tunnel_resume(struct kwg_tunnel *t, void *out, size_t *out_len, uint64_t now,
				     uint64_t wall);

/*
 * Without a copy: *out points into the caller's buffer, or into the tunnel until
 * its next call. Packets have KWG_HEADROOM bytes before and KWG_TAILROOM behind
 * them; all of that is overwritten, as datagrams are.
 */
KWG_API enum kwg_tunnel_op kwg_tunnel_write_in_place(struct kwg_tunnel *t, void *packet, size_t len,
					     uint8_t **out, size_t *out_len, uint64_t now,
					     uint64_t wall);
KWG_API enum kwg_tunnel_op kwg_tunnel_read_in_place(struct kwg_tunnel *t, void *datagram, size_t len,
					    uint8_t **out, size_t *out_len, uint64_t now,
					    uint64_t wall);

/* When kwg_tunnel_tick() is due; UINT64_MAX: never. Any other function may change it. */
KWG_API uint64_t kwg_tunnel_deadline(const struct kwg_tunnel *t);
KWG_API void kwg_tunnel_stats(const struct kwg_tunnel *t, uint64_t now, struct kwg_tunnel_stats *out);

/* ---- a userspace WireGuard --------------------------------------------- */

enum {
	/* Offloads to do without, for kernels and drivers whose are broken. */
	KWG_WITHOUT_TSO = 1 << 0,	/* large packets from and to the TUN device */
	KWG_WITHOUT_USO = 1 << 1,	/* the same for UDP only */
	KWG_WITHOUT_GSO = 1 << 2,	/* bursts of datagrams, when sending */
	KWG_WITHOUT_GRO = 1 << 3,	/* and when receiving */
	KWG_WITHOUT_AIO = 1 << 4,	/* many packets to the TUN device with one system call */
};

/* Initialised with KWG_USERSPACE_OPTIONS_INIT. */
struct kwg_userspace_options {
	size_t size;
	const char *ifname;	/* 1 to 15 bytes */
	const char *socket_dir;	/* of the configuration socket; NULL: /var/run/wireguard */
	int tun_fd, uapi_fd;	/* -1, or made by somebody else */
	int stop_fd;		/* -1, or: end when it becomes readable, e.g. a signalfd */
	const char *notify_socket;	/* NULL, or of a service manager: sd_notify(3) */
	const char *aead;	/* NULL: the fastest; "sodium", "avx2", "avx512" */
	unsigned workers;	/* threads that move packets, the caller's included; 0: by processors, 1 to 4 */
	unsigned without;	/* KWG_WITHOUT_* */
	/*
	 * Go on where a predecessor was, with its interface, sockets and sessions: the running one on
	 * that socket, if there is one, is asked for them (replace), or they are among the kept_fds
	 * descriptors from 3 on that a service manager has kept, with these names (LISTEN_FDS and
	 * LISTEN_FDNAMES of sd_listen_fds(3)). All other options but workers count as always.
	 */
	bool replace;
	unsigned kept_fds;
	const char *kept_names;
	/* For a successor: answer who asks; let the manager keep all when stop_fd is readable. */
	bool hands_over, keeps;
	bool sandbox;		/* give up what is not needed: for a process of its own */
	bool verbose;		/* also log what is no error */
	/* Called with one line, without a newline; NULL: silent. */
	void (*log)(void *arg, bool error, const char *line);
	/* Called once when the socket answers; may be NULL. */
	void (*ready)(void *arg);
	/*
	 * Called by a thread that runs for this, once, if the data plane has not answered on its
	 * socket for watchdog seconds (0 or NULL: nobody looks). It does not go on by itself; a
	 * process of its own should end.
	 */
	void (*hung)(void *arg);
	unsigned watchdog;
	void *arg;		/* of all three */
};

#define KWG_USERSPACE_OPTIONS_INIT \
	{ .size = sizeof(struct kwg_userspace_options), .tun_fd = -1, .uapi_fd = -1, .stop_fd = -1 }

/*
 * Makes the TUN device and its configuration socket, and runs WireGuard on
 * them until stop_fd is readable, the link is deleted, or the socket is
 * removed: then 0. Device, socket and all keys are gone on return. Ignore
 * SIGPIPE before. KWG_ERR_USAGE (a name or cipher that cannot be),
 * KWG_ERR_KERNEL, KWG_ERR_NOMEM.
 */
KWG_API int kwg_userspace_run(const struct kwg_userspace_options *o, struct kwg_error *err);

#ifdef __cplusplus
}
#endif

#endif
