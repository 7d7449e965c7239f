//! Values that are hardly what somebody meant: empty, a placeholder of some documentation, a secret written out.
//!
//! Pure: it compares a configuration as it runs with the same as it is written, and names keys. No value ever gets
//! into a remark. It is a matter of likelihood, so nothing here is an error.

use super::codes::Code;
use super::remote::lets_in;
use super::{Command, Config, Reach, Remote, Secret, ServerConfig, toml_key};

/// Something about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub code: Code,
    pub server: String,
    /// Where the value stands, from the top: `servers.github.env.TOKEN`.
    pub key: String,
    /// What it is about, in words that follow the key.
    pub text: String,
    pub help: String,
}

/// What there is to say about the values of a configuration, in the order of its servers. `written`: the same with its
/// references as they are written.
pub fn remarks(config: &Config, written: &Config) -> Vec<Remark> {
    let servers = config.servers.iter().filter_map(|server| {
        let written = written.servers.iter().find(|written| written.key == server.key)?;
        Some(of_server(server, written))
    });
    servers.flatten().collect()
}

fn of_server(server: &ServerConfig, written: &ServerConfig) -> Vec<Remark> {
    match (&server.reach, &written.reach) {
        (Reach::Stdio(command), Reach::Stdio(written)) => of_command(&server.key, command, written),
        (Reach::Http(remote), Reach::Http(written)) => of_remote(&server.key, remote, written),
        (Reach::Stdio(_), Reach::Http(_)) | (Reach::Http(_), Reach::Stdio(_)) => Vec::new(),
    }
}

fn of_command(server: &str, command: &Command, written: &Command) -> Vec<Remark> {
    let variables = pairs(&command.env, &written.env).filter_map(|(name, value, written)| {
        let value = Value { server, value, written, is_named_so: is_secret_name(name) };
        value.remark(&format!("env.{}", toml_key(name)), "env")
    });
    let mut before = None;
    let arguments =
        command.args.iter().zip(&written.args).enumerate().filter_map(|(at, (value, written))| {
            let option = before.replace(written.as_str()).filter(|before| before.starts_with('-'));
            let (name, value, written) = match (written.split_once('='), value.split_once('=')) {
                (Some((name, written)), Some((_, value))) if name.starts_with('-') => (name, value, written),
                _ => (option.unwrap_or_default(), value.as_str(), written.as_str()),
            };
            // An option is no value of the one before it.
            if written.starts_with('-') && !written.starts_with("-----") {
                return None;
            }
            let value = Value { server, value, written, is_named_so: is_secret_name(name) };
            value.remark(&format!("args[{at}]"), "args")
        });
    variables.chain(arguments).collect()
}

fn of_remote(server: &str, remote: &Remote, written: &Remote) -> Vec<Remark> {
    let headers = pairs(&remote.headers, &written.headers).filter_map(|(name, value, written)| {
        // The word before a token is none itself.
        let value = bare(value);
        let value = Value { server, value, written: bare(written), is_named_so: lets_in(name) };
        value.remark(&format!("headers.{}", toml_key(name)), "headers")
    });
    let query = written.url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let parameters = query.split('&').filter_map(|pair| {
        let (name, written) = pair.split_once('=')?;
        let value = Value { server, value: written, written, is_named_so: is_secret_name(name) };
        value.remark("url", "url")
    });
    headers.chain(parameters.take(1)).collect()
}

/// Each name with its value and what is written for it.
fn pairs<'a>(
    values: &'a [(String, Secret)],
    written: &'a [(String, Secret)],
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    written.iter().filter_map(|(name, written)| {
        let (_, value) = values.iter().find(|(known, _)| known == name)?;
        Some((name.as_str(), value.expose(), written.expose()))
    })
}

/// A value in its place.
struct Value<'a> {
    server: &'a str,
    value: &'a str,
    written: &'a str,
    /// Its name says that it is a secret.
    is_named_so: bool,
}

