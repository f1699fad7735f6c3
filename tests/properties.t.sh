#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The same plan, byte for byte, whatever the order of the sections, the locale,
# the time zone, the compiler and its options, and on every run.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
KILOWG=${KILOWG:-${top_builddir:-$top_srcdir}/kilowg}
SHUFFLES=${SHUFFLES:-20}
LC_ALL=C
export LC_ALL
[ -x "$KILOWG" ] || { echo "1..0 # SKIP there is no program $KILOWG"; exit 0; }

T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
n=0 failed=0

# STATUS NAME
point() {
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else failed=1; echo "not ok $n - $2"; fi
}

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

# NAME FILE FILE: passes if they are equal, and not empty.
same() {
	{ cmp "$2" "$3" && [ -s "$2" ]; } >"$T/cmp" 2>&1
	status=$?
	[ "$status" = 0 ] || sed 's/^/#   /' "$T/cmp"
	point "$status" "$1"
}

# ---- three meshes of different kind ------------------------------------------

# key(i): a key in base64, by number.
cat >"$T/lib.awk" <<'END'
function key(i,   b, s, j) {
	b = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for (s = ""; j < 41; j++) { s = s substr(b, i % 64 + 1, 1); i = int(i / 64) }
	return "B" s "E="
}
END

# Locations, leaders, DNS names, discovered endpoints, location IPs, peers.
awk -f "$T/lib.awk" -f /dev/stdin >"$T/location.ini" <<'END'
BEGIN {
	split("a:B:ä:10:2: c d:", location, ":")
	print "[mesh]\nformat = 1\nservice-cidr = 10.43.0.0/16\nencapsulation = cross-subnet\n"
	for (i = 0; i < 120; i++) {
		printf "[node]\nname = n%d\npublic-key = %s\npod-cidr = 10.42.%d.0/24\n", i, key(i + 1), i
		printf "location = %s\n", location[i % 7 + 1]
		if (i % 11) printf "internal-ip = 192.168.%d.%d/24\n", i % 7, i + 1
		if (i % 5) printf "endpoint = 203.0.113.%d:51820\n", i + 1
		else printf "endpoint = n%d.example.org:51820\nendpoint-address = 10.9.0.%d\n", i, i + 1
		if (i % 3 == 0) print "leader = yes"
		if (i % 4 == 0) print "persistent-keepalive = 25"
		if (i % 9 == 0) printf "discovered-endpoint = %s 198.51.100.%d:%d\n", key(i % 20 + 1), i + 1, 40000 + i
		if (i % 8 == 0) printf "allowed-location-ip = 10.8.%d.0/24, 10.%d.0.0/16\n", i % 16, 100 + i % 24
	}
	for (i = 0; i < 30; i++) {
		printf "[peer]\nname = p%d\npublic-key = %s\nallowed-ip = 10.5.%d.0/24, 10.5.%d.0/24\n", i, key(1000 + i), i, (i + 1) % 30
		if (i % 2) printf "preshared-key = %s\nendpoint = p%d.example.org:1\n", key(2000 + i), i
	}
}
END

awk -f "$T/lib.awk" -f /dev/stdin >"$T/full.ini" <<'END'
BEGIN {
	print "[mesh]\nformat = 1\ngranularity = full\nsubnet = fd00:4::/64\nport = endpoint"
	print "[local]\ncni = yes\nforward-rules = yes\nmtu = 1380\nfwmark = 9\n"
	for (i = 0; i < 60; i++) {
		printf "[node]\nname = Node-%d\npublic-key = %s\npod-cidr = fd00:42:%x::/48\n", i, key(i + 1), i
		printf "endpoint = [2001:db8::%x]:%d\ninternal-ip = fd00:1::%x/64\nlocation = %d\n", i + 1, 1000 + i, i + 1, i % 3
	}
	for (i = 0; i < 5; i++)
		printf "[peer]\nname = p %d\npublic-key = %s\nallowed-ip = fd00:5::%x/128\npersistent-keepalive = 1m\n", i, key(1000 + i), i + 1
}
END

