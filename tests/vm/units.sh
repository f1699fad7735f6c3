#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The units of etc/systemd as they are installed, with systemd as the first
# process: path, timer, userspace WireGuard; a second boot with what the first has
# enabled; a third with a system extension.

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"

# ---- outside ---------------------------------------------------------------

if [ "${KWG_TEST_IN_VM:-}" != yes ]; then
	need make tar base64
	need_vm --systemd --accel uml
	install_for_vm
	boots='first second'
	if command -v systemd-sysext >/dev/null; then
		boots="$boots sysext"
		"$lib_dir/../contrib/immutable/make-sysext" --build "$top_builddir" "$dir/ext/var/lib/extensions" \
			>"$dir/log" 2>&1 || { show "$dir/log"; bail 'make-sysext fails'; }
	fi
	boots=${KWG_TEST_BOOTS:-$boots}
	# shellcheck disable=SC2086  # words
	for b in $boots; do
		case $b in
		first) boot_first ;;
		second) boot_second ;;
		sysext)
			boot sysext "$dir/ext" ;;
		esac
	done | merge_tap $boots
	exit
fi

# ---- inside ----------------------------------------------------------------

need wg ping systemctl flock perl
mkdir -p "$T/keys" "$T/nodes"
backend=kernel
[ "$KWG_TEST_BOOT" = sysext ] || KILOWG=$(command -v kilowg)

# LINE...: of [local] of a, beside those that are always there. /run/kilowg hides /etc/kilowg.
a_local() {
	{
		printf '[local]\nnode = a\nfirewall = none\n'
		printf '%s\n' "$@"
	} | replace /etc/kilowg/local.ini
}

# NUMBER: the whole mesh, with one outside peer of this number.
topology() {
	cat "$T/mesh.ini"
	printf '\n[peer]\nname = late\npublic-key = %s\nallowed-ip = 10.5.0.%s/32\n' "$(public_key late)" "$1"
}

# NUMBER: is that peer what the kernel has, and no other?
has() { [ "$(ip route show proto 107 | awk '/^10\.5\.0\./ { print $1 }')" = "10.5.0.$1" ]; }
becomes() { wait_for 60 has "$1"; }

nothing_fails() {
	local failed_units
	failed_units=$(systemctl list-units --failed --no-legend --plain 'kilowg*')
	[ -z "$failed_units" ] || { echo "$failed_units"; return 1; }
}

# Nothing is at work, or about to be.
idle() {
	state_is kilowg.service inactive failed && state_is kilowg-changed.service inactive failed &&
		state_is kilowg-recheck.service inactive failed &&
		! systemctl list-jobs --no-legend 'kilowg*' | grep -q .
}
settled() { wait_for 120 idle || { fail 'the units come to rest'; systemctl list-jobs --no-legend | sed 's/^/#   /'; }; }

main_pid() { systemctl show -P MainPID kilowg-userspace@kilo0; }
has_peer() { wg show kilo0 peers | grep -qF "$(cat "$T/keys/c.pub")"; }
waits_for_lock() { grep -q -- '->' /proc/locks; }

# What the journal has of our units, if a point has failed.
logs() { [ "$tap_failed" = "${1:-0}" ] || journalctl -b --no-pager -o short-monotonic -u 'kilowg*' | tail -n 80 | sed 's/^/#   /'; }

