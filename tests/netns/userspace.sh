#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# backend = auto and userspace: kilowg starts a userspace WireGuard itself, the
# kilowg-userspace of the build folder or else wireguard-go.
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
program=$KILOWG_USERSPACE

# How many daemons are there, in all nodes?
daemons_running() { cat /proc/[0-9]*/comm 2>/dev/null | grep -cx "$(printf %.15s "$userspace")"; }
no_daemon() { [ "$(daemons_running)" = 0 ]; }
daemon_ids() {
	local p
	for p in /proc/[0-9]*; do
		# The kernel keeps 15 characters.
		[ "$(cat "$p/comm" 2>/dev/null)" != "$(printf %.15s "$userspace")" ] || echo "${p#/proc/}"
	done
}
alias_of() { on "$1" ip link show kilo0 | sed -n 's/^ *alias //p'; }

for node in a b c; do
	state "$node" >"$T/$node.before"
done

# TEXT NODE: is the node as it was, and is there no daemon left?
nothing_left() {
	check "$1: no daemon is left" wait_for 30 no_daemon
	state "$2" >"$T/now"
	same "$1: the host is as before" "$T/$2.before" "$T/now"
	check "$1: no journal is left" [ ! -e "$T/nodes/$2/kilowg/kilo.journal" ]
}

# ---- what is chosen, and why ----

if has_kernel_wireguard; then
	skip 'auto on a kernel without WireGuard' 'this kernel has it'
else
	backend=auto
	local_ini
	backend=userspace
fi
expect 3 'diff shows that a daemon would be started' kwg a diff
like 'by which program' "$T/out" "^\+ link kilo0 type tun by starting $program kilo0\$"
nothing_left 'diff' a
expect 0 'the steps as JSON' kwg a apply --dry-run --json
like 'with the undo' "$T/out" '"undo": "- link kilo0"'
nothing_left 'dry run' a

for node in a b c; do
	expect 0 "$node: apply" kwg "$node" -v apply
done
like 'apply -v says which backend is used, and why' "$T/err" \
	'kilo0: userspace WireGuard \((auto: the kernel has no WireGuard|backend = userspace)\)'
is 'the interface has our mark' 'kilowg mesh=kilo protocol=107 port=51820' "$(alias_of a)"
check 'pods reach each other' reaches a 10.2.2.2 10.2.3.2
check 'through the leader, too' reaches b 10.2.3.2
expect 3 'status: but for p, which does not exist' kwg a status
is 'all is well' 'error: p: no answer from 203.0.113.101:51820/udp' "$(grep error: "$T/out")"
like 'it says which backend is used, and why' "$T/out" \
	'^backend userspace \((auto: the kernel has no WireGuard|backend = userspace)\)$'
kwg a --json status >"$T/out"
like 'so does its JSON' "$T/out" '"backend": "userspace"' '"backend_reason": "'

# ---- what the daemon has of who started it ----

expect 0 'down' kwg a down
check 'who reads what apply prints comes to an end' \
	timeout 30 sh -c 'x=$(exec "$@" 2>&1)' sh nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" \
	"$T/nodes/a" "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a -v apply
check 'with the daemon there' daemon_answers a
expect 0 'down' kwg a down
: >"$T/cron.lock"
# As cron does: flock(1) holds the lock on a descriptor that its command gets, too.
expect 0 'apply under flock' env WG_TUN_FD=9 LISTEN_FDS=1 nsenter --net=/run/netns/a -- \
	unshare --mount sh "$T/as-node" "$T/nodes/a" flock -n "$T/cron.lock" \
	"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply 9>"$T/other.file"
check 'the daemon does not keep the lock' flock -n "$T/cron.lock" true
is 'nor any other file of who started it' '' "$(for p in $(daemon_ids); do
	ls -l "/proc/$p/fd" | grep -E "$T/(cron.lock|other.file)|pipe:"; done)"
check 'pods reach each other again' reaches a 10.2.2.2 10.2.3.2

# ---- twice ----

expect 0 'no difference' kwg a diff
if can_strace; then
	traced_kwg "$T/trace" a apply
	is 'a second apply sends no change' 0 "$(count_mutations "$T/trace")"
else
	skip 'a second apply sends no change' 'no strace here'
fi

# ---- the daemon dies ----

