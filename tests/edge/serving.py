"""`braid serve` as a process of its own, for as long as a test needs it.

A `Braid` is given the text of a configuration, listens on a port that the system chose, keeps its token in a folder of its own,
and is ended by its process id. Its memory, time, descriptors and children are read from /proc; nothing that was not started
here is looked at or ended.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("BRAID", ROOT / "target" / "debug" / "braid"))

START_SECONDS_MAX = 20.0
END_SECONDS_MAX = 20.0
LOOK_AGAIN_SECONDS = 0.02

# Both servers are in our own program: nothing else needs to be installed.
DEMOS = """
[servers.workshop]
command = "${braid}"
args = ["demo-server", "workshop"]
[servers.notes]
command = "${braid}"
args = ["demo-server", "notes"]
"""


class Failed(Exception):
    """What was expected did not hold; says so in a sentence."""


def expect(holds: object, sentence: str) -> None:
    if not holds:
        raise Failed(sentence)


def soon(holds, sentence: str, seconds: float = 10.0) -> float:
    """Waits until `holds()`; how long that took, in seconds."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > seconds:
            raise Failed(f"not within {seconds} s: {sentence}")
        time.sleep(LOOK_AGAIN_SECONDS)
    return time.monotonic() - start


class Braid:
    """`braid serve`. Use as a context manager."""

    def __init__(
        self,
        config: str = DEMOS,
        *,
        files_max: int | None = None,
        environment: dict[str, str] | None = None,
        before: list[str] | None = None,
    ):
        """`files_max`: descriptors that it may have. `before`: a command that starts it, such as `taskset`."""
        self.folder = Path(tempfile.mkdtemp(prefix="braid-edge-"))
        self.config = config
        self.files_max = files_max
        self.environment = environment or {}
        self.before = before or []
        self.process: subprocess.Popen | None = None
        self.port = 0
        self.token = ""

    def __enter__(self) -> "Braid":
        file = self.folder / "braid.toml"
        file.write_text(self.config)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        files = self.files_max
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [*self.before, str(PROGRAM), "serve", "-c", str(file), "--listen", "127.0.0.1:0", "--log-format", "text"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=kept | {"XDG_STATE_HOME": str(self.folder)} | self.environment,
                start_new_session=True,
                preexec_fn=None if files is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
            )
        try:
            soon(self._listens, "braid serve listens", START_SECONDS_MAX)
        except BaseException:
            said = self.log()[-800:]
            self.end()
            raise Failed(f"braid serve does not listen: {said}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _listens(self) -> bool:
        expect(self.process.poll() is None, "it has ended")
        found = re.search(r"listening on https?://127\.0\.0\.1:(\d+)/mcp\n(.*)\n", self.log())
        if not found:
            return False
        self.port = int(found[1])
        where = re.search(r"the token is in (.+)$", found[2])
        self.token = Path(where[1]).read_text().strip() if where else ""
        return True

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> tuple[int, float]:
        """Asks it to end; its exit code, and after how many seconds."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS_MAX), time.monotonic() - start

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what /proc says of it

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self, what: str = "VmRSS") -> float:
        """`VmRSS`: now. `VmHWM`: the most that it ever was."""
        found = re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.M)
        return int(found[1]) / 1024

    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def descendants(self) -> dict[int, str]:
        """Every process that it started, with its command line."""
        return descendants(self.pid)

    def child(self, word: str) -> int:
        """The one process that it started with `word` on its command line."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [pid for pid, line in self.descendants().items() if word in line]
            return len(found) == 1

        soon(is_there, f"one child with {word!r}")
        return found[0]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def descendants(above: int) -> dict[int, str]:
    """Every process below one, with its command line."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ProcessLookupError):
                continue
    found, todo = {}, [above]
    while todo:
        parent = todo.pop()
        for pid in [pid for pid, above in parents.items() if above == parent]:
            todo.append(pid)
            try:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found
