#!/usr/bin/env python3
"""The table of the faults: does a server that misbehaves harm its own calls alone, over every pair of transports?

    BRAID=path tests/interop/faults.py [--pair DOWN:UP]... [--only FAULT]... [--at-least N]

How the client reaches Braid × how Braid reaches the servers (`stdio`, `http`, `sse`) × what goes wrong. Each pair has one
Braid with one evil server (tests/peers/evil.py) for each fault, all at once, and a good one beside them. `servers/front.py`
stands before those that are reached over HTTP; where an answer may be JSON or a stream there, the fault is tried with both.
`ok`: the answer says what went wrong and with which server, the call was executed once at most, the good server answered
before, during and after, and the evil one works again as soon as it is honest. `-`: there is no such fault there; why not
stands below the table, and in NOT_THERE. `whole` is what must hold of all of it: `initialize` is answered at once, each
request once, nothing that nobody asked for is heard, the good server answers all the while, and Braid ends with 0 and leaves
nobody behind. The exit code is 1 when a cell fails, or when fewer than `--at-least` cells work.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

from flows import PAIRS, Pair, aligned, words_of
from peers import BRAID, HERE, HOME, script
from raw import environment
from record import bearer, left_behind, toml, url_of
from serving import NotServed, Served, free_port
from spans import clip
from wires import Broken, HttpWire, Reach, Wire, open_wire

EVIL = (HERE / "../peers/evil.py").resolve()
GOOD = "notes"
REVISION = "2025-11-25"

AT_ONCE = 2
STARTS_AT_ONCE = 6
# No step takes longer, on however busy a machine.
PATIENCE_SECONDS = 30.0
# What is answered at once, on a machine that has other things to do.
AT_ONCE_SECONDS = 5.0
HEALED_SECONDS = 20.0
LOOK_AGAIN_SECONDS = 0.1
# A call that would last for longer than any test.
FOR_EVER_MS = 60_000
# Notes in it, so that its stream has begun when something happens to it.
STEPS = 300
SILENCE = "1s"
MESSAGE_BYTES_MAX = 64 * 1024
PAGES_MAX = 5
# What an evil server puts into what nobody may hear.
NOBODYS = (b"BOGUS", b"SECOND", b"LATE")
DETAILS_MAX = 4


class Wrong(Exception):
    """What was expected did not hold; says so in a sentence."""


def expect(holds: object, sentence: str) -> None:
    if not holds:
        raise Wrong(sentence)


def soon(holds: Callable[[], object], sentence: str, seconds: float = PATIENCE_SECONDS) -> object:
    """Waits for what nobody tells."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        expect(time.monotonic() < end, f"not within {seconds:.0f} s: {sentence}")
        time.sleep(LOOK_AGAIN_SECONDS)
    return found


# --- one client ------------------------------------------------------------------------------------------------------


