# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""What the files of a mesh can say, and random changes of it. For walk.py.

KEYS has every key of kilowg.ini(5): the values that it takes in a walk (a tuple), the
function that changes it, or, as a text, why it stays as it is. walk.py compares the
table with "kilowg check --keys".
"""
import copy
import hashlib
import base64
import subprocess

# The last byte of all addresses of a node, and its private network: a and b are in one
# subnet, d in another behind a router; c and e are somewhere else.
NODES = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
NETWORK = {"a": 1, "b": 1, "c": 3, "d": 2, "e": 3}
SITE = {"a": "one", "b": "one", "d": "one", "c": "two", "e": "two"}
PEERS = {"p": 1, "q": 2, "r": 3, "aa": 4}

# Some sort before, some behind those of the other site.
SITE_NAMES = {"one": ("m", "b", "y"), "two": ("n", "a", "z", "")}


class Config:
    """A mesh. A value is a text, a tuple (a list in the file) or None (not given).

    What is not a key of the file begins with "@": it decides what several keys say.
    """

    def __init__(self, seed):
        self.seed = seed
        self.mesh = {"format": "1", "encapsulation-protocol": "vxlan",
                     "@outside": 4, "@private": 4}
        self.nodes = {}
        self.peers = {}
        self.local = {name: {} for name in NODES}

    def copy(self):
        return copy.deepcopy(self)

    def private_key(self, name, generation):
        """The same in each run with this seed, since peers are sorted by key."""
        key = bytearray(hashlib.sha256(f"{self.seed}/{name}/{generation}".encode()).digest())
        key[0] &= 248
        key[31] = key[31] & 127 | 64
        return base64.b64encode(key).decode()

    def node_private_key(self, name):
        return self.private_key(name, self.nodes[name]["@key"])

    def port(self, name):
        port = self.mesh.get("port") or "51820"
        return self.local[name].get("port") or (
            str(51800 + NODES[name]) if port == "endpoint" else port)

    def text(self, name):
        """The file of a node, its [local] included."""
        parts = [section("mesh", self.mesh)]
        parts += [section("node", self.node_keys(n)) for n in sorted(self.nodes)]
        parts += [section("peer", self.peer_keys(p)) for p in sorted(self.peers)]
        return "\n".join(parts + [section("local", self.local_keys(name))])

    def node_keys(self, name):
        node = self.nodes[name]
        keys = {"name": name, "public-key": public_key(self.node_private_key(name))}
        keys.update((k, v) for k, v in node.items() if not k.startswith("@"))
        keys["endpoint"] = self.endpoint(name)
        if node.get("@named"):
            keys["endpoint"] = f"{name}.example.org:{self.port(name)}"
            keys["endpoint-address"] = outside_address(name, self.mesh["@outside"])
        if "internal-ip" not in keys:
            keys["internal-ip"] = private_address(name, self.mesh["@private"])
        if node.get("@discovers") in self.nodes:
            key = public_key(self.node_private_key(node["@discovers"]))
            keys["discovered-endpoint"] = f"{key} {self.endpoint(node['@discovers'])}"
        return keys

    def endpoint(self, name):
        address = outside_address(name, self.mesh["@outside"])
        return f"[{address}]:{self.port(name)}" if ":" in address else f"{address}:{self.port(name)}"

    def peer_keys(self, name):
        peer = self.peers[name]
        owner = peer.get("@owner")
        private = self.node_private_key(owner) if owner in self.nodes \
            else self.private_key("peer " + name, peer["@key"])
        keys = {"name": name, "public-key": public_key(private)}
        keys.update((k, v) for k, v in peer.items() if not k.startswith("@"))
        if peer.get("@psk") == "file":
            keys["preshared-key-file"] = psk_file(name)
        elif peer.get("@psk"):
            keys["preshared-key"] = self.preshared_key(name)
        return keys

    def preshared_key(self, name):
        return self.private_key("preshared " + name, self.peers[name].get("@psk"))

    def local_keys(self, name):
        keys = {"private-key-file": "/run/kilowg/key", "cni-path": CNI_PATHS[0], "max-shrink": "100"}
        keys.update(self.local[name])
        return keys


def section(name, keys):
    lines = [f"[{name}]"]
    for key, value in keys.items():
        if value and not key.startswith("@"):
            lines.append(f"{key} = {', '.join(value) if isinstance(value, tuple) else value}")
    return "\n".join(lines) + "\n"


public_keys = {}


def public_key(private):
    if private not in public_keys:
        public_keys[private] = subprocess.run(["wg", "pubkey"], input=private, text=True,
                                              stdout=subprocess.PIPE, check=True).stdout.strip()
    return public_keys[private]


def psk_file(peer):
    return f"/run/kilowg/psk-{peer}"


def outside_address(name, family):
    return f"203.0.113.{NODES[name]}" if family == 4 else f"2001:db8::{NODES[name]}"


def private_address(name, family):
    return f"10.1.{NETWORK[name]}.{NODES[name]}/24" if family == 4 \
        else f"fd01:{NETWORK[name]}::{NODES[name]}/64"


def pod_networks(name):
    """All that a node may have, with its own address in each."""
    i = NODES[name]
    return {f"10.2.{i}.0/24": f"10.2.{i}.1/24", f"10.12.{i}.0/24": f"10.12.{i}.1/24",
            f"fd02:{i}::/64": f"fd02:{i}::1/64"}


# ---- changes ---------------------------------------------------------------


def another(rng, values, now):
    return rng.choice([v for v in values if v != now])


def some_node(rng, config):
    return rng.choice(sorted(config.nodes))


def change_site_name(rng, config, _):
    """A location gets another name; or a node leaves it for one of its own, or comes back."""
    name = some_node(rng, config)
    site, location = SITE[name], config.nodes[name]["location"]
    home = config.mesh[f"@{site}"]
    if location != home:
        config.nodes[name]["location"] = home
    elif rng.random() < 0.5:
        config.nodes[name]["location"] = rng.choice("0z") + name
    else:
        config.mesh[f"@{site}"] = another(rng, SITE_NAMES[site], home)
        for other in config.nodes.values():
            if other["location"] == home:
                other["location"] = config.mesh[f"@{site}"]


def change_endpoint(rng, config, _):
    """Of all nodes at once: with packets of both families a peer's endpoint is where the last came from."""
    config.mesh["@outside"] = 10 - config.mesh["@outside"]


