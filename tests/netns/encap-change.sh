#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The encapsulating tunnel under changes: another protocol while packets flow,
# steps that fail, somebody who breaks it, a crash, two meshes on the same hosts.
# The topology is that of two_subnets in tests/lib.sh.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping bridge
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend
two_subnets
local_ini 'interface-timeout = 1s'
daemons a b c d
mesh_set encapsulation always
mesh_set encapsulation-protocol vxlan

# Links by name, since one that is made anew has another index; neighbours and forwarding entries.
full_state() {
	{
		down_state "$1"
		on "$1" ip neigh show nud permanent
		on "$1" bridge fdb show | grep -v '^33:33:\|^01:00:5e'
	} | sed -E 's/^[0-9]+: //' | sort
}
unchanged() {
	full_state "$1" >"$T/now"
	same "$3" "$2" "$T/now"
}
for node in a b d; do full_state $node >"$T/$node.fresh"; done

# ---- a step that fails ----

break_late_step b
expect 5 'a late step fails' kwg b apply
like 'with its name' "$T/err" "$late_failure"
mend_late_step b
unchanged b "$T/b.fresh" 'tunnel, neighbours and the rest are undone'

must on b ip link add kilo0-vxlan type bridge
expect 2 'somebody has an interface of that name: refused' kwg b apply
like 'with a way out' "$T/err" 'kilo0-vxlan: .* another name with tunnel-interface'
must on b ip link del kilo0-vxlan
id=$(kwg b plan | sed -n 's/^vxlan id \([0-9]*\) .*/\1/p')
must on b ip link add theirs type vxlan id "$id" dstport 4789
expect 2 'somebody has the VXLAN identifier: refused' kwg b apply
like 'with a way out' "$T/err" "theirs has the VXLAN identifier $id .* its own vxlan-id"
must on b ip link del theirs
unchanged b "$T/b.fresh" 'and nothing is changed'

expect 0 'apply' apply_all a b c d
check 'packets flow' reaches b.pod 10.2.4.2 10.2.1.2 10.2.3.2

# The device has to make room for its successor, and then a step fails.
full_state b >"$T/b.applied"
cp "$T/mesh.ini" "$T/mesh.good"
mesh_set vxlan-id 4242
mesh_node e 'location = z' 'endpoint = 203.0.113.9:51820' 'pod-cidr = 10.2.9.0/24'
set_local tunnel-interface kilo0-vxlan
break_late_step b
expect 5 'another identifier, and a late step fails' kwg b apply
mend_late_step b
unchanged b "$T/b.applied" 'the tunnel comes back with all that was on it'
cp "$T/mesh.good" "$T/mesh.ini"
expect 0 'and kilowg takes it for its own' kwg b diff
check 'and packets flow' reaches b.pod 10.2.4.2 10.2.1.2 10.2.3.2
set_local tunnel-interface auto

# What it repairs before a step fails is broken again, and not lost.
must on b ip link set kilo0-vxlan mtu 1300
full_state b >"$T/b.broken"
mesh_node e 'location = z' 'endpoint = 203.0.113.9:51820' 'pod-cidr = 10.2.9.0/24'
break_late_step b
expect 5 'a wrong MTU, and a late step fails' kwg b apply
mend_late_step b
unchanged b "$T/b.broken" 'the MTU is what it was'
cp "$T/mesh.good" "$T/mesh.ini"
expect 0 'then it is set' kwg b apply
unchanged b "$T/b.applied" 'all is as before'

# ---- somebody changes what is ours ----

