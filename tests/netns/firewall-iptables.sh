#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# firewall = iptables, with iptables-nft and iptables-legacy: chains and jumps,
# no second write, repair, undoing, exact removal; changes between the kinds of
# firewall; programs that are missing.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg nft iptables-save iptables-nft-save
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
[ -e /etc/alternatives/iptables-save ] || cannot 'iptables is not chosen by /etc/alternatives here'
need_cni
choose_backend
three_nodes
for node in a b c; do
	must on $node ip addr add fd00:1::$node/64 dev "$([ $node = c ] && echo wan0 || echo lan0)" nodad
done
mesh_edit a '' 'pod-cidr = fd00:2:1::/64'
mesh_edit c '' 'pod-cidr = fd00:2:3::/64'
sed 's/^firewall = .*/firewall = iptables\ncni = yes\nforward-rules = yes/' "$T/local.ini" >"$T/local.new"
mv "$T/local.new" "$T/local.ini"
daemons a b c

# What /etc/alternatives says is ours alone.
cp -a /etc/alternatives "$T/alternatives"
must mount --bind "$T/alternatives" /etc/alternatives
# nft|legacy: which of the two iptables is.
choose() {
	for f in iptables ip6tables; do
		for what in '' -save -restore; do
			ln -sf "/usr/sbin/$f-$1$what" "$T/alternatives/$f$what"
		done
	done
}

# Both families without counters and times.
saved() {
	on a iptables-"$1"-save | sed -E '/^#/d; s/ \[[0-9:]*\]$//'
	on a ip6tables-"$1"-save | sed -E '/^#/d; s/ \[[0-9:]*\]$//'
}
# ... without what is ours.
others() { saved "$1" | grep -Ev 'kilowg-|kilowg mesh='; }

others_make() {
	for f in iptables ip6tables; do
		net=10.99.0.0/16
		[ $f = iptables ] || net=fd00:99::/32
		on a $f-"$1"-restore <<-END || bail "$f-$1-restore fails"
			*mangle
			:PREROUTING ACCEPT [0:0]
			:INPUT ACCEPT [0:0]
			:FORWARD ACCEPT [0:0]
			:OUTPUT ACCEPT [0:0]
			:POSTROUTING ACCEPT [0:0]
			-A PREROUTING -i lan0 -m comment --comment "not \"ours\"" -j MARK --set-xmark 0x4000/0x4000
			-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m comment --comment kilowg -j TCPMSS --set-mss 1300
			COMMIT
			*nat
			:PREROUTING ACCEPT [0:0]
			:INPUT ACCEPT [0:0]
			:OUTPUT ACCEPT [0:0]
			:POSTROUTING ACCEPT [0:0]
			:DOCKER - [0:0]
			-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
			-A POSTROUTING -s $net ! -o docker0 -j MASQUERADE
			-A DOCKER -i docker0 -j RETURN
			COMMIT
			*filter
			:INPUT ACCEPT [0:0]
			:FORWARD DROP [0:0]
			:OUTPUT ACCEPT [0:0]
			:DOCKER - [0:0]
			:DOCKER-USER - [0:0]
			:KILO-IPIP - [0:0]
			-A INPUT -p ipencap -m comment --comment "Kilo: jump to IPIP chain" -j KILO-IPIP
			-A FORWARD -j DOCKER-USER
			-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
			-A FORWARD -o docker0 -j DOCKER
			-A DOCKER-USER -j RETURN
			COMMIT
		END
	done
}

local_edit() { sed "$1" "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"; }

# VARIANT TEXT COMMAND...: breaks the rules; does kilowg see and repair it?
repairs() {
	variant=$1 text=$2
	saved "$variant" >"$T/before"
	shift 2
	must on a "$@"
	expect 3 "$text: diff sees it" kwg a diff
	like 'as chains to replace' "$T/out" '^[~+] ip6?tables chains kilowg-kilo0-mss'
	is 'and no more' 1 "$(grep -c . "$T/out")"
	expect 0 'apply repairs it' kwg a apply
	saved "$variant" >"$T/after"
	same 'as it was' "$T/before" "$T/after"
}

