//! What a tool gives back: content blocks, and structured content beside them.
//!
//! A tool that failed has a result too: `isError` and a sentence, which the model reads.

use serde_json::{Value, json};

use super::revision::Revision;

/// Written in the words of 2025-11-25; `value` says it in those of a session's revision.
#[derive(Debug)]
pub(super) struct ToolResult {
    content: Vec<Value>,
    structured: Option<Value>,
    failed: bool,
}

impl ToolResult {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![json!({ "type": "text", "text": text.into() })],
            structured: None,
            failed: false,
        }
    }

    /// The tool ran and did not succeed. The model reads the sentence, so it says what to do instead.
    pub(super) fn failure(sentence: impl Into<String>) -> Self {
        Self { failed: true, ..Self::text(sentence) }
    }

    /// An object, and the same as text for clients that look at nothing else: 2025-11-25, server/tools,
    /// structured content.
    pub(super) fn structured(object: Value) -> Self {
        Self { structured: Some(object.clone()), ..Self::text(object.to_string()) }
    }

    pub(super) fn with(mut self, block: Value) -> Self {
        self.content.push(block);
        self
    }

    pub(super) fn value(self, revision: Revision) -> Value {
        let content: Vec<_> = self.content.into_iter().map(|block| revision.block(block)).collect();
        let mut result = json!({ "content": content });
        if self.failed {
            result["isError"] = json!(true);
        }
        if let Some(structured) = self.structured.filter(|_| revision.has_structured_content()) {
            result["structuredContent"] = structured;
        }
        result
    }
}
