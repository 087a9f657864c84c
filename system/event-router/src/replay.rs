//! Events of one aggregate straight from the event store: for releases and repairs.

use nexus_governance::GateRefusal;
use nexus_ports::{
    AggregateReplayer, BoxFuture, CallFailure, EntryFailure, EventPage, ReplayFailure, StreamName, UnknownOutcome,
    Version,
};

use crate::{
    Router,
    calls::{Answer, Batch},
    examine::{Examined, Outgoing, SoundEvent},
    notes::Note,
    remembered::Span,
    router::Shared,
};

impl AggregateReplayer for Router {
    /// Routes all events of the stream from `first` on, one after the other. Events that were routed before are routed
    /// again, which consumers, who go by version, do not mind.
    fn replay<'a>(&'a self, stream: &'a StreamName, first: Version) -> BoxFuture<'a, Result<Version, ReplayFailure>> {
        Box::pin(self.shared.replay(stream, first))
    }
}

/// How one attempt for one event ended.
enum Attempted {
    Accepted,
    /// The event itself is at fault, for certain.
    Refused(String),
    /// The call that carried nothing but this event was refused.
    CallRefused(String),
    Failed(String),
}

impl Shared {
    pub(crate) async fn replay(&self, stream: &StreamName, first: Version) -> Result<Version, ReplayFailure> {
        let first = first.max(Version(1));
        let mut reached = Version(first.0 - 1);
        loop {
            let page = self.page_after(stream, reached).await?;
            let is_last = !page.has_more || page.events.is_empty();
            for event in page.events {
                if event.version != reached.next() {
                    let detail = "the version is not in the event store".to_owned();
                    return Err(ReplayFailure::Poison { version: reached.next(), detail });
                }
                match self.examiner.examine_stored(stream, event) {
                    Examined::Poison(poison) => {
                        self.count(&[Note::ValidationFailed { event_type: poison.event_type }]);
                        return Err(ReplayFailure::Poison { version: reached.next(), detail: poison.detail });
                    }
                    Examined::Sound(event) => {
                        self.clear(&event, reached).await?;
                        self.send(&event, reached).await?;
                    }
                }
                reached = reached.next();
                self.learn([(stream.clone(), Span { first, last: reached })]);
            }
            if is_last {
                return Ok(reached);
            }
        }
    }

    /// Lets the event pass if the schema registry, where there is one, has its schema.
    async fn clear(&self, event: &SoundEvent, reached: Version) -> Result<(), ReplayFailure> {
        let Some(shape) = &event.shape else { return Ok(()) };
        match self.examiner.gate.clear(&shape.event_type, shape.schema_version).await {
            Ok(()) => Ok(()),
            Err(refusal @ (GateRefusal::Pending(_) | GateRefusal::Unreachable(_))) => {
                Err(ReplayFailure::Interrupted { reached, detail: refusal.to_string() })
            }
            Err(refusal @ (GateRefusal::Invalid(_) | GateRefusal::NotUsable(_))) => {
                self.count(&[Note::ValidationFailed { event_type: Some(shape.event_type.clone()) }]);
                Err(ReplayFailure::Poison { version: event.version, detail: refusal.to_string() })
            }
        }
    }

    async fn page_after(&self, stream: &StreamName, reached: Version) -> Result<EventPage, ReplayFailure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.read_events(stream, reached).await {
                Ok(page) => return Ok(page),
                Err(failure) if attempts >= self.settings.attempts_max => {
                    return Err(ReplayFailure::Interrupted { reached, detail: failure.to_string() });
                }
                Err(_) => self.pause(attempts, "router-read-backoff", stream.as_str()).await,
            }
        }
    }

    /// All attempts for one event.
    async fn send(&self, event: &SoundEvent, reached: Version) -> Result<(), ReplayFailure> {
        let destination = event.outgoing.destination();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let is_last = attempts >= self.settings.attempts_max;
            match self.attempt(&event.outgoing).await {
                Attempted::Accepted => {
                    self.count(&[Note::Replayed { destination }]);
                    return Ok(());
                }
                Attempted::Refused(detail) => {
                    return Err(ReplayFailure::Poison { version: event.version, detail });
                }
                Attempted::CallRefused(detail) if is_last => {
                    return Err(ReplayFailure::Poison { version: event.version, detail });
                }
                Attempted::Failed(detail) if is_last => {
                    return Err(ReplayFailure::Interrupted { reached, detail });
                }
                Attempted::CallRefused(_) | Attempted::Failed(_) => {
                    self.count(&[Note::RetryDue { destination }]);
                    self.pause(attempts, "router-backoff", &event.event_id).await;
                }
            }
        }
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Attempted {
        let batch = match outgoing {
            Outgoing::Stream(entry) => Batch::Stream(vec![entry.clone()]),
            Outgoing::Topic(message) => Batch::Topic(vec![message.clone()]),
        };
        let Answer::Put { outcome, .. } = self.put(Vec::new(), batch).await else {
            unreachable!("a put is answered as a put");
        };
        let no_word = || Err(EntryFailure::Unknown(UnknownOutcome { reason: "the answer is empty".to_owned() }));
        match outcome.map(|outcomes| outcomes.into_iter().next().unwrap_or_else(no_word)) {
            Ok(Ok(())) => Attempted::Accepted,
            Ok(Err(EntryFailure::Rejected(rejected))) => Attempted::Refused(rejected.to_string()),
            Ok(Err(failure)) => Attempted::Failed(failure.to_string()),
            Err(CallFailure::Rejected(rejected)) => Attempted::CallRefused(rejected.to_string()),
            Err(failure) => Attempted::Failed(failure.to_string()),
        }
    }

    pub(crate) async fn pause(&self, failures: u32, purpose: &'static str, key: &str) {
        let pause = self.settings.pause(failures, self.platform.random_fraction(purpose, key));
        self.platform.sleep(pause).await;
    }
}
