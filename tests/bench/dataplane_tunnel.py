# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""A tunnel between two namespaces, for tests/bench/dataplane; commands and /proc."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time

FILES = "/run/t"  # of this run; a file system of its own, gone afterwards
WG_PORT = 51820
OUTER = {"a": "10.99.0.1", "b": "10.99.0.2"}  # the veth pair
INNER = {"a": "10.77.0.1", "b": "10.77.0.2"}  # the tunnel
OUTER_MTU, INNER_MTU = 1500, 1420
TICKS = os.sysconf("SC_CLK_TCK")
OTHER_SIDE = {"a": "b", "b": "a"}


class Failure(Exception):
    """Something went wrong, for people to read."""

    status = 1


class Cannot(Failure):
    """Without something that is missing, nothing can be measured. Automake calls this a skip."""

    status = 77


# ---- commands ------------------------------------------------------------------------------


def run(*command, timeout=10, stdin=None):
    """The output of a command that has to succeed, and to end in time."""
    try:
        p = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin)
    except subprocess.TimeoutExpired:
        raise Failure(f"no end after {timeout} s: {shlex.join(command)}") from None
    except OSError as e:
        raise Failure(f"{command[0]}: {e.strerror}") from None
    if p.returncode:
        raise Failure(f"{shlex.join(command)}: {(p.stderr or p.stdout).strip()[-400:]}")
    return p.stdout


def works(*command, timeout=10):
    try:
        run(*command, timeout=timeout)
    except Failure:
        return False
    return True


def wait_for(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds} s: {what}")
        time.sleep(0.02)  # between two looks at the condition


@contextlib.contextmanager
def background(command, **options):
    """A process that runs meanwhile, and does not outlive the block."""
    p = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, **options)
    try:
        yield p
    finally:
        p.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            p.communicate(timeout=5)


def output_of(p, timeout):
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failure(f"no end after {timeout} s: {shlex.join(p.args)}") from None
    if p.returncode:
        raise Failure(f"{shlex.join(p.args)}: {(err or out).strip()[-400:]}")
    return out


# ---- /proc ---------------------------------------------------------------------------------


def read(path):
    """The text of a file in /proc; empty if the process has ended."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def state(pid):
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def alive(pid):
    fields = state(pid)
    return bool(fields) and fields[0] not in "ZX"


def marked(mark):
    """Processes with this in their environment: also those that went into the background."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and alive(pid)
            and mark in read(f"/proc/{pid}/environ").split("\0")]


def cpu_seconds(pids):
    """User and system time of all threads, also of those that have ended."""
    return sum(sum(map(int, state(pid)[11:13])) for pid in pids if state(pid)) / TICKS


def status_kib(pids, field):
    total = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/status").splitlines():
            if line.startswith(field + ":"):
                total += int(line.split()[1])
    return total


def switches(pids):
    """Voluntary context switches of each thread: how often it went to sleep."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                for line in read(f"/proc/{pid}/task/{task}/status").splitlines():
                    if line.startswith("voluntary_ctxt_switches:"):
                        found[task] = int(line.split()[1])
    return found


def listens(pid, protocol, port):
    """Does a socket in this process' network namespace wait at the port?"""
    wanted = {"tcp": "0A", "udp": "07"}[protocol]
    for line in read(f"/proc/{pid}/net/{protocol}").splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == wanted:
            return True
    return False


# ---- a tunnel between two namespaces -------------------------------------------------------


