# shellcheck shell=sh disable=SC2154,SC3043
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# For tests/vm/*.sh, after tests/lib.sh: tests inside a virtual machine.

vm_dir=$lib_dir/vm

# OPTION...: of run-in-vm. Ends the script where such a guest cannot be had.
need_vm() {
	local reason
	! late || cannot "$too_late"
	reason=$("$vm_dir/run-in-vm" --probe "$@" 2>&1) || cannot "${reason#run-in-vm: }"
	[ -x "$KILOWG" ] || cannot "there is no program $KILOWG"
	case " $* " in *' uml '*)
		# Its processes have 512 GiB of addresses.
		! grep -q __asan_init "$KILOWG" ||
			cannot "the address sanitizer has no room in user-mode Linux" ;;
	esac
}

# ARGUMENT...: run-in-vm, with the environment of tests passed on.
run_in_vm() {
	"$vm_dir/run-in-vm" -e KILOWG -e CC -e top_srcdir -e top_builddir -e KWG_TEST_BACKEND \
		-e KWG_TEST_IN_VM "$@"
}

# OPTION...: runs the script once more in a guest, where this returns.
enter_vm() {
	local status=0
	[ "${KWG_TEST_IN_VM:-}" != yes ] || return 0
	need_vm "$@"
	KWG_TEST_IN_VM=yes run_in_vm "$@" -- "$lib_dir/vm/$(basename "$0")" || status=$?
	exit $status
}

# The guest itself is a node, and c a namespace. It is thrown away, so that it needs no other.
#
#        guest ------ wan 203.0.113.0/24 ------ c
#               .1                         .3 and 10.2.3.1
guest_hosts() {
	mkdir -p "$T/keys" "$T/nodes"
	must ip netns add c
	must ip link add wan0 type veth peer name wan0 netns c
	must ip link set wan0 up
	must ip addr add 203.0.113.1/24 dev wan0
	must on c ip link set lo up
	must on c ip link set wan0 up
	must on c ip addr add 203.0.113.3/24 dev wan0
	must on c ip addr add 10.2.3.1/32 dev lo
}

# NAME: of the guest. Writes mesh.ini and local.ini.
guest_mesh() {
	mesh_begin
	mesh_node "$1" 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' 'pod-cidr = 10.2.1.0/24'
	mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' 'pod-cidr = 10.2.3.0/24'
	local_ini
}

apply_on_c() {
	local_ini
	sed "s|/run/kilowg/key|$T/keys/c|; s/^backend = .*/backend = kernel/" "$T/local.ini" >"$T/c.ini"
	expect 0 'apply on c' on c "$KILOWG" -f "$T/mesh.ini" -f "$T/c.ini" --node c apply
}

# ADDRESS: from here, sooner or later?
reaches_here() { wait_for 10 ping -c 1 -W 1 -q "$1"; }

# SCRIPT...: runs tests one after the other, in the guest, with marks for merge_tap().
run_marked() {
	local t
	for t; do
		echo "#: begin $t"
		"$lib_dir/netns/$t.sh"
		echo "#: end $t $?"
	done
}

# SCRIPT...: copies the TAP of run_marked() with numbers that go on, and each
# script's name before its points. What a script planned and did not do, or did
# not say, is one failure more.
merge_tap() {
	awk -v expected="$*" '
	function point(word, text) { printf "%s %d - %s%s\n", word, ++n, name, text; if (word != "ok") bad++ }
	/^#: begin / { name = $3; planned = -1; points = failures = 0; next }
	/^#: end / {
		if (planned < 0) point("not ok", ": has not ended, exit status " $4)
		else if (planned != points) point("not ok", ": planned " planned " points, passed " points)
		else if ($4 && !failures) point("not ok", ": exit status " $4)
		done[$3] = 1
		next
	}
	/^(not )?ok / {
		word = /^not / ? "not ok" : "ok"
		if (word != "ok") failures++
		points++
		sub(/^(not )?ok *[0-9]* *-? */, "")
		point(word, ": " $0)
		next
	}
	/^1\.\.0 / { planned = 0; sub(/.*# *SKIP */, ""); point("ok", " # SKIP " $0); next }
	/^1\.\./ { planned = substr($0, 4) + 0; next }
	/^Bail out!/ { failures++; points++; point("not ok", ": " $0); next }
	{ print (/^#/ ? "" : "# ") $0 }
	END {
		k = split(expected, e, " ")
		for (i = 1; i <= k; i++)
			if (!(e[i] in done)) { name = e[i]; point("not ok", ": has not ended in the guest") }
		printf "1..%d\n", n
		exit bad > 0
	}'
}

# ---- several boots -----------------------------------------------------------

# make install into $dir/root, for boot().
install_for_vm() {
	dir=$(mktemp -d) || bail 'mktemp fails'
	trap 'rm -rf "$dir"' EXIT
	trap 'exit 143' INT TERM HUP
	top_builddir=${top_builddir:-${KILOWG%/*}}
	export top_builddir
	(unset MAKEFLAGS MFLAGS MAKELEVEL && make -s -C "$top_builddir" install DESTDIR="$dir/root") \
		>"$dir/log" 2>&1 || { show "$dir/log"; bail 'make install fails'; }
	[ -n "$(find "$dir/root" -name kilowg.path)" ] || cannot 'configured without units'
}

# NAME FOLDER: one boot with these files, whose TAP is marked for merge_tap().
boot() {
	local name="$1" status=0
	echo "#: begin $name"
	KWG_TEST_BOOT=$name KWG_TEST_IN_VM=yes run_in_vm -e KWG_TEST_BOOT --systemd --accel "${KWG_TEST_ACCEL:-uml}" \
		--timeout 1200 --overlay "$2" -- "$vm_dir/$(basename "$0")" 2>"$dir/err" || status=$?
	sed 's/^/# /' "$dir/err"
	echo "#: end $name $status"
}

# What the first boot has enabled and written, for the second. multi-user.target
# starts what is enabled, and then the test.
unpack_state() {
	local wants="$dir/root/etc/systemd/system/multi-user.target.wants"
	sed -n 's/^#: state //p' "$dir/first" | base64 -d | tar -C "$dir/root" -xf - || return
	mkdir -p "$wants"
	ln -sf /run/systemd/system/run-in-vm.service "$wants/run-in-vm.service"
}

# The first boot prints what it has enabled and written, and the second begins with it.
print_state() { tar -C / -cf - etc/systemd/system etc/kilowg var/lib/kilowg | base64 | sed 's/^/#: state /'; }

boot_first() {
	boot first "$dir/root" >"$dir/first"
	grep -v '^#: state ' "$dir/first"
}

boot_second() {
	! unpack_state || (
		KWG_VM_APPEND="systemd.unit=multi-user.target ${KWG_VM_APPEND:-}"
		export KWG_VM_APPEND
		boot second "$dir/root"
	)
}

# FILE: replaces it, as all who write such files should, by what comes on standard input.
replace() {
	cat >"$1.new" && mv "$1.new" "$1"
}

# UNIT STATE...
state_is() {
	local s
	s=$(systemctl show -P ActiveState "$1")
	shift
	case " $* " in *" $s "*) ;; *) return 1 ;; esac
}
