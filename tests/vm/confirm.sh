#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# apply --confirm where systemd runs: by a transient timer, with the session that it came from
# killed; and with the host started anew while it waits.

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"

if [ "${KWG_TEST_IN_VM:-}" != yes ]; then
	[ "${KWG_VM_MOMENTS:-yes}" = yes ] || cannot "it takes many minutes; \"make check-vm\" has it"
	need make tar base64
	need_vm --systemd --accel "${KWG_TEST_ACCEL:-uml}"
	install_for_vm
	{ boot_first; boot_second; } | merge_tap first second
	exit
fi

need wg systemctl systemd-run
mkdir -p "$T/keys" "$T/nodes"
backend=kernel
KILOWG=$(command -v kilowg)

# NUMBER: the whole mesh, with one outside peer of this number.
topology() {
	cat "$T/mesh.ini"
	printf '\n[peer]\nname = late\npublic-key = %s\nallowed-ip = 10.5.0.%s/32\n' "$(cat /etc/kilowg/late.pub)" "$1"
}
has() { [ "$(ip route show proto 107 | awk '/^10\.5\.0\./ { print $1 }')" = "10.5.0.$1" ]; }
record=/run/kilowg/kilo.confirm
waits() { grep -qs '^state waits' "$record" && grep -q '^running 0' "$record"; }
is_held() { grep -qs '^state held' "$record"; }
timer() { sed -n 's/^keeper timer //p' "$record"; }
gone_timer() { [ -z "$(systemctl list-units --all --no-legend --plain "kilowg-confirm-*.timer")" ]; }
# kilowg-recheck.service applies once more, and would take the next change away from the test.
rests() { [ -z "$(systemctl list-jobs --no-legend)" ] && ! state_is kilowg-recheck.service activating; }
settled() { wait_for 120 rests || fail 'the units come to rest'; }
fails_with() { [ "$(systemctl show -P ExecMainStatus kilowg.service)" = "$1" ] && state_is kilowg.service failed; }

first_boot() {
	guest_hosts
	mkdir -p /etc/kilowg /var/lib/kilowg
	guest_mesh a
	(umask 077 && cp "$T/keys/a" /var/lib/kilowg/key)
	public_key late >/etc/kilowg/late.pub
	printf '[local]\nnode = a\nfirewall = none\n' >/etc/kilowg/local.ini
	topology 1 | replace /etc/kilowg/topology.ini
	expect 0 'kilowg.service' systemctl start kilowg.service
	settled
	check 'the mesh is there' has 1
	run kilowg history
	like 'the history says which unit it was' "$T/out" '^\* 1 .* applied .* by kilowg.service, root :'

	topology 2 | replace /etc/kilowg/topology.ini
	# As sshd has it: a session of its own, which goes as a whole.
	systemd-run --quiet --scope --unit=session sh -c 'kilowg apply --confirm 30 >/dev/null 2>&1; exec sleep 10000' &
	check 'a session applies' wait_for 60 waits
	check 'by a timer of systemd' systemctl is-active --quiet "$(timer)"
	run kilowg status
	like 'status says which, and until when' "$T/out" 'until [0-9-]+ [0-9:]+, [0-9]+ s more, else timer kilowg-confirm-[0-9a-f]+\.timer'
	systemctl kill --signal=KILL session.scope
	check 'the session is killed' wait_for 20 gone systemctl is-active --quiet session.scope
	check 'the change is there' has 2
	must date -s '+1 day'
	check 'the clock is set: it waits' waits
	check 'it goes back' wait_for 120 is_held
	check 'to what was before' has 1
	check 'the timer goes' wait_for 30 gone_timer
	systemctl start kilowg.service
	check 'the unit does not apply it again' has 1
	check 'and fails with 3' wait_for 30 fails_with 3
	settled

	expect 0 'apply --confirm' kilowg apply --confirm 600
	check 'the change is there' has 2
	systemctl start kilowg.service
	is 'the unit is refused with 4' 4 "$(systemctl show -P ExecMainStatus kilowg.service)"
	expect 0 'confirm' kilowg confirm
	check 'the timer goes' wait_for 30 gone_timer
	well() { state_is kilowg.service inactive; }
	check 'and the unit comes right by itself' wait_for 60 well
	settled

	# Stopped by somebody.
	topology 3 | replace /etc/kilowg/topology.ini
	expect 0 'apply --confirm' kilowg apply --confirm 600
	must systemctl stop "$(timer)"
	run kilowg status
	like 'the timer is stopped: status says so' "$T/out" 'nothing will roll back'
	expect 0 'rollback' kilowg rollback
	check 'what was before' has 2

	# Nobody confirms it before the next boot.
	topology 4 | replace /etc/kilowg/topology.ini
	expect 0 'apply --confirm' kilowg apply --confirm 6000
	check 'the change is there' has 4
	cp "$T/keys/c" "$T/keys/c.pub" /var/lib/kilowg
	must systemctl enable kilowg.service
	print_state
}

second_boot() {
	is 'booted to multi-user.target' multi-user.target "$(sed 's/.*systemd.unit=//; s/ .*//' /proc/cmdline)"
	check 'the last confirmed configuration is there' wait_for 120 has 2
	check 'the unit says so' wait_for 60 fails_with 3
	check 'in the journal, too' sh -c 'journalctl -b --no-pager -u kilowg.service | grep -q "not applied: .*it was not confirmed in time"'
	expect 3 'it is too late to confirm' kilowg confirm
	run kilowg history
	like 'the history says what became of it' "$T/out" '^  1 .* undone: it was not confirmed in time ' '^\* [2-9] '
	expect 0 'apply --supersede' kilowg apply --supersede
	check 'then the files count' has 4
}

"${KWG_TEST_BOOT}_boot"
finish
