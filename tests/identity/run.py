#!/usr/bin/env python3
"""Logins from end to end: an authorization server and a browser that we did not write, and Braid on both sides.

    BRAID=path tests/identity/run.py [--keep]

`oidc-provider` is the issuer. One Braid is a team's gateway that lets in its tokens (`listen.auth = "oauth"`), before a demo server; another, of each person's own, has the gateway as its one remote server and
logs in there, in Debian's Chromium without a window. What is shown: that a login is wanted and said to be; login, call, renewal after a token's end, a right that is lacking and then asked for, a person who does not
agree, a second person who sees nothing of the first, logout; a server behind the gateway that is reached with a token exchanged for each person's; a client of the gateway that is sent to a page where each person's own login at a further server begins, after that person has signed in; and that no token stands anywhere but in its file. Everything runs on 127.0.0.1 and ends by itself. `setup.sh` installs the peers.
The exit code is 0 when all of it is so, 1 when something is not, 2 when the run could not start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = Path(os.environ.get("IDENTITY_HOME", ROOT / "target" / "identity"))
BRAID = os.environ.get("BRAID") or str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "braid")
SECONDS_MAX = 60
# A token's life, so short that its end is waited for.
TOKEN_SECONDS = 6


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def node() -> str:
    own = PEERS / "node_modules" / "node22" / "bin" / "node"
    return str(own) if own.exists() else shutil.which("node") or ""


def chromium() -> str:
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")


class Running:
    """A program that goes on; it ends with us."""

    def __init__(self, words: list[str], log: Path, environment: dict[str, str], until: str, cwd: Path) -> None:
        self.log = log
        with open(log, "ab") as out:
            begins = out.tell()
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, cwd=cwd, start_new_session=True)
        for _ in range(SECONDS_MAX * 20):
            if until in log.read_bytes()[begins:].decode(errors="replace"):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.end()
        raise SystemExit(f"{words[0]} did not start:\n{log.read_text()[-2000:]}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Person:
    """Somebody with a home of his own, and Braid in it."""

    def __init__(self, folder: Path, name: str, gateway: str) -> None:
        self.name, self.home = name, folder / name
        self.home.mkdir()
        (self.home / "braid.toml").write_text(f'[log]\nlevel = "debug"\n\n[servers.team]\nurl = "{gateway}"\n')
        self.said: list[str] = []

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def braid(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = [BRAID, *words, "-c", "braid.toml"]
        done = subprocess.run(line, cwd=self.home, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX)
        self.said.append(done.stdout + done.stderr)
        return done

    def login(self, *choice: str) -> tuple[int, str, str]:
        """Logs in, in a browser; the exit code, what Braid said, and the last page."""
        words = [BRAID, "login", "team", "--no-browser", "--json", "-c", "braid.toml"]
        process = subprocess.Popen(words, cwd=self.home, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout and process.stderr
        first = process.stdout.readline()
        page = ""
        try:
            url = json.loads(first)["open"]
        except (ValueError, KeyError):
            process.kill()
        else:
            browser = [node(), str(PEERS / "browser.mjs"), chromium(), url, self.name, *choice]
            seen = subprocess.run(browser, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX)
            page = seen.stdout + seen.stderr
        out, err = process.communicate(timeout=SECONDS_MAX)
        self.said.append(out + err)
        return process.returncode, first + out + err, page

    def logins(self) -> dict[str, object]:
        file = self.home / ".local" / "state" / "braid" / "logins.json"
        assert file.stat().st_mode & 0o777 == 0o600, oct(file.stat().st_mode)
        return json.loads(file.read_text())

    def access(self) -> str:
        return str(self.logins()["logins"][0]["access_token"])  # type: ignore[index]

    def tokens(self) -> list[str]:
        return [str(login[key]) for login in self.logins()["logins"] for key in ("access_token", "refresh_token") if login.get(key)]  # type: ignore[union-attr, index]


class Claims:
    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, what: str, is_so: bool, shown: object = "") -> None:
        print(f"{'ok ' if is_so else 'NOT'} {what}", flush=True)
        if not is_so:
            self.failed += 1
            print(f"    {shown}", flush=True)


def gateway(folder: Path, port: int, issuer: str, scopes: list[str], more: str = "", pages: str = "") -> Running:
    """A gateway in a folder of its own. `more`: of its file, behind all else; `pages`: what the provider knows it as."""
    resource = f"http://127.0.0.1:{port}/mcp"
    folder.mkdir(exist_ok=True)
    (folder / "gateway.toml").write_text(
        f'[listen]\nhttp = ["127.0.0.1:{port}"]\nauth = "oauth"\n\n[listen.oauth]\nissuer = "{issuer}"\nresource = "{resource}"\nscopes = {json.dumps(scopes)}\n{pages}\n'
        f'[log]\nlevel = "debug"\n\n[admin]\naudit = "{folder}/audit.jsonl"\n\n[servers.notes]\ncommand = "${{braid}}"\nargs = ["demo-server", "notes"]\n{more}'
    )
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return Running([BRAID, "serve", "-c", "gateway.toml"], folder / "gateway.log", environment, "listening on", folder)


class Client:
    """A client of the gateway that goes to pages, over HTTP, with whichever token of a person holds now."""

    def __init__(self, person: Person, url: str) -> None:
        self.person, self.url, self.session = person, url, ""
        capabilities = {"elicitation": {"form": {}, "url": {}}}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "client", "version": "1"}})
        self.ask("notifications/initialized", None)
        self.ask("tools/list", {})

    def ask(self, method: str, params: object) -> dict[str, object]:
        # What is near its end is renewed by whoever has the login.
        self.person.braid("call", "team__notes__list")
        message = {"jsonrpc": "2.0", "method": method, **({"id": 1, "params": params} if params is not None else {})}
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {self.person.access()}", "MCP-Protocol-Version": "2025-11-25"}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        request = urllib.request.Request(self.url, json.dumps(message).encode(), headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=SECONDS_MAX) as answer:
            self.session = answer.headers.get("Mcp-Session-Id") or self.session
            lines = [line.removeprefix("data: ") for line in answer.read().decode().splitlines()]
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return next((one for one in found if "result" in one or "error" in one), {})

    def page(self) -> str:
        answer = self.ask("tools/call", {"name": "deep__notes__list", "arguments": {}})
        try:
            return str(answer["error"]["data"]["elicitations"][0]["url"])  # type: ignore[index, call-overload]
        except (KeyError, TypeError):
            return f"none: {json.dumps(answer)[:500]}"


def opens(page: str, name: str) -> str:
    browser = [node(), str(PEERS / "browser.mjs"), chromium(), page, name]
    seen = subprocess.run(browser, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX)
    return seen.stdout + seen.stderr


def pages(folder: Path, claim: Claims, alice: Person, bob: Person, url: str) -> list[str]:
    """Logins that the gateway's clients are sent to; what may stand nowhere else."""
    first, second = Client(alice, url), Client(bob, url)
    page = first.page()
    claim("a client is sent to a page of the gateway", page.startswith(url.removesuffix("/mcp") + "/login/"), page)
    seen = opens(page, "bob")
    claim("which is of no use to somebody else", "somebody else" in seen, seen)
    refused = first.ask("tools/call", {"name": "deep__notes__list", "arguments": {}})
    claim("and gives no login", "error" in refused, refused)
    seen = opens(first.page(), "alice")
    claim("who signs in as who was asked is logged in", "Logged in to deep" in seen, seen)
    answer = first.ask("tools/call", {"name": "deep__notes__list", "arguments": {}})
    claim("and the call goes on", "result" in answer, answer)
    audit = (folder / "deep" / "audit.jsonl").read_text()
    claim("in that person's name", "oauth:alice" in audit and "oauth:bob" not in audit, audit[-500:])
    claim("a second person has a page of his own", second.page().startswith("http") and second.page() != page, second.page())
    file = folder / ".local" / "state" / "braid" / "logins.json"
    kept = json.loads(file.read_text())["logins"]
    claim("the login is the person's alone", [login["principal"] for login in kept] == ["oauth:alice"], [login["principal"] for login in kept])
    return [str(login[key]) for login in kept for key in ("access_token", "refresh_token") if login.get(key)]


