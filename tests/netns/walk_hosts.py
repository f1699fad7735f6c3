# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Hosts that are network namespaces, and all of their state as lines. For walk.py.

A host is described once (links(), foreign()), and made on the network or, to see what a
first apply does, alone: then its cables end in a namespace where nobody is.
"""
import hashlib
import itertools
import json
import os
import re
import subprocess
import time

from walk_config import NETWORK, NODES, pod_networks, psk_file

ROOM = os.environ["T"]
ALONE = "void"
FOREIGN_LINK, FOREIGN_CHAIN = "foreign0", "THEIRS"
wires = itertools.count(1)


def run(*command, stdin=None):
    return subprocess.run(command, input=stdin, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)


def must(*command, stdin=None):
    done = run(*command, stdin=stdin)
    if done.returncode:
        raise SystemExit(f"Bail out! failed: {' '.join(command)}: {done.stderr.strip()}\n{stdin or ''}")
    return done.stdout


def batch(namespace, lines):
    must("ip", *(["-n", namespace] if namespace else []), "-batch", "-", stdin="\n".join(lines))


# ---- what a host is like ---------------------------------------------------


def links(node):
    """(interface, where it is plugged in, addresses)"""
    i, net = NODES[node], NETWORK[node]
    return (("wan0", "wan", (f"203.0.113.{i}/24", f"2001:db8::{i}/64")),
            ("lan0", f"lan{net}", (f"10.1.{net}.{i}/24", f"fd01:{net}::{i}/64")),
            ("pod0", "pod", tuple(pod_networks(node).values())))


def routes(node):
    """a and b are on one side of the router, d is on the other. The way of c to a is narrow.
    Without a default route a follower's interface keeps the MTU that it has."""
    own = ["route add default via 203.0.113.254", "route add default via 2001:db8::fe"]
    if node == "c":
        return own + ["route add 203.0.113.1 dev wan0 mtu 1400"]
    if node not in "abd":
        return own
    net, other = NETWORK[node], 3 - NETWORK[node]
    return own + [f"route add 10.1.{other}.0/24 via 10.1.{net}.254",
            f"route add fd01:{other}::/64 via fd01:{net}::fe"]


def foreign(node):
    """What belongs to others, some of it close to what kilowg makes."""
    return [
        f"link add {FOREIGN_LINK} address 02:00:00:00:77:0{NODES[node]} type bridge",
        f'link set {FOREIGN_LINK} alias "kilowg mesh=other protocol=108" up',
        f"addr add 10.4.77.1/24 dev {FOREIGN_LINK}",
        "addr add 10.77.0.1/24 dev lan0",
        "route add 10.78.0.0/24 via 203.0.113.250",
        "route add 10.79.0.0/24 via 203.0.113.250 proto 108",
        "route add fd79::/64 via 2001:db8::fa proto 108",
        "route add 192.0.2.0/25 via 203.0.113.250 table 1107 proto static",
        "rule add from 10.2.77.0/24 lookup 1107 priority 32765",
        "neigh add 203.0.113.250 lladdr 02:00:00:00:00:fa dev wan0 nud permanent",
    ]


# Chains of iptables, once used, stay: so they are there from the beginning.
IPTABLES = "".join(
    f"*{table}\n:{FOREIGN_CHAIN} - [0:0]\n" +
    "".join(f"-A {chain} -m mark --mark 7 -j {FOREIGN_CHAIN}\n" for chain in chains) + "COMMIT\n"
    for table, chains in (("filter", ("INPUT", "FORWARD")), ("nat", ("POSTROUTING",)), ("mangle", ("FORWARD",))))
NFTABLES = """table inet theirs {
	chain forward { type filter hook forward priority 0; policy accept; ip saddr 192.0.2.7 drop; }
}
"""


