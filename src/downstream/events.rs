//! One stream of events toward a client: what was said on it, who reads it, and what is kept for one who comes back.
//!
//! Owns the order and the numbers of its events. A stream outlives its connections: whoever reads last reads on where
//! the client says that it was. It knows no HTTP.

use super::replay::Replay;
use super::shelf::{Kept, Shelf};
use crate::wire::fault::{CallOutcome, Fault, Reason};
use crate::wire::id::Id;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A stream of a session. Its label is unique there, and stands in the ids of its events.
#[derive(Debug)]
pub struct Events {
    label: Label,
    shelf: Arc<Shelf>,
    state: Mutex<State>,
    /// There may be room again.
    room: Notify,
    /// The same for whoever looks at all streams of the session.
    any: Arc<Notify>,
}

/// Which stream of its session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    /// The answer to a request, and what comes before it.
    Answer(u64),
    /// What belongs to no request.
    General(u64),
}

#[derive(Debug)]
struct State {
    /// The id of the request that is answered here, if one is.
    asked: Option<Id>,
    log: VecDeque<Event>,
    log_bytes: usize,
    /// The number of the next event.
    next: u64,
    reader: Option<Reader>,
    readers: u64,
    /// Writers that were promised room and have not used it yet: the end waits for them.
    reserved: usize,
    /// How it ends as soon as nothing is reserved.
    ending: Option<Ending>,
    /// Nothing more is said after what is there.
    ended: bool,
    /// Events have been given ids, by which a client may come back.
    resumable: bool,
    /// The client was given one of them.
    named: bool,
    /// Since when nobody reads; of a stream that has ended, since when it may be forgotten.
    left: Left,
}

/// Since when nobody reads a stream.
#[derive(Debug, Clone, Copy)]
enum Left {
    /// It goes on, and was never left.
    GoesOn,
    /// It goes on: who comes back and leaves again begins the time again.
    Since(Instant),
    /// It has ended, and is read by the one who read it then.
    Ended,
    /// It has ended, and nobody read it any more since then. Who comes for it later does not prolong its time.
    Over(Instant),
}

#[derive(Debug)]
enum Ending {
    Answer(Bytes),
    /// There is no answer.
    Silence,
}

#[derive(Debug)]
struct Reader {
    number: u64,
    /// The next event that it gets.
    at: u64,
    /// It waits until there is something to read, or nothing more will come.
    waits: Option<Waker>,
}

#[derive(Debug)]
struct Event {
    number: u64,
    text: Bytes,
    kind: Kind,
    /// Its room among all that is kept; without it the event goes when it was read.
    kept: Option<Kept>,
}

/// What is left of a stream after one of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Something, or it goes on.
    More,
    /// It has ended with that event.
    Nothing,
    /// There was more, and nothing of it is kept.
    Lost,
}

/// What an event is on its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What comes before the answer, or belongs to no request.
    Word,
    Answer,
    /// Stands for an answer that could not be kept.
    Apology,
}

/// What a reader gets.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) number: u64,
    pub(super) text: Bytes,
}

/// Reads a stream, until it is dropped or another does.
#[derive(Debug)]
pub(super) struct Cursor {
    events: Arc<Events>,
    number: u64,
}

/// Room for one event.
#[derive(Debug)]
pub struct Place(Arc<Events>);

impl Label {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok();
        match text.split_at_checked(1)? {
            ("a", rest) => number(rest).map(Self::Answer),
            ("g", rest) => number(rest).map(Self::General),
            _ => None,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer(number) => write!(f, "a{number}"),
            Self::General(number) => write!(f, "g{number}"),
        }
    }
}

impl Event {
    /// Gives it room among all that is kept, if there is any. Its text is a copy then: the room that it had before is
    /// for what a server has just said, and not for what was read long ago.
    fn keep(&mut self, room: Option<Kept>) {
        if room.is_some() {
            self.text = Bytes::copy_from_slice(&self.text);
        }
        self.kept = room;
    }
}

impl Events {
    /// A new one, and whoever reads it from its beginning on.
    pub(super) fn opened(label: Label, shelf: Arc<Shelf>, any: Arc<Notify>) -> Cursor {
        let events = Arc::new(Self {
            label,
            shelf,
            state: Mutex::new(State {
                asked: None,
                log: VecDeque::new(),
                log_bytes: 0,
                next: 1,
                reader: Some(Reader { number: 1, at: 1, waits: None }),
                readers: 1,
                reserved: 0,
                ending: None,
                ended: false,
                resumable: false,
                named: false,
                left: Left::GoesOn,
            }),
            room: Notify::new(),
            any,
        });
        Cursor { events, number: 1 }
    }

