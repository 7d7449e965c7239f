#!/usr/bin/env python3
"""Servers that go away and come back: the network drops everything, the server stands still, or dies and starts again.

In a network of its own (`unshare --net`, needs root), where only loopback is, official servers run over Streamable HTTP and
HTTP+SSE, and one `braid stdio` has several links to each. Each round takes them away for a while and counts how long after
they are back every link answers a call again, with calls in use all the while or none at all. Nothing is restarted by hand.

    away.py [--rounds N] [--idle N]
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
from peers import node_package  # noqa: E402
from serving import Served, free_port  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("BRAID", ROOT / "target" / "debug" / "braid"))
TRANSPORTS = {"http": ("streamableHttp", "/mcp"), "sse": ("sse", "/sse")}
LINKS_EACH = 5

# What is promised: back within so many seconds when it is used, and when it is not.
IN_USE_SECONDS_MAX = 5.0
IDLE_SECONDS_MAX = 75.0
# How long they are away: shorter and longer than a connection is kept that nobody acknowledges.
AWAY_SECONDS = (1.0, 3.0, 7.0, 15.0)
CALL_SECONDS_MAX = 60.0
AGAIN_SECONDS = 0.1


class Client:
    """One client of `braid stdio`, which may have many calls open at once."""

    def __init__(self, config: Path, log: Path):
        command = [str(PROGRAM), "stdio", "-c", str(config)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "wb"))
        self.lock, self.waiting, self.next = threading.Lock(), {}, 0
        threading.Thread(target=self._read, daemon=True).start()
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "away", "version": "1"}}
        self.ask("initialize", hello)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _read(self) -> None:
        for line in self.process.stdout:
            message = json.loads(line)
            with self.lock:
                box = self.waiting.pop(message.get("id"), None) if "method" not in message else None
            if box:
                box.put(message)

    def _write(self, message: dict) -> None:
        with self.lock:
            self.process.stdin.write((json.dumps(message) + "\n").encode())
            self.process.stdin.flush()

    def ask(self, method: str, params: dict) -> dict:
        """The answer; an error of its own if there is none in time."""
        box: queue.Queue = queue.Queue()
        with self.lock:
            self.next += 1
            id = self.next
            self.waiting[id] = box
        self._write({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        try:
            return box.get(timeout=CALL_SECONDS_MAX)
        except queue.Empty:
            return {"error": {"message": f"no answer for {CALL_SECONDS_MAX} s"}}

    def works(self, server: str) -> str:
        """Nothing if a call there is answered; else why not."""
        nonce = f"{random.getrandbits(64):x}"
        answer = self.ask("tools/call", {"name": f"{server}__echo", "arguments": {"message": nonce}})
        if "result" in answer:
            return "" if nonce in json.dumps(answer["result"]) else f"a foreign answer: {answer}"
        return answer["error"]["message"]

    def leave(self) -> int:
        self.process.stdin.close()
        return self.process.wait(10)


def until_it_works(client: Client, server: str, deadline: float) -> tuple[float, str]:
    """When a call there was answered, and what the last failure before that said."""
    last = ""
    while True:
        why = client.works(server)
        if not why:
            return time.monotonic(), last
        last = why
        if time.monotonic() > deadline:
            return time.monotonic(), last
        time.sleep(AGAIN_SECONDS)


def loopback(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


class Far:
    """The servers, and the ways in which they go away."""

    def __init__(self, folder: Path):
        self.folder, self.served = folder, {}

    def start(self, transport: str) -> None:
        kind, path = TRANSPORTS[transport]
        port = self.served[transport].port if transport in self.served else free_port()
        env = {**os.environ, "PORT": str(port)}
        served = Served(node_package("server-everything", kind), port, self.folder / f"{transport}.log", env)
        self.served[transport] = served.__enter__()

    def url(self, transport: str) -> str:
        return f"http://127.0.0.1:{self.served[transport].port}{TRANSPORTS[transport][1]}"

    def signal(self, sign: signal.Signals) -> None:
        for served in self.served.values():
            os.killpg(served.process.pid, sign)

    def goes(self, how: str, seconds: float) -> float:
        """Goes away and comes back; when it was back."""
        match how:
            case "dropped":
                loopback("down")
                time.sleep(seconds)
                loopback("up")
            case "frozen":
                self.signal(signal.SIGSTOP)
                time.sleep(seconds)
                self.signal(signal.SIGCONT)
            case "killed":
                self.signal(signal.SIGKILL)
                time.sleep(seconds)
                for transport in TRANSPORTS:
                    self.served[transport].end()
                    self.start(transport)
        return time.monotonic()

    def end(self) -> None:
        for served in self.served.values():
            served.end()


def rounds_in_use(client: Client, far: Far, servers: list[str], rounds: int) -> list[str]:
    took: list[float] = []
    failed: list[str] = []
    for number in range(rounds):
        how = ("dropped", "frozen", "killed")[number % 3]
        seconds = AWAY_SECONDS[(number // 3) % len(AWAY_SECONDS)]
        back = threading.Event()
        said: dict[str, tuple[float, str]] = {}

        def use(server: str) -> None:
            # In use all the while: a call is open when they go, and others follow.
            while not back.is_set():
                client.works(server)
                time.sleep(AGAIN_SECONDS)
            said[server] = until_it_works(client, server, time.monotonic() + CALL_SECONDS_MAX)

        users = [threading.Thread(target=use, args=(server,)) for server in servers]
        for user in users:
            user.start()
        time.sleep(0.3)
        came = far.goes(how, seconds)
        back.set()
        for user in users:
            user.join()
        healed = [at - came for at, _ in said.values()]
        took += healed
        failed += [
            f"{how} for {seconds} s: {server} took {at - came:.1f} s; {last}"
            for server, (at, last) in said.items()
            if at - came > IN_USE_SECONDS_MAX
        ]
        print(f"  {how:8} {seconds:4.0f} s: back after {max(healed):5.2f} s at most", flush=True)
    if took:
        print(f"in use: {len(took)} heals, median {statistics.median(took):.2f} s, longest {max(took):.2f} s", flush=True)
    return failed


def rounds_idle(client: Client, far: Far, servers: list[str], rounds: int) -> list[str]:
    """Nobody calls; after the longest time that is promised the first call of all must be answered."""
    failed = []
    for number in range(rounds):
        how = ("dropped", "killed", "frozen")[number % 3]
        far.goes(how, 50.0)
        time.sleep(IDLE_SECONDS_MAX)
        start = time.monotonic()
        whys = {server: client.works(server) for server in servers}
        failed += [f"idle, {how}: {server}: {why}" for server, why in whys.items() if why]
        print(f"  idle, {how:8}: {sum(not why for why in whys.values())} of {len(whys)} answer at once ({time.monotonic() - start:.2f} s)", flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds with calls all the while; ten links each")
    parser.add_argument("--idle", type=int, default=0, help="rounds without any call, two minutes each")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.inside:
        if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
            print("away: needs root, unshare (util-linux) and ip (iproute2)", file=sys.stderr)
            return 2
        os.execvp("unshare", ["unshare", "--net", sys.executable, __file__, "--inside", *sys.argv[1:]])
    loopback("up")
    folder = Path(tempfile.mkdtemp(prefix="braid-away-"))
    far = Far(folder)
    try:
        for transport in TRANSPORTS:
            far.start(transport)
        servers = [f"{transport}{n}" for n in range(LINKS_EACH) for transport in TRANSPORTS]
        config = folder / "braid.toml"
        config.write_text("".join(f'[servers.{server}]\nurl = "{far.url(server[:-1])}"\n' for server in servers))
        client = Client(config, folder / "braid.log")
        for server in servers:
            until_it_works(client, server, time.monotonic() + 10)
        failed = rounds_in_use(client, far, servers, wanted.rounds)
        failed += rounds_idle(client, far, servers, wanted.idle)
        code = client.leave()
        if code != 0:
            failed.append(f"braid ended with {code}")
    finally:
        far.end()
    for why in failed:
        print(f"FAILED {why}")
    print(f"away: {len(failed)} failures")
    if failed:
        print(f"logs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
