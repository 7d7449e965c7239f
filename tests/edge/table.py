"""Runs table.txt: requests to `braid serve`, written byte by byte, and the exact answer that each must get.

    python3 tests/edge/table.py            all of it; seconds
    python3 tests/edge/table.py origin     only cases whose title has this word

The language of table.txt, line by line:

    == SERVER: title      a section with a `braid serve` of its own; SERVER is one of `SERVERS` below
    # title               a case
    POST /mcp HTTP/1.1    a request; its header lines follow as they are sent
    *                     the usual header lines of this method, `* without Host, Accept` but for these
    {…}  […]  | text      the body
    > bytes               instead of all that: bytes as they are sent, lines joined without anything between
    = 403                 the status, exactly; `= closed`: no answer, but the end of the connection
      FACT                what else must hold of it (see `FACTS`)

A case may have several requests; each has a connection of its own. Two `=` in a row are two answers on one connection. `\\0`, `\\r`, `\\n`, `\\t` and
`\\xNN` are bytes, except in a body of JSON. `$host`, `$port` and `$token` are the server's; `$session` is a session begun for this case,
`$session(2025-03-26)` one in another revision, `$session(/mcp/demo)` one at another door; `$sse` an open stream of 2024-11-05; `$length` the
body's length; `$pad(9)` nine letters; a line `$headers(9)` nine header lines.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rawhttp import Answer, Closed, Mcp, Socket, request
from serving import DEMOS, Braid, Failed, expect

TABLE = Path(__file__).with_name("table.txt")

GROUP = '[groups.demo]\nservers = ["notes"]\n'
SERVERS = {
    "plain": DEMOS + GROUP + '[limits]\nclient_message = "64KiB"\n',
    "origins": DEMOS + '[listen]\nallowed_origins = ["https://app.example.com", "http://localhost:3000"]\nallowed_hosts = ["braid.example.com"]\n',
    "open": DEMOS + '[listen]\nauth = "none"\n',
    "modern": DEMOS + "[listen]\nlegacy_sse = false\n",
    "small": DEMOS + "[listen]\nlimits.sessions = 1\n",
}

USUAL = {
    "POST": ["Host", "Authorization", "Accept", "Content-Type", "Content-Length"],
    "GET": ["Host", "Authorization", "Accept"],
}
USUAL_OF_ALL = ["Host", "Authorization"]

INITIALIZE = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'


@dataclass
class Expected:
    line: int
    status: str
    facts: list[str] = field(default_factory=list)


@dataclass
class Exchange:
    lines: list[str] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)


@dataclass
class Case:
    line: int
    title: str
    exchanges: list[Exchange] = field(default_factory=list)


@dataclass
class Section:
    server: str
    title: str
    cases: list[Case] = field(default_factory=list)


def read(text: str) -> list[Section]:
    sections: list[Section] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("//"):
            continue
        if line.startswith("== "):
            server, title = line[3:].split(":", 1)
            if server not in SERVERS:
                raise SystemExit(f"table.txt:{number}: no server {server!r}")
            sections.append(Section(server, title.strip()))
        elif line.startswith("# "):
            sections[-1].cases.append(Case(number, line[2:]))
        elif line.startswith("= "):
            sections[-1].cases[-1].exchanges[-1].expected.append(Expected(number, line[2:].strip()))
        elif line.startswith("  "):
            sections[-1].cases[-1].exchanges[-1].expected[-1].facts.append(line.strip())
        else:
            exchanges = sections[-1].cases[-1].exchanges
            if not exchanges or exchanges[-1].expected:
                exchanges.append(Exchange())
            exchanges[-1].lines.append(line)
    return sections


def bytes_of(text: str) -> bytes:
    """With `\\r`, `\\n`, `\\t`, `\\0` and `\\xNN` as the bytes that they stand for; the rest in UTF-8."""
    out, at = b"", 0
    for found in re.finditer(r"\\(?:x([0-9a-fA-F]{2})|([rnt0\\]))", text):
        out += text[at : found.start()].encode()
        out += bytes([int(found[1], 16)]) if found[1] else {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}[found[2]]
        at = found.end()
    return out + text[at:].encode()


class Play:
    """One case against one server."""

    def __init__(self, braid: Braid):
        self.braid = braid
        self.sessions: dict[str, str] = {}
        self.kept: list[Socket] = []

    def session(self, kind: str) -> str:
        if kind not in self.sessions:
            client = Mcp(self.braid.port, self.braid.token)
            client.path = kind if kind.startswith("/") else "/mcp"
            client.revision = kind if kind.startswith("2") else "2025-11-25"
            self.sessions[kind] = client.begin().session
        return self.sessions[kind]

    def sse(self) -> str:
        if "sse" not in self.sessions:
            stream = Socket(self.braid.port)
            self.kept.append(stream)
            stream.send(request("GET", "/sse", Mcp(self.braid.port, self.braid.token).headers("text/event-stream")))
            expect(stream.head().status == 200, "a stream at /sse")
            self.sessions["sse"] = next(stream.events()).data.split("sessionId=")[1]
        return self.sessions["sse"]

    def filled(self, text: str) -> str:
        text = re.sub(r"\$session\(([^)]*)\)", lambda found: self.session(found[1]), text)
        text = re.sub(r"\$session\b", lambda _: self.session(""), text)
        text = re.sub(r"\$sse\b", lambda _: self.sse(), text)
        text = re.sub(r"\$pad\((\d+)\)", lambda found: "x" * int(found[1]), text)
        text = re.sub(r"\$headers\((\d+)\)", lambda found: "\n".join(f"X-{at}: 1" for at in range(int(found[1]))), text)
        whole = {"host": f"127.0.0.1:{self.braid.port}", "port": str(self.braid.port), "token": self.braid.token}
        return re.sub(r"\$(host|port|token)\b", lambda found: whole[found[1]], text)

    def bytes_of(self, exchange: Exchange) -> bytes:
        if exchange.lines[0].startswith(">"):
            return b"".join(bytes_of(self.filled(line[1:].removeprefix(" "))) for line in exchange.lines)
        head, body = [], b""
        for line in exchange.lines:
            if line.startswith(("{", "[")):
                body += self.filled(line).encode()
            elif line.startswith("|"):
                body += bytes_of(self.filled(line[1:].removeprefix(" ")))
            else:
                head.append(line)
        method = head[0].split(" ")[0]
        lines = [head[0]]
        for line in head[1:]:
            lines += self.usual(method, line) if line.startswith("*") else self.filled(line).split("\n")
        return b"\r\n".join([bytes_of(self.filled(line).replace("$length", str(len(body)))) for line in lines] + [b"", b""]) + body

    def usual(self, method: str, line: str) -> list[str]:
        without = [name.strip().lower() for name in line.partition("without")[2].split(",")]
        values = {
            "Host": "$host",
            "Authorization": "Bearer $token",
            "Accept": "application/json, text/event-stream" if method == "POST" else "text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": "$length",
        }
        if not self.braid.token:
            without.append("authorization")
        return [f"{name}: {values[name]}" for name in USUAL.get(method, USUAL_OF_ALL) if name.lower() not in without]

    def run(self, case: Case) -> list[str]:
        """What went wrong."""
        failures = []
        for exchange in case.exchanges:
            try:
                self.exchange(exchange)
            except (Failed, Closed, OSError) as why:
                failures.append(str(why))
        for connection in self.kept:
            connection.close()
        return failures

    def exchange(self, exchange: Exchange) -> None:
        sent = self.bytes_of(exchange)
        with Socket(self.braid.port) as connection:
            try:
                connection.send(sent)
            except ConnectionError:
                pass  # It was answered before it was heard to the end; the answer is what counts.
            for expected in exchange.expected:
                self.judge(expected, connection, exchange.lines[0].startswith("HEAD "), sent)

    def judge(self, expected: Expected, connection: Socket, to_head: bool, sent: bytes) -> None:
        where = f"table.txt:{expected.line}"
        shown = sent if len(sent) < 600 else sent[:400] + b" ... " + sent[-100:]
        if expected.status == "closed":
            expect(connection.is_closed(), f"{where}: is neither closed nor silent\n    sent {shown!r}")
            return
        try:
            answer = connection.answer(to_head=to_head, first_event=True)
        except Closed as why:
            raise Failed(f"{where}: no answer, {why}\n    sent {shown!r}") from None
        got = f"{answer.status} {dict(answer.headers)} {answer.body[:300]!r}"
        expect(answer.status == int(expected.status), f"{where}: not {expected.status}, but {got}\n    sent {shown!r}")
        for fact in expected.facts:
            expect(self.holds(fact, answer, connection), f"{where}: not so: {fact}; {got}\n    sent {shown!r}")

    def holds(self, fact: str, answer: Answer, connection: Socket) -> bool:
        fact = self.filled(fact)
        for form, judge in FACTS.items():
            found = re.fullmatch(form, fact)
            if found:
                return judge(answer, connection, *found.groups())
        raise SystemExit(f"table.txt: no such fact: {fact}")


FACTS = {
    r"header ([\w-]+): (.*)": lambda answer, _, name, value: answer.header(name) == value,
    r"header ([\w-]+) has (.*)": lambda answer, _, name, part: part in (answer.header(name) or ""),
    r"header ([\w-]+)": lambda answer, _, name: bool(answer.header(name)),
    r"no header ([\w-]+)": lambda answer, _, name: answer.header(name) is None,
    r"body is empty": lambda answer, _: answer.body == b"",
    r"body is (.+)": lambda answer, _, text: answer.body.decode() == text,
    r"body has (?!no )(.+)": lambda answer, _, text: text in answer.body.decode("utf-8", "replace"),
    r"body has no (.+)": lambda answer, _, text: text not in answer.body.decode("utf-8", "replace"),
    # The body is for people: a JSON-RPC error without an id, of this code.
    r"error (-?\d+)": lambda answer, _, code: answer.json()["error"]["code"] == int(code) and answer.json().get("id") is None,
    r"then closed": lambda answer, connection: connection.is_closed(),
    r"nothing more": lambda _, connection: says_no_more(connection),
    r"still open": lambda answer, connection: connection.left == b"" and answers_again(connection),
}


def says_no_more(connection: Socket) -> bool:
    """Whether it is closed, or silent for a while."""
    connection.seconds = 0.3
    try:
        return not connection.left and not connection.more()
    except Closed:
        return not connection.left


def answers_again(connection: Socket) -> bool:
    """Whether the connection serves another request."""
    connection.send(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{connection.socket.getpeername()[1]}\r\n\r\n".encode())
    try:
        return connection.answer().body == b"ok\n"
    except Closed:
        return False


def main() -> int:
    word = sys.argv[1].lower() if len(sys.argv) > 1 else ""
    start, requests, failures = time.monotonic(), 0, []
    for section in read(TABLE.read_text()):
        cases = [case for case in section.cases if word in case.title.lower() or word in section.title.lower()]
        if not cases:
            continue
        with Braid(SERVERS[section.server]) as braid:
            for case in cases:
                requests += len(case.exchanges)
                failures += [f"{section.title} / {case.title}\n  {why}" for why in Play(braid).run(case)]
            # Whatever came, somebody who behaves is served, and nothing broke inside.
            broken = [line for line in braid.log().split("\n") if "panicked" in line or " ERROR " in line]
            if broken:
                failures.append(f"{section.title}: the log says {broken[0]}")
            if section.server != "small":
                Mcp(braid.port, braid.token).begin().add()
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"edge table: {requests} requests, {len(failures)} failures, {time.monotonic() - start:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