    pub(super) fn label(&self) -> Label {
        self.label
    }

    /// The request with this id is answered here; a batch has none.
    pub(super) fn is_asked_by(&self, id: Option<Id>) {
        self.state.lock().asked = id;
    }

    /// From now on its events have ids that a client knows.
    pub(super) fn becomes_resumable(&self) {
        let mut state = self.state.lock();
        if state.resumable {
            return;
        }
        state.resumable = true;
        for event in &mut state.log {
            event.keep(self.shelf.room(event.text.len()));
        }
    }

    /// The client was given an id to come back by before the first event.
    pub(super) fn is_named(&self) {
        self.state.lock().named = true;
    }

    /// Reads from the event after this one; `None`: from the next that nobody has read. Whoever read before gets no
    /// more: a client that comes back has given its old connection up.
    pub(super) fn read(self: &Arc<Self>, after: Option<u64>) -> Cursor {
        let mut state = self.state.lock();
        state.readers += 1;
        let number = state.readers;
        let first = state.log.front().map_or(state.next, |event| event.number);
        let at = after.map_or(first, |after| after.saturating_add(1).min(state.next));
        let before = state.reader.replace(Reader { number, at, waits: None });
        drop(state);
        if let Some(waits) = before.and_then(|reader| reader.waits) {
            waits.wake();
        }
        self.any.notify_waiters();
        Cursor { events: self.clone(), number }
    }

    /// Ends the connection of whoever reads; the client may come back to it as to one that broke.
    pub(super) fn put_down(&self) {
        self.left_by(|_| true);
    }

    pub(super) fn is_read(&self) -> bool {
        self.state.lock().reader.is_some()
    }

    /// Whether nobody reads it, and nobody can come back for it.
    pub(super) fn is_deserted(&self) -> bool {
        let state = self.state.lock();
        state.reader.is_none() && !state.named
    }

    /// Whether its end is settled: nothing but what was reserved is said any more.
    pub(super) fn is_ending(&self) -> bool {
        let state = self.state.lock();
        state.ended || state.ending.is_some()
    }

    pub(super) fn is_resumable(&self) -> bool {
        self.state.lock().resumable
    }

    /// Since when nobody reads, or nobody needs to; `None` while somebody does.
    pub(super) fn left(&self) -> Option<Instant> {
        let state = self.state.lock();
        match state.left {
            Left::Since(at) | Left::Over(at) => state.reader.is_none().then_some(at),
            Left::GoesOn | Left::Ended => None,
        }
    }

    /// What there is for a client that has got this event and all before it.
    pub(super) fn rest_after(&self, number: u64) -> Rest {
        let state = self.state.lock();
        let is_there = |last: &Event| last.number > number;
        match state.ended {
            true if number.saturating_add(1) >= state.next => Rest::Nothing,
            true if !state.log.back().is_some_and(is_there) => Rest::Lost,
            true | false => Rest::More,
        }
    }

