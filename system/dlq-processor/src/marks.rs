//! What a redriven letter carries about its past, as message attributes.

use nexus_ports::{EventRecord, QueueDraft, QueueMessage};

/// How often the letter was redriven, this time included.
pub const REDRIVES_ATTRIBUTE: &str = "redrives";
/// When a dead-letter processor first saw the letter, in milliseconds since the Unix epoch.
pub const DEAD_SINCE_ATTRIBUTE: &str = "dead_since_ms";
/// Id of the event that the message carries: what consumers recognise a repetition by.
pub const EVENT_ID_ATTRIBUTE: &str = "event_id";

/// SQS takes no message with more.
const ATTRIBUTES_MAX: usize = 10;

pub(crate) fn event_of(body: &str) -> Result<EventRecord, serde_json::Error> {
    serde_json::from_str(body)
}

/// Redrives of a letter so far. A mark that is not a number was not written here and counts for nothing.
pub(crate) fn redrives_of(attributes: &[(String, String)]) -> u32 {
    value_of(attributes, REDRIVES_ATTRIBUTE).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The event's id if the letter tells one.
pub(crate) fn event_id_of(attributes: &[(String, String)], event: Option<&EventRecord>) -> Option<String> {
    let in_body = event.map(|event| event.event_id.as_str());
    in_body.or_else(|| value_of(attributes, EVENT_ID_ATTRIBUTE)).filter(|id| !id.is_empty()).map(str::to_owned)
}

fn value_of<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The letter as it goes home: body and attributes as they came, with the marks. `None` if there is no room for the marks:
/// without them a letter could be redriven for ever.
pub(crate) fn draft(message: &QueueMessage, event: Option<&EventRecord>, now_ms: u64) -> Option<QueueDraft> {
    let mut attributes = message.attributes.clone();
    let redrives = redrives_of(&attributes).saturating_add(1);
    set(&mut attributes, REDRIVES_ATTRIBUTE, redrives.to_string());
    if value_of(&attributes, DEAD_SINCE_ATTRIBUTE).is_none() {
        set(&mut attributes, DEAD_SINCE_ATTRIBUTE, now_ms.to_string());
    }
    if attributes.len() > ATTRIBUTES_MAX {
        return None;
    }
    if let Some(event) = event
        && value_of(&attributes, EVENT_ID_ATTRIBUTE).is_none()
        && attributes.len() < ATTRIBUTES_MAX
    {
        set(&mut attributes, EVENT_ID_ATTRIBUTE, event.event_id.clone());
    }
    Some(QueueDraft { body: message.body.clone(), attributes })
}

fn set(attributes: &mut Vec<(String, String)>, name: &str, value: String) {
    match attributes.iter_mut().find(|(known, _)| known == name) {
        Some((_, standing)) => *standing = value,
        None => attributes.push((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: &[(&str, &str)]) -> QueueMessage {
        QueueMessage {
            message_id: "m".to_owned(),
            receipt_handle: "r".to_owned(),
            body: "b".to_owned(),
            attributes: owned(attributes),
            receive_count: 1,
            sent_at_ms: 5,
        }
    }

    fn owned(attributes: &[(&str, &str)]) -> Vec<(String, String)> {
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn attributes_are_kept_and_the_marks_added() {
        for (before, after) in [
            (vec![], vec![("redrives", "1"), ("dead_since_ms", "70")]),
            (
                vec![("event_id", "e"), ("stream", "s")],
                vec![("event_id", "e"), ("stream", "s"), ("redrives", "1"), ("dead_since_ms", "70")],
            ),
            (
                vec![("redrives", "2"), ("dead_since_ms", "9"), ("event_id", "e")],
                vec![("redrives", "3"), ("dead_since_ms", "9"), ("event_id", "e")],
            ),
            (vec![("redrives", "many")], vec![("redrives", "1"), ("dead_since_ms", "70")]),
        ] {
            let draft = draft(&message(&before), None, 70).unwrap();
            assert_eq!(draft, QueueDraft { body: "b".to_owned(), attributes: owned(&after) }, "{before:?}");
        }
    }

    #[test]
    fn a_letter_without_room_for_the_marks_is_not_redriven() {
        let names: Vec<String> = (0..10).map(|index| format!("a{index}")).collect();
        let of_length = |length: usize| names.iter().take(length).map(|name| (name.as_str(), "x")).collect::<Vec<_>>();
        for (length, fits) in [(8, true), (9, false), (10, false)] {
            assert_eq!(draft(&message(&of_length(length)), None, 70).is_some(), fits, "{length} attributes");
        }
    }
}