class Client:
    """A session with many requests open at once, of any thread. Keeps everything that it hears."""

    def __init__(self, reach: Reach, cwd: Path):
        try:
            self.wire: Wire = open_wire(reach, environment(), cwd)
        except Broken as broken:
            raise Wrong(str(broken)) from broken
        self.heard: list[bytes] = []
        self.answers: dict[object, list[dict]] = {}
        # By id: which server was asked.
        self.asked: dict[object, str] = {}
        self.changes = 0
        self.ended = False
        self.news = threading.Condition()
        self.sending = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while (line := self.wire.lines.get()) is not None:
            if line.strip():
                self._hear(line)
        with self.news:
            self.ended = True
            self.news.notify_all()

    def _hear(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            message = {}
        with self.news:
            self.heard.append(line)
            if "method" not in message:
                self.answers.setdefault(message.get("id"), []).append(message)
            self.changes += message.get("method") == "notifications/tools/list_changed"
            self.news.notify_all()
        if "method" in message and "id" in message:
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": {}})

    def _send(self, message: dict) -> None:
        with self.sending:
            try:
                self.wire.send(json.dumps(message))
            except Broken as broken:
                raise Wrong(f"cannot send: {broken}; {self.wire.last_words()}") from broken

    def greet(self, listens: bool = True) -> float:
        """Shakes hands; how long that took. Over Streamable HTTP a client may listen beside its requests, or not."""
        start = time.monotonic()
        hello = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "faults", "version": "1"}}
        answer = self.answer(self.ask("initialize", hello))
        took = time.monotonic() - start
        expect("result" in answer, f"initialize: {answer}")
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        if listens:
            self.wire.ready()
        return took

    def ask(self, method: str, params: dict, server: str = "") -> int:
        with self.news:
            id = len(self.asked) + 1
            self.asked[id] = server
        self._send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return id

    def answer(self, id: int, seconds: float = PATIENCE_SECONDS) -> dict:
        with self.news:
            self.news.wait_for(lambda: id in self.answers or self.ended, seconds)
            if id not in self.answers:
                raise Wrong(f"no answer to request {id} in {seconds:.0f} s; {self.wire.last_words()}")
            return self.answers[id][0]

    def names(self, kind: str) -> list[str]:
        answer = self.answer(self.ask(f"{kind}/list", {}))
        expect("result" in answer, f"{kind}/list: {answer}")
        return [item["name"] for item in answer["result"][kind]]

    def until_listed(self, name: str, seconds: float = PATIENCE_SECONDS) -> list[str]:
        """The tools, once this one is among them."""
        end = time.monotonic() + seconds
        while True:
            changes = self.changes
            if name in (tools := self.names("tools")):
                return tools
            expect(time.monotonic() < end, f"not within {seconds:.0f} s: {name} is listed")
            with self.news:
                self.news.wait_for(lambda: self.changes > changes, 1.0)

    def well(self) -> float:
        """The good server is as well as ever; how long it took to say so."""
        start = time.monotonic()
        answer = self.answer(self.ask("tools/call", {"name": f"{GOOD}__list", "arguments": {}}, GOOD))
        expect("welcome" in json.dumps(answer.get("result")), f"the good server is not well: {clip(str(answer), 300)}")
        return time.monotonic() - start

    def strays(self) -> dict[str, list[str]]:
        """By server, or "" where it is not known: what was not heard once, and what nobody may hear."""
        found: dict[str, list[str]] = {}
        for id in self.answers | self.asked:
            count = len(self.answers.get(id, []))
            if count != 1 or id not in self.asked:
                found.setdefault(self.asked.get(id, ""), []).append(f"request {id} has {count} answers")
        for line in self.heard:
            if any(word in line for word in NOBODYS):
                found.setdefault("", []).append(f"heard {clip(line.decode('utf-8', 'replace'), 200)}")
        return found


# --- one evil server -------------------------------------------------------------------------------------------------


