#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# An exit node: a peer with allowed-ip 0.0.0.0/0 and ::/0 that masquerades. A node behind it reaches
# "the Internet" through it, while its own WireGuard packets, its LAN and who logs in from anywhere
# keep their way:
#
#	pod 10.2.1.2 -- a -- lan0 10.1.1.1/24 -- lan (.9 neighbour, 10.1.1.254 router r)
#	                                          r -- wan 203.0.113.254/24 -- exit .50, inet .80, c .3
#	inet has 192.0.2.80 (a web site), which tells apart from where a packet comes.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft jq python3
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
choose_backend

bridge_add wan lan
node_add a c exit
must ip netns add r
must ip netns add inet
must ip netns add neighbour
for n in r inet neighbour; do
	must on $n sh -c 'ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_forward'
	quick_ipv6 on $n sh -c
done
v6=$(can_ipv6 && echo yes || echo no)
plug r lan0 lan 10.1.1.254/24
plug r wan0 wan 203.0.113.254/24
plug a lan0 lan 10.1.1.1/24
plug neighbour lan0 lan 10.1.1.9/24
plug c wan0 wan 203.0.113.3/24
plug exit wan0 wan 203.0.113.50/24
plug inet wan0 wan 203.0.113.80/24
must on inet ip addr add 192.0.2.80/32 dev lo
must on inet ip route add 10.1.1.0/24 via 203.0.113.254
for n in r c exit; do must on $n ip route add 192.0.2.0/24 via 203.0.113.80; done
must on c ip route add 10.1.1.0/24 via 203.0.113.254
must on exit ip route add 10.1.1.0/24 via 203.0.113.254
must on a ip route add default via 10.1.1.254 proto dhcp metric 100
must on c ip route add default via 203.0.113.254 proto dhcp metric 100
if [ $v6 = yes ]; then
	address_add r lan0 fd00:1::fe/64
	address_add r wan0 fd00:9::fe/64
	address_add a lan0 fd00:1::1/64
	address_add exit wan0 fd00:9::50/64
	address_add inet wan0 fd00:9::80/64
	address_add inet lo 2001:db8:80::80/128
	must on a ip route add default via fd00:1::fe proto ra metric 100
	must on inet ip route add fd00:1::/64 via fd00:9::fe
	must on r ip route add 2001:db8:80::/64 via fd00:9::80
	must on exit ip route add 2001:db8:80::/64 via fd00:9::80
fi
pod_add a 10.2.1.0/24 $([ $v6 = no ] || echo fd02:1::/64)
pod_add c 10.2.3.0/24

# The exit: any WireGuard, here a program and wg(8).
everywhere=0.0.0.0/0$([ $v6 = no ] || echo ', ::/0')
mesh_begin
mesh_node a 'location = x' 'endpoint = 10.1.1.1:51820' 'internal-ip = 10.1.1.1/24' \
	"pod-cidr = 10.2.1.0/24$([ $v6 = no ] || echo ', fd02:1::/64')" 'persistent-keepalive = 5'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = 203.0.113.3/24' 'pod-cidr = 10.2.3.0/24'
mesh_peer exit 'endpoint = 203.0.113.50:51820' "allowed-ip = 10.5.0.1/32, $everywhere"
local_ini 'cni = yes' 'forward-rules = yes'
sed -i '/^firewall/d' "$T/local.ini"
on exit ip link add kilo0 type wireguard 2>/dev/null || {
	daemon=$(own_userspace) || need_userspace
	daemon_start exit
}
must on exit wg set kilo0 listen-port 51820 private-key "$T/keys/exit" \
	peer "$(public_key a)" allowed-ips "10.4.0.1/32,10.1.1.1/32,10.2.1.0/24$([ $v6 = no ] || echo ,fd02:1::/64,fd00:1::1/128)" \
	peer "$(public_key c)" allowed-ips 10.4.0.2/32,203.0.113.3/32,10.2.3.0/24
