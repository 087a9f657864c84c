//! Why is this letter dead? The judgement, without any effect.

use nexus_ports::EventRecord;

use crate::marks::event_of;

/// What a classifier may know of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    pub body: &'a str,
    pub attributes: &'a [(String, String)],
    /// How often it was received, in its home queue and here.
    pub receive_count: u32,
    /// How often it was redriven before.
    pub redrives_before: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classification {
    /// Its consumer was at fault (an outage, throttling): another try may help.
    Transient,
    /// The letter itself is at fault: no redrive can help.
    Poison { reason: String },
    /// It looks sound, but was redriven in vain too often.
    Exhausted,
}

/// Judges the letters of one dead-letter queue. Pure: the same letter always gets the same judgement.
pub trait Classifier: Send + Sync {
    fn classify(&self, letter: &DeadLetter<'_>) -> Classification;
}

/// For queues whose messages are events: JSON of an [`EventRecord`].
pub struct EventClassifier<Check> {
    redrives_max: u32,
    check: Check,
}

impl<Check: Fn(&EventRecord) -> Result<(), String> + Send + Sync> EventClassifier<Check> {
    /// `check` says what the consumers of the queue would find wrong with an event (its type, its schema).
    pub fn new(redrives_max: u32, check: Check) -> Self {
        Self { redrives_max, check }
    }
}

impl<Check: Fn(&EventRecord) -> Result<(), String> + Send + Sync> Classifier for EventClassifier<Check> {
    fn classify(&self, letter: &DeadLetter<'_>) -> Classification {
        let event = match event_of(letter.body) {
            Ok(event) => event,
            Err(error) => return Classification::Poison { reason: format!("the body is not an event: {error}") },
        };
        match (self.check)(&event) {
            Err(reason) => Classification::Poison { reason },
            Ok(()) if letter.redrives_before >= self.redrives_max => Classification::Exhausted,
            Ok(()) => Classification::Transient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"stream":"cart-c-1","version":3,"event_id":"e-3","event_type":"CartAbandoned","schema_version":1,
        "payload":"{}","recorded_at_ms":7,"envelope":{"command_id":"k","causation_id":"k","correlation_id":"k",
        "trace_context":null},"previous_hash":"0","hash":"1"}"#;

    fn only_carts(event: &EventRecord) -> Result<(), String> {
        if event.event_type.starts_with("Cart") { Ok(()) } else { Err(format!("unknown type {}", event.event_type)) }
    }

    #[test]
    fn the_body_decides_before_the_count() {
        let unknown = EVENT.replace("CartAbandoned", "Nonsense");
        let poison = |reason: &str| Classification::Poison { reason: reason.to_owned() };
        let cases = [
            (EVENT, 0, Classification::Transient),
            (EVENT, 2, Classification::Transient),
            (EVENT, 3, Classification::Exhausted),
            (EVENT, 4, Classification::Exhausted),
            (&unknown, 0, poison("unknown type Nonsense")),
            (&unknown, 9, poison("unknown type Nonsense")),
        ];
        let classifier = EventClassifier::new(3, only_carts);
        for (body, redrives_before, wanted) in cases {
            let letter = DeadLetter { body, attributes: &[], receive_count: 6, redrives_before };
            assert_eq!(classifier.classify(&letter), wanted, "{redrives_before} redrives of {body}");
        }
    }

    #[test]
    fn what_is_not_an_event_is_poison() {
        let classifier = EventClassifier::new(3, only_carts);
        for body in ["", "not JSON", "{}", "[]", "null"] {
            let letter = DeadLetter { body, attributes: &[], receive_count: 1, redrives_before: 0 };
            let classification = classifier.classify(&letter);
            assert!(matches!(&classification, Classification::Poison { reason } if reason.contains("not an event")));
        }
    }
}
