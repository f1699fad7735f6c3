#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What a node says of itself, and what it has learnt of others behind a NAT:
#
#   a ------ wan 203.0.113.0/24 ------ router ---- lan 192.168.1.0/24 -- h .2, and the peer p .3
#     .1                            .2
#                                      masquerades with ports of its own choice
# and q, a peer without a keepalive, on the wan.

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft jq
# Before anything else makes the kernel load its module.
first=0
"$KILOWG" -q detect || first=$?
choose_backend

# ---- detect ----

# The answer has to be that of a link that is really made.
if has_kernel_wireguard; then want=0; else want=3; fi
is 'detect was right when nobody had used WireGuard yet' $want $first
ip -o link | sort >"$T/before"
expect $want 'detect has the exit status of the truth' "$KILOWG" detect
expect $want 'detect, as JSON' "$KILOWG" --json detect
if [ $want = 0 ]; then
	is 'both who can know it say yes' 'yes yes true true' \
		"$(jq -r '"\(.generic_netlink) \(.link) \(.kernel_wireguard) \(.privileged)"' "$T/out")"
else
	is 'nobody says yes' 'no no false true' \
		"$(jq -r '"\(.generic_netlink) \(.link) \(.kernel_wireguard) \(.privileged)"' "$T/out")"
fi
expect $want 'detect, quietly' "$KILOWG" -q detect
is 'prints nothing' '' "$(cat "$T/out")"
ip -o link | sort >"$T/after"
same 'no link was left behind' "$T/before" "$T/after"
if command -v setpriv >/dev/null && setpriv --bounding-set=-all --inh-caps=-all true 2>/dev/null; then
	expect $want 'detect without privileges' \
		setpriv --bounding-set=-all --inh-caps=-all "$KILOWG" --json detect
	is 'says that they are missing' 'denied false' \
		"$(jq -r '"\(.link) \(.privileged)"' "$T/out")"
else
	skip 'detect without privileges' 'setpriv cannot drop capabilities here'
fi
expect 1 'detect takes no operand' "$KILOWG" detect x

# ---- the mesh ----

bridge_add wan lan
node_add a h p q
must ip netns add router
plug a wan0 wan 203.0.113.1/24 10.9.0.1/24
plug q wan0 wan 203.0.113.101/24
plug router wan0 wan 203.0.113.2/24
plug router lan0 lan 192.168.1.1/24
plug h lan0 lan 192.168.1.2/24
plug p lan0 lan 192.168.1.3/24
must on h ip route add default via 192.168.1.1
must on p ip route add default via 192.168.1.1
must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
echo 'table ip nat { chain out { type nat hook postrouting priority 100; oifname "wan0" masquerade random; }; }' >"$T/nft"
on router nft -f "$T/nft" >"$T/out" 2>&1 || cannot "nft cannot masquerade here: $(head -n 1 "$T/out")"

mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.9.0.1/24' 'pod-cidr = 10.2.1.0/24'
mesh_node h 'location = y' 'endpoint = 203.0.113.2:51820' 'internal-ip = -' 'pod-cidr = 10.2.2.0/24' \
	'persistent-keepalive = 1'
mesh_peer p 'allowed-ip = 10.5.0.1/32' 'persistent-keepalive = 1'
mesh_peer q 'endpoint = 203.0.113.101:51820' 'allowed-ip = 10.5.0.2/32'
local_ini
daemons a h

# KEY JQ-EXPRESSION: from the facts of a node.
fact() { kwg "$1" --json facts 2>/dev/null | jq -r "$2"; }
note() { fact "$1" ".annotations[\"kilo.squat.ai/$2\"]"; }

expect 0 'facts before there is an interface' kwg a facts
like 'say so' "$T/out" '^interface [a-z0-9]+ (missing|mtu)'
is 'nothing is learnt yet' '{}' "$(note a discovered-endpoints)"
expect 0 'apply on a' kwg a apply
expect 0 'apply on h' kwg h apply
expect 0 'facts of a' kwg a facts
is 'its key' "$(public_key a)" "$(sed -n 's/^public-key //p' "$T/out")"
like 'its addresses and place' "$T/out" \
	'^endpoint 203\.0\.113\.1:51820$' '^internal-ip 10\.9\.0\.1/24$' '^wireguard-ip 10\.4\.0\.1/16$' \
	'^granularity location$' '^takes-part leader$' '^backend (kernel|userspace) \('


