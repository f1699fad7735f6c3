#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Variants of golden cases that show what `run` takes for equal, and what not.

variants.py DATA FOLDER: FOLDER/right gets cases that kilowg has to pass, as it
does the ones in DATA that they are made of; FOLDER/wrong those that it has to
fail, one reason each.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True  # the source folder may be read-only

import texts  # noqa: E402

PLAIN = "142-compat-flannel-local"
REJECTED = "116-alip-default-route-peer"


def routes_of(expected, change):
    """CHANGE(list) to the routes of all hosts and peer views, and new digests."""
    for name, host in expected["hosts"].items():
        host["routes"] = change(host["routes"])
        expected["digests"][name] = texts.host_digests(host)
    for view in sum(expected["peer_views"].values(), []):
        view["routes"] = change(view["routes"])
        view["digest"] = texts.view_digests(view)


def routes_twice(_, expected):
    """Kilo lists a route twice where two nodes have one private address; only the set counts."""
    routes_of(expected, lambda routes: routes[::-1] + routes)


def route_missing(_, expected):
    routes_of(expected, lambda routes: routes[1:])


def route_else(_, expected):
    routes_of(expected, lambda routes: ["192.0.2.0/24 dev kilo", *routes[1:]])


def host_bits_rejected(cluster, expected):
    """Kilo shows what it rejected as it was written; kilowg masks first."""
    written = "192.0.2.7/0"
    for node in cluster["nodes"]:
        node["allowed_location_ips"] = [
            written if network == "0.0.0.0/0" else network
            for network in node["allowed_location_ips"]]
    for segment in expected["segments"]:
        segment["allowed_location_ips_rejected"] = [
            written if network == "0.0.0.0/0" else network
            for network in segment["allowed_location_ips_rejected"]]


def rejected_missing(_, expected):
    for segment in expected["segments"]:
        segment["allowed_location_ips_rejected"] = []


VARIANTS = (
    ("right", PLAIN, routes_twice),
    ("right", REJECTED, host_bits_rejected),
    ("wrong", PLAIN, route_missing),
    ("wrong", PLAIN, route_else),
    ("wrong", REJECTED, rejected_missing),
)


def main():
    data, folder = map(pathlib.Path, sys.argv[1:])
    for kind, case, change in VARIANTS:
        parts = [json.loads((data / f"{case}.{part}.json").read_bytes())
                 for part in ("cluster", "expected")]
        before = json.dumps(parts)
        change(*parts)
        if json.dumps(parts) == before:
            sys.exit(f"{change.__name__} changes nothing in {case}")
        (folder / kind).mkdir(parents=True, exist_ok=True)
        name = f"{case}-{change.__name__.replace('_', '-')}"
        for part, content in zip(("cluster", "expected"), parts):
            (folder / kind / f"{name}.{part}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main()
