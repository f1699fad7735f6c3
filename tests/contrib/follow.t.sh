#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg-api against a stand-in API server: which changes wake, what is asked for how often, and
# what becomes of watches that are too old, throttled or cut off; clocks; and time limits. With
# "tls" (follow-tls.t.sh) it logs in there itself, else by kubectl's proxy.

# shellcheck disable=SC2034,SC2154,SC2317,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

command -v python3 >/dev/null || cannot 'there is no python3'
command -v jq >/dev/null || cannot 'there is no jq'
T=$(mktemp -d) || bail 'mktemp fails'
server='' follower=''
trap 'kill $server $follower 2>/dev/null; wait; rm -rf "$T"' EXIT
way=${1:-proxy}
set --
if [ "$way" = tls ]; then
	command -v openssl >/dev/null || cannot 'there is no openssl'
	# DAYS: a certificate, and its key.
	certificate() {
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$1" -subj /CN=x \
			-addext subjectAltName=IP:127.0.0.1 -keyout "$T/pem.key" -out "$T/pem" 2>"$T/out" ||
			bail "openssl: $(cat "$T/out")"
		cat "$T/pem.key" >>"$T/pem"
	}
	certificate 2
	mkdir "$T/api"
	echo first >"$T/api/token"
	set -- --tls "$T/pem"
	no_proxy=127.0.0.1
	export no_proxy
fi
kubernetes_start "$@"
server=$!
mkdir "$T/here"
cd "$T/here" || bail 'no folder'

control() { kubectl control "$1"; }
# KIND NAME FILTER: makes one, from nothing.
make() {
	jq -n "{apiVersion: \"v1\", kind: \"Node\", metadata: {name: \"$2\"}} | $3" >"$T/object"
	kubectl create "$1" "$2" "$T/object" || bail "$2 cannot be made"
}
# NODE FILTER
edit() {
	jq -n "{} | $2" >"$T/edit"
	# The server may be told to refuse some requests, whoever asks.
	wait_for 20 kubectl patch node "$1" --type=merge --patch-file "$T/edit" || bail "$1 cannot be edited"
}
seen() { edit "$1" ".metadata.annotations[\"kilo.squat.ai/last-seen\"] = \"$2\""; }
api_time() { echo $(($(date +%s) + $(cat "$T/api/ahead"))); }
# What it asked the server for.
asked() { grep -c "$1" "$T/api.log"; }
watches() { asked 'GET .*nodes?watch=1'; }
all_watches() { asked 'GET .*watch=1'; }
# The last follower has begun both of its watches.
watching() { [ "$(all_watches)" -ge $((watched + 2)) ]; }
follow() {
	watched=$(all_watches)
	rm -f wake.pipe state.json
	mkfifo wake.pipe
	exec 3<>wake.pipe
	kilowg-api follow --node a --debounce 0.1 --wake "$@" 2>>"$T/log" 3>&- &
	follower=$!
	wait_for 120 [ -e state.json ] || bail "nothing comes: $(cat away kubectl.err)"
	rm state.json
}
stop() { kill $follower; wait $follower; follower=''; }
field() { jq -r "select(.metadata.name == \"$1\") | $2" state.json; }
news() { wait_for 60 [ -e state.json ]; }

# What follows in the stream has been seen once this has.
barrier=0
barrier() {
	barrier=$((barrier + 1))
	edit a ".metadata.labels[\"topology.kubernetes.io/region\"] = \"b$barrier\""
	wait_for 60 grep -q "\"b$barrier\"" self.json || bail 'nothing comes through'
	wait_for 60 [ -e state.json ] && wait_for 60 grep -q "\"b$barrier\"" state.json
}

