//! The list of what cannot be (`impossible.txt`), and which cells stand on it.

use super::endpoint::Endpoint;
use super::feature::Feature;

/// The whole list.
pub(super) struct Impossible(Vec<Line>);

struct Line {
    client: Pattern,
    server: Pattern,
    feature: Feature,
    text: &'static str,
}

/// A revision and a transport; `None`: any.
struct Pattern {
    revision: Option<&'static str>,
    transport: Option<&'static str>,
}

impl Impossible {
    pub(super) fn read() -> Self {
        let lines = include_str!("impossible.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| Line::parse(line).unwrap_or_else(|| panic!("no line: {line}"))).collect())
    }

    pub(super) fn holds(&self, client: Endpoint, server: Endpoint, feature: Feature) -> bool {
        self.0.iter().any(|line| line.holds(client, server, feature))
    }

    /// Lines that stand for no cell.
    pub(super) fn idle(&self) -> Vec<&'static str> {
        let is_idle = |line: &&Line| {
            !Endpoint::ALL
                .iter()
                .any(|client| Endpoint::ALL.iter().any(|server| line.holds(*client, *server, line.feature)))
        };
        self.0.iter().filter(is_idle).map(|line| line.text).collect()
    }
}

impl Line {
    fn parse(text: &'static str) -> Option<Self> {
        let columns: Vec<&str> = text.split('|').map(str::trim).collect();
        let &[client, server, feature, why] = columns.as_slice() else { return None };
        let feature = Feature::ALL.into_iter().find(|known| known.as_str() == feature)?;
        (!why.is_empty()).then_some(())?;
        Some(Self { client: Pattern::parse(client)?, server: Pattern::parse(server)?, feature, text })
    }

    fn holds(&self, client: Endpoint, server: Endpoint, feature: Feature) -> bool {
        self.feature == feature && self.client.holds(client) && self.server.holds(server)
    }
}

impl Pattern {
    fn parse(text: &'static str) -> Option<Self> {
        let said = |word: &'static str| (word != "*").then_some(word);
        match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["*"] => Some(Self { revision: None, transport: None }),
            [revision, transport] => Some(Self { revision: said(revision), transport: said(transport) }),
            _ => None,
        }
    }

    fn holds(&self, endpoint: Endpoint) -> bool {
        self.revision.is_none_or(|revision| revision == endpoint.revision.as_str())
            && self.transport.is_none_or(|transport| transport == endpoint.transport.as_str())
    }
}

#[test]
fn every_impossible_line_stands_for_a_cell() {
    let idle = Impossible::read().idle();
    assert!(idle.is_empty(), "{idle:#?}");
}
