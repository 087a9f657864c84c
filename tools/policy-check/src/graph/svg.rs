//! The graph as a picture of its own: no program but this one is needed to draw it.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Edge, Graph, Vertex,
    layout::{Layout, Way, layout},
};

const HALF_WIDTH: f64 = 104.0;
const HALF_HEIGHT: f64 = 22.0;

/// What is drawn between two vertices: the calls to and fro on one line.
struct Link {
    way: Way,
    /// Calls from the first to the second, and back.
    forth: Vec<String>,
    back: Vec<String>,
    by_aws: bool,
}

pub fn svg(graph: &Graph) -> String {
    let links = links(graph);
    let ways: Vec<Way> = links.iter().map(|link| link.way.clone()).collect();
    let layout = layout(graph.vertices.len(), &ways);
    let mut text = head(&layout);
    for (link, route) in links.iter().zip(&layout.routes) {
        draw_link(&mut text, graph, link, route);
    }
    for (vertex, place) in graph.vertices.iter().zip(&layout.places) {
        draw_vertex(&mut text, vertex, *place);
    }
    for (link, route) in links.iter().zip(&layout.routes) {
        label(&mut text, link, route);
    }
    text.push_str("</svg>\n");
    text
}

/// One link for each two vertices, in the direction in which an event goes.
///
/// The order is what the layout goes by where links close a circle: it turns the later ones. So what AWS does and what a
/// feed is read by come first, then what is only sent or written, and last the tables that a service both reads and writes,
/// those of a service that reads no feed before the others: with it an event's way begins.
fn links(graph: &Graph) -> Vec<Link> {
    let index: BTreeMap<&str, usize> =
        graph.vertices.iter().enumerate().map(|(index, vertex)| (vertex.id.as_str(), index)).collect();
    let mut edges: Vec<&Edge> = graph.edges.iter().collect();
    edges.sort_by_key(|edge| rank(graph, edge));
    let mut links: Vec<Link> = Vec::new();
    for edge in edges {
        let (Some(from), Some(to)) = (index.get(edge.from.as_str()), index.get(edge.to.as_str())) else { continue };
        let (from, to) = (*from, *to);
        match links.iter_mut().find(|link| link.way == (Way { from: to, to: from })) {
            Some(link) => link.back = edge.calls.clone(),
            None if sends_again(graph, edge) => links.push(Link {
                way: Way { from: to, to: from },
                forth: Vec::new(),
                back: edge.calls.clone(),
                by_aws: edge.by_aws,
            }),
            None => links.push(Link {
                way: Way { from, to },
                forth: edge.calls.clone(),
                back: Vec::new(),
                by_aws: edge.by_aws,
            }),
        }
    }
    links
}

/// Whether this publishes what was published before: who works on dead letters stands behind the bus, not before it.
fn sends_again(graph: &Graph, edge: &Edge) -> bool {
    let publishes = edge.to.starts_with("topic:") || edge.to.starts_with("stream:");
    publishes && graph.edges.iter().any(|other| other.to == edge.from && other.from.contains("dead_letters"))
}

/// The lower, the surer is the direction of an edge.
fn rank(graph: &Graph, edge: &Edge) -> u8 {
    let is_feed = |id: &str| id.starts_with("queue:") || id.contains("stream:");
    let both_ways = graph.edges.iter().any(|other| other.from == edge.to && other.to == edge.from);
    let reads_feed = graph.edges.iter().any(|other| other.to == edge.from && is_feed(&other.from));
    let by_service = edge.from.starts_with("service:");
    // A service asks a topic only for its name, and sends back to a queue only what came from it.
    let publishes = edge.to.starts_with("topic:") || edge.to.starts_with("stream:");
    match edge {
        _ if edge.by_aws || is_feed(&edge.from) => 0,
        _ if by_service && (publishes || !both_ways) => 1,
        _ if by_service && !edge.to.starts_with("queue:") => 2 + u8::from(reads_feed),
        _ => 4,
    }
}