now=$(api_time)
for node in a b; do
	make node $node ".metadata.annotations = {\"kilo.squat.ai/last-seen\": \"$now\", other: \"x\"} | .spec.podCIDR = \"10.1.0.0/24\"
		| .status = {addresses: [{type: \"InternalIP\", address: \"10.0.0.1\"}], images: [1]}"
done
jq -n '{kind: "Peer", metadata: {name: "p"}, spec: {publicKey: "x", allowedIPs: ["10.5.0.1/32"], presharedKey: "s"}}' >"$T/object"
kubectl create peer p "$T/object"

follow --max-age 600
is 'the own node, with its addresses, and without others'"'"' annotations' '10.0.0.1 kilo.squat.ai/last-seen' \
	"$(jq -r '"\(.status.addresses[0].address) \(.metadata.annotations | keys | join(" "))"' self.json)"
is 'only the owner can read it' 600 "$(stat -c %a self.json)"
is 'kubectl runs for its proxy alone' $([ $way = tls ] && echo 0 || echo 1) "$(pgrep -f 'kubectl proxy' -P $follower | wc -l)"

# ---- what wakes ----

# A clock that is ahead is not believed, so what is noted here has to be past.
past() { [ "$(api_time)" -ge $((now + 2)) ]; }
wait_for 10 past
wait_for 60 watching
before=$(asked .)
seen b $((now + 1))
edit b '.metadata.annotations["kilo.squat.ai/wireguard-ip"] = "10.4.0.1/16"'
edit b '.metadata.labels.x = "y" | .status.images = [2] | .metadata.annotations.other = "z"'
seen a $((now + 2))
wait_for 60 grep -q $((now + 2)) self.json
check 'check-ins, addresses that each works out, and what is not of the mesh wake nobody' [ ! -e state.json ]
is 'nor do they make it ask' 0 "$(($(asked 'GET .*\(watch\|resourceVersion=0\)') - $(head -n "$before" "$T/api.log" | grep -c 'GET .*\(watch\|resourceVersion=0\)')))"
edit b '.metadata.annotations["kilo.squat.ai/endpoint"] = "203.0.113.1:51820"'
check 'an endpoint does' news
is 'and it is in the state' '203.0.113.1:51820' "$(field b '.metadata.annotations["kilo.squat.ai/endpoint"]')"
is 'with when it was seen' $((now + 1)) "$(field b .kilowg.seen)"
is 'and the peer' 's' "$(field p .spec.presharedKey)"
is 'a status of others is not in it' null "$(field b .status)"
check 'whoever reads is woken' read -r _ <&3
rm state.json
kubectl delete node b
check 'a node that is deleted does' news
is 'and it is gone' '' "$(field b .kind)"
make node b ".metadata.annotations = {\"kilo.squat.ai/last-seen\": \"$(api_time)\"}"
wait_for 60 grep -q '"b"' state.json

# What nobody reads is not parsed: images and the like, whatever stands in them, and no other text.
jq -n --arg now "$(api_time)" '{apiVersion: "v1", kind: "Node", status: {images: [{names: ["]\\\"[{", "x"]}, []], conditions: []},
	metadata: {name: "c", managedFields: [{"\"]": ["}"]}, "\\"], labels: {images: "x", "topology.kubernetes.io/region": "images"},
	annotations: {"kilo.squat.ai/location": "\"images\": [", "kilo.squat.ai/last-seen": $now, conditions: "["}},
	spec: {podCIDR: "10.3.0.0/24"}}' >"$T/object"
kubectl create node c "$T/object"
check 'a node with much that nobody reads' wait_for 60 grep -q '"c"' state.json
is 'all that is read is there' '"images": [ images 10.3.0.0/24' \
	"$(field c '"\(.metadata.annotations["kilo.squat.ai/location"]) \(.metadata.labels["topology.kubernetes.io/region"]) \(.spec.podCIDR)"')"
must kubectl delete node c
wait_for 60 sh -c '! grep -q "\"c\"" state.json'

# ---- where we are ----

lists() { asked 'GET .*resourceVersion=0'; }
was=$(lists)
is 'one list each' 2 "$was"
control '{"bookmarks": 0.2}'
control '{"hangup": true}'
barrier
is 'a watch that is cut off goes on where it was' 2 "$(lists)"
check 'by another watch' [ "$(watches)" -ge 2 ]
# All that is of others moves the version on; a bookmark tells that.
kubectl delete peer p
barrier
control '{"hangup": true}'
barrier
is 'still no list' 2 "$(lists)"
edit b '.metadata.annotations["kilo.squat.ai/key"] = "before"'
control '{"compact": true, "expire": true}'
more_lists() { [ "$(lists)" -ge $((was + 2)) ]; }
check 'too old: there are lists again' wait_for 120 more_lists
kubectl delete node b
barrier
is 'what has happened meanwhile is not lost' '' "$(field b .kind)"
was=$(lists)
control '{"throttle": 2}'
control '{"hangup": true}'
barrier
check 'throttling is waited for' wait_for 60 [ ! -e away ]
is 'without lists' "$was" "$(lists)"

# ---- the server is away ----

make node b ".metadata.annotations = {\"kilo.squat.ai/last-seen\": \"$(api_time)\"}"
make node old '.metadata.annotations = {"kilo.squat.ai/last-seen": "1000"}'
barrier
is 'a node that is long gone' true "$(field old .kilowg.gone)"
rm -f state.json
: >"$T/api/away"
check 'the server is away: a file has the reason' wait_for 60 grep -q 'connection refused\|Empty reply' away
echo 3600 >"$T/api/ahead"
rm "$T/api/away"
check 'an hour later it is back' wait_for 120 gone [ -e away ]
barrier
is 'who could not check in meanwhile is still there' false "$(field b .kilowg.gone)"
is 'who was gone before is gone' true "$(field old .kilowg.gone)"
skew() { [ "$(cat skew)" -ge 3595 ] && [ "$(cat skew)" -le 3605 ]; }
check 'the clock of this host is an hour behind the server'"'"'s: that is known' wait_for 60 skew
stop
is 'nothing runs on' '' "$(pgrep -f "$T/here" | grep -v "^$server$")"

# ---- clocks of others ----

echo 0 >"$T/api/ahead"
now=$(api_time)
seen b "$now"
make node ahead ".metadata.annotations = {\"kilo.squat.ai/last-seen\": \"$((now + 3600))\"}"
follow --max-age 15
check 'of a node that does not check in any more all hear' wait_for 60 [ -e state.json ]
gone_b() { rm -f state.json; barrier && [ "$(field b .kilowg.gone)" = true ]; }
check 'it is gone' wait_for 60 gone_b
gone_ahead() { rm -f state.json; barrier && [ "$(field ahead .kilowg.gone)" = true ]; }
check 'a clock that is ahead does not keep one that has died' wait_for 60 gone_ahead
seen b "$(api_time)"
back() { [ -e state.json ] && [ "$(field b .kilowg.gone)" = false ]; }
check 'one that checks in again is back' wait_for 60 back
seen b $(($(api_time) - 20))
check 'a clock that is behind is named' wait_for 60 grep -q 'the clock of node b is about [0-9]* seconds behind' "$T/log"

# ---- hostile objects ----

# Control characters, much text and strange types change nothing for the others.
jq -n '{metadata: {annotations: {"kilo.squat.ai/key": "a\u0000b\n\u2028", "kilo.squat.ai/location": ("x" * 200000)}}}' >"$T/edit"
must kubectl patch node b --type=merge --patch-file "$T/edit"
barrier
is 'one that is too large is marked' 'true null' "$(field b '"\(.large > 200000) \(.metadata.annotations)"')"
check 'each object is a line of JSON' jq -e . state.json
stop

# ---- one request ----

follow
jq -n '{metadata: {annotations: {"kilo.squat.ai/key": "y"}}}' >"$T/patch"
wait_for 60 watching
before=$(asked .)
expect 0 'a patch' kilowg-api patch api.json a "$T/patch"
is 'is one request' 1 "$(tail -n +$((before + 1)) "$T/api.log" | grep -c '^[A-Z]* /api/v1/nodes/a ')"
is 'a merge patch' 1 "$(tail -n +$((before + 1)) "$T/api.log" | grep -c '^PATCH /api/v1/nodes/a application/merge-patch+json$')"
expect 1 'of a node that is not there' kilowg-api patch api.json none "$T/patch"
like 'says so' "$T/err" '"none" not found'
expect 2 'of a name that is none' kilowg-api patch api.json '../secrets/x' "$T/patch"
expect 0 'the server answers' kilowg-api reach api.json a
: >"$T/api/away"
expect 1 'it does not' kilowg-api reach api.json a
rm "$T/api/away"
if [ $way = proxy ]; then
	expect 0 'by the socket of its proxy, too' kilowg-api reach api.sock a
fi
stop
expect 1 'without the follower' kilowg-api reach api.json a

# ---- logging in ----

config() { jq "$1" "$T/api/config.json" >"$T/config" && mv "$T/config" "$T/api/config.json"; }
login() {
	follow
	is 'the token is where its owner alone can read it' '600 first' "$(stat -c %a api.token) $(cat api.token)"
	is 'and nowhere else' api.token "$(grep -l first ./api.* ./*.json | sed "s,./,,")"
	echo second >"$T/api/token"
	config '.users[0].user.token = "second"'
	rm -f state.json
	control '{"hangup": true}'
	barrier
	is 'another token: kubectl is asked for it' second "$(cat api.token)"
	check 'and all is well' wait_for 60 gone [ -e away ]
	stop
	is 'nothing of it stays' '' "$(find . -name 'api.*' -o -name config.json)"

	cp "$T/api/config.json" "$T/good.json"
	mv "$T/pem" "$T/pem.server"
	certificate 3
	config ".clusters[0].cluster[\"certificate-authority-data\"] = \"$(openssl x509 -in "$T/pem" | base64 -w 0)\""
	rm -f away
	kilowg-api follow --node a --once 2>"$T/err" && fail 'the certificate of another: nothing is asked' ||
		like 'the certificate of another: nothing is asked' "$T/err" 'certificate'
	for what in '.exec = {command: "x"}' '.tokenFile = "relative"' '.as = "somebody"'; do
		cp "$T/good.json" "$T/api/config.json"
		config ".users[0].user$what"
		kilowg-api follow --node a 2>>"$T/log" &
		follower=$!
		check "what kubectl alone can do is done by its proxy: $what" wait_for 60 pgrep -f 'kubectl proxy' -P $follower
		stop
	done
}
[ $way != tls ] || login

# ---- time limits ----

expect 3 'a command has its exit status' kilowg-api limit 60 sh -c 'exit 3'
expect 127 'and one that is not there' kilowg-api limit 60 "$T/none"
# shellcheck disable=SC2016  # for the other shell
expect 124 'one that takes too long is ended' kilowg-api limit 1 sh -c 'sleep 1000 & echo $! >child; wait'
check 'with what it had begun' wait_for 20 gone kill -0 "$(cat child)"
expect 124 'also if it does not want to' kilowg-api limit 1 sh -c 'trap "" TERM; sleep 1000 & echo $! >child; while :; do wait; done'
check 'with what it had begun, too' wait_for 20 gone kill -0 "$(cat child)"
# shellcheck disable=SC2016
sh -c 'kilowg-api limit 1000 sh -c "echo \$\$ >child; sleep 1000" & echo $! >limit; wait' &
parent=$!
child_there() { [ -s child ] && kill -0 "$(cat child)"; }
rm child
wait_for 20 child_there || bail 'nothing begins'
kill -KILL $parent
check 'whoever started it was killed: it ends' wait_for 20 gone kill -0 "$(cat child)"
finish
