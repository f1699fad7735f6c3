# shellcheck shell=sh disable=SC3043,SC2119,SC2120
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# For tests/demo.sh and tests/netns/*.sh: network namespaces, userspace
# WireGuard, waiting, TAP. To be sourced; a script then calls enter "$@" first.
#
# enter() runs the script once more in PID, network and mount namespaces of its
# own (with a user namespace, too, if it was not started by root). All
# interfaces, daemons, mounts and files ($T) are in there and go with it,
# however the script ends. So names need not be unique, and nothing has to be
# cleaned up.
#
# A node is a network namespace with its own /run/wireguard and /run/kilowg:
# like a host, so that all nodes can use one interface name and one file.

set -u
lib_dir=$(cd -- "$(dirname -- "$0")" && pwd -P)
case $lib_dir in */bench | */contrib | */netns | */vm) lib_dir=${lib_dir%/*} ;; esac
KILOWG=${KILOWG:-${lib_dir%/*}/build/kilowg}
T=/run/t			# files of this run, gone afterwards
mesh_ini=$T/mesh.ini		# what kwg reads, and mesh_... write
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

# ---- TAP -------------------------------------------------------------------

tap_n=0 tap_failed=0

say() { printf '# %s\n' "$*"; }

# Shows a file as remarks, or nothing if it is empty.
show() { [ ! -s "$1" ] || sed 's/^/#   /' "$1"; }

pass() { tap_n=$((tap_n + 1)); printf 'ok %d - %s\n' "$tap_n" "$*"; }
fail() { tap_n=$((tap_n + 1)) tap_failed=$((tap_failed + 1)); printf 'not ok %d - %s\n' "$tap_n" "$*"; }
skip() { tap_n=$((tap_n + 1)); printf 'ok %d - %s # SKIP %s\n' "$tap_n" "$1" "$2"; }

# Ends a script that cannot run here. The demo has its own.
cannot() { printf '1..0 # SKIP %s\n' "$*"; exit 0; }

bail() { printf 'Bail out! %s\n' "$*"; exit 99; }

# KWG_TEST_UNTIL, seconds since 1970: what begins later is not run (CI has to end some time).
too_late='the time for all tests together is over (KWG_TEST_UNTIL)'
late() { [ -n "${KWG_TEST_UNTIL:-}" ] && [ "$(date +%s)" -ge "$KWG_TEST_UNTIL" ]; }

# A Python that can read JSON schemas. Itself: a wrapper that looks for it each time takes long.
json_python() {
	local p
	for p in python3 /usr/bin/python3; do
		"$p" -c 'import jsonschema, sys; print(sys.executable)' 2>/dev/null && return
	done
	return 1
}

# Ends a script.
finish() { printf '1..%d\n' "$tap_n"; [ "$tap_failed" = 0 ]; exit; }

# TEXT COMMAND...: passes if the command does.
check() {
	local text="$1"
	shift
	if "$@" >"$T/check" 2>&1; then
		pass "$text"
	else
		fail "$text"
		say "failed: $*"
		show "$T/check"
	fi
}

# TEXT WANTED GOT
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1"
		printf '%s\n' "$2" | sed 's/^/#   wanted: /'
		printf '%s\n' "$3" | sed 's/^/#   got:    /'
	fi
}

# TEXT FILE FILE: passes if they are equal byte for byte.
same() {
	if cmp -s "$2" "$3"; then
		pass "$1"
	else
		fail "$1"
		diff -u "$2" "$3" | sed 's/^/#   /'
	fi
}

# TEXT FILE PATTERN...: passes if for each pattern (grep -E) a line of the file matches.
like() {
	local text="$1" file="$2" p
	shift 2
	for p; do
		grep -Eq -e "$p" "$file" && continue
		fail "$text"
		say "no line matches $p:"
		show "$file"
		return
	done
	pass "$text"
}

# TEXT FILE PATTERN: passes if no line matches.
unlike() {
	if grep -Eq -e "$3" "$2"; then
		fail "$1"
		say "a line matches $3:"
		show "$2"
	else
		pass "$1"
	fi
}

# Runs a command and prints it; leaves $status, $T/out and $T/err.
run() {
	say "\$ $*"
	status=0
	"$@" >"$T/out" 2>"$T/err" || status=$?
}

# STATUS TEXT COMMAND...: runs it; passes if it ends with this status.
expect() {
	local want="$1" text="$2"
	shift 2
	run "$@"
	if [ "$status" = "$want" ]; then
		pass "$text"
		return
	fi
	fail "$text"
	say "wanted exit status $want, got $status"
	show "$T/out"
	show "$T/err"
}

# Runs a command that prepares the test, and that cannot fail.
must() {
	"$@" >"$T/must" 2>&1 || { show "$T/must"; bail "failed: $*"; }
}

# ---- conditions ------------------------------------------------------------

# SECONDS COMMAND...: until the command succeeds; fails after so many seconds.
wait_for() {
	local end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -le "$end" ] || return 1
		sleep 0.05	# between two looks at the condition
	done
}

gone() { ! "$@"; }

# ---- what this machine can do ----------------------------------------------

need() {
	local c
	for c; do
		command -v "$c" >/dev/null || cannot "there is no $c here"
	done
}

can_ipv6() { [ -e /proc/net/if_inet6 ]; }

can_strace() {
	command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null
}

has_kernel_wireguard() {
	ip link add probe0 type wireguard 2>/dev/null && ip link del probe0
}

# Sets $backend: kernel where the kernel has WireGuard; else userspace, that is
# kilowg starts the kilowg-userspace of the build folder, if it is there; else
# external, that is wireguard-go. KWG_TEST_BACKEND names one, for trying another.
choose_backend() {
	backend=${KWG_TEST_BACKEND:-}
	if [ -n "$backend" ]; then
		:
	elif has_kernel_wireguard; then
		backend=kernel
	elif own_userspace >/dev/null; then
		backend=userspace
	else
		backend=external
	fi
	case $backend in
	userspace) use_userspace ;;
	external) need_userspace ;;
	esac
}

# Prints the kilowg-userspace of the build folder, if there is one.
own_userspace() {
	local program="${top_builddir:-${KILOWG%/*}}/kilowg-userspace"
	[ -x "$program" ] && (cd "${program%/*}" && printf '%s/kilowg-userspace\n' "$PWD")
}

# Makes kilowg start the kilowg-userspace of the build folder, or wireguard-go
# if there is none. Sets $userspace to the daemon's name.
use_userspace() {
	need_tun
	userspace=kilowg-userspace
	if [ -z "${KILOWG_USERSPACE:-}" ] && ! KILOWG_USERSPACE=$(own_userspace); then
		command -v wireguard-go >/dev/null ||
			cannot "there is neither kilowg-userspace nor wireguard-go"
		userspace=wireguard-go
		KILOWG_USERSPACE=$T/userspace
		printf '#!/bin/sh\nLOG_LEVEL=error exec wireguard-go "$1"\n' >"$KILOWG_USERSPACE"
		chmod +x "$KILOWG_USERSPACE"
	fi
	export KILOWG_USERSPACE
}

can_tun() { (: <>/dev/net/tun) 2>/dev/null; }

# For scripts that set cni = yes.
need_cni() {
	! grep -q 'built without libjansson' "$KILOWG" || cannot 'kilowg is built without libjansson, which cni = yes needs'
}

need_tun() { can_tun || cannot "/dev/net/tun cannot be opened"; }

need_userspace() {
	command -v wireguard-go >/dev/null ||
		cannot "the kernel has no WireGuard, and there is no wireguard-go"
	need_tun
}

# ---- going inside ----------------------------------------------------------

# Words on purpose: options.
# shellcheck disable=SC2086
enter() {
	local options='--mount --net --pid --fork --kill-child --mount-proc --propagation private'
	local map='' child status=0

	if [ "${KWG_TEST_INSIDE:-}" = yes ]; then
		inside
		return
	fi
	! late || cannot "$too_late"
	need ip unshare nsenter
	[ -x "$KILOWG" ] || cannot "there is no program $KILOWG"
	[ "$(id -u)" = 0 ] && unshare $options true 2>/dev/null || map='--user --map-root-user'
	unshare $map $options true 2>/dev/null ||
		cannot "namespaces are not allowed here, not even with a user namespace"
	KWG_TEST_INSIDE=yes unshare $map $options "$0" "$@" &
	child=$!
	# The namespaces, and all that runs in them, go with their first process.
	trap 'kill -KILL $child 2>/dev/null' INT TERM HUP
	wait $child || status=$?
	exit $status
}

inside() {
	mount -t tmpfs tmpfs /run || cannot "no tmpfs can be mounted in a mount namespace here"
	# Where /var/run is no link to /run, WireGuard's sockets are still there.
	[ "$(readlink -f /var/run)" = /run ] || mount --bind /run /var/run || cannot "/var/run cannot be hidden"
	mkdir -p $T/keys $T/nodes /run/wireguard /run/kilowg
	own_folders /var/lib kilowg
	cat >$T/as-node <<-'END'
		mount --bind "$1/wireguard" /run/wireguard && mount --bind "$1/kilowg" /run/kilowg &&
			mount --bind "$1/state" /var/lib/kilowg || exit
		shift
		exec "$@"
	END
	# Whose file it is matters for keys.
	umask 022
	ip link set lo up || cannot "network namespaces are not allowed here"
	quick_ipv6 sh -c
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# FOLDER NAME...: these folders in it are ours, and empty; all else in it is that of the host.
own_folders() {
	local folder="$1" copy f name
	copy=$T/host$(printf %s "$folder" | tr / -)
	shift
	mkdir "$copy" && mount --bind "$folder" "$copy" && mount -t tmpfs tmpfs "$folder" ||
		cannot "$folder cannot be hidden"
	for f in "$copy"/*; do
		ln -s "$f" "$folder/${f##*/}"
	done
	for name; do
		rm -f "$folder/$name"
		must mkdir -m 700 "$folder/$name"
	done
}

