//! The way of a command, without HTTP.

use std::sync::Arc;

use nexus_domain::{Aggregate, AggregateId, AggregateKind, Command, Event, Order, Refusal};
use nexus_event_store::{
    AppendError, CommandContext, CommandOrigin, Deadline, EventStore, LoadedStream, NewEvent, NotDone, RecordError,
};
use nexus_governance::{Decision, GateRefusal, PolicyEnforcer, PolicyInput, SchemaGate};
use nexus_ports::{
    EventRecord, IdempotencyRecord, InvalidStreamName, Platform, ReadConsistency, RecordedOutcome, StreamName,
    canonical_json,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{CommandFailure, CommandServiceSettings};

/// Executes commands and reads orders.
pub struct CommandService {
    pub(crate) platform: Platform,
    pub(crate) settings: CommandServiceSettings,
    store: EventStore,
    enforcer: Arc<PolicyEnforcer>,
    schemas: SchemaGate,
}

/// A command and who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    pub command: Command,
    /// 1 to 128 visible ASCII characters, one per command whatever the number of its retries.
    pub idempotency_key: String,
    /// On whose behalf. Whoever stands before this service has authenticated it.
    pub role: String,
    /// W3C `traceparent`, if any.
    pub trace_context: Option<String>,
}

/// The answer to an accepted command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommandAnswer {
    #[serde(flatten)]
    pub accepted: Accepted,
    /// The command had been accepted before, under the same key.
    pub replayed: bool,
}

/// What an accepted command did; this part is kept under the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub aggregate: String,
    /// Version of the aggregate after the command.
    pub version: u64,
    pub events: Vec<AcceptedEvent>,
}

/// One event that a command caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedEvent {
    pub event_id: String,
    pub event_type: String,
    pub version: u64,
}

/// A refusal by the domain, as kept under the idempotency key.
#[derive(Deserialize)]
struct RefusedAnswer {
    code: String,
    detail: String,
}

/// An order as of its last event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    pub version: u64,
    #[serde(flatten)]
    pub order: Order,
}

impl CommandService {
    /// `schemas` is a validator where the built-in schemas are all that counts, or a gate that asks the schema registry as
    /// well.
    pub fn new(
        platform: Platform,
        store: EventStore,
        enforcer: Arc<PolicyEnforcer>,
        schemas: impl Into<SchemaGate>,
        settings: CommandServiceSettings,
    ) -> Self {
        Self { platform, settings, store, enforcer, schemas: schemas.into() }
    }

