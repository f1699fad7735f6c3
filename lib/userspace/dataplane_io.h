/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What the device asks of its surroundings, and they of it: log, sockets, link, configuration. */
#ifndef KWGI_DATAPLANE_IO_H
#define KWGI_DATAPLANE_IO_H

#include <stddef.h>

#include "userspace/worker.h"

struct kwgi_device_io kwgi_dataplane_io(struct kwgi_dataplane *p);

void kwgi_dataplane_close_sockets(struct kwgi_dataplane *p);
/* Takes all locks; at former_at: closes the port before, or waits on if it was used. */
void kwgi_dataplane_former_due(struct kwgi_worker *w, uint64_t now);
/* Each worker waits for what comes to its sockets. KWG_ERR_KERNEL. */
int kwgi_dataplane_watch_sockets(struct kwgi_dataplane *p, struct kwg_error *err);

/* Each takes all locks. Up, down, another MTU, deleted: brings the device to the link's state. */
void kwgi_dataplane_link_changed(struct kwgi_worker *w);
/* Answers a request to the socket, for struct kwgi_uapi_server_options; arg is the data plane. */
int kwgi_dataplane_request(void *arg, const char *request, size_t len, struct kwgi_buf *answer);

#endif
