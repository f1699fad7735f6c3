/* SPDX-FileCopyrightText: 2026 The kilowg authors */
/* SPDX-License-Identifier: ISC */
/* What encapsulation costs, and what nodes derive from names without agreeing on it. */
#include "config/encap.h"
#include "unit.h"

START_TEST(overhead)
{
	ck_assert_uint_eq(kwgi_encap_overhead(KWGI_ENCAP_IPIP, KWGI_AF_V4), 20);
	ck_assert_uint_eq(kwgi_encap_overhead(KWGI_ENCAP_IPIP, KWGI_AF_V6), 40);
	ck_assert_uint_eq(kwgi_encap_overhead(KWGI_ENCAP_VXLAN, KWGI_AF_V4), 50);
	ck_assert_uint_eq(kwgi_encap_overhead(KWGI_ENCAP_VXLAN, KWGI_AF_V6), 70);
	ck_assert_uint_eq(kwgi_encap_mtu(KWGI_ENCAP_IPIP, KWGI_AF_V4, 1500), 1480);
	ck_assert_uint_eq(kwgi_encap_mtu(KWGI_ENCAP_VXLAN, KWGI_AF_V4, 9000), 8950);
	ck_assert_uint_eq(kwgi_encap_mtu(KWGI_ENCAP_VXLAN, KWGI_AF_V6, 65536), 1430);
	ck_assert_uint_eq(kwgi_encap_mtu(KWGI_ENCAP_VXLAN, KWGI_AF_V6, 60), 0);
}
END_TEST

/* Other versions on other nodes compute the same: these may never change. */
START_TEST(known_answers)
{
	struct kwgi_mesh mesh = { .name = "kilo" };
	char text[KWGI_MAC_TEXT], address[KWGI_ADDR_TEXT];
	uint8_t mac[KWGI_MAC_LEN];
	struct kwgi_addr a;

	kwgi_encap_mac(mac, "kilo", "a");
	ck_assert_str_eq(kwgi_mac_format(text, mac), "02:62:00:f1:c9:b5");
	a = kwgi_encap_link_local(mac);
	ck_assert_str_eq(kwgi_addr_format(address, &a), "fe80::62:ff:fef1:c9b5");
	ck_assert_uint_eq(kwgi_encap_vxlan_id(&mesh), 7410738);
	mesh.vxlan_id = 7;
	ck_assert_uint_eq(kwgi_encap_vxlan_id(&mesh), 7);
}
END_TEST

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, KWGI_MAC_LEN);
}

START_TEST(macs_differ)
{
	static uint8_t macs[10000][KWGI_MAC_LEN];
	char name[16];
	size_t i;

	for (i = 0; i < N_OF(macs); i++) {
		snprintf(name, sizeof(name), "node-%zu", i);
		kwgi_encap_mac(macs[i], "kilo", name);
		ck_assert_uint_eq(macs[i][0] & 3, 2);
	}
	qsort(macs, N_OF(macs), sizeof(*macs), by_bytes);
	for (i = 1; i < N_OF(macs); i++)
		ck_assert(by_bytes(macs[i - 1], macs[i]));
	/* The border between the two words counts. */
	kwgi_encap_mac(macs[0], "ab", "c");
	kwgi_encap_mac(macs[1], "a", "bc");
	ck_assert(by_bytes(macs[0], macs[1]));
}
END_TEST

START_TEST(ids_are_in_range)
{
	char name[16];
	struct kwgi_mesh mesh = { .name = name };
	uint32_t i, id;

	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		id = kwgi_encap_vxlan_id(&mesh);
		ck_assert(id >= KWGI_VXLAN_FIRST_AUTO_ID && id < 1 << 24);
	}
}
END_TEST

static const char *device(const char *interface, const char *tunnel, uint32_t protocol)
{
	static char out[KWGI_IFNAME_MAX + 1];
	struct kwgi_local local = { .interface = interface, .tunnel_interface = tunnel };

	kwgi_encap_device(out, &local, protocol);
	return out;
}

START_TEST(device_names)
{
	char first[KWGI_IFNAME_MAX + 1];

	ck_assert_str_eq(device("kilo0", NULL, KWGI_ENCAP_IPIP), "kilo0-ipip");
	ck_assert_str_eq(device("kilo0", NULL, KWGI_ENCAP_VXLAN), "kilo0-vxlan");
	ck_assert_str_eq(device("abcdefghi", NULL, KWGI_ENCAP_VXLAN), "abcdefghi-vxlan");
	ck_assert_str_eq(device("kilo0", "abcdefghijklmno", KWGI_ENCAP_VXLAN), "abcdefghijklmno");
	strcpy(first, device("abcdefghij", NULL, KWGI_ENCAP_VXLAN));
	ck_assert(!strncmp(first, "kwg-", 4));
	ck_assert_str_ne(first, device("abcdefghik", NULL, KWGI_ENCAP_VXLAN));
	ck_assert_str_eq(device("abcdefghij", NULL, KWGI_ENCAP_IPIP), "abcdefghij-ipip");
	strcpy(first, device("abcdefghijklmno", NULL, KWGI_ENCAP_IPIP));
	ck_assert_str_ne(first, device("abcdefghijklmno", NULL, KWGI_ENCAP_VXLAN));
}
END_TEST

static void add(TCase *tc)
{
	tcase_add_test(tc, overhead);
	tcase_add_test(tc, known_answers);
	tcase_add_test(tc, macs_differ);
	tcase_add_test(tc, ids_are_in_range);
	tcase_add_test(tc, device_names);
}

int main(void)
{
	return unit_run("encap", add);
}
