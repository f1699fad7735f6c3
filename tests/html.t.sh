#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# Manual pages as HTML: all are rendered, and each link leads to a page, and a place in it,
# that was made.
#
#   top_srcdir  the source tree (default: above this script)

top=${top_srcdir:-$(dirname "$0")/..}
if ! command -v mandoc >/dev/null; then
	echo '1..0 # SKIP there is no mandoc'
	exit 0
fi
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
n=0
check() {
	n=$((n + 1))
	if [ ! -s "$tmp/out" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		sed 's/^/# /' "$tmp/out"
	fi
}

echo 1..5
sh "$top/man/html" "$tmp/html" >"$tmp/out" 2>&1 || echo "it exits with $?" >>"$tmp/out"
check 'all pages are rendered'

(cd "$top/man" && ls -- *.[1-9] | sed 's/$/.html/') >"$tmp/want"
(cd "$tmp/html" && ls -- *.[1-9].html) >"$tmp/have"
sed -n 's/.*<dt><a href="\([^"]*\)">.*/\1/p' "$tmp/html/index.html" >"$tmp/listed"
{ diff "$tmp/want" "$tmp/have" && diff "$tmp/want" "$tmp/listed"; } >"$tmp/out"
check 'and stand in the index'

# FILE TARGET of each link, but for other sites.
for f in "$tmp"/html/*.html; do
	grep -oE 'href="[^"]*"' "$f" | sed "s,^href=\"\\(.*\\)\",${f##*/} \\1,"
done | grep -v ' https://' | sort -u >"$tmp/links"
while read -r from to; do
	page=${to%%#*}
	[ -n "$page" ] || page=$from
	if [ ! -s "$tmp/html/$page" ]; then
		echo "$from: $to: there is no such page"
	elif [ "$to" != "$page" ] && [ "${to#*#}" != "$to" ] && ! grep -qF "id=\"${to#*#}\"" "$tmp/html/$page"; then
		echo "$from: $to: there is no such place"
	fi
done <"$tmp/links" >"$tmp/out"
[ -s "$tmp/links" ] || echo 'there are no links' >>"$tmp/out"
check 'each link leads to a page and place that exist'

# Each page but libkilowg(3)'s own kin can be reached from kilowg(8), link by link.
printf 'kilowg.8.html\n' >"$tmp/reached"
for i in 1 2 3 4; do
	awk 'NR == FNR { r[$1]; print; next } $1 in r { sub(/#.*/, "", $2); if ($2 ~ /[0-9]\.html$/) print $2 }' \
		"$tmp/reached" "$tmp/links" | sort -u >"$tmp/more"
	mv "$tmp/more" "$tmp/reached"
done
sort "$tmp/want" | diff - "$tmp/reached" >"$tmp/out"
check 'each page is reached from kilowg(8)'

grep -l '<a class="Xr" href="wg.8.html"' "$tmp"/html/*.html >"$tmp/out"
check 'pages of others are no links'
