#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Which of a host's addresses kilowg-publish takes for the internal one. Between those of
# one location packets are not encrypted, so none is taken that is not private, unless
# somebody forces it.

# shellcheck disable=SC2086,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need jq
source=$(cd -- "${lib_dir%/*}" && pwd -P)
PATH=$(cd -- "${KILOWG%/*}" && pwd -P):$PATH
export PATH
shell=${KWG_TEST_SHELL:-sh}
umask 077

# near has the default route, far has none.
node_add x
for link in near far; do
	must on x ip link add $link type bridge
	must on x ip link set $link up
done
kilowg genkey >$T/key
printf '[local]\nprivate-key-file = %s\n' $T/key >$T/local.ini
printf '[mesh]\nformat = 1\n' >$T/mesh.ini

# OPTION...: kilowg-publish there, of $T/state.json.
publish() {
	on x $shell "$source/contrib/kubernetes/kilowg-publish" --dry-run --node ash-a --now 1795390800 \
		--state $T/state.json -f $T/mesh.ini -f $T/local.ini "$@"
}

# PUBLISHED FORCE INTERNAL-IP...: a node with these annotations and addresses that Kubernetes
# knows; "none" stands for no annotation.
state_with_address() {
	local published="$1" force="$2"
	shift 2
	jq -n --arg published "$published" --arg force "$force" '
		def note($k; $v): if $v == "none" then {} else {("kilo.squat.ai/" + $k): $v} end;
		{apiVersion: "v1", kind: "Node", metadata: {name: "ash-a", annotations:
			(note("internal-ip"; $published) + note("force-internal-ip"; $force))},
		spec: {podCIDR: "10.42.2.0/24", podCIDRs: ["10.42.2.0/24"]},
		status: {addresses: ($ARGS.positional | map({type: "InternalIP", address: .}))}}' \
		--args -- "$@" >$T/state.json
}

