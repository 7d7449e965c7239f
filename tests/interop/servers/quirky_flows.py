"""The server of exact bytes, for the back-flows: every ask and note is written by hand, with what a proxy may lose in it.

Unknown members inside asks and notes, odd order of members, ids that other servers use as well (numbers, and strings that
look like them), digits beyond a double, escapes, asks without params. Its tools are those that `flowparts.py` knows; what
a client answered is told as the text that arrived. `odd` asks and says what no SDK would. No SDK.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Generator

sys.path.insert(0, str(Path(__file__).resolve().parent))

from quirky import REVISIONS, Fault, envelope, plain_fault  # noqa: E402  (it puts the folder above on the path)
from spans import Node, parse, quote  # noqa: E402

PACE_SECONDS = 0.03
WAIT_SECONDS_MAX = 2.0

# A tool is a generator: it yields an ask (what `ask` takes, without `then`) or WAIT, and returns the text of its result.
Tool = Generator[object, object, str]
WAIT = object()

NAMES = (
    "count talk sleep was_cancelled grow touch elicit elicit_url url_required sample sample_tools roots roots_log withdraw give_up odd"
).split()

# Members around a message that no one knows, and that look like others.
STRANGER = '"vendor":{"method":"ping","id":9,"params":[1.10]},'

ODD_ASKS: dict[str, tuple[str, str | None]] = {
    "null meta": ("elicitation/create", r"""{"_meta":null,"message":"null meta","requestedSchema":{"type":"object","properties":{}}}"""),
    "vendor meta": (
        "elicitation/create",
        r"""{"message":"vendor meta","_meta":{"example.org/z":1.10,"example.org/a":{"b":null}},"requestedSchema":{"properties":{},"type":"object"}}""",
    ),
    "escaped message": ("elicitation/create", r"""{"requestedSchema":{"type":"object","properties":{}},"\u006dessage":"\u0041 \ud800 \/ \ud83d\ude00 \u0000"}"""),
    "no message": ("elicitation/create", r"""{"requestedSchema":{"type":"object","properties":{}}}"""),
    "no params": ("sampling/createMessage", None),
    "empty params": ("sampling/createMessage", "{}"),
    "null params": ("roots/list", "null"),
    "roots with members": ("roots/list", r"""{"vendor":1.50,"_meta":{"example.org/a":1}}"""),
    "big numbers": (
        "sampling/createMessage",
        r"""{"maxTokens":100,"temperature":1.0000000000000000001,"messages":[],"metadata":{"big":12345678901234567890123,"exp":1E+02,"neg":-0.0}}""",
    ),
    "links": (
        "sampling/createMessage",
        r"""{"messages":[{"role":"user","content":[{"uri":"quirk:\/\/one","type":"resource_link","name":"one"},{"type":"resource","resource":{"text":"one","uri":"quirk://one/part"}},{"type":"text","text":"quirk://one stays"}]}],"maxTokens":1}""",
    ),
}

ODD_NOTES: dict[str, tuple[str, str | None]] = {
    "log without a logger": ("notifications/message", r"""{"level":"error","data":null,"logger":null,"vendor":{"z":1.10}}"""),
    "log with a number": ("notifications/message", r"""{"data":12345678901234567890123.10,"vendor":[],"level":"emergency"}"""),
    "log with escapes": ("notifications/message", r"""{"\u0064ata":"\ud800 \u00e9\u00E9 \/","level":"\u0065rror","logger":"qu\u0069rky\/x"}"""),
    "log of no known level": ("notifications/message", r"""{"data":"flows: no known level","level":"shout"}"""),
    "complete with members": ("notifications/elicitation/complete", r"""{"vendor":null,"elicitationId":"odd-\u0031","_meta":{"example.org/n":1.0}}"""),
}


class State:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tools = list(NAMES)
        self.prompts = ["plan"]
        self.resources = ["quirk://doc", "quirk://doc/part"]
        self.level = 0
        self.written = 0
        self.asked = 0
        self.given_up = 0
        self.cancelled: list[str] = []
        self.subscribed: set[str] = set()
        self.roots: list[str] = []
        # What each ask leads to: the tool that waits for it, or a plain function.
        self.asks: dict[str, object] = {}
        # Calls that wait for something other than an answer.
        self.waiting: list["Call"] = []
        self.calls: dict[str, "Call"] = {}


state = State()


def put(text: str) -> None:
    with state.lock:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()


def reply(id_text: str, member: str) -> None:
    # The fourth of these envelopes has a member of its own, and then some client SDKs do not take the message at all.
    put(envelope(state.written % 3, id_text, member))
    state.written += 1


def note(method: str, params: str | None, stranger: str = "") -> None:
    """Every order of the members around the params takes its turn. `stranger` is the text of more members."""
    tail = "" if params is None else f'"params":{params},'
    if state.written % 2:
        put(f'{{{tail}"jsonrpc":"2.0",{stranger}"method":{quote(method)}}}\n')
    else:
        put(f'{{ {stranger} {tail} "method" : {quote(method)} ,"jsonrpc":"2.0"}}\r\n')
    state.written += 1


def ask(method: str, params: str | None, then: object, stranger: str = "") -> str:
    """Sends a request under an id that other servers use too: 0, "0", 1, "1", and so on."""
    id_text = str(state.asked // 2) if state.asked % 2 == 0 else f'"{state.asked // 2}"'
    state.asked += 1
    state.asks[id_text] = then
    tail = "" if params is None else f',"params":{params}'
    if state.asked % 3 == 0:
        put(f'{{"method":{quote(method)}{tail},{stranger}"id":{id_text},"jsonrpc":"2.0"}}\n')
    else:
        put(f'{{{stranger}"jsonrpc":"2.0","id":{id_text},"method":{quote(method)}{tail}}}\n')
    return id_text


class Call:
    """A tools/call under way."""

    def __init__(self, id_text: str, tool: Tool):
        self.id_text, self.tool = id_text, tool
        self.end = time.monotonic() + WAIT_SECONDS_MAX
        self.go(None)

    def go(self, value: object) -> None:
        """Runs the tool up to its next ask, or to its end."""
        try:
            wanted = self.tool.send(value)
        except StopIteration as end:
            state.calls.pop(self.id_text, None)
            reply(self.id_text, f'"result":{end.value}')
        except Fault as fault:
            state.calls.pop(self.id_text, None)
            reply(self.id_text, f'"error":{fault}')
        else:
            state.calls[self.id_text] = self
            if wanted is WAIT:
                state.waiting.append(self)
            else:
                ask(*wanted[:2], self, *wanted[2:])


def wake() -> None:
    """Lets every call look again at what it waits for."""
    waiting, state.waiting = state.waiting, []
    for call in waiting:
        call.go(None)


def words(text: str) -> str:
    return f'{{"vendor":1.0,"content":[{{"text":{quote(text)},"type":"text"}}]}}'


# --- the tools -------------------------------------------------------------------------------------------------------


def count(arguments: Node, token: str | None) -> Tool:
    values, steps = ["1", "2.0", "3e0", "3.50", "4.0000000000000000001", "1E+02"], int(arguments.get("steps").text)
    for step in range(steps):
        if token is not None:
            note(
                "notifications/progress",
                f'{{"vendor":{{"z":1.10,"a":null}},"message":"st\\u0065p {step + 1}","total":{steps}.0,"progressToken":{token},"progress":{values[step]}}}',
            )
        time.sleep(PACE_SECONDS)
    return words(f"counted to {steps}")
    yield


LEVELS = "debug info notice warning error critical alert emergency".split()


def talk(arguments: Node, token: str | None) -> Tool:
    for number, level in enumerate(LEVELS):
        note(
            "notifications/message",
            f'{{"data":{{"text":"flows: {level} \\u00e9","n":{number}.50,"big":12345678901234567890123,"deep":{{"b":[null],"a":{{}}}}}},'
            f'"vendor":{{"b":0,"a":1e0}},"logger":"qu\\u0069rky {number}","level":"{level}"}}',
        )
    time.sleep(PACE_SECONDS)
    return words("talked")
    yield


def sleep(arguments: Node, token: str | None) -> Tool:
    if token is not None:
        note("notifications/progress", f'{{"progressToken":{token},"progress":0.50}}')
    while True:
        yield WAIT


def was_cancelled(arguments: Node, token: str | None) -> Tool:
    end = time.monotonic() + WAIT_SECONDS_MAX
    while not state.cancelled and time.monotonic() < end:
        yield WAIT
    return words(f"cancelled {len(state.cancelled)}")


def grow(arguments: Node, token: str | None) -> Tool:
    kind, name = arguments.get("kind").string(), arguments.get("name").string()
    {"tools": state.tools, "prompts": state.prompts}.get(kind, state.resources).append(name if kind != "resources" else f"quirk://{name}")
    note(f"notifications/{kind}/list_changed", {"tools": None, "prompts": "{}"}.get(kind, '{"vendor":{"z":1.10}}'))
    return words(f"grew {name}")
    yield


def touch(arguments: Node, token: str | None) -> Tool:
    uri = arguments.get("uri")
    if any(uri.string() == known or uri.string().startswith(known + "/") for known in state.subscribed):
        note("notifications/resources/updated", f'{{"vendor":{{"uri":{uri.text}}},"uri":{uri.text},"title":null,"_meta":{{"example.org/n":1.10}}}}')
    return words(f"touched {uri.string()}")
    yield


def elicit(arguments: Node, token: str | None) -> Tool:
    answer = yield (
        "elicitation/create",
        '{"vendor":{"b":1,"a":2.50},"requestedSchema":{"required":["name"],"properties":{"name":{"title":"N\\u00e4me","type":"string"},'
        f'"age":{{"minimum":0,"type":"integer"}}}},"type":"object"}},"message":{arguments.get("message").text}}}',
    )
    return words(answer)


def elicit_url(arguments: Node, token: str | None) -> Tool:
    id_text = arguments.get("id").text
    answer = yield (
        "elicitation/create",
        f'{{"elicitationId":{id_text},"vendor":1.0,"url":"https:\\/\\/quirky.example.org\\/sign-in?x=%C3%BC","message":"Please \\u0073ign in","mode":"url"}}',
    )
    if '"accept"' in answer:
        note("notifications/elicitation/complete", f'{{"vendor":{{"z":1.10}},"elicitationId":{id_text}}}')
        time.sleep(PACE_SECONDS)
    return words(answer)


def url_required(arguments: Node, token: str | None) -> Tool:
    raise Fault(
        '{"data":{"vendor":1.50,"elicitations":[{"elicitationId":"first-\\u0031","mode":"url","url":"https://quirky.example.org/first","vendor":null,'
        '"message":"Please sign in first"}]},"message":"sign \\u0069n first","code":-32042}'
    )
    yield


def sample(arguments: Node, token: str | None) -> Tool:
    answer = yield (
        "sampling/createMessage",
        '{"maxTokens":9,"vendor":{"z":1,"a":2.50},"metadata":{"big":12345678901234567890123,"f":1.0},"temperature":0.50,"systemPrompt":"Be sh\\u006frt",'
        '"messages":[{"vendor":null,"content":{"text":"Say \\"hello\\"","type":"text"},"role":"user"}],"modelPreferences":{"costPriority":0.10,"hints":[{"name":"still"}]}}',
    )
    return words(answer)


LOOK_UP = '[{"inputSchema":{"type":"object","x-vendor":1.0,"properties":{"word":{"type":"string"}}},"name":"look_up","description":"Looks up a word"}]'


def sample_tools(arguments: Node, token: str | None) -> Tool:
    question = '{"role":"user","content":{"type":"text","text":"What is a rope?"}}'
    first = yield ("sampling/createMessage", f'{{"messages":[{question}],"maxTokens":50,"tools":{LOOK_UP},"toolChoice":{{"mode":"auto"}}}}')
    answer = parse(first)
    use = next(iter(answer.each("content", "*")), None)
    if use is None or use.get("id") is None:
        return words(first)
    result = (
        f'{{"content":{{"content":[{{"text":"strands","type":"text"}},{{"name":"doc","vendor":1.10,"uri":"quirk:\\/\\/doc","type":"resource_link"}}],'
        f'"toolUseId":{use.get("id").text},"type":"tool_result"}},"role":"user"}}'
    )
    second = yield (
        "sampling/createMessage",
        f'{{"toolChoice":{{"mode":"none"}},"tools":{LOOK_UP},"maxTokens":50,"messages":[{question},{{"role":"assistant","content":{use.text}}},{result}]}}',
    )
    return words(f"{first}\n{second}")


def roots(arguments: Node, token: str | None) -> Tool:
    answer = yield ("roots/list", None)
    return words(answer)


def roots_log(arguments: Node, token: str | None) -> Tool:
    """The roots as this server was told them outside of calls, each time."""
    end = time.monotonic() + WAIT_SECONDS_MAX
    while len(state.roots) < int(arguments.get("least").text) and time.monotonic() < end:
        yield WAIT
    return words("\n".join(state.roots))


def withdraw(arguments: Node, token: str | None) -> Tool:
    """Asks, takes it back when the client calls `give_up`, and tells whether it was answered nevertheless."""
    answers: list[str] = []
    id_text = ask("elicitation/create", '{"message":"never mind","requestedSchema":{"type":"object","properties":{}}}', answers.append)
    given_up = state.given_up
    while state.given_up == given_up:
        yield WAIT
    if not answers:
        note("notifications/cancelled", f'{{"vendor":1.0,"reason":"no l\\u006fnger needed","requestId":{id_text}}}')
    return words("answered first" if answers else "withdrawn")


def give_up(arguments: Node, token: str | None) -> Tool:
    state.given_up += 1
    wake()
    return words("given up")
    yield


def odd(arguments: Node, token: str | None) -> Tool:
    which = arguments.get("which").string()
    if which in ODD_ASKS:
        answer = yield (*ODD_ASKS[which], STRANGER)
        return words(answer)
    note(*ODD_NOTES[which], STRANGER)
    time.sleep(PACE_SECONDS)
    return words(f"said {which}")


TOOLS = {function.__name__: function for function in (count, talk, sleep, was_cancelled, grow, touch, elicit, elicit_url, url_required, sample, sample_tools, roots, roots_log, withdraw, give_up, odd)}


# --- the messages ----------------------------------------------------------------------------------------------------


def listed(method: str) -> str:
    match method:
        case "tools/list":
            items = [f'{{"vendor":1.0,"inputSchema":{{"type":"object","x-vendor":null}},"name":{quote(name)}}}' for name in state.tools]
        case "prompts/list":
            items = [f'{{"vendor":{{"b":1,"a":2}},"name":{quote(name)}}}' for name in state.prompts]
        case "resources/list":
            items = [f'{{"vendor":null,"name":{quote(uri)},"uri":{quote(uri)}}}' for uri in state.resources]
        case _:
            items = []
    member = {"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources"}.get(method, "resourceTemplates")
    return f'{{"vendor":1.10,"{member}":[{",".join(items)}]}}'


def answer(method: str, params: Node | None) -> str:
    match method:
        case "initialize":
            asked = params.get("protocolVersion").string()
            return (
                f'{{"serverInfo":{{"version":"0","name":"quirky-flows"}},"protocolVersion":"{asked if asked in REVISIONS else REVISIONS[-1]}","capabilities":'
                '{"tools":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"prompts":{"listChanged":true},"logging":{},"vendor":1}}'
            )
        case "ping":
            return "{}"
        case "logging/setLevel":
            # Known and not heeded, as by most servers.
            state.level = LEVELS.index(params.get("level").string())
            return "{ }"
        case "resources/subscribe":
            state.subscribed.add(params.get("uri").string())
            return "{}"
        case "resources/unsubscribe":
            state.subscribed.discard(params.get("uri").string())
            return "{ }"
        case "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list":
            return listed(method)
    raise plain_fault(-32601, f"no method {method}")


def learn_roots() -> None:
    def then(text: str) -> None:
        state.roots.append(text)
        note("notifications/message", f'{{"level":"info","data":"quirky: roots now {len(parse(text).each("roots", "*"))}"}}')
        wake()

    ask("roots/list", None, then)


def told(method: str, params: Node | None) -> None:
    if method in ("notifications/initialized", "notifications/roots/list_changed"):
        learn_roots()
    if method == "notifications/cancelled":
        call = state.calls.pop(params.get("requestId").text, None)
        if call is not None:
            state.waiting = [other for other in state.waiting if other is not call]
            state.cancelled.append(call.id_text)
            wake()


def heard(message: Node) -> None:
    id_node, method, params = message.get("id"), message.get("method"), message.get("params")
    if method is None:
        then = state.asks.pop(id_node.text, None) if id_node is not None else None
        text = next((found.text for member in ("result", "error") if (found := message.get(member))), "null")
        if isinstance(then, Call):
            then.go(text)
        elif then is not None:
            then(text)
    elif id_node is None:
        told(method.string(), params)
    elif method.string() == "tools/call":
        tool = TOOLS.get(params.get("name").string())
        if tool is None:
            reply(id_node.text, f'"error":{plain_fault(-32602, "no such tool")}')
            return
        token = params.get("_meta", "progressToken")
        Call(id_node.text, tool(params.get("arguments") or parse("{}"), token.text if token else None))
    else:
        try:
            reply(id_node.text, f'"result":{answer(method.string(), params)}')
        except Fault as fault:
            reply(id_node.text, f'"error":{fault}')


def ticks() -> None:
    """A call that waits in vain is let go on when its patience ends."""
    while True:
        time.sleep(0.2)
        with state.lock:
            wake()


def main() -> None:
    threading.Thread(target=ticks, daemon=True).start()
    for line in sys.stdin.buffer:
        if line.strip():
            message = parse(line.decode("utf-8", "surrogateescape"))
            with state.lock:
                heard(message)
    os._exit(0)


if __name__ == "__main__":
    main()
