#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# The programs of tests/examples do what they say.
#
#   top_srcdir    the source tree (default: above this script)
#   top_builddir  where they were built (default: build)
#   KILOWG        the program (default: in top_builddir)
#   CC            links the shared object that Python loads (default: cc)

src=${top_srcdir:-$(dirname "$0")/..}
build=${top_builddir:-build}
kilowg=${KILOWG:-$build/kilowg}
sample=$src/etc/kilowg.ini.example
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
n=0

ok() { n=$((n + 1)); echo "ok $n - $1"; }
not_ok() { n=$((n + 1)); echo "not ok $n - $1"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

run() {	# what program...
	what=$1
	shift
	if "$@" >"$tmp/out" 2>&1; then ok "$what"; else not_ok "$what"; fi
	sed 's/^/# /' "$tmp/out"
}

says() {	# what line
	if grep -qxF -e "$2" "$tmp/out"; then ok "$1"; else not_ok "$1"; fi
}

echo 1..9
run "a ping through a tunnel over a socketpair" "$build/tests/examples/ping"
run "a UDP echo that only WireGuard reaches" "$build/tests/examples/echo"
run "a tunnel in another tunnel" "$build/tests/examples/nested"
run "a server whose peers come and go" "$build/tests/examples/server"
run "ten thousand tunnels behind one socket" "$build/tests/examples/many"
says "and each has its answer" "10000 of 10000 tunnels have their answer"

# ---- from Python, through a shared object ----

libs=$(sed -n 's/^DEPS_LIBS = //p' "$build/Makefile")
# shellcheck disable=SC2086  # CC may hold flags; a list of libraries
if ! command -v python3 >/dev/null; then
	why='there is no python3'
elif ! ${CC:-cc} -shared -o "$tmp/libkilowg.so" -Wl,--whole-archive "$build/libkilowg.a" \
	-Wl,--no-whole-archive $libs 2>"$tmp/link"; then
	sed 's/^/# /' "$tmp/link"
	why='this archive cannot be linked into a shared object'
elif ! python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$tmp/libkilowg.so" 2>"$tmp/load"; then
	tail -n 1 "$tmp/load" | sed 's/^/# /'
	why='python3 cannot load it (a sanitizer, or no ctypes)'
else
	run 'Python calls the library' python3 "$src/tests/examples/mesh.py" "$tmp/libkilowg.so" "$sample" berlin-1
	says 'it computes the digest that the program prints' \
		"$("$kilowg" -f "$sample" --node berlin-1 plan | grep '^digest ')"
	says 'and what it sends comes through a tunnel' 'hello from the other side'
	exit 0
fi
skip 'Python calls the library' "$why"
skip 'it computes the digest that the program prints' "$why"
skip 'and what it sends comes through a tunnel' "$why"
