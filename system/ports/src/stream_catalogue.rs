//! Which streams there are, for whoever must go through all of them: rebuilding a view, repairing after records were
//! lost to a feed.

use crate::{BoxFuture, ReadFailure, StreamName};

/// Some streams, and where the next page begins; `None`: this was the last.
pub type StreamPage = (Vec<StreamName>, Option<String>);

/// Every stream that has an event.
pub trait StreamCatalogue: Send + Sync {
    /// Streams in no order that means anything. `after` is where the page before said that the next begins; `None` begins
    /// anew. A page may hold no stream although more follow.
    fn page(&self, after: Option<String>) -> BoxFuture<'_, Result<StreamPage, ReadFailure>>;
}
