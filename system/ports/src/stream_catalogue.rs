//! Which streams there are at all: for those who must look at every aggregate because a feed no longer tells them.

use crate::{BoxFuture, ReadFailure, StreamName};

/// The names of all streams of the event table, page by page.
pub trait StreamCatalogue: Send + Sync {
    /// The page that begins at `after`, which an earlier page gave as its `next`; the first one for `None`.
    fn page<'a>(&'a self, after: Option<&'a str>) -> BoxFuture<'a, Result<CataloguePage, ReadFailure>>;
}

/// Some names. A name may come more than once, and a stream that was begun during the walk may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CataloguePage {
    /// May be empty although more follow.
    pub streams: Vec<StreamName>,
    /// Where the next page begins, in the implementation's own form; `None` after the last page.
    pub next: Option<String>,
}
