#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# A node with two uplinks: what it answers from, whatever way the routing table says, and whom that
# follows when a way, an address or an interface goes.
#
#	       +- in0  10.1.0.1, fd01::1 --- .2 -+
#	s -----+                                 +- r - 10.9.9.1, fd09::1 --- 10.9.9.9, fd09::9 - p
#	       +- out0 10.2.0.1, fd02::1 --- .2 -+
#
# s has 10.8.8.8 and fd08::8, too, on no link. The tunnels are 10.20.0.1 (s) and 10.20.0.2 (p).

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
need_tun
daemon=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$daemon" ] || cannot "kilowg-userspace is not built"

# NODE INTERFACE NODE INTERFACE: a cable.
cable() {
	must ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
	must on "$1" ip link set "$2" up
	must on "$3" ip link set "$4" up
}

node_add s r p
cable s in0 r in1
cable s out0 r out1
cable p eth0 r eth1
address_add s in0 10.1.0.1/24 10.1.0.7/24
address_add r in1 10.1.0.2/24
address_add s out0 10.2.0.1/24
address_add r out1 10.2.0.2/24
address_add r eth1 10.9.9.1/24
address_add p eth0 10.9.9.9/24
address_add s lo 10.8.8.8/32
for n in s r p; do
	# shellcheck disable=SC2016  # for the other shell
	must on $n sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f || exit; done'
done
must on p ip route add default via 10.9.9.1
must on r ip route add 10.8.8.8 via 10.1.0.1
must on s ip route add 10.9.9.0/24 via 10.2.0.2
six=''
if can_ipv6; then
	six=yes
	address_add s in0 fd01::1/64
	address_add r in1 fd01::2/64
	address_add s out0 fd02::1/64
	address_add r out1 fd02::2/64
	address_add r eth1 fd09::1/64
	address_add p eth0 fd09::9/64
	address_add s lo fd08::8/128
	must on p ip -6 route add default via fd09::1
	must on r ip -6 route add fd08::8 via fd01::1
	must on s ip -6 route add fd09::/64 via fd02::2
fi

for n in s p; do
	public_key $n >/dev/null
	daemon_start $n wg0
	must on $n wg set wg0 private-key $T/keys/$n listen-port 51820
done
must on s ip addr add 10.20.0.1/24 dev wg0
must on p ip addr add 10.20.0.2/24 dev wg0
must on s ip link set wg0 up
must on p ip link set wg0 up

# ADDRESS: both begin anew; p speaks to s there.
begin() {
	must on s wg set wg0 peer "$(public_key p)" remove
	must on p wg set wg0 peer "$(public_key s)" remove
	must on s wg set wg0 peer "$(public_key p)" allowed-ips 10.20.0.2/32
	must on p wg set wg0 peer "$(public_key s)" endpoint "$1:51820" allowed-ips 10.20.0.1/32
}
speaks_to() { [ "$(on p wg show wg0 endpoints | cut -f 2)" = "$1:51820" ]; }
# Several, some moments apart: no answer is lost.
all_answered() { on "$1" ping -c 6 -i 0.2 -W 2 -q "$2" | grep -q ' 6 received'; }
# s says something, and p hears from where.
follows() { on s ping -c 1 -W 1 -q 10.20.0.2 >/dev/null; speaks_to "$1"; }

# ADDRESS...: answers come from there, though not by the way in.
asymmetric() {
	for a; do
		begin "$a"
		check "asked at $a, all is answered" all_answered p 10.20.0.1
		check "... from there" speaks_to "$a"
	done
}

asymmetric 10.1.0.1 10.8.8.8 10.2.0.1
[ -z "$six" ] || asymmetric '[fd01::1]' '[fd08::8]' '[fd02::1]'
begin 10.1.0.1
check 'from s, too' all_answered p 10.20.0.1
check 'a notice about the same way' on s ip route replace 10.9.9.0/24 via 10.2.0.2
check '... changes nothing' all_answered s 10.20.0.2
check '... the address stays' speaks_to 10.1.0.1

# ---- another way ----

must on s ip route replace 10.9.9.0/24 via 10.1.0.2
begin 10.1.0.1
check 'in and out by in0' all_answered p 10.20.0.1
must on s ip route replace 10.9.9.0/24 via 10.2.0.2
check 'the way leads through out0 now: its address is used' wait_for 10 follows 10.2.0.1
check 'all is answered' all_answered p 10.20.0.1
must on s ip route add 10.9.9.9 via 10.1.0.2
check 'a narrower route through in0, and back' wait_for 10 follows 10.1.0.1
must on s ip route add 10.9.9.0/25 via 10.2.0.2
check 'a wider one is no other way' all_answered s 10.20.0.2
check '... the address stays' speaks_to 10.1.0.1
must on s ip route del 10.9.9.0/25
must on s ip route del 10.9.9.9

# ---- an address, an interface goes ----

must on s ip route replace 10.9.9.0/24 via 10.1.0.2
must on s ip route add 10.9.9.0/24 via 10.2.0.2 metric 100
begin 10.1.0.7
check 'a second address of in0' all_answered p 10.20.0.1
check '... is answered from' speaks_to 10.1.0.7
must on s ip addr del 10.1.0.7/24 dev in0
check 'it goes: the first one is used' wait_for 10 follows 10.1.0.1
check 'all is answered' all_answered p 10.20.0.1
must on s ip link set in0 down
check 'the interface goes down, without a notice about the route: out0 is used' \
	wait_for 10 follows 10.2.0.1
check 'all is answered' all_answered p 10.20.0.1
begin 10.2.0.1
check 'out0' all_answered p 10.20.0.1
must on s ip link set in0 up
must on s ip route replace 10.9.9.0/24 via 10.1.0.2
must on s ip link del out0
check 'an interface is deleted: in0 is used' wait_for 10 follows 10.1.0.1
check 'all is answered' all_answered p 10.20.0.1

finish
