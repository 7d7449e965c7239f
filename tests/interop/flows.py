#!/usr/bin/env python3
"""The table of the back-flows: does everything a server does toward its client arrive through Braid as it does directly?

    BRAID=path tests/interop/flows.py [--only NAME]... [--json] [--direct] [--at-least N] [--self-test]

Eight flows × four servers × four clients. Every cell is tried twice in this run, directly and with Braid between, all four
servers behind one Braid. `ok`: it works on both sides and the client saw the same, but for names, URIs, ids and the words
that say which server asks. `-`: it does not work directly, so the peer lacks it. `FAIL`: it works directly and not through
Braid. `--only` takes a flow, a server, a client or `client:server`, several times. `--direct` runs direct against direct,
`--self-test` checks that the table finds what a stand-in loses. The exit code is
1 when a cell fails, or when fewer than `--at-least` cells work: a peer that lost a flow must not pass for one that lacks it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import golden
from flowparts import COMPLETE, ELICIT, FLOWS, LEVELS, LIST_CHANGED, MESSAGE, PROGRESS, ROOTS_BEFORE, UPDATED
from flowparts import Did, Event, Outcome, Part, Step, Trace, parts_of
from names import Exposure
from peers import BRAID, HERE, HOME, NODE, NODE_HOME, PYTHON_1, Peer, node_package, script
from raw import Silence, environment
from record import install_scripts, write_config
from spans import Node, clip, dense, differences, parse, splice
from standin import FLOW_LOSSES

EXAMPLES = (HERE / "../../target/debug/examples").resolve()
SERVERS = ("everything", "quirky", "fastmcp", "rmcp")
CLIENTS = {
    "python": [PYTHON_1, str(HERE / "clients" / "flows_py.py")],
    "typescript": [NODE, str(NODE_HOME / "flows_ts.mjs")],
    "rmcp": [str(EXAMPLES / "flows_rmcp_client")],
    # No SDK: to the token.
    "raw": [],
}
AT_ONCE = 2
SESSION_SECONDS_MAX = 150
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DETAILS_MAX = 4


def server_command(server: str) -> list[str]:
    match server:
        case "everything":
            return node_package("server-everything", "stdio")
        case "quirky":
            return script(PYTHON_1, "quirky_flows.py")
        case "fastmcp":
            return script(PYTHON_1, "fastmcp_flows.py")
    return [str(EXAMPLES / "flows_rmcp_server")]


def peer(server: str) -> Peer:
    """The server with a tap before it, so that it shows what the server heard."""
    return Peer(server, lambda work: [PYTHON_1, str(HERE / "servers" / "tap.py"), str(work / "wire.log"), *server_command(server)], lambda work: [])


# --- one session -----------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What one client saw of one server on one side."""

    tools: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    fault: str = ""


@dataclass(frozen=True)
class Way:
    """How a client reaches a server: directly where the exposure has no key, else through a proxy."""

    exposure: Exposure
    proxy: list[str] = field(default_factory=lambda: BRAID)
    env: dict[str, str] = field(default_factory=dict)


def exposed(step: Step, exposure: Exposure) -> Step:
    step = dict(step)
    if step.get("params") is not None:
        step["params"] = json.loads(exposure.request(step["method"], json.dumps(step["params"])))
    if "until" in step:
        kind = step["method"].split("/")[0]
        step["until"] = exposure.uri(step["until"]) if kind == "resources" else exposure.name(kind, step["until"])
    return step


