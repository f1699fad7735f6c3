#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A device that was made anew speaks first: what others send to it arrives at
# once, and not when they find out after 15 seconds that their session is gone.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2016,SC2046,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
choose_backend
[ "$backend" != external ] || cannot "kilowg makes no device here"
three_nodes

daemon_of() { cat "$T/daemon.comm" 2>/dev/null || printf %.15s "${userspace:-}"; }

# NODE: takes the device away, as a crash does.
lose_device() {
	local p inode
	if [ "$backend" = kernel ]; then
		must on "$1" ip link del kilo0
		return
	fi
	inode=$(on "$1" stat -Lc %i /proc/self/ns/net)
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" = "$(daemon_of)" ] || continue
		[ "$(stat -Lc %i "$p/ns/net")" != "$inode" ] || kill -KILL "${p#/proc/}"
	done
	must wait_for 30 gone on "$1" ip link show kilo0
}

sent_in_vain() { [ "$(peer_field b 7 c)" -gt 0 ] && ! has_handshake b c; }

# TEXT: c has a session with a, loses a, and a comes back; only c says anything.
resumes() {
	check "$1: c reaches a" reaches c 10.2.1.2
	lose_device a
	expect 0 "$1: a has lost its device, and applies" kwg a apply
	check "$1: what c begins arrives at once" wait_for 4 on c ping -c 1 -W 1 -q 10.2.1.2
	expect 0 "$1: no difference is left" kwg a diff
	is "$1: the persistent keepalive is the wanted one" "$2" "$(peer_field a 8 c)"
}

# No packet of the hosts themselves may do it: routers and neighbours have their say by IPv6.
for node in a c; do
	on $node sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6' 2>/dev/null
done
must apply_all a b c
resumes "$backend" off

# ---- and not otherwise ----

# Bytes that a has sent to the peer that never answers.
sent_to_p() { peer_field a 7 p; }
lose_device a
must kwg a apply
check 'a peer that does not answer was spoken to, too' wait_for 5 [ "$(sent_to_p)" -gt 0 ]
on a wg set kilo0 peer "$(public_key p)" endpoint 203.0.113.102:51820
before=$(sent_to_p)
expect 0 'an apply that makes no device' kwg a apply
is 'is silent' "$before" "$(sent_to_p)"

# ---- another leader ----

# b has applied before c, which does not know it yet: what b sends is lost, and tried again after 5 seconds.
plug b wan0 wan 203.0.113.2/24
mesh_edit b 'endpoint = 10.1.1.2:51820' 'endpoint = 203.0.113.2:51820'
mesh_edit b '' 'leader = no'
must apply_all a b c
mesh_edit a 'leader = yes' 'leader = no'
mesh_edit b 'leader = no' 'leader = yes'
must kwg b apply
must kwg a apply
check 'the new leader has tried to reach the others' wait_for 5 sent_in_vain
expect 0 'another leader applies after it' kwg c apply
check 'and speaks first' wait_for 2 has_handshake c b
mesh_edit b 'leader = yes' 'leader = no'
mesh_edit a 'leader = no' 'leader = yes'
must apply_all a b c

# ---- persistent keepalives ----

mesh_edit a '' 'persistent-keepalive = 25s'
must apply_all a b c
resumes 'with keepalives' 25

# ---- wireguard-go ----

if [ "$backend" = userspace ] && command -v wireguard-go >/dev/null && [ "$userspace" != wireguard-go ]; then
	kwg a down >/dev/null 2>&1
	mesh_edit a 'persistent-keepalive = 25s' ''
	must apply_all b c
	printf '#!/bin/sh\nLOG_LEVEL=error exec wireguard-go "$1"\n' >"$T/userspace"
	chmod +x "$T/userspace"
	KILOWG_USERSPACE=$T/userspace
	echo wireguard-go >"$T/daemon.comm"
	must kwg a apply
	resumes wireguard-go off
else
	skip 'wireguard-go' 'there is none, or it is the only one'
fi

finish
