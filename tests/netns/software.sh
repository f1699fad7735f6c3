#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Other software that works on the same host, the real programs: systemd-networkd with a DHCP
# server, NetworkManager, firewalld, nft, iptables. What each of them breaks, what status says, and
# how long it takes until kilowg-watch.service has repaired it. tests/netns/others.sh has the same by
# its effect, for hosts that have none of them.
#
#   pod 10.2.1.2 --- this host, kilowg --- wan0 === wan1 --- c 10.4.0.2 --- pod 10.2.3.2
#                          |
#                        lan0 10.1.1.1/24, where a node b would be

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/systemd.sh
. "$(dirname -- "$0")/../systemd.sh"

# ---- with systemd ----------------------------------------------------------

has_program() { command -v "$1" >/dev/null || { skip "$1" "there is no $1"; return 1; }; }
planned() { kilowg -q diff; }
pods_flow() { ip netns exec a.pod ping -c 1 -W 1 -q 10.2.3.2; }
ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }
watches() { systemctl is-active -q kilowg-watch; }
# All is as planned, and nobody is at work on it: a second look finds the same.
rests() { planned && systemctl is-active -q kilowg-watch && planned; }

another_host() {
	must ip netns add c
	must ip link add wan0 type veth peer name wan1 netns c
	must ip -n c link set lo up
	must ip -n c link set wan1 up
	must ip -n c addr add 203.0.113.3/24 dev wan1
	must ip netns exec c kilowg-userspace wgc
	must ip netns exec c wg set wgc private-key "$T/keys/c" listen-port 51820 \
		peer "$(cat "$T/keys/a.pub")" endpoint 203.0.113.1:51820 persistent-keepalive 1 \
		allowed-ips 10.4.0.1/32,10.2.1.0/24
	must ip -n c link set wgc up
	must ip -n c addr add 10.4.0.2/16 dev wgc
	must ip -n c addr add 10.2.3.2/32 dev lo
	must ip -n c route add 10.2.1.0/24 dev wgc
	must ip link add lan0 type veth peer name lan1 netns c
	must ip -n c link set lan1 up
	must ip link set lan0 up
	must ip addr add 10.1.1.1/24 dev lan0
	must ip netns add a.pod
	must ip link add pod0 type veth peer name eth0 netns a.pod
	must ip link set pod0 up
	must ip addr add 10.2.1.1/24 dev pod0
	must ip -n a.pod link set lo up
	must ip -n a.pod link set eth0 up
	must ip -n a.pod addr add 10.2.1.2/24 dev eth0
	must ip -n a.pod route add default via 10.2.1.1
	echo 1 >/proc/sys/net/ipv4/ip_forward
}

# ROW EFFECT: without anybody who repairs; says what is broken.
looks() {
	local row="$1" effect="$2"
	watches && systemctl stop kilowg-watch
	must kilowg apply --wait
	must "$effect"
	run kilowg status
	kilowg diff >"$T/steps" 2>/dev/null
	say "$row: status $status, $(grep -c '^[-+~]' "$T/steps") steps: $(head -n 2 "$T/steps" | tr '\n' ';')"
	grep -E '^(drift|[a-z-]+ .*(drop|reject|is missing))' "$T/out" | sed 's/^/#   /'
}

# ROW EFFECT: it breaks something, and watch repairs that.
repaired() {
	local row="$1" effect="$2" since n
	looks "$row" "$effect"
	is "$row: status sees it" 3 "$status"
	expect 0 "$row: apply repairs it" kilowg apply --wait
	must systemctl start kilowg-watch
	wait_for 20 rests
	since=$(ms)
	must "$effect"
	n=$(ms)
	check "$row: watch repairs it" wait_for 10 planned
	say "$row: $(($(ms) - n)) ms after the program was done, $(($(ms) - since)) after it began"
	check "$row: for good" wait_for 20 rests
	check "$row: packets flow" wait_for 10 pods_flow
}

# ROW EFFECT
harmless() {
	looks "$1" "$2"
	check "$1: breaks nothing" planned
	check "$1: packets flow" wait_for 10 pods_flow
}

# ---- systemd-networkd, and DHCP ----

