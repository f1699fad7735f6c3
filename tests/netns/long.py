#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""long.py SCENARIO OURS OTHER PID-OF-OTHER: one pair of nodes, for tests/netns/long.sh.

Sends small packets through the tunnel and notes, with the time, what passes
between both nodes. Our side is 192.0.2.1 and 10.9.0.1, the other .2. Prints
"ok TEXT" or "not ok TEXT" lines.
"""
import ctypes, os, select, signal, socket, struct, sys, time

PORT = 4000
INITIATION, TRANSPORT, KEEPALIVE = 1, 4, 32
SLACK = 1.5  # of a busy machine


def check(passed, text, *notes):
    print("ok" if passed else "not ok", text)
    if not passed:
        for n in notes:
            print("#", n)
    sys.stdout.flush()


class Pair:
    def __init__(self, ours, other):
        self.tunnel = [self.sockets(ours, "10.9.0.1"), self.sockets(other, "10.9.0.2")]
        self.enter(ours)
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.wire.bind(("eth0", 3))
        self.seen = []       # (time, 0 ours or 1 other, type, length)
        self.sent, self.received = [0, 0], [0, 0]

    @staticmethod
    def enter(node):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/run/netns/" + node) as f:
            if libc.setns(f.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), "setns")

    def sockets(self, node, address):
        self.enter(node)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, PORT))
        return s

    def send(self, side):
        self.tunnel[side].sendto(b"x" * 20, ("10.9.0.%d" % (2 - side), PORT))
        self.sent[side] += 1
        return time.monotonic()

    def note(self):
        packet = self.wire.recv(65536)
        if len(packet) < 32 or packet[9] != socket.IPPROTO_UDP:
            return
        source, payload = packet[12:16], packet[28:]
        self.seen.append((time.monotonic(), 0 if source == bytes([192, 0, 2, 1]) else 1,
                          payload[0], struct.unpack(">H", packet[24:26])[0] - 8))

    def run(self, until, every=None):
        """Notes what passes until then; every so many seconds a packet each way."""
        following = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= until:
                return
            if every and now >= following:
                self.send(0), self.send(1)
                following += every
            end = min(until, following) if every else until
            ready, _, _ = select.select([self.wire] + self.tunnel, [], [], max(0, end - now))
            for s in ready:
                if s is self.wire:
                    self.note()
                else:
                    s.recv(65536)
                    self.received[self.tunnel.index(s)] += 1

    def begin(self, side):
        """The first packet, which is the first session's; returns when it began."""
        start = self.send(side)
        while not self.received[1 - side]:
            if time.monotonic() > start + 20:
                check(False, "a session begins", self.seen)
                sys.exit(1)
            self.run(time.monotonic() + 0.01)
        return start

    def times(self, side, kind, length=None, after=0.0):
        return [t for t, s, k, n in self.seen
                if s == side and k == kind and length in (None, n) and t >= after]

    def history(self, start):
        return ["%7.2f %s type %d, %d bytes" % (t - start, ("ours ", "other")[s], k, n)
                for t, s, k, n in self.seen[-60:]]


def trickle(pair, first):
    start = pair.begin(first)
    pair.run(start + 135, every=0.1)
    pair.run(time.monotonic() + 1)
    begun = pair.times(first, INITIATION)
    check(len(begun) == 2 and 119.9 <= begun[1] - begun[0] <= 120 + SLACK,
          "one new session, when the first is 120 s old", ["%.2f" % (t - start) for t in begun])
    check(not pair.times(1 - first, INITIATION), "of who began the first")
    check(pair.sent == pair.received[::-1],
          "%d and %d packets meanwhile, none lost" % tuple(pair.sent), pair.received)


def trickle_ours(pair, _):
    trickle(pair, 0)


def trickle_other(pair, _):
    trickle(pair, 1)


