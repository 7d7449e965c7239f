//! One `subscriptions/listen`: what its client wants to hear of, for as long as it is open (2026-07-28,
//! basic/patterns/subscriptions).
//!
//! It is a guest of its door as any request is. Lists are watched in what the door shows; resources are subscribed to at
//! their servers, and unsubscribed from when the guest leaves. Everything that it says carries its own id. Nothing of
//! progress or of logs is said here.

use super::answer::Answer;
use super::base::Admission;
use super::ladder;
use super::lobby::Lobby;
use crate::downstream::news::{Given, News};
use crate::hub::begin::{self, Asked, response};
use crate::hub::seat::Seat;
use crate::mcp::askable::Askable;
use crate::mcp::method::{Kind, Method, cancelled};
use crate::mcp::revision::Revision;
use crate::upstream::allowance::Permits;
use crate::upstream::exchange::Step;
use crate::upstream::hearing::Hearing;
use crate::upstream::lookout::Came;
use crate::upstream::mail::Letter;
use crate::wire::caps::Caps;
use crate::wire::fault::Fault;
use crate::wire::id::Id;
use crate::wire::lines::one_line;
use crate::wire::members::{elements, member, string};
use crate::wire::message::{Message, SERVER_INFO_KEY, SUBSCRIPTION_KEY};
use crate::wire::splice::{New, splice};
use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Everything that one listener needs.
pub(super) struct Listen {
    pub(super) lobby: Lobby,
    pub(super) admission: Admission,
    pub(super) id: Id,
    pub(super) message: Message,
    pub(super) notes: mpsc::Sender<Bytes>,
}

/// What a client wants to hear of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    lists: Vec<&'static str>,
    /// As the client wrote them, quotes included.
    resources: Vec<String>,
}

impl Listen {
    /// Listens until we stop. The answer: it is over, or why it never began.
    pub(super) async fn run(self) -> Answer {
        let id = self.id.clone();
        match self.served().await {
            Ok(answer) => answer,
            Err(fault) => Answer::fault(&fault, Some(&id)),
        }
    }

    async fn served(self) -> Result<Answer, Fault> {
        let Self { lobby, admission, id, message, notes } = self;
        let base = &admission.0;
        let _place = base.listening()?;
        let filter = Filter::read(&message)?;
        refuse_tasks(&message)?;
        drop(message);
        let guest = base.seat.lasting_guest();
        guest.introduce(Revision::MODERN, "{}");
        let given = Given::default();
        let catalog = guest.view().catalog();
        for kind in Kind::ALL.into_iter().filter(|kind| filter.wants(*kind)) {
            given.give(kind, *catalog.digest(kind));
        }
        drop(catalog);
        let mut news = News::new(&guest, given);
        // A server that is still starting cannot agree yet, and nobody asks it later.
        let until = base.patience.max(Instant::now() + SUBSCRIBED_WITHIN);
        let listening = async {
            let early = Mutex::new(Vec::new());
            let honored = filter.honored(&lobby, &guest, until, &early).await;
            let say = async |text: Bytes| {
                if let Some(text) = stamped(text, &id) {
                    notes.send(text).await.ok();
                }
            };
            say(acknowledged(&honored).into()).await;
            for text in early.into_inner() {
                say(text).await;
            }
            loop {
                tokio::select! {
                    biased;
                    note = news.next() => {
                        for text in note.texts() {
                            say(text).await;
                        }
                        news.told(&note);
                    }
                    () = guest.mail().waits() => {
                        // What is asked is refused by being dropped; what is logged or counted is no listener's.
                        if let Some(Letter::Note(note)) = guest.mail().take()
                            && is_update(&note.text)
                        {
                            say(note.text).await;
                        }
                    }
                }
            }
        };
        // Also while its client does not read.
        let stopping = lobby.hub.stopping();
        lobby.closing.run_until_cancelled(stopping.run_until_cancelled(listening)).await;
        Ok(over(&lobby, &id))
    }
}

