#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# history and rollback: the configurations that were applied, kept and applied again.
#
#   pod 10.2.2.2        pod 10.2.1.2               pod 10.2.3.2
#        |                   |                          |
#        b ------- lan ----- a ---------- wan --------- c
#     .2   10.1.1.0/24   .1    .1  203.0.113.0/24   .3

# shellcheck disable=SC2119,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ip
choose_backend
[ "$backend" != external ] || cannot 'kilowg makes no interface here'
three_nodes
run_a=$T/nodes/a/kilowg store=$T/nodes/a/state/history
(umask 077 && wg genpsk >"$run_a/psk")
mesh_peer s 'preshared-key-file = /run/kilowg/psk' 'allowed-ip = 10.7.0.0/24'
cp "$mesh_ini" "$T/good.ini"
inline=$(sed -n 's/^preshared-key = //p' "$mesh_ini")

count() { find "$store" -name '*.entry' | wc -l; }
entries() { kwg a history | grep -c .; }
# NUMBER: peer number so many, which stands in no other file.
with_peer() { cp "$T/good.ini" "$mesh_ini"; mesh_peer "n$1" "allowed-ip = 10.20.$1.0/24"; }
routes() { ip -n a route show proto 107 | sed 's/ .*//' | sort; }
has_route() { routes | grep -qx "$1"; }

expect 1 'nothing is kept yet' kwg a history
like 'it says so' "$T/err" 'no configuration is kept'
expect 1 'and nothing to go back to' kwg a rollback

# ---- what is kept -------------------------------------------------------------

expect 0 'apply' kwg a apply
is 'without a word' '' "$(cat "$T/out" "$T/err")"
expect 0 'history' kwg a history
like 'time, result, mesh, node, plan, and who it was' "$T/out" \
	"^\\* 1  [0-9-]+ [0-9:]+  applied  mesh kilo node a  $(kwg a plan | sed -n 's/^digest .* \(.\{12\}\).*/\1/p')  by command line, [a-z0-9]+ : mesh.ini local.ini\$"
