"""Files of other clients that hold secrets: what `import`, `check` and `config show` say of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from stage import Stage

# Where each keeps its file, its table, and how it refers to a variable; the others have the form of one of these.
CLIENTS = {
    "claude-desktop": (".config/Claude/claude_desktop_config.json", "mcpServers", "${%s}"),
    "claude-code": (".claude.json", "mcpServers", "${%s}"),
    "cursor": (".cursor/mcp.json", "mcpServers", "${env:%s}"),
    "vscode": (".config/Code/User/mcp.json", "servers", "${env:%s}"),
    "zed": (".config/zed/settings.json", "context_servers", "${%s}"),
    "windsurf": (".codeium/windsurf/mcp_config.json", "mcpServers", "${env:%s}"),
    "cline": (".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json", "mcpServers", "${env:%s}"),
    "roo": (".config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", "mcpServers", "${env:%s}"),
    "codex": (".codex/config.toml", "mcp_servers", ""),
    "gemini": (".gemini/settings.json", "mcpServers", "$%s"),
}
URLS = {"windsurf": "serverUrl", "gemini": "httpUrl"}


def file_of(stage: Stage, client: str) -> str:
    odd, plain = stage.odd, stage.plain
    _, table, reference = CLIENTS[client]
    url = f"http://127.0.0.1:9/mcp?api_key={odd('their query')}&b={plain('their query')}"
    env = {"API_TOKEN": odd("their env"), "LOG_LEVEL": plain("their env")}
    args = ["--token", odd("their args"), f"--api-key={plain('their args')}", "-y"]
    headers = {"Authorization": f"Bearer {odd('their headers')}", "X-Team": plain("their headers")}
    if client == "codex":
        pairs = lambda table: ", ".join(f'{key} = "{value}"' for key, value in table.items())
        return (
            f'[mcp_servers.run]\ncommand = "true"\nargs = {json.dumps(args)}\nenv = {{ {pairs(env)} }}\nenv_vars = ["THEIR_VARIABLE"]\n'
            f'[mcp_servers.far]\nurl = "{url}"\nbearer_token_env_var = "THEIR_VARIABLE"\nhttp_headers = {{ {pairs(headers)} }}\nenv_http_headers = {{ X-V = "THEIR_VARIABLE" }}\n'
        )
    env["REFERRED"] = reference % "THEIR_VARIABLE"
    headers["X-Referred"] = f"Bearer {reference % 'THEIR_VARIABLE'}"
    run: dict = {"command": "true", "args": args, "env": env}
    far: dict = {URLS.get(client, "url"): url, "headers": headers}
    if client == "vscode":
        args.append("${input:key}")
        env["ASKED"] = "${input:other}"
        inputs = [{"id": "key", "type": "promptString", "password": True, "description": "Key"}, {"id": "other", "type": "promptString", "password": True, "default": odd("their inputs")}]
        return json.dumps({"inputs": inputs, table: {"run": run, "far": far}}, indent=1)
    more = {"extension": {"settings": {"token": plain("their env")}}} if client == "zed" else {}
    return json.dumps({table: {"run": run, "far": far, "odd": {"command": "true", "oauth": {"secret": plain("their headers")}, "bogus": args}} | more})


def theirs(stage: Stage) -> None:
    for client, (path, _, _) in CLIENTS.items():
        text = file_of(stage, client)
        # Its own home each: what is found depends on nothing else.
        home = stage.made(f"homes/{client}")
        file = stage.file(f"homes/{client}/{path}", text)
        env = stage.environment(HOME=str(home), XDG_CONFIG_HOME=str(home / ".config"))
        for form in ((), ("--json",)):
            stage.say("import", "import", client, *form, env=env, cwd=home)
            stage.say("import of all", "import", *form, env=env, cwd=home)
            stage.say("check of a client's file", "check", "-c", str(file), *form, env=env, cwd=home)
            stage.say("config show of a client's file", "config", "show", "-c", str(file), *form, env=env, cwd=home)
        stage.say("install over it", "install", client, env=env, cwd=home)
        stage.say("install --write over it", "install", client, "--write", env=env, cwd=home)
        stage.say("uninstall", "uninstall", client, "--write", env=env, cwd=home)
        # One file of two: what is literal is written, and nothing of what a variable holds.
        stage.say("import --write", "import", client, "--write", "--yes", "--to", "braid.toml", env=env, cwd=home)
        written = home / "braid.toml"
        stage.keep("a braid.toml that import wrote", written.read_bytes(), "their env", "their args", "their headers", "their query", *(("their inputs",) if client == "vscode" else ()))
        # The same file, broken behind each of its signs.
        for at in [found.start() for found in re.finditer(r'[\[\]{}",:=]', text)][:: 9]:
            cut = file.with_name(f"cut{file.suffix}")
            cut.write_text(text[:at] + text[at + 1 :])
            stage.say(f"check of a broken client's file: {client}, without its sign at {at}", "check", "--offline", "-c", str(cut), env=env, cwd=home)
