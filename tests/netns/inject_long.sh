#!/bin/sh
# SPDX-License-Identifier: ISC
# inject.sh with all points; and with strace, which sees what libraries call inside of themselves.

KWG_TEST_POINTS=${KWG_TEST_POINTS:-all} exec "$(dirname -- "$0")/inject.sh"
