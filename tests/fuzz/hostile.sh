#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Ten million datagrams that should have no effect; best built with --enable-sanitizers.
exec "${top_builddir:-build}/tests/fuzz/hostile" "${KWG_TEST_HOSTILE:-10000000}"
