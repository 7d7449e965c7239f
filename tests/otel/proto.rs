//! What a collector is sent, read without the library that wrote it.
//!
//! So much of Protocol Buffers' wire format and of OTLP's `trace.proto` as spans of calls are made of. Whatever is not as
//! it must be ends the test.

use std::collections::BTreeMap;

/// One span, with what the whole request says of where it comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty: it has none.
    pub(crate) parent: String,
    pub(crate) state: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, String>,
    /// 0: unset, 2: an error.
    pub(crate) status: u64,
    pub(crate) says: String,
    pub(crate) events_and_links: usize,
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) scope: String,
}

pub(crate) const SERVER: u64 = 2;
pub(crate) const CLIENT: u64 = 3;
pub(crate) const ERROR: u64 = 2;

impl Span {
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => panic!("a number where bytes must be"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => panic!("bytes where a number must be"),
        }
    }

    fn hex(&self) -> String {
        self.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number without an end");
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(length).expect("a message is cut off");
    *bytes = rest;
    taken
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
            other => panic!("there is no wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn value(bytes: &[u8]) -> String {
    match &fields(bytes)[..] {
        [(1, text)] => text.text(),
        [(2 | 3, number)] => number.number().to_string(),
        [] => String::new(),
        other => panic!("a value of {} fields", other.len()),
    }
}

fn attribute(bytes: &[u8], into: &mut BTreeMap<String, String>) {
    let (mut key, mut said) = (String::new(), String::new());
    for (number, field) in fields(bytes) {
        match number {
            1 => key = field.text(),
            2 => said = value(field.bytes()),
            other => panic!("an attribute has no field {other}"),
        }
    }
    assert!(into.insert(key.clone(), said).is_none(), "{key} is there twice");
}

fn span(bytes: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, field) in fields(bytes) {
        match number {
            1 => span.trace = field.hex(),
            2 => span.id = field.hex(),
            3 => span.state = field.text(),
            4 => span.parent = field.hex(),
            5 => span.name = field.text(),
            6 => span.kind = field.number(),
            7 => span.start = field.number(),
            8 => span.end = field.number(),
            9 => attribute(field.bytes(), &mut span.attributes),
            11 | 13 => span.events_and_links += 1,
            15 => {
                for (number, field) in fields(field.bytes()) {
                    match number {
                        2 => span.says = field.text(),
                        3 => span.status = field.number(),
                        other => panic!("a status has no field {other}"),
                    }
                }
            }
            // How many were dropped, and flags.
            10 | 12 | 14 | 16 => {}
            other => panic!("a span has no field {other}"),
        }
    }
    span
}

/// The spans of one request (`ExportTraceServiceRequest`).
pub(crate) fn spans(request: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    for (_, of_resource) in fields(request) {
        let (mut resource, mut scopes) = (BTreeMap::new(), Vec::new());
        for (number, field) in fields(of_resource.bytes()) {
            match number {
                1 => {
                    for (number, field) in fields(field.bytes()) {
                        if number == 1 {
                            attribute(field.bytes(), &mut resource);
                        }
                    }
                }
                2 => scopes.push(field),
                _ => {}
            }
        }
        for of_scope in scopes {
            let mut scope = String::new();
            for (number, field) in fields(of_scope.bytes()) {
                match number {
                    1 => {
                        let named = fields(field.bytes()).into_iter().find(|(number, _)| *number == 1);
                        scope = named.map(|(_, name)| name.text()).unwrap_or_default();
                    }
                    2 => found.push(Span {
                        resource: resource.clone(),
                        scope: scope.clone(),
                        ..span(field.bytes())
                    }),
                    _ => {}
                }
            }
        }
    }
    found
}