# ---- topology --------------------------------------------------------------

# NODE COMMAND...: there. A mount namespace for each command serves as well as
# one that is kept, which newer kernels do not always let one pin.
on() {
	local net="--net=/run/netns/$1" own="$T/nodes/$1"
	shift
	if [ -d "$own" ]; then
		nsenter "$net" -- unshare --mount sh "$T/as-node" "$own" "$@"
	else
		nsenter "$net" -- "$@"
	fi
}

# PATH: in this script's mount namespace $T/NAME stands in for that file of the host.
own_file() {
	[ -e "$1" ] || : >"$1" || cannot "there is no $1, and it cannot be made"
	must mount --bind "$T/${1##*/}" "$1"
}

# COMMAND...: runs the command with a script that makes a namespace's IPv6
# addresses be there at once, without duplicate address detection.
quick_ipv6() {
	can_ipv6 || return 0
	# shellcheck disable=SC2016  # for the other shell
	must "$@" 'cd /proc/sys/net/ipv6/conf && for f in all default; do
		echo 0 >$f/accept_dad && echo 0 >$f/accept_ra && echo 1 >$f/forwarding || exit
	done'
}

# NAME...: network namespaces that forward, each with its own $T/nodes/NAME for /run and its state.
node_add() {
	local name
	for name; do
		must ip netns add "$name"
		mkdir -p "$T/nodes/$name/wireguard" "$T/nodes/$name/kilowg" "$T/nodes/$name/state"
		must on "$name" sh -c 'ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward'
		quick_ipv6 on "$name" sh -c
	done
}

