#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# contrib/monitoring against what kilowg metrics prints, and both against a real Prometheus: three
# hosts, one of which has a peer that does not answer, a change that waits and a network that is left
# out, one drift and held files. Each query of the dashboard has an answer, and the alerts are those that are due.

# shellcheck disable=SC2119,SC2317
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg ping jq
choose_backend
folder=${top_srcdir:-$lib_dir/..}/contrib/monitoring
three_nodes
mesh_drop q
daemons a b c
must apply_all a b c
check 'packets get through' reaches a.pod 10.2.3.2
set_local mtu 1400
must kwg a apply --confirm 3600
must kwg b apply
must kwg c apply --confirm 3600
must kwg c rollback
must on c ip route del 10.2.1.0/24
must on a ip route add 10.2.3.0/25 dev lan0
must mkdir "$T/web"
collect() {
	local node
	for node in a b c; do
		kwg "$node" metrics --output "$T/web/$node.prom" || return 1
	done
	kwg a metrics --openmetrics --output "$T/web/open.metrics"
}
must collect

# ---- names ----

sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$T/web/a.prom" | sort >"$T/known"
# In expressions only: file names and the like begin with kilowg, too.
jq -r '.. | (.expr? // empty), (.definition? // empty)' "$folder/kilowg-dashboard.json" >"$T/queries"
sed -n 's/^ *expr: //p' "$folder/kilowg.rules.yml" >"$T/rules"
names() { grep -oE 'kilowg_[a-z_]+' "$1" | sort -u; }
unknown() { names "$1" | grep -vxFf "$T/known"; }
is 'the dashboard has no metric that kilowg does not print' '' "$(unknown "$T/queries")"
is 'nor have the alerts' '' "$(unknown "$T/rules")"
is 'nor their tests' '' "$(sed -n 's/^ *- series: //p' "$folder/kilowg.test.yml" >"$T/series"; unknown "$T/series")"
# But for details of a peer that others are joined with, and figures for looking up.
is 'and all are in one of the two' 'kilowg_last_apply_info kilowg_listen_port kilowg_peer_endpoint_known kilowg_peer_info kilowg_worker_receive_bytes_total kilowg_worker_transmit_bytes_total' \
	"$(cat "$T/queries" "$T/rules" >"$T/both"; names "$T/both" | grep -vxFf - "$T/known" | tr '\n' ' ' | sed 's/ $//')"
is 'each panel has its own number and place' '' "$(jq -r '.panels[] | .id, "\(.gridPos.x) \(.gridPos.y)"' "$folder/kilowg-dashboard.json" | sort | uniq -d)"
sed -n 's/^ *- alert: //p' "$folder/kilowg.rules.yml" | sort >"$T/alerts"
sed -n 's/^    \(Kilowg[A-Za-z]*\) .*/\1/p' "$folder/README" | sort >"$T/page"
same 'README names all alerts, and no other' "$T/alerts" "$T/page"
sed -n 's/^ *alertname: //p' "$folder/kilowg.test.yml" | sort -u >"$T/page"
same 'each is tested' "$T/alerts" "$T/page"
# What an alert advises is something that the program knows.
grep -oE '\\"kilowg [a-z]+' "$folder/kilowg.rules.yml" | sed 's/.* //' | sort -u >"$T/advice"
is 'they advise what the program knows' '' "$("$KILOWG" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -vxFf - "$T/advice")"

# ---- promtool ----

if command -v promtool >/dev/null; then
	check 'promtool takes the alerts' promtool check rules "$folder/kilowg.rules.yml"
	check 'and they pass their tests' promtool test rules "$folder/kilowg.test.yml"
else
	skip 'promtool takes the alerts' 'there is no promtool (Debian: prometheus)'
fi

# ---- a real one ----

