//! The routing floor against a naive model: several clients and servers, shared and own links, any events in
//! any order.
//!
//! The first byte says which servers are shared. Of the rest each operation takes one byte and what it needs;
//! the input's end is the end of the run, when everybody leaves. Every request must have exactly one outcome and its
//! own, every ask its owner or a refusal, every update and log those who are to hear it, and nothing may be left.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "router_ops/model.rs"]
mod model;
#[path = "router_ops/signposts.rs"]
mod signposts;
#[path = "router_ops/world.rs"]
mod world;

/// Bytes that are used up one by one.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of so many; `None` at the end, or where there is nothing to choose from.
    fn one_of(&mut self, count: usize) -> Option<usize> {
        usize::from(self.byte()?).checked_rem(count)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let Some(sharing) = input.byte() else { return };
    let mut world = world::World::new(sharing);
    while let Some(operation) = input.byte() {
        // What lacks the bytes it needs, or anything to act on, is left out.
        let _ = world.step(operation, &mut input);
    }
    world.close();
});
