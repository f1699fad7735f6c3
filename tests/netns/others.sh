#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What other software does to a host, by its effect: what breaks, what status says, and that one
# apply, or watch by itself, repairs it. The table in kilowg-firewall(8), OTHER SOFTWARE, row by row.
#
#   b ------- lan ----- a ---------- wan --------- c

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ip nft
choose_backend
[ "$backend" != external ] || cannot 'kilowg makes no interface here'
three_nodes
on a nft list tables >/dev/null 2>&1 || cannot 'no nftables here'
set_local firewall nftables
apply_all a b c || bail "$(cat "$T/err")"
check 'pods reach each other' reaches a.pod 10.2.3.2

watch_start() {
	nsenter "--net=/run/netns/$1" -- unshare --mount sh "$T/as-node" "$T/nodes/$1" \
		"$KILOWG" --node "$1" -f "$mesh_ini" -f "$T/local.ini" watch >"$T/watch.out" 2>"$T/watch.err" &
	watch=$!
}
watch_end() { kill $watch && wait $watch; }
ms() { echo $(($(date +%s%N) / 1000000)); }

# Lines of the table that are backed, for the last check.
: >"$T/rows"

# NODE ROW PATTERN EFFECT: runs the effect (a command) there; status has a line that matches the
# pattern, apply repairs it, and so does watch.
row() {
	local node="$1" row="$2" pattern="$3" effect="$4" since
	say "$row"
	echo "$row" >>"$T/rows"
	must "$effect"
	run kwg "$node" status
	is "$row: status sees it" 3 "$status"
	like "$row: and says what" "$T/out" "$pattern"
	expect 0 "$row: apply repairs it" kwg "$node" apply
	expect 0 "$row: all is as planned" kwg "$node" diff
	watch_start "$node"
	wait_for 20 kwg "$node" diff
	since=$(ms)
	must "$effect"
	check "$row: so does watch" wait_for 20 kwg "$node" diff
	say "$(($(ms) - since)) ms, with the look"
	watch_end
	check "$row: packets flow" reaches "$node.pod" 10.2.3.2
}

# NODE ROW EFFECT: nothing breaks.
harmless() {
	local node="$1" row="$2" effect="$3"
	say "$row"
	echo "$row" >>"$T/rows"
	must "$effect"
	expect 0 "$row: nothing is to be repaired" kwg "$node" diff
	check "$row: packets flow" reaches "$node.pod" 10.2.3.2
}

# networkd drops what it does not know, unless its drop-in says otherwise.
networkd() { on a ip route flush table all proto 107; }
row a 'systemd-networkd' '^drift: [0-9]+ difference' networkd
# NetworkManager, when it takes a device over, flushes its addresses.
network_manager() { on a ip addr flush dev kilo0; }
row a 'NetworkManager' '^drift: [0-9]+ difference' network_manager
flush_ruleset() { on a nft flush ruleset; }
row a 'nft flush ruleset' '^drift: 1 difference' flush_ruleset
# firewalld replaces its own table, in which nothing of ours is.
firewalld() { on a nft -f - <<'END'
table inet firewalld
delete table inet firewalld
table inet firewalld {
	chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept; ct state established,related accept; }
}
END
}
must firewalld
harmless a 'firewalld' firewalld
must on a nft delete table inet firewalld
# Docker sets the policy of FORWARD to drop.
docker() { on a nft -f - <<'END'
table ip filter
delete table ip filter
table ip filter {
	chain FORWARD { type filter hook forward priority filter; policy drop; }
}
END
}
echo docker >>"$T/rows"
must docker
run kwg a status
like 'docker: status names the chain' "$T/out" 'ip filter FORWARD'
run kwg a check --live
like 'docker: check --live as well' "$T/err" 'ip filter FORWARD'
must on a nft delete table ip filter
check 'docker: packets flow without it' reaches a.pod 10.2.3.2
# A link that goes down takes the routes along that lead over it.
link_flap() { on b sh -c 'ip link set lan0 down; ip link set lan0 up'; }
row b 'link' '^drift: [0-9]+ difference' link_flap
# Suspend stops all processes, and the clock goes on; then links come up once more.
resume() {
	local ids
	ids="$(daemon_id b) ${watch:-}"
	# shellcheck disable=SC2086  # words
	kill -STOP $ids 2>/dev/null
	link_flap
	# shellcheck disable=SC2086
	kill -CONT $ids 2>/dev/null
	:
}
row b 'resume' '^drift: [0-9]+ difference' resume
# Another address for the outside of a leader: the others learn it from its packets.
renewal() { on c sh -c 'ip addr del 203.0.113.3/24 dev wan0; ip addr add 203.0.113.33/24 dev wan0; ip addr show 10.1.3.3/24 dev wan0 >/dev/null 2>&1 || ip addr add 10.1.3.3/24 dev wan0 2>/dev/null; true'; }
mesh_edit c '' 'persistent-keepalive = 1'
mesh_edit a '' 'persistent-keepalive = 1'
apply_all a b c || bail "$(cat "$T/err")"
check 'pods reach each other' reaches c.pod 10.2.1.2
echo DHCP >>"$T/rows"
must renewal
expect 0 'DHCP: apply repairs the routes' kwg c apply
expect 0 'DHCP: all is as planned there' kwg c diff
check 'DHCP: c is found at its new address' reaches c.pod 10.2.1.2
like 'DHCP: as WireGuard has learnt' "$(peer_field a 3 c >"$T/endpoint"; echo "$T/endpoint")" '^203\.0\.113\.33:'
expect 0 'DHCP: and that is no drift' kwg a diff
# The private address itself: nothing can be done until it is back, or the files know the new one.
echo internal-ip >>"$T/rows"
must on b ip addr del 10.1.1.2/24 dev lan0
expect 2 'internal-ip has gone: apply says so' kwg b apply
like 'and which' "$T/err" 'internal-ip'
must on b ip addr add 10.1.1.2/24 dev lan0
expect 0 'it is back: so are the routes' kwg b apply
check 'packets flow' reaches b.pod 10.2.3.2

# Each row of the table is one of these.
table=${top_srcdir:-$lib_dir/..}/man/kilowg-firewall.8
sed -n '/^\.Sh OTHER SOFTWARE/,/^\.Sh /s/^T{$/&/p; /^\.Sh OTHER SOFTWARE/,/^\.Sh /s/^\.\\" row: //p' "$table" | grep -v '^T{' | sort >"$T/table"
sort "$T/rows" >"$T/sorted"
same 'the table of kilowg-firewall(8) has these rows, and no other' "$T/table" "$T/sorted"

finish