    /// The deadline of a request that begins now.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(&self.platform, self.settings.request_deadline)
    }

    /// Executes a command once, however often it is sent under its key.
    ///
    /// The policy is asked before a refusal is kept, too: who may not send a command learns nothing of the aggregate's
    /// state and writes nothing.
    ///
    /// # Errors
    /// See [`CommandFailure`].
    pub async fn execute(&self, request: CommandRequest, deadline: Deadline) -> Result<CommandAnswer, CommandFailure> {
        let aggregate = request.command.aggregate_id()?;
        let stream = stream_of(&aggregate)?;
        let context = self.store.begin(origin(&request)?);
        for _ in 0..self.settings.rounds_max {
            // Again in each round: whoever was faster may have executed this very command.
            if let Some(record) = self.store.answer_of(context.key(), deadline).await? {
                return replay(&record, &context);
            }
            let loaded = self.store.load(&stream, deadline).await?;
            let state = fold(aggregate.kind, &loaded.events)?;
            let decided = state.decide(&request.command);
            self.ask_policies(&request, &aggregate, decided.as_deref().ok())?;
            let events = match decided {
                Ok(events) => events,
                Err(refusal) => return self.refuse(&stream, &context, &refusal, deadline).await,
            };
            self.check_schemas(&events, deadline).await?;
            match self.append(&loaded, &context, &events, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(AppendError::Conflict(_) | AppendError::NotDone(NotDone::Contended(_))) => {}
                Err(AppendError::AlreadyAnswered(answered)) => return replay(&answered.record, &context),
                Err(AppendError::NotDone(not_done)) => return Err(not_done.into()),
                Err(AppendError::Invalid(invalid)) => return Err(CommandFailure::InvalidAppend(invalid)),
                Err(AppendError::Unknown(unknown)) => return Err(CommandFailure::OutcomeUnknown(unknown)),
            }
        }
        Err(CommandFailure::Conflict { rounds: self.settings.rounds_max })
    }

    /// An order as of now; `None` before it is placed. Read strongly unless an eventual view is enough.
    ///
    /// # Errors
    /// The order's id is not one, or its stream could not be read.
    pub async fn order(
        &self,
        order_id: &str,
        consistency: ReadConsistency,
        deadline: Deadline,
    ) -> Result<Option<OrderView>, CommandFailure> {
        let aggregate = AggregateId::new(AggregateKind::Order, order_id)?;
        let stream = stream_of(&aggregate)?;
        let loaded = match consistency {
            ReadConsistency::Strong => self.store.load(&stream, deadline).await?,
            ReadConsistency::Eventual => self.store.view(&stream, deadline).await?,
        };
        match fold(aggregate.kind, &loaded.events)? {
            Aggregate::Order(order) if !loaded.events.is_empty() => {
                Ok(Some(OrderView { version: loaded.head.version.0, order }))
            }
            _ => Ok(None),
        }
    }

    fn ask_policies(
        &self,
        request: &CommandRequest,
        aggregate: &AggregateId,
        events: Option<&[Event]>,
    ) -> Result<(), CommandFailure> {
        let event_types = match events {
            Some(events) => events.iter().map(|event| event.event_type().to_owned()).collect(),
            None => wanted_event_types(&request.command).iter().map(|name| (*name).to_owned()).collect(),
        };
        let decision = self.enforcer.decide(&PolicyInput {
            service: "command-service".to_owned(),
            operation: "append-event".to_owned(),
            store: "event-store".to_owned(),
            role: request.role.clone(),
            command: request.command.name().to_owned(),
            aggregate: aggregate.to_string(),
            event_types,
            amount_cents: request.command.amount_cents(),
        });
        match decision {
            Decision::Allow => Ok(()),
            Decision::Deny { denials } => Err(CommandFailure::PolicyDenied { denials }),
        }
    }

    /// The registry is asked before a payload is held against its schema: whether that schema counts comes first.
    async fn check_schemas(&self, events: &[Event], deadline: Deadline) -> Result<(), CommandFailure> {
        for event in events {
            let (event_type, version) = (event.event_type(), event.schema_version());
            if self.schemas.asks_registry() {
                let remaining = deadline.remaining(&self.platform).unwrap_or_default();
                let cleared = self.platform.timeout(remaining, self.schemas.clear(event_type, version)).await;
                let cleared =
                    cleared.map_err(|late| CommandFailure::RegistryUnavailable { reason: late.to_string() })?;
                cleared.map_err(|refusal| not_cleared(event_type, version, refusal))?;
            }
            self.schemas
                .validate(event_type, version, &event.payload())
                .map_err(|rejection| CommandFailure::SchemaViolation { event_type, version, rejection })?;
        }
        Ok(())
    }

    async fn append(
        &self,
        loaded: &LoadedStream,
        context: &CommandContext,
        events: &[Event],
        deadline: Deadline,
    ) -> Result<CommandAnswer, AppendError> {
        let new_events = events.iter().map(|event| NewEvent {
            event_type: event.event_type().to_owned(),
            schema_version: event.schema_version(),
            payload: event.payload(),
        });
        let appended = self.store.append(&loaded.head, context, new_events.collect(), accepted_json, deadline).await;
        if let Err(AppendError::Conflict(_)) = appended {
            self.store.pause_after_conflict(context, deadline).await;
        }
        Ok(CommandAnswer { accepted: accepted(&appended?.events), replayed: false })
    }

    /// Keeps the refusal under the key and answers with it, or with what was kept there before.
    async fn refuse(
        &self,
        stream: &StreamName,
        context: &CommandContext,
        refusal: &Refusal,
        deadline: Deadline,
    ) -> Result<CommandAnswer, CommandFailure> {
        let (code, detail) = (refusal.code().to_owned(), refusal.to_string());
        let answer = json!({"code": code, "detail": detail});
        match self.store.record_refusal(stream, context, &answer, deadline).await {
            Ok(_) => Err(CommandFailure::Refused { code, detail }),
            Err(RecordError::AlreadyAnswered(answered)) => replay(&answered.record, context),
            Err(RecordError::NotDone(not_done)) => Err(not_done.into()),
            Err(RecordError::Unknown(unknown)) => Err(CommandFailure::OutcomeUnknown(unknown)),
        }
    }
}