class Evil:
    """An evil server behind Braid, as a test sees it: what a client calls, what the server wrote down, who it is."""

    def __init__(self, key: str, fault: "Fault", way: str, folder: Path, pair: Pair):
        self.key, self.fault, self.way, self.pair = key, fault, way, pair
        self.home = folder / "evil" / key
        self.home.mkdir(parents=True)
        self.served: Served | None = None
        self.client: Client
        self.house: House
        self.count = 0

    def command(self) -> list[str]:
        files = [f"--{name}={self.home / name}" for name in ("until", "count-file", "journal")]
        return [sys.executable, str(EVIL), *self.fault.flags, *files]

    def prepare(self) -> list[str]:
        """What stands of it in the configuration."""
        if self.pair[1] == "stdio":
            command = self.command()
            if self.fault.absent:
                command = [str(self.home / "absent"), *command[2:]]
            where = [f"command = {toml(command[0])}", f"args = [{', '.join(map(toml, command[1:]))}]"]
        else:
            port, up = free_port(), self.pair[1]
            front = script(sys.executable, "front.py", up, str(port), *self.command())
            self.served = Served(front, port, self.home / "log", environment({"FRONT": self.way}), self.home)
            where = [f"url = {toml(url_of(port, up))}", f'transport = "{up}"']
        return [f"[servers.{self.key}]", *where, *self.fault.settings, ""]

    def appear(self) -> None:
        """It is there from now on."""
        if self.served is not None:
            self.served = self.house.stack.enter_context(replace(self.served))
        elif self.fault.absent:
            (self.home / "absent").symlink_to(EVIL)

    # Calls.

    def call(self, tool: str, client: Client | None = None, **arguments: object) -> tuple[int, str]:
        """Sends a call; its id, and the nonce under which the server writes that it executes it."""
        self.count += 1
        nonce = f"{self.key}-{self.count}"
        params = {"name": f"{self.key}__{tool}", "arguments": {**arguments, "nonce": nonce}}
        if tool == "slow":
            params["_meta"] = {"progressToken": nonce}
        return (client or self.client).ask("tools/call", params, self.key), nonce

    def called(self, tool: str = "echo", **arguments: object) -> dict:
        return self.client.answer(self.call(tool, **arguments)[0])

    def fails(self, id: int, code: int, reason: str, outcome: str, *words: str) -> None:
        """The answer to this call says exactly that, and one of these words, and is about this server."""
        answer = self.client.answer(id)
        error = answer.get("error", {})
        data, message = error.get("data", {}), str(error.get("message", ""))
        seen = (error.get("code"), data.get("source"), data.get("server"), data.get("reason"), data.get("outcome"))
        wanted = (code, "braid", self.key, reason, outcome)
        expect(seen == wanted and message.startswith(f"{self.key}: "), f"wanted {wanted}: {clip(str(answer), 400)}")
        expect(not words or any(word in message for word in words), f"wanted one of {words}: {clip(str(answer), 400)}")

    def answers(self, times: int = 1) -> None:
        for number in range(times):
            answer = self.called(text=f"t{number}")
            expect(text_of(answer) == f"t{number}", f"an honest call: {clip(str(answer), 300)}")

    def works_again(self) -> None:
        """It is honest from now on, and that shows; until then nothing is sent to it, or it is said that it may have been."""
        (self.home / "until").touch()

        def works() -> bool:
            answer = self.called(text="again")
            if text_of(answer) == "again":
                return True
            error = answer.get("error", {})
            data = error.get("data", {})
            # Over Streamable HTTP another request may learn first that the session is over, with this one on its way.
            unsure = self.pair[1] == "http" and data.get("reason") == "gone"
            said = data.get("outcome") == "not_sent" or (unsure and data.get("outcome") == "unknown")
            expect(error.get("code") in (1001, 1002) and said and data.get("server") == self.key, f"on its way back: {answer}")
            return False

        soon(works, "it works again", HEALED_SECONDS)
        self.client.until_listed(f"{self.key}__echo", HEALED_SECONDS)

    # What it wrote down.

    def executed(self) -> list[str]:
        file = self.home / "count-file"
        return file.read_text().split() if file.exists() else []

    def until_executed(self, nonce: str) -> None:
        soon(lambda: nonce in self.executed(), f"{nonce} is executed")

    def journal(self) -> list[dict]:
        file = self.home / "journal"
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    def heard(self, method: str) -> list[dict]:
        return [message for message in self.journal() if message.get("method") == method]

    def cancelled(self, nonce: str) -> bool:
        """Whether the server heard that this call is cancelled."""
        ids = [call["id"] for call in self.heard("tools/call") if call["params"]["arguments"]["nonce"] == nonce]
        return any(note["params"]["requestId"] in ids for note in self.heard("notifications/cancelled"))

    def until_cancelled(self, nonce: str) -> None:
        soon(lambda: self.cancelled(nonce), f"the server hears that {nonce} is cancelled")

    # Who it is.

    def pids(self) -> list[int]:
        return evil_pids(self.home)

    def signal(self, sign: signal.Signals) -> None:
        if self.served is not None:
            # The front and its children: they are one server.
            os.killpg(self.served.process.pid, sign)
            return
        pids = self.pids()
        expect(len(pids) == 1, f"it is {len(pids)} processes")
        os.kill(pids[0], sign)


