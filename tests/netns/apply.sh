#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# apply, diff and down on a leader, its follower and another location:
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3
#
# and two peers, p and q, that are in the file only.

# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
choose_backend
three_nodes

# What belongs to others, of all kinds that kilowg makes, some of it close to what it wants.
must on a sh -c '
	ip link add foreign0 type bridge && ip link set foreign0 alias "kilowg mesh=other protocol=108" up &&
	ip addr add 10.4.77.1/24 dev foreign0 &&
	ip addr add 10.77.0.1/24 dev lan0 &&
	ip route add 10.78.0.0/24 via 10.1.1.2 &&
	ip route add 10.79.0.0/24 via 10.1.1.2 proto 108 &&
	ip route add 10.2.3.0/25 via 10.1.1.2 table 1107 proto static &&
	ip rule add from 10.2.77.0/24 lookup 1107 priority 32765'

daemons a b c
state a >"$T/a.before"
down_state a >"$T/a.fresh"
down_state b >"$T/b.fresh"

# ---- before the first apply ----

expect 3 'diff on a fresh host: exit status 3' kwg a diff
like 'diff lists the steps' "$T/out" \
	'^~ wireguard dev kilo0 private-key \(hidden\) listen-port 51820' \
	'^\+ wireguard-peer .*\(location:y\) dev kilo0 endpoint 203\.0\.113\.3:51820' \
	'^\+ address 10\.4\.0\.1/16 dev kilo0$' \
	'^~ link kilo0 up$' \
	'^\+ route 10\.2\.3\.0/24 via 10\.4\.0\.2 dev kilo0 src 10\.1\.1\.1 onlink$' \
	'^\+ route 10\.5\.0\.1/32 dev kilo0 src 10\.1\.1\.1$'
unlike 'diff shows no private key' "$T/out" "$(cut -c 1-20 "$T/keys/a")"
cp "$T/out" "$T/diff"
expect 0 'apply --dry-run' kwg a apply --dry-run
same 'apply --dry-run prints what diff does' "$T/diff" "$T/out"
state a >"$T/a.now"
same 'diff and apply --dry-run change nothing' "$T/a.before" "$T/a.now"
expect 3 'diff --json on a fresh host' kwg a --json diff
if command -v python3 >/dev/null; then
	check 'diff --json is JSON' python3 -m json.tool "$T/out"
else
	skip 'diff --json is JSON' 'there is no python3 here'
fi

# ---- the first apply ----

expect 0 'apply -v on a' kwg a -v apply
same 'apply -v prints the steps that diff showed' "$T/diff" "$T/out"
expect 0 'apply on b' kwg b apply
is 'apply is silent if all goes well' '' "$(cat "$T/out" "$T/err")"
if can_strace; then
	run traced_kwg "$T/first" c apply
	is 'apply on c, under strace' 0 "$status"
else
	expect 0 'apply on c' kwg c apply
fi

check 'node to pod of another location' reaches a 10.2.3.2
check 'and back' reaches c 10.2.1.2
check 'follower to pod of another location, through its leader' reaches b 10.2.3.2
check "another location to the follower's pod" reaches c 10.2.2.2
check 'pod to pod, across locations' reaches c.pod 10.2.1.2 10.2.2.2
check 'pod to pod, inside a location' reaches b.pod 10.2.1.2
check 'another location to private addresses' reaches c 10.1.1.1 10.1.1.2
run on b ip route get 10.2.3.2
like 'the follower routes by way of its leader' "$T/out" '^10\.2\.3\.2 via 10\.1\.1\.1 dev lan0'
run on a ip route get 10.2.3.2
like 'the leader routes into WireGuard' "$T/out" 'dev kilo0'
run on a ip -d link show kilo0
like 'the interface carries our mark' "$T/out" 'alias kilowg mesh=kilo protocol=107'
run on a ip route show proto 107
is 'our routes carry our number' "$(grep -c '^. route' "$T/diff")" "$(grep -c . "$T/out")"
expect 3 'status: p does not exist' kwg a status
like 'status names the peers' "$T/out" '^location:y +203\.0\.113\.3:51820 .* ok$' '^p .* unanswered$' '^q .* idle$' '^drift: none$'

# ---- the second ----

state a >"$T/a.applied"
if can_strace; then
	check 'the first apply was seen to send changes' [ "$(count_mutations "$T/first")" -ge 8 ]
	for node in a b c; do
		run traced_kwg "$T/second" $node apply
		is "second apply on $node" 0 "$status"
		mutations "$T/second" >"$T/sent"
		same "second apply on $node sends no change to kernel or WireGuard" /dev/null "$T/sent"
	done
else
	skip 'second apply sends no change to kernel or WireGuard' 'strace does not work here'
	expect 0 'second apply on a' kwg a apply
	expect 0 'second apply on b' kwg b apply
