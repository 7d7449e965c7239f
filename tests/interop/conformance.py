#!/usr/bin/env python3
"""The official conformance suite, directly and through Braid: is every verdict as good?

    BRAID=path tests/interop/conformance.py [--only NAME]... [--json] [--direct]

The server scenarios of 2025-11-25 run against `servers/upstream.py`, first directly, then through `braid serve` with the
same program behind it over stdio, over Streamable HTTP and over HTTP+SSE, its names as they are. The client scenarios that
need no authorization run with one client program, first directly, then through `braid serve` and `braid stdio` before the
suite's own server. A scenario is `as good` if each of its checks succeeds as often as directly and none fails; what succeeds
directly and does not run through Braid is worse. Scenarios that the suite runs but does not score count here too.
`--only` takes a way (`direct` always runs) or a scenario, several times. `--direct` runs the direct side alone. The exit
code is 0 when nothing is worse and the direct side is whole, 1 when something is, 2 when the run could not start.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from peers import BRAID, HERE, HOME, NODE, NODE_HOME, PYTHON_2, script
from raw import environment
from record import install_scripts, toml
from serving import NotServed, Served, free_port

REVISION = "2025-11-25"
SUITE = NODE_HOME / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NODE_22 = NODE_HOME / "node_modules" / "node22" / "bin" / "node"
FOLDER = HOME / "run" / "conformance"

SERVER_WAYS = ("direct", "stdio behind", "http behind", "sse behind")
CLIENT_WAYS = ("direct", "through serve", "through stdio")
# Scored: 30 for servers. The rest is run and shown, as the suite does.
SCORED = 30
UNSCORED = ("server-session-lifecycle", "json-schema-2020-12", "server-sse-polling")
CLIENT_SCENARIOS = ("initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry")
CLIENT_UNSCORED = ("json-schema-2020-12-preservation",)

# Checks that a server may leave without cause: then the suite neither passes nor fails them, and says so.
NEEDLESS = {
    "server-sse-streams-functional": "an answer that is there at once may be JSON, and ours to `tools/list` is",
    "server-sse-disconnect-resume": "a stream that a server closes before its answer is not closed toward the client",
}

SCENARIO_SECONDS_MAX = 15
SUITE_SECONDS_MAX = 300
# The client ends before the suite would kill the shell that started it, so that nothing is left of it.
CLIENT_SECONDS_MAX = 40
SUITE_CLIENT_SECONDS_MAX = 60
DETAILS_MAX = 4


@dataclass
class Checked:
    """A scenario's checks: how often each had each status, notices left out; and what was said of those that failed."""

    statuses: Counter = field(default_factory=Counter)
    needless: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    @property
    def passed(self) -> int:
        return sum(count for (_, status), count in self.statuses.items() if status == "SUCCESS")

    @property
    def failed(self) -> int:
        return sum(count for (_, status), count in self.statuses.items() if status in ("FAILURE", "WARNING"))

    def worse_than(self, direct: "Checked") -> list[str]:
        """What is lost of a direct run's checks."""
        lost = [
            f"{name}: {count} of {wanted} succeed"
            for (name, status), wanted in sorted(direct.statuses.items())
            if status == "SUCCESS" and (count := self.statuses[name, status]) < wanted and name not in self.needless
        ]
        failed = [
            f"{name}: {status} {count} times, directly {direct.statuses[name, status]}"
            for (name, status), count in sorted(self.statuses.items())
            if status in ("FAILURE", "WARNING") and count > direct.statuses[name, status]
        ]
        return lost + failed + (self.said if lost or failed else [])


Checks = dict[str, Checked]


def checks_in(folder: Path, scenario: str | None = None) -> Checks:
    """What the suite saved in a folder, by scenario."""
    found: Checks = {}
    for path in sorted(folder.glob("*/checks.json")):
        name = scenario or re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", path.parent.name)
        one = found.setdefault(name, Checked())
        for check in json.loads(path.read_text()):
            if check["status"] == "INFO":
                one.needless |= {check["id"]} & {*NEEDLESS}
                continue
            one.statuses[check["id"], check["status"]] += 1
            if check["status"] != "SUCCESS" and check.get("errorMessage"):
                one.said.append(f"{check['id']}: {check['errorMessage']}")
    return found


