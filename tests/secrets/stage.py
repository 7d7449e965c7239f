"""The folder of one run: configurations with a canary in every place for one, the files that they name, and the programs they start.

`Stage.say` runs one command of Braid to its end and keeps what it prints; `Serve` is a run of it that goes on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from canaries import Slot
from far import Far
from issuer import GIVEN, RsaKey

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PROGRAM = Path(os.environ.get("BRAID", Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "braid"))
SECONDS_MAX = 30
TLS = ROOT / "tests" / "it" / "edge"

# Every slot that is none of settings.py alone: where it stands besides.
ELSEWHERE = {
    "our environment": "a variable of Braid's own that no server declares",
    "proxy password": "user and password of HTTP_PROXY",
    "session of a server": "Mcp-Session-Id that a remote server gave",
    "session of a client": "Mcp-Session-Id that Braid gave",
    "client, headers": "Authorization and other headers of a client's request, H-07",
    "client, wrong token": "a token that is not the one",
    "client, query": "the query of a client's request",
    "client, arguments": "arguments of a call",
    "client, telltale arguments": "arguments of a call whose name `log.redact` has",
    "their env": "env of a client's file",
    "their inputs": "the default of an input of VS Code",
    "their args": "an argument behind `--token` in a client's file",
    "their headers": "headers of a client's file",
    "their query": "the query of a URL of a client's file",
    "their variable": "a variable that a client's file refers to",
    "typed": "env, header, query and argument of `braid add` and `--url`",
}
# What issuers give out, and what is made for them.
GIVEN_BY = {
    "login": [*GIVEN, "state", "verifier"],
    "other login": ["access token", "refresh token", "device code", "unread"],
    "provider": ["access token", "refresh token", "client secret", "code", "state", "verifier", "JWT", "broken JWT", "opaque token", "page", "browser", "unread"],
}
MADE = {"state": "what a browser must bring back", "verifier": "what proves who asked for a code (PKCE)", "JWT": "a client's token", "broken JWT": "a token that was one before it was broken", "opaque token": "a client's token that its provider is asked about", "page": "the id of a page for a login", "browser": "the cookie of a browser that was sent out"}
ELSEWHERE |= {f"{issuer}, {what}": (GIVEN | MADE)[what] for issuer, all in GIVEN_BY.items() for what in all}


class Stage:
    def __init__(self) -> None:
        from settings import SECRET

        self.folder = Path(tempfile.mkdtemp(prefix="braid-secrets-"))
        self.seen = self.made("seen")
        self.home = self.made("home")
        self.slots: dict[str, Slot] = {}
        for key, names in SECRET.items():
            self.slots |= {name: Slot(name, key) for name in names}
        self.slots |= {name: Slot(name, where) for name, where in ELSEWHERE.items()}
        self.far = Far(self.slots["session of a server"].odd)
        # What was searched for what, and what may be there: (place, bytes, slots that must be there).
        self.outputs: list[tuple[str, bytes, frozenset[str]]] = []
        self.lock = threading.Lock()
        # What is made while it runs, by slot.
        self.minted: dict[str, list[str]] = {}
        self.key = RsaKey(TLS / "rsa.key")
        key = TLS.joinpath("localhost.key").read_text()
        body = "".join(line for line in key.splitlines() if "-----" not in line)
        self.slots["tls key"].odd = self.slots["tls key"].plain = body
        self.files()

    def made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def file(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def odd(self, slot: str) -> str:
        return self.slots[slot].odd

    def plain(self, slot: str) -> str:
        return self.slots[slot].plain

    def keep(self, place: str, data: bytes, *may: str) -> None:
        """`may`: the slots that belong there, all of which must be there."""
        with self.lock:
            self.outputs.append((place, data, frozenset(may)))

    # -- what is around

    def files(self) -> None:
        odd, plain = self.odd, self.plain
        self.file("env.secret", odd("env, ${file:}") + "\n")
        self.file("args.secret", odd("args, ${file:}") + "\n")
        self.file("headers.secret", odd("headers, ${file:}") + "\n")
        self.file("near.env", f"FILED={odd('env_file')}\nexport FILED_TOO='{plain('env_file')}'\n")
        self.file("printed.json", json.dumps({"X-Made": odd("headers_command, printed"), "X-Made-Token": plain("headers_command, printed")}))
        self.file("unprintable.json", f'{{"X-Made": "{odd("headers_command, printed")}", "X Y": "{plain("headers_command, printed")}"}}')
        self.file("no.json", f"token is {odd('headers_command, printed')}")
        self.file("door.token", odd("listen token"))
        # A private key in the wrong place, and one that is none.
        self.file("ca.pem", f"-----BEGIN PRIVATE KEY-----\n{odd('ca_file, content')}\n{plain('ca_file, content')}\n-----END PRIVATE KEY-----\n")
        self.file("broken.key", f"-----BEGIN PRIVATE KEY-----\n{odd('tls key, broken')}\n{plain('tls key, broken')}\n")
        self.file("localhost.key", TLS.joinpath("localhost.key").read_text())
        self.file("localhost.pem", TLS.joinpath("localhost.pem").read_text())

    def environment(self, **more: str) -> dict[str, str]:
        """Braid's own, from nothing."""
        odd, plain = self.odd, self.plain
        self.made("run")
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_STATE_HOME": str(self.made("state")), "XDG_CONFIG_HOME": str(self.made("config")), "XDG_CACHE_HOME": str(self.made("cache")), "TERM": "xterm",
            "BRAID_LOG": "trace", "OURS_TOKEN": odd("our environment"), "GITHUB_TOKEN": plain("our environment"),
            "ENV_NAMED": odd("env, ${NAME}"), "ENV_NAMED_TOO": plain("env, ${NAME}"), "ENV_COLON": odd("env, ${env:NAME}"),
            "INHERITED_TOKEN": odd("inherit_env"), "ARGS_NAMED": odd("args, ${NAME}"), "HEADER_NAMED": odd("headers, ${NAME}"), "HEADER_NAMED_TOO": plain("headers, ${NAME}"),
            "QUERY_NAMED": odd("url, query ${NAME}"), "PATH_NAMED": plain("url, path ${NAME}"), "PRINTER_ARGS": odd("headers_command, args"),
            "THEIR_VARIABLE": odd("their variable"), "MCP_INPUT_KEY": plain("their variable"),
        } | more

    # -- configurations

    def remote(self, name: str, how: str, more: str = "") -> str:
        odd, plain = self.odd, self.plain
        return f"""
[servers.{name}]
url = "http://127.0.0.1:{self.far.port}/{how}/${{PATH_NAMED}}/mcp?key={plain('url, query')}&odd={odd('url, query')}&named=${{QUERY_NAMED}}"
headers = {{ Authorization = "Bearer {odd('headers, written')}", X-Api-Key = "{plain('headers, written')}", X-Named = "${{HEADER_NAMED}}", X-Filed = "Key ${{file:headers.secret}}", X-Both = "Basic ${{HEADER_NAMED_TOO}}" }}
{more}
"""

    def program(self, name: str, env: str = "", more: str = "", args: str = "") -> str:
        words = f'"{HERE / "server.py"}", "{name}", "{self.seen}"{args}'
        return f"""
[servers.{name}]
command = "{sys.executable}"
args = [{words}]
env = {{ {env} }}
{more}
"""

    def near(self) -> str:
        odd, plain = self.odd, self.plain
        env = ", ".join([
            f'WRITTEN = "{odd("env, written")}"', f'WRITTEN_TOKEN = "{plain("env, written")}"', 'NAMED = "${ENV_NAMED}"', 'NAMED_TOO = "x${ENV_NAMED_TOO}"', 'COLON = "${env:ENV_COLON}"',
            'FROM_FILE = "${file:env.secret}"', f'DEFAULT = "${{UNSET:-{odd("env, default")}}}"', f'RESULT = "{odd("result")}"',
        ])
        args = f', "--token", "{odd("args, written")}", "--api-key={plain("args, written")}", "${{ARGS_NAMED}}", "--filed=${{file:args.secret}}"'
        more = f"""
env_file = "near.env"
inherit_env = ["INHERITED_TOKEN"]
restart_backoff.min = "20ms"
restart_backoff.max = "50ms"
tool.slow.timeout = "700ms"
tool.echo.defaults = {{ key = "{odd('tool defaults, hidden')}", note = "{odd('tool defaults')}" }}
tool.echo.hidden = ["key"]
"""
        return self.program("near", env, more, args)

    def loud(self) -> str:
        """It says some of what it was given."""
        env = f'SAY_ERR = "{self.odd("words on stderr")}", SAY_OUT = "{self.odd("words on stdout")}"'
        return self.program("loud", env)

    def config(self, name: str, servers: str, *, log: str = "", listen: str = "", admin: str = "") -> Path:
        head = f"""
[log]
level = "trace"
{log}
[admin]
{admin}
[listen]
http = ["127.0.0.1:0"]
token_file = "door.token"
grace = "100ms"
{listen}
[limits]
client_message = "8KiB"
[timeouts]
start = "10s"
first_list = "2s"
list = "1s"
"""
        return self.file(name, head + servers)

    # -- commands

    def say(self, place: str, *words: str, may: tuple[str, ...] = (), stdin: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [str(PROGRAM), *words], input=stdin, capture_output=True, timeout=SECONDS_MAX, cwd=cwd or self.folder, env=env or self.environment(), start_new_session=True
        )
        if b"panicked" in done.stderr or done.returncode < 0:
            raise SystemExit(f"{place}: it panicked, or was killed: {done.returncode}")
        self.keep(place, done.stdout + b"\n---\n" + done.stderr, *may)
        return done

    def end(self) -> None:
        self.far.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)


class Serve:
    """`braid serve` or another command that goes on, with its output in a file. Use as a context manager."""

    def __init__(self, stage: Stage, name: str, *words: str, env: dict[str, str] | None = None):
        self.stage, self.name, self.words = stage, name, words
        self.env = env or stage.environment()
        self.said = stage.folder / "said" / f"{name}.out"
        self.port, self.admin_port = 0, 0

    def __enter__(self) -> "Serve":
        self.said.parent.mkdir(exist_ok=True)
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                [str(PROGRAM), *self.words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.stage.folder, env=self.env, start_new_session=True
            )
        until = time.monotonic() + SECONDS_MAX
        while not (found := re.search(rb"listening on https?://127\.0\.0\.1:(\d+)/mcp\n", self.said.read_bytes())):
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise SystemExit(f"{self.name}: it does not listen (exit code {self.process.poll()})")
            time.sleep(0.02)
        self.port = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"{self.name}: it does not end") from None

    @property
    def pid(self) -> str:
        return str(self.process.pid)
