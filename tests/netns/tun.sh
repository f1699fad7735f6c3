#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What surrounds a data plane on its host: the TUN device and where it goes, the
# socket, the sandbox, going to the background. tests/unit/tun_probe stands in for
# the data plane.

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need_tun
probe=$top_builddir/tests/unit/tun_probe
[ -x "$probe" ] || cannot "there is no program $probe"
need ip setpriv

socket=/run/wireguard/t0.sock

# OPTION...: starts it; $pid, and what it prints is in $T/log.
start() {
	: >"$T/log"
	LOG_LEVEL=debug "$probe" -f "$@" >"$T/log" 2>"$T/err" &
	pid=$!
	wait_for 30 ready || { show "$T/err"; bail "tun_probe does not start"; }
}
ready() { grep -q '^here\|^away' "$T/log" && [ -S "$socket" ]; }

# TEXT LINE: the last line of its kind (link or route) is this, sooner or later.
says() { check "$1" wait_for 30 last "$2"; last "$2" || show "$T/log"; }
last() {
	case $1 in
	route*) [ "$(grep '^route\|^no route' "$T/log" | tail -n 1)" = "$1" ] ;;
	*) [ "$(grep '^here\|^away' "$T/log" | tail -n 1)" = "$1" ] ;;
	esac
}

index() { ip -o link show "$1" | cut -d: -f1; }

# REASON TEXT: it has ended for this reason, and left nothing behind.
ended() {
	local status=0
	wait_for 30 gone kill -0 $pid || kill -KILL $pid
	wait $pid || status=$?
	is "$2: it ends, exit status 0" 0 "$status"
	is "$2: for that reason" "end: $1" "$(tail -n 1 "$T/log")"
	check "$2: the socket is gone" [ ! -e "$socket" ]
}

# ---- in the background ----

expect 0 'it goes to the background, and its parent ends' "$probe" t0
check 'the device is there then' ip link show t0
check 'and the socket' [ -S "$socket" ]
is 'the socket is for its owner alone' 600 "$(stat -c %a "$socket")"
run ip link show t0
like 'the device has the MTU 1420' "$T/out" 'mtu 1420 '
unlike 'and is down' "$T/out" '<.*UP.*>'
expect 1 'a second instance is refused' "$probe" t0
like 'by a line with the reason' "$T/err" 't0: there is an interface of this name already'
is 'one line' 1 "$(grep -c . "$T/err")"
check 'and the first one stays' [ -S "$socket" ]
check 'with its device' ip link show t0
run ip link del t0
check 'it ends with its device' wait_for 30 [ ! -e "$socket" ]

# ---- names ----

for name in '' 1234567890abcdef . .. a/b 'a b' 'a%d' a:b; do
	expect 1 "no interface can be called '$name'" "$probe" "$name"
	like 'and that is said' "$T/err" 'name'
done
expect 0 'the longest name' "$probe" 1234567890abcde
run ip link del 1234567890abcde
check 'it ends' wait_for 30 [ ! -e /run/wireguard/1234567890abcde.sock ]
must ip link add t0 type bridge
expect 1 'a name that another kind of interface has is refused' "$probe" t0
like 'with the reason' "$T/err" 'there is an interface of this name already'
check 'which stays' ip link show t0
ip link del t0
expect 1 'without permission' setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$probe" t0
like 'the reason is told' "$T/err" 'permission|not permitted'
check 'and no socket is left' [ ! -e "$socket" ]

# ---- the link ----

start t0
says 'a new link is down' 'here t0 down mtu 1420'
ip link set t0 up
says 'up' 'here t0 up mtu 1420'
ip link set t0 mtu 1300
says 'another MTU' 'here t0 up mtu 1300'
ip link set t0 down
says 'down' 'here t0 down mtu 1300'
ip link set t0 name t1
says 'another name' 'here t1 down mtu 1300'
check 'the socket keeps its name' [ -S "$socket" ]

sed -n 's/^\(CapEff\|CapPrm\|NoNewPrivs\|Seccomp\):[[:space:]]*/\1 /p' \
	/proc/$pid/status >"$T/status"
