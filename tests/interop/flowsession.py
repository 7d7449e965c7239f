"""One session of a client with a server, directly or through a proxy: how both are started, and what the client saw.

What the clients and the servers of the flows are called, what they speak and how they start is here; what they are asked is in
`flowparts.py` and `eraparts.py`, and what is made of it in `flows.py` and `eras.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import golden
from flowparts import COMPLETE, ELICIT, ROOTS_BEFORE, UPDATED
from flowparts import Did, Event, Outcome, Part, Step, Trace
from names import Exposure
from peers import BRAID, HERE, NODE, NODE_HOME, PYTHON_1, PYTHON_2, Peer, node_package, script
from raw import Silence, environment
from record import bearer, url_of, write_config
from serving import NotServed, Served, free_port
from spans import parse, splice
from wires import TRANSPORTS, Reach

EXAMPLES = (HERE / "../../target/debug/examples").resolve()
SERVERS = ("everything", "quirky", "fastmcp", "rmcp")
CLIENTS = {
    "python": [PYTHON_1, str(HERE / "clients" / "flows_py.py")],
    "typescript": [NODE, str(NODE_HOME / "flows_ts.mjs")],
    "rmcp": [str(EXAMPLES / "flows_rmcp_client")],
    # No SDK: to the token.
    "raw": [],
}
# The clients of `eras.py`: an SDK, and what it wants to speak.
PROGRAMS = {
    "py1": CLIENTS["python"],
    "py2": [PYTHON_2, str(HERE / "clients" / "flows_py2.py")],
    "ts1": CLIENTS["typescript"],
    "ts2": [NODE, str(NODE_HOME / "flows_ts2.mjs")],
    "rmcp": CLIENTS["rmcp"],
}
MODES = ("legacy", "auto", "modern")
CLIENTS |= {f"{sdk}-{mode}": program for sdk, program in PROGRAMS.items() for mode in MODES}
STAND_IN = [sys.executable, str(HERE / "standin.py")]
# What each peer speaks. The server of exact bytes has a front of its own where it is not on stdio.
SPOKEN = {
    "servers": {"everything": TRANSPORTS, "quirky": TRANSPORTS, "fastmcp": TRANSPORTS, "rmcp": ("stdio", "http")},
    "clients": {"python": TRANSPORTS, "typescript": TRANSPORTS, "rmcp": ("stdio", "http"), "raw": TRANSPORTS},
}
SESSION_SECONDS_MAX = 90


def server_command(server: str, transport: str = "stdio") -> list[str]:
    """`{port}` stands for the port, where there is one."""
    spoken = [] if transport == "stdio" else [transport, "{port}"]
    match server:
        case "everything":
            return node_package("server-everything", {"http": "streamableHttp"}.get(transport, transport))
        case "quirky":
            return script(PYTHON_1, "quirky_flows.py")
        case "fastmcp" | "py1-legacy":
            return script(PYTHON_1, "fastmcp_flows.py", *spoken)
        case "py2-legacy" | "py2-modern":
            return script(PYTHON_2, "py2_flows.py", *spoken)
        case "ts1-legacy":
            return [NODE, str(NODE_HOME / "ts1_flows.mjs"), *spoken]
        case "ts2-legacy":
            return [NODE, str(NODE_HOME / "ts2_flows.mjs"), *spoken]
        case "ts2-modern":
            return [NODE, str(NODE_HOME / "ts2_flows.mjs"), *(spoken or ["stdio"]), "modern"]
    return [str(EXAMPLES / "flows_rmcp_server"), *spoken[1:], *(["modern"] if server == "rmcp-modern" else [])]


def tapped(server: str, work: Path) -> list[str]:
    return [*script(PYTHON_1, "tap.py"), str(work / "wire.log"), *server_command(server)]


def peer(server: str) -> Peer:
    """The server with a tap before it, so that it shows what the server heard."""
    return Peer(server, lambda work: tapped(server, work), lambda work: [])


def listening(server: str, transport: str, work: Path, env: dict[str, str]) -> tuple[Served, Reach]:
    """The same over HTTP: to be started, and where it is then."""
    port = free_port()
    if server == "quirky":
        command = script(PYTHON_1, "front.py", transport, str(port), *tapped(server, work))
    else:
        command = script(PYTHON_1, "tap_http.py", str(work / "wire.log"), str(port), *server_command(server, transport))
    return Served(command, port, work / "server.log", environment(env), work), Reach(url=url_of(port, transport), transport=transport)


# --- one session -----------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What one client saw of one server on one side."""

    tools: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    fault: str = ""
    # The revision that the client says it speaks.
    negotiated: str = ""
    # What passed at the server.
    wire: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Way:
    """How a client reaches a server: directly where the exposure has no key, else through a proxy."""

    exposure: Exposure
    # How the client speaks, and how the servers are reached. Directly they are the same.
    down: str = "stdio"
    up: str = "stdio"
    sharing: str = "session"
    proxy: list[str] = field(default_factory=lambda: BRAID)
    env: dict[str, str] = field(default_factory=dict)
    # The servers behind Braid; none: all that speak so.
    behind: tuple[str, ...] = ()
    # More lines for each server in the configuration.
    more: tuple[str, ...] = ()

    def serve(self, config: Path, port: int) -> list[str]:
        """A stand-in speaks stdio alone and gets a front."""
        if self.proxy is STAND_IN:
            return script(PYTHON_1, "front.py", self.down, str(port), *self.proxy, "stdio", "--config", str(config))
        return [*self.proxy, "serve", "--config", str(config)]

    @property
    def over_http(self) -> bool:
        """Whether messages travel on more than one stream, whose order is nobody's promise."""
        return "http" in (self.down, self.up)


