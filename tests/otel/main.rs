//! Traces of calls, as a collector gets them from the real program (`--features otel`).

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "here a panic is how a claim fails")]
#![expect(clippy::disallowed_types, reason = "messages of a client are trees here")]

mod braid;
mod collector;
mod proto;

use braid::{Client, Home, Serving};
use collector::{Collector, Mood};
use proto::{CLIENT, ERROR, SERVER, Span, spans};
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> Value {
    json!({"traceparent": format!("00-{TRACE}-{PARENT}-{flags}"), "tracestate": "vendor=canarystate"})
}

/// The span toward the client with this name, and the one toward the server below it, if there is one.
fn pair(spans: &[Span], name: &str) -> (Span, Option<Span>) {
    let of_name: Vec<_> = spans.iter().filter(|span| span.kind == SERVER && span.name == name).collect();
    let [server] = of_name[..] else { panic!("{} spans named {name}: {spans:#?}", of_name.len()) };
    let below: Vec<_> = spans.iter().filter(|span| span.parent == server.id).collect();
    assert!(below.len() <= 1, "{below:#?}");
    for span in &below {
        assert_eq!((span.kind, &span.trace), (CLIENT, &server.trace));
        assert!(server.start <= span.start && span.start <= span.end && span.end <= server.end);
    }
    (server.clone(), below.first().map(|span| (*span).clone()))
}

/// All that a span says but its time.
fn said(span: &Span) -> Vec<(&str, &str)> {
    span.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn a_call_through_stdio_is_a_span_toward_the_client_and_one_below_it_toward_the_server() {
    let (collector, home) = (Collector::start(Mood::Takes), Home::new());
    let endpoint = collector.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "our-braid"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        // Not done here, and no reason to send nothing.
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let mut client = Client::start(&home, &variables);
    let meta = traceparent("01");
    let call = json!({"name": "w__echo", "arguments": {"a": 1}, "_meta": meta});
    assert!(client.ask(json!("x-1"), "tools/call", call)["result"].is_object());
    assert_eq!(client.ask(json!(2), "tools/call", json!({"name": "w__fail"}))["result"]["isError"], true);
    assert!(client.ask(json!(3), "tools/call", json!({"name": "nobody's"}))["error"].is_object());
    let uri = "w+workshop://tools/hammer";
    assert!(client.ask(json!(4), "resources/read", json!({"uri": uri}))["result"].is_object());
    let refused = client.ask(json!(5), "prompts/get", json!({"name": "w__greet"}));
    assert_eq!(refused["error"]["code"], -32602);
    client.ask(json!(6), "tools/list", json!({}));
    client.ask(json!(7), "ping", json!({}));
    client.leave();

    let spans = collector.spans();
    let (server, below) = pair(&spans, "tools/call w__echo");
    assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, PARENT));
    assert_eq!((server.status, server.says.as_str(), server.events_and_links), (0, "", 0));
    let client_number = server.attribute("braid.client").unwrap();
    assert_eq!(
        said(&server),
        [
            ("braid.client", client_number),
            ("braid.server", "w"),
            ("gen_ai.operation.name", "execute_tool"),
            ("gen_ai.tool.name", "w__echo"),
            ("jsonrpc.request.id", "x-1"),
            ("mcp.method.name", "tools/call"),
            ("mcp.protocol.version", "2025-11-25"),
            ("network.transport", "pipe"),
        ]
    );
    let below = below.unwrap();
    assert_eq!((below.name.as_str(), below.status), ("tools/call echo", 0));
    let upstream_id = below.attribute("jsonrpc.request.id").unwrap();
    assert!(upstream_id.parse::<u64>().is_ok());
    assert_eq!(
        said(&below),
        [
            ("braid.server", "w"),
            ("gen_ai.operation.name", "execute_tool"),
            ("gen_ai.tool.name", "echo"),
            ("jsonrpc.request.id", upstream_id),
            ("mcp.method.name", "tools/call"),
            ("mcp.protocol.version", "2025-11-25"),
            ("network.transport", "pipe"),
        ]
    );
    for (key, value) in [
        ("service.name", "our-braid"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(server.resource.get(key).map(String::as_str), Some(value));
    }
    assert_eq!(server.scope, "mcp-braid");

    // A tool that failed: both are errors.
    let (server, below) = pair(&spans, "tools/call w__fail");
    for span in [&server, below.as_ref().unwrap()] {
        assert_eq!((span.status, span.attribute("error.type")), (ERROR, Some("tool_error")));
        assert_eq!((span.attribute("rpc.response.status_code"), span.says.as_str()), (None, ""));
    }
    assert!(server.parent.is_empty() && server.trace != TRACE);

    // One that nobody has: it goes to no server, and its name is in no name of a span.
    let (server, below) = pair(&spans, "tools/call");
    assert!(below.is_none());
    assert_eq!(server.attribute("gen_ai.tool.name"), Some("nobody's"));
    assert_eq!((server.status, server.attribute("error.type")), (ERROR, Some("-32602")));
    assert_eq!(server.attribute("rpc.response.status_code"), Some("-32602"));

    let (server, below) = pair(&spans, "resources/read");
    assert_eq!(server.attribute("mcp.resource.uri"), Some(uri));
    assert_eq!(below.unwrap().attribute("mcp.resource.uri"), Some("workshop://tools/hammer"));

    // The server's own error.
    let (server, below) = pair(&spans, "prompts/get w__greet");
    let below = below.unwrap();
    assert_eq!(
        (below.name.as_str(), below.attribute("gen_ai.prompt.name")),
        ("prompts/get greet", Some("greet"))
    );
    for span in [&server, &below] {
        assert_eq!((span.status, span.attribute("error.type")), (ERROR, Some("-32602")));
    }

    // Lists and pings are no calls.
    assert_eq!(spans.len(), 9);
    assert!(spans.iter().all(|span| span.state.is_empty()));
    // What the server was sent is as the client wrote it.
    let heard: Vec<Value> =
        home.read("heard").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let echo = heard.iter().find(|message| message["params"]["name"] == "echo").unwrap();
    assert_eq!(echo["params"]["_meta"]["traceparent"], meta["traceparent"]);
    assert_eq!(echo["params"]["_meta"]["tracestate"], meta["tracestate"]);
    let fail = heard.iter().find(|message| message["params"]["name"] == "fail").unwrap();
    assert!(fail["params"]["_meta"].get("traceparent").is_none());
}

