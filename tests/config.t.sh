#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What "kilowg check" says about broken files: for each tests/config/NAME.ini
# the standard error has to be NAME.err, byte for byte, and the exit status 1,
# or 0 if there are only warnings. What begins with SECRET stands for a key
# that somebody has mistyped or misplaced; it must not be printed.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
KILOWG=${KILOWG:-${top_builddir:-$top_srcdir}/kilowg}
LC_ALL=C
export LC_ALL
[ -x "$KILOWG" ] || { echo "1..0 # SKIP there is no program $KILOWG"; exit 0; }

T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
cd "$top_srcdir/tests/config" || exit 99
n=0 failed=0

# NAME: the last command's answer as a TAP point.
point() {
	if [ "$?" = 0 ]; then set -- ok "$1"; else failed=1; set -- "not ok" "$1"; fi
	n=$((n + 1))
	echo "$1 $n - $2"
}

remark() { sed 's/^/#   /'; }

# STATUS ARGUMENT...: does kilowg leave with it, and print nothing on stdout?
leaves() {
	wanted=$1
	shift
	"$KILOWG" "$@" >"$T/out" 2>"$T/err" </dev/null
	status=$?
	[ "$status" = "$wanted" ] || echo "#   exit status $status, not $wanted"
	[ "$status" = "$wanted" ] && [ ! -s "$T/out" ]
}

# FILE: the exit status that goes with these messages.
status_of() { if grep -qv '^[^ ]*: warning: ' "$1"; then echo 1; else echo 0; fi; }

# FILE: is the standard error of the last run this one?
says() { cmp -s "$1" "$T/err" || { diff -u "$1" "$T/err" | remark; false; }; }

is_clean() { ! grep -n '[[:cntrl:]]' "$1" | grep -v '	' | remark | grep .; }

for ini in *.ini; do
	name=${ini%.ini}
	leaves "$(status_of "$name.err")" -f "$ini" check
	point "$name: exit status"
	says "$name.err"
	point "$name: messages"
	! grep SECRET "$T/err" | remark | grep .
	point "$name: no secret"
	is_clean "$T/err"
	point "$name: no control characters"
	# The same as a file of a folder, and with all other outputs.
	for arguments in "--json check" "plan" "--json plan" "-v plan" "graph" "diff"; do
		# shellcheck disable=SC2086
		"$KILOWG" -f "$ini" $arguments </dev/null 2>&1
	done >"$T/all"
	! grep SECRET "$T/all" | remark | grep .
	point "$name: no secret in other outputs"
done

# ---- what is too large for a file of the tree --------------------------------

cd "$T" || exit 99

{
	printf '[mesh]\nformat = 1\n# '
	head -c 70000 /dev/zero | tr '\0' x
	printf '\nname = '
	head -c 70000 /dev/zero | tr '\0' x
	printf '\nnmae = a\n'
} >long.ini
cat >long.err <<'END'
long.ini:3: the line has 70002 bytes; at most 65536 are accepted
long.ini:4: the line has 70007 bytes; at most 65536 are accepted
long.ini:5: nmae: unknown key in [mesh]; did you mean name?
END
leaves 1 -f long.ini check && says long.err
point "long lines"

{
	printf '[mesh]\nformat = 1\n'
	awk 'BEGIN { for (i = 0; i < 1100; i++) print "x" i " = 1" }'
} >many.ini
leaves 1 -f many.ini check
point "many mistakes: exit status"
[ "$(grep -c '^many.ini:' err)" = 1000 ] && [ "$(wc -l <err)" = 1001 ]
point "many mistakes: 1000 are shown"
[ "$(tail -n 1 err)" = "warning: 100 more remarks are not shown" ]
point "many mistakes: the last line says how many are not"

# Two files are one configuration; a clash between them names both.
cat >a.ini <<'END'
[mesh]
format = 1
[node]
name = a
END
cp a.ini b.ini
cat >two.err <<'END'
a.ini:3: warning: node "a" is left out: it needs public-key, and endpoint or persistent-keepalive, and has no endpoint or persistent-keepalive, no public-key
b.ini:1: a second [mesh]; one configuration describes one mesh, and a.ini:1 has it; two meshes on a host need two configurations, each with its own port, interface and route-protocol
b.ini:3: warning: node "a" is left out: it needs public-key, and endpoint or persistent-keepalive, and has no endpoint or persistent-keepalive, no public-key
b.ini:3: name: node "a" is used at a.ini:3 already; each name is accepted once
END
leaves 1 -f a.ini -f b.ini check && says two.err
point "two files"

# With an end marker before the format, no beginning of a file passes for the whole.
cat >whole.ini <<'END'
[mesh]
end-marker = yes
format = 1
[node]
name = a
endpoint = 203.0.113.1:51820
public-key = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
pod-cidr = 10.42.1.0/24
[end]
END
leaves 0 -f whole.ini check && [ ! -s err ]
point "a whole file with an end marker"
i=0 size=$(($(wc -c <whole.ini) - 1))	# the last line needs no end
while [ "$i" -lt "$size" ]; do
	head -c "$i" whole.ini >cut.ini
	leaves 1 -f cut.ini check || break
	i=$((i + 1))
