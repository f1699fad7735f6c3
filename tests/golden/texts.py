# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""The text forms of a golden file: WireGuard configurations, routes, digests."""

import hashlib
from typing import NamedTuple, Optional

ALLOWED_IPS = "AllowedIPs = "
INTERFACE = "[Interface]\n"
PRIVATE_KEY = "PrivateKey = "
PUBLIC_KEY = "PublicKey = "


class Route(NamedTuple):
    """`DST [via GW] dev LINK [src SRC] [onlink] [table N]`"""

    destination: str
    device: str
    via: Optional[str] = None
    src: Optional[str] = None
    onlink: bool = False
    table: Optional[str] = None

    def __str__(self):
        words = [self.destination]
        words += ["via", self.via] if self.via else []
        words += ["dev", self.device]
        words += ["src", self.src] if self.src else []
        words += ["onlink"] if self.onlink else []
        words += ["table", self.table] if self.table else []
        return " ".join(words)


def parse_route(text):
    destination, *words = text.split(" ")
    onlink = "onlink" in words
    if onlink:
        words.remove("onlink")
    values = dict(zip(words[::2], words[1::2], strict=True))
    route = Route(
        destination=destination,
        device=values.pop("dev"),
        via=values.pop("via", None),
        src=values.pop("src", None),
        onlink=onlink,
        table=values.pop("table", None),
    )
    if values or str(route) != text:
        raise ValueError(f"not a route: {text}")
    return route


def map_allowed_ips(conf, change):
    """CONF with the allowed IPs of section number N turned into CHANGE(N, list).

    A section that has none left has no such line.
    """
    sections = conf.split("\n\n")
    for number, section in enumerate(sections):
        lines = []
        for line in section.split("\n"):
            if line.startswith(ALLOWED_IPS):
                networks = change(number, line.removeprefix(ALLOWED_IPS).split(", "))
                if not networks:
                    continue
                line = ALLOWED_IPS + ", ".join(networks)
            lines.append(line)
        sections[number] = "\n".join(lines)
    return "\n\n".join(sections)


def set_allowed_ips(conf, by_key):
    """CONF with the allowed IPs of each [Peer] section taken from BY_KEY."""
    sections = conf.split("\n\n")
    for number, section in enumerate(sections):
        lines = [line for line in section.split("\n") if not line.startswith(ALLOWED_IPS)]
        keys = [line.removeprefix(PUBLIC_KEY) for line in lines if line.startswith(PUBLIC_KEY)]
        networks = [network for key in keys for network in by_key.get(key, [])]
        if networks:
            lines.insert(1, ALLOWED_IPS + ", ".join(networks))
        sections[number] = "\n".join(lines)
    return "\n\n".join(sections)


def without_private_key(conf):
    """CONF as kilowg prints it."""
    lines = conf.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(PRIVATE_KEY))


def with_private_key(conf, key):
    """CONF as Kilo prints it, if there is a KEY."""
    if key is None or not conf.startswith(INTERFACE):
        return conf
    return f"{INTERFACE}{PRIVATE_KEY}{key}\n{conf.removeprefix(INTERFACE)}"


def text_digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def lines_digest(lines):
    """Of the different lines, in byte order."""
    ordered = sorted({line.encode() for line in lines})
    return hashlib.sha256(b"".join(line + b"\n" for line in ordered)).hexdigest()[:32]


def host_digests(host):
    """The entry of `digests` for a host that is there in full."""
    firewall = [host[part][order] for part in ("iptables", "tunnel_iptables")
                for order in ("append", "prepend")]
    return {
        "as_peer": text_digest(host["as_peer"]),
        "conf": None if host["conf"] is None else text_digest(host["conf"]),
        "iptables": lines_digest(sum(firewall, [])),
        "leader": host["leader"],
        "location": host["location"],
        "routes": lines_digest(host["routes"]),
        "rules": lines_digest(host["rules"]),
        "wireguard_cidr": host["wireguard_cidr"],
    }


def view_digests(view):
    """The digests of a peer view that is there in full."""
    return {"conf": text_digest(view["conf"]), "routes": lines_digest(view["routes"])}
