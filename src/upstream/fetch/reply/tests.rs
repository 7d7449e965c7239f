//! Claims about answers, in whatever pieces they come.

use super::*;
use proptest::prelude::*;

/// What is read of an answer: its status, whether another may follow, its body, and what is left behind it.
type Read<T> = Result<(u16, bool, T, T), Option<Garbled>>;

/// The end of the connection comes after the last piece.
fn read(pieces: &[&[u8]]) -> Read<Vec<u8>> {
    let (mut input, mut heads) = (BytesMut::new(), Heads::to(&Method::POST));
    let mut pieces = pieces.iter();
    let mut more = |input: &mut BytesMut| pieces.next().map(|piece| input.extend_from_slice(piece));
    let mut head = loop {
        more(&mut input).ok_or(None)?;
        if let Some(head) = heads.take(&mut input).map_err(Some)? {
            break head;
        }
    };
    let mut body = Vec::new();
    loop {
        match head.rest.take(&mut input).map_err(Some)? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::End => break,
            Piece::None if more(&mut input).is_some() => {}
            Piece::None if head.rest.may_end() => break,
            Piece::None => return Err(None),
        }
    }
    while more(&mut input).is_some() {}
    Ok((head.status.as_u16(), head.keeps, body, input.to_vec()))
}

fn whole(answer: &str) -> Read<String> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    read(&[answer.as_bytes()]).map(|(status, keeps, body, rest)| (status, keeps, text(body), text(rest)))
}

fn is(status: u16, keeps: bool, body: &str, rest: &str) -> Read<String> {
    Ok((status, keeps, body.into(), rest.into()))
}

#[test]
fn where_a_body_ends_is_told_in_three_ways() {
    assert_eq!(whole("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfinerest"), is(200, true, "fine", "rest"));
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
                  3\r\none\r\n00A ; x=\"y\"\r\n0123456789\r\n0\r\na: trailer\r\n\r\nrest";
    assert_eq!(whole(chunks), is(200, true, "one0123456789", "rest"));
    assert_eq!(whole("HTTP/1.1 200 OK\r\n\r\nall of it"), is(200, false, "all of it", ""));
    assert_eq!(whole("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), is(200, true, "", ""));
    assert_eq!(
        whole("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ncontent-length: 1\r\n\r\nabc"),
        is(200, false, "abc", "")
    );
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    for status in [204, 304] {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\nrest");
        assert_eq!(whole(&answer), is(status, true, "", "rest"));
    }
    let mut input = BytesMut::from("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nrest");
    let head = Heads::to(&Method::HEAD).take(&mut input).unwrap().unwrap();
    assert_eq!((head.rest, &input[..]), (Rest::Length(0), &b"rest"[..]));
}

#[test]
fn what_only_says_that_an_answer_comes_is_none() {
    let wait = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\n";
    let fine = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
    assert_eq!(whole(&format!("{wait}{fine}")), is(200, true, "x", ""));
    assert_eq!(whole("HTTP/1.1 101 Other\r\n\r\nother"), is(101, false, "", "other"));
    assert_eq!(whole(&"HTTP/1.1 100 X\r\n\r\n".repeat(99)), Err(Some(Garbled::HeadTooLarge)));
}

#[test]
fn who_says_so_is_not_asked_again() {
    let keeps = |head: &str| {
        whole(&format!("{head}\r\ncontent-length: 0\r\n\r\n")).map(|(_, keeps, _, _)| keeps).unwrap()
    };
    assert!(keeps("HTTP/1.1 200 OK\r\nconnection: keep-alive"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: x, Close"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive, close"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: close, keep-alive"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive"));
    assert!(!keeps("HTTP/1.0 200 OK") && keeps("HTTP/1.0 200 OK\r\nConnection: Keep-Alive"));
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(whole(both), is(200, false, "", ""));
}

#[test]
fn what_two_readers_could_read_differently_is_no_answer() {
    for head in [
        "no HTTP",
        "HTTP/2 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2",
        "HTTP/1.1 200 OK\r\ncontent-length: 1, 2",
        "HTTP/1.1 200 OK\r\ncontent-length: +1",
        "HTTP/1.1 200 OK\r\ncontent-length:",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
        "HTTP/1.1 200 OK\r\na b: 1",
        "HTTP/1.1 200 OK\r\na : 1",
        "HTTP/1.1 200 OK\r\na: 1\r\n b",
        "HTTP/1.1 200 OK\r\na: \0",
    ] {
        assert_eq!(whole(&format!("{head}\r\n\r\nx")), Err(Some(Garbled::NoHttp)), "{head}");
    }
    for body in
        ["\r\n", "g\r\n", "+1\r\nx", "1\nx\r\n", "1\r\nxy\r\n", "1\r\nx\n0\r\n\r\n", "ffffffffffffffff0\r\n"]
    {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
        assert_eq!(whole(&answer), Err(Some(Garbled::NoHttp)), "{body:?}");
    }
    // What is no HTTP is seen before it ends.
    assert_eq!(whole("SSH-2.0"), Err(Some(Garbled::NoHttp)));
}

#[test]
fn nothing_grows_without_a_bound() {
    let head = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(HEAD_BYTES_MAX));
    assert_eq!(whole(&head), Err(Some(Garbled::HeadTooLarge)));
    assert_eq!(whole(&format!("{head}\r\n\r\n")), Err(Some(Garbled::HeadTooLarge)));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: 1\r\n".repeat(HEADERS_MAX + 1));
    assert_eq!(whole(&many), Err(Some(Garbled::HeadTooLarge)));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = format!("{chunked}1;{}", "x".repeat(LINE_BYTES_MAX));
    assert_eq!(whole(&long), Err(Some(Garbled::NoHttp)));
    let chatty = format!("1;{}\r\nx\r\n", "x".repeat(1024)).repeat(17);
    assert_eq!(whole(&format!("{chunked}{chatty}")), Err(Some(Garbled::NoHttp)));
    let trailing = format!("{chunked}0\r\n{}", format!("a: {}\r\n", "x".repeat(1024)).repeat(17));
    assert_eq!(whole(&trailing), Err(Some(Garbled::NoHttp)));
}

#[test]
fn a_body_that_ends_early_is_none() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nconte",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n",
    ] {
        assert_eq!(whole(answer), Err(None), "{answer}");
    }
}

