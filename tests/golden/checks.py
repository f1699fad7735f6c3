# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Checks one golden case: kilowg's answers against what Kilo computes."""

import difflib
import json
import pathlib
import subprocess
from typing import NamedTuple

import cluster_to_ini
import dot
import quirks
import texts

TIMEOUT_SECONDS = 120
REFUSED = 1
OUT_OF_ADDRESSES = "ran out of IP addresses"
GRAPH_HOSTS = 3

# Of a host, and of a segment, what no quirk changes.
SURE_FIELDS = ("location", "leader", "wireguard_cidr", "listen_port", "persistent_keepalive",
               "private_ip", "pod_subnet", "discovered_endpoints", "tunnel_address")
SURE_SEGMENT_FIELDS = ("location", "leader", "hostnames", "cidrs", "cni_compatibility_ips",
                       "private_ips", "key", "endpoint", "persistent_keepalive", "wireguard_ip",
                       "allowed_ips")

# What `plan` has of the golden `hosts` (the configurations come from showconf).
PLAN_FIELDS = (
    "location", "leader", "wireguard_cidr", "listen_port", "persistent_keepalive",
    "private_ip", "pod_subnet", "discovered_endpoints", "wg_endpoints", "routes",
    "rules", "iptables", "tunnel_iptables", "tunnel_address",
)
MESH_FIELDS = ("segments", "peers")
HOST_FIELDS = {*PLAN_FIELDS, "as_peer", "conf", "route_conflicts"}
OWN_FIELDS = {"version": int, "digest": str, "node": str, "warnings": list}


class Broken(Exception):
    """An answer that cannot be compared at all."""


class Result(NamedTuple):
    hosts: int
    incomparable: int
    differences: list
    unclear: str = "" # why the right answer is known in part only


