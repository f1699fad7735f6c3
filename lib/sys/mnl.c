/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <sodium.h>

#include "base/error.h"
#include "sys/errtext.h"
#include "sys/mnl.h"

static void set_options(struct mnl_socket *sock)
{
	int on = 1, size = 4 * 1024 * 1024;

	/* All of them are optional: an older kernel only tells less. */
	(void)mnl_socket_setsockopt(sock, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(sock, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(sock, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	(void)setsockopt(mnl_socket_get_fd(sock), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int open_socket(struct kwgi_nl *nl, struct kwg_error *err)
{
	int e;

	nl->sock = mnl_socket_open2(nl->bus, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		e = errno;
		if (nl->sock)
			mnl_socket_close(nl->sock);
		nl->sock = NULL;
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "opening a netlink socket: %s",
				 kwgi_errtext(e));
	}
	set_options(nl->sock);
	nl->portid = mnl_socket_get_portid(nl->sock);
	nl->broken = false;
	return 0;
}

int kwgi_nl_open(struct kwgi_nl *nl, int bus, struct kwg_error *err)
{
	int ret;

	*nl = (struct kwgi_nl){ .bus = bus };
	nl->in = malloc(KWGI_NL_RECEIVE);
	nl->out = malloc(KWGI_NL_MESSAGE);
	ret = nl->in && nl->out ? open_socket(nl, err) : kwgi_nomem(err);
	if (ret)
		kwgi_nl_close(nl);
	return ret;
}

/* What comes on the old socket after an answer was lost is not what is waited for. */
static int mend(struct kwgi_nl *nl, struct kwg_error *err)
{
	if (!nl->broken)
		return 0;
	if (nl->sock)
		mnl_socket_close(nl->sock);
	return open_socket(nl, err);
}

void kwgi_nl_close(struct kwgi_nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	if (nl->in)
		sodium_memzero(nl->in, KWGI_NL_RECEIVE);
	if (nl->out)
		sodium_memzero(nl->out, KWGI_NL_MESSAGE);
	free(nl->in);
	free(nl->out);
	*nl = (struct kwgi_nl){ 0 };
}

struct nlmsghdr *kwgi_nl_begin(struct kwgi_nl *nl, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;

	/* libmnl does not zero what it aligns, and old keys may be there. */
	memset(nl->out, 0, KWGI_NL_MESSAGE);
	nlh = mnl_nlmsg_put_header(nl->out);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++nl->seq;
	return nlh;
}

/* ---- answers --------------------------------------------------------- */

struct answer {
	mnl_cb_t cb;
	void *arg;
	int error;		/* errno that the kernel answered with */
	const char *words;	/* its extended ack, into the buffer */
};

/* linux/netlink.h: after the error come the request's header and, with a flag, attributes. */
static const char *extended_ack(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*e);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += mnl_nlmsg_get_payload_len(&e->msg);
	kwgi_attr_for_each(attr, nlh, skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			return mnl_attr_get_str(attr);
	return NULL;
}

static int on_error(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	struct answer *a = arg;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e)) {
		a->error = EBADMSG;
		return MNL_CB_ERROR;
	}
	if (!e->error)
		return MNL_CB_STOP;
	a->error = kwgi_errno_said(e->error);
	a->words = extended_ack(nlh);
	if (a->error == EPERM && !a->words)
		a->words = "CAP_NET_ADMIN is missing";
	return MNL_CB_ERROR;
}

/* The end of a dump carries an error, too. */
static int on_done(const struct nlmsghdr *nlh, void *arg)
{
	struct answer *a = arg;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(int)) {
		int e = *(const int *)mnl_nlmsg_get_payload(nlh);

		if (e < 0) {
			a->error = kwgi_errno_said(e);
			return MNL_CB_ERROR;
		}
	}
	return MNL_CB_STOP;
}

static int on_data(const struct nlmsghdr *nlh, void *arg)
{
	struct answer *a = arg;

	return a->cb ? a->cb(nlh, a->arg) : MNL_CB_OK;
}

static int fail(struct kwg_error *err, const char *what, int e, const char *words)
{
	if (words)
		return kwgi_fail(err, KWG_ERR_KERNEL, e, "%.300s: %s (%.150s)", what,
				 kwgi_errtext(e), words);
	return kwgi_fail(err, KWG_ERR_KERNEL, e, "%.300s: %s", what, kwgi_errtext(e));
}

/* What was asked for may have been carried out all the same. */
static int fail_without_answer(struct kwgi_nl *nl, struct kwg_error *err, const char *what, int e)
{
	nl->broken = true;
	return fail(err, what, e, "the answer was lost");
}

static bool has_end(const char *buf, int n)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)buf;

	for (; mnl_nlmsg_ok(nlh, n); nlh = mnl_nlmsg_next(nlh, &n))
		if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
			return true;
	return false;
}

