"""What is done with Braid, each act with everything that comes of it kept for the search."""

from __future__ import annotations

import http.client
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from broken import broken
from stage import HERE, PROGRAM, Serve, Stage
from theirs import theirs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "edge"))
from serving import descendants  # noqa: E402

# The last lines of a server that ended are quoted in what is said of it, and `logs` is there to show them.
OWN_WORDS = ("headers, written", "headers, ${NAME}", "headers, ${file:}", "url, query", "url, query ${NAME}", "url, path ${NAME}", "session of a server")
STDERR = ("words on stderr",)
REMOTES = ["own", "lateown", "e401", "e403", "e404", "e500", "e503", "echowords", "echojson", "echocut", "late500", "latewords", "latejson", "latecut", "late429", "late401", "moved", "away", "round", "lost", "garbled", "page"]
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/clientInfo": {"name": "canary", "version": "1"}}


TOP_SECONDS_MAX = 8


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def servers(stage: Stage) -> str:
    """Every kind of server, those that fail as well."""
    printer = HERE / "printer.py"
    made = f'headers_command = ["{printer}", "{stage.seen}", "printed.json", "${{PRINTER_ARGS}}", "--token", "{stage.plain("headers_command, args")}"]'
    fails = f'headers_command = ["{printer}", "{stage.seen}", "printed.json", "${{PRINTER_ARGS}}", "--fails"]'
    dies = stage.program("dies", f'SAY_ERR = "{stage.odd("words on stderr")}", KEPT = "{stage.plain("env, written")}"', args=', "--dies"')
    wrong = f'\n[servers.wrong]\ncommand = "no-such-program"\nargs = ["--token", "{stage.odd("args, written")}", "${{ARGS_NAMED}}"]\nenv = {{ TOKEN = "{stage.odd("env, written")}" }}\n'
    gone = stage.remote("gone", "good").replace(f"127.0.0.1:{stage.far.port}", "127.0.0.1:9")
    nowhere = stage.remote("nowhere", "good").replace(f"127.0.0.1:{stage.far.port}", "nowhere.invalid")
    plain_tls = stage.remote("plaintls", "good").replace("http://", "https://")
    parts = [stage.near(), stage.program("other"), stage.loud(), stage.remote("good", "good", made), stage.remote("made", "late401", made), stage.remote("unmade", "good", fails), dies, wrong, gone, nowhere, plain_tls]
    for kind, text in (("unprintable", "unprintable.json"), ("nojson", "no.json")):
        parts.append(stage.remote(kind, "good", f'headers_command = ["{printer}", "{stage.seen}", "{text}"]'))
    parts.append(stage.remote("events", "events", 'transport = "sse"'))
    parts += [stage.remote(name, name) for name in REMOTES]
    return "".join(parts)


# -- over HTTP


