#!/bin/sh
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
#
# The manifests of contrib/kubernetes: written by "generate", fields as in the API,
# no more rights than needed, and the scripts in them.

# shellcheck disable=SC2034,SC2154,SC3043
# shellcheck source=tests/lib.sh
. "$(dirname -- "$0")/../lib.sh"

top=${top_srcdir:-$lib_dir/..}
manifests=$top/contrib/kubernetes/manifests
tests=$top/tests/contrib
T=$(mktemp -d) || bail 'mktemp fails'
trap 'rm -rf "$T"' EXIT
python=
for p in python3 /usr/bin/python3; do
	# Itself: a wrapper that looks for it each time takes longer than the test.
	python=$("$p" -c 'import sys, yaml; print(sys.executable)' 2>/dev/null) && break
done
[ -n "$python" ] || cannot 'there is no python3 with yaml'

faults() { "$python" "$tests/manifests.py" "$tests/kubernetes-fields" "$@"; }
script() { "$python" "$tests/manifests.py" --script "$@"; }

mkdir "$T/new"
check 'generate runs' "$manifests/generate" "$T/new"
for f in "$T/new"/*.yaml; do
	same "${f##*/} is what generate writes" "$f" "$manifests/${f##*/}"
done
is 'and no other is there' "$(cd "$T/new" && ls)" "$(cd "$manifests" && ls -- *.yaml)"
check 'all are fit for the API, and have no more rights than needed' faults "$manifests"/*.yaml

# Policies. What they deny, an API server alone can tell, and there is none here.
policies=$top/contrib/kubernetes/policies
check 'the policies are fit for the API' faults "$policies"/*.yaml
sed 's/matchConditions:/matchCondition:/' "$policies/own-node.yaml" >"$T/policy.yaml"
check 'a field that is none would be found in them' gone faults "$T/policy.yaml"
is 'an agent may write the annotations that kilowg-publish writes' \
	"$(sed -n '/^if \[ "$withdraw" = yes \]/,/^fi/p' "$top/contrib/kubernetes/kilowg-publish" |
		grep -oE '"[a-z-]+"' | grep -v '^"kilo' | tr -d '"' | sort)" \
	"$(sed -n '/name: ownNotes/,/validations:/p' "$policies/own-node.yaml" | grep -oE 'kilo.squat.ai/[a-z-]+' |
		sed 's|.*/||' | sort)"
is 'and the accounts are those of the manifests' 'kilowg kilowg-label' "$(sed -n 's/^  serviceAccountName: //p; s/^ *serviceAccountName: //p' \
	"$manifests"/*.yaml | sort -u | paste -s -d ' ' -)"

if kubectl version --client >/dev/null 2>&1; then
	check 'kubectl knows all their fields' "$python" "$tests/manifests.py" --kubectl "$manifests"/*.yaml
	sed 's/hostNetwork:/hostNetworks:/' "$manifests/k3s-auto.yaml" >"$T/bad.yaml"
	check 'and not others' gone "$python" "$tests/manifests.py" --kubectl "$T/bad.yaml"
	for f in "$manifests"/*.yaml; do
		f=${f##*/} f=${f%.yaml}
		check "kubectl apply -k kustomize/${f%%-*}/${f#*-} makes the same" \
			"$python" "$tests/rendered.py" "$manifests/$f.yaml" "$manifests/../kustomize/${f%%-*}/${f#*-}"
	done
else
	skip 'kubectl knows all their fields' 'there is no kubectl'
fi

# Images, and what they are built from.
file=$top/contrib/container/Containerfile
version=$(sed -n 's/^AC_INIT(\[kilowg\], \[\([^]]*\)\].*/\1/p' "$top/configure.ac")
is 'the manifests want the image of this version' "kilowg:$version" \
	"$(grep -hoE 'image: kilowg:.*' "$manifests"/*.yaml | sort -u | sed 's/image: //')"
check 'the Containerfile builds it' grep -q " kilowg:$version " "$file"
sources() { grep '^COPY [^-]' "$file" | sed 's/^COPY //; s/ [^ ]*$//' | tr ' ' '\n'; }
check 'and it takes all that is there' test -z "$(cd "$top" && for f in $(sources); do [ -e "$f" ] || echo "$f"; done)"

# Samples for Butane.
is 'the samples for Butane are YAML, with a unit each that starts kilowg' 'flatcar fcos ' \
	"$("$python" -c 'import sys, yaml
