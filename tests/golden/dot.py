# SPDX-FileCopyrightText: 2026 The kilowg authors
# SPDX-License-Identifier: ISC
"""The meaning of a Graphviz text: what a mesh graph shows, not how it is written."""

import collections
import re

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
      | (?P<edge>->|--)
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | (?P<plain>-?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)|[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)
      | (?P<mark>[\[\]{};,=:])""",
    re.DOTALL | re.VERBOSE,
)
KEYWORDS = {"strict", "graph", "digraph", "node", "edge", "subgraph"}
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
LINE_BREAKS = "nlr"

# What is compared, with the value that stands for an absent attribute.
GRAPH_ATTRIBUTES = {"label": "", "labelloc": "", "outputorder": "", "overlap": ""}
CLUSTER_ATTRIBUTES = {"label": "", "style": ""}
NODE_ATTRIBUTES = {"label": "\\N", "rank": "", "shape": "ellipse"}
EDGE_ATTRIBUTES = {"style": "solid"}


class DotError(Exception):
    """Not a Graphviz text."""


class Meaning:
    """What a text says: sets and multisets that can be compared."""

    def __init__(self, attributes, clusters, nodes, edges):
        self.attributes = attributes
        self.clusters = clusters
        self.nodes = nodes
        self.edges = edges

    def differences(self, actual):
        """Lines like those of a diff, for each item that just one of both has."""
        lines = []
        for kind in ("attributes", "clusters", "nodes", "edges"):
            ours, theirs = getattr(self, kind), getattr(actual, kind)
            lines += [f"-{kind}: {item}" for item in sorted((ours - theirs).elements(), key=repr)]
            lines += [f"+{kind}: {item}" for item in sorted((theirs - ours).elements(), key=repr)]
        return lines


class _Scope:
    """A graph or subgraph while it is read, with its defaults."""

    def __init__(self, name, parent=None):
        self.name = name
        self.parent = parent
        self.attributes = {}
        self.defaults = {
            kind: dict(parent.defaults[kind]) if parent else {} for kind in ("node", "edge")
        }

    def is_cluster(self):
        return self.name is not None and self.name.startswith("cluster")

    def chain(self):
        scope = self
        while scope is not None:
            yield scope
            scope = scope.parent


class _Parser:
    def __init__(self, text):
        self.tokens = _tokens(text)
        self.position = 0
        self.directed = False
        self.scopes = []
        self.nodes = {}
        self.members = collections.defaultdict(set)
        self.edges = []

    # Tokens are (kind, text) pairs.

    def peek(self, ahead=0):
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def take(self):
        token = self.peek()
        self.position += 1
        return token

    def accept(self, *token):
        if self.peek() == token:
            self.position += 1
            return True
        return False

    def expect(self, *token):
        if not self.accept(*token):
            raise DotError(f"{token[1]!r} expected, not {self.peek()[1]!r}")

    def identifier(self):
        kind, text = self.take()
        if kind != "id":
            raise DotError(f"a name expected, not {text!r}")
        return text

    # The grammar of the Graphviz manual, without ports and HTML.

    def graph(self):
        self.accept("keyword", "strict")
        self.directed = self.accept("keyword", "digraph")
        if not self.directed:
            self.expect("keyword", "graph")
        name = self.identifier() if self.peek()[0] == "id" else None
        top = _Scope(name)
        self.block(top)
        self.expect("end", "")
        return top

    def block(self, scope):
        self.scopes.append(scope)
        self.expect("mark", "{")
        while not self.accept("mark", "}"):
            if not self.accept("mark", ";"):
                self.statement(scope)

    def statement(self, scope):
        kind, text = self.peek()
        if kind == "keyword" and text in ("graph", "node", "edge"):
            self.take()
            target = scope.attributes if text == "graph" else scope.defaults[text]
            target.update(self.attributes())
        elif (kind, text) in (("keyword", "subgraph"), ("mark", "{")):
            self.subgraph(scope)
        elif self.peek(1) == ("mark", "="):
            self.take(), self.take()
            scope.attributes[text] = self.identifier()
        else:
            self.nodes_or_edges(scope)

    def subgraph(self, scope):
        named = self.accept("keyword", "subgraph") and self.peek()[0] == "id"
        self.block(_Scope(self.identifier() if named else None, scope))

    def nodes_or_edges(self, scope):
        names = [self.identifier()]
        while self.accept("edge", "->" if self.directed else "--"):
            names.append(self.identifier())
        attributes = self.attributes()
        for name in names:
            self.mention(name, scope)
        if len(names) == 1:
            self.nodes[names[0]].update(attributes)
        for pair in zip(names, names[1:]):
            self.edges.append((pair, {**scope.defaults["edge"], **attributes}))

    def mention(self, name, scope):
        self.nodes.setdefault(name, dict(scope.defaults["node"]))
        self.members[name].update(s for s in scope.chain() if s.is_cluster())

    def attributes(self):
        found = {}
        while self.accept("mark", "["):
            while not self.accept("mark", "]"):
                name = self.identifier()
                self.expect("mark", "=")
                found[name] = self.identifier()
                self.accept("mark", ",") or self.accept("mark", ";")
        return found


def _tokens(text):
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise DotError(f"not understood: {text[position:position + 20]!r}")
        position = match.end()
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "quoted":
            tokens.append(("id", value.replace('\\"', '"')))
        elif kind == "plain":
            tokens.append(("keyword" if value.lower() in KEYWORDS else "id", value))
        elif kind != "space":
            tokens.append((kind, value))
    return [*tokens, ("end", "")]


def _label(text):
    """Line breaks, written in any way; those at the end show nothing."""
    def unescape(match):
        return "\n" if match[1] in LINE_BREAKS else match[1]

    return ESCAPE.sub(unescape, text).rstrip("\n")


def _shown(attributes, compared):
    return tuple((name, _label(attributes.get(name, absent)))
                 for name, absent in compared.items())


def _node(name, attributes, clusters):
    inside = tuple(sorted(_label(cluster.attributes.get("label", "")) for cluster in clusters))
    label = attributes.get("label", NODE_ATTRIBUTES["label"]).replace("\\N", name)
    return name, inside, _shown({**attributes, "label": label}, NODE_ATTRIBUTES)


def _edge(pair, attributes, directed):
    direction = attributes.get("dir", "forward" if directed else "none")
    if direction in ("both", "none"):
        pair = tuple(sorted(pair))
    return pair, direction, _shown(attributes, EDGE_ATTRIBUTES)


def parse(text):
    """The Meaning of TEXT."""
    parser = _Parser(text)
    top = parser.graph()
    count = collections.Counter
    return Meaning(
        attributes=count(_shown(top.attributes, GRAPH_ATTRIBUTES)),
        clusters=count(_shown(s.attributes, CLUSTER_ATTRIBUTES)
                       for s in parser.scopes if s.is_cluster()),
        nodes=count(_node(name, attributes, parser.members[name])
                    for name, attributes in parser.nodes.items()),
        edges=count(_edge(pair, attributes, parser.directed)
                    for pair, attributes in parser.edges),
    )