impl Value<'_> {
    /// What there is to say about it at this key of its server; `table` is the key's first part.
    fn remark(&self, key: &str, table: &str) -> Option<Remark> {
        let is_literal = !self.written.contains('$');
        let (code, text, help) = if !is_literal {
            if !self.value.trim().is_empty() {
                return None;
            }
            (
                Code::EmptyValue,
                "is empty: what it refers to is set to nothing",
                "set it where Braid is started",
            )
        } else if is_placeholder(self.written) {
            (Code::Placeholder, "is still a placeholder", "put the real value there")
        } else if has_secret_shape(self.written) || (self.is_named_so && may_be_secret(self.written)) {
            match table {
                "args" => (
                    Code::LiteralSecret,
                    "looks like a secret; what stands in the arguments can be read by everybody on this machine",
                    "give it to the server in `env`, if the server knows a variable for it",
                ),
                _ => (
                    Code::LiteralSecret,
                    "looks like a secret that is written out",
                    "write `${file:PATH}` or `${NAME}` instead",
                ),
            }
        } else {
            return None;
        };
        Some(Remark {
            code,
            server: self.server.to_owned(),
            key: format!("servers.{}.{key}", toml_key(self.server)),
            text: text.to_owned(),
            help: help.to_owned(),
        })
    }
}

/// Without the scheme that stands before a token.
pub(super) fn bare(value: &str) -> &str {
    let schemes = ["Bearer", "bearer", "Basic", "basic", "Token", "token"];
    let after = schemes.iter().find_map(|scheme| value.strip_prefix(scheme));
    after.filter(|after| after.is_empty() || after.starts_with(' ')).map_or(value, str::trim)
}

/// `GITHUB_TOKEN`, `--api-key`, `password`: a name whose last word says it.
pub(super) fn is_secret_name(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_uppercase()).collect();
    const ENDS: [&str; 12] = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "APIKEY",
        "ACCESSKEY",
        "SECRETKEY",
        "PRIVATEKEY",
        "CREDENTIAL",
        "CREDENTIALS",
        "AUTHKEY",
    ];
    ENDS.iter().any(|end| plain.ends_with(end))
}

/// Whether a value could be one, of which the name says that it is.
pub(super) fn may_be_secret(value: &str) -> bool {
    let is_path = value.starts_with(['/', '~', '.']) || value.contains(":\\");
    let is_address = value.starts_with("http://") || value.starts_with("https://");
    value.len() >= SECRET_BYTES_MIN && !value.contains(char::is_whitespace) && !is_path && !is_address
}

/// Tokens that say by themselves what they are, and passwords within addresses.
pub(super) fn has_secret_shape(value: &str) -> bool {
    const BEGINNINGS: [&str; 26] = [
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "sk-",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "xoxb-",
        "xoxp-",
        "xoxa-",
        "xapp-",
        "AKIA",
        "ASIA",
        "AIza",
        "ya29.",
        "npm_",
        "pypi-",
        "hf_",
        "figd_",
        "lin_api_",
        "secret_",
        "ntn_",
    ];
    let is_token = BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
        && value.len() >= TOKEN_BYTES_MIN
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_jwt = value.starts_with("eyJ") && value.matches('.').count() == 2;
    is_token || is_jwt || value.starts_with("-----BEGIN ") || has_password(value)
}

/// `postgres://ana:word@host/db`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user).unwrap_or_default();
    user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
}

/// What documentation writes where a value of the reader's own belongs.
fn is_placeholder(value: &str) -> bool {
    let plain: String =
        value.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    let in_brackets = value.len() > 2
        && ((value.starts_with('<') && value.ends_with('>'))
            || (value.starts_with("{{") && value.ends_with("}}")));
    const BEGINNINGS: [&str; 5] = ["insertyour", "replacewith", "replaceme", "changeme", "putyour"];
    const NOUNS: [&str; 7] = ["token", "key", "secret", "password", "api", "account", "here"];
    let says_so = BEGINNINGS.iter().any(|beginning| plain.starts_with(beginning))
        || (plain.starts_with("your") && NOUNS.iter().any(|noun| plain.contains(noun)))
        || plain.ends_with("tokenhere")
        || plain.ends_with("keyhere");
    let is_blank = plain.len() >= 4 && plain.bytes().all(|byte| byte == b'x');
    in_brackets || says_so || is_blank
}

/// A shorter value is not taken for a secret by its name alone.
const SECRET_BYTES_MIN: usize = 8;

