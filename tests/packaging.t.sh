#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# contrib/packaging, as far as it can be seen without building packages: each file that is installed
# is in one package, and no other; scripts are such; all have the version of the program.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

top=$(cd -- "${top_srcdir:-$lib_dir/..}" && pwd -P)
build=${top_builddir:-$top/build}
packaging=$top/contrib/packaging debian=$top/contrib/packaging/debian
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM

# ---- versions and scripts ----

version=$(sed -n 's/^AC_INIT(\[kilowg\], \[\([^]]*\)\].*/\1/p' "$top/configure.ac")
is 'all have the version of configure.ac' "$(for i in 1 2 3 4 5 6; do echo "$version"; done)" "$(
	sed -n '1s/^kilowg (\(.*\)-[^-]*) .*/\1/p' "$debian/changelog"
	sed -n 's/^Version: *//p' "$packaging/rpm/kilowg.spec"
	sed -n 's/^pkgver=//p' "$packaging/alpine/APKBUILD" "$packaging/arch/PKGBUILD"
	cd "$packaging/gentoo" && for f in kilowg-*.ebuild; do f=${f#kilowg-}; echo "${f%.ebuild}"; done
	sed -n 's/^ *version = "\(.*\)";/\1/p' "$packaging/nix/default.nix")"
wrong=$(for f in "$debian"/*.prerm "$debian"/*.postrm "$debian"/tests/demo "$debian"/tests/mesh "$debian"/tests/embed \
	"$packaging"/openrc/* "$packaging"/runit/*/run "$packaging"/alpine/APKBUILD; do
	sh -n "$f" 2>&1
done)
is 'scripts are such' '' "$wrong"
if command -v bash >/dev/null; then
	is 'and those of bash' '' "$(for f in "$packaging"/arch/PKGBUILD "$packaging"/gentoo/*.ebuild; do bash -n "$f" 2>&1; done)"
else
	skip 'and those of bash' 'there is no bash'
fi
is 'what is run can be' '' "$(for f in "$debian/rules" "$debian"/tests/demo "$debian"/tests/mesh "$debian"/tests/embed \
	"$packaging"/openrc/* "$packaging"/runit/*/run; do [ -x "$f" ] || echo "$f"; done)"
tail -n +5 "$top/COPYING" >"$T/copying"
sed '1,/^License: ISC$/d; s/^ //; s/^\.$//' "$debian/copyright" | sed '1,/^License: ISC$/d' >"$T/licence"
same 'the licence of debian/copyright is COPYING' "$T/copying" "$T/licence"
is 'tests of packages are those that are there' "$(sed -n 's/^Tests: //p' "$debian/tests/control" | sort)" \
	"$(cd "$debian/tests" && for f in *; do [ "$f" = control ] || echo "$f"; done | sort)"
if command -v nix-instantiate >/dev/null; then
	check 'the Nix expression can be parsed' nix-instantiate --parse "$packaging/nix/default.nix"
else
	skip 'the Nix expression can be parsed' 'there is no nix-instantiate'
fi

# ---- what is installed ----

if [ ! -e "$build/Makefile" ]; then
	skip 'what is installed is packaged' 'nothing is configured'
	finish
fi
if ! (unset MAKEFLAGS MFLAGS MAKELEVEL
	make -s -C "$build" install DESTDIR="$T/root" prefix=/usr libdir=/usr/lib/triplet \
		systemdsystemunitdir=/usr/lib/systemd/system tmpfilesdir=/usr/lib/tmpfiles.d) >"$T/make" 2>&1; then
	fail 'make install'
	show "$T/make"
	finish
fi
(cd "$T/root" && find . \( -type f -o -type l \) ! -path './usr/share/doc/*' | sed 's|^\./||' | sort) >"$T/there"

# Patterns of debian/: what install files name first, and the units that debian/rules adds.
{
	cat "$debian"/*.install | awk '$1 !~ /^debian\// { print $1 }'
	tr '\n\t' '  ' <"$debian/rules" | grep -o 'kilowg[a-z@-]*\.\(service\|path\|timer\)' | sort -u |
		sed 's|^|usr/lib/systemd/system/|'
	echo usr/lib/systemd/networkd.conf.d/50-kilowg.conf
} >"$T/debian"
# Of the spec: its macros as rpm has them.
sed -n '/^%files/,/^%changelog/p' "$packaging/rpm/kilowg.spec" | grep '^%{' | sed 's|%{_bindir}|usr/bin|
	s|%{_datadir}|usr/share|; s|%{_mandir}|usr/share/man|; s|%{_prefix}|usr|; s|%{_tmpfilesdir}|usr/lib/tmpfiles.d|
	s|%{_unitdir}|usr/lib/systemd/system|; s|%{_includedir}|usr/include|; s|%{_libdir}|usr/lib/*|; s|/$||' >"$T/rpm"

# LIST: what it names and is not there, and what is there and it does not name.
compare() {
	local p f
	while read -r p; do
		# shellcheck disable=SC2086  # a pattern
		(cd "$T/root" && ls -d $p >/dev/null 2>&1) || echo "$p is named, and not installed"
	done <"$1"
	while read -r f; do
		while read -r p; do
			# shellcheck disable=SC2254  # a pattern
			case $f in $p | $p/*) continue 2 ;; esac
		done <"$1"
		echo "$f is installed, and in no package"
	done <"$T/there"
}

# Without systemd.pc there are no units, and without jansson no kilowg-api.
if ! grep -q systemd/system/ "$T/there" || ! grep -q kilowg-api "$T/there"; then
	skip 'what is installed is packaged' 'units or kilowg-api are not built here'
	finish
fi
for kind in debian rpm; do
	is "$kind: each file that is installed is packaged, and no other" '' "$(compare "$T/$kind")"
	is "$kind: one that is not named would be found" 1 "$(grep -v 'bin/kilowg-label$' "$T/$kind" >"$T/less"; compare "$T/less" | grep -c .)"
done
is 'the preset is about all units that can be enabled' '' "$(cd "$T/root/usr/lib/systemd/system" &&
	for u in *; do case $u in kilowg*) ;; *) echo "$u" ;; esac; done)"
is 'and enables none' 'disable kilowg*' "$(grep -v '^#' "$packaging/systemd/90-kilowg.preset")"
finish
