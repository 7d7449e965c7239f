//! How often something may be done: so many times in a second, a minute, an hour or a day.
//!
//! Pure text to value and back. It counts nothing and reads no clock.

use std::fmt;

/// So many times in a time; never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// 1 to `COUNT_MAX`: what may come at once after a time of silence, and what comes anew in each `per`.
    pub count: u32,
    pub per: Per,
}

/// In which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

/// Why a text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateFlaw {
    /// No number, no unit, or something else beside them.
    Form,
    /// None at all, or more than `COUNT_MAX`.
    Bounds,
}

impl Rate {
    pub const COUNT_MAX: u32 = 1_000_000;

    /// Reads `60/min`: a whole number, `/`, and a unit.
    pub fn parse(text: &str) -> Result<Self, RateFlaw> {
        let (digits, unit) = text.split_once('/').ok_or(RateFlaw::Form)?;
        let per = Per::parse(unit).ok_or(RateFlaw::Form)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RateFlaw::Form);
        }
        // What does not even fit is out of bounds as well.
        let count = digits.parse().unwrap_or(u32::MAX);
        match (1..=Self::COUNT_MAX).contains(&count) {
            true => Ok(Self { count, per }),
            false => Err(RateFlaw::Bounds),
        }
    }

    /// Between two of them when they come evenly, in nanoseconds. Rounded up, so that no more come than are allowed.
    pub fn interval_ns(self) -> u64 {
        self.per.ns().div_ceil(u64::from(self.count))
    }
}

impl Per {
    fn parse(unit: &str) -> Option<Self> {
        match unit {
            "s" | "sec" => Some(Self::Second),
            "min" => Some(Self::Minute),
            "h" | "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    fn ns(self) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        match self {
            Self::Second => SECOND,
            Self::Minute => 60 * SECOND,
            Self::Hour => 3_600 * SECOND,
            Self::Day => 86_400 * SECOND,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// As `parse` reads it.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        for (text, count, per) in [
            ("1/s", 1, Per::Second),
            ("10/sec", 10, Per::Second),
            ("60/min", 60, Per::Minute),
            ("5000/h", 5000, Per::Hour),
            ("007/hour", 7, Per::Hour),
            ("1000000/day", 1_000_000, Per::Day),
        ] {
            let rate = Rate::parse(text).unwrap();
            assert_eq!(rate, Rate { count, per }, "{text}");
            assert_eq!(Rate::parse(&rate.to_string()), Ok(rate), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "", "60", "/min", "60/", "x/min", "60/x", "60/m", "60/Min", "-1/s", "+1/s", "1.5/s", " 1/s",
            "1 /s", "1/s ", "1/s/s", "1/1s", "٣/s",
        ] {
            assert_eq!(Rate::parse(text), Err(RateFlaw::Form), "{text:?}");
        }
        for text in ["0/min", "00/s", "1000001/s", "99999999999999999999/s"] {
            assert_eq!(Rate::parse(text), Err(RateFlaw::Bounds), "{text:?}");
        }
    }

    #[test]
    fn between_two_is_no_less_than_a_part_of_the_time() {
        for (text, ns) in [
            ("60/min", 1_000_000_000),
            ("1/day", 86_400_000_000_000),
            ("7/s", 142_857_143),
            ("1000000/s", 1000),
        ] {
            assert_eq!(Rate::parse(text).unwrap().interval_ns(), ns, "{text}");
        }
    }
}
