//! The command line.

pub mod arguments;
pub mod indented;
pub mod printable;
pub mod result;
pub mod table;

use std::process::ExitCode;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
