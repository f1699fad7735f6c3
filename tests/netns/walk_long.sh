#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The walks of walk.sh, many of them, and others each time.

: "${SEED:=$(date +%s)}" "${WALKS:=${KWG_LONG_WALKS:-60}}" "${STEPS:=30}"
export SEED WALKS STEPS
exec "${0%_long.sh}.sh" "$@"