def suite(arguments: list[str], log: Path) -> str:
    """Runs the suite; tells what kept it from its end, other than failing checks."""
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [str(NODE_22), str(SUITE), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), start_new_session=True
        )
        try:
            process.wait(SUITE_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return f"the suite did not end in {SUITE_SECONDS_MAX} s"
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
    return ""


# --- what stands between ---------------------------------------------------------------------------------------------


def braid_config(folder: Path, port: int, server: list[str]) -> Path:
    """One server under its own names; whoever reaches us is served, because the suite knows no tokens."""
    lines = ["[listen]", f'http = ["127.0.0.1:{port}"]', 'auth = "none"', "", "[servers.upstream]", 'prefix = ""', *server, ""]
    path = folder / "braid.toml"
    path.write_text("\n".join(lines))
    return path


def braid_serve(folder: Path, server: list[str]) -> Served:
    port = free_port()
    config = braid_config(folder, port, server)
    return Served([*BRAID, "serve", "--config", str(config)], port, folder / "braid.log", environment(), folder)


def upstream(folder: Path, kind: str) -> Served:
    port = free_port()
    return Served(script(PYTHON_2, "upstream.py", kind, str(port)), port, folder / f"upstream-{kind}.log", environment(), folder)


# --- servers ---------------------------------------------------------------------------------------------------------


def server_checks(way: str, scenarios: list[str], folder: Path) -> tuple[Checks, str]:
    """All scenarios, or these, in one way; and what broke it off."""
    folder.mkdir(parents=True)
    kind = {"stdio behind": "", "sse behind": "sse"}.get(way, "http")
    try:
        if not kind:
            command = script(PYTHON_2, "upstream.py", "stdio")
            with braid_serve(folder, [f"command = {toml(command[0])}", f"args = [{', '.join(map(toml, command[1:]))}]"]) as braid:
                return judged(f"http://127.0.0.1:{braid.port}/mcp", scenarios, folder)
        with upstream(folder, kind) as server:
            url = f"http://127.0.0.1:{server.port}/{'sse' if kind == 'sse' else 'mcp'}"
            if way == "direct":
                return judged(url, scenarios, folder)
            with braid_serve(folder, [f"url = {toml(url)}", f'transport = "{kind}"']) as braid:
                return judged(f"http://127.0.0.1:{braid.port}/mcp", scenarios, folder)
    except NotServed as fault:
        return {}, str(fault)


def judged(url: str, scenarios: list[str], folder: Path) -> tuple[Checks, str]:
    common = ["server", "--url", url, "--timeout", str(SCENARIO_SECONDS_MAX * 1000), "-o", str(folder / "checks")]
    if not scenarios:
        fault = suite([*common, "--requirements", REVISION], folder / "suite.log")
        return checks_in(folder / "checks"), fault
    fault = ""
    for name in scenarios:
        fault = suite([*common, "--scenario", name, "--spec-version", REVISION], folder / f"suite-{name}.log") or fault
    return checks_in(folder / "checks"), fault


# --- clients ---------------------------------------------------------------------------------------------------------


def client_checks(way: str, scenarios: list[str], folder: Path) -> tuple[Checks, str]:
    """One scenario after the other: the suite would run all at once."""
    found, fault = {}, ""
    for name in scenarios:
        own = folder / name
        own.mkdir(parents=True)
        words = [sys.executable, str(HERE / "conformance.py"), "--as-client", way, str(own)]
        arguments = ["client", "--command", shlex.join(words), "--scenario", name, "--spec-version", REVISION]
        arguments += ["--timeout", str(SUITE_CLIENT_SECONDS_MAX * 1000), "-o", str(own / "checks")]
        fault = suite(arguments, own / "suite.log") or fault
        found |= checks_in(own / "checks", name)
    return found, fault


def as_client(way: str, folder: Path, url: str) -> int:
    """What the suite starts in place of a client: the client, with Braid before it where the way says so."""
    client = [NODE, str(NODE_HOME / "conformance.mjs")]
    env = environment() | {"MCP_CONFORMANCE_SCENARIO": os.environ["MCP_CONFORMANCE_SCENARIO"]}
    if way == "direct":
        return run_client([*client, url], env, folder)
    if way == "through stdio":
        config = braid_config(folder, free_port(), [f"url = {toml(url)}"])
        return run_client([*client, "--stdio", *BRAID, "stdio", "--config", str(config)], env, folder)
    with braid_serve(folder, [f"url = {toml(url)}"]) as braid:
        return run_client([*client, f"http://127.0.0.1:{braid.port}/mcp"], env, folder)


def run_client(command: list[str], env: dict[str, str], folder: Path) -> int:
    with open(folder / "client.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=folder, start_new_session=True)
        try:
            return process.wait(CLIENT_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


# --- the run ---------------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """One way of servers or clients: each scenario's checks, and what of them is worse than directly."""

    subject: str
    way: str
    checks: Checks
    worse: dict[str, list[str]]
    fault: str

    def counted(self, names: list[str]) -> str:
        good = sum(name in self.checks and self.checks[name].passed > 0 and not self.checks[name].failed for name in names)
        return f"{good} of {len(names)}"


def sides_of(subject: str, ways: list[str], scenarios: list[str], run) -> list[Side]:
    """Every way of a subject, the direct one first."""
    sides: list[Side] = []
    direct: Checks = {}
    for way in ways:
        folder = FOLDER / f"{subject}-{way.replace(' ', '-')}"
        checks, fault = run(way, scenarios, folder)
        if way == "direct":
            direct = checks
            worse = {name: one.said or ["it fails"] for name, one in checks.items() if one.failed or not one.passed}
        else:
            worse = {name: lost for name, one in direct.items() if (lost := checks.get(name, Checked()).worse_than(one))}
        sides.append(Side(subject, way, checks, worse, fault))
    return sides


def report(sides: list[Side], seconds: float, as_json: bool) -> tuple[str, int]:
    """What is printed, and how many scenarios are worse."""
    worse = sum(len(side.worse) + bool(side.fault) for side in sides)
    good = sum(len(side.checks) for side in sides) - sum(len(set(side.worse) & set(side.checks)) for side in sides)
    if as_json:
        plain = [
            {
                "subject": side.subject,
                "way": side.way,
                "fault": side.fault,
                "worse": side.worse,
                "checks": {name: {"passed": one.passed, "failed": one.failed} for name, one in side.checks.items()},
            }
            for side in sides
        ]
        return json.dumps({"sides": plain, "good": good, "worse": worse, "seconds": round(seconds, 1)}), worse
    lines = []
    for side in sides:
        extra = [name for name in side.checks if name in UNSCORED + CLIENT_UNSCORED]
        scored = [name for name in side.checks if name not in extra]
        checks = sum(one.passed for one in side.checks.values())
        needless = sorted({name for one in side.checks.values() for name in one.needless})
        lines.append(f"{side.subject:6}  {side.way:15}  scored {side.counted(scored)}, unscored {side.counted(extra)}, {checks} checks succeed" + "".join(f", no need of {name}" for name in needless))
        lines += [f"    {side.fault}"] if side.fault else []
        for name, lost in side.worse.items() if side.checks else []:
            lines.append(f"    WORSE  {name}")
            lines += [f"        {text}" for text in lost[:DETAILS_MAX]]
    lines.append(f"conformance: {good} scenarios as good, {worse} worse ({seconds:.0f} s)")
    return "\n".join(lines), worse


def ready(direct: bool) -> str | None:
    """Installs what is missing. Tells why the run cannot start."""
    if not direct and shutil.which(BRAID[0]) is None:
        return f"no Braid at {BRAID[0]}: build it, or set BRAID"
    done = subprocess.run([str(HERE / "setup.sh")], stdout=sys.stderr)
    if done.returncode != 0:
        return f"setup.sh ended with {done.returncode}"
    if not NODE_22.exists():
        return f"no Node 22 at {NODE_22}: the suite needs it"
    install_scripts()
    return None


def main() -> int:
    if sys.argv[1:2] == ["--as-client"]:
        return as_client(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", action="append", default=[], metavar="NAME", help="a way or a scenario")
    arguments.add_argument("--json", action="store_true", help="one object on stdout")
    arguments.add_argument("--direct", action="store_true", help="the direct side alone")
    options = arguments.parse_args()
    ways = {*SERVER_WAYS, *CLIENT_WAYS}
    clients = [*CLIENT_SCENARIOS, *CLIENT_UNSCORED]
    wanted_ways = [name for name in options.only if name in ways]
    wanted = [name for name in options.only if name not in ways]
    if unknown := [name for name in wanted if not re.fullmatch(r"[a-z0-9_/-]+", name)]:
        arguments.error(f"--only knows no {unknown}; it knows {sorted(ways)} and the suite's scenarios")
    chosen = lambda all_ways: [way for way in all_ways if way == "direct" or (not options.direct and (not wanted_ways or way in wanted_ways))]
    (HOME / "run").mkdir(parents=True, exist_ok=True)
    with open(HOME / "run" / "conformance.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("conformance: another run is under way in this target folder", file=sys.stderr)
            return 2
        if problem := ready(options.direct):
            print(f"conformance: {problem}", file=sys.stderr)
            return 2
        shutil.rmtree(FOLDER, ignore_errors=True)
        start = time.monotonic()
        of_servers = [name for name in wanted if name not in clients]
        of_clients = [name for name in wanted if name in clients] or clients
        sides = []
        # A way of the other subject leaves this one out, and so does its scenario.
        if (not wanted or of_servers) and (not wanted_ways or {*wanted_ways} & {*SERVER_WAYS}):
            sides += sides_of("server", chosen(SERVER_WAYS), of_servers, server_checks)
            if not of_servers and len(sides[0].checks) != SCORED + len(UNSCORED):
                sides[0].fault = sides[0].fault or f"{len(sides[0].checks)} scenarios ran, not {SCORED} and {len(UNSCORED)}"
        if (not wanted or of_clients != clients) and (not wanted_ways or {*wanted_ways} & {*CLIENT_WAYS}):
            sides += sides_of("client", chosen(CLIENT_WAYS), of_clients, client_checks)
        text, worse = report(sides, time.monotonic() - start, options.json)
        print(text)
    return 1 if worse or not sides or not all(side.checks for side in sides) else 0


if __name__ == "__main__":
    sys.exit(main())
