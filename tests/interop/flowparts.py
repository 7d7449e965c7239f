"""The eight back-flows as parts: the steps that a client takes with a server, and what must be true of what it saw.

A `Part` belongs to one flow and is written in the server's own names. Its `check` looks at what a client saw directly and
tells what is missing; a part that misses something directly is lacked by the peer, in this run, whoever's lack it is.
Nothing here knows which peer can do what: what has no words of a server's own is tried with the tools of `flow_server`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Callable

FLOWS = ("progress", "log", "cancelled", "list_changed", "updated", "elicitation", "sampling", "roots")
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
ROOTS_BEFORE = ["file:///flows/one"]
ROOTS_AFTER = ["file:///flows/one", "file:///flows/two%20words"]

PROGRESS = "notifications/progress"
MESSAGE = "notifications/message"
UPDATED = "notifications/resources/updated"
COMPLETE = "notifications/elicitation/complete"
LIST_CHANGED = {kind: f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources")}

Step = dict


@dataclass
class Event:
    """A message that arrived: `kind` is `note`, `ask` or `answer`, `text` that of its params."""

    kind: str
    method: str = ""
    text: str = ""
    late: bool = False

    @property
    def params(self) -> dict:
        return json.loads(self.text) if self.text else {}


@dataclass
class Outcome:
    """What came of a step: `kind` is `result`, `error`, `fault`, `names` or empty; `text` is that member's."""

    kind: str = ""
    text: str = ""
    # How many notes of progress the SDK handed over until then.
    handed_over: int = 0


@dataclass
class Did:
    """One step and what came of it."""

    step: Step
    outcome: Outcome
    events: list[Event] = field(default_factory=list)


@dataclass
class Trace:
    """What a client saw of one part. `wire` is what passed at the server, as lines with `>` (to it) and `<`."""

    steps: list[Did] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    fault: str = ""
    wire: list[str] = field(default_factory=list)

    def events(self, *methods: str) -> list[Event]:
        return [event for did in self.steps for event in did.events if event.method in methods]

    def of(self, tool: str) -> list[Did]:
        return [did for did in self.steps if did.step.get("params", {}) and did.step["params"].get("name") == tool]

    def words(self, tool: str, nth: int = 0) -> str:
        """The text that a tool's call gave; what came instead where it gave none."""
        calls = self.of(tool)
        if len(calls) <= nth:
            return ""
        outcome = calls[nth].outcome
        if outcome.kind != "result":
            return f"{outcome.kind} {outcome.text}"
        return "\n".join(block.get("text", "") for block in json.loads(outcome.text).get("content", []))


Check = Callable[[Trace], str]


@dataclass
class Part:
    flow: str
    name: str
    steps: list[Step]
    check: Check
    # What is chosen at random by the server is not compared, only checked on both sides.
    compared: bool = True
    # The order between answers and notes is the server's luck; each is in order by itself.
    loose: bool = False
    # Only a client without an SDK takes this part.
    raw_only: bool = False
    # The messages of a log that are this server's own, by a text in them: others may come at any time.
    own_log: str = "flows:"


def call(tool: str, arguments: dict | None = None, do: str = "ask", progress: bool = False) -> Step:
    return {"do": do, "method": "tools/call", "params": {"name": tool, "arguments": arguments or {}}, "progress": progress}


def ask(method: str, params: dict | None = None) -> Step:
    return {"do": "ask", "method": method} | ({"params": params} if params is not None else {})


def hear(method: str, count: int = 1, where: str = "") -> Step:
    return {"do": "await", "heard": method, "count": count, "where": where}


def level(name: str) -> Step:
    return ask("logging/setLevel", {"level": name})


def answers(**given: object) -> Step:
    return {"do": "answer", **given}


QUIET: Step = {"do": "quiet"}


def all_of(*checks: Check) -> Check:
    return lambda trace: next((wrong for check in checks if (wrong := check(trace))), "")


def done(trace: Trace) -> str:
    """Every step was taken, every request answered, everything waited for was heard."""
    if trace.fault:
        return trace.fault
    wrong = [did for did in trace.steps if did.outcome.kind in ("fault", "error")]
    if wrong:
        return f"{wrong[0].step.get('method') or wrong[0].step['do']}: {wrong[0].outcome.kind} {wrong[0].outcome.text}"
    failed = [did for did in trace.steps if did.outcome.kind == "result" and json.loads(did.outcome.text).get("isError")]
    return f"{failed[0].step['params']}: {failed[0].outcome.text}" if failed else ""


