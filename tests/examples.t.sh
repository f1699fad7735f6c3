#!/bin/sh
# SPDX-License-Identifier: ISC
# The programs of tests/examples do what they say.
#
#   top_builddir  where they were built (default: build)

dir=${top_builddir:-build}/tests/examples
n=0

run() {	# what program
	n=$((n + 1))
	if out=$("$dir/$2" 2>&1); then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
	fi
	printf '%s\n' "$out" | sed 's/^/# /'
}

echo 1..2
run "a ping through a tunnel over a socketpair" ping
run "a UDP echo that only WireGuard reaches" echo
