#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Signals while apply and down are at work: what they have begun is finished or
# undone, and then they end as the signal wants. (Not in sh: what that starts in
# the background ignores SIGINT.)
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2016,SC2086  # for another shell; words
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
choose_backend
[ "$backend" != external ] || cannot "kilowg makes no interface here"
three_nodes
state a >"$T/before"

# COMMAND...: kilowg on a in the background, by its own process id: $pid.
begin() {
	: >"$T/bg.err"
	"$@" nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" \
		env --default-signal=HUP,INT,QUIT,TERM,PIPE \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a $words >"$T/bg.out" 2>"$T/bg.err" &
	pid=$!
}

# TEXT STATUS: how it ends.
ends() {
	status=0
	wait "$pid" || status=$?
	is "$1: exit status" "$2" "$status"
}

# TEXT: the host is as before, nothing is left over.
as_before() {
	# A daemon that was given up takes its link along.
	wait_for 5 gone on a ip link show kilo0
	state a >"$T/now"
	same "$1: the host is as before" "$T/before" "$T/now"
	check "$1: no journal is left" gone [ -e "$T/nodes/a/kilowg/kilo.journal" ]
}

# ---- at every point ----

# SIGNAL N WORDS: it comes as kilowg is about to send for the Nth time. Fails once it gets through.
struck() {
	on a env --default-signal=HUP,INT,QUIT,TERM,PIPE strace -o "$T/trace" -e trace=sendto,sendmsg,sendmmsg \
		-e inject=sendto,sendmsg:signal="$1":when="$2" \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a $3 >"$T/out" 2>"$T/err"
	status=$?
	[ "$status" != 0 ]
}

# TEXT SIGNAL NUMBER WORDS: done or undone, whenever it comes.
every() {
	local k=0 bad='' done=0 undone=0
	while k=$((k + 1)) && struck "$2" $k "$4" && [ $k -lt 300 ]; do
		[ "$status" = $((128 + $3)) ] || bad="$bad $k:status-$status"
		if kwg a diff >/dev/null 2>&1; then
			done=$((done + 1))
			[ "$4" = apply ] && ! grep -q "ended by SIG$2, after all steps" "$T/err" && bad="$bad $k:not-said"
		elif wait_for 3 gone on a ip link show kilo0 && state a | cmp -s - "$T/before"; then
			undone=$((undone + 1))
		else
			bad="$bad $k:neither"
		fi
		[ "$4" = apply ] || kwg a apply >/dev/null 2>&1
		[ "$4" != apply ] || { kwg a down >/dev/null 2>&1; wait_for 5 gone on a ip link show kilo0; }
	done
	is "$1: done or undone" '' "$bad"
	check "$1: there were many such points ($done done, $undone undone)" [ $((done + undone)) -ge 10 ]
}

if can_strace; then
	every 'SIGTERM while apply is at work' TERM 15 apply
	must kwg a down
	must kwg a apply
	every 'SIGINT while down is at work' INT 2 down
	must kwg a down
	as_before 'after all these'
	k=0
	while k=$((k + 1)) && [ $k -lt 300 ] && struck HUP $k apply && ! kwg a diff >/dev/null 2>&1; do
		:
	done
	is 'SIGHUP, too' 129 "$status"
	must kwg a down
	on a nohup strace -o "$T/trace" -e trace=sendto,sendmsg -e inject=sendto,sendmsg:signal=HUP:when=$k \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply >"$T/out" 2>"$T/err" </dev/null
	is 'under nohup SIGHUP is ignored' 0 $?
	must kwg a down
else
	skip 'signals at every point' 'no strace here'
fi

# ---- nobody reads what it prints ----

