//! Traces of calls, as OpenTelemetry's conventions for MCP name what is in them.
//!
//! Each call is a span toward its client and, once it is on its way, a span below it toward its server. A trace that the
//! client began (`traceparent` in `_meta`) goes on here; what is forwarded stays as it is. Nothing of arguments, results,
//! headers and error texts is in a span. Made of a library, with no state of the process; where spans go, `queue` knows.

pub mod post;

pub mod queue;

use self::queue::{Entry, Queue};
use super::account::Leads;
use super::dial::Distance;
use super::hearing::Hearing;
use super::link::Link;
use super::lookout::Came;
use super::tally::{Asked, End};
use crate::mcp::caller::Caller;
use crate::mcp::method::Method;
use crate::wire::fault::brief;
use crate::wire::id::CallId;
use crate::wire::members::{member, string};
use crate::wire::message::Message;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// What makes the spans of all calls of a run.
#[derive(Debug)]
pub struct Tracing {
    tracer: SdkTracer,
    /// Which spans there are to be at all, it has from the environment (`OTEL_TRACES_SAMPLER`).
    _provider: SdkTracerProvider,
}

/// One call in a trace, until its end.
#[derive(Debug)]
pub(super) struct Traced {
    tracing: Arc<Tracing>,
    asked: Asked,
    /// Its span toward the client is in it.
    toward_client: Context,
    toward_server: Option<Span>,
    /// The server, and what that calls what is asked for.
    server: Option<String>,
    own: Option<String>,
}

impl Tracing {
    /// `resource`: what we are to whoever reads the spans.
    pub fn new(queue: Arc<Queue>, resource: Resource) -> Arc<Self> {
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_span_processor(Entry(queue)).build();
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"));
        let tracer = provider.tracer_with_scope(scope.with_version(env!("CARGO_PKG_VERSION")).build());
        Arc::new(Self { tracer, _provider: provider })
    }

    /// A request was heard. `None`: it is no call.
    pub(super) fn begins(
        self: &Arc<Self>,
        hearing: Hearing,
        caller: &Caller,
        request: &Message,
        leads: Leads<'_>,
    ) -> Option<Traced> {
        let asked = Asked::of(Method::parse(request.method().unwrap_or_default()));
        if asked == Asked::Other {
            return None;
        }
        let item = item(request, asked);
        // Only what is in a list is few enough to tell spans from each other.
        let target = item.as_deref().filter(|_| leads.is_found);
        let builder = SpanBuilder::from_name(name(asked, target))
            .with_kind(SpanKind::Server)
            .with_start_time(hearing.at);
        let mut span = self.tracer.build_with_context(builder, &parent(request));
        if span.is_recording() {
            span.set_attributes(asked_of(asked, item.as_deref()));
            span.set_attribute(KeyValue::new(PROTOCOL_VERSION, hearing.revision.as_str()));
            span.set_attribute(KeyValue::new(CLIENT, i64::try_from(caller.client.0).unwrap_or(i64::MAX)));
            span.set_attributes(carried(match hearing.came {
                Came::Stdio => Distance::Near,
                Came::Http | Came::Sse => Distance::Far,
            }));
            if let Some(id) = request.id() {
                let id = string(id.as_str()).unwrap_or(Cow::Borrowed(id.as_str()));
                span.set_attribute(KeyValue::new(REQUEST_ID, short(&id)));
            }
            if let Some(server) = leads.server {
                span.set_attribute(KeyValue::new(SERVER, server.to_owned()));
            }
        }
        Some(Traced {
            tracing: self.clone(),
            asked,
            toward_client: Context::new().with_span(span),
            toward_server: None,
            server: leads.server.map(str::to_owned),
            own: leads.item.filter(|_| leads.is_found).map(str::to_owned),
        })
    }
}

