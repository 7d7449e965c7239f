#!/usr/bin/env python3
"""Does what README.md and the pages of docs/ say, and compares what comes of it with what they show.

    tests/docs/run.py [PAGE ...]            without a page: all of them
    tests/docs/run.py --write [PAGE ...]    puts what comes of it into the pages instead

A block ```console holds commands, `$ ` before each, and what they print. They run in the order of the page, in one folder, as a user who has nothing else: HOME is a folder
of the page's own, and on PATH are Braid, what Debian has, and stand-ins: for the programs that clients' files start (`npx`, `uvx`), which are demo servers, and for a `cargo run`
of what is built already. README.md speaks of `config.example.toml`, which lies in that folder. A comment before a block says more:

    <!-- file: braid.toml -->         the block is that file from here on
    <!-- serve -->                    its one command goes on running until the end of the page, at any free port, which commands may call the usual one; what it says at first may be shown
    <!-- shown: why -->               nobody runs it here, for this reason; there must be one

Any other block ```sh, ```console, or with `$ ` at its beginning, is run or an error: what a page shows is run, or the page says why not.
Times, ports, process ids and the folder's own name are not compared.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "braid"
HOME = "/home/ana"
README, EXAMPLE = ROOT / "README.md", ROOT / "config.example.toml"
USUAL_PORT = "127.0.0.1:8808"
SECONDS_MAX = 60
BLOCK = re.compile(r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.M | re.S)
# A client's programs, by the package that is asked for.
STAND_INS = {"npx": "notes", "uvx": "workshop"}


class Page:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.text = file.read_text()
        self.folder = Path(tempfile.mkdtemp(prefix="braid-docs-"))
        self.home = self.folder / "home"
        self.home.mkdir()
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for program in (PROGRAM, PROGRAM.with_name("braid-guardian")):
            (self.bin / program.name).symlink_to(program)
        for name, demo in STAND_INS.items():
            stand_in = self.bin / name
            stand_in.write_text(f'#!/bin/sh\nexec "{self.bin}/braid" demo-server {demo}\n')
            stand_in.chmod(0o755)
        cargo = self.bin / "cargo"
        cargo.write_text(f'#!/bin/sh\n[ "$1 $2 $3 $4" = "run -q --release --" ] || exit 101\nshift 4\nexec "{self.bin}/braid" "$@"\n')
        cargo.chmod(0o755)
        if file == README:
            (self.home / EXAMPLE.name).symlink_to(EXAMPLE)
        self.serving: list[subprocess.Popen] = []
        self.commands = 0
        # Of what is served where the page knows the usual one.
        self.port = USUAL_PORT

    def run(self) -> str:
        """The page with what its commands print now."""
        try:
            return BLOCK.sub(self.block, self.text)
        finally:
            for served in self.serving:
                os.killpg(served.pid, signal.SIGTERM)
                served.wait(timeout=SECONDS_MAX)
            shutil.rmtree(self.folder)

    def block(self, found: re.Match) -> str:
        note, language, text = found["note"] or "", found["language"], found["text"]
        indent = found["indent"]
        plain = "".join(line.removeprefix(indent) for line in text.splitlines(True))
        if name := note.removeprefix("file: ") if note.startswith("file: ") else "":
            file = self.place(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(plain.replace(HOME, str(self.home)))
            return found[0]
        if note.startswith("shown: ") or (language not in ("sh", "console") and not plain.startswith("$ ")):
            return found[0]
        if language != "console":
            sys.exit(f"{self.file.relative_to(ROOT)}: a block ```{language} that nobody runs; make it ```console, or say why in <!-- shown: … -->\n{plain}")
        lines = []
        for command, shown in commands(plain):
            said = self.serve(command) if note == "serve" else self.said(command)
            lines += [f"$ {command}\n", said if shown or note != "serve" else ""]
        body = "".join(f"{indent}{line}" if line.strip() else line for line in "".join(lines).splitlines(True))
        return found[0].replace(text, body, 1)

    def said(self, command: str) -> str:
        self.commands += 1
        done = subprocess.run(
            ["sh", "-c", command.replace(HOME, str(self.home)).replace(USUAL_PORT, self.port)], cwd=self.home, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX,
        )
        said = self.readers_view(done.stdout)
        return said if said.endswith("\n") or not said else said + "\n"

    def readers_view(self, text: str) -> str:
        text = text.replace(f"{self.bin}:/usr/local/bin", "/usr/local/bin").replace(self.port, USUAL_PORT)
        return text.replace(str(self.home), HOME).replace(str(self.bin), "/usr/local/bin").replace(str(PROGRAM.parent), "/usr/local/bin")

    def serve(self, command: str) -> str:
        """What it says until it serves."""
        self.commands += 1
        written = [file.read_text() for file in self.home.glob("*.toml") if not file.is_symlink()]
        own_port = "" if any("http = " in text for text in written) else " --listen 127.0.0.1:0"
        served = subprocess.Popen(
            ["sh", "-c", "exec " + command.replace(HOME, str(self.home)) + own_port], cwd=self.home, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )
        self.serving.append(served)
        said = ""
        for line in served.stderr:
            said += line
            if line.startswith(("clients send", "anybody")):
                self.await_readiness()
                port = re.search(r"listening on \S*(127\.0\.0\.1:\d+)", said)
                self.port = port[1] if port and own_port else self.port
                return self.readers_view(said)
        sys.exit(f"{self.file.relative_to(ROOT)}: `{command}` does not serve")

    def await_readiness(self) -> None:
        until = time.monotonic() + SECONDS_MAX
        while subprocess.run(["braid", "status", "--ready"], cwd=self.home, env=self.environment(), capture_output=True).returncode:
            if time.monotonic() > until:
                sys.exit(f"{self.file.relative_to(ROOT)}: what it serves is not ready")
            time.sleep(0.05)

    def place(self, name: str) -> Path:
        return Path(name.replace("~", str(self.home), 1).replace(HOME, str(self.home))) if name.startswith(("~", "/")) else self.home / name

    def environment(self) -> dict[str, str]:
        (self.home / "run").mkdir(exist_ok=True, mode=0o700)
        return {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8", "NO_COLOR": "1",
            # Elsewhere, or `braid install` would warn of a program among temporary files.
            "TMPDIR": "/var/tmp", "XDG_RUNTIME_DIR": str(self.home / "run"), "GITHUB_TOKEN": "not-a-token", "COLUMNS": "100",
        }


def commands(text: str) -> list[tuple[str, str]]:
    """Each command of a block, its continued lines with it, and what is shown after it."""
    found: list[tuple[str, str]] = []
    continued = False
    for line in text.splitlines():
        if continued or line.startswith("$ "):
            part = line if continued else line[2:]
            command = f"{found[-1][0]}\n{part}" if continued else part
            found[len(found) - continued :] = [(command, "")]
            continued = line.endswith("\\")
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
        else:
            sys.exit(f"a console block begins with `$ `, not with {line!r}")
    return found


def masked(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|s|us|µs)\b", "TIME", text)
    text = re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT", text)
    text = re.sub(r"\bpid \d+", "pid N", text)
    text = re.sub(r"/\d+\.sock\b", "/N.sock", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z?", "DATE", text)
    return re.sub(r"[ ─]+", " ", text)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", action="store_true", help="put what comes of it into the pages")
    arguments.add_argument("pages", nargs="*", type=Path)
    asked = arguments.parse_args()
    files = [page.resolve() for page in asked.pages] or [README, *sorted((ROOT / "docs").rglob("*.md"))]
    failed = 0
    for file in files:
        page = Page(file)
        now = page.run()
        name = file.relative_to(ROOT)
        if asked.write:
            file.write_text(now)
        elif masked(now) != masked(page.text):
            failed += 1
            shown, came = (masked(text).splitlines(True) for text in (page.text, now))
            sys.stdout.writelines(difflib.unified_diff(shown, came, f"{name}, as it is shown", f"{name}, as it comes"))
        print(f"{'not as shown' if masked(now) != masked(page.text) and not asked.write else 'ok'}  {name}: {page.commands} commands", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
