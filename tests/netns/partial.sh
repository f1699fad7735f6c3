#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What cannot be carried out on a host, or would cut it off, stops nothing else.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3
#                       .254 the router of the LAN

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq
choose_backend
three_nodes
daemons a b c
must ip netns add router
plug router lan0 lan 10.1.1.254/24
must on a ip route add default via 10.1.1.254 proto dhcp metric 50
for node in a b c; do expect 0 "$node: apply" kwg $node apply; done
check 'packets flow' reaches a.pod 10.2.3.2
cp "$T/mesh.ini" "$T/mesh.good"

# TEXT PATTERN: exit status 2, one line of diff, of status and of check --live that says so, and the
# rest is there: a peer that is new each time has its route.
n=0
left_out() {
	n=$((n + 1))
	mesh_peer "new$n" "allowed-ip = 10.77.$n.0/24"
	expect 2 "$1: apply does the rest" kwg a apply
	like "$1: it says why" "$T/err" "^kilowg: warning: $2"
	is "$1: the new peer has its route" 1 "$(on a ip route show "10.77.$n.0/24" | grep -c kilo0)"
	expect 3 "$1: diff" kwg a diff
	is "$1: has just that" 1 "$(grep -c . "$T/out")"
	like "$1: in the same words" "$T/out" "^! $2"
	is "$1: and standard error does not have it again" 0 "$(grep -c 'is left out' "$T/err")"
	expect 3 "$1: status" kwg a status
	like "$1: names it" "$T/out" "^error: ${2%%;*}" '^drift: 1 difference;'
	run kwg a check --live
	like "$1: so does check --live" "$T/err" "$2"
	check "$1: packets flow" reaches a.pod 10.2.3.2
}

# TEXT: without the cause all is done.
all_in() {
	expect 0 "$1: apply" kwg a apply
	expect 0 "$1: and there is no difference" kwg a diff
}

good() {
	cp "$T/mesh.good" "$T/mesh.ini"
	expect 0 'back' kwg a apply
}

way_to() { on a ip -o route get "$1" | sed 's/ uid .*//; s/ *$//'; }

# ---- routes of others ----

mesh_peer l 'allowed-ip = 10.66.0.0/24'
must on a ip route add 10.66.0.0/24 via 203.0.113.250 proto static
left_out 'a static route' '10\.66\.0\.0/24, the allowed-ip of peer l \(.*mesh\.ini:[0-9]+\), is left out: it stays with wan0 via 203\.0\.113\.250, proto static; remove that route'
run kwg a diff -j
is 'in JSON, too' '10.66.0.0/24 omitted error' \
	"$(jq -r '.left_out[] | "\(.text | split(",")[0]) \(.code) \(.severity)"' "$T/out")"
expect 0 'down' kwg a down
expect 2 'and a first apply, as after a reboot' kwg a apply
check 'packets flow' reaches a.pod 10.2.3.2
set_local route-metric 9
expect 2 'with another metric both have room' kwg a apply
is 'and that of the host wins' '10.66.0.0/24 via 203.0.113.250 dev wan0 proto static ' \
	"$(on a ip route show 10.66.0.0/24 | head -n 1)"
expect 3 'which status tells' kwg a status
like 'by name' "$T/out" 'error: .*10\.66\.0\.0/24.*wan0'
is 'all routes of the mesh have it' 0 "$(on a ip route show proto 107 | grep -vc 'metric 9')"
set_local route-metric 0
run kwg a apply
must on a ip route del 10.66.0.0/24 via 203.0.113.250
all_in 'without that route'
is 'no route has another metric' 0 "$(on a ip route show proto 107 | grep -c 'metric')"
good

# One that is no route to anywhere is not seen before the kernel refuses.
must on a ip route add blackhole 10.66.0.0/24
mesh_peer l 'allowed-ip = 10.66.0.0/24'
mesh_peer m 'allowed-ip = 10.67.0.0/24'
expect 2 'a blackhole: apply does the rest' kwg a apply
like 'it says why' "$T/err" '10\.66\.0\.0/24, the allowed-ip of peer l .*, is left out: .*File exists'
is 'the rest is there' 1 "$(on a ip route show 10.67.0.0/24 | grep -c kilo0)"
is 'the blackhole, too' 'blackhole 10.66.0.0/24 ' "$(on a ip route show 10.66.0.0/24)"
must on a ip route del blackhole 10.66.0.0/24
all_in 'without it'
good

# ---- what the host depends on ----

router='10.1.1.254 dev lan0 src 10.1.1.1'
mesh_edit c 'internal-ip = 10.1.3.3/24' 'internal-ip = 10.1.1.254/24'
left_out 'a node with the address of our router' '10\.1\.1\.254/32, the internal-ip of node c \(.*\), is left out: it is this host.s default gateway, over lan0; take the network out of the file, or permit it: allow-cover = 10\.1\.1\.254/32'
is 'the router is reached as before' "$router" "$(way_to 10.1.1.254 | grep -o '^.*src [0-9.]*')"
check 'and answers' reaches a 10.1.1.254
set_local allow-cover 10.1.1.254/32
expect 0 'who insists' kwg a apply
is 'gets it' 1 "$(way_to 10.1.1.254 | grep -c kilo0)"
sed -i '/^allow-cover/d' "$T/local.ini"
expect 2 'and gives it back' kwg a apply
check 'the router answers again' reaches a 10.1.1.254
good

