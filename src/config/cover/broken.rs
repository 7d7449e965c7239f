//! Covers secrets in a text that could not be parsed: whatever is not known to be none.
//!
//! There is no tree to ask, and a quote or a brace that is missing makes keys of values and values of keys. So each line is read
//! from its start for as long as it is well formed, and only this of it stays: signs, keys, and what a key that never holds a
//! secret says. Behind the first thing that cannot be there, and until the next `[section]`, no value stays. It covers too much.

use std::iter::Peekable;
use std::ops::Range;

use super::{ARGUMENTS, NAMING_TABLES, URLS, cover, drawable, hides, holds_secrets, secrets_of_url};
use crate::config::client_entry;
use crate::config::schema::{Form, SETTINGS};

/// The text with what may be secret covered, byte for byte.
pub(in crate::config) fn broken(text: &str) -> String {
    let mut bytes = drawable(text);
    let mut reader = Reader::default();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut from = 0;
        reader.shown_of(line);
        for shown in reader.shown.drain(..) {
            cover_pieces(&mut bytes, line, from..shown.start, start);
            from = shown.end;
        }
        for secret in reader.addresses.drain(..).flat_map(|address| secrets_of_url(line, &address)) {
            cover(&mut bytes, line, &secret, start);
        }
        cover_pieces(&mut bytes, line, from..line.len(), start);
        start += line.len();
    }
    for word in secret_words(text).into_iter().chain(random_words(text)) {
        cover(&mut bytes, text, &word, 0);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// What of the lines before decides about the next one.
#[derive(Debug, Default)]
struct Reader {
    /// The `[section]` holds secrets.
    of_secrets: bool,
    /// Braces that are open since a table of secrets began.
    depth: usize,
    /// Brackets that are open since the last key.
    lists: usize,
    key: Key,
    last: Last,
    /// Something stood where it cannot stand.
    in_doubt: bool,
    /// The quotes that end a text of several lines.
    long: Option<&'static str>,
    /// Of the line at hand, what stays; in its order.
    shown: Vec<Range<usize>>,
    /// Those of which a part may be secret.
    addresses: Vec<Range<usize>>,
}

/// What the value that comes next says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Key {
    #[default]
    None,
    Plain,
    Address,
    Unknown,
    /// It opens a table of secrets.
    Secrets,
}

/// What stood last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// Nothing on this line.
    #[default]
    Start,
    /// `=` or `:` behind a key.
    Sign,
    Open,
    Comma,
    Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Quoted(Range<usize>),
    Bare(Range<usize>),
    Sign(char),
    /// Quotes of a text that goes on in the next line.
    Long(&'static str),
}

impl Reader {
    fn shown_of(&mut self, line: &str) {
        if let Some(quotes) = self.long {
            // What follows the end of a long text on its line is not looked at.
            if line.contains(quotes) {
                self.long = None;
            }
            return;
        }
        if let Some(heading) = Heading::of(line) {
            *self = Self { of_secrets: heading.of_secrets, shown: vec![heading.path], ..Self::default() };
            return;
        }
        let tokens = tokens(line);
        if self.well_formed(line, &tokens).is_none() {
            let from = self.shown.last().map_or(0, |shown| shown.end);
            let words = tokens.iter().filter_map(Token::word).filter(|word| word.start >= from);
            // A quote that is missing joins words, so they are told apart by every sign.
            let keys = words.flat_map(|word| pieces(line, word)).filter(|word| is_known(line, word));
            self.shown.extend(keys);
            (self.in_doubt, self.lists, self.key, self.last) = (true, 0, Key::None, Last::Start);
        }
        if let Some(Token::Long(quotes)) = tokens.last() {
            self.long = Some(quotes);
        }
    }