must on exit ip addr add 10.5.0.1/32 dev kilo0
must on exit ip link set kilo0 mtu 1380 up
for n in 10.4.0.0/16 10.2.0.0/16; do must on exit ip route add "$n" dev kilo0; done
# a is known by the address that WireGuard's own packets go to: those keep their way.
must on exit wg set kilo0 fwmark 51820
must on exit ip route add 10.1.1.1/32 dev kilo0 table 51820
must on exit ip rule add not fwmark 51820 lookup 51820
[ $v6 = no ] || for n in fd02:1::/64 fd00:1::1/128; do must on exit ip route add "$n" dev kilo0; done
must on exit nft add table inet nat
must on exit nft add chain inet nat post '{ type nat hook postrouting priority 100; }'
must on exit nft add rule inet nat post oifname wan0 masquerade

# inet answers each connection with the address that it comes from, by TCP and UDP.
cat >"$T/whence.py" <<'P'
import selectors, socket, sys
def serve(kind, family, address):
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((address, 80))
    if kind == socket.SOCK_STREAM:
        s.listen(64)
    return s
sel = selectors.DefaultSelector()
for kind, family, address in ((socket.SOCK_STREAM, socket.AF_INET, "0.0.0.0"),
                              (socket.SOCK_STREAM, socket.AF_INET6, "::"),
                              (socket.SOCK_DGRAM, socket.AF_INET, sys.argv[1])):
    try:
        sel.register(serve(kind, family, address), selectors.EVENT_READ)
    except OSError:
        pass
print("ready", flush=True)
while True:
    for key, _ in sel.select():
        s = key.fileobj
        if s.type == socket.SOCK_DGRAM:
            data, peer = s.recvfrom(2048)
            s.sendto(peer[0].encode(), peer)
        else:
            c, peer = s.accept()
            c.settimeout(5)
            try:
                c.sendall(peer[0].encode() + b"\n" + b"x" * 200000)
                c.close()
            except OSError:
                pass
P
cat >"$T/ask.py" <<'P'
"""ask.py tcp|udp ADDRESS [SOURCE]: prints from where the other end sees this one."""
import socket, sys
kind, address = sys.argv[1:3]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.settimeout(5)
if len(sys.argv) > 3:
    s.bind((sys.argv[3], 0))
s.connect((address, 80))
if kind == "udp":
    s.send(b"?")
    print(s.recv(2048).decode())
else:
    data = b""
    while part := s.recv(65536):
        data += part
    text, rest = data.split(b"\n", 1)
    assert len(rest) == 200000, len(rest)
    print(text.decode())
P
servers=
serve() {
	on "$1" python3 "$T/whence.py" "$2" >"$T/$1.serve" 2>&1 &
	servers="$servers $!"
	wait_for 40 grep -q ready "$T/$1.serve" || { show "$T/$1.serve"; bail "$1 does not serve"; }
}
serve inet 192.0.2.80
serve a 10.1.1.1
serve neighbour 10.1.1.9
# NODE WANTED tcp|udp ADDRESS: does it get there, and is it seen as this?
seen() { [ "$(on "$1" python3 "$T/ask.py" "$3" "$4" 2>/dev/null)" = "$2" ]; }
gets() {
	wait_for 40 seen "$@" || { on "$1" python3 "$T/ask.py" "$3" "$4"; return 1; }
}
outside() { gets a 10.1.1.1 tcp 192.0.2.80; }
inside() { gets a 203.0.113.50 tcp 192.0.2.80; }
# What must go on whatever else changes.
lan_works() {
	gets a 10.1.1.1 tcp 10.1.1.9 && gets a 10.1.1.1 udp 10.1.1.9 &&
		reaches a 10.1.1.254 && reaches a.pod 10.1.1.9
}
# Who logs in: from the LAN, and from anywhere else, over the router.
ssh_works() { gets neighbour 10.1.1.9 tcp 10.1.1.1 && gets inet 203.0.113.80 tcp 10.1.1.1; }

