# shellcheck shell=sh disable=SC2154,SC3043
# SPDX-License-Identifier: ISC
#
# For tests/vm/*.sh, after tests/lib.sh: tests inside a virtual machine.

vm_dir=$lib_dir/vm

# OPTION...: of run-in-vm. Ends the script where such a guest cannot be had.
need_vm() {
	local reason
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