def evil_pids(home: Path) -> list[int]:
    """The evil servers that write in this folder, but not their fronts."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(EVIL) in words[:2] and any(os.fsencode(home) in word for word in words):
            found.append(int(entry.name))
    return found


def text_of(answer: dict) -> str | None:
    content = (answer.get("result") or {}).get("content") or [{}]
    return content[0].get("text")


# --- what goes wrong -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    name: str
    play: Callable[[Evil], None]
    flags: tuple[str, ...] = ()
    # Lines of its configuration.
    settings: tuple[str, ...] = ('timeouts.call = "60s"',)
    # How its front answers calls over Streamable HTTP.
    ways: tuple[str, ...] = ("",)
    # It is not there at first.
    absent: bool = False
    # It never answers `initialize`.
    hung: bool = False
    # It has tools before anything goes wrong.
    lists: bool = True


def mute(evil: Evil) -> None:
    not_listed(evil)
    id, _ = evil.call("echo", text="x")
    unreached(evil, id, "no answer to initialize", "is still starting")
    evil.client.well()
    heard = {message.get("method") for message in evil.journal()}
    expect(heard <= {"server/discover", "initialize"}, f"a mute server heard {heard}")
    evil.works_again()


def exits(evil: Evil) -> None:
    not_listed(evil)
    id, _ = evil.call("echo", text="x")
    unreached(evil, id)
    evil.client.well()
    if evil.pair[1] == "stdio":
        for words in ("exited with status 3", "cannot find my configuration"):
            soon(lambda: words in evil.house.log(), f"the log says {words!r}")
    expect(not evil.executed(), "it executed a call")
    evil.works_again()


def absent(evil: Evil) -> None:
    not_listed(evil)
    id, _ = evil.call("echo", text="x")
    unreached(evil, id)
    evil.client.well()
    evil.appear()
    evil.works_again()


def unreached(evil: Evil, id: int, *words: str) -> None:
    """The call was not sent: its server is not there yet, or not any more. One of these words says so."""
    answer = evil.client.answer(id)
    error = answer.get("error", {})
    data, message = error.get("data", {}), str(error.get("message", ""))
    seen = (error.get("code"), data.get("reason"))
    expect(seen in ((1001, "timeout"), (1002, "starting"), (1002, "unreachable"), (1002, "gone")), f"wanted 1001 or 1002: {answer}")
    expect((data.get("source"), data.get("server"), data.get("outcome")) == ("braid", evil.key, "not_sent"), f"wanted not_sent: {answer}")
    expect(not words or any(word in message for word in words), f"wanted one of {words}: {answer}")


def not_listed(evil: Evil) -> None:
    tools = evil.client.names("tools")
    expect(not any(name.startswith(f"{evil.key}__") for name in tools), f"its tools are listed: {tools}")
    expect(f"{GOOD}__list" in tools, f"the good server's are not: {tools}")


def hangs(evil: Evil) -> None:
    not_listed(evil)
    evil.client.well()
    # What it has is not known, so nothing is sent there.
    answer = evil.called(text="x")
    expect(answer.get("error", {}).get("code") == -32602, f"a call to what was not listed: {answer}")
    expect(not evil.executed(), "it executed a call")


def unlisted(evil: Evil) -> None:
    not_listed(evil)
    prompts = evil.client.names("prompts")
    expect(prompts and all(name.startswith(f"{GOOD}__") for name in prompts), f"prompts: {prompts}")
    evil.client.well()


def endless(evil: Evil) -> None:
    own = [name for name in evil.client.names("tools") if name.startswith(f"{evil.key}__")]
    expect(len(own) == len(set(own)) and 3 <= len(own) <= 3 + PAGES_MAX, f"its tools: {own}")
    evil.client.well()
    evil.answers()


def silent(evil: Evil) -> None:
    start = time.monotonic()
    id, nonce = evil.call("echo", text="LATE")
    evil.client.well()
    evil.fails(id, 1001, "timeout", "unknown", f"no answer to tools/call echo for 1 s (servers.{evil.key}.timeouts.call)")
    took = time.monotonic() - start
    expect(0.9 <= took < 1.0 + AT_ONCE_SECONDS, f"it was given up on after {took:.2f} s")
    evil.until_cancelled(nonce)
    expect(evil.executed() == [nonce], f"executed: {evil.executed()}")
    evil.client.well()
    evil.works_again()


def killed(evil: Evil) -> None:
    """All of it goes, from outside; over HTTP nobody listens then until it is started again."""
    id, nonce = evil.call("slow", ms=FOR_EVER_MS, steps=STEPS)
    evil.until_executed(nonce)
    evil.signal(signal.SIGKILL)
    died(evil, id, nonce)
    if evil.pair[1] != "stdio":
        id, _ = evil.call("echo", text="x")
        unreached(evil, id)
    evil.appear()
    evil.works_again()


def dies(evil: Evil) -> None:
    beside, other = evil.call("slow", ms=FOR_EVER_MS, steps=STEPS)
    evil.until_executed(other)
    died(evil, *evil.call("echo", text="x" * 100))
    evil.fails(beside, 1002, "gone", "unknown")
    evil.works_again()
    expect(evil.executed()[:2] == [other, f"{evil.key}-2"], f"executed: {evil.executed()}")


def dies_in_the_middle(evil: Evil) -> None:
    died(evil, *evil.call("echo", text="x" * 100))
    evil.works_again()


def died(evil: Evil, id: int, nonce: str) -> None:
    # How it ended is waited for, but not for long.
    words = ("killed by signal 9", "went away") if evil.pair[1] == "stdio" else ()
    evil.fails(id, 1002, "gone", "unknown", *words)
    expect(nonce in evil.executed(), f"executed: {evil.executed()}")
    evil.client.well()


def says_too_much(evil: Evil) -> None:
    evil.answers(10)
    evil.client.well()
    evil.answers(1)


def late(evil: Evil) -> None:
    id, nonce = evil.call("echo", text="LATE")
    evil.fails(id, 1001, "timeout", "unknown")
    evil.until_cancelled(nonce)
    evil.client.well()
    (evil.home / "until").touch()
    # By the time that this is done the other has been answered.
    id, _ = evil.call("slow", ms=2000, steps=8)
    answer = evil.client.answer(id)
    expect(text_of(answer) == "done", f"the call after: {answer}")
    evil.works_again()


def too_large(evil: Evil) -> None:
    id, nonce = evil.call("echo", text="x")
    evil.fails(id, 1004, "too_large", "unknown", "limits.server_message")
    evil.client.well()
    stays(evil, nonce)


def spoilt(evil: Evil) -> None:
    id, nonce = evil.call("echo", text="x")
    evil.fails(id, -32603, "internal", "unknown")
    evil.client.well()
    stays(evil, nonce)


def stays(evil: Evil, nonce: str) -> None:
    """The same process answers the next call, so the fault was the one answer's."""
    expect(evil.executed() == [nonce], f"executed: {evil.executed()}")
    (evil.home / "until").touch()
    answer = evil.called("count")
    expect(text_of(answer) == "2", f"the next call: {clip(str(answer), 300)}")
    evil.works_again()


