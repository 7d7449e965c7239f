"""What a session without an SDK speaks over: stdin and stdout of a process, Streamable HTTP, or HTTP+SSE.

A `Wire` sends one message and puts every message that arrives into `lines`, as the bytes that arrived; `None` there means
that nothing can come any more. Requests leave in the order in which they are sent. Nothing here looks at a message beyond
whether it is a request.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

TRANSPORTS = ("stdio", "http", "sse")

STDERR_BYTES_MAX = 64 * 1024
POST_SECONDS_MAX = 30.0
# A server may be silent on a stream for as long as it has nothing to say; a session does not last longer.
STREAM_SECONDS_MAX = 600.0
RESUMES_MAX = 50
RETRY_SECONDS = 0.3
LEAVE_SECONDS_MAX = 5.0


class Broken(Exception):
    """A message could not be sent; says why."""


@dataclass(frozen=True)
class Reach:
    """How a server is reached: a command over stdio, else a URL."""

    command: list[str] = field(default_factory=list)
    url: str = ""
    transport: str = "stdio"
    headers: dict[str, str] = field(default_factory=dict)


class Wire:
    def __init__(self) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue()

    def send(self, text: str) -> None:
        raise NotImplementedError

    def ready(self) -> None:
        """The client has said that it is ready."""

    def gone(self) -> bool:
        """Whether nobody is there any more."""
        raise NotImplementedError

    def last_words(self) -> str:
        raise NotImplementedError

    def close(self) -> int | None:
        """Leaves as a client does. The exit code, where there is one; none where it had to be killed."""
        raise NotImplementedError


def open_wire(reach: Reach, env: dict[str, str], cwd: Path) -> Wire:
    match reach.transport:
        case "http":
            return HttpWire(reach.url, reach.headers)
        case "sse":
            return SseWire(reach.url, reach.headers)
    return StdioWire(reach.command, env, cwd)


class StdioWire(Wire):
    def __init__(self, command: list[str], env: dict[str, str], cwd: Path):
        super().__init__()
        self.stderr = bytearray()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        for read in (self._read_lines, self._read_stderr):
            threading.Thread(target=read, daemon=True).start()

    def _read_lines(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _read_stderr(self) -> None:
        for line in self.process.stderr:
            self.stderr += line
            del self.stderr[:-STDERR_BYTES_MAX]

    def send(self, text: str) -> None:
        try:
            self.process.stdin.write(text.encode("utf-8", "surrogateescape") + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Broken(str(error)) from error

    def gone(self) -> bool:
        return self.process.poll() is not None

    def last_words(self) -> str:
        code = self.process.poll()
        state = "the process runs" if code is None else f"the process ended with {code}"
        return f"{state}; stderr: {bytes(self.stderr[-600:]).decode('utf-8', 'replace')!r}"

    def close(self) -> int | None:
        """Closes stdin, waits, then ends the process group."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            code = self.process.wait(LEAVE_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        return code


class Events:
    """Server-sent events out of a response: fields by the rules of HTML, lines ended by CR, LF or both."""

    def __init__(self, response: http.client.HTTPResponse):
        self.response = response
        self.last_id: str | None = None
        self.retry: float | None = None

    def _lines(self):
        held, first, after_cr = b"", True, False
        while chunk := self.response.read1(65536):
            if after_cr:
                # The second half of a CRLF.
                chunk = chunk.removeprefix(b"\n")
            after_cr = chunk.endswith(b"\r") if chunk else after_cr
            held += chunk
            if first:
                held = held.removeprefix(b"\xef\xbb\xbf")
            first = False
            *done, held = re.split(rb"\r\n|\n|\r", held)
            yield from done

    def __iter__(self):
        kind, data = b"", []
        for line in self._lines():
            if not line:
                if data:
                    yield kind.decode(), b"\n".join(data)
                kind, data = b"", []
                continue
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            match name:
                case b"data":
                    data.append(value)
                case b"event":
                    kind = value
                case b"id":
                    self.last_id = value.decode()
                case b"retry" if value.isdigit():
                    self.retry = int(value) / 1000


