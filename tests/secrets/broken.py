"""Configurations that cannot be used: an error is drawn with the line that it is on, and beside it there is a secret."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from stage import Stage

# Signs of the form; without one of them the file means something else, or nothing.
SIGNS = re.compile(r'["\[\]{}=,\n]')


def whole(stage: Stage) -> list[str]:
    """The same configuration in several hands."""
    odd, plain = stage.odd, stage.plain
    tables = f"""
[servers.near]
command = "true"
args = ["--token", "{odd('args, written')}", "--api-key={plain('args, written')}"]
[servers.near.env]
TOKEN = "{odd('env, written')}"
OTHER = "${{UNSET:-{odd('env, default')}}}"
[servers.near.tool.echo.defaults]
key = "{odd('tool defaults')}"
[servers.far]
url = "https://mcp.example.com/mcp?key={odd('url, query')}"
[servers.far.headers]
Authorization = "Bearer {odd('headers, written')}"
X-Api-Key = '{plain('headers, written')}'
"""
    inline = f"""
[servers]
near = {{ command = "true", args = ["--token", "{odd('args, written')}"], env = {{ TOKEN = "{odd('env, written')}", A = "{plain('env, written')}" }}, tool.echo.defaults = {{ key = "{plain('tool defaults')}" }} }}
far = {{ url = "https://mcp.example.com/mcp?key={plain('url, query')}", headers = {{ Authorization = "Bearer {plain('headers, written')}" }} }}
"""
    dotted = f"""
