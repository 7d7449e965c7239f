//! The command line: what can be asked of Braid, and the exit code of each answer.
//!
//! Owns the arguments and the log. One file per command; each returns an exit code and says on stderr
//! what went wrong. Only `stdio` and `demo-server` own stdout for MCP; they write nothing else there.

mod admin;
pub mod arguments;
pub mod argv;
mod ask;
mod board;
mod browser;
mod call;
mod check;
pub mod config_command;
mod control;
mod edited;
mod exit;
mod explain;
pub mod explain_code;
mod guardian;
mod import;
mod import_page;
pub mod indented;
mod install;
mod instance;
mod list;
mod log;
mod log_line;
mod login;
mod manual;
mod out;
pub mod printable;
mod prints;
mod reload;
pub mod result;
mod run;
mod serve;
mod servers;
mod socket;
mod source;
mod status;
mod stdio;
pub mod table;
mod top;
#[cfg(feature = "otel")]
mod traces;
mod watch;
mod whom;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use exit::Exit;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Many MCP servers behind one.
#[derive(Debug, Parser)]
#[command(name = "braid", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    globals: Globals,
}

impl Arguments {
    fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        arguments.globals.log_level_is_typed =
            matches.value_source("log_level") == Some(ValueSource::CommandLine);
        Ok(arguments)
    }
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
struct Globals {
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print results as JSON: short for `--format json`
    #[arg(long, global = true)]
    json: bool,
    /// What is logged on stderr: error, warn, info, debug, trace, or a filter such as `mcp_braid::upstream=debug`
    #[arg(long, global = true, value_name = "FILTER", env = log::VARIABLE, value_parser = log::filter)]
    log_level: Option<String>,
    /// How the log is written
    #[arg(long, global = true, value_enum)]
    log_format: Option<log::Shape>,
    /// Whether output is coloured
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Log nothing but errors, unless `--log-level` says otherwise
    #[arg(short, long, global = true)]
    quiet: bool,
    /// The log level is typed here, rather than inherited
    #[arg(skip)]
    log_level_is_typed: bool,
}

impl Globals {
    fn json(&self) -> bool {
        self.json || self.format == Format::Json
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Where the servers are written down.
#[derive(Debug, Clone, Default, Args)]
struct Source {
    /// braid.toml, or any client's own file: claude_desktop_config.json, .mcp.json, settings.json, config.toml
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One server, without a file: `-- npx -y some-package`
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "config")]
    program: Vec<String>,
    /// One remote server, without a file: `--url https://mcp.example.com/mcp`
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "program"])]
    url: Option<String>,
}

/// The braid.toml that a command changes.
#[derive(Debug, Args)]
struct Written {
    /// The file, instead of the one that Braid reads or ./braid.toml
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show what would change, and write nothing
    #[arg(long)]
    dry_run: bool,
}

impl Written {
    fn how(self) -> servers::How {
        servers::How { config: self.config, dry_run: self.dry_run }
    }
}

/// For whom it is judged, where there are rules in `[access]`.
#[derive(Debug, Args)]
struct AsWhom {
    /// As they see it whom rules of [access] are for: token:NAME, oauth:NAME, cert:NAME, bearer, local, anonymous
    #[arg(long = "as", value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// And whose token says this, such as read,write
    #[arg(long, value_name = "SCOPES", requires = "principal")]
    scopes: Option<String>,
}

impl AsWhom {
    fn read(&self, globals: &Globals) -> Result<Option<whom::Whom>, Exit> {
        let Some(principal) = &self.principal else { return Ok(None) };
        let read = whom::Whom::parse(principal, self.scopes.as_deref());
        read.map(Some).map_err(|why| out::fail(Exit::Usage, &why, globals))
    }
}

/// Our entry in a client's file.
#[derive(Debug, Args)]
struct Place {
    /// claude-desktop, claude-code, cursor, vscode, zed, windsurf, cline, roo, codex, gemini
    client: String,
    /// Change the client's file; what was there is kept beside it
    #[arg(long)]
    write: bool,
    /// The client's file, instead of the one that holds for all your projects
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the entry is called
    #[arg(long, value_name = "NAME", default_value = "braid")]
    name: String,
}

impl Place {
    fn options(self) -> install::Options {
        install::Options { client: self.client, write: self.write, file: self.file, name: self.name }
    }
}

