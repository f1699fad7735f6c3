#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The AEAD on another processor: built by a cross compiler and run by qemu's user mode, with all vectors and
# the comparison with libsodium. Speed cannot be measured there; instructions can be counted.

top=${top_srcdir:-.}
cannot() { echo "1..0 # SKIP $*"; exit 0; }
CROSS=${KWG_TEST_CROSS:-aarch64-linux-gnu}
arch=${CROSS%%-*}
command -v "$CROSS-gcc" >/dev/null || cannot "there is no $CROSS-gcc"
command -v "qemu-$arch" >/dev/null || cannot "there is no qemu-$arch"

T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
# -lsubunit: of Debian's check, which may have been built with it.
build() {	# PROGRAM SOURCE LIBRARY...
	out=$1 source=$2
	shift 2
	"$CROSS-gcc" -std=gnu11 -O2 -Wall -Wextra -Wconversion -D_GNU_SOURCE -I"$top/lib" -o "$out" \
		"$source" "$top"/lib/dp/aead*.c "$@" >"$T/log" 2>&1
}
build "$T/count" "$top/tests/cross/count.c" -lsodium ||
	{ ! grep -q 'sodium' "$T/log" || cannot "$CROSS has no libsodium"; sed 's/^/# /' "$T/log"; exit 99; }
build "$T/check_aead" "$top/tests/unit/check_aead.c" -lcheck -lsubunit -lsodium -lm -lrt -lpthread ||
	build "$T/check_aead" "$top/tests/unit/check_aead.c" -lcheck -lsodium -lm -lrt -lpthread ||
	{ ! grep -q 'check' "$T/log" || cannot "$CROSS has no check"; sed 's/^/# /' "$T/log"; exit 99; }

n=0
point() {	# TEXT COMMAND...
	n=$((n + 1)) text=$1
	shift
	if "$@"; then echo "ok $n - $text"; else echo "not ok $n - $text"; fi
}

unset CK_TAP_LOG_FILE_NAME
CK_FORK=no CK_VERBOSITY=verbose top_srcdir=$top "qemu-$arch" "$T/check_aead" >"$T/out" 2>&1
status=$?
sed 's/^/# /' "$T/out" | grep -v ':P:'
point "all checks of the AEAD pass on $arch" test $status = 0
point 'there were some' grep -q '^100%: Checks: [1-9]' "$T/out"
grep -q '^# neon is not' "$T/out" && neon=no || neon=yes
point 'with the implementation for this processor' test "$neon" = yes

# NAME ROUNDS LEN: instructions that are executed, each a block of translation of its own.
executed() {
	"qemu-$arch" -singlestep -d exec,nochain -D /dev/fd/3 "$T/count" "$@" 3>&1 >/dev/null 2>&1 | grep -c '^Trace'
}
per_byte() {	# NAME LEN: in hundredths
	first=$(executed "$1" 1 "$2")
	echo $((($(executed "$1" 2 "$2") - first) * 100 / (32 * $2)))
}
for len in 1420 64; do
	sodium=$(per_byte sodium $len) neon=$(per_byte neon $len)
	echo "# instructions for 100 bytes of packets of $len bytes: libsodium $sodium, neon $neon"
	point "it needs at most two thirds of libsodium's instructions, $len bytes" test $((3 * neon)) -le $((2 * sodium))
done
echo "1..$n"
