//! The one table of everything that `braid.toml` can say: path, form, default, one line of what it is.
//!
//! The reader, its suggestions, the JSON Schema and the example file are all made from this table, so they
//! cannot disagree. It holds no value of a run. A key that Braid knows of but cannot do yet stands here too,
//! so that it is refused by name and never called unknown.

use super::address::is_network;
use super::{Address, access_section, identity_provider, listen, remote};

/// One key that may stand in `braid.toml`.
#[derive(Debug)]
pub struct Setting {
    /// From the top, with `.` between keys; `*` stands for a name that the user chooses.
    pub path: &'static str,
    pub form: Form,
    /// As TOML. `None`: there is no default, the key is required where it applies or a section.
    pub default: Option<&'static str>,
    /// One line, lower case, without a full stop.
    pub doc: &'static str,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Here,
    /// Known and refused; the text says what to do instead, and may be empty.
    NotYet(&'static str),
}

/// What the value of a key must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A table with the keys of this table.
    Section,
    /// A table of sections whose names the user chooses.
    Named,
    Flag,
    Text(Rule),
    Texts(Rule),
    /// A table of environment variables.
    Variables,
    /// A table of headers of HTTP.
    Headers,
    /// A table of values of any kind that JSON has.
    Values,
    Word(&'static [&'static str]),
    Count {
        min: usize,
        max: usize,
    },
    /// Text with a unit; bounds in bytes.
    Size {
        min: usize,
        max: usize,
    },
    /// Text with a unit; bounds in milliseconds. `off`: "0" is allowed as well.
    Time {
        min_ms: u64,
        max_ms: u64,
        off: bool,
    },
    /// Text: so many in a time; "0" is none.
    Rate,
}

/// What a text must look like, after its references are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Any,
    Program,
    Path,
    /// What stands before a server's names: empty, `auto`, or as clients allow.
    Prefix,
    Separator,
    Name,
    Filter,
    VariableName,
    /// What may be listened on.
    Address,
    /// A name that a request may call us by.
    Host,
    /// Where a browser's page may come from.
    Origin,
    /// An address with a port; may be empty.
    Admin,
    /// One peer, or a network of them; may be empty.
    Proxy,
    Url,
    /// A URL that nobody on the way can read; may be empty.
    Https,
    HeaderValue,
    /// Which names or URIs are meant: `*` stands for any text, `?` for one character.
    Glob,
    /// The same in a group, with the server in front.
    DoorGlob,
    /// Whom a rule of `[access]` is for.
    Principals,
    /// What a tool is to be called behind its server's prefix; may be empty.
    ToolName,
    /// What a client shows, as strong as those that we make.
    Token,
    /// What a token says that its bearer may do.
    Scope,
    /// An identity provider, or we ourselves; compared letter by letter; may be empty.
    Identifier,
    /// Where something of an identity provider is; may be empty.
    Place,
    /// How tokens may be signed.
    Algorithm,
    /// The name of a claim.
    Claim,
    /// What is kept to oneself; may be empty.
    Secret,
}

impl Rule {
    /// What was expected, when the text is not it.
    pub fn check(self, text: &str) -> Result<(), &'static str> {
        let fine = match self {
            Self::Any | Self::Path => !text.contains('\0'),
            Self::Program => !text.trim().is_empty() && !text.contains('\0'),
            Self::Prefix => text.is_empty() || (text.len() <= PREFIX_CHARS_MAX && is_name(text)),
            Self::Separator => {
                (1..=SEPARATOR_CHARS_MAX).contains(&text.len()) && text.bytes().all(is_name_byte)
            }
            Self::Name => (1..=64).contains(&text.len()) && is_name(text),
            Self::Filter => is_filter(text),
            Self::VariableName => super::variables::is_env_name(text),
            Self::Proxy => text.is_empty() || is_network(text),
            Self::Admin => text.is_empty() || text.parse::<std::net::SocketAddr>().is_ok(),
            Self::Address => return Address::parse(text).map(drop),
            Self::Host => return listen::judge_host(text),
            Self::Origin => return listen::judge_origin(text),
            Self::Url => return remote::judge_url(text),
            Self::Https => return remote::judge_https(text),
            Self::HeaderValue => return remote::judge_header_value(text),
            Self::Glob => is_glob(text),
            Self::DoorGlob => is_glob(text) && (text == "*" || text.contains('/')),
            Self::Principals => is_glob(text) && access_section::may_match_somebody(text),
            Self::ToolName => text.len() <= TOOL_NAME_BYTES_MAX && !text.chars().any(char::is_control),
            Self::Token => listen::is_strong(text),
            Self::Scope => listen::is_scope(text),
            Self::Secret => !text.contains(char::is_control),
            Self::Identifier | Self::Place if text.is_empty() => true,
            Self::Identifier => return identity_provider::judge_identifier(text),
            Self::Place => return identity_provider::judge_url(text),
            Self::Algorithm => return identity_provider::judge_algorithm(text),
            Self::Claim => return identity_provider::judge_claim(text),
        };
        if fine { Ok(()) } else { Err(self.expected()) }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Any => "expected text without NUL",
            Self::Path => "expected a path",
            Self::Program => "expected the name or the path of a program",
            Self::Prefix => {
                "expected \"\" or at most 32 of A-Z a-z 0-9 _ -, the first a letter, as clients allow in names"
            }
            Self::Separator => "expected 1 to 8 of A-Z a-z 0-9 _ -, as clients allow in names",
            Self::Name => "expected 1 to 64 of A-Z a-z 0-9 _ -, the first a letter",
            Self::Filter => {
                "expected off, error, warn, info, debug or trace, or a list such as \"info,mcp_braid::upstream=debug\""
            }
            Self::VariableName => "expected the name of an environment variable",
            Self::Proxy => "expected the proxy's address or network, such as \"10.0.0.5\" or \"10.0.0.0/8\"",
            Self::Glob => {
                "expected a pattern of 1 to 256 characters, such as \"delete_*\": * is any text, ? one character"
            }
            Self::DoorGlob => {
                "expected SERVER/PATTERN, such as \"github/delete_*\" or \"*/delete_*\": * is any text, ? one character"
            }
            Self::Principals => {
                "expected \"local\", \"bearer\", \"anonymous\", \"token:NAME\", \"oauth:NAME\" or \"cert:NAME\", or a pattern such as \"oauth:*\""
            }
            Self::ToolName => "expected at most 128 characters, without control characters",
            Self::Token => "expected a secret of 32 to 4095 visible ASCII characters, without blanks",
            Self::Scope => {
                "expected the name of a scope: visible ASCII characters but \" and \\, without blanks"
            }
            Self::Admin => "expected an address with a port, such as \"127.0.0.1:8809\"",
            Self::Secret => "expected text without control characters",
            // Their judges say more than one thing.
            Self::Address
            | Self::Host
            | Self::Origin
            | Self::Url
            | Self::Https
            | Self::HeaderValue
            | Self::Identifier
            | Self::Place
            | Self::Algorithm
            | Self::Claim => "",
        }
    }

    /// The same as a regular expression for the JSON Schema, where one says it.
    pub fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Any
            | Self::Path
            | Self::Program
            | Self::Filter
            | Self::Address
            | Self::Host
            | Self::Origin
            | Self::Admin
            | Self::Proxy
            | Self::HeaderValue
            | Self::ToolName
            | Self::Token
            | Self::Identifier
            | Self::Place
            | Self::Algorithm
            | Self::Claim
            | Self::Secret => None,
            Self::Https => Some("^([Hh][Tt][Tt][Pp][Ss]?://[^@#]+)?$"),
            Self::Scope => Some(r"^[!#-\[\]-~]{1,256}$"),
            Self::Glob | Self::Principals => Some("^.{1,256}$"),
            Self::DoorGlob => Some("^(\\*|.*/.*)$"),
            Self::Url => Some("^[Hh][Tt][Tt][Pp][Ss]?://[^@#]+$"),
            Self::Prefix => Some("^([A-Za-z][A-Za-z0-9_-]{0,31})?$"),
            Self::Separator => Some("^[A-Za-z0-9_-]{1,8}$"),
            Self::Name => Some("^[A-Za-z][A-Za-z0-9_-]{0,63}$"),
            Self::VariableName => Some("^[^=]+$"),
        }
    }
}