/// No token that says what it is is shorter.
const TOKEN_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::from_text_with;
    use crate::config::variables::{Purpose, Surroundings};
    use std::path::Path;

    fn said(server: &str) -> Vec<String> {
        let env = |name: &str| match name {
            "FULL" => Some("s3cret-value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let surroundings =
            Surroundings { env: &env, program: None, current_folder: None, files: Default::default() };
        let text = format!("[servers.\"a b\"]\n{server}\n");
        let read = |purpose| {
            from_text_with(&text, "braid.toml", Path::new("/f"), &surroundings, purpose).unwrap().config
        };
        let remarks = remarks(&read(Purpose::Run), &read(Purpose::Show));
        remarks.iter().map(|remark| format!("{} {}", remark.code.id(), remark.key)).collect()
    }

    #[test]
    fn values_are_told_apart_by_what_is_written() {
        for (server, expected) in [
            (
                r#"command = "x"
env = { A_TOKEN = "${FULL}", B_TOKEN = "${file:/dev/null/x}" }
enabled = false
[servers.other]
command = "x""#,
                &[][..],
            ),
            (
                r#"command = "x"
env = { A = "${EMPTY}", B = "", C = "${NO:-}", D = "x${EMPTY}" }"#,
                &[r#"BRAID-C042 servers."a b".env.A"#, r#"BRAID-C042 servers."a b".env.C"#],
            ),
            (
                r#"command = "x"
env = { MY_TOKEN = "abcdefgh1234", MAX_TOKENS = "409600000", KEY_PATH = "/a/b/c/d/e", A = "ghp_0123456789abcdef0123" }"#,
                &[r#"BRAID-C043 servers."a b".env.MY_TOKEN"#, r#"BRAID-C043 servers."a b".env.A"#],
            ),
            (
                r#"command = "x"
env = { MY_TOKEN = "YOUR_TOKEN_HERE", B = "<key>", C = "xxxx", D = "yours truly" }"#,
                &[
                    r#"BRAID-C044 servers."a b".env.MY_TOKEN"#,
                    r#"BRAID-C044 servers."a b".env.B"#,
                    r#"BRAID-C044 servers."a b".env.C"#,
                ],
            ),
            (
                r#"command = "x"
args = ["--api-key", "abcdefgh1234", "--token=abcdefgh1234", "--password", "--verbose", "postgres://a:b@h/d", "--token=${EMPTY}", "plain"]"#,
                &[
                    r#"BRAID-C043 servers."a b".args[1]"#,
                    r#"BRAID-C043 servers."a b".args[2]"#,
                    r#"BRAID-C043 servers."a b".args[5]"#,
                    r#"BRAID-C042 servers."a b".args[6]"#,
                ],
            ),
            (
                r#"url = "https://h/mcp?key=k&api_key=abcdefgh1234"
headers = { Authorization = "Bearer ${EMPTY}", X-Api-Key = "abcdefgh1234", X-Trace = "abcdefgh1234", Cookie = "${FULL}" }"#,
                &[
                    r#"BRAID-C042 servers."a b".headers.Authorization"#,
                    r#"BRAID-C043 servers."a b".headers.X-Api-Key"#,
                    r#"BRAID-C043 servers."a b".url"#,
                ],
            ),
        ] {
            let (mut said, mut expected) = (said(server), expected.to_vec());
            said.sort();
            expected.sort_unstable();
            assert_eq!(said, expected, "{server}");
        }
    }

    #[test]
    fn no_value_stands_in_a_remark() {
        let text = "[servers.a]\ncommand = \"x\"\nargs = [\"--token=s3cret-value\"]\nenv = { T_TOKEN = \"s3cret-value\" }\n";
        let surroundings =
            Surroundings { env: &|_| None, program: None, current_folder: None, files: Default::default() };
        let read = |purpose| {
            from_text_with(text, "braid.toml", Path::new("/f"), &surroundings, purpose).unwrap().config
        };
        let remarks = remarks(&read(Purpose::Run), &read(Purpose::Show));
        assert_eq!(remarks.len(), 2);
        assert!(!format!("{remarks:?}").contains("s3cret"));
    }
}
