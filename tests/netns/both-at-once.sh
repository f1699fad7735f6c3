#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Both sides begin a handshake at once, on a way of 100 ms: nobody waits for a second try. With two
# kilowg-userspace, and with wireguard-go, which forgets its own initiation when ours comes in.
#
#	a 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.3: a wire with a delay
#	b 10.9.0.2 == 192.0.2.2 ---+

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping python3
need_tun
ours=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$ours" ] || cannot "kilowg-userspace is not built"

bridge_add wan
node_add a b w
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
plug w eth0 wan 192.0.2.3/24
public_key a >/dev/null
public_key b >/dev/null
on w python3 "$lib_dir/netns/both-at-once.py" 100 192.0.2.1 192.0.2.2 >$T/wire 2>&1 &
check 'the wire is there' wait_for 20 grep -q ready $T/wire

# NODE NUMBER PROGRAM
start() {
	daemon=$3 daemon_start "$1" wg0
	must on "$1" wg set wg0 private-key "$T/keys/$1" listen-port 51820
	must on "$1" ip addr add "10.9.0.$2/24" dev wg0
	must on "$1" ip link set wg0 up
}

# Neither knows of a session, nor of a handshake of late.
begin_anew() {
	must on a wg set wg0 peer "$(public_key b)" remove
	must on b wg set wg0 peer "$(public_key a)" remove
	must on a wg set wg0 peer "$(public_key b)" endpoint 192.0.2.3:7001 allowed-ips 10.9.0.2/32
	must on b wg set wg0 peer "$(public_key a)" endpoint 192.0.2.3:7002 allowed-ips 10.9.0.1/32
}

# Ten pings from either side, of which the first asks for a session; each has 3 s.
both_ping() {
	on a ping -c 10 -i 0.2 -W 3 -q 10.9.0.2 >$T/pa 2>&1 &
	on b ping -c 10 -i 0.2 -W 3 -q 10.9.0.1 >$T/pb 2>&1
	wait $!
	grep -q ' 10 received' $T/pa && grep -q ' 10 received' $T/pb
}

# TEXT PROGRAM PROGRAM
try() {
	start a 1 "$2"
	start b 2 "$3"
	before=$(grep -c crossed $T/wire)
	for round in 1 2 3 4; do
		begin_anew
		check "$1, round $round: every ping is answered" both_ping
	done
	check "$1: they did begin at once" [ "$(grep -c crossed $T/wire)" -gt "$before" ]
	daemon_stop TERM a
	daemon_stop TERM b
}

try 'two of ours' "$ours" "$ours"
if command -v wireguard-go >/dev/null; then
	try 'ours and wireguard-go' "$ours" wireguard-go
else
	skip 'ours and wireguard-go' 'there is no wireguard-go'
fi
finish
