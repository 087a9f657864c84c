//! Recorded workloads: one JSON object a line. The format is told in this folder's README.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use crate::{Action, PlannedOperation, Workload};

/// A line of a workload file is wrong. Displayed with the line, a caret and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadError {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The line's text.
    pub text: String,
    pub problem: String,
    pub hint: String,
}

impl std::error::Error for WorkloadError {}

/// Longer lines are shown in part, around the caret.
const SHOWN_CHARACTERS: usize = 120;

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, text, problem, hint } = self;
        let characters: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let place = column.saturating_sub(1);
        let start = if characters.len() <= SHOWN_CHARACTERS { 0 } else { place.saturating_sub(SHOWN_CHARACTERS / 2) };
        let end = characters.len().min(start + SHOWN_CHARACTERS);
        let before = if start > 0 { "…" } else { "" };
        let after = if end < characters.len() { "…" } else { "" };
        let shown: String = characters[start..end].iter().collect();
        let gutter = " ".repeat(line.to_string().len());
        let indent = " ".repeat(place - start + before.chars().count());
        writeln!(f, "{file}:{line}:{column}: {problem}")?;
        writeln!(f, " {gutter} |")?;
        writeln!(f, " {line} | {before}{shown}{after}")?;
        writeln!(f, " {gutter} | {indent}^")?;
        write!(f, " {gutter} = hint: {hint}")
    }
}

/// Customers are numbered below this.
const CUSTOMERS_MAX: u32 = 100_000;
const KEY_CHARACTERS_MAX: usize = 128;
const FORM: &str = r#"a line is {"at_ms": …, "customer": …, "role": …, "command": {…}} or {"at_ms": …, "customer": …, "read_order": …}"#;

/// Reads a workload. Operations are numbered by line, from 0; empty lines are passed over. A command without a key of
/// its own gets `line-<n>`. `file_name` is only named in errors.
///
/// # Errors
/// The first line that is not as the format demands, or that nothing is there at all.
pub fn parse_jsonl(text: &str, file_name: &str) -> Result<Workload, WorkloadError> {
    let mut operations: Vec<PlannedOperation> = Vec::new();
    let mut customers = 0;
    for (index, text) in text.lines().enumerate() {
        if text.trim().is_empty() {
            continue;
        }
        let line = Line { file_name, number: index + 1, text };
        let id = operations.len() as u32;
        let earliest_ms = operations.last().map_or(0, |operation| operation.at_ms);
        let operation = line.operation(id, earliest_ms)?;
        customers = customers.max(operation.customer + 1);
        operations.push(operation);
    }
    if operations.is_empty() {
        let empty = Line { file_name, number: 1, text: "" };
        return Err(empty.error(0, "the file has no operation".to_owned(), FORM));
    }
    Ok(Workload { customers, operations })
}

/// One line while it is read.
#[derive(Clone, Copy)]
struct Line<'a> {
    file_name: &'a str,
    number: usize,
    text: &'a str,
}

