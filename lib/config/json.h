/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* JSON writer (RFC 8259): commas, indentation and escapes are its business. */
#ifndef KWGI_JSON_H
#define KWGI_JSON_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/key.h"

struct kwgi_json {
	struct kwgi_buf *b;
	unsigned depth;
	bool more;	/* the open object or array has an element already */
};

/* key: the name inside an object, NULL inside an array or at the top. */
void kwgi_json_object(struct kwgi_json *j, const char *key);
void kwgi_json_end_object(struct kwgi_json *j);
void kwgi_json_array(struct kwgi_json *j, const char *key);
void kwgi_json_end_array(struct kwgi_json *j);
void kwgi_json_string(struct kwgi_json *j, const char *key, const char *s);	/* NULL: null */
void kwgi_json_uint(struct kwgi_json *j, const char *key, uint64_t n);
void kwgi_json_int(struct kwgi_json *j, const char *key, int64_t n);
void kwgi_json_bool(struct kwgi_json *j, const char *key, bool v);
void kwgi_json_null(struct kwgi_json *j, const char *key);
/* Of no family or port, respectively: null. */
void kwgi_json_addr(struct kwgi_json *j, const char *key, const struct kwgi_addr *a);
void kwgi_json_prefix(struct kwgi_json *j, const char *key, const struct kwgi_prefix *p);
void kwgi_json_endpoint(struct kwgi_json *j, const char *key, const struct kwgi_endpoint *e);
/* All zero: null. For public keys only. */
void kwgi_json_key(struct kwgi_json *j, const char *key, const struct kwgi_key *k);

#endif
