"""Every key that `braid.toml` knows, and whether a secret may stand there. A key that stands in neither list fails the run: somebody must decide.

The keys are read from the one table of `src/config/schema.rs`.
"""

from __future__ import annotations

import re
from pathlib import Path

# Keys whose values are secret, or may be, with the slots that stand there.
SECRET = {
    "servers.*.env": ["env, written", "env, ${NAME}", "env, ${env:NAME}", "env, ${file:}", "env, default", "words on stderr", "words on stdout", "result"],
    "servers.*.env_file": ["env_file"],
    "servers.*.inherit_env": ["inherit_env"],
    "servers.*.args": ["args, written", "args, ${NAME}", "args, ${file:}"],
    "servers.*.headers": ["headers, written", "headers, ${NAME}", "headers, ${file:}"],
    "servers.*.headers_command": ["headers_command, printed", "headers_command, args"],
    "servers.*.url": ["url, user", "url, query", "url, query ${NAME}", "url, path ${NAME}"],
    "servers.*.ca_file": ["ca_file, content"],
    "listen.oauth.ca_file": ["ca_file, content"],
    "servers.*.tool.*.defaults": ["tool defaults", "tool defaults, hidden"],
    "listen.token_file": ["listen token"],
    "listen.tls.key": ["tls key", "tls key, broken"],
    "listen.tls.cert": [],  # What is in it is public; the wrong file may be named, as with `ca_file`.
    "listen.tokens.*.token": ["listen.tokens"],
    "servers.*.oauth.client_secret": ["servers.*.oauth"],
    "servers.*.forward_headers": [],  # Names of headers; refused.
    "listen.oauth.introspection.client_secret": ["introspection secret"],
    "listen.oauth.client_secret": ["sign-in secret"],
}

# The rest: why no secret stands there.
PLAIN = {
    "they are tables": ["identity", "names", "timeouts", "defaults", "servers", "groups", "listen", "limits", "log", "admin", "*.restart_backoff", "*.tools", "*.prompts", "*.resources", "servers.*", "servers.*.oauth", "servers.*.cache", "*.timeouts", "*.tool", "servers.*.tool.*", "groups.*", "access", "access.*", "listen.tls", "listen.tokens", "listen.tokens.*", "listen.oauth", "listen.oauth.introspection", "listen.limits"],
    "words, numbers and switches of a fixed set": ["version", "timeouts.*", "limits.*", "listen.limits.*", "names.*", "identity.instructions_budget", "*.restart", "*.restart_backoff.*", "*.concurrency", "*.queue", "*.stderr", "*.sharing", "*.protocol", "*.required", "*.allow_anonymous", "*.read_only", "*.path_from_shell", "*.enabled", "*.uris", "*.timeouts.*", "*.timeout", "*.timeout_max", "*.transport", "*.start", "*.idle_stop", "servers.*.oauth.grant", "servers.*.oauth.callback_port", "servers.*.oauth.per_principal", "listen.auth", "listen.tls.client_auth", "listen.oauth.algorithms", "listen.legacy_sse", "listen.stream_after", "listen.keep_alive", "listen.session_idle", "listen.grace", "log.level", "log.format", "log.payloads", "admin.metrics_tool_label", "admin.audit_required", "admin.watch_config", "admin.catalog_cache", "*.rate", "*.max_result", "*.cache.*"],
    "clients are told it": ["listen.oauth.issuer", "listen.oauth.resource", "listen.oauth.scopes", "identity.name", "identity.title", "identity.instructions", "*.title", "*.prefix", "*.tool.*.name", "*.description", "listen.path"],
    "names and patterns of servers, tools, URIs and arguments": ["*.allow", "*.deny", "groups.*.servers", "access.*.servers", "access.*.groups", "access.*.scopes", "access.*.principals", "listen.tokens.*.scopes", "servers.*.oauth.scopes", "servers.*.oauth.client_id", "servers.*.oauth.audience", "listen.oauth.audiences", "listen.oauth.principal", "listen.oauth.introspection.client_id", "listen.oauth.client_id", "*.hidden", "log.redact", "defaults.inherit_env"],
    "paths and programs, which errors must name": ["*.command", "*.cwd", "listen.tls.client_ca", "listen.oauth.jwks_file", "log.file", "admin.socket", "admin.audit"],
    "addresses and names of machines": ["listen.http", "listen.allowed_hosts", "listen.allowed_origins", "listen.trusted_proxy", "listen.public_url", "listen.oauth.jwks_uri", "servers.*.oauth.issuer", "servers.*.oauth.client_metadata_url", "listen.oauth.introspection.url", "admin.http"],
}


def keys(schema: Path) -> list[str]:
    text = schema.read_text()
    table = text[text.index("pub const SETTINGS") :]
    return re.findall(r'\b(?:here|told|section|named|not_yet)\(\s*"([^"]+)"', table[: table.index("\n];")])


def fits(key: str, pattern: str) -> bool:
    """Whether a key is meant: `*.` at the beginning stands for any section, `.*` at the end for any key of one, and a `*` between for itself."""
    parts, wanted = key.split("."), pattern.split(".")
    if wanted[0] == "*":
        wanted = wanted[1:]
        parts = parts[-len(wanted) :]
    return alike(parts, wanted)


def alike(parts: list[str], wanted: list[str]) -> bool:
    last = wanted[-1] == "*"
    return len(parts) == len(wanted) and parts[:-1] == wanted[:-1] and (last or parts[-1] == wanted[-1])


def undecided(schema: Path, slots: set[str]) -> list[str]:
    """What is wrong with the lists above."""
    found = keys(schema)
    wrong = [f"no key but {len(found)} is read from {schema.name}"] if len(found) < 150 else []
    wrong += [f"`{key}` is in neither list of settings.py" for key in found if key not in SECRET and not any(fits(key, one) for all in PLAIN.values() for one in all)]
    wrong += [f"`{key}` of settings.py is no key any more" for key in SECRET if key not in found]
    named = {slot for all in SECRET.values() for slot in all}
    return wrong + [f"`{slot}` is no slot of the run" for slot in sorted(named - slots)]
