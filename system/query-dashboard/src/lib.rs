//! The read side: a projection that keeps one view per order and payment, and HTTP to read them.
//!
//! Where to start: [`fold`] says what a view is; [`Projection`] works off the stream of core events, hosted by a worker
//! or a function; [`router`] and [`serve`] show the views.
//!
//! # How a record ends
//!
//! | record | end |
//! |---|---|
//! | version at or below the view's | duplicate: durable already |
//! | the next version | folded, written on condition that the view did not move |
//! | a later version | kept back for those before it, then those are read from the event store |
//! | all attempts failed | its aggregate is parked (`attempts-exhausted`); later events wait with it |
//! | not an event, or one that cannot be folded | its aggregate is parked (`poison`), with the body |
//! | the parking lot does not answer | kept back; nothing is claimed as durable |
//!
//! # Read side
//!
//! `GET /views/{stream}` answers 200 with the view (its `version` is a member, and the `ETag`), 404 where there is none,
//! 503 with `Retry-After` while the read model does not answer. Failures are `application/problem+json`.
#![forbid(unsafe_code)]

mod fold;
mod http_face;
mod lane;
mod lane_worker;
mod ledger;
mod parking;
mod problem;
mod projection;
mod record;
mod server;
mod server_timer;
mod settings;
mod shard;
mod view_cache;
mod view_writer;

pub use fold::{
    Cancellation, ConfirmedPayment, FoldError, OrderView, OrderViewStatus, PaymentView, PaymentViewStatus, Shipment,
    View, fold,
};
pub use http_face::router;
pub use projection::Projection;
pub use server::{serve, serve_on, serve_until};
pub use settings::{DashboardSettings, ProjectionSettings};