# NAME: WireGuard on a machine without kilowg, which has a as its peer.
client() {
	if has_kernel_wireguard; then
		must on "$1" ip link add wg0 type wireguard
	else
		must on "$1" "$(own_userspace || echo wireguard-go)" wg0
	fi
	must on "$1" wg set wg0 private-key "$T/keys/$1" listen-port 51820 peer "$(public_key a)" \
		endpoint 203.0.113.1:51820 allowed-ips 10.4.0.1/32 persistent-keepalive 1
	must on "$1" ip link set wg0 up
}

client p
client q
for name in h p q; do
	check "$name talks to a" wait_for 15 has_handshake a "$name"
done

# NAME: the member of Kilo's annotation for it, from what wg(8) shows.
member() {
	local endpoint
	endpoint=$(peer_field a 3 "$1")
	printf '"%s":{"IP":"%s","Port":%s,"Zone":""}\n' "$(public_key "$1")" "${endpoint%:*}" "${endpoint##*:}"
}

# Sorted by the bytes of the key; q has no keepalive of its own.
is "the endpoints behind the NAT, as Kilo writes them" \
	"{$({ member h; member p; } | sort | paste -s -d , -)}" "$(note a discovered-endpoints)"
check 'the NAT has chosen another port' [ "$(peer_field a 3 p)" != 203.0.113.2:51820 ]
is 'as a list, too' "$(printf '%s\n' h p | sort)" \
	"$(fact a '.discovered_endpoints[].name' | sort)"
is 'and in the text' "$(public_key h) $(peer_field a 3 h) name h" \
	"$(kwg a facts | sed -n 's/^discovered-endpoint \(.* h\)$/\1/p')"

# What a says goes into the files, and each node uses it.
before=$(peer_field a 3 p)
mesh_edit a '' "discovered-endpoint = $(public_key p) $before"
expect 0 'the plan of a with it' kwg a plan
is 'has the endpoint of p' "$before" \
	"$(awk -v key="$(public_key p)" '$1 == "wireguard-peer" && $2 == key { print $4 }' "$T/out")"
expect 0 'apply changes nothing' kwg a diff

# ---- all that Kilo's agent writes ----

is 'key' "$(public_key a)" "$(note a key)"
is 'endpoint' 203.0.113.1:51820 "$(note a endpoint)"
is 'internal IP' 10.9.0.1/24 "$(note a internal-ip)"
is 'internal IP that is switched off' '' "$(note h internal-ip)"
is 'WireGuard IP' 10.4.0.2/16 "$(note h wireguard-ip)"
is 'granularity' location "$(note a granularity)"
is 'h has learnt of nobody: a has no keepalive' '{}' "$(note h discovered-endpoints)"
is 'the interface' "$(on a ip -o link show kilo0 | sed 's/.* mtu \([0-9]*\).*/\1/') 51820 true" \
	"$(fact a '.interface | "\(.mtu) \(.port) \(.present)"')"

is 'the addresses of the host, without those of the mesh and those that nobody can reach' \
	'10.9.0.1/24 wan0,203.0.113.1/24 wan0' \
	"$(fact a '.addresses | map("\(.address) \(.interface)") | sort | join(",")')"

# ---- which of them is private ----

is 'one of them is private' 10.9.0.1/24 "$(fact a '.addresses[] | select(.private).address')"
must on a ip link add kinds type bridge
must on a ip link set kinds up
address_add a kinds 9.0.0.1/8 10.0.0.1/8 11.0.0.1/8 100.64.0.1/10 169.254.7.1/16 172.15.0.1/16 \
	172.16.0.1/16 172.31.0.1/16 172.32.0.1/16 192.167.0.1/16 192.168.0.1/16 192.169.0.1/16
want='10.0.0.1/8 172.16.0.1/16 172.31.0.1/16 192.168.0.1/16'
if can_ipv6; then
	address_add a kinds fc00::1/64 fd::1/64 fd00::1/64 fdff:ffff::1/64 fe80::1/64 2001:db8::1/64
	want="$want fd00::1/64 fdff:ffff::1/64"