static ssize_t receive_some(struct kwgi_nl *nl)
{
	ssize_t n;

	do
		n = mnl_socket_recvfrom(nl->sock, nl->in, KWGI_NL_RECEIVE);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Reads on to the end of a dump that is given up, so that its rest meets no later request. */
static void drain(struct kwgi_nl *nl, ssize_t n)
{
	while (n >= 0 && !has_end(nl->in, (int)n))
		n = receive_some(nl);
}

static int receive(struct kwgi_nl *nl, struct answer *a, const char *what, struct kwg_error *err)
{
	mnl_cb_t control[NLMSG_MIN_TYPE] = {
		[NLMSG_ERROR] = on_error, [NLMSG_DONE] = on_done,
	};
	ssize_t n;
	int ret;

	do {
		n = receive_some(nl);
		if (n < 0)
			return fail_without_answer(nl, err, what, errno);
		errno = 0;
		ret = mnl_cb_run2(nl->in, (size_t)n, nl->seq, nl->portid, on_data, a, control,
				  NLMSG_MIN_TYPE);
	} while (ret > MNL_CB_STOP);
	if (ret == MNL_CB_STOP)
		return 0;
	if (a->error)
		return fail(err, what, a->error, a->words);
	/* libmnl: the dump was inconsistent (NLM_F_DUMP_INTR). */
	if (errno == EINTR) {
		drain(nl, n);
		return KWGI_NL_AGAIN;
	}
	/* Not an answer to what was asked: of another request, or cut. */
	return fail_without_answer(nl, err, what, errno ? errno : EPROTO);
}

static int send_message(struct kwgi_nl *nl, struct nlmsghdr *nlh, const char *what,
			struct kwg_error *err)
{
	int ret = mend(nl, err);
	ssize_t n;

	if (ret)
		return ret;
	do
		n = mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? fail(err, what, errno, NULL) : 0;
}

int kwgi_nl_ask(struct kwgi_nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg,
		const char *what, struct kwg_error *err)
{
	struct answer a = { .cb = cb, .arg = arg };
	int ret;

	nlh->nlmsg_flags |= NLM_F_ACK;
	ret = send_message(nl, nlh, what, err);
	return ret ? ret : receive(nl, &a, what, err);
}

int kwgi_nl_request(struct kwgi_nl *nl, struct nlmsghdr *nlh, const char *what,
		    struct kwg_error *err)
{
	int ret;

	nl->mutations++;
	ret = kwgi_nl_ask(nl, nlh, NULL, NULL, what, err);
	return ret && nl->broken ? KWGI_IN_DOUBT : ret;
}

int kwgi_nl_dump(struct kwgi_nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg,
		 const char *what, struct kwg_error *err)
{
	struct answer a = { .cb = cb, .arg = arg };
	struct kwg_error own = { 0 };
	int ret;

	nlh->nlmsg_flags |= NLM_F_DUMP;
	ret = send_message(nl, nlh, what, &own);
	if (!ret)
		ret = receive(nl, &a, what, &own);
	if (ret < 0 && !a.error && (nl->broken || own.sys_errno == ENOBUFS))
		return KWGI_NL_AGAIN;
	if (ret < 0 && err)
		*err = own;
	return ret;
}

int kwgi_nl_batch(struct kwgi_nl *nl, void *messages, size_t size, const char *what,
		  struct kwg_error *err)
{
	int fd, room = (int)size * 2, left = (int)size, ret = mend(nl, err);
	struct nlmsghdr *nlh = messages;
	struct answer a = { 0 };
	ssize_t n;

	if (ret)
		return ret;
	fd = mnl_socket_get_fd(nl->sock);
	nl->mutations++;
	nl->seq++;
	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		nlh->nlmsg_seq = nl->seq;
	/* The kernel takes it whole or not at all; only root of the machine gets any size. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	do
		n = mnl_socket_sendto(nl->sock, messages, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(err, what, errno, errno == EMSGSIZE ? "net.core.wmem_max is too small for it" : NULL);
	ret = receive(nl, &a, what, err);
	if (ret && nl->broken)
		return KWGI_IN_DOUBT;
	nl->broken = ret != 0;
	return ret;
}

/* ---- many questions -------------------------------------------------- */

void kwgi_nl_begin_many(struct kwgi_nl *nl)
{
	memset(nl->out, 0, KWGI_NL_MESSAGE);
	nl->last = NULL;
	nl->n_many = 0;
}

struct nlmsghdr *kwgi_nl_add(struct kwgi_nl *nl, uint16_t type)
{
	char *at = nl->last ? (char *)nl->last + kwgi_nl_aligned(nl->last) : nl->out;

	nl->last = mnl_nlmsg_put_header(at);
	nl->last->nlmsg_type = type;
	nl->last->nlmsg_flags = NLM_F_REQUEST;
	nl->last->nlmsg_seq = ++nl->seq;
	nl->n_many++;
	return nl->last;
}

static int error_of(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != NLMSG_ERROR)
		return 0;
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e) || !e->error)
		return EBADMSG;
	return kwgi_errno_said(e->error);
}

/* They come in the order of the questions, one each. */
static int receive_many(struct kwgi_nl *nl, kwgi_nl_many_cb *cb, void *arg, const char *what,
			struct kwg_error *err)
{
	uint32_t first = nl->seq - nl->n_many + 1, i = 0;
	const struct nlmsghdr *nlh;
	ssize_t n;
	int left;

	while (i < nl->n_many) {
		n = receive_some(nl);
		if (n < 0)
			return fail_without_answer(nl, err, what, errno);
		left = (int)n;
		nlh = (const struct nlmsghdr *)(const void *)nl->in;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left), i++) {
			if (i == nl->n_many || nlh->nlmsg_seq != first + i ||
			    nlh->nlmsg_pid != nl->portid)
				return fail_without_answer(nl, err, what, EPROTO);
			cb(nlh, i, error_of(nlh), arg);
		}
	}
	return 0;
}

int kwgi_nl_ask_many(struct kwgi_nl *nl, kwgi_nl_many_cb *cb, void *arg, const char *what,
		     struct kwg_error *err)
{
	int ret;
	ssize_t n;

	if (!nl->n_many)
		return 0;
	ret = mend(nl, err);
	if (ret)
		return ret;
	do
		n = mnl_socket_sendto(nl->sock, nl->out,
				      (size_t)((char *)nl->last - nl->out) + kwgi_nl_aligned(nl->last));
	while (n < 0 && errno == EINTR);
	return n < 0 ? fail(err, what, errno, NULL) : receive_many(nl, cb, arg, what, err);
}
