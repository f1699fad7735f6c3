#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# A live kilowg-userspace and one who sends it what it should not get: the
# program attack plays its peers and strangers, and watches what comes back, what
# comes out of the tunnel, and what the device says about its peers.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.2 -- b: attack
#
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg
need_tun
build=${top_builddir:-${lib_dir%/*}/build}
ours=$build/kilowg-userspace
[ -x "$build/tests/netns/attack" ] || cannot "tests/netns/attack is not built"
# How many random messages; make check-long has a program for many more.
count=${KWG_TEST_NOISE:-20000}

bridge_add wan
node_add a b
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
public_key a >/dev/null

# With one worker all is worked off in order, so that attack knows when that has happened.
KILOWG_WORKERS=1 WG_PROCESS_FOREGROUND=1 nsenter --net=/run/netns/a -- \
	unshare --mount sh "$T/as-node" "$T/nodes/a" "$ours" wg0 >"$T/a.log" 2>&1 &
daemon=$!
wait_for 30 daemon_answers a wg0 || { show "$T/a.log"; bail "kilowg-userspace does not start"; }
must on a wg set wg0 private-key "$T/keys/a" listen-port 51820
must on a ip addr add 10.9.0.1/24 dev wg0
for i in 0 1 2 3 4; do
	must on a wg set wg0 peer "$(public_key "p$i")" allowed-ips "10.9.0.$((i + 2))/32"
done
must on a wg set wg0 peer "$(public_key p1)" endpoint 192.0.2.2:10001
must on a wg set wg0 peer "$(public_key p4)" endpoint 192.0.2.2:10004
must on a ip link set wg0 up

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }

before=$(rss)
on b "$build/tests/netns/attack" /run/netns/a "$T/nodes/a/wireguard/wg0.sock" "$(public_key a)" "$count" \
	"$T/keys/p0" "$T/keys/p1" "$T/keys/p2" "$T/keys/p3" "$T/keys/p4" >"$T/attack" 2>&1
status=$?
while read -r line; do
	case $line in
	'ok '*) pass "${line#*- }" ;;
	'not ok '*) fail "${line#*- }" ;;
	*) say "$line" ;;
	esac
done <"$T/attack"
is "attack has come to its end" 0 "$status"
say "resident: $before kB before, $(rss) kB after"
check "memory has not grown beyond the queue of handshakes" [ "$(rss)" -le $((before + 4096)) ]
kill -TERM "$daemon"
wait "$daemon"
is "the device ends well" 0 "$?"
unlike "and has found no fault in itself" "$T/a.log" 'runtime error|Sanitizer'
finish
