"""What may differ on purpose: the rules of expectations.json, and the masks of volatile.json.

A rule turns what the server said into what Braid may make of it, guided by what Braid did say: it explains one known
change at one place and touches nothing else, so an unknown change beside it still shows.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from names import blocks, kind_of
from spans import Node, parse, quote, splice, without

HERE = Path(__file__).resolve().parent
MODERN_MEMBERS = ("resultType", "ttlMs", "cacheScope")
SERVER_INFO = "io.modelcontextprotocol/serverInfo"


@dataclass(frozen=True)
class Place:
    """Where a text was seen: the server, the client's revision, the step, and which aspect of it."""

    server: str
    revision: str
    step: str
    method: str
    aspect: str


class Masks:
    def __init__(self, path: Path = HERE / "volatile.json"):
        self.rules = json.loads(path.read_text())["rules"]

    def apply(self, place: Place, text: str) -> str:
        for rule in self.rules:
            if (
                fnmatchcase(place.server, rule.get("server", "*"))
                and fnmatchcase(place.step, rule.get("step", "*"))
                and fnmatchcase(place.aspect, rule.get("aspect", "*"))
            ):
                text = re.sub(rule["find"], rule.get("put", "~"), text)
        return text


class Rules:
    def __init__(self, path: Path = HERE / "expectations.json"):
        expectations = json.loads(path.read_text())
        self.rules = expectations["rules"]
        self.gaps: list[dict[str, str]] = expectations["not_yet"]

    def gap(self, server: str, kind: str, step: str) -> dict[str, str] | None:
        """The entry of `not_yet` that a comparison falls under."""
        at = {"server": server, "kind": kind, "step": step}
        return next((gap for gap in self.gaps if all(fnmatchcase(at[name], gap.get(name, "*")) for name in at)), None)

    def on(self, name: str, revision: str) -> bool:
        rule = self.rules[name]
        return rule["mode"] != "off" and rule.get("since", "") <= revision <= rule.get("upto", "9999")

    def must(self, name: str) -> bool:
        return self.rules[name]["mode"] == "must"

    def adapt(self, place: Place, expected: str, seen: str, mode: str) -> tuple[str, list[str]]:
        """`expected` changed as the rules of a mode say, toward `seen`, and the names of the rules that changed it."""
        used = []
        for name, change in CHANGES.items():
            if self.on(name, place.revision) and self.must(name) == (mode == "must"):
                changed = change(place, parse(expected), parse(seen), self.must(name))
                if changed is not None and changed != expected:
                    expected = changed
                    used.append(name)
        return expected, used


def cut(node: Node, gone: list[str], seen: Node | None, must: bool) -> list[tuple[int, int, str]]:
    """Edits that drop members which the other side does not have."""
    names = [name for name in gone if node.get(name) is not None and (must or (seen is not None and seen.get(name) is None))]
    # One at a time: cutting neighbours with their commas together would overlap.
    return [(*without(node, name), "") for name in names[:1]]


def cut_all(expected: Node, seen: Node, gone: list[str], must: bool) -> str | None:
    text = expected.text
    while edits := cut(expected, gone, seen, must):
        text = splice(expected.source, edits)
        expected = parse(text)
    return text


