#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-userspace as a program: start and end, the socket, wg(8) and
# wg-quick(8), the link's state, port, mark and MTU while running, privileges.
#
#	a -- wg0 10.9.0.1 == 192.0.2.1 -- wan -- 192.0.2.2 == wg0 10.9.0.2 -- b
#
# shellcheck disable=SC2154  # status is set by run
. "$(dirname -- "$0")/../lib.sh"
enter "$@"

need wg wg-quick python3
need_tun
ours=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ -x "$ours" ] || cannot "kilowg-userspace is not built"

bridge_add wan
node_add a b
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
for node in a b; do public_key $node >/dev/null; done
socket=/var/run/wireguard/wg0.sock

# PID of the daemon in a node, found by its socket.
daemon_pid() {
	local pid
	for pid in /proc/[0-9]*; do
		[ "$(readlink "$pid/exe" 2>/dev/null)" = "$(readlink -f "$ours")" ] || continue
		[ "$(stat -Lc %i "$pid/ns/net")" = "$(on "$1" stat -Lc %i /proc/self/ns/net)" ] || continue
		tr '\0' ' ' <"$pid/cmdline" | grep -q " $2 \$" || continue
		echo "${pid#/proc/}"
	done
}
is_gone() { [ -z "$(daemon_pid "$1" "$2")" ]; }
socket_gone() { [ ! -e "$T/nodes/$1/wireguard/$2.sock" ]; }

# ---- names and instances

for name in '' . .. a/b 'a b' a234567890123456; do
	expect 1 "the name \"$name\" is refused" on a "$ours" -f "$name"
	is "with one line" 1 "$(grep -c . "$T/err")"
done
expect 1 "no name is refused" on a "$ours"
for option in --no-such -x -xf -fx; do
	expect 1 "the option $option is refused" on a "$ours" $option wg0
	is "with one line" 1 "$(grep -c . "$T/err")"
	like "that names it" "$T/err" "option (--no-such|-x);"
done
for count in 0 65 ' 1' +1 1x; do
	expect 1 "KILOWG_WORKERS=\"$count\" is refused" on a env KILOWG_WORKERS="$count" "$ours" wg0
done
expect 0 "--version" on a "$ours" --version
expect 0 "--help" on a "$ours" --help

expect 0 "the parent ends when the socket answers" on a "$ours" wg0
expect 0 "and it does" on a wg show wg0
is "the socket is its owner's" 'srw-------' "$(stat -c %A "$T/nodes/a/wireguard/wg0.sock")"
is "the link is down" '' "$(on a ip link show up dev wg0)"
like "and has its MTU" <(on a ip link show wg0) 'mtu 1420'
pid=$(daemon_pid a wg0)
must test -n "$pid"
is "it has left terminal and folder" '/dev/null /dev/null /dev/null /' \
	"$(readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2" "/proc/$pid/cwd" | tr '\n' ' ' | sed 's/ $//')"
check "who reads what it prints comes to an end" on a timeout 5 sh -c "x=\$($ours wg1 2>&1); wg show wg1 && ip link del wg1"
check "so with standard error kept for the log" on a timeout 5 sh -c "x=\$(LOG_LEVEL=verbose $ours wg1 2>$T/err); wg show wg1 && ip link del wg1"
like "which is written" "$T/err" 'DEBUG: .*cipher'
check "it starts without any of the three" on a sh -c "$ours wg1 <&- >&- 2>&-; wg show wg1 && ip link del wg1"
mkdir -p "$T/nodes/a/wireguard/wg1.sock"
expect 1 "a folder where the socket should be" on a "$ours" wg1
like "is told" "$T/err" 'wg1.sock is there already, and is no socket'
rmdir "$T/nodes/a/wireguard/wg1.sock"
expect 1 "a second instance is refused" on a "$ours" wg0
like "and says why" "$T/err" 'wg0'
expect 0 "the first is untouched" on a wg show wg0

# ---- privileges

like "capabilities: NET_ADMIN and NET_BIND_SERVICE are left" "/proc/$pid/status" '^CapEff:	0000000000001400$' '^CapPrm:	0000000000001400$'
like "no new ones can be gained" "/proc/$pid/status" '^NoNewPrivs:	1$'
like "no core dumps" "/proc/$pid/limits" '^Max core file size +0 +0'
# The address sanitizer locks nothing and has much memory of its own.
sanitized() { grep -q '__asan_init' "$ours"; }
vm() { awk -v k="$1:" '$1 == k { print $2 }' "/proc/$2/status"; }
if sanitized; then
	skip "keys are locked in memory" "the address sanitizer locks none"
