#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# inject.sh with all points, and some system calls by strace, which sees what libraries call inside of
# themselves. KWG_LONG_POINTS takes some of the points only, other ones each time.

if command -v strace >/dev/null; then
	export KWG_TEST_STRACE="${KWG_TEST_STRACE:-${KWG_LONG_STRACE:-30}}"
fi
export KWG_TEST_SEED="${KWG_TEST_SEED:-$(date +%s)}"
KWG_TEST_POINTS=${KWG_TEST_POINTS:-${KWG_LONG_POINTS:-all}} exec "$(dirname -- "$0")/inject.sh"
