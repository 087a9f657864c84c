//! The HTTP face of the write side: commands in, aggregates out.
//!
//! Where to start: [`CommandService::execute`] is the way of a command (look up the idempotency key, load, decide, policy,
//! schema (known to the registry where there is one), append, decide again on conflict). [`router`] puts HTTP around it and [`serve`] accepts connections on a
//! [`Platform`](nexus_ports::Platform); neither names a runtime.
//!
//! # Answers
//!
//! | status | code | outcome | meaning |
//! |---|---|---|---|
//! | 200 | | | done, now or under this key before (`replayed`) |
//! | 400 | `malformed-command`, `missing-idempotency-key`, `missing-role`, `unknown-query` | refused | the request is not one |
//! | 403 | `policy-denied` | refused | with the rules that deny it; nothing was written |
//! | 409 | the domain's refusal | refused | kept under the key: the same answer for ever |
//! | 409 | `conflict` | not-applied | others were faster in every round |
//! | 422 | `schema-violation` | refused | an event would not fit its schema; nothing was written |
//! | 422 | `idempotency-key-reused` | refused | another command was sent under this key |
//! | 500 | `corrupt-stream`, `storage-rejected` | not-applied | an operator is needed |
//! | 500 | `schema-not-usable` | not-applied | the schema registry lacks or refused an event's schema: an operator is needed |
//! | 503 | `throttled`, `unavailable` | not-applied | try again after `Retry-After` |
//! | 503 | `registry-unavailable`, `schema-pending` | not-applied | the schema registry does not answer, or not yet: try again |
//! | 504 | `outcome-unknown` | unknown | it may be done: ask again with the same key |
#![forbid(unsafe_code)]

mod failure;
mod http_face;
mod problem;
mod server;
mod server_timer;
mod service;
mod settings;

pub use failure::CommandFailure;
pub use http_face::router;
pub use problem::Problem;
pub use server::{serve, serve_on, serve_until};
pub use service::{CommandAnswer, CommandRequest, CommandService, OrderView};
pub use settings::CommandServiceSettings;
