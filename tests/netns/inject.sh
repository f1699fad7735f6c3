#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# apply and down with one operation that fails, or killed right before one: see inject.c for
# what an operation is. This namespace is the host, and one node of a mesh of four:
#
#     b ------- lan0 this wan0 ------- c, d      p, q: outside peers
#     .2   10.1.1.0/24 | 203.0.113.0/24 .3, .4
#
# If it ends with 0, then the host is as the file says: as a first apply on a clean host would
# have made it; diff finds nothing. If not, then the host is as it was, files included. After
# SIGKILL the next apply, of the new file or of the old one, and down come out right.
#
# Each kind of change goes from one state of the host to another, and back. KWG_TEST_POINTS says
# how many points of each direction are tried, "all" for every one; without, it is a few points of
# one direction. KWG_TEST_STRACE says how many system calls fail by strace, too. KWG_TEST_SEED
# chooses which, KWG_TEST_KINDS names the kinds. KWG_TEST_ONLY repeats points of a failure, such as
# "fail 120 0", one a line.

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg nft bridge
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
choose_backend
[ "$backend" != external ] || cannot 'somebody else makes the interface, whose state kilowg does not have in its hands'
shim=${top_builddir:-${KILOWG%/*}}/tests/netns/inject.so
[ -e "$shim" ] || cannot 'tests/netns/inject.so is not built'
points=${KWG_TEST_POINTS:-2}
# Without that only one direction of most kinds, by turns.
both=${KWG_TEST_POINTS:+yes}${KWG_TEST_ONLY:+yes}
seed=${KWG_TEST_SEED:-1}

# ---- the host --------------------------------------------------------------

# Of others: a route, a rule, a table, and, where there is iptables, chains and rules.
make_host() {
	local i
	for i in wan lan; do
		must ip link add ${i}0 type veth peer name ${i}1
		must ip link set ${i}0 up
		must ip link set ${i}1 up
	done
	must ip addr add 203.0.113.1/24 dev wan0
	must ip addr add 10.1.1.1/24 dev lan0
	must ip route add 10.99.0.0/16 via 203.0.113.250 proto static
	must ip rule add pref 20000 to 10.98.0.0/16 lookup 98
	make_rules
}

make_rules() {
	must nft add table inet theirs
	must nft add chain inet theirs forward '{ type filter hook forward priority 10; }'
	must nft add rule inet theirs forward ip saddr 10.99.0.0/16 accept
	! has_iptables || must iptables-restore --noflush <<-'END'
		*filter
		:FORWARD ACCEPT [0:0]
		:THEIRS - [0:0]
		-A FORWARD -j THEIRS
		-A THEIRS -s 10.99.0.0/16 -j ACCEPT
		COMMIT
	END
}

has_iptables() { command -v iptables-restore >/dev/null && command -v ip6tables-save >/dev/null; }

# All that kilowg could change here. Without what a link, address or table has by when it was made.
host_state() {
	{
		ip -o -d link
		ip -o addr
		ip rule
		ip route show table all
		ip neigh show nud permanent
		bridge fdb show | grep -v '^33:33:\|^01:00:5e'
		! can_ipv6 || ip -6 rule
		! can_ipv6 || ip -6 route show table all
		wg show all dump | awk '{
			if (NF == 5) { print $1, "device", $2, $4, $5; next }
			k = split($5, ips, ",")
			for (i = 1; i <= k; i++) print $1, $2, "allowed", ips[i]
			print $1, $2, $3, $4, "keepalive", $9
		}'
	} | sed -E '/fe80::|ff00::/d; s/^[0-9]+: //; s/ qdisc [a-z_]+//; s/ addrgenmode [a-z0-9]+//; s/ tentative//' |
		sort
	nft -s list ruleset 2>/dev/null | awk '
		$1 == "table" { name = $2 " " $3; inet = $2 == "inet"; chain = "" }
		$1 == "chain" { chain = " " $2 }
		inet || /^table|^\t(chain|set|map)|^\t\ttype/ { print name (inet ? "" : chain) "|" $0 }' | sort -s -t '|' -k 1,1
	# nft(8) cannot read all rules of iptables, and prints one or the other depending on the order.
	! has_iptables || { iptables-save; ip6tables-save; } 2>/dev/null | grep -e '^-' -e '^:[^ ]* -'
	files_state
}
files_state() {
	# When and by whom what was applied is not compared.
	find /run/kilowg /run/wireguard ! -name '*.lock' ! -name '*.applied*' ! -name '*.down' ! -type d -print | sort
	find /run/kilowg ! -name '*.lock' ! -name '*.applied*' ! -name '*.down' ! -name key -type f | sort | xargs -r tail -v -n +1
}

# ---- files -----------------------------------------------------------------

# NAME: keeps mesh.ini and local.ini by this name.
keep() {
	cp "$mesh_ini" "$T/$1.mesh"
	cp "$T/local.ini" "$T/$1.local"
}

# NAME: takes them back. The same path each time: it belongs to what a mesh is known by.
use() {
	cp "$T/$1.mesh" "$mesh_ini"
	cp "$T/$1.local" "$T/local.ini"
}

# LINE...: into [local]; a key that is there already goes.
local_set() {
	local line
	for line; do
		sed -i "/^${line%% =*} = /d" "$T/local.ini"
		echo "$line" >>"$T/local.ini"
	done
}

# NAME NUMBER: the pod networks of a node.
pods() {
	! can_ipv6 || printf 'pod-cidr = 10.2.%s.0/24, fd02:%s::/64' "$1" "$1"
	can_ipv6 || printf 'pod-cidr = 10.2.%s.0/24' "$1"
}

write_base() {
	mesh_begin
	mesh_node a 'location = m' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.1.1.1/24' "$(pods 1)" 'leader = yes'
	mesh_node b 'location = m' 'endpoint = 10.1.1.2:51820' 'internal-ip = 10.1.1.2/24' "$(pods 2)"
	mesh_node c 'location = z' 'endpoint = 203.0.113.3:51820' 'internal-ip = 10.1.3.3/24' "$(pods 3)"
	mesh_peer p 'endpoint = 203.0.113.101:51820' 'allowed-ip = 10.5.0.1/32'
	mesh_peer q "preshared-key = $(wg genpsk)" 'allowed-ip = 10.5.0.2/32, 10.6.0.0/24'
	cp -p "$T/keys/a" /run/kilowg/key
	local_ini
	local_set 'firewall = nftables' 'forward-rules = yes'
	if has_vxlan; then
		mesh_set encapsulation always
		mesh_set encapsulation-protocol vxlan
	fi
	keep base
}

# ---- kinds of change: each writes what the host is to go to, from base --------

kinds='first location peers leader full subnet4 subnet6 never vxlan-id ipip iptables no-firewall interface names mtu-cni'

# KIND
text_of() {
	case $1 in
	first) echo 'first apply, and down' ;;
	location) echo 'a location that sorts before the own one' ;;
	peers) echo 'keys, allowed IPs and preshared keys of peers' ;;
	leader) echo 'another leader' ;;
	full) echo 'granularity full' ;;
	subnet4) echo 'another subnet' ;;
	subnet6) echo 'a subnet of IPv6' ;;
	never) echo 'no encapsulation' ;;
	vxlan_id) echo 'another VXLAN identifier' ;;
	ipip) echo 'IPIP instead of VXLAN' ;;
	iptables) echo 'iptables instead of nftables' ;;
	no_firewall) echo 'no firewall' ;;
	interface) echo 'another name of the interface' ;;
	names) echo 'another name of the mesh, protocol and table' ;;
	mtu_cni) echo 'MTU, and a CNI configuration' ;;
	esac
}

kind_first() { :; }
kind_location() {
	mesh_node d 'location = d' 'endpoint = 203.0.113.4:51820' 'internal-ip = 10.1.4.4/24' "$(pods 4)"
}
kind_peers() {
	mesh_edit c "public-key = $(public_key c)" "public-key = $(public_key c2)"
	mesh_edit p 'allowed-ip = 10.5.0.1/32' 'allowed-ip = 10.5.0.2/32'
	mesh_edit p '' "preshared-key = $(cat "$T/keys/psk")"
	mesh_edit q 'allowed-ip = 10.5.0.2/32, 10.6.0.0/24' 'allowed-ip = 10.5.0.1/32, 10.6.0.0/25'
	mesh_edit q "$(section_of q | grep preshared)" 'persistent-keepalive = 7'
	mesh_peer r 'allowed-ip = 10.6.0.128/25'
}
kind_leader() {
	mesh_edit a 'leader = yes' ''
	mesh_edit b '' 'leader = yes'
}
kind_full() { mesh_set granularity full; }
kind_subnet4() { mesh_set subnet 10.14.0.0/16; }
kind_subnet6() { mesh_set subnet fd04::/64; }
kind_never() { mesh_set encapsulation never; }
kind_vxlan_id() { mesh_set vxlan-id 4242; }
kind_ipip() { mesh_set encapsulation-protocol ipip; }
kind_iptables() { local_set 'firewall = iptables'; }
kind_no_firewall() { local_set 'firewall = none'; }
kind_interface() { local_set 'interface = kilo1'; }
kind_names() {
	mesh_set name other
	local_set 'route-protocol = 109' 'route-table = 1109'
}
kind_mtu_cni() { local_set 'mtu = 1350' 'cni = yes' 'cni-path = /run/kilowg/cni/10-kilo.conflist'; }

# KIND: prints why it cannot be had here, if so.
lacks() {
	case $1 in
	never | vxlan_id) has_vxlan || echo 'the kernel has no VXLAN' ;;
	ipip) has_vxlan && has_ipip || echo 'the kernel has no VXLAN, or no IPIP' ;;
	subnet6) can_ipv6 || echo 'the kernel has no IPv6' ;;
	iptables) has_iptables || echo 'there is no iptables, or it cannot be used' ;;
	mtu_cni) ! grep -q 'built without libjansson' "$KILOWG" || echo 'kilowg is built without libjansson' ;;
	esac
}

# ---- states ----------------------------------------------------------------

kw() { "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a "$@"; }

# STATE: the command that leads there, whose file is in use then; "clean" is the host without kilowg.
lead_to() {
	case $1 in
	clean) command=down ;;
	*) command=apply; use "$1" ;;
	esac
}

# STATE: brings the host there.
go_to() {
	lead_to "$1"
	kw "$command" >"$T/out" 2>&1 || { say "$command fails on the way to $1:"; show "$T/out"; }
}

# ... after something went wrong: without what that has left.
go_afresh() {
	kw down >"$T/out" 2>&1
	go_to clean
	is_in clean || clean_up
	go_to "$1"
}
clean_up() {
	local name
	for name in $(ip -o link | awk -F '[ :@]+' '$2 ~ /^(kilo|kwg)/ { print $2 }'); do
		ip link del "$name"
	done
	for name in 107 109; do
		ip route flush table all proto $name
		while ip rule del proto $name; do :; done
	done 2>/dev/null
	nft flush ruleset
	make_rules
	rm -rf /run/kilowg/*.journal* /run/kilowg/*.paths* /run/kilowg/cni
	is_in clean || { show "$T/difference"; bail 'the host does not become clean again'; }
}

# STATE: is the host in it? Else $T/difference tells. A CNI configuration stays where it is (kilowg.ini(5)).
is_in() {
	[ "$1" = mtu-cni ] || [ "$1" = "$keeps_cni" ] || rm -rf /run/kilowg/cni
	: >"$T/difference"
	wait_for 1 looks_as "$1" || diff -U0 "$T/$1.state" "$T/now" >"$T/difference"
}
# The kernel brings some of what belongs to an IPv6 address a moment later.
looks_as() {
	host_state >"$T/now"
	cmp -s "$T/$1.state" "$T/now"
}

# ... but for the journal, which may say too much if it could not be written at the end.
is_in_but_journal() {
	is_in "$1" && return
	for f in "$T/$1.state" "$T/now"; do
		sed '/^==> .*\.journal/,/^$/d; /\.journal$/d' "$f" >"$f.but"
	done
	diff -U0 "$T/$1.state.but" "$T/now.but" >"$T/difference"
}

# ---- one point ---------------------------------------------------------------

# WHAT: the command in use, with this of KWG_INJECT.
injected() {
	rm -f "$T/ops"
	ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$shim KWG_INJECT="$1" KWG_INJECT_LOG="$T/ops" \
		"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a "$command" >"$T/injected" 2>&1
}

# TEXT: this point is bad.
bad() {
	bad="$bad $point"
	is_bad=yes shown=$((shown + 1))
	[ $shown -le 5 ] || return
	say "$from to $to, $point ($(grep -m 1 "^$(echo "$point" | cut -d " " -f 2) " "$T/ops" || tail -n 1 "$T/ops")), exit status $status: $1"
	show "$T/injected"
	show "$T/difference"
	: >"$T/difference"
}

# After 0, all is as the file says, and a second time finds nothing to do.
look_at_success() {
	[ "$command" = down ] || kw diff >"$T/difference" 2>&1 || bad 'diff is not empty'
	is_in_but_journal "$to" || bad 'the host is not as it should be'
	is_in "$to" || { kw "$command" >"$T/out" 2>&1; is_in "$to"; } || bad 'nor after doing it once more'
}

# Of the WireGuard interface: its sessions live as long as it does, and with them its daemon.
index() { ip -o link | grep -o '^[0-9]*: kilo[01]:'; }

# N REASON
try_fail() {
	lead_to "$to"
	before=$(index)
	injected "fail $1 $2"
	status=$?
	look_at_outcome
}

# SYSTEM-CALL N ERROR
try_strace() {
	lead_to "$to"
	before=$(index)
	strace -o "$T/ops" -e trace="$1" -e inject="$1:error=$3:when=$2" \
		"$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a "$command" >"$T/injected" 2>&1
	status=$?
	look_at_outcome
}

# After the refusal of one route, all but that is as the file says, and a second time ends it.
look_at_rest() {
	# Warnings, as of forwarding, are no steps.
	kw diff >"$T/difference" 2>"$T/out"
	[ $? = 3 ] || { show "$T/out"; bad 'diff does not have the route'; }
	grep -qv '^[+~!] route\|^!' "$T/difference" && bad 'diff has more than routes'
	kw "$command" >"$T/out" 2>&1 || bad 'nor does it work once more'
	is_in "$to" || bad 'nor is the host then as it should be'
}

look_at_outcome() {
	if [ "$status" = 0 ]; then
		look_at_success
		came_through=$((came_through + 1))
	elif [ "$status" = 2 ] && grep -q 'is left out: ' "$T/injected"; then
		look_at_rest
		is_bad=${is_bad:-no}
		back_again
		return
	else
		[ -s "$T/injected" ] || bad 'it says nothing'
		keeps_cni=$from
		is_in "$from" || bad 'the host is not as it was'
		keeps_cni=
		[ "$(index)" = "$before" ] || bad 'the interface is another one'
	fi
	[ "$status" = 0 ] || [ "$is_bad" = yes ] || return
	back_again
}

# N THEN: killed, and then the next file, the one before, or down.
try_kill() {
	lead_to "$to"
	injected "kill $1"
	status=$?
	[ "$status" = 137 ] || { [ "$status" = 0 ] || bad 'it was not killed'; }
	# Room for names is bounded.
	awk '/^making/ && seen[FILENAME $0]++' /run/kilowg/*.journal >"$T/difference" 2>/dev/null
	[ ! -s "$T/difference" ] || bad 'the journal says it twice'
	case $2 in
	new) lead_to "$to"; then_state=$to ;;
	old) lead_to "$from"; then_state=$from ;;
	down) lead_to clean; then_state=clean ;;
	esac
	kw "$command" >"$T/difference" 2>&1 || bad "$command of $then_state fails"
	[ "$command" = down ] || kw diff >"$T/difference" 2>&1 || bad "after apply of $then_state diff is not empty"
	is_in "$then_state" || bad "after $command the host is not in the state $then_state"
	[ "$then_state$is_bad" = "${from}no" ] || back_again
}

back_again() {
	if [ "$is_bad" = yes ]; then go_afresh "$from"; else go_to "$from"; fi
	is_in "$from" || { bad 'the way back leads elsewhere'; go_afresh "$from"; }
}

# ---- all points of a change ----------------------------------------------------

# Prints a line for each point: fail N REASON, kill N THEN. What is asked before anything is changed
# is the same for all kinds: two are enough.
list_points() {
	case $kind in first | peers) changed=1 ;; *) changed=0 ;; esac
	awk -v changed=$changed '
		$4 { changed = 1 }
		changed { for (r = 0; r < $3; r++) print "fail", $1, r }
		$4 { print "kill", $1, "new"; print "kill", $1, "old"; print "kill", $1, "down" }' "$T/list"
}

# NUMBER PATTERN: prints so many of the lines, or all, that match.
some() {
	awk -v wanted="$1" -v pattern="$2" -v seed="$seed" '
		$0 ~ pattern { line[++n] = $0 }
		END {
			srand(seed)
			for (i = 1; i <= n && (wanted == "all" || i <= wanted); i++) {
				k = wanted == "all" ? i : i + int(rand() * (n - i + 1))
				t = line[i]; line[i] = line[k]; line[k] = t
				print line[i]
			}
		}'
}

# Those that libraries call inside of themselves, and errors that are told apart, or tried again.
errors='sendto:ENOMEM sendto:EINTR recvmsg:EINTR recvmsg:EAGAIN recvfrom:EINTR connect:EINTR ioctl:ENOMEM openat:ENFILE
openat:EINTR close:EIO read:EINTR write:EINTR write:EFBIG getsockname:ENOBUFS setsockopt:EPERM newfstatat:EIO poll:EINTR
wait4:EINTR pidfd_open:EMFILE mmap:ENOMEM getdents64:EIO rename:EACCES unlink:EROFS mkdir:EROFS flock:EINTR'

# Prints a line for each point after the lock was taken: strace SYSTEM-CALL N ERROR.
list_system_calls() {
	lead_to "$to"
	strace -o "$T/trace" "$KILOWG" -f "$mesh_ini" -f "$T/local.ini" --node a "$command" >"$T/out" 2>&1
	back_again
	awk -v errors="$errors" '
		BEGIN { m = split(errors, e, "[: \n]+") }
		{ call = $0; sub(/\(.*/, "", call); seen[call]++ }
		call == "flock" { locked = 1 }
		locked {
			for (k = 1; k < m; k += 2)
				if (e[k] == call) print "strace", call, seen[call], e[k + 1]
		}' "$T/trace"
}

