//! One client before two servers of one kind: what is tried between it and the first, and what the second must not hear.

use super::client::Client;
use super::endpoint::Endpoint;
use super::feature::Feature;
use super::features;
use super::house::House;
use super::server::Server;
use std::time::Duration;
use tokio::time::timeout;

pub(super) struct Pair {
    pub(super) client: Client,
    pub(super) server: Server,
    /// It offers the same under the same names, so that only a name's front tells them apart.
    neighbour: Server,
    house: House,
}

impl Pair {
    pub(super) async fn open(client: Endpoint, server: Endpoint) -> Result<Self, String> {
        let (server, neighbour) = (Server::new("files", server), Server::new("other", server));
        let house = House::new(&[&server, &neighbour]);
        let client = Client::open(client, &house).await?;
        Ok(Self { client, server, neighbour, house })
    }

    /// Tries a feature that must work.
    pub(super) async fn does(&mut self, feature: Feature) -> Result<(), String> {
        let tried = timeout(CELL_WAIT_MAX, features::works(self, feature)).await;
        let faults = self.faults().await;
        tried.map_err(|_| "took for ever".to_owned())??;
        faults
    }

    /// Tries a feature that cannot work, and must be refused as it should.
    pub(super) async fn refuses(&mut self, feature: Feature) -> Result<(), String> {
        let tried = timeout(CELL_WAIT_MAX, features::is_refused(self, feature)).await;
        let faults = self.faults().await;
        tried.map_err(|_| "took for ever".to_owned())??;
        faults
    }

    /// What any of them was told that it must not be.
    async fn faults(&mut self) -> Result<(), String> {
        let mut faults = self.client.faults().await;
        faults.extend(self.server.faults());
        faults.extend(self.neighbour.faults());
        if self.neighbour.was_called() {
            faults.push("the other server was called".to_owned());
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(faults.join("; ")),
        }
    }

    /// Ends everything. What is left, if anything is.
    pub(super) async fn close(self) -> Option<String> {
        let Self { client, house, server, neighbour } = self;
        drop(client);
        let left = house.stop().await;
        let faults = [server.faults(), neighbour.faults()].concat();
        left.or_else(|| (!faults.is_empty()).then(|| faults.join("; ")))
    }
}

const CELL_WAIT_MAX: Duration = Duration::from_secs(600);
