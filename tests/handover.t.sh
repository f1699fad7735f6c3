#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# What a data plane hands over to its successor (lib/dp/handover.c): each member of each structure
# that is written there is named there, if only in a comment that says why it stays behind.

top=${top_srcdir:-$(dirname "$0")/..}
file=$top/lib/dp/handover.c
n=0

# The structures that a function of the file goes through: those of its parameters, and what these
# have in them.
structures() {
	printf '%s\n' kwgi_allowedips_list kwgi_handshake kwgi_identity
	awk '/^static void .*struct cursor \*c,/, /\)/' "$file" | grep -o 'struct kwgi_[a-z_]*' | sed 's/struct //'
}

# STRUCTURE: its members, one in a line: the last word of each declaration, without [] and bits.
members() {
	cat "$top"/lib/base/*.h "$top"/lib/dp/*.h | awk -v head="struct $1 {" '
		$0 == head { inside = 1; next }
		inside && /^};/ { exit }
		inside { text = text " " $0 }
		END {
			while ((i = index(text, "/*")) > 0) {
				rest = substr(text, i)
				text = substr(text, 1, i - 1) " " substr(rest, index(rest, "*/") + 2)
			}
			gsub(/\[[^]]*\]/, "", text)
			gsub(/[;,]/, "\n", text)
			print text
		}' | sed -n 's/^.*[^A-Za-z0-9_]\([a-z_][a-z0-9_]*\)[ \t]*$/\1/p'
}

words=$(grep -o '[A-Za-z0-9_]*' "$file" | sort -u)
for structure in $(structures | sort -u); do
	n=$((n + 1))
	all=$(members "$structure" | sort)
	missing=$(printf '%s\n' "$words" "$words" "$all" | sort | uniq -u)
	if [ -n "$all" ] && [ -z "$missing" ]; then
		echo "ok $n - $structure: $(echo "$all" | grep -c .) members"
	else
		echo "not ok $n - $structure: named in lib/dp/handover.c"
		printf '# is not:'
		printf ' %s' $missing
		echo
	fi
done
echo "1..$n"
