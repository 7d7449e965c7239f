//! What of a value and of a command's words anybody may see.
//!
//! Pure. A value that refers to elsewhere is shown with what a scheme says before it; what stands beside a reference may be
//! the secret. Of words, those are hidden that `values` would warn of; a guess, as nothing says which of them let in.

use super::remote::lets_in;
use super::values::{bare, has_secret_shape, is_secret_name, may_be_secret};

/// What stands for a value that is hidden.
pub const HIDDEN: &str = "[redacted]";

/// Whether all that is secret in a value comes from elsewhere. A default is part of a reference and may be the secret.
pub(super) fn refers(value: &str) -> bool {
    let (mut rest, mut beside) = (value, String::new());
    while let Some((before, inner)) = rest.split_once("${") {
        let Some((reference, after)) = inner.split_once('}') else { return false };
        if before.ends_with('$') || reference.contains(":-") || reference.contains('{') {
            return false;
        }
        beside.push_str(before);
        rest = after;
    }
    beside.push_str(rest);
    beside.len() < value.len() && bare(&beside).is_empty()
}

/// A command's words, with what looks like a secret hidden.
pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut before = None;
    let shown = words.into_iter().map(|word| {
        let option = before.replace(word).filter(|before: &&str| before.starts_with('-'));
        match word.split_once('=') {
            // `--token=VALUE`, and `TOKEN=VALUE` as `docker run -e` takes it.
            Some((name, value)) if !has_secret_shape(word) && !option.is_some_and(takes_secret) => {
                format!("{name}={}", of(name, value))
            }
            Some(_) | None if word.starts_with('-') && !word.starts_with("-----") => word.to_owned(),
            Some(_) | None => of(option.unwrap_or_default(), word),
        }
    });
    shown.collect()
}

/// Whether what follows this option is a secret as a whole, whatever signs are in it.
fn takes_secret(option: &str) -> bool {
    is_secret_name(option) || option == "-H" || option.to_ascii_lowercase().contains("header")
}

fn of(name: &str, value: &str) -> String {
    let is_header = name == "-H" || name.to_ascii_lowercase().contains("header");
    if let Some((header, value)) = value.split_once(':')
        && is_header
        && lets_in(header)
    {
        let is_harmless = value.trim().is_empty() || refers(value.trim());
        return format!("{header}:{}", if is_harmless { value } else { HIDDEN });
    }
    let is_telltale = has_secret_shape(value) || (is_secret_name(name) && may_be_secret(value));
    if is_telltale && !refers(value) { HIDDEN.to_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_reference_may_be_the_secret() {
        for value in ["${T}", "${env:T}${U}", "Bearer ${T}", "Basic ${file:/x}"] {
            assert!(refers(value), "{value}");
        }
        for value in
            ["", "x", "Bearer abc ${T}", "${T}abc", "${T:-abc}", "$${T}", "${T", "Bearer ${T} ${U:-${V}}"]
        {
            assert!(!refers(value), "{value}");
        }
    }

    #[test]
    fn words_that_look_like_secrets_are_hidden_and_no_others() {
        for (given, expected) in [
            (&["-y", "@a/b@1.0", "/srv"][..], &["-y", "@a/b@1.0", "/srv"][..]),
            (&["--token", "s3cretword", "x"], &["--token", HIDDEN, "x"]),
            (&["--token=s3cretword"], &["--token=[redacted]"]),
            (&["--token", "c2VjcmV0d29yZA=="], &["--token", HIDDEN]),
            (&["-H", "Authorization: Basic YTpi="], &["-H", "Authorization:[redacted]"]),
            (&["--token=${T}", "--token", "${T}"], &["--token=${T}", "--token", "${T}"]),
            (&["--token=s3cretword${T}"], &["--token=[redacted]"]),
            (
                &["-e", "API_KEY=s3cretword", "-e", "LOG=debug"],
                &["-e", "API_KEY=[redacted]", "-e", "LOG=debug"],
            ),
            (&["--header", "Authorization: Bearer abc"], &["--header", "Authorization:[redacted]"]),
            (&["--header", "Authorization: Bearer ${T}"], &["--header", "Authorization: Bearer ${T}"]),
            (&["--header=X-Api-Key:abc"], &["--header=X-Api-Key:[redacted]"]),
            (&["ghp_0123456789012345678901234567890123456"], &[HIDDEN]),
            (&["postgres://ana:word@host/db?x=1"], &[HIDDEN]),
            (&["https://x/mcp?api_key=s3cretword"], &["https://x/mcp?api_key=[redacted]"]),
            (&["run", "authproxy:1.2"], &["run", "authproxy:1.2"]),
            (&["https://key/x", "--token", "-v"], &["https://key/x", "--token", "-v"]),
        ] {
            assert_eq!(words(given.iter().copied()), expected, "{given:?}");
        }
    }
}
