#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# apply --confirm: what was before comes back by itself, whatever happens to who has applied.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2016,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ip ping
choose_backend
[ "$backend" != external ] || cannot 'kilowg makes no interface here'
three_nodes
run_a=$T/nodes/a/kilowg state_a=$T/nodes/a/state
# A secret in a file.
(umask 077 && wg genpsk >"$run_a/psk")
for n in b c; do cp -p "$run_a/psk" "$T/nodes/$n/kilowg/psk"; done
mesh_peer s 'preshared-key-file = /run/kilowg/psk' 'allowed-ip = 10.7.0.0/24'
cp "$mesh_ini" "$T/good.ini"

# ---- helpers ---------------------------------------------------------------

secrets() { on a wg show kilo0 private-key; on a wg show kilo0 preshared-keys | sort; }
whole_state() { state a; secrets; }
# TEXT: is a in the state of $T/before, with all keys?
as_before() {
	whole_state >"$T/now"
	same "$1" "$T/before" "$T/now"
}
is_before() { whole_state >"$T/now" && cmp -s "$T/before" "$T/now"; }
waits() { grep -qs '^state waits' "$run_a/kilo.confirm"; }
is_held() { grep -qs '^state held' "$run_a"/*.confirm; }
# Gone back, and all that goes with it.
is_back() { is_held && is_before; }
nothing_pending() { [ -z "$(find "$run_a" "$state_a" -name '*.confirm*')" ]; }
keeper() { sed -n 's/^keeper process //p' "$run_a/kilo.confirm" 2>/dev/null; }
keeper_gone() { ! kill -0 "$1" 2>/dev/null; }
has_r() { ip -n a route show proto 107 | grep -q '^10\.9\.0\.0/24 '; }

# Files that ask for more than those of before.
change() { cp "$T/good.ini" "$mesh_ini"; mesh_peer r 'allowed-ip = 10.9.0.0/24'; }
# The files of before again, applied, with nothing held.
reset() {
	cp "$T/good.ini" "$mesh_ini"
	kwg a apply --supersede >"$T/must" 2>&1 || { show "$T/must"; bail 'apply of the files of before'; }
	nothing_pending || bail 'something is left'
	whole_state >"$T/before"
}

# ---- what is refused ----------------------------------------------------------

for bad in 0 -1 x 1x 604801 99999999999 ''; do
	expect 1 "--confirm \"$bad\" is refused" kwg a apply --confirm "$bad"
done
expect 1 '--probe without --confirm is refused' kwg a apply --probe c
expect 3 'confirm: there is nothing to be confirmed' kwg a confirm
like 'and says so' "$T/err" 'nothing waits for a confirmation'
expect 1 'a name that is no part of the mesh' kwg a apply --confirm 30 --probe nobody
expect 1 'an address outside of the mesh' kwg a apply --confirm 30 --probe 203.0.113.3
expect 1 'an address of its own' kwg a apply --confirm 30 --probe 10.2.1.2
expect 1 'its own name' kwg a apply --confirm 30 --probe a
check 'nothing was changed' gone on a ip link show kilo0

# ---- the first apply: before, there was no mesh ------------------------------------

down_state a >"$T/fresh"
expect 0 'first apply, with --confirm' kwg a apply --confirm 1
like 'it says how long there is, and who goes back' "$T/out" \
	'^applied; without "kilowg confirm" within 1 s, by [0-9:]+, process [0-9]+ rolls back'
is 'and nothing else' 1 "$(cat "$T/out" "$T/err" | wc -l)"
check 'not confirmed: there is no mesh again' wait_for 20 is_held
check 'no interface' wait_for 5 gone on a ip link show kilo0
down_state a >"$T/now"
same 'the host is as before' "$T/fresh" "$T/now"
expect 3 'the same files are not applied by the way' kwg a apply
like 'it says why' "$T/err" 'not applied: .*: is still as it was when it was rolled back \(it was not confirmed in time\)'
check 'and there is still none' gone on a ip link show kilo0
expect 0 'with --supersede they are' kwg a apply --supersede
check 'nothing is held any more' nothing_pending
expect 0 'b applies' kwg b apply
expect 0 'c applies' kwg c apply
check 'packets flow' reaches a 10.2.3.2
whole_state >"$T/before"

# ---- in time, and not ---------------------------------------------------------------

change
expect 0 'apply --confirm' kwg a apply --confirm 300
check 'it is applied' has_r
pid=$(keeper)
check 'a process waits' kill -0 "$pid"
is 'in a session of its own' "$pid" "$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 4)"
is 'in no folder of the caller' / "$(readlink "/proc/$pid/cwd")"
is 'with no file of the caller' '' "$(find "/proc/$pid/fd" -type l -printf '%l\n' |
	grep -vE '^/dev/null$|^anon_inode:|/\.keeper-[0-9a-f]*\.lock$')"
kwg a status >"$T/out" 2>&1
like 'status says until when, and who' "$T/out" \
	"^warning: the configuration waits for a confirmation until [0-9-]+ [0-9:]+, [0-9]+ s more, then process $pid rolls back"
expect 4 'another apply is refused with 4' kwg a apply
like 'and the reason' "$T/err" 'a change waits for a confirmation, for [0-9]+ s more'
expect 4 'down, too' kwg a down
expect 4 'rollback to a number, too' kwg a rollback 1
expect 4 'apply --confirm, too' kwg a apply --confirm 5
expect 0 'confirm' kwg a confirm
check 'the process leaves' wait_for 5 keeper_gone "$pid"
check 'nothing waits any more' nothing_pending
check 'no lock of it is left' [ -z "$(find "$run_a" -name '.keeper*')" ]
check 'the change stays' has_r
expect 0 'it is what apply has' kwg a diff
expect 3 'confirm once more: there is nothing' kwg a confirm
expect 0 'apply without a change waits for nothing' kwg a apply --confirm 300
check 'so nothing waits' nothing_pending

reset
change
check 'the peer has the key of its file' grep -qF "$(cat "$run_a/psk")" "$T/before"
wg genpsk >"$run_a/psk"
expect 0 'another key in the file, and a peer more: apply --confirm' kwg a apply --confirm 5
check 'the new key is in force' sh -c 'on=$1; shift; "$@" | grep -qF "$(cat "$on")"' sh "$run_a/psk" \
	nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" wg show kilo0 preshared-keys
check 'not confirmed: all is as before, the old key included' wait_for 20 is_back
as_before 'in each line'
expect 3 'confirm is too late' kwg a confirm
like 'and says so' "$T/err" 'too late'
expect 3 'apply of anybody changes nothing' kwg a apply
as_before 'with the old key'
check 'status says so' sh -c '! "$@"' sh kwg a status
run kwg a status
like 'status names what is held' "$T/out" '^warning: the previous configuration is in force, not these files'
echo '# edited' >>"$mesh_ini"
wg genpsk >"$run_a/psk"
expect 0 'changed files are applied' kwg a apply
check 'with the change' has_r
check 'and nothing is held' nothing_pending

# ---- whoever has applied dies ----------------------------------------------------------

reset
change
cp "$mesh_ini" "$T/changed.ini"
# In a session of its own, with a shell that stays.
setsid --fork nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" sh -c \
	'echo $$ >"$1/session"; "$2" -f "$3" -f "$1/local.ini" --node a apply --confirm 4; sleep 1000' \
	sh "$T" "$KILOWG" "$mesh_ini" >/dev/null 2>&1 </dev/null
check 'a session applies' wait_for 20 waits
check 'to the end' wait_for 20 grep -q '^running 0' "$run_a/kilo.confirm"
session=$(ps -o sid= -p "$(cat "$T/session")" | tr -d ' ')
# shellcheck disable=SC2046  # words
kill -KILL $(ps -o pid= -s "$session")
check 'no process of it is left' gone sh -c 'ps -o stat= -s "$1" | grep -qv Z' sh "$session"
check 'it is killed as a whole, and all is as before in time' wait_for 30 is_back

reset
change
# Killed in the middle of its steps.
if can_strace; then
	n=8
	while [ $n -lt 400 ]; do
		on a strace -o "$T/trace" -e trace=sendto,sendmsg -e inject=sendto,sendmsg:signal=KILL:when=$n \
			"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a apply --confirm 1 >/dev/null 2>&1
		! waits || break
		n=$((n + 1))
	done
	check "killed at request $n of its steps" waits
	check 'all is as before in time' wait_for 30 is_back
else
	skip 'killed in its steps' 'there is no strace'
fi

reset
change
expect 0 'apply --confirm' kwg a apply --confirm 2
kill -KILL "$(keeper)"
run kwg a status
like 'the process that waits is killed: status says so' "$T/out" 'nothing will roll back'
overdue() { kwg a apply >"$T/out" 2>"$T/err"; [ $? = 3 ]; }
check 'the next apply after that time goes back' wait_for 20 overdue
as_before 'all is as before'
check 'and the change is held' is_held

# ---- a probe ------------------------------------------------------------------------------

reset
change
expect 0 'a probe that is answered confirms' kwg a apply --confirm 60 --probe c --probe 10.2.3.2
check 'at once' nothing_pending
check 'it stays' has_r
reset
change
begin=$(date +%s)
expect 3 'a probe that is not answered' kwg a apply --confirm 6 --probe c --probe p
like 'says who did not answer' "$T/err" '^kilowg: no answer from p: rolled back'
unlike 'and not who did' "$T/err" 'no answer.* c[ ,:]'
as_before 'all is as before'
say "$(($(date +%s) - begin)) s"
check 'before the time is up, by itself' is_held
like 'the history says why' "$state_a/history/kilo.$(printf %010d "$(find "$state_a/history" -name 'kilo.*.entry' |
	sed 's/.*kilo\.0*//; s/\..*//' | sort -n | tail -n 1)").entry" '^result undone: no answer from p$'

# ---- another one meanwhile --------------------------------------------------------------------

reset
change
expect 0 'apply --confirm' kwg a apply --confirm 300
first=$(keeper)
mesh_peer t 'allowed-ip = 10.11.0.0/24'
expect 0 'another one supersedes it' kwg a apply --confirm 2 --supersede
check 'its process leaves' wait_for 5 keeper_gone "$first"
check 'not confirmed: what was before both comes back' wait_for 20 is_back
reset
change
expect 0 'apply --confirm' kwg a apply --confirm 300
expect 0 'apply --supersede without' kwg a apply --supersede
check 'nothing waits' nothing_pending
check 'it stays' has_r
reset
change
expect 0 'apply --confirm' kwg a apply --confirm 300
mesh_peer u 'allowed-ip = 10.12.0.0/24'
cp "$T/local.ini" "$T/local.now"
break_late_step a
cp "$run_a/kilo.confirm" "$T/record"
expect 5 'one that supersedes it, and fails' kwg a apply --confirm 5 --supersede
mend_late_step a
mv "$T/local.now" "$T/local.ini"
same 'leaves the first one waiting' "$T/record" "$run_a/kilo.confirm"
check 'with its process' kill -0 "$(keeper)"
expect 0 'rollback goes back at once' kwg a rollback
as_before 'all is as before'
check 'and the change is held' is_held
reset
change
expect 0 'apply --confirm' kwg a apply --confirm 300
expect 0 'down --supersede' kwg a down --supersede
check 'nothing waits' nothing_pending
check 'there is no mesh' gone on a ip link show kilo0
reset

# ---- a terminal --------------------------------------------------------------------------------

if command -v python3 >/dev/null; then
	cat >"$T/terminal.py" <<-'PY'
		import os, pty, select, sys, time
		# ANSWER COMMAND...: on a terminal; "hangup" closes it when it asks.
		answer, command = sys.argv[1], sys.argv[2:]
		pid, fd = pty.fork()
		if not pid:
		    os.execvp(command[0], command)
		seen, asked, end = b"", False, time.time() + 60
		while time.time() < end:
		    if select.select([fd], [], [], 1)[0]:
		        try:
		            data = os.read(fd, 4096)
		        except OSError:
		            break
		        if not data:
		            break
		        seen += data
		    if not asked and b"keep? [y/N] " in seen:
		        asked = True
		        if answer == "hangup":
		            os.close(fd)
		            break
		        if answer != "nothing":
		            os.write(fd, answer.encode() + b"\n")
		sys.stdout.write(seen.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if answer != "hangup" else 0)
	PY
	# ANSWER SECONDS
	on_terminal() {
		run python3 "$T/terminal.py" "$1" nsenter --net=/run/netns/a -- unshare --mount sh \
			"$T/as-node" "$T/nodes/a" "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a \
			apply --confirm "$2"
	}
	change
	on_terminal y 300
	is 'yes: exit status 0' 0 "$status"
	like 'it has asked' "$T/out" 'keep\? \[y/N\] (300|299) s'
	check 'it is confirmed' nothing_pending
	check 'and stays' has_r
	reset
	change
	on_terminal '' 300
	is 'only Enter: exit status 3' 3 "$status"
	as_before 'all is as before'
	reset
	change
	on_terminal nothing 2
	is 'no answer: exit status 3' 3 "$status"
	like 'and what has happened' "$T/out" 'not confirmed.*: rolled back'
	as_before 'all is as before'
	reset
	change
	on_terminal hangup 3
	check 'the terminal goes: all is as before in time' wait_for 30 is_back
	reset
else
	skip 'a terminal' 'there is no python3'
fi

# ---- the clock, and another start of the host ---------------------------------------------------

if [ "${KWG_TEST_IN_VM:-}" = yes ]; then
	change
	expect 0 'apply --confirm' kwg a apply --confirm 4
	must date -s '+2 days'
	check 'the clock is set forth: it waits nevertheless' waits
	check 'and then goes back' wait_for 30 is_back
	reset
	change
	expect 0 'apply --confirm' kwg a apply --confirm 3
	must date -s '-4 days'
	check 'the clock is set back: it goes back in time' wait_for 30 is_back
	must date -s '+2 days'
	reset
else
	skip 'the clock is set' 'it is that of this machine; tests/vm/netns.sh does that'
fi

# What a reboot leaves: /run is empty, the kernel has nothing, and the boot has another number.
boot() {
	local f
	! keeper >"$T/keeper" || kill -KILL "$(cat "$T/keeper")" 2>/dev/null
	on a ip route flush proto 107
	on a ip rule flush proto 107 2>/dev/null
	on a ip link del kilo0
	wait_for 10 gone on a ip link show kilo0
	for f in "$run_a"/* "$run_a"/.[a-z]*; do
		case $f in */key | */psk) ;; *) rm -f "$f" ;; esac
	done
	cat /proc/sys/kernel/random/uuid >"$T/boot_id"
	must mount --bind "$T/boot_id" /proc/sys/kernel/random/boot_id
}
change
expect 0 'apply --confirm' kwg a apply --confirm 300
boot
expect 3 'the host starts anew: apply of the boot' kwg a apply
like 'says why it is not of the files' "$T/err" 'not applied: .*it was not confirmed in time'
as_before 'the last confirmed configuration is there'
expect 3 'confirm is too late' kwg a confirm
reset
change
expect 0 'apply --confirm' kwg a apply --confirm 300
expect 0 'confirm' kwg a confirm
whole_state >"$T/confirmed"
boot
expect 0 'the same after a confirmation' kwg a apply
whole_state >"$T/now"
same 'what was confirmed is there' "$T/confirmed" "$T/now"
reset

