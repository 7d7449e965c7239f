//! Claims about connections: which are used again, which are not, and that nothing goes twice.

use super::*;
use crate::upstream::fetch::pool::{IDLE_CONNECTION_KEPT, IDLE_CONNECTIONS_MAX};
use futures::future::join_all;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n";

async fn fine(client: &Client, address: SocketAddr) {
    let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
}

/// Resolves when we have heard all that has happened to sockets by now.
async fn noticed() {
    let (listener, address) = listen().await;
    let (socket, _) = tokio::join!(TcpStream::connect(address), listener.accept());
    drop(socket.unwrap());
}

#[tokio::test]
async fn one_is_used_again_however_its_answers_end() {
    let (listener, address) = listen().await;
    let none = "HTTP/1.1 204 No Content\r\n\r\n";
    let later = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for answer in [CHUNKED, FINE, none, later, CHUNKED] {
            hear(&mut socket).await.unwrap();
            for piece in answer.as_bytes().chunks(7) {
                socket.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        listener
    });
    let client = client();
    for wanted in ["fine", "fine", "", "fine", "fine"] {
        let response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
        assert_eq!(read_whole(response.body, 99).await, Ok(wanted.into()));
    }
    assert!(server.await.unwrap().accept().now_or_never().is_none());
}

#[tokio::test]
async fn one_whose_server_says_that_it_closes_is_not_used_again() {
    let (listener, address) = listen().await;
    let answers = [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine",
        "HTTP/1.0 200 OK\r\n\r\nfine",
    ];
    let server = tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            hear(&mut socket).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains("close") {
                assert_eq!(socket.read(&mut [0; 9]).await.unwrap(), 0, "we close it");
            }
        }
    });
    let client = client();
    fine(&client, address).await;
    fine(&client, address).await;
    server.await.unwrap();
    assert_eq!(client.0.pool.len(), 0);
}

#[tokio::test]
async fn one_that_was_closed_while_it_waited_fails_nobody() {
    for last_word in ["", "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"] {
        let (listener, address) = listen().await;
        let server = tokio::spawn(async move {
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().await.unwrap();
                hear(&mut socket).await.unwrap();
                socket.write_all(FINE.as_bytes()).await.unwrap();
                socket.write_all(last_word.as_bytes()).await.unwrap();
            }
        });
        let client = client();
        fine(&client, address).await;
        noticed().await;
        fine(&client, address).await;
        server.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_sent_twice() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        hear(&mut socket).await.unwrap();
        socket.write_all(FINE.as_bytes()).await.unwrap();
        hear(&mut socket).await.unwrap();
        listener
    });
    let client = client();
    fine(&client, address).await;
    let found = error(&client, post(format!("http://{address}/"))).await;
    assert_eq!(found, broken(format!("{address} closed the connection before it had answered")));
    noticed().await;
    assert!(server.await.unwrap().accept().now_or_never().is_none());
    assert_eq!(client.0.pool.len(), 0);
}

#[tokio::test]
async fn one_is_not_used_again_before_its_answer_was_read() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        hear(&mut socket).await.unwrap();
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfine\r\n")
            .await
            .unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        hear(&mut other).await.unwrap();
        other.write_all(FINE.as_bytes()).await.unwrap();
        assert_eq!(socket.read(&mut [0; 9]).await.unwrap_or_default(), 0);
    });
    let client = client();
    let mut response = client.fetch(post(format!("http://{address}/"))).await.unwrap();
    assert_eq!(response.body.next().await, Some(Ok("fine".into())));
    fine(&client, address).await;
    drop(response);
    server.await.unwrap();
    assert_eq!(client.0.pool.len(), 1);
}

