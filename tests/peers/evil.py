#!/usr/bin/env python3
"""An MCP server over stdio that misbehaves on demand. Python 3, standard library only.

Without flags it is an honest little server of the `initialize` era with three tools:
  echo   {text, nonce?}        answers with the text
  count  {nonce?}              answers with how many calls it has executed, this one included
  slow   {ms, steps?, nonce?}  takes that long, with `steps` progress notes if a token was given;
                               stops without an answer when it is cancelled
Each flag makes it misbehave in one way; flags combine, and --until ends them all. Whatever a wrong answer carries says `BOGUS`
or `SECOND`, so that a test can look for it on the other side.

Every executed call adds a line with its `nonce` to --count-file before anything else happens, so that
a test can count executions even if the server dies in the middle. --journal gets every line received.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
LISTS = {"tools/list", "prompts/list", "resources/list", "resources/templates/list"}
TOOLS = [
    {
        "name": "echo",
        "description": "Answers with its text",
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
    {
        "name": "count",
        "description": "Answers with how many calls were executed",
        "inputSchema": {"type": "object"},
    },
    {
        "name": "slow",
        "description": "Takes its time",
        "inputSchema": {
            "type": "object",
            "properties": {"ms": {"type": "integer"}, "steps": {"type": "integer"}},
        },
    },
]


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    start = "at its start"
    add("--exit-at-start", type=int, metavar="STATUS", help=f"exits {start}, with a line on stderr")
    add("--mute", action="store_true", help="reads everything and answers nothing, not even initialize")
    add("--read-slowly", type=int, nargs="?", const=4096, metavar="BYTES", help="reads BYTES a second, 4096 unless told")
    add("--banner", action="store_true", help="between messages: text, blank lines, a BOM, invalid UTF-8; all in halves")
    add("--stderr", type=int, metavar="BYTES", help="writes so much to stderr before each answer")
    add("--twice", action="store_true", help="gives every answer twice")
    add("--foreign-ids", action="store_true", help="ten answers that nobody asked for before each real one")
    add("--late", type=int, metavar="MS", help="answers calls so much later, cancelled or not")
    add("--hang-list", action="store_true", help="never answers a list")
    add("--list-32601", action="store_true", help="declares every capability and knows no list")
    add("--endless-pages", action="store_true", help="every page of tools has a next one")
    add("--cursor-loop", action="store_true", help="the next cursor is always the same")
    add("--no-answer", action="store_true", help="executes calls and answers none")
    add("--die-on-call", type=int, nargs="?", const=0, metavar="BYTES", help="kills itself in a call, after BYTES of its answer")
    add("--big", type=int, metavar="BYTES", help="answers calls with a text of that size")
    add("--endless", type=int, nargs="?", const=128 << 20, metavar="BYTES", help="answers calls with a line of BYTES that is no message; 128 MiB unless told")
    add("--spoil", choices=["bom", "utf8", "cut"], help="spoils the line that answers a call")
    add("--fork", action="store_true", help="starts two more processes, one in a session of its own")
    add("--ignore-eof", action="store_true", help="stays when its stdin ends")
    add("--ignore-term", action="store_true", help="ignores SIGTERM, SIGINT and SIGHUP, and so do its children")
    add("--until", metavar="FILE", help="is honest as soon as FILE is there")
    add("--count-file", metavar="FILE", help="adds a line per executed call: its nonce, or `-`")
    add("--journal", metavar="FILE", help="adds every line that it reads")
    how = parser.parse_args()
    how.honest = parser.parse_args([])
    for kept in ("count_file", "journal"):
        setattr(how.honest, kept, getattr(how, kept))
    return how


def healed(how):
    return how.until is not None and os.path.exists(how.until)


class Output:
    """Stdout, a whole message at a time, from any thread."""

    JUNK = [
        b"evil server starting...\n",
        b"\n",
        b"\xef\xbb\xbf\n",
        b"no text: \xff\xfe\x80\n",
        b"\x1b[2J\x1b[31mWARN\x1b[0m {not json\r\n",
        b"   \r\n",
        b"\x00\x00\n",
        b'"a lone string"\n',
    ]

    def __init__(self, banner):
        self.lock = threading.Lock()
        self.junk = itertools.cycle(self.JUNK) if banner else None

    def message(self, message):
        self.line(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode())

    def line(self, line):
        with self.lock:
            if self.junk:
                self.halves(next(self.junk))
                self.halves(next(self.junk))
                self.halves(line + b"\n")
            else:
                self.write(line + b"\n")

    def halves(self, line):
        middle = len(line) // 2
        self.write(line[:middle])
        time.sleep(0.002)
        self.write(line[middle:])

    def write(self, data):
        try:
            while data:
                data = data[os.write(1, data):]
        except OSError:
            os._exit(0)  # nobody listens any more


class Server:
    def __init__(self, how):
        self.how = how
        self.output = Output(how.banner)
        self.executed = 0
        self.answered = "never-asked"  # the last id that was answered, to be answered again
        self.cancelled = {}  # id of a call under way -> event
        self.lock = threading.Lock()

    # Messages in.

    def receive(self, line):
        if healed(self.how):
            self.how = self.how.honest
        if self.how.journal:
            append(self.how.journal, line.rstrip(b"\n"))
        if self.how.mute:
            return
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict) or "method" not in message:
            return
        method, params = message["method"], message.get("params") or {}
        if "id" not in message:
            if method == "notifications/cancelled":
                with self.lock:
                    event = self.cancelled.get(key(params.get("requestId")))
                if event:
                    event.set()
            return
        call_id = message["id"]
        if method == "tools/call":
            event = threading.Event()
            with self.lock:
                self.cancelled[key(call_id)] = event
            threading.Thread(target=self.call, args=(call_id, params, event), daemon=True).start()
        else:
            self.request(call_id, method, params)

    def request(self, call_id, method, params):
        if method == "initialize":
            asked = params.get("protocolVersion")
            capabilities = {"tools": {}}
            if self.how.list_32601:
                capabilities = {"tools": {}, "prompts": {}, "resources": {}, "completions": {}, "logging": {}}
            self.answer(call_id, {
                "protocolVersion": asked if asked in VERSIONS else VERSIONS[-1],
                "capabilities": capabilities,
                "serverInfo": {"name": "evil", "version": "1"},
            })
        elif method == "ping":
            self.answer(call_id, {})
        elif method in LISTS and self.how.hang_list:
            return
        elif method == "tools/list" and not self.how.list_32601:
            self.answer(call_id, self.page(params.get("cursor")))
        else:
            self.refuse(call_id, -32601, f"Method not found: {method}")

    def page(self, cursor):
        if self.how.cursor_loop:
            return {"tools": TOOLS, "nextCursor": "again"}
        if self.how.endless_pages:
            number = int(cursor or 0)
            tool = dict(TOOLS[0], name=f"page{number}")
            return {"tools": TOOLS if number == 0 else [tool], "nextCursor": str(number + 1)}
        return {"tools": TOOLS}

    # Calls, each in a thread of its own.

    def call(self, call_id, params, cancelled):
        arguments = params.get("arguments") or {}
        with self.lock:
            self.executed += 1
            executed = self.executed
            if self.how.count_file:
                append(self.how.count_file, str(arguments.get("nonce", "-")).replace("\n", " ").encode())
        try:
            text = self.work(params, arguments, executed, cancelled)
        finally:
            with self.lock:
                self.cancelled.pop(key(call_id), None)
        if text is None or self.how.no_answer:
            return
        if self.how.late is not None:
            time.sleep(self.how.late / 1000)
        if text is Unknown:
            self.refuse(call_id, -32602, f"Unknown tool: {params.get('name')}")
            return
        if self.how.big is not None:
            text = ("0123456789abcdef" * (self.how.big // 16 + 1))[: self.how.big]
        result = {"content": [{"type": "text", "text": text}], "isError": False}
        if self.how.die_on_call is not None:
            line = json.dumps({"jsonrpc": "2.0", "id": call_id, "result": result}).encode() + b"\n"
            with self.output.lock:
                self.output.write(line[: self.how.die_on_call])
                os.kill(os.getpid(), signal.SIGKILL)
        elif self.how.endless is not None:
            self.endless(call_id)
        elif self.how.spoil:
            self.spoilt(call_id, result)
        else:
            self.answer(call_id, result)

    def work(self, params, arguments, executed, cancelled):
        name = params.get("name")
        if name == "echo" or str(name).startswith("page"):
            return str(arguments.get("text", ""))
        if name == "count":
            return str(executed)
        if name == "slow":
            return self.slow(params, arguments, cancelled)
        return Unknown

    def slow(self, params, arguments, cancelled):
        duration, steps = arguments.get("ms", 0) / 1000, max(1, arguments.get("steps", 1))
        token = (params.get("_meta") or {}).get("progressToken")
        for step in range(1, steps + 1):
            if cancelled.wait(duration / steps) and self.how.late is None:
                return None
            if token is not None:
                self.output.message({
                    "jsonrpc": "2.0",
                    "method": "notifications/progress",
                    "params": {"progressToken": token, "progress": step, "total": steps},
                })
        return "done"

    # Messages out.

    def answer(self, call_id, result):
        self.before(call_id)
        self.output.message({"jsonrpc": "2.0", "id": call_id, "result": result})
        if self.how.twice:
            self.output.message({"jsonrpc": "2.0", "id": call_id, "result": bogus("SECOND")})

    def refuse(self, call_id, code, text):
        self.before(call_id)
        self.output.message({"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": text}})

    def before(self, call_id):
        if self.how.stderr:
            line = b"evil says something on stderr, as it does all day and all night long, for nobody at all\n"
            flood = line * (self.how.stderr // len(line) + 1)
            write_all(2, flood[: self.how.stderr - 1] + b"\n")
        if self.how.foreign_ids:
            self.foreign(call_id)

    def foreign(self, call_id):
        """Ids that were never asked for, ids in the wrong dress, and one of the other direction."""
        ours = "evil-asks-this"
        self.output.message({"jsonrpc": "2.0", "id": ours, "method": "ping"})
        # Guesses keep away from the next ids: those may be open by now, and then the answer would count.
        guess = call_id if isinstance(call_id, int) else 1000
        with self.lock:
            answered, self.answered = self.answered, call_id
        wrong = [
            answered, guess + 999_999, guess + 1_000_000, -guess - 1, 2**63, f"{call_id} ", guess + 0.5, None, ours,
            f"{call_id}" if isinstance(call_id, int) else f"{call_id}-",
        ]
        for foreign_id in wrong:
            self.output.message({"jsonrpc": "2.0", "id": foreign_id, "result": bogus("BOGUS")})

    def endless(self, call_id):
        head = b'{"jsonrpc":"2.0","id":' + json.dumps(call_id).encode() + b',"result":{"content":[{"type":"text","text":"'
        with self.output.lock:
            self.output.write(head)
            left, chunk = self.how.endless - len(head), b"x" * 65536
            while left > 0:
                self.output.write(chunk[: min(left, len(chunk))])
                left -= len(chunk)
            self.output.write(b"\n")

    def spoilt(self, call_id, result):
        line = json.dumps({"jsonrpc": "2.0", "id": call_id, "result": result}).encode()
        if self.how.spoil == "bom":
            line = b"\xef\xbb\xbf" + line
        elif self.how.spoil == "utf8":
            line = line.replace(b'"text": "', b'"text": "\xc3\x28', 1)
        elif self.how.spoil == "cut":
            line = line[: len(line) - 5]
        self.output.line(line)


class Unknown:
    """No such tool."""


def bogus(text):
    return {"content": [{"type": "text", "text": text}], "isError": False}


def key(call_id):
    return json.dumps(call_id)


def append(path, line):
    """One line, in one write, on the disk before we go on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor, data):
    try:
        while data:
            data = data[os.write(descriptor, data):]
    except OSError:
        pass


def lines(how):
    """The lines of stdin, at the speed we were told."""
    rest, size = b"", 65536
    if how.read_slowly:
        size = max(1, how.read_slowly // 10)
    while True:
        chunk = os.read(0, size)
        if not chunk:
            return
        if how.read_slowly:
            time.sleep(len(chunk) / how.read_slowly)
        rest += chunk
        *whole, rest = rest.split(b"\n")
        yield from (line for line in whole if line.strip())


def main():
    how = flags()
    if healed(how):
        how = how.honest
    if how.exit_at_start is not None:
        write_all(2, b"evil: cannot find my configuration\n")
        sys.exit(how.exit_at_start)
    if how.ignore_term:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
    if how.fork:
        # They keep our pipes open, as such children do.
        subprocess.Popen(["sleep", "1000"])
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
    server = Server(how)
    for line in lines(how):
        server.receive(line)
    while how.ignore_eof:
        time.sleep(1000)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
