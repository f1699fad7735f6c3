/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/*
 * Multicast groups of rtnetlink and nf_tables. A filter in the kernel keeps away
 * what a busy host has much of: routes of others, and neighbours of other links.
 *
 * IPv4 routes that go with an address or a link are not told of
 * (net/ipv4/fib_trie.c, fib_table_flush), hence each address and link counts.
 *
 * Who it was: the port of the socket that a request came from is the number of
 * its process, unless that had another netlink socket already
 * (net/netlink/af_netlink.c, netlink_autobind); 0 is the kernel itself. It is
 * looked up at once, as such a process may not live long.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "config/encap.h"
#include "host/notices.h"
#include "steps/snapshot.h"
#include "sys/errtext.h"
#include "sys/mnl.h"

enum {
	RECEIVE_BUFFER = 1024 * 1024,
	NFT_TABLE_ATTR = 1,	/* NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE and so on */
	NFT_COMM_MAX = 16,
};

/* Ports from here on are no numbers of processes: pid_t is not negative. */
#define FIRST_OTHER_PORT 0x80000000u

/* ---- sockets ----------------------------------------------------------- */

/*
 * Bound to a port of our choice, so that our own changes come from the one that
 * has our number.
 */
static int open_socket(int bus)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int size = RECEIVE_BUFFER, fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, bus);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	sa.nl_pid = FIRST_OTHER_PORT | (uint32_t)getpid();
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		sa.nl_pid = 0;
		if (bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

static int set_group(int fd, int group, bool member)
{
	return setsockopt(fd, SOL_NETLINK, member ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
			  &group, sizeof(group));
}

static int join_groups(int fd)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEIGH,
	};
	size_t i;

	/* Without IPv6 its groups exist all the same. */
	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (set_group(fd, groups[i], true))
			return -1;
	return 0;
}

/*
 * Of routes: ours, default ones, since they decide about MTU and reachability, and
 * those that replace others, since they may replace ours. Of neighbours: those of our
 * tunnel. Loads are of network order, whatever the order of the message.
 */
