#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# "kilowg graph": the picture is XML with each node, tunnel and peer in it, and nothing lies over
# anything else; the text for Mermaid names the same. DOT is compared in golden.t.sh.

set -u
top_srcdir=${top_srcdir:-$(cd "$(dirname "$0")/.." && pwd)}
KILOWG=${KILOWG:-$top_srcdir/build/kilowg}
case $KILOWG in /*) ;; *) KILOWG=$PWD/$KILOWG ;; esac
# shellcheck source=tests/lib.sh
. "$top_srcdir/tests/lib.sh"
need python3
T=$(mktemp -d) || exit 99
trap 'rm -rf "$T"' EXIT
cd "$T" || exit 99

# NODES LOCATIONS PEERS
mesh() {
	awk -v nodes="$1" -v locations="$2" -v peers="$3" '
	function key(n) { return substr(sprintf("%06dAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", n), 1, 42) "A=" }
	BEGIN {
		print "[mesh]\nformat = 1\nencapsulation = never"
		for (i = 0; i < nodes; i++)
			printf "\n[node]\nname = n%d\nlocation = l%d\npublic-key = %s\npod-cidr = 10.%d.%d.0/24\nendpoint = 203.0.%d.%d:51820\ninternal-ip = 10.200.%d.%d/24\n",
				i, i % locations, key(i + 1), 100 + i / 250, i % 250, i / 200, i % 200 + 1, i % locations % 250, i / locations + 1
		for (i = 0; i < peers; i++)
			printf "\n[peer]\nname = p%d\npublic-key = %s\nallowed-ip = 10.5.%d.1/32\n", i, key(5000 + i), i
	}' >mesh.ini
}

# Prints how many leaders, other nodes, peers and tunnels there are, and what overlaps.
cat >look.py <<'END'
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
w, h = int(root.get("width")), int(root.get("height"))
kinds, boxes = {}, []
for e in root.iter():
    name, kind = e.tag.split("}")[1], (e.get("class") or "").split(" ")[0]
    if name == "rect":
        kinds[kind] = kinds.get(kind, 0) + 1
        boxes.append((kind == "location", *(int(e.get(k)) for k in ("x", "y", "width", "height"))))
    elif name == "path":
        kinds["tunnel"] = kinds.get("tunnel", 0) + 1
for i, (outer, x, y, bw, bh) in enumerate(boxes):
    if x < 0 or y < 0 or x + bw > w or y + bh > h:
        print("outside of the picture:", x, y)
    for other, ox, oy, ow, oh in boxes[:i]:
        if other == outer and x < ox + ow and ox < x + bw and y < oy + oh and oy < y + bh:
            print("one over another:", x, y, ox, oy)
print(*(f"{k} {kinds[k]}" for k in sorted(kinds)))
END
svg() { "$KILOWG" -f mesh.ini graph --format svg >mesh.svg && python3 look.py mesh.svg; }

mesh 7 3 1
is 'three locations' 'leader 3 location 4 node 4 peer 1 tunnel 6' "$(svg)"
mesh 1 1 0
is 'one node' 'leader 1 location 1' "$(svg)"
mesh 60 16 3
is 'sixteen locations' 'leader 16 location 17 node 44 peer 3 tunnel 136' "$(svg)"
mesh 90 2 40
is 'many of each' 'leader 2 location 3 node 88 peer 40 tunnel 3' "$(svg)"
mesh 300 300 9
is 'too many for lines' 'leader 300 location 301 peer 9' "$(svg)"
like 'what they would say is said' mesh.svg 'Each of the 300 leaders has a tunnel to each other one, and to each outside peer\.'
mesh 300 40 1
is 'three hundred in forty places' 'leader 40 location 41 node 260 peer 1' "$(svg)"

mesh 2 2 0
sed -i 's/^name = n0$/name = a<b>\&"c"#of a very long name/; s/^location = l1$/location = <script>alert(1)<\/script>/' mesh.ini
is 'markup in names stays text' 'leader 2 location 2 tunnel 1' "$(svg)"
unlike 'no element comes of it' mesh.svg '<script|a<b'
like 'a long name is cut off' mesh.svg '>a&lt;b&gt;&amp;&quot;c&quot;#of a very l…<'
sed -i 's/^name = n1$/name = üüüüüüüüüüüüüüüüüüüüüü/' mesh.ini
is 'of whole characters' 'leader 2 location 2 tunnel 1' "$(svg)"
like 'twenty of them' mesh.svg '>(ü){20}…<'
sed -i 's/^name = \(ü\)*$/name = n1/' mesh.ini
expect 0 'Mermaid' "$KILOWG" -f mesh.ini graph --format mermaid
like 'has nodes, leaders in place' "$T/out" '^    n0\["a#lt;b>#amp;#quot;c#quot;#35;of a very long name<br/>10\.4\.0\.2"\]:::leader$' '^  n1 <==> n0$'
mesh 5 2 1
"$KILOWG" -f mesh.ini graph --format mermaid >out
is 'all of it' '2 5 3 1 2' \
	"$(grep -c subgraph out) $(grep -c '^    n' out) $(grep -c -e ' --- ' out) $(grep -c '<==>' out) $(grep -c -e '-\.-' out)"
expect 1 'another format' "$KILOWG" -f mesh.ini graph --format png
like 'which there are' "$T/err" -- '--format is dot, mermaid or svg'
finish
