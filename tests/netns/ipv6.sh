#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A mesh of IPv6 addresses, over IPv6, with pods of both families.
#
#   pod fd00:2:2::2     pod fd00:2:1::2               pod fd00:2:3::2
#        |                  and 10.2.1.2                  and 10.2.3.2
#        |                   |                             |
#        b ------- lan ----- a ----------- wan ----------- c
#   ::2   fd00:1:1::/64  ::1   ::1  2001:db8:0:1::/64  ::3

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
can_ipv6 || cannot 'the kernel has no IPv6'
choose_backend

bridge_add wan lan
node_add a b c
plug a wan0 wan 2001:db8:0:1::1/64
plug c wan0 wan 2001:db8:0:1::3/64
plug a lan0 lan fd00:1:1::1/64
plug b lan0 lan fd00:1:1::2/64
must on c ip addr add fd00:1:3::3/64 dev wan0 nodad
pod_add a fd00:2:1::/64 10.2.1.0/24
pod_add b fd00:2:2::/64
pod_add c fd00:2:3::/64 10.2.3.0/24

mesh_begin 'subnet = fd00:4::/112'
mesh_node a 'location = x' 'endpoint = [2001:db8:0:1::1]:51820' 'internal-ip = fd00:1:1::1/64' \
	'pod-cidr = fd00:2:1::/64' 'pod-cidr = 10.2.1.0/24' 'leader = yes'
mesh_node b 'location = x' 'endpoint = [fd00:1:1::2]:51820' 'internal-ip = fd00:1:1::2/64' \
	'pod-cidr = fd00:2:2::/64'
mesh_node c 'location = y' 'endpoint = [2001:db8:0:1::3]:51820' 'internal-ip = fd00:1:3::3/64' \
	'pod-cidr = fd00:2:3::/64' 'pod-cidr = 10.2.3.0/24'
mesh_peer p 'endpoint = [2001:db8:0:1::101]:51820' 'allowed-ip = fd00:5::1/128, 10.5.0.1/32'
local_ini
daemons a b c
down_state a >"$T/before"

for node in a b c; do
	expect 0 "apply on $node" kwg $node apply
	is "apply on $node is silent" '' "$(cat "$T/out" "$T/err")"
done
run on a ip -6 addr show dev kilo0
like 'the leader has an address of the IPv6 mesh' "$T/out" 'inet6 fd00:4::1/112'
is 'the endpoint is an IPv6 address' '[2001:db8:0:1::3]:51820' "$(peer_field a 3 c)"
check 'mesh addresses' reaches a fd00:4::2
check 'node to pod, IPv6' reaches a fd00:2:3::2
check 'and back' reaches c fd00:2:1::2
check 'pod to pod, IPv6' reaches a.pod fd00:2:3::2
check 'pod to pod, IPv4 in the same mesh' reaches a.pod 10.2.3.2
check 'and back' reaches c.pod 10.2.1.2
check 'follower through its leader' reaches b fd00:2:3::2
check "to the follower's pod" reaches c fd00:2:2::2
check 'pod of the follower to pod of another location' reaches b.pod fd00:2:3::2
check 'private addresses' reaches c fd00:1:1::1 fd00:1:1::2

for node in a b c; do
	expect 0 "diff on $node: no difference" kwg $node diff
done
if can_strace; then
	run traced_kwg "$T/trace" a apply
	mutations "$T/trace" >"$T/sent"
	same 'second apply sends no change' /dev/null "$T/sent"
else
	skip 'second apply sends no change' 'strace does not work here'
fi

# Others lead elsewhere what is for the mesh.
must on a ip -6 route add fd00:2:3::/80 dev lan0
run kwg a diff
is 'a route that is more specific is a difference' 3 "$status"
like 'and told of' "$T/out" \
	'^! packets for fd00:2:3::/80 leave by lan0, not kilo0: .*; take it away: ip -6 route del fd00:2:3::/80 dev lan0'
must on a ip -6 route del fd00:2:3::/80 dev lan0
must on a ip -6 rule add to fd00:2:3::/64 blackhole priority 1000
run kwg a diff
like 'and a rule that drops' "$T/out" '^! packets for fd00:2:3::/64 go nowhere'
must on a ip -6 rule del priority 1000
expect 0 'diff' kwg a diff
is 'is silent then' '' "$(cat "$T/out" "$T/err")"

# The kernel takes routes away with a link that goes down, and IPv6 addresses, too.
must on a ip link set kilo0 down
expect 0 'after the link was down: apply' kwg a apply
expect 0 'diff: no difference' kwg a diff
check 'packets flow again' reaches a fd00:2:3::2
expect 0 'down' kwg a down
down_state a >"$T/now"
same 'nothing is left' "$T/before" "$T/now"
finish
