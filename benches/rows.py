"""What is measured, row by row. A row opens its places, measures each subject once a round, and says what is divided by what.

Ratios are made within a round, of runs that stand seconds apart, and then their median is taken: a machine that is slower
for a while is slower for both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from places import SESSIONS, Place, Scene, Target, Void, idle, rss_kib, run, started, warm
from proxies import MOCK, Behind, Proxy, script

IN_FLIGHT = 32
# More than this times nginx's CPU, and the floor is none: something else was measured.
FLOOR_OVER_NGINX_MAX = 1.25
SLOW_SECONDS, SLOW_TIMES = 4.0, 2.0

HTTP_STDIO = Place("http-stdio10", "http", "stdio", 10)
HTTP_HTTP1 = Place("http-http1", "http", "http", 1)
HTTP_HTTP10 = Place("http-http10", "http", "http", 10)
STDIO_STDIO = Place("stdio-stdio10", "stdio", "stdio", 10)
BRIDGED_STDIO = Place("bridged-stdio10", "http", "stdio", 10, handshake=False)
BRIDGED_HTTP = Place("bridged-http1", "http", "http", 1, handshake=False)
HTTP_STDIO1 = Place("http-stdio1", "http", "stdio", 1)

Values = dict[str, float]


@dataclass(frozen=True)
class Column:
    """A figure, and the subject whose figure of the same round it is divided by."""

    key: str
    heading: str
    digits: int = 1
    over: str = ""


@dataclass
class Bench:
    """What all rows share: who takes part, and how long everything lasts."""

    folder: Path
    proxies: list[Proxy]
    seconds: float
    rounds: int
    growth_calls: int
    idle_sessions: int


@dataclass
class Found:
    """Of one subject: its values by round, or why there are none."""

    rounds: list[Values] = field(default_factory=list)
    void: str = ""
    # Who needs much longer than it was told takes part in one round only: its figures are far from all others anyway.
    slow: bool = False

    def goes_on(self) -> bool:
        return not self.void and not self.slow


class Row:
    columns: tuple[Column, ...] = ()
    # One, where it costs much and varies little.
    rounds_max = 1000

    def __init__(self, key: str, title: str):
        self.key, self.title = key, title
        self.found: dict[str, Found] = {}

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        """Who is to be measured: anything that `once` understands, by the subject's name."""
        raise NotImplementedError
        yield {}

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        raise NotImplementedError

    def measure(self, bench: Bench, say: Callable[[str], None]) -> None:
        with self.open(bench) as subjects:
            rounds = min(bench.rounds, self.rounds_max)
            for name, found in self.found.items():
                say(f"{self.key} {name}: {found.void}")
            for number in range(rounds):
                # Whom others are compared with in this round goes first; then whoever else, each time another first.
                names = [name for name in subjects if self.found.setdefault(name, Found()).goes_on()]
                first = [name for name in names if name in self.leaders()]
                rest = [name for name in names if name not in first]
                turn = number % len(rest) if rest else 0
                so_far: dict[str, Values] = {}
                for name in [*first, *rest[turn:], *rest[:turn]]:
                    found, start = self.found[name], time.monotonic()
                    try:
                        so_far[name] = self.once(bench, name, subjects[name], so_far)
                        found.rounds.append(so_far[name])
                    except Void as problem:
                        found.void = str(problem)
                    found.slow = time.monotonic() - start > SLOW_SECONDS + SLOW_TIMES * bench.seconds
                    say(f"{self.key} {number + 1}/{rounds} {name}: {found.void or brief(so_far[name])}")

    def leaders(self) -> tuple[str, ...]:
        return ()

    def median(self, name: str, key: str) -> float | None:
        found = self.found.get(name)
        if not found or found.void or not found.rounds or key not in found.rounds[0]:
            return None
        return statistics.median(one[key] for one in found.rounds)

    def ratio(self, name: str, column: Column) -> float | None:
        mine, other = self.found.get(name), self.found.get(column.over)
        if not mine or not other or mine.void or other.void:
            return None
        pairs = [(a.get(column.key), b.get(column.key)) for a, b in zip(mine.rounds, other.rounds)]
        # What is added to one call can come out as less than nothing on a machine that does other things.
        ratios = [a / b for a, b in pairs if a is not None and b is not None and b > 0]
        return statistics.median(ratios) if ratios else None

    def problem(self) -> str:
        """Why nothing of this run counts; empty if it does."""
        for name in ("floor", "braid"):
            if name in self.found and self.found[name].void:
                return f"{self.key}: {name}: {self.found[name].void}"
        return ""


