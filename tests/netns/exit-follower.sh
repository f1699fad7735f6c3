#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# An exit node, and a location whose nodes are in two networks, as clouds have them: a follower
# knows the way to its leader by its default route only. Its encapsulated packets have no mark, and
# must not be led into the tunnel that they come out of.
#
#	pod 10.2.2.2 -- f -- lan2 10.1.2.2/24 -- r -- lan1 10.1.1.1/24 -- a (leader) -- pod 10.2.1.2
#	                                          r -- wan 203.0.113.254/24 -- exit .50
#	exit has 192.0.2.80; r has 192.0.2.90, which is an address to be kept

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend

bridge_add wan lan1 lan2
node_add a f exit
must ip netns add r
must on r sh -c 'ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_forward'
plug r lan1 lan1 10.1.1.254/24
plug r lan2 lan2 10.1.2.254/24
plug r wan0 wan 203.0.113.254/24
must on r ip addr add 192.0.2.90/32 dev lo
plug a lan0 lan1 10.1.1.1/24
plug f lan0 lan2 10.1.2.2/24
plug exit wan0 wan 203.0.113.50/24
must on exit ip addr add 192.0.2.80/32 dev lo
must on exit ip route add 10.1.0.0/16 via 203.0.113.254
must on a ip route add default via 10.1.1.254
must on f ip route add default via 10.1.2.254
pod_add a 10.2.1.0/24
pod_add f 10.2.2.0/24

mesh_begin
mesh_set encapsulation always
mesh_set encapsulation-protocol vxlan
mesh_node a 'location = x' 'endpoint = 10.1.1.1:51820' 'internal-ip = 10.1.1.1/24' 'pod-cidr = 10.2.1.0/24' \
	'leader = yes' 'persistent-keepalive = 5'
mesh_node f 'location = x' 'endpoint = 10.1.2.2:51820' 'internal-ip = 10.1.2.2/24' 'pod-cidr = 10.2.2.0/24'
mesh_peer exit 'endpoint = 203.0.113.50:51820' 'allowed-ip = 10.5.0.1/32, 0.0.0.0/0'
local_ini 'default-route = yes'
sed -i '/^firewall/d' "$T/local.ini"
on exit ip link add kilo0 type wireguard 2>/dev/null || {
	daemon=$(own_userspace) || need_userspace
	daemon_start exit
}
must on exit wg set kilo0 listen-port 51820 private-key "$T/keys/exit" \
	peer "$(public_key a)" allowed-ips 10.4.0.0/16,10.1.0.0/16,10.2.0.0/16
must on exit ip addr add 10.5.0.1/32 dev kilo0
must on exit ip link set kilo0 mtu 1380 up
for n in 10.4.0.0/16 10.2.0.0/16; do must on exit ip route add "$n" dev kilo0; done
must on exit wg set kilo0 fwmark 51820
must on exit ip route add 10.1.0.0/16 dev kilo0 table 51820
must on exit ip rule add not fwmark 51820 lookup 51820

daemons a f
must apply_all a f
leaves_by() { on "$1" ip route get "$2" | grep -q "dev $3 "; }
check 'the follower reaches the exit through its leader' reaches f.pod 192.0.2.80
check 'by its tunnel' leaves_by f 192.0.2.80 kilo0-vxlan
check 'so does the leader' reaches a.pod 192.0.2.80
check 'packets for the leader go outside of the tunnel' leaves_by f 10.1.1.1 lan0
check 'and those of the leader for the follower' leaves_by a 10.1.2.2 lan0
check 'pods of the location reach each other' reaches f.pod 10.2.1.2
like 'by routes that lead back' "$(on f ip route show table 1108 >"$T/table"; echo "$T/table")" \
	'^throw 10\.1\.1\.1 ' '^default '
expect 0 'no difference' kwg f diff

# Whatever --keep names, too.
check 'another address is behind the exit' leaves_by f 192.0.2.90 kilo0-vxlan
must kwg f down
check 'down leaves none of them' gone sh -c 'ip -n f route show table 1108 | grep .'
expect 0 'apply --keep' kwg f apply --keep 192.0.2.90
check 'an address that is kept goes its own way' leaves_by f 192.0.2.90 lan0
check 'and answers' reaches f 192.0.2.90
expect 0 'diff with it: no difference' kwg f diff --keep 192.0.2.90

must ip -n f route del throw 10.1.1.1 table 1108
expect 3 'one that is missing is drift' kwg f diff --keep 192.0.2.90
like 'and said' "$T/out" '^\+ route throw 10\.1\.1\.1/32 table 1108'
expect 0 'apply repairs it' kwg f apply --keep 192.0.2.90
check 'packets flow' reaches f.pod 192.0.2.80
# The same by iptables.
if command -v iptables >/dev/null && on f iptables -w -t mangle -S >/dev/null 2>&1; then
	set_local firewall iptables
	must apply_all a f
	check 'firewall = iptables: the follower reaches the exit, too' reaches f.pod 192.0.2.80
	check 'and pods of the location' reaches f.pod 10.2.1.2
	expect 0 'no difference' kwg a diff
else
	skip 'firewall = iptables' 'it does not work here'
fi
set_local default-route no
expect 0 'default-route = no' kwg f apply
expect 0 'no difference' kwg f diff
check 'takes them away' gone sh -c 'ip -n f route show table 1108 | grep .'
finish
