#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg-userspace is replaced by another one under traffic: no packet is lost, no session is new, and
# no counter is used twice, whoever fails or is killed.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2034,SC2046,SC2086,SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping python3
use_userspace
backend=userspace
export KILOWG_WORKERS=2		# also where there is one processor
three_nodes
must kwg a apply
must kwg c apply
check 'packets flow' reaches c 10.2.1.2

traffic_py=$lib_dir/netns/restart.py
handshakes() { on a wg show kilo0 latest-handshakes && on c wg show kilo0 latest-handshakes; }

# NODE NAME WORDS...: restart.py there; what it prints is in $T/NAME. Waits until it is ready.
there() {
	local node="$1" name="$2"
	shift 2
	: >"$T/$name"
	on "$node" python3 "$traffic_py" "$@" >"$T/$name" &
	case $1 in receive | sink | nonces | stand | full) wait_for 60 test -s "$T/$name" || bail "$* does not begin" ;; esac
}
# Datagrams and a stream, both ways, and somebody who looks at all of it.
begin_traffic() {
	rm -f "$T/stop" "$T/look"
	there a nonces nonces wan0 "$T/look"
	there a.pod udp1 receive 4001
	there c.pod udp2 receive 4002
	there a.pod tcp1 sink 4003
	there c.pod tcp2 sink 4004
	there c.pod - send 10.2.1.2 4001 "$T/stop"
	there a.pod - send 10.2.3.2 4002 "$T/stop"
	there c.pod - stream 10.2.1.2 4003 "$T/stop"
	there a.pod - stream 10.2.3.2 4004 "$T/stop"
}
has_ended() { for f in udp1 udp2 tcp1 tcp2; do grep -Eq 'lost|whole|broken|only' "$T/$f" || return 1; done; }
end_traffic() {
	touch "$T/stop"
	wait_for 60 has_ended
	touch "$T/look"
	wait_for 60 grep -q again "$T/nonces"
}
show_traffic() { say "$(sed 's/^ready$//' "$T/udp1" "$T/udp2" "$T/tcp1" "$T/tcp2" "$T/nonces" | tr '\n' ' ')"; }

# NODE [WORDS...]: a successor there.
replace() {
	local node="$1"
	shift
	on "$node" env "$@" "$KILOWG_USERSPACE" --replace kilo0
}
rx() { on "$1" awk '$1 == "kilo0:" { print $3 }' /proc/net/dev; }
# NODE NUMBER: more packets than these have come out of the tunnel.
more_than() { [ "$(rx "$1")" -gt "$2" ]; }
# NODE: more packets come.
flows() {
	local n
	n=$(rx "$1")
	wait_for 60 more_than "$1" $((n + 20))
}

# ---- ten times each ---------------------------------------------------------

began=$(cut -d . -f 1 /proc/uptime)
before=$(handshakes)
begin_traffic
i=0
while [ $i -lt 10 ]; do
	i=$((i + 1))
	n=$(rx a)
	wait_for 60 more_than a $((n + 50))
	replace a >"$T/out" 2>&1 || bail "a: $(cat "$T/out")"
	replace c >"$T/out" 2>&1 || bail "c: $(cat "$T/out")"
done
end_traffic
show_traffic
is 'ten times both are replaced under traffic: no datagram is lost, to a' 'lost 0, twice 0' "$(grep lost "$T/udp1")"
is 'nor to c' 'lost 0, twice 0' "$(grep lost "$T/udp2")"
is 'the stream to a is whole' whole "$(grep -v ready "$T/tcp1")"
is 'and that to c' whole "$(grep -v ready "$T/tcp2")"
is 'no counter was used twice' 'again 0' "$(grep again "$T/nonces")"
if [ $(($(cut -d . -f 1 /proc/uptime) - began)) -lt 100 ]; then
	is 'the sessions are the same' "$before" "$(handshakes)"
else
	skip 'the sessions are the same' 'it took so long that they have become old'
fi
expect 0 'nothing has changed for kilowg' kwg a diff

# ---- successors that fail ---------------------------------------------------

begin_traffic
flows a
# TEXT PATTERN COMMAND...: fails with that, and the running one goes on.
fails() {
	local text="$1" pattern="$2" pid
	shift 2
	pid=$(daemon_id a)
	expect 1 "$text fails" "$@"
	like 'and says why' "$T/err" "$pattern"
	is 'the same one runs' "$pid" "$(daemon_id a)"
	check 'and packets flow' flows a
}
fails 'a successor without its cipher' 'no cipher "none"' replace a KILOWG_AEAD=none
fails 'one in another network namespace' 'in another network namespace' on a unshare --net "$KILOWG_USERSPACE" --replace kilo0
ask() { on a python3 "$traffic_py" ask /run/wireguard/kilo0.sock "$1"; }
must ask no
check 'one that takes nothing: packets flow' flows a
ask die >/dev/null 2>&1
check 'one that is killed before it takes anything: packets flow' flows a
expect 0 'one that takes too long' ask hold
like 'cannot take anything any more' "$T/out" '^taken'
check 'packets flow' flows a
is 'a request for what is not there is refused' 'errno=-71' "$(printf 'hand=1\n\n' | on a python3 -c '
import socket, sys
c = socket.socket(socket.AF_UNIX)
c.connect("/run/wireguard/kilo0.sock")
c.send(sys.stdin.buffer.read())
print(c.recv(100).decode().strip())')"