is 'the folder is for root only' 700 "$(stat -c %a "$store")"
is 'and so are its files' 600 "$(stat -c %a "$store"/*.entry)"
is 'and the one in /run' 600 "$(stat -c %a "$run_a/kilo.applied")"
state a >"$T/first"
before=$(stat -c %Y.%Z.%i "$store"/*.entry "$run_a/kilo.applied")
expect 0 'the same once more' kwg a apply
is 'is written once' "$before" "$(stat -c %Y.%Z.%i "$store"/*.entry "$run_a/kilo.applied")"
check 'a key in a file is not in it' gone grep -qF "$(cat "$run_a/psk")" "$store"/*.entry
check 'nor is the private key' gone grep -qF "$(cat "$run_a/key")" "$store"/*.entry
check 'one in the text is' grep -qF "$inline" "$store"/*.entry

with_peer 1
expect 0 'apply of a timer, with a peer more' on a env KILOWG_FROM=kilowg.service SUDO_USER=eve "$KILOWG" \
	-f "$mesh_ini" -f "$T/local.ini" --node a apply
kwg a history >"$T/out"
like 'who it was' "$T/out" '^\* 1  .*  by kilowg.service, eve : ' '^  2  .*  by command line, '
run kwg a --json history
check 'as JSON' sh -c "python3 -c 'import json, sys; e = json.load(open(sys.argv[1]))[\"entries\"]; assert len(e) == 2 and e[0][\"in_force\"] and not e[1][\"in_force\"] and e[0][\"from\"] == \"kilowg.service\"' $T/out"
expect 0 'history --diff' kwg a history --diff 2 1
cat >"$T/want" <<END2
+ wireguard-peer $(public_key n1) name n1
+   allowed-ip 10.20.1.0/24
+ route 10.20.1.0/24 dev kilo src 10.1.1.1
END2
same 'has what is new in the plan' "$T/want" "$T/out"
expect 0 'the other way round' kwg a history --diff 1 2
sed 's/^+/-/' "$T/want" >"$T/want.back"
same 'it is what goes' "$T/want.back" "$T/out"
expect 0 'of the same' kwg a history --diff 1 1
is 'it is empty' '' "$(cat "$T/out")"
for bad in '1' '1 3' '0 1' '1 x' '1 2 3'; do
	# shellcheck disable=SC2086  # words
	expect 1 "--diff $bad is refused" kwg a history --diff $bad
done
kwg a history >"$T/out"
kwg a --json history >>"$T/out"
kwg a history --diff 1 2 >>"$T/out"
for secret in "$inline" "$(cat "$run_a/psk")" "$(cat "$run_a/key")"; do
	check 'no secret is printed' gone grep -qF "$secret" "$T/out"
done

# ---- going back ------------------------------------------------------------------

expect 0 'rollback --dry-run' kwg a rollback --dry-run
like 'shows the steps' "$T/out" '^- route 10\.20\.1\.0/24'
check 'and takes none' has_route 10.20.1.0/24
expect 0 'rollback' kwg a rollback
state a >"$T/now"
same 'all is as it was' "$T/first" "$T/now"
like 'it is in the history' "$store/kilo.0000000003.entry" '^result applied$'
expect 3 'the files are not applied by the way' kwg a apply
like 'it says why' "$T/err" 'not applied: .*/mesh\.ini: is still as it was .*an older configuration was applied instead'
state a >"$T/now"
same 'it stays' "$T/first" "$T/now"
run kwg a status
like 'status says so' "$T/out" '^warning: the previous configuration is in force, not these files \(an older'
expect 0 'rollback to a number' kwg a rollback 2
check 'is what that was' has_route 10.20.1.0/24
expect 0 'which the files say, too' kwg a apply
for bad in 0 77 x -1 '1 2'; do
	# shellcheck disable=SC2086
	expect 1 "rollback $bad is refused" kwg a rollback $bad
done
with_peer 2
expect 0 'another one' kwg a apply
expect 0 'rollback --confirm' kwg a rollback --confirm 1
back_again() { ! grep -qs '^state waits' "$run_a/kilo.confirm" && has_route 10.20.2.0/24; }
check 'not confirmed: it is what it was' wait_for 20 back_again
run kwg a status
unlike 'which the files say, so that nothing is held' "$T/out" '^warning: the previous configuration is in force'
expect 0 'apply' kwg a apply
expect 0 'rollback --confirm' kwg a rollback --confirm 300
expect 0 'confirm' kwg a confirm
check 'it stays' has_route 10.20.1.0/24
expect 3 'although the files say something else' kwg a apply
check 'it stays nevertheless' has_route 10.20.1.0/24
expect 0 'until somebody says so' kwg a apply --supersede
check 'then the files count' has_route 10.20.2.0/24
wg genpsk >"$run_a/psk"
expect 0 'a key in a file is another one: rollback' kwg a rollback
like 'is told' "$T/err" 'warning: /run/kilowg/psk: holds another key than it did then'
expect 0 'apply' kwg a apply --supersede

# ---- what goes wrong ----------------------------------------------------------------

set_local cni yes
expect 0 'apply' kwg a apply
n=$(count)
# One more, of ten at most.
more=$((n < 10 ? n + 1 : 10))
# The file is to be written once more, and cannot be.
must rm "$run_a/10-kilo.conflist"
must mkdir "$run_a/.10-kilo.conflist.kilowg"
with_peer 3
expect 5 'apply fails' kwg a apply
expect 5 'and fails' kwg a apply
kwg a history >"$T/out"
like 'that is in the history' "$T/out" '^  1  .*  failed: step .*File exists' '^\* 2 '
is 'once' $more "$(count)"
must rmdir "$run_a/.10-kilo.conflist.kilowg"
expect 0 'apply' kwg a apply
is 'in its place' $more "$(count)"
expect 0 'rollback does not go to what failed' kwg a rollback
check 'but to what was in force' has_route 10.20.2.0/24
expect 0 'apply' kwg a apply --supersede

last=$(find "$store" -name '*.entry' | sort | tail -n 1)
n=$(entries)
cp "$last" "$T/last"
head -c 300 "$T/last" >"$last"
is 'one that is cut off is passed over' $((n - 1)) "$(entries)"
sed 's/^node = a/node = b/; s/10\.20\.3\.0/10.20.9.0/' "$T/last" >"$last"
is 'and one that was changed' $((n - 1)) "$(entries)"
: >"$last"
is 'and an empty one' $((n - 1)) "$(entries)"
rm "$last"
ln -s "$T/last" "$last"
is 'and a link' $((n - 1)) "$(entries)"
rm "$last"
cp "$T/last" "$last"
chmod 666 "$last"
is 'and one that others may write to' $((n - 1)) "$(entries)"
chmod 600 "$last"
is 'whole, it is back' "$n" "$(entries)"
printf 'half' >"$store/kilo.0000000099.entry.new"
with_peer 4
expect 0 'apply after a crash' kwg a apply
check 'what that has left goes' gone [ -e "$store/kilo.0000000099.entry.new" ]

# ---- how much -------------------------------------------------------------------------

for i in 5 6 7 8 9 10 11 12; do
	with_peer $i
	kwg a apply || fail "apply $i"
done
is 'the last ten are kept' 10 "$(count)"
is 'and listed' 10 "$(entries)"
expect 0 'the oldest can be gone back to' kwg a rollback 10
expect 0 'down' kwg a down
check 'down holds nothing' gone [ -e "$run_a/kilo.confirm" ]
check 'and nothing is in force' gone [ -e "$run_a/kilo.applied" ]
expect 0 'rollback after down brings the mesh back' kwg a rollback
check 'as it was' on a ip link show kilo0
expect 0 'apply' kwg a apply --supersede

# Comments are part of a file, too.
padding() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "# %098d\n", i }'; }
for i in 1 2 3; do
	with_peer $((30 + i))
	padding 240000 >>"$mesh_ini"
	expect 0 "a file of 24 MiB, number $i" kwg a apply
