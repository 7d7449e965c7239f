//! What is counted, as OpenMetrics text for Prometheus and whoever reads it as well.
//!
//! Every label has a bound: servers are those of the configuration, tools those that calls were routed to and no more than
//! there are places for, all else is a word of ours. No text of a client is a label. It is written anew for each reader.

use super::house::{House, Present, Reloads};
use crate::hub::survey::{Condition, Survey, Surveyed};
use crate::mcp::method::Kind;
use crate::upstream::histogram::Spread;
use crate::upstream::lookout::{Came, SPENT_SCALE, VISIT_SCALE};
use crate::upstream::stderr::escaped;
use crate::upstream::tally::{Asked, Ended, OTHER, Piece, Rated, Recall, Way};
use crate::wire::hex::hex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::SystemTime;

/// What a reader is told that the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole text.
pub(super) fn metrics(house: &House) -> String {
    let Reloads { taken, counts, .. } = house.reload.as_ref().map(|it| it.known()).unwrap_or_default();
    let page = Page {
        survey: house.hub.survey(),
        spent: house.hub.lookout().spent(),
        visits: house.hub.lookout().visits(),
        present: (house.present)(),
        version: house.about.version,
        started: house.about.started,
        configured: taken.unwrap_or(house.about.started),
        reloads: counts,
    };
    page.text()
}

/// Everything at one moment.
#[derive(Debug)]
struct Page {
    survey: Survey,
    /// How long calls were with us, and how long clients stayed.
    spent: Vec<(Asked, Spread)>,
    visits: Vec<(Came, Spread)>,
    present: Present,
    version: &'static str,
    started: SystemTime,
    /// When the configuration was read last, and found good.
    configured: SystemTime,
    /// How often it was read anew and taken, and how often not.
    reloads: [u64; 2],
}

