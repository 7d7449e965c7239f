#!/usr/bin/env python3
"""The official conformance suite, directly and through Braid: is every verdict as good?

    BRAID=path tests/interop/conformance.py [--revision REVISION]... [--only NAME]... [--json] [--direct]

For each revision, the server scenarios run against `servers/upstream.py`, first directly, then through `braid serve` with
the same program behind it over stdio, over Streamable HTTP and, where the revision has it, over HTTP+SSE, its names as they
are; and once more over stdio and Streamable HTTP while a second server stands beside it and all names bear prefixes, which
`servers/unprefixed.py` takes away for the suite. The client scenarios that need no authorization run with one client
program, first directly, then through `braid serve` and `braid stdio` before the suite's own server. A scenario is `as good`
if each of its checks succeeds as often as directly and none fails; what succeeds directly and does not run through Braid is
worse. Scenarios that the suite runs but does not score count here too, but for those whose feature the server lacks.
`--revision` takes one, several times; default is both. `--only` takes a way (`direct` always runs) or a scenario, several
times. `--direct` runs the direct side alone. The exit code is 0 when nothing is worse and the direct side is whole, 1 when
something is, 2 when the run could not start.
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from peers import BRAID, HERE, HOME, NODE, NODE_HOME, PYTHON_1, PYTHON_2, script
from raw import environment
from record import install_scripts, toml
from serving import NotServed, Served, free_port

SUITE = NODE_HOME / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NODE_22 = NODE_HOME / "node_modules" / "node22" / "bin" / "node"
FOLDER = HOME / "run" / "conformance"

# How many scenarios the suite scores and how many it only runs, so that none is lost unnoticed.
COUNTS = {
    "2025-11-25": {"server": (30, 3), "client": (4, 1)},
    "2026-07-28": {"server": (37, 13), "client": (7, 1)},
}
REVISIONS = tuple(COUNTS)
LEGACY = ("2025-11-25",)

SERVER_WAYS = ("direct", "stdio behind", "http behind", "sse behind", "stdio of two", "http of two")
CLIENT_WAYS = ("direct", "through serve", "through stdio")

# An extension that the server's SDK does not offer: what succeeds of it all the same must succeed through Braid too.
LACKED = re.compile(r"tasks-.*")

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


@dataclass
class Listed:
    """A revision's scenarios of servers or of clients, those that need authorization left out."""

    scored: list[str] = field(default_factory=list)
    unscored: list[str] = field(default_factory=list)


