//! What the system tells of itself is what it did: an operator who looks at its metrics is not misled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::leases::lease_writes;
use crate::{
    AwsCall, CheckInput, MessageStep, MessageStepKind, Needs, StorageWrite, ToldMetric, Violation,
    bus::{carried_event, core_records, topic_messages, writes_of},
    checks::Check,
    finding::Examination,
    item::{events_written, number},
};

pub(crate) const METRICS_ARE_TRUE: Check = Check {
    name: "metrics-tell-the-truth",
    needs: Needs::GroundTruth,
    describe: "No host measures more deeds than it did, and where nothing goes wrong and no lease is lost none fewer; latencies are told once for each deed and are those of the deeds; every metric and its dimensions are known ones.",
    run: metrics_are_true,
};

/// Dimensions of a metric with the values that they may have; none named: any.
type Dimensions = &'static [(&'static str, &'static [&'static str])];

const DESTINATIONS: Dimensions = &[("destination", &["core", "background"])];
const GROUPS: Dimensions = &[("Group", &["router", "projection"])];
const SOURCES: Dimensions = &[("source", &["nexus-notifications-dlq", "nexus-background-dlq"])];
const CONSUMERS: Dimensions = &[("consumer", &["router", "projection"])];
const REASONS: &[&str] = &["poison", "attempts-exhausted"];

/// Every metric that may be told. One that is not here would be on nobody's dashboard.
const KNOWN: &[(&str, &[Dimensions])] = &[
    ("RoutingLatency", &[DESTINATIONS]),
    ("TotalEvents", &[DESTINATIONS]),
    ("EventsReplayed", &[DESTINATIONS]),
    ("RoutingRetries", &[DESTINATIONS]),
    ("ValidationFailures", &[&[("event_type", &[])]]),
    ("EventsParked", &[&[("reason", REASONS)], &[("consumer", &["projection"]), ("reason", REASONS)]]),
    ("GapsRepaired", &[&[]]),
    ("ProjectionLatency", &[&[]]),
    ("ProjectionRetries", &[&[]]),
    ("NotificationsRecorded", &[&[]]),
    ("NotificationLatency", &[&[]]),
    ("NotificationDuplicates", &[&[]]),
    ("PoisonMessages", &[&[("reason", &[])]]),
    ("OutboxFailures", &[&[("kind", &[])]]),
    ("ReceiveFailures", &[&[("kind", &[])]]),
    ("DeleteFailures", &[&[]]),
    ("VisibilityFailures", &[&[]]),
    ("LeasesHeld", &[GROUPS]),
    ("LeasesLost", &[GROUPS]),
    ("MillisBehind", &[GROUPS]),
    ("RecordsRead", &[GROUPS]),
    ("CheckpointFailures", &[GROUPS]),
    ("FeedFailures", &[GROUPS]),
    ("GapsFound", &[GROUPS]),
    ("HandlerPanics", &[GROUPS]),
    ("LettersRedriven", &[SOURCES]),
    ("LettersQuarantined", &[SOURCES]),
    ("LettersLeft", &[SOURCES]),
    ("AggregatesReleased", &[CONSUMERS]),
    ("AggregatesStillParked", &[CONSUMERS]),
    ("DeadLetterSourcesUnreachable", &[SOURCES, CONSUMERS]),
];

/// Told only when something is wrong, and never where nothing is.
const ALARMS: &[&str] = &[
    "ValidationFailures",
    "EventsParked",
    "PoisonMessages",
    "LettersRedriven",
    "LettersQuarantined",
    "AggregatesReleased",
    "GapsFound",
    "GapsRepaired",
];

/// Of a latency and on average: a deed is told so much later than it was done at most, where nothing goes wrong. Some tens of
/// milliseconds pass between an event's time and its commit, and as many until the answer is there.
const TOLD_WITHIN_MS: f64 = 250.0;

/// Something that a host does and that the truth shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Routed(&'static str),
    /// Versions by which views were brought forward.
    Projected,
    /// Effects recorded in the outbox.
    Notified,
    /// Effects that were found to be recorded.
    FoundNotified,
    Parked,
    /// Letters put into quarantine, or found there by whoever came again with them.
    Quarantined,
    Released,
    SentHome,
}

