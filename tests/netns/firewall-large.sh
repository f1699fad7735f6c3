#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# 10000 networks in a set: applied, seen as they are, changed by one, removed.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg nft awk
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
kinds=nftables
! command -v iptables-nft-save >/dev/null || kinds='nftables iptables'
need_cni
choose_backend
three_nodes
must on a ip addr add fd00:1:1::1/64 dev lan0 nodad
daemons a

# Every other /26 of 11.0.0.0/8 and then some that are side by side, inside others,
# and at the end of all addresses; the same for IPv6.
awk 'BEGIN {
	for (i = 0; i < 4990; i++) {
		printf "service-cidr = 11.%d.%d.%d/26\n", i / 512, i / 2 % 256, i % 2 * 128
		printf "service-cidr = fd11:%x:%x::/56\n", i / 128, i % 128 * 512
	}
	print "service-cidr = 12.0.0.0/25\nservice-cidr = 12.0.0.128/25\nservice-cidr = 12.0.0.7/32"
	print "service-cidr = 255.255.255.0/24\nservice-cidr = 0.0.0.0/8"
	print "service-cidr = ff00::/8\nservice-cidr = fd12::/17\nservice-cidr = fd12:8000::/17"
}' >"$T/networks"
awk -v networks="$T/networks" '{ print } /^\[mesh\]/ { while ((getline line <networks) > 0) print line }' \
	"$T/mesh.ini" >"$T/mesh.new"
mv "$T/mesh.new" "$T/mesh.ini"

for kind in $kinds; do
	local_ini 'cni = yes'
	sed "s/^firewall = .*/firewall = $kind/" "$T/local.ini" >"$T/local.new"
	mv "$T/local.new" "$T/local.ini"
	start=$(date +%s)
	run kwg a apply
	# Only root of the machine may send messages of any size.
	if [ $status = 2 ] && grep -q 'Message too long' "$T/err"; then
		skip "$kind" "$(cut -c1-200 "$T/err")"
		continue
	fi
	is "$kind: apply" 0 $status
	expect 0 'then there is no difference' kwg a diff
	if [ "$kind" = nftables ]; then
		on a nft list set inet kilowg-kilo no-masquerade-4 >"$T/set"
		is 'so many ranges' 4999 "$(tr ',' '\n' <"$T/set" | grep -c '[0-9]\.[0-9]')"
		like 'networks side by side are one' "$T/set" '12\.0\.0\.0/24'
		like 'the end of all addresses is in' "$T/set" '255\.255\.255\.0/24'
		if can_strace; then
			traced_kwg "$T/trace" a apply
			is 'a second apply sends nothing' 0 "$(count_mutations "$T/trace")"
		fi
		must on a nft delete element inet kilowg-kilo no-masquerade-4 '{ 11.3.7.128/26 }'
		expect 3 'one that is missing is seen' kwg a diff
	else
		is 'so many rules' 4994 "$(on a iptables-save | grep -c '^-A kilowg-kilo0-nat -d \(11\|12\|0\|255\)\.')"
		must on a iptables -t nat -D kilowg-kilo0-nat -d 11.3.7.128/26 -j RETURN
		expect 3 'one that is missing is seen' kwg a diff
	fi
	expect 0 'and comes back' kwg a apply
	expect 0 'for good' kwg a diff
	say "$kind: $(($(date +%s) - start)) s"
done
expect 0 'down' kwg a down
is 'leaves nothing' 0 "$(on a nft list ruleset | grep -c kilowg)"
finish