# A pipe whose reader has gone, as with "| head".
must mkfifo "$T/pipe"
# REDIRECTION ARGUMENT...: kilowg on a.
unread() {
	local to="$1"
	shift
	on a sh -c "exec 7<>\"\$0\" >\"\$0\" $to 7<&-; exec \"\$@\"" "$T/pipe" "$KILOWG" -f "$T/mesh.ini" \
		-f "$T/local.ini" --node a -v "$@"
}
unread '' apply 2>/dev/null
expect 0 'apply -v into a pipe that is closed: all is done' kwg a diff
must kwg a down
expect 0 'JSON, and standard error, too' unread '2>&1' --json apply
expect 0 'all is done' kwg a diff
must kwg a down
expect 0 'started without any of the three' on a sh -c '"$@" <&- >&- 2>&-' sh "$KILOWG" -f "$T/mesh.ini" \
	-f "$T/local.ini" --node a -v apply
expect 0 'all is done' kwg a diff
must kwg a down

# ---- while it waits ----

words='apply --wait'
lock=$T/nodes/a/kilowg/kilo.lock
flock --no-fork "$lock" sleep 1000 &
locker=$!
must wait_for 10 gone flock -n "$lock" true
begin
must wait_for 10 grep -q -- "-> FLOCK .* $pid " /proc/locks
kill -TERM $pid
ends 'waiting for the lock, it ends at once' 143
kill $locker
as_before 'waiting for the lock'

if [ "$backend" = userspace ]; then
	# A program that does not get ready, and has a child.
	program=$KILOWG_USERSPACE
	cat >"$T/slow" <<-END
		#!/bin/sh
		echo \$\$ >$T/slow.pid
		sleep 1000 &
		echo \$! >$T/child.pid
		wait
	END
	chmod +x "$T/slow"
	export KILOWG_USERSPACE="$T/slow"
	words=apply
	rm -f "$T/slow.pid" "$T/child.pid"
	begin
	must wait_for 10 [ -s "$T/child.pid" ]
	since=$(date +%s)
	kill -TERM $pid
	ends 'starting a daemon, it gives up' 143
	check 'soon' [ $(($(date +%s) - since)) -le 3 ]
	like 'it says so' "$T/bg.err" 'step 1 of .*stopped before .*/slow went into the background' \
		'^kilowg: ended by SIGTERM, with all steps undone$'
	check 'the program has ended' wait_for 10 gone kill -0 "$(cat "$T/slow.pid")"
	check 'and its child' wait_for 10 gone kill -0 "$(cat "$T/child.pid")"
	as_before 'starting a daemon'

	# As a terminal does: all of the process group get it.
	cat >"$T/slow" <<-END
		#!/bin/sh
		echo \$\$ >$T/slow.pid
		until [ -e $T/go ]; do sleep 0.05; done
		exec $program "\$1"
	END
	rm -f "$T/slow.pid"
	begin setsid
	must wait_for 10 [ -s "$T/slow.pid" ]
	is 'what it starts is in a session of its own' "$(cat "$T/slow.pid")" "$(cut -d ' ' -f 6 "/proc/$(cat "$T/slow.pid")/stat")"
	kill -INT $pid
	ends 'SIGINT' 130
	: >"$T/go"
	as_before 'SIGINT'
	export KILOWG_USERSPACE="$program"

	# The daemon itself ends if who waits for it was ended.
	cat >"$T/given-up.py" <<-'END'
		import os, signal, subprocess, sys, time
		def try_once():
		    p = subprocess.Popen(sys.argv[1:])
		    os.kill(p.pid, signal.SIGSTOP)
		    while p.poll() is None:
		        with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
		            if f.read(): break
		        os.kill(p.pid, signal.SIGCONT); time.sleep(0.0005); os.kill(p.pid, signal.SIGSTOP)
		    else:
		        return False
		    os.kill(p.pid, signal.SIGKILL)
		    return p.wait() == -signal.SIGKILL
		while not try_once():	# it was quicker: that daemon is to stay
		    subprocess.run(["ip", "link", "delete", sys.argv[-1]], check=True)
		    while os.path.exists("/var/run/wireguard/kilo0.sock"):
		        time.sleep(0.01)
	END
	if command -v python3 >/dev/null; then
		must on a python3 "$T/given-up.py" "$program" kilo0
		check 'a daemon whose start was given up ends' wait_for 10 gone on a ip link show kilo0
		check 'and leaves no socket' wait_for 10 gone test -e "$T/nodes/a/wireguard/kilo0.sock"
	fi
fi

finish
