"""A remote server in this process, which says more than it should: in its errors it repeats what it was sent.

The first part of the path says how it behaves; what it was sent is kept, so that the run knows which secrets arrived.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hears(BaseHTTPRequestHandler):
    """Hands what is asked in any way to `heard`, and says nothing of it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.heard(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def do_GET(self) -> None:
        self.heard(b"")

    do_DELETE = do_GET


class Handler(Hears):
    def heard(self, body: bytes) -> None:
        sent = f"{self.command} {self.path}\n{self.headers}"
        self.server.sent.append((self.path.split("/")[1], sent.encode() + body))
        try:
            message = json.loads(body) if body else {}
        except ValueError:
            message = {}
        self.behave(self.path.split("/")[1], sent, message)

    def behave(self, how: str, sent: str, message: dict) -> None:
        begins = message.get("method") in ("initialize", "tools/list") or str(message.get("method")).startswith("notifications/")
        flat = sent.replace("\r", " ").replace("\n", " ")
        if self.command == "DELETE":
            return self.reply(204, b"")
        if how == "moved":
            return self.reply(307, flat.encode(), Location=self.path.replace("/moved/", "/good/"))
        if how == "away":
            return self.reply(307, flat.encode(), Location=f"http://127.0.0.2:9{self.path}")
        if how == "round":
            return self.reply(307, flat.encode(), Location=self.path)
        if how == "lost":
            return self.reply(307, flat.encode(), Location=f"gopher://{flat}")
        if how == "garbled":
            self.wfile.write(f"HTTP/1.1 200 OK\r\nX Y: {flat}\r\n\r\n".encode())
            self.close_connection = True
            return None
        if how == "events":
            body = f"event: endpoint\ndata: http://elsewhere.invalid/?{flat}\n\n" if self.command == "GET" else flat
            return self.reply(200 if self.command == "GET" else 405, body.encode(), "text/event-stream" if self.command == "GET" else "text/plain")
        if how == "page":
            return self.reply(200, f"<html>{flat}</html>".encode(), "text/html")
        # `late500`: the handshake is well, calls are not. `echo500`: nothing is.
        if how.startswith("late") and begins:
            return self.good(message)
        if how[-3:].isdigit():
            return self.reply(int(how[-3:]), flat.encode())
        if how.endswith("words"):
            # What a server knows the best: the value of the one header, first thing.
            return self.reply(500, f"bad key {self.headers.get('Authorization', '')} {flat}".encode())
        if how.endswith("own"):
            # An error of its own, of a request that was well.
            error = {"code": -32000, "message": f"no {self.headers.get('Authorization', '')} {flat}"}
            return self.reply(200 if "id" in message else 202, json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "error": error}).encode(), "application/json")
        if how.endswith("json"):
            error = {"code": -32000, "message": f"no {self.headers.get('Authorization', '')} {flat}", "data": flat}
            return self.reply(500, json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "error": error}).encode(), "application/json")
        if how.endswith("cut"):
            # The 200 characters that are quoted end within the value.
            return self.reply(500, ("x" * 185 + self.headers.get("X-Api-Key", "")).encode())
        return self.good(message)

    def good(self, message: dict) -> None:
        method, number = message.get("method", ""), message.get("id")
        if number is None:
            return self.reply(202 if self.command == "POST" else 405, b"")
        results = {
            "initialize": {"protocolVersion": (message.get("params") or {}).get("protocolVersion"), "capabilities": {"tools": {}}, "serverInfo": {"name": "far", "version": "1"}},
            "tools/list": {"tools": [{"name": "ask", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": "said"}]},
            "ping": {},
        }
        said = {"result": results[method]} if method in results else {"error": {"code": -32601, "message": "no such method"}}
        more = {"Mcp-Session-Id": self.server.session} if method == "initialize" else {}
        self.reply(200, json.dumps({"jsonrpc": "2.0", "id": number} | said).encode(), "application/json", **more)

    def reply(self, status: int, body: bytes, kind: str = "text/plain", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Far(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, session: str):
        super().__init__(("127.0.0.1", 0), Handler)
        self.session = session
        self.sent: list[tuple[str, bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, *_: object) -> None:
        pass
