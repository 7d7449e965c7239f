"""JSON as text with places: a tree that remembers where every value stands, and never turns a number into a float.

Comparing and editing go by the text between two places, so digits, escapes, member order, repeated members and white
space are what they were. It reads any JSON text, to any depth that Python's stack carries; it refuses what is not JSON.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Iterator

SPACE = re.compile(r"[ \t\n\r]*")
STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")


class NotJson(ValueError):
    """The text is not JSON; says where."""


@dataclass
class Node:
    """One value: `kind` is `object`, `array`, `string`, `number` or `word`; `source[start:end]` is its text."""

    source: str
    kind: str
    start: int
    end: int = 0
    keys: list["Node"] = field(default_factory=list)
    items: list["Node"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.source[self.start : self.end]

    def string(self) -> str | None:
        """The characters of a string; a lone surrogate stays one."""
        return json.loads(self.text) if self.kind == "string" else None

    def members(self) -> Iterator[tuple[str, "Node"]]:
        for key, item in zip(self.keys, self.items):
            yield key.string() or "", item

    def get(self, *path: str | int) -> "Node | None":
        """The value at a path of member names and array places."""
        node: Node | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, int):
                node = node.items[step] if node.kind == "array" and step < len(node.items) else None
            else:
                node = next((item for key, item in node.members() if key == step), None) if node.kind == "object" else None
        return node

    def each(self, *path: str) -> list["Node"]:
        """Every value at a path, where `*` stands for all items of an array, or for a value that is not an array."""
        found = [self]
        for step in path:
            if step == "*":
                found = [item for node in found for item in (node.items if node.kind == "array" else [node])]
            else:
                found = [item for node in found if (item := node.get(step)) is not None]
        return found


def parse(text: str) -> Node:
    """The tree of a whole text, white space around it allowed."""
    start = SPACE.match(text, 0).end()
    node = _value(text, start)
    if SPACE.match(text, node.end).end() != len(text):
        raise NotJson(f"text goes on after the value, at {node.end}: {text[node.end:node.end + 20]!r}")
    return node


def _value(text: str, at: int) -> Node:
    head = text[at : at + 1]
    if head in ("{", "["):
        return _container(text, at, "object" if head == "{" else "array")
    if head == '"':
        return _string(text, at)
    found = SCALAR.match(text, at)
    if not found:
        raise NotJson(f"no value at {at}: {text[at:at + 20]!r}")
    kind = "word" if found.group()[0] in "tfn" else "number"
    return Node(text, kind, at, found.end())


def _string(text: str, at: int) -> Node:
    found = STRING.match(text, at)
    if not found:
        raise NotJson(f"no string at {at}: {text[at:at + 20]!r}")
    return Node(text, "string", at, found.end())


def _container(text: str, at: int, kind: str) -> Node:
    node = Node(text, kind, at)
    close = "}" if kind == "object" else "]"
    place = SPACE.match(text, at + 1).end()
    if text[place : place + 1] == close:
        node.end = place + 1
        return node
    while True:
        if kind == "object":
            key = _string(text, place)
            place = SPACE.match(text, key.end).end()
            if text[place : place + 1] != ":":
                raise NotJson(f"no colon at {place}")
            node.keys.append(key)
            place = SPACE.match(text, place + 1).end()
        item = _value(text, place)
        node.items.append(item)
        place = SPACE.match(text, item.end).end()
        mark = text[place : place + 1]
        place = SPACE.match(text, place + 1).end()
        if mark == close:
            # `place` has run over the space behind the bracket; the value ends at the bracket.
            node.end = text.index(close, item.end) + 1
            return node
        if mark != ",":
            raise NotJson(f"neither comma nor {close} at {item.end}: {text[item.end:item.end + 20]!r}")


def splice(text: str, edits: list[tuple[int, int, str]]) -> str:
    """The text with every span replaced; spans do not overlap."""
    parts, place = [], 0
    for start, end, new in sorted(edits):
        parts += [text[place:start], new]
        place = end
    return "".join(parts) + text[place:]


def without(node: Node, name: str) -> tuple[int, int]:
    """The span to cut so that the member `name` and one comma are gone; the caller knows that it is there."""
    at = next(index for index, (key, _) in enumerate(node.members()) if key == name)
    last = len(node.keys) - 1
    if at < last:
        return node.keys[at].start, node.keys[at + 1].start
    if at > 0:
        return node.items[at - 1].end, node.items[at].end
    return node.keys[at].start, node.items[at].end


def quote(characters: str) -> str:
    """A JSON string in plain ASCII."""
    return json.dumps(characters)


def tokens(node: Node) -> Iterator[str]:
    """The tokens of a value in order, without white space."""
    if node.kind == "object":
        yield "{"
        for key, item in zip(node.keys, node.items):
            yield key.text
            yield from tokens(item)
        yield "}"
    elif node.kind == "array":
        yield "["
        for item in node.items:
            yield from tokens(item)
        yield "]"
    else:
        yield node.text


def dense(node: Node) -> str:
    """The tokens joined by single spaces: equal texts exactly when the token streams are equal."""
    return " ".join(tokens(node))


@dataclass
class Difference:
    """One place where two values part: what kind of loss it is, where, and both texts."""

    what: str
    path: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.what} at {self.path or '(top)'}: {clip(self.left)}  ->  {clip(self.right)}"


def clip(text: str, length_max: int = 160) -> str:
    return text if len(text) <= length_max else f"{text[:length_max]}… ({len(text)} characters)"


DIFFERENCES_MAX = 12


def differences(left: Node, right: Node, path: str = "") -> list[Difference]:
    """Where two values part, outermost first, at most `DIFFERENCES_MAX` of them."""
    if left.text == right.text:
        return []
    if left.kind != right.kind:
        return [Difference("kind", path, left.text, right.text)]
    if left.kind == "array":
        found = [] if len(left.items) == len(right.items) else [Difference("length", path, str(len(left.items)), str(len(right.items)))]
        for index, (a, b) in enumerate(zip(left.items, right.items)):
            found += differences(a, b, f"{path}[{index}]")
        return found[:DIFFERENCES_MAX]
    if left.kind == "object":
        return _member_differences(left, right, path)[:DIFFERENCES_MAX]
    return [Difference(left.kind, path, left.text, right.text)]


def _member_differences(left: Node, right: Node, path: str) -> list[Difference]:
    a, b = [key.text for key in left.keys], [key.text for key in right.keys]
    found = []
    for index, key in enumerate(a):
        if b.count(key) < a[: index + 1].count(key):
            found.append(Difference("member lost", f"{path}.{key[1:-1]}", left.items[index].text, "(nothing)"))
    for index, key in enumerate(b):
        if a.count(key) < b[: index + 1].count(key):
            found.append(Difference("member added", f"{path}.{key[1:-1]}", "(nothing)", right.items[index].text))
    if not found and a != b:
        found.append(Difference("member order", path, " ".join(a), " ".join(b)))
    seen: dict[str, int] = {}
    for index, key in enumerate(a):
        nth = seen[key] = seen.get(key, -1) + 1
        places = [at for at, other in enumerate(b) if other == key]
        if nth < len(places):
            found += differences(left.items[index], right.items[places[nth]], f"{path}.{key[1:-1]}")
    return found
