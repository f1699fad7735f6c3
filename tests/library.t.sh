#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
# What an embedder relies on: names in the archive, what a shared object of it
# exports, now and before, what the library never calls, least of all where README says "pure",
# the dialects that the header is valid in, and the embedding example.

lib=${top_builddir:-.}/libkilowg.a
example=${top_builddir:-.}/contrib/embed/nodes
sample=${top_srcdir:-.}/etc/kilowg.ini.example
kilowg=${KILOWG:-./kilowg}
n=0

# point TEXT LINES: passes if there are no lines.
point() {
	n=$((n + 1))
	if [ -z "$2" ]; then
		echo "ok $n - $1"
		return
	fi
	echo "$2" | sed 's/^/# /'
	echo "not ok $n - $1"
}

[ -r "$lib" ] || { echo "Bail out! there is no $lib"; exit 99; }
command -v nm >/dev/null || { echo '1..0 # SKIP nm is missing'; exit 0; }

# Objects of the pure folders in README by name: the archive does not keep folders.
folders=$(awk '/^lib\/[a-z]+ / { for (i = 2; i <= NF && $i != "no"; i++) if ($i == "yes") { print $1; next } }' \
	"${top_srcdir:-.}/README")
pure=$(for d in $folders; do ls "${top_srcdir:-.}/$d"/*.c; done | sed 's,.*/,,; s/c$/o/')

# undefined OBJECT...: the names that objects of the archive want from elsewhere.
undefined() {
	nm -A -u "$lib" | sed 's/^[^:]*:\([^:]*\): *U /\1 /' | while read -r object name; do
		for o in "$@"; do
			[ "$o" = any ] || [ "${object%%.o}" = "${o%%.o}" ] || continue
			echo "$object wants $name"
		done
	done
}

wants() {
	grep -E " wants _*($1)(@.*)?\$"
}

point 'every name in the archive begins with kwg_ or kwgi_' "$(nm -g --defined-only "$lib" |
	sed -n 's/^[0-9a-f]* [A-Z] //p' | grep -vE '^kwgi?_|^__(asan|odr|gcov|llvm|ubsan|lsan)|^_GLOBAL_')"
point 'there are such names' "$(nm -g --defined-only "$lib" | grep -q ' T kwg_plan_new$' || echo none)"
point 'the library never prints, exits, forks or touches the process' "$(undefined any |
	wants 'printf|puts|putchar|perror|exit|_exit|abort|fork|vfork|system|popen|signal|sigaction|umask|chdir|setenv|setlocale')"
point 'only the data plane and lookups of names start threads, as the manual page says' "$(undefined any |
	wants 'pthread_create|thrd_create' | grep -vE '^(dataplane|watchdog|resolve)\.o ')"
point 'it starts processes in one place only' "$(undefined any |
	wants 'posix_spawnp?|execl|execle|execlp|execv|execve|execvp|execvpe|fexecve|clone|waitpid' |
	grep -vE '^spawn.o wants (posix_spawn|waitpid)(@|$)')"
point 'README has folders that are pure, and they objects' "$([ "$(echo "$pure" | grep -c .)" -gt 50 ] || echo "$pure")"
calls='open|openat|fopen|opendir|read|write|close|mmap|mlock|ioctl|fcntl|l?stat|fstat|access|unlink|rename|mkdir'
calls="$calls|socket|bind|connect|send|sendto|sendmm?sg|recv|recvfrom|recvmm?sg|poll|ppoll|select|epoll_.*|if_.*"
calls="$calls|time|clock|clock_gettime|gettimeofday|nanosleep|usleep|sleep|gmtime.*|localtime.*|strftime|timerfd_.*"
calls="$calls|(secure_)?getenv|getaddrinfo|gethostname|uname|sysconf|getpid|getuid|geteuid|syscall|pthread_.*"
calls="$calls|getrandom|getentropy|arc4random.*|s?rand|s?random|randombytes.*|crypto_.*_keygen|errno_location|strerror.*"
# shellcheck disable=SC2086  # a list of objects
point 'what is pure makes no system call and asks for no clock, randomness, environment or locale' "$(undefined $pure |
	wants "$calls")"
# Constant tables of pointers are in .data.rel.ro, which is read-only once loaded.
point 'the library has no state of its own' "$(objdump -t "$lib" |
	awk '/file format/ { object = $1 }
		NF < 3 || $(NF - 1) ~ /^0*$/ { next }
		$0 ~ / O (\.data|\.bss|\.data\.rel|\.data\.rel\.local|\*COM\*)\t/ && $NF !~ /^(__|_?asan|\.)/ {
			print object, $NF }')"

# ---- a shared object of it ----

tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' HUP INT TERM
header=${top_srcdir:-.}/lib/kilowg.h

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

