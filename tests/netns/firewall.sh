#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# firewall = nftables as a table: made, replaced when anybody has changed it, put
# back when a later step fails, removed; and as kilowg-firewall(8) shows it.
# firewall-packets.sh tests what it does.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg nft awk
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
need_cni
choose_backend
three_nodes
mesh_edit a '' 'allowed-location-ip = 10.7.0.0/24'
sed 's/^firewall = .*/firewall = nftables\ncni = yes\nforward-rules = yes/' "$T/local.ini" >"$T/local.new"
mv "$T/local.new" "$T/local.ini"
daemons a b c

ruleset() { on a nft list ruleset; }
table() { on a nft list table inet kilowg-kilo; }

# What others have, in every shape.
on a nft -f - <<'END' || bail 'the rules of others cannot be made'
table inet others {
	set s { type ipv4_addr; flags interval; elements = { 10.99.0.0/16, 192.0.2.1-192.0.2.9 } }
	chain c { type filter hook input priority 0; policy accept; ip saddr @s counter drop; };
}
table ip kilowg-not-ours { chain x { ip saddr 10.98.0.1 accept; }
}
END
ruleset >"$T/others"

expect 3 'diff shows the table' kwg a diff
like 'in one line' "$T/out" '^\+ nftables table inet kilowg-kilo with [0-9]+ chains, [0-9]+ rules, '
is 'diff has changed nothing' "$(cat "$T/others")" "$(ruleset)"
for node in a b c; do
	expect 0 "apply on $node" kwg $node apply
	unlike 'without warnings' "$T/err" 'firewall|nftables'
done
table | sed 's/^/# /'
expect 0 'then there is no difference' kwg a diff
if can_strace; then
	traced_kwg "$T/trace" a apply
	is 'a second apply sends nothing' 0 "$(count_mutations "$T/trace")"
fi

# ---- drift ----

# TEXT COMMAND...: breaks the table; does kilowg see and repair it?
repairs() {
	table >"$T/before"
	text=$1
	shift
	must on a "$@"
	expect 3 "$text: diff sees it" kwg a diff
	like 'as a table to replace' "$T/out" '^[~+] nftables table inet kilowg-kilo '
	expect 0 'apply repairs it' kwg a apply
	is 'as it was' "$(cat "$T/before")" "$(table)"
}
repairs 'a rule more' nft add rule inet kilowg-kilo mss accept
repairs 'a rule less' nft flush chain inet kilowg-kilo mss
repairs 'a network less' nft delete element inet kilowg-kilo masquerade-from-4 '{ 10.2.1.0/24 }'
printf 'delete element %s { 10.2.1.0/24 }\nadd element %s { 10.2.4.0/24 }\n' \
	'inet kilowg-kilo masquerade-from-4' 'inet kilowg-kilo masquerade-from-4' >"$T/swap"
repairs 'another network in the place of one' nft -f "$T/swap"
on a nft -a list chain inet kilowg-kilo mss | sed -n '/maxseg/ { s/.* handle //p; q }' >"$T/handle"
printf 'delete rule inet kilowg-kilo mss handle %s\nadd rule inet kilowg-kilo mss accept\n' \
	"$(cat "$T/handle")" >"$T/swap-rule"
repairs 'another rule in the place of one' nft -f "$T/swap-rule"
repairs 'a flushed set' nft flush set inet kilowg-kilo no-masquerade-4
repairs 'a flushed table' nft flush table inet kilowg-kilo
repairs 'another policy' nft chain inet kilowg-kilo forward '{ policy drop ; }'
repairs 'a deleted table' nft delete table inet kilowg-kilo

# ---- a step that fails: the table that was there comes back ----

table >"$T/before"
mesh_node d 'location = z' 'endpoint = 203.0.113.4:51820' 'internal-ip = 10.1.4.4/24' 'pod-cidr = 10.2.4.0/24'
break_late_step a
expect 5 'a late step fails' kwg a apply
is 'and says so in one line' 1 "$(grep -c . "$T/err")"
is 'and the table is the one before' "$(cat "$T/before")" "$(table)"
mend_late_step a
mesh_drop d
expect 0 "kilowg takes it for its own, and unchanged" kwg a diff

# ---- others that drop ----

must on a nft add table ip drops
must on a nft add chain ip drops fw '{ type filter hook forward priority 10 ; policy drop ; }'
run kwg a status
like 'status tells of a chain that drops' "$T/out" 'nftables chain ip drops fw drops'
expect 0 'apply -v' kwg a -v apply
like 'tells it, too' "$T/err" 'nftables chain ip drops fw drops'
must on a nft delete table ip drops

# ---- a table that is not ours; a mesh that is gone ----

is 'the rules of others have not changed' "$(cat "$T/others")" "$(ruleset | sed '/^table inet kilowg-kilo/,/^}/d')"
expect 0 'down' kwg a down
is 'leaves the rules of others, byte for byte' "$(cat "$T/others")" "$(ruleset)"
must on a nft add table inet kilowg-kilo
expect 2 'a table of this name made by somebody else is refused' kwg a apply
like 'with its name' "$T/err" 'table inet kilowg-kilo was not made by kilowg'
must on a nft delete table inet kilowg-kilo
expect 0 'apply' kwg a apply
must on a ip link del kilo0
sed 's/^\[mesh\]/&\nname = other/' "$T/mesh.ini" >"$T/mesh.new" && mv "$T/mesh.new" "$T/mesh.ini"
[ "$backend" != external ] || daemon_start_only a
expect 0 'apply under another name of the mesh' kwg a apply
on a nft list tables >"$T/tables"
like 'makes its table' "$T/tables" '^table inet kilowg-other$'
unlike 'and removes the old one' "$T/tables" 'kilowg-kilo$'
sed 's/^firewall = nftables/firewall = none/' "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"
expect 0 'firewall = none' kwg a apply
is 'removes it' "$(cat "$T/others")" "$(ruleset)"

# ---- what kilowg-firewall(8) shows ----

# SECTION PAGE: the first literal display.
display() {
	awk -v header="$1" '$0 == header { here = 1 }
		show && /^\.Ed/ { exit }
		show
		here && /^\.Bd/ { show = 1 }' "${top_srcdir:-${lib_dir%/*}}/man/$2"
}
node_add berlin-1
plug berlin-1 eth0 lan 192.168.1.10/24
display '.Sh EXAMPLES' kilowg.ini.5 | awk -v key="$(public_key berlin-1)" '
	/^public-key/ && !n++ { $3 = key }
	{ sub(/paris.example.org/, "203.0.113.99"); print }' >"$T/mesh.ini"
cp "$T/keys/berlin-1" "$T/nodes/berlin-1/kilowg/key"
sed 's/^firewall = .*/firewall = nftables/; /^name/d' "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"
daemons berlin-1
expect 0 'the example of kilowg.ini(5)' kwg berlin-1 apply
on berlin-1 nft list table inet kilowg-kilo | sed 's/digest=.*"/digest=..."/' | expand -t 4 >"$T/table"
display '.Ss nftables' kilowg-firewall.8 >"$T/shown"
same 'makes the table that kilowg-firewall(8) shows' "$T/shown" "$T/table"
finish