class Tunnel:
    """
    Two namespaces joined by veth and, unless it is "none", a daemon in each:

        aN  10.99.0.1 ------ veth ------ 10.99.0.2  bN
            10.77.0.1 ------ tunnel ---- 10.77.0.2
    """

    def __init__(self, number, name, template, programs):
        self.number, self.name, self.template = number, name, template
        self.programs = programs
        self.pids = {"a": [], "b": []}
        self.processes = []
        self.addresses = OUTER if template == "none" else INNER

    def namespace(self, side):
        return f"{side}{self.number}"

    def interface(self, side):
        return f"wg{self.number}{side}"

    def on(self, side, *command):
        return ("nsenter", f"--net=/run/netns/{self.namespace(side)}", "--", *command)

    def log(self, side):
        return f"{FILES}/{self.namespace(side)}.log"

    def mark(self, side):
        return f"KWG_BENCH={self.namespace(side)}"

    def up(self):
        for side in "ab":
            run("ip", "netns", "add", self.namespace(side))
            # Neighbour discovery would wake daemons that have nothing else to do.
            works(*self.on(side, "sh", "-c",
                           "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6;"
                           "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"))
            run(*self.on(side, "ip", "link", "set", "lo", "up"))
        run("ip", "link", "add", "eth0", "mtu", str(OUTER_MTU), "netns", self.namespace("a"),
            "type", "veth", "peer", "name", "eth0", "mtu", str(OUTER_MTU), "netns",
            self.namespace("b"))
        for side in "ab":
            self.address(side, "eth0", OUTER[side])
        if self.template != "none":
            for side in "ab":
                self.start(side)
            for side in "ab":
                self.configure(side)
        wait_for(lambda: self.ping(0.1, 20000)["answers"], f"{self.name}: an answer to a ping")

    def address(self, side, interface, address):
        run(*self.on(side, "ip", "address", "add", address + "/24", "dev", interface))
        run(*self.on(side, "ip", "link", "set", interface, "up"))

    def command(self, side):
        if self.template == "floor":
            return [self.programs["floor"], self.interface(side), str(WG_PORT),
                    OUTER[OTHER_SIDE[side]], str(WG_PORT)]
        return [word.replace("%i", self.interface(side)) for word in shlex.split(self.template)]

    def start(self, side):
        key, value = self.mark(side).split("=")
        environment = dict(os.environ, WG_PROCESS_FOREGROUND="1", **{key: value})
        with open(self.log(side), "ab") as log:
            self.processes.append(subprocess.Popen(
                self.on(side, *self.command(side)), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=environment))

    def answers(self, side):
        self.check_side(side)
        return works(*self.on(side, "ip", "link", "show", self.interface(side))) and (
            self.template == "floor" or works(*self.on(side, "wg", "show", self.interface(side))))

    def configure(self, side):
        peer = OTHER_SIDE[side]
        wait_for(lambda: self.answers(side), f"{self.name}: interface and socket")
        self.pids[side] = marked(self.mark(side))
        if self.template != "floor":
            run(*self.on(side, "wg", "set", self.interface(side),
                         "private-key", f"{FILES}/{side}.key", "listen-port", str(WG_PORT),
                         "peer", read(f"{FILES}/{peer}.pub").strip(),
                         "endpoint", f"{OUTER[peer]}:{WG_PORT}",
                         "allowed-ips", INNER[peer] + "/32"))
        run(*self.on(side, "ip", "link", "set", self.interface(side), "mtu", str(INNER_MTU)))
        self.address(side, self.interface(side), INNER[side])

    def is_started(self, side):
        """Whether there is a daemon. One that becomes another program shows no mark for a moment."""
        for _ in range(20):
            if self.pids[side] or marked(self.mark(side)):
                return True
            time.sleep(0.02)
        return False

    def check_side(self, side):
        if not self.is_started(side) or not all(map(alive, self.pids[side])):
            raise Failure(f"{self.name}: the daemon has ended: "
                          + (read(self.log(side)).strip()[-600:] or "it said nothing"))

    def check(self):
        """Fails if a daemon has ended."""
        if self.template != "none":
            self.check_side("a")
            self.check_side("b")

    def all_pids(self):
        return self.pids["a"] + self.pids["b"]

    def end(self, number):
        for side in "ab":
            for pid in marked(self.mark(side)):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)

    def ended(self):
        for p in self.processes:
            p.poll()
        return not marked(self.mark("a")) and not marked(self.mark("b"))

    def down(self):
        self.end(signal.SIGTERM)
        try:
            wait_for(self.ended, f"{self.name}: the end of the daemons", 3)
        except Failure:
            self.end(signal.SIGKILL)
            wait_for(self.ended, f"{self.name}: the end of the daemons, by force", 3)
        for side in "ab":
            works("ip", "netns", "del", self.namespace(side))
        self.pids = {"a": [], "b": []}
        self.processes = []

    def ping(self, seconds, interval):
        return json.loads(run(*self.on("a", self.programs["load"], "ping", self.addresses["b"],
                                       str(seconds), str(interval)), timeout=seconds + 10))
