#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# A link of kilowg-userspace is as silent as one of the kernel's WireGuard: it has no IPv6
# link-local address, and says nothing before somebody has something to say.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg
need_tun
daemon=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$daemon" ] || cannot "kilowg-userspace is not built"

# It forwards, as a node does, which has all routers' groups joined.
node_add a
public_key a >/dev/null
public_key b >/dev/null
daemon_start a wg0
must on a wg set wg0 private-key $T/keys/a peer "$(public_key b)" allowed-ips 0.0.0.0/0,::/0
must on a ip link set wg0 up
# shellcheck disable=SC2086  # NODE INTERFACE
is 'no multicast' '' "$(on a ip link show wg0 | grep MULTICAST)"
if can_ipv6; then
	is 'no IPv6 address' '' "$(on a ip -6 -o addr show dev wg0)"
	address_add a wg0 fd00::1/64
	is 'one alone that is given' 1 "$(on a ip -6 -o addr show dev wg0 | grep -c .)"
else
	skip 'no IPv6 address' 'this kernel has no IPv6'
	skip 'one alone that is given' 'this kernel has no IPv6'
fi
# What would be sent comes within a second or two: reports, and solicitations of routers.
must on a ip addr add 10.9.0.1/24 dev wg0
on a ping -c 1 -W 3 -q 10.9.0.2 >/dev/null 2>&1
is 'nothing was sent but one ping' 1 "$(on a ip -s link show wg0 | awk '/TX:/ { getline; print $2 }')"
daemon_stop TERM a

# ---- wg-quick saves what the user has set, and nothing else ----

if command -v wg-quick >/dev/null; then
	printf '[Interface]\nPrivateKey = %s\nAddress = 10.9.0.1/24\nSaveConfig = true\n' "$(cat $T/keys/a)" >$T/wg7.conf
	chmod 600 $T/wg7.conf
	run on a env WG_QUICK_USERSPACE_IMPLEMENTATION="$daemon" wg-quick up $T/wg7.conf
	if on a ip link show wg7 >/dev/null 2>&1; then
		run on a wg-quick down $T/wg7.conf
		is 'wg-quick saves the address' 'Address = 10.9.0.1/24' "$(grep Address $T/wg7.conf)"
	else
		skip 'wg-quick saves the address' "wg-quick does not work here: $(tail -n 1 "$T/err")"
	fi
else
	skip 'wg-quick saves the address' 'there is no wg-quick'
fi
finish
