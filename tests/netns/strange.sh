#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A host at work, and what nobody expects: what others do to the interface and around it,
# files that come another way, two runs at once. Afterwards the host is as a first apply
# makes it, or as it was; and down leaves what was there before.
#
#   z: a node whose mesh has two others, a and c, that are in the file only.

# shellcheck disable=SC2119
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg
can_ipv6 || cannot 'there is no IPv6 here'
choose_backend

bridge_add wan
node_add z
plug z wan0 wan 203.0.113.9/24 2001:db8::9/64
daemons z
[ "$backend" != external ] || must on z ip link set kilo0 down

# LINE...: of [mesh].
mesh_of() {
	mesh_begin "$@"
	for i in a:1 c:3 z:9; do
		mesh_node "${i%:*}" "location = ${i%:*}" "endpoint = 203.0.113.${i#*:}:51820" \
			"pod-cidr = 10.2.${i#*:}.0/24, fd02:${i#*:}::/64"
	done
	mesh_peer laptop 'allowed-ip = 10.5.0.1/32'
}

# But for indices of links.
state_of_z() { down_state z | sed -E 's/^[0-9]+: //'; }

# FILE TEXT
is_as() {
	state_of_z >"$T/now"
	same "$2" "$1" "$T/now"
}

# TEXT: apply, and then there is no difference.
applies() {
	expect 0 "$1: apply" kwg z apply
	expect 0 'there is no difference' kwg z diff
}

# TEXT: also, the host is as if this had been the first apply.
converges() {
	applies "$1"
	state_of_z >"$T/got"
	expect 0 'down' kwg z down
	is_as "$T/fresh" 'leaves nothing'
	expect 0 'a first apply' kwg z apply
	is_as "$T/got" 'comes to the same'
}

# TEXT: a late step fails.
fails() {
	state_of_z >"$T/before"
	mesh_peer bad 'allowed-ip = 10.66.0.0/24'
	break_late_step z
	expect 5 "$1, a step fails" kwg z apply
	mend_late_step z
	mesh_drop bad
	is_as "$T/before" 'all is as before'
}

mesh_of
local_ini
state_of_z >"$T/fresh"

# ---- addresses ----

mesh_of 'subnet = fd77::/64'
applies 'an IPv6 subnet'
mesh_of 'subnet = fd77::/112'
fails 'the same address with another length'
converges 'the same address with another length'
mesh_of
applies 'an IPv4 subnet'
if [ "$backend" != external ]; then
	must on z ip addr add 10.200.0.1 peer 10.200.9.9/32 dev kilo0
	run kwg z diff
	like 'an address with another end is shown' "$T/out" '^- address 10\.200\.0\.1/32 peer 10\.200\.9\.9 dev kilo0$'
	mesh_of 'subnet = 10.77.0.0/20'
	fails 'an address with another end'
	mesh_of
	converges 'an address with another end'
	must on z ip addr del 10.4.0.3/16 dev kilo0
	must on z ip addr add 10.4.0.3 peer 10.4.0.9/16 dev kilo0
	converges 'the own one with another end'
fi
expect 0 'down' kwg z down
is_as "$T/fresh" 'leaves nothing'

# ---- routes and rules of others ----

applies 'the first one'
must on z ip route add 10.55.0.0/16 via 203.0.113.77 src 10.4.0.3
mesh_of 'subnet = 10.77.0.0/20'
fails 'another address, and a route elsewhere has ours as its source'
mesh_of
must on z ip route del 10.55.0.0/16
# Also what has our number, but is nothing that we make, is of others.
must on z ip route add 10.2.1.0/24 tos 0x10 via 203.0.113.77
must on z ip route add 10.99.0.0/24 proto 107 nexthop dev kilo0 nexthop via 203.0.113.77
must on z ip route add 10.2.3.0/24 tos 0x10 dev wan0 proto 107
must on z ip rule add from 192.0.2.4 prohibit priority 32765 proto 107
others() {
	on z ip rule | grep prohibit
	on z ip route show | grep -A 2 -E '10\.99\.|tos ' | grep -E '10\.99\.|tos |nexthop'
}
others >"$T/others"
is 'there are six lines of them' 6 "$(grep -c . "$T/others")"
mesh_of
applies 'routes of others by type of service and with several next hops'
mesh_of 'subnet = fd77::/64'
fails 'another subnet beside them'
applies 'another subnet beside them'
mesh_of
applies 'the first one again'
others >"$T/now"
same 'all six are there' "$T/others" "$T/now"
must on z ip route del 10.99.0.0/24
expect 0 'down' kwg z down
must on z ip rule del from 192.0.2.4 prohibit
must on z ip route del 10.2.1.0/24 tos 0x10
must on z ip route del 10.2.3.0/24 tos 0x10
is_as "$T/fresh" 'without them nothing is left'

