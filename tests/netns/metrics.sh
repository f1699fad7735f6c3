#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg metrics: what it prints is what status says, in a form that Prometheus takes; without the
# private key; and kilowg-status(8) has the same table.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq
choose_backend
three_nodes
mesh_drop q
daemons a b c
must apply_all a b c
check 'packets get through' reaches a.pod 10.2.3.2

# NODE ARGUMENT...: $T/metrics has what metrics prints there.
metrics_of() {
	local node="$1"
	shift
	run kwg "$node" metrics "$@"
	cp "$T/out" "$T/metrics"
}
# NAME LABELS: the value.
value() { awk -v what="$1{mesh=\"kilo\"$2}" 'index($0, what " ") == 1 { print $NF }' "$T/metrics"; }
c=',peer="location:y",location="y"'

# ---- values ----

metrics_of a
is 'it ends with 0 though the mesh is not healthy' '0 0' "$status $(value kilowg_healthy '')"
kwg a -j status >"$T/status"
is 'of a leader' '1 1 3' "$(value kilowg_leader '') $(value kilowg_up '') $(value kilowg_nodes '')"
is 'the port, and the MTU as the kernel has it' "51820 $(on a ip -o link show kilo0 | sed "s/.* mtu //; s/ .*//")" \
	"$(value kilowg_listen_port '') $(value kilowg_interface_mtu_bytes '')"
is 'the handshake as WireGuard has it' "$(peer_field a 5 c)" "$(value kilowg_peer_last_handshake_timestamp_seconds "$c")"
is 'the peer is there, and answers' '1 1 0' \
	"$(value kilowg_peer_endpoint_known "$c") $(value kilowg_peer_state "$c,state=\"ok\"") $(value kilowg_peer_state "$c,state=\"unanswered\"")"
is 'and another one does not' 1 "$(value kilowg_peer_state ',peer="p",location="",state="unanswered"')"
is 'which is a finding' 1 "$(value kilowg_findings ',code="no-answer",severity="error"')"
at_least() { [ "$(value "kilowg_peer_$1_bytes_total" "$c")" -ge "$2" ]; }
check 'bytes are counted' at_least receive 100
check 'in both directions' at_least transmit 100
must on a ping -c 3 -i 0.2 -q 10.2.3.2
metrics_of a
is 'and are those of WireGuard' "$(peer_field a 6 c)" "$(value kilowg_peer_receive_bytes_total "$c")"
like 'who leads there' "$T/metrics" "^kilowg_peer_info.mesh=\"kilo\"$c,leader=\"c\",public_key=\"$(sed 's/[+]/[+]/g' "$T/keys/c.pub")\"} 1$"
digest=$(kwg a plan | sed -n 's/^digest blake2b-256 //p')
is 'the plan has its digest' 1 "$(value kilowg_plan_info ",node=\"a\",location=\"x\",digest=\"$digest\"")"
is 'there is no drift' 0 "$(awk '/^kilowg_drift/ { n += $NF } END { print n }' "$T/metrics")"
is 'the program says its version' 1 "$(value kilowg_build_info ",version=\"$("$KILOWG" -V | sed 's/kilowg //')\"")"

metrics_of b
is 'a follower' '0 1' "$(value kilowg_leader '') $(value kilowg_up '')"
is 'has no peers' 0 "$(grep -c '^kilowg_peer' "$T/metrics")"
is 'and is healthy' 1 "$(value kilowg_healthy '')"

# ---- workers ----

