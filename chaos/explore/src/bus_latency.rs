//! How long events take behind the table: to the core stream, to a view, to a notification; and whose time it was.

use std::collections::BTreeMap;

use nexus_cloud::{Call, CallOutcome, JournalEntry, MessageStepKind, Service};
use serde_json::Value;

use crate::backlog::{CommittedEvent, Way, event_id_of, view_position, way_of};

/// Share of a call's modelled time that passes before its effect.
const SHARE_BEFORE_EFFECT: f64 = 0.6;

/// One event's way, in true nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventWay {
    pub command_id: String,
    pub committed_ns: u64,
    /// Durable on the core stream for the first time.
    pub accepted_ns: Option<u64>,
    /// Part of a view for the first time.
    pub visible_ns: Option<u64>,
    /// Its notification was recorded.
    pub notified_ns: Option<u64>,
    /// Of the time to the core stream: what the modelled AWS took (the table's stream, and the accepting call up to its
    /// effect), and what faults added to that call.
    pub routing_modelled_ns: u64,
    pub routing_injected_ns: u64,
}

/// The ways of all events, in order of commit.
pub fn event_ways(journal: &[JournalEntry]) -> Vec<EventWay> {
    let mut book = WayBook::default();
    for entry in journal {
        book.take(entry);
    }
    let mut ways: Vec<EventWay> = book.ways;
    let calls = calls_by_sequence(journal);
    for (way, (in_stream_ns, accepting_call)) in ways.iter_mut().zip(&book.marks) {
        split_routing(way, *in_stream_ns, accepting_call.and_then(|sequence| calls.get(&sequence).copied()));
    }
    ways.sort_by_key(|way| way.committed_ns);
    ways
}

fn calls_by_sequence(journal: &[JournalEntry]) -> BTreeMap<u64, (&Call, &CallOutcome)> {
    let calls = journal.iter().filter_map(|entry| match entry {
        JournalEntry::Call { call, outcome } if call.service == Service::Kinesis && call.is_write => {
            Some((call.sequence, (call, outcome)))
        }
        _ => None,
    });
    calls.collect()
}

fn split_routing(way: &mut EventWay, in_stream_ns: Option<u64>, accepting: Option<(&Call, &CallOutcome)>) {
    let Some(accepted_ns) = way.accepted_ns else { return };
    let total_ns = accepted_ns.saturating_sub(way.committed_ns);
    let lag_ns = in_stream_ns.map_or(0, |at_ns| at_ns.saturating_sub(way.committed_ns));
    let (call_ns, modelled_ns) = accepting.map_or((0, 0), |(call, outcome)| {
        let until_effect_ns = (outcome.modelled_service_ns as f64 * SHARE_BEFORE_EFFECT) as u64;
        (accepted_ns.saturating_sub(call.at.0), until_effect_ns)
    });
    way.routing_modelled_ns = (lag_ns + modelled_ns.min(call_ns)).min(total_ns);
    way.routing_injected_ns = call_ns.saturating_sub(modelled_ns).min(total_ns - way.routing_modelled_ns);
}

#[derive(Default)]
struct WayBook {
    ways: Vec<EventWay>,
    /// Beside each way: when its record appeared in the table's stream, and the call that the core stream accepted it from.
    marks: Vec<(Option<u64>, Option<u64>)>,
    by_event_id: BTreeMap<String, usize>,
    by_position: BTreeMap<(String, u64), usize>,
    view_versions: BTreeMap<String, u64>,
}

impl WayBook {
    fn take(&mut self, entry: &JournalEntry) {
        match entry {
            JournalEntry::Write { at, table, key, new_image, .. } => {
                self.written(at.0, table, key, new_image.as_deref());
            }
            JournalEntry::StreamRecord { at, table, new_image, .. } if table == "nexus-events" => {
                let event = new_image.as_deref().and_then(CommittedEvent::from_image);
                if let Some(index) = event.and_then(|event| self.by_event_id.get(&event.event_id)) {
                    self.marks[*index].0.get_or_insert(at.0);
                }
            }
            JournalEntry::Message(step)
                if step.service == Service::Kinesis && step.step == MessageStepKind::Accepted =>
            {
                let index = event_id_of(&step.body).and_then(|event_id| self.by_event_id.get(&event_id).copied());
                if let Some(index) = index
                    && self.ways[index].accepted_ns.is_none()
                {
                    self.ways[index].accepted_ns = Some(step.at.0);
                    self.marks[index].1 = Some(step.call_sequence);
                }
            }
            _ => {}
        }
    }

    fn written(&mut self, at_ns: u64, table: &str, key: &str, image: Option<&Value>) {
        match table {
            "nexus-events" => {
                let Some(event) = image.and_then(CommittedEvent::from_image) else { return };
                let index = self.ways.len();
                self.ways.push(EventWay { command_id: event.command_id, committed_ns: at_ns, ..EventWay::default() });
                self.marks.push((None, None));
                if way_of(&event.event_type) == Way::Core {
                    self.by_position.insert((event.stream, event.version), index);
                }
                self.by_event_id.insert(event.event_id, index);
            }
            "nexus-views" => {
                let Some((stream, version)) = image.and_then(view_position) else { return };
                let before = self.view_versions.insert(stream.clone(), version).unwrap_or(0);
                for covered in before + 1..=version {
                    if let Some(index) = self.by_position.get(&(stream.clone(), covered)) {
                        self.ways[*index].visible_ns.get_or_insert(at_ns);
                    }
                }
            }
            "nexus-outbox" => {
                let index = key.split_once('/').and_then(|(_, event_id)| self.by_event_id.get(event_id));
                if let Some(index) = index {
                    self.ways[*index].notified_ns.get_or_insert(at_ns);
                }
            }
            _ => {}
        }
    }
}
