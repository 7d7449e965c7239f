//! How one tool looks to clients where the configuration says so: its name, its words, which arguments it takes.
//!
//! Owns what is set for the tool, and makes the edits of it: to the item that clients are given, and to the arguments of a
//! call. Spans are replaced and cut; nothing else of either text changes. It knows no lists and no server.

use crate::config::{Secret, ToolConfig};
use crate::wire::members::{Member, elements, folds_alike, member, members, quote, string};
use crate::wire::message::{Message, Span};
use crate::wire::splice::member_first;
use bytes::Bytes;
use std::collections::BTreeSet;

/// What is set for one tool; something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ToolLook {
    name: Option<Box<str>>,
    title: Option<Box<str>>,
    description: Option<Box<str>>,
    /// Arguments by name, each as JSON. What they hold may be a secret, and is in no list.
    defaults: Vec<(Box<str>, Secret)>,
    hidden: BTreeSet<Box<str>>,
}

/// Why a call's arguments do not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// An argument that is not the client's to give.
    Taken(Box<str>),
    /// A key of `params` that only case tells from `arguments`, so that nobody knows whether the server reads it.
    Variant(Box<str>),
}

type Edit = (Span, Bytes);

impl ToolLook {
    /// `None`: the tool looks as its server wrote it.
    pub fn new(config: &ToolConfig) -> Option<Self> {
        let text = |text: &Option<String>| text.as_deref().map(Box::from);
        let look = Self {
            name: text(&config.name),
            title: text(&config.title),
            description: text(&config.description),
            defaults: config
                .defaults
                .iter()
                .map(|(name, json)| (name.as_str().into(), json.clone()))
                .collect(),
            hidden: config.hidden.iter().map(|name| name.as_str().into()).collect(),
        };
        let says_nothing = look.name.is_none()
            && look.title.is_none()
            && look.description.is_none()
            && look.defaults.is_empty()
            && look.hidden.is_empty();
        (!says_nothing).then_some(look)
    }

    /// What the tool is called instead of its own name, as it is written.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The edits to the tool as its server lists it, but for its name. `name`: where that stands, quotes included.
    ///
    /// Whoever has a default need not give the argument, so that it is required no more; what the default is, is not told.
    pub(super) fn retouch(&self, item: &str, name: Span) -> Vec<Edit> {
        let mut edits = Vec::new();
        let mut added = String::new();
        let all = members(item).unwrap_or_default();
        for (key, new) in [("title", &self.title), ("description", &self.description)] {
            let Some(new) = new.as_deref().map(quote) else { continue };
            let found = all.iter().filter(|member| member.key == key);
            let spans: Vec<Span> = found.filter_map(|member| Span::of(item, member.value)).collect();
            if spans.is_empty() {
                added.push_str(&format!(",\"{key}\":{new}"));
            }
            edits.extend(spans.into_iter().map(|span| (span, Bytes::from(new.clone()))));
        }
        if !added.is_empty() {
            edits.push((Span { start: name.end, end: name.end }, added.into()));
        }
        for Member { key, value, .. } in &all {
            match key.as_ref() {
                "inputSchema" => self.retouch_schema(item, value, &mut edits),
                // Where clients of old look for a title.
                "annotations" => {
                    let Some(title) = self.title.as_deref().map(quote) else { continue };
                    let found = members(value).unwrap_or_default();
                    let titles = found.iter().filter(|member| member.key == "title");
                    let spans = titles.filter_map(|member| Span::of(item, member.value));
                    edits.extend(spans.map(|span| (span, Bytes::from(title.clone()))));
                }
                _ => {}
            }
        }
        edits
    }