def passive(pair, _):
    start = pair.begin(0)
    pair.run(start + 12)
    data = pair.send(1)
    pair.run(data + 22)
    alive = [t - data for t in pair.times(0, TRANSPORT, KEEPALIVE, data)]
    check(len(alive) == 1 and 9.9 <= alive[0] <= 10 + SLACK,
          "one keepalive, 10 s after the last packet received", *pair.history(data))
    data = pair.send(1)
    pair.run(data + 3)
    pair.send(1)
    pair.run(data + 32)
    alive = [t - data for t in pair.times(0, TRANSPORT, KEEPALIVE, data)]
    check(len(alive) == 2 and 9.9 <= alive[0] <= 10 + SLACK and 19.9 <= alive[1] <= 20 + SLACK,
          "two packets within 10 s: two keepalives, 10 s apart", *pair.history(data))


def silence(pair, other):
    start = pair.begin(0)
    pair.run(start + 12)
    os.kill(other, signal.SIGKILL)
    data = pair.send(0)
    pair.run(data + 15 + 115)
    tries = [t - data for t in pair.times(0, INITIATION, after=data)]
    history = pair.history(data)
    check(tries and 14.9 <= tries[0] <= 15.4 + SLACK,
          "a packet without answer: a new handshake after 15 s", *history)
    check(len(tries) == 20, "tried 20 times, and no more", *history)
    gaps = [b - a for a, b in zip(tries, tries[1:])]
    check(gaps and min(gaps) >= 4.99 and max(gaps) <= 5.4 + SLACK, "each 5 s after the last", gaps)
    check(gaps and max(gaps) - min(gaps) > 0.02, "and a little, by chance")
    check(tries and 95 <= tries[-1] - tries[0] <= 101 + SLACK, "in 95 to 101 s", *history)
    again = pair.send(0)
    pair.run(again + 1)
    check(pair.times(0, INITIATION, after=again), "the next packet begins anew")


def last_minute(pair, _):
    start = pair.begin(0)
    pair.run(start + 163)
    check(len(pair.times(0, INITIATION)) == 1, "nothing new without traffic", *pair.history(start))
    pair.send(1)
    pair.run(start + 164.5)
    check(len(pair.times(0, INITIATION)) == 1, "nor with what is received after 163 s",
          *pair.history(start))
    pair.run(start + 166)
    data = pair.send(1)
    pair.run(data + 3)
    new = [t - data for t in pair.times(0, INITIATION, after=data)]
    check(len(new) == 1 and new[0] <= SLACK, "after 165 s a packet received leads to a new session",
          *pair.history(data))
    pair.run(data + 4)
    check(pair.received[0] == 2, "and both packets have arrived")


def expiry(pair, _):
    start = pair.begin(1)
    pair.run(start + 181)
    check(not pair.times(0, INITIATION), "who has responded begins nothing", *pair.history(start))
    data = pair.send(0)
    pair.run(data + 2)
    ours = [(k, n) for t, s, k, n in pair.seen if s == 0 and t >= data]
    check(ours and ours[0][0] == INITIATION, "after 180 s the session is not used any more", ours)
    check(pair.received[1] == 1, "a new one carries the packet", *pair.history(data))


def persistent(pair, _):
    start = time.monotonic()
    pair.run(start + 62)
    alive = pair.times(0, TRANSPORT, KEEPALIVE)
    gaps = [b - a for a, b in zip(alive, alive[1:])]
    # Its session may have begun before the first look at the wire.
    check(11 <= len(alive) <= 13, "keepalives without any traffic",
          *pair.history(start))
    check(gaps and all(4.9 <= g <= 5 + SLACK for g in gaps), "every 5 s", gaps)


SCENARIOS = dict(trickle_ours=trickle_ours, trickle_other=trickle_other, passive=passive,
                 silence=silence, last_minute=last_minute, expiry=expiry, persistent=persistent)
SCENARIOS[sys.argv[1]](Pair(sys.argv[2], sys.argv[3]), int(sys.argv[4]))
