//! A small run in which an answer was lost and an event overwritten.

use nexus_reports_story::{
    Because, Change, Facts, Fault, FaultPoint, Host, Link, Message, MessageOutcome, Phase, STORY_FORMAT_VERSION, Step,
    StepKind, Story, Violation,
};

const CUSTOMERS: usize = 0;
const ORDERS: usize = 1;
const DYNAMODB: usize = 2;

fn step(number: u32, at_us: u64, host: usize, kind: StepKind, text: &str) -> Step {
    let is_of_aws = !matches!(kind, StepKind::Customer | StepKind::Host);
    Step {
        number,
        at_us,
        until_us: (kind == StepKind::Call).then_some(at_us + 7_400),
        host,
        kind,
        service: is_of_aws.then(|| "dynamodb".to_owned()),
        aggregate: Some("order-o-1".to_owned()),
        operation: (kind == StepKind::Customer).then_some(7),
        call: (kind == StepKind::Call).then_some(u64::from(number)),
        text: text.to_owned(),
    }
}

fn message(step: u32, (from, to): (usize, usize), at_us: u64, outcome: MessageOutcome, label: &str) -> Message {
    let is_answer = from > to;
    Message {
        step,
        from,
        to,
        sent_us: (is_answer || from == CUSTOMERS).then_some(at_us),
        arrived_us: (!is_answer && from != CUSTOMERS).then_some(at_us),
        outcome,
        is_answer,
        label: label.to_owned(),
    }
}

fn link(step: u32, is_evidence: bool, because: &[(u32, &str)]) -> Link {
    let because = because.iter().map(|(step, why)| Because { step: *step, why: (*why).to_owned() }).collect();
    Link { step, is_evidence, because }
}

fn change(step: u32, of: &str, name: &str, before: Option<&str>, after: Option<&str>) -> Change {
    Change {
        step,
        of: of.to_owned(),
        name: name.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }
}

/// The run.
pub fn story() -> Story {
    let host = |name: &str, is_endpoint| Host { name: name.to_owned(), is_endpoint };
    Story {
        story_format_version: STORY_FORMAT_VERSION,
        facts: Facts {
            scenario: "contention".to_owned(),
            seed: 3,
            engine: "turmoil".to_owned(),
            revision: "0123456789ab".to_owned(),
            profile: "sim".to_owned(),
            trace_hash: "ab".repeat(32),
            verdict: "broken".to_owned(),
            reason: "immutability: An event's item was <replaced>.".to_owned(),
            operations: 2,
            planned_faults: 2,
            planted_bug: None,
            assumptions: vec!["token_window_seconds=600".to_owned()],
        },
        ended_us: 9_000_000,
        phases: vec![
            Phase { name: "nominal".to_owned(), from_us: 0, until_us: 1_000_000 },
            Phase { name: "chaos".to_owned(), from_us: 1_000_000, until_us: 4_000_000 },
        ],
        hosts: vec![host("customers", false), host("orders-1", false), host("dynamodb", true)],
        steps: vec![
            step(1, 1_200_000, CUSTOMERS, StepKind::Customer, "operation 7 attempt 1: PlaceOrder o-1, key k-7"),
            step(2, 1_210_000, ORDERS, StepKind::Fault, "fault 3 acts on call 3: lost-answer; orders-1 -> dynamodb #1"),
            step(
                3,
                1_210_000,
                ORDERS,
                StepKind::Call,
                "call 3: TransactWriteItems nexus-events/order-o-1/1 → 200, applied, answer lost",
            ),
            step(
                4,
                1_215_000,
                DYNAMODB,
                StepKind::Write,
                "nexus-events/order-o-1/1 put: version 1, event_type OrderPlaced",
            ),
            step(6, 2_300_000, ORDERS, StepKind::Call, "call 6: PutItem nexus-events/order-o-1/1 → 200, applied"),
            step(
                7,
                2_305_000,
                DYNAMODB,
                StepKind::Write,
                "nexus-events/order-o-1/1 replaced: version 1, event_type OrderPlaced",
            ),
            step(8, 2_400_000, CUSTOMERS, StepKind::Customer, "operation 7 attempt 1 was answered: 200 accepted"),
        ],
        messages: vec![
            message(
                1,
                (CUSTOMERS, ORDERS),
                1_200_000,
                MessageOutcome::Delivered,
                "operation 7 attempt 1: PlaceOrder o-1",
            ),
            message(
                3,
                (ORDERS, DYNAMODB),
                1_210_000,
                MessageOutcome::Delivered,
                "TransactWriteItems nexus-events/order-o-1/1",
            ),
            message(3, (DYNAMODB, ORDERS), 1_217_400, MessageOutcome::Lost, "200, applied, answer lost"),
            message(6, (ORDERS, DYNAMODB), 2_300_000, MessageOutcome::Delivered, "PutItem nexus-events/order-o-1/1"),
            message(6, (DYNAMODB, ORDERS), 2_307_400, MessageOutcome::Delivered, "200, applied"),
            message(8, (ORDERS, CUSTOMERS), 2_400_000, MessageOutcome::Delivered, "200 accepted"),
        ],
        faults: vec![
            Fault {
                id: 3,
                kind: "lost-answer".to_owned(),
                contract: "detected".to_owned(),
                address: "orders-1 -> dynamodb/* [*] #1 in 1000..4000 ms".to_owned(),
                from_us: 1_000_000,
                until_us: 1_210_000,
                hosts: vec![ORDERS],
                points: vec![FaultPoint { at_us: 1_210_000, step: 2, call_step: Some(3) }],
            },
            Fault {
                id: 4,
                kind: "partition".to_owned(),
                contract: "excused".to_owned(),
                address: "orders-1 <x> dynamodb in 3500..3900 ms".to_owned(),
                from_us: 3_500_000,
                until_us: 3_900_000,
                hosts: vec![ORDERS, DYNAMODB],
                points: vec![],
            },
        ],
        changes: vec![
            change(0, "host", "orders-1", None, Some("up")),
            change(4, "aggregate", "order-o-1", None, Some("version 1, event_type OrderPlaced")),
            change(7, "aggregate", "order-o-1", Some("version 1, event_type OrderPlaced"), Some("version 1, replaced")),
        ],
        violations: vec![Violation {
            checker: "immutability".to_owned(),
            what: "An event's item was <replaced>.".to_owned(),
            evidence: vec!["call 6".to_owned()],
            at_us: Some(2_305_000),
            steps: vec![6, 7],
        }],
        chain: vec![
            link(1, false, &[]),
            link(2, false, &[]),
            link(3, false, &[(1, "its idempotency key"), (2, "the fault that acted on it")]),
            link(4, false, &[(3, "the same call")]),
            link(6, true, &[(3, "another attempt of one call")]),
            link(7, true, &[(4, "what it replaced"), (6, "the same call")]),
        ],
        chain_left_out: 2,
        steps_left_out: 1,
    }
}
