#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Stands in for the unit tests where configure found no check library.
echo '1..0 # SKIP unit tests: configure found no check library'