impl Filter {
    fn read(message: &Message) -> Result<Self, Fault> {
        let params = message.params().and_then(|params| params.object).map(|span| message.str(span));
        let filter = params.and_then(|params| member(params, "notifications"));
        let Some(filter) = filter.filter(|filter| filter.starts_with('{')) else {
            return Err(Fault::invalid_params("`params.notifications` must be an object"));
        };
        let wanted = |key: &&str| member(filter, key) == Some("true");
        let resources = match member(filter, "resourceSubscriptions") {
            None | Some("null") => Vec::new(),
            Some(all) => {
                let all = elements(all).filter(|all| all.iter().all(|uri| string(uri).is_some()));
                all.ok_or_else(|| {
                    Fault::invalid_params("`resourceSubscriptions` must be an array of strings")
                })?
            }
        };
        if resources.len() > RESOURCES_MAX {
            return Err(Fault::invalid_params(format!("more than {RESOURCES_MAX} `resourceSubscriptions`")));
        }
        let resources = resources.into_iter().map(str::to_owned).collect();
        Ok(Self { lists: LISTS.into_iter().filter(wanted).collect(), resources })
    }

    /// Of templates a client hears with the resources.
    fn wants(&self, kind: Kind) -> bool {
        let key = match kind {
            Kind::Tools => TOOLS,
            Kind::Prompts => PROMPTS,
            Kind::Resources | Kind::Templates => RESOURCES,
        };
        self.lists.contains(&key)
    }

    /// The same without what no server tells of, as far as they have said so until this moment.
    async fn honored(self, lobby: &Lobby, guest: &Seat, until: Instant, early: &Mutex<Vec<Bytes>>) -> Self {
        let each = self.resources.into_iter().map(|uri| async move {
            let subscribed = timeout_at(until, subscribed(lobby, guest, &uri, until, early)).await;
            subscribed.unwrap_or_default().then_some(uri)
        });
        let all: Vec<_> = futures::stream::iter(each).buffered(AT_ONCE_MAX).collect().await;
        Self { lists: self.lists, resources: all.into_iter().flatten().collect() }
    }
}

/// Whether the server of a resource has agreed to tell of it. `uri` is a JSON string; `early`: what was told of others
/// meanwhile.
async fn subscribed(
    lobby: &Lobby,
    guest: &Seat,
    uri: &str,
    patience: Instant,
    early: &Mutex<Vec<Bytes>>,
) -> bool {
    let text =
        format!(r#"{{"jsonrpc":"2.0","id":0,"method":"resources/subscribe","params":{{"uri":{uri}}}}}"#);
    let Some(memory) = guest.allowance().request(text.len()) else { return false };
    let Ok(message) = Message::parse_client(text.into(), Caps::default()) else { return false };
    let Some(id) = message.id() else { return false };
    let asked = Asked {
        seat: guest,
        id: &id,
        message: &message,
        // It is no call, and so in no trace: how it came is nobody's affair.
        hearing: Hearing::now(Came::Http, Revision::MODERN),
        revision: Revision::MODERN,
        patience,
        turns: Permits::new(),
        memory: Some(memory),
        again: None,
    };
    let reply = match lobby.hub.begin(asked).await {
        begin::Answer::Now(reply) => reply,
        begin::Answer::List { .. } => return false,
        begin::Answer::Later(mut exchange) => loop {
            match exchange.next().await {
                Step::Notify(text) => {
                    let mut early = early.lock();
                    if early.len() < EARLY_MAX && is_update(&text) {
                        early.push(text);
                    }
                }
                Step::Ask(_) => {}
                Step::Done(reply) => break reply,
            }
        },
    };
    reply.ok().and_then(|text| Message::parse_server(text).ok()).is_some_and(|response| response.is_result())
}

/// Who does not know of tasks cannot listen to any (2026-07-28, the extension tasks). None is told of here: they are asked
/// about.
fn refuse_tasks(message: &Message) -> Result<(), Fault> {
    let params = message.params().and_then(|params| params.object).map(|span| message.str(span));
    let tasks =
        params.and_then(|params| member(params, "notifications")).and_then(|it| member(it, "taskIds"));
    let declared = Askable::read(ladder::capabilities(message), Revision::MODERN).tasks;
    match tasks.is_some_and(|tasks| tasks != "null") && !declared {
        true => Err(begin::tasks_needed()),
        false => Ok(()),
    }
}

fn acknowledged(honored: &Filter) -> String {
    let mut said: Vec<String> = honored.lists.iter().map(|key| format!("\"{key}\":true")).collect();
    if !honored.resources.is_empty() {
        said.push(format!("\"resourceSubscriptions\":[{}]", honored.resources.join(",")));
    }
    let said = said.join(",");
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{{{said}}}}}}}"#
    )
}

