//! Latencies of one trial, from the intended start, by phase; and where the time went.

use std::collections::BTreeMap;

use nexus_checkers::{Attempt, Request, Response};
use nexus_cloud::{Call, CallOutcome, JournalEntry};
use nexus_reports::{Latencies, LatencyShares, Phase, PhaseHistogram, Point, PointOutcome, Series};
use nexus_scenario::host_names;
use nexus_workload::{Action, PlannedOperation};

use crate::{
    bus_latency::{EventWay, event_ways},
    customers::is_definite,
    play::{EPOCH_UNIX_NS, Played},
    trial::Trial,
};

/// Points kept of each latency over time.
const SERIES_POINTS_MAX: usize = 600;

/// Everything measured in one trial.
pub struct Measured {
    pub latency: BTreeMap<String, Vec<PhaseHistogram>>,
    pub shares: Vec<LatencyShares>,
    pub series: Vec<Series>,
    pub phases: Vec<Phase>,
    pub aws_calls: u64,
}

pub fn measure(trial: &Trial, played: &Played) -> Measured {
    let phases = phases(trial);
    let mut book = Book::new(&phases);
    let mut calls = CallIndex::new(&played.journal);
    let mut attempts_of: BTreeMap<u32, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &played.observation.attempts {
        attempts_of.entry(attempt.operation).or_default().push(attempt);
    }
    let services = host_names(trial.topology.command_services);
    for operation in &trial.workload.operations {
        let attempts = attempts_of.get(&operation.id).map(Vec::as_slice).unwrap_or_default();
        book.operation(operation, attempts, &mut calls, &services);
    }
    if trial.bus.is_there() {
        bus_latencies(trial, played, &mut book);
    }
    let mut aws_calls = 0;
    for (call, outcome) in calls_of(&played.journal) {
        aws_calls += 1;
        let start_us = call.at.0.saturating_sub(EPOCH_UNIX_NS) / 1_000;
        let latency_us = outcome.at.since(call.at).as_micros() as u64;
        if outcome.delivered {
            book.record(&format!("aws:{}", call.operation), start_us, latency_us);
        }
    }
    let (latency, shares, series) = book.finish();
    Measured { latency, shares, series, phases, aws_calls }
}

/// What the way of each event took: `routing` from commit to the core stream, `background` from commit to the recorded
/// notification, `end-to-end` from the customer's intended start to the view, `recovery` from the heal until whatever
/// was committed before it had arrived everywhere.
fn bus_latencies(trial: &Trial, played: &Played, book: &mut Book<'_>) {
    let mut intended_us: BTreeMap<&str, u64> = BTreeMap::new();
    for operation in &trial.workload.operations {
        if let Action::Command { idempotency_key, .. } = &operation.action {
            intended_us.entry(idempotency_key.as_str()).or_insert(operation.at_ms * 1_000);
        }
    }
    let since_start_us = |at_ns: u64| at_ns.saturating_sub(EPOCH_UNIX_NS) / 1_000;
    let (_, healed_ms) = trial.phases.chaos_window_ms();
    let mut arrived_ns = None;
    for way in event_ways(&played.journal) {
        if since_start_us(way.committed_ns) < healed_ms * 1_000 {
            arrived_ns = arrived_ns.max(way.visible_ns.max(way.notified_ns));
        }
        let EventWay { committed_ns, accepted_ns, visible_ns, notified_ns, .. } = way;
        let committed_us = since_start_us(committed_ns);
        if let Some(accepted_ns) = accepted_ns {
            let total_us = accepted_ns.saturating_sub(committed_ns) / 1_000;
            let shares = (way.routing_modelled_ns / 1_000, way.routing_injected_ns / 1_000);
            book.record_shared("routing", committed_us, total_us, shares);
        }
        if let Some(notified_ns) = notified_ns {
            book.record("background", committed_us, notified_ns.saturating_sub(committed_ns) / 1_000);
        }
        if let (Some(visible_ns), Some(intended_us)) = (visible_ns, intended_us.get(way.command_id.as_str())) {
            book.record("end-to-end", *intended_us, since_start_us(visible_ns).saturating_sub(*intended_us));
        }
    }
    if let Some(arrived_ns) = arrived_ns.filter(|_| trial.phases.chaos_ms > 0) {
        book.record("recovery", healed_ms * 1_000, since_start_us(arrived_ns).saturating_sub(healed_ms * 1_000));
    }
}

