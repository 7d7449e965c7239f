//! How a page is opened in the user's browser.
//!
//! Owns which URLs are handed over and in which spelling: a server named them, and what opens them may be a script. No shell is
//! started; the URL is one argument of one program.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use reqwest::Url;

use crate::config::remote::{authority, is_misspelt, is_of_this_machine};
use crate::system::{Here, System};

/// A URL that may be opened, in a spelling without a character that any shell or program could take for something else.
pub(super) fn judge(text: &str) -> Result<String, &'static str> {
    if text.len() > URL_BYTES_MAX {
        return Err("it is longer than any page's URL");
    }
    if is_misspelt(text) {
        return Err("it has characters that are in no URL");
    }
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err("it has a user in it");
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        _ if host.is_empty() || authority(text).is_empty() => Err("it has no host"),
        "https" => Ok(plain(url.as_str())),
        "http" if is_of_this_machine(&url) => Ok(plain(url.as_str())),
        "http" => Err("it is not https"),
        _ => Err("it is neither https nor http"),
    }
}

/// Opens it; whether some program was started for that. `variable` reads the environment.
pub(super) fn open(url: &str, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let Ok(url) = judge(url) else { return false };
    let named = variable("BROWSER").filter(|program| !program.is_empty());
    let named = named.map(|program| (program, Vec::new()));
    let known = Here::openers().iter().filter_map(|words| words.split_first());
    let known = known.map(|(program, rest)| (OsString::from(program), rest.to_vec()));
    named.into_iter().chain(known).any(|(program, arguments)| {
        let mut command = Command::new(program);
        command.args(arguments).arg(&url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(mut child) => {
                // Whoever opens it may stay as long as the browser does.
                std::thread::spawn(move || child.wait());
                true
            }
            Err(_) => false,
        }
    })
}

/// Everything but what a URL is made of, escaped: to whom it leads it means the same.
fn plain(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'&'
            | b'=' | b'+' | b',' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

const URL_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h12_what_is_no_page_is_not_opened() {
        let long = format!("https://x/{}", "y".repeat(URL_BYTES_MAX));
        for url in [
            "",
            "x",
            "example.com",
            "//example.com/",
            "/etc/passwd",
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "about:blank",
            "blob:https://x/1",
            "ftp://x/",
            "ssh://x",
            "smb://x/share",
            "ms-msdt:/id",
            "search-ms:query=x",
            "steam://run/1",
            "tel:1",
            "mailto:a@b",
            "vscode://x",
            "calculator://",
            "ws://x/",
            "wss://x/",
            "chrome://settings",
            "view-source:https://x",
            "http://example.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://0.0.0.0/",
            "http://[::]/",
            "https://",
            "https:///x",
            "https://user@example.com/",
            "https://user:password@example.com/",
            "https://:p@x/",
            "https://@x/",
            "https://x\\@y/",
            "https://x y/",
            "https://x/a b",
            "https://x/\n--flag",
            "https://x/\u{0}",
            "https://x/\u{7f}",
            "https://x/\r\nHost: y",
            "https://x:99999/",
            "https://1.2.3.999/",
            "https://[::1/",
            "-https://x/",
            "--help",
            "$(id)",
            "`id`",
            "https://x/\u{2028}",
            &long,
        ] {
            assert!(judge(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn what_is_opened_has_no_character_that_a_shell_knows() {
        for (url, opened) in [
            ("https://id.example.com/authorize?a=b&c=d", "https://id.example.com/authorize?a=b&c=d"),
            ("https://x/?a=$(id)&b=`id`;c|d'e\"f", "https://x/?a=%24%28id%29&b=%60id%60%3Bc%7Cd%27e%22f"),
            ("https://x/{a}<b>*!^", "https://x/%7Ba%7D%3Cb%3E%2A%21%5E"),
            ("https://x/%24%28id%29", "https://x/%24%28id%29"),
            ("http://127.0.0.1:1/a", "http://127.0.0.1:1/a"),
            ("http://localhost:1", "http://localhost:1/"),
            ("http://[::1]:1/a", "http://[::1]:1/a"),
            ("HTTPS://münchen.example/ü", "https://xn--mnchen-3ya.example/%C3%BC"),
        ] {
            let judged = judge(url);
            assert_eq!(judged.as_deref(), Ok(opened), "{url}");
        }
    }

    #[test]
    fn the_named_browser_is_one_program_and_the_url_its_one_argument() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let none = |_: &str| None;
        assert!(!open("file:///etc/passwd", none));
        let touch = |name: &str| (name == "BROWSER").then(|| OsString::from("true; touch mark"));
        assert!(!Here::openers().is_empty() || !open("https://x/", touch));
        assert!(!mark.exists());
    }
}
