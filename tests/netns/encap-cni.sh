#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Encapsulation by other CNIs: devices as flannel and Cilium would make them. And
# VXLAN between private addresses of IPv6. The topology is that of two_subnets in
# tests/lib.sh.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft bridge
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend
two_subnets
daemons a b c d
must on a ip route add 10.99.0.0/16 via 10.1.1.254	# of somebody else

for node in a b d; do
	on $node nft -f - <<-'END' || bail 'no counters'
		table inet look {
			chain in {
				type filter hook prerouting priority -300;
				iifname "lan0" udp dport { 8472, 8473 } counter comment "cni"
				iifname "lan0" udp dport 4789 counter comment "vxlan"
				iifname "lan0" meta l4proto { icmp, ipv6-icmp } counter comment "plain"
			}
		}
	END
done
counters() { on "$1" nft list chain inet look in | sed -n 's/.* packets \([0-9]*\) .*/\1/p' | tr '\n' ' '; }

# TEXT FORM FROM ADDRESS NODE: ping it; in which form do the packets reach NODE?
wire() {
	local before got
	check "$1: a way there and back" reaches "$3" "$4"
	before=$(counters "$5")
	must on "$3" ping -c 3 -i 0.2 -W 2 -q "$4"
	# Neighbour discovery may add one or two.
	got=$(echo "$before $(counters "$5")" | awk '{
		if ($4 - $1 > 2) print "cni"
		if ($5 - $2 > 2) print "vxlan"
		if ($6 - $3 > 2) print "plain"
	}')
	is "$1: $2 on the wire" "$2" "$got"
}

# After a new start of WireGuard on a, which c does not know of: WireGuard waits 15 seconds to see it.
new_session() { must reaches a 10.2.3.2; }

overlay_mac() { echo "0a:00:00:00:00:0$1"; }

# NODE NAME ID PORT LAST: a VXLAN device with the address 10.X.N.LAST and entries for all other
# nodes, as flannel makes it: the address is the first of the pod CIDR, and pods are routed to it.
overlay() {
	local node="$1" name="$2" id="$3" port="$4" net="$5" last="$6" other me
	for other in 'a 1 10.1.1.1' 'b 2 10.1.1.2' 'd 4 10.1.2.4'; do
		# shellcheck disable=SC2086  # words on purpose
		set -- $other
		[ "$1" = "$node" ] && me=$2 && must on "$node" ip link add "$name" address \
			"$(overlay_mac "$2")" type vxlan id "$id" dstport "$port" local "$3" nolearning
	done
	must on "$node" ip addr add "10.$net.$me.$last/32" dev "$name"
	must on "$node" ip link set "$name" mtu 1450 up
	for other in 'a 1 10.1.1.1' 'b 2 10.1.1.2' 'd 4 10.1.2.4'; do
		# shellcheck disable=SC2086
		set -- $other
		[ "$1" != "$node" ] || continue
		must on "$node" ip neigh add "10.$net.$2.$last" lladdr "$(overlay_mac "$2")" dev "$name" nud permanent
		must on "$node" bridge fdb add "$(overlay_mac "$2")" dev "$name" dst "$3"
		must on "$node" ip route add "10.$net.$2.0/24" via "10.$net.$2.$last" dev "$name" onlink
	done
}

cni_state() {
	down_state "$1"
	on "$1" ip neigh show nud permanent | sort
	on "$1" bridge fdb show | sort
}

# ---- flannel ----

mesh_set encapsulation always
mesh_set compatibility flannel
expect 0 'check' kwg a check
like 'says what flannel does itself' "$T/err" 'warning: manage-local-routes: flannel makes the routes'
run kwg b plan
unlike 'no address for a tunnel of our own' "$T/out" '^tunnel-address'
echo 'manage-local-routes = no' >>"$T/local.ini"
expect 0 'check' kwg a check
is 'says nothing any more' '' "$(cat "$T/err")"
down_state b >"$T/b.before"
expect 2 'without flannel: diff says what is missing' kwg b diff
like 'by name' "$T/err" 'flannel\.1: there is no such interface; .*flannel has to make it'
expect 2 'apply waits, and then fails' kwg b apply
like 'and says for whom it waited' "$T/err" 'flannel\.1: the interface did not appear within interface-timeout.*flannel makes it'
down_state b >"$T/b.now"
same 'nothing is changed' "$T/b.before" "$T/b.now"

# It comes while apply waits.
sed -i 's/^interface-timeout = .*/interface-timeout = 30s/' "$T/local.ini"
kwg b apply >"$T/b.out" 2>"$T/b.err" &
pid=$!
waits() { readlink "/proc/$(pgrep -n -x kilowg)/fd/"* | grep -q '\.lock$'; }
wait_for 30 waits
for node in a b d; do overlay $node flannel.1 1 8472 2 0; done
status=0
wait $pid || status=$?
is 'flannel comes while apply waits' 0 "$status"
show "$T/b.err"
must kwg b down
for node in a b d; do cni_state $node >"$T/$node.before"; done
expect 0 'apply' apply_all a b c d
expect 0 'then there is no difference' kwg b diff
check 'no tunnel of our own' gone on b ip link show kilo0-ipip
run on b ip route get 10.2.3.2
like "others' pods by way of the leader's end of the overlay" "$T/out" 'via 10\.2\.1\.0 dev flannel\.1'
wire 'flannel: pods of the location' cni b.pod 10.2.4.2 d
wire 'flannel: another location' cni c.pod 10.2.4.2 d
wire 'flannel: its private addresses, to the far node' cni c.pod 10.1.2.4 d
wire 'flannel: its private addresses, to the near node' cni c.pod 10.1.1.2 b
wire 'flannel: from a follower to another location' cni d.pod 10.2.3.2 a
mesh_set encapsulation cross-subnet
expect 0 'cross-subnet' apply_all a b c d
wire 'flannel, cross-subnet: another location' cni c.pod 10.2.4.2 d
if [ "$backend" != external ]; then
	for node in a b d; do
		expect 0 'down' kwg $node down
		cni_state $node >"$T/$node.now"
		same "leaves what is flannel's" "$T/$node.before" "$T/$node.now"
	done