impl Traced {
    /// It is on its way to its server.
    pub(super) fn leaves(&mut self, link: &Link, id: CallId) {
        let own = self.own.as_deref().map(|own| shown(self.asked, own));
        let builder = SpanBuilder::from_name(name(self.asked, own.as_deref())).with_kind(SpanKind::Client);
        let mut span = self.tracing.tracer.build_with_context(builder, &self.toward_client);
        if span.is_recording() {
            span.set_attributes(asked_of(self.asked, own.as_deref()));
            span.set_attribute(KeyValue::new(PROTOCOL_VERSION, link.greeting.revision.as_str()));
            span.set_attribute(KeyValue::new(REQUEST_ID, id.0.to_string()));
            span.set_attributes(carried(link.distance));
            span.set_attributes(self.server.take().map(|server| KeyValue::new(SERVER, server)));
        }
        self.toward_server = Some(span);
    }

    /// `told`: how it ends for its client, if that is told something else.
    pub(super) fn ends(self, end: End, told: Option<End>) {
        let now = SystemTime::now();
        if let Some(mut span) = self.toward_server {
            if let Some(error) = end.error_type() {
                span.set_attributes(failed(end, error));
                span.set_status(Status::error(""));
            }
            span.end_with_timestamp(now);
        }
        let (end, span) = (told.unwrap_or(end), self.toward_client.span());
        if let Some(error) = end.error_type() {
            failed(end, error).for_each(|attribute| span.set_attribute(attribute));
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(now);
    }
}

/// The trace that the client began, if it did (SEP-414). Vendors' own words about it (`tracestate`) are not repeated.
fn parent(request: &Message) -> Context {
    struct Carrier<'a>(Option<Cow<'a, str>>);

    impl Extractor for Carrier<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.as_deref().filter(|_| key == TRACEPARENT)
        }

        fn keys(&self) -> Vec<&str> {
            vec![TRACEPARENT]
        }
    }

    let meta = request.params().and_then(|params| params.meta.as_ref()).map(|meta| request.str(meta.object));
    let said = meta.and_then(|meta| member(meta, TRACEPARENT)).and_then(string);
    let carrier = Carrier(said.filter(|said| said.len() <= TRACEPARENT_BYTES_MAX));
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// What is asked for, as the client calls it.
fn item(request: &Message, asked: Asked) -> Option<String> {
    let params = request.params()?;
    let text = match asked {
        Asked::Call | Asked::Prompt => params.name.as_ref(),
        Asked::Read => params.uri.as_ref(),
        Asked::Complete | Asked::Other => None,
    };
    Some(shown(asked, text?.as_str(request)))
}

/// The same without what may let somebody in.
fn shown(asked: Asked, item: &str) -> String {
    match asked {
        Asked::Call | Asked::Prompt => short(item),
        Asked::Read => short(bare_uri(item).as_ref()),
        Asked::Complete | Asked::Other => String::new(),
    }
}

/// A URI without user, password, query and fragment.
fn bare_uri(uri: &str) -> Cow<'_, str> {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = uri.split_once("://") else { return Cow::Borrowed(uri) };
    match rest.split('/').next().unwrap_or_default().rsplit_once('@') {
        Some((user, _)) => {
            Cow::Owned(format!("{scheme}://{}", rest.get(user.len() + 1..).unwrap_or_default()))
        }
        None => Cow::Borrowed(uri),
    }
}

/// `{mcp.method.name} {target}`. A URI is no target: there are too many of them.
fn name(asked: Asked, target: Option<&str>) -> Cow<'static, str> {
    match (asked, target) {
        (Asked::Call | Asked::Prompt, Some(target)) => Cow::Owned(format!("{} {target}", asked.as_str())),
        (Asked::Call | Asked::Prompt | Asked::Read | Asked::Complete | Asked::Other, _) => {
            Cow::Borrowed(asked.as_str())
        }
    }
}