fi
is 'RFC 1918 and fd00::/8, and no others' "$want" \
	"$(fact a '[.addresses[] | select(.interface == "kinds" and .private).address] | sort | join(" ")')"
kwg a facts >"$T/out"
is 'as in the text' "$want" \
	"$(sed -n 's/^address \(.*\) interface kinds private$/\1/p' "$T/out" | sort | paste -s -d ' ' -)"
like 'which has the others, too' "$T/out" '^address 100\.64\.0\.1/10 interface kinds$' \
	'^address 203\.0\.113\.1/24 interface wan0$'
must on a ip addr flush dev kinds
address_add a kinds 10.2.1.1/24
is 'an address of the bridge of the pods is none of the host' '' \
	"$(fact a '.addresses[] | select(.interface == "kinds").address')"
must on a ip link del kinds

# A public one can only have been forced, which another annotation says, or published by mistake.
mesh_edit a 'internal-ip = 10.9.0.1/24' 'internal-ip = 203.0.113.1/24'
is 'a public internal IP is not announced' '' "$(note a internal-ip)"
is 'though the file has it' 203.0.113.1/24 "$(fact a .internal_ip)"
is 'as the text says' 203.0.113.1/24 "$(kwg a facts 2>/dev/null | sed -n 's/^internal-ip //p')"
mesh_edit a 'internal-ip = 203.0.113.1/24' 'internal-ip = fc00::1/64'
is 'nor one of fc00::/8' '' "$(note a internal-ip)"
mesh_edit a 'internal-ip = fc00::1/64' 'internal-ip = fd12::1/64'
is 'one of fd00::/8 is' fd12::1/64 "$(note a internal-ip)"
mesh_edit a 'internal-ip = fd12::1/64' 'internal-ip = 10.9.0.1/24'

# ---- who is not in the mesh yet ----

expect 0 'facts of a node that the files do not have' kwg a --node new --json facts
is 'have its key, so that it can be put there' "$(public_key a) false null" \
	"$(jq -r '"\(.public_key) \(.takes_part) \(.endpoint)"' "$T/out")"
# What it prints for the others' files is such a section.
expect 0 'as a section' kwg a --node new facts --ini
like 'with name, key and public address' "$T/out" '^\[node\]$' '^name = new$' '^endpoint = 203\.0\.113\.1:51820$'
is 'the key is its own' "public-key = $(public_key a)" "$(grep '^public-key' "$T/out")"
{ printf '[mesh]\nformat = 1\n'; cat "$T/out"; } >"$T/section.ini"
expect 0 'that kilowg reads' on a "$KILOWG" -f "$T/section.ini" check
unlike 'and takes part' "$T/err" 'left out'
# Which of several private networks is meant nobody can guess.
address_add a wan0 10.77.0.1/24
expect 0 'with two private addresses' kwg a --node new facts --ini
like 'both are comments' "$T/out" '^#internal-ip = 10\.9\.0\.1/24 \(wan0\)$' '^#internal-ip = 10\.77\.0\.1/24 \(wan0\)$'
must on a ip addr del 10.77.0.1/24 dev wan0
expect 0 'of one that the files have' kwg a facts --ini
cp "$T/out" "$T/own.ini"
{ printf '[mesh]\nformat = 1\n'; cat "$T/own.ini"; } >"$T/section.ini"
is 'it has what they say' "$(kwg a --json check | jq -c '.nodes[] | select(.name == "a") | del(.line, .file, .key, ."discovered-endpoint", .discovered)')" \
	"$(on a "$KILOWG" -f "$T/section.ini" --json check | jq -c '.nodes[] | del(.line, .file, .key, ."discovered-endpoint", .discovered)')"
expect 1 'not both forms' kwg a --json facts --ini
kwg a --json facts >"$T/before.facts"
must on a rm /run/kilowg/key
expect 0 'facts without a key' kwg a --json facts
is 'say that there is none' "null " \
	"$(jq -r '"\(.public_key) \(.annotations["kilo.squat.ai/key"])"' "$T/out")"
check 'and make none' gone on a test -e /run/kilowg/key
check 'no private key is shown' gone grep -qF -e "$(cat "$T/keys/a")" "$T/out" "$T/before.facts"
finish