for f in sys.argv[1:]:
    d = yaml.safe_load(open(f))
    assert any("start --no-block kilowg.service" in u.get("contents", "") for u in d["systemd"]["units"])
    print(d["variant"], end=" ")' "$top/contrib/immutable/flatcar.bu" "$top/contrib/immutable/fedora-coreos.bu")"

# TEXT SED PATTERN: such a change of a manifest is found, with such a message.
found() {
	sed "$2" "$manifests/k3s-heterogeneous.yaml" >"$T/bad.yaml"
	! cmp -s "$T/bad.yaml" "$manifests/k3s-heterogeneous.yaml" || bail "nothing to change: $1"
	faults "$T/bad.yaml" >"$T/faults" && fail "found: $1" && return
	like "found: $1" "$T/faults" "$3"
}
found 'a misspelt field' 's/hostNetwork:/hostNetworks:/' 'no field hostNetworks'
found 'a field in the wrong place' 's/dnsPolicy: Default/readOnlyRootFilesystem: true/' 'PodSpec has no field readOnly'
found 'text for a number' 's/periodSeconds: 15/periodSeconds: "15"/' 'is no int'
found 'privileged' 's/privileged: false/privileged: true/' 'privileged is True'
found 'another capability' 's/add: \[NET_ADMIN\]/add: [NET_ADMIN, SYS_ADMIN]/' 'more capabilities'
found 'a writable root' 's/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/' 'readOnlyRootFilesystem'
found 'no resources' '/requests: {cpu: 50m, memory: 32Mi}/d' 'requests of cpu'
found 'a right too much' 's/verbs: \[get, patch\]/verbs: [get, patch, delete]/' 'more rights'
found 'rights on secrets' 's/resources: \[peers\]/resources: [secrets]/' 'more rights'
found 'a volume that is not there' 's/{name: tun, mountPath/{name: tum, mountPath/' 'volume tu[nm]'
found 'no toleration' '/effect: NoExecute/d' 'does not tolerate'
found 'a key that is in no ConfigMap' 's/{key: kernel.ini/{key: kernal.ini/' 'kernal.ini is not in'

found 'another folder of keys' 's|mountPath: /var/lib/kilowg}|mountPath: /var/lib/kilo}|' 'cannot write to /var/lib/kilowg'
found 'a CNI folder that cannot be written' 's|mountPath: /etc/cni/net.d}|mountPath: /etc/cni/net.d, readOnly: true}|' 'cannot write to /etc/cni'
found 'another kubeconfig' 's|value: /run/kubeconfig/config|value: /run/kubeconfig|' 'not what kubeconfig.sh writes'
found 'a server file that is not mounted' 's|value: /var/lib/rancher/k3s|value: /var/lib/rancher/rke2|' 'is not mounted'
found 'another folder of sockets' 's|wireguard, mountPath: /var/run/wireguard}|wireguard, mountPath: /run/wg}|' 'sockets are in'
found 'an interface made twice' 's/create-interface = no/create-interface = yes/' 'container of its own'
found 'another interface' 's/--foreground, kilo0/--foreground, kilo1/' 'another interface'
found 'the wrong nodes' 's|wireguard: "true"|wireguard: "false"|' 'with the label false'

# Variables and probes that the agent knows.
agent=$top/contrib/kubernetes/kilowg-agent
is 'variables are those of the agent' '' "$(grep -ohE 'KILOWG_[A-Z_]+' "$manifests"/*.yaml | sort -u |
	while read -r v; do grep -qF "{$v:-" "$agent" || echo "$v"; done)"
grep -ohE 'command: \[kilowg-agent, .*\]' "$manifests"/*.yaml | sort -u | sed 's/.*kilowg-agent, //; s/[],]//g' >"$T/probes"
is 'probes' '--probe alive --probe ready' "$(paste -s -d ' ' "$T/probes")"
while read -r o; do
	# shellcheck disable=SC2086  # words
	expect 3 "$o is one of the agent's" "$agent" $o --run-dir "$T/none"
done <"$T/probes"

# [local] of each kind of node, with the smallest mesh.
key=$("$KILOWG" genkey | "$KILOWG" pubkey)
printf '[mesh]\nformat = 1\n[node]\nname = a\nendpoint = 203.0.113.1:51820\npublic-key = %s\npod-cidr = 10.2.1.0/24\n' "$key" >"$T/mesh.ini"
for k in k3s-auto/auto k3s-userspace/userspace k3s-heterogeneous/kernel; do
	script "$manifests/${k%/*}.yaml" "${k#*/}.ini" >"$T/local.ini"
	expect 0 "${k#*/}.ini is a configuration" "$KILOWG" -f "$T/mesh.ini" -f "$T/local.ini" --node a plan
	like "${k#*/}.ini: with the pods' network" "$T/out" '^cni /etc/cni/net.d/10-kilo.conflist 10.2.1.0/24'
