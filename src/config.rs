//! What Braid was told to do: resolved, valid, nothing left to interpret.
//!
//! Owns the settings of one run and their defaults. It never reads a file, the environment or a
//! clock: `config::file` does that, and everything here is plain data that any floor may read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod access_section;
pub mod address;
pub mod app;
mod client;
mod client_entry;
mod client_file;
mod client_tools;
pub mod codes;
mod command_line;
mod cover;
pub mod edit;
pub mod env_file;
pub mod example;
pub mod file;
pub mod filters;
pub mod fixed;
pub mod group_section;
pub mod identity_provider;
pub mod import;
mod imported;
pub mod json_schema;
mod json_value;
pub mod lasting;
mod layers;
pub mod listen;
mod listen_section;
mod loaded;
pub mod ourselves;
pub mod own_entry;
pub mod pattern;
pub mod places;
pub mod problem;
pub mod rate;
pub mod remote;
mod resolve;
pub mod schema;
pub mod search;
mod section;
mod server_section;
pub mod shown;
mod strict_json;
pub mod toml_text;
pub mod translate;
mod tree;
pub mod units;
pub mod values;
pub mod variables;

pub use filters::{Filter, Filters};
pub use identity_provider::{Algorithm, IdentityProvider, Introspection, KeySource, ProviderClient};
pub use rate::Rate;
pub use toml_text::key as toml_key;

/// The settings of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it came from, in words for people: a path, or `command line`.
    pub origin: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    pub identity: Identity,
    pub names: Names,
    /// How long the first list waits for slow servers.
    pub first_list: Duration,
    pub limits: Limits,
    pub log: Log,
    /// How those reach us who look after us.
    pub admin: Admin,
    /// How clients reach us over HTTP.
    pub listen: Listen,
    /// In the order of the file, which is the order of every list. Disabled servers are not here.
    pub servers: Vec<ServerConfig>,
    /// Doors to some of the servers: `/mcp/NAME`, `stdio --group NAME`.
    pub groups: Vec<Group>,
    /// Who may use what: all rules that are for somebody together. Empty: whoever is let in may use everything.
    pub access: Vec<AccessRule>,
}

/// Where and to whom we listen. Only `serve` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Never empty.
    pub addresses: Vec<Address>,
    pub auth: Auth,
    /// Where the bearer token is kept; made on the first start. `None`: a file of ours in the user's state folder.
    pub token_file: Option<PathBuf>,
    /// The identity provider whose tokens let clients in, where `auth` says so.
    pub oauth: Option<IdentityProvider>,
    /// Tokens beside that one, each with its holder; no two are the same. In the order of the file.
    pub tokens: Vec<NamedToken>,
    /// `Host` values beyond the addresses listened on and the names of loopback, without a port.
    pub hosts: Vec<String>,
    /// Origins that a browser's page may come from, as the header writes them. Loopback's are allowed besides.
    pub origins: Vec<String>,
    /// What ends TLS before us.
    ///
    /// An address, or a network in the form of `10.0.0.0/8`.
    pub trusted_proxy: Option<String>,
    /// What people's browsers call us, without a path of ours.
    pub public_url: Option<String>,
    pub tls: Option<Tls>,
    /// Whether clients of 2024-11-05 are served: `/sse` and `/messages`.
    pub legacy_sse: bool,
    /// How long a POST waits for a result before it is answered with a stream.
    pub stream_after: Duration,
    /// Between two comments on a silent stream.
    pub keep_alive: Duration,
    /// A session ends after so long without a request or an open stream.
    pub session_idle: Duration,
    /// How long we let what is in flight finish when we are told to stop.
    pub grace: Duration,
    pub limits: ListenLimits,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A bearer token on every request.
    Token,
    /// A bearer token on every request, of the identity provider or of a holder in `tokens`.
    OAuth,
    /// Whoever reaches us is served. Must be written out, and is refused off loopback.
    None,
}

/// A token that the configuration names, and what its holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedToken {
    /// Of the holder.
    pub name: String,
    pub token: Secret,
    /// Names of scopes, as a token of an identity provider holds them.
    pub scopes: Vec<String>,
}

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Whose certificates clients may show. `None`: they are asked for none.
    pub clients: Option<ClientCertificates>,
}

