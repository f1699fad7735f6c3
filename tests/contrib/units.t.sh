#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The units of etc/systemd, by systemd's own checks. tests/vm/units.sh runs them.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

top=${top_srcdir:-$lib_dir/..}
build=${top_builddir:-$top/build}
tmp=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$tmp"' EXIT
T=$tmp

# Those that were made: in the source folder, what they are made of lies beside them.
[ -e "$build/etc/systemd/kilowg.service" ] || cannot 'this build folder has no units'
units=$tmp/made
mkdir "$units"
for f in "$build"/etc/systemd/kilowg*; do
	case $f in *.in) ;; *) cp "$f" "$units" || bail "$f cannot be copied" ;; esac
done

# With what this build has made instead of what will be installed.
local_copy() {
	local f
	mkdir "$tmp/units"
	for f in "$units"/kilowg*; do
		sed "s|^\\(Exec[SR][a-z]*\\)=[^ ]*/\\(kilowg[a-z-]*\\)|\\1=$tmp/\\2|" "$f" >"$tmp/units/${f##*/}"
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

check 'nothing is left to be replaced' gone grep -n '@[a-z_]*@' "$units"/kilowg*
check 'the sandbox is in' grep -q '^NoNewPrivileges=yes' "$units/kilowg.service"
same_sandbox() { sed -n '/^CapabilityBoundingSet/,/^UMask/p' "$units/$1"; }
is 'kilowg-recheck.service may do what kilowg.service may' "$(same_sandbox kilowg.service)" \
	"$(same_sandbox kilowg-recheck.service)"
is 'kilowg-changed.service, too' "$(same_sandbox kilowg.service)" "$(same_sandbox kilowg-changed.service)"
is 'kilowg-closed.service, too' "$(same_sandbox kilowg.service)" "$(same_sandbox kilowg-closed.service)"
# But for the names of processes of others, which it tells.
is 'kilowg-watch.service, too' "$(same_sandbox kilowg.service)" "$(same_sandbox kilowg-watch.service)"
is 'and shows processes' 'ProtectProc=default' "$(sed -n 's/^ProtectProc=/&/p' "$units/kilowg-watch.service" | tail -n 1)"
check 'what it has started stays when it ends' grep -qx KillMode=process "$units/kilowg-watch.service"

is 'kilowg-metrics.service may do no more' "$(same_sandbox kilowg.service)" \
	"$(same_sandbox kilowg-metrics.service)"
like 'and sees no private key' "$units/kilowg-metrics.service" '^InaccessiblePaths=.*/key( |$)'

walls() { grep -E '^(Keyring|Lock|Memory|NoNew|Private|Protect|Restrict|SystemCallArch|UMask)' "$units/$1" | sort; }
walls kilowg.service >"$T/kilowg"
walls kilowg-userspace@.service >"$T/userspace"
is 'kilowg-userspace@.service has the same sandbox, and more' 'PrivateMounts=yes' "$(diff "$T/kilowg" "$T/userspace" | sed -n 's/^[<>] //p')"

# Each command is one that its program takes.
PATH=$(cd -- "${KILOWG%/*}" && pwd -P):$(cd -- "$top/contrib/kubernetes" && pwd -P):$PATH
commands() {
	sed -n 's|^ExecStart=[^ ]*/||p' "$units"/kilowg* | sed 's/%i/kilo0/' | sort -u | while read -r command; do
		# shellcheck disable=SC2086  # words
		$command --help >/dev/null 2>&1 || echo "$command"
	done
}
is 'what the units start is what the programs take' '' "$(commands)"

# What kilowg writes by default can be written.
key=$("$KILOWG" genkey | "$KILOWG" pubkey)
printf '[mesh]\nformat = 1\n[node]\nname = a\nendpoint = 203.0.113.1:51820\npublic-key = %s\npod-cidr = 10.2.1.0/24\n' "$key" >"$T/mesh.ini"
default() { "$KILOWG" -f "$T/mesh.ini" --node a --json check | grep -oE "\"$1\": *\"[^\"]*" | sed 's/.*"//; s|/[^/]*$||'; }
is 'the folder of keys' "$(default private-key-file)" "/var/lib/$(sed -n 's/^StateDirectory=//p' "$units/kilowg.service")"
check 'the folder of the CNI configuration' grep -q "^ReadWritePaths=.* -$(default cni-path)\$" "$units/kilowg.service"
is 'files of variables need not be there' '' "$(grep -h '^EnvironmentFile=[^-]' "$units"/kilowg*)"

# What gets no better is not tried again; what the kernel refuses is, by a timer.
never=" $(sed -n 's/^RestartPreventExitStatus=//p' "$units/kilowg.service") "
hopeless() { case $never in *" $status "*) pass "not tried again: $1" ;; *) fail "not tried again: $1" ;; esac; }
echo 'key = value' >"$T/bad.ini"
run "$KILOWG" -f "$T/bad.ini" check
hopeless 'a file with errors'
echo x >"$T/key"
printf '[local]\nprivate-key-file = %s/key\n' "$T" >"$T/local.ini"
run "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a facts
hopeless 'a key file that is none'
status=2
hopeless 'something that is left out'
check 'but by the timer' grep -qx 'OnFailure=kilowg-retry.timer' "$units/kilowg.service"

# The sample for cron: times, root, and a command that kilowg knows.
is 'each line of kilowg.cron is one of cron.d' '' "$(grep -vE '^(#.*|[A-Z_]+=.*|(@reboot|([0-9*/,-]+ ){4}[0-9*/,-]+) root kilowg .*)$' "$top/etc/kilowg.cron")"
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
		./kilowg.timer ./kilowg-retry.timer ./kilowg-changed.service ./kilowg-recheck.service ./kilowg-metrics.service ./kilowg-metrics.timer ./kilowg-agent.service ./kilowg-watch.service ./kilowg-closed.service \
		./kilowg-userspace@kilo0.service
	echo 'Colour=red' >>kilowg.timer
	check 'it would, of a key that is none' gone quiet ./kilowg.timer
	for u in kilowg kilowg-changed kilowg-recheck; do
		check "$u.service: exposure at most 2.4" exposure 24 "$units/$u.service"
	done
	check 'kilowg-metrics.service: exposure at most 2.0' exposure 20 "$units/kilowg-metrics.service"
	check 'kilowg-watch.service: exposure at most 2.6' exposure 26 "$units/kilowg-watch.service"
	check 'kilowg-closed.service: exposure at most 2.5' exposure 25 "$units/kilowg-closed.service"
	check 'kilowg-agent.service: exposure at most 2.5' exposure 25 "$units/kilowg-agent.service"
	check 'kilowg-userspace@.service: exposure at most 2.0' exposure 20 "$units/kilowg-userspace@.service"
fi
finish
