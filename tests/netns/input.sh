#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Firewalls of others that drop what comes for WireGuard or for the tunnel: told, with the command
# that mends it, and no word where the port is open, however that is written. Each is tried with a
# packet, too, which is what tells whether it is so.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft jq python3
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
choose_backend
three_nodes
mesh_drop p q
vxlan=no
if has_vxlan; then
	vxlan=yes
	mesh_set encapsulation always
	mesh_set encapsulation-protocol vxlan
fi
daemons a b c
must apply_all a b c

# PORT: does a UDP packet of somebody new get to a, past its firewalls?
cat >"$T/arrives.py" <<'P'
import socket, subprocess, sys, time
kind, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"x", ("203.0.113.1" if kind == "wan" else "10.1.1.1", port))
P
# A counter behind all other chains of the input hook says so.
must on a nft add table ip behind
must on a nft add chain ip behind in '{ type filter hook input priority 10000; }'
must on a nft add rule ip behind in udp dport 51820 counter
counted() { on a nft list chain ip behind in | sed -n 's/.*packets \([0-9]*\) .*/\1/p'; }
arrives() {
	local before
	before=$(counted)
	on c python3 "$T/arrives.py" wan 51820
	more() { [ "$(counted)" -gt "$before" ]; }
	wait_for "${1:-1}" more
}
# RULESET on standard input, instead of that before.
ruleset() {
	on a nft delete table inet fw 2>/dev/null
	on a nft delete table ip fw 2>/dev/null
	sed 's/ } chain/; }\
chain/g; s/ } }$/; }\
}/' >"$T/rules"
	must on a nft -f "$T/rules"
}
# Only ours: what status says about the input hook.
told() { kwg a -j status | jq -r '.findings[] | select(.code == "input-drop") | .severity + " " + .text' | sed -n "/WireGuard, /p"; }
# TEXT: open, and not told.
open_to_all() {
	check "$1: a packet arrives" arrives 10
	is "$1: no word" '' "$(told)"
}
# TEXT: closed, and told.
closed() {
	check "$1: no packet arrives" gone arrives
	is "$1: told" "error the nftables chain inet fw in drops packets of WireGuard, port 51820/udp" "$(told)"
}
# TEXT: it cannot be known.
unsure() {
	is "$1: told, but not as sure" "warning the nftables chain inet fw in may drop packets of WireGuard, port 51820/udp" "$(told)"
}
chain='type filter hook input priority 0; policy drop;'
# Some kernels have nobody who logs.
log=log
echo 'table inet probe { chain c { log; }; }' >"$T/rules"
on a nft -f "$T/rules" 2>"$T/out" && on a nft delete table inet probe || log=''
usual='ct state established,related accept; ct state invalid drop; iifname lo accept; meta l4proto { icmp, ipv6-icmp } accept; tcp dport 22 accept;'

open_to_all 'no firewall'
echo "table inet fw { chain in { $chain $usual } }" | ruleset
closed 'policy drop'
run kwg a status
like 'with what helps' "$T/out" '^ +nft insert rule inet fw in udp dport 51820 accept; and the same where that firewall is set up from'
must on a nft insert rule inet fw in udp dport 51820 accept
open_to_all 'what is advised'
run kwg a check --live
unlike 'check --live agrees' "$T/err" 'packets of WireGuard'
echo "table inet fw { chain in { $chain $usual } }" | ruleset
expect 0 'check --live tells it' kwg a check --live
like 'in the same words' "$T/err" 'warning: the nftables chain inet fw in drops packets of WireGuard, port 51820/udp; nft insert'
expect 0 'apply, too' kwg a apply
like 'in the same words' "$T/err" 'warning: the nftables chain inet fw in drops packets of WireGuard'

while IFS='|' read -r text rules; do
	echo "table inet fw { $rules }" | ruleset
	open_to_all "$text"