def stopped(evil: Evil) -> None:
    id, nonce = evil.call("slow", ms=FOR_EVER_MS)
    evil.until_executed(nonce)
    evil.signal(signal.SIGSTOP)
    try:
        other, unheard = evil.call("echo", text="LATE")
        evil.client.well()
        evil.fails(id, 1001, "timeout", "unknown")
        evil.fails(other, 1001, "timeout", "unknown")
        evil.client.well()
    finally:
        evil.signal(signal.SIGCONT)
    evil.works_again()
    evil.until_cancelled(nonce)
    expect(evil.executed().count(unheard) <= 1, f"executed: {evil.executed()}")


def leaves(evil: Evil) -> None:
    """A client leaves in the middle of a call: it ends the call, and nobody else's."""
    if evil.pair[0] == "stdio":
        # Its Braid ends with it: looked at when all else is done.
        return
    client = evil.house.another()
    _, left = evil.call("slow", client, ms=FOR_EVER_MS)
    stays, kept = evil.call("slow", ms=2000, steps=8)
    for nonce in (left, kept):
        evil.until_executed(nonce)
    client.wire.close()
    evil.until_cancelled(left)
    answer = evil.client.answer(stays)
    expect(text_of(answer) == "done", f"the call of another client: {answer}")
    expect(not evil.cancelled(kept), "the call of another client was cancelled")
    evil.client.well()


def resumes(evil: Evil) -> None:
    """A client loses the connection of its POST: it has cancelled nothing, and finds the answer where it left."""
    client = evil.house.another(listens=False)
    id, nonce = evil.call("slow", client, ms=1500, steps=6)
    with client.news:
        client.news.wait_for(lambda: any(nonce.encode() in line for line in client.heard), PATIENCE_SECONDS)
    client.wire.cut()
    evil.client.well()
    answer = client.answer(id)
    expect(text_of(answer) == "done", f"the answer: {answer}")
    expect(client.wire.resumed == 1, f"it was resumed {client.wire.resumed} times")
    expect(not evil.cancelled(nonce), "the call was cancelled")
    expect(evil.executed() == [nonce], f"executed: {evil.executed()}")
    client.wire.close()


