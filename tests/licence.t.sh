#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Each file says its licence and who holds its copyright, or .reuse/dep5 does (REUSE 3.0), and
# "make sbom" writes what a reader of SPDX 2.3 expects, twice the same.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/lib.sh"

top=$(cd -- "${top_srcdir:-$lib_dir/..}" && pwd -P)
build=${top_builddir:-$top/build}
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM

# covered FILE: by a pattern of dep5, in which * is any text, also with /.
covered() {
	local p
	while read -r p; do
		# shellcheck disable=SC2254  # a pattern
		case $1 in $p) return ;; esac
	done <"$T/patterns"
	return 1
}

# uncovered FOLDER <FILES: those that neither say it themselves nor stand in dep5.
uncovered() {
	(cd -- "$1" && tr '\n' '\0' | xargs -0 sh -c '
		{ grep -L "SPDX-License-Identifie[r]: " "$@"; grep -L "SPDX-FileCopyrightTex[t]: " "$@"; } | sort -u' sh) |
	while read -r f; do
		case $f in COPYING | LICENSES/* | .reuse/dep5) continue ;; esac
		covered "$f" || echo "$f"
	done
}

same 'LICENSES/ISC.txt is COPYING' "$top/COPYING" "$top/LICENSES/ISC.txt"
awk '/^Files:/ { here = 1; sub(/^Files:/, "") } /^[A-Z]/ { here = 0 } here { for (i = 1; i <= NF; i++) print $i }' \
	"$top/.reuse/dep5" >"$T/patterns"
while read -r p; do
	# shellcheck disable=SC2086  # a pattern
	(cd -- "$top" && ls -d -- $p >/dev/null 2>&1) || echo "$p"
done <"$T/patterns" >"$T/none"
is 'each pattern of .reuse/dep5 fits a file' '' "$(cat "$T/none")"
is 'there are some' yes "$([ "$(wc -l <"$T/patterns")" -gt 10 ] && echo yes)"
is 'each section has a licence and a holder' "$(grep -c '^Files:' "$top/.reuse/dep5")" \
	"$(awk 'BEGIN { RS = "" } /(^|\n)Files:/ && /\nCopyright: / && /\nLicense: ISC(\n|$)/ { n++ } END { print n }' "$top/.reuse/dep5")"

if [ -e "$top/.git" ] && git -C "$top" ls-files >"$T/tracked" 2>/dev/null && [ -s "$T/tracked" ]; then
	# What is deleted but not yet committed is none.
	(cd -- "$top" && while read -r f; do [ ! -f "$f" ] || echo "$f"; done) <"$T/tracked" >"$T/files"
	is 'each file says its licence and its holder, or .reuse/dep5 does' '' "$(uncovered "$top" <"$T/files")"
	mkdir "$T/tree"
	printf '# SPDX-License-%s\n' 'Identifier: ISC' >"$T/tree/half"
	echo nothing >"$T/tree/bare"
	is 'one that does not would be found' 'bare half' "$(printf '%s\n' half bare | uncovered "$T/tree" | tr '\n' ' ' | sed 's/ $//')"
	if command -v reuse >/dev/null; then
		if (cd -- "$top" && LC_ALL=C.UTF-8 reuse lint) >"$T/lint" 2>&1; then
			pass 'reuse lint agrees'
		else
			fail 'reuse lint agrees'
			show "$T/lint"
		fi
	else
		skip 'reuse lint agrees' 'there is no reuse'
	fi
else
	skip 'each file says its licence and its holder, or .reuse/dep5 does' 'this is no clone of the repository'
fi

# ---- the bill of materials ----

if [ ! -e "$build/Makefile" ]; then
	skip 'make sbom' 'nothing is configured'
	finish
fi
version=$(sed -n 's/^AC_INIT(\[kilowg\], \[\([^]]*\)\].*/\1/p' "$top/configure.ac")
# Not the make that runs the tests: it has no part in this.
sbom() { (unset MAKEFLAGS MFLAGS MAKELEVEL; make -s -C "$build" sbom SBOM="$1" SOURCE_DATE_EPOCH=7) >"$T/make" 2>&1; }
check 'make sbom' sbom "$T/first.json"
(TZ=Asia/Kathmandu LANG=de_DE.UTF-8; export TZ LANG; sbom "$T/second.json")
same 'writes the same once more, in another place of the world' "$T/first.json" "$T/second.json"
if ! command -v jq >/dev/null; then
	skip 'it is SPDX 2.3' 'there is no jq'
	finish
fi
query() { jq -r "$1" "$T/first.json" 2>&1; }
is 'it is SPDX 2.3, of this version, and of no other time' "SPDX-2.3 kilowg-$version $version 1970-01-01T00:00:07Z" \
	"$(query '"\(.spdxVersion) \(.name) \(.packages[0].versionInfo) \(.creationInfo.created)"')"
is 'each part has a name of its own' true "$(query '[.packages[], .files[]] | map(.SPDXID) | length == (unique | length)')"
is 'and all are related' true \
	"$(query '([.packages[], .files[]] | map(.SPDXID) | sort) == ([.relationships[].relatedSpdxElement] | sort)')"
is 'all names are such of SPDX' true "$(query '[.packages[], .files[]] | all(.SPDXID | test("^SPDXRef-[A-Za-z0-9.-]+$"))')"
is 'libraries have the versions that pkg-config names' "$(for m in libb2 libmnl libsodium inih; do
	echo "$m $(pkg-config --modversion $m)"
done | sort)" "$(query '.packages[] | select(.name | IN("libb2", "libmnl", "libsodium", "inih")) | "\(.name) \(.versionInfo)"' | sort)"
query '.files[] | "\(.checksums[1].checksumValue)  \(.fileName)"' >"$T/sums"
check 'the checksums are those of the files' sh -c "cd '$top' && sha256sum --quiet -c '$T/sums'"
is 'every source of the library and of the programs is in it' '' "$(cd "$top" && for f in lib/*.[ch] lib/*/*.[ch] src/*.[ch]; do
	grep -qxF "./$f" <<-END || echo "$f"
	$(sed 's/^[0-9a-f]*  //' "$T/sums")
	END
done)"
is 'and says ISC' ISC "$(query '.files[] | select(.fileName | test("[.][ch]$")) | .licenseInfoInFiles[]' | sort -u)"
is 'the code of all is what SPDX says' "$(query '.files[].checksums[0].checksumValue' | LC_ALL=C sort | tr -d '\n' | sha1sum | cut -d ' ' -f 1)" \
	"$(query '.packages[0].packageVerificationCode.packageVerificationCodeValue')"
finish