# FAMILY: the sum over all workers.
of_workers() { awk -v what="kilowg_worker_$1_total{" 'index($0, what) == 1 { n += $NF } END { print n + 0 }' "$T/metrics"; }
if [ "$backend" = userspace ]; then
	more() { [ "$(of_workers transmit_packets)" -ge $((packets + 20)) ] && [ "$(of_workers receive_bytes)" -ge $((bytes + 20 * 84)) ]; }
	metrics_of a
	packets=$(of_workers transmit_packets) bytes=$(of_workers receive_bytes) drops=$(of_workers receive_drops)
	must on a ping -c 20 -i 0.05 -q 10.2.3.2
	metrics_of a
	check 'kilowg-userspace tells of packets and bytes' more
	is 'none of them dropped' "$drops" "$(of_workers receive_drops)"
	on c bash -c 'printf "%0100d" 4 >/dev/udp/203.0.113.1/51820'
	dropped() { metrics_of a; [ "$(of_workers receive_drops)" -gt "$drops" ]; }
	check 'but for what is none of WireGuard' wait_for 10 dropped
	run on a wg show kilo0
	like 'wg passes over that' "$T/out" '^interface: kilo0$' '^peer: ' '^ *transfer: '
	is 'without a word' '' "$(cat "$T/err")"
	like 'and dump as well' "$T/metrics" "^kilowg_peer_receive_bytes_total.* $(peer_field a 6 c)\$"
else
	is 'only kilowg-userspace tells of its workers' 0 "$(grep -c '^kilowg_worker' "$T/metrics")"
fi

# ---- the last apply ----

metrics_of c
is 'the last apply went well' '1 1' "$(value kilowg_last_apply_success '') $(grep -c '^kilowg_last_apply_info{.*result="applied"' "$T/metrics")"
recent() { [ $(($(date +%s) - $(value kilowg_last_apply_timestamp_seconds ''))) -le 600 ]; }
check 'not long ago' recent
is 'nothing waits' '0 0' "$(value kilowg_confirmation_waiting '') $(value kilowg_configuration_held '')"
must on c ip route del 10.2.1.0/24
must on c ip route del 10.2.2.0/24
metrics_of c
is 'what others take away is drift, by its kind' '2 0 0' \
	"$(value kilowg_drift ',kind="route"') $(value kilowg_drift ',kind="peer"') $(value kilowg_healthy '')"
must kwg c apply
set_local mtu 1400
must kwg c apply --confirm 600
metrics_of c
is 'one that waits for a confirmation' '1 1' "$(value kilowg_confirmation_waiting '') $(grep -c '^kilowg_last_apply_info{.*result="waiting"' "$T/metrics")"
ahead() { [ "$(value kilowg_confirmation_deadline_timestamp_seconds '')" -gt "$(date +%s)" ]; }
check 'until then' ahead
must kwg c rollback
metrics_of c
is 'it was rolled back, and the file is held' '0 1 0' \
	"$(value kilowg_confirmation_waiting '') $(value kilowg_configuration_held '') $(value kilowg_last_apply_success '')"
set_local mtu auto

# ---- no key, no rights ----

must mv "$T/nodes/a/kilowg/key" "$T/key.kept"
metrics_of a
is 'without the private key it works' "0 $(peer_field a 5 c)" \
	"$status $(value kilowg_peer_last_handshake_timestamp_seconds "$c")"
is 'and sees no drift for that' 0 "$(awk '/^kilowg_drift/ { n += $NF } END { print n }' "$T/metrics")"
run kwg a status
like 'status as well' "$T/out" '^mesh kilo, node a: leader of location:x$' '^drift: none$'
must cp "$T/keys/b" "$T/nodes/a/kilowg/key"
expect 1 'that of somebody else is refused as before' kwg a status
rm "$T/nodes/a/kilowg/key"
expect 1 'apply needs it' kwg a apply --dry-run
must mv "$T/key.kept" "$T/nodes/a/kilowg/key"
mesh_peer q "preshared-key-file = $T/psk" 'allowed-ip = 10.5.0.2/32'
(umask 077 && wg genpsk >"$T/psk")
must kwg a apply
must mv "$T/psk" "$T/psk.kept"
metrics_of a
is 'nor does a preshared key have to be readable' '0 0' "$status $(value kilowg_drift ',kind="peer"')"
must mv "$T/psk.kept" "$T/psk"