# NAME...: switches.
bridge_add() {
	local name
	for name; do
		must ip link add "$name" type bridge
		must ip link set "$name" up
	done
}

# NODE INTERFACE ADDRESS...
address_add() {
	local node="$1" interface="$2" a
	shift 2
	for a; do
		case $a in
		*:*) must on "$node" ip addr add "$a" dev "$interface" nodad ;;
		*) must on "$node" ip addr add "$a" dev "$interface" ;;
		esac
	done
}

wires=0

# NODE INTERFACE BRIDGE ADDRESS...: a cable from a node to a switch.
plug() {
	local node="$1" interface="$2" bridge="$3"
	shift 3
	wires=$((wires + 1))
	must ip link add "w$wires" type veth peer name "$interface" netns "$node"
	must ip link set "w$wires" master "$bridge" up
	must on "$node" ip link set "$interface" up
	address_add "$node" "$interface" "$@"
}

# NODE CIDR...: a pod behind the node: NODE.pod has the network's address 2, the node 1.
pod_add() {
	local node="$1" cidr base len
	shift
	must ip netns add "$node.pod"
	must ip -n "$node" link add pod0 type veth peer name eth0 netns "$node.pod"
	must on "$node" ip link set pod0 up
	must on "$node.pod" ip link set lo up
	must on "$node.pod" ip link set eth0 up
	quick_ipv6 on "$node.pod" sh -c
	for cidr; do
		len=${cidr#*/} base=${cidr%/*}
		case $base in *.0) base=${base%0} ;; esac
		address_add "$node" pod0 "${base}1/$len"
		address_add "$node.pod" eth0 "${base}2/$len"
		must on "$node.pod" ip route add default via "${base}1"
	done
}

