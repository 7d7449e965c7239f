"""Authorization, on both sides: logins at remote servers, and clients with tokens of an identity provider.

Each of what is given out belongs into one file, and into the requests to whom it is for; nothing of it is anywhere else.
"""

from __future__ import annotations

import html
import http.client
import re
import stat
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from acts import Client, Modern, free_port, http_get, processes, tapped
from issuer import Issuer
from stage import PROGRAM, SECONDS_MAX, Serve, Stage

# What each server does when it is logged in at; `device` and `near` are an issuer's of their own.
EXCHANGED = ("made", "echo", "nocode")
SERVERS = ["web", "short", "dead", "away", "rights", "echo", "echojson", "own"]
NO_LOGIN = ["denied", "nocode", "oddtoken", "garbled"]
OWN = ("login, access token", "login, refresh token", "login, client secret", "other login, access token", "other login, refresh token")
# What belongs into requests of each kind.
ASKED = {
    "a server": ("access token",),
    "authorize": ("state",),
    "token": ("code", "verifier", "refresh token", "client secret"),
    "revoke": ("access token", "refresh token", "client secret"),
}
OTHERS_ASKED = {"a server": ("access token",), "token": ("device code", "refresh token"), "revoke": ("access token", "refresh token")}
WHILE = ("with a login", "with a login that ends", "anew")
CALL = {"name": "ask", "arguments": {}}
# The cookie is named after the page.
SENT = ("provider, state", "provider, browser", "provider, page")
RESOURCE = "http://127.0.0.1:9/mcp"


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def opened(url: str, host: str | None = None) -> tuple[int, str, bytes]:
    """What a browser gets: status, where to, and the whole answer."""
    opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
    try:
        answer = opener.open(urllib.request.Request(url, headers={"Host": host} if host else {}), timeout=SECONDS_MAX)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers.get("Location", ""), f"{answer.status}\n{answer.headers}".encode() + answer.read()


def login(stage: Stage, config: Path, server: str, *more: str, env: dict[str, str], state: str | None = "login, state") -> int:
    """A person who does what is said. `state`: the slot of what the page to open holds, if there is one."""
    words = [str(PROGRAM), "login", server, *more, "-c", str(config)]
    files = [stage.folder / "said" / f"login-{config.stem}-{server}.{name}" for name in ("out", "err")]
    files[0].parent.mkdir(exist_ok=True)
    with open(files[0], "wb") as out, open(files[1], "wb") as err:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=stage.folder, env=env, start_new_session=True)
    until, back = time.monotonic() + SECONDS_MAX, ""
    while process.poll() is None:
        if time.monotonic() > until:
            process.kill()
            raise SystemExit(f"login at {server}: it does not end")
        # JSON goes to stdout, words to stderr; a line is there when it ends.
        found = re.search(rb'(?m)^(?:  |.*"open":")(http://127\.0\.0\.1:\d+/as/authorize\?[^\s"]+)"?.*\n', b"".join(file.read_bytes() for file in files))
        if found and not back:
            stage.keep("command line of login", Path(f"/proc/{process.pid}/cmdline").read_bytes())
            _, back, _ = opened(found[1].decode())
            # Others come before the one who was sent out, with what they may have seen of it.
            other = re.sub(r"state=[^&]+", "state=guessed", back)
            for url, host in ((other, None), (back, "evil.example"), (back.replace("/callback", "/other"), None), (back, None)):
                stage.keep("the page that a browser comes back to", opened(url, host)[2])
        time.sleep(0.02)
    said = b"\n".join(file.read_bytes() for file in files)
    page = re.compile(rb'(?m)^(?:  http|\{"server":"[^"]+","host":).*$')
    stage.keep("login", page.sub(b"", said))
    if state:
        stage.keep("login, the page to open", b"\n".join(page.findall(said)), state)
    return process.returncode