/// Certificates of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Who makes them, in PEM.
    pub ca: PathBuf,
    /// A connection without one does not come about.
    pub are_required: bool,
}

/// Bounds of the HTTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenLimits {
    pub connections_max: usize,
    /// From one address; not for loopback, Unix sockets and the trusted proxy.
    pub connections_per_address_max: usize,
    pub sessions_max: usize,
    /// Of one principal. Unless it is written out, all of them where there is one: there is nobody to be fair to.
    pub sessions_per_principal_max: usize,
    /// Events kept of one stream for a client that comes back, their bytes, and for how long.
    pub replay_events_max: usize,
    pub replay_bytes_max: usize,
    pub replay_kept: Duration,
    /// The same of all streams together.
    pub replay_total_bytes_max: usize,
    /// From the connection to the end of the request's head, and of its body.
    pub head_within: Duration,
    pub body_within: Duration,
}

/// A door to some of the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Keys of servers, in the order of the configuration. Never empty.
    pub servers: Vec<String>,
    /// What of them is shown there, beside what each server's own filters show.
    pub filters: Filters,
}

/// What some may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    pub name: String,
    /// Patterns of principals whom it is for.
    pub principals: Vec<String>,
    /// What a request's token must say besides, all of it.
    pub scopes: Vec<String>,
    /// Patterns of keys of servers.
    pub servers: Vec<String>,
    /// Patterns of groups by whose doors alone it holds. Empty: by every door.
    pub groups: Vec<String>,
    /// What of the servers it shows, in a group's form. A kind of which nothing is said while another's `allow` is written is
    /// not shown at all.
    pub filters: Filters,
}

/// Who we say we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub title: Option<String>,
    pub instructions: Instructions,
    /// Longest merged `instructions`, in bytes.
    pub instructions_bytes_max: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instructions {
    Merge,
    None,
    Text(String),
}

/// How names are made (see `routing::names`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub prefix: PrefixMode,
    pub separator: String,
    /// Longest exposed name, in characters.
    pub length_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixMode {
    Always,
    OnCollision,
    Never,
}

/// Every bound that is not a server's own. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub client_message_bytes_max: usize,
    pub server_message_bytes_max: usize,
    /// Nesting of a client's message, and of whatever is read into a tree.
    pub depth_max: usize,
    /// Values in one client message, and in whatever is read into a tree.
    pub elements_max: usize,
    pub id_bytes_max: usize,
    pub session_in_flight_max: usize,
    /// Requests of one session that wait for a place before the answer is `busy`.
    pub session_waiting_max: usize,
    pub total_in_flight_max: usize,
    /// Requests and states that wait for clients to come back with what they were asked (2026-07-28).
    pub parked_max: usize,
    /// Bytes that wait: requests for servers, and what servers say for clients (see `upstream::memory`).
    pub buffered_bytes_max: usize,
    /// Bytes that wait to be written to one server.
    pub link_bytes_max: usize,
    /// Servers between fork and their first byte on stdout, at once.
    pub starting_max: usize,
    pub list_pages_max: usize,
    pub list_items_max: usize,
    pub list_item_bytes_max: usize,
    pub list_bytes_max: usize,
    /// Items on one page that we hand to a client.
    pub page_items_max: usize,
    /// Links that one server may have at once.
    pub links_max: usize,
    /// Elements of one batch (2025-03-26 only).
    pub batch_max: usize,
    /// What one client may ask of all servers together. `None`: as much as it likes.
    pub rate: Option<Rate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A `tracing` filter directive, such as `info` or `info,mcp_braid::upstream=debug`.
    pub level: String,
    pub format: LogFormat,
    /// `None`: stderr.
    pub file: Option<PathBuf>,
    /// Names of members whose values are shown to nobody, with `*` for any letters; the case of letters does not matter.
    pub redact: Vec<String>,
}

/// How those reach us who look after us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    pub socket: AdminSocket,
    /// Where metrics and status can be read over HTTP. `None`: nowhere.
    pub http: Option<SocketAddr>,
    /// Tools are counted each by itself.
    pub labels_tools: bool,
    /// Every call is written down there. `None`: nowhere.
    pub audit: Option<PathBuf>,
    /// No call goes on that cannot be written down.
    pub audit_is_required: bool,
    /// The configuration is read anew when its file changes.
    pub watch_config: bool,
    /// Lists of servers are kept over the end of a run, and shown by the next until they are heard.
    pub catalog_cache: bool,
}