/// Longest `prefix` that may be written out.
pub const PREFIX_CHARS_MAX: usize = 32;
/// Longest `names.separator`.
pub const SEPARATOR_CHARS_MAX: usize = 8;

/// Longest pattern of a filter, in characters.
pub const GLOB_CHARS_MAX: usize = 256;
/// Longest name that a tool may be given.
pub const TOOL_NAME_BYTES_MAX: usize = 128;

fn is_glob(text: &str) -> bool {
    (1..=GLOB_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_name_byte)
}

// The filter's own parser takes a misspelt level for the name of a module and then logs everything.
fn is_filter(text: &str) -> bool {
    const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |level: &str| LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level));
    !text.is_empty()
        && text.split(',').all(|part| {
            part.split_once('=').map_or_else(
                || is_level(part),
                |(target, level)| {
                    !target.is_empty()
                        && target.bytes().all(|byte| is_name_byte(byte) || byte == b':')
                        && is_level(level)
                },
            )
        })
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

const PATIENCE: Form = Form::Time { min_ms: 100, max_ms: 24 * HOUR, off: false };
const PATIENCE_MAX: Form = Form::Time { min_ms: 100, max_ms: 24 * HOUR, off: true };
const DELAY: Form = Form::Time { min_ms: 10, max_ms: HOUR, off: false };
const PLACES: Form = Form::Count { min: 1, max: 65_536 };
const KEPT: Form = Form::Time { min_ms: 1, max_ms: 24 * HOUR, off: true };
const RESULT: Form = Form::Size { min: 0, max: GIB };
const QUEUE: Form = Form::Count { min: 0, max: 65_536 };
const SHARING: Form = Form::Word(&["auto", "shared", "session"]);
const PROTOCOL: Form =
    Form::Word(&["auto", "handshake", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]);
const RESTART: Form = Form::Word(&["on-failure", "always", "never"]);
const GLOBS: Form = Form::Texts(Rule::Glob);
const DOOR_GLOBS: Form = Form::Texts(Rule::DoorGlob);
const PRINCIPALS: Form = Form::Texts(Rule::Principals);
const PATH_FROM_SHELL: Form = Form::Word(&["auto", "always", "never"]);
const STDERR: Form = Form::Word(&["log", "inherit", "drop"]);

const fn here(path: &'static str, form: Form, default: &'static str, doc: &'static str) -> Setting {
    Setting { path, form, default: Some(default), doc, state: State::Here }
}

const fn section(path: &'static str, doc: &'static str) -> Setting {
    Setting { path, form: Form::Section, default: None, doc, state: State::Here }
}

/// A key without a default: what it says nobody can guess.
const fn told(path: &'static str, form: Form, doc: &'static str) -> Setting {
    Setting { path, form, default: None, doc, state: State::Here }
}

const fn named(path: &'static str, doc: &'static str) -> Setting {
    Setting { path, form: Form::Named, default: None, doc, state: State::Here }
}

const fn not_yet(path: &'static str, instead: &'static str) -> Setting {
    Setting { path, form: Form::Section, default: None, doc: "", state: State::NotYet(instead) }
}