    fn retouch_schema(&self, item: &str, schema: &str, edits: &mut Vec<Edit>) {
        let all = members(schema).unwrap_or_default();
        let mut required_goes = vec![false; all.len()];
        for (Member { key, value, .. }, goes) in all.iter().zip(&mut required_goes) {
            match key.as_ref() {
                "properties" => {
                    let properties = members(value).unwrap_or_default();
                    let hidden: Vec<bool> =
                        properties.iter().map(|property| self.hides(&property.key)).collect();
                    edits.extend(cuts(&extents(item, &properties), &hidden));
                }
                "required" => {
                    let names = elements(value).unwrap_or_default();
                    let is_given = |raw: &&str| string(raw).is_some_and(|name| self.is_given(&name));
                    let given: Vec<bool> = names.iter().map(is_given).collect();
                    // An empty list is none to some who read schemas.
                    *goes = !given.is_empty() && given.iter().all(|given| *given);
                    if !*goes {
                        let places: Vec<_> = names.iter().map(|raw| Span::of(item, raw)).collect();
                        edits.extend(cuts(&places, &given));
                    }
                }
                _ => {}
            }
        }
        edits.extend(cuts(&extents(item, &all), &required_goes));
    }

    /// Servers that fold the case of keys take each of its variants for a hidden one.
    fn hides(&self, argument: &str) -> bool {
        self.hidden.iter().any(|hidden| folds_alike(hidden, argument))
    }

    /// Whether a client need not give it.
    fn is_given(&self, argument: &str) -> bool {
        self.hides(argument) || self.defaults.iter().any(|(name, _)| **name == *argument)
    }

    /// The edit to a call's arguments: what the client did not give and has a default. `None`: they stay as they are.
    pub(super) fn arguments(&self, request: &Message) -> Result<Option<Edit>, Refused> {
        let Some(object) = request.params().and_then(|params| params.object) else { return Ok(None) };
        let params = request.str(object);
        let given = member(params, "arguments");
        if given.is_none() && !(self.defaults.is_empty() && self.hidden.is_empty()) {
            let is_variant = |member: &Member<'_>| folds_alike(&member.key, "arguments");
            if let Some(variant) = members(params).unwrap_or_default().into_iter().find(is_variant) {
                return Err(Refused::Variant(variant.key.into()));
            }
        }
        let all = given.and_then(members).unwrap_or_default();
        if let Some(taken) = all.iter().find(|argument| self.hides(&argument.key)) {
            return Err(Refused::Taken(taken.key.as_ref().into()));
        }
        let missing: Vec<String> = self
            .defaults
            .iter()
            .filter(|(name, _)| !all.iter().any(|argument| *argument.key == **name))
            .map(|(name, json)| format!("{}:{}", quote(name), json.expose()))
            .collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let missing = missing.join(",");
        let whole = Span { start: 0, end: u32::try_from(request.text().len()).unwrap_or(u32::MAX) };
        let place = given.and_then(|given| Span::of(request.str(whole), given));
        let insert = |(at, new): (u32, crate::wire::splice::New<'_>)| {
            (Span { start: at, end: at }, Bytes::copy_from_slice(new.as_ref()))
        };
        Ok(match (given, place) {
            (None, _) => {
                let arguments = ["\"arguments\":{", &missing, "}"];
                Some(insert(member_first(request.text(), object, &arguments)))
            }
            (Some("null"), Some(place)) => Some((place, format!("{{{missing}}}").into())),
            (Some(given), Some(place)) if given.starts_with('{') => {
                let comma = if all.is_empty() { "" } else { "," };
                let at = place.start.saturating_add(1);
                Some((Span { start: at, end: at }, format!("{missing}{comma}").into()))
            }
            // What is no object its server refuses.
            (Some(_), _) => None,
        })
    }
}

/// Where each member stands, from its key to the end of its value.
fn extents(whole: &str, members: &[Member<'_>]) -> Vec<Option<Span>> {
    let extent = |member: &Member<'_>| {
        let (key, value) = (Span::of(whole, member.key_raw)?, Span::of(whole, member.value)?);
        Some(Span { start: key.start, end: value.end })
    };
    members.iter().map(extent).collect()
}