servers.near.command = "true"
servers.near.args = [
  "--token",
  "{odd('args, written')}", # mine
]
servers.near.env.TOKEN = "{odd('env, written')}"
servers.near.env."OTHER" = '''{plain('env, written')}'''
servers.far.headers_command = ["true", "--token", "{odd('headers_command, args')}"]
servers.far.url = "https://mcp.example.com/mcp?key={plain('url, query')}"
servers.far.headers.Authorization = "Bearer {odd('headers, written')}"
"""
    return [tables, inline, dotted]


def mistakes(stage: Stage) -> list[str]:
    """Files that can be parsed, each with something wrong beside a secret."""
    odd, plain = stage.odd, stage.plain
    env, args, query, header = odd("env, written"), odd("args, written"), odd("url, query"), odd("headers, written")
    near = lambda text: f'[servers.near]\ncommand = "true"\n{text}\n'
    far = lambda text, url="https://x.invalid/mcp": f'[servers.far]\nurl = "{url}"\n{text}\n'
    return [
        near(f'env = {{ A = "{env}", B = 5, "C D" = "{env}", "E=F" = "{env}" }}'),
        near(f'env = {{ A = ["{env}"], B = {{ C = "{env}" }} }}'),
        near(f'env = "TOKEN={env}"'),
        near(f'env = ["TOKEN={env}"]'),
        near(f'envs = {{ TOKEN = "{env}" }}'),
        near(f'environment = {{ TOKEN = "{env}" }}'),
        near(f'token = "{env}"'),
        near(f'api_key = "{env}"'),
        near(f'args = ["--token", "{args}", 5]'),
        near(f'args = "--token {args}"'),
        near(f'args = ["--token", "{args}", "${{UNSET}}"]'),
        near(f'args = ["--token", "{args}"]\nbogus = 1'),
        near(f'env = {{ TOKEN = "${{UNSET}}{env}", A = "${{UNSET:-{odd("env, default")}" }}'),
        near(f'env = {{ TOKEN = "{env}" }}\nheaders = {{ A = "{header}" }}'),
        near(f'[servers.near.tool.echo]\ndefaults = "{odd("tool defaults")}"'),
        near(f'[servers.near.tool.echo]\ndefault = {{ key = "{odd("tool defaults")}" }}'),
        near(f'tool.echo = {{ defaults = {{ key = "{odd("tool defaults")}" }}, hidden = 5, bogus = 1 }}'),
        far(f'headers = {{ A = "{header}", "B C" = "{header}", Host = "{header}", a = "{header}" }}'),
        far(f'headers = {{ A = "{header}\\n", B = 5 }}'),
        far(f'headers = ["Authorization: Bearer {header}"]'),
        far(f'headers = "Authorization: Bearer {header}"'),
        far(f'header = {{ A = "{header}" }}'),
        far(f'bearer_token = "{header}"'),
        far(f'oauth = {{ client_secret = "{odd("servers.*.oauth")}" }}'),
        far(f'headers_command = "print --token {odd("headers_command, args")}"'),
        far(f'headers_command = ["", "--token", "{odd("headers_command, args")}"]'),
        far("", f"https://ana:{odd('url, user')}@x.invalid/mcp?key={query}"),
        far("", f"https://{plain('url, user')}@x.invalid/mcp"),
        far("", f"https://x.invalid/mcp#{query}"),
        far("", f"https://x .invalid/mcp?key={query}"),
        far("", f"ftp://x.invalid/mcp?key={query}"),
        far(f'env = {{ TOKEN = "{env}" }}', f"https://x.invalid/mcp?key={query}"),
        far("bogus = 1", f"https://x.invalid/mcp?key={query}"),
        f'[servers.both]\ncommand = "true"\nargs = ["--token", "{args}"]\nurl = "https://x.invalid/mcp?key={query}"\n',
        f'[servers]\nnear = {{ comand = "true", env = {{ T = "{env}" }}, args = ["--token", "{args}"] }}\n',
        near("") + f'[listen]\ntokens = ["{odd("listen.tokens")}"]\n',
        near("") + f'[listen]\ntokens = {{ ana = "{odd("listen.tokens")}", bob = {{ token = "{odd("listen.tokens")}" }}, eve = 5 }}\n',
        near("") + f'[listen]\ntokens = {{ ana = "{odd("listen.tokens")}{"x" * 32}", bob = {{ token = "{odd("listen.tokens")}{"x" * 32}" }} }}\n',
        near("") + f'[listen]\ntoken = "{odd("listen.tokens")}"\n',
        near("") + f'[listen]\noauth = {{ client_secret = "{odd("listen.tokens")}" }}\n',
        f'mcpServers = {{ near = {{ command = "true", env = {{ T = "{env}" }}, args = ["--token", "{args}"] }} }}\n',
        f'{{"mcpServers": {{"near": {{"command": "true", "args": ["--token", "{args}"], "env": {{"T": "{env}", "U": [1]}}, "bogus": {{"token": "{env}"}}}}, "far": {{"url": "ws://ana:{odd("url, user")}@x/?k={query}", "headers": {{"A B": "{header}"}}}}}}}}',
    ]


def spoilt(text: str) -> list[str]:
    """Without one sign, or with one more in its place, each once."""
    found = []
    for sign in SIGNS.finditer(text):
        at = sign.start()
        found.append(text[:at] + text[at + 1 :])
        found.append(text[:at] + ('"' if sign[0] != '"' else "'") + text[at:])
    return found


def broken(stage: Stage) -> None:
    files = [(text, "with a mistake", form) for text in mistakes(stage) for form in ((), ("--json",))]
    texts = whole(stage)
    files += [(one, "without one of its signs", ()) for text in texts for one in spoilt(text)]
    # As if somebody had stopped typing.
    files += [(text[:at], "that ends too soon", ()) for text in texts for at in [found.start() for found in re.finditer(r"\s", text)]]

    def look(at_file: tuple[int, tuple[str, str, tuple[str, ...]]]) -> None:
        at, (text, what, form) = at_file
        file = stage.file(f"broken/{at}.{'json' if text.startswith('{') else 'toml'}", text)
        stage.say(f"check of a file {what}", "check", "--offline", "-c", str(file), *form)
        if at < 100:
            stage.say(f"config show of a file {what}", "config", "show", "-c", str(file), *form)
            stage.say(f"braid add to a file {what}", "add", "new", "--dry-run", "-c", str(file), "--", "true")

    with ThreadPoolExecutor(4) as many:
        list(many.map(look, enumerate(files)))