class InPlace(Row):
    """All proxies that fit in one place, each reached by `load`."""

    with_direct = True
    only: tuple[str, ...] = ()
    tools = 0
    is_warm = True

    def __init__(self, key: str, title: str, place: Place):
        super().__init__(key, title)
        self.place = place

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        with ExitStack() as stack:
            scene = Scene(self.place, bench.folder / self.key, stack, self.tools, self.is_warm)
            if self.with_direct:
                scene.direct()
            for proxy in bench.proxies:
                if self.place.takes(proxy) and (not self.only or proxy.name in self.only):
                    scene.proxy(proxy)
            self.found |= {name: Found(void=f"does not start: {why}") for name, why in scene.absent.items()}
            yield scene.targets

    def words(self, in_flight: int, bench: Bench, target: Target) -> list[str]:
        over_stdio = "--stdio" in target.reach
        sessions = [] if over_stdio else ["--sessions", str(min(SESSIONS, in_flight))]
        return ["--in-flight", str(in_flight), *sessions, "--warmup", str(in_flight), "--seconds", str(bench.seconds)]


class Calls(InPlace):
    """As many calls as can be, 32 at a time."""

    columns = (
        Column("cpu_us_per_call", "CPU us/call"),
        Column("cpu_us_per_call", "/ floor", 2, "floor"),
        Column("calls_per_second", "calls/s", 0),
        Column("calls_per_second", "/ floor", 2, "floor"),
        Column("p99_us", "p99 us", 0),
    )

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        found = run(subject, self.words(IN_FLIGHT, bench, subject), bench.seconds)
        keys = ["calls_per_second", "p99_us", *(["cpu_us_per_call"] if name != "direct" else [])]
        return {key: found[key] for key in keys}

    def problem(self) -> str:
        ratio = self.ratio("floor", Column("cpu_us_per_call", "", over="nginx"))
        if ratio is not None and ratio > FLOOR_OVER_NGINX_MAX:
            return f"{self.key}: the floor takes {ratio:.2f} times nginx's CPU, more than {FLOOR_OVER_NGINX_MAX}: it is no floor"
        return super().problem()


class Bridged(Calls):
    """The same where the servers can do without a handshake: Braid does, and the floor beside it does what it always does."""

    only = ("floor", "braid")


class Alone(InPlace):
    """One call at a time: what is added to it. Each subject has a direct run beside its own to be compared with."""

    columns = (
        Column("p50_us", "p50 us"),
        Column("added_us", "added us"),
        Column("added_us", "/ floor", 2, "floor"),
        Column("p99_us", "p99 us"),
    )

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        with super().open(bench) as targets:
            self.direct = targets["direct"]
            yield targets

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target) and isinstance(self.direct, Target)
        found = run(subject, self.words(1, bench, subject), bench.seconds)
        values = {"p50_us": found["p50_us"], "p99_us": found["p99_us"]}
        if name != "direct":
            beside = run(self.direct, self.words(1, bench, self.direct), bench.seconds)
            values["added_us"] = found["p50_us"] - beside["p50_us"]
        return values


class Awake(Alone):
    """The same while no processor falls asleep. A virtual one that does is given away: waking it costs more than what is
    measured, and it comes back to cold caches, so that whatever runs next takes twice its time."""

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        with ExitStack() as stack:
            for _ in range(os.cpu_count() or 1):
                stack.enter_context(kept_awake())
            yield stack.enter_context(super().open(bench))


@contextmanager
def kept_awake() -> Iterator[None]:
    """A process that runs only where nobody else wants to, and ends with us whatever becomes of us."""
    text = (
        "import os; parent = os.getppid(); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
        "while os.getppid() == parent:\n for _ in range(100000): pass"
    )
    process = subprocess.Popen([sys.executable, "-c", text])
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Tail(InPlace):
    """Calls that come at a rate, whatever the answers do: half of what Braid can do at most, for Braid and the floor alike."""

    columns = (
        Column("calls_per_second", "calls/s", 0),
        Column("p50_us", "p50 us", 0),
        Column("p99_us", "p99 us", 0),
        Column("p999_us", "p99.9 us", 0),
        Column("p999_us", "/ floor", 2, "floor"),
    )
    with_direct = False
    only = ("floor", "braid")
    rate = 0.0

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        with super().open(bench) as targets:
            if "braid" in targets:
                most = run(targets["braid"], self.words(IN_FLIGHT, bench, targets["braid"]), bench.seconds)
                self.rate = most["calls_per_second"] / 2
            yield targets

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        if not self.rate:
            raise Void("nobody said how much Braid can do")
        # More places than are needed, so that what is late is late by the proxy.
        found = run(subject, [*self.words(4 * IN_FLIGHT, bench, subject), "--rate", f"{self.rate:.0f}"], bench.seconds)
        return {key: found[key] for key in ("calls_per_second", "p50_us", "p99_us", "p999_us")}