mesh_edit c 'internal-ip = 10.1.3.3/24' 'internal-ip = 10.1.3.3/24
allowed-location-ip = 10.1.1.0/24'
left_out 'another location offers our network' '10\.1\.1\.0/24, the allowed-location-ip of node c \(.*\), is left out: it stays with lan0, proto kernel; take the network'
must on a ip addr del 10.1.1.1/24 dev lan0
must on a ip addr add 10.1.1.1/24 dev lan0 noprefixroute
must on a ip route add 10.1.1.0/24 dev lan0 proto kernel scope link src 10.1.1.1 metric 100
must on a ip route replace default via 10.1.1.254 proto dhcp metric 50
left_out 'and ours has a metric' '10\.1\.1\.0/24, the allowed-location-ip of node c \(.*\), is left out: it is a network of this host, over lan0; take'
check 'the follower answers' reaches a 10.1.1.2
must on a ip route del 10.1.1.0/24
must on a ip addr del 10.1.1.1/24 dev lan0
must on a ip addr add 10.1.1.1/24 dev lan0
must on a ip route replace default via 10.1.1.254 proto dhcp metric 50
good

mesh_peer evil 'allowed-ip = 10.1.1.0/25'
check 'b is a neighbour' reaches a 10.1.1.2
left_out 'half of our network, with a neighbour in it' '10\.1\.1\.0/25, the allowed-ip of peer evil \(.*\), is left out: 10\.1\.1\.2 is a neighbour of this host, over lan0;'
good

mesh_peer evil 'allowed-ip = 203.0.113.0/28'
left_out 'a network with an endpoint in it' '203\.0\.113\.0/28, the allowed-ip of peer evil \(.*\), is left out: 203\.0\.113\.3 is (where WireGuard.s own packets go to, for location:y|a neighbour of this host), over wan0;'
good

if [ -e /etc/resolv.conf ]; then
	printf 'nameserver 10.53.0.53\n' >"$T/resolv.conf"
	must mount --bind "$T/resolv.conf" /etc/resolv.conf
	mesh_peer evil 'allowed-ip = 10.53.0.0/16'
	left_out 'a network with the name server' '10\.53\.0\.0/16, the allowed-ip of peer evil \(.*\), is left out: 10\.53\.0\.53 is this host.s name server, over lan0;'
	must umount /etc/resolv.conf
	all_in 'with another one'
	good
else
	skip 'a network with the name server' 'there is no /etc/resolv.conf'
fi

mesh_peer evil 'allowed-ip = 198.51.100.0/24'
SSH_CONNECTION='198.51.100.7 50000 10.1.1.1 22'
export SSH_CONNECTION
left_out 'where the ssh session comes from' '198\.51\.100\.0/24, the allowed-ip of peer evil \(.*\), is left out: 198\.51\.100\.7 is where this session comes from, over lan0;'
sh -c 'unset SSH_CONNECTION; exec "$@"' sh "$KILOWG" --version >"$T/out"
on a sh -c 'unset SSH_CONNECTION; "$@"; exit $?' sh "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a diff >"$T/out" 2>"$T/err"
like 'also where sudo has taken the variable away' "$T/out" '^! 198\.51\.100\.0/24.*where this session comes from'
unset SSH_CONNECTION
all_in 'outside of a session'
is 'it goes through the mesh' 1 "$(way_to 198.51.100.7 | grep -c kilo0)"
SSH_CONNECTION='198.51.100.7 50000 10.1.1.1 22' expect 0 'and may go on if it comes through the mesh' kwg a diff
good
mesh_peer evil 'allowed-ip = 198.51.100.0/24'
expect 2 'an address to keep' kwg a apply --keep 192.0.2.1 --keep 198.51.100.9
like 'is named' "$T/err" '198\.51\.100\.9 is to be kept reachable, over lan0'
expect 1 'one that is none is refused' kwg a apply --keep nobody
good

# ---- a private address that the host does not have ----

must on a ip addr del 10.1.1.1/24 dev lan0
must on a ip route replace default via 203.0.113.250 proto dhcp metric 50
expect 2 'without the private address' kwg a apply
like 'it says so' "$T/err" 'no interface of this host has 10\.1\.1\.1, the internal-ip of node a \(.*mesh\.ini:[0-9]+\), so the routes to the others of its location are left out'
check 'the other location is reached' reaches a.pod 10.2.3.2
must on a ip addr add 10.1.1.1/24 dev lan0
all_in 'it is back'
is 'routes have their source again' 1 "$(on a ip route show 10.2.3.0/24 | grep -c 'src 10.1.1.1')"

# ---- IPv6 ----

if can_ipv6; then
	mesh_edit c 'pod-cidr = 10.2.3.0/24' 'pod-cidr = 10.2.3.0/24, fd02:3::/64, fd02:33::/64'
	must on a sh -c 'echo 1 >/proc/sys/net/ipv6/conf/kilo0/disable_ipv6'
	left_out 'IPv6 is disabled on the interface' 'kilo0 has no IPv6, so fd02:3::/64 and 1 more are left out; sysctl -w net\.ipv6\.conf\.kilo0\.disable_ipv6=0'
	must on a sh -c 'echo 0 >/proc/sys/net/ipv6/conf/kilo0/disable_ipv6'
	all_in 'it is enabled'
	is 'the routes are there' 2 "$(on a ip -6 route show proto 107 | grep -c fd02:3)"
	must on a sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'
	expect 0 'down' kwg a down
	[ "$backend" != external ] || daemons a
	expect 2 'a first apply on a host without' kwg a apply
	like 'it says what helps' "$T/err" 'fd02:3::/64 and 1 more are left out; sysctl -w net\.ipv6\.conf\.(default|kilo0)\.disable_ipv6=0'
	expect 3 'and then it is told, and nothing to do' kwg a diff
	is 'in one line' 1 "$(grep -c . "$T/out")"
	check 'packets flow' reaches a.pod 10.2.3.2
else
	skip 'IPv6' 'the kernel has none'
fi
finish
