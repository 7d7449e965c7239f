#!/usr/bin/env python3
"""Braid beside the floor, beside nothing at all, and beside other proxies, in turns.

    benches/compare.py [--quick] [--rounds N] [--only ROW]... [--no-peers] [--without NAME]... [--no-build] [--json] [--write]

Builds Braid, the floor and `load`, installs the other proxies under target/bench-peers the first time, starts everything
on 127.0.0.1, and prints a table for each row. `--only` takes the beginning of a row's name and may be given several times;
`--rows` names them all. `--write` writes BENCHMARKS.md. The exit code is 0 when every figure of Braid and the floor counts, 1
when one is void (a wrong or lost answer, a floor that is none), 2 when the run could not start.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from proxies import HERE, OTHERS, OURS, PEERS, ROOT
from report import as_json, document, table
from rows import Bench, Row, rows
from scale import rows as scale_rows

ROUNDS, ROUNDS_QUICK = 5, 1
SECONDS, SECONDS_QUICK = 2.0, 1.0
GROWTH_CALLS, GROWTH_CALLS_QUICK = 1_000_000, 50_000
IDLE_SESSIONS = 1000
BUILD_SECONDS_MAX = 3600


def built() -> str | None:
    """Tells why the run cannot start."""
    for command in (
        ["cargo", "build", "--release", "--locked", "--bins"],
        ["cargo", "build", "--release", "--locked", "--manifest-path", str(HERE / "Cargo.toml")],
    ):
        done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, timeout=BUILD_SECONDS_MAX)
        if done.returncode != 0:
            return f"`{' '.join(command)}` ended with {done.returncode}"
    return None


def measured(chosen: list[Row], bench: Bench, quiet: bool) -> list[str]:
    """All rows, one after the other. Gives what makes the run void."""

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    for row in chosen:
        row.measure(bench, say)
        say("")
    return [problem for row in chosen if (problem := row.problem())]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", action="append", default=[], metavar="ROW")
    arguments.add_argument("--rows", action="store_true", help="name all rows")
    arguments.add_argument("--rounds", type=int, metavar="N", help=f"{ROUNDS} unless it is said")
    arguments.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast")
    arguments.add_argument("--no-peers", action="store_true", help="only direct, the floor and Braid")
    arguments.add_argument("--without", action="append", default=[], metavar="NAME", help="leave this one out, such as `fastmcp`")
    arguments.add_argument("--no-build", action="store_true", help="take all programs as they are, the other proxies too")
    arguments.add_argument("--json", action="store_true", help="one object on stdout")
    arguments.add_argument("--write", action="store_true", help="write BENCHMARKS.md")
    options = arguments.parse_args()
    # Whoever ends us wants all that we started to end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    every = [*rows(), *scale_rows()]
    if options.rows:
        print("\n".join(f"{row.key:24} {row.title}" for row in every))
        return 0
    if unknown := [only for only in options.only if not any(row.key.startswith(only) for row in every)]:
        arguments.error(f"--only knows no {unknown}; it knows {[row.key for row in every]}")
    chosen = [row for row in every if not options.only or any(row.key.startswith(only) for only in options.only)]
    PEERS.mkdir(parents=True, exist_ok=True)
    with open(PEERS / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("compare: another run is under way, and would share the machine", file=sys.stderr)
            return 2
        if not options.no_build and (problem := built()):
            print(f"compare: {problem}", file=sys.stderr)
            return 2
        if not options.no_peers and not options.no_build:
            subprocess.run([str(HERE / "peers" / "setup.sh")], stdout=sys.stderr, timeout=BUILD_SECONDS_MAX)
        if missing := [proxy.name for proxy in OURS if not proxy.present()]:
            print(f"compare: not built: {', '.join(missing)}", file=sys.stderr)
            return 2
        others = [] if options.no_peers else [proxy for proxy in OTHERS if proxy.present() and proxy.name not in options.without]
        for proxy in OTHERS:
            if not (options.no_peers or proxy in others or proxy.name in options.without):
                print(f"compare: {proxy} is not here and is left out", file=sys.stderr)
        folder = PEERS / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        bench = Bench(
            folder=folder,
            proxies=[*OURS, *others],
            seconds=SECONDS_QUICK if options.quick else SECONDS,
            rounds=options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS),
            growth_calls=GROWTH_CALLS_QUICK if options.quick else GROWTH_CALLS,
            idle_sessions=IDLE_SESSIONS,
        )
        start = time.monotonic()
        problems = measured(chosen, bench, options.json)
        seconds = time.monotonic() - start
    if options.write:
        words = [word for word in sys.argv[1:] if word not in ("--write", "--no-build", "--json")]
        command = " ".join(["benches/compare.py", *words])
        (ROOT / "BENCHMARKS.md").write_text(document(chosen, bench, problems, command, date.today().isoformat()))
    if options.json:
        print(json.dumps(as_json(chosen, bench, problems, seconds)))
    else:
        print("\n\n".join(table(row) for row in chosen))
        for problem in problems:
            print(f"VOID  {problem}")
        print(f"compare: {len(chosen)} rows, {len(problems)} void ({seconds:.0f} s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
