//! Requests as a client writes them, and what is wrong with some.

pub const ASKABLE: &str = r#"{"elicitation":{},"roots":{"listChanged":true}}"#;
pub const TOKEN: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
pub const DOORS: [&str; 4] = ["/mcp", "/mcp/g", "/servers/a/mcp", "/servers/b/mcp"];
pub const REVISIONS: [&str; 5] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "1999-01-01"];
pub const IDS: [&str; 8] = ["1", "\"a\"", "2", "-7", "\"\"", "\"1\"", "9007199254740993", "\"\\u00e9\""];

/// One thing that is other than it should be, or only unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    None,
    Chunked,
    Continue,
    Close,
    LoopbackOrigin,
    AbsoluteUri,
    Filler,
    NoHost,
    EvilHost,
    EvilOrigin,
    NoToken,
    WrongToken,
    Accept,
    ContentType,
    Version,
    TwoSessions,
    OtherDoor,
    Preflight,
}

const QUIRKS: [Quirk; 18] = [
    Quirk::None,
    Quirk::Chunked,
    Quirk::Continue,
    Quirk::Close,
    Quirk::LoopbackOrigin,
    Quirk::AbsoluteUri,
    Quirk::Filler,
    Quirk::NoHost,
    Quirk::EvilHost,
    Quirk::EvilOrigin,
    Quirk::NoToken,
    Quirk::WrongToken,
    Quirk::Accept,
    Quirk::ContentType,
    Quirk::Version,
    Quirk::TwoSessions,
    Quirk::OtherDoor,
    Quirk::Preflight,
];

/// What a request is, as far as it matters to what is wrong with it.
pub struct Circumstances<'a> {
    pub method: &'a str,
    pub for_pipe: bool,
    pub is_unix: bool,
    pub with_token: bool,
    /// It names a session by its header.
    pub is_named: bool,
}

impl Quirk {
    /// Most requests have none.
    pub fn of(byte: u8) -> Self {
        QUIRKS.get(usize::from(byte).wrapping_sub(0xc0)).copied().unwrap_or(Self::None)
    }

    /// The only statuses that a request with it may have. None: it changes nothing.
    pub fn statuses(self, of: &Circumstances<'_>) -> &'static [u16] {
        match self {
            Self::NoHost | Self::EvilHost if !of.is_unix => &[403],
            Self::EvilOrigin => &[403],
            Self::Preflight => &[403],
            Self::NoToken | Self::WrongToken if of.with_token => &[401, 429],
            Self::Accept if of.method != "DELETE" && !(of.for_pipe && of.method == "POST") => &[406],
            Self::ContentType if of.method == "POST" && !of.for_pipe => &[415],
            Self::ContentType if of.method == "POST" => &[404, 415],
            Self::Version if !of.for_pipe => &[400],
            Self::TwoSessions if of.is_named => &[400],
            Self::OtherDoor if of.is_named => &[404],
            _ => &[],
        }
    }
}

pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub session: Option<&'a str>,
    pub revision: Option<&'a str>,
    pub after: Option<&'a str>,
    pub body: Option<&'a [u8]>,
    pub quirk: Quirk,
    pub with_token: bool,
}

impl Request<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        use std::fmt::Write;
        let quirk = self.quirk;
        let method = if quirk == Quirk::Preflight { "OPTIONS" } else { self.method };
        let origin = if quirk == Quirk::AbsoluteUri { "http://127.0.0.1:8808" } else { "" };
        let mut head = format!("{method} {origin}{} HTTP/1.1\r\n", self.target);
        let mut line = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        match quirk {
            Quirk::NoHost => {}
            Quirk::EvilHost => line("host", "evil.example"),
            _ => line("Host", "127.0.0.1:8808"),
        }
        match quirk {
            Quirk::EvilOrigin => line("origin", "https://evil.example"),
            Quirk::LoopbackOrigin => line("origin", "http://localhost:3000"),
            Quirk::Preflight => {
                line("origin", "https://evil.example");
                line("access-control-request-method", "POST");
            }
            _ => {}
        }
        match (self.with_token, quirk) {
            (false, _) | (_, Quirk::NoToken) => {}
            (true, Quirk::WrongToken) => line("authorization", "Bearer 0123456789abcdefghijklmnopqrstuvwxyz"),
            (true, _) => line("authorization", &format!("Bearer {TOKEN}")),
        }
        match (quirk, self.method) {
            (Quirk::Accept, _) => line("accept", "text/html, application/json;q=0"),
            (_, "GET") => line("accept", "text/event-stream"),
            _ => line("accept", "application/json, text/event-stream"),
        }
        if let Some(session) = self.session {
            line("mcp-session-id", session);
            if quirk == Quirk::TwoSessions {
                line("mcp-session-id", session);
            }
        }
        match (quirk, self.revision) {
            (Quirk::Version, _) => line("mcp-protocol-version", "1"),
            (_, Some(revision)) => line("mcp-protocol-version", revision),
            (_, None) => {}
        }
        if let Some(after) = self.after {
            line("last-event-id", after);
        }
        match quirk {
            Quirk::Continue if self.body.is_some() => line("expect", "100-continue"),
            Quirk::Close => line("connection", "close"),
            Quirk::Filler => (0..40).for_each(|number| line(&format!("x-{number}"), "filler")),
            _ => {}
        }
        let Some(body) = self.body else {
            head.push_str("\r\n");
            return head.into_bytes();
        };
        let kind = if quirk == Quirk::ContentType { "text/plain" } else { "application/json; charset=utf-8" };
        line("content-type", kind);
        if quirk != Quirk::Chunked {
            let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
            return [head.as_bytes(), body].concat();
        }
        head.push_str("transfer-encoding: chunked\r\n\r\n");
        let mut bytes = head.into_bytes();
        for chunk in body.chunks(50) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }
}

pub fn initialize(revision: &str, capabilities: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{capabilities},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    )
}

pub fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

pub fn note(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

pub fn call(id: &str, tool: &str, mark: &str) -> String {
    let params = format!(
        r#"{{"name":"{tool}","arguments":{{"mark":"{mark}"}},"_meta":{{"progressToken":"{mark}"}}}}"#
    );
    request(id, "tools/call", &params)
}
