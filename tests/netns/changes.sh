#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The second day: what changes on a host that is at work. Each part is about
# something that the kernel does by itself, or that belongs to somebody else.
#
#   a, c, n, z: nodes of a location each, with a pod; n comes later.
#
#      a ---+--- c
#           |   wan 203.0.113.0/24
#      n ---+--- z

# shellcheck disable=SC2119
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg
choose_backend
[ "$backend" != external ] || cannot 'somebody else makes the interface'

bridge_add wan
for i in a:1 c:3 n:5 z:9; do
	node_add "${i%:*}"
	plug "${i%:*}" wan0 wan "203.0.113.${i#*:}/24"
	pod_add "${i%:*}" "10.2.${i#*:}.0/24"
done

# NAME...: the nodes of the mesh.
mesh_of() {
	mesh_begin
	for i in a:1 c:3 n:5 z:9; do
		case " $* " in *" ${i%:*} "*) ;; *) continue ;; esac
		mesh_node "${i%:*}" "location = ${i%:*}" "endpoint = 203.0.113.${i#*:}:51820" \
			"pod-cidr = 10.2.${i#*:}.0/24"
	done
	mesh_peer laptop 'allowed-ip = 10.5.0.1/32'
}

# NODE FILE TEXT: is the node's state that of the file, but for indices of links?
is_as() {
	state "$1" | sed -E 's/^[0-9]+: //' >"$T/now"
	sed -E 's/^[0-9]+: //' "$2" >"$T/want"
	same "$3" "$T/want" "$T/now"
}

mesh_of a c z
local_ini
state z >"$T/z.fresh"

# ---- the own WireGuard address moves ----

for node in a c z; do kwg $node apply || bail "apply on $node"; done
check 'pods reach each other' reaches z.pod 10.2.1.2 10.2.3.2
state z >"$T/z.three"
on z.pod ping -i 0.002 -w 20 10.2.1.2 >"$T/ping" 2>&1 &
pinging=$!
mesh_of a c n z
for node in a c n z; do expect 0 "a location more: apply on $node" kwg $node apply; done
is 'all routes are there' '10.2.1.0/24 10.2.3.0/24 10.2.5.0/24 10.5.0.1' \
	"$(on z ip route show proto 107 | cut -d ' ' -f 1 | sort | tr '\n' ' ' | sed 's/ $//')"
expect 0 'there is no difference' kwg z diff
check 'pods reach each other, the new ones, too' reaches z.pod 10.2.1.2 10.2.3.2 10.2.5.2
mesh_of a c z
for node in a c z; do expect 0 "a location less: apply on $node" kwg $node apply; done
is_as z "$T/z.three" 'all is as before'
kill -INT $pinging && wait $pinging 2>/dev/null
say "$(grep transmitted "$T/ping")"
is 'no packet was lost meanwhile' 0 "$(lost "$T/ping")"
check 'there were many' [ "$(grep -c icmp_seq= "$T/ping")" -ge 200 ]
kwg n down || bail 'down on n'

# ---- the same, undone ----

mesh_of a c n z
break_late_step z
expect 5 'a late step fails' kwg z apply
mend_late_step z
is_as z "$T/z.three" 'all is as before'
check 'pods reach each other' reaches z.pod 10.2.1.2 10.2.3.2
mesh_of a c z
expect 0 'there is no difference' kwg z diff

# ---- an answer of the kernel is lost ----

if can_strace; then
	mesh_of a c n z
	bad='' lost=0 k=15
	while k=$((k + 1)) && [ $k -le 60 ]; do
		on z strace -o "$T/trace" -e trace=recvmsg -e inject=recvmsg:error=ENOBUFS:when=$k \
			"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node z apply >"$T/out" 2>"$T/err"
		status=$?
		grep -q INJECTED "$T/trace" || break
		state z | sed -E 's/^[0-9]+: //' >"$T/now"
		sed -E 's/^[0-9]+: //' "$T/z.three" >"$T/want"
		if [ $status = 0 ]; then
			kwg z diff >"$T/out" 2>&1 || bad="$bad $k:diff"
		else
			lost=$((lost + 1))
			cmp -s "$T/want" "$T/now" || bad="$bad $k:undo"
		fi
		mesh_of a c z
		kwg z apply >"$T/out" 2>&1 || bad="$bad $k:apply"
		mesh_of a c n z
	done
	is 'lost answers: done, or as before' '' "$bad"
	check 'there were some that made it fail' [ $lost -ge 5 ]
	mesh_of a c z
	kwg z apply || bail 'apply on z'
else
	skip 'an answer of the kernel is lost' 'strace does not work here'
fi

# ---- routes of others ----

must on z ip route add 10.99.0.0/24 dev kilo0
must on z ip route add 10.98.0.0/24 via 10.4.0.1 dev kilo0 onlink metric 7 mtu 1300 proto static
must on z ip route append 10.2.1.0/24 via 203.0.113.77
others() { on z ip -d route show | grep -E '^(unicast )?(10\.9[89]\.0\.0/24|10\.2\.1\.0/24 via 203)' | sort; }
others >"$T/others"
is 'there are three' 3 "$(grep -c . "$T/others")"
mesh_set subnet 10.77.0.0/20
for node in a c z; do expect 0 "another subnet: apply on $node" kwg $node apply; done
check 'pods reach each other' reaches z.pod 10.2.1.2 10.2.3.2
others >"$T/now"
same 'routes of others on the interface stay' "$T/others" "$T/now"
mesh_set subnet fd77::/64
for node in a c z; do expect 0 "an IPv6 subnet: apply on $node" kwg $node apply; done
expect 0 'there is no difference' kwg z diff
check 'pods reach each other' reaches z.pod 10.2.1.2 10.2.3.2
others >"$T/now"
same 'routes of others stay' "$T/others" "$T/now"
mesh_of a c z
for node in a c z; do expect 0 "the first one again: apply on $node" kwg $node apply; done
others >"$T/now"
same 'routes of others stay' "$T/others" "$T/now"
must on z ip route del 10.99.0.0/24 dev kilo0
must on z ip route del 10.98.0.0/24 dev kilo0 metric 7
must on z ip route del 10.2.1.0/24 via 203.0.113.77
is_as z "$T/z.three" 'without them all is as it was'

