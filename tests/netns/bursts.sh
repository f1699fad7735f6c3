#!/bin/bash
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Packets to and from many peers at once, at a live kilowg-userspace with 1, 2 and 4 workers. It is
# stopped while packets come, so that one turn has more than fit each of its batches. The address
# and undefined behaviour sanitizers watch it, built for that; in bursts_long.sh tests/unit/check_worker, too.
#
# KWG_TEST_SEED, KWG_TEST_ROUNDS: random patterns, after those that always are tried. KWG_TEST_PEERS,
# KWG_TEST_WORKERS: how many; each number of the one with each of the other, in bursts_long.sh.
#
#	host 10.1.0.1, fd01::1 -- wg0 == a 192.0.2.1, 2001:db8::1 -- wan -- 192.0.2.2, 2001:db8::2: peers
#
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

# shellcheck disable=SC2154  # lib_dir is of lib.sh
build=$(cd -- "${top_builddir:-${lib_dir%/*}/build}" && pwd -P)
watched=$build/tests/watched

# Says why not; the compiler may have no sanitizers, or none for this machine.
cannot_watch() {
	local folder
	if grep -q '^LDFLAGS = .*-static' "$build/Makefile"; then
		echo "a static program has no sanitizers"
		return
	fi
	folder=$(mktemp -d) || return
	printf 'int main(void) { return 0; }\n' >"$folder/t.c"
	{ "${CC:-cc}" -fsanitize=address,undefined -o "$folder/t" "$folder/t.c" && "$folder/t"; } >/dev/null 2>&1 ||
		echo "${CC:-cc} has no sanitizers that work here"
	rm -rf "$folder"
}

# PROGRAM...: makes them, once; afterwards only what has changed.
make_watched() {
	local why
	why=$(cannot_watch)
	[ -z "$why" ] || cannot "$why"
	mkdir -p "$watched"
	MAKEFLAGS='' make -C "$build" -j2 CFLAGS='-O1 -g' "$@" >"$watched/log" 2>&1 && return
	tail -n 20 "$watched/log" | sed 's/^/# /'
	bail "building with the sanitizers"
}

if [ "${KWG_TEST_INSIDE:-}" != yes ]; then
	make_watched tests/watched/kilowg-userspace
	[ -z "${KWG_TEST_WORKERS:-}" ] || [ ! -x "$build/tests/unit/check_worker" ] ||
		make_watched tests/watched/check_worker
fi
enter "$@"

need wg
need_tun
crowd=$build/tests/netns/crowd
[ -x "$crowd" ] || cannot "tests/netns/crowd is not built"
seed=${KWG_TEST_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
say "KWG_TEST_SEED=$seed"

if [ -n "${KWG_TEST_WORKERS:-}" ] && [ -x "$watched/check_worker" ]; then
	check "the workers alone, too" env KWG_TEST_SEED="$seed" KWG_TEST_ROUNDS="${KWG_TEST_ROUNDS:-1}" \
		"$watched/check_worker"
fi

bridge_add wan
node_add a b
plug a eth0 wan 192.0.2.1/24
plug b eth0 wan 192.0.2.2/24
six=''
if can_ipv6; then
	six=6
	address_add a eth0 2001:db8::1/64
	address_add b eth0 2001:db8::2/64
fi

# COUNT WORKERS
start() {
	"$crowd" "$1" >"$T/conf" || bail "crowd"
	KILOWG_WORKERS=$2 WG_PROCESS_FOREGROUND=1 nsenter --net=/run/netns/a -- \
		unshare --mount sh "$T/as-node" "$T/nodes/a" "$watched/kilowg-userspace" wg0 >"$T/a.log" 2>&1 &
	echo $! >"$T/a.pid"
	wait_for 30 daemon_answers a wg0 || { show "$T/a.log"; bail "kilowg-userspace does not start"; }
	must on a wg setconf wg0 "$T/conf"
	must on a ip addr add 10.1.0.1/32 dev wg0
	[ -z "$six" ] || address_add a wg0 fd01::1/128
	must on a ip link set wg0 up
	must on a ip route add 10.9.0.0/16 dev wg0
	[ -z "$six" ] || must on a ip -6 route add fd09::/64 dev wg0
}

# COUNT WORKERS
try() {
	local line
	start "$1" "$2"
	# shellcheck disable=SC2086  # nothing, or a word
	nsenter --net=/run/netns/b -- "$crowd" "$1" /run/netns/a "$(cat "$T/a.pid")" "$seed" \
		"${KWG_TEST_ROUNDS:-1}" $six >"$T/crowd" 2>&1
	local status=$?
	while read -r line; do
		case $line in
		'ok '*) pass "$2 workers, ${line#*- }" ;;
		'not ok '*) fail "$2 workers, ${line#*- }" ;;
		*) say "$line" ;;
		esac
	done <"$T/crowd"
	is "$2 workers, $1 peers: to the end" 0 "$status"
	kill -CONT "$(cat "$T/a.pid")" 2>/dev/null
	kill -TERM "$(cat "$T/a.pid")" 2>/dev/null
	wait "$(cat "$T/a.pid")" 2>/dev/null
	is "and it ends well" 0 "$?"
	unlike "and has found no fault in itself" "$T/a.log" 'runtime error|Sanitizer'
	must wait_for 30 gone on a ip link show wg0
}

# The most peers with one worker, whose turns are the longest; others with several.
if [ -z "${KWG_TEST_WORKERS:-}" ]; then
	try 300 1
	try 40 2
	try 2 4
fi
for workers in ${KWG_TEST_WORKERS:-}; do
	for count in ${KWG_TEST_PEERS:-2 300}; do
		try "$count" "$workers"
	done
done
finish
