# shellcheck shell=sh disable=SC2034,SC2154,SC3043
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# For scripts of tests/netns that need systemd: as the first process of namespaces of their own,
# at the speed of this host and with its kernel. To be sourced after lib.sh. The files are the
# host's, with what is installed over them, and all that is written goes with the namespaces.
# KWG_TEST_LAYER names a folder with files of programs that are not installed here.
#
#     need_systemd
#     enter "$@"
#     systemd_files           then $os is the root, to be prepared
#     systemd_run SECONDS FILE...
#
# The script is run once more as a service in there, with the FILEs of tests/ and KWG_TEST_SYSTEMD=yes, and
# prints its TAP. It ends with systemd_end.

need_systemd() {
	need systemctl make
	[ -x /lib/systemd/systemd ] || cannot 'there is no systemd'
	[ "$(id -u)" = 0 ] || cannot 'systemd as the first process needs root'
	[ ! -x "$KILOWG" ] || ! grep -q __asan_init "$KILOWG" || cannot "the address sanitizer does not work in the units' sandbox"
}

systemd_files() {
	local d build="${top_builddir:-${KILOWG%/*}}"
	os=$T/os
	must mkdir -p "$T/upper" "$T/work" "$os"
	# Not one of its own lower folders.
	[ -z "${KWG_TEST_LAYER:-}" ] || must cp -a "$KWG_TEST_LAYER" "$T/layer"
	mount -t overlay overlay -o "lowerdir=${KWG_TEST_LAYER:+$T/layer:}/,upperdir=$T/upper,workdir=$T/work" "$os" ||
		cannot 'no overlay of the root can be mounted here'
	(unset MAKEFLAGS MFLAGS MAKELEVEL && make -s -C "$build" install DESTDIR="$os") >"$T/log" 2>&1 ||
		{ show "$T/log"; bail 'make install fails'; }
	[ -n "$(find "$os" -xdev -name kilowg-userspace@.service)" ] || cannot 'configured without units'
	must mount -t tmpfs tmpfs "$os/run"
	must mkdir -p "$os$T" "$os/run/kilowg" "$os/etc/kilowg" "$os/dev/net" "$os/dev/pts"
	must mount --bind "$T" "$os$T"
	must mount -t sysfs sysfs "$os/sys"
	must mount -t tmpfs tmpfs "$os/dev"
	must mkdir -p "$os/dev/net" "$os/dev/pts" "$os/dev/shm"
	for d in null zero full random urandom tty net/tun; do
		: >"$os/dev/$d"
		must mount --bind "/dev/$d" "$os/dev/$d"
	done
	must mount -t devpts -o newinstance,ptmxmode=666 devpts "$os/dev/pts"
	must ln -s pts/ptmx "$os/dev/ptmx"
	systemd-id128 new >"$os/etc/machine-id" 2>/dev/null || tr -d - </proc/sys/kernel/random/uuid >"$os/etc/machine-id"
	printf '[Unit]\nFailureAction=exit-force\n[Service]\nType=oneshot\nEnvironment=KWG_TEST_SYSTEMD=yes\nExecStart=%s\n' \
		"$T/tests/netns/${0##*/}" >"$os/etc/systemd/system/test.service"
	printf '[Unit]\nRequires=basic.target test.service\nAfter=basic.target\n' >"$os/etc/systemd/system/test.target"
}

group_gone() {
	find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null
	[ ! -d "$cgroup" ]
}

# A cgroup of its own; what systemd has made in it goes with the namespaces, at once or, if
# those are killed, soon.
group() {
	must mkdir -p "$T/cgroup"
	mount -t cgroup2 cgroup2 "$T/cgroup" || cannot 'there is no second version of cgroups here'
	cgroup=$T/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/kilowg-$$-$(date +%s)
	mkdir "$cgroup" || cannot 'no cgroup can be made here'
	trap 'wait_for 30 group_gone' EXIT
}

systemd_run() {
	local seconds="$1" file
	shift
	group
	# Not from the tree: systemd empties /tmp, and /home may be a file system that is not here.
	must mkdir -p "$T/tests/netns"
	for file in lib.sh systemd.sh "netns/${0##*/}" "$@"; do
		must cp "$lib_dir/$file" "$T/tests/$file"
	done
	cat >"$T/first" <<-'END'
		mount -t proc proc "$1/proc" && mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup" && cd "$1" && mkdir -p old &&
			pivot_root . old && umount -l /old &&
			exec env -i container=kilowg PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
				--unit=test.target --log-target=journal --show-status=no
	END
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" \
		timeout -s KILL "$seconds" unshare --cgroup --mount --pid --fork --kill-child --uts --ipc sh "$T/first" "$os" \
		</dev/null >"$T/log" 2>&1
	[ -s "$T/tap" ] || { show "$T/log"; cannot "systemd does not start in namespaces here"; }
	cat "$T/tap"
	grep -q '^1\.\.' "$T/tap" || { show "$T/log"; bail 'has not come to its end'; }
	! grep -q '^not ok' "$T/tap"
}

# COMMAND...: inside, prints TAP.
systemd_end() {
	"$@" >"$T/tap"
	exec systemctl exit 0
}
