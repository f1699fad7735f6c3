#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Policy rules: two for a location however many nodes it has, also where an earlier version has
# left one for each; their number, and what stands before them.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend
three_nodes
mesh_drop p q
mesh_set encapsulation always
mesh_set encapsulation-protocol vxlan
daemons a b c

# NODE: its rules but for those that all hosts have, without blanks at the ends.
rules() {
	on "$1" ip rule | grep -v -e '^0:' -e '^3276[67]:' | tr '\t' ' ' | sed 's/ *$//; s/  */ /g'
}

# ---- two rules ----

must apply_all a b c
is 'a leader has a rule for its pods and one for what comes out of WireGuard' \
	'32765: from 10.2.1.0/24 lookup 1107 proto 107
32765: from all iif kilo0 lookup 1107 proto 107' "$(rules a)"
is 'another member has one' '32765: from 10.2.2.0/24 lookup 1107 proto 107' "$(rules b)"
is 'a node alone has none' '' "$(rules c)"
way() { on a ip route get "$1" from "$2" iif "$3" | head -n 1; }
way 10.1.1.2 10.2.1.2 pod0 >"$T/way"
like 'pods get to the other member by the tunnel' "$T/way" 'dev kilo0-vxlan'
way 10.1.1.2 10.2.3.2 kilo0 >"$T/way"
like 'and so does what comes out of WireGuard' "$T/way" 'dev kilo0-vxlan'
on a ip route get 10.1.1.2 >"$T/way"
like 'the host itself does not' "$T/way" 'dev lan0'
way 203.0.113.3 10.2.1.2 pod0 >"$T/way"
like 'for what is not in the table the next rule counts' "$T/way" 'dev wan0'
check 'packets get through' reaches a.pod 10.2.2.2 10.2.3.2 10.1.1.2
check 'from elsewhere, too' reaches c.pod 10.1.1.2 10.2.2.2

members() {
	local i=1
	while [ "$i" -le "$1" ]; do
		mesh_node "m$i" 'location = x' 'endpoint = 10.1.1.2:51820' \
			"internal-ip = 10.1.$((4 + i / 200)).$((1 + i % 200))/16" "pod-cidr = 10.$((16 + i / 200)).$((1 + i % 200)).0/24"
		i=$((i + 1))
	done
}
# Keys are slow to make by a program; one for all will not do, so these are invented.
public_key() {
	case $1 in
	m*) printf '%s' "$1" | sha256sum | cut -c 1-64 | xxd -r -p | base64 ;;
	*) cat "$T/keys/$1.pub" ;;
	esac
}
if command -v xxd >/dev/null; then
	cp "$mesh_ini" "$T/small.ini"
	members 400
	must kwg b apply
	kwg b plan | grep -c ' lookup 1107' >"$T/plan"
	is 'with 400 members more, the plan has a rule for each, as Kilo' 401 "$(cat "$T/plan")"
	is 'and the host has one' 1 "$(rules b | grep -c .)"
	is 'for as many routes' 401 "$(on b ip route show table 1107 | grep -c .)"
	must kwg a apply
	is 'the leader has two' 2 "$(rules a | grep -c .)"
	cp "$T/small.ini" "$mesh_ini"
	for n in a b; do must kwg $n apply --allow-shrink; done
else
	skip 'with 400 members more' 'there is no xxd'
fi

# ---- rules of an earlier version ----

# NODE TO...: as it left them.
old_rules() {
	local node="$1" to
	shift
	for to; do
		must on "$node" ip rule add from 10.2.1.0/24 to "$to" lookup 1107 priority 32765 protocol 107
		must on "$node" ip rule add to "$to" iif kilo0 lookup 1107 priority 32765 protocol 107
	done
}
must on a ip rule del from 10.2.1.0/24 lookup 1107 priority 32765
must on a ip rule del iif kilo0 lookup 1107 priority 32765
old_rules a 10.1.1.2 10.1.1.7
expect 3 'rules of an earlier version are drift' kwg a diff
like 'two come, and all of these go' "$T/out" '^\+ rule from 10\.2\.1\.0/24 lookup 1107$' \
	'^\+ rule from all iif kilo0 lookup 1107$' '^- rule from all to 10\.1\.1\.7/32 iif kilo0 lookup 1107$'
is 'in this order' '++----' "$(grep -o '^[+-] rule' "$T/out" | cut -c 1 | tr -d '\n')"
on a ip monitor rule >"$T/monitor" 2>&1 &
listens() {
	on a ip rule add lookup 9999 && on a ip rule del lookup 9999
	grep -q '^Deleted.* 9999' "$T/monitor"
}
check 'changes are seen' wait_for 10 listens
on b sh -c 'echo $$ >"$1" && exec ping -i 0.02 10.2.3.2' sh "$T/ping.id" >"$T/ping" 2>&1 &
check 'packets get through' wait_for 10 grep -q '^64 bytes from' "$T/ping"
must kwg a apply
kill -INT "$(cat "$T/ping.id")"
check 'what was sent meanwhile is counted' wait_for 10 grep -q 'packet loss' "$T/ping"
is 'apply makes two of them' '32765: from 10.2.1.0/24 lookup 1107 proto 107
32765: from all iif kilo0 lookup 1107 proto 107' "$(rules a)"
is 'while packets get through' 0 "$(lost "$T/ping")"
is 'with no change left' 0 "$(kwg a diff | grep -c .)"
seen_all() { [ "$(grep -c '^Deleted.* 1107' "$T/monitor")" = 4 ]; }
check 'changes are seen to the end' wait_for 10 seen_all
is 'what is new comes before what goes' 'added added Deleted Deleted Deleted Deleted' \
	"$(sed '/ 9999/d; s/^\(Deleted\) .*/\1/; t; s/.*/added/' "$T/monitor" | grep -v '^$' | tr '\n' ' ' | sed 's/ $//')"

