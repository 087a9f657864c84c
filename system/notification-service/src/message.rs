//! What a message asks for: a pure function of the message.

use nexus_domain::{Event, UnreadableEvent};
use nexus_event_store::event_hash;
use nexus_ports::{EventRecord, Notification, QueueMessage, UnixTime, canonical_json};
use serde_json::{Value, json};

/// What is to be done about a message.
#[derive(Debug)]
pub enum Verdict {
    /// Record this; the message may be deleted once it is recorded.
    Notify(Box<Notification>),
    /// No attempt will help: the message is left for the dead-letter queue.
    Poison(PoisonMessage),
}

/// Why no notification can be made from a message.
#[derive(Debug, thiserror::Error)]
pub enum PoisonMessage {
    #[error("the body is not an event: {0}")]
    Unreadable(serde_json::Error),
    #[error("the body's content does not match its hash")]
    ContentChanged,
    #[error("the payload is not JSON: {0}")]
    PayloadNotJson(serde_json::Error),
    #[error(transparent)]
    UnreadableEvent(UnreadableEvent),
    #[error("nobody is notified of {event_type}")]
    NoTemplate { event_type: &'static str },
}

impl PoisonMessage {
    /// A stable name for metrics, in kebab-case.
    pub fn code(&self) -> &'static str {
        match self {
            PoisonMessage::Unreadable(_) => "unreadable",
            PoisonMessage::ContentChanged => "content-changed",
            PoisonMessage::PayloadNotJson(_) => "payload-not-json",
            PoisonMessage::UnreadableEvent(UnreadableEvent::UnknownType { .. }) => "unknown-type",
            PoisonMessage::UnreadableEvent(UnreadableEvent::UnknownVersion { .. }) => "unknown-version",
            PoisonMessage::UnreadableEvent(UnreadableEvent::Payload { .. }) => "payload-mismatch",
            PoisonMessage::NoTemplate { .. } => "no-template",
        }
    }
}

/// Reads a message: JSON of an [`EventRecord`], as the router published it. Attributes are for filters on the way and are
/// not looked at: a message that was sent again by hand may lack them.
pub fn handle_message(message: &QueueMessage, now: UnixTime) -> Verdict {
    match notification(&message.body, now) {
        Ok(notification) => Verdict::Notify(Box::new(notification)),
        Err(poison) => Verdict::Poison(poison),
    }
}

fn notification(body: &str, now: UnixTime) -> Result<Notification, PoisonMessage> {
    let record: EventRecord = serde_json::from_str(body).map_err(PoisonMessage::Unreadable)?;
    if event_hash(&record) != record.hash {
        return Err(PoisonMessage::ContentChanged);
    }
    let payload: Value = serde_json::from_str(&record.payload).map_err(PoisonMessage::PayloadNotJson)?;
    let event = Event::from_stored(&record.event_type, record.schema_version, &payload)
        .map_err(PoisonMessage::UnreadableEvent)?;
    let (template, recipient) = addressed(&event)?;
    let data = canonical_json(&json!({"event_type": event.event_type(), "event": event.payload()}));
    Ok(Notification {
        event_id: record.event_id,
        // Who removes an item is known to the cart only: the notification goes to whoever owns it.
        recipient: recipient.unwrap_or_else(|| record.stream.to_string()),
        stream: record.stream,
        version: record.version,
        template: template.to_owned(),
        data,
        correlation_id: record.envelope.correlation_id,
        recorded_at_ms: now.as_millis(),
    })
}

/// The template, and the customer where the event names one.
fn addressed(event: &Event) -> Result<(&'static str, Option<String>), PoisonMessage> {
    match event {
        Event::ItemAddedToCart { customer_id, .. } => Ok(("cart-changed", Some(customer_id.clone()))),
        Event::ItemRemovedFromCart { .. } => Ok(("cart-changed", None)),
        Event::CartAbandoned { customer_id, .. } => Ok(("cart-abandoned", Some(customer_id.clone()))),
        Event::OrderPlaced { .. }
        | Event::PaymentConfirmed { .. }
        | Event::OrderShipped { .. }
        | Event::OrderCancelled { .. }
        | Event::PaymentProcessed { .. }
        | Event::PaymentRefunded { .. } => Err(PoisonMessage::NoTemplate { event_type: event.event_type() }),
    }
}
