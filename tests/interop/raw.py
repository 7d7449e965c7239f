"""One session with one MCP server, kept as text: what the server wrote is recorded, never rebuilt.

A `Session` speaks JSON-RPC over any of the wires in a given revision with given capabilities. It answers what a server may ask
(roots, sampling, elicitation, ping) always in the same way, and records, for each request, the text of the answer, the
notifications before it and the questions in between. Every wait has an end, and only processes started here are killed.
"""

from __future__ import annotations

import json
import os
import queue
import time
from dataclasses import dataclass, field
from pathlib import Path

from spans import Node, NotJson, parse, quote, splice
from wires import Broken, Reach, open_wire

# Which back-flows Braid carries.
CARRIED: dict[str, bool] = json.loads((Path(__file__).resolve().parent / "carried.json").read_text())

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"

LIST_PAGES_MAX = 200


class Silence(Exception):
    """No answer in time, or the process is gone; says which request was waiting and what stderr said last."""


def capabilities(revision: str) -> str:
    """What a full client of a revision declares."""
    if revision >= MODERN or not CARRIED["asks"]:
        return "{}"
    if revision >= "2025-11-25":
        return '{"roots":{"listChanged":true},"sampling":{},"elicitation":{"form":{},"url":{}}}'
    if revision >= "2025-06-18":
        return '{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}'
    return '{"roots":{"listChanged":true},"sampling":{}}'


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The few variables that a proxy gives its children too, so that both sides start servers alike."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG", "TMPDIR") if name in os.environ}
    return kept | (extra or {})


@dataclass
class Note:
    """A notification: its method and the text of its params."""

    method: str
    params: str


@dataclass
class Ask:
    """A request of the server to us: its method and the text of its params."""

    method: str
    params: str


@dataclass
class Answer:
    """What came back for one request: `kind` is `result` or `error`, `text` that member's text."""

    kind: str
    text: str
    notes: list[Note] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    id_text: str = ""


