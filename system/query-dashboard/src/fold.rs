//! Views as a pure function of events.

use nexus_domain::{AggregateId, Event, OrderLine, RefundDue, UnreadableEvent};
use nexus_ports::{EventRecord, StreamName, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What readers see of one aggregate. No moment is in it: the same events give the same bytes, whenever and by whomever
/// they are folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum View {
    Order(OrderView),
    Payment(PaymentView),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub stream: StreamName,
    pub version: Version,
    pub order_id: String,
    pub status: OrderViewStatus,
    pub customer_id: String,
    pub currency: String,
    pub lines: Vec<OrderLine>,
    pub total_cents: u64,
    /// In the order in which they were confirmed.
    pub payments: Vec<ConfirmedPayment>,
    pub shipment: Option<Shipment>,
    pub cancellation: Option<Cancellation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderViewStatus {
    Placed,
    Paid,
    Shipped,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmedPayment {
    pub payment_id: String,
    pub amount_cents: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    pub carrier: String,
    pub tracking_number: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    pub reason: String,
    pub refund_due: Option<RefundDue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    pub stream: StreamName,
    pub version: Version,
    pub payment_id: String,
    pub status: PaymentViewStatus,
    pub order_id: String,
    pub method: String,
    pub processed_cents: u64,
    pub refunded_cents: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentViewStatus {
    Processed,
    PartlyRefunded,
    Refunded,
}

/// The event cannot be folded into this view, now or later.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    #[error("the view of {stream} cannot be read: {detail}")]
    UnreadableView { stream: StreamName, detail: String },
    #[error("the view stands at version {view}; the event has version {event}, not the next")]
    NotNext { view: Version, event: Version },
    #[error("the payload is not JSON: {0}")]
    PayloadNotJson(serde_json::Error),
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    #[error("the event tells of {aggregate}, but lies in the stream {stream}")]
    ForeignAggregate { stream: StreamName, aggregate: AggregateId },
    #[error("no view is made from {event_type}")]
    NotProjected { event_type: &'static str },
    #[error("{event_type} is not how a stream begins")]
    NotBegun { event_type: &'static str },
    #[error("{event_type} begins a stream and cannot come again")]
    BegunAgain { event_type: &'static str },
    #[error("the amounts in {stream} exceed what can be added up")]
    AmountOverflow { stream: StreamName },
}

/// The view after one more event, as JSON. `None` is the view before the first event.
///
/// # Errors
/// See [`FoldError`]; the same arguments always give the same answer.
pub fn fold(view: Option<&Value>, event: &EventRecord) -> Result<Value, FoldError> {
    let unreadable = |error: serde_json::Error| FoldError::UnreadableView {
        stream: event.stream.clone(),
        detail: error.to_string(),
    };
    let view = view.map(View::deserialize).transpose().map_err(unreadable)?;
    Ok(View::after(view.as_ref(), event)?.to_json())
}

impl View {
    pub fn version(&self) -> Version {
        match self {
            View::Order(order) => order.version,
            View::Payment(payment) => payment.version,
        }
    }

    pub fn stream(&self) -> &StreamName {
        match self {
            View::Order(order) => &order.stream,
            View::Payment(payment) => &payment.stream,
        }
    }

    pub fn to_json(&self) -> Value {
        match serde_json::to_value(self) {
            Ok(value) => value,
            Err(error) => unreachable!("a view is made of texts and whole numbers, which have a JSON form: {error}"),
        }
    }

    /// The view after one more event; see [`fold`].
    ///
    /// # Errors
    /// See [`FoldError`].
    pub fn after(view: Option<&View>, event: &EventRecord) -> Result<View, FoldError> {
        let standing = view.map_or(Version::START, View::version);
        if event.version != standing.next() {
            return Err(FoldError::NotNext { view: standing, event: event.version });
        }
        let fact = readable(event)?;
        match view {
            None => begin(event, fact),
            Some(View::Order(order)) => order.clone().after(event.version, fact).map(View::Order),
            Some(View::Payment(payment)) => payment.clone().after(event.version, fact).map(View::Payment),
        }
    }
}

/// The fact that the record holds, if it is one about the record's own aggregate.
fn readable(event: &EventRecord) -> Result<Event, FoldError> {
    let payload: Value = serde_json::from_str(&event.payload).map_err(FoldError::PayloadNotJson)?;
    let fact = Event::from_stored(&event.event_type, event.schema_version, &payload)?;
    let aggregate = fact.aggregate();
    if aggregate.to_string() != event.stream.as_str() {
        return Err(FoldError::ForeignAggregate { stream: event.stream.clone(), aggregate });
    }
    Ok(fact)
}

fn begin(event: &EventRecord, fact: Event) -> Result<View, FoldError> {
    let (stream, version) = (event.stream.clone(), event.version);
    match fact {
        Event::OrderPlaced { order_id, customer_id, currency, lines, total_cents } => Ok(View::Order(OrderView {
            stream,
            version,
            order_id,
            status: OrderViewStatus::Placed,
            customer_id,
            currency,
            lines,
            total_cents,
            payments: Vec::new(),
            shipment: None,
            cancellation: None,
        })),
        Event::PaymentProcessed { payment_id, order_id, amount_cents, method } => Ok(View::Payment(PaymentView {
            stream,
            version,
            payment_id,
            status: PaymentViewStatus::Processed,
            order_id,
            method,
            processed_cents: amount_cents,
            refunded_cents: 0,
        })),
        Event::PaymentConfirmed { .. }
        | Event::OrderShipped { .. }
        | Event::OrderCancelled { .. }
        | Event::PaymentRefunded { .. } => Err(FoldError::NotBegun { event_type: fact.event_type() }),
        Event::ItemAddedToCart { .. } | Event::ItemRemovedFromCart { .. } | Event::CartAbandoned { .. } => {
            Err(FoldError::NotProjected { event_type: fact.event_type() })
        }
    }
}

impl OrderView {
    fn after(mut self, version: Version, fact: Event) -> Result<Self, FoldError> {
        self.version = version;
        match fact {
            Event::PaymentConfirmed { payment_id, amount_cents, .. } => {
                self.payments.push(ConfirmedPayment { payment_id, amount_cents });
                self.status = OrderViewStatus::Paid;
            }
            Event::OrderShipped { carrier, tracking_number, .. } => {
                self.shipment = Some(Shipment { carrier, tracking_number });
                self.status = OrderViewStatus::Shipped;
            }
            Event::OrderCancelled { reason, refund_due, .. } => {
                self.cancellation = Some(Cancellation { reason, refund_due });
                self.status = OrderViewStatus::Cancelled;
            }
            Event::OrderPlaced { .. } => return Err(FoldError::BegunAgain { event_type: fact.event_type() }),
            other => return Err(FoldError::NotProjected { event_type: other.event_type() }),
        }
        Ok(self)
    }
}

impl PaymentView {
    fn after(mut self, version: Version, fact: Event) -> Result<Self, FoldError> {
        self.version = version;
        match fact {
            Event::PaymentRefunded { amount_cents, .. } => {
                let overflow = || FoldError::AmountOverflow { stream: self.stream.clone() };
                self.refunded_cents = self.refunded_cents.checked_add(amount_cents).ok_or_else(overflow)?;
                let is_whole = self.refunded_cents >= self.processed_cents;
                self.status = if is_whole { PaymentViewStatus::Refunded } else { PaymentViewStatus::PartlyRefunded };
            }
            Event::PaymentProcessed { .. } => return Err(FoldError::BegunAgain { event_type: fact.event_type() }),
            other => return Err(FoldError::NotProjected { event_type: other.event_type() }),
        }
        Ok(self)
    }
}
