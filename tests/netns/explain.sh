#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# "kilowg explain" and "kilowg check --reach" beside real packets: in a whole mesh, and in some
# in which not all reach each other, each pair is asked about and pinged.
#
# The topology is that of two_subnets in tests/lib.sh, and a printer behind c that is no node.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft jq
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
choose_backend

two_subnets
bridge_add lan3
node_add printer
plug c lan0 lan3 192.168.7.1/24
plug printer lan0 lan3 192.168.7.9/24
mesh_edit c '' 'allowed-location-ip = 192.168.7.9/32'
mesh_set encapsulation never
daemons a b c d

ends='a pod:a b pod:b c pod:c d pod:d laptop'
# END: where to ping from, and to.
host() { case $1 in pod:*) echo "${1#pod:}.pod" ;; *) echo "$1" ;; esac; }
address() {
	case $1 in
	a) echo 10.1.1.1 ;; b) echo 10.1.1.2 ;; c) echo 10.1.3.3 ;; d) echo 10.1.2.4 ;;
	pod:a) echo 10.2.1.2 ;; pod:b) echo 10.2.2.2 ;; pod:c) echo 10.2.3.2 ;; pod:d) echo 10.2.4.2 ;;
	laptop) echo 10.5.0.1 ;;
	printer) echo 192.168.7.9 ;;
	esac
}
passes() { on "$1" ping -c 1 -W 1 -q "$2" >/dev/null 2>&1; }

# FROM TO: does the answer go with the packets? Notes the pairs that do not reach each other.
compare() {
	local said=0
	kwg a explain "$1" "$(address "$2")" >"$T/said" 2>&1 || said=$?
	pairs=$((pairs + 1))
	case $said in
	0) wait_for 12 passes "$(host "$1")" "$(address "$2")" || wrong="$wrong $1>$2" ;;
	3)
		lost=$((lost + 1))
		! passes "$(host "$1")" "$(address "$2")" || wrong="$wrong $1>$2(passes)"
		;;
	*) wrong="$wrong $1>$2(status $said)" ;;
	esac
}

# TEXT: in the mesh as it is now.
compare_all() {
	local from to pairs=0 lost=0 wrong=''
	check "$1: apply" apply_all a b c d
	laptop_joins 10.2.0.0/16 10.1.0.0/16 192.168.7.0/24
	for from in $ends; do
		for to in $ends printer; do
			[ "$from" = "$to" ] || [ "${from#pod:}" = "${to#pod:}" ] || compare "$from" "$to"
		done
	done
	is "$1: $pairs pairs, $lost of them without a way: as the packets say" '' "$wrong"
	kwg a check --reach --json >"$T/reach.json"
	is "$1: check --reach finds those, too" "$lost" \
		"$(jq '[.first[] | select((.from + .to) | test("fd02:|peer laptop.*peer|10[.]4[.]") | not)] | length' "$T/reach.json")"
}

compare_all 'never encapsulated, and a router that knows no pods'
lost_some() { [ "$(jq .unreached "$T/reach.json")" -gt 0 ]; }
check 'some are not reached' lost_some
kwg b explain pod:b pod:d >"$T/out"
like 'the reason is said' "$T/out" '^      stops: the gateway 10\.1\.2\.4 is no neighbour of b'

if has_vxlan; then
	mesh_set encapsulation-protocol vxlan
	mesh_set encapsulation cross-subnet
	compare_all 'cross-subnet'
	expect 0 'all reach all' kwg a check --reach
	mesh_set encapsulation always
	compare_all 'always'
	expect 0 'all reach all, always' kwg a check --reach
else
	skip 'encapsulated' 'the kernel has no VXLAN'
fi

# Neither has an endpoint of the other.
mesh_set node-requirements minimal
mesh_edit a '' 'persistent-keepalive = 1'
mesh_edit c '' 'persistent-keepalive = 1'
mesh_edit a 'endpoint = 203.0.113.1:51820' ''
mesh_edit c 'endpoint = 203.0.113.3:51820' ''
expect 0 'no endpoints: a to c ends' kwg a check
for node in a b c d; do must kwg $node down --wait; done
compare_all 'no endpoint on either side'
expect 3 'and it says so' kwg a explain a c
like 'why' "$T/out" 'neither can begin a session'
finish