# NODE NAME ADDRESS: pings until ping_stop NAME; $T/ping.NAME has the result.
ping_start() {
	# shellcheck disable=SC2016  # for the other shell
	on "$1" sh -c 'echo $$ >"$1" && exec ping -i 0.05 "$2"' sh "$T/ping.$2.id" "$3" >"$T/ping.$2" 2>&1 &
}
ping_stop() {
	kill -INT "$(cat "$T/ping.$1.id")"
	wait_for 40 grep -q 'packet loss' "$T/ping.$1"
}

# ---- no, which is the default ----

mesh_drop p q
daemons a c
must apply_all a c
kwg a plan >"$T/plan"
like 'the plan has the route, as Kilo' "$T/plan" '0\.0\.0\.0/0'
is 'the host has none that it did not have' 'default via 10.1.1.254 dev lan0 proto dhcp metric 100' \
	"$(on a ip -4 route show table all default | sed 's/ *$//')"
is 'and no rule' 3 "$(on a ip rule | grep -c .)"
check 'what is not of the mesh goes its way' outside
check 'and so it does for pods, masqueraded' gets a.pod 10.1.1.1 tcp 192.0.2.80
check 'other locations are there' reaches a.pod 10.2.3.2 203.0.113.3
expect 0 'status is healthy' kwg a status
like 'but tells who offers what, and what takes it' "$T/out" \
	'^warning: peer exit \(.*mesh\.ini:[0-9]+\) offers a default route, 0\.0\.0\.0/0, which this host does not take' \
	'default-route = yes in \[local\] uses it'
expect 0 'diff has it, too' kwg a -v diff
like 'as a note' "$T/err" 'peer exit .* offers a default route'
set_local default-route no
expect 0 'who says no' kwg a status
unlike 'does not hear of it' "$T/out" 'everywhere'

# ---- yes ----

# Who has logged in before it is switched on, from elsewhere, and is sent something then.
cat >"$T/session.py" <<'P'
import socket, sys, time
if sys.argv[1] == "serve":
    s = socket.create_server((sys.argv[2], 22))
    print("ready", flush=True)
    c, _ = s.accept()
    n = 0
    while True:
        c.sendall(b"%d\n" % n)
        n += 1
        time.sleep(0.1)
else:
    f = socket.create_connection((sys.argv[2], 22)).makefile()
    for line in f:
        print(line.strip(), flush=True)
P
on a python3 "$T/session.py" serve 10.1.1.1 >"$T/session.serve" 2>&1 &
servers="$servers $!"
wait_for 40 grep -q ready "$T/session.serve" || bail 'nobody to log in to'
on inet python3 "$T/session.py" log-in 10.1.1.1 >"$T/session" 2>&1 &
servers="$servers $!"
wait_for 40 grep -q 3 "$T/session" || bail 'nobody has logged in'
goes_on() {
	local n
	n=$(tail -n 1 "$T/session")
	wait_for 40 grep -qx "$((n + 5))" "$T/session"
}

state a >"$T/before"
ping_start a lan 10.1.1.9
ping_start a mesh 10.2.3.2
set_local default-route yes
expect 3 'switching it on' kwg a diff
like 'shows the rules, as wg-quick has them' "$T/out" \
	'^\+ rule from all lookup main suppress_prefixlength 0 priority 32764$|^\+ rule not from all fwmark 0x106b lookup 1108$' \
	'^\+ route 0\.0\.0\.0/0 dev kilo0 .*table 1108'
must kwg a apply
is 'and leaves nothing to do' 0 "$(kwg a diff | grep -c .)"
check 'the Internet is reached through the exit' inside
check 'by UDP, too' gets a 203.0.113.50 udp 192.0.2.80
check 'and by pods' gets a.pod 203.0.113.50 tcp 192.0.2.80
check 'whose names are looked up that way' gets a.pod 203.0.113.50 udp 192.0.2.80
check 'the LAN keeps its way' lan_works
check 'who logs in gets an answer' ssh_works
check 'who has logged in before stays' goes_on
check 'other locations are there' reaches a.pod 10.2.3.2 203.0.113.3
is 'packets of WireGuard go outside' "10.1.1.254 dev lan0" \
	"$(on a ip route get 203.0.113.50 mark 0x106b | sed -n '1s/.* via \(.* dev [^ ]*\) .*/\1/p')"