else
	expect 0 'down' apply_all a b d
fi
for node in a b d; do must on $node ip link del flannel.1; done

# ---- cilium ----

mesh_set encapsulation always
mesh_set compatibility cilium
if has_ipip; then
	for node in a b d; do overlay $node cilium_host 2 8473 10 17; done
	# Cilium routes pods itself.
	must on a ip route add 10.2.4.0/24 via 10.10.4.17 dev cilium_host onlink
	expect 1 'cilium, and no address of the node in its overlay: refused' kwg b apply
	like 'with what is missing' "$T/err" 'no cni-compatibility-ip, and there is no interface cilium_tunl'
	mesh_edit a '' 'cni-compatibility-ip = 10.10.1.17'
	mesh_edit b '' 'cni-compatibility-ip = 10.10.2.17'
	mesh_edit d '' 'cni-compatibility-ip = 10.10.4.17'
	expect 0 'cilium: apply' apply_all a b c d
	new_session
	expect 0 'then there is no difference' kwg b diff
	run on b ip -d link show kilo0-ipip
	like 'the tunnel goes over the overlay' "$T/out" 'ipip remote any local 10\.10\.2\.17' 'mtu 1430'
	wire 'cilium: another location' cni c.pod 10.2.4.2 d
	wire 'cilium: its private addresses' cni c.pod 10.1.2.4 d
	for node in a b d; do kwg $node down; done
	check 'down removes our tunnel' gone on b ip link show kilo0-ipip
	check "and leaves cilium's" on b ip link show cilium_host

	# With enable-ipip-termination there is a device of its own.
	for node in a b d; do
		on $node ip link show tunl0 >/dev/null 2>&1 || must on $node ip link add tunl0 type ipip
		must on $node ip link set tunl0 down
		must on $node ip link set tunl0 name cilium_tunl
	done
	expect 0 "cilium's own tunnel: apply" apply_all a b c d
	new_session
	check 'no tunnel of our own' gone on b ip link show kilo0-ipip
	wire "cilium's own tunnel: another location" cni c.pod 10.2.4.2 d
	for node in a b d; do kwg $node down; done
	check 'down leaves it' on b ip link show cilium_tunl
	for node in a b d; do must on $node ip link del cilium_host; done
else
	skip 'cilium' 'the kernel has no IPIP'
fi

# ---- private addresses of IPv6 ----

mesh_set compatibility none
sed -i '/^manage-local-routes/d' "$T/local.ini"
if can_ipv6; then
	must on router sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	must on router ip addr add fd10:1::fe/64 dev lan1 nodad
	must on router ip addr add fd10:2::fe/64 dev lan2 nodad
	for line in 'a fd10:1::1' 'b fd10:1::2' 'd fd10:2::4'; do
		# shellcheck disable=SC2086  # words on purpose
		set -- $line
		must on $1 ip addr add $2/64 dev lan0 nodad
		must on $1 ip route add fd10::/16 via "${2%:*}:fe"
		mesh_edit $1 "$(section_of $1 | grep internal-ip)" "internal-ip = $2/64"
	done
	expect 0 'check' kwg b check
	like 'says that IPIP cannot do it' "$T/err" 'IPIP goes over IPv4 only.*encapsulation-protocol = vxlan'
	expect 1 'apply refuses' kwg b apply
	like 'with a way out' "$T/err" 'IPv6 address fd10:1::2, and IPIP goes over IPv4 only; set encapsulation-protocol = vxlan'
	mesh_set encapsulation-protocol vxlan
	expect 0 'VXLAN over IPv6: apply' apply_all a b c d
	new_session
	expect 0 'then there is no difference' kwg b diff
	run on b ip -d link show kilo0-vxlan
	like 'with room for its headers' "$T/out" 'mtu 1430' 'local fd10:1::2'
	for i in 1 4; do
		node=$(echo a b c d | cut -d " " -f $i)
		wire "VXLAN over IPv6: IPv4 pods of $node" vxlan b.pod 10.2.$i.2 $node
		wire "VXLAN over IPv6: IPv6 pods of $node" vxlan b.pod fd02:$i::2 $node
	done
	wire 'VXLAN over IPv6: IPv6 pods from another location' vxlan c.pod fd02:4::2 d
	wire 'VXLAN over IPv6: IPv4 pods from another location' vxlan c.pod 10.2.4.2 d
	wire 'VXLAN over IPv6: private addresses' vxlan b.pod fd10:2::4 d
	mesh_set encapsulation cross-subnet
	expect 0 'cross-subnet: apply' apply_all a b c d
	wire 'cross-subnet: IPv6 pods in the subnet' plain a.pod fd02:2::2 b
	wire 'cross-subnet: IPv4 pods in the subnet, which has no way for them' vxlan a.pod 10.2.2.2 b
	wire 'cross-subnet: IPv6 pods across subnets' vxlan b.pod fd02:4::2 d
	for node in a b d; do expect 0 'down' kwg $node down; done
	check 'removes the tunnel' gone on b ip link show kilo0-vxlan
else
	skip 'private addresses of IPv6' 'the kernel has no IPv6'
fi
finish
