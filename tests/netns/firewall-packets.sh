#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What the rules do to packets, with firewall = nftables and = iptables, in a mesh
# of IPv4 and in one of IPv6: which source address arrives, who may send IP
# protocol 4 or VXLAN, what passes a FORWARD chain that drops, which MSS a SYN has.
#
#   pod_b               pod_a                       pod_c
#     |                   |                           |
#     b ------- lan ----- a ----------- wan --------- c
#               |                        |
#              loc                     world        p: an outside peer, on wan, too
#
# The location of a and b has loc's network, too. Only a has a firewall.

# shellcheck disable=SC2119,SC2154,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft python3
can_ipv6 || cannot 'the kernel has no IPv6'
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
kinds=nftables
! command -v iptables-nft-save >/dev/null || kinds='nftables iptables'
need_cni
choose_backend

bridge_add wan lan
node_add a b c p world loc
plug a wan0 wan 203.0.113.1/24 2001:db8:0:1::1/64
plug c wan0 wan 203.0.113.3/24 2001:db8:0:1::3/64 10.1.3.3/24 fd00:1:3::3/64
plug p wan0 wan 203.0.113.5/24 2001:db8:0:1::5/64
plug world wan0 wan 203.0.113.9/24 2001:db8:0:1::9/64 10.96.0.9/32 fd00:96::9/128
plug a lan0 lan 10.1.1.1/24 fd00:1:1::1/64
plug b lan0 lan 10.1.1.2/24 fd00:1:1::2/64
plug loc lan0 lan 10.1.1.7/24 fd00:1:1::7/64 10.7.0.7/24 fd00:7::7/64
pod_add a 10.2.1.0/24 fd00:2:1::/64
pod_add b 10.2.2.0/24 fd00:2:2::/64
pod_add c 10.2.3.0/24 fd00:2:3::/64
must on a ip route add 10.7.0.0/24 dev lan0 src 10.1.1.1
must on a ip route add fd00:7::/64 dev lan0
must on a ip route add 10.96.0.0/16 via 203.0.113.9
must on a ip route add fd00:96::/32 via 2001:db8:0:1::9
must on loc ip route add default via 10.1.1.1
must on loc ip -6 route add default via fd00:1:1::1
must on world ip route add 10.1.1.0/24 via 203.0.113.1
must on world ip route add fd00:1:1::/64 via 2001:db8:0:1::1
must on b ip route add 203.0.113.9 via 10.1.1.1
must on b ip route add 2001:db8:0:1::9 via fd00:1:1::1

# 4|6: what the things of the picture are called.
addresses() {
	family=$1
	if [ "$1" = 4 ]; then
		wan_a=203.0.113.1 wan_c=203.0.113.3 world=203.0.113.9 service=10.96.0.9
		lan_a=10.1.1.1 lan_b=10.1.1.2 lan_loc=10.1.1.7 loc=10.7.0.7
		pod_a=10.2.1.2 pod_b=10.2.2.2 pod_c=10.2.3.2 peer=10.5.0.1 wg_c=10.4.0.2
		full=1460 headers=40
	else
		wan_a=2001:db8:0:1::1 wan_c=2001:db8:0:1::3 world=2001:db8:0:1::9 service=fd00:96::9
		lan_a=fd00:1:1::1 lan_b=fd00:1:1::2 lan_loc=fd00:1:1::7 loc=fd00:7::7
		pod_a=fd00:2:1::2 pod_b=fd00:2:2::2 pod_c=fd00:2:3::2 peer=fd00:5::1 wg_c=fd00:4::2
		full=1440 headers=60
	fi
}

# 4|6: the mesh, in which everything has addresses of that family.
mesh() {
	addresses "$1"
	if [ "$1" = 4 ]; then
		mesh_begin 'service-cidr = 10.96.0.0/16'
		set -- '203.0.113.1' '10.1.1.1/24' '10.1.1.2/24' '203.0.113.3' '10.1.3.3/24' 10.2. .0/24 10.7.0.0/24 10.1.1.2
	else
		mesh_begin 'subnet = fd00:4::/112' 'service-cidr = fd00:96::/32'
		set -- '[2001:db8:0:1::1]' 'fd00:1:1::1/64' 'fd00:1:1::2/64' '[2001:db8:0:1::3]' 'fd00:1:3::3/64' fd00:2: ::/64 fd00:7::/64 '[fd00:1:1::2]'
	fi
	sed 's/^encapsulation = .*/encapsulation = cross-subnet/' "$T/mesh.ini" >"$T/mesh.new"
	mv "$T/mesh.new" "$T/mesh.ini"
	mesh_node a 'location = x' "endpoint = $1:51820" "internal-ip = $2" "pod-cidr = ${6}1$7" 'leader = yes' \
		"allowed-location-ip = $8"
	mesh_node b 'location = x' "endpoint = $9:51820" "internal-ip = $3" "pod-cidr = ${6}2$7"
	mesh_node c 'location = y' "endpoint = $4:51820" "internal-ip = $5" "pod-cidr = ${6}3$7"
	mesh_peer p "allowed-ip = $peer/$([ "$family" = 4 ] && echo 32 || echo 128)"
}