/// A note with the id of the request that it belongs to.
fn stamped(text: Bytes, id: &Id) -> Option<Bytes> {
    let note = Message::parse_server(text).ok()?;
    let own = note.params().and_then(|params| params.meta.as_ref()).and_then(|meta| meta.subscription);
    let edit = match own {
        Some(place) => (place, New::Lent(id.as_bytes())),
        None => note.meta_member(&format!("\"{SUBSCRIPTION_KEY}\""), id.as_str()),
    };
    Some(one_line(splice(note.text(), &mut [edit])))
}

fn is_update(text: &Bytes) -> bool {
    let note = Message::parse_server(text.clone());
    note.is_ok_and(|note| Method::parse(note.method().unwrap_or_default()) == Method::Updated)
}

/// We stop, and nothing more comes.
fn over(lobby: &Lobby, id: &Id) -> Answer {
    let result = format!(
        r#"{{"resultType":"complete","_meta":{{"{SUBSCRIPTION_KEY}":{id},"{SERVER_INFO_KEY}":{}}}}}"#,
        lobby.info
    );
    Answer::result(response(id, result.as_bytes()))
}

/// What is said after that where nothing else shows that the request has ended (2026-07-28, basic/patterns/cancellation).
pub(super) fn withdrawn(id: &Id) -> Bytes {
    cancelled(id, "Braid is stopping").into()
}

const TOOLS: &str = "toolsListChanged";
const PROMPTS: &str = "promptsListChanged";
const RESOURCES: &str = "resourcesListChanged";
const LISTS: [&str; 3] = [TOOLS, PROMPTS, RESOURCES];
/// Resources that one request may listen to.
const RESOURCES_MAX: usize = 1024;
/// How long servers that have started may take to agree, all of them, and of how many it is asked at a time.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(2);
const AT_ONCE_MAX: usize = 16;
/// Updates that are told before all have agreed.
const EARLY_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Result<Filter, i32> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{params}}}"#);
        let message = Message::parse_client(text.into(), Caps::default()).unwrap();
        Filter::read(&message).map_err(|fault| fault.code)
    }

    #[test]
    fn what_nobody_knows_is_not_listened_to() {
        let filter = read(
            r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"weather":true,"resourceSubscriptions":["a:b"]}}"#,
        );
        let filter = filter.unwrap();
        assert_eq!(filter, Filter { lists: vec![TOOLS], resources: vec!["\"a:b\"".to_owned()] });
        assert_eq!(
            acknowledged(&filter),
            r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:b"]}}}"#
        );
        for params in ["{}", r#"{"notifications":7}"#, r#"{"notifications":{"resourceSubscriptions":[7]}}"#] {
            assert_eq!(read(params), Err(-32602), "{params}");
        }
    }

    #[test]
    fn a_note_carries_the_id_as_it_was_written() {
        let id = Id::parse(Bytes::from_static(b"\"\\u0061\"")).unwrap();
        let say = |text: &'static str| stamped(Bytes::from_static(text.as_bytes()), &id).unwrap();
        assert_eq!(
            say(r#"{"jsonrpc":"2.0","method":"m"}"#),
            r#"{"params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"\u0061"}},"jsonrpc":"2.0","method":"m"}"#
        );
        assert_eq!(
            say(
                r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#
            ),
            r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"\u0061"}}}"#
        );
    }
}