/// The fields of a line, still as text, so that each knows its place.
#[derive(Default)]
struct Fields<'a> {
    at_ms: Option<&'a RawValue>,
    customer: Option<&'a RawValue>,
    role: Option<&'a RawValue>,
    idempotency_key: Option<&'a RawValue>,
    command: Option<&'a RawValue>,
    read_order: Option<&'a RawValue>,
    eventual: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    fn operation(self, id: u32, earliest_ms: u64) -> Result<PlannedOperation, WorkloadError> {
        let fields = self.fields()?;
        let at_ms = self.at_ms(&fields, earliest_ms)?;
        let customer = self.customer(&fields)?;
        let action = match (fields.command, fields.read_order) {
            (Some(command), None) => self.command(&fields, command)?,
            (None, Some(order_id)) => self.read(&fields, order_id)?,
            (Some(_), Some(read)) => {
                let problem = "a line has either `command` or `read_order`, not both".to_owned();
                return Err(self.error(
                    self.key_offset(read),
                    problem,
                    "split it into two lines with the same `at_ms`",
                ));
            }
            (None, None) => {
                return Err(self.error(self.end(), "neither `command` nor `read_order` is given".to_owned(), FORM));
            }
        };
        Ok(PlannedOperation { id, at_ms, customer, action })
    }

    fn fields(self) -> Result<Fields<'a>, WorkloadError> {
        let entries: Entries<'a> = serde_json::from_str(self.text).map_err(|error| self.not_json(&error))?;
        let mut fields = Fields::default();
        for (key, value) in entries.0 {
            let slot = match key.as_ref() {
                "at_ms" => &mut fields.at_ms,
                "customer" => &mut fields.customer,
                "role" => &mut fields.role,
                "idempotency_key" => &mut fields.idempotency_key,
                "command" => &mut fields.command,
                "read_order" => &mut fields.read_order,
                "eventual" => &mut fields.eventual,
                _ => {
                    let hint = "the keys are at_ms, customer, role, idempotency_key, command, read_order and eventual";
                    return Err(self.error(self.key_offset(value), format!("the key `{key}` is unknown"), hint));
                }
            };
            if slot.replace(value).is_some() {
                let problem = format!("the key `{key}` is given twice");
                return Err(self.error(self.key_offset(value), problem, "keep one of the two"));
            }
        }
        Ok(fields)
    }

    fn at_ms(self, fields: &Fields<'a>, earliest_ms: u64) -> Result<u64, WorkloadError> {
        let hint = "`at_ms` counts whole milliseconds from the trial's start";
        let raw = self.required(fields.at_ms, "at_ms", hint)?;
        let at_ms: u64 = self.value(raw, "`at_ms`", "a whole number, 0 or more", hint)?;
        if at_ms < earliest_ms {
            let problem = format!("`at_ms` is {at_ms}, but the line before is at {earliest_ms}");
            return Err(self.error(self.offset(raw.get()), problem, "sort the lines by `at_ms`"));
        }
        Ok(at_ms)
    }

    fn customer(self, fields: &Fields<'a>) -> Result<u32, WorkloadError> {
        let hint = "customers are numbered from 0 to 99999";
        let raw = self.required(fields.customer, "customer", hint)?;
        let customer: u32 = self.value(raw, "`customer`", "a whole number, 0 or more", hint)?;
        if customer >= CUSTOMERS_MAX {
            return Err(self.error(self.offset(raw.get()), format!("there is no customer {customer}"), hint));
        }
        Ok(customer)
    }

    fn command(self, fields: &Fields<'a>, command: &'a RawValue) -> Result<Action, WorkloadError> {
        let hint = r#"write {"type": "PlaceOrder", …}, as it is sent to POST /commands"#;
        let body: Value = self.value(command, "`command`", "an object", hint)?;
        if !body["type"].is_string() {
            let problem = "`command` is not an object with a `type`".to_owned();
            return Err(self.error(self.offset(command.get()), problem, hint));
        }
        if let Some(stray) = fields.eventual {
            let problem = "`eventual` does not go with `command`".to_owned();
            return Err(self.error(self.key_offset(stray), problem, "only reads may be eventual; remove it"));
        }
        let hint = "the role is who asks: customer, payments, warehouse, support or system";
        let raw = self.required(fields.role, "role", hint)?;
        let role = self.header_text(raw, "`role`", hint)?;
        let hint = "leave the key out and the line gets one of its own";
        let idempotency_key = match fields.idempotency_key {
            Some(raw) => self.header_text(raw, "`idempotency_key`", hint)?,
            None => format!("line-{}", self.number),
        };
        Ok(Action::Command { role, idempotency_key, body })
    }

    fn read(self, fields: &Fields<'a>, raw: &'a RawValue) -> Result<Action, WorkloadError> {
        let stray = [("role", fields.role), ("idempotency_key", fields.idempotency_key)];
        if let Some((key, Some(stray))) = stray.into_iter().find(|(_, value)| value.is_some()) {
            let problem = format!("`{key}` does not go with `read_order`");
            return Err(self.error(self.key_offset(stray), problem, "reads are asked by anyone; remove it"));
        }
        let hint = "an order's id has 1 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-`";
        let order_id: String = self.value(raw, "`read_order`", "a text", hint)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if order_id.is_empty() || order_id.len() > 64 || !order_id.chars().all(allowed) {
            let problem = format!("`{order_id}` cannot be an order's id");
            return Err(self.error(self.offset(raw.get()), problem, hint));
        }
        let eventual = match fields.eventual {
            Some(raw) => self.value(raw, "`eventual`", "true or false", "leave it out for a strong read")?,
            None => false,
        };
        Ok(Action::ReadOrder { order_id, eventual })
    }

    /// A text that can stand in an HTTP header.
    fn header_text(self, raw: &'a RawValue, what: &str, hint: &str) -> Result<String, WorkloadError> {
        let text: String = self.value(raw, what, "a text", hint)?;
        let visible = text.chars().all(|c| c.is_ascii_graphic());
        if text.is_empty() || text.len() > KEY_CHARACTERS_MAX || !visible {
            let problem = format!("{what} must have 1 to {KEY_CHARACTERS_MAX} visible ASCII characters without spaces");
            return Err(self.error(self.offset(raw.get()), problem, hint));
        }
        Ok(text)
    }

    fn required(self, raw: Option<&'a RawValue>, key: &str, hint: &str) -> Result<&'a RawValue, WorkloadError> {
        raw.ok_or_else(|| self.error(self.end(), format!("the key `{key}` is missing"), hint))
    }

    fn value<T: Deserialize<'a>>(
        self,
        raw: &'a RawValue,
        what: &str,
        expected: &str,
        hint: &str,
    ) -> Result<T, WorkloadError> {
        serde_json::from_str(raw.get())
            .map_err(|_| self.error(self.offset(raw.get()), format!("{what} must be {expected}"), hint))
    }

    fn not_json(self, error: &serde_json::Error) -> WorkloadError {
        // The parser counts bytes from 1 and names the place where it stopped.
        let offset = error.column().saturating_sub(1).min(self.text.len());
        let message = error.to_string();
        let problem = message.split(" at line ").next().unwrap_or(&message);
        self.error(offset, format!("the line is not a JSON object: {problem}"), FORM)
    }

    /// Where a part of the line begins, in bytes.
    fn offset(self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// Where the key of a value begins: the quotation mark before the one that closes it.
    fn key_offset(self, value: &RawValue) -> usize {
        let before = &self.text[..self.offset(value.get())];
        let closing = before.rfind('"').unwrap_or(0);
        before[..closing].rfind('"').unwrap_or(closing)
    }

    /// The line's last brace, where something more was to come.
    fn end(self) -> usize {
        self.text.trim_end().len().saturating_sub(1)
    }

    fn error(self, offset_bytes: usize, problem: String, hint: &str) -> WorkloadError {
        let column = self.text.char_indices().take_while(|(place, _)| *place < offset_bytes).count() + 1;
        WorkloadError {
            file: self.file_name.to_owned(),
            line: self.number,
            column,
            text: self.text.to_owned(),
            problem,
            hint: hint.to_owned(),
        }
    }
}

/// A JSON object's keys and values in the order of the text, doubles included.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
