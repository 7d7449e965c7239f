"""Recording: one server's lists and answers, seen directly or through Braid, as text."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from names import BadName, Exposure
from peers import HERE, NODE_HOME, PYTHON_1, Peer, Step, call, complete, due, of_prompt, prompt, read, script
from raw import MODERN, Answer, Session, Silence, environment
from serving import NotServed, Served, free_port
from spans import Node, parse, quote
from wires import Reach

LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}
KEYS = {"tools/list": "name", "resources/list": "uri", "resources/templates/list": "uriTemplate", "prompts/list": "name"}

# How long Braid may take until its lists hold what all servers offer; on a loaded machine the servers take most of it.
GATHER_SECONDS_MAX = 45.0
# Lists that have not grown for so long will not.
STILL_SECONDS_MAX = 15.0
CANCEL_SECONDS_MAX = 10.0
LEFT_SECONDS_MAX = 3.0


@dataclass
class Done:
    """What one step led to."""

    step: Step
    answer: Answer | None
    aspects: dict[str, str] = field(default_factory=dict)
    # The text of the request's id, so that a log of the other side can be matched.
    id_text: str = ""


@dataclass
class Record:
    """One server in one revision on one side. `fault` says why there is nothing to compare."""

    key: str
    revision: str
    work: Path
    lists: dict[str, list[str]] = field(default_factory=dict)
    steps: list[Done] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    # How this side shows the server's names.
    exposure: Exposure = field(default_factory=lambda: Exposure(""))


def fresh(folder: Path, peer: Peer) -> Path:
    """An empty work folder of a peer with its fixtures in it."""
    work = folder / peer.key
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    peer.prepare(work)
    return work


def install_scripts() -> None:
    """Puts the Node scripts beside their node_modules, where Node looks for packages."""
    for source in [*(HERE / "servers").glob("*.mjs"), *(HERE / "clients").glob("*.mjs")]:
        target = NODE_HOME / source.name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)


def write_config(
    folder: Path, peers: list[Peer], works: dict[str, Path], reaches: dict[str, Reach] | None = None, listen: int = 0, more: list[str] | None = None
) -> Path:
    """A braid.toml with all peers, and the same as a client's JSON beside it for the stand-in.

    `reaches`: where those are that listen by themselves. `listen`: the port of Braid's own, with a token in the folder.
    `more`: lines that every server gets.
    """
    lines, entries = [], {}
    if listen:
        lines += ["[listen]", f'http = ["127.0.0.1:{listen}"]', f"token_file = {toml(str(folder / 'token'))}", ""]
    for peer in peers:
        work = works[peer.key]
        lines.append(f"[servers.{peer.key}]")
        if reaches and peer.key in reaches:
            reach = reaches[peer.key]
            lines += [f"url = {toml(reach.url)}", f'transport = "{reach.transport}"', *(more or []), ""]
            continue
        command, env = peer.command(work), peer.env(work)
        entries[peer.key] = {"command": command[0], "args": command[1:], "env": env, "cwd": str(work)}
        lines += [f"command = {toml(command[0])}", f"args = [{', '.join(map(toml, command[1:]))}]", f"cwd = {toml(str(work))}", *(more or [])]
        if env:
            lines.append(f"env = {{ {', '.join(f'{name} = {toml(value)}' for name, value in env.items())} }}")
        lines.append("")
    (folder / "braid.json").write_text(json.dumps({"mcpServers": entries}, indent=1))
    path = folder / "braid.toml"
    path.write_text("\n".join(lines))
    return path


def bearer(folder: Path) -> dict[str, str]:
    """The header that lets a client in to what listens with the token of this folder."""
    token = folder / "token"
    return {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}


def toml(value: str) -> str:
    # A dollar starts a variable in braid.toml; a doubled one is the sign itself.
    return json.dumps(value.replace("$", "$$"), ensure_ascii=False)


def roots_of(folder: Path) -> list[str]:
    """What the client offers as roots, to every server alike: the folder that the filesystem server has anyway."""
    return [(folder / "filesystem" / "files").as_uri()]


def listening(peer: Peer, transport: str, work: Path) -> tuple[Served, Reach]:
    """A peer over HTTP: to be started, and where it is then. What speaks stdio alone gets a front, which passes its bytes on."""
    port = free_port()
    command = peer.listens(transport, work) if peer.listens else script(PYTHON_1, "front.py", transport, str(port), *peer.command(work))
    env = environment(peer.env(work) | {"PORT": str(port), "TRANSPORT": transport})
    return Served(command, port, work.parent / f"{peer.key}.log", env, work), Reach(url=url_of(port, transport), transport=transport)


def url_of(port: int, transport: str) -> str:
    return f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"


def record_direct(peer: Peer, revision: str, folder: Path, transport: str = "stdio") -> Record:
    work = fresh(folder, peer)
    record = Record(peer.key, revision, work)
    with ExitStack() as stack:
        try:
            reach = Reach(peer.command(work))
            if transport != "stdio":
                served, reach = listening(peer, transport, work)
                stack.enter_context(served)
            session = stack.enter_context(
                Session(reach, env=environment(peer.env(work)), cwd=work, revision=revision, roots=roots_of(folder))
            )
            agreed(session, record)
            session.settle(peer.settles, 5.0)
            for method, member in LISTS.items():
                items = session.list_all(method, member)
                record.lists[method] = items if isinstance(items, list) else []
            play(session, due(peer.steps(work)) + (explored(record) if peer.explore else []), record)
            after(session, record)
        except (Silence, NotServed) as fault:
            record.faults.append(str(fault))
    return record


def record_braid(
    command: list[str],
    peers: list[Peer],
    revision: str,
    folder: Path,
    direct: dict[str, Record],
    env: dict[str, str] | None = None,
    pair: tuple[str, str] = ("stdio", "stdio"),
) -> tuple[dict[str, Record], list[str]]:
    """All servers through one Braid, in one session. Besides the records, what is wrong with the whole."""
    works = {peer.key: fresh(folder, peer) for peer in peers}
    records = {peer.key: Record(peer.key, revision, works[peer.key], exposure=Exposure(peer.key)) for peer in peers}
    whole = Record("braid", revision, folder)
    try:
        with ExitStack() as stack:
            reach, braid = reached(command, peers, works, folder, environment(env), pair, stack)
            session = stack.enter_context(Session(reach, env=environment(env), cwd=folder, revision=revision, roots=roots_of(folder)))
            agreed(session, whole)
            lists = gather(session, direct)
            for method in LISTS:
                whole.faults += divide(method, lists[method], records, direct)
            for peer in peers:
                steps = due(peer.steps(works[peer.key])) + (explored(direct[peer.key]) if peer.explore else [])
                play(session, steps, records[peer.key])
            after(session, whole)
            code = session.close()
            if braid is not None:
                braid.end()
                code = braid.code
            if code != 0:
                whole.faults.append(f"Braid ended with {code} after {'TERM' if braid else 'its stdin closed'}")
        whole.faults += [f"left behind: {command}" for command in left_behind(folder)]
    except (Silence, NotServed) as fault:
        whole.faults.append(str(fault))
    return records, whole.faults


def reached(
    command: list[str], peers: list[Peer], works: dict[str, Path], folder: Path, env: dict[str, str], pair: tuple[str, str], stack: ExitStack
) -> tuple[Reach, Served | None]:
    """Starts what listens: the servers over HTTP, Braid before clients over HTTP. Where the client goes, and that Braid."""
    down, up = pair
    reaches: dict[str, Reach] = {}
    for peer in peers if up != "stdio" else []:
        served, reaches[peer.key] = listening(peer, up, works[peer.key])
        stack.enter_context(served)
    if down == "stdio":
        config = write_config(folder, peers, works, reaches)
        return Reach([*command, "stdio", "--config", str(config)]), None
    port = free_port()
    # Each session has servers of its own, as it has directly.
    config = write_config(folder, peers, works, reaches, port, ['sharing = "session"'])
    braid = stack.enter_context(Served([*command, "serve", "--config", str(config)], port, folder / "braid.log", env, folder))
    return Reach(url=url_of(port, down), transport=down, headers=bearer(folder)), braid


def left_behind(folder: Path) -> list[str]:
    """The processes that still work in a folder a while after they should be gone. Only Linux can tell."""
    end = time.monotonic() + LEFT_SECONDS_MAX
    while True:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip())
            except OSError:
                continue
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def agreed(session: Session, record: Record) -> None:
    answer = session.handshake()
    if session.revision == MODERN and answer.kind == "result":
        return
    version = parse(answer.text).get("protocolVersion") if answer.kind == "result" else None
    if version is None or version.string() != session.revision:
        record.faults.append(f"asked for {session.revision}, got {answer.kind} {answer.text[:200]}")


def after(session: Session, record: Record) -> None:
    """What must not have come: answers to nothing, text that is not JSON, progress that nobody asked for."""
    session.settle(0.2, 1.0)
    record.faults += session.strays
    for note in session.notes:
        token = parse(note.params).get("progressToken") if note.method == "notifications/progress" else None
        if token is not None and not (token.string() or "").startswith("interop-"):
            record.faults.append(f"progress for a call without a token: {note.params[:200]}")


def gather(session: Session, direct: dict[str, Record]) -> dict[str, list[str]]:
    """Braid's lists once they are as long as those of all servers together, or as they are when patience ends.

    Lists may be short at first: a server that is slow to start is announced by list_changed and not waited for.
    """
    end = time.monotonic() + float(os.environ.get("INTEROP_GATHER", GATHER_SECONDS_MAX))
    total, grown = 0, time.monotonic()
    while True:
        lists = {}
        for method, member in LISTS.items():
            items = session.list_all(method, member)
            lists[method] = items if isinstance(items, list) else []
        missing = [m for m in LISTS if len(lists[m]) < sum(len(record.lists.get(m, [])) for record in direct.values())]
        if sum(map(len, lists.values())) > total:
            total, grown = sum(map(len, lists.values())), time.monotonic()
        if not missing or time.monotonic() > min(end, grown + STILL_SECONDS_MAX):
            return lists
        session.settle(0.5, 0.5)


def divide(method: str, items: list[str], records: dict[str, Record], direct: dict[str, Record]) -> list[str]:
    """Hands every item of a merged list to the server that owns it. Tells what is nobody's, twice there, or out of order."""
    faults, seen, order = [], set(), []
    for item in items:
        exposed = key_of(method, item)
        if exposed in seen:
            faults.append(f"{method}: `{exposed}` is there twice")
        seen.add(exposed)
        owner = next((key for key, record in records.items() if owns(method, exposed, record.exposure, direct[key])), None)
        if owner is None:
            faults.append(f"{method}: `{exposed}` belongs to no server")
            continue
        records[owner].lists.setdefault(method, []).append(item)
        order.append(owner)
    if order != sorted(order, key=list(records).index):
        faults.append(f"{method}: servers are not in the order of the configuration")
    for key, record in records.items():
        if KEYS[method] == "name":
            originals, exposed = ([key_of(method, item) for item in side.lists.get(method, [])] for side in (direct[key], record))
            try:
                record.exposure.learn(LISTS[method], originals, exposed)
            except BadName as bad:
                faults.append(str(bad))
    return faults


