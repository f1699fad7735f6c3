#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-userspace with all that the kernel offers for speed, without it, and with parts of it
# (KILOWG_OFFLOAD): TCP passes in both directions in any case, also between two that differ.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.2 == wg0 10.9.0.2 -- b
#
# shellcheck disable=SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg iperf3
need_tun
daemon=$(own_userspace) || cannot "kilowg-userspace is not built"

bridge_add wan
node_add a b
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
for key in a b; do public_key $key >/dev/null; done

# NODE PEER NUMBER OTHER OFFLOADS
start() {
	KILOWG_OFFLOAD=$5 daemon_start "$1" wg0
	must on "$1" wg set wg0 private-key "$T/keys/$1" listen-port 51820 \
		peer "$(public_key "$2")" endpoint "192.0.2.$4:51820" allowed-ips "10.9.0.$4/32"
	must on "$1" ip addr add "10.9.0.$3/24" dev wg0
	must on "$1" ip link set wg0 up
}

# OPTIONS...: 8 MB from a to b; TCP's checksums see what is damaged.
passes() {
	on b iperf3 -s -1 -p 5300 >"$T/server.log" 2>&1 &
	wait_for 10 sh -c "nsenter --net=/run/netns/b -- ss -Hltn 'sport = 5300' | grep -q ." &&
		timeout 30 nsenter --net=/run/netns/a -- iperf3 -c 10.9.0.2 -p 5300 -n 8M "$@" >"$T/client.log" 2>&1
	local status=$?
	[ "$status" = 0 ] || { kill %% 2>/dev/null; show "$T/client.log"; }
	wait %% 2>/dev/null
	return "$status"
}

can_aio() {
	local used=0 most=0
	[ ! -r /proc/sys/fs/aio-nr ] || read -r used most < <(paste /proc/sys/fs/aio-nr /proc/sys/fs/aio-max-nr)
	[ "$used" -lt "$most" ]
}
uses_aio() { grep -qF '[aio]' "/proc/$(pgrep -P "$(cat "$T/$1.pid")" || cat "$T/$1.pid")/maps"; }

for pair in all/all none/none all/none none/all tso,uso,gso,gro/aio gso/tso gro,aio/uso,tso; do
	a=${pair%/*} b=${pair#*/}
	start a b 1 2 "$a"
	start b a 2 1 "$b"
	check "$a and $b: one stream" passes
	check "$a and $b: back, four streams" passes -R -P 4
	for node in a b; do
		case ${!node} in
		all | *aio*)
			can_aio || { skip "$node: many packets with one call" 'no asynchronous I/O here'; continue; }
			check "$node: many packets with one call" uses_aio $node ;;
		*) check "$node: one call for each packet" gone uses_aio $node ;;
		esac
	done
	daemon_stop TERM a
	daemon_stop TERM b
done

for wrong in tsx 'tso,,' 'tso gso' ai; do
	KILOWG_OFFLOAD=$wrong expect 1 "KILOWG_OFFLOAD=$wrong is refused" on a "$daemon" -f wg9
	like 'with what would be right' "$T/err" "KILOWG_OFFLOAD wants none, all or a list of tso,uso,gso,gro,aio, not $wrong"
done
finish