#[tokio::test]
async fn no_more_wait_than_may() {
    let (listener, address) = listen().await;
    let count = IDLE_CONNECTIONS_MAX + 3;
    let server = tokio::spawn(async move {
        let mut sockets = Vec::new();
        while sockets.len() < count {
            let (mut socket, _) = listener.accept().await.unwrap();
            hear(&mut socket).await.unwrap();
            sockets.push(socket);
        }
        for socket in &mut sockets {
            socket.write_all(FINE.as_bytes()).await.unwrap();
        }
        sockets
    });
    let client = client();
    join_all((0..count).map(|_| fine(&client, address))).await;
    let sockets = server.await.unwrap();
    assert_eq!(client.0.pool.len(), IDLE_CONNECTIONS_MAX);
    noticed().await;
    let closed = sockets.iter().filter(|socket| matches!(socket.try_read(&mut [0; 9]), Ok(0))).count();
    assert_eq!(closed, 3);
}

#[tokio::test]
async fn none_waits_for_ever() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            hear(&mut socket).await.unwrap();
            socket.write_all(FINE.as_bytes()).await.unwrap();
            sockets.push(socket);
        }
        sockets
    });
    let client = client();
    fine(&client, address).await;
    tokio::time::pause();
    tokio::time::advance(IDLE_CONNECTION_KEPT - Duration::from_millis(1)).await;
    assert_eq!(client.0.pool.len(), 1);
    tokio::time::advance(Duration::from_millis(2)).await;
    tokio::task::yield_now().await;
    assert_eq!(client.0.pool.len(), 0, "without anybody asking for it");
    tokio::time::resume();
    fine(&client, address).await;
    let mut sockets = server.await.unwrap();
    assert_eq!(sockets[0].read(&mut [0; 9]).await.unwrap(), 0);
    // The next is swept as well, and none is left when the client is gone.
    assert_eq!(client.0.pool.len(), 1);
    drop(client);
    assert_eq!(sockets[1].read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test]
async fn each_origin_has_its_own() {
    let (one, here) = listen().await;
    let (two, there) = listen().await;
    let serve = |listener: TcpListener| async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            hear(&mut socket).await.unwrap();
            socket.write_all(FINE.as_bytes()).await.unwrap();
        }
    };
    let servers = [tokio::spawn(serve(one)), tokio::spawn(serve(two))];
    let client = client();
    for address in [here, there, here, there] {
        fine(&client, address).await;
    }
    for server in servers {
        server.await.unwrap();
    }
    assert_eq!(client.0.pool.len(), 2);
}

/// More than a socket holds that nobody reads.
fn large(address: SocketAddr) -> FetchRequest {
    FetchRequest { body: vec![b'x'; 8 * 1024 * 1024].into(), ..post(format!("http://{address}/")) }
}

#[tokio::test]
async fn an_answer_may_come_before_all_is_written() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nfine").await.unwrap();
        socket
    });
    let client = client();
    let response = client.fetch(large(address)).await.unwrap();
    assert_eq!(response.status, 413);
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    assert_eq!(client.0.pool.len(), 0, "half of a request is on it");
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_left_of_a_request_is_written_while_its_answer_is_read() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let mut heard = 0;
        while heard < 8 * 1024 * 1024 {
            heard += socket.read(&mut vec![0; 64 * 1024]).await.unwrap();
        }
        socket.write_all(b"4\r\nfine\r\n0\r\n\r\n").await.unwrap();
        socket
    });
    let client = client();
    let response = client.fetch(large(address)).await.unwrap();
    assert_eq!(read_whole(response.body, 99).await, Ok("fine".into()));
    server.await.unwrap();
}

#[tokio::test]
async fn a_request_is_written_to_its_end_though_its_answer_is_over() {
    for answer in ["HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", CHUNKED] {
        let (listener, address) = listen().await;
        let (tell, told) = oneshot::channel();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            told.await.unwrap();
            let mut heard = 0;
            while heard < 8 * 1024 * 1024 {
                let count = socket.read(&mut vec![0; 64 * 1024]).await.unwrap();
                assert!(count > 0, "it was cut after {heard} bytes");
                heard += count;
            }
        });
        let client = client();
        let response = client.fetch(large(address)).await.unwrap();
        read_whole(response.body, 99).await.unwrap();
        tell.send(()).unwrap();
        server.await.unwrap();
    }
}
