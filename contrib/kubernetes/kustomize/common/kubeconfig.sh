# A kubeconfig that works before there are pod and service networks: the API server is the
# one that the node itself uses. The token is read from its file, since it is replaced.
set -eu
server=$(sed -n 's/^ *server: *//p' "$SERVER_FROM" | head -n 1)
[ -n "$server" ] || { echo "$SERVER_FROM has no server line" >&2; exit 1; }
account=/var/run/secrets/kubernetes.io/serviceaccount
cat >/run/kubeconfig/config <<EOF
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: $server
    certificate-authority: $account/ca.crt
users:
- name: kilowg
  user:
    tokenFile: $account/token
contexts:
- name: kilowg
  context:
    cluster: cluster
    user: kilowg
current-context: kilowg
EOF
