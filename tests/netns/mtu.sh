#!/bin/sh
# SPDX-License-Identifier: ISC
#
# mtu = auto, measured: what kilowg computes is the largest packet that goes through
# without fragments outside of the tunnel, and one byte more does not.
#
#   a ---- wan 203.0.113.0/24, 2001:db8:0:1::/64 ---- c
#   |
#   +----- dsl 198.51.100.0/24 ---------------------- d

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft
can_ipv6 || cannot 'the kernel has no IPv6'
choose_backend

bridge_add wan dsl
node_add a c d
plug a wan0 wan 203.0.113.1/24 2001:db8:0:1::1/64
plug c wan0 wan 203.0.113.3/24 2001:db8:0:1::3/64
plug a dsl0 dsl 198.51.100.1/24
plug d dsl0 dsl 198.51.100.4/24
for wire in w1 w2; do
	must ip link set $wire mtu 9000
done
must on a ip addr add 10.1.1.1/24 dev wan0
must on c ip addr add 10.1.3.3/24 dev wan0
must on d ip addr add 10.1.4.4/24 dev dsl0

# No fragment gets in anywhere, before anything can put it together again.
cat >"$T/no-fragments" <<-'END'
	table inet test {
		chain in {
			type filter hook prerouting priority -450
			ip frag-off & 0x3fff != 0 counter drop
			exthdr frag exists counter drop
		}
	}
END
for node in a c d; do
	on $node nft -f "$T/no-fragments" >"$T/out" 2>&1 || cannot "nft cannot drop fragments here: $(head -n 1 "$T/out")"
done

mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.1.1.1/24' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = 10.1.3.3/24' 'pod-cidr = 10.2.3.0/24'
local_ini
daemons a c d

# NODE [INTERFACE]
mtu_of() { on "$1" ip -o link show "${2:-kilo0}" | sed 's/.* mtu \([0-9]*\) .*/\1/'; }

# NODE ADDRESS: the MTU by which the node sends there.
route_mtu() {
	local m
	m=$(on "$1" ip route get "$2" | sed -n 's/.* mtu \([0-9]*\).*/\1/p')
	echo "${m:-$(mtu_of "$1" "$(on "$1" ip route get "$2" | sed -n 's/.* dev \([^ ]*\).*/\1/p')")}"
}

# NODE ADDRESS SIZE: does an IPv4 packet of this size, that may not be cut, get there and back?
passes() { on "$1" ping -c 1 -W 2 -M do -q -s $(($3 - 28)) "$2"; }
# The same, where it should not; nobody needs to wait long for what has arrived before.
stopped() { ! on "$1" ping -c 1 -W 0.3 -M do -q -s $(($3 - 28)) "$2"; }

# MTU: of the network between a and c.
underlay() {
	must on a ip link set wan0 mtu "$1"
	must on c ip link set wan0 mtu "$1"
}

# NAME SIZE: a and c have this MTU, and it is the largest that works.
exact() {
	expect 0 "$1: apply on a" kwg a apply
	expect 0 "$1: apply on c" kwg c apply
	is "$1: MTU" "$2 $2" "$(mtu_of a) $(mtu_of c)"
	is "$1: a second apply has nothing to do" '' "$(kwg a diff)"
	wait_for 10 on a ping -c 1 -W 1 -q 10.4.0.2 || say 'no way at all'
	check "$1: $2 bytes pass" passes a 10.4.0.2 "$2"
	check "$1: to a private address, too" passes a 10.1.3.3 "$2"
	must on a ip link set kilo0 mtu $(($2 + 1))
	check "$1: $(($2 + 1)) do not" stopped a 10.4.0.2 $(($2 + 1))
	must on a ip link set kilo0 mtu "$2"
	check "$1: and it was not something else" passes a 10.4.0.2 "$2"
}

# ---- the matrix ------------------------------------------------------------

matrix=${KWG_TEST_MTUS:-1500 1492 1450 1400 1280 9000}
for u in $matrix; do
	underlay "$u"
	exact "$u, over IPv4" $((u - 60))
done
mesh_edit a 'endpoint = 203.0.113.1:51820' 'endpoint = [2001:db8:0:1::1]:51820'
mesh_edit c 'endpoint = 203.0.113.3:51820' 'endpoint = [2001:db8:0:1::3]:51820'
for u in $matrix; do
	underlay "$u"
	exact "$u, over IPv6" $((u - 80))
done
finish
