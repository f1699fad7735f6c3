#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# cni = yes: the CNI configuration gets the node's pod networks, and real CNI
# plugins make pods of it that reach each other over the mesh.
#
#       pod                               pod
#        | kube-bridge                     | kube-bridge
#        a ------------- wan ------------- c
#   203.0.113.1, 2001:db8::1         203.0.113.3, 2001:db8::3

# shellcheck disable=SC2119,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq
for plugins in /usr/lib/cni /opt/cni/bin /usr/libexec/cni none; do
	[ ! -x $plugins/bridge ] || [ ! -x $plugins/host-local ] || break
done
[ "$plugins" != none ] || cannot 'there are no CNI plugins bridge and host-local here'
choose_backend

bridge_add wan
node_add a c
plug a wan0 wan 203.0.113.1/24
plug c wan0 wan 203.0.113.3/24
networks6='' families=4
if can_ipv6; then
	networks6=yes families='4 6'
fi
pods_of() { printf 'pod-cidr = 10.2.%s.0/24%s' "$1" "${networks6:+, fd00:2:$1::/64}"; }
mesh_begin
mesh_node a 'location = x' 'endpoint = 203.0.113.1:51820' 'internal-ip = -' "$(pods_of 1)"
mesh_node c 'location = y' 'endpoint = 203.0.113.3:51820' 'internal-ip = -' "$(pods_of 3)"
# /run/kilowg is each node's own.
path=/run/kilowg/cni/net.d/10-kilo.conflist
local_ini 'cni = yes' "cni-path = $path" 'mtu = 1380'
own() { printf '%s/nodes/%s/kilowg/cni/net.d/10-kilo.conflist' "$T" "$1"; }
daemons a c

run kwg a diff
if grep -q 'built without libjansson' "$T/err"; then
	is 'without libjansson: cni = yes is refused' 1 "$status"
	finish
fi
is 'diff has a difference' 3 "$status"
like 'diff shows the step' "$T/out" "^\+ CNI configuration $path with pod networks 10\.2\.1\.0/24"
check 'diff writes nothing' [ ! -e "$(own a)" ]
expect 0 'plan' kwg a plan
like 'the plan has it' "$T/out" "^cni $path 10\.2\.1\.0/24"

# ---- no file: it is made ----

expect 0 'apply on a' kwg a apply
expect 0 'apply on c' kwg c apply
jq . "$(own a)" >"$T/made" 2>&1
say "$(jq -c . "$(own a)")"
is 'networks' "$([ -z "$networks6" ] || echo '[[{"subnet":"10.2.1.0/24"}],[{"subnet":"fd00:2:1::/64"}]]')" \
	"$([ -z "$networks6" ] || jq -c '.plugins[0].ipam.ranges' "$(own a)")"
