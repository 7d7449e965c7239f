#!/usr/bin/env python3
"""`braid top` on a terminal: what it draws, what keys do, and that the terminal is given back however it ends.

  top.py            needs the program (`cargo build`) and a system with pseudo-terminals; a few seconds
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from serving import DEMOS, PROGRAM, Failed, expect, soon

OPENS = b"\x1b[?1049h\x1b[?25l"
GIVES_BACK = b"\x1b[?25h\x1b[?1049l"


class Terminal:
    """`braid top` on a terminal of so many lines and columns."""

    def __init__(self, environment: dict[str, str], lines: int = 24, columns: int = 80):
        self.out = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM, [str(PROGRAM), "top"], environment)
        self.resize(lines, columns)
        self.before = termios.tcgetattr(self.fd)

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    self.out += os.read(self.fd, 65536)
                except OSError:
                    return

    def picture(self) -> list[str]:
        """The last that was drawn whole, without colours."""
        drawn = self.out.split(b"\x1b[H")[-1].decode()
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn).split("\r\n")

    def shows(self, holds, sentence: str) -> None:
        def look() -> bool:
            self.read(0.05)
            return holds(self.picture())

        soon(look, f"{sentence}; it shows {self.picture()}", 20)

    def ends(self) -> int:
        def ended() -> bool:
            self.read(0.05)
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

        soon(ended, "top ends", 20)
        self.read(0.1)
        _, status = os.waitpid(self.pid, 0)
        expect(self.out.startswith(OPENS), "the screen is another while it is drawn on")
        after = self.out.split(b"\x1b[H")[-1]
        expect(GIVES_BACK in after, f"the screen is given back: {self.out[-60:]!r}")
        expect(termios.tcgetattr(self.fd) == self.before, "keys are read as before")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        runtime = Path(folder, "rt")
        runtime.mkdir(mode=0o700)
        environment = {"HOME": folder, "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"], "TERM": "xterm"}
        Path(folder, "braid.toml").write_text(DEMOS + '[servers.gone]\ncommand = "false"\n')
        command = [str(PROGRAM), "serve", "--listen", "127.0.0.1:0"]
        run = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        try:
            soon(lambda: any(runtime.glob("braid/*.sock")), "the run is there", 20)
            keys(environment)
            sizes(environment)
            for sent, code in ((signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, 130)):
                terminal = Terminal(environment | {"NO_COLOR": "1"})
                terminal.shows(lambda lines: len(lines) == 24, "a picture")
                expect(b"\x1b[32m" not in terminal.out, "no colours where none are wanted")
                os.kill(terminal.pid, sent)
                expect(terminal.ends() == code, f"its exit code after {sent.name} is {code}")
            terminal = Terminal(environment)
            terminal.shows(lambda lines: len(lines) == 24, "a picture")
            run.terminate()
            expect(terminal.ends() == 4, "it ends with the run")
        finally:
            run.kill()
            run.wait()
    print("top: fine")
    return 0


def keys(environment: dict[str, str]) -> None:
    terminal = Terminal(environment)
    names = lambda lines: [line.split(" ")[0] for line in lines[4:7]]
    terminal.shows(lambda lines: names(lines) == ["workshop", "notes", "gone"], "the order of the file")
    os.write(terminal.fd, b"n")
    terminal.shows(lambda lines: names(lines) == ["gone", "notes", "workshop"], "the order of names")
    terminal.shows(lambda lines: "it exited with status 1" in lines[-2], "what is wrong with the first")
    os.write(terminal.fd, b"\x1b[B")
    terminal.shows(lambda lines: lines[-2] == "", "nothing is wrong with the second")
    os.write(terminal.fd, b"q")
    expect(terminal.ends() == 0, "q ends it well")


def sizes(environment: dict[str, str]) -> None:
    terminal = Terminal(environment)
    for lines, columns in ((24, 80), (8, 40), (50, 200), (24, 80)):
        terminal.resize(lines, columns)

        def fits(picture: list[str]) -> bool:
            return len(picture) == lines and all(len(line) <= columns for line in picture)

        terminal.shows(fits, f"{lines} lines of {columns} columns")
    os.write(terminal.fd, b"\x03")
    expect(terminal.ends() == 0, "Ctrl-C ends it well")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failed:
        sys.exit(f"top: {failed}")
