//! What each method wants in its `params`, and no more: members that nobody looks at may be anything.
//!
//! What goes back to the client as it came (arguments, ids, tokens) stays text. A member of the wrong type is a
//! `Fault`, as 2025-11-25 asks of malformed requests; what a tool thinks of its arguments is the tool's affair.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::Fault;

#[derive(Deserialize)]
pub(super) struct InitializeParams {
    #[serde(rename = "protocolVersion")]
    pub(super) protocol_version: String,
    #[serde(default)]
    pub(super) capabilities: Value,
}

#[derive(Deserialize)]
pub(super) struct ListParams<'a> {
    #[serde(borrow)]
    pub(super) cursor: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ReadParams {
    pub(super) uri: String,
}

#[derive(Deserialize)]
pub(super) struct PromptParams {
    pub(super) name: String,
    pub(super) arguments: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct CallParams<'a> {
    pub(super) name: String,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    pub(super) meta: Option<CallMeta<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CallMeta<'a> {
    #[serde(borrow, rename = "progressToken")]
    pub(super) progress_token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct CompleteParams {
    #[serde(rename = "ref")]
    pub(super) reference: Reference,
    pub(super) argument: CompleteArgument,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
pub(super) enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Deserialize)]
pub(super) struct CompleteArgument {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
pub(super) struct CancelParams<'a> {
    #[serde(borrow, rename = "requestId")]
    pub(super) request_id: &'a RawValue,
}

/// The members of `params` that a method wants. Absent params are an empty object.
pub(super) fn params<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, Fault> {
    let text = raw.map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(Fault::invalid_params("`params` must be an object"));
    }
    serde_json::from_str(text).map_err(|error| Fault::invalid_params(format!("`params`: {error}")))
}
