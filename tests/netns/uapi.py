#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""What daemon-talks.sh needs around the socket of a userspace WireGuard.

hold PORT            has a UDP port until it is ended
drip SOCKET          a daemon that answers with a byte now and then, and never ends
crowd SOCKET N       N clients at the same time; fails if one gets no whole answer
"""
import os
import selectors
import socket
import sys
import time


def hold(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", int(port)))
    print(os.getpid(), flush=True)
    time.sleep(3600)


def drip(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(8)
    print(os.getpid(), flush=True)
    clients = []
    listener.settimeout(0.3)
    while True:
        try:
            clients.append(listener.accept()[0])
        except TimeoutError:
            pass
        for c in list(clients):
            try:
                c.send(b"x")
            except OSError:
                clients.remove(c)


def crowd(path, n):
    waiting = selectors.DefaultSelector()
    clients = []
    for _ in range(int(n)):
        c = socket.socket(socket.AF_UNIX)
        c.connect(path)
        clients.append(c)
    for c in clients:
        c.send(b"get=1\n\n")
        c.setblocking(False)
        waiting.register(c, selectors.EVENT_READ, bytearray())
    while waiting.get_map():
        ready = waiting.select(60)
        if not ready:
            sys.exit("%d clients still wait" % len(waiting.get_map()))
        for key, _ in ready:
            data = key.fileobj.recv(65536)
            key.data.extend(data)
            if key.data.endswith(b"errno=0\n\n"):
                waiting.unregister(key.fileobj)
                key.fileobj.close()
            elif not data:
                sys.exit("a client lost its answer")


{"hold": hold, "drip": drip, "crowd": crowd}[sys.argv[1]](*sys.argv[2:])