def exposed(step: Step, exposure: Exposure) -> Step:
    step = dict(step)
    if step.get("params") is not None:
        step["params"] = json.loads(exposure.request(step["method"], json.dumps(step["params"])))
    if "until" in step:
        kind = step["method"].split("/")[0]
        step["until"] = exposure.uri(step["until"]) if kind == "resources" else exposure.name(kind, step["until"])
    if step["do"] in ("watch", "unwatch"):
        step["uris"] = [exposure.uri(uri) for uri in step["uris"]]
    return step


def session(client: str, server: str, parts: list[Part], folder: Path, way: Way, ready: list[str]) -> Seen:
    """Runs a client through all parts, once these tools are listed."""
    exposure = way.exposure
    with ExitStack() as stack:
        try:
            works, reach = reached(server, folder, way, stack)
        except NotServed as fault:
            return Seen(fault=str(fault))
        target = {
            **target_of(reach, way, folder if exposure.key else works[server]),
            "mode": client.rpartition("-")[2] if client.endswith(MODES) else "legacy",
            "ready": [exposure.name("tools", name) for name in ready],
            "parts": [{"name": f"{part.flow}: {part.name}", "steps": [exposed(step, exposure) for step in part.steps]} for part in parts],
        }
        (folder / "target.json").write_text(json.dumps(target, indent=1))
        seen = golden_session(target) if client == "raw" else sdk_session(client, target, parts, folder)
    wire = works[server] / "wire.log"
    lines = wire.read_text("utf-8", "surrogateescape").splitlines() if wire.exists() else []
    seen.wire = lines
    for part, trace in zip(parts, seen.traces):
        trace.wire = lines
        for step, did in zip(part.steps, trace.steps):
            did.step = step
            unexpose(did, exposure)
    seen.tools = [original for name in seen.tools if (original := bare_name(name, exposure)) is not None]
    return seen


def target_of(reach: Reach, way: Way, cwd: Path) -> dict:
    return {"env": environment(way.env), "cwd": str(cwd), "roots": ROOTS_BEFORE, "mode": "legacy", **vars(reach)}


def reached(server: str, folder: Path, way: Way, stack: ExitStack) -> tuple[dict[str, Path], Reach]:
    """Starts what listens: the servers over HTTP, Braid before clients over HTTP. The work folders, and where the client goes."""
    shutil.rmtree(folder, ignore_errors=True)
    behind = list(way.behind) or [key for key in SERVERS if way.up in SPOKEN["servers"][key]] if way.exposure.key else [server]
    works = {key: folder / key for key in behind}
    reaches: dict[str, Reach] = {}
    for key, work in works.items():
        work.mkdir(parents=True)
        if way.up != "stdio":
            # Directly, a client that trips over odd shapes of a stream is not what is tried.
            served, reaches[key] = listening(key, way.up, work, {} if way.exposure.key else {"FRONT": "plain"})
            stack.enter_context(served)
    if not way.exposure.key:
        return works, reaches.get(server) or Reach(peer(server).command(works[server]))
    port = 0 if way.down == "stdio" else free_port()
    # On stdio there is one client, so each server is its own anyway.
    more = [*way.more, *([] if (way.down, way.sharing) == ("stdio", "session") else [f'sharing = "{way.sharing}"'])]
    config = write_config(folder, [peer(key) for key in behind], works, reaches, port, more)
    if not port:
        return works, Reach([*way.proxy, "stdio", "--config", str(config)])
    stack.enter_context(Served(way.serve(config, port), port, folder / "braid.log", environment(way.env), folder))
    return works, Reach(url=url_of(port, way.down), transport=way.down, headers=bearer(folder))