# NODE ADDRESS...: can the node reach them all, sooner or later?
reaches() {
	local node="$1" a
	shift
	for a; do
		wait_for 10 on "$node" ping -c 1 -W 1 -q "$a" || { echo "$node cannot reach $a"; return 1; }
	done
}

# FILE: how many packets of a ping without -q were lost before the last one that came back. Those
# behind it may have been on their way when ping was told to end.
lost() {
	sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p' "$1" |
		awk '{ seen[$1] = 1; if ($1 > last) last = $1 } END { for (i = 1; i < last; i++) if (!(i in seen)) n++; print n + 0 }'
}

# NODE ADDRESS: is there no way?
unreachable() { ! on "$1" ping -c 1 -W 1 -q "$2"; }

# ---- files -----------------------------------------------------------------

# NAME: makes a key pair once; prints the public one.
public_key() {
	if [ ! -e "$T/keys/$1" ]; then
		(umask 077 && wg genkey >"$T/keys/$1")
		wg pubkey <"$T/keys/$1" >"$T/keys/$1.pub"
	fi
	cat "$T/keys/$1.pub"
}

# LINE...: starts $T/mesh.ini; the lines go into [mesh].
mesh_begin() {
	{
		printf '[mesh]\nformat = 1\nencapsulation = never\n'
		printf '%s\n' "$@"
	} >"$mesh_ini"
}

# NAME LINE...: adds a node, and gives it its private key.
mesh_node() {
	local name="$1"
	shift
	{
		printf '\n[node]\nname = %s\npublic-key = %s\n' "$name" "$(public_key "$name")"
		printf '%s\n' "$@"
	} >>"$mesh_ini"
	[ ! -d "$T/nodes/$name" ] || cp -p "$T/keys/$name" "$T/nodes/$name/kilowg/key"
}

# NAME LINE...
mesh_peer() {
	local name="$1"
	shift
	{
		printf '\n[peer]\nname = %s\npublic-key = %s\n' "$name" "$(public_key "$name")"
		printf '%s\n' "$@"
	} >>"$mesh_ini"
}

# NAME: prints [node] or [peer] NAME of $T/mesh.ini without its section header.
section_of() {
	awk -v name="$1" 'BEGIN { RS = ""; FS = "\n" } $2 == "name = " name {
		for (i = 2; i <= NF; i++) print $i }' "$mesh_ini"
}

