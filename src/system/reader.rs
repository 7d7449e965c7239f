//! Whether anybody still reads our stdout, on systems that have `poll`.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Returns when the other end of stdout is closed; see `System::await_reader_gone`.
pub(super) fn await_gone() {
    let stdout = std::io::stdout();
    loop {
        // Asked for nothing, poll still reports that the other end is closed.
        let mut places = [PollFd::new(&stdout, PollFlags::empty())];
        let polled = poll(&mut places, None);
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        match polled {
            Ok(_) if places.iter().any(|place| place.revents().intersects(gone)) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => loop {
                std::thread::park();
            },
        }
    }
}