class Lists(InPlace):
    """A list that is merged and kept, against a server that has it in memory."""

    columns = (
        Column("kib", "KiB", 1),
        Column("calls_per_second", "lists/s", 0),
        Column("calls_per_second", "/ direct", 3, "direct"),
        Column("p50_us", "p50 us", 0),
    )
    # The server that is asked directly has all the tools, and over HTTP.
    with_direct = False
    # `work` is the twentieth.
    tools = 19
    only = ("braid", "mcp-proxy", "mcp-hub", "fastmcp")

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        one = Place("one", "http", "http", 1)
        with ExitStack() as stack:
            holder = Scene(one, bench.folder / self.key / "direct", stack, tools=self.place.servers * (self.tools + 1) - 1)
            holder.direct()
            targets = stack.enter_context(super().open(bench))
            yield {**holder.targets, **targets}

    def leaders(self) -> tuple[str, ...]:
        return ("direct",)

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        found = run(subject, ["--method", "tools/list", *self.words(8, bench, subject)], bench.seconds)
        values = {key: found[key] for key in ("calls_per_second", "p50_us")}
        return {**values, "kib": found["bytes_per_second"] / found["calls_per_second"] / 1024}


class Large(InPlace):
    """Results that are long."""

    columns = (
        Column("mib_per_second", "MiB/s", 0),
        Column("mib_per_second", "/ floor", 2, "floor"),
        Column("cpu_us_per_call", "CPU us/call", 0),
        Column("cpu_us_per_call", "/ floor", 2, "floor"),
    )

    def __init__(self, key: str, title: str, place: Place, length: int, in_flight: int):
        super().__init__(key, title, place)
        self.length, self.in_flight = length, in_flight

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        found = run(subject, [*self.words(self.in_flight, bench, subject), "--bytes", str(self.length)], bench.seconds)
        values = {"mib_per_second": found["bytes_per_second"] / 2**20}
        return values if name == "direct" else {**values, "cpu_us_per_call": found["cpu_us_per_call"]}


class Cold(Row):
    """From the start of a proxy with ten servers to a full list, against the slowest server started by itself."""

    columns = (
        Column("initialize_ms", "initialize ms"),
        Column("list_ms", "full list ms"),
        Column("list_ms", "/ slowest", 2, "slowest server"),
    )

    def __init__(self, key: str, title: str, slowest: tuple[str, ...]):
        super().__init__(key, title)
        # What the last server is told.
        self.slowest = slowest

    @contextmanager
    def open(self, bench: Bench) -> Iterator[dict[str, object]]:
        commands = [[str(MOCK), "stdio", "--name", f"s{number}"] for number in range(STDIO_STDIO.servers)]
        commands[-1] += self.slowest
        servers = [Behind(f"s{number}", command) for number, command in enumerate(commands)]
        subjects: dict[str, object] = {}
        if "--hang" not in self.slowest:
            subjects["slowest server"] = (" ".join(commands[-1]), 1)
        for proxy in bench.proxies:
            if STDIO_STDIO.takes(proxy) and proxy.name != "floor":
                folder = bench.folder / self.key / proxy.name
                folder.mkdir(parents=True, exist_ok=True)
                subjects[proxy.name] = (str(script(folder, proxy.start(folder, "stdio", 0, servers))), len(servers))
        yield subjects

    def leaders(self) -> tuple[str, ...]:
        return ("slowest server",)

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        command, tools = subject
        if "--hang" in self.slowest:
            # The others' tools are all that there can be.
            tools -= 1
        found = started(command, tools)
        return {"initialize_ms": found["initialize_ms"], "list_ms": found["list_ms"]}


class Hang(Cold):
    """The same where the last server is deaf: whether clients feel it."""

    columns = (Column("initialize_ms", "initialize ms"),)