fn head(layout: &Layout) -> String {
    let (width, height) = (layout.width, layout.height);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" role="img" aria-label="Services and what carries their events">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#475569"/></marker></defs>
<style>
text {{ font-family: system-ui, sans-serif; text-anchor: middle; fill: #0f172a; }}
.name {{ font-size: 13px; font-weight: 600; }}
.kind {{ font-size: 10px; fill: #64748b; }}
.calls {{ font-size: 11px; fill: #334155; stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }}
.way {{ fill: none; stroke: #475569; stroke-width: 1.4; }}
.by-aws {{ stroke-dasharray: 5 4; }}
.service {{ fill: #dbeafe; stroke: #1d4ed8; }}
.table {{ fill: #dcfce7; stroke: #15803d; }}
.bus {{ fill: #fef3c7; stroke: #b45309; }}
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
"##
    )
}

/// The points of a route, its ends moved to the borders of the boxes.
fn trimmed(route: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut points = route.to_vec();
    let last = points.len() - 1;
    let side = if route[0].0 < route[last].0 { 1.0 } else { -1.0 };
    points[0].0 += side * (HALF_WIDTH + 1.0);
    points[last].0 -= side * (HALF_WIDTH + 2.0);
    points
}

/// Curves that leave and meet every point level.
fn path_through(points: &[(f64, f64)]) -> String {
    let mut path = format!("M{:.1} {:.1}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let middle = (x0 + x1) / 2.0;
        let _ = write!(path, " C{middle:.1} {y0:.1} {middle:.1} {y1:.1} {x1:.1} {y1:.1}");
    }
    path
}

fn draw_link(text: &mut String, graph: &Graph, link: &Link, route: &[(f64, f64)]) {
    let path = path_through(&trimmed(route));
    let class = if link.by_aws { "way by-aws" } else { "way" };
    let tip =
        |calls: &[String], end| if calls.is_empty() { String::new() } else { format!(" marker-{end}=\"url(#tip)\"") };
    let tips = tip(&link.forth, "end") + &tip(&link.back, "start");
    let name = |index: usize| escaped(&graph.vertices[index].label);
    let told = [(link.way.from, link.way.to, &link.forth), (link.way.to, link.way.from, &link.back)]
        .into_iter()
        .filter(|(_, _, calls)| !calls.is_empty())
        .map(|(from, to, calls)| format!("{} to {}: {}", name(from), name(to), escaped(&calls.join(", "))))
        .collect::<Vec<_>>()
        .join("; ");
    let _ = writeln!(text, "<path class=\"{class}\" d=\"{path}\"{tips}><title>{told}</title></path>");
}

/// What the calls come to, on the link's first stretch: past its middle, where links of one vertex have parted.
fn label(text: &mut String, link: &Link, route: &[(f64, f64)]) {
    const ALONG: f64 = 0.6;
    let points = trimmed(route);
    let ((x0, y0), (x1, y1)) = (points[0], points[1]);
    let x = x0 + (x1 - x0) * ALONG;
    // The curve's own height there: its control points are level with its ends.
    let bend = 3.0 * ALONG * ALONG * (1.0 - ALONG) + ALONG.powi(3);
    let y = y0 + (y1 - y0) * bend + 3.0;
    let told = summary(link);
    let _ = writeln!(text, "<text class=\"calls\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(&told));
}

/// The calls in words, each once: what they are in full is told when the link is pointed at.
fn summary(link: &Link) -> String {
    if link.by_aws {
        return link.forth.join(", ");
    }
    let mut words: Vec<&str> = link.forth.iter().chain(&link.back).map(|call| word_for(call)).collect();
    words.sort_unstable();
    words.dedup();
    words.join(", ")
}

fn word_for(call: &str) -> &'static str {
    let (service, name) = call.split_once(':').unwrap_or(("", call));
    match service {
        "sqs" if name.starts_with("Send") => "send",
        "sqs" => "receive",
        "sns" => "send",
        "kinesis" if name.starts_with("Put") => "send",
        _ if name.starts_with("Put") || name.starts_with("Update") => "write",
        _ if name.starts_with("Delete") => "remove",
        _ => "read",
    }
}

fn draw_vertex(text: &mut String, vertex: &Vertex, (x, y): (f64, f64)) {
    let (left, top) = (x - HALF_WIDTH, y - HALF_HEIGHT);
    let (width, height) = (2.0 * HALF_WIDTH, 2.0 * HALF_HEIGHT);
    let (class, radius) = match vertex.kind.as_str() {
        "service" => ("service", 6.0),
        "table" => ("table", 2.0),
        _ => ("bus", HALF_HEIGHT),
    };
    let _ = writeln!(
        text,
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\"/>\n\
         <text class=\"name\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>\n<text class=\"kind\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
        y + 1.0,
        escaped(&vertex.label),
        y + 14.0,
        escaped(&vertex.kind.replace('-', " ")),
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, calls: &[&str], by_aws: bool) -> Edge {
        let calls = calls.iter().map(|call| (*call).to_owned()).collect();
        Edge { from: from.to_owned(), to: to.to_owned(), calls, by_aws }
    }

    fn graph_of(edges: Vec<Edge>) -> Graph {
        let ids: std::collections::BTreeSet<&String> = edges.iter().flat_map(|edge| [&edge.from, &edge.to]).collect();
        let vertex = |id: &String| {
            let (kind, label) = id.split_once(':').expect("a kind and a name");
            Vertex { id: id.clone(), kind: kind.to_owned(), label: label.to_owned() }
        };
        Graph { vertices: ids.into_iter().map(vertex).collect(), edges }
    }

    /// The way of an event, and all that goes against it: repairs from the table, dead letters that are sent again.
    #[test]
    fn an_event_goes_from_left_to_right_whatever_goes_back() {
        let way = [
            "service:command-service",
            "table:events",
            "change-stream:events",
            "service:router",
            "topic:background",
            "queue:work",
            "queue:dead_letters",
            "service:dlq-processor",
        ];
        let mut edges: Vec<Edge> = way.windows(2).map(|pair| edge(pair[0], pair[1], &["x:Put"], false)).collect();
        for index in [2, 5, 6] {
            edges[index - 1].by_aws = true;
        }
        for (service, call) in [("service:router", "dynamodb:PutItem"), ("service:dlq-processor", "dynamodb:PutItem")] {
            edges.push(edge(service, "table:events", &[call], false));
            edges.push(edge("table:events", service, &["dynamodb:Query"], false));
        }
        edges.push(edge("table:events", "service:command-service", &["dynamodb:Query"], false));
        edges.push(edge("service:dlq-processor", "topic:background", &["sns:Publish"], false));
        edges.push(edge("service:dlq-processor", "queue:work", &["sqs:SendMessage"], false));
        edges.sort();
        let graph = graph_of(edges);

        let ways: Vec<Way> = links(&graph).into_iter().map(|link| link.way).collect();
        let found = layout(graph.vertices.len(), &ways);
        let column = |id: &str| {
            let index = graph.vertices.iter().position(|vertex| vertex.id == id);
            found.places[index.expect("a vertex")].0
        };
        for pair in way.windows(2) {
            assert!(column(pair[0]) < column(pair[1]), "{} stands left of {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn what_is_only_sent_back_has_its_tip_at_its_start() {
        let graph = graph_of(vec![
            edge("queue:dead_letters", "service:dlq-processor", &["sqs:ReceiveMessage"], false),
            edge("service:dlq-processor", "topic:background", &["sns:Publish"], false),
        ]);
        let drawn = svg(&graph);
        let sent = drawn.lines().find(|line| line.contains("sns:Publish")).expect("the link is drawn");
        assert!(sent.contains("marker-start") && !sent.contains("marker-end"), "{sent}");
        assert!(sent.contains("dlq-processor to background: sns:Publish"), "{sent}");
    }
}