    /// Notes what stays; `None` at the first thing that cannot be there.
    fn well_formed(&mut self, line: &str, tokens: &[Token]) -> Option<()> {
        if self.lists == 0 && self.last != Last::Sign {
            self.last = Last::Start;
        }
        let mut rest = tokens.iter().peekable();
        while let Some(token) = rest.next() {
            self.last = match token {
                Token::Quoted(word) | Token::Bare(word) if is_key(&mut rest) => {
                    let can_be =
                        matches!(self.last, Last::Start | Last::Open | Last::Comma) && self.lists == 0;
                    let name = line.get(word.clone()).filter(|name| can_be && is_name(name))?;
                    self.key = Key::of(name);
                    // What ends with the sign of a key may be the end of a secret: `c2VjcmV0=`.
                    let first = name.split('.').next().unwrap_or_default();
                    // And behind a quote that is missing, the end of a text of several lines.
                    let may_be_key = rest.peek().is_some() && (!self.in_doubt || is_known_word(first));
                    if may_be_key || is_known_word(name) {
                        self.shown.push(word.clone());
                    }
                    Last::Sign
                }
                Token::Quoted(word) | Token::Bare(word) => {
                    let is_value = self.last == Last::Sign || (self.lists > 0 && self.last != Last::Value);
                    let text = line.get(word.clone()).filter(|_| is_value)?;
                    let can_be = matches!(token, Token::Quoted(_)) || is_literal(text);
                    // Of a word that is all its key says, nothing but the quotes is missing.
                    let is_whole = can_be || (self.last == Last::Sign && rest.peek().is_none());
                    // A quote that is missing makes one text of many.
                    let is_one = is_whole && !text.contains(['"', '\'', '{', '}', '[', ']']);
                    if is_one && self.shows_values() {
                        self.shown.push(word.clone());
                        let is_address = self.key == Key::Address || text.contains("://");
                        self.addresses.extend(is_address.then(|| word.clone()));
                    }
                    if !can_be {
                        return None;
                    }
                    Last::Value
                }
                Token::Long(_) if self.last == Last::Sign => Last::Value,
                Token::Sign('[')
                    if self.last == Last::Sign || (self.lists > 0 && self.last != Last::Value) =>
                {
                    self.lists += 1;
                    Last::Open
                }
                Token::Sign('{') if self.last != Last::Value => {
                    if self.depth > 0 || self.key == Key::Secrets {
                        self.depth += 1;
                    }
                    (self.key, self.lists) = (Key::None, 0);
                    Last::Open
                }
                Token::Sign(']') if self.last != Last::Sign => {
                    self.lists = self.lists.saturating_sub(1);
                    Last::Value
                }
                Token::Sign('}') if self.last != Last::Sign => {
                    self.depth = self.depth.saturating_sub(1);
                    (self.key, self.lists) = (Key::None, 0);
                    Last::Value
                }
                Token::Sign(',') if self.last == Last::Value => {
                    self.key = if self.lists == 0 { Key::None } else { self.key };
                    Last::Comma
                }
                Token::Long(_) | Token::Sign(_) => return None,
            };
        }
        Some(())
    }

    fn shows_values(&self) -> bool {
        let is_harmless = matches!(self.key, Key::Plain | Key::Address);
        is_harmless && !self.of_secrets && self.depth == 0 && !self.in_doubt
    }
}

impl Key {
    /// Of a key as it is written, dots included.
    fn of(name: &str) -> Self {
        let parts = || name.split('.').map(|part| part.trim_matches(['"', '\'', ' ']));
        if parts().any(|part| holds_secrets(part) || part == ARGUMENTS) {
            return Self::Secrets;
        }
        match parts().next_back() {
            Some(last) if URLS.contains(&last) => Self::Address,
            Some(last) if is_plain(last) => Self::Plain,
            Some(_) | None => Self::Unknown,
        }
    }
}

impl Token {
    fn word(&self) -> Option<Range<usize>> {
        match self {
            Self::Quoted(word) | Self::Bare(word) => Some(word.clone()),
            Self::Sign(_) | Self::Long(_) => None,
        }
    }
}

/// A line that begins a section of TOML, whatever stood before it.
struct Heading {
    path: Range<usize>,
    of_secrets: bool,
}

impl Heading {
    fn of(line: &str) -> Option<Self> {
        let inner = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
        let at = line.len() - inner.len();
        let is_within = |c: char| c.is_ascii_alphanumeric() || "_-. \"".contains(c);
        let path = inner.split(|c| !is_within(c)).next()?.trim_end();
        let behind = inner.get(path.len()..)?.trim_start().trim_start_matches(']').trim();
        let first = path.split('.').next()?.trim_matches(['"', ' ']);
        let begins = !first.is_empty() && path.starts_with(first) && is_known_word(first);
        if !begins || !(behind.is_empty() || behind.starts_with('#')) {
            return None;
        }
        Some(Self { path: at..at + path.len(), of_secrets: !is_plain_section(path) })
    }
}

