#!/bin/sh
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
	'^leader a: 10\.1\.1\.1 on lan0, answers; the way to location:y leads through it$'
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
finish
