//! The way of an event: how long from the customer to the stream, the notification and the read model, and after a fault back
//! to normal.

use crate::{
    aggregate::{ScenarioSummary, ShareSummary},
    latencies::Latencies,
};

/// Names of latencies that follow an event, in the order of its way:
/// "routing" from its commit to its durable acceptance by Kinesis, "background" from its commit to the notification's effect,
/// "end-to-end" from the customer's intended start to visibility in the read model, and "recovery" from the heal until no
/// backlog is left (one sample a trial).
pub const WAY_OF_AN_EVENT: [&str; 4] = ["routing", "background", "end-to-end", "recovery"];

/// One latency of the way in one phase.
#[derive(Clone, Debug)]
pub struct WayOfAnEvent<'a> {
    pub latency: &'a str,
    pub phase: &'a str,
    pub latencies: &'a Latencies,
    /// Where the time went, if the trials told it apart.
    pub shares: Option<&'a ShareSummary>,
}

impl ScenarioSummary {
    /// The latencies that follow an event, by phase.
    pub fn way_of_an_event(&self) -> Vec<WayOfAnEvent<'_>> {
        let mut way = Vec::new();
        for (latency, phases) in WAY_OF_AN_EVENT.iter().filter_map(|name| self.latency_by_phase.get_key_value(*name)) {
            for (phase, latencies) in phases.iter().filter(|(_, latencies)| !latencies.is_empty()) {
                let shares = self.shares_by_phase.get(&(latency.clone(), phase.clone()));
                way.push(WayOfAnEvent { latency, phase, latencies, shares });
            }
        }
        way
    }
}