def says(tool: str, *texts: str, nth: int = 0) -> Check:
    def check(trace: Trace) -> str:
        words = trace.words(tool, nth)
        missing = [text for text in texts if text not in words]
        return f"{tool} says {words[:300]!r}, without {missing[0]!r}" if missing else ""

    return check


# --- progress, log, cancelled ----------------------------------------------------------------------------------------


def progressed(tool: str, count: int) -> Check:
    def check(trace: Trace) -> str:
        did = next(iter(trace.of(tool)), None)
        if did is None or did.outcome.kind != "result":
            return f"no result: {did.outcome.text if did else trace.fault}"
        methods = [event.method if event.kind == "note" else event.kind for event in did.events if event.kind == "answer" or event.method == PROGRESS]
        if methods != [PROGRESS] * count + ["answer"]:
            return f"saw {methods}"
        notes = [event.params for event in did.events if event.method == PROGRESS]
        values = [note["progress"] for note in notes]
        if values != sorted(values) or len({json.dumps(note["progressToken"]) for note in notes}) != 1:
            return f"saw {notes}"
        # A client that handles the answer before the last note, when both come at once, hands over one less.
        return "" if did.outcome.handed_over >= count - 1 else f"the SDK handed over {did.outcome.handed_over} of {count} notes"

    return check


def heeded(trace: Trace) -> str:
    """Log messages came, of more than one level, and the levels that were set are known to the server."""
    if wrong := done(trace):
        return wrong
    return "" if len({event.params["level"] for event in trace.events(MESSAGE)}) > 1 else "no log messages"


def no_logs_below(trace: Trace) -> str:
    lowest, seen = 0, 0
    for did in trace.steps:
        if did.step.get("method") == "logging/setLevel":
            lowest = LEVELS.index(did.step["params"]["level"])
        for event in did.events:
            if event.method == MESSAGE and "-level message" in event.text.replace("Alert level-message", "Alert-level message"):
                seen += 1
                if LEVELS.index(event.params["level"]) < lowest:
                    return f"below {LEVELS[lowest]}: {event.text}"
    return done(trace) or ("" if seen else "no log messages")


def cancelled_there(tool: str) -> Check:
    """The server got the client's cancel for its own request, and the client no answer."""

    def check(trace: Trace) -> str:
        sent = [json.loads(line[2:]) for line in trace.wire if line.startswith("> ")]
        calls = [m["id"] for m in sent if m.get("method") == "tools/call" and m["params"]["name"] == tool]
        cancels = [m["params"].get("requestId") for m in sent if m.get("method") == "notifications/cancelled"]
        if not calls or calls[-1] not in cancels:
            return f"the server got calls {calls} and cancels {cancels}"
        return done(trace)

    return check


def withdrawing() -> Part:
    """An elicitation that the server takes back before it is answered."""

    def withdrawn(trace: Trace) -> str:
        said = trace.steps[4].outcome.text
        if "withdrawn" not in said:
            return f"withdraw says {said}"
        return "" if "withdrawn" in trace.heard else "the SDK withdrew nothing"

    steps = [answers(elicitation="hang"), call("withdraw", do="begin"), hear(ELICIT), call("give_up"), {"do": "end"}, QUIET]
    return Part("cancelled", "by the server", steps, all_of(done, withdrawn), loose=True)


# --- lists and subscriptions -----------------------------------------------------------------------------------------


def asked_before(tool: str) -> Check:
    """The server asked for the roots by itself, before any call of this tool, and was told them."""

    def check(trace: Trace) -> str:
        calls = [at for at, line in enumerate(trace.wire) if line.startswith("> ") and '"tools/call"' in line and f'"{tool}"' in line]
        before = trace.wire[: calls[0]] if calls else []
        asks = [line for line in before if line.startswith("< ") and '"roots/list"' in line]
        told = [line for line in before if line.startswith("> ") and ROOTS_BEFORE[0] in line]
        return "" if asks and told else f"{len(asks)} asks, {len(told)} answers before the first call"

    return check


def list_grows(kind: str, provoke: Step, name: str, is_there: Callable[[list[str]], bool]) -> Part:
    def check(trace: Trace) -> str:
        if wrong := done(trace):
            return wrong
        before, after = (json.loads(did.outcome.text) for did in (trace.steps[0], trace.steps[-1]))
        if is_there(before) or not is_there(after):
            return f"{kind} before {before}, after {after}"
        return "" if LIST_CHANGED[kind] in {event.method for did in trace.steps[1:] for event in did.events} else "no note"

    steps = [{"do": "list", "method": f"{kind}/list"}, provoke, hear(LIST_CHANGED[kind]), {"do": "list", "method": f"{kind}/list", "until": name}]
    return Part("list_changed", kind, steps, check, loose=True)