/// Names and values.
type Labels = Vec<(&'static str, String)>;

impl Page {
    fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string never fails.
        encode(&mut text, &registry).ok();
        text
    }

    fn each<T>(&self, value: impl Fn(&Surveyed) -> T) -> Vec<(Labels, T)> {
        let servers = self.survey.servers.iter();
        servers.map(|server| (labels([("server", &server.key)]), value(server))).collect()
    }

    /// Several of each server, by another label.
    fn by<T>(
        &self,
        label: &'static str,
        values: impl Fn(&Surveyed) -> Vec<(&'static str, T)>,
    ) -> Vec<(Labels, T)> {
        let all = self.survey.servers.iter().flat_map(|server| {
            let values = values(server).into_iter();
            values.map(|(word, value)| (labels([("server", server.key.as_str()), (label, word)]), value))
        });
        all.collect()
    }

    fn servers(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauges(
            out,
            "braid_upstream_up",
            "Whether the server is there",
            self.each(|server| u64::from(server.condition.is_up())),
        )?;
        let states = |server: &Surveyed| {
            let states = Condition::ALL.into_iter();
            states.map(|state| (state.as_str(), u64::from(state == server.condition))).collect()
        };
        gauges(
            out,
            "braid_upstream_state",
            "The state that the server is in is 1",
            self.by("state", states),
        )?;
        counters(
            out,
            "braid_upstream_restarts",
            "How often the server was begun anew, by why",
            self.by("reason", |server| server.counts.restarts.clone()),
        )?;
        gauges(
            out,
            "braid_requests_in_flight",
            "Requests that have a place at the server",
            self.each(|server| server.in_flight as u64),
        )?;
        gauges(
            out,
            "braid_queue_depth",
            "Requests that wait for a place at the server",
            self.each(|server| server.waiting as u64),
        )?;
        counters(
            out,
            "braid_rejected",
            "Requests that did not get as far as the server, by why",
            self.by("reason", |server| server.counts.refused.clone()),
        )?;
        let over_rate = |server: &Surveyed| {
            Rated::ALL.map(Rated::as_str).into_iter().zip(server.counts.over_rate).collect()
        };
        counters(
            out,
            "braid_rate_limited",
            "Requests of clients that asked more often than a rate allows, by which",
            self.by("limit", over_rate),
        )?;
        let recalls = |server: &Surveyed| {
            Recall::ALL.map(Recall::as_str).into_iter().zip(server.counts.recalls).collect()
        };
        counters(
            out,
            "braid_cache_requests",
            "Requests whose results are kept for a time, by whether there was one",
            self.by("result", recalls),
        )?;
        let timeouts = |server: &Surveyed| {
            let [idle, total] = server.counts.timeouts;
            vec![("idle", idle), ("total", total)]
        };
        counters(out, "braid_timeouts", "Requests whose time was over", self.by("kind", timeouts))?;
        counters(
            out,
            "braid_cancellations",
            "Requests that nobody waited for any longer",
            self.each(|server| server.counts.cancelled()),
        )?;
        let dropped = |server: &Surveyed| {
            let [strays, notes, noise] = server.counts.dropped;
            vec![("stray", strays), ("no_room", notes), ("noise", noise)]
        };
        counters(
            out,
            "braid_notifications_dropped",
            "What servers said and nobody got: answers to nothing, notes without room, lines that are no message",
            self.by("reason", dropped),
        )
    }

    fn moved(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let moved = |of: fn(&(Way, Piece, u64, u64)) -> u64| {
            let mut series = Vec::new();
            for server in &self.survey.servers {
                for moved in &server.counts.moved {
                    let (way, piece, ..) = moved;
                    let labels = labels([
                        ("server", server.key.as_str()),
                        ("direction", way.as_str()),
                        ("kind", piece.as_str()),
                    ]);
                    series.push((labels, of(moved)));
                }
            }
            series
        };
        counters(out, "braid_messages", "Messages between us and the server", moved(|moved| moved.2))?;
        counters(out, "braid_message_bytes", "The bytes of those messages", moved(|moved| moved.3))
    }

    fn catalog(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let items = |server: &Surveyed| {
            let kinds =
                Kind::ALL.map(|kind| if kind == Kind::Templates { "templates" } else { kind.member() });
            kinds.into_iter().zip(server.offered.map(|count| count as u64)).collect()
        };
        gauges(out, "braid_catalog_items", "What the server lists", self.by("kind", items))?;
        gauges(
            out,
            "braid_catalog_conflicts",
            "Items that are not shown because an earlier server has the same",
            self.each(|server| server.conflicts as u64),
        )?;
        gauges(
            out,
            "braid_names_shortened",
            "Items whose names had to be shortened",
            self.each(|server| server.shortened as u64),
        )
    }

    fn durations(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let servers = self.survey.servers.iter();
        let calls = servers.flat_map(|server| {
            let ended = server.counts.ended.iter();
            ended.map(|ended| (duration_labels(server, ended), &ended.spread))
        });
        histograms(
            out,
            "mcp_client_operation_duration_seconds",
            "Requests of clients at the server, from when they were sent to when their answer came",
            1.0,
            calls,
        )?;
        let spent =
            self.spent.iter().map(|(asked, spread)| (labels([("mcp_method_name", asked.as_str())]), spread));
        histograms(
            out,
            "braid_overhead_seconds",
            "Time with us rather than at the server: of one in 16 requests of clients with a handshake that need not wait",
            1.0 / f64::from(SPENT_SCALE),
            spent,
        )?;
        let visits =
            self.visits.iter().map(|(came, spread)| (labels([("transport", came.as_str())]), spread));
        histograms(
            out,
            "mcp_server_session_duration_seconds",
            "How long clients with a handshake stayed",
            f64::from(VISIT_SCALE),
            visits,
        )?;
        let servers = self.survey.servers.iter();
        let lasted = servers.map(|server| (labels([("server", &server.key)]), &server.counts.lasted));
        histograms(
            out,
            "mcp_client_session_duration_seconds",
            "How long connections to the server lasted",
            f64::from(VISIT_SCALE),
            lasted,
        )
    }

    fn run(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let guests = self.present.guests.iter().map(|guests| {
            (labels([("transport", guests.transport), ("era", guests.era)]), guests.count as u64)
        });
        gauges(out, "braid_sessions", "Clients that are there", guests)?;
        let one = |value: u64| [(Labels::new(), value)];
        gauges(
            out,
            "braid_parked",
            "Requests that wait for answers of clients",
            one(self.survey.parked as u64),
        )?;
        gauges(
            out,
            "braid_buffered_bytes",
            "Bytes that wait in memory for servers and clients",
            one(self.survey.buffered_bytes),
        )?;
        gauges(
            out,
            "braid_replay_bytes",
            "Bytes kept of streams for clients that come back",
            one(self.present.replay_bytes),
        )?;
        if let Some(audit) = &self.survey.audit {
            counters(out, "braid_audit_lines", "Calls that were written down", one(audit.written))?;
            counters(out, "braid_audit_lines_lost", "Calls that could not be written down", one(audit.lost))?;
        }
        let [taken, refused] = self.reloads;
        let reloads = [("success", taken), ("failure", refused)];
        counters(
            out,
            "braid_config_reloads",
            "How often the configuration was read anew",
            reloads.map(|(word, count)| (labels([("result", word)]), count)),
        )?;
        gauges(
            out,
            "braid_config_last_success_timestamp_seconds",
            "When the configuration was read last and found good",
            one(seconds(self.configured)),
        )?;
        gauges(
            out,
            "process_start_time_seconds",
            "When the process was started",
            one(seconds(self.started)),
        )?;
        gauges(out, "braid_build_info", "The version that runs", [(labels([("version", self.version)]), 1)])
    }
}

impl Collector for Page {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        self.servers(&mut out)?;
        self.moved(&mut out)?;
        self.catalog(&mut out)?;
        self.durations(&mut out)?;
        self.run(&mut out)
    }
}

