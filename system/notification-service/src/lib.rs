//! Notifications: from events on a queue to records in the outbox, each once.
//!
//! Where to start: [`handle_message`] says what a message asks for, and is pure; [`NotificationWorker`] receives, records
//! and deletes. [`NotificationWorker::handle_batch`] is the part for hosts that receive and delete by themselves.
//!
//! # How a message ends
//!
//! | message | end |
//! |---|---|
//! | an event with a template | recorded in the outbox under the event's id, then deleted |
//! | an event that is recorded already | deleted |
//! | the outbox did not take it in all attempts | left, and shown again after a growing time |
//! | not an event, of an unknown type or shape, or without a template | left, and shown again soon: after its last receive it is in the dead-letter queue |
//! | deleted in vain | comes again, and is found recorded |
#![forbid(unsafe_code)]

mod batch;
mod message;
mod settings;
mod worker;

pub use message::{PoisonMessage, Verdict, handle_message};
pub use settings::NotificationSettings;
pub use worker::NotificationWorker;
