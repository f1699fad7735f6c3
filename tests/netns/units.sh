#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The units of etc/systemd as they are installed, with systemd as the first process of
# namespaces of its own: at the speed of this host, and with its kernel. What needs a
# kernel with WireGuard, or a boot, is in tests/vm/units.sh.

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/systemd.sh
. "$(dirname -- "$0")/../systemd.sh"

# ---- with systemd ----------------------------------------------------------

# NUMBER: the topology with one outside peer of this number replaces what is there.
topology() {
	{
		cat "$T/mesh.ini"
		printf '\n[peer]\nname = late\npublic-key = %s\nallowed-ip = 10.5.0.%s/32\n' "$(cat "$T/keys/p.pub")" "$1"
	} >/run/kilowg/topology.new
	mv /run/kilowg/topology.new /run/kilowg/topology.ini
}

has() { [ "$(ip route show proto 107 | awk '/^10\.5\.0\./ { print $1 }')" = "10.5.0.$1" ]; }
has_peer() { wg show kilo0 peers | grep -qF "$(cat "$T/keys/c.pub")"; }
main_pid() { systemctl show -P MainPID kilowg-userspace@kilo0; }
idle() {
	! systemctl list-jobs --no-legend 'kilowg*' | grep -q . &&
		! systemctl show -P ActiveState kilowg.service kilowg-changed.service kilowg-recheck.service | grep -q activating
}
state_is() { [ "$(systemctl show -P ActiveState "$1")" = "$2" ]; }
nothing_fails() { ! systemctl list-units --failed --no-legend --plain 'kilowg*' | grep .; }

crash() {
	local pid since
	pid=$(main_pid)
	since=$(cut -d ' ' -f 1 /proc/uptime)
	must kill -KILL "$pid"
	check 'kill -9 the data plane: the old one is gone' wait_for 30 gone kill -0 "$pid"
	check 'its configuration comes back by itself' wait_for 20 has_peer
	say "$(awk -v s="$since" '{ printf "%.2f", $1 - s }' /proc/uptime) s after kill"
	check 'in a new process' test "$(main_pid)" != "$pid"
	wait_for 20 idle
	expect 0 'no difference' kilowg diff
}

# Beside the path unit, which does no harm.
resident() {
	local pid
	expect 0 'start kilowg-watch.service' systemctl enable --now kilowg-watch
	is 'it is active' active "$(systemctl is-active kilowg-watch)"
	systemctl status --no-pager kilowg-watch >"$T/status"
	like 'its state is shown' "$T/status" 'As planned'
	must ip route flush proto 107
	check 'routes that are flushed come back' wait_for 5 has 50
	expect 0 'reload' systemctl reload kilowg-watch
	topology 51
	check 'a topology file that is renamed is applied' wait_for 20 has 51
	expect 0 'restart' systemctl restart kilowg-watch
	is 'it is active' active "$(systemctl is-active kilowg-watch)"
	crash
	is 'and not restarted by that' 0 "$(systemctl show -P NRestarts kilowg-watch)"
	pid=$(main_pid)
	expect 0 'stop' systemctl stop kilowg-watch
	check 'the network stays' has 51
	is 'so does the data plane' "$pid" "$(main_pid)"
	check 'the units come to rest' wait_for 20 idle
	journalctl -b --no-pager -o cat -u kilowg-watch >"$T/journal"
	like 'the journal says what was repaired, and by whom' "$T/journal" 'kilowg: repaired: .*routes removed by (ip \(pid|pid) [0-9]+'
}

# A peer in a namespace of its own, and numbered datagrams both ways, while the data plane is restarted.
other_host() {
	must ip netns add c
	must ip link set wan1 netns c
	must ip -n c link set lo up
	must ip -n c link set wan1 up
	must ip -n c addr add 203.0.113.3/24 dev wan1
	must ip netns exec c kilowg-userspace wgc
	must ip netns exec c wg set wgc private-key "$T/keys/c" listen-port 51820 \
		peer "$(cat "$T/keys/a.pub")" endpoint 203.0.113.1:51820 allowed-ips 10.4.0.1/32
	must ip -n c addr add 10.4.0.2/16 dev wgc
	must ip -n c link set wgc up
}
traffic() { python3 "$T/tests/netns/restart.py" "$@"; }
is_lost() { grep -q lost "$T/udp$1"; }
handshake() { wg show kilo0 latest-handshakes | grep -F "$(cat "$T/keys/c.pub")"; }
come() { awk '$1 == "kilo0:" { print $3 }' /proc/net/dev; }
more_than() { [ "$(come)" -gt "$1" ]; }
another_than() { [ "$(main_pid)" != "$1" ]; }

