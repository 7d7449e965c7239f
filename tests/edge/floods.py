"""What `braid serve` bears: clients that do not read, do not write, come in thousands, servers that stop, and being told to leave.

    python3 tests/edge/floods.py             all, in the short form: about a minute
    python3 tests/edge/floods.py --long      all, as large as is promised: some minutes
    python3 tests/edge/floods.py [--long] deaf slow idle sessions files memory unread stopped killed leaving

Each starts a Braid of its own, and in each somebody who behaves is served meanwhile, in time. Every wait has an end; only processes that were started
here are signalled, by their ids.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from rawhttp import Closed, Mcp, Pipe, Socket, request
from serving import DEMOS, Braid, Failed, expect, lives, soon

HERE = Path(__file__).resolve().parent
NOISY = f"""
[servers.noisy]
command = "{sys.executable}"
args = ["{HERE / "noisy.py"}"]
"""

# Somebody who behaves waits no longer than this for a call while others misbehave. A call takes a millisecond or two; the rest is for a slow machine.
PATIENCE_SECONDS = 5.0


class Guest:
    """Somebody who behaves (see guest.py) is served in time, from the beginning to the end."""

    def __init__(self, braid: Braid):
        self.took: list[float] = []
        program = [sys.executable, str(HERE / "guest.py")]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f"{braid.port} {braid.token}\n")
        self.process.stdin.flush()
        self.begun = self.process.stdout.readline()

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            rest = self.process.communicate(timeout=60)[0]
            said = json.loads(rest if self.begun == "begun\n" else self.begun)
        finally:
            self.process.kill()
            self.process.wait()
        if kind is None:
            self.took = said["took"]
            expect(not said["why"], f"somebody who behaves was not served: {said['why']}")
            expect(self.took, "somebody who behaves was served")
            expect(max(self.took) < PATIENCE_SECONDS, f"somebody who behaves waited {max(self.took):.1f} s")

    def said(self) -> str:
        took = sorted(self.took)
        return f"{len(took)} calls of a guest, half within {ms(took[len(took) // 2])}, the longest {ms(took[-1])}"


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def noisy(braid: Braid, **how: object) -> Mcp:
    client = Mcp(braid.port, braid.token, **how).begin()
    client.ask("logging/setLevel", {"level": "info"})
    return client


def call(tool: str, arguments: dict, id: object = 1) -> dict:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def narrow(port: int) -> Socket:
    """A connection whose own end takes little, so that what is not read stays with Braid."""
    connection = Socket.__new__(Socket)
    connection.socket = socket.socket()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.socket.settimeout(10)
    connection.socket.connect(("127.0.0.1", port))
    connection.seconds, connection.left, connection.chunked = 10.0, b"", False
    return connection


def deaf(long: bool) -> str:
    """Clients that ask for much and read nothing of it: on POST, on GET, on /sse."""
    count, size = (4096 if long else 256), 16 * 1024
    with Braid(DEMOS + NOISY) as braid, Guest(braid) as guest:
        before = braid.memory_mib()
        kept = []
        flood = {"count": count, "bytes": size}
        for number in range(6):
            client = noisy(braid)
            if number % 2:
                # Its GET stream is open, and nothing of it is read either.
                listening = narrow(braid.port)
                listening.send(request("GET", "/mcp", client.headers("text/event-stream")))
                kept.append(listening)
            asking = narrow(braid.port)
            asking.send(client.bytes_of(call("noisy__flood", flood)))
            kept.append(asking)
        for _ in range(3):
            pipe = Pipe(braid.port, braid.token, narrow(braid.port)).begin()
            kept.append(pipe.stream)
            level = {"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "info"}}
            for message in (level, *(call("noisy__flood", flood, id) for id in range(2, 6))):
                status = pipe.post(message)
                expect(status in (202, 503), f"a post is taken or refused, not {status}")
        # The server of all this noise gets through it, and serves somebody else.
        other = noisy(braid, seconds=120.0)
        answer = other.call("noisy__echo", {"a": 1})
        expect("result" in answer, f"the noisy server answers others: {answer}")
        grown = braid.memory_mib("VmHWM") - before
        for connection in kept:
            connection.reset()
        expect(grown < 192, f"what nobody reads is not kept: {grown:.0f} MiB more")
        expect("result" in other.call("noisy__echo", {"a": 2}), "the noisy server answers when they are gone")
        sent = count * size * 18 // 2**20
    return f"{len(kept)} that do not read, {sent} MiB for them, {grown:.0f} MiB kept; {guest.said()}"


def slow(long: bool) -> str:
    """Heads and bodies byte by byte, and connections that say nothing."""
    count, head, body = (256, 10, 30) if long else (100, 1, 2)
    config = DEMOS + f'[listen]\nlimits.head_within = "{head}s"\nlimits.body_within = "{body}s"\n'
    with Braid(config) as braid, Guest(braid) as guest:
        client = Mcp(braid.port, braid.token).begin()
        heads = [Socket(braid.port) for _ in range(count)]
        silent = [Socket(braid.port) for _ in range(count)]
        bodies = [Socket(braid.port) for _ in range(count)]
        start = time.monotonic()
        whole = client.bytes_of(b"x" * 100_000)
        for connection in heads:
            connection.send(b"GET /healthz HTTP/1.1\r\n")
        for connection in bodies:
            connection.send(whole[:-100_000])
        open_ones = {id(connection): connection for connection in heads + silent + bodies}
        ended: dict[int, float] = {}
        with selectors.DefaultSelector() as selector:
            for connection in open_ones.values():
                connection.socket.setblocking(False)
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            while len(ended) < len(open_ones) and time.monotonic() - start < body + 10:
                for key, _ in selector.select(0.1):
                    try:
                        came = key.fileobj.recv(65536)
                    except ConnectionError:
                        came = b""
                    key.data.left += came
                    if not came:
                        ended[id(key.data)] = time.monotonic() - start
                        selector.unregister(key.fileobj)
                for connection in heads + bodies:
                    if id(connection) not in ended:
                        try:
                            connection.socket.send(b"x" if connection in bodies else b"X: 1\r\n"[:1])
                        except OSError:
                            pass
        for what, ones, most in (("heads", heads, head), ("silent ones", silent, head), ("bodies", bodies, body)):
            longest = max((ended.get(id(connection), 9999) for connection in ones))
            expect(longest < most + 4, f"slow {what} end after {most} s, not {longest:.1f} s")
        expect(all(b" 408 " in connection.left.split(b"\r\n")[0] for connection in bodies), "a slow body is answered 408")
        for connection in open_ones.values():
            connection.close()
    return f"3 × {count} slow ones ended in time, the last after {max(ended.values()):.1f} s; {guest.said()}"


def idle(long: bool) -> str:
    """Two thousand connections that ask nothing; and more than there are places for, as many as there are by default."""
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(count, (hard - 200) // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Braid(DEMOS + "[listen]\nlimits.connections = 4096\n", files_max=hard) as braid, Guest(braid) as guest:
        before, cpu = braid.memory_mib(), braid.cpu_seconds()
        kept = [Socket(braid.port) for _ in range(count)]
        for connection in kept[::2]:
            connection.send(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{braid.port}\r\n\r\n".encode())
            expect(connection.answer().status == 200, "an idle connection was served once")
        took = Mcp(braid.port, braid.token).begin().add()
        expect(took < PATIENCE_SECONDS, f"a new client is served: {ms(took)}")
        time.sleep(5 if long else 1)
        each = (braid.memory_mib() - before) * 1024 / count
        expect(each < 100, f"an idle connection costs little: {each:.0f} KiB")
        for connection in kept:
            connection.close()
        soon(lambda: braid.files() < 100, "their descriptors are closed")
        cpu = braid.cpu_seconds() - cpu
    said = f"{count} idle, {each:.0f} KiB each, {cpu:.1f} s of CPU; {guest.said()}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for places, limit in ((1024, ""), (32, "[listen]\nlimits.connections = 32\n")):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        with Braid(DEMOS + limit, files_max=hard) as braid:
            early = Mcp(braid.port, braid.token).begin()
            crowd = [Socket(braid.port) for _ in range(min(2 * places, (hard - 200) // 2))]
            took = max(Mcp(braid.port, braid.token).begin().add(), early.add())
            expect(took < PATIENCE_SECONDS, f"who asks finds a place among those that are silent: {ms(took)}")
            for connection in crowd:
                connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        said += f"\n    {len(crowd)} silent ones where {places} have places: served after {ms(took)}"
    return said


def serves(braid: Braid) -> bool:
    try:
        Mcp(braid.port, braid.token, seconds=2.0).begin().add()
        return True
    except (Closed, OSError):
        return False


def sessions(long: bool) -> str:
    """A flood of `initialize`: so many sessions and no more, and who was there stays."""
    count, threads = (100_000 if long else 5_000), 4
    with Braid() as braid, Guest(braid) as guest:
        victim = Mcp(braid.port, braid.token).begin()
        statuses: dict[int, int] = {}
        troubles: list[str] = []
        lock, start = threading.Lock(), time.monotonic()

        def begin_many() -> None:
            try:
                with Socket(braid.port) as connection:
                    for _ in range(count // threads):
                        answer = Mcp(braid.port, braid.token).initialize(connection)
                        with lock:
                            statuses[answer.status] = statuses.get(answer.status, 0) + 1
                        if answer.status == 503:
                            expect(answer.header("retry-after"), "a refusal says when to come back")
                            expect(answer.json()["error"]["code"] == 1003, "a refusal says why")
            except Exception as why:  # noqa: BLE001: told at the end
                troubles.append(repr(why))

        crew = [threading.Thread(target=begin_many, daemon=True) for _ in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join(1200)
        seconds = time.monotonic() - start
        expect(not troubles, f"every one is answered: {troubles[:1]}")
        expect(set(statuses) <= {200, 503}, f"each is served or refused: {statuses}")
        # Who never begins to work makes room after 30 s.
        most = 1024 * (1 + int(seconds / 30) + 1 if seconds > 30 else 1)
        expect(0 < statuses.get(200, 0) <= most, f"at most {most} sessions: {statuses}")
        expect(statuses.get(503, 0) > 0, f"the others are refused: {statuses}")
        took = victim.add()
        memory = braid.memory_mib("VmHWM")
        expect(memory < 256, f"memory is bounded: {memory:.0f} MiB")
    return f"{count} in {seconds:.1f} s: {statuses}, {memory:.0f} MiB; who was there is served in {ms(took)}; {guest.said()}"


def files(long: bool) -> str:
    """64 descriptors and 200 connections."""
    seconds = 300 if long else 6
    with Braid(files_max=64) as braid:
        client = Mcp(braid.port, braid.token).begin()
        connection = Socket(braid.port)
        client.add(connection)
        waiting = [Socket(braid.port) for _ in range(200)]
        time.sleep(0.5)
        cpu, start = braid.cpu_seconds(), time.monotonic()
        while time.monotonic() - start < seconds:
            # New ones come all the time.
            waiting.pop(0).close()
            waiting.append(Socket(braid.port))
            # Whoever was there is served.
            client.add(connection)
            time.sleep(0.1)
        share = (braid.cpu_seconds() - cpu) / (time.monotonic() - start)
        expect(share < 0.10, f"nobody spins for want of descriptors: {share:.0%} of a core")
        for other in waiting:
            other.close()
        took = soon(lambda: serves(braid), "full service again", 2)
        expect(braid.process.poll() is None, "it lives")
        connection.close()
    return f"{share:.1%} of a core while 200 wait, full service {ms(took)} after they went"


def memory(long: bool) -> str:
    """Bodies of 4 MiB for a server that does not read them, until no more is taken."""
    count, budget, limit = (1000, 512, 768) if long else (80, 128, 256)
    size = 4 * 1024 * 1024
    config = DEMOS + NOISY + f'[timeouts]\ncall = "60s"\n[limits]\nbuffered = "{budget}MiB"\n'
    with Braid(config) as braid, Guest(braid) as guest:
        server = braid.child("noisy.py")
        clients = [Mcp(braid.port, braid.token, seconds=100.0).begin() for _ in range(count // 25)]
        body = json.dumps(call("noisy__echo", {"a": "@"})).encode().replace(b"@", b"x" * size)
        os.kill(server, signal.SIGSTOP)
        outcomes: dict[str, int] = {}
        lock = threading.Lock()

        def post(number: int) -> None:
            client = clients[number % len(clients)]
            try:
                answer = client.post(body.replace(b'"id": 1', b'"id": %d' % number, 1))
                text = answer.body.decode()
                code = next((code for code in ("1001", "1002", "1003", "1004") if f'"code":{code}' in text), "")
                ending = "answered" if '"result"' in text else code or text[:100]
                outcome = f"{answer.status} {ending}"
            except (Closed, OSError) as why:
                outcome = f"nothing: {str(why)[:60]}"
            with lock:
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

        crew = [threading.Thread(target=post, args=(number,), daemon=True) for number in range(count)]
        try:
            for number, thread in enumerate(crew):
                thread.start()
                if number % 50 == 49:
                    time.sleep(0.2)
            patience = time.monotonic() + 60
            while time.monotonic() < patience and sum(outcomes.values()) < count // 5:
                time.sleep(0.1)
            most = braid.memory_mib("VmHWM")
        finally:
            os.kill(server, signal.SIGCONT)
        for thread in crew:
            thread.join(120)
        expect(braid.process.poll() is None, "it lives")
        most = max(most, braid.memory_mib("VmHWM"))
        expect(sum(outcomes.values()) == count, f"each has an outcome: {outcomes}")
        expect(all(outcome in ("200 answered", "200 1003", "503 1003") for outcome in outcomes), f"each is answered, or refused in words: {outcomes}")
        expect(any("1003" in outcome for outcome in outcomes), f"not everything is taken: {outcomes}")
        expect(most < limit, f"memory stays under {limit} MiB: {most:.0f}")
    return f"{count} × 4 MiB, {budget} MiB for them: {outcomes}, at most {most:.0f} MiB; {guest.said()}"


def unread(long: bool) -> str:
    """Answers of 4 MiB that nobody reads: they count against the same memory, until their clients are gone."""
    count, budget, limit = (1000, 512, 768) if long else (80, 128, 256)
    body = json.dumps(call("noisy__echo", {"a": "@"})).encode().replace(b"@", b"x" * (4 * 1024 * 1024))
    with Braid(DEMOS + NOISY + f'[limits]\nbuffered = "{budget}MiB"\n') as braid, Guest(braid) as guest:
        clients = [Mcp(braid.port, braid.token).begin() for _ in range(count // 20)]
        kept = []
        for number in range(count):
            asking = narrow(braid.port)
            asking.seconds = 60
            asking.socket.settimeout(60)
            asking.send(clients[number % len(clients)].bytes_of(body.replace(b'"id": 1', b'"id": %d' % number, 1)))
            # It has its answer, or a refusal, and of it a first piece.
            asking.until(b"\r\n\r\n")
            kept.append(asking)
        most = braid.memory_mib("VmHWM")
        expect(most < limit, f"what is not read stays under {limit} MiB: {most:.0f}")
        for asking in kept:
            asking.reset()
        took = soon(lambda: "result" in json.loads(echoed(clients[0], body)), "there is room again", 20)
    return f"{count} × 4 MiB unread, {budget} MiB for them: at most {most:.0f} MiB, room again after {took:.1f} s; {guest.said()}"


def echoed(client: Mcp, body: bytes) -> str:
    """The message that answers this call, on a stream or alone."""
    text = client.post(body).body.decode()
    lines = [line.removeprefix("data: ") for line in text.split("\n")]
    return next(line for line in reversed(lines) if line.startswith("{"))


def stopped(long: bool) -> str:
    """A server that is stopped (SIGSTOP): the others serve, it is waited for in time, and it goes on where it stopped."""
    with Braid(DEMOS + NOISY + '[servers.noisy.timeouts]\ncall = "1s"\n') as braid, Guest(braid) as guest:
        server = braid.child("noisy.py")
        client = Mcp(braid.port, braid.token).begin()
        client.call("noisy__echo")
        for _ in range(5 if long else 1):
            os.kill(server, signal.SIGSTOP)
            try:
                start = time.monotonic()
                answer = client.call("noisy__echo")
                took = time.monotonic() - start
                new = Mcp(braid.port, braid.token).begin()
                listed = new.ask("tools/list")["result"]["tools"]
            finally:
                os.kill(server, signal.SIGCONT)
            error = answer.get("error", {})
            expect(error.get("code") == 1001, f"a call there ends with 1001: {answer}")
            expect("servers.noisy.timeouts.call" in error["message"], f"and says which setting it was: {error}")
            expect(error["data"]["outcome"] == "unknown", f"and that it may have run: {error}")
            expect(took < 3, f"in time, not after {took:.1f} s")
            expect(any(tool["name"] == "noisy__echo" for tool in listed), "its tools are listed all the while")
            soon(lambda: "result" in client.call("noisy__echo"), "it serves again")
            expect(braid.child("noisy.py") == server, "without being started again")
    return f"`{error['message']}` after {took:.1f} s; {guest.said()}"


def killed(long: bool) -> str:
    """A server that is killed in the middle of calls: they fail in words, and it is started again."""
    with Braid(DEMOS + NOISY) as braid, Guest(braid) as guest:
        # Each restart is waited for twice as long as the one before.
        for _ in range(3 if long else 1):
            server = braid.child("noisy.py")
            clients = [Mcp(braid.port, braid.token).begin() for _ in range(20)]
            answers: list[dict] = []
            crew = [threading.Thread(target=lambda one=one: answers.append(one.call("noisy__sleep", {"seconds": 60})), daemon=True) for one in clients]
            for thread in crew:
                thread.start()
            time.sleep(0.5)
            os.kill(server, signal.SIGKILL)
            for thread in crew:
                thread.join(10)
            expect(len(answers) == 20, f"each call has an outcome, not {len(answers)}")
            for answer in answers:
                error = answer.get("error", {})
                expect(error.get("code") == 1002 and error["data"]["outcome"] == "unknown", f"each says that it may have run: {answer}")
            took = soon(lambda: "result" in clients[0].call("noisy__echo"), "it is started again", 30)
            expect(braid.child("noisy.py") != server, "as another process")
    return f"20 calls failed with `{error['message']}`, served again after {took:.1f} s; {guest.said()}"


def leaving(long: bool) -> str:
    """SIGTERM: while nobody is there, with calls that end in time, and with calls that do not."""
    with Braid() as braid:
        Mcp(braid.port, braid.token).begin().add()
        families = [set(braid.descendants())]
        code, idle_took = braid.stop()
        expect(code == 0, f"an idle Braid exits with 0, not {code}")
        expect(idle_took < 2, f"an idle Braid exits at once, not after {idle_took:.1f} s")
    said = []
    for seconds, grace in ((1.5, "10s"), (60, "1s")):
        with Braid(DEMOS + NOISY + f'[listen]\ngrace = "{grace}"\nlimits.head_within = "60s"\n') as braid:
            clients = [Mcp(braid.port, braid.token).begin() for _ in range(50)]
            streams = [client.open() for client in clients]
            pipes = [Pipe(braid.port, braid.token).begin() for _ in range(50)]
            silent = [Socket(braid.port) for _ in range(20)]
            outcomes: dict[str, int] = {}
            lock = threading.Lock()

            def ask(client: Mcp | Pipe) -> None:
                try:
                    if isinstance(client, Mcp):
                        answer = client.call("noisy__sleep", {"seconds": seconds})
                    else:
                        client.post(call("noisy__sleep", {"seconds": seconds}))
                        said = [json.loads(event.data) for event in client.events]
                        answer = next(one for one in said if one.get("id") == 1)
                    outcome = "answered" if "result" in answer else f"{answer['error']['code']} {answer['error']['data']['outcome']}"
                except (Closed, OSError, StopIteration) as why:
                    outcome = f"nothing: {why!r}"[:90]
                with lock:
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1

            crew = [threading.Thread(target=ask, args=(client,), daemon=True) for client in clients[:25] + pipes[:25]]
            for thread in crew:
                thread.start()
            time.sleep(0.7)
            families.append(set(braid.descendants()))
            code, took = braid.stop()
            for thread in crew:
                thread.join(10)
            ended = 0
            rest = [stream.events() for stream in streams] + [pipe.events for pipe in pipes[25:]]
            for events in rest:
                try:
                    list(events)
                    ended += 1
                except Closed:
                    pass
            for connection in streams + silent + [pipe.stream for pipe in pipes]:
                connection.close()
            expect(code == 0, f"it exits with 0, not {code}")
            expect(ended == len(rest), f"each stream has an end, not {ended} of {len(rest)}")
            if seconds < 10:
                expect(outcomes == {"answered": 50}, f"each call that was accepted is answered: {outcomes}")
                expect(took < 8, f"it leaves as soon as they are: {took:.1f} s")
            else:
                expect(outcomes == {"1006 unknown": 50}, f"each call hears that we leave: {outcomes}")
                expect(took < 8, f"it leaves after {grace}: {took:.1f} s")
            said.append(f"{outcomes} in {took:.1f} s (grace {grace})")
    pids = set().union(*families)
    soon(lambda: not any(lives(pid) for pid in pids), "its servers and its guardian are gone", 5)
    return f"idle exit in {ms(idle_took)}; with 100 streams and 50 calls: {'; '.join(said)}; no process left of {len(pids)}"


FLOODS = {one.__name__: one for one in (deaf, slow, idle, sessions, files, memory, unread, stopped, killed, leaving)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("floods", nargs="*", choices=[[], *FLOODS])
    chosen = parser.parse_args()
    failed = 0
    for name in chosen.floods or FLOODS:
        start = time.monotonic()
        try:
            print(f"{name}: {FLOODS[name](chosen.long)} [{time.monotonic() - start:.1f} s]", flush=True)
        except (Failed, Closed, OSError, subprocess.TimeoutExpired) as why:
            failed += 1
            print(f"FAILED {name} after {time.monotonic() - start:.1f} s: {why}", flush=True)
    print(f"edge floods: {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