# NAME...: takes [node] or [peer] NAME out of $T/mesh.ini.
mesh_drop() {
	local name
	for name; do
		awk -v name="$name" 'BEGIN { RS = ""; FS = "\n" } $2 != "name = " name { print $0 "\n" }' \
			"$mesh_ini" >"$T/mesh.new"
		mv "$T/mesh.new" "$mesh_ini"
	done
}

# NAME OLD NEW: replaces a line in [node] or [peer] NAME; an empty NEW removes
# it, an empty OLD adds one.
mesh_edit() {
	awk -v name="$1" -v old="$2" -v new="$3" 'BEGIN { RS = ""; FS = "\n" }
		{ mine = $2 == "name = " name }
		{
			for (i = 1; i <= NF; i++)
				if (!mine || !old || $i != old) print $i
				else if (new) print new
			if (mine && !old) print new
			print ""
		}' "$mesh_ini" >"$T/mesh.new"
	! cmp -s "$mesh_ini" "$T/mesh.new" || bail "[$1] has no line \"$2\""
	mv "$T/mesh.new" "$mesh_ini"
}

# LINE...: writes $T/local.ini, the same for all nodes. With cni = yes they do
# not write to the /etc of this machine.
local_ini() {
	{
		printf '[local]\nfirewall = none\nprivate-key-file = /run/kilowg/key\nbackend = %s\n' "$backend"
		[ "$backend" != external ] || echo "create-interface = no"
		case "$*" in *cni-path*) ;; *) echo "cni-path = /run/kilowg/10-kilo.conflist" ;; esac
		printf '%s\n' "$@"
	} >"$T/local.ini"
}

# The smallest mesh with a leader, a follower and another location, used by most tests:
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3    10.1.3.3 (private, of c alone)
#
# and two outside peers in the file that do not exist: p (10.5.0.1) and q (10.5.0.2).
three_nodes() {
	bridge_add wan lan
	node_add a b c
	plug a wan0 wan 203.0.113.1/24
	plug c wan0 wan 203.0.113.3/24
	plug a lan0 lan 10.1.1.1/24
	plug b lan0 lan 10.1.1.2/24
	must on c ip addr add 10.1.3.3/24 dev wan0
	pod_add a 10.2.1.0/24
	pod_add b 10.2.2.0/24
	pod_add c 10.2.3.0/24

	mesh_begin
	mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.1.1.1/24' \
		'pod-cidr = 10.2.1.0/24' 'leader = yes'
	mesh_node b 'location = x' 'endpoint = 10.1.1.2:51820' 'internal-ip = 10.1.1.2/24' \
		'pod-cidr = 10.2.2.0/24'
	mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = 10.1.3.3/24' \
		'pod-cidr = 10.2.3.0/24'
	mesh_peer p 'endpoint = 203.0.113.101:51820' 'allowed-ip = 10.5.0.1/32'
	mesh_peer q "preshared-key = $(wg genpsk)" 'allowed-ip = 10.5.0.2/32, 10.6.0.0/24'
	local_ini
}