# One of the two iptables from nothing to nothing.
life() {
	v=$1
	say "---- iptables-$v"
	choose "$v"
	others_make "$v"
	saved "$v" >"$T/others"
	expect 3 'diff shows chains' kwg a diff
	like 'of both families' "$T/out" '^\+ iptables chains kilowg-kilo0-mss, .*-nat, .*-out, .*-fwd with [0-9]+ rules$' \
		'^\+ ip6tables chains kilowg-kilo0-mss, .* with [0-9]+ rules$'
	saved "$v" >"$T/now"
	same 'and changes nothing' "$T/others" "$T/now"
	expect 0 'apply' kwg a apply
	unlike 'without a warning' "$T/err" .
	others "$v" >"$T/now"
	same 'leaves what others have, byte for byte' "$T/others" "$T/now"
	on a iptables-"$v"-save >"$T/now"
	like 'the jump in FORWARD stands first' "$T/now" '^-A kilowg-kilo0-fwd -s 10.2.1.0/24 -j ACCEPT$'
	is 'before those of others' '-A FORWARD -m comment --comment "kilowg mesh=kilo protocol=107" -j kilowg-kilo0-fwd' \
		"$(sed -n '/^\*filter/,/^COMMIT/p' "$T/now" | grep '^-A FORWARD' | head -n 1)"
	expect 0 'then there is no difference' kwg a diff
	on a iptables-"$v" -t nat -Z
	saved "$v" >"$T/before"
	expect 0 'a second apply' kwg a apply
	saved "$v" >"$T/after"
	same 'changes nothing' "$T/before" "$T/after"
	if can_strace; then
		on a strace -f -qq -e trace=execve -o "$T/trace" "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a diff
		like 'reading runs iptables-save' "$T/trace" 'execve\("/[a-z/]*/iptables-save", .* 2 vars'
		unlike 'and nothing that writes' "$T/trace" 'restore"'
	fi
	on a iptables-"$v" -I FORWARD 1 -i docker0 -o docker0 -j ACCEPT
	expect 0 'a rule of others before the jump is no difference' kwg a diff
	on a iptables-"$v" -D FORWARD 1

	repairs "$v" 'a flushed FORWARD' iptables-"$v" -F kilowg-kilo0-fwd
	repairs "$v" 'a rule more' iptables-"$v" -A kilowg-kilo0-fwd -j ACCEPT
	repairs "$v" 'a rule less' iptables-"$v" -t nat -D kilowg-kilo0-nat 1
	repairs "$v" 'another rule' iptables-"$v" -t nat -R kilowg-kilo0-nat 1 -d 10.77.0.0/16 -j RETURN
	repairs "$v" 'a jump less' ip6tables-"$v" -t mangle -D FORWARD 1
	repairs "$v" 'a jump twice' iptables-"$v" -I FORWARD -m comment --comment 'kilowg mesh=kilo protocol=107' -j kilowg-kilo0-fwd
	repairs "$v" 'a jump and its chain less' sh -c "iptables-$v -D FORWARD 1 && iptables-$v -F kilowg-kilo0-fwd && iptables-$v -X kilowg-kilo0-fwd"
	must on a iptables-"$v" -I FORWARD 1 -j DROP
	expect 3 'a jump behind a rule that drops everything is a difference' kwg a diff
	must kwg a apply
	is 'and moves before it' '-A FORWARD -j DROP' \
		"$(on a iptables-"$v"-save | sed -n '/^\*filter/,/^COMMIT/p' | grep '^-A FORWARD' | sed -n 2p)"
	must on a iptables-"$v" -D FORWARD -j DROP
	expect 0 'apply' kwg a apply

	mesh_node d 'location = z' 'endpoint = 203.0.113.4:51820' 'internal-ip = 10.1.4.4/24' \
		'pod-cidr = 10.2.4.0/24, fd00:2:4::/64'
	saved "$v" >"$T/before"
	break_late_step a
	expect 5 'a late step fails' kwg a apply
	is 'and says so in one line' 1 "$(grep -c . "$T/err")"
	saved "$v" >"$T/after"
	same 'the rules are those before' "$T/before" "$T/after"
	mend_late_step a
	mesh_drop d
	expect 0 'for kilowg, too' kwg a diff

	expect 0 'down' kwg a down
	saved "$v" >"$T/now"
	same 'leaves the rules of others, byte for byte' "$T/others" "$T/now"
}
# ---- from nothing to nothing: what iptables-nft makes on the way goes, too ----

