#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg-render on what a real API server printed (tests/contrib/k8s): the same
# values as Kilo's own translation of each node and peer, and files that kilowg
# accepts. Then hostile values. It is jq that sees them: render-long.sh (KWG_TEST_ALL=yes) has more of
# them, and dash and busybox ash where they are.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
KILOWG=${KILOWG:-$top_srcdir/build/kilowg}
render=$top_srcdir/contrib/kubernetes/kilowg-render
data=$top_srcdir/tests/contrib/k8s
LC_ALL=C
export LC_ALL
[ -x "$KILOWG" ] || { echo "1..0 # SKIP there is no program $KILOWG"; exit 0; }
command -v jq >/dev/null || { echo "1..0 # SKIP there is no jq"; exit 0; }

T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
n=0 failed=0 shell=sh

# NAME: the last command's answer as a TAP point.
point() {
	if [ "$?" = 0 ]; then set -- ok "$1"; else failed=1; set -- "not ok" "$1"; fi
	n=$((n + 1))
	printf '%s %d - %s\n' "$1" "$n" "$2"
}

run() { $shell "$render" --now 1795390800 "$@"; }

differs() { cmp -s "$1" "$2" || { diff -u "$1" "$2" | sed 's/^/#   /'; false; }; }

# Kilo's view, as lines "name field value" of what takes part.
kilo_view() {
	jq -r '.[] | select(.kind == "Node" and .readyAtNow or .kind == "Peer" and .ready)
		| .kind as $k | (.name + " ") as $n
		| if $k == "Node" then
			$n + "location " + .location, $n + "endpoint " + .endpoint, $n + "key " + .key,
			$n + "internal-ip " + (.internalIP // "none"), $n + "pod-cidr " + .subnet,
			$n + "leader " + (.leader | tostring),
			(.allowedLocationIPs[] | $n + "allowed " + .),
			(.discoveredEndpoints | to_entries[] | $n + "discovered " + .key + " " + .value)
		else
			$n + "key " + .publicKey, $n + "endpoint " + (.endpoint // "none"),
			$n + "psk " + (if .presharedKey then "yes" else "no" end),
			(.allowedIPs[] | $n + "allowed " + .)
		end, $n + "keepalive " + (.persistentKeepaliveNS / 1000000000 | tostring)' "$1" | sort
}

# The same, of the file; the second pod CIDR is what Kilo does not know.
file_view() {
	awk '
	function flush() {
		if (kind == "[node]") {
			print name, "location " location; print name, "internal-ip " (ip == "" || ip == "-" ? "none" : ip)
			print name, "leader " leader; print name, "endpoint " endpoint
		}
		if (kind == "[peer]") {
			print name, "endpoint " endpoint; print name, "psk " psk
		}
		if (kind == "[node]" || kind == "[peer]") print name, "keepalive " keepalive
		location = ip = ""; leader = "false"; keepalive = 0; endpoint = "none"; psk = "no"; pods = 0
	}
	/^\[/ { flush(); kind = $1; next }
	$1 == "name" { name = $3 }
	$1 == "location" { location = $3 }
	$1 == "endpoint" { endpoint = $3 }
	$1 == "internal-ip" { ip = $3 }
	$1 == "leader" { leader = "true" }
	$1 == "persistent-keepalive" { keepalive = $3 }
	$1 == "preshared-key" { psk = "yes" }
	$1 == "public-key" { print name, "key " $3 }
	$1 == "pod-cidr" && !pods++ { print name, "pod-cidr " $3 }
	$1 == "allowed-ip" || $1 == "allowed-location-ip" { print name, "allowed " $3 }
	$1 == "discovered-endpoint" { print name, "discovered " $3, $4 }' "$1" | sort
}

# SET: the WireGuard addresses that kilowg works out are those in the annotations.
same_addresses() {
	jq -r '.[] | select(.wireGuardIP) | .name + " " + .wireGuardIP' "$data/$1.kilo.json" |
	while read -r node ip; do
		"$KILOWG" -f "$T/$1.ini" --node "$node" plan >"$T/plan" 2>"$T/plan.err" || cat "$T/plan.err"
		grep -q "${ip%/*}" "$T/plan" || echo "#   $node: $ip is not in its plan"
	done >"$T/wrong"
	cat "$T/wrong"
	[ ! -s "$T/wrong" ]
}

fixtures() {
	for set in k3s-3 hetero-6 mix-20; do
		run "$data/$set.all.json" >"$T/$set.ini" 2>"$T/err"
		point "$shell: $set: exit status"
		kilo_view "$data/$set.kilo.json" >"$T/wanted"
		file_view "$T/$set.ini" >"$T/got"
		[ -s "$T/got" ] && differs "$T/wanted" "$T/got"
		point "$shell: $set: the values that Kilo reads"
		"$KILOWG" -f "$T/$set.ini" check >"$T/out" 2>&1 || sed 's/^/#   /' "$T/out" | grep ''
		"$KILOWG" -f "$T/$set.ini" -q check
		point "$shell: $set: kilowg accepts the file"
	done
}

# The recorded values of Kilo's own tests and many more, one node for each.
annotations() {
	jq '[.[] | .name = "n" | select(.case | test("4294967297|1\\.2\\.3\\.400|10\\.0\\.0\\.01|\\[host|huge") | not)]
		| to_entries | map(.key as $i | .value | .name = "n\($i)" | {kind: "Node",
			metadata: {name, labels, annotations: ({
				"kilo.squat.ai/endpoint": "203.0.113.1:51820",
				"kilo.squat.ai/last-seen": "1795390800"} + .annotations
				+ {"kilo.squat.ai/last-seen": "1795390800"})},
			spec: {podCIDR: "10.\(100 + $i).0.0/24"}, expected})' "$data/k8s-nodes.json" >"$T/cases"
	# A key for each that is not about keys.
	jq '{items: [to_entries[] | .key as $i | .value
		| if .metadata.annotations | has("kilo.squat.ai/key") | not then
			.metadata.annotations["kilo.squat.ai/key"] =
				"\(100 + $i)AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" else . end]}' \
		"$T/cases" >"$T/list"
	run "$T/list" >"$T/cases.ini" 2>"$T/err"
	point "$shell: recorded annotations: exit status"
	"$KILOWG" -f "$T/cases.ini" -q check
	point "$shell: recorded annotations: kilowg accepts the file"
}

# The same of peers, one at a time: a line each of what Kilo makes of it, and of what is in the file.
# Kilo drops a preshared key that is none, where here its peer is left out; and it clears host
# bits later.
peers() {
	jq -r '.[] | .expected as $e | if $e.valid and $e.ready and .case != "invalid preshared key"
		then "\(.case): \($e.public_key) \($e.preshared_key // "-") \($e.endpoint // "-") \($e.allowed_ips | join(",") | sub("fd50::5"; "fd50::") | sub("10.0.0.3/24"; "10.0.0.0/24")) \($e.persistent_keepalive)"
		else .case + ": left out" end' "$data/k8s-peers.json" >"$T/wanted"
	jq -c '.[] | {case, list: {items: [{kind: "Peer", metadata: {name}, spec}]}}' "$data/k8s-peers.json" |
	while IFS= read -r line; do
		printf '%s\n' "$line" | jq .list | run - 2>/dev/null >"$T/peer.ini"
		"$KILOWG" -f "$T/peer.ini" -q check || echo "kilowg refuses it"
		printf '%s: ' "$(printf '%s\n' "$line" | jq -r .case)"
		awk '/^\[peer\]/ { found = 1; psk = endpoint = "-"; keepalive = 0 }
			found && $2 == "=" { v[$1] = v[$1] (v[$1] == "" ? "" : ",") $3 }
			function or(x, y) { return x == "" ? y : x }
			END {
				if (!found) print "left out"
				else print v["public-key"], or(v["preshared-key"], "-"), or(v["endpoint"], "-"),
					v["allowed-ip"], or(v["persistent-keepalive"], 0)
			}' "$T/peer.ini"
	done >"$T/got"
	[ "$(wc -l <"$T/got")" -ge 15 ] && differs "$T/wanted" "$T/got"
	point "$shell: recorded peers: the values that Kilo reads"
}

# VALUE (JSON): a cluster in which all that can hold text holds it, and a good node.
hostile() {
	jq -n --argjson v "$1" --arg key "cQx+ZnkOk7c8ukPH7o5zXf63YCmaP+buoJaqO+FN88E=" \
		--arg key2 "r+aSp1tcSNX2B/g2aAxZN1iXwl5+1Bl3JmKIyglfOvs=" '
	# A key of its own for each, or all but the first would be left out for that.
	def k($i): "\(100 + $i)AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	def base: {"kilo.squat.ai/endpoint": "203.0.113.1:51820", "kilo.squat.ai/key": $key,
		"kilo.squat.ai/last-seen": "1795390800"};
	["endpoint", "force-endpoint", "internal-ip", "force-internal-ip", "key", "last-seen", "leader",
	"location", "persistent-keepalive", "allowed-location-ips", "discovered-endpoints",
	"cni-compatibility-ip", "granularity", "wireguard-ip"] as $keys
	| {items: ([range(0; $keys | length) as $i | {kind: "Node", metadata: {name: "x\($i)",
		annotations: (base + {"kilo.squat.ai/key": k($i)} + {"kilo.squat.ai/\($keys[$i])": $v})}, spec: {podCIDR: "10.9.\($i).0/24"}}]
	+ [{kind: "Node", metadata: {name: $v, annotations: base}, spec: {podCIDRs: [$v]}},
	{kind: "Node", metadata: {name: "pods", annotations: base}, spec: {podCIDRs: [$v]}},
	{kind: "Node", metadata: $v, spec: $v}, {kind: $v},
	{kind: "Node", metadata: {name: "good", annotations: (base + {"kilo.squat.ai/key": $key2})},
		spec: {podCIDR: "10.8.0.0/24"}},
	{kind: "Peer", metadata: {name: "p1"}, spec: {publicKey: k(50), allowedIPs: [$v]}},
	{kind: "Peer", metadata: {name: "p2"}, spec: {publicKey: $v, allowedIPs: ["10.5.0.1/32"]}},
	{kind: "Peer", metadata: {name: "p3"}, spec: {publicKey: k(51), presharedKey: $v, allowedIPs: ["10.5.0.1/32"]}},
	{kind: "Peer", metadata: {name: "p4"}, spec: {publicKey: k(52), persistentKeepalive: $v, allowedIPs: ["10.5.0.1/32"]}},
	{kind: "Peer", metadata: {name: "p5"}, spec: {publicKey: k(53), allowedIPs: ["10.5.0.1/32"],
		endpoint: {dnsOrIP: {dns: $v, ip: $v}, port: $v}}},
	{kind: "Peer", metadata: {name: $v}, spec: {publicKey: k(60), allowedIPs: ["10.5.0.1/32"]}},
	{kind: "Peer", metadata: {name: "q"}, spec: $v}])}' >"$T/hostile.json"
	(cd "$T" && run hostile.json >"$T/hostile.ini" 2>"$T/err") || { sed 's/^/#   /' "$T/err"; return 1; }
	! grep -q '^jq' "$T/err" || { sed 's/^/#   /' "$T/err"; return 1; }
	[ ! -e "$T/pwned" ] || { echo "#   a command was run"; return 1; }
	"$KILOWG" -f "$T/hostile.ini" -q check 2>"$T/err2" || { sed 's/^/#   /' "$T/err2"; return 1; }
	# Every line is one that is made here; no section but ours, and the good node is there.
	grep -q '^name = good$' "$T/hostile.ini" || { echo "#   the good node is gone"; return 1; }
	! grep -nvE '^$|^\[(mesh|node|peer|end)\]$|^(end-marker = yes|format = 1|leader = yes)$|^(name|location|endpoint|public-key|preshared-key|internal-ip|pod-cidr|persistent-keepalive|allowed-location-ip|discovered-endpoint|cni-compatibility-ip|allowed-ip) = .' \
		"$T/hostile.ini" | sed 's/^/#   /' | grep . || return 1
	! grep -E '^(name|preshared-key) = evil|^interface' "$T/hostile.ini" || return 1
	! grep '[[:cntrl:]]' "$T/err" || return 1
	[ "$(tail -n 1 "$T/hostile.ini")" = "[end]" ]
}

