#!/usr/bin/env python3
"""The interop run: does a client see through Braid what it sees from each server directly?

    BRAID=path tests/interop/run.py [--pairs | --pair DOWN:UP]... [--only NAME]... [--quick] [--json] [--direct] [--self-test]

Three parts: `raw` compares texts in each revision, `sdk` what client SDKs make of them, `inspector` what the Inspector's
command line prints. Without more it is stdio on both sides; `--pair` names how a client reaches Braid and Braid the servers
(`stdio`, `http`, `sse`), `--pairs` means all nine, and then only `raw` runs, in two revisions where `--only` names none, and
directly the servers speak what Braid speaks with them. `--only` takes a part, a server, a revision or a client, and may be given several times. `--direct`
compares the servers with themselves, which needs no Braid and finds what is volatile. The last line counts; the exit code
is 0 when nothing differs, 1 when something does, 2 when the run could not start.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import inspector
import sdk
from compare import Comparison, Verdict, table
from expect import Rules
from peers import BRAID, HERE, HOME, peers
from raw import MODERN, REVISIONS
from record import Record, install_scripts, record_braid, record_direct
from wires import TRANSPORTS
from selftest import self_test

AT_ONCE = 2
QUICK_REVISIONS = (REVISIONS[0], REVISIONS[-1])
QUICK_CLIENTS = ("py 1.x", "py 2.x auto", "ts 1.x")
QUICK_SERVERS = ("everything", "Weather", "progress", "fast", "notes", "workshop")
PARTS = ("raw", "sdk", "inspector")
DETAILS_MAX = 6

# What was seen of each server directly, by its key, the revision and the transport.
Direct = dict[tuple[str, str, str], Record]


class Choice:
    """What of everything is to run: a kind of name that `--only` does not mention is not restricted."""

    def __init__(self, only: list[str], quick: bool):
        self.only, self.quick = only, quick

    def of(self, names: list[str], quick: tuple[str, ...] | None = None) -> list[str]:
        named = [name for name in names if name in self.only]
        if named or not (self.quick and quick):
            return named or names
        return [name for name in names if name in quick]


class Run:
    def __init__(self, choice: Choice, direct: bool, pairs: list[tuple[str, str]]):
        self.choice, self.direct = choice, direct
        self.pairs = pairs
        only_stdio = pairs == [("stdio", "stdio")]
        self.folder = HOME / "run"
        self.comparison = Comparison()
        # The demo servers are in Braid's binary: directly they run only where one is named.
        own = not direct or "BRAID" in os.environ
        stand_in = any("standin.py" in word for word in BRAID)
        everyone = [peer for peer in peers() if not peer.needs_braid or (own and not stand_in)]
        keys = choice.of([peer.key for peer in everyone])
        self.peers = [peer for peer in everyone if peer.key in keys]
        client_keys = choice.of([peer.key for peer in everyone if peer.clients], QUICK_SERVERS)
        self.client_peers = [peer for peer in self.peers if peer.clients and peer.key in client_keys]
        self.revisions = choice.of(list(REVISIONS), QUICK_REVISIONS)
        if not only_stdio and len(self.revisions) == len(REVISIONS):
            self.revisions = list(QUICK_REVISIONS)
        self.parts = choice.of(list(PARTS)) if only_stdio else ["raw"]
        self.clients = [c for c in sdk.clients() if c.name in choice.of([c.name for c in sdk.clients()], QUICK_CLIENTS)]
        self.inspectors = [i for i in inspector.inspectors() if i.name in choice.of([i.name for i in inspector.inspectors()])]

    def verdicts(self) -> list[Verdict]:
        shutil.rmtree(self.folder / "work", ignore_errors=True)
        (self.folder / "work").mkdir(parents=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            direct = self.directly(pool)
            # The long ones first, so that the end is not one worker waiting for the other.
            jobs: list[Future[list[Verdict]]] = []
            if "inspector" in self.parts:
                jobs += [pool.submit(self.with_inspector, number, one) for number, one in enumerate(self.inspectors)]
            if "sdk" in self.parts:
                jobs += [pool.submit(self.with_client, number, client, direct) for number, client in enumerate(self.clients)]
            if "raw" in self.parts:
                jobs += [pool.submit(self.with_raw, revision, pair, direct) for pair in self.pairs for revision in self.revisions]
            return [verdict for job in reversed(jobs) for verdict in job.result()]

    def directly(self, pool: ThreadPoolExecutor) -> Direct:
        """Every server by itself in every revision over what it speaks, and in the modern era where it speaks that too."""
        ups = list(dict.fromkeys(up for _, up in self.pairs))
        wanted = [(peer, revision, up) for up in ups for revision in self.revisions for peer in self.peers if "raw" in self.parts]
        # HTTP+SSE has no such era.
        wanted += [(peer, MODERN, up) for up in ups if up != "sse" for peer in self.peers if peer.dual and "raw" in self.parts]
        # The client programs take their steps for these from what they list.
        explored = [(peer, REVISIONS[-1], "stdio") for peer in self.client_peers if peer.explore and {"sdk", "inspector"} & {*self.parts}]
        wanted += [one for one in explored if one not in wanted]
        records = pool.map(lambda one: record_direct(*one[:2], self.folder / "work" / f"d-{one[1]}-{one[2]}", one[2]), wanted)
        return {(peer.key, revision, up): record for (peer, revision, up), record in zip(wanted, records)}

    def with_raw(self, revision: str, pair: tuple[str, str], direct: Direct) -> list[Verdict]:
        up = pair[1]
        left = {peer.key: direct[peer.key, revision, up] for peer in self.peers}
        folder, faults = self.folder / "work" / f"b-{revision}-{'-'.join(pair)}", []
        if self.direct:
            right = {peer.key: record_direct(peer, revision, folder, up) for peer in self.peers}
        else:
            right, faults = record_braid(BRAID, self.peers, revision, folder, left, pair=pair)
        found = []
        for peer in self.peers:
            found += self.comparison.records(left[peer.key], right[peer.key], direct.get((peer.key, MODERN, up)))
        if faults:
            found.append(Verdict("braid", revision, "session", "session", False, details=faults[:20]))
        for verdict in found if pair != ("stdio", "stdio") else []:
            verdict.revision += f" {pair[0]} > {up}"
        return found

    def with_client(self, number: int, client: sdk.Client, direct: Direct) -> list[Verdict]:
        sides = [self.folder / "work" / f"c{number}-{side}" for side in "db"]
        for side in sides:
            side.mkdir()
        explored = {peer.key: direct[peer.key, REVISIONS[-1], "stdio"] for peer in self.client_peers if peer.explore}
        left = sdk.direct_records(client, self.client_peers, sides[0], explored)
        if self.direct:
            right, revision, faults = sdk.direct_records(client, self.client_peers, sides[1], explored), REVISIONS[-1], []
        else:
            right, revision, faults = sdk.braid_records(client, BRAID, self.client_peers, sides[1], left)
        return sdk.verdicts(client, self.client_peers, left, right, revision, faults, self.comparison)

    def with_inspector(self, number: int, one: inspector.Inspector) -> list[Verdict]:
        folder = self.folder / "work" / f"i{number}"
        return inspector.compare(one, None if self.direct else BRAID, peers(), folder, self.comparison, self.choice.quick)


def divided(found: list[Verdict], rules: Rules) -> tuple[list[Verdict], list[Verdict], list[dict[str, str]]]:
    """What differs, what differs because it is not carried yet, and the gaps that turn out to be closed."""
    gaps = [(verdict, rules.gap(verdict.server, verdict.kind, verdict.label)) for verdict in found]
    wrong = [verdict for verdict, gap in gaps if not verdict.equal and gap is None]
    waiting = [verdict for verdict, gap in gaps if not verdict.equal and gap is not None]
    open_gaps = [gap for verdict, gap in gaps if not verdict.equal]
    closed = [gap for gap in rules.gaps if gap not in open_gaps and any(gap is other for _, other in gaps)]
    return wrong, waiting, closed


def report(found: list[Verdict], expectations: Rules, seconds: float, as_json: bool) -> str:
    wrong, waiting, closed = divided(found, expectations)
    equal = len(found) - len(wrong) - len(waiting)
    rules = Counter(rule for verdict in found if verdict.equal for rule in verdict.rules)
    if as_json:
        return json.dumps(
            {
                "equal": equal,
                "different": len(wrong),
                "not_yet": len(waiting),
                "closed": closed,
                "rules": rules,
                "seconds": round(seconds, 1),
                "differences": [vars(verdict) for verdict in wrong],
            }
        )
    lines = [table(found), ""]
    for verdict in wrong:
        lines.append(f"DIFFERS  {verdict.server}  {verdict.revision}  {verdict.kind}: {verdict.label}")
        lines += [f"    {detail}" for detail in verdict.details[:DETAILS_MAX]]
    if rules:
        lines.append("equal by a rule of expectations.json: " + ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items())))
    lines += [f"no longer a gap, take it out of expectations.json: {gap}" for gap in closed]
    later = f", {len(waiting)} not yet" if waiting else ""
    lines.append(f"interop: {equal} equal, {len(wrong)} different{later} ({seconds:.0f} s)")
    return "\n".join(lines)


def ready(direct: bool) -> str | None:
    """Installs what is missing. Tells why the run cannot start."""
    if not direct and shutil.which(BRAID[0]) is None:
        return f"no Braid at {BRAID[0]}: build it, or set BRAID"
    done = subprocess.run([str(HERE / "setup.sh")], stdout=sys.stderr)
    if done.returncode != 0:
        return f"setup.sh ended with {done.returncode}"
    install_scripts()
    return None


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", action="append", default=[], metavar="NAME")
    arguments.add_argument("--pairs", action="store_true", help="all nine pairs of transports")
    arguments.add_argument("--pair", action="append", default=[], metavar="DOWN:UP", help="such as `http:stdio`")
    arguments.add_argument("--quick", action="store_true", help="two revisions, three clients, fewer servers for them")
    arguments.add_argument("--json", action="store_true", help="one object on stdout")
    arguments.add_argument("--direct", action="store_true", help="compare the servers with themselves")
    arguments.add_argument("--self-test", action="store_true", help="check that the comparison finds what a stand-in loses")
    options = arguments.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    known = {*PARTS, *REVISIONS, *(p.key for p in peers()), *(c.name for c in sdk.clients()), *(i.name for i in inspector.inspectors())}
    if unknown := [name for name in options.only if name not in known]:
        arguments.error(f"--only knows no {unknown}; it knows {sorted(known)}")
    every = [(down, up) for down in TRANSPORTS for up in TRANSPORTS]
    pairs = every if options.pairs else [pair for pair in every if ":".join(pair) in options.pair]
    if options.pair and len(pairs) < len(set(options.pair)):
        arguments.error(f"--pair knows only {[':'.join(pair) for pair in every]}")
    if options.direct:
        pairs = [pair for pair in pairs if pair[0] == pair[1]]
    (HOME / "run").mkdir(parents=True, exist_ok=True)
    with open(HOME / "run" / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("interop: another run is under way in this target folder", file=sys.stderr)
            return 2
        if problem := ready(options.direct or options.self_test):
            print(f"interop: {problem}", file=sys.stderr)
            return 2
        if options.self_test:
            trials = self_test()
            print("\n".join(map(str, trials)))
            return 0 if all(trial.good for trial in trials) else 1
        start = time.monotonic()
        run = Run(Choice(options.only, options.quick), options.direct, pairs or every[:1])
        found = run.verdicts()
        print(report(found, run.comparison.rules, time.monotonic() - start, options.json))
        return 1 if not found or divided(found, run.comparison.rules)[0] else 0


if __name__ == "__main__":
    sys.exit(main())
