#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A whole cluster: kilowg-agent on each node, with stand-ins for kubectl
# (tests/contrib/bin) and the API server (api.py), which keeps its objects in files.
#
#     location east          west             north        south
#     a ------ b         c ------- d            e            k
#   lead       |lan1   lead        |lan2        |            |
#   .1 |       .2      .3 |        .4 |         .5 |         .6 |
#   ---+--------- ---------+----------+------------+------------+---  wan 203.0.113.0/24
#
# b is on the lan alone. k has no agent but the annotations that Kilo's has
# written. f comes later, and shares the lan of a and b. The pods of node number
# N are in 10.42.N.0/24.

# shellcheck disable=SC2034,SC2086,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq awk od python3 pgrep
choose_backend
kubernetes_start
# Where the API server would be, if packets went there.
KUBE_SERVER=https://203.0.113.200:6443
export KUBE_SERVER

number() { echo "$1" | tr abcdefk 1234576; }

# NODE FILTER: of the node's object.
object() { jq -r "$2" "$T/api/nodes/$1"; }
note() { object "$1" ".metadata.annotations[\"kilo.squat.ai/$2\"] // \"\""; }

# NODE FILTER: a change by somebody else.
edit() {
	jq -n "{} | $2" >"$T/edit"
	must kubectl patch node "$1" --type=merge --patch-file "$T/edit"
}
annotate() { edit "$1" ".metadata.annotations[\"kilo.squat.ai/$2\"] = $3"; }

# NODE REGION [ADDRESS-TYPE ADDRESS]...: what kubelet makes of it.
kubelet() {
	local name="$1" region="$2"
	shift 2
	jq -n --arg name "$name" --arg region "$region" --arg pods "10.42.$(number $name).0/24" '
		def pairs: if . == [] then [] else [{type: .[0], address: .[1]}] + (.[2:] | pairs) end;
		{apiVersion: "v1", kind: "Node", metadata: {$name, annotations: {"other.example/x": "kept"},
			labels: {"topology.kubernetes.io/region": $region}},
		spec: {podCIDR: $pods, podCIDRs: [$pods]}, status: {addresses: ($ARGS.positional | pairs)}}' \
		--args -- "$@" >"$T/object"
	must kubectl create node "$name" "$T/object"
}

# NODE [OPTION]...: starts its agent.
agent() {
	local node="$1"
	shift
	cp $T/local.ini $T/nodes/$node/kilowg/local.ini
	NODE_NAME=$node on $node $shell "$source/contrib/kubernetes/kilowg-agent" --encapsulation never \
		--interval 4 --max-age 600 --debounce 0.2 --label yes --save $T/nodes/$node/saved.ini "$@" >>$T/$node.log 2>&1 &
}
agent_pid() { cat $T/nodes/$1/kilowg/agent/pid; }
no_agent_has() {
	local node
	for node in a b c d e; do
		[ ! -e $T/nodes/$node/kilowg/agent/$1 ] || return 1
	done
}

# k's agent, for which Kilo's stands in the real world.
kilo_round() {
	kilowg-render --encapsulation never --max-age 600 --now "$(api_time)" --self k -o $T/nodes/k/kilowg/topology.ini \
		"$T/kilo.json" 2>/dev/null &&
		kwg_here k apply
}
kwg_here() {
	local node="$1"
	shift
	on $node kilowg --node $node "$@"
}
api_time() { echo $(($(date +%s) + $(cat $T/api/ahead))); }
kilo() {
	jq -n --arg now "$(api_time)" '{metadata: {annotations: {"kilo.squat.ai/last-seen": $now}}}' >"$T/check-in"
	kubectl patch node k --type=merge --patch-file "$T/check-in" &&
		kubectl get nodes,peers.kilo.squat.ai -o json >"$T/kilo.json" && kilo_round
}
kilo_agent() {
	while :; do
		kilo
		sleep 2
	done >/dev/null 2>&1
}

# NODE...: does each have what is wanted of the state as it is, and nothing to do?
settled() {
	local node
	for node; do
		[ -e $T/nodes/$node/kilowg/agent/ready ] && kwg_here $node -q diff || return 1
	done
}

