#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# BoringTun's UAPI is not the documented one. boringtun.py behaves as it does;
# kilowg has to get what it wants all the same.
#
#   pod 10.2.1.2
#        |
#        a (boringtun.py) ------ wan 203.0.113.0/24 ------ c (does not exist)
#                           .1                        .3
# and three peers, p, q and r, in the file only.

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg python3
need_tun
backend=external

bridge_add wan
node_add a
plug a wan0 wan 203.0.113.1/24
pod_add a 10.2.1.0/24
psk=$(wg genpsk)
mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
# p has all that could leak to the next peer, q and r have none of it.
mesh_peer p 'endpoint = 203.0.113.101:51820' "preshared-key = $psk" 'allowed-ip = 10.5.0.1/32' \
	'allowed-ip = 10.6.0.0/24'
mesh_peer q 'allowed-ip = 10.5.0.2/32'
mesh_peer r 'allowed-ip = 10.5.0.3/32'
local_ini 'fwmark = 4660'

log=$T/boringtun.log
socket=$T/nodes/a/wireguard/kilo0.sock

boringtun() {
	: >"$log"
	nsenter --net=/run/netns/a -- python3 "$lib_dir/netns/boringtun.py" kilo0 "$socket" "$log" \
		>"$T/a.log" 2>&1 &
	echo $! >"$T/a.pid"
	wait_for 60 request get=1 || { show "$T/a.log"; bail 'boringtun.py does not start'; }
	: >"$log"
}

# REQUEST: prints the answer; fails if there is none.
request() {
	# The time-out is for the answer: where the kernel is user-mode Linux, Python starts in seconds.
	timeout 30 python3 -S -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(1)
s.connect(sys.argv[1])
s.sendall((sys.argv[2] + "\n\n").encode())
print(s.makefile().read())' "$socket" "$1"
}

unbase64() { base64 -d | od -An -v -tx1 | tr -d ' \n'; }
hex() { unbase64 <"$T/keys/$1.pub"; }

# Prints what the daemon has, each peer in one line, keys as names.
have() {
	request get=1 >"$T/answer" || echo 'the daemon does not answer'
	set --
	for name in a c p q r; do
		set -- "$@" -e "s/$(hex $name)/$name/"
	done
	sed -E -e '/^(last_handshake|rx_bytes|tx_bytes|errno|$)/d' "$@" "$T/answer" |
		sed -e "s/$(echo "$psk" | unbase64)/psk/" |
		awk '/^public_key=/ { print line; line = $0; next } { line = line ? line " " $0 : $0 }
			END { print line }' | sort
}

device='own_public_key=a listen_port=51820 fwmark=4660'
c='public_key=c endpoint=203.0.113.3:51820 allowed_ip=10.2.3.0/24 allowed_ip=10.4.0.2/32'
p='public_key=p preshared_key=psk endpoint=203.0.113.101:51820 allowed_ip=10.5.0.1/32 allowed_ip=10.6.0.0/24'
q='public_key=q allowed_ip=10.5.0.2/32'
r='public_key=r allowed_ip=10.5.0.3/32'

# Without what means the same as nothing, and with allowed IPs in order.
canonical() {
	sed -E -e 's/ preshared_key=0{64}//' -e 's/ persistent_keepalive_interval=0( |$)/\1/' | awk '{
		n = split($0, w, " "); line = ""; k = 0
		for (i = 1; i <= n; i++)
			if (w[i] ~ /^allowed_ip=/) ips[++k] = w[i]
			else line = line (line ? " " : "") w[i]
		for (i = 1; i <= k; i++) for (j = i + 1; j <= k; j++)
			if (ips[j] < ips[i]) { t = ips[i]; ips[i] = ips[j]; ips[j] = t }
		for (i = 1; i <= k; i++) line = line " " ips[i]
		print line
	}'
}

