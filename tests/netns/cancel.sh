#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A program that embeds the library ends what it has begun, wherever that waits; and
# what it must not do is refused, without harm.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg flock
choose_backend
cancel=${top_builddir:-${KILOWG%/*}}/tests/netns/cancel
program=${KILOWG_USERSPACE:-/nonexistent}

# Nobody answers there.
printf 'nameserver 203.0.113.254\n' >"$T/resolv.conf"
printf 'hosts: files dns\n' >"$T/nsswitch.conf"
own_file /etc/resolv.conf
own_file /etc/nsswitch.conf
three_nodes

embed() { run on a "$cancel" "$@" "$program" "$T/mesh.ini" "$T/local.ini"; }
cancelled='-11'		# KWG_ERR_CANCELLED
usage='-2'		# KWG_ERR_USAGE

# Lets go of the lock after so many seconds, if nobody ends it.
hold_lock() {
	flock -x "$1" sh -c 'echo >"$0"; exec sleep 60' "$T/held" &
	holder=$!
	wait_for 10 test -e "$T/held" || bail "nobody has $1"
}

state a >"$T/before"

# ---- between two steps ----

embed 'step 3 of' 0 a
like 'cancelled at the third step: the fourth is not begun' "$T/out" \
	"^run $cancelled step 0: cancelled before step 4 of" '^progress 3 of [1-9]'
state a >"$T/now"
same 'and all is as it was' "$T/before" "$T/now"
expect 0 'nothing is left for down' kwg a down

# ---- waiting for the lock ----

lock=$(echo "$T"/nodes/a/kilowg/[!.]*.lock)
check 'there is a lock' [ -e "$lock" ]
hold_lock "$lock"
embed 'waiting for another kilowg' 300 a
like 'cancelled while another one has the lock' "$T/out" "^new $cancelled step 0: .*cancelled" '^at once$'
kill $holder
wait $holder 2>/dev/null

# ---- names ----

if [ "$backend" != external ]; then
	set_local resolve-timeout 60s
	mesh_edit c "endpoint = 203.0.113.3:51820" "endpoint = c.mesh.test:51820"
		embed 'looking names up' 300 a
	like 'cancelled while names are looked up' "$T/out" "^new $cancelled step 0: .*cancelled" '^at once$'
	mesh_edit c "endpoint = c.mesh.test:51820" "endpoint = 203.0.113.3:51820"
	state a >"$T/now"
	same 'and all is as it was' "$T/before" "$T/now"
fi

# ---- an interface that somebody else makes ----

own=$backend
backend=external
local_ini 'interface-timeout = 60s'
backend=$own
embed 'waiting for the interface' 300 a
like 'cancelled while nobody makes the interface' "$T/out" "^new $cancelled step 0: .*cancelled" '^at once$'
state a >"$T/now"
same 'and all is as it was' "$T/before" "$T/now"

# ---- which step failed ----

local_ini
break_late_step a
embed never 0 a
like 'a step that fails is told by its number' "$T/out" "^run -[0-9]+ step [1-9]" \
	'^progress [1-9]'
is 'which is the last one that progress has told' "$(sed -n 's/^progress \([0-9]*\).*/\1/p' "$T/out")" \
	"$(sed -n 's/^run -[0-9]* step \([0-9]*\): .*/\1/p' "$T/out")"
unlike 'and numbers only grow' "$T/out" 'out of order'
mend_late_step a

# ---- health without an interface ----

local_ini
run on a "$cancel" status a "$T/mesh.ini" "$T/local.ini"
like 'a missing interface is unhealthy, and no error' "$T/out" '^status 0' '^unhealthy$' 'kilo0: missing'

# ---- what must not be run ----

if [ "$backend" = external ]; then
	skip 'steps are not run twice' 'somebody else makes the interface'
	finish
fi
embed misuse a
like 'steps that were made to be shown are not run' "$T/out" "^run $usage step 0: .*read_only"
like 'steps are run once' "$T/out" '^run 0' "^again $usage step 0: "
run kwg a diff
is 'the mesh is up, all the same' 0 "$status"
embed never 0 a
like 'who is not cancelled is not disturbed' "$T/out" '^new 0' '^run 0'
expect 0 'down' kwg a down
state a >"$T/now"
same 'and all is as it was' "$T/before" "$T/now"
finish