else
	check "keys are locked in memory" [ "$(vm VmLck "$pid")" -ge 64 ]
	check "and all of it is less than 8 MiB at the start ($(vm VmRSS "$pid") kB)" [ "$(vm VmRSS "$pid")" -lt 8192 ]
fi
if sanitized; then
	skip "system calls are filtered" "not under the address sanitizer"
elif grep -q libseccomp "${top_builddir:-${lib_dir%/*}/build}/kilowg.pc"; then
	like "system calls are filtered" "/proc/$pid/status" '^Seccomp:	2$'
else
	skip "system calls are filtered" "built without libseccomp"
fi

# A kernel without seccomp filters is one whose system calls for them fail.
cat >"$T/unfiltered.py" <<'END'
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
calls = {"x86_64": (317, 157), "aarch64": (277, 167)}.get(os.uname().machine)
if not calls: sys.exit("not known for this machine")
def op(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
SECCOMP, PRCTL = calls
ERRNO, PR_SET_SECCOMP = 0x50000, 22
code = [op(0x20, 0, 0, 0), op(0x15, 4, 0, SECCOMP), op(0x15, 0, 2, PRCTL), op(0x20, 0, 0, 16),
        op(0x15, 2, 0, PR_SET_SECCOMP), op(6, 0, 0, 0x7fff0000), op(6, 0, 0, ERRNO + 38), op(6, 0, 0, ERRNO + 22)]
program = ctypes.create_string_buffer(b"".join(code))
libc.prctl(38, 1, 0, 0, 0)	# PR_SET_NO_NEW_PRIVS
if libc.prctl(PR_SET_SECCOMP, 2, struct.pack("@HP", len(code), ctypes.addressof(program)), 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
END
if sanitized || ! grep -q libseccomp "${top_builddir:-${lib_dir%/*}/build}/kilowg.pc"; then
	skip "a kernel without filters" "there is none in this program"
elif ! on a python3 "$T/unfiltered.py" /bin/true 2>"$T/err"; then
	skip "a kernel without filters" "$(tail -n 1 "$T/err")"
else
	check "a kernel without filters: it starts" on a sh -c "python3 $T/unfiltered.py $(readlink -f "$ours") wg1 2>$T/err"
	like "and says that there is none" "$T/err" 'ERROR: .*system calls are not filtered: the kernel has no seccomp filters'
	check "and serves" on a sh -c "wg show wg1 && ip link del wg1"
fi

# ---- ends

must kill -TERM "$pid"
check "SIGTERM ends it" wait_for 30 is_gone a wg0
check "the socket is gone" socket_gone a wg0
check "the link is gone" gone on a ip link show wg0

# This script may have been started by nohup itself.
hup=
env --default-signal=HUP true 2>/dev/null && hup='env --default-signal=HUP'
# shellcheck disable=SC2086  # words
must on a $hup "$ours" wg0
must kill -HUP "$(daemon_pid a wg0)"
check "so does SIGHUP" wait_for 30 is_gone a wg0
check "the socket is gone" socket_gone a wg0
must on a nohup "$ours" wg0
pid=$(daemon_pid a wg0)
must kill -HUP "$pid"
expect 0 "not if it was ignored" on a wg show wg0
must kill -TERM "$pid"
must wait_for 30 is_gone a wg0

must on a "$ours" wg0
must on a ip link del wg0
check "deleting the link ends it" wait_for 30 is_gone a wg0
check "the socket is gone" socket_gone a wg0

must on a "$ours" wg0
must rm "$T/nodes/a/wireguard/wg0.sock"
check "removing the socket ends it" wait_for 30 is_gone a wg0
check "the link is gone" gone on a ip link show wg0

must on a "$ours" wg0
must kill -KILL "$(daemon_pid a wg0)"
check "kill -9 leaves no link" wait_for 30 gone on a ip link show wg0
expect 0 "and a new instance starts in spite of the old socket" on a "$ours" wg0
expect 0 "and answers" on a wg show wg0

# ---- wg(8)

must on b "$ours" wg0
conf() {	# NODE PEER ADDRESS NUMBER
	printf '[Interface]\nPrivateKey = %s\nListenPort = 51820\n[Peer]\nPublicKey = %s\nEndpoint = %s:51820\nAllowedIPs = 10.9.0.%s/32, fd09::%s/128\n' \
		"$(cat "$T/keys/$1")" "$(public_key "$2")" "$3" "$4" "$4"
}
conf a b 192.0.2.2 2 >"$T/a.conf"
conf b a 192.0.2.1 1 >"$T/b.conf"
expect 0 "wg setconf" on a wg setconf wg0 "$T/a.conf"
must on b wg setconf wg0 "$T/b.conf"
must on a ip addr add 10.9.0.1/24 dev wg0
must on b ip addr add 10.9.0.2/24 dev wg0
must on a ip link set wg0 up
must on b ip link set wg0 up
check "packets pass" wait_for 10 on a ping -c 1 -W 1 -q 10.9.0.2
on a wg showconf wg0 >"$T/shown"
like "wg showconf has it all" "$T/shown" '^ListenPort = 51820' '^PrivateKey = ' '^Endpoint = 192.0.2.2:51820' 'AllowedIPs = 10.9.0.2/32, fd09::2/128'
handshakes() { on "$1" wg show wg0 latest-handshakes; }
before=$(handshakes a)
expect 0 "wg syncconf with the same" on a wg syncconf wg0 "$T/a.conf"
is "disturbs no session" "$before" "$(handshakes a)"

# ---- while running

must on a wg set wg0 listen-port 51999
check "another port: packets pass at once" on a ping -c 1 -W 2 -q 10.9.0.2
like "the other side has learnt it" <(on b wg show wg0 endpoints) '192.0.2.1:51999'
on a python3 -c 'import os, signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 52000)); print(os.getpid(), flush=True); signal.pause()' >"$T/busy" &
wait_for 60 grep -q . "$T/busy" || bail "the port's holder does not start"
expect 1 "a port that is taken is refused" on a wg set wg0 listen-port 52000
check "and the old one goes on" on a ping -c 1 -W 2 -q 10.9.0.2
must kill "$(cat "$T/busy")"

must on a wg set wg0 fwmark 0x1234
like "fwmark is set" <(on a wg show wg0 fwmark) '^0x1234$'
must on a ip rule add fwmark 0x1234 unreachable
check "and is on what leaves: a rule stops it" unreachable a 10.9.0.2
must on a ip rule del fwmark 0x1234
must on a wg set wg0 fwmark off
check "without it packets pass" wait_for 10 on a ping -c 1 -W 1 -q 10.9.0.2

must on a ip link set wg0 mtu 1280
must on b ip link set wg0 mtu 1280
check "another MTU: as large as it" on a ping -c 1 -W 2 -q -M 'do' -s 1252 10.9.0.2
check "not larger" gone on a ping -c 1 -W 1 -q -M 'do' -s 1253 10.9.0.2

# Padding to a multiple of 16 ends at the MTU: 1285 bytes and 32 around them.
must on a ip link set wg0 mtu 1285
sent() { on a wg show wg0 transfer | cut -f 3; }
before=$(sent)
must on a ping -c 1 -W 2 -q -s 1257 10.9.0.2
is "it is followed: padding ends there" $((before + 1317)) "$(sent)"
must on a ip link set wg0 mtu 1280

must on a ip link set wg0 down
check "link down: nothing is answered" unreachable b 10.9.0.1
is "and nobody listens" '' "$(on a ss -Hlun sport = 51999)"
must on a ip link set wg0 up
check "link up: packets pass again" wait_for 10 on a ping -c 1 -W 1 -q 10.9.0.2
if can_ipv6; then
	must on a ip link set wg0 down
	on a python3 -c 'import os, signal, socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(("::", 51999)); print(os.getpid(), flush=True); signal.pause()' >"$T/busy" &
	wait_for 60 grep -q . "$T/busy" || bail "the port's holder does not start"
	must on a ip link set wg0 up
	expect 1 "link up while IPv6 has the port for somebody else: that is told to who asks for it" \
		on a wg set wg0 listen-port 51999
	must kill "$(cat "$T/busy")"
	check "when it is free it is taken without being told" \
		wait_for 15 on a sh -c "ss -Hlun4 sport = 51999 | grep -q ."
else
	skip "a port that is taken on IPv6" "there is no IPv6 here"
fi
check "packets pass again" wait_for 10 on a ping -c 1 -W 1 -q 10.9.0.2
like "on the same port" <(on a wg show wg0 listen-port) '^51999$'

check "an address of nobody is answered at once" gone on a ping -c 1 -W 5 -q -I 10.9.0.1 10.9.0.77
like "by an ICMP message" <(on a ping -c 1 -W 5 -I 10.9.0.1 10.9.0.78 2>&1) 'Unreachable|unreachable|Required key not available'

# ---- the socket's grammar

cat >"$T/uapi.py" <<'END'
import socket, sys
path, key, own = sys.argv[1], sys.argv[2], sys.argv[3]
def ask(text, half=False):
    s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(path)
    s.sendall(text.encode())
    if half: return s
    b = b""
    while not b.endswith(b"\n\n"):
        d = s.recv(65536)
        if not d: break
        b += d
    return b.decode()
def errno(text): return ask(text).strip().split("errno=")[-1]
peer = "public_key=" + key + "\n"
good = [("", 0), ("fwmark=0\n", 0), (peer + "update_only=true\n", 0), (peer + "persistent_keepalive_interval=0\n", 0),
        ("public_key=" + own + "\nallowed_ip=10.99.0.0/16\n", 0)]
bad = [("nonsense\n", 71), ("nonsense=1\n", 22), ("listen_port=65536\n", 22), ("listen_port=-1\n", 22), ("listen_port= 1\n", 22),
       ("fwmark=4294967296\n", 22), ("private_key=00\n", 22), ("private_key=" + "g" * 64 + "\n", 22), ("replace_peers=false\n", 22),
       ("remove=true\n", 22), (peer + "listen_port=1\n", 22), (peer + "remove=false\n", 22), (peer + "allowed_ip=10.0.0.0/33\n", 22),
       (peer + "allowed_ip=10.0.0.0\n", 22), (peer + "endpoint=1.2.3.4\n", 22), (peer + "endpoint=host:1\n", 22),
       (peer + "persistent_keepalive_interval=65536\n", 22), (peer + "protocol_version=2\n", 22), (peer + "preshared_key=1\n", 22)]
half = ask("set=1\nfwmark=", half=True)
quiet = ask("get=1\n\n" * 100, half=True)
for text, want in good + bad:
    got = errno("set=1\n" + text + "\n")
    if got != str(-want if want else 0): sys.exit("%r: wanted %d, got %s" % (text, want, got))
if not ask("get=1\n\n").endswith("errno=0\n\n"): sys.exit("get")
if "own" in ask("get=1\n\n"): sys.exit("own")
n = 10000
many = "set=1\n" + "".join("public_key=%064x\nallowed_ip=10.%d.%d.%d/32\n" % (i + 1, 100 + (i >> 16), i >> 8 & 255, i & 255) for i in range(n)) + "\n"
if errno(many) != "0": sys.exit("many")
if ask("get=1\n\n").count("public_key=") != n + 1: sys.exit("count")
if errno("set=1\n" + "".join("public_key=%064x\nremove=true\n" % (i + 1) for i in range(n)) + "\n") != "0": sys.exit("remove")
if ask("get=1\n\n").count("public_key=") != 1: sys.exit("count after")
END
hex() { base64 -d <"$1" | od -An -tx1 | tr -d ' \n'; }
check "requests: the right errno for each, half-sent ones hold up nobody, 10,000 peers" \
	on b python3 "$T/uapi.py" $socket "$(hex "$T/keys/a.pub")" "$(hex "$T/keys/b.pub")"
check "and packets still pass" wait_for 10 on b ping -c 1 -W 1 -q 10.9.0.1

# Thousands that are all to be spoken to at once: who has a session waits for none of them.
cat >"$T/speak.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(("set=1\n" + "".join("public_key=%064x\nendpoint=192.0.2.77:1\npersistent_keepalive_interval=%s\n%s" % (
    i + 1, sys.argv[2], sys.argv[3]) for i in range(10000)) + "\n").encode())
