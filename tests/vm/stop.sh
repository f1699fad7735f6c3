#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Units stopped and replaced, and the mesh taken down, at random moments of an apply
# (tests/moments.sh), with the kernel's WireGuard and systemd as the first process of a guest.
# tests/netns/stop.sh does the same many times as fast.
#
#     STOPS=N       how many times (default 12)
#     SEED=N        of the moments

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"
# shellcheck source=tests/moments.sh
. "$(dirname -- "$0")/../moments.sh"

: "${STOPS:=12}" "${SEED:=1}"

# ---- outside ---------------------------------------------------------------

if [ "${KWG_TEST_IN_VM:-}" != yes ]; then
	[ "${KWG_VM_MOMENTS:-yes}" = yes ] || cannot "it takes many minutes; \"make check-vm\" has it"
	need make wg
	need_vm --systemd
	dir=$(mktemp -d) || bail 'mktemp fails'
	trap 'rm -rf "$dir"' EXIT
	trap 'exit 143' INT TERM HUP
	top_builddir=${top_builddir:-${KILOWG%/*}}
	export top_builddir STOPS SEED
	(unset MAKEFLAGS MFLAGS MAKELEVEL && make -s -C "$top_builddir" install DESTDIR="$dir/root") \
		>"$dir/log" 2>&1 || { show "$dir/log"; bail 'make install fails'; }
	[ -n "$(find "$dir/root" -name kilowg.path)" ] || cannot 'configured without units'
	make_peers >"$dir/root/peers.ini"
	KWG_TEST_IN_VM=yes run_in_vm -e STOPS -e SEED --systemd --timeout $((900 + STOPS * 120)) \
		--overlay "$dir/root" -- "$vm_dir/stop.sh"
	exit
fi

# ---- inside ----------------------------------------------------------------

need wg systemctl perl
mkdir -p "$T/keys" "$T/nodes"
backend=kernel
KILOWG=$(command -v kilowg)

no_mesh() {
	[ -z "$(ip route show proto 107)$(ip -o link show type wireguard)" ] || {
		ip route show proto 107 | head -n 3
		ip -o link show type wireguard
		return 1
	}
}
is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
guest_hosts
mkdir -p /etc/kilowg /var/lib/kilowg
guest_mesh a
(umask 077 && cp "$T/keys/a" /var/lib/kilowg/key)
printf '[local]\nnode = a\nfirewall = none\n' >/etc/kilowg/local.ini
topology 250 | replace /etc/kilowg/topology.ini
fast_timer
at_random_moments 1500
finish
