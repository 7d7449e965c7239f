#!/usr/bin/env python3
"""The table of the back-flows: does everything a server does toward its client arrive through Braid as it does directly?

    BRAID=path tests/interop/flows.py --eras some|all [--only NAME]... [--json] [--at-least N]     # see eras.py
    BRAID=path tests/interop/flows.py [--pairs some|all | --pair DOWN:UP]... [--sharing shared] [--only NAME]... [--json]
                                      [--direct] [--at-least N] [--self-test]

Eight flows × four servers × four clients × nine pairs of transports: how the client reaches Braid, and how Braid reaches
the servers (`stdio`, `http`, `sse`). Every cell is tried twice in this run, directly and with Braid between, all servers
behind one Braid. `ok`: it works on both sides and the client saw the same, but for names, URIs, ids and the words that say
which server asks. `-`: it does not work directly, so the peer lacks it. `FAIL`: it works directly and not through Braid.
Directly, client and server speak the same transport: it is compared with what the server does over its own, and where the
client's own is another, a peer that lacks the flow over that one lacks it. Without `--pair` and `--pairs` it is stdio on both
sides; `--pairs some` is a selection in which every pair and every flow has real peers, `--pairs all` is everything. `--only`
takes a flow, a server, a client or `client:server`, several times. With `--sharing shared` all clients share a server; what
is no part of a call is lacked there.
`--direct` runs direct against direct, `--self-test` checks that the table finds what a stand-in loses,
over what a client speaks in the pairs. The exit code is 1 when a cell fails, or when fewer than `--at-least` cells work:
a peer that lost a flow must not pass for one that lacks it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import eras
import golden
from flowparts import ELICIT, FLOWS, LEVELS, LIST_CHANGED, MESSAGE, PROGRESS, UPDATED
from flowparts import Event, Part, Trace, parts_of
from flowsession import EXAMPLES, SERVERS, SPOKEN, STAND_IN, Seen, Way, aligned, named, reached, session, target_of
from names import Exposure
from peers import BRAID, HERE, HOME
from raw import Silence
from record import install_scripts
from serving import NotServed
from spans import Node, clip, dense, differences, parse, splice
from standin import FLOW_LOSSES
from wires import TRANSPORTS

CLIENTS = ("python", "typescript", "rmcp", "raw")
PAIRS = [(down, up) for down in TRANSPORTS for up in TRANSPORTS]
# Of each pair that has HTTP in it: a client without an SDK at a server that we did not write, and a client that we did not write.
SOME = {
    ("stdio", "http"): [("raw", "everything"), ("python", "fastmcp"), ("typescript", "rmcp")],
    ("stdio", "sse"): [("raw", "everything"), ("rmcp", "quirky")],
    ("http", "stdio"): [("raw", "everything"), ("python", "quirky"), ("typescript", "rmcp")],
    ("http", "http"): [("raw", "rmcp"), ("python", "everything"), ("typescript", "quirky"), ("rmcp", "fastmcp")],
    ("http", "sse"): [("raw", "everything"), ("typescript", "fastmcp")],
    ("sse", "stdio"): [("raw", "everything"), ("python", "rmcp")],
    ("sse", "http"): [("raw", "everything"), ("typescript", "rmcp")],
    ("sse", "sse"): [("raw", "everything"), ("python", "fastmcp")],
}
AT_ONCE = 2
# What is no part of a call is nobody's at a server that several clients share: refused, or not passed on.
NOBODYS = {("roots", "after initialized"), ("roots", "changed"), ("elicitation", "odd: complete with members")}
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DETAILS_MAX = 4



# --- comparing -------------------------------------------------------------------------------------------------------

Item = tuple[str, str]


def sequence(part: Part, trace: Trace, exposure: Exposure, server: str, through_braid: bool, streams: bool) -> list[Item]:
    """What is compared of a part: what came, in order, each as a word for what it is and a text."""
    items: list[Item] = []
    lowest = 0
    for did in trace.steps:
        method = did.step.get("method", "")
        if method == "logging/setLevel":
            lowest = LEVELS.index(did.step["params"]["level"])
        for event in did.events:
            if counts(part, event, 0 if through_braid else lowest):
                items.append((f"{event.kind} {event.method}".strip(), event_text(event, exposure, server, through_braid)))
        outcome = did.outcome
        if outcome.kind:
            text = outcome.text
            if not through_braid and outcome.kind in ("result", "error"):
                text = exposure.result(method if outcome.kind == "result" else "error", text)
            if outcome.kind == "error" and through_braid:
                text = without_server(text, server, "data", "elicitations", "*")
            items.append((f"{outcome.kind} of {method or did.step['do']}", text))
    if part.loose or streams:
        # Outcomes by themselves, then what came in between.
        between = [item for item in items if item[0].startswith(("note", "ask"))]
        items = [item for item in items if " of " in item[0]] + (sorted(between, key=by_stream) if streams else between)
    return items


def by_stream(item: Item) -> tuple[str, str]:
    """Puts what may come on different streams in one order; a logger is left out of account, because Braid adds its own."""
    word, text = item
    data = parse(text).get("data") if word == f"note {MESSAGE}" else None
    return word, data.text if data else ""


def counts(part: Part, event: Event, lowest: int) -> bool:
    """Whether a message is about this part: others of the server, and those of other servers, may come at any time."""
    if event.kind == "answer":
        return not event.late
    if event.kind == "ask":
        return event.method not in ("ping", "roots/list")
    if event.method == PROGRESS:
        return part.flow == "progress"
    if event.method == MESSAGE:
        # What is said about roots follows a question that may come at any time.
        of_roots = "Roots updated" in event.text or "roots now" in event.text
        if part.flow != ("roots" if of_roots else "log") or part.own_log not in event.text:
            return False
        level = parse(event.text).get("level")
        return level is None or level.string() not in LEVELS or LEVELS.index(level.string()) >= lowest
    return event.method not in LIST_CHANGED.values()


def event_text(event: Event, exposure: Exposure, server: str, through_braid: bool) -> str:
    if not event.text:
        return ""
    text = event.text
    tree = parse(text)
    if event.method == PROGRESS:
        return splice(text, [(node.start, node.end, '"T"') for node in tree.each("progressToken")])
    if event.method == "notifications/cancelled":
        return splice(text, [(node.start, node.end, '"I"') for node in tree.each("requestId")])
    if event.kind == "ask":
        # Under its own token a server would hear of progress with its ask.
        text = splice(text, [(node.start, node.end, '"T"') for node in tree.each("_meta", "progressToken")])
    if through_braid:
        return without_server(text, server) if event.method == ELICIT else text
    # The URIs of updates are in the server's own words on both sides already.
    return text if event.method == UPDATED else exposure.result(event.method, text)


def without_server(text: str, server: str, *place: str) -> str:
    """Cuts the words that say which server asks, and what keeps its ids apart from those of others."""
    found = parse(text).each(*place)
    marks = [(node, f"[{server}] ") for at in found for node in at.each("message")]
    marks += [(node, f"{server}:") for at in found for node in at.each("elicitationId")]
    return splice(text, [(node.start + 1, node.start + 1 + len(mark), "") for node, mark in marks if node.text[1:].startswith(mark)])


def tagged(expected: Node, seen: Node, server: str) -> str:
    """A log message's logger may say which server speaks, around the server's own words."""
    mine, other = expected.get("logger"), seen.get("logger")
    words = (other.string() or "") if other else ""
    if other is None or server not in words or (mine is not None and (mine.string() or "") not in words):
        return expected.text
    if mine is not None:
        return splice(expected.text, [(mine.start, mine.end, other.text)])
    at = next(index for index, (key, _) in enumerate(seen.members()) if key == "logger")
    members = [f"{key.text}:{item.text}" for key, item in zip(expected.keys, expected.items)]
    return "{" + ",".join([*members[:at], f'"logger":{other.text}', *members[at:]]) + "}"


CANCELLED = "note notifications/cancelled"
# What Braid says of an ask whose call has ended.
OVER = "the server does not wait for it any longer"


def compared(part: Part, server: str, left: Trace, right: Trace, way: Way) -> list[str]:
    """Where what a client saw on the two sides differs."""
    exposure = way.exposure
    mine = sequence(part, left, exposure, server, False, way.over_http)
    theirs = sequence(part, right, exposure, server, bool(exposure.key), way.over_http)
    found = []
    for (word, expected), (other, seen) in zip(mine, theirs):
        if word != other:
            break
        expected, seen = UUID.sub("~", expected), UUID.sub("~", seen)
        if expected == seen or (way.over_http and word == CANCELLED and parse(seen).get("reason").string() == OVER):
            # The server says it on one connection and ends the call on another: whichever is there first withdraws the ask.
            continue
        a, b = parse(expected or "null"), parse(seen or "null")
        if word == f"note {MESSAGE}" and exposure.key:
            a = parse(tagged(a, b, server))
        if dense(a) != dense(b):
            found += [f"{word}: {difference}" for difference in differences(a, b)]
    if [word for word, _ in mine] != [word for word, _ in theirs]:
        found.insert(0, f"directly {[word for word, _ in mine]}, through Braid {[word for word, _ in theirs]}")
    return found


# --- cells -----------------------------------------------------------------------------------------------------------


@dataclass
class Tried:
    """One part: `works`, `lacks` or `FAILS`, and why."""

    name: str
    verdict: str
    why: list[str] = field(default_factory=list)


Pair = tuple[str, str]


@dataclass
class Cell:
    pair: Pair
    client: str
    server: str
    flow: str
    parts: list[Tried]

    @property
    def verdict(self) -> str:
        verdicts = {part.verdict for part in self.parts}
        return next((verdict for verdict in ("FAILS", "works") if verdict in verdicts), "lacks")


@dataclass
class Sides:
    """What a client saw directly and through Braid. `own`: directly over the client's own transport, where it is another."""

    left: Seen
    right: Seen
    own: Seen | None = None