def logins(stage: Stage) -> None:
    """Logins of every kind, their renewal and their end, while somebody is served by them."""
    one, other = (Issuer(name, stage.minted, stage.key) for name in ("login", "other login"))
    admin = free_port()
    far = lambda name, issuer, more="": f'\n[servers.{name}]\nurl = "{issuer.url}/{name}/mcp"\n{more}\n'
    machine = f'oauth = {{ grant = "client_credentials", client_id = "machine", client_secret = "{stage.odd("servers.*.oauth")}", issuer = "{one.url}/as" }}'
    servers = "".join(far(name, one) for name in SERVERS + NO_LOGIN) + far("device", other) + far("machine", one, machine)
    # Only what has a browser registers: whoever logs in elsewhere has a name that was given out by hand.
    servers = servers.replace(far("device", other), far("device", other, 'oauth = { client_id = "by-hand" }'))
    config = stage.config("logins.toml", servers, admin=f'http = "127.0.0.1:{admin}"\naudit = "logins.audit"')
    env = stage.environment(XDG_STATE_HOME=str(stage.made("state/logins")))
    file = stage.folder / "state" / "logins" / "braid" / "logins.json"
    with Serve(stage, "logins", "serve", "-c", str(config), env=env) as run:
        tap = tapped(stage, config, "logins-tap", "--json", "--payload")
        clients = [Client(stage, run, "logins, 2025-11-25"), Modern(stage, run, "logins, 2026-07-28")]
        if not clients[0].begin():
            raise SystemExit("logins: initialize is refused")

        def calls(when: str) -> None:
            for client in clients:
                for name in (*SERVERS, "device", "machine"):
                    for _ in range(2):
                        may = ("login, access token",) if name == "own" and when in WHILE else ()
                        client.ask(f"a call of {name} {when}", "tools/call", CALL | {"name": f"{name}__ask"}, may=may)
            for path in ("/metrics", "/status"):
                stage.keep(f"admin {path}", http_get(admin, path))
            for words in (["status"], ["status", "--json"], *(["logs", name] for name in SERVERS)):
                stage.say(f"{' '.join(words[:1])} of a run", *words, "-c", str(config), env=env)

        calls("before a login")
        for number, name in enumerate(SERVERS):
            if login(stage, config, name, "--no-browser", *["--json"][: number % 2], env=env):
                raise SystemExit(f"logins: there is none at {name}")
        if login(stage, config, "device", "--device", env=env, state=None):
            raise SystemExit("logins: there is none at device")
        for name in NO_LOGIN:
            for form in ((), ("--json",)):
                if not login(stage, config, name, "--no-browser", *form, env=env):
                    raise SystemExit(f"logins: there is one at {name}")
        until = time.monotonic() + 15
        while b'"error":{' in (said := clients[0].ask("a call until there is a login", "tools/call", CALL | {"name": "web__ask"})):
            if time.monotonic() > until:
                raise SystemExit("logins: a run does not take one up")
            time.sleep(0.1)
        if stat.S_IMODE(file.stat().st_mode) != 0o600 or b"said" not in said:
            raise SystemExit("logins: the file is open to others, or nothing was said")
        stage.keep("the file of logins", file.read_bytes(), *OWN)
        calls("with a login")
        calls("with a login that ends")
        for name in ("web", "machine", "dead"):
            stage.say("restart", "restart", name, env=env)
        calls("anew")
        for form in ((), ("--json",)):
            stage.say("check of logins", "check", "-c", str(config), *form, env=env)
            stage.say("config show of logins", "config", "show", "-c", str(config), *form, env=env)
            stage.say("login that cannot be", "login", "machine", "-c", str(config), *form, env=env)
        spoilt(stage, config, file)
        processes(stage, run, "logins")
        for number, name in enumerate([*SERVERS, "device"]):
            stage.say("logout", "logout", name, "-c", str(config), *["--json"][: number % 2], env=env)
        stage.say("logout of nobody", "logout", "web", "-c", str(config), env=env)
        stage.keep("the file of logins when all are over", file.read_bytes(), "login, client secret")
        file.unlink()
        calls("after the logins")
    tap.wait(10)
    stage.keep("tap --payload", (stage.folder / "logins-tap.out").read_bytes(), "login, access token")
    stage.keep("the log, logins", run.said.read_bytes())
    stage.keep("the audit", (stage.folder / "logins.audit").read_bytes())
    for issuer, asked in ((one, ASKED), (other, OTHERS_ASKED)):
        own = () if issuer is other else ("servers.*.oauth",)
        for what, sent in issuer.asked.items():
            slots = [f"{issuer.name}, {slot}" for slot in asked.get(what, ())]
            stage.keep(f"what the {issuer.name}'s issuer is asked, {what}", sent, *slots, *(own if what == "token" else ()))
        if issuer.asked.keys() < {*asked, "metadata"}:
            raise SystemExit("logins: not all was asked")
        issuer.shutdown()


