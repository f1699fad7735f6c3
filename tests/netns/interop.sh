#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-userspace against wireguard-go (and itself), in both roles, over real
# sockets and TUN devices:
#
#	a -- wg0 10.9.0.1, fd09::1 == 192.0.2.1, 2001:db8::1 -- wan -- .2, ::2 == wg0 10.9.0.2, fd09::2 -- b
#
# shellcheck disable=SC2154  # status is set by run
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg wireguard-go python3
need_tun
ours=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$ours" ] || cannot "kilowg-userspace is not built"

bridge_add wan
node_add a b
plug a eth0 wan 192.0.2.1/24 2001:db8::1/64
plug b eth0 wan 192.0.2.2/24 2001:db8::2/64
psk=$(wg genpsk)
for node in a b; do public_key $node >/dev/null; done

# NODE PROGRAM: starts it with wg0.
start() {
	WG_PROCESS_FOREGROUND=1 LOG_LEVEL=verbose nsenter --net="/run/netns/$1" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$1" "$2" wg0 >>"$T/$1.log" 2>&1 &
	echo $! >"$T/$1.pid"
	wait_for 30 daemon_answers "$1" wg0 || { show "$T/$1.log"; bail "$1: $2 does not start"; }
}

# NODE NUMBER: key, port and addresses.
configure() {
	on "$1" wg set wg0 private-key "$T/keys/$1" listen-port 51820
	address_add "$1" wg0 "10.9.0.$2/24" "fd09::$2/64"
	must on "$1" ip link set wg0 up
}

# NODE PEER ADDRESS NUMBER OPTION...
peer() {
	local node="$1" peer="$2" address="$3" number="$4"
	shift 4
	printf '%s\n' "$psk" >"$T/psk"
	must on "$node" wg set wg0 peer "$(public_key "$peer")" preshared-key "$T/psk" \
		endpoint "$address" allowed-ips "10.9.0.$number/32,fd09::$number/128" "$@"
}

stop() {
	daemon_stop TERM a
	daemon_stop TERM b
	wait_for 30 gone on a ip link show wg0
	wait_for 30 gone on b ip link show wg0
}

# TEXT NODE PING-ARGUMENT...
ping_ok() {
	local text="$1" node="$2"
	shift 2
	check "$text" wait_for 10 on "$node" ping -c 1 -W 1 -q "$@"
}

try() {
	local left="$1" right="$2" names
	names="${left##*/} and ${right##*/}"
	start a "$left"
	start b "$right"
	configure a 1
	configure b 2
	peer a b 192.0.2.2:51820 2
	peer b a 192.0.2.1:51820 1
	ping_ok "$names: the first packet passes" a 10.9.0.2
	ping_ok "$names: and the other way" b 10.9.0.1
	ping_ok "$names: IPv6 inside" b fd09::1
	ping_ok "$names: a packet as large as the MTU" a -M do -s 1392 10.9.0.2
	ping_ok "$names: and larger ones in fragments" a -s 9000 10.9.0.2
	peer a b '[2001:db8::2]:51820' 2
	ping_ok "$names: IPv6 outside" a 10.9.0.2
	run peer_endpoint b
	like "$names: the new address of the other side is learnt" "$T/out" '2001:db8::1'
	checksums "$names" a b 10.9.0.2
	checksums "$names" b a 10.9.0.1
	stop
}

peer_endpoint() { on "$1" wg show wg0 endpoints; }

# Less in a guest with one slow processor.
megabytes=30
[ "$(getconf _NPROCESSORS_ONLN)" -gt 1 ] || megabytes=5

# NAMES FROM TO ADDRESS: a file through the tunnel arrives as it was.
checksums() {
	local names="$1" from="$2" to="$3" address="$4"
	head -c "${megabytes}000000" /dev/urandom >"$T/file"
	rm -f "$T/copy" "$T/listens"
	on "$to" python3 -c '
import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], 4000)); s.listen(); s.settimeout(60); open(sys.argv[3], "w")
c = s.accept()[0]; c.settimeout(60)
with open(sys.argv[2], "wb") as f:
    while True:
        b = c.recv(1 << 16)
        if not b: break
        f.write(b)' "$address" "$T/copy" "$T/listens" >"$T/receiver" 2>&1 &
	local receiver=$!
	wait_for 60 [ -e "$T/listens" ] || { show "$T/receiver"; bail "nobody listens on $to"; }
	check "$names: $megabytes MB from $from" on "$from" timeout 120 python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], 4000)); s.sendfile(open(sys.argv[2], "rb")); s.shutdown(1)' \
		"$address" "$T/file"
	# It still listens if nobody came, and then nobody will.
	wait_for 30 gone kill -0 $receiver || kill $receiver
	wait $receiver
	same "$names: arrive as they were" "$T/file" "$T/copy"
}

try "$ours" "$ours"
try "$ours" wireguard-go
try wireguard-go "$ours"
finish
