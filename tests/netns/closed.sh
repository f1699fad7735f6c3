#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# fail-closed: what is sent to a network of the mesh never leaves in clear, whatever happens to the
# interface, its daemon, addresses and routes. Numbered packets, and somebody who looks at the wire:
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3
#                  r .254        r .254, the default router of a and b

# shellcheck disable=SC2016,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ip
choose_backend
[ "$backend" != external ] || cannot 'kilowg makes no interface here'
numbers=${top_builddir:-${KILOWG%/*}}/tests/netns/numbers
[ -x "$numbers" ] || cannot "there is no $numbers"
three_nodes
node_add r
plug r wan0 wan 203.0.113.254/24
plug r lan0 lan 10.1.1.254/24
must on a ip route add default via 203.0.113.254
must on b ip route add default via 10.1.1.254
to='10.2.3.2 10.4.0.2'
if can_ipv6; then
	address_add r wan0 2001:db8::254/64
	address_add a wan0 2001:db8::1/64
	must on a ip -6 route add default via 2001:db8::254
	mesh_edit a 'pod-cidr = 10.2.1.0/24' 'pod-cidr = 10.2.1.0/24, fd02:1::/64'
	mesh_edit c 'pod-cidr = 10.2.3.0/24' 'pod-cidr = 10.2.3.0/24, fd02:3::/64'
	for n in a:1 c:3; do
		address_add "${n%:*}" pod0 "fd02:${n#*:}::1/64"
		address_add "${n%:*}.pod" eth0 "fd02:${n#*:}::2/64"
		must on "${n%:*}.pod" ip -6 route add default via "fd02:${n#*:}::1"
	done
	to="$to fd02:3::2"
fi

# ---- helpers ---------------------------------------------------------------------

# NAME NETNS ARGUMENT...: numbers in the background; $T/NAME.out.
numbers() {
	local name="$1" netns="$2"
	shift 2
	ip netns exec "$netns" "$numbers" "$@" >"$T/$name.out" 2>"$T/$name.err" &
	eval "pid_$name=\$!"
	wait_for 10 grep -q ready "$T/$name.out" || bail "numbers $*: $(cat "$T/$name.err")"
}
end_of() { eval "kill \$pid_$1 && wait \$pid_$1"; }
spies_start() {
	numbers spy_a a spy wan0
	numbers spy_r r spy lan0
}
seen() { sed -n 's/^seen //p' "$T/spy_$1.out"; }
spies_end() { end_of spy_a; end_of spy_r; }

# So long that a leak would show: until the pod of a has sent 300 packets more, 150 or all to each address.
sent_by_pod() { ip -n a -s link show pod0 | awk '/RX:/ { getline; print $2 }'; }
has_sent() { [ "$(sent_by_pod)" -ge "$1" ]; }
a_while() { wait_for 30 has_sent $(($(sent_by_pod) + 300)) || bail 'the senders have stopped'; }

# TEXT COMMAND...: nothing is seen in clear while it runs and afterwards.
closed() {
	local text="$1"
	shift
	spies_start
	a_while
	"$@" >"$T/closed.out" 2>&1 || { fail "$text: $*"; show "$T/closed.out"; }
	a_while
	spies_end
	is "$text: none in clear" '0 0' "$(seen a) $(seen r)"
	grep -h '^frame' "$T/spy_a.out" "$T/spy_r.out" | sed 's/^/# /'
}

arrives() { numbers arrive "$1" receive "$2" 7; a_while; end_of arrive; grep -q '^received [1-9]' "$T/arrive.out"; }
all_arrive() {
	local n=a.pod address
	for address in $to; do
		case $address in 10.4.*) n=c ;; *) n=c.pod ;; esac
		wait_for 20 arrives "$n" "$address" || { echo "nothing arrives at $address"; return 1; }
	done
}
closed_routes() {
	on "$1" ip route show table all type unreachable proto "${2:-107}"
	! can_ipv6 || on "$1" ip -6 route show table all type unreachable proto "${2:-107}"
}
kill_plane() {
	if [ "$backend" = kernel ]; then
		on a ip link del kilo0
	else
		plane=$(daemon_id a)
		kill -KILL "$plane" && wait_for 10 gone on a ip link show kilo0
	fi
}

# ---- without it -------------------------------------------------------------------

i=0
for address in $to; do
	i=$((i + 1))
	numbers host$i a send "$address" 7
	[ "$address" = 10.4.0.2 ] || numbers pod$i a.pod send "$address" 7
done
numbers follower b.pod send 10.2.3.2 7
expect 0 'all apply' apply_all a b c
check 'packets arrive' all_arrive
is 'nothing is closed' '' "$(closed_routes a)"
spies_start
must kill_plane
a_while
spies_end
check 'without fail-closed, a data plane that dies lets them out' [ "$(seen a)" -gt 0 ]
say "$(seen a) in clear"

# ---- with it ------------------------------------------------------------------------

set_local fail-closed yes
before=$(state b)
expect 3 'diff shows what is to be closed' kwg a diff
like 'first of all' "$T/out" '^\+ route unreachable 10\.2\.3\.0/24' '^\+ route unreachable 10\.4\.0\.0/16'
is 'before all else' '+ route unreachable' "$(sed -n '1s/\(+ route unreachable\).*/\1/p' "$T/out")"
run kwg a plan
like 'the plan names them' "$T/out" '^closed 10\.2\.3\.0/24$' '^closed 10\.4\.0\.0/16$'
run kwg a --json plan
like 'as JSON, too' "$T/out" '"closed 10\.2\.3\.0/24"'
expect 0 'all apply' apply_all a b c
expect 0 'diff is empty' kwg a diff
check 'packets arrive' all_arrive
check 'as bad as can be' sh -c 'echo "$1" | grep -q "^unreachable 10.2.3.0/24 metric 4294967295"' sh "$(closed_routes a)"
run kwg a status
like 'status sees no drift' "$T/out" '^drift: none'
unlike 'and nothing on a wrong way' "$T/out" 'leave by|go nowhere|unreachable'
whole=$(state a)
# What a link has that was set down and up is another link-local address, and all that goes with it.
most() { grep -v 'fe80\|valid_lft'; }

closed 'the data plane dies' kill_plane
run on a ping -c 1 -W 5 10.2.3.2
like 'who sends is told at once' "$T/err" 'No route to host'
expect 3 'status sees that the interface is gone' kwg a status
closed 'it is replaced' kwg a apply
check 'packets arrive' all_arrive
is 'all is as it was' "$whole" "$(state a)"
if [ "$backend" = userspace ]; then
	kill -STOP "$(daemon_id a)"
	closed 'a data plane that hangs is replaced' kwg a apply
	check 'packets arrive' all_arrive
fi
closed 'a second apply' kwg a apply
set_local interface kilo1
closed 'the interface gets another name' kwg a apply
set_local interface kilo0
closed 'and its own again' kwg a apply
check 'packets arrive' all_arrive
end_of host2	# this one is to where then nothing is
mesh_set subnet 10.44.0.0/16
closed 'the subnet changes' kwg a apply
closed_has() { closed_routes "$1" | grep -q "^unreachable $2 "; }
check 'the new one is closed' closed_has a 10.44.0.0/16
check 'the old one is not the mesh any more' gone closed_has a 10.4.0.0/16
mesh_set subnet 10.4.0.0/16
closed 'and back' kwg a apply
must kwg c apply
numbers host2 a send 10.4.0.2 7
check 'packets arrive' all_arrive
closed 'the port changes' sh -c 'echo "port = 51999" >>"$1/local.ini"' sh "$T"
closed 'and that is applied' kwg a apply
sed -i '/^port = 51999/d' "$T/local.ini"
closed 'and back' kwg a apply
closed 'the interface is set down by somebody' on a ip link set kilo0 down
closed 'and up again' kwg a apply
closed 'its address is taken away' on a ip addr flush dev kilo0
closed 'and comes back' kwg a apply
closed 'its routes are taken away' on a ip route flush table all type unicast proto 107
closed 'and come back' kwg a apply
is 'all is as it was' "$(echo "$whole" | most)" "$(state a | most)"
check 'packets arrive' all_arrive

# A follower sends to its leader in clear, and nowhere else.
closed 'a follower loses its private address' on b ip addr del 10.1.1.2/24 dev lan0
must on b ip addr add 10.1.1.2/24 dev lan0
must on b ip route add default via 10.1.1.254
closed 'and gets it back' kwg b apply
check 'packets of its pod arrive' reaches b.pod 10.2.3.2

# ---- undo, other software, numbers ------------------------------------------------

must on a ip link add foreign0 type veth peer name foreign1
before=$(state a)
fails() { ! "$@"; }
closed 'an apply that fails' fails kwg a --interface foreign0 apply
is 'all is as it was' "$before" "$(state a)"
must on a ip route add unreachable 10.98.0.0/16 metric 4294967295 proto static
must on a ip route add unreachable 10.2.3.0/24 metric 77 proto static
expect 0 'those of somebody else are not ours' kwg a diff
set_local route-protocol 109
closed 'another number' kwg a apply
is 'all have it' '' "$(closed_routes a)"
check 'those that there are' [ "$(closed_routes a 109 | grep -c .)" -ge 3 ]
expect 0 'diff is empty' kwg a diff
set_local route-protocol 107
closed 'and back' kwg a apply
is 'none is left with the other' '' "$(closed_routes a 109)"
check 'those of somebody else are still there' [ "$(on a ip route show type unreachable proto static | grep -c .)" = 2 ]
must on a ip route del unreachable 10.2.3.0/24 metric 77 proto static

mesh_drop c
expect 3 'a node leaves: diff' kwg a diff
expect 0 'and apply' kwg a apply
check 'its network is open again' gone closed_has a 10.2.3.0/24
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = 10.1.3.3/24' \
	"pod-cidr = 10.2.3.0/24$(! can_ipv6 || echo ', fd02:3::/64')"
expect 0 'it comes back' kwg a apply
check 'and is closed' closed_has a 10.2.3.0/24
check 'packets arrive' all_arrive

: >"$T/watch.err"
nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" \
	"$KILOWG" --node a -f "$mesh_ini" -f "$T/local.ini" watch >"$T/watch.out" 2>"$T/watch.err" &
watch=$!
wait_for 20 kwg a diff
must on a ip route del unreachable 10.2.3.0/24 proto 107
check 'watch closes again what somebody has opened' wait_for 20 closed_has a 10.2.3.0/24
kill -KILL "$(daemon_id a)" 2>/dev/null || on a ip link del kilo0
closed 'watch brings a data plane that died back' wait_for 30 kwg a diff
show "$T/watch.err"
kill $watch
wait $watch

# ---- down, and the boot ---------------------------------------------------------------

closed 'down --keep-closed' kwg a down --keep-closed
check 'the interface is gone' gone on a ip link show kilo0
check 'the networks are closed' closed_has a 10.2.3.0/24
is 'nothing else is left' "$(closed_routes a | sort)" "$(on a ip route show table all proto 107; on a ip -6 route show table all proto 107 2>/dev/null)" 
closed 'once more' kwg a down --keep-closed
closed 'apply after it' kwg a apply
check 'packets arrive' all_arrive
expect 0 'down opens all' kwg a down
is 'all' '' "$(closed_routes a)"
must kwg a apply
expect 0 'down --keep-closed, and then down of all' kwg a down --keep-closed
expect 0 'without a file' on a "$KILOWG" down --all
is 'opens all, too' '' "$(closed_routes a)"
run on a "$KILOWG" down --mesh kilo --keep-closed
like 'where nothing is closed, it says so' "$T/err" 'no network is closed'

# As after a boot: no journal, no key yet, nobody has applied.
must on a rm -rf /run/kilowg/kilo.journal /run/kilowg/kilo.down
must on a mv /run/kilowg/key /run/kilowg/key.away
expect 0 'apply --closed-only, what would be' kwg a apply --closed-only --dry-run
unlike 'only closed routes' "$T/out" '^[^+]|^\+ [^r]|^\+ route [^u]'
is 'nothing has changed' '' "$(closed_routes a)"
expect 0 'apply --closed-only' kwg a apply --closed-only
check 'they are closed' closed_has a 10.2.3.0/24
check 'and there is no interface' gone on a ip link show kilo0
closed 'between boot and first apply' a_while
must on a mv /run/kilowg/key.away /run/kilowg/key
closed 'the first apply' kwg a apply
check 'packets arrive' all_arrive
before=$(state a)
expect 0 'apply --closed-only on a host with the mesh' kwg a apply --closed-only
is 'changes nothing' "$before" "$(state a)"
must on a ip route del unreachable 10.2.3.0/24 proto 107
expect 0 'but what is missing' kwg a apply --closed-only
is 'which is there again' "$before" "$(state a)"
expect 0 'diff is empty' kwg a diff
set_local fail-closed no
expect 0 'without fail-closed' kwg a apply
is 'nothing is closed' '' "$(closed_routes a)"
expect 0 'apply --closed-only then does nothing' kwg a apply --closed-only
is 'nothing is closed' '' "$(closed_routes a)"
must kwg a down
must on a rm -f /run/kilowg/kilo.journal
must on a ip route add unreachable 10.97.0.0/16 metric 4294967295 proto 107
set_local fail-closed yes
expect 1 'unreachable routes of somebody else with our number are told' kwg a apply
like 'and which' "$T/err" 'somebody else with this number, such as 10\.97\.0\.0/16'
expect 1 'at boot, too' kwg a apply --closed-only
check 'and stay' [ -n "$(on a ip route show 10.97.0.0/16)" ]

finish
