//! Every kind of fault as families that fit a topology: what a swarm draws from beyond what a scenario names.

use nexus_cloud::Service;
use nexus_faults::{FaultKind, FaultTemplate, Whole};
use nexus_scenario::{Hosting, Scenario, Tier};
use nexus_workload::WorkloadShape;

use crate::Trial;

/// What hosts and services of the system ask of each endpoint.
fn operations(service: Service) -> &'static [&'static str] {
    match service {
        Service::Dynamodb => &["TransactWriteItems", "Query", "GetItem", "PutItem", "DeleteItem"],
        Service::DynamodbStreams => &["GetRecords", "GetShardIterator", "DescribeStream"],
        Service::Kinesis => &["PutRecords", "GetRecords", "GetShardIterator", "ListShards"],
        Service::Sns => &["PublishBatch"],
        Service::Sqs => &["ReceiveMessage", "DeleteMessageBatch", "SendMessage", "SendMessageBatch"],
        Service::Lambda => &["Invoke"],
        Service::Glue => &["GetSchemaByDefinition"],
    }
}

/// The endpoints that a kind of call fault can mean; empty for what acts on hosts, links and by operators.
fn services(kind: FaultKind) -> &'static [Service] {
    match kind {
        FaultKind::Throttle
        | FaultKind::ErrorBefore
        | FaultKind::ErrorAfter
        | FaultKind::ServiceUnavailable
        | FaultKind::LostAnswer
        | FaultKind::TruncatedAnswer
        | FaultKind::ResetBefore
        | FaultKind::ResetAfter
        | FaultKind::Hang
        | FaultKind::LatencySpike => &Service::ALL,
        FaultKind::StaleRead | FaultKind::TransactionConflict => &[Service::Dynamodb],
        FaultKind::CrashAtCall => {
            &[Service::Dynamodb, Service::DynamodbStreams, Service::Kinesis, Service::Sns, Service::Sqs]
        }
        FaultKind::FailedEntries => &[Service::Kinesis, Service::Sns, Service::Sqs],
        FaultKind::ExpiredIterator => &[Service::Kinesis, Service::DynamodbStreams],
        FaultKind::EmptyPage => &[Service::Kinesis, Service::DynamodbStreams, Service::Sqs],
        FaultKind::Duplicate => &[Service::Kinesis, Service::Sqs, Service::Lambda],
        FaultKind::ReversedBatch | FaultKind::UndeletedMessage => &[Service::Sqs],
        FaultKind::LateDelivery => &[Service::Sns, Service::Sqs],
        // Kinesis is left out: what it trims before the projection read it can only be had by a rebuild.
        FaultKind::TrimmedRecords => &[Service::DynamodbStreams],
        FaultKind::UnreachableTarget => &[Service::Sns, Service::Lambda],
        FaultKind::RefusedDelivery => &[Service::Sns],
        FaultKind::FunctionError => &[Service::Lambda],
        _ => &[],
    }
}

/// Which of an endpoint's operations a kind of fault can befall.
fn operations_for(kind: FaultKind, service: Service) -> Vec<String> {
    let wanted: &[&str] = match (kind, service) {
        (FaultKind::StaleRead, _) => &["Query"],
        (FaultKind::TransactionConflict, _) => &["TransactWriteItems", "PutItem"],
        (FaultKind::FailedEntries, Service::Kinesis) | (FaultKind::Duplicate, Service::Kinesis) => &["PutRecords"],
        (FaultKind::FailedEntries, Service::Sqs) => &["DeleteMessageBatch", "SendMessageBatch"],
        (FaultKind::Duplicate, Service::Sqs) => &["ReceiveMessage", "SendMessage"],
        (FaultKind::ReversedBatch, _) | (FaultKind::EmptyPage, Service::Sqs) => &["ReceiveMessage"],
        (FaultKind::UndeletedMessage, _) => &["DeleteMessageBatch"],
        (FaultKind::LateDelivery, Service::Sqs) => &["SendMessage"],
        (FaultKind::FunctionError, _) => &["NextInvocation", "InvocationResponse"],
        (FaultKind::ExpiredIterator | FaultKind::EmptyPage | FaultKind::TrimmedRecords, _) => &["GetRecords"],
        _ => operations(service),
    };
    wanted.iter().map(|name| (*name).to_owned()).collect()
}