# ---- undone ----

# The same once more, and undone: the kernel takes "from all iif kilo0 lookup 1107" for any
# rule with that and more.
must on a ip rule del from 10.2.1.0/24 lookup 1107 priority 32765
must on a ip rule del iif kilo0 lookup 1107 priority 32765
old_rules a 10.1.1.2 10.1.1.7
# Each of the last requests refused: those about rules are among them.
undone() {
	local n first last rc=0
	rules a | sort >"$T/before"
	traced_kwg "$T/trace" a apply || return 1
	must on a ip rule del from 10.2.1.0/24 lookup 1107 priority 32765
	must on a ip rule del iif kilo0 lookup 1107 priority 32765
	old_rules a 10.1.1.2 10.1.1.7
	last=$(grep -c 'sendto(' "$T/trace")
	first=$(grep -n 'sendto(' "$T/trace" | grep -n 'RTM_NEWRULE' | sed -n '1s/:.*//p')
	n=$((first - 1))
	while [ "$n" -le "$last" ]; do
		if on a strace -o /dev/null -e trace=sendto -e "inject=sendto:error=ENOMEM:when=$n" \
			"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a apply 2>"$T/err"; then
			# Not what is changed, but a look at it failed.
			[ "$(rules a | grep -c .)" = 2 ] || { echo "$n: not done"; rules a; return 1; }
			must on a ip rule del from 10.2.1.0/24 lookup 1107 priority 32765
			must on a ip rule del iif kilo0 lookup 1107 priority 32765
			old_rules a 10.1.1.2 10.1.1.7
		else
			rc=$((rc + 1))
			rules a | sort | diff "$T/before" - || { echo "$n:"; cat "$T/err"; return 1; }
		fi
		n=$((n + 1))
	done
	echo "$rc of $last failed"
	[ "$rc" -ge 6 ]
}
if can_strace; then
	check 'whatever fails, all rules are as they were' undone
else
	skip 'whatever fails, all rules are as they were' 'there is no strace'
fi
must kwg a apply
is 'and apply does it' 2 "$(rules a | grep -c .)"

# ---- what else stands in that table ----

must kwg a apply
expect 0 'nobody else is in the table' kwg a status
must on a ip route add 192.0.2.0/24 via 203.0.113.9 dev wan0 table 1107 proto static
expect 0 'a route of somebody else leads what pods send: not unhealthy' kwg a status
like 'but told, with what helps' "$T/out" \
	'^warning: the route 192\.0\.2\.0/24 dev wan0 table 1107 is of somebody else \(protocol 4\), in a table of kilowg, and so leads what pods here send' \
	'take it away: ip route del 192\.0\.2\.0/24 dev wan0 table 1107, or give kilowg a table that nobody else has: route-table'
expect 0 'apply leaves it alone' kwg a apply
check 'it is there' sh -c 'ip -n a route show table 1107 | grep -q "^192\.0\.2\.0/24"'
must on a ip route del 192.0.2.0/24 table 1107
must on a ip route add 10.1.1.2/32 dev lan0 table 1107 proto static metric 5
expect 0 'a worse one beside ours takes nothing' sh -c 'ip -n a route get 10.1.1.2 from 10.2.1.2 iif pod0 | grep -q kilo0-vxlan'
must on a ip route del 10.1.1.2/32 table 1107 metric 5
expect 0 'without it all is well' kwg a status
unlike 'and nothing is said' "$T/out" 'of somebody else'

# ---- what stands before them ----

must kwg a apply
must on a ip rule add lookup main suppress_prefixlength 0 priority 105
expect 3 'a rule of a VPN before ours is told' kwg a status
like 'with what helps' "$T/out" '^error: what pods here send to 10\.1\.1\.2/32.* leave by lan0, not kilo0-vxlan: rule 105 \(lookup main\) stands before that of kilowg' \
	'set rule-priority below 105 in \[local\]'
set_local rule-priority 104
expect 3 'the number is changed' kwg a diff
like 'by a rule with the new one, then without the old' "$T/out" '^\+ rule from 10\.2\.1\.0/24 lookup 1107 priority 104$' \
	'^- rule from 10\.2\.1\.0/24 lookup 1107$'
must kwg a apply
expect 0 'which helps' kwg a status
is 'and is how the kernel has it' '104: from 10.2.1.0/24 lookup 1107 proto 107
104: from all iif kilo0 lookup 1107 proto 107
105: from all lookup main suppress_prefixlength 0' "$(rules a)"
# wg-quick(8) lets the kernel choose a number, which is one less than the least.
must on a ip rule add lookup main suppress_prefixlength 0
must on a ip rule del priority 105
expect 3 'who comes later stands before' kwg a status
like 'that is told' "$T/out" 'set rule-priority below 103 in \[local\]'
set_local rule-priority 0
must kwg a apply
expect 0 'but 0 stands before all' kwg a status
must on a ip rule del priority 103
must on a ip rule add lookup main suppress_prefixlength 0
expect 0 'also before who comes later' kwg a status
must on a ip rule del lookup main suppress_prefixlength 0 priority 0
must kwg a down
is 'down leaves no rule' '' "$(rules a)"
is 'and the rule of the local table' 1 "$(on a ip rule | grep -c '^0:')"
finish
