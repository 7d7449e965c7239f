//! Claims about events: written out, and against the standard's own steps on a whole stream.

use proptest::prelude::*;

use super::*;

type Told = Result<SseEvent, EventTooLong>;

/// Everything that can be seen of a decoder.
#[derive(PartialEq, Debug)]
struct Seen {
    told: Vec<Told>,
    last_id: Option<String>,
    retry_ms: Option<u64>,
}

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, event_bytes_max: usize) -> Seen {
    let mut decoder = SseDecoder::new(event_bytes_max);
    let mut told = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        while let Some(event) = decoder.next() {
            told.push(event);
        }
    }
    Seen { told, last_id: decoder.last_id().map(str::to_owned), retry_ms: decoder.retry_ms() }
}

fn told(stream: &str) -> Vec<Told> {
    let whole = decode([stream.as_bytes()], 4096);
    assert_eq!(decode(stream.as_bytes().chunks(1), 4096), whole);
    whole.told
}

fn last(stream: &str) -> Option<String> {
    let whole = decode([stream.as_bytes()], 4096);
    assert_eq!(decode(stream.as_bytes().chunks(1), 4096), whole);
    whole.last_id
}

fn event(name: Option<&'static str>, data: &'static str) -> Told {
    Ok(SseEvent { name: name.map(|name| Bytes::from_static(name.as_bytes())), data: data.into() })
}

fn message(data: &'static str) -> Told {
    event(None, data)
}

#[test]
fn a_line_ends_in_each_of_three_ways() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = ["data: a", "data: b", "", "event: x", "data:c", "", ""].join(end);
        assert_eq!(told(&stream), [message("a\nb"), event(Some("x"), "c")], "{end:?}");
    }
    assert_eq!(told("data: a\r\n\r\rdata: b\n\r\ndata: c\r\r\n"), [message("a"), message("b"), message("c")]);
}

#[test]
fn a_return_at_the_end_of_a_chunk_ends_its_line_at_once() {
    let mut decoder = SseDecoder::new(99);
    decoder.feed(b"data: a\r\n\r");
    assert_eq!(decoder.next(), Some(message("a")));
    assert_eq!(decoder.next(), None);
    decoder.feed(b"\ndata: b\n\n");
    assert_eq!(decoder.next(), Some(message("b")));
}

#[test]
fn one_mark_at_the_start_is_no_text() {
    assert_eq!(told("\u{feff}data: a\n\n"), [message("a")]);
    assert_eq!(told("\u{feff}\u{feff}data: a\n\n"), []);
    assert_eq!(told("data: a\n\n\u{feff}data: b\n\n"), [message("a")]);
    assert_eq!(decode([b"\xef\xbbdata: a\n\ndata: b\n\n".as_slice()], 99).told, [message("b")]);
}

#[test]
fn a_field_may_have_no_colon_and_one_space_is_no_text() {
    assert_eq!(told("data\n\n"), [message("")]);
    assert_eq!(told("data\ndata\n\n"), [message("\n")]);
    assert_eq!(told("data:\n\n"), [message("")]);
    assert_eq!(told("data:  a \n\n"), [message(" a ")]);
    assert_eq!(told("data: a: b\n\n"), [message("a: b")]);
    assert_eq!(told("data : a\n\n Data: a\n\nDATA: a\n\ndatax\n\n"), []);
}

#[test]
fn names_last_for_one_event() {
    assert_eq!(told("event: x\ndata: a\n\ndata: b\n\n"), [event(Some("x"), "a"), message("b")]);
    assert_eq!(told("event: x\n\ndata: b\n\n"), [message("b")]);
    assert_eq!(told("event: x\nevent: y\ndata: b\n\n"), [event(Some("y"), "b")]);
    assert_eq!(told("event: x\nevent\ndata: b\n\n"), [message("b")]);
    assert_eq!(told("event: message\ndata: b\n\n"), [message("b")]);
}

#[test]
fn a_long_name_is_cut() {
    for length in [EVENT_NAME_BYTES_MAX, EVENT_NAME_BYTES_MAX + 1, 9000] {
        let stream = format!("event: {}\ndata: a\n\n", "n".repeat(length));
        let want = Bytes::from("n".repeat(length.min(EVENT_NAME_BYTES_MAX)));
        for size in [1, 100, 99_999] {
            let seen = decode(stream.as_bytes().chunks(size), 9);
            assert_eq!(seen.told, [Ok(SseEvent { name: Some(want.clone()), data: "a".into() })]);
        }
    }
}

#[test]
fn comments_and_unknown_fields_are_nothing() {
    assert_eq!(told(": hello\n:\n\nx: y\nretry\nid2: 4\ndata: a\n:data: b\n\n"), [message("a")]);
}

