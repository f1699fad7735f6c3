#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A node behind NAT moves; what WireGuard has learnt about it stays.
#
#   pod 10.2.1.2                                       pod 10.2.2.2
#        |                                                  |
#        a ------ wan 203.0.113.0/24 ------ router ---- lan h
#          .1                            .2 or .9   192.168.1.0/24 .2
#                                           masquerades
# and a peer p that is in the file only.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft
choose_backend

bridge_add wan lan
node_add a h
must ip netns add router
plug a wan0 wan 203.0.113.1/24
plug router wan0 wan 203.0.113.2/24
plug router lan0 lan 192.168.1.1/24
plug h lan0 lan 192.168.1.2/24
must on h ip route add default via 192.168.1.1
must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
echo 'table ip nat { chain out { type nat hook postrouting priority 100; oifname "wan0" masquerade random; }; }' >"$T/nft"
on router nft -f "$T/nft" >"$T/out" 2>&1 || cannot "nft cannot masquerade here: $(head -n 1 "$T/out")"
pod_add a 10.2.1.0/24
pod_add h 10.2.2.0/24

mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
mesh_node h 'location = y' 'endpoint = 203.0.113.2:51820' 'internal-ip = -' 'pod-cidr = 10.2.2.0/24' \
	'persistent-keepalive = 1'
mesh_peer p 'endpoint = 203.0.113.101:51820' 'allowed-ip = 10.5.0.1/32'
local_ini
daemons a h

expect 0 'apply on a' kwg a apply
is 'a knows the endpoint of the file' 203.0.113.2:51820 "$(peer_field a 3 h)"
expect 0 'apply on h' kwg h apply
check 'the node behind the NAT says where it is' wait_for 15 has_handshake a h
learnt=$(peer_field a 3 h)
check 'a has learnt another port' [ "$learnt" != 203.0.113.2:51820 ]
check 'packets flow' reaches a 10.2.2.2
expect 0 'diff on a: what was learnt is no difference' kwg a diff
expect 3 'status on a: but for p, which does not exist' kwg a status
is 'all is well' 'error: p: no answer from 203.0.113.101:51820/udp' "$(grep error: "$T/out")"
like 'status shows what was learnt' "$T/out" "$learnt"
expect 0 'apply on a' kwg a apply
is 'what was learnt stays' "$learnt" "$(peer_field a 3 h)"

# ---- another address and port ----

# Taking an address away makes the router forget what it has masqueraded with it.
must on router ip addr add 203.0.113.9/24 dev wan0
must on router ip addr del 203.0.113.2/24 dev wan0
must on router ip addr replace 203.0.113.9/24 dev wan0

moved() { case $(peer_field a 3 h) in 203.0.113.9:*) ;; *) return 1 ;; esac; }

check 'after the move a learns the new address' wait_for 15 moved
learnt=$(peer_field a 3 h)
check 'packets flow' reaches a 10.2.2.2
expect 0 'apply on a' kwg a apply
is 'what was learnt stays' "$learnt" "$(peer_field a 3 h)"
expect 0 'diff on a: no difference' kwg a diff

# ---- another port only ----

# The same address taken away and given again.
must on router ip addr del 203.0.113.9/24 dev wan0
must on router ip addr add 203.0.113.9/24 dev wan0

moved_port() { moved && [ "$(peer_field a 3 h)" != "$learnt" ]; }

check 'the NAT gives another port, and a learns it' wait_for 30 moved_port
learnt=$(peer_field a 3 h)
check 'packets flow' reaches a 10.2.2.2
expect 0 'apply on a' kwg a apply
is 'what was learnt stays' "$learnt" "$(peer_field a 3 h)"

# ---- no packet is lost while another peer changes ----

nsenter --net=/run/netns/h -- ping -i 0.02 10.2.1.2 >"$T/ping" 2>&1 &
ping=$!

# NUMBER: have so many answers come?
answered() { [ "$(grep -c 'seq=' "$T/ping")" -ge "$1" ]; }

check 'packets are on the way' wait_for 10 answered 5
i=0
while [ $i -lt 5 ]; do
	mesh_edit p "$(section_of p | grep ^endpoint)" "endpoint = 203.0.113.$((110 + i)):51820"
	mesh_peer "extra-$i" "allowed-ip = 10.6.$i.0/24"
	run kwg a apply
	[ "$status" = 0 ] || break
	i=$((i + 1))
done
is 'five changes of other peers applied' '5 0' "$i $status"
check 'and afterwards' wait_for 10 answered $(($(grep -c 'seq=' "$T/ping") + 5))
kill -INT $ping
wait $ping
answers=$(grep -c 'seq=' "$T/ping")
# The last one may have been on its way when ping was told to end.
is 'no packet was lost' "$answers" "$(sed -n 's/.*seq=\([0-9]*\).*/\1/p' "$T/ping" | tail -n 1)"
is 'what was learnt stays' "${learnt%:*}" "$(peer_field a 3 h | cut -d : -f 1)"

# ---- what is not learnt follows the file ----

mesh_edit p "$(section_of p | grep ^endpoint)" 'endpoint = 203.0.113.77:51820'
expect 0 'apply with another endpoint of p, which has no keepalive' kwg a apply
is 'p has it' 203.0.113.77:51820 "$(peer_field a 3 p)"
finish
