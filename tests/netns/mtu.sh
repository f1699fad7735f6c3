#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# mtu = auto, measured: what kilowg computes is the largest packet that goes through
# without fragments outside of the tunnel, and one byte more does not.
#
#   a ---- wan 203.0.113.0/24, 2001:db8:0:1::/64 ---- c
#   |
#   +----- dsl 198.51.100.0/24 ---------------------- d
#
# and later a router r on the wan, with e behind it.

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft
can_ipv6 || cannot 'the kernel has no IPv6'
choose_backend

bridge_add wan dsl
node_add a c d
plug a wan0 wan 203.0.113.1/24 2001:db8:0:1::1/64
plug c wan0 wan 203.0.113.3/24 2001:db8:0:1::3/64
plug a dsl0 dsl 198.51.100.1/24
plug d dsl0 dsl 198.51.100.4/24
for wire in w1 w2; do
	must ip link set $wire mtu 9000
done
must on a ip addr add 10.1.1.1/24 dev wan0
must on c ip addr add 10.1.3.3/24 dev wan0
must on d ip addr add 10.1.4.4/24 dev dsl0
must on d ip route add 203.0.113.0/24 via 198.51.100.1

# No fragment gets in anywhere, before anything can put it together again.
cat >"$T/no-fragments" <<-'END'
	table inet test {
		chain in {
			type filter hook prerouting priority -450
			ip frag-off & 0x3fff != 0 counter drop
			exthdr frag exists counter drop
		}
	}
END
for node in a c d; do
	on $node nft -f "$T/no-fragments" >"$T/out" 2>&1 || cannot "nft cannot drop fragments here: $(head -n 1 "$T/out")"
done

mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.1.1.1/24' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = 10.1.3.3/24' 'pod-cidr = 10.2.3.0/24'
local_ini
daemons a c d

# NODE [INTERFACE]
mtu_of() { on "$1" ip -o link show "${2:-kilo0}" | sed 's/.* mtu \([0-9]*\) .*/\1/'; }

# NODE ADDRESS: the MTU by which the node sends there.
route_mtu() {
	local m
	m=$(on "$1" ip route get "$2" | sed -n 's/.* mtu \([0-9]*\).*/\1/p')
	echo "${m:-$(mtu_of "$1" "$(on "$1" ip route get "$2" | sed -n 's/.* dev \([^ ]*\).*/\1/p')")}"
}

# NODE ADDRESS SIZE: does an IPv4 packet of this size, that may not be cut, get there and back?
passes() { on "$1" ping -c 1 -W 2 -M "do" -q -s $(($3 - 28)) "$2"; }
# The same, where it should not; nobody needs to wait long for what has arrived before.
stopped() { ! on "$1" ping -c 1 -W 0.3 -M "do" -s $(($3 - 28)) "$2"; }

# MTU: of the network between a and c.
underlay() {
	must on a ip link set wan0 mtu "$1"
	must on c ip link set wan0 mtu "$1"
}

# NAME SIZE: a and c have this MTU, and it is the largest that works.
exact() {
	expect 0 "$1: apply on a" kwg a apply
	expect 0 "$1: apply on c" kwg c apply
	is "$1: MTU" "$2 $2" "$(mtu_of a) $(mtu_of c)"
	is "$1: a second apply has nothing to do" '' "$(kwg a diff)"
	wait_for 10 on a ping -c 1 -W 1 -q 10.4.0.2 || say 'no way at all'
	check "$1: $2 bytes pass" passes a 10.4.0.2 "$2"
	check "$1: to a private address, too" passes a 10.1.3.3 "$2"
	must on a ip link set kilo0 mtu $(($2 + 1))
	check "$1: $(($2 + 1)) do not" stopped a 10.4.0.2 $(($2 + 1))
	must on a ip link set kilo0 mtu "$2"
	check "$1: and it was not something else" passes a 10.4.0.2 "$2"
}

# ---- networks (mtu-matrix.sh has more) ---------------------------------------

matrix=${KWG_TEST_MTUS:-1500 1492 9000}
for u in $matrix; do
	underlay "$u"
	exact "$u, over IPv4" $((u - 60))
done
mesh_edit a 'endpoint = 203.0.113.1:51820' 'endpoint = [2001:db8:0:1::1]:51820'
mesh_edit c 'endpoint = 203.0.113.3:51820' 'endpoint = [2001:db8:0:1::3]:51820'
for u in $matrix; do
	underlay "$u"
	exact "$u, over IPv6" $((u - 80))
done

# ---- the way, not only the device ------------------------------------------

underlay 1500
mesh_edit a 'endpoint = [2001:db8:0:1::1]:51820' 'endpoint = 203.0.113.1:51820'
mesh_edit c 'endpoint = [2001:db8:0:1::3]:51820' 'endpoint = 203.0.113.3:51820'
exact 'the endpoint is an IPv4 address again' 1440
for node in a c; do
	must on $node ip route change 203.0.113.0/24 dev wan0 mtu 1450
done
exact 'a route with an MTU' 1390
for node in a c; do
	must on $node ip route change 203.0.113.0/24 dev wan0
done
exact 'without it' 1440