#[test]
fn a_call_through_http_to_a_server_over_http_is_one_trace_in_both() {
    let collector = Collector::start(Mood::Takes);
    let traces = format!("{}/v1/traces", collector.endpoint());
    let (near, far) = (Home::new(), Collector::start(Mood::Takes));
    let far_traces = format!("{}/v1/traces", far.endpoint());
    // Behind the one that is asked is another, which is asked as any server is.
    let behind = Serving::start(&near, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &far_traces)]);
    let home = Home::with_remote(&behind.url);
    let front = Serving::start(&home, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces)]);
    let call = json!({"name": "w__w__echo", "arguments": {}, "_meta": traceparent("01")});
    let answer = front.ask(json!(1), "tools/call", "w__w__echo", call);
    assert!(answer["result"]["content"].is_array(), "{answer}");
    front.stop();
    behind.stop();

    let (server, below) = pair(&collector.spans(), "tools/call w__w__echo");
    let below = below.unwrap();
    assert_eq!((server.trace.as_str(), server.parent.as_str()), (TRACE, PARENT));
    assert_eq!(below.name, "tools/call w__echo");
    assert_eq!(server.resource.get("service.name").map(String::as_str), Some("braid"));
    for span in [&server, &below] {
        assert_eq!(span.attribute("network.transport"), Some("tcp"));
        assert_eq!(span.attribute("network.protocol.name"), Some("http"));
        assert_eq!(span.attribute("mcp.protocol.version"), Some("2026-07-28"));
    }
    // What the client wrote passed: the span behind is a sister of ours, not a daughter.
    let (behind, _) = pair(&far.spans(), "tools/call w__echo");
    assert_eq!((behind.trace.as_str(), behind.parent.as_str()), (TRACE, PARENT));
}

