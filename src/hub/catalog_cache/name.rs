//! What the file of a link's lists is called: by all that may make its lists others.
//!
//! That is how the server is reached, every value resolved, and whom it is told that it serves. How its things are shown,
//! filtered and called is not among it: that is done to kept lists as to live ones. The name is a mark under our key, so
//! that it gives away nothing of what it was made of.

use super::seal::{Seal, Sealing};
use crate::config::{Command, Grant, OAuth, Protocol, Reach, Remote, Secret, ServerConfig, Transport};
use crate::mcp::caller::Told;
use crate::wire::hex::hex;
use std::ffi::OsString;

/// Whose lists.
pub(super) struct Of<'a> {
    pub(super) settings: &'a ServerConfig,
    pub(super) principal: &'a str,
    /// `None`: what the server is told is the same for all.
    pub(super) told: Option<&'a Told>,
}

/// The name, without what ends all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// How many hexadecimal digits each has.
    pub(super) const DIGITS: usize = 32;
}

impl Of<'_> {
    /// `variable`: of our environment, for what the server inherits.
    pub(super) fn name(&self, seal: &Seal, variable: &dyn Fn(&str) -> Option<OsString>) -> Name {
        let mut sealing = seal.begin("name");
        sealing.part(self.settings.key.as_bytes());
        sealing.part(self.principal.as_bytes());
        match self.told {
            None => sealing.part(b"all"),
            Some(Told { revision, capabilities }) => {
                sealing.part(b"one");
                sealing.part(revision.as_str().as_bytes());
                sealing.part(capabilities.as_bytes());
            }
        }
        sealing.part(match &self.settings.protocol {
            Protocol::Auto => b"auto",
            Protocol::Handshake => b"handshake",
            Protocol::Revision(revision) => revision.as_bytes(),
        });
        match &self.settings.reach {
            Reach::Stdio(command) => {
                sealing.part(b"program");
                self::command(&mut sealing, command, variable);
            }
            Reach::Http(remote) => self::remote(&mut sealing, remote, variable),
        }
        let mut digits = hex(&sealing.end());
        digits.truncate(Name::DIGITS);
        Name(digits)
    }
}

// Each member is named, so that one that is added must be thought of here.

fn command(sealing: &mut Sealing, command: &Command, variable: &dyn Fn(&str) -> Option<OsString>) {
    let Command { program, args, env, folder, inherit_env } = command;
    sealing.part(program.as_bytes());
    count(sealing, args.len());
    args.iter().for_each(|arg| sealing.part(arg.as_bytes()));
    pairs(sealing, env);
    sealing.part(folder.as_os_str().as_encoded_bytes());
    count(sealing, inherit_env.len());
    for name in inherit_env {
        sealing.part(name.as_bytes());
        let value = variable(name);
        count(sealing, usize::from(value.is_some()));
        sealing.part(value.unwrap_or_default().as_encoded_bytes());
    }
}

fn remote(sealing: &mut Sealing, remote: &Remote, variable: &dyn Fn(&str) -> Option<OsString>) {
    // How its URL is written does not say where it leads.
    let Remote { url, is_referred: _, transport, headers, headers_command, ca_file, oauth } = remote;
    sealing.part(match transport {
        Transport::Auto => b"url",
        Transport::Http => b"http",
        Transport::Sse => b"sse",
    });
    sealing.part(url.as_bytes());
    pairs(sealing, headers);
    count(sealing, usize::from(headers_command.is_some()));
    if let Some(program) = headers_command {
        command(sealing, program, variable);
    }
    let ca_file = ca_file.as_ref().map(|file| file.as_os_str().as_encoded_bytes());
    sealing.part(ca_file.unwrap_or_default());
    count(sealing, usize::from(oauth.is_some()));
    if let Some(OAuth {
        grant,
        client_id,
        client_secret,
        client_metadata_url,
        scopes,
        issuer,
        issuer_ca_file: _,
        audience,
        callback_port: _,
        is_per_principal: _,
    }) = oauth.as_deref()
    {
        sealing.part(match grant {
            Grant::Code => b"code",
            Grant::Client => b"client",
            Grant::Exchange => b"exchange",
        });
        for text in [client_id, client_metadata_url, issuer, audience] {
            sealing.part(text.as_deref().unwrap_or_default().as_bytes());
        }
        sealing.part(client_secret.as_ref().map(Secret::expose).unwrap_or_default().as_bytes());
        count(sealing, scopes.len());
        for scope in scopes {
            sealing.part(scope.as_bytes());
        }
    }
}

fn pairs(sealing: &mut Sealing, pairs: &[(String, Secret)]) {
    count(sealing, pairs.len());
    for (name, value) in pairs {
        sealing.part(name.as_bytes());
        sealing.part(value.expose().as_bytes());
    }
}

