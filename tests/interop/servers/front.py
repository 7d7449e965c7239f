"""A stdio server behind HTTP, byte for byte: Streamable HTTP at /mcp or HTTP+SSE at /sse, for servers that speak stdio alone.

    front.py http|sse PORT COMMAND...

Each session has a process of its own. What the process writes is passed on as the text that it wrote; how it is wrapped
takes turns: every kind of line end, comments, fields that nobody knows, data over two lines, a byte order mark. Answers to
`tools/call` come as a stream, with what the process says meanwhile before them; other answers as JSON. It knows no more of
MCP than which request an answer, a note of progress or a question belongs to. No SDK.

Its faults are those of a server that is one program: where the process dies, its connections are cut in the middle of what
it was saying, and its session is not known any more. What is no message stands for the answer that is open. An answer that
nobody waits for goes where questions go, or with what is said next. FRONT has words for other ways, with commas between:
`plain`, the first shape alone; `json`, answers to `tools/call` are JSON too; `late`, a cancelled call's response stays open,
for an answer that comes all the same; `twice`, each such response has room for two answers.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_SECONDS_MAX = 120.0
KEEP_ALIVE_SECONDS = 5.0
BODY_BYTES_MAX = 64 * 1024 * 1024

# What is put around the data of an event, in turns: the end of a line, the lines before, whether the data is divided.
SHAPES = (
    (b"\n", [b"event: message"], False),
    (b"\r\n", [b": a comment", b"event:message", b"id: %d"], False),
    (b"\r", [b"event: message"], False),
    (b"\n", [b"vendor: unheard of", b"retry: 200", b"id:%d"], True),
    (b"\n", [b"id", b"event: message", b":"], False),
)
WAYS = os.environ.get("FRONT", "").split(",")
# For readers of events that do not know all of them.
if "plain" in WAYS:
    SHAPES = SHAPES[:1]

SESSIONS: dict[str, "Session"] = {}


def told(line: bytes) -> dict:
    # What no parser of text takes is routed all the same.
    return json.loads(line.decode("utf-8", "replace"))


@dataclass
class Cut:
    """The process died; what it had said of its next line."""

    rest: bytes = b""


class Gone(Exception):
    """The process takes nothing any more."""


class Stream:
    """Where messages of a session go: the response to one request, or the stream beside."""

    def __init__(self, request: dict | None = None):
        self.request = request
        # None: there is no more.
        self.items: queue.Queue[bytes | Cut | None] = queue.Queue()
        self.answers = 0

    @property
    def token(self) -> object:
        return ((self.request or {}).get("params") or {}).get("_meta", {}).get("progressToken")


class Session:
    def __init__(self, command: list[str]):
        self.id = uuid.uuid4().hex
        self.lock = threading.Lock()
        self.calls: list[Stream] = []
        # Answers that nobody waits for. On another connection they could overtake the one that somebody had.
        self.strays: list[bytes] = []
        self.beside = Stream()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        SESSIONS[self.id] = self

    def _read(self) -> None:
        rest = b""
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                rest = line
            elif line.strip():
                self._pass_on(line.rstrip(b"\r\n"))
        died = self.process.wait() != 0
        SESSIONS.pop(self.id, None)
        with self.lock:
            # It was saying something to the newest.
            for stream in [*reversed(self.calls), self.beside]:
                stream.items.put(Cut(rest) if died else None)
                rest = b""

    def _pass_on(self, line: bytes) -> None:
        try:
            message = told(line)
        except ValueError:
            message = None
        with self.lock:
            if not isinstance(message, dict) or "method" not in message:
                self._answered(line, message)
                return
            token = (message.get("params") or {}).get("progressToken") if message["method"] == "notifications/progress" else None
            self._during(token).items.put(line)

    def _answered(self, line: bytes, message: object) -> None:
        if not isinstance(message, dict):
            stream = self.calls[-1] if self.calls else None
        else:
            stream = next((call for call in self.calls if call.request.get("id") == message.get("id")), None)
        if stream is None:
            during = self._during(None)
            during.items.put(line) if during is not self.beside else self.strays.append(line)
            return
        stream.items.put(line)
        stream.answers += 1
        if "twice" not in WAYS or stream.answers == 2:
            self.calls.remove(stream)
            stream.items.put(None)

    def _during(self, token: object) -> Stream:
        """Where questions and messages go: they belong to a call that is open, if there is one."""
        open_calls = [call for call in self.calls if call.request["method"] == "tools/call" and token in (None, call.token)]
        return open_calls[-1] if open_calls and "json" not in WAYS else self.beside

    def send(self, body: bytes, stream: Stream | None = None) -> None:
        with self.lock:
            if stream is not None:
                self.calls.append(stream)
            for stray in self.strays:
                self._during(None).items.put(stray)
            self.strays.clear()
            # One message is one line on stdio; between tokens, an end of a line is only white space.
            try:
                self.process.stdin.write(re.sub(rb"[\r\n]+", b" ", body) + b"\n")
                self.process.stdin.flush()
            except OSError:
                if stream is not None:
                    self.calls.remove(stream)
                raise Gone from None

    def cancelled(self, request: object) -> None:
        """A cancelled call gets no answer, and nothing belongs to it any more."""
        if "late" in WAYS:
            return
        with self.lock:
            for call in [call for call in self.calls if call.request.get("id") == request]:
                self.calls.remove(call)
                call.items.put(None)

    def forget(self, stream: Stream) -> None:
        with self.lock:
            if stream in self.calls:
                self.calls.remove(stream)

    def end(self) -> None:
        SESSIONS.pop(self.id, None)
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kind = "http"
    program: list[str] = []
    turn = 0

    def log_message(self, *_: object) -> None:
        """What it hears and says is in the tap."""

    def plain(self, status: int, body: bytes = b"", kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self, rest: bytes, kind: str) -> None:
        """The beginning of a body, and then no more; where nothing was said, not even that."""
        if rest:
            self.begin(kind)
            self.chunk(rest)
        self.close_connection = True

    def body(self) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        if length > BODY_BYTES_MAX:
            raise ValueError("the body is too long")
        return self.rfile.read(length)

    def session(self) -> Session | None:
        name = self.headers.get("Mcp-Session-Id")
        found = SESSIONS.get(name or "")
        if found is None:
            self.plain(404 if name else 400, b"no such session")
        return found

    def do_POST(self) -> None:
        body = self.body()
        try:
            (self.posted_beside if self.kind == "sse" else self.posted)(body)
        except Gone:
            self.plain(404, b"no such session any more")

    def posted(self, body: bytes) -> None:
        message = told(body)
        session = Session(self.program) if message.get("method") == "initialize" else self.session()
        if session is None:
            return
        if "method" not in message or "id" not in message:
            session.send(body)
            if message.get("method") == "notifications/cancelled":
                session.cancelled(message["params"].get("requestId"))
            self.plain(202)
            return
        stream = Stream(message)
        session.send(body, stream)
        if message["method"] == "tools/call" and "json" not in WAYS:
            self.stream(stream, session, b"")
            return
        try:
            line = stream.items.get(timeout=ANSWER_SECONDS_MAX)
        except queue.Empty:
            line = None
        session.forget(stream)
        if isinstance(line, Cut) and message["method"] != "initialize":
            self.cut(line.rest, "application/json")
        elif line is None or isinstance(line, Cut):
            self.plain(502, b"the server is gone")
        else:
            self.plain(200, line, "application/json", Mcp_Session_Id=session.id)

    def posted_beside(self, body: bytes) -> None:
        session = SESSIONS.get(self.path.partition("session=")[2])
        if session is None:
            self.plain(404, b"no such session")
            return
        session.send(body)
        self.plain(202, b"Accepted")

    def do_GET(self) -> None:
        if self.kind == "sse":
            session = Session(self.program)
            # Everything goes to the one stream: nothing is a call of its own.
            session._pass_on = session.beside.items.put
            self.stream(session.beside, session, b"event: endpoint\ndata: /messages?session=%s\n\n" % session.id.encode())
            session.end()
            return
        session = self.session()
        if session is not None:
            session.beside, old = Stream(), session.beside
            session.beside.items = old.items
            self.stream(session.beside, session, b"")

    def do_DELETE(self) -> None:
        session = self.session()
        if session is not None:
            session.end()
            self.plain(204)

    def begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def stream(self, stream: Stream, session: Session, opening: bytes) -> None:
        self.begin("text/event-stream")
        # A stream begins with a byte order mark every other time.
        mark = b"\xef\xbb\xbf" if Handler.turn % 2 and len(SHAPES) > 1 else b""
        try:
            self.chunk(mark + opening + b": open\n\n")
            while True:
                try:
                    line = stream.items.get(timeout=KEEP_ALIVE_SECONDS)
                except queue.Empty:
                    self.chunk(b":\n\n")
                    continue
                if isinstance(line, Cut):
                    self.chunk(b"data: " + line.rest)
                    self.close_connection = True
                    return
                if line is None:
                    break
                self.chunk(self.event(line))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        finally:
            session.forget(stream)

    def event(self, line: bytes) -> bytes:
        Handler.turn += 1
        end, before, divided = SHAPES[Handler.turn % len(SHAPES)]
        lines = [one % Handler.turn if b"%d" in one else one for one in before]
        if divided and line.startswith(b"{"):
            # An end of a line after the brace is white space to JSON.
            lines += [b"data: {", b"data:" + line[1:]]
        else:
            lines.append(b"data: " + line)
        # Readers that hold a CR back, because it may be half of a CRLF, are told that it was not.
        return end.join(lines) + end + end + (b":\n\n" if end == b"\r" else b"")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    Handler.kind, port, Handler.program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