#[test]
fn a_call_that_is_cancelled_ends_its_spans() {
    let (collector, home) = (Collector::start(Mood::Takes), Home::new());
    let endpoint = collector.endpoint();
    let mut client = Client::start(&home, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
    let meta = json!({"progressToken": 1});
    let call = json!({"name": "w__countdown", "arguments": {"steps": 20, "delay_ms": 1000}, "_meta": meta});
    client.write(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).to_string());
    client.hear(|message| message["method"] == "notifications/progress");
    client.tell("notifications/cancelled", json!({"requestId": 1}));
    assert!(client.ask(json!(2), "tools/call", json!({"name": "w__echo"}))["result"].is_object());
    client.leave();
    let spans = collector.spans();
    let (server, below) = pair(&spans, "tools/call w__countdown");
    for span in [Some(server), below].iter().flatten() {
        assert_eq!((span.status, span.attribute("error.type")), (ERROR, Some("cancelled")));
    }
    assert_eq!(pair(&spans, "tools/call w__echo").0.status, 0);
}

#[test]
fn what_the_client_or_the_sampler_does_not_want_traced_is_not() {
    let (collector, home) = (Collector::start(Mood::Takes), Home::new());
    let endpoint = collector.endpoint();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
    ];
    let mut client = Client::start(&home, &variables);
    client.ask(json!(1), "tools/call", json!({"name": "w__echo", "_meta": traceparent("00")}));
    client.ask(json!(2), "tools/call", json!({"name": "w__echo"}));
    client.ask(
        json!(3),
        "tools/call",
        json!({"name": "w__add", "arguments": {"a": 1, "b": 2}, "_meta": traceparent("01")}),
    );
    client.leave();
    let names: Vec<_> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["tools/call w__add", "tools/call add"]);
}

