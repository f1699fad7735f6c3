#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# The includes of all sources against the table of folders in CONTRIBUTING ("Where things are"):
# who may include whom, no circles, and what is pure asks no system. tests/library.t.sh has
# the other half of that: what the objects call.

top=${top_srcdir:-$(dirname "$0")/..}
n=0

# C without clock, threads, signals and locale; libraries that compute; and three headers of
# which only types and byte order are wanted.
pure_headers='errno.h inttypes.h limits.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h
	stdint.h stdio.h stdlib.h string.h
	arm_neon.h blake2.h immintrin.h ini.h openssl/evp.h sodium.h
	arpa/inet.h endian.h sys/uio.h'

# TREE KIND: what is wrong in the tree, one per line. KIND is one of
#   table     a folder without a row, a row without a folder, rows that allow a circle
#   layers    an include that the table does not allow
#   circles   folders that include each other
#   files     files that do, NAME.c and NAME.h being one, where no header of theirs says
#             "circle of files", and why
#   pure      a header of the system in a folder that is pure
findings() {
	awk -v root="$1/" -v kind="$2" -v headers="$pure_headers" '
	function folder_of(path) {
		sub(/\/[^\/]*$/, "", path)
		return path
	}
	function found(of, text) {
		if (of == kind)
			print text
	}
	# Is it a row? Its words: folder, what it may include, pure or not, a sentence.
	function row(  i, folder) {
		folder = $1
		for (i = 2; i <= NF && $i != "yes" && $i != "no"; i++)
			if ($i != "-")
				may[folder, $i == "all" ? $i : "lib/" $i] = 1
		if (i > NF)
			return
		rows[folder] = 1
		pure[folder] = $i == "yes"
	}
	function part_of(path) {
		sub(/\.[ch]$/, "", path)
		return path
	}
	# The path of what a file includes, or nothing if it is none of ours.
	function resolve(name, quoted) {
		if (quoted && folder_of(file) "/" name in known)
			return folder_of(file) "/" name
		if ("lib/" name in known)
			return "lib/" name
		return quoted ? "?" : ""
	}
	function include(name, quoted,  path, from, to) {
		path = resolve(name, quoted)
		from = folder_of(file)
		if (path == "?") {
			found("layers", file " includes \"" name "\", which is no file of ours")
		} else if (path == "") {
			if (pure[from] && index(" " headers " ", " " name " ") == 0)
				found("pure", file " includes <" name ">; " from " is pure")
		} else if (path != "lib/kilowg.h") {	# the public types, for all
			to = folder_of(path)
			if (part_of(file) != part_of(path))
				file_edge[part_of(file), part_of(path)] = 1
			if (from == to)
				return
			edge[from, to] = 1
			if (!((from, to) in may) && !((from, "all") in may && to != "src"))
				found("layers", file " includes \"" name "\": " from " may not include " to)
		}
	}
	# Takes away, again and again, those that point at none of the rest.
	function circle(edges, what,  left, more, f, g, points, pair, end) {
		for (pair in edges) {
			split(pair, end, SUBSEP)
			left[end[1]] = left[end[2]] = 1
		}
		do {
			more = 0
			for (f in left) {
				points = 0
				for (g in left)
					points += (f, g) in edges
				if (!points) {
					delete left[f]
					more = 1
					break
				}
			}
		} while (more)
		for (pair in edges) {
			split(pair, end, SUBSEP)
			if (end[1] in left && end[2] in left)
				found(what, "in a circle: " end[1] " includes " end[2])
		}
	}
	# What such a header includes is the half of a circle that its comment is about.
	function file_circles(  pair, end) {
		for (pair in file_edge) {
			split(pair, end, SUBSEP)
			if (end[1] in says)
				delete file_edge[pair]
		}
		circle(file_edge, "files")
	}
	BEGIN {
		gsub(/[ \t\n]+/, " ", headers)
		for (i = 1; i < ARGC; i++) {
			path = substr(ARGV[i], length(root) + 1)
			if (path == "CONTRIBUTING")
				continue
			known[path] = 1
			folders[folder_of(path)] = 1
		}
	}
	{ file = substr(FILENAME, length(root) + 1) }
	FNR == 1 { comment = 1 }
	/^#/ { comment = 0 }
	comment && /circle of files/ { says[part_of(file)] = 1 }
	file == "CONTRIBUTING" {
		if ($0 == "Where things are")
			here = 1
		else if ($0 == "A change, layer by layer")
			here = 0
		else if (here && $1 ~ /^(lib|lib\/[a-z]+|src)$/)
			row()
		next
	}
	/^[ \t]*#[ \t]*include[ \t]*["<]/ {
		quoted = $0 ~ /include[ \t]*"/
		name = $0
		sub(/^[^"<]*["<]/, "", name)
		sub(/[">].*/, "", name)
		include(name, quoted)
	}
	END {
		for (f in folders)
			if (!(f in rows))
				found("table", f " has no row in CONTRIBUTING")
		for (f in rows)
			if (!(f in folders))
				found("table", "CONTRIBUTING has a row for " f ", which is not there")
		circle(may, "table")
		circle(edge, "circles")
		file_circles()
	}' "$1/CONTRIBUTING" "$1"/lib/*.[ch] "$1"/lib/*/*.[ch] "$1"/src/*.[ch] 2>&1 || echo "awk failed"
}

# TEXT LINES: passes if there are no lines.
point() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
		return
	fi
	echo "$2" | sed 's/^/# /'
	echo "not ok $n - $1"
}

