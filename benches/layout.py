#!/usr/bin/env python3
"""Writes layout.ld: which functions a run goes through, those of a call first and in the order of its path. build.rs says what for.

    benches/layout.py [--no-build]

Builds `braid` with its symbols and `load`, runs Braid under callgrind before servers over stdio and over HTTP, with clients
of both eras over HTTP and over stdio, and takes down every function that was called. Names are patterns without the hashes
that each compiler and each version puts into them, so that the file outlives both. What it does not know lies where the
linker puts it. Worth doing after much has changed, or when `compare.py --only memory` shows more than it did. Takes four minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from places import Target, environment, run
from proxies import MOCK, ROOT
from serving import Served, free_port

HERE = Path(__file__).resolve().parent
BUILT = ROOT / "target" / "layout"
BRAID = BUILT / "release" / "braid"
LAYOUT = ROOT / "layout.ld"
SERVERS, CALLS = 10, 2000
# As often at least a function calls another that is next on the path of a call. Not as often as there are calls: what comes
# together is taken together.
ON_PATH = CALLS // 10
# How much of what a pattern means is used, or it is called ballast.
USED_MIN = 0.3
VALGRIND = ["valgrind", "--tool=callgrind", "--demangle=no", "--dump-instr=yes", "--compress-pos=no"]
TOKEN = "0" * 44

HEAD = """/* Written by benches/layout.py: functions that a run goes through. See build.rs. */
SECTIONS { .text.used : {
"""
TAIL = """} }
INSERT BEFORE .text;
"""


def build() -> None:
    braid = ["cargo", "build", "--release", "--locked", "--bin", "braid", "--target-dir", str(BUILT), "--config", "profile.release.strip=false"]
    subprocess.run(braid, cwd=ROOT, check=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "--manifest-path", str(HERE / "Cargo.toml")], check=True)


def configured(folder: Path, port: int, remote: str) -> Path:
    """Ten servers over stdio, of both eras, and one over HTTP."""
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    lines = ["[listen]", f'http = ["127.0.0.1:{port}"]', f'token_file = "{token}"']
    for number in range(SERVERS):
        more = ', "--legacy-only"' if number % 2 else ""
        lines += [f"[servers.s{number}]", f'command = "{MOCK}"', f'args = ["stdio", "--name", "s{number}"{more}]']
    lines += ["[servers.remote]", f'url = "{remote}"']
    config = folder / "braid.toml"
    config.write_text("\n".join(lines) + "\n")
    return config


def watched() -> tuple[Path, list[Path]]:
    """What callgrind wrote of a run over HTTP, and of those over stdio."""
    folder = BUILT / "run"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("callgrind.*"):
        old.unlink()
    port, remote = free_port(), free_port()
    tools = [f"s{number}__work" for number in range(SERVERS)] + ["remote__work"]
    out = lambda name: f"--callgrind-out-file={folder}/callgrind.{name}"
    words = lambda era, *more: ["--era", era, "--calls", str(CALLS), *more]
    with ExitStack() as stack:
        stack.enter_context(Served([str(MOCK), "http", "--listen", f"127.0.0.1:{remote}", "--name", "remote"], remote, folder / "mock.log", environment(), folder))
        config = configured(folder, port, f"http://127.0.0.1:{remote}/mcp")
        serve = [*VALGRIND, out("http"), str(BRAID), "serve", "--config", str(config)]
        stdio = " ".join([*VALGRIND, out("stdio.%p"), str(BRAID), "stdio", "--config", str(config)])
        stack.enter_context(Served(serve, port, folder / "braid.log", environment(), folder))
        over_http = Target(["--http", f"http://127.0.0.1:{port}/mcp"], tools, {"Authorization": f"Bearer {TOKEN}"})
        over_stdio = Target(["--stdio", stdio], tools)
        for era in ("legacy", "modern"):
            for target in (over_http, over_stdio):
                run(target, words(era), 60.0)
                run(target, words(era, "--in-flight", "8", "--notes", "1"), 60.0)
            run(over_http, words(era, "--method", "tools/list"), 60.0)
    return folder / "callgrind.http", sorted(folder.glob("callgrind.stdio.*"), key=lambda file: int(file.suffix[1:]))


def own() -> dict[str, int]:
    """The functions of the program, and how many bytes each has."""
    listed = subprocess.run(["nm", "-S", "--defined-only", str(BRAID)], capture_output=True, text=True, check=True).stdout
    fields = [line.split() for line in listed.splitlines()]
    return {name: int(size, 16) for _, size, kind, name in (one for one in fields if len(one) == 4) if kind in "tTwW"}


class Run:
    """What was called in a run: each function how often, and by each which others again and again, from its beginning to its end."""

    def __init__(self, file: Path) -> None:
        self.calls: Counter[str] = Counter()
        self.callees: dict[str, list[str]] = {}
        sites: dict[str, Counter[tuple[int, str]]] = {}
        names: dict[str, str] = {}
        caller, callee, count = "", "", 0
        for line in file.read_text().splitlines():
            if found := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?$", line):
                called, number, text = found.groups()
                if text:
                    # Where a function calls itself, callgrind counts each depth apart.
                    names[number] = text.split("'")[0]
                name = names.get(number, "")
                caller, callee = (caller, name) if called else (name, callee)
                self.calls[name] += 0
            elif found := re.match(r"calls=(\d+)", line):
                count = int(found.group(1))
                self.calls[callee] += count
            elif count and (found := re.match(r"0x([0-9a-f]+) ", line)):
                sites.setdefault(caller, Counter())[int(found.group(1), 16), callee] += count
                count = 0
        for caller, places in sites.items():
            self.callees[caller] = list(dict.fromkeys(name for (at, name), count in sorted(places.items()) if count >= ON_PATH))

    def path(self, often: set[str]) -> list[str]:
        """Those that are called often, each behind the one that calls it first."""
        path: dict[str, None] = {}
        inner = {callee for caller, callees in self.callees.items() if caller in often for callee in callees if callee != caller}
        # A path begins where nothing else of a call leads to. What is left calls one another in a circle.
        for start in sorted(often & self.calls.keys(), key=lambda name: (name in inner, -self.calls[name], name)):
            self.follow(start, often, path)
        return list(path)

    def follow(self, name: str, often: set[str], path: dict[str, None]) -> None:
        ahead = [name]
        while ahead:
            name = ahead.pop()
            if name not in path:
                path[name] = None
                ahead += [callee for callee in reversed(self.callees.get(name, [])) if callee in often]


def pattern(name: str) -> str | None:
    """The section of a function, without hashes. Those that are called cold have one word more in it."""
    if found := re.match(r"(_ZN.*17h)[0-9a-f]{16}E", name):
        return f".text*.{found.group(1)}*"
    if name.startswith("_R"):
        return ".text*." + re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", re.sub(r"\.\d+$", "*", name))
    return f".text*.{name}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else None


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--no-build", action="store_true", help="take the programs as they are")
    if not arguments.parse_args().no_build:
        build()
    served, piped = watched()
    sizes = own()
    runs = [Run(file) for file in [*piped, served]]
    calls = sum((one.calls for one in runs), Counter())
    known = {name for one in runs for name in one.calls if name in sizes}
    often = {name for name in known if calls[name] >= CALLS}
    paths = dict.fromkeys(name for one in runs for name in one.path(often))
    # What a call goes through lies in its order: it takes as little as possible of what a processor has nearest. The rest is in
    # the order of its names: what belongs together lies together, and a new layout differs little from the old one.
    over_http = runs[-1].calls
    ordered = [*paths, *sorted(known - paths.keys(), key=lambda name: (name not in often, name not in over_http, name))]
    whole, used = Counter(), Counter()
    for name, size in sizes.items():
        whole[pattern(name)] += size
        used[pattern(name)] += size if name in known else 0
    patterns = [one for one in dict.fromkeys(map(pattern, ordered)) if one]
    # Of those that differ in their types alone all come along: where that is mostly ballast, at the end.
    patterns.sort(key=lambda one: used[one] < USED_MIN * whole[one])
    LAYOUT.write_text(HEAD + "".join(f"*({one})\n" for one in patterns) + TAIL)
    print(f"layout: {len(ordered)} functions, {len(often)} of them of calls; {sum(whole[one] for one in patterns) >> 10} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
