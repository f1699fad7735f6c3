#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# threads.sh with a kilowg-userspace that the thread sanitizer watches, built for that.
#
# shellcheck disable=SC2154  # lib_dir is of lib.sh
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

program=$lib_dir/netns/threads.sh
source=$(cd "$lib_dir/.." && pwd)
build=$(mktemp -d) || exit 99
trap 'rm -rf "$build"' EXIT
cd "$build" || exit 99
printf '#include <pthread.h>\nint main(void) { return pthread_self() == 0; }\n' >t.c
if ! ${CC:-cc} -fsanitize=thread -o t t.c >log 2>&1 || ! ./t >>log 2>&1; then
	cannot "${CC:-cc} has no thread sanitizer that works here: $(tail -n 1 log)"
fi
if ! { "$source/configure" CC="${CC:-cc}" CFLAGS='-O1 -g -fsanitize=thread' --disable-hardening &&
		make -j2 kilowg-userspace; } >log 2>&1; then
	tail -n 20 log | sed 's/^/# /'
	bail "building with the thread sanitizer"
fi
KWG_TEST_PROGRAM=$build/kilowg-userspace KWG_TEST_SECONDS=${KWG_TEST_SECONDS:-10} \
	TSAN_OPTIONS='exitcode=66' "$program"