#[test]
fn an_id_stands_until_another_and_begins_with_the_blank_line() {
    assert_eq!(last("id: 1\ndata: a\n\ndata: b\n\n").as_deref(), Some("1"));
    assert_eq!(last("id: 1\ndata: a\n\nid: 2\ndata: b\n").as_deref(), Some("1"));
    assert_eq!(last("id: 1\ndata: a\n\nid: 2\nid: 3\n\n").as_deref(), Some("3"));
    assert_eq!(last("id: 1\n\nid\n\n"), None);
    assert_eq!(last("id: 1\n\nid:\ndata: a\n\n"), None);
    assert_eq!(last("id: 1\n\nid: 2\0\n\n").as_deref(), Some("1"));
    assert_eq!(last(""), None);
}

#[test]
fn the_event_that_only_gives_an_id_is_kept() {
    let seen = decode([b"id: first\ndata:\n\n".as_slice()], 99);
    assert_eq!((seen.told, seen.last_id.as_deref()), (vec![message("")], Some("first")));
    let seen = decode([b"id: first\n\n".as_slice()], 99);
    assert_eq!((seen.told, seen.last_id.as_deref()), (vec![], Some("first")));
}

#[test]
fn to_take_an_id_back_is_another_thing_than_to_say_none() {
    let taken_back = |text: &str| {
        let mut decoder = SseDecoder::new(99);
        decoder.feed(text.as_bytes());
        while decoder.next().is_some() {}
        (decoder.last_id().is_some(), decoder.id_is_taken_back())
    };
    assert_eq!(taken_back("data: a\n\n"), (false, false));
    assert_eq!(taken_back("id: 1\ndata: a\n\n"), (true, false));
    assert_eq!(taken_back("id\ndata: a\n\n"), (false, true));
    assert_eq!(taken_back("id: 1\n\nid:\n\n"), (false, true));
}

#[test]
fn an_id_that_cannot_be_kept_is_none() {
    for length in [EVENT_ID_BYTES_MAX, EVENT_ID_BYTES_MAX + 1, 9000] {
        let stream = format!("id: 1\n\nid: {}\ndata: a\n\n", "i".repeat(length));
        for size in [1, 100, 99_999] {
            let seen = decode(stream.as_bytes().chunks(size), 0);
            assert_eq!(seen.last_id.is_some(), length == EVENT_ID_BYTES_MAX);
        }
    }
}

#[test]
fn an_id_that_is_not_utf_8_is_none() {
    let seen = decode([b"id: 1\n\nid: \xff\ndata: a\n\n".as_slice()], 99);
    assert_eq!((seen.told, seen.last_id), (vec![message("a")], None));
}

#[test]
fn a_retry_is_digits_alone() {
    let retry = |stream: &str| {
        let seen = decode([stream.as_bytes()], 99);
        assert_eq!(decode(stream.as_bytes().chunks(1), 99), seen);
        seen.retry_ms
    };
    assert_eq!(retry("retry: 1500\n"), Some(1500));
    assert_eq!(retry("retry: 0\n"), Some(0));
    for not in ["", " ", "+1", "-1", "1.5", "1s", " 1", "18446744073709551616"] {
        assert_eq!(retry(&format!("retry: 7\nretry: {not}\n")), Some(7), "{not:?}");
    }
    assert_eq!(retry("retry:18446744073709551615\n"), Some(u64::MAX));
    assert_eq!(retry(&format!("retry: {}7\n", "0".repeat(1023))), Some(7));
    assert_eq!(retry(&format!("retry: {}7\n", "0".repeat(1024))), None);
    assert_eq!(retry(&format!("retry: {}\n", "0".repeat(9000))), None);
}

#[test]
fn what_has_no_blank_line_after_it_is_no_event() {
    assert_eq!(told("data: a"), []);
    assert_eq!(told("data: a\n"), []);
}

#[test]
fn one_line_of_data_is_a_slice_of_what_was_fed() {
    let mut decoder = SseDecoder::new(99);
    decoder.feed(b"data: one\n\n");
    let at = decoder.buffer.as_ptr();
    let Some(Ok(event)) = decoder.next() else { panic!("no event") };
    assert_eq!(event.data.as_ptr(), at.wrapping_add(6));
}

fn too_long(id: Option<&'static str>, response: bool, bytes: u64) -> Told {
    Err(EventTooLong { id: id.map(|id| Bytes::from_static(id.as_bytes())), response, bytes })
}

