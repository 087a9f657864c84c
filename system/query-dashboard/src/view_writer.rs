//! Brings views up to date: reads, folds and writes on condition, and decides by version what became of a write.

use std::sync::Arc;

use nexus_ports::{
    EventPage, EventRecord, EventStorage, Measurement, MetricSink, MetricUnit, ParkReason, Platform, ReadConsistency,
    ReadFailure, ReadModel, StoredView, StreamName, UnknownOutcome, Version, ViewMoved, WriteFailure, canonical_json,
};

use crate::{ProjectionSettings, fold::View, view_cache::ViewCache};

/// How often a view may be found moved by someone else before that counts as a failed attempt.
const MOVES_FOR_FREE: u32 = 4;
/// How often a view may go back while it is repaired.
const STEPS_BACK_MAX: u32 = 3;

pub(crate) struct ViewWriter {
    pub(crate) platform: Platform,
    pub(crate) read_model: Arc<dyn ReadModel>,
    pub(crate) events: Arc<dyn EventStorage>,
    pub(crate) metrics: Arc<dyn MetricSink>,
    pub(crate) cache: ViewCache,
    pub(crate) settings: ProjectionSettings,
}

/// Where a view stands after an attempt to bring it forward.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// The view durably contains this version.
    Reached(Version),
    /// The view stands at `reached`, and the events that were given begin after the next one.
    Gap {
        reached: Version,
    },
    Stopped(Stop),
}

/// Why a view does not get further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The view durably contains this version, as far as is known.
    pub(crate) reached: Version,
    /// The event that is in the way.
    pub(crate) version: Version,
    /// That event, where it could be read.
    pub(crate) body: Option<String>,
    pub(crate) reason: ParkReason,
    pub(crate) detail: String,
    pub(crate) attempts: u32,
    /// A store did not do what was asked; the event itself may be sound, and the next one would fare no better.
    pub(crate) is_outage: bool,
}

/// One attempt failed.
enum Setback {
    MayPass(String),
    WillNotPass(String),
}

/// Attempts spent on the events that are next, and what was last in their way.
#[derive(Default)]
struct Tries {
    attempts: u32,
    moves: u32,
    last: String,
}

impl ViewWriter {
    /// Brings the view forward by events of consecutive versions, passing over those that it contains.
    pub(crate) async fn apply(&self, stream: &StreamName, events: &[&EventRecord]) -> Advance {
        let Some(last) = events.last() else { return Advance::Reached(Version::START) };
        let mut tries = Tries::default();
        let mut reached = Version::START;
        let mut cached = self.cache.get(stream);
        loop {
            let view = match cached.take() {
                Some(view) => Some(view),
                None => match self.read(stream).await {
                    Ok(view) => view,
                    Err(setback) => match self.try_again(&mut tries, setback, reached, events).await {
                        Ok(()) => continue,
                        Err(stop) => return Advance::Stopped(stop),
                    },
                },
            };
            reached = view.as_ref().map_or(Version::START, View::version);
            if reached >= last.version {
                return Advance::Reached(reached);
            }
            let missing: Vec<_> = events.iter().copied().filter(|event| event.version > reached).collect();
            if missing[0].version != reached.next() {
                return Advance::Gap { reached };
            }
            // Only now: an earlier attempt of unknown outcome may have been the one that succeeded.
            if tries.attempts >= self.settings.attempts_max {
                return Advance::Stopped(stop(reached, events, &tries, ParkReason::AttemptsExhausted));
            }
            let failure = match self.fold_and_write(stream, view, &missing).await {
                Ok(advance) => return advance,
                Err(failure) => failure,
            };
            self.cache.forget(stream);
            if let Err(stop) = self.settle_failure(&mut tries, failure, reached, events).await {
                return Advance::Stopped(stop);
            }
        }
    }

    /// One attempt: folds as many of the events as can be folded, and writes them at once.
    async fn fold_and_write(
        &self,
        stream: &StreamName,
        view: Option<View>,
        events: &[&EventRecord],
    ) -> Result<Advance, WriteFailure<ViewMoved>> {
        let mut reached = view.as_ref().map_or(Version::START, View::version);
        let (next, obstacle) = fold_run(view, events);
        if let Some(next) = next {
            self.write(reached, &next).await?;
            reached = next.version();
            self.count_written(events, reached);
            self.cache.put(stream, next);
        }
        Ok(match obstacle {
            Some(detail) => Advance::Stopped(poison(reached, events, detail)),
            None => Advance::Reached(reached),
        })
    }

