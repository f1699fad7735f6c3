/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* The file that tells the CNI plugins of this host the networks of its pods. */
#ifndef KWGI_CNI_H
#define KWGI_CNI_H

#include "kilowg.h"
#include "steps/desired.h"
#include "steps/step.h"

/*
 * Reads the file and fills *f with what it should hold; f->text stays NULL if
 * that is what it holds. mtu: for a file that is new. to_write: fail here, and not
 * in the middle of an apply, if it cannot be written. path and pods live as long
 * as f. KWG_ERR_CONFIG (its content, a symbolic link, not built in), KWG_ERR_IO,
 * KWG_ERR_NOMEM. kwgi_cni_free() is due in any case.
 */
int kwgi_cni_prepare(struct kwgi_cni_file *f, const char *path, const struct kwgi_cidrs *pods,
		     uint32_t mtu, bool to_write, struct kwg_error *err);
void kwgi_cni_free(struct kwgi_cni_file *f);

/*
 * Carries out or undoes a step KWGI_STEP_CNI. The file is replaced as a whole,
 * with its mode and owner; readers see the old one or the new. KWG_ERR_IO, also
 * if somebody has changed it since kwgi_cni_prepare().
 */
int kwgi_cni_step(const struct kwgi_step *s, bool undo, struct kwg_error *err);

/* Removes what a crash left beside the file. */
void kwgi_cni_tidy(const char *path);

#endif
