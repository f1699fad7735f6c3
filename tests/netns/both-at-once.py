# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""both-at-once.py DELAY A B: carries datagrams between A (address) and B, both at port 51820.

Each finds the other at this host: A at port 7001, B at port 7002. A datagram takes DELAY
milliseconds. Prints "crossed" when two initiations are on their way at the same time.
"""
import heapq
import select
import socket
import sys
import time

delay = float(sys.argv[1]) / 1000
ends = []
for port, address in zip((7001, 7002), sys.argv[2:4]):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    ends.append((s, (address, 51820)))
print("ready", flush=True)
way, n, initiations = [], 0, [0.0, 0.0]
while True:
    wait = max(0, way[0][0] - time.monotonic()) if way else None
    for s in select.select([s for s, _ in ends], [], [], wait)[0]:
        data = s.recv(65536)
        side, now = int(s is ends[1][0]), time.monotonic()
        n += 1
        heapq.heappush(way, (now + delay, n, 1 - side, data))
        if data[:1] == b"\1":
            initiations[side] = now
            if now - initiations[1 - side] < delay:
                print("crossed", flush=True)
    while way and way[0][0] <= time.monotonic():
        _, _, to, data = heapq.heappop(way)
        try:
            ends[to][0].sendto(data, ends[to][1])
        except OSError:
            pass
