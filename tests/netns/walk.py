#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""walk.py [BEFORE.ini AFTER.ini NODE]: for tests/netns/walk.sh, which says what it does.

Each host has a twin: the same host, alone, on which nothing was applied before.
"""
import concurrent.futures
import difflib
import ipaddress
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import walk_config
from walk_config import NODES
from walk_hosts import ALONE, Host, batch, links, must, run
from walk_reduce import reduced

SEED, WALKS, STEPS = (int(os.environ[v]) for v in ("SEED", "WALKS", "STEPS"))
KEEP_GOING = os.environ.get("KEEP_GOING") == "yes"
LACKING = set(os.environ["LACKING"].split())
HAS = set(os.environ["HAS"].split())
workers = concurrent.futures.ThreadPoolExecutor(4)


def say(text):
    for line in text.splitlines():
        print("#", line, flush=True)


class Failed(Exception):
    """What is not as it should be, and the remarks on it."""

    def __init__(self, what, node, *remarks):
        super().__init__(what)
        self.node, self.remarks = node, remarks


def require(condition, what, node, *remarks):
    if not condition:
        raise Failed(what, node, *remarks)


def difference(want, got, want_name, got_name):
    lines = list(difflib.unified_diff(want, got, want_name, got_name, n=0, lineterm=""))
    lines = [line for line in lines if not line.startswith("@@")]
    return "\n".join(lines[:40] + [f"... and {len(lines) - 40} more"] * (len(lines) > 40))


def require_equal(want, got, what, node, want_name, got_name):
    require(want == got, what, node, difference(want, got, want_name, got_name))


def on_all(function, hosts):
    """The function on each host, some at a time; the first failure is raised."""
    return list(workers.map(function, hosts))


# ---- hosts and twins -------------------------------------------------------


def bridges():
    for name in ("wan", "lan1", "lan2", "lan3"):
        batch(None, [f"link add {name} type bridge", f"link set {name} up"])
    must("ip", "netns", "add", ALONE)


def router():
    """Between the two networks of one site. It knows nothing of pods."""
    must("ip", "netns", "add", "router")
    for net in (1, 2):
        batch(None, [f"link add r{net} type veth peer name lan{net} netns router",
                     f"link set r{net} master lan{net} up"])
        batch("router", [f"link set lan{net} up", f"addr add 10.1.{net}.254/24 dev lan{net}",
                         f"addr add fd01:{net}::fe/64 dev lan{net} nodad"])
    must("ip", "netns", "exec", "router", "sh", "-c",
         "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")


class ConnectedHost(Host):
    """One on the network, with a pod, which is a namespace, too."""

    def __init__(self, node):
        super().__init__(node, node, HAS)
        must("ip", "netns", "add", f"{node}.pod")
        self.make_connected()

    def make_connected(self):
        self.make(connected=True)
        self.pristine = self.state()

    def make_again(self):
        """The cables are gone at once, so that the pod's addresses are free."""
        batch(self.name, [f"link del {l[0]}" for l in links(self.node)])
        self.remove()
        self.make_connected()


class Twin(Host):
    """Made anew for each question."""

    def __init__(self, node):
        super().__init__(node, f"{node}.twin", HAS)

    def state_after(self, *configs):
        """The state after applying these one after the other on the fresh host, with what
        each apply said."""
        self.make(connected=False)
        try:
            said = []
            for config in configs:
                self.write(config)
                done = apply(self)
                said.append((done.returncode, done.stderr.strip()))
            return seen(self, configs[-1]), said
        finally:
            self.remove()


def apply(host):
    return host.kilowg("apply", "--switch-backend")


def cni_path(config, node):
    keys = config.local_keys(node)
    return keys["cni-path"] if keys.get("cni") == "yes" else None


def keys_of_all(config):
    return [config.node_keys(n) for n in config.nodes] + [config.peer_keys(p) for p in config.peers]


def endpoints(config):
    """By public key the endpoint, and whether what WireGuard has learnt takes its place."""
    return {k["public-key"]: ((k.get("endpoint"), k.get("endpoint-address")), k.get("persistent-keepalive"))
            for k in keys_of_all(config)}


def seen(host, config):
    """A host's state, without the endpoints of peers that WireGuard may know better."""
    roaming = {key for key, (endpoint, roams) in endpoints(config).items() if roams or not endpoint[0]}
    return [re.sub(" endpoint [^ ]*", " endpoint any", line)
            if line.startswith("wireguard") and line.split()[3] in roaming else line
            for line in host.state(cni_path(config, host.node))]


