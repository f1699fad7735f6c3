#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The units of etc/systemd, stopped, disabled, reloaded and replaced, and the mesh taken down, at
# random moments of an apply: what was taken down stays so until somebody asks for it, and what
# was not is whole.
#
#     STOPS=N       how many times (default 12)
#     SEED=N        of the moments

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"

: "${STOPS:=12}" "${SEED:=1}"

# Made outside, where it takes no time.
make_peers() {
	local i=0
	while [ $i -lt 60 ]; do
		i=$((i + 1))
		printf '\n[peer]\nname = p%d\npublic-key = %s\nallowed-ip = 10.5.%d.NUMBER/32\n' \
			$i "$(wg genkey | wg pubkey)" $i
	done
}

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
# With a timer each second: it has come twice meanwhile.
left_alone() {
	local i=0
	while [ $i -lt 5 ]; do
		wait_for 120 idle || return 1
		sleep 0.5
		i=$((i + 1))
	done
}
no_mesh() {
	[ -z "$(ip route show proto 107)$(ip -o link show type wireguard)" ] || {
		ip route show proto 107 | head -n 3
		ip -o link show type wireguard
		return 1
	}
}
whole() { kilowg -q diff; }

# Between 0 and so many ms, the same with each SEED.
moment() { perl -e 'srand($ARGV[0]); select undef, undef, undef, rand() * $ARGV[1] / 1000' "$((SEED * 1000 + n))" "$1"; }

units='kilowg.path kilowg.timer kilowg.service'
begin_apply() {
	topology $((n % 200 + 1)) | replace /etc/kilowg/topology.ini
	systemctl start --no-block kilowg.service
	moment 1500
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

is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
guest_hosts
mkdir -p /etc/kilowg /var/lib/kilowg /run/systemd/system/kilowg.timer.d
guest_mesh a
(umask 077 && cp "$T/keys/a" /var/lib/kilowg/key)
printf '[local]\nnode = a\nfirewall = none\n' >/etc/kilowg/local.ini
topology 250 | replace /etc/kilowg/topology.ini
printf '[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=100ms\n' \
	>/run/systemd/system/kilowg.timer.d/test.conf
must systemctl daemon-reload
say "STOPS=$STOPS SEED=$SEED"

n=0
while [ $n -lt "$STOPS" ]; do
	n=$((n + 1))
	# shellcheck disable=SC2086
	must systemctl enable --now $units
	must systemctl start kilowg.service
	wait_for 120 whole || fail "$n: whoever starts the service asks for the mesh"
	begin_apply
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
finish
