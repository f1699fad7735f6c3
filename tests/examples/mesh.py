#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""libkilowg from Python: the plan of a mesh, and a tunnel.

    cc -shared -o libkilowg.so -Wl,--whole-archive libkilowg.a -Wl,--no-whole-archive \\
        $(pkg-config --static --libs-only-l kilowg | sed s/-lkilowg//)
    ./mesh.py ./libkilowg.so FILE NODE

Prints the digest of the node's plan, as "kilowg plan" does, and then what came
through a tunnel. What the library fills is a buffer of the caller; structs that
are passed begin with their size, so that a program that knows fewer of their
members goes on with a newer library.
"""
import ctypes
import sys
import time
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p

TUNNEL_DONE, TUNNEL_SEND, TUNNEL_DELIVER, TUNNEL_DROPPED, TUNNEL_KEPT = range(5)
KEY_TEXT, DIGEST_TEXT = 45, 65


class Error(ctypes.Structure):
    _fields_ = [('status', c_int), ('sys_errno', c_int), ('text', ctypes.c_char * 512), ('step', c_uint)]


class Library:
    """Calls by name; a negative result is an exception with the library's words."""

    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.kwg_config_new.restype = c_void_p
        self.lib.kwg_version.restype = c_char_p

    def call(self, name, *args):
        err = Error()
        if getattr(self.lib, name)(*args, byref(err)) < 0:
            raise RuntimeError(err.text.decode())

    def key(self, name, *args):
        text = ctypes.create_string_buffer(KEY_TEXT)
        self.call(name, text, *args)
        return text.value


def digest(lib, path, node):
    cfg, plan = c_void_p(lib.lib.kwg_config_new()), c_void_p()
    text = ctypes.create_string_buffer(DIGEST_TEXT)
    try:
        lib.call('kwg_config_add_path', cfg, path.encode())
        lib.call('kwg_config_finish', cfg)
        lib.call('kwg_plan_new', byref(plan), cfg, node.encode())
        lib.call('kwg_plan_digest', plan, text)
    finally:
        lib.lib.kwg_plan_free(plan)
        lib.lib.kwg_config_free(cfg)
    return text.value.decode()


class Tunnel:
    def __init__(self, lib, private_key, peer_public_key):
        self.lib, self.t, self.packets = lib, c_void_p(), []
        lib.call('kwg_tunnel_new', byref(self.t), private_key, peer_public_key, None, c_uint(0), *self.now())

    @staticmethod
    def now():
        return (c_uint64(time.clock_gettime_ns(time.CLOCK_BOOTTIME)), c_uint64(time.time_ns()))

    def ask(self, name, data):
        """What to do, and the bytes to do it with."""
        out, size = ctypes.create_string_buffer(2048), c_size_t(2048)
        op = getattr(self.lib.lib, name)(self.t, data, c_size_t(len(data)), out, byref(size), *self.now())
        return op, out.raw[:size.value]

    def run(self, other, op, data):
        """Sends to the other tunnel, until neither has anything more to say."""
        while op in (TUNNEL_SEND, TUNNEL_DELIVER):
            if op == TUNNEL_SEND:
                other.run(self, *other.ask('kwg_tunnel_read', data))
            else:
                self.packets.append(data)
            op, data = self.ask('kwg_tunnel_read', b'')

    def free(self):
        self.lib.lib.kwg_tunnel_free(self.t)


def through_a_tunnel(lib, text):
    private = [lib.key('kwg_genkey') for _ in range(2)]
    public = [lib.key('kwg_pubkey', key) for key in private]
    a, b = (Tunnel(lib, private[i], public[1 - i]) for i in range(2))
    # An IPv4 header from 10.0.0.1 to 10.0.0.2 and nothing but the text behind it.
    packet = bytes([0x45, 0, 0, 20 + len(text)]) + bytes(8) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + text
    a.run(b, *a.ask('kwg_tunnel_write', packet))
    a.free()
    b.free()
    return [p[20:] for p in b.packets]


def main():
    if len(sys.argv) != 4:
        sys.exit('usage: mesh.py LIBRARY FILE NODE')
    lib = Library(sys.argv[1])
    print('digest blake2b-256', digest(lib, sys.argv[2], sys.argv[3]))
    for text in through_a_tunnel(lib, b'hello from the other side'):
        print(text.decode())


main()