# FROM TO: also without anything going wrong the way has to lead there.
change() {
	from=$1 to=$2 bad='' fails=0 kills=0 came_through=0 shown=0
	point=count status=0 is_bad=no
	go_to "$from"
	is_in "$from" || bad 'the host is not in the first state'
	lead_to "$to"
	injected count || bad 'it fails'
	status=$?
	mv "$T/ops" "$T/list" 2>/dev/null ||
		cannot 'nothing can be injected: the program is linked statically, or has another C library than the compiler'
	look_at_success
	back_again
	list_points >"$T/all"
	[ "${KWG_TEST_STRACE:-0}" = 0 ] || list_system_calls >>"$T/all"
	{
		some "$points" ^fail <"$T/all"
		some "$points" ^kill <"$T/all"
		some "${KWG_TEST_STRACE:-0}" ^strace <"$T/all"
	} >"$T/points"
	[ -z "${KWG_TEST_ONLY:-}" ] || printf '%s\n' "$KWG_TEST_ONLY" >"$T/points"
	while read -r point; do
		is_bad=no
		# shellcheck disable=SC2086  # words on purpose
		try_$point
		case $point in kill*) kills=$((kills + 1)) ;; *) fails=$((fails + 1)) ;; esac
	done <"$T/points"
	is "$text, $from to $to: $fails of $(grep -vc ^kill "$T/all") ways to fail ($came_through came through), killed at $kills of $(grep -c ^kill "$T/all")" '' "$bad"
}

# STATE: what it is, from a clean host.
learn() {
	go_to clean
	rm -rf /run/kilowg/cni
	go_to "$1"
	host_state >"$T/$1.state"
}

make_host
(umask 077 && wg genpsk >"$T/keys/psk")
write_base
: >"$T/difference"
keeps_cni=
kw down >"$T/out" 2>&1 || { show "$T/out"; bail 'down fails'; }
host_state >"$T/clean.state"
learn base
say "seed $seed"
turn=$seed
for kind in ${KWG_TEST_KINDS:-$kinds}; do
	name=$(echo "$kind" | tr - _)
	text=$(text_of "$name")
	why=$(lacks "$name")
	if [ -n "$why" ]; then
		skip "$text" "$why"
	elif [ "$kind" = first ]; then
		change clean base
		change base clean
	else
		use base
		"kind_$name"
		keep "$kind"
		learn "$kind"
		turn=$((turn + 1))
		[ "$both$((turn % 2))" = 0 ] || change base "$kind"
		[ "$both$((turn % 2))" = 1 ] || change "$kind" base
	fi
done
finish
