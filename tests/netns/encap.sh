#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Encapsulation within a location of two subnets: what goes over the wire, and
# what is on the hosts.
#
# The topology is that of two_subnets in tests/lib.sh.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft python3
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend

two_subnets
daemons a b c d

# As on distributions that drop what comes from where no packet would be sent back to.
for node in a b d; do
	must on $node sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 >$f || exit; done'
done

# What arrives over the private network, by its outer header.
for node in a b d; do
	on $node nft -f - <<-'END' || bail 'no counters'
		table inet look {
			chain in {
				type filter hook prerouting priority -300;
				iifname "lan0" meta l4proto 4 counter comment "ipip"
				iifname "lan0" udp dport 4789 counter comment "vxlan"
				iifname "lan0" meta l4proto { icmp, ipv6-icmp } counter comment "plain"
			}
		}
	END
done
# NODE: packets, one number each.
counters() { on "$1" nft list chain inet look in | sed -n 's/.* packets \([0-9]*\) .*/\1/p' | tr '\n' ' '; }

# TEXT FORM FROM ADDRESS NODE: ping it; in which form do the packets reach NODE?
wire() {
	local before='' got
	check "$1: a way there and back" reaches "$3" "$4"
	before=$(counters "$5")
	must on "$3" ping -c 10 -i 0.1 -W 2 -q "$4"
	# Neighbour discovery, and what is said of groups, may add a few.
	got=$(echo "$before $(counters "$5")" | awk '{
		if ($4 - $1 > 7) print "ipip"
		if ($5 - $2 > 7) print "vxlan"
		if ($6 - $3 > 7) print "plain"
	}')
	is "$1: $2 on the wire" "$2" "$got"
}

cat >"$T/tcp.py" <<'END'
import socket, sys
# to ADDRESS: sends a megabyte and waits until all is there. at ADDRESS FILE: takes it.
what, address = sys.argv[1:3]
family = socket.AF_INET6 if ':' in address else socket.AF_INET
s = socket.socket(family)
s.settimeout(60)
if what == 'at':
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind((address, 7777))
	s.listen()
	open(sys.argv[3], 'w').close()
	s, _ = s.accept()
	n = 0
	while True:
		got = s.recv(65536)
		if not got:
			break
		n += len(got)
	s.sendall(b'%d' % n)
else:
	s.connect((address, 7777))
	s.sendall(b'x' * 1000000)
	s.shutdown(socket.SHUT_WR)
	print(s.recv(99).decode())
END

# TEXT FROM TO ADDRESS: a megabyte over TCP. With a wrong MTU it would hang.
tcp() {
	rm -f "$T/ready"
	on "$3" python3 "$T/tcp.py" at "$4" "$T/ready" &
	wait_for 60 test -e "$T/ready"
	is "$1" 1000000 "$(on "$2" timeout 60 python3 "$T/tcp.py" to "$4" 2>&1)"
	wait $!
}

# TEXT: applies everywhere.
apply_everywhere() {
	check "$1: apply on all nodes" apply_all a b c d
	is "$1: it is silent" '' "$(cat "$T/err")"
	for node in a b c d; do
		expect 0 "$1: then there is no difference on $node" kwg $node diff
	done
	if can_strace; then
		traced_kwg "$T/trace" a apply
		is "$1: a second apply sends nothing" 0 "$(count_mutations "$T/trace")"
	fi
}

# ---- laptop ----

laptop_joins 10.2.0.0/16 10.1.0.0/16

# Everything from everywhere that depends on encapsulation.
everything() {
	check "$1: pods of the location, from pods, nodes, another location and the laptop" reaches_all
}
reaches_all() {
	reaches a.pod 10.2.2.2 10.2.4.2 10.1.1.2 10.1.2.4 && reaches b.pod 10.2.4.2 10.2.3.2 10.5.0.1 &&
		reaches d.pod 10.2.1.2 10.2.3.2 10.1.1.1 10.5.0.1 && reaches d 10.2.2.2 10.2.3.2 &&
		reaches c.pod 10.2.2.2 10.2.4.2 10.1.2.4 && reaches laptop 10.2.2.2 10.2.4.2 10.1.1.2
}

# ---- what is not there, and what must not be touched ----

must on a ip link add tunl9 type vxlan id 42 dstport 4789 local 10.1.1.1 nolearning
must on a ip link set tunl9 up
if has_ipip; then
	# The device without addresses that comes with the module, as Calico and Kilo use it.
	on a ip link show tunl0 >/dev/null 2>&1 || must on a ip link add tunl0 type ipip
	must on a ip addr add 10.66.0.1/32 dev tunl0
	must on a ip link set tunl0 up
fi
foreign() {
	on a ip -d addr show tunl9
	on a bridge fdb show dev tunl9
	! has_ipip || on a ip -d addr show tunl0
}
foreign | sed 's/ qdisc.*//' >"$T/foreign"
for node in a b c d; do down_state $node >"$T/$node.fresh"; done

if ! has_ipip; then
	mesh_set encapsulation always
	expect 2 'a kernel without IPIP: refused' kwg a apply
	like 'with a way out' "$T/err" 'no IPIP tunnels.*encapsulation-protocol = vxlan'
	kwg a down
	down_state a >"$T/a.now"
	same 'and nothing is left behind' "$T/a.fresh" "$T/a.now"
fi

# ---- never, where the subnet is one ----

mesh_set encapsulation never
apply_everywhere never
check 'never: no tunnel' gone on a ip link show kilo0-ipip
wire 'never: in the subnet' plain a.pod 10.2.2.2 b
wire 'never: from elsewhere' plain c.pod 10.2.2.2 b

