"""Stands before Braid for a client that knows one server's own names: puts the server's prefix before them on the way to
Braid and takes it away on the way back, and changes nothing else.

    unprefixed.py PORT BRAIDS_PORT KEY

Names in requests and in `Mcp-Name`, names in lists, and URIs wherever they stand; what bears another server's prefix passes
as it is. Events are passed on one by one as they come, status and other headers as they are. A connection carries one
request. When one side hangs up, so does the other, and a body that is cut off is cut off.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from names import NAME_PLACES, REQUEST_NAMES, REQUEST_URIS, URI_PLACES, Exposure, block_uris, blocks
from spans import Node, NotJson, parse, quote, splice

HEAD_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 64 * 1024
BODY_BYTES_MAX = 64 * 1024 * 1024

SENTINEL = re.compile(r"=\?base64\?(.*)\?=")
# The methods whose name or URI stands in `Mcp-Name` as well.
NAMED = ("tools/call", "prompts/get", "resources/read")
LISTENED = ("subscriptions/listen", "notifications/subscriptions/acknowledged")
RESULTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")
LISTENED_URIS = ("notifications", "resourceSubscriptions", "*")


class Names:
    """One server's names and URIs, with the prefix and without."""

    def __init__(self, key: str):
        self.exposure = Exposure(key)

    def add(self, kind: str, text: str) -> str:
        return self.exposure.uri(text) if kind == "uri" else self.exposure.name(kind, text)

    def take(self, kind: str, text: str) -> str:
        prefix = self.exposure.uri_prefix + "+" if kind == "uri" else self.exposure.name_prefix
        return text.removeprefix(prefix)

    # --- toward Braid ---

    def request(self, text: str) -> tuple[str, str]:
        """A client's message as Braid should see it, and the method of its request, if it is one."""
        tree = parse(text)
        edits: list[tuple[int, int, str]] = []
        for message in tree.each("*"):
            method = string(message.get("method"))
            params = message.get("params")
            if params is None:
                continue
            found = [("tools", node) for place in REQUEST_NAMES.get(method, []) for node in params.each(*place)]
            found += [("uri", node) for place in REQUEST_URIS.get(method, []) for node in params.each(*place)]
            found += [("uri", node) for node in params.each(*LISTENED_URIS) if method in LISTENED]
            edits += [edit(node, self.add(kind, node.string())) for kind, node in found if node.kind == "string"]
        return splice(text, edits), string(tree.get("method"))

    def header(self, method: str, value: str) -> str:
        """`Mcp-Name` of a request, with the space around it as it is, so that it says as much or as little as it did."""
        kind = "uri" if method == "resources/read" else "tools"
        name = value.strip(" \t")
        if wrapped := SENTINEL.fullmatch(name):
            try:
                inner = base64.b64decode(wrapped[1], validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return value
            return f"=?base64?{base64.b64encode(self.add(kind, inner).encode()).decode()}?="
        return value.replace(name, self.add(kind, name), 1) if name else value

    # --- from Braid ---

    def answer(self, text: str) -> str:
        """A message from Braid as the client should see it. Where names stand is told by its shape."""
        tree = parse(text)
        found: list[tuple[str, Node]] = []
        for message in tree.each("*"):
            method = string(message.get("method"))
            result, params, error = message.get("result"), message.get("params"), message.get("error")
            if result is not None:
                found += [(place[0], node) for of in RESULTS for place in NAME_PLACES.get(of, []) for node in result.each(*place)]
                found += [("uri", node) for of in RESULTS for place in URI_PLACES.get(of, []) for node in result.each(*place)]
                found += [("uri", node) for of in ("tools/call", "prompts/get") for block in blocks(of, result) for node in block_uris(block)]
            if params is not None:
                found += [("uri", node) for place in URI_PLACES.get(method, []) for node in params.each(*place)]
                found += [("uri", node) for block in blocks(method, params) for node in block_uris(block)]
                found += [("uri", node) for node in params.each(*LISTENED_URIS) if method in LISTENED]
            if error is not None:
                found += [("uri", node) for place in URI_PLACES["error"] for node in error.each(*place)]
        return splice(text, [edit(node, self.take(kind, node.string())) for kind, node in found if node.kind == "string"])


def string(node: Node | None) -> str:
    return (node.string() or "") if node else ""


def edit(node: Node, new: str) -> tuple[int, int, str]:
    """The string replaced; its text stays as it was where nothing is new."""
    return node.start, node.end, node.text if new == node.string() else quote(new)


class Cut(Exception):
    """The body of a response ended before its end."""


class Between:
    def __init__(self, port: int, braids_port: int, names: Names):
        self.port, self.braids_port, self.names = port, braids_port, names

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.pass_one(reader, writer)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, Cut):
            writer.transport.abort()

    async def pass_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        body, method = (await whole(head, reader)), ""
        try:
            text, method = self.names.request(body.decode())
            body = text.encode()
        except (NotJson, UnicodeDecodeError):
            pass
        first, *fields = head.split("\r\n")[:-2]
        fields = [self.field(method, line) for line in fields if not re.match(r"(?i)(connection|keep-alive|transfer-encoding|content-length|expect):", line)]
        if body or first.startswith("POST"):
            fields.append(f"Content-Length: {len(body)}")
        from_braid, to_braid = await asyncio.open_connection("127.0.0.1", self.braids_port, limit=HEAD_BYTES_MAX)
        try:
            to_braid.write("\r\n".join([first, "Connection: close", *fields, "", ""]).encode("latin-1") + body)
            await to_braid.drain()
            answered = asyncio.create_task(self.answer(from_braid, writer))
            # The client says no more on this connection: what can come of it is its end.
            left = asyncio.create_task(reader.read(1))
            await asyncio.wait({answered, left}, return_when=asyncio.FIRST_COMPLETED)
            left.cancel()
            if not answered.done():
                answered.cancel()
            await asyncio.wait({answered, left})
            if not answered.cancelled():
                answered.result()
        finally:
            to_braid.close()

    def field(self, method: str, line: str) -> str:
        """A header line toward Braid: the name in it, and who it was sent to."""
        name, _, value = line.partition(":")
        if name.lower() == "mcp-name" and method in NAMED:
            # Bytes that are none of a name were none before.
            return f"{name}:{self.names.header(method, value)}"
        if name.lower() in ("host", "origin"):
            return re.sub(rf":{self.port}$", f":{self.braids_port}", line)
        return line

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.split("\r\n")[:-2]
        kept = [line for line in fields if not re.match(r"(?i)(connection|keep-alive|transfer-encoding|content-length):", line)]
        kept.append("Connection: close")
        if re.search(r"(?im)^content-type: *text/event-stream", head):
            writer.write("\r\n".join([first, *kept, "Transfer-Encoding: chunked", "", ""]).encode("latin-1"))
            await writer.drain()
            async for lines in events(pieces(head, reader)):
                await self.chunk(writer, self.event(lines))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return
        body = b"".join([piece async for piece in pieces(head, reader)])
        try:
            body = self.names.answer(body.decode()).encode()
        except (NotJson, UnicodeDecodeError):
            pass
        writer.write("\r\n".join([first, *kept, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body)
        await writer.drain()

    async def chunk(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n" % len(data) + data + b"\r\n")
        await writer.drain()

    def event(self, lines: list[bytes]) -> bytes:
        """An event, or a comment: its data in one line, the other lines as they are."""
        data = [re.sub(rb"^data: ?", b"", line) for line in lines if line.startswith(b"data:")]
        rest = [line for line in lines if not line.startswith(b"data:")]
        if data:
            joined = b"\n".join(data)
            try:
                joined = self.names.answer(joined.decode()).encode()
            except (NotJson, UnicodeDecodeError):
                pass
            # A body of JSON may have line ends in it; they are white space.
            rest += [b"data: " + line for line in joined.split(b"\n")]
        return b"\n".join([*rest, b"", b""])


async def whole(head: str, reader: asyncio.StreamReader) -> bytes:
    """The body of a request."""
    if not re.search(r"(?im)^(content-length|transfer-encoding):", head):
        return b""
    return b"".join([piece async for piece in pieces(head, reader)])


async def pieces(head: str, reader: asyncio.StreamReader):
    """A body, as it comes."""
    if re.search(r"(?im)^transfer-encoding: *chunked", head):
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return
    if length := re.search(r"(?im)^content-length: *(\d+)", head):
        left = int(length[1])
        while left:
            data = await reader.read(min(left, CHUNK_BYTES))
            if not data:
                raise Cut
            left -= len(data)
            yield data
        return
    if re.match(r"HTTP/\S+ (1\d\d|204|304)", head):
        return
    while data := await reader.read(CHUNK_BYTES):
        yield data


async def events(body):
    """The lines of each event, without the empty one that ends it."""
    held, lines = b"", []
    async for piece in body:
        held += piece
        if len(held) > BODY_BYTES_MAX:
            raise Cut
        # A CR at the end may be half of a line end.
        while found := re.search(rb"\r\n|\n|\r(?!\Z)", held):
            line, held = held[: found.start()], held[found.end() :]
            if line:
                lines.append(line)
            elif lines:
                yield lines
                lines = []


async def main() -> None:
    port, braids_port, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    between = Between(port, braids_port, Names(key))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await asyncio.start_server(between.serve, "127.0.0.1", port, limit=HEAD_BYTES_MAX, backlog=128):
        await stop.wait()
        # Connections that are open do not hold it up.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
