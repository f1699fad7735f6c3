/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* Reading attributes of messages of nf_tables, whose numbers are in network order. */
#ifndef KWGI_NFT_ATTR_H
#define KWGI_NFT_ATTR_H

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>

#include "sys/mnl.h"

static inline uint8_t nft_type(const struct nlmsghdr *nlh)
{
	return (uint8_t)(nlh->nlmsg_type & 0xff);
}

/* 0 if it is too short to hold one. */
static inline uint32_t nft_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

static inline uint64_t nft_u64(const struct nlattr *attr)
{
	uint64_t v;

	if (mnl_attr_get_payload_len(attr) < sizeof(v))
		return 0;
	v = mnl_attr_get_u64(attr);
	return (uint64_t)ntohl((uint32_t)v) << 32 | ntohl((uint32_t)(v >> 32));
}

/* "" if it is none. */
static inline const char *nft_string(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) ? "" : mnl_attr_get_str(attr);
}

/* NULL if there is none. */
static inline const struct nlattr *nft_find(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	kwgi_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

static inline const struct nlattr *nft_find_nested(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	kwgi_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

static inline const char *nft_string_in(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr = nft_find(nlh, type);

	return attr ? nft_string(attr) : "";
}

static inline uint8_t nft_family(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);

	return nfg->nfgen_family;
}

#endif