done <<X
a port|chain in { $chain $usual udp dport 51820 accept }
a set of ports|chain in { $chain $usual udp dport { 53, 123, 51820 } accept }
a set with a range|chain in { $chain $usual udp dport { 53, 50000-60000 } accept }
a range|chain in { $chain $usual udp dport 51000-52000 accept }
a named set|set ports { type inet_service; flags interval; elements = { 500, 51820-51829 } } chain in { $chain $usual udp dport @ports accept }
th dport|chain in { $chain $usual meta l4proto { tcp, udp } th dport 51820 accept }
a map|chain in { $chain $usual udp dport vmap { 53 : accept, 51820 : accept } }
a concatenation|chain in { $chain $usual meta l4proto . th dport { tcp . 22, udp . 51820 } accept }
all of UDP|chain in { $chain $usual ip protocol udp accept }
a port of a link|chain in { $chain $usual iifname "wan0" udp dport 51820 accept }
new ones|chain in { $chain $usual udp dport 51820 ct state new counter accept }
a state map|chain in { $chain ct state vmap { established : accept, related : accept, invalid : drop }; udp dport 51820 counter $log accept }
a chain of services|chain services { udp dport 51820 accept } chain in { $chain $usual jump services }
chains of links|chain world { tcp dport 22 accept; udp dport 51820 accept } chain in { $chain iifname vmap { lo : accept, wan0 : jump world, lan0 : accept } }
as firewalld|chain allow { udp dport 51820 accept } chain public { jump allow; reject } chain in { type filter hook input priority 0; ct state established accept; iifname lo accept; iifname wan0 goto public; goto public; reject }
a rule that drops others|chain in { type filter hook input priority 0; ip saddr 10.66.0.0/16 drop; tcp dport 25 drop; udp dport 53 drop; iifname "lan9" drop }
not equal|chain in { type filter hook input priority 0; udp dport != 51820 drop }
packets for us|chain in { type filter hook input priority 0; $usual fib daddr type local accept; drop }
a limit|chain in { $chain $usual udp dport 51820 limit rate 100/second accept }
an address|chain in { $chain $usual ip saddr 203.0.113.0/24 udp dport 51820 accept }
X
while IFS='|' read -r text rules; do
	echo "table inet fw { $rules }" | ruleset
	closed "$text"
done <<X
another port|chain in { $chain $usual udp dport { 53, 123, 51821 } accept }
a range beside it|chain in { $chain $usual udp dport { 53, 51821-60000 } accept }
a rule that drops the rest|chain in { type filter hook input priority 0; $usual counter drop }
a rule that rejects the rest|chain in { type filter hook input priority 0; $usual reject with icmpx admin-prohibited }
a port of TCP|chain in { $chain $usual tcp dport 51820 accept }
a state map|chain in { $chain ct state vmap { established : accept, related : accept, invalid : drop }; tcp dport 22 accept }
the very port|chain in { type filter hook input priority 0; udp dport 51820 drop }
a chain that does not accept it|chain services { tcp dport 51820 accept } chain in { $chain $usual jump services }
as firewalld|chain allow { tcp dport 22 accept } chain public { jump allow; reject } chain in { type filter hook input priority 0; ct state established accept; iifname lo accept; iifname wan0 goto public; goto public; reject }
our own link|chain in { $chain $usual iifname "kilo0" accept }
X
echo "table inet fw { chain in { $chain $usual iifname \"lan0\" accept } }" | ruleset
unsure 'a link that is trusted'
echo "table inet fw { chain in { $chain $usual ip saddr 10.0.0.0/8 accept } }" | ruleset
unsure 'a network that is trusted'
is 'the exit status of which is that of a healthy one' 'true' "$(kwg a -j status | jq '[.findings[] | select(.severity == "error")] == []')"
on a nft delete table inet fw

# Who keeps its sessions up itself is reached through them.
echo "table inet fw { chain in { $chain $usual } }" | ruleset
mesh_edit a '' 'persistent-keepalive = 5'
must kwg a apply
is 'with persistent-keepalive it is no error' 'warning the nftables chain inet fw in drops packets of WireGuard, port 51820/udp' "$(told)"
mesh_edit a 'persistent-keepalive = 5' ''
must kwg a apply
on a nft delete table inet fw

# ---- iptables ----

