"""HTTP/1.1 by hand: bytes out, bytes in, no library between.

`Socket` sends what it is given and reads one answer after the other; `Mcp` is a small client on top of it, for tests in
which somebody must be served while others misbehave.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from dataclasses import dataclass

SECONDS_MAX = 10.0


class Closed(Exception):
    """The other side closed, or was silent for too long; holds what had come by then."""


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    # Whether the other side closed after it.
    closed: bool = False

    def header(self, name: str) -> str | None:
        values = [value for own, value in self.headers if own == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> dict:
        return json.loads(self.body)


@dataclass
class Event:
    id: str | None = None
    name: str | None = None
    data: str = ""


class Socket:
    def __init__(self, port: int, seconds: float = SECONDS_MAX, tls: ssl.SSLContext | None = None):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.seconds = seconds
        self.left = b""
        self.chunked = False

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Closes without a word, as a machine does that has lost its power."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, text: bytes) -> None:
        self.socket.sendall(text)

    def more(self) -> bool:
        """Reads on. False: the other side has closed."""
        self.socket.settimeout(self.seconds)
        try:
            came = self.socket.recv(65536)
        except TimeoutError:
            raise Closed(f"silent for {self.seconds} s after {self.left[-200:]!r}") from None
        except ConnectionError as error:
            raise Closed(f"{error} after {self.left[-200:]!r}") from None
        self.left += came
        return came != b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self.left:
            if not self.more():
                raise Closed(f"closed after {self.left[-200:]!r}")
        taken, self.left = self.left.split(mark, 1)
        return taken

    def exactly(self, count: int) -> bytes:
        while len(self.left) < count:
            if not self.more():
                raise Closed(f"closed within a body, {len(self.left)} of {count} bytes came")
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def head(self) -> Answer:
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, *_ = lines[0].split(" ")
        if not version.startswith("HTTP/1."):
            raise Closed(f"no HTTP: {lines[0][:80]!r}")
        pairs = [line.split(":", 1) for line in lines[1:]]
        answer = Answer(int(status), [(name.lower(), value.strip()) for name, value in pairs])
        self.chunked = answer.header("transfer-encoding") == "chunked"
        return answer

    def answer(self, *, to_head: bool = False, first_event: bool = False) -> Answer:
        """The next answer, whole. `to_head`: none to HEAD has a body. `first_event`: that much is enough of a stream."""
        answer = self.head()
        while answer.status == 100:
            answer = self.head()
        if to_head or answer.status in (204, 304):
            return answer
        if first_event and answer.header("content-type") == "text/event-stream":
            event = next(self.events(), None)
            answer.body = event.data.encode() if event else b""
            return answer
        length = answer.header("content-length")
        if self.chunked:
            while chunk := self.chunk():
                answer.body += chunk
        elif length is not None:
            answer.body = self.exactly(int(length))
        else:
            while self.more():
                pass
            answer.body, self.left = self.left, b""
        return answer

    def chunk(self) -> bytes:
        size = int(self.until(b"\r\n").split(b";")[0], 16)
        data = self.exactly(size)
        self.exactly(2)
        return data

    def is_closed(self, seconds: float = 3.0) -> bool:
        """Whether the other side closes within this time, with nothing more to say."""
        self.seconds = seconds
        try:
            return not self.more()
        except Closed as why:
            return "silent" not in str(why)

    def events(self):
        """The events of a stream, one by one, until it ends."""
        text = b""
        while True:
            while b"\n\n" not in text:
                if not self.chunked:
                    if not self.left and not self.more():
                        return
                    text, self.left = text + self.left, b""
                    continue
                chunk = self.chunk()
                if not chunk:
                    return
                text += chunk
            block, text = text.split(b"\n\n", 1)
            event, lines = Event(), []
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "id":
                    event.id = value
                elif name == "event":
                    event.name = value
                elif name == "data":
                    lines.append(value)
            event.data = "\n".join(lines)
            if event.id is not None or event.name is not None or lines:
                yield event


def request(method: str, target: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Mcp:
    """One client. Each message is sent on a connection of its own, unless one is given."""

    port: int
    token: str = ""
    path: str = "/mcp"
    revision: str = "2025-11-25"
    session: str | None = None
    seconds: float = SECONDS_MAX
    # What it says in `Host`, where that is not the address.
    host: str | None = None
    tls: ssl.SSLContext | None = None
    number: int = 0

    def connect(self) -> Socket:
        return Socket(self.port, self.seconds, self.tls)

    def headers(self, accept: str = "application/json, text/event-stream") -> dict[str, str]:
        headers = {"Host": self.host or f"127.0.0.1:{self.port}", "Accept": accept}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.session:
            headers |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.revision}
        return headers

    def bytes_of(self, message: dict | bytes) -> bytes:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return request("POST", self.path, self.headers() | {"Content-Type": "application/json"}, body)

    def post(self, message: dict | bytes, connection: Socket | None = None) -> Answer:
        """The answer with its body read to the end, also if it is a stream."""
        own = connection or self.connect()
        try:
            try:
                own.send(self.bytes_of(message))
            except ConnectionError:
                pass  # It was answered before it was heard to the end; the answer is what counts.
            return own.answer()
        finally:
            if connection is None:
                own.close()

    def initialize(self, connection: Socket | None = None) -> Answer:
        params = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": {"name": "edge", "version": "1"}}
        answer = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, connection)
        self.session = answer.header("mcp-session-id")
        return answer

    def begin(self) -> "Mcp":
        answer = self.initialize()
        if answer.status != 200 or not self.session:
            raise Closed(f"initialize was answered {answer.status} {answer.body[:200]!r}")
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def ask(self, method: str, params: dict | None = None, connection: Socket | None = None) -> dict:
        """One request, and the message that answers it."""
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params or {}}
        answer = self.post(message, connection)
        if answer.status != 200:
            raise Closed(f"{method} was answered {answer.status} {answer.body[:200]!r}")
        if (answer.header("content-type") or "").startswith("text/event-stream"):
            said = [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: {")]
            return next(one for one in said if one.get("id") == self.number and "method" not in one)
        return answer.json()

    def call(self, tool: str, arguments: dict | None = None, connection: Socket | None = None) -> dict:
        return self.ask("tools/call", {"name": tool, "arguments": arguments or {}}, connection)

    def add(self, connection: Socket | None = None) -> float:
        """A call whose answer is known; how many seconds it took."""
        start = time.monotonic()
        answer = self.call("workshop__add", {"a": self.number, "b": 1}, connection)
        said = answer.get("result", {}).get("structuredContent", {}).get("sum")
        if said != self.number:
            raise Closed(f"{self.number - 1} + 1 is {answer}")
        return time.monotonic() - start

    def open(self, last: str | None = None) -> Socket:
        """A GET stream, its head read."""
        headers = self.headers("text/event-stream") | ({"Last-Event-ID": last} if last else {})
        stream = self.connect()
        stream.send(request("GET", self.path, headers))
        answer = stream.head()
        if answer.status != 200:
            raise Closed(f"GET was answered {answer.status}")
        return stream

    def delete(self) -> int:
        with self.connect() as connection:
            connection.send(request("DELETE", self.path, self.headers()))
            return connection.answer().status


class Pipe:
    """A client of 2024-11-05: one stream, and a place to post to."""

    def __init__(self, port: int, token: str, stream: Socket | None = None):
        self.stream = stream or Socket(port)
        self.stream.send(request("GET", "/sse", Mcp(port, token).headers("text/event-stream")))
        self.stream.head()
        self.events = self.stream.events()
        self.target = next(self.events).data
        self.poster = Mcp(port, token, path=self.target)

    def post(self, message: dict) -> int:
        return self.poster.post(message).status

    def begin(self) -> "Pipe":
        params = {"protocolVersion": "2024-11-05", "capabilities": {}}
        self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self
