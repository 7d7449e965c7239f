//! Claims about bodies whose length is announced: read in one piece, bounded, and believed only as far as they come.

use super::*;

/// An answer that says that its body has this length.
fn announced(length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Without the room before it.
fn bare(body: Bytes) -> Bytes {
    body.slice(body.len() - body.trim_ascii_start().len()..)
}

async fn whole_of(answer: String, bytes_max: usize) -> Result<Bytes, BodyError> {
    let (address, _server) = served(&[&answer]).await;
    let response = client().fetch(post(format!("http://{address}/"))).await.unwrap();
    response.body.whole(bytes_max, |_| true).await.map(bare)
}

#[tokio::test]
async fn one_of_any_length_is_whole_and_leaves_its_connection() {
    let (listener, address) = listen().await;
    let lengths = [1, 9_000, 65_536, 300_000, 5_000_000, 3];
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for length in lengths {
            hear(&mut socket).await.unwrap();
            socket.write_all(announced(length, &"x".repeat(length)).as_bytes()).await.unwrap();
        }
        listener
    });
    let client = client();
    for length in lengths {
        let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
        let mut asked = Vec::new();
        let has_room = |bytes| {
            asked.push(bytes);
            true
        };
        let body = bare(response.body.whole(length, has_room).await.unwrap());
        assert!(body.len() == length && body.iter().all(|byte| *byte == b'x'));
        // One that was there with its head is a part of what it came with.
        assert_eq!(asked.last(), Some(&length));
        assert!(asked.is_sorted(), "{asked:?}");
    }
    assert!(server.await.unwrap().accept().now_or_never().is_none());
}

#[tokio::test]
async fn one_that_announces_too_much_is_not_read() {
    let found = whole_of(announced(20_001, "x"), 20_000).await;
    assert_eq!(found, Err(BodyError::TooLarge { bytes_max: 20_000 }));
    let found = whole_of(announced(usize::MAX, "x"), 20_000).await;
    assert_eq!(found, Err(BodyError::TooLarge { bytes_max: 20_000 }));
}

#[tokio::test]
async fn one_that_is_cut_is_broken() {
    let found = whole_of(announced(20_000, &"x".repeat(19_999)), 20_000).await;
    let Err(BodyError::Fetch(FetchError::Broken(why))) = found else { panic!("{found:?}") };
    assert!(why.ends_with("closed the connection in the middle of its answer"), "{why}");
}

#[tokio::test]
async fn one_that_is_longer_than_it_said_ends_its_connection() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        for more in ["more", ""] {
            let (mut socket, _) = listener.accept().await.unwrap();
            hear(&mut socket).await.unwrap();
            let answer = announced(20_000, &"x".repeat(20_000)) + more;
            socket.write_all(answer.as_bytes()).await.unwrap();
            if !more.is_empty() {
                assert_eq!(socket.read(&mut [0; 9]).await.unwrap_or_default(), 0, "we close it");
            }
        }
    });
    let client = client();
    for _ in 0..2 {
        let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
        let body = response.body.whole(20_000, |_| true).await.unwrap();
        assert_eq!(bare(body), "x".repeat(20_000));
    }
    server.await.unwrap();
}

#[tokio::test]
async fn one_without_room_is_not_kept() {
    let (address, _server) = served(&[&announced(5_000_000, &"x".repeat(5_000_000))]).await;
    let response = client().fetch(post(format!("http://{address}/"))).await.unwrap();
    let found = response.body.whole(5_000_000, |bytes| bytes <= 1_000_000).await;
    // What comes at once is bounded, so that little more than there is room for was ever here.
    let Err(BodyError::NoRoom { bytes }) = found else { panic!("it was kept") };
    assert!((1_000_001..=1_000_000 + 256 * 1024).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn one_that_is_not_announced_is_whole_as_well() {
    let chunk = "x".repeat(9_000);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2328\r\n{chunk}\r\n2328\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert_eq!(whole_of(chunked.clone(), 18_000).await, Ok("x".repeat(18_000).into()));
    assert_eq!(whole_of(chunked, 17_999).await, Err(BodyError::TooLarge { bytes_max: 17_999 }));
    let to_the_end = format!("HTTP/1.1 200 OK\r\n\r\n{chunk}");
    assert_eq!(whole_of(to_the_end, 9_000).await, Ok(chunk.into()));
}
