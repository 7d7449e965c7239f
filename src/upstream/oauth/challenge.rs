//! What a server says with 401 and 403: `WWW-Authenticate`, of which OAuth's scheme is read.
//!
//! Pure. What it names is believed no further than that it may be looked at (`discovery`). Of all of it a client reads which
//! rights are lacking, and nothing else.

/// One challenge of the scheme `Bearer` (RFC 6750, 3; RFC 9728, 5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the server says what it wants.
    pub resource_metadata: Option<String>,
    /// The rights that are needed, in the server's order; at most `SCOPES_MAX`, each of characters that a scope may have.
    pub scopes: Vec<String>,
    /// It is not a token that is missing but a right.
    pub is_for_scope: bool,
}

impl Challenge {
    /// The first of the scheme among all `WWW-Authenticate` fields of an answer.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let texts = fields.into_iter().filter(|field| field.len() <= FIELD_BYTES_MAX);
        texts.filter_map(|field| std::str::from_utf8(field).ok()).find_map(Self::read)
    }

    /// A field may hold several challenges, each a scheme and its parameters, with commas between all of them (RFC 9110, 11.6.1).
    fn read(field: &str) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut is_ours = false;
        for piece in pieces(field) {
            let (scheme, parameter) = split_scheme(piece);
            if let Some(scheme) = scheme {
                if found.is_some() {
                    break;
                }
                is_ours = scheme.eq_ignore_ascii_case("bearer");
                if is_ours {
                    found = Some(Self::default());
                }
            }
            if let (true, Some(challenge), Some((name, value))) = (is_ours, &mut found, parameter) {
                challenge.takes(name, value);
            }
        }
        found
    }

    fn takes(&mut self, name: &str, value: String) {
        // The first holds where one stands twice.
        if name.eq_ignore_ascii_case("resource_metadata") {
            self.resource_metadata.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("scope") && self.scopes.is_empty() {
            self.scopes = scopes(&value);
        } else if name.eq_ignore_ascii_case("error") {
            self.is_for_scope |= value == "insufficient_scope";
        }
    }
}

/// The scopes of a text that lists them (RFC 6749, 3.3); what cannot be one is passed over.
pub(super) fn scopes(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for scope in text.split(' ').filter(|scope| is_scope(scope)).take(SCOPES_MAX) {
        if !found.iter().any(|known| known == scope) {
            found.push(scope.to_owned());
        }
    }
    found
}

/// Whether a text may be a scope.
pub(super) fn is_scope(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=SCOPE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_fine)
}

/// A field's pieces between commas that stand outside quotes, without the blanks around them.
fn pieces(field: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    field
        .split(move |c: char| {
            let was_escaped = std::mem::take(&mut is_escaped);
            match c {
                '"' if !was_escaped => is_quoted = !is_quoted,
                '\\' if is_quoted && !was_escaped => is_escaped = true,
                _ => {}
            }
            c == ',' && !is_quoted
        })
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
}

/// The scheme that a piece begins with, if it does, and the parameter in it, if there is one.
fn split_scheme(piece: &str) -> (Option<&str>, Option<(&str, String)>) {
    let end = piece.find(|c: char| !is_token_char(c)).unwrap_or(piece.len());
    let (word, rest) = piece.split_at(end);
    if word.is_empty() {
        return (None, None);
    }
    if rest.trim_start().starts_with('=') {
        return (None, parameter(piece));
    }
    (Some(word), parameter(rest.trim_start()))
}

fn parameter(text: &str) -> Option<(&str, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim_start());
    if name.is_empty() || !name.chars().all(is_token_char) {
        return None;
    }
    let Some(quoted) = value.strip_prefix('"') else { return Some((name, value.to_owned())) };
    let mut meant = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((name, meant)),
            '\\' => meant.push(characters.next()?),
            other => meant.push(other),
        }
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A longer field is not looked at.
const FIELD_BYTES_MAX: usize = 8 * 1024;
/// Rights that are asked for at once.
pub(super) const SCOPES_MAX: usize = 64;
const SCOPE_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(fields: &[&str]) -> Option<Challenge> {
        Challenge::of(fields.iter().map(|field| field.as_bytes()))
    }

    fn challenge(resource_metadata: Option<&str>, scopes: &[&str], is_for_scope: bool) -> Option<Challenge> {
        Some(Challenge {
            resource_metadata: resource_metadata.map(str::to_owned),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            is_for_scope,
        })
    }

    #[test]
    fn what_a_server_wants_is_read_however_it_is_written() {
        let url = Some("https://x/.well-known/oauth-protected-resource");
        for (fields, expected) in [
            (&["Bearer"][..], challenge(None, &[], false)),
            (&["bearer realm=\"a, b\""], challenge(None, &[], false)),
            (
                &[
                    "Bearer resource_metadata=\"https://x/.well-known/oauth-protected-resource\", scope=\"a b\"",
                ],
                challenge(url, &["a", "b"], false),
            ),
            (
                &["BEARER scope = a , Resource_Metadata = https://x/.well-known/oauth-protected-resource"],
                challenge(url, &["a"], false),
            ),
            (&["Bearer error=\"insufficient_scope\", scope=\"a  a c\""], challenge(None, &["a", "c"], true)),
            (&["Bearer xscope=\"no\", scope=\"yes\""], challenge(None, &["yes"], false)),
            (&["Bearer realm=\"scope=no, Basic\", scope=yes"], challenge(None, &["yes"], false)),
            (&["Bearer realm=\"a\\\"b, scope=no\", scope=yes"], challenge(None, &["yes"], false)),
            (&["Basic realm=\"x\", Bearer scope=yes"], challenge(None, &["yes"], false)),
            (&["Negotiate abc==, Bearer scope=yes"], challenge(None, &["yes"], false)),
            (&["Bearer scope=yes, Basic scope=no, realm=x"], challenge(None, &["yes"], false)),
            (
                &["Basic realm=x", "Negotiate", "Bearer scope=yes", "Bearer scope=no"],
                challenge(None, &["yes"], false),
            ),
            (&["Bearer scope=one, scope=two"], challenge(None, &["one"], false)),
            (&["Bearer scope=\"a \u{1} b\\\\c d\""], challenge(None, &["a", "d"], false)),
            (&["Bearer scope=\"never ends"], challenge(None, &[], false)),
            (&["Basic scope=no"], None),
            (&[""], None),
            (&[",,,", "=", "\"Bearer\""], None),
            (&[], None),
        ] {
            assert_eq!(of(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn what_it_says_is_bounded() {
        let many: Vec<String> = (0..SCOPES_MAX + 9).map(|number| format!("s{number}")).collect();
        let found = of(&[&format!("Bearer scope=\"{}\"", many.join(" "))]).unwrap();
        assert_eq!(found.scopes, many[..SCOPES_MAX]);
        let long = "x".repeat(SCOPE_BYTES_MAX + 1);
        assert_eq!(of(&[&format!("Bearer scope=\"{long} a {}\"", &long[1..])]).unwrap().scopes.len(), 2);
        assert_eq!(of(&[&format!("Bearer realm={}", "x".repeat(FIELD_BYTES_MAX))]), None);
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_or_passed_over(field in "(Bearer |Basic |[a-z]+=|\"|\\\\|, |\\PC){0,30}") {
            of(&[&field]);
        }
    }
}