/// Whether it is a section that there is, and none of secrets. A dot that is missing makes another one of it.
fn is_plain_section(path: &str) -> bool {
    let parts: Vec<&str> = path.split('.').map(|part| part.trim_matches(['"', ' '])).collect();
    let is_it = |known: &str| {
        let known: Vec<&str> = known.split('.').collect();
        known.len() == parts.len()
            && known.iter().zip(&parts).all(|(known, part)| known == part || *known == "*")
    };
    let ours = SETTINGS.iter().filter(|setting| matches!(setting.form, Form::Section | Form::Named));
    let holds =
        ours.map(|setting| setting.path).chain(["mcp_servers", "mcp_servers.*"]).find(|known| is_it(known));
    holds.is_some_and(|known| {
        !known.split('.').any(|part| holds_secrets(part) || (part == ARGUMENTS && known != part))
    })
}

/// Whether what was taken last is a key; its sign is taken as well.
fn is_key<'a>(rest: &mut Peekable<impl Iterator<Item = &'a Token>>) -> bool {
    rest.next_if(|next| matches!(next, Token::Sign('=' | ':'))).is_some()
}

/// The words and signs of a line, without what follows a comment's sign.
fn tokens(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(sign) = line.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = line.get(at..).unwrap_or_default();
        if let Some(quotes) = ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes)) {
            let inner = rest.get(quotes.len()..).unwrap_or_default();
            let Some(length) = inner.find(quotes) else {
                tokens.push(Token::Long(quotes));
                break;
            };
            tokens.push(Token::Quoted(at + quotes.len()..at + quotes.len() + length));
            at += 2 * quotes.len() + length;
        } else if matches!(sign, '"' | '\'') {
            let length = quoted_bytes(rest.get(1..).unwrap_or_default(), sign);
            tokens.push(Token::Quoted(at + 1..at + 1 + length));
            at += 1 + length + 1;
        } else if sign == '#' || rest.starts_with("//") || rest.starts_with("/*") {
            break;
        } else if is_sign(sign) {
            tokens.push(Token::Sign(sign));
            at += 1;
        } else if sign.is_whitespace() {
            at += sign.len_utf8();
        } else {
            let ends = |c: char| is_sign(c) || c.is_whitespace() || matches!(c, '"' | '\'' | '#');
            let length = rest.find(ends).unwrap_or(rest.len());
            tokens.push(Token::Bare(at..at + length));
            at += length;
        }
    }
    tokens
}

/// How much stands before the quote that ends a text, or before the end of the line.
fn quoted_bytes(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if sign == quote => return at,
            _ => {}
        }
    }
    rest.trim_end_matches(['\n', '\r']).len()
}

fn is_sign(sign: char) -> bool {
    matches!(sign, '[' | ']' | '{' | '}' | ',' | ':' | '=')
}

/// What of a word stands between blanks and signs.
fn pieces(line: &str, word: Range<usize>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = word.start;
    let ends = |c: char| is_sign(c) || c.is_whitespace() || matches!(c, '"' | '\'' | '.');
    for piece in line.get(word).unwrap_or_default().split_inclusive(ends) {
        found.push(at..at + piece.trim_end_matches(ends).len());
        at += piece.len();
    }
    found
}

fn is_known(line: &str, word: &Range<usize>) -> bool {
    line.get(word.clone()).is_some_and(is_known_word)
}

/// A word that is a key somewhere: it says nothing of anybody.
fn is_known_word(word: &str) -> bool {
    let theirs = [
        client_entry::USED,
        client_entry::OF_PROGRAMS,
        client_entry::ADDRESSES,
        client_entry::OF_REMOTES,
        client_entry::HARMLESS,
    ];
    let is_ours = || SETTINGS.iter().any(|setting| setting.path.ends_with(word) && setting.key() == word);
    NAMING_TABLES.contains(&word) || theirs.iter().any(|keys| keys.contains(&word)) || is_ours()
}

