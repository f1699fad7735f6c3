#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# create-interface = no: somebody else makes the interface, sooner or later.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping wireguard-go
need_tun
# Whatever the kernel has.
backend=external
three_nodes

# NODE ARGUMENT...: kilowg in the background; $pid.
begin() {
	local node="$1"
	shift
	say "\$ kilowg --node $node $* &"
	: >"$T/bg.err"
	nsenter --net="/run/netns/$node" -- unshare --mount sh "$T/as-node" "$T/nodes/$node" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node "$node" "$@" >"$T/bg.out" 2>"$T/bg.err" &
	pid=$!
}

# Has it begun, and does it sleep? It holds the lock of the mesh then.
is_waiting() {
	[ "$(cat "/proc/$pid/comm")" = kilowg ] && readlink "/proc/$pid/fd/"* | grep -q '\.lock$' &&
		grep -q '^State:.S' "/proc/$pid/status"
}

# STATUS TEXT: waits for what was begun.
ends() {
	local got=0
	wait $pid 2>/dev/null || got=$?
	is "$2" "$1" "$got"
	[ "$got" = "$1" ] || show "$T/bg.err"
}

took() { echo $(($(date +%s) - since)); }

# ---- nobody ever makes it ----

local_ini 'interface-timeout = 1s'
state a >"$T/before"
since=$(date +%s)
expect 2 'no interface, and nobody makes one: exit status 2' kwg a apply
check 'after the time-out' [ "$(took)" -ge 1 ] && check 'not much later' [ "$(took)" -le 4 ]
like 'the message says what was waited for, how long, and who should make it' "$T/err" \
	'kilo0' 'interface-timeout' 'create-interface = no'
is 'in one line' 1 "$(grep -c . "$T/err")"
state a >"$T/now"
same 'and nothing is changed' "$T/before" "$T/now"

local_ini 'interface-timeout = 0'
since=$(date +%s)
expect 2 'interface-timeout = 0: fails at once' kwg a apply
check 'really' [ "$(took)" -le 3 ]	# the default is 30

local_ini 'interface-timeout = 20s'
since=$(date +%s)
run kwg a diff
check 'diff does not wait' [ "$(took)" -le 2 ]
is 'and finds a difference' 3 "$status"
run kwg a status
check 'status does not wait' [ "$(took)" -le 2 ]
is 'and says that something is wrong' 3 "$status"
like 'namely' "$T/out" 'kilo0: missing'
expect 0 'down does not wait, and has nothing to do' kwg a down
check 'really' [ "$(took)" -le 4 ]

# ---- kilowg first, then the daemon ----

begin a apply
check 'apply waits for the interface' wait_for 30 is_waiting
if command -v setsid >/dev/null; then
	expect 4 'a second apply meanwhile: exit status 4' kwg a apply
	like 'the message says why' "$T/err" 'apply" \(process [0-9]+, .* is at work on mesh kilo'
fi
daemon_start_only a
ends 0 'the daemon comes: apply goes on and succeeds'
is 'without a word' '' "$(cat "$T/bg.out" "$T/bg.err")"
expect 0 'and there is no difference' kwg a diff

# ---- any order, all at once ----

begin b apply
b=$pid
daemon_start_only c
begin c apply
c=$pid
daemon_start_only b
pid=$b
ends 0 'b: kilowg before the daemon'
pid=$c
ends 0 'c: both at once'
check 'packets flow' reaches b 10.2.3.2
check 'and back' reaches c 10.2.2.2

# ---- the link is there, but not the socket ----

must on b ip route flush proto 107
daemon_stop TERM b
must wait_for 30 gone on b ip link show kilo0
must on b ip tuntap add kilo0 mode tun
local_ini 'interface-timeout = 1s'
expect 2 'an interface, but no socket' kwg b apply
like 'the message names the socket' "$T/err" 'wireguard/kilo0\.sock'
must on b ip link del kilo0

# ---- a daemon was killed ----

daemon_stop KILL a
check 'a killed daemon leaves its socket' [ -S "$T/nodes/a/wireguard/kilo0.sock" ]
must wait_for 30 gone on a ip link show kilo0
expect 2 'only a stale socket: exit status 2' kwg a apply
like 'the message is clear' "$T/err" 'kilo0'
must on a ip tuntap add kilo0 mode tun
expect 2 'a stale socket and an interface' kwg a apply
like 'the message names the socket' "$T/err" 'wireguard/kilo0\.sock'
must on a ip link del kilo0
local_ini 'interface-timeout = 20s'
begin a apply
check 'apply waits in spite of the stale socket' wait_for 30 is_waiting
daemon_start_only a
ends 0 'a new daemon comes: apply succeeds'
check 'packets flow again' reaches a 10.2.3.2

# ---- it goes away while it is waited for, and other things happen ----

daemon_stop TERM a
must wait_for 30 gone on a ip link show kilo0
begin a apply
check 'apply waits' wait_for 30 is_waiting
must on a ip link add noise0 type bridge
must on a ip link del noise0
: >"$T/nodes/a/wireguard/other.sock"
rm "$T/nodes/a/wireguard/other.sock"
check 'things that do not matter leave it waiting' is_waiting
kill -TERM $pid
ends 143 'SIGTERM ends it'
begin a apply
check 'the lock is free again' wait_for 30 is_waiting
rm -rf "$T/nodes/a/wireguard/kilo0.sock"
daemon_start_only a
ends 0 'and once more it succeeds'
expect 0 'and there is no difference' kwg a diff
finish
