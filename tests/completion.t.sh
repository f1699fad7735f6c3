#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Completion: what the program offers, and that each shell, on a terminal, shows it.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

top=${top_srcdir:-$lib_dir/..}
tmp=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$tmp"' EXIT
T=$tmp
"$KILOWG" --version >/dev/null 2>&1 || cannot 'there is no program to compare with; KILOWG names it'

key() { "$KILOWG" genkey | "$KILOWG" pubkey; }
node() { printf '\n[node]\nname = %s\npublic-key = %s\nendpoint = 203.0.113.%d:51820\npod-cidr = 10.2.%d.0/24\n' "$1" "$(key)" "$2" "$2"; }
{
	printf '[mesh]\nformat = 1\n'
	node berlin-1 1
	node berlin-2 2
	node paris 3
	printf '\n[peer]\nname = laptop\npublic-key = %s\nallowed-ip = 10.5.0.1/32\n' "$(key)"
} >"$tmp/mesh.ini"
printf '[node]\nname = oslo\nkey = value\n' >"$tmp/bad.ini"
"$KILOWG" -f "$tmp/mesh.ini" check || bail 'the mesh has errors'

# TEXT WANTED WORD...: what it offers, without explanations, in one line.
offers() {
	local text="$1" wanted="$2"
	shift 2
	is "$text" "$wanted" "$("$KILOWG" complete -- "$@" 2>/dev/null | cut -f 1 | tr '\n' ' ' | sed 's/ $//')"
}
commands=$("$KILOWG" --help | awk '/^Commands:/ { here = 1; next } !NF { here = 0 } here { print $1 }')
is 'the first word is a command of the list' "$commands" "$("$KILOWG" complete -- '' | cut -f 1)"
long() { sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p' | sort; }
for c in $commands; do
	is "$c has its options" "$("$KILOWG" "$c" --help | long)" "$("$KILOWG" complete -- "$c" -- | cut -f 1 | sort)"
done
is 'each command is explained as in the list' "$("$KILOWG" --help | sed -n 's/^  status *//p')" \
	"$("$KILOWG" complete -- status | cut -f 2)"
offers 'of commands those that begin so' 'status' sta
offers 'options before a command are passed over' 'status' -v --json sta
offers 'and after it, those that begin so' '--openmetrics --output' metrics --o
f=$tmp/mesh.ini
offers 'a node' 'berlin-1 berlin-2' -f "$f" --node b
offers 'behind a short option' 'berlin-1 berlin-2 paris' -f "$f" plan -n ''
offers 'behind several' 'paris' -vf "$f" plan -qn p
offers 'behind one that goes with its value' 'paris' "-f$f" plan -n p
offers 'in one word with the option' '--node=berlin-1 --node=berlin-2' "--file=$f" plan --node=b
offers 'in three, as bash has it' 'paris' --file = "$f" plan --node = p
offers 'and two' 'berlin-1 berlin-2 paris' --file = "$f" plan --node =
offers 'showconf: of what' 'node peer' -f "$f" showconf ''
offers 'a node, not a peer' 'berlin-1 berlin-2 paris' -f "$f" showconf node ''
offers 'a peer, not a node' 'laptop' -f "$f" showconf peer ''
offers 'then nothing' '' -f "$f" showconf peer laptop ''
offers 'with the file behind it' 'laptop' showconf peer -f "$f" ''
offers 'node: what to do' 'add set remove' node ''
offers 'with which' 'berlin-1 berlin-2 paris' -f "$f" node remove ''
offers 'peer: with which' laptop -f "$f" peer set ''
offers 'a new one has any name' '' -f "$f" node add ''
offers 'keys of its section' 'location= leader=' node add x l
offers 'of the other one' 'allowed-ip= address=' -f "$f" peer set laptop a
offers 'not for one that goes' '' -f "$f" peer remove laptop ''
offers 'a file to add' :files node add --from ''
offers 'who may answer' 'berlin-1 berlin-2 paris laptop' -f "$f" apply --probe ''
offers 'an interface' lo --interface lo
offers 'a file' :files -f ''
offers 'of one command' :files metrics --output ''
offers 'nothing where anything may stand' '' apply --confirm ''
offers 'nothing where nothing may stand' '' status ''
offers 'nothing behind a command that is none' '' stauts --n
offers 'no option behind --' '' status -- --
HOME=$tmp
export HOME
# shellcheck disable=SC2088  # the program expands it
offers 'a file of the home folder' paris -f '~/mesh.ini' --node p
offers 'names of a file with errors' 'berlin-1 berlin-2 paris oslo' -f "$f" -f "$tmp/bad.ini" --node ''
expect 1 'it wants a word' "$KILOWG" complete
unlike 'it is not in the list' "$tmp/out" complete

# ---- the shells ----

PATH=$(cd -- "${KILOWG%/*}" && pwd -P):$PATH
COMPLETION=$(cd -- "$top/contrib/completion" && pwd -P)
export PATH COMPLETION
# What is typed, a tab, and what the shell has to show.
cat >"$tmp/cases" <<'CASES'
kilowg sta	status 
kilowg metrics --openm	etrics 
kilowg -f mesh.ini --node par	is 
kilowg -f mesh.ini showconf peer la	ptop 
kilowg -f mesh.ini showconf node b	berlin-2
kilowg --file=mesh.ini --node=pa	ris 
kilowg node add x loc	ation=
kilowg -f me	sh.ini 
kilowg --file=me	sh.ini
CASES
for shell in bash zsh fish; do
	if ! command -v $shell >/dev/null; then
		skip "$shell completes" "there is no $shell"
	elif ! command -v python3 >/dev/null; then
		skip "$shell completes" 'there is no python3'
	else
		check "$shell completes" sh -c 'python3 "$1" "$2" "$3" <"$3/cases"' sh "$top/tests/completion.py" $shell "$tmp"
	fi
done
finish