def change_endpoint_address(rng, config, name):
    config.nodes[name]["@named"] = not config.nodes[name].get("@named")


def change_node_key(_rng, config, name):
    config.nodes[name]["@key"] += 1


def change_internal_ip(rng, config, name):
    if rng.random() < 0.5:
        config.mesh["@private"] = 10 - config.mesh["@private"]
    elif "internal-ip" in config.nodes[name]:
        del config.nodes[name]["internal-ip"]
    else:
        config.nodes[name]["internal-ip"] = rng.choice(("-", None))


def change_pod_cidr(rng, config, name):
    v4, more, v6 = pod_networks(name)
    choices = ((v4,), (v4, v6), (v6, v4), (v4, more, v6), (v6,), (more, v4))
    config.nodes[name]["pod-cidr"] = another(rng, choices, config.nodes[name]["pod-cidr"])


def change_allowed_location_ip(rng, config, name):
    i = NODES[name]
    choices = (None, (f"192.168.{i}.0/24",), (f"192.168.{i}.0/24", f"fd68:{i}::/64"),
               ("192.168.99.0/24",))
    config.nodes[name]["allowed-location-ip"] = another(
        rng, choices, config.nodes[name].get("allowed-location-ip"))


def change_discovered(rng, config, name):
    config.nodes[name]["@discovers"] = another(rng, (None, *config.nodes),
                                               config.nodes[name].get("@discovers"))


def change_peer_key(rng, config, name):
    """A peer with the key of a node is one WireGuard peer with it."""
    peer = config.peers[name]
    if "@owner" in peer:
        del peer["@owner"]
    elif rng.random() < 0.3 and not any("@owner" in p for p in config.peers.values()):
        peer["@owner"] = some_node(rng, config)
        # The node itself knows of no preshared key, and is where it says.
        peer["@psk"] = peer["endpoint"] = None
    else:
        peer["@key"] += 1


