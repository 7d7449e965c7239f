"""A stand-in for Braid that loses something on purpose: the run's own test.

It aggregates the servers of a configuration over stdio, in the product's names, and forwards text as it is; with
`LOSE=...` it does one thing wrong, and writes to `LOSS_LOG` each place where that changed something. The run must find
exactly those places. It is a tool for testing the comparison: one client, no limits, no timeouts, no restarts.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
from math import isfinite
from pathlib import Path
from typing import Callable

from names import NAME_LENGTH_MAX, NAME_PLACES, REQUEST_NAMES, REQUEST_URIS, Exposure
from record import KEYS, LISTS
from spans import STRING, Node, dense, parse, quote, splice, without

KNOWN = set(
    "name title description inputSchema outputSchema annotations icons _meta uri uriTemplate mimeType size arguments required content type text data "
    "structuredContent isError resource blob contents messages role completion values total hasMore code message audience priority lastModified "
    "tools resources resourceTemplates prompts".split()
)
CAPABILITIES = '{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"completions":{},"logging":{}}'
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
OPAQUE = {"inputSchema", "outputSchema", "structuredContent", "_meta", "data", "arguments"}


def rebuilt(text: str, change: Callable[[object], object]) -> str:
    # What is beyond a double becomes null, as JavaScript writes it.
    tree = json.loads(text, parse_float=lambda digits: value if isfinite(value := float(digits)) else None)
    return json.dumps(change(tree), separators=(",", ":"))


def known_only(value: object) -> object:
    if isinstance(value, dict):
        return {k: v if k in OPAQUE else known_only(v) for k, v in value.items() if k in KNOWN}
    return [known_only(v) for v in value] if isinstance(value, list) else value


def no_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {k: no_nulls(v) for k, v in value.items() if v is not None}
    return [no_nulls(v) for v in value] if isinstance(value, list) else value


def no_surrogates(text: str) -> str:
    return re.sub(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])", r"\\ufffd", text)


def unescaped(text: str) -> str:
    """Every string decoded and written again, the rest left alone."""
    return re.sub(STRING, lambda found: json.dumps(json.loads(found.group()), ensure_ascii=False).encode("utf-8", "replace").decode(), text)


def no_data(text: str) -> str:
    node = parse(text)
    return splice(text, [(*without(node, "data"), "")]) if node.get("data") else text


def own_code(text: str) -> str:
    code = parse(text).get("code")
    return splice(text, [(code.start, code.end, "-32603")])


# What is lost, and in which texts: `result` (also of list items), `error`, `params` of requests, `note`.
LOSSES: dict[str, dict[str, Callable[[str], str]]] = {
    "unknown members": {"result": lambda t: rebuilt(t, known_only)},
    "floats": {"result": lambda t: rebuilt(t, lambda v: v)},
    "order": {"result": lambda t: rebuilt(t, lambda v: json.loads(json.dumps(v, sort_keys=True)))},
    "nulls": {"result": lambda t: rebuilt(t, no_nulls)},
    "surrogates": {"result": no_surrogates},
    "escapes": {"result": unescaped},
    "error data": {"error": no_data},
    "error code": {"error": own_code},
    "arguments": {"params": lambda t: rebuilt(t, lambda v: v)},
    "progress": {"note": lambda t: re.sub(r'"progress":[^,}]*', '"progress":0', t)},
}
# Losses that are not a change of text are done where they happen: "pages", "blocks", "cancel", "notes".

# What is lost of what servers do toward their client, and the flows of `flowparts.py` in which that must show.
FLOW_LOSSES: dict[str, tuple[str, ...]] = {
    "notes": ("progress", "cancelled"),
    "cancel": ("cancelled",),
    "logs": ("log", "roots"),
    "levels": ("log",),
    "log numbers": ("log",),
    "withdrawals": ("cancelled",),
    "list changes": ("list_changed",),
    "updates": ("updated",),
    "update numbers": ("updated",),
    "completions": ("elicitation",),
    "who asks": ("elicitation", "cancelled"),
    "elicitations": ("elicitation", "cancelled"),
    "elicitation members": ("elicitation",),
    "samplings": ("sampling",),
    "sampling numbers": ("sampling",),
    "refusals": ("elicitation", "sampling"),
    "roots": ("roots",),
    "news of roots": ("roots",),
}
# The notes and asks that a loss of these drops, or rebuilds.
DROPPED = {
    "logs": "notifications/message",
    "withdrawals": "notifications/cancelled",
    "list changes": "/list_changed",
    "updates": "notifications/resources/updated",
    "completions": "notifications/elicitation/complete",
    "elicitations": "elicitation/create",
    "samplings": "sampling/createMessage",
    "roots": "roots/list",
}
REBUILT: dict[str, tuple[str, Callable[[object], object]]] = {
    "log numbers": ("notifications/message", lambda value: value),
    "update numbers": ("notifications/resources/updated", lambda value: value),
    "sampling numbers": ("sampling/createMessage", lambda value: value),
    "elicitation members": ("elicitation/create", lambda value: {name: item for name, item in value.items() if name != "vendor"}),
}


class Server:
    """One child and the requests in flight toward it."""

    def __init__(self, key: str, entry: dict, hub: "Hub"):
        self.key, self.hub = key, hub
        self.exposure = Exposure(key)
        self.owned: dict[str, set[str]] = {}
        self.waiting: dict[str, Callable[[Node], None]] = {}
        self.next_id = 0
        self.lock = threading.Lock()
        self.ready = threading.Event()
        env = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LANG", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(
            [entry["command"], *entry["args"]],
            env=env | entry["env"],
            cwd=entry["cwd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        threading.Thread(target=self.read, daemon=True).start()

    def send(self, text: str) -> None:
        with self.lock:
            self.process.stdin.write(text.encode("utf-8", "surrogateescape") + b"\n")
            self.process.stdin.flush()

    def ask(self, method: str, params: str | None, then: Callable[[Node], None]) -> str:
        with self.lock:
            self.next_id += 1
            id_text = str(self.next_id)
            self.waiting[id_text] = then
        self.send(f'{{"jsonrpc":"2.0","id":{id_text},"method":{quote(method)}{f",{chr(34)}params{chr(34)}:{params}" if params else ""}}}')
        return id_text

    def wait(self, method: str, params: str | None) -> Node:
        answer: queue.Queue[Node] = queue.Queue()
        self.ask(method, params, answer.put)
        return answer.get(timeout=60)

    def read(self) -> None:
        for line in self.process.stdout:
            if not line.strip():
                continue
            message = parse(line.decode("utf-8", "surrogateescape"))
            id_node, method = message.get("id"), message.get("method")
            if method is None and id_node is not None:
                then = self.waiting.pop(id_node.text, None)
                if then:
                    then(message)
            elif method is not None:
                self.hub.from_server(self, method.string(), id_node, message.get("params"))

    def start(self, params: str) -> None:
        self.wait("initialize", params)
        self.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
        # Clients may call what they know from before, without asking for a list first.
        for method in LISTS:
            self.hub.learn(self, method, self.items(method))
        self.ready.set()

    def items(self, method: str) -> list[str]:
        found, cursor = [], ""
        while True:
            result = self.wait(method, cursor or None).get("result")
            if result is None:
                return found
            found += [item.text for item in result.get(LISTS[method]).items]
            after = result.get("nextCursor")
            if after is None or self.hub.lose == "pages":
                if after is not None:
                    self.hub.log(f"list {method} {self.key}")
                return found
            cursor = f'{{"cursor":{after.text}}}'


class Hub:
    """The client's side."""

    def __init__(self, config: Path):
        self.lose = os.environ.get("LOSE", "")
        self.loss_log = os.environ.get("LOSS_LOG")
        entries = json.loads(config.with_suffix(".json").read_text())["mcpServers"]
        self.lock = threading.Lock()
        self.asks: dict[str, tuple[Server, str]] = {}
        self.running: dict[str, tuple[Server, str]] = {}
        self.tokens: dict[str, str] = {}
        self.introduction = "{}"
        # No level is set: everything passes.
        self.lowest = 0
        self.servers = [Server(key, entry, self) for key, entry in entries.items()]

    def log(self, line: str) -> None:
        if self.loss_log:
            with self.lock, open(self.loss_log, "a") as file:
                file.write(line + "\n")

    def lossy(self, where: str, text: str, mark: str) -> str:
        change = LOSSES.get(self.lose, {}).get(where)
        if change is None:
            return text
        changed = change(text)
        if dense(parse(changed)) != dense(parse(text)):
            self.log(mark)
        return changed

    def lossy_params(self, server: Server, params: str, mark: str) -> str:
        """Lost on the way to a server: only the one that echoes text can show it, and it shows white space as well."""
        change = LOSSES.get(self.lose, {}).get("params")
        if change is None:
            return params
        changed, name = change(params), parse(params).get("name")
        echo = server.key == "quirky" and name is not None and name.string() == "echo"
        before, after = (["".join(n.text for n in parse(t).each(m)) for m in ("arguments", "_meta", "vendor", "extra")] for t in (params, changed))
        if echo and before != after:
            self.log(mark)
        return changed

    def send(self, text: str) -> None:
        with self.lock:
            sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
            sys.stdout.buffer.flush()

    def run(self) -> None:
        for line in sys.stdin.buffer:
            if line.strip():
                self.from_client(parse(line.decode("utf-8", "surrogateescape")))
        for server in self.servers:
            server.process.stdin.close()
        for server in self.servers:
            try:
                server.process.wait(2)
            except subprocess.TimeoutExpired:
                server.process.kill()

    def from_client(self, message: Node) -> None:
        id_node, method, params = message.get("id"), message.get("method"), message.get("params")
        if method is None:
            server, id_text = self.asks.pop(id_node.string())
            member = message.get("result")
            if member is None and self.lose == "refusals":
                return server.send(f'{{"jsonrpc":"2.0","id":{id_text},"error":{{"code":-32603,"message":"refused"}}}}')
            self_part = f'"result":{member.text}' if member else f'"error":{message.get("error").text}'
            server.send(f'{{"jsonrpc":"2.0","id":{id_text},{self_part}}}')
            return
        name, text = method.string(), params.text if params else None
        match name:
            case "initialize":
                self.introduction = text
                version = params.get("protocolVersion").text
                self.send(f'{{"jsonrpc":"2.0","id":{id_node.text},"result":{{"protocolVersion":{version},"capabilities":{CAPABILITIES},"serverInfo":{{"name":"stand-in","version":"0"}}}}}}')
            case "notifications/initialized":
                # Not before: a server may ask as soon as it runs.
                for server in self.servers:
                    threading.Thread(target=server.start, args=(self.introduction,), daemon=True).start()
            case "notifications/roots/list_changed" if self.lose == "news of roots":
                pass
            case "notifications/roots/list_changed":
                for server in self.servers:
                    server.send(f'{{"jsonrpc":"2.0","method":{quote(name)}}}')
            case "notifications/cancelled":
                server, id_text = self.running.get(params.get("requestId").text, (None, ""))
                if server and self.lose == "cancel":
                    self.log(f"id {params.get('requestId').text}")
                elif server:
                    server.send(f'{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id_text}}}}}')
            case _ if id_node is None:
                pass
            case _ if name in LISTS:
                threading.Thread(target=self.list, args=(name, id_node.text), daemon=True).start()
            case "ping" | "logging/setLevel":
                if name == "logging/setLevel":
                    self.lowest = LEVELS.index(params.get("level").string())
                    for server in self.servers:
                        server.ask(name, text, lambda answer: None)
                self.send(f'{{"jsonrpc":"2.0","id":{id_node.text},"result":{{}}}}')
            case "server/discover":
                self.send(f'{{"jsonrpc":"2.0","id":{id_node.text},"error":{{"code":-32601,"message":"not here"}}}}')
            case _:
                self.all_ready()
                self.route(name, id_node.text, text, params)

    def all_ready(self) -> None:
        for server in self.servers:
            server.ready.wait(60)

    def learn(self, server: Server, method: str, originals: list[str]) -> None:
        server.owned[method] = {parse(item).get(KEYS[method]).string() for item in originals}
        if method in NAME_PLACES:
            for item in originals:
                self.name(server, LISTS[method], parse(item).get("name").string())

    def list(self, method: str, id_text: str) -> None:
        """All servers' items, renamed."""
        self.all_ready()
        merged = []
        for server in self.servers:
            originals = server.items(method)
            self.learn(server, method, originals)
            for item in originals:
                whole = server.exposure.result(method, f'{{"{LISTS[method]}":[{item}]}}')
                inner = parse(whole).get(LISTS[method], 0).text
                merged.append(self.lossy("result", inner, f"list {method} {server.key}"))
        self.send(f'{{"jsonrpc":"2.0","id":{id_text},"result":{{"{LISTS[method]}":[{",".join(merged)}]}}}}')

    @staticmethod
    def name(server: Server, kind: str, original: str) -> None:
        plain = server.exposure.name_prefix + re.sub(r"[^A-Za-z0-9_-]", "_", original)
        if plain != server.exposure.name_prefix + original or len(plain) > NAME_LENGTH_MAX:
            plain = plain[: NAME_LENGTH_MAX - 7] + "_" + hashlib.sha256(f"{server.key}\0{original}".encode()).hexdigest()[:6]
        (server.exposure.tools if kind == "tools" else server.exposure.prompts)[original] = plain

    def route(self, method: str, id_text: str, text: str, params: Node) -> None:
        kind = "prompts" if params.get("ref", "name") or method == "prompts/get" else "tools"
        for places, back in ((REQUEST_NAMES, self.server_of_name), (REQUEST_URIS, self.server_of_uri)):
            for node in (n for place in places.get(method, []) for n in params.each(*place)):
                exposed = node.string()
                server, original = back(kind, exposed)
                if server:
                    # A prefix goes as text, so that the rest keeps its escapes.
                    plain = node.text[0] + node.text[1 + len(exposed) - len(original) :] if exposed.endswith(original) else quote(original)
                    start, end = node.start - params.start, node.end - params.start
                    return self.forward(server, method, id_text, splice(params.text, [(start, end, plain)]))
        self.send(f'{{"jsonrpc":"2.0","id":{id_text},"error":{{"code":-32602,"message":"nobody offers this"}}}}')

    def server_of_name(self, kind: str, exposed: str) -> tuple[Server | None, str]:
        for server in self.servers:
            table = server.exposure.tools if kind == "tools" else server.exposure.prompts
            for original, name in table.items():
                if name == exposed:
                    return server, original
        return None, ""

    def server_of_uri(self, kind: str, exposed: str) -> tuple[Server | None, str]:
        for server in self.servers:
            prefix = server.exposure.uri_prefix
            if exposed.lower().startswith(prefix + "+"):
                return server, exposed[len(prefix) + 1 :]
            if exposed.startswith(f"ui://{prefix}/"):
                return server, exposed.replace(f"{prefix}/", "", 1)
            if exposed in server.owned.get("resources/list", ()):
                return server, exposed
        return None, ""

    def forward(self, server: Server, method: str, id_text: str, params: str) -> None:
        def then(message: Node) -> None:
            self.running.pop(id_text, None)
            result, error = message.get("result"), message.get("error")
            if result is not None:
                kept = "resources/read" if self.lose == "blocks" and method != "resources/read" else method
                right, text = server.exposure.result(method, result.text), server.exposure.result(kept, result.text)
                if right != text:
                    self.log(f"id {id_text}")
                self.send(f'{{"jsonrpc":"2.0","id":{id_text},"result":{self.lossy("result", text, f"id {id_text}")}}}')
            else:
                text = self.lossy("error", server.exposure.result("error", error.text), f"id {id_text}")
                self.send(f'{{"jsonrpc":"2.0","id":{id_text},"error":{text}}}')

        sent = self.lossy_params(server, params, f"id {id_text}")
        token = parse(sent).get("_meta", "progressToken")
        if token is not None:
            self.tokens[token.text] = id_text
        self.running[id_text] = (server, server.ask(method, sent, then))

    def said_by(self, server: Server, method: str, params: Node) -> str:
        """The params in the client's terms: names and URIs, who asks, and the id of an ask that is taken back."""
        if method in ("elicitation/create", "notifications/elicitation/complete"):
            marks = {"message": f"[{server.key}] ", "elicitationId": f"{server.key}:"}
            found = [(node.start - params.start + 1, mark) for name, mark in marks.items() if (node := params.get(name)) and node.kind == "string"]
            return splice(params.text, [(place, place, mark) for place, mark in found if self.lose != "who asks" or ":" in mark])
        if method == "notifications/cancelled":
            taken = params.get("requestId")
            own = next((own for own, ask in self.asks.items() if ask == (server, taken.text)), "")
            return splice(params.text, [(taken.start - params.start, taken.end - params.start, quote(own))])
        return server.exposure.result(method, params.text)

    def from_server(self, server: Server, method: str, id_node: Node | None, params: Node | None) -> None:
        if method == "ping":
            return server.send(f'{{"jsonrpc":"2.0","id":{id_node.text},"result":{{}}}}')
        if self.lose in DROPPED and method.endswith(DROPPED[self.lose]):
            return server.send(f'{{"jsonrpc":"2.0","id":{id_node.text},"error":{{"code":-32601,"message":"lost"}}}}') if id_node else None
        if self.lose in REBUILT and method == REBUILT[self.lose][0] and params:
            params = parse(rebuilt(params.text, REBUILT[self.lose][1]))
        tail = f',"params":{self.said_by(server, method, params)}' if params else ""
        if id_node is not None:
            with self.lock:
                own = f"ask-{len(self.asks)}-{server.key}-{id_node.text}"
                self.asks[own] = (server, id_node.text)
            self.send(f'{{"jsonrpc":"2.0","id":{quote(own)},"method":{quote(method)}{tail}}}')
            return
        level = params.get("level") if params and method == "notifications/message" else None
        if self.lose != "levels" and level and level.string() in LEVELS and LEVELS.index(level.string()) < self.lowest:
            return None
        if method == "notifications/progress":
            mark = f"id {self.tokens.get(params.get('progressToken').text)}"
            if self.lose == "notes":
                return self.log(mark)
            tail = f',"params":{self.lossy("note", params.text, mark)}'
        self.send(f'{{"jsonrpc":"2.0","method":{quote(method)}{tail}}}')


if __name__ == "__main__":
    Hub(Path(sys.argv[sys.argv.index("--config") + 1])).run()