def tried(part: Part, number: int, server: str, sides: Sides, way: Way) -> Tried:
    at = lambda seen: seen.traces[number] if seen and number < len(seen.traces) else None
    left, right, own = at(sides.left), at(sides.right), at(sides.own)
    if left is None or right is None:
        # A session that breaks off says nothing about what a peer lacks.
        broken = sides.left if left is None else sides.right
        return Tried(part.name, "FAILS", [f"{'directly' if left is None else 'through Braid'}: {broken.fault or 'not reached'}"])
    if lack := part.check(left):
        return Tried(part.name, "lacks", [lack])
    why = compared(part, server, left, right, way) if part.compared else []
    why += [wrong] if (wrong := part.check(right) or (named(right, server) if way.exposure.key else "")) else []
    if why and own is not None and (lack := part.check(own)):
        return Tried(part.name, "lacks", [f"directly over {way.down}: {lack}", *(f"through Braid: {one}" for one in why)])
    if why and way.sharing == "shared" and (part.flow, part.name) in NOBODYS:
        return Tried(part.name, "lacks", [f"nobody's at a shared server: {one}" for one in why])
    return Tried(part.name, "FAILS" if why else "works", why)


def judged(parts: list[Part], server: str, sides: Sides, way: Way) -> list[tuple[Part, Tried]]:
    return [(part, tried(part, number, server, sides, way)) for number, part in enumerate(parts)]


