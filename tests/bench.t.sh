#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Does tests/bench/dataplane still run? No figure decides anything here.

# shellcheck disable=SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"
need python3 iperf3 ip wg unshare nsenter
dataplane=$lib_dir/bench/dataplane
T=$(mktemp -d) || exit
trap 'rm -rf "$T"' EXIT
trap 'exit 143' INT TERM HUP

# ARGUMENT...: the benchmark. The namespaces are its own, and so is cleaning up.
dataplane() { timeout -k 10 240 "$dataplane" "$@"; }

set -- none floor
! command -v wireguard-go >/dev/null || set -- "$@" 'wireguard-go %i'
userspace=${top_builddir:-${lib_dir%/*}/build}/kilowg-userspace
[ ! -x "$userspace" ] || set -- "$@" "kilowg=$userspace %i"

run dataplane --quick --only tcp1,udp64 --json "$T/json" --svg "$T/svg" "$@"
[ "$status" != 77 ] || cannot "$(tr '\n' ' ' <"$T/err")"
if [ "$status" = 0 ]; then
	pass 'it runs'
else
	fail "it runs: exit status $status"
	show "$T/err"
fi
like 'the table has figures and ratios' "$T/out" '^TCP 1 stream, Gbit/s +[0-9.]+ +[0-9.]+' \
	'^UDP 64 B, 1000/s +[0-9.]+ +[0-9.]+' '^memory at start, MiB +- +[0-9.]+' \
	'^TCP 1 stream \(more is better\) +[0-9.]+' '^\[1\] none / floor$'

complete() {
	python3 - "$T/json" <<'END'
import json, sys
data = json.load(open(sys.argv[1]))
for i in data["implementations"]:
    figures = data["summary"][i["name"]]
    wanted = ["tcp1.gbps", "udp64.kpps"]
    if i["command"] != "none":
        wanted += ["tcp1.cpu_gb", "udp64.cpu_us", "memory.start", "memory.peak"]
    for metric in wanted:
        assert figures[metric]["median"] > 0, (i["name"], metric, figures)
assert data["ratios"]["none / floor"]["tcp1.gbps"]["ratio"] > 0
END
}
check 'the JSON has every figure of every implementation' complete
check 'the plot is well-formed' python3 -c \
	'import sys, xml.dom.minidom as m; assert m.parse(sys.argv[1]).getElementsByTagName("rect").length > 4' \
	"$T/svg"

cp "$T/out" "$T/first"
expect 0 'saved figures are shown again' dataplane --load "$T/json"
same 'saved figures give the same table' "$T/first" "$T/out"

expect 1 'a daemon that ends at once is an error' dataplane --quick --only udp64 'false %i' none
like 'it is named, and the others are measured' "$T/out" '^failed: .*false: the daemon has ended' \
	'^UDP 64 B, 1000/s +- +[0-9.]+'
expect 1 'a command without an interface is an error' dataplane --quick wireguard-go
expect 2 'so is a test that there is not' dataplane --only tcp9
finish
