#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What is not ours is not touched; what is ours is found again, whatever
# happened to the run that made it.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg
choose_backend
three_nodes

# NODE FILE TEXT: is the node's state that of the file?
unchanged() {
	state "$1" >"$T/now"
	same "$3" "$2" "$T/now"
}

# ---- interfaces of others ----

local_ini 'interface-timeout = 1s'
must on c ip link add kilo0 type bridge
state c >"$T/c.before"
expect 2 'a bridge has the name of the interface: refused' kwg c apply
like 'the message names it, and what it is' "$T/err" 'kilo0: a foreign interface has this name, of kind bridge'
expect 2 'status says so, too' kwg c status
like 'in the same words' "$T/err" 'kilo0: a foreign interface has this name, of kind bridge'
unchanged c "$T/c.before" 'and nothing is changed'
expect 0 'down leaves it alone' kwg c down
unchanged c "$T/c.before" 'really'
must on c ip link del kilo0

if can_tun && command -v wireguard-go >/dev/null; then
	daemon_start c
	must on c ip link set kilo0 alias 'belongs to somebody'
	state c >"$T/c.before"
	expect 2 'the interface carries the alias of somebody else: refused' kwg c apply
	like 'the message says so' "$T/err" 'kilo0.*(belongs to somebody|not made by kilowg)'
	unchanged c "$T/c.before" 'and nothing is changed'
	must on c ip link set kilo0 alias ''
	cp "$T/local.ini" "$T/local.old"
	sed -e 's/^create-interface = no/create-interface = yes/' -e 's/^backend = .*/backend = auto/' \
		"$T/local.old" >"$T/local.ini"
	state c >"$T/c.before"
	expect 2 'create-interface = yes, but somebody else made it: refused' kwg c apply
	like 'the message says what can be done' "$T/err" 'kilo0.*not made by kilowg.*create-interface = no'
	unchanged c "$T/c.before" 'and nothing is changed'
	cp "$T/local.old" "$T/local.ini"
	daemon_stop TERM c
	must wait_for 30 gone on c ip link show kilo0
else
	skip 'an interface with a foreign alias is refused' 'no wireguard-go, or no TUN'
fi

must on c ip link add other0 type bridge
must on c ip link set other0 alias 'kilowg mesh=other protocol=107'
daemons c
state c >"$T/c.before"
expect 1 'another mesh uses our route protocol: refused' kwg c apply
like 'the message names its interface' "$T/err" 'other0.*route-protocol 107'
unchanged c "$T/c.before" 'and nothing is changed'
must on c ip link del other0

# ---- routes of others ----

state c >"$T/c.before"
must on c ip route add 10.2.1.0/24 via 203.0.113.250
expect 2 'somebody else has a route to a wanted destination: all but that is done' kwg c apply
like 'the message names both' "$T/err" \
	'10\.2\.1\.0/24, the pod-cidr of node a \(.*mesh.ini:[0-9]+\), is left out: it stays with wan0 via 203\.0\.113\.250, proto boot'
is 'the route of others stays' '10.2.1.0/24 via 203.0.113.250 dev wan0 ' "$(on c ip route show 10.2.1.0/24)"
expect 3 'diff has nothing else' kwg c diff
is 'in one line' 1 "$(grep -c '^! 10.2.1.0/24, ' "$T/out")"
is 'and no step' 0 "$(grep -vc '^!' "$T/out")"
must on c ip route del 10.2.1.0/24
expect 3 'without it there is something to do' kwg c diff
expect 0 'apply' kwg c apply
expect 0 'down' kwg c down
unchanged c "$T/c.before" 'all is as before'

# ---- killed at any point ----

down_state c >"$T/c.before"
expect 0 'apply' kwg c apply
state c >"$T/c.applied"
expect 0 'down' kwg c down
down_state c >"$T/now"
same 'as before' "$T/c.before" "$T/now"

# N COMMAND: kills kilowg as it is about to send for the Nth time; fails once it gets through.
killed() {
	on c strace -o /dev/null -e trace=sendto,sendmsg \
		-e inject=sendto,sendmsg:signal=KILL:when="$1" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node c "$2" >"$T/out" 2>"$T/err"
	[ $? = 137 ]
}