def key_of(method: str, item: str) -> str:
    found = parse(item).get(KEYS[method])
    return (found.string() or "") if found else ""


def owns(method: str, exposed: str, exposure: Exposure, record: Record) -> bool:
    if KEYS[method] == "name":
        return exposure.owns_name(exposed)
    return exposure.owns_uri(exposed, {key_of(method, item) for item in record.lists.get(method, [])})


def play(session: Session, steps: list[Step], record: Record) -> None:
    for number, step in enumerate(steps):
        if step.since and session.revision < step.since:
            continue
        try:
            record.steps.append(perform(session, step, f"interop-{record.key}-{number}", record))
        except Silence as silence:
            record.steps.append(Done(step, None, {"silence": quote(str(silence))}))
            if session.gone():
                raise


def perform(session: Session, step: Step, token: str, record: Record) -> Done:
    params = record.exposure.request(step.method, step.params)
    if step.progress:
        params = '{"_meta":{"progressToken":' + quote(token) + "}," + params.lstrip()[1:]
    if step.cancel:
        return cancelled(session, step, params, record)
    note_from = len(session.notes)
    answer = session.request(step.method, params)
    done = Done(step, answer, {answer.kind: answer.text}, answer.id_text)
    for number, ask in enumerate(answer.asks):
        # Roots may be asked for at any time, not only because of this call.
        if ask.method != "roots/list" or step.kind == "ask":
            done.aspects[f"ask {ask.method} #{number}"] = ask.params or "null"
    if step.progress:
        notes = [note for note in answer.notes if note.method == "notifications/progress"]
        done.aspects |= {f"progress #{n}": note.params for n, note in enumerate(notes) if token in note.params}
    if step.log:
        notes = [note for note in answer.notes if note.method == "notifications/message"]
        done.aspects |= {f"log #{n}": note.params for n, note in enumerate(notes)}
    if step.note:
        note = session.await_note(step.note, note_from)
        done.aspects[f"note {step.note}"] = note.params if note else '"none came"'
    return done