restarts() {
	local i=0 before pid last n
	other_host
	check 'packets flow' wait_for 20 ping -c 1 -W 1 10.4.0.2
	before=$(handshake)
	ip netns exec c python3 "$T/tests/netns/restart.py" receive 4002 >"$T/udp2" &
	traffic receive 4001 >"$T/udp1" &
	wait_for 20 test -s "$T/udp1" && wait_for 20 test -s "$T/udp2" || say 'nobody receives'
	traffic send 10.4.0.2 4002 "$T/stop" &
	ip netns exec c python3 "$T/tests/netns/restart.py" send 10.4.0.1 4001 "$T/stop" &
	pid=$(main_pid) last=$pid
	while [ $i -lt 10 ]; do
		i=$((i + 1))
		n=$(come)
		wait_for 20 more_than $((n + 20))
		must systemctl restart kilowg-userspace@kilo0
		[ "$(main_pid)" != "$last" ] || say "restart $i: the same process"
		last=$(main_pid)
	done
	check 'ten restarts: another process' test "$(main_pid)" != "$pid"
	pid=$(main_pid)
	expect 0 'reload' systemctl reload kilowg-userspace@kilo0
	check 'is a successor, which systemd knows' wait_for 20 another_than "$pid"
	check 'which is active' systemctl is-active kilowg-userspace@kilo0
	wait_for 20 idle
	n=$(come)
	wait_for 20 more_than $((n + 20))
	touch "$T/stop"
	wait_for 30 is_lost 1
	wait_for 30 is_lost 2
	say "$(tr '\n' ' ' <"$T/udp1") $(tr '\n' ' ' <"$T/udp2")"
	is 'no datagram was lost, to here' 'lost 0, twice 0' "$(grep lost "$T/udp1")"
	is 'nor to the other' 'lost 0, twice 0' "$(grep lost "$T/udp2")"
	is 'the session is the same' "$before" "$(handshake)"
	expect 0 'no difference' kilowg diff
	crash
	check 'after which there is nothing old' test "$(handshake)" != "$before"
	must systemctl restart kilowg-userspace@kilo0
	expect 0 'stop' systemctl stop kilowg-userspace@kilo0
	check 'the interface has gone' wait_for 20 gone ip link show kilo0
	expect 0 'start' systemctl start kilowg-userspace@kilo0
	check 'its configuration comes back by itself' wait_for 20 has_peer
	wait_for 20 idle
}

# The path unit is at work with the new file already when somebody asks for the mesh.
asked_for() {
	local i=0 missing=0
	while [ $i -lt 10 ]; do
		i=$((i + 1))
		must kilowg down --wait
		wait_for 20 idle
		topology $((100 + i))
		systemctl start kilowg.service && has $((100 + i)) || missing=$((missing + 1))
	done
	is 'down, a new file and a start at one moment, ten times: the mesh is there' 0 "$missing"
	must kilowg down --wait
	wait_for 20 idle
	topology 120
	check 'a new file alone does not ask for it' wait_for 20 is_skipped
	wait_for 20 idle
	check 'and does not bring it back' gone has 120
	expect 0 'whoever starts the service does' systemctl start kilowg.service
	check 'and it is there' has 120
	wait_for 20 idle
}
is_skipped() { journalctl -b --no-pager -o cat -u kilowg-changed | grep -q 'taken down'; }

retried() { systemctl show -P LastTriggerUSecMonotonic kilowg-retry.timer | grep -q '[^0]'; }
# Somebody else has a route that the mesh wants, and keeps it.
left_out_for_good() {
	must ip route add 10.5.0.130/32 dev wan0
	topology 130
	check 'a route of somebody else stays, and ours is left out: the unit fails' wait_for 20 state_is kilowg-changed.service failed
	is 'with 2' 2 "$(systemctl show -P ExecMainStatus kilowg-changed.service)"
	check 'the same is tried again' wait_for 30 retried
	is 'but the unit is not started again every few seconds' 0 "$(systemctl show -P NRestarts kilowg-changed.service)"
	check 'and has failed still' state_is kilowg-changed.service failed
	systemctl start kilowg.service
	is 'nor is kilowg.service' 'failed 2 0' \
		"$(systemctl show -P ActiveState -P ExecMainStatus -P NRestarts kilowg.service | sort -r | grep . | tr '\n' ' ' | sed 's/ $//')"
	must ip route del 10.5.0.130/32 dev wan0
	check 'when that route has gone, ours comes by itself' wait_for 60 has 130
	check 'nothing has failed any more' wait_for 20 nothing_fails
	check 'and nothing is tried any more' wait_for 20 state_is kilowg-retry.timer inactive
	wait_for 20 idle
}

with_systemd() {
	local i
	is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
	must ip link set lo up
	must ip link add wan0 type veth peer name wan1
	must ip link set wan0 up
	must ip addr add 203.0.113.1/24 dev wan0
	topology 1
	expect 0 'enable path and data plane' systemctl enable --now kilowg.path kilowg-userspace@kilo0
	check 'the mesh is there' wait_for 20 has_peer
	check 'the units come to rest' wait_for 20 idle
	expect 0 'no difference' kilowg diff
	# What the unit and the program forbid themselves does not forbid what makes it fast.
	[ ! -e /proc/sys/fs/aio-nr ] || check 'many packets with one call' grep -qF '[aio]' "/proc/$(main_pid)/maps"
	restarts
	crash
	crash
	topology 2
	check 'a topology file that is renamed is applied' wait_for 20 has 2
	i=3
	while [ $i -le 50 ]; do
		topology $i
		i=$((i + 1))
	done
	check 'of many renames the last one counts' wait_for 20 has 50
	check 'the units come to rest' wait_for 20 idle
	check 'still' has 50
	asked_for
	left_out_for_good
	topology 50
	wait_for 20 has 50
	wait_for 20 idle
	resident
	wait_for 20 nothing_fails
	is 'nothing has failed' '' "$(systemctl list-units --failed --no-legend --plain 'kilowg*')"
	[ "$tap_failed" = 0 ] || journalctl -b --no-pager -o short-monotonic -u 'kilowg*' | tail -n 60 | sed 's/^/#   /'
	printf '1..%d\n' "$tap_n"
}

[ "${KWG_TEST_SYSTEMD:-}" != yes ] || systemd_end with_systemd

# ---- outside ---------------------------------------------------------------

need wg python3
need_tun
need_systemd
enter "$@"
mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
public_key p >/dev/null
systemd_files
printf '[local]\nnode = a\nfirewall = none\ncreate-interface = no\ninterface-timeout = 60s\nprivate-key-file = %s\n' \
	"$T/keys/a" >"$os/etc/kilowg/local.ini"
systemd_run 240 netns/restart.py