fn not_cleared(event_type: &'static str, version: u32, refusal: GateRefusal) -> CommandFailure {
    match refusal {
        GateRefusal::Invalid(rejection) => CommandFailure::SchemaViolation { event_type, version, rejection },
        GateRefusal::NotUsable(not_usable) => CommandFailure::SchemaNotUsable(not_usable),
        GateRefusal::Pending(pending) => CommandFailure::SchemaPending(pending),
        GateRefusal::Unreachable(unreachable) => {
            CommandFailure::RegistryUnavailable { reason: unreachable.to_string() }
        }
    }
}

/// What the command would append if the domain did not refuse it: policies are asked about that, too.
fn wanted_event_types(command: &Command) -> &'static [&'static str] {
    match command {
        Command::PlaceOrder { .. } => &["OrderPlaced"],
        Command::ConfirmPayment { .. } => &["PaymentConfirmed"],
        Command::ShipOrder { .. } => &["OrderShipped"],
        Command::ConfirmPaymentAndShip { .. } => &["PaymentConfirmed", "OrderShipped"],
        Command::CancelOrder { .. } => &["OrderCancelled"],
        Command::ProcessPayment { .. } => &["PaymentProcessed"],
        Command::RefundPayment { .. } => &["PaymentRefunded"],
        Command::AddItemToCart { .. } => &["ItemAddedToCart"],
        Command::RemoveItemFromCart { .. } => &["ItemRemovedFromCart"],
        Command::ReplaceItemInCart { .. } => &["ItemRemovedFromCart", "ItemAddedToCart"],
        Command::AbandonCart { .. } => &["CartAbandoned"],
    }
}

/// The answer kept under a key, for a command that comes again under it.
fn replay(record: &IdempotencyRecord, context: &CommandContext) -> Result<CommandAnswer, CommandFailure> {
    let key = || record.key.clone();
    if record.payload_digest != context.payload_digest() {
        return Err(CommandFailure::IdempotencyKeyReused { key: key() });
    }
    let unreadable = |_| CommandFailure::UnreadableAnswer { key: key() };
    match record.outcome {
        RecordedOutcome::Accepted => {
            let accepted = serde_json::from_str(&record.answer).map_err(unreadable)?;
            Ok(CommandAnswer { accepted, replayed: true })
        }
        RecordedOutcome::Refused => {
            let RefusedAnswer { code, detail } = serde_json::from_str(&record.answer).map_err(unreadable)?;
            Err(CommandFailure::Refused { code, detail })
        }
    }
}

fn origin(request: &CommandRequest) -> Result<CommandOrigin, CommandFailure> {
    let command =
        serde_json::to_value(&request.command).map_err(|error| CommandFailure::MalformedCommand(error.to_string()))?;
    let digest = Sha256::digest(canonical_json(&command));
    Ok(CommandOrigin {
        key: request.idempotency_key.clone(),
        payload_digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        // A customer's command is caused by nothing but itself, and begins what will be correlated with it.
        causation_id: request.idempotency_key.clone(),
        correlation_id: request.idempotency_key.clone(),
        trace_context: request.trace_context.clone(),
    })
}

fn stream_of(aggregate: &AggregateId) -> Result<StreamName, CommandFailure> {
    aggregate
        .to_string()
        .parse()
        .map_err(|error: InvalidStreamName| CommandFailure::MalformedCommand(error.to_string()))
}