impl Deed {
    fn in_words(self) -> String {
        match self {
            Deed::Routed(destination) => format!("events put on the way to `{destination}`"),
            Deed::Projected => "versions by which it brought views forward".to_owned(),
            Deed::Notified => "effects recorded".to_owned(),
            Deed::FoundNotified => "effects found recorded".to_owned(),
            Deed::Parked => "entries of the parking lot written".to_owned(),
            Deed::Quarantined => "letters put or found in quarantine".to_owned(),
            Deed::Released => "aggregates released".to_owned(),
            Deed::SentHome => "letters sent home".to_owned(),
        }
    }
}

/// Which metrics together count a deed.
struct Rule {
    deed: Deed,
    counted_by: &'static [&'static str],
    dimension: Option<(&'static str, &'static str)>,
    /// A latency with one measurement for each deed that the first metric counts.
    latency: Option<&'static str>,
    /// A metric whose measurements count, and not their values.
    is_latency: bool,
}

const fn rule(deed: Deed, counted_by: &'static [&'static str]) -> Rule {
    Rule { deed, counted_by, dimension: None, latency: None, is_latency: false }
}

const RULES: &[Rule] = &[
    Rule {
        dimension: Some(("destination", "core")),
        latency: Some("RoutingLatency"),
        ..rule(Deed::Routed("core"), &["TotalEvents", "EventsReplayed"])
    },
    Rule {
        dimension: Some(("destination", "background")),
        latency: Some("RoutingLatency"),
        ..rule(Deed::Routed("background"), &["TotalEvents", "EventsReplayed"])
    },
    Rule { is_latency: true, ..rule(Deed::Projected, &["ProjectionLatency"]) },
    Rule { latency: Some("NotificationLatency"), ..rule(Deed::Notified, &["NotificationsRecorded"]) },
    rule(Deed::FoundNotified, &["NotificationDuplicates"]),
    rule(Deed::Parked, &["EventsParked"]),
    rule(Deed::Quarantined, &["LettersQuarantined"]),
    rule(Deed::Released, &["AggregatesReleased"]),
    rule(Deed::SentHome, &["LettersRedriven"]),
];

/// How often a host did something.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: u64,
    /// Those of which the host had its answer in time, without any doubt.
    sure: u64,
}

