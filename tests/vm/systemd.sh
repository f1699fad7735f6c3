#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg as a service of systemd: started, told by a path unit of a new mesh.ini,
# stopped.

# shellcheck disable=SC2034,SC2086,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"
enter_vm --systemd --accel uml
need wg ping systemctl
mkdir -p /run/kilowg
backend=kernel
guest_hosts
guest_mesh a
cp -p "$T/keys/a" /run/kilowg/key

kilowg="$KILOWG -f $T/mesh.ini -f $T/local.ini --node a"
cat >/run/systemd/system/kilowg.service <<END
[Unit]
Description=kilowg
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$kilowg apply
ExecReload=$kilowg apply
ExecStop=$kilowg down
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/run
CapabilityBoundingSet=CAP_NET_ADMIN
END
cat >/run/systemd/system/kilowg-reload.service <<END
[Service]
Type=oneshot
ExecStart=/bin/systemctl reload kilowg.service
END
cat >/run/systemd/system/kilowg-reload.path <<END
[Path]
PathChanged=$T/mesh.ini
END

is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
must systemctl daemon-reload
apply_on_c
expect 0 'systemctl start' systemctl start kilowg.service
show "$T/err"
check 'packets flow' reaches_here 10.2.3.1
expect 0 'status: healthy' $kilowg status
must systemctl start kilowg-reload.path
mesh_peer late 'allowed-ip = 10.5.0.7/32'
late() { ip route show proto 107 | grep -q '^10\.5\.0\.7 '; }
check 'a new mesh.ini is applied by a path unit' wait_for 30 late
expect 0 'diff: no difference' $kilowg diff
must systemctl stop kilowg-reload.path
expect 0 'systemctl stop' systemctl stop kilowg.service
check 'the interface is gone' gone ip link show kilo0
check 'and so are the routes' gone late
check 'nothing has failed' gone systemctl is-failed --quiet kilowg.service kilowg-reload.service
expect 0 'systemctl start after stop' systemctl start kilowg.service
check 'packets flow again' reaches_here 10.2.3.1
finish
