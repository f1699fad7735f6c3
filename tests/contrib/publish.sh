#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg-publish and kilowg-label on what a real API server printed
# (tests/contrib/k8s): on each node, in a namespace that has its addresses, they
# write what Kilo has written there. Then hostile values, new nodes, options, and
# kubectl itself, where it is, with a small API server (api.py). More nodes and values, and busybox
# ash, has publish-long.sh (KWG_TEST_ALL=yes).

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need jq
source=$(cd -- "${lib_dir%/*}" && pwd -P)
scripts=$source/contrib/kubernetes data=$source/tests/contrib/k8s
PATH=$(cd -- "${KILOWG%/*}" && pwd -P):$PATH
export PATH
shell=sh
node_add x
must on x ip link add uplink type bridge
must on x ip link set uplink up
must mkdir $T/key.d
umask 077

# SET NODE OPTION...: kilowg-publish there, of $T/state.json and $T/SET.ini.
publish() {
	local set="$1" node="$2"
	shift 2
	on x $shell "$scripts/kilowg-publish" --dry-run --node "$node" --now 1795390800 --refresh 100 \
		--state $T/state.json -f "$T/$set.ini" -f $T/local.ini "$@"
}

# FILE: takes it for the private key.
key_file() { printf '[local]\nprivate-key-file = %s\n' "$1" >$T/local.ini; }

# SET [N]: the state of the set with keys of which we have the other half;
# every N-th of the nodes.
state_with_keys() {
	local node
	jq -r '.[] | select(.kind == "Node" and .readyAtNow) | .name' "$data/$1.kilo.json" |
		awk -v n="${2:-1}" 'NR % n == 0' >$T/names
	while read -r node; do
		kilowg genkey >$T/key.d/$node
		echo "$node $(kilowg pubkey <$T/key.d/$node)"
	done <$T/names >$T/pubs
	jq --rawfile pubs $T/pubs '
		($pubs | split("\n") | map(split(" ") | select(length == 2) | {key: .[0], value: .[1]}) | from_entries) as $new
		| (.items[] | select(.kind == "Node" and $new[.metadata.name]) | .metadata)
			|= (.annotations["kilo.squat.ai/key"] = $new[.name])' "$data/$1.all.json" >$T/state.json
	kilowg-render --now 1795390800 --encapsulation never -o "$T/$1.ini" $T/state.json 2>/dev/null
}

# SET [N]: on each node that takes part, with the addresses that Kilo has found there. Prints
# what is wrong.
as_kilo() {
	local set="$1" node address
	state_with_keys "$@"
	: >$T/patches
	while read -r node; do
		on x ip addr flush dev uplink
		# shellcheck disable=SC2046  # words on purpose
		address_add x uplink $(jq -r --arg node "$node" '.items[] | select(.metadata.name == $node)
			| .metadata.annotations | def a($k): .["kilo.squat.ai/" + $k] // "";
			(a("internal-ip"), (select(a("force-endpoint") == "") | a("endpoint")
				| capture("^\\[?(?<h>[0-9a-f.:]+?)\\]?:[0-9]+$").h)) | select(. != "")' $T/state.json |
			sort -u)
		key_file $T/key.d/$node
		publish "$set" "$node" >$T/patch </dev/null || echo "$node: exit status $?"
		[ -s $T/patch ] || echo '{"metadata": {"annotations": {}}}' >$T/patch
		jq --arg node "$node" '.node = $node' $T/patch >>$T/patches
	done <$T/names
	# Kilo's view of the node has to be as it was, and so has what was settled.
	jq -r --slurpfile patches $T/patches --slurpfile kilo "$data/$set.kilo.json" '. as $state | $patches[]
		| .node as $node | .metadata.annotations as $p
		| ($state.items[] | select(.metadata.name == $node) | .metadata.annotations) as $was
		| ($kilo[0][] | select(.kind == "Node" and .name == $node)) as $k
		| def a($k): $was["kilo.squat.ai/" + $k] // "";
		(($was + $p) as $is
			| [["endpoint", $k.endpoint], ["internal-ip", $k.internalIP // ""], ["granularity", "location"],
				["cni-compatibility-ip", ""], ["wireguard-ip", $k.wireGuardIP // ""]][]
			| $is["kilo.squat.ai/" + .[0]] as $got
			| select($got != .[1]) | "\($node): \(.[0]): \($got), and Kilo has \(.[1])"),
		($p | del(.["kilo.squat.ai/last-seen"], .["kilo.squat.ai/discovered-endpoints"])
			| if a("force-endpoint") != "" then del(.["kilo.squat.ai/endpoint"]) else . end
			| if a("force-internal-ip") != "" then del(.["kilo.squat.ai/internal-ip"]) else . end
			| to_entries[] | "\($node): \(.key): \($was[.key]) becomes \(.value)")' $T/state.json
}

PATH=$scripts:$PATH
for set in k3s-3 hetero-6 mix-20; do
	case ${KWG_TEST_ALL:-no}$set in	# they take long enough
	nomix-20) every=6 ;;
	yesmix-20) every=2 ;;
	nohetero-6) every=2 ;;
	*) every=1 ;;
	esac
	as_kilo $set $every >$T/wrong
	is "$set: $(grep -c . $T/names) nodes write what Kilo has written" '' "$(cat $T/wrong)"
