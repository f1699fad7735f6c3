#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Files that a part seems to be missing of are not applied, by apply, watch or a unit, until they
# are whole again; and what was taken down stays down until somebody asks for it.

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ip
choose_backend
[ "$backend" != external ] || cannot 'kilowg makes no interface here'
three_nodes
local_ini 'create-interface = yes'
# Those of a location that nobody reaches.
for i in 1 2 3 4 5; do
	mesh_node "far$i" "location = far$i" "endpoint = 203.0.113.$((10 + i)):51820" \
		"pod-cidr = 10.3.$i.0/24" "internal-ip = 10.4$i.0.1/32"
done
cp "$mesh_ini" "$T/whole.ini"

whole() { cp "$T/whole.ini" "$mesh_ini"; }
peers() { on a wg show kilo0 peers | grep -c .; }
has_peers() { [ "$(peers)" = "$1" ]; }

# TEXT OPTION...: apply on a is refused with status 1, and nothing is changed.
refused() {
	local text="$1" before
	shift
	before=$(state a)
	expect 1 "$text: refused" kwg a "$@" apply
	is "$text: nothing has changed" "$before" "$(state a)"
}

# ---- apply ---------------------------------------------------------------------

expect 0 'eight nodes are applied' kwg a apply
is 'their leaders and the outside peers' 8 "$(peers)"

mesh_drop far1 far2 far3 far4
expect 0 'half of them may go' kwg a apply
whole
expect 0 'and come back' kwg a apply

mesh_drop far1 far2 far3 far4 far5
refused 'five of eight at once'
like 'it says what, and what helps' "$T/err" 'have 3 nodes that take part, and 8 are applied' \
	'allow-shrink'
expect 3 'diff shows what would change' kwg a diff
like 'and says that apply refuses it' "$T/err" 'warning: apply refuses this'
set_local max-shrink 62
refused 'max-shrink = 62'
set_local max-shrink 63
expect 0 'max-shrink = 63 lets them go' kwg a --json apply --dry-run
set_local max-shrink 50
expect 0 '--allow-shrink lets them go' kwg a apply --allow-shrink
is 'they are gone' 3 "$(peers)"
expect 0 'the new number counts from then on' kwg a apply
whole
expect 0 'all are back' kwg a apply

set_local max-shrink 0
mesh_drop far1
expect 0 'one may always go' kwg a apply
set_local max-shrink 101
expect 1 'max-shrink = 101 is an error' kwg a apply
set_local max-shrink 50
whole
expect 0 'all are back' kwg a apply

# Nodes that do not take part any more are gone as well.
sed '/^name = far/,/^$/ s/^public-key/#public-key/' "$T/whole.ini" >"$mesh_ini"
refused 'nodes without keys'
whole

printf %s "$(cat "$T/whole.ini")" >"$mesh_ini"
refused 'a file that ends within a line'
like 'it says which one' "$T/err" "^kilowg: $mesh_ini: the last line is incomplete"
expect 0 '--allow-shrink takes it' kwg a apply --allow-shrink
printf '\n[end]' >>"$mesh_ini"
expect 0 '[end] is an end, too' kwg a apply
whole
mkdir "$T/dir" "$T/first"
cp "$mesh_ini" "$T/local.ini" "$T/dir"
expect 0 'a folder' on a "$KILOWG" -f "$T/dir" --node a apply
: >"$T/dir/peers.ini"
expect 1 'an empty file in it is refused' on a "$KILOWG" -f "$T/dir" --node a apply
like 'it says which one' "$T/err" 'peers.ini: the file is empty'
rm "$T/dir/peers.ini"
: >"$mesh_ini"
refused 'an empty file'
# Any number of bytes of it.
before=$(state a)
size=$(wc -c <"$T/whole.ini") len=1 failed=''
while [ $len -lt "$size" ]; do
	head -c $len "$T/whole.ini" >"$mesh_ini"
	if kwg a apply >/dev/null 2>&1 && [ "$(grep -c '^\[node\]' "$mesh_ini")" -lt 4 ]; then
		failed="$failed $len"
	fi
	len=$((len + size / 40))
done
is 'cut off anywhere: no half of a mesh is applied' '' "$failed"
whole
expect 0 'whole again' kwg a apply
is 'all is as it was' "$before" "$(state a)"

# The journal is all that knows; without one, nothing is known, and without a mesh there is nothing
# to guard.
must on a rm /run/kilowg/kilo.journal
mesh_drop far1 far2 far3 far4 far5
expect 0 'without a journal' kwg a apply
whole
expect 0 'all are back' kwg a apply
expect 0 'taken down' kwg a down
mesh_drop far1 far2 far3 far4 far5
expect 0 'nothing is applied, so any number will do' kwg a apply
whole
expect 0 'all are back' kwg a apply

# An undone apply leaves the number that is applied.
must on a ip link add foreign0 type veth peer name foreign1
mesh_drop far1 far2 far3 far4 far5
expect 2 'an apply that fails' kwg a --interface foreign0 apply --allow-shrink
refused 'it has not changed what is applied'
whole

# ---- leaving ---------------------------------------------------------------------

