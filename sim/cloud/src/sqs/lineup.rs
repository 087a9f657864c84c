//! Which messages of a queue may be received next.

use std::collections::{BTreeMap, BTreeSet};

use super::message::Message;

/// The messages that wait for a receiver. Each change costs a logarithm of their number.
#[derive(Debug)]
pub enum Lineup {
    /// By turn, then by arrival.
    Standard(BTreeSet<(u64, u64)>),
    Fifo {
        groups: BTreeMap<String, Group>,
        /// Heads of the groups that may be received from, by arrival.
        ready: BTreeMap<u64, String>,
    },
}

#[derive(Debug, Default)]
pub struct Group {
    /// Those not in flight, by arrival, and whether each is visible already: a delayed one holds up those behind it.
    waiting: BTreeMap<u64, bool>,
    in_flight: usize,
    ready_at: Option<u64>,
}

impl Lineup {
    pub fn new(fifo: bool) -> Self {
        if fifo {
            Lineup::Fifo { groups: BTreeMap::new(), ready: BTreeMap::new() }
        } else {
            Lineup::Standard(BTreeSet::new())
        }
    }

    /// The message is new, and visible or delayed.
    pub fn arrive(&mut self, message: &Message, visible: bool) {
        match self {
            Lineup::Standard(turns) => {
                if visible {
                    turns.insert((message.order_at.0, message.ordinal));
                }
            }
            Lineup::Fifo { groups, ready } => {
                let group = groups.entry(message.group().to_owned()).or_default();
                group.waiting.insert(message.ordinal, visible);
                group.refresh(message.group(), ready);
            }
        }
    }

    /// A delayed message became visible.
    pub fn show(&mut self, message: &Message) {
        self.arrive(message, true);
    }

    /// The message was received and is hidden.
    pub fn take(&mut self, message: &Message) {
        self.change(message, |group, ordinal| {
            group.waiting.remove(&ordinal);
            group.in_flight += 1;
        });
        if let Lineup::Standard(turns) = self {
            turns.remove(&(message.order_at.0, message.ordinal));
        }
    }

    /// A message in flight is visible again.
    pub fn give_back(&mut self, message: &Message) {
        self.change(message, |group, ordinal| {
            group.waiting.insert(ordinal, true);
            group.in_flight = group.in_flight.saturating_sub(1);
        });
        if let Lineup::Standard(turns) = self {
            turns.insert((message.order_at.0, message.ordinal));
        }
    }

    /// The message leaves the queue; `was_in_flight` says from where.
    pub fn leave(&mut self, message: &Message, was_in_flight: bool) {
        self.change(message, |group, ordinal| {
            group.waiting.remove(&ordinal);
            if was_in_flight {
                group.in_flight = group.in_flight.saturating_sub(1);
            }
        });
        if let Lineup::Standard(turns) = self {
            turns.remove(&(message.order_at.0, message.ordinal));
        }
    }

    fn change(&mut self, message: &Message, change: impl FnOnce(&mut Group, u64)) {
        let Lineup::Fifo { groups, ready } = self else { return };
        let Some(group) = groups.get_mut(message.group()) else { return };
        change(group, message.ordinal);
        group.refresh(message.group(), ready);
        if group.waiting.is_empty() && group.in_flight == 0 {
            groups.remove(message.group());
        }
    }

    /// The message to be received next. With a group, the next of that group, although others of it were just taken.
    pub fn next(&self, started_group: Option<&str>) -> Option<u64> {
        match self {
            Lineup::Standard(turns) => turns.first().map(|(_, ordinal)| *ordinal),
            Lineup::Fifo { groups, ready } => {
                let of_group = started_group.and_then(|name| groups.get(name)?.visible_head());
                of_group.or_else(|| ready.first_key_value().map(|(ordinal, _)| *ordinal))
            }
        }
    }

    pub fn clear(&mut self) {
        *self = Self::new(matches!(self, Lineup::Fifo { .. }));
    }
}

impl Group {
    fn visible_head(&self) -> Option<u64> {
        self.waiting.first_key_value().and_then(|(ordinal, visible)| visible.then_some(*ordinal))
    }

    fn refresh(&mut self, name: &str, ready: &mut BTreeMap<u64, String>) {
        let now_ready = if self.in_flight == 0 { self.visible_head() } else { None };
        if now_ready == self.ready_at {
            return;
        }
        if let Some(head) = self.ready_at {
            ready.remove(&head);
        }
        if let Some(head) = now_ready {
            ready.insert(head, name.to_owned());
        }
        self.ready_at = now_ready;
    }
}
