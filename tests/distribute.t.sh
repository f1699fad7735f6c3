#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# contrib/distribute: a good file arrives; one with a wrong signature, an older one, a broken one
# and one that was cut off do not, and the old file stays. With real git and ssh-keygen.

# shellcheck disable=SC2016,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

need git ssh-keygen flock
# Before OpenSSH 8.1 it knows no -Y.
ssh-keygen -Y check-novalidate -n kilowg -s /dev/null </dev/null 2>&1 | grep -q 'unknown option' &&
	cannot 'this ssh-keygen cannot sign files'
"$KILOWG" --version >/dev/null 2>&1 || cannot "there is no program $KILOWG"
case $KILOWG in /*) ;; *) KILOWG=$PWD/$KILOWG ;; esac
export KILOWG
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
samples=$(cd -- "${top_srcdir:-$lib_dir/..}/contrib/distribute" && pwd -P) || bail 'there is no contrib/distribute'
cd "$T" || exit 99

# Nothing of whoever runs this.
HOME=$T GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=admin GIT_COMMITTER_NAME=admin
GIT_AUTHOR_EMAIL=admin@example.org GIT_COMMITTER_EMAIL=admin@example.org
export HOME GIT_CONFIG_NOSYSTEM GIT_AUTHOR_NAME GIT_COMMITTER_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_EMAIL
unset SSH_AUTH_SOCK KILOWG_BRANCH KILOWG_SIGNER

# ---- administrator, repository, node ----

for k in admin thief; do
	must ssh-keygen -q -t ed25519 -N '' -C "$k" -f "$k"
done
must git init -q --bare mesh.git
must git init -q work
must git -C work checkout -q -b main
node() { printf '[node]\nname = %s\npublic-key = %s\nendpoint = 203.0.113.%s:51820\n' "$1" "$("$KILOWG" genkey | "$KILOWG" pubkey)" "$2"; }
{
	printf '[mesh]\nend-marker = yes\nformat = 1\n\n'
	node a 1
	node b 2
	printf '[end]\n'
} >work/mesh.ini
mkdir etc
printf '[local]\nnode = a\n' >etc/local.ini
{
	printf 'mesh namespaces="kilowg" %s\n' "$(cat admin.pub)"
	printf 'other namespaces="kilowg" %s\n' "$(cat thief.pub)"
} >signers
export KILOWG_SOURCE="$T/mesh.git" KILOWG_FOLDER="$T/etc" KILOWG_SIGNERS="$T/signers" KILOWG_STATE="$T/state"

pull() { sh "$samples/kilowg-pull"; }
sign() { must sh "$samples/kilowg-sign" "$T/admin" work/mesh.ini; }
# As it is, by KEY [NAMESPACE]: no check, no serial.
raw_sign() {
	rm -f work/mesh.ini.sig
	must ssh-keygen -q -Y sign -f "$1" -n "${2:-kilowg}" work/mesh.ini
}
push() {
	must git -C work add -A
	must git -C work commit -q --allow-empty -m 'a change'
	must git -C work push -q -f "$T/mesh.git" HEAD:main
}
serial() { sed -n 's/^# serial //p' "$1"; }
# The first line is the serial.
number() { sed -i "1s/.*/# serial $1/" work/mesh.ini; }

# WHAT PATTERN: is rejected for that reason, and all files of the node stay as they are.
rejected() {
	cp -Rp etc before
	expect 1 "$1: is rejected" pull
	like 'and says why' "$T/err" "$2" 'mesh.ini stays as it is'
	check 'the old file stays' diff -r before etc
	is 'with nothing beside it' 'local.ini mesh.ini' "$(ls -A etc | tr '\n' ' ' | sed 's/ $//')"
	is 'nor in the state' 'git lock serial' "$(ls -A state | tr '\n' ' ' | sed 's/ $//')"
	rm -r before
}

# ---- a good file ----

sign
push
expect 0 'the first file arrives' pull
same 'it is the one that was signed' work/mesh.ini etc/mesh.ini
is 'for root alone' 600 "$(stat -c %a etc/mesh.ini)"
like 'it says so' "$T/out" "^kilowg-pull: mesh.ini has serial $(serial work/mesh.ini)\$"
expect 0 'the host has a valid configuration' "$KILOWG" -f etc check --strict
inode=$(stat -c %i etc/mesh.ini)
expect 0 'once more' pull
is 'there is nothing to do' "$inode" "$(stat -c %i etc/mesh.ini)"
is 'nor to say' '' "$(cat "$T/out" "$T/err")"

chmod 640 etc/mesh.ini
must "$KILOWG" -q -f work/mesh.ini node set b persistent-keepalive=25
cp work/mesh.ini old.ini
cp work/mesh.ini.sig old.sig
number 1
sign
push
check 'a second signature has a greater serial' [ "$(serial work/mesh.ini)" -gt "$(serial etc/mesh.ini)" ]
expect 0 'a change arrives' pull
same 'it is the new one' work/mesh.ini etc/mesh.ini
is 'with the mode of the old one' 640 "$(stat -c %a etc/mesh.ini)"
check 'it was replaced, not written over' [ "$inode" != "$(stat -c %i etc/mesh.ini)" ]
good=$(serial work/mesh.ini)
cp work/mesh.ini good.ini
cp work/mesh.ini.sig good.sig
again() { cp good.ini work/mesh.ini && cp good.sig work/mesh.ini.sig; }

# ---- signatures ----

