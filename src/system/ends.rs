//! Our own stdin and stdout, without a thread that waits in them.
//!
//! Whoever started us shares what they stand for, so nothing is set on it that could be noticed: a pipe is opened anew,
//! which gives a description of our own, and a socket, which cannot be, is asked each time not to wait. Only how much a
//! pipe holds is made more. What is neither, or may not be opened, is left to its caller, as it is on every system but
//! Linux. It knows bytes and no lines.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use self::linux::{Input, Output};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub use self::none::{Input, Output};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use crate::system::pipes::widen;
    use bytes::BytesMut;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::writev;
    use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketType, recv, sendmsg, sockopt};
    use std::fs::File;
    use std::io::{self, IoSlice};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::fs::FileTypeExt;
    use tokio::io::{AsyncReadExt, Interest};
    use tokio::net::unix::pipe;

    /// Our stdin.
    #[derive(Debug)]
    pub struct Input {
        end: pipe::Receiver,
        /// What is taken from a socket at once, which `end` is then and is never asked for more than to wait for.
        chunk: Option<Box<[u8]>>,
    }

    impl Input {
        /// `None`: it can only be read by waiting in it. Needs a runtime.
        pub fn stdin() -> Option<Self> {
            Self::of(io::stdin().as_fd(), "/proc/self/fd/0")
        }

        pub(super) fn of(end: BorrowedFd<'_>, name: &str) -> Option<Self> {
            match Kind::of(end)? {
                Kind::Pipe => {
                    let anew = pipe::OpenOptions::new().open_receiver(name).ok()?;
                    // Of a FIFO that was hung up on before it was opened anew, only the end that we were given tells.
                    (!is_hung_up(end)).then_some(Self { end: anew, chunk: None })
                }
                Kind::Socket(file) => {
                    let end = pipe::Receiver::from_file_unchecked(file).ok()?;
                    Some(Self { end, chunk: Some(vec![0; CHUNK_BYTES].into()) })
                }
            }
        }

        /// Waits until there is something, and appends as much of it as there is room for. 0 at its end. Cancel-safe.
        pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
            let Some(chunk) = &mut self.chunk else { return self.end.read_buf(buffer).await };
            let room = (buffer.capacity() - buffer.len()).clamp(1, chunk.len());
            let chunk = chunk.get_mut(..room).unwrap_or_default();
            loop {
                self.end.readable().await?;
                match receive(&self.end, chunk) {
                    Ok(count) => {
                        buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                        return Ok(count);
                    }
                    Err(error) if is_passing(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn receive(end: &pipe::Receiver, chunk: &mut [u8]) -> io::Result<usize> {
        let mut received = None;
        let tried = end.try_io(|| {
            let (count, _) = recv(end, &mut *chunk, RecvFlags::DONTWAIT)?;
            received = Some(count);
            // Less than was asked for is all that there was: whoever asks again waits, without being told so first.
            if count < chunk.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        });
        received.map_or(tried, Ok)
    }

    /// Our stdout.
    #[derive(Debug)]
    pub struct Output {
        end: pipe::Sender,
        is_socket: bool,
    }

    impl Output {
        /// `None`: it can only be written by waiting in it. Needs a runtime.
        pub fn stdout() -> Option<Self> {
            Self::of(io::stdout().as_fd(), "/proc/self/fd/1")
        }

        pub(super) fn of(end: BorrowedFd<'_>, name: &str) -> Option<Self> {
            match Kind::of(end)? {
                Kind::Pipe => {
                    let end = pipe::OpenOptions::new().open_sender(name).ok()?;
                    widen(&end);
                    Some(Self { end, is_socket: false })
                }
                Kind::Socket(file) => {
                    let end = pipe::Sender::from_file_unchecked(file).ok()?;
                    Some(Self { end, is_socket: true })
                }
            }
        }

        /// Writes all of them, as they are read.
        pub async fn write_all(&self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
            // Empty ones are none.
            IoSlice::advance_slices(&mut pieces, 0);
            while !pieces.is_empty() {
                match self.end.try_io(|| Ok(self.write(pieces)?)) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => IoSlice::advance_slices(&mut pieces, count),
                    Err(error) if is_passing(&error) => self.end.writable().await?,
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }

        fn write(&self, pieces: &[IoSlice<'_>]) -> rustix::io::Result<usize> {
            if !self.is_socket {
                return writev(&self.end, pieces);
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            sendmsg(&self.end, pieces, &mut SendAncillaryBuffer::default(), flags)
        }

        /// Resolves when nobody reads it any more, even if there is nothing to write. Cancel-safe.
        pub async fn reader_gone(&self) {
            // Of what is only written nothing is reported as read, but that it is closed.
            if self.end.ready(Interest::READABLE | Interest::ERROR).await.is_err() {
                // The runtime ends, and whoever waits here with it.
                std::future::pending().await
            }
        }
    }

    enum Kind {
        Pipe,
        /// What is set on it is set for all that share it.
        Socket(File),
    }

    impl Kind {
        /// `None`: neither.
        fn of(end: BorrowedFd<'_>) -> Option<Self> {
            let file = File::from(end.try_clone_to_owned().ok()?);
            let kind = file.metadata().ok()?.file_type();
            if kind.is_fifo() {
                return Some(Self::Pipe);
            }
            let is_stream = || sockopt::socket_type(&file) == Ok(SocketType::STREAM);
            (kind.is_socket() && is_stream()).then_some(Self::Socket(file))
        }
    }

    fn is_hung_up(end: BorrowedFd<'_>) -> bool {
        let mut places = [PollFd::new(&end, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = poll(&mut places, Some(&now));
        polled.is_err() || places.iter().any(|place| place.revents().contains(PollFlags::HUP))
    }

    /// It may go otherwise the next time.
    fn is_passing(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
    }

    /// The most that is taken from a socket at once.
    const CHUNK_BYTES: usize = 16 * 1024;
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod none {
    use bytes::BytesMut;
    use std::io::{self, IoSlice};

    /// There is none: it is read by waiting in it.
    #[derive(Debug)]
    pub enum Input {}

    /// There is none: it is written by waiting in it.
    #[derive(Debug)]
    pub enum Output {}

    impl Input {
        pub fn stdin() -> Option<Self> {
            None
        }

        pub async fn read(&mut self, _: &mut BytesMut) -> io::Result<usize> {
            match *self {}
        }
    }

    impl Output {
        pub fn stdout() -> Option<Self> {
            None
        }

        pub async fn write_all(&self, _: &mut [IoSlice<'_>]) -> io::Result<()> {
            match *self {}
        }

        pub async fn reader_gone(&self) {
            match *self {}
        }
    }
}

#[cfg(test)]
#[cfg(any(target_os = "linux", target_os = "android"))]
mod tests {
    use super::{Input, Output};
    use bytes::BytesMut;
    use futures::FutureExt;
    use std::io::{IoSlice, Read, Write};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;

    fn input(end: &(impl AsFd + AsRawFd)) -> Option<Input> {
        Input::of(end.as_fd(), &format!("/proc/self/fd/{}", end.as_raw_fd()))
    }

    fn output(end: &(impl AsFd + AsRawFd)) -> Option<Output> {
        Output::of(end.as_fd(), &format!("/proc/self/fd/{}", end.as_raw_fd()))
    }

    /// Whether others who share this end find it changed.
    fn never_waits(end: &impl AsRawFd) -> bool {
        let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", end.as_raw_fd())).unwrap();
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
        flags & 0o4000 != 0
    }

    async fn read(input: &mut Input) -> Vec<u8> {
        let mut buffer = BytesMut::with_capacity(64);
        input.read(&mut buffer).await.unwrap();
        buffer.to_vec()
    }

    /// What is read of both kinds, with the end that is written to.
    async fn reads(end: impl AsFd + AsRawFd, mut other: impl Write) {
        let mut input = input(&end).unwrap();
        let mut buffer = BytesMut::with_capacity(64);
        assert!(input.read(&mut buffer).now_or_never().is_none(), "there is nothing yet");
        other.write_all(b"one").unwrap();
        assert_eq!(read(&mut input).await, b"one");
        other.write_all(&[b'x'; 100]).unwrap();
        assert_eq!(read(&mut input).await, [b'x'; 64]);
        assert_eq!(read(&mut input).await, [b'x'; 36]);
        assert!(input.read(&mut buffer).now_or_never().is_none(), "and nothing more");
        other.write_all(b"last").unwrap();
        drop(other);
        assert_eq!(read(&mut input).await, b"last");
        assert_eq!(read(&mut input).await, b"");
        assert!(!never_waits(&end));
    }

    #[tokio::test]
    async fn a_pipe_and_a_socket_are_read_to_their_end() {
        let (end, other) = std::io::pipe().unwrap();
        reads(end, other).await;
        let (end, other) = UnixStream::pair().unwrap();
        reads(end, other).await;
    }

    async fn write(output: &Output, text: &[u8]) -> std::io::Result<()> {
        output.write_all(&mut [IoSlice::new(text)]).await
    }

    /// More than either kind holds at once, and then its reader leaves.
    async fn writes(end: impl AsFd + AsRawFd, mut other: impl Read + Send + 'static) {
        const BYTES: usize = 1 << 20;
        let output = output(&end).unwrap();
        assert!(output.reader_gone().now_or_never().is_none());
        let all: Vec<u8> = (0..BYTES).map(|at| at as u8).collect();
        let (begin, rest) = all.split_at(BYTES / 3);
        let mut pieces = [b"", begin, b"", rest, b""].map(IoSlice::new);
        let mut writing = Box::pin(output.write_all(&mut pieces));
        assert!((&mut writing).now_or_never().is_none(), "nobody reads it");
        let reader = std::thread::spawn(move || {
            let mut heard = vec![0; BYTES];
            other.read_exact(&mut heard).unwrap();
            (heard, other)
        });
        writing.await.unwrap();
        let (heard, other) = reader.join().unwrap();
        assert!(heard == all);
        assert!(output.reader_gone().now_or_never().is_none());
        drop(other);
        output.reader_gone().await;
        assert!(write(&output, b"more").await.is_err());
        assert!(!never_waits(&end));
    }

    #[tokio::test]
    async fn a_pipe_and_a_socket_are_written_as_they_are_read() {
        let (other, end) = std::io::pipe().unwrap();
        writes(end, other).await;
        let (other, end) = UnixStream::pair().unwrap();
        writes(end, other).await;
    }

    #[tokio::test]
    async fn who_only_says_nothing_more_is_still_written_to() {
        let (end, mut other) = UnixStream::pair().unwrap();
        let (mut input, output) = (input(&end).unwrap(), output(&end).unwrap());
        other.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read(&mut input).await, b"");
        assert!(output.reader_gone().now_or_never().is_none());
        write(&output, b"answer").await.unwrap();
        let mut heard = [0; 6];
        other.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"answer");
    }

    #[tokio::test]
    async fn what_one_has_to_wait_in_is_left_alone() {
        let file = tempfile::tempfile().unwrap();
        assert!(input(&file).is_none() && output(&file).is_none());
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(input(&null).is_none() && output(&null).is_none());
        let (datagrams, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert!(input(&datagrams).is_none() && output(&datagrams).is_none());
    }

    #[tokio::test]
    async fn a_fifo_that_was_hung_up_on_before_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let both = std::fs::File::options().read(true).write(true).open(&fifo).unwrap();
        let end = std::fs::File::open(&fifo).unwrap();
        assert!(input(&end).is_some());
        drop(both);
        assert!(input(&end).is_none());
    }

    #[tokio::test]
    async fn a_reader_that_left_before_is_gone() {
        let (_, end) = std::io::pipe().unwrap();
        output(&end).unwrap().reader_gone().await;
        let (_, end) = UnixStream::pair().unwrap();
        output(&end).unwrap().reader_gone().await;
    }
}