# TEXT COMMAND...
repaired() {
	local text="$1"
	shift
	must on b "$@"
	expect 3 "$text: diff" kwg b diff
	expect 0 "$text: apply repairs it" kwg b apply
	unchanged b "$T/b.applied" "$text: all is as before"
}
mac=$(kwg d plan >/dev/null; on d ip -br link show kilo0-vxlan | awk '{ print $3 }')
repaired 'a neighbour is gone' ip neigh del 10.1.2.4 dev kilo0-vxlan
repaired 'a neighbour is somewhere else' ip neigh replace 10.1.2.4 lladdr 02:00:00:00:00:01 dev kilo0-vxlan nud permanent
repaired 'a forwarding entry is gone' bridge fdb del "$mac" dev kilo0-vxlan dst 10.1.2.4
repaired 'a forwarding entry points elsewhere' bridge fdb replace "$mac" dev kilo0-vxlan dst 10.1.2.5
repaired 'a forwarding entry too many' bridge fdb append 02:00:00:00:00:01 dev kilo0-vxlan dst 10.1.2.6
repaired 'the MTU' ip link set kilo0-vxlan mtu 1300
repaired 'it is down' ip link set kilo0-vxlan down
repaired 'another address' ip addr add 10.2.2.77/32 dev kilo0-vxlan
repaired 'another MAC address' ip link set kilo0-vxlan address 02:00:00:00:00:02
repaired 'it learns' ip link set kilo0-vxlan type vxlan learning
repaired 'it is gone' ip link del kilo0-vxlan
repaired 'it has another name' sh -c 'ip link set kilo0-vxlan down && ip link set kilo0-vxlan name theirs'
check 'packets flow' reaches b.pod 10.2.4.2 10.2.1.2 10.2.3.2

# ---- changes while packets flow ----

# Is there a way at each moment? A tunnel before the next one takes over, never the default route.
# ip(8) asks for the name of a link after the way over it: "if18" is one that is gone meanwhile.
watch_begin() {
	: >"$T/ways"
	on b sh -c 'while [ -e "$0/watch" ]; do ip route get 10.2.4.2 2>&1 | head -n 1; done' "$T" >"$T/ways" &
	watcher=$!
	on b.pod ping -i 0.1 -q 10.2.4.2 >"$T/ping" &
	pinger=$!
	wait_for 10 test -s "$T/ways"
}

# TEXT DEVICE...: what the ways went over, and how many packets were lost.
watch_end() {
	local text="$1" pid
	shift
	check "$text: packets flow" reaches b.pod 10.2.4.2
	rm "$T/watch"
	wait $watcher
	# The ping is a child of what nsenter has become.
	pid=$(pgrep -P $pinger ping || echo $pinger)
	kill -INT "$pid"
	wait $pinger
	say "$(grep transmitted "$T/ping")"
	is "$text: at each moment there was a way, over these" "$*" \
		"$(sed -n '/ dev if[0-9]* /d; s/.* dev \([^ ]*\) .*/\1/p; /unreachable/p' "$T/ways" | awk '!seen[$0]++' | tr '\n' ' ' | sed 's/ $//')"
	# Nodes change one after the other; what one sends meanwhile another may not take.
	check "$text: few packets were lost" awk '/transmitted/ { exit $1 - $4 > 30 }' "$T/ping"
}

touch "$T/watch"
watch_begin
mesh_set encapsulation cross-subnet
check 'cross-subnet instead of always' apply_all a b c d
mesh_set encapsulation always
check 'and back' apply_all a b c d
watch_end 'routes change' kilo0-vxlan
if has_ipip; then
	touch "$T/watch"
	watch_begin
	mesh_set encapsulation-protocol ipip
	check 'ipip instead of vxlan' apply_all a b c d
	watch_end 'from VXLAN to IPIP' kilo0-vxlan kilo0-ipip
	check 'the old device is gone' gone on b ip link show kilo0-vxlan
	touch "$T/watch"
	watch_begin
	mesh_set encapsulation-protocol vxlan
	check 'vxlan instead of ipip' apply_all a b c d
	watch_end 'from IPIP to VXLAN' kilo0-ipip kilo0-vxlan
	check 'the old device is gone' gone on b ip link show kilo0-ipip
else
	skip 'from VXLAN to IPIP and back' 'the kernel has no IPIP'
fi
unchanged b "$T/b.applied" 'all is as before'

# ---- two meshes on the same hosts ----

cp "$T/local.ini" "$T/local.one"
# Each from a file of its own: another name in one file is the same mesh with another name.
one() { mesh_ini=$T/mesh.ini && cp "$T/local.one" "$T/local.ini"; }
two() { mesh_ini=$T/mesh.two && cp "$T/local.two" "$T/local.ini"; }
{
	cat "$T/local.one"
	printf 'interface = kilo1\nroute-protocol = 108\nroute-table = 1108\n'
} >"$T/local.two"
sed -e 's/10\.2\./10.12./; s/fd02:/fd12:/g; s/51820/51821/; /^\[peer\]/,$d' \
	-e 's/^\[mesh\]/&\nname = two\nport = 51821\nsubnet = 10.14.0.0\/16/' "$T/mesh.ini" >"$T/mesh.two"
