#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# The known answers of the protocol once more under valgrind: no byte is read
# that was not written, none is lost.

build=${top_builddir:-.}
# check_aead searches its own stack on purpose, which valgrind would report.
tests='blake2s noise replay allowedips ippacket ratelimiter indextable device timers transport'

command -v valgrind >/dev/null || { echo '1..0 # SKIP valgrind is missing'; exit 0; }
[ -x "$build/tests/unit/check_noise" ] || { echo '1..0 # SKIP unit tests are not built'; exit 0; }
if nm "$build/tests/unit/check_noise" | grep -q __asan_init; then
	echo '1..0 # SKIP valgrind and the address sanitizer do not go together'
	exit 0
fi

out=$(mktemp) || exit 99
trap 'rm -f "$out"' EXIT
n=0
for t in $tests; do
	n=$((n + 1))
	if CK_FORK=no valgrind -q --error-exitcode=9 --leak-check=full "$build/tests/unit/check_$t" >"$out" 2>&1; then
		echo "ok $n - check_$t under valgrind"
	else
		sed 's/^/# /' "$out"
		echo "not ok $n - check_$t under valgrind"
	fi
done
echo "1..$n"