def spoilt(stage: Stage, config: Path, file: Path) -> None:
    """A file of logins that others may read, that is cut off, and that says something else where a word is wanted."""
    text = file.read_text()
    for at, (mode, wrong) in enumerate([(0o644, text), (0o600, text[: len(text) // 2]), (0o600, re.sub(r'"access_token": ("[^"]+")', r'"access_token": [\1]', text)), (0o600, text.replace('"version": ', '"version": 9'))]):
        env = stage.environment(XDG_STATE_HOME=str(stage.made(f"spoilt/{at}")))
        stage.file(f"spoilt/{at}/braid/logins.json", wrong, mode)
        for words in (["login", "web", "--no-browser"], ["logout", "web"], ["check"]):
            done = stage.say(f"{words[0]} with a file of logins that cannot be read", *words, "-c", str(config), env=env)
            if done.returncode == 0 and words[0] != "check":
                raise SystemExit("logins: a file that cannot be read was")


# -- who may come


def by_page(stage: Stage, run: Serve, issuer: Issuer, token: str, form: str = "") -> None:
    """A client is sent to a page, and its person logs in there. `form`: what proves who is there, if no provider says so."""
    client = Client(stage, run, "provider, to a page")
    if not client.begin(token, {"elicitation": {"url": {}}}):
        raise SystemExit("provider: a good token is refused")
    text = client.ask("a call that leads to a page", "tools/call", CALL | {"name": "each__ask"}, token=token, may=("provider, page",))
    page = re.search(rb'"url":"([^"]+/login/([^"/]+))"', text)
    if not page:
        raise SystemExit("provider: nobody is sent to a page")
    issuer.adds("page", page[2].decode())
    url, jars = page[1].decode(), {}

    def browses(method: str, url: str, body: str = "", **headers: str) -> tuple[int, str, str]:
        parts = urllib.parse.urlsplit(url)
        cookies = jars.setdefault(parts.hostname, {})
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=SECONDS_MAX)
        own = {"Host": parts.netloc, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, f"{parts.path}?{parts.query}", body, own | headers)
        answer = connection.getresponse()
        said = f"{answer.status}\n{answer.headers}".encode() + answer.read()
        if cookie := answer.getheader("Set-Cookie"):
            name, value = cookie.split(";")[0].split("=", 1)
            cookies[name] = value
            issuer.adds("browser", value)
        link = re.search(rb'<a id=go [^>]*href="([^"]+)"', said)
        to = answer.getheader("Location") or (html.unescape(link[1].decode()) if link else "")
        if parts.port == run.port:
            sent = bool(to)
            stage.keep("pages of a login, where they send" if sent else "pages of a login", said, *(SENT if sent else ()))
        connection.close()
        return answer.status, to, said.decode()

    here = {"Origin": url.split("/login/")[0]}
    browses("GET", url)
    browses("POST", url, form, Origin="https://evil.example")
    for wrong in (f"token={stage.plain('client, wrong token')}", "token=") if form else ():
        browses("POST", url, wrong, **here)
    status, to, said = browses("POST", url, form, **here)
    while to:
        if "/callback" in to or "/signed-in" in to:
            for spoilt in (to.replace("state=", "state=x"), to.replace("code=", "c=")):
                browses("GET", spoilt)
        status, to, said = browses("GET", to)
    if status != 200 or "Logged in" not in said:
        raise SystemExit(f"provider: no login comes of a page: {status}")


def provider(stage: Stage) -> None:
    """A door for tokens of an identity provider: good ones, and those that are none."""
    issuer = Issuer("provider", stage.minted, stage.key)
    admin = free_port()
    claims = lambda **more: {"iss": f"{issuer.url}/as", "aud": RESOURCE, "sub": "ana", "scope": "mcp", "iat": int(time.time()), "exp": int(time.time()) + 3600} | more

    def jwt(head: dict | None = None, what: str = "JWT", **more: object) -> str:
        """What is like nothing else in it is a canary; heads are all alike."""
        token = issuer.key.jwt(claims(jti=issuer.mints(what), **more), **(head or {}))
        issuer.adds(what, token.rsplit(".")[-1])
        return token

    issuer.signs = jwt
    port = free_port()
    secrets = [(stage.plain("introspection secret"), stage.plain("sign-in secret")), (stage.odd("introspection secret"), stage.odd("sign-in secret"))]
    listen = f"""auth = "oauth"
trusted_proxy = "127.0.0.1"
public_url = "http://localhost:{port}"
tokens = {{ nightly = "{stage.odd('listen.tokens')}" }}
oauth = {{ client_id = "gateway", client_secret = "%s", issuer = "{issuer.url}/as", resource = "{RESOURCE}", scopes = ["mcp"], introspection = {{ client_id = "braid", client_secret = "%s" }} }}"""
    access = '\n[access.ana]\nprincipals = ["oauth:an*", "token:*"]\n'
    inner = stage.program("inner", more='sharing = "session"') + f'\n[servers.each]\nurl = "{issuer.url}/web/mcp"\noauth = {{ per_principal = true }}\n'
    # Reached with what is made of the caller's token; of one the issuer makes none, and one repeats what it is shown.
    exchange = f'oauth = {{ grant = "token_exchange", client_id = "gateway", client_secret = "{stage.odd("servers.*.oauth")}" }}'
    inner += "".join(f'\n[servers.{name}]\nurl = "{issuer.url}/{name}/mcp"\n{exchange}\n' for name in EXCHANGED)
    good = jwt()
    opaque = {
        issuer.mints("opaque token"): {"active": True, **claims()},
        issuer.mints("opaque token"): {"active": True, **claims(sub="anton")},
        issuer.mints("opaque token"): {"active": True, **claims(exp=1)},
        issuer.mints("opaque token"): {"active": True, **claims(aud="https://x.invalid")},
        issuer.mints("opaque token"): {"active": "who knows", **claims()},
        issuer.mints("opaque token"): None,
        issuer.mints("opaque token"): {"active": False},
    }
    issuer.opaque |= opaque
    # What has not the form of one is asked about.
    head, body, signature = jwt(what="broken JWT").split(".")
    wrong = [
        jwt(exp=1), jwt(aud="https://x.invalid"), jwt(iss="https://x.invalid"), jwt(nbf=int(time.time()) + 3000), jwt(scope="other"), jwt(sub=""), jwt({"kid": "unknown"}), jwt({"alg": "none"}),
        jwt({"alg": "HS256"}), jwt({"crit": "x"}), jwt({"typ": "JWT"}, nonce="x", at_hash="x"), jwt(aud=7), good[:-9] + "AAAAAAAAA", f"{head}.{body}.", f"{head}.{body[:-3]}.{signature}",
        f"{head}.{body}.{signature}.{signature}", f"{head}.{body}", *list(opaque)[2:],
    ]
    # Each of the two forms of the secret in a run of its own; all but that in the first.
    for number, (introspection, sign_in) in enumerate(secrets):
        config = stage.config(f"provider-{number}.toml", inner + access, listen=listen % (sign_in, introspection), admin=f'http = "127.0.0.1:{admin}"\naudit = "provider.audit"')
        config.write_text(config.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"'))
        env = stage.environment(XDG_STATE_HOME=str(stage.made("state/provider")))
        with Serve(stage, f"provider-{number}", "serve", "-c", str(config), env=env) as run:
            tap = tapped(stage, config, f"provider-tap-{number}", "--json", "--payload")
            if number == 0:
                by_page(stage, run, issuer, good)
                by_page(stage, run, issuer, stage.odd("listen.tokens"), f"token={urllib.parse.quote(stage.odd('listen.tokens'), safe='')}")
            if login(stage, config, "each", "--no-browser", "--as", "oauth:ana", env=env, state="provider, state"):
                raise SystemExit("provider: ana has no login")
            for token in (good, *list(opaque)[:2]):
                client, modern = Client(stage, run, "provider, 2025-11-25"), Modern(stage, run, "provider, 2026-07-28")
                if not client.begin(token):
                    raise SystemExit("provider: a good token is refused")
                for one in (client, modern):
                    one.ask("tools/list", "tools/list", token=token)
                    for name in ("inner__echo", "inner__crash", "each__ask", "none", *(f"{name}__ask" for name in EXCHANGED)):
                        one.ask(f"a call of {name}", "tools/call", {"name": name, "arguments": {"text": "x"}}, token=token)
                client.send("a stream", b"", method="GET", headers={"Accept": "text/event-stream"}, seconds=0.3, token=token)
            asked = Client(stage, run, "provider, wrong tokens")
            ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            for at, token in enumerate(wrong):
                # Of many sources: who fails too often is not looked at any more.
                source = {"X-Forwarded-For": f"198.51.100.{at}"}
                status, _, _ = asked.send("a wrong token", ping, token=token, headers=source)
                if status not in (401, 403, 503):
                    raise SystemExit(f"provider: {status} for the wrong token at {at}")
                status, _, _ = asked.send("a token in a query", ping, path=f"/mcp?access_token={urllib.parse.quote(token)}", headers=source | {"Authorization": None})
                if status != 401:
                    raise SystemExit(f"provider: {status} for a token in a query")
            asked.send("a good token in a query", ping, path=f"/mcp?access_token={good}", headers={"Authorization": None})
            asked.send("a good token twice", ping, token=f"{good}, Bearer {good}")
            asked.send("a good token in another way", ping, headers={"Authorization": f"Basic {good}"})
            for path in ("/metrics", "/status"):
                stage.keep(f"admin {path}", http_get(admin, path))
            for words in (["status"], ["status", "--json"], ["logs", "inner"], ["logs", "each"]):
                stage.say(f"{words[0]} of a run", *words, "-c", str(config), env=env)
            stage.say("config show of a provider", "config", "show", "-c", str(config), env=env)
            stage.say("check of a provider", "check", "-c", str(config), env=env)
            processes(stage, run, "provider")
        tap.wait(10)
        stage.keep("tap --payload", (stage.folder / f"provider-tap-{number}.out").read_bytes())
        stage.keep("the log, a provider", run.said.read_bytes())
    stage.keep("the audit", (stage.folder / "provider.audit").read_bytes())
    file = stage.folder / "state" / "provider" / "braid" / "logins.json"
    stage.keep("the file of logins", file.read_bytes(), "provider, access token", "provider, refresh token", "provider, client secret")
    given = {
        "a server": ("provider, access token",), "authorize": ("provider, state",),
        "token": ("provider, code", "provider, verifier", "provider, client secret", "provider, refresh token", "sign-in secret", "servers.*.oauth", "provider, JWT", "provider, opaque token"),
        "exchange": ("provider, JWT", "provider, opaque token"),
        "introspect": ("provider, opaque token", "provider, broken JWT", "introspection secret"),
    }
    for what, sent in issuer.asked.items():
        stage.keep(f"what the provider is asked, {what}", sent, *given.get(what, ()))
    if not {*given, "jwks", "metadata"} <= issuer.asked.keys():
        raise SystemExit("provider: not all was asked")
    issuer.shutdown()