i=0
for node in a b c d; do
	i=$((i + 1))
	must on $node ip addr add 10.12.$i.2/32 dev lo
done
full_state b >"$T/b.one"
two
# One location only: both meshes would route the private address of c.
mesh_drop c
if [ "$backend" = external ]; then
	for node in a b d; do daemon_start $node kilo1; done
fi
expect 0 'a second mesh: apply' apply_all a b d
is 'it is silent' '' "$(cat "$T/err")"
expect 0 'then there is no difference' kwg b diff
on b ip -br link | sed 's/^/#   /'
crosses() { wait_for 10 on "$1" ping -c 1 -W 1 -q -I "$2" "$3"; }
check 'its packets flow' crosses b 10.12.2.2 10.12.4.2
one
expect 0 'the first one sees no difference' kwg b diff
check 'and its packets flow' reaches b.pod 10.2.4.2 10.2.3.2
if has_ipip; then
	mesh_set encapsulation-protocol ipip
	expect 0 'the first one with IPIP' apply_all a b c d
	check 'its packets flow' reaches b.pod 10.2.4.2 10.2.3.2
	two
	check 'and those of the second, with VXLAN' crosses b 10.12.2.2 10.12.4.2
	mesh_set encapsulation-protocol ipip
	expect 2 'both with IPIP between the same addresses: refused' kwg b apply
	like 'with a way out' "$T/err" 'kilo0-ipip is an IPIP tunnel of 10\.1\.1\.2 already.*vxlan'
	mesh_set encapsulation-protocol vxlan
	one
	mesh_set encapsulation-protocol vxlan
	expect 0 'the first one with VXLAN again' apply_all a b c d
fi
two
expect 0 'down of the second' kwg b down
unchanged b "$T/b.one" 'leaves the first one as it was'
one
check 'whose packets flow' reaches b.pod 10.2.4.2

# ---- killed while it makes or removes the tunnel ----

expect 0 'down' kwg b down
must on b ip addr del 10.12.2.2/32 dev lo
full_state b >"$T/now"
[ "$backend" = external ] || same 'leaves nothing' "$T/b.fresh" "$T/now"

# N COMMAND: kills kilowg as it is about to send for the Nth time; fails once it gets through.
killed() {
	on b strace -o /dev/null -e trace=sendto,sendmsg \
		-e inject=sendto,sendmsg:signal=KILL:when="$1" \
		"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node b "$2" >"$T/out" 2>"$T/err"
	[ $? = 137 ]
}
is_state() {
	full_state b >"$T/now"
	cmp -s "$1" "$T/now" && return
	say "killed at send number $k:"
	diff -u "$1" "$T/now" | sed 's/^/#   /'
	bad="$bad $k"
}
if ! can_strace; then
	skip 'killed at any point' 'strace does not work here'
elif [ "$backend" = external ]; then
	skip 'killed at any point' 'the state of a daemon of others is looked at in ownership.sh'
else
	# Each request that makes the tunnel fails once: those of links, neighbours and addresses.
	on b strace -o "$T/trace" -e trace=sendto,sendmsg "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" \
		--node b apply >"$T/out" 2>"$T/err" || bail 'no apply under strace'
	must kwg b down
	bad='' refused=0
	for k in $(grep -nE 'RTM_(SET|NEW)(LINK|NEIGH|ADDR)' "$T/trace" | cut -d : -f 1); do
		on b strace -o "$T/trace" -e trace=sendto,sendmsg -e inject=sendto,sendmsg:error=ENOBUFS:when="$k" \
			"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node b apply >"$T/out" 2>"$T/err"
		if [ $? = 0 ]; then kwg b down >"$T/out" 2>&1; else refused=$((refused + 1)); fi
		is_state "$T/b.fresh"
	done
	check 'requests that fail make apply fail' [ $refused -ge 10 ]
	is 'and it leaves nothing' '' "$bad"

	k=0 bad=''
	while k=$((k + 4)); killed $k apply && [ $k -lt 200 ]; do
		kwg b apply >"$T/out" 2>&1 || bad="$bad $k:apply"
		is_state "$T/b.applied"
		kwg b down >"$T/out" 2>&1 || bad="$bad $k:down"
		is_state "$T/b.fresh"
	done
	check 'there were many points to kill apply at' [ $k -ge 20 ]
	is "killed at a quarter of $((k - 1)) sends: the next apply and down come out right" '' "$bad"
fi
finish
