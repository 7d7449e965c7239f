"""A client without an SDK, for the back-flows: takes the same steps, and keeps every message as the text that arrived.

What it saw directly is the golden transcript, to the token; what it sees through Braid must be the same but for names,
URIs, ids and the words that say which server asks. It reports in the form of `clients/flowclient.py`, with texts for values.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from flowparts import PROGRESS, Did, Event, Outcome, Step, Trace
from raw import Session, Silence
from spans import Node, parse, quote
from wires import Reach

REVISION = "2025-11-25"
CAPABILITIES = '{"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}'
REQUEST_SECONDS_MAX = 6.0
HEAR_SECONDS_MAX = 5.0
READY_SECONDS_MAX = 15.0
PART_SECONDS_MAX = 20.0
QUIET_SECONDS = 0.3
EARLY_SECONDS = 0.7
RELIST_SECONDS = 0.5

NAMED = {"tools/list": ("tools", "name"), "prompts/list": ("prompts", "name"), "resources/list": ("resources", "uri")}


class Golden(Session):
    """A session that keeps what came in order, and answers asks as it is told to."""

    def __init__(self, reach: Reach, env: dict[str, str], cwd: Path, roots: list[str]):
        self.events: list[Event] = []
        self.heard: list[tuple[str, str]] = []
        self.cancelled: set[str] = set()
        self.elicitation: object = {"result": {"action": "decline"}}
        self.sampling: list[dict] = [{"error": {"code": -1, "message": "no answer is planned"}}]
        # Asks that are left waiting, by id, with their params.
        self.hanging: dict[str, str] = {}
        self.begun = ""
        self.tokens: set[str] = set()
        self.early: list[str] = []
        super().__init__(reach, env=env, cwd=cwd, revision=REVISION, roots=roots, declared=CAPABILITIES, patience=REQUEST_SECONDS_MAX)

    def hear(self, method: str, text: str) -> None:
        self.heard.append((method, json.dumps(json.loads(text), ensure_ascii=False) if text else ""))

    def _handle(self, text: str) -> None:
        message = parse(text)
        method, id_node, params = message.get("method"), message.get("id"), message.get("params")
        words = params.text if params else ""
        if method is None:
            late = id_node is not None and id_node.text in self.cancelled
            self.events.append(Event("answer", late=late))
            if not late:
                self._close(message, id_node)
            return
        name = method.string() or ""
        token = params.get("progressToken") if params and name == PROGRESS else None
        if token is None or token.text in self.tokens:
            self.hear(name, words)
        if id_node is None:
            self.events.append(Event("note", name, words))
            self._withdraw(params if name == "notifications/cancelled" else None)
            return
        self.events.append(Event("ask", name, words))
        member = self.reply(name, params)
        if member:
            self.send(f'{{"jsonrpc":"2.0","id":{id_node.text},{member}}}')
        else:
            self.hanging[id_node.text] = words

    def _withdraw(self, params: Node | None) -> None:
        id_node = params.get("requestId") if params else None
        if id_node is not None and id_node.text in self.hanging:
            del self.hanging[id_node.text]
            self.hear("withdrawn", "")

    def reply(self, method: str, params: Node | None) -> str:
        """The member that answers; none where the ask is left waiting."""
        if method == "elicitation/create":
            return "" if self.elicitation == "hang" else member_of(self.elicitation)
        if method == "sampling/createMessage":
            return member_of(self.sampling.pop(0) if len(self.sampling) > 1 else self.sampling[0])
        return super().reply(method, params)

    def introduce(self) -> None:
        """The handshake, with time for a server that does not wait until the client says that it is ready."""
        params = f'{{"protocolVersion":{quote(REVISION)},"capabilities":{CAPABILITIES},"clientInfo":{{"name":"golden","version":"0"}}}}'
        self.request("initialize", params, READY_SECONDS_MAX)
        end = time.monotonic() + EARLY_SECONDS
        while self.pump(end):
            pass
        self.early = [event.method for event in self.events if event.kind == "ask" and event.method != "ping"]
        self.notify("notifications/initialized")

    def count(self, method: str, part: str = "") -> int:
        return sum(name == method and part in text for name, text in self.heard)

    def await_heard(self, method: str, part: str, least: int, patience: float) -> bool:
        end = time.monotonic() + patience
        while self.count(method, part) < least:
            if not self.pump(end):
                return False
        return True

    def outcome(self, id_text: str) -> Outcome:
        answer = self.finish(id_text)
        return Outcome(answer.kind, answer.text, self.count(PROGRESS))

    def start(self, step: Step) -> str:
        params = dict(step["params"]) if "params" in step else None
        if step.get("progress"):
            # A token of each kind; both are the client's own.
            token = f"golden-{self.next_id}" if self.next_id % 2 else 1_000_000 + self.next_id
            self.tokens.add(json.dumps(token))
            params["_meta"] = {"progressToken": token}
        return self.begin(step["method"], None if params is None else json.dumps(params, ensure_ascii=False))

    def names(self, method: str) -> list[str]:
        member, key = NAMED[method]
        items = self.list_all(method, member)
        if not isinstance(items, list):
            raise Silence(f"{method}: {items.kind} {items.text}")
        return [parse(item).get(key).string() or "" for item in items]

    def names_until(self, method: str, wanted: list[str], patience: float) -> list[str]:
        news, end = f"notifications/{method}_changed", time.monotonic() + patience
        while True:
            seen = self.count(news)
            found = self.names(method)
            if all(name in found for name in wanted) or time.monotonic() > end:
                return found
            self.await_heard(news, "", seen + 1, RELIST_SECONDS)

    def step(self, step: Step) -> Outcome:
        match step["do"]:
            case "ask":
                return self.outcome(self.start(step))
            case "begin":
                self.begun = self.start(step)
            case "end":
                return self.outcome(self.begun)
            case "cancel":
                self.cancelled.add(self.begun)
                self.notify("notifications/cancelled", f'{{"requestId":{self.begun},"reason":"no longer needed"}}')
            case "await":
                if not self.await_heard(step["heard"], step["where"], step["count"], HEAR_SECONDS_MAX):
                    return Outcome("fault", f"heard {self.count(step['heard'], step['where'])} of {step['count']} {step['heard']} {step['where']}")
            case "quiet":
                self.outcome(self.begin("ping"))
                end = time.monotonic() + step.get("ms", QUIET_SECONDS * 1000) / 1000
                while self.pump(end):
                    pass
            case "answer":
                self.elicitation = step.get("elicitation", self.elicitation)
                self.sampling = list(step.get("sampling", self.sampling))
            case "roots":
                self.roots = step["uris"]
                self.notify("notifications/roots/list_changed")
            case "early":
                return Outcome("fault", f"asked before it was told that the client is ready: {self.early}") if self.early else Outcome()
            case "list":
                found = self.names_until(step["method"], [step["until"]] if "until" in step else [], HEAR_SECONDS_MAX)
                return Outcome("names", json.dumps(found))
        return Outcome()

    def part(self, steps: list[Step]) -> Trace:
        self.heard.clear()
        trace, end = Trace(), time.monotonic() + PART_SECONDS_MAX
        for step in steps:
            if time.monotonic() > end:
                trace.fault = "the part took too long"
                break
            try:
                outcome = self.step(step)
            except Silence as silence:
                outcome = Outcome("fault", str(silence))
            trace.steps.append(Did(step, outcome, self.events[:]))
            self.events.clear()
        trace.heard = [method for method, _ in self.heard]
        return trace


def member_of(answer: dict) -> str:
    kind = "error" if "error" in answer else "result"
    return f'"{kind}":{json.dumps(answer[kind], ensure_ascii=False)}'


def reach_of(target: dict) -> Reach:
    return Reach(target["command"], target.get("url", ""), target.get("transport", "stdio"), target.get("headers", {}))


def together(target: dict, calls: dict[str, dict]) -> str:
    """Lets every server ask at once, under ids that they share, and answers the last first; tells what went astray."""
    session = Golden(reach_of(target), target["env"], Path(target["cwd"]), target["roots"])
    with session:
        session.introduce()
        session.names_until("tools/list", target["ready"], READY_SECONDS_MAX)
        session.elicitation = "hang"
        begun = {server: session.begin("tools/call", json.dumps(params)) for server, params in calls.items()}
        if not session.await_heard("elicitation/create", "", len(begun), HEAR_SECONDS_MAX):
            return f"{len(session.hanging)} of {len(begun)} questions came"
        for id_text, params in reversed(session.hanging.items()):
            server = next((key for key in calls if f"[{key}] " in params), "nobody")
            session.send(f'{{"jsonrpc":"2.0","id":{id_text},{member_of({"result": {"action": "accept", "content": {"name": f"for {server}"}}})}}}')
        for server, id_text in begun.items():
            answer = session.finish(id_text)
            if [key for key in calls if f"for {key}" in answer.text] != [server]:
                return f"{server} was told {answer.text[:300]}"
    return ""


def carry_out(target: dict) -> tuple[list[str], list[Trace]]:
    """The tools at the start, and what was seen of each part."""
    session = Golden(reach_of(target), target["env"], Path(target["cwd"]), target["roots"])
    with session:
        session.introduce()
        tools = session.names_until("tools/list", target["ready"], READY_SECONDS_MAX)
        session.events.clear()
        traces = [session.part(part["steps"]) for part in target["parts"]]
        strays = session.strays
    if strays and traces:
        traces[-1].fault = traces[-1].fault or f"strays: {strays[:3]}"
    return tools, traces