class Program:
    """kilowg with the INI file of one case."""

    def __init__(self, path, ini):
        self.command = [str(path), "-f", str(ini)]

    def run(self, *arguments):
        try:
            return subprocess.run([*self.command, *arguments], stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Broken(f"{_shown(arguments)}: no answer in {TIMEOUT_SECONDS} s") from None

    def text(self, *arguments):
        done = self.run(*arguments)
        if done.returncode != 0:
            complaint = done.stderr.decode(errors="replace")
            failure = f"{_shown(arguments)}: exit status {done.returncode}"
            raise Broken(f"{failure}\n{complaint}".rstrip())
        return done.stdout.decode(errors="backslashreplace")

    def json(self, *arguments, fields):
        answer = self.text(*arguments)
        try:
            parsed = json.loads(answer)
        except ValueError as error:
            raise Broken(f"{_shown(arguments)}: not JSON: {error}") from None
        missing = [f for f in fields if not isinstance(parsed, dict) or f not in parsed]
        if missing:
            raise Broken(f"{_shown(arguments)}: not there: {', '.join(missing)}")
        return parsed

    def refusal(self, *arguments, reason=""):
        """What is wrong if kilowg does not refuse, or for another reason."""
        done = self.run(*arguments)
        complaint = done.stderr.decode(errors="replace")
        if done.returncode != REFUSED:
            return [f"{_shown(arguments)}: exit status {done.returncode}, not {REFUSED}"]
        if done.stdout:
            return [f"{_shown(arguments)}: refuses, but prints something"]
        if not complaint or reason not in complaint:
            return [f"{_shown(arguments)}: refuses without saying {reason or 'why'!r}: {complaint}"]
        return []


def comparable(field, expected, actual):
    """Of routes only the set counts; Kilo lists some twice, kilowg none."""
    if field == "routes":
        return sorted(set(expected)), sorted(actual)
    return expected, actual


def _shown(arguments):
    return "kilowg " + " ".join(arguments)


def _lines(value):
    if isinstance(value, str) and "\n" in value:
        return value.splitlines()
    if isinstance(value, dict):
        return [f"{key}: {line}" for key in sorted(value) for line in _lines(value[key])]
    if isinstance(value, list):
        return [line for item in value for line in _lines(item)]
    return [json.dumps(value, ensure_ascii=False)]


def compare(label, expected, actual):
    """No difference, or one as a text."""
    # As JSON, for Python takes 1, 1.0 and true for equal.
    if json.dumps(expected, sort_keys=True) == json.dumps(actual, sort_keys=True):
        return []
    lines = list(difflib.unified_diff(_lines(expected), _lines(actual), n=0, lineterm=""))[2:]
    lines = [line for line in lines if not line.startswith("@@")]
    return ["\n".join([f"{label}:", *(lines or [f"{expected!r} is not {actual!r}"])])]


def sample(items):
    """The first, the middle and the last, each once."""
    return [items[i] for i in sorted({0, len(items) // 2, len(items) - 1})] if items else []


class Case:
    """One case while it is checked."""

    def __init__(self, cluster_path, program_path, folder):
        self.cluster = json.loads(cluster_path.read_bytes())
        self.kilo = json.loads(expected_of(cluster_path).read_bytes())
        self.unclear = ""
        try:
            self.expected = quirks.rewrite(self.kilo)
        except quirks.UnclearCase as why:
            self.expected, self.unclear = self.kilo, str(why)
        self.rewritten = bool(quirks.REWRITING & set(self.kilo["quirks"]))
        self.incomparable = 0
        self.ini = pathlib.Path(folder, case_name(cluster_path) + ".ini")
        self.program = Program(program_path, self.ini)

    def run(self):
        differences = self.check_golden_file() + self.check_readiness()
        self.ini.write_text(cluster_to_ini.convert(self.cluster), encoding="utf-8")
        for check in self.checks():
            try:
                differences += check()
            except Broken as broken:
                differences.append(str(broken))
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                differences.append(f"an answer of unknown form: {error!r}")
        return Result(len(self.expected["digests"]), self.incomparable, differences, self.unclear)

    def checks(self):
        """The checks of this case, as functions that return differences."""
        if self.expected["error"] or quirks.ADDRESS_MISSING in self.expected["quirks"]:
            for host in sample(self.expected["ready_nodes"]):
                yield lambda host=host: self.check_refused(host)
            return
        if self.unclear:
            for host in sorted(self.expected["digests"]):
                yield lambda host=host: self.check_sure(host)
            return
        for host in sorted(self.expected["digests"]):
            yield lambda host=host: self.check_host(host)
        for peer, variants in sorted(self.expected["peer_views"].items()):
            for variant in variants:
                for host in self.hosts_of(variant):
                    yield lambda peer=peer, variant=variant, host=host: (
                        self.check_view(peer, variant, host))
        for peer in self.cluster["peers"]:
            if peer["name"] in self.expected["ready_peers"] and self.expected["ready_nodes"]:
                yield lambda peer=peer: self.check_as_peer(peer)
        if self.expected["graph"] is not None:
            for host in sample(self.expected["ready_nodes"])[:GRAPH_HOSTS]:
                yield lambda host=host: self.check_graph(host)

    # --- of the whole case -------------------------------------------------

    def check_golden_file(self):
        """Does the expected data agree with itself, so that nothing is left out?"""
        kilo, differences = self.kilo, []
        if not kilo["error"]:
            differences += compare("names in digests", kilo["ready_nodes"], sorted(kilo["digests"]))
            differences += compare("names in peer_views", kilo["ready_peers"],
                                   sorted(kilo["peer_views"]))
        for name, host in kilo["hosts"].items():
            if set(host) != HOST_FIELDS:
                differences.append(f"golden host {name}: fields that are not compared")
            differences += compare(f"golden digests of {name}", kilo["digests"][name],
                                   texts.host_digests(host))
        for name, variants in kilo["peer_views"].items():
            hosts = sorted(sum((view["hosts"] for view in variants), []))
            if hosts != ["*"]:
                differences += compare(f"hosts that see peer {name}", kilo["ready_nodes"], hosts)
            for view in variants:
                if view["conf"] is not None:
                    differences += compare(f"golden digest of peer {name}", view["digest"],
                                           texts.view_digests(view))
        return differences

    def check_readiness(self):
        """The converter's own part: who takes part in the mesh."""
        differences = []
        for kind, ready in (("nodes", cluster_to_ini.ready_nodes(self.cluster)),
                            ("peers", cluster_to_ini.ready_peers(self.cluster))):
            ready = sorted(item["name"] for item in ready)
            absent = sorted({item["name"] for item in self.cluster[kind]} - set(ready))
            differences += compare(f"ready_{kind}", self.expected[f"ready_{kind}"], ready)
            differences += compare(f"not_ready_{kind}", self.expected[f"not_ready_{kind}"], absent)
        return differences

    def check_refused(self, host):
        reason = self.expected["error"] or OUT_OF_ADDRESSES
        if OUT_OF_ADDRESSES in reason:
            reason = OUT_OF_ADDRESSES
        return self.program.refusal("--node", host, "--json", "plan", reason=reason)

    def check_as_peer(self, peer):
        """The keepalive is the peer's own, as kgctl prints it, not that of a node."""
        text = self.program.text("--node", self.expected["ready_nodes"][0], "showconf", "peer",
                                 peer["name"], "--as-peer")
        wanted = f"PersistentKeepalive = {peer['persistent_keepalive'] or 0}"
        return [] if wanted in text.splitlines() else [f"{peer['name']} --as-peer: no {wanted!r}: {text}"]

    def check_graph(self, host):
        text = self.program.text("--node", host, "graph")
        try:
            actual = dot.parse(text)
        except dot.DotError as error:
            raise Broken(f"graph of {host}: {error}") from None
        lines = dot.parse(self.expected["graph"]).differences(actual)
        return ["\n".join([f"graph of {host}:", *lines])] if lines else []

    # --- of one host -------------------------------------------------------

    def check_host(self, host):
        plan = self.program.json("--node", host, "--json", "plan",
                                 fields=(*OWN_FIELDS, *MESH_FIELDS, *PLAN_FIELDS))
        differences = self.check_own_fields(host, plan)
        for field in MESH_FIELDS:
            differences += compare(f"{host} {field}", self.expected[field], plan[field])
        actual = {field: plan[field] for field in PLAN_FIELDS}
        actual["conf"], refusal = self.configuration(host)
        differences += refusal
        if not plan["leader"]:  # Kilo's library has an answer: that of the leader; kgctl has none
            differences += self.program.refusal("showconf", "node", host, "--as-peer")
        actual["as_peer"] = self.program.text("showconf", "node", self.leader(plan), "--as-peer")
        by_fields = host in self.expected["hosts"]
        compare_all = self.check_fields if by_fields else self.check_digests
        return differences + compare_all(host, actual)

    def check_sure(self, host):
        """Where the quirks leave open what is right: a plan, and what they do not touch."""
        plan = self.program.json("--node", host, "--json", "plan",
                                 fields=(*OWN_FIELDS, *MESH_FIELDS, *PLAN_FIELDS))
        differences = self.check_own_fields(host, plan)
        for number, segment in enumerate(self.expected["segments"]):
            actual = plan["segments"][number]
            for field in SURE_SEGMENT_FIELDS:
                differences += compare(f"{host} segment {number} {field}", segment[field],
                                       actual[field])
        expected = self.expected["hosts"].get(host)
        if expected is None:
            expected = self.expected["digests"][host]
        for field in SURE_FIELDS:
            if field in expected:
                differences += compare(f"{host} {field}", expected[field], plan[field])
        self.incomparable += 1
        return differences

    @staticmethod
    def check_own_fields(host, plan):
        """What only kilowg has: there, and of the right type."""
        differences = compare(f"{host} node", host, plan["node"])
        for field, kind in OWN_FIELDS.items():
            if not isinstance(plan[field], kind):
                differences.append(f"{host} {field}: {plan[field]!r} is no {kind.__name__}")
        return differences

    @staticmethod
    def leader(plan):
        """The node that leads the segment of this plan."""
        for segment in plan["segments"]:
            if segment["location"] == plan["location"]:
                return segment["leader"]
        raise Broken(f"no segment {plan['location']}")

    def configuration(self, host):
        """The configuration of HOST, or None and how a follower's was not refused."""
        arguments = ("showconf", "node", host)
        if self.expected["digests"][host]["conf"] is not None:
            return self.program.text(*arguments), []
        return None, self.program.refusal(*arguments)

    def check_fields(self, host, actual):
        expected = dict(self.expected["hosts"][host])
        if expected["conf"] is not None:
            expected["conf"] = texts.without_private_key(expected["conf"])
        return [difference for field in (*PLAN_FIELDS, "as_peer", "conf")
                for difference in compare(f"{host} {field}",
                                          *comparable(field, expected[field], actual[field]))]

    def check_digests(self, host, actual):
        if quirks.HOST_BITS in self.expected["quirks"]:
            self.incomparable += 1
            return []
        if actual["conf"] is not None:
            key = self.cluster["private_key"]
            actual = {**actual, "conf": texts.with_private_key(actual["conf"], key)}
        kilo = {**actual, **quirks.undo(self.expected, actual)}
        differences = self.check_undone(host, kilo, actual)
        expected, got = dict(self.expected["digests"][host]), texts.host_digests(kilo)
        wrong = {field for field in expected if expected[field] != got[field]}
        if wrong and wrong <= quirks.cannot_undo(self.expected, actual):
            self.incomparable += 1
            return differences
        return differences + compare(f"{host} digests", expected, got)

    def check_undone(self, host, kilo, actual):
        """The way back from ACTUAL to Kilo's result must lead to ACTUAL again."""
        again = {**kilo, **quirks.rewrite_holder(self.expected["quirks"], kilo)}
        return (compare(f"{host} conf", again["conf"], actual["conf"])
                + compare(f"{host} routes", sorted(again["routes"]), sorted(actual["routes"])))

    # --- of one peer -------------------------------------------------------

    def hosts_of(self, variant):
        hosts = variant["hosts"]
        return sample(self.expected["ready_nodes"] if hosts == ["*"] else sorted(hosts))

    def check_view(self, peer, variant, host):
        extra = self.cluster["peer_extra_allowed_ips"]
        options = [word for network in extra for word in ("--allowed-ip", network)]
        actual = self.program.json("--node", host, "--json", "showconf", "peer", peer, *options,
                                   fields=("conf", "routes"))
        label = f"peer {peer} seen from {host}"
        if variant["conf"] is not None:
            return [difference for field in ("conf", "routes") for difference
                    in compare(f"{label} {field}",
                               *comparable(field, variant[field], actual[field]))]
        if self.rewritten:
            self.incomparable += 1
            return []
        return compare(f"{label} digest", variant["digest"], texts.view_digests(actual))


def expected_of(cluster_path):
    return cluster_path.with_name(cluster_path.name.replace(".cluster.", ".expected."))


def case_name(cluster_path):
    return cluster_path.name.removesuffix(".cluster.json")


def check(cluster_path, program_path, folder):
    """The Result of one case."""
    try:
        return Case(cluster_path, program_path, folder).run()
    except Exception as error:  # one broken case must not end the others
        return Result(0, 0, [f"{type(error).__name__}: {error}"])
