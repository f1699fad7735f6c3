#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Private networks that are no network on an interface, and filters for reverse paths.
#
#                   router, which answers for nobody else
#           10.1.1.254 |                          | 10.1.2.254
#     b .2 -- lan1 -- a .1                        d .4     each has its address with /32
#                     |
#                     wan -- c
#
# The topology is that of two_subnets in tests/lib.sh.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft python3
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend

two_subnets
daemons a b c d
mesh_set encapsulation-protocol vxlan
mesh_set encapsulation always

location() { reaches a.pod 10.2.2.2 10.2.4.2 && reaches b.pod 10.2.4.2 && reaches d.pod 10.2.1.2 10.2.2.2; }
elsewhere() { reaches c.pod 10.2.2.2 10.2.4.2 && reaches d.pod 10.2.3.2; }
# NODE: what stands in the way there.
live() { kwg "$1" check --live >"$T/live" 2>&1 || show "$T/live"; }

# ---- a filter for reverse paths, as NixOS has it ----

must on a nft -f - <<'END'
table inet nixos-fw {
	chain rpfilter {
		type filter hook prerouting priority mangle + 10; policy drop;
		jump rpfilter-allow
		fib saddr . mark . iif oif exists accept
	}
	chain rpfilter-allow {
	}
}
END
check "reverse paths: apply" apply_all a b c d
check "reverse paths: pods" location
check "reverse paths: pods elsewhere" elsewhere
check "reverse paths: a node and another location do not reach each other" unreachable c 10.1.2.4
live a
like "reverse paths: the leader names the chain and what helps" "$T/live" \
	'inet nixos-fw rpfilter.*accept iifname "kilo0-vxlan"'
live c
unlike "reverse paths: others do not" "$T/live" rpfilter
# What it says helps.
must on a nft add rule inet nixos-fw rpfilter-allow iifname kilo0-vxlan accept
check "reverse paths: with what it says they do" reaches c 10.1.2.4
must on a nft delete table inet nixos-fw
live a
unlike "reverse paths: without a filter nothing is said" "$T/live" 'reverse path'

# ---- /32 behind a gateway, as in clouds ----

# NODE ADDRESS GATEWAY: the address without a network.
alone() {
	must on "$1" ip addr del "$2/24" dev lan0
	must on "$1" ip addr add "$2/32" dev lan0
	must on "$1" ip route replace "$3" dev lan0 scope link
	must on "$1" ip route replace 10.1.0.0/16 via "$3" dev lan0
	mesh_edit "$1" "internal-ip = $2/24" "internal-ip = $2/32"
}
alone a 10.1.1.1 10.1.1.254
alone b 10.1.1.2 10.1.1.254
alone d 10.1.2.4 10.1.2.254
for encapsulation in always cross-subnet; do
	mesh_set encapsulation $encapsulation
	check "/32, $encapsulation: apply" apply_all a b c d
	check "/32, $encapsulation: pods" location
	check "/32, $encapsulation: pods elsewhere" elsewhere
	live a
	unlike "/32, $encapsulation: nothing is said" "$T/live" 'through the gateway'
done
mesh_set encapsulation never
check "/32, never: apply" apply_all a b c d
on a ip route show 10.2.2.0/24 >"$T/route"
like "/32, never: routes go by way of the gateway" "$T/route" 'via 10\.1\.1\.254 '
live a
like "/32, never: what the gateway has to know is said" "$T/live" \
	'10\.1\.1\.254, which needs routes.*encapsulation = always'
# As a route of the cloud would have it.
must on router ip route add 10.2.1.0/24 via 10.1.1.1
must on router ip route add 10.2.2.0/24 via 10.1.1.2
must on router ip route add 10.2.4.0/24 via 10.1.2.4
must on router ip route add 10.2.3.0/24 via 10.1.1.1
check "/32, never: pods, with routes of the gateway" location
check "/32, never: pods elsewhere, with routes of the gateway" elsewhere
expect 0 "/32, never: then there is no difference" kwg a diff

# ---- the address on the loopback interface ----

# NODE ADDRESS LINK-ADDRESS GATEWAY: routed to the node.
loopback() {
	must on "$1" ip route flush dev lan0
	must on "$1" ip addr del "$2/32" dev lan0
	must on "$1" ip addr add "$3/24" dev lan0
	must on "$1" ip addr add "$2/32" dev lo
	must on "$1" ip route replace 10.1.0.0/16 via "$4" dev lan0 src "$2"
	must on router ip route replace "$2/32" via "$3"
}
must on router ip addr add 10.9.1.254/24 dev lan1
must on router ip addr add 10.9.2.254/24 dev lan2
loopback a 10.1.1.1 10.9.1.1 10.9.1.254
loopback b 10.1.1.2 10.9.1.2 10.9.1.254
loopback d 10.1.2.4 10.9.2.4 10.9.2.254
must on a ip link set lan0 mtu 1400
for encapsulation in never always; do
	mesh_set encapsulation $encapsulation
	check "lo, $encapsulation: apply" apply_all a b c d
	check "lo, $encapsulation: pods" location
	check "lo, $encapsulation: pods elsewhere" elsewhere
	expect 0 "lo, $encapsulation: then there is no difference" kwg a diff
done
on a ip link show kilo0-vxlan >"$T/link"
like "lo: the tunnel fits into the way" "$T/link" 'mtu 1350 '

finish
