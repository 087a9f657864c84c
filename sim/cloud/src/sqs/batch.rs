//! What all batch operations share: the checks of the batch, and answers entry by entry.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    Outcome,
    errors::{entry_failure, error, missing},
    input::Input,
    quirks::Quirks,
};
use crate::service::ServiceError;

pub const MAX_ENTRIES: usize = 10;

/// The entries with their ids, if the batch as a whole is fit to be looked at.
pub fn entries<'v>(input: Input<'v>, entry_name: &str) -> Result<Vec<(&'v str, Input<'v>)>, ServiceError> {
    let entries = input.list("Entries")?;
    if entries.is_empty() {
        return Err(error("EmptyBatchRequest", format!("There should be at least one {entry_name} in the request.")));
    }
    if entries.len() > MAX_ENTRIES {
        return Err(error(
            "TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are {MAX_ENTRIES}. You have sent {}.", entries.len()),
        ));
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let entry = Input::new(entry);
        let id = entry.text("Id")?.ok_or_else(|| missing(&format!("{entry_name}.Id")))?;
        if !is_entry_id(id) {
            return Err(error(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            ));
        }
        if !seen.insert(id) {
            return Err(error("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
        found.push((id, entry));
    }
    Ok(found)
}

/// Whether a text may be the id of a batch's entry, here and at SNS.
pub fn is_entry_id(id: &str) -> bool {
    (1..=80).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Does `act` for each entry and collects what came of it. A quirk may fail an entry, before or after it took effect.
pub fn each<'v>(
    entries: Vec<(&'v str, Input<'v>)>,
    quirks: &Quirks,
    mut act: impl FnMut(Input<'v>) -> Outcome,
) -> Outcome {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (index, (id, entry)) in entries.into_iter().enumerate() {
        let outcome = match quirks.failure(index) {
            Some((code, applied)) => {
                if applied {
                    // Whatever came of it, the answer says that the service failed.
                    let _ = act(entry);
                }
                Err((entry_failure(code), false))
            }
            None => act(entry).map_err(|error| {
                let is_senders = error.status < 500;
                (error, is_senders)
            }),
        };
        match outcome {
            Ok(result) => {
                let mut result = match result {
                    Value::Object(members) => members,
                    _ => Map::new(),
                };
                result.insert("Id".to_owned(), json!(id));
                successful.push(Value::Object(result));
            }
            Err((error, sender_fault)) => failed.push(json!({
                "Id": id,
                "Code": error.query_code.unwrap_or(&error.code),
                "Message": error.message,
                "SenderFault": sender_fault,
            })),
        }
    }
    let mut answer = Map::new();
    answer.insert("Successful".to_owned(), Value::Array(successful));
    if !failed.is_empty() {
        answer.insert("Failed".to_owned(), Value::Array(failed));
    }
    Ok(Value::Object(answer))
}
