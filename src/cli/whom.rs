//! `--as PRINCIPAL`: what somebody would see whom the rules of `[access]` are for.
//!
//! The command line itself is held to no rule: whoever runs it has the file. It looks at what it finds as another would.

use super::run::Run;
use crate::config::{AccessRule, Config, toml_key};
use crate::hub::entrance::Entrance;
use crate::hub::views::View;
use crate::mcp::caller::{Principal, Scopes};
use crate::mcp::method::Kind;
use crate::routing::access::Access;
use crate::routing::catalog::Catalog;
use std::sync::Arc;

/// Somebody, and what their token says.
#[derive(Debug, Clone)]
pub(super) struct Whom {
    pub(super) principal: Principal,
    pub(super) scopes: Scopes,
}

/// Why somebody sees something, or does not.
pub(super) enum Verdict {
    /// There are no rules that could keep it from them.
    Unruled,
    /// By these rules.
    Shown(Vec<String>),
    Hidden(String),
}

impl Whom {
    /// As `[access]` writes a principal, such as `token:ci`, and scopes between commas or blanks.
    pub(super) fn parse(principal: &str, scopes: Option<&str>) -> Result<Self, String> {
        let named = match (principal, principal.split_once(':')) {
            ("local", _) => Some(Principal::local()),
            ("bearer", _) => Some(Principal::bearer()),
            ("anonymous", _) => Some(Principal::anonymous()),
            (_, Some((_, ""))) | (_, None) => None,
            (_, Some(("token", name))) => Some(Principal::token(name)),
            (_, Some(("oauth", name))) => Some(Principal::oauth(name)),
            (_, Some(("cert", name))) => Some(Principal::certificate(name)),
            (_, Some(_)) => None,
        };
        let named = named.ok_or_else(|| {
            format!("nobody can be called `{principal}`: write local, bearer, anonymous, token:NAME, oauth:NAME or cert:NAME")
        })?;
        let scopes = scopes.unwrap_or_default().split([',', ' ']).filter(|scope| !scope.is_empty());
        let scopes = Scopes::of(scopes).ok_or("these are no scopes, or too many")?;
        Ok(Self { principal: named, scopes })
    }

    /// What they see by an entrance. The servers must have been heard by the run.
    pub(super) fn view(&self, run: &Run, entrance: &Entrance) -> Arc<View> {
        self.view_by(run, entrance, run.access.clone())
    }

    fn view_by(&self, run: &Run, entrance: &Entrance, rules: Vec<AccessRule>) -> Arc<View> {
        let caller = run.seat.caller();
        let access = access(run, rules);
        let rights = access.as_ref().and_then(|access| access.rights(&self.principal, &self.scopes));
        match access.as_ref().zip(rights.as_ref()) {
            Some(rights) => run.hub.view_with(caller, entrance, rights),
            None => run.hub.view(caller, entrance),
        }
    }

    /// Whether they see something that a server lists, by an entrance at which it is.
    pub(super) fn judge(&self, run: &Run, entrance: &Entrance, item: (Kind, usize, &str)) -> Verdict {
        let (kind, at, own) = item;
        let is_shown = |catalog: &Catalog| catalog.owned(kind, own).any(|entry| entry.server == at);
        let view = self.view(run, entrance);
        if view.with_catalog(is_shown) {
            let gives = |rule: &&AccessRule| {
                let alone = self.view_by(run, entrance, vec![(*rule).clone()]);
                alone.with_catalog(is_shown)
            };
            let names: Vec<String> = run.access.iter().filter(gives).map(|rule| place(&rule.name)).collect();
            return if names.is_empty() { Verdict::Unruled } else { Verdict::Shown(names) };
        }
        let why = view.with_catalog(|catalog| {
            let mut withheld = catalog.withheld(kind).iter();
            let found = withheld.find(|item| item.server == at && *item.own == *own);
            found.map(|item| item.why.to_string())
        });
        Verdict::Hidden(why.unwrap_or_else(|| self.why_nothing(run, at)))
    }

    /// Why they see nothing of a server.
    fn why_nothing(&self, run: &Run, at: usize) -> String {
        let Some(server) = run.hub.config().servers.get(at) else { return String::new() };
        if self.principal.is_anonymous() && server.keeps_out_anonymous() {
            return format!("`servers.{}.allow_anonymous` is false (BRAID-A021)", toml_key(&server.key));
        }
        let access = access(run, run.access.clone());
        let rights = access.as_ref().and_then(|access| access.rights(&self.principal, &self.scopes));
        let names = access.as_ref().zip(rights.as_ref()).and_then(|(access, rights)| access.names(rights));
        match names.unwrap_or_default().as_slice() {
            [] => "no rule of `[access]` is for them".to_owned(),
            names => {
                let names: Vec<String> = names.iter().map(|name| place(name)).collect();
                format!("{} gives nothing of `{}` there", names.join(" or "), server.key)
            }
        }
    }
}

/// Where a rule stands.
fn place(name: &str) -> String {
    format!("`access.{}`", toml_key(name))
}

fn access(run: &Run, rules: Vec<AccessRule>) -> Option<Access> {
    Access::of(&Config { access: rules, ..run.hub.config().clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_written_as_rules_write_it() {
        let parse = |text: &str| Whom::parse(text, Some("b,a  c")).map(|whom| whom.principal);
        assert_eq!(parse("local"), Ok(Principal::local()));
        assert_eq!(parse("token:ci"), Ok(Principal::token("ci")));
        assert_eq!(parse("oauth:a:b"), Ok(Principal::oauth("a:b")));
        assert_eq!(parse("cert:x y"), Ok(Principal::certificate("x y")));
        for none in ["", "ci", "token:", "tokens:ci", "Local"] {
            assert!(parse(none).unwrap_err().contains("token:NAME"), "{none}");
        }
        let scopes = Whom::parse("local", Some("b,a  c")).unwrap().scopes;
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(Whom::parse("local", None).unwrap().scopes.is_empty());
        assert!(Whom::parse("local", Some("a\\b")).is_err());
    }
}