fn family(kind: FaultKind) -> FaultTemplate {
    FaultTemplate {
        kind,
        count: Whole::Exactly(1),
        hosts: Vec::new(),
        peers: Vec::new(),
        service: None,
        operations: Vec::new(),
        keyed: false,
        nth: None,
        hits: None,
        duration_ms: None,
        strength: None,
        start_ms: None,
        event_types: Vec::new(),
    }
}

/// The families of one kind that fit this topology, each about something else: for faults of calls one for each endpoint and
/// sort of caller, for the others one for each sort of host. Empty if the kind cannot happen there.
pub fn generic_families(kind: FaultKind, scenario: &Scenario) -> Vec<FaultTemplate> {
    let has_bus = scenario.bus.is_there();
    let hosts: &[&str] = if has_bus { &["services", "bus"] } else { &["services"] };
    let named = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    match kind {
        FaultKind::Crash | FaultKind::Pause | FaultKind::SlowHost | FaultKind::ClockLeap | FaultKind::ClockSkew => {
            // Five minutes are all that a signature tolerates, and several errors of one clock add up.
            let strength = matches!(kind, FaultKind::ClockLeap | FaultKind::ClockSkew);
            let strength = strength.then_some(Whole::Between([200, 120_000]));
            hosts.iter().map(|host| FaultTemplate { hosts: named(&[host]), strength, ..family(kind) }).collect()
        }
        FaultKind::ClockDrift => hosts
            .iter()
            .map(|host| FaultTemplate {
                hosts: named(&[host]),
                strength: Some(Whole::Between([100, 20_000])),
                duration_ms: Some(Whole::Between([2_000, 10_000])),
                ..family(kind)
            })
            .collect(),
        FaultKind::Partition | FaultKind::PartitionOneWay | FaultKind::SlowLink => links(kind, has_bus),
        FaultKind::BrownOut => vec![family(kind)],
        FaultKind::Tampering if has_bus => Vec::new(),
        FaultKind::RetryStorm | FaultKind::RogueWrite | FaultKind::Tampering | FaultKind::PolicyReload => {
            vec![family(kind)]
        }
        FaultKind::Rollback | FaultKind::OldRelease if has_bus => {
            vec![FaultTemplate { hosts: named(&["routers"]), ..family(kind) }]
        }
        FaultKind::PoisonEvent
        | FaultKind::PoisonRecord
        | FaultKind::PoisonMessage
        | FaultKind::ShardSplit
        | FaultKind::ShardMerge
        | FaultKind::Redrive
        | FaultKind::QueuePurge
            if has_bus =>
        {
            vec![family(kind)]
        }
        FaultKind::LateSchema | FaultKind::PendingSchema | FaultKind::FailedSchema | FaultKind::BreakingSchema => {
            if scenario.registry.is_asked {
                vec![family(kind)]
            } else {
                Vec::new()
            }
        }
        _ => call_families(kind, scenario),
    }
}

/// Whether nobody could make good for it: a mapping does not tell its function what was trimmed.
pub fn is_beyond_repair(kind: FaultKind, hosting: Hosting) -> bool {
    kind == FaultKind::TrimmedRecords && hosting == Hosting::Lambda
}

fn call_families(kind: FaultKind, scenario: &Scenario) -> Vec<FaultTemplate> {
    if is_beyond_repair(kind, scenario.bus.hosting) {
        return Vec::new();
    }
    let has_bus = scenario.bus.is_there();
    let is_there = |service: &&Service| match service {
        Service::Dynamodb => true,
        Service::Glue => scenario.registry.is_asked,
        Service::Lambda => has_bus && scenario.bus.hosting == Hosting::Lambda,
        _ => has_bus,
    };
    let mut families = Vec::new();
    for service in services(kind).iter().filter(is_there) {
        let of_service = FaultTemplate {
            service: Some(*service),
            operations: operations_for(kind, *service),
            nth: Some(Whole::Between([1, 10])),
            ..family(kind)
        };
        // AWS itself calls too, and loses no power.
        let hosts: Vec<Vec<&str>> = match (kind, service, has_bus) {
            (FaultKind::CrashAtCall, Service::Dynamodb, true) => vec![vec!["services"], vec!["bus"]],
            (FaultKind::CrashAtCall, Service::Dynamodb, false) => vec![vec!["services"]],
            (FaultKind::CrashAtCall, ..) => vec![vec!["bus"]],
            (_, Service::Dynamodb, true) => vec![vec![], vec!["bus"]],
            _ => vec![vec![]],
        };
        for hosts in hosts {
            let hosts = hosts.into_iter().map(str::to_owned).collect();
            families.push(FaultTemplate { hosts, ..of_service.clone() });
        }
        if *service == Service::Dynamodb && kind != FaultKind::StaleRead && kind != FaultKind::CrashAtCall {
            let operations = vec!["TransactWriteItems".to_owned()];
            families.push(FaultTemplate { keyed: true, nth: None, operations, ..of_service });
        }
    }
    families
}