#[test]
fn an_event_too_long_is_told_once_and_the_next_is_served() {
    let stream = b"data: 12345\n\ndata: 12\ndata: 45\n\nid: 7\ndata: 123456\n\ndata: 1\ndata: 23\ndata: 45\n\ndata:b\n\n";
    for size in [1, 2, 3, 7, 999] {
        let seen = decode(stream.chunks(size), 5);
        let long = [too_long(None, false, 6), too_long(None, false, 7)];
        let [six, seven] = long;
        assert_eq!(seen.told, [message("12345"), message("12\n45"), six, seven, message("b")]);
        // Otherwise the server would begin again with what was too long.
        assert_eq!(seen.last_id.as_deref(), Some("7"));
    }
}

#[test]
fn an_event_too_long_tells_whose_it_is() {
    let line = format!("{{\"result\":{{\"x\":\"{}\"}},\"id\":7}}", "x".repeat(5000));
    for size in [1, 7, 64, 4096, 9999] {
        let stream = format!("event: message\ndata: {line}\nid: 9\n\n: done\n\n");
        let seen = decode(stream.as_bytes().chunks(size), 20);
        assert_eq!(seen.told, [too_long(Some("7"), true, line.len() as u64)]);
        assert_eq!(seen.last_id.as_deref(), Some("9"));
        let split = line.replacen(',', ",\ndata: ", 1);
        let stream = format!("data: {split}\n\n");
        let seen = decode(stream.as_bytes().chunks(size), 20);
        assert_eq!(seen.told, [too_long(Some("7"), true, line.len() as u64 + 1)]);
    }
}

#[test]
fn an_event_without_end_is_told_and_costs_nothing_more() {
    let chunk = vec![b'x'; 1024 * 1024];
    let mut decoder = SseDecoder::new(10);
    decoder.feed(b"data:");
    let (mut fed, mut found) = (0, None);
    while found.is_none() {
        decoder.feed(&chunk);
        fed += chunk.len();
        found = decoder.next();
        assert!(decoder.buffer.capacity() <= 2 * chunk.len());
    }
    assert_eq!(found, Some(too_long(None, false, DISCARD_BYTES_MAX as u64 + 10)));
    assert_eq!(fed, DISCARD_BYTES_MAX + chunk.len());
    decoder.feed(b"\ndata: more\n\ndata: next\n\n");
    assert_eq!((decoder.next(), decoder.next()), (Some(message("next")), None));
}

#[test]
fn a_comment_without_end_costs_nothing() {
    let mut decoder = SseDecoder::new(10);
    decoder.feed(b":");
    for _ in 0..64 {
        decoder.feed(&[b'x'; 64 * 1024]);
        assert_eq!(decoder.next(), None);
        assert_eq!(decoder.buffer.capacity(), 0);
    }
    decoder.feed(b"\ndata: a\n\n");
    assert_eq!(decoder.next(), Some(message("a")));
}

#[test]
fn a_large_buffer_is_given_back() {
    let mut decoder = SseDecoder::new(4 * 1024 * 1024);
    for _ in 0..3 {
        decoder.feed(b"data: ");
        decoder.feed(&vec![b'x'; 2 * 1024 * 1024]);
        assert_eq!(decoder.next(), None);
        decoder.feed(b"\n\ndata: ha");
        assert!(matches!(decoder.next(), Some(Ok(event)) if event.data.len() == 2 * 1024 * 1024));
        assert_eq!(decoder.next(), None);
        assert!(decoder.buffer.capacity() <= BUFFER_KEPT_BYTES_MAX);
        decoder.feed(b"lf\n\n");
        assert_eq!(decoder.next(), Some(message("half")));
    }
}

#[test]
fn what_is_written_is_these_bytes() {
    let mut out = BytesMut::new();
    sse_event(&mut out, Some("7"), Some("endpoint"), b"/messages?s=1");
    assert_eq!(out, "id: 7\nevent: endpoint\ndata: /messages?s=1\n\n");
    out.clear();
    sse_event(&mut out, None, None, b"");
    assert_eq!(out, "data: \n\n");
    out.clear();
    sse_event(&mut out, Some("1\r\ndata: x"), Some("a\nb"), b"a\r\nb\rc\n\nd\n");
    assert_eq!(out, "id: 1  data: x\nevent: a b\ndata: a\ndata: b\ndata: c\ndata: \ndata: d\ndata: \n\n");
    out.clear();
    sse_retry(&mut out, 3000);
    sse_comment(&mut out, "still\nhere");
    assert_eq!(out, "retry: 3000\n\n: still here\n\n");
}

