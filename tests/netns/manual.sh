#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The EXAMPLES of all manual pages, page by page and one after the other on one host, as a
# reader would type them. What cannot run here is skipped, and the list below says why.
#
#       internet 203.0.113.0/24
#     .1 |               | .2
#   berlin-1           paris-1
#     .10 | 192.168.1.0/24
#
# berlin-1 is where all is typed; it reaches paris-1 by stand-ins for ssh and scp.

# shellcheck disable=SC2016,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping awk
choose_backend
[ "$backend" != external ] || cannot 'the examples let kilowg make its interface'
top=${top_srcdir:-${lib_dir%/*}} built=${top_builddir:-${KILOWG%/*}}
for setting in 'confdir = /etc/kilowg' 'statedir = /var/lib/kilowg'; do
	grep -qx "$setting" "$built/Makefile" || cannot "this kilowg is built for other folders than the pages name"
done

# PATTERN of the shell, a tab, and the reason.
cannot_run=$T/cannot
sed 's/ | /	/' >"$cannot_run" <<'END'
systemctl *edit* | it opens an editor
systemctl * | there is no systemd in a namespace; tests/vm runs the units
kilowg-agent * | it needs a cluster; tests/contrib has stand-ins for one
kilowg-label * | it needs a cluster; tests/contrib has stand-ins for one
kilowg-publish * | it needs a cluster; tests/contrib has stand-ins for one
kilowg-render * | it needs a cluster; tests/contrib has stand-ins for one
END

# PAGE: its commands, one per line, with continuation lines joined; crontab's lines without when and who.
commands() {
	awk '
	/^\.Sh / { here = $0 == ".Sh EXAMPLES" }
	!here { next }
	/^\.Dl / { sub(/^\.Dl /, ""); line = $0 }
	/^\.Bd / { display = 1; next }
	/^\.Ed/ { display = 0 }
	display { line = more $0; more = "" }
	line == "" { next }
	{
		gsub(/\\\(dq/, "\"", line)
		gsub(/\\&/, "", line)
		if (line ~ /\\e$/) {
			sub(/\\e$/, "", line)
			more = line
		} else {
			gsub(/\\e/, "\\", line)
			if (line ~ /^[#$] [a-zA-Z]/)
				print substr(line, 3)
			else if (sub(/^[*][^ ]* [^ ]* [^ ]* [^ ]* [^ ]* root /, "", line))
				print line
		}
		line = ""
	}' "$1"
}

# PAGE N: its Nth literal display, with escapes undone.
display() {
	awk -v n="$2" '
	/^\.Sh / { here = $0 == ".Sh EXAMPLES" }
	here && /^\.Bd/ { show = !--n; next }
	/^\.Ed/ { show = 0 }
	show' "$1" | sed 's/^\\&//; s/\\e/\\/g'
}

# ---- two hosts ----

own_folders /etc kilowg wireguard
bridge_add internet lan
node_add berlin-1 paris-1
plug berlin-1 wan0 internet 203.0.113.1/24
plug paris-1 wan0 internet 203.0.113.2/24
plug berlin-1 lan0 lan 192.168.1.10/24
must on berlin-1 ip route add default via 203.0.113.254
mkdir "$T/bin"
for f in kilowg kilowg-userspace; do
	ln -s "$(cd "$built" && pwd)/$f" "$T/bin/$f"
done
for n in berlin-1 paris-1; do
	mkdir -m 700 "$T/nodes/$n/etc" "$T/nodes/$n/home"
done
# NODE SCRIPT: typed in the home folder of root there, whose host name is the node's.
at() {
	on "$1" unshare --uts sh -c 'hostname "$1" && mount --bind "$2/etc" /etc/kilowg && cd "$2/home" && exec sh -c "$3"' \
		sh "$1" "$T/nodes/$1" "$2"
}
cat >"$T/bin/ssh" <<END
#!/bin/sh
# HOST COMMAND...: by the namespaces of this test.
host=\$1
shift
exec nsenter --net=/run/netns/\$host -- unshare --mount sh "$T/as-node" "$T/nodes/\$host" sh -c '
	mount --bind "\$1/etc" /etc/kilowg && cd "\$1/home" && shift && exec "\$@"' sh "$T/nodes/\$host" "\$@"
END
cat >"$T/bin/scp" <<END
#!/bin/sh
# FROM TO: one of them is HOST:FILE.
real() {
	case \$1 in
	*:/etc/kilowg/*) echo "$T/nodes/\${1%%:*}/etc/\${1#*:/etc/kilowg/}" ;;
	*:*) echo "$T/nodes/\${1%%:*}/home/\${1#*:}" ;;
	*) echo "\$1" ;;
	esac
}
exec cp "\$(real "\$1")" "\$(real "\$2")"
END
chmod +x "$T/bin/ssh" "$T/bin/scp"
PATH=$T/bin:$PATH
export PATH

# ---- what the pages take for granted ----

man=$top/man
home=$T/nodes/berlin-1/home
expect 0 'paris-1 is set up in the same way' at paris-1 \
	'kilowg init --name paris-1 --location paris --endpoint 203.0.113.2:51820 --internal-ip - >paris-1.node'
# The new file is the one of kilowg.ini(5).
display "$man/kilowg.ini.5" 1 >"$home/mesh.ini"
printf '[Interface]\nPrivateKey = %s\nListenPort = 51899\n' "$("$KILOWG" genkey)" >/etc/wireguard/wg0.conf

# PAGE: types its commands.
page() {
	local command pattern reason why expected
	commands "$man/$1" >"$T/commands"
	check "$1 has examples" [ -s "$T/commands" ]
	while read -r command <&3; do
		why=
		while IFS='	' read -r pattern reason; do
			# shellcheck disable=SC2254  # it is a pattern
			case $command in $pattern) why=${why:-$reason} ;; esac
		done <"$cannot_run"
		case $command in
		*' --qr') ! grep -q 'built without libqrencode' "$KILOWG" || why='this kilowg was built without libqrencode' ;;
		*'| jq '*) command -v jq >/dev/null || why='there is no jq' ;;
		*wg-quick*) command -v wg-quick >/dev/null || why='there is no wg-quick' ;;
		esac
		if [ -n "$why" ]; then
			skip "$1: $command" "$why"
		else
			expected=0
			[ "$command" != 'kilowg diff' ] || expected=3
			expect "$expected" "$1: $command" at berlin-1 "$command"
		fi
	done 3<"$T/commands"
}

page kilowg.8
check 'berlin-1 reaches paris-1 through the mesh' at berlin-1 "ping -c 3 -W 5 -q $(on paris-1 ip -4 -o addr show dev kilo0 | sed 's,.*inet \([0-9.]*\)/.*,\1,')"
check 'the picture is one' grep -q '^<svg' "$home/mesh.svg"

page kilowg-status.8

# ---- kilowg.ini(5): its two files, in place of the others ----

cp "$home/mesh.ini" "$T/nodes/berlin-1/etc/mesh.ini"
display "$man/kilowg.ini.5" 2 >"$T/nodes/berlin-1/etc/local.ini"
expect 0 'kilowg.ini.5: both files are one configuration' at berlin-1 'kilowg check --strict'
expect 0 'kilowg.ini.5: and make a plan' at berlin-1 'kilowg plan'
expect 0 'with the key of this host' at berlin-1 'kilowg node set berlin-1 endpoint=203.0.113.1:51820 public-key="$(kilowg pubkey </var/lib/kilowg/key)"'
# Its name for paris is of the example domain, which nobody resolves here.
expect 0 'and an address for paris' at berlin-1 'kilowg node set paris-1 endpoint-address=203.0.113.2'
expect 0 'kilowg.ini.5: it is applied' at berlin-1 'kilowg apply'

# The sample: its empty [local] stands beside local.ini.
cp "$top/etc/kilowg.ini.example" "$T/nodes/berlin-1/etc/mesh.ini"
expect 0 'the sample as mesh.ini, with that local.ini' at berlin-1 'kilowg check --strict'
cp "$home/mesh.ini" "$T/nodes/berlin-1/etc/mesh.ini"

page kilowg.service.8
expect 0 'the file that it writes stands beside local.ini, too' at berlin-1 'kilowg check'
check 'the mesh is down' gone on berlin-1 ip link show kilo0
page kilowg-userspace.8
for p in agent label publish render; do
	page "kilowg-$p.8"
done
skip 'libkilowg.3' 'it is a program in C: docs.t.sh compiles it, examples.t.sh runs others'

# No page with examples is forgotten.
# shellcheck disable=SC2046
is 'these are all' 'kilowg-agent.8 kilowg-label.8 kilowg-publish.8 kilowg-render.8 kilowg-status.8 kilowg-userspace.8 kilowg.8 kilowg.ini.5 kilowg.service.8 libkilowg.3' \
	"$(cd "$man" && echo $(grep -l '^\.Sh EXAMPLES' -- *.[1-9]))"
finish
