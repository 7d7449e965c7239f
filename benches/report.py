"""What was found, as a table on the terminal, as JSON, and as BENCHMARKS.md."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rows import FLOOR_OVER_NGINX_MAX, Bench, Column, Row


@dataclass
class Machine:
    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    system: str

    @classmethod
    def this(cls) -> "Machine":
        info = Path("/proc/cpuinfo").read_text()
        model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine())
        total = int(Path("/proc/meminfo").read_text().split(None, 2)[1]) / 2**20
        release = Path("/etc/os-release")
        pairs = [line.split("=", 1) for line in release.read_text().splitlines() if "=" in line] if release.exists() else []
        name = dict(pairs).get("PRETTY_NAME", platform.system()).strip('"')
        return cls(model, len(os.sched_getaffinity(0)), round(total, 1), platform.release(), name)

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.memory_gib} GiB, Linux {self.kernel}, {self.system}"


def versions(bench: Bench) -> dict[str, str]:
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, timeout=20).stdout.split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=20, cwd=Path(__file__).parent)
    found = {proxy.name: proxy.version() for proxy in bench.proxies if proxy.name != "floor"}
    found["braid"] += f" ({commit.stdout.strip()})" if commit.returncode == 0 else ""
    return {**found, "rustc": rustc[1] if len(rustc) > 1 else "?"}


def cells(row: Row, name: str) -> list[str]:
    return [shown(row, name, column) for column in row.columns]


def shown(row: Row, name: str, column: Column) -> str:
    value = row.ratio(name, column) if column.over else row.median(name, column.key)
    return "" if value is None else f"{value:,.{column.digits}f}".replace(",", " ")


def grid(row: Row) -> list[list[str]]:
    """A heading, and a line for each subject."""
    lines = [["", *(column.heading for column in row.columns)]]
    for name, found in row.found.items():
        title = f"{name} (one round)" if found.slow and row.rounds_max > 1 else name
        lines.append([title, "void: " + found.void] if found.void else [title, *cells(row, name)])
    return lines


def table(row: Row) -> str:
    lines = grid(row)
    full = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[at]) for line in full) for at in range(len(lines[0]))]
    widths[0] = max(len(line[0]) for line in lines)
    text = [row.title]
    for line in lines:
        first = line[0].ljust(widths[0])
        rest = [line[1]] if len(line) < len(widths) else [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        text.append("  ".join(["", first, *rest]).rstrip())
    return "\n".join(text)


def markdown(row: Row) -> str:
    lines = grid(row)
    wide = len(lines[0])
    text = [f"### {row.title}", "", "| " + " | ".join(lines[0]) + " |", "|---|" + "--:|" * (wide - 1)]
    text += ["| " + " | ".join([*line, *[""] * (wide - len(line))]) + " |" for line in lines[1:]]
    return "\n".join(text)


def as_json(done: list[Row], bench: Bench, problems: list[str], seconds: float) -> dict[str, object]:
    return {
        "machine": vars(Machine.this()),
        "versions": versions(bench),
        "rounds": bench.rounds,
        "seconds_each": bench.seconds,
        "seconds": round(seconds, 1),
        "problems": problems,
        "rows": {
            row.key: {
                "title": row.title,
                "subjects": {
                    name: {
                        "void": found.void,
                        "medians": {column.key: row.median(name, column.key) for column in row.columns if not column.over},
                        "ratios": {f"{column.key} / {column.over}": row.ratio(name, column) for column in row.columns if column.over},
                        "rounds": found.rounds,
                    }
                    for name, found in row.found.items()
                },
            }
            for row in done
        },
    }


def document(done: list[Row], bench: Bench, problems: list[str], command: str, date: str) -> str:
    pinned = ", ".join(f"{name} {version}" for name, version in versions(bench).items())
    parts = [
        "# Benchmarks",
        f"Made by `{command}` on {date}; [benches/README.md](benches/README.md) says what takes part and how to run it again.",
        f"- Machine: {Machine.this()}. Everything runs on it: the load, the proxies and the servers share its cores.\n"
        f"- Versions: {pinned}.\n"
        f"- Each figure is the median of {bench.rounds} rounds of {bench.seconds:g} s, in which all take turns. A ratio (`/ floor`) is made within each round,\n"
        "  and then its median is taken.\n"
        "  Who takes much longer than it was told is measured in one round only.\n"
        "- Every answer is looked at: its id, and the text that its call asked for. One that is wrong or lost voids the line.\n"
        "- CPU is user and system time of the proxy and all its processes but the servers, by call. Braid's guardian is in it.\n"
        f"- The floor is a relay that does as little as can be. A run in which it takes more than {FLOOR_OVER_NGINX_MAX} times nginx's CPU is void.\n"
        "- Braid runs without options: over HTTP with its token, limits, deadlines and sessions. The others are as their READMEs start them.",
    ]
    if problems:
        parts.append("**This run is void:** " + "; ".join(problems))
    parts += [markdown(row) for row in done]
    parts += ["## What this does not show", LIMITS]
    return "\n\n".join(parts) + "\n"


LIMITS = """- What a user feels: a tool takes milliseconds to minutes, and what any of these adds is lost in it. Ratios are large because what is measured is small.
- Other machines. With more cores than two the load and the servers would not take from the proxies what they need; calls per second are those of the whole
  arrangement, CPU per call says more. Networks, TLS and other systems than Linux are not here.
- Answers that stream, progress, questions of servers, clients that come and go, or a mix of sizes: each row has one kind of call.
- What the others do besides: `mcp-hub` speaks HTTP+SSE to clients, so its calls are another protocol's; `nginx` reads no message and sees one server; the
  floor leaves out all that Braid is for.
- The revision 2026-07-28: all clients here make the handshake."""
