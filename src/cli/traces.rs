//! Where traces of calls go, as the standard variables of OpenTelemetry say it.
//!
//! Owns the thread that sends them, so that no call waits behind their encoding, and how long their end may take. Nothing
//! is sent unless a variable names a collector. Values of variables are never logged: headers let somebody in, and a URL may.

use crate::upstream::fetch::{Client, Proxies};
use crate::upstream::lookout::Lookout;
use crate::upstream::trace::Tracing;
use crate::upstream::trace::post::Post;
use crate::upstream::trace::queue::Queue;
use opentelemetry::Key;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The traces of a run that has some.
pub(super) struct Traces {
    queue: Arc<Queue>,
    /// When we began to leave.
    leaving: Mutex<Option<Instant>>,
}

/// What the variables ask for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// Something that this program cannot do, and which variable says so.
    Another(&'static str, &'static str),
    Traces,
}

impl Traces {
    /// Every call of the run is traced from now on, if the environment asks for that. What keeps it from being so is logged,
    /// and the run goes without.
    pub(super) fn start(lookout: &Lookout) -> Option<Self> {
        let of_process = |name: &str| std::env::var(name).ok();
        match wanted(of_process) {
            Wanted::Nothing => return None,
            Wanted::Another(variable, why) => {
                tracing::warn!(event = "traces", variable, why, "no traces");
                return None;
            }
            Wanted::Traces => {}
        }
        let (queue, resource) = (Arc::new(Queue::default()), resource());
        lookout.traces(Tracing::new(queue.clone(), resource.clone()));
        let sent = queue.clone();
        let thread = std::thread::Builder::new().name("traces".to_owned());
        let spawned = thread.spawn(move || {
            if let Err(why) = send(&sent, &resource, certificate(of_process)) {
                sent.closes();
                tracing::warn!(event = "traces", why, "no traces");
            }
        });
        if let Err(error) = spawned {
            queue.closes();
            tracing::warn!(event = "traces", why = error.to_string(), "no traces");
        }
        Some(Self { queue, leaving: Mutex::default() })
    }

    /// We begin to leave: what is there goes now.
    pub(super) fn leave(&self) {
        self.leaving.lock().get_or_insert_with(Instant::now);
        self.queue.hurries();
    }

    /// Nothing of them is left, or its time is over. That began when we began to leave.
    pub(super) async fn end(&self) {
        let now = Instant::now();
        let began = self.leaving.lock().unwrap_or(now);
        let until = (began + LAST_SPANS_MAX).max(now + LAST_SPANS_MIN);
        if timeout_at(until, self.queue.ends()).await.is_err() {
            let (lost, dropped) = (self.queue.unsent(), self.queue.dropped());
            tracing::warn!(event = "traces", lost, dropped, "the last traces did not leave in time");
        }
    }
}

/// Sends until there is nothing more. The error is a sentence without secrets.
fn send(queue: &Queue, resource: &Resource, certificate: Option<PathBuf>) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let proxies = Proxies::of(std::env::vars_os()).map_err(|error| error.to_string())?;
    let post = Post::new(Client::new(certificate.as_deref(), proxies).map_err(|error| error.to_string())?);
    let exporter = SpanExporter::builder().with_http().with_http_client(post.clone());
    // What it says quotes the variable.
    let mut exporter =
        exporter.build().map_err(|_| "a variable `OTEL_EXPORTER_OTLP_…` says what is not understood")?;
    exporter.set_resource(resource);
    tracing::info!(event = "traces", "calls are traced");
    runtime.block_on(queue.send(exporter, || post.why()));
    Ok(())
}

/// What we are to whoever reads the traces. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are read by the library.
fn resource() -> Resource {
    let found = Resource::builder().build();
    let name = found.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with(UNNAMED));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let is_versioned = found.get(&version.key).is_some();
    let named = match is_named {
        true => Resource::builder(),
        false => Resource::builder().with_service_name("braid"),
    };
    if is_versioned { named } else { named.with_attribute(version) }.build()
}

/// `variable`: the value of one, if it is set and is text.
fn wanted(variable: impl Fn(&str) -> Option<String>) -> Wanted {
    let said = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let first =
        |names: [&'static str; 2]| names.into_iter().find_map(|name| said(name).map(|value| (name, value)));
    let is_off = said("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
        || said("OTEL_TRACES_EXPORTER").is_some_and(|value| value.trim() == "none");
    let endpoint = first(["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
    let Some((variable, endpoint)) = endpoint.filter(|_| !is_off) else { return Wanted::Nothing };
    if !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
        return Wanted::Another(variable, "it is no URL that begins with http:// or https://");
    }
    match first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]) {
        Some((variable, protocol)) if protocol != "http/protobuf" => {
            Wanted::Another(variable, "only `http/protobuf` is spoken here")
        }
        Some(_) | None => Wanted::Traces,
    }
}

/// The issuer of the collector's certificate, beside the system's.
fn certificate(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
    names.into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty())).map(PathBuf::from)
}

/// How the library calls a service that nobody named.
const UNNAMED: &str = "unknown_service";
/// How long the last traces may hold up our exit, from when we began to leave; and, if the servers took all of that, from
/// when they were gone.
const LAST_SPANS_MAX: Duration = Duration::from_secs(1);
const LAST_SPANS_MIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Wanted {
        wanted(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318");

    #[test]
    fn nothing_is_sent_where_nobody_is_named() {
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "True")],
            &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(of(variables), Wanted::Nothing, "{variables:?}");
        }
    }

    #[test]
    fn either_variable_names_a_collector() {
        assert_eq!(of(&[ENDPOINT]), Wanted::Traces);
        assert_eq!(of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://h/x")]), Wanted::Traces);
        assert_eq!(of(&[ENDPOINT, ("OTEL_SDK_DISABLED", "false")]), Wanted::Traces);
        assert_eq!(of(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), Wanted::Traces);
    }

    #[test]
    fn what_is_not_spoken_here_is_said_by_its_variable_and_not_by_its_value() {
        let said = [
            of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "s3cret:4317")]),
            of(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
            of(&[
                ENDPOINT,
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ]),
        ];
        let variables: Vec<_> = said
            .iter()
            .map(|said| match said {
                Wanted::Another(variable, why) if !why.contains("s3cret") => *variable,
                Wanted::Another(..) | Wanted::Nothing | Wanted::Traces => "",
            })
            .collect();
        assert_eq!(
            variables,
            [
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
            ]
        );
    }
}
