//! The program: arguments in, exit code out, and how it allocates. Everything else is the library's.

/// Faster than glibc's where much is in flight on more than one thread; see ARCHITECTURE.md, What a call costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    mcp_braid::cli::main()
}