# TEXT LINE...: does the daemon have this and nothing else?
has() {
	local text="$1"
	shift
	is "$text" "$(printf '%s\n' "$@" | sort)" "$(have | canonical)"
}

# TEXT: applies, and looks after the daemon.
applies() {
	: >"$log"
	expect 0 "$1: apply" timeout 20 nsenter --net=/run/netns/a -- unshare --mount sh "$T/as-node" \
		"$T/nodes/a" "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply
	unlike "$1: the daemon lives" "$log" '^panic'
	unlike "$1: the daemon has refused nothing" "$log" '^< errno=[^0]'
	unlike "$1: no update_only, which it does not know" "$log" 'update_only'
}

# TEXT NAME...: were no other peers mentioned in what was set?
only() {
	local text="$1" name others=''
	shift
	for name in c p q r; do
		case " $* " in *" $name "*) ;; *) others="$others|$(hex $name)" ;; esac
	done
	unlike "$text: nothing is said about other peers" "$log" "^> public_key=(${others#|})"
}

# ---- the stand-in really is as bad as the original ----

boringtun
is 'stand-in: adding a peer before the private key is the end' '' \
	"$(request "$(printf 'set=1\npublic_key=%s\nallowed_ip=10.9.0.0/24' "$(hex q)")" 2>/dev/null)"
like 'stand-in: it has panicked' "$log" '^panic: Private key'
check 'stand-in: and does not answer any more' gone request get=1
daemon_stop KILL a
must wait_for 30 gone on a ip link show kilo0
boringtun
request "$(printf 'set=1\nprivate_key=%s\npublic_key=%s\nendpoint=192.0.2.1:9\npublic_key=%s' \
	"$(printf %064d 1)" "$(hex p)" "$(hex q)")" >"$T/out"
has 'stand-in: settings leak to the next peer' \
	"own_public_key=$(echo AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE= | wg pubkey | unbase64)" \
	'public_key=p endpoint=192.0.2.1:9' 'public_key=q endpoint=192.0.2.1:9'
request "$(printf 'set=1\npublic_key=%s\nupdate_only=true' "$(hex p)")" >"$T/out"
like 'stand-in: update_only is an error' "$T/out" '^errno=22$'
is 'stand-in: so is changing a peer' '' \
	"$(request "$(printf 'set=1\npublic_key=%s\nendpoint=192.0.2.2:9' "$(hex p)")" 2>/dev/null)"
like 'stand-in: again a panic' "$log" '^panic: Modifying'
daemon_stop KILL a
must wait_for 30 gone on a ip link show kilo0

# ---- kilowg ----

boringtun
expect 3 'diff on a fresh host' kwg a diff
unlike 'diff sets nothing' "$log" '^> set=1'
applies 'first'
has 'first: all is as wanted' "$device" "$c" "$p" "$q" "$r"
expect 0 'diff: no difference' kwg a diff
applies 'second'
unlike 'second: nothing is set' "$log" '^> set=1'
expect 0 'status: healthy' kwg a status
like 'the age of a handshake is in seconds, not in years' "$T/out" '^p .* ([7-9]|[12][0-9]) s ago .*ok$'
like 'the implementation has a name' "$T/out" '[Bb]oring[Tt]un'

mesh_edit p 'endpoint = 203.0.113.101:51820' 'endpoint = 203.0.113.102:51820'
p='public_key=p preshared_key=psk endpoint=203.0.113.102:51820 allowed_ip=10.5.0.1/32 allowed_ip=10.6.0.0/24'
applies 'other endpoint'
has 'other endpoint: all is as wanted' "$device" "$c" "$p" "$q" "$r"
only 'other endpoint' p

mesh_edit p "preshared-key = $psk" ''
p='public_key=p endpoint=203.0.113.102:51820 allowed_ip=10.5.0.1/32 allowed_ip=10.6.0.0/24'
applies 'no preshared key any more'
has 'no preshared key any more: all is as wanted' "$device" "$c" "$p" "$q" "$r"
only 'no preshared key any more' p