# A router in between has less, and says so.
must on a ip route add 203.0.113.3/32 dev wan0 mtu 1410
expect 3 'diff sees the route with an MTU' kwg a diff
is 'and shows the number' '~ link kilo0 mtu 1350' "$(cat "$T/out")"
expect 0 'so does apply --dry-run' kwg a apply --dry-run
is 'with the same number' '~ link kilo0 mtu 1350' "$(cat "$T/out")"
must on a ip route del 203.0.113.3/32
expect 0 'it is gone: no difference' kwg a diff

# WireGuard's datagrams carry the mark, so they go another way than the rest.
must on a ip rule add fwmark 7 lookup 77
must on a ip route add 203.0.113.0/24 dev wan0 table 77 mtu 1460
local_ini 'fwmark = 7'
expect 0 'with a mark' kwg a apply
is 'the way of marked datagrams counts' 1400 "$(mtu_of a)"
local_ini
expect 0 'without a mark' kwg a apply
is 'that of others does not' 1440 "$(mtu_of a)"
must on a ip rule del fwmark 7
must on a ip rule add ipproto udp sport 51820 lookup 77
expect 0 'a rule for the port of WireGuard' kwg a apply
is 'counts, too' 1400 "$(mtu_of a)"
must on a ip rule del ipproto udp sport 51820

local_ini 'mtu = 1300'
expect 0 'with an MTU in the configuration' kwg a apply
is 'just that is set' 1300 "$(mtu_of a)"
local_ini
expect 0 'and without' kwg a apply
is 'what fits' 1440 "$(mtu_of a)"
expect 0 'the plan does not look at the host' kwg a plan
like 'and says auto' "$T/out" '^interface kilo0 up mtu auto$'
expect 0 'facts' kwg a facts
like 'has the number' "$T/out" '^interface kilo0 mtu 1440$'
run kwg a status
like 'status has it, too' "$T/out" '^interface kilo0: up, mtu 1440,'

# ---- endpoints behind different networks -----------------------------------

mesh_node d 'location = z' 'endpoint = 198.51.100.4:51820' 'internal-ip = 10.1.4.4/24' 'pod-cidr = 10.2.4.0/24'
must on a ip link set dsl0 mtu 1400
must on d ip link set dsl0 mtu 1400
session=$(peer_field a 5 c)
expect 0 'another node behind a narrower network' kwg a apply
expect 0 'which is there' kwg d apply
is 'a second apply has nothing to do' '' "$(kwg a diff)"
is 'the session with the first has gone on' "$session" "$(peer_field a 5 c)"
# A daemon pads up to the MTU of the interface, the kernel up to that of the route.
narrow=1340
[ "$backend" = kernel ] || narrow=1328
is 'the interface is as wide as the widest way' 1440 "$(mtu_of a)"
is 'the way to the first has all of it' 1440 "$(route_mtu a 10.2.3.1)"
check 'which passes' passes a 10.1.3.3 1440
for to in 10.4.0.3 10.1.4.4 10.2.4.1; do
	is "the way to $to has less" "$narrow" "$(route_mtu a $to)"
done
is "the other end has just one network" 1340 "$(mtu_of d)"
wait_for 10 on a ping -c 1 -W 1 -q 10.4.0.3
for to in 10.4.0.3 10.1.4.4; do
	check "$narrow bytes pass to $to" passes a $to "$narrow"
	check "$((narrow + 1)) are told so" stopped a $to $((narrow + 1))
done
like 'by the own host' "$T/check" 'message too long, mtu'
must on a ip route change 10.1.4.4/32 via 10.4.0.3 dev kilo0 onlink proto 107 src 10.1.1.1 mtu $((narrow + 1))
check "$((narrow + 1)) would not pass" stopped a 10.1.4.4 $((narrow + 1))
unlike 'not for want of permission' "$T/check" 'message too long'
expect 0 'apply repairs the route' kwg a apply
is 'and it alone' "$narrow 1440" "$(route_mtu a 10.1.4.4) $(mtu_of a)"

# The network of the second grows: the next apply follows.
must on a ip link set dsl0 mtu 1500
must on d ip link set dsl0 mtu 1500
expect 3 'a network has changed: there is something to do' kwg a diff
expect 0 'apply follows' kwg a apply
is 'no route has an MTU of its own any more' '' "$(on a ip route show dev kilo0 | grep mtu)"
is 'and none is left over' '' "$(on a ip route show dev kilo0 | grep '^10.4.0.3 ')"

# An endpoint moves to the other network.
must on a ip link set dsl0 mtu 1400
expect 0 'the network shrinks again' kwg a apply
is 'the way has less' "$narrow" "$(route_mtu a 10.1.4.4)"
plug c dsl0 dsl 198.51.100.3/24
mesh_edit c 'endpoint = 203.0.113.3:51820' 'endpoint = 198.51.100.3:51820'
expect 0 'the first moves there' kwg a apply
is 'now the narrow one is the widest' 1340 "$(mtu_of a)"
is 'no route needs an MTU' '' "$(on a ip route show dev kilo0 | grep mtu)"
mesh_edit c 'endpoint = 198.51.100.3:51820' 'endpoint = 203.0.113.3:51820'
expect 0 'and back' kwg a apply
is 'all is as before' "1440 $narrow" "$(mtu_of a) $(route_mtu a 10.1.4.4)"