BOTH = ("", "json")
FAULTS = [
    Fault("mute", mute, ("--mute",), ('timeouts.start = "4s"',), hung=True, lists=False),
    Fault("exits", exits, ("--exit-at-start=3",), lists=False),
    Fault("absent", absent, absent=True, lists=False),
    Fault("hangs", hangs, ("--hang-list",), ('timeouts.list = "1s"',), lists=False),
    Fault("unlisted", unlisted, ("--list-32601",), lists=False),
    Fault("pages", endless, ("--endless-pages",)),
    Fault("cursor", endless, ("--cursor-loop",)),
    Fault("silent", silent, ("--no-answer",), (f'timeouts.call = "{SILENCE}"',), BOTH),
    Fault("dies", dies, ("--die-on-call=0",), ways=BOTH),
    Fault("halfway", dies_in_the_middle, ("--die-on-call=60",), ways=BOTH),
    Fault("killed", killed, ways=BOTH),
    Fault("twice", says_too_much, ("--twice",), ways=("twice", "json")),
    Fault("foreign", says_too_much, ("--foreign-ids",), ways=BOTH),
    Fault("late", late, ("--late=1500",), (f'timeouts.call = "{SILENCE}"',), ("late", "late,json")),
    Fault("large", too_large, (f"--big={4 * MESSAGE_BYTES_MAX}",), ways=BOTH),
    Fault("utf8", spoilt, ("--spoil=utf8",), ways=BOTH),
    Fault("cut", spoilt, ("--spoil=cut",), ways=BOTH),
    Fault("stopped", stopped, settings=('timeouts.call = "2s"',), ways=BOTH),
    Fault("noise", says_too_much, ("--banner",)),
    Fault("stderr", says_too_much, (f"--stderr={1 << 20}",)),
    Fault("leaves", leaves, ways=BOTH),
    Fault("resumes", resumes, ways=BOTH),
]
COLUMNS = [*(fault.name for fault in FAULTS), "whole"]

# What cannot go wrong where, by the side and its transport.
NOT_THERE = {
    ("noise", "up", "http"): "what is on a response is an answer or a part of one",
    ("noise", "up", "sse"): "what is on the stream is an event or a part of one",
    ("stderr", "up", "http"): "the server's stderr is not ours",
    ("stderr", "up", "sse"): "the server's stderr is not ours",
    ("resumes", "down", "stdio"): "the connection is the session, so whoever loses it has left",
    ("resumes", "down", "sse"): "the connection is the session, so whoever loses it has left",
}


def why_not(fault: str, pair: Pair) -> str:
    return next((why for (name, side, kind), why in NOT_THERE.items() if name == fault and kind == pair[side == "up"]), "")


# --- one pair --------------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    pair: Pair
    fault: str
    # What is wrong with it.
    why: list[str] = field(default_factory=list)
    not_there: str = ""
    tried: bool = False

    @property
    def verdict(self) -> str:
        return "-" if self.not_there else "ok" if self.tried and not self.why else "FAIL"


