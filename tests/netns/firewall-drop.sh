#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Chains of others that drop what is forwarded: check --live, status and apply -v
# name them with what helps, and what they advise does help. Rulesets such as
# Docker and firewalld make come through all of kilowg's life byte for byte.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping nft jq iptables-nft-save
nft list ruleset >/dev/null 2>&1 || cannot 'the kernel has no nftables, or does not let us use them'
need_cni
choose_backend
three_nodes
sed 's/^firewall = .*/firewall = nftables\ncni = yes\nforward-rules = yes/' "$T/local.ini" >"$T/local.new"
mv "$T/local.new" "$T/local.ini"
daemons a b c
local_edit() { sed "$1" "$T/local.ini" >"$T/local.new" && mv "$T/local.new" "$T/local.ini"; }
firewall() { local_edit "s/^firewall = .*/firewall = $1/"; }

expect 0 'check --live where nobody drops' kwg a check --live --strict
is 'is silent' '' "$(cat "$T/out" "$T/err")"
expect 0 'it has JSON' kwg a -j check --live
is 'of nothing' '[null,[],1]' "$(jq -c '[.firewall_problem,.forward_drop,.schema]' "$T/out")"
for node in a b c; do
	must kwg $node apply
done
check 'the mesh works' reaches a.pod 10.2.3.2 10.2.2.2

# ---- FORWARD of iptables drops, as Docker makes it ----

# VARIANT CHAIN: is it told, with a remedy (a pattern), by all that can tell it?
told() {
	expect 0 "check --live tells of $1" kwg a check --live
	like 'with what helps' "$T/err" "^kilowg: warning: $1.*; .*$2"
	is 'and of no other' 1 "$(grep -c . "$T/err")"
	expect 1 'with --strict it is an error' kwg a check --live --strict
	run kwg a status
	like 'status tells it, too' "$T/out" "^warning: $1" "^ .*$2"
	run kwg a -j status
	is 'and its JSON' "$3" "$(jq -r '.forward_drop[] | .kind + " " + .chain' "$T/out")"
	run kwg a -j check --live
	is 'and that of check' "$3" "$(jq -r '.forward_drop[] | .kind + " " + .chain' "$T/out")"
	expect 0 'apply -v' kwg a -v apply
	like 'as well' "$T/err" "$1.*; .*$2"
}
not_told() {
	expect 0 "$1" kwg a check --live --strict
	run kwg a status
	unlike 'nor does status' "$T/out" '^warning'
}

must on a iptables-nft -P FORWARD DROP
check 'now nothing is forwarded' unreachable b.pod 10.2.3.2
told 'the iptables chain ip filter FORWARD drops what is forwarded and not accepted there \(its policy is drop\)' \
	'set firewall = iptables, .*iptables -I FORWARD -i kilo0 -j ACCEPT, .*DOCKER-USER' 'iptables ip filter FORWARD'
firewall iptables
not_told 'with firewall = iptables it says nothing'
must kwg a apply
check 'and packets are forwarded' reaches b.pod 10.2.3.2
local_edit 's/^forward-rules = yes/forward-rules = no/'
told 'the iptables chain ip filter FORWARD' 'set cni = yes and forward-rules = yes;' 'iptables ip filter FORWARD'
check 'without forward-rules they are not' unreachable b.pod 10.2.3.2
local_edit 's/^forward-rules = no/forward-rules = yes/'
firewall nftables
must kwg a apply
must on a iptables-nft -I FORWARD -i kilo0 -j ACCEPT
must on a iptables-nft -I FORWARD -o kilo0 -j ACCEPT
check 'the rules that are advised help, too' reaches a.pod 10.2.3.2
must on a nft flush ruleset
must kwg a apply

# ---- a rule that drops the rest, as firewalld has it ----

