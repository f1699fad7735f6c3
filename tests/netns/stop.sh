#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Units stopped and replaced, and the mesh taken down, at random moments of an apply (tests/moments.sh),
# with systemd in namespaces and the userspace data plane; tests/vm/stop.sh has the kernel's, and
# reboots.

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/systemd.sh
. "$(dirname -- "$0")/../systemd.sh"
# shellcheck source=tests/moments.sh
. "$(dirname -- "$0")/../moments.sh"

no_mesh() {
	[ -z "$(ip route show proto 107)$(ip -o link show dev kilo0 2>/dev/null)" ] || {
		ip route show proto 107 | head -n 3
		ip -o link show dev kilo0
		return 1
	}
}

with_systemd() {
	is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
	KILOWG=$(command -v kilowg)
	read -r STOPS SEED <"$T/stops"
	must ip link set lo up
	must ip link add wan0 type veth peer name wan1
	must ip link set wan0 up
	must ip addr add 203.0.113.1/24 dev wan0
	topology 250 | replace /etc/kilowg/topology.ini
	fast_timer
	at_random_moments 300
	printf '1..%d\n' "$tap_n"
}

[ "${KWG_TEST_SYSTEMD:-}" != yes ] || systemd_end with_systemd

need wg perl
need_tun
need_systemd
enter "$@"
echo "${STOPS:-12} ${SEED:-1}" >"$T/stops"
mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
systemd_files
make_peers >"$os/peers.ini"
printf '[local]\nnode = a\nfirewall = none\nbackend = userspace\nprivate-key-file = %s\n' "$T/keys/a" >"$os/etc/kilowg/local.ini"
systemd_run $((60 + ${STOPS:-12} * 60)) moments.sh
