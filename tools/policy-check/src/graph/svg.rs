//! The graph as a picture of its own: no program but this one is needed to draw it.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Graph, Vertex,
    layout::{Layout, Way, layout},
};

const HALF_WIDTH: f64 = 92.0;
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

/// One link for each two vertices. Where calls go both ways, it has the direction in which an event goes: into tables, out
/// of streams and queues.
fn links(graph: &Graph) -> Vec<Link> {
    let index: BTreeMap<&str, usize> =
        graph.vertices.iter().enumerate().map(|(index, vertex)| (vertex.id.as_str(), index)).collect();
    let mut links: Vec<Link> = Vec::new();
    let (with_events, against): (Vec<_>, Vec<_>) = graph.edges.iter().partition(|edge| {
        let reads_feed = edge.from.starts_with("queue:") || edge.from.contains("stream:");
        let writes_elsewhere = edge.from.starts_with("service:") && !edge.to.starts_with("queue:");
        edge.by_aws || reads_feed || writes_elsewhere
    });
    for edge in with_events.into_iter().chain(against) {
        let (Some(from), Some(to)) = (index.get(edge.from.as_str()), index.get(edge.to.as_str())) else { continue };
        let (from, to) = (*from, *to);
        match links.iter_mut().find(|link| link.way == (Way { from: to, to: from })) {
            Some(link) => link.back = edge.calls.clone(),
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
    let start = if link.back.is_empty() { "" } else { " marker-start=\"url(#tip)\"" };
    let name = |index: usize| escaped(&graph.vertices[index].label);
    let mut told = format!("{} to {}: {}", name(link.way.from), name(link.way.to), escaped(&link.forth.join(", ")));
    if !link.back.is_empty() {
        let _ = write!(told, "; back: {}", escaped(&link.back.join(", ")));
    }
    let _ = writeln!(
        text,
        "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#tip)\"{start}><title>{told}</title></path>"
    );
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
