//! The bearer token: where it is kept, how it is made, how it is compared.
//!
//! It lives in one file that nobody but its owner reads, is made once and never printed. Comparing is done on
//! digests, in the same time whatever is compared.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::config::Secret;
use crate::config::listen::{TOKEN_CHARS_MAX, TOKEN_CHARS_MIN, is_strong};
use crate::system::private;
use crate::wire::same::is_same;

/// A token and the file it came from.
#[derive(Debug)]
pub struct Token {
    value: Secret,
    file: PathBuf,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The file was there.
    Found,
    /// There was no file: this run made it.
    Made,
}

/// What stands in memory for a token. Says nothing of it. As a key of a table it is compared as fast as can be: how near it
/// is to another says nothing of how near the tokens are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error(
        "no folder to keep the token in: neither XDG_STATE_HOME nor HOME is set; name a file in `listen.token_file`"
    )]
    NoFolder,
    #[error("`{}`: {error}", file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("`{}` is no regular file", .0.display())]
    NoFile(PathBuf),
    #[error("`{}` can be read by others (mode {mode:o}); `chmod 600` it, and make a new token if others may have seen it", file.display())]
    Open { file: PathBuf, mode: u32 },
    #[error("`{}` holds no token of at least {TOKEN_CHARS_MIN} visible ASCII characters on one line; remove it, and a new one is made", .0.display())]
    Weak(PathBuf),
}

impl Token {
    /// Reads the token, or makes one where there is no file. `file`: `listen.token_file`; without it, one of ours
    /// in the user's state folder, which `variable` leads to.
    pub fn find_or_make(
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, TokenError> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => private::state_folder(variable).ok_or(TokenError::NoFolder)?.join("token"),
        };
        match read(&file) {
            Err(TokenError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(value) => return Ok(Self { value, file, origin: Origin::Found }),
        }
        let origin = make(&file).map_err(|error| TokenError::Io { file: file.clone(), error })?;
        // Another run may have been faster; what is in the file is what holds.
        Ok(Self { value: read(&file)?, file, origin })
    }

    pub fn value(&self) -> &Secret {
        &self.value
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    pub fn digest(&self) -> Digest {
        Digest::of(self.value.expose().as_bytes())
    }
}

impl Digest {
    pub(crate) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Takes as long for a near miss as for any other: all 32 bytes are looked at, and they are of digests.
    pub(crate) fn is(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }

    /// Whether it is this token's.
    #[cfg(test)]
    fn is_of(&self, token: &[u8]) -> bool {
        self.is(&Self::of(token))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn read(file: &Path) -> Result<Secret, TokenError> {
    let io = |error| TokenError::Io { file: file.to_owned(), error };
    // Asked before it is opened: opening a pipe would wait for somebody to write into it.
    if !fs::metadata(file).map_err(io)?.is_file() {
        return Err(TokenError::NoFile(file.to_owned()));
    }
    let opened = File::open(file).map_err(io)?;
    let mode = private::mode(&opened.metadata().map_err(io)?);
    if mode & 0o077 != 0 {
        return Err(TokenError::Open { file: file.to_owned(), mode });
    }
    let mut text = Vec::new();
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(io)?;
    let token = text.trim_ascii();
    let whole = text.len() as u64 <= FILE_BYTES_MAX;
    match str::from_utf8(token) {
        Ok(token) if whole && is_strong(token) => Ok(Secret::new(token)),
        Ok(_) | Err(_) => Err(TokenError::Weak(file.to_owned())),
    }
}

/// The file is there whole or not at all, and nobody's file is replaced.
fn make(file: &Path) -> io::Result<Origin> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    let line = format!("{}\n", base64url(&secret));
    private::make_once(file, line.as_bytes()).map(|made| if made { Origin::Made } else { Origin::Found })
}

/// RFC 4648, 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let three = [0, 1, 2].map(|place| u32::from(group.get(place).copied().unwrap_or(0)));
        let bits = three[0] << 16 | three[1] << 8 | three[2];
        for place in 0..=group.len() {
            text.push(match (bits >> (18 - 6 * place) & 63) as u8 {
                low @ 0..=25 => char::from(b'A' + low),
                mid @ 26..=51 => char::from(b'a' + (mid - 26)),
                digit @ 52..=61 => char::from(b'0' + (digit - 52)),
                62 => '-',
                _ => '_',
            });
        }
    }
    text
}

