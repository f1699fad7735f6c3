#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# If a step fails, those before it are undone.
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
choose_backend
three_nodes
daemons a b c

# NODE FILE TEXT: is the node's state that of the file?
unchanged() {
	state "$1" | sed -E 's/^[0-9]+: //' >"$T/now"
	sed -E 's/^[0-9]+: //' "$2" >"$T/want"
	same "$3" "$T/want" "$T/now"
}

# ---- a real cause: a file that cannot be written ----

state a >"$T/fresh"
break_late_step a
expect 5 'first apply, a late step fails' kwg a apply
like 'the message names step, object and reason' "$T/err" "$late_failure"
is 'in one line' 1 "$(grep -c . "$T/err")"
unchanged a "$T/fresh" 'all is as before'
mend_late_step a
expect 0 'then it works' kwg a apply
expect 0 'apply on b' kwg b apply
expect 0 'apply on c' kwg c apply
check 'packets flow' reaches a 10.2.3.2

# ---- the same on a host that is at work ----

session=$(peer_field a 5 c)
state a >"$T/applied"
mesh_edit p 'endpoint = 203.0.113.101:51820' 'endpoint = 203.0.113.102:51820'
mesh_edit p 'allowed-ip = 10.5.0.1/32' 'allowed-ip = 10.5.0.9/32'
mesh_drop q
mesh_peer r "preshared-key = $(wg genpsk)" 'allowed-ip = 10.8.0.0/24' 'persistent-keepalive = 7'
must on a ip link set kilo0 mtu 1280
sed 's/^firewall/mtu = 1380\n&/' "$T/local.ini" >"$T/local.new"
cp "$T/local.new" "$T/local.ini"
break_late_step a
state a >"$T/applied"
expect 5 'a change of many parts, a late step fails' kwg a apply
like 'the message names the step' "$T/err" "$late_failure"
unchanged a "$T/applied" 'all is as before, MTU, peers and preshared keys included'
is 'the session has gone on' "$session" "$(peer_field a 5 c)"
check 'and carries packets' reaches a 10.2.3.2
mend_late_step a
expect 0 'then it works' kwg a apply
expect 0 'and then there is no difference' kwg a diff

# ---- another interface takes the place of the one that is at work ----

if [ "$backend" = external ]; then
	skip 'another interface name' 'somebody else makes the interface'
else
	mesh_peer s 'allowed-ip = 10.9.0.0/24'
	set_local interface kilo1
	break_late_step a
	state a >"$T/applied"
	expect 5 'another interface name, a late step fails' kwg a apply
	is 'all was undone without a warning' 1 "$(grep -c . "$T/err")"
	unchanged a "$T/applied" 'all is as before'
	check 'and packets flow' reaches a 10.2.3.2
	mend_late_step a
	set_local interface kilo0
	expect 0 'apply' kwg a apply
fi

# ---- every request that is sent fails once ----

# WHAT N: lets the Nth send of the command fail; fails once it gets through.
failing() {
	on a strace -o "$T/trace" -e trace=sendto,sendmsg -e inject=sendto,sendmsg:error=ENOBUFS:when="$2" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a "$1" >"$T/out" 2>"$T/err"
	status=$?
	grep -q INJECTED "$T/trace"
}

# WHAT: has it been done, as if nothing had failed? Then a question was asked again.
is_done() {
	case $1 in
	apply) kwg a diff >"$T/out" 2>&1 ;;
	down) state a | sed -E 's/^[0-9]+: //' | cmp -s - "$T/fresh.want" ;;
	esac
}

# WHAT FILE BACK...: the command with each of its sends failing. If it fails, then
# the state has to stay that of the file; if it goes on, then with a warning,
# unless all was done. BACK undoes what was done nevertheless.
each_failing() {
	local what="$1" file="$2" k=0 bad='' silent=''
	shift 2
	sed -E 's/^[0-9]+: //' "$file" >"$T/want"
	while k=$((k + 1)); failing "$what" $k && [ $k -lt 400 ]; do
		if [ ! -s "$T/err" ] && { [ "$status" != 0 ] || ! is_done "$what"; }; then
			silent="$silent $k"
			say "send $k fails, exit status $status, no message"
		fi
		cp "$T/err" "$T/failing.err"
		failing_status=$status
		state a | sed -E 's/^[0-9]+: //' >"$T/now"
		cmp -s "$T/want" "$T/now" && continue
		if [ "$failing_status" != 0 ]; then
			bad="$bad $k"
			say "send $k fails:"
			show "$T/failing.err"
			diff -u "$T/want" "$T/now" | sed 's/^/#   /'
		fi
		"$@" >"$T/out" 2>&1
	done
	check "$what: there were sends to let fail" [ $k -ge 5 ]
	is "$what: each of $((k - 1)) failing sends is reported" '' "$silent"
	is "$what: after each failure all is as before" '' "$bad"
}

# Back to the interface that there was.
old_interface() {
	cp "$T/local.old" "$T/local.ini"
	kwg a apply
	cp "$T/local.new" "$T/local.ini"
}

if can_strace; then
	kwg a down || bail 'down fails'
	state a >"$T/fresh"
	sed -E 's/^[0-9]+: //' "$T/fresh" >"$T/fresh.want"
	each_failing apply "$T/fresh" kwg a down
	state a >"$T/applied"
	each_failing down "$T/applied" kwg a apply
	if [ "$backend" != external ]; then
		say 'another interface name'
		kwg a apply || bail 'apply fails'
		state a >"$T/applied"
		cp "$T/local.ini" "$T/local.old"
		set_local interface kilo1
		cp "$T/local.ini" "$T/local.new"
		each_failing apply "$T/applied" old_interface

		# The old one is deleted last of all, and the kernel's answer to that is lost.
		on a strace -o "$T/trace" -e trace=sendto,recvmsg \
			"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply >"$T/out" 2>&1
		k=$(awk '/RTM_DELLINK/ { at = n } /^recvmsg/ { n++ } END { print at + 1 }' "$T/trace")
		old_interface
		expect 0 'the answer to the last request is lost: all is done' on a strace -o "$T/trace" \
			-e trace=recvmsg -e "inject=recvmsg:error=ENOBUFS:when=$k" \
			"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply
		like 'one was' "$T/trace" INJECTED
		expect 0 'there is no difference' kwg a diff
		check 'packets flow' reaches a 10.2.3.2
	fi
else
	skip 'each request fails once' 'strace does not work here'
fi
finish
