#!/usr/bin/env python3
"""What a login starts and connects to, as the kernel is asked for it (H-10, H-12): under strace.

    run.py      fifteen seconds; needs the program (`cargo build`) and strace; without strace it says so and looks at nothing

A server and its issuer on this machine name pages to be opened and places to be asked; most of them are hostile. Nothing but the
browser is ever executed, with one argument, and nothing is connected to but what the configuration names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("BRAID", Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "braid"))
SECONDS_MAX = 30
# A browser that is gone at once: what it was given is seen all the same.
BROWSER = shutil.which("true") or "/bin/true"

# What is opened, and how the place where people log in is written; `{at}` is the issuer's own.
OPENED = {
    "{at}/authorize": "{at}/authorize?",
    "{at}/authorize?a=$(touch${IFS}pwned)&b=`touch$IFS./pwned`;c|d'e\"f": "{at}/authorize?a=%24%28touch%24%7BIFS%7Dpwned%29&b=",
    "https://id.example.com/authorize?a=b&&touch${IFS}pwned": "https://id.example.com/authorize?a=b&&touch%24%7BIFS%7Dpwned&",
    "https://id.example.com/a%0atouch%20pwned": "https://id.example.com/a%0atouch%20pwned?",
    "https://id.example.com/--help": "https://id.example.com/--help?",
    "https://[2606:4700::1111]/a": "https://[2606:4700::1111]/a?",
}
REFUSED = [
    "https://id.example.com/a?b&&touch pwned", "x", "example.com", "//example.com/", "/etc/passwd", "file:///etc/passwd", "javascript:alert(1)", " javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "ftp://x/", "ssh://x", "smb://x/share",
    "ms-msdt:/id", "search-ms:query=x", "steam://run/1", "tel:1", "mailto:a@b", "vscode://x", "calculator://", "ws://x/", "chrome://settings", "view-source:https://x", "http://example.com/", "http://10.0.0.1/",
    "http://localhost.example.com/", "http://127.0.0.1.example.com/", "http://0.0.0.0/", "https://", "https://user:password@example.com/", "https://x\\@y/", "https://x/\n--flag", "https://x/\u0000", "https://x/\r\nHost: y",
    "https://x:99999/", "https://[::1/", "-https://x/", "--help", "$(touch pwned)", "`touch pwned`", "; touch pwned", "| touch pwned", "https://x/\u2028", "https://x/" + "y" * 9000,
]
# Where only we could reach something. Nothing of this machine, where the server is: that may be asked then. No names: to look one
# up is to ask another.
PRIVATE = [
    "0", "0.0.0.0", "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "2852039166", "100.64.0.1", "100.127.255.255", "192.0.0.1",
    "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::1]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]",
]


class Handler(BaseHTTPRequestHandler):
    """A server for each hostile thing: the first part of its path is a number of `Issuer.said`, and what is hostile stands there."""

    protocol_version = "HTTP/1.1"
    server: Issuer

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        at, number = self.server.url, int(re.findall(r"/(\d+)(?:/|$)", self.path)[0])
        if self.path.startswith("/register"):
            return self.reply(201, {"client_id": "c"})
        named = self.server.said[number].get("challenge", f"{at}/.well-known/oauth-protected-resource/{number}/mcp")
        self.reply(401, {}, **{"WWW-Authenticate": f'Bearer resource_metadata="{named}"'})

    def do_GET(self) -> None:
        at, number = self.server.url, int(re.findall(r"/(\d+)(?:/|$)", self.path)[0])
        says = self.server.said[number]
        if "oauth-protected-resource" in self.path:
            if leads := says.get("redirect"):
                return self.reply(302, {}, Location=leads)
            return self.reply(200, {"resource": f"{at}/{number}/mcp", "authorization_servers": [says.get("issuer", f"{at}/as/{number}")]})
        places = {"authorization_endpoint": f"{at}/authorize", "token_endpoint": f"{at}/token/{number}", "registration_endpoint": f"{at}/register/{number}"}
        places |= {name: place for name, place in says.items() if name.endswith("_endpoint")}
        self.reply(200, {"issuer": f"{at}/as/{number}", "code_challenge_methods_supported": ["S256"]} | places)

    def reply(self, status: int, value: dict, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)


class Issuer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, said: list[dict[str, str]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.said = said
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        pass


def fill(value: str, issuer: Issuer) -> str:
    return value.replace("{at}", issuer.url)


class Run:
    """One command under strace: what it said, executed, and connected to."""

    def __init__(self, folder: Path, name: str, *words: str, until: str = "never", **env: str):
        trace = folder / f"{name}.trace"
        variables = {"PATH": os.environ["PATH"], "HOME": str(folder / name), "LANG": "C.UTF-8", "BROWSER": BROWSER} | env
        (folder / name).mkdir()
        out = folder / f"{name}.out"
        with open(out, "wb") as said:
            words = ("strace", "-f", "-qq", "-v", "-s", "20000", "-e", "trace=execve,execveat,connect", "-e", "signal=none", "-o", str(trace), str(PROGRAM), *words)
            process = subprocess.Popen(words, cwd=folder / name, env=variables, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        end = time.monotonic() + SECONDS_MAX
        self.waits = False
        while process.poll() is None and not self.waits and time.monotonic() < end:
            # A login that has sent its person out would wait for long.
            self.waits = until in out.read_text(errors="replace")
            time.sleep(0.02)
        if process.poll() is None:
            # It has begun what it begins.
            time.sleep(0.3)
            # What strace follows ends with it.
            os.killpg(process.pid, 15)
            process.wait(SECONDS_MAX)
        self.said, self.trace = out.read_text(errors="replace"), trace.read_text(errors="replace")
        # The first is our own program.
        self.executed = [json_words(found) for found in re.findall(r'execve\("(?:[^"\\]|\\.)*", \[(.*?)\], \[', self.trace)][1:]
        self.tried = self.trace.count("execve") - 1
        self.connected = {
            f"{address}:{port}"
            for line in self.trace.splitlines()
            if "connect(" in line
            for port, address in re.findall(r'sin6?_port=htons\((\d+)\).*?"([0-9a-f.:]+)"', line)
        }


def json_words(text: str) -> list[str]:
    return [word.encode().decode("unicode_escape") for word in re.findall(r'"((?:[^"\\]|\\.)*)"', text)]


def main() -> int:
    if not shutil.which("strace"):
        print("traced: there is no strace; nothing was looked at")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="braid-traced-"))
    try:
        return look(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def look(folder: Path) -> int:
    if not PROGRAM.exists():
        sys.exit(f"traced: {PROGRAM} is not there; `cargo build`")
    if subprocess.run(["strace", "-o", os.devnull, BROWSER], capture_output=True).returncode:
        print("traced: strace may follow nothing here; nothing was looked at")
        return 0
    pages = [{"authorization_endpoint": page} for page in (*OPENED, *REFUSED)]
    hostile = lambda key, path="/x", scheme="https": [{key: f"{scheme}://{host}{path}"} for host in PRIVATE]
    # A login each would take long: the first of them, and of the rest what a machine's own login looks up by itself.
    places = [one for key in ("issuer", "registration_endpoint") for one in hostile(key)[:: 5]] + [{"token_endpoint": "https://169.254.169.254/x"}]
    asked = hostile("challenge") + hostile("redirect") + hostile("challenge", scheme="http")[1:]
    issuer = Issuer([])
    issuer.said = [{key: fill(value, issuer) for key, value in one.items()} for one in pages + places + asked]
    own = f"127.0.0.1:{issuer.server_address[1]}"
    config = folder / "braid.toml"
    config.write_text("".join(f'[servers.s{number}]\nurl = "{issuer.url}/{number}/mcp"\n' for number in range(len(pages + places))))
    machine = folder / "machine.toml"
    first = len(pages + places)
    grant = f'oauth = {{ grant = "client_credentials", client_id = "c", client_secret = "s", issuer = "{issuer.url}/as/0" }}'
    machine.write_text("".join(f'[servers.s{number}]\nurl = "{issuer.url}/{number}/mcp"\n{grant}\n' for number in range(first, first + len(asked))))
    wrong: list[str] = []

    def fails(what: str, run: Run) -> None:
        wrong.append(f"{what}\n  executed {run.executed}\n  connected to {sorted(run.connected)}\n  {run.said[-400:]}")

    def login(number: int) -> None:
        says = issuer.said[number]
        run = Run(folder, str(number), "login", f"s{number}", "-c", str(config), until="Waiting for you")
        what = f"a login of which {says} is said"
        if run.connected - {own} or own not in run.connected:
            fails(f"{what} connects elsewhere, or to nothing", run)
        page = [*OPENED.values()][number] if number < len(OPENED) else None
        if "token_endpoint" in says:
            page = "{at}/authorize?"
        if page is None and (run.tried or run.waits):
            fails(f"{what} executes something", run)
        if page is not None:
            one = [words for words in run.executed if words[:1] == [BROWSER]] == run.executed and len(run.executed) == 1 == run.tried
            if not one or len(run.executed[0]) != 2 or not run.executed[0][1].startswith(fill(page, issuer)):
                fails(f"{what} does not open its page, and that alone", run)

    def by_opener(_: int) -> None:
        """Without a browser that is named: the program of the desktop, found in PATH."""
        tools = folder / "tools"
        tools.mkdir()
        (tools / "xdg-open").symlink_to(BROWSER)
        run = Run(folder, "opener", "login", "s1", "-c", str(config), until="Waiting for you", BROWSER="", PATH=f"{tools}:{os.environ['PATH']}")
        if len(run.executed) != 1 or run.executed[0][:1] != ["xdg-open"] or len(run.executed[0]) != 2:
            fails("the desktop's program is not started with one argument", run)

    def machines(_: int) -> None:
        run = Run(folder, "machines", "check", "-c", str(machine))
        if run.connected != {own}:
            fails("what a server names is connected to", run)
        # Each was asked, and none has failed before it had said where to go on.
        if run.said.count("BRAID-") < len(asked):
            fails("not all servers were asked", run)

    with ThreadPoolExecutor(3) as many:
        list(many.map(lambda work: work[0](work[1]), [(machines, 0), (by_opener, 0), *((login, number) for number in range(first))]))
    issuer.shutdown()
    if list(folder.rglob("pwned")):
        wrong.append("a shell has read a page")
    print("\n".join(wrong))
    print(f"traced: {len(OPENED)} pages opened, {len(REFUSED)} refused, {len(places) + len(asked)} places not asked; {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
