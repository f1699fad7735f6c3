#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Endpoints that are names, asked of a real name server: answers that rotate, go
# away or never come must not disturb what works, and cost no more than the time
# that is set.
#
#   a ------------- wan ------------- c     203.0.113.3, .4, .9
#   203.0.113.1      |                      (a and c run kilowg)
#                    |
#                   dns  203.0.113.53

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping dnsmasq nft awk
choose_backend
lookups=${top_builddir:-${KILOWG%/*}}/tests/netns/lookups

# ---- names of this test alone: files for all of its namespaces ----

printf 'search mesh.test\nnameserver 203.0.113.53\n' >"$T/resolv.conf"
printf 'hosts: files dns\n' >"$T/nsswitch.conf"
printf '127.0.0.1 localhost\n203.0.113.120 byfile.elsewhere\n' >"$T/hosts"
own_file /etc/resolv.conf
own_file /etc/nsswitch.conf
own_file /etc/hosts

bridge_add wan
node_add a c dns
plug a wan0 wan 203.0.113.1/24
plug c wan0 wan 203.0.113.3/24 203.0.113.4/24 203.0.113.9/24
plug dns wan0 wan 203.0.113.53/24
pod_add c 10.2.3.0/24

# ADDRESS NAME...: what the server knows, each call on top of what it knew.
record() { printf '%s\n' "$*" >>"$T/zone"; }

dns_start() {
	# Not by on(), whose id would be that of a shell.
	nsenter --net=/run/netns/dns -- dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group=root \
		--pid-file= --no-resolv --no-hosts --addn-hosts="$T/zone" --local=/mesh.test/ --server=/slow.test/203.0.113.254 \
		--log-queries --log-facility="$T/dns.log" --listen-address=203.0.113.53 \
		--bind-interfaces >"$T/dnsmasq.err" 2>&1 &
	dns_pid=$!
	wait_for 30 dns_answers || { show "$T/dnsmasq.err"; bail 'dnsmasq does not start'; }
}
dns_answers() { on a getent ahostsv4 alive.mesh.test; }
dns_stop() { kill "$dns_pid" && wait "$dns_pid" 2>/dev/null; }
# With the new zone; a question that only the new one answers tells that it is there.
dns_reload() {
	reloads=$((${reloads:-0} + 1))
	record 203.0.113.200 "reload$reloads.mesh.test"
	dns_stop
	dns_start
}
asked() { grep -c "query\[A\] $1 " "$T/dns.log"; }
# Everything that asks is dropped, or the first PACKETS only.
dns_hang() {
	must on dns nft "add table inet t; add chain inet t in { type filter hook input priority 0; }"
	must on dns nft "add rule inet t in udp dport 53 ${1:-} counter drop"
}
dropped() { on dns nft list table inet t | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'; }
dns_heal() { must on dns nft delete table inet t; }

record 203.0.113.200 alive.mesh.test
record 203.0.113.3 c.mesh.test
record 203.0.113.4 c.mesh.test
for i in 3 1 2; do record 203.0.113.10$i many.mesh.test; done
record 203.0.113.110 both.mesh.test
record 2001:db8::110 both.mesh.test
record 2001:db8::111 six.mesh.test
record 203.0.113.112 short.mesh.test
record 0.0.0.0 filtered.mesh.test
: >"$T/dns.log"
dns_start

mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = c.mesh.test:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
peers=0
# NAME HOST
named_peer() {
	peers=$((peers + 1))
	mesh_peer "$1" "endpoint = $2:51820" "allowed-ip = 10.5.0.$peers/32"
}
named_peer many many.mesh.test
named_peer both both.mesh.test
named_peer six six.mesh.test
named_peer nobody nobody.mesh.test
named_peer filtered filtered.mesh.test
named_peer byfile byfile.elsewhere
named_peer short short
named_peer literal 203.0.113.130
local_ini 'mtu = 1420' 'resolve-timeout = 2'
daemons a c

at() { peer_field a 3 "$1"; }
# KEY: the line of the endpoint of a peer in the file
line_of() { awk -v name="$1" '$0 == "name = " name { mine = 1 } mine && /^endpoint/ { print NR; exit }' "$T/mesh.ini"; }
# Forgets the session, and sets where a peer is thought to be.
stale() {	# PEER ENDPOINT
	must on a wg set kilo0 peer "$(public_key "$1")" remove
	must on a wg set kilo0 peer "$(public_key "$1")" endpoint "$2" allowed-ips "$3"
}
no_change() {	# TEXT
	if can_strace; then
		run traced_kwg "$T/trace" a apply
		mutations "$T/trace" >"$T/sent"
		same "$1: apply sends no change" /dev/null "$T/sent"
	else
		skip "$1: apply sends no change" 'strace does not work here'
	fi
}
between() { [ "$1" -le "$2" ] && [ "$2" -le "$3" ]; }
# COMMAND...: leaves $ms
timed() {
	local start
	start=$(date +%s%N)
	"$@"
	ms=$((($(date +%s%N) - start) / 1000000))
}

# ---- the first apply ----

expect 0 'apply on c, whose peers have addresses' kwg c apply
expect 0 'apply on a: names that are wrong are no error' kwg a apply
is 'node: the lowest of two addresses' 203.0.113.3:51820 "$(at c)"
is 'peer: the lowest of three, in whatever order they come' 203.0.113.101:51820 "$(at many)"
is 'IPv4 and IPv6, and no route for IPv6: IPv4' 203.0.113.110:51820 "$(at both)"
is 'only IPv6, and no route: no endpoint' '(none)' "$(at six)"
is 'no such name: no endpoint' '(none)' "$(at nobody)"
is 'an answer that is no host: no endpoint' '(none)' "$(at filtered)"
is 'a name of /etc/hosts' 203.0.113.120:51820 "$(at byfile)"
is 'a name of the search domain' 203.0.113.112:51820 "$(at short)"
is 'an address' 203.0.113.130:51820 "$(at literal)"
like 'the warnings name file, line, peer, name and reason' "$T/err" \
	"warning: .*/mesh\.ini:$(line_of nobody): endpoint: peer \"nobody\": nobody\.mesh\.test: there is no such name; it has no endpoint until" \
	"warning: .*/mesh\.ini:$(line_of six): endpoint: peer \"six\": six\.mesh\.test: this host can reach none of its addresses: 2001:db8::111;" \
	"warning: .*/mesh\.ini:$(line_of filtered): .*filtered\.mesh\.test: this host can reach none of its addresses: 0\.0\.0\.0;"
is 'there are three of them' 3 "$(grep -c . "$T/err")"
check 'packets flow' reaches a 10.2.3.2
check 'there is a session' has_handshake a c

# ---- nothing changes as long as it works ----

before=$(asked c.mesh.test)
no_change 'again'
is 'of a peer with a session nobody is asked' "$before" "$(asked c.mesh.test)"
expect 0 'diff: no difference' kwg a diff
wg_state a >"$T/before"
for i in 1 2 3 4; do kwg a apply 2>/dev/null; done
wg_state a >"$T/after"
same 'answers that rotate change nothing' "$T/before" "$T/after"
check 'the server was asked each time' [ "$(asked many.mesh.test)" -ge 6 ]

stale many 203.0.113.102:51820 10.5.0.1/32
no_change 'an address in use that is among the answers stays'
is 'it does' 203.0.113.102:51820 "$(at many)"

sed -i '/ c\.mesh\.test$/d; /103 many/!{/ many/d}' "$T/zone"
record 203.0.113.9 c.mesh.test
dns_reload
expect 0 'the names have got other addresses' kwg a apply
is 'a peer with a session stays where it is' 203.0.113.3:51820 "$(at c)"
is 'one without goes where its name says' 203.0.113.103:51820 "$(at many)"

# c goes on from another address, which a learns; its name still says something else.
must on c sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/promote_secondaries'
must on c ip addr del 203.0.113.3/24 dev wan0
learnt() { reaches c 10.4.0.1 && [ "$(at c)" = 203.0.113.4:51820 ]; }
if wait_for 10 learnt; then
	no_change 'where a peer has gone to by itself'
	is 'it is not called back' 203.0.113.4:51820 "$(at c)"
else
	fail "c is learnt at its other address: $(at c)"
fi

stale c 203.0.113.4:51820 10.2.3.0/24,10.4.0.2/32
run kwg a diff
is 'without a session: diff says that it goes where its name says' 3 "$status"
like 'diff names the step' "$T/out" 'wireguard-peer .*\(node:c\) .*endpoint 203\.0\.113\.9:51820'
is 'diff changes nothing' 203.0.113.4:51820 "$(at c)"
run kwg a status
unlike 'status does not ask, and takes it for no drift' "$T/out" '^drift: [0-9]'
is 'status changes nothing' 203.0.113.4:51820 "$(at c)"
expect 0 'apply' kwg a apply
is 'it has gone there' 203.0.113.9:51820 "$(at c)"
check 'packets flow again' reaches a 10.2.3.2

# ---- names that fail ----

sed -i '/ many\.mesh\.test$/d' "$T/zone"
dns_reload
expect 0 'a name has gone' kwg a apply
is 'its peer stays where it was' 203.0.113.103:51820 "$(at many)"
like 'and that is said' "$T/err" \
	"mesh\.ini:$(line_of many): .*\"many\": many\.mesh\.test: there is no such name; the last known endpoint stays, 203\.0\.113\.103:51820\$"

dns_stop
mesh_drop literal
mesh_peer newcomer 'endpoint = 203.0.113.131:51820' 'allowed-ip = 10.5.0.99/32'
wg_state a >"$T/before"
expect 0 'no server' kwg a apply
is 'the rest is carried out' 203.0.113.131:51820 "$(at newcomer)"
is 'peers stay where they were' '203.0.113.103:51820 203.0.113.110:51820' "$(at many) $(at both)"
# The kernel says to some, but not to all who ask, that the port is closed.
like 'and that is said' "$T/err" 'many\.mesh\.test: (no name server has an answer at present|no answer in time .*); the last'
check 'packets flow' reaches a 10.2.3.2

# Packets are lost, which the C library would take 5 seconds to ask for again.
dns_start
stale both 203.0.113.99:51820 10.5.0.2/32
dns_hang 'quota until 300 bytes'
expect 0 'the first questions get lost' kwg a apply
is 'they are asked again in time' 203.0.113.110:51820 "$(at both)"
unlike 'no name is lost' "$T/err" 'no answer in time'
check 'questions got lost' [ "$(dropped)" -ge 1 ]
dns_heal

# ---- dead IPv6 ----

if can_ipv6; then
	address_add a wan0 2001:db8::1/64
	expect 0 'with a route for IPv6' kwg a apply
	is 'the peer with nothing else has an endpoint' '[2001:db8::111]:51820' "$(at six)"
	stale both '[2001:db8::110]:51820' 10.5.0.2/32
	no_change 'IPv6 in use stays'
	must on a ip addr del 2001:db8::1/64 dev wan0
	expect 0 'the route is gone' kwg a apply
	is 'IPv6 is left for IPv4' 203.0.113.110:51820 "$(at both)"
	is 'where there is none, the last known one stays' '[2001:db8::111]:51820' "$(at six)"
	like 'and that is said' "$T/err" 'six\.mesh\.test: .*the last known endpoint stays, \[2001:db8::111\]:51820'
else
	skip 'dead IPv6' 'the kernel has no IPv6'
fi

# ---- a server that hangs ----

for i in $(seq 50); do
	mesh_peer "h$i" "endpoint = h$i.mesh.test:51820" "allowed-ip = 10.6.0.$i/32"
done
dns_hang
local_ini 'mtu = 1420' 'resolve-timeout = 1'
wg_state a >"$T/before"
timed run kwg a diff
check "diff with 50 names more, and no answer: $ms ms" [ "$ms" -lt 20000 ]
before=$(dropped)
run kwg a status
is 'status asks nobody' "$before" "$(dropped)"
wg_state a >"$T/after"
same 'neither changes anything' "$T/before" "$T/after"
timed expect 0 'apply' kwg a apply
check "all together take the time that is set, 1 s: $ms ms" between 900 "$ms" 20000
is 'each is a warning' 50 "$(grep -c 'peer "h[0-9]*": h[0-9]*\.mesh\.test: no answer in time (resolve-timeout = 1); it has no' "$T/err")"
is 'a peer that had an endpoint keeps it' 203.0.113.110:51820 "$(at both)"
is 'the peers are there' 50 "$(on a wg show kilo0 allowed-ips | grep -c '10\.6\.0\.')"
check 'packets flow' reaches a 10.2.3.2
no_change 'again'
dns_heal
if [ -x "$lookups" ]; then
	# Only some names hang: the server of their own that is asked for them is dead.
	must on dns ip neigh add 203.0.113.254 lladdr 02:00:00:00:00:99 dev wan0
	# shellcheck disable=SC2046
	expect 0 'in one process, twice 35 names that hang and one that does not: all threads end' \
		on a "$lookups" 1 2 $(seq -f "h%g.slow.test" 35) both.mesh.test
	say "$(tail -n 1 "$T/err")"
	is 'those that hang have no answer' 70 "$(grep -c 'slow\.test: no answer in time$' "$T/out")"
	is 'the one behind them has' 2 "$(grep -c '^both\.mesh\.test: .*203\.0\.113\.110' "$T/out")"
else
	skip 'all threads end' "there is no $lookups"
fi
dns_hang
local_ini 'mtu = 1420' 'resolve-timeout = 0'
before=$(dropped)
expect 0 'resolve-timeout = 0: apply' kwg a apply
is 'asks nobody' "$before" "$(dropped)"
is 'and says nothing' '' "$(cat "$T/err")"

# ---- another backend: what the old interface has learnt goes over ----

if [ "$backend" = kernel ] && can_tun && own_userspace >/dev/null; then
	use_userspace
	backend=userspace
	local_ini 'mtu = 1420' 'resolve-timeout = 1'
	expect 0 'from the kernel to a daemon, and no name has an answer' kwg a apply --switch-backend
	check 'it is a daemon' on a test -S /run/wireguard/kilo0.sock
	is 'a peer keeps its endpoint' 203.0.113.110:51820 "$(at both)"
else
	skip 'another backend' 'there are not two of them here'
fi
finish