class Session:
    """A running server and the conversation with it. Use as a context manager."""

    def __init__(
        self,
        reach: Reach | list[str],
        *,
        env: dict[str, str],
        cwd: Path,
        revision: str,
        roots: list[str] | None = None,
        declared: str | None = None,
        patience: float = 30.0,
    ):
        self.revision = revision
        self.patience = patience
        self.roots = roots or []
        self.declared = declared or capabilities(revision)
        self.notes: list[Note] = []
        self.asks: list[Ask] = []
        self.strays: list[str] = []
        self.next_id = 0
        self.waiting: dict[str, Answer | None] = {}
        try:
            self.wire = open_wire(reach if isinstance(reach, Reach) else Reach(reach), env, cwd)
        except Broken as broken:
            raise Silence(str(broken)) from broken

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int | None:
        """Ends the session as a client does. Returns the exit code of what it talked to."""
        return self.wire.close()

    def gone(self) -> bool:
        return self.wire.gone()

    def send(self, text: str) -> None:
        try:
            self.wire.send(text)
        except Broken as broken:
            raise Silence(f"cannot send: {broken}; {self.wire.last_words()}") from broken

    def notify(self, method: str, params: str | None = None) -> None:
        tail = f',"params":{params}' if params else ""
        self.send(f'{{"jsonrpc":"2.0","method":{quote(method)}{tail}}}')
        if method == "notifications/initialized":
            self.wire.ready()

    def begin(self, method: str, params: str | None = None) -> str:
        """Sends a request and returns the text of its id; numbers and strings take turns."""
        self.next_id += 1
        id_text = str(self.next_id) if self.next_id % 2 else f'"r-{self.next_id}"'
        if self.revision == MODERN:
            params = self._with_era(params)
        tail = f',"params":{params}' if params is not None else ""
        self.waiting[id_text] = None
        self.send(f'{{"jsonrpc":"2.0","id":{id_text},"method":{quote(method)}{tail}}}')
        return id_text

    def finish(self, id_text: str, patience: float | None = None) -> Answer:
        """Waits for the answer to one request."""
        end = time.monotonic() + (patience or self.patience)
        while self.waiting[id_text] is None:
            if not self.pump(end):
                raise Silence(f"no answer to request {id_text} in {patience or self.patience:.0f} s; {self.wire.last_words()}")
        return self.waiting.pop(id_text)

    def request(self, method: str, params: str | None = None, patience: float | None = None) -> Answer:
        note_from, ask_from = len(self.notes), len(self.asks)
        id_text = self.begin(method, params)
        answer = self.finish(id_text, patience)
        answer.id_text = id_text
        answer.notes, answer.asks = self.notes[note_from:], self.asks[ask_from:]
        return answer

    def pump(self, end: float) -> bool:
        """Handles one message; false when none came until `end` or none can come any more."""
        try:
            line = self.wire.lines.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            return False
        if line is None:
            self.wire.lines.put(None)
            return False
        if line.strip():
            self._handle(line.decode("utf-8", "surrogateescape"))
        return True

    def settle(self, quiet: float, at_most: float) -> None:
        """Handles what comes until nothing has come for `quiet` seconds."""
        end = time.monotonic() + at_most
        while time.monotonic() < end and self.pump(min(end, time.monotonic() + quiet)):
            pass

    def await_note(self, method: str, start: int, patience: float = 10.0) -> Note | None:
        """The first notification of a method among those after the first `start`."""
        end = time.monotonic() + patience
        while True:
            found = next((note for note in self.notes[start:] if note.method == method), None)
            if found or not self.pump(end):
                return found

    def _handle(self, text: str) -> None:
        try:
            message = parse(text)
        except NotJson as error:
            self.strays.append(f"{error}: {text[:200]!r}")
            return
        method, id_node = message.get("method"), message.get("id")
        if method is None:
            self._close(message, id_node)
            return
        name, params = method.string() or "", message.get("params")
        if id_node is None:
            self.notes.append(Note(name, params.text if params else ""))
        else:
            self.asks.append(Ask(name, params.text if params else ""))
            self.send(f'{{"jsonrpc":"2.0","id":{id_node.text},{self.reply(name, params)}}}')

    def _close(self, message: Node, id_node: Node | None) -> None:
        id_text = id_node.text if id_node else ""
        result, error, version = message.get("result"), message.get("error"), message.get("jsonrpc")
        if self.waiting.get(id_text, self) is not None or (result is None) == (error is None) or version is None or version.text != '"2.0"':
            self.strays.append(f"nobody waits for: {message.text[:200]!r}")
            return
        self.waiting[id_text] = Answer("result", result.text) if result else Answer("error", error.text)

    def reply(self, method: str, params: Node | None) -> str:
        """The result member for what a server asks."""
        match method:
            case "ping":
                return '"result":{}'
            case "roots/list":
                roots = ",".join(f'{{"uri":{quote(uri)},"name":"work"}}' for uri in self.roots)
                return f'"result":{{"roots":[{roots}]}}'
            case "sampling/createMessage":
                return '"result":{"role":"assistant","content":{"type":"text","text":"sampled"},"model":"still","stopReason":"endTurn"}'
            case "elicitation/create":
                return f'"result":{{"action":"accept"{self._filled_in(params)}}}'
        return '"error":{"code":-32601,"message":"not offered"}'

    @staticmethod
    def _filled_in(params: Node | None) -> str:
        """A value for every property that is asked for, chosen by its schema alone."""
        properties = params.get("requestedSchema", "properties") if params else None
        if properties is None:
            return ""
        parts = []
        for name, schema in properties.members():
            default, kind, choices = schema.get("default"), schema.get("type"), schema.get("enum")
            format_name = schema.get("format").string() if schema.get("format") else ""
            if default is not None:
                value = default.text
            elif choices is not None:
                value = choices.items[0].text
            elif schema.get("oneOf", 0, "const") is not None:
                value = schema.get("oneOf", 0, "const").text
            elif kind is not None and kind.string() in ("number", "integer"):
                value = (schema.get("minimum") or parse("7")).text
            elif kind is not None and kind.string() == "boolean":
                value = "true"
            elif kind is not None and kind.string() == "array":
                first = schema.get("items", "enum", 0) or schema.get("items", "anyOf", 0, "const")
                value = f"[{first.text}]" if first else "[]"
            else:
                texts = {"email": "ana@example.org", "uri": "https://example.org/", "date": "2025-01-02", "date-time": "2025-01-02T03:04:05Z"}
                value = quote(texts.get(format_name or "", "Ana"))
            parts.append(f"{quote(name)}:{value}")
        return f',"content":{{{",".join(parts)}}}'

    def _with_era(self, params: str | None) -> str:
        """The params of a request that introduces itself, as there is no handshake in the modern era."""
        own = (
            f'"io.modelcontextprotocol/protocolVersion":{quote(MODERN)},"io.modelcontextprotocol/clientCapabilities":{self.declared},'
            '"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"}'
        )
        tree = parse(params or "{}")
        meta = tree.get("_meta")
        at = meta.start + 1 if meta else tree.start + 1
        filled = (meta or tree).keys
        new = own if meta else f'"_meta":{{{own}}}'
        return splice(tree.source, [(at, at, new + ("," if filled else ""))])

    def handshake(self) -> Answer:
        """`initialize` and `initialized`, or `server/discover`; the answer tells what was agreed."""
        if self.revision == MODERN:
            return self.request("server/discover")
        answer = self.request(
            "initialize",
            f'{{"protocolVersion":{quote(self.revision)},"capabilities":{self.declared},"clientInfo":{{"name":"raw","version":"1"}}}}',
        )
        self.notify("notifications/initialized")
        return answer

    def list_all(self, method: str, member: str) -> list[str] | Answer:
        """The texts of all items of all pages, or the error that the list is answered with."""
        items: list[str] = []
        params = None
        for _ in range(LIST_PAGES_MAX):
            answer = self.request(method, params)
            if answer.kind == "error":
                return answer
            result = parse(answer.text)
            items += [item.text for item in (result.get(member) or result).items]
            cursor = result.get("nextCursor")
            if cursor is None or cursor.text == "null":
                return items
            params = f'{{"cursor":{cursor.text}}}'
        raise Silence(f"{method} does not end after {LIST_PAGES_MAX} pages")
