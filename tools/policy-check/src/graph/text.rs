//! The graph as text: Graphviz' DOT and Mermaid.

use std::fmt::Write as _;

use super::{Graph, Vertex};

pub fn dot(graph: &Graph) -> String {
    let mut text = String::from("digraph nexus {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
    for vertex in &graph.vertices {
        let shape = match vertex.kind.as_str() {
            "service" => "box",
            "table" => "cylinder",
            "topic" => "ellipse",
            _ => "cds",
        };
        let _ = writeln!(text, "  \"{}\" [label=\"{}\", shape={shape}];", vertex.id, vertex.label);
    }
    for edge in &graph.edges {
        let style = if edge.by_aws { ", style=dashed" } else { "" };
        let _ = writeln!(text, "  \"{}\" -> \"{}\" [label=\"{}\"{style}];", edge.from, edge.to, edge.calls.join("\\n"));
    }
    text.push_str("}\n");
    text
}

pub fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    for vertex in &graph.vertices {
        let _ = writeln!(text, "    {}{}", name(&vertex.id), shaped(vertex));
    }
    for edge in &graph.edges {
        let arrow = if edge.by_aws { "-.->" } else { "-->" };
        let calls = edge.calls.join("<br>");
        let _ = writeln!(text, "    {} {arrow}|\"{calls}\"| {}", name(&edge.from), name(&edge.to));
    }
    text
}

/// Mermaid's names are words.
fn name(id: &str) -> String {
    id.replace([':', '-'], "_")
}

fn shaped(vertex: &Vertex) -> String {
    let label = &vertex.label;
    match vertex.kind.as_str() {
        "service" => format!("[\"{label}\"]"),
        "table" => format!("[(\"{label}\")]"),
        "topic" => format!("([\"{label}\"])"),
        _ => format!("[[\"{label}\"]]"),
    }
}
