//! One tool, prompt, resource or template as its server wrote it.
//!
//! Keeps the text and the few places in it that may need another name. Rendering replaces those
//! places and copies the rest, so unknown members, key order and digits survive.

use crate::mcp::method::Kind;
use crate::mcp::mirror::{Invalid, Mirrors};
use crate::routing::tool_look::ToolLook;
use crate::routing::uris::UriMap;
use crate::wire::lines::one_line;
use crate::wire::members::{member, members, requote, string};
use crate::wire::message::Span;
use crate::wire::splice::{member_cut, splice};
use bytes::Bytes;
use std::sync::Arc;

/// An item of a list. Its text is one JSON object on one line, with a string under the kind's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    text: Bytes,
    own: Box<str>,
    key: Span,
    /// Links to resources in `_meta` (MCP Apps): `ui.resourceUri`, and `ui/resourceUri` of old.
    links: Vec<Span>,
    /// `execution` of a tool with the comma beside it: how it may be run is our affair, not the client's.
    cut: Option<Span>,
    needs_task: bool,
    mirrors: Result<Option<Arc<Mirrors>>, Invalid>,
}

impl Item {
    /// `None` when the text is no object, or has no string under the kind's key.
    pub fn parse(kind: Kind, text: Bytes) -> Option<Self> {
        let text = one_line(text);
        let whole = std::str::from_utf8(&text).ok()?;
        let key = member(whole, kind.key())?;
        let own = string(key)?.into_owned().into_boxed_str();
        let links = match kind {
            Kind::Tools => links(whole),
            Kind::Prompts | Kind::Resources | Kind::Templates => Vec::new(),
        };
        let links = links.into_iter().filter_map(|part| Span::of(whole, part)).collect();
        let key = Span::of(whole, key)?;
        let execution = match kind {
            Kind::Tools => execution(whole),
            Kind::Prompts | Kind::Resources | Kind::Templates => None,
        };
        let (cut, needs_task) = execution.map_or((None, false), |(cut, needs)| (Some(cut), needs));
        let mirrors = match kind {
            Kind::Tools => Mirrors::read(whole).map(|mirrors| mirrors.map(Arc::new)),
            Kind::Prompts | Kind::Resources | Kind::Templates => Ok(None),
        };
        Some(Self { own, key, links, cut, needs_task, mirrors, text })
    }

    /// What its server calls it: a name, a URI or a URI template.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The tool can only be called as a task (2025-11-25, basic/utilities/tasks, tool-level negotiation).
    pub fn needs_task(&self) -> bool {
        self.needs_task
    }

    /// Which of a tool's arguments stand in headers as well; or why its calls cannot be sent where there are headers
    /// (2026-07-28, basic/transports/streamable-http, Schema Extension).
    pub fn mirrors(&self) -> Result<Option<&Arc<Mirrors>>, &Invalid> {
        self.mirrors.as_ref().map(Option::as_ref)
    }

    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// Whether a tool says of itself that it changes nothing: `annotations.readOnlyHint` (2025-03-26, server/tools).
    pub fn says_read_only(&self) -> bool {
        let annotations = member(self.whole(), "annotations");
        annotations.and_then(|annotations| member(annotations, "readOnlyHint")) == Some("true")
    }

    /// The same item under its exposed name, its links in the client's terms, and as it is to look.
    pub fn render(&self, exposed: &str, uris: &UriMap, look: Option<&ToolLook>) -> Bytes {
        let mut edits = Vec::with_capacity(2 + self.links.len());
        edits.extend(look.into_iter().flat_map(|look| look.retouch(self.whole(), self.key)));
        edits.extend(self.cut.map(|cut| (cut, Bytes::new())));
        if exposed != &*self.own {
            edits.push((self.key, Bytes::from(requote(self.raw(self.key), &self.own, exposed))));
        }
        for link in &self.links {
            let raw = self.raw(*link);
            if let Some(own) = string(raw) {
                let exposed = uris.expose(&own);
                if exposed != own {
                    edits.push((*link, Bytes::from(requote(raw, &own, &exposed))));
                }
            }
        }
        match edits.is_empty() {
            true => self.text.clone(),
            false => splice(&self.text, &mut edits),
        }
    }

