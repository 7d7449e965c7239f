//! `braid man`: the manual pages, made of what the command line says of itself.
//!
//! One page on stdout, or all of them as files. It never opens a pager and never says what `--help` does not.

use super::exit::Exit;
use super::{Globals, out};
use std::path::Path;

/// `folder`: where a page for each command goes, made if it is not there; without it `braid.1` goes to stdout.
pub(super) fn run(command: clap::Command, folder: Option<&Path>, globals: &Globals) -> Exit {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        return match clap_mangen::Man::new(command).render(&mut page) {
            Ok(()) => out::print(&String::from_utf8_lossy(&page)),
            Err(error) => out::fail(Exit::Unexpected, &format!("the page cannot be made: {error}"), globals),
        };
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    match written {
        Ok(()) => Exit::Ok,
        Err(error) => out::fail(Exit::Unexpected, &format!("{}: {error}", folder.display()), globals),
    }
}