/// The socket by which `braid status` and the like find a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminSocket {
    /// In a folder of the user's, one for each run.
    Auto,
    Off,
    At(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// One server, with the defaults already laid under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// As the file writes it; may hold any character.
    pub key: String,
    pub title: Option<String>,
    pub reach: Reach,
    pub prefix: Prefix,
    pub uris: Uris,
    pub sharing: Sharing,
    pub protocol: Protocol,
    /// The commands that wait for servers fail when this one cannot start.
    pub required: bool,
    /// Whether those may use it who say nothing of who they are, though it is sent a credential of ours.
    pub allow_anonymous: bool,
    pub timeouts: Timeouts,
    /// What of it is shown to clients.
    pub filters: Filters,
    /// Per tool, by the server's own name for it.
    pub tools: BTreeMap<String, ToolConfig>,
    pub restart: Restart,
    pub backoff: Backoff,
    /// Requests in flight at this server.
    pub in_flight_max: usize,
    /// Requests that wait for a place before the answer is `busy`.
    pub waiting_max: usize,
    /// What one client may ask of it. `None`: as much as it likes.
    pub rate: Option<Rate>,
    /// What of a tool's result, or of a resource, is passed on. `None`: all.
    pub result_bytes_max: Option<usize>,
    pub cache: CacheConfig,
    pub stderr: Stderr,
    /// For the programs that are started for it.
    pub path_from_shell: PathFromShell,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Stdio(Command),
    Http(Remote),
}

/// A server at a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// `http` or `https`, without user, password and fragment.
    pub url: String,
    /// Whether some of it came from elsewhere: then of what stands behind the host nothing is shown.
    pub is_referred: bool,
    pub transport: Transport,
    /// Sent with every request: valid names and values, none of them one of ours.
    pub headers: Vec<(String, Secret)>,
    /// A program whose stdout is a JSON object of further headers; run without a shell before each connection.
    pub headers_command: Option<Command>,
    /// Trusted besides the system's roots, in PEM.
    pub ca_file: Option<PathBuf>,
    /// `None`: no login is looked for.
    pub oauth: Option<Box<OAuth>>,
}

/// How leave is obtained at a server that wants OAuth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuth {
    pub grant: Grant,
    /// Our name at its issuer, where one was given out for us.
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    /// A URL at which a document says who we are; its issuer is told the URL in place of a name.
    pub client_metadata_url: Option<String>,
    /// What rights are asked for. Empty: those that the server wants.
    pub scopes: Vec<String>,
    /// The only issuer that is believed. `None`: the one that the server names, which is never shown what a caller shows us.
    pub issuer: Option<String>,
    /// Trusted when the issuer is asked, where the server's own setting says nothing: what the clients' identity provider has,
    /// if it is that one.
    pub issuer_ca_file: Option<PathBuf>,
    /// What the issuer calls the server, where it goes by that rather than by its URL. For an exchange.
    pub audience: Option<String>,
    /// Where the browser comes back to. 0: any free port.
    pub callback_port: u16,
    /// Each whom we serve needs a login of his own.
    pub is_per_principal: bool,
}

/// What a token is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grant {
    /// A person's agreement, in a browser.
    #[default]
    Code,
    /// Our own secret: nobody is asked.
    Client,
    /// The token that the caller shows us, at the issuer of the configuration (RFC 8693). Each caller is reached with what is
    /// made of his own.
    Exchange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP, and HTTP+SSE where the server knows nothing else.
    Auto,
    Http,
    Sse,
}

/// A program and its arguments, run without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    /// Declared variables only; what every child gets is added at spawn.
    pub env: Vec<(String, Secret)>,
    pub folder: PathBuf,
    /// Names of our own variables that this child gets as well, beyond the short list.
    pub inherit_env: Vec<String>,
}

/// What stands before a server's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefix {
    /// As `names.prefix` says, made of the key.
    Key,
    /// Written out for this server.
    Text(String),
    /// None: `prefix = ""`, or the only server of a run without a file.
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uris {
    /// They follow the prefix.
    Prefixed,
    /// As the server writes them.
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    Auto,
    Shared,
    Session,
}

