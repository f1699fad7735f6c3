#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Every fuzz target over its corpus, tests/fuzz/corpus/NAME of tests/fuzz/fuzz_NAME.

n=0
for corpus in "${top_srcdir:-.}"/tests/fuzz/corpus/*/; do
	name=$(basename "$corpus")
	program=${top_builddir:-.}/tests/fuzz/fuzz_$name
	n=$((n + 1))
	if [ ! -x "$program" ]; then
		echo "not ok $n - there is no program $program"
	elif out=$("$program" -runs=0 "$corpus" 2>&1); then
		echo "ok $n - $name, $(find "$corpus" -type f | grep -c .) inputs"
	else
		echo "$out" | sed 's/^/# /'
		echo "not ok $n - $name"
	fi
done
echo "1..$n"