kill -KILL $(daemon_ids)
check 'a killed daemon takes its interface along' wait_for 30 gone on a ip link show kilo0
# Each interface goes in its own time; an apply before that would find all well.
check 'and that of c goes, too' wait_for 30 gone on c ip link show kilo0
expect 3 'status: unhealthy' kwg a status
like 'the interface is missing' "$T/out" 'interface kilo0: missing'
# Milliseconds that a command takes. In a slow guest most go by starting programs.
duration() {
	local since
	since=$(date +%s%N)
	"$@" >"$T/out" 2>"$T/err" || show "$T/err"
	echo $((($(date +%s%N) - since) / 1000000))
}
expect 0 'c: apply starts it again' kwg c apply
took=$(duration kwg a apply)
check 'packets flow again' reaches a 10.2.3.2
least=$(duration kwg a diff)
[ "$least" -lt 250 ] && most=1000 || most=$((4 * least))
check "a: apply has started and configured it in $took ms, at most $most (no change: $least)" \
	[ "$took" -le "$most" ]

# ---- what stays until told ----

sed 's/^backend = .*/backend = kernel/' "$T/local.ini" >"$T/local.kernel"
cp "$T/local.ini" "$T/local.old"
cp "$T/local.kernel" "$T/local.ini"
expect 0 'backend = kernel does not tear down what works' kwg a apply
like 'but says how' "$T/err" 'warning: kilo0: userspace WireGuard .*--switch-backend'
if has_kernel_wireguard; then
	expect 0 'apply --switch-backend moves to the kernel' kwg a apply --switch-backend
	check 'the interface is of the kernel' sh -c "ip -n a -d link show kilo0 | grep -q wireguard"
	cp "$T/local.old" "$T/local.ini"
	expect 0 'and back' kwg a apply --switch-backend
else
	expect 2 'apply --switch-backend to what the kernel has not: refused' kwg a apply --switch-backend
	like 'with the reason' "$T/err" 'kilo0: this kernel has no WireGuard'
	cp "$T/local.old" "$T/local.ini"
	check 'and the daemon is there again' wait_for 30 daemon_answers a
	is 'with our mark' 'kilowg mesh=kilo protocol=107 port=51820' "$(alias_of a)"
fi
expect 0 'apply makes it whole' kwg a apply
check 'and packets flow again' reaches a 10.2.3.2

# ---- down ----

for node in a b c; do
	expect 0 "$node: down" kwg "$node" down
done
nothing_left 'down' a

# ---- failures ----

state a >"$T/a.before"
break_late_step a
expect 5 'a later step fails' kwg a apply
nothing_left 'undone' a
mend_late_step a
state a >"$T/a.before"

# BODY: a program instead of the daemon.
instead() {
	printf '#!/bin/sh\n%s\n' "$1" >"$T/other"
	chmod +x "$T/other"
	KILOWG_USERSPACE=$T/other
}

KILOWG_USERSPACE=$T/nowhere
expect 2 'there is no such program' kwg a apply
like 'the message names it, and says why it is needed' "$T/err" \
	"step .*$T/nowhere: No such file or directory; .*whose kernel has none"
nothing_left 'no program' a
instead 'echo "no tun, sorry" >&2; exit 7'
expect 2 'the program fails' kwg a apply
like 'its words and its exit status are told' "$T/err" 'exit status 7: no tun, sorry'
nothing_left 'failed program' a
cp "$T/local.ini" "$T/local.old"
echo 'interface-timeout = 1s' >>"$T/local.ini"
instead 'exec sleep 1000'
expect 2 'the program stays in the foreground' kwg a apply
like 'the message says so' "$T/err" 'not gone into the background within interface-timeout \(1 s\)'
nothing_left 'program in the foreground' a
instead ':'
expect 2 'the program starts nothing' kwg a apply
like 'the message says what was waited for' "$T/err" 'kilo0.sock'
nothing_left 'program without effect' a
KILOWG_USERSPACE=$program
cp "$T/local.old" "$T/local.ini"

# ---- a systemd that does not answer, or has no systemd-run ----

