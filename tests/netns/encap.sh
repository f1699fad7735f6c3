#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Encapsulation within a location of two subnets: what goes over the wire, and
# what is on the hosts.
#
#   pod 10.2.2.2        pod 10.2.1.2                    pod 10.2.3.2
#        |                   |                               |
#        b ------ lan1 ----- a ------------- wan ----------- c
#     .2   10.1.1.0/24    .1 | .1       203.0.113.0/24   .3    .5 laptop 10.5.0.1
#              | .254
#            router
#              | .254
#             lan2 10.1.2.0/24 --- .4 d --- pod 10.2.4.2
#
# All pods have fd02:N::2, too. The router knows nothing of pods.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft python3
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
ip link add probe0 type vxlan id 1 dstport 9999 2>/dev/null || cannot 'the kernel has no VXLAN'
ip link del probe0
has_ipip=no
ip link add probe0 type ipip local 192.0.2.1 2>/dev/null && ip link del probe0 && has_ipip=yes
choose_backend

bridge_add wan lan1 lan2
node_add a b c d laptop
must ip netns add router
must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
plug router lan1 lan1 10.1.1.254/24
plug router lan2 lan2 10.1.2.254/24
plug a wan0 wan 203.0.113.1/24
plug c wan0 wan 203.0.113.3/24 10.1.3.3/24
plug laptop wan0 wan 203.0.113.5/24
plug a lan0 lan1 10.1.1.1/24
plug b lan0 lan1 10.1.1.2/24
plug d lan0 lan2 10.1.2.4/24
must on a ip route add 10.1.2.0/24 via 10.1.1.254
must on b ip route add 10.1.2.0/24 via 10.1.1.254
must on d ip route add default via 10.1.2.254
pods=
i=0
for node in a b c d; do
	i=$((i + 1))
	if can_ipv6; then
		pod_add $node 10.2.$i.0/24 fd02:$i::/64
	else
		pod_add $node 10.2.$i.0/24
	fi
	pods="$pods $node"
done
pod_cidr() { echo "pod-cidr = 10.2.$1.0/24$(can_ipv6 && echo ", fd02:$1::/64")"; }

mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.1.1.1/24' \
	"$(pod_cidr 1)" 'leader = yes'
mesh_node b 'location = x' 'endpoint = 10.1.1.2:51820' 'internal-ip = 10.1.1.2/24' "$(pod_cidr 2)"
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = 10.1.3.3/24' "$(pod_cidr 3)"
mesh_node d 'location = x' 'endpoint = 10.1.2.4:51820' 'internal-ip = 10.1.2.4/24' "$(pod_cidr 4)"
mesh_peer laptop 'endpoint = 203.0.113.5:51820' 'allowed-ip = 10.5.0.1/32'
local_ini 'interface-timeout = 1s'
sed '/^firewall/d' "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"
daemons a b c d

# KEY VALUE: of [mesh].
mesh_set() {
	grep -v "^$1 = " "$T/mesh.ini" | sed "s/^format = 1/&\\
$1 = $2/" >"$T/mesh.new"
	mv "$T/mesh.new" "$T/mesh.ini"
}

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
	must on "$3" ping -c 3 -i 0.2 -W 2 -q "$4"
	# Neighbour discovery may add one or two.
	got=$(echo "$before $(counters "$5")" | awk '{
		if ($4 - $1 > 2) print "ipip"
		if ($5 - $2 > 2) print "vxlan"
		if ($6 - $3 > 2) print "plain"
	}')
	is "$1: $2 on the wire" "$2" "$got"
}

cat >"$T/tcp.py" <<'END'
import socket, sys
# to ADDRESS: sends a megabyte and waits until all is there. at ADDRESS FILE: takes it.
what, address = sys.argv[1:3]
family = socket.AF_INET6 if ':' in address else socket.AF_INET
s = socket.socket(family)
s.settimeout(15)
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
	wait_for 20 test -e "$T/ready"
	is "$1" 1000000 "$(on "$2" timeout 20 python3 "$T/tcp.py" to "$4" 2>&1)"
	wait $!
}

# Applies on all nodes at once, so that none waits long for the others.
apply_all() {
	local node pids=''
	for node in a b c d; do
		kwg $node apply >"$T/$node.out" 2>"$T/$node.err" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || fail "$1: apply"
	done
	cat "$T"/?.err >"$T/err"
	is "$1: apply on all nodes is silent" '' "$(cat "$T/err")"
	for node in a b c d; do
		expect 0 "$1: then there is no difference on $node" kwg $node diff
	done
	if can_strace; then
		traced_kwg "$T/trace" a apply
		is "$1: a second apply sends nothing" 0 "$(count_mutations "$T/trace")"
	fi
}

