//! Numbers as digits, in both directions, without a `String`.

use bytes::{BufMut, BytesMut};

/// `u64::MAX` has this many.
const DIGITS_MAX: usize = 20;

/// Appends a number.
pub fn put(out: &mut BytesMut, number: u64) {
    let mut digits = [0_u8; DIGITS_MAX];
    let mut rest = number;
    let mut first = DIGITS_MAX;
    loop {
        first -= 1;
        if let (Some(digit), Ok(last)) = (digits.get_mut(first), u8::try_from(rest % 10)) {
            *digit = b'0' + last;
        }
        rest /= 10;
        if rest == 0 || first == 0 {
            break;
        }
    }
    out.put_slice(digits.get(first..).unwrap_or_default());
}

/// A number of digits alone; `None` also for what does not fit.
pub fn read(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// How many digits a number has.
pub fn count(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for number in [0, 1, 9, 10, 65_535, 1 << 53, u64::MAX] {
            let mut out = BytesMut::new();
            put(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
            assert_eq!(out.len(), count(number));
            assert_eq!(read(&out), Some(number));
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-1", "1.0", "\"1\"", "18446744073709551616"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
