"""What stands between: for each proxy how it is configured and started, how it calls tools, and where it listens."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Only what starts and ends programs; the modules of this folder come first.
sys.path.append(str(ROOT / "tests" / "interop"))

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BRAID = Path(os.environ.get("BRAID", TARGET / "release" / "braid"))
# A workspace of its own, and so a target folder of its own, unless one is named for all.
BENCH_TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release"
FLOOR, LOAD, MOCK = (BENCH_TARGET / name for name in ("floor", "load", "mock"))
PEERS = Path(os.environ.get("BENCH_PEERS", ROOT / "target" / "bench-peers"))


@dataclass
class Behind:
    """A server as a proxy's configuration names it: a command or a URL."""

    name: str
    command: list[str] = field(default_factory=list)
    url: str = ""


@dataclass
class Started:
    """How a proxy is started, and how a client reaches it then."""

    command: list[str]
    # What `load` is told of it. Over stdio the command itself is what it is told.
    reach: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    # Read once it listens: a token that it makes itself.
    token: Path | None = None

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token.read_text().strip()}"} if self.token else {}


class Proxy:
    name = ""
    # What clients may speak with it, and what it may speak with servers.
    fronts: tuple[str, ...] = ("http",)
    backs: tuple[str, ...] = ("stdio", "http")
    # Nothing but one server fits behind it.
    single = False
    # Where its endpoint is.
    path = "/mcp"

    def version(self) -> str:
        raise NotImplementedError

    def present(self) -> bool:
        raise NotImplementedError

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        raise NotImplementedError

    def tool(self, servers: list[Behind], server: Behind, tool: str) -> str:
        return f"{server.name}__{tool}"

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}{self.path}"

    def listens(self, port: int) -> list[str]:
        return ["--http", self.url(port)]

    def __str__(self) -> str:
        return self.name


class Floor(Proxy):
    name = "floor"
    fronts = ("http", "stdio")

    def version(self) -> str:
        return "this folder's"

    def present(self) -> bool:
        return FLOOR.exists()

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        door = ["--stdio"] if front == "stdio" else ["--listen", f"127.0.0.1:{port}"]
        named = [word for server in servers for word in ("--server", server.name, server.url or " ".join(server.command))]
        return Started([str(FLOOR), *door, *named], self.listens(port))


class Braid(Proxy):
    """As it is without any option but where it listens: with a token over HTTP."""

    name = "braid"
    fronts = ("http", "stdio")

    def version(self) -> str:
        return first_line([str(BRAID), "--version"]).split()[-1]

    def present(self) -> bool:
        return BRAID.exists()

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        lines = ["[listen]", f'http = ["127.0.0.1:{port}"]', f"token_file = {json.dumps(str(folder / 'token'))}", ""]
        for server in servers:
            lines.append(f"[servers.{server.name}]")
            if server.url:
                lines.append(f"url = {json.dumps(server.url)}")
            else:
                lines += [f"command = {json.dumps(server.command[0])}", f"args = {json.dumps(server.command[1:])}"]
        config = folder / "braid.toml"
        config.write_text("\n".join([*lines, ""]))
        # What it keeps beside its configuration stays in the folder too.
        env = {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder)}
        command = [str(BRAID), "stdio" if front == "stdio" else "serve", "-c", str(config)]
        return Started(command, self.listens(port), env, folder / "token" if front == "http" else None)


class McpProxy(Proxy):
    """`mcp-proxy` of the cargo registry: Rust, TOML, every server in one namespace each."""

    name = "mcp-proxy"
    path = "/"
    pinned = "0.6.0"
    program = PEERS / "cargo" / "bin" / "mcp-proxy"

    def version(self) -> str:
        return self.pinned

    def present(self) -> bool:
        return self.program.exists()

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        lines = ["[proxy]", 'name = "bench"', 'separator = "__"', "[proxy.listen]", 'host = "127.0.0.1"', f"port = {port}"]
        for server in servers:
            lines += ["[[backends]]", f"name = {json.dumps(server.name)}"]
            if server.url:
                lines += ['transport = "http"', f"url = {json.dumps(server.url)}"]
            else:
                lines += ['transport = "stdio"', f"command = {json.dumps(server.command[0])}", f"args = {json.dumps(server.command[1:])}"]
        config = folder / "mcp-proxy.toml"
        config.write_text("\n".join([*lines, ""]))
        return Started([str(self.program), "--config", str(config)], self.listens(port), {"RUST_LOG": "warn"})


