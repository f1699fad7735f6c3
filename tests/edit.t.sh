#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg node and peer: files that are changed in place.

# shellcheck disable=SC2016,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
"$KILOWG" --version >/dev/null 2>&1 || cannot 'there is no program to compare with; KILOWG names it'
case $KILOWG in /*) ;; *) KILOWG=$PWD/$KILOWG ;; esac
cd "$T" || exit 99

key() { "$KILOWG" genkey | "$KILOWG" pubkey; }
k1=$(key) k2=$(key) k3=$(key)
psk=$("$KILOWG" genpsk)
cat >base.ini <<END
# The mesh of us all.
[mesh]
format = 1	; the only one

# Berlin
[node]
  name = a
  location = berlin
  endpoint = 203.0.113.1:51820
  public-key = $k1

# laptops
[peer]
name = old
public-key = $(key)
preshared-key = $psk
allowed-ip = 10.5.0.7/32
END
fresh() { cp base.ini mesh.ini; }
edit() { "$KILOWG" -f mesh.ini "$@"; }
fresh

# ---- nodes ----

expect 0 'a node is added' edit node add b location=paris endpoint=203.0.113.2:51820 "public-key=$k2" \
	allowed-location-ip=192.0.2.0/25 allowed-location-ip=192.0.2.128/25
cp "$T/out" shown.diff
like 'what changes is shown' "$T/out" '^\+\+\+ mesh.ini' '^\+\[node\]$' '^\+name = b$' "^\\+public-key = " '^ # laptops'
unlike 'and nothing else' "$T/out" '^-[^-]'
is 'nothing on standard error' '' "$(cat "$T/err")"
unlike 'a secret beside it is not' "$T/out" "$(printf %s "$psk" | cut -c 1-20 | sed 's/[+/]/./g')"
expect 0 'it is valid' edit check --strict
is 'it stands behind the other node' "$(printf '[node]\nname = b\nlocation = paris\nendpoint = 203.0.113.2:51820\npublic-key = %s\nallowed-location-ip = 192.0.2.0/25, 192.0.2.128/25\n' "$k2")" \
	"$(diff base.ini mesh.ini | sed -n '/^> ./s/^> //p')"
if command -v patch >/dev/null; then
	cp mesh.ini wanted.ini
	fresh
	must patch -s mesh.ini shown.diff
	same 'patch takes what is shown' wanted.ini mesh.ini
else
	skip 'patch takes what is shown' 'there is no patch'
fi
expect 1 'again: the name is taken' edit node add b location=paris endpoint=203.0.113.2:51820 "public-key=$k3"
like 'which is said with file and line' "$T/err" '^mesh.ini:[0-9]+: name: node "b" is used at mesh.ini:[0-9]+ already' 'stays as it was'
is 'and nothing is shown' '' "$(cat "$T/out")"
expect 0 'a setting is changed' edit node set b location=rome leader=yes
like 'in its line' "$T/out" '^-location = paris$' '^\+location = rome$' '^\+leader = yes$'
expect 0 'another is taken out' edit node set b leader=
like 'its line, too' "$T/out" '^-leader = yes$'
expect 0 'the node is removed' edit node remove b
same 'and the file is as it was' base.ini mesh.ini
expect 1 'again: there is none' edit node remove b
like 'by name' "$T/err" 'there is no node "b" in the files'
same 'the file stays' base.ini mesh.ini

wrong() {
	local text="$1" pattern="$2"
	shift 2
	fresh
	expect 1 "$text" edit "$@"
	like "$text: the message" "$T/err" "$pattern"
	same "$text: nothing is written" base.ini mesh.ini
}
wrong 'a wrong value' '^mesh.ini:[0-9]+: endpoint: "nowhere" is not accepted; accepted: host:port' node add b endpoint=nowhere "public-key=$k2"
wrong 'a wrong key' '^mesh.ini:[0-9]+: endpiont: unknown key in \[node\]; did you mean endpoint\?' node add b endpiont=203.0.113.2:51820
wrong 'the key of another node' 'node "b" has the key of node "a"' node add b "public-key=$k1" persistent-keepalive=25
wrong 'no setting' '"x" is no setting; key=value is one' node add b x
wrong 'a comment in a value' 'location: no value has' node add b 'location=x #y'
wrong 'a line in a value' 'location: no value has' node add b 'location=x
[mesh]'
wrong 'a secret on the command line' 'preshared-key: a secret is not for the command line' peer add p "preshared-key=$psk"
unlike 'it is not repeated' "$T/err" "$(printf %s "$psk" | cut -c 1-20 | sed 's/[+/]/./g')"
wrong 'no name' 'node add wants a name' node add
wrong 'no action' 'node takes add, set or remove' node
wrong 'another action' 'node takes add, set or remove' node delete a
wrong 'nothing to set' 'node set wants a setting' node set a
wrong 'an option for another action' 'takes no option but --dry-run' node remove a --from x
wrong 'another file' 'x.ini is not one of the files' node add b --in x.ini
fresh
expect 0 'a node that lacks something' edit node add b
like 'is warned of at once' "$T/err" 'warning: node "b" is left out'

# ---- a section from elsewhere ----

printf '\357\273\277# of b\r\n[node]\r\nname = b\r\npublic-key = %s\r\n# Nodes share:\r\n#location =\r\npersistent-keepalive = 25\r\n' "$k2" >b.ini
fresh
expect 0 'a section of a file' edit node add --from b.ini
like 'with its comments' mesh.ini '^# Nodes share:$' '^name = b$'
unlike 'and the ends of lines of this one' mesh.ini "$(printf '\r')"
fresh
expect 0 'of standard input, and settings' sh -c '"$1" -f mesh.ini node add c location=x persistent-keepalive=5 --from - <b.ini' sh "$KILOWG"
like 'which stand instead of its own' mesh.ini '^name = c$' '^location = x$' '^persistent-keepalive = 5$'
unlike 'and not beside them' mesh.ini '^(name = b|persistent-keepalive = 25)$'
cat b.ini base.ini >two.ini
wrong 'more than a section' 'has to be one \[node\] section, and nothing else' node add --from two.ini
printf '[node]\nname = b\nendpoint = x\n' >bad.ini
wrong 'a section with errors' 'line 3 of the text that is to be added: endpoint: "x" is not accepted' node add --from bad.ini
wrong 'a node as a peer' 'has to be one \[peer\] section' peer add p --from b.ini
fresh
expect 5 'no such file' edit node add --from none.ini

# ---- peers ----

fresh
expect 0 'a peer is added' edit peer add phone persistent-keepalive=25
like 'its whole configuration is printed' "$T/out" '^\[Interface\]$' '^PrivateKey = .{44}$' '^Address = 10.5.0.8/32$' '^\[Peer\]$' '^Endpoint = 203.0.113.1:51820$'
like 'what changes is shown beside it' "$T/err" '^\+\[peer\]$' '^\+name = phone$' '^\+allowed-ip = 10.5.0.8/32$'
private=$(sed -n 's/^PrivateKey = //p' "$T/out")
is 'the keys belong together' "public-key = $(echo "$private" | "$KILOWG" pubkey)" "$(grep '^public-key' mesh.ini | tail -n 1)"
cp "$T/err" shown
unlike 'the private key is kept nowhere' mesh.ini "$(printf %s "$private" | sed 's/[+/]/./g')"
unlike 'nor shown' shown "$(printf %s "$private" | sed 's/[+/]/./g')"
expect 0 'another' edit peer add tablet -q
is 'without a word on standard error' '' "$(cat "$T/err")"
like 'has the next address' "$T/out" '^Address = 10.5.0.9/32$'
expect 0 'for another program' edit peer add desk --format networkd --private-key desk.key
like 'has its form' "$T/out" '^\[NetDev\]$'
is 'the key is in the file' "PrivateKey=$(cat desk.key)" "$(grep '^PrivateKey' "$T/out")"
is 'which is for its owner alone' 600 "$(stat -c %a desk.key)"
cp mesh.ini before.ini
expect 5 'a key file that is there' edit peer add desk2 --private-key desk.key
like 'is not overwritten' "$T/err" 'desk.key: File exists'
same 'and no peer is added' before.ini mesh.ini
expect 5 'output that cannot be written' sh -c '"$1" -f mesh.ini peer add lost --private-key lost.key >/dev/full' sh "$KILOWG"
same 'adds no peer' before.ini mesh.ini
check 'and keeps no key' [ ! -e lost.key ]
run sh -c '{ "$1" -f mesh.ini peer add lost --private-key lost.key 2>/dev/null; echo $? >status; } | :' sh "$KILOWG"
is 'nor does a pipe that nobody reads' "$([ "$(cat status)" = 0 ] && echo yes || echo no)" "$([ -e lost.key ] && echo yes || echo no)"
"$KILOWG" -f mesh.ini peer remove lost >/dev/null 2>&1
rm -f lost.key
expect 0 'one with a key of its own' edit peer add own "public-key=$k3" allowed-ip=10.6.0.0/24 address=10.6.0.1/24
like 'has a place for it' "$T/out" '^# PrivateKey = put the private key here$'
expect 1 'for which no file is made' edit peer add own2 "public-key=$(key)" --private-key own.key
like 'as is said' "$T/err" 'leave public-key out'
expect 1 'nor a QR code' edit peer add own2 "public-key=$(key)" --qr
for p in phone tablet desk own; do expect 0 "$p is removed" edit peer remove $p; done
same 'and the file is as it was' base.ini mesh.ini
expect 1 'a peer wants a name' edit peer add --format wg
expect 1 'another format' edit peer add x --format ini
same 'nothing is written' base.ini mesh.ini
expect 0 'a dry run' edit peer add x --dry-run --private-key x.key
like 'shows what would change' "$T/out" '^\+name = x$'
unlike 'and no key' "$T/out" PrivateKey
check 'and keeps none' [ ! -e x.key ]
same 'and writes nothing' base.ini mesh.ini

# Addresses: none that anything has.
sed '/^# laptops/,$d' base.ini >mesh.ini
expect 0 'the first peer' edit peer add p
like 'has one behind the subnet of the mesh' "$T/out" '^Address = 10.5.0.1/32$'
must edit node set a pod-cidr=10.5.0.0/24
edit peer remove p >/dev/null
expect 0 'where pods are' edit peer add p
like 'the one behind them' "$T/out" '^Address = 10.5.1.1/32$'
must edit peer set p allowed-ip=10.5.1.254/32,fd00:5::1/128
expect 0 'with two families' edit peer add q
like 'one of each' "$T/out" '^Address = 10.5.2.1/32, fd00:5::2/128$'

# ---- the examples of kilowg(8) ----

fresh
sed -n '/^\.Sh EXAMPLES/,/^\.Sh DIAG/p' "$lib_dir/../man/kilowg.8" | sed -e ':a' -e '/\\e$/{' -e N -e 's/\\e\n *//' -e ba -e '}' |
	sed -n 's/^\(\.Dl \)\{0,1\}# kilowg \(peer .*\)/\2/p' >examples
