#!/bin/sh
# SPDX-License-Identifier: ISC
#
# apply --switch-backend that fails, or is killed, on its way: the interface that
# was there is there again, or the next apply brings the one that is wanted.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
use_userspace
backend=userspace
three_nodes
for node in userspace kernel; do
	sed "s/^backend = .*/backend = $node/" "$T/local.ini" >"$T/local.$node"
done

# BACKEND: is wanted from now on.
want() { cp "$T/local.$1" "$T/local.ini"; }

# A renamed link has its name and place again, but not its random, link-local address.
a_state() { state a | sed -E 's/^[0-9]+: //; s/fe80::[0-9a-f:]{6,}/fe80::random/' | sort; }

daemon_of_a() {
	local p ns
	ns=$(on a readlink /proc/self/ns/net)
	for p in /proc/[0-9]*; do
		# The kernel keeps 15 characters of a name.
		[ "$(cat "$p/comm" 2>/dev/null)" != "$(printf %.15s "$userspace")" ] ||
			[ "$(readlink "$p/ns/net")" != "$ns" ] || echo "${p#/proc/}"
	done
}

# KIND: is a's interface of this kind, and is it the only one of ours?
is_kind() {
	on a ip -d link show kilo0 | grep -q "^ *$1 " || { echo "kilo0 is no $1"; return 1; }
	[ "$(on a ip link | grep -c 'alias kilowg mesh=')" = 1 ] || { on a ip link; return 1; }
}

# TEXT: nothing of the state in $T/before has changed, and packets flow.
as_before() {
	a_state >"$T/now"
	same "$1: link, key, peers, addresses and routes are as before" "$T/before" "$T/now"
	is "$1: and so is the daemon" "$daemon" "$(daemon_of_a)"
	check "$1: packets flow" reaches a 10.2.3.2
	check "$1: from outside, too" reaches c 10.2.1.2
}

for node in a b c; do
	expect 0 "$node: apply" kwg "$node" apply
done
check 'packets flow' reaches a 10.2.3.2
a_state >"$T/before"
daemon=$(daemon_of_a)
is 'there is one daemon' 1 "$(echo "$daemon" | grep -c .)"

want kernel
if ! has_kernel_wireguard; then
	expect 2 'to a kernel without WireGuard: refused' kwg a apply --switch-backend
	like 'with the reason' "$T/err" 'kilo0: this kernel has no WireGuard'
	is 'in one line, and a warning at most' 0 "$(grep -vc 'step\|^kilowg: warning' "$T/err")"
	as_before 'no kernel WireGuard'
	want userspace
	expect 0 'no difference' kwg a diff
	skip 'from one backend to the other' 'this kernel has no WireGuard'
	finish
fi

# A route of somebody else is in the way of the last but one step.
mesh_peer r 'allowed-ip = 10.8.0.0/24'
must on a ip route add 10.8.0.0/24 via 203.0.113.250
a_state >"$T/before"

expect 2 'userspace to kernel: a late step fails' kwg a apply --switch-backend
like 'the message names it' "$T/err" 'step [0-9]+ of [0-9]+ \(\+ route 10\.8\.0\.0/24 .*\): .*File exists'
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
check 'the interface is that of the daemon' is_kind tun
as_before 'a late step'

# WHAT STRIDE: with each of its sends failing, one in so many; the state has to stay.
each_failing() {
	local k=1 bad=''
	while on a strace -o "$T/trace" -e trace=sendto,sendmsg \
			-e "inject=sendto,sendmsg:error=ENOBUFS:when=$k" \
			"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply --switch-backend \
			>"$T/out" 2>"$T/err"
		failed=$?
		grep -q INJECTED "$T/trace" && [ $k -lt 200 ]; do
		a_state >"$T/now"
		if [ $failed = 0 ] || ! cmp -s "$T/before" "$T/now" || [ "$(daemon_of_a)" != "$daemon" ]; then
			bad="$bad $k"
			say "send $k fails:"
			show "$T/err"
			diff -u "$T/before" "$T/now" | sed 's/^/#   /'
		fi
		k=$((k + $2))
	done
	is "$1: after each failing send all is as before" '' "$bad"
	check "$1: there were some" [ $k -ge 20 ]
}

# N: kills apply --switch-backend as it is about to send for the Nth time; fails once it
# gets through.
killed() {
	! on a strace -o "$T/trace" -e trace=sendto,sendmsg -e inject=sendto,sendmsg:signal=KILL:when="$1" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply --switch-backend >/dev/null 2>&1
}

# FROM TO STRIDE: killed at many points, the next apply goes all the way.
each_killed() {
	local k=6 bad=''
	while want "$2" && killed $k && [ $k -lt 200 ]; do
		if ! kwg a apply --switch-backend >"$T/out" 2>&1 ||
				! is_kind "$(kind_of "$2")" >>"$T/out" || ! kwg a diff >>"$T/out"; then
			bad="$bad $k"
			show "$T/out"
		fi
		want "$1"
		kwg a apply --switch-backend >"$T/out" 2>&1 || { bad="$bad back-$k"; show "$T/out"; }
		k=$((k + $3))
	done
	is "$1 to $2: killed at any point, the next apply ends it" '' "$bad"
	check "$1 to $2: there were such points" [ $k -ge 20 ]
}
kind_of() { if [ "$1" = kernel ]; then echo wireguard; else echo tun; fi; }

must on a ip route del 10.8.0.0/24
a_state >"$T/before"
if can_strace; then
	each_failing 'userspace to kernel' 5
else
	skip 'each request fails once' 'strace does not work here'
	expect 0 'userspace to kernel' kwg a apply --switch-backend
fi
check 'then the interface is of the kernel' is_kind wireguard
is 'and the daemon has ended' '' "$(daemon_of_a)"
check 'packets flow' reaches a 10.2.3.2
expect 0 'no difference' kwg a diff

# ---- and back ----

want userspace
a_state >"$T/before"
daemon=
KILOWG_USERSPACE=$T/nowhere expect 2 'kernel to userspace: there is no such program' kwg a apply --switch-backend
like 'the message names it' "$T/err" "step .*$T/nowhere: No such file or directory"
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
as_before 'no such program'
mesh_peer s 'allowed-ip = 10.9.0.0/24'
must on a ip route add 10.9.0.0/24 via 203.0.113.250
a_state >"$T/before"
expect 2 'a late step fails' kwg a apply --switch-backend
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
check 'the interface is that of the kernel' is_kind wireguard
as_before 'a late step'
must on a ip route del 10.9.0.0/24
a_state >"$T/before"
if can_strace; then
	each_killed kernel userspace 12
	want kernel
	expect 0 'apply' kwg a apply
	each_killed userspace kernel 12
	want userspace
fi
expect 0 'kernel to userspace' kwg a apply --switch-backend
check 'the interface is that of a daemon' is_kind tun
check 'packets flow' reaches a 10.2.3.2
expect 0 'no difference' kwg a diff
finish
