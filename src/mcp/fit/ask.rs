//! What a server asks of a client, fitted to what the client's revision knows.
//!
//! For a shared link, whose server may speak a later revision than one of its clients. An ask cannot be cut
//! like a result: what the older revision cannot say is refused, because a person or a model would answer
//! another question than was put.

use super::{Edits, kind, value};
use crate::mcp::method::Want;
use crate::mcp::revision::Revision;
use crate::wire::fault::Fault;
use crate::wire::members::{each, elements, members, string};

/// The params of an ask, for a client of revision `to`. `Ok(None)`: they fit as they are. `Err`: that revision
/// has no words for it, and the server is to be told so.
///
/// Whether the client may be asked at all is [`Askable::refusal`](crate::mcp::askable::Askable::refusal)'s to
/// say, and comes first. To be called after the ask was put into the client's terms, since these params
/// replace the whole. Params of an odd shape fit: it is not for this place to refuse them.
pub fn fit_ask(want: Want, params: &str, to: Revision) -> Result<Option<String>, Fault> {
    if to >= Revision::V2025_11_25 {
        return Ok(None);
    }
    match want {
        Want::Elicitation => fit_form(params, to),
        Want::Sampling => fit_messages(params, to),
        Want::Roots => Ok(None),
    }
}

/// A form, its choices as 2025-06-18 has them: `enum` and `enumNames` (schema, EnumSchema).
fn fit_form(params: &str, to: Revision) -> Result<Option<String>, Fault> {
    let mut edits = Edits::new(params);
    for schema in each(params, "requestedSchema") {
        for fields in each(schema, "properties") {
            for field in members(fields).unwrap_or_default() {
                fit_field(field.value, to, &mut edits)?;
            }
        }
    }
    Ok(edits.finish())
}

fn fit_field<'a>(field: &'a str, to: Revision, edits: &mut Edits<'a>) -> Result<(), Fault> {
    let members = members(field).unwrap_or_default();
    if value(&members, "type").and_then(string).as_deref() == Some("array") {
        return Err(cannot(to, "offer a choice of several values"));
    }
    let titled = members.iter().rfind(|member| member.key == "oneOf");
    let Some(titled) = titled.filter(|_| value(&members, "enum").is_none()) else { return Ok(()) };
    if let Some((values, names)) = choices(titled.value) {
        edits.replace(titled.key_raw, "\"enum\"".to_owned());
        edits.replace(titled.value, format!("[{values}],\"enumNames\":[{names}]"));
    }
    Ok(())
}

/// The values of titled options and their titles, each as they stand. `None`: they are no such options.
fn choices(options: &str) -> Option<(String, String)> {
    let (mut values, mut names) = (Vec::new(), Vec::new());
    for option in elements(options)? {
        let members = members(option)?;
        let constant = value(&members, "const").filter(|constant| constant.starts_with('"'))?;
        let title = value(&members, "title").filter(|title| title.starts_with('"'));
        values.push(constant);
        names.push(title.unwrap_or(constant));
    }
    Some((values.join(","), names.join(",")))
}

/// Messages for a model, each with one block as its content.
fn fit_messages(params: &str, to: Revision) -> Result<Option<String>, Fault> {
    let mut edits = Edits::new(params);
    for messages in each(params, "messages") {
        for message in elements(messages).unwrap_or_default() {
            for content in each(message, "content") {
                let block = match elements(content).as_deref() {
                    None => content,
                    Some([block]) => {
                        edits.replace(content, (*block).to_owned());
                        block
                    }
                    Some([] | [_, _, ..]) => {
                        return Err(cannot(to, "take a message with other than one block of content"));
                    }
                };
                known(block, to)?;
            }
        }
    }
    Ok(edits.finish())
}

/// Unlike a tool's result, what a model is to go on has no stand-in.
fn known(block: &str, to: Revision) -> Result<(), Fault> {
    match kind(block).as_deref() {
        Some("tool_use" | "tool_result") => Err(cannot(to, "take what tools were asked and answered")),
        Some("audio") if to == Revision::V2024_11_05 => Err(cannot(to, "take sound")),
        Some(_) | None => Ok(()),
    }
}

fn cannot(to: Revision, what: &str) -> Fault {
    Fault::invalid_params(format!("the client speaks {to} and cannot {what}"))
}

#[cfg(test)]
mod tests {
    use super::Revision::*;
    use super::*;
    use proptest::prelude::*;