/// Every key, in the order in which the example file shows them.
pub const SETTINGS: &[Setting] = &[
    here("version", Form::Count { min: 1, max: 1 }, "1", "version of this file's format"),
    section("identity", "who we say we are"),
    here("identity.name", Form::Text(Rule::Name), "\"braid\"", "the name that clients are told"),
    here("identity.title", Form::Text(Rule::Any), "\"\"", "the name for people; \"\" = none"),
    here(
        "identity.instructions",
        Form::Text(Rule::Any),
        "\"merge\"",
        "\"merge\" those of the servers | \"none\" | your own text",
    ),
    here(
        "identity.instructions_budget",
        Form::Size { min: 0, max: MIB },
        "\"2KiB\"",
        "longest merged instructions; some clients cut at 2 KB",
    ),
    section("names", "names that the model sees"),
    here(
        "names.prefix",
        Form::Word(&["always", "on-collision", "never"]),
        "\"always\"",
        "put the server's name before a tool's: \"always\" | \"on-collision\" | \"never\"",
    ),
    here("names.separator", Form::Text(Rule::Separator), "\"__\"", "github + \"__\" + create_issue"),
    here(
        "names.max_length",
        Form::Count { min: 16, max: 128 },
        "52",
        "longest name: 64 minus the \"mcp__braid__\" that clients put before it",
    ),
    not_yet("names.charset", "names always are A-Z a-z 0-9 _ -"),
    not_yet("names.too_long", "long names keep their head and get a hash"),
    not_yet("names.on_conflict", "names that collide get a hash"),
    not_yet("names.expose", "all names are exposed"),
    section("timeouts", "how long we wait: numbers with a unit (ms, s, m, h)"),
    here("timeouts.start", PATIENCE, "\"30s\"", "from the start of a server to the end of its handshake"),
    here(
        "timeouts.first_list",
        Form::Time { min_ms: 1, max_ms: 10 * MINUTE, off: true },
        "\"4s\"",
        "how long the first list waits for slow servers (\"0\" = not at all)",
    ),
    here("timeouts.list", PATIENCE, "\"10s\"", "one page of a server's list"),
    here("timeouts.call", PATIENCE, "\"120s\"", "silence during a tool call; progress starts it anew"),
    here(
        "timeouts.call_max",
        PATIENCE_MAX,
        "\"30m\"",
        "a tool call in all, progress or not (\"0\" = no maximum)",
    ),
    here(
        "timeouts.read",
        PATIENCE,
        "\"30s\"",
        "silence during resources/read, prompts/get, completion/complete",
    ),
    here("timeouts.ask", PATIENCE, "\"30m\"", "a person's or a model's answer to what a server asks"),
    here(
        "timeouts.ping",
        PATIENCE_MAX,
        "\"30s\"",
        "a remote server that was silent for this long is pinged (\"0\" = never)",
    ),
    not_yet("timeouts.shutdown", ""),
    section("defaults", "what holds for every server below that says nothing else"),
    here("defaults.required", Form::Flag, "false", "true: commands fail when the server cannot start"),
    here(
        "defaults.restart",
        RESTART,
        "\"on-failure\"",
        "after the server ended: \"on-failure\" | \"always\" | \"never\"",
    ),
    section("defaults.restart_backoff", "waits before a restart"),
    here("defaults.restart_backoff.min", DELAY, "\"1s\"", "wait before the first restart, more or less"),
    here("defaults.restart_backoff.max", DELAY, "\"60s\"", "longest wait; it never gives up"),
    here("defaults.restart_backoff.reset_after", DELAY, "\"60s\"", "healthy for this long: waits start anew"),
    not_yet(
        "defaults.restart_backoff.give_up_after",
        "Braid never gives up; `restart = \"never\"` does not begin",
    ),
    here("defaults.concurrency", PLACES, "256", "requests in flight at the server"),
    here("defaults.queue", QUEUE, "256", "requests that wait for a place before the answer is \"busy\""),
    here(
        "defaults.rate",
        Form::Rate,
        "\"0\"",
        "what each client may ask of the server, such as \"60/min\" (\"0\" = no limit)",
    ),
    here(
        "defaults.max_result",
        RESULT,
        "\"0B\"",
        "longer results of tools and texts of resources are cut: \"64KiB\" (\"0B\" = none is)",
    ),
    here(
        "defaults.inherit_env",
        Form::Texts(Rule::VariableName),
        "[]",
        "variables of ours passed on, beyond PATH, HOME, LANG and the like",
    ),
    here(
        "defaults.stderr",
        STDERR,
        "\"log\"",
        "what the server writes on stderr: \"log\" | \"inherit\" | \"drop\"",
    ),
    here(
        "defaults.sharing",
        SHARING,
        "\"auto\"",
        "one process for all clients or one for each: \"auto\" | \"shared\" | \"session\"",
    ),
    here(
        "defaults.protocol",
        PROTOCOL,
        "\"auto\"",
        "\"auto\" asks the server | \"handshake\" as its client | or a revision: \"2026-07-28\"",
    ),
    section("defaults.tools", "which tools clients see and call, by the servers' own names"),
    here(
        "defaults.tools.allow",
        GLOBS,
        "[\"*\"]",
        "shown if a pattern matches its own name: * is any text, ? one character",
    ),
    here("defaults.tools.deny", GLOBS, "[]", "and none of these does: deny wins"),
    section("defaults.prompts", "which prompts"),
    here("defaults.prompts.allow", GLOBS, "[\"*\"]", "as with tools"),
    here("defaults.prompts.deny", GLOBS, "[]", "as with tools"),
    section("defaults.resources", "which resources and templates, by their own URIs"),
    here(
        "defaults.resources.allow",
        GLOBS,
        "[\"*\"]",
        "as with tools, by URI and URI template: \"file:///srv/*\"",
    ),
    here("defaults.resources.deny", GLOBS, "[]", "as with tools"),
    here(
        "defaults.read_only",
        Form::Flag,
        "false",
        "true: only tools that say that they change nothing (`readOnlyHint`)",
    ),
    here(
        "defaults.path_from_shell",
        PATH_FROM_SHELL,
        "\"auto\"",
        "ask the login shell for PATH: \"auto\" for a desktop app's short one | \"always\" | \"never\"",
    ),
    not_yet("defaults.start", "every server is started at once"),
    not_yet("defaults.idle_stop", ""),
    named("servers", "the servers"),
    section("servers.*", "one server; its name stands before the names of its tools"),
    told(
        "servers.*.command",
        Form::Text(Rule::Program),
        "program: a name in PATH, or a path from this file's folder",
    ),
    here("servers.*.args", Form::Texts(Rule::Any), "[]", "its arguments; no shell is involved"),
    here("servers.*.env", Form::Variables, "{}", "its variables: { TOKEN = \"${GITHUB_TOKEN}\" }"),
    here("servers.*.env_file", Form::Text(Rule::Path), "\"\"", "file of lines NAME=value; `env` wins"),
    here("servers.*.cwd", Form::Text(Rule::Path), "\".\"", "its folder, from this file's folder"),
    here("servers.*.enabled", Form::Flag, "true", "false: as if it were not here"),
    here("servers.*.title", Form::Text(Rule::Any), "\"\"", "its name for people"),
    here(
        "servers.*.prefix",
        Form::Text(Rule::Prefix),
        "\"auto\"",
        "what stands before its names: \"auto\" = made of its name, \"\" = nothing",
    ),
    here(
        "servers.*.uris",
        Form::Word(&["prefixed", "raw"]),
        "\"prefixed\"",
        "its resources' URIs: \"prefixed\" like its names | \"raw\" as it writes them",
    ),
    here("servers.*.sharing", SHARING, "\"auto\"", "as in [defaults]"),
    here("servers.*.protocol", PROTOCOL, "\"auto\"", "as in [defaults]"),
    here("servers.*.required", Form::Flag, "false", "as in [defaults]"),
    here("servers.*.restart", RESTART, "\"on-failure\"", "as in [defaults]"),
    section("servers.*.restart_backoff", "as in [defaults]"),
    here("servers.*.restart_backoff.min", DELAY, "\"1s\"", "as in [defaults]"),
    here("servers.*.restart_backoff.max", DELAY, "\"60s\"", "as in [defaults]"),
    here("servers.*.restart_backoff.reset_after", DELAY, "\"60s\"", "as in [defaults]"),
    not_yet(
        "servers.*.restart_backoff.give_up_after",
        "Braid never gives up; `restart = \"never\"` does not begin",
    ),
    here("servers.*.concurrency", PLACES, "256", "as in [defaults]"),
    here("servers.*.queue", QUEUE, "256", "as in [defaults]"),
    here("servers.*.rate", Form::Rate, "\"0\"", "as in [defaults]"),
    here("servers.*.max_result", RESULT, "\"0B\"", "as in [defaults]"),
    here("servers.*.inherit_env", Form::Texts(Rule::VariableName), "[]", "as in [defaults], instead of it"),
    here("servers.*.stderr", STDERR, "\"log\"", "as in [defaults]"),
    section("servers.*.tools", "as in [defaults]"),
    here("servers.*.tools.allow", GLOBS, "[\"*\"]", "as in [defaults], instead of it"),
    here("servers.*.tools.deny", GLOBS, "[]", "as in [defaults], instead of it"),
    section("servers.*.prompts", "as in [defaults]"),
    here("servers.*.prompts.allow", GLOBS, "[\"*\"]", "as in [defaults], instead of it"),
    here("servers.*.prompts.deny", GLOBS, "[]", "as in [defaults], instead of it"),
    section("servers.*.resources", "as in [defaults]"),
    here("servers.*.resources.allow", GLOBS, "[\"*\"]", "as in [defaults], instead of it"),
    here("servers.*.resources.deny", GLOBS, "[]", "as in [defaults], instead of it"),
    here("servers.*.read_only", Form::Flag, "false", "as in [defaults]"),
    here("servers.*.path_from_shell", PATH_FROM_SHELL, "\"auto\"", "as in [defaults]"),
    section("servers.*.timeouts", "as in [timeouts]"),
    here("servers.*.timeouts.start", PATIENCE, "\"30s\"", "as in [timeouts]"),
    here("servers.*.timeouts.list", PATIENCE, "\"10s\"", "as in [timeouts]"),
    here("servers.*.timeouts.call", PATIENCE, "\"120s\"", "as in [timeouts]"),
    here("servers.*.timeouts.call_max", PATIENCE_MAX, "\"30m\"", "as in [timeouts]"),
    here("servers.*.timeouts.read", PATIENCE, "\"30s\"", "as in [timeouts]"),
    here("servers.*.timeouts.ask", PATIENCE, "\"30m\"", "as in [timeouts]"),
    here("servers.*.timeouts.ping", PATIENCE_MAX, "\"30s\"", "as in [timeouts]; for remote servers"),
    not_yet("servers.*.timeouts.shutdown", ""),
    section(
        "servers.*.cache",
        "results that are kept, so that the server need not be asked for the same again",
    ),
    here(
        "servers.*.cache.tools",
        KEPT,
        "\"0\"",
        "of tools that say that they change nothing (`readOnlyHint`), for so long (\"0\" = none)",
    ),
    here(
        "servers.*.cache.resources",
        KEPT,
        "\"0\"",
        "what was read of resources, for so long (\"0\" = nothing)",
    ),
    here("servers.*.cache.entries", PLACES, "1024", "results that are kept; the oldest goes first"),
    here(
        "servers.*.cache.size",
        Form::Size { min: 64 * KIB, max: GIB },
        "\"16MiB\"",
        "the same in bytes; one alone may take a quarter",
    ),
    named("servers.*.tool", "single tools, by the server's own names for them"),
    section("servers.*.tool.*", "one tool"),
    here("servers.*.tool.*.timeout", PATIENCE, "\"120s\"", "`call` of [timeouts] for this tool alone"),
    here("servers.*.tool.*.timeout_max", PATIENCE, "\"30m\"", "`call_max` of [timeouts] for this tool alone"),
    here(
        "servers.*.tool.*.rate",
        Form::Rate,
        "\"0\"",
        "how often each client may call this tool, beside the server's own `rate`",
    ),
    here(
        "servers.*.tool.*.max_result",
        RESULT,
        "\"0B\"",
        "`max_result` of [defaults] for this tool alone; \"0B\" = nothing is cut",
    ),
    here("servers.*.tool.*.enabled", Form::Flag, "true", "false: neither listed nor callable"),
    here(
        "servers.*.tool.*.name",
        Form::Text(Rule::ToolName),
        "\"\"",
        "what it is called behind the prefix; \"\" = as its server calls it",
    ),
    here("servers.*.tool.*.title", Form::Text(Rule::Any), "\"\"", "its name for people; \"\" = its server's"),
    here(
        "servers.*.tool.*.description",
        Form::Text(Rule::Any),
        "\"\"",
        "what clients are told of it; \"\" = what its server says",
    ),
    here(
        "servers.*.tool.*.defaults",
        Form::Values,
        "{}",
        "arguments for calls that bring none of the name: { repo = \"me/mine\" }",
    ),
    here(
        "servers.*.tool.*.hidden",
        Form::Texts(Rule::Any),
        "[]",
        "arguments that clients neither see nor give: [\"repo\"]",
    ),
    told("servers.*.url", Form::Text(Rule::Url), "where it is, in place of `command`"),
    here(
        "servers.*.headers",
        Form::Headers,
        "{}",
        "sent with every request: { Authorization = \"Bearer ${TOKEN}\" }",
    ),
    here(
        "servers.*.headers_command",
        Form::Texts(Rule::Any),
        "[]",
        "program and arguments: prints further headers as JSON, anew when refused",
    ),
    here(
        "servers.*.transport",
        Form::Word(&["auto", "http", "sse"]),
        "\"auto\"",
        "\"auto\" | \"http\" Streamable HTTP | \"sse\" HTTP+SSE of 2024-11-05",
    ),
    here(
        "servers.*.ca_file",
        Form::Text(Rule::Path),
        "\"\"",
        "trusted besides the system's certificates, in PEM",
    ),
    here(
        "servers.*.allow_anonymous",
        Form::Flag,
        "false",
        "true: `listen.auth = \"none\"` may use it, though a credential of yours is sent to it",
    ),
    not_yet("servers.*.forward_headers", "no header of a client is passed on"),
    section("servers.*.oauth", "leave that a person gives in a browser: `braid login NAME`"),
    here("servers.*.oauth.enabled", Form::Flag, "true", "false: no login of this server is looked for"),
    here(
        "servers.*.oauth.grant",
        Form::Word(&["code", "client_credentials", "token_exchange"]),
        "\"code\"",
        "\"code\" of a login | \"client_credentials\" ours | \"token_exchange\" made of the caller's",
    ),
    here(
        "servers.*.oauth.client_id",
        Form::Text(Rule::Any),
        "\"\"",
        "our name at its issuer, if one was given out for us; \"\" = Braid registers itself",
    ),
    here(
        "servers.*.oauth.client_secret",
        Form::Text(Rule::Any),
        "\"\"",
        "what goes with it: \"${file:PATH}\"",
    ),
    here(
        "servers.*.oauth.client_metadata_url",
        Form::Text(Rule::Https),
        "\"\"",
        "a document of yours that says who we are, for issuers that read one",
    ),
    here(
        "servers.*.oauth.scopes",
        Form::Texts(Rule::Scope),
        "[]",
        "rights that are asked for; [] = those that the server wants",
    ),
    here(
        "servers.*.oauth.issuer",
        Form::Text(Rule::Https),
        "\"\"",
        "the only one believed, in your own network too; an exchange: as `listen.oauth.issuer`",
    ),
    here(
        "servers.*.oauth.audience",
        Form::Text(Rule::Any),
        "\"\"",
        "what the issuer calls the server, for an exchange, where its URL will not do (Keycloak)",
    ),
    here(
        "servers.*.oauth.per_principal",
        Form::Flag,
        "false",
        "true: each principal needs its own login: `braid login NAME --as token:alice`",
    ),
    here(
        "servers.*.oauth.callback_port",
        Form::Count { min: 0, max: 65535 },
        "0",
        "where the browser comes back to on this machine; 0 = any free port",
    ),
    not_yet("servers.*.start", "every server is started at once"),
    not_yet("servers.*.idle_stop", ""),
    named("groups", "doors to some of the servers: /mcp/NAME of `serve`, `braid stdio --group NAME`"),
    section("groups.*", "one door"),
    told("groups.*.servers", Form::Texts(Rule::Any), "names of servers of this file"),
    section("groups.*.tools", "which tools of its servers the door shows, as SERVER/NAME"),
    here(
        "groups.*.tools.allow",
        DOOR_GLOBS,
        "[\"*\"]",
        "shown if a pattern matches SERVER/NAME, by own names: \"github/get_*\"",
    ),
    here("groups.*.tools.deny", DOOR_GLOBS, "[]", "and none of these does: \"*/delete_*\""),
    section("groups.*.prompts", "which prompts"),
    here("groups.*.prompts.allow", DOOR_GLOBS, "[\"*\"]", "as with tools"),
    here("groups.*.prompts.deny", DOOR_GLOBS, "[]", "as with tools"),
    section("groups.*.resources", "which resources and templates, as SERVER/URI"),
    here("groups.*.resources.allow", DOOR_GLOBS, "[\"*\"]", "as with tools: \"files/file:///srv/*\""),
    here("groups.*.resources.deny", DOOR_GLOBS, "[]", "as with tools"),
    here("groups.*.read_only", Form::Flag, "false", "true: only tools that say that they change nothing"),
    named(
        "access",
        "who may use what: all rules for somebody together; without any rule everybody everything",
    ),
    section("access.*", "one rule"),
    here(
        "access.*.principals",
        PRINCIPALS,
        "[\"*\"]",
        "whom it is for: \"token:ci\", \"oauth:*\", \"cert:x\", \"bearer\", \"local\", \"anonymous\"",
    ),
    here("access.*.scopes", Form::Texts(Rule::Scope), "[]", "and whose token has all of these scopes"),
    here("access.*.servers", GLOBS, "[\"*\"]", "which servers they may use, by the names in this file"),
    here(
        "access.*.groups",
        GLOBS,
        "[]",
        "by the doors of these groups alone; [] = by every door, that to all servers too",
    ),
    section("access.*.tools", "which tools of the servers, as SERVER/NAME; a list alone is what it allows"),
    here(
        "access.*.tools.allow",
        DOOR_GLOBS,
        "[\"*\"]",
        "as in a group; kinds of which nothing is said are then not shown at all",
    ),
    here("access.*.tools.deny", DOOR_GLOBS, "[]", "as in a group; another rule may allow it all the same"),
    section("access.*.prompts", "which prompts"),
    here("access.*.prompts.allow", DOOR_GLOBS, "[\"*\"]", "as with tools"),
    here("access.*.prompts.deny", DOOR_GLOBS, "[]", "as with tools"),
    section("access.*.resources", "which resources and templates, as SERVER/URI"),
    here("access.*.resources.allow", DOOR_GLOBS, "[\"*\"]", "as with tools: \"files/file:///srv/*\""),
    here("access.*.resources.deny", DOOR_GLOBS, "[]", "as with tools"),
    here("access.*.read_only", Form::Flag, "false", "true: only tools that say that they change nothing"),
    section("listen", "how clients reach us over HTTP; only `braid serve` listens"),
    here(
        "listen.http",
        Form::Texts(Rule::Address),
        "[\"127.0.0.1:8808\"]",
        "also \"[::1]:8808\" and \"unix:/run/braid.sock\"; port 0 is any free one",
    ),
    here(
        "listen.auth",
        Form::Word(&["token", "oauth", "none"]),
        "\"token\"",
        "\"token\" on every request | \"oauth\" see `[listen.oauth]` | \"none\", refused off loopback",
    ),
    here(
        "listen.token_file",
        Form::Text(Rule::Path),
        "\"\"",
        "where the token is kept; \"\" = in your state folder",
    ),
    named("listen.tokens", "further tokens, each with a holder of its own: alice = \"SECRET\", or a table"),
    section("listen.tokens.*", "one holder, `token:NAME` in the audit and in rules"),
    told(
        "listen.tokens.*.token",
        Form::Text(Rule::Token),
        "what the holder shows: \"${ALICE_TOKEN}\", 32 characters or more",
    ),
    here(
        "listen.tokens.*.scopes",
        Form::Texts(Rule::Scope),
        "[]",
        "what the token is for, in words that rules ask for",
    ),
    here(
        "listen.allowed_hosts",
        Form::Texts(Rule::Host),
        "[]",
        "further names that requests may call us by, without port",
    ),
    here(
        "listen.allowed_origins",
        Form::Texts(Rule::Origin),
        "[]",
        "web pages that may use us, beyond this machine's: [\"https://app.example.com\"]",
    ),
    here(
        "listen.trusted_proxy",
        Form::Text(Rule::Proxy),
        "\"\"",
        "address or network of the proxy that ends TLS before us",
    ),
    here(
        "listen.public_url",
        Form::Text(Rule::Identifier),
        "\"\"",
        "where browsers reach us, for pages of logins: \"https://mcp.example.com\"",
    ),
    section("listen.oauth", "the identity provider whose tokens let clients in (`auth = \"oauth\"`)"),
    here(
        "listen.oauth.issuer",
        Form::Text(Rule::Identifier),
        "\"\"",
        "the provider, as its tokens name it: \"https://id.example.com\"",
    ),
    here(
        "listen.oauth.resource",
        Form::Text(Rule::Identifier),
        "\"\"",
        "what clients call us, and tokens are made for: \"https://mcp.example.com/mcp\"",
    ),
    here(
        "listen.oauth.audiences",
        Form::Texts(Rule::Any),
        "[]",
        "what tokens may be made for besides, if the provider calls us otherwise",
    ),
    here("listen.oauth.scopes", Form::Texts(Rule::Scope), "[]", "what each of its tokens must be good for"),
    here(
        "listen.oauth.algorithms",
        Form::Texts(Rule::Algorithm),
        "[\"RS256\", \"RS512\", \"PS256\", \"PS512\", \"ES256\", \"ES384\", \"EdDSA\", \"Ed25519\"]",
        "how they may be signed",
    ),
    here(
        "listen.oauth.jwks_uri",
        Form::Text(Rule::Place),
        "\"\"",
        "where its keys are; \"\" = where its metadata say",
    ),
    here("listen.oauth.jwks_file", Form::Text(Rule::Path), "\"\"", "or a file of them, a JWK Set"),
    here(
        "listen.oauth.ca_file",
        Form::Text(Rule::Path),
        "\"\"",
        "trusted besides the system's certificates when it is asked, in PEM",
    ),
    here(
        "listen.oauth.principal",
        Form::Text(Rule::Claim),
        "\"sub\"",
        "the claim that says whose a token is",
    ),
    here(
        "listen.oauth.client_id",
        Form::Text(Rule::Any),
        "\"\"",
        "our name there, for pages of logins; \"\" = nobody is asked who they are",
    ),
    here("listen.oauth.client_secret", Form::Text(Rule::Secret), "\"\"", "and our secret, if we have one"),
    section("listen.oauth.introspection", "how it is asked about tokens that are no JWTs"),
    here(
        "listen.oauth.introspection.url",
        Form::Text(Rule::Place),
        "\"\"",
        "where; \"\" = where its metadata say",
    ),
    here(
        "listen.oauth.introspection.client_id",
        Form::Text(Rule::Secret),
        "\"\"",
        "our name there; \"\" = it is not asked",
    ),
    here(
        "listen.oauth.introspection.client_secret",
        Form::Text(Rule::Secret),
        "\"\"",
        "and our secret: \"${BRAID_CLIENT_SECRET}\"",
    ),
    section("listen.tls", "our own certificate"),
    here(
        "listen.tls.cert",
        Form::Text(Rule::Path),
        "\"\"",
        "certificate and its chain, in PEM; \"\" = no TLS",
    ),
    here("listen.tls.key", Form::Text(Rule::Path), "\"\"", "its key, in PEM"),
    here(
        "listen.tls.client_ca",
        Form::Text(Rule::Path),
        "\"\"",
        "who makes certificates of clients, in PEM: who shows one needs no token",
    ),
    here(
        "listen.tls.client_auth",
        Form::Word(&["required", "optional"]),
        "\"required\"",
        "with `client_ca`: \"required\" of every connection | \"optional\"",
    ),
    here("listen.legacy_sse", Form::Flag, "true", "serve clients of 2024-11-05: /sse and /messages"),
    here(
        "listen.stream_after",
        Form::Time { min_ms: 1, max_ms: HOUR, off: true },
        "\"100ms\"",
        "a request without a result by then gets a stream (\"0\" = at once)",
    ),
    here("listen.keep_alive", PATIENCE, "\"15s\"", "between two comments on a silent stream"),
    here("listen.session_idle", PATIENCE, "\"10m\"", "a session without a request or an open stream ends"),
    here(
        "listen.grace",
        Form::Time { min_ms: 1, max_ms: HOUR, off: true },
        "\"10s\"",
        "what is in flight may finish when we are told to stop (\"0\" = not at all)",
    ),
    section("listen.limits", "bounds of the HTTP side"),
    here("listen.limits.connections", PLACES, "1024", "open connections"),
    here(
        "listen.limits.connections_per_address",
        PLACES,
        "64",
        "of one address beyond this machine and the proxy",
    ),
    here("listen.limits.sessions", PLACES, "1024", "open sessions"),
    here(
        "listen.limits.sessions_per_principal",
        PLACES,
        "1024",
        "of one principal; with several (`tokens`) it is 64 unless it is written",
    ),
    here(
        "listen.limits.replay_events",
        QUEUE,
        "256",
        "events kept of one stream for a client that comes back",
    ),
    here("listen.limits.replay_size", Form::Size { min: 0, max: GIB }, "\"1MiB\"", "the same in bytes"),
    here(
        "listen.limits.replay_kept",
        Form::Time { min_ms: 1, max_ms: 24 * HOUR, off: true },
        "\"60s\"",
        "how long they are kept after the stream broke",
    ),
    here(
        "listen.limits.replay_total",
        Form::Size { min: 0, max: GIB.saturating_mul(16) },
        "\"64MiB\"",
        "events kept of all streams; of one client a quarter",
    ),
    here(
        "listen.limits.head_within",
        PATIENCE,
        "\"10s\"",
        "from a connection to the end of the request's head",
    ),
    here("listen.limits.body_within", PATIENCE, "\"30s\"", "from there to the end of its body"),
    not_yet("listen.path", "the path is /mcp, and /mcp/NAME for a group"),
    section("limits", "bounds of everything that others could make grow"),
    here(
        "limits.client_message",
        Form::Size { min: 4 * KIB, max: GIB },
        "\"16MiB\"",
        "longest message from a client",
    ),
    here(
        "limits.server_message",
        Form::Size { min: 4 * KIB, max: GIB },
        "\"64MiB\"",
        "longest message from a server",
    ),
    here("limits.depth", Form::Count { min: 8, max: 127 }, "127", "nesting of a client's message"),
    here(
        "limits.elements",
        Form::Count { min: 1_000, max: 10_000_000 },
        "100000",
        "values in one message of a client",
    ),
    here("limits.id", Form::Size { min: 64, max: KIB }, "\"1KiB\"", "longest id or progress token"),
    here(
        "limits.session_in_flight",
        Form::Count { min: 1, max: 65_536 },
        "64",
        "requests of one client in flight",
    ),
    here("limits.session_waiting", QUEUE, "1024", "requests of one client that wait for a place"),
    here("limits.total_in_flight", PLACES, "4096", "requests of all clients in flight"),
    here(
        "limits.parked",
        PLACES,
        "16384",
        "requests that wait for answers of clients (2026-07-28); of one a quarter",
    ),
    here(
        "limits.buffered",
        Form::Size { min: MIB, max: GIB.saturating_mul(16) },
        "\"512MiB\"",
        "what waits in memory for all servers and clients; of one a quarter",
    ),
    here(
        "limits.link_buffer",
        Form::Size { min: 64 * KIB, max: GIB },
        "\"64MiB\"",
        "bytes that wait to be written to one server",
    ),
    here("limits.starting", Form::Count { min: 1, max: 256 }, "8", "servers that start at the same time"),
    here(
        "limits.list_pages",
        Form::Count { min: 1, max: 10_000 },
        "100",
        "pages read of one list of a server",
    ),
    here(
        "limits.list_items",
        Form::Count { min: 1, max: 100_000 },
        "1000",
        "items kept of one list of a server",
    ),
    here("limits.list_item", Form::Size { min: KIB, max: 16 * MIB }, "\"64KiB\"", "longest item of a list"),
    here(
        "limits.list_size",
        Form::Size { min: 64 * KIB, max: 256 * MIB },
        "\"8MiB\"",
        "one list of a server in all",
    ),
    here(
        "limits.page_items",
        Form::Count { min: 1, max: 100_000 },
        "1000",
        "items on one page that a client gets",
    ),
    here("limits.links", PLACES, "1024", "processes that one server may have at once"),
    here("limits.batch", Form::Count { min: 1, max: 1_024 }, "32", "messages in one batch (2025-03-26 only)"),
    here(
        "limits.rate",
        Form::Rate,
        "\"0\"",
        "what each client may ask of all servers, such as \"600/min\" (\"0\" = no limit)",
    ),
    section("log", "seeing what happens"),
    here(
        "log.level",
        Form::Text(Rule::Filter),
        "\"info\"",
        "or \"info,mcp_braid::upstream=debug\"; BRAID_LOG wins",
    ),
    here(
        "log.format",
        Form::Word(&["auto", "text", "json"]),
        "\"auto\"",
        "\"auto\" colours on a terminal | \"text\" | \"json\"",
    ),
    here("log.file", Form::Text(Rule::Path), "\"\"", "where the log goes; \"\" = stderr"),
    not_yet("log.payloads", "payloads are never logged; `braid tap --payload` shows them as they pass"),
    here(
        "log.redact",
        Form::Texts(Rule::Any),
        "[\"authorization\", \"*token*\", \"*secret*\", \"*password*\", \"*api*key*\"]",
        "what `tap --payload` hides; * = any letters",
    ),
    section("admin", "looking after a run: `braid status`, `top`, `tap`, `logs`, `reload`, `restart`"),
    here(
        "admin.socket",
        Form::Text(Rule::Path),
        "\"auto\"",
        "\"auto\" = in a folder that only you may enter | \"off\" | a path",
    ),
    here(
        "admin.http",
        Form::Text(Rule::Admin),
        "\"\"",
        "\"127.0.0.1:8809\": /healthz /readyz /metrics /status; off this machine with the token",
    ),
    here("admin.metrics_tool_label", Form::Flag, "true", "count each tool by itself, up to 500 of them"),
    here(
        "admin.audit",
        Form::Text(Rule::Path),
        "\"\"",
        "file that gets a line for each call; of arguments it has the SHA-256",
    ),
    here(
        "admin.audit_required",
        Form::Flag,
        "false",
        "true: a call that cannot be written down there is refused",
    ),
    here(
        "admin.watch_config",
        Form::Flag,
        "true",
        "read this file anew when it changes, as `braid reload` does",
    ),
    here(
        "admin.catalog_cache",
        Form::Flag,
        "false",
        "true: lists of servers are kept, and shown at the next start until these are heard",
    ),
];

