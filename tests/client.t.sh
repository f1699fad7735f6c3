#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The whole configuration of a peer, read by the programs that it is for.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
KILOWG=${KILOWG:-$top_srcdir/build/kilowg}
case $KILOWG in /*) ;; *) KILOWG=$PWD/$KILOWG ;; esac
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"
T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
cd "$T" || exit 99
umask 077

for who in a b phone; do
	"$KILOWG" genkey >$who.key
	"$KILOWG" pubkey <$who.key >$who.pub
done
"$KILOWG" genpsk >psk
cat >mesh.ini <<END
[mesh]
format = 1
name = a-mesh-with-a-long-name
[node]
name = a
location = x
endpoint = 203.0.113.1:51820
public-key = $(cat a.pub)
internal-ip = 10.1.1.1/24
[node]
name = b
location = y
endpoint = [2001:db8::1]:51820
public-key = $(cat b.pub)
[peer]
name = phone
public-key = $(cat phone.pub)
preshared-key = $(cat psk)
allowed-ip = 10.5.0.1/32, fd00:5::1/128
persistent-keepalive = 25
dns = 10.5.0.53, fd00:5::53
mtu = 1380
[peer]
name = net
public-key = $("$KILOWG" genkey | "$KILOWG" pubkey)
allowed-ip = 10.6.0.0/24
END
conf() { "$KILOWG" -f mesh.ini -n a showconf peer phone "$@"; }
config() { expect 0 "format $1" conf --format "$1" --private-key phone.key; cp "$T/out" "$1"; }

config wg-quick
is 'wg-quick: its own interface' "[Interface]
PrivateKey = $(cat phone.key)
Address = 10.5.0.1/32, fd00:5::1/128
DNS = 10.5.0.53, fd00:5::53
MTU = 1380" "$(sed '/^$/,$d' wg-quick)"
if command -v wg-quick >/dev/null && [ "$(id -u)" = 0 ]; then
	# Its name is that of an interface.
	cp wg-quick wg9.conf
	expect 0 'wg-quick strip reads it' wg-quick strip ./wg9.conf
	is 'and finds three peers' 3 "$(grep -c '^\[Peer\]' "$T/out")"
	is 'with their preshared key' 2 "$(grep -c "^PresharedKey = $(cat psk)" "$T/out")"
	unlike 'and takes its own lines out' "$T/out" '^(Address|DNS|MTU)'
	config wg
	is 'wg: the same is left' "$(grep -v '^#\|^$' "$T/out")" "$(grep -v '^#\|^$' wg)"
else
	skip 'wg-quick strip' 'there is no wg-quick, or no root, without whom it does nothing'
fi

config nm
if command -v nmcli >/dev/null && nmcli --offline connection modify con-name x <nm >nm.read 2>/dev/null; then
	is 'NetworkManager reads three peers' 3 "$(grep -c '^\[wireguard-peer\.' nm.read)"
	is 'its key' "private-key=$(cat phone.key)" "$(grep '^private-key=' nm.read)"
	is 'its addresses' 'address1=10.5.0.1/32 address1=fd00:5::1/128' "$(grep '^address1=' nm.read | tr '\n' ' ' | sed 's/ $//')"
	is 'the name of the interface' 'interface-name=a-mesh-with-a-l' "$(grep '^interface-name=' nm.read)"
else
	skip 'NetworkManager' 'there is no nmcli that works offline'
fi
config networkd
is 'networkd: two files' 2 "$(grep -c '^# /etc/systemd/network/a-mesh-with-a-l\.net' networkd)"
config json
config yaml
if command -v python3 >/dev/null && python3 -c 'import yaml' 2>/dev/null; then
	python3 -c 'import json, yaml; a = json.load(open("json")); b = yaml.safe_load(open("yaml")); raise SystemExit(a != b)'
	check 'YAML and JSON say the same' [ $? = 0 ]
else
	skip 'YAML and JSON say the same' 'there is no python3 with yaml'
fi

# ---- without a key, with a wrong one ----

expect 0 'without the private key' conf --format wg-quick
like 'its place is marked' "$T/out" '^# PrivateKey = put the private key here$'
expect 1 'the key of another' conf --format wg --private-key a.key
like 'is refused' "$T/err" 'is not that of peer "phone"'
unlike 'and not shown' "$T/err" "$(cut -c 1-20 a.key | sed 's/[+/]/./g')"
echo rubbish >rubbish
expect 1 'what is no key' conf --format wg --private-key rubbish
expect 5 'no such file' conf --format wg --private-key none
expect 0 'from standard input' sh -c '"$1" -f mesh.ini -n a showconf peer phone --private-key - <phone.key' sh "$KILOWG"
same 'it is wg-quick then' wg-quick "$T/out"
expect 1 'a peer without an address' "$KILOWG" -f mesh.ini -n a showconf peer net --format wg
like 'says what to do' "$T/err" 'give address in its section'
expect 1 'another format' conf --format ini
like 'names those that there are' "$T/err" 'wg-quick, wg, networkd, nm, yaml or json'
expect 1 'not of a node' "$KILOWG" -f mesh.ini showconf node a --format wg

# ---- QR codes ----

if ! conf --qr --private-key phone.key >qr.txt 2>err; then
	like 'no QR codes' err 'built without libqrencode'
	skip 'QR codes' 'this kilowg was built without libqrencode'
elif ! command -v zbarimg >/dev/null || ! conf --qr-png --private-key phone.key >qr.png 2>/dev/null; then
	skip 'QR codes' 'there is no zbarimg, or no libpng'
else
	zbarimg -q --raw qr.png >read 2>/dev/null
	is 'a decoder reads the configuration' "$(cat wg-quick)" "$(cat read)"
	expect 0 'as SVG' conf --qr-svg --private-key phone.key
	cp "$T/out" qr.svg
	# The same modules: of the image, of SVG and of the text.
	cat >modules.py <<'END'
import re, sys
svg = open("qr.svg").read()
n = int(re.search(r'viewBox="0 0 (\d+)', svg).group(1))
dark = [[0] * n for _ in range(n)]
for x, y, w in re.findall(r"M(\d+) (\d+)h(\d+)v1", svg):
    for i in range(int(w)):
        dark[int(y)][int(x) + i] = 1
text = [[0] * n for _ in range(n + n % 2)]
for y, line in enumerate(open("qr.txt").read().splitlines()):
    for x, c in enumerate(line):
        text[2 * y][x], text[2 * y + 1][x] = {" ": (1, 1), "▄": (1, 0), "▀": (0, 1), "█": (0, 0)}[c]
sys.exit(text[:n] != dark or not sum(map(sum, dark)))
END
	expect 0 'text and SVG have the same modules' env PYTHONUTF8=1 python3 modules.py
	expect 1 'without key' conf --qr
	like 'it says why not' "$T/err" 'phones refuse a QR code without private key'
	expect 1 'two at once' conf --qr --qr-svg --private-key phone.key
fi
finish
