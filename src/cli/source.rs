//! Where the servers are written down: a file, a client's file, or the command line itself.

use super::exit::Exit;
use super::{Globals, Source, out};
use crate::config::*;

pub(super) fn load(from: &Source, globals: &Globals) -> Result<Config, Exit> {
    let Some((program, args)) = from.program.split_first() else {
        return Err(out::fail(Exit::BadConfig, "no file yet", globals));
    };
    let folder = std::env::current_dir().unwrap_or_default();
    Ok(Config {
        origin: "command line".into(),
        folder: folder.clone(),
        identity: Identity::default(),
        names: Names::default(),
        first_list: std::time::Duration::from_secs(4),
        limits: Limits::default(),
        log: Log::default(),
        servers: vec![ServerConfig {
            key: "one".into(),
            title: None,
            reach: Reach::Stdio(Command {
                program: program.clone(),
                args: args.to_vec(),
                env: vec![],
                folder,
                inherit_env: vec![],
            }),
            prefix: Prefix::Key,
            uris: Uris::Prefixed,
            sharing: Sharing::Auto,
            required: false,
            timeouts: Timeouts::default(),
            tools: Default::default(),
            restart: Restart::OnFailure,
            backoff: Backoff::default(),
            in_flight_max: 256,
            waiting_max: 256,
            stderr: Stderr::Log,
        }],
    })
}