def change_preshared_key(rng, config, name):
    if "@owner" not in config.peers[name]:
        config.peers[name]["@psk"] = another(rng, (None, "one", "two", "file"),
                                             config.peers[name].get("@psk"))


def change_allowed_ip(rng, config, name):
    """The third network is that of whichever peer has it first."""
    i = PEERS[name]
    one, net, shared, v6 = f"10.5.{i}.1/32", f"10.6.{i}.0/24", "10.6.99.0/24", f"fd06:{i}::/64"
    choices = ((one,), (one, net), (net, one, v6), (one, shared), (shared,), (v6,),
               (one, "0.0.0.0/0"), (one, "0.0.0.0/0", "::/0"))
    config.peers[name]["allowed-ip"] = another(rng, choices, config.peers[name]["allowed-ip"])


def change_peer_endpoint(rng, config, name):
    peer, i = config.peers[name], PEERS[name]
    if "@owner" in peer:
        return
    choices = (None, f"203.0.113.{100 + i}:51820", f"203.0.113.{100 + i}:4500",
               f"[2001:db8::{100 + i}]:51820", f"{name}.example.org:51820")
    peer["endpoint"] = another(rng, choices, peer.get("endpoint"))
    peer.pop("endpoint-address", None)
    if "example" in (peer["endpoint"] or ""):
        peer["endpoint-address"] = rng.choice((f"203.0.113.{110 + i}", f"2001:db8::{110 + i}"))


def add_node(rng, config, name):
    v4, _, v6 = pod_networks(name)
    config.nodes[name] = {"location": config.mesh[f"@{SITE[name]}"], "@key": 1,
                          "pod-cidr": rng.choice(((v4,), (v4, v6), (v6, v4)))}


def change_nodes(rng, config, _):
    absent = [n for n in NODES if n not in config.nodes]
    if absent and (len(config.nodes) < 3 or rng.random() < 0.6):
        add_node(rng, config, rng.choice(absent))
    else:
        del config.nodes[some_node(rng, config)]


def change_peers(rng, config, _):
    absent = [p for p in PEERS if p not in config.peers]
    if absent and (not config.peers or rng.random() < 0.6):
        name = rng.choice(absent)
        config.peers[name] = {"@key": 1, "allowed-ip": (f"10.5.{PEERS[name]}.1/32",)}
    else:
        del config.peers[rng.choice(sorted(config.peers))]


# ---- keys ------------------------------------------------------------------

YES_NO = (None, "yes", "no")
CNI_PATHS = ("/run/kilowg/10-kilo.conflist", "/run/kilowg/net.d/99-other.conflist")
KEEPALIVES = (None, "5", "25")