# ---- one protocol after the other ----

# PROTOCOL DEVICE: how many of three packets from the router to b come out of b's tunnel?
stranger() {
	local id
	id=$(kwg b plan | sed -n 's/^vxlan id \([0-9]*\) .*/\1/p')
	case $1 in
	ipip) must on router ip link add false0 type ipip local 10.1.1.254 remote 10.1.1.2 ;;
	vxlan) must on router ip link add false0 type vxlan id "$id" dstport 4789 local 10.1.1.254 remote 10.1.1.2 ;;
	esac
	must on router ip link set false0 up
	must on router ip route add 10.2.2.0/24 dev false0 src 10.1.1.254
	[ $1 = ipip ] || must on router ip neigh add 10.2.2.2 dev false0 nud permanent \
		lladdr "$(on b ip -br link show "$2" | awk '{ print $3 }')"
	on b nft add table inet strange
	on b nft add chain inet strange in '{ type filter hook prerouting priority -300 ; }'
	on b nft add rule inet strange in iifname "$2" ip saddr 10.1.1.254 icmp type echo-request counter
	on router ping -c 3 -i 0.2 -W 1 -q 10.2.2.2 >/dev/null
	on b nft list chain inet strange in | sed -n 's/.* packets \([0-9]*\) .*/\1/p'
	must on b nft delete table inet strange
	must on router ip link del false0
}

# NAME FORM DEVICE: all cases with it.
protocol() {
	mesh_set encapsulation always
	mesh_set encapsulation-protocol $1
	expect 3 "$1: diff" kwg a diff
	like "$1: the device is a step" "$T/out" "^\\+ link $3 type $1 local 10\\.1\\.1\\.1 .*mtu $4\$" \
		"^\\+ route 10\\.2\\.2\\.0/24 via 10\\.1\\.1\\.2 dev $3 src 10\\.1\\.1\\.1 onlink\$|^~ route 10\\.2\\.2\\.0/24 via 10\\.1\\.1\\.2 dev $3 "
	sed 's/^/#   /' "$T/out"
	apply_everywhere "$1, always"
	run on a ip -d link show $3
	like "$1: it carries our mark" "$T/out" 'alias kilowg mesh=kilo protocol=107 tunnel'
	run kwg b status
	like "$1: status shows it" "$T/out" "^tunnel $3: up, mtu $4, $1\$"
	wire "$1, always: in the subnet" $1 a.pod 10.2.2.2 b
	wire "$1, always: across subnets" $1 b.pod 10.2.4.2 d
	wire "$1, always: a node to a pod" $1 b 10.2.4.2 d
	wire "$1, always: a pod to a private address" $1 b.pod 10.1.2.4 d
	wire "$1, always: another location, by way of the leader" $1 c.pod 10.2.4.2 d
	wire "$1, always: and its private addresses" $1 c.pod 10.1.2.4 d
	wire "$1, always: the laptop" $1 laptop 10.2.2.2 b
	wire "$1, always: a pod to the laptop" $1 d.pod 10.5.0.1 a
	everything "$1, always"
	tcp "$1, always: TCP across subnets" b.pod d.pod 10.2.4.2
	tcp "$1, always: TCP from another location" c.pod d.pod 10.2.4.2

	# The router is no node: what it encapsulates is not taken, unless nothing filters.
	is "$1: packets of a stranger" 0 "$(stranger $1 $3)"
	must on b nft delete table inet kilowg-kilo
	is "$1: which would be taken without the firewall" 3 "$(stranger $1 $3)"
	must kwg b apply

	mesh_set encapsulation cross-subnet
	apply_everywhere "$1, cross-subnet"
	wire "$1, cross-subnet: in the subnet" plain a.pod 10.2.2.2 b
	wire "$1, cross-subnet: across subnets" $1 b.pod 10.2.4.2 d
	wire "$1, cross-subnet: another location, far node" $1 c.pod 10.2.4.2 d
	wire "$1, cross-subnet: another location, near node" plain c.pod 10.2.2.2 b
	everything "$1, cross-subnet"
}

protocol vxlan vxlan kilo0-vxlan 1450
! has_ipip || protocol ipip ipip kilo0-ipip 1480
# Of others' VXLAN on the same port nothing is dropped.
must on router ip link add false0 type vxlan id 42 dstport 4789 local 10.1.1.254 remote 10.1.1.1
must on router ip link set false0 address 02:00:00:00:00:99 up
must on router ip addr add 10.77.0.2/24 dev false0
must on router ip neigh add 10.77.0.1 dev false0 nud permanent \
	lladdr "$(on a ip -br link show tunl9 | awk '{ print $3 }')"
before=$(on a ip -s -j link show tunl9 | sed 's/.*"rx":{"bytes":[0-9]*,"packets":\([0-9]*\).*/\1/')
on router ping -c 3 -i 0.2 -W 1 -q 10.77.0.1 >/dev/null
after=$(on a ip -s -j link show tunl9 | sed 's/.*"rx":{"bytes":[0-9]*,"packets":\([0-9]*\).*/\1/')
check "others' VXLAN on the same port is let in" [ "$((after - before))" -ge 3 ]
foreign | sed 's/ qdisc.*//' >"$T/now"
same "others' tunnels are as they were" "$T/foreign" "$T/now"

# ---- down ----

for node in a b c d; do
	expect 0 "down on $node" kwg $node down
	down_state $node >"$T/$node.now"
	same 'leaves links, addresses, neighbours, routes and rules as they were' "$T/$node.fresh" "$T/$node.now"
done
finish