must on a nft add table inet firewalld
must on a nft add chain inet firewalld filter_FORWARD '{ type filter hook forward priority filter + 10 ; }'
must on a nft add rule inet firewalld filter_FORWARD ct state established,related accept
must on a nft add rule inet firewalld filter_FORWARD ip6 saddr fd99::/16 reject
not_told 'rules that choose are not taken for ones that drop everything'
must on a nft add rule inet firewalld filter_FORWARD counter reject with icmpx admin-prohibited
told 'the nftables chain inet firewalld filter_FORWARD drops .* \(a rule without conditions\)' \
	'firewall-cmd .*--add-interface=kilo0' 'nftables inet firewalld filter_FORWARD'
firewall iptables
must kwg a apply
check 'iptables does not help against it' unreachable b.pod 10.2.3.2
told 'the nftables chain inet firewalld filter_FORWARD' 'firewall-cmd .*kilo0' 'nftables inet firewalld filter_FORWARD'
firewall nftables
must kwg a apply
must on a nft flush ruleset
must on a nft add table ip mine
must on a nft add chain ip mine fw '{ type filter hook forward priority 10 ; policy drop ; }'
told 'the nftables chain ip mine fw' 'nft insert rule ip mine fw iifname kilo0 accept' 'nftables ip mine fw'
must kwg a apply
must on a nft insert rule ip mine fw iifname kilo0 accept
must on a nft insert rule ip mine fw oifname kilo0 accept
check 'what is advised helps' reaches a.pod 10.2.3.2
must on a nft delete table ip mine

# ---- iptables-legacy ----

if on a iptables-legacy -t filter -S >/dev/null 2>&1; then
	must on a iptables-legacy -P FORWARD DROP
	told 'the iptables-legacy chain ip filter FORWARD' 'iptables-legacy -I FORWARD -i kilo0' 'iptables-legacy ip filter FORWARD'
	must on a iptables-legacy -P FORWARD ACCEPT
	must on a ip6tables-legacy -A FORWARD -j REJECT
	told 'the iptables-legacy chain ip6 filter FORWARD drops .* \(a rule without conditions\)' \
		'ip6tables-legacy -I FORWARD -i kilo0' 'iptables-legacy ip6 filter FORWARD'
	must on a ip6tables-legacy -F FORWARD
else
	skip 'iptables-legacy' "$(on a iptables-legacy -t filter -S 2>&1 | head -n 1)"
fi
not_told 'then nobody drops any more'
must kwg a down

# ---- what others have ----

# Docker: iptables-nft. firewalld and more: sets of intervals, maps, verdict maps,
# meters, flowtables, objects with names, comments, quotas, chains of a device.
others_make() {
	on a iptables-nft-restore <<'END'
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A FORWARD -o lan0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1300
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
-A INPUT -p tcp -m multiport --dports 22,80,443 -m comment --comment "kilowg, say \"hello\"" -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -j RETURN
COMMIT
END
	on a ip6tables-nft-restore <<'END'
*mangle
:FORWARD ACCEPT [0:0]
-A FORWARD -o lan0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1280
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -i docker0 -j ACCEPT
-A INPUT -p ipv6-icmp -j ACCEPT
COMMIT
END
	{
		cat <<'END'
table inet firewalld {
	comment "kilowg mesh=kilo protocol=107 digest=none of ours"
	set trusted { type ipv4_addr; flags interval; auto-merge; elements = { 10.99.0.0/16, 192.0.2.1-192.0.2.9 }; }
	set seen { type ipv4_addr . inet_service; size 1000; flags dynamic,timeout; timeout 1h; }
	map ports { type inet_service : ipv4_addr; elements = { 8443 : 10.99.0.7, 8444 : 10.99.0.8 }; }
	map zones { type ifname : verdict; elements = { "eth7" : jump zone_public, "kilo0" : accept, "kilo9" : drop }; }
	map nets { type ipv6_addr : mark; flags interval; elements = { fd99::/16 : 0x17, fd98::1 : 0x18 }; }
	chain filter_PREROUTING { type filter hook prerouting priority filter + 10; policy accept;
		ct state invalid counter drop comment "not for us";
		tcp dport vmap { 22 : accept, 23 : drop, 1000-2000 : jump zone_public };
		udp dport 53 meta mark set ip6 daddr map @nets; }
	chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept; ct status dnat accept; iifname vmap @zones;
		ip saddr @trusted accept; reject with icmpx admin-prohibited; }
	chain zone_public { tcp flags syn limit rate 10/second burst 5 packets accept;
		add @seen { ip saddr . tcp dport } ; return; }
	chain nat_PREROUTING { type nat hook prerouting priority dstnat + 10; policy accept;
		dnat ip to tcp dport map @ports; }
}
table ip kilowg-kilo { chain x { ip saddr 10.98.0.1 accept; }; }
table ip6 kilowg-kilo { set s { type ipv6_addr; elements = { fd99::1 }; }; }
table inet kilowgs { chain forward { type filter hook forward priority filter; policy accept; }; }
END
		echo 'table inet many { set big { type ipv4_addr; flags interval; elements = {'
		awk 'BEGIN { for (i = 0; i < 5000; i++) printf "11.%d.%d.0/25,\n", i / 250, i % 250 }'
		echo '}; }; }'
	} >"$T/others.nft"
	on a nft -f "$T/others.nft" || return
	# Not all kernels have these.
	while read -r what text; do
		echo "$text" >"$T/more.nft"
		on a nft -f "$T/more.nft" 2>/dev/null || say "without $what, which this kernel does not have"
	done <<'END'
