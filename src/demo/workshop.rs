//! `workshop`: a tool for each thing that a proxy must carry and a notebook has no use for.
//!
//! Echoes, progress, cancellation, failures, pictures, and a form for the user. It keeps no state: `Server` holds
//! the countdowns and the forms that are open.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::base64;
use super::fault::{Fault, quoted};
use super::offer::{Call, Members, Offer, Outcome, Refusal, Target};
use super::picture;
use super::result::ToolResult;
use super::schema;

pub(super) struct Workshop;

impl Workshop {
    fn add(arguments: &Members) -> Result<Outcome, Refusal> {
        let (a, b) = (arguments.number("a")?, arguments.number("b")?);
        // Whole numbers are added as such, so that their digits hold beyond the 53 bits of a float.
        let whole = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| a.checked_add(b)).map(Value::from);
        // Null is what JSON makes of a sum that is not finite.
        let sum =
            whole.unwrap_or_else(|| json!(a.as_f64().unwrap_or(f64::NAN) + b.as_f64().unwrap_or(f64::NAN)));
        if sum.is_null() {
            return Err(Refusal::Failed("the sum is too large for a number".to_owned()));
        }
        Ok(Outcome::Done(ToolResult::structured(json!({ "sum": sum }))))
    }

    fn countdown(arguments: &Members) -> Result<Outcome, Refusal> {
        let steps = arguments.integer_or("steps", STEPS, 1..=STEPS_MAX)?;
        let delay_ms = arguments.integer_or("delay_ms", DELAY_MS, 0..=DELAY_MS_MAX)?;
        Ok(Outcome::Countdown {
            steps: u32::try_from(steps).unwrap_or(1),
            delay: Duration::from_millis(delay_ms.unsigned_abs()),
        })
    }

    fn picture(arguments: &Members) -> Result<Outcome, Refusal> {
        let side = arguments.integer_or("side", SIDE, 1..=i64::from(picture::SIDE_MAX))?;
        let data = base64::encode(&picture::png(u8::try_from(side).unwrap_or(1)));
        let image = json!({ "type": "image", "data": data, "mimeType": "image/png" });
        Ok(Outcome::Done(ToolResult::text(format!("{side} by {side} pixels")).with(image)))
    }

    fn ask(call: &Call<'_>) -> Result<Outcome, Refusal> {
        let arguments = call.arguments.members()?;
        let message = arguments.text_or("question", "What shall the workshop make for you?")?.to_owned();
        if !call.client_takes_forms {
            return Err(Refusal::Failed(
                "this client cannot show a form: it did not declare `elicitation`, or speaks a revision \
                 older than 2025-06-18"
                    .to_owned(),
            ));
        }
        let form = schema::object(
            json!({
                "thing": { "type": "string", "title": "Thing", "minLength": 1, "maxLength": 80 },
                "material": { "type": "string", "title": "Material", "enum": ["wood", "iron", "glass"] },
                "pieces": { "type": "integer", "title": "Pieces", "minimum": 1, "maximum": 10, "default": 1 },
                "gift": { "type": "boolean", "title": "Is it a gift?", "default": false },
            }),
            &["thing"],
        );
        Ok(Outcome::Ask { message, form, conclude: order })
    }
}

/// What came back from the form, as the result of `ask`.
fn order(answer: Result<Value, String>) -> ToolResult {
    let answer = match answer {
        Ok(answer) => answer,
        Err(message) => return ToolResult::failure(format!("the client could not ask: {message}")),
    };
    match answer["action"].as_str() {
        Some("accept") => match answer["content"].as_object() {
            Some(content) => ToolResult::text(format!("ordered: {}", Value::from(content.clone()))),
            None => ToolResult::failure("the client accepted the form and left out its content"),
        },
        Some("decline") => ToolResult::text("the user declined: nothing was ordered"),
        Some("cancel") => ToolResult::text("the user closed the form: nothing was ordered"),
        Some(_) | None => ToolResult::failure("the client answered with no `action` that there is"),
    }
}