done

# The scripts in them, for each shell that is here.
script "$manifests/k3s-heterogeneous.yaml" kubeconfig.sh >"$T/kubeconfig.sh"
script "$manifests/k3s-heterogeneous.yaml" cni.sh >"$T/cni.sh"
script "$manifests/k3s-heterogeneous.yaml" label >"$T/label.sh"
for s in kubeconfig cni label; do
	check "$s.sh is there" test -s "$T/$s.sh"
	if command -v shellcheck >/dev/null; then
		check "shellcheck $s.sh" shellcheck -s sh -e SC2012,SC2016 "$T/$s.sh"
	else
		skip "shellcheck $s.sh" 'there is no shellcheck'
	fi
done

# label.sh, in which kilowg-label fails, and is then well.
mkdir -p "$T/path"
sleeps() { [ "$(pgrep -P "$pid" -a sleep | cut -d ' ' -f 2-)" = "sleep $1" ]; }
for status in 1 0; do
	printf '#!/bin/sh\nexit %s\n' $status >"$T/path/kilowg-label"
	chmod +x "$T/path/kilowg-label"
	PATH=$T/path:$PATH sh "$T/label.sh" &
	pid=$!
	check "label.sh: the time to the next look after exit status $status" wait_for 10 sleeps $((status ? 10 : 300))
	nap=$(pgrep -P $pid sleep)
	kill -TERM $pid
	wait $pid
	is 'it ends when told' 0 $?
	kill "$nap"
done

# The places in the container.
mkdir -p "$T/run" "$T/bin" "$T/cni"
sed -i "s|/run/kubeconfig/|$T/run/|" "$T/kubeconfig.sh"
sed -i "s|/host/|$T/host/|g; s|/usr/lib/cni|$T/cni|g" "$T/cni.sh"
for p in bridge host-local loopback portmap; do echo "new $p" >"$T/cni/$p"; done
export SERVER_FROM

# SHELL...
scripts() {
	SERVER_FROM=$T/from
	printf 'apiVersion: v1\nclusters:\n- cluster:\n    server: https://127.0.0.1:6444\n    certificate-authority: /x\n' >"$T/from"
	rm -rf "$T/run/config" "$T/host"
	expect 0 "$*: kubeconfig.sh" "$@" "$T/kubeconfig.sh"
	is "$*: its cluster has a name and the node's server, and the token a file" \
		'cluster https://127.0.0.1:6444 cluster /var/run/secrets/kubernetes.io/serviceaccount/token' \
		"$("$python" -c 'import sys, yaml
c = yaml.safe_load(open(sys.argv[1]))
print(c["clusters"][0]["name"], c["clusters"][0]["cluster"]["server"],
      c["contexts"][0]["context"]["cluster"], c["users"][0]["user"]["tokenFile"])' "$T/run/config")"
	echo 'apiVersion: v1' >"$T/from"
	expect 1 "$*: without a server it fails" "$@" "$T/kubeconfig.sh"
	like "$*: and says so" "$T/err" 'no server line'

	mkdir -p "$T/host/opt/cni/bin" "$T/host/etc/cni/net.d"
	echo old >"$T/host/opt/cni/bin/bridge"
	echo '{}' >"$T/host/etc/cni/net.d/05-other.conflist"
	expect 0 "$*: cni.sh" "$@" "$T/cni.sh"
	like "$*: says what comes first" "$T/err" '05-other.conflist .* comes before'
	is "$*: plugins that were there stay" 'old new portmap' \
		"$(cat "$T/host/opt/cni/bin/bridge" "$T/host/opt/cni/bin/portmap" | tr '\n' ' ' | sed 's/ $//')"
	mv "$T/host/etc/cni/net.d/05-other.conflist" "$T/host/etc/cni/net.d/20-other.conflist"
	expect 0 "$*: cni.sh again" "$@" "$T/cni.sh"
	is "$*: which has nothing to say" '' "$(cat "$T/err")"
}

for shell in dash 'busybox ash' sh; do
	# shellcheck disable=SC2086  # words
	! command -v ${shell%% *} >/dev/null || scripts $shell
done
finish
