#!/bin/sh
# SPDX-License-Identifier: ISC
# inject.sh with all points, and some system calls by strace, which sees what libraries call inside of
# themselves.

! command -v strace >/dev/null || export KWG_TEST_STRACE="${KWG_TEST_STRACE:-30}"
KWG_TEST_POINTS=${KWG_TEST_POINTS:-all} exec "$(dirname -- "$0")/inject.sh"
