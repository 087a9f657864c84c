//! Objectives of the scenarios: how fast what must be.

use serde::Serialize;

use crate::{error::CheckError, worktree::WorkTree};

#[derive(Clone, Debug, Serialize)]
pub struct Objective {
    /// Which latency, such as `routing`.
    pub latency: String,
    pub phase: String,
    pub percentile: f64,
    pub limit_ms: f64,
    pub file: String,
    pub line: usize,
}

pub(super) fn gather(tree: &WorkTree) -> Result<Vec<Objective>, CheckError> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| file.starts_with("scenarios/") && file.ends_with(".toml")) {
        let text = tree.read(file)?;
        let scenario: toml::Table = text.parse().map_err(|error| CheckError::toml(file, &text, &error))?;
        let lines = lines_of_objectives(&text);
        let objectives = scenario.get("objectives").and_then(toml::Value::as_array).into_iter().flatten();
        for (index, objective) in objectives.enumerate() {
            let text = |key: &str| objective.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
            let number = |key: &str| objective.get(key).and_then(as_number).unwrap_or_default();
            found.push(Objective {
                latency: text("latency"),
                phase: text("phase"),
                percentile: number("percentile"),
                limit_ms: number("limit_ms"),
                file: file.to_owned(),
                line: lines.get(index).copied().unwrap_or(1),
            });
        }
    }
    Ok(found)
}

fn as_number(value: &toml::Value) -> Option<f64> {
    // Whole numbers in scenarios are far below 2^53.
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

fn lines_of_objectives(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate();
    lines.filter(|(_, line)| line.trim_start().starts_with("[[objectives]]")).map(|(index, _)| index + 1).collect()
}
