//! `[listen]` to a `Listen`: where, to whom, with which certificate, within which bounds.
//!
//! The judgement of addresses is that of `listen`, which `--listen` meets as well. No file that is named here is
//! read: a certificate is looked at when somebody listens.

use std::path::Path;

use super::codes::Code;
use super::listen::{
    HOLDER_CHARS_MAX, SCOPES_MAX, SESSIONS_OF_ONE_MAX, TOKENS_MAX, Written, as_browsers_write,
};
use super::problem::quoted;
use super::resolve::at_most;
use super::section::{Reader, Section};
use super::{
    Address, Algorithm, Auth, ClientCertificates, IdentityProvider, Introspection, KeySource, Listen,
    ListenLimits, NamedToken, ProviderClient, Secret, Tls,
};

/// The listener that a section describes; what is wrong has been reported.
pub(super) fn listen(reader: &mut Reader<'_>, section: &Section) -> Listen {
    let default = Listen::default();
    let written = addresses(reader, section);
    let variables = reader.variables;
    let path = |key: &str| section.text(key).and_then(|text| variables.file_of(text));
    let texts = |key: &str| section.texts(key).unwrap_or_default().iter();
    let mut listen = Listen {
        addresses: match written.is_empty() {
            true => default.addresses,
            false => written.iter().map(|(address, _)| address.clone()).collect(),
        },
        auth: match section.word("auth") {
            Some("none") => Auth::None,
            Some("oauth") => Auth::OAuth,
            Some(_) => Auth::Token,
            None => default.auth,
        },
        token_file: path("token_file"),
        oauth: section.section("oauth").and_then(|inner| oauth(reader, inner)),
        tokens: tokens(reader, section),
        hosts: texts("allowed_hosts").map(|host| host.to_ascii_lowercase()).collect(),
        origins: texts("allowed_origins").map(|origin| as_browsers_write(origin)).collect(),
        trusted_proxy: section.text("trusted_proxy").filter(|text| !text.is_empty()).map(str::to_owned),
        public_url: section.text("public_url").filter(|text| !text.is_empty()).map(str::to_owned),
        tls: section.section("tls").and_then(|inner| tls(reader, inner)),
        legacy_sse: section.flag("legacy_sse").unwrap_or(default.legacy_sse),
        stream_after: section.time("stream_after").unwrap_or(default.stream_after),
        keep_alive: section.time("keep_alive").unwrap_or(default.keep_alive),
        session_idle: section.time("session_idle").unwrap_or(default.session_idle),
        grace: section.time("grace").unwrap_or(default.grace),
        limits: section.section("limits").map_or(default.limits, |inner| limits(reader, inner)),
    };
    let is_shared_out =
        section.section("limits").is_some_and(|inner| inner.has("sessions_per_principal").is_some());
    if listen.has_many_principals() && !is_shared_out {
        listen.limits.sessions_per_principal_max = SESSIONS_OF_ONE_MAX.min(listen.limits.sessions_max);
    }
    let auth = section.checked("auth").map(|checked| &checked.span);
    // A certificate or an `auth` that is there but wrong has been reported already; the address is not to blame.
    let sound = ["auth", "tls", "trusted_proxy"].iter().all(|key| is_sound(section, key));
    if sound {
        let problems = listen.judge(reader.source, &written, auth);
        reader.problems.extend(problems);
    }
    warn_of_no_token(reader, section, &listen);
    judge_oauth(reader, section, &listen);
    listen
}

