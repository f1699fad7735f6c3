#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# Nodes and peers that cannot take part, or with which no session can come about: the rest
# is carried out, and they are named.
#
# The topology is that of three_nodes in tests/lib.sh.

# shellcheck disable=SC2119
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping python3
choose_backend

three_nodes
daemons a b c

check "apply" apply_all a b c
check "pods elsewhere" reaches a.pod 10.2.3.2

# Kilo and WireGuard take them as keys; the bit that nobody looks at set, and not.
python3 - >"$T/points" <<'END'
import base64
p = 2**255 - 19
eight = (325606250916557431795983626356110631294008115727848805560023387167927233504,
         39382357235489614581723060781553021112529911719440698176882885853963445705823)
for x in (0, 1, *eight, p - 1, p, p + 1):
    for top in (0, 1 << 255):
        if x + top:	# all zero is no key at all
            print(base64.b64encode((x + top).to_bytes(32, "little")).decode())
END
is "there are 13 of them" 13 "$(wc -l <"$T/points")"
i=0
while read -r point; do
	i=$((i + 1))
	printf '[peer]\nname = low%s\npublic-key = %s\nallowed-ip = 10.7.0.%s/32\nendpoint = 203.0.113.77:%s\n\n' \
		$i "$point" $i $i >>"$mesh_ini"
done <"$T/points"
# One that takes part as before.
mesh_peer good 'allowed-ip = 10.6.0.1/32'
expect 0 "keys of low order: check" "$KILOWG" -f "$mesh_ini" check
is "keys of low order: each is named" 13 \
	"$("$KILOWG" -f "$mesh_ini" check 2>&1 | grep -c '^.*mesh.ini:[0-9]*: warning: public-key: that of peer "low[0-9]*" is a Curve25519 point of low order')"
expect 0 "keys of low order: apply" kwg a apply
check "keys of low order: the rest is carried out" test "$(on a wg show kilo0 allowed-ips | grep -c '10.6.0.1/32')" = 1
check "keys of low order: pods elsewhere" reaches a.pod 10.2.3.2
expect 0 "keys of low order: then there is no difference" kwg a diff

# A line that is lost takes a node out of the mesh.
awk 'BEGIN { RS = ""; ORS = "\n\n" } $0 ~ /name = c\n/ { sub(/\nendpoint = [^\n]*/, "") } { print }' \
	"$mesh_ini" >"$T/mesh.new" && mv "$T/mesh.new" "$mesh_ini"
line=$(awk '/^\[node\]/ { at = NR } /^name = c$/ { print at }' "$mesh_ini")
kwg a apply >"$T/out" 2>"$T/said"
is "a lost endpoint: apply succeeds" 0 $?
like "a lost endpoint: apply says so, and where" "$T/said" \
	"^kilowg: warning: node c takes no part in the mesh: it has no endpoint; see .*mesh.ini:$line\$"
expect 0 "a lost endpoint: apply -q" kwg a -q apply
kwg a -q apply 2>"$T/said"
is "a lost endpoint: apply -q says nothing" '' "$(cat "$T/said")"
expect 1 "a lost endpoint: apply on that node fails" kwg c apply
kwg c apply 2>"$T/said"
like "a lost endpoint: and names the place" "$T/said" "node \"c\" \\(.*mesh.ini:$line\\) takes no part"

finish
