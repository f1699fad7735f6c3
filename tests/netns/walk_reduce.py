# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Makes two files smaller that go wrong one after the other. For walk.py."""

PARTS = ("mesh", "nodes", "peers", "local")


def what_is_wrong(twin, before, after):
    """A word for what goes wrong where one follows the other on a fresh host, and the
    remarks; two empty texts if nothing does."""
    fresh, said = twin.state_after(after)
    if said[0][0]:
        return ("first", said[0][1]) if said[0][0] != 1 else ("", "")
    got, said = twin.state_after(before, after)
    if said[0][0] or said[1][0] == 1:
        return "", ""
    if said[1][0]:
        return "apply", said[1][1]
    return ("state", (fresh, got)) if fresh != got else ("", "")


def places(config, node):
    """All that can be taken away or set back: (part, object or None, key or None)."""
    found = [("mesh", None, key) for key in config.mesh if key != "format"]
    for part in ("nodes", "peers"):
        objects = getattr(config, part)
        found += [(part, name, None) for name in objects if name != node]
        found += [(part, name, key) for name in objects for key in objects[name]
                  if key not in ("pod-cidr", "allowed-ip", "@key", "location")]
    return found + [("local", node, key) for key in config.local[node]]


def table_of(config, place):
    part, name, key = place
    if part == "mesh":
        return config.mesh, key
    objects = getattr(config, part)
    return (objects, name) if key is None else (objects.get(name), key)


def set_back(place, before, after):
    """A copy of the later one in which the place is as before, or None if it is already."""
    new = after.copy()
    table, key = table_of(new, place)
    old, old_key = table_of(before.copy(), place)
    if table is None or old is None or table.get(key) == old.get(old_key):
        return None
    if old_key in old:
        table[key] = old[old_key]
    else:
        del table[key]
    return new


def without(place, config):
    new = config.copy()
    table, key = table_of(new, place)
    if place[2] and place[2].startswith("@") and place[0] == "mesh":
        return new
    if table:
        table.pop(key, None)
    return new


def smaller(before, after, node):
    """Pairs that are a little less than this one."""
    all_places = list(dict.fromkeys(places(before, node) + places(after, node)))
    all_places.sort(key=lambda p: p[2] is not None)
    for place in all_places:
        changed = set_back(place, before, after)
        if changed:
            yield before, changed
    for place in all_places:
        pair = without(place, before), without(place, after)
        if [c.text(node) for c in pair] != [before.text(node), after.text(node)]:
            yield pair


def reduced(twin, before, after, limit=80):
    """The smallest pair found, and what is wrong with it; or nothing if it goes well on a fresh host."""
    kind, remarks = what_is_wrong(twin, before, after)
    if not kind or twin.node not in before.nodes:
        return None
    found, tried = True, 0
    while found and tried < limit:
        found = False
        for pair in smaller(before, after, twin.node):
            tried += 1
            new_kind, new_remarks = what_is_wrong(twin, *pair)
            if new_kind == kind:
                (before, after), remarks, found = pair, new_remarks, True
                break
            if tried >= limit:
                break
    return before, after, remarks
