#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# The timers of kilowg-userspace as they are, against wireguard-go: rekeying,
# keepalives, retries, expiry. All pairs of nodes at once, in about 200 s:
#
#	oN -- wg0 10.9.0.1 == 192.0.2.1 -- netN -- 192.0.2.2 == wg0 10.9.0.2 -- gN
#
# That all keys are erased after 540 s is tested with a virtual clock in tests/unit.
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg wireguard-go python3
need_tun
ours=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$ours" ] || cannot "kilowg-userspace is not built"

# NODE PROGRAM: starts it with wg0.
start() {
	WG_PROCESS_FOREGROUND=1 LOG_LEVEL=verbose nsenter --net="/run/netns/$1" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$1" "$2" wg0 >>"$T/$1.log" 2>&1 &
	echo $! >"$T/$1.pid"
}

# NODE NUMBER PEER OPTION...
configure() {
	local node="$1" number="$2" peer="$3"
	shift 3
	wait_for 30 daemon_answers "$node" wg0 || { show "$T/$node.log"; bail "$node does not start"; }
	must on "$node" wg set wg0 private-key "$T/keys/$node" listen-port 51820 \
		peer "$(public_key "$peer")" allowed-ips "10.9.0.$((3 - number))/32" \
		endpoint "192.0.2.$((3 - number)):51820" "$@"
	# Nothing but what the test sends may pass.
	on "$node" sysctl -qw net.ipv6.conf.wg0.disable_ipv6=1 2>"$T/sysctl" || true
	must on "$node" ip addr add "10.9.0.$number/24" dev wg0
	must on "$node" ip link set wg0 up
}

texts='trickle_ours:traffic, we began
trickle_other:traffic, the other began
passive:only receiving
silence:no answer
last_minute:only listening
expiry:an old session
persistent:persistent keepalive'

i=0
while IFS=: read -r scenario text; do
	i=$((i + 1))
	bridge_add "net$i"
	node_add "o$i" "g$i"
	plug "o$i" eth0 "net$i" 192.0.2.1/24
	plug "g$i" eth0 "net$i" 192.0.2.2/24
	public_key "o$i" >/dev/null
	public_key "g$i" >/dev/null
	start "o$i" "$ours"
	start "g$i" wireguard-go
	configure "g$i" 2 "o$i"
	# The keepalive begins when the link goes up.
	option=()
	[ "$scenario" != persistent ] || option=(persistent-keepalive 5)
	configure "o$i" 1 "g$i" "${option[@]}"
	python3 -u "${lib_dir}/netns/long.py" "$scenario" "o$i" "g$i" "$(cat "$T/g$i.pid")" \
		>"$T/$i.out" 2>&1 &
	echo $! >"$T/$i.pid"
done <<<"$texts"

i=0
while IFS=: read -r scenario text; do
	i=$((i + 1))
	wait "$(cat "$T/$i.pid")"
	is "$text: observed to the end" 0 $?
	while read -r line; do
		case $line in
		'ok '*) pass "$text: ${line#ok }" ;;
		'not ok '*) fail "$text: ${line#not ok }" ;;
		*) say "$line" ;;
		esac
	done <"$T/$i.out"
done <<<"$texts"
finish
