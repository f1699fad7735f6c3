#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# kilowg-api once more, logging in at the API server itself.
exec "$(dirname -- "$0")/follow.t.sh" tls
