//! Every code that Braid shows, with its title and its long help.
//!
//! A code is stable: once released it keeps its meaning, and a retired one is not given out again. The
//! letter says where to look: A authority, C configuration, H servers at a URL, S starting and losing a
//! server, N names, T time, P protocol, L limits. `braid explain CODE` prints what stands here. Nothing here decides anything.

use std::fmt;

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal, $help:literal;)*) => {
        /// One stable code. Its text form is `BRAID-C001`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!("BRAID-", $id, ": ", $title, ".")] $name,)*
        }

        impl Code {
            /// All codes, in the order of their text form within each letter.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The text form, such as `BRAID-C001`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => concat!("BRAID-", $id),)* }
            }

            /// One line: lower case, no full stop.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The long help: what it means, why it is so, what to do.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

codes! {
    CredentialsRefused = "A001", "the server wants other credentials",
"The server at the URL answered 401 or 403: without credentials, or with those that it was sent, it lets nobody
in. A variable that is empty, a token that has expired or is for another account, and a token without a right
that is needed look alike from outside.

Put a token into `headers`, and keep it out of the file:

    [servers.NAME]
    headers = { Authorization = \"Bearer ${file:token}\" }

A token that does not live long can be made anew by a program: `headers_command`.";

    NoHeaders = "A002", "`headers_command` gave no headers",
"The program that is to print the headers of the server could not be started, took too long, ended with an
error, or printed something else than a JSON object of texts. The message says which. Run it by hand: its last
lines on stderr say more.";

    LoginNeeded = "A003", "the server wants a login",
"The server at the URL lets in who was given leave by a person, in a browser (OAuth), or its leave has ended, or
does not reach as far as what was asked for. Log in:

    braid login NAME

The browser opens at the server's own issuer. What it gives stays on this machine, in a file that only you can
read, and goes to that server alone. Runs of Braid take it up at once. `braid logout NAME` ends it.

A client that can send its person to a page (URL elicitation) is sent to one of Braid's instead, and goes on
when the login is there. The page asks for a proof that who opens it is who was asked.

A server that wants a fixed token instead gets it in `headers`. A machine that has a secret of its own sets
`oauth.grant = \"client_credentials\"`.

Where the server is reached with a token made of the caller's own (`oauth.grant = \"token_exchange\"`) nobody logs
in: whoever calls `braid serve` shows a token of the identity provider, and a fresh one when that has ended. Who
comes with another kind of token, and the command line, cannot use the server.";

    AnonymousKeptOut = "A021", "server that is not lent to anybody who comes",
"With `listen.auth = \"none\"` whoever reaches Braid is served, and nobody knows who it is: any program and any
account of the machine. A server to which Braid sends a credential of yours would do for them what it does for
you. So such a server is not shown there, as if it were not in the file; `braid stdio` has it as before.

Let clients show a token (`auth = \"token\"`, which is the default). Or, if everybody who reaches Braid may act
with this credential, say so for the server:

    [servers.NAME]
    allow_anonymous = true

A login (`braid login`) is not lent either: the server is shown, and answers as to somebody who has none.";

    UnknownKey = "C001", "unknown key",
"`braid.toml` is read strictly: a key that Braid does not know is an error, because a misspelt setting
that is silently ignored is worse than a refusal.

Compare the spelling with the suggestion in the message, or with `braid config example`, which prints
every key with its default. A key that stands in the wrong section is named with the right one.";

    NotSupported = "C002", "not supported yet",
"The key is known and spelt correctly, but this version of Braid cannot do what it asks for. It is refused
rather than ignored, so that nobody relies on a filter or a listener that is not there.

Remove the key or put `#` before it. `braid config example` prints what this version can do.";

    CommandAndUrl = "C003", "server has both `command` and `url`",
"A server is either a program that Braid starts (`command`) or a remote address (`url`), never both.

Remove one of the two, or split the entry into two servers with two names.";

    MissingKey = "C004", "a key is missing",
"The section needs this key and has no sensible default for it. A server needs `command` or `url`:

    [servers.notes]
    command = \"npx\"
    args = [\"-y\", \"some-package\"]

    [servers.linear]
    url = \"https://mcp.example.com/mcp\"

A group needs `servers`, a certificate needs its key, a holder in `listen.tokens` its `token`, and `auth =
\"oauth\"` the `issuer` and the `resource` of `[listen.oauth]`.";

    WrongType = "C005", "wrong type of value",
"The key is right, the type of its value is not: text goes into quotes, numbers and true/false do not,
lists stand in [ ], tables in { } or under a [header] of their own.

Durations and sizes are text with a unit: \"30s\", \"16MiB\".";

    BadDuration = "C006", "not a duration",
"A duration is text: a whole number and a unit, `ms`, `s`, `m` or `h`. Several may follow each other, the
larger first: \"250ms\", \"30s\", \"1m30s\", \"2h\". There are no fractions: write \"1500ms\" for one and
a half seconds.

The unit is required because clients' files use milliseconds, seconds and minutes for the same thing.
\"0\" means off, and only where the key allows that.";

    BadSize = "C007", "not a size",
"A size is text: a whole number and a unit. `B` is bytes; `KiB`, `MiB`, `GiB` are powers of 1024; `KB`,
`MB`, `GB` are powers of 1000. For example \"64KiB\" or \"16MiB\".";

    OutOfBounds = "C008", "value out of bounds",
"The value is of the right kind but smaller or larger than Braid accepts. The message names the bounds.

Bounds exist at both ends: a limit of zero would refuse every message, and a limit without a maximum
is no limit.";

    UnknownWord = "C009", "not one of the words allowed here",
"The key takes one of a few words. The message lists them. They are case-sensitive.";

    BadText = "C010", "text that cannot be used here",
"The value is text but not of the form that the key needs: an empty program name, a character that
clients refuse in tool names, a NUL byte that no operating system passes to a program, a URL with a password
in it, an address without a port, a `*` where each name must be written out, or something that is not a log
filter.

The message says which form is expected.";

    Contradiction = "C011", "settings that contradict each other",
"Each of the values is fine by itself, but together they cannot work: a smallest delay above the largest,
a message limit that no buffer could hold. The message names both. Change one of the two.";

    Syntax = "C012", "the file cannot be parsed",
"The text is not TOML (for `braid.toml` and Codex' `config.toml`) or not JSON (for other clients' files;
comments and trailing commas are allowed). The line and the caret show where the parser gave up, which
is at the mistake or just behind it: look for a missing quote, comma or bracket before it.";

    UnsetVariable = "C013", "variable is not set",
"The text refers to an environment variable that is not set where Braid runs. Desktop applications start
programs with a short environment, so a variable of your shell may be missing there.

Set it in the environment of Braid, give a default with `${NAME:-default}`, or put the value into a file
and write `${file:PATH}`. Write `$${` for the two characters `${` themselves.

In `braid.toml` this is an error. In a client's own file the entry is skipped with a warning.";

    BadReference = "C014", "reference that cannot be read",
"Between `${` and `}` stands something that Braid does not understand. These are understood:

    ${NAME}            the environment variable NAME
    ${NAME:-default}   the same, or `default` when it is unset or empty
    ${env:NAME}        the environment variable NAME, whatever characters it has
    ${file:PATH}       the content of a file, without its last line break
    ${userHome}        your home folder
    ${cwd}             the folder that Braid was started in
    ${workspaceFolder} the folder of the configuration file
    ${braid}           the Braid program itself
    $${                the two characters `${`

In clients' own files also ${input:ID}, from the environment variable MCP_INPUT_<ID>.";

    BadFileReference = "C015", "file of a reference cannot be used",
"`${file:PATH}` stands for the content of a file: text of at most 64 KiB, in UTF-8, in a regular file.
A relative path starts from the folder of the configuration file. Check that the file is there and that
the user who runs Braid may read it.";

    BadEnvFile = "C016", "env_file cannot be used",
"`env_file` names a file of lines `NAME=value`. Blank lines, lines that start with `#`, a leading `export`,
and quotes around the value are understood; references such as `${NAME}` are not expanded in it. It may
have at most 256 KiB. A relative path starts from the folder of the configuration file. Variables in `env`
win over those of the file.";

    Unreadable = "C017", "the configuration file cannot be read",
"The file is not there, may not be read by this user, is a folder, is larger than 16 MiB, or is not text
in UTF-8. Check the path; `braid config path` says where Braid looks and what it found.";

    NoConfiguration = "C018", "no configuration found",
"No file was named and none lies where Braid looks: $BRAID_CONFIG, ./braid.toml,
$XDG_CONFIG_HOME/braid/config.toml (that is ~/.config/braid/config.toml), /etc/braid/config.toml.

To begin:   braid import --write   with the servers that your clients have
            braid config example > braid.toml   with demo servers and every option
Or without a file, for one server:   braid stdio -- npx -y some-package
Or with a client's own file as it is:   braid stdio -c ~/.cursor/mcp.json";

    NoServers = "C019", "no server to serve",
"The configuration, or a group of it, holds no server that could be used: none at all, or each of them is
disabled or was skipped. A smallest configuration is

    [servers.notes]
    command = \"${braid}\"
    args = [\"demo-server\", \"notes\"]";

    UnknownVersion = "C020", "version of the file is not known",
"`version` is the version of the file's format, not of Braid, and this Braid knows version 1 only. The
file was written for a newer Braid, or the number was meant for something else.";

    NoEffect = "C021", "setting without effect",
"A warning: the setting is valid, but another one makes it meaningless. The message names both.";

    RepeatedKey = "C022", "key stands there twice",
"A warning about a client's JSON file: the same key stands twice in one object. The last one counts, as it
does for most clients.";

    UnknownShape = "C023", "no servers in this file",
"A client's own file can be used as it is when its servers stand under `mcpServers` (Claude, Cursor, Cline,
Windsurf, Gemini), `servers` (VS Code), `context_servers` (Zed) or, in TOML, `mcp_servers` (Codex). This
file has none of them. Braid's own format is TOML, in a file whose name ends in `.toml`.";

    Exposed = "C024", "listener that others could reach unprotected",
"`braid serve` listens on 127.0.0.1 unless told otherwise. An address that other machines reach is taken only
if nobody gets in without the token, and nobody on the way can read it:

  - `auth = \"none\"` is refused off loopback, whatever stands before us.
  - With a token, the listener needs TLS: its own, `tls = { cert = \"cert.pem\", key = \"key.pem\" }`, or that
    of a reverse proxy, whose address or network is named in `trusted_proxy`.

Whoever can call your tools can do what they do, with your tokens and your files. A Unix socket is protected
by its folder's permissions and needs none of this.";

    StandsTwice = "C025", "entry stands there twice",
"The same address, server or header stands twice in one list or table, two tools of a server are given one
name, or one address covers another, as 0.0.0.0 covers 127.0.0.1. Change one of the two.";

    NoSuchName = "C026", "no such server or group",
"A group or a rule of `[access]`, or one of its patterns, names a server that the file does not have; a rule or
`--group` names a group, or a rule a holder of a token, that it does not have. Names are compared letter by
letter, case included. The message has the nearest one.";

    OurHeader = "C027", "header that Braid sets itself",
"`headers` may hold whatever the server wants to see, but not what belongs to the transport itself: Host, Accept,
Content-Type, Content-Length, Connection, Transfer-Encoding, Last-Event-ID, Mcp-Session-Id and the other
`Mcp-` headers. They change with each request. Leave the header out.";

    OtherKind = "C028", "key that belongs to another kind of server",
"`args`, `env`, `env_file`, `cwd`, `inherit_env` and `stderr` belong to a server that Braid starts (`command`);
`headers`, `headers_command`, `transport` and `ca_file` to one that it connects to (`url`). A key of the other
kind would be without effect, so it is refused.";

    PlainToken = "C029", "token over plain HTTP",
"A warning: the server is on another machine, its URL begins with `http://`, and what lets you in is sent along.
Whoever is on the way can read it. Use `https://` if the server has it.";

    RemoteSkipped = "C030", "remote server skipped",
"A warning about a client's own file: the entry is for a remote server that Braid cannot reach, because it
is neither at an `http://` nor at an `https://` URL, or speaks another transport than Streamable HTTP and
HTTP+SSE. The other entries are used.";

    KeyIgnored = "C031", "key ignored",
"A warning about a client's own file: the entry has a key that Braid does not know or cannot honour. The
entry is used without it. Lists of tools (`includeTools`, `excludeTools`, `enabled_tools`, `disabled_tools`,
`disabledTools`) are heeded; if one is ignored, it is no list of names, and the filter is not applied.";

    EntrySkipped = "C032", "entry skipped",
"A warning about a client's own file: the entry cannot be used as it stands, because its command is missing
or a value has the wrong type. The other entries are used.";

    LoopSkipped = "C033", "entry that starts Braid itself skipped",
"A warning about a client's own file: the entry is the one that starts Braid. Following it, Braid would start
itself without end. Nothing needs to be done.";

    BadRate = "C034", "not a rate",
"A rate is text: a whole number, `/`, and the time in which so many may come: `s`, `min`, `hour` or `day`. For
example \"10/s\", \"60/min\" or \"5000/hour\". \"0\" means no limit.

The number is also what may come at once: of \"60/min\" sixty after a minute of silence, and one more each
second. For fewer at once write the same rate by a shorter time: \"1/s\".";

    LooseJson = "C041", "its own client may refuse this JSON",
"A warning about a client's own file: it has a comma behind the last entry, or a comment. Braid and editors take
that; the client whose file it is reads JSON to the letter, and then starts without a single server, often
without a word. Remove the comma or the comment.";

    EmptyValue = "C042", "value is empty",
"A warning: what is written refers to a variable or a file that is set and empty, so that the server gets an
empty value. A desktop app may have started Braid with other variables than your shell has.

If the value is to be empty, write `\"\"` instead of the reference, or leave the key out.";

    LiteralSecret = "C043", "secret in the file",
"A warning: what looks like a token or a password is written out in the configuration. Such files are copied,
shared, shown to others and kept in repositories; what stands in `args` can be read by everybody on the machine
while the program runs.

Put it into a file that only you can read, or into a variable of Braid's environment:

    env = { GITHUB_TOKEN = \"${file:github-token}\" }
    env = { GITHUB_TOKEN = \"${GITHUB_TOKEN}\" }

Braid says the name of the key and never the value.";

    Placeholder = "C044", "placeholder instead of a value",
"A warning: the value is the one of some documentation, such as `YOUR_TOKEN_HERE` or `<token>`. The server will
be sent it as it stands, and refuse it. Put the real value there, best as a reference such as `${file:token}`.";

    ReadableSecret = "C045", "secret that others can read",
"A warning: the file holds a secret, and other users of this machine may read it. Take that from them
(`chmod 600 FILE`), or move the secret into a file of its own that only you can read and refer to it with
`${file:PATH}`.";

    RemoteUnreachable = "H001", "the server at the URL cannot be reached",
"No connection to the server's URL could be made or kept: the name is unknown, nothing listens there, the way to
it is cut, its certificate is not trusted, or a proxy in between refuses. The message says which of them.

Check the URL, and whether this machine reaches it otherwise (a VPN, a proxy in HTTPS_PROXY and NO_PROXY). For a
company's own certificates there is `ca_file`. Braid tries again by itself.";

    RemoteRefused = "H002", "the server at the URL refused",
"The server answered with a status that is no success: there is no MCP server at this path (404, 405), it has too
much to do (429, 503), or it failed (500, 502). The message has the status and what the server says of it.

Most servers are at a path such as /mcp or /sse, not at the root of their host.";

    NamesSanitised = "N001", "name changed to one that every client accepts",
"Some clients drop every tool when a single name has a character outside A-Z a-z 0-9 _ -, or does not start
with a letter. Such characters are replaced. The server is still called by its own name, and
`braid explain NAME` shows both.";

    NamesCollide = "N002", "two names are alike",
"Two servers, or two tools of one server, would be exposed under the same name. Nothing is shadowed: the
names get a short suffix made of a hash, which stays the same over restarts. To choose nicer names set
`prefix` for one of the servers.

For servers, keys are compared as they appear in names and in URIs: without case, and with every character
that is neither letter nor digit treated alike.";

    NameCut = "N004", "name cut",
"The exposed name was longer than `names.max_length`, so its head is kept and `_` with six hexadecimal digits
of a hash is put behind it. It is the same after every restart.

The default of 52 is what remains of the 64 characters that several clients allow after they put
`mcp__braid__` in front. A shorter `prefix` for the server leaves more room.";

    PatternIdle = "N005", "pattern that matches nothing",
"A warning of `braid check`: a pattern under `allow` or `deny` matches nothing that its servers list now. Most
often it is misspelt, and a filter that is misspelt hides nothing, or everything.

Patterns of a server are held against its own names, as `braid list --all --json` shows them under `own`, and
patterns of a group against SERVER/NAME. `*` is any text, `?` one character, all else stands for itself, and
case counts. Resources are matched by URI or URI template.";

    NoSuchTool = "N006", "settings of a tool that is not there",
"A warning of `braid check`: `[servers.NAME.tool.TOOL]` is about a tool that the server does not list. TOOL is
the name that the server itself gives the tool, without a prefix and whatever `name` it is given here. The
message has the nearest one. Servers rename tools from one version to the next: then nothing of the section
holds any more.";

    NoSuchArgument = "N007", "settings of an argument that do not fit its tool",
"A warning of `braid check`: `defaults` or `hidden` of a tool names an argument that its `inputSchema` does not
have, or `hidden` has one that every call needs and for which there is no value:

    [servers.github.tool.create_issue]
    defaults = { repo = \"me/mine\" }
    hidden = [\"repo\"]

A default is put into each call that brings no argument of the name. A hidden argument is in no schema that
clients see, and a call that brings it all the same, be it in other letters (`Repo`), is refused: it is not
overwritten in silence.";

    OddCharacters = "N011", "characters that nobody sees",
"A name or a description of the server holds characters that a person does not see and a model reads: controls,
marks that turn the direction of text around, letters of the tag alphabet (U+E0000 to U+E007F). They are a known
way to hide instructions in a tool.

Names are cleaned before clients see them; descriptions pass as they are. Look at the item with
`braid list SERVER --json` and ask whoever publishes the server why they are there.";

    DescriptionCut = "N012", "text that the client cuts",
"The client shows a model no more than so much of a description, or of a server's instructions. What stands
beyond it is lost, often the very part that says how the tool is used. Only whoever publishes the server can
shorten it. Merged instructions are kept below `identity.instructions_budget`.";

    NameTooLong = "N013", "name too long for the client",
"The client refuses or drops tools whose names are longer than this, sometimes all tools because of one. The
number includes what the client itself puts before each name. Set a lower `names.max_length`, or a shorter
`prefix` for the server.";

    TooManyTools = "N014", "more tools than the client takes",
"The client hands a model no more than so many tools, counting those of its other servers and its own; the rest
is dropped, hidden, or makes each request fail. Fewer tools are better understood, too.

Serve a part of the servers to this client: put them into `[groups.NAME]` and start `braid stdio --group NAME`.
`braid check --client NAME` names the tools whose definitions are the largest.";

    ProgramNotFound = "S001", "program not found",
"The `command` of the server is no program that could be found. Desktop applications start programs with a
short PATH, so what your shell finds may be missing there.

Write the whole path (`which NAME` in a shell prints it), or let Braid ask your login shell where programs
are: `path_from_shell = \"always\"`. A command with a slash in it is looked for from the folder of the
configuration file. `braid check` looks in the places where programs usually are, and says what it finds.";

    ExitedEarly = "S002", "the server exited before the handshake",
"The program was started and ended before it answered `initialize`. The message shows its exit status and its
last lines on stderr, which usually say why: a missing variable, a missing package, a wrong argument.

Run the command by hand, with the same variables, to see all of it.";

    NoHandshake = "S003", "no answer to `initialize` in time",
"The program runs but did not answer within `timeouts.start`. Package runners such as npx and uvx download
on first use, which may take longer: run the command once by hand, or raise
`servers.NAME.timeouts.start`. A program that is no MCP server over stdio never answers.";

    NotPermitted = "S004", "the program may not be run",
"The `command` names a file that is there but that this user may not execute, or a folder. Check its
permissions (`chmod +x`), and that it is the file you mean. A script can also be the argument of its
interpreter: `command = \"python3\"`, `args = [\"server.py\"]`.";

    UnknownRevision = "S005", "the server speaks no revision that Braid knows",
"The server answered `initialize` with a protocol revision that Braid does not know. Braid speaks 2024-11-05,
2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28. Update Braid or the server.";

    ServerGone = "S006", "the server is gone",
"The server ended, or closed its output, while it was needed. `data.outcome` of the error says whether the
call was sent: `not_sent` is safe to repeat, `unknown` is not, because the tool may have run. Braid never
repeats a call by itself. The server is started again as `restart` says.";

    ServerStarting = "S007", "the server is starting",
"The server is not ready yet, or waits before its next start after a failure. The call was not sent and is
safe to repeat. `restart_backoff` says how long the waits are.";

    ServerUnreachable = "S008", "the server was never reached",
"The server has not been ready since Braid started; each start failed. The call was not sent. `braid check`
starts every server and says what is wrong.";

    FolderNotFound = "S009", "the server's folder does not exist",
"The server is to run in the folder `cwd`, and there is none by that name, or it is a file. A relative `cwd`
starts from the folder of the configuration file; without `cwd` that folder itself is taken. Create it, or
correct `cwd`.";

    InterpreterNotFound = "S010", "the script's interpreter does not exist",
"The `command` is a script that is there and may be run, but the program that its first line names
(`#!/usr/bin/python3`), or asks for (`#!/usr/bin/env node`), is not. So it is with `npx` where there is no
Node.js. A script that was saved with Windows line ends names a program that ends in a carriage return. For a
binary it means that the system's loader for it is missing.

Install the program, correct the first line, or name the interpreter itself as the `command` and the script
as its first argument.";

    NotStarted = "S011", "the system could not start the program",
"The program was found, but the operating system refused to start it. The message has the system's own words:
out of memory, too many processes or open files, arguments that are too long, or a file that is no program
for this machine. What may pass is tried again as `restart` says.";

    OnlyInShell = "S012", "program that only your shell finds",
"A warning: the program is in your shell's PATH and not in a folder of the system. The client is a desktop app;
such apps start Braid with a PATH of the system's folders alone, and then it is not found.

Write the whole path as `command`, or let Braid ask your login shell: `path_from_shell = \"always\"`.";

    ArgumentMissing = "S013", "file of the arguments does not exist",
"A warning: an argument looks like the script or the folder that the program is to open, and there is none by
that name. A relative path starts from `cwd`, which is the folder of the configuration file unless it is
written; not from the folder that Braid or the client was started in. Write the whole path.";

    CallTimeout = "T001", "no sign of life in time",
"The server neither answered nor reported progress for as long as `timeouts.call` (or `.read`, `.list`)
allows. The request was cancelled there; whether the tool ran is unknown. Raise the setting that the message
names, for the server or for one tool:

    [servers.NAME.tool.TOOL]
    timeout = \"10m\"";

    CallTimeoutMax = "T002", "the maximum for one call is reached",
"The server was alive, but the call took longer than `timeouts.call_max` in all. The request was cancelled
there. Raise `call_max`, or set it to \"0\" for no maximum; for one tool the key is `timeout_max`.";

    ListLate = "T003", "a server's list is late",
"The first list was answered without this server, because it was not ready within `timeouts.first_list`. Its
tools are announced with list_changed as soon as they are known; a few clients do not listen for that and
need a larger `first_list`.";

    StartSlow = "T011", "start takes most of the time it may",
"A warning: the server was ready, but not long before `timeouts.start` would have ended the attempt. On a busier
day it will fail. Package runners such as npx and uvx look for a newer version each time: name the version that
you want, or install the package. Or raise `servers.NAME.timeouts.start`.";

    ClientImpatient = "T012", "the client waits less long than Braid",
"A warning: the client gives a call up before Braid does, so that its user reads its own words and not those that
say which setting it was; the server is told by the client then, if at all. Progress may make the client wait
longer. Set `timeouts.call` below the client's own limit, or raise that where the client has a setting for it.";

    NotAMessage = "P001", "the server wrote something that is no message",
"On stdout of an MCP server over stdio each line must be one JSON-RPC message. The line was logged and dropped.
Usually it is a program that prints its log to stdout; such output belongs on stderr.";

    BadAnswer = "P002", "the server's answer breaks the protocol",
"The answer is JSON-RPC, but not what the request asked for: a list that is no list, a handshake without a
revision. It is treated as a failure of this request alone.";

    StrayAnswer = "P003", "an answer that nobody waits for",
"The server answered a request that is already finished: it was cancelled, had timed out, or was answered
twice. The answer is dropped. This is normal after a cancellation.";

    LoopFound = "P004", "a loop through Braid itself",
"The server that was started is this Braid, directly or through other proxies. It is refused, because it would
start itself without end. Remove the entry that leads back.";

    Refused = "P005", "refused",
"The request was refused before it reached a server: it brings an argument that the configuration keeps to
itself (`hidden` of a tool), or the client may not ask for it. It was not sent.

What a filter hides is answered as if it were not there; `braid explain NAME` and `braid list --all` say which
setting hides it.";

    Stopping = "P006", "Braid is stopping",
"Braid was told to stop and takes no new requests. The call was not sent.";

    Internal = "P007", "a fault of Braid",
"Braid found itself in a state that should not occur. Please report it with the log of the last minute.";

    HandshakeRefused = "P011", "the server refused the handshake",
"The server answered `initialize` with an error, so nothing can be asked of it. The message has its own words,
which usually say why: a licence, a token or a setting is missing. Its last lines on stderr may say more.";

    TooLarge = "L001", "over a size limit",
"A message, a member of one, or a list was larger than a limit under `[limits]`. The message names the limit
and the size. Limits protect every other client and server from one that runs wild; raise the one that is
named if the size is what you want.";

    Busy = "L002", "too many requests at once",
"As many requests as the limit allows are in flight, and the queue behind them is full. The call was not sent
and is safe to repeat. See `concurrency` and `queue` of the server, and `session_in_flight` and
`total_in_flight` under `[limits]`.";

    RateLimited = "L003", "too many requests in a short time",
"The client, or the model that it works for, asks more often than a rate of the configuration allows: `rate` of
`[limits]` for all servers, of a server, or of one of its tools. The message names which, and
`data.retry_after_ms` says when the next call is taken. Each client has its own count; others are not held back.

The call was not sent and is safe to repeat then. An agent that runs into it again and again is most likely
going in circles.

A server at a URL that answers 429 is said to be over its rate too: then the rate is its own, and none of ours.";

    ListCut = "L004", "a server's list was cut",
"The server offers more pages, more items or larger items than `[limits]` allows. The rest is left out. See
`list_pages`, `list_items`, `list_item` and `list_size`.";
}

impl Code {
    /// The code that a person means by `BRAID-C003`, `c003` or `C3`.
    pub fn named(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("BRAID-").unwrap_or(&upper);
        let mut chars = bare.chars();
        let letter = chars.next()?;
        let number: u16 = chars.as_str().parse().ok()?;
        let id = format!("BRAID-{letter}{number:03}");
        Self::ALL.iter().copied().find(|code| code.id() == id)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_given_out_once() {
        let ids: BTreeSet<_> = Code::ALL.iter().map(|code| code.id()).collect();
        assert_eq!(ids.len(), Code::ALL.len());
    }

    #[test]
    fn codes_of_one_letter_stand_in_order() {
        for pair in Code::ALL.windows(2) {
            let (a, b) = (pair[0].id(), pair[1].id());
            if a.as_bytes()[6] == b.as_bytes()[6] {
                assert!(a < b, "{a} stands before {b}");
            }
        }
    }

    #[test]
    fn titles_are_lower_case_without_a_full_stop_and_help_is_prose() {
        for code in Code::ALL {
            let title = code.title();
            assert!(!title.ends_with('.'), "{code}: {title}");
            assert!(
                !title.starts_with(|c: char| c.is_uppercase()) || title.starts_with("Braid"),
                "{code}: {title}"
            );
            let help = code.help();
            assert!(help.len() > title.len() && !help.ends_with('\n'), "{code}");
            assert!(help.lines().all(|line| line.len() <= 112), "{code} has a line that is too long");
        }
    }

    #[test]
    fn a_code_is_found_by_any_of_its_spellings() {
        for text in ["BRAID-C003", "C003", "c3", " braid-c003 "] {
            assert_eq!(Code::named(text), Some(Code::CommandAndUrl), "{text}");
        }
        for text in ["", "C", "C999", "X001", "BRAID-", "c-3", "é1"] {
            assert_eq!(Code::named(text), None, "{text}");
        }
    }
}
