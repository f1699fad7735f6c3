/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Does the kernel have WireGuard? What it says itself, and what files suggest. */
#ifndef KWGI_DETECT_H
#define KWGI_DETECT_H

#include <stdbool.h>

#include "base/buf.h"
#include "kilowg.h"

enum kwgi_answer {
	KWGI_ANSWER_NO,
	KWGI_ANSWER_YES,
	KWGI_ANSWER_DENIED,	/* the privilege to ask is missing */
	KWGI_ANSWER_UNCLEAR,	/* something else stood in the way */
};

/* Hints only: a file may be there without a module that loads, and the reverse. */
struct kwgi_module_hints {
	bool loaded;		/* /proc/modules */
	bool builtin;		/* modules.builtin of the running kernel */
	bool loadable;		/* modules.dep of the running kernel */
};

struct kwgi_detection {
	enum kwgi_answer genl;	/* the generic netlink family "wireguard" */
	enum kwgi_answer link;	/* a link of the kind "wireguard" */
	struct kwgi_module_hints hints;
};

/*
 * Asks. Nothing is made, but the kernel loads the module if it has one.
 * KWG_ERR_KERNEL if there is no netlink, KWG_ERR_NOMEM.
 */
int kwgi_detect(struct kwgi_detection *d, struct kwg_error *err);

/* What the kernel said: one yes is enough, since each comes from WireGuard itself. */
bool kwgi_detection_has(const struct kwgi_detection *d);

/* root: "" or a folder that stands for /. release: as uname -r says. */
void kwgi_detect_hints(struct kwgi_module_hints *h, const char *root, const char *release);

void kwgi_detection_text(const struct kwgi_detection *d, struct kwgi_buf *b);
void kwgi_detection_json(const struct kwgi_detection *d, struct kwgi_buf *b);

#endif