    /// Brings the view forward by what the event store holds, up to `until` or, without it, to the end of the stream.
    pub(crate) async fn repair(&self, stream: &StreamName, until: Option<Version>) -> Advance {
        let mut reached = match self.standing(stream).await {
            Ok(version) => version,
            Err(stop) => return Advance::Stopped(stop),
        };
        let mut steps_back = 0;
        while until.is_none_or(|until| reached < until) {
            let page = match self.read_page(stream, reached).await {
                Ok(page) => page,
                Err(stop) => return Advance::Stopped(stop),
            };
            if page.events.is_empty() {
                break;
            }
            if let Some(version) = hole(&page, reached) {
                let detail = format!("the event store holds no version {version}, though a later one");
                return Advance::Stopped(damaged_stream(reached, detail));
            }
            let events: Vec<_> = page.events.iter().collect();
            match self.apply(stream, &events).await {
                Advance::Reached(version) => reached = version,
                // The read model was emptied, to be built anew, and our memory of it was from before.
                Advance::Gap { reached: back } if steps_back < STEPS_BACK_MAX => {
                    steps_back += 1;
                    reached = back;
                    continue;
                }
                Advance::Gap { reached: back } => {
                    let detail = format!("the view keeps going back, last from version {reached} to {back}");
                    return Advance::Stopped(damaged_stream(back, detail));
                }
                Advance::Stopped(stop) => return Advance::Stopped(stop),
            }
            if !page.has_more {
                break;
            }
        }
        Advance::Reached(reached)
    }

    /// Lets go of what is remembered of a view, so that the next look at it is a read.
    pub(crate) fn forget(&self, stream: &StreamName) {
        self.cache.forget(stream);
    }

    /// The version of the view, from memory or by a read.
    async fn standing(&self, stream: &StreamName) -> Result<Version, Stop> {
        if let Some(view) = self.cache.get(stream) {
            return Ok(view.version());
        }
        let mut tries = Tries::default();
        loop {
            match self.read(stream).await {
                Ok(view) => return Ok(view.as_ref().map_or(Version::START, View::version)),
                Err(setback) => self
                    .try_again(&mut tries, setback, Version::START, &[])
                    .await
                    .map_err(|stop| Stop { version: stop.reached.next(), ..stop })?,
            }
        }
    }

    async fn read(&self, stream: &StreamName) -> Result<Option<View>, Setback> {
        let read = self.platform.timeout(self.settings.call_timeout, self.read_model.read(stream)).await;
        let stored = match read {
            Ok(Ok(stored)) => stored,
            Ok(Err(failure)) => return Err(Setback::of_read(&failure)),
            Err(timed_out) => return Err(Setback::MayPass(timed_out.to_string())),
        };
        let Some(stored) = stored else { return Ok(None) };
        let view = decode(&stored).map_err(Setback::WillNotPass)?;
        self.cache.put(stream, view.clone());
        Ok(Some(view))
    }

    async fn write(&self, expected: Version, view: &View) -> Result<(), WriteFailure<ViewMoved>> {
        let stored = StoredView {
            stream: view.stream().clone(),
            version: view.version(),
            body: canonical_json(&view.to_json()),
            written_at_ms: self.platform.unix_time().as_millis(),
        };
        match self.platform.timeout(self.settings.call_timeout, self.read_model.write(expected, &stored)).await {
            Ok(written) => written,
            Err(timed_out) => Err(WriteFailure::Unknown(UnknownOutcome { reason: timed_out.to_string() })),
        }
    }

