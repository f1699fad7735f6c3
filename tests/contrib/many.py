#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""many.py NODES PEERS [KIB]: what "kubectl get nodes,peers.kilo.squat.ai -o json" would print of
a cluster of this size, in ten locations. Each node has KIB (10) KiB, most of it images, as real
ones have. The first nodes' pod networks are 10.128.0.0/24 and up."""
import base64
import functools
import hashlib
import json
import sys
import time


def key(text):
    k = bytearray(hashlib.sha256(text.encode()).digest())
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    return base64.b64encode(bytes(k)).decode()


@functools.lru_cache
def images(size):
    """So many bytes of them; nodes of a cluster have much the same."""
    made = []
    while size > 0:
        made.append({"names": [f"registry.example.org/some/image-{len(made)}@sha256:" + "0" * 64], "sizeBytes": 123456789})
        size -= len(json.dumps(made[-1])) + 2
    return made


def node(i, size):
    pods = f"10.{128 + i // 256}.{i % 256}.0/24"
    address = f"192.168.{i // 250 % 250}.{i % 250 + 1}"
    name = f"node-{i:05d}"
    obj = {"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": name, "uid": hashlib.md5(name.encode()).hexdigest(), "creationTimestamp": "2026-11-01T00:00:00Z",
        "labels": {"topology.kubernetes.io/region": f"region-{i % 10}", "kubernetes.io/hostname": name,
                   "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        "annotations": {
            "kilo.squat.ai/endpoint": f"203.{i // 62500}.{i // 250 % 250}.{i % 250 + 1}:51820",
            "kilo.squat.ai/key": key(name), "kilo.squat.ai/internal-ip": address + "/16",
            "kilo.squat.ai/last-seen": str(int(time.time())), "kilo.squat.ai/wireguard-ip": "",
            "kilo.squat.ai/granularity": "location", "kilo.squat.ai/discovered-endpoints": "{}",
            "kilo.squat.ai/cni-compatibility-ip": "",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                   "images": []}}
    obj["status"]["images"] = images(size - len(json.dumps(obj)))
    return obj


def peer(i):
    name = f"peer-{i:05d}"
    return {"apiVersion": "kilo.squat.ai/v1alpha1", "kind": "Peer", "metadata": {"name": name},
            "spec": {"publicKey": key(name), "allowedIPs": [f"172.16.{i // 250}.{i % 250 + 1}/32"], "persistentKeepalive": 10}}


nodes, peers = int(sys.argv[1]), int(sys.argv[2])
size = int(sys.argv[3]) * 1024 if len(sys.argv) > 3 else 10240
json.dump({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""},
           "items": [node(i, size) for i in range(nodes)] + [peer(i) for i in range(peers)]}, sys.stdout)
