"""Rows of large numbers: many sessions, many tools, long results, many calls at once, a slow server, floods of progress.

Direct, the floor and Braid take part; the floor where it can do what is asked. Braid's limits are raised where a row asks
for more than they allow unless they are set.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from places import SESSIONS, Place, Target, Void, environment, rss_kib, run
from proxies import LOAD, MOCK, Behind, Braid, Proxy, Started, script
from rows import Bench, Cold, Column, IdleSessions, InPlace, Large, Lists, Row, Values

MIB = 1024 * 1024
MANY_SESSIONS = 10_000
MANY_CALLS, MANY_MS = 10_000, 100
SERVERS, TOOLS = 100, 100
STORM_NOTES = 100
SLOW_MS, SLOW_IN_FLIGHT = 1000, 32


@dataclass
class Raised(Braid):
    """Braid with more lines in its configuration."""

    listen: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)

    def start(self, folder: Path, front: str, port: int, servers: list[Behind]) -> Started:
        begun = super().start(folder, front, port, servers)
        config = folder / "braid.toml"
        text = config.read_text().replace("[listen]\n", "\n".join(["[listen]", *self.listen, ""]), 1)
        config.write_text("\n".join([text, *self.more, ""]))
        return begun


class BeyondLimits(InPlace):
    """A place in which Braid has more lines in its configuration, and nobody from elsewhere takes part."""

    braid = Raised()

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        proxies: list[Proxy] = [self.braid if proxy.name == "braid" else proxy for proxy in bench.proxies if proxy.name in ("floor", "braid")]
        with super().open(replace(bench, proxies=proxies)) as targets:
            yield targets


class ManySessions(BeyondLimits, IdleSessions):
    only = ("braid",)
    braid = Raised(listen=[f"limits.sessions = {MANY_SESSIONS + 100}"])

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        return super().once(replace(bench, idle_sessions=MANY_SESSIONS), name, subject, so_far)


class ManyTools(BeyondLimits, Lists):
    """One page of all tools, against a server that holds the same in memory."""

    tools = TOOLS - 1
    only = ("braid",)
    braid = Raised(more=["[limits]", f"page_items = {SERVERS * TOOLS}"])


class ManyServers(Cold):
    """From the start to the list of all tools."""

    columns = (Column("initialize_ms", "initialize ms"), Column("list_ms", "full list ms"))

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        commands = [[str(MOCK), "stdio", "--name", f"s{number}", "--tools", str(TOOLS - 1)] for number in range(SERVERS)]
        servers = [Behind(f"s{number}", command) for number, command in enumerate(commands)]
        folder = bench.folder / self.key / "braid"
        folder.mkdir(parents=True, exist_ok=True)
        braid = next(proxy for proxy in bench.proxies if proxy.name == "braid")
        begun = braid.start(folder, "stdio", 0, servers)
        yield {"one server": (" ".join(commands[0]), TOOLS), "braid": (str(script(folder, begun)), SERVERS * TOOLS)}

    def leaders(self) -> tuple[str, ...]:
        return ("one server",)


class ManyCalls(BeyondLimits):
    """So many calls open at once that nobody could serve without order. Each takes its server a while."""

    columns = (
        Column("calls_per_second", "calls/s", 0),
        Column("calls_per_second", "/ floor", 2, "floor"),
        Column("p99_us", "p99 us", 0),
        Column("peak_mib", "MiB after", 1),
    )
    with_direct = False
    only = ("floor", "braid")
    rounds_max = 3
    braid = Raised(
        listen=["limits.sessions = 2000", f"limits.connections = {2 * MANY_CALLS}"],
        more=["[limits]", f"total_in_flight = {2 * MANY_CALLS}", "[defaults]", f"concurrency = {MANY_CALLS}", f"queue = {MANY_CALLS}"],
    )

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        words = ["--in-flight", str(MANY_CALLS), "--sessions", "200", "--ms", str(MANY_MS), "--warmup", str(MANY_CALLS)]
        found = run(subject, [*words, "--seconds", str(bench.seconds)], bench.seconds)
        return {"calls_per_second": found["calls_per_second"], "p99_us": found["p99_us"], "peak_mib": rss_kib(subject.pids[0]) / 1024}


class Longer(Large):
    only = ("floor", "braid")


class SlowOne(InPlace):
    """Nine servers as they are called while the tenth takes its time, and without that."""

    columns = (
        Column("alone_p99_us", "p99 us without", 0),
        Column("p99_us", "p99 us beside", 0),
        Column("share", "calls/s, beside / without", 2),
    )
    with_direct = False
    only = ("floor", "braid")

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        slow = Target(subject.reach, subject.tools[-1:], subject.headers)
        quick = Target(subject.reach, subject.tools[:-1], subject.headers, subject.pids)
        words = self.words(SESSIONS, bench, quick)
        alone = run(quick, words, bench.seconds)
        asked = ["--in-flight", str(SLOW_IN_FLIGHT), "--sessions", str(SESSIONS), "--ms", str(SLOW_MS), "--seconds", str(bench.seconds + 1)]
        beside = subprocess.Popen([str(LOAD), *slow.words(), *asked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
        try:
            found = run(quick, words, bench.seconds)
        finally:
            try:
                out, _ = beside.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                beside.kill()
                out, _ = beside.communicate()
        if beside.returncode != 0 or b'"wrong":0' not in out.replace(b" ", b""):
            raise Void("the slow server's calls were not all answered")
        share = found["calls_per_second"] / alone["calls_per_second"]
        return {"alone_p99_us": alone["p99_us"], "p99_us": found["p99_us"], "share": share}


class Storm(InPlace):
    """Calls that tell of their progress a hundred times each: every note is counted."""

    columns = (
        Column("notes_per_second", "notes/s", 0),
        Column("cpu_us_per_note", "CPU us/note", 2),
        Column("p99_us", "p99 us of a call", 0),
    )
    only = ("braid",)

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        found = run(subject, [*self.words(SESSIONS, bench, subject), "--notes", str(STORM_NOTES)], bench.seconds)
        values = {"notes_per_second": found["calls_per_second"] * STORM_NOTES, "p99_us": found["p99_us"]}
        return values if name == "direct" else {**values, "cpu_us_per_note": found["cpu_us_per_call"] / STORM_NOTES}


def rows() -> list[Row]:
    ten = Place("http-stdio10", "http", "stdio", 10)
    one = Place("http-http1", "http", "http", 1)
    many = Place("scale", "http", "stdio", SERVERS)
    return [
        ManySessions("scale-sessions", f"Memory of {MANY_SESSIONS} idle sessions", ten),
        ManyTools("scale-list", f"tools/list of {SERVERS} servers with {TOOLS} tools each, on one page", many),
        ManyServers("scale-start", f"From start to a full list, {SERVERS} stdio servers with {TOOLS} tools each", ()),
        Longer("scale-16m-http-stdio10", "Results of 16 MiB, HTTP to 10 stdio servers", ten, 16 * MIB, 2),
        Longer("scale-16m-http-http1", "Results of 16 MiB, HTTP to 1 HTTP server", one, 16 * MIB, 2),
        ManyCalls("scale-calls", f"{MANY_CALLS} calls in flight, each takes {MANY_MS} ms, HTTP to 10 stdio servers", ten),
        SlowOne("scale-slow", f"{SESSIONS} calls in flight to nine servers, the tenth takes {SLOW_MS} ms for each of its {SLOW_IN_FLIGHT}", ten),
        Storm("scale-storm", f"Calls with {STORM_NOTES} notes of progress each, HTTP to 10 stdio servers", ten),
    ]
