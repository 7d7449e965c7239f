//! How much of a JSON string fits into so many bytes.
//!
//! Counts what the string says, in UTF-8, and not how it is written: `\n` is one byte, `\u00e9` two. It decodes nothing,
//! and never ends within an escape, a letter, or a pair of surrogates. The literal must have been read as JSON before.

use memchr::memchr;

/// A string, measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Where in the literal, its opening quote included, what fits ends.
    pub end: usize,
    /// Bytes of what fits, and of all.
    pub fits: usize,
    pub whole: usize,
}

/// Measures the literal `raw`, quotes included, of which `bytes_max` may be kept.
pub fn measured(raw: &str, bytes_max: usize) -> Measured {
    let close = raw.len().saturating_sub(1);
    let mut found = Measured { end: 1.min(close), fits: 0, whole: 0 };
    let mut at = found.end;
    while at < close {
        let rest = raw.get(at..close).unwrap_or_default();
        let plain = memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        if plain > 0 {
            let left = bytes_max.saturating_sub(found.whole);
            // Nothing is kept after something was not.
            if found.fits == found.whole {
                let kept = floor(rest, plain.min(left));
                found.fits += kept;
                found.end += kept;
            }
            found.whole += plain;
            at += plain;
        } else {
            let (written, said) = escape(rest);
            if found.fits == found.whole && found.whole + said <= bytes_max {
                found.fits += said;
                found.end += written;
            }
            found.whole += said;
            at += written;
        }
    }
    found
}

/// The end of the last letter within so many bytes.
fn floor(text: &str, mut bytes: usize) -> usize {
    while !text.is_char_boundary(bytes) {
        bytes -= 1;
    }
    bytes
}

/// How long the escape is with which the text begins, and how many bytes what it says has.
fn escape(text: &str) -> (usize, usize) {
    let Some(unit) = unit(text) else { return (2, 1) };
    match unit {
        0..0x80 => (6, 1),
        0x80..0x800 => (6, 2),
        0xD800..0xDC00
            if text.get(6..).and_then(self::unit).is_some_and(|low| (0xDC00..0xE000).contains(&low)) =>
        {
            (12, 4)
        }
        // Half a pair is no letter, and counts as long as what stands in for it.
        0x800..=0xFFFF => (6, 3),
    }
}

/// The number in `\u00e9`.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(raw: &str, bytes_max: usize) -> (&str, usize, usize) {
        let Measured { end, fits, whole } = measured(raw, bytes_max);
        (&raw[1..end], fits, whole)
    }

    #[test]
    fn what_fits_ends_between_two_letters() {
        let raw = "\"aé漢😀z\"";
        for (bytes_max, text) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (5, "aé"),
            (6, "aé漢"),
            (9, "aé漢"),
            (10, "aé漢😀"),
            (11, "aé漢😀z"),
            (99, "aé漢😀z"),
        ] {
            assert_eq!(kept(raw, bytes_max), (text, text.len(), 11), "{bytes_max}");
        }
    }

    #[test]
    fn what_fits_ends_between_two_escapes() {
        let raw = r#""\n\u00e9\u6f22\ud83d\ude00\"\\\/\ud83dx""#;
        for (bytes_max, text, fits) in [
            (0, "", 0),
            (1, r"\n", 1),
            (2, r"\n", 1),
            (3, r"\n\u00e9", 3),
            (5, r"\n\u00e9", 3),
            (6, r"\n\u00e9\u6f22", 6),
            (9, r"\n\u00e9\u6f22", 6),
            (10, r"\n\u00e9\u6f22\ud83d\ude00", 10),
            (11, r#"\n\u00e9\u6f22\ud83d\ude00\""#, 11),
            (12, r#"\n\u00e9\u6f22\ud83d\ude00\"\\"#, 12),
            (15, r#"\n\u00e9\u6f22\ud83d\ude00\"\\\/"#, 13),
            (16, r#"\n\u00e9\u6f22\ud83d\ude00\"\\\/\ud83d"#, 16),
            (17, r#"\n\u00e9\u6f22\ud83d\ude00\"\\\/\ud83dx"#, 17),
        ] {
            assert_eq!(kept(raw, bytes_max), (text, fits, 17), "{bytes_max}");
        }
        assert_eq!(kept("\"\"", 5), ("", 0, 0));
    }

    #[test]
    fn nothing_is_kept_behind_what_did_not_fit() {
        assert_eq!(kept(r#""\ud83d\ude00a""#, 1), ("", 0, 5));
        assert_eq!(kept("\"😀\\na\"", 2), ("", 0, 6));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_a_front_of_what_is_said(text in any::<String>(), ascii in any::<bool>(), bytes_max in 0_usize..40) {
            let plain = serde_json::to_string(&text).unwrap();
            let escaped: String = plain
                .chars()
                .flat_map(|letter| match letter {
                    ' '..='~' => vec![letter.to_string()],
                    _ => letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
                })
                .collect();
            let raw = if ascii { escaped } else { plain };
            let Measured { end, fits, whole } = measured(&raw, bytes_max);
            let front: String = serde_json::from_str(&format!("{}\"", &raw[..end])).unwrap();
            prop_assert_eq!(whole, text.len());
            prop_assert_eq!(front.len(), fits);
            prop_assert!(text.starts_with(&front) && fits <= bytes_max);
            let next = text[fits..].chars().next().map_or(usize::MAX, char::len_utf8);
            prop_assert!(fits.saturating_add(next) > bytes_max, "and no shorter than it need be");
        }

        #[test]
        fn no_text_panics(raw in ".*", bytes_max in any::<usize>()) {
            measured(&raw, bytes_max);
        }
    }
}
