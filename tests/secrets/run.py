#!/usr/bin/env python3
"""No secret shows (C-01, C-05, C-06, C-07, H-07): a canary in every place that may hold one, everything that Braid says at level trace, and a search.

    run.py                  all acts; half a minute; needs the program (`cargo build`)
    run.py --seed N         with the canaries of the run that said so
    run.py --only ACT ...   some of them, without saying that what belongs somewhere is there
    run.py --selftest       nothing but the proof that what is planted is found, in each form; every run begins with it

Searched is what each command prints, the log, the audit, metrics, status, what clients are answered, command lines, environments of children, what remote
servers are sent, and every file that Braid writes. A piece of a canary of eight characters is a find, as it is or in hex, base64, percent escapes, JSON or
numbers. Where a secret belongs, the act says so by name, and there it must be: otherwise nothing would be proved by not finding it elsewhere.
No find is shown: only where it is, and of which slot.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True

import canaries
import settings
from acts import ACTS as OTHER_ACTS
from canaries import Hunt
from logins import logins, provider
from stage import GIVEN_BY, PROGRAM, ROOT, Stage

ACTS = OTHER_ACTS | {"logins": logins, "provider": provider}
SHOWN_MAX = 40
# Slots whose values are made while it runs.
MINTED = {"session of a client", *(f"{issuer}, {what}" for issuer, all in GIVEN_BY.items() for what in all)}
# What Braid writes, and where a secret may be in it.
WRITTEN = ("state", "config", "cache", "run")


def gather(stage: Stage) -> None:
    """What lies around when all is done."""
    for folder in WRITTEN:
        for file in stage.folder.joinpath(folder).rglob("*"):
            # What logins give belongs there; it is looked at while they last.
            if file.is_file() and file.name != "logins.json":
                stage.keep("files that Braid wrote", file.read_bytes())
    given = {
        "near.environ": ("env, written", "env, ${NAME}", "env, ${env:NAME}", "env, ${file:}", "env, default", "env_file", "inherit_env", "result"),
        "near.cmdline": ("args, written", "args, ${NAME}", "args, ${file:}"),
        # A server that ends at its start is given what it says, and one variable more.
        "dies.environ": ("words on stderr", "env, written"),
        "loud.environ": ("words on stderr", "words on stdout"),
        "printer.cmdline": ("headers_command, args",),
        "loud.calls": ("client, arguments", "client, telltale arguments"),
        "near.calls": ("client, arguments", "client, telltale arguments", "tool defaults", "tool defaults, hidden"),
    }
    for file in sorted(stage.seen.iterdir()):
        kind = file.suffix.removeprefix(".")
        stage.keep(f"servers' own {kind}: {file.stem}", file.read_bytes(), *given.get(file.name, ()))
    sent = defaultdict(bytes)
    for how, text in stage.far.sent:
        sent[how] += text + b"\n"
    for how, text in sent.items():
        stage.keep(f"what remote servers are sent: {how or 'a proxy'}", text, *sent_to(how))


def sent_to(how: str) -> tuple[str, ...]:
    """What belongs into the requests to a remote server that behaves like this; `""`: through a proxy."""
    slots = ["headers, written", "headers, ${NAME}", "headers, ${file:}", "url, query", "url, query ${NAME}", "url, path ${NAME}"]
    if how == "good" or how.startswith("late"):
        slots += ["session of a server", "client, arguments", "client, telltale arguments"]
    if how in ("good", "late401"):
        slots.append("headers_command, printed")
    return (*slots, *{"moved": ("session of a server",), "": ("proxy password", "session of a server"), "echowords": ("typed",)}.get(how, ()))


def judge(stage: Stage, whole: bool) -> int:
    hunt = Hunt()
    for slot in stage.slots.values():
        hunt.add(slot.name, slot.values if slot.name not in MINTED else stage.minted.get(slot.name, ()))
    places: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    cells: dict[tuple[str, str], str] = defaultdict(lambda: ".")
    hits: Counter[tuple[str, str, str]] = Counter()
    belongs: dict[tuple[str, str], bool] = {}
    for place, data, may in stage.outputs:
        kind = place.split(":")[0]
        places[kind][0] += 1
        places[kind][1] += len(data)
        found = hunt.finds(data)
        for slot in may:
            belongs[place, slot] = belongs.get((place, slot), False) or any(find.slot == slot for find in found)
        for find in found:
            if find.slot in may:
                cells[find.slot, kind] = "+" if cells[find.slot, kind] == "." else cells[find.slot, kind]
            else:
                cells[find.slot, kind] = "!"
                hits[place, find.slot, find.form] += 1
    table(stage, places, cells)
    for (place, slot, form), count in sorted(hits.items())[:SHOWN_MAX]:
        print(f"SHOWN  {slot} ({stage.slots[slot].where}) in {place}, {form}, {count} times")
    if len(hits) > SHOWN_MAX:
        print(f"and {len(hits) - SHOWN_MAX} more")
    absent = sorted(key for key, there in belongs.items() if not there and not may_lack(*key)) if whole else []
    for place, slot in absent:
        print(f"ABSENT {slot} is not in {place}, where it belongs: nothing is proved by not finding it")
    size = sum(len(data) for _, data, _ in stage.outputs)
    print(f"secrets: {len(stage.slots)} slots, {len(stage.outputs)} outputs, {size:,} bytes searched; {sum(hits.values())} finds where none may be, {len(absent)} absent")
    return 1 if hits or absent else 0


def may_lack(place: str, slot: str) -> bool:
    """What a server says by itself may come too late for a short command, a connection that was lost takes no call, and a server that
    is slow to start misses the calls of the door that lives for seconds only."""
    late = ("what remote servers are sent: late", "answers to clients: stdio", "servers' own calls: loud")
    return slot.startswith("words on ") or place.startswith(late)


def table(stage: Stage, places: dict[str, list[int]], cells: dict[tuple[str, str], str]) -> None:
    kinds = sorted(places)
    names = {kind: f"{at + 1:>3}" for at, kind in enumerate(kinds)}
    for kind in kinds:
        count, size = places[kind]
        print(f"{names[kind]}  {kind:<62} {count:>6} outputs {size:>12,} bytes")
    print("\n+ where it belongs   . not there   ! shown\n")
    print(f"{'':<32}" + "".join(names[kind] for kind in kinds))
    for slot in stage.slots:
        print(f"{slot:<32}" + "".join(f"{cells[slot, kind]:>3}" for kind in kinds))
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selftest", action="store_true")
    parser.add_argument("--only", action="append", choices=sorted(ACTS), default=[])
    parser.add_argument("--keep", action="store_true", help="the folder of the run stays, with all that was searched; it is said where")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="makes the canaries of another run, and so what is broken, once more")
    how = parser.parse_args()
    print(f"secrets: --seed {how.seed}", flush=True)
    canaries.CHANCE.seed(how.seed)
    if missed := canaries.selftest():
        sys.exit("secrets: the search does not find what was planted:\n" + "\n".join(missed))
    if how.selftest:
        print("secrets: what was planted is found in each form")
        return 0
    stage = Stage()
    if wrong := settings.undecided(ROOT / "src" / "config" / "schema.rs", set(stage.slots)):
        sys.exit("secrets: " + "\n".join(wrong))
    if not PROGRAM.exists():
        sys.exit(f"secrets: {PROGRAM} is not there; `cargo build`")
    try:
        acts = {name: act for name, act in ACTS.items() if name in (how.only or ACTS)}

        def timed(name: str) -> None:
            start = time.monotonic()
            acts[name](stage)
            print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr)

        with ThreadPoolExecutor(len(acts)) as many:
            list(many.map(timed, acts))
        gather(stage)
        if how.keep:
            for at, (place, data, _) in enumerate(stage.outputs):
                stage.file(f"outputs/{at:04} {place.replace('/', '_')[:150]}", "").write_bytes(data)
        return judge(stage, not how.only)
    finally:
        if how.keep:
            print(stage.folder, file=sys.stderr)
        else:
            stage.end()


if __name__ == "__main__":
    sys.exit(main())
