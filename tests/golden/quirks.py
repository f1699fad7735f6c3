# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""What kilowg does instead, where Kilo's result is one not to copy.

`rewrite` turns the expected data of a case into what kilowg documents. The
rules are stated here on Kilo's results, independently of kilowg, and are used
in the cases that name the quirk only:

host-bits
    Networks are masked before anything else is done. So of the allowed IPs of
    peers that become equal only the first stays (peers by name, their allowed
    IPs as listed), and the others leave no trace in configurations, routes
    and firewall rules. A peer that has none left stays, with none.
mixed-family-route
    A route through the WireGuard interface to a gateway of the other family
    loses gateway and onlink; a route through any other link is left out. A
    source of the other family is dropped. A rule from one family to the other
    is left out.
duplicate-allowed-ip
    Of several [Peer] sections with the same allowed IP the last one keeps it.
conflicting-routes, duplicate-allowed-ip
    Of several routes to one destination in one table the last one stays,
    where it stands.

In this order. The other quirks change nothing here.

Allowed location IPs that are rejected are not in use, so that their host bits
are no quirk. kilowg has masked them, too.

Of some hosts only digests of Kilo's results are known. `undo` leads back from
kilowg's answer to what Kilo must have computed if the answer is right.
"""

import copy
import re

import nets
import texts

HOST_BITS = "host-bits"
MIXED_FAMILY = "mixed-family-route"
DUPLICATE_ALLOWED_IP = "duplicate-allowed-ip"
CONFLICTING_ROUTES = "conflicting-routes"
ADDRESS_MISSING = "wireguard-ip-missing"

KNOWN = {HOST_BITS, MIXED_FAMILY, DUPLICATE_ALLOWED_IP, CONFLICTING_ROUTES, ADDRESS_MISSING,
         "table-collision", "graph-differs-between-hosts"}
REWRITING = {HOST_BITS, MIXED_FAMILY, DUPLICATE_ALLOWED_IP, CONFLICTING_ROUTES}
RULE = re.compile(r"from (\S+) to (\S+)( iif kilo)? lookup 1107")
FIREWALL_NETWORK = re.compile(r"(?<= -[sd] )\S+")


class UnclearCase(Exception):
    """The rules above do not say what is right for this case."""


def rewrite(expected):
    """A copy of EXPECTED as kilowg documents it."""
    quirks = set(expected["quirks"])
    if quirks - KNOWN:
        raise UnclearCase(f"no rule for the quirks {sorted(quirks - KNOWN)}")
    expected = copy.deepcopy(expected)
    if HOST_BITS in quirks:
        _drop_host_bits(expected)
    _mask_rejected(expected["segments"], expected["peers"])
    for holder in _holders(expected):
        holder.update(rewrite_holder(quirks, holder))
    return expected


def rewrite_holder(quirks, holder):
    """What is new in a host or a peer view, all quirks but host-bits considered."""
    fields = {field: holder[field] for field in ("conf", "routes", "rules")
              if holder.get(field) is not None}

    def change(field, function):
        if field in fields:
            fields[field] = function(fields[field])

    if MIXED_FAMILY in quirks:
        change("routes", _repair_routes)
        change("rules", _sound_rules)
    if DUPLICATE_ALLOWED_IP in quirks:
        change("conf", _last_section_keeps)
    if {CONFLICTING_ROUTES, DUPLICATE_ALLOWED_IP} & set(quirks):
        change("routes", _last_route_stays)
    return fields


def _holders(expected):
    return [*expected["hosts"].values(), *sum(expected["peer_views"].values(), [])]


def _each(expected, field, change):
    """Changes FIELD in all hosts and peer views that have it."""
    for holder in _holders(expected):
        if holder.get(field) is not None:
            holder[field] = change(holder[field])


# --- host-bits -------------------------------------------------------------


def _drop_host_bits(expected):
    lost = _merge_peers(expected["peers"])
    _require_clear(expected["segments"], lost)
    for segment in expected["segments"]:
        segment["allowed_location_ips"] = [
            nets.mask(network) for network in segment["allowed_location_ips"]]

    def networks(_, listed):
        return [nets.mask(network) for network in listed if network not in lost]

    def routes(listed):
        parsed = [texts.parse_route(route) for route in listed]
        return [str(route._replace(destination=nets.mask(route.destination)))
                for route in parsed if route.destination not in lost]

    def firewall(listed):
        return [FIREWALL_NETWORK.sub(lambda match: nets.mask(match[0]), rule)
                for rule in listed if not lost & set(FIREWALL_NETWORK.findall(rule))]

    _each(expected, "conf", lambda conf: texts.map_allowed_ips(conf, networks))
    _each(expected, "routes", routes)
    for part in ("iptables", "tunnel_iptables"):
        _each(expected, part, lambda rules: {
            order: firewall(listed) for order, listed in rules.items()})


def _merge_peers(peers):
    """Masks the allowed IPs of PEERS; returns those, as written, that are lost."""
    taken, lost = set(), set()
    for peer in peers:
        kept = []
        for written in peer["allowed_ips"]:
            network = nets.mask(written)
            if network in taken:
                lost.add(written)
            else:
                taken.add(network)
                kept.append(network)
        peer["allowed_ips"] = kept
    return lost


def _require_clear(segments, lost):
    """Refuses what only a new run of Kilo on masked input could answer."""
    known = {network for segment in segments for network in segment["allowed_ips"]}
    if lost & known:
        raise UnclearCase("a peer loses a network that a segment has too")
    for segment in segments:
        kept = segment["allowed_location_ips"]
        masked = [nets.mask(network) for network in kept]
        if masked != sorted(set(masked)):
            raise UnclearCase("masked allowed location IPs merge or change their order")
        if any(nets.first_address_in(network, other)
               for written, network in zip(kept, masked) if written != network
               for other in known):
            raise UnclearCase("a masked allowed location IP does not pass the filter")


# --- rejected allowed location IPs -------------------------------------------


def _mask_rejected(segments, peers):
    """Host bits decide on one rule of the filter only; see whether it rejects them masked, too."""
    if any(segment["wireguard_ip"] is None for segment in segments):
        return
    known = [network for segment in segments for network in segment["allowed_ips"][:-1]]
    of_peers = [network for peer in peers for network in peer["allowed_ips"]]
    for number, segment in enumerate(segments):
        written = segment["allowed_location_ips_rejected"]
        masked = [nets.mask(network) for network in written]
        if masked == written:
            continue
        later = [network for other in segments[number + 1:]
                 for field in ("allowed_location_ips", "allowed_location_ips_rejected")
                 for network in other[field]]
        # WireGuard addresses of later segments do not count.
        inside = known + [other["allowed_ips"][-1] for other in segments[:number + 1]]
        for network in masked:
            if not (any(nets.overlap(network, other) for other in later + of_peers)
                    or any(nets.first_address_in(network, other) for other in inside)):
                raise UnclearCase("a rejected allowed location IP passes the filter masked")
        segment["allowed_location_ips_rejected"] = sorted(set(masked))


# --- mixed-family-route ----------------------------------------------------


def _repair_routes(routes):
    repaired = (_repair_route(texts.parse_route(route)) for route in routes)
    return [str(route) for route in repaired if route is not None]


def _repair_route(route):
    family = nets.family(route.destination)
    if route.via and nets.family(route.via) != family:
        if route.device != "kilo":
            return None
        route = route._replace(via=None, onlink=False)
    if route.src and nets.family(route.src) != family:
        route = route._replace(src=None)
    return route


def _sound_rules(rules):
    return [rule for rule in rules if _rule_is_sound(rule)]


def _rule_is_sound(rule):
    source, destination, _ = RULE.fullmatch(rule).groups()
    return source == "all" or nets.family(source) == nets.family(destination)


# --- duplicate-allowed-ip, conflicting-routes --------------------------------


def _last_section_keeps(conf):
    last = {}

    def note(number, networks):
        last.update(dict.fromkeys(networks, number))
        return networks

    def keep(number, networks):
        return [network for network in networks if last[network] == number]

    texts.map_allowed_ips(conf, note)
    return texts.map_allowed_ips(conf, keep)


def _last_route_stays(routes):
    last = {}
    for number, text in enumerate(routes):
        route = texts.parse_route(text)
        last[route.destination, route.table] = number
    return [routes[number] for number in sorted(last.values())]


# --- the way back ------------------------------------------------------------


def undo(expected, host):
    """The fields of HOST, as kilowg has it, as Kilo must have computed them.

    Of the quirks that occur with hosts of which only digests are known: routes
    stand in any order, and of conflicting ones only the last is there.
    """
    fields = {}
    if DUPLICATE_ALLOWED_IP in expected["quirks"] and host["conf"] is not None:
        fields["conf"] = _with_all_allowed_ips(expected, host["conf"])
    if MIXED_FAMILY in expected["quirks"]:
        routes = [texts.parse_route(route) for route in host["routes"]]
        restore = _leader_routes if host["leader"] else _follower_routes
        fields["routes"] = [str(route) for route in restore(expected, host, routes)]
    return fields


def cannot_undo(expected, host):
    """The digests of HOST to which no way leads back: what was left out cannot be known."""
    lost, kinds = set(), set(expected["quirks"])
    if CONFLICTING_ROUTES in kinds:
        lost.add("routes")
    if MIXED_FAMILY not in kinds:
        return lost
    members = [s for s in expected["segments"] if s["location"] == host["location"]]
    families = {nets.family(address) for s in members for address in s["private_ips"]}
    # Routes of a follower are made like the one to the first segment's WireGuard address.
    address = expected["segments"][0]["allowed_ips"][-1]
    if not host["leader"] and all(nets.family(address) != f for f in families):
        lost.add("routes")
    # Routes and rules for members of the own segment are gone without a trace.
    if families - {nets.family(host["pod_subnet"])} and len(members[0]["hostnames"]) > 1:
        lost.add("rules")
    pods = {nets.family(network) for s in members for network in s["cidrs"]}
    if host["private_ip"] and len(pods | families) > 1 and len(members[0]["hostnames"]) > 1:
        lost.add("routes")
    return lost


def _with_all_allowed_ips(expected, conf):
    by_key = {peer["public_key"]: peer["allowed_ips"] for peer in expected["peers"]}
    for segment in expected["segments"]:
        by_key[segment["key"]] = segment["allowed_ips"] + segment["allowed_location_ips"]
    return texts.set_allowed_ips(conf, by_key)


def _destinations(segment):
    """What is routed to SEGMENT, its WireGuard address left out."""
    return segment["allowed_ips"][:-1] + segment["allowed_location_ips"]


def _leader_routes(expected, host, routes):
    """Gives the routes through the WireGuard interface their gateway and source."""
    gateways = {destination: segment["wireguard_ip"]
                for segment in expected["segments"] for destination in _destinations(segment)}
    source = host["private_ip"] and host["private_ip"].split("/")[0]
    for route in routes:
        if route.device == "kilo":
            via = gateways.get(route.destination)
            route = route._replace(via=via, onlink=via is not None, src=source)
        yield route


def _follower_routes(expected, host, routes):
    """Adds those of the other family, made like the one to the first segment."""
    yield from routes
    address = expected["segments"][0]["allowed_ips"][-1]
    like = next((route for route in routes if route.destination == address), None)
    if like is None:
        return
    others = [segment for segment in expected["segments"]
              if segment["location"] != host["location"]]
    destinations = sum(map(_destinations, others), [])
    destinations += sum((peer["allowed_ips"] for peer in expected["peers"]), [])
    for destination in destinations:
        if nets.family(destination) != nets.family(like.via):
            yield like._replace(destination=destination)