/// The setting at a path, where names that the user chooses stand as `*`.
pub fn setting(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

impl Setting {
    /// The key itself: the last part of the path.
    pub fn key(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, key)| key)
    }

    /// The path of the section that the key stands in; empty at the top.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// References are replaced in texts of servers, in tokens and secrets, and in paths, and nowhere else.
    pub fn expands(&self) -> bool {
        matches!(self.form, Form::Text(Rule::Path | Rule::Token | Rule::Secret))
            || self.path.starts_with("servers.*.")
    }

    /// Which servers know the key.
    pub fn kind(&self) -> Kind {
        match self.path.strip_prefix("servers.*.") {
            Some("command" | "args" | "env" | "env_file" | "cwd" | "inherit_env" | "stderr") => Kind::Program,
            Some(
                "url" | "headers" | "headers_command" | "transport" | "ca_file" | "oauth" | "allow_anonymous",
            ) => Kind::Remote,
            Some(_) | None => Kind::Any,
        }
    }
}

/// How a server is reached, as far as keys depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Any,
    /// It has `command`.
    Program,
    /// It has `url`.
    Remote,
}

/// Of sections below this path, the key that a text in place of a whole section stands for.
pub fn short_form(path: &str) -> Option<&'static Setting> {
    (path == "listen.tokens").then(|| setting("listen.tokens.*.token")).flatten()
}

