/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#ifndef KWGI_GRAPH_H
#define KWGI_GRAPH_H

#include "config/config.h"

/* The mesh in Graphviz' DOT. */
void kwgi_graph_dot(const struct kwg_config *cfg, struct kwgi_buf *b);
/* graph_mermaid.c */
void kwgi_graph_mermaid(const struct kwg_config *cfg, struct kwgi_buf *b);
/* graph_svg.c: 0 or -1. */
int kwgi_graph_svg(const struct kwg_config *cfg, struct kwgi_buf *b);

#endif