# ---- other kinds of changes ----------------------------------------------------------------------

# TEXT LINE...: with these lines in [mesh] or [local] it is applied, and goes back.
goes_back() {
	expect 0 "$1: apply --confirm" kwg a apply --confirm 1
	check "$1: all is as before" wait_for 30 is_back
	as_before "$1: in each line"
	cp "$T/local.before" "$T/local.ini"
	reset
}
cp "$T/local.ini" "$T/local.before"
echo 'interface = kilo7' >>"$T/local.ini"
goes_back 'another interface name'
mesh_set name other
goes_back 'another mesh name'
mesh_set subnet 10.44.0.0/16
goes_back 'another subnet'
mesh_set port 51999
goes_back 'another port'
echo 'route-protocol = 108' >>"$T/local.ini"
goes_back 'another protocol number'
mesh_drop c p
goes_back 'nodes and peers less'

# ---- a full disk ------------------------------------------------------------------------------------

must mount -t tmpfs -o size=64k tmpfs "$state_a"
dd if=/dev/zero of="$state_a/full" bs=4k count=64 2>/dev/null
change
expect 0 'the disk is full: apply --confirm' kwg a apply --confirm 1
like 'and a warning' "$T/err" 'warning: .*No space left'
check 'it goes back' wait_for 20 is_back
echo '# edited' >>"$mesh_ini"
expect 0 'apply' kwg a apply
like 'and a warning' "$T/err" 'warning: .*No space left.*not in the history'
check 'it is applied' has_r
cp "$T/good.ini" "$mesh_ini"
expect 0 'apply' kwg a apply
change
expect 0 'apply --confirm' kwg a apply --confirm 300
expect 0 'confirm' kwg a confirm
check 'it stays' has_r
must umount "$state_a"
reset

