#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# apply while the daemon that it once started dies.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2016,SC2046,SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping
use_userspace
backend=userspace
three_nodes

# Many peers make an end longer.
i=0
while [ $i -lt 800 ]; do
	i=$((i + 1))
	key=$(printf '%032d' $i | base64)
	printf '\n[peer]\nname = n%d\npublic-key = %s\nendpoint = 203.0.113.%d:%d\nallowed-ip = 10.7.%d.%d/32\n' \
		$i "$key" $((i % 250 + 4)) $((10000 + i)) $((i / 250)) $((i % 250))
done >"$T/many.ini"
cat "$T/many.ini" >>"$T/mesh.ini"
must kwg a apply
# SECONDS: kills the daemon and applies after so long; says what did not go well.
die_and_apply() {
	kill -KILL $(daemon_id a)
	sleep "$1"
	kwg a apply >"$T/out" 2>"$T/err" || { echo "after $1 s: $(cat "$T/err")"; return; }
	# All may have been well when it looked, in the very first moment.
	kwg a diff >/dev/null 2>&1 || kwg a apply 2>&1 || echo "after $1 s: not repaired"
	kwg a diff >"$T/out" 2>&1 || echo "after $1 s: a difference is left: $(head -n 3 "$T/out")"
}

bad=
for delay in 0 0 0.002 0.005 0.008 0.012 0.02 0.05; do
	bad="$bad$(die_and_apply $delay)"
done
is 'the daemon is killed, and apply follows at once or soon' '' "$bad"

bad=
for delay in 0 0.002 0.01; do
	kill -TERM $(daemon_id a)
	sleep $delay
	kwg a apply >"$T/out" 2>"$T/err" || bad="$bad after $delay s: $(cat "$T/err")"
	kwg a diff >/dev/null 2>&1 || kwg a apply >/dev/null 2>&1
done
is 'it ends by itself' '' "$bad"

finish
