//! `braid import`: the servers of other clients' files, shown first, then written into a `braid.toml`.
//!
//! Every command is shown as it would run before anybody is asked whether it may be written; nothing is started.
//! On stdout stands the text to be written, with values hidden; what is said about it goes to stderr.

use std::path::{Path, PathBuf};

use super::edited::{self, Edited, variable};
use super::exit::Exit;
use super::import_page::{count, json, say_servers, say_where};
use super::{Globals, argv, ask, out, printable, source};
use crate::config::app::App;
use crate::config::edit::save::{self, Backup, backup_of};
use crate::config::import::{self, Batch, Literals, Merged, Origin, Target};
use crate::config::places::{Ground, Place, System};
use crate::config::variables::Surroundings;
use crate::config::{Address, Listen, edit};

pub(super) struct Options {
    /// A client or a file; `None` for whatever is found.
    pub(super) what: Option<String>,
    pub(super) write: bool,
    pub(super) to: Option<PathBuf>,
    pub(super) yes: bool,
}

/// What was looked at.
pub(super) struct Looked {
    pub(super) read: Vec<(Origin, usize)>,
    pub(super) batch: Batch,
    /// Clients of which no file is there.
    pub(super) absent: Vec<App>,
}

pub(super) fn run(options: &Options, globals: &Globals) -> Exit {
    if options.write && !options.yes && (globals.json() || !ask::is_possible()) {
        let text = "nobody can be asked here: add `--yes` to write what is shown without it";
        return out::fail(Exit::Usage, text, globals);
    }
    let edited = match Edited::open(options.to.as_deref(), globals) {
        Ok(edited) => edited,
        Err(exit) => return exit,
    };
    let mut looked = match look(options.what.as_deref(), &edited, globals) {
        Ok(looked) => looked,
        Err(exit) => return exit,
    };
    if !globals.json() {
        say_where(&looked);
    }
    if options.write && !options.yes {
        answer_inputs(&mut looked.batch);
    }
    let mut servers = std::mem::take(&mut looked.batch.servers);
    let folder = edited.found.path.parent().unwrap_or_else(|| Path::new("."));
    let surroundings = Surroundings::of_process(&variable);
    servers.iter_mut().for_each(|server| server.spare(&surroundings, folder));
    let nothing_found = servers.is_empty();
    let merged = match import::merge(edited.found.text.as_deref(), servers) {
        Ok(merged) => merged,
        Err(error) => return edited::refused(&edited.path(), &error, globals),
    };
    if let Err(exit) = edited.judge(&merged.text, globals) {
        return exit;
    }
    if globals.json() {
        let written = match options.write && !merged.added.is_empty() {
            true => match edited.write(&merged.text, Backup::Kept, globals) {
                Ok(()) => true,
                Err(exit) => return exit,
            },
            false => false,
        };
        let printed = out::print(&json(&edited, &looked, &merged, written));
        return if nothing_found && printed == Exit::Ok { nothing(globals) } else { printed };
    }
    say_servers(&looked, &merged, &edited, globals);
    if nothing_found {
        return nothing(globals);
    }
    if merged.added.is_empty() {
        out::say(&format!("nothing to add: all of them are in {} already", edited.path()));
        return Exit::Ok;
    }
    if !options.write {
        return show(&edited, &merged, options);
    }
    let question = format!("write {} into {}?", count(merged.added.len()), edited.path());
    if !options.yes && !ask::yes(&question) {
        out::say("nothing was written");
        return Exit::Ok;
    }
    if let Err(exit) = edited.write(&merged.text, Backup::Kept, globals) {
        return exit;
    }
    let kept = match edited.found.text {
        Some(_) => format!("; what was there is kept as {}", backup_of(&edited.found.path).display()),
        None => String::new(),
    };
    out::say(&format!("wrote {} into {}{kept}", count(merged.added.len()), edited.path()));
    out::say(&format!("next: braid check -c {}", argv::line(&[edited.path()])));
    Exit::Ok
}

fn nothing(globals: &Globals) -> Exit {
    out::fail(Exit::BadConfig, "no server was found that Braid can use", globals)
}

/// The text to be written, or what is added to a file that is there.
fn show(edited: &Edited, merged: &Merged, options: &Options) -> Exit {
    let sections: Vec<_> = merged.added.iter().map(|(server, _)| server.section(Literals::Hidden)).collect();
    let text = match edited.found.text {
        None => format!("{}\n{}", import::HEAD, sections.join("\n")),
        Some(_) => sections.join("\n"),
    };
    let printed = out::print(&text);
    if merged.added.iter().any(|(server, _)| server.has_literals()) {
        out::say(&format!(
            "values that stand in the clients' files are shown as {}; `--write` writes them",
            import::HIDDEN
        ));
    }
    let what = options.what.as_deref().map(|what| format!(" {}", argv::line(&[what]))).unwrap_or_default();
    let to = options
        .to
        .as_ref()
        .map(|to| format!(" --to {}", argv::line(&[to.to_string_lossy()])))
        .unwrap_or_default();
    out::say(&format!(
        "nothing was written; `braid import{what}{to} --write` puts this into {}",
        edited.path()
    ));
    printed
}

