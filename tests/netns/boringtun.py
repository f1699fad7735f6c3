#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""boringtun.py INTERFACE SOCKET LOG: a stand-in for boringtun-cli 0.7.1.

Makes the TUN interface and answers on the UAPI socket as BoringTun does, faults
included (device/api.rs and device/mod.rs of boringtun 0.7.1); it carries no
packets. Each request, with its answer, goes to LOG as it comes:

    > set=1
    > public_key=...
    < errno=0

"panic: WHY" in LOG means that BoringTun would have panicked while it held the
lock of the device: from then on nothing is answered any more.
"""
import base64
import fcntl
import os
import re
import signal
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
EINVAL, EPROTO, EIO = 22, 71, 5
HANDSHAKE_AGE = 7   # every peer has talked to us; relative, as BoringTun says it

# ---- Curve25519, RFC 7748; nothing here is worth keeping secret ----

P = 2**255 - 19


def x25519_base(private):
    k = bytearray(private)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x2, z2, x3, z3, swap = 1, 0, 9, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, 9 * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


# ---- device ----

class Panic(Exception):
    """BoringTun's panic!(), while it holds the lock."""


class Peer:
    def __init__(self, psk, endpoint, keepalive, allowed_ips):
        self.psk, self.endpoint, self.keepalive = psk, endpoint, keepalive
        self.allowed_ips = allowed_ips


class Device:
    def __init__(self):
        self.public = None
        self.port = 0
        self.fwmark = None
        self.peers = {}

    def update_peer(self, key, remove, replace_ips, endpoint, ips, keepalive, psk):
        del replace_ips     # has no effect: a known peer does not get this far
        if remove:
            self.peers.pop(key, None)
            return
        if key in self.peers:
            raise Panic("Modifying existing peers is not yet supported. "
                        "Remove and add again instead.")
        if self.public is None:
            raise Panic("Private key must be set first")
        for ip in ips:      # a network belongs to one peer
            for other in self.peers.values():
                if ip in other.allowed_ips:
                    other.allowed_ips.remove(ip)
        self.peers[key] = Peer(psk, endpoint, keepalive, list(ips))


def boolean(value):
    if value not in ("true", "false"):
        raise ValueError
    return value == "true"


def number(value, limit):
    if not re.fullmatch("[0-9]+", value) or int(value) > limit:
        raise ValueError
    return int(value)


def key_bytes(value):
    """Hex, or base64, as BoringTun accepts both."""
    raw = bytes.fromhex(value) if len(value) == 64 else base64.b64decode(value)
    if len(raw) != 32:
        raise ValueError
    return raw


def endpoint_of(value):
    if not re.fullmatch(r"([0-9.]+|\[[0-9a-f:]+\]):[0-9]+", value):
        raise ValueError
    return value


def network(value):
    address, length = value.split("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.inet_pton(family, address)
    return address, number(length, 128 if ":" in address else 32)


# ---- requests ----

def get(device, write):
    if device.public is not None:
        write("own_public_key=" + device.public.hex())
    if device.port:
        write("listen_port=%d" % device.port)
    if device.fwmark is not None:
        write("fwmark=%d" % device.fwmark)
    for key, p in device.peers.items():
        write("public_key=" + key.hex())
        if p.psk is not None:
            write("preshared_key=" + p.psk.hex())
        if p.keepalive is not None:
            write("persistent_keepalive_interval=%d" % p.keepalive)
        if p.endpoint is not None:
            write("endpoint=" + p.endpoint)
        for address, length in p.allowed_ips:
            write("allowed_ip=%s/%d" % (address, length))
        write("last_handshake_time_sec=%d" % HANDSHAKE_AGE)
        write("last_handshake_time_nsec=0")
        write("rx_bytes=0")
        write("tx_bytes=0")
    return 0


def set_peers(device, lines, key):
    """From the first public_key line on. What one peer was given stays for the next."""
    remove = replace_ips = False
    endpoint = keepalive = psk = None
    ips = []
    for line in lines:
        if not line:
            break
        name, equals, value = line.partition("=")
        if not equals:
            return EPROTO
        try:
            if name == "remove":
                remove = boolean(value)
            elif name == "preshared_key":
                psk = key_bytes(value)
            elif name == "endpoint":
                endpoint = endpoint_of(value)
            elif name == "persistent_keepalive_interval":
                keepalive = number(value, 65535)
            elif name == "replace_allowed_ips":
                replace_ips = boolean(value)
            elif name == "allowed_ip":
                ips.append(network(value))
            elif name == "public_key":
                device.update_peer(key, remove, replace_ips, endpoint, ips, keepalive, psk)
                key = key_bytes(value)
                ips = []
            elif name == "protocol_version":
                if value != "1":
                    return EINVAL
            else:
                return EINVAL
        except (ValueError, OSError):
            return EINVAL
    device.update_peer(key, remove, replace_ips, endpoint, ips, keepalive, psk)
    return 0


def set_device(device, lines):
    for line in lines:
        if not line:
            return 0
        name, equals, value = line.partition("=")
        if not equals:
            return EPROTO
        try:
            if name == "private_key":
                device.public = x25519_base(key_bytes(value))
            elif name == "listen_port":
                device.port = number(value, 65535)
            elif name == "fwmark":
                device.fwmark = number(value, 2**32 - 1)
            elif name == "replace_peers":
                if boolean(value):
                    device.peers.clear()
            elif name == "public_key":
                return set_peers(device, lines, key_bytes(value))
            else:
                return EINVAL
        except ValueError:
            return EINVAL
    return 0


def serve(device, connection, log):
    """One request; then BoringTun closes the connection."""
    stream = connection.makefile("rw", encoding="ascii", newline="\n")

    def lines():
        for line in stream:
            line = line.rstrip("\n")
            if line:
                log("> " + line)
            yield line

    def write(line):
        stream.write(line + "\n")

    request = lines()
    command = next(request, "")
    if command == "get=1":
        errno = get(device, write)
    elif command == "set=1":
        errno = set_device(device, request)
    else:
        errno = EIO
    if command:     # not if somebody just wanted to know whether we listen
        log("< errno=%d" % errno)
    write("errno=%d\n" % errno)
    stream.flush()


def main():
    interface, path, log_path = sys.argv[1:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TUN | IFF_NO_PI))
    log_file = open(log_path, "a", encoding="ascii")

    def log(line):
        log_file.write(line + "\n")
        log_file.flush()

    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()
    listener.settimeout(1)
    device = Device()
    while True:
        try:
            connection = listener.accept()[0]
        except socket.timeout:
            if not os.path.exists(path):
                return      # this is how BoringTun is told to end
            continue
        try:
            with connection:
                serve(device, connection, log)
        except (BrokenPipeError, ConnectionResetError):
            pass
        except Panic as why:
            log("panic: %s" % why)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                signal.pause()


main()
