//! `braid stdio`: one client on our stdin and stdout.

use super::admin::{self, Mode};
use super::exit::Exit;
use super::reload::{Asked, Given, Reloader};
use super::run::{Run, left, runtime_for_one, to_its_end};
use super::source::Origin;
use super::{Globals, Source, log, out, source};
use crate::config::Config;
use crate::downstream::admin::open::IfTaken;
use crate::downstream::admin::{Guests, Present, Reload};
use crate::downstream::door::{Closed, Door};
use crate::downstream::login::{OnThisMachine, Proofs};
use crate::downstream::modern::lobby::Lobby;
use crate::downstream::stdio;
use crate::mcp::caller::{Grant, Principal};
use crate::system::Leaving;
use crate::upstream::oauth::Store;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(from: &Source, group: Option<&str>, globals: &Globals) -> Exit {
    let loaded = source::load_to_stay(from, globals);
    let loaded = loaded.and_then(|(config, origin)| Ok((source::within(config, group, globals)?, origin)));
    let (config, origin) = match loaded {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let _log = log::start(&config.log, None, globals);
    let served = runtime_for_one()
        .and_then(|runtime| to_its_end(runtime, serve(config, origin, group.map(str::to_owned))));
    match served {
        Ok(exit) => exit,
        Err(error) => out::fail(Exit::Unexpected, &format!("cannot start: {error}"), globals),
    }
}

async fn serve(config: Config, origin: Option<Origin>, group: Option<String>) -> std::io::Result<Exit> {
    let mut leaving = Leaving::watch()?;
    let inbox = stdio::stdin()?;
    let (outbox, mut stdout) = stdio::Stdout::open()?;
    let run = Run::prepare(config, group.as_deref())?.traced();
    run.recall_lists();
    if !run.hub.admits(run.seat.entrance(), &Grant::plain(Principal::local())) {
        tracing::warn!(
            event = "access",
            "no rule of `[access]` gives `local` anything here: this client sees nothing"
        );
    }
    if let Ok(store) = Store::of_user(|name| std::env::var_os(name)) {
        OnThisMachine::open(&run.hub, store, Proofs::here());
    }
    let guest = Guests { transport: "stdio", era: "any", count: 1 };
    let present = move || Present { guests: vec![guest], replay_bytes: 0 };
    let reloader = Reloader::new(&run, origin, Given { group, listen: Vec::new() });
    let mode = Mode {
        name: "stdio",
        listening: Vec::new(),
        present: Arc::new(present),
        reload: reloader.clone().map(|reloader| -> Arc<dyn Reload> { Arc::new(Asked(reloader)) }),
        if_taken: IfTaken::GoesWithout,
    };
    let watched = admin::open(&run, mode).await?;
    if let Some(reloader) = &reloader {
        reloader.watch();
    }
    let lobby = Lobby::new(run.hub.clone(), &run.identity, run.behind_itself, run.hub.stopping());
    let door = Door::new(run.seat.clone(), outbox, &run.identity, run.behind_itself).for_any_era(lobby);
    let exit = tokio::select! {
        closed = door.serve(inbox) => {
            tracing::debug!(by = ?closed, "the door is closed");
            match closed { Closed::Client | Closed::Us => Exit::Ok }
        }
        () = stdout.reader_gone() => Exit::Ok,
        signal = Reloader::or_leaves(reloader.as_ref(), &mut leaving) => left(signal),
    };
    let finished = async {
        run.stop().await;
        watched.end().await;
    };
    tokio::select! {
        () = finished => {}
        // The second signal means now; what we started is swept up by its owners' `Drop`.
        _ = leaving.next() => {}
    }
    // What was answered is on its way out, if somebody reads.
    stdout.finish(LAST_LINES).await;
    Ok(exit)
}

const LAST_LINES: Duration = Duration::from_millis(50);
