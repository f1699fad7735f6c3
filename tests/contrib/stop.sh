#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# kilowg-agent is told to end at each of its forks, where a shell does not yet
# know the number of what it has begun: nothing of it may be left, neither on the
# host nor in the cluster. From its start to the rest after the first rounds.

# shellcheck disable=SC2034,SC2086,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"
enter "$@"
need wg jq awk od timeout pgrep python3
can_strace || cannot 'strace does not work here'
choose_backend
kubernetes_start

bridge_add wan
node_add a
plug a wan0 wan 203.0.113.1/24
local_ini
jq -n '{apiVersion: "v1", kind: "Node", metadata: {name: "a", annotations: {"other.example/x": "kept"}},
	spec: {podCIDR: "10.42.1.0/24"}, status: {addresses: [{type: "InternalIP", address: "203.0.113.1"}]}}' \
	>$T/object
must kubectl create node a $T/object
cp $T/local.ini $T/nodes/a/kilowg/local.ini

# N: told to end at its fork number N. Fails with 137 if it does not get that far.
agent_stopped_at() {
	NODE_NAME=a on a timeout -s KILL 60 strace -o $T/strace -e trace=clone,clone3,fork \
		-e inject=clone,clone3,fork:signal=TERM:when=$1 \
		$shell "$source/contrib/kubernetes/kilowg-agent" --watch no --interval 60 --max-age 90 \
		--clean-up yes --save none -v >$T/a.log 2>&1
}
left_behind() {
	pgrep -af 'kilowg-(agent|api|publish|render|label)|kilowg .*(apply|facts|check)'
	ls -A $T/nodes/a/kilowg/agent
	on a ip -brief link show kilo0 2>/dev/null
	jq -r '.metadata.annotations | keys[] | select(startswith("kilo"))' $T/api/nodes/a
}

# Before there is anything to take back, a signal ends it as it ends any process.
fork=0 status=143
while [ $status = 143 ]; do
	fork=$((fork + 1))
	agent_stopped_at $fork
	status=$?
done
first=$fork
while [ $status != 137 ]; do
	is "told to end at fork $fork: it does" 0 $status
	left_behind >$T/left
	is "fork $fork: nothing is left" '' "$(cat $T/left)"
	if [ -s $T/left ]; then
		show $T/a.log
		show $T/strace
	fi
	[ $fork -lt 200 ] || bail 'it never comes to rest'
	fork=$((fork + 1))
	agent_stopped_at $fork
	status=$?
done
say "it came to rest after $((fork - first)) forks"
check 'there were rounds enough' grep -q 'changes on this host' $T/a.log
check 'and forks' [ $((fork - first)) -ge 20 ]
finish