    /// Room for one event; `None` when it ends. There always is when nobody reads: then the oldest makes room.
    /// Cancel-safe.
    pub(super) async fn place(self: &Arc<Self>) -> Option<Place> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let place = self.try_place();
            if place.is_some() || self.is_ending() {
                return place;
            }
            room.await;
        }
    }

    /// The same, if there is any now. Nothing is promised that would come after the end: it would be said to nobody.
    pub(super) fn try_place(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state.lock();
        if state.ended || state.ending.is_some() || state.unread() + state.reserved >= UNREAD_MAX {
            return None;
        }
        state.reserved += 1;
        Some(Place(self.clone()))
    }

    /// The last event: the answer to the request of this stream.
    pub(super) fn answer(&self, text: Bytes) {
        self.end_with(Ending::Answer(text));
    }

    /// Nothing more is said; there is no answer.
    pub(super) fn end(&self) {
        self.end_with(Ending::Silence);
    }

    /// Nothing more is said, and why there is no answer is our fault. Says nothing where the end is settled.
    pub(super) fn fail(&self) {
        if self.is_ending() {
            return;
        }
        let fault = Fault::ours(Reason::Internal, "the request failed within Braid; its log says why");
        let text = fault.outcome(CallOutcome::Unknown).render(self.state.lock().asked.as_ref());
        self.answer(text);
    }

    /// Nothing more is said, because its session has ended. Says nothing where the end is settled.
    pub(super) fn cut_off(&self) {
        if self.is_ending() {
            return;
        }
        // A batch has no id by which one word could answer all that it asks.
        let Some(id) = self.state.lock().asked.clone() else { return self.end() };
        let fault = Fault::ours(Reason::Gone, "the session ended before the answer was there");
        self.answer(fault.outcome(CallOutcome::Unknown).render(Some(&id)));
    }

    /// The answer, if it is all that was ever said here: it has ended then, and whoever reads it has it. Else it is said
    /// here after the rest.
    pub(super) fn answer_at_once(&self, text: Bytes, cursor: &Cursor) -> Option<Bytes> {
        let mut state = self.state.lock();
        let is_read = state.reader.as_ref().is_some_and(|reader| reader.number == cursor.number);
        let is_fresh = state.next == 1 && state.reserved == 0 && !state.resumable;
        if !is_read || !is_fresh || state.ended || state.ending.is_some() {
            drop(state);
            self.answer(text);
            return None;
        }
        state.ended = true;
        state.reader = None;
        state.left = Left::Over(Instant::now());
        drop(state);
        self.room.notify_waiters();
        self.any.notify_waiters();
        Some(text)
    }

    /// The reader goes, if it is this one.
    fn left_by(&self, is_this: impl FnOnce(&Reader) -> bool) {
        let mut state = self.state.lock();
        if !state.reader.as_ref().is_some_and(is_this) {
            return;
        }
        let waits = state.reader.take().and_then(|reader| reader.waits);
        state.left = match state.left {
            Left::GoesOn | Left::Since(_) => Left::Since(Instant::now()),
            Left::Ended => Left::Over(Instant::now()),
            Left::Over(at) => Left::Over(at),
        };
        state.trim(self.shelf.bounds());
        drop(state);
        if let Some(waits) = waits {
            waits.wake();
        }
        self.room.notify_waiters();
        self.any.notify_waiters();
    }

    fn end_with(&self, ending: Ending) {
        let mut state = self.state.lock();
        if !state.ended && state.ending.is_none() {
            state.ending = Some(ending);
            self.end_if_due(state);
        }
    }

    /// What was promised room is said before the end: it is nowhere else any more.
    fn end_if_due(&self, mut state: MutexGuard<'_, State>) {
        let mut waits = None;
        if state.reserved == 0
            && let Some(ending) = state.ending.take()
        {
            state.ended = true;
            state.left = match state.reader {
                Some(_) => Left::Ended,
                None => Left::Over(Instant::now()),
            };
            if let Ending::Answer(text) = ending {
                self.push(&mut state, text, Kind::Answer);
            }
            waits = state.waits();
            self.any.notify_waiters();
        }
        drop(state);
        if let Some(waits) = waits {
            waits.wake();
        }
        self.room.notify_waiters();
    }

    fn push(&self, state: &mut State, text: Bytes, kind: Kind) {
        let kept = if state.resumable { state.room(&self.shelf, text.len()) } else { None };
        let number = state.next;
        state.next += 1;
        state.log_bytes += text.len();
        let mut event = Event { number, text, kind, kept: None };
        event.keep(kept);
        state.log.push_back(event);
        state.trim(self.shelf.bounds());
    }

    /// Whether there is something for this reader, and that the answer; `None` at the end.
    fn poll_peek(&self, cx: &Context<'_>, reader: u64) -> Poll<Option<bool>> {
        let mut state = self.state.lock();
        let Some(at) = state.at(reader) else { return Poll::Ready(None) };
        match state.log.iter().find(|event| event.number >= at) {
            Some(event) => Poll::Ready(Some(event.kind != Kind::Word)),
            None => state.waiting(cx),
        }
    }

    /// The next event for this reader; `None` at the end.
    fn poll_next(&self, cx: &Context<'_>, reader: u64) -> Poll<Option<Said>> {
        let mut state = self.state.lock();
        let Some(at) = state.at(reader) else { return Poll::Ready(None) };
        let first = state.log.front().map_or(state.next, |event| event.number);
        let place = usize::try_from(at.max(first) - first).unwrap_or(usize::MAX);
        let said = state.log.get(place).map(|event| Said { number: event.number, text: event.text.clone() });
        let Some(said) = said else { return state.waiting(cx) };
        if let Some(reader) = &mut state.reader {
            reader.at = said.number + 1;
        }
        state.named |= state.resumable;
        state.trim(self.shelf.bounds());
        drop(state);
        self.room.notify_waiters();
        self.any.notify_waiters();
        Poll::Ready(Some(said))
    }
}

impl State {
    /// The next event that this reader gets, if it is the one who reads.
    fn at(&self, reader: u64) -> Option<u64> {
        self.reader.as_ref().filter(|current| current.number == reader).map(|current| current.at)
    }

