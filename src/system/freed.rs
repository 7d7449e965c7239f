//! What we have freed, and whether the system gets it back.
//!
//! Owns what is said to the C library about that. It neither allocates nor frees for anybody.

/// Lets freed memory stay ours, to be used again: up to twice this of each heap, of which there is about one for each thread
/// that serves, and whatever lies beneath what is in use.
///
/// glibc gives the end of its heap back when 128 KiB of it are free, so that every large message would be made of new pages.
/// Once a block is freed that was mapped by itself, that becomes twice its size (mallopt(3), `M_MMAP_THRESHOLD`). Not one
/// byte of it is touched. Other libraries are not moved by this.
pub fn keep_freed() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK_BYTES)));
}

const BLOCK_BYTES: usize = 4 * 1024 * 1024;