fn asked_of(asked: Asked, item: Option<&str>) -> impl Iterator<Item = KeyValue> {
    let key = match asked {
        Asked::Call => Some("gen_ai.tool.name"),
        Asked::Prompt => Some("gen_ai.prompt.name"),
        Asked::Read => Some("mcp.resource.uri"),
        Asked::Complete | Asked::Other => None,
    };
    let item = key.zip(item).map(|(key, item)| KeyValue::new(key, item.to_owned()));
    let runs = (asked == Asked::Call).then(|| KeyValue::new("gen_ai.operation.name", "execute_tool"));
    [Some(KeyValue::new("mcp.method.name", asked.as_str())), item, runs].into_iter().flatten()
}

/// By what messages come and go.
fn carried(distance: Distance) -> impl Iterator<Item = KeyValue> {
    let (transport, protocol) = match distance {
        Distance::Near => ("pipe", None),
        Distance::Far => ("tcp", Some("http")),
    };
    let protocol = protocol.map(|protocol| KeyValue::new("network.protocol.name", protocol));
    [Some(KeyValue::new("network.transport", transport)), protocol].into_iter().flatten()
}

/// Why it is an error. What its server says of it is not repeated: it may quote the arguments.
fn failed(end: End, error: &'static str) -> impl Iterator<Item = KeyValue> {
    let code = end.code().map(|code| KeyValue::new("rpc.response.status_code", code.to_string()));
    [Some(KeyValue::new("error.type", error)), code].into_iter().flatten()
}

fn short(text: &str) -> String {
    brief(text, WORD_CHARS_MAX).to_owned()
}