fn count(sealing: &mut Sealing, count: usize) {
    sealing.part(&(count as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Filter, Prefix, Sharing};
    use crate::mcp::revision::Revision;
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    fn program(change: impl FnOnce(&mut Command)) -> ServerConfig {
        let mut command = Command::new("run", Path::new("/work"));
        command.args = vec!["a".to_owned(), "b".to_owned()];
        command.env = vec![("TOKEN".to_owned(), Secret::new("s3cret"))];
        command.inherit_env = vec!["ACCOUNT".to_owned()];
        change(&mut command);
        ServerConfig::new("files", Reach::Stdio(command))
    }

    fn far(change: impl FnOnce(&mut Remote)) -> ServerConfig {
        let mut remote = Remote {
            url: "https://x/mcp?key=1".to_owned(),
            transport: Transport::Auto,
            headers: vec![("Authorization".to_owned(), Secret::new("Bearer s3cret"))],
            headers_command: None,
            ca_file: None,
            oauth: None,
            is_referred: false,
        };
        change(&mut remote);
        ServerConfig::new("files", Reach::Http(remote))
    }

    fn name(settings: &ServerConfig) -> Name {
        Of { settings, principal: "local", told: None }
            .name(&Seal::of(1), &|name| (name == "ACCOUNT").then(|| "ana".into()))
    }

    #[test]
    fn whatever_may_change_the_lists_changes_the_name() {
        let handshake = ServerConfig { protocol: Protocol::Handshake, ..program(|_| {}) };
        let called = ServerConfig { key: "other".to_owned(), ..program(|_| {}) };
        let helper = |args: &[&str]| {
            let args = args.iter().map(|&arg| arg.to_owned()).collect();
            Some(Command { args, ..Command::new("helper", Path::new("/work")) })
        };
        let all = [
            program(|_| {}),
            handshake,
            called,
            program(|it| it.program = "ran".to_owned()),
            program(|it| it.args = vec!["ab".to_owned()]),
            program(|it| it.args.reverse()),
            program(|it| it.env[0].1 = Secret::new("other")),
            program(|it| it.env[0].0 = "KEY".to_owned()),
            program(|it| it.env.clear()),
            program(|it| it.folder = "/other".into()),
            program(|it| it.inherit_env = vec!["NOBODY".to_owned()]),
            program(|it| it.inherit_env.clear()),
            far(|_| {}),
            far(|it| it.url = "https://x/mcp?key=2".to_owned()),
            far(|it| it.transport = Transport::Sse),
            far(|it| it.headers[0].1 = Secret::new("Bearer other")),
            far(|it| it.headers.clear()),
            far(|it| it.headers_command = helper(&[])),
            far(|it| it.headers_command = helper(&["x"])),
            far(|it| it.ca_file = Some("/ca.pem".into())),
        ];
        let names: BTreeSet<Name> = all.iter().map(name).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.iter().all(|name| name.as_str().len() == Name::DIGITS));
    }

    #[test]
    fn what_is_inherited_counts_and_so_does_who_asks_and_our_key() {
        let settings = program(|_| {});
        let told = |revision, capabilities: &str| Told { revision, capabilities: Arc::from(capabilities) };
        let (old, new) = (told(Revision::V2025_06_18, "{}"), told(Revision::V2025_11_25, "{}"));
        let able = told(Revision::V2025_11_25, r#"{"roots":{}}"#);
        let of = |principal, told| Of { settings: &settings, principal, told };
        let (ana, bea) = (|_: &str| Some(OsString::from("ana")), |_: &str| Some(OsString::from("bea")));
        let names = [
            of("local", None).name(&Seal::of(1), &ana),
            of("local", None).name(&Seal::of(1), &bea),
            of("local", None).name(&Seal::of(1), &|_| None),
            of("local", None).name(&Seal::of(2), &ana),
            of("bearer", None).name(&Seal::of(1), &ana),
            of("local", Some(&old)).name(&Seal::of(1), &ana),
            of("local", Some(&new)).name(&Seal::of(1), &ana),
            of("local", Some(&able)).name(&Seal::of(1), &ana),
        ];
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn how_things_are_shown_does_not_count() {
        let plain = program(|_| {});
        let mut shown = plain.clone();
        shown.title = Some("Files".to_owned());
        shown.prefix = Prefix::Bare;
        shown.sharing = Sharing::Shared;
        shown.filters.tools = Filter { deny: vec!["*".to_owned()], ..Filter::default() };
        shown.timeouts.list = Duration::from_secs(1);
        assert_eq!(name(&shown), name(&plain));
    }
}