test_path() {
	local i
	expect 0 'enable' systemctl enable --now kilowg.service kilowg.path
	check 'without a file nothing happens, and nothing fails' nothing_fails
	a_local
	mkdir -p /run/kilowg
	topology 1 | replace /run/kilowg/topology.ini
	check 'a topology file that comes is applied' becomes 1
	check 'packets flow' wait_for 60 ping -c 1 -W 1 -q 10.2.3.1
	settled
	topology 2 | replace /run/kilowg/topology.ini
	check 'one that is renamed over it, too' becomes 2
	settled
	topology 3 >/run/kilowg/topology.ini
	check 'one that is written in place, too' becomes 3
	settled
	a_local 'route-protocol = 107' 'mtu = 1400'
	check 'one in /etc/kilowg, too' wait_for 60 grep -qx 1400 /sys/class/net/kilo0/mtu
	settled

	# The service has read 4 and waits; the path unit is blind for 5.
	(
		flock 9
		topology 4 | replace /run/kilowg/topology.ini
		wait_for 60 waits_for_lock
		topology 5 | replace /run/kilowg/topology.ini
	) 9>>/run/kilowg/kilo.lock
	check 'a change while the service runs is not lost' becomes 5
	settled

	say 'broken file'
	echo '[mesh' | replace /run/kilowg/topology.ini
	check 'a broken file: the service fails' wait_for 60 state_is kilowg-changed.service failed
	check 'and what was, stays' has 5
	settled
	topology 6 | replace /run/kilowg/topology.ini
	check 'a good one is applied again' becomes 6
	settled
	check 'and nothing is failed any more' nothing_fails

	topology 1 >"$T/t1"
	i=1
	while [ $i -le 50 ]; do
		sed "s|= 10.5.0.1/|= 10.5.0.$i/|" "$T/t1" >"/run/kilowg/new.$i"
		i=$((i + 1))
	done
	say "50 renames, from $(cut -d ' ' -f 1 /proc/uptime)"
	# A program of the shell takes too long to start here.
	must perl -e 'for (1 .. 50) { rename "/run/kilowg/new.$_", "/run/kilowg/topology.ini" or die;
		select undef, undef, undef, 0.04 }'
	say "to $(cut -d ' ' -f 1 /proc/uptime)"
	check 'after 50 renames in two seconds the last one counts' becomes 50
	settled
	check 'still' has 50
	check 'no unit has given up' nothing_fails
	check 'the path unit waits for more' test "$(systemctl show -P SubState kilowg.path)" = waiting
	expect 0 'no difference' kilowg diff
	logs
}

test_timer() {
	mkdir -p /run/systemd/system/kilowg.timer.d
	printf '[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n' \
		>/run/systemd/system/kilowg.timer.d/test.conf
	must systemctl daemon-reload
	must ip route del 10.5.0.50 dev kilo0
	expect 0 'enable the timer' systemctl enable --now kilowg.timer
	check 'the timer repairs' becomes 50
	must rm -r /run/systemd/system/kilowg.timer.d
	must systemctl daemon-reload
	must systemctl stop kilowg.timer
	settled
	expect 0 'systemctl stop kilowg' systemctl stop kilowg.service
	check 'takes nothing away' has 50
}

# kilowg starts the daemon itself, from within the unit.
test_started_by_apply() {
	must systemctl stop kilowg.path
	must kilowg down
	a_local 'backend = userspace'
	expect 0 'backend = userspace: systemctl start' systemctl start kilowg.service
	check 'packets flow' wait_for 60 ping -c 1 -W 1 -q 10.2.3.1
	settled
	check 'the service has ended, the daemon has not' pgrep -x kilowg-userspac
	check 'packets still flow' wait_for 60 ping -c 1 -W 1 -q 10.2.3.1
	expect 0 'no difference' kilowg diff
	must kilowg down
	logs "$failed_before"
}

# SECONDS: what systemd did since then, and how long it took by its own clock.
recovery() {
	journalctl -b --no-pager -o short-monotonic -u 'kilowg*' | tr -d '[]' | awk -v since="$1" '
		$1 < since { next }
		/kilowg-userspace@kilo0.service: Main process exited/ { down = $1 }
		/Started kilowg-userspace@kilo0/ { up = $1 }
		/Finished kilowg.service/ && !done { done = $1 }
		END { printf "# %.2f s from its end to ready, %.2f s to configured\n", up - down, done - down }'
}