class House:
    """One Braid over one pair of transports, with every evil server and the good one."""

    def __init__(self, pair: Pair, faults: list[Fault], folder: Path, stack: ExitStack):
        self.pair, self.folder, self.stack = pair, folder, stack
        shutil.rmtree(folder, ignore_errors=True)
        # Whatever works in here is Braid, or was started by it.
        self.home = folder / "braid"
        self.home.mkdir(parents=True)
        self.evils = [
            Evil(fault.name + ("json" if "json" in way else ""), fault, way, folder, pair)
            for fault in faults
            for way in (fault.ways if pair[1] == "http" else fault.ways[:1])
        ]
        self.port = 0 if pair[0] == "stdio" else free_port()
        self.braid: Served | None = None
        self.reach: Reach

    def open(self) -> None:
        config = self.home / "braid.toml"
        listen = [] if not self.port else ["[listen]", f'http = ["127.0.0.1:{self.port}"]', f"token_file = {toml(str(self.home / 'token'))}"]
        lines = [
            *listen,
            "[timeouts]",
            'first_list = "1s"',
            "[limits]",
            f'server_message = "{MESSAGE_BYTES_MAX}B"',
            f"list_pages = {PAGES_MAX}",
            # So many that none waits for another's first second.
            "starting = 64",
            "[defaults]",
            'restart_backoff = { min = "200ms", max = "1s" }',
            *(line for evil in self.evils for line in evil.prepare()),
            f"[servers.{GOOD}]",
            'command = "${braid}"',
            f'args = ["demo-server", "{GOOD}"]',
        ]
        config.write_text("\n".join(lines) + "\n")
        fronts = [evil.served for evil in self.evils if evil.served is not None and not evil.fault.absent]
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            list(pool.map(self.stack.enter_context, fronts))
        if not self.port:
            self.reach = Reach([*BRAID, "stdio", "--config", str(config)])
            return
        command = [*BRAID, "serve", "--config", str(config)]
        self.braid = self.stack.enter_context(Served(command, self.port, self.folder / "braid.log", environment(), self.home))
        self.reach = Reach(url=url_of(self.port, self.pair[0]), transport=self.pair[0], headers=bearer(self.home))

    def another(self, listens: bool = True) -> Client:
        """One more client of the same Braid, which has shaken hands."""
        client = Client(self.reach, self.home)
        client.greet(listens)
        return client

    def log(self) -> str:
        if self.braid is None:
            return bytes(self.client.wire.stderr).decode("utf-8", "replace")
        return self.braid.log.read_text("utf-8", "replace")

    def end(self) -> None:
        """Leaves, and ends Braid if it does not end by that."""
        code = self.client.wire.close()
        if self.braid is not None:
            self.braid.end()
            code = self.braid.code
        expect(code == 0, f"Braid ended with {code}; {clip(self.log()[-600:], 600)}")
        left = left_behind(self.home)
        expect(not left, f"left behind: {left}")
        if self.pair[1] != "stdio":
            # Their sessions were ended; but what never answered has none that anybody could end.
            hung = {pid for evil in self.evils if evil.fault.hung for pid in evil.pids()}
            soon(lambda: hung.issuperset(evil_pids(self.folder / "evil")), "the servers' sessions have ended", HEALED_SECONDS)


def play(evil: Evil) -> list[str]:
    try:
        evil.client.well()
        if evil.fault.lists:
            evil.client.until_listed(f"{evil.key}__echo")
        evil.fault.play(evil)
        evil.client.well()
    except Wrong as wrong:
        return [f"{evil.key}: {wrong}"]
    except Exception as error:  # A fault of ours must not pass for a cell that works.
        return [f"{evil.key}: {error!r}"]
    return []


def left_with(evil: Evil, nonce: str) -> list[str]:
    """The client of a Braid of its own has left in the middle of this call: the server heard it, or went as well."""
    try:
        soon(lambda: evil.cancelled(nonce) or not evil.pids(), f"{nonce} is over", HEALED_SECONDS)
    except Wrong as wrong:
        return [f"{evil.key}: {wrong}"]
    return []


def cells_of(pair: Pair, faults: list[Fault], folder: Path) -> list[Cell]:
    """What becomes of every fault over one pair of transports."""
    absent = {fault.name: why for fault in faults if (why := why_not(fault.name, pair))}
    tried = [fault for fault in faults if fault.name not in absent]
    cells = {fault.name: Cell(pair, fault.name, not_there=absent.get(fault.name, "")) for fault in faults}
    whole = cells["whole"] = Cell(pair, "whole")
    with ExitStack() as stack:
        try:
            house = House(pair, tried, folder, stack)
            house.open()
            client = house.client = Client(house.reach, house.home)
            stack.callback(client.wire.close)
            took = client.greet()
            expect(took < AT_ONCE_SECONDS, f"initialize took {took:.1f} s")
            for evil in house.evils:
                evil.client, evil.house = client, house
            # The first list waits a second for servers that may still come.
            client.names("tools")
            found = all_at_once(house)
            for evil, why in zip(house.evils, found):
                cells[evil.fault.name].why += why
                cells[evil.fault.name].tried = True
            leavers = [(evil, evil.call("slow", ms=FOR_EVER_MS)) for evil in house.evils if evil.fault.name == "leaves" and pair[0] == "stdio"]
            for evil, (_, nonce) in leavers:
                evil.until_executed(nonce)
            whole.why += house.slow
            try:
                house.end()
            except Wrong as wrong:
                whole.why.append(str(wrong))
            for evil, (id, nonce) in leavers:
                cells["leaves"].why += left_with(evil, nonce)
                client.asked.pop(id)
            by_key = {evil.key: evil.fault.name for evil in house.evils}
            for key, strays in client.strays().items():
                cells[by_key.get(key, "whole")].why += strays
            for evil in house.evils:
                done = evil.executed()
                if twice := {nonce for nonce in done if done.count(nonce) > 1}:
                    cells[evil.fault.name].why.append(f"{evil.key}: executed more than once: {twice}")
            whole.tried = True
        except (Wrong, NotServed) as wrong:
            whole.why.append(str(wrong))
    return list(cells.values())