# After a run of kilowg-publish; what it does not write is as it was.
internal_ip_now() {
	jq -r --slurpfile patch $T/out '.metadata.annotations
		+ ($patch[0].metadata.annotations // {}) | .["kilo.squat.ai/internal-ip"]' $T/state.json
}

# What it is, addresses towards the Internet, others, then as above; and what is wanted.
cat >$T/addresses <<'END'
a public one alone|203.0.113.9/24||none|none||
a public one elsewhere||203.0.113.9/24|none|none||
a public one that Kubernetes calls internal|203.0.113.9/24||none|none|203.0.113.9|
a public one that was published|203.0.113.9/24||203.0.113.9/24|none||
a public one that was published, and that Kubernetes calls internal|203.0.113.9/24||203.0.113.9/24|none|203.0.113.9|
a public one, and a private one elsewhere|203.0.113.9/24|172.20.9.1/24|none|none||172.20.9.1/24
a private one elsewhere, a public one that Kubernetes calls internal|203.0.113.9/24|172.20.9.1/24|none|none|203.0.113.9|172.20.9.1/24
a private one elsewhere, a public one that was published, too|203.0.113.9/24|172.20.9.1/24|203.0.113.9/24|none|203.0.113.9|172.20.9.1/24
a provider's (RFC 6598)|100.64.0.9/10||none|none|100.64.0.9|
a provider's, and a private one elsewhere|100.64.0.9/10|10.7.0.9/24|none|none|100.64.0.9|10.7.0.9/24
a link-local one|169.254.7.9/16||none|none|169.254.7.9|
public ones next to the private networks|172.15.0.9/16 172.32.0.9/16 192.167.0.9/16||none|none||
a private one that Kubernetes calls internal, and one towards the Internet|10.7.0.9/24|10.8.0.9/24|none|none|10.8.0.9|10.8.0.9/24
a private and a public one that Kubernetes calls internal|10.7.0.9/24 203.0.113.9/24|10.8.0.9/24|none|none|203.0.113.9 10.8.0.9|10.8.0.9/24
a private one towards the Internet, and one elsewhere|10.7.0.9/24|10.8.0.9/24|none|none||10.7.0.9/24
a private one that was published, among others|10.7.0.9/24|10.8.0.9/24 10.9.0.9/24|10.9.0.9/24|none|10.8.0.9|10.9.0.9/24
a private one that was published and has gone|10.7.0.9/24|10.8.0.9/24|10.9.0.9/24|none|10.8.0.9|10.8.0.9/24
a virtual one beside that of the host|10.7.0.1/32 10.7.0.9/24||none|none||10.7.0.9/24
a virtual one that was published|10.7.0.1/32 10.7.0.9/24||10.7.0.1/32|none|10.7.0.9|10.7.0.9/24
a virtual one that Kubernetes calls internal|10.7.0.1/32 10.7.0.9/24||none|none|10.7.0.1|10.7.0.1/32
one alone in its network, as in some clouds|10.7.0.9/32||none|none||10.7.0.9/32
two private ones on one interface|192.168.9.9/24 10.7.0.9/24||none|none||192.168.9.9/24
a private one in the network of the pods|203.0.113.9/24|10.42.2.1/24|none|none||
a public one that is forced|203.0.113.9/24||none|203.0.113.9/24||203.0.113.9/24
a public one that is forced, and of no interface|203.0.113.9/24|10.7.0.9/24|10.7.0.9/24|198.51.100.7/32|10.7.0.9|198.51.100.7/32
a public one that is forced, in capital letters|203.0.113.9/24||none|2001:DB8::7/64||2001:db8::7/64
none is forced|10.7.0.9/24||10.7.0.9/24|-|10.7.0.9|
none is forced, with an empty text|10.7.0.9/24||10.7.0.9/24||10.7.0.9|
rubbish is forced, and a public one was published|203.0.113.9/24||203.0.113.9/24|203.0.113.9|203.0.113.9|
rubbish is forced, and there is a private one|203.0.113.9/24|10.7.0.9/24|203.0.113.9/24|x|203.0.113.9|10.7.0.9/24
END
! can_ipv6 || cat >>$T/addresses <<'END'
a unique local one|2001:db8::9/64 fd12:3456::9/64||none|none||fd12:3456::9/64
a unique local one elsewhere|203.0.113.9/24 2001:db8::9/64|fdff:3456::9/64|none|none|203.0.113.9 2001:db8::9|fdff:3456::9/64
a unique local one in front of a private IPv4 one|fd12:3456::9/64 10.7.0.9/24||none|none||10.7.0.9/24
neither unique local nor private: fc00::/8, fd::, link-local, public|fc00::9/64 fd::9/64 fe80::9/64 2001:db8::9/64||2001:db8::9/64|none|fc00::9 2001:db8::9|
END
while IFS='|' read -r text near elsewhere published force kubernetes want; do
	on x ip addr flush dev far
	on x ip addr flush dev near
	address_add x near $near
	address_add x far $elsewhere
	state_with_address "$published" "$force" $kubernetes
	on x ip route replace default dev near || bail 'no default route'
	publish </dev/null >$T/out || bail "$text: kilowg-publish fails"
	is "$text" "$want" "$(internal_ip_now)"
done <$T/addresses
if can_ipv6; then
	on x ip addr flush dev far
	on x ip addr flush dev near
	state_with_address none none fd12::7
	must on x ip addr add fd12::7/64 dev near preferred_lft 0
	publish >$T/out
	is 'not one that is deprecated' '' "$(internal_ip_now)"
	must on x ip addr add fd12::8/64 dev near
	publish >$T/out
	is 'but another' fd12::8/64 "$(internal_ip_now)"
fi
on x ip addr flush dev far
on x ip addr flush dev near
state_with_address none none
address_add x near 10.7.0.9/24
address_add x far 10.8.0.9/24
must on x ip route del default
must on x ip route add default dev near metric 200
must on x ip route add default dev far metric 100
publish >$T/out
is 'two default routes: that of the lower metric' 10.8.0.9/24 "$(internal_ip_now)"
on x ip addr flush dev far
on x ip addr flush dev near
must on x ip addr add 203.0.113.9/24 dev near
for name in docker0 br-0123456789ab kube-ipvs0 virbr0; do
	must on x ip link add $name type bridge
	must on x ip link set $name up
	must on x ip addr add 10.7.0.9/24 dev $name
	publish >$T/out
	is "not that of $name" '' "$(internal_ip_now)"
	publish --internal-ip 10.7.0.9 >$T/out
	is 'unless it is forced' 10.7.0.9/24 "$(internal_ip_now)"
	must on x ip link del $name
done
publish --internal-ip 203.0.113.9 >$T/out
is 'a public one that is an option' 203.0.113.9/24 "$(internal_ip_now)"
state_with_address 10.7.0.9/24 10.7.0.9/24
publish --internal-ip - >$T/out
is 'none by option' '' "$(internal_ip_now)"
finish