def foreign_is_there(host, config):
    """All that was there before the first apply is there now."""
    left = seen(host, config)
    missing = [line for line in host.pristine if line not in left]
    require(not missing, "something of others is gone", host.node, "\n".join(missing))


# ---- which pods reach each other -------------------------------------------


def plans_of(hosts, config):
    """The plans of all nodes that take part."""
    def plan(host):
        return host.node, json.loads(host.kilowg("--json", "plan").stdout)
    return dict(on_all(plan, [hosts[n] for n in sorted(config.nodes)]))


def longest(pairs, address):
    """Of (network, value) the value whose network is the narrowest around the address."""
    found = [(n.prefixlen, i, v) for i, (n, v) in enumerate(pairs) if address in n]
    return max(found)[2] if found else None


def network(text):
    return ipaddress.ip_network(text, strict=False)


def next_hop(plans, config, node, address):
    """(how, where) a packet goes from a node, or None: nowhere, or nobody can say from the plan."""
    routes = [(network(r.split()[0]), r.split()) for r in plans[node]["routes"] if " table " not in r]
    words = longest(routes, address)
    if not words:
        return None
    role = words[words.index("dev") + 1]
    if role == "kilo":
        peers = [(network(a), p["name"]) for p in plans[node]["wireguard_peers"] for a in p["allowed_ips"]]
        name = longest(peers, address)
        leaders = [s["leader"] for s in plans[node]["segments"] if s["location"] == name]
        return (role, leaders[0]) if leaders else None
    for other in sorted(config.nodes):
        if other != node and is_gateway(plans, node, other, words[words.index("via") + 1]):
            alike = walk_config.NETWORK[other] == walk_config.NETWORK[node]
            return (role, other) if role == "tunl" or alike else None
    return None


def is_gateway(plans, node, other, via):
    """Its private address; in a tunnel its link-local one, by which its own pods are reached."""
    if plans[other]["private_ip"] and plans[other]["private_ip"].split("/")[0] == via:
        return True
    if plans[other]["location"] != plans[node]["location"] or not via.startswith("fe80"):
        return False
    own = [r.split() for r in plans[node]["routes"] if r.split()[0] in plans[other]["pod_subnets"]]
    return any("via" in w and w[w.index("via") + 1] == via for w in own)


def way(plans, config, start, address):
    """The hops from a node to a pod's address, or None."""
    node, hops = start, []
    while len(hops) < 5:
        if any(address in network(c) for c in plans[node]["pod_subnets"]):
            return hops
        hop = next_hop(plans, config, node, address)
        if not hop:
            return None
        hops.append(hop)
        node = hop[1]
    return None


def pod_addresses(config, node):
    """By family, that of a node's pod."""
    own = walk_config.pod_networks(node)
    return {network(c).version: pod_of(own[c]) for c in reversed(config.nodes[node]["pod-cidr"])}


def pod_of(address):
    """The pod's address in the network in which the node has this one."""
    return ipaddress.ip_address(address.split("/")[0]) + 1


def connection(plans, config, one, other, family):
    """(address, ways there and back) from pod to pod, or None if they need not reach each other."""
    here, there = (pod_addresses(config, n).get(family) for n in (one, other))
    if not here or not there:
        return None
    ways = way(plans, config, one, there), way(plans, config, other, here)
    return (here, there, ways) if None not in ways else None


