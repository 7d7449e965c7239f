//! The last that a request of 2026-07-28 hears: one line, and what it is to whoever carries it.
//!
//! Owns how a server's response becomes one of ours. Text is edited where it stands, never rebuilt.

use crate::mcp::era;
use crate::mcp::method::Method;
use crate::wire::fault::{self, Fault, Reason};
use crate::wire::id::Id;
use crate::wire::keeping::keeping;
use crate::wire::lines::one_line;
use crate::wire::members::{member, string};
use crate::wire::message::{Head, Message, Outcome, SERVER_INFO_KEY, Span};
use crate::wire::splice::splice;
use bytes::Bytes;

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: Bytes,
    /// Of an error.
    pub(crate) code: Option<i64>,
}

impl Answer {
    pub(super) fn result(text: Bytes) -> Self {
        Self { text: one_line(text), code: None }
    }

    /// The same, which keeps what it was made of: that has taken room in memory for both.
    pub(super) fn keeping(self, of: &Bytes) -> Self {
        Self { text: keeping(self.text, of.clone()), ..self }
    }

    /// A fault of ours.
    pub(crate) fn fault(fault: &Fault, id: Option<&Id>) -> Self {
        let code = era::modern_code(fault.code.into());
        let fault = Fault { code: i32::try_from(code).unwrap_or(fault.code), ..fault.clone() };
        Self { text: fault.render(id), code: Some(code) }
    }
}

/// A server's response in its client's terms, as one of ours. The fault: it is none that may pass.
pub(super) fn presented(response: &Message, method: Method, info: &str) -> Result<Answer, Fault> {
    let Head::Response { outcome, .. } = response.head() else { return Err(odd("with no response")) };
    match outcome {
        Outcome::Result { value, places } => {
            match places.result_type.as_ref().map(|(_, says)| says.as_str(response)) {
                None | Some("complete" | "input_required") => {}
                // That it may be one was settled where it came from.
                Some("task") if method == Method::ToolsCall => {}
                // An extension that nobody agreed on (2026-07-28, basic/index, result types).
                Some(other) => {
                    return Err(odd(&format!("with a result of the unknown type `{}`", brief(other))));
                }
            }
            let edits = era::presented(response, *value, method, info);
            let mut edits = edits.ok_or_else(|| odd("with a result that is no object"))?;
            Ok(Answer::result(splice(response.text(), &mut edits)))
        }
        Outcome::Error { value, code, .. } => error(response, *value, *code),
    }
}

/// A page of a list, which says all but who answers. It is too large to be read again for that.
pub(super) fn with_info(page: &Bytes, id: &Id, info: &str) -> Bytes {
    let at = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"#).len() as u32;
    let meta = format!(r#""_meta":{{"{SERVER_INFO_KEY}":{info}}},"#);
    splice(page, &mut [(Span { start: at, end: at }, Bytes::from(meta))])
}

fn error(response: &Message, value: Span, code: Option<i64>) -> Result<Answer, Fault> {
    let error = response.str(value);
    let Some(said) = code else {
        return Ok(Answer { text: one_line(response.text().clone()), code });
    };
    let words = || member(error, "message").and_then(string).unwrap_or_default().into_owned();
    if era::is_between_us(said) {
        let text =
            format!("its server answered with the error {said}, which is not its client's: {}", words());
        return Err(Fault::ours(Reason::Internal, text));
    }
    let code = era::modern_code(said);
    let whole = response.str(Span { start: 0, end: response.text().len() as u32 });
    let place = member(error, "code").and_then(|part| Span::of(whole, part)).filter(|_| code != said);
    let text = match place {
        Some(place) => splice(response.text(), &mut [(place, Bytes::from(code.to_string()))]),
        None => response.text().clone(),
    };
    Ok(Answer { text: one_line(text), code: Some(code) })
}

fn odd(what: &str) -> Fault {
    Fault::ours(Reason::Internal, format!("its server answered {what}"))
}

/// A server's text within our sentence is no longer than a line.
fn brief(text: &str) -> &str {
    fault::brief(text, BRIEF_CHARS_MAX)
}

const BRIEF_CHARS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &str) -> Result<(String, Option<i64>), i32> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{body}}}"#);
        let response = Message::parse_server(Bytes::from(text)).unwrap();
        let answer = presented(&response, Method::ToolsCall, "{}").map_err(|fault| fault.code)?;
        Ok((String::from_utf8(answer.text.to_vec()).unwrap(), answer.code))
    }

    #[test]
    fn a_page_says_who_answers() {
        let id = Id::parse(Bytes::from_static(b"\"a\"")).unwrap();
        let page = crate::hub::begin::response(&id, br#"{"tools":[]}"#);
        assert_eq!(
            with_info(&page, &id, "{}"),
            r#"{"jsonrpc":"2.0","id":"a","result":{"_meta":{"io.modelcontextprotocol/serverInfo":{}},"tools":[]}}"#
        );
    }

    #[test]
    fn codes_that_are_no_more_have_another() {
        for (said, code) in [(-32002, -32602), (-32042, -32602), (-32021, -32021), (-32601, -32601), (7, 7)] {
            let (text, shown) =
                shown(&format!(r#""error":{{"code":{said},"message":"m","data":{{"uri":"a:b"}}}}"#)).unwrap();
            assert_eq!(shown, Some(code));
            assert_eq!(
                text,
                format!(
                    r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m","data":{{"uri":"a:b"}}}}}}"#
                )
            );
        }
    }

    #[test]
    fn what_is_between_a_server_and_us_stays_there() {
        for code in [-32020, -32022, -32023, -32099] {
            assert_eq!(shown(&format!(r#""error":{{"code":{code},"message":"m"}}"#)), Err(-32603), "{code}");
        }
        for result in [r#"{"resultType":"job"}"#, "7", "[]", r#"{"resultType":""}"#] {
            assert_eq!(shown(&format!(r#""result":{result}"#)), Err(-32603), "{result}");
        }
    }
}
