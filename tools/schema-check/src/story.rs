//! Who writes an event and who reads it, found by asking the code that does: commands are decided by the domain, events are
//! given to the router's table, to the projection's fold and to the notifier.

use std::collections::{BTreeMap, BTreeSet};

use nexus_domain::{Aggregate, Command, Event};
use nexus_event_router::{Destination, destination};
use nexus_event_store::event_hash;
use nexus_ports::{EventEnvelope, EventRecord, QueueMessage, StreamName, UnixTime, Version, canonical_json};
use serde_json::{Value, json};

use crate::error::ToolError;

/// What is known of one event type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The commands that cause it.
    pub commands: BTreeSet<&'static str>,
    /// The aggregate that it happens to.
    pub aggregate: String,
    pub destination: Option<&'static str>,
    /// The services that do something with it.
    pub consumers: BTreeSet<&'static str>,
}

/// Lives of aggregates, by the commands sent to them, in which every event type occurs.
fn lives() -> Vec<Vec<Value>> {
    let line = json!({"sku": "BOOK-7", "quantity": 2, "unit_price_cents": 1250});
    let place =
        json!({"type": "PlaceOrder", "order_id": "o-1", "customer_id": "c-1", "currency": "EUR", "lines": [line]});
    let confirm = json!({"type": "ConfirmPayment", "order_id": "o-1", "payment_id": "p-1", "amount_cents": 2500});
    let confirm_and_ship = json!({
        "type": "ConfirmPaymentAndShip", "order_id": "o-1", "payment_id": "p-1", "amount_cents": 2500, "carrier": "DHL",
        "tracking_number": "JD0146",
    });
    let ship = json!({"type": "ShipOrder", "order_id": "o-1", "carrier": "DHL", "tracking_number": "JD0146"});
    let cancel = json!({"type": "CancelOrder", "order_id": "o-1", "reason": "changed my mind"});
    let process = json!({
        "type": "ProcessPayment", "payment_id": "p-1", "order_id": "o-1", "amount_cents": 2500, "method": "card",
    });
    let refund = json!({"type": "RefundPayment", "payment_id": "p-1", "amount_cents": 2500});
    let add = json!({
        "type": "AddItemToCart", "cart_id": "k-1", "customer_id": "c-1", "sku": "BOOK-7", "quantity": 1,
        "unit_price_cents": 1250,
    });
    let remove = json!({"type": "RemoveItemFromCart", "cart_id": "k-1", "sku": "BOOK-7"});
    let replace = json!({
        "type": "ReplaceItemInCart", "cart_id": "k-1", "sku": "BOOK-7", "new_sku": "BOOK-8", "quantity": 1,
        "unit_price_cents": 990,
    });
    let abandon = json!({"type": "AbandonCart", "cart_id": "k-1"});
    vec![
        vec![place.clone(), confirm, ship],
        vec![place.clone(), confirm_and_ship],
        vec![place, cancel],
        vec![process, refund],
        vec![add.clone(), remove],
        vec![add.clone(), replace],
        vec![add, abandon],
    ]
}

/// The role of every event type of the domain.
///
/// # Errors
/// The domain refuses a command of the story, or an event type or a command does not occur in it.
pub fn roles() -> Result<BTreeMap<&'static str, Role>, ToolError> {
    let mut roles = BTreeMap::<&'static str, Role>::new();
    for life in lives() {
        live(&life, &mut roles)?;
    }
    let untold = Event::TYPES.iter().find(|event_type| !roles.contains_key(**event_type));
    let unsent = Command::NAMES.iter().find(|name| !roles.values().any(|role| role.commands.contains(**name)));
    match untold.or(unsent) {
        None => Ok(roles),
        Some(name) => Err(ToolError::Story { reason: format!("`{name}` does not occur in it") }),
    }
}

