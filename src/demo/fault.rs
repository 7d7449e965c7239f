//! A request that gets an error instead of a result, in the codes of JSON-RPC and of MCP.
//!
//! What a model did wrong inside a tool is no fault: that is a result with `isError`, which the model can read. A
//! fault's sentence quotes the client's words only as far as they help.

use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct Fault {
    code: i32,
    message: String,
    data: Option<Value>,
}

impl Fault {
    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self { code: -32700, message: message.into(), data: None }
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self { code: -32600, message: message.into(), data: None }
    }

    pub(super) fn unknown_method(method: &str) -> Self {
        Self { code: -32601, message: format!("there is no method {}", quoted(method)), data: None }
    }

    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self { code: -32602, message: message.into(), data: None }
    }

    /// 2025-11-25, server/resources, error handling.
    pub(super) fn unknown_resource(uri: &str) -> Self {
        let message = format!("there is no resource {}", quoted(uri));
        Self { code: -32002, message, data: Some(json!({ "uri": uri })) }
    }

    /// The value of `error` in a response.
    pub(super) fn value(&self) -> Value {
        match &self.data {
            Some(data) => json!({ "code": self.code, "message": self.message, "data": data }),
            None => json!({ "code": self.code, "message": self.message }),
        }
    }
}

/// A peer's word inside a sentence of ours, cut where it stops helping.
pub(super) fn quoted(word: &str) -> String {
    match word.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("`{}…`", word.get(..end).unwrap_or_default()),
        None => format!("`{word}`"),
    }
}

const QUOTED_CHARS_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_cut_between_characters() {
        let cut = quoted(&"é".repeat(81));
        assert_eq!(cut.chars().count(), 80 + 3);
        assert!(quoted(&"é".repeat(80)).chars().all(|c| c != '…'));
    }
}