check 'there are some' [ "$(grep -c . examples)" -ge 3 ]
while read -r words; do
	# shellcheck disable=SC2086
	run edit $words
	if [ "$status" = 1 ] && grep -q 'built without libqrencode' "$T/err"; then
		skip "$words" 'this kilowg was built without libqrencode'
	else
		is "$words" 0 "$status"
	fi
done <examples

# ---- files ----

fresh
chmod 640 mesh.ini
mkdir links
ln -s ../mesh.ini links/mesh.ini
expect 0 'by a link' "$KILOWG" -f links node add b "public-key=$k2" persistent-keepalive=25
check 'it stays a link' [ -L links/mesh.ini ]
like 'the file that it leads to is changed' mesh.ini '^name = b$'
is 'and has its mode' 640 "$(stat -c %a mesh.ini)"
if [ "$(id -u)" = 0 ] && chown 1:2 mesh.ini 2>/dev/null; then
	expect 0 'that of somebody else' "$KILOWG" -f mesh.ini node set b location=x
	is 'stays theirs' '1:2 640' "$(stat -c '%u:%g %a' mesh.ini)"
	chown 0:0 mesh.ini
fi
is 'nothing is left beside it' '' "$(find . -name 'mesh.ini?*')"
# Several at once: each change is whole, or is refused.
fresh
for i in 1 2 3 4 5 6 7 8; do
	edit node add "n$i" persistent-keepalive=25 "public-key=$(key)" >/dev/null 2>"err$i" &
