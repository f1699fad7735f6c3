#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Shows the main job for real: six nodes in three locations and a laptop, each
# a network namespace, become one network. Run by "./bootstrap demo", or with
# KILOWG naming the program.
#
# Everything happens in namespaces of its own (see lib.sh) and is gone at the end.

# shellcheck disable=SC3043  # every shell that is /bin/sh somewhere has local
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

cannot() { printf 'demo: cannot run here: %s\n' "$*" >&2; exit 1; }
bail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

enter "$@"
need wg nft ping
choose_backend

nodes='east-1 east-2 east-3 west-1 west-2 home'
step=0

heading() {
	step=$((step + 1))
	printf '\n---- %d. %s\n\n' "$step" "$*"
}

# INDENT: copies text, indented, and breaks what does not fit into 98 columns at a blank.
indented() {
	awk -v indent="$1" '{
		line = indent $0
		match(line, /^ */)
		deeper = substr(line, 1, RLENGTH) "    "
		while (length(line) > 98) {
			for (i = 98; i > length(deeper) && substr(line, i, 1) != " "; i--)
				;
			if (i <= length(deeper)) break
			print substr(line, 1, i - 1)
			line = deeper substr(line, i + 1)
		}
		sub(/ +$/, "", line)
		print line
	}'
}

# NODE COMMAND...: shows it with the node as prompt, and runs it; $T/shown has what it printed.
shown() {
	local node="$1"
	shift
	printf '  %-6s # %s\n' "$node" "$*"
	status=0
	on "$node" "$@" >"$T/shown" 2>&1 || status=$?
	indented '      ' <"$T/shown"
	return "$status"
}

# kilowg as a person on the node would call it: the node's name is not the host's here.
PATH=$T/bin:$PATH
mkdir "$T/bin"
ln -s "$KILOWG" "$T/bin/kilowg"
cd "$T" || exit

# ---- the stage -------------------------------------------------------------

heading 'Three locations, and somebody on the road'
cat <<'END'
                            internet 203.0.113.0/24
      +---------------------------+----+-----------------+-----------------+
      | .1                        | .2                   | .3              | .4
  +---+----+                  +---+----+             +---+----+        +---+----+
  | east-1 | leader           | west-1 | leader      | router |        | laptop |
  +---+----+                  +---+----+             +---+----+        +--------+
      | .1                        | .1                   | .1  masquerades,
      | 10.1.1.0/24               | 10.1.2.0/24          |     forwards nothing
   +--+-------+                   |                      | 192.168.178.0/24
   | .2       | .3                | .2                   | .2
+--+-----+ +--+-----+         +---+----+             +---+----+
| east-2 | | east-3 |         | west-2 |             |  home  |
+--------+ +--------+         +--------+             +--------+

  pods:  east-1 10.2.1.2   east-2 10.2.2.2   east-3 10.2.3.2
         west-1 10.2.4.2   west-2 10.2.5.2   home   10.2.6.2     laptop 10.5.0.1

END

bridge_add internet east west home-lan
# Words on purpose: names.
# shellcheck disable=SC2086
node_add $nodes laptop
must ip netns add router
plug east-1 wan0 internet 203.0.113.1/24
plug west-1 wan0 internet 203.0.113.2/24
plug router wan0 internet 203.0.113.3/24
plug laptop wan0 internet 203.0.113.4/24
plug east-1 lan0 east 10.1.1.1/24
plug east-2 lan0 east 10.1.1.2/24
plug east-3 lan0 east 10.1.1.3/24
plug west-1 lan0 west 10.1.2.1/24
plug west-2 lan0 west 10.1.2.2/24
plug router lan0 home-lan 192.168.178.1/24
plug home lan0 home-lan 192.168.178.2/24
must on home ip route add default via 192.168.178.1
i=0
for node in $nodes; do
	i=$((i + 1))
	pod_add "$node" "10.2.$i.0/24"
done

# A home router: the port that the internet sees is another one, and nothing gets in unasked.
must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
must on router nft -f - <<'END'
table ip home {
	chain out {
		type nat hook postrouting priority 100;
		oifname "wan0" masquerade random
	}
	chain through {
		type filter hook forward priority 0; policy drop;
		iifname "lan0" accept
		ct state established,related accept
	}
}
END

