#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Routes of the host change 20 times a second, as beside a routing daemon, and 4,000 peers with
# sessions have their endpoints in them: what the packets of another peer wait is as before.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.2 == wg0 10.8.0.2 -- b
#	                                   |
#	                               192.0.2.3 == 4,000 peers -- c
#
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg ping
need_tun
build=${top_builddir:-${lib_dir%/*}/build}
ours=$build/kilowg-userspace
swarm=$build/tests/netns/swarm
[ -x "$ours" ] || cannot "kilowg-userspace is not built"
[ -x "$swarm" ] || cannot "tests/netns/swarm is not built"
: "${PEERS:=4000}"

bridge_add wan
node_add a b c
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
plug c eth0 wan 192.0.2.3/24
for node in a b; do
	WG_PROCESS_FOREGROUND=1 nsenter --net="/run/netns/$node" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$node" "$ours" wg0 >>"$T/$node.log" 2>&1 &
	wait_for 30 daemon_answers "$node" wg0 || { show "$T/$node.log"; bail "$node: kilowg-userspace does not start"; }
	public_key $node >/dev/null
	must on $node wg set wg0 private-key "$T/keys/$node" listen-port 51820
	must on $node ip link set wg0 up
done
must on a ip addr add 10.9.0.1/16 dev wg0
must on a ip route add 10.8.0.2/32 dev wg0
must on b ip addr add 10.8.0.2/32 dev wg0
must on b ip route add 10.9.0.1/32 dev wg0
"$swarm" "$PEERS" | awk '{ printf "[Peer]\nPublicKey = %s\nAllowedIPs = 10.9.%d.%d/32\n", $0, (NR - 1) / 250, (NR - 1) % 250 + 2 }' >"$T/peers"
must on a wg addconf wg0 "$T/peers"
must on a wg set wg0 peer "$(public_key b)" allowed-ips 10.8.0.2/32
must on b wg set wg0 peer "$(public_key a)" allowed-ips 10.9.0.1/32 endpoint 192.0.2.1:51820

mkfifo "$T/hold"
on c "$swarm" "$PEERS" /run/netns/a "$T/nodes/a/wireguard/wg0.sock" "$(public_key a)" stay \
	<"$T/hold" >"$T/swarm" 2>&1 &
exec 9>"$T/hold"
wait_for 60 grep -q sessions "$T/swarm"
is "all peers have a session" "$PEERS sessions" "$(cat "$T/swarm")"
check "and the one more, too" wait_for 10 on b ping -c 1 -W 1 -q 10.9.0.1

# What ping measures: minimum, average, maximum and deviation, in ms.
figures() { on b ping -i 0.01 -c 400 -q 10.9.0.1 | sed -n 's/^rtt .* = \([0-9.\/]*\) ms.*/\1/p'; }
# The first has 4,000 endpoints, the second none; both each 100 ms. With one batch, since a process
# for each would load the machine.
pace=0.05	# the load itself: 20 changes a second
churn() {
	while :; do
		echo 'route add 192.0.2.3/32 dev eth0 metric 5'
		echo 'route add 203.0.113.0/24 dev eth0'
		sleep $pace
		echo 'route del 192.0.2.3/32 dev eth0 metric 5'
		echo 'route del 203.0.113.0/24 dev eth0'
		sleep $pace
	done
}
changes() { on a ip monitor route >"$T/monitor" & }

quiet=$(figures)
changes
monitor=$!
churn 2>/dev/null | ip netns exec a ip -batch - >"$T/batch" 2>&1 &
churning=$!
check "the changes have begun" wait_for 20 grep -q '203\.0\.113' "$T/monitor"
busy=$(figures)
kill $churning $monitor
say "ping, min/avg/max/mdev in ms: $quiet without, $busy with changes"
check "routes changed ($(grep -c '203.0.113' "$T/monitor") notices of one of two)" \
	[ "$(grep -c '203.0.113' "$T/monitor")" -ge 40 ]
# If all 4,000 were looked at with each change, the average would be 36 ms instead of 1.
average() { echo "$1" | cut -d / -f 2; }
like "packets wait on average no longer than four times as long and 5 ms" \
	<(awk -v q="$(average "$quiet")" -v b="$(average "$busy")" 'BEGIN { print (b < 4 * q + 5) ? "yes" : "no" }') yes
check "they still have their sessions" on b ping -c 1 -W 1 -q 10.9.0.1
is "and endpoints" "$PEERS" "$(on a wg show wg0 endpoints | grep -c '192\.0\.2\.3:')"
exec 9>&-
finish
