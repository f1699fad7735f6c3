# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""What tests/bench/dataplane has measured, as a table, a summary for JSON and a plot."""

import os
import platform
import statistics
import time
from html import escape

# Name, text, unit, is more better?
METRICS = [
    ("tcp1.gbps", "TCP 1 stream", "Gbit/s", True),
    ("tcp1r.gbps", "TCP 1 stream, back", "Gbit/s", True),
    ("tcp4.gbps", "TCP 4 streams", "Gbit/s", True),
    ("tcp4r.gbps", "TCP 4 streams, back", "Gbit/s", True),
    ("tcp1.cpu_gb", "TCP 1 stream, CPU", "s/10^9 B", False),
    ("tcp1r.cpu_gb", "TCP 1 stream, back, CPU", "s/10^9 B", False),
    ("tcp4.cpu_gb", "TCP 4 streams, CPU", "s/10^9 B", False),
    ("tcp4r.cpu_gb", "TCP 4 streams, back, CPU", "s/10^9 B", False),
    ("udp64.kpps", "UDP 64 B", "1000/s", True),
    ("udp64.cpu_us", "UDP 64 B, CPU", "us/packet", False),
    ("udp1392.kpps", "UDP 1392 B", "1000/s", True),
    ("udp1392.cpu_gb", "UDP 1392 B, CPU", "s/10^9 B", False),
    ("ping.us", "ping, idle", "us", False),
    ("ping.p99", "ping, idle, 99 %", "us", False),
    ("pingload.us", "ping, loaded", "us", False),
    ("pingload.p99", "ping, loaded, 99 %", "us", False),
    ("memory.start", "memory at start", "MiB", False),
    ("memory.peak", "memory, peak", "MiB", False),
    ("idle.wakeups", "wake-ups, idle", "1/s", False),
    ("idle.cpu_ms", "CPU, idle", "ms/s", False),
]

# Name, title, unit; two columns.
PANELS = [
    ("tcp1.gbps", "TCP, one stream", "Gbit/s"),
    ("tcp1.cpu_gb", "CPU for TCP, one stream", "s per 10\u2079 bytes"),
    ("tcp4.gbps", "TCP, four streams", "Gbit/s"),
    ("tcp4.cpu_gb", "CPU for TCP, four streams", "s per 10\u2079 bytes"),
    ("udp64.kpps", "UDP, packets of 64 bytes", "thousand/s"),
    ("udp64.cpu_us", "CPU for a packet of 64 bytes", "\u00b5s"),
    ("ping.us", "Ping, idle", "\u00b5s"),
    ("pingload.us", "Ping under load", "\u00b5s"),
]


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith(("model name", "Model\t", "cpu model")):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cpus": len(os.sched_getaffinity(0)), "arch": platform.machine(),
            "kernel": platform.release(), "load": os.getloadavg()[0],
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


# ---- figures -------------------------------------------------------------------------------


def values(data, name, metric):
    return [r[name][metric] for r in data["rounds"] if metric in r.get(name, {})]


def spread(figures):
    return {"median": statistics.median(figures), "min": min(figures), "max": max(figures),
            "n": len(figures)}


def ratios_of(data, first, second):
    """first / second: of medians; least and greatest of those within one round."""
    found = {}
    for metric, *_ in METRICS:
        a, b = values(data, first, metric), values(data, second, metric)
        each = [r[first][metric] / r[second][metric] for r in data["rounds"]
                if metric in r.get(first, {}) and r.get(second, {}).get(metric)]
        if each and statistics.median(b):
            found[metric] = {"ratio": statistics.median(a) / statistics.median(b),
                             "min": min(each), "max": max(each)}
    return found


def names(data):
    return [i["name"] for i in data["implementations"]]


def summary(data):
    """What is computed from the rounds."""
    every = names(data)
    metrics = sorted({m for r in data["rounds"] for figures in r.values() for m in figures})
    return {
        "summary": {name: {m: spread(values(data, name, m)) for m in metrics
                           if values(data, name, m)} for name in every},
        "ratios": {f"{a} / {b}": ratios_of(data, a, b)
                   for i, a in enumerate(every) for b in every[i + 1:]},
    }


# ---- table ---------------------------------------------------------------------------------