KEYS = {
    "mesh": {
        "format": "there is one",
        "end-marker": "how a file is read: tests/config.t.sh",
        "name": ("kilo", "m2", "a.longer-name_of_a_mesh"),
        "granularity": (None, "full"),
        "subnet": (None, "10.4.0.0/24", "10.44.0.0/28", "fd77::/64", "fd78::/112"),
        "port": (None, "51821", "endpoint"),
        "service-cidr": (None, ("10.43.0.0/16",), ("fd43::/108", "10.43.0.0/16")),
        "trusted-network": (None, ("198.18.0.0/15",), ("198.18.0.0/15", "2001:db8:7::/48")),
        "encapsulation": (None, "cross-subnet", "never"),
        "encapsulation-protocol": ("vxlan", "ipip"),
        "vxlan-port": (None, "8472", "4790"),
        "vxlan-id": (None, "4242", "77"),
        "compatibility": "the tunnel is another program's: encap-cni.sh",
        "node-requirements": "who takes part: plain.sh",
    },
    "node": {
        "name": change_nodes,
        "location": change_site_name,
        "endpoint": change_endpoint,
        "endpoint-address": change_endpoint_address,
        "public-key": change_node_key,
        "internal-ip": change_internal_ip,
        "pod-cidr": change_pod_cidr,
        "leader": (None, "yes"),
        "persistent-keepalive": KEEPALIVES,
        "allowed-location-ip": change_allowed_location_ip,
        "discovered-endpoint": change_discovered,
        "cni-compatibility-ip": "for compatibility only",
    },
    "peer": {
        "name": change_peers,
        "public-key": change_peer_key,
        "preshared-key": change_preshared_key,
        "preshared-key-file": change_preshared_key,
        "allowed-ip": change_allowed_ip,
        "endpoint": change_peer_endpoint,
        "endpoint-address": change_peer_endpoint,
        "persistent-keepalive": KEEPALIVES,
        "address": "of the peer's own interface: client.t.sh",
        "dns": "of the peer's own interface: client.t.sh",
        "mtu": "of the peer's own interface: client.t.sh",
    },
    "local": {
        "node": "given with --node, which a node that leaves the file needs for its down",
        "interface": (None, "kilo1", "wg-15-character"),
        "tunnel-interface": (None, "tunnel0", "kilo0-vxlan"),
        "backend": (None, "userspace", "kernel"),
        "create-interface": "somebody else has to make it: ownership.sh, switch.sh",
        "interface-timeout": "how long to wait: wait.sh",
        "resolve-timeout": "how long to wait: names.sh",
        "clean-up-interface": "with no, down leaves the interface: ownership.sh",
        "private-key-file": "where it is does not matter; the key changes with public-key",
        "port": (None, "51900"),
        "mtu": (None, "1420", "1380", "1280"),
        "manage-local-routes": YES_NO,
        "firewall": (None, "iptables", "none"),
        "forward-rules": YES_NO,
        "cni": YES_NO,
        "cni-path": CNI_PATHS,
        "route-table": (None, "1109", "70000"),
        "rule-priority": (None, "100", "2"),
        "default-route": YES_NO,
        "default-route-table": (None, "70001"),
        "route-protocol": (None, "109", "200"),
        "fwmark": (None, "77", "4294967295"),
        "fail-closed": (None, "yes"),
        "max-shrink": "what is refused: guards.sh",
        "route-metric": "partial.sh",
        "allow-cover": "partial.sh",
    },
}

# Until all nodes have changed, or sessions are set up anew, packets may be lost.
DISRUPTIVE = {("mesh", k) for k in ("name", "port", "encapsulation", "encapsulation-protocol",
                                    "vxlan-port", "vxlan-id")}
DISRUPTIVE |= {("node", k) for k in ("endpoint", "endpoint-address", "public-key", "internal-ip")}
DISRUPTIVE |= {("local", k) for k in ("interface", "tunnel-interface", "port", "backend")}
DISRUPTIVE |= {("peer", "public-key")}


def first(rng, seed):
    """The mesh that a walk begins with: all nodes but one, and two peers."""
    config = Config(seed)
    for site, names in SITE_NAMES.items():
        config.mesh[f"@{site}"] = rng.choice(names)
    for name in NODES:
        add_node(rng, config, name)
    del config.nodes[some_node(rng, config)]
    for _ in range(2):
        change_peers(rng, config, None)
    return config


def changeable(lacking):
    """All keys that change, those often that say who is there and who leads. Values that
    this machine lacks are left out."""
    keys = []
    for part, table in KEYS.items():
        for key, how in table.items():
            if isinstance(how, str):
                continue
            if isinstance(how, tuple):
                how = tuple(v for v in how if v not in lacking)
                if len(how) < 2:
                    continue
            often = 3 if key in ("name", "leader", "location") and part != "mesh" else 1
            keys += [(part, key, how)] * often
    return keys


def change(rng, config, keys):
    """Makes one random change; returns its section and key."""
    part, key, how = rng.choice(keys)
    if part == "peer" and not config.peers:
        part, key, how = "peer", "name", change_peers
    name = {"node": lambda: some_node(rng, config),
            "peer": lambda: rng.choice(sorted(config.peers)) if config.peers else None,
            "local": lambda: rng.choice(sorted(NODES)), "mesh": lambda: None}[part]()
    if callable(how):
        how(rng, config, name)
        return part, key
    values = {"mesh": lambda: config.mesh, "node": lambda: config.nodes[name],
              "peer": lambda: config.peers[name], "local": lambda: config.local[name]}[part]()
    values[key] = another(rng, how, values.get(key))
    if part == "local" and rng.random() < 0.5:
        for other in config.local.values():
            other[key] = values[key]
    return part, key
