//! Opens the door of those who look after a run, for the commands that run for long.
//!
//! What cannot be had there is said and gone without, unless the configuration wrote it out.

use super::run::Run;
use crate::downstream::admin::open::{Doors, IfTaken, Serving};
use crate::downstream::admin::{About, House, Present, Reload};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// What a run is, beside its configuration.
pub(super) struct Mode {
    /// The command.
    pub(super) name: &'static str,
    /// Where clients find it, in words.
    pub(super) listening: Vec<String>,
    /// Who and what is there now.
    pub(super) present: Arc<dyn Fn() -> Present + Send + Sync>,
    /// Reads the configuration anew, if that can be done.
    pub(super) reload: Option<Arc<dyn Reload>>,
    /// Whether it runs where another has its address.
    pub(super) if_taken: IfTaken,
}

/// Opens it. It is there until what is returned ends.
pub(super) async fn open(run: &Run, mode: Mode) -> io::Result<Serving> {
    let config = run.hub.config();
    let doors = Doors::bind(&config.admin, &config.listen, mode.if_taken, |name| std::env::var_os(name));
    let doors = doors.await.map_err(io::Error::other)?;
    let mut listening = mode.listening;
    listening.extend(doors.http().map(|address| format!("http://{address}/status")));
    let config_file = std::path::absolute(Path::new(&config.origin)).ok().filter(|file| file.is_file());
    let about = About {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        mode: mode.name,
        config: config.origin.clone(),
        config_file,
        started: SystemTime::now(),
        listening,
        socket: doors.socket().map(Path::to_owned),
    };
    let house = House::new(run.hub.clone(), about, run.journals(), mode.present, mode.reload);
    Ok(doors.serve(house))
}
