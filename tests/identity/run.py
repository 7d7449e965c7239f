#!/usr/bin/env python3
"""Logins from end to end: an authorization server and a browser that we did not write, and Braid on both sides.

    BRAID=path tests/identity/run.py [--keep]

`oidc-provider` is the issuer. One Braid is a team's gateway that lets in its tokens (`listen.auth = "oauth"`), before a demo server; another, of each person's own, has the gateway as its one remote server and
logs in there, in Debian's Chromium without a window. What is shown: that a login is wanted and said to be; login, call, renewal after a token's end, a right that is lacking and then asked for, a person who does not
agree, a second person who sees nothing of the first, logout; and that no token stands anywhere but in its file. Everything runs on 127.0.0.1 and ends by itself. `setup.sh` installs the peers.
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


def gateway(folder: Path, port: int, issuer: str, scopes: list[str]) -> Running:
    resource = f"http://127.0.0.1:{port}/mcp"
    (folder / "gateway.toml").write_text(
        f'[listen]\nhttp = ["127.0.0.1:{port}"]\nauth = "oauth"\n\n[listen.oauth]\nissuer = "{issuer}"\nresource = "{resource}"\nscopes = {json.dumps(scopes)}\n\n'
        f'[log]\nlevel = "debug"\n\n[admin]\naudit = "{folder}/audit.jsonl"\n\n[servers.notes]\ncommand = "${{braid}}"\nargs = ["demo-server", "notes"]\n'
    )
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return Running([BRAID, "serve", "-c", "gateway.toml"], folder / "gateway.log", environment, "listening on", folder)


def run(folder: Path, claim: Claims) -> None:
    provider_port, port = free_port(), free_port()
    issuer, url = f"http://localhost:{provider_port}", f"http://127.0.0.1:{port}/mcp"
    words = [node(), str(PEERS / "provider.mjs"), str(provider_port), str(TOKEN_SECONDS), url]
    provider = Running(words, folder / "provider.log", dict(os.environ), "listening", PEERS)
    team = gateway(folder, port, issuer, ["mcp"])
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

        before = alice.tokens()
        time.sleep(TOKEN_SECONDS + 1)
        listed = alice.braid("call", "team__notes__list")
        claim("a call after the token's end", listed.returncode == 0, listed)
        tokens |= set(alice.tokens())
        claim("by a token that was renewed", set(before).isdisjoint(alice.tokens()), "the tokens are the same")

        code, said, page = bob.login()
        claim("a second person logs in", code == 0, (code, said, page))
        tokens |= set(bob.tokens())
        added = alice.braid("call", "team__notes__add", "title=Secret", "text=of alice")
        seen = bob.braid("call", "team__notes__list")
        claim("and sees nothing of the first", seen.returncode == 0 and "Secret" not in seen.stdout, seen)

        team.end()
        team = gateway(folder, port, issuer, ["mcp", "write"])
        lacking = alice.braid("call", "team__notes__list", "--json")
        claim("a right that is lacking is named", lacking.returncode != 0 and "write" in lacking.stderr and "braid login team" in lacking.stderr, lacking)
        code, said, page = alice.login()
        claim("the next login asks for it", code == 0 and "write" in json.loads(said.splitlines()[-1])["scopes"], (code, said, page))
        tokens |= set(alice.tokens())
        listed = alice.braid("call", "team__notes__list")
        claim("and then it is there", listed.returncode == 0, listed)

        gone = alice.braid("logout", "team")
        claim("logout", gone.returncode == 0 and not alice.tokens(), gone)
        refused = alice.braid("call", "team__notes__list")
        claim("after which nothing is let in", refused.returncode != 0, refused)

        logs = [(folder / name).read_text() for name in ("gateway.log", "audit.jsonl")]
        texts = [*alice.said, *bob.said, *logs]
        shown = [token for token in tokens for text in texts if token in text or token.split(".")[-1] in text]
        claim(f"none of {len(tokens)} tokens stands in what was said and written", len(tokens) >= 6 and not shown, f"{len(shown)} were found")
    finally:
        team.end()
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
