#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Five minutes of a mesh, in seconds: the guest skips all idle time. WireGuard
# makes new session keys every two minutes (REKEY_AFTER_TIME, section 6.1 of its
# paper), and nothing of that is for kilowg to notice.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2034,SC2119
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"
enter_vm --accel uml --time-travel
enter "$@"
need wg ping
backend=kernel
three_nodes
mesh_drop p
sed -i '/^name = c$/a persistent-keepalive = 25' "$T/mesh.ini"
for node in a b c; do
	expect 0 "apply on $node" kwg $node apply
done
check 'packets flow' reaches b 10.2.3.2

begin=$(date +%s)
nsenter --net=/run/netns/b -- ping -i 5 -c 60 -W 5 10.2.3.2 >"$T/ping" 2>&1 &
ping=$!
: >"$T/handshakes"
while kill -0 $ping 2>/dev/null; do
	peer_field a 5 c >>"$T/handshakes"
	sleep 5	# of the guest's time, which costs nothing
done
wait $ping
took=$(($(date +%s) - begin))
say "$took seconds have passed in here"
check 'five minutes have passed' [ $took -ge 290 ]
like 'no packet was lost, while keys changed' "$T/ping" '^60 packets transmitted, 60 received'
handshakes=$(sort -u "$T/handshakes" | grep -c .)
say "handshakes, in seconds since the start: $(sort -u "$T/handshakes" | while read -r t; do
	printf '%s ' $((t - begin)); done)"
check 'at least two new sessions, and no more than every minute' [ "$handshakes" -ge 3 ] &&
	check 'that is not too often' [ "$handshakes" -le 6 ]
expect 0 'status on a: healthy' kwg a status
for node in a b c; do
	expect 0 "diff on $node: no difference" kwg $node diff
done

# Half an hour of silence: keepalives of c hold the session, as they have to behind a NAT.
must sleep 1800
age=$(($(date +%s) - $(peer_field a 5 c)))
check "after half an hour without traffic the session is fresh ($age s)" [ $age -le 185 ]
check 'and carries packets at once' on a ping -c 1 -W 1 -q 10.2.3.2
expect 0 'status on a: healthy' kwg a status
finish