class Memory(InPlace):
    """What is resident without the servers: once each of them was called, after a second of calls, and after many more."""

    columns = (
        Column("idle_mib", "idle MiB"),
        Column("served_mib", "after 1 s of calls MiB"),
        Column("growth_kib", "growth KiB", 0),
    )
    rounds_max = 1
    with_direct = False
    is_warm = False

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        pid = subject.pids[0]
        values = {"idle_mib": rss_kib(pid) / 1024}
        warm(subject)
        values["served_mib"] = rss_kib(pid) / 1024
        if name in ("floor", "braid"):
            words = ["--in-flight", str(IN_FLIGHT), "--sessions", str(SESSIONS), "--calls"]
            # What so many at once need is not what more of the same leave behind.
            run(subject, [*words, str(bench.growth_calls // 10)], bench.growth_calls / 10_000)
            before = rss_kib(pid)
            run(subject, [*words, str(bench.growth_calls)], bench.growth_calls / 1000)
            values["growth_kib"] = rss_kib(pid) - before
        return values


class IdleSessions(InPlace):
    """What a session costs that does nothing."""

    columns = (Column("session_kib", "a session KiB"),)
    rounds_max = 1
    with_direct = False
    # Those that have sessions, and have them over Streamable HTTP.
    only = ("braid", "mcp-proxy", "fastmcp")

    def once(self, bench: Bench, name: str, subject: object, so_far: dict[str, Values]) -> Values:
        assert isinstance(subject, Target)
        found = idle(subject, bench.idle_sessions)
        return {"session_kib": found["per_session_bytes"] / 1024}


def rows() -> list[Row]:
    mib = 1024 * 1024
    return [
        Calls("calls-http-stdio10", "Calls, HTTP to 10 stdio servers, 32 in flight", HTTP_STDIO),
        Calls("calls-http-http1", "Calls, HTTP to 1 HTTP server, 32 in flight", HTTP_HTTP1),
        Calls("calls-http-http10", "Calls, HTTP to 10 HTTP servers, 32 in flight", HTTP_HTTP10),
        Calls("calls-stdio-stdio10", "Calls, stdio to 10 stdio servers, 32 in flight", STDIO_STDIO),
        Bridged("bridged-http-stdio10", "Calls of a client with a handshake to 10 stdio servers without", BRIDGED_STDIO),
        Bridged("bridged-http-http1", "Calls of a client with a handshake to 1 HTTP server without", BRIDGED_HTTP),
        Alone("alone-http-stdio", "One call at a time, HTTP to a stdio server", HTTP_STDIO1),
        Alone("alone-http-http", "One call at a time, HTTP to an HTTP server", HTTP_HTTP1),
        Awake("awake-http-stdio", "One call at a time, HTTP to a stdio server, processors kept awake", HTTP_STDIO1),
        Awake("awake-http-http", "One call at a time, HTTP to an HTTP server, processors kept awake", HTTP_HTTP1),
        Tail("tail-http-stdio10", "Latency at half of Braid's most, HTTP to 10 stdio servers", HTTP_STDIO),
        Tail("tail-http-http10", "Latency at half of Braid's most, HTTP to 10 HTTP servers", HTTP_HTTP10),
        Lists("lists", "tools/list of 50 servers with 20 tools each", Place("lists", "http", "stdio", 50)),
        Large("large-64k-http-stdio10", "Results of 64 KiB, HTTP to 10 stdio servers", HTTP_STDIO, 65_536, IN_FLIGHT),
        Large("large-64k-http-http1", "Results of 64 KiB, HTTP to 1 HTTP server", HTTP_HTTP1, 65_536, IN_FLIGHT),
        Large("large-1m-http-stdio10", "Results of 1 MiB, HTTP to 10 stdio servers", HTTP_STDIO, mib, 8),
        Large("large-1m-http-http1", "Results of 1 MiB, HTTP to 1 HTTP server", HTTP_HTTP1, mib, 8),
        Cold("cold", "From start to a full list, 10 stdio servers that start at once", ()),
        Cold("cold-slow", "From start to a full list, one of 10 stdio servers takes 500 ms", ("--start-ms", "500")),
        Hang("hang", "From start to `initialize`, one of 10 stdio servers never answers", ("--hang",)),
        Memory("memory", "Memory with 10 stdio servers", HTTP_STDIO),
        IdleSessions("sessions", "Memory of 1000 idle sessions", HTTP_STDIO),
    ]


def brief(values: Values) -> str:
    return ", ".join(f"{key} {value:.1f}" for key, value in values.items())