# KIND [LINE]: the firewall of a, and its FORWARD rules unless a line says otherwise.
local_of_a() {
	local_ini "${2:-forward-rules = yes}" 'cni = yes' 'mtu = 1420'
	sed "s/^firewall = .*/firewall = $1/" "$T/local.ini" >"$T/local.new"
	mv "$T/local.new" "$T/local.ini"
}

# The outside peer.
peer_up() {
	must on a wg set kilo0 listen-port 51820
	case $backend in
	kernel) must on p ip link add wg0 type wireguard ;;
	userspace) must on p "$KILOWG_USERSPACE" wg0 ;;
	external)
		daemon_start p wg0 ;;
	esac
	must on p wg set wg0 private-key "$T/keys/p" peer "$(cat "$T/keys/a.pub")" persistent-keepalive 25 \
		endpoint "$(case $wan_a in *:*) echo "[$wan_a]" ;; *) echo $wan_a ;; esac):51820" allowed-ips 0.0.0.0/0,::/0
	must on p ip addr add $peer dev wg0
	must on p ip link set wg0 up
	must on p ip route add $world dev wg0 src $peer
	must on p ip route add $pod_a dev wg0 src $peer
}
peer_down() {
	must on p ip link del wg0
	[ "$backend" != external ] || { wait "$(cat "$T/p.pid")" 2>/dev/null; rm -f "$T/p.pid"; }
}

mkfifo "$T/questions" "$T/answers"
python3 "${0%/*}/firewall-packets.py" <"$T/questions" >"$T/answers" &
exec 3>"$T/questions" 4<"$T/answers"

# QUESTION...: of firewall-packets.py; the answer is in $got.
ask() {
	echo "$*" >&3
	read -r got <&4 || bail 'firewall-packets.py has ended'
}

# TEXT WANTED FROM-NODE FROM TO-NODE TO: with which source does a datagram arrive?
arrives() {
	ask source "$3" "$4" "$5" "$6"
	is "$title: $1" "$2" "$got"
}

# The same: with which MSS does a SYN arrive, and with which the answer to it?
syn() {
	ask syn "$3" "$4" "$5" "$6"
	is "$title: MSS $1" "$2" "$got"
}
syn_ack() {
	ask syn-ack "$3" "$4" "$5" "$6"
	is "$title: MSS $1" "$2" "$got"
}

# TEXT yes|no FROM-NODE FROM TO-NODE TO: does a datagram arrive?
forwarded() {
	ask forwarded "$3" "$4" "$5" "$6"
	is "$title: $1" "$2" "$got"
}

addresses_that_arrive() {
	arrives 'a pod to the world: masqueraded' $wan_a a.pod $pod_a world $world
	arrives 'an outside peer to the world: masqueraded' $wan_a p $peer world $world
	arrives 'a pod to a location IP of its own location: masqueraded' $lan_a a.pod $pod_a loc $loc
	arrives 'a pod elsewhere to a location IP: masqueraded' $lan_a c.pod $pod_c loc $loc
	arrives 'a pod to a service network: itself' $pod_a a.pod $pod_a world $service
	arrives 'a pod to a pod elsewhere: itself' $pod_a a.pod $pod_a c.pod $pod_c
	arrives 'a pod to a pod of the location: itself' $pod_a a.pod $pod_a b.pod $pod_b
	arrives 'a pod to a private address of the location: itself' $pod_a a.pod $pod_a b $lan_b
	arrives 'a pod to a WireGuard address: itself' $pod_a a.pod $pod_a c $wg_c
	arrives 'a pod to an outside peer: itself' $pod_a a.pod $pod_a p $peer
	arrives 'an outside peer to a pod: itself' $peer p $peer a.pod $pod_a
	arrives 'a pod elsewhere to a pod of a follower: itself' $pod_c c.pod $pod_c b.pod $pod_b
	arrives 'a host that is no pod to the world: itself' $lan_b b $lan_b world $world
}

# WANTED: what comes to a of protocol 4, by who sends it: a member of the location,
# somebody else in its network, the leader of another location.
protocol_4() {
	ask protocol-4 a $lan_a b $lan_b $lan_a loc $lan_loc $lan_a c $wan_c $wan_a
	is "$title: protocol 4" "$1" "$got"
}

