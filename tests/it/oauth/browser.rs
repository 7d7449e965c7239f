//! A browser, as far as pages of logins need one: it keeps cookies, sends forms, and says where they come from.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

#[derive(Default)]
pub(super) struct Browser {
    /// By host, whatever the port.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// What it was answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// Where it is sent on, or where a link leads that it is to follow.
    pub(super) to: String,
    pub(super) head: String,
    pub(super) text: String,
}

impl Browser {
    pub(super) fn get(&mut self, url: &str) -> Seen {
        self.ask(url, "GET", "", "")
    }

    /// Sends a form from a page that is at the same place.
    pub(super) fn post(&mut self, url: &str, form: &str) -> Seen {
        let origin: String = url.split_inclusive('/').take(3).collect();
        self.ask(url, "POST", &format!("Origin: {}\r\n", origin.trim_end_matches('/')), form)
    }

    /// The same with these headers instead.
    pub(super) fn ask(&mut self, url: &str, method: &str, headers: &str, form: &str) -> Seen {
        let rest = url.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let (name, port) = host.split_once(':').unwrap();
        let jar = self.cookies.entry(name.to_owned()).or_default();
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = match cookies.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", cookies.join("; ")),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
        let host = if headers.contains("Host: ") { String::new() } else { format!("Host: {host}\r\n") };
        write!(
            stream,
            "{method} /{path} HTTP/1.1\r\n{host}Connection: close\r\n{cookies}{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, text) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let field = |wanted: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
        };
        if let Some(cookie) = field("set-cookie") {
            assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            jar.insert(name.to_owned(), value.to_owned());
        }
        let link = text.split_once("<a id=go").and_then(|(_, rest)| rest.split_once("href=\""));
        let link = link.and_then(|(_, rest)| rest.split_once('"')).map(|(to, _)| to.replace("&amp;", "&"));
        Seen {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            to: field("location").or(link).unwrap_or_default(),
            head: head.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Goes where it is sent, until it stays.
    pub(super) fn follows(&mut self, mut seen: Seen) -> Seen {
        for _ in 0..5 {
            if seen.to.is_empty() {
                break;
            }
            seen = self.get(&seen.to.clone());
        }
        seen
    }
}