# ---- where the file comes from ----

# FILE COMMAND
of_file() { on z "$KILOWG" -f "$1" -f "$T/local.ini" --node z "$2"; }

mesh_of
applies 'the first one'
expect 0 'the same file on standard input: apply' of_file - apply <"$mesh_ini"
mesh_set name renamed
applies 'and then with another name'
mkdir -p "$T/config/1" "$T/config/2"
cp "$mesh_ini" "$T/config/1/mesh.ini"
mesh_set name other
cp "$mesh_ini" "$T/config/2/mesh.ini"
ln -s 1 "$T/config/now"
ln -s now/mesh.ini "$T/config/mesh.ini"
expect 0 'a file behind links, as Kubernetes has it: apply' of_file "$T/config/mesh.ini" apply
ln -sfn 2 "$T/config/now"
expect 0 'one of the links has moved, and the mesh has another name: apply' of_file "$T/config/mesh.ini" apply
expect 0 'there is no difference' of_file "$T/config/mesh.ini" diff
ln -sfn 1 "$T/config/now"
expect 0 'it has moved back: down' of_file "$T/config/mesh.ini" down
is_as "$T/fresh" 'leaves nothing'

if [ "$backend" != external ]; then
	mesh_of
	applies 'the first one'
	sed 's/^\[mesh\]/&\nname = second\nport = 51821\nsubnet = 10.14.0.0\/16/; s/51820/51821/; s/10\.2\./10.22./; s/10\.5\./10.25./; s/fd02:/fd22:/' \
		"$mesh_ini" >"$T/second.ini"
	{
		cat "$T/local.ini"
		printf 'interface = second0\nroute-protocol = 108\nroute-table = 1108\n'
	} >"$T/second.local"
	expect 0 'a second mesh: apply' on z "$KILOWG" -f "$T/second.ini" -f "$T/second.local" --node z apply
	state_of_z >"$T/two"
	mesh_set name second
	expect 1 'the first one gets the name of the second: refused' kwg z apply
	like 'the message names both' "$T/err" 'kilo.*second.*another file'
	expect 1 'down does not take the second one, either' kwg z down
	is_as "$T/two" 'nothing is changed'
	mesh_set name third
	applies 'a name that is free'
	expect 0 'the second one has no difference' on z "$KILOWG" -f "$T/second.ini" -f "$T/second.local" --node z diff
	expect 0 'down --all' on z "$KILOWG" down --all
	is_as "$T/fresh" 'leaves nothing'
fi

# ---- a narrow network within the location ----

if has_vxlan && [ "$backend" != external ]; then
	mesh_begin 'encapsulation-protocol = vxlan' 'trusted-network = 203.0.113.0/24'
	mesh_set encapsulation always
	for i in a:1 z:9; do
		mesh_node "${i%:*}" 'location = x' "endpoint = 203.0.113.${i#*:}:51820" "internal-ip = 203.0.113.${i#*:}/24" \
			"pod-cidr = 10.2.${i#*:}.0/24, fd02:${i#*:}::/64"
	done
	mesh_peer laptop 'allowed-ip = 10.5.0.1/32'
	local_ini
	converges 'encapsulation, 1500 bytes'
	must on z ip link set wan0 mtu 1300
	applies 'too narrow for IPv6 in the tunnel'
	is 'which gets its 1280 all the same' 1280 \
		"$(on z ip -o link show kilo0-vxlan | sed 's/.* mtu \([0-9]*\) .*/\1/')"
	must on z ip link set wan0 mtu 1500
	converges '1500 bytes again'
	expect 0 'down' kwg z down
	is_as "$T/fresh" 'leaves nothing'
else
	skip 'a narrow network' 'no VXLAN, or somebody else makes the interface'
fi

# ---- an interface that stays ----