/// Whether a section says which things of a kind are shown.
pub fn shows_some(path: &str) -> bool {
    let kind = path.rsplit('.').next().unwrap_or_default();
    ["tools", "prompts", "resources"].contains(&kind)
}

/// The same where a list alone is what is allowed.
pub fn is_list_of_allowed(path: &str) -> bool {
    path.starts_with("access.*.") && shows_some(path)
}

/// The settings right below a path.
pub fn children(parent: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.parent() == parent)
}

/// Keys that are no settings but that people write, because clients or other programs have them.
const ALIASES: &[(&str, &str, &str)] = &[
    (
        "",
        "mcpServers",
        "servers are tables: `[servers.NAME]`; a client's JSON file can be used as it is with `-c FILE.json`",
    ),
    ("", "mcp_servers", "servers are tables: `[servers.NAME]`"),
    ("", "context_servers", "servers are tables: `[servers.NAME]`"),
    ("", "logging", "did you mean `log`?"),
    ("servers.*", "disabled", "write `enabled = false`"),
    ("servers.*", "timeout", "write `timeouts.call = \"2m\"`"),
    (
        "servers.*",
        "type",
        "it is not needed: a server with `command` speaks over stdio, one with `url` over HTTP (see `transport`)",
    ),
    ("servers.*", "uri", "did you mean `url`?"),
    ("servers.*", "address", "did you mean `url`?"),
    ("servers.*", "endpoint", "did you mean `url`?"),
    ("servers.*", "serverUrl", "did you mean `url`?"),
    ("servers.*", "httpUrl", "did you mean `url`?"),
    ("servers.*", "header", "did you mean `headers`?"),
    ("servers.*", "http_headers", "did you mean `headers`?"),
    ("servers.*", "token", "write `headers = { Authorization = \"Bearer ${TOKEN}\" }`"),
    ("servers.*", "bearer_token_env_var", "write `headers = { Authorization = \"Bearer ${TOKEN}\" }`"),
    ("servers.*", "cmd", "did you mean `command`?"),
    ("servers.*", "program", "did you mean `command`?"),
    ("servers.*", "arguments", "did you mean `args`?"),
    ("servers.*", "environment", "did you mean `env`?"),
    ("servers.*", "dir", "did you mean `cwd`?"),
    ("servers.*", "workdir", "did you mean `cwd`?"),
    ("servers.*", "working_directory", "did you mean `cwd`?"),
    ("servers.*", "rate_limit", "did you mean `rate`?"),
    ("servers.*", "name", "the name is that of the table: `[servers.NAME]`; for people write `title`"),
    ("servers.*", "autoApprove", "what is approved is the client's matter"),
    ("servers.*", "alwaysAllow", "what is approved is the client's matter"),
    ("", "group", "groups are tables: `[groups.NAME]`"),
    ("", "rules", "rules are tables: `[access.NAME]`"),
    ("", "acl", "rules are tables: `[access.NAME]`"),
    ("access.*", "principal", "did you mean `principals`?"),
    ("access.*", "users", "did you mean `principals`?"),
    ("access.*", "tokens", "write `principals = [\"token:NAME\"]`"),
    ("access.*", "allow", "write `tools.allow = [\"…\"]`"),
    ("access.*", "deny", "write `tools.deny = [\"…\"]`"),
    ("access.*", "readonly", "did you mean `read_only`?"),
    ("", "serve", "did you mean `listen`?"),
    ("listen", "address", "write `http = [\"127.0.0.1:8808\"]`"),
    ("listen", "addresses", "write `http = [\"127.0.0.1:8808\"]`"),
    ("listen", "bind", "write `http = [\"127.0.0.1:8808\"]`"),
    ("listen", "host", "write `http = [\"127.0.0.1:8808\"]`"),
    ("listen", "port", "write `http = [\"127.0.0.1:8808\"]`"),
    ("listen", "unix", "write `http = [\"unix:/run/braid.sock\"]`"),
    (
        "listen",
        "token",
        "the token stands in a file, `token_file`; others have a name: `tokens.alice = \"${ALICE_TOKEN}\"`",
    ),
    ("listen", "cert", "write `tls = { cert = \"cert.pem\", key = \"key.pem\" }`"),
    ("listen", "key", "write `tls = { cert = \"cert.pem\", key = \"key.pem\" }`"),
    ("listen", "cors", "write `allowed_origins = [\"https://app.example.com\"]`"),
    ("listen", "max_sessions", "write `limits.sessions`"),
    ("listen", "max_message", "write `client_message` in `[limits]`"),
    ("listen", "allow_unauthenticated", "write `auth = \"none\"`"),
    ("servers.*", "allow", "write `tools.allow = [\"…\"]`"),
    ("servers.*", "deny", "write `tools.deny = [\"…\"]`"),
    ("servers.*", "allowed_tools", "write `tools.allow = [\"…\"]`"),
    ("servers.*", "enabled_tools", "write `tools.allow = [\"…\"]`"),
    ("servers.*", "includeTools", "write `tools.allow = [\"…\"]`"),
    ("servers.*", "disabled_tools", "write `tools.deny = [\"…\"]`"),
    ("servers.*", "disabledTools", "write `tools.deny = [\"…\"]`"),
    ("servers.*", "excludeTools", "write `tools.deny = [\"…\"]`"),
    ("servers.*", "readonly", "did you mean `read_only`?"),
    ("servers.*.tool.*", "disabled", "write `enabled = false`"),
    ("servers.*.tool.*", "rename", "did you mean `name`?"),
    ("servers.*.tool.*", "arguments", "did you mean `defaults`?"),
    ("servers.*.tool.*", "timeouts", "write `timeout` and `timeout_max`"),
    ("servers.*.tool.*", "call", "did you mean `timeout`?"),
    ("servers.*.tool.*", "call_max", "did you mean `timeout_max`?"),
];