done
wait
expect 0 'several at once leave a valid file' edit check
is 'of those that ended well all are in it' "$((9 - $(cat err? | grep -c 'changed the file meanwhile')))" "$(grep -c '^ *name = [an]' mesh.ini)"
# In CRLF, without an end at the last line, with a byte order mark.
{ printf '\357\273\277'; sed 's/$/\r/' base.ini | head -c -2; } >mesh.ini
expect 0 'a file of other ends of lines' edit node add b "public-key=$k2" persistent-keepalive=25
is 'has no other now' 0 "$(grep -vc "$(printf '\r')\$" mesh.ini | sed 's/^1$/0/')"
expect 0 'and is valid' edit check --strict
mkdir many
cp base.ini many/10-mesh.ini
printf '[node]\nname = c\npublic-key = %s\npersistent-keepalive = 25\n' "$k3" >many/20-nodes.ini
printf '[local]\nnode = a\n' >many/30-local.ini
expect 1 'of several files' "$KILOWG" -f many node add b "public-key=$k2" persistent-keepalive=25
like 'it says which' "$T/err" 'several files describe the mesh: many/10-mesh.ini, many/20-nodes.ini' '--in FILE'
expect 0 'and takes the one that is named' "$KILOWG" -f many node add b "public-key=$k2" persistent-keepalive=25 --in many/20-nodes.ini
like 'it is there' many/20-nodes.ini '^name = b$'
expect 0 'and is found there' "$KILOWG" -f many node remove b
unlike 'and gone' many/20-nodes.ini '^name = b$'
rm many/20-nodes.ini
expect 0 'a file of this host alone is none of these' "$KILOWG" -f many node add b "public-key=$k2" persistent-keepalive=25
expect 1 'standard input' sh -c '"$1" -f - node remove a <mesh.ini' sh "$KILOWG"
like 'cannot be changed' "$T/err" 'standard input cannot be changed'
printf '[mesh]\nformat = 1\n[node]\nname = a\nnmae = b\n' >mesh.ini
expect 0 'what is wrong can be taken out' edit node remove a
is 'and the rest stays' "$(printf '[mesh]\nformat = 1')" "$(cat mesh.ini)"
expect 0 'an end marker' edit node add x "public-key=$k1" persistent-keepalive=5
printf '[mesh]\nformat = 1\nend-marker = yes\n[end]\n' >mesh.ini
expect 0 'stays at the end' edit node add x "public-key=$k1" persistent-keepalive=5
is 'of the file' '[end]' "$(tail -n 1 mesh.ini)"
expect 0 'which is valid' edit check --strict
if [ "$(id -u)" != 0 ]; then
	fresh
	mkdir closed
	cp base.ini closed/mesh.ini
	chmod 555 closed
	expect 5 'a folder that may not be changed' "$KILOWG" -f closed node remove a
	like 'is named' "$T/err" 'closed/mesh.ini: creating a file beside it: Permission denied'
	chmod 755 closed
fi
finish
