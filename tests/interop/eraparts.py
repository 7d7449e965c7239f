"""What is asked of a pair of peers of any era, and what it means on the client's side.

The steps are those of `flowparts.py`, in words that leave the revision to the client: `watch` is a subscription for each URI or
one stream of changes, `level` a request or a word in each request. A `check` knows the two eras: where there is no direct
counterpart (a client with a session before a server without, or the other way round), it is what the feature means for this client.

    call           the result of a call, structured content and all; `isError` stays a result
    list           every item once, whoever cuts it into pages
    read, prompt   the contents and the messages; what is not there is an error, and never -32002 without a session
    completion     the values
    progress       each note, in order, before the answer, under the client's own token
    log            a client with a session hears from the level that it set; one without hears only what its request wants
    cancel         the server's tool stops, whether it hears a message or loses a stream
    list_changed   a note after the list has changed, and the list with the change in it
    updated        exactly the changes between `watch` and `unwatch`
    elicitation,   the client's handler is asked, in a request or in a result, and the tool is told what the handler said;
    sampling, roots   two questions in one call are two rounds without a session
    complete       that a sign-in elsewhere has ended: there is such a note only between sessions
    unasked        roots that a server asks for by itself, in no call: there is no such question without a session
    timeout        the client gives up by itself and goes on; the server's tool stops where the SDK tells it
    server death   the call ends in an error in good time; a server on stdio is there again a moment later
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Callable

from flowparts import ACCEPTED, DECLINED, ELICIT, LEVELS, LIST_CHANGED, MESSAGE, OPENED, PROGRESS, ROOTS_BEFORE, SAMPLE, SAMPLED, UPDATED
from flowparts import COMPLETE, Did, Part, Step, Trace, all_of, answers, ask, asked, call, done, hear, progressed, says

FEATURES = (
    "call", "list", "read", "prompt", "completion", "progress", "log", "cancel", "list_changed", "updated",
    "elicitation", "url", "complete", "sampling", "roots", "unasked", "timeout", "death",
)  # fmt: skip
LEGACY, MODERN = "legacy", "modern"
NOT_FOUND_LEGACY = -32002
DOC, PART = "flows://doc", "flows://doc/part"
STILL = "flows: still here"
GREETING = "a “ü” \U0001f600"
PAGED = {
    "tools/list": {"echo", "count", "die"},
    "prompts/list": {"plan", *(f"page_{n}" for n in range(9))},
    "resources/list": {DOC, PART, *(f"flows://shelf/{n}" for n in range(9))},
    "resources/templates/list": {"flows://item/{id}"},
}
IMPATIENCE_SECONDS = 0.7
# Over HTTP the stream of an answer that broke is taken up again first, as often as its server asked between.
DEATH_SECONDS = 20
# What a client sees of these is Braid's alone.
OWED = {("death", "in a call"), ("death", "again there")}
# A client that waits for so long, by its program or by its SDK, has not been told that the server is gone.
NO_ANSWER = ("no answer in time", "timed out")


@dataclass(frozen=True)
class Eras:
    """Of the client and of the server, and how the server is reached."""

    client: str
    server: str
    up: str


def watch(*uris: str) -> Step:
    return {"do": "watch", "uris": list(uris)}


def unwatch(*uris: str) -> Step:
    return {"do": "unwatch", "uris": list(uris)}


def level(name: str | None) -> Step:
    return {"do": "level", "level": name}


PAUSE: Step = {"do": "pause", "ms": 250}


def result_of(trace: Trace, at: int = 0) -> dict:
    outcome = trace.steps[at].outcome
    return json.loads(outcome.text) if outcome.kind == "result" else {}


def is_so(what: str, so: Callable[[Trace], bool]) -> Callable[[Trace], str]:
    def check(trace: Trace) -> str:
        if trace.fault or not trace.steps:
            return trace.fault or "no step was taken"
        try:
            good = so(trace)
        except (KeyError, IndexError, TypeError) as error:
            return f"{what}: {error!r} in {[did.outcome.text[:200] for did in trace.steps]}"
        return "" if good else f"not {what}: {[f'{did.outcome.kind} {did.outcome.text[:300]}' for did in trace.steps]}"

    return check


def text_of(block: dict) -> str:
    return block.get("text", "")


def calls() -> list[Part]:
    echoed = is_so("echoed", lambda trace: result_of(trace).get("structuredContent") == {"text": GREETING, "length": len(GREETING)})
    refused = is_so("refused", lambda trace: result_of(trace).get("isError") is True and "flows: refused" in text_of(result_of(trace)["content"][0]))
    unknown = is_so("an error", lambda trace: trace.steps[0].outcome.kind == "error" or result_of(trace).get("isError") is True)
    return [
        Part("call", "result", [call("echo", {"text": GREETING})], all_of(echoed, says("echo", "a “ü”"))),
        Part("call", "isError", [call("fail")], refused),
        Part("call", "no such tool", [call("missing")], unknown),
    ]


def lists() -> list[Part]:
    def whole(method: str) -> Callable[[Trace], str]:
        def check(trace: Trace) -> str:
            if wrong := done(trace):
                return wrong
            names = json.loads(trace.steps[0].outcome.text)
            missing = PAGED[method] - set(names)
            return f"without {sorted(missing)}" if missing else f"twice in {names}" if len(names) != len(set(names)) else ""

        return check

    return [Part("list", method, [{"do": "list", "method": method}], whole(method)) for method in PAGED]


def reads(eras: Eras) -> list[Part]:
    def contents(text: str) -> Callable[[Trace], str]:
        return is_so(f"{text!r}", lambda trace: result_of(trace)["contents"][0]["text"] == text)

    def absent(trace: Trace) -> bool:
        outcome = trace.steps[0].outcome
        return outcome.kind == "error" and (eras.client == LEGACY or json.loads(outcome.text)["code"] != NOT_FOUND_LEGACY)

    return [
        Part("read", "resource", [ask("resources/read", {"uri": DOC})], contents("a document")),
        Part("read", "of a template", [ask("resources/read", {"uri": "flows://item/7"})], contents("item 7")),
        Part("read", "not there", [ask("resources/read", {"uri": "flows://nowhere"})], is_so("an error of this era", absent)),
    ]


def logs(eras: Eras) -> list[Part]:
    def heard(trace: Trace) -> list[str]:
        return [event.params["level"] for event in trace.events(MESSAGE) if "flows: " in event.text]

    def from_level(trace: Trace) -> str:
        found = heard(trace)
        # A server with a session may send what is below; without one nobody may, and Braid does not pass it on.
        low = [name for name in found if LEVELS.index(name) < LEVELS.index("warning")]
        if eras.client == eras.server == LEGACY:
            low = []
        return done(trace) or (f"below the level: {low}" if low else "" if "error" in found else f"levels {found}")

    parts = [Part("log", "from a level", [level("warning"), call("talk"), hear(MESSAGE, where="error"), level(None)], from_level)]
    if eras.client == MODERN:
        silent = all_of(done, lambda trace: f"unasked: {heard(trace)}" if heard(trace) else "")
        parts.append(Part("log", "not wanted", [level(None), call("talk"), PAUSE], silent))
    return parts


def changes(eras: Eras) -> list[Part]:
    def grows(kind: str, name: str) -> Part:
        def check(trace: Trace) -> str:
            if wrong := done(trace):
                return wrong
            return "" if name in json.loads(trace.steps[3].outcome.text) else f"{kind} {trace.steps[3].outcome.text}"

        steps = [
            watch(*([] if eras.client == LEGACY else [DOC])),
            call("grow", {"kind": kind, "name": f"grown_{kind}"}),
            hear(LIST_CHANGED[kind]),
            {"do": "list", "method": f"{kind}/list", "until": name},
            unwatch(*([] if eras.client == LEGACY else [DOC])),
        ]
        return Part("list_changed", kind, steps, check)

    def between(trace: Trace) -> str:
        found = [event.params["uri"] for event in trace.events(UPDATED)]
        late = [event.text for did in trace.steps[4:] for event in did.events if event.method == UPDATED]
        return done(trace) or ("" if found == [DOC] and not late else f"updates {found}, of these late {late}")

    touch = call("touch", {"uri": DOC})
    other = call("touch", {"uri": "flows://shelf/1"})
    return [
        *(grows(kind, f"flows://grown_{kind}" if kind == "resources" else f"grown_{kind}") for kind in LIST_CHANGED),
        Part("updated", "a resource", [watch(DOC), other, touch, hear(UPDATED), unwatch(DOC), PAUSE, touch, PAUSE], between),
    ]


def asks(eras: Eras) -> list[Part]:
    # What cannot come is not waited for as long as what can.
    sessions = eras.client == eras.server == LEGACY
    elicit = call("elicit", {"message": "Who are “you”?"})
    url = call("elicit_url", {"id": "url-1"})
    twice = all_of(asked(ELICIT, 2), says("elicit_twice", "accept", "Ana"), done)
    completed = lambda trace: "" if [note.params["elicitationId"] for note in trace.events(COMPLETE)] == ["url-1"] else "no completion"
    return [
        Part("elicitation", "accept", [answers(elicitation=ACCEPTED), elicit], all_of(asked(ELICIT), says("elicit", "accept", "Ana"), done)),
        Part("elicitation", "decline", [answers(elicitation=DECLINED), elicit], all_of(asked(ELICIT), says("elicit", "decline"), done)),
        Part("elicitation", "two in a call", [answers(elicitation=ACCEPTED), call("elicit_twice")], twice),
        Part("url", "accept", [answers(elicitation=OPENED), url], all_of(asked(ELICIT), says("elicit_url", "accept"), done)),
        Part("url", "decline", [answers(elicitation=DECLINED), url], all_of(asked(ELICIT), says("elicit_url", "decline"), done)),
        Part("complete", "after a sign-in", [answers(elicitation=OPENED), url, hear(COMPLETE) if sessions else PAUSE], all_of(asked(ELICIT), completed, done)),
        Part("sampling", "answer", [answers(sampling=[SAMPLED]), call("sample")], all_of(asked(SAMPLE), says("sample", "flows: sampled", "still"), done)),
        Part("roots", "in a call", [call("roots")], all_of(done, says("roots", ROOTS_BEFORE[0], "work"))),
        Part("unasked", "roots", [call("roots_log", {"least": int(sessions)})], all_of(done, says("roots_log", ROOTS_BEFORE[0]))),
    ]


def cancelled(least: int) -> Step:
    return call("was_cancelled", {"least": least})


def ends(eras: Eras) -> list[Part]:
    """What ends before its time. The number of calls that were cancelled goes on from part to part."""

    def gave_up(trace: Trace) -> str:
        outcome = trace.steps[0].outcome
        if outcome.kind not in ("error", "fault") or NO_ANSWER[0] in outcome.text:
            return f"the client did not give up: {outcome.kind} {outcome.text[:300]}"
        return "" if answered(trace.of("echo")[0]) else f"and does not go on: {trace.of('echo')[0].outcome.text[:300]}"

    def died(trace: Trace) -> str:
        if trace.fault or len(trace.steps) < 1:
            return trace.fault or "not tried"
        outcome = trace.steps[0].outcome
        if outcome.kind == "result" and json.loads(outcome.text).get("isError") is True:
            return ""
        told = outcome.kind in ("error", "fault") and not any(words in outcome.text for words in NO_ANSWER)
        return "" if told else f"{outcome.kind} {outcome.text[:300]}"

    def answered(did: Did) -> bool:
        return did.outcome.kind == "result" and json.loads(did.outcome.text).get("structuredContent", {}).get("text") == STILL

    def back(trace: Trace) -> str:
        found = trace.of("echo")
        return "" if any(map(answered, found)) else f"not answered: {[did.outcome.text[:200] for did in found] or trace.fault}"

    impatient = call("sleep") | {"seconds": IMPATIENCE_SECONDS}
    counted = lambda least: all_of(done, is_so("cancelled there", lambda trace: int(trace.words("was_cancelled").split()[-1]) >= least))
    again = call("echo", {"text": STILL})
    # It is started after a pause, and until then calls are refused at once.
    later = [{"do": "pause", "ms": 1200}, again, {"do": "pause", "ms": 1000}, again]
    parts = [
        Part("cancel", "by the client", [call("sleep", do="begin", progress=True), hear(PROGRESS), {"do": "cancel"}, cancelled(1), PAUSE], counted(1)),
        Part("timeout", "the client goes on", [impatient, again], gave_up),
        Part("timeout", "the server is told", [cancelled(2)], counted(2)),
        Part("death", "in a call", [call("die") | {"seconds": DEATH_SECONDS}], died),
    ]
    # Nobody starts a server over HTTP again but whoever runs it; and directly, whoever started it on stdio.
    return parts + ([Part("death", "again there", later, back)] if eras.up == "stdio" else [])


def parts_of(eras: Eras) -> list[Part]:
    numbers = 5
    planned = is_so("the plan", lambda trace: text_of(result_of(trace)["messages"][0]["content"]) == "Plan rope")
    completion = {"ref": {"type": "ref/prompt", "name": "plan"}, "argument": {"name": "topic", "value": "ro"}}
    completed = is_so("the words", lambda trace: result_of(trace)["completion"]["values"] == ["rope", "rowing"])
    quiet = all_of(done, lambda trace: "unasked progress" if trace.events(PROGRESS) and "progress" in trace.heard else "")
    found = [
        *calls(),
        *lists(),
        *reads(eras),
        Part("prompt", "with an argument", [ask("prompts/get", {"name": "plan", "arguments": {"topic": "rope"}})], planned),
        Part("completion", "of an argument", [ask("completion/complete", completion)], completed),
        Part("progress", "notes", [call("count", {"steps": numbers}, progress=True)], all_of(progressed("count", numbers), says("count", "counted"))),
        Part("progress", "no token", [call("count", {"steps": 2})], quiet),
        *logs(eras),
        *changes(eras),
        *asks(eras),
        *ends(eras),
    ]
    return sorted(found, key=lambda part: FEATURES.index(part.flow))