done
is 'of these only two are kept, 64 MiB in all' 2 "$(find "$store" -name '*.entry' -size +20M | wc -l)"
size=$(du -sm "$store" | cut -f 1)
check 'no more' [ "$size" -le 64 ]
with_peer 40
padding 400000 >>"$mesh_ini"
cp "$T/local.ini" "$T/local.before"
padding 300000 >>"$T/local.ini"
expect 0 'what is too large is applied' kwg a apply
cp "$T/local.before" "$T/local.ini"
like 'with a warning' "$T/err" 'warning: .*not in the history'
with_peer 41
expect 0 'apply' kwg a apply

# ---- a full disk ------------------------------------------------------------------------

must mount -t tmpfs -o size=256k tmpfs "$T/nodes/a/state"
with_peer 42
expect 0 'apply' kwg a apply
dd if=/dev/zero of="$T/nodes/a/state/full" bs=4k count=256 2>/dev/null
with_peer 43
expect 0 'the disk is full: apply' kwg a apply
like 'a warning' "$T/err" 'warning: .*No space left.*what is applied is not in the history'
is 'no half file is left' '' "$(find "$store" -name '*.new')"
check 'what was kept can be read' [ "$(entries)" -ge 1 ]
expect 0 'rollback' kwg a rollback 1
check 'is what that was' has_route 10.20.42.0/24
must umount "$T/nodes/a/state"

# ---- several meshes, and another name --------------------------------------------------------

sed 's/^\[mesh\]/&\nname = second\nport = 51999\nsubnet = 10.99.0.0\/16/; s/10\.2\./10.32./' "$T/good.ini" |
	sed '/^\[peer\]/,$d; /10\.1\.3\.3/d; s/:51820/:51999/' >"$T/second.ini"
sed 's/^\[local\]/&\ninterface = kilo2\nroute-protocol = 109\nroute-table = 1109/' "$T/local.ini" >"$T/second-local.ini"
expect 0 'another mesh beside' on a "$KILOWG" -f "$T/second.ini" -f "$T/second-local.ini" --node a apply
expect 1 'history: which one?' kwg a history
like 'it says how to tell' "$T/err" '\(--mesh NAME\)'
expect 0 'history --mesh' kwg a history --mesh second
is 'has that one only' 1 "$(grep -c . "$T/out")"
expect 1 'rollback: which one?' kwg a rollback
expect 1 'no such mesh' kwg a history --mesh nobody
expect 1 'no name of a mesh' kwg a history --mesh ../kilo
finish