def all_at_once(house: House) -> list[list[str]]:
    """Plays every fault beside the others, with the good server in use all the while."""
    done = threading.Event()
    house.slow: list[str] = []

    def use() -> None:
        try:
            while not done.wait(LOOK_AGAIN_SECONDS):
                took = house.client.well()
                expect(took < AT_ONCE_SECONDS, f"the good server took {took:.1f} s")
        except Wrong as wrong:
            house.slow.append(str(wrong))

    user = threading.Thread(target=use)
    user.start()
    try:
        with ThreadPoolExecutor(len(house.evils) or 1) as pool:
            return list(pool.map(play, house.evils))
    finally:
        done.set()
        user.join()


# --- the table -------------------------------------------------------------------------------------------------------


def report(cells: list[Cell], seconds: float) -> str:
    columns = [name for name in COLUMNS if any(cell.fault == name for cell in cells)]
    rows = [["transports", *columns]]
    for pair in dict.fromkeys(cell.pair for cell in cells):
        by_fault = {cell.fault: cell for cell in cells if cell.pair == pair}
        rows.append([words_of(pair), *(by_fault[name].verdict for name in columns)])
    lines = [aligned(rows), ""]
    whys: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if cell.not_there:
            whys.setdefault((cell.fault, cell.not_there), []).append(words_of(cell.pair))
        if cell.verdict == "FAIL":
            lines.append(f"FAIL  {words_of(cell.pair)}  {cell.fault}")
            lines += [f"    {clip(why, 700)}" for why in (cell.why or ["not tried"])[:DETAILS_MAX]]
    lines += [f"-  {fault}: {why} ({', '.join(pairs)})" for (fault, why), pairs in whys.items()]
    count = [sum(cell.verdict == verdict for cell in cells) for verdict in ("ok", "FAIL")]
    lines.append(f"faults: {count[0]} work, {count[1]} fail ({seconds:.0f} s)")
    return "\n".join(lines)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pair", action="append", default=[], metavar="DOWN:UP", help="such as `http:stdio`; all nine unless told")
    arguments.add_argument("--only", action="append", default=[], metavar="FAULT", help="a column of the table")
    arguments.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N", help="so many pairs at once; they mostly wait")
    arguments.add_argument("--at-least", type=int, default=0, metavar="N", help="so many cells must work")
    options = arguments.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    if unknown := [name for name in options.only if name not in COLUMNS]:
        arguments.error(f"--only knows no {unknown}; it knows {COLUMNS}")
    pairs = [pair for pair in PAIRS if ":".join(pair) in options.pair]
    if len(pairs) != len(set(options.pair)):
        arguments.error(f"--pair knows only {[':'.join(pair) for pair in PAIRS]}")
    faults = [fault for fault in FAULTS if fault.name in options.only] or ([] if options.only else FAULTS)
    if shutil.which(BRAID[0]) is None:
        print(f"faults: no Braid at {BRAID[0]}: build it, or set BRAID", file=sys.stderr)
        return 2
    folder = HOME / "run" / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    with open(HOME / "run" / "faults.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("faults: another run is under way in this target folder", file=sys.stderr)
            return 2
        start = time.monotonic()
        with ThreadPoolExecutor(options.at_once) as pool:
            found = pool.map(lambda pair: cells_of(pair, faults, folder / "-".join(pair)), pairs or PAIRS)
            cells = [cell for some in found for cell in some]
        print(report(cells, time.monotonic() - start))
    working = sum(cell.verdict == "ok" for cell in cells)
    if working < options.at_least:
        print(f"faults: only {working} of at least {options.at_least} cells work", file=sys.stderr)
    return 1 if any(cell.verdict == "FAIL" for cell in cells) or working < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
