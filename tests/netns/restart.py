#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Traffic that counts, for restart.sh and others.

send ADDRESS PORT STOP     numbered datagrams until the file STOP is there
receive PORT               prints how many of them did not come, or came twice
stream ADDRESS PORT STOP   numbers by TCP, until the file STOP is there
sink PORT                  checks them; prints "whole" or what is wrong
ask SOCKET WHAT            asks for all as a successor does, and takes nothing (no), is killed (die),
                           waits until the other gives up (hold) or claims all, and ends (claim)
stand SOCKET VERSION       listens there and hands over a state of this version; prints "back" when the
                           other has gone without claiming it
full SOCKET                listens there and accepts nobody, with as many waiting as may
keep VERSION WORDS...      begins WORDS with a state of this version, as a service manager does
kill WHOM N PID WORDS...   starts the successor WORDS; it or PID is killed soon, later for a greater N
nonces INTERFACE STOP      looks at all transport messages there: prints how many there were, and
                           how many had a counter of their session that was there before
"""
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time

INTERVAL = 0.004


def ticks(stop):
    """Counts, 250 times a second as long as the machine keeps up."""
    n, begin = 0, time.monotonic()
    while not os.path.exists(stop):
        now = time.monotonic()
        while n * INTERVAL < now - begin:
            yield n
            n += 1
            if n % 64 == 0:
                break
        time.sleep(INTERVAL)


def send(address, port, stop):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    n = 0
    for n in ticks(stop):
        s.send(struct.pack("!qq", n, 0))
    for _ in range(20):
        try:
            s.send(struct.pack("!qq", n, 1))
        except ConnectionRefusedError:  # it has heard the end
            break
        time.sleep(0.02)


def receive(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind(("0.0.0.0", int(port)))
    print("ready", flush=True)
    seen, twice = set(), 0
    while True:
        n, end = struct.unpack("!qq", s.recv(100))
        if end:
            break
        twice += n in seen
        seen.add(n)
    lost = n + 1 - len(seen)
    print("lost %d, twice %d" % (lost, twice), flush=True)
    print("# of %d" % (n + 1), flush=True)


def stream(address, port, stop):
    s = socket.create_connection((address, int(port)))
    for n in ticks(stop):
        s.sendall(struct.pack("!q", n) * 100)
    s.close()


def sink(port):
    listener = socket.create_server(("0.0.0.0", int(port)))
    print("ready", flush=True)
    c = listener.accept()[0]
    f = c.makefile("rb")
    n = 0
    while True:
        data = f.read(800)
        if not data:
            break
        if data != struct.pack("!q", n) * 100:
            print("broken after %d" % n, flush=True)
            return
        n += 1
    print("whole" if n > 100 else "only %d" % n, flush=True)


def nonces(interface, stop):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    # SO_RCVBUFFORCE, which Python has no name for.
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)
    s.bind((interface, 0))
    s.settimeout(0.2)
    print("ready", flush=True)
    seen, again = set(), 0
    while not os.path.exists(stop):
        try:
            p = s.recv(2048)
        except TimeoutError:
            continue
        if len(p) < 74 or p[23] != 17 or p[42:46] != b"\4\0\0\0":
            continue
        nonce = p[26:30] + p[46:58]
        again += nonce in seen
        seen.add(nonce)
    print("again %d" % again, flush=True)
    print("# of %d" % len(seen), flush=True)


def claim(state):
    """What a successor does to the word in the state, but not at one stroke: the other side waits."""
    m = mmap.mmap(state, 0)
    free = m[20:24] == bytes(4)
    if free:
        m[20:24] = struct.pack("=I", 1)
    return free


def serves(pid, path):
    """Is it this process that listens there?"""
    try:
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(path)
            return struct.unpack("3i", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] == pid
    except OSError:
        return False


def kill(whom, n, predecessor, *words):
    p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(int(n) * 0.004)
    try:
        os.kill(p.pid if whom == "successor" else int(predecessor), 9)
    except ProcessLookupError:
        pass
    # On a busy machine it may not have asked yet, and begins anew: when it does, it is decided.
    path = "/run/wireguard/%s.sock" % words[-1]
    for _ in range(1200):
        if p.poll() is not None or serves(p.pid, path):
            break
        time.sleep(0.05)


def empty_state(version):
    """A state of this version, and without content."""
    fd = os.memfd_create("state", os.MFD_ALLOW_SEALING)
    os.write(fd, struct.pack("=16sIIQ", b"kilowg handover", int(version), 0, 0) + bytes(4096))
    fcntl.fcntl(fd, 1033, 7)  # F_ADD_SEALS: SEAL, SHRINK, GROW
    return fd


def listen(path, backlog):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(backlog)
    return s


def stand(path, version):
    listener = listen(path, 1)
    print("ready", flush=True)
    c = listener.accept()[0]
    c.recv(100)
    state = empty_state(version)
    socket.send_fds(c, [b"kilowg-state\n\n"], [state])
    c.recv(1)
    print("back" if claim(state) else "taken", flush=True)


def full(path):
    listener = listen(path, 0)
    waiting = []
    while True:
        c = socket.socket(socket.AF_UNIX)
        c.setblocking(False)
        try:
            c.connect(path)
        except BlockingIOError:
            break
        waiting.append(c)
    print("ready", flush=True)
    signal.pause()


def keep(version, *words):
    """Begins WORDS as a service manager that has kept a state, of this version and without content."""
    fd = empty_state(version)
    if fd != 3:
        os.dup2(fd, 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="kilowg-state")
    os.execv(words[0], words)


def ask(path, what):
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    c.send(b"handover=1\n\n")
    text, fds, _, _ = socket.recv_fds(c, 65536, 250)
    names = text.decode().split()
    if what == "hold":
        c.recv(1)
    if what == "die":
        os.kill(os.getpid(), 9)
    if what in ("hold", "claim"):
        print("free" if claim(fds[names.index("kilowg-state")]) else "taken")
    print(" ".join(names))


{"ask": ask, "full": full, "keep": keep, "kill": kill, "stand": stand, "send": send, "receive": receive,
 "stream": stream, "sink": sink, "nonces": nonces}[sys.argv[1]](*sys.argv[2:])