mesh_drop a
refused 'this node is missing'
refused 'this node is missing, and a word for it' --node nobody
before=$(state a)
mesh_drop far1 far2 far3 far4
expect 1 '--leave is guarded, too' kwg a apply --leave
is 'nothing has changed' "$before" "$(state a)"
whole
expect 0 '--leave with the node' kwg a apply --leave
is 'applies as always' "$before" "$(state a)"
mesh_edit a "$(sed -n '/^name = a$/{n;p;q;}' "$T/whole.ini")" ''
expect 1 '--leave with a node that lacks its key' kwg a apply --leave
is 'nothing has changed' "$before" "$(state a)"
whole
mesh_drop a
expect 1 '--leave with a name that this host never had' kwg a --node nobody apply --leave
like 'it says which one it has' "$T/err" 'applied as "a"'
is 'nothing has changed' "$before" "$(state a)"
expect 0 '--leave without the node, what would be' kwg a apply --leave --dry-run
is 'nothing has changed' "$before" "$(state a)"
expect 0 '--leave without the node' kwg a apply --leave
unlike 'the mesh is gone' "$(state a >"$T/state"; echo "$T/state")" 'kilo0|proto 107'
expect 0 'once more' kwg a apply --leave
is 'says nothing' '' "$(cat "$T/err")"

# ---- down stays down ---------------------------------------------------------------

whole
expect 0 '--unless-down after leaving' kwg a apply --unless-down
like 'it says why' "$T/err" 'was taken down'
check 'no mesh' gone on a ip link show kilo0
expect 0 'somebody asks' kwg a apply
check 'the mesh is back' on a ip link show kilo0
expect 0 '--unless-down applies then' kwg a apply --unless-down
expect 0 'down' kwg a down
run on a env TRIGGER_UNIT=kilowg.timer "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a apply
is 'nor does a timer bring it back' 0 "$status"
check 'no mesh' gone on a ip link show kilo0
expect 0 'a dry run of down' kwg a apply
expect 0 'a dry run of down' kwg a down --dry-run
expect 0 'is no down' kwg a apply --unless-down
check 'the mesh is there' on a ip link show kilo0

# One waits for the lock while the other takes the mesh down.
: >"$T/mark"
must mkfifo "$T/hold"
on a flock /run/kilowg/kilo.lock cat "$T/hold" >/dev/null 2>&1 &
holder=$!
locked() { on a sh -c '! flock -n /run/kilowg/kilo.lock true'; }
must wait_for 10 locked
waits() { on a sh -c 'grep -c -e "-> FLOCK" /proc/locks' | grep -q "^$1$"; }
kwg a down --wait >/dev/null 2>"$T/down.err" &
down=$!
must wait_for 10 waits 1
kwg a apply --unless-down --wait >/dev/null 2>"$T/apply.err" &
apply=$!
must wait_for 10 waits 2
: >"$T/hold"
wait $holder
wait $down
is 'down has waited' 0 $?
wait $apply
is 'apply has waited for it' 0 $?
check 'no mesh' gone on a ip link show kilo0
like 'and has seen that' "$T/apply.err" 'was taken down'

# ---- watch ---------------------------------------------------------------------------

: >"$T/watch.err"
nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" \
	"$KILOWG" --node a -f "$T/dir" watch >"$T/watch.out" 2>"$T/watch.err" &
watch=$!
check 'watch asks for the mesh' wait_for 20 has_peers 8
# TEXT PATTERN...
says() { wait_for 20 grep -Eq -e "$1" "$T/watch.err"; }
new_file() { cp "$1" "$T/new" && mv "$T/new" "$T/dir/mesh.ini"; }

mesh_drop far1 far2 far3 far4 far5
new_file "$mesh_ini"
check 'it does not follow a file that has lost five nodes' says 'have 3 nodes'
check 'it says what holds' says 'what the files said before still holds'
must ip -n a route flush proto 107
check 'and repairs that' says 'repaired'
is 'all are still there' 8 "$(peers)"
whole
new_file "$mesh_ini"
check 'the file is whole again' says 'complete again'
: >"$T/watch.err"
: >"$T/empty"
new_file "$T/empty"
check 'nor an empty one' says 'still holds'
mesh_drop a
: >"$T/watch.err"
new_file "$mesh_ini"
check 'nor one without this node' says 'no node "a"'
is 'all are still there' 8 "$(peers)"
whole
mesh_drop far1
new_file "$mesh_ini"
check 'one that has lost one is followed' wait_for 20 has_peers 7
whole
new_file "$mesh_ini"
check 'and whole again' wait_for 20 has_peers 8

: >"$T/watch.err"
wait_for 20 kwg a diff
expect 0 'down under watch' kwg a down --wait
check 'watch says that it was' says 'was taken down'
must on a ip link add other0 type veth peer name other1
must on a ip link del other0
new_file "$T/whole.ini"
check 'no mesh' gone on a ip link show kilo0
wakeups() { awk '/^voluntary/ { print $2 }' "/proc/$watch/status"; }
rests() { local before; before=$(wakeups); sleep 0.3; [ "$before" = "$(wakeups)" ]; }
check 'watch comes to rest' wait_for 20 rests
check 'still no mesh' gone on a ip link show kilo0
expect 0 'somebody asks' kwg a apply --wait
must ip -n a route flush proto 107
check 'watch repairs again' wait_for 20 kwg a diff
expect 0 'down once more' kwg a down --wait
: >"$T/watch.err"
kill -HUP $watch
check 'who tells watch to read its files asks, too' wait_for 20 has_peers 8
kill $watch
wait $watch

finish