symbols=${top_srcdir:-.}/tests/symbols
mkdir "$tmp/symbols"
"$symbols/dump" "${top_builddir:-.}" "$tmp/symbols" 2>"$tmp/why" || echo 'failed' >>"$tmp/why"
why=$(head -n 1 "$tmp/why")
if [ -e "$tmp/symbols/exported" ]; then
	sed -e 's,/\*.*\*/,,' -e '/\/\*/,/\*\//d' "$header" | tr '\n' ' ' | tr ';' '\n' |
		sed -n 's/.*KWG_API [^(]*[ *]\(kwg_[a-z0-9_]*\)(.*/\1/p' | LC_ALL=C sort >"$tmp/declared"
	point 'a shared object exports exactly the functions of kilowg.h' "$(
		[ -s "$tmp/declared" ] || echo 'there are none'
		diff "$tmp/declared" "$tmp/symbols/exported")"
	point 'tests/symbols/exported has them: what goes breaks programs, what comes is listed by "make symbols"' \
		"$(diff "$symbols/exported" "$tmp/symbols/exported")"
else
	skip 'a shared object exports exactly the functions of kilowg.h' "$why"
	skip 'tests/symbols/exported has them' "$why"
fi
abi=$(uname -m).abi
text="types and sizes are those of tests/symbols/$abi"
if [ ! -e "$symbols/$abi" ]; then
	skip "$text" 'there is none for this machine'
elif [ ! -e "$tmp/symbols/$abi" ]; then
	skip "$text" "$why"
else
	point "$text; \"make symbols\" writes those of now" "$(abidiff --no-show-locs "$symbols/$abi" "$tmp/symbols/$abi" 2>&1)"
	sed "s/\(<class-decl name='kwg_peer' size-in-bits='\)[0-9]*'/\11024'/" "$symbols/$abi" >"$tmp/other.abi"
	point 'and another size would be told from them' "$(abidiff "$symbols/$abi" "$tmp/other.abi" >"$tmp/out" 2>&1 &&
		echo 'it is not')"
fi

# ---- the header ----

cat >"$tmp/use.c" <<'END'
#include "kilowg.h"
int use(void);
int use(void)
{
	struct kwg_host_options o = KWG_HOST_OPTIONS_INIT;
	struct kwg_userspace_options u = KWG_USERSPACE_OPTIONS_INIT;
	struct kwg_device_callbacks c = KWG_DEVICE_CALLBACKS_INIT;
	struct kwg_peer p = KWG_PEER_INIT;
	enum kwg_result r = KWG_OK;
	return (int)(o.size + u.size + c.size + p.size) + r;
}
END
cp "$tmp/use.c" "$tmp/use.cc"
echo '#include "kilowg.h"' >"$tmp/only.c"
echo '#include "kilowg.h"' >"$tmp/only.cc"

# COMPILER... -- FILE FLAG...: what it complains about
compile() {
	# shellcheck disable=SC2086  # CC may hold flags
	$1 -Wall -Wextra -Werror -I "${header%/*}" -o "$tmp/out.o" -c "$tmp/$2" $3 2>&1
}

for std in c99 c11 c17 c2x; do
	point "the header is valid $std, and nothing but that, and so are initialisers" \
		"$(compile "${CC:-cc}" use.c "-std=$std -pedantic-errors")"
done
# In front of C++20 there are no designated initialisers, but compilers take them.
for std in c++11 c++14 c++17 c++20 c++2b; do
	text="the header is valid $std, and initialisers can be used"
	case $std in c++2*) pedantic=-pedantic-errors ;; *) pedantic=-Wno-pedantic ;; esac
	if command -v "${CXX:-g++}" >/dev/null && echo | ${CXX:-g++} "-std=$std" -fsyntax-only -x c++ - 2>/dev/null; then
		point "$text" "$(compile "${CXX:-g++}" only.cc "-std=$std -pedantic-errors" &&
			compile "${CXX:-g++}" use.cc "-std=$std $pedantic -Wno-missing-field-initializers")"
	else
		skip "$text" 'there is no C++ compiler that knows it'
	fi
done

if [ -x "$example" ]; then
	digest=$("$kilowg" -f "$sample" --node berlin-1 plan | sed -n 's/^digest blake2b-256 //p')
	point 'the embedding example computes the digest that the program prints' \
		"$([ -n "$digest" ] && [ "$("$example" berlin-1 "$sample" 2>&1)" = "berlin-1 $digest" ] ||
			echo "the program: $digest; the example: $("$example" berlin-1 "$sample" 2>&1)")"
else
	n=$((n + 1))
	echo "ok $n - the embedding example # SKIP it is not built"
fi
echo "1..$n"
