#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# A host whose root is read-only, but for /run and /var/lib: apply, with a key that it
# makes itself, and down. Then with no other capability than NET_ADMIN, as in the
# containers of contrib/kubernetes.

# shellcheck disable=SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
need wg
enter "$@"
choose_backend
[ "$backend" != external ] || cannot 'there is no WireGuard that kilowg can start'

# As node n, all that follows runs in the namespaces of this script.
mesh_begin
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
local_ini 'node = n'
sed -i '/private-key-file/d' "$T/local.ini"
must mount -t tmpfs tmpfs /var/lib
mount -o remount,bind,ro / || cannot 'the root cannot be made read-only here'
# What else is mounted and can be written, but for what the kernel makes itself.
awk '$5 != "/run" && $5 != "/var/lib" && $5 !~ "^/(proc|sys|dev|run)(/|$)" && $6 ~ /(^|,)rw(,|$)/ { print $5 }' \
	/proc/self/mountinfo | while read -r m; do mount -o remount,bind,ro "$m" 2>/dev/null; done
for d in /tmp /etc /usr /var; do
	check "$d is read-only" gone touch "$d/x"
done

kilowg="$KILOWG -f $T/mesh.ini -f $T/local.ini"
# Words on purpose.
# shellcheck disable=SC2086
{
	expect 1 'apply, with a node that is not known yet' $kilowg apply
	(umask 077 && mkdir -p /var/lib/kilowg)
	expect 0 'genkey' $KILOWG genkey
	(umask 077 && cp "$T/out" /var/lib/kilowg/key)
	expect 0 'pubkey' sh -c "$KILOWG pubkey </var/lib/kilowg/key"
	printf '\n[node]\nname = n\nlocation = x\npublic-key = %s\nendpoint = 203.0.113.1:51820\ninternal-ip = -\npod-cidr = 10.2.1.0/24\n' \
		"$(cat "$T/out")" >>"$T/mesh.ini"
	expect 0 'apply' $kilowg apply
	show "$T/err"
	expect 0 'diff: no difference' $kilowg diff
	expect 0 'down' $kilowg down
	check 'the interface is gone' gone ip link show kilo0
	if setpriv --bounding-set=-all,+net_admin true 2>/dev/null; then
		least='setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+net_admin'
		expect 0 'apply, with NET_ADMIN alone' $least $kilowg apply
		show "$T/err"
		expect 0 'diff: no difference' $least $kilowg diff
		expect 0 'down' $least $kilowg down
		check 'the interface is gone' gone ip link show kilo0
	else
		skip 'apply, with NET_ADMIN alone' 'there is no setpriv'
	fi
	rm /var/lib/kilowg/key
	expect 1 'apply without a key' $kilowg apply
	show "$T/err"
	check 'has made one' test -s /var/lib/kilowg/key
}
finish