fn variable_name(text: &str) -> Result<String, String> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = text.starts_with(|first: char| first.is_ascii_digit());
    if !text.is_empty() && !digit && text.bytes().all(fine) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of an environment variable".to_owned())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve one client on stdin and stdout: the command for a client's configuration
    Stdio {
        /// Only the servers of this group of the configuration
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Serve many clients over HTTP: /mcp, and /sse for old clients
    Serve {
        #[command(flatten)]
        source: Source,
        /// Listen here instead: 127.0.0.1:8808, [::1]:8808, unix:/path
        #[arg(long, value_name = "ADDR")]
        listen: Vec<String>,
    },
    /// Start every server, and say what each offers and what is wrong
    Check {
        #[command(flatten)]
        source: Source,
        /// Start nothing: find what can be found without
        #[arg(long)]
        offline: bool,
        /// Warnings count as failures (exit code 7)
        #[arg(long)]
        strict: bool,
        /// Judge by this client's limits: claude-desktop, claude-code, cursor, vscode, …
        #[arg(long, value_name = "NAME")]
        client: Option<String>,
        /// Say everything that was found
        #[arg(short, long)]
        verbose: bool,
    },
    /// List servers, tools, prompts, resources or templates
    List {
        #[arg(value_enum, default_value_t = list::What::Tools)]
        what: list::What,
        /// Only this server's
        server: Option<String>,
        /// What filters hide as well, and which setting hides it
        #[arg(long)]
        all: bool,
        /// As the door of this group of the configuration shows it
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        #[command(flatten)]
        whom: AsWhom,
        #[command(flatten)]
        source: Source,
    },
    /// Call a tool: braid call notes__add title=Milk 'text=two litres'
    Call {
        name: String,
        /// key=value, where a value may be JSON; or `-` to read one JSON object from stdin
        arguments: Vec<String>,
        /// All arguments as one JSON object
        #[arg(long, value_name = "JSON", conflicts_with = "arguments")]
        args: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Read a resource
    Read {
        uri: String,
        #[command(flatten)]
        source: Source,
    },
    /// Get a prompt: braid prompt notes__summarise id=1
    Prompt {
        name: String,
        /// key=value
        arguments: Vec<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Say where an exposed name or URI leads, or what an error code means
    Explain {
        /// A name, a URI, or a code such as BRAID-C003
        what: String,
        #[command(flatten)]
        whom: AsWhom,
        #[command(flatten)]
        source: Source,
    },
    /// The configuration: an example, what is read, its schema, where it is looked for
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Take over the servers of other clients' files; shows every command before anything is written
    Import {
        /// claude-desktop, claude-code, cursor, vscode, zed, windsurf, cline, roo, codex, gemini, or a file; all that are found
        #[arg(value_name = "CLIENT|FILE")]
        what: Option<String>,
        /// Write them into braid.toml; what was there is kept beside it
        #[arg(long)]
        write: bool,
        /// The file to write, instead of the one that Braid reads or ./braid.toml
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Write without asking
        #[arg(short, long, requires = "write")]
        yes: bool,
    },
    /// Show the one entry that a client needs, and where it goes
    Install {
        #[command(flatten)]
        place: Place,
        /// The configuration that the entry leads to
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Only the servers of this group of the configuration
        #[arg(long, value_name = "NAME", conflicts_with = "http")]
        group: Option<String>,
        /// Lead to a Braid that listens there: http://127.0.0.1:8808/mcp
        #[arg(long, value_name = "URL")]
        http: Option<String>,
        /// The variable in which the client finds the token
        #[arg(long, value_name = "NAME", default_value = "BRAID_TOKEN", requires = "http", value_parser = variable_name)]
        token_env: String,
    },
    /// Take that entry out again; a file in which nothing else was changed is as it was
    Uninstall {
        #[command(flatten)]
        place: Place,
    },
    /// Add a server: braid add files -- npx -y some-package, or: braid add far https://mcp.example.com/mcp
    Add {
        name: String,
        /// Where it is, for a remote server
        url: Option<String>,
        /// A variable of the program; a value may be "${NAME}" or "${file:PATH}"
        #[arg(short, long, value_name = "NAME=VALUE")]
        env: Vec<String>,
        /// A header for a remote server: "Authorization: Bearer ${TOKEN}"
        #[arg(short = 'H', long, value_name = "NAME: VALUE")]
        header: Vec<String>,
        #[command(flatten)]
        file: Written,
        /// The program and its arguments
        #[arg(last = true, value_name = "COMMAND")]
        program: Vec<String>,
    },
    /// Remove a server
    Remove {
        name: String,
        #[command(flatten)]
        file: Written,
    },
    /// Use a server again that was disabled
    Enable {
        name: String,
        #[command(flatten)]
        file: Written,
    },
    /// Leave a server out without removing it
    Disable {
        name: String,
        #[command(flatten)]
        file: Written,
    },
    /// Log in at a remote server that wants it, in your browser
    Login {
        server: String,
        /// Open nothing: print the page to be opened
        #[arg(long)]
        no_browser: bool,
        /// In a browser of any machine: a page, and a code to type into it
        #[arg(long, conflicts_with = "no_browser")]
        device: bool,
        /// For this one alone of those whom Braid serves: token:alice, oauth:SUBJECT (`oauth.per_principal`)
        #[arg(long = "as", value_name = "PRINCIPAL")]
        whose: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Forget that login, here and at its issuer
    Logout {
        server: String,
        /// That of this one alone of those whom Braid serves
        #[arg(long = "as", value_name = "PRINCIPAL")]
        whose: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// How the runs of this user stand
    Status {
        /// Only say whether all is well: exit code 0, or 4 and why not
        #[arg(long)]
        ready: bool,
        #[command(flatten)]
        which: instance::Which,
    },
    /// The same, drawn anew each second
    Top {
        #[command(flatten)]
        which: instance::Which,
    },
    /// Watch what passes between a run and its servers
    Tap {
        /// Only of this server
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// Only of this method: tools/call
        #[arg(long, value_name = "METHOD")]
        method: Option<String>,
        /// With the texts, of which `log.redact` hides what is secret
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        which: instance::Which,
    },
    /// What a server of a run wrote to stderr
    Logs {
        server: String,
        /// Wait for what comes next
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        which: instance::Which,
    },
    /// Let a run read its configuration anew
    Reload {
        #[command(flatten)]
        which: instance::Which,
    },
    /// Restart a server of a run; calls in flight have two seconds to end
    Restart {
        server: String,
        #[command(flatten)]
        which: instance::Which,
    },
    /// Completions for a shell
    Completions { shell: clap_complete::Shell },
    /// The manual page, or with a folder one page for each command
    Man { folder: Option<PathBuf> },
    /// Run one of the demo servers of the example configuration
    #[command(hide = true)]
    DemoServer { name: String },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every option with its default, ready to be saved as braid.toml
    Example,
    /// The configuration as it is understood, values of variables hidden
    Show {
        #[command(flatten)]
        source: Source,
    },
    /// A JSON Schema for editors
    Schema,
    /// Which file is read, and which are not there
    Path {
        #[command(flatten)]
        source: Source,
    },
}

/// The whole of the guardian's own program, which only a Braid of its version starts.
pub fn guardian() -> ExitCode {
    crate::system::keep_descriptors();
    match guardian::is_asked_for(std::env::args_os()) {
        true => guardian::run(),
        false => ExitCode::FAILURE,
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    crate::system::keep_descriptors();
    if guardian::is_asked_for(std::env::args_os()) {
        return guardian::run();
    }
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && json_is_asked_for(std::env::args()) => {
            let text = error.render().to_string();
            out::say(&out::failure(Exit::Usage, text.trim_end(), None, None));
            return Exit::Usage.into();
        }
        Err(error) => {
            error.print().ok();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let globals = arguments.globals;
    out::choose_color(globals.color);
    let exit = match arguments.command {
        None if std::io::stdin().is_terminal() => first_steps(),
        None => stdio::run(&Source::default(), None, &globals),
        Some(Command::Stdio { group, source }) => stdio::run(&source, group.as_deref(), &globals),
        Some(Command::Serve { source, listen }) => serve::run(&source, &listen, &globals),
        Some(Command::Check { source, offline, strict, client, verbose }) => {
            check::run(&source, &check::Options { offline, strict, client, verbose }, &globals)
        }
        Some(Command::List { what, server, all, group, whom, source }) => match whom.read(&globals) {
            Ok(whom) => {
                let which = list::Which { server: server.as_deref(), group: group.as_deref(), all, whom };
                list::run(what, &which, &source, &globals)
            }
            Err(exit) => exit,
        },
        Some(Command::Call { name, arguments, args, source }) => {
            call::tool(&name, &arguments, args.as_deref(), &source, &globals)
        }
        Some(Command::Read { uri, source }) => call::resource(&uri, &source, &globals),
        Some(Command::Prompt { name, arguments, source }) => {
            call::prompt(&name, &arguments, &source, &globals)
        }
        Some(Command::Explain { what, whom, source }) => match whom.read(&globals) {
            Ok(whom) => explain::run(&what, whom.as_ref(), &source, &globals),
            Err(exit) => exit,
        },
        Some(Command::Config { command }) => configuration(&command, &globals),
        Some(Command::Import { what, write, to, yes }) => {
            import::run(&import::Options { what, write, to, yes }, &globals)
        }
        Some(Command::Install { place, config, group, http, token_env }) => {
            let entry = install::Entry { config, group, http, token_variable: token_env };
            install::install(&place.options(), &entry, &globals)
        }
        Some(Command::Uninstall { place }) => install::uninstall(&place.options(), &globals),
        Some(Command::Add { name, url, env, header, file, program }) => {
            let new = servers::New { name, url, program, env, headers: header };
            servers::add(&new, &file.how(), &globals)
        }
        Some(Command::Remove { name, file }) => servers::remove(&name, &file.how(), &globals),
        Some(Command::Enable { name, file }) => servers::enable(&name, true, &file.how(), &globals),
        Some(Command::Disable { name, file }) => servers::enable(&name, false, &file.how(), &globals),
        Some(Command::Login { server, no_browser, device, whose, source }) => {
            let browser = match (no_browser, device) {
                (_, true) => login::Browser::Elsewhere,
                (true, false) => login::Browser::Printed,
                (false, false) => login::Browser::Opened,
            };
            let how = login::How { server: &server, browser, whose: whose.as_deref() };
            login::login(&how, &source, &globals)
        }
        Some(Command::Logout { server, whose, source }) => {
            login::logout(&server, whose.as_deref(), &source, &globals)
        }
        Some(Command::Status { ready, which }) => status::run(&which, ready, &globals),
        Some(Command::Top { which }) => top::run(&which, &globals),
        Some(Command::Tap { server, method, payload, which }) => {
            let tapped = watch::Tapped { server: server.as_deref(), method: method.as_deref(), payload };
            watch::tap(&which, &tapped, &globals)
        }
        Some(Command::Logs { server, follow, which }) => watch::logs(&which, &server, follow, &globals),
        Some(Command::Reload { which }) => control::reload(&which, &globals),
        Some(Command::Restart { server, which }) => control::restart(&which, &server, &globals),
        Some(Command::Completions { shell }) => {
            let mut command = Arguments::command();
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, "braid", &mut text);
            out::print(&String::from_utf8_lossy(&text))
        }
        Some(Command::Man { folder }) => manual::run(Arguments::command(), folder.as_deref(), &globals),
        Some(Command::DemoServer { name }) => return demo(&name),
    };
    exit.into()
}

/// Arguments that cannot be parsed may still say how they want to be told so.
fn json_is_asked_for(words: impl Iterator<Item = String>) -> bool {
    let words: Vec<String> = words.skip(1).take_while(|word| word != "--").collect();
    words.iter().any(|word| word == "--json" || word == "--format=json")
        || words.windows(2).any(|pair| pair == ["--format", "json"])
}

fn configuration(command: &ConfigCommand, globals: &Globals) -> Exit {
    match command {
        ConfigCommand::Example => out::print(config_command::example()),
        ConfigCommand::Schema => out::print(&config_command::schema()),
        ConfigCommand::Path { source } => source::path(source),
        ConfigCommand::Show { source } => source::show(source, globals),
    }
}

fn demo(name: &str) -> ExitCode {
    crate::demo::run(name, std::io::stdin(), std::io::stdout())
}

/// What somebody who types `braid` at a terminal wants to know.
fn first_steps() -> Exit {
    out::print(
        "braid: many MCP servers behind one\n\n\
         Try it:            braid call -c config.example.toml notes__list\n\
         Make a file:       braid import --write, from what your clients have; or braid config example > braid.toml\n\
         See what is there: braid check\n\
         Use it:            braid install claude-desktop --write, or any other client\n\
         See it work:       braid status\n\n\
         `braid help` lists every command.\n",
    )
}