/// A key whose value is no secret wherever it stands. `key` is a path in one table, and may be anything in another.
fn is_plain(name: &str) -> bool {
    const NEVER: [&str; 3] = ["key", "value", "default"];
    let is_of_remotes = client_entry::OF_REMOTES.contains(&name);
    !NEVER.contains(&name) && !holds_secrets(name) && !is_of_remotes && is_known_word(name)
}

/// What a key looks like that somebody chose.
fn is_name(name: &str) -> bool {
    let is_within = |c: char| c.is_ascii_alphanumeric() || "_-./@ ".contains(c);
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_within)
}

/// No longer word is taken for a name.
const NAME_BYTES_MAX: usize = 64;

fn is_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "null")
        || word.chars().all(|c| c.is_ascii_digit() || "+-._".contains(c))
}

/// Covers a span piece by piece, so that no reference goes on behind a quote that ends it; signs between keys and values stay.
fn cover_pieces(bytes: &mut [u8], line: &str, span: Range<usize>, start: usize) {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',');
    let mut at = span.start;
    for piece in line.get(span).unwrap_or_default().split_inclusive(ends) {
        let whole = piece.trim_end_matches(ends);
        let body = whole.trim_start_matches(['=', ':']);
        let from = at + whole.len() - body.len();
        let body = body.strip_suffix(['=', ':']).unwrap_or(body);
        cover(bytes, line, &(from..from + body.len()), start);
        at += piece.len();
    }
}

/// Where words stand that look like secrets, whatever list they are in: beside what stands before them, beside what stands
/// before a comment, and within a text of several.
fn secret_words(text: &str) -> Vec<Range<usize>> {
    const BETWEEN: [char; 8] = ['"', '\'', '[', ']', '{', '}', ',', '\n'];
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut told: Vec<(usize, &str)> = Vec::new();
    // A quote that is missing makes one text of a word and the comment behind it.
    let mut parts: Vec<(usize, &str)> = Vec::new();
    let (mut start, mut in_comment) = (0, false);
    for piece in text.split_inclusive(BETWEEN) {
        let word = piece.trim_end_matches(BETWEEN).trim();
        in_comment |= ["#", "//", "/*"].iter().any(|sign| word.starts_with(sign));
        // Of an address only user and query are covered.
        if !word.is_empty() && !word.contains("://") {
            let found = (start + piece.find(word).unwrap_or(0), word);
            words.push(found);
            if !in_comment {
                told.push(found);
                let mut at = found.0;
                for part in word.split_inclusive(char::is_whitespace) {
                    let bare = part.trim_end();
                    parts.extend((!bare.is_empty()).then_some((at, bare)));
                    at += part.len();
                }
            }
        }
        in_comment &= !piece.ends_with('\n');
        start += piece.len();
    }
    let alike = |words: &[(usize, &str)]| {
        let hidden = hides(words.iter().map(|(_, word)| *word));
        let hidden = words.iter().zip(hidden).filter(|(_, hidden)| *hidden);
        hidden.map(|((at, word), _)| *at..at + word.len()).collect::<Vec<_>>()
    };
    let of_several = words.iter().filter(|(_, word)| hides(word.split_whitespace()).any(|hidden| hidden));
    let of_several = of_several.map(|(at, word)| *at..at + word.len());
    [alike(&words), alike(&told), alike(&parts)].concat().into_iter().chain(of_several).collect()
}

/// Where letters and digits stand together for so long that they are a name of nothing: what table they are in, a broken text
/// does not say.
fn random_words(text: &str) -> Vec<Range<usize>> {
    let is_within = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut found = Vec::new();
    let mut start = 0;
    for piece in text.split_inclusive(|c| !is_within(c)) {
        let word = piece.trim_end_matches(|c| !is_within(c));
        let mixed =
            word.contains(|c: char| c.is_ascii_digit()) && word.contains(|c: char| c.is_ascii_alphabetic());
        if mixed && word.len() >= RANDOM_BYTES_MIN {
            found.push(start..start + word.len());
        }
        start += piece.len();
    }
    found
}

