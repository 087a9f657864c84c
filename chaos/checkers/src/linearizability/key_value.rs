//! One key of a store with get, put and append.

use super::Model;

/// The value of one key, empty at first. Partition a history by key before it is decided.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValueInput {
    Get,
    Put(String),
    Append(String),
}

impl Model for KeyValue {
    type State = String;
    type Input = KeyValueInput;
    /// What a get returned; for the others nothing is looked at.
    type Output = String;

    fn initial(&self) -> String {
        String::new()
    }

    fn step(&self, state: &String, input: &KeyValueInput, output: Option<&String>) -> Option<String> {
        match input {
            KeyValueInput::Get => output.is_none_or(|seen| seen == state).then(|| state.clone()),
            KeyValueInput::Put(value) => Some(value.clone()),
            KeyValueInput::Append(tail) => Some(format!("{state}{tail}")),
        }
    }
}