awk -f "$T/lib.awk" -f /dev/stdin >"$T/cilium.ini" <<'END'
BEGIN {
	print "[mesh]\nformat = 1\ncompatibility = cilium\nsubnet = 10.4.0.0/24\n[local]\nroute-table = 77\n"
	for (i = 0; i < 40; i++) {
		printf "[node]\nname = n%02d\npublic-key = %s\npod-cidr = 10.42.%d.0/24\npod-cidr = fd00:42:%x::/64\n", i, key(i + 1), i, i
		printf "endpoint = 203.0.113.%d:51820\ninternal-ip = 172.16.%d.5/20\nlocation = %s\n", i + 1, i, i % 2 ? "east" : "west"
		if (i % 3) printf "cni-compatibility-ip = 10.42.%d.9\n", i
	}
}
END

# FILE PREFIX: three nodes to look at.
nodes_of() {
	case $1 in
	location) echo n0 n1 n77 ;;
	full) echo Node-0 Node-7 Node-59 ;;
	cilium) echo n00 n01 n38 ;;
	esac
}

# PROGRAM... FILE: the plans of the three nodes, one after another.
plans() {
	for node in $(nodes_of "$(basename "$1" .ini)"); do
		"$KILOWG" -f "$1" --node "$node" plan || return
		"$KILOWG" -f "$1" --node "$node" --json plan || return
	done
}

for kind in location full cilium; do
	plans "$T/$kind.ini" >"$T/$kind.plan" 2>"$T/err"
	status=$?
	sed 's/^/#   /' "$T/err"
	point "$status" "$kind: there are plans"
	[ "$(grep -c '^digest blake2b-256 ................................................................$' "$T/$kind.plan")" = 3 ] &&
		[ "$(sort "$T/$kind.plan" | grep '^digest' | uniq | wc -l)" = 3 ]
	point $? "$kind: each has a digest of its own"
done

# ---- order, runs, surroundings -----------------------------------------------

