#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-userspace with 2 and 4 workers: traffic of many flows in all directions
# while peers, port, mark and MTU change, one link goes down and up, and somebody asks
# for the state all the time. threads_tsan.sh runs it under the thread sanitizer.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.2 == wg0 10.9.0.2 -- b
#	                                   |
#	                                   +-- 192.0.2.3 == wg0 10.9.0.3 -- c
#
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg iperf3 ping
need_tun
ours=${KWG_TEST_PROGRAM:-${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace}
[ -x "$ours" ] || cannot "kilowg-userspace is not built"
seconds=${KWG_TEST_SECONDS:-2}

bridge_add wan
node_add a b c
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
plug c eth0 wan 192.0.2.3/24
for key in a b c x y; do public_key $key >/dev/null; done

# NODE NUMBER WORKERS: starts and configures it.
start() {
	KILOWG_WORKERS=$3 WG_PROCESS_FOREGROUND=1 nsenter --net="/run/netns/$1" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$1" "$ours" wg0 >"$T/$1.log" 2>&1 &
	echo $! >"$T/$1.pid"
	wait_for 20 daemon_answers "$1" wg0 || { show "$T/$1.log"; bail "$1: kilowg-userspace does not start"; }
	must on "$1" wg set wg0 private-key "$T/keys/$1" listen-port 51820
	must on "$1" ip addr add "10.9.0.$2/24" dev wg0
	must on "$1" ip link set wg0 up
}

# NODE PEER NUMBER
peer() {
	must on "$1" wg set wg0 peer "$(public_key "$2")" endpoint "192.0.2.$3:51820" allowed-ips "10.9.0.$3/32"
}

passes() { on "$1" ping -c 1 -W 1 -q "$2"; }

# How often each thread of a's kilowg-userspace has waited, most often first.
threads() {
	local task
	for task in "/proc/$(cat "$T/a.pid")/task"/*; do
		grep -q kilowg "$task/comm" && awk '/^voluntary/ { print $2 }' "$task/status"
	done | sort -rn
}
# WORKERS: have two of them moved packets? The sanitizer has a thread of its own.
two_work() { [ "$(threads | sed -n "$(($(threads | grep -c .) - $1 + 2))p")" -gt 20 ]; }

# Background work ends when this file does.
going() { [ -e "$T/going" ]; }

change_peers() {
	local i=0
	while going; do
		i=$((i + 1))
		must on a wg set wg0 peer "$(public_key x)" allowed-ips 10.8.0.0/24,10.7.0.0/16 endpoint 192.0.2.77:1 \
			persistent-keepalive 1
		must on a wg set wg0 peer "$(public_key y)" allowed-ips 10.7.0.0/16,0.0.0.0/0
		must on a wg set wg0 peer "$(public_key b)" allowed-ips 10.9.0.2/32,10.6.0.0/24
		must on a wg set wg0 peer "$(public_key x)" remove peer "$(public_key y)" remove
		must on a wg set wg0 fwmark $((i % 2 * 7)) peer "$(public_key b)" persistent-keepalive $((i % 2))
		echo $i >"$T/changes"
	done
}

change_device() {
	local i=0
	while going; do
		i=$((i + 1))
		# Which worker hears a peer depends on the port.
		must on a wg set wg0 listen-port $((51820 + i % 10))
		must on a ip link set wg0 mtu $((1420 - i % 2 * 20))
		on a ping -c 1 -W 1 -q 10.9.0.2 >/dev/null
		on a wg show wg0 dump >"$T/dump"
	done
	must on a wg set wg0 listen-port 51820
	must on a ip link set wg0 mtu 1420
}

change_link() {
	local i=0
	while going; do
		i=$((i + 1))
		must on c ip link set wg0 down
		must on c ip link set wg0 up
		on c ping -c 20 -i 0.01 -W 1 -q 10.9.0.1 >/dev/null
		echo $i >"$T/downs"
	done
}

# Has enough happened? A slow machine needs more than one round of streams for it.
enough() { [ "$(cat "$T/changes")" -ge 3 ] && [ "$(cat "$T/downs")" -ge 2 ]; }

# NODE ADDRESS OPTION...: a few streams of TCP there.
streams() {
	local node="$1" address="$2"
	shift 2
	on "$node" iperf3 -c "$address" -P 4 -t "$seconds" "$@" >"$T/iperf-$node" 2>&1
}

# WORKERS
try() {
	local node i="" jobs=()
	start a 1 "$1"
	start b 2 "$1"
	start c 3 "$1"
	peer a b 2
	peer a c 3
	peer b a 1
	peer b c 3
	peer c a 1
	peer c b 2
	check "$1 workers: packets pass" wait_for 10 passes a 10.9.0.2
	check "$1 workers: and from c" wait_for 10 passes c 10.9.0.1
	check "$1 workers: so many threads" [ "$(threads | grep -c .)" -ge "$1" ]
	for i in 1 2; do
		on "$([ $i = 1 ] && echo a || echo b)" iperf3 -s -p 5201 >"$T/server$i" 2>&1 &
		jobs+=($!)
	done
	wait_for 10 on a sh -c 'ss -Hltn sport = 5201 | grep -q .'
	wait_for 10 on b sh -c 'ss -Hltn sport = 5201 | grep -q .'
	echo 0 >"$T/changes"
	echo 0 >"$T/downs"
	: >"$T/going"
	change_peers &
	local changer=$!
	change_device &
	local device=$!
	change_link &
	local link=$!
	# b sends to a, a sends to b, and c's sessions are made anew all the time.
	# Which worker has a stream, its ports decide: all may have the same for once.
	for i in 1 2 3 4 5 6 7 8; do
		streams b 10.9.0.1 &
		local first=$!
		streams a 10.9.0.2
		wait $first
		if { enough && two_work "$1"; } || [ "$(cat "$T"/iperf-[ab] | grep -c receiver)" -lt 2 ]; then
			break
		fi
	done
	check "$1 workers: streams to b end well" grep -q 'receiver' "$T/iperf-a"
	check "$1 workers: streams to a end well" grep -q 'receiver' "$T/iperf-b"
	check "$1 workers: more than one moves packets" two_work "$1"
	rm "$T/going"
	wait $changer $device $link
	check "$1 workers: peers were changed meanwhile ($(cat "$T/changes") times)" [ "$(cat "$T/changes")" -ge 3 ]
	check "$1 workers: a link was down meanwhile ($(cat "$T/downs") times)" [ "$(cat "$T/downs")" -ge 2 ]
	check "$1 workers: afterwards packets pass" wait_for 10 passes a 10.9.0.2
	# a's port may have changed while c was down: then c has to hear from a, and a, whose
	# session c has dropped, makes a new one after 15 s.
	check "$1 workers: and to c" wait_for 40 passes a 10.9.0.3
	check "$1 workers: and from c" wait_for 10 passes c 10.9.0.1
	check "$1 workers: and from c to b" wait_for 10 passes c 10.9.0.2
	on b ping -f -c 100000 10.9.0.1 >"$T/flood" 2>&1 &
	jobs+=($!)
	on a ping -f -c 100000 10.9.0.2 >"$T/flood2" 2>&1 &
	jobs+=($!)
	wait_for 10 [ -s "$T/flood2" ]
	for node in a b c; do
		kill -TERM "$(cat "$T/$node.pid")"
		wait "$(cat "$T/$node.pid")"
		is "$1 workers: $node ends well amid traffic" 0 "$?"
		unlike "$1 workers: and has found no fault in itself" "$T/$node.log" 'Sanitizer|runtime error'
	done
	kill "${jobs[@]}" 2>/dev/null
	wait "${jobs[@]}" 2>/dev/null
	for node in a b c; do
		must wait_for 30 gone on $node ip link show wg0
	done
}

for workers in ${KWG_TEST_WORKERS:-2 4}; do
	try "$workers"
done
finish