@dataclass(frozen=True)
class Work:
    """One client and one server over one pair of transports; directly, `down` and `up` are the same."""

    client: str
    server: str
    pair: Pair

    @property
    def name(self) -> str:
        return "-".join([self.client, self.server] + ([] if self.pair == ("stdio", "stdio") else list(self.pair)))

    def common(self) -> list[str]:
        """What both peers speak, so that they can be tried directly."""
        return [one for one in TRANSPORTS if one in SPOKEN["clients"][self.client] and one in SPOKEN["servers"][self.server]]

    def reference(self) -> str:
        """The transport of the direct side: Braid's toward the server, else what is nearest to it of those that both speak."""
        return self.pair[1] if self.pair[1] in self.common() else self.common()[-1]


def possible(client: str, server: str, pair: Pair) -> bool:
    return pair[0] in SPOKEN["clients"][client] and pair[1] in SPOKEN["servers"][server]


class Run:
    def __init__(self, works: list[Work], flows: list[str], folder: Path, direct: bool, sharing: str, at_once: int):
        self.works, self.flows, self.folder, self.direct, self.sharing, self.at_once = works, flows, folder, direct, sharing, at_once
        # What was seen directly, by client, server and transport: once for all pairs.
        self.seen: dict[tuple[str, str, str], Seen] = {}

    def parts(self, work: Work) -> list[Part]:
        return [part for part in parts_of(work.server, work.client == "raw") if part.flow in self.flows]

    def directly(self, client: str, server: str, transport: str, again: str = "") -> Seen:
        work = Work(client, server, (transport, transport))
        folder = self.folder / (f"{work.name}-direct{again}" if transport == "stdio" else f"{client}-{server}-{transport}-direct{again}")
        return session(client, server, self.parts(work), folder, Way(Exposure(""), transport, transport), [])

    def cells(self) -> list[Cell]:
        wanted: dict[tuple[str, str, str], None] = {}
        for work in self.works:
            own = [work.pair[0]] if work.pair[0] in work.common() and not self.direct else []
            wanted |= {(work.client, work.server, one): None for one in [work.reference(), *own]}
        with ThreadPoolExecutor(self.at_once) as pool:
            self.seen = dict(zip(wanted, pool.map(lambda key: self.directly(*key), wanted)))
            return [cell for some in pool.map(self.cells_of, self.works) for cell in some]

    def cells_of(self, work: Work) -> list[Cell]:
        """One pair of peers over one pair of transports, against what was seen directly."""
        parts, (down, up) = self.parts(work), work.pair
        left = self.seen[work.client, work.server, work.reference()]
        if self.direct:
            way = Way(Exposure(""), down, up)
            sides = Sides(left, self.directly(work.client, work.server, up, "-again"))
        else:
            way = Way(Exposure(work.server), down, up, self.sharing)
            right = session(work.client, work.server, parts, self.folder / f"{work.name}-braid", way, left.tools)
            sides = Sides(left, right, self.seen.get((work.client, work.server, down)) if down != work.reference() else None)
        results = judged(parts, work.server, sides, way)
        of = lambda flow: [one for part, one in results if part.flow == flow]
        return [Cell(work.pair, work.client, work.server, flow, of(flow)) for flow in FLOWS if flow in self.flows]