hostile_values() {
	# NUL and others come as JSON escapes, as the API server prints them.
	# shellcheck disable=SC2016
	i=0
	while IFS= read -r value; do
		i=$((i + 1))
		[ "${KWG_TEST_ALL:-no}" = yes ] || [ $((i % 5)) = 1 ] || continue
		hostile "$value"
		point "$shell: hostile $(printf %s "$value" | cut -c1-60 | tr -d '#')"
	done <<-'END'
		"x\n[node]\nname = evil"
		"10.0.0.1/24\n[local]\ninterface = evil"
		"203.0.113.9:1\r\nname = evil"
		"cQx+ZnkOk7c8ukPH7o5zXf63YCmaP+buoJaqO+FN88E=\n"
		"\u0000"
		"a\u0000b"
		"[end]"
		"]"
		"; name = evil"
		"a # b"
		"$(touch pwned)"
		"`touch pwned`"
		"'; touch pwned; '"
		"\"; touch pwned; \""
		"\\(1)"
		"-o"
		"\u2028name = evil"
		"a\u202eb"
		"\u2066"
		"\u001b[2J"
		"\ud83d\ude00"
		"\ufffd"
		""
		" "
		"-"
		"::"
		"::1/128"
		"0.0.0.0/0"
		"224.0.0.1/4"
		"1e3"
		"99999999999999999999999999"
		"-1"
		"infinity"
		"{\"a\":1}"
		"[]"
		"{\"cQx+ZnkOk7c8ukPH7o5zXf63YCmaP+buoJaqO+FN88E=\":{\"IP\":\"1.2.3.4\\n\",\"Port\":1}}"
		"{\"cQx+ZnkOk7c8ukPH7o5zXf63YCmaP+buoJaqO+FN88E=\":{\"IP\":\"1.2.3.4\",\"Port\":-1}}"
		null
		true
		-1
		1e300
		[]
		[[["x"]]]
		{}
		{"name": {"a": 1}, "annotations": [1]}
		{"name": "y", "annotations": {"kilo.squat.ai/key": 5}, "labels": 5}
	END
	hostile "\"$(head -c 100000 /dev/zero | tr '\0' a)\""
	point "$shell: hostile: 100000 bytes"
}