networkd_restart() { systemctl restart systemd-networkd && wait_for 20 is_configured; }
is_configured() { [ "$(networkctl --no-pager list wan0 lan0 | grep -c ' configured')" = 2 ]; }
lease_is() { ip -o -4 addr show dev wan0 | grep -qF " $1/"; }
link_flap() { ip link set lan0 down && ip link set lan0 up && wait_for 20 is_configured; }
# As suspend does it: all processes stand still meanwhile.
resume() {
	systemctl kill -s STOP kilowg-watch kilowg-userspace@kilo0
	link_flap
	systemctl kill -s CONT kilowg-watch kilowg-userspace@kilo0
	:
}
outside_flap() { ip link set wan0 down && ip link set wan0 up && wait_for 20 lease_is 203.0.113.1; }
dhcp_gives() {
	if [ -e "$T/dnsmasq.pid" ]; then
		read -r dnsmasq <"$T/dnsmasq.pid"
		kill "$dnsmasq" && wait_for 20 gone kill -0 "$dnsmasq"
	fi
	rm -f "$T/leases" "$T/dnsmasq.pid"
	ip netns exec c dnsmasq --conf-file=/dev/null --port=0 --interface=wan1 --bind-interfaces --no-ping \
		--dhcp-authoritative --dhcp-leasefile="$T/leases" --pid-file="$T/dnsmasq.pid" --user=root \
		--dhcp-range="$1,$1,255.255.255.0,2m" --dhcp-option=3
}
# The link is down for a moment, so that networkd asks at once.
renewal() {
	dhcp_gives "$1" && ip link set wan0 down && ip link set wan0 up && wait_for 30 lease_is "$1" && return
	ip addr show dev wan0
	journalctl -b --no-pager -o cat -u systemd-networkd | tail -n 5
	return 1
}
to_another_address() { if lease_is 203.0.113.77; then renewal 203.0.113.78; else renewal 203.0.113.77; fi; }

networkd() {
	[ -x /lib/systemd/systemd-networkd ] || { skip systemd-networkd 'there is none'; return; }
	printf '[Match]\nName=wan0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n[DHCPv4]\nClientIdentifier=mac\nSendHostname=no\nUseDNS=no\n' >/etc/systemd/network/wan0.network
	printf '[Match]\nName=lan0\n[Network]\nAddress=10.1.1.1/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' >/etc/systemd/network/lan0.network
	mkdir -p /run/systemd/system/systemd-networkd.service.d
	printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/systemd-networkd.service.d/test.conf
	must systemctl daemon-reload
	if has_program dnsmasq && dhcp_gives 203.0.113.1; then
		ip addr flush dev wan0
		must systemctl start systemd-networkd
		wait_for 30 lease_is 203.0.113.1 || { fail 'networkd gets an address by DHCP'; journalctl -b --no-pager -o cat -u systemd-networkd | tail | sed 's/^/#   /'; return; }
	fi
	check 'packets flow' wait_for 20 pods_flow
	harmless 'systemd-networkd is restarted, with the drop-in' networkd_restart
	ln -s /dev/null /etc/systemd/networkd.conf.d/50-kilowg.conf
	must networkd_restart
	repaired 'systemd-networkd is restarted, without it' networkd_restart
	rm /etc/systemd/networkd.conf.d/50-kilowg.conf
	must networkd_restart
	check 'packets flow' wait_for 20 pods_flow
	repaired 'the private network goes down and up' link_flap
	repaired 'resume from suspend, by its effect' resume
	harmless 'the underlay goes down and up' outside_flap
	[ ! -e "$T/dnsmasq.pid" ] || {
		harmless 'DHCP gives another address' to_another_address
		harmless 'and another one' to_another_address
		must renewal 203.0.113.1
		check 'packets flow' wait_for 20 pods_flow
	}
	# The socket would start it again at the next change of a link.
	must systemctl stop systemd-networkd.socket systemd-networkd.service
	# For good, and not for as long as the lease was.
	must ip addr replace 203.0.113.1/24 dev wan0 valid_lft forever preferred_lft forever
	must ip addr replace 10.1.1.1/24 dev lan0
	must ip link set wan0 up
	# It may take its addresses along when it ends, and nobody watches now.
	must kilowg apply --wait
	check 'packets flow' wait_for 20 pods_flow
}

# ---- firewalls ----

flush_ruleset() { nft flush ruleset; }
iptables_as_docker() {
	iptables -P FORWARD DROP && iptables -N DOCKER-USER && iptables -A FORWARD -j DOCKER-USER &&
		iptables -A DOCKER-USER -j RETURN
}
firewalld_reload() { firewall-cmd -q --reload; }
firewalld_restart() { systemctl restart firewalld; }

