//! How a server's names and URIs look to a client of ours.
//!
//! Written down a second time instead of asked of the library, so that both must agree.

use serde_json::{Value, json};

/// The terms of one server, by its key.
#[derive(Clone, Copy)]
pub(super) struct Terms(pub(super) &'static str);

impl Terms {
    fn name(self, own: &str) -> String {
        format!("{}__{own}", self.0)
    }

    fn uri(self, own: &str) -> String {
        match own.split_once("://") {
            Some(("http" | "https", _)) => own.to_owned(),
            Some(("ui", rest)) => format!("ui://{}/{rest}", self.0),
            _ => format!("{}+{own}", self.0),
        }
    }

    /// The params of a request that the server would understand, as a client of ours says them.
    pub(super) fn params(self, mut own: Value) -> Value {
        let named = match own["ref"].is_object() {
            true => &mut own["ref"],
            false => &mut own,
        };
        if let Some(name) = named["name"].as_str() {
            named["name"] = json!(self.name(name));
        } else if let Some(uri) = named["uri"].as_str() {
            named["uri"] = json!(self.uri(uri));
        }
        own
    }

    /// A result of the server's, as a client of ours must get it.
    pub(super) fn result(self, own: Value) -> Value {
        match own {
            Value::Object(members) => members
                .into_iter()
                .map(|(key, value)| {
                    let value = match (key.as_str(), value) {
                        ("uri" | "uriTemplate", Value::String(uri)) => json!(self.uri(&uri)),
                        ("tools" | "prompts", Value::Array(items)) => {
                            items.into_iter().map(|item| self.item(item)).collect()
                        }
                        // These follow nobody's schema but the server's: what is a URI there, nobody knows.
                        ("structuredContent" | "_meta", value) => value,
                        (_, value) => self.result(value),
                    };
                    (key, value)
                })
                .collect(),
            Value::Array(items) => items.into_iter().map(|item| self.result(item)).collect(),
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
        }
    }

    fn item(self, own: Value) -> Value {
        let mut item = self.result(own);
        if let Some(name) = item["name"].as_str() {
            item["name"] = json!(self.name(name));
        }
        if let Some(page) = item.pointer_mut("/_meta/ui/resourceUri") {
            *page = json!(self.uri(page.as_str().unwrap()));
        }
        item
    }

    /// An error of the server's, as a client of ours must get it.
    pub(super) fn error(self, mut own: Value) -> Value {
        if let Some(uri) = own.pointer_mut("/data/uri") {
            *uri = json!(self.uri(uri.as_str().unwrap()));
        }
        own
    }
}
