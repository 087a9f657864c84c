//! Tables of what happens between the event's commit and its last effect.

use crate::{
    aggregate::{ScenarioSummary, objective_verdict},
    dead_letters::{DeadLetterAccount, QueueAccount},
    format,
    latencies::Latencies,
    tables::{Cell, Table, Tone, count, count_with_tone, number, plain, text, toned},
};

/// The percentile of routing that objectives are about.
const ROUTING_PERCENTILE: f64 = 99.0;

/// The 99th percentile of routing by phase, against its objective where there is one, and the way back after the heal. All in
/// milliseconds.
pub(crate) fn routing(summaries: &[ScenarioSummary]) -> Table {
    let mut phases: Vec<&str> = Vec::new();
    for (phase, _) in summaries.iter().filter_map(|summary| summary.latency_by_phase.get("routing")).flatten() {
        if !phases.contains(&phase.as_str()) {
            phases.push(phase);
        }
    }
    let by_phase = phases.iter().map(|phase| number(*phase));
    let own = ["own mean", "own p99", "recovery p50", "longest recovery"].map(number);
    let mut table = Table::new([text("scenario")].into_iter().chain(by_phase).chain(own));
    for summary in summaries.iter().filter(|summary| summary.latency.contains_key("routing")) {
        let own = summary.shares.iter().find(|shares| shares.latency == "routing").map(|shares| &shares.own);
        let recovery = summary.latency.get("recovery");
        let parts_ms = [
            own.and_then(Latencies::mean_ms),
            own.and_then(Latencies::p99_ms),
            recovery.and_then(Latencies::p50_ms),
            recovery.and_then(Latencies::max_ms),
        ];
        let judged = phases.iter().map(|phase| routing_in_phase(summary, phase));
        let parts = parts_ms.map(|ms| plain(format::milliseconds(ms)));
        table.push([plain(&summary.name)].into_iter().chain(judged).chain(parts));
    }
    table
}

/// "487 of 500" where an objective bounds the phase, "487" where none does.
fn routing_in_phase(summary: &ScenarioSummary, phase: &str) -> Cell {
    let by_phase = summary.latency_by_phase.get("routing").into_iter().flatten();
    let latencies = by_phase.filter(|(name, _)| name == phase).map(|(_, latencies)| latencies).next();
    let measured = format::milliseconds(latencies.and_then(|it| it.percentile_ms(ROUTING_PERCENTILE)));
    let bound = summary.objectives.iter().find(|objective| {
        objective.latency == "routing" && objective.phase == phase && objective.percentile == ROUTING_PERCENTILE
    });
    match bound {
        Some(bound) => {
            let limit = format::milliseconds(Some(bound.limit_ms));
            toned(format!("{measured} of {limit}"), objective_verdict(bound))
        }
        None => plain(measured),
    }
}

/// The latencies that follow an event, with the parts of those that have some.
pub(crate) fn way_of_an_event(summaries: &[ScenarioSummary]) -> Table {
    let mut table = Table::new([
        text("scenario"),
        text("latency"),
        text("phase"),
        number("count"),
        number("p50 ms"),
        number("p99 ms"),
        number("p99.9 ms"),
        number("AWS ms"),
        number("injected ms"),
        number("own ms"),
        number("own p99 ms"),
    ]);
    for summary in summaries {
        for step in summary.way_of_an_event() {
            let percentiles_ms = [50.0, 99.0, 99.9].map(|percentile| step.latencies.percentile_ms(percentile));
            let parts_ms = match step.shares {
                Some(shares) => {
                    let [modelled_ms, injected_ms, own_ms] = shares.means_ms().map(Some);
                    [modelled_ms, injected_ms, own_ms, shares.own.p99_ms()]
                }
                None => [None; 4],
            };
            let names = [plain(&summary.name), plain(step.latency), plain(step.phase), count(step.latencies.count())];
            let numbers = percentiles_ms.into_iter().chain(parts_ms).map(|ms| plain(format::milliseconds(ms)));
            table.push(names.into_iter().chain(numbers));
        }
    }
    table
}

/// What became of messages and parked aggregates, by scenario.
pub(crate) fn dead_letters(summaries: &[ScenarioSummary]) -> Table {
    let names = DeadLetterAccount::default().counts().map(|(name, _)| name);
    let columns = [text("scenario")].into_iter().chain(names.map(number)).chain([text("balances")]);
    let mut table = Table::new(columns);
    for (summary, total) in summaries.iter().filter_map(|summary| Some((summary, summary.dead_letters.as_ref()?))) {
        let counts = total.account.counts().map(|(name, number)| match name {
            "expired" | "left" | "still parked" => count_with_tone(number, Tone::Doubtful),
            _ => count(number),
        });
        let verdict = balances(total.unbalanced, total.trials);
        table.push([plain(&summary.name)].into_iter().chain(counts).chain([verdict]));
    }
    table
}

/// Each queue by itself, by scenario.
pub(crate) fn queues(summaries: &[ScenarioSummary]) -> Table {
    let names = QueueAccount::default().counts().map(|(name, _)| name);
    let columns = [text("scenario"), text("queue")].into_iter().chain(names.map(number)).chain([text("balances")]);
    let mut table = Table::new(columns);
    for (summary, queue) in
        summaries.iter().flat_map(|summary| summary.queues.iter().map(move |queue| (summary, queue)))
    {
        let counts = queue.account.counts().map(|(name, number)| match name {
            "expired" | "remain" => count_with_tone(number, Tone::Doubtful),
            _ => count(number),
        });
        let names = [plain(&summary.name), plain(&queue.account.queue)];
        table.push(names.into_iter().chain(counts).chain([balances(queue.unbalanced, queue.trials)]));
    }
    table
}

/// Whether every single account balances, and if not, how many do not.
fn balances(unbalanced: u64, trials: u64) -> Cell {
    match unbalanced {
        0 => toned("yes", Tone::Good),
        _ => toned(format!("not in {unbalanced} of {}", format::plural(trials, "trial")), Tone::Bad),
    }
}
