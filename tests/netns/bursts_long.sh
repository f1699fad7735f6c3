#!/bin/bash
# SPDX-License-Identifier: ISC
# bursts.sh with many random patterns; KWG_TEST_SEED says which ones.

KWG_TEST_ROUNDS=${KWG_TEST_ROUNDS:-40} KWG_TEST_PEERS='2 3 300' exec "$(dirname -- "$0")/bursts.sh"