is 'plugins' 'bridge portmap' "$(jq -r '[.plugins[].type] | join(" ")' "$(own a)")"
is 'MTU of the mesh' 1380 "$(jq '.plugins[0].mtu' "$(own a)")"
is 'others can read it' 644 "$(stat -c %a "$(own a)")"
is 'and go into its folder' 755 "$(stat -c %a "$(dirname "$(own a)")")"
is 'nothing else is in the folder' 10-kilo.conflist "$(ls -A "${path%/*}" 2>/dev/null || ls -A "$(dirname "$(own a)")")"
expect 0 'diff: no difference' kwg a diff
before=$(stat -c '%i %y' "$(own a)")
expect 0 'apply again' kwg a apply
is 'writes nothing' "$before" "$(stat -c '%i %y' "$(own a)")"

# ---- pods, made as a container runtime does it ----

# NODE NAME ADD|DEL: runs the plugins of the list one after the other (CNI
# specification, section 3): each gets name and version of the list, and the
# result of the one before. Those that are not installed are left out.
cni() {
	local node="$1" name="$2" i=0 type prev=null conf
	while type=$(jq -er ".plugins[$i].type" "$(own "$node")"); do
		conf=$(jq -c --argjson prev "$prev" --argjson i "$i" '
			.plugins[$i] + {name, cniVersion}
			+ (if $prev == null then {} else {prevResult: $prev} end)
			+ (if .plugins[$i].capabilities.portMappings then {runtimeConfig: {portMappings: []}} else {} end)
			' "$(own "$node")")
		i=$((i + 1))
		[ -x "$plugins/$type" ] || continue
		printf '%s' "$conf" | on "$node" env CNI_COMMAND="$3" CNI_CONTAINERID="$name" \
			CNI_NETNS="/run/netns/$name" CNI_IFNAME=eth0 CNI_PATH="$plugins" \
			"$plugins/$type" >"$T/cni.out" 2>"$T/cni.err" || {
				show "$T/cni.out"; show "$T/cni.err"; return 1; }
		[ "$3" != ADD ] || prev=$(cat "$T/cni.out")
	done
	[ "$3" != ADD ] || printf '%s' "$prev" >"$T/$name.result"
}

# host-local keeps its records under /var/lib/cni, which is the host's: hide it.
must mkdir -p "$T/var/kilowg"
mount --bind "$T/var" /var/lib || bail '/var/lib cannot be hidden'
for pod in a1 a2 c1; do
	must ip netns add $pod
	must on $pod ip link set lo up
	quick_ipv6 on $pod sh -c
	rm -rf "$T/var/cni" && mkdir -p "$T/records-${pod%?}"
	ln -s "$T/records-${pod%?}" "$T/var/cni"
	check "plugins make pod $pod" cni ${pod%?} $pod ADD
done
# POD FAMILY
address() { jq -r --arg v "$2" '[.ips[].address | select(test(":") == ($v == "6"))][0] | split("/")[0]' "$T/$1.result"; }
for v in $families; do
	a1=$(address a1 "$v") c1=$(address c1 "$v")
	case $a1 in 10.2.1.* | fd00:2:1::*) pass "IPv$v: the pod has $a1" ;; *) fail "IPv$v: the pod has $a1" ;; esac
	check "IPv$v: pod to pod of the other node" reaches a1 "$c1"
	check "IPv$v: and back" reaches c1 "$a1"
	check "IPv$v: pod to pod of the same node" reaches a1 "$(address a2 "$v")"
	check "IPv$v: a full packet passes" on a1 ping -c 1 -W 5 -q -M "do" -s $((v == 4 ? 1380 - 28 : 1380 - 48)) "$c1"
done
is 'MTU of the pod' 1380 "$(on a1 ip -o link show eth0 | sed 's/.* mtu \([0-9]*\) .*/\1/')"

# ---- a file of others: only the networks change ----

cat >"$(own a)" <<'END'
{"zz": [1, 2.5, 0.1, 12345678901234567], "cniVersion": "0.4.0", "name": "mine",
 "plugins": [
  {"type": "bridge", "mtu": 9000, "ipam": {"dataDir": "/d", "ranges": [[{"subnet": "10.9.0.0/24", "gateway": "10.9.0.7"}]],
   "type": "host-local", "routes": [{"dst": "0.0.0.0/0"}]}, "x-\u00e4": null},
  {"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}}], "a": true}
END
cp "$(own a)" "$T/foreign"
chmod 640 "$(own a)"
chown 7:8 "$(own a)" 2>/dev/null
owner=$(stat -c '%a %u %g' "$(own a)")
run kwg a diff
like 'diff shows the step' "$T/out" "^~ CNI configuration $path with pod networks"
same 'and writes nothing' "$T/foreign" "$(own a)"
expect 0 'apply' kwg a apply
ranges=$(jq -c '.plugins[0].ipam.ranges' "$T/made")
jq --argjson r "$ranges" '.plugins[0].ipam.ranges = $r' "$T/foreign" >"$T/want"
jq . "$(own a)" >"$T/got"
same 'the networks are set, the rest is as it was, in its order' "$T/want" "$T/got"
is 'mode and owner are as they were' "$owner" "$(stat -c '%a %u %g' "$(own a)")"
expect 0 'diff: no difference' kwg a diff

# ---- what fails is undone ----

must cp "$T/foreign" "$(own a)"
must mkdir "$(dirname "$(own a)")/.10-kilo.conflist.kilowg"
mesh_edit c "$(pods_of 3)" "$(pods_of 3), 10.99.0.0/24"
expect 5 'it cannot be written' kwg a apply
same 'the file is as it was' "$T/foreign" "$(own a)"
rm "$(own a)"
expect 5 'the same without a file' kwg a apply
check 'none is left' [ ! -e "$(own a)" ]
must rmdir "$(dirname "$(own a)")/.10-kilo.conflist.kilowg"

# What goes, goes after the file has been written; each request fails once.
# Leaves 10.99.0.0/24 for the next apply to remove, and the file to be changed.
one_step_back() {
	mesh_edit c "$(pods_of 3)" "$(pods_of 3), 10.99.0.0/24"
	kwg a apply >"$T/check" 2>&1
	mesh_edit c "$(pods_of 3), 10.99.0.0/24" "$(pods_of 3)"
	cp "$T/foreign" "$(own a)"
}
mesh_edit c "$(pods_of 3), 10.99.0.0/24" "$(pods_of 3)"
one_step_back
if can_strace; then
	k=0 bad='' undone=0
	while k=$((k + 1)); [ $k -lt 100 ]; do
		on a strace -o "$T/trace" -e trace=sendto,sendmsg,rename,renameat,renameat2 \
			-e inject=sendto,sendmsg:error=ENOBUFS:when=$k \
			"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply >"$T/out" 2>"$T/err"
		status=$?
		grep -q INJECTED "$T/trace" || break
		if [ $status = 0 ]; then
			one_step_back
			continue
		fi
		! grep -q '^rename' "$T/trace" || undone=$((undone + 1))
		cmp -s "$T/foreign" "$(own a)" || { bad="$bad $k"; one_step_back; }
	done
	check "of $((k - 1)) requests that fail, some do so after the file was written" [ $undone -ge 1 ]
	is 'it is undone each time' '' "$bad"
else
	skip 'undoing what was written' 'strace does not work here'
fi
kwg a apply >"$T/check" 2>&1

# ---- somebody else writes it at the same time ----

stopped() { grep -q SIGSTOP "$T/trace"; }
if can_strace; then
	cp "$T/foreign" "$(own a)"
	jq '.name = "theirs"' "$T/foreign" >"$T/theirs"
	: >"$T/trace"
	# It stops when it has opened the file; then another one takes its place.
	on a strace -o "$T/trace" -P "$path" -e trace=openat -e inject=openat:signal=STOP:when=1 \
		"$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a apply >"$T/out" 2>"$T/err" &
	pid=$!
	check 'apply has seen the file' wait_for 30 stopped
	cp "$T/theirs" "$(own a).new"
	mv "$(own a).new" "$(own a)"
	kill -CONT "$(pgrep -n -x kilowg)"
	status=0
	wait $pid || status=$?
	is 'apply refuses' 5 "$status"
	like 'and says why' "$T/err" "$path: another program has just changed it"
	same 'their file is left alone' "$T/theirs" "$(own a)"
	expect 0 'the next apply takes it' kwg a apply
else
	skip 'a file that changes at the same time' 'strace does not work here'
fi

# ---- files that cannot be ----

# Without order: pods are the bridge's ports.
state a | sort >"$T/before"
printf '{"plugins": [\n  {"type": "bridge",, }]}\n' >"$(own a)"
cp "$(own a)" "$T/broken"
expect 1 'broken JSON' kwg a apply
like 'file, line, column and byte are named' "$T/err" "$path:2: this is not JSON: .* \(column [0-9]+, byte [0-9]+\); nothing is changed"
expect 1 'diff says so, too' kwg a diff
run kwg a status
like 'status shows the peers nevertheless' "$T/out" '^node:c ' '^drift: [0-9]'
same 'the file is as it was' "$T/broken" "$(own a)"
printf '{"plugins": [{"type": "cilium-cni"}]}\n' >"$(own a)"
expect 1 'another IPAM' kwg a apply
like 'and what to do' "$T/err" "$path: no plugin in it has an ipam of the type host-local, .*cni = no"
mv "$(own a)" "$T/nodes/a/kilowg/behind"
ln -s ../../behind "$(own a)"
expect 1 'a symbolic link' kwg a apply
like 'and what to do' "$T/err" "$path: this is a symbolic link"
check 'it is one still' [ -L "$(own a)" ]
rm "$(own a)"
must mkdir "$(own a)"
expect 1 'a folder' kwg a apply
like 'is told' "$T/err" "$path: cni-path has to be a file"
must rmdir "$(own a)"

cp "$T/local.ini" "$T/local.old"
must mkdir "$T/immutable"
must mount -t tmpfs -o ro tmpfs "$T/immutable"
sed "s|^cni-path.*|cni-path = $T/immutable/cni/10-kilo.conflist|" "$T/local.old" >"$T/local.ini"
run kwg a apply
check 'an immutable host: apply fails' [ "$status" -ge 1 ]
like 'folder, reason and what to do' "$T/err" "$T/immutable: the CNI configuration cannot be written into this folder: Read-only file system; let cni-path"
cp "$T/local.old" "$T/local.ini"
state a | sort >"$T/after"
same 'none of this has changed anything' "$T/before" "$T/after"

# ---- the end ----

expect 0 'apply' kwg a apply
cp "$(own a)" "$T/made"
must touch "$(dirname "$(own a)")/.10-kilo.conflist.kilowg"
mesh_edit a "$(pods_of 1)" "$(pods_of 7)"
expect 0 'other networks, and a temporary file that a crash has left' kwg a apply
is 'it is gone' 10-kilo.conflist "$(ls -A "$(dirname "$(own a)")")"
is 'the networks are the new ones' '10.2.7.0/24' "$(jq -r '.plugins[0].ipam.ranges[0][0].subnet' "$(own a)")"
must ip netns add a3
must on a3 ip link set lo up
rm "$T/var/cni"
ln -s "$T/records-a" "$T/var/cni"
check 'a pod of them, on the bridge that has an address of the old ones' cni a a3 ADD
is 'has an address of them' '10.2.7.' "$(address a3 4 | sed 's/[0-9]*$//')"
cp "$(own a)" "$T/made"
expect 0 'down' kwg a down
same 'leaves the file: the runtime needs it to take pods down' "$T/made" "$(own a)"
expect 0 'with cni = no' sh -c "sed -i 's/^cni = yes/cni = no/' '$T/local.ini'"
rm "$(own a)"
expect 0 'apply' kwg a apply
check 'no file is written' [ ! -e "$(own a)" ]
finish
