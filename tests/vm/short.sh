#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Tests with the WireGuard of a stock kernel, under emulation: a few that differ
# most from each other. tests/vm/netns.sh has them all.

# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"

tests='kernel mixed roaming'
if [ "${KWG_TEST_IN_VM:-}" = yes ]; then
	# shellcheck disable=SC2086
	run_marked $tests
	exit
fi
need_vm --accel tcg
KWG_TEST_BACKEND=kernel KWG_TEST_IN_VM=yes
export KWG_TEST_BACKEND KWG_TEST_IN_VM
# shellcheck disable=SC2086
run_in_vm --accel tcg --timeout 600 -- "$vm_dir/short.sh" | merge_tap $tests
