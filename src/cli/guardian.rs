//! `braid-guardian`, or `braid guardian` where that is not there: what Braid starts beside itself, and nobody types.
//!
//! It is recognised before the command line is read and without a runtime, so that it stays small: there is
//! one for as long as there is a run.

use crate::system::{Here, System};
use crate::upstream::{guardian, vigil};
use std::ffi::OsString;
use std::process::ExitCode;

/// Whether this process was started as a guardian.
pub(super) fn is_asked_for(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut arguments = arguments.into_iter().skip(1);
    arguments.next().is_some_and(|word| word == guardian::WORD)
        && arguments.next().is_none_or(|version| version == guardian::VERSION)
        && arguments.next().is_none()
}

/// Stands by until stdin ends, and does what is to be done then.
pub(super) fn run() -> ExitCode {
    // Not `braid`: whoever ends all of these by their name must not end the one who tidies up after them.
    Here::be_called(guardian::WORD);
    vigil::keep(std::io::stdin().lock());
    ExitCode::SUCCESS
}