files() {
	run -o "$T/o.ini" "$data/hetero-6.all.json" && cmp -s "$T/o.ini" "$T/hetero-6.ini"
	point "$shell: -o writes what is printed"
	before=$(ls -i "$T/o.ini")
	run -o "$T/o.ini" - <"$data/hetero-6.all.json" && [ "$before" = "$(ls -i "$T/o.ini")" ]
	point "$shell: -o leaves an equal file alone"
	run -o "$T/o.ini" --port 51821 "$data/hetero-6.all.json" && grep -q '^port = 51821$' "$T/o.ini" &&
		[ "$before" != "$(ls -i "$T/o.ini")" ]
	point "$shell: -o replaces another by rename"
	cp "$T/o.ini" "$T/o2.ini"
	for text in '' 'x' '{"items":[' '[]' '{}' '{"kind":"Status"}'; do
		printf %s "$text" | run -o "$T/o.ini" - 2>/dev/null && break
		cmp -s "$T/o.ini" "$T/o2.ini" || break
		text=all
	done
	[ "$text" = all ]
	point "$shell: broken input leaves the file alone"
	jq '.items |= reverse' "$data/mix-20.all.json" | run - 2>/dev/null | cmp -s - "$T/mix-20.ini"
	point "$shell: the order of the input does not matter"
	[ "$(run --self rack-old "$data/mix-20.all.json" 2>/dev/null | grep -c '^name = rack-old$')" = 1 ] &&
		[ "$(run "$data/mix-20.all.json" 2>/dev/null | grep -c '^name = rack-old$')" = 0 ]
	point "$shell: --self keeps a node that was not seen lately"
	[ "$(run --encapsulation-protocol vxlan "$data/k3s-3.all.json" 2>/dev/null |
		grep -c '^encapsulation-protocol = vxlan$')" = 1 ]
	point "$shell: --encapsulation-protocol"
	for option in --port=0 --subnet=10.0.0.1/24 --granularity=x '--mesh-name=a
b' --service-cidr=x --encapsulation=x --encapsulation-protocol=x --now=x --nonsense=1; do
		run "$option" "$data/k3s-3.all.json" >"$T/out" 2>"$T/err"
		[ $? = 2 ] && [ ! -s "$T/out" ] || break
		option=all
	done
	[ "$option" = all ]
	point "$shell: options that are not accepted"
}

