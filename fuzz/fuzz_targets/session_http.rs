//! Bytes into the whole HTTP server, in memory and on a paused clock: connections, guard, routes, sessions, a hub, and
//! two servers that talk.
//!
//! The first byte says how it is all set up and how it ends. Of the rest each operation takes one byte and what it
//! needs: requests as a client writes them, nearly such, or any bytes; clients that come back, leave, do not read, or let
//! time pass. Every answer must be HTTP, belong to what was asked and to its session, what is read again must be what was
//! said, and at the end nothing may be left.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokio::runtime::Builder;
use tokio::task::unconstrained;

#[path = "session_http/book.rs"]
mod book;
#[path = "session_http/requests.rs"]
mod requests;
#[path = "session_http/servers.rs"]
mod servers;
#[path = "session_http/wire.rs"]
mod wire;
#[path = "session_http/world.rs"]
mod world;

/// Bytes that are used up one by one.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of so many; `None` at the end, or where there is nothing to choose from.
    fn one_of(&mut self, count: usize) -> Option<usize> {
        usize::from(self.byte()?).checked_rem(count)
    }

    /// As many as the next byte says, if there are so many.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::from(self.byte()?).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(bytes)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let Some(bits) = input.byte() else { return };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(unconstrained(async {
        let mut world = world::World::new(bits, salt(data));
        while let Some(operation) = input.byte() {
            // What lacks the bytes it needs, or anything to act on, is left out.
            let _ = world.step(operation, &mut input).await;
        }
        match bits >> 6 & 1 {
            0 => world.leave().await,
            _ => world.stop().await,
        }
    }));
});

/// FNV-1a: the same input is the same run.
fn salt(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