# ---- peers that may turn up anywhere ---------------------------------------

mesh_peer p 'allowed-ip = 10.5.0.1/32'
expect 0 'a peer without an endpoint, on a host without a default route' kwg a apply
is 'has what there is' 1440 "$(route_mtu a 10.5.0.1)"
must on a ip route add default via 198.51.100.4
expect 0 'with a default route' kwg a apply
is 'it counts' "1440 $narrow" "$(mtu_of a) $(route_mtu a 10.5.0.1)"
must on a ip route del default
mesh_drop p d
expect 0 'without them' kwg a apply
is 'and no MTU is left' '' "$(on a ip route show dev kilo0 | grep mtu)"

# ---- too narrow for IPv6 ---------------------------------------------------

underlay 1300
expect 0 '1300, without IPv6 in the mesh' kwg a apply
is 'is no problem' '' "$(cat "$T/err")"
mesh_edit c 'pod-cidr = 10.2.3.0/24' 'pod-cidr = 10.2.3.0/24, fd00:2:3::/64'
expect 0 '1300, with IPv6 in the mesh' kwg a apply
like 'is too little for it' "$T/err" 'warning: the path to .* at 203\.0\.113\.3 over wan0 has an MTU of 1300, which leaves 1240 .* at least 1340$'
is 'which gets its 1280 all the same' "1280" "$(mtu_of a)"
is 'IPv4 has what fits' "$([ "$backend" = kernel ] && echo 1240 || echo 1232)" "$(route_mtu a 10.2.3.1)"
is 'and there is nothing to do' '' "$(kwg a diff 2>/dev/null)"
underlay 1340
expect 0 '1340' kwg a apply
is 'is enough' '' "$(cat "$T/err")"
is 'for all' '1280' "$(mtu_of a)"
is 'without routes of their own' '' "$(on a ip route show dev kilo0 | grep mtu)"

# ---- a router on the way has less ------------------------------------------

underlay 1500
mesh_drop c
bridge_add far
node_add e
must ip netns add r
quick_ipv6 on r sh -c
plug r wan0 wan 2001:db8:0:1::2/64
plug r far0 far 2001:db8:0:2::2/64
plug e far0 far 2001:db8:0:2::5/64
must on e ip -6 route add default via 2001:db8:0:2::2
must on a ip -6 route add 2001:db8:0:2::/64 via 2001:db8:0:1::2
must on e ip addr add 10.1.5.5/24 dev far0
for node in e r; do
	must on $node ip link set far0 mtu 1400
done
must on e nft -f "$T/no-fragments"
mesh_edit a 'endpoint = 203.0.113.1:51820' 'endpoint = [2001:db8:0:1::1]:51820'
mesh_node e 'location = w' 'endpoint = [2001:db8:0:2::5]:51820' 'internal-ip = 10.1.5.5/24' 'pod-cidr = 10.2.5.0/24'
daemons e
expect 0 'apply on a' kwg a apply
expect 0 'apply on e' kwg e apply
is 'nobody on a knows yet' 1420 "$(mtu_of a)"
learnt() { on a ip -6 route get 2001:db8:0:2::5 | grep -q 'expires .* mtu 1400'; }
full_size() { passes a 10.1.5.5 1420; learnt; }
check 'a large packet makes the kernel learn' wait_for 10 full_size
check 'now it would go in fragments' gone passes a 10.1.5.5 1420
expect 0 'the next apply' kwg a apply
is 'follows' 1320 "$(mtu_of a)"
check 'and it passes' passes a 10.1.5.5 1320
must on a ip -6 route flush cache
check 'the kernel forgets' gone learnt
expect 0 'kilowg does not' kwg a diff
must on a ip link set wan0 mtu 1450
expect 3 'unless it is about another network' kwg a diff
is 'which counts' '~ link kilo0 mtu 1370' "$(cat "$T/out")"
must on a ip link set wan0 mtu 1500
expect 0 'of the same network it still knows' kwg a diff
for text in '2001:db8:0:2::5 wan0 1500 1400 99999999999' '2001:db8:0:2::5 wan0 1500 0 0' \
	'2001:db8:0:2::5 wan0 1500' 'rubbish' ''; do
	echo "$text" >"$T/nodes/a/kilowg/kilo.paths"
	expect 3 "no note: $text" kwg a diff
done
rm "$T/nodes/a/kilowg/kilo.paths"
expect 3 'or told to' kwg a diff
is 'forget it' '~ link kilo0 mtu 1420' "$(cat "$T/out")"
expect 0 'apply' kwg a apply

# ---- nobody knows ----------------------------------------------------------

must on a ip link set wan0 down
must on a ip link set dsl0 down
expect 0 'a host without any route' kwg a apply
is 'keeps what it has' 1420 "$(mtu_of a)"
must on a ip link set wan0 up
expect 0 'it comes back' kwg a apply
expect 0 'down' kwg a down
finish