fn look(what: Option<&str>, edited: &Edited, globals: &Globals) -> Result<Looked, Exit> {
    let current = std::env::current_dir().unwrap_or_default();
    let ground = Ground { system: System::here(), env: &variable, current_folder: &current };
    let places: Vec<Place> = match what {
        None => App::ALL.into_iter().flat_map(|app| ground.places(app)).collect(),
        Some(what) => match App::named(what).filter(|_| !Path::new(what).is_file()) {
            Some(app) => ground.places(app),
            None => return file(what, &ground, edited, globals),
        },
    };
    let mut looked = Looked { read: Vec::new(), batch: Batch::default(), absent: Vec::new() };
    for place in &places {
        let origin = Origin {
            app: Some(place.app),
            path: place.path.clone(),
            scope: place.scope,
            within: place.within.clone(),
        };
        if place.path.is_file() {
            match take(&origin, edited, globals) {
                Ok(batch) => add(&mut looked, origin, batch),
                // One client's broken file keeps nobody from the others'.
                Err(_) if what.is_none() => {}
                Err(exit) => return Err(exit),
            }
        }
    }
    for app in places.iter().map(|place| place.app) {
        let is_there = looked.read.iter().any(|(origin, _)| origin.app == Some(app));
        if !is_there && !looked.absent.contains(&app) {
            looked.absent.push(app);
        }
    }
    if looked.read.is_empty() {
        let text = match what.and_then(App::named) {
            Some(app) => {
                let paths: Vec<_> = places.iter().map(|place| place.path.display().to_string()).collect();
                format!("no file of {} is there; looked for {}", app.title(), paths.join(", "))
            }
            None => "no file of any client is there; name one: `braid import FILE`".to_owned(),
        };
        return Err(out::fail(Exit::BadConfig, &text, globals));
    }
    Ok(looked)
}

/// A file that was named, whosever it is.
fn file(what: &str, ground: &Ground<'_>, edited: &Edited, globals: &Globals) -> Result<Looked, Exit> {
    let path = std::path::absolute(what).unwrap_or_else(|_| PathBuf::from(what));
    if !path.is_file() {
        let names: Vec<_> = App::ALL.iter().map(|app| app.name()).collect();
        let text = format!("`{what}` is neither a file nor one of {}", names.join(", "));
        return Err(out::fail(Exit::Usage, &text, globals));
    }
    let known = App::ALL.into_iter().flat_map(|app| ground.places(app)).find(|place| place.path == path);
    let origin = Origin {
        app: known.as_ref().map(|place| place.app),
        scope: known
            .map_or_else(|| import::scope_of(&path, ground.home_folder().as_deref()), |place| place.scope),
        path,
        within: Vec::new(),
    };
    let batch = take(&origin, edited, globals)?;
    let mut looked = Looked { read: Vec::new(), batch: Batch::default(), absent: Vec::new() };
    add(&mut looked, origin, batch);
    Ok(looked)
}

fn take(origin: &Origin, edited: &Edited, globals: &Globals) -> Result<Batch, Exit> {
    let found = save::read(&origin.path).map_err(|error| edited::failed(&error, globals))?;
    let text = found.text.unwrap_or_default();
    if !edit::says_something(&text) {
        return Ok(Batch::default());
    }
    let folder = edited.found.path.parent().unwrap_or_else(|| Path::new("."));
    let ports = ports(edited);
    let surroundings = Surroundings::of_process(&variable);
    import::read(origin, &text, &surroundings, &Target { folder, ports: &ports })
        .map_err(|report| source::refused(&report, globals))
}

fn add(looked: &mut Looked, origin: Origin, batch: Batch) {
    looked.read.push((origin, batch.servers.len()));
    looked.batch.servers.extend(batch.servers);
    looked.batch.problems.extend(batch.problems);
    for input in batch.inputs {
        if !looked.batch.inputs.contains(&input) {
            looked.batch.inputs.push(input);
        }
    }
}

/// What a Braid with that file listens on: an entry for it would lead back.
fn ports(edited: &Edited) -> Vec<u16> {
    let listen = edited.config().map_or_else(Listen::default, |config| config.listen);
    let ports = listen.addresses.iter().filter_map(|address| match address {
        Address::Tcp(address) => Some(address.port()),
        Address::Unix(_) => None,
    });
    ports.collect()
}

/// Asks for what VS Code would ask for. A password is not asked for: it would stand in the file.
fn answer_inputs(batch: &mut Batch) {
    let inputs = std::mem::take(&mut batch.inputs);
    for input in inputs.iter().filter(|input| !input.password) {
        let what = input.description.as_deref().unwrap_or(&input.id);
        let usual = input.default.as_deref().map(|default| format!(" [{default}]")).unwrap_or_default();
        let prompt = format!("{}{}: ", printable::line(what), printable::line(&usual));
        if let Some(answer) = ask::line(&prompt) {
            batch.servers.iter_mut().for_each(|server| server.answer(input, &answer));
        }
    }
    batch.inputs = inputs;
}
