#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-userspace under changes: peers come and go while others talk, one side
# starts again, addresses move, many begin at once, nobody talks at all.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1, .101, 198.51.100.1 -- wan -- 192.0.2.2 == wg0 10.9.0.2 -- b
#	                                                       |
#	                    router, masquerades: 192.0.2.3 or .9 -- lan -- 192.168.1.2 == 10.9.0.3 -- c
#
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg python3 ping
need_tun
build=${top_builddir:-${lib_dir%/*}/build}
ours=$build/kilowg-userspace
[ -x "$ours" ] || cannot "kilowg-userspace is not built"

bridge_add wan lan
node_add a b c
must ip netns add router
plug a eth0 wan 192.0.2.1/24 192.0.2.101/24
plug b eth0 wan 192.0.2.2/24
plug router wan0 wan 192.0.2.3/24
plug router lan0 lan 192.168.1.1/24
plug c eth0 lan 192.168.1.2/24
must on a ip addr add 198.51.100.1/32 dev lo
must on b ip route add 198.51.100.1 via 192.0.2.1
must on c ip route add default via 192.168.1.1
must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
for key in a b c x y; do public_key $key >/dev/null; done

# NODE [NAME=VALUE...]: starts it with wg0.
start() {
	local node="$1"
	shift
	env "$@" WG_PROCESS_FOREGROUND=1 nsenter --net="/run/netns/$node" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$node" "$ours" wg0 >>"$T/$node.log" 2>&1 &
	echo $! >"$T/$node.pid"
	wait_for 30 daemon_answers "$node" wg0 ||
		{ show "$T/$node.log"; bail "$node: kilowg-userspace does not start"; }
}

# NODE NUMBER: key, port and addresses.
configure() {
	must on "$1" wg set wg0 private-key "$T/keys/$1" listen-port 51820
	must on "$1" ip addr add "10.9.0.$2/24" dev wg0
	must on "$1" ip link set wg0 up
}

# NODE PEER NUMBER OPTION...
peer() {
	local node="$1" peer="$2" number="$3"
	shift 3
	must on "$node" wg set wg0 peer "$(public_key "$peer")" allowed-ips "10.9.0.$number/32" "$@"
}

endpoint() { on "$1" wg show wg0 endpoints | awk -v k="$(public_key "$2")" '$1 == k { print $2 }'; }
passes() { on "$1" ping -c 1 -W 1 -q "$2"; }

for node in a b c; do start $node; done
configure a 1
configure b 2
configure c 3
peer a b 2
peer a c 3
peer b a 1 endpoint 192.0.2.1:51820
peer c a 1 endpoint 192.0.2.1:51820
check "a session" wait_for 10 passes b 10.9.0.1

# ---- peers come and go ----

# In a guest with one slow processor a change takes some 100 ms.
interval=0.002
[ "$(getconf _NPROCESSORS_ONLN)" -gt 1 ] || interval=0.01
on b ping -i $interval -c 1500 -W 1 -q 10.9.0.1 >"$T/pings" 2>&1 &
pings=$!
changes=0
while kill -0 $pings 2>/dev/null; do
	must on a wg set wg0 peer "$(public_key x)" allowed-ips 10.8.0.0/24,10.7.0.0/16 \
		endpoint 192.0.2.77:1
	must on a wg set wg0 peer "$(public_key y)" allowed-ips 10.7.0.0/16,0.0.0.0/0
	must on a wg set wg0 peer "$(public_key b)" allowed-ips 10.9.0.2/32,10.6.0.0/24
	must on a wg set wg0 peer "$(public_key x)" remove peer "$(public_key y)" remove
	must on a wg set wg0 peer "$(public_key b)" allowed-ips 10.9.0.2/32
	changes=$((changes + 5))
done
wait $pings
show "$T/pings"
like "$changes changes of peers under traffic lose no packet" "$T/pings" '1500 received, 0% packet loss'
check "and there were some" [ "$changes" -ge 10 ]

must on a wg set wg0 peer "$(public_key x)" allowed-ips 10.9.0.2/32
check "an address given to another peer: packets do not pass" unreachable b 10.9.0.1
must on a wg set wg0 peer "$(public_key b)" allowed-ips 10.9.0.2/32
check "given back: they do at once" passes b 10.9.0.1
must on a wg set wg0 peer "$(public_key x)" remove
must on a wg set wg0 peer "$(public_key b)" remove
check "without the peer they do not" unreachable b 10.9.0.1
peer a b 2 endpoint 192.0.2.2:51820
check "with it again they do, by a new session" wait_for 10 passes a 10.9.0.2

# ---- one side starts again ----

daemon_stop KILL b
wait_for 30 gone on b ip link show wg0
start b
configure b 2
peer b a 1 endpoint 192.0.2.1:51820
check "b killed and started again: its first packet passes" passes b 10.9.0.1
check "and a's" passes a 10.9.0.2

# ---- preshared keys ----

handshakes() { on "$1" wg show wg0 latest-handshakes; }
(umask 077 && wg genpsk >"$T/psk")
before=$(handshakes b)
peer b a 1 preshared-key "$T/psk"
must on b ip link set wg0 down
must on b ip link set wg0 up
check "a preshared key on one side only: no packets" unreachable b 10.9.0.1
is "and no session" "$before" "$(handshakes b)"
peer a b 2 preshared-key "$T/psk"
must on b ip link set wg0 down
must on b ip link set wg0 up
check "on both: they pass" wait_for 10 passes b 10.9.0.1

# ---- several addresses ----

for address in 192.0.2.101 198.51.100.1 192.0.2.1; do
	must on b ip link set wg0 down
	peer b a 1 endpoint "$address:51820"
	must on b ip link set wg0 up
	check "a spoken to at $address: packets pass" wait_for 10 passes b 10.9.0.1
	check "and back" passes a 10.9.0.2
	is "it answers from there" "$address:51820" "$(endpoint b a)"
done

if can_ipv6; then
	local=$(on a ip -6 addr show dev eth0 scope link | awk '/inet6/ { sub("/.*", "", $2); print $2; exit }')
	peer b a 1 endpoint "[$local%eth0]:51820"
	check "a link-local endpoint: packets pass" wait_for 10 passes b 10.9.0.1
	is "it is shown with its interface" "[$local%eth0]:51820" "$(endpoint b a)"
	like "and learnt with it" <(endpoint a b) '^\[fe80::.*%eth0\]:51820$'
	check "the other way, too" passes a 10.9.0.2
else
	skip "a link-local endpoint" "there is no IPv6 here"
fi

# ---- NAT ----

echo 'table ip nat { chain out { type nat hook postrouting priority 100; oifname "wan0" masquerade random; }; }' >"$T/nft"
if on router nft -f "$T/nft" >"$T/out" 2>&1; then
	check "through a NAT packets pass" wait_for 10 passes c 10.9.0.1
	like "from its address" <(endpoint a c) '^192.0.2.3:'
	# Taking an address away makes the router forget what it has masqueraded with it.
	must on router ip addr add 192.0.2.9/24 dev wan0
	must on router ip addr del 192.0.2.3/24 dev wan0
	must on router ip addr replace 192.0.2.9/24 dev wan0
	check "the NAT has another address: packets pass" wait_for 10 passes c 10.9.0.1
	like "which is learnt from them" <(endpoint a c) '^192.0.2.9:'
	check "and a finds c there" passes a 10.9.0.3
	# The same address taken away and given again: only the port is another one.
	before=$(endpoint a c)
	must on router ip addr del 192.0.2.9/24 dev wan0
	must on router ip addr add 192.0.2.9/24 dev wan0
	check "the NAT has forgotten the port: packets pass" wait_for 10 passes c 10.9.0.1
	like "the address is the same" <(endpoint a c) '^192.0.2.9:'
	check "the port is another one, and learnt" [ "$(endpoint a c)" != "$before" ]
	check "and a finds c there" passes a 10.9.0.3
else
	skip "NAT" "nft cannot masquerade here: $(head -n 1 "$T/out")"
fi

# ---- many at once ----

# So many as kilowg-userspace(8) promises, where its socket may have room for them.
number=1000
[ "$(awk '{ print $3 }' /proc/self/uid_map)" = 4294967295 ] || number=70
"$build/tests/netns/swarm" $number >"$T/swarm"
i=0 peers=()
while read -r key; do
	peers+=(peer "$key" allowed-ips "10.9.$((i / 250)).$((i % 250 + 2))/32")
	i=$((i + 1))
done <"$T/swarm"
must on b ip link del wg0
must on a wg set wg0 peer "$(public_key b)" remove peer "$(public_key c)" remove "${peers[@]}"
must on a ip route add 10.9.0.0/16 dev wg0
on b "$build/tests/netns/swarm" $number /run/netns/a "$T/nodes/a/wireguard/wg0.sock" \
	"$(public_key a)" >"$T/swarm" 2>&1
while read -r line; do
	case $line in
	'ok '*) pass "${line#*- }" ;;
	'not ok '*) fail "${line#*- }" ;;
	*) say "$line" ;;
	esac
done <"$T/swarm"
is "they have come to their end" 2 "$(grep -c '^ok ' "$T/swarm")"

# ---- nobody talks ----

# A host of its own: peers with endpoints, no session and no keepalive.
node_add idle
plug idle eth0 wan 192.0.2.50/24
public_key idle >/dev/null
on idle sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>"$T/sysctl" || true
# The watchdog looks once a second.
KILOWG_WATCHDOG=0
export KILOWG_WATCHDOG
start idle
unset KILOWG_WATCHDOG
configure idle 50
while read -r key; do
	must on idle wg set wg0 peer "$key" endpoint 192.0.2.77:1
done < <("$build/tests/netns/swarm" 5)
cat >"$T/idle.py" <<'END'
import glob, signal, sys
def switches():
    n = {}
    for f in glob.glob("/proc/%s/task/*/status" % sys.argv[1]):
        n[f] = [l.split()[1] for l in open(f) if l.startswith("voluntary_ctxt")]
    return n
signal.signal(signal.SIGALRM, lambda *_: None)
# The kernel tells of the link for a moment after it has come up.
for attempt in range(3):
    before = switches()
    signal.alarm(2)
    signal.pause()
    after = switches()
    if before and before == after:
        sys.exit(0)
    print(before, after)
sys.exit(1)
END
check "without a due timer no thread wakes up" python3 "$T/idle.py" "$(cat "$T/idle.pid")"
finish