def together(folder: Path, pair: Pair, sharing: str) -> str:
    """All servers ask at once through one Braid; tells what went astray."""
    with ExitStack() as stack:
        way = Way(Exposure("quirky"), *pair, sharing)
        try:
            works, reach = reached("quirky", folder, way, stack)
            tools = {key: "trigger-elicitation-request" if key == "everything" else "elicit" for key in works}
            calls = {key: {"name": Exposure(key).name("tools", tool), "arguments": {"message": "Who?"}} for key, tool in tools.items()}
            return golden.together(target_of(reach, way, folder) | {"ready": [call["name"] for call in calls.values()]}, calls)
        except (NotServed, Silence) as fault:
            return str(fault)


# --- the table's own test --------------------------------------------------------------------------------------------

def self_test(folder: Path, down: str) -> bool:
    """A stand-in that loses nothing fails nowhere, and each loss fails in the flows where it shows, and in no other."""
    server = "quirky"
    parts = parts_of(server, True)
    left = session("raw", server, parts, folder / f"self-{down}-direct", Way(Exposure(""), down, down), [])

    def trial(loss: str) -> tuple[str, set[str]]:
        name = f"{down}-{loss.replace(' ', '-') or 'nothing'}"
        way = Way(Exposure(server), down, proxy=STAND_IN, env={"LOSE": loss})
        right = session("raw", server, parts, folder / f"self-{name}", way, left.tools)
        return loss, {part.flow for part, one in judged(parts, server, Sides(left, right), way) if one.verdict == "FAILS"}

    good = True
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for loss, found in pool.map(trial, ["", *FLOW_LOSSES]):
            wanted = set(FLOW_LOSSES.get(loss, ()))
            good &= found == wanted
            amiss = "" if found == wanted else f", which should be {sorted(wanted)}"
            print(f"self-test: {down}, loses {loss or 'nothing'}: fails in {sorted(found)}{amiss}")
    return good


SIGNS = {"works": "ok", "lacks": "-", "FAILS": "FAIL"}


def table(cells: list[Cell]) -> str:
    """Servers × flows for each client, and for each pair of transports."""
    flows = [flow for flow in FLOWS if any(cell.flow == flow for cell in cells)]
    rows = [["transports", "client", "server", *flows]]
    for place in dict.fromkeys((cell.pair, cell.client, cell.server) for cell in cells):
        by_flow = {cell.flow: cell for cell in cells if (cell.pair, cell.client, cell.server) == place}
        rows.append([words_of(place[0]), *place[1:], *(sign(by_flow[flow]) for flow in flows)])
    return aligned(rows)