class Client:
    """Asks, and keeps what it is answered, head and body."""

    def __init__(self, stage: Stage, run: Serve, place: str, path: str = "/mcp"):
        self.stage, self.run, self.place, self.path = stage, run, place, path
        self.session: str | None = None
        self.number = 0

    def send(self, what: str, body: object, *, method: str = "POST", may: tuple[str, ...] = (), headers: dict[str, str | None] | None = None, path: str | None = None, token: str | None = None, seconds: float = 10) -> tuple[int, dict, bytes]:
        stage = self.stage
        own = {
            "Accept": "application/json, text/event-stream", "Content-Type": "application/json", "Authorization": f"Bearer {token or stage.odd('listen token')}",
            "X-Upstream-Token": stage.odd("client, headers"), "Cookie": f"session={stage.plain('client, headers')}", "X-Api-Key": stage.plain("client, headers"),
            "X-Named": stage.odd("client, headers"), "X-Made-Token": stage.plain("client, headers"), "User-Agent": f"canary {stage.plain('client, headers')}",
        }
        own |= {"Mcp-Session-Id": self.session} if self.session else {}
        own |= {"MCP-Protocol-Version": "2025-11-25"} if self.session else {}
        own |= headers or {}
        own = {name: value for name, value in own.items() if value is not None}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.run.port, timeout=seconds)
        status, got, text = 0, {}, b""
        try:
            target = path or self.path
            connection.request(method, f"{target}{'&' if '?' in target else '?'}token={stage.odd('client, query')}", data if method == "POST" else None, own)
            answer = connection.getresponse()
            status, got = answer.status, {name.lower(): value for name, value in answer.getheaders()}
            while piece := answer.read1(65536):
                text += piece
        except (OSError, http.client.HTTPException):
            pass  # What had come by then is what counts.
        finally:
            connection.close()
        # Its own id is the client's to know.
        head = "\n".join(f"{name}: {value}" for name, value in got.items() if name != "mcp-session-id")
        stage.keep(f"answers to clients: {self.place}, {what}", f"{status}\n{head}\n\n".encode() + text, *may)
        return status, got, text

    def ask(self, what: str, method: str, params: dict | None = None, **more) -> bytes:
        self.number += 1
        return self.send(what, {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params or {}}, **more)[2]

    def begin(self, token: str | None = None, capabilities: dict | None = None) -> bool:
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities or {}, "clientInfo": {"name": "canary", "version": "1"}}
        status, got, _ = self.send("initialize", {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, token=token)
        self.session = got.get("mcp-session-id")
        if self.session:
            with self.stage.lock:
                self.stage.minted.setdefault("session of a client", []).append(self.session)
            self.send("initialized", {"jsonrpc": "2.0", "method": "notifications/initialized"}, token=token)
        return status == 200


class Modern(Client):
    """The same without a session (2026-07-28)."""

    def ask(self, what: str, method: str, params: dict | None = None, **more) -> bytes:
        named = (params or {}).get({"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}.get(method, ""))
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method} | ({"Mcp-Name": named} if named else {})
        return super().ask(what, method, (params or {}) | {"_meta": MODERN}, headers=headers | more.pop("headers", {}), **more)


def requests(client: Client) -> None:
    """Calls that work and calls that do not, the same for each era."""
    stage = client.stage
    logged = () if isinstance(client, Modern) else ("result",)
    # Whoever came here before has ended it at last, and until it is started again its calls are refused at once.
    until, first = time.monotonic() + 10, {"name": "near__echo", "arguments": {"text": "x"}}
    while time.monotonic() < until and b'"error":{' in client.ask("a call until it is there", "tools/call", first, may=logged):
        time.sleep(0.05)
    said = {"text": stage.odd("client, arguments"), "api_key": stage.odd("client, telltale arguments")}
    for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
        client.ask(method, method)
    call = lambda what, name, arguments=None, **more: client.ask(what, "tools/call", {"name": name, "arguments": arguments or {}}, **more)
    call("a call that works", "near__echo", said, may=("client, arguments", *logged))
    call("a call that has a hidden argument", "near__echo", said | {"key": stage.plain("client, arguments")})
    call("a call of the server's own words", "near__tell", may=("result",))
    call("a call that the server refuses", "near__fail", may=("result",))
    call("a call that takes too long", "near__slow", said)
    call("a call of a tool that nobody has", "near__none", said)
    call("a call of a server that nobody has", "none", said)
    call("a call of one that talks", "loud__echo", {"text": "x"}, may=STDERR)
    call("a call of one that talks and ends", "loud__crash", may=STDERR)
    call("a call from afar", "good__ask", said)
    for name in ("made", *[name for name in REMOTES if name.startswith("late")]):
        # An error of a server's own passes as it is, as a result does.
        call(f"a call of {name}", f"{name}__ask", said, may=OWN_WORDS if name == "lateown" else ())
    for name in ("gone", "dies", "wrong", "unmade"):
        call(f"a call of {name}", f"{name}__ask", said, may=STDERR if name == "dies" else ())
    client.ask("a resource", "resources/read", {"uri": "near+case://one"}, may=("result",))
    client.ask("a resource that is not there", "resources/read", {"uri": "near+case://two"}, may=("result",))
    client.ask("a prompt", "prompts/get", {"name": "near__ask"}, may=("result",))
    call("a call that ends the server", "near__crash", said)
    client.ask("an unknown method", "tools/none", said)
    client.ask("params of the wrong form", "tools/call", {"name": 5, "arguments": said})
    client.ask("a message that is too long", "tools/call", {"name": "near__echo", "arguments": said | {"pad": "x" * 9000}})
    client.send("a message that is none", json.dumps(said).encode()[:-2])
    client.send("a message that is cut off", b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"near__echo","arguments":{"text":"' + stage.odd("client, arguments").encode())


def refusals(client: Client) -> None:
    """What is turned away before it is read."""
    stage = client.stage
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for value in stage.slots["client, wrong token"].values:
        client.send("another token", ping, token=value)
        client.send("no bearer", ping, headers={"Authorization": f"Basic {value}"})
        client.send("another session", ping, headers={"Mcp-Session-Id": value})
        client.send("another path", ping, path=f"/mcp/{value}")
        client.send("another host", ping, headers={"Host": f"{value}.example"})
        client.send("another origin", ping, headers={"Origin": f"https://{value}.example"})
    client.send("another revision", ping, headers={"MCP-Protocol-Version": "1999-01-01"})
    client.send("another type", ping, headers={"Content-Type": "text/plain"})
    client.send("a stream", b"", method="GET", headers={"Accept": "text/event-stream"}, seconds=0.3)
    client.send("another method", b"", method="PUT")
    client.send("an old stream", b"", method="GET", path="/sse", headers={"Accept": "text/event-stream"}, seconds=0.3)
    client.send("a post to no old stream", ping, path="/messages")


def served(stage: Stage, form: str) -> None:
    """One run with all its servers, and everybody who looks after it."""
    log = stage.folder / f"{form}.log"
    admin = free_port()
    config = stage.config(
        f"{form}.toml", servers(stage), log=f'format = "{form}"' + (f'\nfile = "{log}"' if form == "text" else ""), admin=f'http = "127.0.0.1:{admin}"\naudit = "{form}.audit"'
    )
    with Serve(stage, form, "serve", "-c", str(config)) as run:
        say = lambda what, *words, may=(): stage.say(f"{what} of a run", *words, "-c", str(config), may=may)
        taps = [tapped(stage, config, f"{form}-tap", "--json"), tapped(stage, config, f"{form}-payload", "--json", "--payload", "--server", "near")]
        until = time.monotonic() + 10
        while time.monotonic() < until and b'"near"' not in (said := http_get(admin, "/status")):
            time.sleep(0.05)
        client = Client(stage, run, f"{form}, 2025-11-25")
        if not client.begin():
            raise SystemExit(f"{form}: initialize is refused")
        until = time.monotonic() + 10
        while time.monotonic() < until and b"near__echo" not in client.ask("tools/list", "tools/list"):
            time.sleep(0.1)
        requests(client)
        requests(Modern(stage, run, f"{form}, 2026-07-28"))
        refusals(Client(stage, run, f"{form}, strangers"))
        for path in ("/healthz", "/readyz", "/metrics", "/status", "/none"):
            stage.keep(f"admin {path}", http_get(admin, path), *(STDERR if path == "/status" else ()))
        say("status", "status", may=STDERR)
        say("status --json", "status", "--json", may=STDERR)
        say("status --ready", "status", "--ready")
        say("logs", "logs", "near")
        say("logs --json", "logs", "near", "--json")
        for server in ("loud", "dies"):
            say(f"logs of {server}, which says what it knows", "logs", server, may=STDERR)
        for server in ("good", "e500", "latewords", "none"):
            say(f"logs of {server}", "logs", server)
        for server in ("near", "loud", "good", "gone", "dies", "none"):
            say("restart", "restart", server)
        say("reload", "reload")
        top(stage, config)
        client.ask("a call after the restart", "tools/call", {"name": "near__tell", "arguments": {}}, may=("result",))
        client.send("the end of the session", b"", method="DELETE")
        processes(stage, run, form)
    for tap in taps:
        tap.wait(10)
    stage.keep("tap", (stage.folder / f"{form}-tap.out").read_bytes())
    # Arguments and results as they pass are what `--payload` asks for, those of names that tell are hidden.
    stage.keep("tap --payload", (stage.folder / f"{form}-payload.out").read_bytes(), "client, arguments", "result", "tool defaults", "tool defaults, hidden")
    stage.keep("the log", run.said.read_bytes() + (log.read_bytes() if log.exists() else b""), "words on stderr", "words on stdout")
    stage.keep("the audit", (stage.folder / f"{form}.audit").read_bytes())


def tapped(stage: Stage, config: Path, name: str, *words: str) -> subprocess.Popen:
    with open(stage.folder / f"{name}.out", "wb") as out:
        return subprocess.Popen([str(PROGRAM), "tap", *words, "-c", str(config)], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=stage.environment(), start_new_session=True)


def http_get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return f"{answer.status}\n{answer.headers}".encode() + answer.read()
    except OSError as error:
        return str(error).encode()
    finally:
        connection.close()


def top(stage: Stage, config: Path) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(PROGRAM, [str(PROGRAM), "top", "-c", str(config)], stage.environment())
    drawn, begun = b"", time.monotonic()
    # Down through the servers: what is wrong with each is shown at the bottom. It is read to its end, or it would wait for us.
    while (seconds := time.monotonic() - begun) < TOP_SECONDS_MAX:
        if select.select([fd], [], [], 0.03)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                break
            drawn += piece
        os.write(fd, b"j" if seconds < 2 else b"q")
    else:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    stage.keep("top", drawn)


def processes(stage: Stage, run: Serve, form: str) -> None:
    """Command lines and environments of what runs now; servers write down their own at their start."""
    stage.keep("command line of Braid", Path(f"/proc/{run.pid}/cmdline").read_bytes())
    for pid, line in descendants(run.process.pid).items():
        if "server.py" in line or "printer.py" in line:
            continue
        try:
            stage.keep("what else Braid starts: command line, environment", line.encode() + Path(f"/proc/{pid}/environ").read_bytes())
        except OSError:
            continue


# -- commands


def commands(stage: Stage) -> None:
    """Those that start servers themselves, and those that only read."""
    config = str(stage.config("commands.toml", servers(stage)))
    small = str(stage.config("small.toml", stage.near() + stage.loud() + stage.remote("good", "good")))
    noisy = ("words on stderr", "words on stdout")
    for form in ((), ("--json",), ("--log-format", "json")):
        stage.say("check", "check", "-c", config, *form, may=noisy)
        stage.say("check --offline", "check", "--offline", "-v", "-c", config, *form)
    stage.say("check, quiet", "check", "-q", "--log-level", "off", "-v", "-c", config, may=STDERR)
    stage.say("check --client", "check", "--client", "cursor", "--strict", "-c", small, may=noisy)
    for what in ("servers", "tools", "resources", "prompts", "templates"):
        for form in ((), ("--json",)):
            stage.say(f"list {what}", "list", what, "-c", small, *form, may=noisy)
    argument = stage.odd("client, arguments")
    for form in ((), ("--json",)):
        stage.say("call", "call", "near__echo", "-c", small, *form, "--args", json.dumps({"text": argument}), may=noisy + ("client, arguments",))
        stage.say("call, refused by us", "call", "near__echo", f"key={argument}", "-c", small, *form, may=noisy)
        stage.say("call, refused by the server", "call", "near__fail", "-c", small, *form, may=noisy + ("result",))
        stage.say("call, too long", "call", "near__slow", f"text={argument}", "-c", small, *form, may=noisy)
        stage.say("call, ends the server", "call", "near__crash", f"text={argument}", "-c", small, *form, may=noisy)
        stage.say("call, not there", "call", "near__none", f"text={argument}", "-c", small, *form, may=noisy)
        stage.say("call, no pair", "call", "near__echo", "text", "-c", small, *form, may=noisy)
        stage.say("read", "read", "near+case://one", "-c", small, *form, may=noisy + ("result",))
        stage.say("prompt", "prompt", "near__ask", "-c", small, *form, may=noisy + ("result",))
        for what in ("near__echo", "good__ask", "none", "near+case://one"):
            stage.say("explain", "explain", what, "-c", small, *form, may=noisy)
        stage.say("config show", "config", "show", "-c", config, *form)
        stage.say("config path", "config", "path", "-c", config, *form)
    for client in ("cursor", "codex", "zed"):
        stage.say("install", "install", client, "-c", config)
        stage.say("install --http", "install", client, "--http", "http://127.0.0.1:8808/mcp")
    ways = ["remove near --dry-run", "disable near --dry-run", "disable good --dry-run", "enable near --dry-run", "disable near", "enable near"]
    for way in ways:
        stage.say(f"braid {way}", *way.split(), "-c", config)
    odd, plain = stage.odd("typed"), stage.plain("typed")
    for more in (("--dry-run",), ("--dry-run", "--json"), ()):
        stage.say("add", "add", "new", "-c", small, *more, "-e", f"TOKEN={odd}", "--", "true", "--token", plain)
        stage.say("add, a URL", "add", "far", f"https://mcp.example.com/mcp?key={odd}", "-H", f"Authorization: Bearer {plain}", "-c", small, *more)
        stage.say("add, a URL that cannot be", "add", "far2", f"https://ana:{odd}@mcp.example.com/mcp#{plain}", "-c", small, *more)
    for form in ((), ("--json",)):
        stage.say("--url", "check", *form, "--url", f"http://127.0.0.1:{stage.far.port}/echowords/mcp?key={odd}")
        stage.say("--url that cannot be", "check", *form, "--url", f"http://ana:{plain}@127.0.0.1:9/mcp?key={odd}")
        stage.say("a command", "check", *form, "--", "false", "--token", odd)
        stage.say("config show of a command", "config", "show", *form, "--", "false", "--token", odd)
        stage.say("config show of a URL", "config", "show", *form, "--url", f"http://127.0.0.1:9/mcp?key={odd}")


def proxied(stage: Stage) -> None:
    """Through a proxy that wants a password, and one that is not there; every child is told of proxies (README)."""
    user = f"ana:{stage.plain('proxy password')}"
    odd = stage.odd("proxy password").replace("/", "%2F")
    config = str(stage.config("proxied.toml", stage.remote("good", "good").replace("127.0.0.1", "far.invalid") + stage.remote("secure", "good").replace("http://127.0.0.1", "https://far.invalid")))
    for port in (stage.far.port, 9):
        for password in (user, f"ana:{odd}"):
            url = f"http://{password}@127.0.0.1:{port}"
            stage.say("check through a proxy", "check", "-c", config, env=stage.environment(HTTP_PROXY=url, http_proxy=url, HTTPS_PROXY=url, https_proxy=url))
    url = f"bad://{user}@x:y:z"
    stage.say("check with a wrong proxy", "check", "-c", config, env=stage.environment(HTTP_PROXY=url, http_proxy=url, HTTPS_PROXY=url, ALL_PROXY=url))


def doors(stage: Stage) -> None:
    """What is refused before anybody is served, and a door with TLS."""
    near = stage.near()
    listen = 'tls = { cert = "localhost.pem", key = "%s" }'
    for key in ("broken.key", "ca.pem", "near.env", "localhost.pem", "none.key"):
        stage.say("serve with a wrong key", "serve", "-c", str(stage.config("tls.toml", near, listen=listen % key)))
    stage.say("serve with a key for a certificate", "serve", "-c", str(stage.config("tls.toml", near, listen='tls = { cert = "localhost.key", key = "localhost.key" }')))
    wrong_ca = stage.remote("good", "good", 'ca_file = "ca.pem"').replace("http://", "https://")
    stage.say("check with a wrong ca_file", "check", "-c", str(stage.config("ca.toml", wrong_ca)))
    with Serve(stage, "tls", "serve", "-c", str(stage.config("tls.toml", near, listen=listen % "localhost.key"))) as run:
        client = Client(stage, run, "no TLS where it is wanted")
        client.send("a request", {})
    stage.keep("the log, TLS", run.said.read_bytes())
    # The token of the door: others may read it, it is too short, it is no text.
    for mode, text in ((0o644, stage.odd("listen token")), (0o600, stage.odd("listen token")[:20]), (0o600, stage.odd("listen token") + " " + stage.odd("listen token"))):
        stage.file("door2.token", text, mode)
        config = stage.config("token.toml", near)
        config.write_text(config.read_text().replace("door.token", "door2.token"))
        stage.say("serve with a wrong token file", "serve", "-c", str(config))
    # Tokens with names, and one that an identity provider would be asked about, which is away.
    names = f"""auth = "oauth"
tokens = {{ ana = "{stage.odd('listen.tokens')}", bob = {{ token = "{stage.plain('listen.tokens')}", scopes = ["read"] }} }}
oauth = {{ issuer = "http://127.0.0.1:9", resource = "http://127.0.0.1:9/mcp", introspection = {{ client_id = "braid", client_secret = "{stage.odd('listen.tokens')}" }} }}"""
    names = str(stage.config("tokens.toml", near, listen=names).rename(stage.folder / "named.toml"))
    stage.say("config show of tokens", "config", "show", "-c", names)
    stage.say("check of tokens", "check", "--offline", "-c", names)
    with Serve(stage, "tokens", "serve", "-c", names) as run:
        client = Client(stage, run, "tokens with names")
        for token in (stage.odd("listen.tokens"), stage.plain("listen.tokens")):
            if not client.begin(token):
                raise SystemExit("a token with a name lets nobody in")
            client.session = None
        for token in (stage.odd("client, headers"), "e30.e30." + stage.plain("client, headers"), stage.plain("listen.tokens") + "x"):
            client.send("a token that is asked about", {}, token=token)
    stage.keep("the log, tokens", run.said.read_bytes())
    wrong = stage.config("provider-ca.toml", near, listen='auth = "oauth"\noauth = { issuer = "https://127.0.0.1:9", resource = "http://127.0.0.1:9/mcp", ca_file = "ca.pem" }')
    stage.say("serve with a wrong ca_file of a provider", "serve", "-c", str(wrong))
    off = stage.config("off.toml", near).read_text().replace("127.0.0.1:0", "0.0.0.0:0")
    stage.say("serve off loopback", "serve", "-c", str(stage.file("off.toml", off)))


def door(stage: Stage) -> None:
    """`braid stdio` for one client."""
    said = {"text": stage.odd("client, arguments"), "api_key": stage.odd("client, telltale arguments")}
    config = str(stage.config("door.toml", servers(stage)))
    ask = lambda number, method, params: {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    begin = ask(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}})
    lines = [begin, {"jsonrpc": "2.0", "method": "notifications/initialized"}, ask(1, "tools/list", {})]
    names = ["near__echo", "near__tell", "near__fail", "near__slow", "near__none", "loud__echo", "dies__x", "gone__x", "wrong__x", "good__ask", "latewords__ask", "latejson__ask"]
    lines += [ask(at + 10, "tools/call", {"name": name, "arguments": said}) for at, name in enumerate(names)]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + json.dumps(said).encode() + b"\n" + json.dumps(said).encode()[:-4] + b"\n"
    process = subprocess.Popen([str(PROGRAM), "stdio", "-c", config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=stage.environment(), cwd=stage.folder, start_new_session=True)
    process.stdin.write(text)
    process.stdin.flush()
    # Until every call has its answer: a stdin that ends would take some of them away.
    out, until = b"", time.monotonic() + 20
    while out.count(b'"id":') < len(names) + 2 and time.monotonic() < until:
        if select.select([process.stdout], [], [], 0.1)[0]:
            out += os.read(process.stdout.fileno(), 65536)
    rest, err = process.communicate(timeout=20)
    stage.keep("answers to clients: stdio", out + rest, "client, arguments", "result", *STDERR)
    stage.keep("the log, stdio", err, "words on stderr", "words on stdout")


ACTS = {
    "serve, text": lambda stage: served(stage, "text"),
    "serve, json": lambda stage: served(stage, "json"),
    "stdio": door,
    "commands": commands,
    "proxies": proxied,
    "doors": doors,
    "clients' files": theirs,
    "broken files": broken,
}