expect 0 'status is healthy' kwg a status
unlike 'with nothing to say about it' "$T/out" 'everywhere|way-'
if [ $v6 = yes ]; then
	six() { gets a "$1" tcp 2001:db8:80::80; }
	check 'IPv6 goes through the exit' six fd00:9::50
	check 'from pods, too' gets a.pod fd00:9::50 tcp 2001:db8:80::80
	check 'and its LAN stays' reaches a fd00:1::fe
	check 'who logs in over IPv6 gets an answer' gets inet fd00:9::80 tcp fd00:1::1
fi
ping_stop mesh
is 'no packet to another location was lost while it was switched on' 0 "$(lost "$T/ping.mesh")"

# Strict return path checks, as some distributions set them; of the two values the greater counts.
strict() { on a sh -c "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo $1 >\$f; done"; }
is 'without return path checks nothing is set for them' 0 "$(on a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)"
must strict 1
expect 3 'with strict return path checks there is something to do' kwg a diff
like 'so that they see the mark' "$T/out" '^~ sysctl net\.ipv4\.conf\.all\.src_valid_mark 1$'
must kwg a apply
check 'then the Internet is reached' inside
check 'and the LAN' lan_works
check 'and who logs in gets an answer' ssh_works
check 'and other locations' reaches a.pod 10.2.3.2
must strict 0
must kwg a apply
is 'what was set for it goes with it' 0 "$(on a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)"
must strict 1
must kwg a apply
big() { on a.pod ping -M "$1" -s 1460 -c 1 -W 2 -q 192.0.2.80; }
check 'larger packets than the tunnel takes are told so' wait_for 40 gone big 'do'
check 'and connections of pods are not stuck' gets a.pod 203.0.113.50 tcp 192.0.2.80

# ---- the way it was taken ----

on a ip rule >"$T/rules"
must on a ip rule del not fwmark 0x106b lookup 1108 priority 32765
check 'without our rule packets go outside' outside
expect 3 'which is drift' kwg a status
must kwg a apply
on a ip rule | diff "$T/rules" - >"$T/diff"
is 'and repaired' '' "$(cat "$T/diff")"
must on a wg set kilo0 fwmark 0
must kwg a apply
check 'so is the mark' inside
# Another number, another table, another mark: with traffic.
set_local fwmark 77
expect 3 'another mark' kwg a diff
is 'is set while no rule leads its packets into the tunnel' 'del wireguard add' \
	"$(sed -n 's/^- rule not.*/del/p; s/^~ wireguard.* fwmark 77$/wireguard/p; s/^+ rule not from all fwmark 0x4d.*/add/p' "$T/out" | uniq | tr '\n' ' ' | sed 's/ $//')"
must kwg a apply
check 'and does the same' inside
check 'other locations are there' reaches a.pod 10.2.3.2
set_local default-route-table 4711
set_local rule-priority 100
must kwg a apply
check 'another table and priority, too' inside
is 'which leave nothing of the old' '' "$(on a ip route show table 1108; on a ip rule | grep -e 1108 -e 3276[345])"
on a ip -4 rule | sed 's/:.*//' | tr '\n' ' ' >"$T/order"
is 'the rules stand in a row' '0 99 100 32766 32767 ' "$(cat "$T/order")"

# ---- off ----

set_local default-route no
must kwg a apply
check 'off, the Internet is reached as before' outside
set_local default-route-table 1108
set_local rule-priority 32765
set_local fwmark 0
must kwg a apply
is 'what return path checks were told is taken back' 0 "$(on a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)"
must strict 0
state a >"$T/after"
same 'and the host is as it was' "$T/before" "$T/after"
ping_start a mesh 10.2.3.2
n=0
while [ $n -lt 5 ]; do
	set_local default-route yes
	must kwg a apply
	set_local default-route no
	must kwg a apply
	n=$((n + 1))
