#!/usr/bin/env python3
"""The official conformance suite's scenarios of authorization, with Braid as the client: as many as an official client?

    BRAID=path tests/interop/authorized.py [--revision REVISION]... [--only SCENARIO]... [--direct]

Each `auth/*` scenario of both requirement sets runs twice: with the TypeScript SDK's client, and with Braid: a person runs
`braid login`, and a client of `braid stdio` lists and calls the tools. A scenario is `as good` if each of its checks succeeds
as well as directly, and none fails. The list of all of them is printed. Scenarios that the set does not score (extensions
such as DPoP) are run and shown too, and count where the official client does all of it. The exit code is 0 when nothing is worse, 1 when something is, 2 when the run could not
start.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from conformance import (
    NODE_22,
    REVISIONS,
    SUITE,
    SUITE_CLIENT_SECONDS_MAX,
    Checked,
    Checks,
    checks_in,
    ready,
    run_client,
    suite,
)
from peers import BRAID, HERE, HOME, NODE, NODE_HOME
from raw import environment
from record import toml

FOLDER = HOME / "run" / "authorized"
# How often the person logs in before giving up: rights may be wanted one after the other.
LOGINS_MAX = 3
SECONDS_MAX = 30
# Where a server says that it is another one, nobody else need be asked.
NEEDLESS = {"authorization-server-metadata"}
DOCUMENT = "https://conformance-test.local/client-metadata.json"


# --- Braid as the client ---------------------------------------------------------------------------------------------


class Stay(urllib.request.HTTPRedirectHandler):
    """What is redirected is not followed."""

    def redirect_request(self, *_: object) -> None:
        return None


def leads(page: str) -> str:
    """Opens a page that sends its reader on at once; where to."""
    opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
    try:
        opener.open(page, timeout=SECONDS_MAX)
    except urllib.error.HTTPError as answer:
        return answer.headers.get("Location", "")
    return ""


class User:
    """Somebody with Braid in a home of his own, and a browser that agrees to everything."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
        scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
        lines = ["[servers.upstream]", f"url = {toml(url)}", 'prefix = ""', "[servers.upstream.oauth]", f"client_metadata_url = {toml(DOCUMENT)}"]
        for key in ("client_id", "client_secret", "issuer"):
            if key in context:
                lines.append(f"{key} = {toml(context[key])}")
        if scenario.startswith("auth/client-credentials"):
            # To whom a machine's secret is shown, its owner must say.
            issuer = context.get("issuer") or self.issuer_of(url)
            lines += ['grant = "client_credentials"', *([] if "issuer" in context else [f"issuer = {toml(issuer)}"])]
        (folder / "braid.toml").write_text("\n".join([*lines, ""]))
        self.env = environment({"HOME": str(folder)})

    @staticmethod
    def issuer_of(url: str) -> str:
        scheme, host, path = re.fullmatch(r"(\w+)://([^/]+)(/.*)?", url).groups()  # type: ignore[union-attr]
        for place in (f"/.well-known/oauth-protected-resource{path or ''}", "/.well-known/oauth-protected-resource"):
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{scheme}://{host}{place}", timeout=SECONDS_MAX) as answer:
                    return json.load(answer)["authorization_servers"][0]
            except (OSError, ValueError, KeyError):
                continue
        return ""

    def login(self) -> bool:
        words = [*BRAID, "login", "upstream", "--no-browser", "--json", "-c", "braid.toml"]
        with open(self.folder / "login.log", "ab") as log:
            process = subprocess.Popen(words, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
            assert process.stdout
            try:
                first = process.stdout.readline()
                back = leads(json.loads(first)["open"]) if '"open"' in first else ""
                if back:
                    leads(back)
                else:
                    process.terminate()
                return process.wait(SECONDS_MAX) == 0
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
                return False

    def asks(self, *messages: dict[str, object]) -> list[dict[str, object]]:
        """A client's requests, one after the other; their answers."""
        words = [*BRAID, "stdio", "-c", "braid.toml"]
        with open(self.folder / "stdio.log", "ab") as log:
            process = subprocess.Popen(words, cwd=self.folder, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
            assert process.stdin and process.stdout
            hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "conformance-client", "version": "0"}}
            answers = []
            try:
                for number, message in enumerate([{"method": "initialize", "params": hello}, {"method": "notifications/initialized"}, *messages]):
                    is_request = not str(message["method"]).startswith("notifications/")
                    process.stdin.write(json.dumps({"jsonrpc": "2.0", **({"id": number} if is_request else {}), **message}) + "\n")
                    process.stdin.flush()
                    while is_request:
                        answer = json.loads(process.stdout.readline() or '{"id": "gone"}')
                        if answer.get("id") in (number, "gone"):
                            answers.append(answer)
                            break
            finally:
                process.stdin.close()
                try:
                    process.wait(SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    process.kill()
            return answers[1:]


def as_client(folder: Path, url: str) -> int:
    """What the suite starts in place of a client."""
    user = User(folder, url)
    for number in range(LOGINS_MAX + 1):
        listed, = user.asks({"method": "tools/list"})
        tools = [tool["name"] for tool in listed.get("result", {}).get("tools", [])]  # type: ignore[attr-defined]
        answers = user.asks(*({"method": "tools/call", "params": {"name": name, "arguments": {}}} for name in tools))
        if tools and not any("error" in answer for answer in answers):
            return 0
        if number == LOGINS_MAX or not user.login():
            return 1
    return 1


# --- the run ---------------------------------------------------------------------------------------------------------


def listed(revision: str) -> dict[str, bool]:
    """The scenarios of a revision, and whether each is scored."""
    words = [str(NODE_22), str(SUITE), "list", "--requirements", revision]
    text = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(), check=True).stdout
    found = (re.match(r" +- (auth/\S+)(?: \[(\w+)\])?$", line) for line in text.splitlines())
    return {name[1]: not name[2] for name in found if name}


