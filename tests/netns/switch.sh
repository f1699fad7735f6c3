#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
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

stride=${KWG_TEST_STRIDE:-4}

# BACKEND: is wanted from now on.
want() { cp "$T/local.$1" "$T/local.ini"; }

# A renamed link has its name and place again, but not its random, link-local address.
a_state() {
	{
		state a
		on a ip neigh show nud permanent
		! command -v bridge >/dev/null || on a bridge fdb show | grep -v '^33:33:\|^01:00:5e'
	} | sed -E 's/^[0-9]+: //; s/fe80::[0-9a-f:]{6,}/fe80::random/' | sort
}

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

mesh_peer r 'allowed-ip = 10.8.0.0/24'
break_late_step a
a_state >"$T/before"

expect 5 'userspace to kernel: a late step fails' kwg a apply --switch-backend
like 'the message names it' "$T/err" "$late_failure"
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
check 'the interface is that of the daemon' is_kind tun
as_before 'a late step'

# BACKEND ENCAPSULATION: is wanted from now on.
want_both() {
	want "$1"
	cp "$T/mesh.$2" "$T/mesh.ini"
}

# OPTION...: apply --switch-backend under strace.
traced_switch() {
	on a strace -s 4096 -o "$T/trace" -e trace=sendto,sendmsg "$@" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply --switch-backend >"$T/out" 2>"$T/err"
}

# Prints the numbers of the first and the last send in $T/trace that change something, and some more.
points_between() {
	grep '^sendto(' "$T/trace" | awk '
		/nlmsg_type=RTM_(NEW|DEL|SET)|nlmsg_type=wireguard[^"]*"\\(x0)?1\\|"set=1\\n/ { if (!first) first = NR; last = NR }
		END { print first - 1, last + 2 }'
}

# FROM ENCAPSULATION TO ENCAPSULATION: with its sends failing, one in so many. What fails has
# changed nothing, and says so in one line; what was done nevertheless leads back.
each_failing() {
	local text="$1, $2, to $3, $4" k last bad='' fails=0 through=0
	want_both "$1" "$2"
	must kwg a apply --switch-backend
	a_state >"$T/before"
	daemon=$(daemon_of_a)
	want_both "$3" "$4"
	traced_switch || { fail "$text: apply"; show "$T/err"; return; }
	last=$(points_between)
	k=${last% *} last=${last#* }
	go_back "$1" "$2"
	while [ "$k" -le "$last" ]; do
		want_both "$3" "$4"
		ended=0
		traced_switch -e inject=sendto,sendmsg:error=ENOBUFS:when="$k" || ended=$?
		if [ $ended = 0 ]; then
			through=$((through + 1))
			kwg a diff >>"$T/out" || bad="$bad $k:not-done"
			go_back "$1" "$2"
		else
			fails=$((fails + 1))
			want_both "$1" "$2"
			[ "$(daemon_of_a)" = "$daemon" ] || bad="$bad $k:daemon"
			[ "$(grep -c . "$T/err")" = 1 ] || bad="$bad $k:words"
		fi
		a_state >"$T/now"
		cmp -s "$T/before" "$T/now" || bad="$bad $k:state"
		reaches a 10.2.3.2 >>"$T/out" || bad="$bad $k:packets"
		case " $bad" in *" $k:"*)
			say "send $k fails, exit status $ended:"
			show "$T/err"
			show "$T/out"
			diff -u "$T/before" "$T/now" | sed 's/^/#   /' ;;
		esac
		k=$((k + stride))
	done
	is "$text: all is as before after each of $fails failures ($through came through)" '' "$bad"
	check "$text: there were some" [ $fails -ge 3 ]
	want_both "$1" "$2"
	expect 0 "$text: no difference is left" kwg a diff
}

# BACKEND ENCAPSULATION
go_back() {
	want_both "$1" "$2"
	kwg a apply --switch-backend >"$T/back" 2>&1 || { say "no way back"; show "$T/back"; }
	daemon=$(daemon_of_a)
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

mend_late_step a
cp "$T/mesh.ini" "$T/mesh.never"
if can_strace; then
	each_failing userspace never kernel never
	want_both kernel never
else
	skip 'each request fails once' 'strace does not work here'
fi
expect 0 'userspace to kernel' kwg a apply --switch-backend
check 'the interface is of the kernel' is_kind wireguard
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
break_late_step a
a_state >"$T/before"
expect 5 'a late step fails' kwg a apply --switch-backend
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
check 'the interface is that of the kernel' is_kind wireguard
as_before 'a late step'
mend_late_step a
cp "$T/mesh.ini" "$T/mesh.never"
a_state >"$T/before"
if can_strace; then
	each_failing kernel never userspace never
	want_both userspace never
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

# ---- with a tunnel that comes, or goes, at the same time ----

for protocol in vxlan ipip; do
	"has_$protocol" || { skip "$protocol" 'the kernel has none'; continue; }
	mesh_set encapsulation always
	mesh_set encapsulation-protocol $protocol
	cp "$T/mesh.ini" "$T/mesh.$protocol"
	want_both userspace $protocol
	can_strace || { skip "$protocol" 'strace does not work here'; continue; }
	each_failing userspace never kernel $protocol
	each_failing kernel $protocol userspace never
done
finish