done
state a >"$T/after"
same 'also after switching it five times' "$T/before" "$T/after"
ping_stop lan
ping_stop mesh
is 'meanwhile no packet to the LAN was lost' 0 "$(lost "$T/ping.lan")"
is 'and none to other locations' 0 "$(lost "$T/ping.mesh")"

# ---- the daemon dies ----

set_local default-route yes
must kwg a apply
check 'on once more' inside
if [ "$backend" = userspace ]; then
	pid=$(daemon_id a)
	must kill -KILL "$pid"
	without() { ! on a ip link show kilo0; }
	check 'a daemon that is killed takes its link along' wait_for 40 without
	check 'then packets go outside' outside
	check 'the LAN keeps its way' lan_works
	check 'who logs in gets an answer' ssh_works
	must kwg a apply
	check 'apply brings all back' inside
	check 'the LAN keeps its way' lan_works
fi

# ---- beside others ----

# wg-quick(8) with its own default route: each would lead the other's packets into itself.
must on a ip link add wg9 type veth peer name wg9x
must on a ip link set wg9 up
must on a ip route add default dev wg9 table 51820
must on a ip rule add not fwmark 51820 lookup 51820
must on a ip rule add lookup main suppress_prefixlength 0
expect 3 'another tunnel has taken the way' kwg a status
like 'which is told, with what helps' "$T/out" \
	'^error: peer exit .* offers a default route, 0\.0\.0\.0/0, but that stays with wg9: rule 3276[0-9] leads to table 51820' \
	'stop one, and run kilowg apply'
must kwg a apply
is 'ours makes room' '' "$(on a ip route show table 1108)"
must on a ip rule del not fwmark 51820 lookup 51820
must on a ip rule del lookup main suppress_prefixlength 0 priority "$(on a ip rule | sed -n 's/:.*lookup main suppress_prefixlength 0.*//p' | head -n 1)"
must on a ip link del wg9
must kwg a apply
check 'until that has gone' inside
# Any metric, and none.
must on a ip route del default
must on a ip route add default via 10.1.1.254
check 'beside a default route without a metric' inside
must on a ip route add 0.0.0.0/1 dev lan0 via 10.1.1.254
expect 0 'part of it is not ours' kwg a diff
must on a ip route del 0.0.0.0/1
# Two that offer it.
public_key exit2 >/dev/null
mesh_peer exit2 "allowed-ip = 0.0.0.0/0"
expect 0 'two peers offer it' kwg a check
like 'which wins is told' "$T/err" '0\.0\.0\.0/0.*exit'
mesh_drop exit2

# ---- iptables ----

if command -v iptables-save >/dev/null && on a iptables -w -t mangle -S >/dev/null 2>&1; then
	set_local firewall iptables
	must strict 1
	must kwg a apply
	is 'with iptables there is nothing left to do' 0 "$(kwg a diff | grep -c .)"
	check 'the Internet is reached' inside
	check 'by pods, too' gets a.pod 203.0.113.50 tcp 192.0.2.80
	check 'the LAN keeps its way' lan_works
	check 'who logs in gets an answer' ssh_works
	set_local default-route no
	must kwg a apply
	check 'and off' outside
	is 'leaves no chain for it' '' "$(on a iptables-save | grep -e '-min' -e '-mout' -e '-mpost')"
	set_local default-route yes
	must kwg a apply
	must strict 0
else
	skip 'with iptables' 'there is none'
fi
set_local firewall none
must kwg a apply
expect 0 'without a firewall' kwg a status
like 'it is told what that costs' "$T/out" 'with firewall = none, who comes from outside'

# ---- down ----

must kwg a down
check 'down gives all back' outside
is 'with no rule' 3 "$(on a ip rule | grep -c .)"
is 'and no route' '' "$(on a ip route show table 1108)"
is 'and no table' '' "$(on a nft list tables | grep kilowg)"
is 'and no setting' 0 "$(on a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)"
check 'who logs in gets an answer' ssh_works
# shellcheck disable=SC2086
kill $servers 2>/dev/null
finish
