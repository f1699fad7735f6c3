#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# status is healthy only if packets get through, and otherwise says what is wrong
# and what to do: each with real packets that do, or do not.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft jq
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
choose_backend
# SECONDS COMMAND...: does it end in time, whatever its exit status?
within() {
	local limit="$1" begin
	shift
	begin=$(date +%s)
	"$@" >/dev/null 2>&1
	[ $(($(date +%s) - begin)) -le "$limit" ]
}
three_nodes
mesh_drop p q
daemons a b c

# NODE: what its status says; $T/status has it as JSON.
status_of() {
	run kwg "$1" status
	cp "$T/out" "$T/text"
	kwg "$1" -j status >"$T/status"
}
# NODE WHAT...: is it unhealthy, for these codes and no other?
ails() {
	local node="$1"
	shift
	status_of "$node"
	is "$node is unhealthy, by its exit status" 3 "$status"
	is 'for this' "$*" "$(jq -r '[.findings[] | select(.severity == "error").code] | join(" ")' "$T/status")"
}
# NODE
well() {
	status_of "$1"
	is "$1 is healthy" '0 true []' "$status $(jq -c '.healthy, .findings' "$T/status" | tr '\n' ' ' | sed 's/ $//')"
}
state_of() { jq -r --arg name "$1" '.peers[] | select(.name == $name).state' "$T/status"; }
# NODE: nothing of WireGuard arrives there any more, as behind the firewall of a cloud.
deaf() {
	must on "$1" nft add table ip cloud
	must on "$1" nft add chain ip cloud in '{ type filter hook prerouting priority -300; }'
	must on "$1" nft add rule ip cloud in udp dport 51820 drop
}
hears() { must on "$1" nft delete table ip cloud; }

# ---- peers that do not answer ----

deaf a
deaf c
must apply_all a b c
ails a no-answer
is 'its state says so' unanswered "$(state_of location:y)"
like 'and there is what to look at' "$T/text" '^error: location:y: no answer from 203\.0\.113\.3:51820/udp$' \
	'^ +is the port open there; is public-key \(.*mesh\.ini:[0-9]+\) the key that "kilowg pubkey" prints there; is its clock right$'
check 'who looks again need not wait' within 2 kwg a status
hears a
heard() { [ "$(peer_field a 6 c)" -gt 0 ]; }
on c ping -c 30 -i 0.5 -q 10.2.1.2 >/dev/null 2>&1 &
check 'what c sends arrives by now' wait_for 10 heard
status_of a
like 'then it is our answers that get lost' "$T/text" 'what it sends arrives here, so our answers get lost'
hears c
check 'then packets get through' reaches a.pod 10.2.3.2
well a
is 'and its state says so' ok "$(state_of location:y)"

# ---- a follower and its leader ----

well b
like 'a follower tells of its leader' "$T/text" \
	'^leader a: 10\.1\.1\.1 on lan0, answers; the route to location:y goes through it$'
expect 0 'it asks other locations through it' kwg b status --probe
must on a sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward'
expect 3 'and tells that it does not forward' kwg b status --probe
like 'of what' "$T/out" '^error: location:y: no echo from 10\.4\.0\.2 through leader a$'
must on a sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
must on a nft add table ip cloud
must on a nft add chain ip cloud in '{ type filter hook prerouting priority -300; }'
must on a nft add rule ip cloud in icmp type echo-request drop
status_of b
is 'one that answers no echo requests is not taken for dead' 0 "$status"
like 'but is not sure, either' "$T/text" '^leader a: .* on lan0, answers as a neighbour only' '^warning: leader a: no answer'
must on a nft delete table ip cloud
must on a ip link set lan0 down
must on b ip neigh flush dev lan0
ails b leader-silent
like 'and so is the line about it' "$T/text" '^leader a: 10\.1\.1\.1 on lan0, does not answer;'
must on a ip link set lan0 up
must kwg a apply
well b
# ---- other ways ----

# CODE PATTERN REMEDY: is it told by all, of a?
told() {
	ails a "$1"
	like 'with what helps' "$T/text" "^error: $2" "^ +$3"
	expect 1 'check --live tells it, too' kwg a check --live --strict
	like 'in the same words' "$T/err" "^kilowg: warning: $2.*; .*$3"
	case $1 in
	# What is applied has no effect.
	way-*)
		expect 3 'and diff, as the host is not as it should be' kwg a diff
		like 'in the same words' "$T/out" "^! $2.*; .*$3"
		is 'without a step' '' "$(grep -v '^!' "$T/out")"
		expect 2 'and apply, which can do nothing about it' kwg a apply
		;;
	*)
		expect 0 'and diff, which can do nothing about it' kwg a diff
		like 'in the same words' "$T/err" "^kilowg: warning: $2.*; .*$3"
		expect 0 'and apply' kwg a apply
		;;
	esac
	like 'in the same words' "$T/err" "^kilowg: warning: $2.*; .*$3"
}
must on a ip route add 10.2.3.0/25 dev lan0
check 'a route that is more specific' unreachable a 10.2.3.2
told way-route 'packets for 10\.2\.3\.0/25 leave by lan0, not kilo0: the route 10\.2\.3\.0/25 dev lan0 table main is more specific' \
	'take it away: ip route del 10\.2\.3\.0/25 dev lan0 table main'
