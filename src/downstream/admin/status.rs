//! How everything stands, as one JSON object: what `braid status --json` prints and `braid top` draws.
//!
//! Names are those of the configuration. It holds no argument, no result and no header; a sentence about what went wrong
//! may name the tool or the resource that was asked for.

use super::house::{About, Guests, House};
use super::object::{Object, array};
use super::reloaded::reloaded;
use crate::hub::survey::{Survey, Surveyed};
use crate::mcp::method::Kind;
use crate::upstream::stderr::escaped;
use crate::upstream::tally::{Counts, Rated, Recall, Way};
use crate::wire::members::quote;
use std::time::SystemTime;

/// The whole object, on one line.
pub(super) fn status(house: &House) -> String {
    let survey = house.hub.survey();
    let mut object = Object::new();
    object.raw("instance", &instance(&house.about));
    object.flag("ready", survey.is_ready());
    object.raw("missing", &array(survey.missing().map(quote)));
    object.raw("awaited", &array(survey.awaited().map(quote)));
    object.raw("servers", &array(survey.servers.iter().map(server)));
    let present = (house.present)();
    object.raw("sessions", &array(present.guests.iter().map(guests)));
    bounds(&mut object, &survey);
    object.number("replay_bytes", present.replay_bytes);
    object.raw("audit", &audit(&survey));
    let last = house.reload.as_ref().and_then(|reload| reload.known().last);
    object.raw("reload", &last.as_ref().map_or_else(|| "null".to_owned(), reloaded));
    object.end()
}

fn instance(about: &About) -> String {
    let mut object = Object::new();
    object.number("pid", about.pid).text("version", about.version).text("mode", about.mode);
    object.text("config", &about.config);
    let file = about.config_file.as_ref().map(|file| file.display().to_string());
    object.maybe("config_file", file.as_deref());
    object.time("started", Some(about.started));
    let uptime = SystemTime::now().duration_since(about.started).unwrap_or_default();
    object.number("uptime_s", uptime.as_secs());
    object.raw("listening", &array(about.listening.iter().map(|address| quote(address))));
    let socket = about.socket.as_ref().map(|socket| socket.display().to_string());
    object.maybe("socket", socket.as_deref());
    object.end()
}

fn server(server: &Surveyed) -> String {
    let counts = &server.counts;
    let spread = counts.spread();
    let mut object = Object::new();
    object.text("name", &server.key).maybe("title", server.title.as_deref());
    object.text("state", server.condition.as_str()).time("since", server.since);
    let since = server.since.and_then(|since| SystemTime::now().duration_since(since).ok());
    object.raw("since_s", &since.map_or_else(|| "null".to_owned(), |since| since.as_secs().to_string()));
    object.maybe("why", server.why.as_deref().map(escaped).as_deref());
    object.ms("retry_in_ms", server.retry);
    object.maybe("revision", server.revision).text("transport", server.transport);
    object.flag("required", server.required).number("links", server.links);
    for (kind, count) in Kind::ALL.into_iter().zip(server.offered) {
        object.number(if kind == Kind::Templates { "templates" } else { kind.member() }, count);
    }
    object.flag("cached_lists", server.recalled);
    object.number("in_flight", server.in_flight).number("waiting", server.waiting);
    object.number("calls", counts.calls()).number("errors", counts.errors());
    object.number("cancelled", counts.cancelled());
    object.ms("p50_ms", spread.percentile(50)).ms("p95_ms", spread.percentile(95));
    object.raw("errors_by", &errors_by(counts));
    object.number("restarts", counts.restarted()).raw("restarts_by", &by(&counts.restarts));
    let [idle, total] = counts.timeouts;
    object.raw("timeouts", &by(&[("idle", idle), ("total", total)]));
    object.raw("refused", &by(&counts.refused));
    let over_rate: Vec<_> = Rated::ALL.map(Rated::as_str).into_iter().zip(counts.over_rate).collect();
    object.raw("over_rate", &by(&over_rate));
    let recalls: Vec<_> = Recall::ALL.map(Recall::as_str).into_iter().zip(counts.recalls).collect();
    object.raw("cache", &by(&recalls));
    for (way, key) in [(Way::ToServer, "sent"), (Way::FromServer, "received")] {
        object.raw(key, &moved(counts, way));
    }
    let [strays, notes, noise] = counts.dropped;
    object.raw("dropped", &by(&[("strays", strays), ("notes", notes), ("noise", noise)]));
    let last = counts.trouble.as_ref().map(|trouble| {
        let mut object = Object::new();
        object.time("at", Some(trouble.at)).text("text", &escaped(&trouble.text));
        object.end()
    });
    object.raw("last_error", last.as_deref().unwrap_or("null"));
    object.raw("troubles", &array(server.troubles.iter().map(|text| quote(&escaped(text)))));
    object.end()
}

fn errors_by(counts: &Counts) -> String {
    let mut sums: std::collections::BTreeMap<&'static str, u64> = Default::default();
    for ended in &counts.ended {
        if let Some(error) = ended.error {
            *sums.entry(error).or_default() += ended.spread.count();
        }
    }
    by(&sums.into_iter().collect::<Vec<_>>())
}

fn by(counts: &[(&'static str, u64)]) -> String {
    let mut object = Object::new();
    for (key, count) in counts {
        object.number(key, *count);
    }
    object.end()
}

fn moved(counts: &Counts, way: Way) -> String {
    let moved = counts.moved.iter().filter(|(there, ..)| *there == way);
    let (messages, bytes) =
        moved.fold((0, 0), |sum, (_, _, messages, bytes)| (sum.0 + messages, sum.1 + bytes));
    by(&[("messages", messages), ("bytes", bytes)])
}

fn guests(guests: &Guests) -> String {
    let mut object = Object::new();
    object.text("transport", guests.transport).text("era", guests.era).number("count", guests.count);
    object.end()
}

fn bounds(object: &mut Object, survey: &Survey) {
    object.number("in_flight", survey.in_flight).number("in_flight_max", survey.in_flight_max);
    object.number("parked", survey.parked).number("parked_max", survey.parked_max);
    object.number("buffered_bytes", survey.buffered_bytes);
    object.number("buffered_bytes_max", survey.buffered_bytes_max);
}

fn audit(survey: &Survey) -> String {
    let Some(audit) = &survey.audit else { return "null".to_owned() };
    let mut object = Object::new();
    object.text("path", &audit.path.display().to_string());
    object.number("written", audit.written).number("lost", audit.lost);
    object.end()
}

/// Whether it is time to send clients here, and what is missing if not.
pub(super) fn readiness(survey: &Survey) -> String {
    let mut object = Object::new();
    let state = match () {
        () if survey.stopping => "stopping",
        () if survey.missing().next().is_some() => "a required server is down",
        () if survey.awaited().next().is_some() => "starting",
        () => "ready",
    };
    object.text("state", state);
    object.raw("awaited", &array(survey.awaited().map(quote)));
    object.raw("missing", &array(survey.missing().map(quote)));
    object.end()
}
