//! The guardian as a program of its own: one is there for as long as there is a run, and this one is small. Without it
//! beside `braid`, that does the same.

fn main() -> std::process::ExitCode {
    mcp_braid::cli::guardian()
}