# ---- watch ------------------------------------------------------------------------------------------------

nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" \
	"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a watch >"$T/watch.out" 2>"$T/watch.err" &
watch=$!
watch_rests() { find "/proc/$watch/fd" -printf '%l\n' | grep -q signalfd && on a flock -n /run/kilowg/kilo.lock true; }
check 'watch runs' wait_for 20 watch_rests
cp "$mesh_ini" "$T/other.ini"
printf '\n[peer]\nname = r\npublic-key = %s\nallowed-ip = 10.9.0.0/24\n' "$(public_key r)" >>"$T/other.ini"
expect 0 'beside watch: apply --confirm of other files' on a "$KILOWG" -f "$T/other.ini" -f "$T/local.ini" \
	--node a apply --confirm 300 --lock-timeout 20
check 'watch says that it waits' wait_for 20 grep -q 'a change waits for a confirmation' "$T/watch.err"
must on a ip route flush proto 107
check 'watch neither repairs' gone wait_for 2 has_r
check 'nor takes it back or confirms it' waits
expect 0 'rollback' kwg a rollback
check 'then it is as the files say' wait_for 20 is_before
kill "$watch"
wait "$watch"
reset

# ---- the lock ----------------------------------------------------------------------------------------------

sed 's/^firewall/create-interface = no\ninterface = none0\ninterface-timeout = 60s\n&/' "$T/local.ini" >"$T/waits.ini"
nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" \
	"$KILOWG" -f "$mesh_ini" -f "$T/waits.ini" --node a apply --lock-timeout 20 >"$T/holder" 2>&1 &