    fn whole(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    fn raw(&self, span: Span) -> &str {
        let raw = self.text.get(span.start as usize..span.end as usize);
        raw.and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or_default()
    }
}

fn links(tool: &str) -> Vec<&str> {
    let Some(meta) = member(tool, "_meta") else { return Vec::new() };
    let nested = member(meta, "ui").and_then(|ui| member(ui, "resourceUri"));
    [nested, member(meta, "ui/resourceUri")].into_iter().flatten().collect()
}

/// Where a tool's `execution` stands, with a comma, and whether it says that a task is required.
fn execution(tool: &str) -> Option<(Span, bool)> {
    let members = members(tool)?;
    let found = members.iter().find(|member| member.key == "execution")?;
    let (start, end) = (Span::of(tool, found.key_raw)?.start, Span::of(tool, found.value)?.end);
    let support = member(found.value, "taskSupport").and_then(string);
    Some((member_cut(tool.as_bytes(), start, end), support.as_deref() == Some("required")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Names, Prefix, ToolConfig, Uris};
    use crate::routing::names::NamePlan;

    fn map(key: &str) -> UriMap {
        let plan = NamePlan::new(&Names::default(), &[(key, &Prefix::Key, Uris::Prefixed)]);
        UriMap::new(&plan.servers()[0])
    }

    fn item(kind: Kind, text: &str) -> Option<Item> {
        Item::parse(kind, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn only_the_name_changes() {
        let text = r#"{ "x-b":1.0000000000000000001, "name" : "read\u005ffile","a":"\ud800","inputSchema":{"name":"name"}}"#;
        let tool = item(Kind::Tools, text).unwrap();
        assert_eq!(tool.own(), "read_file");
        let rendered = tool.render("fs__read_file", &UriMap::default(), None);
        assert_eq!(rendered, text.replace(r#""read\u005ffile""#, r#""fs__read\u005ffile""#));
    }

    #[test]
    fn links_of_apps_follow_the_prefix() {
        let text = r#"{"name":"t","_meta":{"ui":{"resourceUri":"ui://a/b"},"ui/resourceUri":"ui://a/b"}}"#;
        let rendered = item(Kind::Tools, text).unwrap().render("t", &map("srv"), None);
        assert_eq!(rendered, text.replace("ui://a/b", "ui://srv/a/b"));
    }

    #[test]
    fn how_a_tool_is_run_is_not_told() {
        for (text, rendered, needs) in [
            (r#"{"name":"t","execution":{"taskSupport":"required"}}"#, r#"{"name":"t"}"#, true),
            (r#"{"execution":{"taskSupport":"optional","x":1},"name":"t"}"#, r#"{"name":"t"}"#, false),
            (r#"{"execution":null,"name":"t"}"#, r#"{"name":"t"}"#, false),
            (r#"{"name":"t"}"#, r#"{"name":"t"}"#, false),
        ] {
            let tool = item(Kind::Tools, text).unwrap();
            assert_eq!(tool.render("t", &UriMap::default(), None), rendered);
            assert_eq!(tool.needs_task(), needs);
        }
        let prompt = item(Kind::Prompts, r#"{"name":"p","execution":1}"#).unwrap();
        assert_eq!(prompt.render("p", &UriMap::default(), None), *prompt.text());
    }

    #[test]
    fn a_tool_looks_as_it_is_told_to_and_all_else_is_as_it_was() {
        let config = ToolConfig {
            description: Some("mine".to_owned()),
            hidden: vec!["a".to_owned()],
            ..ToolConfig::default()
        };
        let look = ToolLook::new(&config).unwrap();
        let text = r#"{"name":"t","execution":{},"x":1.0,"inputSchema":{"properties":{"a":1,"b":1e2}},"_meta":{"ui/resourceUri":"ui://a"}}"#;
        let expected = r#"{"name":"srv__t","description":"mine","x":1.0,"inputSchema":{"properties":{"b":1e2}},"_meta":{"ui/resourceUri":"ui://srv/a"}}"#;
        assert_eq!(item(Kind::Tools, text).unwrap().render("srv__t", &map("srv"), Some(&look)), expected);
    }

    #[test]
    fn what_has_no_name_is_no_item() {
        for text in ["[]", "{}", r#"{"name":7}"#, r#"{"uri":"x"}"#, "", "{"] {
            assert_eq!(item(Kind::Tools, text), None, "{text}");
        }
    }
}
