//! Puts the code that a run goes through side by side in the program `braid`.
//!
//! A kernel maps code in pieces of 64 KiB around each page that is touched. What is touched is a fourth of the program, and
//! as the linker leaves it, a bit of it is in nearly every piece: three quarters of the program are resident then, and one
//! call goes through half as many pages again. Those of a call lie in the order of its path, so that it takes as few as can be
//! of the pages and lines of program that a processor has at hand. `layout.ld` names the functions; `benches/layout.py` writes it. What it
//! names in vain costs nothing. Only the order changes, and only where the linker can do it: it is tried on a program
//! without contents, and without success everything stays as it was. It never fails a build.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={LAYOUT}");
    let is_wanted = var("PROFILE") == "release" && var("CARGO_CFG_TARGET_OS") == "linux";
    let layout = Path::new(&var("CARGO_MANIFEST_DIR")).join(LAYOUT);
    let argument = format!("-Wl,-T,{}", layout.display());
    if is_wanted && layout.is_file() && links(&argument) {
        println!("cargo:rustc-link-arg-bin=braid={argument}");
    }
}

/// Whether the linker that will be used takes this argument.
fn links(argument: &str) -> bool {
    let folder = var("OUT_DIR");
    let source = Path::new(&folder).join("probe.rs");
    if fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut rustc = Command::new(var("RUSTC"));
    rustc.args(["--edition", "2024", "--target", &var("TARGET"), "--out-dir", &folder]);
    rustc.args(var("CARGO_ENCODED_RUSTFLAGS").split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg(format!("-Clink-arg={argument}")).arg(source);
    let done = rustc.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// What cargo tells; nothing where it does not.
fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

const LAYOUT: &str = "layout.ld";