class Web(Wire):
    """What the two transports over HTTP share: requests with a deadline, and streams that end with the session."""

    def __init__(self, url: str, headers: dict[str, str]):
        super().__init__()
        self.url, self.headers = url, headers
        self.open: set[http.client.HTTPConnection] = set()
        self.closing = False
        self.words: list[str] = []

    def begin(self, method: str, url: str, body: bytes | None, extra: dict[str, str], patience: float) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=patience)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, path, body, self.headers | extra)
        except OSError as error:
            raise Broken(str(error)) from error
        self.open.add(connection)
        return connection

    def finish(self, connection: http.client.HTTPConnection) -> None:
        self.open.discard(connection)
        connection.close()

    def remark(self, words: str) -> None:
        self.words = [*self.words[-5:], words[:300]]

    def gone(self) -> bool:
        return False

    def last_words(self) -> str:
        return f"over HTTP; {self.words}"

    def hang_up(self) -> None:
        self.closing = True
        self.cut()
        self.lines.put(None)

    def cut(self) -> None:
        """Loses every connection, as a client does that changes networks."""
        for connection in list(self.open):
            try:
                # Wakes the thread that reads from it; it closes the connection.
                connection.sock.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                pass

    def posted(self, url: str, text: bytes, extra: dict[str, str]) -> None:
        """Something that has no answer."""
        connection = self.begin("POST", url, text, extra | {"Content-Type": "application/json"}, POST_SECONDS_MAX)
        try:
            response = connection.getresponse()
            body = response.read()
        except OSError as error:
            raise Broken(str(error)) from error
        finally:
            self.finish(connection)
        if response.status not in (200, 202, 204):
            raise Broken(f"HTTP {response.status} {body[:300]!r}")