if [ "$backend" != external ]; then
	mesh_of
	local_ini 'clean-up-interface = no'
	applies 'clean-up-interface = no'
	expect 0 'down' kwg z down
	check 'the interface stays' on z ip link show kilo0
	mesh_set name renamed
	applies 'another name of the mesh'
	expect 0 'down' kwg z down
	mesh_of
	local_ini
	expect 0 'the first name, and clean-up-interface = yes: down' kwg z down
	is_as "$T/fresh" 'leaves nothing'
fi

# ---- two at once ----

if [ "$backend" != external ] && can_strace; then
	mesh_of
	on z strace -o /dev/null -e trace=sendto,sendmsg -e inject=sendto,sendmsg:delay_enter=2000000:when=24 \
		"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node z apply >"$T/slow" 2>&1 &
	slow=$!
	must wait_for 30 on z ip link show kilo0
	mesh_set name renamed
	expect 4 'while one is at work, the mesh gets another name: locked' kwg z apply
	expect 0 'apply --wait' kwg z apply --wait
	check 'the first one ends well' wait $slow
	show "$T/slow"
	expect 0 'there is no difference' kwg z diff
	expect 0 'down' kwg z down
	is_as "$T/fresh" 'leaves nothing'
else
	skip 'two at once' 'strace does not work here, or somebody else makes the interface'
fi

# ---- interfaces of somebody else ----

# on y, which has three
[ "$backend" = external ] || command -v wireguard-go >/dev/null || {
	skip 'interfaces of somebody else' 'there is no wireguard-go'
	finish
}
can_tun || { skip 'interfaces of somebody else' 'there is no TUN'; finish; }
mesh_of
node_add y
plug y wan0 wan 203.0.113.9/24
cp -p "$T/keys/z" "$T/nodes/y/kilowg/key"
for i in kilo0 kilo1 kilo2; do
	daemon_start y $i
	must on y ip link set $i down
done
real_backend=$backend backend=external
local_ini
backend=$real_backend
of_y() { on y "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node z "$@"; }
state_of_y() { net_state y; wg_state y | grep -v ' device '; }
state_of_y >"$T/y.fresh"

local_of_y() {
	sed '/^interface = /d' "$T/local.ini" >"$T/local.new"
	echo "interface = $1" >>"$T/local.new"
	mv "$T/local.new" "$T/local.ini"
}

# INTERFACE
is_empty() { [ -z "$(on y wg show "$1" peers)$(on y ip -4 -o addr show dev "$1")" ]; }

# FILE TEXT
y_is_as() {
	state_of_y >"$T/now"
	same "$2" "$1" "$T/now"
}

expect 0 'an interface of somebody else: apply' of_y apply
mesh_set subnet 10.77.0.0/20
expect 0 'another subnet: apply' of_y apply
is 'the old address is gone' 10.77.0.3/20 "$(on y ip -o -4 addr show dev kilo0 | awk '{ print $4 }')"
expect 0 'down' of_y down
y_is_as "$T/y.fresh" 'leads back'
expect 0 'apply' of_y apply
expect 0 'down without a file' on y "$KILOWG" down
y_is_as "$T/y.fresh" 'leads back'
expect 0 'apply' of_y apply
mesh_of
expect 0 'down with another subnet in the file' of_y down
y_is_as "$T/y.fresh" 'leads back'

if can_strace; then
	bad='' k=12
	while k=$((k + 3)) && [ $k -lt 120 ]; do
		local_of_y kilo0
		of_y apply >"$T/out" 2>&1 || bad="$bad $k:kilo0"
		local_of_y kilo1
		on y strace -o /dev/null -e trace=sendto,sendmsg -e inject=sendto,sendmsg:signal=KILL:when=$k \
			"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node z apply >"$T/out" 2>&1
		[ $? = 137 ] || break
		local_of_y kilo2
		of_y apply >"$T/out" 2>&1 || bad="$bad $k:kilo2"
		is_empty kilo0 && is_empty kilo1 || bad="$bad $k:peers"
		of_y down >"$T/out" 2>&1 || bad="$bad $k:down"
		is_empty kilo2 || bad="$bad $k:peers"
	done
	is 'killed between two interfaces, and then a third: nothing is left on any' '' "$bad"
	check 'there were some points to kill at' [ $k -ge 30 ]
else
	skip 'killed between two interfaces' 'strace does not work here'
fi
finish
