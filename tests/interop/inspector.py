"""The MCP Inspector's command line, in both of its generations: lists, calls, reads and prompts, directly and through Braid.

Every case is a process of its own, and through Braid a Braid of its own, so only a few servers stand behind it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from compare import Comparison, Verdict
from names import Exposure
from peers import NODE, NODE_HOME, Peer, Step, call, prompt, read
from raw import environment
from record import LISTS, Done, Record, divide, fresh, write_config
from spans import NotJson, parse, quote

CASE_SECONDS_MAX = 60
PACKAGES = NODE_HOME / "node_modules"
# The second generation asks for a newer Node than many systems have; the lock file brings one for Linux.
NODE_22 = str(PACKAGES / "node22" / "bin" / "node") if (PACKAGES / "node22" / "bin" / "node").exists() else NODE

# Quick to start, and together with every kind of item. Lists are compared for the first alone: each is a run of its own.
BEHIND = ("everything", "calc-high")


@dataclass(frozen=True)
class Inspector:
    name: str
    command: list[str]
    era: str = ""
    # Its older generation prints the result alone, the newer one wraps it.
    wrapped: bool = False


def inspectors() -> list[Inspector]:
    second = [NODE_22, str(PACKAGES / "inspector2" / "clients" / "launcher" / "build" / "index.js"), "--cli", "--format", "json"]
    return [
        Inspector("inspector 0.15", [NODE, str(PACKAGES / "@modelcontextprotocol" / "inspector" / "cli" / "build" / "cli.js"), "--cli"]),
        Inspector("inspector 2.12", second, wrapped=True),
        Inspector("inspector 2.12 auto", second, era="auto", wrapped=True),
    ]


def cases() -> list[tuple[str, Step]]:
    """Which server is asked what."""
    return [
        ("everything", call("structured", "get-structured-content", {"location": "Chicago"})),
        ("calc-high", call("tool error", "divide", {"a": 1, "b": 0}, kind="tool error")),
        ("everything", read("demo://resource/static/document/architecture.md")),
        ("calc-high", read("constant://phi", kind="error")),
        ("everything", prompt("args", "args-prompt", {"city": "Oslo", "state": "Ø"})),
        ("calc-high", prompt("solve", "solve", {"equation": "x*x"})),
    ]


def options(method: str, params: dict) -> list[str]:
    """The command line of one request."""
    chosen = ["--method", method]
    pairs = [f"{name}={value}" for name, value in params.get("arguments", {}).items()]
    match method:
        case "tools/call":
            chosen += ["--tool-name", params["name"]] + (["--tool-arg", *pairs] if pairs else [])
        case "prompts/get":
            chosen += ["--prompt-name", params["name"]] + (["--prompt-args", *pairs] if pairs else [])
        case "resources/read":
            chosen += ["--uri", params["uri"]]
    return chosen


def write_entry(folder: Path, inspector: Inspector, name: str, command: list[str], env: dict[str, str]) -> Path:
    entry = {"command": command[0], "args": command[1:], "env": env} | ({"protocolEra": inspector.era} if inspector.era else {})
    path = folder / f"entry-{name}.json"
    path.write_text(json.dumps({"mcpServers": {name: entry}}))
    return path


def ask(inspector: Inspector, config: Path, chosen: list[str], folder: Path) -> tuple[int, str, str]:
    """One run: exit code, stdout, stderr."""
    process = subprocess.Popen(
        [*inspector.command, "--config", str(config), "--server", config.stem.removeprefix("entry-"), *chosen],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Its own folder as home: it keeps a catalog there.
        env=environment({"HOME": str(folder)}),
        cwd=folder,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=CASE_SECONDS_MAX)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code = -1
    return code, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "replace")


def understood(inspector: Inspector, out: str) -> str | None:
    """The text of the result in what was printed."""
    try:
        tree = parse(out)
    except NotJson:
        return None
    result = tree.get("result") if inspector.wrapped else tree
    return result.text if result else None


def list_items(inspector: Inspector, config: Path, method: str, folder: Path) -> tuple[list[str], list[str]]:
    code, out, err = ask(inspector, config, ["--method", method], folder)
    result = understood(inspector, out)
    if code != 0 or result is None:
        return [], [f"{method}: exit {code}: {out[-200:]} {err[-300:]}"]
    found = parse(result).get(LISTS[method])
    return [item.text for item in found.items] if found else [], []


def step_done(inspector: Inspector, config: Path, step: Step, exposure: Exposure, folder: Path) -> Done:
    params = json.loads(exposure.request(step.method, step.params))
    code, out, err = ask(inspector, config, options(step.method, params), folder)
    result = understood(inspector, out)
    aspects = {"exit": str(code)}
    if result is not None:
        aspects["result"] = result
    else:
        # The line that tells of the failure; around it stand a keychain's complaints and where in the program it was.
        lines = [line for line in (out + "\n" + err).splitlines() if line.startswith(('{"error"', "Failed to"))]
        words = lines[0] if lines else (out + err)[-300:]
        # It repeats the name that it was given.
        for key in ("uri", "name"):
            if key in params:
                words = words.replace(params[key], json.loads(step.params)[key])
        aspects["words"] = quote(words)
    return Done(step, None, aspects)


def compare(inspector: Inspector, braid: list[str] | None, peers: list[Peer], folder: Path, comparison: Comparison, quick: bool) -> list[Verdict]:
    """All cases of one Inspector, both sides in turn; without a Braid both sides are direct."""
    chosen = [peer for peer in peers if peer.key in BEHIND]
    few = quick or bool(inspector.era)
    methods = list(LISTS) if not few else ["tools/list"]
    steps = cases() if not few else cases()[:4:3]
    direct, seen, faults = {}, {}, []
    sides = {name: folder / name for name in ("d", "b")}
    works = {}
    for name, side in sides.items():
        side.mkdir(parents=True, exist_ok=True)
        works[name] = {peer.key: fresh(side, peer) for peer in chosen}
    proxy = [*(braid or []), "stdio", "--config", str(write_config(sides["b"], chosen, works["b"]))]
    configs, entries = {}, {}
    for peer in chosen:
        direct[peer.key] = Record(peer.key, inspector.name, works["d"][peer.key])
        seen[peer.key] = Record(peer.key, inspector.name, works["b"][peer.key], exposure=Exposure(peer.key if braid else ""))
        configs[peer.key] = write_entry(sides["d"], inspector, peer.key, peer.command(works["d"][peer.key]), peer.env(works["d"][peer.key]))
        command = proxy if braid else peer.command(works["b"][peer.key])
        entries[peer.key] = write_entry(sides["b"], inspector, f"braid-{peer.key}", command, {})
        for method in methods if peer.key == BEHIND[0] else []:
            direct[peer.key].lists[method], problems = list_items(inspector, configs[peer.key], method, sides["d"])
            direct[peer.key].faults += problems
    for method in methods:
        items, problems = list_items(inspector, entries[BEHIND[0]], method, sides["b"])
        faults += problems
        if braid:
            faults += divide(method, items, seen, direct)
        else:
            seen[BEHIND[0]].lists[method] = items
    for key, step in steps:
        direct[key].steps.append(step_done(inspector, configs[key], step, Exposure(""), sides["d"]))
        seen[key].steps.append(step_done(inspector, entries[key], step, seen[key].exposure, sides["b"]))
    # In the newer era the rules for modern clients hold.
    revision = "2026-07-28" if inspector.era else "2025-11-25"
    found = []
    for peer in chosen:
        direct[peer.key].revision = revision
        if not direct[peer.key].lists:
            seen[peer.key].lists = {}
        found += comparison.records(direct[peer.key], seen[peer.key])
    if faults:
        found.append(Verdict("braid", revision, "session", "session", False, details=faults[:10]))
    for verdict in found:
        verdict.revision = inspector.name
    return found