command -v prometheus >/dev/null || { skip 'a real Prometheus' 'there is no prometheus'; finish; }
command -v python3 >/dev/null || { skip 'a real Prometheus' 'there is no python3'; finish; }
must ip link set lo up
cat >"$T/serve.py" <<'PY'
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {".prom": "text/plain; version=0.0.4",
                      ".metrics": "application/openmetrics-text; version=1.0.0", "": "text/plain"}
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), functools.partial(Handler, directory=sys.argv[1])).serve_forever()
PY
cat >"$T/ask.py" <<'PY'
import json, sys, urllib.parse, urllib.request
path = "http://127.0.0.1:9090/api/v1/" + sys.argv[1]
if len(sys.argv) > 2:
    path += "?" + urllib.parse.urlencode({"query": sys.argv[2]})
try:
    print(json.dumps(json.load(urllib.request.urlopen(path, timeout=10))))
except urllib.error.HTTPError as e:
    print(e.read().decode())
    sys.exit(1)
PY
# One minute of the alerts is one second here.
sed 's/^\( *for: [0-9]*\)[mh]$/\1s/' "$folder/kilowg.rules.yml" >"$T/kilowg.rules.yml"
cat >"$T/prometheus.yml" <<'YML'
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [ kilowg.rules.yml ]
scrape_configs:
  - job_name: textfile
    static_configs:
      - targets: [ "127.0.0.1:8000" ]
        labels: { __metrics_path__: /a.prom, instance: a }
      - targets: [ "127.0.0.1:8000" ]
        labels: { __metrics_path__: /b.prom, instance: b }
      - targets: [ "127.0.0.1:8000" ]
        labels: { __metrics_path__: /c.prom, instance: c }
  - job_name: openmetrics
    static_configs:
      - targets: [ "127.0.0.1:8000" ]
        labels: { __metrics_path__: /open.metrics, instance: open }
YML
python3 "$T/serve.py" "$T/web" >"$T/serve.log" 2>&1 &
prometheus --config.file="$T/prometheus.yml" --storage.tsdb.path="$T/tsdb" \
	--web.listen-address=127.0.0.1:9090 >"$T/prometheus.log" 2>&1 &
ask() { python3 "$T/ask.py" "$@" 2>/dev/null; }
# QUERY: how many results it has.
results() { ask query "$1" | jq -r '.data.result | length'; }
scraped() { [ "$(results 'up == 1')" = 4 ]; }
if ! wait_for 60 scraped; then
	fail 'Prometheus takes all of it, in both formats'
	ask targets | jq -r '.data.activeTargets[].lastError' | sed 's/^/# /'
	show "$T/prometheus.log"
	finish
fi
pass 'Prometheus takes all of it, in both formats'
is 'a counter of OpenMetrics has its name' 1 "$(results 'kilowg_peer_receive_bytes_total{instance="open",peer="location:y"}')"
is 'and a type' counter "$(ask metadata | jq -r '.data.kilowg_peer_receive_bytes_total[0].type')"
two_samples() { [ "$(results 'rate(kilowg_peer_receive_bytes_total[1m])')" -ge 4 ]; }
check 'bytes have a rate' wait_for 30 two_samples

# Only kilowg-userspace tells of its workers.
others=kilowg_worker
[ "$backend" != userspace ] || others=label_values
grep -v -e label_values -e "$others" "$T/queries" | sort -u |
	sed 's/\$mesh/.*/g; s/\$instance/.*/g; s/\$__rate_interval/1m/g' >"$T/expressions"
is 'no variable of the dashboard is left' '' "$(grep '\$' "$T/expressions")"
asked=0 empty=''
while read -r query; do
	asked=$((asked + 1))
	n=$(results "$query")
	case $n in '' | null | 0) empty="$empty$query: ${n:-no answer}
" ;; esac
done <"$T/expressions"
is "each of the $asked queries has an answer" '' "$empty"

firing() { ask alerts | jq -r '.data.alerts[] | select(.state == "firing" and .labels.instance != "open") | "\(.labels.alertname) \(.labels.instance)"' | sort | tr '\n' ' ' | sed 's/ $//'; }
due='KilowgApplyFailed c KilowgConfigurationHeld c KilowgDrift c KilowgLeftOut a KilowgPeerUnanswered a KilowgPeerUnanswered c KilowgUnhealthy a KilowgUnhealthy c'
all_fire() { [ "$(firing)" = "$due" ]; }
wait_for 60 all_fire
is 'the alerts are those that are due' "$due" "$(firing)"
finish
