# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Addresses and networks as text. An IPv4-mapped one is the IPv4 one."""

import ipaddress
import re

MAPPED = ipaddress.ip_network("::ffff:0:0/96")


def _interface(text):
    """The address with its prefix length, or None if TEXT is not one."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return None
    # Python also takes zones and netmasks.
    if not re.fullmatch(r"[0-9a-fA-F:.]+/[0-9]{1,3}", text):
        return None
    if interface.version == 6 and interface.network.subnet_of(MAPPED):
        length = interface.network.prefixlen - MAPPED.prefixlen
        return ipaddress.ip_interface(f"{interface.ip.ipv4_mapped}/{length}")
    return interface


def interface(text):
    """TEXT in normal form, host bits kept; None if it is not ADDRESS/LENGTH."""
    parsed = _interface(text)
    return None if parsed is None else str(parsed)


def mask(text):
    """TEXT in normal form without host bits; None if it is not a network."""
    parsed = _interface(text)
    return None if parsed is None else str(parsed.network)


def first_address_in(network, outer):
    """Does the base address of NETWORK lie in OUTER?"""
    base = ipaddress.ip_network(network).network_address
    return base in ipaddress.ip_network(outer)


def overlap(network, other):
    """Have the two an address in common? Host bits do not count."""
    first, second = (ipaddress.ip_interface(text).network for text in (network, other))
    return first.version == second.version and first.overlaps(second)


def family(text):
    """4 or 6, of an address or a network."""
    return 6 if ":" in text else 4