# FROM TO...: from pod to pod.
pods_reach() {
	local from="$1" to all=''
	shift
	for to; do
		all="$all 10.42.$(number $to).2"
	done
	reaches $from.pod $all
}
all_reach() {
	local from
	for from; do
		pods_reach $from "$@" || return 1
	done
}
logs() {
	local node
	for node in a b c d e f k; do
		[ ! -e $T/$node.log ] || { say "log of $node:"; show $T/$node.log; }
	done
}

# ---- machines ----

bridge_add wan lan1 lan2
node_add a b c d e f k
for node in a c d e k; do
	plug $node wan0 wan 203.0.113.$(number $node)/24
done
for node in a b f; do
	plug $node lan0 lan1 10.1.1.$(number $node)/24
done
for node in c d; do
	plug $node lan0 lan2 10.1.2.$(number $node)/24
done
# e could use this, and has to be told not to.
address_add e wan0 10.1.3.5/24
must on a ip route add default via 203.0.113.254
for node in a b c d e f k; do
	pod_add $node 10.42.$(number $node).0/24
done
local_ini

# ---- the cluster comes up ----

# a finds its public address on the host, c is told it by Kubernetes, and d by its owner.
kubelet a east InternalIP 10.1.1.1
kubelet b east InternalIP 10.1.1.2 Hostname b
kubelet c west InternalIP 10.1.2.3 ExternalIP 203.0.113.3
kubelet d west InternalIP 10.1.2.4
kubelet e north InternalIP 203.0.113.5
kubelet k south
annotate d force-endpoint '"203.0.113.4:51820"'
annotate e force-internal-ip '"-"'
must mkdir -p $T/nodes/k/kilowg $T/nodes/k/state
public_key k >/dev/null
cp $T/keys/k $T/nodes/k/kilowg/key
cp $T/local.ini $T/nodes/k/kilowg/local.ini
# All that Kilo's agent writes, and nothing else.
edit k ".metadata.annotations = ({endpoint: \"203.0.113.6:51820\", \"internal-ip\": \"\",
	key: \"$(public_key k)\", \"wireguard-ip\": \"\", \"discovered-endpoints\": \"{}\",
	granularity: \"location\", \"last-seen\": \"$(date +%s)\"} | with_entries(.key |= \"kilo.squat.ai/\" + .))"
: >$T/peer.json
public_key laptop >/dev/null
jq -n --arg key "$(public_key laptop)" '{apiVersion: "kilo.squat.ai/v1alpha1", kind: "Peer",
	metadata: {name: "laptop"}, spec: {allowedIPs: ["10.5.0.1/32"], publicKey: $key}}' >$T/peer.json
must kubectl create peer laptop $T/peer.json

for node in a b c d; do
	agent $node
done
agent e --publish yes --clean-up yes

said() {
	local text="$1" node
	shift
	for node; do
		grep -q "$text" $T/$node.log || return 1
	done
}
ready() {
	local node
	for node; do
		[ "$(note $node wireguard-ip)" != '' ] || return 1
	done
}
check 'each location has a leader that has published its address' wait_for 240 ready a c e
check 'and k joins as Kilo would' kilo
kilo_agent &
check 'all come to rest' wait_for 240 settled a b c d e
check 'each pod reaches each' all_reach a b c d e k

is 'endpoint of the host'"'"'s public address' 203.0.113.1:51820 "$(note a endpoint)"
is 'and its internal address is that of Kubernetes' 10.1.1.1/24 "$(note a internal-ip)"
is 'endpoint on the lan alone' 10.1.1.2:51820 "$(note b endpoint)"
is 'endpoint from Kubernetes' 203.0.113.3:51820 "$(note c endpoint)"
is 'endpoint that is forced, where Kilo would write it' 203.0.113.4:51820 "$(note d endpoint)"
is 'what was forced is as it was' '203.0.113.4:51820 -' \
	"$(note d force-endpoint) $(note e force-internal-ip)"
