//! The sequence diagram as SVG, for the page.

use std::fmt::Write as _;

use crate::{
    escape::{html, shortened},
    model::{MessageOutcome, Story},
    sequence::{Item, Tone, of_chain},
};

const LANE: usize = 236;
const ROW: usize = 40;
const HEAD: usize = 44;
const SIDE: usize = 128;

/// The causal chain as an SVG element; its colours are the page's.
pub(crate) fn sequence_svg(story: &Story) -> String {
    let (lanes, items) = of_chain(story);
    if items.is_empty() {
        return String::new();
    }
    let x = |lane: usize| SIDE + lanes.iter().position(|known| *known == lane).unwrap_or(0) * LANE;
    let width = 2 * SIDE + lanes.len().saturating_sub(1) * LANE;
    let height = HEAD + items.len() * ROW + 24;
    let mut svg = format!(
        "<svg class=\"sequence\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Sequence diagram of the causal chain\">\n<defs>\
         <marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0 0L8 4L0 8z\" class=\"tip\"/></marker>\
         <marker id=\"cross\" viewBox=\"0 0 10 10\" refX=\"5\" refY=\"5\" markerWidth=\"12\" markerHeight=\"12\">\
         <path d=\"M1 1L9 9M9 1L1 9\" class=\"cross\"/></marker></defs>\n"
    );
    // Writing to a String cannot fail.
    for lane in &lanes {
        let (x, name) = (x(*lane), html(&shortened(story.host_name(*lane), 26)));
        let _ = writeln!(svg, "<line class=\"life\" x1=\"{x}\" y1=\"34\" x2=\"{x}\" y2=\"{}\"/>", height - 8);
        let _ = writeln!(
            svg,
            "<rect class=\"head\" x=\"{}\" y=\"6\" width=\"160\" height=\"28\" rx=\"6\"/>\
             <text class=\"name\" x=\"{x}\" y=\"25\">{name}</text>",
            x - 80
        );
    }
    for (row, item) in items.iter().enumerate() {
        let y = HEAD + row * ROW + ROW / 2 + 8;
        match item {
            Item::Arrow { step, from, to, label, outcome, is_answer } => {
                draw_arrow(&mut svg, *step, (x(*from), x(*to), y), label, *outcome, *is_answer, width);
            }
            Item::Note { step, over, label, tone } => {
                let from = over.iter().map(|lane| x(*lane)).min().unwrap_or(SIDE);
                let until = over.iter().map(|lane| x(*lane)).max().unwrap_or(SIDE);
                draw_note(&mut svg, *step, (from, until, y), label, *tone, width);
            }
        }
    }
    svg.push_str("</svg>");
    svg
}

fn draw_arrow(
    svg: &mut String,
    step: u32,
    (from, to, y): (usize, usize, usize),
    label: &str,
    outcome: MessageOutcome,
    is_answer: bool,
    width: usize,
) {
    let is_lost = outcome == MessageOutcome::Lost;
    // A lost message ends halfway.
    let end = if is_lost { (from + 2 * to) / 3 } else { to };
    let dashes = if is_answer { " dashed" } else { "" };
    let marker = if is_lost { "cross" } else { "tip" };
    let _ = write!(
        svg,
        "<a href=\"#step-{step}\" class=\"{}{dashes}\"><line x1=\"{from}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" \
         marker-end=\"url(#{marker})\"/>",
        outcome.as_str()
    );
    let text = format!("{step} · {label}");
    let middle = middle_for(&text, (from + to) / 2, width);
    let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{}\">{}</text></a>", y - 6, html(&text));
}

fn draw_note(
    svg: &mut String,
    step: Option<u32>,
    (from, until, y): (usize, usize, usize),
    label: &str,
    tone: Tone,
    width: usize,
) {
    let text = step.map_or_else(|| label.to_owned(), |step| format!("{step} · {label}"));
    let class = match tone {
        Tone::Plain => "note",
        Tone::Fault => "note fault",
        Tone::Violation => "note violation",
    };
    let middle = middle_for(&text, (from + until) / 2, width);
    let wide = text_width(&text).max(until - from + 24).min(width.saturating_sub(8));
    let left = middle.saturating_sub(wide / 2).max(4);
    let href = step.map_or_else(|| "#broken".to_owned(), |step| format!("#step-{step}"));
    let _ = writeln!(
        svg,
        "<a href=\"{href}\" class=\"{class}\"><rect x=\"{left}\" y=\"{}\" width=\"{wide}\" height=\"24\" rx=\"4\"/>\
         <text x=\"{middle}\" y=\"{}\">{}</text></a>",
        y - 16,
        y,
        html(&text)
    );
}

/// About as wide as the page draws it.
fn text_width(text: &str) -> usize {
    text.chars().count() * 67 / 10 + 18
}

/// The middle of a text that is to stand around `wanted` and stay inside the picture.
fn middle_for(text: &str, wanted: usize, width: usize) -> usize {
    let half = text_width(text) / 2 + 4;
    if 2 * half >= width { width / 2 } else { wanted.clamp(half, width - half) }
}
