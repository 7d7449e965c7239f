//! The JSON Schema of `braid.toml`, for editors: completion, types, documentation while typing.
//!
//! Made from the one table in `schema`. Editors check the form of a value with it; bounds of durations and
//! sizes, and what keys say together, are Braid's own.

use serde_json::json;

use super::schema::{self, Form, Rule, Setting, State};

/// A tree is what a JSON Schema is; nothing of it is ever forwarded.
#[expect(clippy::disallowed_types, reason = "a document that is made here and printed")]
type Tree = serde_json::Value;

/// The schema as JSON text with a line break at the end.
pub fn write() -> String {
    let mut root = table("");
    if let Some(members) = root.as_object_mut() {
        members.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        members.insert("title".to_owned(), json!("braid.toml"));
    }
    format!("{root:#}\n")
}

/// The table at a path, with everything below it.
fn table(path: &str) -> Tree {
    let properties: serde_json::Map<String, Tree> = schema::children(path)
        .filter(|setting| setting.state == State::Here)
        .map(|setting| (setting.key().to_owned(), value(setting)))
        .collect();
    let mut tree = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if path == "groups.*" {
        merge(&mut tree, json!({ "required": ["servers"] }));
    }
    if path == "servers.*" {
        merge(&mut tree, json!({ "oneOf": [{ "required": ["command"] }, { "required": ["url"] }] }));
    }
    tree
}

fn value(setting: &Setting) -> Tree {
    let mut tree = match setting.form {
        Form::Section if schema::is_list_of_allowed(setting.path) => {
            let mut either = table(setting.path);
            merge(&mut either, json!({ "type": ["object", "array"], "items": text(Rule::DoorGlob) }));
            either
        }
        Form::Section => table(setting.path),
        Form::Named => {
            let mut each = table(&format!("{}.*", setting.path));
            if schema::short_form(setting.path).is_some() {
                merge(&mut each, json!({ "type": ["object", "string"] }));
            }
            json!({ "type": "object", "additionalProperties": each })
        }
        Form::Flag => json!({ "type": "boolean" }),
        Form::Text(rule) => text(rule),
        Form::Texts(rule) => json!({ "type": "array", "items": text(rule) }),
        Form::Values => json!({ "type": "object" }),
        Form::Variables | Form::Headers => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Form::Word(words) => json!({ "enum": words }),
        Form::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Size { .. } => json!({ "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB|KB|MB|GB)$" }),
        Form::Time { off, .. } => {
            let zero = if off { "0|" } else { "" };
            json!({ "type": "string", "pattern": format!("^({zero}([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"), "minLength": 1 })
        }
        Form::Rate => {
            json!({ "type": "string", "pattern": "^(0|[0-9]{1,7}/(s|sec|min|h|hour|day))$" })
        }
    };
    merge(&mut tree, json!({ "description": setting.doc }));
    if let Some(default) = setting.default.and_then(default_of) {
        merge(&mut tree, json!({ "default": default }));
    }
    tree
}

fn text(rule: Rule) -> Tree {
    match rule.pattern() {
        // A reference may stand where the text itself must have a form.
        Some(pattern) => {
            json!({ "type": "string", "anyOf": [{ "pattern": pattern }, { "pattern": "\\$\\{" }] })
        }
        None => json!({ "type": "string" }),
    }
}

/// A default is written as TOML; as long as it is no table with entries it is JSON as well.
fn default_of(toml: &str) -> Option<Tree> {
    serde_json::from_str(toml).ok()
}

fn merge(tree: &mut Tree, more: Tree) {
    if let (Some(members), Tree::Object(more)) = (tree.as_object_mut(), more) {
        members.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_it_with_its_default() {
        let root: Tree = serde_json::from_str(&write()).unwrap();
        for setting in schema::SETTINGS {
            let pointer = setting.path.split('.').fold(String::new(), |pointer, key| match key {
                "*" => format!("{pointer}/additionalProperties"),
                key => format!("{pointer}/properties/{key}"),
            });
            let found = root.pointer(&pointer);
            assert_eq!(found.is_some(), setting.state == State::Here, "{}", setting.path);
            if let (Some(found), Some(_)) = (found, setting.default) {
                assert!(found.get("default").is_some(), "{} has no default", setting.path);
            }
        }
    }

    #[test]
    fn unknown_keys_are_refused_by_editors_too() {
        let root: Tree = serde_json::from_str(&write()).unwrap();
        assert_eq!(root["additionalProperties"], json!(false));
        assert_eq!(root["properties"]["limits"]["additionalProperties"], json!(false));
        let of = |name: &str| &root["properties"][name]["additionalProperties"];
        assert_eq!(of("servers")["oneOf"], json!([{ "required": ["command"] }, { "required": ["url"] }]));
        assert_eq!(of("groups")["required"], json!(["servers"]));
    }
}
