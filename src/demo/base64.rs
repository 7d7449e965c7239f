//! Bytes as the text that `blob` and `data` members carry: base64 of RFC 4648, with padding.
//!
//! Only this way: nothing that a client sends to a demo server is base64, so nothing is decoded here.

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let three = [0, 1, 2].map(|place| u32::from(group.get(place).copied().unwrap_or(0)));
        let bits = three[0] << 16 | three[1] << 8 | three[2];
        for place in 0..4 {
            let padding = place > group.len();
            text.push(if padding { '=' } else { letter(bits >> (18 - 6 * place) & 63) });
        }
    }
    text
}

/// `six` is below 64.
fn letter(six: u32) -> char {
    char::from(match six as u8 {
        low @ 0..=25 => b'A' + low,
        mid @ 26..=51 => b'a' + (mid - 26),
        digit @ 52..=61 => b'0' + (digit - 52),
        62 => b'+',
        _ => b'/',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648_hold() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in pairs {
            assert_eq!(encode(bytes.as_bytes()), text);
        }
        assert_eq!(encode(&[0xfb, 0xff, 0xbf]), "+/+/");
    }
}