    /// The reader has read all that there is. It is woken by what comes, if anything does.
    fn waiting<T>(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(reader) = &mut self.reader {
            match &mut reader.waits {
                Some(waits) => waits.clone_from(cx.waker()),
                None => reader.waits = Some(cx.waker().clone()),
            }
        }
        Poll::Pending
    }

    /// Whom to wake, because there is something to read or nothing more will come.
    fn waits(&mut self) -> Option<Waker> {
        self.reader.as_mut()?.waits.take()
    }

    /// Events that the reader has not got; none without a reader.
    fn unread(&self) -> usize {
        let at = self.reader.as_ref().map_or(self.next, |reader| reader.at);
        usize::try_from(self.next.saturating_sub(at)).unwrap_or(usize::MAX)
    }

    /// The first event that is still to be read.
    fn read_to(&self) -> u64 {
        self.reader.as_ref().map_or(u64::MAX, |reader| reader.at)
    }

    fn drop_oldest(&mut self) {
        if let Some(event) = self.log.pop_front() {
            self.log_bytes -= event.text.len();
        }
    }

    /// Room for an event among all that is kept. Where there is none, this stream's own past makes it.
    fn room(&mut self, shelf: &Shelf, bytes: usize) -> Option<Kept> {
        let at = self.read_to();
        loop {
            let room = shelf.room(bytes);
            let is_in_the_way = self.log.front().is_some_and(|front| front.number < at);
            if room.is_some() || !is_in_the_way || bytes > shelf.bounds().bytes_max {
                return room;
            }
            self.drop_oldest();
        }
    }

    /// An answer that cannot be kept, and that was read or that nobody reads: who comes back for it must hear what
    /// became of it. The fault is small and takes no room of its own.
    fn replace_answer(&mut self, replay: &Replay) {
        let at = self.reader.as_ref().map(|reader| reader.at);
        let Some(last) = self.log.back_mut() else { return };
        let bytes = last.text.len();
        let (is_too_long, is_read) = (bytes > replay.bytes_max, at.is_some_and(|at| last.number < at));
        // What nobody reads waits for the one who comes, if it may wait at all.
        let is_lost = is_read || (at.is_none() && is_too_long);
        if last.kind != Kind::Answer || last.kept.is_some() || !is_lost {
            return;
        }
        let (why, setting) = match is_too_long {
            true => ("too many to be kept", "replay_size"),
            false => ("and there was no room to keep it", "replay_total"),
        };
        let text = format!(
            "the answer has {bytes} bytes, {why} for a client that had lost its stream (listen.limits.{setting})"
        );
        let fault = Fault::ours(Reason::TooLarge, text).outcome(CallOutcome::Unknown);
        last.text = fault.render(self.asked.as_ref());
        last.kind = Kind::Apology;
        self.log_bytes = self.log_bytes - bytes + last.text.len();
    }

    /// Drops what is over the bounds, and what was read and cannot be asked for again: what has no room of its own, and
    /// what came before it.
    fn trim(&mut self, replay: &Replay) {
        if self.resumable {
            self.replace_answer(replay);
        }
        let at = self.read_to();
        let is_lost =
            |event: &Event| event.number < at && event.kept.is_none() && event.kind != Kind::Apology;
        let lost = self.log.iter().rposition(is_lost);
        let mut lost = lost.map_or(0, |last| last + 1);
        while let Some(front) = self.log.front() {
            let over = self.log.len() > replay.events_max || self.log_bytes > replay.bytes_max;
            // Without a reader the last word is kept for one who comes: nobody else will say it again.
            let is_last = self.log.len() == 1 && self.reader.is_none() && !over;
            if front.number >= at || is_last || (lost == 0 && !over) {
                return;
            }
            self.drop_oldest();
            lost = lost.saturating_sub(1);
        }
    }
}

impl Cursor {
    /// The next event; `None` at the end, or when another reads by now. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Said> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(super) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Said>> {
        self.events.poll_next(cx, self.number)
    }

    /// Whether what comes next is the answer; `None` at the end. It stays to be read.
    pub(super) fn poll_answered(&self, cx: &Context<'_>) -> Poll<Option<bool>> {
        self.events.poll_peek(cx, self.number)
    }

    pub(super) fn events(&self) -> &Arc<Events> {
        &self.events
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.events.left_by(|reader| reader.number == self.number);
    }
}

