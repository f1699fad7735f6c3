#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Random walks through all that a file can say, with five nodes, step by step:
#
#     a -- lan1 -- b      c -- lan3 -- e
#           |
#         router          and all five on wan, each with a pod behind it
#           |
#     d -- lan2
#
# After each step this has to be true: apply ends with 0, diff is empty, and the host is
# as a first apply on a clean host would have made it. If apply fails, all is as it was.
# Down leads back to the beginning. What belongs to others stays, pods reach each other,
# and packets whose way does not change are not lost.
#
#     SEED=N WALKS=N STEPS=N     the first of the seeds, how many, and how long
#     KEEP_GOING=yes             after a failure set the hosts right, and go on
#
# walk.sh BEFORE.ini AFTER.ini NODE does that with two files, as a failure prints them.

# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping bridge python3
can_ipv6 || cannot 'there is no IPv6 here'
has_vxlan || cannot 'the kernel has no VXLAN'
choose_backend
[ "$backend" != external ] || cannot 'there is neither kernel WireGuard nor kilowg-userspace'

: "${SEED:=1}" "${WALKS:=3}" "${STEPS:=30}"
[ $# -gt 0 ] || say "SEED=$SEED WALKS=$WALKS STEPS=$STEPS"

# Prints what of these this machine has.
has() {
	! can_strace || echo strace
	! nft list ruleset >/dev/null 2>&1 || echo nft
	! iptables-save >/dev/null 2>&1 || ! ip6tables-save >/dev/null 2>&1 || echo iptables
}

# Prints the values of keys that cannot be here. Where there is one backend, it is not named.
lacking() {
	has_ipip || echo ipip
	[ "$backend" = kernel ] && [ -n "${KILOWG_USERSPACE:-}" ] && can_tun || echo userspace
	[ "$backend" = kernel ] || echo kernel
	case $HAS in *iptables*) ;; *) echo iptables ;; esac
	! grep -q 'built without libjansson' "$KILOWG" || echo cni
}

[ "$backend" = userspace ] || ! KILOWG_USERSPACE=$(own_userspace) || export KILOWG_USERSPACE
HAS=$(has)
LACKING=$(lacking)
PYTHONDONTWRITEBYTECODE=yes
export SEED WALKS STEPS HAS LACKING KILOWG T PYTHONDONTWRITEBYTECODE
# Not in place of the shell, which as the first process sees to the daemons that end.
python3 -u "$lib_dir/netns/walk.py" "$@"