done
key_file $T/key.d/key
kilowg genkey >$T/key.d/key

# ---- hostile values ----

# VALUE (JSON): in all that can hold text, of a node that else is a good one.
hostile() {
	printf %s "$1" >$T/value
	jq --slurpfile v $T/value '$v[0] as $v | .items |= map(select(.kind == "Node"))
		| (.items[] | select(.metadata.name == "ash-a")) |= (.metadata.annotations |= (
			with_entries(if .key | startswith("kilo.squat.ai/") then .value = $v else . end)
			+ {"kilo.squat.ai/force-endpoint": $v, "kilo.squat.ai/force-internal-ip": $v, "kilo.squat.ai/leader": $v})
		| .metadata.labels["topology.kubernetes.io/region"] = $v
		| .metadata.labels["nkml.squat.ai/wireguard"] = $v
		| .status.addresses = [{type: "ExternalIP", address: $v}, {type: "InternalIP", address: $v}]
		| .spec.podCIDRs = [$v] | .spec.podCIDR = $v)' "$data/hetero-6.all.json" >$T/state.json
	kilowg-render --now 1795390800 --encapsulation never --self ash-a -o $T/h.ini $T/state.json 2>/dev/null
	(cd $T && publish h ash-a) >$T/patch || return 1
	on x $shell "$scripts/kilowg-label" --dry-run --node ash-a --state $T/state.json >$T/label || return 1
	[ ! -e $T/pwned ] || return 1
	# Our keys, and nothing in them that we did not make.
	jq -e '.metadata.labels | keys == ["nkml.squat.ai/wireguard"] and .[] == "true" or .[] == "false"' $T/label >/dev/null || return 1
	jq -e 'keys == ["metadata"] and (.metadata | keys == ["annotations"]) and (.metadata.annotations
		| all(keys[]; test("\\Akilo\\.squat\\.ai/(key|endpoint|internal-ip|wireguard-ip|last-seen|granularity|discovered-endpoints|cni-compatibility-ip)\\z"))
		and .["kilo.squat.ai/last-seen"] == "1795390800"
		and (.["kilo.squat.ai/endpoint"] // "" | test("\\A([0-9.]+:51820|\\[[0-9a-f:]+\\]:51820|)\\z"))
		and (.["kilo.squat.ai/internal-ip"] // "" | test("\\A([0-9a-f.:]+/[0-9]+|)\\z")))' $T/patch >/dev/null
}

on x ip addr flush dev uplink
must on x ip addr add 10.20.0.11/24 dev uplink
cat >$T/hostile <<'END'
"x\n[node]\nname = evil\r\n\u0000\u2028"
"$(touch pwned)`touch pwned`"
"'; touch pwned; '"
"\"; touch pwned; \"\\(1)"
"-o"
"\ud83d\ude00"
""
"10.20.0.11"
"0.0.0.0/0"
"10.0.0.0/99999"
"99999999999999999999"
{"a": 1}
null
END
shells=sh
if [ "${KWG_TEST_ALL:-no}" = yes ]; then shells='sh busybox'; else sed -i '5,$d' $T/hostile; fi
for shell in $shells; do
	[ $shell = sh ] || shell='busybox ash'
	$shell -c : 2>/dev/null || { skip "hostile values under $shell" 'it is not there'; continue; }
	# All of them once; the other shell has the same jq.
	[ "$shell" = sh ] || sed -i '4,$d' $T/hostile
	failed_at=''
	while IFS= read -r value; do
		hostile "$value" </dev/null || failed_at="$failed_at $value"
	done <$T/hostile
	# Jq alone has to do with its length.
	[ "$shell" != sh ] || hostile "\"$(head -c 1048576 /dev/zero | tr '\0' a)\"" || failed_at="$failed_at 1-MiB"
	is "hostile values under $shell" '' "$failed_at"
done
shell=sh

# ---- a new node ----

jq '(.items[] | select(.kind == "Node")) |= (.metadata.annotations |= with_entries(select(.key | startswith("kilo") | not)))' \
	"$data/hetero-6.all.json" >$T/state.json
kilowg-render --now 1795390800 --encapsulation never -o $T/new.ini $T/state.json 2>/dev/null
must on x ip addr add 172.17.0.1/16 dev uplink
rm $T/key.d/key
expect 0 'what a new node would publish' publish new ash-a
check 'makes no key' [ ! -e $T/key.d/key ]
note() { jq -r ".metadata.annotations[\"kilo.squat.ai/$1\"]" $T/out; }
is 'its addresses' '198.51.100.11:51820 10.20.0.11/24' "$(note endpoint) $(note internal-ip)"
expect 0 'with addresses that it is told' publish new ash-a --endpoint vpn.example.org:7 --internal-ip -
is 'takes them' 'vpn.example.org:7 ' "$(note endpoint) $(note internal-ip)"
expect 0 'without port and prefix length' publish new ash-a --endpoint 2001:db8::1 --internal-ip 172.17.0.1
is 'completes them' '[2001:db8::1]:51820 172.17.0.1/16' "$(note endpoint) $(note internal-ip)"
expect 0 'with an address that is not here' publish new ash-a --internal-ip fd00::7
is 'takes it alone' fd00::7/128 "$(note internal-ip)"
sed 's/^\[mesh\]$/&\nport = 7777\ncompatibility = cilium/' $T/new.ini >"$T/it's \$HOME.ini"
must on x ip link add cilium_host type bridge
must on x ip addr add 10.42.2.17/32 dev cilium_host
expect 0 'with a port of the mesh, and Cilium' publish "it's \$HOME" ash-a
is 'publishes them' '198.51.100.11:7777 10.42.2.17/32' "$(note endpoint) $(note cni-compatibility-ip)"
must on x ip link del cilium_host

# Kubernetes knows no address: those of the interface with the default route.
cp $T/state.json $T/state.good
jq '(.items[] | select(.kind == "Node")).status.addresses = []' $T/state.good >$T/state.json
must on x ip link add behind type bridge
must on x ip link set behind up
address_add x behind 203.0.113.9/24 172.20.9.1/24
must on x ip route add default via 203.0.113.254
expect 0 'what a node would publish of which Kubernetes knows no address' publish new ash-a
is 'the public and the private one towards the Internet' '203.0.113.9:51820 172.20.9.1/24' "$(note endpoint) $(note internal-ip)"
must on x ip link del behind
mv $T/state.good $T/state.json

expect 2 'an endpoint that is none' publish new ash-a --endpoint 'a b'
expect 2 'an address that is none' publish new ash-a --internal-ip 'x'
expect 2 'a node that is none' publish new 'A_B'
expect 1 'a node that is not there' publish new nowhere
like 'says so' $T/err 'no node "nowhere"'
echo x >$T/key.d/key
expect 1 'a key file that is none' publish new ash-a
rm $T/key.d/key

# ---- kubectl itself ----

kubectl_tests() {
	local server
	sed -i '/^{/,$!d' $T/state.json
	python3 "$source/tests/contrib/api.py" $T/state.json $T/port 2>$T/api.log &
	server=$!
	wait_for 20 [ -e $T/port ] || bail 'api.py does not start'
	jq -n --arg url "http://127.0.0.1:$(cat $T/port)" '{apiVersion: "v1", kind: "Config", "current-context": "x",
		clusters: [{name: "x", cluster: {server: $url}}], users: [{name: "x", user: {}}],
		contexts: [{name: "x", context: {cluster: "x", user: "x"}}]}' >$T/kubeconfig
	KUBECONFIG=$T/kubeconfig HOME=$T
	export KUBECONFIG HOME
	now() { kubectl get node ash-a -o json | jq -r ".metadata.annotations[\"kilo.squat.ai/$1\"]"; }
	expect 0 'a node is published' kilowg-publish -f $T/new.ini -f $T/local.ini --node ash-a --now 1795390800
	is 'with the key that was made' "$(kilowg pubkey <$T/key.d/key)" "$(now key)"
	is 'which only its owner can read' 600 "$(stat -c %a $T/key.d/key)"
	is 'seen now' 1795390800 "$(now last-seen)"
	expect 0 'again' kilowg-publish -f $T/new.ini -f $T/local.ini --node ash-a --now 1795390829
	is 'writes nothing' '1795390800 1' "$(now last-seen) $(grep -c '^PATCH' $T/api.log)"
	expect 0 'when that is old' env -u KUBECONFIG kilowg-publish --kubeconfig $T/kubeconfig -f $T/new.ini -f $T/local.ini --node ash-a --now 1795390830
	is 'it is written' 1795390830 "$(now last-seen)"
	expect 0 'when that is still to come' kilowg-publish -f $T/new.ini -f $T/local.ini --node ash-a --now 1795390700
	is 'it is written, too' 1795390700 "$(now last-seen)"
	expect 0 'the label is removed' kilowg-label --node ash-a --remove
	expect 0 'and set' kilowg-label --node ash-a
	is 'to what the kernel says' "$(if kilowg detect >/dev/null; then echo true; else echo false; fi)" \
		"$(kubectl get node ash-a -o json | jq -r '.metadata.labels["nkml.squat.ai/wireguard"]')"
	before=$(grep -c '^PATCH' $T/api.log)
	expect 0 'set again' kilowg-label --node ash-a
	is 'it is left alone' "$before" "$(grep -c '^PATCH' $T/api.log)"
	expect 0 'another label' kilowg-label --node ash-a --label example.org/wg --dry-run
	is 'is another' example.org/wg "$(jq -r '.metadata.labels | keys[]' $T/out)"
	mkdir $T/fails
	printf '#!/bin/sh\nexit 5\n' >$T/fails/kilowg
	chmod +x $T/fails/kilowg
	expect 1 'where kilowg finds no answer' env PATH="$T/fails:$PATH" kilowg-label --node ash-a
	is 'nothing is claimed' "$before" "$(grep -c '^PATCH' $T/api.log)"
	expect 0 'the node is withdrawn' kilowg-publish --node ash-a --withdraw
	is 'nothing is left of it' '' \
		"$(kubectl get node ash-a -o json | jq -r '.metadata.annotations | keys[] | select(startswith("kilo"))')"
	if command -v openssl >/dev/null; then in_pod; else skip 'an agent in a pod' 'there is no openssl'; fi
	watching
	kill $server
	expect 1 'no server: an error' kilowg-publish -f $T/new.ini -f $T/local.ini --node ash-a
	like 'that tells what could not be done' $T/err '^kilowg-publish: kubectl could not read the node ash-a$'
}

# In a pod that finds the API server by what K3s has left for kubelet.
in_pod() {
	local account=/var/run/secrets/kubernetes.io/serviceaccount
	must mkdir -p $account
	echo 0123456789 >$account/token
	must openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test \
		-keyout $T/ca.key -out $account/ca.crt
	printf 'apiVersion: v1\nclusters:\n- cluster:\n    server: http://127.0.0.1:%s\n  name: local\n' \
		"$(cat $T/port)" >$T/kubelet.kubeconfig
	expect 0 'an agent in a pod, with the address that kubelet uses' env -u KUBECONFIG \
		kilowg-agent --once --publish no --node ash-a --server-from $T/kubelet.kubeconfig \
		--run-dir $T/pod --output $T/pod.ini --save none -f $T/local.ini --max-age 0
	like 'it makes the topology' $T/pod.ini '^\[mesh\]$' '^\[end\]$'
	unlike 'the token is not copied' $T/pod/kubeconfig.json 0123456789
	expect 1 'an address that is none' env -u KUBECONFIG kilowg-agent --once --server-from $T/port \
		--run-dir $T/pod --output $T/pod.ini --save none
	like 'says so' $T/err 'there is no URL of an API server'
}

# An agent with kubectl: it sees what changes, and ends when told, with its children.
watching() {
	local agent proxy
	printf '[local]\nprivate-key-file = %s/key.d/key\nfirewall = none\n' $T >$T/local.ini
	kilowg-agent --node nobody --run-dir $T/agent --output $T/agent.ini -f $T/local.ini --save none --interval 40 -v \
		2>$T/agent.log &
	agent=$!
	check 'an agent whose node is not there says so' \
		wait_for 120 grep -q 'the cluster has no node "nobody"' $T/agent.log
	kill -TERM $agent
	wait $agent
	is 'ends well' 0 $?
	kilowg-agent --node ash-a --run-dir $T/agent --output $T/agent.ini -f $T/local.ini --save none --interval 40 -v \
		--publish no --encapsulation never 2>$T/agent.log &
	agent=$!
	check 'an agent renders' wait_for 120 grep -q 'a round has ended' $T/agent.log
	check 'and follows nodes and peers' wait_for 120 sh -c "[ \$(grep -c 'watch=1' $T/api.log) -ge 2 ]"
	printf '{"metadata": {"annotations": {"kilo.squat.ai/location": "moon", "kilo.squat.ai/endpoint": "203.0.113.7:1",
		"kilo.squat.ai/key": "%s", "kilo.squat.ai/last-seen": "%s"}}}' "$(kilowg genkey | kilowg pubkey)" "$(date +%s)" >$T/moon
	must kubectl patch node fra-a --type=merge --patch-file $T/moon
	check 'a change is seen' wait_for 120 grep -q '^location = moon$' $T/agent.ini
	sed -i s/moon/mars/ $T/moon
	must kubectl patch node fra-a --type=merge --patch-file $T/moon
	check 'and the next one' wait_for 120 grep -q '^location = mars$' $T/agent.ini
	proxy=$(pgrep -f 'kubectl proxy --unix-socket=api.sock' -P "$(pgrep -f 'kilowg-api follow --node ash-a' -P $agent)")
	check 'its proxy runs' kill -0 "$proxy"
	kill -TERM $agent
	wait $agent
	is 'the agent ends well' 0 $?
	is 'with its children' '' "$(if kill -0 "$proxy" 2>/dev/null; then echo "$proxy"; fi)"
	unlike 'without a word of trouble' $T/agent.log 'jq|rror|not found|cannot'
}

if ! command -v kubectl >/dev/null; then
	skip 'the scripts with kubectl' 'there is no kubectl'
elif ! command -v python3 >/dev/null; then
	skip 'the scripts with kubectl' 'there is no python3'
else
	kubectl_tests
fi

for script in agent label publish render; do
	expect 2 "kilowg-$script: an option that there is not, as the last word" $shell "$scripts/kilowg-$script" --bogus
	like 'says so' $T/err 'there is no option --bogus'
	expect 2 "kilowg-$script: an option without its value" $shell "$scripts/kilowg-$script" --kubeconfig
	like 'says so' $T/err '[-]-kubeconfig needs a value'
done

if command -v shellcheck >/dev/null; then
	check shellcheck shellcheck "$scripts"/kilowg-*
else
	skip shellcheck 'it is not there'
fi
finish
