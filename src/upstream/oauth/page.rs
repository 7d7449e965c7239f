//! A page for a browser: text and perhaps a form, nothing that runs.
//!
//! Owns what every such page says to the browser besides: it is kept nowhere, shown in no frame, and brings nothing of elsewhere.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

use crate::wire::letters::is_hidden;

/// `html`: what is in the body; what somebody else wrote in it must be [`escaped`].
pub fn page(status: StatusCode, html: &str) -> Response<Body> {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Braid</title><style>{STYLE}</style><main>{html}</main>\n"
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // A form says where it comes from, to us alone; nobody else hears of a page.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The text as it is to be read, whatever is in it: what cannot be seen, or turns what is around it, is shown as what it is.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if is_hidden(c) => html.extend(c.escape_unicode()),
            c => html.push(c),
        }
    }
    html
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:10vh auto;max-width:34rem;padding:0 1rem;color-scheme:light dark}button,input{font:inherit;padding:.4rem .8rem}input{display:block;width:100%;box-sizing:border-box;margin:.4rem 0 1rem}code{overflow-wrap:anywhere}";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(
            escaped("<a href='x\">&\u{202e}\n\u{e9}"),
            "&lt;a href=&#39;x&quot;&gt;&amp;\\u{202e}\\u{a}\u{e9}"
        );
    }

    #[test]
    fn a_page_is_kept_nowhere_and_shown_in_no_frame() {
        let page = page(StatusCode::OK, "<p>x");
        let header = |name| page.headers()[name].to_str().unwrap();
        assert_eq!((header("cache-control"), header("x-frame-options")), ("no-store", "DENY"));
        assert!(header("content-security-policy").starts_with("default-src 'none'"));
        assert!(!STYLE.contains(['<', '@']) && !STYLE.contains("url"));
    }
}
