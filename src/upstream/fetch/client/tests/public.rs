//! Claims about URLs that others name: what only we can reach is never connected to, whatever name leads there.

use super::*;
use crate::upstream::fetch::public::{ADDRESSES_MAX, Looked};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A client whose names lead where they are said to lead, another time each time they are looked up.
fn named(names: &[(&str, &[&[&str]])]) -> (Client, Arc<AtomicUsize>) {
    let names: BTreeMap<String, Vec<Vec<String>>> = names
        .iter()
        .map(|(name, looks)| {
            let texts = |look: &&[&str]| look.iter().map(|&text| text.to_owned()).collect();
            ((*name).to_owned(), looks.iter().map(texts).collect())
        })
        .collect();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    let look = move |host: String, port: u16| -> Looked {
        let time = counted.fetch_add(1, Ordering::SeqCst);
        let found = match host.parse() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
            Err(_) => match names.get(&host) {
                Some(looks) => Ok(looks[time.min(looks.len() - 1)]
                    .iter()
                    .map(|address| SocketAddr::new(address.parse().unwrap(), port))
                    .collect()),
                None => Err(io::Error::other("no such name")),
            },
        };
        Box::pin(async move { found })
    };
    let client = Client::within(Bounds::Public { names: Arc::new(look) }, None, Proxies::none()).unwrap();
    (client, looks)
}

/// Whoever connects here is counted.
async fn trap() -> (u16, JoinHandle<usize>, oneshot::Sender<()>) {
    let (listener, address) = listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let counting = tokio::spawn(async move {
        let mut came = 0;
        let mut stopped = stopped.fuse();
        loop {
            tokio::select! {
                biased;
                accepted = listener.accept() => came += usize::from(accepted.is_ok()),
                _ = &mut stopped => return came,
            }
        }
    });
    (address.port(), counting, stop)
}

#[tokio::test]
async fn h10_eighty_places_that_only_we_can_reach_are_never_connected_to() {
    let (port, counting, stop) = trap().await;
    let names: &[(&str, &[&[&str]])] = &[
        ("here.test", &[&["127.0.0.1"]]),
        ("here6.test", &[&["::1"]]),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ("network.test", &[&["10.0.0.1", "192.168.1.1", "172.16.0.1"]]),
        ("cloud.test", &[&["169.254.169.254"]]),
        ("cloud6.test", &[&["fd00:ec2::254"]]),
        ("none.test", &[&[]]),
        ("zero.test", &[&["0.0.0.0"]]),
        ("six2four.test", &[&["2002:7f00:1::1"]]),
        ("nat64.test", &[&["64:ff9b::7f00:1"]]),
        ("several.test", &[&["127.0.0.1", "::1", "fe80::1", "100.64.0.1"]]),
    ];
    let (client, _) = named(names);
    let hosts: Vec<String> = [
        "127.0.0.1",
        "127.0.0.2",
        "127.255.255.254",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0",
        "0.0.0.0",
        "0x0",
        "10.0.0.1",
        "10.1",
        "167772161",
        "0x0a000001",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.1",
        "3232235521",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "4294967295",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2002:a00:1::1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[2001:10::1]",
        "[100::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[ff05::1:3]",
        "[3fff::1]",
        "[5f00::1]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "b.a.LocalHost",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(names.iter().map(|(name, _)| (*name).to_owned()))
    .collect();
    assert!(hosts.len() >= 80, "{}", hosts.len());
    for host in &hosts {
        for scheme in ["http", "https"] {
            let error = error(&client, post(format!("{scheme}://{host}:{port}/"))).await;
            let text = error.to_string();
            assert!(matches!(error, FetchError::NotSent(_)), "{host}: {text}");
            assert!(
                text.ends_with("is not on the public network, and the configuration does not name it"),
                "{host}: {text}"
            );
        }
    }
    stop.send(()).unwrap();
    assert_eq!(counting.await.unwrap(), 0);
}

#[tokio::test]
async fn h10_a_name_that_leads_elsewhere_the_second_time_is_looked_up_once() {
    let (port, counting, stop) = trap().await;
    // Nothing is at the first: what it is looked up for fails, and the second is never asked for.
    let (client, looks) = named(&[("rebinds.test", &[&["10.0.0.1"], &["127.0.0.1"]])]);
    for _ in 0..3 {
        error(&client, post(format!("http://rebinds.test:{port}/"))).await;
    }
    assert_eq!(looks.load(Ordering::SeqCst), 3, "one look for each request");
    stop.send(()).unwrap();
    assert_eq!(counting.await.unwrap(), 0);
}

#[tokio::test]
async fn h10_redirects_to_what_only_we_can_reach_are_not_followed() {
    let (port, counting, stop) = trap().await;
    for code in [301, 302, 303, 307, 308] {
        for target in [
            format!("http://127.0.0.1:{port}/"),
            format!("https://127.0.0.1:{port}/"),
            format!("//localhost:{port}/"),
            format!("http://[::1]:{port}/"),
            format!("http://[::ffff:127.0.0.1]:{port}/"),
            format!("http://2130706433:{port}/"),
            "http://169.254.169.254/latest/".to_owned(),
            "file:///etc/passwd".to_owned(),
            "javascript:1".to_owned(),
        ] {
            let (listener, address) = listen().await;
            let answer = format!("HTTP/1.1 {code} X\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
            let asked = answer_each(listener, vec![answer]);
            let error = error(&client(), post(format!("http://{address}/"))).await;
            assert!(matches!(error, FetchError::Broken(_)), "{code} {target}");
            assert_eq!(asked.await.unwrap().len(), 1);
        }
    }
    stop.send(()).unwrap();
    assert_eq!(counting.await.unwrap(), 0);
}

#[tokio::test]
async fn of_a_name_with_many_addresses_so_many_are_tried() {
    let many: Vec<String> = (0..ADDRESSES_MAX + 9).map(|number| format!("10.0.0.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (client, _) = named(&[("many.test", &[&many])]);
    let error = error(&client, post("http://many.test/")).await;
    assert!(error.to_string().contains("not on the public network"), "{error}");
}
