//! A stream of events as a client reads it, by a reader of the test's own.

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use serde_json::Value;
use std::collections::VecDeque;

/// What is read of one body.
pub(crate) struct Events {
    body: BodyDataStream,
    text: String,
    /// Comments that came between the last messages.
    pub(crate) comments: VecDeque<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Event { id: Option<String>, name: Option<String>, data: String },
    Retry(u64),
    Comment(String),
}

impl Events {
    pub(crate) fn new(body: Body) -> Self {
        Self { body: body.into_data_stream(), text: String::new(), comments: VecDeque::new() }
    }

    /// Whatever comes next; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let said = said(block);
                self.text = rest.to_owned();
                return Some(said);
            }
            match self.body.next().await {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap()),
                None => {
                    assert_eq!(self.text, "", "half an event at the end");
                    return None;
                }
            }
        }
    }

    /// The next message with its id, comments put aside.
    pub(crate) async fn message(&mut self) -> (String, Value) {
        for _ in 0..10_000 {
            match self.next().await.expect("the stream goes on") {
                Said::Event { id, name, data } => {
                    assert_eq!(name.as_deref(), Some("message"));
                    return (id.expect("an id"), serde_json::from_str(&data).unwrap());
                }
                Said::Comment(text) => self.comments.push_back(text),
                Said::Retry(_) => panic!("not now"),
            }
        }
        panic!("nothing but comments");
    }

    /// Reads what a stream begins with: the id to come back by.
    pub(crate) async fn opened(&mut self, revision: &str) -> Option<String> {
        if revision < "2025-11-25" {
            assert_eq!(self.next().await, Some(Said::Comment("open".to_owned())));
            return None;
        }
        assert_eq!(self.next().await, Some(Said::Retry(1000)));
        match self.next().await {
            Some(Said::Event { id: Some(id), name: None, data }) if data.is_empty() => Some(id),
            other => panic!("no priming event: {other:?}"),
        }
    }

    /// Nothing more comes.
    pub(crate) async fn ends(mut self) {
        let next = self.next().await;
        assert_eq!(next, None);
    }

    /// Everything has happened that can, and nothing came.
    pub(crate) async fn is_silent(&mut self) {
        super::house::settled().await;
        let next = futures::FutureExt::now_or_never(self.next());
        assert_eq!(next, None, "something came");
    }
}

fn said(block: &str) -> Said {
    let (mut id, mut name, mut data) = (None, None, None::<String>);
    for line in block.lines() {
        let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
        match field {
            "" => return Said::Comment(value.to_owned()),
            "retry" => return Said::Retry(value.parse().unwrap()),
            "id" => id = Some(value.to_owned()),
            "event" => name = Some(value.to_owned()),
            "data" => match &mut data {
                Some(data) => *data = format!("{data}\n{value}"),
                None => data = Some(value.to_owned()),
            },
            other => panic!("no such field: {other}"),
        }
    }
    Said::Event { id, name, data: data.expect("an event has data") }
}