/// As OpenTelemetry's conventions for MCP name them.
fn duration_labels(server: &Surveyed, ended: &Ended) -> Labels {
    let transport = if server.transport == "stdio" { "pipe" } else { "tcp" };
    let mut found = labels([
        ("server", server.key.as_str()),
        ("mcp_method_name", ended.asked.as_str()),
        ("network_transport", transport),
    ]);
    // Of one that is away what it spoke last: no series ends because its server does.
    if let Some(revision) = server.revision.or(server.counts.spoke) {
        found.push(("mcp_protocol_version", revision.to_owned()));
    }
    if ended.asked == Asked::Call {
        found.push(("gen_ai_tool_name", safe(ended.tool.as_deref().unwrap_or(OTHER))));
    }
    if let Some(error) = ended.error {
        found.push(("error_type", error.to_owned()));
    }
    found
}

fn labels<const N: usize>(of: [(&'static str, &str); N]) -> Labels {
    of.map(|(name, value)| (name, safe(value))).to_vec()
}

/// A label's value that nothing can be hidden in; quotes are the format's own affair. Of one that is too long a digest tells
/// it from others that begin alike.
fn safe(value: &str) -> String {
    let safe = escaped(value);
    if safe.len() <= LABEL_BYTES_MAX {
        return safe;
    }
    let digest = hex(Sha256::digest(value).get(..DIGEST_BYTES).unwrap_or_default());
    let room = LABEL_BYTES_MAX.saturating_sub(1 + digest.len());
    let ends = safe.char_indices().map(|(at, _)| at);
    let end = ends.take_while(|end| *end <= room).last().unwrap_or_default();
    format!("{}_{digest}", safe.get(..end).unwrap_or_default())
}

fn counters(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        match labels.is_empty() {
            true => metric.encode_counter::<NoLabelSet, u64, f64>(&value, None)?,
            false => metric.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&value, None)?,
        }
    }
    Ok(())
}

fn gauges(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        match labels.is_empty() {
            true => metric.encode_gauge(&value)?,
            false => metric.encode_family(&labels)?.encode_gauge(&value)?,
        }
    }
    Ok(())
}

/// Those of which anything is known. `scale`: how much longer than it was counted each took.
fn histograms<'a>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    scale: f64,
    series: impl IntoIterator<Item = (Labels, &'a Spread)>,
) -> fmt::Result {
    let mut metric = out.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, spread) in series.into_iter().filter(|(_, spread)| spread.count() > 0) {
        let bound = |bound: Option<f64>| bound.map_or(f64::MAX, |bound| round(bound * scale));
        let buckets: Vec<_> = spread.buckets().map(|(upper, count)| (bound(upper), count)).collect();
        let (sum, count) = (spread.seconds() * scale, spread.count());
        metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
    }
    Ok(())
}

/// As it would be written: a hundredth of a millisecond is no `0.000009999999999999999`.
fn round(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Longest value of a label.
const LABEL_BYTES_MAX: usize = 128;
/// Of the digest of a longer one.
const DIGEST_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_bounded_and_stays_its_own() {
        assert_eq!(safe(&"a".repeat(LABEL_BYTES_MAX)), "a".repeat(LABEL_BYTES_MAX));
        for long in ["a", "\u{e4}", "\u{1f600}", "\u{202e}"] {
            let (one, other) = (long.repeat(500), format!("{}b", long.repeat(500)));
            let (one, other) = (safe(&one), safe(&other));
            assert!(one.len() <= LABEL_BYTES_MAX && one.len() > LABEL_BYTES_MAX - 4, "{one}");
            assert_ne!(one, other);
        }
    }
}