# A location of two subnets, another one, and a laptop that is an outside peer:
#
#   pod 10.2.2.2        pod 10.2.1.2                    pod 10.2.3.2
#        |                   |                               |
#        b ------ lan1 ----- a ------------- wan ----------- c
#     .2   10.1.1.0/24    .1 | .1       203.0.113.0/24   .3    .5 laptop 10.5.0.1
#              | .254
#            router
#              | .254
#             lan2 10.1.2.0/24 --- .4 d --- pod 10.2.4.2
#
# All pods have fd02:N::2, too. The router knows nothing of pods.
two_subnets() {
	local node i=0 cidrs
	bridge_add wan lan1 lan2
	node_add a b c d laptop
	must ip netns add router
	must on router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	plug router lan1 lan1 10.1.1.254/24
	plug router lan2 lan2 10.1.2.254/24
	plug a wan0 wan 203.0.113.1/24
	plug c wan0 wan 203.0.113.3/24 10.1.3.3/24
	plug laptop wan0 wan 203.0.113.5/24
	plug a lan0 lan1 10.1.1.1/24
	plug b lan0 lan1 10.1.1.2/24
	plug d lan0 lan2 10.1.2.4/24
	must on a ip route add 10.1.2.0/24 via 10.1.1.254
	must on b ip route add 10.1.2.0/24 via 10.1.1.254
	must on d ip route add default via 10.1.2.254

	mesh_begin
	for node in 'a x 203.0.113.1 10.1.1.1' 'b x 10.1.1.2 10.1.1.2' 'c y 203.0.113.3 10.1.3.3' \
		'd x 10.1.2.4 10.1.2.4'; do
		# shellcheck disable=SC2086  # words on purpose
		set -- $node
		i=$((i + 1)) cidrs=10.2.$i.0/24
		! can_ipv6 || cidrs="$cidrs fd02:$i::/64"
		# shellcheck disable=SC2086
		pod_add $1 $cidrs
		mesh_node $1 "location = $2" "endpoint = $3:51820" "internal-ip = $4/24" \
			"pod-cidr = $(echo $cidrs | tr ' ' ,)" "leader = $([ $1 = a ] && echo yes || echo no)"
	done
	mesh_peer laptop 'endpoint = 203.0.113.5:51820' 'allowed-ip = 10.5.0.1/32'
	local_ini 'interface-timeout = 1s'
	sed '/^firewall/d' "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"
}

# NET...: the laptop of two_subnets joins as "showconf" tells it, and sends what is for these networks
# through the mesh. Called again, it takes over what has changed.
laptop_joins() {
	local net
	{
		printf '[Interface]\nListenPort = 51820\nPrivateKey = %s\n\n' "$(cat "$T/keys/laptop")"
		kwg a showconf peer laptop
	} >"$T/wg0.conf"
	if on laptop ip link show wg0 >/dev/null 2>&1; then
		must on laptop wg syncconf wg0 "$T/wg0.conf"
		return
	fi
	case $backend in
	kernel) must on laptop ip link add wg0 type wireguard ;;
	userspace) must on laptop "$KILOWG_USERSPACE" wg0 ;;
	external) daemon_start laptop wg0 ;;
	esac
	must on laptop wg setconf wg0 "$T/wg0.conf"
	must on laptop ip addr add 10.5.0.1/32 dev wg0
	must on laptop ip link set wg0 up
	for net; do must on laptop ip route add "$net" dev wg0; done
}

# KEY VALUE: sets a key of [mesh].
mesh_set() {
	awk -v key="$1" -v value="$2" '/^\[/ { mesh = $0 == "[mesh]" }
		mesh && index($0, key " = ") == 1 { next }
		{ print }
		$0 == "[mesh]" { print key " = " value }' "$mesh_ini" >"$T/mesh.new"
	mv "$T/mesh.new" "$mesh_ini"
}

# Can the kernel do IPIP? Asked without leaving tunl0 in the namespace of others.
has_ipip() {
	unshare --net ip link add probe0 type ipip local 192.0.2.1 2>/dev/null
}

has_vxlan() {
	unshare --net ip link add probe0 type vxlan id 1 dstport 4789 2>/dev/null
}

# NODE...: applies on all at once, so that none waits long for the others; $T/err has what they say.
apply_all() {
	local node pid pids='' ok=yes
	for node; do
		kwg "$node" apply >"$T/$node.out" 2>"$T/$node.err" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || ok=no
	done
	for node; do
		cat "$T/$node.err"
	done >"$T/err"
	[ $ok = yes ]
}

# ---- kilowg and WireGuard --------------------------------------------------

# KEY VALUE: in [local].
set_local() {
	sed "/^$1 = /d" "$T/local.ini" >"$T/local.new"
	echo "$1 = $2" >>"$T/local.new"
	mv "$T/local.new" "$T/local.ini"
}

