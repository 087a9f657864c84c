//! What each share of an exploration's trials found.

use crate::{
    exploration::{Exploration, ShareFound},
    format,
    model::RunRecord,
    tables::{Table, Tone, count, count_with_tone, number, plain, text},
};

/// Origins first, then mutations; empty where nothing was explored.
pub(crate) fn exploration(record: &RunRecord) -> Table {
    let mut table =
        Table::new([text("trials"), number("played"), number("new features"), number("per trial"), number("broken")]);
    let Some(exploration) = &record.exploration else { return table };
    let mut add = |name: String, found: &ShareFound| {
        let per_trial = found.new_features as f64 / found.trials.max(1) as f64;
        table.push([
            plain(name),
            count(found.trials),
            count(found.new_features),
            plain(format!("{per_trial:.2}")),
            count_with_tone(found.broken, Tone::Bad),
        ]);
    };
    exploration.origins.iter().for_each(|(name, found)| add(name.clone(), found));
    exploration.mutations.iter().for_each(|(name, found)| add(format!("mutated by {name}"), found));
    table
}

/// Features over time, the corpus, and how many of the faults drawn acted.
pub(crate) fn exploration_in_words(exploration: &Exploration) -> Vec<String> {
    let mut lines = vec![format!(
        "{} in {}, of which {} show all of them; {} drawn, {} acted",
        format::plural(exploration.features.len() as u64, "feature"),
        format::plural(exploration.corpus, "trial of the corpus"),
        exploration.corpus_cover,
        format::plural(exploration.faults_drawn, "fault"),
        exploration.faults_acted
    )];
    for (shard, points) in exploration.milestones() {
        let points: Vec<String> =
            points.iter().map(|point| format!("{} after {}", point.features, point.trials)).collect();
        lines.push(format!("features by trials, shard {shard}: {}", points.join(", ")));
    }
    lines
}