is 'the internal address that is forced off' '' "$(note e internal-ip)"
is 'annotations of others are kept' kept "$(object a '.metadata.annotations["other.example/x"]')"
if [ "$backend" = kernel ]; then want=true; else want=false; fi
is 'label' $want "$(object b '.metadata.labels["nkml.squat.ai/wireguard"]')"
for node in a b c d e; do
	[ "$(note $node key)" = "$(on $node sh -c 'wg pubkey </run/kilowg/key')" ] || bail "$node: another key"
done
pass 'each has published the key that it uses'

# ---- nothing happens: nothing is done ----

edits() { wc -l <$T/api/nodes.events; }
applied() { cat $T/[abcde].log | grep -c 'changes on this host:'; }
before=$(applied)
check 'checks in by itself' sh -c "
	was=\$(jq -r '.metadata.annotations[\"kilo.squat.ai/last-seen\"]' $T/api/nodes/a)
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		[ \$(jq -r '.metadata.annotations[\"kilo.squat.ai/last-seen\"]' $T/api/nodes/a) = \$was ] || exit 0
		sleep 0.5
	done
	exit 1"
is 'which changes nothing on any host' $before "$(applied)"

# ---- a node joins, moves and leaves ----

kubelet f east InternalIP 10.1.1.7
agent f --clean-up yes
check 'a node joins' wait_for 240 pods_reach f a c e
check 'and is reached' wait_for 240 pods_reach d f
edit f '.metadata.labels["topology.kubernetes.io/region"] = "moved"'
in_location() { grep -A 2 "^name = $2\$" $T/nodes/$1/kilowg/topology.ini | grep -qx "location = $3"; }
check 'it changes its location: all know' wait_for 240 in_location a f moved
check 'with an address of its own' wait_for 240 ready f
edit f '.metadata.labels["topology.kubernetes.io/region"] = "east"'
check 'and comes back' wait_for 240 in_location a f east
check 'all have followed' wait_for 240 settled a e f
# Somebody else has a network of f's on e: that is left out, and the rest carries packets.
must on e ip route replace 10.42.7.0/24 via 203.0.113.254 proto static
not_ready() { [ ! -e $T/nodes/$1/kilowg/agent/ready ]; }
check 'a host on which something is left out is not ready' wait_for 240 not_ready e
now=$(date +%s)
later() { [ "$(note $1 last-seen)" -ge "$2" ]; }
check 'others check in' wait_for 240 later a $((now + 10))
check 'so does it' wait_for 240 later e $((now + 10))
must on e ip route del 10.42.7.0/24 proto static
check 'it is well again' wait_for 240 test -e $T/nodes/e/kilowg/agent/ready
pid=$(agent_pid f)
kill -TERM $pid
check 'its agent ends when told' wait_for 240 gone kill -0 $pid
is 'it has taken back its annotations' '' "$(note f key)$(note f endpoint)$(note f last-seen)"
check 'and the interface' gone on f ip link show kilo0
is 'nor anything else' '' "$(ls $T/nodes/f/kilowg/agent)"
out() { ! grep -q "^name = $2\$" $T/nodes/$1/kilowg/topology.ini; }
check 'the others have left it out' wait_for 240 out a f
must kubectl delete node f

# ---- a burst ----

# COMMAND: 60 changes, quickly.
rounds() { grep -c 'a round has ended' $T/c.log; }
check 'all have followed' wait_for 240 settled a b c d e
pid=$(agent_pid c)
kill -TERM $pid
check 'an agent ends' wait_for 240 gone kill -0 $pid
: >$T/c.log
check 'its tunnels stay' pods_reach c a
agent c --debounce 1 --interval 30 -v
check 'and begins again' wait_for 240 grep -q 'a round has ended: yes' $T/c.log
check 'comes to rest' wait_for 240 settled c
sh -c 'for i in 0 1 2 3 4 5 6 7 8 9; do for j in 0 1 2 3 4 5; do
	jq -n "{metadata: {annotations: {\"kilo.squat.ai/allowed-location-ips\": \"10.9.$i$j.0/24\"}}}" >$0/burst
	kubectl patch node b --type=merge --patch-file $0/burst >/dev/null || exit