clashes() {
	jq '.items |= map(if .metadata.name == "ash-b" then .spec.podCIDR = "10.42.0.0/16" | .spec.podCIDRs = ["10.42.0.0/16"]
		elif .metadata.name == "sin-b" then .metadata.annotations["kilo.squat.ai/key"] = "cQx+ZnkOk7c8ukPH7o5zXf63YCmaP+buoJaqO+FN88E="
		else . end)' "$data/hetero-6.all.json" >"$T/clash.json"
	run "$T/clash.json" >"$T/clash.ini" 2>"$T/err" && "$KILOWG" -f "$T/clash.ini" -q check &&
		grep -q '^name = ash-a$' "$T/clash.ini" && ! grep -q '^name = sin-b$' "$T/clash.ini"
	point "$shell: overlapping pod CIDRs and equal keys: the first by name stays"
	takeovers
	cat "$data/hetero-6.all.json" "$data/hetero-6.all.json" | run - 2>"$T/err" | cmp -s - "$T/hetero-6.ini" &&
		[ "$(grep -c 'same name; it is left out' "$T/err")" = 8 ]
	point "$shell: of equal names, one stays"
	printf '{"ip-10-0-11-24.eu-west-1.compute.internal": ["10.42.77.0/24"]}' >"$T/map"
	run --cni-map "$T/map" "$data/mix-20.all.json" 2>/dev/null | grep -q '^pod-cidr = 10.42.77.0/24$'
	point "$shell: pod CIDRs from a map"
}