/// No shorter word is taken for a secret by its letters alone.
const RANDOM_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::config::file;

    #[test]
    fn what_is_not_known_to_be_harmless_is_covered() {
        for (text, covered) in [
            (
                "env = { A = \"s3\", B = \"t4 }\nargs = [\"x\"]\n[defaults]\nstart = \"lazy\"\n",
                "env = { A = \"**\", B = \"** }\nargs = [\"*\"]\n[defaults]\nstart = \"lazy\"\n",
            ),
            (
                "[servers.a.env]\nA = s3\n[log]\nlevel = \"x\n",
                "[servers.a.env]\nA = **\n[log]\nlevel = \"x\n",
            ),
            (
                "\"env\": {\n  \"A\": \"s3,t4\n}\n\"args\": [\"x\"]",
                "\"env\": {\n  \"A\": \"**,**\n}\n\"args\": [\"x\"]",
            ),
            ("env.A = \"s3\"\ncwd = 1\nmine = 2", "env.A = \"**\"\ncwd = 1\nmine = *"),
            ("inherit_env = [\"x\n", "inherit_env = [\"x\n"),
            ("args = [\n  \"-y\", # s3\n  \"x\n", "args = [\n  \"-y\", * **\n  \"x\n"),
            (
                "command = \"true\" args = [\"s3\"]\n cwd = \"s3\"",
                "command = \"true\" args = [\"**\"]\n cwd = \"**\"",
            ),
            ("[servers.a\nenv.A = \"${B}s3\"", "[servers.a\nenv.A = \"${B}**\""),
            // No brace, no colon, no key at all before the value.
            ("\"env\":\n \"A\": \"s3\"\n}", "\"env\":\n \"*\": \"**\"\n}"),
            ("\"env\" {\"A\": \"s3\"}", "\"env\" {\"*\": \"**\"}"),
            ("\"env\": \"A\": \"s3\"}", "\"env\": \"*\": \"**\"}"),
            ("env = { A = '''s3\ns3 = s3\n[log]\n''' }\n", "env = { A = '''**\n** = **\n[***]\n''' }\n"),
            ("command = npx \ncwd = \"x\"", "command = npx \ncwd = \"*\""),
            ("env.A = npx\n", "env.A = ***\n"),
            ("c2VjcmV0=\n", "********=\n"),
            (
                "args = [\n  \"--token\", # of \"ana\", too\n  \"s3cretword # mine\n]\n",
                "args = [\n  \"--token\", * ** \"***\", ***\n  \"********** # mine\n]\n",
            ),
            ("A = \"${TOKEN, s3\" }", "A = \"${*****, **\" }"),
        ] {
            assert_eq!(broken(text), covered);
        }
    }

    #[test]
    fn words_that_look_like_secrets_are_covered_whatever_stands_before_them() {
        for text in [
            "args = [\"--token\", \"s3cretword\", \"x\"\n",
            "args = [\"--token, \"s3cretword\"]",
            "\"args\": [\"--token\" \"s3cretword\"",
        ] {
            assert_eq!(broken(text), text.replace("s3cretword", "**********"));
        }
        for text in [
            "args = [\"--token\", # of \"ana\", x\n\"s3cretword\", \"x\n",
            "\"args\": [\"--token\", // of ana\n\"s3cretword\"",
            "headers_command = \"print --token s3cretword\"\nx = \"",
            "args = [\"-c\", \"srv --token s3cretword\", \"x\n",
            "\"command\": \"npx srv --token s3cretword",
        ] {
            assert!(!broken(text).contains("s3cretword"), "{}", broken(text));
        }
        let text = "TOKEN \"0123456789abcdef\"\ncommand = \"@scope/some-package-name\"\nargs = [\"0123456789abcdef\n";
        assert!(!broken(text).contains("789"));
        let text = "url = \"https://ana:s3cret@x?k=s3cret\"\nargs = [\"x\n";
        assert_eq!(broken(text), "url = \"https://**********@x?********\"\nargs = [\"x\n");
    }

    /// Files with letters alone for secrets, so that nothing but their place tells what they are.
    fn files() -> Vec<(String, &'static str)> {
        let json = r#"{"mcpServers": {"run": {"command": "true", "args": ["--token", "QAAAAAAAAA", "--api-key", "QBBBBBBBBB", "-y"], "env": {"API": "QCCCCCCCCC", "KIND": "QDDDDDDDDD", "R": "${X}"}, "timeout": 5},
 "far": {"url": "https://x/mcp?key=QEEEEEEEEE", "headers": {"Authorization": "Bearer QFFFFFFFFF", "X-Team": "QGGGGGGGGG"}, "disabled": false}}}"#;
        let lines = |text: &str| text.replace("{", "{\n").replace(", ", ",\n").replace("}", "\n}");
        let toml = r#"
