//! Makes good for records that the table's stream no longer keeps: everything is in the table.

use std::sync::{Mutex, PoisonError};

use nexus_ports::{BoxFuture, GapListener, GapUnrepaired, ShardProgress, StreamCatalogue};

use crate::Router;

/// What a worker of the router does about a gap: it routes everything once more, however many calls that takes.
pub struct RepairFromTable<C> {
    router: Router,
    catalogue: C,
    /// Where an interrupted repair goes on.
    resume_after: Mutex<Option<String>>,
}

impl<C: StreamCatalogue> RepairFromTable<C> {
    pub fn new(router: Router, catalogue: C) -> Self {
        Self { router, catalogue, resume_after: Mutex::default() }
    }
}

impl<C: StreamCatalogue> GapListener for RepairFromTable<C> {
    fn trimmed<'a>(&'a self, _shard: &'a str, _after: &'a ShardProgress) -> BoxFuture<'a, Result<(), GapUnrepaired>> {
        Box::pin(async move {
            let resume_after = self.resume_after.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.router.repair_all(&self.catalogue, resume_after).await.map(|_| ()).map_err(|interrupted| {
                let detail = interrupted.to_string();
                *self.resume_after.lock().unwrap_or_else(PoisonError::into_inner) = interrupted.resume_after;
                GapUnrepaired { detail }
            })
        })
    }
}
