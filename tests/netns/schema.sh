#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# What commands that look at a host print as JSON, against the schemas that they are installed
# with: before, at and after an apply, with something in the way, and on a follower.

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ip ping
python=$(json_python) || cannot 'there is no python3 with jsonschema'
choose_backend
three_nodes
# What is found out about c is a fact.
mesh_edit c '' 'persistent-keepalive = 1'
mkdir "$T/json"
files=
# NAME NODE ARGUMENT...: keeps what it prints. Its exit status is not what is tested here.
keep() {
	local name="$1" node="$2" file
	shift 2
	file=$T/json/$(echo "$node-$*" | tr -c 'a-z\n-' '-')-$(echo "$files" | wc -w)
	kwg "$node" -j "$@" >"$file" 2>"$T/err" || :
	if [ ! -s "$file" ]; then
		fail "$name: kilowg $* prints nothing"
		show "$T/err"
		return
	fi
	files="$files $name=$file"
}

# NODE: all that can be asked at any time.
look() {
	keep detect "$1" detect
	keep facts "$1" facts
	keep status "$1" status
	keep check-live "$1" check --live
	keep steps "$1" diff
}

look a
keep steps a apply --dry-run
keep steps a apply
apply_all b c
wait_for 10 reaches a 10.4.0.2
keep history a history
look a
look b
# Somebody else's: a chain that drops what is forwarded, and a route that is in the way.
if command -v nft >/dev/null; then
	must on a nft 'add table inet theirs; add chain inet theirs forward { type filter hook forward priority 0; policy drop; }'
fi
must on a ip route add 10.2.3.0/24 via 203.0.113.3 metric 1
look a
# A network of the host's own is left out.
mesh_peer s 'allowed-ip = 10.7.0.0/24, 10.1.1.0/24'
keep steps a apply
keep history a history
look a
keep steps a down

# shellcheck disable=SC2086  # a list
"$python" "$lib_dir/schema.py" "$lib_dir/../etc/schema" files $files >"$T/points"
status=$?
sed '/^1\.\./d' "$T/points"
tap_n=$((tap_n + $(grep -cE '^(not )?ok ' "$T/points"))) tap_failed=$((tap_failed + status))
finish