def figure(x):
    """Three digits that matter."""
    if x == 0:
        return "0"
    if abs(x) >= 100:
        return f"{x:.0f}"
    return f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def columns(rows):
    """Lines of text; the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "".join("  ".join([row[0].ljust(widths[0])] + [
        cell.rjust(w) for cell, w in zip(row[1:], widths[1:])]).rstrip() + "\n" for row in rows)


def figures_table(data):
    every = names(data)
    rows = [["median (min..max)", *every]]
    for metric, text, unit, _ in METRICS:
        cells = []
        for name in every:
            s = data["summary"][name].get(metric)
            several = s and s["n"] > 1
            cells.append("-" if not s else figure(s["median"]) + (
                f" ({figure(s['min'])}..{figure(s['max'])})" if several else ""))
        if any(c != "-" for c in cells):
            rows.append([f"{text}, {unit}", *cells])
    return columns(rows)


def ratios_table(data):
    pairs = [p for p, found in data["ratios"].items() if found]
    if not pairs:
        return ""
    rows = [["ratio of medians", *(f"[{i + 1}]" for i in range(len(pairs)))]]
    for metric, text, _, more in METRICS:
        cells = [figure(data["ratios"][p][metric]["ratio"]) if metric in data["ratios"][p] else "-"
                 for p in pairs]
        if any(c != "-" for c in cells):
            rows.append([f"{text} ({'more' if more else 'less'} is better)", *cells])
    return columns(rows) + "".join(f"[{i + 1}] {p}\n" for i, p in enumerate(pairs))


def heading(data):
    m, rounds = data["machine"], len(data["rounds"])
    return (f"{m['cpu']}, {m['cpus']} CPUs, Linux {m['kernel']}, {m['date']}; "
            f"{rounds} round{'s' if rounds > 1 else ''} of {data['seconds']} s for each test")


def table(data):
    versions = "".join(f"{i['name']}: {i['version']}\n" for i in data["implementations"]
                       if i["version"])
    failures = "".join(f"failed: {f}\n" for f in data["failures"])
    load = f"load average before the run: {data['machine']['load']:.2f}\n"
    return "\n".join(part for part in (heading(data) + "\n" + load + versions, figures_table(data),
                                       ratios_table(data), failures) if part)


# ---- plot ----------------------------------------------------------------------------------


WIDTH, MARGIN, GAP = 860, 28, 36
TOP, TITLE, BAR, STEP, PAD = 84, 26, 16, 23, 22
LABEL, VALUE = 154, 58  # room for a name in front of a bar, for its figure behind
INK, SOFT, RULE, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
FIRST, OTHERS, FLOOR = "#0969da", ["#8c959f", "#b1bac4", "#c8b6e2", "#e0c8a8"], "#e6eaef"


def text(x, y, content, size=12, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>')


def colours(every):
    """The first one stands out; the limit stays behind."""
    found, i = {}, 0
    for name in every:
        if name == "floor":
            found[name] = FLOOR
        elif not found or set(found) == {"floor"}:
            found[name] = FIRST
        else:
            found[name], i = OTHERS[i % len(OTHERS)], i + 1
    return found


def bar(x, y, length, scale, s, colour):
    """A bar as long as the median, with a line from least to greatest."""
    parts = [f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(length, 1):.1f}" height="{BAR}" rx="2" '
             f'fill="{colour}"/>']
    end = x + length
    if s["n"] > 1:
        low, high, mid = x + s["min"] * scale, x + s["max"] * scale, y + BAR / 2
        end = max(end, high)
        parts.append(f'<path d="M{low:.1f} {mid - 3:.1f}v6M{low:.1f} {mid:.1f}H{high:.1f}'
                     f'M{high:.1f} {mid - 3:.1f}v6" stroke="{INK}" stroke-opacity=".55" '
                     'fill="none"/>')
    return parts + [text(end + 6, y + BAR - 4, figure(s["median"]), 12)]


def shown(name):
    return name if len(name) <= 22 else name[:21] + "\u2026"


def panel(data, every, x, y, width, metric, title, unit):
    better = next(more for m, _, _, more in METRICS if m == metric)
    parts = [text(x, y + 12, title, 13, INK, weight="600"),
             text(x + width, y + 12, f"{unit}, {'more' if better else 'less'} is better", 11, SOFT,
                  "end")]
    found = {n: data["summary"][n][metric] for n in every if metric in data["summary"][n]}
    # Least and greatest are drawn, too.
    scale = (width - LABEL - VALUE) / (max((s["max"] for s in found.values()), default=0) or 1)
    colour = colours(every)
    for i, name in enumerate(every):
        top = y + TITLE + i * STEP
        parts.append(text(x + LABEL - 8, top + BAR - 4, shown(name), 12, INK, "end"))
        if name in found:
            s = found[name]
            parts += bar(x + LABEL, top, s["median"] * scale, scale, s, colour[name])
        else:
            parts.append(text(x + LABEL, top + BAR - 4, "not measured", 11, SOFT))
    bottom = y + TITLE + len(every) * STEP - STEP + BAR + 2
    parts.append(f'<path d="M{x + LABEL:.1f} {y + TITLE - 3}V{bottom}" stroke="{RULE}"/>')
    return parts


def notes(data, every):
    lines = ["Bars are medians, thin lines reach from the least to the greatest round. CPU is that "
             "of both daemons."]
    if "floor" in every:
        lines.append("floor: the same path and offloads without cryptography, the limit of any "
                     "such tunnel.")
    bare = data["summary"].get("none", {})
    if "tcp1.gbps" in bare:
        gbps = figure(bare["tcp1.gbps"]["median"])
        lines.append(f"Without a tunnel, TCP with one stream has {gbps} Gbit/s here.")
    return lines


def svg(data):
    every = [n for n in names(data) if n != "none"]
    panels = [p for p in PANELS if any(p[0] in data["summary"][n] for n in every)]
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    each = TITLE + len(every) * STEP + PAD
    bottom = TOP + (len(panels) + 1) // 2 * each
    lines = notes(data, every)
    height = bottom + 18 * len(lines) + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="system-ui, -apple-system, \'Segoe UI\', Helvetica, Arial, '
        'sans-serif" role="img" aria-labelledby="title">',
        '<title id="title">Userspace WireGuard side by side</title>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{PAPER}"/>',
        text(MARGIN, 38, "Userspace WireGuard side by side", 19, INK, weight="600"),
        text(MARGIN, 60, heading(data), 12, SOFT)]
    for i, (metric, title, unit) in enumerate(panels):
        parts += panel(data, every, MARGIN + i % 2 * (width + GAP), TOP + i // 2 * each, width,
                       metric, title, unit)
    parts += [text(MARGIN, bottom + 8 + 18 * i, line, 11, SOFT) for i, line in enumerate(lines)]
    return "\n".join(parts) + "\n</svg>\n"
