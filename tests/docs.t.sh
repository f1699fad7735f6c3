#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# The documentation against the program: what one has, the other has.
#
#   KILOWG      the program (default: ./kilowg, or build/kilowg)
#   top_srcdir  the source tree (default: above this script)

LC_ALL=C
export LC_ALL
top=${top_srcdir:-$(dirname "$0")/..}
man=$top/man
kilowg=${KILOWG:-}
if [ -z "$kilowg" ]; then
	for f in ./kilowg build/kilowg "$top/build/kilowg"; do
		[ ! -x "$f" ] || { kilowg=$f; break; }
	done
fi
if ! "${kilowg:-false}" --version >/dev/null 2>&1; then
	echo "Bail out! there is no program to compare with; KILOWG names it"
	exit 99
fi
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
n=0

ok() { n=$((n + 1)); echo "ok $n - $1"; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
not_ok() { n=$((n + 1)); echo "not ok $n - $1"; sed 's/^/# /' "$tmp/out"; }

# Runs a command that prints nothing if all is well.
silent() {
	what=$1
	shift
	if "$@" >"$tmp/out" 2>&1 && [ ! -s "$tmp/out" ]; then ok "$what"; else not_ok "$what"; fi
}

# Are two files equal, apart from the order of lines? Neither may be empty.
same() {
	sort "$2" >"$tmp/a"
	sort "$3" >"$tmp/b"
	if [ ! -s "$tmp/a" ] || [ ! -s "$tmp/b" ]; then
		echo "nothing was found to compare" >"$tmp/out"
		not_ok "$1"
	elif diff "$tmp/a" "$tmp/b" >"$tmp/out"; then
		ok "$1"
	else
		not_ok "$1"
	fi
}

# The first literal display behind a section header, with escapes undone.
display() {
	awk -v header=".Sh $2" '
	$0 == header { here = 1 }
	here && /^\.Ed/ { exit }
	show
	here && /^\.Bd/ { show = 1 }' "$1" | sed 's/^\\&//; s/\\e/\\/g'
}

# The source of one section.
section() { awk -v header=".Sh $2" '/^\.Sh / { here = $0 == header } here' "$1"; }

# ---- what the pages say ----------------------------------------------------

# section, key, single or repeatable, values, default: as "check --keys".
page_keys() {
	awk '
	function flush() {
		if (key != "")
			print name "\t" key "\t" kind "\t" value "\t" fallback
		key = kind = value = fallback = ""
	}
	/^\.Sh / { flush(); name = $3 == "SECTION" ? tolower($2) : "" }
	name == "" { next }
	/^\.It Ic / { flush(); key = $3 }
	/^(Single|Repeatable)\.$/ { kind = tolower(substr($0, 1, length($0) - 1)) }
	/^Value: / { value = substr($0, 8, length($0) - 8) }
	/^Default: / { fallback = substr($0, 10, length($0) - 10) }
	END { flush() }' "$man/kilowg.ini.5"
}

# section, key, single or repeatable, default: the table at the top.
page_key_table() {
	awk -F '\t' '
	/^\.Ss Keys/ { here = 1 }
	here && /^\.TE/ { exit }
	here && /^\[/ { name = substr($0, 2, length($0) - 2) }
	here && name != "" && NF == 3 && $2 != "" {
		kind = sub(/\+$/, "", $1) ? "repeatable" : "single"
		print name "\t" $1 "\t" kind "\t" $3
	}' "$man/kilowg.ini.5"
}

# "-f, --file FILE|DIR"
page_global_options() {
	section "$man/kilowg.8" OPTIONS |
		sed -n 's/^\.It Fl \([A-Za-z]\) .*, *Fl -/-\1, --/p' | sed 's/ Ar / /'
}

# "apply", and "apply --dry-run" for each option in the list below it.
page_commands() {
	section "$man/kilowg.8" COMMANDS | awk '
	/^\.It Ic / { command = $3; print command }
	/^\.It Fl -/ { sub(/^\.It Fl -/, "--"); sub(/ Ar /, " "); print command, $0 }'
}

# The same, from what stands in the heads of the list.
page_heads() {
	section "$man/kilowg.8" COMMANDS | awk '
	/^\.It Ic / {
		print $3
		for (i = 4; i <= NF; i++)
			if ($i == "Fl")
				print $3, "-" $(i + 1) ($(i + 2) == "Ar" ? " " $(i + 3) : "")
	}'
}

# Prototypes without blanks.
page_prototypes() {
	section "$man/libkilowg.3" SYNOPSIS | awk '
	/^\.Ft / { type = substr($0, 5) }
	/^\.Fo / { line = type substr($0, 5) "("; comma = "" }
	/^\.Fa / { gsub(/^\.Fa "|"$/, ""); line = line comma $0; comma = "," }
	/^\.Fc/ { print line ")" }' | tr -d ' \t'
}

# ---- what the program says -------------------------------------------------

program_options() { sed -n 's/^  \(-[A-Za-z], --[a-z-]*\( [^ ][^ ]*\)\{0,1\}\)  .*/\1/p'; }

program_commands() {
	"$kilowg" --help | awk '/^Commands:/ { here = 1; next } !NF { here = 0 } here { print $1 }'
}

program_commands_and_options() {
	for c in $(program_commands); do
		echo "$c"
		"$kilowg" "$c" --help | awk '/^Options of this/ { here = 1; next } !NF { here = 0 } here' |
			sed -n "s/^  \\(--[a-z-]*\\( [^ ][^ ]*\\)\\{0,1\\}\\)  .*/$c \\1/p"
	done
}

header_prototypes() {
	tr '\n\t' '  ' <"$tmp/header" | tr ';{}' '[\n*]' |
		grep '[ *]kwg_[a-z0-9_]*(' | grep -v '^ *typedef' | sed 's/KWG_API//' | tr -d ' '
}

# Each struct as one line, without blanks: its name, and member for member with its type.
structs() {
	awk '/^struct [a-z_]* \{/ { here = 1 } here { line = line $0 }
		here && /^};/ { print line; line = ""; here = 0 }' | tr -d ' \t'
}

# ---- tests -----------------------------------------------------------------

pages=$(cd "$man" && ls -- *.[1-9])
echo "1..$((31 + $(printf '%s\n' "$pages" | wc -l)))"

for page in $pages; do
	if command -v mandoc >/dev/null; then
		silent "mandoc finds nothing in $page" mandoc -Tlint -W warning "$man/$page"
	else
		skip "mandoc finds nothing in $page" "there is no mandoc"
	fi
done

"$kilowg" check --keys >"$tmp/keys"
page_keys >"$tmp/page"
same "kilowg.ini(5) has every key with its values and default, and no other" \
	"$tmp/keys" "$tmp/page"

cut -f 1-3,5 "$tmp/keys" >"$tmp/program"
page_key_table >"$tmp/page"
same "its table has every key with its default, and no other" "$tmp/program" "$tmp/page"
# Wherever it is told to look: no file is read.
"$kilowg" -f "$tmp/none.ini" check --format-version >"$tmp/program" 2>&1
awk -F '\t' '$1 == "mesh" && $2 == "format" { sub(/,.*/, "", $4); print $4 }' "$tmp/keys" >"$tmp/page"
same "check --format-version prints the number that format takes" "$tmp/program" "$tmp/page"

"$kilowg" --help | program_options >"$tmp/options"
page_global_options >"$tmp/page"
same "kilowg(8) has every option for all commands, and no other" "$tmp/options" "$tmp/page"

for c in $(program_commands); do
	"$kilowg" "$c" --help | program_options | sed "s/^/$c /"
done >"$tmp/shown"
cut -d ' ' -f 2- "$tmp/shown" | sort -u >"$tmp/page"
same "the help of commands shows those, and no other" "$tmp/options" "$tmp/page"

program_commands_and_options >"$tmp/commands"
page_commands >"$tmp/page"
same "kilowg(8) explains every command and its options, and no other" "$tmp/commands" "$tmp/page"
page_heads >"$tmp/page"
same "kilowg(8) shows the same options behind each command" "$tmp/commands" "$tmp/page"

sed -n 's/.*EXIT_[A-Z]* = \([0-9]\).*/\1/p' "$top/src/cli.h" >"$tmp/program"
section "$man/kilowg.8" 'EXIT STATUS' | sed -n 's/^\.It //p' >"$tmp/page"
same "kilowg(8) has every exit status" "$tmp/program" "$tmp/page"

# Codes are literals; of one file they are a constant.
{
	cat "$top"/lib/steps/*.c "$top"/lib/*.c | tr '\n' ' ' | grep -oE 'kwgi_findings_(add|say)\([^;]*' |
		grep -oE '"[a-z]+(-[a-z]+)+"|"configuration"'
	sed -n 's/^static const char omitted\[\] = \(.*\);/\1/p' "$top/lib/steps/leftout.c"
} | tr -d '"' | sort -u >"$tmp/program"
section "$man/kilowg-status.8" FINDINGS | sed -n 's/^\.It Sy //p' >"$tmp/page"
same "kilowg-status(8) has every finding, and no other" "$tmp/program" "$tmp/page"

example=$top/etc/kilowg.ini.example
silent "the sample in etc passes the check" "$kilowg" -f "$example" check --strict

sed -n 's/^#\{0,1\}\([a-z][a-z-]*\) = .*/\1/p; s/^\(\[.*\]\)$/\1/p' "$example" |
	awk '/^\[/ { name = substr($0, 2, length($0) - 2); next } { print name "\t" $0 }' |
	sort -u >"$tmp/page"
cut -f 1,2 "$tmp/keys" >"$tmp/program"
same "the sample has every key, and no other" "$tmp/program" "$tmp/page"

# What is no value (required, none, ...) has an example there, or nothing.
awk -F '\t' '
NR == FNR {
	if ($5 !~ /^(required|none|empty|the host name|that of the mesh)$/) {
		wanted[$1 "\t" $2]
		print $1 "\t" $2 " = " $5 >program
	}
	next
}
/^\[/ { name = substr($0, 2, length($0) - 2) }
/^#[a-z-]* = / {
	split(substr($0, 2), part, " = ")
	if ((name "\t" part[1]) in wanted)
		print name "\t" substr($0, 2)
}' program="$tmp/program" "$tmp/keys" "$example" >"$tmp/page"
same "the sample has the defaults behind #" "$tmp/program" "$tmp/page"

display "$man/kilowg.ini.5" EXAMPLES >"$tmp/mesh.ini"
silent "the example of kilowg.ini(5) passes the check" "$kilowg" -f "$tmp/mesh.ini" check --strict
"$kilowg" -f "$tmp/mesh.ini" --node berlin-1 plan >"$tmp/out" 2>&1
if [ -s "$tmp/mesh.ini" ] && grep -q '^role leader' "$tmp/out"; then
	ok "and makes a plan"
else
	not_ok "and makes a plan"
fi

# Comments away, so that only declarations are left.
sed -e 's,/\*.*\*/,,' -e '/\/\*/,/\*\//d' -e '/^#/d' -e '/^extern "C"/d' \
	"$top/lib/kilowg.h" >"$tmp/header"
sed -e 's,/\*.*\*/,,' -e '/\/\*/,/\*\//d' -e '/^#if/d' -e '/_H$/d' "$top/lib/kilowg.h" >"$tmp/constants"
header_prototypes >"$tmp/program"
page_prototypes >"$tmp/page"
same "libkilowg(3) has every function as kilowg.h declares it, and no other" \
	"$tmp/program" "$tmp/page"

sed -n 's/.*[ *]\(kwg_[a-z0-9_]*\)(.*/\1/p' "$tmp/header" | grep -v '^kwg_log_fn$' >"$tmp/program"
section "$man/libkilowg.3" DESCRIPTION | sed -n 's/^\.Fn \(kwg_[a-z0-9_]*\).*/\1/p' |
	sort -u >"$tmp/page"
same "libkilowg(3) describes every function, and no other" "$tmp/program" "$tmp/page"

sed -n 's/.*\(KWG_ERR_[A-Z]*\) = .*/\1/p' "$tmp/header" >"$tmp/program"
section "$man/libkilowg.3" ERRORS | sed -n 's/^\.It Dv //p' >"$tmp/page"
same "libkilowg(3) has every error" "$tmp/program" "$tmp/page"

grep -o 'KWG_[A-Z0-9_]*' "$tmp/constants" | grep -vxE 'KWG_API|KWG_.*_' | sort -u >"$tmp/program"
grep -o 'KWG_[A-Z0-9_]*' "$man/libkilowg.3" | grep -vxE 'KWG_API|KWG_.*_' | sort -u >"$tmp/page"
same "libkilowg(3) has every constant: results, verdicts, events, flags, sizes, initialisers" \
	"$tmp/program" "$tmp/page"

structs <"$tmp/header" >"$tmp/program"
sed 's,/\*.*\*/,,' "$man/libkilowg.3" | structs >"$tmp/page"
same "libkilowg(3) has every struct that callers see, with all members and their types" \
	"$tmp/program" "$tmp/page"

display "$man/libkilowg.3" EXAMPLES >"$tmp/example.c"
# shellcheck disable=SC2086  # CC may hold flags
if ${CC:-cc} --version >/dev/null 2>&1; then
	silent "the example of libkilowg(3) compiles" ${CC:-cc} -Wall -Wextra -Werror \
		-I "$top/lib" -c "$tmp/example.c" -o "$tmp/example.o"
else
	skip "the example of libkilowg(3) compiles" "there is no compiler"
fi

# Options of the list, and the environment it names.
"${kilowg%/*}/kilowg-userspace" --help | tr ' ,' '\n\n' | grep -E '^(--?[A-Za-z]+|[A-Z]+_[A-Z_]+|FDSTORE)$' | sort -u >"$tmp/program"
{
	section "$man/kilowg-userspace.8" DESCRIPTION | sed -n 's/^\.It Fl //p' | tr -d ',' |
		tr ' ' '\n' | grep -vE '^(Fl)?$' | sed 's/^/-/'
	section "$man/kilowg-userspace.8" ENVIRONMENT | sed -n 's/^\.It Ev //p'
} >"$tmp/page"
same "kilowg-userspace(8) has every option and variable, and no other" "$tmp/program" "$tmp/page"

# ---- scripts for Kubernetes ----

# Without Kilo's spellings, and the options of kubectl.
for script in kilowg-agent kilowg-label kilowg-publish kilowg-render; do
	sh "$top/contrib/kubernetes/$script" --help | sed '/^Also with Kilo/,$d; /kubectl get/s/-o json//' |
		tr ' ,;()=' '\n' | grep -xE -e '--?[a-z][a-z-]*|[A-Z]+_[A-Z_]+|KUBECONFIG' | sort -u >"$tmp/program"
	sed '/^Kilo.s$/,/too\.$/d' "$man/$script.8" | grep -E '^\.(It|Fl|Ev|Pq)' |
		sed 's/Fl -/Fl --/g; s/Fl \([a-z]\)/Fl -\1/g' |
		grep -oE -e 'Fl --?[a-z][a-z-]*|[A-Z]+_[A-Z_]+|KUBECONFIG' | sed 's/^Fl //' | sort -u >"$tmp/page"
	same "$script(8) has every option and variable, and no other" "$tmp/program" "$tmp/page"
done

# All that are installed say which version they are, and explain themselves.
version=$("$kilowg" --version | cut -d ' ' -f 2)
for program in "${kilowg%/*}/kilowg-userspace" "${kilowg%/*}/kilowg-api" "$top"/contrib/kubernetes/kilowg-agent \
	"$top"/contrib/kubernetes/kilowg-label "$top"/contrib/kubernetes/kilowg-publish "$top"/contrib/kubernetes/kilowg-render; do
	name=${program##*/} shell=sh
	case $name in
	kilowg-userspace | kilowg-api) shell=env ;;
	esac
	if [ ! -e "$program" ]; then
		skip "$name knows -h and -V" 'it is not built'
		continue
	fi
	{
		[ "$($shell "$program" -V)" = "$name $version" ] || echo "-V: no $version"
		[ "$($shell "$program" --version)" = "$name $version" ] || echo "--version: no $version"
		[ "$($shell "$program" -h)" = "$($shell "$program" --help)" ] || echo '-h is not --help'
	} >"$tmp/out" 2>&1
	if [ ! -s "$tmp/out" ]; then ok "$name knows -h and -V"; else not_ok "$name knows -h and -V"; fi
done