/// The identity provider, if one is named; what is wrong has been reported.
fn oauth(reader: &mut Reader<'_>, section: &Section) -> Option<IdentityProvider> {
    let text = |key: &str| section.text(key).filter(|text| !text.is_empty());
    let texts = |key: &str| section.texts(key).unwrap_or_default().to_vec();
    let (Some(issuer), Some(resource)) = (text("issuer"), text("resource")) else {
        let missing = if text("issuer").is_none() { "issuer" } else { "resource" };
        // Where neither is said nobody is asked; one that stands there and is wrong has been reported.
        if (text("issuer").is_some() || text("resource").is_some()) && !is_wrong(section, missing) {
            let problem = reader
                .error(Code::MissingKey, format!("`listen.oauth` has no `{missing}`"))
                .at(&section.span, "expected `issuer` and `resource`")
                .help(OAUTH_HELP);
            reader.problems.push(problem);
        }
        return None;
    };
    let default = IdentityProvider::new(issuer, resource);
    if let Some(written) = section.checked("algorithms").filter(|_| section.texts("algorithms") == Some(&[]))
    {
        let problem = reader
            .error(Code::OutOfBounds, "`listen.oauth.algorithms` has no algorithm")
            .at(&written.span, "expected at least one, such as \"RS256\"");
        reader.problems.push(problem);
    }
    if let Some((_, span)) = section.placed_texts("scopes").find(|(scope, _)| *scope == "offline_access") {
        let problem = reader
            .error(Code::BadText, "`offline_access` is nothing that a request needs")
            .at(span, "it asks the provider for a token that renews others, which is the client's affair");
        reader.problems.push(problem);
    }
    if let Some(written) = section.checked("scopes").filter(|_| texts("scopes").len() > SCOPES_MAX) {
        let problem = reader
            .error(Code::OutOfBounds, "`listen.oauth.scopes` has too many scopes")
            .at(&written.span, format!("expected at most {SCOPES_MAX}"));
        reader.problems.push(problem);
    }
    if let Some(written) = section.checked("client_secret").filter(|_| {
        text("client_secret").is_some() && text("client_id").is_none() && !is_wrong(section, "client_id")
    }) {
        let problem = reader
            .error(Code::MissingKey, "`listen.oauth.client_secret` is nobody's")
            .at(&written.span, "expected `client_id` beside it");
        reader.problems.push(problem);
    }
    let keys = match (text("jwks_uri"), text("jwks_file")) {
        (Some(_), Some(_)) => {
            let file = section.checked("jwks_file").map_or(0..0, |written| written.span.clone());
            let mut problem = reader
                .error(Code::Contradiction, "`listen.oauth` has both `jwks_uri` and `jwks_file`")
                .at(&file, "keys come from one place");
            if let Some(uri) = section.checked("jwks_uri") {
                problem = problem.beside(&uri.span, "this is the other one");
            }
            reader.problems.push(problem);
            KeySource::Named
        }
        (Some(uri), None) => KeySource::At(uri.to_owned()),
        (None, Some(file)) => reader.variables.file_of(file).map_or(KeySource::Named, KeySource::File),
        (None, None) => KeySource::Named,
    };
    Some(IdentityProvider {
        audiences: texts("audiences"),
        scopes: texts("scopes"),
        algorithms: match section.texts("algorithms") {
            Some(names) => names.iter().filter_map(|name| Algorithm::of(name)).collect(),
            None => default.algorithms.clone(),
        },
        keys,
        principal: section.text("principal").map_or_else(|| default.principal.clone(), str::to_owned),
        ca_file: text("ca_file").and_then(|file| reader.variables.file_of(file)),
        introspection: section.section("introspection").and_then(|inner| introspection(reader, inner)),
        client: text("client_id")
            .map(|id| ProviderClient { id: id.to_owned(), secret: text("client_secret").map(Secret::new) }),
        ..default
    })
}

fn introspection(reader: &mut Reader<'_>, section: &Section) -> Option<Introspection> {
    let text = |key: &str| section.text(key).filter(|text| !text.is_empty());
    if let (Some(client_id), Some(secret)) = (text("client_id"), text("client_secret")) {
        let (client_id, client_secret) = (client_id.to_owned(), Secret::new(secret));
        return Some(Introspection { url: text("url").map(str::to_owned), client_id, client_secret });
    }
    let keys = ["client_id", "client_secret", "url"];
    let written = keys.into_iter().find(|key| text(key).is_some()).and_then(|key| section.checked(key));
    if let Some(written) = written.filter(|_| !keys.iter().any(|key| is_wrong(section, key))) {
        let problem = reader
            .error(Code::MissingKey, "`listen.oauth.introspection` is incomplete")
            .at(&written.span, "this stands alone")
            .help(
                "the provider answers nobody whom it does not know: it takes `client_id` and `client_secret`",
            );
        reader.problems.push(problem);
    }
    None
}

/// Whether a key stands there with something that could not be taken.
fn is_wrong(section: &Section, key: &str) -> bool {
    section.has(key).is_some() && section.checked(key).is_none()
}

const OAUTH_HELP: &str = "`issuer` is the identity provider as its tokens name it, `resource` what clients call us:\n[listen.oauth]\nissuer = \"https://id.example.com\"\nresource = \"https://mcp.example.com/mcp\"";