def words_of(pair: Pair) -> str:
    return f"{pair[0]} > {pair[1]}"


def summary(cells: list[Cell]) -> str:
    """Pairs of transports × flows: how many cells work of those that are not lacked."""
    flows = [flow for flow in FLOWS if any(cell.flow == flow for cell in cells)]
    rows = [["transports", *flows]]
    for pair in dict.fromkeys(cell.pair for cell in cells):
        row = [words_of(pair)]
        for flow in flows:
            verdicts = [cell.verdict for cell in cells if (cell.pair, cell.flow) == (pair, flow)]
            tried_ones = len(verdicts) - verdicts.count("lacks")
            row.append(f"{verdicts.count('works')} of {tried_ones}" if tried_ones else "-")
        rows.append(row)
    return aligned(rows)


def sign(cell: Cell) -> str:
    works, lacks = (sum(part.verdict == verdict for part in cell.parts) for verdict in ("works", "lacks"))
    return SIGNS[cell.verdict] + (f" {works}/{works + lacks}" if cell.verdict == "works" and lacks else "")


LEGEND = (
    "ok: works directly and through Braid, and the client saw the same (n/m: m parts tried, the others do not work directly)\n"
    "-: does not work directly, tried in this run      FAIL: works directly, not through Braid"
)


def report(cells: list[Cell], astray: dict[Pair, str], seconds: float, as_json: bool) -> str:
    count = {verdict: sum(cell.verdict == verdict for cell in cells) for verdict in SIGNS}
    if as_json:
        plain = [
            {"down": c.pair[0], "up": c.pair[1], "client": c.client, "server": c.server, "flow": c.flow, "verdict": c.verdict, "parts": [vars(p) for p in c.parts]}
            for c in cells
        ]
        told = {words_of(pair): wrong for pair, wrong in astray.items()}
        return json.dumps({"cells": plain, "together": told, "seconds": round(seconds, 1), **count})
    lines = [table(cells), "", LEGEND, ""]
    if len({cell.pair for cell in cells}) > 1:
        lines += [summary(cells), ""]
    for verdict in ("lacks", "FAILS"):
        said: set[str] = set()
        for cell in cells:
            for part in cell.parts:
                if part.verdict == verdict:
                    lines.append(f"{verdict}  {words_of(cell.pair)}  {cell.client}  {cell.server}  {cell.flow}: {part.name}")
                    # A session that broke off says the same of every part.
                    lines += [f"    {clip(why, 600)}" for why in part.why[:DETAILS_MAX] if why not in said]
                    said |= {why for why in part.why if why.startswith(("directly: ", "through Braid: "))}
    for pair, wrong in astray.items():
        lines.append(f"{words_of(pair)}: all servers ask at once, the last is answered first: {clip(wrong, 600) if wrong else 'ok'}")
    lines.append(f"flows: {count['works']} work, {count['lacks']} lacked by the peer, {count['FAILS']} fail ({seconds:.0f} s)")
    return "\n".join(lines)


def ready(direct: bool) -> str | None:
    """Installs what is missing. Tells why the run cannot start."""
    if not direct and shutil.which(BRAID[0]) is None:
        return f"no Braid at {BRAID[0]}: build it, or set BRAID"
    missing = [name for name in ("flows_rmcp_client", "flows_rmcp_server") if not (EXAMPLES / name).exists()]
    if missing:
        return f"no {missing[0]} in {EXAMPLES}: cargo build --examples"
    done = subprocess.run([str(HERE / "setup.sh")], stdout=sys.stderr)
    if done.returncode != 0:
        return f"setup.sh ended with {done.returncode}"
    install_scripts()
    return None