const TRACEPARENT: &str = "traceparent";
const PROTOCOL_VERSION: &str = "mcp.protocol.version";
const REQUEST_ID: &str = "jsonrpc.request.id";
/// The key of the server in the configuration, and the number of the client in the log. The conventions have no names for
/// either. `mcp.session.id` stays away: who knows it may speak for its client.
const SERVER: &str = "braid.server";
const CLIENT: &str = "braid.client";
/// What is longer is none: later versions may add to the 55 bytes of today (W3C Trace Context, 2.2).
const TRACEPARENT_BYTES_MAX: usize = 256;
/// Of any text that somebody else chose.
const WORD_CHARS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::account::Account;
    use super::super::lookout::Lookout;
    use super::*;
    use crate::mcp::caller::{ClientId, Principal};
    use crate::mcp::revision::Revision;
    use crate::wire::caps::Caps;
    use crate::wire::fault::{Fault, Reason};
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId};

    /// What is in the spans of a call that leads nowhere further: kind, kind of error, code.
    fn spans(follow: impl FnOnce(&Lookout, Message)) -> Vec<(SpanKind, Option<String>, Option<String>)> {
        let (queue, lookout) = (Arc::new(Queue::default()), Lookout::new(true));
        lookout.traces(Tracing::new(queue.clone(), Resource::builder_empty().build()));
        follow(&lookout, request("{}"));
        let spans = queue.waiting().into_iter().map(|span| {
            let said = |key: &str| {
                let mut attributes = span.attributes.iter();
                attributes.find(|it| it.key.as_str() == key).map(|it| it.value.to_string())
            };
            assert_eq!(span.status, Status::error(""));
            (span.span_kind.clone(), said("error.type"), said("rpc.response.status_code"))
        });
        spans.collect()
    }

    fn open(lookout: &Lookout, request: &Message) -> Box<Account> {
        opened(lookout, request).unwrap().unwrap()
    }

    fn opened(lookout: &Lookout, request: &Message) -> Result<Option<Box<Account>>, Fault> {
        let caller = Caller {
            principal: Principal::local(),
            scopes: Default::default(),
            client: ClientId(7),
            alone: true,
            guest_of: None,
        };
        let leads = Leads { server: Some("a"), item: Some("b"), is_found: true };
        let hearing = Hearing::now(Came::Stdio, Revision::LATEST);
        Account::open(lookout, &caller, hearing, request, leads)
    }

    #[test]
    fn an_account_that_is_dropped_is_a_span_that_was_cancelled() {
        let spans = spans(|lookout, request| drop(open(lookout, &request)));
        assert_eq!(spans, [(SpanKind::Server, Some("cancelled".to_owned()), None)]);
    }

    #[test]
    fn an_account_that_is_closed_is_one_span_and_not_cancelled_after_that() {
        let end = End::Fault(Some(Reason::Busy), 1003);
        let spans = spans(|lookout, request| open(lookout, &request).close(end, 0).unwrap());
        assert_eq!(spans, [(SpanKind::Server, Some("busy".to_owned()), Some("1003".to_owned()))]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_must_be_written_down_and_cannot_ends_as_the_client_is_told() {
        let spans = spans(|lookout, request| {
            let full = std::path::Path::new("/dev/full");
            lookout.writes_down(super::super::audit::Audit::open(full, true).unwrap());
            open(lookout, &request).close(End::Fine, 0).unwrap_err();
            // The next one is not begun, and is seen all the same.
            assert!(opened(lookout, &request).is_err());
        });
        let refused = (SpanKind::Server, Some("refused".to_owned()), Some("1005".to_owned()));
        assert_eq!(spans, [refused.clone(), refused]);
    }

    fn request(meta: &str) -> Message {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a__b","_meta":{meta}}}}}"#
        );
        let caps = Caps { depth_max: 9, elements_max: 99 };
        Message::parse_client(text.into(), caps).unwrap()
    }

    #[test]
    fn a_trace_of_the_client_is_gone_on_with() {
        let meta = r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01","tracestate":"a=s3cret"}"#;
        let context = parent(&request(meta));
        let span = context.span().span_context().clone();
        assert_eq!(span.trace_id(), TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap());
        assert_eq!(span.span_id(), SpanId::from_hex("00f067aa0ba902b7").unwrap());
        assert_eq!((span.trace_flags(), span.is_remote()), (TraceFlags::SAMPLED, true));
        assert_eq!(span.trace_state().header(), "");
    }

    #[test]
    fn what_is_no_trace_begins_none() {
        let long = format!(
            r#"{{"traceparent":"01-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01-{}"}}"#,
            "a".repeat(TRACEPARENT_BYTES_MAX)
        );
        for meta in [
            "{}",
            r#"{"traceparent":7}"#,
            r#"{"traceparent":""}"#,
            r#"{"traceparent":"00-1"}"#,
            r#"{"traceparent":"\ud800"}"#,
            r#"{"traceparent":"00-00000000000000000000000000000000-00f067aa0ba902b7-01"}"#,
            r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"}"#,
            r#"{"traceparent":"ff-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}"#,
            &long,
        ] {
            assert!(!parent(&request(meta)).span().span_context().is_valid(), "{meta}");
        }
    }

    #[test]
    fn a_uri_is_shown_without_what_may_be_secret() {
        for (uri, shown) in [
            ("demo://notes/1", "demo://notes/1"),
            ("https://u:s3cret@h/x@y?k=s3cret#s3cret", "https://h/x@y"),
            ("https://h?s3cret", "https://h"),
            ("mailto:a@b?s3cret", "mailto:a@b"),
            ("", ""),
        ] {
            assert_eq!(bare_uri(uri), shown);
        }
    }

    #[test]
    fn a_span_is_named_by_what_is_in_a_list() {
        assert_eq!(name(Asked::Call, Some("a__b")), "tools/call a__b");
        assert_eq!(name(Asked::Prompt, Some("a__p")), "prompts/get a__p");
        assert_eq!(name(Asked::Read, Some("demo://x")), "resources/read");
        assert_eq!(name(Asked::Call, None), "tools/call");
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(shown(Asked::Call, &"é".repeat(1000)).chars().count(), WORD_CHARS_MAX);
    }
}
