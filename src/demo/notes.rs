//! `notes`: a notebook in memory, three notes at the start.
//!
//! Owns the notes of one process. Each is a resource, so adding and deleting change the list of resources; links to
//! them stand in the results of `search`. A note's id never changes, and is safe to stand in a URI as it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fault::{Fault, quoted};
use super::offer::{Call, Members, Offer, Outcome, Refusal, Target};
use super::result::ToolResult;
use super::schema;

/// No two notes have the same id.
pub(super) struct Notes {
    notes: Vec<Note>,
}

struct Note {
    /// Small letters, digits and hyphens.
    id: String,
    title: String,
    text: String,
}

impl Notes {
    pub(super) fn seeded() -> Self {
        let note = |id: &str, title: &str, text: &str| Note {
            id: id.to_owned(),
            title: title.to_owned(),
            text: text.to_owned(),
        };
        Self {
            notes: vec![
                note(
                    "welcome",
                    "Welcome",
                    "These notes live in memory and are gone when their server stops.",
                ),
                note("shopping", "Shopping list", "Tea, bread, apples, a new hammer."),
                note("ideas", "Ideas", "Plait the servers into one. Drink tea while the tests run."),
            ],
        }
    }

    fn add(&mut self, arguments: &Members) -> Result<Outcome, Refusal> {
        let (title, text) = (arguments.text("title")?, arguments.text("text")?);
        if title.trim().is_empty() {
            return Err(Refusal::Failed("`title` must not be empty".to_owned()));
        }
        if title.len() > TITLE_BYTES_MAX || text.len() > TEXT_BYTES_MAX {
            let bounds = format!("{TITLE_BYTES_MAX} bytes of title and {TEXT_BYTES_MAX} of text");
            return Err(Refusal::Failed(format!("a note has at most {bounds}")));
        }
        if self.notes.len() >= NOTES_MAX {
            return Err(Refusal::Failed(format!("there are {NOTES_MAX} notes already; delete one first")));
        }
        let note = Note { id: self.free_id(title), title: title.to_owned(), text: text.to_owned() };
        let result = ToolResult::structured(note.summary());
        self.notes.push(note);
        Ok(Outcome::Changed(result))
    }

    fn delete(&mut self, arguments: &Members) -> Result<Outcome, Refusal> {
        let id = arguments.text("id")?;
        let place = self.notes.iter().position(|note| note.id == id).ok_or_else(|| self.unknown(id))?;
        let note = self.notes.remove(place);
        Ok(Outcome::Changed(ToolResult::structured(json!({ "deleted": note.id }))))
    }

    fn list(&self) -> Outcome {
        let notes: Vec<_> = self.notes.iter().map(Note::summary).collect();
        Outcome::Done(ToolResult::structured(json!({ "notes": notes })))
    }

    fn search(&self, arguments: &Members) -> Result<Outcome, Refusal> {
        let wanted = arguments.text("query")?.to_lowercase();
        let found: Vec<_> = self
            .notes
            .iter()
            .filter(|note| [&note.title, &note.text].iter().any(|text| text.to_lowercase().contains(&wanted)))
            .collect();
        let summaries: Vec<_> = found.iter().map(|note| note.summary()).collect();
        let result = ToolResult::structured(json!({ "notes": summaries }));
        Ok(Outcome::Done(found.iter().take(LINKS_MAX).fold(result, |result, note| result.with(note.link()))))
    }

    fn note(&self, id: &str) -> Option<&Note> {
        self.notes.iter().find(|note| note.id == id)
    }

    fn unknown(&self, id: &str) -> Refusal {
        Refusal::Failed(format!(
            "there is no note {}; `list` has the ids of all {}",
            quoted(id),
            self.notes.len()
        ))
    }

    /// An id made of the title: `Shopping list` is `shopping-list`, and a second one `shopping-list-2`.
    fn free_id(&self, title: &str) -> String {
        let words =
            title.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
        let slug = if slug.is_empty() { "note" } else { &slug };
        if self.note(slug).is_none() {
            return slug.to_owned();
        }
        let mut number = 2;
        loop {
            let id = format!("{slug}-{number}");
            if self.note(&id).is_none() {
                return id;
            }
            number += 1;
        }
    }
}

impl Note {
    fn uri(&self) -> String {
        format!("{SCHEME}{}", self.id)
    }

    fn summary(&self) -> Value {
        json!({ "id": self.id, "title": self.title, "uri": self.uri() })
    }

    fn resource(&self) -> Value {
        json!({
            "uri": self.uri(),
            "name": self.id,
            "title": self.title,
            "mimeType": "text/plain",
            "size": self.text.len(),
        })
    }

    fn link(&self) -> Value {
        let mut link = self.resource();
        link["type"] = json!("resource_link");
        link
    }

    fn contents(&self) -> Value {
        json!({ "uri": self.uri(), "mimeType": "text/plain", "text": self.text })
    }
}