sys.exit(s.recv(99) != b"errno=0\n\n")
END
on b ping -i 0.05 -c 40 -W 2 10.9.0.1 >"$T/pings" 2>&1 &
pings=$!
check "10,000 peers with a persistent keepalive" on b python3 "$T/speak.py" $socket 25 ""
wait $pings
like "a session waits for none of them" "$T/pings" ' 0% packet loss'
longest=$(sed -n 's/^rtt .*= *[0-9.]*\/[0-9.]*\/\([0-9]*\).*/\1/p' "$T/pings")
check "not even a second (${longest} ms at most)" [ "$longest" -lt 1000 ]
check "and they go" on b python3 "$T/speak.py" $socket 0 "remove=true
"

# ---- no key stays in memory

cat >"$T/search.py" <<'END'
import sys
pid, keys = sys.argv[1], [bytes.fromhex(k) for k in sys.argv[2:]]
def forms(k):	# as it is, and as the configuration tells it; its middle, for the rest may be written over
    return k[4:20], k.hex().encode()[16:48]
found = set()
mem = open("/proc/%s/mem" % pid, "rb")
for line in open("/proc/%s/maps" % pid):
    r, flags = line.split()[:2]
    if not flags.startswith("rw"): continue
    begin, end = (int(x, 16) for x in r.split("-"))
    if end - begin > 1 << 30: continue	# no memory of ours but the shadow of a sanitizer
    mem.seek(begin)
    try: b = mem.read(end - begin)
    except OSError: continue
    found |= {i for i, k in enumerate(keys) for f in forms(k) if f in b}
