#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# mtu = auto, for pods behind a follower: networks of several MTUs, WireGuard over
# IPv4 and IPv6, the location without encapsulation, with IPIP and with VXLAN. What
# kilowg computes is the largest packet that goes through whole; one byte more
# does not.
#
#   pod 10.2.2.2        pod 10.2.1.2                             pod 10.2.3.2
#        |                   |                                        |
#        b ------- lan ----- a ---------------- wan ----------------- c
#     .2   10.1.1.0/24   .1     .1  203.0.113.0/24, 2001:db8:0:1::/64  .3
#     ::2  fd00:1::/64  ::1

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft
can_ipv6 || cannot 'the kernel has no IPv6'
protocols=never
for kind in ipip vxlan; do
	arguments='local 192.0.2.1'
	[ $kind = ipip ] || arguments='id 1 dstport 9999'
	# shellcheck disable=SC2086  # words on purpose
	if ip link add probe0 type $kind $arguments 2>/dev/null; then
		ip link del probe0
		protocols="$protocols $kind"
	else
		skip "$kind" 'the kernel does not have it'
	fi
done
choose_backend

bridge_add wan lan
node_add a b c
plug a wan0 wan 203.0.113.1/24 2001:db8:0:1::1/64
plug c wan0 wan 203.0.113.3/24 2001:db8:0:1::3/64
plug a lan0 lan 10.1.1.1/24 fd00:1::1/64
plug b lan0 lan 10.1.1.2/24 fd00:1::2/64
must on c ip addr add 10.1.3.3/24 dev wan0
must on c ip addr add fd00:3::3/64 dev wan0 nodad
pod_add a 10.2.1.0/24
pod_add b 10.2.2.0/24
pod_add c 10.2.3.0/24

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
for node in a b c; do
	on $node nft -f "$T/no-fragments" >"$T/out" 2>&1 || cannot "nft cannot drop fragments here: $(head -n 1 "$T/out")"
done

# PROTOCOL OUTER INNER: never, ipip or vxlan; families of endpoints and of private addresses.
configure() {
	local ea=203.0.113.1 ec=203.0.113.3
	[ "$2" = 4 ] || { ea='[2001:db8:0:1::1]' ec='[2001:db8:0:1::3]'; }
	mesh_begin
	if [ "$1" != never ]; then
		printf '[mesh]\nformat = 1\nencapsulation = always\nencapsulation-protocol = %s\n' "$1" >"$T/mesh.ini"
	fi
	if [ "$3" = 4 ]; then
		set -- 10.1.1.1/24 10.1.1.2/24 10.1.3.3/24
	else
		set -- fd00:1::1/64 fd00:1::2/64 fd00:3::3/64
	fi
	mesh_node a 'location = x' "endpoint = $ea:51820" "internal-ip = $1" 'pod-cidr = 10.2.1.0/24' 'leader = yes'
	mesh_node b 'location = x' 'endpoint = 10.1.1.2:51820' "internal-ip = $2" 'pod-cidr = 10.2.2.0/24'
	mesh_node c 'location = y' "endpoint = $ec:51820" "internal-ip = $3" 'pod-cidr = 10.2.3.0/24'
}

mtu_of() { ip -n "$1" -o link show "$2" 2>/dev/null | sed 's/.* mtu \([0-9]*\) .*/\1/'; }

# SIZE: does a packet that may not be cut get from pod to pod and back?
passes() { on b.pod ping -c 1 -W 2 -M "do" -q -s $(($1 - 28)) 10.2.3.2; }
stopped() { ! on b.pod ping -c 1 -W 0.3 -M "do" -q -s $(($1 - 28)) 10.2.3.2; }

# What routers have said before must not decide. (ip -n, and not on, for speed.)
forget() {
	local name
	for name in a b b.pod; do
		must ip -n $name route flush cache
		must ip -n $name -6 route flush cache
	done
	rm -f "$T"/nodes/*/kilowg/kilo.paths
}

# PROTOCOL: one byte more on all tunnels of a and b, or less again.
widen() {
	local name m
	for name in a/kilo0 a/kilo0-"$1" b/kilo0-"$1"; do
		m=$(mtu_of "${name%/*}" "${name#*/}")
		[ -z "$m" ] || must ip -n "${name%/*}" link set "${name#*/}" mtu $((m + $2))
	done
}

# PROTOCOL OUTER INNER WAN LAN SIZE
exact() {
	local text="$1, WireGuard over IPv$2, private IPv$3, wan $4, lan $5"
	local size="$6" protocol="$1" node pid pids=''
	must ip -n a link set wan0 mtu "$4"
	must ip -n c link set wan0 mtu "$4"
	must ip -n a link set lan0 mtu "$5"
	must ip -n b link set lan0 mtu "$5"
	configure "$1" "$2" "$3"
	forget
	for node in a b c; do
		kwg $node apply >"$T/$node.err" 2>&1 &
		pids="$pids $!"
	done
	for pid in $pids; do wait "$pid" || { fail "$text: apply"; show "$T/a.err"; show "$T/b.err"; return; }; done
	is "$text: the leader's MTU" "$size" "$(mtu_of a kilo0)"
	reaches b.pod 10.2.3.2 >/dev/null || say 'no way at all'
	check "$text: $size bytes pass" passes "$size"
	forget
	widen "$protocol" 1
	check "$text: $((size + 1)) do not" stopped $((size + 1))
	widen "$protocol" -1
	forget
	check "$text: and it was not something else" passes "$size"
}

local_ini
daemons a b c
for protocol in $protocols; do
	for family in 4 6; do
		[ $family = 4 ] && wg=60 || wg=80
		for u in ${KWG_TEST_MTUS:-1500 1450 1400 1280}; do
			exact "$protocol" $family 4 "$u" "$u" $((u - wg))
		done
		# The location's network is the narrower one.
		case $protocol in
		never) exact never $family 4 1500 1450 $((1500 - wg)) ;;
		ipip) exact ipip $family 4 1500 1430 1410 ;;
		vxlan) exact vxlan $family 4 1500 1430 1380 ;;
		esac
	done
done
case $protocols in
*vxlan*)
	exact vxlan 4 6 1500 1500 1430
	exact vxlan 6 6 1500 1500 1420
	exact vxlan 6 6 1500 1490 1420
	exact vxlan 6 6 1500 1489 1419
	;;
esac
finish