fn fold(kind: AggregateKind, events: &[EventRecord]) -> Result<Aggregate, CommandFailure> {
    let mut state = Aggregate::new(kind);
    for stored in events {
        let stream = || stored.stream.to_string();
        let payload: Value = serde_json::from_str(&stored.payload)
            .map_err(|_| CommandFailure::PayloadNotJson { stream: stream(), version: stored.version.0 })?;
        let event = Event::from_stored(&stored.event_type, stored.schema_version, &payload)
            .map_err(|source| CommandFailure::UnreadableEvent { stream: stream(), source })?;
        state.evolve(&event);
    }
    Ok(state)
}

fn accepted(events: &[EventRecord]) -> Accepted {
    let last = events.last();
    Accepted {
        aggregate: last.map(|event| event.stream.to_string()).unwrap_or_default(),
        version: last.map_or(0, |event| event.version.0),
        events: events
            .iter()
            .map(|event| AcceptedEvent {
                event_id: event.event_id.clone(),
                event_type: event.event_type.clone(),
                version: event.version.0,
            })
            .collect(),
    }
}

fn accepted_json(events: &[EventRecord]) -> Value {
    let Accepted { aggregate, version, events } = accepted(events);
    let events: Vec<Value> = events
        .iter()
        .map(|event| json!({"event_id": event.event_id, "event_type": event.event_type, "version": event.version}))
        .collect();
    json!({"aggregate": aggregate, "version": version, "events": events})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_event_types_are_those_that_the_domain_decides() {
        let commands = [
            json!({"type": "PlaceOrder", "order_id": "1", "customer_id": "c", "currency": "EUR",
                "lines": [{"sku": "A", "quantity": 1, "unit_price_cents": 5}]}),
            json!({"type": "ConfirmPayment", "order_id": "1", "payment_id": "1", "amount_cents": 5}),
            json!({"type": "ShipOrder", "order_id": "1", "carrier": "x", "tracking_number": "y"}),
            json!({"type": "PlaceOrder", "order_id": "2", "customer_id": "c", "currency": "EUR",
                "lines": [{"sku": "A", "quantity": 1, "unit_price_cents": 5}]}),
            json!({"type": "CancelOrder", "order_id": "2", "reason": "x"}),
            json!({"type": "PlaceOrder", "order_id": "3", "customer_id": "c", "currency": "EUR",
                "lines": [{"sku": "A", "quantity": 1, "unit_price_cents": 5}]}),
            json!({"type": "ConfirmPaymentAndShip", "order_id": "3", "payment_id": "2", "amount_cents": 5,
                "carrier": "x", "tracking_number": "y"}),
            json!({"type": "ProcessPayment", "payment_id": "1", "order_id": "1", "amount_cents": 5, "method": "card"}),
            json!({"type": "RefundPayment", "payment_id": "1", "amount_cents": 5}),
            json!({"type": "AddItemToCart", "cart_id": "1", "customer_id": "c", "sku": "A", "quantity": 1,
                "unit_price_cents": 5}),
            json!({"type": "AddItemToCart", "cart_id": "1", "customer_id": "c", "sku": "B", "quantity": 1,
                "unit_price_cents": 5}),
            json!({"type": "RemoveItemFromCart", "cart_id": "1", "sku": "B"}),
            json!({"type": "ReplaceItemInCart", "cart_id": "1", "sku": "A", "new_sku": "C", "quantity": 1,
                "unit_price_cents": 5}),
            json!({"type": "AbandonCart", "cart_id": "1"}),
        ];
        let mut states: std::collections::BTreeMap<AggregateId, Aggregate> = Default::default();
        let mut seen = std::collections::BTreeSet::new();
        for command in commands {
            let command: Command = serde_json::from_value(command).unwrap();
            let id = command.aggregate_id().unwrap();
            let state = states.entry(id.clone()).or_insert_with(|| Aggregate::new(id.kind));
            let events = state.decide(&command).unwrap();
            let event_types: Vec<&str> = events.iter().map(Event::event_type).collect();
            assert_eq!(event_types, wanted_event_types(&command));
            events.iter().for_each(|event| state.evolve(event));
            seen.insert(command.name());
        }
        assert_eq!(seen.len(), Command::NAMES.len());
    }
}