impl Place {
    /// Says something on the stream, in its turn.
    pub(super) fn say(self, text: Bytes) {
        let events = &self.0;
        let mut state = events.state.lock();
        if !state.ended {
            events.push(&mut state, text, Kind::Word);
        }
        // The place itself is given back when it is dropped.
        let waits = state.waits();
        drop(state);
        if let Some(waits) = waits {
            waits.wake();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.reserved -= 1;
        self.0.end_if_due(state);
    }
}

/// Events that may wait for one reader.
const UNREAD_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ListenLimits;

    /// A text that somebody counts.
    struct Counted {
        text: Vec<u8>,
        _count: Arc<()>,
    }

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.text
        }
    }

    fn events(limits: &ListenLimits) -> Cursor {
        let shelf = Shelf::new(&Arc::new(Replay::new(limits)), &Arc::default());
        Events::opened(Label::Answer(1), shelf, Arc::default())
    }

    #[tokio::test]
    async fn what_is_kept_to_be_read_again_gives_its_servers_room_back() {
        let limits = ListenLimits { replay_bytes_max: 100, ..ListenLimits::default() };
        let reader = events(&limits);
        let (count, events) = (Arc::new(()), reader.events());
        let say = |bytes| {
            let text = Bytes::from_owner(Counted { text: vec![b'x'; bytes], _count: count.clone() });
            events.try_place().unwrap().say(text);
            Arc::strong_count(&count) - 1
        };
        assert_eq!(say(10), 1);
        events.becomes_resumable();
        assert_eq!(Arc::strong_count(&count) - 1, 0);
        assert_eq!(say(10), 0);
        // Too long to be kept: it goes when it was read.
        assert_eq!(say(101), 1);
    }

    #[tokio::test]
    async fn what_was_promised_room_is_said_before_the_end() {
        for answer in [Some(Bytes::from_static(b"answer")), None] {
            let mut cursor = events(&ListenLimits::default());
            let events = cursor.events().clone();
            let place = events.try_place().unwrap();
            match answer.clone() {
                Some(text) => events.answer(text),
                None => events.end(),
            }
            assert!(events.is_ending());
            assert!(events.try_place().is_none() && events.place().await.is_none());
            place.say(Bytes::from_static(b"promised"));
            assert_eq!(cursor.next().await.unwrap().text, "promised");
            assert_eq!(poll_fn(|cx| cursor.poll_answered(cx)).await, answer.as_ref().map(|_| true));
            assert_eq!(cursor.next().await.map(|said| said.text), answer);
            assert!(events.try_place().is_none() && events.place().await.is_none());
        }
    }

    #[tokio::test]
    async fn an_answer_is_given_at_once_only_where_nothing_else_was_said() {
        let text = || Bytes::from_static(b"answer");
        let cursor = events(&ListenLimits::default());
        assert_eq!(cursor.events().answer_at_once(text(), &cursor), Some(text()));
        assert!(cursor.events().is_ending() && !cursor.events().is_read());
        assert!(cursor.events().place().await.is_none());
        type Before = fn(&mut Cursor) -> Option<Place>;
        let befores: [Before; 4] = [
            |cursor| {
                cursor.events().try_place().unwrap().say(Bytes::from_static(b"word"));
                None
            },
            |cursor| cursor.events().try_place(),
            |cursor| {
                cursor.events().becomes_resumable();
                None
            },
            |cursor| {
                *cursor = cursor.events().read(None);
                None
            },
        ];
        for (number, before) in befores.into_iter().enumerate() {
            let mut cursor = events(&ListenLimits::default());
            let stale = Cursor { events: cursor.events().clone(), number: 1 };
            let place = before(&mut cursor);
            assert_eq!(cursor.events().answer_at_once(text(), &stale), None, "{number}");
            drop(place);
            let mut said = Vec::new();
            while let Some(next) = cursor.next().await {
                said.push(next.text);
            }
            assert_eq!(said.last(), Some(&text()), "{number}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_waits_hears_of_everything() {
        for word in [true, false] {
            let mut cursor = events(&ListenLimits::default());
            let events = cursor.events().clone();
            let read = tokio::spawn(async move { cursor.next().await.map(|said| said.text) });
            tokio::task::yield_now().await;
            match word {
                true => events.try_place().unwrap().say(Bytes::from_static(b"word")),
                false => events.end(),
            }
            assert_eq!(read.await.unwrap(), word.then(|| Bytes::from_static(b"word")));
        }
        // Another reads from now on.
        let mut cursor = events(&ListenLimits::default());
        let events = cursor.events().clone();
        let read = tokio::spawn(async move { cursor.next().await.map(|said| said.text) });
        tokio::task::yield_now().await;
        let _other = events.read(None);
        assert_eq!(read.await.unwrap(), None);
    }
}