test_data_plane() {
	local pid since
	a_local 'create-interface = no' 'interface-timeout = 120s'
	must systemctl start --no-block kilowg.service
	check 'create-interface = no: kilowg waits' wait_for 60 state_is kilowg.service activating
	expect 0 'systemctl enable --now kilowg-userspace@kilo0' systemctl enable --now kilowg-userspace@kilo0
	check 'and goes on' wait_for 120 has_peer
	check 'packets flow' wait_for 60 ping -c 1 -W 1 -q 10.2.3.1
	settled
	pid=$(main_pid)
	since=$(cut -d ' ' -f 1 /proc/uptime)
	must kill -KILL "$pid"
	check 'kill -9 the daemon: its configuration comes back by itself' wait_for 120 has_peer
	say "seen $(awk -v s="$since" '{ printf "%.2f", $1 - s }' /proc/uptime) s after kill"
	settled
	recovery "$since"
	check 'in a new process' test "$(main_pid)" != "$pid"
	check 'packets flow' wait_for 60 ping -c 1 -W 1 -q 10.2.3.1
	settled
	expect 0 'no difference' kilowg diff

	# The crash in the middle of an apply that has started already.
	pid=$(main_pid)
	(
		flock 9
		must systemctl start --no-block kilowg.service
		wait_for 60 waits_for_lock
		must kill -KILL "$pid"
	) 9>>/run/kilowg/kilo.lock
	check 'also if it dies while kilowg is at work' wait_for 120 has_peer
	settled
	expect 0 'no difference' kilowg diff

	expect 0 'systemctl stop' systemctl stop kilowg-userspace@kilo0
	check 'the interface is gone' gone ip link show kilo0
	# systemd may have kept all for a restart, so the name of the socket stays (kilowg-userspace(8)).
	check 'nobody answers any more' gone wg show kilo0
	check 'the folder stays' test -d /run/wireguard
	expect 0 'systemctl start' systemctl start kilowg-userspace@kilo0
	check 'and the configuration is back' wait_for 120 has_peer
	settled
	expect 0 'systemctl restart' systemctl restart kilowg-userspace@kilo0
	check 'and the configuration is back' wait_for 120 has_peer
	settled
	check 'nothing has failed' nothing_fails
	logs "$failed_before"
}

first_boot() {
	is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
	guest_hosts
	mkdir -p /etc/kilowg /var/lib/kilowg
	guest_mesh a
	(umask 077 && cp "$T/keys/a" /var/lib/kilowg/key)
	apply_on_c
	test_path
	test_timer
	failed_before=$tap_failed
	test_started_by_apply
	failed_before=$tap_failed
	test_data_plane
	# For the next boot.
	topology 60 | replace /etc/kilowg/topology.ini
	cp "$T/keys/c" "$T/keys/c.pub" /var/lib/kilowg
	print_state
}

second_boot() {
	is 'booted to multi-user.target' multi-user.target "$(sed 's/.*systemd.unit=//; s/ .*//' /proc/cmdline)"
	check 'the last configuration is there' becomes 60
	settled
	check 'nothing has failed' nothing_fails
	check 'with the data plane' state_is kilowg-userspace@kilo0 active
	check 'and the path unit' state_is kilowg.path active
	check 'and the timer' state_is kilowg.timer active
	cp /var/lib/kilowg/c /var/lib/kilowg/c.pub "$T/keys"
	cp /etc/kilowg/topology.ini "$T/mesh.ini"
	guest_hosts
	apply_on_c
	check 'packets flow' wait_for 60 ping -c 1 -W 1 -q 10.2.3.1
	say "systemd: $(systemctl show -P ActiveEnterTimestampMonotonic kilowg-userspace@kilo0) data plane ready, $(systemctl show -P InactiveEnterTimestampMonotonic kilowg.service) kilowg done (us)"
	logs
}

sysext_boot() {
	check 'kilowg is not installed' gone command -v kilowg
	expect 0 'systemd-sysext merge' systemd-sysext merge
	show "$T/err"
	check 'now it is' command -v kilowg
	check '/usr cannot be written' gone touch /usr/x
	must systemctl daemon-reload
	mkdir -p /etc/kilowg
	guest_mesh vm
	mkdir -p /var/lib/kilowg
	(umask 077 && cp "$T/keys/vm" /var/lib/kilowg/key)
	cp "$T/mesh.ini" /etc/kilowg
	expect 0 'systemctl start' systemctl start kilowg.service kilowg.path kilowg.timer
	check 'the interface is there' has_peer
	expect 0 'no difference' kilowg diff
	settled
	expect 0 'down' kilowg down
	logs
}

"${KWG_TEST_BOOT}_boot"
finish
