#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# No branch and no address of the AEAD depends on a key or on plaintext. See tests/ct/aead.c.

program=${top_builddir:-.}/tests/ct/aead
cannot() { echo "1..0 # SKIP $*"; exit 0; }

command -v valgrind >/dev/null || cannot 'valgrind is missing'
! nm "$program" 2>/dev/null | grep -q __asan_init || cannot 'valgrind cannot run a program with sanitizers'

under_valgrind() { valgrind --quiet --error-exitcode=99 "$program" "$1" 2>&1; }

out=$(under_valgrind control)
status=$?
case $out in
*'debuginfo reader'*)	# clang writes some that valgrind 3.19 cannot read
	tmp=$(mktemp -d) || exit 99
	trap 'rm -rf "$tmp"' EXIT
	strip -g -o "$tmp/aead" "$program" || cannot 'valgrind cannot read the program'
	program=$tmp/aead
	out=$(under_valgrind control)
	status=$? ;;
esac
case $status in
77) cannot "$out" ;;
99) echo 'ok 1 - a branch on the key is found' ;;
*) echo "$out" | sed 's/^/# /'; echo 'not ok 1 - a branch on the key is found' ;;
esac
n=1
for name in sodium avx2; do
	n=$((n + 1))
	out=$(under_valgrind "$name")
	case $? in
	0) echo "ok $n - $name" ;;
	77) echo "ok $n - $name # SKIP $out" ;;
	*) echo "$out" | sed 's/^/# /'; echo "not ok $n - $name" ;;
	esac
done
n=$((n + 1))
echo "ok $n - avx512 # SKIP valgrind does not know AVX-512"
echo "1..$n"