class FastMcp(Proxy):
    """`fastmcp run mcp.json` of PyPI: Python."""

    name = "fastmcp"
    fronts = ("http", "stdio")
    pinned = "4.1.2"
    program = PEERS / "python" / "bin" / "fastmcp"

    def version(self) -> str:
        return self.pinned

    def present(self) -> bool:
        return self.program.exists()

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        config = folder / "mcp.json"
        config.write_text(json.dumps({"mcpServers": {server.name: entry(server, "transport", "http") for server in servers}}))
        command = [str(self.program), "run", str(config), "--no-banner", "--log-level", "ERROR", "--transport", front]
        where = [] if front == "stdio" else ["--host", "127.0.0.1", "--port", str(port)]
        return Started([*command, *where], self.listens(port), {"FASTMCP_CHECK_FOR_UPDATES": "off"})

    def tool(self, servers: list[Behind], server: Behind, tool: str) -> str:
        # A server alone keeps its names.
        return tool if len(servers) == 1 else f"{server.name}_{tool}"


class McpHub(Proxy):
    """`mcp-hub` of npm: Node. Clients reach it by HTTP+SSE alone."""

    name = "mcp-hub"
    pinned = "4.2.1"
    program = PEERS / "node" / "node_modules" / ".bin" / "mcp-hub"

    def version(self) -> str:
        return self.pinned

    def present(self) -> bool:
        return self.program.exists()

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        config = folder / "mcp-hub.json"
        config.write_text(json.dumps({"mcpServers": {server.name: entry(server, "type", "http") for server in servers}}))
        kept = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("STATE", "DATA", "CONFIG", "CACHE")}
        return Started([str(self.program), "--port", str(port), "--config", str(config)], ["--sse", self.url(port)], kept)


class Nginx(Proxy):
    """A plain reverse proxy before one HTTP server: what it costs if nobody looks into the messages."""

    name = "nginx"
    backs = ("http",)
    single = True

    def program(self) -> str | None:
        return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")

    def version(self) -> str:
        return first_line([self.program(), "-v"]).rsplit("/", 1)[-1]

    def present(self) -> bool:
        return self.program() is not None

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        authority = servers[0].url.split("/")[2]
        config = folder / "nginx.conf"
        paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(
            f"""daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off; {paths}
    keepalive_requests 100000000; client_max_body_size 16m; client_body_buffer_size 64k;
    upstream server {{ server {authority}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://server; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
}}
"""
        )
        return Started([self.program(), "-p", str(folder), "-c", str(config)], self.listens(port))

    def tool(self, servers: list[Behind], server: Behind, tool: str) -> str:
        return tool


def entry(server: Behind, key: str, http: str) -> dict[str, object]:
    """As clients write it down."""
    if server.url:
        return {"url": server.url, key: http}
    return {"command": server.command[0], "args": server.command[1:]}


def first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def script(folder: Path, started: Started) -> Path:
    """The same start as one word, for who splits command lines on spaces. It replaces itself by the program."""
    path = folder / "start.sh"
    env = " ".join(f"{name}={shlex.quote(value)}" for name, value in started.env.items())
    path.write_text(f"#!/bin/sh\nexec env {env} {shlex.join(started.command)}\n")
    path.chmod(0o755)
    return path


OURS = [Floor(), Braid()]
OTHERS = [McpProxy(), FastMcp(), McpHub(), Nginx()]