choose nft
expect 0 'where there are no tables: apply' kwg a apply
on a iptables-nft-save >"$T/now"
like 'the jumps say that their chains have been made for them' "$T/now" \
	'^-A FORWARD -m comment --comment "kilowg mesh=kilo protocol=107 made" -j kilowg-kilo0-fwd$'
expect 0 'then there is no difference' kwg a diff
must on a iptables-nft -t nat -F kilowg-kilo0-out
expect 0 'a repair' kwg a apply
expect 0 'down' kwg a down
is 'leaves no tables and chains' '' "$(on a nft list ruleset)"
must on a iptables-nft -A FORWARD -i lan0 -j ACCEPT
on a nft list ruleset >"$T/others" 2>&1
[ "$backend" != external ] || { daemon_stop TERM a; daemons a; }
expect 0 'where there is FORWARD: apply' kwg a apply
must on a iptables-nft -t nat -A POSTROUTING -s 10.77.0.1 -j ACCEPT
expect 0 'down' kwg a down
must on a iptables-nft -t nat -D POSTROUTING -s 10.77.0.1 -j ACCEPT
like 'leaves a chain that others have come to use' "$(on a nft list ruleset >"$T/now"; echo "$T/now")" 'chain POSTROUTING'
must on a nft delete table ip nat
on a nft list ruleset >"$T/now" 2>&1
same 'and else what was there' "$T/others" "$T/now"
must on a nft flush ruleset
[ "$backend" != external ] || { daemon_stop TERM a; daemons a; }
life nft

# ---- a table that is refused: those before it go back ----

# Carries out the first table that it reads, and fails.
cat >"$T/first-only" <<'END'
#!/bin/sh
[ -e /run/t/refuse ] || exec /usr/sbin/iptables-nft-restore "$@"
rm /run/t/refuse
sed '/^COMMIT/q' | /usr/sbin/iptables-nft-restore "$@"
echo 'the second table is refused' >&2
exit 4
END
chmod +x "$T/first-only"
daemons_again() { [ "$backend" != external ] || { daemon_stop TERM a; daemons a; }; }
daemons_again
ln -sf "$T/first-only" "$T/alternatives/iptables-restore"
: >"$T/refuse"
expect 2 'apply with a program that fails at the second table' kwg a apply
like 'says what the program said' "$T/err" 'step .*iptables chains.*/iptables-restore ends with exit status 4: the second table is refused'
saved nft >"$T/now"
same 'no rule is left' "$T/others" "$T/now"
daemons_again
expect 0 'apply without the fault' kwg a apply
must on a iptables-nft -t nat -F kilowg-kilo0-nat
must on a iptables-nft -t mangle -F kilowg-kilo0-mss
saved nft >"$T/before"
: >"$T/refuse"
expect 2 'the same for a change' kwg a apply
saved nft >"$T/now"
same 'goes back to what was there' "$T/before" "$T/now"
choose nft
expect 0 'apply repairs it' kwg a apply

# ---- from one kind of firewall to the other ----

local_edit 's/firewall = iptables/firewall = nftables/'
expect 0 'firewall = nftables' kwg a apply
saved nft >"$T/now"
same 'removes the chains' "$T/others" "$T/now"
check 'and makes the table' on a nft list table inet kilowg-kilo
local_edit 's/firewall = nftables/firewall = iptables/'
expect 0 'firewall = iptables' kwg a apply
check 'removes the table' gone on a nft list table inet kilowg-kilo
others nft >"$T/now"
same 'with others as they were' "$T/others" "$T/now"
local_edit 's/firewall = iptables/firewall = none/'
expect 0 'firewall = none' kwg a apply
saved nft >"$T/now"
same 'removes the chains, too' "$T/others" "$T/now"
local_edit 's/firewall = none/firewall = iptables/'
must kwg a apply
mesh_name() { sed "/^name = other/d; s/^\[mesh\]/&\n$1/" "$T/mesh.ini" >"$T/mesh.new" && mv "$T/mesh.new" "$T/mesh.ini"; }
link_gone() {
	must on a ip link del kilo0
	[ "$backend" != external ] || { wait "$(cat "$T/a.pid")"; daemons a; }
}
link_gone
mesh_name 'name = other'
expect 0 'another name of the mesh' kwg a apply
is 'stands in all jumps' 0 "$(saved nft | grep -c 'mesh=kilo ')"
link_gone
mesh_name ''
must kwg a apply
if [ "$backend" != external ]; then
	echo 'interface = other0' >>"$T/local.ini"
	expect 0 'another interface' kwg a apply
	is 'has chains of its own, and leaves no other' 0 "$(saved nft | grep -c kilo0)"
	local_edit '/^interface/d'
	must kwg a apply
