#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# "kilowg explain" and "kilowg check --reach" without packets (those are in netns/explain.sh): what
# they print, and that both say the same of each pair of random meshes.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
KILOWG=${KILOWG:-$top_srcdir/build/kilowg}
case $KILOWG in /*) ;; *) KILOWG=$PWD/$KILOWG ;; esac
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"
need jq
T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
cd "$T" || exit 99

# SEED NODES LOCATIONS PEERS ODD: prints a mesh. With ODD much is chosen so that not all reach each other.
mesh() {
	awk -v seed="$1" -v nodes="$2" -v locations="$3" -v peers="$4" -v odd="$5" '
	function chance(n) { return odd && rand() * 100 < n }
	function key(n) { return substr(sprintf("%06dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", n), 1, 42) "A=" }
	BEGIN {
		srand(seed)
		print "[mesh]\nformat = 1\nnode-requirements = minimal"
		print "encapsulation = " (odd ? (rand() < .3 ? "never" : rand() < .5 ? "always" : "cross-subnet") : "cross-subnet")
		if (chance(30)) print "granularity = full"
		if (chance(50)) print "encapsulation-protocol = vxlan"
		print "[local]\nfirewall = " (chance(20) ? "none" : "nftables")
		if (chance(20)) print "manage-local-routes = no"
		for (i = 0; i < nodes; i++) {
			l = i % locations
			printf "\n[node]\nname = n%d\nlocation = l%d\npublic-key = %s\n", i, l, key(i + 1)
			if (!chance(10)) printf "pod-cidr = 10.%d.%d.0/24\n", 100 + i / 250, i % 250
			if (chance(30)) printf "pod-cidr = fd00:%x::/64\n", i + 1
			if (!chance(10)) printf "internal-ip = 10.%d.%d.%d/%d\n", 200 + l / 250 + (chance(30) ? 20 : 0), l % 250, i / locations + 1, chance(20) ? 32 : chance(20) ? 30 : 24
			if (chance(40)) print "persistent-keepalive = 5"
			else printf "endpoint = 203.0.%d.%d:51820\n", i / 200, i % 200 + 1
			if (chance(15)) printf "allowed-location-ip = 192.168.%d.0/%d\n", chance(50) ? 0 : i, chance(50) ? 20 : 24
		}
		for (i = 0; i < peers; i++) {
			printf "\n[peer]\nname = p%d\npublic-key = %s\nallowed-ip = 10.5.%d.1/32%s\n", i, key(5000 + i), i, chance(30) ? ", fd00:5::" i + 1 "/128" : ""
			if (chance(50)) printf "endpoint = 198.51.100.%d:51820\n", i + 1
		}
	}'
}

# ---- what it prints ----

mesh 1 4 2 1 '' >mesh.ini
kwg() { "$KILOWG" -f mesh.ini "$@"; }
expect 0 'from a pod to one of another location' kwg explain pod:n2 pod:n3
cat >wanted <<'END'
from a pod of node n2 (10.100.2.2) to a pod of node n3 (10.100.3.2)

there
   1  node n2: 10.100.2.2 > 10.100.3.2, in clear over the private network
       route  10.100.3.0/24 via 10.200.0.1 dev priv onlink
   2  node n0: 10.100.2.2 > 10.100.3.2, encrypted to location:l1 at 203.0.0.2:51820
       route  10.100.3.0/24 via 10.4.0.2 dev kilo src 10.200.0.1 onlink
   3  node n1: 10.100.2.2 > 10.100.3.2, in clear over the private network
       route  10.100.3.0/24 via 10.200.1.2 dev priv onlink
   4  node n3: 10.100.2.2 > 10.100.3.2
      arrived at a pod of node n3 (10.100.3.2)

and back
   1  node n3: 10.100.3.2 > 10.100.2.2, in clear over the private network
       route  10.100.2.0/24 via 10.200.1.1 dev priv onlink
   2  node n1: 10.100.3.2 > 10.100.2.2, encrypted to location:l0 at 203.0.0.1:51820
       route  10.100.2.0/24 via 10.4.0.1 dev kilo src 10.200.1.1 onlink
   3  node n0: 10.100.3.2 > 10.100.2.2, in clear over the private network
       route  10.100.2.0/24 via 10.200.0.2 dev priv onlink
   4  node n2: 10.100.3.2 > 10.100.2.2
      arrived at a pod of node n2 (10.100.2.2)
END
same 'each hop is there' wanted "$T/out"
expect 0 'by address' kwg explain 10.100.2.7 10.100.3.9
like 'it knows whose it is' "$T/out" '^from a pod of node n2 \(10\.100\.2\.7\) to a pod of node n3 \(10\.100\.3\.9\)$'
expect 0 'an outside peer' kwg explain p0 n3
like 'begins at a leader' "$T/out" '^   1  peer p0: 10\.5\.0\.1 > 10\.200\.1\.2, encrypted to location:l1 at 203\.0\.0\.2:51820$'
expect 3 'an address of nobody' kwg explain n0 192.0.2.1
like 'is said to be one' "$T/out" '^      stops: 192\.0\.2\.1 is no address of the mesh: n0 sends it where its own routes lead$'
expect 1 'from nobody' kwg explain 192.0.2.1 n0
like 'has no answer' "$T/err" 'the first address is none of the mesh'
expect 1 'an unknown name' kwg explain n0 n99
like 'says what there is' "$T/err" '"n99" is no node and no peer that takes part, and no address; pod:NODE means a pod'
expect 1 'no pods' kwg explain n0 pod:p0
expect 1 'one operand' kwg explain n0
like 'is too few' "$T/err" 'explain takes two operands: from where, and to where'
kwg explain --json pod:n2 p0 >json
is 'JSON' 'true 3 wireguard p0' \
	"$(jq -r '"\(.reached) \(.there.hops | length) \(.there.hops[1].via) \(.to.name)"' json)"
is 'whether it is encrypted' 'false true' "$(jq -r '[.there.hops[] | select(.via != "nothing") | .encrypted] | map(tostring) | join(" ")' json)"
expect 0 'all pairs' kwg check --reach
like 'are counted' "$T/out" '^64 of 64 pairs reach each other$'
expect 1 'two questions' kwg check --reach --live
mesh 1 0 1 2 '' >mesh.ini
expect 1 'peers alone' kwg check --reach
like 'are no mesh' "$T/err" 'no node takes part'
expect 1 'nor do they explain anything' kwg explain p0 p1
echo 'oops' >>mesh.ini
expect 1 'a file with an error' kwg check --reach

# ---- the same of each pair ----

# What "explain" says of each pair of which "check --reach" speaks, as lines "FROM TO", those without a way.
each() {
	local from to
	while read -r from; do
		while read -r to; do
			case "$from $to" in
			"p"[0-9]*" p"[0-9]*) continue ;;
			esac
			[ "${from#pod:}" != "${to#pod:}" ] || continue
			kwg explain "$from" "$to" >/dev/null 2>&1
			[ $? != 3 ] || echo "$from $to"
		done <ends
	done <ends
}
differ=0 lost=0 seed=0 meshes=0
while [ $meshes -lt "${KWG_TEST_MESHES:-6}" ]; do
	seed=$((seed + 1))
	mesh $seed 7 3 2 yes >mesh.ini
	kwg -q check 2>err || continue
	meshes=$((meshes + 1))
	kwg check --reach --json >reach.json 2>err
	{
		sed -n 's/^name = n/n/p' mesh.ini
		awk '/^name = n/ { n = $3 } /^pod-cidr = 10/ { print "pod:" n }' mesh.ini
		sed -n 's/^name = p/p/p' mesh.ini
	} >ends
	each | sort -u >one-by-one
	# Without IPv6 and hosts behind nodes, of which explain was not asked.
	jq -r '.first[] | select((.from + .to) | test("fd00:|behind") | not) | "\(.from) \(.to)"' reach.json |
		sed 's/a pod of node /pod:/g; s/node //g; s/peer //g; s/ ([^)]*)//g' | sort -u >all-at-once
	[ "$(jq '.unreached' reach.json)" -le 100 ] || grep -Fxf all-at-once one-by-one >shown
	if [ "$(jq '.unreached' reach.json)" -le 100 ]; then
		cmp -s one-by-one all-at-once || { differ=$((differ + 1)); say "seed $seed"; diff one-by-one all-at-once | show /dev/stdin; }
	else
		cmp -s shown all-at-once || { differ=$((differ + 1)); say "seed $seed (many)"; }
	fi
	lost=$((lost + $(grep -c . one-by-one)))
done
is "$meshes random meshes, $lost pairs without a way: one by one as all at once" 0 "$differ"
check 'there were some' [ "$lost" -gt 0 ]

# ---- many ----

for shape in '1000 10' '1000 250'; do
	# shellcheck disable=SC2086  # two words
	mesh 1 $shape 5 '' >mesh.ini
	begin=$(date +%s%N)
	(ulimit -v 400000 && kwg check --reach) >out 2>err
	say "$shape: $((($(date +%s%N) - begin) / 1000000)) ms"
	like "$shape: a thousand nodes, in little memory" out '^4016000 of 4016000 pairs reach each other$'
done
finish