firewalls() {
	has_program nft && repaired 'nft flush ruleset' flush_ruleset
	if has_program iptables; then
		looks 'iptables, as Docker calls it' iptables_as_docker
		like 'iptables, as Docker calls it: status names the chain' "$T/out" 'iptables ip filter FORWARD|ip filter FORWARD'
		check 'iptables, as Docker calls it: there is no difference' planned
		iptables -P FORWARD ACCEPT
	fi
	if has_program firewalld; then
		must systemctl start firewalld
		must firewall-cmd -q --set-default-zone=trusted
		harmless 'firewalld is restarted' firewalld_restart
		harmless 'firewalld is reloaded' firewalld_reload
		must systemctl start kilowg-watch
		must firewalld_reload
		check 'firewalld is reloaded: watch has nothing to do' rests
		must firewall-cmd -q --set-default-zone=public
		run kilowg status
		say "firewalld, zone public: status $status"
		like 'firewalld with another zone: status names the chain' "$T/out" 'firewalld'
		must systemctl stop firewalld
		check 'packets flow without it' wait_for 20 pods_flow
	fi
}

# ---- NetworkManager ----

nm_restart() { systemctl restart NetworkManager; }
nm_disconnects() { nmcli -w 10 device disconnect kilo0; }
unmanaged() { nmcli -g GENERAL.STATE device show kilo0 | grep -q '^10 '; }

network_manager() {
	local conf=/usr/lib/NetworkManager/conf.d/50-kilowg.conf
	has_program NetworkManager || return
	must mkdir -p /etc/NetworkManager/conf.d
	printf '[keyfile]\nunmanaged-devices=interface-name:wan*;interface-name:pod*\n' >/etc/NetworkManager/conf.d/10-test.conf
	[ -e $conf ] || { mkdir -p "${conf%/*}"; cp "$(find /usr/local/lib/NetworkManager -name 50-kilowg.conf)" $conf; }
	must systemctl start NetworkManager
	check 'NetworkManager with the snippet: the interface is not its own' wait_for 20 unmanaged
	harmless 'NetworkManager is restarted, with the snippet' nm_restart
	must systemctl stop NetworkManager
	mv $conf $conf.off
	must systemctl start NetworkManager
	harmless 'NetworkManager is restarted, without it' nm_restart
	say "it calls the interface: $(nmcli -g GENERAL.STATE,GENERAL.CONNECTION device show kilo0 | tr '\n' ' ')"
	repaired 'NetworkManager disconnects the interface' nm_disconnects
	must systemctl stop NetworkManager
	mv $conf.off $conf
}

with_systemd() {
	is 'systemd is the first process' systemd "$(cat /proc/1/comm)"
	must ip link set lo up
	another_host
	must ip link set wan0 up
	must ip addr add 203.0.113.1/24 dev wan0
	cp "$T/mesh.ini" /etc/kilowg/topology.ini
	must mkdir -p /etc/systemd/network /etc/systemd/networkd.conf.d
	must systemctl start kilowg-userspace@kilo0
	expect 0 'the mesh' systemctl start kilowg-watch
	check 'packets flow' wait_for 20 pods_flow
	networkd
	firewalls
	network_manager
	systemctl stop kilowg-watch
	[ "$tap_failed" = 0 ] || journalctl -b --no-pager -o short-monotonic | grep -vE 'audit|pam' | tail -n 80 | sed 's/^/#   /'
	printf '1..%d\n' "$tap_n"
}

[ "${KWG_TEST_SYSTEMD:-}" != yes ] || systemd_end with_systemd

# ---- outside ---------------------------------------------------------------

need wg nft
need_tun
need_systemd
enter "$@"
mesh_begin
mesh_node a 'location = x' 'leader = yes' 'endpoint = 203.0.113.1:51820' 'internal-ip = 10.1.1.1/24' 'pod-cidr = 10.2.1.0/24' 'persistent-keepalive = 1s'
mesh_node b 'location = x' 'endpoint = 10.1.1.2:51820' 'internal-ip = 10.1.1.2/24' 'pod-cidr = 10.2.2.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24' 'persistent-keepalive = 1s'
systemd_files
printf '[local]\nnode = a\nfirewall = nftables\ncreate-interface = no\ninterface-timeout = 60s\nprivate-key-file = %s\n' \
	"$T/keys/a" >"$os/etc/kilowg/local.ini"
systemd_run 300
