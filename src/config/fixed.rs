//! What of a configuration holds for a whole run, whatever the file says later.
//!
//! Compares what a run was started with and what the file says now, key by key. It knows no reason beyond this: sockets
//! that are open, a log that is being written, budgets that are shared out already.

use super::{Admin, Config, Identity, Limits, Listen, Log};

/// The keys, as the file writes them, that need a restart of the run. In the order of the file.
pub fn needs_restart(started: &Config, now: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    identity(&mut keys, &started.identity, &now.identity);
    listen(&mut keys, &started.listen, &now.listen);
    limits(&mut keys, &started.limits, &now.limits);
    log(&mut keys, &started.log, &now.log);
    admin(&mut keys, &started.admin, &now.admin);
    keys
}

fn note<T: PartialEq>(keys: &mut Vec<&'static str>, key: &'static str, before: &T, now: &T) {
    if before != now {
        keys.push(key);
    }
}

fn identity(keys: &mut Vec<&'static str>, before: &Identity, now: &Identity) {
    let Identity { name, title, instructions: _, instructions_bytes_max: _ } = before;
    note(keys, "identity.name", name, &now.name);
    note(keys, "identity.title", title, &now.title);
}

fn listen(keys: &mut Vec<&'static str>, before: &Listen, now: &Listen) {
    let Listen {
        addresses,
        auth,
        token_file,
        oauth,
        tokens,
        hosts,
        origins,
        trusted_proxy,
        public_url,
        tls,
        legacy_sse,
        stream_after,
        keep_alive,
        session_idle,
        grace,
        limits,
    } = before;
    note(keys, "listen.http", addresses, &now.addresses);
    note(keys, "listen.auth", auth, &now.auth);
    note(keys, "listen.token_file", token_file, &now.token_file);
    note(keys, "listen.tokens", tokens, &now.tokens);
    note(keys, "listen.oauth", oauth, &now.oauth);
    note(keys, "listen.allowed_hosts", hosts, &now.hosts);
    note(keys, "listen.allowed_origins", origins, &now.origins);
    note(keys, "listen.trusted_proxy", trusted_proxy, &now.trusted_proxy);
    note(keys, "listen.public_url", public_url, &now.public_url);
    note(keys, "listen.legacy_sse", legacy_sse, &now.legacy_sse);
    note(keys, "listen.stream_after", stream_after, &now.stream_after);
    note(keys, "listen.keep_alive", keep_alive, &now.keep_alive);
    note(keys, "listen.session_idle", session_idle, &now.session_idle);
    note(keys, "listen.grace", grace, &now.grace);
    note(keys, "listen.tls", tls, &now.tls);
    note(keys, "listen.limits", limits, &now.limits);
}

/// Memory and places are shared out when the run begins, and each connection holds to what it began with.
fn limits(keys: &mut Vec<&'static str>, before: &Limits, now: &Limits) {
    // Rates are of each edition.
    let now = Limits { rate: before.rate, ..now.clone() };
    note(keys, "limits", before, &now);
}

fn log(keys: &mut Vec<&'static str>, before: &Log, now: &Log) {
    let Log { level, format, file, redact } = before;
    note(keys, "log.level", level, &now.level);
    note(keys, "log.format", format, &now.format);
    note(keys, "log.file", file, &now.file);
    note(keys, "log.redact", redact, &now.redact);
}

fn admin(keys: &mut Vec<&'static str>, before: &Admin, now: &Admin) {
    let Admin { socket, http, labels_tools, audit, audit_is_required, watch_config, catalog_cache } = before;
    note(keys, "admin.socket", socket, &now.socket);
    note(keys, "admin.http", http, &now.http);
    note(keys, "admin.metrics_tool_label", labels_tools, &now.labels_tools);
    note(keys, "admin.audit", audit, &now.audit);
    note(keys, "admin.audit_required", audit_is_required, &now.audit_is_required);
    note(keys, "admin.watch_config", watch_config, &now.watch_config);
    note(keys, "admin.catalog_cache", catalog_cache, &now.catalog_cache);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{NamedToken, Secret};
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn what_a_run_began_with_is_named_as_the_file_writes_it() {
        let started = Config::new("braid.toml", Path::new("/"));
        let mut now = started.clone();
        assert_eq!(needs_restart(&started, &now), Vec::<&str>::new());
        now.listen.grace = Duration::from_secs(1);
        now.listen.tokens.push(NamedToken {
            name: "ana".to_owned(),
            token: Secret::new("x"),
            scopes: Vec::new(),
        });
        now.log.level = "debug".to_owned();
        now.admin.watch_config = false;
        now.admin.catalog_cache = true;
        now.limits.batch_max = 1;
        // These are of each edition.
        now.first_list = Duration::ZERO;
        now.limits.rate = crate::config::Rate::parse("1/s").ok();
        now.names.separator = "-".to_owned();
        now.identity.instructions_bytes_max = 1;
        let keys = [
            "listen.tokens",
            "listen.grace",
            "limits",
            "log.level",
            "admin.watch_config",
            "admin.catalog_cache",
        ];
        assert_eq!(needs_restart(&started, &now), keys);
    }
}
