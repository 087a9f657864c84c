//! A custom runtime for AWS Lambda on [`Platform`](nexus_ports::Platform), and the functions that host what otherwise runs in
//! workers.
//!
//! Where to start: [`LambdaRuntime`] for the loop (next invocation, function, response), [`FeedFunction`] to host a
//! [`FeedHandler`](nexus_ports::FeedHandler) behind an event source mapping of a table's stream or of Kinesis, and
//! [`QueueFunction`] to host a [`QueueBatchHandler`](nexus_ports::QueueBatchHandler) behind one of SQS.
//!
//! The event source mappings must have `ReportBatchItemFailures` in their `FunctionResponseTypes`: without it Lambda reads
//! no partial failure and takes every batch as done.
#![forbid(unsafe_code)]

mod events;
mod feed_function;
mod function;
mod queue_function;
mod runtime;
mod runtime_api;

pub use events::{FeedEvent, MalformedEvent, QueueEvent, batch_item_failures, feed_event, queue_event};
pub use feed_function::FeedFunction;
pub use function::{FunctionError, InvocationContext, LambdaFunction};
pub use queue_function::QueueFunction;
pub use runtime::{LambdaRuntime, RuntimeEnded, RuntimeSettings};
