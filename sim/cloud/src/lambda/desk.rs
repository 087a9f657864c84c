//! What the parts of the service ask for, and what for: each wake-up and each call to a neighbour has a purpose, found
//! again by its token.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    interface::{MessageStep, MessageStepKind, Service, UnixNanos},
    service::{InternalRequest, ServiceContext},
};

/// Why the service is woken or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The invocation's time is over.
    Timeout { request_id: String },
    /// The process that has the invocation dies.
    Death { request_id: String },
    /// No environment came for a waiting invocation.
    PlacementExpired { function: String, ticket: u64 },
    /// An invocation that a fault delayed.
    Delayed { ticket: u64 },
    /// An asynchronous event is due.
    AsyncAttempt { event: u64 },
    /// A mapping's change of state takes hold.
    Settle { uuid: Arc<str> },
    /// A mapping, by its identifier. What an earlier generation of it asked for is of no use any more.
    Mapping { uuid: Arc<str>, generation: u32, purpose: MappingPurpose },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingPurpose {
    /// Look for shards again.
    Discover,
    /// One page of the list of shards.
    ShardsListed,
    /// How long the stream keeps records.
    RetentionKnown,
    Shard {
        shard: Arc<str>,
        step: ShardStep,
    },
    /// The queue's attributes.
    QueueKnown,
    Poller {
        poller: u32,
        step: PollerStep,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardStep {
    /// Time to read.
    Poll,
    Positioned,
    Read,
    /// The batching window of a lane may have ended.
    Window {
        lane: u8,
    },
    /// Time to invoke again after a failure.
    Retry {
        lane: u8,
    },
    Invoked {
        lane: u8,
    },
    /// The destination took (or refused) the notice about a discarded batch.
    Notified {
        lane: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollerStep {
    Received,
    Retry,
    Invoked,
    Deleted,
}

#[derive(Debug, Default)]
pub struct Purposes {
    last_token: u64,
    pending: BTreeMap<u64, Purpose>,
}

impl Purposes {
    /// The purpose of a token, which is then used up.
    pub fn take(&mut self, token: u64) -> Option<Purpose> {
        self.pending.remove(&token)
    }

    fn add(&mut self, purpose: Purpose) -> u64 {
        self.last_token += 1;
        self.pending.insert(self.last_token, purpose);
        self.last_token
    }
}

/// The circumstances of one act of the service.
pub struct Desk<'d, 'c> {
    pub context: &'d mut ServiceContext<'c>,
    pub purposes: &'d mut Purposes,
}

impl Desk<'_, '_> {
    pub fn now(&self) -> UnixNanos {
        self.context.now
    }

    pub fn wake_after(&mut self, delay: Duration, purpose: Purpose) {
        let token = self.purposes.add(purpose);
        let at = self.context.now.plus(delay);
        self.context.wake_at(at, token);
    }

    pub fn ask(&mut self, to: Service, operation: &str, request: Value, purpose: Purpose) {
        let token = self.purposes.add(purpose);
        let operation = operation.to_owned();
        self.context.request(InternalRequest { token, to, operation, request, delay: Duration::ZERO });
    }

    pub fn note(&mut self, place: &str, step: MessageStepKind, message_id: &str, key: &str, note: String) {
        self.note_with_body(place, step, message_id, key, String::new(), note);
    }

    pub fn note_with_body(
        &mut self,
        place: &str,
        step: MessageStepKind,
        message_id: &str,
        key: &str,
        body: String,
        note: String,
    ) {
        let (at, call_sequence) = (self.context.now, self.context.call_sequence);
        self.context.note(MessageStep {
            at,
            call_sequence,
            service: Service::Lambda,
            place: place.to_owned(),
            step,
            message_id: message_id.to_owned(),
            key: key.to_owned(),
            body: body.into(),
            receive_count: 0,
            note,
        });
    }

    /// An identifier in the form of a UUID, addressed by what it is for.
    pub fn uuid(&mut self, purpose: &str, logical_key: &str) -> String {
        let high = self.context.entropy.next_u64(purpose, logical_key);
        let low = self.context.entropy.next_u64(purpose, logical_key);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// The time to wait before another try: doubling from `first` to `most`, of which a random share passes.
    pub fn backoff(&mut self, logical_key: &str, failures: u32, first: Duration, most: Duration) -> Duration {
        let ceiling = first.saturating_mul(1u32 << failures.min(20)).min(most);
        let share = self.context.entropy.next_fraction("lambda-backoff", logical_key);
        // At least half passes, so that a retry is never immediate.
        ceiling.mul_f64(0.5 + share / 2.0)
    }

    pub fn function_arn(&self, function: &str) -> String {
        format!("arn:aws:lambda:{}:{}:function:{function}", self.context.region, self.context.account_id)
    }
}
