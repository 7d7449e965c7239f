//! Requests made by reqwest: HTTP/1.1, TLS by rustls with ring, connections that are used again.
//!
//! Owns what a server must not decide: whom we trust, where a redirect may lead, and that nothing is kept
//! but connections. No cookies, no unpacking, no second try.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::{StatusCode, header};
use parking_lot::Mutex;
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::leaving::Leaving;
use super::proxies::Proxies;
use super::sentence::{Way, half_an_answer, no_answer, place};
use super::{CONNECT_WAIT_MAX, Fetch, FetchError, FetchRequest, FetchResponse, REDIRECTS_MAX};
use crate::upstream::stderr::escaped;

/// A client for one server.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    proxies: Arc<Proxies>,
    /// From where to where the last short body was led, if it was.
    led: Arc<Mutex<Option<(Url, Url)>>>,
}

impl Client {
    /// Trusts the system's roots and what is in `ca_file`, a PEM file. Reads both now, which blocks for some
    /// milliseconds. Connects to nothing yet.
    pub fn new(ca_file: Option<&Path>, proxies: Proxies) -> Result<Self, FetchError> {
        let proxies = Arc::new(proxies);
        let before = proxies.clone();
        let through = move |url: &Url| before.before(url).map(|proxy| proxy.url.clone());
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trusting(ca_file)?)
            .http1_only()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .no_proxy()
            .proxy(reqwest::Proxy::custom(through))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_WAIT_MAX)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE_AFTER)
            .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
            .tcp_keepalive_retries(KEEPALIVE_RETRIES)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_CONNECTION_KEPT);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let builder = builder.tcp_user_timeout(UNACKNOWLEDGED_WAIT_MAX);
        let http = builder.build().map_err(|error| {
            FetchError::NotSent(format!("no HTTP client: {}", escaped(&error.without_url().to_string())))
        })?;
        Ok(Self { http, proxies, led: Arc::default() })
    }

    async fn follow(self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let FetchRequest { method, url, headers, mut body, mut departure } = request;
        let first = Url::parse(&url)
            .map_err(|error| FetchError::NotSent(format!("the URL cannot be used: {error}")))?;
        let length = body.len();
        let mut url = if length > KEPT_BYTES_MAX { self.led_from(&first) } else { first.clone() };
        for _ in 0..=REDIRECTS_MAX {
            let mut next = reqwest::Request::new(method.clone(), url.clone());
            *next.headers_mut() = headers.clone();
            if length > 0 {
                // What is long is not kept to be sent twice: whoever gave it counts it as gone once it is written.
                let sent = if length > KEPT_BYTES_MAX { std::mem::take(&mut body) } else { body.clone() };
                *next.body_mut() = Some(match departure.take() {
                    Some(departure) => reqwest::Body::wrap(Leaving::new(sent, departure)),
                    None => sent.into(),
                });
            }
            let way = Way { to: &url, proxy: self.proxies.before(&url) };
            let response = self.http.execute(next).await.map_err(|error| no_answer(&error, &way))?;
            match redirect(&response, &url)? {
                Some(_) if length > KEPT_BYTES_MAX => {
                    let (here, code) = (place(&url), response.status().as_u16());
                    let why = "what is too long to be kept until then; change `url` to where it leads";
                    return Err(FetchError::Broken(format!("{here} redirects ({code}) {why}")));
                }
                Some(target) => url = target,
                None => {
                    if (1..=KEPT_BYTES_MAX).contains(&length) {
                        self.was_led(first, &url);
                    }
                    return Ok(answer(response, &url));
                }
            }
        }
        Err(FetchError::Broken(format!("{} redirects more than {REDIRECTS_MAX} times", place(&url))))
    }

    /// Where a body is led from here, as far as is known.
    fn led_from(&self, first: &Url) -> Url {
        match &*self.led.lock() {
            Some((from, to)) if from == first => to.clone(),
            Some(_) | None => first.clone(),
        }
    }

    fn was_led(&self, first: Url, last: &Url) {
        let mut led = self.led.lock();
        if first != *last {
            *led = Some((first, last.clone()));
        } else if led.as_ref().is_some_and(|(from, _)| *from == first) {
            *led = None;
        }
    }
}

impl Fetch for Client {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<FetchResponse, FetchError>> {
        self.clone().follow(request).boxed()
    }
}

fn answer(mut response: reqwest::Response, url: &Url) -> FetchResponse {
    let (status, headers, from) = (response.status(), std::mem::take(response.headers_mut()), place(url));
    let body = response.bytes_stream();
    let body = body.map(move |chunk| chunk.map_err(|error| half_an_answer(&error, &from)));
    FetchResponse { status, headers, body: body.boxed() }
}

/// Where a redirect leads, if the answer is one. Only one that keeps method and body, and only within one
/// origin: anything else would hand our headers to somebody whom nobody configured, or lose the request.
fn redirect(response: &reqwest::Response, from: &Url) -> Result<Option<Url>, FetchError> {
    let status = response.status();
    let keeps = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status);
    let loses = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER].contains(&status);
    if !keeps && !loses {
        return Ok(None);
    }
    let (here, code) = (place(from), status.as_u16());
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(mut target) = location.and_then(|location| from.join(location).ok()) else {
        return Err(FetchError::Broken(format!("{here} redirects ({code}) and does not say where")));
    };
    target.set_fragment(None);
    let origin = origin(&target);
    if origin != self::origin(from) || !target.username().is_empty() || target.password().is_some() {
        let why = "that is not where `url` points; if it is right, change `url`";
        return Err(FetchError::Broken(format!("{here} redirects ({code}) to {origin}; {why}")));
    }
    if loses {
        let path = escaped(target.path());
        let why = "which would lose what is sent; if it is right, change `url`";
        return Err(FetchError::Broken(format!("{here} redirects ({code}) to {origin}{path}, {why}")));
    }
    Ok(Some(target))
}

fn origin(url: &Url) -> String {
    format!("{}://{}", url.scheme(), place(url))
}

/// Whom we trust. The provider is given here and not to the whole process, which is not ours alone.
fn trusting(ca_file: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = ca_file.map(certificates).transpose()?.unwrap_or_default();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::NotSent(format!("no TLS: {error}")))?;
    let mut config = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => {
            config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
        // A small container may have none, and need none: only who speaks TLS finds it missing.
        Err(error) => {
            tracing::debug!(why = error.to_string(), "no roots of the system");
            config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates of a PEM file. Errors name the file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let error = |why: String| FetchError::NotSent(format!("`ca_file` {}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|cause| error(cause.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|cause| error(format!("is no PEM: {cause}")))?;
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|cause| error(cause.to_string()))?;
    }
    if found.is_empty() { Err(error("holds no certificate".to_owned())) } else { Ok(found) }
}

/// A longer body is not kept for a redirect.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A silent connection is asked for a sign of life after this long, then so often, and given up after so many.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// What was written and is not acknowledged for this long ends the connection: whoever woke up from sleep, or
/// lost its place in a router's table, notices with its first request. The system does not tell such a peer from
/// one that is there and has not read for as long, with more written to it than the socket holds.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED_WAIT_MAX: Duration = Duration::from_secs(5);

/// Connections of one server that wait for the next request: as many as it has calls at a time, as a rule. With fewer,
/// those who come beside many others connect anew each time.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// How long one waits. Less than the five seconds after which the common servers close theirs: a request that
/// meets the close half-way has an outcome that nobody knows.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests;
