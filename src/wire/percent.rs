//! Escapes of URIs (RFC 3986 §2.1) and of forms, made, and those of URIs undone once.
//!
//! What is no escape stays as it is, and bytes that are no UTF-8 become U+FFFD.

use std::borrow::Cow;

/// The text that the escapes stand for.
pub fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| byte == b'%').and_then(|digits| {
            let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
            u8::try_from(digit(0)? * 16 + digit(1)?).ok()
        });
        match escaped {
            Some(meant) => {
                out.push(meant);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The text as one segment of a path: everything but what stands for itself is escaped (RFC 3986 §2.3).
pub fn encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                written.push(char::from(byte))
            }
            _ => written.push_str(&format!("%{byte:02X}")),
        }
    }
    written
}

/// The text as a form has it (WHATWG URL, application/x-www-form-urlencoded).
pub fn form_encoded(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            _ if is_plain(byte) => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn what_is_no_escape_stays() {
        for (text, meant) in [
            ("a%20b%C3%A9", "a b\u{e9}"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%+f%zz", "%+f%zz"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decoded(text), meant, "{text}");
        }
    }
}