# KIND WANTED TEXT: in the copy something is wrong by now; is it what is found, with its name?
finds() {
	got=$(findings "$T" "$1")
	n=$((n + 1))
	case $got in
	*"$2"*) echo "ok $n - found: $3" ;;
	*)
		printf '%s\n' "wanted: $2" "got: $got" | sed 's/^/# /'
		echo "not ok $n - found: $3"
		;;
	esac
	copy
}

copy() {
	rm -rf "${T:?}"/*
	cp -R "$top/lib" "$top/src" "$top/CONTRIBUTING" "$T" && chmod -R u+w "$T" || exit 99
}

# FILE LINE: one line more at the file's end, in the copy.
add() { echo "$2" >>"$T/$1"; }

T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
trap 'exit 99' HUP INT TERM

point 'CONTRIBUTING has a row for each folder, and they allow no circle' "$(findings "$top" table)"
point 'each include is one that CONTRIBUTING allows' "$(findings "$top" layers)"
point 'no folders include each other' "$(findings "$top" circles)"
point 'no files include each other without a word about it' "$(findings "$top" files)"
point 'what is pure includes no header of the system' "$(findings "$top" pure)"

# Would it be seen?
copy
add lib/dp/timers.c '#include "host/files.h"'
finds layers 'lib/dp/timers.c includes "host/files.h": lib/dp may not include lib/host' 'dp includes host'
add lib/plan/plan.h '#  include "steps/diff.h" /* why */'
finds layers 'lib/plan/plan.h includes "steps/diff.h": lib/plan may not' 'a layer to the left includes one to the right'
add lib/config/ini.c '#include <plan/plan.h>'
finds layers 'lib/config/ini.c includes "plan/plan.h": lib/config may not' 'one of ours in angle brackets'
add src/main.c '#include "base/buf.h"'
finds layers 'src/main.c includes "base/buf.h": src may not include lib/base' 'a program includes more than kilowg.h'
add lib/host/wg.c '#include "facade.h"'
finds layers 'lib/host/wg.c includes "facade.h": lib/host may not include lib' 'a layer includes the facade'
add lib/sys/mnl.c '#include "../host/wg.h"'
finds layers 'lib/sys/mnl.c includes "../host/wg.h"' 'a way around the folders'
add lib/sys/mnl.h '#include "host/nft.h"'
finds circles 'in a circle: lib/sys includes lib/host' 'a circle of two folders'
add lib/base/addr.h '#include "plan/plan.h"'
finds circles 'in a circle: lib/plan includes lib/config' 'a circle of three folders'
add lib/steps/diff.h '#include "steps/steps.h"'
finds files 'in a circle: lib/steps/diff includes lib/steps/steps' 'a circle of files'
sed 's/in a circle of files/in none/' "$top/lib/userspace/udp_work.h" >"$T/lib/userspace/udp_work.h"
finds files 'in a circle: lib/userspace/udp_work includes lib/userspace/udp' 'a circle that has no reason'
add lib/steps/mtu.c '#include <time.h>'
finds pure 'lib/steps/mtu.c includes <time.h>; lib/steps is pure' 'a clock in a pure folder'
add lib/dp/send.c '#include <sys/socket.h>'
finds pure 'lib/dp/send.c includes <sys/socket.h>; lib/dp is pure' 'sockets in a pure folder'
grep -v '^ *lib/dp ' "$top/CONTRIBUTING" >"$T/CONTRIBUTING"
finds table 'lib/dp has no row' 'a folder without a row'
sed 's,^\( *lib/sys  *\)base ,\1host ,' "$top/CONTRIBUTING" >"$T/CONTRIBUTING"
finds table 'in a circle: lib/sys includes lib/host' 'rows that allow a circle'
echo "1..$n"
