/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* One netlink socket: request and answer, dump and its parts. */
#ifndef KWGI_MNL_H
#define KWGI_MNL_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "kilowg.h"

enum {
	/* Largest message of our own; wireguard peers with long lists are split to fit. */
	KWGI_NL_MESSAGE = 32 * 1024,
	KWGI_NL_RECEIVE = 64 * 1024,
};

/* As libmnl's loops of this name, which do not compile without conversion warnings. */
#define kwgi_attr_for_each(attr, nlh, offset)						\
	for ((attr) = mnl_nlmsg_get_payload_offset((nlh), (offset));			\
	     mnl_attr_ok((attr), (int)((char *)mnl_nlmsg_get_payload_tail(nlh) -	\
				       (const char *)(attr)));				\
	     (attr) = mnl_attr_next(attr))
#define kwgi_attr_for_each_nested(attr, nest)						\
	for ((attr) = mnl_attr_get_payload(nest);					\
	     mnl_attr_ok((attr), (int)((const char *)mnl_attr_get_payload(nest) +	\
				       mnl_attr_get_payload_len(nest) -		\
				       (const char *)(attr)));				\
	     (attr) = mnl_attr_next(attr))

/* Bytes from a message to the next. */
static inline uint32_t kwgi_nl_aligned(const struct nlmsghdr *nlh)
{
	return (nlh->nlmsg_len + NLMSG_ALIGNTO - 1) & ~(NLMSG_ALIGNTO - 1u);
}

struct kwgi_nl {
	struct mnl_socket *sock;
	uint32_t seq, portid;
	char *in, *out;		/* buffers: an answer, the message being built */
	unsigned mutations;	/* requests that change something */
	struct nlmsghdr *last;	/* of many, in out */
	uint32_t n_many;
	int bus;
	bool broken;		/* an answer was lost: the next request has a socket of its own */
};

/* bus: NETLINK_ROUTE or NETLINK_GENERIC. KWG_ERR_KERNEL, KWG_ERR_NOMEM. */
int kwgi_nl_open(struct kwgi_nl *nl, int bus, struct kwg_error *err);
/* Wipes the buffers: keys pass through them. */
void kwgi_nl_close(struct kwgi_nl *nl);

/* Begins a message in nl->out; the caller adds header and attributes. */
struct nlmsghdr *kwgi_nl_begin(struct kwgi_nl *nl, uint16_t type, uint16_t flags);

/*
 * What a request returns whose answer was not received (ENOBUFS, say, when the kernel has no
 * memory for it): nobody knows whether it was carried out. Less than any enum kwg_result.
 */
enum { KWGI_IN_DOUBT = -1000 };

/*
 * Sends it and waits for the acknowledgement. An error becomes "what: the
 * error (the kernel's own words)", KWG_ERR_KERNEL or KWGI_IN_DOUBT, sys_errno.
 */
int kwgi_nl_request(struct kwgi_nl *nl, struct nlmsghdr *nlh, const char *what,
		    struct kwg_error *err);

/* Sends a request that changes nothing and gives the one answer to cb. */
int kwgi_nl_ask(struct kwgi_nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg,
		const char *what, struct kwg_error *err);

/*
 * Many such requests in one system call, each of which is answered by one message or an error:
 * begin, add as many as KWGI_NL_MESSAGE bytes take, ask. The ith answer, from 0, goes to cb, as it
 * comes, with the errno that stands instead of it. KWG_ERR_KERNEL, also if not all answers came:
 * then the socket is another one.
 */
typedef void kwgi_nl_many_cb(const struct nlmsghdr *nlh, uint32_t i, int sys_errno, void *arg);
void kwgi_nl_begin_many(struct kwgi_nl *nl);
struct nlmsghdr *kwgi_nl_add(struct kwgi_nl *nl, uint16_t type);
int kwgi_nl_ask_many(struct kwgi_nl *nl, kwgi_nl_many_cb *cb, void *arg, const char *what,
		     struct kwg_error *err);

/*
 * Sends a dump request and gives each part to cb. If the kernel says that
 * what it listed has changed meanwhile, or part of it was lost, KWGI_NL_AGAIN:
 * drop what came, ask again.
 */
enum { KWGI_NL_AGAIN = 1 };
int kwgi_nl_dump(struct kwgi_nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg,
		 const char *what, struct kwg_error *err);

/*
 * Sends many messages at once and waits for the first error, or for the
 * acknowledgement that one of them asks for. All get one sequence number.
 * After an error the next request opens another socket: more answers may follow.
 */
int kwgi_nl_batch(struct kwgi_nl *nl, void *messages, size_t size, const char *what,
		  struct kwg_error *err);

#endif
