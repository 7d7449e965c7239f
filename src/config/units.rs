//! Durations and sizes as people write them: a number and a unit.
//!
//! Pure text to value and back. It knows no key and no bound; a unit is always required, because the files
//! of different clients mean milliseconds, seconds and minutes by the same bare number.

use std::time::Duration;

/// Reads `250ms`, `30s`, `1m30s`, `2h`; and `0`, which is the only value without a unit.
///
/// Units must fall from left to right, so `30s1m` is no duration. `None` when the text is none.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut previous_ms = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = leading_number(rest)?;
        let unit_length = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(unit_length)?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        if unit_ms >= previous_ms {
            return None;
        }
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
        previous_ms = unit_ms;
        rest = tail;
    }
    (previous_ms != u64::MAX).then(|| Duration::from_millis(total_ms))
}

/// Reads `64KiB`, `16 MiB`, `1MB`, in bytes. `None` when the text is no size or does not fit a `usize`.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = leading_number(text)?;
    let factor: u64 = match unit.strip_prefix(' ').unwrap_or(unit) {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    usize::try_from(number.checked_mul(factor)?).ok()
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(length)?;
    Some((digits.parse().ok()?, rest))
}

/// The shortest text that [`duration`] reads as this value; below a millisecond is cut off.
pub fn duration_text(value: Duration) -> String {
    let mut ms = value.as_millis();
    if ms == 0 {
        return "0".to_owned();
    }
    // 120 s stays `120s` where people would say so: only whole larger units are used alone.
    for (unit_ms, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", ms / unit_ms);
        }
        if ms > unit_ms && unit_ms > 1 {
            let whole = ms / unit_ms;
            ms %= unit_ms;
            return format!(
                "{whole}{unit}{}",
                duration_text(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
            );
        }
    }
    format!("{ms}ms")
}

/// The shortest text that [`size`] reads as this value.
pub fn size_text(bytes: usize) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let factor = 1_usize << shift;
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1h1ms", 3_600_001),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "5",
            "1.5s",
            "-1s",
            "+1s",
            " 1s",
            "1s ",
            "1 s",
            "s",
            "30s1m",
            "1s1s",
            "1d",
            "1S",
            "99999999999999999999s",
            "18446744073709551615h",
            "1m30",
            "é",
            "1é",
            "٣s",
        ] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0B", 0),
            ("1B", 1),
            ("64KiB", 65_536),
            ("64 KiB", 65_536),
            ("16MiB", 16 << 20),
            ("1GiB", 1 << 30),
            ("1KB", 1_000),
            ("2MB", 2_000_000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "1",
            "KiB",
            "1.5MiB",
            "-1B",
            "1kib",
            "1 KiB ",
            "1  KiB",
            "1M",
            "18446744073709551615GiB",
            "1é",
        ] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    #[test]
    fn text_of_a_value_reads_as_the_value() {
        for ms in [0, 1, 999, 1_000, 1_001, 59_000, 60_000, 61_500, 90_000, 3_600_000, 3_661_001, 86_400_000]
        {
            let value = Duration::from_millis(ms);
            assert_eq!(duration(&duration_text(value)), Some(value), "{}", duration_text(value));
        }
        for bytes in [0, 1, 1_000, 1_023, 1_024, 1_025, 65_536, 16 << 20, 1 << 30, (1 << 30) + 1] {
            assert_eq!(size(&size_text(bytes)), Some(bytes), "{}", size_text(bytes));
        }
    }
}