/// How a server is greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// It is asked whether it does without a handshake, and greeted with `initialize` if it does not.
    Auto,
    /// With `initialize`, and the revision that its client speaks.
    Handshake,
    /// As this revision has it.
    Revision(String),
}

impl Sharing {
    /// Whether each client gets an instance of its own; `alone`: its door serves nobody else.
    pub fn is_per_client(self, alone: bool) -> bool {
        match self {
            Self::Auto => alone,
            Self::Shared => false,
            Self::Session => true,
        }
    }
}

/// Which results of a server are kept, so that it need not be asked for the same again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheConfig {
    /// Results of tools that say that they change nothing, for so long. `None`: none.
    pub tools: Option<Duration>,
    /// What was read of resources.
    pub resources: Option<Duration>,
    pub entries_max: usize,
    pub bytes_max: usize,
}

/// How long we wait for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From spawn to the end of the handshake.
    pub start: Duration,
    /// One page of a list.
    pub list: Duration,
    /// Silence during a tool call; progress starts it anew.
    pub call: Duration,
    /// A tool call in all, progress or not. `None`: no maximum.
    pub call_max: Option<Duration>,
    /// Silence during resources/read, prompts/get and completion/complete.
    pub read: Duration,
    /// What a client may take to answer when a server asks it something.
    pub ask: Duration,
    /// A remote server from which nothing was heard for this long is pinged. `None`: never.
    pub ping: Option<Duration>,
}

/// What is set for one tool. By default nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolConfig {
    pub call: Option<Duration>,
    pub call_max: Option<Duration>,
    /// How often one client may call it.
    pub rate: Option<Rate>,
    /// What of its result is passed on, whatever the server's; 0: all.
    pub result_bytes_max: Option<usize>,
    /// `false`: it is neither listed nor callable.
    pub enabled: bool,
    /// What it is called instead of its own name, before names are made fit for clients.
    pub name: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    /// Arguments for calls that bring none of the name: each as JSON, in the order of the file.
    pub defaults: Vec<(String, Secret)>,
    /// Arguments that clients neither see nor give.
    pub hidden: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// After a crash or a lost pipe, not after an exit with status 0.
    OnFailure,
    Always,
    Never,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    pub min: Duration,
    pub max: Duration,
    /// Healthy for this long: the count of failures starts anew.
    pub reset_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    Log,
    Inherit,
    Drop,
}

/// Whether the user's login shell is asked where programs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFromShell {
    /// Where a desktop app started us with the short PATH of the system.
    Auto,
    Always,
    Never,
}

/// A value that no log, error or `Debug` shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Config {
    /// The defaults, with no server.
    pub fn new(origin: &str, folder: &Path) -> Self {
        Self {
            origin: origin.to_owned(),
            folder: folder.to_owned(),
            identity: Identity::default(),
            names: Names::default(),
            first_list: Duration::from_secs(4),
            limits: Limits::default(),
            log: Log::default(),
            admin: Admin::default(),
            listen: Listen::default(),
            servers: Vec::new(),
            groups: Vec::new(),
            access: Vec::new(),
        }
    }
}

impl ServerConfig {
    /// The defaults of a server that is reached so.
    pub fn new(key: &str, reach: Reach) -> Self {
        Self {
            key: key.to_owned(),
            title: None,
            reach,
            prefix: Prefix::Key,
            uris: Uris::Prefixed,
            sharing: Sharing::Auto,
            protocol: Protocol::Auto,
            required: false,
            allow_anonymous: false,
            timeouts: Timeouts::default(),
            filters: Filters::default(),
            tools: BTreeMap::new(),
            restart: Restart::OnFailure,
            backoff: Backoff::default(),
            in_flight_max: 256,
            waiting_max: 256,
            rate: None,
            result_bytes_max: None,
            cache: CacheConfig::default(),
            stderr: Stderr::Log,
            path_from_shell: PathFromShell::Auto,
        }
    }
}

impl ServerConfig {
    /// Whether it is sent something of ours that lets us in: headers, a URL that has a query or was made of references, what
    /// our own secret gets us at its issuer. What a program is told by its variables is its own affair; a login of a person
    /// comes and goes while we run, and whoever uses it judges that.
    pub fn holds_credential(&self) -> bool {
        match &self.reach {
            Reach::Stdio(_) => false,
            Reach::Http(remote) => {
                !remote.headers.is_empty()
                    || remote.headers_command.is_some()
                    || remote.is_referred
                    || remote.url.contains('?')
                    || remote.oauth.as_ref().is_some_and(|oauth| oauth.client_secret.is_some())
            }
        }
    }