def session(client: str, server: str, parts: list[Part], folder: Path, way: Way, ready: list[str]) -> Seen:
    """Runs a client through all parts, once these tools are listed."""
    exposure = way.exposure
    shutil.rmtree(folder, ignore_errors=True)
    works = {key: folder / key for key in (SERVERS if exposure.key else [server])}
    for work in works.values():
        work.mkdir(parents=True)
    if exposure.key:
        command, cwd = [*way.proxy, "stdio", "--config", str(write_config(folder, [peer(key) for key in works], works))], folder
    else:
        command, cwd = peer(server).command(works[server]), works[server]
    target = {
        "command": command,
        "env": environment(way.env),
        "cwd": str(cwd),
        "roots": ROOTS_BEFORE,
        "ready": [exposure.name("tools", name) for name in ready],
        "parts": [{"name": f"{part.flow}: {part.name}", "steps": [exposed(step, exposure) for step in part.steps]} for part in parts],
    }
    (folder / "target.json").write_text(json.dumps(target, indent=1))
    seen = golden_session(target) if client == "raw" else sdk_session(client, target, parts, folder)
    wire = works[server] / "wire.log"
    lines = wire.read_text("utf-8", "surrogateescape").splitlines() if wire.exists() else []
    for part, trace in zip(parts, seen.traces):
        trace.wire = lines
        for step, did in zip(part.steps, trace.steps):
            did.step = step
            unexpose(did, exposure)
    seen.tools = [original for name in seen.tools if (original := bare_name(name, exposure)) is not None]
    return seen


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
    return Seen(report["tools"], [trace_of(part) for part in report["parts"]])


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
        bare = bare_uri if did.step["method"] == "resources/list" else bare_name
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


# --- comparing -------------------------------------------------------------------------------------------------------

Item = tuple[str, str]


def sequence(part: Part, trace: Trace, exposure: Exposure, server: str, through_braid: bool) -> list[Item]:
    """What is compared of a part: what came, in order, each as a word for what it is and a text."""
    items: list[Item] = []
    lowest = 0
    for did in trace.steps:
        method = did.step.get("method", "")
        if method == "logging/setLevel":
            lowest = LEVELS.index(did.step["params"]["level"])
        for event in did.events:
            if counts(part, event, 0 if through_braid else lowest):
                items.append((f"{event.kind} {event.method}".strip(), event_text(event, exposure, server, through_braid)))
        outcome = did.outcome
        if outcome.kind:
            text = outcome.text
            if not through_braid and outcome.kind in ("result", "error"):
                text = exposure.result(method if outcome.kind == "result" else "error", text)
            if outcome.kind == "error" and through_braid:
                text = without_server(text, server, "data", "elicitations", "*")
            items.append((f"{outcome.kind} of {method or did.step['do']}", text))
    if part.loose:
        # Outcomes by themselves, then what came in between.
        items = [item for item in items if " of " in item[0]] + [item for item in items if item[0].startswith(("note", "ask"))]
    return items


def counts(part: Part, event: Event, lowest: int) -> bool:
    """Whether a message is about this part: others of the server, and those of other servers, may come at any time."""
    if event.kind == "answer":
        return not event.late
    if event.kind == "ask":
        return event.method not in ("ping", "roots/list")
    if event.method == PROGRESS:
        return part.flow == "progress"
    if event.method == MESSAGE:
        # What is said about roots follows a question that may come at any time.
        of_roots = "Roots updated" in event.text or "roots now" in event.text
        if part.flow != ("roots" if of_roots else "log") or part.own_log not in event.text:
            return False
        level = parse(event.text).get("level")
        return level is None or level.string() not in LEVELS or LEVELS.index(level.string()) >= lowest
    return event.method not in LIST_CHANGED.values()


def event_text(event: Event, exposure: Exposure, server: str, through_braid: bool) -> str:
    if not event.text:
        return ""
    text = event.text
    tree = parse(text)
    if event.method == PROGRESS:
        return splice(text, [(node.start, node.end, '"T"') for node in tree.each("progressToken")])
    if event.method == "notifications/cancelled":
        return splice(text, [(node.start, node.end, '"I"') for node in tree.each("requestId")])
    if event.kind == "ask":
        # Under its own token a server would hear of progress with its ask.
        text = splice(text, [(node.start, node.end, '"T"') for node in tree.each("_meta", "progressToken")])
    if through_braid:
        return without_server(text, server) if event.method == ELICIT else text
    # The URIs of updates are in the server's own words on both sides already.
    return text if event.method == UPDATED else exposure.result(event.method, text)


