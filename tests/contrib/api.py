#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""The part of a Kubernetes API server that kubectl and kilowg need to list, watch and patch
nodes and Kilo's peers.

    api.py FILE PORT-FILE    FILE is what "kubectl get nodes,peers.kilo.squat.ai -o json" has
                             printed; listens on 127.0.0.1, and writes the port into PORT-FILE
    api.py --state DIR       objects are the files DIR/nodes/NAME and DIR/peers/NAME, which it
                             keeps; listens on DIR/server.sock
    api.py --state DIR --tls PEM
                             and, by TLS with the certificate and key of PEM, on a port of
                             127.0.0.1, for whoever has the token of DIR/token; DIR/config.json
                             is the kubeconfig for that

As the real one does it: resourceVersion 0, none, or one from which a watch goes on; "too old"
(410), in the stream and as an answer; bookmarks; timeoutSeconds; 429 with Retry-After; merge
patches, strategic ones (of maps alone) and JSON patches; what annotations, labels and the CRD
of peers may hold. A patch that changes nothing makes no event.

POST /control with a JSON object: "compact": true forgets all events; "hangup": true ends all
watches; "throttle": N answers 429 to the next N requests; "bookmarks": SECONDS between them;
"ahead": SECONDS by which its clock is; "mute": true lets watches hang; "expire": true ends all
watches with an error 410. In DIR the files "away" (no connection goes through) and "ahead" do the
same; with "short" it has only as many nodes as that says, in lists and in watches."""
import base64
import json
import os
import queue
import re
import socketserver
import ssl
import sys
import threading
import time
import email.utils
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KINDS = {"nodes": ("/api/v1", "v1", "Node"),
         "peers": ("/apis/kilo.squat.ai/v1alpha1", "kilo.squat.ai/v1alpha1", "Peer")}
VERBS = ["create", "delete", "get", "list", "patch", "watch"]
RESOURCES = {
    "nodes": {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node",
              "verbs": VERBS, "shortNames": ["no"]},
    "peers": {"name": "peers", "singularName": "peer", "namespaced": False, "kind": "Peer",
              "verbs": VERBS}}
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")

lock = threading.RLock()
version = 100
oldest = 100  # events up to here are forgotten
store = {"nodes": {}, "peers": {}}
history = {"nodes": [], "peers": []}
watchers = {"nodes": [], "peers": []}
control = {"throttle": 0, "bookmarks": 60, "ahead": 0, "mute": False}
folder = None


class Refused(Exception):
    def __init__(self, status, reason, text, retry=None):
        self.status, self.reason, self.text, self.retry = status, reason, text, retry


# ---- objects ----

def text(obj):
    return json.dumps(obj, separators=(",", ":")).encode()


def put(kind, name, obj, event):
    global version
    version += 1
    obj["metadata"]["resourceVersion"] = str(version)
    if event == "DELETED":
        store[kind].pop(name)
    else:
        store[kind][name] = obj
    if folder:
        mirror(kind, name, obj, event)
    line = text({"type": event, "object": obj}) + b"\n"
    history[kind].append((version, line, name))
    for q in watchers[kind]:
        q.put((version, line, name))


def mirror(kind, name, obj, event):
    path = os.path.join(folder, kind, name)
    if event == "DELETED":
        os.unlink(path)
    else:
        with open(os.path.join(folder, "." + name), "w") as f:
            json.dump(obj, f)
        os.rename(os.path.join(folder, "." + name), path)
    with open(os.path.join(folder, kind + ".events"), "a") as f:
        f.write(event + " " + name + "\n")


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


def json_patched(old, patch):  # RFC 6902: add, replace, remove, test, of objects
    new = json.loads(json.dumps(old))
    for op in patch:
        *way, last = [p.replace("~1", "/").replace("~0", "~") for p in op["path"].split("/")[1:]]
        at = new
        for p in way:
            at = at[p]
        if op["op"] in ("replace", "remove", "test") and last not in at:
            raise Refused(422, "Invalid", "the server rejected our request due to an error in our request")
        if op["op"] == "test":
            if at[last] != op["value"]:
                raise Refused(422, "Invalid", "the server rejected our request due to an error in our request")
        elif op["op"] == "remove":
            del at[last]
        else:
            at[last] = op["value"]
    return new


def validate(kind, name, obj):
    def invalid(why):
        raise Refused(422, "Invalid", f'{KINDS[kind][2]} "{name}" is invalid: {why}')
    if not NAME.fullmatch(name) or len(name) > 253:
        invalid("metadata.name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'")
    meta = obj["metadata"]
    for field in ("annotations", "labels"):
        for k, v in (meta.get(field) or {}).items():
            if not isinstance(v, str):
                raise Refused(400, "BadRequest", f"json: cannot unmarshal value into Go struct field ObjectMeta.metadata.{field} of type string")
            if field == "labels" and not LABEL.fullmatch(v):
                invalid(f"metadata.labels: Invalid value: {v!r}")
    if sum(len(k) + len(v.encode("utf-8", "replace")) for k, v in (meta.get("annotations") or {}).items()) > 262144:
        invalid("metadata.annotations: Too long: may not be more than 262144 bytes")
    if kind == "peers":
        validate_peer(obj.get("spec"), invalid)


def validate_peer(spec, invalid):
    def want(ok, field, what):
        if not ok:
            invalid(f"{field}: Invalid value: {field} in body must be of type {what}")
    want(isinstance(spec, dict), "spec", "object")
    for field in ("allowedIPs", "publicKey"):
        if field not in spec:
            invalid(f"spec.{field}: Required value")
    want(isinstance(spec["allowedIPs"], list) and all(isinstance(a, str) for a in spec["allowedIPs"]), "spec.allowedIPs", "array")
    want(isinstance(spec["publicKey"], str), "spec.publicKey", "string")
    want(isinstance(spec.get("presharedKey", ""), str), "spec.presharedKey", "string")
    want(isinstance(spec.get("persistentKeepalive", 0), int), "spec.persistentKeepalive", "integer")
    end = spec.get("endpoint")
    if end is not None:
        want(isinstance(end, dict), "spec.endpoint", "object")
        for field in ("dnsOrIP", "port"):
            if field not in end:
                invalid(f"spec.endpoint.{field}: Required value")
        want(isinstance(end["port"], int), "spec.endpoint.port", "integer")


# ---- requests ----

def set_control(new):
    global oldest
    with lock:
        if new.pop("compact", None):
            oldest = version
            for kind in history:
                history[kind].clear()
        for word in ("hangup", "expire"):
            if new.pop(word, None):
                for q in watchers["nodes"] + watchers["peers"]:
                    q.put((0, word, None))
        control.update(new)


def away():
    return folder and os.path.exists(os.path.join(folder, "away"))


def token():
    with open(os.path.join(folder, "token")) as f:
        return f.read().strip()


def ahead():
    if folder:
        try:
            with open(os.path.join(folder, "ahead")) as f:
                return int(f.read() or 0)
        except (OSError, ValueError):
            pass
    return control["ahead"]


def seen(kind):
    """Names and objects of those that are not withheld."""
    count = None
    try:
        with open(os.path.join(folder or "", "short")) as f:
            count = int(f.read()) if kind == "nodes" else None
    except OSError:
        pass
    return dict(list(store[kind].items())[:count])


def too_old(at):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired",
            "message": f"too old resource version: {at} ({oldest})", "code": 410}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "stand-in", ""

    def address_string(self):
        return "-"

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate((timestamp or time.time()) + ahead(), usegmt=True)

    def log_message(self, *args):
        print(self.command, self.path, self.headers.get("Content-Type", ""), file=sys.stderr, flush=True)

    def answer(self, obj, status=200, retry=None):
        body = text(obj)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry:
            self.send_header("Retry-After", str(retry))
        self.end_headers()
        self.wfile.write(body)

    def guarded(self, method):
        try:
            if away():
                self.close_connection = True
                return
            if hasattr(self.server, "tls") and self.headers["Authorization"] != "Bearer " + token():
                raise Refused(401, "Unauthorized", "Unauthorized")
            with lock:
                if control["throttle"] > 0 and self.path != "/control":
                    control["throttle"] -= 1
                    raise Refused(429, "TooManyRequests", "too many requests, please try again later", 1)
            method()
        except Refused as e:
            self.answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                         "message": e.text, "reason": e.reason, "code": e.status}, e.status, e.retry)
        except OSError:
            self.close_connection = True

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

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
        url = urlsplit(self.path)
        for kind, (prefix, _, _) in KINDS.items():
            m = re.fullmatch(re.escape(prefix) + "/" + kind + "(?:/([^/]+))?", url.path)
            if m:
                return kind, m.group(1), {k: v[-1] for k, v in parse_qs(url.query).items()}
        raise Refused(404, "NotFound", "the server could not find the requested resource")

    def get(self):
        found = self.discovery(urlsplit(self.path).path)
        if found:
            return self.answer(found)
        kind, name, query = self.target()
        if name:
            return self.answer(self.existing(kind, name))
        if query.get("watch") in ("1", "true"):
            return self.watch(kind, query)
        with lock:
            items = list(seen(kind).values())
            at = str(version)
            body = {"kind": KINDS[kind][2] + "List", "apiVersion": KINDS[kind][1],
                    "metadata": {"resourceVersion": at}, "items": items}
        self.answer(body)

    def existing(self, kind, name):
        with lock:
            if name not in store[kind]:
                raise Refused(404, "NotFound", f'{kind} "{name}" not found')
            return store[kind][name]

    def chunk(self, line):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def watch(self, kind, query):
        q, at = queue.Queue(), int(query.get("resourceVersion") or 0)
        end = time.monotonic() + int(query.get("timeoutSeconds") or 3600)
        with lock:
            if at and at < oldest:
                q.put((0, "expire", None))
            elif at:
                for event in history[kind]:
                    if event[0] > at:
                        q.put(event)
            else:
                for name, obj in store[kind].items():
                    q.put((version, text({"type": "ADDED", "object": obj}) + b"\n", name))
            watchers[kind].append(q)
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.events(kind, query, q, end, at or version)
        finally:
            with lock:
                watchers[kind].remove(q)

    def events(self, kind, query, q, end, at):
        bookmark = time.monotonic() + control["bookmarks"]
        while time.monotonic() < end:
            try:
                at, line, name = q.get(timeout=0.2)
            except queue.Empty:
                line = name = None
            if away() or line == "hangup":
                self.close_connection = True
                return
            if control["mute"]:
                continue
            if line == "expire":
                self.chunk(text({"type": "ERROR", "object": too_old(at)}) + b"\n")
                break
            if name and name not in seen(kind) and name in store[kind]:
                continue
            if line:
                self.chunk(line)
            elif query.get("allowWatchBookmarks") and time.monotonic() >= bookmark:
                with lock:
                    now = version if q.empty() else at
                self.chunk(text({"type": "BOOKMARK", "object": {
                    "kind": KINDS[kind][2], "apiVersion": KINDS[kind][1],
                    "metadata": {"resourceVersion": str(now), "creationTimestamp": None}}}) + b"\n")
                bookmark = time.monotonic() + control["bookmarks"]
        self.wfile.write(b"0\r\n\r\n")

    def patch(self):
        kind, name, _ = self.target()
        patch, form = self.body(), self.headers["Content-Type"]
        with lock:
            old = self.existing(kind, name)
            if form == "application/json-patch+json":
                new = json_patched(old, patch)
            elif form == "application/merge-patch+json" or (
                    form == "application/strategic-merge-patch+json" and kind == "nodes"):
                new = merged(old, patch)
            else:
                raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {form}")
            if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
                raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {kind} "{name}": the object has been modified')
            validate(kind, name, new)
            if new != old:
                put(kind, name, new, "MODIFIED")
        self.answer(new)

    def post(self):
        if self.path == "/control":
            set_control(self.body())
            return self.answer({})
        kind, _, _ = self.target()
        obj = self.body()
        name = obj["metadata"]["name"]
        with lock:
            if name in store[kind]:
                raise Refused(409, "AlreadyExists", f'{kind} "{name}" already exists')
            validate(kind, name, obj)
            obj["apiVersion"] = KINDS[kind][1]
            put(kind, name, obj, "ADDED")
        self.answer(obj, 201)

    def delete(self):
        kind, name, _ = self.target()
        with lock:
            obj = dict(self.existing(kind, name))
            obj["metadata"] = dict(obj["metadata"])
            put(kind, name, obj, "DELETED")
        self.answer(obj)

    def do_GET(self):
        self.guarded(self.get)

    def do_PATCH(self):
        self.guarded(self.patch)

    def do_POST(self):
        self.guarded(self.post)

    def do_DELETE(self):
        self.guarded(self.delete)


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def load(items):
    for item in items:
        plural = {"Node": "nodes", "Peer": "peers"}[item["kind"]]
        item["apiVersion"] = KINDS[plural][1]
        put(plural, item["metadata"]["name"], item, "ADDED")


class TlsServer(ThreadingHTTPServer):
    request_queue_size = 128

    def finish_request(self, request, client_address):
        # Not in the thread that accepts: a client may take its time, or have another idea of trust.
        try:
            super().finish_request(self.tls.wrap_socket(request, server_side=True), client_address)
        except OSError:
            pass


def kubeconfig(port, pem):
    certificate = re.search("-----BEGIN CERT.*?END CERTIFICATE-----\n", pem, re.S).group()
    cluster = {"server": f"https://127.0.0.1:{port}/",
               "certificate-authority-data": base64.b64encode(certificate.encode()).decode()}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"kind": "Config", "apiVersion": "v1", "current-context": "x",
                   "clusters": [{"name": "x", "cluster": cluster}],
                   "users": [{"name": "x", "user": {"token": token()}}],
                   "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}, f)


def serve_tls(pem):
    server = TlsServer(("127.0.0.1", 0), Api)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(pem)
    with open(pem) as f:
        kubeconfig(server.server_port, f.read())
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    global folder
    if sys.argv[1] == "--state":
        path = os.path.join(sys.argv[2], "server.sock")
        folder = sys.argv[2]
        server = UnixServer(path + ".new", Api)
        if sys.argv[3:4] == ["--tls"]:
            serve_tls(sys.argv[4])
        os.rename(path + ".new", path)
    else:
        with open(sys.argv[1]) as f:
            load(json.load(f)["items"])
        ThreadingHTTPServer.request_queue_size = 128
        server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
        with open(sys.argv[2] + ".new", "w") as f:
            print(server.server_port, file=f)
        os.rename(sys.argv[2] + ".new", sys.argv[2])
    server.serve_forever()


main()
