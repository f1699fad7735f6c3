#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-userspace takes another port while packets come and go: none is lost, and the port before is
# free soon afterwards.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.2 == wg0 10.9.0.2 -- b

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping ss python3
need_tun
daemon=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$daemon" ] || cannot "kilowg-userspace is not built"
traffic_py=$lib_dir/netns/restart.py

bridge_add wan
node_add a b
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
for node in a b; do public_key $node >/dev/null; done

# NODE NUMBER PEER NUMBER [NAME=VALUE...]
begin() {
	local node="$1" own="$2" peer="$3" other="$4"
	shift 4
	# One datagram for each packet: as many as there are have to wait.
	env "$@" KILOWG_OFFLOAD=none WG_PROCESS_FOREGROUND=1 nsenter --net="/run/netns/$node" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$node" "$daemon" wg0 >"$T/$node.log" 2>&1 &
	echo $! >"$T/$node.pid"
	wait_for 30 daemon_answers "$node" wg0 || { show "$T/$node.log"; bail "$node: kilowg-userspace does not start"; }
	must on "$node" wg set wg0 private-key "$T/keys/$node" listen-port 51820 \
		peer "$(public_key "$peer")" allowed-ips "10.9.0.$other/32" endpoint "192.0.2.$other:51820"
	must on "$node" ip addr add "10.9.0.$own/24" dev wg0
	must on "$node" ip link set wg0 up
}
begin a 1 b 2 KILOWG_WORKERS=2
begin b 2 a 1
check 'packets pass' wait_for 10 on a ping -c 1 -W 1 -q 10.9.0.2

endpoint() { on b wg show wg0 endpoints | cut -f 2; }
knows() { [ "$(endpoint)" = "192.0.2.1:$1" ]; }
is_free() { [ -z "$(on a ss -Hlun sport = "$1")" ]; }
rx() { on "$1" awk '$1 == "wg0:" { print $3 }' /proc/net/dev; }
more_than() { [ "$(rx "$1")" -gt "$2" ]; }
# NODE: more packets come.
flows() {
	local n
	n=$(rx "$1")
	wait_for 60 more_than "$1" $((n + 20))
}
port() { must on a wg set wg0 listen-port "$1"; }
# FROM TO NUMBER PORT: numbered datagrams until $T/stop is there.
numbered() {
	on "$2" python3 "$traffic_py" receive "$4" >"$T/to-$2" &
	wait_for 60 test -s "$T/to-$2" || bail "nobody receives on $2"
	on "$1" python3 "$traffic_py" send "10.9.0.$3" "$4" "$T/stop" &
}
end_numbered() {
	touch "$T/stop"
	for node; do wait_for 60 grep -q lost "$T/to-$node"; done
	rm "$T/stop"
}

# ---- what waits in the socket's queue ----------------------------------------

# 240 datagrams, while the process that has to receive them is stopped, and so asked for another port.
cat >"$T/burst.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(240):
    s.sendto(b"%d" % n, ("10.9.0.1", 4100))
END
cat >"$T/count.py" <<'END'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.9.0.1", 4100))
print("ready", flush=True)
seen = set()
while len(seen) < 240:
    seen.add(s.recv(100))
    print(len(seen), flush=True)
END
queued() { on a awk '$2 ~ /:CA6C$/ && $5 !~ /:00000000$/ { n++ } END { exit !n }' /proc/net/udp; }
asked() { on a ss -Hxln | awk -v n="$1" '$3 >= n { yes = 1 } END { exit !yes }'; }
daemon_of_a() { on a ss -Hulnp sport = 51820 or sport = 51821 | sed -n 's/.*pid=\([0-9]*\),.*/\1/p' | head -n 1; }
all_sent() { [ "$(on b wg show wg0 transfer | cut -f 3)" -ge $(($1 + 240 * 64)) ]; }
# TEXT PORT [WORDS...]: another port, and then the words, with 240 datagrams on the old one.
burst() {
	local text="$1" to="$2" before
	shift 2
	on a python3 "$T/count.py" >"$T/count" &
	wait_for 60 grep -q ready "$T/count" || bail 'nobody counts'
	must kill -STOP "$(daemon_of_a)"
	on a wg set wg0 listen-port "$to" &
	set_pid=$!
	check "$text: it is stopped, and asked for another port" wait_for 60 asked 1
	before=$(on b wg show wg0 transfer | cut -f 3)
	must on b python3 "$T/burst.py"
	check "$text: and sent 240 datagrams" wait_for 60 all_sent "$before"
	check "$text: which wait" queued
	# It waits five seconds for an answer.
	if [ $# -gt 0 ]; then
		on a "$@" &
		check "$text: and asked for that" wait_for 60 asked 2
	fi
	must kill -CONT "$(daemon_of_a)"
	wait $set_pid
	is "$text: it goes on and takes the port" 0 $?
	wait_for 20 grep -qx 240 "$T/count"
	is "$text: no datagram is lost" 240 "$(tail -n 1 "$T/count")"
	check "$text: the other side knows the port" wait_for 10 knows "$to"
}
burst 'another port' 51821
check 'the old one is free' wait_for 20 is_free 51820
old=$(daemon_of_a)
must on a wg set wg0 listen-port 51820
check 'back' wait_for 20 is_free 51821
burst 'another port and a successor' 51821 "$daemon" -f --replace wg0
check 'it is another process' [ "$(daemon_of_a)" != "$old" ]

# ---- who only listens ---------------------------------------------------------

numbered b a 1 4001
i=0
while [ $i -lt 10 ]; do
	i=$((i + 1))
	flows a
	port $((51900 + i))
	wait_for 60 knows $((51900 + i)) || bail "b goes on to $(endpoint)"
done
end_numbered a
is 'ten other ports while packets come and none goes back: none is lost' 'lost 0, twice 0' "$(grep lost "$T/to-a")"
say "$(tail -n 1 "$T/to-a")"
check 'the last one but one is free' wait_for 20 is_free 51909

# ---- both ways, there and back ---------------------------------------------------

numbered b a 1 4001
numbered a b 2 4002
i=0
while [ $i -lt 10 ]; do
	i=$((i + 1))
	flows a
	port 51902
	port 51901
done
flows b
is 'to and fro: it has the last one' 51901 "$(on a wg show wg0 listen-port)"
check 'which the other side knows' wait_for 10 knows 51901
end_numbered a b
is 'both ways none is lost, to a' 'lost 0, twice 0' "$(grep lost "$T/to-a")"
is 'nor to b' 'lost 0, twice 0' "$(grep lost "$T/to-b")"
say "$(tail -n 1 "$T/to-a" "$T/to-b" | tr '\n' ' ')"
check 'the other port is free' wait_for 20 is_free 51902

# ---- where nobody would lose anything ----------------------------------------------

must on a wg set wg0 peer "$(public_key b)" remove
port 51903
check 'without a session the port before is free at once' is_free 51901
port 51904
port 0
check 'any port' gone is_free "$(on a wg show wg0 listen-port)"
finish