if [ "$backend" = kernel ]; then
	wireguard="kernel WireGuard (Linux $(uname -r))"
	printf 'This kernel has WireGuard; kilowg makes the interfaces.\n'
elif [ "$backend" = userspace ]; then
	wireguard="userspace WireGuard ($userspace)"
	printf 'This kernel has no WireGuard: kilowg starts %s on each node.\n' "$userspace"
else
	wireguard="userspace WireGuard ($(wireguard-go --version 2>&1 | sed -n '1s/ v/ /p'))"
	printf 'This kernel has no WireGuard: each node runs wireguard-go, which kilowg configures.\n'
fi

# ---- the file --------------------------------------------------------------

heading 'One file for all nodes: mesh.ini'

{
	cat <<-END
		[mesh]
		format = 1
		encapsulation = never

		[local]
		private-key-file = /run/kilowg/key
		firewall = none
		backend = $backend
	END
	[ "$backend" != external ] || echo 'create-interface = no'
} >mesh.ini

# NAME LOCATION ENDPOINT INTERNAL-IP POD-CIDR LINE...
node() {
	local name="$1" key
	key=$T/nodes/$name/kilowg/key
	(umask 077 && kilowg genkey >"$key") || bail 'kilowg genkey failed'
	{
		printf '\n[node]\nname = %s\nlocation = %s\nendpoint = %s:51820\n' "$1" "$2" "$3"
		printf 'public-key = %s\n' "$(kilowg pubkey <"$key")"
		printf 'internal-ip = %s\npod-cidr = %s\n' "$4" "$5"
		shift 5
		[ $# = 0 ] || printf '%s\n' "$@"
	} >>mesh.ini
}

node east-1 east 203.0.113.1 10.1.1.1/24 10.2.1.0/24 'leader = yes'
node east-2 east 10.1.1.2 10.1.1.2/24 10.2.2.0/24
node east-3 east 10.1.1.3 10.1.1.3/24 10.2.3.0/24
node west-1 west 203.0.113.2 10.1.2.1/24 10.2.4.0/24 'leader = yes'
node west-2 west 10.1.2.2 10.1.2.2/24 10.2.5.0/24
node home home 203.0.113.3 192.168.178.2/24 10.2.6.0/24 'persistent-keepalive = 5'
(umask 077 && kilowg genkey >laptop.key) || bail 'kilowg genkey failed'
cat >>mesh.ini <<END

[peer]
name = laptop
endpoint = 203.0.113.4:51820
public-key = $(kilowg pubkey <laptop.key)
allowed-ip = 10.5.0.1/32
END

indented '  ' <mesh.ini
kilowg -f mesh.ini check || bail 'the file has errors'

# ---- plan and apply --------------------------------------------------------

heading 'What this means for one node: the plan of east-1'
shown east-1 kilowg -f mesh.ini -n east-1 plan || bail 'plan failed'

heading 'Carried out on every node'
# shellcheck disable=SC2086
daemons $nodes
# The state of a host apart from its WireGuard interface.
rest_of() {
	on "$1" ip addr show up
	on "$1" ip rule
	on "$1" ip route show table all
}
for node in $nodes; do
	rest_of "$node" >"$node.before"
done
for node in $nodes; do
	shown "$node" kilowg -f mesh.ini -n "$node" apply || bail "$node: apply failed"
done

heading 'The laptop does not run kilowg: it takes what "showconf" prints'
if [ "$backend" = kernel ]; then
	must on laptop ip link add wg0 type wireguard
elif [ "$backend" = userspace ]; then
	shown laptop "$KILOWG_USERSPACE" wg0 || bail "laptop: $userspace does not start"
else
	daemon_start laptop wg0
fi
kilowg -f mesh.ini -n east-1 showconf peer laptop >laptop.conf || bail 'showconf failed'
printf '  east-1 # kilowg -f mesh.ini -n east-1 showconf peer laptop\n'
indented '      ' <laptop.conf
{
	printf '[Interface]\nListenPort = 51820\nPrivateKey = %s\n\n' "$(cat laptop.key)"
	cat laptop.conf
} >wg0.conf
shown laptop wg setconf wg0 "$T/wg0.conf" || bail 'the laptop does not take the configuration'
shown laptop ip addr add 10.5.0.1/32 dev wg0 || bail 'the laptop has no address'
shown laptop ip link set wg0 up || bail 'the laptop is not up'
kilowg -f mesh.ini -n east-1 --json showconf peer laptop |
	sed -n 's/^ *"\([^"]*\) dev kilo\(.*\)",\{0,1\}$/\1 dev wg0\2/p' >routes
[ -s routes ] || bail 'showconf prints no routes for the laptop'
printf '  laptop # ip route add %s\n      (and the other %d routes of "--json showconf peer laptop")\n' \
	"$(head -n 1 routes)" $(($(grep -c . routes) - 1))
while read -r route; do
	# shellcheck disable=SC2086  # words on purpose
	must on laptop ip route add $route
done <routes

# ---- proof -----------------------------------------------------------------

heading 'Every pod from every other node and from the laptop, and the laptop from every node'

# FROM: pings all others; a file for each path that works.
mkdir paths
probe() {
	local to i=0
	for to in $nodes laptop; do
		i=$((i + 1))
		case $to in
		"$1") continue ;;
		laptop) to=10.5.0.1 ;;
		*) to=10.2.$i.2 ;;
		esac
		wait_for "$patience" on "$1" ping -c 1 -W 1 -q "$to" && : >"paths/$1.$i"
	done
}