def cancelled(session: Session, step: Step, params: str, record: Record) -> Done:
    """Cancels a call once it shows progress. Its trace at the server is the outcome; the next step shows that all goes on."""
    note_from = len(session.notes)
    id_text = session.begin(step.method, params)
    started = session.await_note("notifications/progress", note_from)
    session.notify("notifications/cancelled", f'{{"requestId":{id_text},"reason":"no longer needed"}}')
    trace = record.work / step.cancel
    end = time.monotonic() + CANCEL_SECONDS_MAX
    while time.monotonic() < end and not (trace.exists() and trace.read_text() == "cancelled"):
        session.settle(0.05, 0.05)
    session.settle(0.3, 0.3)
    # Whether a cancelled request is still answered differs between servers; a proxy does not answer it.
    session.waiting.pop(id_text, None)
    session.strays = [stray for stray in session.strays if f'"id":{id_text}' not in stray]
    word = trace.read_text() if trace.exists() else "never started"
    return Done(step, None, {"started": "true" if started else "false", "at the server": quote(word)}, id_text)


def explored(record: Record) -> list[Step]:
    """Steps for a server nobody wrote any for: everything that it lists, called with the least it accepts and with nothing."""
    steps = []
    for item in map(parse, record.lists.get("tools/list", [])):
        name = item.get("name").string()
        arguments = sample(item.get("inputSchema"))
        steps.append(call(f"{name}, least", name, json.loads(arguments), kind="call"))
        if arguments != "{}":
            steps.append(call(f"{name}, nothing", name, {}, kind="tool error"))
    for item in map(parse, record.lists.get("resources/list", [])):
        steps.append(read(item.get("uri").string()))
    for item in map(parse, record.lists.get("resources/templates/list", [])):
        steps.append(read(item.get("uriTemplate").string().replace("{", "").replace("}", ""), kind="error"))
    for item in map(parse, record.lists.get("prompts/list", [])):
        name = item.get("name").string()
        names = [a.get("name").string() for a in item.each("arguments", "*")]
        steps.append(prompt(f"{name}, filled", name, {n: "1" for n in names}))
        steps.append(prompt(f"{name}, nothing", name, {}, kind="error" if names else "prompt"))
        steps += [complete(f"{name}, {n}", of_prompt(name), n, "") for n in names]
    return steps


def sample(schema: Node | None) -> str:
    """The least value that an object schema's required members allow."""
    if schema is None:
        return "{}"
    required = [n.string() for n in schema.each("required", "*")]
    parts = [f"{quote(name)}:{sample_value(schema.get('properties', name))}" for name in required]
    return "{" + ",".join(parts) + "}"


def sample_value(schema: Node | None) -> str:
    kind = schema.get("type").string() if schema and schema.get("type") and schema.get("type").kind == "string" else "string"
    if schema and schema.get("enum", 0):
        return schema.get("enum", 0).text
    match kind:
        case "integer" | "number":
            return schema.get("minimum").text if schema.get("minimum") else "2"
        case "boolean":
            return "true"
        case "array":
            return "[]"
        case "object":
            return sample(schema)
    return '"a"'
