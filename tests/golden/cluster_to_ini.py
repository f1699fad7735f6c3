# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Turns the cluster of a golden case into kilowg's INI.

Who is ready is Kilo's question, not kilowg's: what is not ready is left out.
"""

import base64
import binascii
import ipaddress
import re

import nets

READY_SECONDS = 60
DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
DNS_NAME_LENGTH = 253


def _is_key(text):
    try:
        key = base64.b64decode(text or "", validate=True)
    except binascii.Error:
        return False
    return len(key) == 32 and any(key)


def _is_host(text, bracketed):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return (
            not bracketed
            and len(text) <= DNS_NAME_LENGTH
            and DNS_NAME.fullmatch(text) is not None
        )
    return bracketed == (address.version == 6) and "%" not in text


def _is_endpoint(text):
    match = re.fullmatch(r"(\[?)([^\[\]]*)(\]?):([0-9]+)", text or "")
    if match is None or bool(match[1]) != bool(match[3]):
        return False
    return _is_host(match[2], bool(match[1])) and 1 <= int(match[4]) <= 65535


def _masked(texts):
    return [network for network in map(nets.mask, texts) if network is not None]


def _node_is_ready(node, now):
    return (
        _is_endpoint(node["endpoint"])
        and _is_key(node["key"])
        and nets.mask(node["subnet"] or "") is not None
        and now - node["last_seen"] < READY_SECONDS
    )


def _peer_is_ready(peer):
    return _is_key(peer["public_key"]) and bool(_masked(peer["allowed_ips"]))


def ready_nodes(cluster):
    return [n for n in cluster["nodes"] if _node_is_ready(n, cluster["now"])]


def ready_peers(cluster):
    return [p for p in cluster["peers"] if _peer_is_ready(p)]


def _yes_no(flag):
    return "yes" if flag else "no"


def _section(name, items):
    """One section from (key, value) pairs; a value of None leaves the line out."""
    lines = [f"{key} = {value}" for key, value in items if value is not None]
    return "\n".join([f"[{name}]", *lines, ""])


def _mesh(cluster):
    port = cluster["port"]
    return _section("mesh", [
        ("format", 1),
        ("granularity", cluster["granularity"]),
        ("subnet", nets.mask(cluster["subnet"])),
        ("port", "endpoint" if port is None else port),
        *(("service-cidr", c) for c in _masked(cluster["service_cidrs"])),
        ("encapsulation", cluster["encapsulation"].replace("crosssubnet", "cross-subnet")),
        ("compatibility", cluster["compatibility"] or "none"),
    ])


def _local(cluster):
    return _section("local", [
        ("manage-local-routes", _yes_no(cluster["local"])),
        ("cni", _yes_no(cluster["cni"])),
        ("forward-rules", _yes_no(cluster["iptables_forward_rules"])),
        ("firewall", "iptables"),
    ])


def _internal_ip(node):
    if node["no_internal_ip"]:
        return "-"
    return nets.interface(node["internal_ip"] or "")


def _node(node):
    return _section("node", [
        ("name", node["name"]),
        ("location", node["location"] or None),
        ("endpoint", node["endpoint"]),
        ("endpoint-address", node["endpoint_resolved"]),
        ("public-key", node["key"]),
        ("internal-ip", _internal_ip(node)),
        ("pod-cidr", nets.mask(node["subnet"])),
        ("leader", _yes_no(node["leader"])),
        ("persistent-keepalive", node["persistent_keepalive"]),
        *(("allowed-location-ip", n) for n in _masked(node["allowed_location_ips"])),
        *(
            ("discovered-endpoint", f"{key} {endpoint or '-'}")
            for key, endpoint in sorted(node["discovered_endpoints"].items())
        ),
        ("cni-compatibility-ip", node["cni_compatibility_ip"]),
    ])


def _peer(peer):
    return _section("peer", [
        ("name", peer["name"]),
        ("public-key", peer["public_key"]),
        ("preshared-key", peer["preshared_key"]),
        *(("allowed-ip", network) for network in _masked(peer["allowed_ips"])),
        ("endpoint", peer["endpoint"] if _is_endpoint(peer["endpoint"]) else None),
        ("endpoint-address", peer["endpoint_resolved"]),
        ("persistent-keepalive", peer["persistent_keepalive"]),
    ])


def convert(cluster):
    """The INI text of CLUSTER."""
    return "\n".join([
        _mesh(cluster),
        _local(cluster),
        *map(_node, ready_nodes(cluster)),
        *map(_peer, ready_peers(cluster)),
    ])