proptest! {
    #[test]
    fn an_answer_is_the_same_in_whatever_pieces_it_comes(
        interim in any::<bool>(),
        chunks in proptest::option::of(proptest::collection::vec("[a-z\r\n]{1,40}", 0..5)),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut answer = if interim { "HTTP/1.1 102 Wait\r\n\r\n".to_owned() } else { String::new() };
        match &chunks {
            Some(chunks) => {
                answer.push_str("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for chunk in chunks {
                    answer.push_str(&format!("{:x};a=b\r\n{chunk}\r\n", chunk.len()));
                }
                answer.push_str("0\r\nb: c\r\n\r\n");
            }
            None => answer.push_str("HTTP/1.1 404 X\r\nContent-Length: 7\r\n\r\n\r\n\r\n\r\nx"),
        }
        answer.push_str("rest");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(answer.len())).collect();
        cuts.sort_unstable();
        let bytes = answer.as_bytes();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(read(&pieces), read(&[bytes]));
        let body = chunks.map_or_else(|| "\r\n\r\n\r\nx".to_owned(), |chunks| chunks.concat());
        prop_assert_eq!(read(&[bytes]).unwrap().2, body.into_bytes());
    }

    #[test]
    fn no_bytes_at_all_are_a_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for head in ["", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] {
            let _ = read(&[head.as_bytes(), &bytes]);
        }
    }
}

#[test]
fn a_size_may_be_as_wide_as_its_place() {
    let chunks = "1     \r\nx\r\n".repeat(8000);
    let (_, _, body, _) =
        whole(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")).unwrap();
    assert_eq!(body.len(), 8000);
}
