"""Does what README.md says about `braid serve`: its commands, its files, its curl.

The blocks are taken out of README.md as they stand; what is put in their place is the port that the system chose, a folder of our own for HOME, and for what would
run until Ctrl-C an end. What it cannot do here (a certificate of example.com, npx) is done with what is at hand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rawhttp import Mcp
from serving import DEMOS, PROGRAM, ROOT, Braid, Failed, expect

README = (ROOT / "README.md").read_text()
CERTIFICATES = ROOT / "tests" / "it" / "edge"


def section() -> str:
    found = re.search(r"^## Serve many clients over HTTP\n(.*?)^## ", README, re.M | re.S)
    expect(found, "README.md has a section `Serve many clients over HTTP`")
    return found[1]


def blocks(language: str) -> list[str]:
    """In the order of the text; those within a list without its indent."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", section(), re.M | re.S)
    return ["".join(line.removeprefix(indent) for line in text.splitlines(True)) for indent, text in found]


def run(command: list[str], **how: object) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **how)


def curl() -> str:
    start, script = blocks("sh")
    expect(start == "braid serve -c config.example.toml\n", f"the first command is the one that is run here, not {start!r}")
    with Braid((ROOT / "config.example.toml").read_text()) as braid, tempfile.TemporaryDirectory() as home:
        token = Path(home) / ".local" / "state" / "braid" / "token"
        token.parent.mkdir(parents=True)
        token.write_text(braid.token)
        script = script.replace("127.0.0.1:8808", f"127.0.0.1:{braid.port}")
        expect(script.count("curl -sS -N http") == 1, "one command runs until Ctrl-C")
        script = script.replace("curl -sS -N http", "curl -sS -N --max-time 2 http")
        done = run(["sh", "-c", script], cwd=home, env={"PATH": os.environ["PATH"], "HOME": home})
        said = done.stdout
        for part in ('"protocolVersion":"2025-11-25"', '"name":"workshop__add"', '{"sum":5}', "notifications/progress", "counted down 5 steps", "retry: "):
            expect(part in said, f"curl shows {part}: {said[-2000:]} {done.stderr}")
        expect(said.index("notifications/progress") < said.index("counted down 5"), "progress comes before the result")
        expect(done.returncode == 0, f"the last command is fine: {done.returncode} {done.stderr}")
        session = re.search(r"mcp-session-id: (\w+)", (Path(home) / "head.txt").read_text())[1]
        gone = Mcp(braid.port, braid.token, session=session).post({"jsonrpc": "2.0", "id": 9, "method": "ping"}).status
        expect(gone == 404, f"DELETE ended the session: {gone}")

        # The entry for a client, read by a client that reads such files: ourselves.
        entry = blocks("json")[0].replace("TOKEN", braid.token).replace(":8808", f":{braid.port}")
        json.loads(entry)
        file = Path(home) / ".mcp.json"
        file.write_text(entry)
        done = run([str(PROGRAM), "call", "-c", str(file), "workshop__add", "a=2", "b=3"])
        expect(done.stdout == '{"sum":5}\n', f"the entry for a client leads here: {done}")
    return "the curl commands and the entry for clients"


def one_server() -> str:
    expect("`braid serve -- npx -y @modelcontextprotocol/server-everything`" in section(), "one server without a file")
    expect("`braid stdio --url https://mcp.example.com/mcp`" in section(), "a remote server for a program's client")
    with tempfile.TemporaryDirectory() as home:
        command = [str(PROGRAM), "serve", "--listen", "127.0.0.1:0", "--", str(PROGRAM), "demo-server", "workshop"]
        serving = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "HOME": home})
        try:
            port = int(re.search(r":(\d+)/mcp", serving.stderr.readline())[1])
            token = Path(re.search(r"the token is in (.*)", serving.stderr.readline())[1])
            expect(token == Path(home) / ".local" / "state" / "braid" / "token", f"the token is where README.md says: {token}")
            client = Mcp(port, token.read_text().strip()).begin()
            answer = client.call("add", {"a": 2, "b": 3})
            expect(answer["result"]["structuredContent"] == {"sum": 5}, f"one server's names stay as they are: {answer}")
            remote = Path(home) / "braid.toml"
            told = next(block for block in blocks("toml") if "[servers.far]" in block)
            remote.write_text(told.replace("https://mcp.example.com", f"http://127.0.0.1:{port}"))
            asked = (
                '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}\n'
                '{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
                '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"far__add","arguments":{"a":2,"b":3}}}\n'
            )
            variables = {"PATH": os.environ["PATH"], "HOME": home, "FAR_TOKEN": token.read_text().strip()}
            with subprocess.Popen(
                [str(PROGRAM), "stdio", "-c", str(remote)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables
            ) as bridge:
                bridge.stdin.write(asked)
                bridge.stdin.flush()
                said = bridge.stdout.readline() + bridge.stdout.readline()
                bridge.stdin.close()
            expect('"sum":5' in said, f"a remote server is reached on stdio: {said}")
        finally:
            serving.terminate()
            serving.communicate(timeout=20)
    return "one server without a file, and one at a URL"


def doors() -> str:
    for door in ("/mcp/GROUP", "[groups.GROUP]", "/servers/NAME/mcp", "/healthz", "/readyz"):
        expect(door in section(), f"README.md names {door}")
    with Braid(DEMOS + '[groups.GROUP]\nservers = ["notes"]\n') as braid:
        for path, tool in (("/mcp/GROUP", "notes__add"), ("/servers/notes/mcp", "add")):
            tools = Mcp(braid.port, braid.token, path=path).begin().ask("tools/list")["result"]["tools"]
            expect(tool in [one["name"] for one in tools], f"{path} leads to {tool}")
    return "groups and single servers"


def machines() -> str:
    open_to_all = next(block for block in blocks("toml") if "0.0.0.0" in block)
    settings = open_to_all.replace("/etc/ssl/mcp.example.com.pem", str(CERTIFICATES / "localhost.pem"))
    settings = settings.replace("/etc/ssl/mcp.example.com.key", str(CERTIFICATES / "localhost.key"))
    with Braid(DEMOS + settings) as braid:
        url = f"https://localhost:{braid.port}/healthz"
        done = run(["curl", "-sS", "--cacert", str(CERTIFICATES / "localhost.pem"), url])
        expect(done.stdout == "ok\n", f"TLS is spoken: {done}")
        done = run(["curl", "-sSk", "-H", "Host: mcp.example.com", url])
        expect(done.stdout == "ok\n", f"under its name: {done}")
    with tempfile.TemporaryDirectory() as home:
        bare = Path(home) / "braid.toml"
        bare.write_text(DEMOS)
        done = run([str(PROGRAM), "serve", "-c", str(bare), "--listen", "0.0.0.0:0"], env={"PATH": os.environ["PATH"], "HOME": home})
        expect(done.returncode == 6 and "needs TLS" in done.stderr, f"without TLS it is refused with 6: {done}")
    return "TLS, and what is refused without it"


def main() -> int:
    try:
        for part in (curl, one_server, doors, machines):
            print(f"README: {part()}")
    except (Failed, subprocess.TimeoutExpired) as why:
        print(f"FAILED README: {why}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
