//! Steps in words, for terminals and Markdown.

use crate::model::{Step, Story};

/// `12.034 s`: a time since the run's start.
pub fn time(at_us: u64) -> String {
    format!("{}.{:03} s", at_us / 1_000_000, at_us % 1_000_000 / 1_000)
}

/// One step in one line.
pub fn step_line(story: &Story, step: &Step) -> String {
    let taken = step.until_us.filter(|until_us| *until_us > step.at_us);
    let taken = taken.map_or(String::new(), |until_us| {
        let us = until_us - step.at_us;
        format!(" ({}.{:01} ms)", us / 1_000, us % 1_000 / 100)
    });
    format!("step {} {} {}: {}{taken}", step.number, time(step.at_us), story.host_name(step.host), step.text)
}

/// The causal chain, a line a step.
pub fn chain_lines(story: &Story) -> Vec<String> {
    let line = |link: &crate::model::Link| {
        let step = story.step(link.step)?;
        let because: Vec<String> =
            link.because.iter().map(|because| format!("step {} ({})", because.step, because.why)).collect();
        let because =
            if because.is_empty() { String::new() } else { format!(" — follows from {}", because.join(", ")) };
        let mark = if link.is_evidence { " [evidence]" } else { "" };
        Some(format!("{}{mark}{because}", step_line(story, step)))
    };
    story.chain.iter().filter_map(line).collect()
}
