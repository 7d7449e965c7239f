"""Where is measured: the servers that stand behind, the proxies before them, and `load` before those.

A `Target` is something that `load` can be pointed at. A `Place` says what clients and servers speak and how many servers
there are; opening it starts the servers once for all, and every proxy with them behind it. All of them stay for as long as
their row runs, so that rounds can take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from proxies import LOAD, MOCK, Behind, Proxy, script
from serving import NotServed, Served, free_port

READY_SECONDS_MAX = 60.0
# What a run may take beyond what it was told to.
BEYOND_SECONDS_MAX = 60.0
# Whose time and memory are the servers' own.
EXCLUDED = "mock"
SESSIONS = 8


class Void(Exception):
    """A figure that cannot be had, and why in a few words. One wrong or lost answer is enough."""


@dataclass
class Target:
    reach: list[str]
    tools: list[str]
    headers: dict[str, str] = field(default_factory=dict)
    pids: list[int] = field(default_factory=list)

    def words(self) -> list[str]:
        words = [*self.reach]
        for tool in self.tools:
            words += ["--tool", tool]
        for name, value in self.headers.items():
            words += ["--header", f"{name}: {value}"]
        for pid in self.pids:
            words += ["--pid", str(pid)]
        # Directly there is nothing but the server.
        return [*words, "--exclude", EXCLUDED]


@dataclass(frozen=True)
class Place:
    key: str
    front: str
    back: str
    servers: int
    # The servers know no revision without a handshake: neither do the floor and the other proxies, so all do the same.
    handshake: bool = True

    def __str__(self) -> str:
        front, back = ({"http": "HTTP", "stdio": "stdio"}[one] for one in (self.front, self.back))
        return f"{front} -> {self.servers} {back}"

    def takes(self, proxy: Proxy) -> bool:
        return self.front in proxy.fronts and self.back in proxy.backs and (self.servers == 1 or not proxy.single)


class Scene:
    """A place while it is open: who is there, and who could not be started."""

    def __init__(self, place: Place, folder: Path, stack: ExitStack, tools: int = 0, warm: bool = True):
        self.place, self.folder, self.stack, self.tools, self.warm = place, folder, stack, tools, warm
        self.targets: dict[str, Target] = {}
        self.absent: dict[str, str] = {}
        self.servers = [self.server(number) for number in range(place.servers)]

    def server(self, number: int) -> Behind:
        name = f"s{number}"
        extra = ["--tools", str(self.tools)] if self.tools else []
        extra += ["--legacy-only"] if self.place.handshake else []
        if self.place.back == "stdio":
            return Behind(name, [str(MOCK), "stdio", "--name", name, *extra])
        port = free_port()
        command = [str(MOCK), "http", "--listen", f"127.0.0.1:{port}", "--name", name, *extra]
        self.stack.enter_context(Served(command, port, self.folder / f"{name}.log", environment()))
        return Behind(name, url=f"http://127.0.0.1:{port}/mcp")

    def direct(self) -> None:
        server = self.servers[0]
        reach = ["--http", server.url] if server.url else ["--stdio", " ".join(server.command)]
        self.targets["direct"] = Target(reach, ["work"])

    def proxy(self, proxy: Proxy) -> None:
        folder = self.folder / proxy.name
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        started = proxy.start(folder, self.place.front, port, self.servers)
        tools = [proxy.tool(self.servers, server, "work") for server in self.servers]
        try:
            if self.place.front == "stdio":
                target = Target(["--stdio", str(script(folder, started))], tools)
            else:
                served = Served(started.command, port, folder / "log", environment(started.env), folder)
                self.stack.enter_context(served)
                target = Target(started.reach, tools, started.headers(), [served.process.pid])
            ready(target)
            if self.warm:
                warm(target)
        except (NotServed, Void, OSError) as problem:
            self.absent[proxy.name] = " ".join(str(problem).split())[:300]
            return
        self.targets[proxy.name] = target


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """What programs get of ours: no proxy between, no colours, no settings of other runs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "NO_COLOR": "1", **(more or {})}


def ready(target: Target) -> None:
    """Waits until each tool answers."""
    end = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            run(target, ["--in-flight", "1", "--calls", str(2 * len(target.tools))], 15.0)
            break
        except Void:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def warm(target: Target) -> None:
    """A second of calls, which lets what compiles while it runs do so."""
    sessions = [] if "--stdio" in target.reach else ["--sessions", str(SESSIONS)]
    run(target, ["--in-flight", "32", *sessions, "--seconds", "1"], 1.0)


def run(target: Target, words: list[str], seconds: float) -> dict[str, float]:
    """What `load` found. Wrong and lost answers are an error here, and so is none at all."""
    found = load([*target.words(), *words], seconds)
    if found["wrong"] or found["lost"] or not found["calls"]:
        first = " ".join(str(found.get("first_wrong") or "").split())[:200]
        raise Void(f"{found['wrong']} wrong and {found['lost']} lost beside {found['calls']} right: {first}")
    return found


def idle(target: Target, sessions: int) -> dict[str, float]:
    headers = [word for name, value in target.headers.items() for word in ("--header", f"{name}: {value}")]
    pids = [word for pid in target.pids for word in ("--pid", str(pid))]
    return load(["idle", *target.reach, "--sessions", str(sessions), *pids, "--exclude", EXCLUDED, *headers], 60.0)


def started(command: str, tools: int) -> dict[str, float]:
    """A program on stdio, from its start to a list of so many tools."""
    return load(["start", "--stdio", command, "--tools", str(tools)], 30.0)


def load(words: list[str], seconds: float) -> dict[str, float]:
    try:
        done = subprocess.run([str(LOAD), *words], capture_output=True, text=True, timeout=seconds + BEYOND_SECONDS_MAX, env=environment())
    except subprocess.TimeoutExpired:
        raise Void(f"no end after {seconds + BEYOND_SECONDS_MAX:.0f} s") from None
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise Void(f"load ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}") from None


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name in brackets may hold anything; what follows it is plain.
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def rss_kib(pid: int) -> int:
    total = 0
    for one in tree(pid):
        try:
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if fields["Name"].strip() != EXCLUDED and "VmRSS" in fields:
            total += int(fields["VmRSS"].split()[0])
    return total
