//! How long a server takes until it is ready.
//!
//! Owns the child from before its start until it is gone, however it went.

use super::Failure;
use super::args::Start;
use super::report::{StartReport, hundredths};
use super::{command, stdio};
use crate::json::Walk;
use bytes::BytesMut;
use std::time::{Duration, Instant};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::{sleep, timeout};

pub async fn run(args: Start) -> Result<StartReport, Failure> {
    let start = Instant::now();
    let mut child = command::spawn(&args.stdio, args.directory.as_deref())?;
    let (mut stdin, mut stdout) = command::ends(&mut child)?;
    let patience = Duration::from_secs_f64(args.patience);
    let measured = timeout(patience, measure(&mut stdin, &mut stdout, start, args.tools)).await;
    drop((stdin, stdout));
    command::end(child).await;
    measured.map_err(|_| Failure::new(format!("the server was not ready after {} s", args.patience)))?
}

async fn measure(
    stdin: &mut ChildStdin,
    stdout: &mut ChildStdout,
    start: Instant,
    wanted: usize,
) -> Result<StartReport, Failure> {
    let mut held = BytesMut::new();
    stdio::greet(stdin, stdout, &mut held).await?;
    let initialize = start.elapsed();
    let mut id = 0;
    loop {
        let tools = list(stdin, stdout, &mut held, &mut id).await?;
        if tools >= wanted {
            let millis = |time: Duration| hundredths(time.as_secs_f64() * 1000.0);
            let (initialize_ms, list_ms) = (millis(initialize), millis(start.elapsed()));
            return Ok(StartReport { initialize_ms, list_ms, tools, lists: id });
        }
        sleep(POLL_PAUSE).await;
    }
}

/// How many tools there are on all pages. `id` is the last one that was used.
async fn list(
    stdin: &mut ChildStdin,
    stdout: &mut ChildStdout,
    held: &mut BytesMut,
    id: &mut u64,
) -> Result<usize, Failure> {
    let mut tools = 0;
    let mut params = "{}".to_owned();
    loop {
        *id += 1;
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{params}}}"#);
        stdio::say(stdin, text.as_bytes()).await?;
        let page = loop {
            let line = stdio::line(stdout, held).await?;
            if let Some(page) = Page::read(&line, *id) {
                break page;
            }
        };
        tools += page.tools;
        match page.cursor {
            Some(cursor) => params = format!(r#"{{"cursor":{cursor}}}"#),
            None => return Ok(tools),
        }
    }
}

/// What a list says, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    tools: usize,
    /// With its quotes.
    cursor: Option<String>,
}

impl Page {
    /// `None`: this is no answer to this id.
    fn read(line: &[u8], id: u64) -> Option<Self> {
        let mut page = Self::default();
        let mut is_it = false;
        Walk::new(line).object(|walk, name| {
            match name {
                b"id" => is_it = crate::digits::read(walk.value()?) == Some(id),
                b"result" => page.result(walk)?,
                b"method" => return None,
                _ => {
                    walk.value()?;
                }
            }
            Some(())
        })?;
        is_it.then_some(page)
    }

    fn result(&mut self, walk: &mut Walk<'_>) -> Option<()> {
        walk.object(|walk, name| {
            match name {
                b"tools" => walk.array(|walk| {
                    self.tools += 1;
                    walk.value().map(|_| ())
                })?,
                b"nextCursor" if walk.peek() == Some(b'"') => {
                    self.cursor = Some(String::from_utf8_lossy(walk.value()?).into_owned());
                }
                _ => {
                    walk.value()?;
                }
            }
            Some(())
        })
    }
}

/// Before a list that was not complete is asked for again.
const POLL_PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_how_many_it_has_and_where_the_next_one_is() {
        let page = |text: &str| Page::read(text.as_bytes(), 2);
        let cursor = |cursor: &str| Some(cursor.to_owned());
        assert_eq!(
            page(r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"a":[1,2]},{}],"nextCursor":"x\"y"}}"#),
            Some(Page { tools: 2, cursor: cursor(r#""x\"y""#) })
        );
        assert_eq!(page(r#"{"result":{"tools":[]},"id":2}"#), Some(Page { tools: 0, cursor: None }));
        assert_eq!(page(r#"{"id":3,"result":{"tools":[]}}"#), None);
        assert_eq!(page(r#"{"id":2,"method":"ping"}"#), None);
    }
}
