#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Four nodes that have public addresses only, of which nobody has said where they are: all
# are in one location. Published, rendered and applied, no packet of a pod goes between
# them in clear.
#
#   pod 10.42.1.2    pod 10.42.2.2    pod 10.42.3.2    pod 10.42.4.2
#        |                |                |                |
#        a .1             b .2             c .3             d .4
#        +----------------+----- wan ------+----------------+      203.0.113.0/24
#                                 |
#                            a listener

# shellcheck disable=SC2046,SC2086,SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq python3
choose_backend
kubernetes_start

number() { echo "$1" | tr abcd 1234; }
note() { jq -r ".metadata.annotations[\"kilo.squat.ai/$2\"] // \"\"" $T/api/nodes/$1; }
annotate() {
	jq -n --arg key "kilo.squat.ai/$2" --arg value "$3" '{metadata: {annotations: {($key): $value}}}' >$T/edit
	must kubectl patch node $1 --type=merge --patch-file $T/edit
}

# NODE [ADDRESS-TYPE]: what kubelet makes of it.
kubelet() {
	jq -n --arg name $1 --arg type "${2:-}" --arg n "$(number $1)" '"10.42.\($n).0/24" as $pods
		| {apiVersion: "v1", kind: "Node", metadata: {$name, annotations: {}},
		spec: {podCIDR: $pods, podCIDRs: [$pods]},
		status: {addresses: (if $type == "" then [] else [{$type, address: "203.0.113.\($n)"}] end)}}' >$T/object
	must kubectl create node $1 $T/object
}

render() {
	kubectl get nodes,peers.kilo.squat.ai -o json >$T/state.json &&
		kilowg-render --encapsulation never --max-age 600 -o $T/mesh.ini $T/state.json 2>/dev/null
}

# All nodes publish, and apply what comes of it; once more, since leaders publish more then.
rounds() {
	local node _
	for _ in 1 2; do
		for node in a b c d; do
			on $node $shell "$source/contrib/kubernetes/kilowg-publish" --node $node -f $T/mesh.ini \
				-f $T/local.ini || return 1
		done
		render && apply_all a b c d || return 1
	done
}

# What is sent has one of these in it, 16 bytes each.
begin=kilowg-listens-1 secret=kilowg-is-secret end=kilowg-listens-2
pattern() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n'; }

# WORD NODE ADDRESS
say_to() { on $2 ping -c 1 -W 1 -q -p "$(pattern $1)" $3; }
pod_says() { wait_for 20 say_to $secret $1.pod 10.42.$(number $2).2; }
all_say() {
	local from to
	for from in a b c d; do
		for to in a b c d; do
			[ $from = $to ] || pod_says $from $to || { echo "$from cannot reach $to"; return 1; }
		done
	done
}

# WORD: something in clear between hosts, with which all before it has been heard, too.
heard() {
	say_to $1 a 203.0.113.2 && wait_for 20 grep -q "^203.0.113.2 203.0.113.1 other $1" $T/heard
}

# What was heard of pods since the listener began, or FROM and TO with encrypted packets.
in_clear() { grep -E "$secret|(^| )10\\.42\\." $T/heard | sort -u; }
encrypted() { sed -n 's/^203\.0\.113\.\([1-4]\) 203\.0\.113\.\([1-4]\) data$/\1\2/p' $T/heard | sort -u | paste -s -d ' ' -; }

# ---- machines ----

bridge_add wan
node_add a b c d
for node in a b c d; do
	plug $node wan0 wan 203.0.113.$(number $node)/24
	must on $node ip route add default via 203.0.113.254
	pod_add $node 10.42.$(number $node).0/24
done
local_ini

# d has published its address before, as a node with an earlier kilowg-publish would have.
kubelet a InternalIP
kubelet b InternalIP
kubelet c ExternalIP
kubelet d
annotate d internal-ip 203.0.113.4/24
render || bail 'nothing can be rendered'

python3 "$source/tests/contrib/listen.py" 51820 $begin $secret $end \
	10.42.1.2 10.42.2.2 10.42.3.2 10.42.4.2 >>$T/heard &
wait_for 20 grep -q ready $T/heard || bail 'listen.py does not start'

# ---- nobody has said anything ----

check 'each node is published and applies' rounds
for node in a b c d; do
	is "$node: endpoint, and no internal address" "203.0.113.$(number $node):51820 " \
		"$(note $node endpoint) $(note $node internal-ip)"
done
is 'all are in one location' 0 "$(grep -c '^location' $T/mesh.ini)"
check 'what is in clear is heard' heard $begin
check 'all pods talk' all_say
check 'the listener is still there' heard $end
is 'nothing of it was in clear' '' "$(in_clear)"
is 'each node has sent encrypted packets to each' '12 13 14 21 23 24 31 32 34 41 42 43' "$(encrypted)"

# ---- an administrator trusts the network of a and b ----

annotate a force-internal-ip 203.0.113.1/24
annotate b force-internal-ip 203.0.113.2/24
check 'addresses are forced' rounds
is 'and stay' '203.0.113.1/24 203.0.113.2/24' "$(note a internal-ip) $(note b internal-ip)"
: >$T/heard
check 'a talks to b' pod_says a b
check 'a talks to c' pod_says a c
check 'the listener has heard it' heard $end
is 'between a and b it is in clear, and nowhere else' '10.42.1.2 10.42.2.2
10.42.2.2 10.42.1.2' "$(in_clear | cut -d ' ' -f 1,2)"

annotate a force-internal-ip -
annotate b force-internal-ip -
check 'it is taken back' rounds
: >$T/heard
check 'all pods talk again' all_say
check 'the listener has heard that' heard $end
is 'nothing is in clear any more' '' "$(in_clear)"
finish