mesh_edit q '' "preshared-key = $psk"
q='public_key=q preshared_key=psk allowed_ip=10.5.0.2/32'
applies 'a preshared key'
has 'a preshared key: all is as wanted' "$device" "$c" "$p" "$q" "$r"
only 'a preshared key' q

mesh_edit p 'allowed-ip = 10.6.0.0/24' ''
p='public_key=p endpoint=203.0.113.102:51820 allowed_ip=10.5.0.1/32'
applies 'one allowed IP less'
has 'one allowed IP less: all is as wanted' "$device" "$c" "$p" "$q" "$r"
only 'one allowed IP less' p

mesh_edit r 'allowed-ip = 10.5.0.3/32' 'allowed-ip = 10.5.0.3/32, 10.6.0.0/24'
r='public_key=r allowed_ip=10.5.0.3/32 allowed_ip=10.6.0.0/24'
applies 'it goes to another peer'
has 'it goes to another peer: all is as wanted' "$device" "$c" "$p" "$q" "$r"
only 'it goes to another peer' r

# A keepalive is the node's own choice and holds for all its peers.
mesh_edit a '' 'persistent-keepalive = 25'
applies 'keepalive'
has 'keepalive: all is as wanted' "$device" \
	'public_key=c persistent_keepalive_interval=25 endpoint=203.0.113.3:51820 allowed_ip=10.2.3.0/24 allowed_ip=10.4.0.2/32' \
	'public_key=p persistent_keepalive_interval=25 endpoint=203.0.113.102:51820 allowed_ip=10.5.0.1/32' \
	'public_key=q preshared_key=psk persistent_keepalive_interval=25 allowed_ip=10.5.0.2/32' \
	'public_key=r persistent_keepalive_interval=25 allowed_ip=10.5.0.3/32 allowed_ip=10.6.0.0/24'
mesh_edit a 'persistent-keepalive = 25' ''
applies 'no keepalive any more'
has 'no keepalive any more: all is as wanted' "$device" "$c" "$p" "$q" "$r"

# The one that comes first in the daemon's list: there remove=true would hit all after it.
first=$(have | sed -n 's/^public_key=\([pqr]\) .*/\1/p' | head -n 1)
mesh_drop "$first"
applies "the first of three peers ($first) goes"
set -- "$device" "$c"
for name in p q r; do
	[ $name = "$first" ] || eval "set -- \"\$@\" \"\$$name\""
done
has "the first of three peers ($first) goes: the others are intact" "$@"
only "the first of three peers ($first) goes" "$first"

sed -i 's/^fwmark = .*/fwmark = 22136/' "$T/local.ini"
shift
applies 'other fwmark'
has 'other fwmark: the peers are intact' 'own_public_key=a listen_port=51820 fwmark=22136' "$@"
only 'other fwmark'

applies 'again'
unlike 'again: nothing is set' "$log" '^> set=1'
expect 0 'down' kwg a down
unlike 'down: the daemon lives' "$log" '^panic'
unlike 'down: the daemon has refused nothing' "$log" '^< errno=[^0]'
is 'down: no peers are left' '' "$(have | grep '^public_key=')"
applies 'after down'

# ---- a daemon that has stopped answering must not stop kilowg for good ----

request "$(printf 'set=1\npublic_key=%s\nendpoint=192.0.2.2:9' "$(hex c)")" >"$T/out" 2>&1
like 'the daemon has panicked' "$log" '^panic'
local_ini 'fwmark = 22136' 'interface-timeout = 2s'
since=$(date +%s)
expect 2 'apply does not hang, and fails' timeout 30 nsenter --net=/run/netns/a -- unshare --mount \
	sh "$T/as-node" "$T/nodes/a" "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply
like 'the message names the interface' "$T/err" 'kilo0'
check 'within seconds' [ $(($(date +%s) - since)) -le 15 ]
finish