impl Offer for Workshop {
    fn name(&self) -> &'static str {
        "workshop"
    }

    fn title(&self) -> &'static str {
        "Workshop"
    }

    fn instructions(&self) -> &'static str {
        "Tools to try things out with. None of them changes anything."
    }

    fn resources_change(&self) -> bool {
        false
    }

    fn tools(&self) -> Vec<Value> {
        let harmless = json!({ "readOnlyHint": true, "openWorldHint": false });
        vec![
            json!({
                "name": "echo",
                "title": "Echo",
                "description": "Gives its arguments back as text, exactly as they came.",
                "inputSchema": { "type": "object", "additionalProperties": true },
                "annotations": harmless,
            }),
            json!({
                "name": "add",
                "title": "Add",
                "description": "Adds two numbers.",
                "inputSchema": schema::object(
                    json!({ "a": schema::number("One"), "b": schema::number("The other") }),
                    &["a", "b"],
                ),
                "outputSchema": schema::object(json!({ "sum": schema::number("Both together") }), &["sum"]),
                "annotations": harmless,
            }),
            json!({
                "name": "countdown",
                "title": "Countdown",
                "description": "Counts down step by step, with progress where it is wanted. Can be cancelled.",
                "inputSchema": schema::object(
                    json!({
                        "steps": schema::integer("How many", 1..=STEPS_MAX, STEPS),
                        "delay_ms": schema::integer("Milliseconds before each", 0..=DELAY_MS_MAX, DELAY_MS),
                    }),
                    &[],
                ),
                "annotations": harmless,
            }),
            json!({
                "name": "fail",
                "title": "Fail",
                "description": "Fails, as a tool that ran and could not do it.",
                "inputSchema": schema::object(json!({ "message": schema::text("What to say") }), &[]),
                "annotations": harmless,
            }),
            json!({
                "name": "picture",
                "title": "Picture",
                "description": "Draws a small chequered PNG.",
                "inputSchema": schema::object(
                    json!({ "side": schema::integer("Pixels", 1..=i64::from(picture::SIDE_MAX), SIDE) }),
                    &[],
                ),
                "annotations": harmless,
            }),
            json!({
                "name": "ask",
                "title": "Ask the user",
                "description": "Shows the user a form through the client, and says what came back.",
                "inputSchema": schema::object(json!({ "question": schema::text("Above the form") }), &[]),
                "annotations": harmless,
            }),
        ]
    }

    fn resources(&self) -> Vec<Value> {
        vec![
            json!({
                "uri": "workshop://tools/hammer",
                "name": "hammer",
                "title": "The hammer",
                "mimeType": "text/plain",
            }),
            json!({ "uri": SIGN, "name": "sign", "title": "The sign over the door", "mimeType": "image/png" }),
        ]
    }

    fn templates(&self) -> Vec<Value> {
        vec![json!({
            "uriTemplate": TEMPLATE,
            "name": "tool",
            "title": "A tool on the wall",
            "mimeType": "text/plain",
        })]
    }

    fn prompts(&self) -> Vec<Value> {
        vec![json!({
            "name": "greet",
            "title": "Greet a visitor",
            "description": "A friendly word for somebody who comes in.",
            "arguments": [
                { "name": "name", "description": "Who comes in", "required": true },
                { "name": "mood", "description": "How it should sound", "required": false },
            ],
        })]
    }

    fn call(&mut self, call: &Call<'_>) -> Result<Outcome, Refusal> {
        match call.tool {
            "echo" => Ok(Outcome::Done(ToolResult::text(call.arguments.text()))),
            "add" => Self::add(&call.arguments.members()?),
            "countdown" => Self::countdown(&call.arguments.members()?),
            "fail" => {
                let arguments = call.arguments.members()?;
                let message = arguments.text_or("message", "this tool fails, always")?;
                Err(Refusal::Failed(message.to_owned()))
            }
            "picture" => Self::picture(&call.arguments.members()?),
            "ask" => Self::ask(call),
            _ => Err(Refusal::UnknownTool),
        }
    }

    fn read(&self, uri: &str) -> Option<Value> {
        if uri == SIGN {
            let blob = base64::encode(&picture::png(picture::SIDE_MAX));
            return Some(json!({ "uri": uri, "mimeType": "image/png", "blob": blob }));
        }
        let name = uri.strip_prefix("workshop://tools/")?;
        let (_, text) = WALL.iter().find(|(tool, _)| *tool == name)?;
        Some(json!({ "uri": uri, "mimeType": "text/plain", "text": text }))
    }

    fn prompt(&self, name: &str, arguments: &BTreeMap<String, String>) -> Result<Value, Fault> {
        if name != "greet" {
            return Err(Fault::invalid_params(format!("there is no prompt {}", quoted(name))));
        }
        let visitor =
            arguments.get("name").ok_or_else(|| Fault::invalid_params("the argument `name` is missing"))?;
        let mood = arguments.get("mood").map_or("friendly", String::as_str);
        let request = format!("Greet {visitor}, who just came into the workshop. Sound {mood}.");
        Ok(json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": request } }] }))
    }

    fn candidates(&self, target: Target<'_>, argument: &str) -> Result<Vec<String>, Fault> {
        match (target, argument) {
            (Target::Template(TEMPLATE), "name") => {
                Ok(WALL.iter().map(|(tool, _)| (*tool).to_owned()).collect())
            }
            (Target::Prompt("greet"), "name") => Ok(Vec::new()),
            (Target::Prompt("greet"), "mood") => {
                Ok(["brief", "cheerful", "formal", "friendly"].map(str::to_owned).into())
            }
            (Target::Prompt(_) | Target::Template(_), _) => {
                Err(Fault::invalid_params("there is nothing of this name to complete"))
            }
        }
    }
}

const SIGN: &str = "workshop://pictures/sign";
const TEMPLATE: &str = "workshop://tools/{name}";

/// Only the hammer is listed; the template leads to all three.
const WALL: [(&str, &str); 3] = [
    ("hammer", "A hammer: 500 g, ash handle. For everything that looks like a nail."),
    ("plane", "A plane: takes off what is too much, one shaving at a time."),
    ("saw", "A saw: 7 teeth an inch. Measure twice."),
];

const STEPS: i64 = 5;

/// Most steps of one countdown.
pub(super) const STEPS_MAX: i64 = 1000;

const DELAY_MS: i64 = 200;

/// Longest wait before a step, in milliseconds.
pub(super) const DELAY_MS_MAX: i64 = 60_000;

const SIDE: i64 = 16;
