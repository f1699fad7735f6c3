#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A name with several addresses: if the one in use does not answer, the next one has its turn.
#
#   a, d ---------- wan ---------- c     203.0.113.30
#   203.0.113.1, .2  |
#                   dns  203.0.113.53
#
# c never begins a handshake, since its own file has the others where nobody is.

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping dnsmasq awk
choose_backend

printf 'nameserver 203.0.113.53\n' >"$T/resolv.conf"
printf 'hosts: files dns\n' >"$T/nsswitch.conf"
printf '127.0.0.1 localhost\n' >"$T/hosts"
own_file /etc/resolv.conf
own_file /etc/nsswitch.conf
own_file /etc/hosts

bridge_add wan
node_add a c d dns
plug a wan0 wan 203.0.113.1/24
plug d wan0 wan 203.0.113.2/24
plug c wan0 wan 203.0.113.30/24
plug dns wan0 wan 203.0.113.53/24
pod_add c 10.2.3.0/24

dns_answers() { on a getent ahostsv4 alive.mesh.test; }
dns_start() {
	nsenter --net=/run/netns/dns -- dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group=root \
		--pid-file= --no-resolv --no-hosts --addn-hosts="$T/zone" --local=/mesh.test/ \
		--listen-address=203.0.113.53 --bind-interfaces >"$T/dnsmasq.err" 2>&1 &
	dns_pid=$!
	wait_for 30 dns_answers || { show "$T/dnsmasq.err"; bail 'dnsmasq does not start'; }
}
# LAST-NUMBER...: the addresses of c's name
name_has() {
	printf '203.0.113.200 alive.mesh.test\n203.0.113.5 two.mesh.test\n203.0.113.30 two.mesh.test\n' >"$T/zone"
	printf '203.0.113.%s c.mesh.test\n' "$@" >>"$T/zone"
	[ -z "${dns_pid:-}" ] || { kill "$dns_pid" && wait "$dns_pid" 2>/dev/null; }
	dns_start
}
name_has 30 6 5

# NAME-OF-C KEEPALIVE HOST-OF-OTHERS
write_mesh() {
	mesh_begin
	mesh_node a 'location = x' "endpoint = $3:51820" 'internal-ip = -' 'pod-cidr = 10.2.1.0/24' \
		"persistent-keepalive = $2"
	mesh_node c 'location = y' "endpoint = $1:51820" 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
	mesh_node d 'location = z' "endpoint = $3:51820" 'internal-ip = -' 'pod-cidr = 10.2.4.0/24'
}
local_ini 'mtu = 1420' 'resolve-timeout = 2'
daemons a c d
write_mesh 203.0.113.30 0 203.0.113.99
expect 0 'apply on c' kwg c apply
# d, whose packets to c are asked for by nobody but the first apply, and watch
write_mesh two.mesh.test 0 203.0.113.99
cp "$T/mesh.ini" "$T/two.ini"
write_mesh c.mesh.test 25 203.0.113.99

at() { peer_field "$1" 3 c; }
is_at() { [ "$(at "$1")" = "203.0.113.$2:51820" ]; }
turns=$T/nodes/a/kilowg/kilo.names
turn() { cut -d ' ' -f 2 "$turns"; }
# As if the last run had been so many seconds ago.
later() {
	awk -v s="$1" '{ $3 -= s; print }' "$turns" >"$T/turns"
	cat "$T/turns" >"$turns"
}
no_change() {	# TEXT
	if can_strace; then
		run traced_kwg "$T/trace" a apply
		mutations "$T/trace" >"$T/sent"
		same "$1: apply sends no change" /dev/null "$T/sent"
	else
		skip "$1: apply sends no change" 'strace does not work here'
	fi
}

nsenter --net=/run/netns/d -- unshare --mount sh "$T/as-node" "$T/nodes/d" \
	"$KILOWG" -v -f "$T/two.ini" -f "$T/local.ini" --node d watch >"$T/watch.out" 2>"$T/watch.err" &
watch=$!
check 'watch is at the first of two addresses' wait_for 10 is_at d 5

# ---- one after the other ----

