//! What happened to the made-up events after they were stored.

use std::collections::BTreeMap;

use nexus_reports::{DeadLetterAccount, Latencies, PhaseHistogram, QueueAccount, TrialRecord};

use super::{Operation, Variant, draws::Draws, histograms, plans::Plan, shares};

/// What came after each command: its event on the stream, a notification, the read model.
pub fn follow_events(commands: &[Operation], variant: &Variant, draws: Draws, trial: &mut TrialRecord) {
    let [mut stream, mut router, mut queue, mut consumer, mut view, mut projection] =
        ["stream", "router", "queue", "consumer", "view", "projection"].map(|purpose| draws.named(purpose));
    let after = |command: &Operation, modelled_us: u64, own_us: u64| Operation {
        start_us: command.start_us,
        modelled_us,
        injected_us: command.injected_us / 2,
        own_us,
        outcome: command.outcome,
    };
    let mut routing = Vec::new();
    let mut background = Vec::new();
    let mut end_to_end = Vec::new();
    for command in commands {
        let routed =
            after(command, 11_000 + stream.tail(6_000), (1_800 + router.tail(900)) * variant.router_percent / 100);
        background.push(after(command, 34_000 + queue.tail(20_000), 4_000 + consumer.tail(2_500)));
        let mut seen = after(
            command,
            command.modelled_us + routed.modelled_us + 18_000 + view.tail(9_000),
            command.own_us + routed.own_us + 2_600 + projection.tail(1_200),
        );
        seen.injected_us = command.injected_us + routed.injected_us;
        routing.push(routed);
        end_to_end.push(seen);
    }
    for (name, events) in [("routing", &routing), ("background", &background), ("end-to-end", &end_to_end)] {
        trial.latency.insert(name.to_owned(), histograms(events, Operation::latency_us));
    }
    trial.shares.extend(shares("routing", &routing).into_iter().chain(shares("end-to-end", &end_to_end)));
    if commands.iter().any(|command| command.injected_us > 0) {
        let recovery_us = 900_000 + draws.named("recovery").tail(700_000);
        let histogram = Latencies::from_iter([recovery_us]).encode();
        trial.latency.insert("recovery".to_owned(), vec![PhaseHistogram { phase: "heal".to_owned(), histogram }]);
    }
}

/// Storms dead-letter and park; in one trial a message is lost.
pub fn dead_letters(plan: &Plan, seed: u64, sent: u64) -> Option<DeadLetterAccount> {
    match plan.name {
        "steady" => Some(DeadLetterAccount { sent, done: sent, ..DeadLetterAccount::default() }),
        "storm" => Some(DeadLetterAccount {
            sent,
            done: sent - 3 - u64::from(seed == 2),
            dead_lettered: 11 + seed,
            redriven: 8 + seed,
            quarantined: 3,
            parked: 4,
            released: 3,
            still_parked: 1,
            ..DeadLetterAccount::default()
        }),
        _ => None,
    }
}

/// The same messages, seen from the queue and from its dead-letter queue.
pub fn queues(letters: &DeadLetterAccount) -> Vec<QueueAccount> {
    let queue = QueueAccount {
        queue: "nexus-notifications".to_owned(),
        sent: letters.sent,
        moved_in: letters.redriven,
        received: letters.done + 5 * letters.dead_lettered,
        done: letters.done,
        dead_lettered: letters.dead_lettered,
        ..QueueAccount::default()
    };
    let dead_letters = QueueAccount {
        queue: "nexus-notifications-dlq".to_owned(),
        moved_in: letters.dead_lettered,
        received: letters.dead_lettered,
        redriven: letters.redriven,
        quarantined: letters.quarantined,
        ..QueueAccount::default()
    };
    vec![queue, dead_letters]
}

pub fn coverage(plan: &Plan, seed: u64, calls: u64) -> BTreeMap<String, u64> {
    let mut marks = BTreeMap::from([("dynamodb.transact.committed".to_owned(), calls)]);
    let mut mark = |name: &str, count: u64| marks.insert(name.to_owned(), count);
    if plan.name != "steady" {
        mark("dynamodb.transact.cancelled", 3 + seed);
    }
    if plan.name == "clock-leaps" {
        mark("dynamodb.query.stale", 40 * seed);
    }
    if plan.name == "storm" {
        mark("kinesis.throttled", 12 * seed);
        mark("kinesis.split", 1);
        mark("sqs.visibility.expired", 2 + seed);
        mark("sqs.duplicate", 5);
        mark("sqs.purged", seed % 2);
    }
    marks
}