/// Links between what calls and what is called.
fn links(kind: FaultKind, has_bus: bool) -> Vec<FaultTemplate> {
    let mut pairs = vec![("services", "aws"), ("customers", "services")];
    if has_bus {
        pairs.extend([
            ("bus", "aws"),
            ("routers", "streams"),
            ("routers", "kinesis"),
            ("projections", "kinesis"),
            ("routers", "queues"),
            ("notifiers", "queues"),
        ]);
    }
    let duration_ms = Some(Whole::Between([500, 6_000]));
    pairs
        .into_iter()
        .map(|(host, peer)| FaultTemplate {
            hosts: vec![host.to_owned()],
            peers: vec![peer.to_owned()],
            duration_ms,
            ..family(kind)
        })
        .collect()
}

/// A scenario of the trial's own topology, phases and bus, from which further faults for it can be drawn.
pub fn skeleton(trial: &Trial) -> Scenario {
    Scenario {
        name: trial.scenario.clone(),
        description: String::new(),
        topology: trial.topology.clone(),
        bus: trial.bus.clone(),
        registry: trial.registry.clone(),
        service: trial.service.clone(),
        network: trial.network.clone(),
        schedule: trial.schedule.clone(),
        phases: trial.phases.clone(),
        workload: WorkloadShape::default(),
        faults: Vec::new(),
        objectives: Vec::new(),
        seeds: 1,
        by_name_only: trial.tier == Tier::Slow,
    }
}

#[cfg(test)]
mod tests {
    use nexus_scenario::Registry;

    use super::*;

    fn scenario(text: &str) -> Scenario {
        nexus_scenario::parse("case", "case.toml", &format!("description = \"a case\"\n{text}\n[workload]\n")).unwrap()
    }

    #[test]
    fn every_family_fits_its_topology_and_every_kind_but_the_premature_redrive_has_one_on_a_bus() {
        let write_side = scenario("");
        let workers = scenario("[bus]\nrouters = 2\nprojections = 1\nnotifiers = 1\ndlq_processors = 1\n");
        let functions =
            scenario("[bus]\nrouters = 2\nprojections = 1\nnotifiers = 1\ndlq_processors = 1\nhosting = \"lambda\"\n");
        for scenario in [&write_side, &workers, &functions] {
            let context = scenario.template_context(vec!["nexus-idempotency/k".to_owned()]);
            for kind in FaultKind::ALL {
                for family in generic_families(*kind, scenario) {
                    assert_eq!(family.check(&context), Ok(()), "{kind}");
                }
            }
        }
        let without: Vec<&FaultKind> =
            FaultKind::ALL.iter().filter(|kind| generic_families(**kind, &workers).is_empty()).collect();
        // Only functions die by themselves. What a forged event means to consumers is not judged. Whether a redrive comes too
        // early is known only to a scenario that keeps its consumer from working; schemas can only fail where a registry is
        // asked.
        let schemas =
            [FaultKind::LateSchema, FaultKind::PendingSchema, FaultKind::FailedSchema, FaultKind::BreakingSchema];
        let elsewhere = [FaultKind::FunctionError, FaultKind::Tampering, FaultKind::WrongRedrive];
        assert_eq!(without, [&elsewhere[..], &schemas[..]].concat().iter().collect::<Vec<_>>());
        assert_eq!(generic_families(FaultKind::FunctionError, &functions).len(), 1);
        assert_eq!(generic_families(FaultKind::TrimmedRecords, &functions), [], "nothing repairs it there");
        assert_eq!(generic_families(FaultKind::Tampering, &write_side).len(), 1);
        let asked = Scenario { registry: Registry { is_asked: true, ..Registry::default() }, ..workers.clone() };
        for kind in schemas {
            assert_eq!(generic_families(kind, &asked).len(), 1, "{kind}");
        }
    }
}