# NODE: the last step that makes something fails there from now on: a folder stands where the CNI
# configuration is written. The message names the step by $late_failure.
late_failure='step [0-9]+ of [0-9]+ \(.*10-kilo.conflist.*\): .*File exists'
break_late_step() {
	need_cni
	cp "$T/local.ini" "$T/local.mended"
	set_local cni yes
	rm -f "$T/conflist.mended"
	[ ! -e "$T/nodes/$1/kilowg/10-kilo.conflist" ] ||
		mv "$T/nodes/$1/kilowg/10-kilo.conflist" "$T/conflist.mended"
	must mkdir "$T/nodes/$1/kilowg/.10-kilo.conflist.kilowg"
}

# All is as it was before.
mend_late_step() {
	[ ! -e "$T/conflist.mended" ] || mv "$T/conflist.mended" "$T/nodes/$1/kilowg/10-kilo.conflist"
	mv "$T/local.mended" "$T/local.ini"
	must rmdir "$T/nodes/$1/kilowg/.10-kilo.conflist.kilowg"
}

# NODE ARGUMENT...: kilowg there.
kwg() {
	local node="$1"
	shift
	on "$node" "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node "$node" "$@"
}

# NODE: the process that has its interface.
daemon_id() {
	local p
	for p in /proc/[0-9]*/fdinfo; do
		grep -qs '^iff:	kilo0' "$p"/* || continue
		p=${p%/fdinfo}
		[ "$(stat -Lc %i "$p/ns/net")" != "$(on "$1" stat -Lc %i /proc/self/ns/net)" ] || echo "${p#/proc/}"
	done
}

# NODE [INTERFACE]: starts wireguard-go, or the program $daemon, in the background; $T/NODE.pid has its id.
daemon_start_only() {
	local node="$1" interface="${2:-kilo0}"
	# Not by on(), whose id would be that of a shell.
	WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error nsenter --net="/run/netns/$node" -- \
		unshare --mount sh "$T/as-node" "$T/nodes/$node" \
		"${daemon:-wireguard-go}" "$interface" >>"$T/$node.log" 2>&1 &
	echo $! >"$T/$node.pid"
}

# NODE [INTERFACE]: is it there and does it answer?
daemon_answers() {
	on "$1" ip link show "${2:-kilo0}" && on "$1" wg show "${2:-kilo0}"
}

daemon_start() {
	daemon_start_only "$@"
	wait_for 30 daemon_answers "$@" || { show "$T/$1.log"; bail "$1: ${daemon:-wireguard-go} does not start"; }
}

# SIGNAL NODE: ends the daemon and waits until it is gone.
daemon_stop() {
	kill "-$1" "$(cat "$T/$2.pid")" && wait "$(cat "$T/$2.pid")" 2>/dev/null
	rm -f "$T/$2.pid"
}

# NODE...: daemons where kilowg does not make the interface itself.
daemons() {
	local node
	[ "$backend" = external ] || return 0
	for node; do
		daemon_start_only "$node"
	done
	for node; do
		wait_for 30 daemon_answers "$node" || { show "$T/$node.log"; bail "$node: wireguard-go does not start"; }
	done
}

# NODE: the state of WireGuard without what changes by itself.
wg_state() {
	on "$1" wg show all dump | awk '{
		if (NF == 5) { print $1, "device", $3, $4, $5; next }	# no private key
		k = split($5, ips, ",")
		for (i = 1; i <= k; i++) print $1, $2, "allowed", ips[i]
		print $1, $2, $3, $4, "keepalive", $9
	}' | sort
}

# NODE: links, addresses, routes and rules, as ip(8) prints them. Without a
# bridge's clocks, and what the kernel sets for good when a link goes up first.
net_state() {
	{
		on "$1" ip -d link
		on "$1" ip addr
	} | sed -E 's/(hello|tcn|topology_change|gc|hold|message_age|forward_delay)_timer +[0-9.]+ //g; s/ qdisc [a-z_]+//; s/ addrgenmode [a-z0-9]+//; s/ tentative//'
	on "$1" ip rule
	on "$1" ip route show table all
	! can_ipv6 || on "$1" ip -6 rule
	! can_ipv6 || on "$1" ip -6 route show table all
}

# A TUN device is made anew with another index and another, random, link-local
# address, which changes their place in a list.
state() {
	net_state "$1" | if [ "$backend" = userspace ]; then
		sed -E 's/fe80::[0-9a-f:]{6,}/fe80::random/; s/^[0-9]+: //' | sort
	else
		cat
	fi
	wg_state "$1"
}

# NODE: the state to which down leads back. A daemon's key and port are apart:
# the port that it had chosen for itself is nothing to go back to.
down_state() { state "$1" | grep -v '^[^ ]* device '; }

# NODE FIELD NODE|PEER: of what wg(8) shows about a peer: 3 endpoint, 4 allowed IPs,
# 5 handshake, 6 received, 7 sent, 8 keepalive.
peer_field() {
	on "$1" wg show kilo0 dump | awk -v key="$(cat "$T/keys/$3.pub")" -v f="$2" '$1 == key { print $f }'
}

# NODE PEER: is there a session?
has_handshake() {
	local t
	t=$(peer_field "$1" 5 "$2")
	[ -n "$t" ] && [ "$t" != 0 ]
}

# ---- what a program sends --------------------------------------------------

# FILE NODE ARGUMENT...: kilowg under strace; for mutations(). Not with -f:
# strace would stay with the daemon that kilowg starts.
traced_kwg() {
	local file="$1" node="$2"
	shift 2
	on "$node" strace -s 4096 -e trace=sendto,sendmsg,sendmmsg,write,writev,connect -o "$file" \
		"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node "$node" "$@"
}

# FILE: the requests in a trace that change something, one line each: route
# netlink that is no GET, WireGuard's SET_DEVICE (command 1; strace knows the
# family by its name), nf_tables that is no GET, and set=1 of a UAPI socket.
mutations() {
	grep -E '(sendto|sendmsg|sendmmsg|write|writev)\(' "$1" |
		grep -oE 'nlmsg_type=RTM_(NEW|DEL|SET)[A-Z]*|nlmsg_type=(wireguard|0x[0-9a-f]+|[0-9]+)[^"]*"\\(x0)?1\\[^"]*|nlmsg_type=NFNL_SUBSYS_[A-Z]*<<8\|[A-Z_]*(NEW|DEL)[A-Z]*|"set=1\\n'
}

# FILE: their number.
count_mutations() { mutations "$1" | grep -c .; }

# ---- Kubernetes --------------------------------------------------------------

# The stand-in for kubectl (tests/contrib/bin), with an API server that has no objects yet, in
# $T/api; and the scripts of contrib/kubernetes, for $shell.
kubernetes_start() {
	source=$(cd -- "${lib_dir%/*}" && pwd -P)
	PATH=$source/tests/contrib/bin:$source/contrib/kubernetes:$(cd -- "${KILOWG%/*}" && pwd -P):$PATH
	# Python itself: a wrapper that looks for it takes longer than what kubectl stands in for.
	mkdir -p "$T/python"
	ln -sf "$(python3 -c 'import sys; print(sys.executable)')" "$T/python/python3"
	PATH=$T/python:$PATH
	KUBE_STATE=$T/api
	KUBECONFIG=$T/nothing
	export PATH KUBE_STATE KUBECONFIG
	shell=${KWG_TEST_SHELL:-sh}
	mkdir -p "$T/api/nodes" "$T/api/peers"
	echo 0 >"$T/api/ahead"
	: >"$T/api/nodes.events"
	: >"$T/api/peers.events"
	command -v kilowg-api >/dev/null || cannot 'this build has no kilowg-api, for want of jansson or libcurl'
	python3 "$source/tests/contrib/api.py" --state "$T/api" "$@" 2>"$T/api.log" &
	wait_for 60 [ -S "$T/api/server.sock" ] || bail 'api.py does not start'
}