def without_server(text: str, server: str, *place: str) -> str:
    """Cuts the words that say which server asks, and what keeps its ids apart from those of others."""
    found = parse(text).each(*place)
    marks = [(node, f"[{server}] ") for at in found for node in at.each("message")]
    marks += [(node, f"{server}:") for at in found for node in at.each("elicitationId")]
    return splice(text, [(node.start + 1, node.start + 1 + len(mark), "") for node, mark in marks if node.text[1:].startswith(mark)])


def named(trace: Trace, server: str) -> str:
    """Whether every elicitation says which server asks."""
    for event in trace.events(ELICIT):
        message = parse(event.text).get("message") if event.text else None
        if message is not None and not (message.string() or "").startswith(f"[{server}] "):
            return f"an elicitation that does not say who asks: {event.text[:200]}"
    return ""


def tagged(expected: Node, seen: Node, server: str) -> str:
    """A log message's logger may say which server speaks, around the server's own words."""
    mine, other = expected.get("logger"), seen.get("logger")
    words = (other.string() or "") if other else ""
    if other is None or server not in words or (mine is not None and (mine.string() or "") not in words):
        return expected.text
    if mine is not None:
        return splice(expected.text, [(mine.start, mine.end, other.text)])
    at = next(index for index, (key, _) in enumerate(seen.members()) if key == "logger")
    members = [f"{key.text}:{item.text}" for key, item in zip(expected.keys, expected.items)]
    return "{" + ",".join([*members[:at], f'"logger":{other.text}', *members[at:]]) + "}"


def compared(part: Part, server: str, left: Trace, right: Trace, exposure: Exposure) -> list[str]:
    """Where what a client saw on the two sides differs."""
    mine = sequence(part, left, exposure, server, False)
    theirs = sequence(part, right, exposure, server, bool(exposure.key))
    found = []
    for (word, expected), (other, seen) in zip(mine, theirs):
        if word != other:
            break
        expected, seen = UUID.sub("~", expected), UUID.sub("~", seen)
        if expected == seen:
            continue
        a, b = parse(expected or "null"), parse(seen or "null")
        if word == f"note {MESSAGE}" and exposure.key:
            a = parse(tagged(a, b, server))
        if dense(a) != dense(b):
            found += [f"{word}: {difference}" for difference in differences(a, b)]
    if [word for word, _ in mine] != [word for word, _ in theirs]:
        found.insert(0, f"directly {[word for word, _ in mine]}, through Braid {[word for word, _ in theirs]}")
    return found


# --- cells -----------------------------------------------------------------------------------------------------------


@dataclass
class Tried:
    """One part: `works`, `lacks` or `FAILS`, and why."""

    name: str
    verdict: str
    why: list[str] = field(default_factory=list)


@dataclass
class Cell:
    client: str
    server: str
    flow: str
    parts: list[Tried]

    @property
    def verdict(self) -> str:
        verdicts = {part.verdict for part in self.parts}
        return next((verdict for verdict in ("FAILS", "works") if verdict in verdicts), "lacks")


def tried(part: Part, server: str, left: Trace | None, right: Trace | None, sides: tuple[Seen, Seen], exposure: Exposure) -> Tried:
    if left is None or right is None:
        # A session that breaks off says nothing about what a peer lacks.
        broken = sides[0] if left is None else sides[1]
        return Tried(part.name, "FAILS", [f"{'directly' if left is None else 'through Braid'}: {broken.fault or 'not reached'}"])
    if lack := part.check(left):
        return Tried(part.name, "lacks", [lack])
    why = compared(part, server, left, right, exposure) if part.compared else []
    why += [wrong] if (wrong := part.check(right) or (named(right, server) if exposure.key else "")) else []
    return Tried(part.name, "FAILS" if why else "works", why)


def judged(parts: list[Part], server: str, sides: tuple[Seen, Seen], exposure: Exposure) -> list[tuple[Part, Tried]]:
    at = lambda seen, number: seen.traces[number] if number < len(seen.traces) else None
    return [(part, tried(part, server, at(sides[0], n), at(sides[1], n), sides, exposure)) for n, part in enumerate(parts)]