/// Whether `auth` and the sections that it speaks of go together.
fn judge_oauth(reader: &mut Reader<'_>, section: &Section, listen: &Listen) {
    let auth = section.checked("auth").map(|auth| auth.span.clone());
    if listen.auth == Auth::OAuth {
        let is_said = section.section("oauth").is_some_and(|inner| {
            let is_said = |key| inner.text(key).is_some_and(|text| !text.is_empty()) || is_wrong(inner, key);
            ["issuer", "resource"].into_iter().any(is_said)
        });
        if let Some(auth) = auth.as_ref().filter(|_| listen.oauth.is_none() && !is_said) {
            let problem = reader
                .error(Code::MissingKey, "`auth = \"oauth\"` needs `[listen.oauth]`")
                .at(auth, "of which identity provider?")
                .help(OAUTH_HELP);
            reader.problems.push(problem);
        }
        if let Some(file) = section.checked("token_file").filter(|_| listen.token_file.is_some()) {
            let mut problem = reader
                .warning(Code::NoEffect, "`token_file` is not used with `auth = \"oauth\"`")
                .at(&file.span, "nobody is let in by this token")
                .help("give it a name: `tokens.NAME = \"${file:PATH}\"`");
            if let Some(auth) = &auth {
                problem = problem.beside(auth, "because of this");
            }
            reader.problems.push(problem);
        }
    } else if let Some(inner) = section.section("oauth").filter(|_| listen.oauth.is_some()) {
        let problem = reader
            .warning(Code::NoEffect, "`[listen.oauth]` is not used")
            .at(&inner.span, "its tokens let nobody in")
            .help("write `auth = \"oauth\"` in `[listen]`");
        reader.problems.push(problem);
    }
}

/// Whether what is written under a key could be taken.
fn is_sound(section: &Section, key: &str) -> bool {
    let tls = section.section(key).is_some_and(|inner| {
        ["cert", "key"].iter().all(|key| inner.has(key).is_none() || inner.checked(key).is_some())
            && inner.text("cert").is_none_or(str::is_empty) == inner.text("key").is_none_or(str::is_empty)
    });
    section.has(key).is_none() || section.checked(key).is_some() || tls
}

fn addresses(reader: &mut Reader<'_>, section: &Section) -> Vec<Written> {
    let mut written = Vec::new();
    for (text, span) in section.placed_texts("http") {
        let Ok(address) = Address::parse(text) else { continue };
        let variables = reader.variables;
        let inside = |path: &Path| variables.path(path.to_str().unwrap_or_default());
        let address = address.placed(inside);
        match address.judge_path() {
            Ok(()) => written.push((address, span.clone())),
            Err(expected) => {
                let path = address.to_string();
                let problem = reader
                    .error(Code::BadText, "the path of a Unix socket cannot be used")
                    .at(span, expected)
                    .help(format!("the path is {}", path.trim_start_matches("unix:")));
                reader.problems.push(problem);
            }
        }
    }
    if let Some(checked) = section.checked("http").filter(|_| section.texts("http") == Some(&[])) {
        let problem = reader
            .error(Code::OutOfBounds, "`listen.http` has no address")
            .at(&checked.span, "expected at least one, such as \"127.0.0.1:8808\"")
            .help("only `braid serve` listens: `braid stdio` needs no listener to be turned off");
        reader.problems.push(problem);
    }
    written
}

/// The holders of tokens. Of those with a mistake, which has been reported, none is left.
fn tokens(reader: &mut Reader<'_>, section: &Section) -> Vec<NamedToken> {
    let mut tokens: Vec<(NamedToken, &Section)> = Vec::new();
    for (name, holder) in section.named("tokens") {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
        let problem = if name.len() > HOLDER_CHARS_MAX || !name.bytes().all(fine) {
            let message = format!("{} is no name of a holder", quoted(name));
            reader.error(Code::BadText, message).at(
                &holder.span,
                format!("expected 1 to {HOLDER_CHARS_MAX} of A-Z a-z 0-9 _ - . @, because rules and the audit name it"),
            )
        } else if tokens.len() == TOKENS_MAX {
            let message = "`listen.tokens` has too many holders";
            reader
                .error(Code::OutOfBounds, message)
                .at(&holder.span, format!("expected at most {TOKENS_MAX}"))
        } else if holder.texts("scopes").is_some_and(|scopes| scopes.len() > SCOPES_MAX) {
            let message = format!("the token of {} has too many scopes", quoted(name));
            reader
                .error(Code::OutOfBounds, message)
                .at(&holder.span, format!("expected at most {SCOPES_MAX}"))
        } else if holder.has("token").is_none() {
            let message = format!("holder {} has no `token`", quoted(name));
            reader.error(Code::MissingKey, message).at(&holder.span, "expected `token` in this table")
        } else {
            let Some(token) = holder.text("token") else { continue };
            let same = tokens.iter().find(|(other, _)| other.token.expose() == token);
            let Some((other, earlier)) = same else {
                let scopes = holder.texts("scopes").unwrap_or_default().to_vec();
                let token = NamedToken { name: name.clone(), token: Secret::new(token), scopes };
                tokens.push((token, holder));
                continue;
            };
            let message = format!("{} and {} have the same token", quoted(&other.name), quoted(name));
            reader
                .error(Code::StandsTwice, message)
                .at(&holder.span, "who shows it could be either of them")
                .beside(&earlier.span, "the same token")
                .help("make a token of its own for each, such as with `openssl rand -hex 32`")
        };
        reader.problems.push(problem);
    }
    tokens.into_iter().map(|(token, _)| token).collect()
}

