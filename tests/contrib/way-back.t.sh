#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg-agent, of which the last change of the topology has cut off the API server: the one
# before comes back. With stand-ins for kilowg and kilowg-api; a minute in it is a minute.

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

command -v jq >/dev/null || cannot 'there is no jq'
top=$(cd -- "${lib_dir%/*}" && pwd -P)
T=$(mktemp -d) || bail 'mktemp fails'
agent=''
trap 'kill $agent 2>/dev/null; wait; rm -rf "$T"' EXIT
mkdir "$T/bin" "$T/run"

# The server can be reached unless the topology has the location "wrong".
cat >"$T/bin/kilowg" <<'END'
#!/bin/sh
case $* in
*apply*) cp "$OUTPUT" "$OUTPUT.applied" ;;
*status*) echo '{"interface": {"present": true, "up": true, "implementation": "x", "port": 1}}' ;;
esac
END
cat >"$T/bin/kilowg-api" <<'END'
#!/bin/sh
case $1 in
limit) shift 2; exec "$@" ;;
reach) ! grep -q '^location = wrong$' "$OUTPUT.applied" ;;
follow)
	cp "$STATE" self.json; cp "$STATE" state.json; echo 0 >skew
	case $* in *--once*) exit ;; esac
	echo changed >wake.pipe
	while sleep 0.2; do
		[ ! -e "$STATE.new" ] || { mv "$STATE.new" state.json; echo changed >wake.pipe; }
		if grep -q '^location = wrong$' "$OUTPUT.applied"; then echo gone >away; else rm -f away; fi
	done 2>/dev/null ;;
esac
END
printf '#!/bin/sh\n' | tee "$T/bin/kubectl" >"$T/bin/kilowg-publish"
chmod +x "$T/bin"/*
OUTPUT=$T/topology.ini STATE=$T/state.json
KUBECONFIG=$T/nothing
export OUTPUT STATE KUBECONFIG
PATH=$T/bin:$top/contrib/kubernetes:$PATH

# LOCATION FILE
state() {
	jq -nc --arg l "$1" '{kind: "Node", metadata: {name: "a", annotations: {"kilo.squat.ai/location": $l,
		"kilo.squat.ai/endpoint": "203.0.113.1:1", "kilo.squat.ai/key": "9AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}},
		spec: {podCIDR: "10.2.1.0/24"}}' >"$2.tmp" && mv "$2.tmp" "$2"
}
state good "$STATE"
: >"$OUTPUT.applied"
kilowg-agent --node a --publish no --max-age 0 --interval 3 --run-dir "$T/run" --output "$OUTPUT" --save "$T/save.ini" \
	-f "$OUTPUT" 2>"$T/log" &
agent=$!
has() { grep -q "^location = $1\$" "$OUTPUT.applied"; }
check 'a topology is applied' wait_for 120 has good
saved() { grep -q "^location = $1\$" "$T/save.ini"; }
check 'and kept, since the server can be reached' wait_for 60 saved good
state wrong "$STATE.new"
check 'another one' wait_for 120 has wrong
check 'without the server: the one before is back' wait_for 300 has good
like 'that is said' "$T/log" 'the one before is back, and the new one is refused until it changes'
check 'and kept' saved good
state wrong "$STATE.new"
taken() { [ ! -e "$STATE.new" ] && [ ! -e "$T/run/state.json" ]; }
check 'the same again' wait_for 60 taken
check 'is refused' has good
state better "$STATE.new"
check 'what has changed is not' wait_for 120 has better
kill $agent
wait $agent
is 'it ends well' 0 $?
agent=''
rm "$OUTPUT"
kilowg-agent --once --node a --publish no --max-age 0 --run-dir "$T/run" --output "$OUTPUT" --save "$T/save.ini" \
	-f "$OUTPUT" 2>"$T/log"
like 'after a reboot it begins with what was kept' "$T/log" 'begins with the topology of'
finish
