"""The run's own test: a stand-in that loses nothing is equal everywhere, and each loss is found wherever it happens.

The stand-in writes down every place where its loss changed something. The comparison must call exactly those different.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from compare import Comparison, Verdict
from peers import HERE, HOME, peers
from record import Record, record_braid, record_direct
from standin import LOSSES

# The first two show every loss of text; the third starts slowly and is there for what happens in time.
KEYS = ("quirky", "calc-low", "progress")
TIMELY = ("", "progress", "cancel", "notes")
REVISION = "2025-11-25"
STAND_IN = [sys.executable, str(HERE / "standin.py")]


@dataclass
class Trial:
    """One loss: what it did, what was found, and whether these agree."""

    loss: str
    done: set[str]
    found: set[str]

    @property
    def good(self) -> bool:
        if self.loss in ("pages", "arguments"):
            # What is never listed cannot be called either, and a changed URI comes back in more answers than the echo.
            return bool(self.done) and self.done <= self.found
        return self.done == self.found and bool(self.done) == bool(self.loss)

    def __str__(self) -> str:
        name = self.loss or "nothing"
        if self.good:
            return f"self-test: loses {name}: {len(self.done)} places, all found"
        return f"self-test: loses {name}: not found {sorted(self.done - self.found)}; without cause {sorted(self.found - self.done)}"


def mark(verdict: Verdict) -> str:
    return f"list {verdict.label} {verdict.server}" if verdict.label.endswith("/list") else f"id {verdict.id_text}"


def trial(loss: str, direct: dict[str, Record], number: int) -> Trial:
    chosen = [peer for peer in peers() if peer.key in KEYS and (loss in TIMELY or peer.key != "progress")]
    folder = HOME / "run" / f"s{number:02d}"
    log = HOME / "run" / f"loss-{number:02d}.log"
    log.unlink(missing_ok=True)
    os.environ["INTEROP_GATHER"] = "2" if loss == "pages" else "30"
    env = {"LOSE": loss, "LOSS_LOG": str(log)}
    records, faults = record_braid(STAND_IN, chosen, REVISION, folder, {peer.key: direct[peer.key] for peer in chosen}, env)
    comparison = Comparison()
    verdicts = [v for peer in chosen for v in comparison.records(direct[peer.key], records[peer.key])]
    done = set(log.read_text().splitlines()) if log.exists() else set()
    found = {mark(v) if v.kind != "session" else f"session {v.server} {v.details}" for v in verdicts if not v.equal}
    if loss != "cancel":
        # Of a cancelled call only what became of it counts, and other losses may or may not reach it.
        aside = {mark(v) for v in verdicts if v.kind == "cancel"}
        done, found = done - aside, found - aside
    return Trial(loss, done, found | {fault for fault in faults if loss != "pages"})


def self_test() -> list[Trial]:
    chosen = [peer for peer in peers() if peer.key in KEYS]
    direct = {peer.key: record_direct(peer, REVISION, HOME / "run" / "s-d") for peer in chosen}
    trials = [trial(loss, direct, number) for number, loss in enumerate(["", *LOSSES, "pages", "blocks", "cancel", "notes"])]
    os.environ.pop("INTEROP_GATHER", None)
    return trials


if __name__ == "__main__":
    from record import install_scripts

    install_scripts()
    results = self_test()
    for result in results:
        print(result)
    sys.exit(0 if all(result.good for result in results) else 1)
