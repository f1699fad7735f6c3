#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Servers without Kubernetes: no pod networks, and one location behind a NAT that nobody can call.
#
#     vps 203.0.113.1 -- wan -- 203.0.113.7 router 10.1.1.254 -- lan -- 10.1.1.1 nas, 10.1.1.2 desk
#
# nas and desk have no endpoint. The printer at 10.1.1.9 is no node.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft
choose_backend

bridge_add wan lan
node_add vps router nas desk printer
plug vps wan0 wan 203.0.113.1/24
plug router wan0 wan 203.0.113.7/24
plug router lan0 lan 10.1.1.254/24
plug nas lan0 lan 10.1.1.1/24
plug desk lan0 lan 10.1.1.2/24
plug printer lan0 lan 10.1.1.9/24
must on nas ip route add default via 10.1.1.254
must on desk ip route add default via 10.1.1.254
must on vps ip route add default via 203.0.113.254
must on printer ip route add default via 10.1.1.1
must on router nft -f - <<'END'
table ip nat {
	chain out {
		type nat hook postrouting priority srcnat
		oif "wan0" masquerade random
	}
}
END

mesh_begin
mesh_node vps 'location = cloud' 'endpoint = 203.0.113.1:51820'
mesh_node nas 'location = home' 'internal-ip = 10.1.1.1/24' 'persistent-keepalive = 1' 'leader = yes' \
	'allowed-location-ip = 10.1.1.9/32'
mesh_node desk 'location = home' 'internal-ip = 10.1.1.2/24' 'persistent-keepalive = 1'
local_ini
daemons vps nas desk

expect 0 'the file is complete' kwg vps check
unlike 'nobody is left out' "$T/err" 'left out'
expect 0 'the plan of one without pods' kwg nas plan
like 'has the default port' "$T/out" '^listen-port 51820$'
expect 0 'as JSON' kwg nas plan --json
like 'too' "$T/out" '"pod_subnet": *null'
expect 0 'vps: apply' kwg vps apply
expect 0 'nas: apply' kwg nas apply
expect 0 'desk: apply' kwg desk apply
for node in vps nas desk; do expect 0 "$node: no difference" kwg $node diff; done
wg_of() { sed -n "/^name = $1\$/,/^\$/p" "$T/mesh.ini" | sed -n 's/^public-key = //p'; }
called() { on vps wg show kilo0 endpoints | grep -q "203.0.113.7:"; }
check 'who has no endpoint calls' wait_for 20 called
check 'and is reached then' wait_for 20 reaches vps 10.1.1.1
check 'as is another of its location' wait_for 20 reaches vps 10.1.1.2
check 'and what is no node there' wait_for 20 reaches vps 10.1.1.9
vps_ip=$(on vps ip -4 -o addr show kilo0 | sed 's/.* inet \([0-9.]*\).*/\1/')
check 'vps is reached from there' wait_for 20 reaches desk "$vps_ip"
expect 0 'vps: healthy' kwg vps status
expect 0 'nas: healthy' kwg nas status
expect 0 'desk: healthy' kwg desk status
expect 0 'the call is not undone by another apply' kwg vps apply
check 'it is reached still' reaches vps 10.1.1.1

# ---- a laptop ----

# What it gets is one file, for wg-quick.
if command -v wg-quick >/dev/null; then
	node_add laptop
	plug laptop wan0 wan 203.0.113.20/24
	mesh_peer laptop 'allowed-ip = 10.5.0.1/32' 'persistent-keepalive = 1' 'mtu = 1380'
	expect 0 'vps takes the laptop' kwg vps apply
	expect 0 'it gets a file' kwg vps showconf peer laptop --private-key "$T/keys/laptop" --format wg-quick
	(umask 077 && cp "$T/out" "$T/mesh0.conf")
	expect 0 'wg-quick takes it' on laptop env WG_QUICK_USERSPACE_IMPLEMENTATION="${KILOWG_USERSPACE:-}" \
		wg-quick up "$T/mesh0.conf"
	check 'which reaches vps' wait_for 20 reaches laptop "$vps_ip"
	like 'with its MTU' "$T/err" 'mtu 1380 '
	check 'and is reached from there' reaches vps 10.5.0.1
	expect 0 'vps: healthy with it' kwg vps status
	must on laptop ip link del mesh0
	mesh_drop laptop
else
	skip 'a laptop' 'there is no wg-quick'
fi

# ---- two that nobody can call ----

mesh_node cabin 'location = cabin' 'persistent-keepalive = 5'
expect 0 'two such' kwg vps check
like 'are warned of' "$T/err" 'neither node "nas" nor node "cabin" .*has an endpoint|neither node "cabin" nor node "nas" .*has an endpoint'
mesh_drop cabin
mesh_node lost 'location = lost'
expect 0 'one that nobody can call and that calls nobody' kwg vps check
like 'is left out' "$T/err" 'node "lost" is left out: it needs public-key, and endpoint or persistent-keepalive, and has no endpoint or persistent-keepalive'
mesh_drop lost

# ---- beside Kubernetes ----

mesh_node k8s 'location = k8s' 'endpoint = 203.0.113.9:51820' 'pod-cidr = 10.2.9.0/24'
expect 0 'where one node has pods' kwg vps check
like 'Kilo'"'"'s rule holds for all' "$T/err" 'node "nas" is left out: it needs endpoint, public-key and pod-cidr'
expect 1 'the others have no plan' kwg vps plan
mesh_set node-requirements minimal
expect 0 'but they may have both' kwg vps check
unlike 'then nobody is left out' "$T/err" 'left out'
expect 0 'and all have a plan' kwg nas plan
mesh_drop k8s
mesh_set node-requirements kilo
expect 1 'and be strict without pods' kwg vps plan
mesh_set node-requirements some
expect 1 'other words' kwg vps check
like 'are named' "$T/err" 'node-requirements: .*auto, kilo or minimal'
finish