def updates(*uris: str) -> Check:
    """Exactly these updates, all before the unsubscribe was answered."""

    def check(trace: Trace) -> str:
        if wrong := done(trace):
            return wrong
        found = [event.params["uri"] for event in trace.events(UPDATED)]
        end = next(at for at, did in enumerate(trace.steps) if did.step.get("method") == "resources/unsubscribe")
        late = [event.text for did in trace.steps[end + 1 :] for event in did.events if event.method == UPDATED]
        return "" if found == list(uris) and not late else f"updates {found}, of these after the unsubscribe {late}"

    return check


# --- asks ------------------------------------------------------------------------------------------------------------


def asked(method: str, count: int = 1) -> Check:
    return lambda trace: "" if len(trace.events(method)) == count else f"{len(trace.events(method))} asks of {method}"


REFUSAL = {"error": {"code": -32099, "message": "flows: not today", "data": {"why": ["rain", None], "n": 1.5}}}
SAMPLED = {"result": {"role": "assistant", "content": {"type": "text", "text": "flows: sampled “ü”"}, "model": "still", "stopReason": "endTurn"}}
USED = {
    "result": {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "use-1", "name": "look_up", "input": {"word": "rope"}}],
        "model": "still",
        "stopReason": "toolUse",
    }
}
ACCEPTED = {"result": {"action": "accept", "content": {"name": "Ana “ü”", "age": 7}}}
OPENED = {"result": {"action": "accept"}}
DECLINED = {"result": {"action": "decline"}}
CLOSED = {"result": {"action": "cancel"}}
ELICIT, SAMPLE = "elicitation/create", "sampling/createMessage"


def elicitation(name: str, answer: dict, tool: Step, *texts: str) -> Part:
    check = all_of(asked(ELICIT), says(tool["params"]["name"], *texts), lambda trace: trace.fault)
    return Part("elicitation", name, [answers(elicitation=answer), tool], check)


def url_elicitation(tool: Step, complete: str) -> list[Part]:
    name = tool["params"]["name"]

    def completed(trace: Trace) -> str:
        notes = trace.events(COMPLETE)
        return "" if [note.params["elicitationId"] for note in notes] == [complete] else f"completions {[note.text for note in notes]}"

    opened = all_of(asked(ELICIT), says(name, "accept"), done)
    return [
        Part("elicitation", "url", [answers(elicitation=OPENED), tool], opened, loose=True),
        Part("elicitation", "url declined", [answers(elicitation=DECLINED), tool], all_of(asked(ELICIT), says(name, "decline"), done)),
        Part("elicitation", "complete", [answers(elicitation=OPENED), tool, hear(COMPLETE)], all_of(opened, completed), loose=True),
    ]


def url_required(tool: Step) -> Part:
    def check(trace: Trace) -> str:
        outcome = trace.steps[0].outcome
        error = json.loads(outcome.text) if outcome.kind == "error" else {}
        return "" if error.get("code") == -32042 and error.get("data", {}).get("elicitations") else f"{outcome.kind} {outcome.text}"

    return Part("elicitation", "url required", [tool], check)


def not_early() -> Part:
    """A server asks nothing, other than pings, before the client has said that it is ready."""
    return Part("roots", "not before initialized", [{"do": "early"}], done, raw_only=True)


def sampling_with_tools() -> Part:
    check = all_of(asked(SAMPLE, 2), says("sample_tools", "use-1", "flows: sampled"), done)
    return Part("sampling", "tools", [answers(sampling=[USED, SAMPLED]), call("sample_tools")], check)


# --- the servers -----------------------------------------------------------------------------------------------------