    async fn read_page(&self, stream: &StreamName, after: Version) -> Result<EventPage, Stop> {
        let mut tries = Tries::default();
        loop {
            let read = self.events.read_events(stream, after, ReadConsistency::Strong);
            let setback = match self.platform.timeout(self.settings.call_timeout, read).await {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(failure)) => Setback::of_read(&failure),
                Err(timed_out) => Setback::MayPass(timed_out.to_string()),
            };
            self.try_again(&mut tries, setback, after, &[]).await?;
        }
    }

    /// Counts what a failed write costs, and waits before another look. What the write did is for that look to find out.
    async fn settle_failure(
        &self,
        tries: &mut Tries,
        failure: WriteFailure<ViewMoved>,
        reached: Version,
        events: &[&EventRecord],
    ) -> Result<(), Stop> {
        let setback = match failure {
            WriteFailure::Refused(moved) if tries.moves < MOVES_FOR_FREE => {
                tries.moves += 1;
                tries.last = moved.to_string();
                return Ok(());
            }
            WriteFailure::Rejected(rejected) => Setback::WillNotPass(rejected.to_string()),
            other => Setback::MayPass(other.to_string()),
        };
        // After the last attempt there is one more look, to settle what became of it.
        let is_last = tries.attempts + 1 >= self.settings.attempts_max;
        match setback {
            Setback::MayPass(detail) if is_last => {
                tries.attempts += 1;
                tries.last = detail;
                self.count("ProjectionRetries", 1.0);
                Ok(())
            }
            setback => self.try_again(tries, setback, reached, events).await,
        }
    }

    /// Counts a failed attempt (but not the look after the last one); pauses if there is another.
    async fn try_again(
        &self,
        tries: &mut Tries,
        setback: Setback,
        reached: Version,
        events: &[&EventRecord],
    ) -> Result<(), Stop> {
        tries.attempts = (tries.attempts + 1).min(self.settings.attempts_max);
        self.count("ProjectionRetries", 1.0);
        match setback {
            Setback::WillNotPass(detail) => {
                tries.last = detail;
                return Err(stop(reached, events, tries, ParkReason::Poison));
            }
            Setback::MayPass(detail) => tries.last = detail,
        }
        if tries.attempts >= self.settings.attempts_max {
            return Err(stop(reached, events, tries, ParkReason::AttemptsExhausted));
        }
        let key = events.first().map_or("", |event| event.event_id.as_str());
        self.platform.sleep(self.settings.backoff(&self.platform, tries.attempts, key)).await;
        Ok(())
    }

    fn count_written(&self, events: &[&EventRecord], through: Version) {
        let now_ms = self.platform.unix_time().as_millis();
        for event in events.iter().filter(|event| event.version <= through) {
            self.metrics.record(Measurement {
                name: "ProjectionLatency",
                unit: MetricUnit::Milliseconds,
                value: now_ms.saturating_sub(event.recorded_at_ms) as f64,
                dimensions: &[],
                at_ms: now_ms,
            });
        }
    }

    pub(crate) fn count(&self, name: &'static str, value: f64) {
        let at_ms = self.platform.unix_time().as_millis();
        self.metrics.record(Measurement { name, unit: MetricUnit::Count, value, dimensions: &[], at_ms });
    }
}

impl Setback {
    fn of_read(failure: &ReadFailure) -> Self {
        match failure {
            ReadFailure::Throttled(_) | ReadFailure::NotSent(_) | ReadFailure::NoAnswer(_) => {
                Self::MayPass(failure.to_string())
            }
            ReadFailure::Rejected(_) | ReadFailure::Unreadable(_) => Self::WillNotPass(failure.to_string()),
        }
    }
}

/// The view after as many of the events as can be folded, and what is wrong with the one after them.
fn fold_run(view: Option<View>, events: &[&EventRecord]) -> (Option<View>, Option<String>) {
    let mut folded: Option<View> = None;
    for event in events {
        match View::after(folded.as_ref().or(view.as_ref()), event) {
            Ok(next) => folded = Some(next),
            Err(error) => return (folded, Some(error.to_string())),
        }
    }
    (folded, None)
}

/// Reads a stored view; its body must be one, of the version that it is stored under.
fn decode(stored: &StoredView) -> Result<View, String> {
    let unreadable = |detail: String| format!("the view of {} cannot be read: {detail}", stored.stream);
    let view: View = serde_json::from_str(&stored.body).map_err(|error| unreadable(error.to_string()))?;
    if view.version() != stored.version || *view.stream() != stored.stream {
        return Err(unreadable(format!("it is stored as version {}", stored.version)));
    }
    Ok(view)
}

/// The first version that the page passes over.
fn hole(page: &EventPage, after: Version) -> Option<Version> {
    let mut wanted = after.next();
    for event in &page.events {
        if event.version != wanted {
            return Some(wanted);
        }
        wanted = wanted.next();
    }
    None
}

fn stop(reached: Version, events: &[&EventRecord], tries: &Tries, reason: ParkReason) -> Stop {
    let event = events.iter().find(|event| event.version > reached);
    Stop {
        reached,
        version: event.map_or(reached.next(), |event| event.version),
        body: event.and_then(|event| serde_json::to_string(event).ok()),
        reason,
        detail: tries.last.clone(),
        attempts: tries.attempts,
        is_outage: true,
    }
}

fn poison(reached: Version, events: &[&EventRecord], detail: String) -> Stop {
    let tries = Tries { attempts: 1, moves: 0, last: detail };
    Stop { is_outage: false, ..stop(reached, events, &tries, ParkReason::Poison) }
}

fn damaged_stream(reached: Version, detail: String) -> Stop {
    poison(reached, &[], detail)
}