fn phases(trial: &Trial) -> Vec<Phase> {
    let named = trial.phases.named().into_iter().filter(|(_, from_ms, until_ms)| from_ms < until_ms);
    named.map(|(name, from_ms, until_ms)| Phase { name: name.to_owned(), from_ms, until_ms }).collect()
}

fn calls_of(journal: &[JournalEntry]) -> impl Iterator<Item = (&Call, &CallOutcome)> {
    journal.iter().filter_map(|entry| match entry {
        JournalEntry::Call { call, outcome } => Some((call, outcome)),
        _ => None,
    })
}

#[derive(Default)]
struct ShareHistograms {
    modelled: Latencies,
    injected: Latencies,
    own: Latencies,
}

/// Collects by (latency, phase).
struct Book<'a> {
    phases: &'a [Phase],
    histograms: BTreeMap<String, BTreeMap<usize, Latencies>>,
    shares: BTreeMap<(String, usize), ShareHistograms>,
    points: BTreeMap<String, Vec<Point>>,
}

impl<'a> Book<'a> {
    fn new(phases: &'a [Phase]) -> Self {
        Self { phases, histograms: BTreeMap::new(), shares: BTreeMap::new(), points: BTreeMap::new() }
    }

    fn phase_at(&self, start_us: u64) -> usize {
        let at_ms = start_us / 1_000;
        self.phases.iter().position(|phase| at_ms < phase.until_ms).unwrap_or(self.phases.len().saturating_sub(1))
    }

    fn record(&mut self, name: &str, start_us: u64, latency_us: u64) {
        let phase = self.phase_at(start_us);
        let histograms = match self.histograms.get_mut(name) {
            Some(histograms) => histograms,
            None => self.histograms.entry(name.to_owned()).or_default(),
        };
        histograms.entry(phase).or_default().record_us(latency_us);
    }

    /// A latency with its modelled and injected parts; the rest is ours. It is shown over time as well.
    fn record_shared(&mut self, name: &str, start_us: u64, latency_us: u64, (modelled_us, injected_us): (u64, u64)) {
        self.record(name, start_us, latency_us);
        let point = Point { start_us, latency_us, outcome: PointOutcome::Ok };
        self.points.entry(name.to_owned()).or_default().push(point);
        let shares = self.shares.entry((name.to_owned(), self.phase_at(start_us))).or_default();
        shares.modelled.record_us(modelled_us);
        shares.injected.record_us(injected_us);
        shares.own.record_us(latency_us.saturating_sub(modelled_us + injected_us));
    }

    fn operation(
        &mut self,
        operation: &PlannedOperation,
        attempts: &[&Attempt],
        calls: &mut CallIndex<'_>,
        services: &[String],
    ) {
        let Some(first) = attempts.first() else { return };
        let name = if matches!(first.request, Request::Command(_)) { "command" } else { "read" };
        let start_us = operation.at_ms * 1_000;
        let start_ns = EPOCH_UNIX_NS + operation.at_ms * 1_000_000;
        let definite = attempts.iter().find(|attempt| is_definite(&attempt.response));
        let ended_ns = definite.or(attempts.last()).and_then(|attempt| attempt.completed_ns).unwrap_or(start_ns);
        let latency_us = ended_ns.saturating_sub(start_ns) / 1_000;
        let outcome = definite.map_or(PointOutcome::Unknown, |attempt| outcome_of(&attempt.response));
        self.points.entry(name.to_owned()).or_default().push(Point { start_us, latency_us, outcome });
        if definite.is_none() {
            // Never answered: it has no latency, and the liveness check speaks of it.
            return;
        }
        self.record(name, start_us, latency_us);
        let (mut modelled_us, mut injected_us) = (0, 0);
        for attempt in attempts {
            let host = &services[(operation.id + attempt.attempt) as usize % services.len()];
            let (modelled, injected) = calls.claim(attempt, host);
            modelled_us += modelled;
            injected_us += injected;
        }
        let modelled_us = modelled_us.min(latency_us);
        let injected_us = injected_us.min(latency_us - modelled_us);
        let shares = self.shares.entry((name.to_owned(), self.phase_at(start_us))).or_default();
        shares.modelled.record_us(modelled_us);
        shares.injected.record_us(injected_us);
        shares.own.record_us(latency_us - modelled_us - injected_us);
    }

