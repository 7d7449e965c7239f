"""What a name or URI of a server is called through Braid, and every place in a message where one stands.

The rules of the product's naming, written a second time on purpose: a tool `create_issue` of `github` is exposed as
`github__create_issue`, `demo://x` of `everything` as `everything+demo://x`. Names that are not plain enough get another
spelling; that one is taken from the list (same place in the same order) and only its form is checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from spans import Node, parse, quote, splice

NAME_LENGTH_MAX = 52
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
EXPOSED = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")

# What a client may fetch or show by itself keeps its scheme; these two get the server as first segment instead.
UNCHANGED_SCHEMES = ("http", "https")
SEGMENT_SCHEMES = ("ui", "skill")

# Method of the request, then the places in its result. `error` stands for the error of any method.
NAME_PLACES = {
    "tools/list": [("tools", "*", "name")],
    "prompts/list": [("prompts", "*", "name")],
}
URI_PLACES = {
    "tools/list": [("tools", "*", "_meta", "ui", "resourceUri"), ("tools", "*", "_meta", "ui/resourceUri")],
    "resources/list": [("resources", "*", "uri")],
    "resources/templates/list": [("resourceTemplates", "*", "uriTemplate")],
    "resources/read": [("contents", "*", "uri")],
    "notifications/resources/updated": [("uri",)],
    "error": [("data", "uri")],
}
REQUEST_NAMES = {"tools/call": [("name",)], "prompts/get": [("name",)], "completion/complete": [("ref", "name")]}
REQUEST_URIS = {
    "resources/read": [("uri",)],
    "resources/subscribe": [("uri",)],
    "resources/unsubscribe": [("uri",)],
    "completion/complete": [("ref", "uri")],
}


class BadName(Exception):
    """A name in a list is exposed in a form that the rules do not allow."""


@dataclass
class Exposure:
    """How one server's names appear; `key` is its entry in the configuration. An empty key means: as they are."""

    key: str
    tools: dict[str, str] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)

    @property
    def name_prefix(self) -> str:
        return re.sub(r"[^A-Za-z0-9_-]", "_", self.key) + "__" if self.key else ""

    @property
    def uri_prefix(self) -> str:
        return self.name_prefix[:-2].lower().replace("_", "-")

    def name(self, kind: str, original: str) -> str:
        table = self.tools if kind == "tools" else self.prompts
        return table.get(original, self.name_prefix + original)

    def uri(self, original: str) -> str:
        if not self.key:
            return original
        found = SCHEME.match(original)
        scheme = found.group(1).lower() if found else ""
        if not found or scheme in UNCHANGED_SCHEMES:
            return original
        if scheme in SEGMENT_SCHEMES:
            return original.replace("://", f"://{self.uri_prefix}/", 1)
        return f"{self.uri_prefix}+{original}"

    def learn(self, kind: str, originals: list[str], exposed: list[str]) -> None:
        """Takes the spelling of names that are not plain from the list; every form must be one that clients accept."""
        if len(originals) != len(exposed):
            return
        table = self.tools if kind == "tools" else self.prompts
        for original, name in zip(originals, exposed):
            plain = self.name_prefix + original
            if not EXPOSED.fullmatch(name) or len(name) > NAME_LENGTH_MAX or not name.startswith(self.name_prefix):
                raise BadName(f"`{original}` of `{self.key}` is exposed as `{name}`")
            if PLAIN.fullmatch(original) and len(plain) <= NAME_LENGTH_MAX and name != plain:
                raise BadName(f"`{original}` of `{self.key}` is exposed as `{name}`, not as `{plain}`")
            table[original] = name

    def owns_name(self, name: str) -> bool:
        return name.startswith(self.name_prefix)

    def owns_uri(self, uri: str, own: set[str]) -> bool:
        """Whether an exposed URI is this server's; one that keeps its scheme is known by being in the server's own list."""
        return uri.lower().startswith(f"{self.uri_prefix}+") or uri in {self.uri(original) for original in own}

    def request(self, method: str, params: str | None) -> str | None:
        """The params as a client of Braid sends them."""
        if not params or not self.key:
            return params
        tree = parse(params)
        kind = "prompts" if method == "prompts/get" or "ref/prompt" in params else "tools"
        edits = [(n.start, n.end, quote(self.name(kind, n.string()))) for p in REQUEST_NAMES.get(method, []) for n in tree.each(*p)]
        edits += [(n.start, n.end, self._prefixed_uri(n)) for p in REQUEST_URIS.get(method, []) for n in tree.each(*p)]
        return splice(params, edits)

    def result(self, method: str, text: str) -> str:
        """The text of a result, error or params as a client of Braid should see it."""
        if not self.key:
            return text
        tree = parse(text)
        edits = [(n, self._prefixed_uri(n)) for p in URI_PLACES.get(method, []) for n in tree.each(*p) if n.kind == "string"]
        edits += [(n, self._prefixed_uri(n)) for block in blocks(method, tree) for n in block_uris(block)]
        for place in NAME_PLACES.get(method, []):
            edits += [(n, quote(self.name(place[0], n.string()))) for n in tree.each(*place)]
        return splice(text, [(node.start, node.end, new) for node, new in edits])

    def _prefixed_uri(self, node: Node) -> str:
        """The string with the prefix put in as text, so that its own escapes stay."""
        original = node.string() or ""
        exposed = self.uri(original)
        if exposed == original:
            return node.text
        if exposed.endswith(original):
            return node.text[0] + exposed[: -len(original)] + node.text[1:]
        return quote(exposed)


def blocks(method: str, tree: Node) -> list[Node]:
    """The content blocks of a message."""
    if method == "tools/call":
        return tree.each("content", "*")
    if method == "prompts/get":
        return tree.each("messages", "*", "content", "*")
    if method == "sampling/createMessage":
        outer = tree.each("messages", "*", "content", "*")
        return outer + [inner for block in outer if kind_of(block) == "tool_result" for inner in block.each("content", "*")]
    return []


def kind_of(block: Node) -> str:
    found = block.get("type")
    return (found.string() or "") if found else ""


def block_uris(block: Node) -> list[Node]:
    place = {"resource_link": ("uri",), "resource": ("resource", "uri")}.get(kind_of(block))
    found = block.get(*place) if place else None
    return [found] if found and found.kind == "string" else []
