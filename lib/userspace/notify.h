/* SPDX-License-Identifier: ISC */
/* sd_notify(3): tells a service manager how it goes. */
#ifndef KWGI_NOTIFY_H
#define KWGI_NOTIFY_H

/*
 * socket_name: the value of NOTIFY_SOCKET ("/path" or "@abstract"), NULL or "":
 * nobody wants to know. state: "READY=1", "STOPPING=1", "STATUS=...", lines of them. Returns
 * 0, also if nobody wants to know, or an errno.
 */
int kwgi_notify(const char *socket_name, const char *state);

#endif