def execution(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    return cut_all(expected, seen, ["execution"], must) if place.method == "tools/list" else None


def structured(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    if place.method == "tools/list":
        return cut_all(expected, seen, ["outputSchema"], must)
    if place.method == "tools/call" and place.aspect == "result":
        return cut_all(expected, seen, ["structuredContent"], must)
    return None


def swap_blocks(place: Place, expected: Node, seen: Node, old: str, fits, must: bool) -> str | None:
    """Takes over the other side's block wherever it is an allowed stand-in for an `old` block."""
    pairs = [(a, b) for a, b in zip(blocks(place.method, expected), blocks(place.method, seen)) if kind_of(a) == old]
    edits = [(a.start, a.end, b.text) for a, b in pairs if kind_of(b) != old and fits(a, b)]
    # Where it must be converted and is not, nothing that could be seen is right.
    edits += [(a.start, a.end, '"a stand-in for this block"') for a, b in pairs if must and kind_of(b) == old]
    return splice(expected.source, edits)


def resource_link(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    def fits(link: Node, other: Node) -> bool:
        uri, words = link.get("uri"), other.get("text")
        return kind_of(other) == "text" and bool(uri and words) and (uri.string() or "-") in (words.string() or "")

    return swap_blocks(place, expected, seen, "resource_link", fits, must)


def audio(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    def fits(sound: Node, other: Node) -> bool:
        if kind_of(other) == "text":
            return True
        same = [(sound.get("data"), other.get("resource", "blob")), (sound.get("mimeType"), other.get("resource", "mimeType"))]
        return kind_of(other) == "resource" and all(a and b and a.text == b.text for a, b in same)

    return swap_blocks(place, expected, seen, "audio", fits, must)


def progress_message(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    return cut_all(expected, seen, ["message"], must) if place.aspect.startswith("progress") else None


def enum_titles(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    """A property whose choices have titles may come as `enum` with `enumNames`, in the same order."""
    if not place.aspect.startswith("ask elicitation"):
        return None
    edits = []
    for name, property_node in (expected.get("requestedSchema", "properties") or parse("{}")).members():
        choices, other = property_node.get("oneOf"), seen.get("requestedSchema", "properties", name)
        if choices is None or other is None or other.get("enum") is None:
            continue
        values = [choice.get("const") for choice in choices.items]
        if [v.text for v in values if v] == [v.text for v in other.get("enum").items]:
            edits.append((property_node.start, property_node.end, other.text))
    return splice(expected.source, edits)


def attribution(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    """The server's own words must stand in the other text, which must name the server."""
    spot = {"log": ("logger",), "ask elicitation/create": ("message",)}.get(place.aspect.split(" #")[0])
    if not spot:
        return None
    mine, other = expected.get(*spot), seen.get(*spot)
    if other is None or place.server.lower() not in (other.string() or "").lower():
        return None
    if mine is None:
        return None if spot != ("logger",) else _with_member(expected, seen, "logger")
    if (mine.string() or "") not in (other.string() or ""):
        return None
    return splice(expected.source, [(mine.start, mine.end, other.text)])


def elicitation_id(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    """The id of an elicitation by URL with the server's name before it."""
    mine, other = expected.get("elicitationId"), seen.get("elicitationId")
    if not place.aspect.startswith("ask elicitation/create") or mine is None or other is None:
        return None
    return splice(expected.source, [(mine.start, mine.end, other.text)]) if other.string() == f"{place.server}:{mine.string()}" else None


def as_task(mine: str | None, theirs: str | None) -> bool:
    """Whether a tool that only runs as a task refused a plain call and gave its result through Braid."""
    if mine is None or theirs is None or "requires task augmentation" not in mine:
        return False
    failed = parse(theirs).get("isError")
    return parse(theirs).get("content") is not None and (failed is None or failed.text == "false")


def _with_member(expected: Node, seen: Node, name: str) -> str | None:
    """Adds the other side's member where the other side has it."""
    at = next((index for index, (key, _) in enumerate(seen.members()) if key == name), None)
    if at is None:
        return None
    parts = [f"{key.text}:{item.text}" for key, item in zip(expected.keys, expected.items)]
    parts.insert(at, f"{quote(name)}:{seen.items[at].text}")
    return "{" + ",".join(parts) + "}"


def modern_server(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    """What a server that was spoken to in 2026-07-28 adds, and a client of an older revision does not need."""
    if place.aspect != "result":
        return None
    text = cut_all(expected, seen, list(MODERN_MEMBERS), must)
    meta, other = parse(text).get("_meta"), seen.get("_meta")
    if meta is None or meta.get(SERVER_INFO) is None or (other is not None and other.get(SERVER_INFO) is not None):
        return text
    if len(meta.keys) == 1 and other is None:
        return splice(text, [(*without(parse(text), "_meta"), "")])
    return splice(text, [(meta.start, meta.end, splice(meta.text, [(*(at - meta.start for at in without(meta, SERVER_INFO)), "")]))])


def modern_members(place: Place, expected: Node, seen: Node, must: bool) -> str | None:
    """For clients that speak the modern era to Braid: takes over what the era adds, and what is Braid's own to say."""
    if place.aspect == "error" and (code := expected.get("code")) and code.text == "-32002":
        return splice(expected.text, [(code.start, code.end, "-32602")])
    text = expected.text
    if expected.get("elicitationId") is not None and seen.get("elicitationId") is None:
        # The era has no word for the end of a page, and so no id of one.
        text = splice(text, [(*without(parse(text), "elicitationId"), "")])
    # In the other side's order: a member is put at the place it has there, which counts on those before it.
    for name in [key for key, _ in seen.members()]:
        if name in MODERN_MEMBERS:
            text = _taken_over(parse(text), seen, name)
        elif name == "_meta" and seen.get("_meta", SERVER_INFO) is not None:
            meta = parse(text).get("_meta")
            inner = _taken_over(parse(meta.text if meta else "{}"), seen.get("_meta"), SERVER_INFO)
            whole = parse(text) if meta else parse(_with_member(parse(text), seen, "_meta"))
            meta = whole.get("_meta")
            text = splice(whole.text, [(meta.start, meta.end, inner)])
    # The TypeScript SDK writes the dialect of a schema first where it speaks this era.
    for name in ("inputSchema", "outputSchema"):
        schema, other = parse(text).get(name), seen.get(name)
        if schema is not None and other is not None and "$schema" in [key for key, _ in other.members()]:
            said = lambda node: {key: item.text for key, item in node.members()}
            if said(schema) == said(other):
                text = splice(text, [(schema.start, schema.end, other.text)])
    return text


def _taken_over(expected: Node, seen: Node, name: str) -> str:
    """The text with the other side's value of a member, whether it had the member or not."""
    mine, other = expected.get(name), seen.get(name)
    if other is None:
        return expected.text
    if mine is None:
        return _with_member(expected, seen, name) or expected.text
    return splice(expected.text, [(mine.start, mine.end, other.text)])


CHANGES = {
    "execution": execution,
    "structured": structured,
    "resource_link": resource_link,
    "audio": audio,
    "progress_message": progress_message,
    "enum_titles": enum_titles,
    "attribution": attribution,
    "elicitation_id": elicitation_id,
    "modern_members": modern_members,
    "modern_server": modern_server,
}


def own_unknown_name(seen_kind: str, seen: str) -> bool:
    """Whether an answer is Braid's own word for a name that nobody lists."""
    code = parse(seen).get("code")
    return seen_kind == "error" and code is not None and code.text == "-32602"
