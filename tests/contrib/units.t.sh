#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The units of etc/systemd, by systemd's own checks. tests/vm/units.sh runs them.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

top=${top_srcdir:-$lib_dir/..}
build=${top_builddir:-$top/build}
units=$build/etc/systemd
tmp=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$tmp"' EXIT
T=$tmp

# With what this build has made instead of what will be installed.
local_copy() {
	local f
	mkdir "$tmp/units"
	for f in "$units"/kilowg*; do
		sed "s|^ExecStart=[^ ]*/\\(kilowg[a-z-]*\\)|ExecStart=$tmp/\\1|" "$f" >"$tmp/units/${f##*/}"
	done
	printf '#!/bin/sh\n' >"$tmp/kilowg"
	chmod 755 "$tmp/kilowg"
	cp "$tmp/kilowg" "$tmp/kilowg-userspace"
	cp "$tmp/kilowg" "$tmp/kilowg-agent"
}

# UNIT...: prints nothing if all is well. Manual pages are not installed yet.
verify() { systemd-analyze verify --man=no "$@" 2>&1; }
quiet() { [ -z "$(verify "$@")" ] || { verify "$@"; return 1; }; }

# TENTHS UNIT
exposure() { systemd-analyze security --offline=true --threshold="$1" --no-pager "$2"; }

[ -e "$units/kilowg.service" ] || cannot 'this build folder has no units'
check 'nothing is left to be replaced' gone grep -n '@[a-z_]*@' "$units"/kilowg*
check 'the sandbox is in' grep -q '^NoNewPrivileges=yes' "$units/kilowg.service"
same_sandbox() { sed -n '/^CapabilityBoundingSet/,/^UMask/p' "$units/$1"; }
is 'kilowg-recheck.service may do what kilowg.service may' "$(same_sandbox kilowg.service)" \
	"$(same_sandbox kilowg-recheck.service)"

# The sample for cron: times, root, and a command that kilowg knows.
is 'each line of kilowg.cron is one of cron.d' '' "$(grep -vE '^(#.*|[A-Z]+=.*|(@reboot|([0-9*/,-]+ ){4}[0-9*/,-]+) root kilowg .*)$' "$top/etc/kilowg.cron")"
check 'kilowg has what it uses' sh -c '"$1" apply --help | grep -q -e --wait && "$1" --help | grep -q -e -q' sh "$KILOWG"

if command -v mandoc >/dev/null; then
	is 'mandoc finds nothing in kilowg.service.8' '' "$(mandoc -Tlint -W warning "$top/man/kilowg.service.8")"
else
	skip 'mandoc finds nothing in kilowg.service.8' 'there is no mandoc'
fi
units_in() { sed -n 's/^\.Nm \(kilowg[^ ]*\.[a-z]*\).*/\1/p' | sort -u; }
is 'kilowg.service(8) names all units, and no other' \
	"$(cd "$units" && for f in kilowg*; do echo "$f"; done | sort)" \
	"$(sed '/^\.Nd/q' "$top/man/kilowg.service.8" | units_in)"

if ! command -v systemd-analyze >/dev/null; then
	skip 'systemd-analyze' 'there is no systemd-analyze'
elif ! systemd-analyze --help 2>/dev/null | grep -q -e --offline; then
	skip 'systemd-analyze' 'it has no --offline'
else
	local_copy
	cd "$tmp/units" || bail 'no folder'
	check 'systemd-analyze verify has nothing to say' quiet ./kilowg.path ./kilowg.service \
		./kilowg.timer ./kilowg-recheck.service ./kilowg-agent.service ./kilowg-userspace@kilo0.service
	echo 'Colour=red' >>kilowg.timer
	check 'it would, of a key that is none' gone quiet ./kilowg.timer
	for u in kilowg kilowg-recheck kilowg-agent; do
		check "$u.service: exposure at most 3.0" exposure 30 "$units/$u.service"
	done
	check 'kilowg-userspace@.service: exposure at most 2.0' exposure 20 "$units/kilowg-userspace@.service"
fi
finish
