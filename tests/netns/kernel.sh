#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# apply.sh with backend = kernel, and what only that has: kilowg makes the interface.
#
#   pod 10.2.1.2                      pod 10.2.3.2
#        |                                 |
#        a ------ wan 203.0.113.0/24 ----- c
#            .1                        .3

# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
has_kernel_wireguard || cannot 'the kernel has no WireGuard'
backend=kernel
three_nodes
down_state a >"$T/before"

expect 3 'diff on a fresh host' kwg a diff
like 'the link is made first' "$T/out" '^\+ link kilo0 type wireguard$'
expect 0 'apply on a' kwg a apply
expect 0 'apply on c' kwg c apply
check 'packets flow' reaches a 10.2.3.2
check 'and back' reaches c 10.2.1.2
run on a ip -d link show kilo0
like 'the link is of the kernel and carries our mark' "$T/out" 'wireguard' 'alias kilowg mesh=kilo'
expect 0 'diff: no difference' kwg a diff
if can_strace; then
	run traced_kwg "$T/trace" a apply
	mutations "$T/trace" >"$T/sent"
	same 'second apply sends no change' /dev/null "$T/sent"
	mesh_edit p 'endpoint = 203.0.113.101:51820' 'endpoint = 203.0.113.102:51820'
	run traced_kwg "$T/trace" a apply
	is 'one changed peer is one change' 1 "$(count_mutations "$T/trace")"
else
	skip 'second apply sends no change' 'strace does not work here'
fi

# More peers than one netlink message takes.
head -c 19800 /dev/urandom | base64 -w 44 | awk '{
	sub(/..$/, "A=")	# 32 bytes, not 33
	printf "\n[peer]\nname = many-%d\npublic-key = %s\n", NR, $0
	printf "allowed-ip = 10.%d.%d.0/24, fd00:5:%x::/48\n", 100 + int(NR / 200), NR % 200, NR
}' >>"$T/mesh.ini"
expect 0 'apply with 600 peers' kwg a apply
is 'all of them are there, and c, p and q' 603 "$(on a wg show kilo0 peers | grep -c .)"
is 'with both allowed IPs' 600 "$(on a wg show kilo0 allowed-ips | grep -c 'fd00:5:')"
expect 0 'diff: no difference' kwg a diff

expect 0 'down' kwg a down
down_state a >"$T/now"
same 'nothing is left' "$T/before" "$T/now"
finish