def cells_of(client: str, server: str, flows: list[str], folder: Path, direct: bool) -> list[Cell]:
    """A pair of peers: both sides, one after the other."""
    parts = [part for part in parts_of(server, client == "raw") if part.flow in flows]
    name = f"{client}-{server}"
    left = session(client, server, parts, folder / f"{name}-direct", Way(Exposure("")), [])
    exposure = Exposure("" if direct else server)
    right = session(client, server, parts, folder / f"{name}-{'again' if direct else 'braid'}", Way(exposure), left.tools)
    results = judged(parts, server, (left, right), exposure)
    return [Cell(client, server, flow, [one for part, one in results if part.flow == flow]) for flow in FLOWS if flow in flows]


def together(folder: Path) -> str:
    """All servers ask at once through one Braid; tells what went astray."""
    shutil.rmtree(folder, ignore_errors=True)
    works = {key: folder / key for key in SERVERS}
    for work in works.values():
        work.mkdir(parents=True)
    tools = {key: "trigger-elicitation-request" if key == "everything" else "elicit" for key in SERVERS}
    calls = {key: {"name": Exposure(key).name("tools", tool), "arguments": {"message": "Who?"}} for key, tool in tools.items()}
    command = [*BRAID, "stdio", "--config", str(write_config(folder, [peer(key) for key in works], works))]
    ready = [call["name"] for call in calls.values()]
    try:
        return golden.together({"command": command, "env": environment(), "cwd": str(folder), "roots": ROOTS_BEFORE, "ready": ready}, calls)
    except Silence as silence:
        return str(silence)


# --- the table's own test --------------------------------------------------------------------------------------------

STAND_IN = [sys.executable, str(HERE / "standin.py")]


def self_test(folder: Path) -> bool:
    """A stand-in that loses nothing fails nowhere, and each loss fails in the flows where it shows, and in no other."""
    server = "quirky"
    parts = parts_of(server, True)
    left = session("raw", server, parts, folder / "self-direct", Way(Exposure("")), [])

    def trial(loss: str) -> tuple[str, set[str]]:
        name = loss.replace(" ", "-") or "nothing"
        right = session("raw", server, parts, folder / f"self-{name}", Way(Exposure(server), STAND_IN, {"LOSE": loss}), left.tools)
        return loss, {part.flow for part, one in judged(parts, server, (left, right), Exposure(server)) if one.verdict == "FAILS"}

    good = True
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for loss, found in pool.map(trial, ["", *FLOW_LOSSES]):
            wanted = set(FLOW_LOSSES.get(loss, ()))
            good &= found == wanted
            amiss = "" if found == wanted else f", which should be {sorted(wanted)}"
            print(f"self-test: loses {loss or 'nothing'}: fails in {sorted(found)}{amiss}")
    return good


SIGNS = {"works": "ok", "lacks": "-", "FAILS": "FAIL"}


