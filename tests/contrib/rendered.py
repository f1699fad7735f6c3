#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""rendered.py FILE FOLDER: does "kubectl kustomize FOLDER" make the objects of FILE? Lists whose
items have names are compared by these: their order means nothing to Kubernetes. Prints a line for
each difference; exit status 1 if there is one."""
import subprocess
import sys

import yaml

NAMES = ("name", "mountPath", "key", "op")


def canonical(v):
    if isinstance(v, dict):
        return {k: canonical(x) for k, x in v.items()}
    if not isinstance(v, list):
        return v
    for n in NAMES:
        if v and all(isinstance(x, dict) and n in x for x in v) and len({x[n] for x in v}) == len(v):
            return {"by " + n: {x[n]: canonical(x) for x in v}}
    return [canonical(x) for x in v]


def objects(text):
    return {(d["kind"], d["metadata"]["name"]): canonical(d) for d in yaml.safe_load_all(text) if d}


def differences(where, a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(set(a) | set(b), key=str):
            yield from differences(f"{where}/{k}", a.get(k), b.get(k))
    elif a != b:
        yield f"{where}: {a!r} in the file, {b!r} of kustomize"


file, folder = sys.argv[1:]
made = subprocess.run(["kubectl", "kustomize", folder], stdout=subprocess.PIPE, check=True).stdout
with open(file) as f:
    found = list(differences("", objects(f.read()), objects(made)))
print("\n".join(found), end="\n" if found else "")
sys.exit(bool(found))