fn live(life: &[Value], roles: &mut BTreeMap<&'static str, Role>) -> Result<(), ToolError> {
    let told_wrong = |reason: String| ToolError::Story { reason };
    let mut state: Option<Aggregate> = None;
    let mut view: Option<Value> = None;
    let mut version = Version::START;
    for command in life {
        let command: Command =
            serde_json::from_value(command.clone()).map_err(|error| told_wrong(error.to_string()))?;
        let aggregate = command.aggregate_id().map_err(|error| told_wrong(error.to_string()))?;
        let state = state.get_or_insert_with(|| Aggregate::new(aggregate.kind));
        let events = state.decide(&command).map_err(|refusal| told_wrong(format!("{}: {refusal}", command.name())))?;
        for event in events {
            state.evolve(&event);
            version = version.next();
            let record = record(&event, version)?;
            let role = roles.entry(event.event_type()).or_default();
            role.commands.insert(command.name());
            role.aggregate = format!("{:?}", aggregate.kind).to_lowercase();
            role.destination = destination(event.event_type()).map(Destination::as_str);
            role.consumers.extend(consumers(&record, &mut view));
        }
    }
    Ok(())
}

fn record(event: &Event, version: Version) -> Result<EventRecord, ToolError> {
    let stream: StreamName = event
        .aggregate()
        .to_string()
        .parse()
        .map_err(|error| ToolError::Story { reason: format!("{}: {error}", event.event_type()) })?;
    let envelope = EventEnvelope {
        command_id: "c".to_owned(),
        causation_id: "c".to_owned(),
        correlation_id: "c".to_owned(),
        trace_context: None,
    };
    let mut record = EventRecord {
        stream,
        version,
        event_id: "e".to_owned(),
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: canonical_json(&event.payload()),
        recorded_at_ms: 0,
        envelope,
        previous_hash: String::new(),
        hash: String::new(),
    };
    record.hash = event_hash(&record);
    Ok(record)
}

/// The services that make something of the event where it is sent; `view` is kept as the projection keeps it.
fn consumers(record: &EventRecord, view: &mut Option<Value>) -> Vec<&'static str> {
    match destination(&record.event_type) {
        Some(Destination::Core) => match nexus_query_dashboard::fold(view.as_ref(), record) {
            Ok(next) => {
                *view = Some(next);
                vec!["query-dashboard (view)"]
            }
            Err(_) => Vec::new(),
        },
        Some(Destination::Background) => {
            match nexus_notification_service::handle_message(&message(record), UnixTime::from_millis(0)) {
                nexus_notification_service::Verdict::Notify(_) => vec!["notification-service (outbox)"],
                nexus_notification_service::Verdict::Poison(_) => Vec::new(),
            }
        }
        None => Vec::new(),
    }
}

fn message(record: &EventRecord) -> QueueMessage {
    QueueMessage {
        message_id: "m".to_owned(),
        receipt_handle: "r".to_owned(),
        body: json!(record).to_string(),
        attributes: Vec::new(),
        receive_count: 1,
        sent_at_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_writer_a_destination_and_a_reader() {
        let roles = roles().unwrap();
        assert_eq!(roles.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(Event::TYPES));
        for (event_type, role) in roles {
            assert!(!role.commands.is_empty() && role.destination.is_some(), "{event_type}: {role:?}");
            assert_eq!(role.consumers.len(), 1, "{event_type}: {role:?}");
        }
    }

    #[test]
    fn background_events_are_notified_and_core_events_are_viewed() {
        let roles = roles().unwrap();
        let cart = &roles["ItemAddedToCart"];
        assert_eq!(cart.consumers, BTreeSet::from(["notification-service (outbox)"]));
        assert_eq!((cart.destination, cart.aggregate.as_str()), (Some("background"), "cart"));
        assert_eq!(roles["OrderShipped"].commands, BTreeSet::from(["ConfirmPaymentAndShip", "ShipOrder"]));
        assert_eq!(roles["PaymentRefunded"].consumers, BTreeSet::from(["query-dashboard (view)"]));
    }
}