def flow_server(server: str, scheme: str, steps: int = 5) -> list[Part]:
    """What our own three servers are asked: they offer the same tools."""
    doc, part = f"{scheme}://doc", f"{scheme}://doc/part"
    roots_known = f'"{ROOTS_BEFORE[0]}"'
    touch_both = [call("touch", {"uri": doc}), call("touch", {"uri": part})]
    return [
        Part("progress", "notes", [call("count", {"steps": steps}, progress=True)], all_of(progressed("count", steps), says("count", "counted"))),
        Part(
            "progress",
            "no token",
            [call("count", {"steps": 2})],
            all_of(done, lambda trace: "unasked progress" if trace.events(PROGRESS) else ""),
        ),
        Part(
            "log",
            "levels",
            [level("warning"), call("talk"), QUIET, level("debug"), call("talk"), hear(MESSAGE, where="flows: ")],
            heeded,
        ),
        Part(
            "cancelled",
            "by the client",
            [call("sleep", do="begin", progress=True), hear(PROGRESS), {"do": "cancel"}, call("was_cancelled"), QUIET],
            all_of(cancelled_there("sleep"), says("was_cancelled", "cancelled 1")),
        ),
        withdrawing(),
        *(
            list_grows(kind, call("grow", {"kind": kind, "name": "grown"}), name, lambda names, name=name: name in names)
            for kind, name in (("tools", "grown"), ("prompts", "grown"), ("resources", f"{scheme}://grown"))
        ),
        Part(
            "updated",
            "resource",
            [ask("resources/subscribe", {"uri": doc}), touch_both[0], hear(UPDATED), ask("resources/unsubscribe", {"uri": doc}), touch_both[0], QUIET],
            updates(doc),
            loose=True,
        ),
        Part(
            "updated",
            "part of a resource",
            [ask("resources/subscribe", {"uri": doc}), touch_both[1], hear(UPDATED), ask("resources/unsubscribe", {"uri": doc}), *touch_both, QUIET],
            updates(part),
            loose=True,
        ),
        elicitation("accept", ACCEPTED, call("elicit", {"message": "Who are “you”?"}), "accept", "Ana"),
        elicitation("decline", DECLINED, call("elicit", {"message": "Who are you?"}), "decline"),
        elicitation("cancel", CLOSED, call("elicit", {"message": ""}), "cancel"),
        elicitation("error", REFUSAL, call("elicit", {"message": "Who?"}), "-32099", "not today", "rain"),
        *url_elicitation(call("elicit_url", {"id": "url-1"}), "url-1"),
        url_required(call("url_required")),
        Part("sampling", "answer", [answers(sampling=[SAMPLED]), call("sample")], all_of(asked(SAMPLE), says("sample", "flows: sampled", "still"), done)),
        Part("sampling", "error", [answers(sampling=[REFUSAL]), call("sample")], all_of(asked(SAMPLE), says("sample", "-32099", "not today", "rain"))),
        sampling_with_tools(),
        not_early(),
        Part("roots", "after initialized", [call("roots_log", {"least": 1})], all_of(done, says("roots_log", roots_known))),
        Part("roots", "in a call", [call("roots")], all_of(done, says("roots", roots_known, "work"))),
        Part(
            "roots",
            "changed",
            [
                {"do": "roots", "uris": ROOTS_AFTER},
                hear(MESSAGE, where=f"{server}: roots now 2"),
                call("roots_log", {"least": 1}),
                call("roots"),
                {"do": "roots", "uris": ROOTS_BEFORE},
                hear(MESSAGE, where=f"{server}: roots now 1"),
            ],
            all_of(done, says("roots_log", ROOTS_AFTER[1]), says("roots", ROOTS_AFTER[1])),
            loose=True,
            own_log=f"{server}: roots now",
        ),
    ]


def odd_flows() -> list[Part]:
    """What the server of exact bytes asks and says beyond what SDKs take."""
    from servers import quirky_flows as quirky

    def one(which: str, flow: str) -> Part:
        steps = [answers(elicitation=DECLINED, sampling=[SAMPLED]), call("odd", {"which": which})]
        return Part(flow, f"odd: {which}", steps, done, raw_only=True, own_log="" if flow == "log" else "none of its own")

    flows = {SAMPLE: "sampling", ELICIT: "elicitation", COMPLETE: "elicitation", MESSAGE: "log"}
    odd = {**quirky.ODD_ASKS, **quirky.ODD_NOTES}
    return [one(which, flows.get(method, "roots")) for which, (method, _) in odd.items()]