def listed(revision: str) -> dict[str, Listed]:
    """What the suite says that it would run."""
    text = subprocess.run(
        [str(NODE_22), str(SUITE), "list", "--requirements", revision], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), check=True
    ).stdout
    found, subject = {"server": Listed(), "client": Listed()}, ""
    for line in text.splitlines():
        if heading := re.match(r"(Server|Client) scenarios", line):
            subject = heading[1].lower()
        elif (name := re.match(r" +- (\S+)(?: \[(\w+)\])?$", line)) and not name[1].startswith("auth/"):
            one = found[name[2] or subject]
            (one.unscored if name[2] else one.scored).append(name[1])
    return found


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
        # What it starts as a client is this program again, which must find the same Braid and the same peers.
        env = environment({"BRAID": shlex.join(BRAID), "INTEROP_HOME": str(HOME)})
        process = subprocess.Popen(
            [str(NODE_22), str(SUITE), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True
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


def command_lines(words: list[str]) -> list[str]:
    return [f"command = {toml(words[0])}", f"args = [{', '.join(map(toml, words[1:]))}]"]


def braid_config(folder: Path, port: int, server: list[str], beside: bool = False) -> Path:
    """One server under its own names, or with another beside it; whoever reaches us is served, because the suite knows no tokens."""
    lines = ["[listen]", f'http = ["127.0.0.1:{port}"]', 'auth = "none"', "", "[servers.upstream]", *server]
    if beside:
        # It speaks no 2026-07-28 and has little to show: what it lists stands after the other's.
        lines += ["", "[names]", 'prefix = "always"', "", "[servers.beside]", *command_lines(script(PYTHON_1, "project.py"))]
    else:
        lines += ['prefix = ""']
    path = folder / "braid.toml"
    path.write_text("\n".join([*lines, ""]))
    return path


def braid_serve(folder: Path, server: list[str], beside: bool = False) -> Served:
    port = free_port()
    config = braid_config(folder, port, server, beside)
    return Served([*BRAID, "serve", "--config", str(config)], port, folder / "braid.log", environment(), folder)


@contextmanager
def braid_url(folder: Path, server: list[str], beside: bool) -> Iterator[str]:
    """Where the suite finds Braid with this server behind it, under the server's own names."""
    with braid_serve(folder, server, beside) as braid:
        if not beside:
            yield f"http://127.0.0.1:{braid.port}/mcp"
            return
        port = free_port()
        words = [sys.executable, str(HERE / "servers" / "unprefixed.py"), str(port), str(braid.port), "upstream"]
        with Served(words, port, folder / "unprefixed.log", environment(), folder):
            yield f"http://127.0.0.1:{port}/mcp"


def upstream(folder: Path, kind: str) -> Served:
    port = free_port()
    return Served(script(PYTHON_2, "upstream.py", kind, str(port)), port, folder / f"upstream-{kind}.log", environment(), folder)


# --- servers ---------------------------------------------------------------------------------------------------------


def server_checks(revision: str, way: str, scenarios: list[str], folder: Path) -> tuple[Checks, str]:
    """All scenarios, or these, in one way; and what broke it off."""
    folder.mkdir(parents=True)
    kind, _, rest = way.partition(" ")
    beside = rest == "of two"
    try:
        if kind == "stdio":
            with braid_url(folder, command_lines(script(PYTHON_2, "upstream.py", "stdio")), beside) as url:
                return judged(revision, url, scenarios, folder)
        with upstream(folder, "sse" if kind == "sse" else "http") as server:
            url = f"http://127.0.0.1:{server.port}/{'sse' if kind == 'sse' else 'mcp'}"
            if way == "direct":
                return judged(revision, url, scenarios, folder)
            with braid_url(folder, [f"url = {toml(url)}", f'transport = "{kind}"'], beside) as url:
                return judged(revision, url, scenarios, folder)
    except NotServed as fault:
        return {}, str(fault)


def judged(revision: str, url: str, scenarios: list[str], folder: Path) -> tuple[Checks, str]:
    common = ["server", "--url", url, "--timeout", str(SCENARIO_SECONDS_MAX * 1000), "-o", str(folder / "checks")]
    if not scenarios:
        fault = suite([*common, "--requirements", revision], folder / "suite.log")
        return checks_in(folder / "checks"), fault
    fault = ""
    for name in scenarios:
        fault = suite([*common, "--scenario", name, "--spec-version", revision], folder / f"suite-{name}.log") or fault
    return checks_in(folder / "checks"), fault


# --- clients ---------------------------------------------------------------------------------------------------------


def client_checks(revision: str, way: str, scenarios: list[str], folder: Path) -> tuple[Checks, str]:
    """One scenario after the other: the suite would run all at once."""
    found, fault = {}, ""
    for name in scenarios:
        own = folder / name
        own.mkdir(parents=True)
        words = [sys.executable, str(HERE / "conformance.py"), "--as-client", revision, way, str(own)]
        arguments = ["client", "--command", shlex.join(words), "--scenario", name, "--spec-version", revision]
        arguments += ["--timeout", str(SUITE_CLIENT_SECONDS_MAX * 1000), "-o", str(own / "checks")]
        fault = suite(arguments, own / "suite.log") or fault
        found |= checks_in(own / "checks", name)
    return found, fault


def as_client(revision: str, way: str, folder: Path, url: str) -> int:
    """What the suite starts in place of a client: the client, with Braid before it where the way says so."""
    client = [NODE, str(NODE_HOME / "conformance.mjs")]
    if revision not in LEGACY:
        # What may not be called must be kept back by whoever calls the suite's server.
        client = [PYTHON_2, str(HERE / "clients" / "conformance_v2.py"), *([] if way == "direct" else ["--unseen"])]
    env = environment({name: value for name, value in os.environ.items() if name.startswith("MCP_CONFORMANCE_")})
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

    revision: str
    subject: str
    way: str
    checks: Checks
    worse: dict[str, list[str]]
    fault: str
    scenarios: Listed

    def whole(self, name: str) -> bool:
        return name in self.checks and self.checks[name].passed > 0 and not self.checks[name].failed

    def lacked(self) -> list[str]:
        """What the direct side need not have."""
        return [name for name in self.checks if self.way == "direct" and not self.whole(name) and name not in self.worse]

    def counted(self, names: list[str]) -> str:
        ran = [name for name in names if name in self.checks]
        return f"{sum(map(self.whole, ran))} of {len(ran)}"


def sides_of(revision: str, subject: str, ways: list[str], wanted: list[str], scenarios: Listed, run) -> list[Side]:
    """Every way of a subject, the direct one first."""
    sides: list[Side] = []
    direct: Checks = {}
    for way in ways:
        folder = FOLDER / revision / f"{subject}-{way.replace(' ', '-')}"
        checks, fault = run(revision, way, wanted, folder)
        if way == "direct":
            direct = checks
            failing = {name: one for name, one in checks.items() if one.failed or not one.passed}
            worse = {name: one.said or ["it fails"] for name, one in failing.items() if name in scenarios.scored or not LACKED.fullmatch(name)}
        else:
            worse = {name: lost for name, one in direct.items() if (lost := checks.get(name, Checked()).worse_than(one))}
        sides.append(Side(revision, subject, way, checks, worse, fault, scenarios))
    return sides


def report(sides: list[Side], seconds: float, as_json: bool) -> tuple[str, int]:
    """What is printed, and how many scenarios are worse."""
    worse = sum(len(side.worse) + bool(side.fault) for side in sides)
    good = sum(len(side.checks) - len(side.lacked()) - len(set(side.worse) & set(side.checks)) for side in sides)
    if as_json:
        plain = [
            {
                "revision": side.revision,
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
        checks = sum(one.passed for one in side.checks.values())
        needless = sorted({name for one in side.checks.values() for name in one.needless})
        line = f"{side.revision}  {side.subject:6}  {side.way:15}  scored {side.counted(side.scenarios.scored)}, unscored {side.counted(side.scenarios.unscored)}, {checks} checks succeed"
        lines.append(line + "".join(f", no need of {name}" for name in needless))
        lines += [f"    lacked directly: {', '.join(lacked)}"] if (lacked := side.lacked()) else []
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
        return as_client(sys.argv[2], sys.argv[3], Path(sys.argv[4]), sys.argv[5])
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--revision", action="append", default=[], choices=REVISIONS, help="default: all of them")
    arguments.add_argument("--only", action="append", default=[], metavar="NAME", help="a way or a scenario")
    arguments.add_argument("--json", action="store_true", help="one object on stdout")
    arguments.add_argument("--direct", action="store_true", help="the direct side alone")
    options = arguments.parse_args()
    ways = {*SERVER_WAYS, *CLIENT_WAYS}
    wanted_ways = [name for name in options.only if name in ways]
    wanted = [name for name in options.only if name not in ways]
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
        known = {revision: listed(revision) for revision in options.revision or REVISIONS}
        for revision, subjects in known.items():
            if (counts := {subject: (len(one.scored), len(one.unscored)) for subject, one in subjects.items()}) != COUNTS[revision]:
                print(f"conformance: of {revision} the suite lists {counts}, not {COUNTS[revision]}", file=sys.stderr)
                return 2
        names = {name for subjects in known.values() for one in subjects.values() for name in one.scored + one.unscored}
        if unknown := {*wanted} - names:
            arguments.error(f"--only knows no {sorted(unknown)}; it knows {sorted(ways)} and the scenarios {sorted(names)}")
        shutil.rmtree(FOLDER, ignore_errors=True)
        start = time.monotonic()
        sides = []
        for revision, subjects in known.items():
            of = lambda subject: [name for name in wanted if name in subjects[subject].scored + subjects[subject].unscored]
            server_ways = [way for way in SERVER_WAYS if way != "sse behind" or revision in LEGACY]
            # A way of the other subject leaves this one out, and so does its scenario.
            if (not wanted or of("server")) and (not wanted_ways or {*wanted_ways} & {*server_ways}):
                servers = sides_of(revision, "server", chosen(server_ways), of("server"), subjects["server"], server_checks)
                missing = sorted({*subjects["server"].scored, *subjects["server"].unscored} - {*servers[0].checks})
                if not wanted and missing:
                    servers[0].fault = servers[0].fault or f"these did not run: {', '.join(missing)}"
                sides += servers
            of_clients = of("client") if wanted else subjects["client"].scored + subjects["client"].unscored
            if of_clients and (not wanted_ways or {*wanted_ways} & {*CLIENT_WAYS}):
                sides += sides_of(revision, "client", chosen(CLIENT_WAYS), of_clients, subjects["client"], client_checks)
        text, worse = report(sides, time.monotonic() - start, options.json)
        print(text)
    return 1 if worse or not sides or not all(side.checks for side in sides) else 0


if __name__ == "__main__":
    sys.exit(main())