patience=10	# sessions are set up by the first packets, the NAT's by the next keepalive
pids=
for node in $nodes laptop; do
	probe "$node" &
	pids="$pids $!"
done
# shellcheck disable=SC2086
wait $pids

total=0 working=0
{
	# shellcheck disable=SC2086
	printf '%-12s' 'from \ to' && printf '%-9s' $nodes laptop && echo
	for node in $nodes laptop; do
		printf '%-12s' "$node"
		i=0
		for to in $nodes laptop; do
			i=$((i + 1)) cell=-
			if [ "$to" != "$node" ]; then
				total=$((total + 1)) cell=FAILED
				[ ! -e "paths/$node.$i" ] || cell=ok working=$((working + 1))
			fi
			printf '%-9s' "$cell"
		done
		echo
	done
} >matrix
indented '  ' <matrix
printf '\n  %d of %d paths work\n' "$working" "$total"

seen=$(on east-1 wg show kilo0 endpoints |
	awk -v key="$(kilowg pubkey <nodes/home/kilowg/key)" '$1 == key { print $2 }')
[ "$seen" = 203.0.113.3:51820 ] ||
	printf '  (east-1 has learnt that home is at %s, behind its NAT; the file says port 51820)\n' "$seen"

heading 'Health, seen from east-1'
shown east-1 kilowg -f mesh.ini -n east-1 status
[ "$status" = 0 ] || printf '  status says that something is wrong\n'
healthy=$status

heading 'Once more: nothing is left to do'
again=0
for node in $nodes; do
	shown "$node" kilowg -f mesh.ini -n "$node" -v apply && ! grep -q '^[-+~] ' "$T/shown" || again=1
	shown "$node" kilowg -f mesh.ini -n "$node" diff && [ ! -s "$T/shown" ] || again=1
done
if [ "$again" = 0 ]; then
	printf '\n  no step by any apply, no difference found by any diff\n'
else
	printf '\n  but something was done, or found\n'
fi

heading 'And away'
left=0
for node in $nodes; do
	shown "$node" kilowg -f mesh.ini -n "$node" down || left=1
	rest_of "$node" >"$node.after"
	cmp -s "$node.before" "$node.after" && continue
	left=1
	diff "$node.before" "$node.after" | indented '      '
done
if [ "$left" = 0 ]; then
	printf '\n  addresses, routes and rules are as they were before\n'
else
	printf '\n  something was left, or is missing\n'
fi

result="6 nodes in 3 locations and 1 peer, $working of $total paths work, over $wireguard"
if [ "$working" = "$total" ] && [ "$healthy$again$left" = 000 ]; then
	printf '\nproved: %s\n' "$result"
else
	printf '\nnot proved: %s\n' "$result"
	exit 1
fi
