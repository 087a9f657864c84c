//! Which streams there are, for whoever must go through all of them: rebuilding a view, repairing after records were
//! lost to a feed.

use crate::{BoxFuture, ReadFailure, StreamName};

/// Every stream that has an event.
pub trait StreamCatalogue: Send + Sync {
    /// Some streams, in no order that means anything, and where the next page begins (`None`: this was the last). `after`
    /// is what the page before gave; `None` begins anew. A page may hold no stream although more follow.
    fn page(&self, after: Option<String>) -> BoxFuture<'_, Result<(Vec<StreamName>, Option<String>), ReadFailure>>;
}