/// What is to be cut so that of the parts of an object or a list those are gone, each with one comma. No two overlap.
fn cuts(parts: &[Option<Span>], is_gone: &[bool]) -> Vec<Edit> {
    let mut cuts = Vec::new();
    // Where the last part ends that stays before this one.
    let mut stays_until = None;
    for (at, (part, is_gone)) in parts.iter().zip(is_gone).enumerate() {
        let Some(part) = part else { return Vec::new() };
        match (is_gone, stays_until) {
            (false, _) => stays_until = Some(part.end),
            (true, Some(before)) => {
                cuts.push((Span { start: before, end: part.end }, Bytes::new()));
                stays_until = Some(part.end);
            }
            (true, None) => {
                let next = parts.get(at + 1).copied().flatten();
                let end = next.map_or(part.end, |next| next.start);
                cuts.push((Span { start: part.start, end }, Bytes::new()));
            }
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::method::Kind;
    use crate::routing::item::Item;
    use crate::routing::uris::UriMap;
    use crate::wire::caps::Caps;
    use crate::wire::splice::splice;
    use proptest::prelude::*;

    fn look(set: impl FnOnce(&mut ToolConfig)) -> ToolLook {
        let mut config = ToolConfig::default();
        set(&mut config);
        ToolLook::new(&config).unwrap()
    }

    fn hiding(names: &[&str]) -> ToolLook {
        look(|tool| tool.hidden = names.iter().map(|&name| name.to_owned()).collect())
    }

    fn given(defaults: &[(&str, &str)], hidden: &[&str]) -> ToolLook {
        look(|tool| {
            tool.defaults =
                defaults.iter().map(|&(name, json)| (name.to_owned(), Secret::new(json))).collect();
            tool.hidden = hidden.iter().map(|&name| name.to_owned()).collect();
        })
    }

    fn retouched(look: &ToolLook, item: &str) -> String {
        let name = Span::of(item, member(item, "name").unwrap()).unwrap();
        let text = splice(item.as_bytes(), &mut look.retouch(item, name));
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[test]
    fn what_says_nothing_is_no_look() {
        assert_eq!(ToolLook::new(&ToolConfig::default()), None);
    }

    #[test]
    fn words_are_put_where_the_others_were_and_else_behind_the_name() {
        let look = look(|tool| {
            tool.title = Some("A \"t\"".to_owned());
            tool.description = Some("new".to_owned());
        });
        for (item, expected) in [
            (
                r#"{ "x":1.0, "description" : "old","name":"n","title":null }"#,
                r#"{ "x":1.0, "description" : "new","name":"n","title":"A \"t\"" }"#,
            ),
            (r#"{"name":"n","x":[1]}"#, r#"{"name":"n","title":"A \"t\"","description":"new","x":[1]}"#),
            (
                r#"{"annotations":{"title":"old","readOnlyHint":true},"name":"n","description":"a","d\u0065scription":"b"}"#,
                r#"{"annotations":{"title":"A \"t\"","readOnlyHint":true},"name":"n","title":"A \"t\"","description":"new","d\u0065scription":"new"}"#,
            ),
        ] {
            assert_eq!(retouched(&look, item), expected);
        }
    }

    #[test]
    fn a_hidden_argument_is_cut_and_all_else_is_as_it_was() {
        let tool = |schema: &str| format!(r#"{{"name":"n","inputSchema":{schema}}}"#);
        for (hidden, schema, expected) in [
            (&["a"][..], r#"{"properties":{"a":1}}"#, r#"{"properties":{}}"#),
            (&["a"], r#"{"properties":{ "a" : {"a":1} , "b":2 }}"#, r#"{"properties":{ "b":2 }}"#),
            (&["b"], r#"{"properties":{"a":1 , "b":2}}"#, r#"{"properties":{"a":1}}"#),
            (&["a", "b"], r#"{"properties":{"a":1,"b":2,"c":3}}"#, r#"{"properties":{"c":3}}"#),
            (&["b", "c"], r#"{"properties":{"a":1,"b":2,"c":3}}"#, r#"{"properties":{"a":1}}"#),
            (&["a", "c"], r#"{"properties":{"a":1,"b":2,"c":3}}"#, r#"{"properties":{"b":2}}"#),
            (&["a", "b"], r#"{"properties":{ "a":1, "b":2 }}"#, r#"{"properties":{  }}"#),
            (&["a"], r#"{"properties":{"\u0061":1,"b":2,"a":3}}"#, r#"{"properties":{"b":2}}"#),
            (&["a"], r#"{"required":["a","b"],"x":1e3}"#, r#"{"required":["b"],"x":1e3}"#),
            (&["a"], r#"{"type":"object","required":[ "a" ],"x":1e3}"#, r#"{"type":"object","x":1e3}"#),
            (&["a"], r#"{"required":["a"]}"#, "{}"),
            (&["a"], r#"{"required":[7,"a"]}"#, r#"{"required":[7]}"#),
            (&["a"], r#"{"properties":[],"required":{}}"#, r#"{"properties":[],"required":{}}"#),
            (&["a"], "true", "true"),
        ] {
            assert_eq!(retouched(&hiding(hidden), &tool(schema)), tool(expected), "{schema}");
        }
        let with_default = given(&[("a", "1")], &[]);
        let schema = r#"{"properties":{"a":1,"b":2},"required":["a","b"]}"#;
        let expected = r#"{"properties":{"a":1,"b":2},"required":["b"]}"#;
        assert_eq!(retouched(&with_default, &tool(schema)), tool(expected));
    }

    fn called(look: &ToolLook, params: &str) -> Result<String, Refused> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let request = Message::parse_client(text.into(), Caps::default()).unwrap();
        let edit = look.arguments(&request)?;
        let text = splice(request.text(), &mut edit.into_iter().collect::<Vec<_>>());
        let request = Message::parse_server(text).unwrap();
        let params = request.params().unwrap().object.unwrap();
        Ok(request.str(params).to_owned())
    }

    #[test]
    fn a_default_is_put_where_the_client_gave_none() {
        let look = given(&[("repo", r#""me/x""#), ("depth", "1.50")], &[]);
        for (params, expected) in [
            (r#"{"name":"n"}"#, r#"{"arguments":{"repo":"me/x","depth":1.50},"name":"n"}"#),
            (r#"{"name":"n","arguments":null}"#, r#"{"name":"n","arguments":{"repo":"me/x","depth":1.50}}"#),
            (r#"{"name":"n","arguments":{ }}"#, r#"{"name":"n","arguments":{"repo":"me/x","depth":1.50 }}"#),
            (
                r#"{"arguments":{"a":1.0,"depth":null},"name":"n"}"#,
                r#"{"arguments":{"repo":"me/x","a":1.0,"depth":null},"name":"n"}"#,
            ),
            (
                r#"{"name":"n","arguments":{"d\u0065pth":2,"repo":7}}"#,
                r#"{"name":"n","arguments":{"d\u0065pth":2,"repo":7}}"#,
            ),
            (r#"{"name":"n","arguments":[1]}"#, r#"{"name":"n","arguments":[1]}"#),
        ] {
            assert_eq!(called(&look, params).as_deref(), Ok(expected), "{params}");
        }
    }

    #[test]
    fn a_hidden_argument_is_not_the_clients_to_give() {
        let look = given(&[("repo", "1")], &["repo", "x"]);
        assert_eq!(called(&look, r#"{"name":"n"}"#).unwrap(), r#"{"arguments":{"repo":1},"name":"n"}"#);
        for arguments in [r#"{"repo":1}"#, r#"{"a":1,"r\u0065po":2}"#, r#"{"x":null}"#] {
            let taken = called(&look, &format!(r#"{{"name":"n","arguments":{arguments}}}"#));
            assert!(taken.is_err(), "{arguments}");
        }
        for argument in ["Repo", "REPO", "r\\u0045po", "X"] {
            let taken = called(&look, &format!(r#"{{"name":"n","arguments":{{"a":1,"{argument}":1}}}}"#));
            assert!(matches!(taken, Err(Refused::Taken(_))), "{argument}");
        }
        assert!(called(&look, r#"{"name":"n","arguments":{"a":{"repo":1}}}"#).is_ok());
    }

    #[test]
    fn arguments_under_another_case_of_their_key_do_not_get_past() {
        for look in [hiding(&["repo"]), given(&[("repo", "1")], &[])] {
            for key in ["Arguments", "ARGUMENTS", "argument\u{17f}", "\\u0041rguments"] {
                let refused = called(&look, &format!(r#"{{"name":"n","{key}":{{"repo":2}}}}"#));
                assert!(matches!(refused, Err(Refused::Variant(_))), "{key}");
            }
        }
        let words = look(|tool| tool.title = Some("t".to_owned()));
        let params = r#"{"name":"n","Arguments":{"repo":2}}"#;
        assert_eq!(called(&words, params).as_deref(), Ok(params));
    }

    #[test]
    fn what_a_server_may_take_for_a_hidden_argument_is_not_listed() {
        let item = r#"{"name":"n","inputSchema":{"properties":{"Repo":1,"b":2},"required":["b","REPO"]}}"#;
        let expected = r#"{"name":"n","inputSchema":{"properties":{"b":2},"required":["b"]}}"#;
        assert_eq!(retouched(&hiding(&["repo"]), item), expected);
    }

    /// A tool with odd white space, members that stand twice, and whatever else a server may write.
    fn tool() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec!["a", "b", "\\u0061", "c"]);
        let member =
            (key, "( ?)", "( ?)").prop_map(|(key, one, two)| format!("{one}\"{key}\"{two}:{two}{{}}{one}"));
        let properties = prop::collection::vec(member, 0..5).prop_map(|all| all.join(","));
        let name = prop::sample::select(vec!["\"a\"", "\"b\"", " \"c\" ", "7", "\"\\u0061\""]);
        let required = prop::collection::vec(name, 0..4).prop_map(|all| all.join(","));
        let other = prop::sample::select(vec![
            "\"title\":1",
            "\"description\" : \"d\"",
            "\"execution\":{}",
            "\"x\":1.0",
        ]);
        (properties, required, prop::collection::vec(other, 0..4), any::<bool>()).prop_map(
            |(properties, required, others, first)| {
                let schema =
                    format!("\"inputSchema\":{{\"properties\":{{{properties}}} ,\"required\":[{required}]}}");
                let mut parts: Vec<&str> = others;
                parts.insert(if first { 0 } else { parts.len() }, &schema);
                parts.insert(parts.len() / 2, "\"name\":\"n\"");
                format!("{{{}}}", parts.join(","))
            },
        )
    }

    proptest! {
        #[test]
        fn a_tool_stays_json_and_shows_nothing_that_is_hidden(tool in tool(), hidden in "[abc]{0,3}") {
            let names: Vec<String> = hidden.chars().map(String::from).collect();
            let look = look(|config| {
                config.hidden = names.clone();
                config.description = Some("new".to_owned());
                config.title = Some("new".to_owned());
            });
            let item = Item::parse(Kind::Tools, tool.clone().into()).unwrap();
            let text = item.render("exposed", &UriMap::default(), Some(&look));
            let text = std::str::from_utf8(&text).unwrap();
            let words: Vec<_> = members(text).unwrap().into_iter().filter(|it| ["title", "description"].contains(&&*it.key)).collect();
            prop_assert!(words.len() >= 2 && words.iter().all(|word| word.value == "\"new\""), "{}", text);
            let schema = member(text, "inputSchema").unwrap();
            let before = member(&tool, "inputSchema").unwrap();
            let keys = |schema: &str| -> Vec<String> {
                members(member(schema, "properties").unwrap()).unwrap().iter().map(|it| it.key.to_string()).collect()
            };
            let kept: Vec<String> = keys(before).into_iter().filter(|key| !names.contains(key)).collect();
            prop_assert_eq!(keys(schema), kept);
            let said = |schema: &str| -> Vec<String> {
                member(schema, "required").and_then(elements).unwrap_or_default().into_iter().map(str::to_owned).collect()
            };
            let is_hidden = |raw: &String| string(raw).is_some_and(|name| names.contains(&name.into_owned()));
            let kept: Vec<String> = said(before).into_iter().filter(|raw| !is_hidden(raw)).collect();
            prop_assert_eq!(said(schema), kept);
        }
    }

    #[test]
    fn what_is_put_in_is_in_no_debug() {
        assert!(!format!("{:?}", given(&[("k", "\"s3cret\"")], &[])).contains("s3cret"));
    }
}