/// What to say about a key that a section does not have. `parent` as in the table, `at` as in the file.
pub fn suggestion(parent: &str, at: &str, key: &str) -> Option<String> {
    let alias = ALIASES.iter().find(|(section, alias, _)| *section == parent && *alias == key);
    if let Some((_, _, help)) = alias {
        return Some((*help).to_owned());
    }
    if parent == "servers.*.tools" && !["allow", "deny"].iter().any(|known| near_enough(key, known)) {
        let server = at.strip_suffix(".tools").unwrap_or(at);
        return Some(format!("what is about one tool stands in `[{server}.tool.{}]`", super::toml_key(key)));
    }
    let known = || children(parent).filter(|setting| setting.state == State::Here);
    if let Some(near) = nearest(key, known().map(Setting::key)) {
        return Some(format!("did you mean `{near}`?"));
    }
    let elsewhere = |setting: &&Setting| {
        setting.state == State::Here && setting.key() == key && !setting.parent().is_empty()
    };
    // A key of the same server is nearer than one of another section.
    let below = |setting: &&Setting| setting.path.starts_with(parent) && !parent.is_empty();
    let place = SETTINGS.iter().filter(elsewhere).find(below);
    let place = place.or_else(|| SETTINGS.iter().find(elsewhere))?;
    let section = if below(&place) {
        place.parent().replacen(parent, at, 1).replacen('*', "TOOL", 1)
    } else {
        place.parent().replacen('*', "NAME", 1).replacen('*', "TOOL", 1)
    };
    Some(format!("`{key}` belongs in `[{section}]`"))
}