[servers.near]
command = "true"
args = ["--token", "QAAAAAAAAA", "--api-key", "QBBBBBBBBB"]
[servers.near.env]
TOKEN = "QCCCCCCCCC"
KIND = 'QDDDDDDDDD'
[servers.near.tool.echo.defaults]
note = "QEEEEEEEEE"
[servers.far]
url = "https://mcp.example.com/mcp?key=QFFFFFFFFF"
headers = { Authorization = "Bearer QGGGGGGGGG", X-Name = 'QHHHHHHHHH' }
title = "far"
"#;
        let dotted = r#"
servers.near.command = "true"
servers.near.args = [
  "--token", # of "ana", too
  "QAAAAAAAAA", # mine
]
servers.near.env.TOKEN = "QBBBBBBBBB"
servers.near.env."OTHER" = '''QCCCCCCCCC
QDDDDDDDDD'''
servers.near.tool.echo.defaults = { key = "QEEEEEEEEE" }
servers.far.headers_command = ["true", "--token", "QFFFFFFFFF"]
servers.far.headers.Authorization = "Bearer QGGGGGGGGG"
"#;
        vec![
            (json.to_owned(), "x.json"),
            (lines(json), "x.json"),
            (toml.to_owned(), "x.toml"),
            (toml.replace('\n', "\r\n"), "x.toml"),
            (dotted.to_owned(), "x.toml"),
        ]
    }

    /// A file that can be read is covered by its tree.
    fn shows_nothing(text: &str, origin: &str) -> Result<(), String> {
        if file::parsed(text, origin).is_ok() {
            return Ok(());
        }
        let covered = broken(text);
        let letters: Vec<char> = covered.chars().collect();
        let is_of_secret =
            |four: &&[char]| four[0].is_ascii_uppercase() && four.iter().all(|c| *c == four[0]);
        let same = covered.len() == text.len() && covered.lines().count() == text.lines().count();
        match letters.windows(4).find(is_of_secret) {
            None if same => Ok(()),
            _ => Err(format!("{text}\n-- becomes --\n{covered}")),
        }
    }

    fn signs(text: &str) -> Vec<usize> {
        text.match_indices(|c| "\"'[]{}=:,.#\n".contains(c)).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_file_without_one_of_its_signs_or_with_one_more_shows_no_secret() {
        let mut broken_ones = 0;
        for (text, origin) in files() {
            for at in signs(&text) {
                let (before, behind) = text.split_at(at);
                let mut spoilt = vec![format!("{before}{}", &behind[1..]), before.to_owned()];
                spoilt.extend(
                    ["\"", "'", "{", "}", "[", "]", ",", "\n"].map(|sign| format!("{before}{sign}{behind}")),
                );
                for text in spoilt {
                    broken_ones += usize::from(file::parsed(&text, origin).is_err());
                    shows_nothing(&text, origin).unwrap_or_else(|why| panic!("{why}"));
                }
            }
        }
        assert!(broken_ones > 1_000, "{broken_ones}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_file_that_is_broken_at_several_places_shows_no_secret(
            which in any::<Index>(),
            taken in proptest::collection::vec(any::<Index>(), 1..4),
            put in proptest::collection::vec((any::<Index>(), prop::sample::select(vec!["\"", "'", "{", "}", "[", "]", ",", "=", ":", "\n", "'''"])), 0..3),
        ) {
            let files = files();
            let (text, origin) = which.get(&files);
            let mut text = text.clone();
            for at in taken {
                text.remove(*at.get(&signs(&text)));
            }
            for (at, sign) in put {
                text.insert_str(*at.get(&signs(&text)), sign);
            }
            prop_assert_eq!(shows_nothing(&text, origin), Ok(()));
        }

        #[test]
        fn any_text_keeps_its_length_and_its_lines(text in "[\"'{}\\[\\]=:,#$\\\\ \na-c\u{e9}]{0,60}") {
            let covered = broken(&text);
            prop_assert_eq!(covered.lines().count(), text.lines().count());
            prop_assert_eq!(covered.len(), text.len());
        }
    }
}