done; done' "$T" || bail 'no burst'
last() { grep -q '^allowed-location-ip = 10.9.95.0/24$' $T/nodes/c/kilowg/topology.ini; }
check 'of a burst of changes the last one is there' wait_for 240 last
check 'after few rounds' [ "$(rounds)" -lt 30 ]
say "$(rounds) rounds of c"
annotate b allowed-location-ips null

# ---- a leader dies ----

is 'd does not lead west' '' "$(note d wireguard-ip)"
kill -KILL "$(agent_pid c)"
check 'of an agent that was killed nothing is left' wait_for 20 gone pgrep -f -- \
	'kilowg-(api|publish|render|label) .*--(node|self)[ =]c( |$)'
must on c ip link set wan0 down
annotate c last-seen "\"$(($(date +%s) - 600))\""
check 'its leader is dead: d leads west' wait_for 240 ready d
check 'and carries what c did' wait_for 240 pods_reach a d e
check 'also from outside of it' wait_for 240 pods_reach d b e
must on c ip link set wan0 up
agent c
check 'c is back, and leads again' wait_for 240 gone ready d
check 'as it is known to all' wait_for 240 settled a b c d e
# c may have sessions that the others have dropped with it: 15 seconds until it makes new ones.
check 'all reach all' wait_for 240 all_reach a b c d e

# ---- the API server goes away ----

api_away() {
	: >$T/api/away
}
# shellcheck disable=SC2016  # for the other shell
on a.pod sh -c 'echo $$ >$0.pid; exec ping -i 0.2 10.42.5.2' $T/ping >$T/ping 2>&1 &
api_away
check 'the API server is away: all say so' wait_for 240 said 'the cluster cannot be read' a b c d e
check 'none is ready' wait_for 240 no_agent_has ready
check 'but alive' on a $shell "$source/contrib/kubernetes/kilowg-agent" --probe alive
must on a ip route del 10.42.3.0/24
has_route() { on a ip route show 10.42.3.0/24 | grep -q .; }
check 'what is broken is still repaired' wait_for 240 has_route
# An hour goes by, in which nobody can check in.
echo 3600 >$T/api/ahead
rm $T/api/away
check 'it comes back: all are ready' wait_for 240 settled a b c d e
kill -INT "$(cat $T/ping.pid)"
wait_for 240 grep -q 'packet loss' $T/ping
is 'no packet was lost meanwhile' 0 "$(lost $T/ping)"
for node in a b c d e; do
	grep -q 'can be read again' $T/$node.log || bail "$node has not noticed"
done
check 'all reach all' all_reach a b c d e

# ---- the answer of the API server is not whole ----

# Of the six the first two, in a list that all have to ask for.
relist() { kubectl control '{"compact": true, "expire": true}'; }
echo 2 >$T/api/short
must relist
check 'half of the nodes are gone: it says that this is not applied' wait_for 240 said 'is not applied; what' a b
check 'and why' said 'have 2 nodes that take part, and 6 are applied' a b
check 'is not ready' wait_for 240 not_ready a
is 'all tunnels are there' 4 "$(on a wg show kilo0 peers | grep -c .)"
check 'all reach all' all_reach a b c d e
rm $T/api/short
must relist
check 'it is whole again: all are ready' wait_for 240 settled a b c d e
check 'and say so' said 'can be applied again' a b

# ---- somebody takes the mesh down on a node ----

must on b kilowg --node b down --wait
check 'its agent leaves it so' wait_for 240 said 'was taken down, and was not requested' b
check 'no mesh' gone on b ip link show kilo0
must on b kilowg --node b apply --wait
check 'until somebody asks' wait_for 240 settled b

# ---- the end ----

for node in a b c d e; do
	kill -TERM "$(agent_pid $node)"
done
check 'all agents end' wait_for 240 no_agent_has pid
check 'their tunnels are still there' pods_reach a c d
is 'e was told to clean up' '' "$(note e key)"
check 'no error was logged' gone grep -hE 'jq: error|[Ss]yntax|not found|Bad|cannot (open|create)' $T/?.log
[ $tap_failed = 0 ] || logs
finish