    #[allow(clippy::type_complexity)] // The three parts of Measured, in its order.
    fn finish(self) -> (BTreeMap<String, Vec<PhaseHistogram>>, Vec<LatencyShares>, Vec<Series>) {
        let phase_name = |phase: usize| self.phases[phase].name.clone();
        let histograms = self.histograms.into_iter().map(|(name, by_phase)| {
            let by_phase = by_phase
                .into_iter()
                .map(|(phase, latencies)| PhaseHistogram { phase: phase_name(phase), histogram: latencies.encode() });
            (name, by_phase.collect())
        });
        let shares = self.shares.into_iter().map(|((latency, phase), shares)| LatencyShares {
            latency,
            phase: phase_name(phase),
            modelled: shares.modelled.encode(),
            injected: shares.injected.encode(),
            own: shares.own.encode(),
        });
        let series = self.points.into_iter().map(|(name, points)| Series::sampled(name, points, SERIES_POINTS_MAX));
        (histograms.collect(), shares.collect(), series.collect())
    }
}

fn outcome_of(response: &Response) -> PointOutcome {
    match response {
        Response::Answered { status: 200, .. } => PointOutcome::Ok,
        Response::Answered { .. } => PointOutcome::Refused,
        Response::Unknown { .. } => PointOutcome::Unknown,
    }
}

/// AWS calls by caller, so that each can be counted towards the attempt that caused it, once.
struct CallIndex<'a> {
    by_caller: BTreeMap<&'a str, Vec<(&'a Call, &'a CallOutcome, bool)>>,
}

impl<'a> CallIndex<'a> {
    fn new(journal: &'a [JournalEntry]) -> Self {
        let mut by_caller: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (call, outcome) in calls_of(journal) {
            by_caller.entry(call.caller.as_str()).or_default().push((call, outcome, false));
        }
        for calls in by_caller.values_mut() {
            calls.sort_by_key(|(call, ..)| call.sequence);
        }
        Self { by_caller }
    }

    /// Microseconds that the model and the faults gave to the calls of one attempt. A call is the attempt's if it carries
    /// its idempotency key, or reads its aggregate's stream within the attempt's time; of two attempts on one aggregate at
    /// one time the earlier takes the earlier call. Waiting for answers that never came is not counted here: the
    /// time-out that ended it is our own.
    fn claim(&mut self, attempt: &Attempt, host: &str) -> (u64, u64) {
        let Some(calls) = self.by_caller.get_mut(host) else { return (0, 0) };
        let until_ns = attempt.completed_ns.unwrap_or(u64::MAX);
        let record_key = attempt.idempotency_key.as_ref().map(|key| format!("nexus-idempotency/{key}"));
        let stream_key = stream_of(&attempt.request).map(|stream| format!("nexus-events/{stream}"));
        let from = calls.partition_point(|(call, ..)| call.at.0 < attempt.invoked_ns);
        let (mut modelled_us, mut injected_us) = (0, 0);
        let mut stream_read = false;
        for (call, outcome, claimed) in &mut calls[from..] {
            if call.at.0 > until_ns {
                break;
            }
            let carries_key = record_key.as_ref().is_some_and(|key| call.keys.contains(key));
            let reads_stream = !stream_read
                && !call.is_write
                && stream_key.as_ref().is_some_and(|key| call.keys.iter().any(|k| k.starts_with(key.as_str())));
            if *claimed || !(carries_key || reads_stream) {
                continue;
            }
            *claimed = true;
            // One read of the stream per round of decisions; a further round begins with the key again.
            stream_read = reads_stream && !carries_key;
            if outcome.delivered {
                let took_us = outcome.at.since(call.at).as_micros() as u64;
                let modelled = (outcome.modelled_service_ns / 1_000).min(took_us);
                modelled_us += modelled;
                injected_us += took_us - modelled;
            }
        }
        (modelled_us, injected_us)
    }
}

/// The stream that a request is about.
fn stream_of(request: &Request) -> Option<String> {
    match request {
        Request::ReadOrder { order_id, .. } => Some(format!("order-{order_id}")),
        Request::Command(body) => {
            let id = |field: &str| body[field].as_str();
            match body["type"].as_str()? {
                "ProcessPayment" | "RefundPayment" => Some(format!("payment-{}", id("payment_id")?)),
                "AddItemToCart" | "RemoveItemFromCart" | "ReplaceItemInCart" | "AbandonCart" => {
                    Some(format!("cart-{}", id("cart_id")?))
                }
                _ => Some(format!("order-{}", id("order_id")?)),
            }
        }
    }
}