holder=$!
check 'somebody has the lock' wait_for 20 gone on a flock -n /run/kilowg/kilo.lock true
show "$T/holder"
expect 4 'who comes second' kwg a apply
like 'is told who it is, and since when' "$T/err" \
	"kilowg .* apply --lock-timeout 20\" \\(process $holder, since [0-9-]+ [0-9:]+\\) is at work on mesh kilo"
begin=$(date +%s)
expect 4 '--lock-timeout 1' kwg a apply --lock-timeout 1
check 'has waited' [ "$(date +%s)" -gt "$begin" ]
if [ -e "$T/terminal.py" ]; then
	run python3 "$T/terminal.py" nothing nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" \
		"$T/nodes/a" "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a apply --lock-timeout 4
	is 'the same on a terminal' 4 "$status"
	tr '\r\033' '\n^' <"$T/out" >"$T/lines"
	like 'where one line says what it waits for' "$T/lines" '^\^\[Kwaiting for another kilowg \.\.\. [1-4] s$'
	like 'and goes away' "$T/lines" '^\^\[Kkilowg: .*is at work on mesh'
fi
for bad in 0 x -1; do expect 1 "--lock-timeout $bad is refused" kwg a apply --lock-timeout "$bad"; done
(sleep 2; kill "$holder") &
expect 0 '--lock-timeout 60, and it goes meanwhile' kwg a apply --lock-timeout 60
# What stands in the lock is of one that has ended; who has it now is somebody who notes nothing.
on a flock /run/kilowg/kilo.lock tail -f /dev/null &
holder=$!
check 'another program has the lock' wait_for 20 gone on a flock -n /run/kilowg/kilo.lock true
expect 4 'who comes then' kwg a apply
like 'is not told of one that has ended' "$T/err" ': another kilowg is at work on mesh kilo'
kill "$holder"
finish