/// The longest token, and the end of its line.
const FILE_BYTES_MAX: u64 = TOKEN_CHARS_MAX as u64 + 1;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn none(_: &str) -> Option<OsString> {
        None
    }

    fn made(file: &Path, text: &str, mode: u32) {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_token_is_made_once_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let variable = |name: &str| (name == "HOME").then(|| home.path().as_os_str().to_owned());
        let first = Token::find_or_make(None, variable).unwrap();
        assert_eq!(first.origin(), Origin::Made);
        assert_eq!(first.file(), home.path().join(".local/state/braid/token"));
        assert_eq!(first.value().expose().len(), 43);
        assert_eq!(fs::metadata(first.file()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(first.file().parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let left: Vec<_> = fs::read_dir(first.file().parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "no draft is left");
        let second = Token::find_or_make(None, variable).unwrap();
        assert_eq!((second.origin(), second.value()), (Origin::Found, first.value()));
    }

    #[test]
    fn two_folders_have_two_tokens() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let make =
            |home: &tempfile::TempDir| Token::find_or_make(Some(&home.path().join("t")), none).unwrap();
        assert_ne!(make(&one).value(), make(&other).value());
    }

    #[test]
    fn many_runs_at_once_agree_on_one_token() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a/b/token");
        let tokens: Vec<Token> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Token::find_or_make(Some(&file), none).unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        assert!(tokens.iter().all(|token| token.value() == tokens[0].value()));
        assert_eq!(tokens.iter().filter(|token| token.origin() == Origin::Made).count(), 1);
    }

    #[test]
    fn a_file_that_others_read_or_that_holds_too_little_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("token");
        let whole = "x".repeat(32);
        for (text, mode, sentence) in [
            (whole.as_str(), 0o640, "can be read by others (mode 640)"),
            (&whole, 0o604, "can be read by others (mode 604)"),
            ("", 0o600, "holds no token"),
            (&"x".repeat(31), 0o600, "holds no token"),
            (&format!("{whole} {whole}"), 0o600, "holds no token"),
            (&format!("{whole}\n{whole}"), 0o600, "holds no token"),
            (&"ä".repeat(32), 0o600, "holds no token"),
            (&"x".repeat(5000), 0o600, "holds no token"),
        ] {
            made(&file, text, mode);
            let error = Token::find_or_make(Some(&file), none).unwrap_err().to_string();
            assert!(error.contains(sentence) && !error.contains("xxx"), "{error}");
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "nobody's file is replaced");
        }
        made(&file, &format!("  {whole}\r\n"), 0o400);
        assert_eq!(Token::find_or_make(Some(&file), none).unwrap().value().expose(), whole);
        let error = Token::find_or_make(Some(home.path()), none).unwrap_err().to_string();
        assert!(error.contains("is no regular file"), "{error}");
        assert!(matches!(Token::find_or_make(None, none), Err(TokenError::NoFolder)));
    }

    #[test]
    fn a_token_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let token = Token::find_or_make(Some(&home.path().join("t")), none).unwrap();
        assert!(!format!("{token:?} {:?}", token.digest()).contains(token.value().expose()));
    }

    #[test]
    fn only_the_token_is_the_token() {
        let digest = Digest::of(b"abcdef");
        assert!(digest.is_of(b"abcdef"));
        for other in [&b""[..], b"abcde", b"abcdeg", b"Abcdef", b"abcdef "] {
            assert!(!digest.is_of(other));
        }
    }

    #[test]
    fn the_alphabet_is_safe_in_urls() {
        assert_eq!(base64url(&[0xfb, 0xff, 0xbf, 0xfb]), "-_-_-w");
        assert_eq!(base64url(b"fooba"), "Zm9vYmE");
    }
}