# JQ-FILTER OPTION...: of the six nodes with such a change of ash-a and zzz, which comes last. Leaves
# $T/take.ini, and what is said in $T/err.
take_over() {
	change=$1
	shift
	jq "(.items[] | select(.metadata.name == \"ash-a\")) as \$a | .items += [\$a
		| .metadata.name = \"zzz\" | .metadata.annotations[\"kilo.squat.ai/key\"] = \"9AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"
			| .metadata.annotations[\"kilo.squat.ai/endpoint\"] = \"198.51.100.99:51820\"
			| .metadata.annotations[\"kilo.squat.ai/internal-ip\"] = \"10.99.0.1/24\"
			| .spec.podCIDR = \"10.99.1.0/24\" | .spec.podCIDRs = [\"10.99.1.0/24\"]]
		| .items += [\$a | .metadata.name = \"0evil\" | .metadata.annotations[\"kilo.squat.ai/key\"] = \"8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"
			| .spec.podCIDR = \"10.98.1.0/24\" | .spec.podCIDRs = [\"10.98.1.0/24\"]]
		| (.items[] | select(.metadata.name == \"zzz\")) as \$z
		| (.items[] | select(.metadata.name == \"0evil\")) |= ($change)" "$data/hetero-6.all.json" >"$T/take.json"
	run "$@" "$T/take.json" >"$T/take.ini" 2>"$T/err" || return 1
	"$KILOWG" -f "$T/take.ini" -q check
}
node_in() { grep -qx "name = $1" "$T/take.ini"; }
key_of_zzz='.metadata.annotations["kilo.squat.ai/key"] = $z.metadata.annotations["kilo.squat.ai/key"]'

# A name that sorts first is no right to what is of another.
takeovers() {
	take_over . && node_in 0evil && node_in zzz && cp "$T/take.ini" "$T/before.ini"
	point "$shell: 0evil with nothing of others"
	for change in "$key_of_zzz" '.spec.podCIDRs = ["10.99.0.0/16"]' '.spec.podCIDRs = ["10.99.1.128/25"]' \
		'.spec.podCIDRs = ["10.98.1.0/24", "10.0.0.0/8"]'; do
		take_over "$change" --last "$T/before.ini" && node_in zzz && node_in ash-a && ! node_in 0evil &&
			grep -q 'node "0evil": .*"\(zzz\|ash-a\|[a-z-]*\)", which had it before; it is left out' "$T/err"
		point "$shell: who was there stays: $change"
		take_over "$change" --self zzz && node_in zzz && ! node_in 0evil &&
			grep -q '"0evil": .*"\(zzz", which is this node\|[a-z-]*"\)' "$T/err"
		point "$shell: this node stays: $change"
	done
	take_over "$key_of_zzz" && node_in 0evil && ! node_in zzz && grep -q '"zzz": it has the key of node "0evil"' "$T/err"
	point "$shell: of two that are new the first by name"
	# 0evil loses against who was there, and so takes nothing from who is new.
	sed '/^name = zzz$/s/zzz/other/' "$T/before.ini" >"$T/without.ini"
	take_over '.spec.podCIDRs = ["10.0.0.0/8"]' --last "$T/without.ini" && node_in zzz && node_in ash-a && ! node_in 0evil
	point "$shell: who loses takes nobody along"
	# Peers, one claim each.
	for spec in '"publicKey": "9AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "allowedIPs": ["10.5.0.9/32"]' \
		'"allowedIPs": ["10.5.0.9/32", "10.99.1.0/24"]' '"allowedIPs": ["10.99.1.7/32"]' \
		'"allowedIPs": ["10.4.0.1/32"]' '"allowedIPs": ["198.51.100.99/32"]' '"allowedIPs": ["198.51.100.0/24"]' \
		'"allowedIPs": ["10.99.0.1/32"]'; do
		take_over . && jq ".items += [{kind: \"Peer\", metadata: {name: \"greedy\"},
			spec: ({\"publicKey\": \"7AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"} + {$spec})}]" "$T/take.json" |
			run - >"$T/take.ini" 2>"$T/err" && ! node_in greedy && node_in zzz && node_in 0evil &&
			grep -q 'peer "greedy": .*; it is left out' "$T/err"
		point "$shell: a peer that takes from nodes: $spec"
	done
	for spec in '"allowedIPs": ["0.0.0.0/0"]' '"allowedIPs": ["10.96.0.0/11"]' '"allowedIPs": ["10.4.77.1/32"]'; do
		jq ".items += [{kind: \"Peer\", metadata: {name: \"greedy\"},
			spec: ({\"publicKey\": \"7AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"} + {$spec})}]" "$T/take.json" |
			run - >"$T/take.ini" 2>"$T/err" && node_in greedy
		point "$shell: a peer that does not: $spec"
	done
	take_over . && jq '(.items[] | select(.metadata.name == "0evil") | .metadata.annotations["kilo.squat.ai/allowed-location-ips"])
		= ([range(0; 1001) | "10.\(100 + . / 250 | floor).\(. % 250).0/24"] | join(","))' "$T/take.json" |
		run - >"$T/take.ini" 2>"$T/err" && ! node_in 0evil && node_in zzz &&
		grep -q '"0evil": it has 1002 networks, more than 1000; it is left out' "$T/err"
	point "$shell: a node with too many networks"
	echo 'node 0evil' >"$T/out"
	take_over . --leave-out "$T/out" && ! node_in 0evil && node_in zzz
	point "$shell: a node that kilowg does not accept"
	take_over '.metadata.labels = {"topology.kubernetes.io/region": "pinned"} | .metadata.annotations["kilo.squat.ai/location"] = "free"
		| .metadata.annotations["kilo.squat.ai/leader"] = ""' --pin-location label &&
		grep -A 1 '^name = 0evil$' "$T/take.ini" | grep -qx 'location = pinned' && ! grep -A 9 '^name = 0evil$' "$T/take.ini" |
		sed '/^$/,$d' | grep -q leader
	point "$shell: --pin-location: annotations say neither where nor who"
	take_over '.metadata.annotations["kilo.squat.ai/force-internal-ip"] = "203.0.113.7/24"' &&
		grep -qx 'trusted-network = 203.0.113.7/32' "$T/take.ini"
	point "$shell: a public address that is forced is trusted"
}

everything() { fixtures; annotations; files; clashes; }

everything
peers
for set in k3s-3 hetero-6 mix-20; do
	same_addresses "$set"
	point "$set: the WireGuard addresses that Kilo works out"
done
hostile_values
for shell in dash "busybox ash"; do
	[ "${KWG_TEST_ALL:-no}" = yes ] || continue
	if $shell -c : 2>/dev/null; then everything; else n=$((n + 1)); echo "ok $n - $shell # SKIP it is not there"; fi
done

if command -v shellcheck >/dev/null; then
	shellcheck "$render" | sed 's/^/#   /' | grep .
	[ $? != 0 ]
	point "shellcheck"
else
	n=$((n + 1))
	echo "ok $n - shellcheck # SKIP it is not there"
fi
echo "1..$n"
exit "$failed"
