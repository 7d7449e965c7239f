#!/usr/bin/env python3
"""Makes the packages of this machine's system: a Python wheel, npm packages, a Debian package.

    packaging/build.py [wheel] [npm] [deb]        without a name: all of them

They appear in target/packages, of the release build, which is made first if it is not there. The version is Cargo.toml's and
stands nowhere else. Needs a Rust toolchain; for the wheel Python 3 with venv, for npm packages npm, for the Debian package
dpkg-dev and gzip.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "packaging"
OUT = ROOT / "target" / "packages"
PROGRAMS = ["braid", "braid-guardian"]
MATURIN = "maturin==1.16.0"
SHELLS = {
    "bash": "usr/share/bash-completion/completions/braid",
    "zsh": "usr/share/zsh/vendor-completions/_braid",
    "fish": "usr/share/fish/vendor_completions.d/braid.fish",
}


def main() -> None:
    wanted = sys.argv[1:] or ["wheel", "npm", "deb"]
    makers = {"wheel": wheel, "npm": npm, "deb": deb}
    unknown = [name for name in wanted if name not in makers]
    if unknown:
        sys.exit(f"no package is called {', '.join(unknown)}; there are {', '.join(makers)}")
    OUT.mkdir(parents=True, exist_ok=True)
    run("cargo", "build", "--release", "--locked", "--bins")
    for name in wanted:
        for made in makers[name]():
            print(f"{made.relative_to(ROOT)}  {made.stat().st_size / 1e6:.1f} MB")


def wheel() -> list[Path]:
    tools = ROOT / "target" / "packaging-tools"
    if not (tools / "bin" / "maturin").exists():
        venv.create(tools, with_pip=True)
        run(tools / "bin" / "pip", "install", "--quiet", MATURIN)
    staging = fresh("wheel")
    run(tools / "bin" / "maturin", "build", "--release", "--locked", "--out", staging, cwd=HERE / "python")
    return moved(staging.glob("*.whl"), "mcp_braid-*.whl")


def npm() -> list[Path]:
    staging = fresh("npm")
    platform = shutil.copytree(HERE / "npm" / "linux-x64", staging / "linux-x64")
    (platform / "bin").mkdir()
    for program in PROGRAMS:
        shutil.copy2(built(program), platform / "bin" / program)
    launcher = shutil.copytree(HERE / "npm" / "mcp-braid", staging / "mcp-braid")
    for folder in (platform, launcher):
        fill_in_version(folder / "package.json")
        for licence in ROOT.glob("LICENSE-*"):
            shutil.copy2(licence, folder)
        run("npm", "pack", "--silent", "--pack-destination", staging, cwd=folder)
    return moved(staging.glob("*.tgz"), "mcp-braid-*.tgz")


def fill_in_version(manifest: Path) -> None:
    package = json.loads(manifest.read_text())
    package["version"] = version()
    for name in package.get("optionalDependencies", {}):
        package["optionalDependencies"][name] = version()
    manifest.write_text(json.dumps(package, indent=2) + "\n")


def deb() -> list[Path]:
    tree = fresh("deb") / "mcp-braid"
    for program in PROGRAMS:
        put(tree / "usr/bin" / program, built(program).read_bytes(), 0o755)
    put(tree / "usr/lib/systemd/system/braid.service", (HERE / "debian/braid.service").read_bytes())
    put(tree / "etc/braid/config.toml", (HERE / "debian/config.toml").read_bytes())
    for shell, place in SHELLS.items():
        put(tree / place, output(built("braid"), "completions", shell).encode())
    pages = tree / "usr/share/man/man1"
    pages.mkdir(parents=True)
    run(built("braid"), "man", pages)
    for page in pages.iterdir():
        put(page.with_name(page.name + ".gz"), gzip.compress(page.read_bytes(), 9, mtime=0))
        page.unlink()
    documents = tree / "usr/share/doc/mcp-braid"
    put(documents / "config.example.toml", (ROOT / "config.example.toml").read_bytes())
    put(documents / "changelog.gz", gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), 9, mtime=0))
    licences = [(ROOT / f"LICENSE-{name}").read_text() for name in ("APACHE", "MIT")]
    put(documents / "copyright", "\n\n".join(["Braid may be used under either of these licences.", *licences]).encode())
    architecture = output("dpkg", "--print-architecture").strip()
    control = (HERE / "debian/control").read_text()
    control = control.replace("@VERSION@", f"{version()}-1").replace("@ARCH@", architecture)
    put(tree / "DEBIAN/control", control.replace("@DEPENDS@", dependencies(tree)).encode())
    put(tree / "DEBIAN/conffiles", b"/etc/braid/config.toml\n")
    for script in ("postinst", "prerm", "postrm"):
        put(tree / "DEBIAN" / script, (HERE / "debian" / script).read_bytes(), 0o755)
    made = OUT / f"mcp-braid_{version()}-1_{architecture}.deb"
    run("dpkg-deb", "--root-owner-group", "--build", tree, made)
    return [made]


def dependencies(tree: Path) -> str:
    """The libraries that the programs need, as Debian names them."""
    work = tree.parent / "shlibs"
    put(work / "debian/control", b"Source: mcp-braid\n\nPackage: mcp-braid\nArchitecture: any\n")
    programs = [tree / "usr/bin" / program for program in PROGRAMS]
    said = output("dpkg-shlibdeps", "-O", *programs, cwd=work)
    return said.strip().removeprefix("shlibs:Depends=")


def version() -> str:
    metadata = output("cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", cwd=ROOT)
    return json.loads(metadata)["packages"][0]["version"]


def built(program: str) -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / program


def fresh(name: str) -> Path:
    folder = OUT / "staging" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def moved(made, earlier: str) -> list[Path]:
    for old in OUT.glob(earlier):
        old.unlink()
    return [Path(shutil.move(file, OUT / file.name)) for file in sorted(made)]


def put(file: Path, text: bytes, mode: int = 0o644) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)
    file.chmod(mode)


def run(*command, cwd: Path = ROOT) -> None:
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


def output(*command, cwd: Path = ROOT) -> str:
    said = subprocess.run([str(word) for word in command], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True)
    return said.stdout


if __name__ == "__main__":
    os.umask(0o022)
    main()
