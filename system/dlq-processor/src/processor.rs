//! The service: runs over all sources and parking lots, once or for ever.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{Either, select};
use nexus_ports::{
    AggregateReplayer, CallFailure, Measurement, MessageQueue, MetricSink, MetricUnit, ParkingLot, Platform,
    Quarantine, QuarantinedLetter,
};

use crate::{
    Classifier, DlqAccount, DlqSettings,
    attempts::attempt,
    letters::LetterRun,
    parked::{ParkedMemory, ParkedRun},
    rate::RedriveRate,
};

/// A dead-letter queue and where its letters came from. Both are standard queues: a redrive names no message group.
#[derive(Clone)]
pub struct DeadLetterSource {
    /// Appears in quarantined letters and as a dimension of metrics.
    pub name: String,
    pub dead_letters: Arc<dyn MessageQueue>,
    pub home: Arc<dyn MessageQueue>,
    pub classify: Arc<dyn Classifier>,
}

/// Works off dead-letter queues and releases parked aggregates. See the crate's documentation for what it promises.
pub struct DlqProcessor {
    shared: Shared,
    letters: Vec<DeadLetterSource>,
    replayers: Vec<(String, Arc<dyn AggregateReplayer>)>,
}

/// What runs have in common.
pub(crate) struct Shared {
    pub(crate) platform: Platform,
    pub(crate) settings: DlqSettings,
    pub(crate) parking: Arc<dyn ParkingLot>,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) metrics: Arc<dyn MetricSink>,
    pub(crate) rate: Mutex<RedriveRate>,
    pub(crate) memory: Mutex<ParkedMemory>,
}

impl DlqProcessor {
    /// `replayers` names each consumer whose parked aggregates are to be released, with what brings that consumer up to
    /// date from the event store.
    pub fn new(
        platform: Platform,
        letters: Vec<DeadLetterSource>,
        parking: Arc<dyn ParkingLot>,
        replayers: Vec<(String, Arc<dyn AggregateReplayer>)>,
        quarantine: Arc<dyn Quarantine>,
        metrics: Arc<dyn MetricSink>,
        settings: DlqSettings,
    ) -> Self {
        let rate = Mutex::new(RedriveRate::new(settings.redrives_per_second));
        let shared = Shared { platform, settings, parking, quarantine, metrics, rate, memory: Mutex::default() };
        Self { shared, letters, replayers }
    }

    /// Works off what is there now: each letter and each parked aggregate at most once.
    ///
    /// May be dropped at any moment: what it did so far is whole, and a later run goes on.
    pub async fn run_once(&self) -> DlqAccount {
        self.run(&AtomicBool::new(false)).await
    }

    /// `is_stopping` ends the run at the next point where nothing is under way.
    async fn run(&self, is_stopping: &AtomicBool) -> DlqAccount {
        let mut total = DlqAccount::default();
        for source in &self.letters {
            let account = LetterRun::new(&self.shared, source, is_stopping).run().await;
            self.shared.measure("source", &source.name, account);
            total += account;
        }
        for (consumer, replayer) in &self.replayers {
            let account = ParkedRun::new(&self.shared, consumer, replayer.as_ref(), is_stopping).run().await;
            self.shared.measure("consumer", consumer, account);
            total += account;
        }
        total
    }

    /// Runs again and again until `stop` resolves, then ends the run under way at its next safe point. Returns the sum of
    /// all runs; an aggregate that stayed parked is counted in each of them.
    pub async fn run_until(&self, stop: impl Future<Output = ()> + Send) -> DlqAccount {
        let is_stopping = AtomicBool::new(false);
        let mut total = DlqAccount::default();
        let mut stop = pin!(stop);
        loop {
            let mut run = pin!(self.run(&is_stopping));
            match select(stop.as_mut(), run.as_mut()).await {
                Either::Left(((), _)) => {
                    is_stopping.store(true, Ordering::Relaxed);
                    total += run.await;
                    return total;
                }
                Either::Right((account, _)) => total += account,
            }
            let pause = self.shared.platform.sleep(self.shared.pause_between_runs());
            if let Either::Left(_) = select(stop.as_mut(), pause).await {
                return total;
            }
        }
    }
}

impl Shared {
    pub(crate) fn unix_ms(&self) -> u64 {
        self.platform.unix_time().as_millis()
    }

    /// Brings a letter into the quarantine; one that is there already stays as it is.
    pub(crate) async fn keep(&self, letter: &QuarantinedLetter) -> Result<(), CallFailure> {
        attempt(&self.platform, &self.settings, self.settings.call_timeout, &letter.letter_id, || {
            self.quarantine.keep(letter)
        })
        .await
    }

    pub(crate) fn with_memory<T>(&self, change: impl FnOnce(&mut ParkedMemory) -> T) -> T {
        change(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Varied by a quarter, so that several processors do not stay in step.
    fn pause_between_runs(&self) -> Duration {
        self.settings.run_every.mul_f64(0.75 + 0.25 * self.platform.random_fraction("dlq-run-pause", ""))
    }

    fn measure(&self, dimension: &'static str, name: &str, account: DlqAccount) {
        let at_ms = self.unix_ms();
        // What is left is found again by the next run: added up over runs it would be nonsense.
        for (metric, unit, value) in [
            ("LettersRedriven", MetricUnit::Count, account.redriven),
            ("LettersQuarantined", MetricUnit::Count, account.quarantined),
            ("LettersLeft", MetricUnit::Gauge, account.left),
            ("AggregatesReleased", MetricUnit::Count, account.released),
            ("AggregatesStillParked", MetricUnit::Gauge, account.still_parked),
            ("DeadLetterSourcesUnreachable", MetricUnit::Count, account.unreachable),
        ] {
            if value > 0 {
                self.metrics.record(Measurement {
                    name: metric,
                    unit,
                    value: value as f64,
                    dimensions: &[(dimension, name)],
                    at_ms,
                });
            }
        }
    }
}
