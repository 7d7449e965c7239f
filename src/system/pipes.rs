//! How much a pipe holds.
//!
//! Owns what is asked of the system for that, and what for. Whether it is given is the system's to say: without it a
//! message takes more turns and is no other.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use self::linux::widen;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use self::none::widen;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
    use std::os::fd::AsFd;

    /// Lets a pipe hold more, so that whoever writes what is long need not wait in the middle of it.
    ///
    /// One that holds less than is usual was meant to. What all pipes of a user hold is bounded by the system, which
    /// refuses more and leaves this one as it is.
    pub fn widen(pipe: impl AsFd) {
        let held = fcntl_getpipe_size(&pipe);
        if held.is_ok_and(|bytes| (USUAL_BYTES..PIPE_BYTES_MAX).contains(&bytes)) {
            fcntl_setpipe_size(&pipe, PIPE_BYTES_MAX).ok();
        }
    }

    const USUAL_BYTES: usize = 64 * 1024;
    /// Some results of 64 KiB, and what belongs to them.
    pub(super) const PIPE_BYTES_MAX: usize = 256 * 1024;
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    /// Elsewhere a pipe holds what it holds.
    pub fn widen<P>(_: P) {}
}

#[cfg(test)]
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tests {
    use super::linux::PIPE_BYTES_MAX;
    use super::widen;
    use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

    #[test]
    fn a_pipe_holds_so_much_and_no_more() {
        let (end, _other) = std::io::pipe().unwrap();
        widen(&end);
        assert_eq!(fcntl_getpipe_size(&end), Ok(PIPE_BYTES_MAX));
    }

    #[test]
    fn what_somebody_has_set_stays() {
        for bytes in [4096, 2 * PIPE_BYTES_MAX] {
            let (end, _other) = std::io::pipe().unwrap();
            let set = fcntl_setpipe_size(&end, bytes).unwrap();
            widen(&end);
            assert_eq!(fcntl_getpipe_size(&end), Ok(set));
        }
    }

    #[test]
    fn what_is_no_pipe_is_left_alone() {
        widen(tempfile::tempfile().unwrap());
    }
}
