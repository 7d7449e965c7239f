#!/usr/bin/env python3
"""The configuration of one run, read anew again and again while clients call.

`reloads`: clients call servers that no edit touches, without a pause, while others are added, removed, replaced and filtered, by the
command, by SIGHUP and by the file alone in turn. Every call must be answered with its own sum, by the process that answered the first.
`broken`: files that cannot be taken, made by hand and by chance out of a good one, with the command or not. None may end the run or
touch what is served, and `status` must say what is wrong; each tenth time the good file is written back, and must be taken.

Needs the program (`cargo build`) and Python 3; the whole takes five minutes on two cores, what CI runs a few seconds.

    reloads.py [--reloads N] [--broken N] [--clients N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from rawhttp import Mcp, Socket
from serving import PROGRAM, Braid, Failed, expect, lives, soon

CALL_SECONDS_MAX = 60.0
# How long a change of the file may take to be seen and taken, on a machine that is busy with the calls.
SEEN_SECONDS_MAX = 30.0
# Processes of servers that were removed have their grace, and a moment to end.
GONE_SECONDS_MAX = 30.0

KEPT = '[servers.kept]\ncommand = "${braid}"\nargs = ["demo-server", "workshop"]\nprefix = "workshop"\n'


class Caller(threading.Thread):
    """One client that calls until it is told to stop, and counts."""

    def __init__(self, braid: Braid):
        super().__init__(daemon=True)
        self.client = Mcp(braid.port, braid.token, seconds=CALL_SECONDS_MAX).begin()
        self.over, self.calls, self.why = threading.Event(), 0, ""

    def run(self) -> None:
        try:
            with Socket(self.client.port, CALL_SECONDS_MAX) as connection:
                while not self.over.is_set():
                    self.client.add(connection)
                    self.calls += 1
        except Exception as error:  # noqa: BLE001: whatever it was, the call is lost
            self.why = repr(error)


def started(braid: Braid, clients: int) -> list[Caller]:
    callers = [Caller(braid) for _ in range(clients)]
    for caller in callers:
        caller.start()
    return callers


def end(callers: list[Caller]) -> None:
    """Each ends with the call that it is at; none of them was lost."""
    for caller in callers:
        caller.over.set()
    for caller in callers:
        caller.join(CALL_SECONDS_MAX)
        expect(not caller.is_alive() and not caller.why, f"a call is lost: {caller.why or 'no answer'}")


class Run:
    """A run and the commands that look after it."""

    def __init__(self, braid: Braid):
        self.braid, self.file = braid, braid.folder / "braid.toml"
        self.environment = os.environ | {"XDG_RUNTIME_DIR": str(braid.folder / "rt")}

    def command(self, *words: str) -> tuple[int, str, str]:
        words = (str(PROGRAM), *words, "--json", "--socket", str(self.braid.folder / "s.sock"))
        ended = subprocess.run(words, capture_output=True, text=True, env=self.environment, timeout=CALL_SECONDS_MAX)
        return ended.returncode, ended.stdout, ended.stderr

    def status(self) -> dict:
        code, out, err = self.command("status")
        expect(code == 0, f"status answers: {code} {err}")
        return json.loads(out)["instances"][0]

    def writes(self, text: bytes, *, over: bool) -> None:
        """Writes the file in place, or renames another over it."""
        if not over:
            self.file.write_bytes(text)
            return
        draft = self.file.with_suffix(".draft")
        draft.write_bytes(text)
        draft.rename(self.file)

    def names(self) -> list[str]:
        return [server["name"] for server in self.status()["servers"]]

    def reload(self) -> dict:
        code, out, err = self.command("reload")
        expect(code == 0, f"the file is taken: {code} {out} {err}")
        return json.loads(out)


def head(folder: Path) -> str:
    return f'[listen]\nhttp = ["127.0.0.1:0"]\n[admin]\nsocket = "{folder}/s.sock"\n'


def good(chance: random.Random, folder: Path, number: int) -> tuple[str, list[str]]:
    """A file that can be taken, and the servers in it; no two of them in a row are alike."""
    text, names = head(folder) + KEPT, ["kept"]
    for name in ("one", "two"):
        if chance.random() < 0.5:
            names.append(name)
            text += f'[servers.{name}]\ncommand = "${{braid}}"\nargs = ["demo-server", "notes"]\n'
            if chance.random() < 0.5:
                text += f'env = {{ ROUND = "{number}" }}\n'
            if chance.random() < 0.5:
                text += f'tools.deny = ["no{number}*"]\n'
    if chance.random() < 0.3:
        text += f'[groups.some]\nservers = {json.dumps(chance.sample(names, 1))}\n'
    return text + f"# {number}\n", names


def reloads(count: int, clients: int, chance: random.Random) -> None:
    braid = Braid("")
    braid.config = head(braid.folder) + KEPT
    with braid:
        run = Run(braid)
        kept = braid.child("workshop")
        callers = started(braid, clients)
        before = braid.memory_mib()
        begun = time.monotonic()
        for number in range(count):
            text, names = good(chance, braid.folder, number)
            run.writes(text.encode(), over=number % 2 == 0)
            way = ("command", "signal", "file")[0 if number % 10 else 1 + number // 10 % 2]
            match way:
                case "command":
                    run.reload()
                    if number % 7 == 0:
                        expect(run.names() == names, f"{names} are served")
                case "signal":
                    braid.process.send_signal(signal.SIGHUP)
                case "file":
                    pass
            if way != "command":
                soon(lambda: run.names() == names, f"{names} are served, by {way}", SEEN_SECONDS_MAX)
            for caller in callers:
                expect(not caller.why, f"after {number + 1} changes a call is lost: {caller.why}")
        took = time.monotonic() - begun
        end(callers)
        calls = sum(caller.calls for caller in callers)
        expect(all(caller.calls for caller in callers), "every client was served")
        expect(braid.child("workshop") == kept and lives(kept), "the server that nothing touched is the same process")
        text = head(braid.folder) + KEPT
        run.writes(text.encode(), over=True)
        run.reload()
        ours = lambda: [line for line in braid.descendants().values() if "demo-server" in line]
        soon(lambda: len(ours()) == 1, f"no process is left of the others: {ours()}", GONE_SECONDS_MAX)
        said = braid.log()
        expect("panicked" not in said, f"nothing panics: {said[-2000:]}")
        print(
            f"{count} changes, {calls} calls of {clients} clients, none lost, in {took:.0f} s;"
            f" memory {before:.0f} -> {braid.memory_mib():.0f} MiB"
        )


# What people and programs leave in files.
BROKEN = [
    b"",
    b"\x00" * 512,
    b"\xff\xfe\x00\x01 no text",
    b"\x7fELF\x02\x01\x01" + bytes(range(256)),
    b"[servers.a\n",
    b"servers = 1\n",
    b"[servers]\n",
    b'[servers.kept]\ncommand = "x"\ncomand = "y"\n',
    b'[servers.kept]\ncommand = "${NO_SUCH_VARIABLE}"\n',
    b'[servers.kept]\ncommand = "${file:/no/such/file}"\n',
    b'[servers.kept]\ncommand = "x"\nurl = "https://x"\n',
    b'[servers.kept]\ncommand = "x"\nenv_file = "nowhere"\n',
    b'[servers.kept]\ncommand = "x"\n[servers.kept]\ncommand = "y"\n',
    b'[groups.some]\nservers = ["nobody"]\n',
    b"<<<<<<< HEAD\n[servers]\n=======\n>>>>>>> theirs\n",
    b"{" * 100_000,
    b"a.b.c.d" * 20_000 + b" = 1\n",
    b"[[" * 50_000,
]


def broken(chance: random.Random, text: bytes) -> bytes:
    """One that was written to its half, or had an accident."""
    match chance.randrange(5):
        case 0:
            return chance.choice(BROKEN)
        case 1:
            return text[: chance.randrange(len(text))]
        case 2:
            at = chance.randrange(len(text))
            return text[:at] + bytes(chance.randrange(256) for _ in range(chance.randrange(1, 40))) + text[at:]
        case 3:
            wrong = bytearray(text)
            for _ in range(chance.randrange(1, 8)):
                wrong[chance.randrange(len(wrong))] = chance.randrange(256)
            return bytes(wrong)
        case _:
            at, to = sorted(chance.randrange(len(text)) for _ in range(2))
            return text[:at] + text[to:] + chance.choice([b"", b"\nnonsense = ", b"]]", b'"'])


def broken_ones(count: int, clients: int, chance: random.Random) -> None:
    braid = Braid("")
    # What accident makes of the head would need a restart, and is no matter here: the servers are.
    text = (head(braid.folder) + KEPT + 'tools.deny = ["never*"]\n').encode()
    braid.config = text.decode()
    with braid:
        run = Run(braid)
        kept = braid.child("workshop")
        callers = started(braid, clients)
        refused = taken = 0
        ways = BROKEN + [None] * max(0, count - len(BROKEN))
        for number, wrong in enumerate(ways[:count]):
            # By chance it may be a good one that is otherwise; then it is not what is looked for here.
            while wrong is None or is_good(wrong, run):
                wrong = broken(chance, text)
            if number % 25 == 24:
                run.file.unlink()
            else:
                run.writes(wrong, over=number % 2 == 0)
            code, _, err = run.command("reload")
            expect(code == 6, f"it is refused: {wrong[:200]!r}: {code} {err}")
            refused += 1
            if number % 10 == 9:
                bad = run.status()["reload"]
                expect(not bad["ok"] and bad["since"] and bad["text"], f"status says what is wrong: {bad}")
                expect(str(bad["code"]).startswith("BRAID-C"), f"and has a code for it: {bad}")
                run.writes(text, over=True)
                done = run.reload()
                expect(done["ok"] and done["unchanged"] == ["kept"], f"the good one is taken again: {done}")
                taken += 1
            expect(braid.process.poll() is None, f"the run goes on after {wrong[:200]!r}")
            for caller in callers:
                expect(not caller.why, f"a call is lost after {wrong[:200]!r}: {caller.why}")
        end(callers)
        expect(lives(kept) and braid.child("workshop") == kept, "the last good one serves on, by the same process")
        said = braid.log()
        expect("panicked" not in said, f"nothing panics: {said[-2000:]}")
        calls = sum(caller.calls for caller in callers)
        print(f"{refused} broken files refused, {taken} times mended, {calls} calls of {clients} clients, none lost")


def is_good(text: bytes, run: Run) -> bool:
    """Whether a start would take it."""
    draft = run.file.with_name("tried.toml")
    draft.write_bytes(text)
    words = (str(PROGRAM), "check", "--offline", "-c", str(draft))
    tried = subprocess.run(words, capture_output=True, env=run.environment, timeout=CALL_SECONDS_MAX)
    return tried.returncode != 6


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--reloads", type=int, default=1000, metavar="N", help="changes while clients call")
    arguments.add_argument("--broken", type=int, default=500, metavar="N", help="files that cannot be taken")
    arguments.add_argument("--clients", type=int, default=32, metavar="N")
    arguments.add_argument("--seed", type=int, default=0, metavar="N")
    asked = arguments.parse_args()
    try:
        if asked.reloads:
            reloads(asked.reloads, asked.clients, random.Random(asked.seed))
        if asked.broken:
            broken_ones(asked.broken, min(asked.clients, 4), random.Random(asked.seed))
    except Failed as why:
        print(f"reloads: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
