#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Is kilowg equal to Kilo? tests/golden/run on the cases of the tree, on some
# that are made of them to try the comparison itself (tests/golden/variants.py), and on
# the whole collection if it is at hand: $KILOWG_GOLDEN, or ../shared/golden
# beside the tree.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
KILOWG=${KILOWG:-${top_builddir:-$top_srcdir}/kilowg}
all=${KILOWG_GOLDEN:-$top_srcdir/../shared/golden}
export KILOWG
[ -x "$KILOWG" ] || { echo "1..0 # SKIP there is no program $KILOWG"; exit 0; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null ||
	{ echo "1..0 # SKIP there is no python3 of version 3.8 or later"; exit 0; }

# FOLDER NAME: "ok NNN case" and "not ok NNN case" become TAP points, the rest remarks.
points() {
	{ "$top_srcdir/tests/golden/run" "$1" 2>&1; echo "status $?"; } | awk -v name="$2" -v n="$n" '
		/^(not )?ok / {
			result = $1 == "ok" ? "ok" : "not ok"
			sub(/^(not )?ok /, "")
			gsub(/#/, " ")
			print result, ++n, "- " name ":", $0
			seen++; bad += result != "ok"
			next
		}
		/^status / { status = $2; next }
		{ print "#   " $0 }
		END {
			# A program that dies, or finds nothing to do, is no success.
			good = seen && (status == 0) == (bad == 0) && status < 2
			print good ? "ok" : "not ok", ++n, "- " name ": ran to its end (" seen + 0 " cases)"
			print n > "/dev/stderr"
		}' 2>"$T/n"
	n=$(cat "$T/n")
}

# Does the comparison find a difference, and nothing where Kilo's answer says the same in other words?
variants() {
	if ! python3 "$top_srcdir/tests/golden/variants.py" "$top_srcdir/tests/golden/data" "$T" \
		>"$T/made" 2>&1; then
		n=$((n + 1))
		sed 's/^/#   /' "$T/made"
		echo "not ok $n - variants of cases are made"
		return
	fi
	points "$T/right" variants
	"$top_srcdir/tests/golden/run" "$T/wrong" >"$T/found" 2>&1
	for case in "$T"/wrong/*.cluster.json; do
		case=${case##*/} case=${case%.cluster.json}
		n=$((n + 1))
		if grep -q "^not ok ${case%%-*} ${case#*-} " "$T/found"; then
			echo "ok $n - variants: a difference is found in $case"
		else
			sed 's/^/#   /' "$T/found"
			echo "not ok $n - variants: a difference is found in $case"
		fi
	done
}

T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
n=0
{
	points "$top_srcdir/tests/golden/data" data
	variants
	if [ -d "$all" ]; then
		points "$all" all
	else
		n=$((n + 1))
		echo "ok $n - all # SKIP there is no folder $all; KILOWG_GOLDEN may name it"
	fi
	echo "1..$n"
} | tee "$T/tap"
! grep -q '^not ok' "$T/tap"
