"""`braid serve` behind nginx, configured with the very block that README.md gives.

nginx is the system's own, started on loopback as a process in the foreground with a folder of its own. The ports, the certificate and the address of Braid
are put in place of README's; every other line is as it stands there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rawhttp import Closed, Mcp, Socket, request
from readme import CERTIFICATES, blocks
from serving import DEMOS, Braid, Failed, expect, soon

NAME = "mcp.example.com"
INSTALL = "apt-get install --no-install-recommends nginx-light"


def program() -> str:
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not found:
        raise Failed(f"nginx is not installed; on Debian: {INSTALL}")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Nginx:
    """nginx in front of the port of a Braid. Use as a context manager."""

    def __init__(self, upstream: int):
        self.folder = Path(tempfile.mkdtemp(prefix="braid-nginx-"))
        self.port = free_port()
        server = blocks("nginx")[0]
        for there, here in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/ssl/mcp.example.com.pem", str(CERTIFICATES / "localhost.pem")),
            ("/etc/ssl/mcp.example.com.key", str(CERTIFICATES / "localhost.key")),
            ("http://127.0.0.1:8808;", f"http://127.0.0.1:{upstream};"),
        ):
            expect(server.count(there) == 1, f"README's block for nginx has `{there}` once")
            server = server.replace(there, here)
        folders = "".join(
            f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        self.file = self.folder / "nginx.conf"
        self.file.write_text(
            ("user root;\n" if os.geteuid() == 0 else "")
            + f"daemon off;\nworker_processes 1;\npid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            + f"events {{ worker_connections 256; }}\nhttp {{\n    access_log off;\n{folders}{server}}}\n"
        )
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Nginx":
        command = [program(), "-p", str(self.folder), "-c", str(self.file), "-e", str(self.folder / "error.log")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            soon(self._listens, "nginx listens")
        except BaseException:
            said = (self.folder / "error.log").read_text()[-800:]
            self.__exit__()
            raise Failed(f"nginx does not listen: {said}") from None
        return self

    def _listens(self) -> bool:
        expect(self.process.poll() is None, "it has ended")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        # TERM ends it at once, with its workers.
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def stream(client: Mcp, text: bytes) -> Socket:
    connection = client.connect()
    connection.send(text)
    answer = connection.head()
    expect(answer.status == 200, f"a stream is opened: {answer.status}")
    expect(answer.header("content-type") == "text/event-stream", f"as a stream: {answer.headers}")
    return connection


def countdown(client: Mcp, id: int, steps: int) -> Socket:
    params = {"name": "workshop__countdown", "arguments": {"steps": steps, "delay_ms": 200}, "_meta": {"progressToken": "p"}}
    return stream(client, client.bytes_of({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))


def drive(front: Nginx, token: str) -> list[str]:
    tls = ssl.create_default_context(cafile=str(CERTIFICATES / "localhost.pem"))
    client = Mcp(front.port, token, host=NAME, tls=tls).begin()
    client.add()

    # Events arrive one by one while the call runs, not all at its end.
    start, came = time.monotonic(), []
    with countdown(client, 100, 5) as connection:
        for event in connection.events():
            came.append((time.monotonic() - start, event))
    messages = [(at, json.loads(event.data)) for at, event in came if event.data]
    progress = [at for at, one in messages if one.get("method") == "notifications/progress"]
    ended = next(at for at, one in messages if one.get("id") == 100)
    expect(len(progress) >= 4, f"there is progress: {messages}")
    expect(progress[0] < ended - 0.5, f"and it comes before the end: {progress[0]:.2f} s, {ended:.2f} s")
    said = [f"progress after {progress[0]:.1f} s of {ended:.1f} s"]

    # A connection that breaks is taken up again.
    with countdown(client, 101, 8) as connection:
        events = connection.events()
        last = next(event for event in events if "progress" in event.data)
        connection.reset()
    with client.open(last.id) as connection:
        rest = [json.loads(event.data) for event in connection.events() if event.data]
    done = [one.get("params", {}).get("progress") for one in rest if one.get("method") == "notifications/progress"]
    first = json.loads(last.data)["params"]["progress"]
    expect(done == [first + 1 + step for step in range(len(done))], f"nothing is missing, nothing comes twice: {first}, {done}")
    expect(rest[-1].get("id") == 101 and "result" in rest[-1], f"and the answer comes: {rest[-1:]}")
    said.append(f"resumed, {len(done)} events and the answer")

    # What servers say by themselves: a list that this client knows has changed.
    client.ask("resources/list")
    with client.open() as connection:
        events = connection.events()
        next(events)
        client.call("notes__add", {"title": "from nginx", "text": "t"})
        note = json.loads(next(event.data for event in events if event.data))
        expect(note["method"] == "notifications/resources/list_changed", f"a note of the server's: {note}")
    said.append("GET")

    body = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "workshop__echo", "arguments": {"a": "x" * 3_000_000}}}
    answer = client.post(body)
    expect(answer.status == 200 and len(answer.body) > 3_000_000, f"3 MB go there and back: {answer.status}")

    def status(text: bytes) -> int:
        with Socket(front.port, 10, tls) as connection:
            connection.send(text)
            return connection.answer().status

    foreign = client.headers() | {"Host": "evil.example"}
    expect(status(request("GET", "/mcp", foreign)) == 403, "another name is refused")
    expect(status(request("GET", "/mcp", client.headers() | {"Authorization": "Bearer no"})) == 401, "another token is refused")
    expect(client.delete() == 204 and client.delete() == 404, "DELETE ends the session")
    said.append("DELETE")

    with Socket(front.port, 10, tls) as old:
        old.send(request("GET", "/sse", client.headers("text/event-stream")))
        old.head()
        target = next(old.events()).data
        expect(target.startswith("/messages?"), f"old clients are told where to post: {target}")
    said.append("/sse")
    return said


def main() -> int:
    settings = next(block for block in blocks("toml") if "trusted_proxy" in block)
    try:
        with Braid(DEMOS + settings) as braid, Nginx(braid.port) as front:
            print(f"nginx: {', '.join(drive(front, braid.token))}")
    except (Failed, Closed, OSError, subprocess.TimeoutExpired, StopIteration) as why:
        print(f"FAILED nginx: {why!r}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