mkdir -p /run/systemd/system
: >/run/systemd/private
if [ -x /usr/bin/systemd-run ]; then
	expect 0 'systemd does not answer: the daemon is started without' kwg a apply
	like 'the warning says by whom it was not, why, and what may follow' "$T/err" \
		"^kilowg: warning: /usr/bin/systemd-run ends with exit status [0-9]+: .*; $program was started without it, and may end together with the unit"
	is 'in one line' 1 "$(grep -c . "$T/err")"
	check 'the daemon answers' daemon_answers a
	expect 0 'down' kwg a down
	nothing_left 'systemd does not answer' a
	: >"$T/empty"
	must mount --bind "$T/empty" /usr/bin/systemd-run
else
	skip 'systemd does not answer' 'there is no /usr/bin/systemd-run'
fi
expect 0 'systemd-run is not there: the daemon is started without' kwg a apply
like 'the warning says so' "$T/err" \
	"^kilowg: warning: starting /usr/bin/systemd-run: (Permission denied|No such file or directory); $program was started"
expect 0 'down' kwg a down
instead 'echo "no tun, sorry" >&2; exit 7'
expect 2 'the program fails, with systemd-run or without' kwg a apply
like 'its words and its exit status are told' "$T/err" "step .*: $T/other ends with exit status 7: no tun, sorry"
is 'and nothing else' 1 "$(grep -c . "$T/err")"
KILOWG_USERSPACE=$program
rm -r /run/systemd
nothing_left 'no systemd-run' a

# ---- killed before the interface had its mark ----

# INTERFACE: what a journal says when kilowg is killed as it makes this interface.
being_made() {
	printf 'kilowg-journal 1\nboot %s\norigin \nmaking %s\n' \
		"$(cat /proc/sys/kernel/random/boot_id)" "$1" >"$T/nodes/a/kilowg/kilo.journal"
	chmod 600 "$T/nodes/a/kilowg/kilo.journal"
}

must on a "$KILOWG_USERSPACE" kilo0
must wait_for 30 daemon_answers a
expect 2 'an interface without mark belongs to somebody else: refused' kwg a apply
printf kilo0 >"$T/nodes/a/kilowg/kilo.starting"
expect 2 'nor is it ours by the name of a file' kwg a apply
rm "$T/nodes/a/kilowg/kilo.starting"
being_made kilo0
chmod 666 "$T/nodes/a/kilowg/kilo.journal"
expect 2 'nor because of a journal that others may write' kwg a apply
chmod 600 "$T/nodes/a/kilowg/kilo.journal"
expect 0 'unless the journal says that we were about to mark it: apply' kwg a apply
is 'it has our mark' 'kilowg mesh=kilo protocol=107 port=51820' "$(alias_of a)"
expect 0 'down' kwg a down
nothing_left 'half started' a
must on a "$KILOWG_USERSPACE" kilo0
being_made kilo0
expect 0 'down finds it, too' kwg a down
nothing_left 'half started, and down' a

# ---- killed at any point ----

# N: kills kilowg as it is about to send for the Nth time; fails once it gets through.
killed() {
	! on a strace -o "$T/trace" -e trace=sendto,sendmsg,sendmmsg \
		-e inject=sendto,sendmsg:signal=KILL:when="$1" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply >/dev/null 2>&1
}

if can_strace; then
	k=0 bad=
	while k=$((k + 1)) && killed $k && [ $k -lt 200 ]; do
		kwg a apply >"$T/out" 2>&1 && on a ping -c 1 -W 1 -q 10.1.1.2 >/dev/null && kwg a diff >/dev/null ||
			bad="$bad $k"
		kwg a down >"$T/out" 2>&1 && wait_for 30 no_daemon || bad="$bad $k"
	done
	is 'killed at any point, the next apply and down succeed' '' "$bad"
	check 'there were many such points' [ $k -ge 10 ]
	expect 0 'down' kwg a down
	nothing_left 'killed' a
	k=0 bad=
	while k=$((k + 1)) && killed $k && [ $k -lt 200 ]; do
		kwg a down >"$T/out" 2>&1 && wait_for 30 no_daemon && ! on a ip link show kilo0 >/dev/null 2>&1 ||
			bad="$bad $k"
	done
	is 'killed at any point, down alone cleans up, too' '' "$bad"
	expect 0 'down' kwg a down
	nothing_left 'killed, and down' a
else
	skip 'killed at any point' 'no strace here'
fi

finish
