//! What doors share and what they keep apart, as far as no transcript shows it: views, early starts, readiness.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::support::script::Role;
use crate::support::server::{Act, Desk, DeskDial};
use mcp_braid::config::{Command, Config, Group, Protocol, Reach, ServerConfig, Sharing};
use mcp_braid::hub::Hub;
use mcp_braid::hub::readiness::Readiness;
use mcp_braid::hub::seat::Seat;
use mcp_braid::mcp::caller::{Caller, ClientId, Principal};
use mcp_braid::mcp::method::Kind;
use mcp_braid::upstream::dial::Dial;
use mcp_braid::upstream::process::Pace;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// A hub over scripted servers: a name, the words of its role, and what is set for it.
struct House {
    hub: Arc<Hub>,
    desks: Vec<Arc<Desk>>,
}

impl House {
    fn new(servers: &[(&str, &str)], set: impl Fn(&mut ServerConfig), groups: &[(&str, &[&str])]) -> Self {
        let mut config = Config::new("doors", Path::new("/"));
        let crew = TaskTracker::new();
        let mut desks = Vec::new();
        for (name, words) in servers {
            let traits = words.split(", ").map(str::to_owned).collect();
            desks.push(Desk::new(&Role { name: (*name).to_owned(), traits }, crew.clone()).unwrap());
            let mut server = ServerConfig::new(name, Reach::Stdio(Command::new("played", Path::new("/"))));
            server.protocol = Protocol::Handshake;
            server.backoff.min = Duration::from_secs(3600);
            server.backoff.max = Duration::from_secs(3600);
            set(&mut server);
            config.servers.push(server);
        }
        let group = |(name, servers): &(&str, &[&str])| {
            Group::new(name, servers.iter().map(|&key| key.to_owned()).collect())
        };
        config.groups = groups.iter().map(group).collect();
        let dials = desks.iter().map(|desk| -> Arc<dyn Dial> { Arc::new(DeskDial(desk.clone())) });
        let hub = Hub::new(Arc::new(config), dials.collect(), "", TaskTracker::new());
        Self { hub, desks }
    }

    /// A client of the network at the door to all.
    fn seat(&self, number: u64) -> Arc<Seat> {
        self.hub.seat(caller(number), &self.hub.entrance_all())
    }

    fn readiness(&self) -> Readiness {
        self.hub.readiness(&Principal::local())
    }

    /// Lets things happen until they are so.
    async fn until(&self, is_so: impl Fn(&Readiness) -> bool) -> Readiness {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let readiness = self.readiness();
            if is_so(&readiness) {
                return readiness;
            }
            assert!(Instant::now() < until, "{readiness:?}");
            yield_now().await;
        }
    }

    async fn stop(self) {
        self.hub.stop(Pace::NOW, Duration::from_secs(5)).await;
    }
}

fn caller(number: u64) -> Caller {
    Caller {
        principal: Principal::local(),
        scopes: Default::default(),
        client: ClientId(number),
        alone: false,
        guest_of: None,
    }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_clients_will_share_is_started_and_heard_before_the_first_of_them() {
    let servers = [("files", "tools t"), ("notes", "tools t"), ("own", "tools t")];
    let own = |server: &mut ServerConfig| {
        if server.key == "own" {
            server.sharing = Sharing::Session;
        }
    };
    let house = House::new(&servers, own, &[]);
    assert_eq!(house.readiness().awaited, keys(&["files", "notes"]));
    assert!(house.hub.warm(&Principal::local()).is_empty());
    assert!(!house.readiness().is_ready());
    house.until(Readiness::is_ready).await;
    assert_eq!(house.desks.iter().map(|desk| desk.started()).collect::<Vec<_>>(), [1, 1, 0]);
    // Who comes now finds whole lists at once, and nothing is started twice.
    let seat = house.seat(1);
    assert_eq!(seat.view().catalog().entries(Kind::Tools).len(), 2);
    assert!(seat.open().is_empty());
    assert!(house.hub.warm(&Principal::local()).is_empty());
    seat.introduce(mcp_braid::mcp::revision::Revision::LATEST, "{}");
    seat.view().settled(Instant::now() + Duration::from_secs(1)).await;
    assert_eq!(seat.view().catalog().entries(Kind::Tools).len(), 3);
    assert_eq!(house.desks.iter().map(|desk| desk.started()).collect::<Vec<_>>(), [1, 1, 1]);
    drop(seat);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_required_server_that_is_down_keeps_clients_away() {
    let servers = [("files", "tools t"), ("notes", "tools t, refuses"), ("must", "tools t")];
    let must = |server: &mut ServerConfig| server.required = server.key == "must";
    let house = House::new(&servers, must, &[]);
    house.hub.warm(&Principal::local());
    // `notes` has failed, and nobody waits for it.
    house.until(Readiness::is_ready).await;
    let [_, _, desk] = &house.desks[..] else { panic!("three") };
    desk.act(None, Act::Die).await.unwrap();
    let readiness = house.until(|readiness| !readiness.missing.is_empty()).await;
    assert_eq!(
        readiness,
        Readiness { missing: keys(&["must"]), ..Readiness::default() },
        "what was heard once is not awaited again"
    );
    house.hub.stop(Pace::NOW, Duration::from_secs(5)).await;
    assert!(house.readiness().stopping && !house.readiness().is_ready());
}

#[tokio::test(start_paused = true)]
async fn clients_share_a_view_if_they_see_the_same() {
    let servers = [("files", "tools t"), ("notes", "tools t")];
    let house = House::new(
        &servers,
        |_| {},
        &[("both", &["files", "notes"]), ("one", &["notes"]), ("gone", &["no-such"])],
    );
    let hub = &house.hub;
    assert!(hub.entrance_group("gone").is_none() && hub.entrance_server("gone").is_none());
    let group = |name, number| hub.seat(caller(number), &hub.entrance_group(name).unwrap());
    let server = |key, number| hub.seat(caller(number), &hub.entrance_server(key).unwrap());
    let same = |one: &Seat, two: &Seat| Arc::ptr_eq(&one.view(), &two.view());
    let (ann, bob, both) = (house.seat(1), house.seat(2), group("both", 3));
    assert!(same(&ann, &bob) && same(&ann, &both));
    let (one, bare, again) = (group("one", 4), server("notes", 5), server("notes", 6));
    assert!(!same(&one, &ann) && !same(&one, &bare) && same(&bare, &again));
    // What is not at the door is not in its reports either.
    assert_eq!(
        bare.reports().iter().map(|report| (report.at, report.key.as_str())).collect::<Vec<_>>(),
        [(1, "notes")]
    );
    assert!(bare.open().is_empty());
    bare.view().settled(Instant::now() + Duration::from_secs(9)).await;
    assert!(bare.view().is_settled(), "what is elsewhere is not awaited");
    assert_eq!(house.desks.iter().map(|desk| desk.started()).collect::<Vec<_>>(), [0, 1]);
    drop((ann, bob, both, one, bare, again));
    house.stop().await;
}
