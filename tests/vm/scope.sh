#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The userspace WireGuard under systemd. Started by a service that applies and ends,
# it goes on in a scope of its own. Being a service itself, it is started again when
# it dies, and has its configuration back.

# shellcheck disable=SC2034,SC2086,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"
enter_vm --systemd --accel uml --timeout 900
need wg ping systemctl systemd-run
mkdir -p /run/kilowg /run/wireguard
use_userspace
backend=userspace
guest_hosts
guest_mesh a
cp -p "$T/keys/a" /run/kilowg/key

pid() { pgrep -x kilowg-userspac; }	# the kernel keeps 15 characters
no_daemon() { ! pid; }
# The unit that the daemon runs in.
unit() { sed -n 's|^0::.*/||p' "/proc/$(pid)/cgroup"; }
no_scope() { [ -z "$(systemctl list-units --all --plain --no-legend 'run-*.scope')" ]; }
inactive() { [ "$(systemctl is-active "$1")" = inactive ]; }

kilowg="$KILOWG -f $T/mesh.ini -f $T/local.ini --node a"
# NAME LINE...: a service that applies, with a sandbox.
service() {
	local name="$1"
	shift
	{
		printf '%s\n' '[Unit]' "Description=$name" '[Service]' Type=oneshot \
			"Environment=KILOWG_USERSPACE=$KILOWG_USERSPACE" "ExecStart=$kilowg apply" \
			NoNewPrivileges=yes ProtectSystem=strict ReadWritePaths=/run ProtectHome=no \
			'CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_BROADCAST'
		printf '%s\n' "$@"
	} >"/run/systemd/system/$name.service"
}
service apply
service stays RemainAfterExit=yes "ExecStop=$kilowg down"
service helpless 'InaccessiblePaths=/usr/bin/systemd-run /bin/systemd-run'
must systemctl daemon-reload
apply_on_c

# ---- a oneshot ----

expect 0 'a oneshot that applies' systemctl start apply.service
check 'it has ended' inactive apply.service
check 'the daemon has not' pid
show "$T/check"
first=$(pid)
unit >"$T/unit"
like 'it is in a scope of its own' "$T/unit" '^run-.*\.scope$'
systemctl show -p Description "$(unit)" >"$T/described"
like 'which people can recognise' "$T/described" 'kilowg-userspace kilo0'
check 'packets flow' reaches_here 10.2.3.1
expect 0 'status: healthy' $kilowg status
expect 0 'applied again' systemctl start apply.service
is 'the daemon is the same' "$first" "$(pid)"
expect 0 'no difference' $kilowg diff

# ---- it dies ----

must kill -KILL "$first"
check 'a killed daemon takes its interface along' wait_for 30 gone ip link show kilo0
check 'and its scope' wait_for 30 no_scope
expect 0 'the oneshot again' systemctl start apply.service
check 'packets flow again' reaches_here 10.2.3.1
unit >"$T/unit"
like 'from a scope of its own' "$T/unit" '^run-.*\.scope$'
expect 0 'down, by hand' $kilowg down
check 'ends the daemon' wait_for 30 no_daemon
check 'and the scope' wait_for 30 no_scope

# ---- a service that stays ----

expect 0 'a service that stays' systemctl start stays.service
check 'packets flow' reaches_here 10.2.3.1
unit >"$T/unit"
like 'its daemon is in a scope of its own, too' "$T/unit" '^run-.*\.scope$'
expect 0 'stopped' systemctl stop stays.service
check 'it ends the daemon by down' wait_for 30 no_daemon
check 'the interface is gone' gone ip link show kilo0
check 'and nothing has failed' gone systemctl is-failed --quiet apply.service stays.service

# ---- no systemd-run ----

# What the service itself starts ends with it.
expect 0 'a service that is kept from systemd-run' systemctl start helpless.service
journalctl -q -o cat -u helpless.service >"$T/journal" 2>&1
show "$T/journal"
like 'apply has warned' "$T/journal" 'warning: .*systemd-run.*started without it, and may end together with the unit'
check 'and so it is' wait_for 30 no_daemon
expect 0 'by hand all is set up again' $kilowg apply
check 'packets flow' reaches_here 10.2.3.1
expect 0 'down' $kilowg down
check 'no daemon is left' wait_for 30 no_daemon

# ---- a service of its own, that is started again ----

sed 's/^backend = .*/backend = external\ncreate-interface = no/' "$T/local.ini" >"$T/external.ini"
external="$KILOWG -f $T/mesh.ini -f $T/external.ini --node a"
cat >/run/systemd/system/wireguard@.service <<END
[Service]
Type=notify
ExecStart=$KILOWG_USERSPACE --foreground %i
ExecStartPost=$external apply --wait
Restart=always
RestartSec=0
END
must systemctl daemon-reload
expect 0 'the daemon as a service, which applies when it is ready' systemctl start wireguard@kilo0.service
check 'packets flow' reaches_here 10.2.3.1
wg_now() { wg show all dump | awk '{ print $1, NF == 5 ? $3 : $2, $4 }' | sort && ip -o route show proto 107 && ip -o addr show dev kilo0; }
whole() { wg_now 2>/dev/null | sed 's/^[0-9]*: //; /fe80::/d' | cmp -s - "$T/whole"; }
wg_now | sed 's/^[0-9]*: //; /fe80::/d' >"$T/whole"
for i in 1 2; do
	first=$(pid)
	must kill -KILL "$first"
	check "killed: all comes back without anybody's help" wait_for 10 whole
	show "$T/check"
	check 'with another daemon' [ "$(pid)" != "$first" ]
	check 'packets flow again' reaches_here 10.2.3.1
	expect 0 'no difference' $external diff
done
is 'systemd has started it twice' NRestarts=2 "$(systemctl show -p NRestarts wireguard@kilo0.service)"
expect 0 'down leaves the interface to its daemon' $external down
check 'which goes on' [ -n "$(pid)" ]
expect 0 'until it is stopped' systemctl stop wireguard@kilo0.service
check 'no daemon is left' wait_for 30 no_daemon
finish
