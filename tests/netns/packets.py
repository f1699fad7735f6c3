# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""packets.py A B ROUTER OUTER ADDRESS4 ADDRESS6: for packets.sh. Paths of network namespaces; the
family of the outer packets; the inner addresses of b. TAP without numbers."""
import ctypes, os, select, socket, struct, subprocess, sys, time

a, b, router, outer = sys.argv[1:4] + [int(sys.argv[4])]
inner = {4: sys.argv[5], 6: sys.argv[6]}
libc = ctypes.CDLL(None, use_errno=True)
PORT, WG_PORT, DSCP = 4000, 51820, 0xb8
IP_RECVTOS, IPV6_RECVTCLASS = 13, 66


def ok(passed, text):
    print("%sok - %s" % ("" if passed else "not ", text), flush=True)


def enter(netns):
    with open(netns) as f:
        if libc.setns(f.fileno(), 0x40000000):
            sys.exit("setns: " + os.strerror(ctypes.get_errno()))


def udp(family):
    return socket.socket({4: socket.AF_INET, 6: socket.AF_INET6}[family], socket.SOCK_DGRAM)


def set_tos(s, family, tos):
    if family == 4:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, tos)


def receiver(family):
    s = udp(family)
    if family == 4:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
    s.bind((inner[family], PORT))
    return s


def received_tos(s, text, seconds):
    """The TOS of the packet with this text, or None if none comes."""
    end = time.monotonic() + seconds
    while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
        data, control, _, _ = s.recvmsg(2048, 256)
        if data == text:
            return int.from_bytes(control[0][2][:4], sys.byteorder)
    return None


def sniffed(s):
    """TOS of the outer transport packets with content that the router has got."""
    found = set()
    while select.select([s], [], [], 0)[0]:
        p, where = s.recvfrom(65536)
        if where[2] == socket.PACKET_OUTGOING:
            continue
        if outer == 4 and p[0] >> 4 == 4 and p[9] == 17:
            tos, u = p[1], p[(p[0] & 15) * 4:]
        elif outer == 6 and p[0] >> 4 == 6 and p[6] == 17:
            tos, u = (p[0] << 4 | p[1] >> 4) & 255, p[40:]
        else:
            continue
        if struct.unpack(">H", u[2:4])[0] == WG_PORT and u[8] == 4 and len(u) > 40:
            found.add(tos)
    return found


def mark(ecn):
    """What the router makes of the outer ECN field; None: leaves it."""
    rule = "" if ecn is None else "%s ecn set %d" % ({4: "ip", 6: "ip6"}[outer], ecn)
    text = """table inet marks; delete table inet marks
table inet marks { chain f { type filter hook forward priority 0; udp dport %d %s; }; }""" % (WG_PORT, rule)
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)


def expected(ecn_inner, ecn_outer):
    """RFC 6040 section 4.2, figure 4."""
    if ecn_outer == 3:
        return None if ecn_inner == 0 else 3
    return ecn_inner


def check_ecn():
    enter(b)
    into = {f: receiver(f) for f in inner}
    enter(a)
    out = {f: udp(f) for f in inner}
    enter(router)
    sniff = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    wrong, leaks, not_copied, n = [], [], [], 0
    for family in inner:
        for ecn_outer in (None, 0, 1, 2, 3):
            mark(ecn_outer)
            for ecn_inner in range(4):
                n += 1
                text = b"%d" % n
                set_tos(out[family], family, DSCP | ecn_inner)
                sniffed(sniff)
                out[family].sendto(text, (inner[family], PORT))
                want = expected(ecn_inner, ecn_inner if ecn_outer is None else ecn_outer)
                # One that is to be dropped is followed by another one, which is not.
                got = received_tos(into[family], text, 0.1 if want is None else 5)
                if got != (None if want is None else DSCP | want):
                    wrong.append((family, ecn_inner, ecn_outer, got))
                tos = sniffed(sniff)
                leaks += [t for t in tos if t >> 2]
                if ecn_inner not in {t & 3 for t in tos}:
                    not_copied.append((family, ecn_inner, tos))
    mark(None)
    ok(not wrong, "congestion met outside, %d combinations: as RFC 6040 says %s" % (n, wrong or ""))
    ok(not not_copied, "the ECN field inside is copied outside %s" % (not_copied or ""))
    ok(not leaks, "and DSCP is not %s" % (leaks or ""))


def error_of(family, to):
    """The ICMP type and code that a packet to this address is answered with, or None."""
    s = udp(family)
    if family == 4:
        s.setsockopt(socket.IPPROTO_IP, 11, 1)     # IP_RECVERR
    else:
        s.setsockopt(socket.IPPROTO_IPV6, 25, 1)   # IPV6_RECVERR
    s.sendto(b"x", (to, PORT))
    p = select.poll()
    p.register(s, 0)
    if not p.poll(2000):
        return None
    _, control, _, _ = s.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    _, _, kind, code = struct.unpack("=IBBB", control[0][2][:7])
    return kind, code


def check_unreachable():
    enter(a)
    for what, last in (("no peer", "77"), ("a peer without endpoint", "50")):
        got = error_of(4, "10.9.0." + last)
        ok(got == (3, 1), "%s, IPv4: host unreachable %s" % (what, got))
        got = error_of(6, "fd09::" + last)
        ok(got == (1, 3), "%s, IPv6: address unreachable %s" % (what, got))


check_ecn()
check_unreachable()
