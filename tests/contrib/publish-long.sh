#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# publish.sh with all values and nodes, and under each shell that is here.

KWG_TEST_ALL=yes
export KWG_TEST_ALL
exec "$(dirname -- "$0")/publish.sh" "$@"
