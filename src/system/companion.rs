//! A second process of our own program, and the line on which it hears of us.
//!
//! The line is its stdin. The system closes our end when we end, however we end, and nobody else holds it: it
//! goes to no program that we start. Whoever is between being forked from us and becoming a program holds it
//! for that long, so the companion hears of our end only when there is no such process any more.
//! Only a companion that is stopped (SIGSTOP) when we end hears nothing: Unix hangs up on a group that is
//! stopped and orphaned, which ends it. What is said on the line, and when it is hung up, is its caller's business.

use std::io;
use std::path::Path;

#[cfg(unix)]
use std::{
    io::{Read, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// The other process. Dropped, it lives on until it has heard the end of the line.
#[cfg(unix)]
#[derive(Debug)]
pub struct Companion {
    child: Child,
    line: Arc<UnixStream>,
}

/// Listens for the end of a companion.
#[cfg(unix)]
#[derive(Debug)]
pub struct Ear(Arc<UnixStream>);

#[cfg(unix)]
impl Companion {
    /// Starts `program` with these arguments. It holds nothing of ours: no stdout that a client would wait
    /// for the end of, no folder, no variable. `said` waits on the line when it begins to listen, so that it
    /// knows that much even if we end the moment after.
    pub fn start(program: &Path, words: [&str; 2], said: &str) -> io::Result<Self> {
        // A pipe would do, but for its writer's waiting: a line to somebody who is stopped fills up.
        let (line, other_end) = UnixStream::pair()?;
        line.set_write_timeout(Some(TELL_MAX))?;
        (&line).write_all(said.as_bytes())?;
        let child = Command::new(program)
            .arg0("braid")
            .args(words)
            .current_dir("/")
            .env_clear()
            // Without any variable it would look like somebody who is just becoming another program.
            .env(COMPANION_VARIABLE, words[0])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(other_end)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Neither Ctrl-C nor a blow at our own group is for it.
            .process_group(0)
            .spawn()?;
        Ok(Self { child, line: Arc::new(line) })
    }

    /// Says something. Waits a moment at most; after an error it may have heard half of it.
    pub fn tell(&self, text: &str) -> io::Result<()> {
        (&*self.line).write_all(text.as_bytes())
    }

    /// The end of the line: it hears nothing more, and an `Ear` hears its end.
    pub fn hang_up(&self) {
        // It fails when the other end is gone already.
        let _ = self.line.shutdown(std::net::Shutdown::Both);
    }

    /// Ends it before it can act upon anything.
    pub fn kill(&mut self) {
        // It fails when it has been waited for.
        let _ = self.child.kill();
    }

    /// Reaps it. Blocks until it has ended.
    pub fn wait(&mut self) {
        let _ = self.child.wait();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn ear(&self) -> Ear {
        Ear(self.line.clone())
    }
}

#[cfg(unix)]
impl Ear {
    /// Returns when the companion has ended or was hung up on. Blocks its thread until then.
    pub fn until_gone(self) {
        let mut said = [0];
        loop {
            match (&*self.0).read(&mut said) {
                Ok(0) => return,
                // It has nothing to say.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// None is ever started: see `windows.rs`.
#[cfg(windows)]
#[derive(Debug)]
pub enum Companion {}

#[cfg(windows)]
#[derive(Debug)]
pub enum Ear {}

#[cfg(windows)]
impl Companion {
    pub fn start(_: &Path, _: [&str; 2], _: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn tell(&self, _: &str) -> io::Result<()> {
        match *self {}
    }

    pub fn hang_up(&self) {
        match *self {}
    }

    pub fn kill(&mut self) {
        match *self {}
    }

    pub fn wait(&mut self) {
        match *self {}
    }

    pub fn id(&self) -> u32 {
        match *self {}
    }

    pub fn ear(&self) -> Ear {
        match *self {}
    }
}

#[cfg(windows)]
impl Ear {
    pub fn until_gone(self) {
        match self {}
    }
}

/// The one variable of a companion; its value is the word that it was started with.
#[cfg(unix)]
const COMPANION_VARIABLE: &str = "BRAID_COMPANION";

/// What we wait for a companion that does not read.
#[cfg(unix)]
const TELL_MAX: Duration = Duration::from_millis(50);