fn tls(reader: &mut Reader<'_>, section: &Section) -> Option<Tls> {
    let variables = reader.variables;
    let path = |key: &str| section.text(key).and_then(|text| variables.file_of(text));
    let (there, missing) = match (path("cert"), path("key")) {
        (Some(cert), Some(key)) => {
            let are_required = section.word("client_auth") != Some("optional");
            let clients = path("client_ca").map(|ca| ClientCertificates { ca, are_required });
            return Some(Tls { cert, key, clients });
        }
        (None, None) => {
            if let Some(written) = section.checked("client_ca").filter(|_| path("client_ca").is_some()) {
                let problem = reader
                    .error(Code::MissingKey, "`listen.tls.client_ca` has no TLS that it belongs to")
                    .at(&written.span, "clients show a certificate to one who has one")
                    .help("add `cert` and `key` of our own");
                reader.problems.push(problem);
            }
            return None;
        }
        (Some(_), None) => ("cert", "key"),
        (None, Some(_)) => ("key", "cert"),
    };
    // One that stands there and is wrong has been reported.
    let wrong = section.has(missing).is_some() && section.checked(missing).is_none();
    if let Some(written) = section.checked(there).filter(|_| !wrong) {
        let problem = reader
            .error(Code::MissingKey, format!("`listen.tls` has no `{missing}`"))
            .at(&written.span, format!("`{there}` stands alone"))
            .help("TLS needs both: `tls = { cert = \"cert.pem\", key = \"key.pem\" }`");
        reader.problems.push(problem);
    }
    None
}

fn limits(reader: &mut Reader<'_>, section: &Section) -> ListenLimits {
    let default = ListenLimits::default();
    let sessions_max = section.number("sessions").unwrap_or(default.sessions_max);
    let limits = ListenLimits {
        connections_max: section.number("connections").unwrap_or(default.connections_max),
        connections_per_address_max: section
            .number("connections_per_address")
            .unwrap_or(default.connections_per_address_max),
        sessions_max,
        sessions_per_principal_max: section.number("sessions_per_principal").unwrap_or(sessions_max),
        replay_events_max: section.number("replay_events").unwrap_or(default.replay_events_max),
        replay_bytes_max: section.number("replay_size").unwrap_or(default.replay_bytes_max),
        replay_kept: section.time("replay_kept").unwrap_or(default.replay_kept),
        replay_total_bytes_max: section.number("replay_total").unwrap_or(default.replay_total_bytes_max),
        head_within: section.time("head_within").unwrap_or(default.head_within),
        body_within: section.time("body_within").unwrap_or(default.body_within),
    };
    let (one, all) = (limits.replay_bytes_max, limits.replay_total_bytes_max);
    at_most(reader, ("listen.limits", section), ("replay_size", one), ("replay_total", all));
    limits
}

/// Warns where `auth = "none"` makes another word meaningless or dangerous.
fn warn_of_no_token(reader: &mut Reader<'_>, section: &Section, listen: &Listen) {
    let Some(auth) = section.checked("auth").filter(|_| listen.auth == Auth::None) else { return };
    if let Some(file) = section.checked("token_file").filter(|_| listen.token_file.is_some()) {
        let problem = reader
            .warning(Code::NoEffect, "`token_file` is not used with `auth = \"none\"`")
            .at(&file.span, "nobody is asked for a token")
            .beside(&auth.span, "because of this");
        reader.problems.push(problem);
    }
    if let Some((_, holder)) = section.named("tokens").first() {
        let problem = reader
            .warning(Code::NoEffect, "`tokens` are not used with `auth = \"none\"`")
            .at(&holder.span, "nobody is asked for a token")
            .beside(&auth.span, "because of this");
        reader.problems.push(problem);
    }
    if let Some(proxy) = section.checked("trusted_proxy").filter(|_| listen.trusted_proxy.is_some()) {
        let problem = reader
            .warning(Code::Exposed, "a proxy stands before a listener without a token")
            .at(&proxy.span, "whoever it lets through is served")
            .beside(&auth.span, "nobody is asked for a token")
            .help("remove `auth = \"none\"`, unless the proxy itself asks who is there");
        reader.problems.push(problem);
    }
}