done
[ "$i" = "$size" ]
point "cut off after any of its bytes it is refused"

# A name that a terminal would obey: C1 controls, directions of text, bytes that are no character.
names=0
for bytes in '\302\233' '\342\200\256' '\342\201\246' '\330\234' '\342\200\250' '\377' '\303' '\355\240\200'; do
	bad=$(printf "x${bytes}y")
	sed "s/^name = .*/name = $bad/" whole.ini >bad.ini
	leaves 1 -f bad.ini check && grep -q 'name: .*x??*y' err && ! grep -qF "$bad" err || names=$((names + 1))
done
[ $names = 0 ]
point "names that a terminal would obey"
sed "s/^name = .*/name = $(printf 'K\303\266ln-\346\235\261\344\272\254')/" whole.ini >good.ini
leaves 0 -f good.ini check
point "names in other scripts"

# A pipe that nobody writes to is no file to wait for; what a shell hands over is.
mkfifo pipe.ini && timeout 10 "$KILOWG" -f pipe.ini check 2>err
[ $? = 1 ] && grep -q '^kilowg: pipe.ini: is not a regular file' err
point "a pipe instead of a file"
sed "s|^\[end\]|[local]\nprivate-key-file = $T/pipe.ini\n&|" whole.ini >piped.ini
timeout 10 "$KILOWG" -f piped.ini facts >/dev/null 2>err
[ $? != 124 ] && grep -q 'pipe.ini: is not a regular file' err
point "a pipe instead of a key"
cat whole.ini | timeout 10 "$KILOWG" -f /dev/stdin check 2>err && [ ! -s err ]
point "a pipe of the shell"

# All messages that are no remarks begin with the program's name, whatever it was called by.
leaves 1 plan --bogus && head -n 1 err | grep -q "^kilowg: .*--bogus"
point "an option that there is not"
leaves 1 -n && head -n 1 err | grep -q '^kilowg: option requires an argument'
point "an option without its value"

leaves 1 aply && grep -q '^kilowg: unknown command "aply"; did you mean apply?' err
point "a command that is nearly one"
leaves 1 xyzzy && grep -q '^kilowg: unknown command "xyzzy"; "kilowg --help" has the list$' err
point "a command that is none"
[ "$("$KILOWG" help)" = "$("$KILOWG" --help)" ] && [ "$("$KILOWG" help status)" = "$("$KILOWG" status -h)" ]
point "help is a command, too"
leaves 1 help aply && grep -q 'did you mean apply?' err && leaves 1 help check plan
point "of one command that there is"
! "$KILOWG" pubkey -h | grep -e '--\(file\|node\|interface\|json\|quiet\|verbose\)' && "$KILOWG" plan -h | grep -q -e '--node'
point "the help of a command has no option that it does not take"
"$KILOWG" status -h | tr '\n' ' ' | grep ' ok .* idle .* unanswered .* missing .*drift' >/dev/null
point "the help of status explains its words"

# The host name, if nothing says which node this is. In a UTS namespace of the test's own.
cat >named.ini <<'END'
[mesh]
format = 1
[node]
name = a
endpoint = 203.0.113.1:51820
public-key = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
[node]
name = b.example.org
endpoint = 203.0.113.2:51820
public-key = AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=
END
# HOSTNAME: the plan of that host; leaves its messages in err.
plan_of() {
	unshare -Uru sh -c 'echo "$2" >/proc/sys/kernel/hostname && exec "$1" -f named.ini plan' sh "$KILOWG" "$1" >out 2>err
}
if unshare -Uru true 2>/dev/null && plan_of a; then
	! plan_of a.example.org && grep -q 'the files have "a": give --node a, or node = a in \[local\]' err
	point "a host name with a domain that the node has not"
	! plan_of b && grep -q 'the files have "b.example.org": give --node b.example.org' err
	point "and the other way round"
	! plan_of c && grep -q 'the name of this host, which the files do not have; --node or \[local\] node' err
	point "a host name that is no node"
else
	for i in 1 2 3; do n=$((n + 1)); echo "ok $n - host name # SKIP no user namespace"; done
fi

# Missing privileges.
user=''
[ "$(id -u)" != 0 ] || user='setpriv --reuid=65534 --regid=65534 --clear-groups'
mkdir closed && chmod 755 . && chmod 555 closed && cp "$KILOWG" program
# shellcheck disable=SC2086
if $user ./program --version >out 2>&1; then
	$user ./program -f closed/etc init --private-key "$PWD/closed/key" --name a >out 2>err </dev/null
	[ $? = 5 ] && grep -q 'Permission denied' err && grep -q 'this needs the privileges of root' err
	point "missing privileges"
else
	n=$((n + 1)); echo "ok $n - missing privileges # SKIP no other user here"
fi
chmod 755 closed

# Warnings alone are no error, unless that is asked for.
cp "$top_srcdir/tests/config/left-out.ini" .
leaves 0 -f left-out.ini check && leaves 1 -f left-out.ini check --strict
point "check --strict"
leaves 0 -f left-out.ini -q check && [ ! -s err ]
point "check -q"

echo "1..$n"
exit "$failed"