static void set_filter(const struct kwgi_notices *n, uint32_t tunnel)
{
	enum { PAYLOAD = sizeof(struct nlmsghdr) };
	struct sock_filter code[] = {
		/* 0 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		/* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 4, 0),
		/* 2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 3, 0),
		/* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNEIGH), 8, 0),
		/* 4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELNEIGH), 7, 0),
		/* 5 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		/* 6 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
				 PAYLOAD + offsetof(struct rtmsg, rtm_protocol)),
		/* 7 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n->protocol, 6, 0),
		/* 8 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS,
				 PAYLOAD + offsetof(struct rtmsg, rtm_dst_len)),
		/* 9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, 0),
		/* 10 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags)),
		/* 11 */ BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons(NLM_F_REPLACE), 2, 3),
		/* 12 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
				  PAYLOAD + offsetof(struct ndmsg, ndm_ifindex)),
		/* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(tunnel), 0, 1),
		/* 14 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		/* 15 */ BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	/* Without it there is more to read, and nothing else. */
	(void)setsockopt(n->route, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void kwgi_notices_refilter(struct kwgi_notices *n)
{
	set_filter(n, *n->tunnel ? if_nametoindex(n->tunnel) : 0);
}

void kwgi_notices_follow(struct kwgi_notices *n, const struct kwg_plan *plan)
{
	const struct kwg_config *cfg = plan->cfg;
	uint32_t firewall = cfg->local.firewall;

	n->protocol = (uint8_t)cfg->local.route_protocol;
	snprintf(n->ifname, sizeof(n->ifname), "%s", cfg->local.interface);
	kwgi_encap_device(n->tunnel, &cfg->local, cfg->mesh.encap_protocol);
	snprintf(n->table, sizeof(n->table), "kilowg-%s", cfg->mesh.name);
	n->iptables = firewall == KWGI_FIREWALL_IPTABLES;
	n->touched = false;
	if (n->netfilter >= 0)
		(void)set_group(n->netfilter, NFNLGRP_NFTABLES, firewall != KWGI_FIREWALL_NONE);
	kwgi_notices_refilter(n);
}

/* ---- who --------------------------------------------------------------- */

static bool read_comm(uint32_t pid, char comm[NFT_COMM_MAX])
{
	char path[32];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, comm, NFT_COMM_MAX - 1);
	close(fd);
	comm[len > 0 ? len : 0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	return len > 0;
}

/* Names of processes are their own choice; terminals are not. */
static void tidy(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
			*s = '?';
}

static void add_program(char text[KWGI_CAUSE_TEXT], const char *comm, uint32_t pid)
{
	size_t len = strlen(text);

	snprintf(text + len, KWGI_CAUSE_TEXT - len, " by %s (pid %u)", comm, pid);
	tidy(text);
}

static void add_port(char text[KWGI_CAUSE_TEXT], uint32_t port)
{
	char comm[NFT_COMM_MAX];
	size_t len = strlen(text);

	if (!port || port >= FIRST_OTHER_PORT)
		return;
	if (read_comm(port, comm))
		add_program(text, comm, port);
	else
		snprintf(text + len, KWGI_CAUSE_TEXT - len, " by pid %u, which is gone", port);
}

/* ---- causes ------------------------------------------------------------ */

struct reading {
	struct kwgi_notices *n;
	bool ours;			/* may be our own doing */
	bool any;
};

/* A place for the text of a new cause; NULL: there is one already, or it may be our own doing. */
static char *new_cause(struct reading *r, enum kwgi_cause cause, uint32_t port)
{
	char *text = r->n->causes[cause];

	r->any = true;
	if (*text || port == (uint32_t)getpid())
		return NULL;
	return r->ours && (!port || port >= FIRST_OTHER_PORT) ? NULL : text;
}

static void add_cause(struct reading *r, enum kwgi_cause cause, const char *words, uint32_t port)
{
	char *text = new_cause(r, cause, port);

	if (!text)
		return;
	snprintf(text, KWGI_CAUSE_TEXT, "%s", words);
	add_port(text, port);
}

void kwgi_notices_text(const struct kwgi_notices *n, struct kwgi_buf *b)
{
	size_t i;

	for (i = 0; i < KWGI_N_CAUSES; i++) {
		if (!*n->causes[i])
			continue;
		if (b->len)
			kwgi_buf_puts(b, ", ");
		kwgi_buf_puts(b, n->causes[i]);
	}
}

void kwgi_notices_forget(struct kwgi_notices *n)
{
	memset(n->causes, 0, sizeof(n->causes));
}

/* ---- rtnetlink --------------------------------------------------------- */

static void on_link(struct reading *r, const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifm = mnl_nlmsg_get_payload(nlh);
	bool gone = nlh->nlmsg_type == RTM_DELLINK;
	const struct nlattr *attr;
	const char *name = "";
	char words[KWGI_CAUSE_TEXT];

	/* Ports of bridges, and what a wireless driver has to say. */
	if (ifm->ifi_family != AF_UNSPEC)
		return;
	kwgi_attr_for_each(attr, nlh, sizeof(*ifm)) {
		if (mnl_attr_get_type(attr) == IFLA_WIRELESS)
			return;
		if (mnl_attr_get_type(attr) == IFLA_IFNAME &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			name = mnl_attr_get_str(attr);
	}
	snprintf(words, sizeof(words), "link %.15s %s", name, gone ? "removed" : "changed");
	add_cause(r, gone ? KWGI_CAUSE_LINK_GONE : KWGI_CAUSE_LINK_CHANGED, words, nlh->nlmsg_pid);
}

static void on_addr(struct reading *r, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	bool gone = nlh->nlmsg_type == RTM_DELADDR;
	size_t len = ifa->ifa_family == AF_INET ? 4 : 16;
	char words[KWGI_CAUSE_TEXT], addr[INET6_ADDRSTRLEN] = "";
	const struct nlattr *attr;

	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return;
	/* Comes and goes with its link. */
	if (ifa->ifa_family == AF_INET6 && ifa->ifa_scope == RT_SCOPE_LINK)
		return;
	kwgi_attr_for_each(attr, nlh, sizeof(*ifa)) {
		uint16_t type = mnl_attr_get_type(attr);

		if ((type == IFA_LOCAL || (type == IFA_ADDRESS && !*addr)) &&
		    mnl_attr_get_payload_len(attr) == len)
			(void)inet_ntop(ifa->ifa_family, mnl_attr_get_payload(attr), addr,
					sizeof(addr));
	}
	snprintf(words, sizeof(words), "address %s/%u %s", addr, ifa->ifa_prefixlen,
		 gone ? "removed" : "added");
	add_cause(r, gone ? KWGI_CAUSE_ADDR_GONE : KWGI_CAUSE_ADDR_NEW, words, nlh->nlmsg_pid);
}

static void on_route(struct reading *r, const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	bool is_ours = rtm->rtm_protocol == r->n->protocol;
	const char *name = kwgi_route_protocol_name(rtm->rtm_protocol);
	char words[KWGI_CAUSE_TEXT];

	if (rtm->rtm_flags & RTM_F_CLONED)
		return;
	if (nlh->nlmsg_type == RTM_DELROUTE) {
		add_cause(r, KWGI_CAUSE_ROUTE_GONE, is_ours ? "routes removed" : "default route removed",
			  nlh->nlmsg_pid);
		return;
	}
	if (is_ours) {
		add_cause(r, KWGI_CAUSE_ROUTE_NEW, "routes added", nlh->nlmsg_pid);
		return;
	}
	if (name)
		snprintf(words, sizeof(words), "routes of protocol %s added", name);
	else
		snprintf(words, sizeof(words), "routes of protocol %u added", rtm->rtm_protocol);
	add_cause(r, KWGI_CAUSE_ROUTE_REPLACED, words, nlh->nlmsg_pid);
}

static void on_route_message(struct reading *r, const struct nlmsghdr *nlh)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (len >= sizeof(struct ifinfomsg))
			on_link(r, nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (len >= sizeof(struct ifaddrmsg))
			on_addr(r, nlh);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (len >= sizeof(struct rtmsg))
			on_route(r, nlh);
		break;
	case RTM_NEWRULE:
		add_cause(r, KWGI_CAUSE_RULE_NEW, "rules added", nlh->nlmsg_pid);
		break;
	case RTM_DELRULE:
		add_cause(r, KWGI_CAUSE_RULE_GONE, "rules removed", nlh->nlmsg_pid);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		add_cause(r, KWGI_CAUSE_NEIGH, "neighbours changed", nlh->nlmsg_pid);
		break;
	}
}

/* ---- nf_tables ---------------------------------------------------------- */

/* The string of an attribute of the message, or "". */
static const char *nft_string(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	kwgi_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == type && !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			return mnl_attr_get_str(attr);
	return "";
}

/* Chains of iptables that we have something in, or that are ours. */
static bool is_our_chain(const char *chain)
{
	return !strncmp(chain, "kilowg-", 7) || !strcmp(chain, "FORWARD") ||
	       !strcmp(chain, "INPUT") || !strcmp(chain, "POSTROUTING");
}

static bool is_nft_of_us(const struct kwgi_notices *n, const struct nlmsghdr *nlh)
{
	if (!strcmp(nft_string(nlh, NFT_TABLE_ATTR), n->table))
		return true;
	if (!n->iptables)
		return false;
	switch (NFNL_MSG_TYPE(nlh->nlmsg_type)) {
	case NFT_MSG_DELTABLE:
		return true;
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_DELCHAIN:
		return is_our_chain(nft_string(nlh, NFTA_CHAIN_NAME));
	case NFT_MSG_NEWRULE:
	case NFT_MSG_DELRULE:
		return is_our_chain(nft_string(nlh, NFTA_RULE_CHAIN));
	}
	return false;
}

/* The end of a transaction, which says whose it was. */
static void on_generation(struct reading *r, const struct nlmsghdr *nlh)
{
	const char *comm = nft_string(nlh, NFTA_GEN_PROC_NAME);
	const struct nlattr *attr;
	uint32_t pid = 0;
	char *text;

	kwgi_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_PID &&
		    !mnl_attr_validate(attr, MNL_TYPE_U32))
			pid = ntohl(mnl_attr_get_u32(attr));
	text = new_cause(r, KWGI_CAUSE_FIREWALL, pid);
	if (!text)
		return;
	snprintf(text, KWGI_CAUSE_TEXT, "firewall changed");
	if (*comm)
		add_program(text, comm, pid);
}

static void on_nft_message(struct reading *r, const struct nlmsghdr *nlh)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) != NFT_MSG_NEWGEN) {
		r->n->touched = r->n->touched || is_nft_of_us(r->n, nlh);
		return;
	}
	if (r->n->touched)
		on_generation(r, nlh);
	r->n->touched = false;
}