    fn form(fields: &str) -> String {
        format!(r#"{{"message":"?","requestedSchema":{{"type":"object","properties":{{{fields}}}}}}}"#)
    }

    fn said(content: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user", "content":{content}}}],"maxTokens":1e2}}"#)
    }

    #[test]
    fn who_speaks_the_latest_revision_is_asked_as_it_stands() {
        for (want, params) in [
            (Want::Elicitation, form(r#""a":{"type":"array","items":{"enum":["x"]}}"#)),
            (Want::Sampling, said("[]")),
        ] {
            assert_eq!(fit_ask(want, &params, V2025_11_25), Ok(None));
            assert_eq!(fit_ask(want, &params, V2025_06_18).unwrap_err().code, -32602);
        }
    }

    #[test]
    fn a_choice_with_titles_is_said_in_older_words() {
        let new = form(
            r#""n":{"type":"number"},"c":{"type":"string", "oneOf" : [{"const":"r\u0065d","title":"\u2764"},{"const":"b"}],"default":"b","x":1.0}"#,
        );
        let old = form(
            r#""n":{"type":"number"},"c":{"type":"string", "enum" : ["r\u0065d","b"],"enumNames":["\u2764","b"],"default":"b","x":1.0}"#,
        );
        assert_eq!(fit_ask(Want::Elicitation, &new, V2025_06_18), Ok(Some(old.clone())));
        assert_eq!(fit_ask(Want::Elicitation, &old, V2025_06_18), Ok(None));
    }

    #[test]
    fn a_choice_of_several_is_refused_in_words() {
        let params = form(r#""c":{"type":"\u0061rray","items":{"anyOf":[{"const":"a","title":"A"}]}}"#);
        let fault = fit_ask(Want::Elicitation, &params, V2025_06_18).unwrap_err();
        assert_eq!(fault.text, "the client speaks 2025-06-18 and cannot offer a choice of several values");
    }

    #[test]
    fn a_list_of_one_block_is_that_block() {
        let block = r#"{ "type":"text","text":"\u0061"}"#;
        let fitted = fit_ask(Want::Sampling, &said(&format!("[ {block} ]")), V2025_06_18);
        assert_eq!(fitted, Ok(Some(said(block))));
        assert_eq!(fit_ask(Want::Sampling, &said(block), V2024_11_05), Ok(None));
    }

    #[test]
    fn what_an_older_model_cannot_be_given_is_refused() {
        let text = r#"{"type":"text","text":""}"#;
        for content in [
            format!("[{text},{text}]"),
            "[]".into(),
            r#"{"type":"tool_use"}"#.into(),
            r#"[{"type":"tool_result"}]"#.into(),
        ] {
            let refused = fit_ask(Want::Sampling, &said(&content), V2025_06_18).unwrap_err();
            assert_eq!(refused.code, -32602, "{content}");
        }
        let sound = said(r#"{"type":"audio","data":"","mimeType":"audio/wav"}"#);
        assert_eq!(fit_ask(Want::Sampling, &sound, V2025_03_26), Ok(None));
        assert!(fit_ask(Want::Sampling, &sound, V2024_11_05).is_err());
    }

    #[test]
    fn odd_params_are_left_to_the_client() {
        for params in [
            "",
            "[]",
            "{}",
            r#"{"requestedSchema":7,"messages":7}"#,
            r#"{"requestedSchema":{"properties":{"a":7,"b":{"oneOf":7},"c":{"oneOf":[{"const":1}]}}}}"#,
            r#"{"requestedSchema":{"properties":{"a":{"enum":["x"],"oneOf":[{"const":"x"}]}}}}"#,
            r#"{"messages":[7,{"content":7},{"content":"text"},{}]}"#,
        ] {
            for want in [Want::Elicitation, Want::Sampling, Want::Roots] {
                assert_eq!(fit_ask(want, params, V2024_11_05), Ok(None), "{params}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_fitted_fits(
            fields in prop::collection::vec(
                prop::sample::select(vec![
                    r#""a":{"oneOf":[]}"#,
                    r#""a":{"oneOf":[{"const":"1","title":"2"}],"oneOf":[{"const":"3"}]}"#,
                    r#""b":{"type":"string","oneOf":[{"const":"1","title":2}]}"#,
                    r#""b":{"enum":[]}"#,
                    r#""c":{"type":"boolean","default":true}"#,
                ]),
                0..4,
            ),
            to in prop::sample::select(vec![V2024_11_05, V2025_03_26, V2025_06_18]),
        ) {
            if let Some(fitted) = fit_ask(Want::Elicitation, &form(&fields.join(",")), to).unwrap() {
                prop_assert!(members(&fitted).is_some(), "{}", fitted);
                prop_assert_eq!(fit_ask(Want::Elicitation, &fitted, to), Ok(None));
            }
        }
    }
}