# Killed after some milliseconds. It may have taken all by then: nobody goes on. Or it had not asked yet,
# and begins as if nobody had been there.
began_anew() { on a ip link show kilo0 >"$T/link" 2>&1 && ! grep -q 'alias kilowg' "$T/link"; }
is_decided() { gone on a ip link show kilo0 || on a wg show kilo0; }
# WHOM: a successor begins, and it or the one before is killed.
kill_one() {
	on a python3 "$traffic_py" kill "$1" "$2" "$(daemon_id a)" "$KILOWG_USERSPACE" -f --replace kilo0
	wait_for 60 is_decided
	if began_anew; then
		anew=$((anew + 1))
		must on a ip link del kilo0
		wait_for 60 gone on a ip link show kilo0
	fi
	on a wg show kilo0 >/dev/null 2>&1 && return
	alone=$((alone + 1))
	kwg a apply >"$T/out" 2>&1 || bail "apply: $(cat "$T/out")"
}
i=0 alone=0 anew=0
while [ $i -lt 12 ]; do
	i=$((i + 3))
	kill_one successor $i
done
say "after $alone of $((i / 3)) nobody was left, or $anew times one that began anew"
check 'successors are killed at any moment: packets flow' flows a
expect 0 'as planned' kwg a diff
i=0 alone=0 anew=0
while [ $i -lt 12 ]; do
	i=$((i + 3))
	kill_one predecessor $i
done
say "after $alone of $((i / 3)) nobody was left, or $anew times one that began anew"
kwg a apply >"$T/out" 2>&1 || bail "apply: $(cat "$T/out")"
check 'predecessors are killed at any moment: packets flow' flows a
expect 0 'as planned' kwg a diff

# Its own end is that of all.
expect 0 'who claims all and ends' ask claim
like 'has had it' "$T/out" '^free'
check 'leaves nobody: the one before does not go on' wait_for 60 gone on a wg show kilo0
must kwg a apply
check 'until somebody begins anew' flows a
end_traffic
show_traffic
is 'no counter was used twice' 'again 0' "$(grep again "$T/nonces")"

# ---- while the interface is down ----------------------------------------------

must on a ip link set kilo0 down
expect 0 'while the interface is down' replace a
must on a ip link set kilo0 up
must kwg a apply
check 'afterwards packets flow' reaches a 10.2.3.2

# ---- what is of no use ---------------------------------------------------------

# VERSION WHY: kept by a manager.
useless() {
	on a python3 "$traffic_py" keep "$1" "$KILOWG_USERSPACE" -f wg6 2>"$T/log" &
	check "a state of version $1 is kept: it begins anew" wait_for 60 on a wg show wg6
	like 'and says why' "$T/log" "starting anew: .*$2"
	must on a ip link del wg6
	wait $!
}
useless 4711 'has format 4711, this program knows 1'
useless 1 'is damaged'

# A predecessor of another version, for an upgrade and for the way back from one.
for version in 0 2; do
	there a stood stand /run/wireguard/wg6.sock $version
	expect 1 "one that hands over format $version is not replaced" on a "$KILOWG_USERSPACE" --replace wg6
	like 'and it is said why' "$T/err" "has format $version, this program knows 1"
	check 'it can go on' wait_for 60 grep -q back "$T/stood"
	must on a rm /run/wireguard/wg6.sock
done

# ---- others -----------------------------------------------------------------

there a full full /run/wireguard/wg6.sock
expect 1 'one that accepts nobody is not waited for' timeout 30 nsenter --net=/run/netns/a -- \
	unshare --mount sh "$T/as-node" "$T/nodes/a" "$KILOWG_USERSPACE" --replace wg6
like 'which is said' "$T/err" 'wg6: who listens on its socket does not answer; end it first'
must on a rm /run/wireguard/wg6.sock

on a "$KILOWG_USERSPACE" --replace wg7
is 'nobody to replace: it starts' 0 $?
must on a ip link del wg7
if command -v wireguard-go >/dev/null; then
	must on a wireguard-go wg8
	expect 1 'wireguard-go is not replaced' on a "$KILOWG_USERSPACE" --replace wg8
	like 'which is said' "$T/err" 'wg8: who answers there does not hand over'
	check 'it goes on' on a wg show wg8
fi
finish