def golden_session(target: dict) -> Seen:
    try:
        return Seen(*golden.carry_out(target))
    except Silence as silence:
        return Seen(fault=str(silence))


def sdk_session(client: str, target: dict, parts: list[Part], folder: Path) -> Seen:
    with open(folder / "client-stderr.txt", "wb") as errlog:
        process = subprocess.Popen(
            CLIENTS[client], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errlog, env=environment(), cwd=folder, start_new_session=True
        )
        try:
            out, _ = process.communicate(json.dumps(target).encode(), SESSION_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Seen(fault=f"the client did not end in {SESSION_SECONDS_MAX} s")
    line = next((line for line in out.splitlines() if line.startswith(b"{")), None)
    if line is None:
        return Seen(fault=f"the client ended without a report; {(folder / 'client-stderr.txt').read_text()[-400:]}")
    (folder / "report.json").write_bytes(line)
    report = json.loads(line)
    if report.get("fault"):
        return Seen(fault=report["fault"])
    return Seen(report["tools"], [trace_of(part) for part in report["parts"]], negotiated=report.get("negotiated") or "")


def compact(value: object) -> str:
    # SDK models have an order of members of their own; the order on the wire is the raw client's business.
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def trace_of(report: dict) -> Trace:
    trace = Trace(heard=report["heard"], fault=report["fault"] or "")
    for done in report["steps"]:
        outcome = done["outcome"] or {}
        kind = next((kind for kind in ("result", "error", "fault", "names") if kind in outcome), "")
        events = [event_of(event) for event in done["events"]]
        trace.steps.append(Did({}, Outcome(kind, compact(outcome[kind]) if kind else "", outcome.get("handed_over", 0)), events))
    return trace


def event_of(event: dict) -> Event:
    if "answer" in event:
        return Event("answer", late=event["late"])
    kind = "ask" if "ask" in event else "note"
    return Event(kind, event[kind], "" if event["params"] is None else compact(event["params"]))


def bare_name(name: str, exposure: Exposure) -> str | None:
    """The server's own name; none where the name is another server's."""
    return name.removeprefix(exposure.name_prefix) if exposure.owns_name(name) else None


def bare_uri(uri: str, exposure: Exposure) -> str | None:
    prefix = f"{exposure.uri_prefix}+" if exposure.key else ""
    return uri.removeprefix(prefix) if uri.startswith(prefix) else None


def unexpose(did: Did, exposure: Exposure) -> None:
    """Puts lists of names, the URIs of updates and completed ids into the server's own words; drops those of other servers."""
    if did.outcome.kind == "names":
        bare = bare_uri if did.step["method"].startswith("resources/") else bare_name
        names = [original for name in json.loads(did.outcome.text) if (original := bare(name, exposure)) is not None]
        did.outcome.text = json.dumps(names)
    if not exposure.key:
        return
    kept = []
    for event in did.events:
        mark = {UPDATED: f'"{exposure.uri_prefix}+', COMPLETE: f'"{exposure.key}:'}.get(event.method)
        node = parse(event.text).get("uri" if event.method == UPDATED else "elicitationId") if mark and event.text else None
        if node is not None and not node.text.startswith(mark):
            continue
        if node is not None:
            event.text = splice(event.text, [(node.start + 1, node.start + len(mark), "")])
        kept.append(event)
    did.events = kept


def named(trace: Trace, server: str) -> str:
    """Whether every elicitation says which server asks."""
    for event in trace.events(ELICIT):
        message = parse(event.text).get("message") if event.text else None
        if message is not None and not (message.string() or "").startswith(f"[{server}] "):
            return f"an elicitation that does not say who asks: {event.text[:200]}"
    return ""


def aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
