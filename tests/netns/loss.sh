#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What tests/bench/loss measures, held to what is promised: changes that need no new session lose
# nothing, and others not much longer than the sessions take. On a busy machine all takes longer,
# so a gap is compared with the time that the applies took, too.

# shellcheck disable=SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT

free='re-apply peer-added allowed-ip-moved mtu firewall fail-closed subnet'
# ROUNDS CASE...
measure() {
	ROUNDS=$1
	export ROUNDS
	shift
	"$lib_dir/bench/loss" "$@" >"$T/now" 2>"$T/err" || { show "$T/now"; show "$T/err"; bail 'tests/bench/loss fails'; }
	! grep '^1\.\.0' "$T/now" || exit 0
	show "$T/now"
	cat "$T/now" >>"$T/out"
}
# shellcheck disable=SC2086  # words
measure 1 $free
measure 3 interface-name leader-at-once leader-old-first leader-new-first

# CASE FIELD: 2 lost, 3 gap, 4 how long the applies took.
figure() { awk -v name="$1" -v f="$2" '$1 == name { print $f }' "$T/out"; }
# CASE TENTHS: of the time that the applies took.
gap_is_small() { [ "$(figure "$1" 3)" -lt 100 ] || [ "$(figure "$1" 3)" -lt $(($(figure "$1" 4) * $2 / 10)) ]; }

for name in $free; do
	is "$name: nothing is lost" 0 "$(figure "$name" 2)"
done
# All has to be there before the old interface goes: most of the time packets flow.
check 'interface-name: the gap is less than 100 ms, or a fifth of the time' gap_is_small interface-name 2
# Hosts that have applied do not agree with those that have not: until the last has, and its session is there.
check 'leader-at-once: the gap is less than 100 ms, or seven tenths of the time' gap_is_small leader-at-once 7
check 'leader-old-first: the gap is less than 100 ms, or than the applies took' gap_is_small leader-old-first 10
check 'leader-new-first: the gap is less than 100 ms, or than the applies took' gap_is_small leader-new-first 10
finish
