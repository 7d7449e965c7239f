//! Requests that go through a proxy, made by reqwest.
//!
//! It speaks to proxies as they want it: CONNECT, SOCKS, a user and a password. What is asked of it is one request and one
//! answer; redirects, others follow.

use std::sync::Arc;

use futures::StreamExt;
use rustls::ClientConfig;

use super::client::Going;
use super::leaving::Leaving;
use super::pool::{IDLE_CONNECTION_KEPT, IDLE_CONNECTIONS_MAX};
use super::proxies::Proxies;
use super::reach::{KEEPALIVE_AFTER, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES};
use super::sentence::{Way, half_an_answer_through, no_answer_through};
use super::{CONNECT_WAIT_MAX, FetchError, FetchResponse};
use crate::upstream::stderr::escaped;

/// Sends through the proxies of an environment.
pub(super) struct Through {
    http: reqwest::Client,
    proxies: Arc<Proxies>,
}

impl Through {
    pub(super) fn new(tls: ClientConfig, proxies: &Arc<Proxies>) -> Result<Self, FetchError> {
        let before = proxies.clone();
        let through = move |url: &reqwest::Url| before.before(url).map(|proxy| proxy.url.clone());
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
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
        let builder = builder.tcp_user_timeout(super::reach::UNACKNOWLEDGED_WAIT_MAX);
        let http = builder.build().map_err(|error| {
            FetchError::NotSent(format!("no HTTP client: {}", escaped(&error.without_url().to_string())))
        })?;
        Ok(Self { http, proxies: proxies.clone() })
    }

    pub(super) async fn send(&self, going: Going<'_>) -> Result<FetchResponse, FetchError> {
        let Going { method, place, common, headers, leaving } = going;
        let (body, departure) = (leaving.body, leaving.departure);
        let mut request = reqwest::Request::new(method.clone(), place.url.clone());
        *request.headers_mut() = common.with(headers);
        if !body.is_empty() {
            *request.body_mut() = Some(match departure {
                Some(departure) => reqwest::Body::wrap(Leaving::new(body, departure)),
                None => body.into(),
            });
        }
        let way = Way { to: &place.url, proxy: self.proxies.before(&place.url) };
        let answered = self.http.execute(request).await;
        let mut response = answered.map_err(|error| no_answer_through(&error, &way))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()).into());
        let origin = place.origin.clone();
        let body = response.bytes_stream();
        let body =
            body.map(move |chunk| chunk.map_err(|error| half_an_answer_through(&error, &origin.shown)));
        Ok(FetchResponse { status, headers, body: body.boxed().into() })
    }
}
