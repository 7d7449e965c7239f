"""An authorization server, and remote servers that want its tokens, on one port of this machine, in this process.

What it gives out are canaries, each of the slot that says what it is; what it is asked is kept, so that the run knows which of
them arrived where. In each of its errors it repeats what it was sent. The first part of a server's path says how it behaves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import string
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from canaries import CHANCE, LETTERS
from far import Hears

# What it gives out, by the name of the slot behind the name of the issuer.
GIVEN = {
    "code": "the code that a browser brings back",
    "access token": "an access token of a login",
    "refresh token": "a refresh token of a login",
    "client secret": "the secret that a registration gives",
    "device code": "the device code of a login elsewhere",
    "unread": "what comes with tokens and a registration and is used for nothing",
}
# A token is good for so many calls, then it must be renewed.
CALLS_MAX = 2


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class RsaKey:
    """A private key, read from a file in PKCS#8; it signs as RS256 wants it."""

    def __init__(self, file: Path):
        text = "".join(line for line in file.read_text().splitlines() if "-----" not in line)
        _, _, inner = self.parts(self.parts(base64.b64decode(text))[0])
        numbers = self.parts(self.parts(inner)[0])
        self.n, self.e, self.d = (int.from_bytes(number, "big") for number in numbers[1:4])

    @staticmethod
    def parts(der: bytes) -> list[bytes]:
        found = []
        while der:
            length, at = der[1], 2
            if length & 0x80:
                at += length & 0x7F
                length = int.from_bytes(der[2:at], "big")
            found.append(der[at : at + length])
            der = der[at + length :]
        return found

    def jwks(self) -> dict:
        number = lambda value: base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        return {"keys": [{"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "n": number(self.n), "e": number(self.e)}]}

    def jwt(self, claims: dict, **head: str) -> str:
        head = {"alg": "RS256", "kid": "k", "typ": "at+jwt"} | head
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        size = (self.n.bit_length() + 7) // 8
        info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(text.encode()).digest()
        padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
        return f"{text}.{base64url(pow(int.from_bytes(padded, 'big'), self.d, self.n).to_bytes(size, 'big'))}"


class Handler(Hears):
    server: Issuer

    def heard(self, body: bytes) -> None:
        issuer = self.server
        sent = f"{self.command} {self.path}\n{self.headers}".encode() + body
        self.flat = re.sub(r"\s+", " ", sent.decode("utf-8", "replace"))
        url = urlsplit(self.path)
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace") if body else url.query).items()}
        parts = url.path.strip("/").split("/")
        if parts[0] == ".well-known":
            issuer.hears("metadata", sent)
            return self.metadata(parts)
        if parts[0] == "as":
            issuer.hears(parts[1], sent)
            return getattr(self, parts[1])(form, body)
        issuer.hears("a server", sent)
        return self.mcp(parts[0], json.loads(body) if body else {})

    # -- who is who

    def metadata(self, parts: list[str]) -> None:
        at = self.server.url
        if parts[1] == "oauth-protected-resource" and len(parts) == 4:
            how = parts[2]
            return self.reply(200, {"resource": f"{at}/{how}/mcp", "authorization_servers": [f"{at}/as"], "scopes_supported": ["mcp", f"as-{how}"]})
        if parts[1] == "oauth-authorization-server":
            places = {f"{name}_endpoint": f"{at}/as/{word}" for name, word in {"authorization": "authorize", "token": "token", "registration": "register", "revocation": "revoke", "device_authorization": "device", "introspection": "introspect"}.items()}
            methods = {"code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["client_secret_basic"], "authorization_response_iss_parameter_supported": True}
            return self.reply(200, {"issuer": f"{at}/as", "jwks_uri": f"{at}/as/jwks", "response_types_supported": ["code"]} | places | methods)
        return self.reply(404, {})

    def jwks(self, _: dict, __: bytes) -> None:
        self.reply(200, self.server.key.jwks())

    # -- leave

    def register(self, _: dict, body: bytes) -> None:
        gives = {"client_id": f"client-{time.monotonic_ns()}", "client_secret": self.server.mints("client secret"), "token_endpoint_auth_method": "client_secret_basic"}
        self.reply(201, json.loads(body) | gives | {"registration_access_token": self.server.mints("unread"), "registration_client_uri": f"{self.server.url}/as/client?token={self.server.mints('unread')}"})

    def authorize(self, form: dict, _: bytes) -> None:
        """The person agrees, unless there is nobody who would."""
        self.server.adds("state", form["state"])
        back = {"code": self.server.mints("code"), "state": form["state"], "iss": f"{self.server.url}/as"}
        self.server.codes[back["code"]] = (self.of(form), form["code_challenge"])
        if "as-denied" in form.get("scope", ""):
            back = {"error": "access_denied", "error_description": back["code"], "state": form["state"], "iss": back["iss"]}
        self.send_response(302)
        self.send_header("Location", f"{form['redirect_uri']}?{urlencode(back)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def device(self, form: dict, _: bytes) -> None:
        code = self.server.mints("device code")
        self.server.codes[code] = (self.of(form), None)
        self.reply(200, {"device_code": code, "user_code": "WDJB-MJHT", "verification_uri": f"{self.server.url}/as/page", "expires_in": 60, "interval": 1})

    def token(self, form: dict, _: bytes) -> None:
        server, kind = self.server, form.get("grant_type", "")
        if verifier := form.get("code_verifier"):
            server.adds("verifier", verifier)
        if kind == "client_credentials":
            how = self.of(form)
        elif kind.endswith(":token-exchange"):
            server.hears("exchange", form["subject_token"].encode())
            how = self.of(form)
        elif kind == "refresh_token":
            how = server.refreshes.pop(form["refresh_token"], "dead")
        else:
            how, challenge = server.codes.pop(form.get("code") or form.get("device_code"), ("dead", None))
            if challenge and challenge != base64url(hashlib.sha256(form["code_verifier"].encode()).digest()):
                return self.reply(400, {"error": "invalid_grant", "error_description": self.flat})
        if how == "nocode" or (how == "dead" and kind == "refresh_token"):
            return self.reply(400, {"error": "invalid_grant", "error_description": self.flat, "error_uri": f"https://x.invalid/?{self.flat}"})
        if how == "away" and kind == "refresh_token":
            return self.reply(500, {"error": self.flat})
        gives = {"access_token": server.mints("access token"), "refresh_token": server.mints("refresh token"), "id_token": server.mints("unread"), "token_type": "Bearer", "expires_in": 1 if how == "short" else 3600}
        if how == "mcp":
            # It says who is there.
            return self.reply(200, gives | {"access_token": server.signs()})
        if kind.endswith(":token-exchange"):
            gives["issued_token_type"] = form["requested_token_type"]
        server.tokens[gives["access_token"]], server.refreshes[gives["refresh_token"]] = [how, 0], how
        if how == "oddtoken":
            gives["access_token"] += " \u00e4"
        if how == "garbled":
            gives["token_type"] = [gives["access_token"]]
        return self.reply(200, gives)

    def revoke(self, form: dict, _: bytes) -> None:
        fails = self.server.tokens.get(form["token"], ["", 0])[0] in ("dead", "away") or self.server.refreshes.get(form["token"]) in ("dead", "away")
        self.reply(503 if fails else 200, {"error": self.flat} if fails else {})

    def introspect(self, form: dict, _: bytes) -> None:
        said = self.server.opaque.get(form["token"], {"active": False, "error": self.flat})
        self.reply(500, {"error": self.flat}) if said is None else self.reply(200, said)

    @staticmethod
    def of(form: dict) -> str:
        return urlsplit(form["resource"]).path.split("/")[1]

    # -- the servers

    def mcp(self, how: str, message: dict) -> None:
        if self.command == "DELETE":
            return self.reply(204, {})
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        known, method, number = self.server.tokens.get(shown), message.get("method", ""), message.get("id")
        refuses = lambda status, more: self.reply(status, {"error": self.flat}, **{"WWW-Authenticate": f'Bearer resource_metadata="{self.server.url}/.well-known/oauth-protected-resource/{how}/mcp"{more}'})
        if known is None or known[1] >= CALLS_MAX:
            return refuses(401, f', error="invalid_token", error_description="{shown}", scope="mcp as-{how}"')
        if number is None:
            return self.reply(202 if self.command == "POST" else 405, {})
        if method == "tools/call":
            known[1] += 1
            if how == "rights":
                return refuses(403, f', error="insufficient_scope", scope="mcp more", error_description="{shown}"')
            if how == "echo":
                return self.reply(500, f"bad token {shown} {self.flat}")
            if how == "echojson":
                return self.reply(500, {"jsonrpc": "2.0", "id": "another", "error": {"code": -32000, "message": shown, "data": self.flat}})
            if how == "own":
                # An error of its own, of a request that was well.
                return self.reply(200, {"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": shown, "data": self.flat}})
        results = {
            "initialize": {"protocolVersion": (message.get("params") or {}).get("protocolVersion"), "capabilities": {"tools": {}}, "serverInfo": {"name": how, "version": "1"}},
            "tools/list": {"tools": [{"name": "ask", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": "said"}]},
            "ping": {},
        }
        said = {"result": results[method]} if method in results else {"error": {"code": -32601, "message": "no such method"}}
        return self.reply(200, {"jsonrpc": "2.0", "id": number} | said)

    def reply(self, status: int, value: dict | str, **headers: str) -> None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        body = b"" if status in (202, 204, 405) else text.encode()
        self.send_response(status)
        for name, text in {"Content-Type": "text/plain" if isinstance(value, str) else "application/json", **headers}.items():
            self.send_header(name, text)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Issuer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, name: str, minted: dict[str, list[str]], key: RsaKey):
        """`name`: of its slots; `minted`: where what it gives out is put down by slot."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.minted, self.key = name, minted, key
        self.chance = random.Random(CHANCE.getrandbits(64))
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: dict[str, bytes] = {}
        # Of which server each is, and how often a token was used.
        self.codes: dict[str, tuple[str, str | None]] = {}
        self.tokens: dict[str, list] = {}
        self.refreshes: dict[str, str] = {}
        # What is said of a token that is no JWT; `None`: an error.
        self.opaque: dict[str, dict | None] = {}
        # A token for whoever signs in.
        self.signs = lambda: ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def mints(self, what: str) -> str:
        with self.lock:
            word = lambda: "".join(self.chance.choice(LETTERS) for _ in range(14))
            # In turn one that must be escaped nearly everywhere, and letters alone.
            odd = len(self.minted.get(f"{self.name}, {what}", [])) % 2 == 0
            value = f"{word()}/{word()}+{word()}=" if odd else "".join(self.chance.choice(string.ascii_letters) for _ in range(40))
        self.adds(what, value)
        return value

    def adds(self, what: str, value: str) -> None:
        with self.lock:
            self.minted.setdefault(f"{self.name}, {what}", []).append(value)

    def hears(self, what: str, sent: bytes) -> None:
        with self.lock:
            self.asked[what] = self.asked.get(what, b"") + sent + b"\n"

    def handle_error(self, *_: object) -> None:
        pass
