#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Packets at the edges of what there is, at a live kilowg-userspace, IPv4 and IPv6
# inside and outside: congestion marks, answers to what cannot go, the largest.
#
#	a -- wg0 == 192.0.2.1, 2001:db8:1::1 -- router, marks -- 198.51.100.1, 2001:db8:2::1 == wg0 -- b
#	10.9.0.1, fd09::1                                                               10.9.0.2, fd09::2
#
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg python3 ping nft
need_tun
can_ipv6 || cannot "there is no IPv6 here"
ours=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$ours" ] || cannot "kilowg-userspace is not built"

bridge_add left right
node_add a b
must ip netns add router
plug a eth0 left 192.0.2.1/24 2001:db8:1::1/64
plug b eth0 right 198.51.100.1/24 2001:db8:2::1/64
plug router left0 left 192.0.2.254/24 2001:db8:1::fe/64
plug router right0 right 198.51.100.254/24 2001:db8:2::fe/64
must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
must on a ip route add default via 192.0.2.254
must on a ip -6 route add default via 2001:db8:1::fe
must on b ip route add default via 198.51.100.254
must on b ip -6 route add default via 2001:db8:2::fe
for key in a b x; do public_key $key >/dev/null; done

# NODE NUMBER
start() {
	WG_PROCESS_FOREGROUND=1 nsenter --net="/run/netns/$1" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$1" "$ours" wg0 >>"$T/$1.log" 2>&1 &
	echo $! >"$T/$1.pid"
	wait_for 30 daemon_answers "$1" wg0 || { show "$T/$1.log"; bail "$1: kilowg-userspace does not start"; }
	must on "$1" wg set wg0 listen-port 51820
	address_add "$1" wg0 "10.9.0.$2/24" "fd09::$2/64"
	must on "$1" ip link set wg0 up
}
# NODE PEER NUMBER OPTION...
peer() {
	local node="$1" peer="$2" number="$3"
	shift 3
	must on "$node" wg set wg0 peer "$(public_key "$peer")" allowed-ips "10.9.0.$number/32,fd09::$number/128" "$@"
}
passes() { on "$1" ping -c 1 -W 1 -q "$2"; }

start a 1
start b 2

# ---- no key

peer a b 2 endpoint 198.51.100.1:51820
must on b wg set wg0 private-key "$T/keys/b"
peer b a 1 endpoint 192.0.2.1:51820
check "without a private key nothing passes" unreachable a 10.9.0.2
is "nor is anything sent" "0	0" "$(on a wg show wg0 transfer | cut -f 2-)"
on a ping -c 1 -W 10 -q 10.9.0.2 >"$T/first" 2>&1 &
pinged=$!
must on a wg set wg0 private-key "$T/keys/a"
check "with one packets pass" wait_for 10 passes a 10.9.0.2
wait $pinged
is "and one that had waited for it has gone as well" 0 "$?"

# ---- marks and answers, over IPv4 and IPv6

# FAMILY: both speak to each other by it. A packet under way may tell another address once more.
switch_outer() {
	if [ "$1" = 4 ]; then
		peer a b 2 endpoint 198.51.100.1:51820
		peer b a 1 endpoint 192.0.2.1:51820
	else
		peer a b 2 endpoint '[2001:db8:2::1]:51820'
		peer b a 1 endpoint '[2001:db8:1::1]:51820'
	fi
	passes a 10.9.0.2 && passes b 10.9.0.1 || return 1
	[ "$(on a wg show wg0 endpoints | grep -c '\[')" = "$(($1 / 6))" ] &&
		[ "$(on b wg show wg0 endpoints | grep -c '\[')" = "$(($1 / 6))" ]
}

peer a x 50
for outer in 4 6; do
	check "over IPv$outer" wait_for 10 switch_outer $outer
	check "and IPv6 inside" wait_for 10 passes a fd09::2
	python3 "$lib_dir/netns/packets.py" /run/netns/a /run/netns/b /run/netns/router $outer \
		10.9.0.2 fd09::2 >"$T/packets" 2>&1
	status=$?
	while read -r line; do
		case $line in
		'ok '*) pass "over IPv$outer: ${line#*- }" ;;
		'not ok '*) fail "over IPv$outer: ${line#*- }" ;;
		*) say "$line" ;;
		esac
	done <"$T/packets"
	is "they have come to their end" 0 "$status"
done

# ---- the largest

# SIZE ADDRESS: a packet of so many bytes, whole. Its content is checked by ping, too.
whole() { on a ping -c 1 -W 1 -q -M 'do' -s "$(($1 - ($3 == 4 ? 28 : 48)))" "$2"; }

must on a ip link set wg0 mtu 65535
must on b ip link set wg0 mtu 65535
for outer in 4 6; do
	check "over IPv$outer" wait_for 10 switch_outer $outer
	for size in 1500 9001 32767 65459 65460 65474 65475; do
		check "over IPv$outer, IPv4 of $size bytes" wait_for 10 whole "$size" 10.9.0.2 4
		check "over IPv$outer, IPv6 of $size bytes" wait_for 10 whole "$size" fd09::2 6
	done
	check "over IPv$outer, a byte more has no room" gone whole 65476 10.9.0.2 4
	check "nor has the largest that the interface takes" gone whole 65535 fd09::2 6
	check "and others still pass" passes a 10.9.0.2
done
for node in a b; do
	kill -TERM "$(cat "$T/$node.pid")"
	wait "$(cat "$T/$node.pid")"
	is "$node ends well" 0 "$?"
	unlike "and has found no fault in itself" "$T/$node.log" 'runtime error|Sanitizer'
done
finish
