//! `policy graph`: the services, what they call, and what carries their events.

mod layout;
mod svg;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::facts::{Service, ServiceCall};

pub use svg::svg;
pub use text::{dot, mermaid};

/// A service, a store or a part of the bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Vertex {
    pub id: String,
    /// `service`, `table`, `change-stream`, `stream`, `topic` or `queue`.
    pub kind: String,
    pub label: String,
}

/// Data flows from one to the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    pub from: String,
    pub to: String,
    /// The calls behind it, as IAM spells them; for what AWS itself does, a word for it.
    pub calls: Vec<String>,
    /// Whether AWS carries it by itself, without a call of ours.
    pub by_aws: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Graph {
    pub vertices: Vec<Vertex>,
    pub edges: Vec<Edge>,
}

/// A node by its kind and name.
type Named = (&'static str, &'static str);

/// What AWS carries by itself: a table's changes to its stream, a topic's messages to its queue, a queue's dead letters.
const CARRIED: [(Named, Named, &str); 4] = [
    (("table", "events"), ("change-stream", "events"), "every change"),
    (("topic", "background_topic"), ("queue", "notification_queue"), "subscription"),
    (("queue", "notification_queue"), ("queue", "notification_dead_letters"), "5 receives in vain"),
    (("topic", "background_topic"), ("queue", "background_dead_letters"), "given up"),
];

impl Graph {
    pub fn new(services: &[Service]) -> Graph {
        let mut vertices = BTreeSet::new();
        let mut calls = BTreeMap::<(String, String), BTreeSet<String>>::new();
        for service in services {
            let own = vertex("service", &service.name);
            for call in service.calls.iter().filter(|call| call.kind != "none") {
                let other = resource_of(call);
                let (from, to) = if is_read(&call.action) { (&other, &own) } else { (&own, &other) };
                calls.entry((from.id.clone(), to.id.clone())).or_default().insert(call.action.clone());
                vertices.insert(other);
            }
            vertices.insert(own);
        }
        let mut edges: Vec<Edge> = calls
            .into_iter()
            .map(|((from, to), calls)| Edge { from, to, calls: calls.into_iter().collect(), by_aws: false })
            .collect();
        for ((from_kind, from), (to_kind, to), word) in CARRIED {
            let (from, to) = (vertex(from_kind, from), vertex(to_kind, to));
            if vertices.contains(&from) && vertices.contains(&to) {
                edges.push(Edge { from: from.id, to: to.id, calls: vec![word.to_owned()], by_aws: true });
            }
        }
        edges.sort();
        Graph { vertices: vertices.into_iter().collect(), edges }
    }
}

fn vertex(kind: &str, name: &str) -> Vertex {
    let label = if kind == "change-stream" { format!("{name}, changes") } else { name.replace('_', " ") };
    Vertex { id: format!("{kind}:{name}"), kind: kind.to_owned(), label }
}

/// A table's records may also be read as its change stream, which is another thing than the table.
fn resource_of(call: &ServiceCall) -> Vertex {
    const OF_THE_STREAM: [&str; 4] =
        ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"];
    let kind = if OF_THE_STREAM.contains(&call.action.as_str()) { "change-stream" } else { &call.kind };
    vertex(kind, &call.resource)
}

/// Whether a call brings data to the caller. Deleting a message or changing its visibility acknowledges what was read,
/// and moves none.
fn is_read(action: &str) -> bool {
    const ACKNOWLEDGES: [&str; 2] = ["sqs:DeleteMessage", "sqs:ChangeMessageVisibility"];
    let name = action.split(':').nth(1).unwrap_or(action);
    let reads = ["Get", "Query", "Scan", "List", "Describe", "Receive", "BatchGet", "TransactGet"];
    ACKNOWLEDGES.contains(&action) || reads.iter().any(|beginning| name.starts_with(beginning))
}
