//! The story as JSON trace events, which Perfetto and Chrome's tracing open: processes are hosts, spans calls, flows
//! messages, instants faults and violations.

use std::{collections::BTreeMap, io::Write as _};

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::model::{StepKind, Story};

/// Spans that take no time would not be seen, and no flow could begin at them.
const SHORTEST_US: u64 = 1;

impl Story {
    /// The trace as one JSON object.
    pub fn perfetto(&self) -> String {
        let mut events = Vec::new();
        for (lane, host) in self.hosts.iter().enumerate() {
            events.push(named(lane, &host.name));
            events
                .push(json!({"ph": "M", "pid": lane + 1, "name": "process_sort_index", "args": {"sort_index": lane}}));
        }
        let faults = self.hosts.len();
        events.push(named(faults, "faults"));
        events.push(json!({"ph": "M", "pid": faults + 1, "name": "process_sort_index", "args": {"sort_index": -1}}));
        let spans = self.spans(&mut events);
        self.flows(&spans, &mut events);
        self.faults_and_violations(faults, &mut events);
        let other = json!({"scenario": self.facts.scenario, "seed": self.facts.seed, "revision": self.facts.revision,
            "trace_hash": self.facts.trace_hash});
        json!({"displayTimeUnit": "ms", "otherData": other, "traceEvents": events}).to_string()
    }

    /// The trace, compressed as both viewers take it.
    pub fn perfetto_gzip(&self) -> Vec<u8> {
        // No time of day in the header: the same story gives the same bytes.
        let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        // Writing to a Vec cannot fail.
        let _ = encoder.write_all(self.perfetto().as_bytes());
        encoder.finish().unwrap_or_default()
    }

    /// Each step as a span, on the first track of its host that is free. Says where each step went, and for calls where
    /// their other end at AWS did.
    fn spans(&self, events: &mut Vec<Value>) -> BTreeMap<(u32, usize), usize> {
        let mut free_from: Vec<Vec<u64>> = vec![Vec::new(); self.hosts.len()];
        let mut places = BTreeMap::new();
        for step in &self.steps {
            if matches!(step.kind, StepKind::Fault) {
                continue;
            }
            let until_us = step.until_us.unwrap_or(step.at_us).max(step.at_us + SHORTEST_US);
            let endpoint = self.messages_of(step.number).find(|message| !message.is_answer).map(|message| message.to);
            let ends = [Some(step.host), endpoint.filter(|to| *to != step.host)];
            for host in ends.into_iter().flatten() {
                let Some(tracks) = free_from.get_mut(host) else { continue };
                let track = tracks.iter().position(|free| *free <= step.at_us).unwrap_or(tracks.len());
                match tracks.get_mut(track) {
                    Some(free) => *free = until_us,
                    None => tracks.push(until_us),
                }
                places.insert((step.number, host), track);
                events.push(json!({"ph": "X", "pid": host + 1, "tid": track + 1, "ts": step.at_us,
                    "dur": until_us - step.at_us, "cat": step.kind.as_str(), "name": first_words(&step.text),
                    "args": {"step": step.number, "what": step.text, "aggregate": step.aggregate}}));
            }
        }
        places
    }

    fn messages_of(&self, step: u32) -> impl Iterator<Item = &crate::model::Message> {
        let from = self.messages.partition_point(|message| message.step < step);
        self.messages.iter().skip(from).take_while(move |message| message.step == step)
    }

    /// A flow from the span of the sender to the span of the receiver, where both have one.
    fn flows(&self, places: &BTreeMap<(u32, usize), usize>, events: &mut Vec<Value>) {
        for (id, message) in self.messages.iter().enumerate() {
            let ends = (places.get(&(message.step, message.from)), places.get(&(message.step, message.to)));
            let (Some(from), Some(to), Some(step)) = (ends.0, ends.1, self.step(message.step)) else { continue };
            if message.is_answer {
                continue;
            }
            let name = first_words(&message.label);
            let end = |ph: &str, host: usize, track: usize| {
                json!({"ph": ph, "id": id, "pid": host + 1, "tid": track + 1, "ts": step.at_us, "cat": "message",
                    "name": name, "bp": "e"})
            };
            events.push(end("s", message.from, *from));
            events.push(end("f", message.to, *to));
        }
    }

    fn faults_and_violations(&self, process: usize, events: &mut Vec<Value>) {
        for fault in &self.faults {
            events.push(json!({"ph": "X", "pid": process + 1, "tid": fault.id, "ts": fault.from_us,
                "dur": fault.until_us.saturating_sub(fault.from_us).max(SHORTEST_US), "cat": "fault",
                "name": format!("{} {}", fault.id, fault.kind), "args": {"address": fault.address}}));
            for point in &fault.points {
                events.push(json!({"ph": "i", "s": "g", "pid": process + 1, "tid": fault.id, "ts": point.at_us,
                    "cat": "fault", "name": format!("{} acts", fault.kind), "args": {"step": point.step}}));
            }
        }
        for violation in &self.violations {
            let at_us = violation.at_us.unwrap_or(self.ended_us);
            events.push(json!({"ph": "i", "s": "g", "pid": process + 1, "tid": 0, "ts": at_us, "cat": "violation",
                "name": format!("BROKEN {}", violation.checker), "args": {"what": violation.what}}));
        }
    }
}

fn named(lane: usize, name: &str) -> Value {
    json!({"ph": "M", "pid": lane + 1, "name": "process_name", "args": {"name": name}})
}

fn first_words(text: &str) -> String {
    let text = text.split_once(": ").filter(|(head, _)| head.starts_with("call ")).map_or(text, |(_, rest)| rest);
    crate::escape::shortened(text, 48)
}
