#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# All is compiled with musl-gcc, no warning let pass, and the unit tests are run. Libraries are
# built from the distribution's sources (apt-get source). Of libmnl and libinih, where their
# sources cannot be had, what is installed is taken, with tests/musl_shim.c.
#
#   KWG_TEST_MUSL   a folder with the libraries that a run before has left, or will leave

# shellcheck disable=SC2034,SC2154
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

top=$(cd -- "${top_srcdir:-$lib_dir/..}" && pwd -P)
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM
prefix=${KWG_TEST_MUSL:-$T/prefix}

! late || cannot "$too_late"
need musl-gcc ar make autoreconf pkg-config
host=$(uname -m)-linux-musl
[ -x "$top/configure" ] || cannot 'there is no configure here'

# NAME: its sources, unpacked below $T/NAME; with lists of packages of our own.
sources() {
	mkdir -p "$T/apt/lists/partial" "$T/apt/parts" "$T/$1"
	if [ ! -e "$T/apt/list" ]; then
		command -v apt-get >/dev/null && command -v dpkg-source >/dev/null || return
		for f in /etc/apt/sources.list.d/*.sources; do
			[ ! -f "$f" ] || sed 's/^Types:.*/Types: deb-src/' "$f" >"$T/apt/parts/${f##*/}"
		done
		for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
			[ ! -f "$f" ] || sed -n 's/^deb /deb-src /p' "$f"
		done >"$T/apt/list"
		own_apt update >>"$T/log" 2>&1 || return
	fi
	(cd "$T/$1" && own_apt source "$1" >>"$T/log" 2>&1)
}
own_apt() {
	apt-get -qq -o Dir::Etc::SourceList="$T/apt/list" -o Dir::Etc::SourceParts="$T/apt/parts" \
		-o Dir::State::Lists="$T/apt/lists" -o APT::Sandbox::User=root \
		-o Dir::Cache::SrcPkgCache="$T/apt/s.bin" -o Dir::Cache::PkgCache="$T/apt/p.bin" "$@"
}

# NAME OPTION...: built as its authors would.
build() {
	name=$1
	shift
	(cd "$T/$name"/*/ && autoreconf -fi && ./configure CC=musl-gcc --host="$host" --prefix="$prefix" \
		--disable-shared --disable-dependency-tracking CFLAGS='-O1 -fPIC' "$@" &&
		if [ "$name" = check ]; then
			make -C lib && make -C src install && cp check.pc "$prefix/lib/pkgconfig"
		else
			make install
		fi) >>"$T/log" 2>&1
}

# LIBRARY LIBS: its .pc file.
pc() {
	printf 'Name: %s\nDescription: %s\nVersion: 1\nLibs: -L%s/lib %s\nCflags: -I%s/include\n' \
		"$1" "$1" "$prefix" "$2" "$prefix" >"$prefix/lib/pkgconfig/$1.pc"
}
installed() { pkg-config --variable="$2" "$1" 2>/dev/null || echo /nowhere; }

inih() {
	if sources libinih; then
		cp "$T"/libinih/*/ini.h "$prefix/include" && (cd "$T/libinih" && musl-gcc -O1 -fPIC \
			-DINI_MAX_LINE=200 -c -o ini.o */ini.c && ar rc "$prefix/lib/libinih.a" ini.o) >>"$T/log" 2>&1
	else
		cp "$(installed inih includedir)/ini.h" "$prefix/include" &&
			cp "$(installed inih libdir)/libinih.a" "$prefix/lib" && shim=yes
	fi
	pc inih -linih
}
mnl() {
	if sources libmnl; then
		build libmnl
	else
		mkdir -p "$prefix/include/libmnl"
		cp "$(installed libmnl includedir)/libmnl/libmnl.h" "$prefix/include/libmnl" &&
			cp "$(installed libmnl libdir)/libmnl.so.0" "$prefix/lib" &&
			ln -sf libmnl.so.0 "$prefix/lib/libmnl.so" && shim=yes && pc libmnl -lmnl
	fi
}

shim=no
: >"$T/log"
if [ ! -e "$prefix/complete" ]; then
	need libtoolize
	mkdir -p "$prefix/include" "$prefix/lib/pkgconfig"
	# The kernel's headers, which musl leaves to others.
	for d in linux asm asm-generic mtd; do
		for from in /usr/include /usr/include/"$(uname -m)"-linux-gnu; do
			[ ! -d "$from/$d" ] || ln -sfn "$from/$d" "$prefix/include/$d"
		done
	done
	for name in libsodium libb2 check; do
		sources $name || cannot "the sources of $name cannot be had: $(tail -n 1 "$T/log")"
	done
	for name in 'libsodium' 'libb2 --disable-openmp --disable-native' 'check --disable-subunit --disable-build-docs'; do
		# shellcheck disable=SC2086  # options
		build $name || { show "$T/log"; bail "${name%% *} does not compile"; }
	done
	inih || cannot 'there are no sources of libinih, and no libinih.a'
	mnl || cannot 'there are no sources of libmnl, and no libmnl.so.0'
	if [ $shim = yes ]; then
		say 'libmnl or libinih is what is installed, compiled for glibc'
		must musl-gcc -O1 -fPIC -shared -o "$prefix/lib/libshim.so" "$top/tests/musl_shim.c"
		sed -i 's/^Libs:.*/& -Wl,--no-as-needed -lshim/' "$prefix/lib/pkgconfig/inih.pc"
	fi
	touch "$prefix/complete"
fi

# Our sources are copied: configure wants none that were configured already.
must mkdir "$T/tree" "$T/build"
(cd "$top" && tar -cf - --exclude=./build --exclude=./.git \
	--exclude='*.o' --exclude='*.a' .) | (cd "$T/tree" && tar -xf -)
rm -f "$T/tree/config.status" "$T/tree/Makefile"
cd "$T/build" || bail 'no folder'
PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
PKG_CONFIG_PATH=
export PKG_CONFIG_LIBDIR PKG_CONFIG_PATH
# Whoever runs this with flags of his own means another compiler.
unset CC CFLAGS CPPFLAGS LDFLAGS MAKEFLAGS MFLAGS
check 'configure takes musl' "$T/tree/configure" CC=musl-gcc --host="$host" --enable-werror \
	CPPFLAGS="-I$prefix/include" LDFLAGS="-Wl,-rpath,$prefix/lib" CFLAGS=-O1
check 'library and programs compile without a warning' make -k
check 'so do the tests' make -k check TESTS=
[ $tap_failed = 0 ] || finish
check 'the program runs' ./kilowg --version
check 'and is one of musl' grep -aq ld-musl ./kilowg
make -k check TESTS="$(sed -n '/^UNIT_TESTS = /,/[^\\]$/p' "$top/Makefile.am" | tr -d '\\' | sed 's/UNIT_TESTS =//' |
	tr '\n\t' '  ')" >"$T/tests" 2>&1
status=$?
grep -E '^(FAIL|ERROR|SKIP):' "$T/tests" | sed 's/^/# /'
is 'all unit tests pass' 0 $status
finish
