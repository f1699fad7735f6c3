#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The tests in tests/netns once more, where the kernel has WireGuard, each in a guest of
# its own, as many at a time as there are processors. Those that are only about
# kilowg-userspace meet an older kernel with one slow processor there; not the one that
# compiles it for a sanitizer, not units, which have boots of their own (units.sh), and
# of walk and inject the short forms. KWG_VM_NETNS names those to be run; by default all.

# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
# shellcheck source=tests/vm/vm.sh
. "$(dirname -- "$0")/vm.sh"

accel=${KWG_VM_ACCEL:-uml}
case ${1:-} in
--inside)
	# For walk.sh; a guest is slow.
	WALKS=1 STEPS=10
	export WALKS STEPS
	run_marked "$2"
	exit ;;
--one)	# by xargs, below
	! late || { printf '#: begin %s\n1..0 # SKIP %s\n#: end %s 0\n' "$3" "$too_late" "$3" >"$2/$3"; : >"$2/$3.err"; exit 0; }
	KWG_TEST_BACKEND=kernel
	export KWG_TEST_BACKEND
	# Of the three minutes that it observes most are idle.
	travel=
	[ "$accel $3" != 'uml long' ] || travel=--time-travel
	# shellcheck disable=SC2086
	run_in_vm --accel "$accel" $travel --timeout 1800 -- "$vm_dir/netns.sh" --inside "$3" >"$2/$3" 2>"$2/$3.err"
	exit 0 ;;
esac

need_vm --accel "$accel"
# Those first that take longest.
tests='mtu-matrix walk switch rollback changes encap-change ownership mtu long signals roles userspace interop'
[ -z "${KWG_VM_NETNS:-}" ] || tests=$KWG_VM_NETNS
for f in "$lib_dir"/netns/*.sh; do
	[ -z "${KWG_VM_NETNS:-}" ] || break
	name=$(basename "$f" .sh)
	case " $tests inject_long threads_tsan units walk_long " in *" $name "*) ;; *) tests="$tests $name" ;; esac
done
dir=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$dir"' EXIT
trap 'exit 143' INT TERM HUP
# shellcheck disable=SC2086  # words on purpose
printf '%s\n' $tests |
	xargs -P "$(getconf _NPROCESSORS_ONLN)" -I '{}' "$vm_dir/netns.sh" --one "$dir" '{}'
# shellcheck disable=SC2086
for t in $tests; do
	cat "$dir/$t"
	sed 's/^/# /' "$dir/$t.err"
done | merge_tap $tests
