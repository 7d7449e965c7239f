//! Bytes as hexadecimal digits, and back.

use std::fmt::Write as _;

/// Two lowercase digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Exactly what [`hex`] writes; anything else is `None`.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = hex(&all);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"), "{text}");
        assert_eq!(unhex(&text), Some(all));
    }

    #[test]
    fn nothing_else_is_read() {
        for text in ["0", "000", "0A", "g0", " 0", "é"] {
            assert_eq!(unhex(text), None, "{text}");
        }
        assert_eq!(unhex(""), Some(Vec::new()));
    }
}
