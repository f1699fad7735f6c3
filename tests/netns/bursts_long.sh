#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# bursts.sh with many random patterns, and all numbers of peers with all of workers; KWG_TEST_SEED
# says which ones.

KWG_TEST_ROUNDS=${KWG_TEST_ROUNDS:-40} KWG_TEST_PEERS='2 3 300' KWG_TEST_WORKERS='1 2 4' exec "$(dirname -- "$0")/bursts.sh"
