#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A leader becomes a follower, and leader again. Routes that others have put on
# its interface stay; so the interface, which is down on a follower, is up as
# long as there are any: set down, the kernel would drop them for good.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2 | 10.1.1.0/24   .1    .1  203.0.113.0/24 | .3
#        +----------------------------------------+ .2

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
choose_backend
[ "$backend" != external ] || cannot 'somebody else makes the interface'
three_nodes
# Without a default route a follower has none to go by, and leaves what it was last.
local_ini 'mtu = 1400'
plug b wan0 wan 203.0.113.2/24
mesh_edit b 'endpoint = 10.1.1.2:51820' 'endpoint = 203.0.113.2:51820'
mesh_edit b '' 'leader = no'

# NAME FORMER: leads the location from now on.
leads() {
	mesh_edit "$2" 'leader = yes' 'leader = no'
	mesh_edit "$1" 'leader = no' 'leader = yes'
}

# TEXT: on all nodes, without a word; then packets flow between all pods, and nothing is left to do.
apply_here() {
	local node
	check "$1: apply" apply_all a b c
	is "$1: no warning" '' "$(cat "$T/err")"
	for node in a b c; do
		expect 0 "$1: $node: no difference" kwg "$node" diff
	done
	check "$1: packets flow" reaches c.pod 10.2.1.2 10.2.2.2
	check "$1: between all" reaches a.pod 10.2.2.2 10.2.3.2
}

# NODE FILE TEXT: is the node's state that of the file?
is_as() {
	state "$1" >"$T/now"
	same "$3" "$2" "$T/now"
}

is_up() { on "$1" ip link show kilo0 | grep -q '[<,]UP[,>]'; }

# Of others, on a's interface, in both families, and in a table of their own.
others() {
	{
		on a ip -d route show table all
		! can_ipv6 || on a ip -d -6 route show table all
	} | grep -E '^(unicast )?(10\.9[89]\.|fd99:)' | sort
}

add_others() {
	must on a ip route add 10.99.0.0/24 dev kilo0
	must on a ip route add 10.98.0.0/24 via 10.4.0.2 dev kilo0 onlink metric 7 mtu 1300 proto static
	must on a ip route add 10.99.1.0/24 dev kilo0 table 99
	! can_ipv6 || must on a ip route add fd99::/64 dev kilo0
}

del_others() {
	must on a ip route del 10.99.0.0/24 dev kilo0
	must on a ip route del 10.98.0.0/24 dev kilo0 metric 7
	must on a ip route del 10.99.1.0/24 dev kilo0 table 99
	! can_ipv6 || must on a ip route del fd99::/64 dev kilo0
}

# ---- nobody else's routes ----

apply_here 'a leads'
check 'the interface of a leader is up' is_up a
check 'that of a follower is down' gone is_up b
for node in a b c; do state $node >"$T/$node.first"; done
leads b a
apply_here 'b leads'
check 'the interface of the new leader is up' is_up b
check 'that of the new follower is down' gone is_up a
state a >"$T/a.follows"
leads a b
apply_here 'a leads again'
for node in a b c; do is_as $node "$T/$node.first" "$node: all is as before"; done

# ---- with routes of others ----

add_others
others >"$T/others"
state a >"$T/a.others"
leads b a
apply_here 'b leads, routes of others'
others >"$T/now"
same 'routes of others stay' "$T/others" "$T/now"
check 'the interface stays up for them' is_up a
leads a b
apply_here 'a leads again, routes of others'
others >"$T/now"
same 'routes of others stay' "$T/others" "$T/now"
is_as a "$T/a.others" 'all is as before, and in the same order'

# ---- the change fails ----

mesh_peer r 'allowed-ip = 10.8.0.0/24'
break_late_step a
state a >"$T/a.others"
leads b a
expect 5 'leader to follower, a late step fails' kwg a apply
like 'the message names it' "$T/err" "$late_failure"
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
is_as a "$T/a.others" 'all is as before'
mend_late_step a
mesh_drop r
apply_here 'b leads'
break_late_step a
mesh_peer r 'allowed-ip = 10.8.0.0/24'
state a >"$T/a.now"
leads a b
expect 5 'follower to leader, a late step fails' kwg a apply
is 'and all was undone without a warning' 1 "$(grep -c . "$T/err")"
is_as a "$T/a.now" 'all is as before'
mend_late_step a
mesh_drop r
leads b a

# ---- they go ----

del_others
expect 3 'without routes of others there is something to do' kwg a diff
like 'the interface is set down' "$T/out" 'link kilo0 down'
apply_here 'routes of others have gone'
is_as a "$T/a.follows" 'the follower is like one that never had any'
leads a b
apply_here 'a leads at last'
for node in a b c; do is_as $node "$T/$node.first" "$node: all is as before"; done
finish
