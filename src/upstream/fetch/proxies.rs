//! Through which proxy a request goes, if through one.
//!
//! What the environment says (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in capitals or not), read
//! once. This machine is never reached through a proxy: no proxy could find it. Nothing connects here.

use std::ffi::OsString;
use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use super::FetchError;
use crate::config::remote::is_of_this_machine;

/// The proxies of an environment. Its `Debug` shows no user and no password.
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Takes everything that `NO_PROXY` does not name.
    allowed: Matcher,
}

/// One proxy, and the variable that names it.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) variable: &'static str,
    /// With user and password, if it has them.
    pub(super) url: Url,
}

impl Proxies {
    /// None, whatever the environment says.
    pub fn none() -> Self {
        Self { http: None, https: None, allowed: Matcher::builder().build() }
    }

    /// Those of an environment; of [`std::env::vars_os`] for our own. Fails when a variable names none.
    pub fn of(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, FetchError> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in environment {
            let known = name.to_str().and_then(|name| VARIABLES.iter().find(|known| **known == name));
            let value = value.to_string_lossy().trim().to_owned();
            if let Some(known) = known.filter(|_| !value.is_empty()) {
                found.push((known, value));
            }
        }
        let first = |names: &[&str]| {
            names.iter().find_map(|wanted| found.iter().find(|(name, _)| name == wanted)).cloned()
        };
        let one = |names: &[&str]| first(names).map(Proxy::read).transpose();
        let no = first(&["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        Ok(Self {
            http: one(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])?,
            https: one(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?,
            allowed: Matcher::builder().all("http://proxy.invalid").no(no).build(),
        })
    }

    /// Whether there is one at all.
    pub(super) fn any(&self) -> bool {
        self.http.is_some() || self.https.is_some()
    }

    /// The proxy for what is at this URL.
    pub(super) fn before(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        }?;
        let allowed = url.as_str().parse().is_ok_and(|uri| self.allowed.intercept(&uri).is_some());
        (allowed && !is_of_this_machine(url)).then_some(proxy)
    }
}

impl Proxy {
    fn read((variable, value): (&'static str, String)) -> Result<Self, FetchError> {
        let text = if value.contains("://") { value } else { format!("http://{value}") };
        let url = Url::parse(&text).ok().filter(|url| url.has_host());
        match url {
            Some(url) if SCHEMES.contains(&url.scheme()) => Ok(Self { variable, url }),
            Some(_) | None => Err(FetchError::NotSent(format!(
                "the environment variable `{variable}` names no proxy; expected http://HOST:PORT"
            ))),
        }
    }

    /// Its host and port, as the person knows it.
    pub(super) fn place(&self) -> String {
        super::sentence::place(&self.url)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |proxy: &Option<Proxy>| proxy.as_ref().map(Proxy::place);
        f.debug_struct("Proxies")
            .field("http", &place(&self.http))
            .field("https", &place(&self.https))
            .finish_non_exhaustive()
    }
}

const VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Proxies, FetchError> {
        Proxies::of(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    fn before(variables: &[(&str, &str)], url: &str) -> Option<String> {
        of(variables).unwrap().before(&Url::parse(url).unwrap()).map(|proxy| proxy.url.to_string())
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let all = [("HTTP_PROXY", "http://a:1"), ("https_proxy", "b:2"), ("ALL_PROXY", "socks5h://c:3")];
        assert_eq!(before(&all, "http://x.test/").as_deref(), Some("http://a:1/"));
        assert_eq!(before(&all, "https://x.test/").as_deref(), Some("http://b:2/"));
        assert_eq!(before(&all[2..], "https://x.test/").as_deref(), Some("socks5h://c:3"));
        assert_eq!(before(&[("HTTP_PROXY", " ")], "http://x.test/"), None);
        assert_eq!(before(&[("OTHER_PROXY", "http://a:1")], "http://x.test/"), None);
        assert!(Proxies::none().before(&Url::parse("http://x.test/").unwrap()).is_none());
    }

    #[test]
    fn what_no_proxy_names_is_reached_directly() {
        let both = [("ALL_PROXY", "http://a:1"), ("NO_PROXY", "inside.test, 10.0.0.0/8,.dot.test")];
        for direct in
            ["https://inside.test/", "https://a.inside.test", "http://10.2.3.4:80/", "http://a.dot.test"]
        {
            assert_eq!(before(&both, direct), None, "{direct}");
        }
        for through in ["https://outside.test", "http://11.0.0.1", "http://notinside.test"] {
            assert!(before(&both, through).is_some(), "{through}");
        }
        assert_eq!(before(&[("ALL_PROXY", "http://a:1"), ("no_proxy", "*")], "http://x.test"), None);
    }

    #[test]
    fn this_machine_is_never_behind_a_proxy() {
        let here =
            ["127.0.0.1:9", "127.1.2.3", "localhost:9", "a.localhost", "[::1]:9", "[::ffff:127.0.0.1]"];
        for host in here {
            assert_eq!(before(&[("ALL_PROXY", "http://a:1")], &format!("http://{host}/")), None, "{host}");
        }
        assert!(before(&[("ALL_PROXY", "http://a:1")], "http://localhost.test/").is_some());
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_said_and_not_shown() {
        for value in ["ftp://s3cret:1", "http://", "http://s3cret:port"] {
            let error = of(&[("HTTPS_PROXY", value)]).unwrap_err();
            let want = "the environment variable `HTTPS_PROXY` names no proxy; expected http://HOST:PORT";
            assert_eq!(error, FetchError::NotSent(want.to_owned()), "{value}");
        }
        let shown = format!("{:?}", of(&[("HTTP_PROXY", "http://user:s3cret@a:1")]).unwrap());
        assert_eq!(shown, r#"Proxies { http: Some("a:1"), https: None, .. }"#);
    }
}