/// The steps of the standard, on a whole stream, with our bounds.
fn by_the_book(stream: &[u8], event_bytes_max: usize) -> Seen {
    let mut seen = Seen { told: Vec::new(), last_id: None, retry_ms: None };
    let text = stream.strip_prefix(MARK).unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    let mut returned = false;
    for byte in text {
        if *byte == b'\r' || (*byte == b'\n' && !returned) {
            lines.push(Vec::new());
        } else if *byte != b'\n' {
            lines.last_mut().unwrap().push(*byte);
        }
        returned = *byte == b'\r';
    }
    // What stands after the last end of a line is no line.
    lines.pop();
    let (mut name, mut data, mut id) = (Vec::new(), Vec::new(), None);
    for line in lines {
        if line.is_empty() {
            if let Some(id) = id.take() {
                seen.last_id = id;
            }
            let (name, mut data) = (std::mem::take(&mut name), std::mem::take(&mut data));
            if data.pop().is_none() {
                continue;
            }
            if data.len() > event_bytes_max {
                let mut glimpse = Glimpse::default();
                glimpse.feed(&data);
                let (id, response) = (glimpse.id(), glimpse.is_response());
                seen.told.push(Err(EventTooLong { id, response, bytes: data.len() as u64 }));
            } else {
                let name = (!name.is_empty() && name != b"message").then(|| Bytes::from(name));
                seen.told.push(Ok(SseEvent { name, data: data.into() }));
            }
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => name = value[..value.len().min(EVENT_NAME_BYTES_MAX)].to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"id" if value.is_empty() || value.len() > EVENT_ID_BYTES_MAX => id = Some(None),
            b"id" if !value.contains(&0) => id = Some(String::from_utf8(value.to_vec()).ok()),
            b"retry" if value.iter().all(u8::is_ascii_digit) && value.len() <= RETRY_DIGITS_MAX => {
                let number = std::str::from_utf8(value).unwrap().parse().ok();
                seen.retry_ms = number.or(seen.retry_ms);
            }
            _ => {}
        }
    }
    seen
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\n".to_vec()),
        2 => Just(b"\r".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(MARK.to_vec()),
        4 => Just(b"data: ".to_vec()),
        2 => Just(b"data:".to_vec()),
        1 => Just(b"data".to_vec()),
        2 => Just(b"id: 1".to_vec()),
        1 => Just(b"id:\0".to_vec()),
        1 => Just(b"id".to_vec()),
        1 => Just(b"event: x".to_vec()),
        1 => Just(b"event: message".to_vec()),
        1 => Just(b"retry: 20".to_vec()),
        1 => Just(b": ".to_vec()),
        2 => Just(b"{\"id\":12,\"result\":{}}".to_vec()),
        1 => Just(b"\n\n".to_vec()),
        1 => (0usize..3000).prop_map(|count| vec![b'y'; count]),
        2 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_what_the_standard_says(
        stream in streams(),
        sizes in prop::collection::vec(1usize..40, 1..20),
        event_bytes_max in prop_oneof![0usize..40, Just(1500), Just(99_999)],
    ) {
        let want = by_the_book(&stream, event_bytes_max);
        prop_assert_eq!(&decode([stream.as_slice()], event_bytes_max), &want);
        prop_assert_eq!(&decode(stream.chunks(1), event_bytes_max), &want);
        let (mut chunks, mut rest) = (Vec::new(), stream.as_slice());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*size).min(rest.len()));
            chunks.push(head);
            rest = tail;
        }
        prop_assert_eq!(&decode(chunks, event_bytes_max), &want);
    }

    #[test]
    fn what_is_written_is_read(
        id in prop::option::of("[^\r\n\0]{1,20}"),
        name in prop::option::of("[^\r\n]{1,20}"),
        data in "(\\PC|\n){0,60}",
    ) {
        prop_assume!(name.as_deref() != Some("message"));
        let mut out = BytesMut::new();
        sse_comment(&mut out, "before");
        sse_event(&mut out, id.as_deref(), name.as_deref(), data.as_bytes());
        sse_retry(&mut out, 5);
        let seen = decode([out.as_ref()], 999);
        let told = vec![Ok(SseEvent { name: name.map(Bytes::from), data: data.into() })];
        prop_assert_eq!(seen, Seen { told, last_id: id, retry_ms: Some(5) });
    }
}

#[test]
fn pieces_are_the_event_and_a_long_text_is_not_copied() {
    let long = Bytes::from(vec![b'x'; COPIED_BYTES_MAX + 1]);
    let broken = Bytes::from([b"a\nb".as_slice(), &long].concat());
    let mut pieces = SsePieces::default();
    let mut whole = BytesMut::new();
    for text in [&Bytes::from_static(b"short"), &long, &broken, &Bytes::new()] {
        pieces.event(Some("1"), Some("message"), text);
        sse_event(&mut whole, Some("1"), Some("message"), text);
    }
    let pieces = pieces.into_pieces();
    assert_eq!(pieces.concat(), whole);
    assert!(pieces.iter().any(|piece| piece.as_ptr() == long.as_ptr()), "it is the text itself");
    assert!(SsePieces::default().into_pieces().is_empty());
}
