#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# README, "A first mesh by hand": its commands, as they stand there, on three hosts where nothing
# of kilowg was before. Each has its own /etc, /usr/local/share, state and home folder.
#
#     a 203.0.113.1 -- wan -- 203.0.113.2 b 10.1.1.2 -- lan -- 10.1.1.3 c

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need ping sysctl
choose_backend
[ "$backend" != external ] || cannot 'there is neither WireGuard in the kernel nor kilowg-userspace'
[ -d /usr/local/share ] || cannot 'there is no /usr/local/share to stand another in for'
top=${top_srcdir:-${lib_dir%/*}}
PATH=$(cd -- "${KILOWG%/*}" && pwd -P):$PATH

bridge_add wan lan
node_add a b c
plug a wan0 wan 203.0.113.1/24
plug b wan0 wan 203.0.113.2/24
plug b lan0 lan 10.1.1.2/24
plug c lan0 lan 10.1.1.3/24
for node in a b c; do
	must on $node sysctl -q -w net.ipv4.ip_forward=0
	mkdir -p "$T/nodes/$node/etc/sysctl.d" "$T/nodes/$node/share/doc/kilowg" "$T/nodes/$node/home"
	# What programs look for there.
	for f in passwd group hosts nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d alternatives; do
		[ ! -e /etc/$f ] || cp -R /etc/$f "$T/nodes/$node/etc/"
	done
	# As make install does it.
	cp "$top/etc/kilowg.sysctl" "$T/nodes/$node/share/doc/kilowg/"
done

# FROM... TO, with HOST:PATH: these hosts know no ssh.
mkdir "$T/bin"
cat >"$T/bin/scp" <<'END'
#!/bin/sh
place() {
	case $1 in
	[a-z]:/etc/*) printf '%s\n' "$NODES/${1%%:*}${1#*:}" ;;
	[a-z]:*) printf '%s\n' "$NODES/${1%%:*}/home/${1#*:}" ;;
	*) printf '%s\n' "$1" ;;
	esac
}
for to; do :; done
while [ $# -gt 1 ]; do
	cp "$(place "$1")" "$(place "$to")" || exit
	shift
done
END
chmod +x "$T/bin/scp"
cat >"$T/as-host" <<'END'
mount --bind "$1/etc" /etc && mount --bind "$1/share" /usr/local/share && cd "$1/home" || exit
exec sh -c "$2"
END
NODES=$T/nodes
PATH=$T/bin:$PATH
export NODES PATH

# HOST COMMAND: as root of that host, in its home folder.
at() { on "$1" sh "$T/as-host" "$T/nodes/$1" "$2"; }

sed -n '/^A first mesh by hand/,/^A short tour/p' "$top/README" | sed -n 's/^    \([a-z]*\)# /\1 /p' >"$T/commands"
# HOST: where the kernel has no tunnels within a location, which is no matter of this test.
has_ipip && tunnels=yes || tunnels=no
choose_encapsulation() {
	[ $tunnels = yes ] || sed -i 's/^format = 1$/&\nencapsulation = never/' "$T/nodes/$1/etc/kilowg/mesh.ini"
}

check 'README has commands' [ "$(grep -c . "$T/commands")" -ge 15 ]
while read -r who command; do
	[ "$who" != all ] || who='a b c'
	for node in $who; do
		expect 0 "$node# $command" at "$node" "$command"
		case $command in
		'kilowg check'*) is 'says nothing' '' "$(cat "$T/err")" ;;
		'kilowg init'*) choose_encapsulation "$node" ;;
		ping*) like 'packets get through' "$T/out" ' [1-5] (packets )?received' ;;
		esac
	done
done <"$T/commands"

for node in a b c; do
	expect 0 "$node: no difference" at $node 'kilowg diff'
	is "$node: nothing is left out" '' "$(cat "$T/err")"
	is "$node: private" 600 "$(stat -c %a "$T/nodes/$node/etc/kilowg/mesh.ini")"
done
check 'c is reached from a' reaches a 10.1.1.3
a_ip=$(on a ip -4 -o addr show kilo0 | sed 's/.* inet \([0-9.]*\).*/\1/')
check 'and a from c' reaches c "$a_ip"
for node in a b c; do
	expect 0 "$node: nothing is in the way" at $node 'kilowg check --live --strict'
done
like 'the laptop has a whole configuration' "$T/nodes/a/home/laptop.conf" '^PrivateKey = ' '^Address = 10.5.0.1/32$' '^Endpoint = 203.0.113.2:51820$'
is 'for root alone' 600 "$(stat -c %a "$T/nodes/a/home/laptop.conf")"
if command -v wg-quick >/dev/null && command -v wg >/dev/null; then
	node_add laptop
	plug laptop wan0 wan 203.0.113.20/24
	(umask 077 && cp "$T/nodes/a/home/laptop.conf" "$T/mesh0.conf")
	expect 0 'wg-quick takes it' on laptop env WG_QUICK_USERSPACE_IMPLEMENTATION="${KILOWG_USERSPACE:-}" wg-quick up "$T/mesh0.conf"
	check 'and it reaches c' reaches laptop 10.1.1.3
else
	skip 'a laptop' 'there is no wg-quick'
fi
finish