bridge table bridge b { chain x { ether saddr 02:00:00:00:00:01 accept; }; }
arp table arp a { chain x { arp operation request accept; }; }
netdev table netdev n { chain in { type filter hook ingress device "lan0" priority 0; policy accept; ip protocol 99 drop; }; }
objects table inet objects { counter dropped { comment "what was dropped"; }; quota monthly { over 20000 mbytes; }; limit slow { rate 10/second burst 5 packets; }; chain o { tcp flags syn limit name "slow" accept; quota name "monthly" drop; counter name "dropped" drop; }; }
helpers table inet helpers { ct helper ftp-standard { type "ftp" protocol tcp; l3proto ip; }; chain h { tcp dport 21 ct helper set "ftp-standard"; }; }
flowtables table inet flows { flowtable f { hook ingress priority 0; devices = { "lan0" }; }; chain y { type filter hook forward priority 1; policy accept; ip protocol tcp flow add @f; }; }
END
}
others_make || bail 'the rules of others cannot be made'
# With handles; and nothing of ours.
ruleset() {
	on a nft -a list ruleset 2>/dev/null | awk '
		/^table inet kilowg-kilo \{/ { ours = 1 }
		!ours
		/^}/ { ours = 0 }' | if [ "${1:-}" = iptables ]; then
		awk '/^\tchain kilowg-kilo0-/ { ours = 1 } !ours && !/kilowg mesh=kilo protocol=107" .* jump / && !/jump kilowg-kilo0-/ { print } /^\t}/ { ours = 0 }' | sed '/^$/d'
	else
		sed '/^$/d' | sed -E 's/packets [0-9]+ bytes [0-9]+/packets bytes/'
	fi | sed -E 's/packets [0-9]+ bytes [0-9]+/packets bytes/'
}
ruleset >"$T/others"
say "$(grep -c . "$T/others") lines of others"
for kind in nftables iptables; do
	firewall $kind
	[ "$backend" != external ] || { daemon_stop TERM a; daemons a; }
	expect 0 "$kind: apply" kwg a apply
	ruleset $kind >"$T/now"
	same 'leaves what others have, handles and all' "$T/others" "$T/now"
	mesh_edit c '' 'pod-cidr = 10.77.0.0/24'
	expect 0 'a change' kwg a apply
	ruleset $kind >"$T/now"
	same 'as well' "$T/others" "$T/now"
	mesh_edit c 'pod-cidr = 10.77.0.0/24' ''
	expect 0 'down' kwg a down
	ruleset none >"$T/now"
	same 'leaves nothing else than was there' "$T/others" "$T/now"
done
finish