def start_ping(one, here, address, *options):
    return subprocess.Popen(["ip", "netns", "exec", f"{one}.pod", "ping", "-n", "-I", str(here), *options,
                             str(address)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lost_packets(text):
    """Those of a ping that have no answer though a later one has."""
    answered = [int(n) for n in re.findall(r"bytes from .*icmp_seq=(\d+)", text)]
    return max(answered, default=0) - len(set(answered))


def require_reach(plans, config, one, other, family):
    """If one has still a session that the other has no more, the other has to begin."""
    found = connection(plans, config, one, other, family)
    if not found:
        return
    here, there, ways = found
    options = ("-c", "1", "-i", "0.2", "-w", "25")
    pings = [start_ping(one, here, there, *options)]
    try:
        pings[0].wait(0.2)
    except subprocess.TimeoutExpired:
        pings.append(start_ping(other, there, here, *options))
    for ping in pings:
        text = ping.communicate()[0]
        require(ping.returncode == 0, f"the pod of {one} cannot reach that of {other}", one,
                f"{here} and {there}, the ways by the plans: {ways}", text)


def end_ping(ping):
    """What it has printed. Before it listens to the signal, the signal may be lost."""
    while True:
        ping.send_signal(signal.SIGINT)
        try:
            return ping.communicate(timeout=1)[0]
        except subprocess.TimeoutExpired:
            pass


def loses_ipv4(before, after, found):
    """Does WireGuard's interface on these ways change from IPv4 to IPv6? With its last IPv4 address the kernel
    drops its IPv4 routes, also those made anew before that."""
    def has_ipv4(plan):
        return ":" not in (plan["wireguard_cidr"] or ":")

    nodes = {hop[1] for hops in found[2] for hop in hops}
    return any(has_ipv4(before[n]) and not has_ipv4(after[n]) for n in nodes & before.keys() & after.keys())


class Observer:
    """A ping through the mesh while it changes."""

    def __init__(self, plans, config, one, other, family):
        self.one, self.other, self.family, self.plans = one, other, family, plans
        self.found = connection(plans, config, one, other, family)
        self.ping = None
        if self.found:
            # With a session, so that no packet has to wait for one.
            require_reach(plans, config, one, other, family)
            self.ping = start_ping(one, self.found[0], self.found[1], "-i", "0.01", "-W", "1")

    def end(self, plans, config, may_lose):
        """No packet is lost if the ways are those from before and no session had to be made anew."""
        if not self.ping:
            return
        # Some packets more: those after the change count, too.
        time.sleep(0.05)
        text = end_ping(self.ping)
        now = connection(plans, config, self.one, self.other, self.family) \
            if {self.one, self.other} <= set(config.nodes) else None
        lost = lost_packets(text)
        may_lose = may_lose or self.family == 4 and loses_ipv4(self.plans, plans, self.found)
        require(may_lose or now != self.found or not lost,
                f"{lost} packets from the pod of {self.one} to that of {self.other} were lost, "
                "though nothing on their way has changed", self.one, str(self.found), text)


# ---- a walk ----------------------------------------------------------------


class Drawn:
    """What is random in a step, but for the files: drawn at once, so that it does not
    depend on what happens."""

    def __init__(self, rng, config, everywhere):
        self.pairs = [(*rng.sample(sorted(NODES), 2), rng.choice((4, 6))) for _ in range(3)]
        self.failing = rng.choice(sorted(NODES)) if rng.random() < 0.3 else None
        self.call = rng.choice(("sendto,sendmsg", "sendto,sendmsg", "recvmsg"))
        self.when = rng.randint(8, 60)
        self.by_new_file = rng.random() < 0.5
        self.through_down = rng.random() < 0.1
        self.order = rng.sample(sorted(NODES), len(NODES))
        self.compared = set(NODES) if everywhere else {rng.choice(sorted(config.nodes))}


class Walk:
    def __init__(self, hosts, twins, seed):
        self.hosts, self.twins, self.seed = hosts, twins, seed
        self.rng = random.Random(seed)
        self.keys = walk_config.changeable(LACKING)
        self.config = walk_config.first(self.rng, seed)
        self.before, self.changed, self.step = self.config, [], 0
        self.plans = {}

    def run(self):
        """The number of steps that went wrong."""
        bad = 0
        bad += self.attempt(self.begin)
        for self.step in range(1, STEPS + 1):
            self.before = self.config
            self.config, self.changed = self.next_config()
            bad += self.attempt(self.change)
            if bad and not KEEP_GOING:
                break
        self.step, self.before = STEPS + 1, self.config
        bad += self.attempt(self.end)
        return bad

    def attempt(self, function):
        try:
            function()
            return 0
        except Failed as failure:
            self.report(failure)
            self.heal()
            return 1

    def next_config(self):
        """One to three changes that the files allow."""
        while True:
            config = self.config.copy()
            changed = [walk_config.change(self.rng, config, self.keys)
                       for _ in range(self.rng.choice((1, 1, 2, 3)))]
            if self.is_accepted(config):
                return config, changed

    def is_accepted(self, config):
        if not config.nodes:
            return False
        name = sorted(config.nodes)[0]
        return run(os.environ["KILOWG"], "-f", "-", "--node", name, "--quiet", "check",
                   stdin=config.text(name)).returncode == 0

    # ---- steps

    def present(self, config=None, order=tuple(NODES)):
        return [self.hosts[n] for n in order if n in (config or self.config).nodes]

    def write(self):
        for host in self.present():
            host.write(self.config)

    def begin(self):
        self.write()
        self.plans = plans_of(self.hosts, self.config)
        on_all(self.apply, self.present())
        on_all(self.compare, self.present())

    def change(self):
        drawn = Drawn(self.rng, self.config, everywhere=self.step % 5 == 0)
        observer = self.observe(*drawn.pairs[0])
        leaving = self.leaving(drawn)
        self.leave(leaving, drawn)
        if drawn.failing in self.config.nodes and "strace" in HAS:
            self.apply_failing(self.hosts[drawn.failing], drawn.call, drawn.when)
        on_all(self.apply, self.present(order=drawn.order))
        if observer:
            observer.end(self.plans, self.config, may_lose=leaving or drawn.failing)
        if self.is_disruptive():
            self.settle()
        on_all(self.require_no_difference, self.present())
        on_all(self.compare, [h for h in self.present() if h.node in drawn.compared])
        for one, other, family in drawn.pairs:
            if {one, other} <= set(self.config.nodes):
                require_reach(self.plans, self.config, one, other, family)

    def leaving(self, drawn):
        """The hosts on which down comes first."""
        every = drawn.through_down or self.roamer_moves()
        return [h for h in self.present(self.before) if every or h.node not in self.config.nodes]

    def leave(self, leaving, drawn):
        """Down, with the old file or the new, and the new file for all."""
        if drawn.by_new_file:
            for host in leaving:
                host.write(self.config)
        on_all(self.down, leaving)
        self.write()
        self.plans = plans_of(self.hosts, self.config)

    def observe(self, one, other, family):
        if not self.is_disruptive() and {one, other} <= set(self.config.nodes) & set(self.before.nodes):
            return Observer(self.plans, self.before, one, other, family)
        return None

    def roamer_moves(self):
        """Of a node or peer with a keepalive of its own WireGuard's endpoint stays, and its MTU
        with it; two such nodes that move at the same time do not even find each other."""
        before, after = endpoints(self.before), endpoints(self.config)
        return any(before[k][0] != after[k][0] and (before[k][1] or after[k][1])
                   for k in before.keys() & after.keys())

    def is_disruptive(self):
        return set(self.changed) & walk_config.DISRUPTIVE

    def end(self):
        on_all(self.down, self.present())

    # ---- what has to be true

    def apply(self, host):
        done = apply(host)
        require(done.returncode == 0, "apply fails", host.node, done.stderr)

    def apply_failing(self, host, call, when):
        """If a request fails, or its answer is lost, then nothing has changed or all is done."""
        old = host.state()
        done = host.kilowg("apply", "--switch-backend", before=(
            "strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=ENOBUFS:when={when}"))
        if done.returncode:
            require_equal(old, host.state(), f"apply fails (its {call} number {when} does) and leaves something",
                          host.node, "before", "after")

    def down(self, host):
        done = host.kilowg("down")
        require(done.returncode == 0, "down fails", host.node, done.stderr)
        require_equal(host.pristine, host.state(), "down leaves something, or took what is not ours", host.node,
                      "before the first apply", "after down")

    def require_no_difference(self, host):
        done = host.kilowg("diff")
        require(done.returncode == 0 and not done.stdout, "apply ended well, and diff has something", host.node,
                done.stdout + done.stderr)

    def settle(self):
        """A packet that was on its way when an endpoint changed moves it back: then it is set once more."""
        for _ in range(5):
            diffs = zip(self.present(), on_all(lambda host: host.kilowg("diff").stdout, self.present()))
            moved = [host for host, diff in diffs
                     if diff and all(" endpoint " in line for line in diff.splitlines())]
            if not moved:
                return
            on_all(self.apply, moved)

    def compare(self, host):
        fresh, said = self.twins[host.node].state_after(self.config)
        require(said[0][0] == 0, "a first apply fails", host.node, said[0][1])
        require_equal(fresh, seen(host, self.config), "the host is not as a first apply would have made it",
                      host.node, "first apply", "this host")
        foreign_is_there(host, self.config)

    # ---- failures

    def report(self, failure):
        say(f"step {self.step} of the walk with SEED={self.seed}, node {failure.node}: {failure}")
        for remark in failure.remarks:
            say(remark)
        say("changed: " + ", ".join(f"{key} of [{part}]" for part, key in self.changed))
        self.report_files(failure.node, self.before, self.config)
        if not KEEP_GOING:
            self.report_reduced(failure.node)
        say(f"to repeat it: SEED={self.seed} WALKS=1 STEPS={self.step} tests/netns/walk.sh")

    def report_reduced(self, node):
        """Most failures need neither the other hosts nor all that the files say."""
        if node not in self.config.nodes or node not in self.before.nodes:
            return
        found = reduced(self.twins[node], self.before, self.config)
        if not found:
            say("on a fresh host the second file follows the first without a failure")
            return
        before, after, remarks = found
        say("the same kind of failure with less:")
        self.report_files(node, before, after)
        say(remarks if isinstance(remarks, str) else difference(*remarks, "first apply", "this host"))

    def report_files(self, node, before, after):
        name = node if node in after.nodes else sorted(after.nodes)[0]
        old, new = (c.text(name).splitlines() for c in (before, after))
        say("the file before:")
        say(without_secrets("\n".join(old)))
        say("and what changes in it:")
        say(without_secrets(difference(old, new, "before", "after")))

    def heal(self):
        """As if all had been well: down, by hand where that leaves something, and a new apply."""
        for host in self.hosts.values():
            host.kilowg("down")
            if host.state() != host.pristine:
                host.make_again()
        self.write()
        self.plans = plans_of(self.hosts, self.config)
        for host in self.present():
            apply(host)


def without_secrets(text):
    return re.sub("^([-+ ]?preshared-key) = .*", r"\1 = (hidden)", text, flags=re.M)


# ---- two files -------------------------------------------------------------


class Files:
    """Files as they are, but for the key of the node, whose private one is not in them."""

    def __init__(self, file, node):
        self.nodes, self.peers, self.node = {node: {}}, {}, node
        with open(file) as f:
            self.content = f.read()
        private = walk_config.Config("files").private_key(node, 1)
        self.private, self.public = private, walk_config.public_key(private)

    def text(self, _):
        parts = re.split(r"(?m)^(?=\[)", self.content)
        own = rf"(?m)^name = {self.node}$"
        return "".join(re.sub("(?m)^public-key = .*", f"public-key = {self.public}", part)
                       if part.startswith("[node]") and re.search(own, part) else part for part in parts)

    def node_private_key(self, _):
        return self.private

    def node_keys(self, _):
        return {"public-key": self.public, "endpoint": "its own"}

    def local_keys(self, _):
        return dict(re.findall("(?m)^(cni|cni-path) = (.*)$", self.content))


def follow(before, after, node):
    """Applies one file after the other on a fresh host; shows how that differs from a first apply."""
    files = [Files(file, node) for file in (before, after)]
    twin = Twin(node)
    fresh, said_first = twin.state_after(files[1])
    both, said = twin.state_after(*files)
    for what, (status, text) in zip(("first apply", "before", "after"), said_first + said):
        say(f"{what}: apply ends with {status} {text}")
    say(difference(fresh, both, "first apply", "one after the other"))
    right = fresh == both and not any(status for status, _ in said_first + said)
    print(f"{'ok' if right else 'not ok'} 1 - {after} after {before} on {node}\n1..1")
    return 0 if right else 1


# ---- what is run -----------------------------------------------------------


def check_keys():
    """Does the table have all keys that a file can have?"""
    known = {(part, key) for part, table in walk_config.KEYS.items() for key in table}
    there = {tuple(line.split("\t")[:2])
             for line in run(os.environ["KILOWG"], "check", "--keys").stdout.splitlines()}
    if known == there:
        print("ok 1 - all keys of the file format are accounted for")
        return True
    print("not ok 1 - all keys of the file format are accounted for")
    say(f"differ: {sorted(known ^ there)}")
    return False


def main():
    if len(sys.argv) == 4:
        must("ip", "netns", "add", ALONE)
        return follow(*sys.argv[1:])
    passed = check_keys()
    bridges()
    router()
    hosts = {n: ConnectedHost(n) for n in NODES}
    twins = {n: Twin(n) for n in NODES}
    for number in range(WALKS):
        began = time.monotonic()
        bad = Walk(hosts, twins, SEED + number).run()
        passed = passed and not bad
        print(f"{'not ok' if bad else 'ok'} {number + 2} - SEED={SEED + number}: {STEPS} steps", flush=True)
        say(f"{time.monotonic() - began:.1f} s")
    print(f"1..{WALKS + 1}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