# SEED: the sections of stdin in another order.
shuffled() {
	awk -v seed="$1" '
		BEGIN { srand(seed) }
		/^\[/ { n++ }
		{ text[n] = text[n] $0 "\n" }
		END {
			printf "%s", text[0]
			for (i = n; i > 1; i--) {
				j = int(rand() * i) + 1
				t = text[i]; text[i] = text[j]; text[j] = t
			}
			for (i = 1; i <= n; i++) printf "%s", text[i]
		}'
}

mkdir "$T/shuffled" "$T/split"
for kind in location full cilium; do
	bad=0 moved=0
	for seed in $(seq "$SHUFFLES"); do
		shuffled "$seed" <"$T/$kind.ini" >"$T/shuffled/$kind.ini"
		cmp -s "$T/$kind.ini" "$T/shuffled/$kind.ini" || moved=$((moved + 1))
		plans "$T/shuffled/$kind.ini" >"$T/out" 2>&1
		cmp -s "$T/$kind.plan" "$T/out" || { bad=1; echo "#   seed $seed"; }
	done
	[ "$bad" = 0 ] && [ "$moved" = "$SHUFFLES" ]
	point $? "$kind: $SHUFFLES orders of sections"

	plans "$T/$kind.ini" >"$T/out" 2>&1
	same "$kind: a second run" "$T/$kind.plan" "$T/out"

	(cd "$T" && plans "$kind.ini") >"$T/out" 2>&1
	same "$kind: another folder" "$T/$kind.plan" "$T/out"

	sed 's/$/\r/' "$T/$kind.ini" >"$T/split/$kind.ini"
	plans "$T/split/$kind.ini" >"$T/out" 2>&1
	same "$kind: CRLF" "$T/$kind.plan" "$T/out"
done

# Names of locales as "locale -a" has them differ from those that people write.
for locale in C C.UTF-8 tr_TR.UTF-8 de_DE.UTF-8 ar_EG.UTF-8; do
	if ! locale -a 2>/dev/null | tr -d - | grep -qix "$(echo "$locale" | tr -d -)"; then
		skip "locale $locale" "it is not installed"
		continue
	fi
	for kind in location full cilium; do
		(LC_ALL=$locale LANG=$locale LANGUAGE=$locale && export LC_ALL LANG LANGUAGE &&
			plans "$T/$kind.ini") >"$T/out" 2>&1
		same "locale $locale: $kind" "$T/$kind.plan" "$T/out"
	done
done

for zone in UTC Asia/Kathmandu XXX-13:30 America/St_Johns; do
	(TZ=$zone && export TZ && plans "$T/location.ini") >"$T/out" 2>&1
	same "time zone $zone" "$T/location.plan" "$T/out"
done

env -i "$KILOWG" -f "$T/full.ini" --node Node-0 plan >"$T/out" 2>&1
(KILOWG_X=1 COLUMNS=20 TERM=dumb POSIXLY_CORRECT=1 &&
	export KILOWG_X COLUMNS TERM POSIXLY_CORRECT &&
	"$KILOWG" -f "$T/full.ini" --node Node-0 plan) >"$T/out2" 2>&1
same "environment" "$T/out" "$T/out2"

# ---- compilers ---------------------------------------------------------------

# OUTPUT COMPILER OPTION... [LIBRARY...]: a program of its own.
build() {
	output=$1
	shift
	# shellcheck disable=SC2086
	(cd "$top_srcdir" && "$@" -std=c11 -D_GNU_SOURCE -Ilib -o "$output" \
		tests/unit/plan_driver.c lib/base/*.c lib/config/*.c lib/plan/*.c lib/kilowg.c $more) >"$T/cc" 2>&1
}

# PROGRAM [FILTER...]: prints the plans of all meshes.
driven() {
	for kind in location full cilium; do
		for node in $(nodes_of "$kind"); do
			"$1" "$T/$kind.ini" "$node" || return
		done
	done
}

for kind in location full cilium; do
	for node in $(nodes_of "$kind"); do
		"$KILOWG" -f "$T/$kind.ini" --node "$node" plan
	done
done >"$T/wanted" 2>&1

libraries=$(pkg-config --libs libsodium inih libb2 2>/dev/null) || libraries="-lsodium -linih -lb2"
for cc in gcc clang; do
	for options in -O0 -O3 "-O1 -funsigned-char" "-O2 -fsanitize=undefined -fno-sanitize-recover=all"; do
		if ! command -v $cc >/dev/null; then
			skip "$cc $options" "there is no $cc"
			continue
		fi
		more=$libraries
		# shellcheck disable=SC2086
		if ! build "$T/driver" $cc $options; then
			case $options in
			*sanitize*)
				skip "$cc $options" "$cc cannot link with it"
				continue ;;
			esac
			sed 's/^/#   /' "$T/cc"
			point 1 "$cc $options"
			continue
		fi
		driven "$T/driver" >"$T/out" 2>"$T/err"
		sed 's/^/#   /' "$T/err"
		same "$cc $options" "$T/wanted" "$T/out"
	done
done

# 32 bit: with the libraries if they are there, else with stand-ins for what is
# used of them, without the digest.
echo 'int main(void) { return 0; }' >"$T/empty.c"
if ! gcc -m32 -o "$T/empty" "$T/empty.c" >/dev/null 2>&1 || ! "$T/empty"; then
	skip "gcc -m32" "gcc cannot make 32-bit programs that run here"
else
	more=$libraries
	if build "$T/driver" gcc -m32 -O2; then
		driven "$T/driver" >"$T/out" 2>&1
		same "gcc -m32" "$T/wanted" "$T/out"
	else
		skip "gcc -m32 with libraries" "no 32-bit libsodium, inih and libb2"
		more=tests/unit/standins.c
		build "$T/driver" gcc -m32 -O2 || sed 's/^/#   /' "$T/cc"
		driven "$T/driver" 2>&1 | sed '/^digest /d' >"$T/out"
		sed '/^digest /d' "$T/wanted" >"$T/wanted.text"
		same "gcc -m32 with stand-ins for libraries" "$T/wanted.text" "$T/out"
	fi
fi

echo "1..$n"
exit "$failed"