others() { ip -n "$1" -d link show "$2" | sed 's/qdisc.*//'; }

# ---- laptop ----

case $backend in
kernel) must on laptop ip link add wg0 type wireguard ;;
userspace) must on laptop "$KILOWG_USERSPACE" wg0 ;;
external) daemon_start laptop wg0 ;;
esac
{
	printf '[Interface]\nListenPort = 51820\nPrivateKey = %s\n\n' "$(cat "$T/keys/laptop")"
	kwg a showconf peer laptop
} >"$T/wg0.conf"
must on laptop wg setconf wg0 "$T/wg0.conf"
must on laptop ip addr add 10.5.0.1/32 dev wg0
must on laptop ip link set wg0 up
for net in 10.2.0.0/16 10.1.0.0/16; do must on laptop ip route add $net dev wg0; done

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
if [ $has_ipip = yes ]; then
	# The device without addresses that comes with the module, as Calico and Kilo use it.
	on a ip link show tunl0 >/dev/null 2>&1 || must on a ip link add tunl0 type ipip
	must on a ip addr add 10.66.0.1/32 dev tunl0
	must on a ip link set tunl0 up
fi
foreign() {
	on a ip -d addr show tunl9
	on a bridge fdb show dev tunl9
	[ $has_ipip = no ] || on a ip -d addr show tunl0
}
foreign | sed 's/ qdisc.*//' >"$T/foreign"
for node in a b c d; do down_state $node >"$T/$node.fresh"; done

if [ $has_ipip = no ]; then
	mesh_set encapsulation always
	expect 2 'a kernel without IPIP: refused' kwg a apply
	like 'with a way out' "$T/err" 'no IPIP tunnels.*encapsulation-protocol = vxlan'
	kwg a down
	down_state a >"$T/a.now"
	same 'and nothing is left behind' "$T/a.fresh" "$T/a.now"
fi

# ---- never, where the subnet is one ----

mesh_set encapsulation never
apply_all never
check 'never: no tunnel' gone on a ip link show kilo0-ipip
wire 'never: in the subnet' plain a.pod 10.2.2.2 b
wire 'never: from elsewhere' plain c.pod 10.2.2.2 b

# ---- one protocol after the other ----

# NAME FORM DEVICE: all cases with it.
protocol() {
	mesh_set encapsulation always
	mesh_set encapsulation-protocol $1
	expect 3 "$1: diff" kwg a diff
	like "$1: the device is a step" "$T/out" "^\\+ link $3 type $1 local 10\\.1\\.1\\.1 .*mtu $4\$" \
		"^\\+ route 10\\.2\\.2\\.0/24 via 10\\.1\\.1\\.2 dev $3 src 10\\.1\\.1\\.1 onlink\$|^~ route 10\\.2\\.2\\.0/24 via 10\\.1\\.1\\.2 dev $3 "
	sed 's/^/#   /' "$T/out"
	apply_all "$1, always"
	run on a ip -d link show $3
	like "$1: it carries our mark" "$T/out" 'alias kilowg mesh=kilo protocol=107 tunnel'
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

	mesh_set encapsulation cross-subnet
	apply_all "$1, cross-subnet"
	wire "$1, cross-subnet: in the subnet" plain a.pod 10.2.2.2 b
	wire "$1, cross-subnet: across subnets" $1 b.pod 10.2.4.2 d
	wire "$1, cross-subnet: another location, far node" $1 c.pod 10.2.4.2 d
	wire "$1, cross-subnet: another location, near node" plain c.pod 10.2.2.2 b
	everything "$1, cross-subnet"
}

protocol vxlan vxlan kilo0-vxlan 1450
[ $has_ipip = no ] || protocol ipip ipip kilo0-ipip 1480
foreign | sed 's/ qdisc.*//' >"$T/now"
same "others' tunnels are as they were" "$T/foreign" "$T/now"

# ---- down ----

for node in a b c d; do
	expect 0 "down on $node" kwg $node down
	down_state $node >"$T/$node.now"
	same 'leaves links, addresses, neighbours, routes and rules as they were' "$T/$node.fresh" "$T/$node.now"
done
finish