impl Offer for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn title(&self) -> &'static str {
        "Notes"
    }

    fn instructions(&self) -> &'static str {
        "A notebook. `search` before `add`, so that no note is written twice; read a note by its URI."
    }

    fn resources_change(&self) -> bool {
        true
    }

    fn tools(&self) -> Vec<Value> {
        let summary = schema::object(
            json!({
                "id": schema::text("What `delete` and the prompts call it"),
                "title": schema::text("Its first line"),
                "uri": schema::text("Where to read it"),
            }),
            &["id", "title", "uri"],
        );
        let summaries = schema::object(json!({ "notes": { "type": "array", "items": summary } }), &["notes"]);
        vec![
            json!({
                "name": "add",
                "title": "Add a note",
                "description": "Writes a new note and gives its id and URI.",
                "inputSchema": schema::object(
                    json!({ "title": schema::text("Its first line"), "text": schema::text("All the rest") }),
                    &["title", "text"],
                ),
                "outputSchema": summary,
                "annotations": { "readOnlyHint": false, "destructiveHint": false, "openWorldHint": false },
            }),
            json!({
                "name": "list",
                "title": "List the notes",
                "description": "Gives the id, title and URI of every note, oldest first.",
                "inputSchema": { "type": "object", "additionalProperties": false },
                "outputSchema": summaries,
                "annotations": { "readOnlyHint": true, "openWorldHint": false },
            }),
            json!({
                "name": "search",
                "title": "Search the notes",
                "description": "Finds the notes that have the words of `query` in title or text, in any case.",
                "inputSchema": schema::object(json!({ "query": schema::text("Words as they stand") }), &["query"]),
                "outputSchema": summaries,
                "annotations": { "readOnlyHint": true, "openWorldHint": false },
            }),
            json!({
                "name": "delete",
                "title": "Delete a note",
                "description": "Throws a note away, for ever.",
                "inputSchema": schema::object(json!({ "id": schema::text("From `list` or `search`") }), &["id"]),
                "outputSchema": schema::object(json!({ "deleted": schema::text("Its id") }), &["deleted"]),
                "annotations": {
                    "readOnlyHint": false,
                    "destructiveHint": true,
                    "idempotentHint": true,
                    "openWorldHint": false,
                },
            }),
        ]
    }

    fn resources(&self) -> Vec<Value> {
        self.notes.iter().map(Note::resource).collect()
    }

    fn templates(&self) -> Vec<Value> {
        vec![json!({
            "uriTemplate": TEMPLATE,
            "name": "note",
            "title": "A note by its id",
            "mimeType": "text/plain",
        })]
    }

    fn prompts(&self) -> Vec<Value> {
        vec![
            json!({
                "name": "summarise",
                "title": "Summarise a note",
                "description": "One sentence for one note.",
                "arguments": [{ "name": "id", "description": "Which note", "required": true }],
            }),
            json!({
                "name": "plan",
                "title": "Plan from the notes",
                "description": "A plan toward a goal that takes all notes into account.",
                "arguments": [
                    { "name": "goal", "description": "What is to be reached", "required": true },
                    { "name": "days", "description": "How many days there are", "required": false },
                ],
            }),
        ]
    }

    fn call(&mut self, call: &Call<'_>) -> Result<Outcome, Refusal> {
        match call.tool {
            "add" => self.add(&call.arguments.members()?),
            "list" => Ok(self.list()),
            "search" => self.search(&call.arguments.members()?),
            "delete" => self.delete(&call.arguments.members()?),
            _ => Err(Refusal::UnknownTool),
        }
    }

    fn read(&self, uri: &str) -> Option<Value> {
        self.note(uri.strip_prefix(SCHEME)?).map(Note::contents)
    }

    fn prompt(&self, name: &str, arguments: &BTreeMap<String, String>) -> Result<Value, Fault> {
        let argument = |name: &str| {
            let missing = || Fault::invalid_params(format!("the argument `{name}` is missing"));
            arguments.get(name).ok_or_else(missing)
        };
        match name {
            "summarise" => {
                let id = argument("id")?;
                let note = self
                    .note(id)
                    .ok_or_else(|| Fault::invalid_params(format!("there is no note {}", quoted(id))))?;
                let request = "Summarise this note in one sentence.";
                Ok(json!({
                    "description": format!("Summarise `{}`", note.title),
                    "messages": [
                        { "role": "user", "content": { "type": "text", "text": request } },
                        { "role": "user", "content": { "type": "resource", "resource": note.contents() } },
                    ],
                }))
            }
            "plan" => {
                let goal = argument("goal")?;
                let days = arguments.get("days").map(|days| format!(" in {days} days")).unwrap_or_default();
                let titles: Vec<_> = self.notes.iter().map(|note| note.title.as_str()).collect();
                let titles = titles.join(", ");
                let request = format!("Plan how to reach this goal{days}: {goal}. Mind my notes: {titles}.");
                Ok(json!({
                    "messages": [{ "role": "user", "content": { "type": "text", "text": request } }],
                }))
            }
            _ => Err(Fault::invalid_params(format!("there is no prompt {}", quoted(name)))),
        }
    }

    fn candidates(&self, target: Target<'_>, argument: &str) -> Result<Vec<String>, Fault> {
        match (target, argument) {
            (Target::Prompt("summarise") | Target::Template(TEMPLATE), "id") => {
                Ok(self.notes.iter().map(|note| note.id.clone()).collect())
            }
            (Target::Prompt("plan"), "goal") => Ok(Vec::new()),
            (Target::Prompt("plan"), "days") => Ok(["1", "7", "30"].map(str::to_owned).into()),
            (Target::Prompt(_) | Target::Template(_), _) => {
                Err(Fault::invalid_params("there is nothing of this name to complete"))
            }
        }
    }
}

const SCHEME: &str = "note://";
const TEMPLATE: &str = "note://{id}";

/// Most notes at a time.
pub(super) const NOTES_MAX: usize = 1000;

/// Longest title of a note, in bytes.
pub(super) const TITLE_BYTES_MAX: usize = 200;

/// Longest text of a note, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Most links in one result of `search`.
pub(super) const LINKS_MAX: usize = 50;