# ---- names and numbers ----

must on z ip route add 10.97.0.0/24 via 203.0.113.77 proto 201
set_local route-protocol 201
expect 1 'a number that routes of somebody else have: refused' kwg z apply
like 'with the number and a route' "$T/err" 'route-protocol = 201: .*10\.97\.0\.0/24'
must on z ip route del 10.97.0.0/24
set_local route-protocol 16
expect 1 'the number of DHCP clients: refused' kwg z apply

protocols() { on z ip route show | sed -n 's/.* proto \([0-9][0-9]*\).*/\1/p' | sort -u | tr '\n' ' '; }
set_local route-protocol 201
expect 0 'another number: apply' kwg z apply
is 'all routes have it' '201 ' "$(protocols)"
mesh_set name other
expect 0 'another name of the mesh: apply' kwg z apply
set_local interface kilo1
expect 0 'another interface: apply' kwg z apply
check 'the old one is gone' gone on z ip link show kilo0
set_local route-protocol 202
mesh_set name third
set_local interface kilo2
expect 0 'all of them at once: apply' kwg z apply
is 'all routes have the new number' '202 ' "$(protocols)"
check 'pods reach each other' reaches z.pod 10.2.1.2 10.2.3.2
expect 0 'there is no difference' kwg z diff
is 'one journal is left' third.journal "$(cd "$T/nodes/z/kilowg" && echo *.journal)"
mesh_of a c z
local_ini
expect 0 'all back: apply' kwg z apply
is_as z "$T/z.three" 'all is as before'

# ---- killed, and then the file says something else ----

# N: kills kilowg as it is about to send for the Nth time.
killed() {
	on z strace -o /dev/null -e trace=sendto,sendmsg -e inject=sendto,sendmsg:signal=KILL:when="$1" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node z apply >"$T/out" 2>"$T/err"
	[ $? = 137 ]
}

if can_strace; then
	bad='' k=15
	while k=$((k + 3)) && [ $k -lt 90 ]; do
		set_local route-protocol 203
		set_local interface kilo3
		mesh_set name fourth
		killed $k || break
		mesh_set name fifth
		set_local interface kilo5
		set_local route-protocol 205
		killed $((k + 9))
		mesh_of a c z
		local_ini
		kwg z apply >"$T/out" 2>&1 || bad="$bad $k:apply"
		state z | sed -E 's/^[0-9]+: //' >"$T/now"
		sed -E 's/^[0-9]+: //' "$T/z.three" | cmp -s - "$T/now" || bad="$bad $k:state"
	done
	is "killed twice on the way to other names: the first file leads back" '' "$bad"
	check 'there were some points to kill at' [ $k -ge 30 ]
else
	skip 'killed, and another file' 'strace does not work here'
fi

# ---- down, whatever the file says ----

mesh_of a c z
local_ini
expect 0 'apply' kwg z apply
cp "$T/mesh.ini" "$T/mesh.good"
echo 'nonsense' >>"$T/mesh.ini"
expect 0 'down with a broken file' kwg z down
like 'tells of the error' "$T/err" 'mesh.ini:[0-9]+: '
is_as z "$T/z.fresh" 'leaves nothing'
cp "$T/mesh.good" "$T/mesh.ini"
expect 0 'apply' kwg z apply
mesh_set name renamed
expect 0 'down with another name in the file' kwg z down
is_as z "$T/z.fresh" 'leaves nothing'
cp "$T/mesh.good" "$T/mesh.ini"
expect 0 'apply' kwg z apply
expect 0 'down --mesh, without a file' on z "$KILOWG" down --mesh kilo
is_as z "$T/z.fresh" 'leaves nothing'
expect 0 'apply' kwg z apply
expect 1 'down of a file that is not there' on z "$KILOWG" -f "$T/none.ini" down
like 'names the mesh that there is' "$T/err" '\-\-mesh kilo'
expect 0 'down without any file' on z "$KILOWG" down
is_as z "$T/z.fresh" 'leaves nothing'
expect 0 'apply' kwg z apply
sed 's/^\[mesh\]/&\nname = second\nport = 51821\nsubnet = 10.14.0.0\/16/; s/51820/51821/; s/10\.2\./10.22./; s/10\.5\./10.25./' \
	"$T/mesh.good" >"$T/second.ini"
{
	cat "$T/local.ini"
	printf 'interface = second0\nroute-protocol = 108\nroute-table = 1108\n'
} >"$T/second.local"
expect 0 'a second mesh: apply' on z "$KILOWG" -f "$T/second.ini" -f "$T/second.local" --node z apply
expect 1 'down without any file: which?' on z "$KILOWG" down
like 'names both' "$T/err" 'kilo' 'second'
expect 0 'down --mesh second' on z "$KILOWG" down --mesh second
is_as z "$T/z.three" 'leaves the other one'
expect 0 'the second mesh again' on z "$KILOWG" -f "$T/second.ini" -f "$T/second.local" --node z apply
expect 0 'down --all' on z "$KILOWG" down --all
is_as z "$T/z.fresh" 'leaves nothing'
expect 0 'down --all again' on z "$KILOWG" down --all
finish
