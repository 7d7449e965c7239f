"""Programs that listen on this machine for as long as a test needs them: servers over HTTP, `braid serve`.

A `Served` is started on a port that was free a moment ago, waited for until it accepts connections, and ended by its own
process group. It looks at nothing that it did not start.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS_MAX = 30.0
END_SECONDS_MAX = 5.0
LOOK_AGAIN_SECONDS = 0.05
LAST_WORDS_BYTES = 800


class NotServed(Exception):
    """The program ended, or did not listen in time; says what it wrote last."""


GIVEN: set[int] = set()
GIVING = threading.Lock()


def free_port() -> int:
    """One that nobody listens on, and that was not given to anyone before: whoever got it may not listen yet."""
    with GIVING:
        while True:
            with socket.socket() as one:
                one.bind(("127.0.0.1", 0))
                port = one.getsockname()[1]
            if port not in GIVEN:
                GIVEN.add(port)
                return port


@dataclass
class Served:
    """A program that listens on `port`. Use as a context manager; `log` keeps what it writes."""

    command: list[str]
    port: int
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    # The exit code, once it has ended; none where it had to be killed.
    code: int | None = None
    process: subprocess.Popen | None = None

    def __enter__(self) -> "Served":
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, cwd=self.cwd, start_new_session=True
            )
        try:
            self._await_port()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _await_port(self) -> None:
        end = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise NotServed(f"{' '.join(self.command[:4])} does not listen: {self.last_words()}") from None
            time.sleep(LOOK_AGAIN_SECONDS)

    def end(self) -> None:
        """TERM to its group, then KILL to whoever is left of the group."""
        if self.process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                pass
            try:
                code = self.process.wait(END_SECONDS_MAX)
                self.code = code if sign is signal.SIGTERM else self.code
            except subprocess.TimeoutExpired:
                continue

    def last_words(self) -> str:
        code = self.process.poll() if self.process else None
        state = "it runs" if code is None else f"it ended with {code}"
        return f"{state}; {self.log.read_bytes()[-LAST_WORDS_BYTES:].decode('utf-8', 'replace')!r}"