/* ---- reading ----------------------------------------------------------- */

static void read_socket(struct reading *r, int fd,
			void (*on_message)(struct reading *r, const struct nlmsghdr *nlh))
{
	_Alignas(struct nlmsghdr) char buf[16384];
	struct sockaddr_nl from;
	const struct nlmsghdr *nlh;
	int left;

	for (;;) {
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from),
				    .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		/* ENOBUFS: notices were lost, and the error is gone by being read. */
		if ((n < 0 && errno == ENOBUFS) || (n > 0 && m.msg_flags & MSG_TRUNC))
			add_cause(r, KWGI_CAUSE_LOST, "some notices were lost", 0);
		if (n < 0 && errno == ENOBUFS)
			continue;
		if (n <= 0)
			return;
		/* Only the kernel (port 0) is to be believed. */
		if (from.nl_pid)
			continue;
		left = (int)n;
		nlh = (const struct nlmsghdr *)(const void *)buf;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			on_message(r, nlh);
	}
}

bool kwgi_notices_read(struct kwgi_notices *n, bool ours)
{
	struct reading r = { .n = n, .ours = ours };

	read_socket(&r, n->route, on_route_message);
	if (n->netfilter >= 0)
		read_socket(&r, n->netfilter, on_nft_message);
	return r.any;
}

/* ---- life -------------------------------------------------------------- */

int kwgi_notices_open(struct kwgi_notices *n, struct kwg_error *err)
{
	*n = (struct kwgi_notices){ .netfilter = -1 };
	n->route = open_socket(NETLINK_ROUTE);
	if (n->route < 0 || join_groups(n->route))
		return kwgi_fail(err, KWG_ERR_KERNEL, errno, "following changes of the network: %s",
				 kwgi_errtext(errno));
	/* A kernel without nf_tables has no firewall of ours, or one that nothing is told of. */
	n->netfilter = open_socket(NETLINK_NETFILTER);
	return 0;
}

void kwgi_notices_close(struct kwgi_notices *n)
{
	if (n->route >= 0)
		close(n->route);
	if (n->netfilter >= 0)
		close(n->netfilter);
	n->route = n->netfilter = -1;
}
