//! `policy graph` on the repository itself: it tells the way of an event, in every form.

use crate::support::{repository, run_in, stdout};
use nexus_policy_check::{
    facts::Facts,
    graph::{Graph, dot, mermaid, svg},
    worktree::WorkTree,
};

fn graph() -> Graph {
    Graph::new(&Facts::gather_all(&WorkTree::open(&repository()).unwrap()).unwrap().services)
}

#[test]
fn the_way_of_an_event_is_in_the_graph() {
    let graph = graph();
    let has = |from: &str, to: &str, call: &str| {
        let found = graph.edges.iter().find(|edge| edge.from == from && edge.to == to);
        let calls = found.map(|edge| edge.calls.clone()).unwrap_or_default();
        assert!(calls.iter().any(|one| one == call), "{from} -> {to}: {calls:?} lacks {call}");
    };
    has("service:command-service", "table:events", "dynamodb:PutItem");
    has("table:events", "change-stream:events", "every change");
    has("change-stream:events", "service:event-router", "dynamodb:GetRecords");
    has("service:event-router", "stream:core_stream", "kinesis:PutRecords");
    has("service:event-router", "topic:background_topic", "sns:Publish");
    has("stream:core_stream", "service:projection", "kinesis:GetRecords");
    has("service:projection", "table:views", "dynamodb:PutItem");
    has("table:views", "service:query-dashboard", "dynamodb:GetItem");
    has("topic:background_topic", "queue:notification_queue", "subscription");
    has("queue:notification_queue", "service:notifier", "sqs:ReceiveMessage");
    has("service:notifier", "table:outbox", "dynamodb:PutItem");
    has("queue:notification_dead_letters", "service:dlq-processor", "sqs:ReceiveMessage");
    has("queue:background_dead_letters", "service:dlq-processor", "sqs:ReceiveMessage");
    has("service:dlq-processor", "table:quarantine", "dynamodb:PutItem");
    has("service:dlq-processor", "queue:notification_queue", "sqs:SendMessage");
}

#[test]
fn no_service_calls_another() {
    let graph = graph();
    assert!(graph.edges.iter().all(|edge| !(edge.from.starts_with("service:") && edge.to.starts_with("service:"))));
    let services = graph.vertices.iter().filter(|vertex| vertex.kind == "service").count();
    assert_eq!(services, 6, "{:?}", graph.vertices);
}

#[test]
fn every_form_tells_every_vertex_and_edge() {
    let graph = graph();
    let (dot, mermaid, svg) = (dot(&graph), mermaid(&graph), svg(&graph));
    for vertex in &graph.vertices {
        for text in [&dot, &mermaid, &svg] {
            assert!(text.contains(&vertex.label), "{} in\n{text}", vertex.label);
        }
    }
    assert_eq!(dot.matches(" -> ").count(), graph.edges.len());
    assert_eq!(mermaid.lines().filter(|line| line.contains(">|")).count(), graph.edges.len());
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg.matches("<rect class=").count(), graph.vertices.len());
    assert_eq!(svg.matches("<title>").count(), svg.matches("</title></path>").count());
}

#[test]
fn the_program_writes_where_it_is_told() {
    let file = std::env::temp_dir().join(format!("nexus-graph-{}.svg", std::process::id()));
    let output = run_in(&repository(), &["graph", "--format", "svg", "--out", file.to_str().unwrap()]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), svg(&graph()));
    std::fs::remove_file(file).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&run_in(&repository(), &["graph", "--format", "json"]).stdout).unwrap();
    assert_eq!(json["edges"].as_array().unwrap().len(), graph().edges.len());
}