fn near_enough(word: &str, known: &str) -> bool {
    nearest(word, std::iter::once(known)).is_some()
}

/// The word that was probably meant, if any is near enough.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| -> Vec<char> {
        word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
    };
    let meant = plain(word);
    let allowed = (meant.len() / 3).max(1);
    known
        .map(|candidate| (distance(&meant, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours from one word to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = cell(&row, j) + usize::from(a != b);
            let mut least = replaced.min(cell(&row, j + 1) + 1).min(cell(&next, j) + 1);
            let swapped = i > 0 && j > 0 && from.get(i - 1) == Some(b) && to.get(j - 1) == Some(a);
            if swapped {
                least = least.min(cell(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    cell(&row, to.len())
}

fn cell(row: &[usize], at: usize) -> usize {
    row.get(at).copied().unwrap_or(usize::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_path_stands_there_once_below_a_section() {
        let mut seen = BTreeSet::new();
        for known in SETTINGS {
            assert!(seen.insert(known.path), "{} stands there twice", known.path);
            let parent = known.parent();
            if parent.is_empty() {
                continue;
            }
            let form = setting(parent).unwrap_or_else(|| panic!("{parent} is missing")).form;
            let expected = if known.key() == "*" { Form::Named } else { Form::Section };
            assert_eq!(form, expected, "{}", known.path);
        }
    }

    #[test]
    fn docs_are_one_line_without_a_full_stop() {
        for known in SETTINGS {
            assert!(!known.doc.contains('\n') && !known.doc.ends_with('.'), "{}", known.path);
            assert!(known.doc.len() <= 90, "{}", known.path);
        }
    }

    #[test]
    fn near_words_are_suggested() {
        let near = |key: &str| suggestion("servers.*", "servers.github", key);
        assert_eq!(near("comand").as_deref(), Some("did you mean `command`?"));
        assert_eq!(near("envFile").as_deref(), Some("did you mean `env_file`?"));
        assert_eq!(near("ags").as_deref(), Some("did you mean `args`?"));
        assert_eq!(near("call").as_deref(), Some("`call` belongs in `[servers.github.timeouts]`"));
        assert_eq!(near("separator").as_deref(), Some("`separator` belongs in `[names]`"));
        assert_eq!(near("timeout").as_deref(), Some("write `timeouts.call = \"2m\"`"));
        assert_eq!(near("zzzzzz"), None);
        assert_eq!(suggestion("", "", "server").as_deref(), Some("did you mean `servers`?"));
        assert_eq!(
            suggestion("", "", "concurrency").as_deref(),
            Some("`concurrency` belongs in `[defaults]`")
        );
        assert_eq!(
            suggestion("defaults", "defaults", "command").as_deref(),
            Some("`command` belongs in `[servers.NAME]`")
        );
    }

    #[test]
    fn swapped_letters_are_one_mistake() {
        let count =
            |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(count("agrs", "args"), 1);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("abc", ""), 3);
        assert_eq!(count("kitten", "sitting"), 3);
    }

    #[test]
    fn filters_are_levels_for_all_or_for_a_module() {
        for text in ["info", "INFO", "off", "info,mcp_braid::upstream=debug", "a=warn,b=trace"] {
            assert!(Rule::Filter.check(text).is_ok(), "{text}");
        }
        for text in ["", "inof", "info,", "mcp_braid", "a=b", "=info", "a b=info"] {
            assert!(Rule::Filter.check(text).is_err(), "{text}");
        }
    }
}