print("".join(str(i) for i in sorted(found)))
END
pid=$(daemon_pid b wg0)
(umask 077; wg genpsk >"$T/old.psk"; wg genkey >"$T/old.key")
search() { python3 "$T/search.py" "$pid" "$(hex "$T/old.psk")" "$(hex "$T/old.key")" "$(hex "$T/keys/b")" 2>"$T/check"; }
must on b wg set wg0 private-key "$T/old.key" peer "$(wg pubkey <"$T/old.psk")" preshared-key "$T/old.psk"
on b wg show wg0 dump >"$T/dump"
if ! found=$(search); then
	skip "keys in memory" "the memory of the process cannot be read: $(tail -n 1 "$T/check")"
else
	is "the keys in use are found in memory" 01 "$found"
fi
must on b wg set wg0 private-key "$T/keys/b" peer "$(wg pubkey <"$T/old.psk")" remove
on b wg show wg0 dump >"$T/dump"
if [ -n "$found" ]; then
	is "of a removed peer and an old private key nothing is left" 2 "$(search)"
fi
check "and packets still pass" wait_for 10 on b ping -c 1 -W 1 -q 10.9.0.1

# ---- keys where memory cannot be locked, or not much of it

cat >"$T/many.py" <<'END'
import socket, sys
def ask(text):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(text.encode())
    b = b""
    while not b.endswith(b"\n\n"): b += s.recv(1 << 20) or sys.exit("closed")
    return b.decode()
