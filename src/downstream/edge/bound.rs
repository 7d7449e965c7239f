//! The sockets that we listen on.
//!
//! Owns them and the files of Unix sockets, which are removed with them. It accepts; what becomes of a connection is
//! `accept`'s business.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::source::Peer;
use super::tls::{self, TlsError};
use crate::config::{Address, Tls};

/// Listening, and nobody is served yet: clients that connect wait.
#[derive(Debug)]
pub struct Bound {
    pub(super) listeners: Vec<Listener>,
}

pub(super) enum Listener {
    Tcp {
        listener: TcpListener,
        local: SocketAddr,
        tls: Option<TlsAcceptor>,
    },
    #[cfg(unix)]
    Unix {
        listener: tokio::net::UnixListener,
        file: SocketFile,
    },
}

/// One accepted connection, before any TLS.
pub(super) struct Accepted {
    pub(super) stream: Box<dyn Duplex>,
    pub(super) peer: Peer,
}

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address}: {error}")]
    Tcp { address: SocketAddr, error: io::Error },
    #[error("cannot listen on `{}`: {error}", file.display())]
    Unix { file: PathBuf, error: io::Error },
    #[error("cannot listen on `{}`: somebody else does already", .0.display())]
    Taken(PathBuf),
    #[error("cannot listen on `{}`: it is there and is no socket", .0.display())]
    NoSocket(PathBuf),
    #[error("cannot listen on `{}`: this system has no Unix sockets", .0.display())]
    NoUnix(PathBuf),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl BindError {
    /// Whether somebody else listens there.
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Tcp { error, .. } => error.kind() == io::ErrorKind::AddrInUse,
            Self::Taken(_) => true,
            Self::Unix { .. } | Self::NoSocket(_) | Self::NoUnix(_) | Self::Tls(_) => false,
        }
    }
}

impl Bound {
    /// Listens on all addresses or on none. TLS is for TCP alone: a Unix socket leaves no machine.
    pub async fn bind(addresses: &[Address], tls: Option<&Tls>) -> Result<Self, BindError> {
        let acceptor = tls.map(tls::acceptor).transpose()?;
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            listeners.push(match address {
                Address::Tcp(address) => Listener::tcp(*address, acceptor.clone())
                    .map_err(|error| BindError::Tcp { address: *address, error })?,
                #[cfg(unix)]
                Address::Unix(file) => Listener::unix(file).await?,
                #[cfg(not(unix))]
                Address::Unix(file) => return Err(BindError::NoUnix(file.clone())),
            });
        }
        Ok(Self { listeners })
    }

    /// What is really listened on: with the port that the system chose where none was given.
    pub fn addresses(&self) -> Vec<Address> {
        let address = |listener: &Listener| match listener {
            Listener::Tcp { local, .. } => Address::Tcp(*local),
            #[cfg(unix)]
            Listener::Unix { file, .. } => Address::Unix(file.path.clone()),
        };
        self.listeners.iter().map(address).collect()
    }
}

impl Listener {
    fn tcp(address: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Without it a restart would wait for old connections to be forgotten; on Windows it means something else.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG_MAX)?;
        let local = listener.local_addr()?;
        Ok(Self::Tcp { listener, local, tls })
    }

    /// Bound in a folder of our own and then moved to its place, so that nobody else can connect before the
    /// mode is set, and nobody finds it half made.
    #[cfg(unix)]
    async fn unix(path: &Path) -> Result<Self, BindError> {
        let unix = |error| BindError::Unix { file: path.to_owned(), error };
        make_way(path).await?;
        let nest = Nest::new(path).map_err(unix)?;
        let draft = nest.0.join("s");
        let listener = tokio::net::UnixListener::bind(&draft).map_err(unix)?;
        std::fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .map_err(unix)?;
        let file = SocketFile::new(path, &draft).map_err(unix)?;
        std::fs::rename(&draft, path).map_err(unix)?;
        Ok(Self::Unix { listener, file })
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp { listener, local, .. } => {
                let (stream, remote) = listener.accept().await?;
                // Answers are written whole; waiting to fill a packet would only delay them.
                stream.set_nodelay(true).ok();
                watch(&stream).ok();
                let peer = Peer::tcp(remote, stream.local_addr().unwrap_or(*local));
                Ok(Accepted { stream: Box::new(stream), peer })
            }
            #[cfg(unix)]
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted { stream: Box::new(stream), peer: Peer::Unix })
            }
        }
    }

    pub(super) fn tls(&self) -> Option<&TlsAcceptor> {
        match self {
            Self::Tcp { tls, .. } => tls.as_ref(),
            #[cfg(unix)]
            Self::Unix { .. } => None,
        }
    }
}

/// A client that vanished without a word is noticed by the system: where nothing is said, and where what we said is not
/// taken.
fn watch(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(ALIVE_AFTER).with_interval(ALIVE_EVERY);
    socket.set_tcp_keepalive(&keepalive.with_retries(ALIVE_TRIES_MAX))?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(TAKEN_WITHIN))?;
    Ok(())
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { local, .. } => write!(f, "{local}"),
            #[cfg(unix)]
            Self::Unix { file, .. } => write!(f, "{}", file.path.display()),
        }
    }
}

/// The file of a socket of ours; removed with it, unless another has taken its place.
#[cfg(unix)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

#[cfg(unix)]
impl SocketFile {
    fn new(path: &Path, draft: &Path) -> io::Result<Self> {
        let (device, inode) = identity(draft)?;
        Ok(Self { path: path.to_owned(), device, inode })
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == (self.device, self.inode)) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// A folder that only we may enter, beside the socket's place; gone when the socket has moved out.
#[cfg(unix)]
struct Nest(PathBuf);

#[cfg(unix)]
impl Nest {
    fn new(path: &Path) -> io::Result<Self> {
        let mut mark = [0; 4];
        getrandom::fill(&mut mark).map_err(|error| io::Error::other(error.to_string()))?;
        // A short name: the path of a socket may have about a hundred bytes.
        let nest = path.with_file_name(format!(".{:x}", u32::from_ne_bytes(mark)));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&nest)?;
        Ok(Self(nest))
    }
}

#[cfg(unix)]
impl Drop for Nest {
    fn drop(&mut self) {
        std::fs::remove_file(self.0.join("s")).ok();
        std::fs::remove_dir(&self.0).ok();
    }
}

/// A socket on which nobody answers was left by a run that was killed, and may be replaced. Nothing else may.
#[cfg(unix)]
async fn make_way(path: &Path) -> Result<(), BindError> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::Unix { file: path.to_owned(), error }),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NoSocket(path.to_owned())),
        Ok(_) => {}
    }
    match tokio::time::timeout(PROBE_WITHIN, tokio::net::UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Whoever is too busy to answer is there all the same.
        Ok(Ok(_) | Err(_)) | Err(_) => Err(BindError::Taken(path.to_owned())),
    }
}

/// When a silent client is first asked whether it is there, how often then, and how often in vain.
const ALIVE_AFTER: Duration = Duration::from_secs(30);
const ALIVE_EVERY: Duration = Duration::from_secs(10);
const ALIVE_TRIES_MAX: u32 = 3;
/// How long a client may leave what was sent without a sign of it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// Connections that wait to be accepted; the system may keep fewer.
const BACKLOG_MAX: u32 = 1024;
#[cfg(unix)]
const PROBE_WITHIN: Duration = Duration::from_secs(1);

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn h14_a_client_that_vanished_is_noticed_by_the_system() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        watch(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), ALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), ALIVE_EVERY);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), ALIVE_TRIES_MAX);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(TAKEN_WITHIN));
    }
}
