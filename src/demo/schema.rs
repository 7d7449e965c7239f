//! The pieces of JSON Schema that tools and forms are described with.
//!
//! Only keywords that draft 7 and 2020-12 read alike. What a schema promises of an argument, `offer::Members` checks.

use serde_json::{Value, json};

/// `properties` is an object of schemas; `required` names some of them.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    match required {
        // Older drafts of JSON Schema refuse an empty `required`.
        [] => json!({ "type": "object", "properties": properties }),
        _ => json!({ "type": "object", "properties": properties, "required": required }),
    }
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(super) fn number(description: &str) -> Value {
    json!({ "type": "number", "description": description })
}

pub(super) fn integer(description: &str, range: std::ops::RangeInclusive<i64>, default: i64) -> Value {
    json!({
        "type": "integer",
        "description": description,
        "minimum": range.start(),
        "maximum": range.end(),
        "default": default,
    })
}
