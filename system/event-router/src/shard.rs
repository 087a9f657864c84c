//! Drives the routing of one shard: makes its calls, tells it how they ended, and says where the shard stands.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use nexus_ports::{BoxFuture, FeedRecord, Handled, ShardHandler};

use crate::{calls::Answer, router::Shared, routing::Routing};

/// When to be called again while calls are under way: they only get on while the handler is being called.
const CALLS_UNDER_WAY: Duration = Duration::from_millis(5);

pub(crate) struct RouterShard {
    shared: Arc<Shared>,
    routing: Routing,
    /// Calls that outlast a call to the handler go on with the next one, and are dropped with the handler.
    under_way: FuturesUnordered<BoxFuture<'static, Answer>>,
}

impl RouterShard {
    pub fn new(shared: Arc<Shared>, routing: Routing) -> Self {
        Self { shared, routing, under_way: FuturesUnordered::new() }
    }

    async fn work(&mut self, records: Vec<FeedRecord>) -> Handled {
        let shared = self.shared.clone();
        self.routing.accept(records, &|stream| shared.remembered().get(stream));
        let mut linger = shared.platform.sleep(shared.settings.linger);
        loop {
            for call in self.routing.next_calls(shared.platform.monotonic(), shared.platform.unix_time()) {
                self.under_way.push(shared.perform(call));
            }
            match select(self.under_way.next(), &mut linger).await {
                Either::Left((Some(answer), _)) => {
                    self.routing.answered(answer, shared.platform.monotonic());
                    self.tell();
                }
                // Nothing is under way, or it takes too long to wait for.
                Either::Left((None, _)) | Either::Right(_) => break,
            }
        }
        self.tell();
        self.handled()
    }

    /// Hands on what the routing has learned and counted.
    fn tell(&mut self) {
        let learned = std::mem::take(&mut self.routing.learned);
        if !learned.is_empty() {
            self.shared.learn(learned);
        }
        let notes = std::mem::take(&mut self.routing.notes);
        if !notes.is_empty() {
            self.shared.count(&notes);
        }
    }

    fn handled(&mut self) -> Handled {
        let standing = self.routing.standing();
        let now = self.shared.platform.monotonic();
        let until_wake = standing.wake.map(|wake| wake.since(now));
        let call_again_after = match (self.under_way.is_empty(), until_wake) {
            (false, until_wake) => Some(until_wake.unwrap_or(CALLS_UNDER_WAY).min(CALLS_UNDER_WAY)),
            (true, None) if standing.has_kept_back => Some(self.shared.settings.backoff_first),
            (true, until_wake) => until_wake,
        };
        Handled {
            durable_through: standing.durable_through,
            memory: standing.memory,
            call_again_after,
            accepts_more: standing.accepts_more,
        }
    }
}

impl ShardHandler for RouterShard {
    fn handle(&mut self, records: Vec<FeedRecord>) -> BoxFuture<'_, Handled> {
        Box::pin(self.work(records))
    }
}
