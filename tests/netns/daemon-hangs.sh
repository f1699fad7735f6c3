#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A daemon that hangs: who it is, and apply replaces it if it is its own.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2016,SC2046,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
use_userspace
backend=userspace
three_nodes

# PID: has it ended? Who had started it is no more, so it may wait to be buried.
is_dead() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# SECONDS COMMAND...: milliseconds that it takes, at most.
within() {
	local most="${1}000" since
	shift
	since=$(now_ms)
	run "$@"
	took=$(($(now_ms) - since))
	[ "$took" -le "$most" ]
}

must kwg a apply
must kwg c apply
check 'packets flow' reaches c 10.2.1.2

# NAME: the daemon of a, called NAME, is stopped, and found out.
hangs() {
	pid=$(daemon_id a)
	must kill -STOP "$pid"
	who="$1 \(process $pid\)"
	check "$1 hangs: status comes to an end" within 20 kwg a status
	is 'it fails' 2 "$status"
	like 'and says who hangs' "$T/err" "^kilowg: kilo0: .*$who does not answer within 5 s"
	check 'so does diff' within 25 kwg a diff
	is 'with differences' 3 "$status"
	like 'and says what is to be done' "$T/err" "warning: kilo0: .*$who .*is to be replaced"
	like 'and how' "$T/out" '^- link kilo0' '^\+ link kilo0'
	check 'it still is as it was' grep -q '^State:.T' "/proc/$pid/status"
	check 'apply replaces it' within 60 kwg a apply
	is 'with success' 0 "$status"
	check 'the old one has ended' is_dead "$pid"
	check 'the new one has what belongs to it' reaches c 10.2.1.2
	expect 0 'no difference is left' kwg a diff
}
hangs "$(printf %.15s kilowg-userspace)"	# the kernel keeps that much

if command -v capsh >/dev/null; then
	# As in its unit: it sees who listens, but not what others have open.
	pid=$(daemon_id a)
	must kill -STOP "$pid"
	expect 0 'apply without the right to look into processes replaces it, too' on a \
		capsh --drop=cap_sys_ptrace,cap_kill,cap_dac_override,cap_dac_read_search,cap_net_bind_service -- \
		-c "! readlink /proc/$pid/fd/1 && exec $KILOWG -f $T/mesh.ini -f $T/local.ini --node a apply"
	check 'the old one has ended' is_dead "$pid"
else
	skip 'apply without the right to look into processes' 'there is no capsh'
fi

pid=$(daemon_id a)
must kill -STOP "$pid"
check 'down gets rid of one that hangs' within 60 kwg a down
is 'with success' 0 "$status"
check 'it has ended' is_dead "$pid"
check 'the link has gone' gone on a ip link show kilo0

if command -v wireguard-go >/dev/null; then
	printf '#!/bin/sh\nLOG_LEVEL=error exec wireguard-go "$1"\n' >"$T/userspace"
	chmod +x "$T/userspace"
	KILOWG_USERSPACE=$T/userspace
	must kwg a apply
	hangs wireguard-go
	must kwg a down

	# One that somebody else has started is not ours to end.
	backend=external
	local_ini
	daemon_start a
	must kwg a apply
	pid=$(daemon_id a)
	must kill -STOP "$pid"
	check 'a daemon of others hangs: apply comes to an end' within 30 kwg a apply
	is 'and fails' 2 "$status"
	like 'with who it is' "$T/err" "^kilowg: kilo0: .*wireguard-go \(process $pid\) does not answer within 5 s"
	check 'it is left alone' grep -q '^State:.T' "/proc/$pid/status"
	must kill -CONT "$pid"
	expect 0 'when it goes on, apply succeeds' kwg a apply
else
	skip 'wireguard-go hangs' 'there is none'
fi

finish