#[test]
fn a_collector_that_hangs_holds_up_neither_calls_nor_the_exit() {
    let (collector, home) = (Collector::start(Mood::Hangs), Home::new());
    let endpoint = collector.endpoint();
    let mut client = Client::start(&home, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
    // A batch leaves and is never answered; 2048 spans wait behind it, and what is more finds no room.
    for id in 0..1300 {
        assert!(client.ask(json!(id), "tools/call", json!({"name": "w__echo"}))["result"].is_object());
    }
    collector.wait(1);
    assert!(client.ask(json!("then"), "tools/call", json!({"name": "w__echo"}))["result"].is_object());
    // That it ends is the claim: nobody else ends the connection.
    let log = client.leave();
    let dropped = 2 * 1301 - 2048 - spans(&collector.sent()[0].body).len();
    let lost = 2 * 1301 - dropped;
    let said = format!("the last traces did not leave in time  lost={lost} dropped={dropped}");
    assert_eq!(log.matches(&said).count(), 1, "{said}");
    assert_eq!(collector.sent().len(), 1);
}

#[test]
fn a_collector_that_takes_nothing_is_named_once_in_the_log() {
    for (collector, why) in [
        (Some(Collector::start(Mood::Says(500))), "it answered with 500"),
        (Some(Collector::start(Mood::Says(401))), "it answered with 401"),
        (None, "refused"),
    ] {
        let home = Home::new();
        // Nobody listens there any more.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = collector.as_ref().map_or_else(|| format!("http://{gone}"), Collector::endpoint);
        let mut client = Client::start(&home, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
        for id in 0..600 {
            assert!(client.ask(json!(id), "tools/call", json!({"name": "w__echo"}))["result"].is_object());
        }
        let log = client.leave();
        let said: Vec<_> = log.lines().filter(|line| line.contains("traces do not arrive")).collect();
        assert!(matches!(said[..], [line] if line.contains(why)), "{said:?}");
    }
}

#[test]
fn what_did_not_arrive_is_said_when_it_goes_on_and_at_the_end() {
    let (collector, home) = (Collector::start(Mood::SaysOnce(500)), Home::new());
    let endpoint = collector.endpoint();
    let mut client = Client::start(&home, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
    const CALLS: usize = 600;
    for id in 0..CALLS {
        client.ask(json!(id), "tools/call", json!({"name": "w__echo"}));
    }
    collector.wait(2);
    let log = client.leave();
    let lost = CALLS * 2 - collector.spans().len();
    assert!(lost > 0);
    let lines = [
        "traces do not arrive at the collector  why=\"it answered with 500\"".to_owned(),
        format!("traces arrive at the collector again  lost={lost}"),
        format!("spans that did not leave  lost={lost} dropped=0"),
    ];
    let places: Vec<_> = lines.iter().map(|line| log.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{log}");
    assert_eq!(
        log.matches("traces do not arrive").count() + log.matches("arrive at the collector again").count(),
        2
    );
}

#[test]
fn a_collector_over_tls_is_trusted_by_the_file_that_is_named() {
    let home = Home::new();
    let file = home.path().join("issuer.pem");
    let collector = Collector::secure(&file);
    let endpoint = collector.endpoint();
    let issuer = file.to_str().unwrap();
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", issuer)];
    for (variables, spans) in [(&variables[..1], 0), (&variables[..], 2)] {
        let mut client = Client::start(&home, variables);
        client.ask(json!(1), "tools/call", json!({"name": "w__echo"}));
        let log = client.leave();
        assert_eq!(collector.spans().len(), spans, "{log}");
        let fails = ["traces do not arrive", "the last traces did not leave"];
        assert_eq!(fails.iter().any(|text| log.contains(text)), spans == 0, "{log}");
    }
}

#[test]
fn no_secret_is_in_a_span_or_the_log_or_a_servers_environment() {
    let (collector, home) = (Collector::start(Mood::Takes), Home::new());
    let endpoint = format!("{}/?canaryquery", collector.endpoint());
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canaryheader,x-other=canaryother"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=canaryteam"),
    ];
    let mut client = Client::start(&home, &variables);
    let arguments = json!({"canarykey": "canaryargument"});
    client.ask(json!(1), "tools/call", json!({"name": "w__echo", "arguments": arguments, "_meta": {"secret": "canarymeta", "baggage": "k=canarybaggage", "tracestate": "v=canarystate"}}));
    client.ask(json!(2), "tools/call", json!({"name": "w__fail", "arguments": {"message": "canaryresult"}}));
    client.ask(
        json!(3),
        "resources/read",
        json!({"uri": "w+workshop://u:canaryuser@tools/hammer?k=canaryvalue#canaryfragment"}),
    );
    client.ask(json!(4), "prompts/get", json!({"name": "w__greet", "arguments": {"mood": "canarymood"}}));
    assert!(client.said.iter().any(|line| line.contains("canaryresult")));
    let log = client.leave();

    // Where they belong they are: else nothing would be proved by not finding them elsewhere.
    let sent = collector.sent();
    assert!(!sent.is_empty());
    for request in &sent {
        assert!(request.head.starts_with("POST /?canaryquery HTTP/1.1\r\n"), "{}", request.head);
        assert!(request.head.contains("authorization: Bearer canaryheader\r\n"));
        assert!(request.head.contains("x-other: canaryother\r\n"));
        let body = String::from_utf8_lossy(&request.body);
        assert_eq!(body.matches("canary").count(), body.matches("canaryteam").count(), "{body}");
    }
    assert_eq!(collector.spans().len(), 8);
    let environment = home.read("env");
    assert!(
        environment.contains("PATH=") && !environment.contains("OTEL_") && !environment.contains("canary")
    );
    for canary in ["canaryheader", "canaryother", "canaryquery", "canaryteam", "canaryargument", "canarymeta"]
    {
        assert!(!log.contains(canary), "{canary} is in the log");
    }
}

#[test]
fn nothing_is_traced_that_nobody_asked_for() {
    let home = Home::new();
    let mut client =
        Client::start(&home, &[("OTEL_SERVICE_NAME", "x"), ("OTEL_TRACES_SAMPLER", "always_on")]);
    client.ask(json!(1), "tools/call", json!({"name": "w__echo"}));
    assert!(!client.leave().contains("traces"));
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let mut client = Client::start(&home, &variables);
    client.ask(json!(1), "tools/call", json!({"name": "w__echo"}));
    let log = client.leave();
    assert_eq!(log.matches("no traces").count(), 1, "{log}");
    assert!(log.contains("OTEL_EXPORTER_OTLP_PROTOCOL") && !log.contains("calls are traced"), "{log}");
}
