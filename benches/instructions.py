#!/usr/bin/env python3
"""How many instructions one request takes on its way through us and back, and whether that has risen.

Counted by callgrind over two runs, one with twice as many requests as the other: the difference is what the requests
took, and nothing of what is made once. Client, Braid and server are one thread, in memory, with one request in flight and
ids of one length, so the work is the same each time, whatever else the machine does. What is left to chance are the seeds
of hash maps and when the clock's hand moves on: less than half a percent.

The numbers are compared with `instructions.json`, which holds those of one toolchain and processor. On any other the commit
before is built and counted instead: HEAD, if something is not committed, else its parent.

  instructions.py              count and compare; fails if a case has risen by more than 3 %
  instructions.py --write      count, and keep that as what to compare with
  instructions.py --only CASE  this case alone

Needs cargo, valgrind and git, and no package beyond Python's own.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches/instructions.json"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()
KEPT = TARGET / "instructions"

# The eras of client and server over stdio; over HTTP, of both; and a list that is made.
CASES = [
    "handshake-handshake",
    "stateless-stateless",
    "handshake-stateless",
    "stateless-handshake",
    "http-handshake",
    "http-stateless",
    "list",
]
REQUESTS = 400
RISE_MAX = 0.03

# By which libraries choose between two ways to do something, as far as the emulated processor may have them.
FEATURES = set("ssse3 sse4_1 sse4_2 popcnt pclmulqdq aes avx avx2 bmi1 bmi2 fma f16c erms rdrand asimd".split())


def main():
    style = argparse.RawDescriptionHelpFormatter
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--only", choices=CASES)
    arguments = arguments.parse_args()
    if arguments.write and arguments.only:
        sys.exit("what is kept is of all cases: --write stands alone")
    cases = [arguments.only] if arguments.only else CASES

    now = counted(built(ROOT, "now"), cases)
    toolchain = key()
    if arguments.write:
        BASELINE.write_text(json.dumps({toolchain: now}, indent=2) + "\n")
        report(now, {})
        return 0
    before = json.loads(BASELINE.read_text()).get(toolchain) if BASELINE.exists() else None
    if before is None:
        print(f"nothing is kept for {toolchain}: the commit before is counted")
        before = counted_before(cases)
    return report(now, before)


def report(now, before):
    """A line for each case; 1 if one has risen by too much."""
    risen = []
    for case, count in now.items():
        was = before.get(case)
        change = count / was - 1 if was else None
        print(f"{case:22} {count:9,}" + (f"  was {was:9,}  {change:+7.2%}" if was else ""))
        if change is not None and change > RISE_MAX:
            risen.append(f"{case} by {change:.1%}, {count - was:,} instructions per request")
    for line in risen:
        print(f"risen by more than {RISE_MAX:.0%}: {line}", file=sys.stderr)
    if risen:
        print("if that is as it must be: benches/instructions.py --write", file=sys.stderr)
    return 1 if risen else 0


def counted(program, cases):
    """Instructions per request."""
    def each(case):
        return round((total(program, case, 2 * REQUESTS) - total(program, case, REQUESTS)) / REQUESTS)

    return {case: each(case) for case in cases}


def total(program, case, requests):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, case, str(requests)]
    # Nothing of the environment: its length moves the stack.
    run = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not found:
        sys.exit(f"{case}: {run.stderr}")
    return int(found[1])


def built(root, name):
    """The program of the commit in `root`, kept under this name."""
    crate = root / "benches/instructions"
    # The versions that the crate itself is built with. Cargo takes out of it what is not needed.
    shutil.copy(root / "Cargo.lock", crate / "Cargo.lock")
    environment = {key: value for key, value in os.environ.items() if not key.endswith("RUSTFLAGS")}
    manifest = str(crate / "Cargo.toml")
    build = ["cargo", "build", "--release", "--quiet", "--manifest-path", manifest, "--target-dir", str(TARGET)]
    subprocess.run(build, env=environment, check=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    return shutil.copy(TARGET / "release/instructions", KEPT / name)


def counted_before(cases):
    """The same of the commit before; nothing, if it has no such program or there is none."""
    tree, commit = KEPT / "before", "the commit before"
    discard(tree)
    try:
        is_changed = said(["git", "status", "--porcelain", "--", "src", "benches", "Cargo.toml", "Cargo.lock"])
        commit = "HEAD" if is_changed else "HEAD^"
        said(["git", "worktree", "add", "--quiet", "--detach", "--force", str(tree), commit])
        if not (tree / "benches/instructions/Cargo.toml").exists():
            print(f"{commit} has no such program: there is nothing to compare with")
            return {}
        return counted(built(tree, "then"), cases)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{commit} cannot be had: there is nothing to compare with\n{getattr(error, 'stderr', None) or error}")
        return {}
    finally:
        discard(tree)


def discard(tree):
    if tree.exists():
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, capture_output=True)
        shutil.rmtree(tree, ignore_errors=True)


def key():
    """What the numbers depend on beside our code."""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    features = sorted(FEATURES.intersection(flags[1].split() if flags else []))
    tools = [said(["rustc", "--version"]), said(["valgrind", "--version"]), " ".join(platform.libc_ver())]
    return ", ".join([*tools, platform.machine(), " ".join(features)])


def said(command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
