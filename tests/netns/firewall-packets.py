#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Sends and receives single packets between network namespaces, for firewall*.sh.

Each line of standard input is a question, each of standard output its answer.
A socket stays in the namespace in which it was made, so one process does for all.

    source FROM-NODE FROM TO-NODE TO           with which source does a datagram arrive?
    protocol-4 TO-NODE TO [NODE FROM TO]...    how many of 5 packets of each come to TO-NODE?
    vxlan ID TO-NODE TO [NODE FROM TO]...      the same of packets of VXLAN with this number
    syn FROM-NODE FROM TO-NODE TO              which MSS has a SYN when it arrives?
    syn-ack FROM-NODE FROM TO-NODE TO          and the answer to it, at FROM-NODE?
    forwarded FROM-NODE FROM TO-NODE TO        yes | no: does a datagram arrive?
"""
import ctypes
import select
import socket
import struct
import sys
import time

PORT = 7777
TIMEOUT = 10
libc = ctypes.CDLL(None, use_errno=True)


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_in(node, address, kind, protocol=0, port=0, bound=True):
    """A socket in the namespace of a node."""
    with open(f"/run/netns/{node}") as namespace:
        if libc.setns(namespace.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"setns {node}")
    s = socket.socket(family(address), kind, protocol)
    s.settimeout(TIMEOUT)
    if kind != socket.SOCK_RAW:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bound:
        s.bind((address, port))
    return s


def source(from_node, here, to_node, there):
    with open_in(to_node, there, socket.SOCK_DGRAM, port=PORT) as listener, \
            open_in(from_node, here, socket.SOCK_DGRAM) as sender:
        for _ in range(TIMEOUT * 2):
            sender.sendto(b"x", (there, PORT))
            if select.select([listener], [], [], 0.5)[0]:
                return listener.recvfrom(99)[1][0]
        return "nothing arrives"


def forwarded(from_node, here, to_node, there):
    """Nothing says that a packet has been dropped, so look for a while."""
    with open_in(to_node, there, socket.SOCK_DGRAM, port=PORT) as listener, \
            open_in(from_node, here, socket.SOCK_DGRAM) as sender:
        for _ in range(5):
            sender.sendto(b"x", (there, PORT))
            if select.select([listener], [], [], 0.1)[0]:
                return "yes"
        return "no"


def payload(packet):
    """Raw sockets of IPv4 give the header, too."""
    return packet[(packet[0] & 15) * 4:] if packet[0] >> 4 == 4 else packet


def protocol_4(to_node, there, *senders):
    """Counts are told once a datagram that was sent after them has arrived from each."""
    counts = {}
    with open_in(to_node, there, socket.SOCK_RAW, 4, bound=False) as listener:
        for node, here, to in zip(senders[::3], senders[1::3], senders[2::3]):
            with open_in(node, here, socket.SOCK_RAW, 4) as sender:
                for _ in range(5):
                    sender.sendto(b"\x00" + node.encode(), (to, 0))
            source(node, here, to_node, to)
        listener.setblocking(False)
        try:
            while True:
                text = payload(listener.recv(99))[1:].decode()
                counts[text] = counts.get(text, 0) + 1
        except BlockingIOError:
            pass
    return " ".join(f"{node}={n}" for node, n in sorted(counts.items()))


def vxlan(number, to_node, there, *senders):
    """A raw socket has them before the kernel's VXLAN does."""
    head = struct.pack("!II", 0x08000000, int(number) << 8)
    counts = {}
    with open_in(to_node, there, socket.SOCK_RAW, socket.IPPROTO_UDP, bound=False) as listener:
        for node, here, to in zip(senders[::3], senders[1::3], senders[2::3]):
            with open_in(node, here, socket.SOCK_DGRAM) as sender:
                for _ in range(5):
                    sender.sendto(head + node.encode(), (to, 4789))
            source(node, here, to_node, to)
        listener.setblocking(False)
        try:
            while True:
                udp = payload(listener.recv(99))
                if udp[2:4] == struct.pack("!H", 4789):
                    text = udp[16:].decode()
                    counts[text] = counts.get(text, 0) + 1
        except BlockingIOError:
            pass
    return " ".join(f"{node}={n}" for node, n in sorted(counts.items()))


def mss_of(tcp):
    options = tcp[20:(tcp[12] >> 4) * 4]
    while options:
        if options[0] == 2:
            return struct.unpack("!H", options[2:4])[0]
        options = options[1:] if options[0] < 2 else options[options[1]:]
    return "none"


def mss(from_node, here, to_node, there, flags, at_sender):
    watched = (from_node, here) if at_sender else (to_node, there)
    with open_in(*watched, socket.SOCK_RAW, socket.IPPROTO_TCP) as watcher, \
            open_in(to_node, there, socket.SOCK_STREAM, port=PORT) as server, \
            open_in(from_node, here, socket.SOCK_STREAM) as client:
        server.listen()
        client.connect((there, PORT))
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            tcp = payload(watcher.recv(999))
            if tcp[13] & 0x3f == flags and PORT in struct.unpack("!HH", tcp[:4]):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return mss_of(tcp)
    return "none seen"


QUESTIONS = {
    "source": source, "forwarded": forwarded, "protocol-4": protocol_4, "vxlan": vxlan,
    "syn": lambda *a: mss(*a, 0x02, False), "syn-ack": lambda *a: mss(*a, 0x12, True),
}
for line in sys.stdin:
    what, *words = line.split()
    try:
        answer = QUESTIONS[what](*words)
    except OSError as e:
        answer = f"failed: {e}"
    print(answer, flush=True)