@contextmanager
def alone() -> Iterator[bool]:
    """Whether no other run is under way in this target folder; while it lasts there will be none."""
    (HOME / "run").mkdir(parents=True, exist_ok=True)
    with open(HOME / "run" / "flows.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("flows: another run is under way in this target folder", file=sys.stderr)
            yield False
            return
        yield True


def across_eras(options: argparse.Namespace) -> int:
    pairs = eras.pairs_of(options.eras, options.only)
    if problem := eras.amiss() or ("" if pairs else f"--only knows no pair of {options.only}") or ready(False):
        print(f"flows: {problem}", file=sys.stderr)
        return 2
    start = time.monotonic()
    features = [feature for feature in eras.FEATURES if feature in options.only] or list(eras.FEATURES)
    results = eras.Run(pairs, features, HOME / "run" / "eras", options.eras == "all", options.at_once or eras.AT_ONCE).judged()
    print(eras.report(results, time.monotonic() - start, options.json))
    verdicts = [part.verdict for one in results for part in one.parts]
    working = verdicts.count("works")
    if working < options.at_least:
        print(f"flows: only {working} of at least {options.at_least} parts work", file=sys.stderr)
    return 1 if "FAILS" in verdicts or working < options.at_least else 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", choices=("some", "all"), help="the selection of the eight pairs with HTTP, or all nine with all peers")
    arguments.add_argument("--eras", choices=("some", "all"), help="SDKs with a session and without one, the sample or all pairs: see eras.py")
    arguments.add_argument("--pair", action="append", default=[], metavar="DOWN:UP", help="such as `http:stdio`")
    arguments.add_argument("--sharing", choices=("session", "shared"), default="session", help="whether each client has servers of its own")
    arguments.add_argument("--only", action="append", default=[], metavar="NAME", help="a flow, a server, a client, or client:server")
    arguments.add_argument("--json", action="store_true", help="one object on stdout")
    arguments.add_argument("--direct", action="store_true", help="compare the servers with themselves")
    arguments.add_argument("--at-once", type=int, metavar="N", help="so many pairs of peers at once; they mostly wait")
    arguments.add_argument("--self-test", action="store_true", help="check that the table finds what a stand-in loses")
    arguments.add_argument("--at-least", type=int, default=0, metavar="N", help="so many cells must work")
    options = arguments.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")
    peers = [(client, server) for client in CLIENTS for server in SERVERS]
    if options.eras:
        with alone() as good:
            return across_eras(options) if good else 2
    known = {*FLOWS, *SERVERS, *CLIENTS, *(":".join(both) for both in peers)}
    if unknown := [name for name in options.only if name not in known]:
        arguments.error(f"--only knows no {unknown}; it knows {sorted(known)}")
    pairs = [pair for pair in PAIRS if ":".join(pair) in options.pair]
    if len(pairs) != len(set(options.pair)):
        arguments.error(f"--pair knows only {[':'.join(pair) for pair in PAIRS]}")
    pairs = pairs or {"some": list(SOME), "all": PAIRS}.get(options.pairs) or PAIRS[:1]
    if options.direct:
        pairs = [pair for pair in pairs if pair[0] == pair[1]]
    flows = [flow for flow in FLOWS if flow in options.only] or list(FLOWS)
    wanted = [name for name in options.only if name not in FLOWS]
    both = [pair for pair in peers if ":".join(pair) in wanted]
    # `rmcp` is a client and a server: it means both.
    one_of = lambda name, names: name in wanted or not any(other in wanted for other in names)
    peers = both or [(c, s) for c, s in peers if one_of(c, CLIENTS) and one_of(s, SERVERS)]
    chosen = SOME if options.pairs == "some" and not options.only else {}
    works = [Work(*two, pair) for pair in pairs for two in chosen.get(pair, peers) if possible(*two, pair)]
    with alone() as good:
        if not good:
            return 2
        if problem := ready(options.direct or options.self_test):
            print(f"flows: {problem}", file=sys.stderr)
            return 2
        folder = HOME / "run" / "flows"
        if options.self_test:
            passed = [self_test(folder, down) for down in dict.fromkeys(pair[0] for pair in pairs)]
            return 0 if all(passed) else 1
        start = time.monotonic()
        cells = Run(works, flows, folder, options.direct, options.sharing, options.at_once or AT_ONCE).cells()
        whole = not options.direct and not options.only
        astray = {pair: together(folder / f"together-{'-'.join(pair)}", pair, options.sharing) for pair in pairs if whole}
        print(report(cells, astray, time.monotonic() - start, options.json))
    working = sum(cell.verdict == "works" for cell in cells)
    if working < options.at_least:
        print(f"flows: only {working} of at least {options.at_least} cells work", file=sys.stderr)
    return 1 if any(cell.verdict == "FAILS" for cell in cells) or any(astray.values()) or working < options.at_least else 0


if __name__ == "__main__":
    sys.exit(main())
