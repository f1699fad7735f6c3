# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""Compares what kilowg prints as JSON with the schemas in etc/schema. Prints TAP.

  schema.py SCHEMAS meshes KILOWG FOLDER INI...
      what needs no host, of golden cases in FOLDER and of files
  schema.py SCHEMAS files NAME=FILE...
      documents that are there already: FILE has to fit the schema NAME
"""

import copy
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "golden"))
import cluster_to_ini  # noqa: E402

ENDS = 2  # of so many nodes and peers "explain" is asked
EXIT_OK = (0, 1, 3)  # fine, wrong configuration, a difference


class Point:
    count = 0
    failed = 0

    def __init__(self, text, faults):
        faults = list(itertools.islice(faults, 20))
        Point.count += 1
        Point.failed += bool(faults)
        for fault in faults:
            print("#  ", fault)
        print("not ok" if faults else "ok", Point.count, "-", text)


class Schema:
    """One of the schemas, and which of its members were seen."""

    def __init__(self, path):
        self.name = path.name[: -len(".schema.json")]
        self.schema = json.loads(path.read_text(encoding="utf-8"))
        self.validator = jsonschema.Draft7Validator(self.schema)
        self.documents = []
        self.faults = []

    def take(self, document, what):
        self.documents.append(document)
        for error in itertools.islice(self.validator.iter_errors(document), 3):
            path = "/".join(map(str, error.absolute_path))
            self.faults.append(f"{what}: {path}: {error.message[:300]}")

    def objects(self, node=None):
        """All parts of the schema that are about objects."""
        node = self.schema if node is None else node
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for part in node.values():
                yield from self.objects(part)
        elif isinstance(node, list):
            for part in node:
                yield from self.objects(part)

    def loose(self):
        for part in self.objects():
            if part.get("additionalProperties") is not False:
                yield f"{self.name}: an object with {sorted(part.get('properties', {}))} takes any member"
        try:
            jsonschema.Draft7Validator.check_schema(self.schema)
        except jsonschema.SchemaError as error:
            yield f"{self.name}: {error.message}"

    def unseen(self):
        """Members that may be missing or empty, and always are: nothing is tested of them then."""
        seen, full = set(), set()
        for document in self.documents:
            for name, part in members(document):
                seen.add(name)
                if part:
                    full.add(name)
        for part in self.objects():
            for name in set(part.get("properties", {})) - set(part.get("required", ())) - seen:
                yield f"{self.name}: no document has {name}"
            for name, of in part.get("properties", {}).items():
                if of.get("type") == "array" and name in seen and name not in full:
                    yield f"{self.name}: {name} is empty in all documents"

    def blind(self):
        """Wrong documents that it takes: one more member, one less, and another number of the schema."""
        document = max(self.documents, key=lambda d: len(json.dumps(d)))
        for path in places(document):
            other = copy.deepcopy(document)
            part = other
            for step in path:
                part = part[step]
            part["one more"] = 1
            if self.validator.is_valid(other):
                yield f"{self.name}: {path} may have one more member"
        for name in self.schema["required"]:
            other = {k: v for k, v in document.items() if k != name}
            if self.validator.is_valid(other):
                yield f"{self.name}: {name} may be missing"
        for name in ("schema", "version"):
            if name in document and self.validator.is_valid({**document, name: document[name] + 1}):
                yield f"{self.name}: {name} may have any number"


def members(document):
    if isinstance(document, dict):
        for name, part in document.items():
            yield name, part
            yield from members(part)
    elif isinstance(document, list):
        for part in document:
            yield from members(part)


def places(document, path=()):
    """Objects in it, of each list only those in the first element."""
    if isinstance(document, dict):
        yield path
        for name, part in document.items():
            yield from places(part, (*path, name))
    elif isinstance(document, list) and document:
        yield from places(document[0], (*path, 0))


def ask(kilowg, ini, *words):
    """What kilowg prints as JSON; None if it refuses, which is not looked at here."""
    run = subprocess.run([kilowg, "-j", "-f", str(ini), *words],
                         capture_output=True, check=False, timeout=60)
    if run.returncode not in EXIT_OK or not run.stdout:
        return None
    return json.loads(run.stdout)


def take(schemas, name, kilowg, ini, *words):
    document = ask(kilowg, ini, *words)
    if document is not None:
        schemas[name].take(document, f"{ini.name}: {' '.join(words)}")
    return document


def ask_all(schemas, kilowg, ini):
    """All that the configuration alone answers."""
    understood = take(schemas, "check", kilowg, ini, "check")
    if not understood or understood["errors"]:
        return
    take(schemas, "check-reach", kilowg, ini, "check", "--reach")
    nodes = [n["name"] for n in understood["nodes"] if n["takes-part"]]
    peers = [p["name"] for p in understood["peers"] if p["takes-part"]]
    for node in nodes[:ENDS]:
        take(schemas, "plan", kilowg, ini, "--node", node, "plan")
    for one, other in itertools.permutations(nodes[:ENDS] + peers[:ENDS], 2):
        take(schemas, "explain", kilowg, ini, "explain", one, other)
    behind = [net.split("/")[0] for n in understood["nodes"] for net in n["allowed-location-ip"]]
    pods = ["pod:" + n["name"] for n in understood["nodes"] if n["takes-part"] and n["pod-cidr"]]
    for one, other in itertools.product(nodes[:1] + pods[:1], ["192.0.2.99", *pods[-1:], *behind[:1]]):
        take(schemas, "explain", kilowg, ini, "explain", one, other)
    for peer in peers[:ENDS] if nodes else ():
        take(schemas, "showconf-peer", kilowg, ini, "--node", nodes[0], "showconf", "peer", peer)
        run = subprocess.run([kilowg, "-f", str(ini), "--node", nodes[0], "showconf", "peer", peer, "--format", "json"],
                             capture_output=True, check=False, timeout=60)
        if run.returncode == 0:
            schemas["client"].take(json.loads(run.stdout), f"{ini.name}: showconf peer {peer} --format json")


def meshes(schemas, kilowg, folder, *files):
    with tempfile.TemporaryDirectory() as there:
        inis = [pathlib.Path(f) for f in files]
        for case in sorted(pathlib.Path(folder).glob("*.cluster.json")):
            inis.append(pathlib.Path(there) / (case.name[: -len(".cluster.json")] + ".ini"))
            cluster = json.loads(case.read_text(encoding="utf-8"))
            inis[-1].write_text(cluster_to_ini.convert(cluster), encoding="utf-8")
        for ini in inis:
            ask_all(schemas, kilowg, ini)


def main():
    folder, kind, *words = sys.argv[1:]
    schemas = {s.name: s for s in map(Schema, sorted(pathlib.Path(folder).glob("*.schema.json")))}
    Point("all schemas are such, and take no member that they do not name",
          itertools.chain.from_iterable(s.loose() for s in schemas.values()))
    if kind == "meshes":
        meshes(schemas, *words)
    else:
        for word in words:
            name, path = word.split("=", 1)
            schemas[name].take(json.loads(pathlib.Path(path).read_text(encoding="utf-8")), path)
    for schema in schemas.values():
        if schema.documents:
            Point(f"{schema.name}: {len(schema.documents)} documents fit", schema.faults)
            Point(f"{schema.name}: others would not", schema.blind())
            Point(f"{schema.name}: what may be missing is there somewhere", schema.unseen())
    print(f"1..{Point.count}")
    return Point.failed != 0


sys.exit(main())