like 'it keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE' "$T/status" \
	'^CapEff 0000000000001400$' '^CapPrm 0000000000001400$' '^NoNewPrivs 1$'
if "$top_builddir/config.status" --config | grep -q sanitizers ||
		! grep -q 'have_seccomp=yes\|KWG_SECCOMP' "$top_builddir/Makefile"; then
	skip 'system calls are filtered' 'built without that'
else
	like 'system calls are filtered' "$T/status" '^Seccomp 2$'
fi
kill -TERM $pid
ended signal SIGTERM
check 'SIGTERM: the link is gone' gone ip link show t1

start t0
ip link del t0
ended link 'link deleted while down'
start t0
ip link set t0 up
ip link del t0
ended link 'link deleted while up'
start t0
rm "$socket"
ended socket 'socket removed'
start -q 3 t0
expect 1 'with several queues a second instance is refused' "$probe" -q 3 t0
expect 1 'also one with one queue' "$probe" t0
ip link set t0 up
says 'and goes on' 'here t0 up mtu 1420'
kill -INT $pid
ended signal SIGINT
start -p t0
like 'without header there are no offloads' "$T/log" '^offloads: none$'
kill -TERM $pid
ended signal 'SIGTERM again'
start t0
kill -KILL $pid
wait $pid 2>/dev/null
check 'a crash leaves the socket' [ -S "$socket" ]
start t0
kill -TERM $pid
ended signal 'started after a crash'

# ---- other namespaces ----

ip netns add there
ip netns add beyond
start t0
ip link set t0 up
says 'up at home' 'here t0 up mtu 1420'
ip link set t0 netns there
says 'moved away, where it is down' 'away t0 down mtu 1420'
ip -n there link set t0 up
says 'up there' 'away t0 up mtu 1420'
ip -n there link set t0 mtu 1350
says 'another MTU there' 'away t0 up mtu 1350'
# Before Linux 6.2 no link is renamed while it is up.
ip -n there link set t0 down
says 'down there' 'away t0 down mtu 1350'
ip -n there link set t0 name eth0
says 'another name there' 'away eth0 down mtu 1350'
ip -n there link set eth0 up
says 'up under that name' 'away eth0 up mtu 1350'
ip -n there link set eth0 netns beyond
says 'moved on' 'away eth0 down mtu 1350'
ip -n beyond link set eth0 up
says 'up there, too' 'away eth0 up mtu 1350'
ip -n beyond link set eth0 netns $$
says 'and home again' 'here eth0 down mtu 1350'
ip link set eth0 netns there
says 'and away again' 'away eth0 down mtu 1350'
ip -n there link del eth0
ended link 'link deleted in another namespace'
start t0
ip link set t0 netns beyond
says 'moved away' 'away t0 down mtu 1420'
ip netns del beyond
ended link 'its namespace deleted'

# ---- descriptors of others ----

start -x t0
says 'device and socket can come from somebody else' 'here t0 down mtu 1420'
ip link set t0 up
says 'and are followed' 'here t0 up mtu 1420'
kill -TERM $pid
ended signal 'SIGTERM with them'
WG_TUN_FD=1x expect 1 'a descriptor that is no number' "$probe" t0
WG_TUN_FD=1 expect 1 'a descriptor that is no device' "$probe" t0
like 'is told' "$T/err" 'TUN device'
check 'without a socket left' [ ! -e "$socket" ]

# ---- routes ----

start t0
must ip link add d0 type bridge
ip link set d0 up
ip route add 192.0.2.0/24 dev d0
says 'a new route is noticed' "route $(index d0)"
ip link set t0 up
ip route add 192.0.2.0/25 dev t0
says 'and a better one' "route $(index t0)"
ip rule add fwmark 7 table 77
ip route add 192.0.2.7/32 dev d0 table 77
says 'the fwmark counts' "route $(index d0)"
kill -TERM $pid
ended signal 'SIGTERM at the end'

# ---- bursts ----

ip link set lo mtu 1500
check 'UDP bursts over a small MTU' env CK_VERBOSITY=normal "$top_builddir/tests/unit/check_udp"
finish