# The same of VXLAN, instead of protocol 4: that of this mesh, and of others on the port.
vxlan() {
	sed 's/^encapsulation = .*/encapsulation = always\nencapsulation-protocol = vxlan/' "$T/mesh.ini" >"$T/mesh.new"
	cp "$T/mesh.ini" "$T/mesh.ipip"
	mv "$T/mesh.new" "$T/mesh.ini"
	run kwg a apply
	if [ $status = 2 ] && grep -q u32 "$T/err"; then
		skip "$title: VXLAN" "$(cut -c1-300 "$T/err")"
	else
		is "$title: apply with VXLAN" 0 $status
		show "$T/err"
		expect 0 "$title: no difference" kwg a diff
		id=$(kwg a plan | sed -n 's/^vxlan id \([0-9]*\) .*/\1/p')
		ask vxlan "$id" a $lan_a b $lan_b $lan_a loc $lan_loc $lan_a
		is "$title: VXLAN" 'b=5' "$got"
		ask vxlan $((id + 1)) a $lan_a b $lan_b $lan_a loc $lan_loc $lan_a
		is "$title: VXLAN of others" 'b=5 loc=5' "$got"
		ask protocol-4 a $lan_a b $lan_b $lan_a loc $lan_loc $lan_a
		is "$title: and protocol 4 of others" 'b=5 loc=5' "$got"
	fi
	mv "$T/mesh.ipip" "$T/mesh.ini"
	must kwg a apply
}

segment_sizes() {
	syn 'of a SYN that comes by the mesh' $((1420 - headers)) c.pod $pod_c a.pod $pod_a
	syn 'of a SYN that goes by the mesh' $((1420 - headers)) a.pod $pod_a c.pod $pod_c
	syn_ack 'of the answer that goes by the mesh' $((1420 - headers)) c.pod $pod_c a.pod $pod_a
	syn_ack 'of the answer that comes by the mesh' $((1420 - headers)) a.pod $pod_a c.pod $pod_c
	must on a ip route replace $world dev wan0 mtu 1300
	syn 'of a SYN over another interface: what the sender says' $full a.pod $pod_a world $world
	must on a ip route del $world dev wan0 mtu 1300
	must on a ip link set lan0 mtu 1340
	syn 'from the mesh over a narrower way, such as a tunnel: of that' $((1340 - headers)) c.pod $pod_c b.pod $pod_b
	syn 'and back: of that, too' $((1340 - headers)) b.pod $pod_b c.pod $pod_c
	must on a ip link set lan0 mtu 1500
	must on c.pod ip route change default via "$(on c.pod ip "-$family" route show default | awk '{ print $3 }')" advmss 1000
	syn 'that is small enough already: as it is' 1000 c.pod $pod_c a.pod $pod_a
	must on c.pod ip route change default via "$(on c.pod ip "-$family" route show default | awk '{ print $3 }')"
}

# FORWARD of iptables drops: what the forward rules are for.
forwarding() {
	must on a "$ipt-nft" -P FORWARD DROP
	forwarded 'a FORWARD chain that drops is overruled between pods' yes c.pod $pod_c b.pod $pod_b
	forwarded 'and the other way' yes b.pod $pod_b c.pod $pod_c
	forwarded 'and to private addresses' yes c.pod $pod_c b $lan_b
	forwarded 'and to location IPs' yes c.pod $pod_c loc $loc
	forwarded 'and from the pods to the world' yes a.pod $pod_a world $world
	forwarded 'what is not of the mesh is dropped' no loc $lan_loc world $world
	local_of_a iptables 'forward-rules = no'
	must kwg a apply
	forwarded 'and without forward-rules what is of pods, too' no c.pod $pod_c b.pod $pod_b
	local_of_a iptables
	must kwg a apply
	forwarded 'with them it is not' yes c.pod $pod_c b.pod $pod_b
	must on a "$ipt-nft" -P FORWARD ACCEPT
	forwarded 'and what is not of the mesh goes by what others say' yes loc $lan_loc world $world
}

for version in 4 6; do
	title=IPv$version
	mesh $version
	ipt=$([ $version = 4 ] && echo iptables || echo ip6tables)
	local_ini 'mtu = 1420'
	daemons a b c
	for node in a b c; do
		must kwg $node apply
	done
	peer_up
	check "$title: the mesh works" reaches a.pod $pod_b $pod_c $peer
	title="IPv$version without a firewall"
	arrives 'a pod elsewhere to a location IP: itself' $pod_c c.pod $pod_c loc $loc
	protocol_4 'b=5 c=5 loc=5'
	syn 'of a SYN that comes by the mesh' $full c.pod $pod_c a.pod $pod_a
	for kind in $kinds; do
		title="IPv$version, $kind"
		local_of_a "$kind"
		expect 0 "$title: apply" kwg a apply
		expect 0 "$title: no difference" kwg a diff
		addresses_that_arrive
		protocol_4 'b=5'
		segment_sizes
		vxlan
		[ "$kind" = nftables ] || forwarding
	done
	# The other family has no tunnel: nobody may send protocol 4 there.
	title="IPv$version, the other family"
	addresses $((10 - version))
	protocol_4 ''
	addresses $version
	for node in a b c; do
		must kwg $node down
	done
	[ "$backend" != external ] || for node in a b c; do daemon_stop TERM $node; done
	peer_down
done
finish
