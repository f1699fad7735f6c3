#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# One mesh of all kinds of WireGuard: the kernel's, wireguard-go, and the
# built-in one where it has been built.
#
#   pod 10.2.1.2   pod 10.2.2.2    pod 10.2.3.2     pod 10.2.4.2
#        |              |               |                |
#        k -----------  m ------------- g -------------- u        wan 203.0.113.0/24
#       .1             .2              .3               .4
#     kernel         kernel       wireguard-go   kilowg-userspace

# shellcheck disable=SC2034,SC2086,SC2119,SC2317  # names are one word
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping wireguard-go
need_tun
has_kernel_wireguard || cannot 'the kernel has no WireGuard'

nodes='k m g'
userspace=${top_builddir:-${KILOWG%/*}}/kilowg-userspace
[ ! -x "$userspace" ] || nodes="$nodes u"

# NODE: what carries its packets.
kind() {
	case $1 in
	k | m) echo kernel ;;
	g) echo wireguard-go ;;
	u) echo kilowg-userspace ;;
	esac
}

pod_of() {
	case $1 in
	m) echo 10.2.2.2 ;;
	g) echo 10.2.3.2 ;;
	esac
}

bridge_add wan
mesh_begin
i=0
for node in $nodes; do
	i=$((i + 1))
	node_add $node
	plug $node wan0 wan 203.0.113.$i/24
	pod_add $node 10.2.$i.0/24
	mesh_node $node "location = $node" "endpoint = 203.0.113.$i:51820" 'internal-ip = -' \
		"pod-cidr = 10.2.$i.0/24"
done
backend=external
local_ini
cp "$T/local.ini" "$T/local.external"
backend=kernel
local_ini
cp "$T/local.ini" "$T/local.kernel"

daemon_start g
if [ -x "$userspace" ]; then
	say "\$ $userspace kilo0"
	must on u "$userspace" kilo0
	wait_for 30 daemon_answers u || bail 'kilowg-userspace does not start'
else
	skip 'kilowg-userspace in the mesh' 'it has not been built'
fi

# NODE ARGUMENT...: kilowg with the backend of the node.
mixed() {
	case $(kind "$1") in
	kernel) cp "$T/local.kernel" "$T/local.ini" ;;
	*) cp "$T/local.external" "$T/local.ini" ;;
	esac
	kwg "$@"
}

for node in $nodes; do
	expect 0 "apply on $node ($(kind $node))" mixed $node apply
done
for from in $nodes; do
	i=0
	for to in $nodes; do
		i=$((i + 1))
		[ $from != $to ] || continue
		check "$from to $to, $(kind $from) to $(kind $to)" reaches $from.pod 10.2.$i.2
	done
done
# In fragments, whose sizes are no multiple of anything.
for node in m g; do
	check "large packets, kernel to $(kind $node)" \
		on k.pod ping -c 3 -i 0.2 -W 2 -q -s 4321 "$(pod_of $node)"
done
for node in $nodes; do
	expect 0 "status on $node: healthy" mixed $node status
	expect 0 "diff on $node: no difference" mixed $node diff
done
for node in $nodes; do
	expect 0 "down on $node" mixed $node down
done
finish
