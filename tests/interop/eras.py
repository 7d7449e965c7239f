"""The flows across eras: clients and servers with a session and without one, on real SDKs, each pair with Braid between.

    tests/interop/flows.py --eras some|all [--only NAME]... [--at-least N] [--json]

An endpoint is an SDK, what it wants to speak and its transport: `py2-modern:http`. Where both of a pair speak one era and one
transport, the same two are tried directly in the same run. Where they have no direct counterpart, each is tried directly with a
few of its own era and transport (`--eras all`: with all of them): what works with none of those, it lacks. All else must work
through Braid and mean on the client's side what `eraparts.py` says, but for what `eras_impossible.json` calls impossible, with
the section that makes it so. What a server's death means is Braid's alone and always owed.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from eraparts import FEATURES, LEGACY, MODERN, OWED, Eras, parts_of
from flowparts import Part, Trace
from flowsession import Seen, Way, aligned, named, session
from names import Exposure
from peers import HERE
from spans import clip

REVISION = "2026-07-28"
IMPOSSIBLE = json.loads((HERE / "eras_impossible.json").read_text())["cells"]
STDIO_HTTP, ALL_THREE = ("stdio", "http"), ("stdio", "http", "sse")
# What speaks which transports. `auto` asks before it decides; before Braid that is the era without a session.
CLIENT_ENDS = {
    "py1-legacy": ALL_THREE,
    "ts1-legacy": ALL_THREE,
    "py2-legacy": STDIO_HTTP,
    "ts2-legacy": STDIO_HTTP,
    "rmcp-legacy": STDIO_HTTP,
    "py2-auto": STDIO_HTTP,
    "py2-modern": STDIO_HTTP,
    "ts2-auto": STDIO_HTTP,
    "ts2-modern": STDIO_HTTP,
    "rmcp-auto": STDIO_HTTP,
    "rmcp-modern": STDIO_HTTP,
}
# `py2` serves both eras, and Braid is told which to speak; the others serve one.
SERVER_ENDS = {
    "py1-legacy": ALL_THREE,
    "ts1-legacy": ALL_THREE,
    "py2-legacy": STDIO_HTTP,
    "ts2-legacy": STDIO_HTTP,
    "rmcp-legacy": STDIO_HTTP,
    "py2-modern": STDIO_HTTP,
    "ts2-modern": STDIO_HTTP,
    "rmcp-modern": STDIO_HTTP,
}
# These serve both: Braid must be told not to ask.
BOTH = ("py2-legacy", "ts2-legacy")
# Whom an endpoint without a direct counterpart is tried with, beside its own SDK.
STEADY = {("client", LEGACY): "py1-legacy", ("client", MODERN): "py2-modern", ("server", LEGACY): "ts1-legacy", ("server", MODERN): "py2-modern"}
DETAILS_MAX = 3
AT_ONCE = 4


@dataclass(frozen=True)
class End:
    name: str
    transport: str

    @property
    def era(self) -> str:
        return LEGACY if self.name.endswith(LEGACY) else MODERN

    @property
    def sdk(self) -> str:
        return self.name.rpartition("-")[0]

    def __str__(self) -> str:
        return f"{self.name}:{self.transport}"


@dataclass(frozen=True)
class Pair:
    client: End
    server: End

    @property
    def direct(self) -> bool:
        """Whether the two can speak with each other."""
        return self.client.era == self.server.era and self.client.transport == self.server.transport

    def __str__(self) -> str:
        return f"{self.client} > {self.server}"

    @property
    def folder(self) -> str:
        return f"{self.client}-{self.server}".replace(":", "-")


def ends(table: dict[str, tuple[str, ...]]) -> list[End]:
    return [End(name, transport) for name, transports in table.items() for transport in transports]


CLIENT_SIDE, SERVER_SIDE = ends(CLIENT_ENDS), ends(SERVER_ENDS)
EVERY = [Pair(client, server) for client in CLIENT_SIDE for server in SERVER_SIDE]


def end(text: str) -> End:
    return End(*text.split(":"))


# A pair a line: the client, then the server, each with its transport.
SOME = """
py1-legacy:stdio > rmcp-legacy:stdio
py1-legacy:stdio > ts2-modern:http
py1-legacy:http > ts2-legacy:http
py1-legacy:http > py2-modern:stdio
py1-legacy:sse > ts1-legacy:http
py1-legacy:sse > rmcp-modern:stdio
ts1-legacy:stdio > ts2-legacy:stdio
ts1-legacy:stdio > py2-modern:stdio
ts1-legacy:http > rmcp-legacy:stdio
ts1-legacy:http > rmcp-modern:stdio
ts1-legacy:sse > py2-legacy:stdio
ts1-legacy:sse > ts2-modern:http
py2-legacy:stdio > py1-legacy:stdio
py2-legacy:stdio > ts2-modern:stdio
py2-legacy:http > py1-legacy:http
py2-legacy:http > rmcp-modern:http
ts2-legacy:stdio > ts1-legacy:sse
ts2-legacy:stdio > py2-legacy:http
ts2-legacy:http > py1-legacy:sse
ts2-legacy:http > rmcp-modern:stdio
rmcp-legacy:stdio > py1-legacy:stdio
rmcp-legacy:stdio > ts1-legacy:stdio
rmcp-legacy:http > ts2-legacy:stdio
rmcp-legacy:http > py2-modern:http
py2-modern:stdio > ts1-legacy:sse
py2-modern:stdio > ts2-legacy:http
py2-modern:http > py1-legacy:http
py2-modern:http > ts2-modern:stdio
ts2-auto:stdio > py2-legacy:stdio
ts2-auto:stdio > rmcp-modern:http
ts2-auto:http > ts1-legacy:http
ts2-auto:http > rmcp-legacy:http
ts2-modern:stdio > rmcp-legacy:http
ts2-modern:stdio > rmcp-modern:stdio
ts2-modern:http > py1-legacy:sse
ts2-modern:http > py2-modern:http
rmcp-modern:stdio > py2-legacy:http
rmcp-modern:stdio > py2-modern:stdio
rmcp-modern:http > ts1-legacy:stdio
rmcp-modern:http > ts2-modern:http
"""
# What only `--eras all` tries: these ask first and then speak as one of the others does.
AFTER_ASKING = ("py2-auto", "rmcp-auto")

SAMPLE = [Pair(end(left), end(right)) for left, right in (line.split(" > ") for line in SOME.strip().splitlines())]


def amiss() -> str:
    """What the sample leaves out: each endpoint stands in it twice, and each era over each transport meets each other one.

    HTTP+SSE on both sides is of one era, and `flows.py --pair sse:sse` has it.
    """
    for side, all_of in (("client", CLIENT_SIDE), ("server", SERVER_SIDE)):
        for one in all_of:
            count = sum(getattr(pair, side) == one for pair in SAMPLE)
            if count < 2 and one.name not in AFTER_ASKING:
                return f"{one} is the {side} of {count} pairs in the sample"
    kinds = lambda pair: (pair.client.era, pair.client.transport, pair.server.era, pair.server.transport)
    missing = {kinds(pair) for pair in EVERY} - {kinds(pair) for pair in SAMPLE} - {(LEGACY, "sse", LEGACY, "sse")}
    return f"no pair of the sample is {missing}" if missing else ""


# --- what is tried ---------------------------------------------------------------------------------------------------


@dataclass
class Tried:
    """One part of a pair: `works`, `lacks`, `impossible` or `FAILS`, and why."""

    feature: str
    name: str
    verdict: str
    why: list[str] = field(default_factory=list)


@dataclass
class Judged:
    pair: Pair
    parts: list[Tried]

    def of(self, feature: str) -> list[Tried]:
        return [part for part in self.parts if part.feature == feature]


def eras_of(pair: Pair) -> Eras:
    return Eras(pair.client.era, pair.server.era, pair.server.transport)


def counterparts(pair: Pair, everything: bool) -> list[Pair]:
    """Direct pairs that show what the two can do by themselves."""
    if pair.direct:
        return [pair]
    mine = [one for one in SERVER_SIDE if (one.era, one.transport) == (pair.client.era, pair.client.transport)]
    theirs = [one for one in CLIENT_SIDE if (one.era, one.transport) == (pair.server.era, pair.server.transport)]
    if not everything:
        mine = chosen(mine, pair.client, STEADY["server", pair.client.era])
        theirs = chosen(theirs, pair.server, STEADY["client", pair.server.era])
    return [Pair(pair.client, one) for one in mine] + [Pair(one, pair.server) for one in theirs]


def chosen(peers: list[End], to: End, steady: str) -> list[End]:
    """One of the same SDK, the first that there is, and the one that knows most."""
    own = next((one for one in peers if one.sdk == to.sdk and one.name.rpartition("-")[2] != "auto"), None)
    return [one for one in peers if one == own or one.name == steady]


def directly(pair: Pair, folder: Path, features: list[str]) -> Seen:
    transport = pair.client.transport
    parts = [part for part in parts_of(eras_of(pair)) if part.flow in features]
    return astray(pair, session(pair.client.name, pair.server.name, parts, folder / f"{pair.folder}-direct", Way(Exposure(""), transport, transport), []))


def through_braid(pair: Pair, parts: list[Part], folder: Path) -> Seen:
    more = ('protocol = "handshake"',) if pair.server.name in BOTH else ()
    way = Way(Exposure(pair.server.name), pair.client.transport, pair.server.transport, behind=(pair.server.name,), more=more)
    return astray(pair, session(pair.client.name, pair.server.name, parts, folder / f"{pair.folder}-braid", way, ["die"]))


def astray(pair: Pair, seen: Seen) -> Seen:
    """A session in which one side spoke another era than it was to is none."""
    # A server that is slow to say what it knows may be asked to shake hands meanwhile, and refuse.
    shaken = any(re.search(r'"method"\s*:\s*"notifications/initialized"', line) for line in seen.wire if line.startswith(">"))
    if seen.negotiated and (seen.negotiated == REVISION) != (pair.client.era == MODERN):
        return Seen(fault=f"the client speaks {seen.negotiated}")
    if seen.traces and shaken != (pair.server.era == LEGACY):
        return Seen(fault=f"the server was {'' if shaken else 'not '}initialized")
    return seen


def at(seen: Seen, parts: list[Part], part: Part) -> Trace | None:
    number = next((number for number, one in enumerate(parts) if (one.flow, one.name) == (part.flow, part.name)), len(seen.traces))
    return seen.traces[number] if number < len(seen.traces) else None


def impossible(part: Part, eras: Eras) -> str:
    for cell in IMPOSSIBLE:
        named_ones = {"client": eras.client, "server": eras.server}
        if cell["feature"] == part.flow and all(cell.get(side, era) == era for side, era in named_ones.items()):
            return cell["why"]
    return ""


class Run:
    def __init__(self, pairs: list[Pair], features: list[str], folder: Path, everything: bool, at_once: int):
        self.pairs, self.features, self.folder, self.everything, self.at_once = pairs, features, folder, everything, at_once
        self.direct: dict[Pair, Seen] = {}

    def judged(self) -> list[Judged]:
        wanted = list(dict.fromkeys(one for pair in self.pairs for one in counterparts(pair, self.everything)))
        with ThreadPoolExecutor(self.at_once) as pool:
            direct = [pool.submit(directly, pair, self.folder, self.features) for pair in wanted]
            braid = [pool.submit(through_braid, pair, self.parts(pair), self.folder) for pair in self.pairs]
            self.direct = {pair: future.result() for pair, future in zip(wanted, direct)}
            return [Judged(pair, self.verdicts(pair, future.result())) for pair, future in zip(self.pairs, braid)]

    def parts(self, pair: Pair) -> list[Part]:
        return [part for part in parts_of(eras_of(pair)) if part.flow in self.features]

    def verdicts(self, pair: Pair, right: Seen) -> list[Tried]:
        parts = self.parts(pair)
        return [self.verdict(pair, part, right, parts) for part in parts]

    def verdict(self, pair: Pair, part: Part, right: Seen, parts: list[Part]) -> Tried:
        trace = at(right, parts, part)
        wrong = right.fault or "not reached" if trace is None else part.check(trace) or named(trace, pair.server.name)
        as_said = lambda verdict, *why: Tried(part.flow, part.name, verdict, [*why, *([f"through Braid: {wrong}"] if wrong else [])])
        if why := impossible(part, eras_of(pair)):
            return as_said("impossible", why) if wrong else as_said("FAILS", "works, and is said to be impossible")
        if not wrong:
            return as_said("works")
        if broken := next((f"directly, {one}: {self.direct[one].fault}" for one in counterparts(pair, self.everything) if self.direct[one].fault), ""):
            # A session that breaks off says nothing about what a peer lacks.
            return as_said("FAILS", broken)
        if trace is not None and (part.flow, part.name) not in OWED and (lack := self.lacks(pair, part)):
            return as_said("lacks", lack)
        return as_said("FAILS")

    def lacks(self, pair: Pair, part: Part) -> str:
        """Why one of the two cannot do it by itself; nothing where both can."""
        sides = [("both", [pair])] if pair.direct else [("client", []), ("server", [])]
        for side, tried in sides:
            tried = tried or [one for one in counterparts(pair, self.everything) if getattr(one, side) == getattr(pair, side)]
            found = [(one, self.missed(one, part)) for one in tried]
            if found and all(missed for _, missed in found):
                one, missed = found[-1]
                return f"directly, {one}: {missed}"
        return ""

    def missed(self, pair: Pair, part: Part) -> str:
        """What a direct pair misses of a part. What is asked of it in its own eras may be said otherwise."""
        own = self.parts(pair)
        same = next((one for one in own if (one.flow, one.name) == (part.flow, part.name)), None)
        if same is None:
            return ""
        seen = self.direct[pair]
        trace = at(seen, own, same)
        return seen.fault or "not reached" if trace is None else same.check(trace)


# --- what is told ----------------------------------------------------------------------------------------------------

SIGNS = {"works": "ok", "lacks": "-", "impossible": "x", "FAILS": "FAIL"}
LEGEND = (
    "ok: means on the client's side what it should (n/m: n of m parts)      -: lacked directly, by the two or by one of them\n"
    "x: impossible, see eras_impossible.json      FAIL: works directly, not through Braid"
)


def sign(parts: list[Tried]) -> str:
    verdicts = [part.verdict for part in parts]
    if "FAILS" in verdicts:
        return SIGNS["FAILS"]
    works = verdicts.count("works")
    if not works:
        return SIGNS[verdicts[0]] if verdicts else ""
    return SIGNS["works"] if works == len(verdicts) else f"ok {works}/{len(verdicts)}"


def report(results: list[Judged], seconds: float, as_json: bool) -> str:
    count = {verdict: sum(part.verdict == verdict for one in results for part in one.parts) for verdict in SIGNS}
    if as_json:
        plain = [{"client": str(one.pair.client), "server": str(one.pair.server), **vars(part)} for one in results for part in one.parts]
        return json.dumps({"parts": plain, "seconds": round(seconds, 1), **count})
    features = [feature for feature in FEATURES if any(one.of(feature) for one in results)]
    rows = [["client", "server", *features]]
    rows += [[str(one.pair.client), str(one.pair.server), *(sign(one.of(feature)) for feature in features)] for one in results]
    lines = [aligned(rows), "", LEGEND, ""]
    said: set[str] = set()
    for verdict in ("lacks", "FAILS"):
        for one in results:
            for part in one.parts:
                if part.verdict == verdict:
                    lines.append(f"{verdict}  {one.pair}  {part.feature}: {part.name}")
                    # A session that broke off says the same of every part.
                    lines += [f"    {clip(why, 600)}" for why in part.why[:DETAILS_MAX] if why not in said]
                    said |= {why for why in part.why if verdict == "FAILS"}
    lines.append(
        f"eras: {len(results)} pairs; {count['works']} parts work, {count['lacks']} lacked directly, "
        f"{count['impossible']} impossible, {count['FAILS']} fail ({seconds:.0f} s)"
    )
    return "\n".join(lines)


def pairs_of(which: str, only: list[str]) -> list[Pair]:
    """Those of the sample or all, narrowed to `CLIENT`, `SERVER`, either with its transport, or `CLIENT > SERVER`."""
    pairs = SAMPLE if which == "some" else EVERY
    wanted = [name for name in only if name not in FEATURES]
    if not wanted:
        return pairs
    words = lambda pair: {pair.client.name, pair.server.name, str(pair.client), str(pair.server), str(pair), f"{pair.client.name} > {pair.server.name}"}
    if any(" > " in name for name in wanted):
        pairs = EVERY
    return [pair for pair in pairs if words(pair) & set(wanted)]
