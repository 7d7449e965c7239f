//! `braid serve`: many clients over HTTP.

use super::exit::Exit;
use super::run::{Run, left, runtime};
use super::{Globals, Source, log, out, source};
use crate::config::{Address, Config};
use crate::downstream::http::endpoint::Front;
use crate::downstream::http::routes::routes;
use crate::downstream::http::sessions::Sessions;
use crate::downstream::replay::Replay;
use crate::downstream::sse::Pipes;
use crate::mcp::caller::Principal;
use crate::system::Leaving;
use axum::Extension;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// `listen`: instead of the addresses of the configuration.
pub(super) fn run(from: &Source, listen: &[String], globals: &Globals) -> Exit {
    let mut config = match source::load(from, globals) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let typed: Vec<_> = listen.iter().filter_map(|text| text.parse().ok()).map(Address::Tcp).collect();
    if !typed.is_empty() {
        config.listen.addresses = typed;
    }
    let _log = log::start(&config.log, None, globals);
    let served = runtime().and_then(|runtime| {
        let exit = runtime.block_on(serve(config));
        runtime.shutdown_timeout(Duration::ZERO);
        exit
    });
    match served {
        Ok(exit) => exit,
        Err(error) => out::fail(Exit::Unexpected, &format!("cannot start: {error}"), globals),
    }
}

async fn serve(config: Config) -> io::Result<Exit> {
    let mut leaving = Leaving::watch()?;
    let listen = config.listen.clone();
    let run = Run::prepare(config)?;
    let front = Arc::new(Front {
        hub: run.hub.clone(),
        sessions: Sessions::new(&listen.limits),
        pipes: Pipes::default(),
        replay: Arc::new(Replay::new(&listen.limits)),
        listen: listen.clone(),
        identity: Arc::from(run.identity.as_str()),
        behind_itself: run.behind_itself,
        tracker: TaskTracker::new(),
        stopping: run.hub.stopping(),
    });
    let router = routes(front.clone()).layer(Extension(Principal::local()));
    let Some(Address::Tcp(address)) = listen.addresses.first() else {
        return Err(io::Error::other("nothing to listen on"));
    };
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    let exit = tokio::select! {
        served = axum::serve(listener, router) => { served?; Exit::Ok }
        signal = leaving.next() => left(signal),
    };
    tokio::select! {
        () = run.stop() => {}
        // The second signal means now; what we started is swept up by its owners' `Drop`.
        _ = leaving.next() => {}
    }
    Ok(exit)
}
