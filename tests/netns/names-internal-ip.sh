#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The name of a node that resolves to its internal-ip, as on a rented host with one address: what
# others have is what they have if its endpoint is that address.
#
#   pod 10.2.1.2              pod 10.2.3.2
#        |                         |
#        a --------- wan --------- c
#   203.0.113.1                203.0.113.3, .4

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping awk
choose_backend

# ADDRESS: where c's name leads to; empty: nowhere.
name_leads_to() {
	printf '127.0.0.1 localhost\n203.0.113.1 a.example.org\n' >"$T/hosts"
	[ -z "$1" ] || printf '%s c.example.org\n' "$1" >>"$T/hosts"
}
printf 'hosts: files\n' >"$T/nsswitch.conf"
name_leads_to 203.0.113.3
own_file /etc/hosts
own_file /etc/nsswitch.conf

bridge_add wan
node_add a c
plug a wan0 wan 203.0.113.1/24
plug c wan0 wan 203.0.113.3/24 203.0.113.4/24
pod_add a 10.2.1.0/24
pod_add c 10.2.3.0/24

# HOST-OF-A HOST-OF-C
mesh() {
	mesh_begin
	mesh_node a 'location = x' "endpoint = $1:51820" 'internal-ip = 203.0.113.1/24' 'pod-cidr = 10.2.1.0/24'
	mesh_node c 'location = y' "endpoint = $2:51820" 'internal-ip = 203.0.113.3/24' 'pod-cidr = 10.2.3.0/24'
}
routes() { ip -n "$1" route show proto 107 | sort; }
# What WireGuard and the kernel have been told on both.
told() {
	for node in a c; do
		routes "$node"
		on "$node" wg show kilo0 endpoints
		on "$node" wg show kilo0 allowed-ips
	done
}
goes_by() { ip -n a route get "$1" | sed -n 's/.* dev \([^ ]*\).*/\1/p'; }
route_is() { [ "$(goes_by 203.0.113.3)" = "$1" ]; }
forget_session() { must on a wg set kilo0 peer "$(public_key c)" remove; }

# ---- as with the address ----

local_ini 'mtu = 1420'
daemons a c
mesh 203.0.113.1 203.0.113.3
expect 0 'endpoints are addresses: apply on a' kwg a apply
expect 0 'apply on c' kwg c apply
check 'packets flow' reaches a.pod 10.2.3.2
told >"$T/with-addresses"
check 'the private address of c is reached outside' route_is wan0
kwg a down
kwg c down

mesh a.example.org c.example.org
daemons a c
run kwg a check
is 'endpoints are names: check' 0 "$status"
like 'it warns that the plan depends on them' "$T/err" \
	'warning: internal-ip: 203\.0\.113\.3 may be what "c\.example\.org" resolves to'
run kwg a plan
like 'the plan has a route to the private address' "$T/out" '^route 203\.0\.113\.3/32 '
run kwg a diff
unlike 'diff has none' "$T/out" 'route 203\.0\.113\.3/32 '
like 'but those to pods' "$T/out" '^\+ route 10\.2\.3\.0/24 '
expect 0 'apply on a' kwg a apply
expect 0 'apply on c' kwg c apply
told >"$T/with-names"
same 'all is as with addresses' "$T/with-addresses" "$T/with-names"
check 'packets flow' reaches a.pod 10.2.3.2
check 'and the other way' reaches c.pod 10.2.1.2
check 'the private address itself is reached' reaches a 203.0.113.3

# ---- and so it stays ----

expect 0 'diff: no difference' kwg a diff
expect 0 'status: healthy' kwg a status
like 'no drift' "$T/out" '^drift: none$'
if can_strace; then
	run traced_kwg "$T/trace" a apply
	mutations "$T/trace" >"$T/sent"
	same 'a second apply sends no change' /dev/null "$T/sent"
else
	skip 'a second apply sends no change' 'strace does not work here'
fi

nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" "$T/nodes/a" \
	"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a watch >"$T/watch.out" 2>"$T/watch.err" &
watch=$!
undone() { must ip -n a route add 203.0.113.3/32 dev kilo0 proto 107; wait_for 10 route_is wan0; }
no_pods() { [ -z "$(routes a)" ]; }
has_pods() { ! no_pods; }
must ip -n a route flush proto 107
check 'watch brings the routes back' wait_for 10 has_pods
check 'but none to the private address' route_is wan0
check 'and takes off one that somebody makes' undone
kill "$watch"
wait "$watch" 2>/dev/null
told >"$T/watched"
same 'all is as before' "$T/with-addresses" "$T/watched"

# ---- the name leads elsewhere ----

name_leads_to 203.0.113.4
expect 0 'a peer with a session is not asked for' kwg a apply
check 'the private address stays outside' route_is wan0
forget_session
run kwg a diff
like 'without a session: diff has the route' "$T/out" '^\+ route 203\.0\.113\.3/32 '
expect 0 'apply' kwg a apply
check 'the private address is reached through the mesh' route_is kilo0
check 'packets flow' reaches a.pod 10.2.3.2
check 'also to the private address' reaches a 203.0.113.3
expect 0 'no difference' kwg a diff

name_leads_to 203.0.113.3
forget_session
expect 0 'the name leads to it again' kwg a apply
check 'it is reached outside' route_is wan0
check 'packets flow' reaches a.pod 10.2.3.2

# ---- the name leads nowhere at first ----

kwg a down
daemons a
name_leads_to ''
expect 0 'nobody knows the name' kwg a apply
check 'there is a route to the private address' route_is kilo0
name_leads_to 203.0.113.3
expect 0 'then somebody does' kwg a apply
check 'it is reached outside' route_is wan0
check 'packets flow' wait_for 10 reaches a.pod 10.2.3.2
expect 0 'no difference' kwg a diff
finish
