"""A tap before a server over HTTP: passes requests and responses on as they are, and keeps every message in a file.

    tap_http.py FILE PORT COMMAND...

Messages to the server are kept with `>` before them, messages from it with `<`, as `tap.py` does. The server is started on a
port of its own: `{port}` in a word of the command stands for it, and so does the variable PORT. A connection carries one
request; what the server sends is passed on byte for byte as it comes, but for the word about the connection, and when one side hangs up, the other is told.
"""

import asyncio
import os
import re
import signal
import socket
import sys

READY_SECONDS_MAX = 30.0
HEAD_BYTES_MAX = 64 * 1024
CHUNK_BYTES = 64 * 1024


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Record:
    def __init__(self, path: str):
        self.file = open(path, "ab", buffering=0)

    def keep(self, sign: bytes, message: bytes) -> None:
        # Outside of strings an end of a line is white space, and inside there is none.
        if message.strip():
            self.file.write(sign + re.sub(rb"[\r\n]+", b" ", message.strip()) + b"\n")


class Said:
    """Finds the messages in a response that passes: bodies of JSON, and the data of events."""

    def __init__(self, record: Record):
        self.record, self.held, self.head = record, b"", None

    def feed(self, data: bytes) -> None:
        self.held += data
        if self.head is None:
            if b"\r\n\r\n" not in self.held:
                return
            self.head, _, self.held = self.held.partition(b"\r\n\r\n")
            self.head = self.head.lower()
            self.chunked = b"transfer-encoding: chunked" in self.head
            self.body, self.events = b"", b"text/event-stream" in self.head
        if self.chunked:
            self.held, plain = self.unchunked()
        else:
            self.held, plain = b"", self.held
        self.body += plain
        if self.events:
            *done, self.body = re.split(rb"(?:\r\n|\n|\r(?!\n)){2}", self.body)
            for event in done:
                self.keep_event(event)

    def unchunked(self) -> tuple[bytes, bytes]:
        rest, plain = self.held, b""
        while found := re.match(rb"([0-9a-fA-F]+)[^\r\n]*\r\n", rest):
            size = int(found[1], 16)
            if len(rest) < found.end() + size + 2:
                break
            plain += rest[found.end() : found.end() + size]
            rest = rest[found.end() + size + 2 :]
        return rest, plain

    def keep_event(self, event: bytes) -> None:
        lines = re.split(rb"\r\n|\n|\r", event)
        if b"event: endpoint" not in lines:
            self.record.keep(b"< ", b"\n".join(line[5:] for line in lines if line.startswith(b"data:")))

    def end(self) -> None:
        if self.head is not None and self.events:
            self.keep_event(self.body)
        elif self.head is not None and b"application/json" in self.head:
            self.record.keep(b"< ", self.body)


class Tap:
    def __init__(self, record: Record, port: int):
        self.record, self.port = record, port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.pass_one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def pass_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if length:
            body = await reader.readexactly(int(length[1]))
        elif re.search(rb"(?im)^transfer-encoding: *chunked", head):
            body = await self.chunks(reader)
        else:
            body = b""
        self.record.keep(b"> ", body)
        # One request for each connection, so that nothing has to be told apart in it.
        lines = [line for line in head.split(b"\r\n") if not re.match(rb"(?i)(connection|transfer-encoding|content-length|expect):", line)]
        size = [b"Content-Length: %d" % len(body)] if body or head.startswith(b"POST") else []
        plain_head = b"\r\n".join([lines[0], b"Connection: close", *size, *lines[1:-2], b"", b""])
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.port, limit=HEAD_BYTES_MAX)
        said = Said(self.record)
        try:
            to_server.write(plain_head + body)
            await to_server.drain()
            answered = asyncio.create_task(self.answer(from_server, writer, said))
            # The client says no more on this connection: what can come of it is its end.
            left = asyncio.create_task(reader.read(1))
            await asyncio.wait({answered, left}, return_when=asyncio.FIRST_COMPLETED)
            for task in (answered, left):
                task.cancel()
            await asyncio.gather(answered, left, return_exceptions=True)
        finally:
            said.end()
            to_server.close()

    async def chunks(self, reader: asyncio.StreamReader) -> bytes:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return body

    async def answer(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter, said: Said) -> None:
        # Some servers say keep-alive whatever they were asked, and clients would send the next request into the end.
        head = await from_server.readuntil(b"\r\n\r\n")
        said.feed(head)
        lines = [line for line in head.split(b"\r\n")[:-2] if not re.match(rb"(?i)(connection|keep-alive):", line)]
        writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
        while data := await from_server.read(CHUNK_BYTES):
            # Kept first: who looks for it after the client has seen it must find it.
            said.feed(data)
            writer.write(data)
            await writer.drain()


async def main() -> None:
    file, port, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    own = free_port()
    server = await asyncio.create_subprocess_exec(*(word.replace("{port}", str(own)) for word in words), env=os.environ | {"PORT": str(own)})
    ended = asyncio.create_task(server.wait())
    end = asyncio.get_running_loop().time() + READY_SECONDS_MAX
    while not ended.done():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", own)
            writer.close()
            break
        except OSError:
            if asyncio.get_running_loop().time() > end:
                sys.exit("the server does not listen")
        await asyncio.sleep(0.05)
    tap = Tap(Record(file), own)
    listener = await asyncio.start_server(tap.serve, "127.0.0.1", port, limit=HEAD_BYTES_MAX, backlog=128)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    if not ended.done():
        server.terminate()
        await asyncio.wait({ended}, timeout=2)
    os._exit(0 if stopped.done() else 1)


if __name__ == "__main__":
    asyncio.run(main())
