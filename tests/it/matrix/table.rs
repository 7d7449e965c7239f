//! What came of every cell, and how it is shown.

use super::endpoint::Endpoint;
use super::feature::Feature;
use std::fmt::Write as _;

/// What came of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Works,
    /// It stands on the list, and was seen to be refused as it should.
    Impossible,
    Fails(String),
}

/// Every cell that was tried.
#[derive(Default)]
pub(super) struct Table(Vec<Cell>);

pub(super) struct Cell {
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) feature: Feature,
    pub(super) outcome: Outcome,
}

impl Table {
    pub(super) fn extend(&mut self, cells: Vec<Cell>) {
        self.0.extend(cells);
    }

    /// One line for each cell that fails.
    pub(super) fn failures(&self) -> Vec<String> {
        let cells = Self::cells().filter_map(|(client, server, feature)| {
            let why = match self.outcome(client, server, feature) {
                Some(Outcome::Works | Outcome::Impossible) => return None,
                Some(Outcome::Fails(why)) => why,
                None => "was not tried",
            };
            Some(format!("{client} -> {server}: {}: {why}", feature.as_str()))
        });
        cells.collect()
    }

    /// A square of marks for each feature, clients down and servers across in the same order, and what there is of each
    /// mark.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let [mut works, mut impossible, mut fails] = [0, 0, 0];
        for feature in Feature::ALL {
            writeln!(text, "\n{:<21} 0 1 2 3 4 5 6 7 8 9", feature.as_str()).ok();
            for (number, client) in Endpoint::ALL.into_iter().enumerate() {
                write!(text, "  {number} {client:<17}").ok();
                for server in Endpoint::ALL {
                    let mark = match self.outcome(client, server, feature) {
                        Some(Outcome::Works) => {
                            works += 1;
                            '·'
                        }
                        Some(Outcome::Impossible) => {
                            impossible += 1;
                            '-'
                        }
                        Some(Outcome::Fails(_)) | None => {
                            fails += 1;
                            'X'
                        }
                    };
                    write!(text, " {mark}").ok();
                }
                text.push('\n');
            }
        }
        let cells = Self::cells().count();
        write!(text, "\n{cells} cells: {works} work (·), {impossible} are impossible (-), {fails} fail (X)")
            .ok();
        text
    }

    fn outcome(&self, client: Endpoint, server: Endpoint, feature: Feature) -> Option<&Outcome> {
        let is = |cell: &&Cell| (cell.client, cell.server, cell.feature) == (client, server, feature);
        self.0.iter().find(is).map(|cell| &cell.outcome)
    }

    fn cells() -> impl Iterator<Item = (Endpoint, Endpoint, Feature)> {
        Endpoint::ALL.into_iter().flat_map(|client| {
            Endpoint::ALL.into_iter().flat_map(move |server| {
                Feature::ALL.into_iter().map(move |feature| (client, server, feature))
            })
        })
    }
}