def checks_of(revision: str, way: str, scenarios: list[str]) -> Checks:
    found: Checks = {}
    for name in scenarios:
        own = FOLDER / revision / way / name.replace("/", "-")
        own.mkdir(parents=True)
        words = [sys.executable, str(HERE / "authorized.py"), "--as-client", way, str(own)]
        # An extension belongs to no revision, and is run all the same.
        arguments = ["client", "--command", shlex.join(words), "--scenario", name, "--spec-version", revision, "--force"]
        suite([*arguments, "--timeout", str(SUITE_CLIENT_SECONDS_MAX * 1000), "-o", str(own / "checks")], own / "suite.log")
        # The suite makes a folder of the part before the slash.
        found |= checks_in(own / "checks" / name.split("/")[0], name)
        print(".", end="", file=sys.stderr, flush=True)
    return found


def once(checked: Checked) -> Checked:
    """Each check counts once, whatever it found: who asks for the same metadata twice is not twice as good."""
    return Checked(Counter(dict.fromkeys(checked.statuses, 1)), checked.needless | NEEDLESS, checked.said)


def main() -> int:
    if sys.argv[1:2] == ["--as-client"]:
        way, folder, url = sys.argv[2], Path(sys.argv[3]), sys.argv[4]
        if way == "direct":
            client = NODE_HOME / "authorized.mjs"
            env = environment({name: value for name, value in os.environ.items() if name.startswith("MCP_CONFORMANCE_")})
            return run_client([NODE, str(client), url], env, folder)
        return as_client(folder, url)
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--revision", action="append", default=[], choices=REVISIONS, help="default: all of them")
    arguments.add_argument("--only", action="append", default=[], metavar="SCENARIO")
    arguments.add_argument("--direct", action="store_true", help="the direct side alone")
    options = arguments.parse_args()
    (HOME / "run").mkdir(parents=True, exist_ok=True)
    with open(HOME / "run" / "authorized.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if problem := ready(options.direct):
            print(f"authorized: {problem}", file=sys.stderr)
            return 2
        shutil.copy(HERE / "clients" / "authorized.mjs", NODE_HOME / "authorized.mjs")
        shutil.rmtree(FOLDER, ignore_errors=True)
        start, worse, good = time.monotonic(), 0, 0
        for revision in options.revision or REVISIONS:
            scored = listed(revision)
            names = [name for name in scored if not options.only or name in options.only]
            direct = checks_of(revision, "direct", names)
            braid = {} if options.direct else checks_of(revision, "braid", names)
            print(file=sys.stderr)
            for name in names:
                here, there = once(braid.get(name, Checked())), once(direct.get(name, Checked()))
                lost = [] if options.direct else here.worse_than(there)
                failed = [] if options.direct else here.said
                # What the official client does not do either says nothing.
                counts = scored[name] or (there.passed > 0 and not there.failed)
                is_worse = counts and bool(lost or here.failed)
                worse, good = worse + is_worse, good + (not is_worse)
                mark = "WORSE" if is_worse else "ok"
                kind = "scored" if scored[name] else "extension"
                print(f"{revision}  {mark:5}  {kind:9}  {name:45}  braid {here.passed} of {here.passed + here.failed}, direct {there.passed} of {there.passed + there.failed}")
                for text in (lost + failed)[:6] if is_worse else []:
                    print(f"        {text}")
        print(f"authorized: {good} scenarios as good, {worse} worse ({time.monotonic() - start:.0f} s)")
        return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