def everything() -> list[Part]:
    """What the official server-everything is asked."""
    text = "demo://resource/dynamic/text/1"
    subscribing = [ask("resources/subscribe", {"uri": text}), ask("resources/unsubscribe", {"uri": text})]
    toggle_log, toggle_updates = call("toggle-simulated-logging"), call("toggle-subscriber-updates")
    long = "trigger-long-running-operation"
    conditional = ["get-roots-list", "trigger-elicitation-request", "trigger-url-elicitation", "trigger-sampling-request"]

    def conditional_tools(trace: Trace) -> str:
        names = json.loads(trace.steps[0].outcome.text) if trace.steps and trace.steps[0].outcome.kind == "names" else []
        missing = [name for name in conditional if name not in names]
        return f"without {missing}" if missing else done(trace)

    def acknowledged(trace: Trace) -> str:
        """The two messages at `debug`, none at `error`."""
        found = [event.text for event in trace.events(MESSAGE) if text in event.text]
        return done(trace) or ("" if len(found) == 2 else f"log messages {found}")

    gzip = {"name": "flows.gz", "data": "data:text/plain,hello", "outputType": "resourceLink"}
    url = {"url": "https://example.org/sign-in", "message": "Please sign in", "elicitationId": "url-1"}
    accepting = {"result": {"action": "accept", "content": {"name": "Ana “ü”", "check": True, "integer": 7, "number": 0.5}}}
    return [
        Part("progress", "notes", [call(long, {"duration": 0.4, "steps": 4}, progress=True)], all_of(progressed(long, 4), says(long, "completed"))),
        Part(
            "log",
            "levels",
            [level("debug"), *subscribing, QUIET, level("error"), *subscribing, QUIET, level("debug")],
            acknowledged,
            loose=True,
            own_log=text,
        ),
        Part("log", "random", [level("warning"), *[toggle_log] * 24, QUIET, level("debug")], no_logs_below, compared=False),
        Part(
            "cancelled",
            "by the client",
            [call(long, {"duration": 0.8, "steps": 4}, do="begin", progress=True), hear(PROGRESS), {"do": "cancel"}, {"do": "quiet", "ms": 900}],
            all_of(
                cancelled_there(long),
                lambda trace: "it was answered" if any(event.late for did in trace.steps for event in did.events) else "",
            ),
        ),
        withdrawing(),
        Part("list_changed", "conditional tools", [{"do": "list", "method": "tools/list", "until": conditional[0]}], conditional_tools),
        list_grows("prompts", call("grow", {"kind": "prompts", "name": "grown"}), "grown", lambda names: "grown" in names),
        list_grows("resources", call("gzip-file-as-resource", gzip), "demo://resource/session/flows.gz", lambda names: any("flows.gz" in n for n in names)),
        Part(
            "updated",
            "resource",
            [subscribing[0], toggle_updates, hear(UPDATED), subscribing[1], toggle_updates, toggle_updates, QUIET, toggle_updates],
            updates(text),
            loose=True,
        ),
        elicitation("accept", accepting, call("trigger-elicitation-request"), "accept", "Ana"),
        elicitation("decline", DECLINED, call("trigger-elicitation-request"), "decline"),
        elicitation("cancel", CLOSED, call("trigger-elicitation-request"), "cancel"),
        elicitation("error", REFUSAL, call("trigger-elicitation-request"), "not today"),
        *url_elicitation(call("trigger-url-elicitation", url), "url-1"),
        url_required(call("trigger-url-elicitation", url | {"errorPath": True})),
        Part(
            "sampling",
            "answer",
            [answers(sampling=[SAMPLED]), call("trigger-sampling-request", {"prompt": "hi", "maxTokens": 9})],
            all_of(asked(SAMPLE), says("trigger-sampling-request", "flows: sampled"), done),
        ),
        Part(
            "sampling",
            "error",
            [answers(sampling=[REFUSAL]), call("trigger-sampling-request", {"prompt": "hi", "maxTokens": 9})],
            all_of(asked(SAMPLE), says("trigger-sampling-request", "not today")),
        ),
        sampling_with_tools(),
        not_early(),
        Part("roots", "after initialized", [{"do": "quiet", "ms": 500}, call("get-roots-list")], all_of(done, asked_before("get-roots-list"))),
        Part("roots", "in a call", [call("get-roots-list")], all_of(done, says("get-roots-list", ROOTS_BEFORE[0], "work"))),
        Part(
            "roots",
            "changed",
            [
                {"do": "roots", "uris": ROOTS_AFTER},
                hear(MESSAGE, where="Roots updated: 2"),
                call("get-roots-list"),
                {"do": "roots", "uris": ROOTS_BEFORE},
                hear(MESSAGE, where="Roots updated: 1"),
            ],
            all_of(done, says("get-roots-list", ROOTS_AFTER[1])),
            loose=True,
            own_log="Roots updated",
        ),
    ]


def parts_of(server: str, raw: bool) -> list[Part]:
    match server:
        case "everything":
            found = everything()
        case "quirky":
            # Digits beyond a double are for those that keep text.
            found = flow_server(server, "quirk", 6 if raw else 4) + odd_flows()
        case _:
            found = flow_server(server, "flows")
    return [part for part in found if raw or not part.raw_only]
