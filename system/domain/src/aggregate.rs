//! The folded state of any aggregate.

use serde::{Deserialize, Serialize};

use crate::{AggregateKind, Cart, Command, Event, Order, Payment, Refusal};

/// The state of one aggregate: a fold of its events by [`Aggregate::evolve`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Aggregate {
    Order(Order),
    Cart(Cart),
    Payment(Payment),
}

impl Aggregate {
    /// The state before the first event.
    pub fn new(kind: AggregateKind) -> Self {
        match kind {
            AggregateKind::Order => Self::Order(Order::default()),
            AggregateKind::Cart => Self::Cart(Cart::default()),
            AggregateKind::Payment => Self::Payment(Payment::default()),
        }
    }

    /// The state after a whole history.
    pub fn replay<'a>(kind: AggregateKind, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::new(kind);
        events.into_iter().for_each(|event| state.evolve(event));
        state
    }

    pub fn kind(&self) -> AggregateKind {
        match self {
            Self::Order(_) => AggregateKind::Order,
            Self::Cart(_) => AggregateKind::Cart,
            Self::Payment(_) => AggregateKind::Payment,
        }
    }

    /// Takes one event into the state. It never fails: an event is a fact, even an odd one. An event of another
    /// kind of aggregate leaves the state as it was.
    pub fn evolve(&mut self, event: &Event) {
        match self {
            Self::Order(order) => order.evolve(event),
            Self::Cart(cart) => cart.evolve(event),
            Self::Payment(payment) => payment.evolve(event),
        }
    }

    /// The events that the command causes in this state. At least one on success.
    ///
    /// # Errors
    /// The [`Refusal`] says which rule the command breaks. The same state and command always give the same answer.
    pub fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        self.refuse_other_id(command)?;
        match self {
            Self::Order(order) => order.decide(command),
            Self::Cart(cart) => cart.decide(command),
            Self::Payment(payment) => payment.decide(command),
        }
    }

    /// A state that has events knows its id; a command for another one came here by a mistake of the caller.
    fn refuse_other_id(&self, command: &Command) -> Result<(), Refusal> {
        let own_id = match self {
            Self::Order(order) => &order.order_id,
            Self::Cart(cart) => &cart.cart_id,
            Self::Payment(payment) => &payment.payment_id,
        };
        let (kind, id) = command.target();
        if kind == self.kind() && (own_id.is_empty() || own_id == id) {
            return Ok(());
        }
        Err(Refusal::WrongAggregate { command: command.name(), kind, id: id.to_owned() })
    }
}
