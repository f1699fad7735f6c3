# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""listen.py PORT WORD ADDRESS...: for clear.sh. Listens to all interfaces of its network namespace,
and prints a line for each IPv4 packet, encapsulated ones as they are outside: "FROM TO KIND" and
what stands in it in clear, WORDs of 16 bytes and ADDRESSes. KIND is "data" and "handshake" of
WireGuard on this port, or "other". "ready" is the first line."""
import socket, struct, sys

port = int(sys.argv[1])
words = [a for a in sys.argv[2:] if len(a) == 16]
addresses = [a for a in sys.argv[2:] if len(a) != 16]
ETH_P_ALL, ETH_P_IP, UDP = 3, 0x0800, 17


def kind_of(packet):
    head = (packet[0] & 15) * 4
    if packet[9] != UDP or len(packet) < head + 12:
        return "other"
    _, to = struct.unpack("!HH", packet[head:head + 4])
    message = struct.unpack("<I", packet[head + 8:head + 12])[0]
    if to != port or not 1 <= message <= 4:
        return "other"
    return "data" if message == 4 else "handshake"


s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
print("ready", flush=True)
while True:
    frame = s.recv(65536)
    if len(frame) < 34 or struct.unpack("!H", frame[12:14])[0] != ETH_P_IP:
        continue
    packet = frame[14:]
    kind = kind_of(packet)
    seen = [w for w in words if w.encode() in packet]
    # Four bytes of ciphertext may happen to be an address.
    if kind == "other":
        seen += [a for a in addresses if socket.inet_aton(a) in packet]
    print(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), kind, *seen, flush=True)