def table(cells: list[Cell]) -> str:
    """Servers × flows for each client."""
    flows = [flow for flow in FLOWS if any(cell.flow == flow for cell in cells)]
    rows = [["client", "server", *flows]]
    for pair in dict.fromkeys((cell.client, cell.server) for cell in cells):
        by_flow = {cell.flow: cell for cell in cells if (cell.client, cell.server) == pair}
        rows.append([*pair, *(sign(by_flow[flow]) for flow in flows)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def sign(cell: Cell) -> str:
    works, lacks = (sum(part.verdict == verdict for part in cell.parts) for verdict in ("works", "lacks"))
    return SIGNS[cell.verdict] + (f" {works}/{works + lacks}" if cell.verdict == "works" and lacks else "")


LEGEND = (
    "ok: works directly and through Braid, and the client saw the same (n/m: m parts tried, the others do not work directly)\n"
    "-: does not work directly, tried in this run      FAIL: works directly, not through Braid"
)


def report(cells: list[Cell], astray: str | None, seconds: float, as_json: bool) -> str:
    count = {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in SIGNS}
    if as_json:
        plain = [{"client": c.client, "server": c.server, "flow": c.flow, "verdict": c.verdict, "parts": [vars(p) for p in c.parts]} for c in cells]
        return json.dumps({"cells": plain, "together": astray, "seconds": round(seconds, 1), **count})
    lines = [table(cells), "", LEGEND, ""]
    for verdict in ("lacks", "FAILS"):
        said: set[str] = set()
        for cell in cells:
            for part in cell.parts:
                if part.verdict == verdict:
                    lines.append(f"{verdict}  {cell.client}  {cell.server}  {cell.flow}: {part.name}")
                    # A session that broke off says the same of every part.
                    lines += [f"    {clip(why, 600)}" for why in part.why[:DETAILS_MAX] if why not in said]
                    said |= {why for why in part.why if why.startswith(("directly: ", "through Braid: "))}
    if astray is not None:
        lines.append(f"all servers ask at once, the last is answered first: {clip(astray, 600) if astray else 'ok'}")
    lines.append(f"flows: {count['works']} work, {count['lacks']} lacked by the peer, {count['FAILS']} fail ({seconds:.0f} s)")
    return "\n".join(lines)


def ready(direct: bool) -> str | None:
    """Installs what is missing. Tells why the run cannot start."""
    if not direct and shutil.which(BRAID[0]) is None:
        return f"no Braid at {BRAID[0]}: build it, or set BRAID"
    missing = [name for name in ("flows_rmcp_client", "flows_rmcp_server") if not (EXAMPLES / name).exists()]
    if missing:
        return f"no {missing[0]} in {EXAMPLES}: cargo build --examples"
    done = subprocess.run([str(HERE / "setup.sh")], stdout=sys.stderr)
    if done.returncode != 0:
        return f"setup.sh ended with {done.returncode}"
    install_scripts()
    return None


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", action="append", default=[], metavar="NAME", help="a flow, a server, a client, or client:server")
    arguments.add_argument("--json", action="store_true", help="one object on stdout")
    arguments.add_argument("--direct", action="store_true", help="compare the servers with themselves")
    arguments.add_argument("--self-test", action="store_true", help="check that the table finds what a stand-in loses")
    arguments.add_argument("--at-least", type=int, default=0, metavar="N", help="so many cells must work")
    options = arguments.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    pairs = [(client, server) for client in CLIENTS for server in SERVERS]
    known = {*FLOWS, *SERVERS, *CLIENTS, *(":".join(pair) for pair in pairs)}
    if unknown := [name for name in options.only if name not in known]:
        arguments.error(f"--only knows no {unknown}; it knows {sorted(known)}")
    flows = [flow for flow in FLOWS if flow in options.only] or list(FLOWS)
    wanted = [name for name in options.only if name not in FLOWS]
    both = [pair for pair in pairs if ":".join(pair) in wanted]
    # `rmcp` is a client and a server: it means both.
    one_of = lambda name, names: name in wanted or not any(other in wanted for other in names)
    pairs = both or [(c, s) for c, s in pairs if one_of(c, CLIENTS) and one_of(s, SERVERS)]
    (HOME / "run").mkdir(parents=True, exist_ok=True)
    with open(HOME / "run" / "flows.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("flows: another run is under way in this target folder", file=sys.stderr)
            return 2
        if problem := ready(options.direct or options.self_test):
            print(f"flows: {problem}", file=sys.stderr)
            return 2
        folder = HOME / "run" / "flows"
        if options.self_test:
            return 0 if self_test(folder) else 1
        start = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(lambda pair: cells_of(*pair, flows, folder, options.direct), pairs)
            cells = [cell for some in found for cell in some]
        astray = together(folder / "together") if not options.direct and not options.only else None
        print(report(cells, astray, time.monotonic() - start, options.json))
    working = sum(cell.verdict == "works" for cell in cells)
    if working < options.at_least:
        print(f"flows: only {working} of at least {options.at_least} cells work", file=sys.stderr)
    return 1 if any(cell.verdict == "FAILS" for cell in cells) or astray or working < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