expect 0 'apply' kwg a apply
is 'the first of three addresses' 203.0.113.5:51820 "$(at a)"
is 'it is noted whose turn it is' 203.0.113.5 "$(turn)"
is 'in a file that others cannot write to' "$(public_key c)" "$(cut -d ' ' -f 1 "$turns")"
no_change 'at once'
later 10
no_change 'after 10 seconds'
later 15
run kwg a -v diff
is 'after 15 seconds: diff has a step' 3 "$status"
like 'to the second address' "$T/out" '^. wireguard-peer .* endpoint 203\.0\.113\.6:51820'
like 'and says why' "$T/err" 'node "c": no answer from 203\.0\.113\.5; c\.mesh\.test is tried at 203\.0\.113\.6$'
is 'diff notes nothing' 203.0.113.5 "$(turn)"
run kwg a status
like 'for status, which does not ask, it is no drift' "$T/out" '^drift: none$'
expect 0 'apply' kwg a apply
is 'it is at the second' 203.0.113.6:51820 "$(at a)"
no_change 'at once'
later 20
expect 0 'later' kwg a apply
is 'it is at the third, which lives' 203.0.113.30:51820 "$(at a)"
check 'c is reached' wait_for 10 reaches a 10.2.3.2
check 'there is a session' has_handshake a c

# ---- what works is left alone ----

later 1000
no_change 'with a session'
name_has 6 5 30 4
later 1000
no_change 'with a session, and another address'
is 'it stays' 203.0.113.30:51820 "$(at a)"
if [ "$backend" != external ]; then
	must ip -n a link del kilo0
	check 'the interface is gone' wait_for 10 gone on a wg show kilo0
	expect 0 'the interface is made anew' kwg a apply
	is 'it begins where it was' 203.0.113.30:51820 "$(at a)"
	check 'c is reached' wait_for 10 reaches a 10.2.3.2
else
	skip 'the interface is made anew' 'the daemon is not ours'
fi

# ---- all are dead ----

must ip -n c link set wan0 down
forget_session() {
	must on a wg set kilo0 peer "$(public_key c)" remove
	must on a wg set kilo0 peer "$(public_key c)" endpoint 203.0.113.30:51820 persistent-keepalive 25 \
		allowed-ips 10.2.3.0/24,10.4.0.2/32
}
forget_session
no_change 'the session is lost'
for next in 4 5 6 30 4 5 6; do
	later 15
	kwg a apply 2>/dev/null
	is "nobody answers: $next is next" "203.0.113.$next:51820" "$(at a)"
done
must ip -n c link set wan0 up
later 15
expect 0 'c is back' kwg a apply
check 'and is reached' wait_for 10 reaches a 10.2.3.2
is 'where it lives' 203.0.113.30:51820 "$(at a)"

# ---- what the name server says counts ----

must ip -n c link set wan0 down
forget_session
name_has 7
expect 0 'the name has one address only' kwg a apply
is 'that is taken' 203.0.113.7:51820 "$(at a)"
check 'there is nothing to be noted' [ ! -e "$turns" ]
must ip -n c link set wan0 up
name_has 30 7
expect 0 'and two again' kwg a apply
is 'the one in use gets its time' 203.0.113.7:51820 "$(at a)"
later 15
expect 0 'then' kwg a apply
is 'it is the turn of the other' 203.0.113.30:51820 "$(at a)"
check 'c is reached' wait_for 10 reaches a 10.2.3.2
expect 0 'down' kwg a down
check 'nothing is noted any more' [ ! -e "$turns" ]

# ---- by watch, in time ----

if wait_for 30 is_at d 30; then
	pass 'watch has tried the second address'
	check 'c is reached' wait_for 10 reaches d 10.2.3.2
	is 'by one repair' 1 "$(grep -c '^kilowg: repaired: 1 step' "$T/watch.err")"
	like 'it says why' "$T/watch.err" 'node "c": no answer from 203\.0\.113\.5; two\.mesh\.test is tried at 203\.0\.113\.30$'
else
	fail "watch has tried the second address: $(at d)"
	show "$T/watch.err"
	on d wg show kilo0
fi
kill "$watch"
wait "$watch" 2>/dev/null
finish
