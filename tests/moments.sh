# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC3043
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The units of etc/systemd, stopped, disabled, reloaded and replaced, and the mesh taken down, at
# random moments of an apply: what was taken down stays so until somebody asks for it, and what
# was not is whole. For tests/netns/stop.sh and tests/vm/stop.sh, inside; after lib.sh.
#
#     STOPS=N       how many times
#     SEED=N        of the moments
#     no_mesh       is to say whether there is nothing of the mesh

# Made outside, where it takes no time.
make_peers() {
	local i=0
	while [ $i -lt 60 ]; do
		i=$((i + 1))
		printf '\n[peer]\nname = p%d\npublic-key = %s\nallowed-ip = 10.5.%d.NUMBER/32\n' \
			$i "$(wg genkey | wg pubkey)" $i
	done
}

replace() {
	cat >"$1.new" && mv "$1.new" "$1"
}

# NUMBER: a mesh whose apply takes a moment: each of the peers has this number.
topology() {
	cat "$T/mesh.ini"
	sed "s/NUMBER/$1/" /peers.ini
}

# All at one moment: with a timer each second there may be no time for several questions.
idle() {
	systemctl show -p ActiveState -p Job kilowg.service kilowg-changed.service kilowg-recheck.service >"$T/states" &&
		! grep -Eq '^ActiveState=(active|activating|deactivating|reloading)|^Job=[1-9]' "$T/states"
}
rechecks() { systemctl show -P InactiveEnterTimestampMonotonic kilowg-recheck.service; }
rechecked_since() { [ "$(rechecks)" != "$1" ]; }
# With the timer, where it is active: it has come twice meanwhile.
left_alone() {
	local i=0 last
	if ! systemctl is-active -q kilowg.timer; then
		wait_for 120 idle
		return
	fi
	while [ $i -lt 2 ]; do
		i=$((i + 1))
		last=$(rechecks)
		wait_for 120 rechecked_since "$last" || return 1
	done
	must systemctl stop kilowg.timer
	wait_for 120 idle
}
whole() { kilowg -q diff; }

# Between 0 and so many ms, the same with each SEED.
moment() { perl -e 'srand($ARGV[0]); select undef, undef, undef, rand() * $ARGV[1] / 1000' "$((SEED * 1000 + n))" "$1"; }

units='kilowg.path kilowg.timer kilowg.service'
started() { systemctl show -P ExecMainStartTimestampMonotonic kilowg.service; }
# Has the apply that was asked for then begun? Before, what is taken down is not what it is to bring.
has_begun() {
	local pid
	[ "$(started)" != "$1" ] || return 1
	pid=$(systemctl show -P MainPID kilowg.service)
	[ "$pid" = 0 ] || grep -q "^$pid " /run/kilowg/kilo.lock
}
# LONGEST: ms
begin_apply() {
	local before
	topology $((n % 200 + 1)) | replace /etc/kilowg/topology.ini
	before=$(started)
	systemctl start --no-block kilowg.service
	wait_for 60 has_begun "$before" || say "$n: the service does not start"
	moment "$1"
}

# What somebody does at that moment.
take_down_as_in_the_manual() {
	# shellcheck disable=SC2086  # words
	systemctl disable --now $units kilowg-watch && kilowg down --wait
}
stop_and_take_down() { systemctl stop kilowg.service && kilowg down --wait; }
take_down() { kilowg down --wait; }
reload_the_manager() { systemctl daemon-reload; }
upgrade() {
	# As packages do it: new files over the old ones, the manager reads its units again.
	cp "$KILOWG" "$KILOWG.new" && mv "$KILOWG.new" "$KILOWG" && systemctl daemon-reload &&
		systemctl start --no-block kilowg.service
}
stop_only() { systemctl stop kilowg.service; }

# With a timer that comes again after a second.
fast_timer() {
	must mkdir -p /run/systemd/system/kilowg.timer.d
	printf '[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n' \
		>/run/systemd/system/kilowg.timer.d/test.conf
	must systemctl daemon-reload
}

# LONGEST: of an apply, in ms
at_random_moments() {
	say "STOPS=$STOPS SEED=$SEED"
	n=0
	while [ $n -lt "$STOPS" ]; do
		n=$((n + 1))
		# shellcheck disable=SC2086
		must systemctl enable --now $units
		must systemctl start kilowg.service
		wait_for 120 whole || fail "$n: whoever starts the service asks for the mesh"
		begin_apply "$1"
		case $((n % 6)) in
		1) what=take_down_as_in_the_manual ;;
		2) what=take_down ;;
		3) what=stop_and_take_down ;;
		4) what=reload_the_manager ;;
		5) what=upgrade ;;
		0) what=stop_only ;;
		esac
		run $what
		is "$n: $what" 0 "$status"
		[ "$status" = 0 ] || show "$T/err"
		check "$n: the units come to rest" left_alone
		case $what in
		*take_down*) check "$n: there is no mesh, and none comes" no_mesh ;;
		*) check "$n: the mesh is whole" wait_for 60 whole ;;
		esac
	done
	[ "$tap_failed" = 0 ] || journalctl -b --no-pager -o short-monotonic -u 'kilowg*' | tail -n 60 | sed 's/^/#   /'
}