# ---- the file ----

must mkdir "$T/textfile"
expect 0 'into a file' kwg a metrics --output "$T/textfile/kilowg.prom"
is 'that all can read' 644 "$(stat -c %a "$T/textfile/kilowg.prom")"
like 'which has them' "$T/textfile/kilowg.prom" '^kilowg_up.mesh="kilo".* 1$'
is 'nothing is printed' '' "$(cat "$T/out")"
before=$(stat -c %i "$T/textfile/kilowg.prom")
exec 9<"$T/textfile/kilowg.prom"
must kwg a metrics --output "$T/textfile/kilowg.prom"
is 'it is replaced as a whole: who reads the old one reads it to its end' \
	"$before 1" "$(stat -Lc %i /proc/self/fd/9) $(grep -c '^kilowg_up{' <&9)"
exec 9<&-
is 'and nothing else is left there' kilowg.prom "$(ls -A "$T/textfile")"
expect 5 'a folder that is not there' kwg a metrics --output "$T/nowhere/kilowg.prom"
like 'is named' "$T/err" '^kilowg: .*/nowhere/kilowg\.prom: No such file or directory$'
must mkdir "$T/textfile/folder.prom"
expect 5 'a folder in the place of the file' kwg a metrics --output "$T/textfile/folder.prom"
is 'leaves nothing' 'folder.prom kilowg.prom' "$(ls -A "$T/textfile" | tr '\n' ' ' | sed 's/ $//')"

# ---- the form ----

metrics_of a
cp "$T/metrics" "$T/prometheus"
metrics_of a --openmetrics
like 'OpenMetrics' "$T/metrics" '^# TYPE kilowg_peer_receive_bytes counter$' '^# EOF$'
is 'has the same samples' "$(grep -v '^#' "$T/prometheus" | sed 's/ [0-9]*$//')" "$(grep -v '^#' "$T/metrics" | sed 's/ [0-9]*$//')"
if command -v promtool >/dev/null; then
	promtool_takes() { [ -z "$(promtool check metrics <"$T/prometheus" 2>&1)" ]; }
	check 'promtool finds nothing in it' promtool_takes
else
	skip 'promtool finds nothing in it' 'there is no promtool (Debian: prometheus)'
fi

# Each line: name, type, labels but mesh.
page() {
	sed -n 's/^\.It Va \(kilowg_[a-z_]*\) , No \([a-z]*\)\(.*\)$/\1 \2\3/p' "${top_srcdir:-$lib_dir/..}/man/kilowg-status.8" |
		sed 's/ Pq Sy / /'
}
page | cut -d ' ' -f 1-2 >"$T/page"
sed -n 's/^# TYPE //p' "$T/prometheus" >"$T/types"
same 'kilowg-status(8) has every metric with its type, and no other' "$T/types" "$T/page"
is 'and their labels' '' "$(awk 'NR == FNR { name = $1; $1 = $2 = ""; sub(/^ */, ""); want[name] = $0; next }
	/^#/ { next }
	{
		name = $0; sub(/{.*/, "", name)
		got = ""
		rest = $0
		sub(/^[^{]*{mesh="[^"]*"/, "", rest)
		while (match(rest, /^,[a-z_]*="[^"]*"/)) {
			word = substr(rest, 2, RLENGTH - 1)
			sub(/=.*/, "", word)
			got = got (got == "" ? "" : " ") word
			rest = substr(rest, RLENGTH + 1)
		}
		if (got != want[name]) print name ": page: " want[name] ", program: " got
	}' - "$T/prometheus" <<PAGE
$(page)
PAGE
)"

# ---- no interface ----

must kwg c down
metrics_of c
is 'without the interface there are metrics, too' '0 0 0' "$status $(value kilowg_up '') $(value kilowg_healthy '')"
is 'and its peer is missing' 1 "$(value kilowg_peer_state ',peer="location:x",location="x",state="missing"')"
finish
