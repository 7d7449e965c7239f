"""The servers that stand behind Braid in the run, and what is asked of each.

A `Peer` knows how it is started in a work folder of its own, what lies there beforehand, and its `Step`s, which are
written in the server's own names. Steps run in order, so a server with state sees the same story on every side.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

from raw import CARRIED

HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("INTEROP_HOME", HERE / "../../target/interop")).resolve()
NODE_HOME = HOME / "node"
PYTHON_1 = str(HOME / "py1" / "bin" / "python")
PYTHON_2 = str(HOME / "py2" / "bin" / "python")
NODE = shutil.which("node") or "node"
# A path, or a command with arguments.
BRAID = shlex.split(os.environ.get("BRAID") or str((HERE / "../../target/debug/braid").resolve()))

# The file times that a listing with sizes or dates can show.
LONG_AGO = 1_700_000_000
GIT_CLOCK = {"GIT_AUTHOR_DATE": "2025-01-02T03:04:05+00:00", "GIT_COMMITTER_DATE": "2025-01-02T03:04:05+00:00"}
GIT_PERSON = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@dataclass
class Step:
    """One request. `kind` is its column in the table; `params` is JSON text, so that every digit is chosen here."""

    label: str
    kind: str
    method: str
    params: str
    # A progress token is added, and the notes that carry it count.
    progress: bool = False
    # Its progress comes with time between, so that no client takes it together with the answer.
    spaced: bool = False
    # Log messages during the call count.
    log: bool = False
    # A notification of this method must follow.
    note: str = ""
    # The call is cancelled at its first progress; this file of the work folder then tells what the server made of it.
    cancel: str = ""
    # Client SDKs take this step too; false where their types would change what is asked.
    clients: bool = True
    # The earliest revision in which a client can be asked what this call leads to.
    since: str = ""


@dataclass
class Peer:
    key: str
    command: Callable[[Path], list[str]]
    steps: Callable[[Path], list[Step]]
    env: Callable[[Path], dict[str, str]] = lambda work: {}
    prepare: Callable[[Path], None] = lambda work: None
    # The folders that a client offers as roots.
    roots: bool = False
    # Steps come from the server's own lists: everything listed is called, read and asked for.
    explore: bool = False
    # Lists grow after the handshake; wait for this quiet.
    settles: float = 0.0
    # Client SDKs connect to it as well.
    clients: bool = True
    # It speaks 2026-07-28 too, which Braid may choose toward it whatever the client speaks.
    dual: bool = False
    # It is part of Braid's own binary.
    needs_braid: bool = False
    # How it speaks over HTTP by itself, with the variables PORT and TRANSPORT; a server that does not gets a front.
    listens: Callable[[str, Path], list[str]] | None = None


def due(steps: list[Step]) -> list[Step]:
    """The steps that are about what Braid carries."""
    subscribing = ("resources/subscribe", "resources/unsubscribe")
    kept = [
        step
        for step in steps
        if (CARRIED["asks"] or step.kind != "ask")
        and (CARRIED["subscriptions"] or (step.method not in subscribing and step.kind != "update"))
    ]
    return [replace(step, log=step.log and CARRIED["logs"]) for step in kept]


def text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def call(label: str, name: str, arguments: object = None, kind: str = "call", **more: object) -> Step:
    params = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    return Step(label, kind, "tools/call", text(params), **more)


def raw_call(label: str, params: str, **more: object) -> Step:
    return Step(label, more.pop("kind", "call"), "tools/call", params, clients=False, **more)


def read(uri: str, kind: str = "read", **more: object) -> Step:
    return Step(f"read {uri}", kind, "resources/read", text({"uri": uri}), **more)


def prompt(label: str, name: str, arguments: object = None, kind: str = "prompt", **more: object) -> Step:
    params = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    return Step(label, kind, "prompts/get", text(params), **more)


def complete(label: str, ref: dict, name: str, value: str, context: dict | None = None, **more: object) -> Step:
    params = {"ref": ref, "argument": {"name": name, "value": value}} | ({"context": {"arguments": context}} if context else {})
    return Step(label, "complete", "completion/complete", text(params), **more)


def of_prompt(name: str) -> dict:
    return {"type": "ref/prompt", "name": name}


def of_template(uri: str) -> dict:
    return {"type": "ref/resource", "uri": uri}


def unknown_names() -> list[Step]:
    """What no server has. How Braid may answer these is in expectations.json."""
    return [
        call("unknown tool", "no_such_tool", {}, kind="unknown"),
        prompt("unknown prompt", "no_such_prompt", {}, kind="unknown"),
    ]


def node_package(name: str, *arguments: str) -> list[str]:
    return [NODE, str(NODE_HOME / "node_modules" / "@modelcontextprotocol" / name / "dist" / "index.js"), *arguments]


def script(python: str, name: str, *arguments: str) -> list[str]:
    return [python, str(HERE / "servers" / name), *arguments]


# --- the reference servers -------------------------------------------------------------------------------------------


def everything_steps(_: Path) -> list[Step]:
    dynamic = "demo://resource/dynamic"
    return [
        call("echo", "echo", {"message": "Grüße 👋 \u2028 \" \\ \u0007"}),
        call("echo, wrong type", "echo", {"message": 7}, kind="tool error"),
        call("sum", "get-sum", {"a": 2, "b": 3.5}),
        call("tiny image", "get-tiny-image", {}),
        call("annotated", "get-annotated-message", {"messageType": "error", "includeImage": True}),
        call("structured", "get-structured-content", {"location": "Chicago"}),
        call("structured, bad", "get-structured-content", {"location": "Oslo"}, kind="tool error"),
        call("links", "get-resource-links", {"count": 4}),
        call("reference", "get-resource-reference", {"resourceType": "Text", "resourceId": 3}),
        call("reference, blob", "get-resource-reference", {"resourceType": "Blob", "resourceId": 2}),
        call("reference, bad", "get-resource-reference", {"resourceType": "Text", "resourceId": -1}, kind="tool error"),
        call("gzip, embedded", "gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}),
        call("gzip, link", "gzip-file-as-resource", {"name": "b.gz", "data": "data:text/plain,hello", "outputType": "resourceLink"}),
        call("env", "get-env"),
        call("long, with progress", "trigger-long-running-operation", {"duration": 0.4, "steps": 4}, kind="progress", progress=True, spaced=True),
        call("long, no token", "trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
        call("task required", "simulate-research-query", {"topic": "rope"}, kind="tool error", since="2025-11-25", clients=False),
        call("roots", "get-roots-list", {}, kind="ask"),
        call("sampling", "trigger-sampling-request", {"prompt": "hi", "maxTokens": 9}, kind="ask"),
        call("elicitation", "trigger-elicitation-request", {}, kind="ask", since="2025-06-18"),
        call("url elicitation", "trigger-url-elicitation", {"url": "https://example.org/form"}, kind="ask", since="2025-11-25"),
        read("demo://resource/static/document/architecture.md"),
        read(f"{dynamic}/text/7"),
        read(f"{dynamic}/blob/8"),
        read(f"{dynamic}/text/none", kind="error"),
        read("demo://resource/unheard-of", kind="error"),
        prompt("simple", "simple-prompt"),
        prompt("args", "args-prompt", {"city": "Oslo", "state": "Ø"}),
        prompt("args missing", "args-prompt", {}, kind="error"),
        prompt("embedded", "resource-prompt", {"resourceType": "Text", "resourceId": "5"}),
        prompt("embedded, bad", "resource-prompt", {"resourceType": "Text", "resourceId": "x"}, kind="error"),
        complete("department", of_prompt("completable-prompt"), "department", "S"),
        complete("name in context", of_prompt("completable-prompt"), "name", "", {"department": "Sales"}, since="2025-06-18"),
        complete("template", of_template(f"{dynamic}/text/{{resourceId}}"), "resourceId", "4"),
        Step("complete, unknown template", "error", "completion/complete", text({"ref": of_template("demo://no/{thing}"), "argument": {"name": "thing", "value": ""}})),
        Step("subscribe", "other", "resources/subscribe", text({"uri": f"{dynamic}/text/1"}), clients=False),
        Step("unsubscribe", "other", "resources/unsubscribe", text({"uri": f"{dynamic}/text/1"}), clients=False),
        *unknown_names(),
    ]


def filesystem_files(work: Path) -> None:
    folder = work / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "hello.txt").write_text("hello\nworld\n")
    (folder / "ünï “q”.txt").write_text("Grüße 👋\n")
    (folder / "sub" / "data.json").write_text('{"n": 12345678901234567890123, "f": 1.0}')
    (folder / "pixel.gif").write_bytes(b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;")
    (folder / "sound.wav").write_bytes(b"RIFF\x04\x00\x00\x00WAVE")
    (folder / "bytes.bin").write_bytes(bytes(range(256)))
    for path in sorted(folder.rglob("*")):
        os.utime(path, (LONG_AGO, LONG_AGO))


def filesystem_steps(work: Path) -> list[Step]:
    folder = work / "files"
    file = str(folder / "hello.txt")
    edit = {"path": file, "edits": [{"oldText": "world", "newText": "there"}]}
    return [
        call("read", "read_text_file", {"path": file}),
        call("head", "read_text_file", {"path": file, "head": 1}),
        call("odd name", "read_text_file", {"path": str(folder / "ünï “q”.txt")}),
        call("picture", "read_media_file", {"path": str(folder / "pixel.gif")}),
        call("sound", "read_media_file", {"path": str(folder / "sound.wav")}),
        call("bytes", "read_media_file", {"path": str(folder / "bytes.bin")}),
        call("many", "read_multiple_files", {"paths": [file, str(folder / "absent.txt")]}),
        call("absent", "read_text_file", {"path": str(folder / "absent.txt")}, kind="tool error"),
        call("outside", "read_text_file", {"path": "/etc/hostname"}, kind="tool error"),
        call("no path", "read_text_file", {}, kind="tool error"),
        call("list", "list_directory", {"path": str(folder)}),
        call("sizes", "list_directory_with_sizes", {"path": str(folder), "sortBy": "size"}),
        call("tree", "directory_tree", {"path": str(folder)}),
        call("search", "search_files", {"path": str(folder), "pattern": "**/*.json"}),
        call("info", "get_file_info", {"path": file}),
        call("dry edit", "edit_file", edit | {"dryRun": True}),
        call("edit", "edit_file", edit),
        call("write", "write_file", {"path": str(folder / "new.txt"), "content": "lone \\ud83d, tab\t, nul-free"}),
        call("read new", "read_text_file", {"path": str(folder / "new.txt")}),
        call("mkdir", "create_directory", {"path": str(folder / "a" / "b")}),
        call("move", "move_file", {"source": str(folder / "new.txt"), "destination": str(folder / "a" / "moved.txt")}),
        call("allowed", "list_allowed_directories", {}),
        *unknown_names()[:1],
    ]


def memory_steps(_: Path) -> list[Step]:
    ana = {"name": "Ana", "entityType": "person", "observations": ["climbs", "sails"]}
    rope = {"name": "Rope", "entityType": "thing", "observations": []}
    return [
        read("memory://knowledge-graph"),
        call("create", "create_entities", {"entities": [ana, rope]}),
        call("relate", "create_relations", {"relations": [{"from": "Ana", "to": "Rope", "relationType": "uses"}]}),
        call("observe", "add_observations", {"observations": [{"entityName": "Ana", "contents": ["knots “bowline”"]}]}),
        call("observe nobody", "add_observations", {"observations": [{"entityName": "Bo", "contents": ["?"]}]}, kind="tool error"),
        call("search", "search_nodes", {"query": "bowline"}),
        call("open", "open_nodes", {"names": ["Rope"]}),
        Step("subscribe", "other", "resources/subscribe", text({"uri": "memory://knowledge-graph"}), clients=False),
        call("delete", "delete_entities", {"entityNames": ["Rope"]}, kind="update", note="notifications/resources/updated", clients=False),
        Step("unsubscribe", "other", "resources/unsubscribe", text({"uri": "memory://knowledge-graph"}), clients=False),
        call("graph", "read_graph", {}),
        read("memory://knowledge-graph"),
        read("memory://elsewhere", kind="error"),
    ]


def thinking_steps(_: Path) -> list[Step]:
    thought = {"thought": "Ropes are strands.", "nextThoughtNeeded": True, "thoughtNumber": 1, "totalThoughts": 2}
    return [
        call("first", "sequentialthinking", thought),
        call("branch", "sequentialthinking", thought | {"thoughtNumber": 2, "branchFromThought": 1, "branchId": "b", "nextThoughtNeeded": "false"}),
        call("bad", "sequentialthinking", {"thought": 1}, kind="tool error"),
    ]


def time_steps(_: Path) -> list[Step]:
    return [
        call("now", "get_current_time", {"timezone": "Europe/Berlin"}),
        call("convert", "convert_time", {"source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Kathmandu"}),
        call("bad zone", "get_current_time", {"timezone": "Mars/Olympus"}, kind="tool error"),
        call("bad time", "convert_time", {"source_timezone": "UTC", "time": "25:99", "target_timezone": "UTC"}, kind="tool error"),
        call("nothing", "get_current_time", {}, kind="tool error"),
        *unknown_names()[:1],
    ]


def git_repository(work: Path) -> None:
    repo = work / "repo"
    repo.mkdir(parents=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(work)} | GIT_CLOCK | GIT_PERSON

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=repo, env=env, check=True, capture_output=True, timeout=30)

    git("init", "-q", "-b", "main")
    (repo / "README.md").write_text("# Rope\n")
    git("add", ".")
    git("commit", "-q", "-m", "first: Ünïcödé\n\nwith a body")
    (repo / "README.md").write_text("# Rope\n\nthree strands\n")


def git_steps(work: Path) -> list[Step]:
    repo = {"repo_path": str(work / "repo")}
    return [
        call("status", "git_status", repo),
        call("unstaged", "git_diff_unstaged", repo),
        call("add", "git_add", repo | {"files": ["README.md"]}),
        call("staged", "git_diff_staged", repo | {"context_lines": 0}),
        call("commit", "git_commit", repo | {"message": "second"}),
        call("log", "git_log", repo | {"max_count": 2}),
        call("show", "git_show", repo | {"revision": "HEAD"}),
        call("branch", "git_create_branch", repo | {"branch_name": "side"}),
        call("branches", "git_branch", repo | {"branch_type": "all"}),
        call("bad revision", "git_show", repo | {"revision": "nowhere"}, kind="tool error"),
        call("bad repo", "git_status", {"repo_path": str(work)}, kind="tool error"),
        call("no arguments", "git_status", {}, kind="tool error"),
    ]


def sqlite_steps(_: Path) -> list[Step]:
    return [
        call("create", "create_table", {"query": "CREATE TABLE ropes (id INTEGER PRIMARY KEY, name TEXT, length REAL)"}),
        call("insert", "write_query", {"query": "INSERT INTO ropes (name, length) VALUES ('Ünï', 9.5), (NULL, 0.1)"}),
        call("select", "read_query", {"query": "SELECT * FROM ropes"}),
        call("tables", "list_tables"),
        call("describe", "describe_table", {"table_name": "ropes"}),
        call("insight", "append_insight", {"insight": "ropes are long"}),
        call("not a select", "read_query", {"query": "DROP TABLE ropes"}, kind="tool error"),
        call("bad sql", "read_query", {"query": "SELECT nothing FROM nowhere"}, kind="tool error"),
        call("no query", "read_query", {}, kind="tool error"),
        read("memo://insights"),
        read("memo://other", kind="error"),
        prompt("demo", "mcp-demo", {"topic": "ropes"}),
        prompt("no topic", "mcp-demo", {}, kind="error"),
        *unknown_names(),
    ]


# --- servers as tutorials write them ---------------------------------------------------------------------------------


def lowlevel_steps(_: Path) -> list[Step]:
    return [
        call("weather", "get_weather", {"city": "Oslo"}),
        call("weather, other", "get_weather", {"city": "“Ö”", "units": "imperial"}),
        call("weather, bad unit", "get_weather", {"city": "Oslo", "units": "kelvin"}, kind="tool error"),
        call("all content", "show_everything", {}),
        call("divide", "divide", {"a": 1, "b": 3}),
        call("by zero", "divide", {"a": 1, "b": 0}, kind="tool error"),
        read("note://today"),
        read("note://pixel"),
        read("note://by-city/Bern"),
        read("file:///srv/notes/readme.md"),
        read("https://weather.example.org/help"),
        read("note://absent", kind="error"),
        prompt("plan", "plan_trip", {"city": "Bergen", "days": "4"}),
        prompt("plan, no city", "plan_trip", {}, kind="error"),
        prompt("with note", "with_note"),
        complete("city", of_prompt("plan_trip"), "city", "Ber"),
        complete("days in context", of_prompt("plan_trip"), "days", "", {"city": "Bern"}, since="2025-06-18"),
        complete("city of template", of_template("note://by-city/{city}"), "city", "Os"),
        *unknown_names(),
    ]


def products_steps(_: Path) -> list[Step]:
    return [
        call("list", "list_products", {}),
        call("cheap", "list_products", {"max_price": 50}),
        call("one", "get_product", {"name": "Desk “Öresund”"}),
        call("add", "add_product", {"name": "Rope", "price": 0.1, "stock": 9007199254740993}),
        call("add again", "add_product", {"name": "Rope", "price": 1}, kind="tool error"),
        call("sell", "sell", {"name": "Lamp", "count": 3}),
        call("sell too many", "sell", {"name": "Lamp", "count": 3}, kind="tool error"),
        call("absent", "get_product", {"name": "Boat"}, kind="tool error"),
        call("wrong type", "add_product", {"name": [], "price": "free"}, kind="tool error"),
        read("schema://products"),
        read("products://Rope/price"),
        read("products://Boat/price", kind="error"),
        prompt("restock", "restock", {"name": "Lamp", "tone": "stern"}),
        prompt("restock, nothing", "restock", {}, kind="error"),
        *unknown_names(),
    ]


def progress_steps(_: Path) -> list[Step]:
    return [
        call("three files", "process", {"files": ["a", "b", "c"]}, kind="progress", progress=True, log=True),
        call("no token", "process", {"files": ["a"]}),
        call("fractions", "measure", {"steps": 5}, kind="progress", progress=True),
        call("elicit", "ask_name", {}, kind="ask", since="2025-06-18"),
        call("cancel", "wait_long", {"seconds": 30}, kind="cancel", progress=True, cancel="trace.txt", clients=False),
        call("after the cancel", "process", {"files": []}),
    ]


def fast_steps(_: Path) -> list[Step]:
    return [
        call("add", "add", {"a": 2, "b": 40}),
        call("add, bad", "add", {"a": "x"}, kind="tool error"),
        call("sum", "sum_all", {"numbers": [1, 2.5, 3]}, kind="progress", progress=True),
        call("refuse", "refuse", {"reason": "no “why”"}, kind="tool error"),
        read("config://version"),
        read("users://7/profile"),
        read("users://x/none", kind="error"),
        prompt("summarize", "summarize", {"text": "rope"}),
        prompt("summarize, nothing", "summarize", {}, kind="error"),
        *unknown_names(),
    ]


def project_steps(_: Path) -> list[Step]:
    return [
        read("project://list"),
        read("project://apollo/status"),
        read("project://apollo/tasks/1"),
        read("project://nobody/status", kind="error"),
        read("project://apollo/nothing/here/at/all", kind="error"),
        call("pause", "set_status", {"name": "apollo", "status": "paused"}),
        read("project://apollo/status"),
        call("unknown", "set_status", {"name": "x", "status": "y"}, kind="tool error"),
        prompt("report", "report", {"name": "zephyr"}),
        prompt("report, unknown", "report", {"name": "x"}, kind="error"),
        complete("name of prompt", of_prompt("report"), "name", "a"),
        complete("name of template", of_template("project://{name}/status"), "name", ""),
        complete("index in context", of_template("project://{name}/tasks/{index}"), "index", "", {"name": "apollo"}, since="2025-06-18"),
    ]


def calc_high_steps(_: Path) -> list[Step]:
    return [
        call("add", "add", {"a": 0.1, "b": 0.2}),
        call("add, bad", "add", {"a": "x"}, kind="tool error"),
        call("divide", "divide", {"a": 1, "b": 4}),
        call("by zero", "divide", {"a": 1, "b": 0}, kind="tool error"),
        call("count down", "count_down", {"from": 5}, kind="progress", progress=True),
        call("links", "links", {}),
        read("constant://pi"),
        read("constant://tau"),
        read("constant://phi", kind="error"),
        read("elsewhere://x", kind="error"),
        prompt("solve", "solve", {"equation": "x² = 2", "style": "short"}),
        prompt("solve nothing", "solve", {}, kind="error"),
        complete("style", of_prompt("solve"), "style", "s"),
        complete("constant", of_template("constant://{name}"), "name", "t"),
        *unknown_names(),
    ]


def calc_low_steps(_: Path) -> list[Step]:
    return [
        call("count", "count_3", {"times": 2}),
        call("count again", "count_7"),
        call("error with data", "fail", {"how": "data"}, kind="error"),
        call("error of params", "fail", {"how": "params"}, kind="error"),
        call("plain error", "fail", {"how": "plain"}, kind="error"),
        call("error in the result", "fail", {"how": "softly"}, kind="tool error"),
        call("pictures", "pictures", {}),
        read("counter://value"),
        read("counter://power/60"),
        read("counter://other", kind="error"),
        prompt("explain", "explain", {"number": "42"}),
        prompt("explain nothing", "explain", {}, kind="error"),
        complete("number", of_prompt("explain"), "number", "1"),
        complete("exponent", of_template("counter://power/{exponent}"), "exponent", ""),
        *unknown_names(),
    ]


# --- the server of exact bytes ---------------------------------------------------------------------------------------

ARGUMENTS = [
    '{"big":12345678901234567890123,"fine":1.0000000000000000001,"one":1,"one.zero":1.0,"exp":1E+02,"tiny":5e-400,"neg":-0.0}',
    '{"z":1,"a":{"y":null,"x":[]},"10":0,"9":0,"":""}',
    '{"lone":"\\ud800","pair":"\\ud83d\\ude00 😀","slash":"\\/","nul":"\\u0000","sep":"\\u2028 \u2028"}',
    '{ "spaced" : [ 1 ,2 ] ,\t"k" : { } }',
    '{"inner":{"k":1,"k":2,"K":3}}',
    '{"deep":' + "[" * 90 + "]" * 90 + "}",
    '{"name":"echo","uri":"quirk://one","_meta":{"progressToken":7},"id":5,"method":"tools/list","jsonrpc":"1.0"}',
    '{"long":"' + "0123456789é" * 20000 + '"}',
]


def quirky_steps(_: Path) -> list[Step]:
    from servers import quirky

    echoes = [raw_call(f"echo {number}", f'{{"name":"echo","arguments":{arguments}}}') for number, arguments in enumerate(ARGUMENTS)]
    metas = [
        raw_call("echo, vendor meta", '{"_meta":{"example.org/b":1.10,"example.org/a":{"z":null,"lone":"\\ud800"}},"name":"echo","arguments":{}}'),
        raw_call("echo, token between", '{"name":"echo","_meta":{"a":1,"progressToken":"t/1","b":2.0},"arguments":{}}'),
        raw_call("echo, unknown params", '{"vendor":{"z":1.50,"a":null},"name":"echo","arguments":{},"extra":[1e0]}'),
        raw_call("echo, trace context", '{"name":"echo","arguments":null,"_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}}'),
        raw_call("echo, no arguments", '{"name":"echo"}'),
        raw_call("echo, name escaped", '{"arguments":{"x":1},"name":"ech\\u006f"}'),
    ]
    answers = [call(f"canned {which}", "canned", {"which": which}) for which in quirky.ANSWERS]
    errors = [call(f"error {which}", "fail", {"which": which}, kind="error") for which in quirky.ERRORS]
    reads = [read(uri) for uri in quirky.CONTENTS]
    return [
        *echoes,
        *metas,
        *answers,
        *errors,
        *reads,
        read("quirk://nowhere/ü?q=1", kind="error"),
        call("awkward name", "Dotted.Name/With Ümlaut", {}),
        call("long name", "a_name_that_is_much_longer_than_what_is_left_of_sixty_four_characters", {}),
        call("widget", "widget", {}),
        prompt("greet", "greet", {"who": "Ana"}),
        prompt("greet nobody", "greet", {}, kind="error"),
        prompt("embed", "embed"),
        Step("complete prompt", "complete", "completion/complete", '{"argument":{"value":"\\ud800","name":"who"},"vendor":1,"ref":{"vendor":2,"name":"greet","type":"ref/prompt"},"context":{"arguments":{"b":"1","a":"2"},"v":1.10}}', clients=False),
        Step("complete template", "complete", "completion/complete", '{"argument":{"value":"h","name":"file"},"ref":{"uri":"file:///quirk/{dir}/{file}","type":"ref/resource"}}', clients=False),
        *unknown_names(),
    ]


def peers() -> list[Peer]:
    """All servers, in the order of the configuration."""
    return [
        Peer(
            "everything",
            lambda work: node_package("server-everything", "stdio"),
            everything_steps,
            roots=True,
            settles=0.8,
            listens=lambda transport, work: node_package("server-everything", {"http": "streamableHttp"}.get(transport, transport)),
        ),
        Peer(
            "filesystem",
            lambda work: node_package("server-filesystem", str(work / "files")),
            filesystem_steps,
            prepare=filesystem_files,
            roots=True,
            settles=0.3,
        ),
        Peer(
            "memory",
            lambda work: node_package("server-memory"),
            memory_steps,
            env=lambda work: {"MEMORY_FILE_PATH": str(work / "memory.jsonl")},
        ),
        Peer("thinking", lambda work: node_package("server-sequential-thinking"), thinking_steps),
        Peer("time", lambda work: [PYTHON_1, "-m", "mcp_server_time", "--local-timezone", "UTC"], time_steps),
        Peer(
            "git",
            lambda work: [PYTHON_1, "-m", "mcp_server_git", "--repository", str(work / "repo")],
            git_steps,
            env=lambda work: GIT_CLOCK | GIT_PERSON,
            prepare=git_repository,
        ),
        Peer(
            "sqlite",
            lambda work: [PYTHON_1, "-c", "import mcp_server_sqlite; mcp_server_sqlite.main()", "--db-path", str(work / "ropes.db")],
            sqlite_steps,
        ),
        Peer("notes", lambda work: [*BRAID, "demo-server", "notes"], lambda work: [], explore=True, needs_braid=True),
        Peer("workshop", lambda work: [*BRAID, "demo-server", "workshop"], lambda work: [], explore=True, needs_braid=True),
        # The keys below need what a plain key does not: capitals, an underscore.
        Peer("Weather", lambda work: script(PYTHON_1, "lowlevel.py"), lowlevel_steps),
        Peer("my_products", lambda work: script(PYTHON_1, "products.py", str(work / "products.db")), products_steps, listens=lambda transport, work: script(PYTHON_1, "products.py", str(work / "products.db"))),
        Peer("progress", lambda work: script(PYTHON_1, "progress.py", str(work / "trace.txt")), progress_steps, listens=lambda transport, work: script(PYTHON_1, "progress.py", str(work / "trace.txt"))),
        Peer("project", lambda work: script(PYTHON_1, "project.py"), project_steps, listens=lambda transport, work: script(PYTHON_1, "project.py")),
        Peer("fast", lambda work: script(PYTHON_2, "fast.py"), fast_steps, dual=True, listens=lambda transport, work: script(PYTHON_2, "fast.py")),
        Peer("calc-high", lambda work: [NODE, str(NODE_HOME / "calc_high.mjs")], calc_high_steps),
        Peer("calc-low", lambda work: [NODE, str(NODE_HOME / "calc_low.mjs")], calc_low_steps),
        # Client SDKs refuse some of its lists as a whole, and would refuse those of all others with them.
        Peer("quirky", lambda work: script(PYTHON_1, "quirky.py"), quirky_steps, clients=False),
    ]
