"""Real client SDKs: the same plan directly and through Braid, and what each SDK made of the answers compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from compare import Comparison, Verdict
from names import Exposure
from peers import HERE, NODE, NODE_HOME, PYTHON_1, PYTHON_2, Peer, Step, due
from raw import CARRIED, environment
from record import LISTS, Done, Record, divide, explored, fresh, roots_of, write_config

# Built by `cargo build --examples`.
RMCP = (HERE / "../../target/debug/examples/interop_rmcp").resolve()

CLIENT_SECONDS_MAX = 240
LEGACY_LATEST = "2025-11-25"


@dataclass(frozen=True)
class Client:
    name: str
    command: list[str]
    mode: str = "legacy"
    # This client handles a notification after the answer behind it when both arrive at once, and then drops it.
    late_notes: bool = False


def clients() -> list[Client]:
    return [
        Client("py 1.x", [PYTHON_1, str(HERE / "clients" / "python_v1.py")]),
        Client("py 2.x", [PYTHON_2, str(HERE / "clients" / "python_v2.py")]),
        Client("py 2.x auto", [PYTHON_2, str(HERE / "clients" / "python_v2.py")], "auto"),
        Client("rmcp", [str(RMCP)], late_notes=True),
        Client("ts 1.x", [NODE, str(NODE_HOME / "ts_v1.mjs")], late_notes=True),
        Client("ts 2.x", [NODE, str(NODE_HOME / "ts_v2.mjs")], late_notes=True),
        Client("ts 2.x auto", [NODE, str(NODE_HOME / "ts_v2.mjs")], "auto", late_notes=True),
    ]


def steps_of(peer: Peer, work: Path, record: Record | None) -> list[Step]:
    steps = due(peer.steps(work)) + (explored(record) if peer.explore and record else [])
    return [step for step in steps if step.clients and step.kind != "unknown"]


def operation(step: Step, exposure: Exposure) -> dict:
    return {"method": step.method, "params": json.loads(exposure.request(step.method, step.params)), "progress": step.progress}


def target(name: str, command: list[str], env: dict[str, str], cwd: Path, folder: Path, quiet: float, counts: dict[str, int], operations: list[dict]) -> dict:
    return {
        "name": name,
        "command": command,
        "env": environment(env),
        "cwd": str(cwd),
        "asks": CARRIED["asks"],
        "roots": roots_of(folder),
        "quiet": quiet,
        "counts": counts,
        "operations": operations,
    }


def carry_out(client: Client, targets: list[dict], folder: Path) -> dict[str, dict]:
    """The reports of one run of a client program, by target."""
    plan = json.dumps({"mode": client.mode, "targets": targets})
    with open(folder / "client-stderr.txt", "wb") as errlog:
        process = subprocess.Popen(
            client.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errlog, env=environment(), cwd=folder, start_new_session=True
        )
        try:
            out, _ = process.communicate(plan.encode(), CLIENT_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
    reports = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    return {report["name"]: report for report in reports}


def compact(value: object) -> str:
    # SDK models have an order of members of their own; the order on the wire is the raw comparison's business.
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def take_lists(report: dict) -> dict[str, list[str]]:
    return {method: [compact(item) for item in report.get("lists", {}).get(method, [])] for method in LISTS}


def take_outcomes(client: Client, steps: list[Step], outcomes: list[dict]) -> list[Done]:
    done = []
    for step, outcome in zip(steps, outcomes):
        kind = next(kind for kind in ("result", "error", "fault") if kind in outcome)
        aspects = {kind: compact(outcome[kind])}
        aspects |= {f"ask {method} #{n}": compact(params) for n, (method, params) in enumerate(outcome["asks"])}
        notes = outcome["progress"]
        if client.late_notes:
            notes = notes[:1] if step.spaced else []
        aspects |= {f"progress #{n}": compact(note) for n, note in enumerate(notes)}
        done.append(Done(step, None, aspects))
    return done


def fault_of(reports: dict[str, dict], name: str, count: int) -> list[str]:
    report = reports.get(name)
    if report is None:
        return ["the client ended without a report"]
    if "fault" in report:
        return [report["fault"]]
    return [] if len(report["outcomes"]) == count else [f"{len(report['outcomes'])} of {count} outcomes"]


def direct_records(client: Client, peers: list[Peer], folder: Path, explored_from: dict[str, Record]) -> dict[str, Record]:
    records, targets = {}, []
    for peer in peers:
        work = fresh(folder, peer)
        record = records[peer.key] = Record(peer.key, client.name, work)
        record.steps = [Done(step, None) for step in steps_of(peer, work, explored_from.get(peer.key))]
        operations = [operation(done.step, Exposure("")) for done in record.steps]
        targets.append(target(peer.key, peer.command(work), peer.env(work), work, folder, peer.settles, {}, operations))
    reports = carry_out(client, targets, folder)
    for peer in peers:
        record = records[peer.key]
        steps = [done.step for done in record.steps]
        record.faults = fault_of(reports, peer.key, len(steps))
        report = reports.get(peer.key, {})
        record.lists, record.steps = take_lists(report), take_outcomes(client, steps, report.get("outcomes", []))
    return records


def braid_records(client: Client, braid: list[str], peers: list[Peer], folder: Path, direct: dict[str, Record]) -> tuple[dict[str, Record], str, list[str]]:
    """The records through Braid, the revision that the client and Braid agreed on, and what is wrong with the whole."""
    works = {peer.key: fresh(folder, peer) for peer in peers}
    config = write_config(folder, peers, works)
    records = {peer.key: Record(peer.key, client.name, works[peer.key], exposure=Exposure(peer.key)) for peer in peers}
    # The steps are those of the direct side, with this side's work folders in their arguments.
    plans = {
        peer.key: [
            Step(**{**vars(done.step), "params": done.step.params.replace(str(direct[peer.key].work), str(works[peer.key]))}) for done in direct[peer.key].steps
        ]
        for peer in peers
    }
    operations = [operation(step, records[key].exposure) for key, steps in plans.items() for step in steps]
    counts = {method: sum(len(record.lists[method]) for record in direct.values()) for method in LISTS}
    quiet = max((peer.settles for peer in peers), default=0.0)
    aim = target("braid", [*braid, "stdio", "--config", str(config)], {}, folder, folder, quiet, counts, operations)
    reports = carry_out(client, [aim], folder)
    faults = fault_of(reports, "braid", len(operations))
    report = reports.get("braid", {})
    lists, outcomes = take_lists(report), report.get("outcomes", [])
    for method in LISTS:
        faults += divide(method, lists[method], records, direct)
    for key, steps in plans.items():
        records[key].steps = take_outcomes(client, steps, outcomes[: len(steps)])
        outcomes = outcomes[len(steps) :]
    return records, report.get("negotiated") or LEGACY_LATEST, faults


def verdicts(
    client: Client, peers: list[Peer], direct: dict[str, Record], seen: dict[str, Record], revision: str, faults: list[str], comparison: Comparison
) -> list[Verdict]:
    found = []
    for peer in peers:
        # The rules go by the revision between client and Braid; the table shows the client.
        direct[peer.key].revision = revision
        found += comparison.records(direct[peer.key], seen[peer.key])
    if faults:
        found.append(Verdict("braid", revision, "session", "session", False, details=faults[:10]))
    for verdict in found:
        verdict.revision = client.name
    return found