if command -v iptables-nft >/dev/null && on a iptables-nft -w -S >/dev/null 2>&1; then
	ipt() { must on a iptables-nft -w "$@"; }
	ipt -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	ipt -A INPUT -i lo -j ACCEPT
	ipt -A INPUT -p icmp -j ACCEPT
	ipt -A INPUT -p tcp -m tcp --dport 22 -m comment --comment ssh -j ACCEPT
	ipt -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT
	ipt -P INPUT DROP
	check 'iptables: no packet arrives' gone arrives
	is 'iptables: told' 'error the iptables chain ip filter INPUT drops packets of WireGuard, port 51820/udp' "$(told)"
	run kwg a status
	like 'with what helps' "$T/out" 'iptables -I INPUT -p udp --dport 51820 -j ACCEPT \(with ufw: ufw allow 51820/udp\)'
	for rule in '-p udp --dport 51820' '-p udp -m multiport --dports 53,51820' \
		'-p udp -m udp --dport 50000:60000' '-i wan0 -p udp --dport 51820' \
		'-p udp -m conntrack --ctstate NEW -m udp --dport 51820' '-p udp -m multiport --dports 500,51000:52000'; do
		# shellcheck disable=SC2086  # words on purpose
		ipt -A INPUT $rule -j ACCEPT
		open_to_all "iptables $rule"
		# shellcheck disable=SC2086
		ipt -D INPUT $rule -j ACCEPT
	done
	ipt -N ufw-user-input
	ipt -A INPUT -j ufw-user-input
	is 'a chain as that of ufw: told' 'error the iptables chain ip filter INPUT drops packets of WireGuard, port 51820/udp' "$(told)"
	ipt -A ufw-user-input -p udp --dport 51820 -j ACCEPT
	open_to_all 'a chain as that of ufw'
	ipt -N ufw-not-local
	ipt -A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
	ipt -A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
	ipt -A ufw-not-local -j DROP
	ipt -I INPUT -m comment --comment not-local -j ufw-not-local
	open_to_all 'what ufw does with what is for others'
	ipt -P INPUT ACCEPT
	ipt -F
	ipt -X
else
	skip 'iptables' 'there is no iptables-nft'
fi

# The other one, whose rules no nf_tables knows.
# shellcheck disable=SC2086  # words on purpose
if command -v iptables-legacy >/dev/null && on a iptables-legacy -w -S >/dev/null 2>&1; then
	ipt() { must on a iptables-legacy -w "$@"; }
	legacy='error the iptables-legacy chain ip filter INPUT drops packets of WireGuard, port 51820/udp'
	open_to_all 'iptables-legacy without rules'
	ipt -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	ipt -A INPUT -i lo -j ACCEPT
	ipt -A INPUT -p tcp -m tcp --dport 22 -m comment --comment 'ssh, -j ACCEPT' -j ACCEPT
	ipt -P INPUT DROP
	# The counter of "arrives" comes behind it.
	check 'iptables-legacy: no packet arrives' gone arrives
	is 'iptables-legacy: told' "$legacy" "$(told)"
	run kwg a status
	like 'with what helps' "$T/out" '^ +iptables-legacy -I INPUT -p udp --dport 51820 -j ACCEPT \(with ufw'
	for rule in '-p udp --dport 51820' '-p udp -m multiport --dports 53,51820' '-i wan0 -p udp --dport 50000:60000' \
		'-p udp -m conntrack --ctstate NEW -m udp --dport 51820' '-p udp -m udp ! --dport 53'; do
		ipt -A INPUT $rule -j ACCEPT
		open_to_all "iptables-legacy $rule"
		ipt -D INPUT $rule -j ACCEPT
	done
	ipt -N ours
	ipt -A INPUT -j ours
	is 'iptables-legacy, a chain: told' "$legacy" "$(told)"
	ipt -A ours -p udp --dport 51820 -j ACCEPT
	open_to_all 'iptables-legacy, a chain'
	ipt -F ours
	ipt -A INPUT -s 203.0.113.0/24 -j ACCEPT
	is 'iptables-legacy, a network that is trusted: not sure' \
		'warning the iptables-legacy chain ip filter INPUT may drop packets of WireGuard, port 51820/udp' "$(told)"
	ipt -P INPUT ACCEPT
	ipt -F
	ipt -X
else
	skip 'iptables-legacy' 'it does not work here'
fi

# ---- the tunnel ----

if [ $vxlan = yes ]; then
	tunnel() { kwg a -j status | jq -r '.findings[] | select(.code == "input-drop").text' | grep tunnel; }
	echo "table inet fw { chain in { $chain $usual udp dport 51820 accept } }" | ruleset
	is 'a firewall that drops VXLAN is told' \
		'the nftables chain inet fw in drops packets of the tunnel of the location, port 4789/udp' "$(tunnel)"
	must on a nft add rule inet fw in udp dport 4789 accept
	is 'and not if it does not' '' "$(tunnel)"
fi
on a nft delete table inet fw 2>/dev/null
i=0
{
	echo "table inet fw { chain in { $chain $usual"
	while [ $i -lt 3000 ]; do echo "ip saddr 10.$((i / 256)).$((i % 256)).0/24 tcp dport $((1000 + i)) accept"; i=$((i + 1)); done
	printf '}\n}\n'
} | ruleset
is 'three thousand rules are gone through' 1 "$(told | grep -c 'error.* drops')"
finish