n = int(sys.argv[2])
if "errno=0" not in ask("set=1\n" + "".join("public_key=%064x\npreshared_key=%064x\n" % (i + 1, i + 1) for i in range(n)) + "\n"):
    sys.exit("set")
if ask("get=1\n\n").count("public_key=") != n: sys.exit("get")
END
# LIMIT: kilowg-userspace wg1 as one who may lock so many kB, no more.
start_limited() {
	on a setpriv --bounding-set -ipc_lock,-sys_resource --inh-caps -ipc_lock,-sys_resource \
		sh -c "ulimit -l $1; LOG_LEVEL=verbose exec \"\$0\" wg1" "$ours" >"$T/limited" 2>&1
}
if sanitized; then
	skip "with a limit of locked memory" "the address sanitizer locks none"
elif ! command -v setpriv >/dev/null; then
	skip "with a limit of locked memory" "there is no setpriv"
else
	for limit in 0 64 8192; do
		check "locked memory of $limit kB at most: it starts" start_limited $limit
		# What is enough has to be so for as many as the manual says.
		count=1000
		[ $limit -lt 8192 ] || count=10000
		check "$count peers" on a python3 "$T/many.py" "${socket%wg0.sock}wg1.sock" $count
		pid=$(daemon_pid a wg1)
		check "what may be locked is ($(vm VmLck "$pid") kB)" [ "$(vm VmLck "$pid")" -le $limit ]
		if [ $limit -lt 8192 ]; then
			is "that not all is, is told once" 1 "$(grep -c 'locked in memory' "$T/limited")"
		else
			unlike "they all are" "$T/limited" 'locked in memory'
		fi
		must kill -TERM "$pid"
		must wait_for 30 is_gone a wg1
	done
fi

# ---- wg-quick

must kill -TERM "$(daemon_pid a wg0)"
check "SIGTERM amid a session" wait_for 30 is_gone a wg0
mkdir -p "$T/quick"
{ conf a b 192.0.2.2 2 | sed 's/^ListenPort.*/&\nAddress = 10.9.0.1\/24/'; } >"$T/quick/wg0.conf"
chmod 600 "$T/quick/wg0.conf"
mkdir -p "$T/bin"
ln -sf "$(readlink -f "$ours")" "$T/bin/kilowg-userspace"
# Where the kernel has WireGuard, wg-quick does not ask for another.
if has_kernel_wireguard; then
	skip "wg-quick up" "the kernel has WireGuard"
else
	expect 0 "wg-quick up" on a env PATH="$T/bin:$PATH" WG_QUICK_USERSPACE_IMPLEMENTATION=kilowg-userspace \
		wg-quick up "$T/quick/wg0.conf"
	check "packets pass" wait_for 10 on a ping -c 1 -W 1 -q 10.9.0.2
	expect 0 "wg-quick down" on a wg-quick down "$T/quick/wg0.conf"
	check "nothing is left" wait_for 30 is_gone a wg0
fi
finish
