//! The comparison as text for a terminal. Only what matters is listed; the JSON form has every number.

use std::collections::BTreeMap;

use crate::{
    aggregate::seeds_in_words,
    diff::{
        CallsDiff, Diff, DiffOutcome, FEWEST_SEEDS, LatencyDiff, LatencyPart, OwnShareDiff, PairedVerdict, RunName,
        ScenarioDiff,
    },
    format::{self, printable},
    tables::{Cell, Table, Tone, count, number, plain, text, toned},
    terminal::{Pen, TerminalOptions},
};

impl Diff {
    /// The comparison as text that ends with a line break.
    pub fn terminal(&self, options: &TerminalOptions) -> String {
        let pen = Pen { colour: options.colour, width: options.width };
        let parts = [
            Some(format!("Before: {}\nAfter:  {}\n", self.before.in_words(), self.after.in_words())),
            pen.section("Scenarios (seeds that both played; seeds that broke or were mended)", &self.scenario_table()),
            pen.section("Latencies that changed beyond chance, over the seeds that both played", &self.latency_table()),
            pen.section(
                "Our own share, compared seed by seed (noise: what the difference must exceed)",
                &self.own_share_table(),
            ),
            Some(self.own_share_in_words()),
            pen.section("Calls of AWS in a trial, compared seed by seed", &self.calls_table()),
            only_in("Only before", &self.only_before),
            only_in("Only after", &self.only_after),
            Some(self.conclusion()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// One sentence for each latency of which our own share grew in some phase, with what became of the whole: what AWS takes
    /// may hide it there.
    pub fn own_regressions(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for scenario in &self.scenarios {
            let mut grown: BTreeMap<&str, Vec<&OwnShareDiff>> = BTreeMap::new();
            for own in own_changes(scenario).into_iter().filter(|own| own.verdict == PairedVerdict::Grew) {
                grown.entry(&own.latency).or_default().push(own);
            }
            for (latency, phases) in grown {
                let is_whole =
                    |it: &&LatencyDiff| it.part == LatencyPart::Whole && it.latency == latency && it.percentile == 50.0;
                let whole = scenario.latency.iter().find(is_whole);
                sentences.extend(own_regression(&scenario.name, &phases, whole));
            }
        }
        sentences
    }

    fn own_share_in_words(&self) -> String {
        let sentences = self.own_regressions();
        let judged = || self.scenarios.iter().flat_map(|scenario| &scenario.own_share);
        let few = judged().filter(|own| own.verdict == PairedVerdict::TooFewSeeds).count();
        let mut lines: Vec<String> = sentences.iter().map(|sentence| format!("{}\n", printable(sentence))).collect();
        if judged().next().is_none() {
            lines.push("Our own share: the runs did not tell it apart.\n".to_owned());
        } else if lines.is_empty() && judged().any(|own| own.verdict != PairedVerdict::TooFewSeeds) {
            lines.push("Our own share grew nowhere beyond noise.\n".to_owned());
        }
        if few > 0 {
            lines.push(format!(
                "Our own share was not judged where fewer than {FEWEST_SEEDS} seeds were played by both.\n"
            ));
        }
        lines.concat()
    }

    fn conclusion(&self) -> String {
        match self.outcome() {
            DiffOutcome::NothingInCommon => "The runs have no seed of any scenario in common: nothing was compared.\n",
            DiffOutcome::Diverged => "Diverged: the same trials of the same revision left other traces.\n",
            DiffOutcome::Worse => "Worse than before.\n",
            DiffOutcome::NotWorse => "Not worse than before.\n",
        }
        .to_owned()
    }

    fn scenario_table(&self) -> Table {
        let mut table = Table::new([
            text("scenario"),
            text("before"),
            text("after"),
            number("seeds"),
            text("broke"),
            text("mended"),
            text("checks broken"),
            number("other traces"),
            number("calls a trial"),
        ]);
        for scenario in &self.scenarios {
            let seeds = |seeds: &[u64], tone| match seeds_in_words(seeds.iter().copied(), 4) {
                words if words.is_empty() => plain("–"),
                words => toned(words, tone),
            };
            let diverged = self.is_same_build() && !scenario.other_traces.is_empty();
            let traces_tone = if diverged { Tone::Bad } else { Tone::Plain };
            let calls = [scenario.aws_calls_per_trial_before, scenario.aws_calls_per_trial_after]
                .map(|calls| format::count(calls.round() as u64));
            table.push([
                plain(&scenario.name),
                toned(scenario.verdict_before.as_str(), scenario.verdict_before),
                toned(scenario.verdict_after.as_str(), scenario.verdict_after),
                count(scenario.common_seeds),
                seeds(&scenario.newly_broken, Tone::Bad),
                seeds(&scenario.mended, Tone::Good),
                match scenario.checks_newly_broken.as_slice() {
                    [] => plain("–"),
                    checks => toned(checks.join(", "), Tone::Bad),
                },
                toned(format::count(scenario.other_traces.len() as u64), traces_tone),
                plain(calls.join(" → ")),
            ]);
        }
        table
    }

    fn latency_table(&self) -> Table {
        let names = ["scenario", "latency", "part", "percentile"].map(text);
        let mut table = Table::new(names.into_iter().chain(["before ms", "after ms", "change"].map(number)));
        for scenario in &self.scenarios {
            for latency in scenario.latency.iter().filter(|latency| latency.notable) {
                let names = [&*scenario.name, &latency.latency, latency.part.as_str()].map(plain);
                let percentile = plain(format::percentile(latency.percentile));
                let numbers = [latency.before_ms, latency.after_ms].map(|ms| plain(format::milliseconds(Some(ms))));
                table.push(names.into_iter().chain([percentile]).chain(numbers).chain([change(latency.change)]));
            }
        }
        table
    }

    fn own_share_table(&self) -> Table {
        let names = ["scenario", "latency", "phase", "statistic"].map(text);
        let numbers = ["seeds", "before ms", "after ms", "change", "noise ms"].map(number);
        let mut table = Table::new(names.into_iter().chain(numbers));
        for scenario in &self.scenarios {
            for own in own_changes(scenario) {
                let names = [&*scenario.name, &own.latency, &own.phase, own.statistic.as_str()].map(plain);
                let [before, after, noise] =
                    [Some(own.before_ms), Some(own.after_ms), own.noise_ms].map(|ms| plain(format::milliseconds(ms)));
                let numbers = [count(own.seeds), before, after, change(own.change), noise];
                table.push(names.into_iter().chain(numbers));
            }
        }
        table
    }

    fn calls_table(&self) -> Table {
        let numbers = ["seeds", "before", "after", "change", "noise"].map(number);
        let mut table = Table::new(["scenario", "operation"].map(text).into_iter().chain(numbers));
        let moved = |calls: &&CallsDiff| matches!(calls.verdict, PairedVerdict::Grew | PairedVerdict::Shrank);
        for scenario in &self.scenarios {
            for calls in scenario.calls.iter().filter(moved) {
                let names = [&*scenario.name, &calls.operation].map(plain);
                let noise = calls.noise.map_or_else(|| "–".to_owned(), |noise| format!("{noise:.1}"));
                let [before, after] = [calls.before, calls.after].map(|calls| plain(format!("{calls:.1}")));
                table.push(names.into_iter().chain([
                    count(calls.seeds),
                    before,
                    after,
                    change(calls.change),
                    plain(noise),
                ]));
            }
        }
        table
    }
}

impl RunName {
    fn in_words(&self) -> String {
        format!("{} on {} ({})", printable(&self.revision), printable(&self.engine), printable(&self.profile))
    }
}

/// "+24.0 %".
fn change(change: f64) -> Cell {
    toned(format!("{:+.1} %", 100.0 * change), if change > 0.0 { Tone::Bad } else { Tone::Good })
}

/// What changed of our own share, once for each latency and phase: its mean, or its median where only that changed.
fn own_changes(scenario: &ScenarioDiff) -> Vec<&OwnShareDiff> {
    let mut changes: Vec<&OwnShareDiff> = Vec::new();
    let moved = |own: &&OwnShareDiff| matches!(own.verdict, PairedVerdict::Grew | PairedVerdict::Shrank);
    for own in scenario.own_share.iter().filter(moved) {
        if changes.last().is_none_or(|last| (&last.latency, &last.phase) != (&own.latency, &own.phase)) {
            changes.push(own);
        }
    }
    changes
}

/// "steady: our own share of routing GREW by 24 % in nominal, from 0.52 to 0.64 ms (mean, 8 seeds, noise 0.02 ms), and by 20 %
/// in chaos; the whole changed by +2.1 % at p50."
fn own_regression(scenario: &str, phases: &[&OwnShareDiff], whole: Option<&LatencyDiff>) -> Option<String> {
    let (own, others) = phases.split_first()?;
    let percent = |own: &OwnShareDiff| format!("by {:.0} % in {}", 100.0 * own.change, own.phase);
    let [before, after, noise] = [Some(own.before_ms), Some(own.after_ms), own.noise_ms].map(format::milliseconds);
    let seeds = format::plural(own.seeds, "seed");
    let mut sentence = format!(
        "{scenario}: our own share of {} GREW {}, from {before} to {after} ms ({}, {seeds}, noise {noise} ms)",
        own.latency,
        percent(own),
        own.statistic.as_str(),
    );
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|own| percent(own)).collect();
        sentence.push_str(&format!(", and {}", others.join(", ")));
    }
    match whole {
        Some(whole) => sentence.push_str(&format!("; the whole changed by {:+.1} % at p50.", 100.0 * whole.change)),
        None => sentence.push('.'),
    }
    Some(sentence)
}

fn only_in(title: &str, names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{title}: {}\n", printable(&names.join(", "))))
}