/// Deeds by host, and for what is routed the sum of the times from commit to acceptance.
#[derive(Default)]
struct Deeds<'i> {
    counts: BTreeMap<(&'i str, Deed), Count>,
    waited_ms: BTreeMap<(&'i str, Deed), f64>,
}

impl<'i> Deeds<'i> {
    fn of(input: &'i CheckInput) -> Self {
        let settings = &input.settings;
        let calls: BTreeMap<u64, &AwsCall> = input.truth.calls.iter().map(|call| (call.sequence, call)).collect();
        let mut deeds = Self::default();
        deeds.add_routed(input, &calls);
        let is_home = |step: &&MessageStep| {
            step.step == MessageStepKind::Accepted && step.service == "sqs" && step.place == settings.notification_queue
        };
        for step in input.truth.messages.iter().filter(is_home) {
            if let Some(call) = calls.get(&step.call_sequence) {
                deeds.add(input, call, Deed::SentHome, 1);
            }
        }
        let tables =
            [&settings.views_table, &settings.outbox_table, &settings.parked_table, &settings.quarantine_table];
        for write in tables.into_iter().flat_map(|table| writes_of(input, table)) {
            if let (Some(call), Some((deed, times))) = (calls.get(&write.call_sequence), deed_of(input, write)) {
                deeds.add(input, call, deed, times);
            }
        }
        for (table, deed) in
            [(&settings.outbox_table, Deed::FoundNotified), (&settings.quarantine_table, Deed::Quarantined)]
        {
            let prefix = format!("{table}/");
            let is_found = |call: &&AwsCall| {
                call.error.as_deref() == Some("ConditionalCheckFailedException")
                    && call.keys.iter().any(|key| key.starts_with(&prefix))
            };
            for call in input.truth.calls.iter().filter(is_found) {
                deeds.add(input, call, deed, 1);
            }
        }
        deeds
    }

    fn add_routed(&mut self, input: &CheckInput, calls: &BTreeMap<u64, &'i AwsCall>) {
        let mut committed_ns: BTreeMap<String, u64> = BTreeMap::new();
        for (write, event) in events_written(input) {
            committed_ns.entry(event.event_id).or_insert(write.at_ns);
        }
        let core = core_records(input).map(|step| (Deed::Routed("core"), step));
        let background = topic_messages(input).map(|step| (Deed::Routed("background"), step));
        for (deed, step) in core.chain(background) {
            let Some(call) = calls.get(&step.call_sequence) else { continue };
            self.add(input, call, deed, 1);
            let committed = carried_event(&step.body).and_then(|event| committed_ns.get(&event.event_id));
            let waited_ns = committed.map_or(0, |committed| step.at_ns.saturating_sub(*committed));
            *self.waited_ms.entry((&call.caller, deed)).or_default() += waited_ns as f64 / 1e6;
        }
    }

    fn add(&mut self, input: &CheckInput, call: &'i AwsCall, deed: Deed, times: u64) {
        let count = self.counts.entry((&call.caller, deed)).or_default();
        count.all += times;
        let took_ns = call.finished_ns.map_or(u64::MAX, |finished_ns| finished_ns.saturating_sub(call.at_ns));
        if call.delivered && took_ns < input.settings.patience_ns / 2 {
            count.sure += times;
        }
    }
}

fn deed_of(input: &CheckInput, write: &StorageWrite) -> Option<(Deed, u64)> {
    let settings = &input.settings;
    let version = |image: &Option<Arc<Value>>| image.as_ref().map_or(Some(0), |image| number(image, "version").ok());
    match (&write.old_image, &write.new_image) {
        (old, new) if write.table == settings.views_table => {
            Some((Deed::Projected, version(old)?.abs_diff(version(new)?)))
        }
        (None, Some(_)) if write.table == settings.outbox_table => Some((Deed::Notified, 1)),
        (None, Some(_)) if write.table == settings.quarantine_table => Some((Deed::Quarantined, 1)),
        (_, Some(_)) if write.table == settings.parked_table => Some((Deed::Parked, 1)),
        (Some(_), None) if write.table == settings.parked_table => Some((Deed::Released, 1)),
        _ => None,
    }
}

fn metrics_are_true(input: &CheckInput, examination: &mut Examination) {
    for told in &input.told {
        let problem = strangeness(told);
        examination
            .expect(problem.is_none(), || Violation::new(problem.unwrap_or_default()).evidence(format!("{told:?}")));
    }
    let deeds = Deeds::of(input);
    let tellers = input.told.iter().map(|told| told.host.as_str());
    let doers = deeds.counts.keys().map(|(host, _)| *host);
    // A run in which nobody measured is one without metrics.
    let hosts: BTreeSet<&str> = if input.told.is_empty() { BTreeSet::new() } else { tellers.chain(doers).collect() };
    for host in hosts {
        for rule in RULES {
            compare(input, &deeds, host, rule, examination);
        }
    }
    nothing_is_alarming(input, examination);
    records_are_counted(input, examination);
}

/// What is wrong with a metric whatever happened.
fn strangeness(told: &ToldMetric) -> Option<String> {
    let Some((_, forms)) = KNOWN.iter().find(|(name, _)| *name == told.name) else {
        return Some(format!("`{}` is measured, a metric that nobody knows.", told.name));
    };
    let fits = |form: &&Dimensions| {
        form.len() == told.dimensions.len()
            && form.iter().all(|(name, values)| {
                told.dimensions.get(*name).is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
            })
    };
    if !forms.iter().any(|form| fits(&form)) {
        return Some(format!("`{}` is measured with dimensions that nobody knows: {:?}.", told.name, told.dimensions));
    }
    if told.name == "HandlerPanics" {
        return Some(format!("A handler on {} panicked.", told.host));
    }
    (told.sum < 0.0 || told.sum.is_nan()).then(|| format!("`{}` adds up to {}.", told.name, told.sum))
}

impl Rule {
    /// Measurements of the metric by the host, with the rule's dimension, and their sum.
    fn told(&self, input: &CheckInput, host: &str, name: &str) -> (u64, f64) {
        let has_dimension = |told: &ToldMetric| {
            self.dimension.is_none_or(|(name, value)| told.dimensions.get(name).is_some_and(|told| told == value))
        };
        let found = input.told.iter().filter(|told| told.host == host && told.name == name && has_dimension(told));
        found.fold((0, 0.0), |(measurements, sum), told| (measurements + told.measurements, sum + told.sum))
    }

    fn counted(&self, input: &CheckInput, host: &str, name: &str) -> u64 {
        let (measurements, sum) = self.told(input, host, name);
        if self.is_latency { measurements } else { sum as u64 }
    }
}

fn compare(input: &CheckInput, deeds: &Deeds, host: &str, rule: &Rule, examination: &mut Examination) {
    let told: u64 = rule.counted_by.iter().map(|name| rule.counted(input, host, name)).sum();
    let done = deeds.counts.get(&(host, rule.deed)).copied().unwrap_or_default();
    let names = rule.counted_by.join(" and ");
    examination.expect(told <= done.all, || {
        Violation::new(format!("{host} tells by {names} of {told} {}; there were {}.", rule.deed.in_words(), done.all))
    });
    let is_alarm = rule.counted_by.iter().any(|name| ALARMS.contains(name));
    // Who loses a lease drops the work on its shard where it stands, with an answer that has come and was not yet looked at.
    let has_dropped_work = input.told.iter().any(|told| told.host == host && told.name == "LeasesLost");
    let is_bound = input.settings.is_undisturbed && !is_alarm && !has_dropped_work;
    examination.expect(!is_bound || told >= done.sure, || {
        let what = rule.deed.in_words();
        Violation::new(format!(
            "{host} tells by {names} of only {told} {what}, though nothing went wrong; {} are sure.",
            done.sure
        ))
    });
    if let Some(latency) = rule.latency {
        compare_latency(input, deeds, host, rule, latency, examination);
    }
}

/// One measurement for each deed, which together took as long as the deeds did.
fn compare_latency(
    input: &CheckInput,
    deeds: &Deeds,
    host: &str,
    rule: &Rule,
    latency: &str,
    examination: &mut Examination,
) {
    let ((measured, sum_ms), counted) =
        (rule.told(input, host, latency), rule.counted(input, host, rule.counted_by[0]));
    examination.expect(measured == counted, || {
        Violation::new(format!("{host} tells {measured} times of {latency} and {counted} times of its cause."))
    });
    let Some(waited_ms) = deeds.waited_ms.get(&(host, rule.deed)) else { return };
    let done = deeds.counts.get(&(host, rule.deed)).copied().unwrap_or_default();
    // Of each deed that was done its latency was told, and of no replay.
    if input.settings.is_undisturbed && counted == done.all {
        // Latencies are told in whole milliseconds.
        let (least_ms, most_ms) = (waited_ms - counted as f64, waited_ms + TOLD_WITHIN_MS * counted as f64);
        examination.expect((least_ms..=most_ms).contains(&sum_ms), || {
            Violation::new(format!(
                "{host} tells of {sum_ms:.0} ms of {latency} in all; from commit to acceptance it was {waited_ms:.0} ms."
            ))
        });
    }
}

fn nothing_is_alarming(input: &CheckInput, examination: &mut Examination) {
    if !input.settings.is_undisturbed {
        return;
    }
    for told in input.told.iter().filter(|told| ALARMS.contains(&told.name.as_str())) {
        examination.expect(told.sum == 0.0, || {
            Violation::new(format!("{} tells of {} {} although nothing went wrong.", told.host, told.sum, told.name))
        });
    }
}

/// Where workers read a feed to its end and nothing went wrong, each of its records was read, once or more often.
fn records_are_counted(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    if !settings.is_undisturbed || !settings.is_drained() || input.told.is_empty() {
        return;
    }
    let leases = lease_writes(input);
    let of_table = input.truth.stream.iter().filter(|record| record.table == settings.events_table).count() as f64;
    for (group, records) in
        [(&settings.router_group, of_table), (&settings.projection_group, core_records(input).count() as f64)]
    {
        if !leases.iter().any(|(_, lease)| lease.group == *group) {
            continue;
        }
        let is_it = |told: &&ToldMetric| told.name == "RecordsRead" && told.dimensions.get("Group") == Some(group);
        let read: f64 = input.told.iter().filter(is_it).map(|told| told.sum).sum();
        examination.expect(read >= records, || {
            Violation::new(format!("`{group}` tells of {read} records read; its feed has {records}."))
        });
    }
}