number $((good + 1))
raw_sign thief
push
rejected 'the key of somebody else who may sign under another name' 'signature is not one of mesh'
again
number $((good + 1))
push
rejected 'a file that was changed after it was signed' 'signature is not one of mesh'
again
head -c 120 good.ini >work/mesh.ini
push
rejected 'a file that was cut off on its way' 'signature is not one of mesh'
again
number $((good + 1))
raw_sign admin file
push
rejected 'a signature for another purpose' 'signature is not one of mesh'
again
number $((good + 1))
: >work/mesh.ini.sig
push
rejected 'an empty signature' 'signature is not one of mesh'
rm work/mesh.ini.sig
push
rejected 'none' 'has no mesh.ini.sig'

# ---- serials ----

again
must "$KILOWG" -q -f work/mesh.ini node set b persistent-keepalive=
number $((good - 1))
raw_sign admin
push
rejected 'an older file' "serial $((good - 1)) is not greater than $good"
rm state/serial
expect 1 'also if the state was lost' pull
like 'since the file has its serial' "$T/err" "is not greater than $good"
echo "# serial $good" >state/serial
number "$good"
raw_sign admin
push
rejected 'another file with the same serial' 'is not greater'
mv etc/mesh.ini kept.ini
sed '/^# serial/d' kept.ini >etc/mesh.ini
rejected 'the same, where the file on the node was edited' 'is not greater'
mv kept.ini etc/mesh.ini
sed -i '/^# serial/d' work/mesh.ini
raw_sign admin
push
rejected 'a file without a serial' 'needs one line'
again
sed -i "1s/.*/# serial $((good + 1))\n# serial $((good + 2))/" work/mesh.ini
raw_sign admin
push
rejected 'a file with two' 'needs one line'
again
number 99999999999999999999
raw_sign admin
push
rejected 'one that no shell can count to' 'needs one line'

# ---- errors, all well signed ----

again
number $((good + 1))
sed -i 's/^name = b/nmae = b/' work/mesh.ini
raw_sign admin
push
rejected 'a file with an error' 'it has errors'
like 'which kilowg names' "$T/err" 'nmae: unknown key'
again
number $((good + 1))
sed -i '/^\[end\]/d' work/mesh.ini
raw_sign admin
push
rejected 'one that was cut off before it was signed' 'it has errors'
again
number $((good + 1))
head -c -1 work/mesh.ini >short && mv short work/mesh.ini
raw_sign admin
push
rejected 'one without its last line end' 'its last line is cut off'
again
number $((good + 1))
sed -i 's/^name = a$/name = z/' work/mesh.ini
raw_sign admin
push
rejected 'one without this node' 'it has errors'
expect 1 'kilowg-sign signs no file with an error' sh -c 'echo nonsense >bad.ini; sh "$1" admin bad.ini' sh "$samples/kilowg-sign"
check 'and leaves no signature' [ ! -e bad.ini.sig ]

# ---- the source, and others ----

mv mesh.git away
rejected 'no repository' 'cannot be fetched'
mv away mesh.git
exec 8>state/lock
flock 8
rejected 'a second one at the same time' 'another one is running'
exec 8>&-
again
push
expect 0 'the good file again' pull
cp good.ini work/mesh.ini
sign
push
expect 0 'after all that, the next file arrives' pull
same 'it is that one' work/mesh.ini etc/mesh.ini

# ---- the other samples ----

for f in kilowg-pull kilowg-sign; do
	if command -v shellcheck >/dev/null; then
		expect 0 "shellcheck finds nothing in $f" shellcheck "$samples/$f"
	else
		skip "shellcheck finds nothing in $f" 'there is no shellcheck'
	fi
done
if command -v systemd-analyze >/dev/null; then
	mkdir units
	sed "s,^ExecStart=.*,ExecStart=$samples/kilowg-pull," "$samples/kilowg-pull.service" >units/kilowg-pull.service
	cp "$samples/kilowg-pull.timer" units
	expect 0 'systemd takes the units' systemd-analyze verify --man=no units/kilowg-pull.service units/kilowg-pull.timer
	is 'without a word' '' "$(grep kilowg-pull "$T/err")"
else
	skip 'systemd takes the units' 'there is no systemd-analyze'
	skip 'without a word' 'there is no systemd-analyze'
fi
if python3 -c 'import yaml' 2>/dev/null; then
	yaml='import sys, yaml
d = yaml.safe_load(open(sys.argv[1]))
print(eval(sys.argv[2]))'
	expect 0 'the playbook is YAML' python3 -c "$yaml" "$samples/playbook.yml" '[t["ansible.builtin.copy"]["validate"] for t in d[0]["tasks"]], d[0]["handlers"][0]["name"] in d[0]["tasks"][0]["notify"]'
	is 'it checks before it replaces, and then applies' "(['kilowg -q -f %s check'], True)" "$(cat "$T/out")"
	expect 0 'the user-data are YAML' python3 -c "$yaml" "$samples/user-data.yml" '[f["path"] for f in d["write_files"]]'
	is 'with the files that kilowg-pull reads' "['/etc/kilowg/allowed_signers', '/etc/kilowg/pull.env']" "$(cat "$T/out")"
	like 'and begin as cloud-init wants it' "$samples/user-data.yml" '^#cloud-config$'
	expect 0 'the command that validates takes a good file' "$KILOWG" -q -f work/mesh.ini check
else
	skip 'the playbook and the user-data are YAML' 'there is no yaml for python3'
fi
# What the unit reads is what the script knows.
is 'pull.env names variables that kilowg-pull has' '' \
	"$(sed -n 's/^#\{0,1\}\(KILOWG_[A-Z]*\)=.*/\1/p' "$samples/pull.env" | while read -r v; do grep -q "\${$v:" "$samples/kilowg-pull" || echo "$v"; done)"
finish