    /// Whether it is reached with a token that is made of the caller's own.
    pub fn is_reached_by_grant(&self) -> bool {
        let Reach::Http(remote) = &self.reach else { return false };
        remote.oauth.as_ref().is_some_and(|oauth| oauth.grant == Grant::Exchange)
    }

    /// Whether those are kept out who say nothing of who they are: we would lend them what lets us in.
    pub fn keeps_out_anonymous(&self) -> bool {
        self.holds_credential() && !self.allow_anonymous
    }
}

impl AccessRule {
    /// A rule that gives everybody everything.
    pub fn new(name: &str) -> Self {
        let all = || vec!["*".to_owned()];
        Self {
            name: name.to_owned(),
            principals: all(),
            scopes: Vec::new(),
            servers: all(),
            groups: Vec::new(),
            filters: Filters::default(),
        }
    }
}

impl Group {
    /// A door that shows all of these servers.
    pub fn new(name: &str, servers: Vec<String>) -> Self {
        Self { name: name.to_owned(), servers, filters: Filters::default() }
    }
}

impl Default for ToolConfig {
    fn default() -> Self {
        Self {
            call: None,
            call_max: None,
            rate: None,
            result_bytes_max: None,
            enabled: true,
            name: None,
            title: None,
            description: None,
            defaults: Vec::new(),
            hidden: Vec::new(),
        }
    }
}

impl Command {
    /// A program without arguments, in this folder, with no variables but those that every child gets.
    pub fn new(program: &str, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            folder: folder.to_owned(),
            inherit_env: Vec::new(),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            name: "braid".to_owned(),
            title: None,
            instructions: Instructions::Merge,
            instructions_bytes_max: 2 * 1024,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self { prefix: PrefixMode::Always, separator: "__".to_owned(), length_max: 52 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            client_message_bytes_max: 16 * MIB,
            server_message_bytes_max: 64 * MIB,
            depth_max: 127,
            elements_max: 100_000,
            id_bytes_max: 1024,
            session_in_flight_max: 64,
            session_waiting_max: 1024,
            total_in_flight_max: 4096,
            parked_max: 16_384,
            buffered_bytes_max: 512 * MIB,
            link_bytes_max: 64 * MIB,
            starting_max: 8,
            list_pages_max: 100,
            list_items_max: 1000,
            list_item_bytes_max: 64 * 1024,
            list_bytes_max: 8 * MIB,
            page_items_max: 1000,
            links_max: 1024,
            batch_max: 32,
            rate: None,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            addresses: vec![Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8808)))],
            auth: Auth::Token,
            token_file: None,
            oauth: None,
            tokens: Vec::new(),
            hosts: Vec::new(),
            origins: Vec::new(),
            trusted_proxy: None,
            public_url: None,
            tls: None,
            legacy_sse: true,
            stream_after: Duration::from_millis(100),
            keep_alive: Duration::from_secs(15),
            session_idle: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(10),
            limits: ListenLimits::default(),
        }
    }
}

impl Default for ListenLimits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            connections_max: 1024,
            connections_per_address_max: 64,
            sessions_max: 1024,
            sessions_per_principal_max: 1024,
            replay_events_max: 256,
            replay_bytes_max: MIB,
            replay_kept: Duration::from_secs(60),
            replay_total_bytes_max: 64 * MIB,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(30),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        let redact = ["authorization", "*token*", "*secret*", "*password*", "*api*key*"];
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
            file: None,
            redact: redact.map(str::to_owned).to_vec(),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            socket: AdminSocket::Auto,
            http: None,
            labels_tools: true,
            audit: None,
            audit_is_required: false,
            watch_config: true,
            catalog_cache: false,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            list: Duration::from_secs(10),
            call: Duration::from_secs(120),
            call_max: Some(Duration::from_secs(30 * 60)),
            read: Duration::from_secs(30),
            ask: Duration::from_secs(30 * 60),
            ping: Some(Duration::from_secs(30)),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { tools: None, resources: None, entries_max: 1024, bytes_max: 16 * 1024 * 1024 }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
            reset_after: Duration::from_secs(60),
        }
    }
}