must on a ip route del 10.2.3.0/25 dev lan0 table main
check 'what is advised helps' reaches a 10.2.3.2
must on a ip route add 10.2.3.128/25 dev lan0
told way-route 'packets for 10\.2\.3\.128/25 leave by lan0' 'take it away: ip route del 10\.2\.3\.128/25 dev lan0 table main'
must on a ip route del 10.2.3.128/25 dev lan0
must on a ip route add blackhole 10.2.3.1
told way-route 'packets for 10\.2\.3\.0/24 go nowhere' 'a route or a policy rule of somebody else comes first'
must on a ip route del blackhole 10.2.3.1
must on a ip rule add to 10.2.3.0/24 lookup 99 priority 1000
must on a ip route add 10.2.3.0/24 dev lan0 table 99
told way-rule 'packets for 10\.2\.3\.0/24 leave by lan0, not kilo0: rule 1000 \(lookup 99\) stands before that of the main table' \
	'give that rule a number above 32766, or take it away: ip rule del priority 1000'
must on a ip rule del priority 1000
must on a ip route del 10.2.3.0/24 table 99
must on a ip addr add 10.2.3.130/26 dev lan0
status_of a
is 'an own network in a wanted one does not make it unhealthy' 0 "$status"
like 'but is warned of' "$T/text" '^warning: packets for 10\.2\.3\.128/26 leave by lan0'
must on a ip addr del 10.2.3.130/26 dev lan0
well a

# ---- what the mesh depends on ----

sysctl_on() { must on "$1" sh -c "echo $3 >/proc/sys/net/$2"; }

sysctl_on a ipv4/ip_forward 0
check 'the leader does not forward' unreachable b.pod 10.2.3.2
told forwarding-off 'this host does not forward IPv4 packets' 'sysctl -w net\.ipv4\.ip_forward=1'
sysctl_on a ipv4/ip_forward 1
well a
sysctl_on a ipv4/conf/lan0/forwarding 0
check 'nor does one of its interfaces' unreachable b.pod 10.2.3.2
told forwarding-off 'IPv4 packets that arrive on lan0 are not forwarded' 'sysctl -w net\.ipv4\.conf\.lan0\.forwarding=1'
sysctl_on a ipv4/conf/lan0/forwarding 1
well a
if can_ipv6; then
	sysctl_on a ipv6/conf/all/forwarding 0
	well a
	sysctl_on a ipv6/conf/all/forwarding 1
fi

cp "$mesh_ini" "$T/mesh.kept"
mesh_edit c 'endpoint = 203.0.113.3:51820' ''
status_of a
like 'who takes no part is told, and why' "$T/text" '^warning: node c takes no part in the mesh: it has no endpoint$' \
	'^ +see .*mesh\.ini:[0-9]+$'
run kwg a check --live
like 'by check --live, too' "$T/err" 'node c takes no part'
run kwg a -v apply --dry-run
like 'and apply -v' "$T/err" 'node c takes no part'
mv "$T/mesh.kept" "$mesh_ini"

must kwg a down
on a python3 -c 'import os, signal, socket, sys
open(sys.argv[1], "w").write(str(os.getpid()))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 51820))
signal.pause()' "$T/holder" >/dev/null 2>&1 &
held() { on a sh -c "grep -qi ':CA6C ' /proc/net/udp"; }
if wait_for 5 held; then
	run kwg a check --live
	like 'who has the port is named, before apply needs it' "$T/err" 'port 51820/udp is held by python3[^ ]* \(process [0-9]+\); stop it'
	run kwg a apply
	status_of a
	like 'and when it did' "$T/text" '^error: port 51820/udp is held by python3[^ ]* \(process [0-9]+\)$'
	run kwg a down
else
	skip 'who has the port is named' 'there is no python3'
fi
[ ! -s "$T/holder" ] || kill "$(cat "$T/holder")"
must kwg a apply
well a
echo 'cni = yes' >>"$T/local.ini"
if kwg a apply >"$T/out" 2>"$T/err"; then
	must cp "$T/nodes/a/kilowg/10-kilo.conflist" "$T/nodes/a/kilowg/05-flannel.conflist"
	told cni-order '05-flannel\.conflist sorts before /run/kilowg/10-kilo\.conflist' 'rename one of the two'
	must rm "$T/nodes/a/kilowg/05-flannel.conflist"
	well a
else
	skip 'a CNI configuration that comes before ours' "$(head -n 1 "$T/err")"
fi

# Rules for what comes out of WireGuard and from pods, before which others put theirs.
if has_vxlan; then
	mesh_set encapsulation always
	mesh_set encapsulation-protocol vxlan
	for node in a b c; do
		must kwg $node apply
	done
	check 'with encapsulation' reaches c.pod 10.1.1.2
	well a
	must on a ip rule add table main suppress_prefixlength 0 priority 105
	told way-rule 'what pods here send to 10\.1\.1\.2/32 and 1 more leave by lan0, not kilo0-vxlan: rule 105 \(lookup main\) stands before that of kilowg' \
		'set rule-priority below 105 in \[local\], or take it away: ip rule del priority 105'
	must on a ip rule del priority 105
	well a
else
	skip 'policy rules' 'the kernel has no VXLAN'
fi
# ---- privileges ----

if command -v setpriv >/dev/null; then
	sed 's/^firewall = .*/firewall = nftables/' "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"
	weak() {
		on a setpriv --bounding-set -net_admin --inh-caps -net_admin \
			"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a "$@"
	}
	expect 2 'without the privilege: status' weak status
	like 'says which one is missing' "$T/err" 'CAP_NET_ADMIN is missing'
	unlike 'not that the kernel lacks something' "$T/err" 'has no nftables'
	run weak check --live
	like 'as does check --live' "$T/err" 'CAP_NET_ADMIN is missing'
else
	skip 'the privilege that is missing is named' 'there is no setpriv'
fi
finish