fi

# ---- the other iptables ----

# Rules of the one have to go when iptables is the other.
if on a iptables-legacy -t nat -S >/dev/null 2>&1; then
	choose legacy
	expect 0 'apply, when iptables has become iptables-legacy' kwg a apply
	saved nft >"$T/now"
	same 'removes the rules of iptables-nft' "$T/others" "$T/now"
	is 'and makes those of iptables-legacy' 2 "$(saved legacy | grep -c '^-A FORWARD .*kilowg-kilo0-mss')"
	choose nft
	expect 0 'and back' kwg a apply
	is 'leaves none in iptables-legacy' 0 "$(saved legacy | grep -c kilowg)"
	expect 0 'down' kwg a down
	must on a nft flush ruleset
	daemons_again
	life legacy
	if command -v flock >/dev/null; then
		daemons_again
		flock /run/xtables.lock sh -c 'until [ -e /run/t/release ]; do sleep 0.05; done' &
		holder=$!
		wait_for 30 gone flock -n /run/xtables.lock true
		kwg a apply >"$T/out" 2>"$T/err" &
		apply=$!
		check 'while somebody else has the lock of iptables' wait_for 10 \
			sh -c "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q 'iptables-restore --noflush'"
		check 'apply waits' kill -0 $apply
		: >"$T/release"
		wait $holder
		wait $apply
		is 'and does it then' 0 $?
		show "$T/err"
		expect 0 'as it should be' kwg a diff
		must kwg a down
	fi
else
	skip 'iptables-legacy' "$(on a iptables-legacy -t nat -S 2>&1 | head -n 1)"
fi

# ---- no iptables ----

choose nft
daemons_again
must kwg a apply
local_edit 's/firewall = iptables/firewall = nftables/'
mv "$T/alternatives/iptables-save" "$T/alternatives/ip6tables-save" "$T"
must mount --bind /dev/null /usr/sbin/iptables-nft-save
expect 0 'what an iptables that has gone leaves behind stops nobody' kwg a apply
like 'but is told' "$T/err" 'warning: chains called kilowg-... are left in iptables'
expect 0 'nor down' kwg a down
like 'which tells it, too' "$T/err" 'warning: chains called kilowg-... are left in iptables'
must umount /usr/sbin/iptables-nft-save
choose nft
printf '#!/bin/sh\nexit 3\n' >"$T/fails" && chmod +x "$T/fails"
ln -sf "$T/fails" "$T/alternatives/iptables-save"
daemons_again
expect 0 'nor one that fails' kwg a apply
choose nft
expect 0 'with it again, they go' kwg a apply
is 'all' 0 "$(saved nft | grep -c kilowg)"
must kwg a down
local_edit 's/firewall = nftables/firewall = iptables/'
daemons_again
for f in iptables-save ip6tables-save iptables-restore; do
	rm "$T/alternatives/$f"
	expect 1 "apply without $f" kwg a apply
	like 'says what is missing, and what to do' "$T/err" \
		"firewall = iptables needs $f, .*/usr/sbin.*install the package iptables, or set firewall = nftables"
	is 'in one line' 1 "$(grep -c . "$T/err")"
	[ "$backend" = external ] || check 'and has made nothing' gone on a ip link show kilo0
	choose nft
done
if [ "$backend" != external ]; then
	echo 'interface = kilo+' >>"$T/local.ini"
	expect 1 'an interface that would be a pattern in iptables' kwg a apply
	like 'is refused' "$T/err" 'firewall = iptables: the names of its chains hold that of the interface, "kilo\+"'
	local_edit '/^interface/d'
fi
finish