def standing(message: dict) -> dict[str, str]:
    """The headers of a request that needs no session (2026-07-28, basic/transports/streamable-http, Standard Headers)."""
    params = message.get("params") or {}
    revision = (params.get("_meta") or {}).get("io.modelcontextprotocol/protocolVersion")
    if revision is None:
        return {}
    named = params.get({"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}.get(message["method"]))
    return {"MCP-Protocol-Version": revision, "Mcp-Method": message["method"]} | ({} if named is None else {"Mcp-Name": header_text(named)})


def header_text(text: str) -> str:
    """A header's value: as it is where it can be, and otherwise in base64 between marks."""
    plain = text.isascii() and text.isprintable() and text.strip() == text and not text.startswith("=?base64?")
    return text if plain else f"=?base64?{base64.b64encode(text.encode()).decode()}?="


class HttpWire(Web):
    """Streamable HTTP: every request is a POST with a stream of its own; beside them one GET."""

    def __init__(self, url: str, headers: dict[str, str]):
        super().__init__(url, headers)
        self.session: dict[str, str] = {}
        # How often a stream was taken up again before its answer was there.
        self.resumed = 0

    def send(self, text: str) -> None:
        body = text.encode("utf-8", "surrogateescape")
        message = json.loads(body.decode("utf-8", "replace"))
        extra = self.session | standing(message) | {"Accept": "application/json, text/event-stream"}
        if "id" not in message or "method" not in message:
            self.posted(self.url, body, extra)
            return
        connection = self.begin("POST", self.url, body, extra | {"Content-Type": "application/json"}, STREAM_SECONDS_MAX)
        read = lambda: self._answered(connection, message)
        threading.Thread(target=read, daemon=True).start()

    def _answered(self, connection: http.client.HTTPConnection, request: dict) -> None:
        try:
            response = connection.getresponse()
            if request["method"] == "initialize" and (session := response.headers.get("Mcp-Session-Id")):
                self.session["Mcp-Session-Id"] = session
            if response.headers.get_content_type() == "text/event-stream":
                self._streamed(connection, response, request)
                return
            body = response.read()
            self._arrived(request, body if response.status == 200 or body[:1] == b"{" else f"HTTP {response.status} {body[:300]!r}".encode())
        except (Broken, OSError, http.client.HTTPException, AttributeError, ValueError) as error:
            if not self.closing:
                self.remark(f"{request['method']}: {error!r}")
        finally:
            self.finish(connection)

    def _streamed(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, request: dict) -> None:
        """Reads up to the answer, and goes on with a GET where the connection ends before."""
        last_id, retry = None, None
        for _ in range(RESUMES_MAX):
            events = Events(response)
            try:
                for _, data in events:
                    if data:
                        self._arrived(request, data)
                    if self._answers(request, data):
                        return
            except (OSError, http.client.HTTPException, AttributeError) as error:
                self.remark(f"{request['method']}: {error!r}")
            last_id, retry = events.last_id or last_id, events.retry if events.retry is not None else retry
            if last_id is None or self.closing:
                break
            time.sleep(RETRY_SECONDS if retry is None else retry)
            self.resumed += 1
            extra = self.session | {"Accept": "text/event-stream", "Last-Event-ID": last_id}
            connection = self.begin("GET", self.url, None, extra, STREAM_SECONDS_MAX)
            response = connection.getresponse()
            if response.status != 200:
                break
        self.remark(f"{request['method']}: the stream ended before its answer")

    @staticmethod
    def _answers(request: dict, data: bytes) -> bool:
        try:
            message = json.loads(data.decode("utf-8", "replace"))
        except ValueError:
            return False
        return "method" not in message and message.get("id") == request["id"]

    def _arrived(self, request: dict, data: bytes) -> None:
        if request["method"] == "initialize":
            agreed = re.search(rb'"protocolVersion"\s*:\s*"([^"]*)"', data)
            if agreed:
                self.session["MCP-Protocol-Version"] = agreed[1].decode()
        self.lines.put(data)

    def ready(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """The stream beside the requests, opened again where the server closes it."""
        last_id, retry = None, None
        for _ in range(RESUMES_MAX):
            try:
                extra = self.session | {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
                connection = self.begin("GET", self.url, None, extra, STREAM_SECONDS_MAX)
                response = connection.getresponse()
                if response.status != 200:
                    self.remark(f"GET: HTTP {response.status}")
                    self.finish(connection)
                    return
                events = Events(response)
                for _, data in events:
                    if data:
                        self.lines.put(data)
                last_id = events.last_id or last_id
                retry = events.retry if events.retry is not None else retry
                self.finish(connection)
            except (Broken, OSError, http.client.HTTPException, AttributeError, ValueError) as error:
                self.remark(f"GET: {error!r}")
            if self.closing:
                return
            time.sleep(RETRY_SECONDS if retry is None else retry)

    def close(self) -> int | None:
        if "Mcp-Session-Id" in self.session and not self.closing:
            try:
                connection = self.begin("DELETE", self.url, None, self.session, POST_SECONDS_MAX)
                connection.getresponse().read()
                self.finish(connection)
            except (Broken, OSError, http.client.HTTPException) as error:
                self.remark(f"DELETE: {error!r}")
        self.hang_up()
        return 0


class SseWire(Web):
    """HTTP+SSE: one stream for all that arrives, and a URL to post to, which its first event names."""

    def __init__(self, url: str, headers: dict[str, str]):
        super().__init__(url, headers)
        self.endpoint: queue.Queue[str] = queue.Queue()
        connection = self.begin("GET", url, None, {"Accept": "text/event-stream"}, STREAM_SECONDS_MAX)
        threading.Thread(target=lambda: self._read(connection), daemon=True).start()
        try:
            self.post = urljoin(url, self.endpoint.get(timeout=POST_SECONDS_MAX))
        except queue.Empty:
            raise Broken(f"no endpoint: {self.words}") from None

    def _read(self, connection: http.client.HTTPConnection) -> None:
        try:
            response = connection.getresponse()
            if response.status != 200:
                self.remark(f"GET: HTTP {response.status} {response.read()[:200]!r}")
            for kind, data in Events(response):
                if kind == "endpoint":
                    self.endpoint.put(data.decode())
                else:
                    self.lines.put(data)
        except (OSError, http.client.HTTPException, AttributeError, ValueError) as error:
            self.remark(f"GET: {error!r}")
        finally:
            self.finish(connection)
            self.lines.put(None)

    def send(self, text: str) -> None:
        self.posted(self.post, text.encode("utf-8", "surrogateescape"), {})

    def close(self) -> int | None:
        self.hang_up()
        return 0
