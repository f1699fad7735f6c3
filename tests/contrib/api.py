#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
#
# The least of a Kubernetes API server that kubectl needs to list, watch and patch
# nodes and Kilo's peers: tests/contrib/api.py FILE PORT-FILE. FILE is what "kubectl
# get nodes,peers.kilo.squat.ai -o json" has printed. Without TLS, on 127.0.0.1.
import json
import queue
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = {"nodes": ("/api/v1", "v1", "Node"),
         "peers": ("/apis/kilo.squat.ai/v1alpha1", "kilo.squat.ai/v1alpha1", "Peer")}
RESOURCES = {
    "nodes": {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node",
              "verbs": ["get", "list", "patch", "watch"], "shortNames": ["no"]},
    "peers": {"name": "peers", "singularName": "peer", "namespaced": False, "kind": "Peer",
              "verbs": ["get", "list", "patch", "watch"]}}

lock = threading.Lock()
version = 100
store = {"nodes": {}, "peers": {}}
watchers = {"nodes": [], "peers": []}


def put(kind, name, obj, event):
    global version
    version += 1
    obj["metadata"]["resourceVersion"] = str(version)
    store[kind][name] = obj
    for q in watchers[kind]:
        q.put({"type": event, "object": obj})


def merged(old, patch):  # RFC 7396
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for k, v in patch.items():
        if v is None:
            new.pop(k, None)
        else:
            new[k] = merged(new.get(k), v)
    return new


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        print(self.command, self.path, self.headers.get("Content-Type", ""), file=sys.stderr, flush=True)

    def answer(self, obj, status=200):
        body = json.dumps(obj).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, reason, text):
        self.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                     "message": text, "reason": reason, "code": status}, status)

    def discovery(self, path):
        group = {"name": "kilo.squat.ai", "versions": [
            {"groupVersion": "kilo.squat.ai/v1alpha1", "version": "v1alpha1"}],
            "preferredVersion": {"groupVersion": "kilo.squat.ai/v1alpha1", "version": "v1alpha1"}}
        return {
            "/version": {"major": "1", "minor": "30", "gitVersion": "v1.30.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1",
                        "resources": [RESOURCES["nodes"]]},
            "/apis/kilo.squat.ai/v1alpha1": {
                "kind": "APIResourceList", "apiVersion": "v1",
                "groupVersion": "kilo.squat.ai/v1alpha1", "resources": [RESOURCES["peers"]]},
        }.get(path)

    def target(self):
        path, _, query = self.path.partition("?")
        for kind, (prefix, _, _) in KINDS.items():
            m = re.fullmatch(re.escape(prefix) + "/" + kind + "(?:/([^/]+))?", path)
            if m:
                return kind, m.group(1), query
        return None, None, query

    def do_GET(self):
        found = self.discovery(self.path.partition("?")[0])
        if found:
            return self.answer(found)
        kind, name, query = self.target()
        if not kind:
            return self.fail(404, "NotFound", "the server could not find the requested resource")
        if name:
            with lock:
                obj = store[kind].get(name)
            if not obj:
                return self.fail(404, "NotFound", f'{kind} "{name}" not found')
            return self.answer(obj)
        if "watch=" in query:
            return self.watch(kind)
        with lock:
            items = list(store[kind].values())
            at = str(version)
        return self.answer({"kind": KINDS[kind][2] + "List", "apiVersion": KINDS[kind][1],
                            "metadata": {"resourceVersion": at}, "items": items})

    def watch(self, kind):
        q = queue.Queue()
        since = int(re.search(r"resourceVersion=(\d+)|$", self.path).group(1) or 0)
        with lock:
            for obj in store[kind].values():
                if int(obj["metadata"].get("resourceVersion", 0)) > since:
                    q.put({"type": "MODIFIED", "object": obj})
            watchers[kind].append(q)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                line = json.dumps(q.get()).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
        except OSError:
            with lock:
                watchers[kind].remove(q)

    def do_PATCH(self):
        kind, name, _ = self.target()
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Content-Type"] != "application/merge-patch+json":
            return self.fail(415, "UnsupportedMediaType", "only merge patches are taken")
        with lock:
            if not kind or name not in store[kind]:
                return self.fail(404, "NotFound", f'nodes "{name}" not found')
            obj = merged(store[kind][name], patch)
            put(kind, name, obj, "MODIFIED")
        self.answer(obj)

    def do_DELETE(self):
        kind, name, _ = self.target()
        with lock:
            obj = store[kind].pop(name)
            for q in watchers[kind]:
                q.put({"type": "DELETED", "object": obj})
        self.answer(obj)


with open(sys.argv[1]) as f:
    for item in json.load(f)["items"]:
        plural = {"Node": "nodes", "Peer": "peers"}[item["kind"]]
        item["apiVersion"] = KINDS[plural][1]
        put(plural, item["metadata"]["name"], item, "ADDED")
server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
with open(sys.argv[2] + ".new", "w") as f:
    print(server.server_port, file=f)
import os
os.rename(sys.argv[2] + ".new", sys.argv[2])
server.serve_forever()