def run(folder: Path, claim: Claims) -> None:
    provider_port, port, deep_port, inner_port = free_port(), free_port(), free_port(), free_port()
    issuer, url = f"http://localhost:{provider_port}", f"http://127.0.0.1:{port}/mcp"
    deep_url, inner_url = f"http://127.0.0.1:{deep_port}/mcp", f"http://127.0.0.1:{inner_port}/mcp"
    words = [node(), str(PEERS / "provider.mjs"), str(provider_port), str(TOKEN_SECONDS), f"http://127.0.0.1:{port}/login/signed-in", url, deep_url, inner_url]
    provider = Running(words, folder / "provider.log", dict(os.environ), "listening", PEERS)
    exchange = 'oauth = { grant = "token_exchange", client_id = "gateway", client_secret = "gateways-s3cret" }'
    behind = f'\n[servers.inner]\nurl = "{inner_url}"\n{exchange}\n'
    inner = gateway(folder / "inner", inner_port, issuer, ["mcp"])
    team, deep = gateway(folder, port, issuer, ["mcp"], behind), None
    try:
        alice, bob = Person(folder, "alice", url), Person(folder, "bob", url)
        tokens: set[str] = set()

        wanted = alice.braid("check")
        claim("check says that a login is wanted, and how", "braid login team" in wanted.stdout + wanted.stderr, wanted)
        refused = alice.braid("call", "team__notes__list", "--json")
        claim("so does a call", refused.returncode != 0 and "braid login team" in refused.stderr, refused)

        code, said, page = alice.login("deny")
        claim("who does not agree is not logged in", code != 0 and "access_denied" in said, (code, said, page))
        code, said, page = alice.login()
        claim("a login in a browser", code == 0 and "can be closed" in page, (code, said, page))
        tokens |= set(alice.tokens())
        added = alice.braid("call", "team__notes__add", "title=Milk", "text=two litres")
        claim("a call by that login", added.returncode == 0, added)
        audit = (folder / "audit.jsonl").read_text()
        claim("the gateway knows who calls", "oauth:alice" in audit, audit[-500:])
        added = alice.braid("call", "team__inner__notes__add", "title=Tea", "text=two spoons")
        audit = (folder / "inner" / "audit.jsonl").read_text()
        claim("and so does a server behind it, by a token exchanged for hers", added.returncode == 0 and "oauth:alice" in audit, (added, audit[-500:]))

        before = alice.tokens()
        time.sleep(TOKEN_SECONDS + 1)
        listed = alice.braid("call", "team__notes__list")
        claim("a call after the token's end", listed.returncode == 0, listed)
        tokens |= set(alice.tokens())
        claim("by a token that was renewed", set(before).isdisjoint(alice.tokens()), "the tokens are the same")
        listed = alice.braid("call", "team__inner__notes__list")
        claim("and at the server behind the gateway by another that was exchanged", listed.returncode == 0, listed)

        code, said, page = bob.login()
        claim("a second person logs in", code == 0, (code, said, page))
        tokens |= set(bob.tokens())
        added = alice.braid("call", "team__notes__add", "title=Secret", "text=of alice")
        seen = bob.braid("call", "team__notes__list")
        claim("and sees nothing of the first", seen.returncode == 0 and "Secret" not in seen.stdout, seen)
        seen = bob.braid("call", "team__inner__notes__list")
        audit = (folder / "inner" / "audit.jsonl").read_text()
        claim("nor behind the gateway, where he is himself", seen.returncode == 0 and "Tea" not in seen.stdout and "oauth:bob" in audit, seen)

        team.end()
        team = gateway(folder, port, issuer, ["mcp", "write"])
        lacking = alice.braid("call", "team__notes__list", "--json")
        claim("a right that is lacking is named", lacking.returncode != 0 and "write" in lacking.stderr and "braid login team" in lacking.stderr, lacking)
        code, said, page = alice.login()
        claim("the next login asks for it", code == 0 and "write" in json.loads(said.splitlines()[-1])["scopes"], (code, said, page))
        tokens |= set(alice.tokens())
        listed = alice.braid("call", "team__notes__list")
        claim("and then it is there", listed.returncode == 0, listed)

        team.end()
        deep = gateway(folder / "deep", deep_port, issuer, ["mcp"])
        further = f'\n[servers.deep]\nurl = "{deep_url}"\noauth = {{ per_principal = true }}\n'
        team = gateway(folder, port, issuer, ["mcp"], further, 'client_id = "pages"\n')
        tokens |= set(pages(folder, claim, alice, bob, url)) | set(alice.tokens()) | set(bob.tokens())

        gone = alice.braid("logout", "team")
        claim("logout", gone.returncode == 0 and not alice.tokens(), gone)
        refused = alice.braid("call", "team__notes__list")
        claim("after which nothing is let in", refused.returncode != 0, refused)

        logs = [(where / name).read_text() for where in (folder, folder / "deep", folder / "inner") for name in ("gateway.log", "audit.jsonl")]
        texts = [*alice.said, *bob.said, *logs]
        shown = [token for token in tokens for text in texts if token in text or token.split(".")[-1] in text]
        claim(f"none of {len(tokens)} tokens stands in what was said and written", len(tokens) >= 6 and not shown, f"{len(shown)} were found")
    finally:
        team.end()
        inner.end()
        if deep:
            deep.end()
        provider.end()


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keep", action="store_true", help="leave the folder of the run")
    options = arguments.parse_args()
    lacking = [what for what, there in (("node", node()), ("chromium (apt-get install chromium)", chromium()), ("the peers (tests/identity/setup.sh)", (PEERS / "node_modules").exists())) if not there]
    if lacking:
        print(f"identity: there is no {', no '.join(lacking)}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="braid-identity-"))
    claim = Claims()
    try:
        run(folder, claim)
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"identity: {claim.failed} failed")
    return 1 if claim.failed else 0


if __name__ == "__main__":
    sys.exit(main())
