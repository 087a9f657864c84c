//! How many messages lie in each place, followed step by step.

use std::collections::BTreeMap;

use nexus_cloud::{MessageStep, MessageStepKind as Kind, Service};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    Visible,
    InFlight,
}

/// The messages of all queues, and the number of records of all shards and topics.
#[derive(Default)]
pub struct Queues {
    messages: BTreeMap<String, BTreeMap<String, (Whereabouts, u64)>>,
    records: BTreeMap<String, u64>,
}

impl Queues {
    /// Takes a step in, and says what the place holds now: what kind of place it is, its name, and what is in it.
    pub fn take(&mut self, step: &MessageStep, at_us: u64) -> Option<(String, String, Option<String>)> {
        match step.service {
            Service::Sqs => Some(self.take_of_queue(step, at_us)),
            Service::Kinesis => self.take_of_shard(step),
            _ => None,
        }
    }

    /// When a message was last made visible in its queue.
    pub fn visible_since_us(&self, place: &str, message_id: &str) -> Option<u64> {
        self.messages.get(place)?.get(message_id).map(|(_, since_us)| *since_us)
    }

    fn take_of_queue(&mut self, step: &MessageStep, at_us: u64) -> (String, String, Option<String>) {
        let queue = self.messages.entry(step.place.clone()).or_default();
        match step.step {
            Kind::Accepted | Kind::Reappeared => {
                queue.insert(step.message_id.clone(), (Whereabouts::Visible, at_us));
            }
            Kind::Received => {
                queue.insert(step.message_id.clone(), (Whereabouts::InFlight, at_us));
            }
            _ => {
                queue.remove(&step.message_id);
            }
        }
        let count = |wanted: Whereabouts| queue.values().filter(|(where_, _)| *where_ == wanted).count();
        let (visible, in_flight) = (count(Whereabouts::Visible), count(Whereabouts::InFlight));
        ("queue".to_owned(), step.place.clone(), Some(format!("{visible} visible, {in_flight} in flight")))
    }

    fn take_of_shard(&mut self, step: &MessageStep) -> Option<(String, String, Option<String>)> {
        let records = self.records.entry(step.place.clone()).or_default();
        match step.step {
            Kind::Accepted => *records += 1,
            Kind::Trimmed => *records = records.saturating_sub(1),
            _ => return None,
        }
        Some(("shard".to_owned(), step.place.clone(), Some(format!("{records} records"))))
    }
}
