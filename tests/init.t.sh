#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg init: the first files of a host.

# shellcheck disable=SC2016,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
"$KILOWG" --version >/dev/null 2>&1 || cannot 'there is no program to compare with; KILOWG names it'
case $KILOWG in /*) ;; *) KILOWG=$PWD/$KILOWG ;; esac
cd "$T" || exit 99

init() { "$KILOWG" -f "$T/etc" init --private-key "$T/var/key" "$@" </dev/null; }

# ---- options ----

expect 0 'with all options' init --name a --location berlin --endpoint 203.0.113.1:51820 --internal-ip 10.1.1.1/24
cp "$T/out" a.node
is 'the section is printed' "[node]
name = a
public-key = $("$KILOWG" pubkey <var/key)
location = berlin
endpoint = 203.0.113.1:51820
internal-ip = 10.1.1.1/24" "$(cat a.node)"
is 'and nothing else' '' "$(cat "$T/err")"
is 'all are for their owner alone' '600 600 600' "$(stat -c %a etc/local.ini etc/mesh.ini var/key | tr '\n' ' ' | sed 's/ $//')"
is 'the folders, too' '700 700' "$(stat -c %a etc var | tr '\n' ' ' | sed 's/ $//')"
expect 0 'they are valid' "$KILOWG" -f etc check --strict
expect 0 'and make a plan of this host' "$KILOWG" -f etc plan
like 'by the name of [local]' etc/local.ini '^node = a$' "^private-key-file = $T/var/key\$"
like 'the section is in the file' etc/mesh.ini '^name = a$' '^internal-ip = 10.1.1.1/24$'
cp -R etc etc.before
cp var/key key.before
expect 0 'once more' init --name a --location berlin --endpoint 203.0.113.1:51820 --internal-ip 10.1.1.1/24
same 'prints the same' a.node "$T/out"
expect 1 'with another name' init --name b --location berlin --endpoint 203.0.113.1:51820 --internal-ip 10.1.1.1/24
like 'it refuses' "$T/err" 'etc/local.ini exists already and is not changed; no file was created'
expect 1 'with another answer' init --name a --endpoint 203.0.113.9:51820
like 'too' "$T/err" 'etc/mesh.ini exists already and is not changed'
check 'and changes nothing' diff -r etc etc.before
same 'nor the key' key.before var/key
rm -r etc
expect 0 'a key that is there is used' init --name b --endpoint - --internal-ip -
is 'and stays' "$(cat key.before)" "$(cat var/key)"
like 'who cannot be called calls' "$T/out" '^persistent-keepalive = 25$' '^internal-ip = -$' '^location = b$'
unlike 'and has no endpoint' "$T/out" endpoint
expect 0 'another can be added' "$KILOWG" -f etc node add --from a.node public-key="$("$KILOWG" genkey | "$KILOWG" pubkey)"
expect 0 'and all is valid' "$KILOWG" -f etc check --strict
expect 1 'then init does not touch it' init --name b --endpoint - --internal-ip -
rm -r etc var

# ---- all or none ----

none() {
	local text="$1" status="$2" pattern="$3"
	shift 3
	expect "$status" "$text" init "$@"
	like "$text: the message" "$T/err" "$pattern"
	is "$text: no file" '' "$(find etc var -type f 2>/dev/null)"
}
none 'a wrong endpoint' 1 'mesh.ini:[0-9]+: endpoint: "nowhere" is not accepted; accepted: host:port.*no file was made' --name a --endpoint nowhere
none 'a wrong address' 1 'internal-ip: "10.1.1.1" is not accepted' --name a --internal-ip 10.1.1.1
none 'a name that would be a comment' 1 'name: no value has' --name '#a'
none 'more lines than one' 1 'location: no value has' --name a --location 'x
[peer]'
none 'no name' 1 'a node wants a name' --name ''
none 'an operand' 1 'init takes no operand' a
mkdir -p etc/mesh.ini
expect 5 'the last file cannot be made' init --name a
is 'so none is' '' "$(find etc var -type f 2>/dev/null)"
rm -rf etc var
mkdir etc
: >var
expect 5 'nor can the first' init --name a
is 'so none is' '' "$(ls etc)"
rm -rf etc var
mkdir etc
printf '[mesh]\nformat = 1\n' >etc/other.ini
expect 1 'a mesh is there in another file' init --name a
like 'which is named' "$T/err" 'a second \[mesh\].*etc/other.ini:1 has it.*no file was made'
is 'no file' 'etc/other.ini' "$(find etc var -type f 2>/dev/null)"
rm -rf etc
expect 1 'two folders' "$KILOWG" -f a -f b init --name a

# ---- on a terminal ----

if ! command -v python3 >/dev/null; then
	skip 'on a terminal' 'there is no python3'
	finish
fi
cat >ask.py <<'END'
import os, pty, sys
# ask.py ANSWERS COMMAND...: each line is typed when the program asks; what it says goes to standard output.
answers = sys.argv[1].split("|")
pid, fd = pty.fork()
if not pid:
    os.execvp(sys.argv[2], sys.argv[2:])
text, asked = b"", 0
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    text += data
    if text.endswith(b"]: "):
        os.write(fd, (answers[asked] + "\n").encode() if asked < len(answers) else b"\x04")
        asked += 1
        text += b"\n"
sys.stdout.write(text.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
terminal() {
	local answers="$1"
	shift
	python3 ask.py "$answers" "$KILOWG" -f "$T/etc" init --private-key "$T/var/key" "$@"
}
expect 0 'four answers' terminal 'a|berlin|203.0.113.1:51820|10.1.1.1/24'
like 'are asked for' "$T/out" '^Name of this node \[[^]]*\]: ' '^Location .*\[a\]: ' '^HOST:PORT where others reach it' '^Private address'
like 'and kept' etc/mesh.ini '^name = a$' '^location = berlin$' '^endpoint = 203.0.113.1:51820$' '^internal-ip = 10.1.1.1/24$'
rm -rf etc var
expect 0 'a wrong one' terminal 'a||nowhere|[2001:db8::1]:5182|-'
like 'is asked for again' "$T/out" '"nowhere" is not accepted; accepted: host:port'
like 'nothing means what is proposed' etc/mesh.ini '^location = a$' '^endpoint = \[2001:db8::1\]:5182$' '^internal-ip = -$'
rm -rf etc var
expect 0 'what options say' terminal '-' --name a --location x --internal-ip -
unlike 'is not asked for' "$T/out" '^Name of this node|^Location|^Private address'
rm -rf etc var
expect 1 'no more answers' terminal 'a|b'
like 'is the end' "$T/out" 'the answers end; no file was made'
is 'no file' '' "$(find etc var -type f 2>/dev/null)"
finish
