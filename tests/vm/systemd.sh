#!/bin/sh
# SPDX-License-Identifier: ISC
#
# kilowg as a service of systemd: started, told by a path unit of a new mesh.ini,
# stopped. The node a is the guest itself; c is a namespace.
#
#        a ------ wan 203.0.113.0/24 ------ c
#            .1                        .3 and 10.2.3.1

# shellcheck disable=SC2034,SC2086,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"
enter_vm --systemd --accel uml
need wg ping systemctl
# The guest is thrown away, so that no namespaces of its own are needed.
mkdir -p "$T/keys" "$T/nodes" /run/kilowg
backend=kernel

must ip netns add c
must ip link add wan0 type veth peer name wan0 netns c
must ip link set wan0 up
must ip addr add 203.0.113.1/24 dev wan0
must on c ip link set lo up
must on c ip link set wan0 up
must on c ip addr add 203.0.113.3/24 dev wan0
must on c ip addr add 10.2.3.1/32 dev lo
mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
local_ini
sed "s|/run/kilowg/key|$T/keys/c|" "$T/local.ini" >"$T/c.ini"
cp -p "$T/keys/a" /run/kilowg/key

# ADDRESS: from here, sooner or later?
reaches_here() { wait_for 10 ping -c 1 -W 1 -q "$1"; }

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
expect 0 'apply on c' on c "$KILOWG" -f "$T/mesh.ini" -f "$T/c.ini" --node c apply
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