fi
state a >"$T/a.now"
same 'second apply leaves all as it was' "$T/a.applied" "$T/a.now"
for node in a b c; do
	expect 0 "diff on $node: no difference, exit status 0" kwg $node diff
	is "diff on $node prints nothing" '' "$(cat "$T/out" "$T/err")"
done
expect 0 'second apply -v' kwg a -v apply
is 'second apply -v prints no steps' '' "$(cat "$T/out")"

# ---- one change at a time ----

# WHAT WANTED-NUMBER-OF-CHANGES STEP...: applies on a, and looks at what it takes.
changes() {
	what=$1 number=$2
	shift 2
	expect 3 "$what: diff" kwg a diff
	is "$what: these steps and no other" "$(printf '%s\n' "$@")" "$(cat "$T/out")"
	if can_strace; then
		run traced_kwg "$T/trace" a apply
		is "$what: apply" 0 "$status"
		is "$what: number of changes sent" "$number" "$(count_mutations "$T/trace")"
		if [ "$backend" = external ]; then
			unlike "$what: the other peers are not mentioned" "$T/trace" \
				"\"set=1.*public_key=$(hex "$T/keys/c.pub")"
		fi
	else
		expect 0 "$what: apply" kwg a apply
		skip "$what: number of changes sent" 'strace does not work here'
	fi
	expect 0 "$what: then nothing is left to do" kwg a diff
}

hex() { base64 -d <"$1" | od -An -v -tx1 | tr -d ' \n'; }

p=$(public_key p) q=$(public_key q)
session=$(peer_field a 5 c)
mesh_edit p 'endpoint = 203.0.113.101:51820' 'endpoint = 203.0.113.102:51820'
changes 'other endpoint' 1 "~ wireguard-peer $p (p) dev kilo0 endpoint 203.0.113.102:51820"
mesh_edit p 'allowed-ip = 10.5.0.1/32' 'allowed-ip = 10.5.0.1/32, 10.7.0.0/24'
changes 'one more allowed IP' 2 \
	"~ wireguard-peer $p (p) dev kilo0 allowed-ips 10.5.0.1/32,10.7.0.0/24" \
	'+ route 10.7.0.0/24 dev kilo0 src 10.1.1.1'
mesh_edit q 'allowed-ip = 10.5.0.2/32, 10.6.0.0/24' 'allowed-ip = 10.5.0.2/32'
changes 'one allowed IP less' 2 \
	"~ wireguard-peer $q (q) dev kilo0 allowed-ips 10.5.0.2/32" \
	'- route 10.6.0.0/24 dev kilo0 src 10.1.1.1'
mesh_edit q "$(grep '^preshared-key' "$T/mesh.ini")" ''
changes 'no preshared key any more' 1 "~ wireguard-peer $q (q) dev kilo0 no preshared-key"
mesh_peer r 'allowed-ip = 10.5.0.3/32'
changes 'one more peer' 2 \
	"+ wireguard-peer $(public_key r) (r) dev kilo0 persistent-keepalive 0 allowed-ips 10.5.0.3/32" \
	'+ route 10.5.0.3/32 dev kilo0 src 10.1.1.1'
mesh_drop r
changes 'one peer less' 2 \
	'- route 10.5.0.3/32 dev kilo0 src 10.1.1.1' \
	"- wireguard-peer $(public_key r) dev kilo0"
is 'the session with c has gone on' "$session" "$(peer_field a 5 c)"
check 'and carries packets' reaches a 10.2.3.2

# ---- somebody changes what is ours ----

must on a ip route del 10.2.3.0/24 dev kilo0
must on a ip addr del 10.4.0.1/16 dev kilo0
must on a wg set kilo0 peer "$p" remove
must on a ip link set kilo0 mtu 1300
must on a ip link set kilo0 down
expect 3 'status after somebody has changed things' kwg a status
like 'status names the drift' "$T/out" '^drift: [1-9]'
expect 0 'apply repairs it' kwg a apply
expect 0 'and then there is no difference' kwg a diff
check 'and packets flow again' reaches a 10.2.3.2

# ---- down ----

expect 0 'down --dry-run' kwg a down --dry-run
like 'down --dry-run prints the steps' "$T/out" '^- route 10\.2\.3\.0/24 ' '^- (address 10\.4\.0\.1/16 |link kilo0$)'
check 'and changes nothing' on a ip route get 10.2.3.2
expect 0 'down on the leader' kwg a down
down_state a >"$T/a.now"
same 'down leaves links, addresses, routes and rules as they were before' "$T/a.fresh" "$T/a.now"
is 'and no private key in the device' '' "$(on a wg show all private-key | grep -vF '(none)')"
expect 0 'down on the follower' kwg b down
down_state b >"$T/b.now"
same 'there, too' "$T/b.fresh" "$T/b.now"
expect 0 'down once more' kwg a down
down_state a >"$T/a.now"
same 'changes nothing' "$T/a.fresh" "$T/a.now"
expect 0 'apply after down' kwg a apply
expect 0 'on the follower, too' kwg b apply
check 'packets flow again' reaches b 10.2.3.2
finish
