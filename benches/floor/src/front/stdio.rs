//! One client on stdin and stdout. The relay ends when it leaves.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use memchr::memchr;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::piped::{CHUNK, Piped};
use crate::{Relay, Upstream, scan};

pub(crate) async fn serve(relay: Arc<Relay>) -> io::Result<()> {
    let mut stdin = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    eprintln!("listening on stdin");
    let mut read = BytesMut::with_capacity(CHUNK);
    let mut searched = 0;
    let mut owed: Vec<&Piped> = Vec::with_capacity(relay.servers.len());
    loop {
        read.reserve(CHUNK);
        if stdin.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        while let Some(length) = memchr(b'\n', &read[searched..]) {
            let line = searched + length;
            owed.extend(forward(&relay, &read[..line]));
            read.advance(line + 1);
            searched = 0;
        }
        searched = read.len();
        owed.drain(..).for_each(Piped::flush);
    }
}

/// Gives the server to which a flush is owed. Notifications and answers are dropped.
fn forward<'r>(relay: &'r Relay, line: &[u8]) -> Option<&'r Piped> {
    let request = scan::request(line).filter(|request| request.has_method)?;
    let (server, prefix) = relay.pick(line, &request);
    match &server.upstream {
        Upstream::Piped(piped) => piped.tell(line, &request, prefix).then_some(piped),
        Upstream::Remote(_) => None,
    }
}
