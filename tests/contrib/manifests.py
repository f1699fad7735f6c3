# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Checks manifests of contrib/kubernetes: the API's field names and types, and our own rules.

    manifests.py FIELDS FILE...      prints a line per fault; exit status 1 if there is one
    manifests.py --kubectl FILE...   the same for fields that kubectl's own types do not have
    manifests.py --script FILE NAME  prints a script of the ConfigMap, or "label": the inline one
"""
import re
import subprocess
import sys

import yaml


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Refuses keys that stand twice, of which YAML would keep the last."""

    def construct_mapping(self, node, deep=False):
        keys = [k.value for k, _ in node.value]
        for k in keys:
            if keys.count(k) > 1:
                raise yaml.YAMLError("key %s stands twice, line %d" % (k, node.start_mark.line + 1))
        return super().construct_mapping(node, deep)


def read_fields(path):
    table = {}
    for line in open(path):
        if not line.startswith("#"):
            kind, field, typ = line.rstrip("\n").split("\t")
            table.setdefault(kind, {})[field] = typ
    return table


SCALARS = {"str": str, "int": int, "bool": bool, "object": object}


class Checker:
    def __init__(self, table):
        self.table = table
        self.faults = []

    def fault(self, where, text):
        self.faults.append("%s: %s" % (where, text))

    # ---- the API's fields ----

    def value(self, where, typ, v):
        if typ == "-":
            self.fault(where, "is not in the table of fields")
        elif typ[0] in "[{":
            want, items = (list, enumerate) if typ[0] == "[" else (dict, dict.items)
            if not isinstance(v, want):
                self.fault(where, "is no %s" % want.__name__)
                return
            for k, item in items(v):
                self.value("%s[%s]" % (where, k), typ[1:-1], item)
        elif typ in SCALARS:
            if not isinstance(v, SCALARS[typ]) or (typ == "int" and isinstance(v, bool)):
                self.fault(where, "%r is no %s" % (v, typ))
        elif not isinstance(v, dict):
            self.fault(where, "is no %s" % typ)
        else:
            for k, item in v.items():
                if k in self.table[typ]:
                    self.value("%s.%s" % (where, k), self.table[typ][k], item)
                else:
                    self.fault(where, "%s has no field %s" % (typ, k))

    # ---- our rules ----

    def container(self, where, c):
        s = c.get("securityContext", {})
        wanted = {"privileged": False, "allowPrivilegeEscalation": False,
                  "readOnlyRootFilesystem": True, "seccompProfile": {"type": "RuntimeDefault"}}
        for k, v in wanted.items():
            if s.get(k) != v:
                self.fault(where, "securityContext.%s is %r, not %r" % (k, s.get(k), v))
        caps = s.get("capabilities", {})
        if caps.get("drop") != ["ALL"] or set(caps.get("add", [])) - {"NET_ADMIN"}:
            self.fault(where, "more capabilities than NET_ADMIN")
        r = c.get("resources", {})
        if not {"cpu", "memory"} <= set(r.get("requests", {})) or "memory" not in r.get("limits", {}):
            self.fault(where, "requests of cpu and memory, or the limit of memory, are missing")
        if ":" not in c["image"] or c["image"].endswith(":latest"):
            self.fault(where, "the image has no version")

    def mounts(self, where, spec):
        volumes = {v["name"] for v in spec["volumes"]}
        used = set()
        for c in spec["initContainers"] + spec["containers"]:
            paths = [m["mountPath"] for m in c["volumeMounts"]]
            if len(set(paths)) != len(paths):
                self.fault(where, "%s mounts twice at one place" % c["name"])
            used |= {m["name"] for m in c["volumeMounts"]}
        for name in used ^ volumes:
            self.fault(where, "volume %s is not there, or not used" % name)
        for v in spec["volumes"]:
            path = v.get("hostPath", {}).get("path", "")
            if path in ("/", "/etc", "/var", "/run", "/dev", "/proc", "/sys", "/var/lib"):
                self.fault(where, "the whole of %s is mounted" % path)
            if path == "/dev/net/tun" and v["hostPath"].get("type") != "CharDevice":
                self.fault(where, "/dev/net/tun is no CharDevice")
            if "hostPath" in v and "type" not in v["hostPath"]:
                self.fault(where, "hostPath %s has no type" % path)

    def files(self, where, spec):
        """What programs read and write is mounted, and where all of them expect it."""
        for c in spec["initContainers"] + spec["containers"]:
            at = {m["mountPath"]: m for m in c["volumeMounts"]}
            names = {m["name"]: m["mountPath"] for m in c["volumeMounts"]}
            env = {e["name"]: e.get("value", "") for e in c.get("env", [])}
            file = env.get("SERVER_FROM")
            folder, name = (file or "/").rsplit("/", 1)
            items = {i["path"] for v in spec["volumes"] if at.get(folder, {}).get("name") == v["name"]
                     for i in v.get("configMap", {}).get("items", [])}
            if file and file not in at and name not in items:
                self.fault(where, "%s is not mounted" % file)
            if "KUBECONFIG" in env and env["KUBECONFIG"] != names.get("kubeconfig", "") + "/config":
                self.fault(where, "KUBECONFIG is not what kubeconfig.sh writes")
            if names.get("wireguard", "/var/run/wireguard") != "/var/run/wireguard":
                self.fault(where, "sockets are in /var/run/wireguard")
            if c.get("command") == ["kilowg-agent"]:
                for path in ("/run/kilowg", "/var/lib/kilowg", "/etc/cni/net.d", "/tmp"):
                    if at.get(path, {"readOnly": True}).get("readOnly"):
                        self.fault(where, "kilowg cannot write to %s" % path)

    def local(self, where, spec, objects):
        """[local] is right for such nodes."""
        for v in spec["volumes"]:
            if v["name"] != "config":
                continue
            ini = objects[("ConfigMap", "kilowg")]["data"].get(v["configMap"]["items"][0]["key"], "")
            planes = [c for c in spec["containers"] if c["name"] == "wireguard"]
            if bool(planes) != ("\ncreate-interface = no\n" in ini):
                self.fault(where, "create-interface = no is for a container of its own")
            for c in planes:
                if "\ninterface = %s\n" % (c.get("args") or c["command"])[-1] not in ini:
                    self.fault(where, "another interface than that of [local]")
            label = spec["nodeSelector"].get("nkml.squat.ai/wireguard")
            if label and label != ("true" if "\nbackend = kernel\n" in ini else "false"):
                self.fault(where, "for nodes with the label %s" % label)

    def daemonset(self, where, d, objects):
        spec = d["spec"]["template"]["spec"]
        if d["spec"]["selector"]["matchLabels"] != d["spec"]["template"]["metadata"]["labels"]:
            self.fault(where, "the selector is not what its pods have")
        if spec.get("hostNetwork") is not True or spec.get("dnsPolicy") != "Default":
            self.fault(where, "needs hostNetwork, and the node's DNS")
        for k in ("hostPID", "hostIPC", "shareProcessNamespace"):
            if spec.get(k):
                self.fault(where, "%s is not needed" % k)
        effects = {t["effect"] for t in spec["tolerations"] if t["operator"] == "Exists" and "key" not in t}
        if effects != {"NoSchedule", "NoExecute"}:
            self.fault(where, "does not tolerate a node without network")
        if "updateStrategy" not in d["spec"]:
            self.fault(where, "has no updateStrategy")
        for c in spec["initContainers"] + spec["containers"]:
            self.container("%s/%s" % (where, c["name"]), c)
        self.mounts(where, spec)
        self.files(where, spec)
        self.local(where, spec, objects)
        if ("ServiceAccount", spec["serviceAccountName"]) not in objects:
            self.fault(where, "its service account is not in the file")
        for v in spec["volumes"]:
            m = v.get("configMap")
            if m and m["name"] != "kube-proxy":     # kubeadm's own
                data = objects[("ConfigMap", m["name"])]["data"]
                for item in m.get("items", []):
                    if item["key"] not in data:
                        self.fault(where, "%s is not in ConfigMap %s" % (item["key"], m["name"]))

    def rights(self, where, role):
        most = {("", "nodes"): {"get", "list", "watch", "patch"},
                ("kilo.squat.ai", "peers"): {"get", "list", "watch"}}
        for r in role["rules"]:
            for g in r["apiGroups"]:
                for res in r["resources"]:
                    if set(r["verbs"]) - most.get((g, res), set()):
                        self.fault(where, "more rights than needed: %s %s" % (res, r["verbs"]))

    def file(self, path):
        name = path.rsplit("/", 1)[-1]
        try:
            docs = list(yaml.load_all(open(path), Loader))
        except yaml.YAMLError as e:
            self.fault(name, str(e))
            return
        objects = {(d["kind"], d["metadata"]["name"]): d for d in docs}
        if len(objects) != len(docs):
            self.fault(name, "an object stands twice")
        versions = {"DaemonSet": "apps/v1", "ClusterRole": "rbac.authorization.k8s.io/v1",
                    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
                    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
                    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1"}
        for (kind, oname), d in objects.items():
            where = "%s: %s/%s" % (name, kind, oname)
            self.value(where, kind, d)
            if self.faults:
                continue
            if d["apiVersion"] != versions.get(kind, "v1"):
                self.fault(where, "apiVersion %s" % d["apiVersion"])
            if kind == "DaemonSet":
                self.daemonset(where, d, objects)
            if kind == "ClusterRole":
                self.rights(where, d)


def script(path, name):
    for d in yaml.safe_load_all(open(path)):
        if d["kind"] == "ConfigMap" and name in d["data"]:
            return d["data"][name]
        if d["kind"] == "DaemonSet" and name == "label" and d["metadata"]["name"] == "kilowg-label":
            return d["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return ""


def lost(a, b, where):
    """What of a is not, or not the same, in b."""
    if isinstance(a, dict):
        return [f for k, v in a.items() for f in
                (lost(v, b[k], "%s.%s" % (where, k)) if k in b else ["%s.%s is lost" % (where, k)])]
    if isinstance(a, list):
        if len(a) > len(b):
            return ["%s is shorter" % where]
        return [f for i, v in enumerate(a) for f in lost(v, b[i], "%s[%d]" % (where, i))]
    return [] if a == b else ["%s: %r is %r" % (where, a, b)]


def kubectl(paths):
    """Through kubectl's types, which drop what they do not know."""
    sets = [(path, d) for path in paths for d in yaml.load_all(open(path), Loader) if d["kind"] == "DaemonSet"]
    out = subprocess.run(["kubectl", "set", "env", "--local", "-f", "-", "-o", "yaml", "X=1"],
                         input=yaml.dump_all(d for _, d in sets), capture_output=True, text=True)
    if out.returncode:
        return [out.stderr]
    made = [d for doc in yaml.load_all(out.stdout, Loader) for d in doc.get("items", [doc])]
    if len(made) != len(sets):
        return [f"kubectl has made {len(made)} of {len(sets)}"]
    return [f for (path, d), m in zip(sets, made) for f in lost(d, m, path)]


def main():
    if sys.argv[1] == "--kubectl":
        faults = kubectl(sys.argv[2:])
        print("\n".join(faults))
        return 1 if faults else 0
    if sys.argv[1] == "--script":
        sys.stdout.write(script(sys.argv[2], sys.argv[3]))
        return 0
    c = Checker(read_fields(sys.argv[1]))
    for f in sys.argv[2:]:
        c.file(f)
    for f in c.faults:
        print(re.sub(r"\s+", " ", f))
    return 1 if c.faults else 0


sys.exit(main())
