/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * DIR/MESH.down says that the mesh was taken down: what units and programs do by themselves must
 * not bring it back, until somebody asks for it or the host starts anew.
 */
#ifndef KWGI_DOWNMARK_H
#define KWGI_DOWNMARK_H

#include "config/config.h"

/* KWG_ERR_IO. */
int kwgi_downmark_set(const char *dir, const char *mesh, struct kwg_error *err);
void kwgi_downmark_clear(const char *dir, const char *mesh);
bool kwgi_downmark_is_set(const char *dir, const char *mesh);

#endif