# NODE'S-STATE FILE TEXT; a kernel interface is made anew each time, with another index.
is_state() {
	"$1" c | sed -E 's/^[0-9]+: //' >"$T/now"
	sed -E 's/^[0-9]+: //' "$2" >"$T/want"
	cmp -s "$T/want" "$T/now" && return
	say "killed at send number $k: $3:"
	diff -u "$T/want" "$T/now" | sed 's/^/#   /'
	bad="$bad $k"
}

# ARGUMENT TEXT
then_runs() {
	kwg c "$1" >"$T/out" 2>&1 && return
	say "killed at send number $k: then $1 fails:"
	show "$T/out"
	bad="$bad $k"
}

if can_strace; then
	k=0 bad=''
	while k=$((k + 1)); killed $k apply && [ $k -lt 200 ]; do
		then_runs apply
		is_state state "$T/c.applied" 'apply does not lead to the wanted state'
		then_runs down
		is_state down_state "$T/c.before" 'down leaves something'
	done
	check 'there were many points to kill apply at' [ $k -ge 10 ]
	is "killed at each of $((k - 1)) sends: the next apply and down come out right" '' "$bad"

	must kwg c down
	k=0 bad=''
	while k=$((k + 1)); killed $k apply && [ $k -lt 200 ]; do
		then_runs down
		is_state down_state "$T/c.before" 'down leaves something'
	done
	is "killed at each of $((k - 1)) sends: down right after it comes out right" '' "$bad"

	must kwg c apply
	k=0 bad=''
	while k=$((k + 1)); killed $k down && [ $k -lt 200 ]; do
		then_runs down
		is_state down_state "$T/c.before" 'the next down leaves something'
		then_runs apply
		is_state state "$T/c.applied" 'apply does not lead to the wanted state'
	done
	check 'there were some points to kill down at' [ $k -ge 5 ]
	is "down killed at each of $((k - 1)) sends: the next one, and an apply, come out right" '' "$bad"
	must kwg c down
else
	skip 'killed at any point' 'strace does not work here'
fi

# ---- leftovers of other names ----

expect 0 'apply' kwg c apply
cp "$T/local.ini" "$T/local.old"
echo 'interface = kilo1' >>"$T/local.ini"
if [ "$backend" = external ]; then
	# Two daemons, as while one moves over; the old one holds the port.
	daemon_start c kilo1
fi
expect 0 'interface = kilo1: apply moves over' kwg c apply
expect 0 'and then there is no difference' kwg c diff
run on c ip route show proto 107
unlike 'no route goes into the old interface' "$T/out" 'kilo0'
like 'but into the new one' "$T/out" '^10\.2\.1\.0/24 .*dev kilo1'
run on c ip addr show
like 'the new interface has the address' "$T/out" '10\.4\.0\.2/16.* kilo1$'
unlike 'the old one has not' "$T/out" '10\.4\.0\.2/16.* kilo0$'
if [ "$backend" != external ]; then
	check 'the old interface is gone' gone on c ip link show kilo0
	must on c ip link set kilo1 down
	must on c ip link set kilo1 name renamed0
	expect 0 'somebody renamed the interface: apply' kwg c apply
	check 'the renamed one is gone' gone on c ip link show renamed0
	check 'there is a new one' on c ip link show kilo1
	must on c ip link set kilo1 down
	must on c ip link set kilo1 name renamed0
	expect 0 'renamed, then down' kwg c down
	check 'finds it' gone on c ip link show renamed0
	down_state c >"$T/now"
	same 'and nothing is left' "$T/c.before" "$T/now"
else
	run on c ip link show kilo0
	unlike 'the old interface has no mark of ours any more' "$T/out" 'kilowg'
	is 'nor peers of ours' '' "$(on c wg show kilo0 peers)"
	expect 0 'down' kwg c down
	is 'no route is left' '' "$(on c ip route show proto 107)"
	cp "$T/local.old" "$T/local.ini"
	expect 0 'interface = kilo0 again' kwg c apply
	must on c ip link set kilo0 down
	must on c ip link set kilo0 name renamed0
	expect 0 'somebody renamed the interface: down' kwg c down
	run on c ip addr show
	unlike 'finds it, and takes mark and address away' "$T/out" 'kilowg|10\.4\.0\.2'
	is 'no route is left' '' "$(on c ip route show proto 107)"
fi
finish
