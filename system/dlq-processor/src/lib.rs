//! What becomes of messages and aggregates that could not be worked on: dead letters are classified, redriven to the
//! queue they came from or quarantined for people, and parked aggregates are replayed from the event store and released.
//!
//! Where to start: [`DlqProcessor`]. Nothing is ever taken away before its next place has accepted it: a letter is deleted
//! only after the home queue or the quarantine has it, and an aggregate is released only while nothing newer waits. A
//! crash between the two steps repeats the first, which is harmless, since everything downstream goes by event id and
//! version. For the same reason two processors may work on the same queue at the same time.
#![forbid(unsafe_code)]

mod account;
mod attempts;
mod classify;
mod letters;
mod marks;
mod parked;
mod plan;
mod processor;
mod rate;
mod release;
mod settings;

pub use account::DlqAccount;
pub use classify::{Classification, Classifier, DeadLetter, EventClassifier};
pub use marks::{DEAD_SINCE_ATTRIBUTE, EVENT_ID_ATTRIBUTE, REDRIVES_ATTRIBUTE};
pub use processor::{DeadLetterSource, DlqProcessor};
pub use settings::DlqSettings;
