#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The library, the programs and the unit tests, built by each compiler that is here and with flags
# that distributions use, all without a warning; the unit tests are run. "make check-builds": many
# minutes. KWG_TEST_BUILDS names some of them: KWG_TEST_BUILDS='clang-16 lto'.
#
#   top_srcdir, top_builddir  as make sets them; configure is needed

# shellcheck disable=SC2034,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

top=$(cd -- "${top_srcdir:-$lib_dir/..}" && pwd -P)
[ -x "$top/configure" ] || cannot 'there is no configure: autoreconf -fi makes it'
[ ! -e "$top/config.status" ] || cannot 'the source folder itself is configured; make distclean there'
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM
unset MAKEFLAGS MFLAGS MAKELEVEL CC CFLAGS CPPFLAGS LDFLAGS
warnings='-Wall -Wextra -Wpedantic -std=c11'
wanted=" ${KWG_TEST_BUILDS:-} "

# FOLDER: the unit tests there; those that fail stand in $T/failed.
unit_tests() {
	local t n=0
	: >"$T/failed"
	for t in "$1"/tests/unit/check_*; do
		[ -x "$t" ] && [ ! -d "$t" ] || continue
		case $t in *.o | *.sh) continue ;; esac
		n=$((n + 1))
		(cd -- "$1" && top_srcdir=$top top_builddir=$1 KILOWG=$1/kilowg CK_VERBOSITY=minimal timeout 300 "$t") \
			>"$T/out" 2>&1 || { echo "${t##*/}"; sed 's/^/  /' "$T/out" | tail -n 5; } >>"$T/failed"
	done
	[ -s "$T/failed" ] || [ $n -gt 20 ] || echo "there are $n unit tests only" >"$T/failed"
}

# NAME 'CONFIGURE ARGUMENT...' VARIABLE=VALUE...: one build.
build() {
	local name="$1" options="$2" folder=$T/build
	shift 2
	case $wanted in '  ' | *" $name "*) ;; *) return ;; esac
	if late; then
		skip "$name" "$too_late"
		return
	fi
	mkdir "$folder"
	# shellcheck disable=SC2086  # a list
	if ! (cd -- "$folder" && "$top/configure" -q --enable-werror $options "$@") >"$T/out" 2>&1; then
		# What cannot be had here is no fault.
		if [ "$name" = static ] && grep -q 'ships no libmnl.a' "$T/out"; then
			skip "$name: builds" 'a library has no static archive here'
		else
			fail "$name: configure"
			show "$T/out"
		fi
	elif ! (make -s -C "$folder" all && make -s -C "$folder" check TESTS=) >"$T/out" 2>&1; then
		fail "$name: builds"
		grep -E ': (fatal )?(error|warning):|undefined' "$T/out" | head -n 20 >"$T/errors"
		show "$T/errors"
	else
		pass "$name: builds"
		"$folder/kilowg" -f "$top/etc/kilowg.ini.example" --node berlin-1 plan >"$T/$name.plan" 2>&1
		if grep -q '^CHECK_LIBS = .' "$folder/Makefile"; then
			unit_tests "$folder"
			is "$name: unit tests" '' "$(cat "$T/failed")"
		else
			skip "$name: unit tests" 'there is no library check'
		fi
		[ -e "$T/plan" ] || cp "$T/$name.plan" "$T/plan"
		same "$name: the plan is that of the first build" "$T/plan" "$T/$name.plan"
	fi
	rm -rf "$folder"
}

# COMPILER: with the flags that are usual.
compiler() {
	if ! command -v "$1" >/dev/null; then
		case $wanted in '  ' | *" $1 "*) skip "$1: builds" 'it is not installed' ;; esac
	elif ! echo 'int main(void) { return 0; }' | "$1" -x c -o "$T/a.out" - >"$T/out" 2>&1; then
		fail "$1 makes a program"
		show "$T/out"
	else
		build "$1" '' CC="$1" CFLAGS="-O2 $warnings"
	fi
}

for c in gcc-11 gcc-12 clang-13 clang-14 clang-15 clang-16; do
	compiler $c
done
build O0 '' CFLAGS="-O0 -g $warnings"
build Os '' CFLAGS="-Os $warnings"
build fortify-3 --disable-hardening CFLAGS="-O2 $warnings" CPPFLAGS=-D_FORTIFY_SOURCE=3
build lto '' AR=gcc-ar RANLIB=gcc-ranlib CFLAGS="-O2 -flto $warnings" LDFLAGS=-flto
build static '' CFLAGS="-O2 $warnings" LDFLAGS=-static
[ "$tap_n" -gt 0 ] || fail "\"$KWG_TEST_BUILDS\" names no build"
finish