class Host:
    """A namespace with a /run/kilowg and /run/wireguard of its own."""

    def __init__(self, node, name, has):
        self.node, self.name, self.has = node, name, has
        self.own = f"{ROOM}/nodes/{name}"
        for folder in ("wireguard", "kilowg", "state"):
            os.makedirs(f"{self.own}/{folder}")
        # It keeps the mount namespace for all that is run here.
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "sh", f"{ROOM}/as-node", self.own, "sh", "-c", "echo; exec sleep 1000000"],
            stdout=subprocess.PIPE)
        self.keeper.stdout.readline()
        self.enter = ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", f"--net=/run/netns/{name}", "--"]

    def command(self, *command):
        return self.enter + list(command)

    def on(self, *command, stdin=None):
        return run(*self.command(*command), stdin=stdin)

    def make(self, connected):
        must("ip", "netns", "add", self.name)
        must(*self.command("sh", "-c", """cd /proc/sys/net && echo 1 >ipv4/ip_forward || exit
            for f in all default; do
                echo 0 >ipv6/conf/$f/accept_dad && echo 0 >ipv6/conf/$f/accept_ra &&
                echo 1 >ipv6/conf/$f/forwarding || exit
            done"""))
        self.plug(connected)
        own = ["link set lo up"]
        for interface, _, addresses in links(self.node):
            own.append(f"link set {interface} up")
            own += [f"addr add {a} dev {interface}{' nodad' if ':' in a else ''}" for a in addresses]
        batch(self.name, own + routes(self.node) + foreign(self.node))
        if "nft" in self.has:
            must(*self.command("nft", "-f", "-"), stdin=NFTABLES)
        if "iptables" in self.has:
            must(*self.command("iptables-restore"), stdin=IPTABLES)
            must(*self.command("ip6tables-restore"), stdin=IPTABLES)

    def plug(self, connected):
        """The cables; their other ends go up first, so that there is a carrier at once."""
        lines, pod_wire = [], None
        for number, (interface, to, _) in enumerate(links(self.node)):
            wire = f"w{next(wires)}"
            there = f"netns {ALONE}"
            if connected:
                there = f"netns {self.name}.pod" if to == "pod" else f"master {to}"
            pod_wire = wire if to == "pod" else pod_wire
            lines.append(f"link add {wire} {there} up type veth peer name {interface} "
                         f"address 02:00:00:00:0{NODES[self.node]}:0{number} netns {self.name}")
        batch(None, lines)
        if connected:
            self.make_pod(pod_wire)

    def make_pod(self, wire):
        lines = []
        for address in pod_networks(self.node).values():
            base, length = address.split("/")
            lines.append(f"addr add {base[:-1]}2/{length} dev {wire}{' nodad' if ':' in base else ''}")
        lines += [f"route add default via 10.2.{NODES[self.node]}.1",
                  f"route add default via fd02:{NODES[self.node]}::1"]
        # The network's other end has no address yet.
        batch(f"{self.name}.pod", [line + (" onlink dev " + wire if "default" in line else "") for line in lines])

    def remove(self):
        """Daemons end with their interfaces, and would keep the namespace otherwise; cables
        go later than it."""
        found = json.loads(self.on("ip", "-j", "-d", "link").stdout or "[]")
        batch(self.name, [f"link del {l['ifname']}" for l in found
                          if l.get("linkinfo", {}).get("info_kind") == "tun"])
        must("ip", "netns", "del", self.name)
        for folder, _, files in os.walk(self.own):
            for file in files:
                os.unlink(f"{folder}/{file}")

    # ---- kilowg

    def write(self, config, text=None):
        """The file, and what it refers to."""
        self.put("mesh.ini", config.text(self.node) if text is None else text)
        if self.node in config.nodes:
            self.put("key", config.node_private_key(self.node) + "\n")
        for peer in config.peers:
            if config.peers[peer].get("@psk") == "file":
                self.put(os.path.basename(psk_file(peer)), config.preshared_key(peer) + "\n")

    def put(self, name, text):
        with open(f"{self.own}/kilowg/{name}", "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text)

    def kilowg(self, *arguments, before=()):
        return self.on(*before, os.environ["KILOWG"], "-f", "/run/kilowg/mesh.ini", "--node", self.node, *arguments)

    # ---- state

    def state(self, cni_path=None):
        parts, until = self.state_parts(), time.monotonic() + 1
        while not is_settled(parts) and time.monotonic() < until:
            time.sleep(0.02)
            parts = self.state_parts()
        return state_lines(parts) + self.cni_lines(cni_path)

    def state_parts(self):
        parts, here = {}, None
        for line in self.on("sh", "-c", STATE).stdout.splitlines():
            if line.startswith("@"):
                here = parts.setdefault(line[1:], [])
            else:
                here.append(line)
        return parts

    def cni_lines(self, path):
        """What kilowg answers for in a file that it has not made just now."""
        file = self.own + "/kilowg" + path[len("/run/kilowg"):] if path else ""
        if not os.path.exists(file):
            return [f"cni {path} missing"] if path else []
        with open(file) as f:
            plugins = json.load(f)["plugins"]
        return [f"cni {path} {p['type']} {json.dumps(p['ipam']['ranges'])}" for p in plugins if "ipam" in p]


# ---- state as lines --------------------------------------------------------

STATE = """
echo @link; ip -j -d link
echo @address; ip -j addr
echo @route; ip -j -d -4 route show table all
echo @route6; ip -j -d -6 route show table all
echo @rule; ip -j -d -4 rule
echo @rule6; ip -j -d -6 rule
echo @neigh; ip -j neigh show nud permanent
echo @fdb; bridge -j fdb show
echo @wireguard; wg show all dump
echo @nft; nft -s list ruleset
echo @iptables; iptables-save
echo @ip6tables; ip6tables-save
echo @sysctl; cd /proc/sys/net && grep -s . ipv4/ip_forward ipv[46]/conf/*/forwarding ipv4/conf/*/rp_filter \
    ipv4/conf/*/src_valid_mark ipv4/conf/*/accept_local ipv6/conf/*/disable_ipv6 ipv6/conf/*/accept_ra
echo @file; cd /run/kilowg && find . -type f ! -name '*.lock' ! -name '*.down' ! -name '*.conflist' ! -name mesh.ini ! -name key ! -name 'psk-*'
"""

# Of a link nothing that the kernel chooses for itself.
LINK = ("ifname", "ifalias", "flags", "mtu", "address", "link_type", "master", "linkinfo")
# What it notices some moments later.
LATE = ("NO-CARRIER", "LOWER_UP", "linkdown")


def cleaned(value):
    """Without the clocks of a bridge and the carrier of cables."""
    if isinstance(value, dict):
        return {k: cleaned(v) for k, v in value.items() if not k.endswith("_timer")}
    return [cleaned(v) for v in value if v not in LATE] if isinstance(value, list) else value


def objects(parts, name):
    text = "".join(parts[name]).strip()
    return cleaned(json.loads(text)) if text else []


def is_settled(parts):
    """The kernel makes a new IPv6 address ready, with its routes, some moments later."""
    local = {r["dst"] for r in objects(parts, "route6") if r.get("type") == "local"}
    up = {l["ifname"] for l in objects(parts, "link") if "UP" in l["flags"]}
    own = [a for l in objects(parts, "address") if l["ifname"] in up for a in l["addr_info"]
           if a["family"] == "inet6"]
    return not any(a.get("tentative") or a["local"] not in local for a in own)


def state_lines(parts):
    found = objects(parts, "link")
    tuns = [l["ifname"] for l in found if l.get("linkinfo", {}).get("info_kind") == "tun"]
    lines = [("link", {k: l[k] for k in LINK if k in l}) for l in found]
    # The order of addresses counts: a packet's source is the first that fits.
    lines += [("address", [a["ifname"], a["addr_info"]]) for a in objects(parts, "address")]
    for name in ("route", "route6", "rule", "rule6", "neigh"):
        lines += [(name, o) for o in objects(parts, name)]
    lines += [("fdb", o) for o in objects(parts, "fdb") if not o["mac"].startswith(("33:33", "01:00:5e"))]
    texts = [f"{name} {json.dumps(o, sort_keys=True)}" for name, o in lines]
    # A TUN device's link-local address is random.
    texts = [re.sub("fe80::[0-9a-f:]{6,}", "fe80::random", t)
             if any(f'"{tun}"' in t for tun in tuns) else t for t in texts]
    texts += wireguard_lines(parts["wireguard"])
    texts += [f"sysctl {line}" for line in parts["sysctl"]] + [f"file {line}" for line in parts["file"]]
    return sorted(texts) + nft_lines(parts["nft"]) + iptables_lines("iptables", parts["iptables"]) + \
        iptables_lines("ip6tables", parts["ip6tables"])


def hashed(secret):
    return "-" if secret == "(none)" else hashlib.sha256(secret.encode()).hexdigest()[:8]


def wireguard_lines(dump):
    """Without sessions. A peer that roams is where it was last seen; see roams()."""
    lines = []
    for f in (line.split("\t") for line in dump):
        if len(f) == 5:
            lines.append(f"wireguard {f[0]} public {f[2]} port {f[3]} mark {f[4]}")
            continue
        allowed = " ".join(sorted(f[4].split(",")))
        lines.append(f"wireguard {f[0]} peer {f[1]} preshared {hashed(f[2])} endpoint {f[3]} "
                     f"keepalive {f[8]} allowed {allowed}")
    return lines


def nft_lines(text):
    """Tables by name, each with its name in front of every line."""
    tables, name = {}, ""
    for line in text:
        if line.startswith("table "):
            name = line[len("table "):].rstrip(" {")
        tables.setdefault(name, []).append(line)
    return [f"nft {name}: {line}" for name in sorted(tables) for line in tables[name]]


def iptables_lines(program, text):
    """Chains by name; the order within one is kept."""
    chains, table = {}, ""
    for line in text:
        if line.startswith("*"):
            table = line
        elif line.startswith((":", "-A ")):
            words = line.split()
            chain = words[0][1:] if line.startswith(":") else words[1]
            rest = "policy " + words[1] if line.startswith(":") else line
            chains.setdefault((table, chain), []).append(rest)
    return [f"{program} {table} {chain}: {line}" for (table, chain), ls in sorted(chains.items()) for line in ls]
